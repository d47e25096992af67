//! Pictures of what tables say: throughput by clients with the fitted law, latency against throughput, latency by percentile, and the run
//! over time. Each stands beside a table with its numbers, or beside the raw trials.

use super::sections::{self, close, drawn, open, paragraph};
use crate::compare::{self, ArmSummary, Comparison, PhaseTable};
use crate::record::Run;
use crate::report::chart;
use crate::report::chart::plot::{Frame, Line, Point, Side};
use crate::report::view::{self, Headline};
use crate::report::words;

/// Client counts without which there is no curve.
const LEVELS_MIN: usize = 3;

/// Percentiles that the axis names.
const PERCENTILES: [(f64, &str); 8] = [
    (1.0, "min"),
    (2.0, "p50"),
    (10.0, "p90"),
    (100.0, "p99"),
    (1e3, "p99.9"),
    (1e4, "p99.99"),
    (1e5, "p99.999"),
    (1e6, "p99.9999"),
];

/// Throughput by clients, and latency against throughput, of each closed phase with enough client counts.
pub(super) fn by_clients(out: &mut String, run: &Run, cmp: &Comparison) {
    for table in cmp.phases.iter().filter(|table| !view::is_open(table)) {
        if table.rows.len() < LEVELS_MIN {
            continue;
        }
        let lines = ends(run).map(|(side, arm)| throughputs(table, side, arm));
        let laws = ends(run).filter_map(|(side, arm)| law(table, side, arm));
        let title = format!("{}: throughput by clients", table.phase);
        let drawing = chart::plot::render(
            &Frame {
                title: &title,
                desc: "bars are 95 % intervals; dashed: the fitted scalability law, where there is one; both axes are logarithmic",
                x_name: "clients",
                y_name: "ops/s",
                x_ticks: ticks(table),
                x_word: |clients| clients.to_string(),
                y_word: words::rate,
            },
            &lines.chain(laws).collect::<Vec<_>>(),
        );
        if let Some(drawing) = drawing {
            drawn(out, &drawing);
        }
    }
}

/// What a client waits for against what all of them get, one point for each client count.
pub(super) fn latency_by_throughput(out: &mut String, run: &Run, cmp: &Comparison) {
    for table in cmp.phases.iter().filter(|table| !view::is_open(table)) {
        if table.rows.len() < LEVELS_MIN {
            continue;
        }
        let of = |side, arm, name: &str, is_dashed, ns: fn(&ArmSummary) -> Option<f64>| Line {
            side,
            name: format!("{arm} {name}"),
            is_dashed,
            points: waits(table, arm, is_dashed, ns),
        };
        let lines = ends(run).flat_map(|(side, arm)| {
            [
                of(side, arm, "p50", false, |arm| Some(arm.costs.p50_ns)),
                of(side, arm, "p99", true, |arm| arm.costs.p99_ns),
            ]
        });
        let title = format!("{}: service time against throughput", table.phase);
        let drawing = chart::plot::render(
            &Frame {
                title: &title,
                desc: "one mark for each client count, which stands beside it; where the line turns up more clients wait longer and get no more; both axes are logarithmic",
                x_name: "ops/s",
                y_name: "ms",
                x_ticks: Vec::new(),
                x_word: words::rate,
                y_word: words::significant,
            },
            &lines.collect::<Vec<_>>(),
        );
        if let Some(drawing) = drawing {
            drawn(out, &drawing);
        }
    }
}

/// Latency by percentile at the headline, as far as the data reaches.
pub(super) fn percentiles(out: &mut String, run: &Run, headline: &Headline<'_>) {
    let clients = headline.row.clients;
    let lines: Vec<Line> = ends(run)
        .map(|(side, arm)| {
            let curve = compare::percentiles(run, arm, headline.phase, clients);
            let points = curve.iter().map(|point| Point {
                x: point.one_in,
                y: point.ns / 1e6,
                interval: None,
                label: String::new(),
                tip: format!(
                    "{arm}: one in {} above {}",
                    words::significant(point.one_in),
                    words::millis(point.ns)
                ),
            });
            Line { side, name: arm.to_owned(), is_dashed: false, points: points.collect() }
        })
        .collect();
    let title = format!("{}, {}: latency by percentile", headline.phase, view::load(headline.row));
    let ticks = PERCENTILES.map(|(one_in, name)| (one_in, name.to_owned())).to_vec();
    let drawing = chart::plot::render(
        &Frame {
            title: &title,
            desc: "in each trial apart, then the median over trials; a curve ends where a trial has fewer than ten observations beyond; both axes are logarithmic",
            x_name: "percentile",
            y_name: "ms",
            x_ticks: ticks,
            x_word: words::significant,
            y_word: words::significant,
        },
        &lines,
    );
    if let Some(drawing) = drawing {
        open(out, "percentiles", "Latency by percentile", "");
        paragraph(
            out,
            "Each trial apart, then the median over trials. A curve ends where a trial has fewer than ten observations beyond it: what lies further right was not measured.",
        );
        drawn(out, &drawing);
        close(out);
    }
}

