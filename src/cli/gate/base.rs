//! What a gate compares with: a revision that is built here, a program that is there, or bundles of an earlier sitting.

use super::super::{Exit, Terminal};
use super::Mistake;
use crate::record::Run;
use crate::record::bundle::{Bundle, RESULT};
use crate::record::gate::Sitting;
use crate::record::history::{History, Store};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const HISTORY_WORD: &str = "history";
/// Where `kvbench history` keeps it if nobody says otherwise.
const HISTORY_FOLDER: &str = "history";

/// The base, ready to be measured or read.
pub(super) enum Base {
    /// A program that is run beside head.
    Program {
        path: PathBuf,
        /// As reports name it.
        name: String,
        /// Where its source lies, so that it is taken away at the end.
        source: Option<Worktree>,
    },
    /// Records of an earlier sitting, by the name of their scenario.
    Stored { name: String, runs: Vec<Run> },
    /// The level of the runs in a history.
    Level { name: String, history: History },
}

impl Base {
    /// Finds what `asked` names; a revision is built. `scratch` vanishes at the end.
    pub(super) fn find(
        asked: &str,
        scratch: &Path,
        terminal: &mut Terminal<'_>,
    ) -> Result<Base, Mistake> {
        match asked.split_once(':') {
            Some(("git", revision)) => built(asked, revision, scratch, terminal),
            Some(("history", folder)) => level(asked, Path::new(folder)),
            None if asked == HISTORY_WORD => level(asked, Path::new(HISTORY_FOLDER)),
            Some(("program", path)) => {
                let path = Path::new(path);
                let whole = path.canonicalize().ok().filter(|path| path.is_file());
                let path = whole.ok_or_else(|| Mistake {
                    what: format!("there is no program {}", path.display()),
                    hint: "name the program of another kvbench: program:/path/to/kvbench"
                        .to_owned(),
                    exit: Exit::Usage,
                })?;
                Ok(Base::Program { path, name: asked.to_owned(), source: None })
            }
            _ => stored(asked),
        }
    }

    /// The program, if it can be run.
    pub(super) fn program(&self) -> Option<&Path> {
        match self {
            Base::Program { path, .. } => Some(path),
            Base::Stored { .. } | Base::Level { .. } => None,
        }
    }

    /// The newest record of a scenario.
    pub(super) fn bundle_of(&self, scenario: &str) -> Option<&Run> {
        match self {
            Base::Program { .. } | Base::Level { .. } => None,
            Base::Stored { runs, .. } => {
                let its = runs.iter().filter(|run| run.scenario.name == scenario);
                its.max_by(|a, b| a.started_at.cmp(&b.started_at))
            }
        }
    }

    /// As reports name it, with what it says of itself.
    pub(super) fn describe(&self, revision: Option<&str>) -> String {
        let name = match self {
            Base::Program { name, .. } | Base::Stored { name, .. } | Base::Level { name, .. } => {
                name
            }
        };
        revision.map_or_else(|| name.clone(), |revision| format!("{name}, {revision}"))
    }

    /// Why what ran is not what was asked for; none if it is, or if nobody can tell.
    pub(super) fn is_another(&self, revision: Option<&str>) -> Option<String> {
        let Base::Program { source: Some(worktree), .. } = self else { return None };
        let ran = revision?;
        let is_it = worktree.commit.starts_with(ran.trim_end_matches("-dirty"));
        (!is_it).then(|| {
            format!("the program that was built says it is {ran}, not {}", worktree.commit)
        })
    }

    pub(super) fn sitting(&self) -> Sitting {
        match self {
            Base::Program { .. } => Sitting::Interleaved,
            Base::Stored { .. } => Sitting::Stored,
            Base::Level { .. } => Sitting::Level,
        }
    }
}

/// Stored runs as `kvbench history` keeps them.
fn level(asked: &str, folder: &Path) -> Result<Base, Mistake> {
    let unusable = |what: String| Mistake {
        what,
        hint: "`kvbench history add BUNDLE` puts runs there; history:FOLDER names another folder"
            .to_owned(),
        exit: Exit::Usage,
    };
    let store = Store::at(folder);
    let history = store.read().map_err(|error| unusable(error.to_string()))?;
    if history.runs.is_empty() {
        return Err(unusable(format!("there is no run in {}", store.path().display())));
    }
    Ok(Base::Level { name: asked.to_owned(), history })
}

/// Bundles: one, or those in a folder.
fn stored(asked: &str) -> Result<Base, Mistake> {
    let path = Path::new(asked);
    let unusable = |what: String| Mistake {
        what,
        hint: "name a bundle or a folder of bundles, git:REF, or program:PATH".to_owned(),
        exit: Exit::Usage,
    };
    let folders = match path.is_dir() && !path.join(RESULT).is_file() {
        false => vec![path.to_path_buf()],
        true => {
            let entries =
                std::fs::read_dir(path).map_err(|error| unusable(format!("{asked}: {error}")))?;
            let folders = entries.flatten().map(|entry| entry.path());
            folders.filter(|folder| folder.join(RESULT).is_file()).collect()
        }
    };
    let runs = folders.iter().map(|folder| Bundle::open(folder).read_run());
    let runs: Vec<Run> =
        runs.collect::<Result<_, _>>().map_err(|error| unusable(error.to_string()))?;
    if runs.is_empty() {
        return Err(unusable(format!("there is no bundle in {asked}")));
    }
    Ok(Base::Stored { name: asked.to_owned(), runs })
}

