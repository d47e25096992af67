//! What `kvbench verify` found, as a page: no script, and no link.

mod crashes;

use super::html::{self, Table};
use super::markup::text;
use super::words::{count, quantity, significant};
use crate::record::verification::{
    FaultRecord, FaultTally, Finding, HistoryRecord, Recovery, Simulation, Verification,
};
use crate::units::Unit;
use std::collections::BTreeMap;

/// Histories in the table, at most; the record has all.
const ROWS_MAX: usize = 2_000;

/// The whole page.
pub fn render(record: &Verification) -> String {
    let mut out = String::with_capacity(1 << 15);
    head(&mut out, record);
    if let Some(compared) = &record.equivalence {
        section(&mut out, "Apply paths against the oracle");
        let words = format!(
            "{} requests over {}, from seed {}: every answer compared, and the state, the events and the hash after each of {} batches, in {} s. {}.",
            compared.requests,
            count(compared.logs as usize, "log", "logs"),
            compared.seed,
            compared.batches,
            significant(compared.elapsed_s),
            count(compared.differences.len(), "difference", "differences")
        );
        paragraph(&mut out, &words);
        compared
            .differences
            .iter()
            .for_each(|one| out.push_str(&format!("<pre>{}</pre>\n", text(one))));
        out.push_str("</section>\n");
    }
    if let Some(found) = &record.crashes {
        crashes::section_of(&mut out, found);
    }
    if let Some(simulated) = &record.simulation {
        simulation(&mut out, simulated);
    }
    if !record.histories.is_empty() {
        sums(&mut out, record);
        faults(&mut out, record);
        recovery(&mut out, record);
        over_time(&mut out, record);
        histories(&mut out, record);
    }
    section(&mut out, "Where");
    let Verification { host, build, .. } = record;
    paragraph(
        &mut out,
        &format!(
            "{}, {}; machine key {}; revision {} ({}), features {}, {}",
            host.cpu,
            count(host.cores as usize, "core", "cores"),
            host.details.machine_key,
            build.revision,
            build.details.tree,
            build.details.features,
            build.profile
        ),
    );
    out.push_str("</section>\n</main>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, record: &Verification) {
    html::begin(out, "verify");
    let (class, badge) = match (record.has_violation(), record.is_open()) {
        (true, _) => ("missed", "✘ wrong answer"),
        (false, true) => ("open", "? not all decided"),
        (false, false) => ("met", "✔ nothing wrong was found"),
    };
    out.push_str(&format!(
        "<header>\n<p class=\"kicker\">kvbench · verify · {}</p>\n<h1><span class=\"badge {class}\">{badge}</span></h1>\n",
        text(&record.started_at)
    ));
    let made = match record.histories.len() {
        0 => "no histories".to_owned(),
        made => count(made, "history", "histories"),
    };
    let sittings = count(record.sittings as usize, "sitting", "sittings");
    let lead = format!("{made} in {} s, {sittings}", significant(record.elapsed_s));
    out.push_str(&format!("<p class=\"lead\">{}</p>\n", text(&lead)));
    if !record.complete {
        out.push_str("<p class=\"stamp\">NOT COMPLETE: it was interrupted, or still goes on</p>\n");
    }
    for one in record.histories.iter().filter(|one| one.finding != Finding::Passed) {
        for why in &one.why {
            let why = format!("seed {}: {}: {why}", one.seed, word(one.finding));
            out.push_str(&format!("<p class=\"finding\">{}</p>\n", text(&why)));
        }
    }
    out.push_str("</header>\n");
}

fn section(out: &mut String, heading: &str) {
    out.push_str(&format!("<section>\n<h2>{}</h2>\n", text(heading)));
}

fn paragraph(out: &mut String, words: &str) {
    out.push_str(&format!("<p>{}</p>\n", text(words)));
}

fn simulation(out: &mut String, of: &Simulation) {
    section(out, "Simulated groups");
    let words = format!(
        "{}, from seed {}, {} ticks of a simulated millisecond: {} looks at a member, each with every invariant, in {} s. {} operations, {} of unknown outcome; {} entries committed in {} terms. Once all was well somebody led within {} ticks and all were equal within {}. Trace {}. {}.",
        count(of.seeds as usize, "seed", "seeds"),
        of.seed,
        of.ticks,
        of.looks,
        significant(of.elapsed_s),
        of.operations,
        of.unknown,
        of.committed,
        of.terms,
        of.led_ticks_max,
        of.equal_ticks_max,
        of.trace,
        count(of.violations.len(), "violation", "violations")
    );
    paragraph(out, &words);
    for one in &of.violations {
        let lines = format!(
            "seed {}, tick {}: {}: {}\n{}\nagain: {}",
            one.seed,
            one.tick,
            one.invariant,
            one.words,
            one.faults.join("\n"),
            one.again
        );
        out.push_str(&format!("<pre>{}</pre>\n", text(&lines)));
    }
    let mut table = Table::new("", "lrr");
    ["fault", "begun", "seen to do something"].iter().for_each(|name| table.column(name, ""));
    for one in &of.faults {
        table.row(vec![one.kind.clone(), one.asked.to_string(), one.happened.to_string()]);
    }
    table.write(out);
    out.push_str("</section>\n");
}

fn sums(out: &mut String, record: &Verification) {
    section(out, "What was questioned");
    let sum =
        |of: fn(&HistoryRecord) -> u64| record.histories.iter().map(of).sum::<u64>().to_string();
    let mut table = Table::new("", "lr");
    table.column("all histories", "");
    table.column("count", "");
    for (what, value) in [
        ("operations", sum(|one| one.operations)),
        ("answered", sum(|one| one.answered)),
        ("of unknown outcome", sum(|one| one.unknown)),
        ("of those executed", sum(|one| one.unknown_executed)),
        ("revisions", sum(|one| one.revisions)),
        ("registers, checked without revisions", sum(|one| one.registers)),
        ("operations on them", sum(|one| one.register_operations)),
        ("registers undecided", sum(|one| one.registers_undecided)),
        ("watchers", sum(|one| one.watchers)),
        ("events that they were told", sum(|one| one.watched_events)),
        ("times they went on where they were", sum(|one| one.watches_resumed)),
    ] {
        table.row(vec![what.to_owned(), value]);
    }
    table.write(out);
    out.push_str("</section>\n");
}

fn faults(out: &mut String, record: &Verification) {
    section(out, "What went wrong on purpose");
    let by_kind = record.faults_by_kind();
    if by_kind.is_empty() {
        paragraph(
            out,
            "Nothing: whatever a checker found here is a false alarm, or the product's without any fault.",
        );
    } else {
        let mut table = Table::new("", "lrr");
        ["fault", "asked for", "seen to happen"].iter().for_each(|name| table.column(name, ""));
        for (kind, FaultTally { asked, happened }) in by_kind {
            table.row(vec![kind.to_owned(), asked.to_string(), happened.to_string()]);
        }
        table.write(out);
    }
    for one in &record.skipped {
        paragraph(out, &format!("Skipped: {}: {}.", one.kind, one.why));
    }
    let settled: Vec<f64> = record.histories.iter().filter_map(|one| one.settled_ms).collect();
    if let Some(median) = median(settled.clone()) {
        let most = settled.iter().copied().fold(0.0, f64::max);
        paragraph(
            out,
            &format!(
                "From the end of the load until all members had the same: median {} ms, at most {} ms.",
                significant(median),
                significant(most)
            ),
        );
    }
    out.push_str("</section>\n");
}

/// How fast groups were themselves again, by the kind of fault.
fn recovery(out: &mut String, record: &Verification) {
    let mut kinds: BTreeMap<&str, Vec<&FaultRecord>> = BTreeMap::new();
    for fault in record.histories.iter().flat_map(|one| &one.faults) {
        kinds.entry(&fault.kind).or_default().push(fault);
    }
    kinds.insert("all", kinds.values().flatten().copied().collect());
    let mut table = Table::new("median, 99th percentile and longest, ms", "lrlll");
    for name in
        ["fault", "count", "another leads", "the next write is acknowledged", "all members level"]
    {
        table.column(name, "");
    }
    let cell = |faults: &[&FaultRecord], of: fn(&FaultRecord) -> Option<f64>| {
        let found = Recovery::of(faults.iter().copied().filter_map(of));
        found.map_or_else(String::new, |found| {
            let three = [found.median_ms, found.p99_ms, found.max_ms].map(significant);
            format!("{} (of {})", three.join(" · "), found.count)
        })
    };
    for (kind, faults) in &kinds {
        table.row(vec![
            (*kind).to_owned(),
            faults.len().to_string(),
            cell(faults, |fault| fault.led_ms),
            cell(faults, |fault| fault.written_ms),
            cell(faults, |fault| fault.level_ms),
        ]);
    }
    section(out, "How fast it was over");
    table.write(out);
    out.push_str("</section>\n");
}

/// Whether anything drifts from history to history: the last quarter against the first.
fn over_time(out: &mut String, record: &Verification) {
    let quarter = record.histories.len() / 4;
    if quarter < 2 {
        return;
    }
    section(out, "From the first quarter to the last");
    let rate = |one: &HistoryRecord| Some(one.operations as f64 / one.elapsed_s);
    let mut table = Table::new("medians over the histories of a quarter, all kinds", "lrrr");
    ["what", "first", "last", "last / first"].iter().for_each(|name| table.column(name, ""));
    let mut row = |what: &str,
                   of: &dyn Fn(&HistoryRecord) -> Option<f64>,
                   say: fn(f64) -> String| {
        let median = |part: &[HistoryRecord]| self::median(part.iter().filter_map(of).collect());
        let (first, last) = (
            median(&record.histories[..quarter]),
            median(&record.histories[record.histories.len() - quarter..]),
        );
        if let (Some(first), Some(last)) = (first, last) {
            let ratio = format!("{}x", significant(last / first));
            table.row(vec![what.to_owned(), say(first), say(last), ratio]);
        }
    };
    row("operations per second, faults included", &rate, significant);
    row("resident memory", &|one| Some(one.resident_bytes? as f64), |value| {
        quantity(value, Unit::Bytes)
    });
    row("open files", &|one| Some(one.open_files? as f64), significant);
    row("threads", &|one| Some(one.threads? as f64), significant);
    table.write(out);
    out.push_str("</section>\n");
}

/// The one in the middle, of two the upper: for a look, not for a verdict.
fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn histories(out: &mut String, record: &Verification) {
    section(out, "Every history");
    let mut table = Table::new("", "rllrrrrrrrl");
    for name in [
        "seed",
        "path",
        "engine",
        "members",
        "operations",
        "unknown",
        "revisions",
        "registers",
        "events told",
        "s",
        "finding",
    ] {
        table.column(name, "");
    }
    for one in record.histories.iter().take(ROWS_MAX) {
        table.row(vec![
            one.seed.to_string(),
            one.path.clone(),
            one.engine.clone(),
            one.nodes.to_string(),
            one.operations.to_string(),
            one.unknown.to_string(),
            one.revisions.to_string(),
            one.registers.to_string(),
            one.watched_events.to_string(),
            significant(one.elapsed_s),
            word(one.finding).to_owned(),
        ]);
    }
    table.write(out);
    if record.histories.len() > ROWS_MAX {
        paragraph(out, &format!("The first {ROWS_MAX}; the record has all."));
    }
    out.push_str("</section>\n");
}

/// A finding, for people.
pub fn word(finding: Finding) -> &'static str {
    match finding {
        Finding::Passed => "passed",
        Finding::Violation => "WRONG ANSWER",
        Finding::Undecided => "undecided",
        Finding::Void => "void",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::verification::{
        Equivalence, FaultCount, SCHEMA, SimulatedViolation, Skipped,
    };
    use crate::report::sample;

    fn history(seed: u64, finding: Finding, why: &[&str]) -> HistoryRecord {
        HistoryRecord {
            seed,
            campaign: "processes".into(),
            path: "sharded".into(),
            engine: "memory".into(),
            nodes: 3,
            operations: 4_000,
            answered: 3_900,
            unknown: 60,
            unknown_executed: 20,
            revisions: 2_500,
            registers: 6,
            register_operations: 1_400,
            registers_undecided: 0,
            watchers: 24,
            watched_events: 30_000,
            watches_resumed: 700,
            faults: vec![FaultRecord {
                kind: "loss".into(),
                happened: finding != Finding::Void,
                led_ms: Some(412.0 + seed as f64),
                ..FaultRecord::default()
            }],
            settled_ms: Some(12.0),
            elapsed_s: 8.0,
            resident_bytes: Some(50 << 20),
            open_files: Some(12),
            threads: Some(4),
            finding,
            why: why.iter().map(|why| (*why).to_owned()).collect(),
        }
    }

    fn record(histories: Vec<HistoryRecord>) -> Verification {
        let (run, _) = sample::empty();
        Verification {
            schema: SCHEMA,
            kvbench_version: "0.1.0".into(),
            started_at: "2026-11-03T14:12:00Z".into(),
            elapsed_s: 80.0,
            complete: true,
            sittings: 1,
            host: run.host,
            build: run.build,
            equivalence: Some(Equivalence {
                requests: 10,
                batches: 2,
                logs: 1,
                ..Equivalence::default()
            }),
            crashes: None,
            skipped: vec![Skipped { kind: "clock-jumps".into(), why: "no library".into() }],
            simulation: None,
            histories,
        }
    }

    #[test]
    fn it_says_what_was_found_and_nothing_runs() {
        let fine =
            render(&record((0..8).map(|seed| history(seed, Finding::Passed, &[])).collect()));
        assert!(
            fine.contains("✔ nothing wrong was found") && fine.contains("8 histories"),
            "{fine}"
        );
        assert!(fine.contains("415 · 419 · 419 (of 8)"), "{fine}");
        assert!(fine.contains("Skipped: clock-jumps: no library."), "{fine}");
        assert!(fine.contains("resident memory") && fine.contains("1.00x"), "{fine}");
        let void = render(&record(vec![history(1, Finding::Void, &["did not happen: loss"])]));
        assert!(
            void.contains("? not all decided") && void.contains("did not happen: loss"),
            "{void}"
        );
        let wrong = history(7, Finding::Violation, &["<script>alert(1)</script>"]);
        let wrong = render(&Verification { complete: false, ..record(vec![wrong]) });
        assert!(wrong.contains("✘ wrong answer") && wrong.contains("NOT COMPLETE"), "{wrong}");
        assert!(!wrong.contains("<script"), "{wrong}");
    }

    #[test]
    fn a_simulation_says_what_did_not_hold_and_how_to_see_it_again() {
        let broken = SimulatedViolation {
            seed: 7,
            tick: 431,
            invariant: "logs-match".into(),
            words: "<b>member 2</b>".into(),
            faults: vec!["#3 at tick 400 for 20: Crash(Leader)".into()],
            tried: 40,
            again: "kvbench verify --campaign simulation --seed 7 --keep 3".into(),
        };
        let faults = vec![FaultCount { kind: "crash".into(), asked: 9, happened: 8 }];
        let violations = vec![broken];
        let simulation = Some(Simulation { seeds: 2, faults, violations, ..Simulation::default() });
        let record = Verification { simulation, ..record(Vec::new()) };
        assert!(record.has_violation());
        let page = render(&record);
        assert!(
            page.contains("seed 7, tick 431: logs-match") && page.contains("--keep 3"),
            "{page}"
        );
        assert!(page.contains("1 violation.") && !page.contains("<b>member"), "{page}");
    }
}
