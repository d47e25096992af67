//! One run's stream at an agent, from hello to the end.

use super::drive::{Drive, Reports};
use super::{REVISION, VERSION};
use crate::clock::Clock;
use crate::rpc::kvbenchpb::agent_order::Order;
use crate::rpc::kvbenchpb::agent_report::Report;
use crate::rpc::kvbenchpb::{AgentHello, AgentOrder, AgentStamp, AgentWelcome};
use crate::units::Nanos;
use std::fs;
use tonic::{Status, Streaming};

/// Follows orders until the stream ends; then the load has ended too. Whether the run said that it is done.
pub(super) async fn follow(
    mut orders: Streaming<AgentOrder>,
    reports: Reports,
    clock: Clock,
) -> bool {
    let mut session = Session { clock, reports, is_known: false, is_done: false, drive: None };
    while let Ok(Some(AgentOrder { order: Some(order) })) = orders.message().await {
        if let Err(status) = session.take(order).await {
            let _ = session.reports.send(Err(status)).await;
            break;
        }
        if session.is_done {
            break;
        }
    }
    if let Some(drive) = session.drive.take() {
        // It waits for requests under way, which this task must not.
        let _ = tokio::task::spawn_blocking(move || drive.end()).await;
    }
    session.is_done
}

struct Session {
    clock: Clock,
    reports: Reports,
    /// Whether the run has said which build it is, and that is this one.
    is_known: bool,
    is_done: bool,
    drive: Option<Drive>,
}

impl Session {
    async fn take(&mut self, order: Order) -> Result<(), Status> {
        match order {
            Order::Hello(hello) => {
                check(&hello)?;
                self.is_known = true;
                self.report(Report::Welcome(welcome())).await;
            }
            _ if !self.is_known => {
                return Err(Status::failed_precondition("a run says hello first"));
            }
            Order::Probe(_) => {
                let now_ns = self.clock.now().0;
                self.report(Report::Stamp(AgentStamp { now_ns })).await;
            }
            Order::Plan(_) if self.drive.as_ref().is_some_and(|drive| !drive.is_over()) => {
                return Err(Status::failed_precondition("a load is running"));
            }
            Order::Plan(plan) => {
                self.drive = Some(Drive::start(plan, self.clock, self.reports.clone())?);
            }
            Order::Done(_) => self.is_done = true,
            Order::Window(window) => {
                if let Some(drive) = &self.drive {
                    drive.open_at(Nanos(window.opens_at_ns));
                }
            }
        }
        Ok(())
    }

    /// If nobody takes it, the stream of orders ends as well.
    async fn report(&self, report: Report) {
        let _ = self.reports.send(Ok(report.into())).await;
    }
}

/// Another build may offer another load for the same scenario.
fn check(hello: &AgentHello) -> Result<(), Status> {
    if (hello.version.as_str(), hello.revision.as_str()) == (VERSION, REVISION) {
        return Ok(());
    }
    Err(Status::failed_precondition(format!(
        "it is kvbench {VERSION} ({REVISION}), the run is of kvbench {} ({}); both have to be the same build",
        hello.version, hello.revision
    )))
}

fn welcome() -> AgentWelcome {
    let kernel = |name: &str| {
        let text = fs::read_to_string(format!("/proc/sys/kernel/{name}"));
        text.map_or_else(|_| "not visible".to_owned(), |text| text.trim().to_owned())
    };
    AgentWelcome {
        host: kernel("hostname"),
        cores: std::thread::available_parallelism().map_or(0, |cores| cores.get() as u32),
        kernel: kernel("osrelease"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_build_is_refused_with_both_names() {
        let hello = |version: &str, revision: &str| AgentHello {
            version: version.into(),
            revision: revision.into(),
        };
        assert!(check(&hello(VERSION, REVISION)).is_ok());
        let refused = check(&hello(VERSION, "0000000")).unwrap_err();
        assert!(refused.message().contains("0000000"), "{refused}");
        assert!(refused.message().contains(REVISION), "{refused}");
        assert!(check(&hello("9.9.9", REVISION)).is_err());
    }
}
