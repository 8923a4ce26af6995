//! A text of a client becomes statements.

use pgwire::error::PgWireResult;

use super::actions::{self, Action};
use super::{catalog, copy};
use crate::engine::Statement;
use crate::serve::failure::Failure;
use crate::serve::guard;

/// What the door does with each statement of a text.
pub fn statements_of(sql: &str) -> PgWireResult<Vec<Action>> {
    if let Some(copy) = copy::read(sql) {
        let (query, copy) = copy?;
        let statements = catalog::understood(&query).map_err(Failure::from)?;
        let copied = |statement| Action::Copy { statement: Box::new(statement), copy: copy.clone() };
        return Ok(statements.into_iter().map(copied).collect());
    }
    let after = |word: &str| {
        let (start, rest) = sql.trim_start().split_at_checked(word.len())?;
        start.eq_ignore_ascii_case(word).then_some(rest)
    };
    let starts = |word: &str| after(word).is_some();
    // the parser knows FETCH, which takes the same directions
    if let Some(direction) = after("move ") {
        let fetches = Statement::all(&format!("FETCH {direction}")).map_err(Failure::from)?;
        let mut actions = fetches.iter().map(actions::read).collect::<Result<Vec<Action>, Failure>>()?;
        if let Some(first) = actions.first_mut() {
            *first = first.clone().moving();
        }
        return Ok(actions);
    }
    let parsed = match catalog::understood(sql) {
        Ok(parsed) => parsed,
        // the engine's COPY is another one
        Err(_) if starts("copy ") => {
            return Err(actions::not_offered("this COPY", "COPY (query) TO STDOUT, alone, or SELECT").into());
        }
        Err(_) if starts("abort") => return Ok(vec![Action::RollBack]),
        Err(_) if begins(sql) => return Ok(vec![Action::Begin]),
        Err(error) => return Err(guard::refusal(sql).unwrap_or_else(|| error.into()).into()),
    };
    Ok(parsed.iter().map(actions::read).collect::<Result<_, Failure>>()?)
}

/// True for the begin of a transaction in words that the parser does not know: `BEGIN READ ONLY DEFERRABLE`.
fn begins(sql: &str) -> bool {
    const MODES: &[&str] = &[
        "begin",
        "start",
        "transaction",
        "work",
        "isolation",
        "level",
        "serializable",
        "repeatable",
        "read",
        "committed",
        "uncommitted",
        "only",
        "write",
        "not",
        "deferrable",
    ];
    let text = sql.trim().trim_end_matches(';').to_lowercase();
    let mut words = text.split(|sign: char| sign == ',' || sign.is_whitespace()).filter(|word| !word.is_empty());
    matches!(words.next(), Some("begin" | "start")) && words.all(|word| MODES.contains(&word))
}
