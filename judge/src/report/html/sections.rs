//! The sections between the verdict and the flame graphs, in the order a doubting reader asks for them.

use super::capital;
use super::curves;
use super::table::{Table, help};
use crate::compare::{
    ArmSummary, Comparison, Ladder, LockCost, Outcome, PhaseTable, TargetVerdict, Verdict,
};
use crate::record::{Run, Warning};
use crate::report::chart;
use crate::report::markup::text;
use crate::report::path;
use crate::report::story;
use crate::report::view::{self, Headline};
use crate::report::words::{self, NOTHING, count, micros, significant};

/// Warnings that are shown at once; the rest unfolds, and is printed.
const WARNINGS_SHOWN: usize = 12;

/// Opens a section with its heading and an explained word.
pub(super) fn open(out: &mut String, id: &str, heading: &str, word: &str) {
    out.push_str(&format!("<section id=\"{id}\">\n<h2>{}{}</h2>\n", text(heading), help(word)));
}

/// Closes it.
pub(super) fn close(out: &mut String) {
    out.push_str("</section>\n");
}

pub(super) fn paragraph(out: &mut String, words: &str) {
    out.push_str(&format!("<p>{}</p>\n", text(words)));
}

/// Marks in a drawing, at most: more of them hide each other, and each takes room in the page.
const MARKS_MAX: usize = 400;

/// Every so many of `all`, so that no more than a drawing can show are left, and words that say so.
pub(super) fn thinned<T>(all: Vec<T>, what: &str) -> (Vec<T>, Option<String>) {
    let step = all.len().div_ceil(MARKS_MAX).max(1);
    let words = (step > 1).then(|| format!("One in {step} of {} {what} is drawn.", all.len()));
    (all.into_iter().step_by(step).collect(), words)
}

/// A drawing, which scrolls on its own if the window is too narrow for its words.
pub(super) fn drawn(out: &mut String, drawing: &str) {
    out.push_str(&format!("<div class=\"scroll\">\n{drawing}</div>\n"));
}

/// The style of an outcome.
pub(super) fn outcome_class(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Met => "met",
        Outcome::Missed | Outcome::WrongAnswer => "missed",
        Outcome::Inconclusive | Outcome::NoTarget => "open",
    }
}

/// One card per target: badge, evidence, the interval against the bound.
pub(super) fn targets(out: &mut String, run: &Run, cmp: &Comparison) {
    open(out, "targets", "Targets", "interval");
    if cmp.verdicts.is_empty() {
        paragraph(out, "The scenario sets no target.");
    }
    for verdict in &cmp.verdicts {
        target(out, verdict);
    }
    for ladder in &cmp.ladders {
        if let Some((arm, estimate)) = &ladder.simpler_is_faster {
            let finding = story::simpler(run, ladder, arm, estimate);
            out.push_str(&format!(
                "<p class=\"finding\">Simpler is faster: {}.{}</p>\n",
                text(&finding),
                help("simpler is faster")
            ));
        }
    }
    close(out);
}

fn target(out: &mut String, verdict: &TargetVerdict) {
    let class = match verdict.verdict {
        Verdict::Met => "met",
        Verdict::Missed => "missed",
        Verdict::Inconclusive => "open",
    };
    let (mark, word) = (story::verdict_mark(verdict.verdict), story::verdict_word(verdict.verdict));
    let target = &verdict.target;
    let basis = story::basis(verdict).map_or(String::new(), |basis| format!(" · {basis}"));
    out.push_str(&format!(
        "<div class=\"card {class}\"><p><span class=\"badge {class}\">{mark} {word}</span> <b>{}</b> {}\
         <span class=\"asked\">{}{basis}</span></p>\n",
        text(&target.id),
        text(&story::evidence(verdict)),
        text(&story::asked(target)),
    ));
    if !target.claim.is_empty() {
        paragraph(out, &format!("Claim: {}", target.claim));
    }
    if !verdict.reason.is_empty() {
        paragraph(out, &verdict.reason);
    }
    if let Some(drawing) = chart::interval::render(verdict) {
        drawn(out, &drawing);
    }
    out.push_str("</div>\n");
}

