//! How numbers and names are written, the same in every form.
//!
//! Three significant digits are all that a benchmark on a shared host can claim. The bounds of an interval are
//! rounded outwards, so that rounding alone never makes a target look met. Names come from files that others wrote:
//! [`plain`] takes out whatever could steer a terminal or reorder text.

use crate::compare::{ArmSummary, BothWays, Estimate, Row, Rung, Unit};
pub(super) use crate::report::glossary::canonical;
pub use crate::report::glossary::{GLOSSARY, definition};

/// Stands for a number that is not there or not finite.
pub const NOTHING: &str = "–";

/// Stands for a number that was measured and is none, since the load was not what it claims to be.
pub const INVALID: &str = "invalid";

/// Pairs or trials below which no 95 % interval exists: the signed-rank test cannot reach 5 % with fewer.
pub const INTERVAL_PAIRS_MIN: usize = 6;

/// Which way a number is cut to three digits.
#[derive(Clone, Copy)]
enum Round {
    Nearest,
    Down,
    Up,
}

/// Three significant digits: `18.3`, `0.990`, `1 230`.
pub fn significant(value: f64) -> String {
    significant_towards(value, Round::Nearest)
}

fn significant_towards(value: f64, round: Round) -> String {
    if !value.is_finite() {
        return NOTHING.to_string();
    }
    if value.abs() < 1e-9 {
        return "0".to_string();
    }
    let cut = cut_to_digits(value, 3, round);
    let decimals = (2 - magnitude(cut)).max(0) as usize;
    if decimals == 0 { grouped(cut) } else { format!("{cut:.decimals$}") }
}

/// `value` cut to so many significant digits. A hair is allowed for numbers that binary cannot hold exactly.
fn cut_to_digits(value: f64, digits: i32, round: Round) -> f64 {
    let shift = digits - 1 - magnitude(value);
    let scaled = value * 10f64.powi(shift);
    let whole = match round {
        Round::Nearest => scaled.round(),
        Round::Down => (scaled + 1e-6).floor(),
        Round::Up => (scaled - 1e-6).ceil(),
    };
    whole / 10f64.powi(shift)
}

/// The power of ten at or below `value`.
fn magnitude(value: f64) -> i32 {
    value.abs().log10().floor() as i32
}

/// A whole number with its thousands apart: `81 900`.
pub fn grouped(value: f64) -> String {
    if !value.is_finite() {
        return NOTHING.to_string();
    }
    let digits = format!("{:.0}", value.abs());
    let mut text = if value <= -0.5 { "-".to_string() } else { String::new() };
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A rate: three significant digits, and never coarser than hundreds.
pub fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second < 100.0 {
        return significant(per_second);
    }
    let step = 10f64.powi((magnitude(per_second) - 2).min(2));
    grouped((per_second / step).round() * step)
}

/// A rate, or a dash where nothing was measured.
pub fn rate_if_any(per_second: f64) -> String {
    if per_second > 0.0 { rate(per_second) } else { NOTHING.to_string() }
}

/// A rate with its half-width: `81 900 ± 2.2 %`, or `± ?` if there are too few trials for one.
pub fn rate_within(per_second: f64, half_width: Option<f64>) -> String {
    match half_width {
        Some(fraction) => format!("{} ± {}", rate(per_second), percent(fraction)),
        None => format!("{} ± ?", rate(per_second)),
    }
}

/// An arm's throughput with its half-width, or why there is none.
pub fn arm_rate(arm: Option<&ArmSummary>) -> String {
    match arm {
        Some(ArmSummary { invalid: Some(why), .. }) => format!("{INVALID}: {}", why.short()),
        Some(arm) if arm.trials > 0 => rate_within(arm.throughput_per_s, arm.half_width),
        _ => NOTHING.to_string(),
    }
}

/// A rung's throughput, or that it is none.
pub fn rung_rate(rung: &Rung) -> String {
    if rung.invalid.is_some() { INVALID.to_string() } else { rate_if_any(rung.throughput_per_s) }
}

