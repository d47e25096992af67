//! The tables of the terminal form.
//! Stages that took no time in either arm are left out here; the page shows them.

use super::grid::Grid;
use super::page::Page;
use crate::compare::{ArmSummary, Comparison, Ladder, LockCost, PhaseTable, Row, Rung};
use crate::record::Run;
use crate::report::open_loop;
use crate::report::ops;
use crate::report::scaling;
use crate::report::story;
use crate::report::view::{self, Headline};
use crate::report::watch;
use crate::report::words::{self, INTERVAL_PAIRS_MIN, NOTHING, count, significant};

/// Before, after and their ratio at every client count; every rung below it if there are any.
pub(super) fn throughput(page: &mut Page, run: &Run, table: &PhaseTable) {
    if table.rows.is_empty() {
        return;
    }
    let pairs = table.rows.iter().map(|row| row.ratio.pairs).max().unwrap_or(0);
    let pairs = count(pairs, "pair", "pairs");
    page.heading("THROUGHPUT", &format!("{}, closed loop, ops/s, {pairs}", table.phase));
    let mut grid =
        Grid::new("rrrrlrl", &["clients", "before", "after", "ratio", "95 % CI", "A/A floor", ""]);
    for row in &table.rows {
        grid.row(throughput_cells(row));
    }
    page.grid(&[grid]);
    footnote(page, table);
    if view::has_rungs(run) {
        rungs(page, run, table);
    }
}

fn throughput_cells(row: &Row) -> Vec<String> {
    vec![
        row.clients.to_string(),
        words::arm_rate(row.arms.first()),
        words::arm_rate(row.arms.last()),
        words::estimate_ratio(&row.ratio),
        words::interval(&row.ratio),
        words::floor(row),
        words::mark(&row.ratio, row.aa_floor).to_string(),
    ]
}

/// Says what `± ?` waits for.
fn footnote(page: &mut Page, table: &PhaseTable) {
    let arms = || table.rows.iter().flat_map(|row| &row.arms).filter(|arm| arm.trials > 0);
    let arms = || arms().filter(|arm| arm.invalid.is_none());
    let fewest = arms().filter(|arm| arm.half_width.is_none()).map(|arm| arm.trials).min();
    if let Some(fewest) = fewest {
        let has = count(fewest, "trial", "trials");
        page.prose(&format!("± ?: an interval needs {INTERVAL_PAIRS_MIN} trials, here {has}"));
    }
}

/// Throughput of every arm at every client count, arms downwards.
fn rungs(page: &mut Page, run: &Run, table: &PhaseTable) {
    page.heading("EVERY RUNG", &format!("{}, ops/s by clients", table.phase));
    let clients: Vec<String> = table.rows.iter().map(|row| row.clients.to_string()).collect();
    let head: Vec<&str> = std::iter::once("").chain(clients.iter().map(String::as_str)).collect();
    let mut grid = Grid::new("lrrrrrrrrrrrrrrrrrrr", &head);
    for arm in view::rungs(run) {
        let rates = table.rows.iter().map(|row| {
            let summary =
                row.arms.iter().find(|summary| summary.arm == arm.name && summary.trials > 0);
            match summary {
                Some(arm) if arm.invalid.is_some() => words::INVALID.to_string(),
                Some(arm) => words::rate(arm.throughput_per_s),
                None => NOTHING.to_string(),
            }
        });
        grid.row(std::iter::once(view::arm_label(run, &arm.name)).chain(rates).collect());
    }
    page.grid(&[grid]);
}

