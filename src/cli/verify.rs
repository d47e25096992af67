//! `kvbench verify`: are the answers right? Apply paths against the oracle, and histories under faults, questioned.

mod crashes;
mod histories;
mod imported;
mod kept;
mod plans;
mod quiet;
mod simulated;
mod told;
mod watched;

use super::{Exit, Terminal};
use crate::clock::Clock;
use crate::files;
use crate::record::verification::{Equivalence, SCHEMA, Verification};
use crate::report::verification;
use crate::report::words::{count, plain};
use crate::store::{EngineKind, PathKind, StateSync};
use crate::units::{Nanos, parse_nanos};
use crate::verify::equivalence;
use crate::{host, runner};
use anyhow::Context;
use clap::{Args, ValueEnum};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use watched::Watched;

/// The record and the page in a folder that `--out` names.
const RECORD: &str = "verify.json";
const PAGE: &str = "verify.html";
/// Largest record that a sitting goes on from, bytes.
const RECORD_BYTES_MAX: u64 = 256 << 20;
/// Shards of the sharded path under faults: few, so that keys share them.
const SHARDS: u32 = 16;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench verify                                  a first look, about a minute
  kvbench verify --histories 40 --operations 15000
  kvbench verify --campaign equivalence --requests 1000000000
  kvbench verify --campaign crashes --images 50000
  kvbench verify --campaign faults --fault leader-cut-off --fault loss
  kvbench verify --campaign simulation --seeds 300
  kvbench verify --campaign faults --histories 1 --seed 17 --path sharded
  kvbench verify --campaign processes --nodes 5   servers killed and starved
  kvbench verify --history history.edn --keyed    one that another tool recorded
  kvbench verify --keep-histories --out kept      and for other checkers
  kvbench verify --soak 24h --out soak            the same again goes on with it

A history that had too little load, or lacks a fault that it was to have, is
void: it shows nothing, and does not count as passed.

Exit codes:
  0    nothing wrong was found, and everything was decided
  2    the command line is wrong
  3    nothing wrong was found; something was void or undecided
  4    a wrong answer
  5    a file or folder cannot be written, or the system did not start
  130  interrupted: the record is marked")]
pub(super) struct VerifyArgs {
    /// What is verified
    #[arg(long, value_enum, default_value_t = Campaign::All)]
    campaign: Campaign,
    /// The first seed; each log and each history has one of its own, counted up
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Requests whose answers are compared, each store's counted
    #[arg(long, value_name = "COUNT", default_value_t = 300_000)]
    requests: u64,
    /// Leftovers of crashes on which a member is started, at least
    #[arg(long, value_name = "COUNT", default_value_t = 3_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    images: u64,
    /// Histories under faults
    #[arg(long, value_name = "COUNT", default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    histories: u64,
    /// Operations that each history has at least
    #[arg(long, value_name = "COUNT", default_value_t = 4_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    operations: u64,
    /// Histories on this path only; else on both, in turn
    #[arg(long, value_enum)]
    path: Option<PathArg>,
    /// On this engine only; else on each that is built in, in turn
    #[arg(long, value_enum)]
    engine: Option<EngineArg>,
    /// With so many members only; else three times with 3 and once with 1, in turn
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..=5))]
    nodes: Option<u64>,
    #[arg(long, value_name = "NAME", value_parser = plans::fault, help = plans::fault_help())]
    fault: Vec<String>,
    #[command(flatten)]
    simulation: simulated::SimulationArgs,
    /// Histories until so much time is over, e.g. 24h; with --out, what was begun there goes on
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    soak: Option<Nanos>,
    /// Check a history of registers that another tool recorded instead: Jepsen's EDN, or its older log
    #[arg(long, value_name = "FILE", conflicts_with_all = ["campaign", "soak", "out", "json"])]
    history: Option<PathBuf>,
    /// Its values are pairs of a key and a value, as Jepsen's independent keys
    #[arg(long, requires = "history")]
    keyed: bool,
    /// Its values carry versions, as Jepsen's test of etcd
    #[arg(long, requires = "history")]
    versioned: bool,
    /// Keep the record in this folder, as verify.json and a page, after every history
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Keep every history, too, as files that Knossos, Elle and Porcupine read; without this only those that are wrong or undecided
    #[arg(long, requires = "out")]
    keep_histories: bool,
    /// Print the record as JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Campaign {
    /// All of the others but processes and failpoints
    All,
    /// Every apply path gives the oracle's answers, events and state
    Equivalence,
    /// What a crash leaves of a disk, and disks that fail
    Crashes,
    /// Histories of groups in which things go wrong
    Faults,
    /// Histories of groups in which something goes wrong at one or two named sites; only builds with feature failpoints have them
    Failpoints,
    /// Histories of servers that are processes of their own, some faults at a time
    Processes,
    /// Groups on one thread, with time, disks and a network that a seed makes
    Simulation,
}

