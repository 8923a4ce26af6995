//! Backslash commands: what was typed becomes a [`Command`].

use std::path::PathBuf;

use crate::error::did_you_mean;
use crate::{Error, Result};

/// What a backslash command asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Quit,
    Help,
    /// `\dt`, and `\d` alone.
    Tables,
    /// `\d table`.
    Describe(String),
    /// `\df`, `\df name`.
    Functions(Option<String>),
    /// `\timing`, `\timing on`.
    Timing(Option<bool>),
    Expanded,
    Format(String),
    Include(PathBuf),
    /// `\o file`, `\o` alone.
    Output(Option<PathBuf>),
}

/// What `\?` prints.
pub const HELP: &str = "\
Statements end with `;` and may span lines. Commands:
  \\q               quit (also: quit, exit, Ctrl-D)
  \\? or help       this help
  \\d, \\dt          tables
  \\d TABLE         columns of a table
  \\df [NAME]       SQL functions, or one in full
  \\x               one line a column, on or off
  \\timing [on|off] time of each statement
  \\format FORMAT   table, csv, tsv, json, ndjson, parquet, arrow
  \\o [FILE]        results to a file, complete at the next \\o; without FILE to the screen
  \\i FILE          run statements from a file
  Ctrl-C           clear the line, or stop the running statement

Try:
  SELECT item, credit FROM participation('orders', 'tracking_code') ORDER BY credit DESC LIMIT 10;
  SELECT row_kind, match_status, count(*) FROM events GROUP BY 1, 2 ORDER BY 1, 2;
  SET rejoin.suite = 'acme';  -- where the lake holds several suites";

/// True when a line is a command, not SQL.
pub fn is_command(line: &str) -> bool {
    let line = line.trim();
    line.starts_with('\\')
        || ["help", "quit", "exit"].iter().any(|w| line.trim_end_matches(';').eq_ignore_ascii_case(w))
}

/// The command of a line for which [`is_command`] is true.
pub fn parse(line: &str) -> Result<Command> {
    let line = line.trim().trim_end_matches(';').trim_end();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = unquoted(rest.trim());
    let given = (!rest.is_empty()).then(|| rest.to_string());
    let needed = |what: &str| given.clone().ok_or_else(|| Error::usage(format!("{word} needs {what}; see \\?")));
    Ok(match word.to_lowercase().as_str() {
        "\\q" | "quit" | "exit" => Command::Quit,
        "\\?" | "\\h" | "\\help" | "help" => Command::Help,
        "\\dt" => Command::Tables,
        "\\d" => given.map_or(Command::Tables, Command::Describe),
        "\\df" => Command::Functions(given),
        "\\x" => Command::Expanded,
        "\\timing" => Command::Timing(match rest {
            "" => None,
            "on" => Some(true),
            "off" => Some(false),
            other => return Err(Error::usage(format!("\\timing {other}: expected on or off"))),
        }),
        "\\format" => Command::Format(needed("a format")?),
        "\\i" => Command::Include(needed("a file")?.into()),
        "\\o" => Command::Output(given.map(PathBuf::from)),
        other => {
            let known = ["\\q", "\\d", "\\dt", "\\df", "\\x", "\\timing", "\\format", "\\i", "\\o"];
            return Err(Error::usage(format!("no command {other} (all of them: \\?){}", did_you_mean(other, known))));
        }
    })
}

fn unquoted(text: &str) -> &str {
    let within = |q: char| text.strip_prefix(q).and_then(|t| t.strip_suffix(q));
    within('\'').or_else(|| within('"')).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn commands() {
        for (line, expected) in [
            ("\\q", Command::Quit),
            (" exit; ", Command::Quit),
            ("HELP", Command::Help),
            ("\\d", Command::Tables),
            ("\\d events;", Command::Describe("events".into())),
            ("\\df", Command::Functions(None)),
            ("\\timing on", Command::Timing(Some(true))),
            ("\\i 'my file.sql'", Command::Include("my file.sql".into())),
            ("\\o", Command::Output(None)),
            ("\\format csv", Command::Format("csv".into())),
        ] {
            assert!(is_command(line), "{line}");
            assert_eq!(parse(line).unwrap(), expected, "{line}");
        }
        assert!(!is_command("SELECT 1;") && !is_command("helper"));
        assert!(parse("\\formt csv").unwrap_err().to_string().contains("\\format"));
        assert!(parse("\\i").is_err() && parse("\\timing maybe").is_err());
    }
}
