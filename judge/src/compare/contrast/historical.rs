//! One run held against the level of those before it, as the history has them. Sittings differ by more than trials within one do, so
//! the unit is the run: its mean, against the means of the runs of the level, by Student's test for one more value of the same kind.
//! What the host does from day to day is in the spread of those, and so in the interval.

use super::metrics::{self, Asked};
use super::{Entrant, Found, Limit, UnknownMetric, alike, finite};
use crate::compare::history::baseline;
use crate::compare::invalid;
use crate::record::contrast::{Basis, Contrast, ContrastRow, RowVerdict, Side, SideMean};
use crate::record::history::{Conditions, History, SeriesName};
use crate::stats::{self, Admission, Difference};

/// Runs of a level that are looked at: the newest.
const RUNS_MAX: usize = 20;
/// Runs without which nothing is judged: a spread has to be known from something.
const RUNS_MIN: usize = 5;

/// The arm of a run against its level, not yet judged. Fails if a metric that was asked for is none.
pub(super) fn contrast(
    history: &History,
    name: &str,
    head: Entrant<'_>,
    limits: &[Limit],
    floor: f64,
) -> Result<Contrast, UnknownMetric> {
    let undisturbed = invalid::undisturbed(head.run);
    let left_out = super::left_out("B", head.run);
    let head = Entrant { run: &undisturbed, ..head };
    let asked = metrics::of(head.run, head.run, limits, floor)?;
    let conditions = Conditions::of(head.run);
    let levels: Vec<(Asked<'_>, Level)> = asked
        .into_iter()
        .map(|asked| {
            let level = Level::of(history, &conditions, head.arm, &asked);
            (asked, level)
        })
        .collect();
    let runs = levels.iter().map(|(_, level)| level.means.len()).max().unwrap_or(0);
    let mut not_comparable: Vec<String> = alike::failure("B", head.run).into_iter().collect();
    if runs == 0 {
        not_comparable.push(
            "no stored run of this scenario is of this machine, method and profile".to_owned(),
        );
    }
    let is_refused = !not_comparable.is_empty();
    let (mut rows, mut withheld) = (Vec::new(), Vec::new());
    for (asked, level) in levels.iter().filter(|_| !is_refused) {
        match row(head, asked, level) {
            Found::Row(row) => rows.push(*row),
            Found::Withheld(why) => withheld.push(why),
            Found::Nothing => {}
        }
    }
    let newest = levels.iter().filter_map(|(_, level)| level.newest.clone()).max();
    Ok(Contrast {
        base: Side {
            bundle: head.bundle.to_owned(),
            arm: head.arm.to_owned(),
            started_at: newest.unwrap_or_default(),
            revision: format!("level of {name}"),
            trials: runs as u64,
            ..Side::default()
        },
        other: head.side(),
        basis: Basis::History,
        notes: left_out.into_iter().chain(alike::about("B", head.run)).collect(),
        rows,
        withheld,
        not_comparable,
    })
}

/// The means of the runs of a level.
struct Level {
    means: Vec<f64>,
    /// When the newest of them began.
    newest: Option<String>,
}

impl Level {
    fn of(history: &History, conditions: &Conditions, arm: &str, asked: &Asked<'_>) -> Level {
        let series = SeriesName {
            conditions: conditions.clone(),
            arm: arm.to_owned(),
            metric: asked.name.clone(),
        };
        let parts = baseline(history, &series, asked.floor, RUNS_MAX);
        let means = parts.iter().filter_map(|part| mean(&part.cell.values));
        Level {
            means: means.collect(),
            newest: parts.last().map(|part| part.run.started_at.clone()),
        }
    }
}

/// Nothing where nobody asked for the metric and a side has no value of it.
fn row(head: Entrant<'_>, asked: &Asked<'_>, level: &Level) -> Found {
    let cells = head.cells(asked.metric);
    let values = super::readings(asked.metric, &cells);
    if !asked.is_explicit && (values.is_empty() || level.means.is_empty()) {
        return Found::Nothing;
    }
    let admission = super::admission(asked.metric, cells.iter().copied());
    if let Some((Admission::Withheld, beyond)) = admission {
        return Found::Withheld(super::withheld(&asked.name, beyond));
    }
    let base = mean(&level.means).map(|value| SideMean {
        value,
        interval: stats::student_mean(&level.means).and_then(|mean| mean.interval),
        trials: level.means.len() as u64,
    });
    let mut row = ContrastRow {
        metric: asked.name.clone(),
        unit: asked.metric.measure.unit().into(),
        higher_is_better: asked.higher_is_better,
        base,
        other: head.mean(&values),
        ratio: None,
        interval: None,
        p_value: None,
        q_value: None,
        asked_floor: asked.floor,
        least: asked.least,
        floor: asked.floor,
        verdict: RowVerdict::Undecided,
        why: String::new(),
    };
    row.why = match super::without_number(head, "B", asked.metric, &cells, &values) {
        Some(why) => why,
        None => fill(&mut row, compared(level, &values), level.means.len()),
    };
    super::only_shown(&mut row, admission);
    Found::Row(Box::new(row))
}

fn compared(level: &Level, values: &[f64]) -> Option<Difference> {
    let logs: Vec<f64> = level.means.iter().map(|mean| mean.ln()).collect();
    stats::student_difference(&logs, &[mean(values)?.ln()])
}

fn fill(row: &mut ContrastRow, compared: Option<Difference>, runs: usize) -> String {
    let Some(compared) = compared.filter(|compared| finite(compared.value.exp())) else {
        return format!("needs {RUNS_MIN} stored runs of the level, there are {runs}");
    };
    row.ratio = Some(compared.value.exp());
    if runs < RUNS_MIN {
        return format!("needs {RUNS_MIN} stored runs of the level, there are {runs}");
    }
    row.interval = Some((compared.interval.lower.exp(), compared.interval.upper.exp()));
    row.p_value = Some(compared.p_value);
    String::new()
}

/// The arithmetic mean; none of nothing.
fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}
