//! Values as JSON: `to_json`, `row_to_json`, `json_build_object`, `json_build_array` and their kin, all as text without blanks.
//!
//! JSON is a text here, so that one within another would be quoted. The statement tells which texts are JSON: those it puts into
//! `as_json`, a row of one field whose name nobody can write. `json_agg` and `json_object_agg` take the lists that `array_agg` makes, see
//! `engine::json_calls`.

use std::fmt::Write;
use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StructArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};

use super::rows::{Rows, function_of};
use crate::Error;

/// The field of a text that is JSON.
const JSON: &str = "\u{1f}json";

/// The type of a text that is JSON.
static JSON_FIELDS: LazyLock<Fields> = LazyLock::new(|| Fields::from(vec![Field::new(JSON, DataType::Utf8, true)]));

/// What a text is told to be JSON by.
pub const AS_JSON: &str = "as_json";
/// Functions whose arguments are values.
pub const OF_VALUES: [&str; 8] = [
    "to_json",
    "to_jsonb",
    "row_to_json",
    "array_to_json",
    "json_build_array",
    "jsonb_build_array",
    "json_build_object",
    "jsonb_build_object",
];
/// Functions whose argument is a list of many rows' values.
pub const OF_ROWS: [&str; 2] = ["json_agg", "jsonb_agg"];
/// Functions whose arguments are lists of many rows' keys and values.
pub const OF_PAIRS: [&str; 2] = ["json_object_agg", "jsonb_object_agg"];

/// All of them.
pub(super) fn udfs() -> Vec<ScalarUDF> {
    let one = || Signature::any(1, Volatility::Immutable);
    let two = || Signature::any(2, Volatility::Immutable);
    let several = || {
        let signatures = vec![TypeSignature::Nullary, TypeSignature::VariadicAny];
        Signature::one_of(signatures, Volatility::Immutable)
    };
    let text = |name: &str, signature, body: fn(&Rows) -> Result<StringArray>| {
        function_of(name, signature, DataType::Utf8, move |rows| Ok(Arc::new(body(rows)?)))
    };
    let mut all = vec![
        function_of(AS_JSON, one(), DataType::Struct(JSON_FIELDS.clone()), |rows| {
            let texts: ArrayRef = Arc::new(rows.text(0)?);
            Ok(Arc::new(StructArray::try_new(JSON_FIELDS.clone(), vec![texts], None)?))
        }),
        text("json_typeof", one(), kinds),
        text("jsonb_typeof", one(), kinds),
    ];
    for name in OF_VALUES {
        all.push(match name {
            "json_build_array" | "jsonb_build_array" => text(name, several(), arrays),
            "json_build_object" | "jsonb_build_object" => text(name, several(), objects),
            _ => text(name, one(), values),
        });
    }
    all.extend(OF_ROWS.map(|name| text(name, one(), values)));
    all.extend(OF_PAIRS.map(|name| text(name, two(), objects_of_lists)));
    all
}

/// Each value as JSON; NULL stays NULL.
fn values(rows: &Rows) -> Result<StringArray> {
    let column = JsonColumn::of(rows.array(0))?;
    let written = (0..rows.len).map(|row| column.is_there(row).then(|| column.written(row)).transpose());
    written.collect()
}

fn arrays(rows: &Rows) -> Result<StringArray> {
    let columns = columns(rows)?;
    let written = |row: usize| -> Result<Option<String>> {
        let mut out = "[".to_string();
        for (i, column) in columns.iter().enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            column.write(row, &mut out)?;
        }
        out.push(']');
        Ok(Some(out))
    };
    (0..rows.len).map(written).collect()
}

fn objects(rows: &Rows) -> Result<StringArray> {
    let columns = columns(rows)?;
    if columns.len() % 2 != 0 {
        return Err(wrong("an object is made of keys and values, an even number"));
    }
    let written = |row: usize| -> Result<Option<String>> {
        let mut out = "{".to_string();
        for (i, pair) in columns.chunks(2).enumerate() {
            out.push_str(if i > 0 { "," } else { "" });
            if let [key, value] = pair {
                key.write_key(row, &mut out)?;
                value.write(row, &mut out)?;
            }
        }
        out.push('}');
        Ok(Some(out))
    };
    (0..rows.len).map(written).collect()
}

