//! The levers of a node as flags: the words, ranges and defaults of scenarios, and what becomes of them.

use crate::node;
use crate::scenario::spec;
use crate::scenario::spec::{
    Apply, ApplyOn, Batch, CommitPublish, Engine, Fsync, Linger, Propose, Reads, ShardLayout,
    StateSync, System,
};
use crate::target;
use crate::units::{ByteSize, Nanos, parse_bytes, parse_nanos};
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::hash::{BuildHasher, RandomState};

/// Fewest and most bytes of a batch, as in scenarios.
const BATCH_BYTES: (u64, u64) = (1 << 10, 64 << 20);
/// Most shards there can be.
const SHARDS_MAX: u32 = 65_536;

/// A seed that strangers do not know, so that they cannot choose keys that all fall into one shard.
fn unpredictable() -> u64 {
    RandomState::new().hash_one(())
}

/// One of the words of a lever.
macro_rules! word {
    ($type:ident) => {
        PossibleValuesParser::new($type::WORDS)
            .try_map(|word| $type::from_word(&word).ok_or("not one of the words"))
    };
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Levers of the store")]
pub(super) struct LeverArgs {
    /// Who may touch the store at once
    #[arg(long, value_name = "WORD", default_value = "sharded", value_parser = word!(Apply))]
    apply: Apply,
    /// Locks of the sharded store, a power of two
    #[arg(long, value_name = "COUNT", default_value_t = 512)]
    shards: u32,
    /// How these locks lie in memory: each on a cache line of its own, or without gaps
    #[arg(long, value_name = "WORD", default_value = "padded", value_parser = word!(ShardLayout))]
    shard_layout: ShardLayout,
    /// Threads of the sharded store that execute the requests of a batch
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=64))]
    apply_workers: u32,
    /// What keeps the state
    #[arg(long, value_name = "WORD", default_value = "memory", value_parser = word!(Engine))]
    engine: Engine,
    /// When RocksDB has kept what was applied
    #[arg(long, value_name = "WORD", default_value = "raft-log-only", value_parser = word!(StateSync))]
    state_sync: StateSync,
    /// How requests become log entries
    #[arg(long, value_name = "WORD", default_value = "batched", value_parser = word!(Propose))]
    propose: Propose,
    /// Most requests in one log entry
    #[arg(long, value_name = "COUNT", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    batch_ops_max: u32,
    /// Most bytes in one log entry
    #[arg(long, value_name = "SIZE", default_value = "1MiB", value_parser = batch_bytes)]
    batch_bytes_max: ByteSize,
    /// How long a batch waits for company: 0s, ticker:TIME, armed:TIME or siblings:TIME
    #[arg(long, value_name = "WAIT", default_value = "0s", value_parser = linger)]
    batch_linger: Linger,
    /// Most batches proposed and not yet applied
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    batch_in_flight: u32,
    /// Which thread applies committed entries
    #[arg(long, value_name = "WORD", default_value = "raft-thread", value_parser = word!(ApplyOn))]
    apply_on: ApplyOn,
    /// When committed entries go to apply
    #[arg(long, value_name = "WORD", default_value = "ready", value_parser = word!(CommitPublish))]
    commit_publish: CommitPublish,
    /// What a sync of the log does: real, off (loses writes when the machine fails) or delay:TIME (models another disk)
    #[arg(long, value_name = "SYNC", default_value = "real", value_parser = fsync)]
    fsync: Fsync,
    /// How reads are made linearizable: a quorum confirms the leader each time, or shortly before, which trusts clocks; the same for all members
    #[arg(long, value_name = "WORD", default_value = "read-index", value_parser = word!(Reads))]
    reads: Reads,
    /// Revisions of history that stay readable, at least; 0 keeps all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    keep_revisions: u64,
}

fn batch_bytes(text: &str) -> Result<ByteSize, String> {
    let size = match text.parse() {
        Ok(bytes) => ByteSize(bytes),
        Err(_) => parse_bytes(text).map_err(|error| error.to_string())?,
    };
    match (BATCH_BYTES.0..=BATCH_BYTES.1).contains(&size.0) {
        true => Ok(size),
        false => Err("allowed: 1KiB to 64MiB".to_owned()),
    }
}

fn linger(text: &str) -> Result<Linger, String> {
    let forms = || "allowed: 0s, ticker:5ms, armed:1ms, siblings:50us".to_owned();
    if parse_nanos(text) == Ok(Nanos::ZERO) {
        return Ok(Linger::None);
    }
    let (kind, span) = text.split_once(':').ok_or_else(forms)?;
    Linger::of(kind, time(span, spec::LINGER)?).ok_or_else(forms)
}

