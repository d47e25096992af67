//! Two arms held against each other metric by metric, wherever their trials come from: two bundles, two arms of one, or one arm
//! of many. It asks what a gate asks: did anything get worse?
//!
//! Arms of one run share blocks, so their pairs decide, as targets do. Two sittings share nothing: their trials are compared by
//! the Mann-Whitney test and its Hodges-Lehmann shift on logarithms, and a host that changed in between looks like a change of
//! the program. All metrics of one call are one family (Benjamini and Hochberg), so a long table finds no more by chance than a
//! short one.

mod alike;
mod historical;
mod metrics;
#[cfg(test)]
mod tests;

use super::align;
use super::fitness;
use super::invalid;
use super::metric::Metric;
use crate::record::contrast::{
    Basis, Contrast, ContrastRow, Contrasts, RowVerdict, Side, SideMean,
};
use crate::record::history::History;
use crate::record::{Cell, Run, SCHEMA};
use crate::seed::Seed;
use crate::stats::{self, Admission, BEYOND_JUDGED_MIN, BEYOND_SHOWN_MIN};
pub(super) use alike::failure;
pub(super) use metrics::{Asked, judged as judged_metrics, usual_words};

/// What two arms of one run are called together.
const BOTH: &str = "the run";

/// Least change that counts if nothing else is asked for, fraction.
pub const FLOOR: f64 = 0.05;

/// One arm of one bundle, as it was named.
#[derive(Clone, Copy, Debug)]
pub struct Entrant<'a> {
    /// The bundle as it was named.
    pub bundle: &'a str,
    /// Its record; two entrants of one bundle borrow the same one.
    pub run: &'a Run,
    /// The arm.
    pub arm: &'a str,
}

/// What is asked of all of them.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Least change that counts, fraction above zero.
    pub floor: f64,
    /// Whether to compare what is not comparable.
    pub force: bool,
    /// Metrics as targets name them; empty for those that are usual.
    pub metrics: &'a [String],
}

/// One metric and what counts as a change of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    /// As targets name it.
    pub metric: String,
    /// Least change that counts, fraction above zero.
    pub floor: f64,
    /// Least change of the means that counts, in the metric's own unit; 0 for any.
    pub least: f64,
}

/// Two sides, and what is asked of them.
#[derive(Clone, Copy, Debug)]
pub struct Match<'a> {
    /// What is divided by.
    pub base: Entrant<'a>,
    /// What is divided.
    pub other: Entrant<'a>,
    /// What is compared; empty for what is usual.
    pub limits: &'a [Limit],
}

/// A metric that cannot be compared, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownMetric {
    /// As it was asked for.
    pub metric: String,
    /// What is wrong with it. Lower case, no full stop.
    pub reason: &'static str,
}

/// Each base with its other, base first. All judged metrics of all of them are one family. Fails if a metric that was asked for is none.
pub fn contrasts(
    opponents: &[(Entrant<'_>, Entrant<'_>)],
    question: &Question<'_>,
) -> Result<Contrasts, UnknownMetric> {
    let limit = |name: &String| Limit { metric: name.clone(), floor: question.floor, least: 0.0 };
    let limits: Vec<Limit> = question.metrics.iter().map(limit).collect();
    let matches: Vec<Match<'_>> = opponents
        .iter()
        .map(|(base, other)| Match { base: *base, other: *other, limits: &limits })
        .collect();
    matched(&matches, question.floor, question.force)
}

/// One arm of one run against its level in a history, and what is asked of it.
#[derive(Clone, Copy, Debug)]
pub struct Newcomer<'a> {
    /// The arm.
    pub head: Entrant<'a>,
    /// What is compared; empty for what is usual.
    pub limits: &'a [Limit],
}

