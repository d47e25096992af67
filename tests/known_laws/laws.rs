//! How a fake system serves, as arithmetic: when a call that arrives now begins and when it ends. Pure but for its draws, which
//! come from a seed, so what follows from a law can be computed beforehand and compared with closed forms.

use kvbench::seed::Seed;
use kvbench::units::Nanos;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::Exp1;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Servers behind one queue, first come, first served.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Law {
    pub(crate) servers: u32,
    pub(crate) service: Service,
    pub(crate) stall: Option<Stall>,
}

/// How long a server is busy with one call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Service {
    Fixed(Nanos),
    /// With this mean.
    Exponential(Nanos),
}

/// All servers stand still for `length`, `every` so often; the first time when that much has passed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stall {
    pub(crate) every: Nanos,
    pub(crate) length: Nanos,
}

impl Law {
    /// One server that takes so long.
    pub(crate) const fn fixed(service: Nanos) -> Law {
        Law { servers: 1, service: Service::Fixed(service), stall: None }
    }

    /// The M of M/M/1 that a server is: one, with exponential service of this mean.
    pub(crate) const fn exponential(mean: Nanos) -> Law {
        Law { servers: 1, service: Service::Exponential(mean), stall: None }
    }
}

/// The servers of one fake, and what they are busy with.
pub(crate) struct Station {
    law: Law,
    /// When each server has done all it was given, the earliest first.
    free_at: BinaryHeap<Reverse<Nanos>>,
    random: ChaCha8Rng,
    origin: Nanos,
}

/// When a call is worked on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Served {
    pub(crate) started: Nanos,
    pub(crate) finished: Nanos,
}

impl Station {
    /// Idle servers. Stalls are counted from `origin`.
    pub(crate) fn new(law: Law, origin: Nanos, seed: Seed) -> Station {
        let free_at = (0..law.servers).map(|_| Reverse(origin)).collect();
        Station { law, free_at, random: seed.stream("service", 0), origin }
    }

    /// Takes a call that arrives at `arrived`, no earlier than any before it (Lindley 1952, for several servers Kiefer &
    /// Wolfowitz 1955).
    pub(crate) fn serve(&mut self, arrived: Nanos) -> Served {
        let Reverse(free) = self.free_at.pop().expect("there is a server");
        let work = match self.law.service {
            Service::Fixed(time) => time,
            Service::Exponential(mean) => {
                Nanos((mean.0 as f64 * self.random.sample::<f64, _>(Exp1)) as u64)
            }
        };
        let started = self.awake(arrived.max(free));
        let finished = self.worked(started, work);
        self.free_at.push(Reverse(finished));
        Served { started, finished }
    }

    /// `at`, or the end of the stall that it lies in.
    fn awake(&self, at: Nanos) -> Nanos {
        let Some(Stall { every, length }) = self.law.stall else { return at };
        let since = at.since(self.origin).0;
        let into = since % every.0;
        if since >= every.0 && into < length.0 { at.after(Nanos(length.0 - into)) } else { at }
    }

    /// When `work` that begins at `started`, outside of stalls, is done: stalls interrupt it.
    fn worked(&self, started: Nanos, mut work: Nanos) -> Nanos {
        let Some(Stall { every, length }) = self.law.stall else { return started.after(work) };
        let mut at = started;
        loop {
            let left = Nanos(every.0 - at.since(self.origin).0 % every.0);
            if work <= left {
                return at.after(work);
            }
            work = work.since(left);
            at = at.after(left).after(length);
        }
    }
}

/// Response times of M/M/1, arrivals `lambda` and services `mu` per second: exponential with rate μ − λ (Kleinrock, "Queueing
/// Systems" I, 1975, section 3.2).
pub(crate) struct Mm1 {
    pub(crate) lambda: f64,
    pub(crate) mu: f64,
}

impl Mm1 {
    /// Mean, seconds.
    pub(crate) fn mean_s(&self) -> f64 {
        1.0 / (self.mu - self.lambda)
    }

    /// Seconds that a share `quantile` does not exceed; ln(100) / (μ − λ) for the 99th percentile.
    pub(crate) fn quantile_s(&self, quantile: f64) -> f64 {
        -(1.0 - quantile).ln() / (self.mu - self.lambda)
    }
}

/// Response times at a constant rate on one server of fixed service with stalls: a call that comes `u` after the begin of a stall
/// waits for the rest of it and for the calls before it, L − u(1 − ρ) + S together, until the queue is empty again at
/// u = L / (1 − ρ). Follows from Lindley's recursion with ρ = rate × S < 1.
pub(crate) struct StalledConstant {
    pub(crate) rate: f64,
    pub(crate) service_s: f64,
    pub(crate) every_s: f64,
    pub(crate) length_s: f64,
}

