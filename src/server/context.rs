//! What all services share: the node, who it is, and whether it is ending.

use super::forwarding::Forwarding;
use super::{Config, Identity, Quota};
use crate::failpoint;
use crate::model::{Body, Interval, LeaseId, MainRevision, Range, Request, validate};
use crate::node::Node;
use crate::raft::{BadChange, Rejected, Role};
use crate::rpc::Failure;
use crate::rpc::etcdserverpb::ResponseHeader;
use crate::store::Portion;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tonic::Status;
use tonic::transport::Channel;

/// How long a request may take: etcd's five seconds and two elections.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(7);

/// What the thread of a connection, which others wait for, walks over, and answers for in one piece.
const TOGETHER: Portion = Portion { keys: 128, value_bytes: 1 << 20 };

/// Time to live of a lease that a lock or an election is given when its client brings none, seconds (as etcd).
const SESSION_TTL_S: i64 = 60;

/// What every service has.
#[derive(Clone)]
pub(super) struct Context {
    /// What is served.
    pub(super) node: Arc<Node>,
    /// Who serves.
    pub(super) identity: Identity,
    /// How often a quiet watch that asked for it is told the revision.
    pub(super) progress_interval: Duration,
    /// How large the state may become.
    pub(super) quota: Quota,
    /// The way to whoever leads; none for what another member sent on already.
    forwarding: Option<Arc<Forwarding>>,
    stopping: watch::Receiver<bool>,
    /// Turns for who has to walk over many keys.
    looks: Arc<Semaphore>,
}

impl Context {
    pub(super) fn new(
        node: Arc<Node>,
        config: &Config,
        stopping: watch::Receiver<bool>,
    ) -> Context {
        let (identity, progress_interval) = (config.identity.clone(), config.progress_interval);
        let forwarding = Forwarding::new(config.peer_security.clone(), REQUEST_TIMEOUT);
        let forwarding = Some(Arc::new(forwarding));
        let quota = config.quota;
        // Whoever asked may be gone and the look goes on, so that there are no more at once than can be done at once.
        let looks = Arc::new(Semaphore::new(available_parallelism().map_or(1, usize::from)));
        Context { node, identity, progress_interval, quota, forwarding, stopping, looks }
    }

    /// What services have that other members ask: they sent it to whom they took for the leader, and if that is wrong, sending it on
    /// could go round in circles.
    pub(super) fn for_members(&self) -> Context {
        Context { forwarding: None, ..self.clone() }
    }

    /// What an answer at `revision` begins with.
    pub(super) fn header(&self, revision: MainRevision) -> ResponseHeader {
        ResponseHeader {
            cluster_id: self.identity.cluster_id,
            member_id: self.identity.member_id,
            revision,
            raft_term: self.node.term(),
        }
    }

    /// What an answer at the newest revision begins with.
    pub(super) fn header_now(&self) -> ResponseHeader {
        self.header(self.node.revision())
    }

    /// A connection to the member that leads, if that is another one: what only a leader knows is asked there.
    pub(super) async fn leader_elsewhere(&self) -> Result<Option<Channel>, Status> {
        let status = self.node.status();
        if status.role == Role::Leader {
            return Ok(None);
        }
        let leader = status.members.iter().find(|member| member.id == status.leader);
        match (&self.forwarding, leader) {
            (Some(forwarding), Some(leader)) => Ok(Some(forwarding.channel(leader).await?)),
            _ => Err(Failure::NoLeader.into()),
        }
    }

    /// Walks over keys in the state as this node has it, for a linearizable range once it has what was committed, so that the raft thread,
    /// which everybody waits for, is not busy with it. None if there is too much for the thread that asks: who asked looks aside then.
    pub(super) async fn look(
        &self,
        range: &Range,
    ) -> Result<Option<(ResponseHeader, Body)>, Status> {
        validate(&Request::Range(range.clone()))?;
        if !range.serializable {
            self.catch_up().await?;
        }
        match self.node.read_here_within(TOGETHER, range) {
            Some(response) => Ok(Some((self.header(response.revision), response.result?))),
            None => Ok(None),
        }
    }

