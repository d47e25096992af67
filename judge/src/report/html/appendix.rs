//! What a reader needs to judge or repeat the run: where, what, every trial, every definition.

use super::sections::{close, open};
use super::table::{Table, slug};
use crate::compare;
use crate::compare::fitness::{self, Gravity};
use crate::record::{BlockHost, Cell, NOT_VISIBLE, Run, Trial};
use crate::report::markup::{self, text};
use crate::report::story;
use crate::report::view;
use crate::report::words::{self, count, grouped, significant};
use crate::units::ByteSize;
use std::collections::BTreeSet;

/// Rows of raw trials on the page; the run file has all of them.
const RAW_ROWS_MAX: usize = 2_000;

const MIB: f64 = (1 << 20) as f64;

/// How it went, then every fact of host and build with what it means for measuring, and the grade over them.
pub(super) fn environment(out: &mut String, run: &Run) {
    open(out, "environment", "Environment", "grade");
    let mut table = Table::new("", "lll");
    table.column("what", "");
    table.column("value", "");
    table.column("what of it lowers the grade", "grade");
    let sharing = story::sharing(run);
    let apply_workers = if sharing.is_empty() { "one".into() } else { sharing.join("; ") };
    let (host, build) = (&run.host, &run.build.details);
    let known = |value: &str| value.to_owned();
    for (what, value) in [
        ("started", format!("{} (UTC), took {}", run.started_at, words::span(run.elapsed_s))),
        ("plan", story::plan(run)),
        ("apply workers", apply_workers),
        ("load", story::agents(run).unwrap_or_else(|| "from this machine".to_owned())),
        ("grade", story::grade(run)),
        ("machine key", known(&host.details.machine_key)),
        ("data folder", known(&host.data_folder)),
    ] {
        table.row(vec![what.to_string(), value, String::new()]);
    }
    for finding in fitness::facts(host, &run.build) {
        let doubt = if finding.gravity > Gravity::Note { finding.reason } else { String::new() };
        table.row(vec![finding.name.to_string(), finding.value, doubt]);
    }
    for (what, value) in [
        ("compiler", format!("{}, kvbench {}", run.build.rustc, run.kvbench_version)),
        ("target", format!("{}, CPU {}", build.target, build.target_cpu)),
        ("features", known(&build.features)),
        ("link-time optimisation", known(&build.lto)),
        ("frame pointers", known(&build.frame_pointers)),
        ("allocator", known(&build.allocator)),
        ("program file", size(build.binary_bytes)),
    ] {
        table.row(vec![what.to_string(), value, String::new()]);
    }
    table.write(out);
    close(out);
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or(NOT_VISIBLE.to_owned(), |bytes| ByteSize(bytes).to_string())
}

/// Every lever of every arm.
pub(super) fn arms(out: &mut String, run: &Run) {
    open(out, "arms", "Arms", "lever");
    let keys: BTreeSet<&String> = run.arms.iter().flat_map(|arm| arm.levers.keys()).collect();
    let mut table = Table::new("every lever; ≠ where arms differ", &"l".repeat(run.arms.len() + 2));
    table.column("lever", "lever");
    run.arms.iter().for_each(|arm| table.column(&arm.name, ""));
    table.column("", "");
    for key in keys {
        let values =
            || run.arms.iter().map(|arm| arm.levers.get(key).map_or(view::NOT_SET, String::as_str));
        let differ = values().collect::<BTreeSet<_>>().len() > 1;
        let mut cells = vec![key.clone()];
        cells.extend(values().map(str::to_string));
        cells.push(if differ { "≠" } else { "" }.to_string());
        table.row(cells);
    }
    table.write(out);
    close(out);
}

/// The file that was run, word for word.
pub(super) fn scenario(out: &mut String, run: &Run) {
    open(out, "scenario", "Scenario", "");
    out.push_str(&format!(
        "<details><summary>{}, after <code>--set</code></summary>\n<pre>{}</pre>\n</details>\n",
        text(&run.scenario.path),
        markup::verbatim(&run.scenario.text)
    ));
    close(out);
}

/// Every trial and every measurement in it.
pub(super) fn trials(out: &mut String, run: &Run) {
    open(out, "trials", "Raw trials", "trial");
    let cells =
        || run.trials.iter().flat_map(|trial| trial.cells.iter().map(move |cell| (trial, cell)));
    let total = cells().count();
    let trials = count(run.trials.len(), "trial", "trials");
    let measured = count(total, "measurement", "measurements");
    out.push_str(&format!("<details><summary>{trials}, {measured}</summary>\n"));
    let mut table = Table::new(
        "by trial; place is the order within the block at that client count",
        "rrllrlrrrrrrrrrrl",
    );
    for (name, word) in [
        ("block", "block"),
        ("place", ""),
        ("arm", "arm"),
        ("A/A", "A/A floor"),
        ("at s", ""),
        ("phase", ""),
        ("clients", ""),
        ("span s", ""),
        ("ops", ""),
        ("errors", ""),
        ("ops/s", "throughput"),
        ("p50 ms", "p50"),
        ("p99 ms", "p99"),
        ("max ms", ""),
        ("fsyncs", ""),
        ("in flight", "Little's law"),
        ("state", ""),
    ] {
        table.column(name, word);
    }
    cells().take(RAW_ROWS_MAX).for_each(|(trial, cell)| table.row(raw_cells(trial, cell)));
    table.write(out);
    if total > RAW_ROWS_MAX {
        out.push_str(&format!("<p>The first {RAW_ROWS_MAX}; the run file has all.</p>\n"));
    }
    out.push_str("</details>\n");
    close(out);
}

