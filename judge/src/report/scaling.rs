//! How throughput grows with clients, as rows of text that are the same in every form: one for each arm.

use super::view;
use super::words::{self, NOTHING, significant};
use crate::compare::{Figure, PhaseTable, Scalability, Scaling};
use crate::record::Run;

/// What the columns are called, with the glossary's word for each.
pub(super) const COLUMNS: [(&str, &str); 6] = [
    ("arm", "arm"),
    ("one client, ops/s", "scalability law"),
    ("contention σ, %", "contention"),
    ("coherency κ, ppm", "coherency"),
    ("most at clients", "scalability law"),
    ("from", "scalability law"),
];

/// The rows of arms for which the law fits.
pub(super) fn rows(run: &Run, table: &PhaseTable) -> Vec<[String; 6]> {
    let fitted = table.scaling.iter().filter_map(|scaling| {
        let law = scaling.law.as_ref().ok()?;
        Some(cells(view::arm_label(run, &scaling.arm), law, largest(table)))
    });
    fitted.collect()
}

/// For which arms it does not, and why.
pub(super) fn misfits(run: &Run, table: &PhaseTable) -> Vec<String> {
    let misfit = |scaling: &Scaling| {
        let why = scaling.law.as_ref().err()?;
        Some(format!("{}: the law does not fit: {why}", view::arm_label(run, &scaling.arm)))
    };
    table.scaling.iter().filter_map(misfit).collect()
}

fn largest(table: &PhaseTable) -> u32 {
    table.rows.last().map_or(0, |row| row.clients)
}

fn cells(arm: String, law: &Scalability, largest: u32) -> [String; 6] {
    let scaled = |figure: &Figure, by: f64| {
        let figure = Figure {
            value: figure.value * by,
            interval: figure.interval.map(|(low, high)| (low * by, high * by)),
        };
        within(&figure, significant)
    };
    [
        arm,
        within(&law.per_client, words::rate),
        scaled(&law.contention, 1e2),
        scaled(&law.coherency, 1e6),
        law.peak.as_ref().map_or(NOTHING.to_owned(), |peak| clients(peak, largest)),
        law.from.to_string(),
    ]
}

/// A law is no measurement beyond the largest count that was measured.
fn clients(peak: &Figure, largest: u32) -> String {
    if peak.value > f64::from(largest) {
        return format!("> {largest}");
    }
    let bounded = |n: f64| {
        if n > f64::from(largest) { format!("> {largest}") } else { words::grouped(n.round()) }
    };
    within(peak, bounded)
}

fn within(figure: &Figure, text: impl Fn(f64) -> String) -> String {
    match figure.interval {
        Some((low, high)) => format!("{} [{}, {}]", text(figure.value), text(low), text(high)),
        None => text(figure.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Unfit;
    use crate::report::{html, markdown, sample, terminal};

    #[test]
    fn every_form_tells_the_law_and_why_there_is_none() {
        let (run, mut cmp) = sample::sample();
        let figure = |value, low, high| Figure { value, interval: Some((low, high)) };
        let law = Scalability {
            per_client: figure(4310.0, 4250.0, 4400.0),
            contention: figure(0.081, 0.08, 0.083),
            coherency: figure(0.000_12, 0.0, 0.000_2),
            peak: Some(figure(87.5, 60.2, f64::INFINITY)),
            from: 1,
            worst_residual: 0.02,
        };
        let misfit = Unfit::FasterThanClients { knee: 8, left: 4 };
        let scaling = |arm: &str, law| Scaling { arm: arm.to_owned(), trials: 8, law };
        cmp.phases[0].scaling = vec![scaling("before", Ok(law)), scaling("after", Err(misfit))];
        let style = terminal::Style { color: false, width: 100 };
        let forms = [
            terminal::render(&run, &cmp, style),
            markdown::render(&run, &cmp),
            html::render(&run, &cmp, &[]),
        ];
        for form in forms {
            // Markdown escapes brackets.
            let form = form.split_whitespace().collect::<Vec<_>>().join(" ").replace('\\', "");
            for wanted in
                ["8.10 [8.00, 8.30]", "120 [0, 200]", "88 [60, ", "faster than clients up to 8"]
            {
                assert!(form.contains(wanted), "{wanted}: {form}");
            }
        }
    }

    #[test]
    fn a_peak_beyond_what_was_measured_is_no_number() {
        let peak = |value| Figure { value, interval: Some((90.0, 300.0)) };
        assert_eq!(clients(&peak(120.0), 100), "> 100");
        assert_eq!(clients(&peak(95.0), 100), "95 [90, > 100]");
    }
}
