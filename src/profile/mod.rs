//! Where the time goes: SIGPROF samples of one trial's CPU time, and the call stacks of who waited for locks and who held them, as
//! folded stacks, flame graphs and `profile.proto`. Profiles are of trials of their own, never of measured ones.
//!
//! No library is left out of the samples: a blocklist would silently drop what happens in malloc, memcpy and
//! system calls. The unwinder needs no frame pointers; with glibc >= 2.35 it takes no lock in the signal handler.

use crate::units::Nanos;
use inferno::differential;
use inferno::flamegraph::color::BasicPalette;
use inferno::flamegraph::{self, Palette};
use std::collections::BTreeMap;
use std::fmt::Write;

mod locks;
mod off_cpu;
mod pprof;
mod symbols;

use ::pprof::{ProfilerGuard, ProfilerGuardBuilder};
pub use locks::{LockStacks, Site};
pub use off_cpu::{NoOffCpu, OffCpu};
use symbols::RawFrame;

/// Samples per CPU-second asked for where nobody says otherwise; kernels with a 250 Hz tick give no more.
pub const FREQUENCY_HZ: u16 = 250;

/// A sampling session; only one can run at a time.
pub struct Session {
    guard: ProfilerGuard<'static>,
}

/// Stacks with how often each was seen, root first: `thread;frame;frame`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    stacks: BTreeMap<String, u64>,
}

/// Why there is no profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// The sampler would not start or report.
    #[error("the sampling profiler failed: {0}")]
    Sampler(#[from] ::pprof::Error),
    /// The stacks could not be drawn.
    #[error("the flame graph could not be drawn: {0}")]
    Drawing(#[from] std::io::Error),
    /// Nothing was sampled.
    #[error("no samples: the program was idle")]
    Idle,
}

impl Session {
    /// Starts sampling every thread of this process, so often per second of CPU time.
    pub fn start(frequency_hz: u16) -> Result<Session, ProfileError> {
        let frequency = i32::from(frequency_hz);
        Ok(Session { guard: ProfilerGuardBuilder::default().frequency(frequency).build()? })
    }

    /// Stops, and gives what was seen. Threads are told apart by role: `load-3` is `load`.
    pub fn finish(self) -> Result<Folded, ProfileError> {
        let report = self.guard.report().build()?;
        let mut folded = Folded::default();
        for (frames, count) in &report.data {
            let symbols = frames.frames.iter().rev().flat_map(|inlined| inlined.iter().rev());
            let stack = symbols::stack(&frames.thread_name, symbols.map(raw_frame));
            *folded.stacks.entry(stack).or_default() += u64::try_from(*count).unwrap_or(0);
        }
        Ok(folded)
    }

    /// Stops, and gives the number of samples only: no names are looked up, which takes most of the time.
    pub fn finish_counting(self) -> Result<u64, ProfileError> {
        let report = self.guard.report().build_unresolved()?;
        Ok(report.data.values().map(|count| u64::try_from(*count).unwrap_or(0)).sum())
    }
}

fn raw_frame(symbol: &::pprof::Symbol) -> RawFrame {
    let file = symbol.filename.as_ref().map(|file| file.to_string_lossy().into_owned());
    RawFrame { name: symbol.name(), file }
}

impl Folded {
    /// Samples in all stacks.
    pub fn samples(&self) -> u64 {
        self.stacks.values().sum()
    }

    /// One line per stack: `thread;frame;frame count`.
    pub fn to_text(&self) -> String {
        self.scaled(|count| count)
    }

    /// As a gzipped `profile.proto`, if the samples stand for `cpu` within `seconds`.
    pub fn pprof(&self, cpu: Nanos, seconds: f64) -> std::io::Result<Vec<u8>> {
        let each = cpu.0 as f64 / self.samples().max(1) as f64;
        let mut profile = pprof::Builder::new([("samples", "count"), ("cpu", "nanoseconds")]);
        for (stack, count) in &self.stacks {
            let (role, frames) = stack.split_once(';').unwrap_or((stack, ""));
            let frames = frames.split(';').filter(|frame| !frame.is_empty());
            profile.sample(role, frames, [*count as i64, (*count as f64 * each).round() as i64]);
        }
        profile.finish(seconds)
    }

    /// The same with nanoseconds per operation in place of samples, if the samples stand for `time` in `ops`
    /// operations. Stacks below half a nanosecond vanish.
    fn nanos_per_op(&self, time: Nanos, ops: u64) -> String {
        let factor = time.0 as f64 / self.samples().max(1) as f64 / ops.max(1) as f64;
        self.scaled(|count| (count as f64 * factor).round() as u64)
    }

    fn scaled(&self, scale: impl Fn(u64) -> u64) -> String {
        let mut text = String::new();
        for (stack, count) in &self.stacks {
            let count = scale(*count);
            if count > 0 {
                let _ = writeln!(text, "{stack} {count}");
            }
        }
        text
    }
}

/// What a flame graph is drawn of.
#[derive(Clone, Copy, Debug)]
pub struct Sampled<'a> {
    /// The stacks.
    pub folded: &'a Folded,
    /// Time that they stand for.
    pub time: Nanos,
    /// Operations finished meanwhile.
    pub ops: u64,
}

