//! Levers do what they say, shown by counting, never by timing. A state machine that stops in apply until it is let
//! go decides what waits when, so that the counts are exact; a whole node then shows the same from outside.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]

use kvbench::clock::Clock;
use kvbench::measure::pipeline::{PipelineCounts, PipelineMeter};
use kvbench::measure::stage::{Probe, Stamps};
use kvbench::model::Request;
use kvbench::node::{self, Node};
use kvbench::raft::{
    self, ApplyOn, Batch, Delivered, Executed, Fsync, Linger, Pipeline, Propose, Publish, Reads,
    Rejected, StateMachine, Waiter,
};
use kvbench::seed::Seed;
use kvbench::store::{self, PathKind};
use kvbench::units::{ByteSize, Nanos};
use std::error::Error;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex};
use std::task::Waker;
use std::time::Duration;

/// Far beyond what any wait here takes; a pipeline that hangs fails the test in place of blocking it.
const PATIENCE: Duration = Duration::from_secs(60);

/// A linger that no test could sit out: what goes, goes because the batch is full.
const FOREVER: Nanos = Nanos(3_600_000_000_000);

/// Stops in `apply` at a command called [`STOP`] until it is let go, and dies of one called [`POISON`].
#[derive(Default)]
struct Gated {
    open: Mutex<Gate>,
    changed: Condvar,
}

#[derive(Default)]
struct Gate {
    stopped: bool,
    open: bool,
}

const STOP: &[u8] = b"stop";
const POISON: &[u8] = b"poison";

impl Gated {
    /// Waits until apply stands at the gate.
    fn until_stopped(&self) {
        let gate = self.open.lock().unwrap();
        let waited = self.changed.wait_timeout_while(gate, PATIENCE, |gate| !gate.stopped);
        assert!(!waited.unwrap().1.timed_out(), "apply does not get to the gate");
    }

    fn release(&self) {
        self.open.lock().unwrap().open = true;
        self.changed.notify_all();
    }

    fn stop_here(&self) {
        let mut gate = self.open.lock().unwrap();
        gate.stopped = true;
        self.changed.notify_all();
        let mut gate = self.changed.wait_while(gate, |gate| !gate.open).unwrap();
        *gate = Gate::default();
    }
}

impl StateMachine for Gated {
    type Reply = Vec<u8>;

    fn apply(&self, commands: &[raft::Command<'_>]) -> Vec<Executed<Vec<u8>>> {
        for command in commands {
            assert!(command.bytes != POISON, "poisoned on purpose");
            if command.bytes == STOP {
                self.stop_here();
            }
        }
        commands.iter().map(|command| self.read(command.bytes)).collect()
    }

    fn read(&self, query: &[u8]) -> Executed<Vec<u8>> {
        Executed { reply: query.to_vec(), stamps: Stamps::default() }
    }

    fn write_image(&self, _: &mut dyn io::Write, held: &mut dyn FnMut()) -> io::Result<()> {
        held();
        Ok(())
    }

    fn load_image(&self, _: &mut dyn io::Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

type Answer = Result<Vec<u8>, Rejected>;

/// Posts its answer.
struct Post(Sender<Answer>);

impl Waiter<Vec<u8>> for Post {
    fn answer(self, outcome: Result<Delivered<Vec<u8>>, Rejected>) {
        // A test that failed does not listen any more.
        let _ = self.0.send(outcome.map(|delivered| delivered.reply));
    }
}

/// A pipeline in front of a gated machine.
struct Rig {
    pipeline: Pipeline<Vec<u8>, Post>,
    machine: Arc<Gated>,
    meter: Arc<PipelineMeter>,
    _folder: tempfile::TempDir,
}

impl Rig {
    fn start(propose: Propose, apply_on: ApplyOn) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let (machine, meter) = (Arc::new(Gated::default()), Arc::new(PipelineMeter::default()));
        let config = raft::Config {
            propose,
            apply_on,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        };
        let setup = raft::Setup {
            config,
            group: raft::Group::alone(),
            log: folder.path(),
            images: &folder.path().join("images"),
            medium: raft::Medium::default(),
            transport: Arc::new(raft::Nobody),
            meter: meter.clone(),
            seed: Seed(1),
            clock: Clock::start(),
            probe: Probe::off(),
        };
        let pipeline = raft::start(setup, machine.clone());
        Rig { pipeline: pipeline.unwrap(), machine, meter, _folder: folder }
    }

    fn write(&self, command: &[u8]) -> Receiver<Answer> {
        let (post, answer) = channel();
        self.pipeline.inbox().write(|to| to.extend(command), Post(post));
        answer
    }

    /// Holds the raft thread in apply while `commands` queue up, lets it go, and counts what they made of it.
    fn count(&self, commands: &[Vec<u8>]) -> PipelineCounts {
        let gate = self.write(STOP);
        self.machine.until_stopped();
        let before = self.meter.counts();
        let answers: Vec<_> = commands.iter().map(|command| self.write(command)).collect();
        self.machine.release();
        assert_eq!(wait(&gate), Ok(STOP.to_vec()));
        for (command, answer) in commands.iter().zip(&answers) {
            assert_eq!(wait(answer).as_ref(), Ok(command));
        }
        self.meter.counts().since(before)
    }
}

fn wait(answer: &Receiver<Answer>) -> Answer {
    answer.recv_timeout(PATIENCE).expect("every submission is answered")
}

fn numbered(count: usize, size: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| format!("{number:0size$}").into_bytes()).collect()
}

fn batched(ops_max: usize, bytes_max: u64, linger: Linger, in_flight: usize) -> Propose {
    Propose::Batched(Batch { ops_max, bytes_max: ByteSize(bytes_max), linger, in_flight })
}

/// What 50 waiting requests become.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    entries: u64,
    syncs: u64,
    apply_batches: u64,
}

