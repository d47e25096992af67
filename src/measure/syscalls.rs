//! How often threads call the kernel: its tracepoint `raw_syscalls:sys_enter`, counted and never sampled, by an event for each thread
//! (perf_event_open(2)). Counting makes every call of the machine take the kernel's slower way in, so it is off unless asked for.
//!
//! Caveat: a thread that starts while its starter is counted counts under the starter's role; one whose starter is not counted, in
//! a process that is, is missed. A call counts when it begins.

use perf_event::{Builder, Counter};
use std::collections::BTreeMap;
use std::fs;
use std::io;

/// Where the kernel tells the tracepoint's number: tracefs by itself, or where older systems mount it.
const ID_FILES: [&str; 2] = [
    "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id",
    "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id",
];
/// `PERF_TYPE_TRACEPOINT` of perf_event_open(2).
const TRACEPOINT: u32 = 2;

/// Why system calls cannot be counted, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum NoSyscalls {
    /// Where tracepoints are listed, this one cannot be read.
    #[error("{file}: {0} (run as root, or mount tracefs there and let this user read it)", file = ID_FILES[0])]
    NotListed(io::Error),
    /// The kernel refuses the event.
    #[error(
        "the kernel refuses to count them: {0} (run as root, or set kernel.perf_event_paranoid to -1)"
    )]
    Refused(io::Error),
    /// There is no place for one more counter, or it cannot be read.
    #[error("a thread's counter: {0} (each needs an open file: raise ulimit -n)")]
    Counter(io::Error),
}

/// The kernel's way in, which can be counted as long as this lives.
#[derive(Debug)]
pub struct Entrance {
    id: u64,
    /// Counts nothing. While it is there the tracepoint stays in place: putting it in place rewrites the kernel's code, which should not
    /// happen at the begin of a measurement.
    _kept: Counter,
}

impl Entrance {
    /// Finds it; or why this process may not count there.
    pub fn open() -> Result<Entrance, NoSyscalls> {
        let id = id().map_err(NoSyscalls::NotListed)?;
        let kept = event(id).build().map_err(NoSyscalls::Refused)?;
        Ok(Entrance { id, _kept: kept })
    }

    /// Counts the calls of `threads`, given by their numbers and roles, from now on. One that is gone is left out.
    pub fn count(
        &self,
        threads: impl Iterator<Item = (u64, &'static str)>,
    ) -> Result<Syscalls, NoSyscalls> {
        let mut counted = Vec::new();
        for (thread, role) in threads {
            let Ok(thread) = i32::try_from(thread) else { continue };
            let mut event = event(self.id).observe_pid(thread);
            event.inherit(true).enabled(true);
            match event.build() {
                Ok(counter) => counted.push(Counted { role, counter, before: 0 }),
                Err(error) if error.raw_os_error() == Some(NO_SUCH_THREAD) => {}
                Err(error) => return Err(NoSyscalls::Counter(error)),
            }
        }
        // All of them from one moment on, and not from when each was made.
        for thread in &mut counted {
            thread.before = thread.read()?;
        }
        Ok(Syscalls { threads: counted })
    }
}

/// `ESRCH` of errno(3).
const NO_SUCH_THREAD: i32 = 3;

/// Calls of some threads, counted while this lives.
#[derive(Debug)]
pub struct Syscalls {
    threads: Vec<Counted>,
}

#[derive(Debug)]
struct Counted {
    role: &'static str,
    counter: Counter,
    /// What it had when all were there.
    before: u64,
}

impl Counted {
    fn read(&mut self) -> Result<u64, NoSyscalls> {
        self.counter.read().map_err(NoSyscalls::Counter)
    }
}

impl Syscalls {
    /// Calls of each role so far, with those of threads that have ended since.
    pub fn by_role(&mut self) -> Result<BTreeMap<&'static str, u64>, NoSyscalls> {
        let mut roles = BTreeMap::new();
        for thread in &mut self.threads {
            *roles.entry(thread.role).or_default() += thread.read()? - thread.before;
        }
        Ok(roles)
    }
}

