//! The measuring: every scenario on both sides, and what looked worse once more.

use super::base::Base;
use super::measured::{GatedArm, Measured, Sides, Trials, failed_checks, limit};
use super::turns::{self, Ended, Turns};
use super::{GateArgs, Terminal, is_interrupted, slices};
use crate::cli::progress::Shown;
use crate::clock::Clock;
use crate::compare::contrast::{Match, Newcomer, against_history, matched};
use crate::gate::{insist, suspects};
use crate::record::SCHEMA;
use crate::record::contrast::{Contrast, Contrasts};
use crate::record::gate::GateRecord;
use crate::runner::utc_now;
use crate::scenario::spec::Scenario;
use std::path::{Path, PathBuf};

/// A gate on its way.
pub(super) struct Sitting<'a> {
    pub(super) args: &'a GateArgs,
    pub(super) pairs: u32,
    pub(super) clock: Clock,
    pub(super) scratch: &'a Path,
    pub(super) head: PathBuf,
    pub(super) base: Base,
}

/// A record with the runs behind it.
pub(super) struct Gated {
    pub(super) record: GateRecord,
    pub(super) measured: Vec<Measured>,
    /// The runs of the second set.
    pub(super) again: Vec<Measured>,
}

impl Sitting<'_> {
    pub(super) fn measure(
        &self,
        scenarios: &[(PathBuf, Scenario)],
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Gated> {
        let started_at = utc_now();
        let mut measured = Vec::new();
        for (path, scenario) in scenarios {
            if !is_interrupted(terminal) {
                measured.push(self.scenario(path, scenario, terminal)?);
            }
        }
        let first = self.contrasts(&measured)?;
        let confirms = !self.args.no_confirm && self.base.program().is_some();
        let again = match confirms && !is_interrupted(terminal) {
            true => self.once_more(scenarios, &mut measured, &first, terminal)?,
            false => Vec::new(),
        };
        let second = (!again.is_empty()).then(|| self.contrasts(&again)).transpose()?;
        let runs = || measured.iter().flat_map(|one| &one.sides).map(Sides::run);
        let head = runs().next().map(|run| run.build.revision.clone());
        let is_whole = measured.len() == scenarios.len() && runs().all(|run| run.complete);
        let record = GateRecord {
            schema: SCHEMA,
            kvbench_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            elapsed_s: self.clock.now().as_secs_f64(),
            complete: !is_interrupted(terminal) && is_whole,
            base: self.base.describe(measured.iter().find_map(|one| one.base_revision.as_deref())),
            head: head.unwrap_or_else(|| "not measured".to_owned()),
            sitting: self.base.sitting(),
            scenarios: measured.iter().map(|one| one.scenario.clone()).collect(),
            first,
            confirms,
            second,
            inconclusive: self.args.inconclusive.into(),
        };
        Ok(Gated { record, measured, again })
    }

    /// All rows of all scenarios are one family.
    fn contrasts(&self, measured: &[Measured]) -> anyhow::Result<Contrasts> {
        let sides = || measured.iter().flat_map(|one| &one.sides);
        let found = match &self.base {
            Base::Level { name, history } => {
                let newcomers: Vec<Newcomer<'_>> = sides().map(Sides::newcomer).collect();
                against_history(history, name, &newcomers, self.args.floor)
            }
            Base::Program { .. } | Base::Stored { .. } => {
                let matches: Vec<Match<'_>> = sides().filter_map(Sides::matching).collect();
                matched(&matches, self.args.floor, self.args.force)
            }
        };
        let mut all = found.map_err(|unknown| {
            anyhow::anyhow!("cannot gate {}: {}", unknown.metric, unknown.reason)
        })?;
        for (contrast, sides) in all.contrasts.iter_mut().zip(sides()) {
            contrast.notes.splice(0..0, sides.notes.iter().cloned());
            insist(contrast, &sides.limits);
        }
        Ok(all)
    }

    /// One scenario on both programs, or on head alone if the base was measured before.
    fn scenario(
        &self,
        path: &Path,
        scenario: &Scenario,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Measured> {
        let mut measured = Measured::nothing(scenario, path);
        let Some(base) = self.base.program() else {
            self.against_stored(path, scenario, &mut measured, terminal)?;
            return Ok(measured);
        };
        if let Some(why) = turns::refuses(base, path, self.args, self.scratch)? {
            measured.scenario.not_comparable = format!("base refuses the scenario: {why}");
            return Ok(measured);
        }
        let ended = self.turns(path, scenario, base, 0, terminal)?;
        measured.take_turns(&GatedArm::all(scenario), ended, self.args.force);
        if let Some(why) = self.base.is_another(measured.base_revision.as_deref()) {
            measured.scenario.not_comparable = why;
            measured.sides.clear();
        }
        Ok(measured)
    }

    /// Runs of both by turns; `from` is the number of the first turn, so that a second set is of other trials.
    fn turns(
        &self,
        path: &Path,
        scenario: &Scenario,
        base: &Path,
        from: u32,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Ended> {
        let turns = Turns {
            scenario: path,
            name: &scenario.name,
            seed: scenario.seed,
            programs: [base, &self.head],
            pairs: self.pairs,
            from,
            by_slices: !self.args.no_slices && slices::fits(scenario),
            args: self.args,
            scratch: self.scratch,
            clock: self.clock,
        };
        let interrupted = terminal.interrupted.clone();
        let mut shown = Shown::new(terminal.live, terminal.err);
        Ok(turns.run(&interrupted, &mut shown)?)
    }

    /// The metrics that looked worse, with fresh trials. What fails meanwhile, or is answered wrongly, is the scenario's own.
    fn once_more(
        &self,
        scenarios: &[(PathBuf, Scenario)],
        measured: &mut [Measured],
        first: &Contrasts,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<Vec<Measured>> {
        let Some(base) = self.base.program() else { return Ok(Vec::new()) };
        let mut again = Vec::new();
        for ((path, scenario), one) in scenarios.iter().zip(measured) {
            let arms = self.suspected(one, first);
            if arms.is_empty() || is_interrupted(terminal) {
                continue;
            }
            // Repeated turns took numbers beyond the pairs.
            let from = 3 * self.pairs;
            let ended = self.turns(path, scenario, base, from, terminal)?;
            let mut fresh = Measured::nothing(scenario, path);
            fresh.take_turns(&arms, ended, self.args.force);
            let (kept, found) = (&mut one.scenario, &fresh.scenario);
            if kept.failure.is_empty() {
                kept.failure.clone_from(&found.failure);
            }
            let news = found.wrong.iter().filter(|wrong| !kept.wrong.contains(wrong)).cloned();
            kept.wrong.extend(news.collect::<Vec<_>>());
            again.push(fresh);
        }
        Ok(again)
    }

    /// The arms of a scenario in which something looked worse, each with those metrics.
    fn suspected(&self, one: &Measured, first: &Contrasts) -> Vec<GatedArm> {
        let of = |sides: &Sides| {
            let is_it = |contrast: &&Contrast| contrast.base.bundle == sides.name;
            let its = first.contrasts.iter().filter(is_it).flat_map(suspects);
            let limits = its.map(|metric| limit(sides, metric, self.args.floor)).collect();
            GatedArm { name: sides.arm.clone(), limits }
        };
        one.sides.iter().map(of).filter(|arm| !arm.limits.is_empty()).collect()
    }

    /// Head alone, with the pairs that the scenario asks for, against what was stored.
    fn against_stored(
        &self,
        path: &Path,
        scenario: &Scenario,
        measured: &mut Measured,
        terminal: &mut Terminal<'_>,
    ) -> anyhow::Result<()> {
        let base = self.base.bundle_of(&scenario.name).cloned();
        if base.is_none() && !matches!(self.base, Base::Level { .. }) {
            measured.scenario.not_comparable =
                format!("no bundle of {} in {}", scenario.name, self.base.describe(None));
            return Ok(());
        }
        measured.base_revision = base.as_ref().map(|base| base.build.revision.clone());
        let interrupted = terminal.interrupted.clone();
        let mut shown = Shown::new(terminal.live, terminal.err);
        let alone = turns::whole(&self.head, path, scenario, self.args, self.scratch);
        match alone.run(self.clock, &interrupted, &mut shown)? {
            Ok(head) => {
                measured.scenario.wrong = failed_checks(&head).collect();
                for arm in GatedArm::all(scenario) {
                    let head = Box::new(head.clone());
                    let trials = match &base {
                        Some(base) => Trials::Apart(Box::new(base.clone()), head),
                        None => Trials::Alone(head),
                    };
                    measured.sides.push(arm.sides(&scenario.name, trials, Vec::new()));
                }
            }
            Err(why) => measured.scenario.failure = format!("head failed: {why}"),
        }
        Ok(())
    }
}
