//! The sentences: verdicts, warnings, stamps and the one plain-language line, worded once for all forms.
//!
//! Text here is plain, not escaped: each renderer escapes for its own form. No sentence claims what its interval does
//! not carry.

use crate::compare::fitness::Finding;
use crate::compare::{
    self, ArmValue, BothWays, Comparison, Costs, Estimate, Ladder, OpenRow, Outcome, Rung,
    Steadiness, TargetVerdict, Verdict,
};
use crate::record::{AgentHost, Arm, HostSpan, NOT_VISIBLE, Run, Sharing, Target, Warning};
use crate::report::view::{self, Headline};
use crate::report::words::{self, count, percent, ratio};

/// What must stand at the top of every form before any number: cut short, shortened, not synced, not optimised.
pub(super) fn stamps(run: &Run) -> Vec<String> {
    let mut stamps = Vec::new();
    if !run.complete {
        let why = match run.warnings.iter().any(|w| matches!(w, Warning::Failed { .. })) {
            true => "failed",
            false => "interrupted",
        };
        stamps.push(format!("INCOMPLETE: {why}; only finished trials are below"));
    }
    if run.quick {
        stamps.push("QUICK: a shortened plan, good for a first look".to_string());
    }
    let (disturbed, blocks) = compare::disturbed(run);
    if !disturbed.is_empty() {
        let n = disturbed.len();
        let fate = match compare::left_out(run) {
            0 => "",
            _ => ", which are left out",
        };
        stamps.push(format!(
            "DISTURBED HOST: others used the machine, or its disk changed pace, in {n} of {}{fate}",
            count(blocks, "block", "blocks")
        ));
    }
    for (arm, fsync) in view::not_synced(run) {
        stamps.push(format!(
            "FSYNC NOT REAL: {arm} ran with fsync = {fsync}; its writes would not survive a crash"
        ));
    }
    stamps
}

/// The outcome in a few words.
pub(super) fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Met => "All targets met",
        Outcome::Missed => "Target missed",
        Outcome::Inconclusive => "Inconclusive",
        Outcome::WrongAnswer => "Wrong answer: a check failed, so speed does not count",
        Outcome::NoTarget => "No target set",
    }
}

/// `✔`, `✘` or `?`.
pub(super) fn verdict_mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "✔",
        Verdict::Missed => "✘",
        Verdict::Inconclusive => "?",
    }
}

/// The verdict as one word.
pub(super) fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// What a target asks for: `asked: saturate.throughput@50 >= 10`.
pub(super) fn asked(target: &Target) -> String {
    match (&target.check, &target.arm) {
        (Some(check), _) => format!("asked: check {check} passes"),
        (None, Some(arm)) => format!("asked: {arm} {} {}", target.metric, target.bound),
        (None, None) => format!("asked: {} {}", target.metric, target.bound),
    }
}

/// What a verdict rests on: `12 pairs`, `8 trials`; nothing for a check.
pub(super) fn basis(verdict: &TargetVerdict) -> Option<String> {
    match (&verdict.target.check, &verdict.value) {
        (Some(_), _) => None,
        (None, Some(value)) => Some(count(value.trials, "trial", "trials")),
        (None, None) => {
            Some(count(verdict.estimate.map_or(0, |estimate| estimate.pairs), "pair", "pairs"))
        }
    }
}

