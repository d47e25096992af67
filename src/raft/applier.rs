//! Takes committed entries to the state machine and the replies to the clients. Inline, or on a thread of its
//! own behind a bounded queue; both run the same [`execute`].

use super::disk::{Cursor, Disk};
use super::inbox::{Applied, Inbox, StopOnPanic, Submission, Submissions, WrittenImage};
use super::status::Board;
use super::{ApplyOn, Delivered, Executed, PipelineError, StateMachine, Waiter, packing};
use crate::failpoint;
use crate::measure::pipeline::PipelineMeter;
use crate::measure::stage::{Stage, Stamps, Timeline};
use crate::units::Nanos;
use bytes::Bytes;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// Batches that may wait for the apply thread; the Ready loop blocks beyond that.
const QUEUE_MAX: usize = 64;

/// Committed entries on their way to apply, in log order.
pub(super) struct Committed<W> {
    /// Log index of the last entry.
    pub(super) index: u64,
    pub(super) entries: Vec<CommittedEntry<W>>,
}

/// One committed entry and who waits for it here.
pub(super) struct CommittedEntry<W> {
    pub(super) index: u64,
    pub(super) data: Bytes,
    /// Present if this start of this node proposed it.
    pub(super) group: Option<Group<W>>,
}

/// The requests of one entry, with the instants they share.
pub(super) struct Group<W> {
    pub(super) submissions: Vec<Submission<W>>,
    pub(super) times: GroupTimes,
    /// When it was proposed.
    pub(super) proposed: Nanos,
    /// In which term: whoever led then was given it.
    pub(super) term: u64,
}

/// When the entry passed each stage of the pipeline.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GroupTimes {
    pub(super) taken: Nanos,
    pub(super) handed: Nanos,
    pub(super) appended: Nanos,
    pub(super) synced: Nanos,
    pub(super) replicated: Nanos,
    pub(super) published: Nanos,
}

/// Where committed entries go.
pub(super) trait Applier<W>: Send {
    /// Applies, or queues for applying. What was applied at once is returned; the rest is reported to the inbox.
    fn publish(&mut self, committed: Committed<W>) -> Option<Applied>;

    /// Begins to write an image of the state after all that was published; the inbox is told when it is done.
    fn write_image(&mut self, path: PathBuf);

    /// Puts the state of an image in place of the present one, after all that was published.
    fn load_image(&mut self, path: &Path) -> Result<(), PipelineError>;
}

/// What both appliers need.
pub(super) struct Tools<M> {
    pub(super) machine: Arc<M>,
    pub(super) meter: Arc<PipelineMeter>,
    pub(super) board: Arc<Board>,
    /// What images are written to.
    pub(super) disk: Arc<dyn Disk>,
}

/// An applier, and its thread if it has one.
pub(super) type StartedApplier<W> = (Box<dyn Applier<W>>, Option<JoinHandle<()>>);

/// The applier for `apply_on`, with its thread if it has one; the thread ends when the applier is dropped.
pub(super) fn applier<M, W>(
    apply_on: ApplyOn,
    tools: Tools<M>,
    inbox: &Arc<Inbox<M::Reply, W>>,
) -> Result<StartedApplier<W>, PipelineError>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let writer = ImageWriter::new(&tools, inbox, true);
    match apply_on {
        ApplyOn::RaftThread => Ok((Box::new(Inline { tools, writer, applied: 0 }), None)),
        ApplyOn::ApplyThread => {
            let (queue, jobs) = sync_channel(QUEUE_MAX);
            let inbox = inbox.clone();
            let thread = std::thread::Builder::new()
                .name("apply-1".into())
                .spawn(move || apply_all(&tools, &jobs, &inbox, writer))?;
            Ok((Box::new(Queued { queue }), Some(thread)))
        }
    }
}