fn made(counts: PipelineCounts) -> Made {
    assert_eq!(counts.readies, counts.fsyncs, "one sync per Ready round with entries");
    Made { entries: counts.entries, syncs: counts.fsyncs, apply_batches: counts.apply_batches }
}

#[test]
fn fifty_waiting_requests_become_what_the_policy_makes_of_them() {
    let none = Linger::None;
    let table = [
        (Propose::Serial, (50, 50, 50)),
        (Propose::Pipelined, (50, 1, 1)),
        (batched(64, 1 << 20, none, 1), (1, 1, 1)),
        (batched(4, 1 << 20, none, 1), (13, 13, 13)),
        (batched(4, 1 << 20, none, 4), (13, 4, 4)),
        (batched(4, 1 << 20, none, 100), (13, 1, 1)),
        (batched(1, 1 << 20, none, 1), (50, 50, 50)),
        // Ten bytes each: three fit into 35, none into 5, and then each goes alone.
        (batched(64, 35, none, 1), (17, 17, 17)),
        (batched(64, 35, none, 100), (17, 1, 1)),
        (batched(64, 5, none, 1), (50, 50, 50)),
    ];
    for (propose, (entries, syncs, apply_batches)) in table {
        let rig = Rig::start(propose, ApplyOn::RaftThread);
        let counts = rig.count(&numbered(50, 10));
        assert_eq!(made(counts), Made { entries, syncs, apply_batches }, "{propose:?}");
        assert_eq!(counts.requests, 50, "{propose:?}");
    }
}

/// With room for one batch of two, the third request has nobody to go with.
#[test]
fn a_full_batch_does_not_linger() {
    for linger in [Linger::Armed(FOREVER), Linger::Ticker(FOREVER)] {
        let rig = Rig::start(batched(2, 1 << 20, linger, 1), ApplyOn::RaftThread);
        let answers: Vec<_> = numbered(3, 10).iter().map(|command| rig.write(command)).collect();
        assert_eq!(wait(&answers[0]), Ok(b"0000000000".to_vec()), "{linger:?}");
        assert_eq!(wait(&answers[1]), Ok(b"0000000001".to_vec()), "{linger:?}");
        assert_eq!(rig.meter.counts().requests, 2, "{linger:?}: the third one lingers");
        drop(rig);
        assert_eq!(wait(&answers[2]), Err(Rejected::Stopped), "{linger:?}");
    }
}

#[test]
fn a_lone_request_goes_when_its_linger_is_over() {
    for linger in [Linger::Armed(Nanos(1_000)), Linger::Ticker(Nanos(1_000))] {
        let rig = Rig::start(batched(2, 1 << 20, linger, 1), ApplyOn::RaftThread);
        assert_eq!(wait(&rig.write(b"alone")), Ok(b"alone".to_vec()), "{linger:?}");
    }
}

/// The raft thread goes on syncing while the apply thread stands still; inline it cannot.
#[test]
fn an_apply_thread_frees_the_raft_thread() {
    let rig = Rig::start(Propose::Pipelined, ApplyOn::ApplyThread);
    let gate = rig.write(STOP);
    rig.machine.until_stopped();
    let before = rig.meter.counts().entries;
    let answers: Vec<_> = numbered(5, 10).iter().map(|command| rig.write(command)).collect();
    let clock = Clock::start();
    while rig.meter.counts().entries < before + 5 {
        assert!(Duration::from(clock.now()) < PATIENCE, "the raft thread stands still too");
        clock.sleep(Nanos::from_millis(1));
    }
    assert!(answers.iter().all(|answer| answer.try_recv().is_err()), "apply stands still");
    rig.machine.release();
    assert!(wait(&gate).is_ok() && answers.iter().all(|answer| wait(answer).is_ok()));
}

