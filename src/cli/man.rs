//! `kvbench man`: manual pages in roff, one per command, made from the command line itself.

use super::{Cli, Exit, Terminal};
use crate::report::words::plain;
use anyhow::Context;
use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};
use std::path::{Path, PathBuf};

/// Whose pages these are, at the foot of each.
const SOURCE: &str = concat!("kvbench ", env!("CARGO_PKG_VERSION"));

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench man run | man -l -                    read the page of one command
  kvbench man --out ~/.local/share/man/man1     then `man kvbench-run` finds it")]
pub(super) struct ManArgs {
    /// The command, e.g. `run`; without one, the page of kvbench as a whole
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
    /// Write the pages of all commands there: kvbench.1, kvbench-run.1, …
    #[arg(long, value_name = "FOLDER", conflicts_with = "command")]
    out: Option<PathBuf>,
}

pub(super) fn man(args: &ManArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    if let Some(folder) = &args.out {
        std::fs::create_dir_all(folder).with_context(|| format!("{}", folder.display()))?;
        write_pages(&whole, folder)?;
        return Ok(Exit::Met);
    }
    match args.command.iter().try_fold(&whole, |command, word| command.find_subcommand(word)) {
        Some(command) => {
            terminal.out.write_all(&page(command)?)?;
            Ok(Exit::Met)
        }
        None => {
            let asked = plain(&args.command.join(" "));
            writeln!(
                terminal.err,
                "error: no command \"{asked}\"\n  hint: `kvbench --help` names them all"
            )?;
            Ok(Exit::Usage)
        }
    }
}

/// The page of a command and those of all commands under it.
fn write_pages(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let path = folder.join(Man::new(command.clone()).get_filename());
    std::fs::write(&path, page(command)?).with_context(|| format!("{}", path.display()))?;
    command.get_subcommands().try_for_each(|under| write_pages(under, folder))
}

/// One page. The generator would run the lines of the examples together, so they are laid out here.
fn page(command: &Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).source(SOURCE).manual("kvbench manual");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    if let Some(text) = command.get_after_help() {
        after_help(&text.to_string()).to_writer(&mut page)?;
    }
    Ok(page)
}

/// What follows the options: a line that ends in a colon begins a section, indented lines stay as they are, the rest is prose.
fn after_help(text: &str) -> Roff {
    let mut roff = Roff::new();
    let mut is_prose = true;
    for line in text.lines() {
        let indented = line.strip_prefix("  ");
        if indented.is_some() == is_prose {
            is_prose = !is_prose;
            roff.control(if is_prose { "fi" } else { "nf" }, []);
        }
        match (indented, line.strip_suffix(':')) {
            (Some(example), _) => roff.text([roman(example)]),
            (None, Some(heading)) => roff.control("SH", [heading.to_uppercase().as_str()]),
            (None, None) if line.is_empty() => roff.control("PP", []),
            (None, None) => roff.text([roman(line)]),
        };
    }
    if !is_prose {
        roff.control("fi", []);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines() {
        let page =
            after_help("Examples:\n  kvbench run .x\n  kvbench -y\n\nProse\ngoes on.").render();
        let wanted = ".SH EXAMPLES\n.nf\nkvbench run .x\nkvbench \\-y\n.fi\n.PP\nProse\ngoes on.\n";
        assert!(page.ends_with(wanted), "{page}");
    }
}
