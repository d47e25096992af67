//! One stream of watches: takes what the client asks, tells what happens, in one task.

use super::progress::Asked;
use super::watches::Watches;
use crate::model::{Interval, MainRevision};
use crate::rpc::etcdserverpb::watch_create_request::FilterType;
use crate::rpc::etcdserverpb::watch_request::RequestUnion;
use crate::rpc::etcdserverpb::{WatchCreateRequest, WatchRequest, WatchResponse};
use crate::rpc::{Failure, as_go_says, event_to};
use crate::server::context::Context;
use crate::store::{self, SharedEvent, WatchSpec, watch};
use bytes::Bytes;
use prost::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval_at};
use tonic::{Status, Streaming};

/// Answers that may wait to be sent before the client's next words are taken.
const WAITING_MAX: usize = 16;

/// Most watches on a stream; a client that wants more opens another. Each costs some kilobytes even when it is quiet.
const WATCHES_MAX: usize = 100_000;

/// Bytes of events from which a response is not made longer: well below what clients take at once.
const TOGETHER_BYTES: usize = 512 * 1024;

/// Stands for all watches of a stream, and for one that could not be made.
const NO_WATCH: i64 = -1;

type Sending = mpsc::Sender<Result<WatchResponse, Status>>;

/// A stream being served.
pub(super) struct Session {
    context: Arc<Context>,
    /// What is to be sent next.
    waiting: VecDeque<WatchResponse>,
    watches: Watches,
    asked: Option<Asked>,
}

impl Session {
    pub(super) fn new(context: Arc<Context>) -> Session {
        let (waiting, watches) = (VecDeque::new(), Watches::default());
        Session { context, waiting, watches, asked: None }
    }

    /// Until the client or the server ends. A client that only stops asking still hears of its watches.
    pub(super) async fn run(mut self, mut requests: Streaming<WatchRequest>, sending: Sending) {
        let context = self.context.clone();
        let every = context.progress_interval;
        let mut quiet = interval_at(Instant::now() + every, every);
        let mut has_more = true;
        loop {
            let has_waiting = !self.waiting.is_empty();
            let takes_more = has_more && self.waiting.len() < WAITING_MAX;
            tokio::select! {
                place = sending.reserve(), if has_waiting => match (place, self.waiting.pop_front()) {
                    (Ok(place), Some(response)) => place.send(Ok(response)),
                    _ => return,
                },
                request = requests.message(), if takes_more => match request {
                    Ok(Some(request)) => self.take(request),
                    Ok(None) => has_more = false,
                    Err(status) => {
                        // If that is because the client went away, it does not hear it.
                        let _ = sending.try_send(Err(as_go_says(status)));
                        return;
                    }
                },
                (id, response) = self.watches.next(), if !has_waiting => self.tell(id, response),
                _ = quiet.tick() => self.watches.ask_quiet(),
                () = sending.closed() => return,
                () = context.stopped() => {
                    // The client may be gone as well.
                    let _ = sending.try_send(Err(Failure::Stopped.into()));
                    return;
                }
            }
        }
    }

    fn take(&mut self, request: WatchRequest) {
        match request.request_union {
            Some(RequestUnion::CreateRequest(create)) => self.create(create),
            Some(RequestUnion::CancelRequest(cancel)) => self.cancel(cancel.watch_id),
            Some(RequestUnion::ProgressRequest(_)) => self.ask_progress(),
            None => {}
        }
    }

    fn create(&mut self, create: WatchCreateRequest) {
        let wanted = create.watch_id;
        // Before the watch begins, so that everything after this revision will be told.
        let revision = self.context.node.revision();
        let spec = spec(create, revision);
        let made = match self.watches.len() {
            _ if spec.interval.is_empty() => Err("mvcc: watcher range is empty"),
            WATCHES_MAX.. => Err("kvbench: too many watches on a stream, open another"),
            _ => self
                .watches
                .free_id(wanted)
                .ok_or("mvcc: duplicate watch ID provided on the WatchStream"),
        };
        let created = WatchResponse { created: true, ..self.response(NO_WATCH, revision) };
        self.waiting.push_back(match made {
            Ok(watch_id) => WatchResponse { watch_id, ..created },
            Err(reason) => {
                WatchResponse { canceled: true, cancel_reason: reason.into(), ..created }
            }
        });
        if let Ok(id) = made {
            self.watches.add(id, watch(&self.context.node.store(), spec));
        }
    }

