//! Where clients leave requests and the Ready loop finds them. Bounded; taken out in bulk, so that the loop holds the lock for a swap and is
//! woken once for many. A client holds it while it writes its command, once, as an entry has it.

use super::members::Change;
use super::packing::pack;
use super::refusals::{Refusals, Refused};
use super::transport::{Door, MemberId, Received, Report};
use super::{Delivered, Rejected, Waiter};
use crate::failpoint;
use crate::measure::lock::{MeasuredGuard, MeasuredMutex, Visit};
use crate::measure::stage::{Probe, Timeline};
use crate::units::Nanos;
use std::io;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar};
use std::task::Wake;

/// Most that may wait, here and taken but not yet proposed or read; more is refused. The bound keeps memory and waiting in check while the
/// log is slow or there is no quorum: by number alone, the largest requests there may be would fill 96 GiB. Bytes that were proposed and wait to be
/// let go of are not counted: as many again at most. etcd's bound of 5000 is another one, of committed entries that are not applied yet: those
/// are bounded here by the applier's queue, which holds the log up. One of etcd's entries is one request, so that its 5000 would end a load of
/// 10 000 clients, each with one request, that is well behaved.
const BACKLOG_MAX: Backlog = Backlog { requests: 1 << 16, bytes: 256 << 20 };

/// Most messages of other members that may wait; more are dropped, which the raft library makes good.
const MESSAGES_MAX: usize = 1 << 13;

/// Room that is laid out for the next commands at once, at most; more is made as it is needed.
const ROOM_BYTES: usize = 1 << 20;

/// Reads that wake the loop at once after one that waited for others and remained alone: with few clients waiting is for nothing.
const SPARED: u8 = 15;

/// Requests, and the bytes of their commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backlog {
    pub(super) requests: usize,
    pub(super) bytes: usize,
}

impl Backlog {
    /// Of one request.
    pub(super) fn of<W>(submission: &Submission<W>) -> Backlog {
        Backlog { requests: 1, bytes: submission.bytes }
    }

    pub(super) fn add(&mut self, other: Backlog) {
        self.requests += other.requests;
        self.bytes += other.bytes;
    }

    pub(super) fn subtract(&mut self, other: Backlog) {
        self.requests -= other.requests;
        self.bytes -= other.bytes;
    }

    fn and(mut self, other: Backlog) -> Backlog {
        self.add(other);
        self
    }

    /// Whether one more request fits. One that comes alone always does.
    fn has_room(self, bytes: usize, most: Backlog) -> bool {
        self.requests < most.requests && (self.requests == 0 || self.bytes + bytes <= most.bytes)
    }
}

/// One request on its way in; its command is packed with others'.
pub(super) struct Submission<W> {
    /// How long its command is.
    pub(super) bytes: usize,
    pub(super) timeline: Timeline,
    pub(super) waiter: W,
}

/// Requests in the order in which they came, and their commands, packed as an entry has them: each is written once, by whoever asks.
pub(super) struct Submissions<W> {
    pub(super) packed: Vec<u8>,
    pub(super) each: Vec<Submission<W>>,
}

impl<W> Submissions<W> {
    pub(super) fn none() -> Submissions<W> {
        Submissions { packed: Vec::new(), each: Vec::new() }
    }

    /// None, with room for as many as these, or half of the room that these had.
    fn next(&self) -> Submissions<W> {
        let room = |length: usize, capacity: usize| length.max(capacity / 2);
        let bytes = room(self.packed.len(), self.packed.capacity()).min(ROOM_BYTES);
        let each = room(self.each.len(), self.each.capacity());
        Submissions { packed: Vec::with_capacity(bytes), each: Vec::with_capacity(each) }
    }

    pub(super) fn backlog(&self) -> Backlog {
        let mut backlog = Backlog::default();
        self.each.iter().for_each(|submission| backlog.add(Backlog::of(submission)));
        backlog
    }
}

