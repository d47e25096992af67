//! One measurement: load on one target at one client count, with every instrument read at both ends of the span.

use super::{RunError, Stage, sampled};
use crate::agent::{AgentError, AgentSeen, Driven, Fleet};
use crate::load::{
    self, Acked, Due, Fanout, FanoutError, Pace, Seen, Share, Span, WARMUP_STRETCH_MAX, Watched,
};
use crate::measure::allocations::{self, AllocationCounts};
use crate::measure::cpu::{CpuSample, LOAD};
use crate::measure::host::HostSample;
use crate::measure::lock::NamedLocks;
use crate::measure::pipeline::PipelineCounts;
use crate::measure::process::{self, ProcessSample};
use crate::measure::recorder::{Recorder, Services};
use crate::measure::series::{Series, Slot};
use crate::measure::stage::Stage as PipelineStage;
use crate::measure::syscalls::{Entrance, Syscalls};
use crate::record::bundle::histogram_text;
use crate::record::{
    AgentCell, Allocations, Cell, Counters, HostUse, Lag, Latency, LockUse, OpCell, OpenCell,
    ProcessUse, RoleCpu, Sampled, SeriesCell, StageTime, WatchCell,
};
use crate::scenario::spec::{OpKind, Phase, Scenario};
use crate::seed::Seed;
use crate::target::{Launch, Target};
use crate::units::Nanos;
use crate::workload::Workload;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

/// Which cell.
pub(super) struct At<'a> {
    pub(super) arm: &'a str,
    pub(super) phase: &'a Phase,
    pub(super) clients: u32,
    pub(super) pace: Pace,
    pub(super) position: u32,
    pub(super) seed: Seed,
}

/// What was measured.
pub(super) struct Measured {
    pub(super) cell: Cell,
    pub(super) acked: Acked,
    /// What a few keys showed, if that was asked for.
    pub(super) sampled: Option<Sampled>,
}

impl At<'_> {
    fn name(&self) -> String {
        self.phase.place(self.clients)
    }

    fn failed(&self, source: FanoutError) -> RunError {
        RunError::Watchers { arm: self.arm.to_owned(), cell: self.name(), source }
    }

    fn broken(&self, cell: &Cell, first: String) -> RunError {
        let arm = self.arm.to_owned();
        RunError::Operations { arm, cell: self.name(), errors: cell.errors, first }
    }
}

/// Measures one cell, with its watchers from before the load until they have everything.
pub(super) fn measure<L: Launch>(
    stage: &mut Stage<'_, L>,
    target: &L::Target,
    at: &At<'_>,
) -> Result<Measured, RunError> {
    let span = Span {
        clients: at.clients,
        share: Share::ALL,
        pace: at.pace.clone(),
        warmup: at.phase.warmup,
        duration: at.phase.duration,
        seed: at.seed,
        sample: sampled::keys(stage, at.seed, at.clients),
    };
    let watchers = at.phase.watchers;
    let watching = || Fanout::start(&target.watched(), watchers, stage.clock);
    let deaf = |source| at.failed(source);
    let fanout = (watchers > 0).then(watching).transpose().map_err(deaf)?;
    let mut ends = Ends {
        target,
        fanout: fanout.as_ref(),
        clock: stage.clock,
        entrance: stage.entrance.as_ref(),
        counted: None,
        peaks_are_marked: false,
        begin: None,
        end: None,
    };
    let stop = &stage.options.interrupted;
    stage.watcher.measuring(&format!("{} {}", at.name(), at.arm), longest(&span));
    let driven = match &mut stage.fleet {
        Some(fleet) => drive(fleet, target, stage.scenario, &span, stop, &mut ends),
        None => {
            let workload = Workload::of(stage.scenario);
            let seen = load::offer(target, &workload, &span, stage.clock, stop, &mut ends);
            let alone = seen.map(|seen| Driven { seen, by_agent: Vec::new() });
            alone.map_err(RunError::from)
        }
    };
    stage.watcher.measured();
    let Driven { seen, by_agent } = driven?;
    let (begin, end, peaks_are_marked) = ends.both();
    let watched = fanout.map(|fanout| fanout.finish(stop)).transpose().map_err(deaf);
    let mut cell = cell(at, &seen, &begin, &end);
    cell.process = process(&begin, &end, peaks_are_marked);
    add_agents(&mut cell, &by_agent);
    let asked = stage.scenario.checks.linearizable;
    let sampled = asked.then(|| sampled::question(&seen));
    if let Some(first) = seen.first_error {
        stage.lost_wrong.extend(sampled.into_iter().flat_map(|sampled| sampled.wrong));
        return Err(at.broken(&cell, first));
    }
    cell.watch = watched?.map(|watched| watch(&watched, cell.elapsed_s, &begin, &end));
    Ok(Measured { cell, acked: seen.acked, sampled })
}