/// A fraction as a percentage: `2.2 %`, `0.02 %`.
pub fn percent(fraction: f64) -> String {
    let value = fraction * 100.0;
    match value.abs() {
        v if !v.is_finite() => NOTHING.to_string(),
        v if v >= 100.0 => format!("{} %", grouped(value)),
        v if !(1e-6..0.1).contains(&v) => format!("{value:.1} %"),
        v if v >= 0.005 => format!("{value:.2} %"),
        _ => "< 0.01 %".to_string(),
    }
}

/// A step first and last: its lever, ratio and interval of both.
pub(super) fn both_ways(step: &BothWays) -> [String; 5] {
    let last = |told: fn(&Estimate) -> String| {
        step.last.as_ref().map_or("others do the same".to_string(), told)
    };
    [
        step.lever.clone(),
        estimate_ratio(&step.first),
        interval(&step.first),
        last(estimate_ratio),
        step.last.as_ref().map_or(String::new(), interval),
    ]
}

/// Nanoseconds as microseconds, without the unit: `11 088`, `4.2`, `0.07`.
pub fn micros(ns: f64) -> String {
    let value = ns / 1e3;
    match value.abs() {
        v if !v.is_finite() => NOTHING.to_string(),
        v if v < 1e-6 => "0".to_string(),
        v if v >= 99.95 => grouped(value),
        v if v >= 0.095 => format!("{value:.1}"),
        v if v >= 0.005 => format!("{value:.2}"),
        _ => "< 0.01".to_string(),
    }
}

/// Nanoseconds as milliseconds with the unit: `0.61 ms`.
pub fn millis(ns: f64) -> String {
    format!("{} ms", significant(ns / 1e6))
}

/// A rate with its unit: `2 000 ops/s`.
pub fn per_second(per_second: f64) -> String {
    format!("{} ops/s", rate(per_second))
}

/// A span in words: `42 s`, `2 m 10 s`, `1 h 5 m`.
pub fn span(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() || s < 0.0 => NOTHING.to_string(),
        s if s < 10.0 => format!("{s:.1} s"),
        s if s < 60.0 => format!("{s:.0} s"),
        s if s < 3600.0 => format!("{:.0} m {:.0} s", (s / 60.0).floor(), (s % 60.0).floor()),
        s => format!("{:.0} h {:.0} m", (s / 3600.0).floor(), (s % 3600.0 / 60.0).floor()),
    }
}

/// A judged value with its unit: `0.02 %`, `5.10 ms`, `19.2 µs` below a tenth of one, `12 400/s`, `1.97`.
pub fn quantity(value: f64, unit: Unit) -> String {
    quantity_towards(value, unit, Round::Nearest)
}

/// The interval of such a value, rounded outwards.
pub fn quantity_within((low, high): (f64, f64), unit: Unit) -> String {
    format!("[{}, {}]", quantity_lower(low, unit), quantity_upper(high, unit))
}

/// A lower bound of such a value, rounded down.
pub fn quantity_lower(value: f64, unit: Unit) -> String {
    quantity_towards(value, unit, Round::Down)
}

/// An upper bound of such a value, rounded up.
pub fn quantity_upper(value: f64, unit: Unit) -> String {
    quantity_towards(value, unit, Round::Up)
}

fn quantity_towards(value: f64, unit: Unit, round: Round) -> String {
    let (scale, unit) = match unit {
        Unit::PerSecond => (1.0, "/s"),
        Unit::Time if value != 0.0 && value.abs() < 1e5 => (1e-3, " µs"),
        Unit::Time => (1e-6, " ms"),
        Unit::Share => (100.0, " %"),
        Unit::Bytes => (1.0 / f64::from(1 << 20), " MiB"),
        Unit::Count => (1.0, ""),
    };
    format!("{}{unit}", significant_towards(value * scale, round))
}

