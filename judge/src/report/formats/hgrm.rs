//! HdrHistogram's percentile text (`.hgrm`): the latencies of one arm at one place, for plotters of latency by percentile.
//!
//! It adds up the trials that count, which no verdict here does: it is a picture. It stops where a percentile of one
//! trial alone would be withheld.

use super::{FormatError, caveats, cells, line, preamble};
use crate::compare::{Measured, is_shown, measured};
use crate::record::distribution::Distribution;
use crate::record::{Cell, Latency, Run};
use crate::report::words::plain;

/// Steps for each halving of what lies beyond, as HdrHistogram's own writers have it.
const TICKS: u32 = 5;

/// What there is in a run: `after:saturate@50`, `after:mix.get@50` for one kind of operation, `after:paced` where the load was open.
pub fn names(run: &Run) -> Vec<String> {
    distributions(run).iter().map(|(name, _)| name.clone()).collect()
}

/// The percentile text of one of [`names`], in ms. Of what has no numbers it says why.
pub fn render(run: &Run, wanted: &str) -> Result<String, FormatError> {
    let all = distributions(run);
    let Some((name, measured)) = all.iter().find(|(name, _)| name == wanted) else {
        let known = all.into_iter().map(|(name, _)| name).collect();
        return Err(FormatError::NoSuchPlace { wanted: plain(wanted), known });
    };
    let latencies: Vec<&Latency> =
        cells(run, measured).into_iter().filter_map(|cell| latency(cell, measured.op)).collect();
    let least = latencies.iter().map(|latency| latency.count).min().unwrap_or(0);
    let mut out = String::from("       Value     Percentile TotalCount 1/(1-Percentile)\n\n");
    if let Some(all) = Distribution::of(latencies.iter().copied())? {
        steps(&mut out, &all, least);
        summary(&mut out, &all);
    }
    if let Err(why) = &measured.value {
        comment(&mut out, &format!("{}: {why}", why.word()));
    }
    let (trials, from) = (latencies.len(), from(measured));
    comment(&mut out, &format!("{name}, ms from {from} on; trials added up: {trials}"));
    comment(&mut out, &format!("caveats: {}", caveats(run, ", ", "none")));
    preamble(run).iter().for_each(|line| comment(&mut out, line));
    Ok(out)
}

/// Each place with its mean latency, which there is wherever there are latencies.
fn distributions(run: &Run) -> Vec<(String, Measured<'_>)> {
    let means = measured(run).into_iter().filter(|measured| measured.measure == "mean");
    means.map(|measured| (name(&measured), measured)).collect()
}

fn name(measured: &Measured<'_>) -> String {
    let place = match (measured.op, measured.is_open) {
        (None, _) => measured.place.clone(),
        (Some(op), true) => format!("{}.{op}", measured.phase),
        (Some(op), false) => format!("{}.{op}@{}", measured.phase, measured.clients),
    };
    plain(&format!("{}:{place}", measured.arm))
}

fn latency<'a>(cell: &'a Cell, op: Option<&str>) -> Option<&'a Latency> {
    match op {
        None => Some(cell.latency()),
        Some(op) => Some(&cell.by_op.iter().find(|known| known.op == op)?.service),
    }
}

fn from(measured: &Measured<'_>) -> &'static str {
    if measured.is_open { "the intended send time" } else { "the send time" }
}

/// One line per step, as far as each trial reaches.
fn steps(out: &mut String, all: &Distribution, least: u64) {
    let mut last = None;
    for step in all.steps(TICKS).filter(|step| is_shown(least, step.quantile)) {
        // Steps within one bucket of the histogram say the same.
        if last == Some(step.count) {
            continue;
        }
        last = Some(step.count);
        let (value, beyond) = (step.value_ns as f64 / 1e6, 1.0 / (1.0 - step.quantile));
        line(
            out,
            format_args!("{value:>12.6} {:.12} {:>10} {beyond:>14.2}", step.quantile, step.count),
        );
    }
}

fn summary(out: &mut String, all: &Distribution) {
    let (mean, stdev) = (all.mean_ns() / 1e6, all.stdev_ns() / 1e6);
    line(out, format_args!("#[Mean    = {mean:>12.6}, StdDeviation   = {stdev:>12.6}]"));
    let (max, count) = (all.max_ns() as f64 / 1e6, all.count());
    line(out, format_args!("#[Max     = {max:>12.6}, Total count    = {count:>12}]"));
}

fn comment(out: &mut String, text: &str) {
    line(out, format_args!("#[{}]", plain(text)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Warning;
    use crate::report::formats::tests::in_state;
    use crate::report::sample;

    /// Percentile and value in ms of every line that is no comment.
    fn points(text: &str) -> Vec<(f64, f64)> {
        let lines = text.lines().skip(2).filter(|line| !line.starts_with('#'));
        let point = |line: &str| {
            let fields: Vec<f64> =
                line.split_whitespace().map(|field| field.parse().unwrap()).collect();
            let [value, percentile, _, beyond] = fields.as_slice() else { panic!("{line}") };
            assert!((beyond * (1.0 - percentile) - 1.0).abs() < 0.01, "{line}");
            (*percentile, *value)
        };
        lines.map(point).collect()
    }

    #[test]
    fn it_rises_and_stops_where_ten_of_a_trial_lie_beyond() {
        let (run, _) = in_state(sample::sample);
        assert_eq!(names(&run).len(), 16);
        let points = points(&render(&run, "after:saturate@50").unwrap());
        assert!(points.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1));
        // Ten of the two thousand of each trial.
        let last = points.last().unwrap();
        assert!(last.0 > 0.99 && last.0 <= 0.995, "{last:?}");
        let middle = points.iter().find(|point| point.0 >= 0.5).unwrap().1;
        let wanted = run.trials.iter().find(|trial| trial.arm == "after").unwrap();
        let wanted = wanted.cells[2].service.p50_ns as f64 / 1e6;
        assert!((middle / wanted - 1.0).abs() < 0.02, "{middle} {wanted}");
    }

    #[test]
    fn what_is_invalid_is_a_comment() {
        let (mut run, _) = in_state(sample::sample);
        let (arm, cell) = ("after".to_owned(), "saturate@50".to_owned());
        run.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let text = render(&run, "after:saturate@50").unwrap();
        assert!(points(&text).is_empty());
        assert!(text.contains("#[invalid: its generator was the bottleneck]"), "{text}");
    }

    #[test]
    fn a_place_that_is_none_is_told_with_those_there_are() {
        let (run, _) = in_state(sample::sample);
        let error = render(&run, "after:saturate@7\u{1b}").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "nothing was measured at \"after:saturate@7\"; there are: before:saturate@1, "
            ),
            "{error}"
        );
    }
}
