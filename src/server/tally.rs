//! What is answered, on its way out: a library's refusal becomes the one that etcd's clients know, and requests are counted by method
//! and code, for the page of numbers. A stream counts once, when it begins: it is answered then, and
//! how it ends is not seen here.

use crate::rpc::as_go_says;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tonic::codegen::http::{HeaderMap, Request, Response};
use tonic::{Code, Status};
use tower::Service;

/// Under which name calls of methods that are not there are counted: a stranger must not be able to add names.
const UNKNOWN: &str = "unimplemented";

/// How often what was answered how.
#[derive(Default)]
pub(super) struct Tally {
    /// By path, then by code.
    counts: Mutex<BTreeMap<(String, i32), u64>>,
}

impl Tally {
    fn count(&self, path: String, code: Code) {
        let path = if code == Code::Unimplemented { UNKNOWN.to_owned() } else { path };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((path, code as i32)).or_default() += 1;
    }

    /// All that was answered so far.
    pub(super) fn counts(&self) -> Vec<(String, Code, u64)> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = |((path, code), count): (&(String, i32), &u64)| {
            (path.clone(), Code::from_i32(*code), *count)
        };
        counts.iter().map(entry).collect()
    }
}

/// A service whose answers are counted.
#[derive(Clone)]
pub(super) struct Counted<S> {
    inner: S,
    tally: Arc<Tally>,
}

impl<S> Counted<S> {
    pub(super) fn new(inner: S, tally: Arc<Tally>) -> Counted<S> {
        Counted { inner, tally }
    }
}

impl<S, In, Out> Service<Request<In>> for Counted<S>
where
    S: Service<Request<In>, Response = Response<Out>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<In>) -> Self::Future {
        let path = request.uri().path().to_owned();
        let tally = self.tally.clone();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            translate(answer.headers_mut());
            tally.count(path, code(&answer));
            Ok(answer)
        })
    }
}

/// A refusal before a message was decoded is the library's, in its own words.
fn translate(headers: &mut HeaderMap) {
    let Some(said) =
        Status::from_header_map(headers).filter(|said| said.code() == Code::OutOfRange)
    else {
        return;
    };
    let says = as_go_says(said);
    if says.code() != Code::OutOfRange {
        // Code and text are replaced; digits and blanks can be a header.
        let _ = says.add_header(headers);
    }
}

/// A refusal is in the headers; who has none there answers with a body.
fn code<Out>(answer: &Response<Out>) -> Code {
    answer.headers().get("grpc-status").map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}
