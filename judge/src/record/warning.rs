//! Circumstances a reader must know. Which of them hold is found in `runner`; `report` words them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A circumstance a reader must know, as data; the renderer words it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Warning {
    /// Not a release build: numbers mean little.
    DebugBuild,
    /// The build counts what it asks of its allocator, which costs time.
    CountsAllocations,
    /// The build has failpoints, each of which costs time, and any of which may have been armed.
    CanBeToldToFail,
    /// System calls were counted, which costs each of them time.
    CountsSyscalls,
    /// System calls should have been counted and were not.
    SyscallsNotCounted {
        /// Why, and what to do.
        reason: String,
    },
    /// The log was not really synced in this arm.
    FsyncNotReal {
        /// Which arm.
        arm: String,
        /// Its `fsync` lever.
        fsync: String,
    },
    /// The load generator used most of its cores: it may be the bottleneck.
    LoadGeneratorBusy {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Share of its threads' time, 0..=1.
        share: f64,
    },
    /// The system did not keep up with an open load: latencies grew as long as it lasted.
    Unsustained {
        /// Which arm.
        arm: String,
        /// The phase.
        cell: String,
        /// In how many trials.
        trials: u32,
        /// Of how many.
        of: u32,
        /// Operations due per second, the median over trials.
        offered_per_s: f64,
        /// Share of them that was answered in time, the least over trials.
        achieved: f64,
    },
    /// Operations of an open load were sent late, so their latency is partly the generator's.
    SendLag {
        /// Which arm.
        arm: String,
        /// The phase.
        cell: String,
        /// The 99th percentile, ns.
        p99_ns: f64,
    },
    /// The load generator was ready and had no CPU for a part of its threads' time.
    LoadWaited {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Share of its threads' time, 0..=1.
        share: f64,
    },
    /// Rate times latency does not give the client count.
    LittlesLaw {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Relative gap, fraction.
        gap: f64,
    },
    /// Stage sums and end-to-end time differ by more than 2 %.
    StageGap {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Relative gap, fraction.
        gap: f64,
    },
    /// Agents did not measure the same span.
    AgentsOutOfStep {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// By how much of the span the worst of them may have been off, fraction.
        gap: f64,
    },
    /// Blocks were given up and run again.
    BlocksVoided {
        /// How many.
        blocks: u32,
        /// Why the first was.
        reason: String,
    },
    /// Blocks were measured again, since the host was disturbed.
    BlocksRepeated {
        /// How many of them.
        blocks: u32,
        /// Blocks that were measured.
        of: u32,
        /// How often in all; a block may be measured again more than once.
        repeats: u32,
        /// What disturbed the first.
        reason: String,
    },
    /// Blocks count although the host was disturbed.
    BlocksDisturbed {
        /// How many.
        blocks: u32,
        /// Blocks that were measured.
        of: u32,
        /// Whether the scenario asked to keep them; else measuring again was used up.
        asked: bool,
        /// What disturbed the first.
        reason: String,
    },
    /// The profile could not be taken.
    NoProfile {
        /// Why.
        reason: String,
    },
    /// The log was on a file system that does not reach a disk, so syncs mean nothing.
    NoDisk {
        /// Its type.
        filesystem: String,
    },
    /// The run ended with a failure; only what was finished before is in it.
    Failed {
        /// What happened.
        reason: String,
    },
    /// Somebody else used the machine's CPUs meanwhile.
    Disturbed {
        /// Which arm.
        arm: String,
        /// `phase@clients`.
        cell: String,
        /// Cores that others kept busy, or that the hypervisor gave away.
        cores: f64,
        /// The same as a share of the machine, 0..=1.
        share: f64,
    },
    /// The log was on a file system that may keep, send or copy what is synced in its own way.
    DoubtfulDisk {
        /// Its type.
        filesystem: String,
    },
    /// The frequency governor keeps the clock low, and raises it late.
    SlowGovernor {
        /// Its name.
        governor: String,
    },
    /// Profiles were taken of a program without line tables, so frames have no module in front of them.
    BareFrames,
    /// Other work kept the host busy when the run began.
    BusyHost {
        /// 1-minute load average.
        load_average: f64,
    },
}

impl Warning {
    /// The arm it is about, if it is about one.
    pub fn arm_mut(&mut self) -> Option<&mut String> {
        match self {
            Warning::FsyncNotReal { arm, .. }
            | Warning::LoadGeneratorBusy { arm, .. }
            | Warning::Unsustained { arm, .. }
            | Warning::SendLag { arm, .. }
            | Warning::LoadWaited { arm, .. }
            | Warning::LittlesLaw { arm, .. }
            | Warning::StageGap { arm, .. }
            | Warning::AgentsOutOfStep { arm, .. }
            | Warning::Disturbed { arm, .. } => Some(arm),
            Warning::DebugBuild
            | Warning::CountsAllocations
            | Warning::CanBeToldToFail
            | Warning::CountsSyscalls
            | Warning::SyscallsNotCounted { .. }
            | Warning::BlocksVoided { .. }
            | Warning::BlocksRepeated { .. }
            | Warning::BlocksDisturbed { .. }
            | Warning::NoProfile { .. }
            | Warning::NoDisk { .. }
            | Warning::Failed { .. }
            | Warning::DoubtfulDisk { .. }
            | Warning::SlowGovernor { .. }
            | Warning::BareFrames
            | Warning::BusyHost { .. } => None,
        }
    }

    /// Whether it says the same of the same place, if with other numbers.
    pub fn is_like(&self, other: &Warning) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.place() == other.place()
    }

    /// The arm and the `phase@clients` it is about; empty where it names none.
    fn place(&self) -> (&str, &str) {
        match self {
            Warning::FsyncNotReal { arm, .. } => (arm, ""),
            Warning::LoadGeneratorBusy { arm, cell, .. }
            | Warning::Unsustained { arm, cell, .. }
            | Warning::SendLag { arm, cell, .. }
            | Warning::LoadWaited { arm, cell, .. }
            | Warning::LittlesLaw { arm, cell, .. }
            | Warning::StageGap { arm, cell, .. }
            | Warning::AgentsOutOfStep { arm, cell, .. }
            | Warning::Disturbed { arm, cell, .. } => (arm, cell),
            _ => ("", ""),
        }
    }
}
