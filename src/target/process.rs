//! A server as a process of its own: started on loopback ports that were free, killed when its trial ends.

use super::LaunchError;
use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Lines of a process's last words that are quoted.
const LAST_WORDS: usize = 8;

/// A running process. Dropping it kills it and waits for its end.
pub(super) struct Process {
    program: String,
    child: Child,
    said: PathBuf,
}

impl Process {
    /// Starts `command`. What it writes goes to a file in `folder`; its standard input stays open as long as this process lives.
    pub(super) fn start(mut command: Command, folder: &Path) -> Result<Process, LaunchError> {
        let said = folder.join("output.txt");
        let file = |source| LaunchError::File { path: said.clone(), source };
        fs::create_dir_all(folder).map_err(file)?;
        let output = File::options().create(true).append(true).open(&said).map_err(file)?;
        let errors = output.try_clone().map_err(file)?;
        command.stdin(Stdio::piped()).stdout(output).stderr(errors);
        let program = command.get_program().to_string_lossy().into_owned();
        match command.spawn() {
            Ok(child) => Ok(Process { program, child, said }),
            Err(source) => Err(LaunchError::Program { program, source }),
        }
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// An error if it has ended, with its last words.
    pub(super) fn check(&mut self) -> Result<(), LaunchError> {
        let Ok(Some(status)) = self.child.try_wait() else { return Ok(()) };
        let said = fs::read_to_string(&self.said).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let said = lines[lines.len().saturating_sub(LAST_WORDS)..].join("\n");
        Err(LaunchError::Ended { program: self.program.clone(), status: status.to_string(), said })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What member number `index` of a group is called.
pub(super) fn name(index: usize) -> String {
    format!("m{}", index + 1)
}

/// Where a port of the loopback is.
pub(super) fn url(port: u16) -> String {
    format!("http://{}", address(port))
}

/// The same without its scheme.
pub(super) fn address(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

/// The members' names and addresses as `--initial-cluster` takes them.
pub(super) fn initial_cluster(peers: impl Iterator<Item = u16>) -> String {
    let named = peers.enumerate().map(|(index, port)| format!("{}={}", name(index), url(port)));
    named.collect::<Vec<_>>().join(",")
}

/// `count` ports of the loopback for the servers of `folder`: those that an earlier launch used there, since members of a
/// group remember one another by them, else some that nobody uses now.
pub(super) fn ports(folder: &Path, count: usize) -> Result<Vec<u16>, LaunchError> {
    let kept = folder.join("ports.txt");
    let file = |source| LaunchError::File { path: kept.clone(), source };
    if let Ok(text) = fs::read_to_string(&kept) {
        let ports: Vec<u16> = text.lines().filter_map(|line| line.parse().ok()).collect();
        if ports.len() == count {
            return Ok(ports);
        }
    }
    let ports = free_ports(count).map_err(file)?;
    let text: String = ports.iter().map(|port| format!("{port}\n")).collect();
    fs::create_dir_all(folder).and_then(|()| fs::write(&kept, text)).map_err(file)?;
    Ok(ports)
}

/// They are taken all at once, so that they differ.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}
