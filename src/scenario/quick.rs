//! The `--quick` form of a scenario: the same question with the least measuring that can still answer it.

use super::spec::{Phase, Scenario, Target, Trials};
use crate::units::Nanos;

/// Fewer pairs can decide nothing at 95 %: the smallest two-sided signed-rank p of 5 pairs is 1/16.
const PAIRS: u32 = 6;
const WARMUP_MAX: Nanos = Nanos::from_millis(100);
const DURATION_MAX: Nanos = Nanos::from_millis(300);

/// `scenario` with only what its targets name, in few short trials.
pub(super) fn shortened(scenario: Scenario) -> Scenario {
    let targets = &scenario.targets;
    let named = |phase: &Phase| targets.iter().any(|target| target.metric.phase == phase.name);
    let any_named = scenario.phases.iter().any(named);
    let kept = scenario.phases.iter().filter(|phase| !any_named || named(phase));
    let phases = kept.map(|phase| shortened_phase(phase, targets)).collect();
    let trials =
        Trials { pairs_min: PAIRS, pairs_max: PAIRS, precision_required: false, ..scenario.trials };
    Scenario { phases, trials, ..scenario }
}

/// The client counts that targets name, or the largest if they name none.
fn shortened_phase(phase: &Phase, targets: &[Target]) -> Phase {
    let named = |clients: &u32| {
        targets
            .iter()
            .any(|target| target.metric.phase == phase.name && target.metric.clients == *clients)
    };
    let mut clients: Vec<u32> = phase.clients.iter().copied().filter(named).collect();
    if clients.is_empty() {
        clients.extend(phase.clients.last());
    }
    Phase {
        name: phase.name.clone(),
        clients,
        warmup: phase.warmup.min(WARMUP_MAX),
        duration: phase.duration.min(DURATION_MAX),
        watchers: phase.watchers,
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
        let quick = Options { set: Vec::new(), quick: true };
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
}
