//! Who waits for which lock and who holds it, and what each thread role does with its time meanwhile.

use super::{Files, Offered, Subject, keep};
use crate::load::{self, Seen};
use crate::measure::contention::{PERIOD_NS, Sampled};
use crate::measure::cpu::{self, CpuSample};
use crate::measure::lock::{NamedContention, NamedLocks};
use crate::measure::spans::SpanCounts;
use crate::profile::{self, Doing, LockStacks, ProfileError, Site};
use crate::record::{LockProfile, LockSite, ProfiledLock, RoleTime, Run, Spread};
use crate::runner::{RunError, Stage};
use crate::scenario::spec::Arm;
use crate::target::{Launch, Target};
use crate::units::Nanos;
use std::collections::BTreeMap;

/// The role that syncs the log.
const SYNCS: &str = "raft";

/// What was seen of one arm.
pub(super) struct Profiled {
    arm: String,
    clients: u32,
    elapsed: Nanos,
    ops: u64,
    service_mean_ns: f64,
    locks: Vec<NamedLocks>,
    contention: Vec<NamedContention>,
    waits: LockStacks,
    holds: LockStacks,
    roles: Vec<RoleTime>,
}

/// Loads one arm with locks that take call stacks; nothing if it has no locks that show.
pub(super) fn profile<L: Launch>(
    stage: &mut Stage<'_, L>,
    arm: &Arm,
    offered: &Offered,
) -> Result<Option<Profiled>, RunError> {
    let mut arm = arm.clone();
    arm.system.lock_profile = true;
    let subject = Subject::start(stage, &arm, offered)?;
    let mut ends = Ends { target: &subject.target, begin: None, end: None, contention: Vec::new() };
    let seen = subject.load(stage, &mut ends)?;
    let Ends { begin, end, contention, .. } = ends;
    let (begin, end) = begin.zip(end).expect("the load calls both ends");
    if contention.is_empty() {
        return Ok(None);
    }
    // One member's syncs are known, and the threads of all are seen.
    let tells_syncs = arm.system.nodes == 1;
    Ok(Some(profiled(&arm.name, offered.clients, &seen, &begin, &end, contention, tells_syncs)))
}

/// The instruments at one moment.
struct Reading {
    locks: Vec<NamedLocks>,
    cpu: CpuSample,
    fsync_ns: u64,
}

struct Ends<'a, T> {
    target: &'a T,
    begin: Option<Reading>,
    end: Option<Reading>,
    contention: Vec<NamedContention>,
}

impl<T: Target> Ends<'_, T> {
    fn read(&self) -> Reading {
        let fsync_ns = self.target.counts().fsync_ns;
        Reading { locks: self.target.locks(), cpu: CpuSample::now(), fsync_ns }
    }
}

impl<T: Target> load::Watcher for Ends<'_, T> {
    fn begin(&mut self) {
        // What came before is not of this span.
        drop(self.target.take_contention());
        self.begin = Some(self.read());
    }

    fn end(&mut self) {
        self.end = Some(self.read());
        self.contention = self.target.take_contention();
    }
}

fn profiled(
    arm: &str,
    clients: u32,
    seen: &Seen,
    begin: &Reading,
    end: &Reading,
    contention: Vec<NamedContention>,
    tells_syncs: bool,
) -> Profiled {
    let locks: Vec<NamedLocks> =
        end.locks.iter().zip(&begin.locks).map(|(end, begin)| end.since(begin)).collect();
    let of = |side: fn(&NamedContention) -> &Sampled| {
        let mut stacks = LockStacks::default();
        contention.iter().for_each(|lock| add(&mut stacks, lock.name, side(lock)));
        stacks
    };
    let (waits, holds) = (of(|lock| &lock.contention.waits), of(|lock| &lock.contention.holds));
    let disk_ns = if tells_syncs { end.fsync_ns.saturating_sub(begin.fsync_ns) } else { 0 };
    let waited = locks.iter().map(|lock| lock.sum().wait_ns).sum();
    let all = seen.recorder.all();
    Profiled {
        arm: arm.to_owned(),
        clients,
        elapsed: seen.elapsed,
        ops: all.count(),
        service_mean_ns: all.sum_ns() as f64 / all.count().max(1) as f64,
        roles: roles(begin, end, &waits, waited, disk_ns),
        locks,
        contention,
        waits,
        holds,
    }
}

fn add(stacks: &mut LockStacks, lock: &str, sampled: &Sampled) {
    let scale = sampled.spans_scale();
    for (stack, weight) in &sampled.stacks {
        let frames = stack.frames().into_iter().map(|frame| (frame.name, frame.file));
        let times = weight.spans * scale;
        stacks.add(stack.thread(), frames, lock, (weight.samples, weight.nanos, times));
    }
}

/// Waiting for locks is told by the stacks' shares of what the tallies say.
fn roles(
    begin: &Reading,
    end: &Reading,
    waits: &LockStacks,
    waited_ns: u64,
    disk_ns: u64,
) -> Vec<RoleTime> {
    let mut by_role: BTreeMap<&str, u64> = BTreeMap::new();
    for (role, nanos) in waits.by_role() {
        *by_role.entry(cpu::role(role)).or_default() += nanos;
    }
    let scale = waited_ns as f64 / waits.nanos().max(1) as f64;
    let threads = end.cpu.threads();
    let used = end.cpu.since(&begin.cpu).into_iter();
    used.map(|(role, used)| RoleTime {
        role: role.to_owned(),
        threads: threads.get(role).copied().unwrap_or(0),
        cpu_ns: used.cpu_ns,
        runqueue_ns: used.runqueue_ns,
        lock_ns: (by_role.get(role).copied().unwrap_or(0) as f64 * scale).round() as u64,
        disk_ns: if role == SYNCS { disk_ns } else { 0 },
    })
    .collect()
}