/// Every arm at every client count.
pub(super) fn throughput(out: &mut String, run: &Run, cmp: &Comparison) {
    open(out, "throughput", "Throughput", "throughput");
    if cmp.phases.iter().all(|table| table.rows.is_empty()) {
        paragraph(out, "Nothing was measured.");
    }
    let is_shown = |table: &&PhaseTable| !table.rows.is_empty() && !view::is_open(table);
    for table in cmp.phases.iter().filter(is_shown) {
        throughput_table(out, run, table);
    }
    curves::by_clients(out, run, cmp);
    close(out);
}

fn throughput_table(out: &mut String, run: &Run, phase: &PhaseTable) {
    let caption = format!(
        "{}: ops/s, closed loop; ± is half the 95 % interval, ± ? needs 6 trials",
        phase.phase
    );
    let mut table =
        Table::new(&caption, &format!("r{}rrrlrr", "r".repeat(view::rungs(run).count())));
    table.column("clients", "closed loop");
    for arm in view::rungs(run) {
        table.column(&view::arm_label(run, &arm.name), "");
    }
    for (name, word) in [
        ("ratio", "ratio"),
        ("95 % CI", "interval"),
        ("A/A floor", "A/A floor"),
        ("", ""),
        ("pairs", "pair"),
    ] {
        table.column(name, word);
    }
    for row in &phase.rows {
        let mut cells = vec![row.clients.to_string()];
        cells.extend(view::rungs(run).map(|arm| {
            let summary = row.arms.iter().find(|s| s.arm == arm.name && s.trials > 0);
            words::arm_rate(summary)
        }));
        cells.extend([
            words::estimate_ratio(&row.ratio),
            words::interval(&row.ratio),
            words::floor(row),
        ]);
        cells.extend([
            words::mark(&row.ratio, row.aa_floor).to_string(),
            row.ratio.pairs.to_string(),
        ]);
        table.row(cells);
    }
    table.write(out);
}

/// The pairs behind the headline ratio.
pub(super) fn pairs(out: &mut String, run: &Run, headline: &Headline<'_>) {
    open(out, "pairs", "Every pair, as measured", "pair");
    let points = view::pairs(run, headline.phase, headline.row.clients);
    let (points, thinned) = thinned(points, "pairs");
    let names = (headline.before.arm.as_str(), headline.after.arm.as_str());
    let at = view::load(headline.row);
    out.push_str(&format!(
        "<p>{}, {at}, one line per pair in run order: <span class=\"down\">●</span> {}, \
         <span class=\"up\">▲</span> {}, ○ second trial of an arm against itself.</p>\n",
        text(headline.phase),
        text(names.0),
        text(names.1)
    ));
    if let Some(words) = thinned {
        paragraph(out, &words);
    }
    match chart::pairs::render(&points, names) {
        Some(drawing) => drawn(out, &drawing),
        None => paragraph(out, "No finished trial at this client count."),
    }
    close(out);
}

/// Which lever earned the gain.
pub(super) fn ladders(out: &mut String, run: &Run, cmp: &Comparison) {
    if !view::has_rungs(run) || cmp.ladders.is_empty() {
        return;
    }
    open(out, "gain", "Where the gain came from", "ladder");
    for ladder in &cmp.ladders {
        ladder_table(out, run, cmp, ladder);
    }
    close(out);
}