impl StalledConstant {
    /// Seconds that a share `quantile` does not exceed.
    pub(crate) fn quantile_s(&self, quantile: f64) -> f64 {
        let idle = 1.0 - self.rate * self.service_s;
        let waiting = self.length_s - (1.0 - quantile) * idle * self.every_s;
        self.service_s + waiting.max(0.0)
    }

    /// Share that wait at all.
    pub(crate) fn delayed(&self) -> f64 {
        self.length_s / ((1.0 - self.rate * self.service_s) * self.every_s)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds between a call's arrival and its end, for arrivals that `gap_s` spaces, ascending.
    fn responses(law: Law, calls: u32, mut gap_s: impl FnMut() -> f64) -> Vec<f64> {
        let mut station = Station::new(law, Nanos::ZERO, Seed(7));
        let mut arrived_s = 0.0;
        let mut responses: Vec<f64> = (0..calls)
            .map(|_| {
                arrived_s += gap_s();
                let arrived = Nanos((arrived_s * 1e9) as u64);
                station.serve(arrived).finished.since(arrived).as_secs_f64()
            })
            .collect();
        responses.sort_by(f64::total_cmp);
        responses
    }

    fn quantile(sorted: &[f64], quantile: f64) -> f64 {
        sorted[(quantile * (sorted.len() - 1) as f64) as usize]
    }

    fn near(a: f64, b: f64, relative: f64) -> bool {
        (a / b - 1.0).abs() <= relative
    }

    #[test]
    fn poisson_arrivals_meet_the_closed_form_of_mm1() {
        let truth = Mm1 { lambda: 600.0, mu: 1000.0 };
        let mut random = Seed(7).stream("arrivals", 0);
        let gap_s = || random.sample::<f64, _>(Exp1) / truth.lambda;
        let found = responses(Law::exponential(Nanos(1_000_000)), 2_000_000, gap_s);
        let mean = found.iter().sum::<f64>() / found.len() as f64;
        assert!(near(mean, truth.mean_s(), 0.02), "{mean} {}", truth.mean_s());
        for q in [0.5, 0.9, 0.99, 0.999] {
            let (found, truth) = (quantile(&found, q), truth.quantile_s(q));
            assert!(near(found, truth, 0.02), "{q}: {found} {truth}");
        }
    }

    #[test]
    fn a_stall_at_a_constant_rate_meets_its_closed_form() {
        let (every, length) = (Nanos::from_millis(500), Nanos::from_millis(100));
        let service = Nanos(1_000_000);
        let law = Law { stall: Some(Stall { every, length }), ..Law::fixed(service) };
        // No rate that fits the stalls: calls must meet them everywhere.
        for rate in [97.3, 503.7, 701.1] {
            let found = responses(law, (rate * 100.0) as u32, || 1.0 / rate);
            let truth = StalledConstant { rate, service_s: 1e-3, every_s: 0.5, length_s: 0.1 };
            for q in [0.5, 0.75, 0.9, 0.99] {
                let (found, truth) = (quantile(&found, q), truth.quantile_s(q));
                // The first stall comes after as long a time without one as lies between the others.
                assert!(near(found, truth, 0.02), "{rate} {q}: {found} {truth}");
            }
            let delayed = found.iter().filter(|response| **response > 1.01e-3).count();
            let delayed = delayed as f64 / found.len() as f64;
            assert!(near(delayed, truth.delayed(), 0.03), "{rate}: {delayed} {}", truth.delayed());
        }
    }

    #[test]
    fn so_many_servers_work_at_once() {
        let law = Law { servers: 3, ..Law::fixed(Nanos(10)) };
        let mut station = Station::new(law, Nanos::ZERO, Seed(1));
        let ends: Vec<u64> = (0..7).map(|_| station.serve(Nanos::ZERO).finished.0).collect();
        assert_eq!(ends, [10, 10, 10, 20, 20, 20, 30]);
    }

    #[test]
    fn a_stall_interrupts_what_it_meets() {
        let law = Law {
            stall: Some(Stall { every: Nanos(100), length: Nanos(30) }),
            ..Law::fixed(Nanos(20))
        };
        let mut station = Station::new(law, Nanos::ZERO, Seed(1));
        let mut ends = |arrivals: &[u64]| -> Vec<u64> {
            arrivals.iter().map(|at| station.serve(Nanos(*at)).finished.0).collect()
        };
        assert_eq!(ends(&[0, 70, 90, 110, 150, 199]), [20, 90, 140, 160, 180, 249]);
    }
}
