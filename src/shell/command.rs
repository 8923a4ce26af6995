//! Backslash commands: what was typed becomes a [`Command`].

use std::path::PathBuf;
use std::time::Duration;

use crate::error::did_you_mean;
use crate::format::Expanded;
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
    /// `\x`, `\x on`, `\x auto`.
    Expanded(Option<Expanded>),
    Format(String),
    /// `\pset null text`.
    Null(String),
    /// `\pset pager`, `\pset pager on`.
    Pager(Option<bool>),
    /// `\watch 5`: the last statement again and again.
    Watch(Duration),
    Suites,
    Connection,
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
  \\ds              report suites (also: \\l)
  \\conninfo        the lake that is asked
  \\x [on|off|auto] one line a column; auto: where a row does not fit
  \\pset null TEXT  how a missing value is shown; also format, expanded, pager on|off
  \\watch [SECONDS] the last statement again every 2 seconds, until Ctrl-C
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
        "\\ds" | "\\l" => Command::Suites,
        "\\conninfo" => Command::Connection,
        "\\x" => Command::Expanded(expanded(word, rest)?),
        "\\pset" => set(rest)?,
        "\\watch" => Command::Watch(match rest.parse() {
            Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Duration::from_secs_f64(seconds),
            _ if rest.is_empty() => Duration::from_secs(2),
            _ => return Err(Error::usage(format!("\\watch {rest}: expected seconds, from 0.1 to 86400"))),
        }),
        "\\!" => {
            return Err(Error::usage("the shell runs no other programs; leave it with \\q, or suspend it with Ctrl-Z"));
        }
        "\\timing" => Command::Timing(switch(word, rest)?),
        "\\format" => Command::Format(needed("a format")?),
        "\\i" => Command::Include(needed("a file")?.into()),
        "\\o" => Command::Output(given.map(PathBuf::from)),
        other => {
            return Err(Error::usage(format!(
                "no command {other} (all of them: \\?){}",
                did_you_mean(other, COMMANDS)
            )));
        }
    })
}

/// The words of the commands.
pub const COMMANDS: [&str; 15] = [
    "\\q",
    "\\?",
    "\\d",
    "\\dt",
    "\\df",
    "\\ds",
    "\\l",
    "\\conninfo",
    "\\x",
    "\\pset",
    "\\watch",
    "\\timing",
    "\\format",
    "\\i",
    "\\o",
];

fn switch(word: &str, text: &str) -> Result<Option<bool>> {
    match text {
        "" => Ok(None),
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        other => Err(Error::usage(format!("{word} {other}: expected on or off"))),
    }
}

fn expanded(word: &str, text: &str) -> Result<Option<Expanded>> {
    match text {
        "auto" => Ok(Some(Expanded::Auto)),
        "" | "on" | "off" => Ok(switch(word, text)?.map(|on| if on { Expanded::On } else { Expanded::Off })),
        other => Err(Error::usage(format!("{word} {other}: expected on, off or auto"))),
    }
}

/// `\pset NAME VALUE`, the names as psql has them.
fn set(text: &str) -> Result<Command> {
    let (name, value) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let value = unquoted(value.trim());
    match name {
        "null" => Ok(Command::Null(value.to_string())),
        "pager" => Ok(Command::Pager(switch("\\pset pager", value)?)),
        "expanded" => Ok(Command::Expanded(expanded("\\pset expanded", value)?)),
        // psql's name of the table
        "format" => Ok(Command::Format(if value == "aligned" { "table" } else { value }.to_string())),
        other => {
            let hint = did_you_mean(other, ["null", "pager", "expanded", "format"]);
            Err(Error::usage(format!("\\pset {other}: expected null, format, expanded or pager{hint}")))
        }
    }
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
            ("\\x auto", Command::Expanded(Some(Expanded::Auto))),
            ("\\x", Command::Expanded(None)),
            ("\\pset null '-'", Command::Null("-".into())),
            ("\\pset format aligned", Command::Format("table".into())),
            ("\\pset pager off", Command::Pager(Some(false))),
            ("\\watch", Command::Watch(Duration::from_secs(2))),
            ("\\watch 0.5", Command::Watch(Duration::from_millis(500))),
            ("\\l", Command::Suites),
        ] {
            assert!(is_command(line), "{line}");
            assert_eq!(parse(line).unwrap(), expected, "{line}");
        }
        assert!(!is_command("SELECT 1;") && !is_command("helper"));
        assert!(parse("\\formt csv").unwrap_err().to_string().contains("\\format"));
        for wrong in ["\\watch 0", "\\watch x", "\\pset nul x", "\\x maybe", "\\! ls"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
        assert!(parse("\\i").is_err() && parse("\\timing maybe").is_err());
    }
}