fn ladder_table(out: &mut String, run: &Run, cmp: &Comparison, ladder: &Ladder) {
    let at = count(ladder.clients as usize, "client", "clients");
    let mut table = Table::new(&format!("{}, {at}, one lever at a time", ladder.phase), "lrrrrrrl");
    for (name, word) in [
        ("rung", "arm"),
        ("ops/s", "throughput"),
        ("step", "step"),
        ("95 % CI", "interval"),
        ("total", "total"),
        ("95 % CI", "interval"),
        ("pairs", "pair"),
        ("what the pipeline shows", ""),
    ] {
        table.column(name, word);
    }
    for rung in &ladder.rungs {
        let ratio = |e: Option<_>| e.as_ref().map_or(String::new(), words::estimate_ratio);
        let interval = |e: Option<_>| e.as_ref().map_or(String::new(), words::interval);
        table.row(vec![
            view::arm_label(run, &rung.arm),
            words::rung_rate(rung),
            ratio(rung.step),
            interval(rung.step),
            ratio(rung.total),
            interval(rung.total),
            rung.step.map_or(String::new(), |step| step.pairs.to_string()),
            story::rung_note(cmp, ladder, rung),
        ]);
    }
    table.write(out);
    both_ways(out, ladder);
    let best = format!(
        "Best rung: {}, {} ops/s.",
        view::arm_label(run, &ladder.best.0),
        words::rate_if_any(ladder.best.1)
    );
    paragraph(out, &best);
}

/// Each step without the others, and with all of them.
fn both_ways(out: &mut String, ladder: &Ladder) {
    if ladder.both_ways.is_empty() {
        return;
    }
    let caption =
        "each step alone on before, and as the last one: where they differ, order matters";
    let mut table = Table::new(caption, "lrrrr");
    for (name, word) in [
        ("step", "both ways"),
        ("first", "both ways"),
        ("95 % CI", "interval"),
        ("last", "both ways"),
        ("95 % CI", "interval"),
    ] {
        table.column(name, word);
    }
    ladder.both_ways.iter().for_each(|step| table.row(words::both_ways(step).to_vec()));
    table.write(out);
    for sentence in story::order_matters(ladder) {
        paragraph(out, &format!("{}.", capital(&sentence)));
    }
}

/// Where an operation spends its time, and the bound this sets.
pub(super) fn stages(out: &mut String, run: &Run, headline: &Headline<'_>) {
    open(out, "stages", "Where the time goes", "stage");
    let arms = [headline.before, headline.after];
    let ceiling = headline.ladder.and_then(|ladder| ladder.ceiling);
    match chart::stages::render(arms, ceiling) {
        Some(drawing) => {
            drawn(out, &drawing);
            stages_table(out, run, headline);
        }
        None => paragraph(
            out,
            "No stage clock ran: instruments were off, or this layer has no pipeline.",
        ),
    }
    for sentence in path::sentences(headline) {
        paragraph(out, &format!("{}.", capital(&sentence)));
    }
    if let Some(ceiling) = headline.ladder.and_then(story::ceiling) {
        out.push_str(&format!(
            "<p>Ceiling: {}.{}{}</p>\n",
            text(&ceiling),
            help("ceiling"),
            help("lock ceiling")
        ));
    }
    close(out);
}

fn stages_table(out: &mut String, run: &Run, headline: &Headline<'_>) {
    let names = view::stage_names(headline.before, headline.after);
    let at = view::load(headline.row);
    let caption = format!("mean µs per operation, {at}, mean over trials");
    let mut table = Table::new(&caption, &format!("l{}", "r".repeat(names.len() + 2)));
    table.column("arm", "arm");
    for name in names.iter().copied().chain(["sum", "measured"]) {
        table.column(name, name);
    }
    for arm in headline.measured() {
        let mut cells = vec![view::arm_label(run, &arm.arm)];
        cells.extend(
            names.iter().map(|name| view::stage_ns(arm, name).map_or(NOTHING.into(), micros)),
        );
        cells.extend([micros(view::stage_sum_ns(arm)), micros(arm.costs.service_mean_ns)]);
        table.row(cells);
    }
    table.write(out);
    stage_spreads(out, run, headline);
}

