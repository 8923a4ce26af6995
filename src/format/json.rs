//! JSON: one array of objects, or one object a line. A key per column, NULL as null, numbers as numbers whatever their
//! size, NaN and infinities as null.

use std::io::Write;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use super::cell::{CellReader, distinct_names, prepare, write_json, write_json_text};
use super::encoder::Encoder;
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
        let columns = arrays.iter().map(|a| CellReader::new(a.as_ref())).collect::<Result<Vec<_>>>()?;
        let (mut line, mut cell) = (String::new(), String::new());
        for row in 0..batch.num_rows() {
            line.clear();
            if self.array {
                line.push_str(if self.rows == 0 { "\n" } else { ",\n" });
            }
            for (i, (key, column)) in self.keys.iter().zip(&columns).enumerate() {
                line.push(if i == 0 { '{' } else { ',' });
                line.push_str(key);
                write_json(column, row, &mut cell, &mut line)?;
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

fn keys(schema: &SchemaRef) -> Vec<String> {
    let key = |name: &String| {
        let mut key = String::new();
        write_json_text(name, &mut key);
        key + ":"
    };
    distinct_names(schema).iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::BTreeSet;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use arrow::datatypes::{DataType, Field, Schema};
    use serde_json::Value;

    use super::super::samples::{all_types, empty, hostile, render};
    use super::super::{Format, TextStyle};
    use super::distinct_names;

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let field = |name: &str| Field::new(name, DataType::Int64, true);
        let schema = Arc::new(Schema::new(vec![field("a"), field("a"), field("a_2"), field("a")]));
        let values = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
        let batch = RecordBatch::try_new(schema, (1..5).map(values).collect()).unwrap();
        let text = render(Format::Ndjson, TextStyle::default(), &batch);
        assert_eq!(text.trim(), r#"{"a":1,"a_3":2,"a_2":3,"a_4":4}"#);
    }

    /// In a moment: each goes on from the number of the one before.
    #[test]
    fn thousands_of_columns_of_one_name_are_told_apart() {
        const COUNT: usize = 20_000;
        let fields: Vec<Field> = (0..COUNT).map(|_| Field::new("a", DataType::Int64, true)).collect();
        let names = distinct_names(&Arc::new(Schema::new(fields)));
        assert_eq!((names[0].as_str(), names[1].as_str()), ("a", "a_2"));
        assert_eq!(names[COUNT - 1], format!("a_{COUNT}"));
        assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), COUNT);
    }

    #[test]
    fn json_of_all_types() {
        let text = render(Format::Json, TextStyle::default(), &all_types());
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
        let rows: Vec<Value> = serde_json::from_str(&render(Format::Json, TextStyle::default(), &batch)).unwrap();
        let texts = arrow::array::AsArray::as_string::<i32>(batch.column(0));
        for (row, text) in rows.iter().zip(texts.iter()) {
            assert_eq!(row["text"].as_str(), text);
        }
    }

    #[test]
    fn lines_and_nothing() {
        let text = render(Format::Ndjson, TextStyle::default(), &hostile());
        assert!(text.lines().all(|l| serde_json::from_str::<Value>(l).is_ok()));
        assert_eq!(render(Format::Json, TextStyle::default(), &empty()), "[]\n");
        assert_eq!(render(Format::Ndjson, TextStyle::default(), &empty()), "");
    }
}
