//! How far the clock of another host is off this one's, and how well that is known.

use crate::units::Nanos;

/// One question for the time, on the clocks of both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ping {
    /// When it was asked here.
    pub(super) sent: Nanos,
    /// What the other clock said meanwhile.
    pub(super) there: Nanos,
    /// When the answer was here.
    pub(super) back: Nanos,
}

/// The other clock minus this one's, ns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Offset {
    pub(super) ns: i64,
    /// The truth lies within so much: half of the round trip.
    pub(super) error: Nanos,
}

impl Offset {
    /// Of the ping with the shortest round trip, which is known best; none without pings. Formula: offset and delay of
    /// RFC 5905 section 8 with one stamp on the other side, and its clock filter of least delay (section 10).
    pub(super) fn of(pings: &[Ping]) -> Option<Offset> {
        let best = pings.iter().min_by_key(|ping| ping.back.since(ping.sent))?;
        let round_trip = best.back.since(best.sent).0;
        let middle = best.sent.0 + round_trip / 2;
        let ns = (i128::from(best.there.0) - i128::from(middle)) as i64;
        Some(Offset { ns, error: Nanos(round_trip.div_ceil(2)) })
    }

    /// What the other clock says when this one says `here`.
    pub(super) fn there(self, here: Nanos) -> Nanos {
        Nanos(here.0.saturating_add_signed(self.ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The other clock is `off` ahead; the question takes `way` and its answer `back`.
    fn ping(sent: u64, off: i64, way: u64, back: u64) -> Ping {
        let there = Nanos((sent + way).saturating_add_signed(off));
        Ping { sent: Nanos(sent), there, back: Nanos(sent + way + back) }
    }

    #[test]
    fn the_truth_lies_within_the_error_however_the_ways_differ() {
        for off in [-5_000_000_i64, -1, 0, 1, 7_000_000] {
            for (way, back) in [(1000, 1000), (0, 4000), (4000, 0), (1, 2), (0, 0)] {
                let found = Offset::of(&[ping(10_000_000, off, way, back)]).unwrap();
                assert!((found.ns - off).unsigned_abs() <= found.error.0, "{off} {way} {back}");
                assert_eq!(found.error.0, (way + back).div_ceil(2));
            }
        }
    }

    #[test]
    fn the_shortest_round_trip_decides() {
        let pings =
            [ping(1000, 500, 90_000, 10), ping(200_000, 500, 20, 20), ping(1, 500, 50, 900)];
        assert_eq!(Offset::of(&pings), Some(Offset { ns: 500, error: Nanos(20) }));
        assert_eq!(Offset::of(&[]), None);
        assert_eq!(Offset { ns: -70, error: Nanos(1) }.there(Nanos(100)), Nanos(30));
    }
}