/// The evidence for a verdict: `18.3×, at least 17.6× with 95 % confidence`.
pub(super) fn evidence(verdict: &TargetVerdict) -> String {
    if verdict.target.check.is_some() {
        return match &verdict.check {
            Some(check) => check.detail.clone(),
            None => "not checked".to_string(),
        };
    }
    if let Some(value) = &verdict.value {
        return value_evidence(verdict, value);
    }
    let Some(estimate) = verdict.estimate.filter(|estimate| estimate.pairs > 0) else {
        return match verdict.target.arm {
            Some(_) => "no value to judge".to_string(),
            None => "no ratio to judge".to_string(),
        };
    };
    let point = ratio(estimate.ratio);
    let Some((low, high)) = estimate.interval else {
        return format!(
            "{point}; an interval {} (has {})",
            words::interval(&estimate),
            estimate.pairs
        );
    };
    match (verdict.verdict, Side::of(&verdict.target.bound)) {
        (Verdict::Inconclusive, _) => {
            let pairs = count(estimate.pairs, "pair", "pairs");
            format!("{point} {} after {pairs}", words::interval(&estimate))
        }
        (_, Side::Both) => {
            format!("{point} {} with 95 % confidence", words::interval(&estimate))
        }
        (Verdict::Met, Side::Up) | (Verdict::Missed, Side::Down) => {
            format!("{point}, at least {}× with 95 % confidence", words::lower_bound(low))
        }
        (Verdict::Met, Side::Down) | (Verdict::Missed, Side::Up) => {
            format!("{point}, at most {}× with 95 % confidence", words::upper_bound(high))
        }
    }
}

/// The same for one arm's own value, in its unit.
fn value_evidence(verdict: &TargetVerdict, value: &ArmValue) -> String {
    let point = words::quantity(value.value, value.unit);
    let Some((low, high)) = value.interval else {
        let (needed, trials) = (words::INTERVAL_PAIRS_MIN, value.trials);
        return format!("{point}; an interval needs {needed} trials (has {trials})");
    };
    match (verdict.verdict, Side::of(&verdict.target.bound)) {
        (Verdict::Inconclusive, _) | (_, Side::Both) => {
            let trials = count(value.trials, "trial", "trials");
            format!("{point} {} in {trials}", words::quantity_within((low, high), value.unit))
        }
        (Verdict::Met, Side::Up) | (Verdict::Missed, Side::Down) => {
            let low = words::quantity_lower(low, value.unit);
            format!("{point}, at least {low} with 95 % confidence")
        }
        (Verdict::Met, Side::Down) | (Verdict::Missed, Side::Up) => {
            let high = words::quantity_upper(high, value.unit);
            format!("{point}, at most {high} with 95 % confidence")
        }
    }
}

/// On which side of its edges a bound is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Up,
    Down,
    Both,
}

impl Side {
    fn of(bound: &str) -> Side {
        match bound.trim_start() {
            bound if bound.contains("..") => Side::Both,
            bound if bound.starts_with('<') => Side::Down,
            _ => Side::Up,
        }
    }
}

/// Why the times and costs of the headline are not shown, if they are not.
pub(super) fn withheld(headline: &Headline<'_>) -> Option<String> {
    let why = headline.row.ratio.invalid?;
    Some(format!(
        "invalid: {why}; times and costs at {} are no numbers of {} and {}",
        count(headline.row.clients as usize, "client", "clients"),
        headline.before.arm,
        headline.after.arm
    ))
}

/// What the host did meanwhile: how many blocks count as they are, and the worst that was seen in those that count.
pub(super) fn blocks(run: &Run) -> Option<String> {
    let (disturbed, all) = compare::disturbed(run);
    let repeats = run.voided.iter().filter(|voided| voided.host.is_some()).count();
    let hosts = || run.blocks.iter().map(|block| &block.host);
    let most = |of: fn(&HostSpan) -> Option<f64>| hosts().filter_map(of).reduce(f64::max);
    hosts().next()?;
    let mut text = match (disturbed.len(), repeats) {
        (0, 0) => format!("undisturbed: all {all}"),
        (0, again) => {
            format!("undisturbed: all {all}, of which some were measured again ({again} in all)")
        }
        (n, 0) => format!("DISTURBED: {n} of {all}"),
        (n, again) => format!("DISTURBED: {n} of {all} after measuring again ({again} in all)"),
    };
    if compare::left_out(run) > 0 {
        text.push_str(&format!(
            ", left out: every figure is from the {} others",
            all - disturbed.len()
        ));
    }
    if let Some(cores) = most(|host| host.foreign_cores) {
        text.push_str(&format!("; other programs on at most {cores:.2} cores"));
    }
    if let Some(cores) = most(|host| host.stolen_cores) {
        text.push_str(&format!(", hypervisor took at most {cores:.2}"));
    }
    let probes = || hosts().flat_map(|host| host.probes_ns.iter().copied());
    if let (Some(least), Some(greatest)) = (probes().min(), probes().max()) {
        let drift = most(HostSpan::disk_drift).unwrap_or(1.0);
        text.push_str(&format!(
            "; a sync took {} to {} without load, at most {} apart within a block",
            words::millis(least as f64),
            words::millis(greatest as f64),
            words::ratio(drift)
        ));
    }
    Some(text)
}

