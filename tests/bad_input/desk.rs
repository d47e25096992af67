//! A folder to make mistakes in, and rows of them.

use kvbench::cli::{self, Exit, Terminal};
use kvbench::record::Run;
use kvbench::record::bundle::Bundle;
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// A sound scenario.
pub(crate) const SOUND: &str = r#"schema = 1
name = "tiny"
[system]
layer = "store"
[arms.before]
apply = "global-mutex"
[arms.after]
[keys]
space = 100
[[op]]
put = {}
[[phase]]
name = "a"
load = { closed = { clients = [2] } }
warmup = "10ms"
duration = "50ms"
[trials]
pairs = { min = 1, max = 1 }
aa = false
[[target]]
id = "some"
metric = "a.throughput@2"
ratio = ">= 0.0001"
"#;

/// One mistake.
pub(crate) struct Row<'a> {
    /// The command line without the program; `@` at the beginning of a word is the desk's folder.
    pub(crate) args: &'a [&'a str],
    pub(crate) exit: Exit,
    /// What has to be said, all of it.
    pub(crate) says: &'a [&'a str],
}

pub(crate) struct Desk {
    folder: TempDir,
}

/// What lies in a folder: each path with its contents, if it is a file.
type Contents = BTreeMap<PathBuf, Option<Vec<u8>>>;

impl Desk {
    /// With a sound scenario `s.toml` in it.
    pub(crate) fn new() -> Desk {
        let desk = Desk { folder: TempDir::new().unwrap() };
        desk.write("s.toml", SOUND);
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    /// A pipe that nobody writes to.
    pub(crate) fn pipe(&self, name: &str) {
        let made = std::process::Command::new("mkfifo").arg(self.path(name)).status();
        assert!(
            made.unwrap().success() && fs::metadata(self.path(name)).unwrap().file_type().is_fifo()
        );
    }

    pub(crate) fn link(&self, name: &str, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.path(name)).unwrap();
    }

    /// A sound bundle, and the text of its record.
    pub(crate) fn bundle(&self, name: &str, change: impl FnOnce(&mut Run)) -> String {
        let mut run = small_run();
        change(&mut run);
        let json = String::from_utf8(run.to_json().unwrap()).unwrap();
        self.write(&format!("{name}/result.json"), &json);
        json
    }

    /// Goes through `rows`, says how many there were, and that nothing here was touched.
    pub(crate) fn check(&self, kind: &str, rows: &[Row<'_>]) {
        let before = self.contents();
        for row in rows {
            self.check_one(row);
            assert!(self.contents() == before, "{:?} changed what was there", row.args);
        }
        eprintln!("bad input, {kind}: {} rows", rows.len());
    }

    /// A command that is right, whatever its exit code: it complains of nothing, and steers nobody's terminal.
    pub(crate) fn check_quiet(&self, args: &[&str]) {
        let (exit, out, err) = run(&self.placed(args));
        assert!(
            exit != Exit::Usage && exit != Exit::Failed && err.is_empty(),
            "{args:?}: {exit:?} {err}"
        );
        assert!(!out.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {out:?}");
    }

    /// With the desk's folder in place of `@`.
    fn placed(&self, args: &[&str]) -> Vec<String> {
        let folder = self.folder.path().to_str().unwrap();
        let place = |word: &&str| match word.strip_prefix('@') {
            Some(rest) => format!("{folder}{rest}"),
            None => word.replace("=@", &format!("={folder}")).replace(":@", &format!(":{folder}")),
        };
        args.iter().map(place).collect()
    }

    pub(crate) fn check_one(&self, row: &Row<'_>) {
        let (exit, out, err) = run(&self.placed(row.args));
        let (shown, said) = (row.args, format!("{out}{err}"));
        assert_eq!(exit, row.exit, "{shown:?}: {said}");
        for words in row.says {
            assert!(err.contains(words), "{shown:?}: wanted {words}\n{said}");
        }
        let has_hint = [
            "hint: ",
            "For more information, try '--help'",
            "Usage: ",
            "allowed: ",
            "such as",
            "should look like",
            "is wanted",
            "there are: ",
        ];
        assert!(has_hint.iter().any(|hint| err.contains(hint)), "{shown:?}: no hint\n{said}");
        let steers =
            |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!said.contains(steers), "{shown:?}: {said:?}");
        assert!(!said.contains("panicked"), "{shown:?}: {said}");
    }

    fn contents(&self) -> Contents {
        let mut contents = Contents::new();
        collect(self.folder.path(), &mut contents);
        contents
    }
}

fn collect(folder: &Path, contents: &mut Contents) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        // A file that is larger than this is told by its length.
        let is_small = metadata.is_file() && metadata.len() < 1 << 20;
        let known =
            if is_small { fs::read(&path).unwrap() } else { metadata.len().to_le_bytes().to_vec() };
        contents.insert(path.clone(), metadata.is_file().then_some(known));
        if metadata.is_dir() {
            collect(&path, contents);
        }
    }
}

/// Runs a command in this process. A server or an agent that starts in spite of a mistake ends at once.
fn run(args: &[String]) -> (Exit, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let serves = matches!(args.first().map(String::as_str), Some("serve" | "agent"));
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        color: false,
        live: false,
        width: 100,
        interrupted: Arc::new(AtomicBool::new(serves)),
        end: |said, _| panic!("{said}"),
    };
    let args =
        std::iter::once("kvbench").chain(args.iter().map(String::as_str)).map(OsString::from);
    let exit = cli::run(args, &mut terminal);
    (exit, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

/// The reference run, cut down.
fn small_run() -> Run {
    let folder =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("reports/reference/put_parallel-2026-11-23");
    let mut run = Bundle::open(&folder).read_run().unwrap();
    run.trials.retain(|trial| trial.block < 2);
    for trial in &mut run.trials {
        trial.cells.retain(|cell| cell.clients == 50);
    }
    run
}

/// Rows that all end as a mistake of the command line or of a file.
pub(crate) fn usage<'a>(args: &'a [&'a str], says: &'a [&'a str]) -> Row<'a> {
    Row { args, exit: Exit::Usage, says }
}

/// Rows that end since the system or the host says no.
pub(crate) fn failed<'a>(args: &'a [&'a str], says: &'a [&'a str]) -> Row<'a> {
    Row { args, exit: Exit::Failed, says }
}
