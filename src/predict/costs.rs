//! What the stages of the pipeline cost, from a few short measurements: CPU time is split into a part per request and a part per
//! round of the Ready loop, since rounds with more requests in them spread the second part.

use super::spread::Spread;

/// What one short measurement without syncs saw.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Observed {
    /// Requests that clients sent and got answered.
    pub requests: f64,
    /// Rounds of the leader's Ready loop that had entries.
    pub rounds: f64,
    /// CPU time of those who offer load, ns.
    pub load_ns: f64,
    /// CPU time of all members' raft threads, ns.
    pub raft_ns: f64,
    /// CPU time of all members' apply threads, ns.
    pub apply_ns: f64,
    /// Bytes written to the leader's log.
    pub log_bytes: f64,
    /// Length of the measurement, ns.
    pub elapsed_ns: f64,
    /// From taking to the log's write, mean over requests, ns; 0 if the stage clock was off.
    pub until_written_ns: f64,
    /// Executing one request, ns; 0 if the stage clock was off.
    pub execute_ns: f64,
}

/// So much for each request, so much for each round.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Line {
    /// For each request.
    pub per_request: f64,
    /// For each round.
    pub per_round: f64,
}

/// What a signal to a sleeping thread takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Wakes {
    /// From the signal until the thread runs.
    pub latency: Spread,
    /// CPU time of whoever signals, ns.
    pub signal_ns: f64,
}

/// Costs of one arm's stages on this host, ns of CPU time where nothing else is said.
#[derive(Clone, Debug, PartialEq)]
pub struct Costs {
    /// The load thread: an answer taken and the next request sent.
    pub send_ns: f64,
    /// The load thread, each time it is woken.
    pub load_round_ns: f64,
    /// The raft thread: a request taken, proposed and written.
    pub propose_ns: f64,
    /// The raft thread, each round with entries.
    pub round_ns: f64,
    /// Executing a request, on whichever thread applies.
    pub execute_ns: f64,
    /// Answering it there.
    pub answer_ns: f64,
    /// An apply thread, each time it gets entries.
    pub apply_round_ns: f64,
    /// Bytes of the log.
    pub log_bytes: Line,
    /// What it takes to wake a thread.
    pub wakes: Wakes,
}

/// What of an arm decides how its costs are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Members of the group, at least 1.
    pub nodes: usize,
    /// Whether entries are applied on a thread of their own.
    pub has_apply_thread: bool,
    /// Whether a single client waits for company that does not come.
    pub lingers: bool,
}

/// Smallest ratio of rounds per request between two measurements that tells the parts of a line apart.
const TELLS_APART: f64 = 1.3;

impl Costs {
    /// Of an arm of `nodes` members from measurements at several client counts, the one with a single client first. Wake-ups have
    /// the shape of `wakes`; for a single member that applies inline and never `lingers` for company they are made to fit the time
    /// of the single client.
    ///
    /// # Panics
    /// If nothing was measured.
    pub fn of(seen: &[Observed], arm: &Shape, wakes: &Wakes) -> Costs {
        let Shape { nodes, has_apply_thread, lingers } = *arm;
        let first = seen.first().expect("there is a measurement of one client");
        let line = |what: fn(&Observed) -> f64| {
            let per_request = |seen: &Observed| what(seen) / seen.requests.max(1.0);
            let rounds = |seen: &Observed| seen.rounds / seen.requests.max(1.0);
            Line::through(seen.iter().map(|seen| (rounds(seen), per_request(seen))))
        };
        let (load, log_bytes) = (line(|seen| seen.load_ns), line(|seen| seen.log_bytes));
        let raft = line(|seen| seen.raft_ns).times(1.0 / nodes as f64);
        let apply = line(|seen| seen.apply_ns).times(1.0 / nodes as f64);
        let signal_ns = wakes.signal_ns.min(raft.per_round).min(load.per_round);
        let is_simple = nodes == 1 && !has_apply_thread && !lingers;
        let latency = match is_simple {
            true => wakes.latency.with_mean(wake_of_one_client_ns(first, signal_ns)),
            false => wakes.latency.clone(),
        };
        let (propose_ns, applying_ns) = match has_apply_thread {
            true => (raft.per_request, apply.per_request),
            false => {
                let propose_ns = raft.per_request * share_before_sync(seen, &raft);
                (propose_ns, raft.per_request - propose_ns)
            }
        };
        let execute_ns = seen.last().map_or(0.0, |seen| seen.execute_ns).min(applying_ns);
        Costs {
            send_ns: load.per_request,
            load_round_ns: load.per_round - signal_ns,
            propose_ns,
            round_ns: raft.per_round - signal_ns,
            execute_ns,
            answer_ns: applying_ns - execute_ns,
            apply_round_ns: (apply.per_round - signal_ns).max(0.0),
            log_bytes,
            wakes: Wakes { latency, signal_ns },
        }
    }
}

/// What is left of one client's round trip after all CPU time is two wake-ups, during each of which the signalling thread still
/// works for `signal_ns`.
fn wake_of_one_client_ns(seen: &Observed, signal_ns: f64) -> f64 {
    let cpu_ns = seen.load_ns + seen.raft_ns;
    let left_ns = (seen.elapsed_ns - cpu_ns) / seen.requests.max(1.0);
    (left_ns / 2.0 + signal_ns).max(signal_ns)
}