/// What the host did in every block, those that were measured again among them.
pub(super) fn blocks(out: &mut String, run: &Run) {
    let voided = run.voided.iter().filter_map(|voided| voided.host.as_ref());
    let mut all: Vec<(&BlockHost, &str)> = voided.map(|block| (block, "measured again")).collect();
    let fate = match compare::left_out(run) {
        0 => "counts, though disturbed",
        _ => "left out",
    };
    let fate = |block: &BlockHost| if block.disturbed.is_empty() { "counts" } else { fate };
    all.extend(run.blocks.iter().map(|block| (block, fate(block))));
    if all.is_empty() {
        return;
    }
    all.sort_by_key(|(block, _)| (block.block, block.attempt));
    open(out, "blocks", "What the host did in each block", "disturbed");
    let mut table = Table::new("of the whole block; probes ran while no load did", "rrrrrrlrll");
    for (name, word) in [
        ("block", "block"),
        ("try", ""),
        ("span s", ""),
        ("others, cores", "foreign"),
        ("others, disk MiB/s", "foreign"),
        ("stolen cores", "foreign"),
        ("sync probes, ms", "disk drift"),
        ("log's own sync, ms", "disk drift"),
        ("", ""),
        ("disturbed by", "disturbed"),
    ] {
        table.column(name, word);
    }
    all.into_iter().for_each(|(block, what)| table.row(block_cells(block, what)));
    table.write(out);
    close(out);
}

fn block_cells(block: &BlockHost, what: &str) -> Vec<String> {
    let host = &block.host;
    let seen = |value: Option<f64>| value.map_or("not visible".to_owned(), significant);
    let millis = |ns: f64| significant(ns / 1e6);
    let probes: Vec<String> = host.probes_ns.iter().map(|ns| millis(*ns as f64)).collect();
    let disturbed: Vec<String> = block.disturbed.iter().map(ToString::to_string).collect();
    vec![
        block.block.to_string(),
        block.attempt.to_string(),
        format!("{:.1}", host.elapsed_s),
        seen(host.foreign_cores),
        seen(host.foreign_disk_bytes_per_s.map(|bytes| bytes / MIB)),
        seen(host.stolen_cores),
        probes.join(" "),
        block.log_sync_ns.map_or(words::NOTHING.to_owned(), millis),
        what.to_owned(),
        disturbed.join(", "),
    ]
}

fn raw_cells(trial: &Trial, cell: &Cell) -> Vec<String> {
    let millis = |ns: u64| significant(ns as f64 / 1e6);
    vec![
        trial.block.to_string(),
        cell.position.to_string(),
        trial.arm.clone(),
        if trial.aa { "second" } else { "" }.to_string(),
        format!("{:.1}", trial.started_s),
        cell.phase.clone(),
        cell.clients.to_string(),
        format!("{:.3}", cell.elapsed_s),
        grouped(cell.ops as f64),
        grouped(cell.errors as f64),
        grouped(cell.throughput_per_s),
        millis(cell.service.p50_ns),
        millis(cell.service.p99_ns),
        millis(cell.service.max_ns),
        grouped(cell.counters.fsyncs as f64),
        significant(cell.in_flight_mean),
        words::short(&trial.end.state_hash, 9),
    ]
}

/// Every word the page uses.
pub(super) fn glossary(out: &mut String) {
    define(out, words::GLOSSARY.iter());
}

/// The meaning of some words alone, for pages with few numbers.
pub(in crate::report) fn some_words(out: &mut String, wanted: &[&str]) {
    define(out, words::GLOSSARY.iter().filter(|(word, _)| wanted.contains(word)));
}

fn define<'a>(out: &mut String, words: impl Iterator<Item = &'a (&'a str, &'a str)>) {
    open(out, "words", "What the numbers mean", "");
    out.push_str("<dl>\n");
    for (word, meaning) in words {
        out.push_str(&format!(
            "<dt id=\"w-{}\">{}</dt><dd>{}</dd>\n",
            slug(word),
            text(word),
            text(meaning)
        ));
    }
    out.push_str("</dl>\n");
    close(out);
}
