//! The file: read whole and checked, appended to a line at a time.
//!
//! Writers lock the file, look whether the run is there, and add their line with one write at the end, so that several may write at
//! once. A writer that died within its line leaves a torn one: readers skip it and say so, the next writer removes it.

use super::{HISTORY_SCHEMA, Line, RunLine};
use crate::files;
use crate::record::history::Bless;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Name of the file in its folder.
pub const HISTORY: &str = "history.ndjson";

/// What a file may have.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Bytes in all.
    file_bytes_max: u64,
    /// Bytes of one line.
    line_bytes_max: usize,
}

const LIMITS: Limits = Limits { file_bytes_max: 256 << 20, line_bytes_max: 8 << 20 };

/// All that a file says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Its runs, by their start.
    pub runs: Vec<RunLine>,
    /// Accepted levels, in the order in which they were accepted.
    pub blesses: Vec<Bless>,
    /// A last line that was not finished, and so is not among them.
    pub torn: Option<Torn>,
}

impl History {
    /// Whether any of its runs is of a scenario of that name.
    pub fn has_scenario(&self, name: &str) -> bool {
        self.runs.iter().any(|run| run.conditions.scenario == name)
    }
}

/// A last line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Torn {
    /// Which line, counted from 1.
    pub line: usize,
    /// How much of it there is, bytes.
    pub bytes: usize,
}

/// What became of lines that were to be added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Added {
    /// Indices of those that are runs which stood there already, or came twice; they were not written again.
    pub known: Vec<usize>,
    /// A torn line that stood there before and is gone.
    pub removed: Option<Torn>,
}

/// Why a history cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Too large to be one.
    #[error("{path} is larger than {} MiB, the most a history may have", LIMITS.file_bytes_max >> 20)]
    TooLarge {
        /// Which file.
        path: PathBuf,
    },
    /// A line that is none.
    #[error("{path}:{line}: {problem}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from 1.
        line: usize,
        /// What is wrong with it. Lower case, no full stop.
        problem: String,
    },
}

/// The history in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    path: PathBuf,
}

/// What must be known of a line before its layout is.
#[derive(Deserialize)]
struct Head {
    schema: u64,
}

impl Store {
    /// The one in `folder`, which need not be there yet.
    pub fn at(folder: &Path) -> Store {
        Store { path: folder.join(HISTORY) }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Everything in it; nothing if there is no file.
    pub fn read(&self) -> Result<History, HistoryError> {
        if !self.is_there()? {
            return Ok(History::default());
        }
        let file = File::open(&self.path).map_err(|error| self.io(error))?;
        // A writer is within its line only while it holds the lock.
        file.lock_shared().map_err(|error| self.io(error))?;
        let text = self.text(&file)?;
        Ok(parse(&text, LIMITS).map_err(|wrong| self.wrong(wrong))?.0)
    }

    /// Adds lines but for runs that are there, all of them with one write. Whoever reads the file afterwards finds them, whatever happens.
    pub fn add(&self, lines: &[Line]) -> Result<Added, HistoryError> {
        let io = |error| self.io(error);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)
            .map_err(|source| HistoryError::Io { path: folder.to_path_buf(), source })?;
        self.is_there()?;
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).open(&self.path).map_err(io)?;
        // Others that write now wait here; the lock goes with the file.
        file.lock().map_err(io)?;
        let before = self.text(&file)?;
        let (history, whole) = parse(&before, LIMITS).map_err(|wrong| self.wrong(wrong))?;
        let (mut bytes, known) =
            unknown_lines(&history, lines).map_err(|error| self.io(error.into()))?;
        if bytes.is_empty() {
            return Ok(Added { known, removed: None });
        }
        if history.torn.is_some() {
            file.set_len(whole as u64).map_err(io)?;
        }
        // A last line that lacks nothing but its end was read as whole.
        if whole > 0 && before[whole - 1] != b'\n' {
            bytes.insert(0, b'\n');
        }
        append(&mut file, whole as u64, &bytes).map_err(io)?;
        Ok(Added { known, removed: history.torn })
    }

    /// Whether there is a file. Asked before it is opened: opening a pipe of that name would wait for its other end.
    fn is_there(&self) -> Result<bool, HistoryError> {
        match files::require_regular(&self.path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(self.io(error)),
        }
    }

    fn text(&self, file: &File) -> Result<Vec<u8>, HistoryError> {
        files::read_open(file, LIMITS.file_bytes_max).map_err(|error| match error.kind() {
            io::ErrorKind::FileTooLarge => HistoryError::TooLarge { path: self.path.clone() },
            _ => self.io(error),
        })
    }

    fn io(&self, source: io::Error) -> HistoryError {
        HistoryError::Io { path: self.path.clone(), source }
    }

    fn wrong(&self, Wrong { line, problem }: Wrong) -> HistoryError {
        HistoryError::Line { path: self.path.clone(), line, problem }
    }
}

