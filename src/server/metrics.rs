//! A page of numbers for Prometheus, and a word on health, over plain HTTP. Meant for the loopback: it asks nobody who
//! they are.

use super::context::Context;
use super::health::trouble;
use super::tally::Tally;
use crate::raft::Role;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::Error;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::sleep;

/// Most scrapers at once.
const SCRAPERS_MAX: usize = 16;

/// How long a scraper may take for its request's header.
const HEADER_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(50);

/// Answers scrapers until the server ends.
pub(super) async fn serve(listener: TcpListener, context: Arc<Context>, tally: Arc<Tally>) {
    let slots = Arc::new(Semaphore::new(SCRAPERS_MAX));
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = context.stopped() => return,
        };
        match (taken, slots.clone().try_acquire_owned()) {
            (Ok((stream, _)), Ok(slot)) => {
                let (context, tally) = (context.clone(), tally.clone());
                tokio::spawn(async move {
                    answer_all(stream, &context, &tally).await;
                    drop(slot);
                });
            }
            // Too many: this one is closed.
            (Ok(_), Err(_)) => {}
            (Err(_), _) => sleep(PAUSE).await,
        }
    }
}

async fn answer_all(stream: TcpStream, context: &Context, tally: &Tally) {
    let service = service_fn(|request: Request<Incoming>| async move {
        answer(request.method(), request.uri().path(), context, tally)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that went away needs no answer.
    let _ = connection.await;
}

fn answer(
    method: &Method,
    path: &str,
    context: &Context,
    tally: &Tally,
) -> Result<Response<String>, Error> {
    let (status, kind, text) = match (method, path) {
        (&Method::GET, "/metrics") => {
            (StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page(context, tally))
        }
        (&Method::GET, "/health") => {
            let trouble = trouble(&context.node);
            let (status, word) = match trouble {
                None => (StatusCode::OK, "true"),
                Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "false"),
            };
            let reason = trouble.unwrap_or_default();
            let text = format!("{{\"health\":\"{word}\",\"reason\":\"{reason}\"}}");
            (status, "application/json", text)
        }
        _ => (StatusCode::NOT_FOUND, "text/plain", "try /metrics or /health\n".to_owned()),
    };
    Response::builder().status(status).header(CONTENT_TYPE, kind).body(text)
}

/// The numbers, in Prometheus's text format.
fn page(context: &Context, tally: &Tally) -> String {
    let node = &context.node;
    let (status, counts, watches) = (node.status(), node.counts(), node.watch_counts());
    let mut page = String::new();
    let mut add = |name: &str, kind: &str, help: &str, value: u64| {
        head(&mut page, name, kind, help);
        // Writing to a string cannot fail.
        let _ = writeln!(page, "{name} {value}");
    };
    let revision = u64::try_from(node.revision()).unwrap_or(0);
    add("kvbench_revision", "gauge", "Newest revision of the store.", revision);
    add("kvbench_raft_term", "gauge", "Raft term.", status.term);
    add("kvbench_applied_index", "gauge", "Log index of the last command applied.", status.applied);
    add(
        "kvbench_is_leader",
        "gauge",
        "Whether this member leads.",
        u64::from(status.role == Role::Leader),
    );
    add("kvbench_db_bytes", "gauge", "Size of the state, history included.", node.bytes());
    let quota = context.quota.bytes_max().unwrap_or(0);
    add("kvbench_quota_backend_bytes", "gauge", "Most bytes it may have, 0 for no limit.", quota);
    add("kvbench_alarms", "gauge", "Alarms that are raised.", node.alarms().len() as u64);
    add("kvbench_fsyncs_total", "counter", "Syncs of the log.", counts.fsyncs);
    add("kvbench_fsync_nanoseconds_total", "counter", "Time in syncs.", counts.fsync_ns);
    add("kvbench_log_bytes_total", "counter", "Bytes written to the log.", counts.log_bytes);
    add("kvbench_log_entries_total", "counter", "Entries appended to the log.", counts.entries);
    add("kvbench_applied_requests_total", "counter", "Requests applied.", counts.requests);
    add("kvbench_watchers", "gauge", "Watchers.", watches.watchers as u64);
    add("kvbench_watchers_behind", "gauge", "Watchers in history.", watches.unsynced as u64);
    add("kvbench_watch_events_total", "counter", "Events given to readers.", watches.delivered);
    add("kvbench_leases", "gauge", "Leases.", node.lease_count() as u64);
    let refused = "Messages of other members that were not taken, by reason.";
    head(&mut page, "kvbench_peer_messages_refused_total", "counter", refused);
    for (why, count) in node.refusals().counts() {
        let reason = why.label();
        let _ =
            writeln!(page, "kvbench_peer_messages_refused_total{{reason=\"{reason}\"}} {count}");
    }
    head(&mut page, "kvbench_grpc_requests_total", "counter", "Requests by method and code.");
    for (path, code, count) in tally.counts() {
        let method = path.trim_start_matches('/');
        let _ = writeln!(
            page,
            "kvbench_grpc_requests_total{{method=\"{method}\",code=\"{code:?}\"}} {count}"
        );
    }
    page
}

fn head(page: &mut String, name: &str, kind: &str, help: &str) {
    let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
}
