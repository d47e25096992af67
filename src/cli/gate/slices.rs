//! Programs side by side on one CPU, each for a slice of time in turn. What the host does to that CPU, and when, then meets all of them
//! alike: on a shared host its speed changes several times a second, far oftener than programs that run one after the other take turns.

use crate::clock::Clock;
use crate::scenario::spec::{Engine, Layer, Load, Measure, Op, Scenario, Values};
use crate::units::{ByteSize, Nanos};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};

/// How long each has the CPU at a time: long against what it takes to fill the caches anew, short against what the host does.
pub(super) const SLICE: Nanos = Nanos::from_millis(5);

/// Values and transactions up to these take some microseconds.
const SHORT_BYTES: ByteSize = ByteSize(4 << 10);
const SHORT_KEYS: u32 = 4;

/// Whether a scenario can be measured by slices: one client that waits for nothing but the CPU, and metrics that bear pauses.
pub(super) fn fits(scenario: &Scenario) -> bool {
    let is_alone = scenario.phases.iter().all(|phase| {
        matches!(phase.load, Load::Closed { think: Nanos::ZERO })
            && phase.clients == [1]
            && phase.watchers == 0
    });
    let waits_for_cpu = scenario.arms.iter().all(|arm| {
        let system = &arm.system;
        system.layer == Layer::Store && system.engine == Engine::Memory && system.apply_workers == 1
    });
    let metrics = || scenario.gates.iter().map(|gate| gate.metric.measure);
    let is_short = is_short(scenario);
    let bears_pauses =
        |measure| is_of_all_together(measure) || is_short && is_percentile_within(measure);
    is_alone && waits_for_cpu && metrics().next().is_some() && metrics().all(bears_pauses)
}

/// Whether all operations take some microseconds, so that a pause hits one in a thousand or fewer: the 99th percentile is then of those that
/// met none. One of 50 µs would meet one in a hundred times.
fn is_short(scenario: &Scenario) -> bool {
    let largest = match scenario.values {
        Values::Fixed(size) | Values::Uniform { max: size, .. } => size,
        Values::Lognormal { p99, .. } => p99,
    };
    largest <= SHORT_BYTES
        && scenario.ops.iter().all(|weighted| match weighted.op {
            Op::Put | Op::Get | Op::Delete => true,
            Op::Txn { keys, .. } => keys <= SHORT_KEYS,
            Op::Range(_) | Op::DeleteRange { .. } | Op::LeaseCycle { .. } => false,
        })
}

/// Whether it is of all operations and their time together, of which each program has its share.
fn is_of_all_together(measure: Measure) -> bool {
    matches!(
        measure,
        Measure::Throughput
            | Measure::CpuPerOp
            | Measure::SystemCpuPerOp
            | Measure::LocksPerOp
            | Measure::AllocsPerOp
            | Measure::AllocBytesPerOp
    )
}

/// Whether it is a percentile that one operation in a thousand does not move far.
fn is_percentile_within(measure: Measure) -> bool {
    matches!(measure, Measure::P50 | Measure::P90 | Measure::P99)
}

/// Whatever `start` starts may run on one CPU only, the last of those that this thread may run on.
pub(super) fn on_one_cpu<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let allowed = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu));
    let mut one = CpuSet::new();
    one.set(last.unwrap_or(0));
    sched_setaffinity(None, &one)?;
    let started = start();
    sched_setaffinity(None, &allowed)?;
    started
}

/// Processes of groups of their own, of which none runs but by its turn. Dropping it ends them.
pub(super) struct Sharers {
    children: Vec<(Child, Option<ExitStatus>)>,
}

impl Sharers {
    pub(super) fn none() -> Sharers {
        Sharers { children: Vec::new() }
    }

    /// Takes one in, and stops it.
    pub(super) fn add(&mut self, child: Child) {
        signal_group(&child, Signal::STOP);
        self.children.push((child, None));
    }

