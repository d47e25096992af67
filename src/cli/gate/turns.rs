//! Base and head by turns: each turn runs both programs on one block of the scenario, in random order, and one of them a second time.
//! Both are processes started the same way with the same arguments, so that nothing differs but the program. Where one CPU is all that
//! they wait for, the three of a turn run side by side on one, by slices of time.

use super::GateArgs;
use super::measured::failed_checks;
use super::slices::{Sharers, ask_to_end, on_one_cpu};
use crate::clock::Clock;
use crate::gate::{Program, Shot, without_sharers};
use crate::host;
use crate::record::Run;
use crate::record::bundle::Bundle;
use crate::runner::{Progress, Watcher};
use crate::scenario::spec::Scenario;
use crate::seed::Seed;
use crate::units::Nanos;
use rand::seq::SliceRandom;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;

/// Between two looks at whether a run has ended.
const NAP: Nanos = Nanos::from_millis(20);
/// Runs of a turn.
const RUNS: usize = 3;
/// Exit codes of `kvbench run` after which there is a whole record: verdicts on a single pair are not what is asked here.
const MEASURED: [i32; 4] = [0, 1, 3, 4];
/// Lines of a run's last words that are quoted.
const LAST_WORDS: usize = 4;

/// A copy of this program that no build changes while it is measured.
pub(super) fn own_program(scratch: &Path) -> io::Result<PathBuf> {
    let copy = scratch.join("kvbench-head");
    fs::copy(std::env::current_exe()?, &copy)?;
    Ok(copy)
}

/// What turns left.
pub(super) struct Ended {
    /// Of whole turns.
    pub(super) shots: Vec<Shot>,
    /// Why they ended early, if a program failed.
    pub(super) failure: Option<String>,
    /// What head answered wrongly, in any turn.
    pub(super) wrong: Vec<String>,
    /// Turns that were measured again, since the host was disturbed.
    pub(super) repeated: u32,
    /// Whether the runs of a turn were made side by side.
    pub(super) by_slices: bool,
}

/// The turns of one scenario.
pub(super) struct Turns<'a> {
    pub(super) scenario: &'a Path,
    pub(super) name: &'a str,
    pub(super) seed: Seed,
    /// Base, head.
    pub(super) programs: [&'a Path; 2],
    pub(super) pairs: u32,
    /// Number of the first turn; seeds and orders follow from it.
    pub(super) from: u32,
    /// Whether the runs of a turn share one CPU by slices, or have the machine one after the other.
    pub(super) by_slices: bool,
    pub(super) args: &'a GateArgs,
    pub(super) scratch: &'a Path,
    pub(super) clock: Clock,
}