/// A checkout of its own, taken away when this is dropped. It lies outside the repository: within, cargo would take a revision of before
/// there was a workspace for a part of the present one.
pub(super) struct Worktree {
    repository: PathBuf,
    folder: PathBuf,
    commit: String,
    _away: TempDir,
}

impl Drop for Worktree {
    fn drop(&mut self) {
        // Where that fails the folder vanishes all the same, and git forgets it at its next `git worktree prune`.
        let _ =
            git(&self.repository, ["worktree", "remove", "--force"], Some(self.folder.as_os_str()));
    }
}

/// Checks the revision out and builds it as this program was built.
fn built(
    asked: &str,
    revision: &str,
    scratch: &Path,
    terminal: &mut Terminal<'_>,
) -> Result<Base, Mistake> {
    let here = Path::new(".");
    let wrong =
        |what: String, hint: &str| Mistake { what, hint: hint.to_owned(), exit: Exit::Usage };
    let repository = git(here, ["rev-parse", "--show-toplevel"], None).map_err(|said| {
        wrong(
            format!("no repository here: {said}"),
            "run the gate within the repository of kvbench",
        )
    })?;
    let repository = PathBuf::from(repository);
    let named = format!("{revision}^{{commit}}");
    let commit = git(&repository, ["rev-parse", "--verify", "--quiet"], Some(OsStr::new(&named)))
        .ok()
        .filter(|_| !revision.starts_with('-'))
        .ok_or_else(|| {
            let hint = "name a branch, a tag or a commit that is there; a shallow clone has few (fetch-depth: 0)";
            wrong(format!("there is no revision {revision}"), hint)
        })?;
    let away = tempfile::Builder::new().prefix("kvbench-base-").tempdir();
    let away = away.map_err(|error| failed(asked, &error.to_string()))?;
    let folder = away.path().join("base");
    let add = ["worktree", "add", "--detach", "--force"];
    let add =
        Command::new("git").arg("-C").arg(&repository).args(add).arg(&folder).arg(&commit).output();
    match add {
        Ok(output) if output.status.success() => {}
        Ok(output) => return Err(failed(asked, &String::from_utf8_lossy(&output.stderr))),
        Err(error) => return Err(failed(asked, &error.to_string())),
    }
    let worktree =
        Worktree { repository: repository.clone(), folder: folder.clone(), commit, _away: away };
    let target = target_folder(&repository).map_err(|error| failed(asked, &error.to_string()))?;
    // Said at once: a build takes minutes, and cargo's own lines are the progress.
    let _ =
        writeln!(terminal.err, "building {asked} ({}) into {}", worktree.commit, target.display());
    let path = build(&folder, &target).map_err(|said| failed(asked, &said))?;
    // The next build of this folder must not change what is being measured.
    let kept = scratch.join("kvbench-base");
    std::fs::copy(&path, &kept).map_err(|error| failed(asked, &error.to_string()))?;
    Ok(Base::Program { path: kept, name: asked.to_owned(), source: Some(worktree) })
}

/// A folder of its own that stays, so that the next gate builds little. Absolute, since the build has another working folder.
fn target_folder(repository: &Path) -> io::Result<PathBuf> {
    let own = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    std::path::absolute(own.unwrap_or_else(|| repository.join("target")).join("gate-base"))
}

/// Builds with the features of this program; the profile is `release`, and whatever the revision says of it.
fn build(folder: &Path, target: &Path) -> Result<PathBuf, String> {
    let program = target.join("release/kvbench");
    // That of an earlier gate must not be taken for this one's.
    match std::fs::remove_file(&program) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.to_string()),
        _ => {}
    }
    let mut cargo = Command::new("cargo");
    cargo.current_dir(folder).env("CARGO_TARGET_DIR", target).env_remove("CARGO_BUILD_TARGET");
    cargo.args(["build", "--release", "--locked", "--bin", "kvbench"]);
    let features = env!("KVBENCH_FEATURES").replace(' ', "");
    if features != "none" {
        cargo.args(["--features", &features]);
    }
    // What cargo prints goes to whoever waits.
    let status = cargo.status().map_err(|error| format!("cargo cannot be started: {error}"))?;
    match status.success() {
        true => Ok(program),
        false => Err(format!("cargo build ended with {status}")),
    }
}

fn failed(asked: &str, said: &str) -> Mistake {
    Mistake {
        what: format!("{asked} cannot be built: {}", said.trim()),
        hint: "check it out by hand, build it, and name the program: --base program:PATH"
            .to_owned(),
        exit: Exit::Inconclusive,
    }
}

/// What git prints, without the line end; what it complains of as an error.
fn git<const N: usize>(
    folder: &Path,
    words: [&str; N],
    last: Option<&OsStr>,
) -> Result<String, String> {
    let output = Command::new("git").arg("-C").arg(folder).args(words).args(last).output();
    let output = output.map_err(|error| format!("git cannot be started: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}
