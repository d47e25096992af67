//! Servers behind gRPC, of this trial or of the user.

use super::before::Before;
use super::dial::{Dial, answer};
use super::pages::Pages;
use super::process::Process;
use super::{Answer, CallError, LaunchError};
use crate::client::{ClientError, Connection, Endpoint, Metrics, scrape};
use crate::clock::Clock;
use crate::measure::pipeline::PipelineCounts;
use crate::model::{
    Body, DeleteRange, Interval, KeyValue, LeaseId, MainRevision, Range, RangeResult, Request,
    Response,
};
use crate::rpc::etcdserverpb::{StatusRequest, StatusResponse};
use crate::scenario::spec::{self, Connections, Consistency};
use crate::store::Digest;
use crate::units::Nanos;
use futures_util::future::join_all;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::runtime::Runtime;
use xxhash_rust::xxh3::xxh3_128;

/// How long servers may take to get ready, and members to catch up at the end.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// How often is looked.
const NAP: Nanos = Nanos::from_millis(10);
/// Keys that one request reads for a digest.
const KEYS_READ: usize = 10_000;
/// Leases that are revoked at a time.
const REVOKES_AT_ONCE: usize = 1_000;

/// One server.
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    /// Where its page of numbers is, `host:port`.
    pub(super) numbers: Option<String>,
    /// Itself, if this trial started it.
    pub(super) process: Option<Process>,
}

/// What the numbers are called that are read from a page.
#[derive(Clone, Copy)]
pub(super) struct Numbers {
    fsyncs: &'static str,
    fsync_seconds: &'static str,
    fsync_ns: &'static str,
    entries: &'static str,
    requests: &'static str,
    log_bytes: &'static str,
}

impl Numbers {
    pub(super) const KVBENCH: Numbers = Numbers {
        fsyncs: "kvbench_fsyncs_total",
        fsync_seconds: "",
        fsync_ns: "kvbench_fsync_nanoseconds_total",
        entries: "kvbench_log_entries_total",
        requests: "kvbench_applied_requests_total",
        log_bytes: "kvbench_log_bytes_total",
    };
    /// etcd writes one entry for each request; it does not tell how many bytes.
    pub(super) const ETCD: Numbers = Numbers {
        fsyncs: "etcd_disk_wal_fsync_duration_seconds_count",
        fsync_seconds: "etcd_disk_wal_fsync_duration_seconds_sum",
        fsync_ns: "",
        entries: "etcd_server_proposals_applied_total",
        requests: "etcd_server_proposals_applied_total",
        log_bytes: "",
    };

    fn read(self, page: &Metrics) -> PipelineCounts {
        PipelineCounts {
            fsyncs: page.count(self.fsyncs),
            fsync_ns: page.count(self.fsync_ns) + page.nanoseconds(self.fsync_seconds),
            entries: page.count(self.entries),
            requests: page.count(self.requests),
            log_bytes: page.count(self.log_bytes),
            ..PipelineCounts::default()
        }
    }
}

/// Servers of one group. Requests go to the member that led first.
pub struct Remote {
    members: Vec<Member>,
    leader: usize,
    numbers: Numbers,
    processes: Vec<u32>,
    connections: Connections,
    consistency: Consistency,
    before: Before,
    clock: Clock,
    /// Whether its keys are deleted at the end: the servers are the user's, and were seen to be empty.
    sweeps: bool,
    control: Mutex<Control>,
}

/// The harness's own way in, apart from the load.
struct Control {
    runtime: Runtime,
    /// To each member, in their order.
    connections: Vec<Connection>,
}

impl Remote {
    /// Servers that this trial started; returns when they answer.
    pub(super) fn of(
        members: Vec<Member>,
        numbers: Numbers,
        system: &spec::System,
        clock: Clock,
    ) -> Result<Remote, LaunchError> {
        let mut remote = Remote::ready(members, numbers, system, clock)?;
        remote.processes = remote
            .members
            .iter()
            .filter_map(|member| Some(member.process.as_ref()?.id()))
            .collect();
        Ok(remote)
    }

    /// Servers of the user, which have to be empty; what was in them before the load stays in no account.
    pub(super) fn of_strangers(
        members: Vec<Member>,
        processes: Vec<u32>,
        numbers: Numbers,
        system: &spec::System,
        clock: Clock,
    ) -> Result<Remote, LaunchError> {
        let mut remote = Remote::ready(members, numbers, system, clock)?;
        remote.processes = processes;
        let count = Range { count_only: true, ..everything() };
        let (revision, found) = remote.control().range(remote.leader, count)?;
        if found.count > 0 {
            let address = remote.endpoint().address().to_owned();
            return Err(LaunchError::NotEmpty { address, keys: found.count });
        }
        let leases = remote.control().leases(remote.leader)?;
        remote.before = Before { revision, leases };
        remote.sweeps = true;
        Ok(remote)
    }

