//! The scoreboard of several runs: written beside their bundles, and made again from them.

use super::{Exit, Terminal};
use crate::compare;
use crate::files;
use crate::record::bundle::Bundle;
use crate::record::scoreboard::{SCOREBOARD, Scoreboard};
use crate::report::scoreboard::{self, Builder};
use crate::report::terminal::Style;
use anyhow::Context;
use std::path::{Component, Path, PathBuf};

/// Largest board that is read, bytes.
const BYTES_MAX: u64 = 64 << 20;

/// In which form a board is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    Markdown,
    Html,
    Json,
}

/// A board made again, and what the process says at its end.
pub(super) struct Again {
    pub(super) board: Scoreboard,
    pub(super) exit: Exit,
}

/// Writes the board in all its forms.
pub(super) fn write(board: &Scoreboard, folder: &Bundle) -> anyhow::Result<()> {
    folder.write(SCOREBOARD, &board.to_json()?)?;
    folder.write("scoreboard.md", scoreboard::markdown::render(board).as_bytes())?;
    folder.write("scoreboard.html", scoreboard::html::render(board).as_bytes())?;
    Ok(())
}

/// Prints one form of it.
pub(super) fn print(
    board: &Scoreboard,
    form: Form,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<()> {
    let style = Style { color: terminal.color, width: terminal.width };
    match form {
        Form::Text => write!(terminal.out, "{}", scoreboard::terminal::render(board, style))?,
        Form::Markdown => write!(terminal.out, "{}", scoreboard::markdown::render(board))?,
        Form::Html => write!(terminal.out, "{}", scoreboard::html::render(board))?,
        Form::Json => terminal.out.write_all(&board.to_json()?)?,
    }
    Ok(())
}

/// The folder that `path` names, or whose file it names, if a scoreboard is in it.
pub(super) fn folder_of(path: &Path) -> Option<PathBuf> {
    let folder = match path.file_name() {
        Some(name) if name == SCOREBOARD => path.parent()?,
        _ => path,
    };
    folder.join(SCOREBOARD).is_file().then(|| folder.to_path_buf())
}

/// The board in `folder`, made again from the bundles it names. What was not measured then is not measured now.
pub(super) fn again(folder: &Path) -> anyhow::Result<Again> {
    let old = read(folder)?;
    let mut again = of_bundles(&bundles(&old, folder), folder)?;
    again.board.not_measured = old.not_measured;
    Ok(again)
}

/// The bundles that the board in `folder` names.
pub(super) fn bundles_of(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    Ok(bundles(&read(folder)?, folder))
}

fn read(folder: &Path) -> anyhow::Result<Scoreboard> {
    let path = folder.join(SCOREBOARD);
    let json = files::read(&path, BYTES_MAX).with_context(|| format!("{}", path.display()))?;
    Scoreboard::from_json(&json).with_context(|| format!("{} is not a scoreboard", path.display()))
}

fn bundles(board: &Scoreboard, folder: &Path) -> Vec<PathBuf> {
    board.runs.iter().map(|run| folder.join(&run.bundle)).collect()
}

/// The board of these bundles, with links to them from `folder`.
pub(super) fn of_bundles(bundles: &[PathBuf], folder: &Path) -> anyhow::Result<Again> {
    let (mut builder, mut exit) = (Builder::default(), Exit::Met);
    for path in bundles {
        let bundle = Bundle::open(path);
        let run = bundle.read_run()?;
        let comparison = compare::compare(&run);
        builder.add(&run, &comparison, link(folder, bundle.folder()));
        exit = exit.worse(match run.complete {
            true => Exit::from(comparison.outcome),
            false => Exit::Interrupted,
        });
    }
    Ok(Again { board: builder.finish(), exit })
}

/// The way from one folder to another, as far as both are there; else the other as it was named.
pub(super) fn link(from: &Path, to: &Path) -> String {
    let way = || {
        let (from, to) = (from.canonicalize().ok()?, to.canonicalize().ok()?);
        let (from, to): (Vec<_>, Vec<_>) = (from.components().collect(), to.components().collect());
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        let up = from[shared..].iter().map(|_| Component::ParentDir);
        Some(up.chain(to[shared..].iter().copied()).collect::<PathBuf>())
    };
    way().unwrap_or_else(|| to.to_path_buf()).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_lead_from_the_board_to_the_bundle() {
        let root = tempfile::tempdir().unwrap();
        let (board, bundle) = (root.path().join("board"), root.path().join("x/bundle"));
        std::fs::create_dir_all(&board).unwrap();
        std::fs::create_dir_all(&bundle).unwrap();
        assert_eq!(link(&board, &bundle), "../x/bundle");
        assert_eq!(link(&board, Path::new("not/there")), "not/there");
    }

    #[test]
    fn a_board_is_known_by_its_file() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(folder_of(root.path()), None);
        std::fs::write(root.path().join(SCOREBOARD), "{}").unwrap();
        assert_eq!(folder_of(root.path()), Some(root.path().to_path_buf()));
        assert_eq!(folder_of(&root.path().join(SCOREBOARD)), Some(root.path().to_path_buf()));
        assert!(again(root.path()).is_err());
    }
}
