//! Quantities with their unit in the type: time and size, parsed and printed in one place.
//! A bare number never becomes a quantity here; the parsers ask for the unit.

use std::fmt;
use std::time::Duration;

/// A span or an instant on the run's monotonic clock, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

impl Nanos {
    /// No time at all.
    pub const ZERO: Nanos = Nanos(0);

    /// Whole milliseconds.
    #[inline]
    pub const fn from_millis(millis: u64) -> Nanos {
        Nanos(millis * 1_000_000)
    }

    /// Seconds as a fraction.
    #[inline]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// From `earlier` to this instant; zero if `earlier` is later.
    #[inline]
    pub fn since(self, earlier: Nanos) -> Nanos {
        Nanos(self.0.saturating_sub(earlier.0))
    }

    /// This instant moved on by `span`.
    #[inline]
    pub fn after(self, span: Nanos) -> Nanos {
        Nanos(self.0.saturating_add(span.0))
    }
}

impl From<Nanos> for Duration {
    #[inline]
    fn from(nanos: Nanos) -> Duration {
        Duration::from_nanos(nanos.0)
    }
}

impl From<Duration> for Nanos {
    #[inline]
    fn from(span: Duration) -> Nanos {
        Nanos(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX))
    }
}

const TIME_UNITS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

const SIZE_UNITS: [(&str, u64); 4] =
    [("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

const COUNT_UNITS: [(&str, u64); 3] = [("", 1), ("k", 1_000), ("M", 1_000_000)];

/// Reads a time such as `"10s"`, `"1.5ms"`. The error says which units exist.
pub fn parse_nanos(text: &str) -> Result<Nanos, String> {
    parse_scaled(text, &TIME_UNITS, "a time such as \"500ms\" or \"10s\" (ns, us, ms, s, m, h)")
        .map(Nanos)
}

/// Reads a size such as `"256B"`, `"64KiB"`.
pub fn parse_bytes(text: &str) -> Result<ByteSize, String> {
    parse_scaled(text, &SIZE_UNITS, "a size such as \"256B\" or \"4KiB\" (B, KiB, MiB, GiB)")
        .map(ByteSize)
}

/// Reads a count such as `"100k"` or `"250"`.
pub fn parse_count(text: &str) -> Result<u64, String> {
    parse_scaled(text, &COUNT_UNITS, "a count such as \"100k\" or 2000 (k, M)")
}

/// Reads a rate such as `"2k/s"`, `"0.5/s"`, in operations per second.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    let wanted = "a rate such as \"500/s\" or \"2k/s\" (k, M)";
    let per_second = text.trim().strip_suffix("/s").map(str::trim);
    let per_second = per_second.ok_or_else(|| format!("the unit is missing: expected {wanted}"))?;
    let (number, scale) = match per_second.as_bytes().last() {
        Some(b'k') => (&per_second[..per_second.len() - 1], 1e3),
        Some(b'M') => (&per_second[..per_second.len() - 1], 1e6),
        _ => (per_second, 1.0),
    };
    let value: f64 = number.trim().parse().map_err(|_| format!("expected {wanted}"))?;
    let rate = value * scale;
    if rate.is_finite() { Ok(rate) } else { Err(format!("expected {wanted}")) }
}

/// A rate as [`parse_rate`] reads it: `2k/s`, `2.5k/s`, `0.5/s`.
pub fn rate_text(per_s: f64) -> String {
    match per_s {
        rate if rate >= 1e6 => format!("{}M/s", rate / 1e6),
        rate if rate >= 1e3 => format!("{}k/s", rate / 1e3),
        rate => format!("{rate}/s"),
    }
}

/// Reads a percentage such as `"5%"` as a fraction (0.05).
pub fn parse_percent(text: &str) -> Result<f64, String> {
    let wanted = "a percentage such as \"5%\"";
    let number = text.trim().strip_suffix('%').ok_or_else(|| format!("expected {wanted}"))?;
    let value: f64 = number.trim().parse().map_err(|_| format!("expected {wanted}"))?;
    if value.is_finite() { Ok(value / 100.0) } else { Err(format!("expected {wanted}")) }
}

/// What a value that is judged is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Events per second.
    PerSecond,
    /// A time; values are in ns.
    Time,
    /// A share of a whole; values are fractions.
    Share,
    /// A size; values are in bytes.
    Bytes,
    /// A count, or a ratio of counts.
    Count,
}

impl Unit {
    /// Reads a value as it is typed: `10k/s`, `5ms`, `1%`, `64MiB`, `512`. Never negative.
    pub fn parse(self, text: &str) -> Result<f64, String> {
        let text = text.trim();
        match self {
            Unit::PerSecond => match parse_rate(text)? {
                rate if rate >= 0.0 => Ok(rate),
                _ => Err("a rate is not negative".to_owned()),
            },
            Unit::Time => parse_nanos(text).map(|span| span.0 as f64),
            Unit::Share => match parse_percent(text)? {
                share if share >= 0.0 => Ok(share),
                _ => Err("a share is not negative".to_owned()),
            },
            Unit::Bytes => parse_bytes(text).map(|size| size.0 as f64),
            Unit::Count => {
                let number = text.parse().ok().filter(|n: &f64| n.is_finite() && *n >= 0.0);
                number.ok_or_else(|| "expected a number such as 512 or 0.05".to_owned())
            }
        }
    }

