//! What goes over the wire, to and from what the harness means by it.

use crate::client::{ClientError, Endpoint, Tls};
use crate::load::{Acked, Due, Pace, Schedule, Seen, Share, Span};
use crate::measure::cpu::CpuUse;
use crate::measure::recorder::{Recorder, Services};
use crate::measure::series::{Series, Slot};
use crate::rpc::kvbenchpb::agent_order::Order;
use crate::rpc::kvbenchpb::agent_plan;
use crate::rpc::kvbenchpb::agent_report::Report;
use crate::rpc::kvbenchpb::{
    AgentDial, AgentDue, AgentOp, AgentOrder, AgentPlan, AgentReport, AgentSchedule, AgentSeen,
    AgentSlot,
};
use crate::scenario::spec::{Arrival, Connections, Consistency, Course, OpKind, Scenario};
use crate::seed::Seed;
use crate::target::Dial;
use crate::units::Nanos;

impl From<Order> for AgentOrder {
    fn from(order: Order) -> AgentOrder {
        AgentOrder { order: Some(order) }
    }
}

impl From<Report> for AgentReport {
    fn from(report: Report) -> AgentReport {
        AgentReport { report: Some(report) }
    }
}

/// The order that `span` of `scenario` be sent to `dial`.
pub(super) fn plan(scenario: &Scenario, span: &Span, dial: &Dial) -> AgentPlan {
    AgentPlan {
        scenario: scenario.text.clone(),
        set: scenario.set.clone(),
        clients: span.clients,
        share_index: span.share.index,
        share_of: span.share.of,
        warmup_ns: span.warmup.0,
        duration_ns: span.duration.0,
        seed: span.seed.0,
        dial: Some(dial_out(dial, span.share)),
        pace: Some(pace_out(&span.pace)),
    }
}

fn pace_out(pace: &Pace) -> agent_plan::Pace {
    match pace {
        Pace::Closed { think } => agent_plan::Pace::ThinkNs(think.0),
        Pace::Open(schedule) => agent_plan::Pace::Schedule(AgentSchedule {
            arrival: schedule.arrival.to_string(),
            course: schedule.course.to_string(),
            rates_per_s: schedule.rates_per_s.clone(),
        }),
    }
}

fn pace_in(pace: &agent_plan::Pace) -> Option<Pace> {
    Some(match pace {
        agent_plan::Pace::ThinkNs(think) => Pace::Closed { think: Nanos(*think) },
        agent_plan::Pace::Schedule(schedule) => {
            let rates_per_s = schedule.rates_per_s.clone();
            let good = !rates_per_s.is_empty()
                && rates_per_s.iter().all(|rate| rate.is_finite() && *rate > 0.0);
            let arrival = Arrival::from_word(&schedule.arrival)?;
            let course = Course::from_word(&schedule.course)?;
            Pace::Open(good.then_some(Schedule { arrival, course, rates_per_s })?)
        }
    })
}

fn dial_out(dial: &Dial, share: Share) -> AgentDial {
    let endpoint = &dial.endpoint;
    let own = endpoint.tls().and_then(|tls| tls.own.clone()).unwrap_or_default();
    let (user, password) = endpoint.user().unwrap_or_default();
    AgentDial {
        url: endpoint.url(),
        ca: endpoint.tls().map(|tls| tls.ca.clone()).unwrap_or_default(),
        certificate: own.0,
        key: own.1,
        user: user.to_owned(),
        password: password.to_owned(),
        connections: match dial.connections {
            Connections::PerClient => 0,
            // As many as there are in all; a process that has clients needs at least one.
            Connections::Count(all) => (share.clients(all).count() as u32).max(1),
        },
        serializable: dial.consistency == Consistency::Serializable,
    }
}

/// The span that a plan asks for; none if its share is no share, or its pace none.
pub(super) fn span(plan: &AgentPlan) -> Option<Span> {
    let share = Share { index: plan.share_index, of: plan.share_of };
    let pace = pace_in(plan.pace.as_ref()?)?;
    (share.index < share.of).then_some(Span {
        clients: plan.clients,
        share,
        pace,
        warmup: Nanos(plan.warmup_ns),
        duration: Nanos(plan.duration_ns),
        seed: Seed(plan.seed),
        // Of several hosts' clocks no order is sure.
        sample: None,
    })
}

