//! `kvbench completions`: what a shell needs to complete the command line, made from the command line itself.

use super::{Cli, Exit, Terminal};
use clap::{Args, CommandFactory};
use clap_complete::Shell;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench completions bash > ~/.local/share/bash-completion/completions/kvbench
  kvbench completions zsh > ~/.zfunc/_kvbench            where `fpath` has ~/.zfunc
  kvbench completions fish > ~/.config/fish/completions/kvbench.fish
  kvbench completions powershell >> $PROFILE
  kvbench completions elvish >> ~/.config/elvish/rc.elv")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(
    args: &CompletionsArgs,
    terminal: &mut Terminal<'_>,
) -> anyhow::Result<Exit> {
    // The generator panics where it cannot write, as on a closed pipe; memory always can be written.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "kvbench", &mut script);
    terminal.out.write_all(&script)?;
    Ok(Exit::Met)
}
