//! The load of one cell at an agent, on a thread of its own.

use super::wire::{self, Told};
use crate::clock::Clock;
use crate::load::{self, Seen, Span};
use crate::measure::cpu::{CpuSample, LOAD};
use crate::rpc::kvbenchpb::agent_report::Report;
use crate::rpc::kvbenchpb::{AgentPlan, AgentReport, AgentWarm};
use crate::scenario;
use crate::target::Dial;
use crate::units::Nanos;
use crate::workload::Workload;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tonic::Status;

/// How often it is looked whether the load should end.
const LOOK: Duration = Duration::from_millis(20);

/// Where reports go.
pub(super) type Reports = Sender<Result<AgentReport, Status>>;

/// A load that runs, until it is over or ended.
pub(super) struct Drive {
    windows: SyncSender<Nanos>,
    stop: Arc<AtomicBool>,
    /// Whether all that remains is to say what was seen: whoever hears that may order the next load before the thread has gone.
    over: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

/// What a plan asks for.
struct Asked {
    workload: Workload,
    span: Span,
    dial: Dial,
}

impl Drive {
    /// Starts what `plan` asks for; why not, if it cannot be.
    pub(super) fn start(plan: AgentPlan, clock: Clock, reports: Reports) -> Result<Drive, Status> {
        let asked = read(plan)?;
        let (windows, window) = sync_channel(1);
        let (stop, over) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let ended = over.clone();
        let gate =
            Gate { window, clock, stop: stop.clone(), reports, told: Told::default(), cpu: None };
        let thread = std::thread::Builder::new().name("drive".into());
        let thread = thread
            .spawn(move || run(asked, gate, &ended))
            .map_err(|error| Status::resource_exhausted(error.to_string()))?;
        Ok(Drive { windows, stop, over, thread })
    }

    /// When operations begin to count, on the agent's clock. Said twice, the first counts.
    pub(super) fn open_at(&self, at: Nanos) {
        let _ = self.windows.try_send(at);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Ends the load and waits until its requests were answered, or given up.
    pub(super) fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        // A panic was printed where it happened.
        let _ = self.thread.join();
    }
}

fn read(plan: AgentPlan) -> Result<Asked, Status> {
    let span = wire::span(&plan).ok_or_else(|| Status::invalid_argument("not a share"))?;
    let options = scenario::Options { set: plan.set, ..scenario::Options::default() };
    let scenario = scenario::parse("the scenario", &plan.scenario, &options)
        .map_err(|problems| Status::invalid_argument(problems.to_string()))?;
    let dial = plan.dial.ok_or_else(|| Status::invalid_argument("nobody to call"))?;
    let dial = wire::dial_in(dial).map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(Asked { workload: Workload::of(&scenario), span, dial })
}

fn run(asked: Asked, mut gate: Gate, over: &AtomicBool) {
    let (clock, stop) = (gate.clock, gate.stop.clone());
    let seen = load::offer(&asked.dial, &asked.workload, &asked.span, clock, &stop, &mut gate);
    let report = match seen {
        Ok(seen) => gate.report(seen),
        Err(error) => Report::Broken(error.to_string()),
    };
    // Relaxed: whoever looks has heard from the run, which has heard from here.
    over.store(true, Ordering::Relaxed);
    // If nobody takes it, the run has gone.
    let _ = gate.reports.blocking_send(Ok(report.into()));
}

/// Holds the window shut until its time.
struct Gate {
    window: Receiver<Nanos>,
    clock: Clock,
    stop: Arc<AtomicBool>,
    reports: Reports,
    told: Told,
    cpu: Option<CpuSample>,
}

impl Gate {
    fn report(&self, seen: Seen) -> Report {
        Report::Seen(wire::seen_out(seen, self.told))
    }

    /// The time of the window; none if the load is to end.
    fn wait(&self) -> Option<Nanos> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.window.recv_timeout(LOOK) {
                Ok(at) => return Some(at),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
        None
    }
}

impl load::Watcher for Gate {
    fn begin(&mut self) {
        let _ = self.reports.blocking_send(Ok(Report::Warm(AgentWarm {}).into()));
        let Some(at) = self.wait() else { return };
        self.clock.sleep(at.since(self.clock.now()));
        self.told.late = self.clock.now().since(at);
        self.cpu = Some(CpuSample::now());
    }

    fn end(&mut self) {
        let Some(before) = &self.cpu else { return };
        self.told.cpu = CpuSample::now().since(before).get(LOAD).copied().unwrap_or_default();
    }
}
