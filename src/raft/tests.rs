//! What the Ready loop promises, watched from the log and from the waiters at once: the log here stops before each
//! append until it is let go, and every answer notes whether the append that covers it had returned by then.

use super::images::Image;
use super::log::{EngineLog, LogStore, Round, Written};
use super::members::Members;
use super::pipeline::start_on;
use super::*;
use crate::clock::Clock;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::Probe;
use crate::seed::Seed;
use crate::units::ByteSize;
use ::raft::eraftpb::{Entry, Snapshot};
use ::raft::{GetEntriesContext, RaftState, Storage};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

/// Far beyond what any wait here takes; a pipeline that hangs fails the test in place of blocking it.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was seen so far.
#[derive(Default)]
struct Seen {
    /// Appends that may go on.
    permits: usize,
    /// True while an append waits for a permit.
    stopped: bool,
    /// The disk fails from now on.
    fails: bool,
    /// Appends with commands that were begun.
    appends: usize,
    /// Commands whose synced append has returned.
    synced: HashSet<Vec<u8>>,
    answered: Vec<Answered>,
}

/// One answer, and whether its command was in `synced` when it came.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Answered {
    command: Vec<u8>,
    reply: Result<Vec<u8>, Rejected>,
    was_synced: bool,
}

#[derive(Default)]
struct Watch {
    seen: Mutex<Seen>,
    changed: Condvar,
}

impl Watch {
    fn change(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until `is_so`.
    fn until(&self, is_so: impl Fn(&Seen) -> bool) -> MutexGuard<'_, Seen> {
        let seen = self.seen.lock().unwrap();
        let (seen, waited) =
            self.changed.wait_timeout_while(seen, PATIENCE, |seen| !is_so(seen)).unwrap();
        assert!(!waited.timed_out(), "the pipeline hangs");
        seen
    }

    /// Lets the next append go on.
    fn release(&self) {
        self.change(|seen| seen.permits += 1);
    }
}

/// A real log behind the gate.
struct GatedLog {
    inner: EngineLog,
    watch: Arc<Watch>,
}

impl LogStore for GatedLog {
    fn append(&mut self, round: &Round<'_>) -> Result<Written, raft_engine::Error> {
        let mut commands = Vec::new();
        for entry in round.entries {
            packing::unpack(entry.index, &entry.data, &mut commands).unwrap();
        }
        if !commands.is_empty() {
            self.watch.change(|seen| (seen.appends, seen.stopped) = (seen.appends + 1, true));
            let mut seen = self.watch.until(|seen| seen.permits > 0);
            (seen.permits, seen.stopped) = (seen.permits - 1, false);
            if seen.fails {
                return Err(io::Error::other("the disk is gone").into());
            }
        }
        let written = self.inner.append(round)?;
        if round.sync {
            let synced = commands.iter().map(|command| command.bytes.to_vec());
            self.watch.change(|seen| seen.synced.extend(synced));
        }
        Ok(written)
    }

    fn applied(&mut self, index: u64) {
        self.inner.applied(index);
    }

    fn put_members(&mut self, members: &Members) -> Result<(), raft_engine::Error> {
        self.inner.put_members(members)
    }

    fn members(&self) -> Option<Members> {
        self.inner.members()
    }

    fn imaged(&mut self, image: &Image, keep: u64) -> Result<(), raft_engine::Error> {
        self.inner.imaged(image, keep)
    }

    fn incarnation(&self) -> u64 {
        self.inner.incarnation()
    }
}

impl Storage for GatedLog {
    fn initial_state(&self) -> ::raft::Result<RaftState> {
        self.inner.initial_state()
    }
    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        context: GetEntriesContext,
    ) -> ::raft::Result<Vec<Entry>> {
        self.inner.entries(low, high, max_size, context)
    }
    fn term(&self, index: u64) -> ::raft::Result<u64> {
        self.inner.term(index)
    }
    fn first_index(&self) -> ::raft::Result<u64> {
        self.inner.first_index()
    }
    fn last_index(&self) -> ::raft::Result<u64> {
        self.inner.last_index()
    }
    fn snapshot(&self, request_index: u64, to: u64) -> ::raft::Result<Snapshot> {
        self.inner.snapshot(request_index, to)
    }
}

