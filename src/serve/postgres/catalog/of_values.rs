//! Functions of Postgres over values, which clients call in questions about catalogs: `format`, `_pg_expandarray`.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Builder, ListArray, StringArray, StructArray, UInt32Builder, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use crate::quote::{literal, quoted_where_needed};

/// The rows of an array: its items, each with its number from 1.
pub const EXPANDED: &str = "_pg_expandarray";

/// Both functions.
pub fn functions() -> [ScalarUDF; 2] {
    let any = |types| Signature::new(types, Volatility::Immutable);
    [
        ScalarUDF::from(Format { signature: any(TypeSignature::VariadicAny) }),
        ScalarUDF::from(Expanded { signature: any(TypeSignature::Any(1)) }),
    ]
}

/// `format('%I.%I', schema, name)`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Format {
    signature: Signature,
}

impl ScalarUDFImpl for Format {
    fn name(&self) -> &str {
        "format"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Utf8)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let texts = args.args.iter().map(|value| {
            let array = value.to_array(args.number_rows)?;
            Ok(cast(&array, &DataType::Utf8)?.as_string::<i32>().clone())
        });
        let texts = texts.collect::<Result<Vec<StringArray>>>()?;
        let Some((patterns, values)) = texts.split_first() else { return Err(wrong("it takes a pattern")) };
        let value = |column: &StringArray, row: usize| column.is_valid(row).then(|| column.value(row).to_string());
        let row = |row: usize| match patterns.is_null(row) {
            true => Ok(None),
            false => {
                let values: Vec<_> = values.iter().map(|column| value(column, row)).collect();
                formatted(patterns.value(row), &values).map(Some).map_err(|why| wrong(&why))
            }
        };
        let rows = (0..args.number_rows).map(row).collect::<Result<StringArray>>()?;
        Ok(ColumnarValue::Array(Arc::new(rows)))
    }
}

fn wrong(why: &str) -> DataFusionError {
    DataFusionError::Execution(format!("format: {why}"))
}

/// A pattern with values: `%s` as it is, `%I` as a name, `%L` as a text in quotes, `%%`; `%2$s` is the second, `%-10s` is filled.
fn formatted(pattern: &str, values: &[Option<String>]) -> Result<String, String> {
    let mut out = String::new();
    let (mut signs, mut next) = (pattern.chars().peekable(), 0);
    while let Some(sign) = signs.next() {
        if sign != '%' {
            out.push(sign);
            continue;
        }
        let mut digits = String::new();
        let (mut left, mut place) = (false, None);
        let kind = loop {
            match signs.next() {
                Some(digit) if digit.is_ascii_digit() => digits.push(digit),
                Some('-') => left = true,
                Some('$') if place.is_none() => {
                    place = std::mem::take(&mut digits).parse::<usize>().ok().and_then(|n| n.checked_sub(1));
                    if place.is_none() {
                        return Err("values are counted from 1".into());
                    }
                }
                Some(kind) => break kind,
                None => return Err("the pattern ends within a %".into()),
            }
        };
        if kind == '%' {
            out.push('%');
            continue;
        }
        let at = place.unwrap_or(next);
        next = at + 1;
        let value = values.get(at).ok_or("there are too few values")?;
        let text = match (kind, value) {
            ('s', value) => value.clone().unwrap_or_default(),
            ('I', Some(name)) => quoted_where_needed(name),
            ('I', None) => return Err("NULL is no name".into()),
            ('L', Some(text)) => literal(text),
            ('L', None) => "NULL".to_string(),
            (other, _) => return Err(format!("%{other} is not known; there are %s, %I and %L")),
        };
        let width = digits.parse::<usize>().unwrap_or(0).min(10_000);
        let blanks = " ".repeat(width.saturating_sub(text.chars().count()));
        out.push_str(&if left { text + &blanks } else { blanks + &text });
    }
    Ok(out)
}

/// `_pg_expandarray(array)` of `information_schema`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Expanded {
    signature: Signature,
}

fn row_type(item: &DataType) -> Fields {
    Fields::from(vec![Field::new("x", item.clone(), true), Field::new("n", DataType::Int32, false)])
}

fn rows_field(item: &DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(DataType::Struct(row_type(item)), true))
}

impl ScalarUDFImpl for Expanded {
    fn name(&self) -> &str {
        EXPANDED
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        let item = match arguments.first() {
            Some(DataType::List(item) | DataType::LargeList(item)) => item.data_type().clone(),
            Some(DataType::Null) => DataType::Null,
            other => return Err(DataFusionError::Plan(format!("{EXPANDED} takes an array, not {other:?}"))),
        };
        Ok(DataType::List(rows_field(&item)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some(array) = args.args.first() else {
            return Err(DataFusionError::Plan(format!("{EXPANDED} takes an array")));
        };
        let array = array.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(expanded(&array)?))
    }
}

fn expanded(array: &ArrayRef) -> Result<ArrayRef> {
    let list = match array.data_type() {
        DataType::List(_) => array.clone(),
        DataType::LargeList(item) => cast(array, &DataType::List(item.clone()))?,
        _ => return Ok(new_null_array(&DataType::List(rows_field(&DataType::Null)), array.len())),
    };
    let list = list.as_list::<i32>();
    let (mut numbers, mut places, mut lengths) = (Int32Builder::new(), UInt32Builder::new(), vec![]);
    for row in 0..list.len() {
        let (start, end) = (list.value_offsets()[row], list.value_offsets()[row + 1]);
        let length = if list.is_null(row) { 0 } else { end - start };
        for n in 0..length {
            numbers.append_value(n + 1);
            places.append_value((start + n) as u32);
        }
        lengths.push(length as usize);
    }
    let items = take(list.values(), &places.finish(), None)?;
    let fields = row_type(items.data_type());
    let field = rows_field(items.data_type());
    let rows = StructArray::try_new(fields, vec![items, Arc::new(numbers.finish())], None)?;
    let offsets = OffsetBuffer::from_lengths(lengths);
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(rows), list.nulls().cloned())?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    /// Expected texts are those of PostgreSQL 15.
    #[test]
    fn formats_of_postgres() {
        let values = [Some("a b".to_string()), None, Some("it's".to_string())];
        for (pattern, expected) in [
            ("%s|%s|%s", "a b||it's"),
            ("%I.%3$I", "\"a b\".\"it's\""),
            ("%L %L %L %%", "'a b' NULL 'it''s' %"),
            ("[%5s] [%1$-5s]", "[  a b] [a b  ]"),
        ] {
            assert_eq!(formatted(pattern, &values).unwrap(), expected, "{pattern}");
        }
        for wrong in ["%", "%d", "%4$s", "%2$I", "%s %s %s %s"] {
            assert!(formatted(wrong, &values).is_err(), "{wrong}");
        }
    }

    #[test]
    fn items_have_numbers() {
        use arrow::datatypes::Int64Type;
        let list =
            ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(7), Some(9)]), None, Some(vec![])]);
        let found = expanded(&(Arc::new(list) as ArrayRef)).unwrap();
        let found = found.as_list::<i32>();
        assert_eq!((found.value(0).len(), found.is_null(1), found.value(2).len()), (2, true, 0));
        let first = found.value(0);
        let numbers = first.as_struct().column(1).as_primitive::<arrow::datatypes::Int32Type>().clone();
        assert_eq!(numbers.values(), &[1, 2]);
    }
}