/// The one sentence for somebody who reads nothing else.
pub(super) fn conclusion(run: &Run, cmp: &Comparison) -> String {
    let Some(headline) = view::headline(cmp) else {
        return match cmp.phases.is_empty() {
            true => "nothing was measured.".to_string(),
            false => {
                "no trial of both the first and the last arm finished, so nothing can be compared."
                    .to_string()
            }
        };
    };
    let mut sentence = speed(&headline);
    if headline.row.ratio.invalid.is_some() {
        return format!("{sentence}.");
    }
    if let Some(credit) = headline.ladder.and_then(|ladder| credit(run, ladder)) {
        sentence.push_str("; ");
        sentence.push_str(&credit);
    }
    if let Some(((arm, estimate), ladder)) =
        headline.ladder.and_then(|l| l.simpler_is_faster.as_ref().map(|s| (s, l)))
    {
        sentence.push_str(&format!(". Simpler is faster: {}", simpler(run, ladder, arm, estimate)));
    }
    sentence.push('.');
    sentence
}

fn speed(headline: &Headline<'_>) -> String {
    if let Some(open) = &headline.row.open {
        return waiting(headline, open);
    }
    let estimate = headline.row.ratio;
    let (after, before) = (&headline.after.arm, &headline.before.arm);
    let at = format!("at {}", view::load(headline.row));
    if let Some(why) = estimate.invalid {
        return format!("nothing can be said about {after} and {before} {at}: {why}");
    }
    match estimate.interval {
        _ if estimate.pairs == 0 => format!("no finished pair compares {after} with {before} {at}"),
        None => format!(
            "{after} measured {} the throughput of {before} {at} in {}, too few for an interval",
            ratio(estimate.ratio),
            count(estimate.pairs, "pair", "pairs")
        ),
        Some((low, high)) if low <= 1.0 && high >= 1.0 => format!(
            "no difference between {after} and {before} is shown {at} ({} {})",
            ratio(estimate.ratio),
            words::interval(&estimate)
        ),
        Some(_) => format!("{after} is {} {before} {at}", times(estimate.ratio)),
    }
}

/// `18.3 times faster than`; small factors as percentages.
fn times(ratio: f64) -> String {
    match ratio {
        r if r >= 2.0 => format!("{} times faster than", words::significant(r)),
        r if r >= 1.0 => format!("{} faster than", percent(r - 1.0)),
        r if r > 0.5 => format!("{} slower than", percent(1.0 - r)),
        r => format!("{} times slower than", words::significant(1.0 / r)),
    }
}

/// Which rung earned most, and what the lock gave.
pub(super) fn credit(run: &Run, ladder: &Ladder) -> Option<String> {
    if !view::has_rungs(run) {
        return None;
    }
    let steps = || ladder.rungs.iter().filter_map(|rung| rung.step.map(|step| (rung, step)));
    let (best, step) = steps()
        .filter(|(_, step)| step.interval.is_some_and(|(low, _)| low > 1.0))
        .max_by(|a, b| a.1.ratio.total_cmp(&b.1.ratio))?;
    let earned = format!("{} earned most of it ({})", best.lever, ratio(step.ratio));
    let lock = steps().find(|(rung, _)| is_lock_lever(rung) && rung.arm != best.arm);
    Some(match lock {
        Some((_, step)) => format!("{earned}, the lock lever {}", gave(&step)),
        None => earned,
    })
}

