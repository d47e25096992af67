//! `kvbench plan --what-if` and `--validate`: predictions from stage costs that are measured on this host, and how far they are from
//! trials on it. Every predicted number is called so.

use super::super::progress::Shown;
use super::super::run::with_hint;
use super::super::scratch::Scratch;
use super::super::table::columns;
use super::super::{Exit, Terminal};
use super::words::{rate, ratio, share, time};
use super::{PlanArgs, ceilings, validate};
use crate::predict::{Costs, Predicted, Question, Spread, Syncs, predict};
use crate::report::words::plain;
use crate::runner::pilot::{self, Pilot, Tried, Wanted};
use crate::runner::{self, Options};
use crate::scenario::spec::{Fsync, Scenario};
use crate::scenario::what_if::WhatIf;
use crate::target::{Builtin, node_of};
use crate::units::Nanos;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Clients of the trials that predictions are held against; none of the trials that costs come from has as many.
const HELD_CLIENTS: [u32; 2] = [10, 100];
/// Longest time for these trials.
const HELD_SPAN_MAX: Nanos = Nanos::from_millis(60_000);

/// The host of a prediction.
pub(super) struct Host {
    pub(super) cores: u32,
    /// In place of every arm's own.
    pub(super) fsync: Option<Fsync>,
    /// Whether a delay is a sleep, as here, which lasts longer than asked; else it is what a disk takes.
    pub(super) sleeps: bool,
    pub(super) rtt: Nanos,
}

/// What runs predictions: where data lives while something is measured, and what was asked.
pub(super) struct Desk<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) options: Options,
    pub(super) launch: Builtin,
}

/// Predicts every scenario, or validates; nothing starts if one of them is nothing for the model.
pub(super) fn predictions(
    args: &PlanArgs,
    scenarios: &[(PathBuf, Scenario)],
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let what_if = match args.what_if.as_deref().map(WhatIf::parse).transpose() {
        Ok(what_if) => what_if,
        Err(wrong) => {
            writeln!(terminal.err, "{wrong}")?;
            return Ok(Exit::Usage);
        }
    };
    if !can_all(scenarios, terminal.err)? {
        return Ok(Exit::Usage);
    }
    let unusable = |error: io::Error| {
        let folder = args.data.display();
        anyhow::anyhow!("folder {folder}: {error}\n  hint: choose another with --data")
    };
    std::fs::create_dir_all(&args.data).map_err(unusable)?;
    let scratch = Scratch::new_in(&args.data);
    let scratch = scratch.map_err(unusable)?;
    for (path, scenario) in scenarios {
        let desk = desk(path, scenario, scratch.path(), terminal)?;
        let exit = match &what_if {
            Some(what_if) => predict_one(&desk, what_if, terminal)?,
            None => validate::validate(&desk, terminal)?,
        };
        if exit != Exit::Met {
            return Ok(exit);
        }
    }
    Ok(Exit::Met)
}

/// Whether this build has what the scenarios need and the model has words for their arms; says why not.
fn can_all(scenarios: &[(PathBuf, Scenario)], err: &mut dyn Write) -> io::Result<bool> {
    let mut can = true;
    for (path, scenario) in scenarios {
        let path = path.display().to_string();
        if let Some(problems) = runner::missing(&path, scenario) {
            can = false;
            writeln!(err, "{problems}")?;
        }
        for (why, hint) in scenario.arms.iter().filter_map(pilot::not_simulated) {
            can = false;
            writeln!(err, "error: {}: {why}\n  hint: {hint}", plain(&path))?;
        }
    }
    Ok(can)
}

fn desk<'a>(
    path: &Path,
    scenario: &'a Scenario,
    scratch: &Path,
    terminal: &Terminal<'_>,
) -> io::Result<Desk<'a>> {
    let options = Options {
        path: path.display().to_string(),
        quick: false,
        count_syscalls: false,
        profile: None,
        scratch: scratch.to_path_buf(),
        agents: crate::agent::Agents::default(),
        interrupted: terminal.interrupted.clone(),
    };
    Ok(Desk { scenario, options, launch: Builtin { program: std::env::current_exe()? } })
}

