//! Servers as processes of their own, of this program and others: what several benches share.

use kvbench::client::{Connection, Endpoint};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A number, this program and others, as they were said.
pub(crate) struct Asked {
    /// How many.
    pub(crate) number: u64,
    /// Whose servers.
    pub(crate) programs: Vec<String>,
}

impl Asked {
    /// From the command line: this program is always among them.
    pub(crate) fn or(number: u64) -> Asked {
        let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
        let number = args.iter().find_map(|arg| arg.parse().ok()).unwrap_or(number);
        let mut programs = vec![env!("CARGO_BIN_EXE_kvbench").to_owned()];
        programs.extend(args.into_iter().filter(|arg| arg.parse::<u64>().is_err()));
        Asked { number, programs }
    }
}

/// A server that ends with this.
pub(crate) struct Server {
    /// What runs.
    pub(crate) process: Child,
    /// Where it listens.
    pub(crate) url: String,
    _folder: tempfile::TempDir,
}

impl Server {
    /// One in memory, with what `--fsync` says; it listens when this returns.
    pub(crate) fn start(program: &str, fsync: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.args(["serve", "--listen-client-urls", "http://127.0.0.1:0", "--fsync", fsync]);
        command.arg("--data-dir").arg(folder.path().join("data")).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the program starts");
        let mut line = String::new();
        let said = process.stdout.as_mut().expect("it is piped");
        BufReader::new(said).read_line(&mut line).expect("it says that it is ready");
        let url = line.split_whitespace().find(|word| word.starts_with("http://"));
        let url = url.expect("it says where").trim_end_matches([',', ';']).to_owned();
        Server { process, url, _folder: folder }
    }

    /// A connection of its own.
    pub(crate) async fn connect(&self) -> Connection {
        let endpoint = Endpoint::parse(&self.url, None).expect("it is one");
        Connection::open(&endpoint).await.expect("it listens")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
