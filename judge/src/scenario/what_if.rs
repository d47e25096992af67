//! `--what-if cores=64,fsync=20us,rtt=500us,clients=1+1000`: another host, in place of the one at hand. Whatever is not said stays as
//! it is here. Every mistake is told at once.

use super::findings::did_you_mean;
use super::problem::quoted;
use super::spec::{FSYNC_DELAY, Fsync};
use crate::units::{Nanos, parse_nanos};
use std::fmt;

/// Most cores of a host that is asked about.
pub const CORES_MAX: u32 = 1024;
/// Longest round trip between two members.
pub const RTT_MAX: Nanos = Nanos::from_millis(10_000);
/// Most clients, and most numbers of them.
pub const CLIENTS_MAX: u32 = 10_000;
const CLIENT_COUNTS_MAX: usize = 16;

const KEYS: [&str; 4] = ["cores", "fsync", "rtt", "clients"];

/// Another host, as far as it is said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WhatIf {
    /// Cores, 1..=[`CORES_MAX`].
    pub cores: Option<u32>,
    /// What a sync is: a delay means a disk whose sync takes just that.
    pub fsync: Option<Fsync>,
    /// Round trip between two members, each on a machine of its own.
    pub rtt: Option<Nanos>,
    /// Client counts, ascending and distinct; empty for those of the scenario.
    pub clients: Vec<u32>,
}

/// What is wrong with the text, each with a hint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong(Vec<(String, String)>);

impl WhatIf {
    /// Reads the text after `--what-if`.
    pub fn parse(text: &str) -> Result<WhatIf, Wrong> {
        let (mut what_if, mut wrong, mut seen) = (WhatIf::default(), Vec::new(), Vec::new());
        for part in text.split(',') {
            let outcome = match part.split_once('=') {
                Some((key, value)) => {
                    let key = key.trim();
                    let is_again = seen.contains(&key);
                    seen.push(key);
                    if is_again { Err(again(key)) } else { what_if.set(key, value.trim()) }
                }
                None => Err(no_value(part.trim())),
            };
            wrong.extend(outcome.err());
        }
        if wrong.is_empty() { Ok(what_if) } else { Err(Wrong(wrong)) }
    }

    fn set(&mut self, key: &str, value: &str) -> Result<(), (String, String)> {
        match key {
            "cores" => self.cores = Some(number(key, value, CORES_MAX)?),
            "fsync" => self.fsync = Some(fsync(value)?),
            "rtt" => self.rtt = Some(time(key, value, (Nanos::ZERO, RTT_MAX), "500us")?),
            "clients" => self.clients = clients(value)?,
            _ => return Err(unknown(key)),
        }
        Ok(())
    }
}

fn number(key: &str, value: &str, most: u32) -> Result<u32, (String, String)> {
    let read = value.parse().ok().filter(|number| (1..=most).contains(number));
    read.ok_or_else(|| {
        let message = format!("{key} is {}; allowed: whole numbers 1 to {most}", shown(value));
        (message, format!("write it like {key}=64"))
    })
}

fn time(
    key: &str,
    value: &str,
    (least, most): (Nanos, Nanos),
    example: &str,
) -> Result<Nanos, (String, String)> {
    let hint = || format!("write it like {key}={example}");
    let span = parse_nanos(value)
        .map_err(|error| (format!("{key} is {}: {error}", shown(value)), hint()))?;
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    Err((format!("{key} is {}; allowed: {least} to {most}", shown(value)), hint()))
}

fn fsync(value: &str) -> Result<Fsync, (String, String)> {
    let (least, most) = FSYNC_DELAY;
    match value {
        "off" => Ok(Fsync::Off),
        "real" => Ok(Fsync::Real),
        _ if !value.starts_with(|first: char| first.is_ascii_digit()) => {
            let message = format!(
                "fsync is {}; allowed: off, real, or a time from {least} to {most}",
                shown(value)
            );
            let close = did_you_mean(value, ["off", "real"]);
            Err((message, close.unwrap_or_else(|| "write it like fsync=20us".to_owned())))
        }
        _ => time("fsync", value, FSYNC_DELAY, "20us").map(Fsync::Delay),
    }
}

