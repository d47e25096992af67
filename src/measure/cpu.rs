//! CPU by thread role, from `/proc/self/task/*/{comm,schedstat}`. Roles are the thread names up to the first `-`.
//! Threads that ended before a sample are not in it; the harness samples while its threads live.

use std::collections::BTreeMap;
use std::fs;

/// Roles that reports name; every other thread is `other`.
pub const ROLES: [&str; 4] = ["load", "raft", "apply", "watch"];

/// What the threads of one role used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuUse {
    /// On a CPU, ns.
    pub cpu_ns: u64,
    /// Runnable, waiting for a CPU, ns.
    pub runqueue_ns: u64,
}

/// One look at every thread of this process.
#[derive(Clone, Debug, Default)]
pub struct CpuSample {
    threads: BTreeMap<u64, (&'static str, CpuUse)>,
}

impl CpuSample {
    /// Reads all threads now. A thread that vanishes meanwhile is left out.
    pub fn now() -> CpuSample {
        let threads = fs::read_dir("/proc/self/task")
            .map(|folder| folder.flatten().filter_map(|entry| read_thread(&entry)).collect())
            .unwrap_or_default();
        CpuSample { threads }
    }

    /// What each role used since `earlier`; only roles that have threads.
    pub fn since(&self, earlier: &CpuSample) -> BTreeMap<&'static str, CpuUse> {
        let mut roles: BTreeMap<&'static str, CpuUse> = BTreeMap::new();
        for (id, (role, now)) in &self.threads {
            let before = earlier.threads.get(id).map_or(CpuUse::default(), |(_, before)| *before);
            let sum = roles.entry(role).or_default();
            sum.cpu_ns += now.cpu_ns.saturating_sub(before.cpu_ns);
            sum.runqueue_ns += now.runqueue_ns.saturating_sub(before.runqueue_ns);
        }
        roles
    }
}

fn read_thread(entry: &fs::DirEntry) -> Option<(u64, (&'static str, CpuUse))> {
    let id = entry.file_name().to_str()?.parse().ok()?;
    let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
    let usage = parse_schedstat(&fs::read_to_string(entry.path().join("schedstat")).ok()?)?;
    Some((id, (role_of(comm.trim()), usage)))
}

/// `schedstat` is "cpu_ns runqueue_ns timeslices" (kernel documentation, sched-stats).
fn parse_schedstat(text: &str) -> Option<CpuUse> {
    let mut fields = text.split_whitespace().map(str::parse);
    let cpu_ns = fields.next()?.ok()?;
    let runqueue_ns = fields.next()?.ok()?;
    Some(CpuUse { cpu_ns, runqueue_ns })
}

fn role_of(thread: &str) -> &'static str {
    let prefix = thread.split('-').next().unwrap_or(thread);
    ROLES.iter().find(|role| **role == prefix).copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_thread_shows_up_under_its_role() {
        let before = CpuSample::now();
        let (started, running) = std::sync::mpsc::channel();
        let (finish, done) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::Builder::new().name("apply-7".into()).spawn(move || {
            let busy = (0..40_000_000u64).fold(0, |sum: u64, n| std::hint::black_box(sum ^ n));
            started.send(busy).unwrap();
            done.recv().unwrap_err();
        });
        running.recv().unwrap();
        let used = CpuSample::now().since(&before);
        drop(finish);
        worker.unwrap().join().unwrap();
        assert!(used["apply"].cpu_ns > 0, "{used:?}");
    }

    #[test]
    fn schedstat_lines() {
        assert_eq!(parse_schedstat("12 34 5\n"), Some(CpuUse { cpu_ns: 12, runqueue_ns: 34 }));
        assert_eq!(parse_schedstat("x"), None);
        assert_eq!(role_of("load-12"), "load");
        assert_eq!(role_of("kvbench"), "other");
    }
}
