//! Commands that are ended in the middle: by Ctrl-C, by SIGTERM, by SIGKILL, at times that a seed draws. What they leave is whole or not
//! there; no process, no folder and no lock stays, and what a SIGKILL cannot but leave, the next command removes.
//!
//! `KVBENCH_INTERRUPTS=20 cargo test --release --test interrupts -- --nocapture` ends each command so many times by each signal.

#![expect(clippy::unwrap_used, reason = "a test that fails says where by itself")]
#![expect(clippy::print_stderr, reason = "what was ended and when is said")]

use kvbench::clock::Clock;
use kvbench::node::DataFolder;
use kvbench::seed::Seed;
use kvbench::units::Nanos;
use rand::Rng;
use serde_json::Value;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use tempfile::TempDir;

const KVBENCH: &str = env!("CARGO_BIN_EXE_kvbench");
/// Far beyond what any command takes to end once it was told to.
const PATIENCE: Nanos = Nanos::from_millis(60_000);

/// So long that nothing but a signal ends it.
const LONG: &str = r#"schema = 1
name = "long"
[arms.before]
apply = "global-mutex"
[arms.after]
[keys]
space = 100
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [2] } }
warmup = "10ms"
duration = "100ms"
[trials]
pairs = { min = 200, max = 200 }
on_disturbed = "keep"
"#;

/// A command that is ended.
struct Case {
    name: &'static str,
    /// Its words; `@` at the beginning of one is the desk's folder.
    args: &'static [&'static str],
    /// By when it is ended at the latest, ms.
    within_ms: u64,
    /// What it says of itself when it was asked to end, if it had not ended before.
    exits: &'static [i32],
    /// Times each signal is sent in every test.
    rounds: u64,
}

/// The words of a run with its levers.
macro_rules! run_words {
    ($set:literal) => {
        &["run", "@/long.toml", "--out", "@/out", "--data", "@/data", "--no-profile", "--set", $set]
    };
}

const CASES: [Case; 9] = [
    run("run, store alone", run_words!("system.layer=store"), 1_500),
    run("run, with a log", run_words!("system.layer=raft"), 1_500),
    Case { rounds: 1, ..run("run, servers", run_words!("system.layer=rpc"), 3_000) },
    Case {
        name: "profile",
        args: &[
            "profile",
            "@/long.toml",
            "--out",
            "@/out",
            "--data",
            "@/data",
            "--set",
            "system.layer=store",
        ],
        within_ms: 2_500,
        exits: &[130],
        rounds: 1,
    },
    Case {
        name: "gate",
        args: &[
            "gate",
            "@/long.toml",
            "--base",
            "program:@program",
            "--out",
            "@/out",
            "--data",
            "@/data",
            "--set",
            "system.layer=store",
        ],
        within_ms: 4_000,
        exits: &[130],
        rounds: 1,
    },
    Case {
        name: "verify",
        args: &[
            "verify",
            "--operations",
            "200",
            "--histories",
            "1000",
            "--requests",
            "20000",
            "--out",
            "@/out",
        ],
        within_ms: 4_000,
        exits: &[130],
        rounds: 2,
    },
    Case {
        name: "serve",
        args: &["serve", "--listen-client-urls", "http://127.0.0.1:0", "--data-dir", "@/data/node"],
        within_ms: 600,
        exits: &[0],
        rounds: 3,
    },
    Case {
        name: "report",
        args: &["report", "@/out/old"],
        within_ms: 60,
        exits: &[0, 1, 3, 130],
        rounds: 3,
    },
    Case {
        name: "history",
        args: &["history", "add", "@/out/old", "--in", "@/out/history"],
        within_ms: 60,
        exits: &[0, 2, 130],
        rounds: 3,
    },
];

/// A run of two arms without profiles.
const fn run(name: &'static str, args: &'static [&'static str], within_ms: u64) -> Case {
    Case { name, args, within_ms, exits: &[130], rounds: 2 }
}

struct Desk {
    folder: TempDir,
    /// Everything that was in the old bundle.
    old: Vec<u8>,
}

impl Desk {
    fn new() -> Desk {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("long.toml"), LONG).unwrap();
        let old = folder.path().join("out/old");
        fs::create_dir_all(&old).unwrap();
        let reference = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("reports/reference/put_parallel-2026-11-23/result.json");
        fs::copy(&reference, old.join("result.json")).unwrap();
        Desk { folder, old: fs::read(&reference).unwrap() }
    }

    fn placed(&self, word: &str) -> String {
        let folder = self.folder.path().to_str().unwrap();
        match word.strip_prefix("@/") {
            Some(rest) => format!("{folder}/{rest}"),
            None => word.replace("@program", KVBENCH),
        }
    }

    fn start(&self, case: &Case) -> Ended {
        let stream = |name: &str| File::create(self.folder.path().join(name)).unwrap();
        let mut command = Command::new(KVBENCH);
        command.args(case.args.iter().map(|word| self.placed(word)));
        command
            .env("TMPDIR", self.folder.path().join("data"))
            .stdout(stream("stdout"))
            .stderr(stream("stderr"));
        fs::create_dir_all(self.folder.path().join("data")).unwrap();
        Ended(command.spawn().unwrap())
    }

    fn said(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.path().join(name)).unwrap();
        read("stdout") + &read("stderr")
    }

    /// Every file below `out`, by its path.
    fn files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.folder.path().join("out"), &mut files);
        files
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}

