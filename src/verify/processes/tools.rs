//! Which of the programs and libraries are there that some faults need.

use super::fault::{Fault, Tool};
use super::trace::Trace;
use crate::clock::Clock;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where Debian and others put libfaketime, the one for programs with threads.
const FAKETIME: &str = "faketime/libfaketimeMT.so.1";
const LIBRARIES: [&str; 4] = ["/usr/lib", "/usr/lib64", "/usr/local/lib", "/lib"];

/// What is there.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The library that makes programs see another time, or why it cannot be used.
    pub(super) faketime: Result<PathBuf, String>,
    /// Why strace cannot put failures into processes here, if it cannot.
    strace: Option<String>,
}

impl Tools {
    /// Looks for them, and tries strace out.
    pub fn look() -> Tools {
        let faketime = LIBRARIES.iter().find_map(|folder| faketime_in(Path::new(folder)));
        let why = "libfaketime is not installed; ./scripts/setup installs it";
        Tools { faketime: faketime.ok_or_else(|| why.to_owned()), strace: strace_obstacle() }
    }

    /// Why `fault` cannot be made here, if it cannot.
    pub fn obstacle(&self, fault: Fault) -> Option<&str> {
        match fault.needs()? {
            Tool::Strace => self.strace.as_deref(),
            Tool::Faketime => self.faketime.as_ref().err().map(String::as_str),
        }
    }
}

/// In the folder itself, or in one for an architecture.
fn faketime_in(folder: &Path) -> Option<PathBuf> {
    let inner = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
    let mut candidates =
        std::iter::once(folder.to_owned()).chain(inner).map(|at| at.join(FAKETIME));
    candidates.find(|path| path.is_file())
}

/// Tried on a process that was started here and does nothing, as members are.
fn strace_obstacle() -> Option<String> {
    let clock = Clock::start();
    let folder = tempfile::tempdir().ok()?;
    let quiet = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn();
    let mut quiet = match quiet {
        Ok(quiet) => quiet,
        Err(error) => return Some(format!("nothing can be started to try strace on: {error}")),
    };
    let attached = Trace::attach(quiet.id(), "fdatasync:delay_exit=1", clock, folder.path());
    let obstacle = attached.map(|trace| trace.end(clock)).err();
    // It has done its part.
    let _ = quiet.kill();
    let _ = quiet.wait();
    obstacle
}