impl Turns<'_> {
    /// Runs them; ends early if it is interrupted or a program fails, with the turns that were finished. A turn that the host disturbed
    /// is measured again, as long as there are no more of those than half of the turns; nothing that was measured in it decides that.
    pub(super) fn run(
        &self,
        interrupted: &AtomicBool,
        watcher: &mut dyn Watcher,
    ) -> io::Result<Ended> {
        let mut ended = Ended {
            shots: Vec::new(),
            failure: None,
            wrong: Vec::new(),
            repeated: 0,
            by_slices: self.by_slices,
        };
        for block in 0..self.pairs {
            loop {
                // A turn that is measured again is another one, with a seed of its own.
                let number = block + self.pairs * ended.repeated.min(1) + ended.repeated;
                let turn = self.turn(block, number, &mut ended, interrupted, watcher)?;
                let Some(turn) = turn else { return Ok(ended) };
                let may_repeat = ended.repeated < self.pairs / 2;
                if may_repeat && turn.iter().any(is_disturbed) {
                    ended.repeated += 1;
                    continue;
                }
                ended.shots.extend(turn);
                break;
            }
        }
        Ok(ended)
    }

    /// One turn; none if it was not finished: it counts whole or not at all.
    fn turn(
        &self,
        block: u32,
        number: u32,
        ended: &mut Ended,
        interrupted: &AtomicBool,
        watcher: &mut dyn Watcher,
    ) -> io::Result<Option<Vec<Shot>>> {
        let order = self.order(block);
        let mut outcomes = Vec::new();
        // By slices all at once, else one after the other.
        for runs in order.chunks(if self.by_slices { RUNS } else { 1 }) {
            self.show(block, runs, ended, outcomes.len(), watcher);
            let began_s = self.clock.now().as_secs_f64();
            let processes = runs.iter().map(|(program, _)| self.process(*program, number));
            let made = match self.by_slices {
                true => side_by_side(&processes.collect::<Vec<_>>(), self.clock, interrupted)?,
                false => processes
                    .map(|process| process.run(self.clock, interrupted))
                    .collect::<io::Result<Vec<_>>>()?,
            };
            outcomes.extend(runs.iter().zip(made).map(|(run, made)| (*run, began_s, made)));
            if outcomes.iter().any(|(_, _, made)| made.is_err()) {
                break;
            }
        }
        let mut turn = Vec::new();
        for ((program, repeat), began_s, outcome) in outcomes {
            match outcome {
                Ok(mut run) => {
                    if program == Program::Head {
                        ended.note_wrong(&run);
                    }
                    if self.by_slices {
                        without_sharers(&mut run, RUNS as u32);
                        host::with_cores(&mut run.host, host::cores());
                    }
                    turn.push(Shot { program, block, repeat, began_s, run });
                }
                Err(_) if interrupted.load(Ordering::Relaxed) => return Ok(None),
                Err(why) => {
                    ended.failure = Some(format!("{} failed: {why}", program.name()));
                    return Ok(None);
                }
            }
        }
        Ok(Some(turn))
    }

    fn show(
        &self,
        block: u32,
        runs: &[(Program, bool)],
        ended: &Ended,
        made: usize,
        watcher: &mut dyn Watcher,
    ) {
        let who = match runs {
            [(program, _)] => program.name(),
            _ => "base and head",
        };
        watcher.progress(&Progress {
            doing: &format!("{} {who}", self.name),
            pair: block + 1,
            pairs: self.pairs,
            done: (ended.shots.len() + made) as u64,
            planned: u64::from(self.pairs) * RUNS as u64,
            ratio: ratio(&ended.shots),
        });
    }

    /// Both, and one of them again: base in even turns, head in odd ones. The first of two runs of one program is its own, the second
    /// is for the A/A floor.
    fn order(&self, block: u32) -> Vec<(Program, bool)> {
        let again = if block.is_multiple_of(2) { Program::Base } else { Program::Head };
        let mut programs = [Program::Base, Program::Head, again];
        programs.shuffle(&mut self.seed.stream("gate", u64::from(self.from + block)));
        let repeats = |place: usize| programs[..place].contains(&programs[place]);
        programs.iter().enumerate().map(|(place, program)| (*program, repeats(place))).collect()
    }

    fn process(&self, program: Program, number: u32) -> Process<'_> {
        let path = match program {
            Program::Base => self.programs[0],
            Program::Head => self.programs[1],
        };
        let seed = self.seed.child("gate", u64::from(self.from + number)).0 >> 1;
        let mut settings = vec![
            format!("seed={seed}"),
            "trials.pairs.min=1".to_owned(),
            "trials.pairs.max=1".to_owned(),
            "trials.aa=false".to_owned(),
        ];
        if self.by_slices {
            // Each takes the others for strangers.
            settings.push("trials.on_disturbed=keep".to_owned());
        }
        Process {
            program: path,
            scenario: self.scenario,
            settings,
            args: self.args,
            scratch: self.scratch,
        }
    }
}

impl Ended {
    fn note_wrong(&mut self, run: &Run) {
        for wrong in failed_checks(run) {
            if !self.wrong.contains(&wrong) {
                self.wrong.push(wrong);
            }
        }
    }
}

fn is_disturbed(shot: &Shot) -> bool {
    shot.run.blocks.iter().any(|block| !block.disturbed.is_empty())
        && shot.run.plan.on_disturbed != KEEP
}

/// The word of a plan for keeping disturbed blocks.
const KEEP: &str = "keep";

/// Throughput of head over base so far, at the first place of the last arm: for the progress line alone.
fn ratio(shots: &[Shot]) -> Option<f64> {
    let rate = |program: Program| {
        let its = shots.iter().filter(|shot| shot.program == program && !shot.repeat);
        let cells = its.filter_map(|shot| shot.run.trials.last()?.cells.first());
        let rates: Vec<f64> = cells.map(|cell| cell.throughput_per_s.ln()).collect();
        (!rates.is_empty()).then(|| rates.iter().sum::<f64>() / rates.len() as f64)
    };
    Some((rate(Program::Head)? - rate(Program::Base)?).exp())
}

/// The whole of a scenario on one program, with as many pairs as it asks for.
pub(super) fn whole<'a>(
    program: &'a Path,
    scenario: &'a Path,
    asked: &'a Scenario,
    args: &'a GateArgs,
    scratch: &'a Path,
) -> Whole<'a> {
    let process = Process { program, scenario, settings: Vec::new(), args, scratch };
    Whole { process, name: &asked.name }
}

/// A run that nothing is interleaved with.
pub(super) struct Whole<'a> {
    process: Process<'a>,
    name: &'a str,
}