    fn cancel(&mut self, id: i64) {
        if self.watches.remove(id) {
            let response = self.response(id, self.context.node.revision());
            self.waiting.push_back(WatchResponse { canceled: true, ..response });
            self.forget(id);
        }
    }

    fn ask_progress(&mut self) {
        self.asked = Some(Asked::of(self.watches.ids(), self.context.node.revision()));
        self.watches.ask_all();
        self.answer_progress();
    }

    fn tell(&mut self, id: i64, response: store::WatchResponse) {
        match response {
            store::WatchResponse::Events { revision, events, fragment } => {
                let events = encoded(&events);
                let told = WatchResponse { events, fragment, ..self.response(id, revision) };
                self.tell_events(id, told);
            }
            store::WatchResponse::Progress { revision } => self.progress(id, revision),
            store::WatchResponse::Cancelled { compact_revision } => {
                self.watches.remove(id);
                let response = self.response(id, self.context.node.revision());
                self.waiting.push_back(WatchResponse {
                    canceled: true,
                    compact_revision,
                    ..response
                });
                self.forget(id);
            }
        }
    }

    /// Tells events together with those of later revisions that are ready, as etcd does, so that catching up does not take
    /// a response for each revision.
    fn tell_events(&mut self, id: i64, mut told: WatchResponse) {
        let mut bytes = told.encoded_len();
        while !told.fragment && bytes < TOGETHER_BYTES {
            match self.watches.ready(id) {
                Some(store::WatchResponse::Events { revision, events, fragment: false }) => {
                    let events = encoded(&events);
                    bytes += events.iter().map(Bytes::len).sum::<usize>();
                    told.events.extend(events);
                    told.header = Some(self.context.header(revision));
                }
                Some(other) => {
                    self.waiting.push_back(told);
                    return self.tell(id, other);
                }
                None => break,
            }
        }
        self.waiting.push_back(told);
    }

    fn progress(&mut self, id: i64, revision: MainRevision) {
        let was_asked = self.asked.as_mut().is_some_and(|asked| asked.told(id, revision));
        if was_asked {
            self.answer_progress();
        } else if self.watches.wants_progress(id) {
            self.waiting.push_back(self.response(id, revision));
        }
    }

    /// A watch that is gone keeps nobody waiting for its progress.
    fn forget(&mut self, id: i64) {
        if let Some(asked) = &mut self.asked {
            asked.gone(id);
            self.answer_progress();
        }
    }

    fn answer_progress(&mut self) {
        if let Some(revision) = self.asked.as_ref().and_then(Asked::answer) {
            self.asked = None;
            self.waiting.push_back(self.response(NO_WATCH, revision));
        }
    }

    fn response(&self, watch_id: i64, revision: MainRevision) -> WatchResponse {
        let header = Some(self.context.header(revision));
        WatchResponse { header, watch_id, ..WatchResponse::default() }
    }
}

/// On the wire; who is told first lays them out for all.
fn encoded(events: &[Arc<SharedEvent>]) -> Vec<Bytes> {
    events.iter().map(|event| event.encoded(event_to)).collect()
}

/// What the store is to watch. A watch from now on begins after `revision`. An empty key means the smallest there is, as
/// in etcd.
fn spec(create: WatchCreateRequest, revision: MainRevision) -> WatchSpec {
    let filters: Vec<FilterType> = create.filters().collect();
    let key = if create.key.is_empty() { vec![0] } else { create.key };
    let is_past = create.start_revision > 0;
    WatchSpec {
        interval: Interval { key, range_end: create.range_end },
        start_revision: if is_past { create.start_revision } else { revision + 1 },
        prev_kv: create.prev_kv,
        no_put: filters.contains(&FilterType::Noput),
        no_delete: filters.contains(&FilterType::Nodelete),
        progress: create.progress_notify,
        fragment: create.fragment,
    }
}
