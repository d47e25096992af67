//! The command line as its users meet it: exit codes, the two streams, bundles, hostile text, signals.
//! Commands run in this process through `cli::run`; only what needs a process of its own (signals, closed pipes, the
//! working folder, the sampler) starts one. No test looks at how fast anything was.

use kvbench::cli::{self, Exit, Terminal};
use kvbench::clock::Clock;
use kvbench::record::bundle::Bundle;
use kvbench::record::{Cell, Checkup, LockProfile, LockSite, ProfiledLock, Run, Warning};
use kvbench::report::words;
use kvbench::units::Nanos;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use tempfile::TempDir;

const KVBENCH: &str = env!("CARGO_BIN_EXE_kvbench");
/// Longest time one process of a test may take.
const PROCESS_MAX: Duration = Duration::from_secs(40);

/// Two arms that are the same, for as short as the target below can be judged.
const TINY: &str = r#"schema = 1
name = "tiny"
analysis = "Is a thing equal to itself?"
[system]
layer = "store"
[arms.before]
[arms.after]
[keys]
space = 1000
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [2] } }
warmup = "10ms"
duration = "100ms"
[trials]
pairs = { min = 6, max = 6 }
aa = false
on_disturbed = "keep"         # the tests beside it disturb it
[[target]]
id = "some"
metric = "a.throughput@2"
ratio = ">= 0.0001"
"#;

const TEN_MISTAKES: &str = r#"schema = 2
name = "ten mistakes"
[system]
engine = "rocksd"
[arms.before]
apply = "global-mutx"
[arms.after]
propse = "batched"
[keys]
space = 0
[[op]]
put = { weight = 0 }
[[phase]]
name = "phase 1"
load = { closed = { clients = [1, 10] } }
duration = 10
[trials]
pairs = { min = 0 }
order = "alphabetical"
"#;

/// What a command left on the two streams, and how it ended.
struct Ran {
    exit: Exit,
    out: String,
    err: String,
}

fn kvbench(args: &[&str]) -> Ran {
    kvbench_while(args, false)
}

fn kvbench_while(args: &[&str], interrupted: bool) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 100,
        interrupted: Arc::new(AtomicBool::new(interrupted)),
        end: |said, _| panic!("{said}"),
    };
    let args = ["kvbench"].iter().chain(args).map(OsString::from);
    let exit = cli::run(args, &mut terminal);
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    Ran { exit, out: text(out), err: text(err) }
}

impl Ran {
    /// What `run` printed without its last line, which names the bundle and the exit code.
    fn report(&self) -> &str {
        let last = self.out.trim_end().rfind('\n').expect("the report has lines");
        assert!(self.out[last..].contains("report.html   exit "), "{}", self.out);
        &self.out[..=last]
    }
}

/// A folder with one scenario in it, and room for bundles.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new(scenario: &str) -> Desk {
        let desk = Desk { folder: TempDir::new().expect("a folder for the test") };
        fs::write(desk.at("scenario.toml"), scenario).expect("the scenario is written");
        desk
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("the path is UTF-8").to_owned()
    }

    /// The arguments of a run without profiles into `out`.
    fn run_args(&self, more: &[&str]) -> Vec<String> {
        let (scenario, out) = (self.at("scenario.toml"), self.at("out"));
        let args = ["run", &scenario, "--out", &out, "--no-profile"];
        args.iter().chain(more).map(|arg| (*arg).to_owned()).collect()
    }

    fn run(&self, more: &[&str]) -> Ran {
        let args = self.run_args(more);
        kvbench(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The bundle that the one run left: the only thing in `out`.
    fn bundle(&self) -> PathBuf {
        let inside = names(self.at("out"));
        assert_eq!(inside.len(), 1, "{inside:?}");
        Path::new(&self.at("out")).join(&inside[0])
    }

    fn record(&self) -> Run {
        Bundle::open(&self.bundle()).read_run().expect("the run left a good record")
    }

    /// Rewrites the record of the bundle.
    fn edit(&self, change: impl FnOnce(&mut Value)) -> String {
        let path = self.bundle().join("result.json");
        let mut record = serde_json::from_str(&read(&path)).expect("the record is JSON");
        change(&mut record);
        fs::write(&path, record.to_string()).expect("it is written");
        self.bundle().to_str().expect("the path is UTF-8").to_owned()
    }
}

fn names(folder: impl AsRef<Path>) -> Vec<String> {
    let inside = fs::read_dir(folder).expect("the folder can be read");
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("its entries can be read").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = inside.map(name).collect();
    names.sort();
    names
}

fn read(path: impl AsRef<Path>) -> String {
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.as_ref().display()))
}

// What is wrong is said before anything is done.

#[test]
fn ten_mistakes_are_all_told_and_nothing_is_made() {
    let desk = Desk::new(TEN_MISTAKES);
    let scenario = desk.at("scenario.toml");
    for ran in [desk.run(&[]), kvbench(&["check", &scenario]), kvbench(&["plan", &scenario])] {
        assert_eq!(ran.exit, Exit::Usage);
        assert_eq!(ran.out, "");
        for wanted in [
            "schema is 2",
            "name is \"ten mistakes\"",
            "system.engine is \"rocksd\"",
            "did you mean `global-mutex`?",
            "unknown key `propse`",
            "keys.space is 0",
            "op.0.put.weight is 0",
            "phase.0.name is \"phase 1\"",
            "the unit is missing",
            "trials.pairs.min is 0",
            "trials.order is \"alphabetical\"",
            "11 problems in ",
        ] {
            assert!(ran.err.contains(wanted), "{wanted}\n{}", ran.err);
        }
        assert_eq!(names(desk.folder.path()), ["scenario.toml"]);
    }
}