impl Whole<'_> {
    /// Its record, or why there is none.
    pub(super) fn run(
        &self,
        clock: Clock,
        interrupted: &AtomicBool,
        watcher: &mut dyn Watcher,
    ) -> io::Result<Result<Run, String>> {
        let doing = format!("{} head", self.name);
        let (pair, pairs, done, planned) = (1, 1, 0, 1);
        watcher.progress(&Progress { doing: &doing, pair, pairs, done, planned, ratio: None });
        self.process.run(clock, interrupted)
    }
}

/// Why a program cannot run a scenario, in its own words; none if it can.
pub(super) fn refuses(
    program: &Path,
    scenario: &Path,
    args: &GateArgs,
    scratch: &Path,
) -> io::Result<Option<String>> {
    let mut command = Command::new(program);
    command.arg("check").arg(scenario);
    args.scenarios.overrides.set.iter().for_each(|set| {
        command.args(["--set", set]);
    });
    let output = command.current_dir(".").env("TMPDIR", scratch).output()?;
    Ok((!output.status.success()).then(|| last_words(&String::from_utf8_lossy(&output.stderr))))
}

/// One run of a program.
struct Process<'a> {
    program: &'a Path,
    scenario: &'a Path,
    /// Laid over the scenario after what the user lays over it.
    settings: Vec<String>,
    args: &'a GateArgs,
    scratch: &'a Path,
}

impl Process<'_> {
    /// Its record, or why there is none.
    fn run(&self, clock: Clock, interrupted: &AtomicBool) -> io::Result<Result<Run, String>> {
        let (mut child, place) = self.start()?;
        let status = wait(&mut child, clock, interrupted)?;
        place.outcome(status)
    }

    fn start(&self) -> io::Result<(Child, Place)> {
        let place = Place(tempfile::Builder::new().prefix("shot-").tempdir_in(self.scratch)?);
        let child = self.command(&place.out(), &place.said())?.spawn()?;
        Ok((child, place))
    }

    fn command(&self, out: &Path, said: &Path) -> io::Result<Command> {
        let mut command = leashed(self.program);
        command.arg("run").arg(self.scenario).arg("--no-profile");
        command.arg("--out").arg(out).arg("--data").arg(self.scratch);
        for set in self.args.scenarios.overrides.set.iter().chain(&self.settings) {
            command.args(["--set", set]);
        }
        // Its own group: a Ctrl-C at the terminal is for the gate, which passes it on once.
        command.process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(said)?);
        Ok(command)
    }
}

/// Where a process leaves its record and its words; vanishes when it is dropped.
struct Place(TempDir);

impl Place {
    fn out(&self) -> PathBuf {
        self.0.path().join("out")
    }

    fn said(&self) -> PathBuf {
        self.0.path().join("said.txt")
    }

    /// The record of a process that ended like this, or why there is none.
    fn outcome(&self, status: ExitStatus) -> io::Result<Result<Run, String>> {
        let measured = status.code().is_some_and(|code| MEASURED.contains(&code));
        if !measured {
            let said = last_words(&fs::read_to_string(self.said()).unwrap_or_default());
            return Ok(Err(format!("{status}: {said}")));
        }
        let Some(bundle) = fs::read_dir(self.out())?.flatten().next() else {
            return Ok(Err("it left no record".to_owned()));
        };
        Ok(Bundle::open(&bundle.path()).read_run().map_err(|error| error.to_string()))
    }
}

/// All of them on one CPU, by slices.
fn side_by_side(
    processes: &[Process<'_>],
    clock: Clock,
    interrupted: &AtomicBool,
) -> io::Result<Vec<Result<Run, String>>> {
    // Dropped in the other order: nobody's place vanishes before he has ended.
    let mut places = Vec::new();
    let mut sharers = Sharers::none();
    on_one_cpu(|| {
        for process in processes {
            let (child, place) = process.start()?;
            sharers.add(child);
            places.push(place);
        }
        Ok(())
    })?;
    let ended = sharers.run(clock, interrupted)?;
    places.iter().zip(ended).map(|(place, status)| place.outcome(status)).collect()
}

/// Ends with this process, even if this one is killed, where that can be had: `setpriv` is part of every Debian.
fn leashed(program: &Path) -> Command {
    const LEASH: &str = "setpriv";
    let path = std::env::var_os("PATH").unwrap_or_default();
    if std::env::split_paths(&path).any(|folder| folder.join(LEASH).is_file()) {
        let mut command = Command::new(LEASH);
        command.args(["--pdeathsig", "TERM"]).arg(program);
        return command;
    }
    Command::new(program)
}

/// Until it has ended; asked to, once, if the gate is interrupted.
fn wait(child: &mut Child, clock: Clock, interrupted: &AtomicBool) -> io::Result<ExitStatus> {
    let mut was_asked = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupted.load(Ordering::Relaxed) && !was_asked {
            was_asked = true;
            ask_to_end(child);
        }
        clock.sleep(NAP);
    }
}

fn last_words(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LAST_WORDS)..].join(" / ")
}
