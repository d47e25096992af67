//! Where threads wait for locks, and where they hold them: call stacks with the time that each stands for.

use super::symbols::{self, RawFrame};
use super::{Folded, pprof};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Source folder and module of the locks' own code, which is where every such stack ends.
const LOCK_FOLDER: &str = "measure/lock/";
const LOCK_MODULE: &str = "measure::lock::";

/// Functions that take or give back a lock for whoever calls them, who is the one of interest.
const ACCESSORS: [&str; 11] = [
    "node::lessor::state",
    "raft::network::state",
    "store::image::state",
    "store::index::fresh",
    "store::publication::turn",
    "store::rocks::keys",
    "store::sharded::lock",
    "store::sharded::lock_all",
    "store::sharded::leave",
    "store::sharded::leases",
    "store::watch::hub::index",
];

/// Call stacks by lock, with what they stand for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LockStacks {
    /// By stack, root first, the lock last.
    rows: BTreeMap<Row, Weight>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    stack: String,
    lock: String,
}

/// What one stack stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Weight {
    samples: u64,
    nanos: u64,
    times: f64,
}

/// All stacks at one lock that end in the same function.
#[derive(Clone, Debug, PartialEq)]
pub struct Site {
    /// The lock's name.
    pub lock: String,
    /// The function that asked for it, or gave it back: the innermost that is more than a way to the lock.
    pub function: String,
    /// Stacks taken there.
    pub samples: u64,
    /// Time that they stand for, ns.
    pub nanos: u64,
}

impl LockStacks {
    /// One stack: the thread's name, its frames root first as name and source file, the lock, and what it stands for: stacks taken, ns and
    /// how often.
    pub fn add(
        &mut self,
        thread: &str,
        frames: impl IntoIterator<Item = (String, Option<String>)>,
        lock: &str,
        (samples, nanos, times): (u64, u64, f64),
    ) {
        let frames = frames.into_iter().map(|(name, file)| RawFrame { name, file });
        let stack = symbols::stack(thread, frames.take_while(|frame| !is_of_the_lock(frame)));
        let weight = self.rows.entry(Row { stack, lock: lock.to_owned() }).or_default();
        weight.samples += samples;
        weight.nanos += nanos;
        weight.times += times;
    }

    /// Stacks taken.
    pub fn samples(&self) -> u64 {
        self.rows.values().map(|weight| weight.samples).sum()
    }

    /// Time that all of them stand for, ns.
    pub fn nanos(&self) -> u64 {
        self.rows.values().map(|weight| weight.nanos).sum()
    }

    /// Time by role of the thread, ns.
    pub fn by_role(&self) -> BTreeMap<&str, u64> {
        let mut roles = BTreeMap::new();
        for (row, weight) in &self.rows {
            let role = row.stack.split(';').next().unwrap_or_default();
            *roles.entry(role).or_default() += weight.nanos;
        }
        roles
    }

    /// Who asked for which lock, most time first.
    pub fn sites(&self) -> Vec<Site> {
        let mut sites: Vec<Site> = Vec::new();
        for (row, weight) in &self.rows {
            let mut frames = row.stack.rsplit(';');
            let function = frames.find(|frame| !ACCESSORS.contains(frame)).unwrap_or_default();
            let is_it = |site: &&mut Site| site.lock == row.lock && site.function == function;
            match sites.iter_mut().find(is_it) {
                Some(site) => {
                    site.samples += weight.samples;
                    site.nanos += weight.nanos;
                }
                None => sites.push(Site {
                    lock: row.lock.clone(),
                    function: function.to_owned(),
                    samples: weight.samples,
                    nanos: weight.nanos,
                }),
            }
        }
        sites.sort_by(|a, b| b.nanos.cmp(&a.nanos).then_with(|| a.function.cmp(&b.function)));
        sites
    }

    /// The same as folded stacks: `thread;frame;frame;lock NAME ns`.
    pub fn folded(&self) -> Folded {
        let mut folded = Folded::default();
        for (row, weight) in &self.rows {
            *folded.stacks.entry(row.to_string()).or_default() += weight.nanos;
        }
        folded
    }