/// A ratio: `18.3×`.
pub fn ratio(value: f64) -> String {
    format!("{}×", significant(value))
}

/// A round factor on an axis: `10×`, `0.5×`.
pub fn factor(value: f64) -> String {
    let digits = significant(value);
    let digits = match digits.contains('.') {
        true => digits.trim_end_matches('0').trim_end_matches('.'),
        false => &digits,
    };
    format!("{digits}×")
}

/// The ratio of an estimate, or a dash if it rests on no pair.
pub fn estimate_ratio(estimate: &Estimate) -> String {
    match estimate {
        Estimate { invalid: Some(_), .. } => INVALID.to_string(),
        Estimate { pairs: 0, .. } => NOTHING.to_string(),
        _ => ratio(estimate.ratio),
    }
}

/// The interval of an estimate, rounded outwards: `[17.6, 19.0]`, or what it needs, or why it is invalid.
pub fn interval(estimate: &Estimate) -> String {
    if let Some(why) = estimate.invalid {
        return why.short().to_string();
    }
    match estimate.interval {
        Some((low, high)) => format!("[{}, {}]", lower_bound(low), upper_bound(high)),
        None => format!("needs {INTERVAL_PAIRS_MIN} pairs"),
    }
}

/// A lower bound, rounded down.
pub fn lower_bound(value: f64) -> String {
    significant_towards(value, Round::Down)
}

/// An upper bound, rounded up.
pub fn upper_bound(value: f64) -> String {
    significant_towards(value, Round::Up)
}

/// The A/A floor of a row: `± 2.1 %`, or what it needs.
pub fn floor(row: &Row) -> String {
    match row.aa_floor {
        _ if row.ratio.invalid.is_some() => INVALID.to_string(),
        Some(fraction) => format!("± {}", percent(fraction)),
        None => format!("needs {INTERVAL_PAIRS_MIN} A/A"),
    }
}

/// Which way an estimate points beyond doubt: `▲` more, `▼` less, `·` neither shown.
pub fn mark(estimate: &Estimate, aa_floor: Option<f64>) -> &'static str {
    let floor = aa_floor.unwrap_or(0.0);
    match estimate.interval {
        Some((low, _)) if low > 1.0 && estimate.ratio > 1.0 + floor => "▲",
        Some((_, high)) if high < 1.0 && estimate.ratio < 1.0 / (1.0 + floor) => "▼",
        _ => "·",
    }
}

/// `one` or `many`, after the count: `1 pair`, `12 pairs`.
pub fn count(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", grouped(n as f64), if n == 1 { one } else { many })
}

/// One line of text that cannot steer a terminal or reorder its surroundings: controls and bidi marks are gone, line
/// ends and tabs are spaces.
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { c })
        .filter(|&c| !steers(c))
        .collect()
}

/// Like [`plain`], and keeps line ends and tabs.
pub fn plain_lines(text: &str) -> String {
    text.chars().filter(|&c| matches!(c, '\n' | '\t') || !steers(c)).collect()
}