/// One that does everything on the thread that calls it, images included.
pub(super) fn without_threads<M, W>(
    tools: Tools<M>,
    inbox: &Arc<Inbox<M::Reply, W>>,
) -> Box<dyn Applier<W>>
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let writer = ImageWriter::new(&tools, inbox, false);
    Box::new(Inline { tools, writer, applied: 0 })
}

struct Inline<M: StateMachine, W> {
    tools: Tools<M>,
    writer: ImageWriter<M, W>,
    applied: u64,
}

impl<M: StateMachine, W: Waiter<M::Reply>> Applier<W> for Inline<M, W> {
    fn publish(&mut self, committed: Committed<W>) -> Option<Applied> {
        let applied = execute(&self.tools, committed);
        self.applied = applied.index;
        Some(applied)
    }

    fn write_image(&mut self, path: PathBuf) {
        self.writer.write(self.applied, path);
    }

    fn load_image(&mut self, path: &Path) -> Result<(), PipelineError> {
        load_image(&*self.tools.machine, path)
    }
}

struct Queued<W> {
    queue: SyncSender<Job<W>>,
}

enum Job<W> {
    Apply(Committed<W>),
    WriteImage(PathBuf),
    LoadImage(PathBuf, SyncSender<Result<(), PipelineError>>),
}

impl<W> Queued<W> {
    fn put(&self, job: Job<W>) {
        assert!(self.queue.send(job).is_ok(), "the apply thread lives as long as its queue");
    }
}

impl<W: Send> Applier<W> for Queued<W> {
    fn publish(&mut self, committed: Committed<W>) -> Option<Applied> {
        failpoint::pass("applier::hand-over");
        self.put(Job::Apply(committed));
        None
    }

    fn write_image(&mut self, path: PathBuf) {
        self.put(Job::WriteImage(path));
    }

    fn load_image(&mut self, path: &Path) -> Result<(), PipelineError> {
        let (done, outcome) = sync_channel(1);
        self.put(Job::LoadImage(path.to_owned(), done));
        outcome.recv().expect("the apply thread answers what it takes")
    }
}

/// Ends the Ready loop with the apply thread: after a panic nothing would ever be reported as applied.
struct StopAtEnd<'a, R, W: Waiter<R>>(&'a Inbox<R, W>);

impl<R, W: Waiter<R>> Drop for StopAtEnd<'_, R, W> {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn apply_all<M, W>(
    tools: &Tools<M>,
    jobs: &Receiver<Job<W>>,
    inbox: &Inbox<M::Reply, W>,
    mut writer: ImageWriter<M, W>,
) where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let _guard = StopAtEnd(inbox);
    let mut index = 0;
    for job in jobs {
        match job {
            Job::Apply(committed) => {
                let applied = execute(tools, committed);
                index = applied.index;
                inbox.report_applied(applied);
            }
            Job::WriteImage(path) => writer.write(index, path),
            Job::LoadImage(path, done) => {
                // Whoever asked waits.
                let _ = done.send(load_image(&*tools.machine, &path));
            }
        }
    }
}

/// Puts the state of an image in place of the present one.
pub(super) fn load_image<M: StateMachine>(machine: &M, path: &Path) -> Result<(), PipelineError> {
    failpoint::may_fail("image::load")?;
    let mut file = File::open(path)?;
    machine.load_image(&mut file).map_err(PipelineError::Image)
}

/// Writes images, one at a time, on a thread of its own if it may have one; waits for it at the end.
struct ImageWriter<M: StateMachine, W> {
    machine: Arc<M>,
    disk: Arc<dyn Disk>,
    inbox: Arc<Inbox<M::Reply, W>>,
    may_have_threads: bool,
    thread: Option<JoinHandle<()>>,
}

impl<M: StateMachine, W: Waiter<M::Reply>> ImageWriter<M, W> {
    fn new(
        tools: &Tools<M>,
        inbox: &Arc<Inbox<M::Reply, W>>,
        may_have_threads: bool,
    ) -> ImageWriter<M, W> {
        let (machine, disk) = (tools.machine.clone(), tools.disk.clone());
        ImageWriter { machine, disk, inbox: inbox.clone(), may_have_threads, thread: None }
    }