    /// The same value as text that [`Unit::parse`] reads.
    pub fn show(self, value: f64) -> String {
        match self {
            Unit::PerSecond => format!("{value}/s"),
            Unit::Time => Nanos(value as u64).to_string(),
            Unit::Share => format!("{}%", (value * 1e8).round() / 1e6),
            Unit::Bytes => format!("{}B", value as u64),
            Unit::Count => value.to_string(),
        }
    }
}

fn parse_scaled(text: &str, units: &[(&str, u64)], wanted: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, unit) = (&text[..split], text[split..].trim());
    let value: f64 = number.parse().map_err(|_| format!("expected {wanted}"))?;
    let scale =
        units.iter().find(|(name, _)| *name == unit).map(|(_, scale)| *scale).ok_or_else(|| {
            match unit {
                "" => format!("the unit is missing: expected {wanted}"),
                // Escaped: it may hold what reorders text on a terminal.
                _ => format!("unknown unit {unit:?}: expected {wanted}"),
            }
        })?;
    let scaled = value * scale as f64;
    if scaled > 9e18 {
        return Err(format!("too large: expected {wanted}"));
    }
    if scaled.fract() != 0.0 {
        return Err(format!("not a whole number of the smallest unit: expected {wanted}"));
    }
    Ok(scaled as u64)
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display_scaled(
            f,
            self.0,
            &[(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us"), (1, "ns")],
        )
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display_scaled(f, self.0, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")])
    }
}

/// Prints in the largest unit that leaves at least 1, with up to three significant digits.
fn display_scaled(f: &mut fmt::Formatter<'_>, value: u64, units: &[(u64, &str)]) -> fmt::Result {
    let (scale, unit) = units
        .iter()
        .find(|(scale, _)| value >= *scale)
        .or(units.last())
        .copied()
        .unwrap_or((1, ""));
    let scaled = value as f64 / scale as f64;
    match () {
        () if value.is_multiple_of(scale) || scaled >= 100.0 => write!(f, "{scaled:.0}{unit}"),
        () if scaled >= 10.0 => write!(f, "{scaled:.1}{unit}"),
        () => write!(f, "{scaled:.2}{unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_need_a_unit() {
        assert_eq!(parse_nanos("1.5ms"), Ok(Nanos(1_500_000)));
        assert_eq!(parse_bytes("64KiB"), Ok(ByteSize(65_536)));
        assert_eq!(parse_count("100k"), Ok(100_000));
        assert_eq!(parse_percent("5%"), Ok(0.05));
        assert!(parse_nanos("10").unwrap_err().contains("unit is missing"));
        assert!(parse_nanos("10 parsecs").unwrap_err().contains("unknown unit \"parsecs\""));
        assert!(!parse_nanos("10\u{202e}us").unwrap_err().contains('\u{202e}'));
        assert!(parse_bytes("0.3B").unwrap_err().contains("whole number"));
        assert!(
            parse_nanos("").is_err() && parse_nanos("-1s").is_err() && parse_percent("x%").is_err()
        );
        assert!(parse_count("99999999999999999999M").is_err());
    }

    #[test]
    fn rates_are_read_as_they_are_printed() {
        for (text, rate) in [("2k/s", 2000.0), ("0.5/s", 0.5), ("1.5M/s", 1.5e6), ("999/s", 999.0)]
        {
            assert_eq!((parse_rate(text), rate_text(rate).as_str()), (Ok(rate), text));
        }
        assert_eq!(parse_rate(" 3 k /s "), Ok(3000.0));
        assert!(parse_rate("2k").unwrap_err().contains("unit is missing"));
        for bad in ["/s", "k/s", "x/s", "inf/s", "1e999/s", "2G/s"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn values_are_read_as_they_are_shown() {
        for (unit, text, value, shown) in [
            (Unit::PerSecond, "10k/s", 10_000.0, "10000/s"),
            (Unit::Time, "5ms", 5e6, "5ms"),
            (Unit::Share, "1%", 0.01, "1%"),
            (Unit::Bytes, "64MiB", 67_108_864.0, "67108864B"),
            (Unit::Count, "512", 512.0, "512"),
        ] {
            assert_eq!(unit.parse(text), Ok(value));
            assert_eq!(unit.show(value), shown);
            assert_eq!(unit.parse(shown), Ok(value));
            assert!(
                unit.parse("-1").is_err() && unit.parse("").is_err() && unit.parse("x").is_err()
            );
        }
        assert!(Unit::PerSecond.parse("10k").is_err() && Unit::Time.parse("5").is_err());
        assert!(Unit::PerSecond.parse("-1/s").is_err() && Unit::Share.parse("-1%").is_err());
        // What was measured is seldom a whole number, and may be typed back.
        for rate in [0.5, 4_980.25] {
            assert_eq!(Unit::PerSecond.parse(&Unit::PerSecond.show(rate)), Ok(rate));
        }
    }

    #[test]
    fn display_picks_the_scale() {
        assert_eq!(Nanos(1_500_000).to_string(), "1.50ms");
        assert_eq!(Nanos(2_000_000_000).to_string(), "2s");
        assert_eq!(Nanos(0).to_string(), "0ns");
        assert_eq!(ByteSize(1 << 20).to_string(), "1MiB");
    }
}
