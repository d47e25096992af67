//! A page of numbers for Prometheus, and a word on health, over plain HTTP. Meant for the loopback: it asks nobody who
//! they are.

use super::context::Context;
use super::health::trouble;
use super::profiling::{self, Page, Profiler};
use super::tally::Tally;
use crate::raft::Role;
use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::http::Error;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::fmt::Write;
use std::net::IpAddr;
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

/// What answers come from.
pub(super) struct Sources {
    pub(super) context: Arc<Context>,
    pub(super) tally: Arc<Tally>,
    /// Absent unless profiles were asked for.
    pub(super) profiler: Option<Profiler>,
}

/// Answers scrapers until the server ends.
pub(super) async fn serve(listener: TcpListener, sources: Arc<Sources>) {
    let slots = Arc::new(Semaphore::new(SCRAPERS_MAX));
    loop {
        let taken = tokio::select! {
            taken = listener.accept() => taken,
            () = sources.context.stopped() => return,
        };
        match (taken, slots.clone().try_acquire_owned()) {
            (Ok((stream, from)), Ok(slot)) => {
                let sources = sources.clone();
                tokio::spawn(async move {
                    answer_all(stream, from.ip(), &sources).await;
                    drop(slot);
                });
            }
            // Too many: this one is closed.
            (Ok(_), Err(_)) => {}
            (Err(_), _) => sleep(PAUSE).await,
        }
    }
}

async fn answer_all(stream: TcpStream, from: IpAddr, sources: &Sources) {
    let service = service_fn(|request| answer(request, from, sources));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // A scraper that went away needs no answer.
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    from: IpAddr,
    sources: &Sources,
) -> Result<Response<Full<Bytes>>, Error> {
    let uri = request.uri();
    let page = match (request.method(), uri.path()) {
        (&Method::GET, "/metrics") => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            let body = page(&sources.context, &sources.tally).into_bytes();
            Page { status: StatusCode::OK, kind, body }
        }
        (&Method::GET, "/health") => health(&sources.context),
        (&Method::GET, path) => match (path.strip_prefix(profiling::FOLDER), &sources.profiler) {
            (Some(name), Some(profiler)) => profiler.answer(from, name, uri.query()).await,
            _ => unknown(),
        },
        _ => unknown(),
    };
    Response::builder()
        .status(page.status)
        .header(CONTENT_TYPE, page.kind)
        .body(Full::new(Bytes::from(page.body)))
}

fn health(context: &Context) -> Page {
    let trouble = trouble(&context.node);
    let (status, word) = match trouble {
        None => (StatusCode::OK, "true"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "false"),
    };
    let reason = trouble.unwrap_or_default();
    let body = format!("{{\"health\":\"{word}\",\"reason\":\"{reason}\"}}").into_bytes();
    Page { status, kind: "application/json", body }
}

fn unknown() -> Page {
    let body = b"try /metrics or /health\n".to_vec();
    Page { status: StatusCode::NOT_FOUND, kind: "text/plain", body }
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
        "kvbench_images_received_total",
        "counter",
        "Images of the leader's state that took the place of this member's.",
        status.images,
    );
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