fn clients(value: &str) -> Result<Vec<u32>, (String, String)> {
    let counts = value.split('+').map(|count| number("clients", count.trim(), CLIENTS_MAX));
    let mut counts = counts.collect::<Result<Vec<u32>, _>>().map_err(|(message, _)| {
        (message, "one number, or several like clients=1+50+1000".to_owned())
    })?;
    counts.sort_unstable();
    counts.dedup();
    if counts.len() > CLIENT_COUNTS_MAX {
        let message =
            format!("clients has {} numbers; allowed: 1 to {CLIENT_COUNTS_MAX}", counts.len());
        return Err((message, "ask for the others apart".to_owned()));
    }
    Ok(counts)
}

fn unknown(key: &str) -> (String, String) {
    let hint = did_you_mean(key, KEYS).unwrap_or_else(|| format!("keys are: {}", KEYS.join(", ")));
    (format!("unknown key `{}`", quoted(key)), hint)
}

fn again(key: &str) -> (String, String) {
    (format!("{} is there twice", quoted(key)), "say each key once".to_owned())
}

fn no_value(part: &str) -> (String, String) {
    let example = "write it like --what-if cores=64,fsync=20us,rtt=500us,clients=1+1000".to_owned();
    match part {
        "" => ("a key with its value is missing".to_owned(), example),
        _ => (format!("`{}` has no value", quoted(part)), example),
    }
}

fn shown(value: &str) -> String {
    format!("\"{}\"", quoted(value))
}

impl std::error::Error for Wrong {}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (message, hint)) in self.0.iter().enumerate() {
            let end = if place == 0 { "" } else { "\n" };
            write!(f, "{end}error: --what-if: {message}\n  hint: {hint}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_host_can_be_asked_about() {
        let all = WhatIf::parse("cores=64, fsync=20us,rtt=500us,clients=1000+1+50+1").unwrap();
        let fsync = Some(Fsync::Delay(Nanos(20_000)));
        let (cores, rtt) = (Some(64), Some(Nanos(500_000)));
        assert_eq!(all, WhatIf { cores, fsync, rtt, clients: vec![1, 50, 1000] });
        let off = WhatIf::parse("fsync=off").unwrap();
        assert_eq!(off, WhatIf { fsync: Some(Fsync::Off), ..WhatIf::default() });
        assert_eq!(WhatIf::parse("fsync=real,rtt=0s").unwrap().rtt, Some(Nanos::ZERO));
    }

    #[test]
    fn mistakes_name_the_key_and_what_is_allowed() {
        let check = |text: &str, expected: &[&str]| {
            let wrong = WhatIf::parse(text).unwrap_err().to_string();
            for expected in expected {
                assert!(wrong.contains(expected), "{text}: {wrong}");
            }
        };
        check("core=64", &["unknown key `core`", "did you mean `cores`?"]);
        check("speed=2", &["unknown key `speed`", "keys are: cores, fsync, rtt, clients"]);
        check("cores=0", &["cores is \"0\"; allowed: whole numbers 1 to 1024"]);
        check("cores=1.5", &["cores is \"1.5\""]);
        check("fsync=rael", &["allowed: off, real, or a time from 1us to 10s", "`real`?"]);
        check("fsync=20", &["fsync is \"20\": the unit is missing"]);
        check("fsync=20m", &["fsync is \"20m\"; allowed: 1us to 10s"]);
        check("rtt=-1s", &["rtt is \"-1s\"", "write it like rtt=500us"]);
        check("rtt=1m", &["allowed: 0ns to 10s"]);
        check("clients=1+x", &["clients is \"x\"; allowed: whole numbers 1 to 10000"]);
        check("clients=10001", &["clients is \"10001\""]);
        let many: Vec<_> = (1..=17).map(|n: u32| n.to_string()).collect();
        check(&format!("clients={}", many.join("+")), &["has 17 numbers; allowed: 1 to 16"]);
        check("", &["a key with its value is missing", "--what-if cores=64"]);
        check("cores", &["`cores` has no value"]);
        check("cores=1,cores=2", &["cores is there twice"]);
        check("a=1,rtt=x", &["unknown key `a`", "\nerror: --what-if: rtt is"]);
        check("a\u{1b}[2J=1", &["unknown key"]);
        assert!(!WhatIf::parse("\u{1b}[2J=1").unwrap_err().to_string().contains('\u{1b}'));
    }
}
