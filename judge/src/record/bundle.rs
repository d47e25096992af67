//! The folder a run leaves: `result.json`, reports, histograms, profiles. Each file is written beside its final
//! name, synced and renamed, so a reader never meets half a file and a failed write leaves the old one.

use super::{Arm, Run, SCHEMA};
use crate::files;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use hdrhistogram::serialization::{Deserializer, V2DeflateSerializer};
use serde::Deserialize;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

/// Name of the run file in a bundle.
pub const RESULT: &str = "result.json";
/// Largest run file that is read, bytes.
const RESULT_BYTES_MAX: u64 = 256 << 20;
/// Largest other file of a bundle that is read, bytes.
const FILE_BYTES_MAX: u64 = 64 << 20;
/// Bundles of one name and second that may stand side by side.
const SAME_NAME_MAX: u32 = 1000;

/// A bundle folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    folder: PathBuf,
}

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file system says no.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
    /// Not a run file.
    #[error("{path} is not a run file: {source}")]
    Json {
        /// Which file.
        path: PathBuf,
        /// Where it stops making sense.
        source: serde_json::Error,
    },
    /// Another layout.
    #[error("{path} has schema {found}, this version reads {SCHEMA}: {}", origin(*found))]
    Schema {
        /// Which file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// Too large to be one.
    #[error("{0} is larger than 256 MiB, the most a run file may have")]
    TooLarge(PathBuf),
    /// A histogram in it cannot be read.
    #[error("a histogram of the run cannot be read: {0}")]
    Histogram(String),
}

impl Bundle {
    /// A new folder under `root` for `run`: scenario, UTC time and revision in its name.
    pub fn create(root: &Path, run: &Run) -> Result<Bundle, BundleError> {
        let time = run.started_at.replace(['-', ':', 'Z'], "");
        let name = format!("{}-{time}-{}", run.scenario.name, run.build.revision);
        Bundle::create_named(root, &name)
    }

    /// A new folder under `root` for what several runs of a sitting that began at `started_at` say together: a `scoreboard`, a `gate`.
    pub fn create_for(what: &str, root: &Path, started_at: &str) -> Result<Bundle, BundleError> {
        let time = started_at.replace(['-', ':', 'Z'], "");
        Bundle::create_named(root, &format!("{what}-{time}"))
    }

    /// A folder of that name under `root`, or of that name with a number if there is one already.
    pub fn create_in(root: &Path, name: &str) -> Result<Bundle, BundleError> {
        Bundle::create_named(root, name)
    }

    /// A folder of that name, or of that name with a number if there is one already.
    fn create_named(root: &Path, name: &str) -> Result<Bundle, BundleError> {
        let io = |path: &Path, source| BundleError::Io { path: path.to_path_buf(), source };
        fs::create_dir_all(root).map_err(|error| io(root, error))?;
        for attempt in 1..SAME_NAME_MAX {
            let suffix = if attempt == 1 { String::new() } else { format!("-{attempt}") };
            let folder = root.join(format!("{name}{suffix}"));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Bundle { folder }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(io(&folder, error)),
            }
        }
        Err(io(&root.join(name), io::ErrorKind::AlreadyExists.into()))
    }

    /// The bundle in `path`, which may also be its run file.
    pub fn open(path: &Path) -> Bundle {
        let is_run_file = !path.is_dir() && path.file_name().is_some_and(|name| name == RESULT);
        let folder = match path.parent().filter(|_| is_run_file) {
            Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
            Some(folder) => folder,
            None => path,
        };
        Bundle { folder: folder.to_path_buf() }
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes one file, whole or not at all.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), BundleError> {
        let path = self.folder.join(name);
        let replaced = is_file_name(name).and_then(|()| files::replace(&path, bytes));
        replaced.map_err(|source| BundleError::Io { path, source })
    }

    /// Writes the run file and the histograms of every arm.
    pub fn write_run(&self, run: &Run) -> Result<(), BundleError> {
        let json = run
            .to_json()
            .map_err(|source| BundleError::Json { path: self.folder.join(RESULT), source })?;
        self.write(RESULT, &json)?;
        let was_measured = |arm: &&Arm| run.trials.iter().any(|trial| trial.arm == arm.name);
        for arm in run.arms.iter().filter(was_measured) {
            self.write(&format!("{}.hlog", arm.name), &interval_log(run, &arm.name)?)?;
        }
        Ok(())
    }

    /// Reads the run file.
    pub fn read_run(&self) -> Result<Run, BundleError> {
        let path = self.folder.join(RESULT);
        let text = files::read(&path, RESULT_BYTES_MAX).map_err(|source| match source.kind() {
            io::ErrorKind::FileTooLarge => BundleError::TooLarge(path.clone()),
            _ => BundleError::Io { path: path.clone(), source },
        })?;
        let json = |source| BundleError::Json { path: path.clone(), source };
        // Another layout is told as such, not as the first thing in it that does not fit.
        match serde_json::from_slice(&text).map_err(json)? {
            Layout { schema: Some(found) } if found != u64::from(SCHEMA) => {
                Err(BundleError::Schema { path, found })
            }
            Layout { .. } => serde_json::from_slice(&text).map_err(json),
        }
    }

    /// Reads a file that a run wrote beside its run file. A link is none: it may lead to what nobody meant to show.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, BundleError> {
        let path = self.folder.join(name);
        let its_own = || {
            is_file_name(name)?;
            match fs::symlink_metadata(&path)?.is_symlink() {
                true => Err(io::Error::new(io::ErrorKind::InvalidInput, "is a link")),
                false => files::read(&path, FILE_BYTES_MAX),
            }
        };
        its_own().map_err(|source| BundleError::Io { path: path.clone(), source })
    }
}

