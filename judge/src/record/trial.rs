//! One fresh start of one arm, and what the store held when it had ended.

use super::Cell;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One fresh start of one arm: the unit of replication.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Trial {
    /// Which block; one trial of each arm shares it.
    pub block: u32,
    /// Name of the arm.
    pub arm: String,
    /// True for the second trial of an arm in a block, used only against the first (A/A).
    pub aa: bool,
    /// Since the run began, seconds.
    pub started_s: f64,
    /// Start of node and folder, and putting the keys that are there from the start, seconds.
    pub prepare_s: f64,
    /// What sharing a batch among apply workers was found to cost when the store was opened; none with one worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sharing: Option<Sharing>,
    /// What was measured, one per phase and client count, in the order it ran.
    pub cells: Vec<Cell>,
    /// State of the store when the load had stopped.
    pub end: TrialEnd,
}

/// What sharing a batch among apply workers costs on this host.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Sharing {
    /// Evaluating one request, as the engine is known to take, ns.
    pub evaluate_ns: f64,
    /// Handing one request to the workers, ns.
    pub dispatch_ns: f64,
    /// Until a worker that sleeps has begun, ns.
    pub wake_ns: f64,
    /// Requests from which a batch is shared.
    pub parallel_from: u32,
}

/// The store after a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialEnd {
    /// Main revision.
    pub revision: i64,
    /// Keys present.
    pub keys: u64,
    /// 128-bit state hash, hexadecimal.
    pub state_hash: String,
    /// The same of every member of the group, the one that answered first; all of what it had committed was applied in each.
    #[serde(default)]
    pub members: Vec<String>,
    /// Writes acknowledged to clients over the whole trial.
    pub writes_acked: u64,
    /// Those of them that changed something and so used up a revision each.
    pub changes_acked: u64,
    /// Leases revoked; each may have used up one revision more, which no answer tells.
    #[serde(default)]
    pub revokes_acked: u64,
    /// The accounts, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank: Option<Bank>,
    /// The versions of the keys, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Versions>,
    /// The leases, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leases: Option<LeasesFound>,
    /// What clients saw of a few keys, questioned for an order, if the scenario asks for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sampled: Option<Sampled>,
    /// What the log gave back to a node started on it again, if that was tried.
    pub replayed: Option<Replayed>,
}

/// What all accounts held after a trial of transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Bank {
    /// Accounts there should be.
    pub accounts: u64,
    /// Accounts that were there and held a balance.
    pub found: u64,
    /// Money there should be.
    pub money: u64,
    /// Money in them all.
    pub sum: u64,
}

/// The versions of all keys after a trial that only put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Versions {
    /// Keys that were there.
    pub keys: u64,
    /// Their versions added up: how often all of them were put.
    pub sum: u64,
    /// Keys whose version or revisions cannot be: a creation after the last change, or a last change that another key has too.
    pub wrong: u64,
    /// The newest of the last changes.
    pub newest: i64,
}

/// Leases after a trial, seen from the leases and from the keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeasesFound {
    /// Leases that were there.
    pub leases: u64,
    /// Keys that hang on a lease, as the keys say.
    pub attached: u64,
    /// Keys of which only the lease or only the key says so.
    pub wrong: u64,
}

/// What clients saw of a few keys in the measurements of a trial, warm-ups included, each measurement questioned by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sampled {
    /// Keys that were looked at, those of each measurement counted.
    pub keys: u64,
    /// Operations of clients on them.
    pub operations: u64,
    /// Reads sent right after a write was answered, and before and after the load.
    pub reads: u64,
    /// Operations whose outcome nobody knows.
    pub unknown: u64,
    /// Keys on which more was done than a search for an order bears: the rest of it was not looked at.
    pub cut: u64,
    /// Keys for which the search was given up.
    pub undecided: u64,
    /// What no order explains, in words.
    pub wrong: Vec<String>,
}

impl Sampled {
    /// Adds what another measurement showed.
    pub fn add(&mut self, other: &Sampled) {
        self.keys += other.keys;
        self.operations += other.operations;
        self.reads += other.reads;
        self.unknown += other.unknown;
        self.cut += other.cut;
        self.undecided += other.undecided;
        self.wrong.extend(other.wrong.iter().cloned());
    }
}

/// The store of a node that was started again on the log of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// Main revision.
    pub revision: i64,
    /// 128-bit state hash, hexadecimal.
    pub state_hash: String,
}