    /// Lets them run by turns until all have ended; an ended one keeps its slices, so that those of the others are no more. Interrupted, they
    /// are asked to end, and may all run.
    pub(super) fn run(
        mut self,
        clock: Clock,
        interrupted: &AtomicBool,
    ) -> io::Result<Vec<ExitStatus>> {
        while self.children.iter().any(|(_, ended)| ended.is_none()) {
            if interrupted.load(Ordering::Relaxed) {
                self.ask_all_to_end();
                for (child, ended) in &mut self.children {
                    *ended = Some(child.wait()?);
                }
                break;
            }
            for (child, ended) in &mut self.children {
                if ended.is_none() {
                    signal_group(child, Signal::CONT);
                }
                clock.sleep(SLICE);
                if ended.is_none() {
                    signal_group(child, Signal::STOP);
                    *ended = child.try_wait()?;
                    if ended.is_some() {
                        // Whatever it left behind in its group is nobody's business here.
                        signal_group(child, Signal::CONT);
                    }
                }
            }
        }
        Ok(self.children.iter().filter_map(|(_, ended)| *ended).collect())
    }

    fn ask_all_to_end(&self) {
        for (child, _) in self.children.iter().filter(|(_, ended)| ended.is_none()) {
            ask_to_end(child);
            signal_group(child, Signal::CONT);
        }
    }
}

impl Drop for Sharers {
    /// Only where something failed are there any left.
    fn drop(&mut self) {
        self.ask_all_to_end();
        for (child, _) in self.children.iter_mut().filter(|(_, ended)| ended.is_none()) {
            // It ends, or never was.
            let _ = child.wait();
        }
    }
}

/// By SIGTERM: whatever a shell started in the background has SIGINT ignored, and so have those that it starts, until they say otherwise.
pub(super) fn ask_to_end(child: &Child) {
    if let Some(id) = id(child) {
        // It may have ended by itself.
        let _ = kill_process(id, Signal::TERM);
    }
}

/// A group that has ended cannot be told anything, which is as well.
fn signal_group(child: &Child, signal: Signal) {
    if let Some(id) = id(child) {
        let _ = kill_process_group(id, signal);
    }
}

fn id(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;
    use std::os::unix::process::{CommandExt, ExitStatusExt};
    use std::path::Path;
    use std::process::Command;

    fn of(file: &str, set: &[&str]) -> Scenario {
        let set = set.iter().map(|&set| set.to_owned()).collect();
        let options = scenario::Options { set, ..scenario::Options::default() };
        scenario::load(Path::new(file), &options).unwrap_or_else(|wrong| panic!("{wrong}"))
    }

    #[test]
    fn one_client_that_waits_for_the_cpu_alone_is_measured_by_slices() {
        let store = "scenarios/gate/store.toml";
        assert!(fits(&of(store, &[])));
        assert!(!fits(&of(store, &["phase.apply.load={closed={clients=[1, 2]}}"])));
        assert!(!fits(&of("scenarios/gate/put.toml", &[])));
        assert!(!fits(&of("scenarios/store_put.toml", &[])), "it has no gate");
        assert!(!fits(&of(store, &["values.size=64KiB"])), "a 99th percentile would be of pauses");
    }

    fn counting(to: &Path) -> Child {
        let counts = "n=0; while [ $n -lt 30000 ]; do n=$((n + 1)); done; echo $n >";
        let script = format!("{counts} {}", to.display());
        Command::new("sh").args(["-c", &script]).process_group(0).spawn().unwrap()
    }

    #[test]
    fn all_come_to_their_end_and_on_one_cpu() {
        let folder = tempfile::tempdir().unwrap();
        let files = ["a", "b", "c"].map(|name| folder.path().join(name));
        let mut sharers = Sharers::none();
        let before = sched_getaffinity(None).unwrap();
        on_one_cpu(|| {
            assert_eq!(sched_getaffinity(None)?.count(), 1);
            files.iter().for_each(|file| sharers.add(counting(file)));
            Ok(())
        })
        .unwrap();
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        let ended = sharers.run(Clock::start(), &AtomicBool::new(false)).unwrap();
        assert!(ended.len() == 3 && ended.iter().all(ExitStatus::success), "{ended:?}");
        for file in files {
            assert_eq!(std::fs::read_to_string(file).unwrap(), "30000\n");
        }
    }

    #[test]
    fn nobody_stays_stopped_when_it_is_interrupted() {
        let mut sharers = Sharers::none();
        let sleeping = || Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        (0..3).for_each(|_| sharers.add(sleeping()));
        let ended = sharers.run(Clock::start(), &AtomicBool::new(true)).unwrap();
        let by = ended.iter().map(ExitStatus::signal).collect::<Vec<_>>();
        assert_eq!(by, [Some(Signal::TERM.as_raw()); 3]);
    }
}
