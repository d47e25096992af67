//! All agents of a run, and a cell's load from them.

use super::clocks::Offset;
use super::link::{Agents, Link};
use super::{AgentError, wire};
use crate::clock::Clock;
use crate::load::{Seen, Share, Span, WARMUP_STRETCH_MAX, Watcher};
use crate::measure::cpu::CpuUse;
use crate::rpc::kvbenchpb::AgentWindow;
use crate::rpc::kvbenchpb::agent_order::Order;
use crate::rpc::kvbenchpb::agent_report::Report;
use crate::scenario::spec::Scenario;
use crate::target::Dial;
use crate::units::Nanos;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;

/// From the order of the window to its opening, beside two round trips.
const LEAD: Nanos = Nanos::from_millis(20);
/// Beyond what was planned: an agent connects, and its last requests are answered or given up.
const SLACK: Nanos = Nanos::from_millis(60_000);
/// Longest sleep, so that a stop is seen.
const NAP_MAX: Nanos = Nanos::from_millis(20);

/// A stream to every agent of a run.
pub struct Fleet {
    agents: Agents,
    links: Vec<Link>,
    clock: Clock,
    runtime: Runtime,
}

/// What one agent did in one cell.
#[derive(Clone, Debug)]
pub struct AgentSeen {
    /// `host:port`.
    pub address: String,
    /// Clients it ran.
    pub clients: u32,
    /// Operations that finished within its window.
    pub ops: u64,
    /// Of its load threads within the window.
    pub cpu: CpuUse,
    /// How long after the common instant its window opened, on its own clock.
    pub late: Nanos,
    /// Its clock is known so well: half of the shortest round trip, the worse of before and after.
    pub clock_error: Nanos,
    /// How far its clock went from this one's between before and after, ns.
    pub clock_drift_ns: i64,
}

/// A cell's load from all agents.
#[derive(Debug)]
pub struct Driven {
    /// What they saw together.
    pub seen: Seen,
    /// What each did.
    pub by_agent: Vec<AgentSeen>,
}

/// A host that offers load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentHost {
    /// `host:port` of the agent.
    pub address: String,
    /// What the machine calls itself.
    pub host: String,
    /// Logical cores that the agent may use.
    pub cores: u32,
    /// Kernel release.
    pub kernel: String,
}

impl Fleet {
    /// Connects to all of them. They have to be the same build as this.
    pub fn open(agents: &Agents, clock: Clock) -> Result<Fleet, AgentError> {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("fleet").enable_all().build();
        let runtime = runtime.map_err(|error| AgentError::Runtime(error.to_string()))?;
        let mut fleet = Fleet { agents: agents.clone(), links: Vec::new(), clock, runtime };
        fleet.reopen()?;
        Ok(fleet)
    }

    /// Connects to all of them anew; whatever they did has ended.
    pub fn reopen(&mut self) -> Result<(), AgentError> {
        self.links.clear();
        for address in &self.agents.addresses {
            let opening = Link::open(address, self.agents.tls.clone(), self.clock);
            self.links.push(self.runtime.block_on(opening)?);
        }
        Ok(())
    }

    /// Where the load comes from.
    pub fn hosts(&self) -> Vec<AgentHost> {
        let host = |link: &Link| AgentHost {
            address: link.address.clone(),
            host: link.about.host.clone(),
            cores: link.about.cores,
            kernel: link.about.kernel.clone(),
        };
        self.links.iter().map(host).collect()
    }

    /// Sends `span` of `scenario` to `dial` from all agents, each with its share of the clients. The two calls of `watcher`
    /// come here, when the agents' windows open and close. `stop` ends it early, and then nothing was seen.
    pub fn drive(
        &mut self,
        dial: &Dial,
        scenario: &Scenario,
        span: &Span,
        stop: &AtomicBool,
        watcher: &mut dyn Watcher,
    ) -> Result<Driven, AgentError> {
        let Fleet { links, clock, runtime, .. } = self;
        let mut cell = Cell { links, clock: *clock, runtime, span, stop };
        let before = cell.offsets()?;
        cell.start(dial, scenario)?;
        let warm = cell.wait_until_warm()?;
        let opens = cell.open(&before)?;
        cell.sleep_until(opens);
        watcher.begin();
        cell.sleep_until(opens.after(span.duration));
        watcher.end();
        let seen = if warm { cell.collect()? } else { None };
        let Some(seen) = seen else {
            return Ok(Driven { seen: Seen::nothing(0), by_agent: Vec::new() });
        };
        let after = cell.offsets()?;
        Ok(driven(seen, &before, &after))
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for link in &mut self.links {
            self.runtime.block_on(link.end());
        }
    }
}

