//! The first screen for a pull request comment, in GitHub's Markdown.
//! Text from files is escaped so that it can open no tag, table cell, link, mention or heading.

use crate::compare::{Comparison, Ladder, PhaseTable};
use crate::record::Run;
use crate::report::ops;
use crate::report::profiles;
use crate::report::story;
use crate::report::view::{self, Headline};
use crate::report::words::{self, NOTHING, count, significant};
use crate::report::{open_loop, scaling, watch};

/// The first screen.
pub fn render(run: &Run, cmp: &Comparison) -> String {
    let mut out = String::new();
    if profiles::is_all_there_is(run) {
        profiled(&mut out, run);
        return out;
    }
    head(&mut out, run, cmp);
    verdicts(&mut out, cmp);
    for table in cmp.phases.iter().filter(|table| !view::is_open(table)) {
        throughput(&mut out, run, table);
    }
    for ladder in &cmp.ladders {
        gain(&mut out, run, cmp, ladder);
    }
    scaling(&mut out, run, cmp);
    open(&mut out, run, cmp);
    highest_rates(&mut out, run, cmp);
    watchers(&mut out, run, cmp);
    if let Some(headline) = view::headline(cmp) {
        match story::withheld(&headline) {
            Some(why) => line(&mut out, &format!("{}\n", escape(&why))),
            None => {
                by_op(&mut out, &headline);
                stages(&mut out, &headline);
                costs(&mut out, &headline);
            }
        }
    }
    notes(&mut out, run, cmp);
    out
}

fn profiled(out: &mut String, run: &Run) {
    line(
        out,
        &format!("## Profile of {}\n\n{}\n", escape(&run.scenario.name), profiles::NOT_MEASURED),
    );
    profiles::lines(run).iter().for_each(|text| line(out, &format!("- {}", escape(text))));
}

fn head(out: &mut String, run: &Run, cmp: &Comparison) {
    line(out, &format!("## {}: {}", escape(&run.scenario.name), story::outcome(cmp.outcome)));
    line(out, "");
    for stamp in story::stamps(run) {
        line(out, &format!("> **{}**\n", escape(&stamp)));
    }
    line(out, &format!("{}\n", escape(&story::conclusion(run, cmp))));
}

fn verdicts(out: &mut String, cmp: &Comparison) {
    if cmp.verdicts.is_empty() {
        return;
    }
    table_head(out, &["", "target", "asked", "evidence"], "clll");
    for verdict in &cmp.verdicts {
        let mut evidence = story::evidence(verdict);
        if !verdict.reason.is_empty() {
            evidence = format!("{evidence}; {}", verdict.reason);
        }
        let asked = story::asked(&verdict.target);
        let asked = asked.trim_start_matches("asked: ").to_string();
        let mark = story::verdict_mark(verdict.verdict);
        let word = story::verdict_word(verdict.verdict);
        let (id, claim) = (&verdict.target.id, &verdict.target.claim);
        let id = if claim.is_empty() { id.clone() } else { format!("{id}: {claim}") };
        table_row(out, &[format!("{mark} {word}"), id, asked, evidence]);
    }
    line(out, "");
}

fn throughput(out: &mut String, run: &Run, table: &PhaseTable) {
    line(out, &format!("**Throughput**, {}, closed loop, ops/s\n", escape(&table.phase)));
    let labels: Vec<String> = view::rungs(run).map(|arm| view::arm_label(run, &arm.name)).collect();
    let mut head = vec!["clients"];
    head.extend(labels.iter().map(String::as_str));
    head.extend(["ratio", "95 % CI", "A/A floor", "", "pairs"]);
    table_head(out, &head, &format!("r{}rrrcr", "r".repeat(labels.len())));
    for row in &table.rows {
        let mut cells = vec![row.clients.to_string()];
        cells.extend(view::rungs(run).map(|arm| {
            let summary = row.arms.iter().find(|s| s.arm == arm.name && s.trials > 0);
            words::arm_rate(summary)
        }));
        cells.push(words::estimate_ratio(&row.ratio));
        cells.push(words::interval(&row.ratio));
        cells.push(words::floor(row));
        cells.push(words::mark(&row.ratio, row.aa_floor).into());
        cells.push(row.ratio.pairs.to_string());
        table_row(out, &cells);
    }
    line(out, "");
}

