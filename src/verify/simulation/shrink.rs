//! Looks for the smallest part of a schedule that still goes wrong in the same way: fewer faults, shorter ones, fewer ticks. Every
//! candidate is a run of its own, so what is found is sure to go wrong, and not sure to be the smallest there is.

use super::{Kept, Plan, Ran, run};
use std::io;

/// The smallest part of its time that a fault is brought down to.
const SHORTER_MAX: u64 = 64;

/// What was found.
#[derive(Clone, Debug)]
pub struct Shrunk {
    /// The smallest plan found.
    pub plan: Plan,
    /// The faults of it.
    pub kept: Vec<Kept>,
    /// What comes of it.
    pub ran: Ran,
    /// Runs that were tried.
    pub tried: u64,
}

struct Search<'a> {
    /// All that the seed makes.
    whole: &'a Plan,
    invariant: &'static str,
    best: Shrunk,
    runs_max: u64,
    stop: &'a dyn Fn() -> bool,
}

/// Shrinks a plan that came to `ran`; nothing if nothing was wrong there. At most `runs_max` runs, fewer if `stop` says so.
pub fn shrink(
    plan: &Plan,
    ran: &Ran,
    runs_max: u64,
    stop: &dyn Fn() -> bool,
) -> io::Result<Option<Shrunk>> {
    let Some((tick, violation)) = &ran.violation else { return Ok(None) };
    let kept: Vec<Kept> =
        plan.faults.iter().map(|fault| Kept { number: fault.number, shorter: 1 }).collect();
    let best = Shrunk { plan: plan.clone(), kept: kept.clone(), ran: ran.clone(), tried: 0 };
    let invariant = violation.invariant;
    let mut search = Search { whole: plan, invariant, best, runs_max, stop };
    // What had not begun by then had no part in it.
    search.attempt(plan.ticks.min(tick + 1), &kept)?;
    search.leave_out()?;
    search.shorten()?;
    search.cut_time()?;
    Ok(Some(search.best))
}

impl Search<'_> {
    /// Runs a candidate; takes it if it goes wrong in the same way.
    fn attempt(&mut self, ticks: u64, kept: &[Kept]) -> io::Result<bool> {
        if self.best.tried >= self.runs_max || (self.stop)() {
            return Ok(false);
        }
        self.best.tried += 1;
        let plan = Plan { ticks, ..self.whole.clone() }.keep(kept);
        let ran = run(&plan)?;
        let is_same =
            ran.violation.as_ref().is_some_and(|(_, found)| found.invariant == self.invariant);
        if is_same {
            let is_there = |one: &&Kept| plan.faults.iter().any(|fault| fault.number == one.number);
            let kept = kept.iter().filter(is_there).copied().collect();
            self.best = Shrunk { plan, kept, ran, tried: self.best.tried };
        }
        Ok(is_same)
    }

    /// Leaves out ever smaller parts of what is left, until no single fault can be spared (Zeller and Hildebrandt 2002).
    fn leave_out(&mut self) -> io::Result<()> {
        let mut part = self.best.kept.len().div_ceil(2);
        while part > 0 {
            let (mut from, before) = (0, self.best.kept.len());
            while from < self.best.kept.len() {
                let mut kept = self.best.kept.clone();
                kept.drain(from..(from + part).min(kept.len()));
                if !self.attempt(self.best.plan.ticks, &kept)? {
                    from += part;
                }
            }
            let is_spared = self.best.kept.len() < before;
            part = if part == 1 { usize::from(is_spared) } else { part / 2 };
        }
        Ok(())
    }

    /// Gives each fault half its time, as long as that is enough.
    fn shorten(&mut self) -> io::Result<()> {
        for place in 0..self.best.kept.len() {
            loop {
                let mut kept = self.best.kept.clone();
                let Some(one) = kept.get_mut(place) else { break };
                one.shorter *= 2;
                let is_over = one.shorter > SHORTER_MAX;
                if is_over || !self.attempt(self.best.plan.ticks, &kept)? {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Ends it as soon as it has gone wrong.
    fn cut_time(&mut self) -> io::Result<()> {
        let kept = self.best.kept.clone();
        let found = self.best.ran.violation.as_ref().map_or(0, |(tick, _)| tick + 1);
        for ticks in [found, found / 2, found / 4] {
            if ticks < self.best.plan.ticks {
                self.attempt(ticks, &kept)?;
            }
        }
        Ok(())
    }
}