/// Each newcomer against the level of the runs before it in `history`, which goes by `name`. All judged metrics are one family.
pub fn against_history(
    history: &History,
    name: &str,
    newcomers: &[Newcomer<'_>],
    floor: f64,
) -> Result<Contrasts, UnknownMetric> {
    let contrast =
        |one: &Newcomer<'_>| historical::contrast(history, name, one.head, one.limits, floor);
    let contrasts = newcomers.iter().map(contrast).collect::<Result<Vec<_>, _>>()?;
    Ok(whole(contrasts, floor, false))
}

/// The same with limits of its own for each metric; `floor` is for what is usual. All judged metrics of all matches are one family.
pub fn matched(matches: &[Match<'_>], floor: f64, force: bool) -> Result<Contrasts, UnknownMetric> {
    let contrast = |one: &Match<'_>| contrast(one, floor, force);
    let contrasts = matches.iter().map(contrast).collect::<Result<Vec<_>, _>>()?;
    Ok(whole(contrasts, floor, force))
}

/// Judges all of them as one family.
fn whole(mut contrasts: Vec<Contrast>, floor: f64, force: bool) -> Contrasts {
    judge(&mut contrasts);
    Contrasts {
        schema: SCHEMA,
        kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
        floor,
        forced: force && contrasts.iter().any(|contrast| !contrast.not_comparable.is_empty()),
        contrasts,
    }
}

impl<'a> Entrant<'a> {
    fn side(&self) -> Side {
        let trials = self.run.trials.iter().filter(|trial| trial.arm == self.arm && !trial.aa);
        Side {
            bundle: self.bundle.to_owned(),
            arm: self.arm.to_owned(),
            started_at: self.run.started_at.clone(),
            revision: self.run.build.revision.clone(),
            kvbench_version: self.run.kvbench_version.clone(),
            grade: fitness::grade(self.run).letter.to_string(),
            trials: trials.count() as u64,
        }
    }

    /// What its trials measured at the metric's place, A/A left out.
    fn cells(&self, metric: Metric<'_>) -> Vec<&'a Cell> {
        let trials = self.run.trials.iter().filter(|trial| trial.arm == self.arm && !trial.aa);
        trials.filter_map(|trial| align::cell(trial, metric.place)).collect()
    }

    fn mean(&self, values: &[f64]) -> Option<SideMean> {
        let seed = Seed(self.run.scenario.seed);
        let mean = stats::bootstrap_mean(values, stats::ALPHA, seed)?;
        let trials = values.len() as u64;
        Some(SideMean { value: mean.value, interval: mean.interval, trials })
    }
}

fn contrast(asked: &Match<'_>, floor: f64, force: bool) -> Result<Contrast, UnknownMetric> {
    let Match { base, other, limits } = *asked;
    let is_one_run = std::ptr::eq(base.run, other.run);
    let sides: &[(&str, &Run)] = match is_one_run {
        true => &[(BOTH, base.run)],
        false => &[("A", base.run), ("B", other.run)],
    };
    let left_out = sides.iter().filter_map(|(name, run)| left_out(name, run));
    let (of_base, of_other) = (invalid::undisturbed(base.run), invalid::undisturbed(other.run));
    let base = Entrant { run: &of_base, ..base };
    let other = Entrant { run: if is_one_run { &of_base } else { &of_other }, ..other };
    let not_comparable = alike::reasons(base, other);
    let mut contrast = Contrast {
        base: base.side(),
        other: other.side(),
        basis: if is_one_run { Basis::Pairs } else { Basis::Sittings },
        notes: left_out.chain(alike::notes(base, other)).collect(),
        rows: Vec::new(),
        withheld: Vec::new(),
        not_comparable,
    };
    let metrics = metrics::of(base.run, other.run, limits, floor)?;
    if !contrast.not_comparable.is_empty() && !force {
        return Ok(contrast);
    }
    for asked in &metrics {
        match row(base, other, asked, contrast.basis) {
            Found::Row(row) => contrast.rows.push(*row),
            Found::Withheld(why) => contrast.withheld.push(why),
            Found::Nothing => {}
        }
    }
    Ok(contrast)
}

/// That trials of a run do not count here either, since its verdicts rest on the others.
fn left_out(name: &str, run: &Run) -> Option<String> {
    let blocks = invalid::left_out(run);
    (blocks > 0).then(|| {
        format!("{name} without {blocks} of {} blocks, whose host was disturbed", run.blocks.len())
    })
}

/// What there is to say about one metric.
enum Found {
    Row(Box<ContrastRow>),
    Withheld(String),
    Nothing,
}

/// One metric, not yet judged: that takes the whole family.
fn row(base: Entrant<'_>, other: Entrant<'_>, asked: &Asked<'_>, basis: Basis) -> Found {
    let metric = asked.metric;
    let (of_base, of_other) = (base.cells(metric), other.cells(metric));
    let (before, after) = (readings(metric, &of_base), readings(metric, &of_other));
    // Who asks by name is told what is missing; nobody else wants to know that nothing was searched or watched.
    if !asked.is_explicit && before.is_empty() && after.is_empty() {
        return Found::Nothing;
    }
    let admission = admission(metric, of_base.iter().chain(&of_other).copied());
    if let Some((Admission::Withheld, beyond)) = admission {
        return Found::Withheld(withheld(&asked.name, beyond));
    }
    let mut row = ContrastRow {
        metric: asked.name.clone(),
        unit: metric.measure.unit().into(),
        higher_is_better: asked.higher_is_better,
        base: base.mean(&before),
        other: other.mean(&after),
        ratio: None,
        interval: None,
        p_value: None,
        q_value: None,
        asked_floor: asked.floor,
        least: asked.least,
        floor: asked.floor.max(repeats(base.run, metric)).max(repeats(other.run, metric)),
        verdict: RowVerdict::Undecided,
        why: String::new(),
    };
    row.why = match without_number(base, "A", metric, &of_base, &before)
        .or(without_number(other, "B", metric, &of_other, &after))
    {
        Some(why) => why,
        None => {
            let compared = match basis {
                Basis::Pairs => paired(base, other, metric),
                Basis::Sittings | Basis::History => unpaired(&before, &after),
            };
            fill(&mut row, compared, basis)
        }
    };
    only_shown(&mut row, admission);
    Found::Row(Box::new(row))
}

/// The value of each trial of one arm, or why the metric is no number; nothing if it was not measured.
pub(super) fn sample(side: Entrant<'_>, metric: Metric<'_>) -> Option<Result<Vec<f64>, String>> {
    let cells = side.cells(metric);
    let values = readings(metric, &cells);
    if cells.is_empty() {
        return None;
    }
    if let Some((Admission::Withheld, _)) = admission(metric, cells.iter().copied()) {
        return Some(Err(format!(
            "fewer than {BEYOND_SHOWN_MIN} observations beyond it in a trial"
        )));
    }
    Some(match without_number(side, side.arm, metric, &cells, &values) {
        Some(why) => Err(why),
        None => Ok(values),
    })
}

/// Why a percentile has no number.
fn withheld(metric: &str, beyond: u64) -> String {
    format!("{metric}: {beyond} observations beyond it in a trial, {BEYOND_SHOWN_MIN} are needed")
}

/// Takes the judgement back where too few observations lie beyond a percentile for one.
fn only_shown(row: &mut ContrastRow, admission: Option<(Admission, u64)>) {
    let Some((Admission::Shown, beyond)) = admission else { return };
    row.verdict = RowVerdict::Shown;
    row.p_value = None;
    row.why = format!(
        "shown only: {beyond} observations beyond it in a trial, {BEYOND_JUDGED_MIN} are needed to judge it"
    );
}

/// How two samples compare.
struct Compared {
    ratio: f64,
    interval: Option<(f64, f64)>,
    p_value: f64,
}

fn paired(base: Entrant<'_>, other: Entrant<'_>, metric: Metric<'_>) -> Option<Compared> {
    let pairs = align::pairs(base.run, base.arm, other.arm, metric.place);
    let logs = align::log_ratios_of(&pairs, |cell| metric.reading(cell));
    let ratio = stats::hodges_lehmann(&logs)?.exp();
    let interval = stats::signed_rank_interval(&logs, stats::ALPHA);
    Some(Compared {
        ratio,
        interval: interval.map(|interval| (interval.lower.exp(), interval.upper.exp())),
        // Without any difference there is nothing to test.
        p_value: stats::signed_rank_p_value(&logs).unwrap_or(1.0),
    })
}

fn unpaired(before: &[f64], after: &[f64]) -> Option<Compared> {
    let compared = stats::unpaired_ratio(before, after)?;
    let stats::UnpairedRatio { ratio, interval, p_value } = compared;
    Some(Compared { ratio, interval, p_value })
}

/// Values above zero: others have no logarithm.
fn readings(metric: Metric<'_>, cells: &[&Cell]) -> Vec<f64> {
    let readings = cells.iter().filter_map(|cell| metric.reading(cell));
    readings.filter(|value| *value > 0.0).collect()
}

/// For a percentile what may be done with it, and the observations beyond it where they are fewest.
fn admission<'c>(
    metric: Metric<'_>,
    cells: impl Iterator<Item = &'c Cell>,
) -> Option<(Admission, u64)> {
    let scarcest = metric.scarcest(metric.measure.percentile()?, cells)?;
    Some((Admission::of(scarcest.beyond), scarcest.beyond))
}

/// How far the arms of a run differ from themselves in this metric, as a fraction; 0 where that is not known.
fn repeats(run: &Run, metric: Metric<'_>) -> f64 {
    align::aa_floor_of(run, metric.place, |cell| metric.reading(cell)).unwrap_or(0.0)
}

/// Why one side has no number.
fn without_number(
    side: Entrant<'_>,
    name: &str,
    metric: Metric<'_>,
    cells: &[&Cell],
    values: &[f64],
) -> Option<String> {
    if let Some(why) = invalid::of_arm(side.run, side.arm, metric.place) {
        return Some(format!("the load of {name} is invalid: {why}"));
    }
    if cells.is_empty() {
        return Some(format!("{name} has not measured it"));
    }
    let behind = cells.iter().filter(|cell| !cell.is_sustained()).count();
    if metric.measure.is_latency() && behind > 0 {
        return Some(format!(
            "{name} did not keep up with the offered rate in {behind} of {} trials",
            cells.len()
        ));
    }
    let missing = cells.len() - values.len();
    (missing > 0)
        .then(|| format!("{name} has no value above zero in {missing} of {} trials", cells.len()))
}

fn finite(ratio: f64) -> bool {
    ratio.is_finite() && ratio > 0.0
}

/// Takes the numbers over; says what is missing.
fn fill(row: &mut ContrastRow, compared: Option<Compared>, basis: Basis) -> String {
    let Some(compared) = compared.filter(|compared| finite(compared.ratio)) else {
        return "no trials to compare".to_owned();
    };
    (row.ratio, row.interval) = (Some(compared.ratio), compared.interval);
    if compared.interval.is_none() {
        return match basis {
            Basis::Pairs => format!("needs {} pairs", stats::PAIRS_MIN),
            Basis::Sittings | Basis::History => {
                "needs 4 trials on each side, or 3 against 5".to_owned()
            }
        };
    }
    row.p_value = Some(compared.p_value);
    String::new()
}

/// Adjusts all p-values at once, and judges.
fn judge(contrasts: &mut [Contrast]) {
    let mut family: Vec<&mut ContrastRow> = contrasts
        .iter_mut()
        .flat_map(|contrast| &mut contrast.rows)
        .filter(|row| row.p_value.is_some())
        .collect();
    let p_values: Vec<f64> = family.iter().filter_map(|row| row.p_value).collect();
    let Some(q_values) = stats::benjamini_hochberg(&p_values) else { return };
    for (row, q_value) in family.iter_mut().zip(q_values) {
        row.q_value = Some(q_value);
        row.verdict = verdict(row, q_value);
        if row.verdict == RowVerdict::Undecided {
            row.why = "more trials would narrow the interval".to_owned();
        }
    }
}

/// How much worse, as a logarithm: above zero is worse.
fn harm(row: &ContrastRow, ratio: f64) -> f64 {
    if row.higher_is_better { -ratio.ln() } else { ratio.ln() }
}

/// A change has to be significant *and* larger than the floor *and* than what counts in the metric's own unit; no change has to be
/// shown, too, by the whole interval and against the floor that was asked for: a noisy host must not make that easier.
fn verdict(row: &ContrastRow, q_value: f64) -> RowVerdict {
    let (Some(ratio), Some((lower, upper))) = (row.ratio, row.interval) else {
        return RowVerdict::Undecided;
    };
    let harmful = harm(row, ratio);
    let worst = if harm(row, lower) > harm(row, upper) { lower } else { upper };
    match q_value <= stats::ALPHA && !is_slight(row, ratio) {
        true if harmful > row.floor.ln_1p() => RowVerdict::Worse,
        true if harmful < -row.floor.ln_1p() => RowVerdict::Better,
        _ if harm(row, worst) < row.asked_floor.ln_1p() || is_slight(row, worst) => {
            RowVerdict::NotWorse
        }
        _ => RowVerdict::Undecided,
    }
}

/// Whether a ratio is less of a change than counts in the metric's own unit, seen from the base's mean.
fn is_slight(row: &ContrastRow, ratio: f64) -> bool {
    row.base.is_some_and(|base| (ratio - 1.0).abs() * base.value < row.least)
}
