//! A group of members that are processes of their own, behind gates, and what is seen of it from outside.

use super::fault::Fault;
use super::gates::Gates;
use super::member::{Member, Ports, Start, url};
use super::wire::Wire;
use super::{Error, Tools, ends, nemesis};
use crate::clock::Clock;
use crate::raft::MemberId;
use crate::rpc::etcdserverpb::StatusResponse;
use crate::seed::Seed;
use crate::store::{EngineKind, PathKind, StateSync};
use crate::units::Nanos;
use crate::verify::faults::Plan;
use crate::verify::faults::system::{Came, End, System};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Short, so that elections are frequent; long enough for a busy host.
const ELECTION_MS: u64 = 300;
const HEARTBEAT_MS: u64 = 30;
/// Images after few entries, of which few are kept, so that logs are cut all the time and whoever was away needs an image.
const SNAPSHOT_ENTRIES: u64 = 100;
const CATCH_UP_ENTRIES: u64 = 20;
/// Further behind than this, a member surely needs one.
pub(super) const ENTRIES_AWAY: u64 = 3 * SNAPSHOT_ENTRIES;
/// Far beyond what agreeing takes once nothing is wrong any more.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// How often is looked.
const LOOK: Nanos = Nanos::from_millis(3);
/// Ports below those that connections get by themselves (32768 and up, ip(7)), so that nobody takes one while its member is down.
const PORTS: std::ops::Range<u16> = 10_000..32_768;
/// Attempts to find that many, and to start a group on them: somebody may take one between the look and the start.
const ATTEMPTS: u32 = 5;
/// What a member says then (EADDRINUSE, as the C library words it).
const PORT_IS_TAKEN: &str = "Address already in use";

/// The group, with one more place for a member that comes and goes.
pub(in crate::verify) struct Group {
    pub(super) clock: Clock,
    pub(super) gates: Gates,
    pub(super) tools: Tools,
    size: u64,
    program: PathBuf,
    flags: Vec<String>,
    /// By number, from 1; the last is the one more.
    members: Vec<Member>,
    /// Members that ended and were not asked to.
    crashes: Mutex<Vec<String>>,
    /// Behind the members, which use it.
    _root: tempfile::TempDir,
}

impl Group {
    /// Starts the members and waits until they have a leader and all answer.
    pub(super) fn start(plan: &Plan<Fault>, program: &Path, tools: &Tools) -> Result<Group, Error> {
        let mut why = Error::NotReady(String::new());
        for attempt in 0..ATTEMPTS {
            match Group::try_start(plan, program, tools, attempt) {
                Ok(group) => return Ok(group),
                Err(Error::Ended(words)) if !words.contains(PORT_IS_TAKEN) => {
                    return Err(Error::Ended(words));
                }
                Err(error) => why = error,
            }
        }
        Err(why)
    }

    fn try_start(
        plan: &Plan<Fault>,
        program: &Path,
        tools: &Tools,
        attempt: u32,
    ) -> Result<Group, Error> {
        // Several campaigns with one seed may be under way.
        let stream = u64::from(std::process::id()) * u64::from(ATTEMPTS) + u64::from(attempt);
        let mut random = Seed(plan.seed).stream("ports", stream);
        let places = usize::try_from(plan.nodes).unwrap_or(1) + 1;
        let mut listeners = Vec::new();
        while listeners.len() < 4 * places {
            listeners.push(free_port(&mut random).map_err(Error::Io)?);
        }
        let port = |listener: &TcpListener| listener.local_addr().map(|at| at.port());
        let root = tempfile::tempdir().map_err(Error::Io)?;
        let (mut members, mut gates) = (Vec::new(), Vec::new());
        for number in 1..=places as u64 {
            let mut four = listeners.split_off(listeners.len() - 4).into_iter();
            let mut next = || four.next().expect("there are four for each");
            let (gate, clients, peers, numbers) = (next(), next(), next(), next());
            let ports = Ports {
                clients: port(&clients).map_err(Error::Io)?,
                gate: port(&gate).map_err(Error::Io)?,
                peers: port(&peers).map_err(Error::Io)?,
                numbers: port(&numbers).map_err(Error::Io)?,
            };
            gates.push((gate, ports.peers));
            let folder = root.path().join(format!("member-{number}"));
            members.push(Member::new(number, ports, folder));
        }
        let group = Group {
            clock: Clock::start(),
            gates: Gates::open(gates).map_err(Error::Io)?,
            tools: tools.clone(),
            size: plan.nodes,
            program: program.to_owned(),
            flags: flags(plan),
            members,
            crashes: Mutex::new(Vec::new()),
            _root: root,
        };
        for me in 1..=group.size {
            group.start_one(me, &Start::default()).map_err(Error::Io)?;
        }
        match group.wait_for_leader(&mut group.way()) {
            Some(_) => group.wait_for_all().map(|()| group),
            None => Err(Error::NotReady(group.member(1).last_words())),
        }
    }

