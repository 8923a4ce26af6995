//! Statements that the door answers itself: transactions, settings of the session, cursors, `SHOW`. None of them reaches the engine.

use arrow::datatypes::{DataType as ArrowType, IntervalUnit};
use datafusion::scalar::ScalarValue;
use datafusion::sql::parser::{ResetStatement, Statement as Parsed};
use datafusion::sql::sqlparser::ast::{
    CloseCursor, ContextModifier, DataType, Declare, DiscardObject, Expr, FetchDirection, Ident, Set,
    SetSessionAuthorizationParamKind, Statement as Sql, UnaryOperator, Value, ValueWithSpan,
};

use super::copy::Copy;
use super::cursors::{CursorMove, Declared, forward_only};
use super::settings::{TIME_ZONE, ZONE_OF_ENGINE};
use crate::engine::Statement;
use crate::serve::failure::{Failure, Reason};

/// What the door does with a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Ask the engine.
    Engine(Box<Statement>),
    /// Change a setting of the engine's session; `local` ends with the transaction.
    Change { name: String, statement: Box<Statement>, local: bool },
    /// Begin a transaction; nothing is written, so that only settings belong to it.
    Begin,
    /// Keep what a transaction has set.
    Commit,
    /// Take back what a transaction has set.
    RollBack,
    /// Set a point to which a transaction can go back.
    Savepoint(String),
    /// Forget such a point, and those after it.
    Release(String),
    /// Go back to it, also after an error.
    RollBackTo(String),
    /// Agree: the tag to answer with.
    Done(&'static str),
    /// Set a setting of Postgres' names; None is what it was at the start.
    Set { name: String, value: Option<String>, local: bool },
    /// Set one back, or all.
    Reset(Option<String>),
    /// As if the connection had just begun.
    Discard,
    /// Forget a prepared statement, or all.
    Deallocate(Option<String>),
    /// Send the rows of a query as one stream.
    Copy { statement: Box<Statement>, copy: Copy },
    /// Open a cursor.
    Declare { name: String, statement: Box<Statement>, declared: Declared },
    /// Rows of a cursor.
    Fetch { name: String, direction: CursorMove },
    /// Goes past rows of a cursor.
    Move { name: String, direction: CursorMove },
    /// Close a cursor, or all.
    Close(Option<String>),
    /// Keep a statement under a name.
    Prepare { name: String, types: Vec<DataType>, statement: Box<Statement> },
    /// Run it with values.
    Execute { name: String, values: Vec<Expr> },
    /// One row with one column.
    Show(String),
    /// All settings.
    ShowAll,
}

impl Action {
    /// A FETCH as the MOVE in the same direction.
    pub fn moving(self) -> Self {
        match self {
            Self::Fetch { name, direction } => Self::Move { name, direction },
            other => other,
        }
    }

    /// True for what may be said after an error in a transaction.
    pub fn ends_failure(&self) -> bool {
        matches!(self, Self::Commit | Self::RollBack | Self::RollBackTo(_))
    }
}

/// Settings of the engine: ours, and what the guard lets pass of DataFusion's.
pub fn is_of_engine(name: &str) -> bool {
    let name = name.to_lowercase();
    // the zone is a setting of Postgres, too, under its name
    name.starts_with("rejoin.") || name.starts_with("datafusion.") && name != ZONE_OF_ENGINE
}

