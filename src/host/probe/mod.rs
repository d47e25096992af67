//! A few seconds of trying out what measurements will rest on: disk, clock, sleeps, neighbours, sampler. Each probe is
//! short, touches nothing but the data folder, and says how often it looked.

mod neighbours;
mod tools;

use crate::clock::Clock;
use crate::profile::{self, Session};
use crate::record::{ClockProbe, DiskProbe, HostProbes, SamplerProbe, WakeProbe};
use crate::units::Nanos;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Appends of the disk probe, and their size in bytes.
const SYNCS: usize = 200;
const SYNC_BYTES: usize = 4096;
/// Longest time it may take; a very slow disk gives fewer of them.
const SYNCS_WITHIN: Nanos = Nanos::from_millis(1_000);
/// Readings of the clock.
const READINGS: u64 = 200_000;
/// Sleeps, and how long each should be.
const SLEEPS: usize = 500;
const SLEEP: Nanos = Nanos(200_000);
/// CPU time over which samples are counted: some hundred ticks of the sampler.
const SAMPLED: Nanos = Nanos::from_millis(400);

/// All probes in turn; about two seconds. `tell` hears what is tried next and says whether to go on.
///
/// # Errors
/// If no file can be written under `data`.
pub fn all(data: &Path, tell: &mut dyn FnMut(&str) -> bool) -> io::Result<Option<HostProbes>> {
    let mut probes = HostProbes::default();
    let mut next = |doing: &str| tell(doing);
    if !next("syncing the disk") {
        return Ok(None);
    }
    probes.disk = Some(disk(data)?);
    probes.disk_free_bytes = fs2::available_space(data).ok();
    if !next("reading the clock") {
        return Ok(None);
    }
    probes.clock = clock();
    if !next("sleeping shortly") {
        return Ok(None);
    }
    probes.wake = wake();
    if !next("watching the neighbours for a second") {
        return Ok(None);
    }
    neighbours::watch(&mut probes);
    if !next("sampling") {
        return Ok(None);
    }
    probes.sampler = sampler();
    probes.has_schedstat = has_schedstat();
    probes.c_library = tools::c_library();
    probes.tools = tools::found();
    Ok(Some(probes))
}

/// Times `fdatasync` after appends of 4 KiB to a file in `folder`, which vanishes.
///
/// # Errors
/// If the file cannot be made, written or synced.
pub fn disk(folder: &Path) -> io::Result<DiskProbe> {
    let probe = tempfile::NamedTempFile::new_in(folder)?;
    let clock = Clock::start();
    let mut file: &File = probe.as_file();
    let mut spans = Vec::with_capacity(SYNCS);
    while spans.is_empty() || spans.len() < SYNCS && clock.now() < SYNCS_WITHIN {
        file.write_all(&[0x6b; SYNC_BYTES])?;
        let before = clock.now();
        file.sync_data()?;
        spans.push(clock.now().since(before).0);
    }
    spans.sort_unstable();
    Ok(DiskProbe {
        count: spans.len() as u64,
        p50_ns: quantile(&spans, 0.5),
        p99_ns: quantile(&spans, 0.99),
        max_ns: quantile(&spans, 1.0),
    })
}

/// Of sorted spans, of which there is at least one.
fn quantile(sorted: &[u64], share: f64) -> u64 {
    sorted[((sorted.len() - 1) as f64 * share) as usize]
}

/// Reads the clock again and again.
fn clock() -> ClockProbe {
    let clock = Clock::start();
    let (mut last, mut finest) = (clock.now(), u64::MAX);
    let begin = last;
    for _ in 0..READINGS {
        let now = clock.now();
        let step = now.since(last).0;
        if step > 0 {
            finest = finest.min(step);
        }
        last = now;
    }
    let all = last.since(begin).0;
    ClockProbe { resolution_ns: finest.min(all), read_ns: all as f64 / READINGS as f64 }
}

/// How much longer than asked for short sleeps take: timer slack, the way to a CPU, and the queue before it.
fn wake() -> WakeProbe {
    let clock = Clock::start();
    let sleep = || {
        let before = clock.now();
        clock.sleep(SLEEP);
        clock.now().since(before).since(SLEEP).0
    };
    let mut late: Vec<u64> = std::iter::repeat_with(sleep).take(SLEEPS).collect();
    late.sort_unstable();
    WakeProbe {
        count: late.len() as u64,
        asked_ns: SLEEP.0,
        late_p50_ns: quantile(&late, 0.5),
        late_p99_ns: quantile(&late, 0.99),
        late_max_ns: quantile(&late, 1.0),
    }
}

/// Counts the samples of a thread that is busy; none if there is no sampler, or if it is in use.
fn sampler() -> Option<SamplerProbe> {
    let session = Session::start(profile::FREQUENCY_HZ).ok()?;
    let before = neighbours::own_cpu();
    let clock = Clock::start();
    let mut busy = 0_u64;
    while clock.now() < SAMPLED {
        busy = std::hint::black_box(busy.wrapping_add(1));
    }
    let used = neighbours::own_cpu().since(before);
    let samples = session.finish_counting().ok()?;
    // Where CPU time cannot be seen, the span itself stands for it.
    let used = if used == Nanos::ZERO { SAMPLED } else { used };
    let got_hz = samples as f64 / used.as_secs_f64();
    Some(SamplerProbe { asked_hz: u32::from(profile::FREQUENCY_HZ), got_hz })
}

/// Whether the kernel accounts for the time of each thread: it says zero or nothing if it was built without.
fn has_schedstat() -> bool {
    let text = fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let cpu_ns = text.split_whitespace().next().and_then(|first| first.parse::<u64>().ok());
    cpu_ns.is_some_and(|cpu_ns| cpu_ns > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_synced_and_left_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let disk = disk(folder.path()).unwrap();
        assert!((1..=SYNCS as u64).contains(&disk.count));
        assert!(disk.p50_ns <= disk.p99_ns && disk.p99_ns <= disk.max_ns, "{disk:?}");
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        assert!(super::disk(&folder.path().join("not-there")).is_err());
    }

    #[test]
    fn quantiles_are_of_what_was_seen() {
        let spans: Vec<u64> = (1..=200).collect();
        let at = |share| quantile(&spans, share);
        assert_eq!([at(0.0), at(0.5), at(0.99), at(1.0)], [1, 100, 198, 200]);
        assert_eq!(quantile(&[7], 0.99), 7);
    }

    #[test]
    fn clock_and_sleeps_take_time() {
        let clock = clock();
        assert!(clock.read_ns > 0.0 && clock.resolution_ns > 0, "{clock:?}");
        assert!(clock.resolution_ns < 10_000_000, "{clock:?}");
        let wake = wake();
        assert!(wake.late_p50_ns <= wake.late_p99_ns && wake.late_p99_ns <= wake.late_max_ns);
        assert!(wake.late_max_ns > 0, "{wake:?}");
    }

    #[test]
    fn whoever_says_stop_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let mut told = Vec::new();
        let mut tell = |doing: &str| {
            told.push(doing.to_owned());
            told.len() < 2
        };
        assert_eq!(all(folder.path(), &mut tell).unwrap(), None);
        assert_eq!(told, ["syncing the disk", "reading the clock"]);
    }
}
