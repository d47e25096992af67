//! `kvbench explain`: what a word of the reports means.

use super::{Exit, Terminal};
use crate::report::words;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench explain ceiling
  kvbench explain            every word there is")]
pub(super) struct ExplainArgs {
    /// The word; without one, all words are listed
    word: Vec<String>,
}

pub(super) fn explain(args: &ExplainArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    if args.word.is_empty() {
        for (word, meaning) in words::GLOSSARY {
            writeln!(terminal.out, "{word}\n    {meaning}")?;
        }
        return Ok(Exit::Met);
    }
    let word = args.word.join(" ");
    if let Some(meaning) = words::definition(&word) {
        writeln!(terminal.out, "{word}: {meaning}")?;
        return Ok(Exit::Met);
    }
    let known: Vec<_> = words::GLOSSARY.iter().map(|(word, _)| *word).collect();
    writeln!(
        terminal.err,
        "error: no entry for \"{}\"\n  hint: known are {}",
        words::plain(&word),
        known.join(", ")
    )?;
    Ok(Exit::Usage)
}
