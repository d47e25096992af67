//! A client's way to members that are processes: gRPC, with a connection to each. Nothing is ever sent twice.

use super::group::Group;
use super::member::url;
use crate::client::{ClientError, Connection, Endpoint, WatchNews, Watching};
use crate::model::{Event, MainRevision, Request};
use crate::raft::MemberId;
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::{StatusRequest, StatusResponse};
use crate::verify::faults::system::{Called, Told, Way};
use crate::verify::watch::Watched;
use prost::Message;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// After this a client gives up and does not know.
const CALL_TIMEOUT: Duration = Duration::from_millis(600);
/// How long a connection or a stream may take.
const OPEN_TIMEOUT: Duration = Duration::from_millis(500);
/// How long a member may take to say how it is.
const STATUS_TIMEOUT: Duration = Duration::from_millis(300);
/// How long a watch waits for news before it asks how far it is, and then for the answer.
const NEWS_TIMEOUT: Duration = Duration::from_millis(20);
const PROGRESS_TIMEOUT: Duration = Duration::from_millis(300);
/// It also asks in the midst of events, each time so many answers have come.
const ASKS_EVERY: u32 = 10;

/// The way.
pub(in crate::verify) struct Wire<'a> {
    group: &'a Group,
    runtime: tokio::runtime::Runtime,
    /// By member, with the start that they are to.
    doors: HashMap<MemberId, (u64, Connection)>,
}

/// An open watch.
pub(in crate::verify) struct Stream {
    watching: Watching,
    answers: u32,
    /// Whether the question how far it is has no answer yet.
    is_asked: bool,
}

impl Wire<'_> {
    pub(super) fn new(group: &Group) -> Wire<'_> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime without threads");
        Wire { group, runtime, doors: HashMap::new() }
    }

    /// A connection to the member as it is now.
    fn connection(&mut self, me: MemberId) -> Option<Connection> {
        let member = self.group.member(me);
        let start = member.starts();
        match self.doors.get(&me) {
            Some((of, connection)) if *of == start => return Some(connection.clone()),
            _ => self.doors.remove(&me),
        };
        let endpoint = Endpoint::parse(&url(member.ports.clients), None).ok()?;
        let opened = async { timeout(OPEN_TIMEOUT, Connection::open(&endpoint)).await };
        let connection = self.runtime.block_on(opened).ok()?.ok()?;
        self.doors.insert(me, (start, connection.clone()));
        Some(connection)
    }

    /// One request of a service that is not about keys; nothing if there is no answer in time, or a refusal.
    pub(super) fn ask<Q: Message, A: Message + Default>(
        &mut self,
        me: MemberId,
        path: &'static str,
        request: &Q,
        limit: Duration,
    ) -> Option<A> {
        let connection = self.connection(me)?;
        let asked = async { timeout(limit, connection.unary(path, request)).await };
        match self.runtime.block_on(asked) {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(ClientError::Status(_))) => None,
            Ok(Err(_)) | Err(_) => {
                self.doors.remove(&me);
                None
            }
        }
    }

    /// How a member is.
    pub(super) fn status(&mut self, me: MemberId) -> Option<StatusResponse> {
        let path = "/etcdserverpb.Maintenance/Status";
        self.ask(me, path, &StatusRequest::default(), STATUS_TIMEOUT)
    }

    /// A watch of everything from the first change on, with what was there before.
    pub(super) fn watch_all(&mut self, me: MemberId) -> Option<Stream> {
        let everything = crate::model::Interval::everything();
        self.open(me, |connection| async move { connection.watch(everything, 2, true).await })
    }

    fn open<F: Future<Output = Result<Watching, ClientError>>>(
        &mut self,
        me: MemberId,
        watch: impl FnOnce(Connection) -> F,
    ) -> Option<Stream> {
        let connection = self.connection(me)?;
        match self.runtime.block_on(async { timeout(OPEN_TIMEOUT, watch(connection)).await }) {
            Ok(Ok(watching)) => Some(Stream { watching, answers: 0, is_asked: false }),
            Ok(Err(_)) | Err(_) => {
                self.doors.remove(&me);
                None
            }
        }
    }

    fn news(&self, stream: &mut Stream, limit: Duration) -> Option<Result<WatchNews, ClientError>> {
        self.runtime.block_on(async { timeout(limit, stream.watching.next()).await }).ok()
    }
}