impl Campaign {
    /// Whether this one is part of it.
    fn has(self, one: Campaign) -> bool {
        self == Campaign::All || self == one
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PathArg {
    GlobalMutex,
    Sharded,
    ApplyWorkers,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum EngineArg {
    Memory,
    #[value(name = "rocksdb")]
    RocksDb,
}

impl PathArg {
    const ALL: [PathArg; 3] = [PathArg::GlobalMutex, PathArg::Sharded, PathArg::ApplyWorkers];

    fn name(self) -> &'static str {
        match self {
            PathArg::GlobalMutex => "global-mutex",
            PathArg::Sharded => "sharded",
            PathArg::ApplyWorkers => "apply-workers",
        }
    }

    fn kind(self) -> PathKind {
        match self {
            PathArg::GlobalMutex => PathKind::GlobalMutex,
            PathArg::Sharded => PathKind::Sharded { shards: SHARDS, workers: 1 },
            PathArg::ApplyWorkers => PathKind::Sharded { shards: SHARDS, workers: 3 },
        }
    }
}

impl EngineArg {
    fn built_in() -> Vec<EngineArg> {
        let mut all = vec![EngineArg::Memory];
        all.extend(cfg!(feature = "rocksdb").then_some(EngineArg::RocksDb));
        all
    }

    fn name(self) -> &'static str {
        match self {
            EngineArg::Memory => "memory",
            EngineArg::RocksDb => "rocksdb",
        }
    }

    fn kind(self) -> EngineKind {
        match self {
            EngineArg::Memory => EngineKind::Memory,
            EngineArg::RocksDb => EngineKind::RocksDb { state_sync: StateSync::RaftLogOnly },
        }
    }
}

fn duration(text: &str) -> Result<Nanos, String> {
    let span = parse_nanos(text)?;
    let possible = Nanos::from_millis(1_000)..=Nanos::from_millis(30 * 86_400_000);
    if possible.contains(&span) { Ok(span) } else { Err("from 1s to 720h".to_owned()) }
}

pub(super) fn verify(args: &VerifyArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if args.engine == Some(EngineArg::RocksDb)
        && !EngineArg::built_in().contains(&EngineArg::RocksDb)
    {
        let hint = "build with --features rocksdb, or leave --engine out";
        writeln!(terminal.err, "error: this kvbench is built without RocksDB\n  hint: {hint}")?;
        return Ok(Exit::Usage);
    }
    if args.campaign == Campaign::Failpoints && !cfg!(feature = "failpoints") {
        let hint = "build with `cargo build --release --features failpoints`; measure nothing with that build";
        writeln!(terminal.err, "error: this kvbench is built without failpoints\n  hint: {hint}")?;
        return Ok(Exit::Usage);
    }
    if let Err(wrong) = plans::check(args) {
        writeln!(terminal.err, "error: {wrong}")?;
        return Ok(Exit::Usage);
    }
    if let Some(file) = &args.history {
        return imported::check(file, args.keyed, args.versioned, terminal);
    }
    let mut sitting = Sitting::begin(args, terminal)?;
    let is_compared = |sitting: &Sitting| {
        let compared = sitting.record.equivalence.as_ref();
        compared.is_some_and(|one| one.requests >= args.requests || !one.differences.is_empty())
    };
    if args.campaign.has(Campaign::Equivalence) && !is_compared(&sitting) {
        sitting.equivalence(args, terminal)?;
    }
    if args.campaign.has(Campaign::Crashes) && sitting.record.crashes.is_none() {
        sitting.crashes(args, terminal)?;
    }
    if args.campaign.has(Campaign::Simulation) && sitting.record.simulation.is_none() {
        sitting.simulation(&args.simulation, args.seed, args.json, terminal)?;
    }
    match args.campaign {
        Campaign::Equivalence | Campaign::Crashes | Campaign::Simulation => {}
        Campaign::All | Campaign::Faults | Campaign::Failpoints => {
            sitting.within(args, terminal)?
        }
        Campaign::Processes => sitting.processes(args, terminal)?,
    }
    sitting.end(args, terminal)
}

/// The record so far, and the clock of this sitting.
struct Sitting {
    record: Verification,
    clock: Clock,
    /// Of the sittings before.
    elapsed_before_s: f64,
    out: Option<PathBuf>,
}

impl Sitting {
    fn begin(args: &VerifyArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Sitting> {
        let clock = Clock::start();
        let out = args.out.as_ref().map(|folder| folder.join(RECORD));
        let scratch = std::env::temp_dir();
        let mut record = Verification {
            schema: SCHEMA,
            kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: runner::utc_now(),
            elapsed_s: 0.0,
            complete: false,
            sittings: 1,
            host: host::facts(&scratch).context("looking at this machine")?,
            build: host::build(),
            equivalence: None,
            crashes: None,
            skipped: Vec::new(),
            simulation: None,
            histories: Vec::new(),
        };
        if let Some(before) = out.as_deref().filter(|path| path.exists()) {
            let kept = kept(before)?;
            let told = count(kept.histories.len(), "history", "histories");
            writeln!(
                terminal.err,
                "going on after {told} in {}",
                plain(&before.display().to_string())
            )?;
            if kept.build.revision != record.build.revision {
                anyhow::bail!(
                    "{} is of revision {}, this is {}; another program's histories do not add up with these\n  hint: name another --out",
                    plain(&before.display().to_string()),
                    plain(&kept.build.revision),
                    record.build.revision
                );
            }
            record = Verification { sittings: kept.sittings + 1, complete: false, ..kept };
        }
        let elapsed_before_s = record.elapsed_s;
        Ok(Sitting { record, clock, elapsed_before_s, out })
    }

    fn keep(&mut self) -> anyhow::Result<()> {
        self.record.elapsed_s = self.elapsed_before_s + self.clock.now().as_secs_f64();
        let Some(path) = &self.out else { return Ok(()) };
        let cannot = || format!("cannot write {}", plain(&path.display().to_string()));
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).with_context(cannot)?;
        files::replace(path, &self.record.to_json()?).with_context(cannot)?;
        let page = verification::render(&self.record);
        files::replace(&folder.join(PAGE), page.as_bytes()).with_context(cannot)
    }