/// Where the slow ones are.
fn stage_spreads(out: &mut String, run: &Run, headline: &Headline<'_>) {
    let names = view::stage_names(headline.before, headline.after);
    if headline.measured().all(|arm| arm.costs.stage_spreads.is_empty()) {
        return;
    }
    let caption = "p50 / p99 µs by stage, medians over trials; unlike means they do not add up";
    let mut table = Table::new(caption, &format!("l{}", "r".repeat(names.len())));
    table.column("arm", "arm");
    names.iter().for_each(|name| table.column(name, name));
    for arm in headline.measured() {
        let of = |name: &&str| {
            let its = arm.costs.stage_spreads.iter().find(|(stage, ..)| stage == name);
            its.map_or(NOTHING.to_string(), |(_, p50, p99)| {
                format!("{} / {}", micros(*p50), micros(*p99))
            })
        };
        let mut cells = vec![view::arm_label(run, &arm.arm)];
        cells.extend(names.iter().map(of));
        table.row(cells);
    }
    table.write(out);
}

/// What an operation costs on each arm.
pub(super) fn costs(out: &mut String, run: &Run, headline: &Headline<'_>) {
    open(out, "costs", "Cost per operation", "");
    let at = view::load(headline.row);
    let mut table =
        Table::new(&format!("{}, {at}, medians over trials", headline.phase), "lrrrrrrr");
    for (name, word) in [
        ("arm", "arm"),
        ("fsyncs per op", "fsyncs per op"),
        ("ops per fsync", "ops per fsync"),
        ("CPU µs per op", "CPU per op"),
        ("cores busy", "cores busy"),
        ("requests per Ready", "requests per Ready"),
        ("entries per Ready", "entries per Ready"),
        ("generator on CPU", "load generator"),
    ] {
        table.column(name, word);
    }
    for arm in headline.measured() {
        let costs = &arm.costs;
        table.row(vec![
            view::arm_label(run, &arm.arm),
            told(costs.fsyncs_per_op),
            significant(1.0 / costs.fsyncs_per_op),
            significant(costs.cpu_us_per_op),
            significant(costs.cores_busy),
            told(costs.requests_per_ready),
            told(costs.entries_per_ready),
            words::percent(costs.load_share),
        ]);
    }
    table.write(out);
    asked(out, run, headline);
    roles(out, run, headline);
    locks(out, run, headline);
    close(out);
}

/// What a system does not tell is nothing, not 0.
fn told(number: f64) -> String {
    if number > 0.0 { significant(number) } else { "–".to_string() }
}

/// Memory, and what was asked of kernel and allocator; columns that nobody could see are left out.
fn asked(out: &mut String, run: &Run, headline: &Headline<'_>) {
    let seen =
        |asked: &&view::Asked| headline.measured().any(|arm| (asked.of)(&arm.costs).is_some());
    let columns: Vec<&view::Asked> = view::ASKED.iter().filter(seen).collect();
    if columns.is_empty() {
        return;
    }
    let aligned = format!("l{}", "r".repeat(columns.len()));
    let mut table = Table::new("memory, and what was asked of kernel and allocator", &aligned);
    table.column("arm", "arm");
    columns.iter().for_each(|asked| table.column(asked.name, asked.word));
    for arm in headline.measured() {
        let told =
            |asked: &&view::Asked| (asked.of)(&arm.costs).map_or("–".to_string(), significant);
        let mut cells = vec![view::arm_label(run, &arm.arm)];
        cells.extend(columns.iter().map(told));
        table.row(cells);
    }
    table.write(out);
}

fn roles(out: &mut String, run: &Run, headline: &Headline<'_>) {
    if headline.measured().all(|arm| arm.costs.cpu_roles.is_empty()) {
        return;
    }
    let mut table = Table::new("CPU µs per op by thread role, medians over trials", "llr");
    for (name, word) in [("arm", "arm"), ("threads", "threads"), ("CPU µs per op", "CPU per op")] {
        table.column(name, word);
    }
    for arm in headline.measured() {
        for (role, cost) in &arm.costs.cpu_roles {
            table.row(vec![view::arm_label(run, &arm.arm), role.clone(), significant(*cost)]);
        }
    }
    table.write(out);
}

