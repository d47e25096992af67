//! All places, with what can be asked of each and what comes of it. A test holds this list against the source and against docs/verify.md.

use super::Action;

/// A place that can be armed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Its name: where, and what is about to be done or was just done.
    pub name: &'static str,
    /// What brings a member there.
    pub by: By,
    /// What a panic comes to; none where the thread is not the member's own, but that of whoever calls it.
    pub panic: Option<After>,
    /// What an error comes to; none where nothing can fail.
    pub error: Option<After>,
}

/// What brings a member to a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum By {
    /// Requests, and the images that follow from them.
    Load,
    /// A start on a folder that holds something.
    Start,
    /// An image that the leader sends, since its log no longer has what is lacking.
    Image,
    /// Another leader.
    HandOver,
    /// A change of the group.
    Change,
    /// Something that an operator asks for or that takes its time: a compaction, an alarm, a lease that ends, a batch that workers share.
    Occasion,
    /// Clients and members that come over the network to `kvbench serve`.
    Network,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum After {
    /// The member refuses everything from then on, until it is started again.
    Stops,
    /// The member does not start; it does when it is started again.
    NoStart,
    /// The member goes on: what failed is done again, or is somebody else's loss.
    GoesOn,
}

impl Site {
    /// Whether `action` can happen there.
    pub fn takes(&self, action: Action) -> bool {
        match action {
            Action::Panic => self.panic.is_some(),
            Action::Error => self.error.is_some(),
            Action::Sleep(_) | Action::Kill => true,
        }
    }

    /// What comes of `action`.
    pub fn after(&self, action: Action) -> Option<After> {
        match action {
            Action::Panic => self.panic,
            Action::Error => self.error,
            Action::Sleep(_) => Some(After::GoesOn),
            Action::Kill => None,
        }
    }
}

/// Where a panic or an error ends the member.
const fn ends(name: &'static str, by: By) -> Site {
    Site { name, by, panic: Some(After::Stops), error: Some(After::Stops) }
}

/// Where a panic ends the member, and nothing can fail.
const fn panics(name: &'static str, by: By) -> Site {
    Site { name, by, panic: Some(After::Stops), error: None }
}

/// Where a panic ends the member, and what fails is done again.
const fn retried(name: &'static str, by: By) -> Site {
    Site { name, by, panic: Some(After::Stops), error: Some(After::GoesOn) }
}

/// On the way to a start.
const fn start(name: &'static str) -> Site {
    Site { name, by: By::Start, panic: Some(After::NoStart), error: Some(After::NoStart) }
}

/// On the thread of whoever calls.
const fn caller(name: &'static str, by: By) -> Site {
    Site { name, by, panic: None, error: None }
}

/// Where what comes over the network, or goes there, is lost.
const fn lost(name: &'static str) -> Site {
    let by = By::Network;
    Site { name, by, panic: Some(After::GoesOn), error: Some(After::GoesOn) }
}

/// Every site there is.
pub const SITES: &[Site] = &[
    // The Ready loop.
    panics("inbox::take", By::Load),
    caller("inbox::submit", By::Load),
    caller("inbox::message", By::Load),
    panics("ready::message", By::Load),
    panics("ready::forwarded-proposal", By::Load),
    panics("ready::tick", By::Load),
    ends("ready::before-propose", By::Load),
    ends("ready::after-propose", By::Load),
    panics("ready::before-send", By::Load),
    ends("ready::before-append", By::Load),
    ends("ready::after-append", By::Load),
    ends("ready::before-publish", By::Load),
    ends("ready::after-publish", By::Load),
    panics("ready::before-read", By::Load),
    panics("ready::begin-image", By::Load),
    ends("ready::note-image", By::Load),
    ends("ready::before-install", By::Image),
    ends("ready::after-install", By::Image),
    panics("ready::hand-over", By::HandOver),
    panics("ready::new-role", By::HandOver),
    ends("ready::change-group", By::Change),
    // The log.
    start("log::open"),
    start("log::recovered"),
    ends("log::before-write", By::Load),
    ends("log::after-write", By::Load),
    ends("log::sync", By::Load),
    ends("log::before-cut", By::Load),
    ends("log::after-cut", By::Load),
    Site { name: "log::sweep", by: By::Load, panic: Some(After::GoesOn), error: None },
    ends("log::put-members", By::Change),
    // Images of the state.
    retried("image::begin", By::Load),
    retried("image::head", By::Load),
    retried("image::version", By::Load),
    retried("image::end", By::Load),
    retried("image::before-sync", By::Load),
    retried("image::after-sync", By::Load),
    retried("image::before-rename", By::Load),
    retried("image::after-rename", By::Load),
    retried("image::after-folder-sync", By::Load),
    start("image::open-folder"),
    start("image::load"),
    start("image::read"),
    Site {
        name: "image::plant",
        by: By::Occasion,
        panic: Some(After::NoStart),
        error: Some(After::NoStart),
    },
    // The applier.
    panics("applier::hand-over", By::Load),
    panics("applier::before-apply", By::Load),
    panics("applier::after-apply", By::Load),
    panics("applier::before-answer", By::Load),
    // The store.
    panics("store::between-requests", By::Load),
    panics("store::before-evaluate", By::Load),
    panics("store::before-settle", By::Load),
    panics("store::before-commit", By::Load),
    panics("store::before-notify", By::Load),
    panics("store::before-wake", By::Load),
    panics("store::lease-table", By::Load),
    panics("store::compaction", By::Occasion),
    panics("store::forget", By::Occasion),
    panics("store::alarm", By::Occasion),
    panics("workers::request", By::Occasion),
    panics("workers::before-settle", By::Occasion),
    panics("watch::notify", By::Load),
    caller("watch::catch-up", By::Load),
    caller("watch::join", By::Load),
    #[cfg(feature = "rocksdb")]
    panics("rocksdb::before-write", By::Load),
    #[cfg(feature = "rocksdb")]
    panics("rocksdb::after-write", By::Load),
    // The node.
    start("node::folder"),
    start("node::locked"),
    start("node::store-opened"),
    start("node::adopt-state"),
    start("node::state-adopted"),
    start("node::started"),
    panics("node::before-lessor", By::Load),
    panics("node::lead", By::HandOver),
    panics("node::propose-compaction", By::Occasion),
    panics("lessor::expired", By::Occasion),
    // Members and clients on the network.
    lost("peer::connect"),
    lost("peer::send"),
    lost("peer::receive"),
    lost("peer::send-image"),
    lost("peer::receive-image"),
    lost("peer::image-received"),
    Site {
        name: "server::accept",
        by: By::Network,
        panic: Some(After::Stops),
        error: Some(After::GoesOn),
    },
    lost("server::request"),
    lost("server::answer"),
];
