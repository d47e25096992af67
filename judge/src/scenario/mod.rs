//! Scenario files: what the user typed (`raw`, with `--set` laid over it by `overrides`), whether it makes
//! sense (`check`), what it means ([`spec`]) and what would run ([`plan`]). Each step takes only the output of
//! the one before it. Every problem of a file is reported at once, with its place; nothing here runs anything.
//!
//! Caveats: a file stands alone (there is no `extends`), and a file with broken syntax may hide some of its
//! other problems until the syntax is mended.

pub mod plan;
pub mod problem;
pub mod schema;
pub mod spec;
pub mod what_if;

mod check;
mod findings;
mod missing;
mod overrides;
mod quick;
mod raw;
mod source;

use crate::files;
use findings::Findings;
pub use missing::{InBuild, missing};
use problem::{Problem, Problems};
use source::Sources;
use spec::Scenario;
use std::io::ErrorKind;
use std::path::Path;

/// Largest scenario file that is read.
pub const FILE_BYTES_MAX: u64 = 1 << 20;

/// What the command line adds to a scenario file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Assignments such as `trials.pairs.min=4` or `phase.saturate.duration=1s`, applied in order.
    pub set: Vec<String>,
    /// Measure only what the targets name, shortly and in few pairs.
    pub quick: bool,
    /// Most connections that a server here takes of clients; none where the scenario is not to run here.
    pub connections_max: Option<u32>,
}

/// Reads the scenario in the regular file `path`; the error holds every problem found in it.
pub fn load(path: &Path, options: &Options) -> Result<Scenario, Problems> {
    let name = path.display().to_string();
    match read_text(path) {
        Ok(text) => parse(&name, &text, options),
        Err((message, hint)) => Err(Problems::single(Problem::of_file(&name, message, hint))),
    }
}

/// Reads a scenario from `text`; `file_name` is what problems call it.
pub fn parse(file_name: &str, text: &str, options: &Options) -> Result<Scenario, Problems> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut sources = Sources::new(file_name, text);
    let mut findings = Findings::default();
    let mut root = raw::read(text, &mut findings);
    overrides::apply(&mut root, &options.set, &mut sources, &mut findings);
    let recorded = text_for_the_record(text, options);
    let room = options.connections_max;
    let scenario = check::scenario(&root, recorded, options.set.clone(), room, &mut findings);
    if !findings.is_empty() {
        return Err(findings.into_problems(&sources));
    }
    Ok(if options.quick { quick::shortened(scenario) } else { scenario })
}

fn text_for_the_record(text: &str, options: &Options) -> String {
    let mut recorded = text.to_owned();
    if !recorded.is_empty() && !recorded.ends_with('\n') {
        recorded.push('\n');
    }
    for set in &options.set {
        recorded.push_str(&format!("# --set {set}\n"));
    }
    if options.quick {
        recorded.push_str("# --quick\n");
    }
    recorded
}

/// The text of the file, or what is wrong with the file as a whole, with a hint.
fn read_text(path: &Path) -> Result<String, (String, &'static str)> {
    files::read_text(path, FILE_BYTES_MAX).map_err(|error| match error.kind() {
        ErrorKind::InvalidInput => (error.to_string(), "name a file, or a folder that holds some"),
        ErrorKind::InvalidData => (error.to_string(), "save it as UTF-8"),
        ErrorKind::FileTooLarge => (
            "is larger than 1 MiB, the most a scenario file may have".to_owned(),
            "is it the file that was meant?",
        ),
        _ => (format!("cannot be read: {error}"), "`kvbench new` writes one to start from"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recorded_text_tells_the_options() {
        let set = vec!["seed=7".to_owned()];
        let options = Options { set, quick: true, connections_max: None };
        assert_eq!(text_for_the_record("a = 1", &options), "a = 1\n# --set seed=7\n# --quick\n");
        assert_eq!(text_for_the_record("a = 1\n", &Options::default()), "a = 1\n");
    }
}
