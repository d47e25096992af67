//! What the whole machine did: CPU time of everybody, time that a hypervisor took, and how long somebody waited for a CPU or the
//! disk. What cannot be seen here is none.

use std::fs;
use std::time::Duration;

/// Ticks of `/proc/stat` in a second: USER_HZ, 100 on every architecture that Linux still builds for these.
const TICKS_PER_SECOND: f64 = 100.0;
/// Places of the times in the `cpu` line (proc(5)).
const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const IRQ: usize = 5;
const SOFTIRQ: usize = 6;
const STEAL: usize = 7;

/// One look at the machine.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostSample {
    /// CPU time used and stolen so far, seconds over all cores.
    cpu: Option<(f64, f64)>,
    /// Time in which some task waited for a CPU, or for input and output, seconds.
    waited: [Option<f64>; 2],
}

/// What it did between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct HostUse {
    /// CPU time of everybody, seconds over all cores; ticks of 10 ms.
    pub cpu_s: Option<f64>,
    /// CPU time that the hypervisor gave to others, seconds over all cores.
    pub stolen_s: Option<f64>,
    /// Time in which some task was ready and had no CPU, seconds.
    pub cpu_wait_s: Option<f64>,
    /// Time in which some task waited for input or output, seconds.
    pub io_wait_s: Option<f64>,
}

impl HostSample {
    /// Reads `/proc/stat` and `/proc/pressure` now.
    pub fn now() -> HostSample {
        let read = |path: &str| fs::read_to_string(path).ok();
        HostSample {
            cpu: read("/proc/stat").and_then(|text| parse_stat(&text)),
            waited: ["/proc/pressure/cpu", "/proc/pressure/io"]
                .map(|path| read(path).and_then(|text| parse_pressure(&text))),
        }
    }

    /// What happened since `earlier`.
    pub fn since(&self, earlier: &HostSample) -> HostUse {
        let gone = |now: Option<f64>, before: Option<f64>| {
            now.zip(before).map(|(now, before)| (now - before).max(0.0))
        };
        let cpu = |of: fn((f64, f64)) -> f64| gone(self.cpu.map(of), earlier.cpu.map(of));
        HostUse {
            cpu_s: cpu(|(used, _)| used),
            stolen_s: cpu(|(_, stolen)| stolen),
            cpu_wait_s: gone(self.waited[0], earlier.waited[0]),
            io_wait_s: gone(self.waited[1], earlier.waited[1]),
        }
    }
}

/// CPU time used and stolen, of all cores. Guests' time is within the user's.
fn parse_stat(text: &str) -> Option<(f64, f64)> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    let seconds = |place: usize| ticks.get(place).map(|ticks| ticks / TICKS_PER_SECOND);
    let used = [USER, NICE, SYSTEM, IRQ, SOFTIRQ].map(seconds).into_iter().sum::<Option<f64>>()?;
    Some((used, seconds(STEAL)?))
}

/// Seconds of the line `some`, which counts in microseconds (kernel documentation, psi).
fn parse_pressure(text: &str) -> Option<f64> {
    let some = text.lines().find(|line| line.starts_with("some "))?;
    let total = some.split_whitespace().find_map(|field| field.strip_prefix("total="))?;
    total.parse::<u64>().ok().map(|micros| Duration::from_micros(micros).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_documented() {
        let stat = "cpu  100 20 50 9999 7 3 2 40 11 12\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(parse_stat(stat), Some((1.75, 0.4)));
        assert_eq!(parse_stat("cpu  1 2 3\n"), None);
        assert_eq!(parse_stat("intr 5\n"), None);
        let pressure =
            "some avg10=3.65 avg60=4.27 avg300=5.15 total=5609808\nfull avg10=0.00 total=9\n";
        assert_eq!(parse_pressure(pressure), Some(5.609_808));
        assert_eq!(parse_pressure("full total=9\n"), None);
    }

    #[test]
    fn a_busy_core_shows() {
        let before = HostSample::now();
        let began = crate::clock::Clock::start();
        let mut busy = 0_u64;
        while began.now() < crate::units::Nanos::from_millis(120) {
            busy = std::hint::black_box(busy ^ 1);
        }
        let used = HostSample::now().since(&before);
        // Where there is no /proc/stat there is nothing to see.
        assert!(used.cpu_s.is_none_or(|seconds| seconds >= 0.02), "{used:?}");
        assert!(used.stolen_s.is_none_or(|seconds| seconds >= 0.0), "{used:?}");
    }
}
