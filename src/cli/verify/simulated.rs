//! `kvbench verify --campaign simulation`: one run for each seed, and the smallest schedule for one that goes wrong.

use super::{Sitting, Watched};
use crate::cli::Terminal;
use crate::clock::Clock;
use crate::record::verification::{FaultCount, SimulatedViolation, Simulation};
use crate::report::words::{count, plain};
use crate::verify::simulation::{Kept, Plan, Ran, Shrunk, run, shrink};
use anyhow::Context;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::atomic::Ordering;

/// Runs in search of a smaller schedule.
const SHRINKING_RUNS_MAX: u64 = 150;
/// Violations after which the campaign ends: more of them say little more.
const VIOLATIONS_MAX: usize = 3;

#[derive(Debug, Args)]
pub(super) struct SimulationArgs {
    /// Simulated groups, one for each seed
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    seeds: u64,
    /// Simulated milliseconds in which things go wrong, for each
    #[arg(long, value_name = "COUNT", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(100..=10_000_000))]
    ticks: u64,
    /// Of a simulation's faults these only, by number, as a run that went wrong names them; 7/4 is fault 7 for a quarter of its time
    #[arg(long, value_name = "NUMBER[/PART],…", value_delimiter = ',', value_parser = kept)]
    keep: Option<Vec<Kept>>,
}

fn kept(text: &str) -> Result<Kept, String> {
    let (number, shorter) = text.split_once('/').unwrap_or((text, "1"));
    let wrong = || format!("{text} is no number of a fault, nor one with a part, as 7/4");
    let (number, shorter) =
        (number.parse().map_err(|_| wrong())?, shorter.parse().map_err(|_| wrong())?);
    if shorter == 0 { Err(wrong()) } else { Ok(Kept { number, shorter }) }
}

impl SimulationArgs {
    fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::of(seed, self.ticks);
        match &self.keep {
            Some(kept) => plan.keep(kept),
            None => plan,
        }
    }
}

impl Sitting {
    pub(super) fn simulation(
        &mut self,
        args: &SimulationArgs,
        first: u64,
        is_quiet: bool,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let clock = Clock::start();
        let interrupted = terminal.interrupted.clone();
        let stop = || interrupted.load(Ordering::Relaxed);
        let mut sum = Simulation { seed: first, ticks_each: args.ticks, ..Simulation::default() };
        let mut kinds = BTreeMap::new();
        let mut shown = Watched::new(terminal.live && !is_quiet);
        for seed in (first..).take(args.seeds as usize) {
            shown.at("simulated groups", seed - first, args.seeds);
            if stop() || sum.violations.len() >= VIOLATIONS_MAX {
                break;
            }
            let plan = args.plan(seed);
            let cannot = "a simulated group needs files for its images";
            let ran = run(&plan).context(cannot)?;
            add(&mut sum, &mut kinds, &ran);
            if ran.violation.is_some() {
                let shrunk = shrink(&plan, &ran, SHRINKING_RUNS_MAX, &stop).context(cannot)?;
                sum.violations.extend(shrunk.map(|shrunk| violation(&ran, &shrunk)));
            }
        }
        drop(shown);
        let count = |(kind, (asked, happened)): (&str, (u64, u64))| FaultCount {
            kind: kind.to_owned(),
            asked,
            happened,
        };
        sum.faults = kinds.into_iter().map(count).collect();
        sum.elapsed_s = clock.now().as_secs_f64();
        if !is_quiet {
            tell(terminal.out, &sum)?;
        }
        self.record.simulation = Some(sum);
        self.keep()
    }
}

