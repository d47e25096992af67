//! What goes wrong in a group of processes, and what it takes to make it go wrong.

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A follower is killed (SIGKILL) and started again.
    FollowerKilled,
    /// The leader is.
    LeaderKilled,
    /// Everybody is, at once.
    AllKilled,
    /// A follower is killed within its k-th sync from then on.
    FollowerDiesAtSync,
    /// The leader is.
    LeaderDiesAtSync,
    /// A sync of a follower fails with EIO: it must end by itself.
    FollowerSyncFails,
    /// One of the leader's does.
    LeaderSyncFails,
    /// A member's disk is full (ENOSPC) from some write on: it must end by itself.
    DiskFull,
    /// The leader's syncs take 20 ms longer for a while.
    SlowSyncs,
    /// The leader is stopped (SIGSTOP) until another leads, and goes on.
    LeaderPaused,
    /// A follower is stopped for a while.
    FollowerPaused,
    /// The leader hands over to another member.
    HandOver,
    /// A new member learns, votes, and is removed again.
    MemberComesAndGoes,
    /// A follower is removed, and comes back as another member with nothing of its own.
    MemberReplaced,
    /// A follower is away until the log no longer has what it lacks, so that it needs an image.
    NeedsImage,
    /// All connections between members are reset.
    ConnectionsReset,
    /// A member's wall clock jumps an hour ahead and back.
    ClockJumps,
    /// A member's wall clock runs ten times as fast for a while.
    ClockRuns,
}

/// A program or library that a fault needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tool {
    Strace,
    Faketime,
}

impl Fault {
    /// All that a group of three or more can have.
    pub const OF_SEVERAL: [Fault; 18] = [
        Fault::FollowerKilled,
        Fault::LeaderDiesAtSync,
        Fault::LeaderPaused,
        Fault::NeedsImage,
        Fault::ClockJumps,
        Fault::LeaderKilled,
        Fault::FollowerDiesAtSync,
        Fault::MemberReplaced,
        Fault::ConnectionsReset,
        Fault::LeaderSyncFails,
        Fault::AllKilled,
        Fault::SlowSyncs,
        Fault::MemberComesAndGoes,
        Fault::FollowerSyncFails,
        Fault::HandOver,
        Fault::DiskFull,
        Fault::FollowerPaused,
        Fault::ClockRuns,
    ];
    /// All that a member on its own can have.
    pub const OF_ONE: [Fault; 7] = [
        Fault::AllKilled,
        Fault::LeaderDiesAtSync,
        Fault::LeaderSyncFails,
        Fault::DiskFull,
        Fault::SlowSyncs,
        Fault::ClockJumps,
        Fault::ClockRuns,
    ];

    /// Its name, for people and programs.
    pub fn name(self) -> &'static str {
        match self {
            Fault::FollowerKilled => "follower-killed",
            Fault::LeaderKilled => "leader-killed",
            Fault::AllKilled => "all-killed",
            Fault::FollowerDiesAtSync => "follower-dies-at-sync",
            Fault::LeaderDiesAtSync => "leader-dies-at-sync",
            Fault::FollowerSyncFails => "follower-sync-fails",
            Fault::LeaderSyncFails => "leader-sync-fails",
            Fault::DiskFull => "disk-full",
            Fault::SlowSyncs => "slow-syncs",
            Fault::LeaderPaused => "leader-paused",
            Fault::FollowerPaused => "follower-paused",
            Fault::HandOver => "hand-over",
            Fault::MemberComesAndGoes => "member-comes-and-goes",
            Fault::MemberReplaced => "member-replaced",
            Fault::NeedsImage => "needs-image",
            Fault::ConnectionsReset => "connections-reset",
            Fault::ClockJumps => "clock-jumps",
            Fault::ClockRuns => "clock-runs",
        }
    }

    /// What it cannot do without.
    pub(super) fn needs(self) -> Option<Tool> {
        match self {
            Fault::FollowerDiesAtSync
            | Fault::LeaderDiesAtSync
            | Fault::FollowerSyncFails
            | Fault::LeaderSyncFails
            | Fault::DiskFull
            | Fault::SlowSyncs => Some(Tool::Strace),
            Fault::ClockJumps | Fault::ClockRuns => Some(Tool::Faketime),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_fault_is_listed_once_under_a_name_of_its_own() {
        let names: BTreeSet<&str> = Fault::OF_SEVERAL.iter().map(|fault| fault.name()).collect();
        assert_eq!(names.len(), Fault::OF_SEVERAL.len());
        assert!(Fault::OF_ONE.iter().all(|fault| Fault::OF_SEVERAL.contains(fault)));
    }
}
