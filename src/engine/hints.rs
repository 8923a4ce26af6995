//! Planning errors as a person can use them: what is unknown, and the nearest name that is known.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use datafusion::execution::FunctionRegistry;
use datafusion::prelude::SessionContext;

use super::report_call::{is_report, report_names};
use super::statement::Statement;
use super::view::LakeView;
use crate::Error;
use crate::columns::{PERSON_ID, PERSON_STATUS};
use crate::error::library_words::{UnfitOperands, unfit_arguments, unknown_function, unknown_statement};
use crate::error::{Spot, StatementFault, did_you_mean};
use crate::functions::windows::WINDOW_FUNCTIONS;

/// The error of a statement that could not be planned.
pub(super) async fn planning_error(
    view: &LakeView,
    context: &SessionContext,
    statement: &Statement,
    error: DataFusionError,
) -> Error {
    // an error of ours says already what is to be said
    if Error::of_ours(&error).is_some() {
        return Error::from(error);
    }
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
        let hint = did_you_mean(&field.name, known.iter().copied());
        let listed = match (hint.is_empty(), known.len()) {
            _ if statement.names().quoted.contains(&field.name) => {
                format!("{hint}; a text stands in single quotes: '{}'", field.name)
            }
            _ if [PERSON_ID, PERSON_STATUS].contains(&field.name.as_str()) && view.persons().is_none() => {
                "; it is there where persons are on: rejoin suite set RSID --persons device_split, then rejoin rebuild"
                    .into()
            }
            (true, 1..=12) => format!("; there are {}", known.join(", ")),
            (true, 13..) => "; \\d TABLE in the shell, or SHOW COLUMNS FROM table, lists the columns".to_string(),
            _ => hint,
        };
        let message = format!("there is no column {}{listed}", field.quoted_flat_name().replace('"', ""));
        let spot = Spot::Name(field.name.clone());
        return Error::query(message).at_spot(spot).of_fault(StatementFault::Column).caused_by(error);
    }
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::AmbiguousReference { field } = schema.as_ref()
        && field.relation.is_none()
    {
        let name = field.name.clone();
        return Error::query(format!("several tables have a column {name}; write the table before it: t.{name}"))
            .at_spot(Spot::Name(name))
            .of_fault(StatementFault::Ambiguous)
            .caused_by(error);
    }
    if let Some((function, types)) = unfit_arguments(&error) {
        let types = if types.is_empty() { "no argument".into() } else { plain_types(&types) };
        let advice = match types.contains("text") {
            true => "; parse_number(text) or CAST(text AS DOUBLE) makes a number of a text",
            false => "",
        };
        return Error::query(format!("{function} cannot take {types}{advice}"))
            .at_spot(Spot::Name(function))
            .of_fault(StatementFault::Function)
            .caused_by(error);
    }
    if let Some(message) = UnfitOperands::of(&error).map(unfit_operands) {
        return Error::query(message).of_fault(StatementFault::Function).caused_by(error);
    }
    if let Some(word) = unknown_statement(&error) {
        return Error::query(no_question(&word)).caused_by(error);
    }
    if !matches!(error.find_root(), DataFusionError::Plan(_)) {
        return Error::from(error);
    }
    for name in &statement.names().tables {
        if !is_there(context, name).await {
            let tables = view.table_names().await.unwrap_or_default();
            let hint = did_you_mean(name, tables.iter().map(String::as_str));
            let spot = Spot::Name(name.clone());
            let message = format!("there is no table {name}{hint}");
            return Error::query(message).at_spot(spot).of_fault(StatementFault::Table).caused_by(error);
        }
    }
    let over = |name: &str| WINDOW_FUNCTIONS.iter().find(|function| function.name == name);
    if let Some(function) = statement.names().without_window.iter().find_map(|name| over(name)) {
        let message = format!(
            "{} sees the rows of a window: {}; the table functions participation(...) and attribution(...) need none",
            function.name, function.signature
        );
        return Error::query(message).at_spot(Spot::Name(function.name.into())).caused_by(error);
    }
    let (state, names) = (context.state(), statement.names());
    let known = |name: &str| state.udf(name).is_ok() || state.udaf(name).is_ok() || state.udwf(name).is_ok();
    let gives_rows = |name: &str| is_report(name) || state.table_functions().contains_key(name);
    let about =
        |error: Error, function: &str| error.at_spot(Spot::Name(function.into())).of_fault(StatementFault::Function);
    if let Some(function) = unknown_function(&error).filter(|name| !gives_rows(name)) {
        let message = match state.udwf(&function).is_ok() {
            true => format!("{function} sees the rows of a window: {function}(...) OVER (...)"),
            false => {
                let (scalar, aggregate) = (state.scalar_functions().keys(), state.aggregate_functions().keys());
                let all = scalar.chain(aggregate).chain(state.window_functions().keys()).map(String::as_str);
                format!("there is no function {function}{}", did_you_mean(&function, all))
            }
        };
        return about(Error::query(message).caused_by(error), &function);
    }
    if let Some(function) = names.functions.iter().find(|name| !known(name)) {
        if gives_rows(function) {
            let message = format!("{function} gives rows, not a value: SELECT * FROM {function}(...)");
            return about(Error::query(message).caused_by(error), function);
        }
        return about(Error::from(error), function);
    }
    if let Some(function) = names.table_functions.iter().find(|name| !gives_rows(name)) {
        let message = match known(function) {
            true => format!("{function} gives a value, not rows: SELECT {function}(...)"),
            false => {
                let all = state.table_functions().keys().map(String::as_str).chain(report_names());
                format!("there is no table function {function}{}", did_you_mean(function, all))
            }
        };
        return about(Error::query(message).caused_by(error), function);
    }
    if let Some(column) = statement.ungrouped() {
        let message = format!(
            "{column} is neither in GROUP BY nor in an aggregate; group by it, or choose one of its values: max({column})"
        );
        let spot = Spot::Name(column);
        return Error::query(message).at_spot(spot).of_fault(StatementFault::Grouping).caused_by(error);
    }
    Error::from(error)
}