/// Replies with the command.
pub(super) struct Echo;

impl StateMachine for Echo {
    type Reply = Vec<u8>;

    fn apply(&self, commands: &[Command<'_>]) -> Vec<Executed<Vec<u8>>> {
        commands.iter().map(|command| self.read(command.bytes)).collect()
    }

    fn read(&self, query: &[u8]) -> Executed<Vec<u8>> {
        Executed { reply: query.to_vec(), stamps: Stamps::default() }
    }

    fn write_image(&self, _: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        held();
        Ok(())
    }

    fn load_image(&self, _: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

/// Notes its answer.
struct Noted {
    command: Vec<u8>,
    watch: Arc<Watch>,
}

impl Waiter<Vec<u8>> for Noted {
    fn answer(self, outcome: Result<Delivered<Vec<u8>>, Rejected>) {
        let Noted { command, watch } = self;
        let reply = outcome.map(|delivered| delivered.reply);
        watch.change(|seen| {
            let was_synced = seen.synced.contains(&command);
            seen.answered.push(Answered { command, reply, was_synced });
        });
    }
}

/// A folder of its own, gone when dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        // Each test has a thread, and one folder at a time.
        let (process, thread) = (std::process::id(), std::thread::current().id());
        Folder(std::env::temp_dir().join(format!("kvbench-raft-{process}-{thread:?}")))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Left behind, it harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn open(folder: &Path, fsync: Fsync, meter: &Arc<PipelineMeter>) -> EngineLog {
    EngineLog::open(folder, &Medium::default(), fsync, Clock::start(), meter.clone()).unwrap()
}

fn start_gated(config: Config, folder: &Path, watch: &Arc<Watch>) -> Pipeline<Vec<u8>, Noted> {
    let meter = Arc::new(PipelineMeter::default());
    let log = GatedLog { inner: open(folder, config.fsync, &meter), watch: watch.clone() };
    start_alone(log, config, folder, meter)
}

fn start_alone<L: LogStore + Send + 'static>(
    log: L,
    config: Config,
    folder: &Path,
    meter: Arc<PipelineMeter>,
) -> Pipeline<Vec<u8>, Noted> {
    let (group, transport) = (Group::alone(), Arc::new(Nobody));
    let (clock, probe) = (Clock::start(), Probe::off());
    let images = &folder.join("images");
    let (medium, seed) = (Medium::default(), Seed(1));
    let setup =
        Setup { config, group, log: folder, images, medium, transport, meter, seed, clock, probe };
    start_on(log, setup, Arc::new(Echo)).unwrap()
}

fn write(pipeline: &Pipeline<Vec<u8>, Noted>, watch: &Arc<Watch>, command: &str) {
    let command = command.as_bytes().to_vec();
    let append = |to: &mut Vec<u8>| to.extend(&command);
    pipeline.inbox().write(append, Noted { command: command.clone(), watch: watch.clone() });
}

/// Every propose policy with every way on from there.
fn configs() -> Vec<Config> {
    let batched = |linger, in_flight| {
        let bytes_max = ByteSize(1 << 20);
        Propose::Batched(Batch { ops_max: 3, bytes_max, linger, in_flight })
    };
    let mut configs = Vec::new();
    for propose in [
        Propose::Serial,
        Propose::Pipelined,
        batched(Linger::None, 1),
        batched(Linger::None, 4),
        batched(Linger::Armed(Nanos(100_000)), 1),
        batched(Linger::Siblings(Nanos(100_000)), 1),
        batched(Linger::Ticker(Nanos(100_000)), 4),
    ] {
        for apply_on in [ApplyOn::RaftThread, ApplyOn::ApplyThread] {
            for publish in [Publish::Ready, Publish::NextReady] {
                configs.push(Config {
                    propose,
                    apply_on,
                    publish,
                    fsync: Fsync::Off,
                    reads: Reads::Index,
                });
            }
        }
    }
    configs
}

#[test]
fn nothing_is_answered_before_its_sync_returned() {
    const COMMANDS: usize = 12;
    for config in configs() {
        let folder = Folder::new();
        let watch = Arc::new(Watch::default());
        let pipeline = start_gated(config, &folder.0, &watch);
        for number in 0..COMMANDS {
            write(&pipeline, &watch, &number.to_string());
        }
        // Each append is held until the loop stands in it; whoever was answered by then was answered too early
        // if not synced.
        loop {
            let seen = watch.until(|seen| seen.stopped || seen.answered.len() == COMMANDS);
            assert!(seen.answered.len() <= seen.synced.len(), "{config:?}");
            if seen.answered.len() == COMMANDS {
                break;
            }
            drop(seen);
            watch.change(|seen| (seen.permits, seen.stopped) = (1, false));
        }
        let seen = watch.until(|_| true);
        for answered in &seen.answered {
            assert!(answered.was_synced, "{config:?}: {answered:?}");
            assert_eq!(answered.reply.as_ref(), Ok(&answered.command), "{config:?}");
        }
        drop(seen);
    }
}

/// A follows its own sync if published at once. One Ready later it waits for the sync of B, which has nothing to do
/// with it; and B, which nobody follows, waits for no further sync.
#[test]
fn publishing_with_the_next_ready_costs_a_second_sync() {
    for (publish, answered_early) in [(Publish::Ready, 1), (Publish::NextReady, 0)] {
        let config = Config {
            propose: Propose::Pipelined,
            apply_on: ApplyOn::RaftThread,
            publish,
            fsync: Fsync::Off,
            reads: Reads::Index,
        };
        let folder = Folder::new();
        let watch = Arc::new(Watch::default());
        let pipeline = start_gated(config, &folder.0, &watch);
        write(&pipeline, &watch, "A");
        drop(watch.until(|seen| seen.appends == 1));
        write(&pipeline, &watch, "B");
        watch.release();
        // The one thread stands in the append of B: what was published before has been answered.
        let answered = watch.until(|seen| seen.appends == 2).answered.len();
        assert_eq!(answered, answered_early, "{publish:?}");
        watch.release();
        let seen = watch.until(|seen| seen.answered.len() == 2);
        assert_eq!(seen.appends, 2, "{publish:?}");
        let order: Vec<_> = seen.answered.iter().map(|answered| &answered.command[..]).collect();
        assert_eq!(order, [b"A", b"B"]);
        drop(seen);
    }
}

#[test]
fn what_is_not_synced_at_the_stop_is_refused_and_not_answered() {
    let config = Config {
        propose: Propose::Pipelined,
        apply_on: ApplyOn::RaftThread,
        publish: Publish::NextReady,
        fsync: Fsync::Off,
        reads: Reads::Index,
    };
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let pipeline = start_gated(config, &folder.0, &watch);
    write(&pipeline, &watch, "A");
    drop(watch.until(|seen| seen.stopped));
    write(&pipeline, &watch, "B");
    std::thread::scope(|scope| {
        let inbox = pipeline.inbox().clone();
        inbox.stop();
        scope.spawn(move || drop(pipeline));
        watch.release();
        let seen = watch.until(|seen| seen.answered.len() == 2);
        assert!(seen.answered.iter().all(|answered| answered.reply == Err(Rejected::Stopped)));
        drop(seen);
        let command = b"late".to_vec();
        inbox.write(|to| to.extend(b"late"), Noted { command, watch: watch.clone() });
        let seen = watch.until(|seen| seen.answered.len() == 3);
        assert_eq!(seen.answered[2].reply, Err(Rejected::Stopped));
    });
}

/// What a failed sync has left on disk nobody knows, so there is no second try: nothing is acknowledged any more, then or later.
#[test]
fn a_failed_append_ends_the_pipeline_and_acknowledges_nothing() {
    let folder = Folder::new();
    let watch = Arc::new(Watch::default());
    let pipeline = start_gated(configs()[0], &folder.0, &watch);
    write(&pipeline, &watch, "kept");
    watch.release();
    drop(watch.until(|seen| seen.answered.len() == 1));
    write(&pipeline, &watch, "lost");
    drop(watch.until(|seen| seen.stopped));
    write(&pipeline, &watch, "behind it");
    watch.change(|seen| (seen.permits, seen.fails) = (9, true));
    let seen = watch.until(|seen| seen.answered.len() == 3);
    let replies: Vec<_> = seen.answered.iter().map(|answered| answered.reply.is_ok()).collect();
    assert_eq!(replies, [true, false, false]);
    assert_eq!(seen.appends, 2, "a failed append is not tried again");
    drop(seen);
    write(&pipeline, &watch, "too late");
    let seen = watch.until(|seen| seen.answered.len() == 4);
    assert_eq!(seen.answered[3].reply, Err(Rejected::Stopped));
    drop(seen);
    assert!(pipeline.status().stopped);
}

#[test]
fn an_append_syncs_once_if_asked_and_not_otherwise() {
    for fsync in [Fsync::Real, Fsync::Off, Fsync::Delay(Nanos(1))] {
        let folder = Folder::new();
        let meter = Arc::new(PipelineMeter::default());
        let mut log = open(&folder.0, fsync, &meter);
        let mut syncs_of = |index, sync| {
            let before = meter.counts().fsyncs;
            let entries = [Entry { index, term: 1, ..Entry::default() }];
            log.append(&Round { entries: &entries, hard_state: None, sync }).unwrap();
            meter.counts().fsyncs - before
        };
        assert_eq!([syncs_of(1, true), syncs_of(2, false), syncs_of(3, true)], [1, 0, 1]);
    }
}

#[test]
fn each_start_has_an_incarnation_of_its_own_and_answers_only_its_clients() {
    let folder = Folder::new();
    for start in 1..=3_u64 {
        let watch = Arc::new(Watch::default());
        let config = configs()[0];
        let meter = Arc::new(PipelineMeter::default());
        let log = GatedLog { inner: open(&folder.0, config.fsync, &meter), watch: watch.clone() };
        assert_eq!(log.incarnation(), start);
        let pipeline = start_alone(log, config, &folder.0, meter);
        watch.change(|seen| seen.permits = 2);
        let commands = [format!("{start}a"), format!("{start}b")];
        for command in &commands {
            write(&pipeline, &watch, command);
        }
        // The sequences are those of the start before; had they been taken for the same, the replies would differ.
        let seen = watch.until(|seen| seen.answered.len() == 2);
        for (answered, command) in seen.answered.iter().zip(&commands) {
            assert_eq!(answered.reply.as_deref(), Ok(command.as_bytes()));
        }
        drop(seen);
    }
}

#[test]
fn one_thread_may_open_logs_that_have_records_at_the_same_places() {
    let (folder, meter) = (Folder::new(), Arc::new(PipelineMeter::default()));
    std::fs::create_dir(&folder.0).unwrap();
    let open = |name: &str| open(&folder.0.join(name), Fsync::Off, &meter);
    for (name, last_term) in [("one", 1), ("other", 2)] {
        let mut log = open(name);
        for (index, term) in [(1, 1), (2, last_term)] {
            let entries = [Entry { index, term, ..Entry::default() }];
            log.append(&Round { entries: &entries, hard_state: None, sync: true }).unwrap();
        }
    }
    assert_eq!(open("one").term(2).unwrap(), 1);
    assert_eq!(open("other").term(2).unwrap(), 2);
}

/// Otherwise a member dies of it: the raft library takes it for granted that what is in the log can be read.
#[test]
fn entries_are_read_while_a_sweep_moves_them() {
    const ENTRIES: u64 = 3_000;
    const KEPT: u64 = 60;
    let (folder, meter) = (Folder::new(), Arc::new(PipelineMeter::default()));
    std::fs::create_dir(&folder.0).unwrap();
    let (log_file, log_files) = (ByteSize(4 << 10), ByteSize(8 << 10));
    let medium = Medium { log_file, log_files, ..Medium::default() };
    let mut log =
        EngineLog::open(&folder.0.join("log"), &medium, Fsync::Off, Clock::start(), meter).unwrap();
    for index in 1..=ENTRIES {
        let data = vec![7; 200].into();
        let entries = [Entry { index, term: 1, data, ..Entry::default() }];
        log.append(&Round { entries: &entries, hard_state: None, sync: false }).unwrap();
        log.applied(index);
        if index % 10 == 0 {
            let path = folder.0.join("image");
            log.imaged(&Image { index, term: 1, path }, KEPT).unwrap();
        }
        let first = log.first_index().unwrap();
        for _ in 0..5 {
            let read = log.entries(first, index + 1, None, GetEntriesContext::empty(false));
            assert_eq!(read.unwrap().len() as u64, index + 1 - first);
        }
    }
}
