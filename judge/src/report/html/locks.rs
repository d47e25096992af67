//! Who waits for locks, and what each thread role does with its time.

use super::sections::{close, drawn, open, paragraph};
use super::table::Table;
use crate::record::{LockProfile, LockSite, ProfiledLock, Run};
use crate::report::chart;
use crate::report::profiles::{lock_sentences, off_cpu_lines};
use crate::report::words::{self, NOTHING, micros, percent};

/// Functions listed of each lock.
const SITES_MAX: usize = 5;

/// The section; nothing if no lock profile was taken.
pub(super) fn section(out: &mut String, run: &Run) {
    if run.lock_profiles.is_empty() {
        return;
    }
    open(out, "locks", "Waiting: for locks, for the disk, for work", "lock profile");
    for sentence in lock_sentences(run) {
        paragraph(out, &format!("{sentence}."));
    }
    if let Some(drawing) = chart::roles::render(&run.lock_profiles) {
        drawn(out, &drawing);
        roles(out, &run.lock_profiles);
    }
    let off_cpu = off_cpu_lines(run);
    off_cpu.iter().for_each(|line| paragraph(out, &format!("{line}.")));
    if off_cpu.is_empty() {
        paragraph(
            out,
            "What threads leave their CPUs for was not recorded by call stack: kvbench profile does, where perf may read the scheduler's tracepoints.",
        );
    }
    times(out, &run.lock_profiles);
    sites(out, &run.lock_profiles);
    for profile in &run.lock_profiles {
        for drawing in profile.locks.iter().filter_map(|lock| chart::heat::render(profile, lock)) {
            drawn(out, &drawing);
        }
    }
    close(out);
}

fn roles(out: &mut String, profiles: &[LockProfile]) {
    let mut table = Table::new("share of the threads' time", "llrrrrrr");
    for (name, word) in [("arm", "arm"), ("threads", "threads"), ("how many", "")] {
        table.column(name, word);
    }
    chart::roles::PARTS.iter().for_each(|(name, _)| table.column(name, ""));
    for profile in profiles {
        for role in &profile.roles {
            let mut cells = vec![profile.arm.clone(), role.role.clone(), role.threads.to_string()];
            cells.extend(chart::roles::shares(role, profile.elapsed_s).map(percent));
            table.row(cells);
        }
    }
    table.write(out);
}

fn times(out: &mut String, profiles: &[LockProfile]) {
    let mut table = Table::new("locks by name, in the trial that was profiled", "llrrrrrrrr");
    for (name, word) in [
        ("arm", "arm"),
        ("lock", ""),
        ("how many", ""),
        ("taken per op", ""),
        ("contended", "contended"),
        ("wait µs per op", "lock wait"),
        ("wait p50 µs", "lock wait"),
        ("wait p99 µs", "lock wait"),
        ("hold p50 µs", "lock hold"),
        ("hold p99 µs", "lock hold"),
    ] {
        table.column(name, word);
    }
    for profile in profiles {
        profile.locks.iter().for_each(|lock| table.row(time_cells(profile, lock)));
    }
    table.write(out);
}

fn time_cells(profile: &LockProfile, lock: &ProfiledLock) -> Vec<String> {
    let ops = profile.ops.max(1) as f64;
    let taken = lock.acquisitions() as f64;
    let told = |ns: u64| if ns > 0 { micros(ns as f64) } else { NOTHING.to_string() };
    vec![
        profile.arm.clone(),
        lock.name.clone(),
        lock.acquisitions_each.len().to_string(),
        words::significant(taken / ops),
        percent(lock.contended as f64 / taken.max(1.0)),
        micros(lock.wait_ns() as f64 / ops),
        told(lock.wait.p50_ns),
        told(lock.wait.p99_ns),
        told(lock.hold.p50_ns),
        told(lock.hold.p99_ns),
    ]
}

fn sites(out: &mut String, profiles: &[LockProfile]) {
    let mut table = Table::new("who waits for whom, from call stacks; the longest first", "llllrr");
    for (name, word) in [
        ("arm", "arm"),
        ("lock", ""),
        ("", ""),
        ("function", ""),
        ("share", ""),
        ("call stacks", ""),
    ] {
        table.column(name, word);
    }
    for profile in profiles {
        for lock in &profile.locks {
            for (what, sites) in [("waits", &lock.waiters), ("holds", &lock.holders)] {
                let all: f64 = sites.iter().map(|site| site.nanos as f64).sum();
                let row = |site: &LockSite| {
                    let share = percent(site.nanos as f64 / all);
                    let (arm, name) = (profile.arm.clone(), lock.name.clone());
                    let (function, samples) = (site.function.clone(), site.samples.to_string());
                    vec![arm, name, what.to_string(), function, share, samples]
                };
                sites.iter().take(SITES_MAX).for_each(|site| table.row(row(site)));
            }
        }
    }
    table.write(out);
}