/// The bound holds for what waits in the inbox and for what the loop has taken out but not proposed, together.
#[test]
fn too_many_waiting_requests_are_refused_and_none_accepted_is_lost() {
    const WAITING_MAX: usize = 1 << 16;
    let rig = Rig::start(Propose::Serial, ApplyOn::RaftThread);
    let (post, answers) = channel();
    let write = |command: &[u8]| {
        rig.pipeline.inbox().write(|to| to.extend(command), Post(post.clone()));
    };
    write(STOP);
    rig.machine.until_stopped();
    // The second gate is the first of those that wait; the last ten find no room.
    write(STOP);
    (0..WAITING_MAX + 9).for_each(|_| write(b"x"));
    for _ in 0..10 {
        assert_eq!(wait(&answers), Err(Rejected::Overloaded(WAITING_MAX)));
    }
    rig.machine.release();
    assert_eq!(wait(&answers), Ok(STOP.to_vec()));
    rig.machine.until_stopped();
    // Now the loop holds all but one of them itself, and there is room for one.
    write(b"room");
    (0..10).for_each(|_| write(b"no room"));
    for _ in 0..10 {
        assert_eq!(wait(&answers), Err(Rejected::Overloaded(WAITING_MAX)));
    }
    // Serial takes a while for so many; what is left is refused as stopped, and each is answered once.
    let rig_gate = rig.machine.clone();
    rig_gate.release();
    assert_eq!(wait(&answers), Ok(STOP.to_vec()));
    drop(post);
    drop(rig);
    let rest: Vec<_> = answers.iter().collect();
    assert_eq!(rest.len(), WAITING_MAX);
    let done = rest.iter().take_while(|answer| answer.is_ok()).count();
    assert!(rest[done..].iter().all(|answer| *answer == Err(Rejected::Stopped)));
}

/// Few requests can be too much as well.
#[test]
fn waiting_requests_are_bounded_by_their_bytes_too() {
    let rig = Rig::start(Propose::Serial, ApplyOn::RaftThread);
    let (post, answers) = channel();
    let write = |command: Vec<u8>| {
        rig.pipeline.inbox().write(|to| to.extend(command), Post(post.clone()));
    };
    write(STOP.to_vec());
    rig.machine.until_stopped();
    (0..32).for_each(|_| write(vec![0; 8 << 20]));
    write(b"x".to_vec());
    assert_eq!(wait(&answers), Err(Rejected::Overloaded(32)));
    let machine = rig.machine.clone();
    machine.release();
    assert_eq!(wait(&answers), Ok(STOP.to_vec()));
    // There is room again once one is on its way.
    assert!(wait(&answers).is_ok());
    write(b"y".to_vec());
    drop(post);
    drop(rig);
    assert_eq!(answers.iter().count(), 32);
}

#[test]
fn what_was_accepted_under_overload_is_executed() {
    const WAITING_MAX: usize = 1 << 16;
    let rig = Rig::start(batched(4096, 1 << 20, Linger::None, 1), ApplyOn::RaftThread);
    let commands = numbered(WAITING_MAX, 8);
    let counts = rig.count(&commands);
    assert_eq!(counts.entries, (WAITING_MAX / 4096) as u64);
    assert_eq!(rig.write(b"after").recv_timeout(PATIENCE), Ok(Ok(b"after".to_vec())));
}

#[test]
fn a_stopped_pipeline_refuses_at_once() {
    for apply_on in [ApplyOn::RaftThread, ApplyOn::ApplyThread] {
        let Rig { pipeline, _folder, .. } = Rig::start(Propose::Serial, apply_on);
        let inbox = pipeline.inbox().clone();
        drop(pipeline);
        let (post, answers) = channel();
        inbox.write(|to| to.extend(b"late"), Post(post.clone()));
        assert!(!inbox.read(|to| to.extend(b"late"), Post(post)), "nobody is there to be woken");
        assert_eq!(wait(&answers), Err(Rejected::Stopped));
        assert_eq!(wait(&answers), Err(Rejected::Stopped));
    }
}

/// A read that waits for a write still being applied is told, like everybody else, that it waits in vain.
#[test]
fn a_stop_answers_reads_that_still_wait() {
    let Rig { pipeline, machine, _folder, .. } =
        Rig::start(Propose::Pipelined, ApplyOn::ApplyThread);
    let (post, written) = channel();
    pipeline.inbox().write(|to| to.extend(STOP), Post(post));
    machine.until_stopped();
    let (post, read) = channel();
    if pipeline.inbox().read(|to| to.extend(b"query"), Post(post)) {
        Waker::from(pipeline.inbox().clone()).wake();
    }
    std::thread::scope(|scope| {
        scope.spawn(move || drop(pipeline));
        let answer = read.recv_timeout(PATIENCE);
        machine.release();
        assert_eq!(answer, Ok(Err(Rejected::Stopped)));
    });
    assert_eq!(wait(&written), Ok(STOP.to_vec()), "what was on its way to apply is still answered");
}

