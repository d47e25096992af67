//! Which history comes next: paths, engines, sizes and, of processes, faults take turns, so that each meets each.

use super::{Campaign, EngineArg, PathArg, VerifyArgs};
use crate::verify::faults::{Fault, Plan};
use crate::verify::processes;

/// The campaigns of histories, as records name them.
const WITHIN: &str = "faults";
const FAILPOINTS: &str = "failpoints";
pub(super) const PROCESSES: &str = "processes";
/// Faults of one history of processes: each takes seconds, and all kinds take turns.
const FAULTS_EACH: usize = 5;
/// What `--fault` says for a history in which nothing goes wrong: whatever a checker finds there is a false alarm.
const NO_FAULT: &str = "none";

/// A history to be made, and what its levers are called.
pub(super) type Planned<F> = (Plan<F>, PathArg, EngineArg);

/// The faults that a campaign knows, in their order; those of one member alone, or all.
fn known(campaign: Campaign, alone: bool) -> Vec<&'static str> {
    let of_processes = match alone {
        true => &processes::Fault::OF_ONE[..],
        false => &processes::Fault::OF_SEVERAL[..],
    };
    let within = if alone { &Fault::OF_ONE[..] } else { &Fault::OF_THREE[..] };
    match campaign {
        Campaign::Processes => of_processes.iter().map(|fault| fault.name()).collect(),
        _ => within.iter().map(|fault| fault.name()).collect(),
    }
}

/// What records call the campaign that makes histories within the process.
pub(super) fn campaign(campaign: Campaign) -> &'static str {
    match campaign {
        Campaign::Failpoints => FAILPOINTS,
        _ => WITHIN,
    }
}

/// What `--help` says of `--fault`.
pub(super) fn fault_help() -> String {
    let (within, processes) = (known(Campaign::Faults, false), known(Campaign::Processes, false));
    format!(
        "With these faults only; else with all; may be repeated: {}; of processes {}; none: nothing goes wrong",
        within.join(", "),
        processes.join(", ")
    )
}

/// Reads a fault's name, of whichever campaign.
pub(super) fn fault(name: &str) -> Result<String, String> {
    let (within, processes) = (known(Campaign::Faults, false), known(Campaign::Processes, false));
    match within.iter().chain(&processes).chain(&[NO_FAULT]).any(|known| *known == name) {
        true => Ok(name.to_owned()),
        false => Err(format!(
            "there is no such fault; there are {}; of processes {}; or none",
            within.join(", "),
            processes.join(", ")
        )),
    }
}

/// What cannot be asked for together.
pub(super) fn check(args: &VerifyArgs) -> Result<(), String> {
    if is_without_faults(args) {
        return match args.campaign {
            _ if args.fault.len() > 1 => Err(format!(
                "--fault {NO_FAULT} goes with no other\n  hint: leave it out, or the others"
            )),
            Campaign::Failpoints => Err(format!(
                "--fault {NO_FAULT} is not of this campaign\n  hint: --campaign {WITHIN} --fault {NO_FAULT}"
            )),
            _ => Ok(()),
        };
    }
    let all = known(args.campaign, false);
    let of_one = known(args.campaign, true);
    let is_asked = |name: &&str| args.fault.iter().any(|asked| asked == name);
    if let Some(other) = args.fault.iter().find(|name| !all.contains(&name.as_str())) {
        let campaign = if args.campaign == Campaign::Processes { WITHIN } else { PROCESSES };
        return Err(format!(
            "--fault {other} is not of this campaign\n  hint: --campaign {campaign}, or one of {}",
            all.join(", ")
        ));
    }
    if args.nodes == Some(1) && !args.fault.is_empty() && !of_one.iter().any(is_asked) {
        return Err(format!(
            "one member alone has none of these faults\n  hint: {}, or more members",
            of_one.join(", ")
        ));
    }
    match (args.campaign, args.nodes) {
        (Campaign::Failpoints, Some(1)) => {
            Err("one member alone is not led to most of the sites\n  hint: more members".to_owned())
        }
        (Campaign::Processes, Some(even @ (2 | 4))) => Err(format!(
            "--nodes {even}: half of them cannot go on without the other half\n  hint: 1, 3 or 5"
        )),
        _ => Ok(()),
    }
}

/// Whether nothing is to go wrong.
pub(super) fn is_without_faults(args: &VerifyArgs) -> bool {
    args.fault.iter().any(|asked| asked == NO_FAULT)
}

/// Whether a fault was asked for.
pub(super) fn is_wanted(args: &VerifyArgs, name: &str) -> bool {
    args.fault.is_empty() || args.fault.iter().any(|asked| asked == name)
}

/// Number `number` of the histories within the process: all faults in each, or something at named sites.
pub(super) fn within(args: &VerifyArgs, number: u64) -> Planned<Fault> {
    let wanted = |list: &[Fault]| -> Vec<Fault> {
        list.iter().copied().filter(|fault| is_wanted(args, fault.name())).collect()
    };
    if args.campaign != Campaign::Failpoints {
        let of_one = can_be_alone(args, wanted(&Fault::OF_ONE));
        return planned(args, number, wanted(&Fault::OF_THREE), of_one);
    }
    let (mut plan, path, engine) = planned(args, number, Vec::new(), None);
    plan.faults = at_sites(plan.seed, engine);
    (plan, path, engine)
}

/// Something at one or two sites.
#[cfg(feature = "failpoints")]
fn at_sites(seed: u64, engine: EngineArg) -> Vec<Fault> {
    crate::verify::faults::at_random_sites(seed, engine.kind())
}

