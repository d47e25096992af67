//! Everything measured as flat data, for programs: each measure of each arm at each place, trial by trial, with its location and
//! interval over trials or the reason why it is no number.
//!
//! The rules are those of the reports: an invalid load has no number, nor has a latency of an arm that did not keep up, nor a
//! percentile that too few observations lie beyond in one of the trials. They hold for an arm as a whole: to keep only the
//! trials in which a tail was short enough to be shown would be a choice by outcome.

use super::align::{self, Place};
use super::contrast::usual_words;
use super::costs::distinct;
use super::metric::{MEASURES, Measure, Metric};
use super::{ArmValue, Invalid, invalid, places};
use crate::record::{Cell, Run};
use crate::stats::{Admission, BEYOND_SHOWN_MIN};
use crate::units::Unit;
use std::collections::BTreeSet;
use std::fmt;

/// One measure of one arm at one place, of the whole mix or of one kind of operation.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured<'a> {
    /// Arm name.
    pub arm: &'a str,
    /// Phase name.
    pub phase: &'a str,
    /// Closed-loop clients; streams of an open load.
    pub clients: u32,
    /// As metrics name the place: `saturate@50`, or `paced` where the load was open.
    pub place: String,
    /// Whether operations were due at given times, whatever became of those before.
    pub is_open: bool,
    /// `put`, `get`, …; none for all operations together.
    pub op: Option<&'a str>,
    /// As in targets: `throughput`, `p99`, `cpu_per_op`, …
    pub measure: &'static str,
    /// What its values are measured in.
    pub unit: Unit,
    /// Whether more is better; none where more is neither, as of a throughput that an open load gives.
    pub higher_is_better: Option<bool>,
    /// Whether it is one of those that say how fast and how costly it was: what `kvbench compare` looks at unasked.
    pub is_usual: bool,
    /// One per trial that reached the place, in the order they ran.
    pub readings: Vec<Reading>,
    /// Over the trials that count: what a target on the arm's own value is judged by.
    pub value: Result<ArmValue, Withheld>,
}

/// One trial's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// Index into the record's trials.
    pub trial: usize,
    /// Operations that finished within the span, of this kind.
    pub ops: u64,
    /// Whether it counts for the arm's value: it is no A/A trial, and not of a disturbed block that is left out.
    pub counts: bool,
    /// In the measure's unit; none where it is withheld or was not measured.
    pub value: Option<f64>,
}

/// Why there is no number. Worded as a reason, lower case, no full stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// The load was not what it claims to be.
    Invalid(Invalid),
    /// The arm did not keep up with an open load, so its latencies say how long that lasted.
    Unsustained {
        /// In so many trials.
        trials: usize,
        /// Of so many.
        of: usize,
    },
    /// Too few observations lie beyond the percentile.
    Scarce {
        /// So many, in the trial that has the fewest.
        beyond: u64,
    },
    /// Trials have no value.
    Absent {
        /// So many of them.
        trials: usize,
        /// Of so many.
        of: usize,
    },
}

impl Withheld {
    /// In a word, for a column: `invalid`, `unsustained`, `withheld`, `absent`.
    pub fn word(self) -> &'static str {
        match self {
            Withheld::Invalid(_) => "invalid",
            Withheld::Unsustained { .. } => "unsustained",
            Withheld::Scarce { .. } => "withheld",
            Withheld::Absent { .. } => "absent",
        }
    }

    /// Whether no trial's value may be shown either; else only the arm has none.
    pub fn hides_trials(self) -> bool {
        !matches!(self, Withheld::Absent { .. })
    }
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Withheld::Invalid(why) => write!(f, "{why}"),
            Withheld::Unsustained { trials, of } => {
                write!(f, "did not keep up with the offered rate in {trials} of {of} trials")
            }
            Withheld::Scarce { beyond } => write!(
                f,
                "{beyond} observations beyond it in a trial, {BEYOND_SHOWN_MIN} are needed"
            ),
            Withheld::Absent { trials, of } => write!(f, "no value in {trials} of {of} trials"),
        }
    }
}

/// All there is in a record, place by place, arm by arm, all operations before each kind; measures that were not taken are
/// left out.
pub fn measured(run: &Run) -> Vec<Measured<'_>> {
    let counting = Counting::of(run);
    let arms = |place| run.arms.iter().map(move |arm| (place, arm.name.as_str()));
    let of_arm = |(place, arm)| {
        let cells = Cells::of(run, arm, place, &counting);
        kinds(&cells).into_iter().flat_map(|op| of_kind(run, &cells, op)).collect::<Vec<_>>()
    };
    places(run).into_iter().flat_map(arms).flat_map(of_arm).collect()
}

/// Whether a quantile, 0..=1, may be shown of a trial of so many observations: enough of them lie beyond it.
pub fn is_shown(count: u64, quantile: f64) -> bool {
    // A hair for quantiles that binary cannot hold exactly.
    let beyond = (count as f64 * (1.0 - quantile) + 1e-6) as u64;
    Admission::of(beyond) > Admission::Withheld
}

/// Which trials count for an arm's value.
struct Counting {
    blocks: BTreeSet<u32>,
}