/// What happened since the loop last looked.
pub(super) struct News<W> {
    pub(super) writes: Submissions<W>,
    pub(super) reads: Submissions<W>,
    /// What an apply thread finished, in order.
    pub(super) applied: Vec<Applied>,
    /// From other members.
    pub(super) messages: Vec<Received>,
    /// What became of messages to them.
    pub(super) reports: Vec<Report>,
    /// What the operator wants.
    pub(super) wishes: Vec<Wish>,
    pub(super) image: Option<WrittenImage>,
    pub(super) stop: bool,
}

/// Something the operator wants of the group.
pub(super) struct Wish {
    pub(super) what: What,
    pub(super) reply: WishReply,
}

/// Hears what became of a wish.
pub(super) type WishReply = Box<dyn FnOnce(Result<(), Rejected>) + Send>;

pub(super) enum What {
    Change(Change),
    /// That the member leads.
    Transfer(MemberId),
    /// An image of the state now.
    Image,
    /// That this member asks for votes.
    Stand,
}

/// An image that was begun before.
pub(super) struct WrittenImage {
    pub(super) index: u64,
    pub(super) path: PathBuf,
    pub(super) outcome: io::Result<()>,
}

/// Progress of the applier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    /// Log index up to which everything is applied.
    pub(super) index: u64,
    /// Entries of this node's own proposals among what was applied.
    pub(super) own_entries: usize,
}

/// The way into a pipeline, shared by all clients.
pub struct Inbox<R, W> {
    state: MeasuredMutex<State<W>>,
    wake: Condvar,
    /// Requests that were taken out and still wait, and their bytes.
    /// Relaxed: raised only under the lock that its readers hold; a late fall refuses one request too many at worst.
    taken: AtomicUsize,
    taken_bytes: AtomicUsize,
    refusals: Refusals,
    most: Backlog,
    probe: Probe,
    reply: PhantomData<fn(R)>,
}

struct State<W> {
    news: News<W>,
    /// Of the writes and reads in it.
    backlog: Backlog,
    /// True while the loop sleeps and must be woken.
    sleeping: bool,
    /// Reads whose wake-up waits for nobody.
    spared: u8,
    /// True once nothing is taken in any more.
    closed: bool,
}

impl<W> News<W> {
    pub(super) fn none() -> News<W> {
        News {
            writes: Submissions::none(),
            reads: Submissions::none(),
            applied: Vec::new(),
            messages: Vec::new(),
            reports: Vec::new(),
            wishes: Vec::new(),
            image: None,
            stop: false,
        }
    }

    /// None, with room for about as many requests as there are in this.
    pub(super) fn next(&self) -> News<W> {
        News { writes: self.writes.next(), reads: self.reads.next(), ..News::none() }
    }

    fn is_empty(&self) -> bool {
        self.writes.each.is_empty()
            && self.reads.each.is_empty()
            && self.applied.is_empty()
            && self.messages.is_empty()
            && self.reports.is_empty()
            && self.wishes.is_empty()
            && self.image.is_none()
            && !self.stop
    }
}

impl<R: 'static, W: Waiter<R>> Door for Inbox<R, W> {
    fn receive(&self, received: Received) {
        failpoint::pass("inbox::message");
        self.tell(|state| {
            if state.news.messages.len() < MESSAGES_MAX && !state.closed {
                state.news.messages.push(received);
            }
        });
    }

    fn report(&self, report: Report) {
        self.tell(|state| {
            if state.news.reports.len() < MESSAGES_MAX {
                state.news.reports.push(report);
            }
        });
    }

    fn refused(&self, from: MemberId, why: Refused) {
        self.refusals.note(from, why);
    }
}

impl<R, W: Waiter<R>> Inbox<R, W> {
    /// An empty inbox.
    pub(super) fn new(probe: Probe) -> Inbox<R, W> {
        Inbox::bounded(probe, BACKLOG_MAX)
    }

