//! CPU by thread role, from `/proc/<pid>/task/*/{comm,schedstat}`. Roles are the thread names up to the first `-`.
//! Threads that ended before a sample are not in it; the harness samples while its threads live.

use std::collections::BTreeMap;
use std::fs;

/// Roles that reports name; every other thread of this process is `other`.
pub const ROLES: [&str; 4] = [LOAD, "raft", "apply", "watch"];

/// The role of threads that offer load.
pub const LOAD: &str = "load";

/// The role of threads of other processes that have none of their own.
pub const SERVER: &str = "server";

/// The role of threads of this process that have none of their own.
const OTHER: &str = "other";

/// What the threads of one role used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuUse {
    /// On a CPU, ns.
    pub cpu_ns: u64,
    /// Runnable, waiting for a CPU, ns.
    pub runqueue_ns: u64,
    /// Times that a thread was put on a CPU.
    pub switches: u64,
}

impl CpuUse {
    /// What two used together.
    pub fn plus(self, other: CpuUse) -> CpuUse {
        CpuUse {
            cpu_ns: self.cpu_ns + other.cpu_ns,
            runqueue_ns: self.runqueue_ns + other.runqueue_ns,
            switches: self.switches + other.switches,
        }
    }
}

/// One look at every thread of this process.
#[derive(Clone, Debug, Default)]
pub struct CpuSample {
    threads: BTreeMap<u64, (&'static str, CpuUse)>,
}

impl CpuSample {
    /// Reads all threads now. A thread that vanishes meanwhile is left out.
    pub fn now() -> CpuSample {
        CpuSample { threads: threads("self", OTHER) }
    }

    /// As [`CpuSample::now`], and the threads of `processes` besides.
    pub fn with(processes: &[u32]) -> CpuSample {
        let mut sample = CpuSample::now();
        for process in processes {
            sample.threads.extend(threads(&process.to_string(), SERVER));
        }
        sample
    }

    /// The role of a thread by its number in the system; none if it was not there.
    pub fn role_of(&self, thread: u64) -> Option<&'static str> {
        self.threads.get(&thread).map(|(role, _)| *role)
    }

    /// Every thread by its number in the system, with its role.
    pub fn roles(&self) -> impl Iterator<Item = (u64, &'static str)> {
        self.threads.iter().map(|(thread, (role, _))| (*thread, *role))
    }

    /// How many threads each role has.
    pub fn threads(&self) -> BTreeMap<&'static str, u32> {
        let mut roles = BTreeMap::new();
        for (role, _) in self.threads.values() {
            *roles.entry(*role).or_default() += 1;
        }
        roles
    }

    /// What each role used since `earlier`; only roles that have threads.
    pub fn since(&self, earlier: &CpuSample) -> BTreeMap<&'static str, CpuUse> {
        let mut roles: BTreeMap<&'static str, CpuUse> = BTreeMap::new();
        for (id, (role, now)) in &self.threads {
            let before = earlier.threads.get(id).map_or(CpuUse::default(), |(_, before)| *before);
            let sum = roles.entry(role).or_default();
            sum.cpu_ns += now.cpu_ns.saturating_sub(before.cpu_ns);
            sum.runqueue_ns += now.runqueue_ns.saturating_sub(before.runqueue_ns);
            sum.switches += now.switches.saturating_sub(before.switches);
        }
        roles
    }
}

/// A thread's number in the system, its role, and what it used.
type Thread = (u64, (&'static str, CpuUse));

/// The threads of a process; those without a role of their own get `rest`.
fn threads(process: &str, rest: &'static str) -> BTreeMap<u64, (&'static str, CpuUse)> {
    let Ok(folder) = fs::read_dir(format!("/proc/{process}/task")) else { return BTreeMap::new() };
    folder.flatten().filter_map(|entry| read_thread(&entry, rest)).collect()
}

fn read_thread(entry: &fs::DirEntry, rest: &'static str) -> Option<Thread> {
    let id = entry.file_name().to_str()?.parse().ok()?;
    let comm = fs::read_to_string(entry.path().join("comm")).ok()?;
    let usage = parse_schedstat(&fs::read_to_string(entry.path().join("schedstat")).ok()?)?;
    Some((id, (role_of(comm.trim()).unwrap_or(rest), usage)))
}

/// `schedstat` is "cpu_ns runqueue_ns timeslices" (kernel documentation, sched-stats).
fn parse_schedstat(text: &str) -> Option<CpuUse> {
    let mut fields = text.split_whitespace().map(str::parse);
    let cpu_ns = fields.next()?.ok()?;
    let runqueue_ns = fields.next()?.ok()?;
    let switches = fields.next()?.ok()?;
    Some(CpuUse { cpu_ns, runqueue_ns, switches })
}

/// The role of a thread of this process, by its name.
pub fn role(thread: &str) -> &'static str {
    role_of(thread).unwrap_or(OTHER)
}

fn role_of(thread: &str) -> Option<&'static str> {
    let prefix = thread.split('-').next().unwrap_or(thread);
    ROLES.iter().find(|role| **role == prefix).copied()
}

/// The process on this machine that listens on a TCP port, as far as this one may see it (`/proc/net/tcp`, proc(5)).
pub fn listening_on(port: u16) -> Option<u32> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let socket = tables.iter().find_map(|table| {
        let table = fs::read_to_string(table).ok()?;
        table.lines().find_map(|line| listener(line, port)).map(str::to_owned)
    })?;
    let socket = format!("socket:[{socket}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let mut ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.find(|id: &u32| {
        let Ok(files) = fs::read_dir(format!("/proc/{id}/fd")) else { return false };
        files.flatten().any(|file| {
            fs::read_link(file.path()).is_ok_and(|to| to.as_os_str() == socket.as_str())
        })
    })
}

/// The socket of a line of the table, if it listens on `port`.
fn listener(line: &str, port: u16) -> Option<&str> {
    const LISTENS: &str = "0A";
    let mut fields = line.split_whitespace().skip(1);
    let local = fields.next()?;
    let state = fields.nth(1)?;
    let is_it = state == LISTENS && local.ends_with(&format!(":{port:04X}"));
    is_it.then(|| fields.nth(5)).flatten()
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
        let now = CpuSample::now();
        let used = now.since(&before);
        drop(finish);
        worker.unwrap().join().unwrap();
        assert!(used["apply"].cpu_ns > 0, "{used:?}");
        assert!(now.threads()["apply"] > before.threads().get("apply").copied().unwrap_or(0));
    }

    #[test]
    fn schedstat_lines() {
        let used = CpuUse { cpu_ns: 12, runqueue_ns: 34, switches: 5 };
        assert_eq!(parse_schedstat("12 34 5\n"), Some(used));
        assert_eq!(parse_schedstat("12 34\n"), None);
        assert_eq!(parse_schedstat("x"), None);
        assert_eq!(role_of("load-12"), Some("load"));
        assert_eq!(role_of("kvbench"), None);
    }

    #[test]
    fn a_process_is_found_by_the_port_it_listens_on() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(listening_on(port), Some(std::process::id()));
        drop(listener);
        assert_eq!(listening_on(port), None);
    }

    #[test]
    fn another_process_is_the_servers() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let sample = CpuSample::with(&[child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
        let roles: Vec<_> = sample.threads.values().map(|(role, _)| *role).collect();
        assert_eq!(roles.iter().filter(|role| **role == SERVER).count(), 1, "{roles:?}");
        assert_eq!(CpuSample::with(&[child.id()]).since(&sample).get(SERVER), None);
    }
}