impl Desk<'_> {
    /// What the stages cost here; none if it was interrupted.
    pub(super) fn pilot(
        &self,
        real_syncs: bool,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Option<Pilot>> {
        let mut shown = Shown::new(terminal.live, terminal.err);
        let (scenario, options) = (self.scenario, &self.options);
        pilot::measure(scenario, options, &self.launch, &mut shown, real_syncs)
            .map_err(|error| with_hint(&error, options))
    }

    /// Measured trials; fewer than wanted if time was short or it was interrupted.
    pub(super) fn trials(
        &self,
        wanted: &[Wanted],
        span_max: Nanos,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Vec<Tried>> {
        let mut shown = Shown::new(terminal.live, terminal.err);
        let (scenario, options) = (self.scenario, &self.options);
        pilot::trials(scenario, options, &self.launch, &mut shown, (wanted, span_max))
            .map_err(|error| with_hint(&error, options))
    }

    /// What an arm does on `host`, in trials of the length that trials here have.
    pub(super) fn predicted(
        &self,
        pilot: &Pilot,
        (arm_idx, clients): (usize, u32),
        host: &Host,
    ) -> Predicted {
        let system = &self.scenario.arms[arm_idx].system;
        let fsync = host.fsync.unwrap_or(system.fsync);
        let syncs = syncs(pilot, fsync, host.sleeps || host.fsync.is_none());
        let (warmup, duration) = runner::pilot::span(fsync);
        predict(&Question {
            levers: node_of(system).pipeline,
            nodes: usize::from(system.nodes),
            costs: &pilot.costs[arm_idx],
            syncs: &syncs,
            cores: host.cores,
            rtt: host.rtt,
            clients,
            mix: pilot::mix(self.scenario),
            warmup,
            duration,
            seed: self.scenario.seed.child("predicted", u64::from(clients)),
        })
    }
}

fn syncs(pilot: &Pilot, fsync: Fsync, sleeps: bool) -> Syncs {
    match fsync {
        Fsync::Off => Syncs::Off,
        Fsync::Real => pilot.syncs.clone(),
        Fsync::Delay(span) if sleeps => Syncs::Alike(pilot.overshoot.plus(span.0 as f64)),
        Fsync::Delay(span) => Syncs::Alike(Spread::fixed(span.0 as f64)),
    }
}

fn predict_one(
    desk: &Desk<'_>,
    what_if: &WhatIf,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    let scenario = desk.scenario;
    let own = scenario.arms.iter().map(|arm| arm.system.fsync);
    let real_syncs = own.chain(what_if.fsync).any(|fsync| fsync == Fsync::Real);
    let Some(pilot) = desk.pilot(real_syncs, terminal)? else { return Ok(Exit::Interrupted) };
    let wanted: Vec<Wanted> = (0..scenario.arms.len())
        .flat_map(|arm_idx| HELD_CLIENTS.map(|clients| (arm_idx, clients)))
        .map(|(arm_idx, clients)| {
            let fsync = scenario.arms[arm_idx].system.fsync;
            Wanted { arm_idx, fsync, clients }
        })
        .collect();
    let tried = desk.trials(&wanted, HELD_SPAN_MAX, terminal)?;
    if desk.options.interrupted.load(std::sync::atomic::Ordering::Relaxed) {
        return Ok(Exit::Interrupted);
    }
    let out: &mut dyn Write = terminal.out;
    writeln!(out, "{}  what if {}", scenario.name, described(what_if))?;
    writeln!(
        out,
        "  predicted by simulation from stage costs measured on this host; nothing here is measured there"
    )?;
    let here = Host { cores: pilot.cores, fsync: None, sleeps: true, rtt: Nanos::ZERO };
    let there = Host {
        cores: what_if.cores.unwrap_or(pilot.cores),
        fsync: what_if.fsync,
        sleeps: false,
        rtt: what_if.rtt.unwrap_or(Nanos::ZERO),
    };
    writeln!(out, "\npredicted, closed loop")?;
    columns(out, &table(desk, &pilot, &clients(scenario, what_if), &here, &there))?;
    ceilings::show(scenario, &tried, out)?;
    writeln!(out, "\nmeasured stage costs of this host, CPU time")?;
    columns(out, &costs(scenario, &pilot))?;
    assumptions(scenario, &pilot, what_if, out)?;
    writeln!(out, "\npredicted against measured trials on this host (one short trial each)")?;
    validate::show(desk, &pilot, &tried, out)?;
    writeln!(
        out,
        "  `kvbench plan --validate` holds predictions against a grid of clients and syncs"
    )?;
    Ok(Exit::Met)
}

fn described(what_if: &WhatIf) -> String {
    let clients: Vec<_> = what_if.clients.iter().map(u32::to_string).collect();
    let parts = [
        what_if.cores.map(|cores| format!("cores={cores}")),
        what_if.fsync.map(|fsync| match fsync {
            Fsync::Delay(span) => format!("fsync={span}"),
            other => format!("fsync={other}"),
        }),
        what_if.rtt.map(|rtt| format!("rtt={rtt}")),
        (!clients.is_empty()).then(|| format!("clients={}", clients.join("+"))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// Those asked for, or all of the scenario's phases.
fn clients(scenario: &Scenario, what_if: &WhatIf) -> Vec<u32> {
    if !what_if.clients.is_empty() {
        return what_if.clients.clone();
    }
    let mut all: Vec<u32> =
        scenario.phases.iter().flat_map(|phase| phase.clients.iter().copied()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Every arm at every client count, as it is here and on the other host.
fn table(
    desk: &Desk<'_>,
    pilot: &Pilot,
    clients: &[u32],
    here: &Host,
    there: &Host,
) -> Vec<Vec<String>> {
    let head = [
        "arm",
        "clients",
        "here ops/s",
        "what if ops/s",
        "mean",
        "p50",
        "p99",
        "what if / here",
        "/ before",
        "fsyncs per op",
        "busiest thread",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for count in clients {
        let mut before = None;
        for (arm_idx, arm) in desk.scenario.arms.iter().enumerate() {
            let was = desk.predicted(pilot, (arm_idx, *count), here);
            let is = desk.predicted(pilot, (arm_idx, *count), there);
            let first: f64 = *before.get_or_insert(is.throughput_per_s);
            rows.push(vec![
                arm.name.clone(),
                count.to_string(),
                rate(was.throughput_per_s),
                rate(is.throughput_per_s),
                time(is.mean_ns),
                time(is.p50_ns),
                time(is.p99_ns),
                ratio(is.throughput_per_s / was.throughput_per_s),
                ratio(is.throughput_per_s / first),
                format!("{:.3}", is.fsyncs_per_op),
                busiest(&is),
            ]);
        }
    }
    rows
}

/// The thread of the leader or the load that is on a CPU most of all.
fn busiest(predicted: &Predicted) -> String {
    let roles = [
        ("load", predicted.load_share),
        ("raft", predicted.raft_share),
        ("apply", predicted.apply_share),
    ];
    let most = roles.into_iter().max_by(|a, b| a.1.total_cmp(&b.1));
    most.map_or(String::new(), |(role, most)| format!("{role} {}", share(most)))
}

fn costs(scenario: &Scenario, pilot: &Pilot) -> Vec<Vec<String>> {
    let head = [
        "arm",
        "load: request",
        "wake-up",
        "raft: request",
        "round",
        "apply: request",
        "answer",
        "thread runs after",
    ];
    let line = |(arm, costs): (&crate::scenario::spec::Arm, &Costs)| {
        vec![
            arm.name.clone(),
            time(costs.send_ns),
            time(costs.load_round_ns + costs.wakes.signal_ns),
            time(costs.propose_ns),
            time(costs.round_ns + costs.wakes.signal_ns),
            time(costs.execute_ns),
            time(costs.answer_ns),
            time(costs.wakes.latency.mean_ns()),
        ]
    };
    let rows = scenario.arms.iter().zip(&pilot.costs).map(line);
    std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect()
}

fn assumptions(
    scenario: &Scenario,
    pilot: &Pilot,
    what_if: &WhatIf,
    out: &mut dyn Write,
) -> io::Result<()> {
    writeln!(out, "\nassumed")?;
    let mut say = |text: String| writeln!(out, "  - {text}");
    say(format!(
        "one load thread carries all clients, one raft thread each member{}; they share the cores evenly ({} here), and a core is as fast there as here",
        if pilot.costs.iter().any(|costs| costs.apply_round_ns > 0.0) {
            ", one apply thread where there is one"
        } else {
            ""
        },
        pilot.cores,
    ))?;
    say("costs per request and per round stay what they are here: nothing is said of memory, caches, frequency or NUMA".to_owned())?;
    match &pilot.syncs {
        Syncs::Measured(levels) => {
            for level in levels {
                let [p50, p99] = [0.5, 0.99].map(|share| time(level.spread.quantile_ns(share)));
                say(format!(
                    "fsync real: measured here under load, p50 {p50}, p99 {p99} after {:.0} bytes; drawn one by one, so no slow spells",
                    level.bytes
                ))?;
            }
        }
        Syncs::Off | Syncs::Alike(_) => {}
    }
    if let Some(Fsync::Delay(span)) = what_if.fsync {
        say(format!("fsync={span}: every sync takes just that, whatever is written"))?;
    }
    if scenario.arms.iter().any(|arm| matches!(arm.system.fsync, Fsync::Delay(_))) {
        let late = time(pilot.overshoot.mean_ns());
        say(format!(
            "fsync delay of an arm: a sleep that lasts {late} longer than asked, as here"
        ))?;
    }
    let replicates = scenario.arms.iter().any(|arm| arm.system.nodes > 1);
    match what_if.rtt {
        Some(rtt) if replicates => say(format!(
            "rtt={rtt}: each way takes half of it, always; every member has a machine with these cores and a disk like this, the load is at the leader's"
        ))?,
        Some(rtt) => say(format!("rtt={rtt}: no arm replicates, so it changes nothing"))?,
        None if replicates => say("members share this machine's cores and reach each other at once, as in the scenario; each one's threads cost the same".to_owned())?,
        None => {}
    }
    say("left out: images of the state, compactions, watchers, bandwidth, and other load"
        .to_owned())
}
