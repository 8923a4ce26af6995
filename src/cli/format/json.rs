//! JSON: one array of objects, or one object a line. A key per column, NULL as null, numbers as numbers whatever their
//! size, NaN and infinities as null.

use std::fmt::Write as _;
use std::io::Write;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, SchemaRef};

use super::Encoder;
use super::cell::{Class, Column, names, plain, prepare};
use super::width::is_unprintable;
use crate::Result;

/// Writes an array or lines of objects.
pub struct Json<'a> {
    out: &'a mut (dyn Write + Send),
    /// `"name":` of every column.
    keys: Vec<String>,
    array: bool,
    rows: u64,
}

impl<'a> Json<'a> {
    /// One array; writes its opening bracket.
    pub fn array(schema: &SchemaRef, out: &'a mut (dyn Write + Send)) -> Result<Self> {
        out.write_all(b"[")?;
        Ok(Self { out, keys: keys(schema), array: true, rows: 0 })
    }

    /// One object a line.
    pub fn lines(schema: &SchemaRef, out: &'a mut (dyn Write + Send)) -> Self {
        Self { out, keys: keys(schema), array: false, rows: 0 }
    }
}

impl Encoder for Json<'_> {
    fn rows(&mut self, batch: &RecordBatch) -> Result<()> {
        let arrays = prepare(batch)?;
        let columns = arrays.iter().map(|a| Column::new(a.as_ref())).collect::<Result<Vec<_>>>()?;
        let (mut line, mut cell) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            if self.array {
                line.push_str(if self.rows == 0 { "\n" } else { ",\n" });
            }
            for (i, (key, column)) in self.keys.iter().zip(&columns).enumerate() {
                line.push(if i == 0 { '{' } else { ',' });
                line.push_str(key);
                write_value(column, row, &mut cell, &mut line)?;
            }
            line.push_str(if self.array { "}" } else { "}\n" });
            self.rows += 1;
            self.out.write_all(line.as_bytes())?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<()> {
        if self.array {
            self.out.write_all(if self.rows == 0 { b"]\n" } else { b"\n]\n" })?;
        }
        Ok(())
    }
}

/// Appends a list, struct or map value as JSON; the cell is not NULL.
pub fn write_nested(array: &dyn Array, row: usize, out: &mut String) -> Result<()> {
    match array.data_type() {
        DataType::List(_) => write_list(array.as_list::<i32>().value(row), out),
        DataType::LargeList(_) => write_list(array.as_list::<i64>().value(row), out),
        DataType::FixedSizeList(..) => write_list(array.as_fixed_size_list().value(row), out),
        DataType::ListView(_) => write_list(array.as_list_view::<i32>().value(row), out),
        DataType::LargeListView(_) => write_list(array.as_list_view::<i64>().value(row), out),
        DataType::Struct(fields) => {
            let values = array.as_struct();
            out.push('{');
            for (i, (field, column)) in fields.iter().zip(values.columns()).enumerate() {
                if i > 0 {
                    out.push(',');
                }
                write_text(field.name(), out);
                out.push(':');
                write_one(&column.slice(row, 1), 0, out)?;
            }
            out.push('}');
            Ok(())
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let (keys, values) = (plain(entries.column(0))?, plain(entries.column(1))?);
            let keys = Column::new(keys.as_ref())?;
            out.push('{');
            for i in 0..entries.len() {
                if i > 0 {
                    out.push(',');
                }
                let mut key = String::new();
                keys.write(i, &mut key)?;
                write_text(&key, out);
                out.push(':');
                write_one(&values, i, out)?;
            }
            out.push('}');
            Ok(())
        }
        // unions have no JSON of their own: arrow's text, quoted
        _ => {
            write_text(&arrow::util::display::array_value_to_string(array, row)?, out);
            Ok(())
        }
    }
}

fn write_list(values: ArrayRef, out: &mut String) -> Result<()> {
    out.push('[');
    for i in 0..values.len() {
        if i > 0 {
            out.push(',');
        }
        write_one(&values, i, out)?;
    }
    out.push(']');
    Ok(())
}

fn write_one(array: &ArrayRef, row: usize, out: &mut String) -> Result<()> {
    let array = plain(&array.slice(row, 1))?;
    write_value(&Column::new(array.as_ref())?, 0, &mut String::new(), out)
}

fn write_value(column: &Column<'_>, row: usize, cell: &mut String, out: &mut String) -> Result<()> {
    if column.is_null(row) || column.is_no_json_number(row) {
        out.push_str("null");
        return Ok(());
    }
    if column.class != Class::Text {
        return column.write(row, out);
    }
    cell.clear();
    column.write(row, cell)?;
    write_text(cell, out);
    Ok(())
}

/// A JSON string; what could drive a terminal is escaped, too.
fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        // writing to a String cannot fail
        let _ = match c {
            '"' => out.write_str("\\\""),
            '\\' => out.write_str("\\\\"),
            '\n' => out.write_str("\\n"),
            '\r' => out.write_str("\\r"),
            '\t' => out.write_str("\\t"),
            // all of them lie in the basic plane, so one \u holds them
            c if is_unprintable(c) => write!(out, "\\u{:04x}", u32::from(c)),
            c => out.write_char(c),
        };
    }
    out.push('"');
}

fn keys(schema: &SchemaRef) -> Vec<String> {
    let key = |name: &String| {
        let mut key = String::new();
        write_text(name, &mut key);
        key + ":"
    };
    names(schema).iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::Value;

    use super::super::samples::{all_types, empty, hostile, render};
    use super::super::{Format, Look};

    #[test]
    fn json_of_all_types() {
        let text = render(Format::Json, Look::default(), &all_types());
        let first = text.lines().nth(1).unwrap();
        let expected = concat!(
            r#"{"boolean":true,"int8":-8,"int64":9223372036854775807,"uint64":18446744073709551615,"float32":0.1,"#,
            r#""float64":500,"tiny":1.5e-9,"huge":-2e21,"exact":0.30000000000000004,"zero":0,"nan":null,"#,
            r#""decimal":90000000000000000000000000000000000000,"money":-12.05,"utf8":"plain","large":"large","#,
            r#""view":"a view longer than twelve bytes","dictionary":"word","binary":"cafe","date":"2026-09-01","#,
            r#""time":"01:02:03","utc":"2026-09-21T14:13:20.123456Z","berlin":"2026-09-21T14:13:20.123456Z","#,
            r#""whole":"2026-09-21T14:13:20Z","local":"2026-09-21T14:13:20","list":[1,null],"#,
            r#""structure":{"x":2,"y":null},"map":{"a":1},"null":null},"#,
        );
        assert_eq!(first, expected);
        let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
        assert!(rows[1].as_object().unwrap().values().all(|v| v.is_null()), "{}", rows[1]);
    }

    #[test]
    fn hostile_text_comes_back_as_it_was() {
        let batch = hostile();
        let rows: Vec<Value> = serde_json::from_str(&render(Format::Json, Look::default(), &batch)).unwrap();
        let texts = arrow::array::AsArray::as_string::<i32>(batch.column(0));
        for (row, text) in rows.iter().zip(texts.iter()) {
            assert_eq!(row["text"].as_str(), text);
        }
    }

    #[test]
    fn lines_and_nothing() {
        let text = render(Format::Ndjson, Look::default(), &hostile());
        assert!(text.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
        assert_eq!(render(Format::Json, Look::default(), &empty()), "[]\n");
        assert_eq!(render(Format::Ndjson, Look::default(), &empty()), "");
    }
}
