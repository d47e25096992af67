//! `kvbench schema`: the scenario file as editors want it told.

use super::{Exit, Terminal};
use crate::scenario::schema;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kvbench schema > kvbench.schema.json

Then, as the first line of a scenario beside it, for taplo and Even Better TOML:
  #:schema ./kvbench.schema.json")]
pub(super) struct SchemaArgs {}

pub(super) fn schema(_: &SchemaArgs, terminal: &mut Terminal<'_>) -> anyhow::Result<Exit> {
    write!(terminal.out, "{}", schema::json())?;
    Ok(Exit::Met)
}