    /// Waits until all members answer. One that ended never does.
    fn wait_for_all(&self) -> Result<(), Error> {
        let mut way = self.way();
        let all = self.wait_for(PATIENCE, || match &self.crashes()[..] {
            [] => (self.views(&mut way).len() as u64 == self.size).then_some(Ok(())),
            crashes => Some(Err(Error::Ended(crashes.join("\n")))),
        });
        all.unwrap_or_else(|| Err(Error::NotReady(self.member(1).last_words())))
    }

    /// The member of that number.
    pub(super) fn member(&self, me: MemberId) -> &Member {
        &self.members[me as usize - 1]
    }

    /// The one that comes and goes.
    pub(super) fn spare(&self) -> &Member {
        self.member(self.size + 1)
    }

    /// Those that belong to the group all the time.
    pub(super) fn all(&self) -> Vec<MemberId> {
        (1..=self.size).collect()
    }

    /// Starts a member on what it left.
    pub(super) fn start_one(&self, me: MemberId, start: &Start) -> io::Result<()> {
        let is_named = |member: &&Member| member.number <= self.size || member.number == me;
        let named = self.members.iter().filter(is_named);
        let named = named.map(|member| format!("{}={}", member.name(), url(member.ports.gate)));
        let mut flags = self.flags.clone();
        flags.extend(["--initial-cluster".to_owned(), named.collect::<Vec<_>>().join(",")]);
        self.member(me).start(&self.program, &flags, start)
    }

    /// Kills a member; whether it was the kill that ended it.
    pub(super) fn kill(&self, me: MemberId) -> bool {
        let status = self.member(me).kill();
        let is_killed = status.is_some_and(|status| status.signal() == Some(9));
        if let (false, Some(status)) = (is_killed, status) {
            let words = self.member(me).last_words();
            self.note_crash(format!("member {me} ended by itself, {status}:\n{words}"));
        }
        is_killed
    }

    fn note_crash(&self, words: String) {
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).push(words);
    }

    /// Members that ended and were not asked to, in words.
    pub(super) fn crashes(&self) -> Vec<String> {
        for me in self.all() {
            if let Some(status) = self.member(me).ended(self.clock, Nanos::ZERO) {
                let words = self.member(me).last_words();
                self.note_crash(format!("member {me} ended by itself, {status}:\n{words}"));
            }
        }
        self.crashes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What those say that are up and not stopped, by their numbers here.
    pub(super) fn views(&self, way: &mut Wire<'_>) -> Vec<(MemberId, StatusResponse)> {
        let awake = |me: &MemberId| self.member(*me).is_up() && !self.member(*me).is_stopped();
        self.all()
            .into_iter()
            .filter(awake)
            .filter_map(|me| way.status(me).map(|status| (me, status)))
            .collect()
    }

    /// Who leads in the eyes of a quorum.
    pub(super) fn leader(&self, way: &mut Wire<'_>) -> Option<MemberId> {
        let views = self.views(way);
        let (me, leads) =
            views.iter().filter(|(_, view)| leads(view)).max_by_key(|(_, view)| view.raft_term)?;
        let follow = views.iter().filter(|(_, view)| view.leader == leads.leader).count() as u64;
        (follow > self.size / 2).then_some(*me)
    }

    /// Waits for something; nothing if it does not come.
    pub(super) fn wait_for<T>(
        &self,
        limit: Nanos,
        mut is_so: impl FnMut() -> Option<T>,
    ) -> Option<T> {
        let began = self.clock.now();
        loop {
            let found = is_so();
            if found.is_some() || self.clock.now().since(began) > limit {
                return found;
            }
            self.clock.sleep(LOOK);
        }
    }

    /// Waits until somebody leads.
    pub(super) fn wait_for_leader(&self, way: &mut Wire<'_>) -> Option<MemberId> {
        self.wait_for(PATIENCE, || self.leader(way))
    }

    /// Waits until all are there and have what is committed now; gives the time that took.
    pub(super) fn level(&self, way: &mut Wire<'_>) -> Option<Nanos> {
        let began = self.clock.now();
        let committed = self.wait_for(PATIENCE, || {
            let leader = self.leader(way)?;
            Some(way.status(leader)?.raft_index)
        })?;
        let is_level = |views: &[(MemberId, StatusResponse)]| {
            let has_it = |view: &StatusResponse| view.raft_applied_index >= committed;
            views.len() as u64 == self.size
                && views.iter().all(|(_, view)| view.leader != 0 && has_it(view))
        };
        self.wait_for(PATIENCE, || is_level(&self.views(way)).then_some(()))?;
        Some(self.clock.now().since(began))
    }
}

