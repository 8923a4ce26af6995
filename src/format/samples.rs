//! Batches that the formats are tested with: every type with a value and a NULL, and text that wants to break out.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Fields, Int32Type, Schema};

use super::{Format, TextStyle};

/// The bytes that a format makes of a batch, fed in two parts.
pub fn bytes(format: Format, text_style: TextStyle, batch: &RecordBatch) -> Vec<u8> {
    let mut out = vec![];
    let mut encoder = format.encoder(&batch.schema(), text_style, &mut out).unwrap();
    let half = batch.num_rows() / 2;
    encoder.rows(&batch.slice(0, half)).unwrap();
    encoder.rows(&batch.slice(half, batch.num_rows() - half)).unwrap();
    encoder.finish().unwrap();
    out
}

/// The same, as text.
pub fn render(format: Format, text_style: TextStyle, batch: &RecordBatch) -> String {
    String::from_utf8(bytes(format, text_style, batch)).unwrap()
}

/// A row of values and a row of NULLs.
pub fn all_types() -> RecordBatch {
    let instant = 1_790_000_000_123_456_i64;
    let mut map = MapBuilder::new(None, StringBuilder::new(), Float64Builder::new());
    map.keys().append_value("a");
    map.values().append_value(1.0);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None]);
    let pair = Fields::from(vec![Field::new("x", DataType::Float64, true), Field::new("y", DataType::Utf8, true)]);
    let structure = StructArray::new(
        pair,
        vec![
            Arc::new(Float64Array::from(vec![Some(2.0), None])),
            Arc::new(StringArray::from(vec![None::<&str>, None])),
        ],
        Some(vec![true, false].into()),
    );
    let words: DictionaryArray<Int32Type> = [Some("word"), None].into_iter().collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("int8", Arc::new(Int8Array::from(vec![Some(-8), None]))),
        ("int64", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("uint64", Arc::new(UInt64Array::from(vec![Some(u64::MAX), None]))),
        ("float32", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("float64", Arc::new(Float64Array::from(vec![Some(500.0), None]))),
        ("tiny", Arc::new(Float64Array::from(vec![Some(1.5e-9), None]))),
        ("huge", Arc::new(Float64Array::from(vec![Some(-2e21), None]))),
        ("exact", Arc::new(Float64Array::from(vec![Some(0.1 + 0.2), None]))),
        ("zero", Arc::new(Float64Array::from(vec![Some(-0.0), None]))),
        ("nan", Arc::new(Float64Array::from(vec![Some(f64::NAN), None]))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![Some(9 * 10_i128.pow(37)), None]).with_precision_and_scale(38, 0).unwrap(),
            ),
        ),
        ("money", Arc::new(Decimal128Array::from(vec![Some(-1205), None]).with_precision_and_scale(10, 2).unwrap())),
        ("utf8", Arc::new(StringArray::from(vec![Some("plain"), None]))),
        ("large", Arc::new(LargeStringArray::from(vec![Some("large"), None]))),
        ("view", Arc::new(StringViewArray::from(vec![Some("a view longer than twelve bytes"), None]))),
        ("dictionary", Arc::new(words)),
        ("binary", Arc::new(BinaryArray::from_opt_vec(vec![Some(&[0xca, 0xfe]), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(20_697), None]))),
        ("time", Arc::new(Time64MicrosecondArray::from(vec![Some(3_723_000_000), None]))),
        ("utc", Arc::new(TimestampMicrosecondArray::from(vec![Some(instant), None]).with_timezone("UTC"))),
        ("berlin", Arc::new(TimestampMicrosecondArray::from(vec![Some(instant), None]).with_timezone("Europe/Berlin"))),
        ("whole", Arc::new(TimestampSecondArray::from(vec![Some(1_790_000_000), None]).with_timezone("+00:00"))),
        ("local", Arc::new(TimestampMillisecondArray::from(vec![Some(1_790_000_000_000), None]))),
        ("list", Arc::new(list)),
        ("structure", Arc::new(structure)),
        ("map", Arc::new(map.finish())),
        ("null", Arc::new(NullArray::new(2))),
    ];
    // a NULL type has no value to show
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// Texts that want to break out of their cell.
pub fn hostile() -> RecordBatch {
    let long = "x".repeat(300);
    let texts = vec![
        Some("say \"hi\""),
        Some("a,b"),
        Some("two\nlines"),
        Some(""),
        None,
        Some("tab\there"),
        Some("back\\slash"),
        Some("\x1b]0;title\x07\x1b[2J"),
        Some("c1 \u{9b}31m del \u{7f} nul \0"),
        Some("turn \u{202e} around"),
        Some("\u{2028}"),
        Some("🎉 東京 größe"),
        Some(long.as_str()),
    ];
    texts_of(texts)
}

/// No rows.
pub fn empty() -> RecordBatch {
    texts_of(vec![])
}

/// A small report with wide characters.
pub fn reach() -> RecordBatch {
    RecordBatch::try_from_iter([
        ("item", Arc::new(StringArray::from(vec![Some("東京"), Some("größe"), None, Some("a\tb")])) as ArrayRef),
        ("credit", Arc::new(Float64Array::from(vec![Some(500.0), Some(-0.25), None, Some(0.0)]))),
    ])
    .unwrap()
}

fn texts_of(texts: Vec<Option<&str>>) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("text", DataType::Utf8, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(texts))]).unwrap()
}