    fn ready(
        members: Vec<Member>,
        numbers: Numbers,
        system: &spec::System,
        clock: Clock,
    ) -> Result<Remote, LaunchError> {
        // With a thread of its own: servers close connections whose pings nobody answers between calls.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("control")
            .enable_all()
            .build();
        let runtime = runtime
            .map_err(|source| LaunchError::Program { program: "a runtime".into(), source })?;
        let control = Mutex::new(Control { runtime, connections: Vec::new() });
        let mut remote = Remote {
            members,
            leader: 0,
            numbers,
            processes: Vec::new(),
            connections: system.connections,
            consistency: system.consistency,
            before: Before::FRESH,
            clock,
            sweeps: false,
            control,
        };
        remote.wait()?;
        Ok(remote)
    }

    /// Until every member answers and names the same leader, and that one reads.
    fn wait(&mut self) -> Result<(), LaunchError> {
        let began = self.clock.now();
        loop {
            for process in self.members.iter_mut().filter_map(|member| member.process.as_mut()) {
                process.check()?;
            }
            let why = match self.find_leader() {
                Ok(Some(leader)) => {
                    self.leader = leader;
                    return Ok(());
                }
                Ok(None) => "no leader".to_owned(),
                Err(why) if why.is_refusal() => {
                    let address = self.endpoint().address().to_owned();
                    return Err(LaunchError::Refused { address, why });
                }
                Err(error) => error.to_string(),
            };
            if self.clock.now().since(began) > PATIENCE {
                let address = self.endpoint().address().to_owned();
                let seconds = PATIENCE.as_secs_f64() as u64;
                return Err(LaunchError::NotReady { address, seconds, why });
            }
            self.clock.sleep(NAP);
        }
    }

    fn find_leader(&self) -> Result<Option<usize>, ClientError> {
        let mut control = self.control();
        let Control { runtime, connections } = &mut *control;
        for member in &self.members[connections.len()..] {
            connections.push(runtime.block_on(Connection::open(&member.endpoint))?);
        }
        let views = (0..self.members.len()).map(|member| control.status(member));
        let views = views.collect::<Result<Vec<_>, _>>()?;
        let is_me = |view: &StatusResponse| {
            view.header.as_ref().is_some_and(|header| header.member_id == view.leader)
        };
        let Some(leader) = views.iter().position(is_me) else { return Ok(None) };
        if views.iter().any(|view| view.leader != views[leader].leader) {
            return Ok(None);
        }
        // A leader reads once it has committed an entry of its own.
        let one = Range { limit: 1, ..everything() };
        match control.range(leader, one) {
            Ok(_) => Ok(Some(leader)),
            Err(error) if error.is_refusal() => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn control(&self) -> MutexGuard<'_, Control> {
        self.control.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this trial started it, with its state in the trial's folder.
    pub(super) fn is_ours(&self) -> bool {
        self.members.iter().all(|member| member.process.is_some())
    }

    /// The server that requests go to.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.members[self.leader].endpoint
    }

    pub(super) fn processes(&self) -> Vec<u32> {
        self.processes.clone()
    }

    /// How clients get in.
    pub(super) fn dial(&self) -> Dial {
        let (connections, consistency) = (self.connections, self.consistency);
        Dial { endpoint: self.endpoint().clone(), connections, consistency }
    }

    /// One after the other, since streams of a connection have no order among them.
    pub(super) fn call_all(&self, requests: &[Request]) -> Vec<Answer> {
        let control = self.control();
        let connection = &control.connections[self.leader];
        let call = |request: &Request| control.runtime.block_on(connection.call(request.clone()));
        requests.iter().map(|request| self.told(call(request))).collect()
    }

    /// All at once.
    pub(super) fn call_any(&self, requests: &[Request]) -> Vec<Answer> {
        let control = self.control();
        let connection = &control.connections[self.leader];
        let calls = requests.iter().map(|request| connection.call(request.clone()));
        let answers = control.runtime.block_on(join_all(calls)).into_iter();
        answers.map(|response| self.told(response)).collect()
    }

    /// As a fresh store would say it.
    fn told(&self, response: Result<Response, ClientError>) -> Answer {
        answer(response.map(|response| self.before.without(response)))
    }

    /// What the leader's page of numbers says.
    pub(super) fn counts(&self) -> PipelineCounts {
        let page = self.members[self.leader].numbers.as_deref().map(scrape);
        page.and_then(Result::ok).map(|page| self.numbers.read(&page)).unwrap_or_default()
    }

    /// The keys of every member once all have the leader's revision, as far as they do so soon; the leader's first.
    pub(super) fn digests(&self) -> Result<Vec<Digest>, CallError> {
        let control = self.control();
        let revision = control.revision(self.leader)?;
        let began = self.clock.now();
        let others = (0..self.members.len()).filter(|member| *member != self.leader);
        let mut digests = Vec::new();
        for member in std::iter::once(self.leader).chain(others) {
            while control.revision(member)? < revision && self.clock.now().since(began) < PATIENCE {
                self.clock.sleep(NAP);
            }
            digests.push(control.digest(member, self.before.revision)?);
        }
        Ok(digests)
    }
}

impl Control {
    fn status(&self, member: usize) -> Result<StatusResponse, ClientError> {
        let asked = StatusRequest::default();
        let answer = self.connections[member].unary("/etcdserverpb.Maintenance/Status", &asked);
        self.runtime.block_on(answer)
    }

