//! What the load of simulated trials sees: service times and counts of the measured span of each, pooled.

use super::Predicted;
use crate::units::Nanos;

/// Operations after which a warm-up, and a span, ends early.
const OPS_PER_TRIAL_MAX: usize = 20_000;
/// A span goes on until every client was answered so often, on average.
const OPS_PER_CLIENT: usize = 2;
/// Trials are simulated until there are so many operations, within these bounds.
const OPS_WANTED: usize = 20_000;
const TRIALS: (u32, u32) = (3, 24);

/// Where a trial is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum At {
    /// The warm-up lasts until every client was answered once, and at least so long.
    Warmup {
        until_ns: f64,
        ops: usize,
    },
    /// The span began at this time, with so much CPU time used by load, raft and apply thread.
    Span {
        began_ns: f64,
        used_ns: [f64; 3],
        ops: usize,
    },
    Over,
}

/// The spans so far.
pub(super) struct Seen {
    clients: usize,
    warmup_ns: f64,
    duration_ns: f64,
    at: At,
    /// Clients of this trial that were not answered yet.
    unanswered: usize,
    trials: u32,
    services_ns: Vec<f64>,
    spans_ns: f64,
    used_ns: [f64; 3],
    syncs: u64,
}

impl Seen {
    pub(super) fn new(clients: usize, warmup: Nanos, duration: Nanos) -> Seen {
        Seen {
            clients,
            warmup_ns: warmup.0 as f64,
            duration_ns: duration.0 as f64,
            at: At::Over,
            unanswered: 0,
            trials: 0,
            services_ns: Vec::new(),
            spans_ns: 0.0,
            used_ns: [0.0; 3],
            syncs: 0,
        }
    }

    /// A fresh trial, at time zero.
    pub(super) fn begin_trial(&mut self) {
        self.trials += 1;
        self.unanswered = self.clients;
        self.at = At::Warmup { until_ns: self.warmup_ns, ops: 0 };
    }

    /// An operation was answered; spans begin and end with one, so that a regular pipeline gives its exact rate.
    pub(super) fn done(&mut self, service_ns: f64, is_first: bool, now_ns: f64, used_ns: [f64; 3]) {
        self.unanswered -= usize::from(is_first);
        match self.at {
            At::Warmup { until_ns, ops } => {
                let is_long = now_ns >= until_ns || ops >= OPS_PER_TRIAL_MAX;
                self.at = match is_long && self.unanswered == 0 {
                    true => At::Span { began_ns: now_ns, used_ns, ops: 0 },
                    false => At::Warmup { until_ns, ops: ops + 1 },
                };
            }
            At::Over => {}
            At::Span { began_ns, used_ns: before, ops } => {
                self.services_ns.push(service_ns);
                let (ops, span_ns) = (ops + 1, now_ns - began_ns);
                self.at = At::Span { began_ns, used_ns: before, ops };
                let is_long = span_ns >= self.duration_ns && ops >= OPS_PER_CLIENT * self.clients;
                if is_long || ops >= OPS_PER_TRIAL_MAX.max(OPS_PER_CLIENT * self.clients) {
                    self.at = At::Over;
                    self.spans_ns += span_ns;
                    for role in 0..used_ns.len() {
                        self.used_ns[role] += used_ns[role] - before[role];
                    }
                }
            }
        }
    }

    /// The leader's log was synced.
    pub(super) fn synced(&mut self) {
        self.syncs += u64::from(matches!(self.at, At::Span { .. }));
    }

    pub(super) fn trial_is_over(&self) -> bool {
        self.at == At::Over
    }

    pub(super) fn is_enough(&self) -> bool {
        let (least, most) = TRIALS;
        self.trials >= most || self.trials >= least && self.services_ns.len() >= OPS_WANTED
    }

    /// The number of the present trial, from 1.
    pub(super) fn trial(&self) -> u32 {
        self.trials
    }

    /// The figures of all spans; zeros if there was none.
    pub(super) fn predicted(mut self) -> Predicted {
        let (count, spans_ns) = (self.services_ns.len(), self.spans_ns);
        if count == 0 || spans_ns <= 0.0 {
            return Predicted::default();
        }
        self.services_ns.sort_by(f64::total_cmp);
        let quantile = |share: f64| self.services_ns[((count - 1) as f64 * share).round() as usize];
        Predicted {
            throughput_per_s: count as f64 / spans_ns * 1e9,
            mean_ns: self.services_ns.iter().sum::<f64>() / count as f64,
            p50_ns: quantile(0.5),
            p99_ns: quantile(0.99),
            fsyncs_per_op: self.syncs as f64 / count as f64,
            load_share: self.used_ns[0] / spans_ns,
            raft_share: self.used_ns[1] / spans_ns,
            apply_share: self.used_ns[2] / spans_ns,
        }
    }
}
