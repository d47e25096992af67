//! One agent as a run sees it.

use super::clocks::{Offset, Ping};
use super::{AgentError, KEEP_ALIVE, MESSAGE_BYTES_MAX, REVISION, VERSION, WAITING_MAX};
use crate::clock::Clock;
use crate::rpc::kvbenchpb::agent_client::AgentClient;
use crate::rpc::kvbenchpb::agent_order::Order;
use crate::rpc::kvbenchpb::agent_report::Report;
use crate::rpc::kvbenchpb::{
    AgentDone, AgentHello, AgentOrder, AgentProbe, AgentReport, AgentWelcome,
};
use crate::units::Nanos;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::{self, Sender};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{ClientTlsConfig, Endpoint};
use tonic::{Code, Status, Streaming};

/// How long making a connection may take.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// How long an answer may take that needs no load.
const ANSWER_MAX: Nanos = Nanos::from_millis(10_000);
/// How long an agent has to take its leave.
const GOODBYE_MAX: Duration = Duration::from_secs(1);
/// How often it is looked whether the run was stopped.
const LOOK: Duration = Duration::from_millis(50);
/// Questions for the time; the shortest round trip of so many is hardly ever disturbed.
const PINGS: usize = 16;

/// Which agents offer a run's load.
#[derive(Clone, Debug, Default)]
pub struct Agents {
    /// `host:port` of each.
    pub addresses: Vec<String>,
    /// How they are trusted, and what they are shown; without it they are spoken to in the clear.
    pub tls: Option<ClientTlsConfig>,
}

/// A stream to one agent. Dropping it ends its load.
pub(super) struct Link {
    pub(super) address: String,
    pub(super) about: AgentWelcome,
    orders: Sender<AgentOrder>,
    reports: Streaming<AgentReport>,
    clock: Clock,
}

impl Link {
    pub(super) async fn open(
        address: &str,
        tls: Option<ClientTlsConfig>,
        clock: Clock,
    ) -> Result<Link, AgentError> {
        let refused = |why: String| AgentError::Refused { address: address.to_owned(), why };
        let channel = endpoint(address, tls).map_err(|error| refused(with_causes(&error)))?;
        let channel = channel.connect().await.map_err(|error| refused(with_causes(&error)))?;
        let mut client = AgentClient::new(channel)
            .max_decoding_message_size(MESSAGE_BYTES_MAX)
            .max_encoding_message_size(MESSAGE_BYTES_MAX);
        let (orders, waiting) = mpsc::channel(WAITING_MAX);
        let reports = client.drive(ReceiverStream::new(waiting)).await;
        let reports = reports.map_err(|status| refused(words(&status)))?.into_inner();
        let address = address.to_owned();
        let mut link = Link { address, about: AgentWelcome::default(), orders, reports, clock };
        link.about = link.greet().await.map_err(|error| match error {
            AgentError::Lost { address, why } => AgentError::Refused { address, why },
            other => other,
        })?;
        Ok(link)
    }

    async fn greet(&mut self) -> Result<AgentWelcome, AgentError> {
        let hello = AgentHello { version: VERSION.into(), revision: REVISION.into() };
        self.order(Order::Hello(hello)).await?;
        match self.report(ANSWER_MAX, &AtomicBool::new(false)).await? {
            Some(Report::Welcome(about)) => Ok(about),
            other => Err(self.confused(other.as_ref())),
        }
    }

    pub(super) async fn order(&self, order: Order) -> Result<(), AgentError> {
        let sent = self.orders.send(order.into()).await;
        sent.map_err(|_| self.lost("its stream ended"))
    }

    /// The next report; none if the run was stopped. It is lost if there is none within `patience`.
    pub(super) async fn report(
        &mut self,
        patience: Nanos,
        stop: &AtomicBool,
    ) -> Result<Option<Report>, AgentError> {
        let began = self.clock.now();
        loop {
            match timeout(LOOK, self.reports.message()).await {
                Ok(Ok(Some(AgentReport { report: Some(report) }))) => return Ok(Some(report)),
                Ok(Ok(_)) => return Err(self.lost("it ended the stream")),
                Ok(Err(status)) => return Err(self.failed(&status)),
                Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
                Err(_) if self.clock.now().since(began) > patience => {
                    let seconds = patience.as_secs_f64();
                    return Err(self.lost(&format!("it said nothing for {seconds:.0} s")));
                }
                Err(_) => {}
            }
        }
    }

    /// Tells it that the run has ended, and waits a moment until it has taken that.
    pub(super) async fn end(&mut self) {
        if self.order(Order::Done(AgentDone {})).await.is_ok() {
            let rest = async { while let Ok(Some(_)) = self.reports.message().await {} };
            // Without that word it takes the run for lost, which ends its load as well.
            let _ = timeout(GOODBYE_MAX, rest).await;
        }
    }

    /// How far its clock is off now.
    pub(super) async fn offset(&mut self) -> Result<Offset, AgentError> {
        let mut pings = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let sent = self.clock.now();
            self.order(Order::Probe(AgentProbe {})).await?;
            let there = match self.report(ANSWER_MAX, &AtomicBool::new(false)).await? {
                Some(Report::Stamp(stamp)) => Nanos(stamp.now_ns),
                other => return Err(self.confused(other.as_ref())),
            };
            pings.push(Ping { sent, there, back: self.clock.now() });
        }
        Ok(Offset::of(&pings).expect("there are pings"))
    }

    pub(super) fn lost(&self, why: &str) -> AgentError {
        AgentError::Lost { address: self.address.clone(), why: why.to_owned() }
    }

    /// It said something that does not belong there.
    pub(super) fn confused(&self, report: Option<&Report>) -> AgentError {
        match report {
            Some(Report::Broken(why)) => self.lost(why),
            _ => self.lost("it said something that does not belong there"),
        }
    }

    /// What it says no to, it will say no to again; a broken stream may be mended.
    fn failed(&self, status: &Status) -> AgentError {
        let (address, why) = (self.address.clone(), words(status));
        match status.code() {
            Code::FailedPrecondition | Code::InvalidArgument | Code::ResourceExhausted => {
                AgentError::Refused { address, why }
            }
            _ => AgentError::Lost { address, why },
        }
    }
}

fn endpoint(
    address: &str,
    tls: Option<ClientTlsConfig>,
) -> Result<Endpoint, tonic::transport::Error> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}"))?
        .connect_timeout(CONNECT_MAX)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .tcp_nodelay(true);
    match tls {
        Some(tls) => endpoint.tls_config(tls),
        None => Ok(endpoint),
    }
}

/// What the agent said; of a broken connection, what broke it.
fn words(status: &Status) -> String {
    match (std::error::Error::source(status), status.message()) {
        (Some(cause), _) => with_causes(cause),
        (None, "") => format!("{:?}", status.code()),
        (None, said) => said.to_owned(),
    }
}

/// The last cause: what lies before it says little.
fn with_causes(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}
