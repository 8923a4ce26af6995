//! The models that a call of a table function names, each with the name of its column.

use super::arguments::Arguments;
use crate::attribution::Model;
use crate::{Error, Result};

/// One model gives the column `credit`; a list of them one column each, under their names.
pub(super) fn models(arguments: &Arguments, default: Option<&str>) -> Result<Vec<(String, Model)>> {
    let parse = |text: &str| text.parse::<Model>().map_err(Error::query);
    let Some(list) = arguments.text("models")?.or_else(|| default.map(str::to_string)) else {
        let model = arguments.text("model")?;
        return Ok(vec![("credit".to_string(), parse(model.as_deref().unwrap_or("last_touch"))?)]);
    };
    if arguments.text("model")?.is_some() {
        return Err(Error::query("give either model or models, not both"));
    }
    let mut models: Vec<(String, Model)> = vec![];
    for text in split_outside_parentheses(&list) {
        if models.iter().any(|(name, _)| *name == text) {
            return Err(Error::query(format!("the model {text} is listed twice")));
        }
        models.push((text.to_string(), parse(text)?));
    }
    Ok(models)
}

/// The items of `a, b(1, 2), c`.
pub(super) fn split_outside_parentheses(list: &str) -> Vec<&str> {
    let (mut depth, mut start, mut items) = (0, 0, vec![]);
    for (i, c) in list.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            ',' if depth == 0 => {
                items.push(list[start..i].trim());
                start = i + 1;
            }
            _ => {}
        }
    }
    items.push(list[start..].trim());
    items
}
