//! Failures that strace puts into the system calls of a running process: an error, a delay, or a kill within the k-th of a kind.
//!
//! Without `--seccomp-bpf`, under which strace does not deliver injected signals. It counts calls for each thread.

use super::member::send;
use crate::clock::Clock;
use crate::units::Nanos;
use rustix::process::Signal;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// How long attaching and letting go may take on a busy host.
const PATIENCE: Nanos = Nanos::from_millis(10_000);
const LOOK: Nanos = Nanos::from_millis(5);

/// strace, attached to a process.
pub(super) struct Trace {
    strace: Child,
    /// What it saw.
    seen: PathBuf,
}

impl Trace {
    /// Attaches it, with its files in `folder`. `inject` is what stands after strace's `inject=`, its calls first.
    pub(super) fn attach(
        process: u32,
        inject: &str,
        clock: Clock,
        folder: &Path,
    ) -> Result<Trace, String> {
        let (seen, said) = (folder.join("trace.txt"), folder.join("strace.txt"));
        let cannot = |error: std::io::Error| format!("strace cannot be used: {error}");
        let errors = File::create(&said).map_err(cannot)?;
        let calls = inject.split(':').next().unwrap_or_default();
        let mut command = Command::new("strace");
        command.args(["-f", "-p", &process.to_string(), "-o"]).arg(&seen);
        command.args(["-e", &format!("trace={calls}"), "-e", &format!("inject={inject}")]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let strace = match command.spawn() {
            Ok(strace) => strace,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err("strace is not installed; ./scripts/setup installs it".to_owned());
            }
            Err(error) => return Err(cannot(error)),
        };
        let mut trace = Trace { strace, seen };
        let began = clock.now();
        loop {
            let words = fs::read_to_string(&said).unwrap_or_default();
            if words.contains(" attached") {
                return Ok(trace);
            }
            let has_ended = !matches!(trace.strace.try_wait(), Ok(None));
            if has_ended || clock.now().since(began) > PATIENCE {
                let why = words.lines().next().unwrap_or("it does not say why");
                return Err(format!("strace may not attach to processes here ({why})"));
            }
            clock.sleep(LOOK);
        }
    }

    /// Lets the process go, and gives what was seen.
    pub(super) fn end(mut self, clock: Clock) -> String {
        // It ends by itself with the process.
        let is_there = matches!(self.strace.try_wait(), Ok(None));
        if is_there && send(self.strace.id(), Signal::TERM) {
            let began = clock.now();
            while matches!(self.strace.try_wait(), Ok(None)) && clock.now().since(began) < PATIENCE
            {
                clock.sleep(LOOK);
            }
        }
        fs::read_to_string(&self.seen).unwrap_or_default()
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // It may have ended; if not, whoever it traced goes on without it.
        let _ = self.strace.kill();
        let _ = self.strace.wait();
    }
}