    fn bounded(probe: Probe, most: Backlog) -> Inbox<R, W> {
        let backlog = Backlog::default();
        let state =
            State { news: News::none(), backlog, sleeping: false, spared: 0, closed: false };
        Inbox {
            // Held for as long as a push and a few hundred bytes take, a third of what reading the clock twice does.
            state: MeasuredMutex::brief(state, probe),
            wake: Condvar::new(),
            taken: AtomicUsize::new(0),
            taken_bytes: AtomicUsize::new(0),
            refusals: Refusals::default(),
            most,
            probe,
            reply: PhantomData,
        }
    }

    /// Submits the command that `command` appends to what it is given, for the log. `waiter` is answered once it was applied, or refused at
    /// once.
    pub fn write(&self, command: impl FnOnce(&mut Vec<u8>), waiter: W) {
        if let Some(state) = self.submit(command, waiter, |news| &mut news.writes) {
            self.wake_loop(state);
        }
    }

    /// Submits a query, as [`Inbox::write`] a command, that needs no log entry; it sees every write answered before. If this says true, the loop sleeps, and the caller
    /// wakes it: by the inbox as a waker, soon, once for all that it asks meanwhile. The loop looks by itself at its next tick.
    #[must_use]
    pub fn read(&self, query: impl FnOnce(&mut Vec<u8>), waiter: W) -> bool {
        let Some(mut state) = self.submit(query, waiter, |news| &mut news.reads) else {
            return false;
        };
        if !state.sleeping || state.spared == 0 {
            return state.sleeping;
        }
        state.spared -= 1;
        self.wake_loop(state);
        false
    }

    /// What was refused of other members.
    pub fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Shows the inbox's lock.
    pub(super) fn visit_locks(&self, visit: Visit<'_>) {
        visit("inbox", &self.state);
    }