fn locks(out: &mut String, run: &Run, headline: &Headline<'_>) {
    if headline.measured().all(|arm| arm.costs.locks.is_empty()) {
        return;
    }
    let mut table = Table::new("locks, all of one name together", "llrrr");
    for (name, word) in [
        ("arm", "arm"),
        ("lock", ""),
        ("wait µs per op", "lock wait"),
        ("hold µs per op", "lock hold"),
        ("contended", "contended"),
    ] {
        table.column(name, word);
    }
    for arm in headline.measured() {
        arm.costs.locks.iter().for_each(|lock| table.row(lock_cells(run, arm, lock)));
    }
    table.write(out);
}

fn lock_cells(run: &Run, arm: &ArmSummary, lock: &LockCost) -> Vec<String> {
    vec![
        view::arm_label(run, &arm.arm),
        lock.name.clone(),
        micros(lock.wait_ns_per_op),
        lock.hold_ns_per_op.map_or(NOTHING.to_string(), micros),
        words::percent(lock.contended),
    ]
}

/// Service times of every arm at every client count, labelled as what they are.
pub(super) fn latency(out: &mut String, run: &Run, cmp: &Comparison) {
    open(out, "latency", "Service time, closed loop", "service time, closed loop");
    let mut table = Table::new("ms; medians over trials of per-trial values", "lrlrrr");
    for (name, word) in [
        ("phase", ""),
        ("clients", "closed loop"),
        ("arm", "arm"),
        ("mean", "measured"),
        ("p50", "p50"),
        ("p99", "p99"),
    ] {
        table.column(name, word);
    }
    for phase in cmp.phases.iter().filter(|phase| !view::is_open(phase)) {
        for row in &phase.rows {
            for arm in row.arms.iter().filter(|arm| arm.trials > 0) {
                let millis = |ns: f64| match arm.invalid {
                    Some(_) => words::INVALID.to_string(),
                    None => significant(ns / 1e6),
                };
                table.row(vec![
                    phase.phase.clone(),
                    row.clients.to_string(),
                    view::arm_label(run, &arm.arm),
                    millis(arm.costs.service_mean_ns),
                    millis(arm.costs.p50_ns),
                    arm.costs.p99_ns.map_or("withheld".to_string(), &millis),
                ]);
            }
        }
    }
    table.write(out);
    curves::latency_by_throughput(out, run, cmp);
    close(out);
}

/// Whether the answers were right and the load was what it claims.
pub(super) fn checks(out: &mut String, run: &Run, cmp: &Comparison) {
    open(out, "checks", "Checks", "wrong answer");
    if run.checks.is_empty() {
        paragraph(out, "None ran.");
    }
    if !run.checks.is_empty() {
        let mut table = Table::new("", "lll");
        ["check", "", "evidence"].iter().for_each(|name| table.column(name, ""));
        for check in &run.checks {
            let mark = check.mark();
            table.row(vec![check.id.clone(), mark.to_string(), check.detail.clone()]);
        }
        table.write(out);
    }
    if let Some(load) = story::load(run, cmp) {
        out.push_str(&format!(
            "<p>Load {}.{}{}</p>\n",
            text(&load),
            help("load generator"),
            help("Little's law")
        ));
    }
    if let Some(host) = story::blocks(run) {
        out.push_str(&format!("<p>Blocks {}.{}</p>\n", text(&host), help("disturbed")));
    }
    close(out);
}

/// Circumstances a reader must know.
pub(super) fn warnings(out: &mut String, run: &Run) {
    open(out, "warnings", "Warnings", "");
    if run.warnings.is_empty() {
        paragraph(out, "None.");
    }
    let (first, more) = run.warnings.split_at(run.warnings.len().min(WARNINGS_SHOWN));
    warning_list(out, first);
    if !more.is_empty() {
        out.push_str(&format!("<details><summary>{} more</summary>\n", more.len()));
        warning_list(out, more);
        out.push_str("</details>\n");
    }
    close(out);
}

fn warning_list(out: &mut String, warnings: &[Warning]) {
    if warnings.is_empty() {
        return;
    }
    out.push_str("<ul class=\"warnings\">\n");
    for warning in warnings {
        out.push_str(&format!("<li>{}</li>\n", text(&story::warning(warning))));
    }
    out.push_str("</ul>\n");
}