/// The steps that do something else alone than last: intervals that do not meet.
pub(super) fn order_matters(ladder: &Ladder) -> Vec<String> {
    let differs = |step: &&BothWays| {
        let last = step.last.and_then(|last| last.interval);
        let both = step.first.interval.zip(last);
        both.is_some_and(|(first, last)| first.1 < last.0 || last.1 < first.0)
    };
    let sentence = |step: &BothWays| {
        let last = step.last.map_or(String::new(), |last| ratio(last.ratio));
        let first = ratio(step.first.ratio);
        format!(
            "order matters for {}: {first} alone on before, {last} on top of the others",
            step.lever
        )
    };
    ladder.both_ways.iter().filter(differs).map(sentence).collect()
}

fn gave(step: &Estimate) -> String {
    match step.interval {
        Some((low, high)) if low > 1.0 || high < 1.0 => format!("gave {}", ratio(step.ratio)),
        _ => format!("gave nothing that shows ({})", ratio(step.ratio)),
    }
}

/// The lever that chooses who may touch the store at once.
pub(super) fn is_lock_lever(rung: &Rung) -> bool {
    rung.lever == "apply" || rung.lever.starts_with("apply ")
}

/// The finding that fewer levers do better.
pub(super) fn simpler(run: &Run, ladder: &Ladder, arm: &str, estimate: &Estimate) -> String {
    let after = ladder.rungs.last().map_or("after", |rung| rung.arm.as_str());
    let label = view::arm_label(run, arm);
    format!(
        "stopping at \"{label}\" beats {after}, which reaches {} {} of it",
        ratio(estimate.ratio),
        words::interval(estimate)
    )
}

/// The bound that the before arm sets by itself.
pub(super) fn ceiling(ladder: &Ladder) -> Option<String> {
    let before = ladder.rungs.first().map_or("before", |rung| rung.arm.as_str());
    let bound = |ceiling: f64, waits: &str| {
        let share = if ceiling >= 1.0 { 1.0 - 1.0 / ceiling } else { 0.0 };
        let (share, most) = (percent(share), ratio(ceiling));
        format!("{share} of a {before} op waits {waits} → at most {most} if that wait vanished")
    };
    match (ladder.ceiling, ladder.lock_ceiling) {
        (Some(queue), Some(lock)) => Some(format!(
            "{}; the store lock alone: at most {}",
            bound(queue, "its turn"),
            ratio(lock)
        )),
        (Some(queue), None) => Some(bound(queue, "its turn")),
        (None, Some(lock)) => Some(bound(lock, "for the store lock")),
        (None, None) => None,
    }
}

/// What the lever of a rung shows in the pipeline's own counts.
pub(super) fn rung_note(cmp: &Comparison, ladder: &Ladder, rung: &Rung) -> String {
    let costs = view::row(cmp, &ladder.phase, ladder.clients)
        .and_then(|row| row.arms.iter().find(|arm| arm.arm == rung.arm))
        .map(|arm| &arm.costs);
    let Some(costs) = costs else { return String::new() };
    let store = costs.locks.iter().find(|lock| lock.name == "store");
    match store {
        Some(lock) if is_lock_lever(rung) => {
            format!("store lock contended {}", percent(lock.contended))
        }
        _ if costs.fsyncs_per_op > 0.0 => {
            format!("{} ops per fsync", words::significant(1.0 / costs.fsyncs_per_op))
        }
        _ => String::new(),
    }
}