    /// Takes a request in, or answers why not.
    fn submit(
        &self,
        command: impl FnOnce(&mut Vec<u8>),
        waiter: W,
        queue: impl Fn(&mut News<W>) -> &mut Submissions<W>,
    ) -> Option<MeasuredGuard<'_, State<W>>> {
        let timeline = Timeline::submitted(self.probe.now());
        failpoint::pass("inbox::submit");
        let mut state = self.state.lock();
        let waiting = state.backlog.and(self.taken());
        let has_room = |bytes| waiting.has_room(bytes, self.most);
        if !state.closed && has_room(0) {
            let Submissions { packed, each } = queue(&mut state.news);
            let before = packed.len();
            let bytes = pack(packed, command);
            if has_room(bytes) {
                each.push(Submission { bytes, timeline, waiter });
                state.backlog.add(Backlog { requests: 1, bytes });
                return Some(state);
            }
            packed.truncate(before);
        }
        let rejected = match state.closed {
            true => Rejected::Stopped,
            false => Rejected::Overloaded(waiting.requests),
        };
        drop(state);
        waiter.answer(Err::<Delivered<R>, _>(rejected));
        None
    }

    fn wake_loop(&self, mut state: MeasuredGuard<'_, State<W>>) {
        if std::mem::take(&mut state.sleeping) {
            drop(state);
            self.wake.notify_one();
        }
    }

    /// For reads, unless the loop was woken for another reason and has taken them.
    fn wake_for_reads(&self) {
        let mut state = self.state.lock();
        if state.news.reads.each.is_empty() {
            return;
        }
        if state.sleeping && state.backlog.requests == 1 {
            state.spared = SPARED;
        }
        self.wake_loop(state);
    }

    /// Asks for something; `reply` hears what became of it, or is dropped if the pipeline ends.
    pub(super) fn wish(&self, what: What, reply: WishReply) {
        self.tell(|state| match state.closed {
            true => reply(Err(Rejected::Stopped)),
            false => state.news.wishes.push(Wish { what, reply }),
        });
    }

    /// What became of the image that was begun last.
    pub(super) fn report_image(&self, image: WrittenImage) {
        self.tell(|state| state.news.image = Some(image));
    }

    /// What an apply thread has finished, and nothing else.
    pub(super) fn take_applied(&self) -> Vec<Applied> {
        std::mem::take(&mut self.state.lock().news.applied)
    }

    /// The applier's message to the loop.
    pub(super) fn report_applied(&self, applied: Applied) {
        self.tell(|state| state.news.applied.push(applied));
    }

    /// Asks the loop to end.
    pub(super) fn stop(&self) {
        self.tell(|state| state.news.stop = true);
    }

    /// Takes nothing in from now on; gives what is still there.
    pub(super) fn close(&self) -> News<W> {
        let mut state = self.state.lock();
        state.closed = true;
        state.backlog = Backlog::default();
        std::mem::replace(&mut state.news, News::none())
    }

    /// What is new, at once, for `next`, which has room and nothing else; what was taken before and still waits counts against the bound.
    pub(super) fn take(&self, waiting: Backlog, next: News<W>) -> News<W> {
        let mut state = self.state.lock();
        let news = std::mem::replace(&mut state.news, next);
        self.still_waiting(waiting.and(std::mem::take(&mut state.backlog)));
        drop(state);
        failpoint::pass("inbox::take");
        news
    }

    /// Writes that came since the loop last took what is new.
    pub(super) fn writes(&self) -> usize {
        self.state.lock().news.writes.each.len()
    }

    /// Whether there is anything to take.
    pub(super) fn has_news(&self) -> bool {
        !self.state.lock().news.is_empty()
    }

    /// Only so much of what was taken out still waits.
    pub(super) fn still_waiting(&self, waiting: Backlog) {
        self.taken.store(waiting.requests, Ordering::Relaxed);
        self.taken_bytes.store(waiting.bytes, Ordering::Relaxed);
    }

    fn taken(&self) -> Backlog {
        let requests = self.taken.load(Ordering::Relaxed);
        Backlog { requests, bytes: self.taken_bytes.load(Ordering::Relaxed) }
    }

    /// Sleeps until there is news or `span` has passed.
    pub(super) fn wait(&self, span: Nanos) {
        let mut state = self.state.lock();
        if state.news.is_empty() {
            state.sleeping = true;
            let mut state = self.state.wait_timeout(state, &self.wake, span.into());
            state.sleeping = false;
        }
    }

    fn tell(&self, change: impl FnOnce(&mut State<W>)) {
        let mut state = self.state.lock();
        change(&mut state);
        state.sleeping = false;
        drop(state);
        self.wake.notify_one();
    }
}

impl<R: 'static, W: Waiter<R>> Wake for Inbox<R, W> {
    fn wake(self: Arc<Self>) {
        self.wake_for_reads();
    }
}

/// Ends the member if the thread that holds it panics: what that thread was there for would never be done again, and nobody would know.
pub struct StopOnPanic<'a, R, W: Waiter<R>>(pub &'a Inbox<R, W>);