    /// Returns when the machine may go on.
    fn write(&mut self, index: u64, path: PathBuf) {
        if self.machine.applied() > index {
            // What it kept over a restart, or has of an image, goes further than what was applied since: this would not be the state at
            // `index`, and no other member takes an image that is ahead of its name. One that is due later is written.
            let outcome = Err(io::Error::other("the state is ahead of what was applied"));
            return self.inbox.report_image(WrittenImage { index, path, outcome });
        }
        if !self.may_have_threads {
            let outcome = write_image(&*self.machine, &*self.disk, &path, &mut || {});
            return self.inbox.report_image(WrittenImage { index, path, outcome });
        }
        self.wait();
        let (held, is_held) = sync_channel(1);
        let (machine, inbox) = (self.machine.clone(), self.inbox.clone());
        let disk = self.disk.clone();
        let write = move || {
            let _guard = StopOnPanic(&*inbox);
            let outcome = write_image(&*machine, &*disk, &path, &mut || {
                // Whoever waits takes one word, or is gone.
                let _ = held.send(());
            });
            drop(held);
            inbox.report_image(WrittenImage { index, path, outcome });
        };
        match std::thread::Builder::new().name("image-1".into()).spawn(write) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                let path = PathBuf::new();
                self.inbox.report_image(WrittenImage { index, path, outcome: Err(error) });
            }
        }
        // An error on the way comes with the report; here it only means that there is nothing to wait for.
        let _ = is_held.recv();
    }
}

impl<M: StateMachine, W> ImageWriter<M, W> {
    fn wait(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed where it happened.
            let _ = thread.join();
        }
    }
}

impl<M: StateMachine, W> Drop for ImageWriter<M, W> {
    fn drop(&mut self) {
        self.wait();
    }
}

fn write_image<M: StateMachine>(
    machine: &M,
    disk: &dyn Disk,
    path: &Path,
    held: &mut dyn FnMut(),
) -> io::Result<()> {
    failpoint::may_fail("image::begin")?;
    let file = disk.create(path)?;
    // One that could not be finished may have this name.
    file.truncate(0)?;
    machine.write_image(&mut Cursor::new(file.clone()), held)?;
    failpoint::may_fail("image::before-sync")?;
    file.sync()?;
    failpoint::may_fail("image::after-sync")
}

/// Applies and answers.
///
/// # Panics
/// If a committed entry cannot be decoded: skipping it would let replicas diverge.
fn execute<M, W>(tools: &Tools<M>, committed: Committed<W>) -> Applied
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let own = committed.entries.iter().flat_map(|entry| &entry.group);
    let mut commands = Vec::with_capacity(own.map(|group| group.submissions.len()).sum());
    let mut counts = Vec::with_capacity(committed.entries.len());
    for entry in &committed.entries {
        let count = packing::unpack(entry.index, &entry.data, &mut commands);
        counts.push(count.unwrap_or_else(|corrupt| panic!("{corrupt}")));
    }
    let mut executed = Vec::new();
    if !commands.is_empty() {
        tools.meter.apply_batch(commands.len() as u64);
        failpoint::pass("applier::before-apply");
        executed = tools.machine.apply(&commands);
        failpoint::pass("applier::after-apply");
        assert_eq!(executed.len(), commands.len(), "the state machine answers every command");
    }
    tools.board.applied(committed.index);
    let mut own_entries = 0;
    let mut executed = executed.into_iter();
    for (entry, count) in committed.entries.into_iter().zip(counts) {
        let replies = executed.by_ref().take(count);
        match entry.group {
            Some(group) => {
                own_entries += 1;
                failpoint::pass("applier::before-answer");
                answer(group, replies);
            }
            None => replies.for_each(drop),
        }
    }
    Applied { index: committed.index, own_entries }
}

