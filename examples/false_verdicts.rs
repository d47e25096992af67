//! How often the judge is wrong, counted: many simulated sittings with a known truth, each ended and judged by kvbench's own
//! code. Prints the tables of METHODOLOGY.md; the same numbers on any machine, however busy.
//!
//! ```sh
//! cargo run --release --example false_verdicts          # 20 000 sittings for each figure
//! cargo run --release --example false_verdicts -- 1000
//! ```

#![expect(clippy::print_stdout, reason = "a program that prints")]

#[path = "../tests/campaign/mod.rs"]
mod campaign;

use campaign::{Gates, Law, Noise, Rates, Sittings, Sweep, World, ratio};
use kvbench::seed::Seed;
use std::error::Error;

const SITTINGS: u64 = 20_000;
/// A sweep costs as much as some thousand sittings.
const SITTINGS_PER_SWEEP: u64 = 100;
/// Two sittings held against each other take four bootstrap means.
const SITTINGS_PER_COMPARISON: u64 = 10;

/// The hosts of the tables.
const HOSTS: [(&str, Noise); 5] = [
    ("3 % white", Noise::white(0.03)),
    ("8 % white", Noise::white(0.08)),
    ("3 % white + 3 % slow", Noise::SLOW),
    ("the same, 10 % slower at the end", Noise::SLOW.drifting(0.10)),
    ("8 % white, 10 % slower at the end", Noise::white(0.08).drifting(0.10)),
];

fn main() -> Result<(), Box<dyn Error>> {
    let sittings = match std::env::args().nth(1) {
        Some(text) => text.parse().map_err(|_| format!("{text} is no number of sittings"))?,
        None => SITTINGS,
    };
    println!("{sittings} sittings for each figure; shares in %\n");
    equal_arms(sittings);
    tenfold(sittings, "stops at ±10 % (the default)", |world| world);
    tenfold(sittings, "stops at ±5 %", |world| world.to_within(0.05));
    by_pairs(sittings);
    order(sittings);
    scalability((sittings / SITTINGS_PER_SWEEP).max(1));
    two_sittings((sittings / SITTINGS_PER_COMPARISON).max(1));
    gates((sittings / SITTINGS_PER_COMPARISON).max(1));
    Ok(())
}

fn percent(share: f64) -> String {
    format!("{:.2}", 100.0 * share)
}

fn row(name: &str, cells: &[String]) {
    println!("| {name} | {} |", cells.join(" | "));
}

fn heading(name: &str, columns: &[&str]) {
    println!("| {name} | {} |", columns.join(" | "));
    println!("|{}", "---|".repeat(columns.len() + 1));
}

/// Nothing changed: how often is something said?
fn equal_arms(sittings: u64) {
    heading(
        "equal arms, host",
        &["interval without 1", "marked ▲ or ▼", "`>= 1.05` met", "`>= 0.95` missed", "mean pairs"],
    );
    for (host, noise) in HOSTS {
        for (plan, world) in [
            ("8 to 20 pairs", World::new(1.0, noise)),
            ("8 pairs", World::new(1.0, noise).of_pairs(8)),
        ] {
            let name = format!("{host}; {plan}");
            let rates = world.campaign(&[">= 1.05", ">= 0.95"], sittings, &name);
            let cells = [
                percent(rates.wrong()),
                percent(rates.share(rates.marked)),
                percent(rates.share(rates.verdicts[0].met)),
                percent(rates.share(rates.verdicts[1].missed)),
                mean_pairs(&rates),
            ];
            row(&name, &cells);
        }
    }
    println!();
}

fn mean_pairs(rates: &Rates) -> String {
    format!("{:.1}", rates.pairs as f64 / rates.sittings as f64)
}

/// Certified as ten times, by what is true.
fn tenfold(sittings: u64, plan: &str, planned: fn(World) -> World) {
    let truths = [9.5, 10.0, 10.5, 11.0, 12.0];
    let columns = truths.map(|truth| format!("true {truth}x"));
    let mut columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    columns.extend(["true 9.5x missed", "mean pairs at 10x"]);
    heading(&format!("certified as 10x, {plan}; host"), &columns);
    for (host, noise) in HOSTS {
        let campaign = |truth: f64| {
            let world = planned(World::new(truth, noise));
            world.campaign(&[">= 10"], sittings, &format!("{truth} {plan} {host}"))
        };
        let rates = truths.map(campaign);
        let met = |rates: &Rates| percent(rates.share(rates.verdicts[0].met));
        let mut cells: Vec<String> = rates.iter().map(met).collect();
        cells.push(percent(rates[0].share(rates[0].verdicts[0].missed)));
        cells.push(mean_pairs(&rates[1]));
        row(host, &cells);
    }
    println!();
}