fn gain(out: &mut String, run: &Run, cmp: &Comparison, ladder: &Ladder) {
    if !view::has_rungs(run) {
        return;
    }
    let at = count(ladder.clients as usize, "client", "clients");
    line(
        out,
        &format!(
            "**Where the gain came from**, {}, {at}, one lever at a time\n",
            escape(&ladder.phase)
        ),
    );
    table_head(
        out,
        &["rung", "ops/s", "step", "95 % CI", "total", "what the pipeline shows"],
        "lrrrrl",
    );
    for rung in &ladder.rungs {
        let ratio = |e: Option<_>| e.as_ref().map_or(String::new(), words::estimate_ratio);
        table_row(
            out,
            &[
                view::arm_label(run, &rung.arm),
                words::rung_rate(rung),
                ratio(rung.step),
                rung.step.as_ref().map_or(String::new(), words::interval),
                ratio(rung.total),
                story::rung_note(cmp, ladder, rung),
            ],
        );
    }
    line(out, "");
    if !ladder.both_ways.is_empty() {
        table_head(out, &["step, both ways", "first", "95 % CI", "last", "95 % CI"], "lrrrr");
        ladder.both_ways.iter().for_each(|step| table_row(out, &words::both_ways(step)));
        line(out, "");
    }
    for sentence in story::order_matters(ladder) {
        line(out, &format!("{}.\n", escape(&sentence)));
    }
    if let Some(ceiling) = story::ceiling(ladder) {
        line(out, &format!("Ceiling: {}.\n", escape(&ceiling)));
    }
}

fn by_op(out: &mut String, headline: &Headline<'_>) {
    if headline.row.ops.is_empty() {
        return;
    }
    let at = view::load(headline.row);
    let arms = format!("{} → {}", escape(&headline.before.arm), escape(&headline.after.arm));
    line(out, &format!("**By operation**, {arms}, {at}, service time in closed loop\n"));
    table_head(out, &ops::COLUMNS.map(|(name, _)| name), "lrrrrrrr");
    for row in &headline.row.ops {
        table_row(out, &ops::cells(row));
    }
    line(out, "");
}

fn scaling(out: &mut String, run: &Run, cmp: &Comparison) {
    for table in cmp.phases.iter().filter(|table| !table.scaling.is_empty()) {
        line(out, &format!("**Scalability**, {}, Gunther's law\n", escape(&table.phase)));
        let rows = scaling::rows(run, table);
        if !rows.is_empty() {
            table_head(out, &scaling::COLUMNS.map(|(name, _)| name), "lllllr");
            rows.iter().for_each(|row| table_row(out, row));
            line(out, "");
        }
        for misfit in scaling::misfits(run, table) {
            line(out, &format!("- {}", escape(&misfit)));
        }
        line(out, "");
    }
}

fn open(out: &mut String, run: &Run, cmp: &Comparison) {
    let rows = open_loop::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    line(out, "**Latency**, open loop, from the intended send time, medians over trials\n");
    table_head(out, &open_loop::COLUMNS.map(|(name, _)| name), "llrlrrrr");
    rows.iter().for_each(|row| table_row(out, row));
    line(out, "");
}

fn highest_rates(out: &mut String, run: &Run, cmp: &Comparison) {
    let found = open_loop::found(run, cmp);
    if found.is_empty() {
        return;
    }
    line(out, "**Highest rate** that met its condition, open loop\n");
    table_head(out, &open_loop::FOUND_COLUMNS.map(|(name, _)| name), "lllrrl");
    found.iter().for_each(|row| table_row(out, row));
    line(out, "");
}

fn watchers(out: &mut String, run: &Run, cmp: &Comparison) {
    let rows = watch::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    line(out, "**Watchers** of the whole key space, medians over trials\n");
    table_head(out, &watch::COLUMNS.map(|(name, _)| name), "llrrrrrr");
    rows.iter().for_each(|row| table_row(out, row));
    line(out, "");
}

fn stages(out: &mut String, headline: &Headline<'_>) {
    let names = view::stage_names(headline.before, headline.after);
    if names.is_empty() {
        return;
    }
    let at = view::load(headline.row);
    line(out, &format!("**Where the time goes**, mean µs per op, {at}\n"));
    let mut head = vec!["arm"];
    head.extend(&names);
    head.extend(["sum", "measured"]);
    table_head(out, &head, &format!("l{}", "r".repeat(names.len() + 2)));
    for arm in [headline.before, headline.after] {
        let mut cells = vec![arm.arm.clone()];
        cells.extend(
            names
                .iter()
                .map(|name| view::stage_ns(arm, name).map_or(NOTHING.into(), words::micros)),
        );
        cells.push(words::micros(view::stage_sum_ns(arm)));
        cells.push(words::micros(arm.costs.service_mean_ns));
        table_row(out, &cells);
    }
    line(out, "");
}

