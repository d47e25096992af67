//! The log of a member alone, which is not synced: the inbox, batches, entries and their bytes, the Ready loop, answers. Its state machine
//! does nothing.

use super::put;
use criterion::{Criterion, Throughput};
use kvbench::clock::Clock;
use kvbench::measure::pipeline::PipelineMeter;
use kvbench::measure::stage::{Probe, Stage, Stamps, Timeline};
use kvbench::model::codec;
use kvbench::raft::{
    self, ApplyOn, Batch, Delivered, Executed, Fsync, Group, Medium, Nobody, Pipeline, Propose,
    Publish, Reads, Rejected, StateMachine, Waiter,
};
use kvbench::seed::Seed;
use std::error::Error;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

pub(super) fn log(criterion: &mut Criterion) {
    from_submission_to_answer(criterion);
    steps_of_a_batch(criterion);
}

/// So many requests submitted at once, until the last is answered.
fn from_submission_to_answer(criterion: &mut Criterion) {
    for (name, propose, at_once) in [
        ("an entry each", Propose::Pipelined, 100),
        ("batched", Propose::Batched(Batch::default()), 1),
        ("batched", Propose::Batched(Batch::default()), 100),
        ("batched", Propose::Batched(Batch::default()), 1_000),
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let member = alone(folder.path(), propose, Probe::off());
        let (answered, answers) = channel();
        let bytes = codec::encode(&put(7));
        let mut of_log = criterion.benchmark_group("log");
        of_log.throughput(Throughput::Elements(at_once));
        of_log.bench_function(format!("{name}/{at_once} at once"), |bencher| {
            bencher.iter(|| write_all(&member, &bytes, at_once, &answered, &answers));
        });
    }
}

/// What two steps of the same take, by the stage clock, however many batches the requests became: packing and proposing them, and laying
/// out their entries and writing these to the log's file.
fn steps_of_a_batch(criterion: &mut Criterion) {
    for (name, stage) in [("propose", Stage::Propose), ("append", Stage::Append)] {
        for at_once in [1, 100, 1_000] {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let probe = Probe::on(Clock::start());
            let member = alone(folder.path(), Propose::Batched(Batch::default()), probe);
            let (answered, answers) = channel();
            let bytes = codec::encode(&put(7));
            let mut of_log = criterion.benchmark_group("log");
            of_log.throughput(Throughput::Elements(at_once));
            of_log.bench_function(format!("{name}/{at_once} at once"), |bencher| {
                bencher.iter_custom(|times| {
                    let once = |_| {
                        let told = write_all(&member, &bytes, at_once, &answered, &answers);
                        Duration::from_nanos(time_in(stage, &told))
                    };
                    (0..times).map(once).sum()
                });
            });
        }
    }
}

/// Nanoseconds that batches were in `stage`. Requests of one batch leave a stage at one instant, and come one after the other.
fn time_in(stage: Stage, told: &[Timeline]) -> u64 {
    let end = |timeline: &Timeline| {
        let before: u64 = timeline.spans()[..=stage as usize].iter().map(|span| span.0).sum();
        timeline.submitted_at().0 + before
    };
    let batches = told.chunk_by(|a, b| end(a) == end(b));
    batches.map(|batch| batch[batch.len() - 1].spans()[stage as usize].0).sum()
}

fn write_all(
    member: &Pipeline<(), Told>,
    bytes: &[u8],
    count: u64,
    answered: &Sender<Timeline>,
    answers: &Receiver<Timeline>,
) -> Vec<Timeline> {
    for _ in 0..count {
        member.inbox().write(|to| to.extend(bytes), Told(answered.clone()));
    }
    (0..count).map(|_| answers.recv().expect("a sender is here")).collect()
}

/// A member of a group of one.
fn alone(folder: &Path, propose: Propose, probe: Probe) -> Pipeline<(), Told> {
    let setup = raft::Setup {
        config: raft::Config {
            propose,
            apply_on: ApplyOn::RaftThread,
            publish: Publish::Ready,
            fsync: Fsync::Off,
            reads: Reads::Index,
        },
        group: Group::alone(),
        log: &folder.join("log"),
        images: &folder.join("images"),
        medium: Medium::default(),
        transport: Arc::new(Nobody),
        meter: Arc::new(PipelineMeter::default()),
        seed: Seed(1),
        clock: Clock::start(),
        probe,
    };
    raft::start(setup, Arc::new(Idle)).expect("it starts")
}

/// Knows nothing and does nothing.
struct Idle;

impl StateMachine for Idle {
    type Reply = ();

    fn apply(&self, commands: &[raft::Command<'_>]) -> Vec<Executed<()>> {
        commands.iter().map(|_| done()).collect()
    }

    fn read(&self, _: &[u8]) -> Executed<()> {
        done()
    }

    fn write_image(&self, _: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
        held();
        Ok(())
    }

    fn load_image(&self, _: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(())
    }
}

fn done() -> Executed<()> {
    Executed { reply: (), stamps: Stamps { stands_for: 1, ..Stamps::default() } }
}

struct Told(Sender<Timeline>);

impl Waiter<()> for Told {
    fn answer(self, outcome: Result<Delivered<()>, Rejected>) {
        let timeline = outcome.expect("nothing is refused here").timeline;
        // Nobody waits any more once the bench is over.
        let _ = self.0.send(timeline);
    }
}