    /// Does `look` on a thread of its own, so that a connection's is not busy either while a million keys are found.
    pub(super) async fn look_aside<T: Send + 'static>(
        self: &Arc<Context>,
        turn: OwnedSemaphorePermit,
        look: impl FnOnce(&Context) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Status> {
        let context = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            let _until_found = turn;
            look(&context)
        });
        looking.await.map_err(|failed| match failed.is_panic() {
            true => Status::internal("kvbench: the keys could not be looked for"),
            false => Failure::Stopped.into(),
        })?
    }

    /// Waits until this node has all that was committed when it was asked.
    pub(super) async fn catch_up(&self) -> Result<(), Status> {
        let nothing = Range { interval: Interval::point([0]), ..Range::default() };
        self.call(Request::Range(nothing)).await.map(|_| ())
    }

    /// Waits until there are few enough that walk over many keys.
    pub(super) async fn turn_to_look(&self) -> Result<OwnedSemaphorePermit, Status> {
        self.looks.clone().acquire_owned().await.map_err(|_| Failure::Stopped.into())
    }

    /// As [`Context::turn_to_look`], no longer than a request may take.
    pub(super) async fn turn_in_time(&self) -> Result<OwnedSemaphorePermit, Status> {
        tokio::time::timeout(REQUEST_TIMEOUT, self.turn_to_look())
            .await
            .map_err(|_| Failure::Timeout)?
    }

    /// Sends a request through the node, if there is room for what it brings.
    pub(super) async fn call(&self, request: Request) -> Result<(ResponseHeader, Body), Status> {
        self.check_quota(&request).await?;
        self.send(request).await
    }

    /// Sends a request through the node.
    pub(super) async fn send(&self, request: Request) -> Result<(ResponseHeader, Body), Status> {
        failpoint::may_fail("server::request")?;
        let answered = tokio::time::timeout(REQUEST_TIMEOUT, self.node.call(request)).await;
        failpoint::may_fail("server::answer")?;
        let outcome = answered.map_err(|_| Failure::Timeout)?;
        let response = outcome.map_err(|why| rejected(&why))?.reply;
        let body = response.result?;
        Ok((self.header(response.revision), body))
    }

    /// Asks this node's own state, which may be behind others'.
    pub(super) fn ask_here(&self, request: &Request) -> Result<(ResponseHeader, Body), Status> {
        let response = self.node.read_here(request);
        let body = response.result?;
        Ok((self.header(response.revision), body))
    }

    /// The lease that a lock or an election hangs on: the client's, or a new one that ends by itself.
    pub(super) async fn session(&self, lease: LeaseId) -> Result<LeaseId, Status> {
        if lease != 0 {
            return Ok(lease);
        }
        match self.call(Request::LeaseGrant { id: 0, ttl_s: SESSION_TTL_S }).await? {
            (_, Body::LeaseGrant { id, .. }) => Ok(id),
            (_, other) => Err(unexpected(&other)),
        }
    }

    /// Ends when the server does.
    pub(super) async fn stopped(&self) {
        let mut stopping = self.stopping.clone();
        // Without a sender the server is gone already.
        let _ = stopping.wait_for(|stop| *stop).await;
    }

    /// `work`, or the news that the server ends.
    pub(super) async fn unless_stopped<T>(
        &self,
        work: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            done = work => done,
            () = self.stopped() => Err(Failure::Stopped.into()),
        }
    }
}

/// Why the node did not do it, as etcd says it.
pub(super) fn rejected(rejected: &Rejected) -> Status {
    let failure = match rejected {
        Rejected::Overloaded(_) => Failure::TooManyRequests,
        Rejected::Stopped => Failure::Stopped,
        Rejected::NoLeader => Failure::NoLeader,
        Rejected::NotLeader(_) => Failure::NotLeader,
        Rejected::LeaderChanged => Failure::LeaderChanged,
        Rejected::TimedOut => Failure::Timeout,
        Rejected::BadChange(bad) => return bad_change(*bad),
    };
    failure.into()
}

fn bad_change(bad: BadChange) -> Status {
    match bad {
        BadChange::NotFound => Failure::MemberNotFound.into(),
        BadChange::Exists => Status::failed_precondition("etcdserver: member ID already exist"),
        BadChange::NotALearner => {
            Status::failed_precondition("etcdserver: can only promote a learner member")
        }
        BadChange::NotReady => Status::failed_precondition(
            "etcdserver: can only promote a learner member which is in sync with leader",
        ),
        BadChange::LastVoter => Status::failed_precondition(
            "etcdserver: re-configuration failed due to not enough started members",
        ),
        BadChange::Busy => Failure::TooManyRequests.into(),
    }
}

/// An answer of another kind than the request: a mistake in here.
pub(super) fn unexpected(body: &Body) -> Status {
    let kind = match body {
        Body::Put { .. } => "a put",
        Body::Range(_) => "a range",
        Body::DeleteRange { .. } => "a deletion",
        Body::Txn { .. } => "a transaction",
        Body::Compact => "a compaction",
        Body::LeaseGrant { .. } => "a new lease",
        Body::LeaseRevoke => "a lease's end",
        Body::LeaseTimeToLive(_) => "a lease",
        Body::Leases(_) => "leases",
        Body::Alarms(_) => "alarms",
    };
    Status::internal(format!("kvbench: answered with {kind}, which was not asked"))
}