/// Whom to call.
pub(super) fn dial_in(dial: AgentDial) -> Result<Dial, ClientError> {
    let own = (!dial.certificate.is_empty()).then_some((dial.certificate, dial.key));
    let tls = (!dial.ca.is_empty()).then_some(Tls { ca: dial.ca, own });
    let endpoint = Endpoint::parse(&dial.url, tls.as_ref())?;
    let endpoint = match dial.user.is_empty() {
        true => endpoint,
        false => endpoint.with_user(dial.user, dial.password),
    };
    let connections = match dial.connections {
        0 => Connections::PerClient,
        count => Connections::Count(count),
    };
    let consistency = match dial.serializable {
        true => Consistency::Serializable,
        false => Consistency::Linearizable,
    };
    Ok(Dial { endpoint, connections, consistency })
}

/// What an agent tells of a window besides its operations.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    /// How long after its time the window opened.
    pub(super) late: Nanos,
    /// Of the load threads.
    pub(super) cpu: CpuUse,
}

pub(super) fn seen_out(seen: Seen, told: Told) -> AgentSeen {
    let slot = |slot: &Slot| AgentSlot { done: slot.done(), times: slot.times_v2() };
    AgentSeen {
        ops: ops_out(&seen.recorder),
        errors: seen.recorder.errors(),
        first_error: seen.first_error.unwrap_or_default(),
        writes_acked: seen.acked.writes,
        changes_acked: seen.acked.changes,
        revokes_acked: seen.acked.revokes,
        elapsed_ns: seen.elapsed.0,
        threads: seen.threads,
        late_ns: told.late.0,
        cpu_ns: told.cpu.cpu_ns,
        runqueue_ns: told.cpu.runqueue_ns,
        thought_ns: seen.thought.0,
        due: seen.due.as_ref().map(due_out),
        slot_ns: seen.series.slot().0,
        slots: seen.series.slots().iter().map(slot).collect(),
    }
}

fn ops_out(recorder: &Recorder) -> Vec<AgentOp> {
    let op = |(kind, services): (usize, &Services)| AgentOp {
        kind: kind as u32,
        histogram: services.histogram_v2(),
        sum_ns: services.sum_ns(),
    };
    recorder.kinds().map(op).collect()
}

fn ops_in(ops: &[AgentOp]) -> Option<Recorder> {
    let mut recorder = Recorder::default();
    for op in ops {
        let kind = op.kind as usize;
        let services = Services::from_v2(&op.histogram, op.sum_ns)?;
        (kind < OpKind::ALL.len()).then(|| recorder.add(kind, &services))?;
    }
    Some(recorder)
}

fn due_out(due: &Due) -> AgentDue {
    AgentDue {
        scheduled: due.scheduled,
        unfinished: due.unfinished,
        unsent: due.unsent,
        responses: ops_out(&due.responses),
        lag: due.lag.histogram_v2(),
        lag_sum_ns: due.lag.sum_ns(),
        under_way_ns: due.under_way.0,
    }
}

fn due_in(due: &AgentDue) -> Option<Due> {
    Some(Due {
        scheduled: due.scheduled,
        unfinished: due.unfinished,
        unsent: due.unsent,
        responses: ops_in(&due.responses)?,
        lag: Services::from_v2(&due.lag, due.lag_sum_ns)?,
        under_way: Nanos(due.under_way_ns),
    })
}