#[test]
fn one_wrong_scenario_keeps_the_good_ones_from_running() {
    let desk = Desk::new(TINY);
    fs::write(desk.at("wrong.toml"), TEN_MISTAKES).unwrap();
    let folder = desk.at("");
    let ran = kvbench(&["run", &folder, "--out", &desk.at("out"), "--no-profile"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert_eq!(names(desk.folder.path()), ["scenario.toml", "wrong.toml"]);
    let ran = kvbench(&["check", &folder]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.out.contains("scenario.toml: sound, 2 arms, 1 target\n"), "{}", ran.out);
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn what_this_build_lacks_is_said_and_keeps_from_running() {
    let desk = Desk::new(&TINY.replace("layer = \"store\"", "engine = \"rocksdb\""));
    let scenario = desk.at("scenario.toml");
    let hint = "build with `cargo build --release --features rocksdb`";
    let ran = desk.run(&[]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    assert!(ran.err.contains("engine rocksdb is not in this build"), "{}", ran.err);
    assert!(ran.err.contains(hint), "{}", ran.err);
    assert_eq!(names(desk.folder.path()), ["scenario.toml"]);
    let ran = kvbench(&["check", &scenario]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    assert!(ran.out.contains(": sound, 2 arms") && ran.out.contains(hint), "{}", ran.out);
    assert_eq!(kvbench(&["plan", &scenario]).exit, Exit::Met);
    fs::write(desk.at("good.toml"), TINY).unwrap();
    let args = |scenarios: &[&str]| {
        let out = desk.at("out");
        kvbench(&[&["run", "--no-profile", "--out", &out], scenarios].concat())
    };
    let both = args(&[&scenario, &desk.at("good.toml")]);
    assert_eq!((both.exit, both.out.as_str()), (Exit::Usage, ""));
    let folder = args(&[&desk.at("")]);
    assert_eq!(folder.exit, Exit::Met, "{}", folder.err);
    assert!(folder.err.contains("engine rocksdb is not in this build"), "{}", folder.err);
}

#[test]
fn a_place_without_scenarios_is_a_mistake() {
    let empty = TempDir::new().unwrap();
    let path = empty.path().to_str().unwrap();
    let missing = format!("{path}/missing.toml");
    for command in ["run", "plan", "check"] {
        let ran = kvbench(&[command, path]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{command}");
        assert!(ran.err.contains("no *.toml file there\n  hint: "), "{command}: {}", ran.err);
        let ran = kvbench(&[command, &missing]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{command}");
        assert!(ran.err.contains("missing.toml: cannot be read: "), "{command}: {}", ran.err);
    }
    assert!(names(empty.path()).is_empty());
}

#[test]
fn names_that_could_leave_their_place_are_refused() {
    let desk = Desk::new(TINY);
    let long = "x".repeat(65);
    for name in ["../x", "a/b", "a b", "", ".x", "-x", "ü", "a\u{202e}b", "a\\b", "a:b", &long] {
        let ran = desk.run(&["--set", &format!("name='{name}'")]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{name}");
        assert!(ran.err.contains("allowed: 1 to 64 of letters, digits"), "{name}: {}", ran.err);
        assert!(!ran.err.contains('\u{202e}'), "{}", ran.err);
    }
    let ran = desk.run(&["--set", "name=\u{1b}[2J"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("may not hold control characters"), "{}", ran.err);
    assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    assert_eq!(names(desk.folder.path()), ["scenario.toml"]);
}

#[test]
fn help_of_every_command_has_examples() {
    let commands = [
        "run",
        "plan",
        "check",
        "report",
        "compare",
        "verify",
        "serve",
        "explain",
        "doctor",
        "new",
        "schema",
        "completions",
        "man",
    ];
    for command in commands {
        let ran = kvbench(&[command, "--help"]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{command}");
        let examples = format!("Examples:\n  kvbench {command}");
        assert!(ran.out.contains(&examples), "{command}: {}", ran.out);
    }
    let ran = kvbench(&["--help"]);
    assert_eq!(ran.exit, Exit::Met);
    assert!(ran.out.contains("Exit codes:\n  0  every target met"), "{}", ran.out);
    for wrong in [vec![], vec!["measure"], vec!["run"], vec!["run", "x.toml", "--fast"]] {
        let ran = kvbench(&wrong);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{wrong:?}");
        assert!(ran.err.contains("Usage: "), "{wrong:?}: {}", ran.err);
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = kvbench(&["completions", shell]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{shell}");
        for word in ["completions", "compare", "no-profile"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(kvbench(&["completions", "tcsh"]).exit, Exit::Usage);
}

/// bash itself completes with them.
#[test]
fn bash_completes_a_command() {
    let script = kvbench(&["completions", "bash"]).out;
    let ask = "COMP_WORDS=(kvbench comp); COMP_CWORD=1; _kvbench kvbench comp kvbench; echo ${COMPREPLY[@]}";
    let bash = Command::new("bash").arg("-c").arg(format!("{script}\n{ask}")).output();
    let told = bash.expect("bash is installed");
    assert_eq!(String::from_utf8_lossy(&told.stdout).trim(), "compare completions");
}

#[test]
fn every_command_has_a_manual_page() {
    let desk = TempDir::new().expect("a folder for the test");
    let folder = desk.path().join("man1");
    let folder = folder.to_str().expect("the path is UTF-8");
    let ran = kvbench(&["man", "--out", folder]);
    assert_eq!((ran.exit, ran.out.as_str(), ran.err.as_str()), (Exit::Met, "", ""));
    let pages = names(folder);
    for page in ["kvbench.1", "kvbench-run.1", "kvbench-man.1"] {
        assert!(pages.iter().any(|known| known == page), "{page}: {pages:?}");
    }
    let page = read(Path::new(folder).join("kvbench-compare.1"));
    assert!(page.contains(".SH EXAMPLES") && page.contains("\\-\\-floor"), "{page}");
    let ran = kvbench(&["man", "compare"]);
    assert_eq!((ran.exit, ran.out), (Exit::Met, page));
    assert!(kvbench(&["man"]).out.contains("kvbench\\-compare(1)"));
    let ran = kvbench(&["man", "dance\u{1b}"]);
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("no command \"dance\""), "{}", ran.err);
}

#[test]
fn explain_knows_its_words_and_names_them_to_those_who_do_not() {
    let ran = kvbench(&["explain", "ceiling"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    assert!(ran.out.starts_with("ceiling: ") && ran.out.len() > 40, "{}", ran.out);
    let all = kvbench(&["explain"]);
    let ran = kvbench(&["explain", "nonsense\u{1b}[2J"]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    assert!(!ran.err.contains('\u{1b}'));
    for (word, meaning) in words::GLOSSARY {
        assert!(all.out.contains(meaning), "{word}");
        assert!(ran.err.contains(word), "{word} is not in the hint: {}", ran.err);
    }
}

#[test]
fn every_word_of_grade_and_probes_is_explained() {
    let words = [
        "grade",
        "machine key",
        "not visible",
        "governor",
        "turbo",
        "clock source",
        "cgroup CPU",
        "transparent huge pages",
        "mitigations",
        "ASLR",
        "load average",
        "fdatasync",
        "wake-up lag",
        "foreign cores",
        "stolen cores",
        "CPU pressure",
        "I/O pressure",
        "schedstat",
        "SIGPROF sampler",
        "unwinder",
    ];
    for word in words {
        let ran = kvbench(&["explain", word]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{word}");
        assert!(ran.out.to_lowercase().starts_with(&format!("{}: ", word.to_lowercase())));
    }
}

#[test]
fn a_new_scenario_is_sound_and_overwrites_nothing() {
    let desk = Desk::new(TINY);
    let list = kvbench(&["new", "--list"]);
    let templates: Vec<_> =
        list.out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    for wanted in ["minimal", "put", "mixed", "store", "rpc", "etcd", "gate"] {
        assert!(templates.contains(&wanted), "{}", list.out);
    }
    for template in templates {
        let file = desk.at(&format!("{template}.toml"));
        let ran = kvbench(&["new", template, "--out", &file]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{template}");
        assert!(ran.out.contains(&format!("from template {template}")), "{}", ran.out);
        let ran = kvbench(&["check", &file]);
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""), "{template}");
        let ran = kvbench(&["plan", &file]);
        assert!(ran.out.starts_with(&format!("{template}  seed ")), "{}", ran.out);
    }
    let file = desk.at("scenario.toml");
    let ran = kvbench(&["new", "mine", "--from", "gate", "--out", &file]);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
    assert!(ran.err.contains("is there already") && ran.err.contains("--force"), "{}", ran.err);
    assert_eq!(read(&file), TINY);
    let ran = kvbench(&["new", "mine", "--from", "gate", "--out", &file, "--force"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    let text = read(&file);
    assert!(text.contains("name     = \"mine\"") && text.contains("precision = \"4%\""), "{text}");
    let ran = kvbench(&["new", "mine", "--from", "gate", "--out", "-"]);
    assert_eq!((ran.exit, ran.out, ran.err.as_str()), (Exit::Met, text, ""));
}

#[test]
fn a_new_scenario_that_cannot_be_is_told_why() {
    let desk = Desk::new(TINY);
    let nowhere = desk.at("not/there/x.toml");
    for (args, wanted) in [
        (&["new", "x", "--from", "gaet\u{1b}[2J"][..], "known are put, minimal"),
        (&["new", "../x"], "--out"),
        (&["new", "x", "--out", &nowhere], "cannot be written"),
    ] {
        let ran = kvbench(args);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{args:?}");
        assert!(ran.err.starts_with("error: ") && ran.err.contains(wanted), "{}", ran.err);
        assert!(ran.err.contains("hint: ") && !ran.err.contains('\u{1b}'), "{}", ran.err);
    }
    assert_eq!(names(desk.folder.path()), ["scenario.toml"]);
}

#[test]
fn the_schema_is_json_and_describes_what_the_checker_reads() {
    let ran = kvbench(&["schema"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    let schema: Value = serde_json::from_str(&ran.out).expect("the schema is JSON");
    assert_eq!(schema["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
    assert_eq!(schema["additionalProperties"], json!(false));
    let levers = &schema["$defs"]["levers"]["properties"];
    assert_eq!(levers["apply"]["enum"], json!(["global-mutex", "sharded"]));
    assert_eq!(levers["apply"]["default"], json!("sharded"));
    for property in schema["properties"].as_object().into_iter().flatten() {
        let told = property.1["description"].as_str();
        assert!(told.is_some_and(|told| told.ends_with('.')), "{property:?}");
    }
}

#[test]
fn the_schema_of_records_is_the_published_one() {
    let ran = kvbench(&["schema", "--result"]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    let published = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/result.schema.json");
    assert_eq!(ran.out, read(published));
}

#[test]
fn doctor_wants_a_folder() {
    let desk = Desk::new(TINY);
    for place in [desk.at("nowhere"), desk.at("scenario.toml")] {
        let ran = kvbench(&["doctor", "--data", &place]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""));
        assert!(ran.err.contains("is not a folder\n  hint: "), "{}", ran.err);
    }
    let ran = kvbench_while(&["doctor", "--data", &desk.at("")], true);
    assert_eq!((ran.exit, ran.out.as_str()), (Exit::Interrupted, ""));
}

#[test]
fn a_plan_tells_what_would_run_and_repeats() {
    let desk = Desk::new(TINY);
    let plan = |seed: &str| {
        let seed = format!("seed={seed}");
        let aa = ["--set", "trials.aa=true", "--set", "trials.pairs.max=9"];
        let ran =
            kvbench(&[&["plan", &desk.at("scenario.toml"), "--set", &seed], &aa[..]].concat());
        assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
        ran.out
    };
    let held = ["--set", "keys.leases=3", "--set", "keys.preload=10"];
    let ran = kvbench(&[&["plan", &desk.at("scenario.toml")], &held[..]].concat());
    assert!(ran.out.contains("3 leases are granted, 10 of 1000 keys are put"), "{}", ran.out);
    let text = plan("7");
    for wanted in [
        "tiny  seed 7",
        "Is a thing equal to itself?",
        "closed loop, 2 clients",
        "PUT  100 %",
        "a.throughput@2",
        "blocks  6 to 9",
        "trials  2 arms + 1 A/A trial per block: 18 to 27",
        "cells   1 per trial",
        "time    about ",
        "block 1\n    a@2  ",
        " → ",
        "(A/A)",
        "and 6 more blocks",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert_eq!(text, plan("7"));
    assert_ne!(text.replace("seed 7", "seed 8"), plan("8"));
}

#[test]
fn planning_and_checking_make_nothing() {
    let desk = Desk::new(TINY);
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for command in ["plan", "check"] {
        let mut process = assert_cmd::Command::new(KVBENCH);
        process.timeout(PROCESS_MAX).current_dir(desk.folder.path()).arg(command);
        let done = process.args([Path::new("scenario.toml"), &shipped]).assert().code(0).stderr("");
        assert!(!done.get_output().stdout.is_empty());
        assert_eq!(names(desk.folder.path()), ["scenario.toml"]);
    }
    let files = names(&shipped).iter().filter(|name| name.ends_with(".toml")).count();
    let ran = kvbench(&["check", shipped.to_str().unwrap()]);
    assert_eq!((ran.exit, ran.out.matches(": sound, ").count()), (Exit::Met, files));
}

// How a run ends.

#[test]
fn a_target_met_is_0_and_its_bundle_is_whole() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&[]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Met, ""));
    assert!(ran.out.contains("✔ some"), "{}", ran.out);
    assert!(ran.out.contains("with 95 % confidence"), "{}", ran.out);
    assert!(ran.out.ends_with("report.html   exit 0\n"), "{}", ran.out);
    assert!(!ran.out.contains("pair 1 of"), "progress is not a result: {}", ran.out);
    let files = ["after.hlog", "before.hlog", "report.html", "report.md", "result.json"];
    assert_eq!(names(desk.bundle()), files);
    let record: Value = serde_json::from_str(&read(desk.bundle().join("result.json"))).unwrap();
    assert_eq!(record["schema"], json!(1));
    assert_eq!(record["complete"], json!(true));
    assert_no_hole(&record, "record");
    let run = desk.record();
    assert_eq!(run.trials.len(), 12);
    assert!(!run.checks.is_empty() && run.checks.iter().all(|check| check.passed));
    assert!(!read(desk.bundle().join("report.html")).contains("NaN"));
}

/// A mix of everything that can be sent, over keys that are there: each kind has its row in every form.
#[test]
fn a_mix_is_reported_by_kind_of_operation() {
    let mix = "put = {}\nget = {}\nrange = { keys = 5, limit = 3 }\ndelete = {}\n\
               delete_range = { keys = 2 }\ntxn = { kind = \"create\", keys = 3 }\nlease_cycle = { keys = 2 }";
    let text =
        TINY.replace("put = {}", mix).replace("space = 1000", "space = 1000\npreload = true");
    let desk = Desk::new(&text);
    let ran = desk.run(&[]);
    assert!(matches!(ran.exit, Exit::Met), "{}{}", ran.out, ran.err);
    let run = desk.record();
    assert!(run.checks.iter().all(|check| check.passed), "{:?}", run.checks);
    let kinds =
        ["put", "get", "range", "delete", "delete_range", "txn", "lease_grant", "lease_revoke"];
    for cell in run.trials.iter().flat_map(|trial| &trial.cells) {
        let seen: Vec<_> = cell.by_op.iter().map(|op| op.op.as_str()).collect();
        assert_eq!(seen, kinds);
        assert_eq!(cell.by_op.iter().map(|op| op.ops).sum::<u64>(), cell.ops);
    }
    let bundle = desk.bundle();
    for form in [&ran.out, &read(bundle.join("report.md")), &read(bundle.join("report.html"))] {
        assert!(form.contains("operation") && !form.contains("NaN"));
        assert!(form.contains("lease") && form.contains("revoke"), "{form}");
    }
}

/// Whatever is written, in every layer: each watcher is given every revision, and every form says what they got. In a
/// process of its own: its threads would count as those of the tests beside it.
#[test]
fn watchers_are_given_everything_and_reported() {
    let mix = "put = {}\ndelete = {}\ndelete_range = { keys = 2 }\n\
               txn = { kind = \"create\", keys = 3 }\nlease_cycle = { keys = 2 }";
    let text = TINY.replace("put = {}", mix).replace("throughput@2", "watch_events@2");
    let text = text.replace("duration = \"100ms\"", "duration = \"100ms\"\nwatchers = 5");
    let text = text.replace("min = 6, max = 6", "min = 1, max = 1");
    let alone =
        "[[phase]]\nname = \"alone\"\nload = { closed = { clients = [1] } }\nduration = \"50ms\"\n";
    let text = text.replace("[trials]", &format!("{alone}[trials]"));
    for layer in ["store", "apply", "raft"] {
        let desk = Desk::new(&text.replace("\"store\"", &format!("\"{layer}\"")));
        let mut process = assert_cmd::Command::new(KVBENCH);
        // One pair decides nothing.
        let done =
            process.timeout(PROCESS_MAX).args(desk.run_args(&[])).assert().code(3).stderr("");
        let run = desk.record();
        let check = run.checks.iter().find(|check| check.id == "watch-complete");
        assert!(check.is_some_and(|check| check.passed), "{layer}: {:?}", run.checks);
        for trial in &run.trials {
            assert_watched(&trial.cells[0]);
            assert_eq!(trial.cells[1].watch, None, "nobody watches `alone`");
        }
        let bundle = desk.bundle();
        let printed = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        // A host that stands still at the end of so short a span makes it invalid, and then its watchers are not shown.
        if printed.contains("INVALID in") {
            continue;
        }
        for form in [printed, read(bundle.join("report.md")), read(bundle.join("report.html"))] {
            let form = form.replace("&#64;", "@");
            assert!(form.contains("a@2"), "{layer}: {form}");
            assert!(form.contains("resyncs") && !form.contains("NaN"), "{layer}: {form}");
        }
    }
}

fn assert_watched(cell: &Cell) {
    let watch = cell.watch.as_ref().expect("watchers leave a record");
    assert_eq!((watch.watchers, watch.compacted, watch.misplaced), (5, 0, 0));
    assert!(watch.revisions == watch.due && watch.due > 0 && watch.due.is_multiple_of(5));
    let rate = watch.events as f64 / cell.elapsed_s;
    assert!(watch.events > 0 && (watch.events_per_s / rate - 1.0).abs() < 1e-9, "{watch:?}");
    assert!((0.0..10.0).contains(&watch.lag_s), "{watch:?}");
    let role = cell.cpu.iter().find(|used| used.role == "watch");
    assert!(role.is_some_and(|used| used.cpu_ns > 0), "{:?}", cell.cpu);
}

/// Where a scenario judges system calls or the flag is given they are counted, of both arms; else of none. In a process of its own:
/// calls of the tests beside it would count.
#[test]
#[expect(clippy::print_stderr, reason = "what is skipped is said")]
fn system_calls_are_counted_where_that_is_asked_for() {
    let text = TINY.replace("layer = \"store\"", "layer = \"raft\"").replace("[2]", "[16]");
    let text = text.replace("[arms.before]", "[arms.before]\npropose = \"serial\"");
    let text = text.replace("[arms.after]", "[arms.after]\npropose = \"batched\"");
    let text =
        text.replace("\"100ms\"", "\"400ms\"").replace("min = 6, max = 6", "min = 1, max = 1");
    let plain = text.replace("throughput@2", "throughput@16");
    let judged = text.replace("throughput@2", "syscalls_per_op@16");
    for (text, more, is_asked) in
        [(&plain, vec![], false), (&plain, vec!["--count-syscalls"], true), (&judged, vec![], true)]
    {
        let desk = Desk::new(text);
        let mut process = assert_cmd::Command::new(KVBENCH);
        // One pair decides nothing.
        let done = process.timeout(PROCESS_MAX).args(desk.run_args(&more)).assert().code(3);
        let printed = String::from_utf8_lossy(&done.get_output().stdout).into_owned();
        let run = desk.record();
        let cell = |arm: &str| &run.trials.iter().find(|trial| trial.arm == arm).unwrap().cells[0];
        let cells = [cell("before"), cell("after")];
        let refused = run.warnings.iter().find_map(|warning| match warning {
            Warning::SyscallsNotCounted { reason } => Some(reason),
            _ => None,
        });
        assert_eq!(run.counts_syscalls, is_asked && refused.is_none());
        assert_eq!(run.warnings.contains(&Warning::CountsSyscalls), run.counts_syscalls);
        if !run.counts_syscalls {
            let roles = cells.iter().flat_map(|cell| &cell.cpu);
            assert_eq!(roles.filter_map(|role| role.syscalls).count(), 0);
        }
        match refused {
            None if is_asked => assert_calls_are_plausible(cells),
            None => {}
            Some(reason) => {
                assert!(is_asked && printed.contains(reason), "{printed}");
                eprintln!("figures are not looked at: {reason}");
            }
        }
    }
}

/// A log that is synced for each operation makes a call for each at least, one that many share fewer.
fn assert_calls_are_plausible([before, after]: [&Cell; 2]) {
    let of_role = |cell: &Cell, role: &str| {
        let used = cell.cpu.iter().find(|used| used.role == role);
        used.and_then(|used| used.syscalls).expect("calls of every role were counted")
    };
    for cell in [before, after] {
        // The last sync of the span may have begun before it.
        assert!(of_role(cell, "raft") + 1 >= cell.counters.fsyncs, "{:?}", cell.cpu);
        assert!(of_role(cell, "load") > 0 && cell.ops > 0, "{:?}", cell.cpu);
    }
    let per_op = |cell: &Cell| {
        let all: Option<u64> = cell.cpu.iter().map(|role| role.syscalls).sum();
        all.expect("calls of every role were counted") as f64 / cell.ops as f64
    };
    let [before, after] = [before, after].map(per_op);
    assert!(before >= 1.0 && after < before, "{before} {after}");
}

/// Money is moved through the log by many clients at once, and all of it is there at the end. In a process of its own:
/// its raft threads would count as those of the tests beside it.
#[test]
fn transfers_keep_the_money() {
    let bank = "txn = { kind = \"transfer\" }\n[values]\nsize = \"16B\"\n[check]\nbank = true";
    let text = TINY.replace("put = {}", bank).replace("space = 1000", "space = 20\npreload = true");
    let text = text.replace("layer = \"store\"", "layer = \"raft\"\nfsync = \"off\"");
    let desk = Desk::new(&text.replace("[2]", "[8]").replace("@2", "@8"));
    let mut process = assert_cmd::Command::new(KVBENCH);
    // On a busy host the ratio may be wrong or undecided, which is not what is asked here; a failed check would end with 4.
    let ran = process.timeout(PROCESS_MAX).args(desk.run_args(&[])).assert();
    let code = ran.stderr("").get_output().status.code();
    assert!(matches!(code, Some(0 | 1 | 3)), "{code:?}");
    let run = desk.record();
    let check = run.checks.iter().find(|check| check.id == "bank");
    assert!(check.is_some_and(|check| check.passed), "{:?}", run.checks);
    for trial in &run.trials {
        let bank = trial.end.bank.expect("every trial counts its money");
        assert_eq!((bank.found, bank.sum), (20, 20_000));
        assert!(trial.cells.iter().all(|cell| cell.ops > 0 && cell.by_op[0].op == "transfer"));
    }
}

/// A number that is not finite would be written as null; only a restart that was not tried may be.
fn assert_no_hole(value: &Value, path: &str) {
    match value {
        Value::Null => assert!(path.ends_with(".replayed"), "{path} is null"),
        Value::Array(items) => items.iter().for_each(|item| assert_no_hole(item, path)),
        Value::Object(fields) => {
            fields.iter().for_each(|(key, field)| assert_no_hole(field, &format!("{path}.{key}")));
        }
        Value::String(text) => assert!(!["NaN", "inf"].contains(&text.as_str()), "{path}"),
        Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn a_target_missed_is_1() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&["--set", "target.some.ratio='>= 100'"]);
    assert_eq!(ran.exit, Exit::Missed);
    let verdict = ran.out.lines().find(|line| line.contains("✘ some")).expect("there is a verdict");
    assert!(verdict.contains("×, at most "), "{verdict}");
    assert!(verdict.contains("with 95 % confidence"), "{verdict}");
    assert!(ran.out.contains("a.throughput@2 >= 100"), "{}", ran.out);
    assert!(ran.out.ends_with("exit 1\n"), "{}", ran.out);
    assert!(read(desk.bundle().join("report.md")).contains("Target missed"));
}

#[test]
fn too_few_pairs_are_3() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&["--set", "trials.pairs.min=2", "--set", "trials.pairs.max=2"]);
    assert_eq!(ran.exit, Exit::Inconclusive);
    assert!(ran.out.contains("? some"), "{}", ran.out);
    assert!(ran.out.contains("cannot decide with 2 pairs; 6 are needed at 5 %"), "{}", ran.out);
}

#[test]
fn a_precision_out_of_reach_is_3() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&["--set", "trials.precision=0.001%"]);
    assert_eq!(ran.exit, Exit::Inconclusive);
    assert!(ran.out.contains("asked for ±"), "{}", ran.out);
    assert!(ran.out.contains("after 6 pairs; "), "{}", ran.out);
}

#[test]
fn a_folder_that_cannot_be_is_5_before_anything_is_measured() {
    let desk = Desk::new(TINY);
    let (file, good) = (desk.at("scenario.toml"), desk.at("good"));
    for (out, data) in
        [(&good, "/proc/x"), (&good, file.as_str()), (&file, good.as_str()), (&file, file.as_str())]
    {
        let (scenario, data) = (desk.at("scenario.toml"), data.to_owned());
        let ran = kvbench(&["run", &scenario, "--no-profile", "--out", out, "--data", &data]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Failed, ""), "{out} {data}: {}", ran.err);
        let wrong = if *out == file { "--out" } else { "--data" };
        assert!(ran.err.starts_with("error: folder "), "{}", ran.err);
        assert!(
            ran.err.contains(&format!("\n  hint: choose another with {wrong}\n")),
            "{}",
            ran.err
        );
        assert_eq!(ran.err.matches("os error").count(), 1, "said once: {}", ran.err);
        if Path::new(&good).exists() {
            assert!(names(&good).is_empty(), "no bundle and no data stay behind");
        }
    }
}

#[test]
fn a_run_stopped_before_it_began_leaves_a_marked_bundle() {
    let desk = Desk::new(TINY);
    let args = desk.run_args(&[]);
    let ran = kvbench_while(&args.iter().map(String::as_str).collect::<Vec<_>>(), true);
    assert_eq!(ran.exit, Exit::Interrupted);
    assert!(ran.out.contains("INCOMPLETE"), "{}", ran.out);
    assert!(ran.out.ends_with("exit 130\n"), "{}", ran.out);
    assert_incomplete(&desk, 0);
}

// What is left, read again.

#[test]
fn a_report_gives_back_what_the_run_printed_and_wrote() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&["--quick"]);
    let bundle = desk.bundle();
    let pages = ["report.md", "report.html"].map(|name| bundle.join(name));
    let written = pages.clone().map(read);
    for page in &pages {
        fs::remove_file(page).unwrap();
    }
    let folder = bundle.to_str().unwrap();
    let again = kvbench(&["report", folder]);
    assert_eq!((again.exit, again.err.as_str()), (ran.exit, ""));
    assert_eq!(again.out, ran.report());
    assert_eq!(pages.map(read), written);
    let by_file = kvbench(&["report", &format!("{folder}/result.json")]);
    assert_eq!(by_file.out, again.out);
    let before = names(&bundle);
    assert_eq!(kvbench(&["report", folder, "--md"]).out, written[0]);
    assert_eq!(kvbench(&["report", folder, "--html"]).out, written[1]);
    let json: Run = serde_json::from_str(&kvbench(&["report", folder, "--json"]).out).unwrap();
    assert_eq!(json, desk.record());
    assert_eq!(names(&bundle), before);
}

/// Formats that other programs read, of one run.
const FOR_PROGRAMS: [&[&str]; 8] = [
    &["--csv"],
    &["--benchfmt"],
    &["--openmetrics"],
    &["--junit"],
    &["--bmf"],
    &["--github-benchmark", "bigger"],
    &["--github-benchmark", "smaller"],
    &["--hgrm", "after:a@2"],
];

#[test]
fn other_programs_get_their_formats_and_the_verdicts_exit_code() {
    let desk = Desk::new(TINY);
    desk.run(&[]);
    // A busy host may make a load invalid, and then there is nothing to print of it.
    let folder = &desk.edit(|record| record["warnings"] = json!([]));
    let ran = kvbench(&["report", folder]);
    let before = names(desk.bundle());
    let begins = ["scenario,started_at,", "Unit ", "# TYPE ", "<?xml ", "{\n", "[\n", "[\n", "  "];
    for (form, begin) in FOR_PROGRAMS.iter().zip(begins) {
        let of_what = if form[0] == "--junit" { "tiny.target" } else { "after" };
        let printed = kvbench(&[&["report", folder], *form].concat());
        assert_eq!((printed.exit, printed.err.as_str()), (ran.exit, ""), "{form:?}");
        assert!(printed.out.starts_with(begin) && printed.out.ends_with('\n'), "{form:?}");
        assert!(printed.out.contains(of_what), "{form:?}: {}", printed.out);
    }
    assert_eq!(names(desk.bundle()), before, "nothing is written beside the record");

    let nowhere = kvbench(&["report", folder, "--hgrm", "after:a@3"]);
    assert_eq!((nowhere.exit, nowhere.out.as_str()), (Exit::Usage, ""));
    assert!(nowhere.err.ends_with("there are: before:a@2, after:a@2\n"), "{}", nowhere.err);
    for wrong in [&["--csv", "--junit"][..], &["--csv", "--out", "x"], &["--json", "--bmf"]] {
        let refused = kvbench(&[&["report", folder], wrong].concat());
        assert_eq!((refused.exit, refused.out.as_str()), (Exit::Usage, ""), "{wrong:?}");
        assert!(refused.err.contains("cannot be used with"), "{}", refused.err);
    }
    let broken = desk.edit(|record| {
        record["trials"][0]["cells"][0]["service"]["histogram"] = json!("HISTFAAA\u{1b}");
    });
    let unreadable = kvbench(&["report", &broken, "--openmetrics"]);
    assert_eq!((unreadable.exit, unreadable.out.as_str()), (Exit::Usage, ""));
    assert!(unreadable.err.starts_with("error: a histogram of the run cannot be read: "));
}

/// Two scenarios that were asked for together end in one board, which the bundles give again.
#[test]
fn several_scenarios_end_in_a_scoreboard() {
    let desk = Desk::new(TINY);
    let other = TINY.replace("\"tiny\"", "\"other\"").replace(
        "ratio = \">= 0.0001\"",
        "ratio = \">= 10000\"\nclaim = \"a thing is faster than itself\"\n\
         [[target]]\nid = \"once\"\ncheck = \"acked-once\"",
    );
    fs::write(desk.at("other.toml"), other).unwrap();
    let ran = desk.run(&[&desk.at("other.toml")]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Missed, ""));
    for wanted in
        ["SCOREBOARD", "✔ met", "✘ claim refuted", "a thing is faster than itself", "1 is refuted"]
    {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    assert!(ran.out.ends_with("scoreboard.html   exit 1\n"), "{}", ran.out);
    let inside = names(desk.at("out"));
    let [other, board, tiny] = inside.as_slice() else { panic!("{inside:?}") };
    assert!(other.starts_with("other-") && tiny.starts_with("tiny-"), "{inside:?}");
    let folder = Path::new(&desk.at("out")).join(board);
    let files = ["scoreboard.html", "scoreboard.json", "scoreboard.md"];
    assert_eq!(names(&folder), files);
    let written = files.map(|file| read(folder.join(file)));
    assert!(written[0].contains(&format!("href=\"../{tiny}/report.html\"")), "{}", written[0]);

    let again = kvbench(&["report", folder.to_str().unwrap()]);
    assert_eq!((again.exit, again.err.as_str()), (Exit::Missed, ""));
    assert!(ran.out.contains(&again.out), "{}", again.out);
    assert_eq!(files.map(|file| read(folder.join(file))), written);
    let bundles = [tiny, other].map(|name| desk.at(&format!("out/{name}")));
    let elsewhere = desk.at("elsewhere");
    let of_both = kvbench(&["report", &bundles[0], &bundles[1], "--out", &elsewhere, "--md"]);
    assert_eq!(
        (of_both.exit, read(Path::new(&elsewhere).join(files[2]))),
        (Exit::Missed, of_both.out)
    );
    assert!(read(Path::new(&elsewhere).join(files[0])).contains(&format!("href=\"../out/{tiny}/")));

    let suites = |args: &[&str]| {
        let printed = kvbench(&[args, &["--junit"]].concat());
        assert_eq!((printed.exit, printed.err.as_str()), (Exit::Missed, ""));
        printed.out
    };
    let of_board = suites(&["report", folder.to_str().unwrap()]);
    assert_eq!(of_board, suites(&["report", &bundles[0], &bundles[1]]), "a suite for each bundle");
    for wanted in ["<testsuite name=\"tiny\"", "<testsuite name=\"other\"", "<failure message="] {
        assert_eq!(of_board.matches(wanted).count(), 1, "{wanted}: {of_board}");
    }
    let one_place = kvbench(&["report", &bundles[0], &bundles[1], "--hgrm", "after:a@2"]);
    assert_eq!(one_place.exit, Exit::Usage);

    fs::remove_dir_all(&bundles[0]).unwrap();
    let gone = kvbench(&["report", folder.to_str().unwrap()]);
    assert_eq!((gone.exit, gone.out.as_str()), (Exit::Usage, ""));
    assert!(gone.err.contains("result.json"), "{}", gone.err);
    assert_eq!(read(folder.join(files[1])), written[1], "what it cannot make again stays");
}

#[test]
fn json_is_all_there_is_on_stdout() {
    let desk = Desk::new(TINY);
    let ran = desk.run(&["--json", "--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"]);
    assert_eq!(ran.exit, Exit::Inconclusive);
    let run: Run = serde_json::from_str(&ran.out).expect("one JSON value and nothing else");
    assert_eq!(run, desk.record());
    assert!(ran.err.ends_with("report.html   exit 3\n"), "{}", ran.err);
}

#[test]
fn a_wrong_answer_is_4_whatever_the_targets_say() {
    let desk = Desk::new(TINY);
    assert_eq!(desk.run(&[]).exit, Exit::Met);
    let bundle = desk.edit(|record| record["checks"][0]["passed"] = json!(false));
    let ran = kvbench(&["report", &bundle]);
    assert_eq!(ran.exit, Exit::WrongAnswer);
    assert!(ran.out.contains("✘ same-state"), "{}", ran.out);
}

#[test]
fn what_is_no_bundle_is_refused_and_stays_as_it_is() {
    let desk = Desk::new(TINY);
    desk.run(&["--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"]);
    let folder = desk.at("");
    let refused = |bundle: &str, wanted: &str| {
        let ran = kvbench(&["report", bundle]);
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{bundle}");
        assert!(ran.err.contains(wanted), "{bundle}: {}", ran.err);
        assert!(
            ran.err.contains("\n  hint: name a folder that `kvbench run` wrote"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    };
    refused(&folder, "result.json: No such file");
    refused(&desk.at("nowhere"), "No such file");
    assert_eq!(names(&folder), ["out", "scenario.toml"]);
    let record = read(desk.bundle().join("result.json"));
    refused(
        &desk.edit(|record| {
            record["warnings"] = json!([{ "kind": "\u{1b}]0;x\u{7}" }]);
        }),
        "is not a run file: ",
    );
    let newer = desk.edit(|record| record["schema"] = json!(99));
    refused(&newer, "has schema 99, this version reads 1");
    for length in [0, 1, record.len() / 2, record.len() - 3] {
        let cut = record.char_indices().map(|(at, _)| at).rfind(|at| *at <= length).unwrap_or(0);
        fs::write(desk.bundle().join("result.json"), &record[..cut]).unwrap();
        refused(&newer, "is not a run file: ");
    }
    fs::write(desk.bundle().join("result.json"), &record).unwrap();
    assert_eq!(kvbench(&["report", &newer]).exit, Exit::Inconclusive);
}

// Bundles against each other.

/// The reference record with its trials changed, as a bundle in `folder`.
fn invented(folder: &Path, name: &str, change: impl FnOnce(&mut Run)) -> String {
    let reference =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/reference/put_parallel-2026-11-23");
    let mut run = Bundle::open(&reference).read_run().expect("the reference is a record");
    change(&mut run);
    let bundle = folder.join(name);
    fs::create_dir(&bundle).expect("a folder for the bundle");
    fs::write(bundle.join("result.json"), run.to_json().expect("it is JSON"))
        .expect("it is written");
    bundle.to_str().expect("the path is UTF-8").to_owned()
}

/// Everything takes so many times as long.
fn slower(run: &mut Run, factor: f64) {
    let longer = |ns: u64| (ns as f64 * factor) as u64;
    for cell in run.trials.iter_mut().flat_map(|trial| &mut trial.cells) {
        cell.throughput_per_s /= factor;
        let service = &mut cell.service;
        (service.p50_ns, service.p99_ns) = (longer(service.p50_ns), longer(service.p99_ns));
        service.p999_ns = longer(service.p999_ns);
        cell.cpu.iter_mut().for_each(|role| role.cpu_ns = longer(role.cpu_ns));
    }
}

#[test]
fn what_got_worse_is_1_and_told_in_every_form() {
    let desk = TempDir::new().expect("a folder for the test");
    let old = invented(desk.path(), "old", |_| {});
    let new = invented(desk.path(), "new", |run| slower(run, 1.5));
    let throughput = ["--arm", "after", "--metric", "saturate.throughput@50"];
    let compare = |sides: [&str; 2], more: &[&str]| {
        kvbench(&[&["compare"][..], &sides, &throughput, more].concat())
    };
    let ran = compare([&old, &new], &[]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Missed, ""), "{}", ran.out);
    for wanted in ["✘ worse", "Mann-Whitney", "two sittings", "interleaved", "1 metric got worse."]
    {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    let ran = compare([&old, &new], &["--md"]);
    assert!(ran.out.starts_with("## 1 metric got worse."), "{}", ran.out);
    let ran = compare([&old, &new], &["--json"]);
    assert_eq!(ran.exit, Exit::Missed);
    let json: Value = serde_json::from_str(&ran.out).expect("it is JSON");
    let row = &json["contrasts"][0]["rows"][0];
    assert_eq!(
        (&row["metric"], &row["verdict"]),
        (&json!("saturate.throughput@50"), &json!("worse"))
    );
    assert!((row["ratio"].as_f64().expect("a number") - 1.0 / 1.5).abs() < 1e-9);
    assert_no_hole(&json["contrasts"][0]["rows"], "rows");
    // The other way round it got better, and a floor beyond the change sees none.
    assert_eq!(compare([&new, &old], &[]).exit, Exit::Met);
    assert_eq!(compare([&old, &new], &["--floor", "200%"]).exit, Exit::Met);
    assert_eq!(names(desk.path()), ["new", "old"], "nothing is written");
    assert_eq!(names(&new), ["result.json"]);
}

#[test]
fn all_arms_and_metrics_of_many_bundles_are_compared_at_once() {
    let desk = TempDir::new().expect("a folder for the test");
    let old = invented(desk.path(), "old", |_| {});
    let same = invented(desk.path(), "same", |_| {});
    let new = invented(desk.path(), "new", |run| slower(run, 3.0));
    let ran = kvbench(&["compare", &old, &same, &new, "--json"]);
    assert_eq!(ran.exit, Exit::Missed, "{}", ran.err);
    let json: Value = serde_json::from_str(&ran.out).expect("it is JSON");
    let contrasts = json["contrasts"].as_array().expect("a list");
    assert_eq!(contrasts.len(), 10, "five arms of two bundles");
    for (at, contrast) in contrasts.iter().enumerate() {
        let rows = contrast["rows"].as_array().expect("a list");
        let is_worse = |row: &&Value| row["verdict"] == "worse";
        assert_eq!(rows.iter().filter(is_worse).count() > 0, at >= 5, "{at}: {contrast}");
        assert!(rows.iter().any(|row| row["metric"] == "saturate.cpu_per_op@100"), "{contrast}");
    }
}

#[test]
fn arms_of_one_bundle_are_compared_by_their_pairs() {
    let desk = TempDir::new().expect("a folder for the test");
    let old = invented(desk.path(), "old", |_| {});
    let throughput = ["--metric", "saturate.throughput@50"];
    let sides = [format!("{old}:after"), format!("{old}:before")];
    let ran = kvbench(&[&["compare", &sides[0], &sides[1]][..], &throughput].concat());
    assert_eq!(ran.exit, Exit::Missed, "{}", ran.out);
    assert!(ran.out.contains("signed-rank test of pairs"), "{}", ran.out);
    assert!(!ran.out.contains("two sittings"), "{}", ran.out);
    let sides = [format!("{old}:before"), format!("{old}:after")];
    let ran = kvbench(&[&["compare", &sides[0], &sides[1]][..], &throughput].concat());
    assert_eq!(ran.exit, Exit::Met, "{}", ran.out);
}

#[test]
fn what_is_not_comparable_is_3_unless_forced_and_then_stamped() {
    let desk = TempDir::new().expect("a folder for the test");
    let old = invented(desk.path(), "old", |_| {});
    let other = invented(desk.path(), "other", |run| {
        run.scenario.text = "schema = 1\n".into();
        run.host.kernel = "9.9".into();
    });
    let ran = kvbench(&["compare", &old, &other]);
    assert_eq!((ran.exit, ran.err.as_str()), (Exit::Inconclusive, ""));
    for wanted in
        ["NOT COMPARABLE", "texts differ from line 1 on", "kernel: ", "Nothing was compared"]
    {
        assert!(ran.out.contains(wanted), "{wanted}: {}", ran.out);
    }
    assert!(!ran.out.contains("METRICS"), "{}", ran.out);
    let forced = ["compare", &old, &other, "--force", "--metric", "saturate.throughput@50"];
    let ran = kvbench(&forced);
    assert!(ran.out.contains("NOT COMPARABLE, compared all the same (--force)"), "{}", ran.out);
    assert!(ran.out.contains("METRICS"), "{}", ran.out);
    assert!(kvbench(&[&forced[..], &["--md"]].concat()).out.contains("NOT COMPARABLE"));
}

#[test]
fn mistakes_of_a_comparison_are_told_with_a_hint() {
    let desk = TempDir::new().expect("a folder for the test");
    let old = invented(desk.path(), "old", |_| {});
    let copy = invented(desk.path(), "copy", |_| {});
    let newer = invented(desk.path(), "newer", |run| run.schema = 99);
    let lone = format!("{old}:after");
    let refused = |args: &[&str], wanted: &str, hint: &str| {
        let ran = kvbench(&[&["compare"][..], args].concat());
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{args:?}");
        assert!(ran.err.contains(wanted) && ran.err.contains(hint), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains('\u{1b}'), "{}", ran.err);
    };
    refused(&[&old], "nothing to compare with", ":before");
    refused(&[&old, &old], "the same arm of the same run", ":before");
    refused(&[&lone, &lone], "the same arm of the same run", ":before");
    refused(&[&old, "nowhere\u{1b}[2J"], "No such file", "`kvbench run` wrote");
    refused(&[&old, &newer], "a newer kvbench wrote it", "hint: ");
    refused(&[&old, &copy, "--arm", "x\u{1b}"], "no arm \"x\"", "it has before, rung-1");
    refused(&[&old, &copy, "--metric", "saturate.speed@50"], "it is no metric", "phase.measure");
    refused(&[&old, &copy, "--floor", "0%"], "expected more than 0%", "--help");
}

#[test]
fn hostile_bundles_cannot_steer_a_comparison() {
    let desk = TempDir::new().expect("a folder for the test");
    let evil = || format!("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}{SCRIPT} [x](javascript:alert(1)) | `");
    let bundle = |name: &str, kernel: &str| {
        invented(desk.path(), name, |run| {
            (run.started_at, run.build.revision, run.build.rustc) = (evil(), evil(), evil() + name);
            (run.scenario.name, run.kvbench_version) = (evil() + name, evil() + name);
            run.host.kernel = kernel.to_owned() + &evil();
            for arm in &mut run.arms {
                arm.name += &evil();
            }
            for trial in &mut run.trials {
                trial.arm += &evil();
                trial.cells.iter_mut().for_each(|cell| cell.phase = evil());
            }
        })
    };
    let (a, b) = (bundle("a", "1"), bundle("b", "2"));
    for form in [vec![], vec!["--md"], vec!["--force"], vec!["--force", "--md"]] {
        let ran = kvbench(&[&["compare", &a, &b][..], &form].concat());
        let steers = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        assert_eq!(ran.out.find(steers), None, "{form:?}");
        assert!(ran.out.contains("NOT COMPARABLE") && ran.err.is_empty(), "{}", ran.err);
        if form.contains(&"--md") {
            assert!(!ran.out.contains("<script") && !ran.out.contains("[x](javascript"));
        }
    }
}

// Text that others wrote.

const SCRIPT: &str = "<script>alert(1)</script>";

#[test]
fn an_analysis_cannot_steer_or_script() {
    let desk = Desk::new(TINY);
    let escape = desk.run(&["--set", "analysis=\"\\u001b[2J\""]);
    assert_eq!(escape.exit, Exit::Usage);
    assert!(escape.err.contains("analysis holds control characters"), "{}", escape.err);
    let one = ["--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"];
    let analysis = format!("analysis='{SCRIPT} a\u{202e}b'");
    let ran = desk.run(&[&one[..], &["--set", &analysis]].concat());
    assert_eq!(ran.exit, Exit::Inconclusive);
    assert_harmless(&ran, &desk.bundle());
    let plan = kvbench(&["plan", &desk.at("scenario.toml"), "--set", &analysis]);
    assert_eq!(plan.exit, Exit::Met);
    assert!(!plan.out.contains('\u{202e}'), "{}", plan.out);
}

#[test]
fn a_record_from_elsewhere_cannot_steer_or_script() {
    let desk = Desk::new(TINY);
    desk.run(&["--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"]);
    let evil = format!("\u{1b}]0;x\u{7}\u{9b}2J\u{202e}{SCRIPT} [x](javascript:alert(1)) | `");
    let bundle = desk.edit(|record| {
        for field in ["name", "analysis", "path", "text", "workload"] {
            record["scenario"][field] = json!(evil);
        }
        for field in ["cpu", "kernel", "hypervisor", "governor", "filesystem", "data_folder"] {
            record["host"][field] = json!(evil);
        }
        record["build"]["revision"] = json!(evil);
        record["kvbench_version"] = json!(evil);
        record["started_at"] = json!(evil);
        record["targets"][0]["id"] = json!(evil);
        record["checks"][0]["id"] = json!(evil);
        record["checks"][0]["detail"] = json!(evil);
        record["arms"][1]["lever"] = json!(evil);
        record["warnings"] = json!([{ "kind": "no-profile", "reason": evil }]);
        record["trials"][0]["cells"][0]["locks"][0]["name"] = json!(evil);
        record["trials"][0]["cells"][0]["stages"][0]["stage"] = json!(evil);
    });
    let ran = kvbench(&["report", &bundle]);
    assert_eq!(ran.exit, Exit::Inconclusive, "{}", ran.err);
    assert_harmless(&ran, Path::new(&bundle));
}

fn assert_harmless(ran: &Ran, bundle: &Path) {
    let steers = |c: char| (c.is_control() && c != '\n' && c != '\t') || c == '\u{202e}';
    let (md, html) = (read(bundle.join("report.md")), read(bundle.join("report.html")));
    for text in [&ran.out, &ran.err, &md, &html] {
        let at = text.find(steers);
        assert_eq!(at, None, "{:?}", at.map(|at| text[at..].chars().take(60).collect::<String>()));
    }
    assert!(!md.contains("<script") && !html.contains(SCRIPT));
    assert!(!md.contains("[x](javascript"), "{md}");
}

// With a process of its own.

#[test]
fn a_reader_that_went_away_is_no_crash() {
    let desk = Desk::new(TINY);
    let one = ["--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"];
    desk.run(&one);
    let bundle = desk.bundle();
    let bundle = bundle.to_str().unwrap();
    let run = desk.run_args(&[&one[..], &["--json"]].concat());
    let run: Vec<_> = run.iter().map(String::as_str).collect();
    for args in [
        &["explain"][..],
        &["--help"],
        &["plan", &desk.at("scenario.toml")],
        &["check", &desk.at("scenario.toml")],
        &["report", bundle],
        &["report", bundle, "--md"],
        &["report", bundle, "--html"],
        &["report", bundle, "--json"],
        &["report", bundle, "--csv"],
        &run,
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut child = Command::new(KVBENCH);
        let child = child.args(args).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let ended = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(ended.stderr).unwrap(), "", "{args:?}");
        assert!(matches!(ended.status.code(), Some(0 | 5)), "{args:?}: {:?}", ended.status);
    }
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let child = Command::new(KVBENCH).arg("explain").stdout(full).stderr(Stdio::piped()).spawn();
    let ended = child.unwrap().wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(5));
    assert!(String::from_utf8(ended.stderr).unwrap().starts_with("error: No space left"));
}

#[test]
fn ctrl_c_within_the_first_block_leaves_a_marked_bundle() {
    let desk = Desk::new(TINY);
    // Longer than the test may take: whoever ends in time was interrupted within the first cell.
    stopped(&desk, "INT", Until::Started, &["--set", "phase.a.duration=10m"]);
    assert_incomplete(&desk, 0);
}

#[test]
fn ctrl_c_keeps_the_blocks_that_are_finished() {
    let desk = Desk::new(TINY);
    stopped(&desk, "INT", Until::FirstBlock, &["--set", "system.layer=apply"]);
    assert_incomplete(&desk, 2);
}

#[test]
fn sigterm_ends_a_run_with_a_log_likewise() {
    let desk = Desk::new(TINY);
    stopped(&desk, "TERM", Until::FirstBlock, &["--set", "system.layer=raft"]);
    assert_incomplete(&desk, 2);
}

/// What has to be seen before the signal is sent.
#[derive(Clone, Copy, PartialEq)]
enum Until {
    /// The trials of the first block live.
    Started,
    /// They are gone.
    FirstBlock,
}

/// Starts a run of 200 pairs and ends it with `signal`.
fn stopped(desk: &Desk, signal: &str, until: Until, more: &[&str]) {
    let data = desk.at("data");
    let long = ["--data", &data, "--set", "trials.pairs.min=200", "--set", "trials.pairs.max=200"];
    let mut command = Command::new(KVBENCH);
    command.args(desk.run_args(&[&long[..], more].concat()));
    let stream = |name| fs::File::create(desk.at(name)).expect("the stream has a file");
    let child = command.stdout(stream("stdout")).stderr(stream("stderr")).spawn();
    let mut run = Killed(child.expect("the program starts"));
    let first = eventually("a trial lives", || Some(trials(&data)).filter(|all| all.len() == 2));
    if until == Until::FirstBlock {
        eventually("the first block ends", || trials(&data).is_disjoint(&first).then_some(()));
    }
    let kill = Command::new("sh").args(["-c", &format!("kill -{signal} {}", run.0.id())]).status();
    assert!(kill.expect("sh runs").success());
    let status = eventually("the run ends", || run.0.try_wait().expect("the run is our child"));
    let (out, err) = (read(desk.at("stdout")), read(desk.at("stderr")));
    assert_eq!((status.code(), err.as_str()), (Some(130), ""), "{out}");
    assert!(out.contains("INCOMPLETE") && out.ends_with("exit 130\n"), "{out}");
    assert!(names(&data).is_empty(), "data stayed behind: {:?}", names(&data));
}

/// A process that does not outlive its test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The data folders of the trials that live now.
fn trials(data: &str) -> BTreeSet<PathBuf> {
    let inside = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten();
    let folders = inside(data.into()).flat_map(|scratch| inside(scratch.path()));
    let folders = folders.map(|entry| entry.path());
    let is_trial = |path: &PathBuf| path.to_string_lossy().contains("/trial-");
    folders.filter(is_trial).collect()
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let clock = Clock::start();
    while u128::from(clock.now().0) < PROCESS_MAX.as_nanos() {
        if let Some(seen) = look() {
            return seen;
        }
        clock.sleep(Nanos::from_millis(5));
    }
    panic!("not within {PROCESS_MAX:?}: {what}");
}

/// The bundle is whole, says that the run is not, and holds finished blocks only.
fn assert_incomplete(desk: &Desk, trials_min: usize) {
    let (bundle, run) = (desk.bundle(), desk.record());
    assert!(!run.complete);
    assert!(run.trials.len() >= trials_min && run.trials.len() < 400, "{}", run.trials.len());
    assert_eq!(run.trials.len() % 2, 0, "blocks are whole");
    assert!(run.trials.iter().all(|trial| trial.cells.len() == 1));
    assert!(run.checks.iter().all(|check| check.passed), "{:?}", run.checks);
    for page in ["report.md", "report.html"] {
        assert!(read(bundle.join(page)).contains("INCOMPLETE"), "{page}");
    }
    let before = read(bundle.join("report.html"));
    let again = kvbench(&["report", bundle.to_str().expect("the path is UTF-8")]);
    assert_eq!((again.exit, again.err.as_str()), (Exit::Interrupted, ""));
    assert!(again.out.contains("INCOMPLETE"), "{}", again.out);
    assert_eq!(read(bundle.join("report.html")), before);
}

/// One process, because the sampler and the CPU clock look at all threads there are.
#[test]
fn a_run_through_the_log_fills_every_part_of_the_record() {
    let desk = Desk::new(TINY);
    let (scenario, out) = (desk.at("scenario.toml"), desk.at("out"));
    let mut process = assert_cmd::Command::new(KVBENCH);
    process.timeout(PROCESS_MAX).args(["run", "--quick", &scenario, "--out", &out]);
    process.args(["--set", "system.layer=raft", "--set", "system.propose=pipelined"]);
    process.args(["--set", "phase.a.duration=200ms"]);
    let done = process.assert().code(0).stderr("");
    let text = String::from_utf8_lossy(&done.get_output().stdout);
    assert!(text.contains("QUICK"), "{text}");
    let run = desk.record();
    assert!(run.complete && run.quick);
    let checks: Vec<_> = run.checks.iter().map(|check| (check.id.as_str(), check.passed)).collect();
    assert_eq!(checks, [("same-state", true), ("acked-once", true), ("log-replays", true)]);
    assert_eq!(run.trials.len(), 12);
    for cell in run.trials.iter().flat_map(|trial| &trial.cells) {
        assert_filled(cell);
    }
    assert_profiles(&run, &desk.bundle());
    let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let key = format!("machine key {}", run.host.details.machine_key);
    assert!(unwrapped.contains(&key), "{text}");
    assert_eq!(run.host.details.machine_key.len(), 12);
    assert!(run.build.details.binary_bytes.is_some_and(|bytes| bytes > 1 << 20));
}

#[test]
fn a_record_from_before_the_details_is_graded_by_what_it_has() {
    let desk = Desk::new(TINY);
    desk.run(&["--set", "trials.pairs.min=1", "--set", "trials.pairs.max=1"]);
    let bundle = desk.edit(|record| {
        for part in ["host", "build"] {
            record[part].as_object_mut().expect("it is a table").remove("details");
        }
    });
    assert_eq!(desk.record().host.details.machine_key, "not visible");
    let ran = kvbench(&["report", &bundle, "--md"]);
    assert!(ran.out.contains("- grade: ") && ran.out.contains("machine key not visible"));
    assert!(ran.out.contains("turbo, microcode, cgroup CPU"), "{}", ran.out);
}

/// One process of its own, because the sampler is one per process.
#[test]
fn doctor_says_what_it_saw_and_what_to_do() {
    let desk = Desk::new(TINY);
    let doctor = |more: &[&str]| {
        let mut process = assert_cmd::Command::new(KVBENCH);
        process.timeout(PROCESS_MAX).args(["doctor", "--data", &desk.at("")]).args(more);
        let done = process.assert();
        let output = done.get_output();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("all output is UTF-8");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (exit, out, err) = doctor(&["--json"]);
    assert!(err.starts_with("trying out disk") && err.lines().count() == 1, "{err}");
    let checkup: Checkup = serde_json::from_str(&out).expect("it is what the record describes");
    let wanted = match checkup.grade {
        'A' | 'B' => 0,
        'C' => 3,
        _ => 5,
    };
    assert_eq!(exit, Some(wanted), "{out}");
    // What a debug build measures is worth nothing, on any machine.
    assert_eq!(checkup.build.profile == "debug", cfg!(debug_assertions));
    assert!(checkup.grade == 'D' || !cfg!(debug_assertions));
    let probes = &checkup.probes;
    assert!(probes.disk.is_some_and(|disk| disk.count > 0 && disk.p50_ns <= disk.max_ns));
    assert!(probes.clock.read_ns > 0.0 && probes.watched_s >= 1.0, "{probes:?}");
    assert_eq!((probes.wake.count, probes.wake.asked_ns), (500, 200_000));
    let names: BTreeSet<_> = checkup.findings.iter().map(|finding| &finding.name).collect();
    assert_eq!(names.len(), checkup.findings.len(), "each fact stands once");
    for finding in &checkup.findings {
        assert_eq!(finding.reason.is_empty(), finding.gravity == "fit", "{finding:?}");
    }
    let (_, out, _) = doctor(&[]);
    for finding in &checkup.findings {
        assert!(out.contains(&format!(" {} ", finding.name)), "{}\n{out}", finding.name);
    }
    assert!(out.lines().last().is_some_and(|last| last.starts_with("grade ")), "{out}");
    assert_eq!(names_in(&desk), ["scenario.toml"], "nothing stays");
}

fn names_in(desk: &Desk) -> Vec<String> {
    names(desk.folder.path())
}

fn assert_filled(cell: &Cell) {
    assert!(cell.counters.fsyncs > 0 && cell.counters.entries > 0, "{:?}", cell.counters);
    for role in ["load", "raft"] {
        let used = cell.cpu.iter().find(|used| used.role == role);
        assert!(used.is_some_and(|used| used.cpu_ns > 0), "{role} in {:?}", cell.cpu);
    }
    let locks: Vec<_> = cell.locks.iter().map(|lock| lock.name.as_str()).collect();
    let of_the_store = ["store", "leases", "publication", "turnstile", "watchers"];
    let of_the_engine = ["key order", "new keys", "compaction"];
    let of_the_node = ["inbox", "status", "lease deadlines"];
    assert_eq!(locks, [&of_the_store[..], &of_the_engine, &of_the_node].concat());
    assert_eq!((cell.errors, cell.stages.len()), (0, 9));
    let sum: f64 = cell.stages.iter().map(|stage| stage.mean_ns).sum();
    let gap = (sum / cell.service.mean_ns - 1.0).abs();
    // One descheduled load thread weighs too much among few operations.
    assert!(cell.ops < 100 || gap < 0.02, "{gap}: {:?}", cell.stages);
}

/// An idle program gives no samples, and then a warning in place of the pictures.
fn assert_profiles(run: &Run, bundle: &Path) {
    let idle = run.warnings.iter().any(|warning| matches!(warning, Warning::NoProfile { .. }));
    assert!(run.profiles.len() == 2 || idle, "{:?}", run.warnings);
    for profile in &run.profiles {
        let folded = read(bundle.join(&profile.folded_file));
        let counts = folded.lines().filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        assert_eq!(counts.sum::<u64>(), profile.samples, "{folded}");
        assert!(read(bundle.join(&profile.flame_file)).contains("<svg"));
    }
    let mut files: BTreeSet<_> = names(bundle).into_iter().collect();
    for name in ["after.hlog", "before.hlog", "report.html", "report.md", "result.json"] {
        assert!(files.remove(name), "{name} is missing");
    }
    for profile in &run.profiles {
        let pprof = profile.pprof_file.as_ref().expect("this version writes one");
        for file in [&profile.folded_file, &profile.flame_file, pprof] {
            assert!(files.remove(file), "{file} is missing");
        }
    }
    let diff = files.remove("flame-diff.svg");
    assert!(diff || run.profiles.len() < 2 || idle);
    assert_eq!(run.lock_profiles.len(), 2);
    for profile in &run.lock_profiles {
        assert_lock_files(profile, bundle, &mut files);
    }
    files.remove("flame-lock-wait-diff.svg");
    assert!(files.is_empty(), "unexpected: {files:?}");
}

/// Takes the files of a lock profile out of `files`; they must say what the record says.
fn assert_lock_files(profile: &LockProfile, bundle: &Path, files: &mut BTreeSet<String>) {
    for file in [&profile.wait_file, &profile.hold_file, &profile.pprof_file] {
        assert!(files.remove(file), "{file} is missing");
    }
    assert!(profile.flame_file.as_ref().is_none_or(|file| files.remove(file)));
    let sum = |file: &str| -> u64 {
        let folded = read(bundle.join(file));
        let counts = folded.lines().map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
        counts.map(|count| count.expect("a stack ends with a number")).sum()
    };
    let told = |sites: fn(&ProfiledLock) -> &Vec<LockSite>| -> u64 {
        profile.locks.iter().flat_map(sites).map(|site| site.nanos).sum()
    };
    assert_eq!(sum(&profile.wait_file), told(|lock| &lock.waiters));
    assert_eq!(sum(&profile.hold_file), told(|lock| &lock.holders));
    assert!(profile.roles.iter().any(|role| role.role == "load" && role.cpu_ns > 0));
}

/// Eight threads on one lock: the profile says so, names who asks for it, and leaves what it lists.
#[test]
fn profiling_a_hot_lock_names_it() {
    let desk = Desk::new(&TINY.replace("[arms.before]", "[arms.before]\napply = \"global-mutex\""));
    let (scenario, out) = (desk.at("scenario.toml"), desk.at("out"));
    let mut process = assert_cmd::Command::new(KVBENCH);
    process.timeout(PROCESS_MAX).args(["profile", &scenario, "--out", &out]);
    process.args(["--clients", "8", "--seconds", "1"]);
    let done = process.assert().code(0);
    // On a slow host it says how far it is, and nothing else.
    let said = String::from_utf8_lossy(&done.get_output().stderr);
    assert!(said.lines().all(|line| line.starts_with("recording what ")), "{said}");
    let text = String::from_utf8_lossy(&done.get_output().stdout);
    let (run, bundle) = (desk.record(), desk.bundle());
    assert!(run.complete && run.trials.is_empty(), "{text}");
    let before = &run.lock_profiles[0];
    let (lock, site, share) = before.hottest().expect("somebody waited");
    assert_eq!((lock.name.as_str(), before.clients), ("store", 8));
    assert!(site.function.starts_with("store::global::") && share >= 0.9, "{site:?}: {share}");
    // Between the readings of the tallies and of the stacks the load goes on for a moment.
    let (stacks, tally) = (site.nanos as f64, lock.wait_ns() as f64);
    assert!((stacks / tally - 1.0).abs() < 0.1, "stacks {stacks} ns, tally {tally} ns");
    assert!(text.contains("of an op's time is waiting for locks, 8 clients; "), "{text}");
    assert!(text.contains("of that for lock store, in store::global::apply"), "{text}");
    let page = read(bundle.join("report.html"));
    for wanted in ["Profile of tiny", "waiting for a lock", "which of its 512 store locks are hot"]
    {
        assert!(page.contains(wanted), "{wanted}");
    }
    assert!(!page.contains("Nothing was measured"));
    let listed = text.split("beside it: ").nth(1).unwrap().trim().split(", ");
    for name in listed {
        assert!(fs::metadata(bundle.join(name)).unwrap().len() > 0, "{name}");
    }
    let again = kvbench(&["report", bundle.to_str().expect("the path is UTF-8")]);
    assert_eq!((again.exit, again.err.as_str()), (Exit::Met, ""));
    assert!(again.out.contains("no trial was measured"), "{}", again.out);
    assert_eq!(read(bundle.join("report.html")), page, "the same from the record alone");
    // What is named as lying elsewhere is not read.
    fs::write(desk.at("x.svg"), "<svg>elsewhere</svg>").unwrap();
    desk.edit(|record| record["lock_profiles"][0]["flame_file"] = json!("../../x.svg"));
    let again = kvbench(&["report", bundle.to_str().unwrap(), "--html"]);
    assert!(!again.out.contains("elsewhere") && again.exit == Exit::Met, "{}", again.err);
}

#[test]
fn what_cannot_be_profiled_is_told_before_anything_starts() {
    let desk = Desk::new(TINY);
    let (scenario, out) = (desk.at("scenario.toml"), desk.at("out"));
    let refused = |more: &[&str]| {
        let ran = kvbench(&[&["profile", &scenario, "--out", &out], more].concat());
        assert_eq!((ran.exit, ran.out.as_str()), (Exit::Usage, ""), "{more:?}: {}", ran.err);
        ran.err
    };
    let arm = refused(&["--arm", "rung-1"]);
    assert!(
        arm.contains("--arm rung-1 is not in the scenario\n  hint: it has before, after"),
        "{arm}"
    );
    let phase = refused(&["--phase", "b"]);
    assert!(phase.contains("--phase b is not in the scenario\n  hint: it has a"), "{phase}");
    let remote = refused(&["--set", "system.layer=rpc"]);
    assert!(remote.contains("layer `rpc` runs in processes of its own"), "{remote}");
    assert!(refused(&["--hz", "0"]).contains("0 is not in 1..=1000"));
    assert!(!Path::new(&out).exists(), "nothing was left");
}

/// A server would keep the rest of them waiting: told by the line, and before any is started.
#[test]
fn more_connections_than_open_files_are_refused_where_they_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let text = TINY.replace("layer = \"store\"", "layer = \"rpc\"\nconnections = 151");
    fs::write(folder.path().join("crowded.toml"), text).unwrap();
    for command in ["check", "run"] {
        let script = format!("ulimit -n 300; exec {KVBENCH} {command} crowded.toml");
        let mut shell = Command::new("sh");
        let output = shell.args(["-c", &script]).current_dir(&folder).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("crowded.toml:6:1: connections is 151; allowed: 1 to 150"), "{said}");
    }
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing was started");
}