    fn revision(&self, member: usize) -> Result<MainRevision, ClientError> {
        Ok(self.status(member)?.header.unwrap_or_default().revision)
    }

    /// A read, with the revision of the store.
    fn range(
        &self,
        member: usize,
        range: Range,
    ) -> Result<(MainRevision, RangeResult), ClientError> {
        let answer = self.connections[member].call(Request::Range(range));
        let Response { revision, result } = self.runtime.block_on(answer)?;
        match result {
            Ok(Body::Range(found)) => Ok((revision, found)),
            Ok(_) => Err(ClientError::Cut),
            Err(refusal) => Err(tonic::Status::internal(refusal.to_string()).into()),
        }
    }

    fn leases(&self, member: usize) -> Result<Vec<LeaseId>, ClientError> {
        let answer = self.connections[member].call(Request::Leases);
        match self.runtime.block_on(answer)?.result {
            Ok(Body::Leases(leases)) => Ok(leases),
            Ok(_) => Err(ClientError::Cut),
            Err(refusal) => Err(tonic::Status::internal(refusal.to_string()).into()),
        }
    }

    /// What a member holds, read page by page at one revision. Leases without keys are not seen.
    fn digest(&self, member: usize, first: MainRevision) -> Result<Digest, ClientError> {
        let mut pages = Pages::of(KEYS_READ);
        let (limit, mut at) = (KEYS_READ as i64, 0);
        let mut digest = Digest { revision: 0, compacted: 0, keys: 0, hash: 0 };
        while let Some(interval) = pages.next() {
            let page =
                Range { interval, limit, revision: at, serializable: true, ..Range::default() };
            let (revision, found) = self.range(member, page)?;
            if at == 0 {
                at = revision;
                digest.revision = revision - first + 1;
            }
            for kv in &found.kvs {
                digest.keys += 1;
                digest.hash = digest.hash.wrapping_add(hash(kv, first));
            }
            pages.took(&found);
        }
        Ok(digest)
    }
}

impl Drop for Remote {
    /// Leaves the servers of the user as empty as they were, of keys and of leases. Whatever was not seen to be empty is not touched.
    fn drop(&mut self) {
        if !self.sweeps {
            return;
        }
        let all = DeleteRange { interval: Interval::everything(), prev_kv: false };
        // Whoever looks next will see that it failed: the store is not empty.
        let _ = self.call_all(&[Request::DeleteRange(all)]);
        let leases = self.control().leases(self.leader).unwrap_or_default().into_iter();
        let ours = leases.filter(|lease| !self.before.leases.contains(lease));
        let revokes: Vec<_> = ours.map(|id| Request::LeaseRevoke { id }).collect();
        // Some at a time: each has so long for its answer from when it was sent.
        for some in revokes.chunks(REVOKES_AT_ONCE) {
            let _ = self.call_any(some);
        }
    }
}

fn everything() -> Range {
    Range { interval: Interval::everything(), ..Range::default() }
}

/// Of a key with all that a reader is told; revisions count from the first.
fn hash(kv: &KeyValue, first: MainRevision) -> u128 {
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = kv;
    let mut bytes = Vec::with_capacity(key.len() + value.len() + 40);
    bytes.extend((key.len() as u64).to_le_bytes());
    bytes.extend(key);
    for number in [create_revision - first, mod_revision - first, *version, *lease] {
        bytes.extend(number.to_le_bytes());
    }
    bytes.extend(value);
    xxh3_128(&bytes)
}