/// The load from agents, through the target's way in.
fn drive(
    fleet: &mut Fleet,
    target: &impl Target,
    scenario: &Scenario,
    span: &Span,
    stop: &AtomicBool,
    watcher: &mut dyn load::Watcher,
) -> Result<Driven, RunError> {
    let dial = target.dial().ok_or(AgentError::NoWayIn)?;
    Ok(fleet.drive(&dial, scenario, span, stop, watcher)?)
}

/// How long a measurement lasts at most, beside the answers that are under way at its end.
pub(super) fn longest(span: &Span) -> Nanos {
    Nanos(span.warmup.0.saturating_mul(WARMUP_STRETCH_MAX)).after(span.duration)
}

/// Notes what each agent did; their load threads are the load's.
fn add_agents(cell: &mut Cell, by_agent: &[AgentSeen]) {
    let Some(used) = by_agent.iter().map(|agent| agent.cpu).reduce(|sum, cpu| sum.plus(cpu)) else {
        return;
    };
    let (cpu_ns, runqueue_ns) = (used.cpu_ns, used.runqueue_ns);
    cell.cpu.push(RoleCpu {
        role: LOAD.to_owned(),
        cpu_ns,
        runqueue_ns,
        switches: None,
        syscalls: None,
    });
    let agent = |agent: &AgentSeen| AgentCell {
        address: agent.address.clone(),
        clients: agent.clients,
        ops: agent.ops,
        cpu_ns: agent.cpu.cpu_ns,
        late_ns: agent.late.0,
        clock_error_ns: agent.clock_error.0,
        clock_drift_ns: agent.clock_drift_ns,
    };
    cell.agents = by_agent.iter().map(agent).collect();
    // An agent on this machine would count as somebody else.
    if let Some(host) = &mut cell.host {
        host.foreign_cores = None;
    }
}

/// Every instrument at one moment.
struct Reading {
    at: Nanos,
    counts: PipelineCounts,
    locks: Vec<NamedLocks>,
    /// The most requests under execution at once since the reading before.
    appliers_max: Option<u32>,
    cpu: CpuSample,
    host: HostSample,
    process: Option<ProcessSample>,
    allocations: Option<AllocationCounts>,
    /// System calls of each role since they are counted, or why there are none; of the end alone, and none where nobody asked.
    syscalls: Option<Result<BTreeMap<&'static str, u64>, String>>,
    /// Events given to watchers since they listen.
    delivered: u64,
}

/// The readings at both ends of the measured span.
struct Ends<'a, T> {
    target: &'a T,
    fanout: Option<&'a Fanout>,
    clock: crate::clock::Clock,
    /// Where system calls are counted, or why they cannot be; none where nobody asked.
    entrance: Option<&'a Result<Entrance, String>>,
    counted: Option<Result<Syscalls, String>>,
    /// Whether the processes' memory marks were set back at the begin.
    peaks_are_marked: bool,
    begin: Option<Reading>,
    end: Option<Reading>,
}

impl<T: Target> Ends<'_, T> {
    fn read(&self) -> Reading {
        let processes = self.target.processes();
        Reading {
            at: self.clock.now(),
            counts: self.target.counts(),
            locks: self.target.locks(),
            appliers_max: self.target.take_most_appliers(),
            cpu: CpuSample::with(&processes),
            host: HostSample::now(),
            process: ProcessSample::with(&processes),
            allocations: allocations::counted(),
            syscalls: None,
            delivered: self.fanout.map_or(0, Fanout::delivered),
        }
    }

    /// Both readings, and whether the memory's peak lies between them.
    fn both(self) -> (Reading, Reading, bool) {
        let (begin, end) = self.begin.zip(self.end).expect("the load calls both ends");
        (begin, end, self.peaks_are_marked)
    }
}

