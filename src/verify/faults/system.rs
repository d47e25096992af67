//! What a campaign asks of a group, be it nodes within the process or processes of their own.

use crate::clock::Clock;
use crate::model::{Event, MainRevision, Request, Response};
use crate::raft::MemberId;
use crate::store::Dump;
use crate::units::Nanos;
use crate::verify::watch::Watched;
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;

/// Far beyond what a member takes to answer once nothing is wrong any more: what it proposed and was lost it gives up after five seconds.
const PATIENCE: Nanos = Nanos::from_millis(30_000);
/// How often is asked.
const LOOK: Nanos = Nanos::from_millis(3);
/// Longer than a message is on its way.
const QUIET: Nanos = Nanos::from_millis(200);
/// A key that no client writes.
const NOBODYS: &[u8] = b"nobody's";

/// A group in which things go wrong.
pub(in crate::verify) trait System: Sync {
    /// What can go wrong in it.
    type Fault: Copy;
    /// How one client reaches the members.
    type Way<'a>: Way
    where
        Self: 'a;

    /// Whether its watches tell an event's place among the changes of its revision.
    const TELLS_PLACES: bool;

    /// The one clock of the history.
    fn clock(&self) -> Clock;

    /// Members that clients ask: those from 1 to this number.
    fn size(&self) -> u64;

    /// Whether there is somebody to ask.
    fn is_up(&self, me: MemberId) -> bool;

    /// A way to all members for a client of its own.
    fn way(&self) -> Self::Way<'_>;

    /// Makes `fault` happen, ends it, and says what was seen of it.
    fn inject(&self, fault: Self::Fault, random: &mut ChaCha8Rng) -> Came;

    /// The last entry that is known to be committed, once every member has applied it; nothing if that does not come.
    fn agreed(&self, way: &mut Self::Way<'_>) -> Option<u64>;

    /// Once nothing is wrong: waits until all members have the same and nothing comes any more. Gives the time until they first had it;
    /// nothing if they never do.
    fn settle(&self) -> Option<Nanos> {
        let (began, mut way) = (self.clock().now(), self.way());
        self.agreed(&mut way)?;
        let settled = self.clock().now().since(began);
        self.flush(&mut way)?;
        let mut last = self.agreed(&mut way)?;
        loop {
            self.clock().sleep(QUIET);
            match self.agreed(&mut way)? {
                same if same == last => return Some(settled),
                later => last = later,
            }
        }
    }

    /// Sends something through the log, at every member, that changes nothing. What clients gave up may wait before it there, behind a slow log or
    /// a proposal that was lost; once this is answered it is done, or never will be.
    fn flush(&self, way: &mut Self::Way<'_>) -> Option<()> {
        let began = self.clock().now();
        for me in 1..=self.size() {
            while !matches!(way.call(me, Request::delete(NOBODYS)), Called::Answered(_)) {
                if self.clock().now().since(began) > PATIENCE {
                    return None;
                }
                self.clock().sleep(LOOK);
            }
        }
        Some(())
    }

    /// What there is in the end, or why members do not agree on it.
    fn end(&self) -> Result<End, String>;
}

/// A client's connections.
pub(in crate::verify) trait Way {
    /// An open watch.
    type Watch;

    /// Asks a member once, and says what came of it.
    fn call(&mut self, me: MemberId, request: Request) -> Called;

    /// The newest revision that a member has, if it says so.
    fn revision(&mut self, me: MemberId) -> Option<MainRevision>;

    /// Watches at a member what `watched` was not told yet.
    fn watch(&mut self, me: MemberId, watched: &Watched) -> Option<Self::Watch>;

    /// What the watch tells next; nothing if that is nothing for a while, or it has ended.
    fn told(&mut self, watch: &mut Self::Watch) -> Option<Told>;
}

/// What came of a call.
pub(in crate::verify) enum Called {
    /// It was answered.
    Answered(Response),
    /// It was surely not done.
    Refused,
    /// Nobody knows.
    Unknown,
}

/// What a watch tells.
pub(in crate::verify) enum Told {
    /// Whole revisions, in order.
    Events(Vec<(MainRevision, Vec<Arc<Event>>)>),
    /// Everything up to this revision was told.
    Progress(MainRevision),
}

/// What was seen of a fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Came {
    /// Its name.
    pub kind: &'static str,
    /// What happened, where its name only says at which site.
    pub action: Option<String>,
    /// Whether it was seen to happen.
    pub happened: bool,
    /// When it struck.
    pub struck: Nanos,
    /// From then until another member led, if it took the leader away and that was looked at.
    pub led: Option<Nanos>,
    /// From then until a write was acknowledged that was sent after it.
    pub written: Option<Nanos>,
    /// From its end until every member had what was committed by then, if that was looked at.
    pub level: Option<Nanos>,
}

impl Came {
    /// One that struck and was not looked at further.
    pub(in crate::verify) fn plain(kind: &'static str, happened: bool, struck: Nanos) -> Came {
        Came { kind, action: None, happened, struck, led: None, written: None, level: None }
    }
}

/// What there is in the end.
#[derive(Default)]
pub(in crate::verify) struct End {
    /// Every change from revision 2 on, as one member has them.
    pub(in crate::verify) truth: Vec<Event>,
    /// The state of every member, by name.
    pub(in crate::verify) members: Vec<(String, Dump)>,
}