/// None if it is not what [`seen_out`] makes.
pub(super) fn seen_in(seen: AgentSeen) -> Option<(Seen, Told)> {
    let mut recorder = ops_in(&seen.ops)?;
    recorder.add_errors(seen.errors);
    let acked = Acked {
        writes: seen.writes_acked,
        changes: seen.changes_acked,
        revokes: seen.revokes_acked,
    };
    let due = match &seen.due {
        Some(due) => Some(due_in(due)?),
        None => None,
    };
    let slots = seen.slots.iter().map(|slot| (slot.done, slot.times.as_slice()));
    let told = Told {
        late: Nanos(seen.late_ns),
        cpu: CpuUse { cpu_ns: seen.cpu_ns, runqueue_ns: seen.runqueue_ns, switches: 0 },
    };
    let seen = Seen {
        recorder,
        series: Series::from_slots(Nanos(seen.slot_ns), slots)?,
        acked,
        due,
        thought: Nanos(seen.thought_ns),
        elapsed: Nanos(seen.elapsed_ns),
        first_error: (!seen.first_error.is_empty()).then_some(seen.first_error),
        ..Seen::nothing(seen.threads)
    };
    Some((seen, told))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::recorder::Spans;

    #[test]
    fn what_was_seen_comes_over_whole() {
        let mut recorder = Recorder::default();
        for n in 1..=100 {
            recorder.record((n % 2) as usize, Nanos(n * 1000), &Spans::none());
        }
        recorder.record_error();
        let acked = Acked { writes: 3, changes: 2, revokes: 1 };
        let first_error = Some("no".to_owned());
        let mut due = Due { scheduled: 9, unfinished: 2, unsent: 1, ..Due::default() };
        due.responses.record_time(1, Nanos(5000));
        due.lag.record(Nanos(70));
        let mut series = Series::default();
        series.record(Nanos(10), Nanos(0), Nanos(25), Nanos(25));
        let (due, thought) = (Some(due), Nanos(3));
        let elapsed = Nanos(7);
        let all = Seen::nothing(1);
        let seen = Seen { recorder, series, acked, due, thought, elapsed, first_error, ..all };
        let told = Told { late: Nanos(5), cpu: CpuUse { cpu_ns: 6, runqueue_ns: 8, switches: 0 } };
        let wire = seen_out(seen, told);
        let (back, again) = seen_in(wire.clone()).unwrap();
        assert_eq!((back.recorder.ops(), back.recorder.errors()), (100, 1));
        assert_eq!((back.acked, back.elapsed, again.late), (acked, Nanos(7), Nanos(5)));
        assert_eq!(seen_out(back, again), wire);
    }

    #[test]
    fn what_no_agent_sends_is_not_taken() {
        let op =
            |kind, histogram: &[u8]| AgentOp { kind, histogram: histogram.to_vec(), sum_ns: 1 };
        let good = Services::default().histogram_v2();
        for op in [op(0, b"x"), op(OpKind::ALL.len() as u32, &good)] {
            assert!(seen_in(AgentSeen { ops: vec![op], ..AgentSeen::default() }).is_none());
        }
    }

    #[test]
    fn a_pace_comes_over_whole_or_not_at_all() {
        let schedule = |rates_per_s: &[f64]| Schedule {
            arrival: Arrival::Constant,
            course: Course::Ramp,
            rates_per_s: rates_per_s.to_vec(),
        };
        for pace in [Pace::Closed { think: Nanos(5) }, Pace::Open(schedule(&[1.0, 2.5]))] {
            assert_eq!(pace_in(&pace_out(&pace)), Some(pace));
        }
        for rates in [vec![], vec![1.0, 0.0], vec![f64::NAN], vec![-1.0], vec![f64::INFINITY]] {
            assert_eq!(pace_in(&pace_out(&Pace::Open(schedule(&rates)))), None, "{rates:?}");
        }
    }

    #[test]
    fn connections_are_shared_out() {
        let endpoint = Endpoint::parse("http://127.0.0.1:1", None).unwrap();
        let each = |connections, of| -> Vec<u32> {
            let consistency = Consistency::Linearizable;
            let dial = Dial { endpoint: endpoint.clone(), connections, consistency };
            (0..of).map(|index| dial_out(&dial, Share { index, of }).connections).collect()
        };
        assert_eq!(each(Connections::Count(5), 2), [3, 2]);
        assert_eq!(each(Connections::Count(1), 3), [1, 1, 1]);
        assert_eq!(each(Connections::PerClient, 2), [0, 0]);
        let dial = Dial {
            endpoint: endpoint.with_user("me".into(), "secret".into()),
            connections: Connections::Count(4),
            consistency: Consistency::Serializable,
        };
        let back = dial_in(dial_out(&dial, Share::ALL)).unwrap();
        assert_eq!(back.endpoint.user(), Some(("me", "secret")));
        assert_eq!(back.consistency, Consistency::Serializable);
        assert_eq!(
            (back.endpoint.url(), back.connections),
            ("http://127.0.0.1:1".into(), Connections::Count(4))
        );
    }
}