impl<T: Target> load::Watcher for Ends<'_, T> {
    fn begin(&mut self) {
        self.peaks_are_marked = process::mark_peaks(&self.target.processes());
        let begin = self.read();
        // What the reading itself calls is not of the span: counted after it here, and before it at the end.
        self.counted = self.entrance.map(|entrance| {
            let entrance = entrance.as_ref().map_err(String::clone)?;
            entrance.count(begin.cpu.roles()).map_err(|why| why.to_string())
        });
        self.begin = Some(begin);
    }

    fn end(&mut self) {
        let syscalls = self.counted.as_mut().map(|counted| {
            let counted = counted.as_mut().map_err(|why| why.clone())?;
            counted.by_role().map_err(|why| why.to_string())
        });
        self.end = Some(Reading { syscalls, ..self.read() });
    }
}

fn cell(at: &At<'_>, seen: &Seen, begin: &Reading, end: &Reading) -> Cell {
    let elapsed_s = seen.elapsed.as_secs_f64().max(f64::MIN_POSITIVE);
    let recorder = &seen.recorder;
    let all = recorder.all();
    let open = match (&at.pace, &seen.due) {
        (Pace::Open(schedule), Some(due)) => Some(open(schedule, due, elapsed_s)),
        _ => None,
    };
    // What a client waits for, kind by kind.
    let latencies = seen.due.as_ref().map_or(recorder, |due| &due.responses);
    Cell {
        phase: at.phase.name.clone(),
        clients: at.clients,
        position: at.position,
        started_s: begin.at.as_secs_f64(),
        elapsed_s,
        ops: all.count(),
        errors: recorder.errors(),
        throughput_per_s: all.count() as f64 / elapsed_s,
        service: latency(&all),
        open,
        search: None,
        by_op: by_op(latencies, elapsed_s),
        series: series(&seen.series),
        watch: None,
        in_flight_mean: all.sum_ns() as f64 / 1e9 / elapsed_s,
        thinking_mean: seen.thought.as_secs_f64() / elapsed_s,
        stages: stages(recorder),
        counters: counters(end.counts.since(begin.counts)),
        locks: locks(begin, end),
        appliers_max: end.appliers_max,
        cpu: cpu(begin, end),
        syscalls_absent: end.syscalls.as_ref().and_then(|calls| calls.as_ref().err().cloned()),
        load_threads: seen.threads,
        process: None,
        allocations: allocations(begin, end),
        host: Some(host(begin, end)),
        agents: Vec::new(),
    }
}

fn open(schedule: &load::Schedule, due: &Due, elapsed_s: f64) -> OpenCell {
    OpenCell {
        arrival: schedule.arrival.to_string(),
        course: schedule.course.to_string(),
        rates_per_s: schedule.rates_per_s.clone(),
        scheduled: due.scheduled,
        unfinished: due.unfinished,
        unsent: due.unsent,
        response: latency(&due.responses.all()),
        lag: Lag {
            p50_ns: due.lag.quantile_ns(0.5),
            p99_ns: due.lag.quantile_ns(0.99),
            max_ns: due.lag.max_ns(),
        },
        in_flight_counted: due.under_way.as_secs_f64() / elapsed_s,
    }
}

/// None if nothing ended within the span.
fn series(series: &Series) -> Option<SeriesCell> {
    let slots = series.slots();
    (!slots.is_empty()).then(|| SeriesCell {
        slot_s: series.slot().as_secs_f64(),
        done: slots.iter().map(Slot::done).collect(),
        p99_ns: slots.iter().map(|slot| slot.quantile_ns(0.99)).collect(),
    })
}

/// What the machine did beyond what this run's threads did.
fn host(begin: &Reading, end: &Reading) -> HostUse {
    let span_s = end.at.since(begin.at).as_secs_f64().max(f64::MIN_POSITIVE);
    let used = end.host.since(&begin.host);
    let own_ns: u64 = end.cpu.since(&begin.cpu).values().map(|role| role.cpu_ns).sum();
    let share = |seconds: Option<f64>| seconds.map(|seconds| seconds / span_s);
    let foreign = used.cpu_s.map(|all| (all - own_ns as f64 / 1e9).max(0.0));
    HostUse {
        foreign_cores: share(foreign),
        stolen_cores: share(used.stolen_s),
        cpu_pressure: share(used.cpu_wait_s),
        io_pressure: share(used.io_wait_s),
    }
}