/// What has to be written, and the indices of the runs that need not be.
fn unknown_lines(
    history: &History,
    lines: &[Line],
) -> Result<(Vec<u8>, Vec<usize>), serde_json::Error> {
    let mut there: BTreeSet<&str> = history.runs.iter().map(|run| run.id.as_str()).collect();
    let (mut bytes, mut known) = (Vec::new(), Vec::new());
    for (place, line) in lines.iter().enumerate() {
        match line {
            Line::Run(run) if !there.insert(&run.id) => known.push(place),
            _ => bytes.extend(line.to_json()?),
        }
    }
    Ok((bytes, known))
}

/// One write at the end, on the disk when this returns. A part of it, as on a full disk, is taken back.
fn append(file: &mut File, end: u64, bytes: &[u8]) -> io::Result<()> {
    // Only the write of what is left says why it was left.
    let written = file.write(bytes).and_then(|some| file.write_all(&bytes[some..]));
    if let Err(error) = written {
        file.set_len(end)?;
        return Err(error);
    }
    file.sync_data()
}

/// A line that is none.
struct Wrong {
    line: usize,
    problem: String,
}

/// What a file says, and how many of its bytes say it: all but those of a torn line.
fn parse(text: &[u8], limits: Limits) -> Result<(History, usize), Wrong> {
    let mut history = History::default();
    let (mut known, mut whole) = (BTreeSet::new(), 0);
    for (place, bytes) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let wrong = |problem: String| Wrong { line: place + 1, problem };
        if bytes.len() > limits.line_bytes_max {
            return Err(wrong(format!("it is longer than {} bytes", limits.line_bytes_max)));
        }
        let is_ended = bytes.ends_with(b"\n");
        if !is_ended && serde_json::from_slice::<serde_json::Value>(bytes).is_err() {
            history.torn = Some(Torn { line: place + 1, bytes: bytes.len() });
            break;
        }
        match line(bytes).map_err(wrong)? {
            Line::Run(run) if !known.insert(run.id.clone()) => {
                return Err(wrong("the same run stands in an earlier line".to_owned()));
            }
            Line::Run(run) => history.runs.push(run),
            Line::Bless(bless) => history.blesses.push(bless),
        }
        whole += bytes.len();
    }
    history.runs.sort_by(|a, b| (&a.started_at, &a.id).cmp(&(&b.started_at, &b.id)));
    Ok((history, whole))
}

fn line(bytes: &[u8]) -> Result<Line, String> {
    let not_a_line = |error: serde_json::Error| format!("not a line of a history: {error}");
    let head: Head = serde_json::from_slice(bytes).map_err(not_a_line)?;
    if head.schema != u64::from(HISTORY_SCHEMA) {
        return Err(match head.schema > u64::from(HISTORY_SCHEMA) {
            true => format!(
                "schema {}, this version reads {HISTORY_SCHEMA}: a newer kvbench wrote it; read it with that one",
                head.schema
            ),
            false => format!("schema {}, which no kvbench wrote", head.schema),
        });
    }
    let line: Line = serde_json::from_slice(bytes).map_err(not_a_line)?;
    line.problem().map_or(Ok(line), Err)
}

#[cfg(test)]
mod tests {
    use super::super::{Conditions, HistoryCell, SeriesName};
    use super::*;
    use crate::record::contrast::ContrastUnit;

    fn run(id: &str, second: u32) -> Line {
        Line::Run(RunLine {
            schema: HISTORY_SCHEMA,
            id: id.to_owned(),
            started_at: format!("2026-11-03T14:12:{second:02}Z"),
            revision: "a1b2c3d".into(),
            dirty: Some(false),
            kvbench_version: "0.1.0".into(),
            grade: "B".into(),
            complete: true,
            conditions: Conditions::default(),
            cells: vec![HistoryCell {
                arm: "after".into(),
                metric: "saturate.p50@50".into(),
                unit: ContrastUnit::Ns,
                higher_is_better: false,
                values: vec![1.0, 2.5],
                invalid: None,
            }],
        })
    }