/// A process that does not outlive its test.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Ended {
    fn signal(&self, signal: &str) {
        // One that has ended already hears nothing.
        let _ = Command::new("sh")
            .args(["-c", &format!("kill -{signal} {} 2>/dev/null", self.0.id())])
            .status();
    }

    fn wait(&mut self) -> ExitStatus {
        let clock = Clock::start();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(clock.now() < PATIENCE, "it does not end");
            clock.sleep(Nanos::from_millis(2));
        }
    }
}

/// Processes that name this folder on their command lines, but for this one.
fn strays(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(line) = fs::read(entry.path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(folder) {
            found.push(line);
        }
    }
    found
}

/// The records are whole; one that was cut short says so. Nothing that was there before is touched.
fn check_files(desk: &Desk, is_killed: bool, what: &str) {
    for path in desk.files() {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let is_half = name.starts_with(".tmp") || name.contains(".running-");
        assert!(!is_half || is_killed, "{what} left {}", path.display());
        if name.ends_with(".json") && !is_half {
            let json: Result<Value, _> = serde_json::from_slice(&fs::read(&path).unwrap());
            let json = json.unwrap_or_else(|error| panic!("{what}: {}: {error}", path.display()));
            let is_old = path.parent().unwrap().ends_with("old");
            let is_cut = json.get("complete") == Some(&Value::Bool(false));
            // A block of a gate is a whole run of its own.
            let may_be_whole = is_old || what.starts_with("gate") || json.get("complete").is_none();
            assert!(
                is_cut || may_be_whole,
                "{what}: {} does not say that it was cut short",
                path.display()
            );
        }
        if name == "history.ndjson" {
            let lines = fs::read_to_string(&path).unwrap();
            let whole = lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok());
            assert!(whole || is_killed, "{what}: a torn line");
        }
    }
    assert_eq!(
        fs::read(desk.folder.path().join("out/old/result.json")).unwrap(),
        desk.old,
        "{what}"
    );
}

/// No process stays longer than it takes to notice that whoever started it has gone.
fn check_processes(desk: &Desk, what: &str) {
    let clock = Clock::start();
    loop {
        let left = strays(desk.folder.path());
        if left.is_empty() {
            return;
        }
        assert!(clock.now() < Nanos::from_millis(20_000), "{what}: {left:?} live on");
        clock.sleep(Nanos::from_millis(20));
    }
}

/// Folders of trials in `data`.
fn scratch(desk: &Desk) -> Vec<PathBuf> {
    let entries = fs::read_dir(desk.folder.path().join("data")).unwrap().flatten();
    let is_scratch = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".running-"))
    };
    entries.map(|entry| entry.path()).filter(is_scratch).collect()
}

/// What SIGKILL left goes with the next command of that kind; a lock went with its process.
fn check_next(desk: &Desk, what: &str) {
    let node = desk.folder.path().join("data/node");
    if node.exists() {
        let open = DataFolder::open(&node);
        assert!(open.is_ok(), "{what}: {:?}", open.err());
    }
    if scratch(desk).is_empty() {
        return;
    }
    let words = ["run", "@/long.toml", "--out", "@/out2", "--data", "@/data", "--no-profile"];
    let mut command = Command::new(KVBENCH);
    command.args(words.map(|word| desk.placed(word))).args([
        "--set",
        "system.layer=store",
        "--set",
        "trials.pairs.min=1",
    ]);
    command.args(["--set", "trials.pairs.max=1"]);
    assert!(matches!(command.output().unwrap().status.code(), Some(0 | 3)), "{what}");
    assert!(scratch(desk).is_empty(), "{what}: {:?}", scratch(desk));
}

fn end(case: &Case, signal: &'static str, delay: Nanos) {
    let what = format!("{} ended by SIG{signal} after {delay}", case.name);
    let desk = Desk::new();
    let mut process = desk.start(case);
    Clock::start().sleep(delay);
    process.signal(signal);
    let status = process.wait();
    let said = desk.said();
    assert!(!said.contains("panicked"), "{what}: {said}");
    let is_killed = signal == "KILL";
    let by_signal = std::os::unix::process::ExitStatusExt::signal(&status);
    match status.code() {
        Some(code) => assert!(case.exits.contains(&code), "{what}: exit {code}\n{said}"),
        // So early that nobody listens yet, the system ends it.
        None => assert!(
            is_killed || delay < Nanos::from_millis(300),
            "{what}: signal {by_signal:?}\n{said}"
        ),
    }
    let is_killed = status.code().is_none();
    check_files(&desk, is_killed, &what);
    check_processes(&desk, &what);
    if !is_killed {
        assert!(scratch(&desk).is_empty(), "{what} left {:?}", scratch(&desk));
    }
    check_next(&desk, &what);
}

#[test]
fn nothing_half_done_is_left_behind() {
    let asked = std::env::var("KVBENCH_INTERRUPTS").ok().map(|text| text.parse().unwrap());
    let mut random = Seed(1).stream("interrupts", 0);
    let mut signals = 0;
    for case in &CASES {
        for signal in ["INT", "TERM", "KILL"] {
            for _ in 0..asked.unwrap_or(case.rounds) {
                let delay = Nanos(random.random_range(0..case.within_ms * 1_000_000));
                end(case, signal, delay);
                signals += 1;
            }
        }
        eprintln!("interrupts: {} done", case.name);
    }
    eprintln!("interrupts: {signals} signals, {} commands, nothing half done", CASES.len());
}