/// Reads a statement.
pub fn read(statement: &Statement) -> Result<Action, Failure> {
    let engine = || Action::Engine(Box::new(statement.clone()));
    let parsed = match statement.parsed() {
        Parsed::Statement(parsed) => parsed.as_ref(),
        Parsed::Reset(ResetStatement::Variable(name)) => {
            let name = name.to_string();
            return Ok(match name.to_lowercase().as_str() {
                "all" => Action::Reset(None),
                "session.authorization" | "role" => Action::Done("RESET"),
                _ => Action::Reset(Some(name)),
            });
        }
        _ => return Ok(engine()),
    };
    let set = |name: &str, value: Option<String>, local| Action::Set { name: name.to_string(), value, local };
    Ok(match parsed {
        Sql::StartTransaction { .. } => Action::Begin,
        Sql::Commit { .. } => Action::Commit,
        Sql::Rollback { savepoint: None, .. } => Action::RollBack,
        Sql::Rollback { savepoint: Some(name), .. } => Action::RollBackTo(folded(name)),
        Sql::Savepoint { name } => Action::Savepoint(folded(name)),
        Sql::ReleaseSavepoint { name } => Action::Release(folded(name)),
        Sql::Discard { object_type: DiscardObject::ALL } => Action::Discard,
        Sql::Discard { object_type: DiscardObject::PLANS } => Action::Done("DISCARD PLANS"),
        Sql::Discard { object_type: DiscardObject::SEQUENCES } => Action::Done("DISCARD SEQUENCES"),
        Sql::Discard { object_type: DiscardObject::TEMP } => Action::Done("DISCARD TEMP"),
        Sql::Deallocate { name, .. } if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("all") => {
            Action::Deallocate(None)
        }
        Sql::Deallocate { name, .. } => Action::Deallocate(Some(name.value.clone())),
        Sql::Close { cursor: CloseCursor::All } => Action::Close(None),
        Sql::Close { cursor: CloseCursor::Specific { name } } => Action::Close(Some(name.value.clone())),
        Sql::Declare { stmts } => match stmts.as_slice() {
            [Declare { scroll: Some(true), .. }] => {
                let message =
                    "a cursor can only go forward here: SCROLL is not offered; leave it out, or say NO SCROLL";
                return Err(Failure::new(Reason::NotOffered, message));
            }
            [Declare { names, for_query: Some(query), hold, binary, .. }] if names.len() == 1 => Action::Declare {
                name: names[0].value.clone(),
                statement: Box::new(Statement::one(&query.to_string())?),
                declared: Declared { hold: *hold == Some(true), binary: *binary == Some(true) },
            },
            _ => engine(),
        },
        Sql::Fetch { name, direction, into: None, .. } => {
            Action::Fetch { name: name.value.clone(), direction: move_of(direction)? }
        }
        Sql::Prepare { name, data_types, statement } => Action::Prepare {
            name: name.value.clone(),
            types: data_types.clone(),
            statement: Box::new(Statement::one(&statement.to_string())?),
        },
        Sql::Execute { name: Some(name), parameters, immediate: false, .. } => {
            Action::Execute { name: name.to_string().replace('"', ""), values: parameters.clone() }
        }
        Sql::UNLISTEN { .. } => Action::Done("UNLISTEN"),
        Sql::Set(Set::SingleAssignment { variable, values, scope, .. }) => {
            let (name, local) = (variable.to_string().replace('"', ""), *scope == Some(ContextModifier::Local));
            match is_of_engine(&name) {
                true => Action::Change { name, statement: Box::new(statement.clone().reworded(without_scope)?), local },
                false => set(&name, value_of(values), local),
            }
        }
        Sql::Set(Set::SetTimeZone { value, local }) => set(TIME_ZONE, zone_value(value)?, *local),
        Sql::Set(Set::SetNames { charset_name, .. }) => {
            set("client_encoding", Some(charset_name.value.trim_matches('\'').to_string()), false)
        }
        Sql::Set(Set::SetNamesDefault {}) => set("client_encoding", None, false),
        Sql::Set(Set::SetTransaction { .. }) => Action::Done("SET"),
        Sql::Set(Set::SetRole { role_name: None, .. }) => Action::Done("SET"),
        Sql::Set(Set::SetSessionAuthorization(to)) if to.kind == SetSessionAuthorizationParamKind::Default => {
            Action::Done("SET")
        }
        Sql::Set(Set::SetRole { .. } | Set::SetSessionAuthorization(_)) => {
            return Err(Failure::new(
                Reason::Forbidden,
                "permission denied to become another user; log in as that user",
            ));
        }
        Sql::ShowVariable { variable } => {
            let words: Vec<&str> = variable.iter().map(|word| word.value.as_str()).collect();
            let name = words.join(if words.first().is_some_and(|first| is_of_engine(&format!("{first}."))) {
                "."
            } else {
                " "
            });
            match name.to_lowercase().as_str() {
                "all" => Action::ShowAll,
                _ => Action::Show(name),
            }
        }
        Sql::LISTEN { .. } | Sql::NOTIFY { .. } => {
            return Err(not_offered("LISTEN", "rejoin schedule --http"));
        }
        _ => engine(),
    })
}