/// The run over time.
pub(super) fn over_time(out: &mut String, run: &Run, headline: &Headline<'_>) {
    let mut strip = view::strip(run, headline.phase, headline.row.clients);
    let all = std::mem::take(&mut strip.trials);
    let (trials, thinned) = sections::thinned(all, "measurements");
    strip.trials = trials;
    let names = (headline.before.arm.as_str(), headline.after.arm.as_str());
    if let Some(drawing) = chart::strip::render(&strip, names) {
        open(out, "time", "The run over time", "");
        paragraph(
            out,
            "Every measurement at the headline when it was made, and what the host did then: cores that other programs or the hypervisor had, and how long a sync took without load. Crossed out: measured again, since the host was disturbed.",
        );
        if let Some(words) = thinned {
            paragraph(out, &words);
        }
        drawn(out, &drawing);
        close(out);
    }
}

/// The first and the last arm.
fn ends(run: &Run) -> impl Iterator<Item = (Side, &str)> {
    let first = run.arms.first().map(|arm| (Side::Before, arm.name.as_str()));
    let last = run.arms.last().filter(|_| run.arms.len() > 1);
    first.into_iter().chain(last.map(|arm| (Side::After, arm.name.as_str())))
}

/// Its summary at each client count at which it has numbers.
fn summaries<'a>(
    table: &'a PhaseTable,
    arm: &'a str,
) -> impl Iterator<Item = (u32, &'a ArmSummary)> {
    table.rows.iter().filter_map(move |row| {
        let summary = row.arms.iter().find(|one| one.arm == arm)?;
        (summary.trials > 0 && summary.invalid.is_none()).then_some((row.clients, summary))
    })
}

fn ticks(table: &PhaseTable) -> Vec<(f64, String)> {
    table.rows.iter().map(|row| (f64::from(row.clients), row.clients.to_string())).collect()
}

fn throughputs(table: &PhaseTable, side: Side, arm: &str) -> Line {
    let point = |(clients, summary): (u32, &ArmSummary)| {
        let rate = summary.throughput_per_s;
        Point {
            x: f64::from(clients),
            y: rate,
            interval: summary.half_width.map(|half| (rate / (1.0 + half), rate * (1.0 + half))),
            label: String::new(),
            tip: format!("{arm}, {clients} clients: {} ops/s", words::rate(rate)),
        }
    };
    let points = summaries(table, arm).map(point).collect();
    Line { side, name: arm.to_owned(), is_dashed: false, points }
}

/// The fitted law from the first to the last client count it is of.
fn law(table: &PhaseTable, side: Side, arm: &str) -> Option<Line> {
    const STEPS: u32 = 40;
    let scaling = table.scaling.iter().find(|scaling| scaling.arm == arm)?;
    let law = scaling.law.as_ref().ok()?;
    let (from, to) = (f64::from(law.from.max(1)), f64::from(table.rows.last()?.clients));
    let point = |step: u32| {
        let clients = from * (to / from).powf(f64::from(step) / f64::from(STEPS));
        let y = law.throughput_per_s(clients);
        Point { x: clients, y, interval: None, label: String::new(), tip: String::new() }
    };
    let points = (0..=STEPS).map(point).collect();
    Some(Line { side, name: format!("{arm}, law"), is_dashed: true, points })
}

fn waits(
    table: &PhaseTable,
    arm: &str,
    is_dashed: bool,
    ns: fn(&ArmSummary) -> Option<f64>,
) -> Vec<Point> {
    let point = |(clients, summary): (u32, &ArmSummary)| {
        let ns = ns(summary)?;
        let rate = summary.throughput_per_s;
        Some(Point {
            x: rate,
            y: ns / 1e6,
            interval: None,
            label: if is_dashed { String::new() } else { clients.to_string() },
            tip: format!(
                "{arm}, {clients} clients: {} at {} ops/s",
                words::millis(ns),
                words::rate(rate)
            ),
        })
    };
    summaries(table, arm).filter_map(point).collect()
}
