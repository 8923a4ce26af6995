//! `param(list, key)`: the value of a key in a list of keys and values, as GA4's `event_params` are.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ScalarUDF, Signature, Volatility};

use super::function_doc::FunctionDoc;
use super::rows::function_of;

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "param",
    kind: "scalar",
    signature: "param(list, key)",
    description: "The value of a key in a list of records with key and value, such as GA4's event_params: the string_value, \
int_value, float_value or double_value that is there, as text. For mappings.",
    example: "SELECT param(make_array(named_struct('key', 'page_title', 'value', named_struct('string_value', 'home'))), 'page_title')",
};

pub(super) fn udf() -> ScalarUDF {
    let signature = Signature::any(2, Volatility::Immutable);
    function_of("param", signature, DataType::Utf8, |rows| {
        let keys = rows.text(1)?;
        let found = param(rows.array(0), &keys)?;
        Ok(Arc::new(found))
    })
}

/// Takes the value that is not NULL of the first entry with the key; a number as text.
fn param(lists: &ArrayRef, keys: &StringArray) -> Result<StringArray> {
    let item = match lists.data_type() {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => item.data_type().clone(),
        // a column without any value
        DataType::Null | DataType::Utf8 if lists.logical_null_count() == lists.len() => {
            return Ok(StringArray::new_null(lists.len()));
        }
        other => return Err(wrong(other)),
    };
    let lists = cast(lists, &DataType::LargeList(Arc::new(Field::new_list_field(item.clone(), true))))?;
    let lists = lists.as_list::<i64>();
    // lists without any entry
    if lists.values().is_empty() {
        return Ok(StringArray::new_null(lists.len()));
    }
    let entries = lists.values().as_struct_opt().ok_or_else(|| wrong(&item))?;
    let names = entries.column_by_name("key").ok_or_else(|| wrong(&item))?;
    let names = cast(names, &DataType::Utf8)?;
    let names = names.as_string::<i32>();
    let value = entries.column_by_name("value").ok_or_else(|| wrong(&item))?;
    let values = match value.as_struct_opt() {
        Some(typed) => texts(typed)?,
        None => vec![cast(value, &DataType::Utf8)?.as_string::<i32>().clone()],
    };
    let mut found = StringBuilder::new();
    for row in 0..lists.len() {
        let range = lists.value_offsets()[row] as usize..lists.value_offsets()[row + 1] as usize;
        let is_it =
            |entry: &usize| keys.is_valid(row) && names.is_valid(*entry) && names.value(*entry) == keys.value(row);
        let entry = if lists.is_valid(row) { range.into_iter().find(is_it) } else { None };
        let text = entry.and_then(|entry| values.iter().find(|v| v.is_valid(entry)).map(|v| v.value(entry)));
        found.append_option(text);
    }
    Ok(found.finish())
}

/// The forms of a value as text, in the order of the fields; `set_timestamp_micros` and the like are none.
fn texts(value: &StructArray) -> Result<Vec<StringArray>> {
    let forms = value.fields().iter().zip(value.columns()).filter(|(field, _)| field.name().ends_with("_value"));
    forms.map(|(_, form)| Ok(cast(form, &DataType::Utf8)?.as_string::<i32>().clone())).collect()
}

fn wrong(found: &DataType) -> DataFusionError {
    DataFusionError::Execution(format!("param: a {found} is no list of records with key and value"))
}