/// A name as Postgres keeps it.
fn folded(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

/// Where a FETCH goes.
fn move_of(direction: &FetchDirection) -> Result<CursorMove, Failure> {
    let number = |limit: &ValueWithSpan| match &limit.value {
        Value::Number(text, _) => text.parse::<u64>().ok(),
        _ => None,
    };
    let from_one = |limit: &ValueWithSpan| number(limit).filter(|number| *number > 0);
    let moved = match direction {
        FetchDirection::Next | FetchDirection::Forward { limit: None } => Some(CursorMove::Forward(Some(1))),
        FetchDirection::All | FetchDirection::ForwardAll => Some(CursorMove::Forward(None)),
        FetchDirection::Count { limit } | FetchDirection::Forward { limit: Some(limit) } => {
            number(limit).map(|count| CursorMove::Forward(Some(count)))
        }
        FetchDirection::Relative { limit } => from_one(limit).map(CursorMove::Relative),
        FetchDirection::Absolute { limit } => from_one(limit).map(CursorMove::Absolute),
        FetchDirection::First => Some(CursorMove::Absolute(1)),
        _ => None,
    };
    moved.ok_or_else(forward_only)
}

/// The engine knows one scope only.
fn without_scope(mut sql: Sql) -> Sql {
    if let Sql::Set(Set::SingleAssignment { scope, .. }) = &mut sql {
        *scope = None;
    }
    sql
}

/// The value of a SET TIME ZONE as text, of an interval the hours ahead of UTC; None for DEFAULT.
fn zone_value(value: &Expr) -> Result<Option<String>, Failure> {
    let Expr::Interval(interval) = value else { return Ok(value_of(std::slice::from_ref(value))) };
    // as the engine has put it into words
    let span = ScalarValue::Utf8(Some(text_of(&interval.value)));
    match span.cast_to(&ArrowType::Interval(IntervalUnit::MonthDayNano)).map_err(crate::Error::from)? {
        ScalarValue::IntervalMonthDayNano(Some(span)) if span.months == 0 && span.days == 0 => {
            Ok(Some((span.nanoseconds as f64 / 3.6e12).to_string()))
        }
        _ => {
            let message = "a time zone is an interval of hours and minutes, such as INTERVAL '+02:00' HOUR TO MINUTE";
            Err(Failure::new(Reason::Engine(crate::ErrorKind::Usage), message).with_sqlstate("22023"))
        }
    }
}

/// The values of a SET as text; None for DEFAULT.
fn value_of(values: &[Expr]) -> Option<String> {
    let texts: Vec<String> = values.iter().map(text_of).collect();
    let text = texts.join(", ");
    (!text.eq_ignore_ascii_case("default")).then_some(text)
}

fn text_of(value: &Expr) -> String {
    match value {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text)
            | Value::DoubleQuotedString(text)
            | Value::EscapedStringLiteral(text)
            | Value::Number(text, _) => text.clone(),
            other => other.to_string(),
        },
        Expr::Identifier(name) => name.value.clone(),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => format!("-{}", text_of(expr)),
        other => other.to_string(),
    }
}