/// The law of each arm, if enough client counts were measured for one.
pub(super) fn scaling(page: &mut Page, run: &Run, table: &PhaseTable) {
    if table.scaling.is_empty() {
        return;
    }
    let counts = count(table.rows.len(), "client count", "client counts");
    page.heading("SCALABILITY", &format!("{}, Gunther's law over {counts}", table.phase));
    let rows = scaling::rows(run, table);
    let form = |kept: &[usize], sides| {
        let head: Vec<&str> = kept.iter().map(|at| scaling::COLUMNS[*at].0).collect();
        let mut grid = Grid::new(sides, &head);
        for row in &rows {
            grid.row(kept.iter().map(|at| row[*at].clone()).collect());
        }
        grid
    };
    if !rows.is_empty() {
        page.grid(&[
            form(&[0, 1, 2, 3, 4, 5], "lllllr"),
            form(&[0, 1, 2, 3, 4], "lllll"),
            form(&[0, 2, 4], "lll"),
        ]);
    }
    for misfit in scaling::misfits(run, table) {
        page.prose(&misfit);
    }
    page.blank();
}

/// The ladder, one lever at a time.
pub(super) fn gain(page: &mut Page, run: &Run, cmp: &Comparison, ladder: &Ladder) {
    if !view::has_rungs(run) || ladder.rungs.is_empty() {
        return;
    }
    let at = count(ladder.clients as usize, "client", "clients");
    page.heading(
        "WHERE THE GAIN CAME FROM",
        &format!("{}, {at}, one lever at a time", ladder.phase),
    );
    let mut wide = Grid::new("lrrlrl", &["", "ops/s", "step", "95 % CI", "total", ""]);
    let mut narrow = Grid::new("lrrlr", &["", "ops/s", "step", "95 % CI", "total"]);
    for rung in &ladder.rungs {
        let mut cells = gain_cells(run, rung);
        narrow.row(cells.clone());
        cells.push(story::rung_note(cmp, ladder, rung));
        wide.row(cells);
    }
    page.grid(&[wide, narrow]);
    if ladder.both_ways.is_empty() {
        return;
    }
    let mut grid = Grid::new("lrlrl", &["step, both ways", "first", "95 % CI", "last", "95 % CI"]);
    ladder.both_ways.iter().for_each(|step| grid.row(words::both_ways(step).to_vec()));
    page.grid(&[grid]);
    story::order_matters(ladder).iter().for_each(|sentence| page.prose(sentence));
}

fn gain_cells(run: &Run, rung: &Rung) -> Vec<String> {
    let ratio =
        |estimate: Option<_>| estimate.as_ref().map_or(String::new(), words::estimate_ratio);
    vec![
        view::arm_label(run, &rung.arm),
        words::rung_rate(rung),
        ratio(rung.step),
        rung.step.as_ref().map_or(String::new(), words::interval),
        ratio(rung.total),
    ]
}

/// Before and after for each kind of operation, if there is more than one.
pub(super) fn by_op(page: &mut Page, headline: &Headline<'_>) {
    if headline.row.ops.is_empty() {
        return;
    }
    let at = view::load(headline.row);
    let arms = format!("{} → {}", headline.before.arm, headline.after.arm);
    page.heading("BY OPERATION", &format!("{arms}, {at}, service time in closed loop"));
    let head = ops::COLUMNS.map(|(name, _)| name);
    let mut wide = Grid::new("llrllrlr", &head);
    // Where columns are short, the interval goes first and then the tail.
    let narrow = |kept: &[usize], sides| {
        let mut grid = Grid::new(sides, &kept.iter().map(|at| head[*at]).collect::<Vec<_>>());
        for row in &headline.row.ops {
            let cells = ops::cells(row);
            grid.row(kept.iter().map(|at| cells[*at].clone()).collect());
        }
        grid
    };
    headline.row.ops.iter().for_each(|row| wide.row(ops::cells(row).into()));
    page.grid(&[
        wide,
        narrow(&[0, 1, 2, 4, 5, 6, 7], "llrlrlr"),
        narrow(&[0, 1, 2, 4, 5], "llrlr"),
    ]);
}

/// What clients of open loads waited for.
pub(super) fn open_loop(page: &mut Page, run: &Run, cmp: &Comparison) {
    let rows = open_loop::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    page.heading("LATENCY", "open loop, from the intended send time, medians over trials");
    let some = |kept: &[usize], sides| chosen(kept, &open_loop::COLUMNS, &rows, sides);
    page.grid(&[
        some(&[0, 1, 2, 3, 4, 5, 6, 7], "llrlrrrr"),
        some(&[0, 1, 2, 3, 4, 5, 7], "llrlrrr"),
        some(&[1, 2, 3, 4, 5, 6], "lrlrrr"),
        some(&[1, 2, 4, 5], "lrrr"),
        some(&[1, 4, 5], "lrr"),
    ]);
    page.blank();
}