/// What became of the latency under an open load.
fn waiting(headline: &Headline<'_>, open: &OpenRow) -> String {
    let (after, before) = (&headline.after.arm, &headline.before.arm);
    let at = format!("at {}", view::load(headline.row));
    let Some(estimate) = open.ratios[0] else {
        let behind = open.arms.iter().find(|arm| arm.sustained < arm.trials);
        return match behind {
            Some(arm) => format!("{} does not keep up {at}", arm.arm),
            None => format!("no finished pair compares {after} with {before} {at}"),
        };
    };
    match estimate.interval {
        Some((low, high)) if low > 1.0 || high < 1.0 => format!(
            "the median latency of {after} is {} that of {before} {at}",
            ratio(estimate.ratio)
        ),
        _ => format!(
            "no difference between the median latencies of {after} and {before} is shown {at} ({} {})",
            ratio(estimate.ratio),
            words::interval(&estimate)
        ),
    }
}

/// How throughput went within the trials: of how many what is known, and what was seen.
pub(super) fn steadiness(cmp: &Comparison) -> Option<String> {
    let arms = || cmp.phases.iter().flat_map(|p| &p.rows).flat_map(|row| &row.arms);
    let sum = |of: fn(&Steadiness) -> usize| arms().map(|arm| of(&arm.steadiness)).sum::<usize>();
    let (flat, warmed) = (sum(|s| s.flat), sum(|s| s.warmed));
    let (slowed, unsteady) = (sum(|s| s.slowed), sum(|s| s.unsteady));
    let all = flat + warmed + slowed + unsteady;
    let mut text =
        format!("throughput flat in {flat} of {}", count(all, "measurement", "measurements"));
    for (n, word) in [(warmed, "warmed up"), (slowed, "slowed down"), (unsteady, "unsteady")] {
        if n > 0 {
            text.push_str(&format!(", {word} in {n}"));
        }
    }
    (all > 0).then_some(text)
}

/// Whether the load can be trusted, with the two worst figures behind it.
pub(super) fn load(run: &Run, cmp: &Comparison) -> Option<String> {
    let arms = || {
        cmp.phases
            .iter()
            .flat_map(|p| &p.rows)
            .flat_map(|row| &row.arms)
            .filter(|arm| arm.trials > 0)
    };
    arms().next()?;
    let share = arms().map(|arm| arm.costs.load_share).fold(0.0, f64::max);
    let gap = arms().map(|arm| arm.costs.littles_gap.abs()).fold(0.0, f64::max);
    let mut invalid: Vec<_> = run.warnings.iter().filter_map(compare::invalidates).collect();
    invalid.sort_unstable();
    invalid.dedup_by_key(|(arm, cell, _)| (*arm, *cell));
    let state = match invalid.len() {
        0 => "valid".to_string(),
        n => format!("INVALID in {}, see the warnings", count(n, "cell", "cells")),
    };
    let most =
        |of: fn(&Costs) -> Option<f64>| arms().filter_map(|arm| of(&arm.costs)).reduce(f64::max);
    let mut text = format!(
        "{state}: generator on CPU at most {} of its threads' time, Little's law within {}",
        percent(share),
        percent(gap)
    );
    if let Some(cores) = most(|costs| costs.disturbance) {
        text.push_str(&format!(", others on at most {cores:.2} cores"));
    }
    if let Some(share) = most(|costs| Some(costs.load_wait)).filter(|share| *share > 0.0) {
        text.push_str(&format!(", generator waiting for a CPU at most {}", percent(share)));
    }
    if let Some(share) = most(|costs| costs.cpu_pressure) {
        text.push_str(&format!(", somebody short of a CPU {} of the time", percent(share)));
    }
    Some(text)
}

