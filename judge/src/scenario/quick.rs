//! The `--quick` form of a scenario: the same question with the least measuring that can still answer it.

use super::spec::{Load, Phase, Scenario, Target, Trials};
use crate::units::Nanos;

/// Fewer pairs can decide nothing at 95 %: the smallest two-sided signed-rank p of 5 pairs is 1/16.
const PAIRS: u32 = 6;
const WARMUP_MAX: Nanos = Nanos::from_millis(100);
const DURATION_MAX: Nanos = Nanos::from_millis(300);
/// A search takes several of these.
const PROBE_MAX: Nanos = Nanos::from_millis(200);

/// `scenario` with only what its targets name, and what that depends on, in few short trials.
pub(super) fn shortened(scenario: Scenario) -> Scenario {
    let wanted = Wanted::of(&scenario);
    let phases = scenario.phases.iter().filter_map(|phase| wanted.shortened(phase)).collect();
    let trials =
        Trials { pairs_min: PAIRS, pairs_max: PAIRS, precision_required: false, ..scenario.trials };
    Scenario { phases, trials, ..scenario }
}

/// The phases that are measured, each with client counts: none for as few as there can be.
struct Wanted {
    places: Vec<(String, Option<u32>)>,
}

impl Wanted {
    /// What targets name; every phase if they name none. And the capacities that their rates are shares of.
    fn of(scenario: &Scenario) -> Wanted {
        // Checks hold for every place.
        let metrics = scenario.targets.iter().filter_map(Target::metric);
        let mut places: Vec<_> =
            metrics.map(|metric| (metric.phase.clone(), metric.clients)).collect();
        if places.is_empty() {
            places.extend(scenario.phases.iter().map(|phase| (phase.name.clone(), None)));
        }
        // Backwards: a capacity is of an earlier phase.
        for phase in scenario.phases.iter().rev() {
            if places.iter().any(|(name, _)| *name == phase.name) {
                let capacities = phase.load.capacities();
                places.extend(capacities.map(|of| (of.phase.clone(), Some(of.clients))));
            }
        }
        Wanted { places }
    }

    fn shortened(&self, phase: &Phase) -> Option<Phase> {
        let here = || self.places.iter().filter(|(name, _)| *name == phase.name);
        here().next()?;
        let named = |count: &u32| here().any(|(_, wanted)| *wanted == Some(*count));
        let mut clients: Vec<u32> = phase.clients.iter().copied().filter(named).collect();
        if clients.is_empty() {
            clients.extend(phase.clients.last());
        }
        let is_search = matches!(phase.load, Load::Search(_));
        let longest = if is_search { PROBE_MAX } else { DURATION_MAX };
        Some(Phase {
            clients,
            warmup: phase.warmup.min(WARMUP_MAX),
            duration: phase.duration.min(longest),
            ..phase.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::scenario::{Options, parse};

    fn clients(targets: &str) -> Vec<(String, Vec<u32>)> {
        let text = format!(
            "schema = 1\nname = \"x\"\n[arms.before]\n[arms.after]\n[[op]]\nput = {{}}\n\
             [[phase]]\nname = \"a\"\nload.closed.clients = [1, 10, 50]\nduration = \"2s\"\n\
             [[phase]]\nname = \"b\"\nload.closed.clients = [2, 4]\nduration = \"60ms\"\n{targets}"
        );
        let quick = Options { quick: true, ..Options::default() };
        let scenario = parse("x.toml", &text, &quick).unwrap();
        assert_eq!((scenario.trials.pairs_min, scenario.trials.pairs_max), (6, 6));
        assert!(scenario.phases.iter().all(|phase| phase.duration <= super::DURATION_MAX));
        scenario.phases.into_iter().map(|phase| (phase.name, phase.clients)).collect()
    }

    #[test]
    fn only_what_targets_name_is_measured() {
        let target = |id: &str, metric: &str| {
            format!("[[target]]\nid = \"{id}\"\nmetric = \"{metric}\"\nratio = \">= 1\"\n")
        };
        assert_eq!(clients(""), [("a".to_owned(), vec![50]), ("b".to_owned(), vec![4])]);
        assert_eq!(clients(&target("t", "b.p50@2")), [("b".to_owned(), vec![2])]);
        let both = target("t", "a.p50@10") + &target("u", "a.throughput@1");
        assert_eq!(clients(&both), [("a".to_owned(), vec![1, 10])]);
    }

    #[test]
    fn what_a_rate_is_a_share_of_is_measured_too() {
        let open = "[[phase]]\nname = \"c\"\nload.open.rate = \"70% of before.a@10\"\n";
        let target = "[[target]]\nid = \"t\"\nmetric = \"c.p50\"\nratio = \"<= 1\"\n";
        let measured = clients(&format!("{open}{target}"));
        assert_eq!(measured, [("a".to_owned(), vec![10]), ("c".to_owned(), vec![64])]);
    }
}