/// The tracepoint's number.
fn id() -> io::Result<u64> {
    let read = |file: &str| -> io::Result<u64> {
        fs::read_to_string(file)?.trim().parse().map_err(io::Error::other)
    };
    // What is wrong with the first is what a user can mend.
    read(ID_FILES[0]).or_else(|error| read(ID_FILES[1]).map_err(|_| error))
}

/// The event on this thread, not counting yet. The tracepoint lies within the kernel, so the kernel is not left out.
fn event(id: u64) -> Builder<'static> {
    let mut event = Builder::new();
    let attrs = event.attrs_mut();
    attrs.type_ = TRACEPOINT;
    attrs.config = id;
    event.include_kernel();
    event.include_hv();
    event
}

#[cfg(test)]
#[expect(clippy::print_stderr, reason = "what is skipped is said")]
mod tests {
    use super::*;
    use crate::measure::cpu::CpuSample;
    use std::sync::mpsc;
    use std::thread;

    /// None where it is not permitted, which is said.
    fn entrance() -> Option<Entrance> {
        Entrance::open().inspect_err(|why| eprintln!("skipped: {why}")).ok()
    }

    /// This thread's, in the system.
    fn own_number() -> u64 {
        let link = fs::read_link("/proc/thread-self").unwrap();
        link.file_name().unwrap().to_str().unwrap().parse().unwrap()
    }

    /// Nothing but calls: each asks for a file that is not there.
    fn call(times: u64) {
        for _ in 0..times {
            assert!(fs::metadata("/no such file").is_err());
        }
    }

    #[test]
    fn calls_of_threads_that_are_there_and_of_those_they_start_are_counted() {
        const CALLS: u64 = 10_000;
        let Some(entrance) = entrance() else { return };
        let (go, started) = mpsc::channel::<()>();
        let (done, finished) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let worker = thread::Builder::new().name("raft-1".into()).spawn(move || {
            tell.send(own_number()).unwrap();
            started.recv().unwrap();
            call(CALLS);
            // Its own role is another, and it ends before anybody looks.
            let child = thread::Builder::new().name("apply-1".into());
            child.spawn(|| call(CALLS)).unwrap().join().unwrap();
            done.send(()).unwrap();
            started.recv().unwrap_err();
        });
        let number = told.recv().unwrap();
        let sample = CpuSample::now();
        // Other tests have threads of this role, too.
        let is_worker = |(thread, _): &(u64, &str)| *thread == number;
        let mut counted = entrance.count(sample.roles().filter(is_worker)).unwrap();
        let before = counted.by_role().unwrap()["raft"];
        assert!(before < 100, "{before}");
        go.send(()).unwrap();
        finished.recv().unwrap();
        let calls = counted.by_role().unwrap();
        drop(go);
        worker.unwrap().join().unwrap();
        assert_eq!(calls.keys().collect::<Vec<_>>(), [&"raft"]);
        // Threads are started and joined with a few calls more.
        let calls = calls["raft"];
        assert!((2 * CALLS..2 * CALLS + 1_000).contains(&calls), "{calls}");
    }

    #[test]
    fn threads_of_another_process_count_and_those_that_are_gone_do_not() {
        let Some(entrance) = entrance() else { return };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let id = u64::from(child.id());
        let counted = entrance.count([(id, "server")].into_iter());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(counted.unwrap().by_role().unwrap().contains_key("server"));
        let mut gone = entrance.count([(id, "server"), (u64::MAX, "server")].into_iter()).unwrap();
        assert!(gone.by_role().unwrap().is_empty());
    }

    #[test]
    fn what_is_wrong_comes_with_what_to_do() {
        let denied = || io::Error::from_raw_os_error(13);
        let listed = NoSyscalls::NotListed(denied()).to_string();
        assert!(listed.contains("/sys/kernel/tracing/") && listed.contains("root"), "{listed}");
        let refused = NoSyscalls::Refused(denied()).to_string();
        assert!(refused.contains("Permission denied") && refused.contains("perf_event_paranoid"));
    }
}