/// Objects of a list of keys and one of values each; NULL where there are no rows.
fn objects_of_lists(rows: &Rows) -> Result<StringArray> {
    let (keys, values) = (rows.array(0), rows.array(1));
    let (Some(keys), Some(values)) = (keys.as_list_opt::<i32>(), values.as_list_opt::<i32>()) else {
        return Err(wrong("an object of rows is made of two lists, those of array_agg"));
    };
    let written = |row: usize| -> Result<Option<String>> {
        if keys.is_null(row) || values.is_null(row) {
            return Ok(None);
        }
        let (keys, values) = (JsonColumn::of(&keys.value(row))?, JsonColumn::of(&values.value(row))?);
        let mut out = "{".to_string();
        for i in 0..keys.array.len().min(values.array.len()) {
            out.push_str(if i > 0 { "," } else { "" });
            keys.write_key(i, &mut out)?;
            values.write(i, &mut out)?;
        }
        out.push('}');
        Ok(Some(out))
    };
    (0..rows.len).map(written).collect()
}

/// What kinds of values JSON texts are.
fn kinds(rows: &Rows) -> Result<StringArray> {
    let kind = |text: Option<&str>| -> Result<Option<&'static str>> {
        let Some(text) = text else { return Ok(None) };
        let value = serde_json::from_str::<serde_json::Value>(text);
        let value = value.map_err(|error| wrong(&format!("this text is no JSON: {error}")))?;
        Ok(Some(match value {
            serde_json::Value::Null => "null",
            serde_json::Value::Bool(_) => "boolean",
            serde_json::Value::Number(_) => "number",
            serde_json::Value::String(_) => "string",
            serde_json::Value::Array(_) => "array",
            serde_json::Value::Object(_) => "object",
        }))
    };
    rows.text(0)?.iter().map(kind).collect()
}

fn columns(rows: &Rows) -> Result<Vec<JsonColumn>> {
    (0..rows.width()).map(|i| JsonColumn::of(rows.array(i))).collect()
}

fn wrong(why: &str) -> DataFusionError {
    Error::query(why).into()
}

/// Values that become JSON.
struct JsonColumn {
    array: ArrayRef,
    kind: Kind,
}

enum Kind {
    Nothing,
    /// Stands as it is.
    Json(StringArray),
    Text(StringArray),
    /// In arrow's words.
    Number(StringArray),
    Boolean,
    /// In arrow's words and quotes.
    Other(StringArray),
    /// Items, of which a row has those between two places.
    List(Box<JsonColumn>),
    Row(Vec<(String, JsonColumn)>),
}

impl JsonColumn {
    fn of(array: &ArrayRef) -> Result<Self> {
        let text =
            |array: &ArrayRef| -> Result<StringArray> { Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone()) };
        let array = match array.data_type() {
            DataType::Dictionary(_, of) => cast(array, of)?,
            DataType::LargeList(item) | DataType::FixedSizeList(item, _) => cast(array, &DataType::List(item.clone()))?,
            _ => array.clone(),
        };
        let kind = match array.data_type() {
            DataType::Null => Kind::Nothing,
            DataType::Boolean => Kind::Boolean,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Kind::Text(text(&array)?),
            DataType::List(_) => Kind::List(Box::new(Self::of(array.as_list::<i32>().values())?)),
            DataType::Struct(fields) if *fields == *JSON_FIELDS => Kind::Json(text(array.as_struct().column(0))?),
            DataType::Struct(fields) => {
                let columns = fields.iter().zip(array.as_struct().columns());
                let named = |(field, column): (&FieldRef, &ArrayRef)| -> Result<(String, Self)> {
                    Ok((field.name().clone(), Self::of(column)?))
                };
                Kind::Row(columns.map(named).collect::<Result<_>>()?)
            }
            number if number.is_numeric() => Kind::Number(shown(&array)?),
            _ => Kind::Other(shown(&array)?),
        };
        Ok(Self { array, kind })
    }

    /// False for NULL.
    fn is_there(&self, row: usize) -> bool {
        match &self.kind {
            Kind::Nothing => false,
            Kind::Json(texts) => texts.is_valid(row),
            _ => self.array.is_valid(row),
        }
    }

    fn written(&self, row: usize) -> Result<String> {
        let mut out = String::new();
        self.write(row, &mut out)?;
        Ok(out)
    }

    fn write(&self, row: usize, out: &mut String) -> Result<()> {
        if !self.is_there(row) {
            out.push_str("null");
            return Ok(());
        }
        match &self.kind {
            Kind::Nothing => out.push_str("null"),
            Kind::Json(texts) => out.push_str(texts.value(row)),
            Kind::Text(texts) => quoted(texts.value(row), out),
            Kind::Boolean => out.push_str(if self.array.as_boolean().value(row) { "true" } else { "false" }),
            Kind::Number(numbers) => {
                let number = numbers.value(row);
                // what is no number there is a text
                match number.parse::<f64>().is_ok_and(f64::is_finite) {
                    true => out.push_str(number.strip_suffix(".0").unwrap_or(number)),
                    false => quoted(number, out),
                }
            }
            Kind::Other(texts) => {
                let text = texts.value(row);
                let is_instant = matches!(self.array.data_type(), DataType::Timestamp(_, Some(_)));
                match text.strip_suffix('Z').filter(|_| is_instant) {
                    Some(clock) => quoted(&format!("{clock}+00:00"), out),
                    None => quoted(text, out),
                }
            }
            Kind::List(items) => {
                let offsets = self.array.as_list::<i32>().value_offsets();
                out.push('[');
                for (n, item) in (offsets[row]..offsets[row + 1]).enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    items.write(item as usize, out)?;
                }
                out.push(']');
            }
            Kind::Row(columns) => {
                out.push('{');
                for (n, (name, column)) in columns.iter().enumerate() {
                    out.push_str(if n > 0 { "," } else { "" });
                    quoted(name, out);
                    out.push(':');
                    column.write(row, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }

    /// A value as the key of an object.
    fn write_key(&self, row: usize, out: &mut String) -> Result<()> {
        if !self.is_there(row) {
            return Err(wrong("a key of an object is NULL"));
        }
        match &self.kind {
            Kind::Text(texts) | Kind::Number(texts) | Kind::Other(texts) => quoted(texts.value(row), out),
            Kind::Boolean => quoted(if self.array.as_boolean().value(row) { "true" } else { "false" }, out),
            Kind::Json(_) | Kind::List(_) | Kind::Row(_) | Kind::Nothing => {
                return Err(wrong("a key of an object is a list or a row; a key is one value"));
            }
        }
        out.push(':');
        Ok(())
    }
}

/// Values in arrow's words.
fn shown(array: &ArrayRef) -> Result<StringArray> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options)?;
    let text = |row: usize| -> Result<Option<String>> {
        match array.is_valid(row) {
            true => Ok(Some(formatter.value(row).try_to_string()?)),
            false => Ok(None),
        }
    };
    (0..array.len()).map(text).collect()
}