/// What is not offered, and what to do instead.
pub fn not_offered(what: &str, instead: &str) -> Failure {
    Failure::new(Reason::NotOffered, format!("{what} is not offered here; use {instead}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn word(sql: &str) -> Result<Action, Failure> {
        read(&Statement::one(sql).unwrap())
    }

    fn engine(sql: &str) -> Action {
        Action::Engine(Box::new(Statement::one(sql).unwrap()))
    }

    fn set(name: &str, value: Option<&str>, local: bool) -> Action {
        Action::Set { name: name.into(), value: value.map(str::to_string), local }
    }

    #[test]
    fn habits() {
        for (sql, expected) in [
            ("BEGIN", Action::Begin),
            ("START TRANSACTION READ ONLY", Action::Begin),
            ("COMMIT", Action::Commit),
            ("END", Action::Commit),
            ("ROLLBACK", Action::RollBack),
            ("SAVEPOINT A", Action::Savepoint("a".into())),
            ("RELEASE SAVEPOINT \"A\"", Action::Release("A".into())),
            ("ROLLBACK TO SAVEPOINT a", Action::RollBackTo("a".into())),
            ("SET extra_float_digits = 3", set("extra_float_digits", Some("3"), false)),
            ("SET application_name = 'x'", set("application_name", Some("x"), false)),
            ("SET search_path TO a, public", set("search_path", Some("a, public"), false)),
            ("SET standard_conforming_strings = on", set("standard_conforming_strings", Some("on"), false)),
            ("SET LOCAL statement_timeout = '5s'", set("statement_timeout", Some("5s"), true)),
            ("SET statement_timeout TO DEFAULT", set("statement_timeout", None, false)),
            ("SET TIME ZONE 'UTC'", set("TimeZone", Some("UTC"), false)),
            ("SET TIME ZONE INTERVAL '+00:00' HOUR TO MINUTE", set("TimeZone", Some("0"), false)),
            ("SET LOCAL TIME ZONE INTERVAL '-08:30' HOUR TO MINUTE", set("TimeZone", Some("-8.5"), true)),
            ("SET TIME ZONE -5", set("TimeZone", Some("-5"), false)),
            ("SET TIME ZONE LOCAL", set("TimeZone", Some("LOCAL"), false)),
            ("SET TIME ZONE DEFAULT", set("TimeZone", None, false)),
            ("SET NAMES 'UTF8'", set("client_encoding", Some("UTF8"), false)),
            ("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", Action::Done("SET")),
            ("SET SESSION AUTHORIZATION DEFAULT", Action::Done("SET")),
            ("RESET ALL", Action::Reset(None)),
            ("RESET statement_timeout", Action::Reset(Some("statement_timeout".into()))),
            ("DISCARD ALL", Action::Discard),
            ("DISCARD TEMP", Action::Done("DISCARD TEMP")),
            ("DEALLOCATE ALL", Action::Deallocate(None)),
            ("DEALLOCATE PREPARE q", Action::Deallocate(Some("q".into()))),
            ("CLOSE ALL", Action::Close(None)),
            ("FETCH FORWARD 10 FROM c", Action::Fetch { name: "c".into(), direction: CursorMove::Forward(Some(10)) }),
            ("FETCH ALL FROM c", Action::Fetch { name: "c".into(), direction: CursorMove::Forward(None) }),
            ("FETCH c", Action::Fetch { name: "c".into(), direction: CursorMove::Forward(Some(1)) }),
            ("FETCH 2 c", Action::Fetch { name: "c".into(), direction: CursorMove::Forward(Some(2)) }),
            ("FETCH ABSOLUTE 3 IN c", Action::Fetch { name: "c".into(), direction: CursorMove::Absolute(3) }),
            ("SET datafusion.execution.time_zone = 'UTC'", set(ZONE_OF_ENGINE, Some("UTC"), false)),
            ("UNLISTEN *", Action::Done("UNLISTEN")),
            ("SHOW transaction_isolation", Action::Show("transaction_isolation".into())),
            ("SHOW TIME ZONE", Action::Show("TIME ZONE".into())),
            ("SHOW rejoin.suite", Action::Show("rejoin.suite".into())),
            ("SHOW ALL", Action::ShowAll),
            ("SELECT 1", engine("SELECT 1")),
            (
                "SET LOCAL rejoin.suite = 'web'",
                Action::Change {
                    name: "rejoin.suite".into(),
                    statement: Box::new(Statement::one("SET rejoin.suite = 'web'").unwrap()),
                    local: true,
                },
            ),
        ] {
            assert_eq!(word(sql).unwrap(), expected, "{sql}");
        }
    }

    #[test]
    fn what_is_not_offered_says_what_to_do() {
        for sql in
            ["FETCH BACKWARD 10 FROM c", "FETCH RELATIVE 0 FROM c", "DECLARE c SCROLL CURSOR FOR SELECT 1", "LISTEN a"]
        {
            assert_eq!(word(sql).map_err(|f| f.reason), Err(Reason::NotOffered), "{sql}");
        }
        assert_eq!(word("SET ROLE eve").map_err(|f| f.reason), Err(Reason::Forbidden));
        assert_eq!(word("SET TIME ZONE INTERVAL '1 day'").map_err(|f| f.sqlstate()), Err("22023"));
    }
}