fn answer<R, W: Waiter<R>>(group: Group<W>, replies: impl Iterator<Item = Executed<R>>) {
    for (submission, executed) in group.submissions.into_iter().zip(replies) {
        let timeline = timeline(&submission, &group.times, executed.stamps);
        submission.waiter.answer(Ok(Delivered { reply: executed.reply, timeline }));
    }
}

fn timeline<W>(submission: &Submission<W>, times: &GroupTimes, stamps: Stamps) -> Timeline {
    if stamps.stands_for == 0 {
        return Timeline::default();
    }
    let mut timeline = submission.timeline;
    timeline.end(Stage::Queue, times.taken);
    timeline.end(Stage::Propose, times.handed);
    timeline.end(Stage::Append, times.appended);
    timeline.end(Stage::Fsync, times.synced);
    timeline.end(Stage::Replicate, times.replicated);
    timeline.end(Stage::Commit, times.published);
    timeline.apply(stamps);
    timeline
}

/// Answers queries that went around the log: everything between taking and executing was waiting for its turn.
pub(super) fn answer_reads<M, W>(machine: &M, reads: Submissions<W>, taken: Nanos)
where
    M: StateMachine,
    W: Waiter<M::Reply>,
{
    let mut queries = Vec::with_capacity(reads.each.len());
    packing::unpack(0, &reads.packed, &mut queries).expect("packed by whoever asked");
    for (read, query) in reads.each.into_iter().zip(queries) {
        let executed = machine.read(query.bytes);
        let mut timeline = read.timeline;
        timeline.end(Stage::Queue, taken);
        timeline.apply(executed.stamps);
        read.waiter.answer(Ok(Delivered { reply: executed.reply, timeline }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::stage::Probe;
    use crate::raft::disk::HostDisk;
    use crate::raft::inbox::{Backlog, News};
    use crate::raft::{Command, Delivered, Rejected};
    use std::error::Error;
    use std::io::{Read, Write};

    /// Holds what is of the entries up to this one.
    struct At(u64);

    impl StateMachine for At {
        type Reply = ();

        fn apply(&self, _: &[Command<'_>]) -> Vec<Executed<()>> {
            Vec::new()
        }

        fn read(&self, _: &[u8]) -> Executed<()> {
            Executed { reply: (), stamps: Stamps::default() }
        }

        fn applied(&self) -> u64 {
            self.0
        }

        fn write_image(&self, to: &mut dyn Write, held: &mut dyn FnMut()) -> io::Result<()> {
            held();
            to.write_all(b"the state")
        }

        fn load_image(&self, _: &mut dyn Read) -> Result<(), Box<dyn Error + Send + Sync>> {
            Ok(())
        }
    }

    struct Nobody;

    impl Waiter<()> for Nobody {
        fn answer(self, _: Result<Delivered<()>, Rejected>) {}
    }

    /// After a restart, when the log that is applied again has not come as far as what the state machine kept.
    #[test]
    fn no_image_is_named_after_an_entry_that_the_state_is_ahead_of() {
        let folder = tempfile::tempdir().unwrap();
        let inbox: Arc<Inbox<(), Nobody>> = Arc::new(Inbox::new(Probe::off()));
        let tools = Tools {
            machine: Arc::new(At(4)),
            meter: Arc::new(PipelineMeter::default()),
            board: Arc::new(Board::new(Probe::off())),
            disk: Arc::new(HostDisk),
        };
        for may_have_threads in [false, true] {
            let mut writer = ImageWriter::new(&tools, &inbox, may_have_threads);
            for (index, is_written) in [(3, false), (4, true), (5, true)] {
                let path = folder.path().join(format!("{may_have_threads}-{index}"));
                writer.write(index, path.clone());
                writer.wait();
                let told = inbox.take(Backlog::default(), News::none()).image.unwrap();
                assert_eq!((told.index, told.outcome.is_ok()), (index, is_written));
                assert_eq!(path.exists(), is_written);
            }
        }
    }
}
