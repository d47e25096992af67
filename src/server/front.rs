//! The way in for clients: HTTP/2, whatever method they call, and what is answered on its way out. Most requests are for keys, so these go to
//! their service at once; all others look for theirs by name.

use super::kv::KvService;
use super::listen::Incoming;
use super::pieces::in_pieces;
use super::tally::Tally;
use crate::rpc::as_go_says;
use crate::rpc::etcdserverpb::kv_server::KvServer;
use hyper::body::Incoming as Sent;
use hyper::server::conn::http2;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::graceful::GracefulShutdown;
use std::convert::Infallible;
use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Sleep, sleep};
use tokio_stream::StreamExt;
use tonic::body::Body;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::codegen::http::{HeaderMap, HeaderName, Request, Response};
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::{Code, Status};
use tower::Service as _;

/// Most requests at once on one connection. A lock, an election and a stream of watches each keep one open for long, so
/// it is far above what waits in the log's queue per client; above it a client opens another connection.
pub(super) const STREAMS_MAX: u32 = 1024;

/// Requests that were reset and not yet taken; hyper's own default, written down since it bounds an attack.
pub(super) const RESET_STREAMS_MAX: usize = 20;

/// What gRPC's headers are called.
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Streams that a connection may have made this side reset, until it is ended; hyper's own default, where gRPC's server has none.
pub(super) const FAULTY_STREAMS_MAX: usize = 1024;

/// All that a client may call.
#[derive(Clone)]
pub(super) struct Front {
    keys: KvServer<KvService>,
    others: Routes,
    tally: Arc<Tally>,
}

impl Front {
    pub(super) fn new(keys: KvServer<KvService>, others: Routes, tally: Arc<Tally>) -> Front {
        Front { keys, others: others.prepare(), tally }
    }

    /// Serves connections as they come, on the thread that they came to. Once `stopped`, no more are taken, and this ends when the requests that
    /// are under way are answered.
    pub(super) async fn serve(self, mut incoming: Incoming, stopped: impl Future<Output = ()>) {
        let mut http = http2::Builder::new(TokioExecutor::new());
        // Nobody asks for the date, and Go's server does not tell it.
        http.auto_date_header(false)
            .max_concurrent_streams(STREAMS_MAX)
            .max_pending_accept_reset_streams(Some(RESET_STREAMS_MAX))
            .max_local_error_reset_streams(Some(FAULTY_STREAMS_MAX));
        let open = GracefulShutdown::new();
        let mut stopped = pin!(stopped);
        loop {
            let connection = tokio::select! {
                next = incoming.next() => next,
                () = &mut stopped => break,
            };
            match connection {
                Some(Ok(connection)) => {
                    let served = http.serve_connection(TokioIo::new(connection), self.clone());
                    tokio::spawn(open.watch(served));
                }
                // It broke before it was one.
                Some(Err(_)) => {}
                None => break,
            }
        }
        drop(incoming);
        open.shutdown().await;
    }
}

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

impl Service<Request<Sent>> for Front {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, request: Request<Sent>) -> Answering {
        let method = request.uri().path_and_query().cloned();
        let time = time_left(request.headers()).map(|time| Box::pin(sleep(time)));
        let is_for_keys = method.as_ref().is_some_and(is_of::<KvServer<KvService>>);
        let answer: Answer = match is_for_keys {
            true => self.keys.clone().call(request),
            false => Box::pin(self.others.clone().call(request)),
        };
        Answering { answer, time, method, tally: self.tally.clone() }
    }
}

/// Whether `method` is one of the service `S`.
fn is_of<S: NamedService>(method: &PathAndQuery) -> bool {
    let method = method.path().strip_prefix('/').and_then(|path| path.strip_prefix(S::NAME));
    method.is_some_and(|method| method.starts_with('/'))
}

/// How long a client says that it will wait (`grpc-timeout`: eight digits and a unit, as gRPC's description has it).
fn time_left(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
    if digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(number * 3_600)),
        "M" => Some(Duration::from_secs(number * 60)),
        "S" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_millis(number)),
        "u" => Some(Duration::from_micros(number)),
        "n" => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// An answer on its way out: a library's refusal becomes the one that etcd's clients know, what is long goes in pieces, and it is counted.
pub(super) struct Answering {
    answer: Answer,
    time: Option<Pin<Box<Sleep>>>,
    method: Option<PathAndQuery>,
    tally: Arc<Tally>,
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = match self.answer.as_mut().poll(cx) {
            Poll::Ready(Ok(answer)) => answer,
            Poll::Ready(Err(never)) => match never {},
            Poll::Pending => {
                let Some(time) = &mut self.time else { return Poll::Pending };
                ready!(time.as_mut().poll(cx));
                // What was under way ends before its client hears of it.
                self.answer = Box::pin(pending());
                too_late()
            }
        };
        if code(&answer) == Code::OutOfRange {
            translate(answer.headers_mut());
        }
        self.tally.count(self.method.as_ref().map_or("", PathAndQuery::path), code(&answer));
        Poll::Ready(Ok(in_pieces(answer)))
    }
}

/// What Go's server says to a client that does not wait any longer.
fn too_late() -> Response<Body> {
    Status::deadline_exceeded("context deadline exceeded").into_http()
}

/// A refusal before a message was decoded is the library's, in its own words.
fn translate(headers: &mut HeaderMap) {
    let Some(said) = Status::from_header_map(headers) else { return };
    let says = as_go_says(said);
    if says.code() != Code::OutOfRange {
        // Code and text are replaced; digits and blanks can be a header.
        let _ = says.add_header(headers);
    }
}

/// A refusal is in the headers; who has none there answers with a body.
fn code<Out>(answer: &Response<Out>) -> Code {
    answer.headers().get(STATUS).map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_of_its_time_is_understood() {
        let of = |said: &'static str| {
            time_left(&HeaderMap::from_iter([(
                "grpc-timeout".parse().unwrap(),
                said.parse().unwrap(),
            )]))
        };
        assert_eq!(of("2H"), Some(Duration::from_secs(7_200)));
        assert_eq!(of("3M"), Some(Duration::from_secs(180)));
        assert_eq!(of("99999999S"), Some(Duration::from_secs(99_999_999)));
        assert_eq!(of("4999m"), Some(Duration::from_millis(4_999)));
        assert_eq!(of("7u"), Some(Duration::from_micros(7)));
        assert_eq!(of("0n"), Some(Duration::ZERO));
        for wrong in ["", "S", "5", "5s", "-1S", "+1S", "1.5S", "100000000S", " 1S"] {
            assert_eq!(of(wrong), None, "{wrong:?}");
        }
        assert_eq!(time_left(&HeaderMap::new()), None);
    }

    #[test]
    fn methods_for_keys_are_known_by_their_service() {
        let is_for_keys =
            |path: &'static str| is_of::<KvServer<KvService>>(&PathAndQuery::from_static(path));
        assert!(is_for_keys("/etcdserverpb.KV/Put"));
        assert!(!is_for_keys("/etcdserverpb.KVs/Put"));
        assert!(!is_for_keys("/etcdserverpb.KV"));
        assert!(!is_for_keys("/etcdserverpb.Watch/Watch"));
    }
}
