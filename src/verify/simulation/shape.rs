//! What kind of a group a seed makes: its size, its levers, its network, its disks and its clocks.

use crate::node::{Compaction, Config};
use crate::raft::{
    self, ApplyOn, Batch, Fsync, ImagePolicy, Linger, Propose, Publish, Reads, Timing,
};
use crate::seed::Seed;
use crate::store::{self, PathKind};
use crate::units::{ByteSize, Nanos};
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

/// One tick of a simulation.
pub const TICK: Nanos = Nanos::from_millis(1);
/// Ten ticks to a heartbeat, a hundred to an election timeout.
pub(super) const TIMING: Timing =
    Timing { heartbeat: Nanos::from_millis(10), election: Nanos::from_millis(100) };
/// Clocks differ from the simulation's by at most so many millionths, so that any two agree within the tenth that leases allow for.
const RATE_OFF_MAX: u64 = 40_000;
/// Shards of the sharded path: few, so that keys share them.
const SHARDS: u32 = 8;

/// A group, as the seed wants it.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Members at the start.
    pub(super) size: u64,
    pub(super) config: Config,
    pub(super) images: ImagePolicy,
    /// Shortest and longest way of a message in good times.
    pub(super) delay: (Nanos, Nanos),
    /// The longest that a sync takes in good times.
    pub(super) sync: Nanos,
    pub(super) clients: u64,
    /// Most ticks that a client thinks between two requests.
    pub(super) thinks: u64,
}

impl Shape {
    pub(super) fn of(seed: Seed) -> Shape {
        let mut random = seed.stream("simulation-shape", 0);
        let micros = |random: &mut ChaCha8Rng, from: u64, to: u64| {
            Nanos(1_000 * random.random_range(from..=to))
        };
        let size = one_of(&mut random, &[3, 3, 3, 4, 5]);
        let entries = random.random_range(20..=200);
        let keep = random.random_range(0..=entries / 3);
        Shape {
            size,
            config: config(&mut random),
            images: ImagePolicy { entries, bytes: ByteSize(1 << 30), keep },
            delay: (micros(&mut random, 50, 500), micros(&mut random, 500, 6_000)),
            sync: micros(&mut random, 50, 4_000),
            clients: random.random_range(2..=8),
            thinks: random.random_range(5..=60),
        }
    }

    /// How fast the clock of a member runs, in millionths of the simulation's.
    pub(super) fn rate(random: &mut ChaCha8Rng) -> u64 {
        1_000_000 - RATE_OFF_MAX + random.random_range(0..=2 * RATE_OFF_MAX)
    }
}

fn config(random: &mut ChaCha8Rng) -> Config {
    let batched = |linger, in_flight| {
        let bytes_max = ByteSize(1 << 20);
        Propose::Batched(Batch { ops_max: 16, bytes_max, linger, in_flight })
    };
    let propose = [
        Propose::Serial,
        Propose::Pipelined,
        batched(Linger::None, 1),
        batched(Linger::None, 4),
        batched(Linger::Siblings(Nanos::from_millis(1)), 2),
    ];
    let paths = [PathKind::GlobalMutex, PathKind::Sharded { shards: SHARDS, workers: 1 }];
    Config {
        store: store::Config::in_memory(one_of(random, &paths)),
        // The truth is read at the end, all of it.
        compaction: Compaction::NEVER,
        pipeline: raft::Config {
            propose: one_of(random, &propose),
            apply_on: ApplyOn::RaftThread,
            publish: one_of(random, &[Publish::Ready, Publish::NextReady]),
            fsync: Fsync::Real,
            reads: one_of(random, &[Reads::Index, Reads::Lease]),
        },
    }
}

fn one_of<T: Copy>(random: &mut ChaCha8Rng, list: &[T]) -> T {
    *list.choose(random).expect("there is something to choose")
}
