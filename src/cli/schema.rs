//! `kvbench schema`: the scenario file as editors want it told, and the run file for programs that read it.

use super::{Exit, Terminal};
use crate::record;
use crate::scenario::schema;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench schema > kvbench.schema.json
  kvbench schema --result > result.schema.json     of result.json, the record in a bundle

Then, as the first line of a scenario beside it, for taplo and Even Better TOML:
  #:schema ./kvbench.schema.json")]
pub(super) struct SchemaArgs {
    /// Print the schema of result.json in place of that of scenario files
    #[arg(long)]
    result: bool,
}

pub(super) fn schema(args: &SchemaArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    let json = if args.result { record::schema::json() } else { schema::json() };
    write!(terminal.out, "{json}")?;
    Ok(Exit::Met)
}