    fn bless(why: &str) -> Line {
        Line::Bless(Bless {
            schema: HISTORY_SCHEMA,
            series: SeriesName::default(),
            since: "x".into(),
            why: why.into(),
        })
    }

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(&folder.path().join("made"));
        (folder, store)
    }

    fn ids(history: &History) -> Vec<&str> {
        history.runs.iter().map(|run| run.id.as_str()).collect()
    }

    #[test]
    fn lines_come_back_in_the_order_of_their_runs() {
        let (_folder, store) = store();
        assert_eq!(store.read().unwrap(), History::default(), "no file is an empty history");
        for line in [run("b", 9), bless("faster disk"), run("a", 1)] {
            assert_eq!(store.add(&[line]).unwrap(), Added::default());
        }
        let history = store.read().unwrap();
        assert_eq!(ids(&history), ["a", "b"]);
        assert_eq!(Line::Run(history.runs[1].clone()), run("b", 9));
        assert_eq!(Line::Bless(history.blesses[0].clone()), bless("faster disk"));
        assert_eq!(history.torn, None);
    }

    #[test]
    fn a_run_is_added_once() {
        let (_folder, store) = store();
        store.add(&[run("a", 1)]).unwrap();
        let before = fs::read(store.path()).unwrap();
        let added = store.add(&[run("a", 1)]).unwrap();
        assert_eq!(added, Added { known: vec![0], removed: None });
        assert_eq!(fs::read(store.path()).unwrap(), before);
        let added = store.add(&[run("b", 2), run("a", 1), run("b", 2), run("c", 3)]).unwrap();
        assert_eq!(added.known, [1, 2]);
        assert_eq!(ids(&store.read().unwrap()), ["a", "b", "c"]);
    }

    #[test]
    fn a_torn_line_is_skipped_and_the_next_writer_removes_it() {
        let (_folder, store) = store();
        store.add(&[run("a", 1)]).unwrap();
        let whole = run("b", 2).to_json().unwrap();
        for torn in 1..whole.len() - 1 {
            fs::write(
                store.path(),
                [run("a", 1).to_json().unwrap(), whole[..torn].to_vec()].concat(),
            )
            .unwrap();
            let history = store.read().unwrap();
            let found = Torn { line: 2, bytes: torn };
            assert_eq!((ids(&history), history.torn), (vec!["a"], Some(found)));
            assert_eq!(
                store.add(&[run("c", 3)]).unwrap(),
                Added { known: vec![], removed: Some(found) }
            );
            assert_eq!(ids(&store.read().unwrap()), ["a", "c"]);
        }
        // Nothing but the line end is missing.
        fs::write(store.path(), &whole[..whole.len() - 1]).unwrap();
        assert_eq!(store.add(&[run("c", 3)]).unwrap(), Added::default());
        assert_eq!(ids(&store.read().unwrap()), ["b", "c"]);
    }

    #[test]
    fn many_writers_at_once_lose_nothing() {
        let (_folder, store) = store();
        std::thread::scope(|scope| {
            for writer in 0..8 {
                let store = &store;
                scope.spawn(move || {
                    for n in 0..10 {
                        // Each run is offered by two of them.
                        store.add(&[run(&format!("{}-{n}", writer / 2), n)]).unwrap();
                    }
                });
            }
        });
        let history = store.read().unwrap();
        assert_eq!((history.runs.len(), history.torn), (40, None));
    }

    #[test]
    fn what_is_no_history_is_told_with_its_line() {
        let good = run("a", 1).to_json().unwrap();
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(run("b", 2).to_json().unwrap()).unwrap();
            assert!(text.contains(from), "{text}");
            text.replace(from, to)
        };
        for (second, wanted) in [
            ("\n".to_owned(), "not a line of a history"),
            ("{\"schema\":1,\"kind\":\"rumour\"}\n".to_owned(), "unknown variant `rumour`"),
            (changed("\"schema\":1", "\"schema\":2"), "a newer kvbench wrote it"),
            (changed("\"schema\":1", "\"schema\":0"), "no kvbench wrote"),
            (changed("2.5", "-2.5"), "a value that is not above zero"),
            (changed("2.5", "1e999"), "number out of range"),
            (changed("[1.0,2.5]", "[]"), "neither values nor a reason"),
            (changed("[1.0,2.5]", "[1.0],\"invalid\":\"x\""), "is invalid and has values"),
            (changed("2026-11-03T", "yesterday "), "started_at is no time"),
            (changed("\"id\":\"b\"", "\"id\":\"a\""), "the same run stands in an earlier line"),
            (String::from_utf8(bless(" \t").to_json().unwrap()).unwrap(), "a bless has no reason"),
            ("x".repeat(3000), "longer than 2000 bytes"),
        ] {
            let text = [good.as_slice(), second.as_bytes(), good.as_slice()].concat();
            let limits = Limits { line_bytes_max: 2000, ..LIMITS };
            let wrong = parse(&text, limits).err().unwrap();
            assert_eq!(wrong.line, 2, "{}", wrong.problem);
            assert!(wrong.problem.contains(wanted), "{}", wrong.problem);
        }
    }

    #[test]
    fn fields_that_are_not_known_are_left_alone() {
        let text = String::from_utf8(run("a", 1).to_json().unwrap()).unwrap();
        let newer = text.replace("\"id\"", "\"weather\":[1],\"id\"");
        assert_eq!(ids(&parse(newer.as_bytes(), LIMITS).ok().unwrap().0), ["a"]);
    }

    #[test]
    fn an_error_names_file_and_line() {
        let (_folder, store) = store();
        store.add(&[run("a", 1)]).unwrap();
        fs::write(store.path(), "{}\n").unwrap();
        let told = store.read().unwrap_err().to_string();
        assert!(told.contains("history.ndjson:1: not a line of a history"), "{told}");
        assert!(store.add(&[run("b", 2)]).is_err(), "what cannot be read is not written to");
        assert_eq!(fs::read(store.path()).unwrap(), b"{}\n");
    }
}