fn fsync(text: &str) -> Result<Fsync, String> {
    match (text, text.strip_prefix("delay:")) {
        ("real", _) => Ok(Fsync::Real),
        ("off", _) => Ok(Fsync::Off),
        (_, Some(span)) => time(span, spec::FSYNC_DELAY).map(Fsync::Delay),
        _ => Err("allowed: real, off, delay:TIME, e.g. delay:22ms".to_owned()),
    }
}

fn time(text: &str, (least, most): (Nanos, Nanos)) -> Result<Nanos, String> {
    let span = parse_nanos(text).map_err(|error| error.to_string())?;
    match (least..=most).contains(&span) {
        true => Ok(span),
        false => Err(format!("allowed: {least} to {most}")),
    }
}

impl LeverArgs {
    /// What cannot be.
    pub(super) fn check(&self) -> Result<(), String> {
        if !self.shards.is_power_of_two() || self.shards > SHARDS_MAX {
            return Err(format!(
                "--shards {} is not a power of two up to {SHARDS_MAX}\n  hint: 512 is a good start",
                self.shards
            ));
        }
        if self.engine == Engine::Memory && self.state_sync != StateSync::RaftLogOnly {
            return Err("--state-sync is for an engine on disk\n  hint: --engine rocksdb".into());
        }
        if self.apply == Apply::GlobalMutex && self.apply_workers > 1 {
            return Err("--apply-workers share the sharded store\n  hint: --apply sharded".into());
        }
        Ok(())
    }

    /// The node they describe.
    pub(super) fn config(&self) -> node::Config {
        let mut config = target::node_of(&self.system());
        config.store.hash_seed = unpredictable();
        config
    }

    fn system(&self) -> System {
        System {
            apply: self.apply,
            shards: self.shards,
            shard_layout: self.shard_layout,
            apply_workers: self.apply_workers,
            engine: self.engine,
            state_sync: self.state_sync,
            propose: self.propose,
            batch: Batch {
                ops_max: self.batch_ops_max,
                bytes_max: self.batch_bytes_max,
                linger: self.batch_linger,
                in_flight: self.batch_in_flight,
            },
            apply_on: self.apply_on,
            commit_publish: self.commit_publish,
            fsync: self.fsync,
            reads: self.reads,
            auto_compaction: self.keep_revisions,
            ..System::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        levers: LeverArgs,
    }

    fn parse(flags: &[String]) -> Result<System, clap::Error> {
        let args = std::iter::once("serve").chain(flags.iter().map(String::as_str));
        Flags::try_parse_from(args).map(|flags| flags.levers.system())
    }

    /// A scenario's levers reach a served node as they are.
    #[test]
    fn every_lever_survives_its_flag() {
        let base = System::default();
        assert_eq!(parse(&[]).unwrap(), System { auto_compaction: 0, ..base.clone() });
        let other = System {
            apply: Apply::Sharded,
            shards: 64,
            shard_layout: ShardLayout::Packed,
            apply_workers: 3,
            engine: Engine::Rocksdb,
            state_sync: StateSync::PerBatch,
            propose: Propose::Pipelined,
            batch: Batch {
                ops_max: 7,
                bytes_max: ByteSize(4096),
                linger: Linger::Armed(Nanos(1_500)),
                in_flight: 3,
            },
            apply_on: ApplyOn::ApplyThread,
            commit_publish: CommitPublish::NextReady,
            fsync: Fsync::Delay(Nanos(22_000_000)),
            reads: Reads::Lease,
            auto_compaction: 5,
            ..base.clone()
        };
        let mutex = System { apply: Apply::GlobalMutex, propose: Propose::Serial, ..base.clone() };
        let lingers = [
            Linger::Ticker(Nanos(5_000_000)),
            Linger::Siblings(Nanos(50_000)),
            Linger::Armed(spec::LINGER.1),
        ];
        let lingering = lingers.map(|linger| System {
            batch: Batch { linger, ..base.batch },
            fsync: Fsync::Off,
            ..base.clone()
        });
        for system in [base.clone(), other, mutex].into_iter().chain(lingering) {
            assert_eq!(parse(&target::flags(&system)).unwrap(), system);
        }
    }

    #[test]
    fn flags_have_the_ranges_of_scenarios() {
        for wrong in [
            "--batch-linger=armed:2s",
            "--batch-linger=5ms",
            "--batch-linger=soon:5ms",
            "--fsync=delay:11s",
            "--fsync=never",
            "--batch-bytes-max=1B",
            "--batch-in-flight=0",
            "--apply=both",
            "--reads=serializable",
        ] {
            assert!(parse(&[wrong.to_owned()]).is_err(), "{wrong}");
        }
    }
}
