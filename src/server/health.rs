//! Whether this member can serve: whoever waits for a leader, or whose log has failed, cannot, nor can anybody while an alarm is raised; and says so to load balancers and
//! scrapers. A leader without a quorum is none any more within an election timeout.

use super::context::Context;
use crate::model::AlarmKind;
use crate::node::Node;
use crate::raft::Status;
use std::sync::Arc;
use std::time::Duration;
use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};

/// How often it is looked; elections take longer.
const LOOK: Duration = Duration::from_millis(50);

/// The server as a whole; it has no services that come and go by themselves.
const WHOLE: &str = "";

/// What is wrong, in etcd's words where it has any.
pub(super) fn trouble(node: &Node) -> Option<&'static str> {
    let status = node.status();
    // Of several alarms the worst.
    match (status, node.alarms().last().map(|alarm| alarm.kind)) {
        (Status { stopped: true, .. }, _) => Some("LOG FAILED"),
        (_, Some(AlarmKind::Corrupt)) => Some("ALARM CORRUPT"),
        (_, Some(AlarmKind::NoSpace)) => Some("ALARM NOSPACE"),
        (Status { leader: 0, .. }, None) => Some("RAFT NO LEADER"),
        _ => None,
    }
}

/// gRPC's health service, which follows the member until the server ends. Called within a runtime.
pub(super) fn service(context: Arc<Context>) -> HealthServer<impl Health> {
    let (reporter, service) = tonic_health::server::health_reporter();
    tokio::spawn(async move {
        let follow = async {
            let mut told = None;
            loop {
                let serving = match trouble(&context.node) {
                    None => ServingStatus::Serving,
                    Some(_) => ServingStatus::NotServing,
                };
                // Whoever watches is told each time, so only of changes.
                if told.replace(serving) != Some(serving) {
                    reporter.set_service_status(WHOLE, serving).await;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = context.stopped() => {}
        }
        reporter.set_service_status(WHOLE, ServingStatus::NotServing).await;
    });
    service
}