/// Whoever waits or comes after a pipeline thread died is refused or sees its reply vanish; nobody hangs.
#[test]
fn nobody_hangs_when_a_pipeline_thread_dies() {
    for apply_on in [ApplyOn::RaftThread, ApplyOn::ApplyThread] {
        for propose in [Propose::Serial, Propose::Pipelined] {
            let rig = Rig::start(propose, apply_on);
            let gate = rig.write(STOP);
            rig.machine.until_stopped();
            let doomed: Vec<_> =
                [POISON, b"a", b"b"].iter().map(|command| rig.write(command)).collect();
            rig.machine.release();
            assert_eq!(wait(&gate), Ok(STOP.to_vec()));
            doomed.iter().for_each(ends);
            // The raft thread learns of the apply thread's death a moment later, and may commit this meanwhile.
            ends(&rig.write(b"soon"));
            until_stopped(&rig.pipeline);
            assert_eq!(wait(&rig.write(b"late")), Err(Rejected::Stopped), "{propose:?}");
        }
    }
}

/// Refused, or its reply vanishes.
fn ends(answer: &Receiver<Answer>) {
    match answer.recv_timeout(PATIENCE) {
        Ok(answer) => assert_eq!(answer, Err(Rejected::Stopped)),
        Err(end) => assert_eq!(end, RecvTimeoutError::Disconnected),
    }
}

fn until_stopped(pipeline: &Pipeline<Vec<u8>, Post>) {
    let clock = Clock::start();
    while !pipeline.status().stopped {
        assert!(
            clock.now().0 < PATIENCE.as_nanos() as u64,
            "the raft thread ends after the apply thread"
        );
        std::thread::yield_now();
    }
}

/// Counts of a whole node under `clients` concurrent clients with `rounds` writes each.
fn node_counts(
    propose: Propose,
    publish: Publish,
    clients: usize,
    rounds: usize,
) -> PipelineCounts {
    let folder = tempfile::tempdir().unwrap();
    let pipeline = raft::Config {
        propose,
        apply_on: ApplyOn::RaftThread,
        publish,
        // Long enough for every other client to come meanwhile.
        fsync: Fsync::Delay(Nanos::from_millis(2)),
        reads: Reads::Index,
    };
    let config = node::Config {
        store: store::Config::in_memory(PathKind::Sharded { shards: 16, workers: 1 }),
        compaction: node::Compaction::NEVER,
        pipeline,
    };
    let node = Node::start(config, &folder.path().join("node"), Clock::start(), Probe::off());
    let node = Arc::new(node.unwrap());
    let before = node.counts();
    let tasks = tokio::task::LocalSet::new();
    let started = (0..clients).map(|client| {
        let node = node.clone();
        tasks.spawn_local(async move {
            for _ in 0..rounds {
                let request = Request::put(format!("key-{client}"), vec![7; 20]);
                node.call(request).await.unwrap();
            }
        })
    });
    let started: Vec<_> = started.collect();
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(tasks.run_until(
        async {
            for task in started {
                task.await.unwrap();
            }
        },
    ));
    node.counts().since(before)
}

#[test]
fn a_node_under_fifty_clients_shares_syncs_as_its_levers_say() {
    let requests = 50 * 4;
    for (publish, syncs_each) in [(Publish::Ready, 1), (Publish::NextReady, 2)] {
        let serial = node_counts(Propose::Serial, publish, 50, 4);
        assert_eq!(
            [serial.requests, serial.entries, serial.readies, serial.fsyncs],
            [requests, requests, requests, requests * syncs_each],
            "{publish:?}"
        );
        let pipelined = node_counts(Propose::Pipelined, publish, 50, 4);
        assert_eq!([pipelined.requests, pipelined.entries], [requests; 2], "{publish:?}");
        assert!(pipelined.fsyncs < requests, "{publish:?}: {pipelined:?}");
        let all = node_counts(batched(64, 1 << 20, Linger::None, 1), publish, 50, 4);
        assert_eq!(all.requests, requests, "{publish:?}");
        assert!(
            all.entries < requests && all.fsyncs <= all.entries * syncs_each,
            "{publish:?}: {all:?}"
        );
        let fours = node_counts(batched(4, 1 << 20, Linger::None, 1), publish, 50, 4);
        assert!(fours.entries >= requests / 4, "{publish:?}: {fours:?}");
        let pairs = node_counts(batched(64, 100, Linger::None, 1), publish, 50, 4);
        assert!(pairs.entries >= requests / 2, "{publish:?}: {pairs:?}");
    }
}
