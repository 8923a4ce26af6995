//! The argument `by`: names of dimensions and of spans of time in, columns of the conversion's row out.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::datetime::expr_fn::date_trunc;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::logical_expr::{Expr, cast, ident, lit};

use super::journey::{GROUP_COLUMNS, GroupType};
use super::names::ColumnNames;
use crate::columns::{HIT_TIME, VISITOR_ID, is_multi_valued};
use crate::{Error, Result};

/// Spans of the conversion's time, as a clock of the suite's zone shows it.
const SPANS: [&str; 6] = ["hour", "day", "week", "month", "quarter", "year"];

/// A column that a question is broken down by.
#[derive(Debug)]
pub(super) struct Grouping {
    pub name: String,
    /// What it is read from.
    pub column: String,
    pub kind: GroupType,
    /// Over `events`.
    pub value: Expr,
}

/// The columns that a text names.
pub(super) fn groupings(
    text: &str,
    names: &ColumnNames<'_>,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Grouping>> {
    groupings_of(text, names, context).map_err(|error| error.at("by"))
}

fn groupings_of(
    text: &str,
    names: &ColumnNames<'_>,
    context: &mut dyn RelationPlannerContext,
) -> Result<Vec<Grouping>> {
    let mut found: Vec<Grouping> = vec![];
    for name in listed(text)? {
        let one = grouping(&name, names, context)?;
        if found.iter().any(|other| other.name == one.name) {
            return Err(Error::query(format!("{name} is listed twice")));
        }
        found.push(one);
    }
    match found.len() > GROUP_COLUMNS.len() {
        true => Err(Error::query(format!("at most {} columns; here are {}", GROUP_COLUMNS.len(), found.len()))),
        false => Ok(found),
    }
}

fn grouping(name: &str, names: &ColumnNames<'_>, context: &mut dyn RelationPlannerContext) -> Result<Grouping> {
    let group = |column: &str, kind, value| Grouping { name: name.into(), column: column.into(), kind, value };
    if SPANS.contains(&name) {
        let clock = context.context_provider().get_function_meta("local_time");
        let clock = clock.ok_or_else(|| Error::bug("there is no function local_time"))?.call(vec![ident(HIT_TIME)]);
        let begins = date_trunc(lit(name), clock);
        return Ok(match name {
            "hour" => group(HIT_TIME, GroupType::Hour, begins),
            _ => group(HIT_TIME, GroupType::Day, cast(begins, DataType::Date32)),
        });
    }
    // no dimension, but whose conversion it was
    if name == VISITOR_ID {
        return Ok(group(VISITOR_ID, GroupType::Text, ident(VISITOR_ID)));
    }
    let dimension = names.column(name, &SPANS)?;
    let column = dimension.name();
    if matches!(column.as_str(), "product" | "category") {
        return Ok(group(column, GroupType::Line, lit(ScalarValue::Utf8(None))));
    }
    if is_multi_valued(column) {
        return Err(Error::query(format!("{name} has several values a row, so that its groups would not add up")));
    }
    let value = match dimension.data_type() {
        DataType::Utf8 => ident(column),
        _ => cast(ident(column), DataType::Utf8),
    };
    Ok(group(column, GroupType::Text, value))
}

/// The column that tells the lines of what was bought apart, if there is one.
///
/// # Errors
/// There are two.
pub(super) fn line_grouping(groupings: &[Grouping]) -> Result<Option<&Grouping>> {
    let mut lines = groupings.iter().filter(|grouping| grouping.kind == GroupType::Line);
    match (lines.next(), lines.next()) {
        (Some(first), Some(second)) => {
            Err(Error::query(format!("by: {} and {} both tell lines apart; name one", first.name, second.name)))
        }
        (line, _) => Ok(line),
    }
}

/// The names of a list with commas; one with a comma in it stands in double quotes.
pub(super) fn listed(text: &str) -> Result<Vec<String>> {
    let (mut names, mut name, mut quoted) = (vec![], String::new(), false);
    for c in text.chars().chain([',']) {
        match c {
            '"' => quoted = !quoted,
            ',' if !quoted => {
                let whole = std::mem::take(&mut name);
                if whole.trim().is_empty() {
                    return Err(Error::query("a name is missing; write names with commas between them"));
                }
                names.push(whole.trim().to_string());
            }
            c => name.push(c),
        }
    }
    match quoted {
        true => Err(Error::query("a double quote does not close")),
        false => Ok(names),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lists_of_names() {
        assert_eq!(listed(" month, \"Search, paid\" ,evar1").unwrap(), ["month", "Search, paid", "evar1"]);
        for wrong in ["", "a,,b", "a,", "\"a"] {
            assert!(listed(wrong).is_err(), "{wrong}");
        }
    }
}
