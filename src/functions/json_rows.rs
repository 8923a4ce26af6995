//! What a JSON text holds, as lists: `json_array_elements`, and what `json_each` gives as rows. Where they stand in a FROM their items
//! are rows, see `engine::list_rows`.
//!
//! A text that is no JSON, or of another kind, holds nothing.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ListBuilder, StringBuilder};
use arrow::datatypes::{DataType, Field};
use datafusion::logical_expr::ScalarUDF;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::rows::function;

/// The keys of an object, which nobody calls.
pub const EACH_KEY: &str = "json_each_key";
/// Its values as they stand.
pub const EACH_VALUE: &str = "json_each_value";
/// Its values as texts.
pub const EACH_TEXT: &str = "json_each_value_text";
/// Both in one text, as PostgreSQL shows a row: `(key,value)`.
pub const EACH_ROW: &str = "json_each_row";
/// The same with the values as texts.
pub const EACH_TEXT_ROW: &str = "json_each_text_row";

/// The items of a text; None where it has none.
type Items = fn(&str) -> Option<Vec<Option<String>>>;

const LISTS: [(&str, Items); 9] = [
    ("json_array_elements", elements),
    ("jsonb_array_elements", elements),
    ("json_array_elements_text", element_texts),
    ("jsonb_array_elements_text", element_texts),
    (EACH_KEY, keys),
    (EACH_VALUE, values),
    (EACH_TEXT, value_texts),
    (EACH_ROW, rows),
    (EACH_TEXT_ROW, text_rows),
];

/// All of them.
pub(super) fn udfs() -> Vec<ScalarUDF> {
    LISTS.iter().map(|(name, items)| list_of(name, *items)).collect()
}

fn list_of(name: &str, items: Items) -> ScalarUDF {
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::Utf8, true)));
    function(name, vec![DataType::Utf8], list, move |rows| {
        let texts = rows.text(0)?;
        let mut lists = ListBuilder::new(StringBuilder::new());
        for i in 0..rows.len {
            let found = if texts.is_valid(i) { items(texts.value(i)) } else { None };
            let is_list = found.is_some();
            found.into_iter().flatten().for_each(|item| lists.values().append_option(item));
            lists.append(is_list);
        }
        Ok(Arc::new(lists.finish()))
    })
}

fn elements(text: &str) -> Option<Vec<Option<String>>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(as_it_stands).collect())
}

fn element_texts(text: &str) -> Option<Vec<Option<String>>> {
    let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
    Some(elements.into_iter().map(as_text).collect())
}

fn keys(text: &str) -> Option<Vec<Option<String>>> {
    let Object(pairs) = serde_json::from_str(text).ok()?;
    Some(pairs.into_iter().map(|(key, _)| Some(key)).collect())
}

fn values(text: &str) -> Option<Vec<Option<String>>> {
    let Object(pairs) = serde_json::from_str(text).ok()?;
    Some(pairs.into_iter().map(|(_, value)| as_it_stands(value)).collect())
}

fn value_texts(text: &str) -> Option<Vec<Option<String>>> {
    let Object(pairs) = serde_json::from_str(text).ok()?;
    Some(pairs.into_iter().map(|(_, value)| as_text(value)).collect())
}

fn rows(text: &str) -> Option<Vec<Option<String>>> {
    Some(keys(text)?.into_iter().zip(values(text)?).map(row).collect())
}

fn text_rows(text: &str) -> Option<Vec<Option<String>>> {
    Some(keys(text)?.into_iter().zip(value_texts(text)?).map(row).collect())
}

/// A row of two columns as a text; NULL is nothing between the signs.
fn row((key, value): (Option<String>, Option<String>)) -> Option<String> {
    let shown = |text: Option<String>| match text {
        None => String::new(),
        Some(text) if text.is_empty() || text.contains(|c: char| c.is_whitespace() || "\"\\(),".contains(c)) => {
            format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\"\""))
        }
        Some(text) => text,
    };
    Some(format!("({},{})", shown(key), shown(value)))
}

fn as_it_stands(value: &RawValue) -> Option<String> {
    Some(value.get().to_string())
}

/// A text without its quotes, anything else as it stands; none of `null`.
fn as_text(value: &RawValue) -> Option<String> {
    match value.get() {
        "null" => None,
        quoted if quoted.starts_with('"') => serde_json::from_str(quoted).ok(),
        other => Some(other.to_string()),
    }
}

/// The keys and values of an object, in the order of the text.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs)
    }
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut pairs = vec![];
        while let Some(pair) = map.next_entry()? {
            pairs.push(pair);
        }
        Ok(Object(pairs))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn shown(items: Option<Vec<Option<String>>>) -> String {
        let one = |item: Option<String>| item.unwrap_or_else(|| "-".into());
        items.map_or("none".into(), |items| items.into_iter().map(one).collect::<Vec<_>>().join("|"))
    }

    #[test]
    fn items_stand_as_they_are_written() {
        let list = r#" [1.50, "a\"b", null, {"k": [2]}] "#;
        assert_eq!(shown(elements(list)), r#"1.50|"a\"b"|null|{"k": [2]}"#);
        assert_eq!(shown(element_texts(list)), r#"1.50|a"b|-|{"k": [2]}"#);
        let object = r#"{"b": 1, "a": "x", "b": null}"#;
        assert_eq!(shown(keys(object)), "b|a|b");
        assert_eq!(shown(values(object)), r#"1|"x"|null"#);
        assert_eq!(shown(value_texts(object)), "1|x|-");
        assert_eq!(shown(rows(object)), r#"(b,1)|(a,"""x""")|(b,null)"#);
        assert_eq!(shown(text_rows(r#"{"b c": "", "a": "\\", "d": null}"#)), r#"("b c","")|(a,"\\")|(d,)"#);
        assert_eq!(shown(elements("[]")), "");
    }

    #[test]
    fn what_is_of_another_kind_holds_nothing() {
        let deep = "[".repeat(100_000);
        for text in ["", "1", "[1", "[1] 2", "nonsense", deep.as_str(), "{}"] {
            assert_eq!(elements(text), None, "{text:.9}");
        }
        for text in ["[1]", "{\"a\"}", "null", "{\"a\":1}x"] {
            assert_eq!(keys(text), None, "{text}");
        }
    }
}