impl Counting {
    fn of(run: &Run) -> Counting {
        let counted = invalid::undisturbed(run);
        Counting { blocks: counted.trials.iter().map(|trial| trial.block).collect() }
    }
}

/// What one arm measured at one place.
struct Cells<'a> {
    arm: &'a str,
    place: Place<'a>,
    cells: Vec<Visit<'a>>,
}

/// One trial at that place.
struct Visit<'a> {
    trial: usize,
    counts: bool,
    cell: &'a Cell,
}

impl<'a> Cells<'a> {
    fn of(run: &'a Run, arm: &'a str, place: Place<'a>, counting: &Counting) -> Cells<'a> {
        let trials = run.trials.iter().enumerate().filter(|(_, trial)| trial.arm == arm);
        let visit = |(at, trial): (usize, &'a crate::record::Trial)| {
            let counts = !trial.aa && counting.blocks.contains(&trial.block);
            Some(Visit { trial: at, counts, cell: align::cell(trial, place)? })
        };
        Cells { arm, place, cells: trials.filter_map(visit).collect() }
    }

    fn counted(&self) -> impl Iterator<Item = &'a Cell> {
        self.cells.iter().filter(|visit| visit.counts).map(|visit| visit.cell)
    }
}

/// All operations together, then each kind if there are several: one kind alone is the whole.
fn kinds<'a>(cells: &Cells<'a>) -> Vec<Option<&'a str>> {
    let all = cells.cells.iter().flat_map(|visit| &visit.cell.by_op);
    let kinds: Vec<&str> = distinct(all.map(|op| op.op.as_str())).collect();
    let several = kinds.into_iter().map(Some);
    let several: Vec<_> = several.collect();
    match several.len() {
        0 | 1 => vec![None],
        _ => [None].into_iter().chain(several).collect(),
    }
}

fn of_kind<'a>(run: &'a Run, cells: &Cells<'a>, op: Option<&'a str>) -> Vec<Measured<'a>> {
    let usual = usual_words(run, cells.place);
    let is_given = cells.cells.iter().any(|visit| visit.cell.open.is_some());
    let was_taken = |metric: &Metric<'_>| cells.cells.iter().any(|v| is_taken(*metric, v.cell));
    let one = |&(word, measure): &(&'static str, Measure)| {
        let metric = Metric { place: cells.place, op, measure };
        was_taken(&metric).then(|| Measured {
            arm: cells.arm,
            phase: cells.place.phase,
            clients: cells.place.clients,
            place: align::name(run, cells.place),
            is_open: is_given,
            op,
            measure: word,
            unit: measure.unit(),
            higher_is_better: match measure {
                Measure::Throughput if is_given => None,
                _ => measure.higher_is_better(),
            },
            is_usual: usual.contains(&word),
            readings: readings(run, cells, metric),
            value: value(run, cells, metric),
        })
    };
    MEASURES.iter().filter_map(one).collect()
}

/// Whether a cell has the measure, or would have if the system had kept up, or a search had found something.
fn is_taken(metric: Metric<'_>, cell: &Cell) -> bool {
    reading(metric, cell).is_some()
        || (metric.measure.is_latency() && metric.op.is_none() && !cell.is_sustained())
        || (metric.measure == Measure::MaxRate && metric.op.is_none() && cell.search.is_some())
}

/// The value of a measure in a cell. Nothing takes no time and no CPU at all: there, zero says that nothing was measured.
fn reading(metric: Metric<'_>, cell: &Cell) -> Option<f64> {
    let is_spent = metric.measure.is_latency()
        || matches!(
            metric.measure,
            Measure::CpuPerOp
                | Measure::SystemCpuPerOp
                | Measure::CoresBusy
                | Measure::SystemCoresBusy
                | Measure::SwitchesPerOp
                | Measure::SyscallsPerOp
        );
    metric.reading(cell).filter(|value| !is_spent || *value > 0.0)
}

fn readings(run: &Run, cells: &Cells<'_>, metric: Metric<'_>) -> Vec<Reading> {
    let hidden = withheld(run, cells, metric).is_some_and(Withheld::hides_trials);
    let of = |visit: &Visit<'_>| Reading {
        trial: visit.trial,
        ops: match metric.op {
            None => visit.cell.ops,
            Some(kind) => {
                let its = visit.cell.by_op.iter().find(|op| op.op == kind);
                its.map_or(0, |op| op.ops)
            }
        },
        counts: visit.counts,
        value: reading(metric, visit.cell)
            .filter(|_| !hidden && is_shown_alone(metric, visit.cell)),
    };
    cells.cells.iter().map(of).collect()
}

/// Whether a trial's own value may be shown, if its arm's may: an A/A trial may be shorter than the others.
fn is_shown_alone(metric: Metric<'_>, cell: &Cell) -> bool {
    let is_known = match metric.measure.percentile() {
        Some(percentile) => Admission::of(metric.beyond(cell, percentile)) > Admission::Withheld,
        None => true,
    };
    is_known && (!metric.measure.is_latency() || cell.is_sustained())
}