/// What searches found.
pub(super) fn highest_rates(page: &mut Page, run: &Run, cmp: &Comparison) {
    let found = open_loop::found(run, cmp);
    if found.is_empty() {
        return;
    }
    page.heading("HIGHEST RATE", "that met its condition, open loop");
    let some = |kept: &[usize], sides| chosen(kept, &open_loop::FOUND_COLUMNS, &found, sides);
    page.grid(&[some(&[0, 1, 2, 3, 4, 5], "lllrrl"), some(&[2, 3, 4, 5], "lrrl")]);
    page.blank();
}

/// A grid of some of the columns.
fn chosen<const N: usize>(
    kept: &[usize],
    columns: &[(&str, &str); N],
    rows: &[[String; N]],
    sides: &'static str,
) -> Grid {
    let mut grid = Grid::new(sides, &kept.iter().map(|at| columns[*at].0).collect::<Vec<_>>());
    for row in rows {
        grid.row(kept.iter().map(|at| row[*at].clone()).collect());
    }
    grid
}

/// What watchers got at every place that had some.
pub(super) fn watchers(page: &mut Page, run: &Run, cmp: &Comparison) {
    let rows = watch::rows(run, cmp);
    if rows.is_empty() {
        return;
    }
    page.heading("WATCHERS", "of the whole key space, medians over trials");
    let head = watch::COLUMNS.map(|(name, _)| name);
    // Where columns are short, the interval goes first.
    let form = |kept: &[usize], sides| {
        let mut grid = Grid::new(sides, &kept.iter().map(|at| head[*at]).collect::<Vec<_>>());
        for row in &rows {
            grid.row(kept.iter().map(|at| row[*at].clone()).collect());
        }
        grid
    };
    page.grid(&[
        form(&[0, 1, 2, 3, 4, 5, 6, 7], "llrrrlrr"),
        form(&[0, 1, 2, 3, 4, 6, 7], "llrrrrr"),
        form(&[0, 1, 3, 4, 6, 7], "llrrrr"),
    ]);
    page.blank();
}

/// Mean time per stage, side by side, or downwards where columns are short.
pub(super) fn stages(page: &mut Page, headline: &Headline<'_>) {
    let arms = [headline.before, headline.after];
    let names: Vec<&str> = view::stage_names(arms[0], arms[1])
        .into_iter()
        .filter(|name| arms.iter().any(|arm| view::stage_ns(arm, name).is_some_and(|ns| ns > 0.0)))
        .collect();
    if names.is_empty() {
        return;
    }
    let at = view::load(headline.row);
    page.heading("WHERE THE TIME GOES", &format!("mean µs per op, {at}"));
    page.grid(&[stages_across(&arms, &names), stages_down(&arms, &names)]);
}

fn stages_across(arms: &[&ArmSummary; 2], names: &[&str]) -> Grid {
    let mut head = vec![""];
    head.extend(names);
    head.extend(["sum", "measured"]);
    let mut grid = Grid::new("lrrrrrrrrrrrrrrr", &head);
    for arm in arms {
        let mut cells = vec![arm.arm.clone()];
        cells.extend(names.iter().map(|name| stage_micros(arm, name)));
        cells.extend(totals(arm));
        grid.row(cells);
    }
    grid
}

fn stages_down(arms: &[&ArmSummary; 2], names: &[&str]) -> Grid {
    let mut grid = Grid::new("lrr", &["", &arms[0].arm, &arms[1].arm]);
    for name in names {
        grid.row(vec![
            (*name).to_string(),
            stage_micros(arms[0], name),
            stage_micros(arms[1], name),
        ]);
    }
    let (before, after) = (totals(arms[0]), totals(arms[1]));
    for (place, name) in ["sum", "measured"].iter().enumerate() {
        grid.row(vec![(*name).to_string(), before[place].clone(), after[place].clone()]);
    }
    grid
}