impl<R, W: Waiter<R>> Drop for StopOnPanic<'_, R, W> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::task::Waker;

    /// Notes which of its kind were refused.
    struct Noted(Arc<Mutex<Vec<Rejected>>>);

    impl Waiter<()> for Noted {
        fn answer(self, outcome: Result<Delivered<()>, Rejected>) {
            self.0.lock().unwrap().extend(outcome.err());
        }
    }

    struct Full {
        inbox: Inbox<(), Noted>,
        refused: Arc<Mutex<Vec<Rejected>>>,
    }

    impl Full {
        fn new(most: Backlog) -> Full {
            Full { inbox: Inbox::bounded(Probe::off(), most), refused: Arc::default() }
        }

        /// How many were refused so far, after this one.
        fn write(&self, bytes: usize) -> usize {
            let command = |to: &mut Vec<u8>| to.resize(to.len() + bytes, 0);
            self.inbox.write(command, Noted(self.refused.clone()));
            self.refused.lock().unwrap().len()
        }
    }

    impl Full {
        /// As the loop does when there is nothing.
        fn fall_asleep(&self) {
            drop(self.inbox.take(Backlog::default(), News::none()));
            self.inbox.state.lock().sleeping = true;
        }

        fn is_asleep(&self) -> bool {
            self.inbox.state.lock().sleeping
        }

        /// Whether the loop is to be woken for it.
        fn read(&self) -> bool {
            self.inbox.read(|to| to.push(0), Noted(self.refused.clone()))
        }
    }

    #[test]
    fn bytes_are_bounded_here_and_while_they_wait_elsewhere() {
        let full = Full::new(Backlog { requests: 100, bytes: 1_000 });
        assert_eq!(full.write(600), 0);
        assert_eq!(full.write(400), 0, "exactly full");
        assert_eq!(full.write(1), 1);
        assert!(!full.read());
        assert_eq!(
            *full.refused.lock().unwrap(),
            [Rejected::Overloaded(2), Rejected::Overloaded(2)]
        );

        assert_eq!(full.inbox.take(Backlog::default(), News::none()).writes.each.len(), 2);
        assert_eq!(full.write(1), 3, "taken, and waiting still");
        full.inbox.still_waiting(Backlog { requests: 1, bytes: 400 });
        assert_eq!(full.write(600), 3);
        assert_eq!(full.write(1), 4);
        assert_eq!(full.inbox.take(Backlog::default(), News::none()).writes.each.len(), 1);
        full.inbox.still_waiting(Backlog::default());
        assert_eq!(full.write(1_000), 4, "all of it is free again");
    }

    /// An inbox whose loop sleeps, whatever the threads of the host are doing.
    fn asleep() -> Full {
        let full = Full::new(BACKLOG_MAX);
        full.fall_asleep();
        full
    }

    #[test]
    fn who_reads_much_wakes_the_loop_once() {
        let full = asleep();
        assert!(full.read() && full.read(), "it is for whoever reads to wake it");
        assert!(full.is_asleep());
        full.inbox.wake_for_reads();
        assert!(!full.is_asleep() && !full.read(), "awake, it needs nobody");
        full.fall_asleep();
        assert!(full.read(), "nobody was alone, so nobody is spared");
    }

    #[test]
    fn who_reads_alone_wakes_the_loop_at_once_the_next_times() {
        let full = asleep();
        assert!(full.read());
        full.inbox.wake_for_reads();
        for _ in 0..SPARED {
            full.fall_asleep();
            assert!(!full.read() && !full.is_asleep(), "woken at once");
        }
        full.fall_asleep();
        assert!(full.read(), "others may come");
    }

    #[test]
    fn who_comes_too_late_lets_the_loop_sleep() {
        let full = asleep();
        assert!(full.read());
        full.write(1);
        full.fall_asleep();
        full.inbox.wake_for_reads();
        assert!(full.is_asleep(), "what was asked is taken already");
        assert!(full.read(), "and nobody was alone");
    }

    #[test]
    fn the_inbox_is_a_waker_of_a_loop_that_sleeps() {
        let inbox = Arc::new(asleep().inbox);
        inbox.state.lock().sleeping = false;
        std::thread::scope(|threads| {
            threads.spawn(|| inbox.wait(Nanos::from_millis(3_600_000)));
            while !inbox.state.lock().sleeping {
                std::thread::yield_now();
            }
            assert!(inbox.read(|to| to.push(0), Noted(Arc::default())));
            Waker::from(inbox.clone()).wake();
        });
        assert!(!inbox.state.lock().sleeping);
    }

    #[test]
    fn a_write_wakes_the_loop_at_once() {
        let full = asleep();
        full.write(1);
        assert!(!full.is_asleep());
    }

    #[test]
    fn one_alone_always_fits_and_numbers_are_bounded_too() {
        let full = Full::new(Backlog { requests: 2, bytes: 10 });
        assert_eq!(full.write(11), 0, "larger than all there may be");
        assert_eq!(full.write(0), 1, "full by bytes");
        let full = Full::new(Backlog { requests: 2, bytes: 10 });
        assert_eq!((full.write(0), full.write(0), full.write(0)), (0, 0, 1));
    }
}
