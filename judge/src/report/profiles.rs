//! What the profiles say, in sentences; above all how much of an operation is waiting for locks, and where.

use crate::record::{LockProfile, OffCpuProfile, Profile, RoleTime, Run};
use crate::report::story;
use crate::report::words::{self, count, percent};

/// A share of an operation's time below this is nothing that a lever on a lock could win back.
const NEGLIGIBLE: f64 = 0.01;
/// Fewest call stacks from which a share of the waiting is told.
const STACKS_LEAST: u64 = 10;

/// Whether a record holds profiles and nothing that was measured.
pub fn is_all_there_is(run: &Run) -> bool {
    run.trials.is_empty() && !(run.profiles.is_empty() && run.lock_profiles.is_empty())
}

/// Says that nothing was measured where one would look for how fast an arm is.
pub(super) const NOT_MEASURED: &str =
    "Where time goes. Nothing here says how fast an arm is: no trial was measured.";

/// What the profiles are of, and what those of the locks say.
pub fn lines(run: &Run) -> Vec<String> {
    let mut lines = cpu_lines(run);
    lines.extend(lock_sentences(run));
    lines.extend(off_cpu_lines(run));
    lines.extend(run.warnings.iter().map(|text| format!("! {}", story::warning(text))));
    lines.iter().map(|line| words::plain(line)).collect()
}

/// What those of CPU time are of.
pub(super) fn cpu_lines(run: &Run) -> Vec<String> {
    let on_cpu = |profile: &Profile| {
        let busy = profile.cpu_ns as f64 / 1e9 / profile.elapsed_s;
        format!(
            "{}, on CPU: {} in {:.2} s at {}, {busy:.2} cores busy",
            profile.arm,
            count(profile.samples as usize, "sample", "samples"),
            profile.elapsed_s,
            count(profile.clients as usize, "client", "clients")
        )
    };
    run.profiles.iter().map(on_cpu).collect()
}

/// What was recorded of what threads left their CPUs for, or why nothing was; nothing where nobody asked.
pub(super) fn off_cpu_lines(run: &Run) -> Vec<String> {
    let off_cpu = |profile: &OffCpuProfile| {
        let threads = profile.off_cpu_ns as f64 / 1e9 / profile.elapsed_s;
        format!(
            "{}, off CPU: {threads:.2} threads on average in {:.2} s at {}",
            profile.arm,
            profile.elapsed_s,
            count(profile.clients as usize, "client", "clients")
        )
    };
    let absent = run.off_cpu_absent.iter();
    let absent =
        absent.map(|why| format!("no picture of what threads leave their CPUs for: {why}"));
    run.off_cpu.iter().map(off_cpu).chain(absent).collect()
}

/// One sentence for each arm whose locks were profiled.
pub(super) fn lock_sentences(run: &Run) -> Vec<String> {
    run.lock_profiles.iter().map(sentence).collect()
}

fn sentence(profile: &LockProfile) -> String {
    let arm = &profile.arm;
    let clients = count(profile.clients as usize, "client", "clients");
    let share = profile.wait_share();
    if profile.locks.iter().all(|lock| lock.contended == 0) {
        return format!("{arm}: nobody waited for a lock of the store or the inbox, {clients}");
    }
    let told = format!("{arm}: {} of an op's time is waiting for locks, {clients}", percent(share));
    let is_little = share < NEGLIGIBLE && busiest_waiter(profile) < NEGLIGIBLE;
    let of_little = if is_little { ", so no lock is its limit" } else { "" };
    let sites = profile.locks.iter().flat_map(|lock| &lock.waiters);
    let stacks = sites.fold(0u64, |sum, site| sum.saturating_add(site.samples));
    match profile.hottest() {
        Some((lock, site, part)) if stacks >= STACKS_LEAST => format!(
            "{told}{of_little}; {} of that for lock {}, in {}",
            percent(part),
            words::short(&lock.name, 24),
            words::short(&site.function, 60)
        ),
        _ => format!("{told}{of_little}"),
    }
}

/// The role whose threads spend most of their time waiting for locks, as a share of it. Behind one thread that serves many clients, all
/// of its waiting is little of theirs.
fn busiest_waiter(profile: &LockProfile) -> f64 {
    let share = |role: &RoleTime| {
        role.lock_ns as f64 / (f64::from(role.threads.max(1)) * profile.elapsed_s * 1e9)
    };
    profile.roles.iter().map(share).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn said(change: impl FnOnce(&mut LockProfile)) -> String {
        let mut profile = sample::lock_profile("before");
        change(&mut profile);
        sentence(&profile)
    }

    #[test]
    fn the_sentence_says_how_much_and_where() {
        let wanted = "before: 80.0 % of an op's time is waiting for locks, 8 clients; 97.0 % of that for lock store, in \
                      store::global::apply_locked";
        assert_eq!(said(|_| ()), wanted);
    }

    #[test]
    fn little_waiting_is_called_little() {
        let text = said(|profile| profile.service_mean_ns *= 200.0);
        assert!(!text.contains("no lock is its limit"), "the load threads do nothing else: {text}");
        let text = said(|profile| {
            profile.service_mean_ns *= 200.0;
            profile.roles.iter_mut().for_each(|role| role.lock_ns /= 100);
        });
        assert!(text.contains("0.4 % of an op's time"), "{text}");
        assert!(text.contains("so no lock is its limit; 97.0 %"), "{text}");
    }

    #[test]
    fn few_stacks_tell_no_place_and_none_no_waiting() {
        let text = said(|profile| profile.locks.truncate(1));
        assert!(text.contains("100 % of that"), "{text}");
        let few = |profile: &mut LockProfile| {
            profile.locks.iter_mut().for_each(|lock| lock.waiters[0].samples = 4);
        };
        let text = said(few);
        assert!(text.ends_with("8 clients"), "{text}");
        let text = said(|profile| profile.locks.iter_mut().for_each(|lock| lock.contended = 0));
        assert_eq!(text, "before: nobody waited for a lock of the store or the inbox, 8 clients");
    }
}