/// None: this build has no sites.
#[cfg(not(feature = "failpoints"))]
fn at_sites(_: u64, _: EngineArg) -> Vec<Fault> {
    Vec::new()
}

/// Number `number` of those of processes: of what is asked for and possible, some faults in each, unless they are named.
pub(super) fn of_processes(
    args: &VerifyArgs,
    number: u64,
    possible: &[processes::Fault],
) -> Planned<processes::Fault> {
    let is_of_one = |fault: &processes::Fault| processes::Fault::OF_ONE.contains(fault);
    let of_one = possible.iter().copied().filter(is_of_one).collect();
    let of_one = can_be_alone(args, of_one);
    let (mut plan, path, engine) = planned(args, number, possible.to_vec(), of_one);
    if args.nodes.is_none() && number % 8 == 6 {
        plan.nodes = 5;
    }
    if args.fault.is_empty() {
        // How many of its size came before.
        let alone = number / 4;
        let turn = match (args.nodes, plan.nodes) {
            (Some(_), _) => number,
            (None, 1) => alone,
            (None, _) => number - alone,
        };
        let first = (turn as usize % plan.faults.len().max(1)) * FAULTS_EACH;
        let each = FAULTS_EACH.min(plan.faults.len());
        let drawn = plan.faults.iter().cycle().skip(first).take(each).copied();
        plan.faults = drawn.collect();
    }
    // The seed shuffles them: the same ones, however they were come by, in the same way.
    plan.faults.sort_unstable();
    (plan, path, engine)
}

/// What goes wrong with one member alone, if any of it can, or nothing is to.
fn can_be_alone<F>(args: &VerifyArgs, of_one: Vec<F>) -> Option<Vec<F>> {
    (is_without_faults(args) || !of_one.is_empty()).then_some(of_one)
}

/// One member alone once in four times, where that can be.
fn planned<F>(
    args: &VerifyArgs,
    number: u64,
    of_several: Vec<F>,
    of_one: Option<Vec<F>>,
) -> Planned<F> {
    let paths: Vec<PathArg> = args.path.map_or_else(|| PathArg::ALL.to_vec(), |one| vec![one]);
    let engines = args.engine.map_or_else(EngineArg::built_in, |one| vec![one]);
    let turn = |all: u64, step: u64| (number / step % all) as usize;
    let path = paths[turn(paths.len() as u64, 1)];
    let engine = engines[turn(engines.len() as u64, paths.len() as u64)];
    let nodes = args.nodes.unwrap_or(if number % 4 == 3 && of_one.is_some() { 1 } else { 3 });
    let plan = Plan {
        seed: args.seed + number,
        path: path.kind(),
        engine: engine.kind(),
        nodes,
        faults: if nodes == 1 { of_one.unwrap_or_default() } else { of_several },
        operations_min: args.operations,
    };
    (plan, path, engine)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        args: VerifyArgs,
    }

    fn parsed(flags: &[&str]) -> VerifyArgs {
        let words = ["verify", "--campaign", "processes"];
        Flags::parse_from(words.iter().chain(flags)).args
    }

    #[test]
    fn every_fault_of_processes_has_its_turn_in_groups_of_every_size() {
        let args = parsed(&[]);
        let (mut drawn, mut alone, mut sizes) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for number in 0..24 {
            let (plan, ..) = of_processes(&args, number, &processes::Fault::OF_SEVERAL);
            let distinct: BTreeSet<_> = plan.faults.iter().copied().collect();
            assert_eq!((plan.faults.len(), distinct.len()), (FAULTS_EACH, FAULTS_EACH));
            sizes.insert(plan.nodes);
            if plan.nodes == 1 { alone.extend(distinct) } else { drawn.extend(distinct) }
        }
        assert_eq!(drawn.len(), processes::Fault::OF_SEVERAL.len());
        assert_eq!(alone, processes::Fault::OF_ONE.into_iter().collect());
        assert_eq!(sizes, [1, 3, 5].into());
    }

    #[test]
    fn nothing_goes_wrong_where_no_fault_is_asked_for() {
        let args = parsed(&["--fault", "none"]);
        assert_eq!(check(&args), Ok(()));
        for number in 0..24 {
            let plans = [
                within(&args, number).0.faults.len(),
                of_processes(&args, number, &[]).0.faults.len(),
            ];
            assert_eq!(plans, [0, 0]);
        }
        let sizes: BTreeSet<_> = (0..24).map(|number| within(&args, number).0.nodes).collect();
        assert_eq!(sizes, [1, 3].into());
        let with_another = check(&parsed(&["--fault", "none", "--fault", "loss"])).unwrap_err();
        assert!(with_another.contains("goes with no other"), "{with_another}");
    }

    #[test]
    fn a_history_can_be_made_again_from_what_was_told_of_it() {
        let (first, ..) = of_processes(&parsed(&[]), 5, &processes::Fault::OF_SEVERAL);
        let names: Vec<_> = first.faults.iter().flat_map(|one| ["--fault", one.name()]).collect();
        let (seed, nodes) = (first.seed.to_string(), first.nodes.to_string());
        let again = parsed(&[names, vec!["--seed", &seed, "--nodes", &nodes]].concat());
        let asked: Vec<_> = processes::Fault::OF_SEVERAL
            .into_iter()
            .filter(|fault| is_wanted(&again, fault.name()))
            .collect();
        let (again, ..) = of_processes(&again, 0, &asked);
        assert_eq!((again.seed, again.nodes), (first.seed, first.nodes));
        assert_eq!(again.faults, first.faults);
    }
}
