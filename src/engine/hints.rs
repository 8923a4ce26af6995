//! Planning errors as a person can use them: what is unknown, and the nearest name that is known.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

use super::view::LakeView;
use crate::Error;
use crate::error::did_you_mean;

/// The error of a statement that could not be planned.
pub(super) async fn planning_error(view: &LakeView, error: DataFusionError) -> Error {
    if let DataFusionError::SchemaError(schema, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = schema.as_ref()
    {
        let known: Vec<&str> = valid_fields.iter().map(|c| c.name.as_str()).collect();
        let hint = did_you_mean(&field.name, known.iter().copied());
        let listed = match (hint.is_empty(), known.len()) {
            (true, 1..=12) => format!("; there are {}", known.join(", ")),
            (true, 13..) => "; \\d TABLE in the shell, or SHOW COLUMNS FROM table, lists the columns".to_string(),
            _ => hint,
        };
        return Error::query(format!("there is no column {}{listed}", field.quoted_flat_name().replace('"', "")));
    }
    let message = error.find_root().strip_backtrace();
    if let Some(name) = between(&message, "table '", "' not found") {
        let name = name.rsplit('.').next().unwrap_or(name);
        let tables = view.table_names().await.unwrap_or_default();
        let hint = did_you_mean(name, tables.iter().map(String::as_str));
        return Error::query(format!("there is no table {name}{hint}"));
    }
    Error::from(error)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let start = text.find(before)? + before.len();
    let end = text[start..].find(after)? + start;
    Some(&text[start..end])
}
