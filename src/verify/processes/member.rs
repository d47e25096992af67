//! One member: a `kvbench serve` of this very program, which can be killed, stopped for a while, and started again on what it left.

use crate::clock::Clock;
use crate::raft::MemberId;
use crate::units::Nanos;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How often it is looked whether a process has ended.
const LOOK: Nanos = Nanos::from_millis(2);

/// Ports of the loopback that a member has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ports {
    /// For clients.
    pub(super) clients: u16,
    /// Where other members reach it: the gate before `peers`.
    pub(super) gate: u16,
    /// For other members, behind the gate.
    pub(super) peers: u16,
    /// For its page of numbers.
    pub(super) numbers: u16,
}

/// What a start is given beside what all starts have.
#[derive(Clone, Debug, Default)]
pub(super) struct Start {
    /// It joins a group that knows it, with nothing of its own.
    pub(super) joins: bool,
    /// Variables of its environment.
    pub(super) variables: Vec<(&'static str, String)>,
}

/// The member, running or not. Dropping it kills it.
pub(super) struct Member {
    pub(super) number: MemberId,
    pub(super) ports: Ports,
    folder: PathBuf,
    child: Mutex<Option<Child>>,
    /// Starts so far: a connection to an earlier one is of no use. Written before `is_up`, which is stored with Release.
    starts: AtomicU64,
    is_up: AtomicBool,
    /// It is there and does nothing; relaxed, only whoever stopped it asks.
    is_stopped: AtomicBool,
}

impl Member {
    /// One that was not started yet; its data, and what it says, go to `folder`.
    pub(super) fn new(number: MemberId, ports: Ports, folder: PathBuf) -> Member {
        let child = Mutex::new(None);
        let (is_up, is_stopped) = (AtomicBool::new(false), AtomicBool::new(false));
        Member { number, ports, folder, child, starts: AtomicU64::new(0), is_up, is_stopped }
    }

    /// Its name in the group.
    pub(super) fn name(&self) -> String {
        format!("m{}", self.number)
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// A file beside its data.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts it with `flags`, which all members have. It may take a while until it answers.
    pub(super) fn start(&self, program: &Path, flags: &[String], start: &Start) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let said = File::options().create(true).append(true).open(self.file("output.txt"))?;
        let mut command = Command::new(program);
        command.args(["serve", "--until-stdin-closes", "--name", &self.name()]);
        command.arg("--data-dir").arg(self.data());
        let Ports { clients, gate, peers, numbers } = self.ports;
        for (flag, port) in [
            ("--listen-client-urls", clients),
            ("--listen-metrics-urls", numbers),
            ("--listen-peer-urls", peers),
            ("--initial-advertise-peer-urls", gate),
        ] {
            command.args([flag, &url(port)]);
        }
        command.args(["--initial-cluster-state", if start.joins { "existing" } else { "new" }]);
        command.args(flags).envs(start.variables.iter().cloned());
        // In a process group of its own: whoever interrupts the campaign at a terminal does not interrupt the members, which would end by themselves.
        command.process_group(0);
        command.stdin(Stdio::piped()).stdout(said.try_clone()?).stderr(said);
        let child = command.spawn()?;
        *self.child() = Some(child);
        self.starts.fetch_add(1, Ordering::Relaxed);
        self.is_up.store(true, Ordering::Release);
        Ok(())
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it was started and has not ended, as far as is known.
    pub(super) fn is_up(&self) -> bool {
        self.is_up.load(Ordering::Acquire)
    }

    /// Whether it was stopped and does not go on yet.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Number of its last start, counted from 1.
    pub(super) fn starts(&self) -> u64 {
        self.starts.load(Ordering::Relaxed)
    }

    /// Its process id, while it is up.
    pub(super) fn id(&self) -> Option<u32> {
        self.child().as_ref().map(Child::id)
    }

    /// Kills it (SIGKILL) and gives how it ended; nothing if it was not there.
    pub(super) fn kill(&self) -> Option<ExitStatus> {
        self.is_up.store(false, Ordering::Release);
        let mut child = self.child().take()?;
        // It may have ended by itself, which its status tells.
        let _ = child.kill();
        child.wait().ok()
    }

    /// Waits until it ends by itself, at most until `clock` is at `until`.
    pub(super) fn ended(&self, clock: Clock, until: Nanos) -> Option<ExitStatus> {
        loop {
            let status = self.child().as_mut()?.try_wait().ok()?;
            if status.is_some() {
                self.is_up.store(false, Ordering::Release);
                self.child().take();
                return status;
            }
            if clock.now() >= until {
                return None;
            }
            clock.sleep(LOOK);
        }
    }

    /// Stops it (SIGSTOP): it keeps everything and does nothing. Whether that was seen.
    pub(super) fn stop(&self, clock: Clock) -> bool {
        self.is_stopped.store(true, Ordering::Relaxed);
        let is_asked = self.id().is_some_and(|id| send(id, Signal::STOP));
        // The signal is on its way for a moment.
        let mut looks = (0..500).map(|_| {
            clock.sleep(LOOK);
            self.id().and_then(state_of)
        });
        is_asked && looks.any(|state| state == Some('T'))
    }

    /// Lets it go on.
    pub(super) fn go_on(&self) -> bool {
        let is_asked = self.id().is_some_and(|id| send(id, Signal::CONT));
        self.is_stopped.store(false, Ordering::Relaxed);
        is_asked
    }

    /// Removes what it left. It must not be up.
    pub(super) fn forget(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.data()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The last lines that it wrote, for whoever looks for the reason.
    pub(super) fn last_words(&self) -> String {
        let said = fs::read_to_string(self.file("output.txt")).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n")
    }
}

/// Lines of a member's last words that are quoted.
const LAST_WORDS: usize = 5;

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that this one started and that was not waited for, so its number is its own.
pub(super) fn send(id: u32, signal: Signal) -> bool {
    let pid = i32::try_from(id).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// What Linux says that a process is doing: `R`, `S`, `T`, … (proc_pid_stat(5)).
fn state_of(id: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // Its name, in parentheses, may hold anything.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Where a port of the loopback is.
pub(super) fn url(port: u16) -> String {
    format!("http://{}", address(port))
}

/// The same without its scheme.
pub(super) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}
