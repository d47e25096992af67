//! What requests are made of: keys and values.

use super::field::{Field, Words};
use super::section::Section;
use super::to_blame;
use crate::scenario::findings::Findings;
use crate::scenario::problem::quoted;
use crate::scenario::spec::{KeyDist, Keys, Values};
use crate::units::ByteSize;

const KEYS_MAX: u64 = 100_000_000;
const LEASES_MAX: u64 = 100_000;
const VALUE_MAX: ByteSize = ByteSize(1 << 20);
const ZIPF_MAX: f64 = 10.0;

/// Reads [keys].
pub(super) fn keys(root: &mut Section<'_>, findings: &mut Findings) -> Keys {
    let mut keys =
        Keys { space: 100_000, size: ByteSize(16), dist: KeyDist::Uniform, preload: 0, leases: 0 };
    let Some(mut section) = root.take("keys").and_then(|field| field.section(findings)) else {
        return keys;
    };
    let (space, size) = (section.take("space"), section.take("size"));
    if let Some(count) = space.as_ref().and_then(|field| field.count(1..=KEYS_MAX, findings)) {
        keys.space = count;
    }
    let allowed = ByteSize(1)..=ByteSize(1 << 10);
    if let Some(bytes) = size.as_ref().and_then(|field| field.size(allowed, findings)) {
        keys.size = bytes;
    }
    let places = [space, size].into_iter().flatten().map(|field| field.place);
    if let Some(place) = places.reduce(to_blame)
        && keys.size < key_size_min(keys.space)
    {
        let message = format!("keys of {} cannot tell {} keys apart", keys.size, keys.space);
        findings.wrong(place, message, format!("they need {} at least", key_size_min(keys.space)));
    }
    if let Some(field) = section.take("dist") {
        keys.dist = dist(&field, findings).unwrap_or(keys.dist);
    }
    if let Some(field) = section.take("preload") {
        keys.preload = preload(&field, keys.space, findings).unwrap_or(keys.preload);
    }
    let leases = section.take("leases");
    if let Some(count) = leases.and_then(|field| field.count(0..=LEASES_MAX, findings)) {
        keys.leases = count;
    }
    section.finish(findings);
    keys
}

/// `true` for all keys, `false` for none, or how many.
fn preload(field: &Field<'_>, space: u64, findings: &mut Findings) -> Option<u64> {
    match field.value {
        crate::scenario::raw::Value::Flag(all) => Some(if *all { space } else { 0 }),
        crate::scenario::raw::Value::Integer(_) | crate::scenario::raw::Value::Text(_) => {
            field.count(0..=space, findings)
        }
        _ => field.wrong_type("true, false or a count", findings),
    }
}

/// A key holds its number in hexadecimal.
fn key_size_min(space: u64) -> ByteSize {
    let last = space.saturating_sub(1).max(1);
    ByteSize(u64::from(last.ilog2() / 4 + 1))
}

fn dist(field: &Field<'_>, findings: &mut Findings) -> Option<KeyDist> {
    const DIST: Words<KeyDist> = Words {
        allowed: &["uniform", "zipf:<exponent>", "hotspot", "sequential", "shared", "latest"],
        planned: &[],
        from_word: |word| match word {
            "uniform" => Some(KeyDist::Uniform),
            "hotspot" => Some(KeyDist::Hotspot),
            "sequential" => Some(KeyDist::Sequential),
            "shared" => Some(KeyDist::Shared),
            "latest" => Some(KeyDist::Latest),
            _ => None,
        },
    };
    let text = field.text(findings)?;
    let exponent = match text.split_once(':') {
        Some(("zipf", exponent)) => exponent,
        None if text == "zipf" => "",
        _ => return field.word(&DIST, findings),
    };
    let exponent =
        exponent.parse().ok().filter(|exponent| *exponent > 0.0 && *exponent <= ZIPF_MAX);
    if exponent.is_none() {
        let (name, shown) = (&field.name, quoted(text));
        let message = format!("{name} is \"{shown}\"; the exponent is above 0, up to {ZIPF_MAX}");
        findings.wrong(field.place, message, "write \"zipf:0.99\"");
    }
    exponent.map(KeyDist::Zipf)
}

/// Reads [values].
pub(super) fn values(root: &mut Section<'_>, findings: &mut Findings) -> Values {
    let default = Values::Fixed(ByteSize(256));
    let Some(mut section) = root.take("values").and_then(|field| field.section(findings)) else {
        return default;
    };
    let field = section.take("size");
    section.finish(findings);
    let Some(field) = field else { return default };
    let values = match field.value {
        crate::scenario::raw::Value::Table(_) => drawn(&field, findings),
        _ => field.size(ByteSize(0)..=VALUE_MAX, findings).map(Values::Fixed),
    };
    values.unwrap_or(default)
}

/// Sizes from a distribution.
fn drawn(field: &Field<'_>, findings: &mut Findings) -> Option<Values> {
    let hint = "write { lognormal = { median = \"256B\", p99 = \"4KiB\" } } or { uniform = { min = \"16B\", max = \"1KiB\" } }";
    let mut section = field.section(findings)?;
    let place = section.place;
    let (lognormal, uniform) = (section.take("lognormal"), section.take("uniform"));
    section.finish(findings);
    match (lognormal, uniform) {
        (Some(field), None) => {
            let (median, p99) = sizes(&field, ["median", "p99"], ByteSize(1), hint, findings)?;
            Some(Values::Lognormal { median, p99 })
        }
        (None, Some(field)) => {
            let (min, max) = sizes(&field, ["min", "max"], ByteSize(0), hint, findings)?;
            Some(Values::Uniform { min, max })
        }
        (None, None) => {
            findings.missing(place, format!("{} says no distribution", field.name), hint);
            None
        }
        (Some(_), Some(_)) => {
            let message = format!("{} has both of lognormal, uniform", field.name);
            findings.wrong(place, message, hint);
            None
        }
    }
}

/// Two sizes, the first not above the second.
fn sizes(
    field: &Field<'_>,
    [lower, upper]: [&'static str; 2],
    least: ByteSize,
    hint: &str,
    findings: &mut Findings,
) -> Option<(ByteSize, ByteSize)> {
    let mut section = field.section(findings)?;
    let fields = (section.require(lower, hint, findings), section.require(upper, hint, findings));
    section.finish(findings);
    let (lower_field, upper_field) = (fields.0?, fields.1?);
    let allowed = least..=VALUE_MAX;
    let low = lower_field.size(allowed.clone(), findings);
    let high = upper_field.size(allowed, findings);
    let (low, high) = (low?, high?);
    if low > high {
        let place = to_blame(lower_field.place, upper_field.place);
        findings.wrong(place, format!("the {lower} {low} is above the {upper} {high}"), "");
    }
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_long_enough_to_differ() {
        let check =
            |space, expected| assert_eq!(key_size_min(space), ByteSize(expected), "{space}");
        check(1, 1);
        check(16, 1);
        check(17, 2);
        check(256, 2);
        check(257, 3);
        check(100_000_000, 7);
    }
}