/// Whether a name stays within its folder. Names of arms and pictures stand in records, and those may be anybody's.
fn is_file_name(name: &str) -> io::Result<()> {
    match Path::new(name).file_name().is_some_and(|file| file == name) {
        true => Ok(()),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "is no name of a file")),
    }
}

/// All that records of every layout have.
#[derive(Deserialize)]
struct Layout {
    schema: Option<u64>,
}

/// Which kvbench to read another layout with.
fn origin(found: u64) -> &'static str {
    if found > u64::from(SCHEMA) {
        "a newer kvbench wrote it; read it with that one"
    } else {
        "no kvbench wrote it"
    }
}

/// HdrHistogram interval log of one arm: one line per cell, tagged `phase@clients`, times since the run began.
fn interval_log(run: &Run, arm: &str) -> Result<Vec<u8>, BundleError> {
    let failed = |error: &dyn std::fmt::Display| BundleError::Histogram(error.to_string());
    let mut bytes = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut log = IntervalLogWriterBuilder::new()
        .add_comment(&format!(
            "service times in ns, closed loop; scenario {}, arm {arm}",
            run.scenario.name
        ))
        .with_base_time(UNIX_EPOCH)
        .begin_log_with(&mut bytes, &mut serializer)
        .map_err(|error| failed(&error))?;
    for trial in run.trials.iter().filter(|trial| trial.arm == arm) {
        for cell in &trial.cells {
            let histogram = histogram(&cell.service.histogram)?;
            let tag =
                format!("{}@{}{}", cell.phase, cell.clients, if trial.aa { ".aa" } else { "" });
            let tag = Tag::new(&tag);
            log.write_histogram(
                &histogram,
                Duration::from_secs_f64(cell.started_s.max(0.0)),
                Duration::from_secs_f64(cell.elapsed_s.max(0.0)),
                tag,
            )
            .map_err(|error| failed(&format!("{error:?}")))?;
        }
    }
    Ok(bytes)
}

/// A histogram as it stands in a run file, read back.
pub(super) fn histogram(text: &str) -> Result<Histogram<u64>, BundleError> {
    let bytes = BASE64.decode(text).map_err(|error| BundleError::Histogram(error.to_string()))?;
    Deserializer::new()
        .deserialize(&mut bytes.as_slice())
        .map_err(|error| BundleError::Histogram(format!("{error:?}")))
}

/// A serialized histogram as it stands in a run file.
pub fn histogram_text(v2: &[u8]) -> String {
    BASE64.encode(v2)
}
