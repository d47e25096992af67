//! What happens at a place where something was asked for, and that it is counted where it happens.

use super::sites::{SITES, Site};
use crate::clock::Clock;
use crate::units::{Nanos, parse_nanos};
use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The variable that says what goes wrong in a process.
const VARIABLE: &str = "FAILPOINTS";

/// What happens at a site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The thread panics.
    Panic,
    /// The call fails; only where a call can.
    Error,
    /// The thread stands still for so long.
    Sleep(Nanos),
    /// The process ends at once, as by a crash: nothing is flushed, nothing is dropped.
    Kill,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Panic => f.write_str("panic"),
            Action::Error => f.write_str("error"),
            Action::Sleep(span) => write!(f, "sleep {}ns", span.0),
            Action::Kill => f.write_str("kill"),
        }
    }
}

impl FromStr for Action {
    type Err = String;

    fn from_str(text: &str) -> Result<Action, String> {
        match text {
            "panic" => Ok(Action::Panic),
            "error" => Ok(Action::Error),
            "kill" => Ok(Action::Kill),
            _ => match text.strip_prefix("sleep ") {
                Some(span) => parse_nanos(span).map(Action::Sleep),
                None => Err(format!(
                    "{text:?} is none of \"panic\", \"error\", \"sleep 20ms\" and \"kill\""
                )),
            },
        }
    }
}

/// `site` is passed, where nothing can fail.
///
/// # Panics
/// If that was asked for; also if an error was.
pub fn pass(site: &'static str) {
    if let Err(error) = may_fail(site) {
        panic!("{error}, and nothing can fail there");
    }
}

/// `site` is passed, where the caller can fail.
///
/// # Errors
/// If that was asked for.
///
/// # Panics
/// If that was asked for; also if something was that there is not.
pub fn may_fail(site: &'static str) -> io::Result<()> {
    let Some(wanted) = wanted(site) else { return Ok(()) };
    let action = wanted.parse::<Action>();
    note(site);
    match action {
        Ok(Action::Panic) => panic!("failpoint {site}: panic"),
        Ok(Action::Error) => Err(io::Error::other(format!("failpoint {site}: error"))),
        Ok(Action::Sleep(span)) => {
            Clock::start().sleep(span);
            Ok(())
        }
        Ok(Action::Kill) => std::process::abort(),
        Err(wrong) => panic!("failpoint {site}: {wrong}"),
    }
}

/// What is asked for there, if it is its turn.
fn wanted(site: &str) -> Option<String> {
    fail::fail_point!(site, |argument| Some(argument.unwrap_or_default()));
    None
}

/// Tells whoever armed `site` that it happens. The crate keeps no counts, so there is a second point for each that is armed, which calls back.
fn note(site: &str) {
    fail::fail_point!(&happens(site));
}

fn happens(site: &str) -> String {
    format!("{site} happens")
}

/// A site at which something goes wrong, until this is dropped.
#[derive(Debug)]
pub struct Armed {
    site: &'static str,
    times: Arc<AtomicU64>,
}

/// Has `action` happen at `site` once, after it was passed `passes` times.
///
/// # Panics
/// If `site` cannot be asked for it.
pub fn arm(site: &Site, action: Action, passes: u64) -> Armed {
    assert!(site.takes(action), "nothing at {} can {action}", site.name);
    let times = Arc::new(AtomicU64::new(0));
    let counted = times.clone();
    // Relaxed: it is looked at again.
    let count = move || {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let actions = format!("{passes}*off->1*return({action})");
    fail::cfg_callback(happens(site.name), count).expect("a callback can always be set");
    fail::cfg(site.name, &actions).expect("the actions are in the crate's language");
    Armed { site: site.name, times }
}

impl Armed {
    /// How often it happened so far: counted at the site, right before.
    pub fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        fail::remove(self.site);
        fail::remove(happens(self.site));
    }
}

/// What the environment asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Environment {
    /// Sites and what is to happen there, as they were given.
    pub armed: Vec<String>,
}

/// Arms what `FAILPOINTS` names, for as long as the process lives.
///
/// # Errors
/// In words, if a site or an action is not known; then nothing is armed.
pub fn from_environment() -> Result<Environment, String> {
    let Ok(text) = std::env::var(VARIABLE) else { return Ok(Environment::default()) };
    let wanted = parsed(&text)?;
    for (site, actions) in &wanted {
        fail::cfg(*site, actions).map_err(|error| format!("{VARIABLE}: {site}: {error}"))?;
    }
    let armed = wanted.iter().map(|(site, actions)| format!("{site}={actions}")).collect();
    Ok(Environment { armed })
}

/// Sites and their actions.
fn parsed(text: &str) -> Result<Vec<(&'static str, &str)>, String> {
    let parts = text.split(';').map(str::trim).filter(|part| !part.is_empty());
    let wanted = parts.map(|part| {
        let (name, actions) = part
            .split_once('=')
            .ok_or_else(|| format!("{VARIABLE}: {part:?} is no SITE=ACTION"))?;
        let site = SITES.iter().find(|site| site.name == name.trim()).ok_or_else(|| {
            format!("{VARIABLE}: there is no site {name:?}; docs/verify.md lists them")
        })?;
        check(site, actions)?;
        Ok((site.name, actions.trim()))
    });
    wanted.collect()
}

/// What is to be returned has to be an action, and one that the site can have.
fn check(site: &Site, actions: &str) -> Result<(), String> {
    for action in actions.split("->") {
        let Some((_, rest)) = action.split_once("return") else { continue };
        let named = rest.trim().strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
        let action: Action = named
            .unwrap_or_default()
            .parse()
            .map_err(|wrong| format!("{VARIABLE}: {}: {wrong}", site.name))?;
        if !site.takes(action) {
            return Err(format!("{VARIABLE}: nothing at {} can {action}", site.name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_read_as_it_is_written() {
        for action in [Action::Panic, Action::Error, Action::Kill, Action::Sleep(Nanos(20_000))] {
            assert_eq!(action.to_string().parse(), Ok(action));
        }
        assert_eq!("sleep 20ms".parse(), Ok(Action::Sleep(Nanos::from_millis(20))));
        for wrong in ["", "sleep", "sleep 3 weeks", "explode"] {
            assert!(wrong.parse::<Action>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn what_the_environment_may_say() {
        let text = " log::before-write=3*off->1*return(kill) ; ready::tick=pause;";
        let wanted = [("log::before-write", "3*off->1*return(kill)"), ("ready::tick", "pause")];
        assert_eq!(parsed(text).unwrap(), wanted);
        for (text, words) in [
            ("log::before-write", "is no SITE=ACTION"),
            ("log::never=return(kill)", "there is no site \"log::never\""),
            ("log::before-write=return(explode)", "\"explode\" is none of"),
            ("log::before-write=return", "\"\" is none of"),
            ("ready::tick=off->return(error)", "nothing at ready::tick can error"),
        ] {
            let wrong = parsed(text).unwrap_err();
            assert!(wrong.contains(words), "{text:?}: {wrong}");
        }
    }
}