impl Way for Wire<'_> {
    type Watch = Stream;

    fn call(&mut self, me: MemberId, request: Request) -> Called {
        // Without a connection nothing was sent.
        let Some(connection) = self.connection(me) else { return Called::Refused };
        let called = async { timeout(CALL_TIMEOUT, connection.call(request)).await };
        match self.runtime.block_on(called) {
            Ok(Ok(response)) => Called::Answered(response),
            Ok(Err(error)) if is_surely_not_done(&error) => Called::Refused,
            Ok(Err(_)) | Err(_) => {
                self.doors.remove(&me);
                Called::Unknown
            }
        }
    }

    fn revision(&mut self, me: MemberId) -> Option<MainRevision> {
        Some(self.status(me)?.header?.revision)
    }

    fn watch(&mut self, me: MemberId, watched: &Watched) -> Option<Stream> {
        let (interval, start) = (watched.interval.clone(), watched.progress + 1);
        let prev_kv = watched.prev_kv;
        self.open(me, |connection| async move { connection.watch(interval, start, prev_kv).await })
    }

    fn told(&mut self, stream: &mut Stream) -> Option<Told> {
        loop {
            let is_due = stream.answers % ASKS_EVERY == ASKS_EVERY - 1;
            if is_due && !stream.is_asked {
                stream.watching.ask_progress().ok()?;
                stream.is_asked = true;
            }
            stream.answers += 1;
            let limit = if stream.is_asked { PROGRESS_TIMEOUT } else { NEWS_TIMEOUT };
            match self.news(stream, limit) {
                Some(Ok(WatchNews::Created { .. })) => {}
                Some(Ok(WatchNews::Events { events, .. })) => {
                    return Some(Told::Events(by_revision(events)));
                }
                Some(Ok(WatchNews::Progress { revision })) => {
                    stream.is_asked = false;
                    return Some(Told::Progress(revision));
                }
                Some(Ok(WatchNews::Ended { .. }) | Err(_)) => return None,
                None if stream.is_asked => return None,
                None => {
                    stream.watching.ask_progress().ok()?;
                    stream.is_asked = true;
                }
            }
        }
    }
}

/// Whole revisions, as an answer has them.
fn by_revision(events: Vec<Event>) -> Vec<(MainRevision, Vec<Arc<Event>>)> {
    let mut told: Vec<(MainRevision, Vec<Arc<Event>>)> = Vec::new();
    for event in events {
        let revision = event.kv.mod_revision;
        match told.last_mut() {
            Some((last, changes)) if *last == revision => changes.push(Arc::new(event)),
            _ => told.push((revision, vec![Arc::new(event)])),
        }
    }
    told
}

/// Whether the server says that nothing was proposed. Everything else that is no answer leaves the outcome open.
fn is_surely_not_done(error: &ClientError) -> bool {
    let ClientError::Status(status) = error else { return false };
    let refusals = [Failure::NoLeader, Failure::NotLeader, Failure::TooManyRequests];
    refusals.iter().any(|refusal| refusal.to_string() == status.message())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Status;

    #[test]
    fn only_what_was_not_proposed_counts_as_refused() {
        let said = |failure: Failure| ClientError::Status(Box::new(Status::from(failure)));
        for refusal in [Failure::NoLeader, Failure::NotLeader, Failure::TooManyRequests] {
            assert!(is_surely_not_done(&said(refusal)));
        }
        for open in [Failure::LeaderChanged, Failure::Timeout, Failure::Stopped] {
            assert!(!is_surely_not_done(&said(open)));
        }
        assert!(!is_surely_not_done(&ClientError::Late) && !is_surely_not_done(&ClientError::Cut));
    }

    #[test]
    fn an_answer_is_cut_into_revisions() {
        let event = |revision| {
            let kv = crate::model::KeyValue { mod_revision: revision, ..Default::default() };
            Event { kind: crate::model::EventKind::Put, kv, prev_kv: None, sub: 0 }
        };
        let told = by_revision([4, 4, 5, 7].map(event).into());
        let sizes: Vec<_> = told.iter().map(|(revision, of)| (*revision, of.len())).collect();
        assert_eq!(sizes, [(4, 2), (5, 1), (7, 1)]);
    }
}
