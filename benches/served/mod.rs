//! Servers as processes of their own, and puts that meanwhile say how long everybody waits: what several benches share.

use kvbench::client::{Connection, Endpoint};
use kvbench::clock::Clock;
use kvbench::model::Request;
use kvbench::units::Nanos;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const ROUNDS: usize = 3;
const PUT_EVERY: Duration = Duration::from_millis(2);

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

    /// What `cost` gives of each program, which take turns.
    pub(crate) fn by_turns<T>(&self, mut cost: impl FnMut(&str, u64) -> T) -> Vec<(&str, Vec<T>)> {
        let mut costs: Vec<_> =
            self.programs.iter().map(|program| (program.as_str(), Vec::new())).collect();
        for _ in 0..ROUNDS {
            for (program, costs) in &mut costs {
                costs.push(cost(program, self.number));
            }
        }
        costs
    }
}

/// Median and extremes of what `value` says.
pub(crate) fn spread<T>(costs: &[T], value: fn(&T) -> f64) -> String {
    let mut values: Vec<_> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{median:.2} [{least:.2}, {most:.2}]")
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
    /// One in memory whose log is not synced; it listens when this returns.
    pub(crate) fn start(program: &str) -> Server {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut command = Command::new(program);
        command.args(["serve", "--listen-client-urls", "http://127.0.0.1:0", "--fsync", "off"]);
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

/// Puts to one key, one after the other.
pub(crate) struct Puts {
    stop: watch::Sender<bool>,
    slowest: JoinHandle<Nanos>,
}

impl Puts {
    /// Over `writer`, from now on.
    pub(crate) fn begin(writer: Connection, clock: Clock) -> Puts {
        let (stop, stopped) = watch::channel(false);
        Puts { stop, slowest: tokio::spawn(slowest_put(writer, clock, stopped)) }
    }

    /// How long the slowest of them took, ms.
    pub(crate) async fn end(self) -> f64 {
        self.stop.send(true).expect("puts are under way");
        self.slowest.await.expect("puts are answered").0 as f64 / 1e6
    }
}

async fn slowest_put(writer: Connection, clock: Clock, stopped: watch::Receiver<bool>) -> Nanos {
    let mut slowest = Nanos::ZERO;
    while !*stopped.borrow() {
        let began = clock.now();
        writer.call(Request::put(format!("{:016x}", 0), "x")).await.expect("an answer");
        slowest = slowest.max(clock.now().since(began));
        tokio::time::sleep(PUT_EVERY).await;
    }
    slowest
}