/// A warning in words.
pub(super) fn warning(warning: &Warning) -> String {
    match warning {
        Warning::DebugBuild => {
            "debug build: these numbers mean little; build with --release".to_string()
        }
        Warning::CountsAllocations => {
            "this build counts allocations, which costs time: take no speed from it".to_string()
        }
        Warning::CanBeToldToFail => {
            "this build has failpoints, so it can be told to fail: take nothing from it".to_string()
        }
        Warning::CountsSyscalls => {
            "system calls were counted, which slows each of them: take no speed from this run"
                .to_string()
        }
        Warning::SyscallsNotCounted { reason } => {
            format!("system calls were not counted: {reason}")
        }
        Warning::NoDisk { filesystem } => format!(
            "the log was on {filesystem}, which keeps files in memory: its syncs reach no disk"
        ),
        Warning::Failed { reason } => format!("the run failed: {reason}"),
        Warning::FsyncNotReal { arm, fsync } => format!("fsync is not real in {arm}: {fsync}"),
        Warning::LoadGeneratorBusy { arm, cell, share } => format!(
            "{arm} {cell}: the load generator was on CPU {} of its threads' time and may set the pace itself",
            percent(*share)
        ),
        Warning::LittlesLaw { arm, cell, gap } => {
            format!(
                "{arm} {cell}: rate × time misses the number under way by {} (Little's law)",
                percent(*gap)
            )
        }
        Warning::Unsustained { arm, cell, trials, of, offered_per_s, achieved } => format!(
            "{arm} {cell}: unsustainable, {} were offered and at least once only {} was answered in time ({trials} of {of} trials): no percentile of it means anything",
            words::per_second(*offered_per_s),
            percent(*achieved)
        ),
        Warning::SendLag { arm, cell, p99_ns } => format!(
            "{arm} {cell}: one in a hundred operations was sent {} late or more, which is the generator's doing",
            words::millis(*p99_ns)
        ),
        Warning::StageGap { arm, cell, gap } => {
            format!("{arm} {cell}: the stages and the measured time differ by {}", percent(*gap))
        }
        Warning::AgentsOutOfStep { arm, cell, gap } => format!(
            "{arm} {cell}: the agents' spans may be {} apart: one began late, or its clock is not known well enough",
            percent(*gap)
        ),
        Warning::BlocksVoided { blocks, reason } => format!(
            "{} given up and run again: {reason}",
            count(*blocks as usize, "block was", "blocks were")
        ),
        Warning::BlocksRepeated { blocks, of, repeats, reason } => {
            let again = match repeats {
                n if n == blocks => String::new(),
                n => format!(", {n} times in all"),
            };
            format!(
                "{blocks} of {} measured again{again}, since the host was disturbed: {reason}; the first tries stand in the record",
                count(*of as usize, "block was", "blocks were")
            )
        }
        Warning::BlocksDisturbed { blocks, of, asked, reason } => {
            let why = match asked {
                true => "on_disturbed = keep",
                false => "measuring again was used up",
            };
            format!(
                "{blocks} of {} disturbed at the last try ({why}): {reason}",
                count(*of as usize, "block was", "blocks were")
            )
        }
        Warning::LoadWaited { arm, cell, share } => format!(
            "{arm} {cell}: the load generator was ready and had no CPU {} of its threads' time; without that the arm could be up to {} faster",
            percent(*share),
            percent(1.0 / (1.0 - share.min(0.99)) - 1.0)
        ),
        Warning::NoProfile { reason } => format!("no profile: {reason}"),
        Warning::Disturbed { arm, cell, cores, share } => format!(
            "{arm} {cell}: other processes, or the hypervisor, had {cores:.2} cores meanwhile, {} of the machine",
            percent(*share)
        ),
        Warning::DoubtfulDisk { filesystem } => format!(
            "the log was on {filesystem}, which hands syncs on: what they reach does not show"
        ),
        Warning::SlowGovernor { governor } => format!(
            "the frequency governor is {governor}: it keeps the clock low, or raises it late"
        ),
        Warning::BareFrames => {
            "the program has no line tables: frames of its profiles have no module in front of them"
                .to_string()
        }
        Warning::BusyHost { load_average } => {
            format!("the host was busy when the run began: load average {load_average:.2}")
        }
    }
}