/// Whether a member says of itself that it leads.
pub(super) fn leads(view: &StatusResponse) -> bool {
    view.header.as_ref().is_some_and(|header| header.member_id == view.leader)
}

/// A listener on a port that nobody uses.
fn free_port(random: &mut ChaCha8Rng) -> io::Result<TcpListener> {
    let mut found = Err(io::ErrorKind::AddrInUse.into());
    for _ in 0..100 {
        found = TcpListener::bind(("127.0.0.1", random.random_range(PORTS)));
        if found.is_ok() {
            break;
        }
    }
    found
}

/// What every member is started with.
fn flags(plan: &Plan<Fault>) -> Vec<String> {
    let path = match plan.path {
        PathKind::GlobalMutex => vec!["--apply=global-mutex".to_owned()],
        PathKind::Sharded { shards, workers } => vec![
            "--apply=sharded".to_owned(),
            format!("--shards={shards}"),
            format!("--apply-workers={workers}"),
        ],
    };
    let engine: &[&str] = match plan.engine {
        EngineKind::Memory => &["--engine=memory"],
        EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly } => &["--engine=rocksdb"],
        EngineKind::RocksDb { state_sync: StateSync::PerBatch } => {
            &["--engine=rocksdb", "--state-sync=per-batch"]
        }
        EngineKind::RocksDb { state_sync: StateSync::PerOp } => {
            &["--engine=rocksdb", "--state-sync=per-op"]
        }
    };
    let levers = ["--batch-ops-max=100", "--batch-in-flight=4", "--apply-on=apply-thread"];
    let timing = [
        format!("--heartbeat-interval={HEARTBEAT_MS}"),
        format!("--election-timeout={ELECTION_MS}"),
        format!("--snapshot-count={SNAPSHOT_ENTRIES}"),
        format!("--snapshot-catchup-entries={CATCH_UP_ENTRIES}"),
        "--quota-backend-bytes=-1".to_owned(),
    ];
    let words = engine.iter().chain(&levers).map(|word| (*word).to_owned());
    path.into_iter().chain(words).chain(timing).collect()
}

impl System for Group {
    type Fault = Fault;
    type Way<'a> = Wire<'a>;

    const TELLS_PLACES: bool = false;

    fn clock(&self) -> Clock {
        self.clock
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn is_up(&self, me: MemberId) -> bool {
        self.member(me).is_up()
    }

    fn way(&self) -> Wire<'_> {
        Wire::new(self)
    }

    fn inject(&self, fault: Fault, random: &mut ChaCha8Rng) -> Came {
        nemesis::inject(self, fault, random)
    }

    fn agreed(&self, way: &mut Wire<'_>) -> Option<u64> {
        self.wait_for(PATIENCE, || {
            let views = self.views(way);
            let (_, first) = views.first()?;
            let is_same = |view: &StatusResponse| {
                view.leader == first.leader
                    && view.raft_index == first.raft_index
                    && view.raft_applied_index == first.raft_index
            };
            let are_same = first.leader != 0 && views.iter().all(|(_, view)| is_same(view));
            (are_same && views.len() as u64 == self.size).then_some(first.raft_index)
        })
    }
    fn end(&self) -> Result<End, String> {
        match self.crashes().join("\n") {
            none if none.is_empty() => ends::of(self, &mut self.way()),
            crashes => Err(crashes),
        }
    }
}