/// A text in JSON's quotes.
fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for sign in text.chars() {
        match sign {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            sign if u32::from(sign) < 0x20 => {
                // a text takes whatever is written to it
                let _ = write!(out, "\\u{:04x}", u32::from(sign));
            }
            sign => out.push(sign),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{
        BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, ListArray, TimestampMicrosecondArray,
    };
    use arrow::datatypes::Int32Type;

    use super::*;

    fn written(array: impl Array + 'static) -> String {
        JsonColumn::of(&(Arc::new(array) as ArrayRef)).unwrap().written(0).unwrap()
    }

    /// As PostgreSQL 15 writes them.
    #[test]
    fn values_as_json() {
        assert_eq!(written(StringArray::from(vec!["it's \"a\\b\"\n\u{1}ä"])), "\"it's \\\"a\\\\b\\\"\\n\\u0001ä\"");
        assert_eq!(written(Int64Array::from(vec![-7])), "-7");
        assert_eq!(written(Float64Array::from(vec![1.0])), "1");
        assert_eq!(written(Float64Array::from(vec![0.25])), "0.25");
        assert_eq!(written(Float64Array::from(vec![f64::NAN])), "\"NaN\"");
        let money = Decimal128Array::from(vec![1250]).with_precision_and_scale(10, 2).unwrap();
        assert_eq!(written(money), "12.50");
        assert_eq!(written(BooleanArray::from(vec![true])), "true");
        assert_eq!(written(Date32Array::from(vec![0])), "\"1970-01-01\"");
        assert_eq!(written(TimestampMicrosecondArray::from(vec![0])), "\"1970-01-01T00:00:00\"");
        let instant = TimestampMicrosecondArray::from(vec![0]).with_timezone("UTC");
        assert_eq!(written(instant), "\"1970-01-01T00:00:00+00:00\"");
        let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None])]);
        assert_eq!(written(list), "[1,null]");
        assert_eq!(written(Int64Array::from(vec![None])), "null");
        let names: ArrayRef = Arc::new(StringArray::from(vec!["{\"a\":1}"]));
        let known = StructArray::try_new(JSON_FIELDS.clone(), vec![names.clone()], None).unwrap();
        assert_eq!(written(known), "{\"a\":1}");
        let fields = Fields::from(vec![Field::new("x", DataType::Utf8, true)]);
        let row = StructArray::try_new(fields, vec![names], None).unwrap();
        assert_eq!(written(row), "{\"x\":\"{\\\"a\\\":1}\"}");
    }
}
