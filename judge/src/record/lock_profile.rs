//! Who waited for which lock and who held it, in a trial of its own; and what each thread role did with its time meanwhile.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One arm's locks by place.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LockProfile {
    /// Which arm.
    pub arm: String,
    /// Client count it ran at.
    pub clients: u32,
    /// Profiled span, seconds.
    pub elapsed_s: f64,
    /// Operations finished in it.
    pub ops: u64,
    /// Their mean service time, ns.
    pub service_mean_ns: f64,
    /// One stack was taken for so much waiting at a lock, and for so much holding of it, ns.
    pub period_ns: u64,
    /// The locks by name, those that were taken.
    pub locks: Vec<ProfiledLock>,
    /// What the threads did with their time, by role.
    pub roles: Vec<RoleTime>,
    /// Bundle file with the stacks of who waited, folded, in ns.
    pub wait_file: String,
    /// Bundle file with the stacks of who held, folded, in ns.
    pub hold_file: String,
    /// Bundle file with the stacks of who waited, as gzipped `profile.proto`.
    pub pprof_file: String,
    /// Bundle file with the flame graph of who waited; absent if no stack was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flame_file: Option<String>,
}

/// All locks of one name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ProfiledLock {
    /// `store`, `leases`, `publication`, `turnstile`, `inbox` and others: METHODOLOGY says what each guards.
    pub name: String,
    /// How often each was taken, in their order.
    pub acquisitions_each: Vec<u64>,
    /// How long each was waited for, ns, in their order.
    pub wait_ns_each: Vec<u64>,
    /// Times somebody else held it, all together.
    pub contended: u64,
    /// Time they were held, ns, all together.
    pub hold_ns: u64,
    /// How long a wait took, of those who waited.
    pub wait: Spread,
    /// How long a hold took.
    pub hold: Spread,
    /// Who waited, longest first.
    pub waiters: Vec<LockSite>,
    /// Who held, longest first.
    pub holders: Vec<LockSite>,
}

/// A distribution in three numbers, each within 3.2 %.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Spread {
    /// Median, ns.
    pub p50_ns: u64,
    /// 99th percentile, ns.
    pub p99_ns: u64,
    /// The longest, ns.
    pub max_ns: u64,
}

/// A function that asks for a lock or gives it back: the innermost that is more than a way to the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LockSite {
    /// Its name with its module.
    pub function: String,
    /// Stacks taken there.
    pub samples: u64,
    /// Time that they stand for, ns.
    pub nanos: u64,
}

/// What the threads of one role did with their time. What is left of `threads` times the span is everything else, above all waiting for
/// work; in a group of several members also waiting for the followers' locks and disks, and with an engine on disk waiting for that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RoleTime {
    /// `load`, `raft`, `apply`, `watch`, `other`.
    pub role: String,
    /// How many threads.
    pub threads: u32,
    /// On a CPU, ns.
    pub cpu_ns: u64,
    /// Runnable, waiting for a CPU, ns.
    pub runqueue_ns: u64,
    /// Waiting for a lock, ns.
    pub lock_ns: u64,
    /// Syncing the log, ns.
    pub disk_ns: u64,
}

/// A record may hold any numbers.
fn sum(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0, |sum, number| sum.saturating_add(*number))
}

impl ProfiledLock {
    /// Times taken, all together.
    pub fn acquisitions(&self) -> u64 {
        sum(&self.acquisitions_each)
    }

    /// Time waited, ns, all together.
    pub fn wait_ns(&self) -> u64 {
        sum(&self.wait_ns_each)
    }
}

impl LockProfile {
    /// Waiting for all locks as a share of the time that operations took; 0 if none finished.
    pub fn wait_share(&self) -> f64 {
        let waited: f64 = self.locks.iter().map(|lock| lock.wait_ns() as f64).sum();
        let all = self.service_mean_ns * self.ops as f64;
        if all > 0.0 { waited / all } else { 0.0 }
    }

    /// The lock and the place where most of the waiting was, and its share of all waiting that the stacks tell of; none if no stack was taken.
    pub fn hottest(&self) -> Option<(&ProfiledLock, &LockSite, f64)> {
        let sites =
            || self.locks.iter().flat_map(|lock| lock.waiters.iter().map(move |site| (lock, site)));
        let all: f64 = sites().map(|(_, site)| site.nanos as f64).sum();
        let (lock, site) = sites().max_by_key(|(_, site)| site.nanos)?;
        Some((lock, site, site.nanos as f64 / all))
    }
}