/// C0, DEL, C1, bidirectional controls, zero-width characters, the byte order mark, and the last two of each plane, which are no
/// characters: XML forbids U+FFFE and U+FFFF (XML 1.0, 2.2).
fn steers(c: char) -> bool {
    c.is_control()
        || u32::from(c) & 0xfffe == 0xfffe
        || matches!(c, '\u{61c}' | '\u{feff}' | '\u{200b}'..='\u{200f}')
        || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// `text` made [`plain`] and cut to `length` characters with an ellipsis.
pub fn short(text: &str, length: usize) -> String {
    let text = plain(text);
    if text.chars().count() <= length {
        return text;
    }
    text.chars().take(length.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Invalid;

    const KNOWN: Estimate = Estimate { ratio: 1.0, interval: None, pairs: 12, invalid: None };

    #[test]
    fn what_is_invalid_is_no_number() {
        let estimate = Estimate { invalid: Some(Invalid::Generator), ratio: 4.4, ..KNOWN };
        assert_eq!(estimate_ratio(&estimate), "invalid");
        assert_eq!(interval(&estimate), "generator");
        assert_eq!(mark(&estimate, None), "·");
    }

    #[test]
    fn three_digits() {
        for (value, text) in [
            (18.34, "18.3"),
            (9.996, "10.0"),
            (0.99, "0.990"),
            (0.0491, "0.0491"),
            (1234.0, "1 230"),
            (0.0, "0"),
        ] {
            assert_eq!(significant(value), text);
        }
        assert_eq!(
            (factor(10.0), factor(0.5), factor(100.0)),
            ("10×".into(), "0.5×".into(), "100×".into())
        );
        assert_eq!(significant(f64::NAN), NOTHING);
        assert_eq!(significant(f64::INFINITY), NOTHING);
    }

    #[test]
    fn bounds_round_outwards() {
        let estimate = Estimate { ratio: 10.4, interval: Some((9.996, 10.81)), ..KNOWN };
        assert_eq!(interval(&estimate), "[9.99, 10.9]");
        let exact = Estimate { ratio: 18.3, interval: Some((17.6, 19.0)), ..KNOWN };
        assert_eq!(interval(&exact), "[17.6, 19.0]");
        assert_eq!(interval(&Estimate { interval: None, ..exact }), "needs 6 pairs");
    }

    #[test]
    fn rates_and_times() {
        assert_eq!(rate(4_312.0), "4 310");
        assert_eq!(rate(81_934.0), "81 900");
        assert_eq!(rate(118_433.0), "118 400");
        assert_eq!(rate(0.0), "0");
        assert_eq!(rate_within(4_312.0, Some(0.0216)), "4 310 ± 2.2 %");
        assert_eq!(rate_within(4_312.0, None), "4 310 ± ?");
        assert_eq!(micros(11_088_400.0), "11 088");
        assert_eq!(micros(70.0), "0.07");
        assert_eq!(span(130.4), "2 m 10 s");
        assert_eq!(percent(0.0002), "0.02 %");
        assert_eq!(percent(0.0), "0.0 %");
    }

    #[test]
    fn values_carry_their_unit_and_round_outwards() {
        assert_eq!(quantity(0.000_204, Unit::Share), "0.0204 %");
        assert_eq!(quantity(0.0, Unit::Share), "0 %");
        assert_eq!(quantity(5_100_000.0, Unit::Time), "5.10 ms");
        assert_eq!(quantity(19_184.0, Unit::Time), "19.2 µs");
        assert_eq!(quantity(100_000.0, Unit::Time), "0.100 ms");
        assert_eq!(quantity(0.0, Unit::Time), "0 ms");
        assert_eq!(quantity(12_437.0, Unit::PerSecond), "12 400/s");
        assert_eq!(quantity_within((0.009_996, 0.010_81), Unit::Share), "[0.999 %, 1.09 %]");
        assert_eq!(quantity_within((1.0, 4.996), Unit::Count), "[1.00, 5.00]");
    }

    #[test]
    fn marks_respect_the_floor() {
        let better = Estimate { ratio: 1.01, interval: Some((1.005, 1.02)), ..KNOWN };
        assert_eq!(mark(&better, None), "▲");
        assert_eq!(mark(&better, Some(0.02)), "·");
        assert_eq!(
            mark(&Estimate { ratio: 0.5, interval: Some((0.4, 0.6)), ..KNOWN }, Some(0.02)),
            "▼"
        );
        assert_eq!(mark(&Estimate { interval: None, ..better }, None), "·");
    }

    #[test]
    fn names_cannot_steer() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}b\u{202e}c\nd\u{9b}"), "a]0;xbc d");
        assert_eq!(plain("a\u{ffff}b\u{1fffe}c"), "abc");
        assert_eq!(plain_lines("a\tb\n\u{200f}c\r"), "a\tb\nc");
        assert_eq!(short("abcdef", 4), "abc…");
    }
}