fn value(run: &Run, cells: &Cells<'_>, metric: Metric<'_>) -> Result<ArmValue, Withheld> {
    if let Some(why) = withheld(run, cells, metric) {
        return Err(why);
    }
    let values: Vec<f64> = cells.counted().filter_map(|cell| reading(metric, cell)).collect();
    ArmValue::of(cells.arm, metric, &values).ok_or(Withheld::Absent { trials: 0, of: 0 })
}

/// Why the arm has no number, by the trials that count.
fn withheld(run: &Run, cells: &Cells<'_>, metric: Metric<'_>) -> Option<Withheld> {
    if let Some(why) = invalid::of_arm(run, cells.arm, metric.place) {
        return Some(Withheld::Invalid(why));
    }
    let of = cells.counted().count();
    if metric.measure.is_latency() {
        let behind = cells.counted().filter(|cell| !cell.is_sustained()).count();
        if behind > 0 {
            return Some(Withheld::Unsustained { trials: behind, of });
        }
    }
    if let Some(percentile) = metric.measure.percentile() {
        let scarcest = metric.scarcest(percentile, cells.counted());
        let beyond = scarcest.map_or(0, |scarcest| scarcest.beyond);
        if of > 0 && Admission::of(beyond) == Admission::Withheld {
            return Some(Withheld::Scarce { beyond });
        }
    }
    let absent = cells.counted().filter(|cell| reading(metric, cell).is_none()).count();
    (absent > 0).then_some(Withheld::Absent { trials: absent, of })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::compare;
    use crate::compare::tests::throughput_world;
    use crate::record::{BlockHost, Disturbance, HostSpan, Warning};

    /// Eight pairs at `saturate@50`, the second arm twelve times as fast.
    fn world() -> Run {
        throughput_world(&[12.0; 8])
    }

    fn find<'m, 'a>(all: &'m [Measured<'a>], arm: &str, measure: &str) -> &'m Measured<'a> {
        let its =
            |one: &&Measured<'_>| one.arm == arm && one.measure == measure && one.op.is_none();
        all.iter().find(its).unwrap_or_else(|| panic!("no {measure} of {arm}"))
    }

    #[test]
    fn a_value_is_what_a_target_on_it_is_judged_by() {
        let mut run = world();
        run.targets[0].arm = Some("after".into());
        run.targets[0].bound = ">= 10/s".into();
        let all = measured(&run);
        let throughput = find(&all, "after", "throughput");
        let judged = compare(&run).verdicts.remove(0).value.unwrap();
        assert_eq!(throughput.value, Ok(judged));
        assert_eq!((throughput.place.as_str(), throughput.clients), ("saturate@50", 50));
        assert_eq!((throughput.higher_is_better, throughput.is_usual), (Some(true), true));
        assert_eq!(throughput.readings.len(), 8);
        assert!(throughput.readings.iter().all(|reading| reading.counts));
    }

    #[test]
    fn an_invalid_arm_has_no_number_in_any_trial() {
        let mut run = world();
        let (arm, cell) = ("before".to_owned(), "saturate@50".to_owned());
        run.warnings.push(Warning::LoadGeneratorBusy { arm, cell, share: 0.9 });
        let all = measured(&run);
        for one in all.iter().filter(|one| one.arm == "before") {
            assert_eq!(one.value, Err(Withheld::Invalid(Invalid::Generator)), "{}", one.measure);
            assert!(one.readings.iter().all(|reading| reading.value.is_none()));
        }
        assert!(find(&all, "after", "throughput").value.is_ok());
    }

    #[test]
    fn one_short_trial_withholds_the_percentile_of_all() {
        let mut run = world();
        run.trials[2].cells[0].service.count = 9_999;
        let arm = run.trials[2].arm.clone();
        let all = measured(&run);
        let p999 = find(&all, &arm, "p999");
        assert_eq!(p999.value, Err(Withheld::Scarce { beyond: 9 }));
        assert!(p999.readings.iter().all(|reading| reading.value.is_none()));
        assert!(find(&all, &arm, "p99").value.is_ok());
        let why = p999.value.clone().unwrap_err().to_string();
        assert_eq!(why, "9 observations beyond it in a trial, 10 are needed");
    }

    #[test]
    fn repeats_and_left_out_blocks_are_there_and_do_not_count() {
        let mut run = throughput_world(&[12.0; 12]);
        let found = Disturbance::Cpu { cores: 0.9, limit: 0.2 };
        run.blocks = (0..12)
            .map(|n| BlockHost {
                block: n,
                attempt: 1,
                host: HostSpan::default(),
                log_sync_ns: None,
                disturbed: (n < 4).then_some(found).into_iter().collect(),
            })
            .collect();
        let again = crate::record::Trial { aa: true, ..run.trials.last().unwrap().clone() };
        let arm = again.arm.clone();
        run.trials.push(again);
        let all = measured(&run);
        let readings = &find(&all, &arm, "throughput").readings;
        assert_eq!(readings.len(), 13);
        assert_eq!(readings.iter().filter(|reading| reading.counts).count(), 8);
        assert!(readings.iter().all(|reading| reading.value.is_some()));
    }
}