/// What was planned and done: pairs, order, time.
pub(super) fn plan(run: &Run) -> String {
    let (blocks, aa) = view::blocks(run);
    let plan = &run.plan;
    let planned = if plan.pairs_min == plan.pairs_max {
        plan.pairs_min.to_string()
    } else {
        format!("{}–{}", plan.pairs_min, plan.pairs_max)
    };
    let aa = if aa == 0 { "no A/A pairs".to_string() } else { count(aa, "A/A pair", "A/A pairs") };
    let done = count(blocks, "random pair", "random pairs");
    format!(
        "{done} of {planned} planned + {aa} · {} · order from seed {}",
        words::span(run.elapsed_s),
        run.scenario.seed
    )
}

/// What sharing a batch was found to cost, of each arm with several apply workers; medians over its trials.
pub(super) fn sharing(run: &Run) -> Vec<String> {
    let of_arm = |arm: &Arm| {
        let trials = run.trials.iter().filter(|trial| trial.arm == arm.name);
        let found: Vec<Sharing> = trials.filter_map(|trial| trial.sharing).collect();
        let median = |of: fn(&Sharing) -> f64| {
            let mut values: Vec<f64> = found.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values.get(values.len() / 2).copied()
        };
        Some(format!(
            "{}: {} ns to hand over a request, {} µs to wake a worker, {} ns assumed to evaluate one; batches of {} and more are shared",
            view::arm_label(run, &arm.name),
            words::significant(median(|sharing| sharing.dispatch_ns)?),
            words::micros(median(|sharing| sharing.wake_ns)?),
            words::significant(median(|sharing| sharing.evaluate_ns)?),
            words::grouped(median(|sharing| f64::from(sharing.parallel_from))?),
        ))
    };
    run.arms.iter().filter_map(of_arm).collect()
}

/// Where it ran.
pub(super) fn host(run: &Run) -> String {
    let host = &run.host;
    format!(
        "{} · {} · {} · Linux {} · {}, fdatasync p50 {} p99 {}",
        host.cpu,
        count(host.cores as usize, "core", "cores"),
        host.hypervisor,
        host.kernel,
        host.filesystem,
        words::millis(host.fdatasync_p50_ns as f64),
        words::millis(host.fdatasync_p99_ns as f64)
    )
}

/// How fit machine and program were: `C · cores: load and system share 2 cores; not visible: governor, turbo · machine key 5f0c…`.
pub(super) fn grade(run: &Run) -> String {
    let grade = compare::fitness::grade(run);
    let mut reasons: Vec<String> = grade.reasons.iter().map(reason).collect();
    if !grade.unknown.is_empty() {
        reasons.push(format!("{NOT_VISIBLE}: {}", grade.unknown.join(", ")));
    }
    if reasons.is_empty() {
        reasons.push("every fact known and fit".to_owned());
    }
    let key = &run.host.details.machine_key;
    format!("{} · {} · machine key {key}", grade.letter, reasons.join("; "))
}

/// What is unfit, and why.
fn reason(finding: &Finding) -> String {
    format!("{}: {}", finding.name, finding.reason)
}

/// Which machines offered the load, and how well they kept step; nothing if this one did.
pub(super) fn agents(run: &Run) -> Option<String> {
    let machine = |agent: &AgentHost| {
        let cores = count(agent.cores as usize, "core", "cores");
        format!("{} ({}, {cores})", agent.address, agent.host)
    };
    let machines: Vec<String> = run.agents.iter().map(machine).collect();
    let all = || run.trials.iter().flat_map(|trial| &trial.cells).flat_map(|cell| &cell.agents);
    all().next()?;
    let error = all().map(|agent| agent.clock_error_ns).max().unwrap_or(0);
    let late = all().map(|agent| agent.late_ns).max().unwrap_or(0);
    Some(format!(
        "load from {}: {} · clocks known to ± {}, began at most {} late",
        count(machines.len(), "agent", "agents"),
        machines.join(", "),
        words::millis(error as f64),
        words::millis(late as f64)
    ))
}

/// What ran.
pub(super) fn build(run: &Run) -> String {
    let build = &run.build;
    format!(
        "{} · {} · {} · kvbench {}",
        build.revision, build.profile, build.rustc, run.kvbench_version
    )
}
