//! `rejoin mapping`: help with the mapping of a file of the user's.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::output::Output;
use crate::Result;
use crate::format::Format;
use crate::ingest::guess::guess;

/// What was typed.
#[derive(Debug, Subcommand)]
pub enum MappingCommand {
    /// Print a first mapping for a file: what its columns seem to be
    #[command(after_help = "\
Examples:
  rejoin mapping guess clicks.ndjson > web.toml
  rejoin ingest clicks.ndjson --mapping web.toml --validate")]
    Guess(GuessArguments),
}

#[derive(Debug, Args)]
pub struct GuessArguments {
    /// A Parquet, JSON or delimited file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Runs the command; needs no lake.
pub fn run(command: &MappingCommand) -> Result<()> {
    let MappingCommand::Guess(arguments) = command;
    let mut output = Output::stdout(Format::Table);
    output.line(guess(&arguments.file)?.trim_end())?;
    output.close()
}