/// The error of a plan whose operators were looked at: sides that do not go together are often found only then.
pub(super) fn operator_error(error: DataFusionError) -> Error {
    match UnfitOperands::of(&error).filter(|_| Error::of_ours(&error).is_none()) {
        Some(operands) => Error::query(unfit_operands(operands)).of_fault(StatementFault::Function).caused_by(error),
        None => Error::from(error),
    }
}

/// What to say of an operator whose sides do not go together.
fn unfit_operands(operands: UnfitOperands) -> String {
    match operands {
        UnfitOperands::Arithmetic(operands) => {
            let operands = plain_types(&operands);
            let advice = match operands.contains("text") {
                true => "; parse_number(text) or CAST(text AS DOUBLE) makes a number of a text",
                false => "",
            };
            format!("{operands} cannot be computed{advice}")
        }
        UnfitOperands::Comparison(operands) => {
            let operands = plain_types(&operands);
            let advice = match operands.contains("time") || operands.contains("date") {
                true => "; a date stands in single quotes: '2026-09-01'",
                false => "",
            };
            format!("{operands} cannot be compared{advice}")
        }
    }
}

/// What to say of a statement that is no question, by its first word.
fn no_question(word: &str) -> String {
    let advice = match word {
        "USE" => "SET rejoin.suite = 'RSID' chooses the suite",
        "SHOW" => "SHOW TABLES and SHOW COLUMNS FROM table list what is there",
        "VACUUM" | "OPTIMIZE" => "the commands `rejoin compact` and `rejoin vacuum` look after files",
        "GRANT" | "REVOKE" => "the command `rejoin user` says who may ask",
        "BEGIN" | "START" | "COMMIT" | "ROLLBACK" => "each statement sees one state of the lake",
        _ => "statements here ask: SELECT, SHOW, EXPLAIN, COPY",
    };
    format!("{word} is not known here; {advice}")
}

/// Types of columns in plain words.
fn plain_types(types: &str) -> String {
    const WORDS: [(&str, &str); 13] = [
        ("LargeUtf8", "text"),
        ("Utf8View", "text"),
        ("Utf8", "text"),
        ("Timestamp(µs, \"UTC\")", "time"),
        ("Timestamp(ns, \"UTC\")", "time"),
        ("Timestamp(µs)", "time"),
        ("Timestamp(ns)", "time"),
        ("Date32", "date"),
        ("Boolean", "true or false"),
        ("Float64", "number"),
        ("UInt64", "number"),
        ("Int64", "number"),
        ("Int32", "number"),
    ];
    WORDS.iter().fold(types.to_string(), |types, (theirs, word)| types.replace(theirs, word))
}

/// True for a table of the session, in whichever of its schemas.
async fn is_there(context: &SessionContext, name: &str) -> bool {
    let catalogs = context.catalog_names().into_iter().filter_map(|name| context.catalog(&name));
    let schemas: Vec<_> = catalogs
        .flat_map(|catalog| {
            catalog.schema_names().into_iter().filter_map(|name| catalog.schema(&name)).collect::<Vec<_>>()
        })
        .collect();
    for schema in schemas {
        if schema.table(name).await.is_ok_and(|table| table.is_some()) {
            return true;
        }
    }
    false
}