/// What the threads were doing where the stacks were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Using a CPU; stacks are counted.
    OnCpu,
    /// Waiting for locks; stacks stand for ns. Drawn in blue, so that the two pictures are not taken for one another.
    Waiting,
    /// Not on a CPU, for whatever reason; stacks stand for ns. Drawn in purple.
    OffCpu,
}

impl Doing {
    fn unit(self) -> &'static str {
        match self {
            Doing::OnCpu => "samples",
            Doing::Waiting => "ns waited",
            Doing::OffCpu => "ns off CPU",
        }
    }

    fn unit_per_op(self) -> &'static str {
        match self {
            Doing::OnCpu => "ns CPU per op",
            Doing::Waiting => "ns waited per op",
            Doing::OffCpu => "ns off CPU per op",
        }
    }

    fn palette(self) -> Palette {
        match self {
            Doing::OnCpu => Palette::Basic(BasicPalette::Hot),
            Doing::Waiting => Palette::Basic(BasicPalette::Blue),
            Doing::OffCpu => Palette::Basic(BasicPalette::Purple),
        }
    }
}

/// A flame graph of one profile, as a self-contained SVG.
pub fn flame(
    title: &str,
    subtitle: &str,
    doing: Doing,
    folded: &Folded,
) -> Result<Vec<u8>, ProfileError> {
    if folded.samples() == 0 {
        return Err(ProfileError::Idle);
    }
    draw(title, subtitle, doing, doing.unit(), &folded.to_text())
}

/// A flame graph of `after` whose colours show what changed from `before`, both in nanoseconds per operation,
/// so that ten times the operations do not look like ten times the cost. Red grew, blue shrank.
pub fn flame_diff(
    title: &str,
    subtitle: &str,
    doing: Doing,
    before: Sampled<'_>,
    after: Sampled<'_>,
) -> Result<Vec<u8>, ProfileError> {
    if before.folded.samples() == 0 || after.folded.samples() == 0 {
        return Err(ProfileError::Idle);
    }
    let [left, right] =
        [before, after].map(|sampled| sampled.folded.nanos_per_op(sampled.time, sampled.ops));
    let mut stacks = Vec::new();
    differential::from_readers(
        differential::Options::default(),
        left.as_bytes(),
        right.as_bytes(),
        &mut stacks,
    )?;
    draw(title, subtitle, doing, doing.unit_per_op(), &String::from_utf8_lossy(&stacks))
}

fn draw(
    title: &str,
    subtitle: &str,
    doing: Doing,
    unit: &str,
    stacks: &str,
) -> Result<Vec<u8>, ProfileError> {
    let mut options = flamegraph::Options::default();
    options.colors = doing.palette();
    options.title = title.to_owned();
    options.subtitle = Some(subtitle.to_owned());
    options.count_name = unit.to_owned();
    options.deterministic = true;
    options.hash = true;
    options.min_width = 0.05;
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, stacks.lines(), &mut svg)?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(stacks: &[(&str, u64)]) -> Folded {
        Folded { stacks: stacks.iter().map(|(stack, n)| ((*stack).to_owned(), *n)).collect() }
    }

    #[test]
    fn a_diff_is_per_operation_not_per_sample() {
        // Ten times the samples for ten times the operations is no change.
        let before = folded(&[("raft;apply", 10)]);
        let after = folded(&[("raft;apply", 100)]);
        let sampled =
            |folded, cpu_ms, ops| Sampled { folded, time: Nanos::from_millis(cpu_ms), ops };
        let per_op = before.nanos_per_op(Nanos::from_millis(40), 1000);
        assert_eq!(per_op, "raft;apply 40000\n");
        assert_eq!(per_op, after.nanos_per_op(Nanos::from_millis(400), 10_000));
        let (before, after) = (sampled(&before, 40, 1000), sampled(&after, 400, 10_000));
        let svg = flame_diff("diff", "", Doing::OnCpu, before, after);
        let svg = String::from_utf8(svg.unwrap()).unwrap();
        assert!(svg.contains("raft") && svg.contains("0.00%"), "no change shows as zero");
    }

    #[test]
    fn samples_become_cpu_time_in_a_profile_for_other_tools() {
        let folded = folded(&[("raft;apply;put", 3), ("load;send", 1)]);
        let bytes = folded.pprof(Nanos::from_millis(8), 2.0).unwrap();
        let read = pprof::Read::of(&bytes);
        assert_eq!(read.types, ["samples/count", "cpu/nanoseconds"]);
        let (stack, thread, values) = &read.samples[1];
        assert_eq!((stack.join(" "), thread.as_str()), ("put apply".to_owned(), "raft"));
        assert_eq!(values, &[3, 6_000_000]);
    }

    #[test]
    fn an_idle_profile_is_an_error_not_an_empty_picture() {
        assert!(matches!(
            flame("x", "", Doing::OnCpu, &Folded::default()),
            Err(ProfileError::Idle)
        ));
    }

    #[test]
    fn busy_code_shows_up_under_its_thread_role() {
        let session = Session::start(FREQUENCY_HZ).unwrap();
        let worker = std::thread::Builder::new().name("apply-3".into()).spawn(|| {
            (0..400_000_000u64).fold(0, |sum: u64, n| std::hint::black_box(sum.wrapping_add(n)))
        });
        worker.unwrap().join().unwrap();
        let text = session.finish().unwrap().to_text();
        assert!(text.lines().any(|line| line.starts_with("apply")), "{text}");
    }
}