    /// The same as a gzipped `profile.proto` with the sample types of Go's mutex profile, `contentions` and `delay`, which
    /// `go tool pprof`, Speedscope and Pyroscope read.
    pub fn pprof(&self, seconds: f64) -> std::io::Result<Vec<u8>> {
        let mut profile = pprof::Builder::new([("contentions", "count"), ("delay", "nanoseconds")]);
        for (row, weight) in &self.rows {
            let line = row.to_string();
            let frames = line.split(';').skip(1);
            let role = line.split(';').next().unwrap_or_default();
            let times = weight.times.round() as i64;
            profile.sample(role, frames, [times, i64::try_from(weight.nanos).unwrap_or(i64::MAX)]);
        }
        profile.finish(seconds)
    }
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.stack)?;
        f.write_char(';')?;
        write!(f, "lock {}", self.lock)
    }
}

fn is_of_the_lock(frame: &RawFrame) -> bool {
    let is_in_file = frame.file.as_ref().is_some_and(|file| file.contains(LOCK_FOLDER));
    is_in_file || frame.name.contains(LOCK_MODULE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(names: &[(&str, &str)]) -> Vec<(String, Option<String>)> {
        let frame = |(name, file): &(&str, &str)| ((*name).to_owned(), Some((*file).to_owned()));
        names.iter().map(frame).collect()
    }

    fn sample() -> LockStacks {
        let mut stacks = LockStacks::default();
        let put = [
            ("run", "/k/src/load/client.rs"),
            ("apply_locked", "/k/src/store/global.rs"),
            ("lock<State>", "/k/src/measure/lock/mod.rs"),
            ("here", "/k/src/measure/stack.rs"),
        ];
        stacks.add("load-1", frames(&put), "store", (3, 6_000_000, 4.4));
        stacks.add("load-2", frames(&put), "store", (1, 2_000_000, 1.2));
        let settle = [
            ("kvbench::store::publication::settle", "/k/src/store/publication.rs"),
            ("turn", "/k/src/store/publication.rs"),
            ("kvbench::measure::lock::MeasuredMutex<T>::lock", ""),
        ];
        stacks.add("apply-1", frames(&settle), "publication", (1, 4_000_000, 2.0));
        stacks
    }

    #[test]
    fn a_stack_ends_where_the_lock_was_asked_for() {
        let text = sample().folded().to_text();
        let wanted = "apply;store::publication::settle;store::publication::turn;lock publication 4000000\n\
                      load;load::client::run;store::global::apply_locked;lock store 8000000\n";
        assert_eq!(text, wanted);
        let stacks = sample();
        assert_eq!((stacks.samples(), stacks.nanos()), (5, 12_000_000));
        assert_eq!(stacks.by_role(), BTreeMap::from([("apply", 4_000_000), ("load", 8_000_000)]));
        let sites = stacks.sites();
        assert_eq!(sites.len(), 2);
        assert_eq!(sites[1].function, "store::publication::settle");
        assert_eq!(sites[0].function, "store::global::apply_locked");
        assert_eq!((sites[0].lock.as_str(), sites[0].samples), ("store", 4));
    }

    #[test]
    fn the_profile_holds_the_same_stacks_innermost_first() {
        let bytes = sample().pprof(1.5).unwrap();
        let read = pprof::Read::of(&bytes);
        assert_eq!(read.types, ["contentions/count", "delay/nanoseconds"]);
        assert!((read.seconds - 1.5).abs() < 1e-9);
        let wanted = [
            (
                vec!["lock publication", "store::publication::turn", "store::publication::settle"],
                "apply",
                vec![2, 4_000_000],
            ),
            (
                vec!["lock store", "store::global::apply_locked", "load::client::run"],
                "load",
                vec![6, 8_000_000],
            ),
        ];
        let seen = read.samples.iter().map(|(stack, thread, values)| {
            (stack.iter().map(String::as_str).collect::<Vec<_>>(), thread.as_str(), values.clone())
        });
        assert_eq!(seen.collect::<Vec<_>>(), wanted);
    }
}