fn stage_micros(arm: &ArmSummary, stage: &str) -> String {
    view::stage_ns(arm, stage).map_or(NOTHING.to_string(), words::micros)
}

fn totals(arm: &ArmSummary) -> [String; 2] {
    [words::micros(view::stage_sum_ns(arm)), words::micros(arm.costs.service_mean_ns)]
}

/// What an operation costs, before → after.
pub(super) fn costs(page: &mut Page, headline: &Headline<'_>) {
    let (before, after) = (&headline.before.costs, &headline.after.costs);
    let at = view::load(headline.row);
    page.heading("COST PER OP", &format!("{} → {}, {at}", headline.before.arm, headline.after.arm));
    let change = |a: f64, b: f64| format!("{} → {}", significant(a), significant(b));
    let per_fsync = change(1.0 / before.fsyncs_per_op, 1.0 / after.fsyncs_per_op);
    // What a system does not tell is nothing, not 0.
    let told = |n: f64| if n > 0.0 { significant(n) } else { NOTHING.to_string() };
    let told = |a: f64, b: f64| format!("{} → {}", told(a), told(b));
    let mut cells = vec![
        ("fsyncs per op", told(before.fsyncs_per_op, after.fsyncs_per_op)),
        ("ops per fsync", per_fsync),
        ("CPU µs per op", change(before.cpu_us_per_op, after.cpu_us_per_op)),
        ("cores busy", change(before.cores_busy, after.cores_busy)),
    ];
    if before.requests_per_ready + after.requests_per_ready > 0.0 {
        cells.push((
            "requests per Ready",
            told(before.requests_per_ready, after.requests_per_ready),
        ));
        cells.push(("entries per Ready", told(before.entries_per_ready, after.entries_per_ready)));
    }
    for asked in view::ASKED {
        let told =
            |arm: &ArmSummary| (asked.of)(&arm.costs).map_or(NOTHING.to_string(), significant);
        if headline.measured().any(|arm| (asked.of)(&arm.costs).is_some()) {
            cells.push((
                asked.name,
                format!("{} → {}", told(headline.before), told(headline.after)),
            ));
        }
    }
    let mut grid = Grid::new("llll", &["", "", "", ""]);
    for pair in cells.chunks(2) {
        grid.row(
            pair.iter().flat_map(|(name, text)| [(*name).to_string(), text.clone()]).collect(),
        );
    }
    page.grid(&[grid]);
    let roles = view::role_changes(headline.before, headline.after);
    if !roles.is_empty() {
        let each = roles.iter().map(|(role, a, b)| format!("{role} {}", change(*a, *b)));
        page.prose(&format!("CPU µs per op by thread: {}", each.collect::<Vec<_>>().join(" · ")));
    }
    locks(page, headline);
    page.blank();
}

fn locks(page: &mut Page, headline: &Headline<'_>) {
    let names = view::lock_names(headline.before, headline.after);
    if names.is_empty() {
        return;
    }
    let mut grid = Grid::new("llll", &["lock", "wait µs per op", "hold µs per op", "contended"]);
    for name in names {
        let lock =
            |arm: &ArmSummary| arm.costs.locks.iter().find(|lock| lock.name == name).cloned();
        let (before, after) = (lock(headline.before), lock(headline.after));
        let change = |pick: fn(&LockCost) -> String| {
            let text = |lock: &Option<LockCost>| lock.as_ref().map_or(NOTHING.to_string(), pick);
            format!("{} → {}", text(&before), text(&after))
        };
        grid.row(vec![
            name.to_string(),
            change(|lock| words::micros(lock.wait_ns_per_op)),
            change(|lock| lock.hold_ns_per_op.map_or(NOTHING.to_string(), words::micros)),
            change(|lock| words::percent(lock.contended)),
        ]);
    }
    page.grid(&[grid]);
}