    /// Goes on where a sitting before was interrupted.
    fn equivalence(
        &mut self,
        args: &VerifyArgs,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let clock = Clock::start();
        let fresh = || Equivalence { seed: args.seed, ..Equivalence::default() };
        let mut sum = self.record.equivalence.take().unwrap_or_else(fresh);
        let before_s = sum.elapsed_s;
        let engines: Vec<EngineArg> = args.engine.map_or_else(EngineArg::built_in, |one| vec![one]);
        let mut shown = Watched::new(terminal.live);
        while sum.requests < args.requests
            && sum.differences.is_empty()
            && !terminal.interrupted.load(Ordering::Relaxed)
        {
            shown.at("apply paths against the oracle", sum.requests, args.requests);
            let engine = engines[sum.logs as usize % engines.len()];
            let compared = equivalence::compare(engine.kind(), sum.seed + sum.logs);
            sum.logs += 1;
            sum.requests += compared.requests;
            sum.batches += compared.batches;
            sum.differences.extend(compared.difference);
        }
        drop(shown);
        sum.elapsed_s = before_s + clock.now().as_secs_f64();
        if !args.json {
            told::compared(terminal.out, &sum)?;
        }
        self.record.equivalence = Some(sum);
        self.keep()
    }

    fn end(mut self, args: &VerifyArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
        let interrupted = terminal.interrupted.load(Ordering::Relaxed);
        self.record.complete = !interrupted;
        self.keep()?;
        match args.json {
            true => terminal.out.write_all(&self.record.to_json()?)?,
            false => told::summary(terminal.out, &self.record)?,
        }
        Ok(match () {
            () if self.record.has_violation() => Exit::WrongAnswer,
            () if interrupted => Exit::Interrupted,
            () if self.record.is_open() => Exit::Inconclusive,
            () => Exit::Met,
        })
    }
}

fn kept(path: &Path) -> anyhow::Result<Verification> {
    let cannot = |why: String| {
        let path = plain(&path.display().to_string());
        anyhow::anyhow!("cannot go on from {path}: {why}\n  hint: name another --out")
    };
    let text = files::read(path, RECORD_BYTES_MAX).map_err(|error| cannot(error.to_string()))?;
    let kept = Verification::from_json(&text).map_err(|error| cannot(error.to_string()))?;
    match kept.schema == SCHEMA {
        true => Ok(kept),
        false => Err(cannot("it has another layout".to_owned())),
    }
}
