//! The way a record goes: from a scenario to a bundle on disk, and from there to a comparison and its reports.

use crate::fake::{Fakes, Nature};
use kvbench::agent::Agents;
use kvbench::compare::{Comparison, compare};
use kvbench::record::Run;
use kvbench::record::bundle::Bundle;
use kvbench::report::{html, markdown, terminal};
use kvbench::runner::{self, Options, Progress, RunError};
use kvbench::scenario;
use kvbench::scenario::spec::Arm;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What came out at the end of the tool.
pub(crate) struct Told {
    pub(crate) run: Run,
    pub(crate) comparison: Comparison,
    /// The three forms of the report.
    pub(crate) forms: [String; 3],
    pub(crate) failure: Option<RunError>,
}

/// How often a test is tried. A host that stops a thread for a tenth of a second between the fake's clock reading and kvbench's makes the two
/// disagree, now and then; a tool that does not tell the truth does not tell it any time.
const TRIES: usize = 3;

/// Runs a test until it passes, at most so often.
pub(crate) fn amid_noise(test: impl Fn()) {
    for _ in 1..TRIES {
        if catch_unwind(AssertUnwindSafe(&test)).is_ok() {
            return;
        }
    }
    test();
}

/// Phases of puts on two arms, with what else a scenario says. Fakes have no layer; this one allows every load.
pub(crate) fn scenario(phases: &str) -> String {
    format!(
        "
schema = 1
name   = \"known_law\"
[system]
layer = \"raft\"
[arms.before]
[arms.after]
[keys]
space = \"1k\"
[[op]]
put = {{ weight = 1 }}
{phases}
"
    )
}

struct Silent;

impl runner::Watcher for Silent {
    fn progress(&mut self, _: &Progress<'_>) {}
}

/// Runs `text` on fakes and tells what a user would see.
pub(crate) fn run<F: Fn(&Arm, usize) -> Nature>(text: &str, fakes: &Fakes<F>) -> Told {
    let asked = scenario::Options::default();
    let scenario = scenario::parse("known_law", text, &asked).unwrap_or_else(|p| panic!("{p}"));
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        path: "tests/known_laws".to_owned(),
        quick: false,
        count_syscalls: false,
        profile: None,
        scratch: folder.path().to_path_buf(),
        agents: Agents::default(),
        interrupted: Arc::default(),
    };
    let finished = runner::run(&scenario, &options, fakes, &mut Silent).unwrap();
    let bundle = Bundle::create(folder.path(), &finished.run).unwrap();
    bundle.write_run(&finished.run).unwrap();
    let run = Bundle::open(bundle.folder()).read_run().unwrap();
    assert_eq!(run.trials.len(), finished.run.trials.len());
    let comparison = compare(&run);
    let style = terminal::Style { color: false, width: 120 };
    let forms = [
        terminal::render(&run, &comparison, style),
        markdown::render(&run, &comparison),
        html::render(&run, &comparison, &[]),
    ];
    Told { run, comparison, forms, failure: finished.failure }
}

impl Told {
    /// Whether all forms show `text`.
    pub(crate) fn shows(&self, text: &str) {
        for form in &self.forms {
            assert!(form.contains(text), "no {text} in\n{form}");
        }
    }
}
