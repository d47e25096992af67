//! Whether two sides were asked the same question under the same conditions. What differs is a reason not to compare them, or a
//! note if it may be the very thing that is compared. Facts that one side could not see are passed over: not knowing is no difference.

use super::{BOTH, Entrant};
use crate::compare::{fitness, invalid};
use crate::record::{Arm, Host, NOT_VISIBLE, Run};

/// Memory differs by a few pages from boot to boot.
const MEMORY_STEP_BYTES: u64 = 256 << 20;

/// Why the two are not comparable, each in a line; nothing if they are.
pub(super) fn reasons(base: Entrant<'_>, other: Entrant<'_>) -> Vec<String> {
    let mut reasons = Vec::new();
    if !std::ptr::eq(base.run, other.run) {
        reasons.extend(scenario(base.run, other.run));
        reasons.extend(levers(base, other));
        reasons.extend(machine(&base.run.host, &other.run.host));
        reasons.extend(program(base.run, other.run));
        reasons.extend(method(base.run, other.run));
        reasons.extend(failure("B", other.run));
        reasons.extend(failure("A", base.run));
        return reasons;
    }
    reasons.extend(failure(BOTH, base.run));
    reasons
}

/// What may explain a difference, or weakens what is said about one.
pub(super) fn notes(base: Entrant<'_>, other: Entrant<'_>) -> Vec<String> {
    if std::ptr::eq(base.run, other.run) {
        return about(BOTH, base.run);
    }
    let mut notes = about("A", base.run);
    notes.extend(about("B", other.run));
    let (a, b) = (&base.run.build, &other.run.build);
    notes.extend(difference("compiler", &a.rustc, &b.rustc));
    let (a, b) = (&base.run.kvbench_version, &other.run.kvbench_version);
    notes.extend(difference("version of kvbench", a, b));
    notes
}

pub(super) fn about(name: &str, run: &Run) -> Vec<String> {
    let mut notes = Vec::new();
    if !run.complete {
        notes.push(format!("{name} was cut short: only finished trials are in it"));
    }
    let grade = fitness::grade(run);
    if grade.letter >= fitness::Letter::C {
        let worst = grade.reasons.first();
        let worst = worst.map_or(String::new(), |fact| format!(": {}, {}", fact.name, fact.reason));
        notes.push(format!("{name} was measured on a machine of grade {}{worst}", grade.letter));
    }
    notes
}

fn scenario(a: &Run, b: &Run) -> Vec<String> {
    let (asked, also) = (&a.scenario, &b.scenario);
    let mut reasons: Vec<String> =
        difference("scenario", &asked.name, &also.name).into_iter().collect();
    if reasons.is_empty() && asked.text != also.text {
        let same = asked.text.lines().zip(also.text.lines()).take_while(|(a, b)| a == b).count();
        reasons.push(format!("scenario: the texts differ from line {} on", same + 1));
    }
    if a.quick != b.quick {
        reasons.push(format!("only {} was shortened by --quick", if a.quick { "A" } else { "B" }));
    }
    if a.counts_syscalls != b.counts_syscalls {
        let counted = if a.counts_syscalls { "A" } else { "B" };
        reasons
            .push(format!("only of {counted} were system calls counted, which slows each of them"));
    }
    if a.agents.len() != b.agents.len() {
        let count = |run: &Run| run.agents.len().to_string();
        reasons.extend(difference("machines that offered the load", &count(a), &count(b)));
    }
    reasons
}

/// Levers of arms that go by one name; where the names differ, levers are what is compared. A lever that one version did not know
/// is passed over.
fn levers(base: Entrant<'_>, other: Entrant<'_>) -> Vec<String> {
    fn arm<'a>(side: &Entrant<'a>) -> Option<&'a Arm> {
        side.run.arms.iter().find(|arm| arm.name == side.arm)
    }
    let (Some(a), Some(b)) = (arm(&base), arm(&other)) else { return Vec::new() };
    if a.name != b.name {
        return Vec::new();
    }
    let known =
        a.levers.iter().filter_map(|(name, value)| Some((name, value, b.levers.get(name)?)));
    known.filter_map(|(name, a, b)| difference(&format!("lever {name}"), a, b)).collect()
}

/// By the machine key, or where a record has none by the facts that go into one.
fn machine(a: &Host, b: &Host) -> Vec<String> {
    let keys = [&a.details.machine_key, &b.details.machine_key];
    let are_known = keys.iter().all(|key| is_known(key));
    if are_known && keys[0] == keys[1] {
        return Vec::new();
    }
    let cores = |host: &Host| host.cores.to_string();
    let memory = |host: &Host| {
        let steps = (host.memory_bytes + MEMORY_STEP_BYTES / 2) / MEMORY_STEP_BYTES;
        format!("{} MiB", steps * (MEMORY_STEP_BYTES >> 20))
    };
    let facts = [
        difference("CPU", &a.cpu, &b.cpu),
        difference("cores", &cores(a), &cores(b)),
        difference("memory", &memory(a), &memory(b)),
        difference("kernel", &a.kernel, &b.kernel),
        difference("hypervisor", &a.hypervisor, &b.hypervisor),
        difference("clock source", &a.clocksource, &b.clocksource),
        difference("governor", &a.governor, &b.governor),
        difference("file system", &a.filesystem, &b.filesystem),
    ];
    let mut reasons: Vec<String> = facts.into_iter().flatten().collect();
    if reasons.is_empty() && are_known {
        reasons.extend(difference("machine key", keys[0], keys[1]));
    }
    reasons
}

/// How the program was compiled. Its revision is what one compares, and its compiler is a note.
fn program(a: &Run, b: &Run) -> Vec<String> {
    let (of_a, of_b) = (&a.build.details, &b.build.details);
    let facts = [
        difference("cargo profile", &a.build.profile, &b.build.profile),
        difference("target", &of_a.target, &of_b.target),
        difference("target CPU", &of_a.target_cpu, &of_b.target_cpu),
        difference("optimisation", &of_a.opt_level, &of_b.opt_level),
        difference("LTO", &of_a.lto, &of_b.lto),
        difference("features", &of_a.features, &of_b.features),
        difference("allocator", &of_a.allocator, &of_b.allocator),
    ];
    facts.into_iter().flatten().collect()
}

fn method(a: &Run, b: &Run) -> Option<String> {
    let word = |run: &Run| match run.method {
        0 => "not counted yet".to_owned(),
        version => version.to_string(),
    };
    difference("method version", &word(a), &word(b))
}

/// What makes a side's speed worthless.
pub(in crate::compare) fn failure(name: &str, run: &Run) -> Vec<String> {
    let wrong = run.checks.iter().filter(|check| check.is_wrong());
    let mut reasons: Vec<String> = wrong
        .map(|check| format!("{name} gave wrong answers: check {} failed", check.id))
        .collect();
    reasons.extend(invalid::by_host(run).map(|why| format!("{name}: {why}")));
    reasons
}

fn is_known(fact: &str) -> bool {
    !matches!(fact, NOT_VISIBLE | "" | "unknown")
}

/// `kernel: 6.1 against 6.2`, if both are known and differ.
fn difference(what: &str, a: &str, b: &str) -> Option<String> {
    (a != b && is_known(a) && is_known(b)).then(|| format!("{what}: {a} against {b}"))
}