/// What more pairs buy, when their number is fixed.
fn by_pairs(sittings: u64) {
    let truths = [9.5, 10.0, 11.0, 12.0];
    let columns = truths.map(|truth| format!("true {truth}x"));
    let columns: Vec<&str> = columns.iter().map(String::as_str).collect();
    heading("certified as 10x, 8 % white noise; pairs", &columns);
    for pairs in [6, 8, 10, 12, 16, 20] {
        let met = |truth: f64| {
            let world = World::new(truth, Noise::white(0.08)).of_pairs(pairs);
            let rates = world.campaign(&[">= 10"], sittings, &format!("{truth} of {pairs}"));
            percent(rates.share(rates.verdicts[0].met))
        };
        row(&pairs.to_string(), &truths.map(met));
    }
    println!();
}

/// What random order is worth on a host that slows down.
fn order(sittings: u64) {
    let drifting = World::new(1.0, Noise::white(0.03).drifting(0.10)).of_pairs(10);
    heading(
        "equal arms, 10 pairs, host 10 % slower at the end; order",
        &["mean error of the ratio"],
    );
    for (name, random_order) in [("random", true), ("before always first", false)] {
        let world = World { random_order, ..drifting };
        let log = |sitting| ratio(&world.sit(&[], Seed(sitting))).ratio.ln();
        let bias = (0..sittings).map(log).sum::<f64>() / sittings as f64;
        row(name, &[format!("{:+.3}", 100.0 * bias)]);
    }
    println!();
}

/// How often a resampled interval holds what is true.
fn scalability(sweeps: u64) {
    let before = Law { per_client: 5000.0, contention: 0.08, coherency: 0.0006 };
    let after = Law { per_client: 4000.0, contention: 0.02, coherency: 0.0002 };
    heading("scalability law, 3 % noise; trials", &["λ held", "σ held", "κ held", "N* held"]);
    for trials in [8, 12, 20] {
        let held = Sweep { before, after, noise: 0.03, trials }.held(sweeps, &trials.to_string());
        row(&trials.to_string(), &held.map(|held| percent(held as f64 / (2 * sweeps) as f64)));
    }
}

/// `kvbench compare` of two sittings of two arms, 8 blocks each.
fn two_sittings(campaigns: u64) {
    heading(
        "two sittings, 8 trials of each arm; host",
        &[
            "alike: worse",
            "alike: better",
            "alike: both not worse",
            "after 10 % slower: found",
            "after 20 % slower: found",
            "host 5 % slower: worse",
            "host 10 % slower: worse",
        ],
    );
    for (host, noise) in HOSTS {
        let alike = Sittings::alike(noise);
        let of =
            |sittings: Sittings| sittings.campaign(campaigns, &format!("two sittings; {host}"));
        let same = of(alike);
        let found = |change| of(Sittings { change, ..alike });
        let moved = |host| of(Sittings { host, ..alike });
        let [slower, slowest] = [0.9, 0.8].map(found).map(|called| called.share(called.found));
        let [a_little, more] = [0.95, 0.9].map(moved).map(|called| called.share(called.worse));
        let alike = [same.worse, same.better, same.not_worse].map(|count| same.share(count));
        let shares = alike.into_iter().chain([slower, slowest, a_little, more]);
        row(host, &shares.map(percent).collect::<Vec<_>>());
    }
    println!();
}

/// `kvbench gate`: four scenarios, ten turns, 5 % let pass, what looks worse once more.
fn gates(campaigns: u64) {
    heading(
        "gate, 10 turns of 4 scenarios; host",
        &[
            "alike: suspected",
            "alike: fails",
            "alike: passes",
            "one 5 % slower: fails for it",
            "8 % slower",
            "15 % slower",
        ],
    );
    for (host, noise) in HOSTS {
        let alike = Gates::alike(noise);
        let of = |gates: Gates| gates.campaign(campaigns, &format!("gate; {host}"));
        let same = of(alike);
        let found = |change| of(Gates { change, ..alike });
        let slower = [0.95, 0.92, 0.85].map(found).map(|gated| gated.share(gated.found));
        let alike = [same.suspected, same.failed, same.passed].map(|count| same.share(count));
        row(host, &alike.into_iter().chain(slower).map(percent).collect::<Vec<_>>());
    }
    println!();
}