fn by_op(recorder: &Recorder, elapsed_s: f64) -> Vec<OpCell> {
    let op = |(kind, services): (usize, &Services)| OpCell {
        op: OpKind::ALL[kind].as_str().to_owned(),
        ops: services.count(),
        throughput_per_s: services.count() as f64 / elapsed_s,
        service: latency(services),
    };
    recorder.kinds().map(op).collect()
}

fn watch(watched: &Watched, elapsed_s: f64, begin: &Reading, end: &Reading) -> WatchCell {
    let events = end.delivered - begin.delivered;
    WatchCell {
        watchers: watched.watchers,
        events,
        events_per_s: events as f64 / elapsed_s,
        resyncs: watched.resyncs,
        lag_s: watched.lag.as_secs_f64(),
        due: watched.due,
        revisions: watched.revisions,
        compacted: watched.compacted,
        misplaced: watched.misplaced,
    }
}

fn latency(services: &Services) -> Latency {
    Latency {
        count: services.count(),
        mean_ns: services.sum_ns() as f64 / services.count().max(1) as f64,
        p50_ns: services.quantile_ns(0.5),
        p90_ns: services.quantile_ns(0.9),
        p99_ns: services.quantile_ns(0.99),
        p999_ns: services.quantile_ns(0.999),
        max_ns: services.max_ns(),
        histogram: histogram_text(&services.histogram_v2()),
    }
}

/// Empty if no stage took any time: then the stage clock was off.
fn stages(recorder: &Recorder) -> Vec<StageTime> {
    let means = recorder.stage_means_ns();
    if means.iter().all(|mean| *mean <= 0.0) {
        return Vec::new();
    }
    let [median, tail] = [0.5, 0.99].map(|quantile| recorder.stage_quantiles_ns(quantile));
    let stage = |(place, stage): (usize, &PipelineStage)| StageTime {
        stage: stage.as_str().to_owned(),
        mean_ns: means[place],
        p50_ns: Some(median[place]),
        p99_ns: Some(tail[place]),
    };
    PipelineStage::ALL.iter().enumerate().map(stage).collect()
}

fn counters(counts: PipelineCounts) -> Counters {
    Counters {
        fsyncs: counts.fsyncs,
        fsync_ns: counts.fsync_ns,
        readies: counts.readies,
        entries: counts.entries,
        requests: counts.requests,
        apply_batches: counts.apply_batches,
        log_bytes: counts.log_bytes,
    }
}

fn locks(begin: &Reading, end: &Reading) -> Vec<LockUse> {
    let both = begin.locks.iter().zip(&end.locks);
    both.map(|(before, after)| {
        let used = after.since(before).sum();
        LockUse {
            name: after.name.to_owned(),
            locks: after.each.len() as u32,
            acquisitions: used.acquisitions,
            contended: used.contended,
            wait_ns: used.wait_ns,
            hold_ns: used.hold_ns,
        }
    })
    .collect()
}

fn process(begin: &Reading, end: &Reading, peaks_are_marked: bool) -> Option<ProcessUse> {
    let (before, after) = (begin.process?, end.process?);
    let gone = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
    Some(ProcessUse {
        resident_begin_bytes: before.resident_bytes,
        resident_end_bytes: after.resident_bytes,
        resident_peak_bytes: peaks_are_marked.then_some(after.peak_bytes),
        io_calls: gone(after.io_calls, before.io_calls),
        disk_bytes: gone(after.disk_bytes, before.disk_bytes),
    })
}

fn allocations(begin: &Reading, end: &Reading) -> Option<Allocations> {
    let AllocationCounts { count, bytes } = end.allocations?.since(begin.allocations?);
    Some(Allocations { count, bytes })
}

fn cpu(begin: &Reading, end: &Reading) -> Vec<RoleCpu> {
    let mut roles = end.cpu.since(&begin.cpu);
    let calls = end.syscalls.as_ref().and_then(|calls| calls.as_ref().ok());
    // A role whose threads have all ended by now still called.
    for role in calls.into_iter().flat_map(BTreeMap::keys) {
        roles.entry(role).or_default();
    }
    let used = |(role, used): (&str, crate::measure::cpu::CpuUse)| RoleCpu {
        role: role.to_owned(),
        cpu_ns: used.cpu_ns,
        runqueue_ns: used.runqueue_ns,
        switches: Some(used.switches),
        syscalls: calls.map(|calls| calls.get(role).copied().unwrap_or(0)),
    };
    roles.into_iter().map(used).collect()
}