/// Part of the raft thread's work on a request that comes before the sync, by the stage clock of the fullest rounds; half where
/// there was none.
fn share_before_sync(seen: &[Observed], raft: &Line) -> f64 {
    let full = |seen: &&Observed| seen.until_written_ns > 0.0 && seen.rounds > 0.0;
    let fullness = |seen: &Observed| seen.requests / seen.rounds;
    let fullest = seen.iter().filter(full).max_by(|a, b| fullness(a).total_cmp(&fullness(b)));
    let share = fullest.map(|seen| {
        let work_ns = (seen.until_written_ns - raft.per_round) / fullness(seen);
        work_ns / raft.per_request
    });
    share.filter(|share| share.is_finite()).map_or(0.5, |share| share.clamp(0.0, 1.0))
}

impl Line {
    /// The line through points (rounds per request, cost per request) with the least relative errors, neither part below zero.
    /// Points too close to each other give one part only.
    fn through(points: impl Iterator<Item = (f64, f64)>) -> Line {
        let points: Vec<_> = points.filter(|(_, cost)| *cost > 0.0).collect();
        let rounds = || points.iter().map(|(rounds, _)| *rounds);
        let (least, most) = (rounds().fold(f64::INFINITY, f64::min), rounds().fold(0.0, f64::max));
        let only_requests = Line { per_request: alone(&points, |_| 1.0), per_round: 0.0 };
        let only_rounds = Line { per_request: 0.0, per_round: alone(&points, |rounds| rounds) };
        if points.is_empty() || most <= least * TELLS_APART {
            return if least < 0.5 { only_requests } else { only_rounds };
        }
        match both(&points) {
            Line { per_request, .. } if per_request < 0.0 => only_rounds,
            Line { per_round, .. } if per_round < 0.0 => only_requests,
            line => line,
        }
    }

    fn times(self, factor: f64) -> Line {
        Line { per_request: self.per_request * factor, per_round: self.per_round * factor }
    }
}

/// Least squares of `factor × part / cost - 1` for one part; 0 without points.
fn alone(points: &[(f64, f64)], factor: fn(f64) -> f64) -> f64 {
    let terms = points.iter().map(|(rounds, cost)| factor(*rounds) / cost);
    let (sum, squares) = terms.fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    if squares > 0.0 { sum / squares } else { 0.0 }
}

/// The same for both parts: the normal equations of two unknowns.
fn both(points: &[(f64, f64)]) -> Line {
    let [mut aa, mut ab, mut bb, mut a, mut b] = [0.0; 5];
    for (rounds, cost) in points {
        let (x, y) = (1.0 / cost, rounds / cost);
        (aa, ab, bb) = (aa + x * x, ab + x * y, bb + y * y);
        (a, b) = (a + x, b + y);
    }
    let determinant = aa * bb - ab * ab;
    Line {
        per_request: (a * bb - b * ab) / determinant,
        per_round: (b * aa - a * ab) / determinant,
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these are exact")]
mod tests {
    use super::*;

    fn through(points: &[(f64, f64)]) -> [f64; 2] {
        let line = Line::through(points.iter().copied());
        [line.per_request, line.per_round].map(|part| (part * 1e6).round() / 1e6)
    }

    #[test]
    fn a_line_is_found_again() {
        assert_eq!(through(&[(1.0, 12.0), (0.1, 3.0), (0.01, 2.1)]), [2.0, 10.0]);
        assert_eq!(through(&[(1.0, 5.0), (1.1, 5.0)]), [0.0, 4.751131], "serial: rounds alone");
        assert_eq!(through(&[(0.0, 5.0), (0.0, 5.0)]), [5.0, 0.0], "reads: requests alone");
        assert_eq!(through(&[(1.0, 4.0), (0.1, 5.0)])[1], 0.0, "never below zero");
        assert_eq!(through(&[(1.0, 8.0), (0.1, 0.1)])[0], 0.0, "never below zero");
        assert_eq!(through(&[]), [0.0, 0.0]);
    }

    #[test]
    fn costs_add_up_to_what_was_seen() {
        let wakes = Wakes { latency: Spread::fixed(30_000.0), signal_ns: 1_000.0 };
        let seen = |requests: f64, rounds: f64| Observed {
            requests,
            rounds,
            load_ns: requests * 2_000.0 + rounds * 3_000.0,
            raft_ns: requests * 1_000.0 + rounds * 5_000.0,
            log_bytes: requests * 300.0 + rounds * 100.0,
            elapsed_ns: requests * 51_000.0,
            until_written_ns: 5_000.0 + 600.0 * requests / rounds,
            execute_ns: 150.0,
            ..Observed::default()
        };
        let all = [seen(1000.0, 1000.0), seen(1000.0, 100.0), seen(1000.0, 10.0)];
        let alone = Shape { nodes: 1, has_apply_thread: false, lingers: false };
        let costs = Costs::of(&all, &alone, &wakes);
        let close = |is: f64, should: f64| assert!((is - should).abs() < 0.01, "{is} {should}");
        close(costs.send_ns, 2_000.0);
        close(costs.load_round_ns, 2_000.0);
        close(costs.propose_ns, 600.0);
        close(costs.round_ns, 4_000.0);
        close(costs.execute_ns, 150.0);
        close(costs.answer_ns, 250.0);
        close(costs.log_bytes.per_request, 300.0);
        // 51 µs less 11 µs of CPU are two wake-ups, each with 1 µs of the signalling thread in it.
        close(costs.wakes.latency.mean_ns(), 21_000.0);
        let three = Costs::of(&all, &Shape { nodes: 3, ..alone }, &wakes);
        close(three.wakes.latency.mean_ns(), 30_000.0);
        close(three.propose_ns + three.execute_ns + three.answer_ns, 1_000.0 / 3.0);
    }
}