fn costs(out: &mut String, headline: &Headline<'_>) {
    let (before, after) = (&headline.before.costs, &headline.after.costs);
    let change =
        |name: &str, a: f64, b: f64| format!("{name} {} → {}", significant(a), significant(b));
    let mut costs = vec![change("CPU µs", before.cpu_us_per_op, after.cpu_us_per_op)];
    // What a system does not tell is left out.
    if before.fsyncs_per_op + after.fsyncs_per_op > 0.0 {
        costs.insert(0, change("fsyncs", before.fsyncs_per_op, after.fsyncs_per_op));
    }
    if let (Some(a), Some(b)) = (before.allocs_per_op, after.allocs_per_op) {
        costs.push(change("allocations", a, b));
    }
    line(
        out,
        &format!(
            "Cost per op: {} · {}\n",
            costs.join(" · "),
            change("cores busy", before.cores_busy, after.cores_busy)
        ),
    );
    let p99 = match (before.p99_ns, after.p99_ns) {
        (Some(a), Some(b)) => format!("{} → {}", words::millis(a), words::millis(b)),
        _ => "withheld".to_string(),
    };
    let p50 = format!("{} → {}", words::millis(before.p50_ns), words::millis(after.p50_ns));
    line(out, &format!("Service time, closed loop: p50 {p50} · p99 {p99}\n"));
}

fn notes(out: &mut String, run: &Run, cmp: &Comparison) {
    for sentence in profiles::lock_sentences(run) {
        line(out, &format!("{}.\n", escape(&sentence)));
    }
    for check in &run.checks {
        let mark = check.mark();
        line(out, &format!("- {mark} {}: {}", escape(&check.id), escape(&check.detail)));
    }
    if let Some(load) = story::load(run, cmp) {
        line(out, &format!("- load {}", escape(&load)));
    }
    if let Some(host) = story::blocks(run) {
        line(out, &format!("- blocks {}", escape(&host)));
    }
    for warning in &run.warnings {
        line(out, &format!("- ⚠ {}", escape(&story::warning(warning))));
    }
    for sharing in story::sharing(run) {
        line(out, &format!("- apply workers, {}", escape(&sharing)));
    }
    line(out, &format!("- plan: {}", escape(&story::plan(run))));
    line(out, &format!("- host: {}", escape(&story::host(run))));
    if let Some(agents) = story::agents(run) {
        line(out, &format!("- agents: {}", escape(&agents)));
    }
    line(out, &format!("- build: {}", escape(&story::build(run))));
    line(out, &format!("- grade: {}", escape(&story::grade(run))));
}

pub(super) fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

pub(super) fn table_head(out: &mut String, head: &[&str], align: &str) {
    table_row(out, &head.iter().map(|text| (*text).to_string()).collect::<Vec<_>>());
    let rule = align.chars().map(|side| match side {
        'r' => "--:",
        'c' => ":-:",
        _ => ":--",
    });
    line(out, &format!("| {} |", rule.collect::<Vec<_>>().join(" | ")));
}

pub(super) fn table_row(out: &mut String, cells: &[String]) {
    let cells: Vec<String> = cells.iter().map(|cell| escape(cell)).collect();
    line(out, &format!("| {} |", cells.join(" | ")));
}

/// Text that stands for itself: entities for what HTML and mentions use, backslashes for what Markdown uses.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in words::plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '#' | '!' | '$' => {
                out.push('\\');
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn looks_as_agreed() {
        let (run, cmp) = sample::sample();
        sample::check_golden("report.md", &render(&run, &cmp));
    }

    #[test]
    fn text_stands_for_itself() {
        let (run, cmp) = sample::hostile();
        let text = render(&run, &cmp);
        for raw in ["<script", "\u{1b}", "\u{202e}", "@all", "![a](b)", "\n# h", " |`"] {
            assert!(!text.contains(raw), "{raw:?}");
        }
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
    }

    #[test]
    fn stamps_stand_at_the_top() {
        let (run, cmp) = sample::short();
        let text = render(&run, &cmp);
        let numbers = text.find("Throughput").unwrap();
        for stamp in ["QUICK", "FSYNC NOT REAL"] {
            assert!(text.find(stamp).unwrap() < numbers);
        }
        assert!(text.contains("needs 6 pairs"));
    }

    #[test]
    fn an_empty_run_says_so() {
        let (run, cmp) = sample::empty();
        let text = render(&run, &cmp);
        assert!(text.contains("INCOMPLETE") && text.contains("nothing was measured"));
    }
}