/// Notes the arms in `run` and draws them, and what lies between them.
pub(super) fn draw(run: &mut Run, arms: &[Profiled], files: &mut Files) {
    for arm in arms {
        let drawing = draw_one(run, arm);
        keep(run, files, drawing);
    }
    if let [before, after] = arms
        && before.waits.samples() > 0
        && after.waits.samples() > 0
    {
        let drawing = draw_diff(run, before, after);
        keep(run, files, drawing);
    }
}

fn draw_one(run: &mut Run, one: &Profiled) -> Result<Files, ProfileError> {
    let name = |kind: &str, end: &str| format!("{kind}-{}.{end}", one.arm);
    let (wait_file, hold_file) = (name("wait", "folded"), name("hold", "folded"));
    let (pprof_file, flame_file) = (name("locks", "pb.gz"), name("flame-lock-wait", "svg"));
    let seconds = one.elapsed.as_secs_f64();
    let mut files = vec![
        (wait_file.clone(), one.waits.folded().to_text().into_bytes()),
        (hold_file.clone(), one.holds.folded().to_text().into_bytes()),
        (pprof_file.clone(), one.waits.pprof(seconds)?),
    ];
    let is_waited_for = one.waits.samples() > 0;
    if is_waited_for {
        files.push((flame_file.clone(), flame(run, one)?));
    }
    run.lock_profiles.push(LockProfile {
        arm: one.arm.clone(),
        clients: one.clients,
        elapsed_s: seconds,
        ops: one.ops,
        service_mean_ns: one.service_mean_ns,
        period_ns: PERIOD_NS,
        locks: locks(one),
        roles: one.roles.clone(),
        wait_file,
        hold_file,
        pprof_file,
        flame_file: is_waited_for.then_some(flame_file),
    });
    Ok(files)
}

fn flame(run: &Run, one: &Profiled) -> Result<Vec<u8>, ProfileError> {
    let (name, arm, clients) = (&run.scenario.name, &one.arm, one.clients);
    let title = format!("{name}: {arm} waiting for locks, {clients} clients");
    let subtitle = format!(
        "{} call stacks in {}, each for {} of waiting; widths are time waited",
        one.waits.samples(),
        one.elapsed,
        Nanos(PERIOD_NS)
    );
    profile::flame(&title, &subtitle, Doing::Waiting, &one.waits.folded())
}

fn draw_diff(run: &Run, before: &Profiled, after: &Profiled) -> Result<Files, ProfileError> {
    let names = (&after.arm, &before.arm);
    let title =
        format!("{}: {} against {}, lock waits per operation", run.scenario.name, names.0, names.1);
    let subtitle =
        format!("widths: {}, ns waited per op; red: more than {}, blue: less", names.0, names.1);
    let (left, right) = (before.waits.folded(), after.waits.folded());
    let sampled = |folded, arm: &Profiled| profile::Sampled {
        folded,
        time: Nanos(arm.waits.nanos()),
        ops: arm.ops,
    };
    let (before, after) = (sampled(&left, before), sampled(&right, after));
    let svg = profile::flame_diff(&title, &subtitle, Doing::Waiting, before, after)?;
    Ok(vec![("flame-lock-wait-diff.svg".to_owned(), svg)])
}

/// Locks that were taken.
fn locks(one: &Profiled) -> Vec<ProfiledLock> {
    let (waiters, holders) = (one.waits.sites(), one.holds.sites());
    let sites = |all: &[Site], lock: &str| -> Vec<LockSite> {
        let its = all.iter().filter(|site| site.lock == lock);
        let site = |site: &Site| LockSite {
            function: site.function.clone(),
            samples: site.samples,
            nanos: site.nanos,
        };
        its.map(site).collect()
    };
    let taken = one.locks.iter().filter(|lock| lock.sum().acquisitions > 0);
    taken
        .map(|lock| {
            let sum = lock.sum();
            let seen = one.contention.iter().find(|seen| seen.name == lock.name);
            let times = |side: fn(&NamedContention) -> &Sampled| {
                seen.map_or(Spread::default(), |seen| spread(&side(seen).times))
            };
            ProfiledLock {
                name: lock.name.to_owned(),
                acquisitions_each: lock.each.iter().map(|each| each.acquisitions).collect(),
                wait_ns_each: lock.each.iter().map(|each| each.wait_ns).collect(),
                contended: sum.contended,
                hold_ns: sum.hold_ns,
                wait: times(|seen| &seen.contention.waits),
                hold: times(|seen| &seen.contention.holds),
                waiters: sites(&waiters, lock.name),
                holders: sites(&holders, lock.name),
            }
        })
        .collect()
}

fn spread(times: &SpanCounts) -> Spread {
    Spread {
        p50_ns: times.quantile_ns(0.5),
        p99_ns: times.quantile_ns(0.99),
        max_ns: times.quantile_ns(1.0),
    }
}
