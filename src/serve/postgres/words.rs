//! What Postgres clients say by habit: transactions, settings of the session, `SHOW`. Nothing of it reaches the engine.

use std::time::Duration;

use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::{Set, Statement as Sql};

use crate::engine::Statement;
use crate::serve::failure::{Failure, Reason};
use crate::time::parse_span;

/// What the server reports at the start of a session.
pub const REPORTED: &[(&str, &str)] = &[
    ("server_version", "16.0 (Rejoin)"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("DateStyle", "ISO, MDY"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("integer_datetimes", "on"),
    ("standard_conforming_strings", "on"),
    ("is_superuser", "off"),
    ("in_hot_standby", "off"),
    ("default_transaction_read_only", "on"),
];

/// What `SHOW` knows beside that.
const SHOWN: &[(&str, &str)] = &[
    ("search_path", "\"$user\", public"),
    ("transaction_isolation", "repeatable read"),
    ("transaction isolation level", "repeatable read"),
    ("default_transaction_isolation", "repeatable read"),
    ("transaction_read_only", "on"),
    ("max_identifier_length", "63"),
    ("server_version_num", "160000"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("extra_float_digits", "1"),
    ("statement_timeout", "0"),
    ("bytea_output", "hex"),
    ("ssl", "on"),
    ("password_encryption", "scram-sha-256"),
];

/// What to do with a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    /// Ask the engine.
    Engine(Box<Statement>),
    /// Begin a transaction; nothing is written, so nothing is to be done.
    Begin,
    /// End one: `COMMIT` or `ROLLBACK`.
    End(&'static str),
    /// Agree: the tag to answer with.
    Done(&'static str),
    /// Let statements take so long; zero is as long as the server allows.
    Time(Duration),
    /// One row with one column.
    Show(String, String),
}

/// Reads a statement.
pub fn read(statement: &Statement) -> Result<Word, Failure> {
    let engine = || Word::Engine(Box::new(statement.clone()));
    let Parsed::Statement(parsed) = statement.parsed() else { return Ok(engine()) };
    Ok(match parsed.as_ref() {
        Sql::StartTransaction { .. } => Word::Begin,
        Sql::Commit { .. } => Word::End("COMMIT"),
        Sql::Rollback { savepoint: None, .. } => Word::End("ROLLBACK"),
        Sql::Rollback { .. } => Word::Done("ROLLBACK"),
        Sql::Savepoint { .. } => Word::Done("SAVEPOINT"),
        Sql::ReleaseSavepoint { .. } => Word::Done("RELEASE"),
        Sql::Discard { .. } => Word::Done("DISCARD ALL"),
        Sql::Deallocate { .. } => Word::Done("DEALLOCATE"),
        Sql::Close { .. } => Word::Done("CLOSE CURSOR"),
        Sql::Reset(_) => Word::Done("RESET"),
        Sql::Set(Set::SingleAssignment { variable, values, .. }) => {
            let name = variable.to_string().to_lowercase();
            let value = values.first().map(|v| v.to_string().trim_matches('\'').to_string()).unwrap_or_default();
            match name.as_str() {
                "statement_timeout" => Word::Time(duration(&value)?),
                // ours, or the engine's
                _ if name.contains('.') => engine(),
                _ => Word::Done("SET"),
            }
        }
        Sql::Set(_) => Word::Done("SET"),
        Sql::ShowVariable { variable } => {
            let words: Vec<String> = variable.iter().map(|word| word.value.to_lowercase()).collect();
            let name = words.join(" ");
            let found = REPORTED.iter().chain(SHOWN).find(|(known, _)| known.eq_ignore_ascii_case(&name));
            found.map_or_else(engine, |(known, value)| Word::Show(known.to_string(), value.to_string()))
        }
        Sql::Declare { .. } | Sql::Fetch { .. } => {
            return Err(not_offered("a cursor of SQL", "the driver's fetch size: rows are streamed anyway"));
        }
        Sql::LISTEN { .. } | Sql::NOTIFY { .. } => {
            return Err(not_offered("LISTEN", "rejoin schedule --http"));
        }
        _ => engine(),
    })
}

/// What is not offered, and what to do instead.
pub fn not_offered(what: &str, instead: &str) -> Failure {
    Failure::new(Reason::NotOffered, format!("{what} is not offered here; use {instead}"))
}

/// `5000` (milliseconds), `5s`, `2min`, `1h`, as Postgres has them.
fn duration(text: &str) -> Result<Duration, Failure> {
    let span = parse_span(text, Some("ms"));
    let micros = span.ok().and_then(|span| u64::try_from(span.micros()).ok());
    micros.map(Duration::from_micros).ok_or_else(|| {
        let message = format!("statement_timeout {text:?}: expected milliseconds, or a number with ms, s, min, h or d");
        Failure::new(Reason::Engine(crate::ErrorKind::Usage), message)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn word(sql: &str) -> Result<Word, Failure> {
        read(&Statement::one(sql).unwrap())
    }

    fn engine(sql: &str) -> Word {
        Word::Engine(Box::new(Statement::one(sql).unwrap()))
    }

    #[test]
    fn habits() {
        for (sql, expected) in [
            ("BEGIN", Word::Begin),
            ("START TRANSACTION READ ONLY", Word::Begin),
            ("COMMIT", Word::End("COMMIT")),
            ("END", Word::End("COMMIT")),
            ("ROLLBACK", Word::End("ROLLBACK")),
            ("SAVEPOINT a", Word::Done("SAVEPOINT")),
            ("SET extra_float_digits = 3", Word::Done("SET")),
            ("SET application_name = 'x'", Word::Done("SET")),
            ("SET TIME ZONE 'UTC'", Word::Done("SET")),
            ("SET NAMES 'UTF8'", Word::Done("SET")),
            ("SET statement_timeout = '5s'", Word::Time(Duration::from_secs(5))),
            ("SET statement_timeout TO 250", Word::Time(Duration::from_millis(250))),
            ("DISCARD ALL", Word::Done("DISCARD ALL")),
            ("SHOW transaction_isolation", Word::Show("transaction_isolation".into(), "repeatable read".into())),
            ("SHOW server_version", Word::Show("server_version".into(), "16.0 (Rejoin)".into())),
            ("SELECT 1", engine("SELECT 1")),
            ("SET rejoin.suite = 'web'", engine("SET rejoin.suite = 'web'")),
        ] {
            assert_eq!(word(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_not_offered_says_what_to_do() {
        for sql in ["DECLARE c CURSOR FOR SELECT 1", "FETCH 10 FROM c"] {
            assert_eq!(word(sql).map_err(|f| f.reason), Err(Reason::NotOffered), "{sql}");
        }
        assert!(word("SET statement_timeout = 'soon'").is_err());
    }
}
