//! What else happens meanwhile: puts that say how long everybody waits, in rounds of programs by turns.

use crate::served::Asked;
use kvbench::client::Connection;
use kvbench::clock::Clock;
use kvbench::model::Request;
use kvbench::units::Nanos;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;

const ROUNDS: usize = 3;
const PUT_EVERY: Duration = Duration::from_millis(2);

impl Asked {
    /// What `cost` gives of each program, which take turns.
    pub(crate) fn by_turns<T>(&self, mut cost: impl FnMut(&str, u64) -> T) -> Vec<(&str, Vec<T>)> {
        let mut costs: Vec<_> =
            self.programs.iter().map(|program| (program.as_str(), Vec::new())).collect();
        for _ in 0..ROUNDS {
            for (program, costs) in &mut costs {
                costs.push(cost(program, self.number));
            }
        }
        costs
    }
}

/// Median and extremes of what `value` says.
pub(crate) fn spread<T>(costs: &[T], value: fn(&T) -> f64) -> String {
    let mut values: Vec<_> = costs.iter().map(value).collect();
    values.sort_by(f64::total_cmp);
    let (least, median, most) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    format!("{median:.2} [{least:.2}, {most:.2}]")
}

/// Puts to one key, one after the other.
pub(crate) struct Puts {
    stop: watch::Sender<bool>,
    slowest: JoinHandle<Nanos>,
}

impl Puts {
    /// Over `writer`, from now on.
    pub(crate) fn begin(writer: Connection, clock: Clock) -> Puts {
        let (stop, stopped) = watch::channel(false);
        Puts { stop, slowest: tokio::spawn(slowest_put(writer, clock, stopped)) }
    }

    /// How long the slowest of them took, ms.
    pub(crate) async fn end(self) -> f64 {
        self.stop.send(true).expect("puts are under way");
        self.slowest.await.expect("puts are answered").0 as f64 / 1e6
    }
}

async fn slowest_put(writer: Connection, clock: Clock, stopped: watch::Receiver<bool>) -> Nanos {
    let mut slowest = Nanos::ZERO;
    while !*stopped.borrow() {
        let began = clock.now();
        writer.call(Request::put(format!("{:016x}", 0), "x")).await.expect("an answer");
        slowest = slowest.max(clock.now().since(began));
        tokio::time::sleep(PUT_EVERY).await;
    }
    slowest
}