/// One cell on its way.
struct Cell<'a> {
    links: &'a mut [Link],
    clock: Clock,
    runtime: &'a Runtime,
    span: &'a Span,
    stop: &'a AtomicBool,
}

/// What one agent saw.
struct Part {
    address: String,
    clients: u32,
    seen: Seen,
    told: wire::Told,
}

impl Cell<'_> {
    fn offsets(&mut self) -> Result<Vec<Offset>, AgentError> {
        self.links.iter_mut().map(|link| self.runtime.block_on(link.offset())).collect()
    }

    fn share(&self, index: usize) -> Share {
        Share { index: index as u32, of: self.links.len() as u32 }
    }

    fn order(&self, index: usize, order: Order) -> Result<(), AgentError> {
        self.runtime.block_on(self.links[index].order(order))
    }

    fn report(&mut self, index: usize, patience: Nanos) -> Result<Option<Report>, AgentError> {
        self.runtime.block_on(self.links[index].report(patience, self.stop))
    }

    fn start(&self, dial: &Dial, scenario: &Scenario) -> Result<(), AgentError> {
        for index in 0..self.links.len() {
            let span = Span { share: self.share(index), ..self.span.clone() };
            self.order(index, Order::Plan(wire::plan(scenario, &span, dial)))?;
        }
        Ok(())
    }

    /// Until every agent's clients were answered; false if the run was stopped.
    fn wait_until_warm(&mut self) -> Result<bool, AgentError> {
        let warmup = Nanos(self.span.warmup.0.saturating_mul(WARMUP_STRETCH_MAX));
        for index in 0..self.links.len() {
            match self.report(index, warmup.after(SLACK))? {
                Some(Report::Warm(_)) => {}
                None => return Ok(false),
                other => return Err(self.links[index].confused(other.as_ref())),
            }
        }
        Ok(true)
    }

    /// Tells every agent the same instant, on its own clock.
    fn open(&self, offsets: &[Offset]) -> Result<Nanos, AgentError> {
        let slowest = offsets.iter().map(|offset| offset.error.0).max().unwrap_or(0);
        let opens = self.clock.now().after(LEAD).after(Nanos(4 * slowest));
        for (index, offset) in offsets.iter().enumerate() {
            let opens_at_ns = offset.there(opens).0;
            self.order(index, Order::Window(AgentWindow { opens_at_ns }))?;
        }
        Ok(opens)
    }

    fn sleep_until(&self, instant: Nanos) {
        while self.clock.now() < instant && !self.stop.load(Ordering::Relaxed) {
            self.clock.sleep(instant.since(self.clock.now()).min(NAP_MAX));
        }
    }

    /// What each agent saw; none if the run was stopped.
    fn collect(&mut self) -> Result<Option<Vec<Part>>, AgentError> {
        let mut parts = Vec::new();
        for index in 0..self.links.len() {
            let seen = match self.report(index, SLACK)? {
                Some(Report::Seen(seen)) => wire::seen_in(seen),
                None => return Ok(None),
                other => return Err(self.links[index].confused(other.as_ref())),
            };
            let link = &self.links[index];
            let (seen, told) = seen.ok_or_else(|| link.confused(None))?;
            let clients = self.share(index).clients(self.span.clients).count() as u32;
            parts.push(Part { address: link.address.clone(), clients, seen, told });
        }
        Ok(Some(parts))
    }
}

fn driven(parts: Vec<Part>, before: &[Offset], after: &[Offset]) -> Driven {
    let mut all = Seen::nothing(0);
    let mut by_agent = Vec::new();
    for (part, (before, after)) in parts.into_iter().zip(before.iter().zip(after)) {
        let Part { address, clients, seen, told } = part;
        by_agent.push(AgentSeen {
            address,
            clients,
            ops: seen.recorder.ops(),
            cpu: told.cpu,
            late: told.late,
            clock_error: before.error.max(after.error),
            clock_drift_ns: after.ns - before.ns,
        });
        all.merge(seen);
    }
    Driven { seen: all, by_agent }
}