fn add(sum: &mut Simulation, kinds: &mut BTreeMap<&'static str, (u64, u64)>, ran: &Ran) {
    sum.seeds += 1;
    sum.ticks += ran.ticks;
    sum.looks += ran.looks;
    let [operations, answered, _, unknown] = ran.operations;
    sum.operations += operations;
    sum.answered += answered;
    sum.unknown += unknown;
    sum.committed += ran.committed;
    sum.terms += ran.terms;
    sum.messages += ran.carried.sent;
    sum.images += ran.carried.images;
    sum.records_lost += ran.disks.lost;
    sum.undecided += u64::from(ran.undecided.is_some());
    // Of all runs together, so that two campaigns are compared by one number.
    sum.trace = format!("{:016x}", trace(&sum.trace).rotate_left(5) ^ ran.trace);
    if let Some((led, equal)) = ran.recovered {
        sum.led_ticks_max = sum.led_ticks_max.max(led);
        sum.equal_ticks_max = sum.equal_ticks_max.max(equal);
    }
    for (kind, (asked, happened)) in &ran.faults {
        let counts = kinds.entry(kind).or_default();
        (counts.0, counts.1) = (counts.0 + asked, counts.1 + happened);
    }
}

fn trace(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_default()
}

fn violation(ran: &Ran, shrunk: &Shrunk) -> SimulatedViolation {
    let Shrunk { plan, kept, tried, .. } = shrunk;
    // What the smallest plan comes to is what its command shows.
    let (tick, violation) =
        shrunk.ran.violation.clone().or(ran.violation.clone()).expect("there is one to shrink");
    let one = |kept: &Kept| match kept.shorter {
        1 => kept.number.to_string(),
        shorter => format!("{}/{shorter}", kept.number),
    };
    let numbers: Vec<String> = kept.iter().map(one).collect();
    // No fault has this number.
    let numbers = if numbers.is_empty() { "999999".to_owned() } else { numbers.join(",") };
    SimulatedViolation {
        seed: plan.seed,
        tick,
        invariant: violation.invariant.to_owned(),
        words: violation.words,
        faults: plan.faults.iter().map(ToString::to_string).collect(),
        tried: *tried,
        again: format!(
            "kvbench verify --campaign simulation --seeds 1 --seed {} --ticks {} --keep {numbers}",
            plan.seed, plan.ticks
        ),
    }
}

fn tell(out: &mut dyn Write, sum: &Simulation) -> std::io::Result<()> {
    let verdict = match sum.violations.len() {
        0 => "0 violations".to_owned(),
        found => count(found, "VIOLATION", "VIOLATIONS"),
    };
    writeln!(
        out,
        "simulated groups: {}, {} ticks, {} looks at a member: {verdict} ({:.1} s, {:.0} ticks/s)",
        count(sum.seeds as usize, "seed", "seeds"),
        sum.ticks,
        sum.looks,
        sum.elapsed_s,
        sum.ticks as f64 / sum.elapsed_s
    )?;
    writeln!(
        out,
        "  {} operations, {} answered, {} of unknown outcome; {} entries committed in {} terms; {} messages, {} images",
        sum.operations,
        sum.answered,
        sum.unknown,
        sum.committed,
        sum.terms,
        sum.messages,
        sum.images
    )?;
    let kinds: Vec<String> = sum
        .faults
        .iter()
        .map(|one| format!("{} {} of {}", one.kind, one.happened, one.asked))
        .collect();
    writeln!(out, "  faults that did something: {}", kinds.join(", "))?;
    writeln!(
        out,
        "  {} records lost in crashes; a leader at most {} ticks after all was well, all equal at most {}; trace {}",
        sum.records_lost, sum.led_ticks_max, sum.equal_ticks_max, sum.trace
    )?;
    if sum.undecided > 0 {
        writeln!(
            out,
            "  undecided: the history of {}",
            count(sum.undecided as usize, "seed", "seeds")
        )?;
    }
    for one in &sum.violations {
        writeln!(
            out,
            "  seed {}, tick {}: {}: {}",
            one.seed,
            one.tick,
            one.invariant,
            plain(&one.words)
        )?;
        let faults = count(one.faults.len(), "fault", "faults");
        writeln!(out, "  {faults} left after {} runs", one.tried)?;
        one.faults.iter().try_for_each(|fault| writeln!(out, "    {}", plain(fault)))?;
        writeln!(out, "  again: {}", one.again)?;
    }
    out.flush()
}
