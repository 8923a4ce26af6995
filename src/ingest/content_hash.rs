//! A hash of each row's content, from which rows without a hit id get their order: it does not depend on the order of
//! files or rows, so that the same data in other files gives the same result.
//!
//! Part of the storage format: it must never change.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::distinct_texts::coded_texts;
use crate::{Error, Result};

/// One hash a row, over the columns by their names; NULLs count as absent, so a column without values changes nothing.
pub fn hash_rows(batch: &RecordBatch) -> Result<Vec<u64>> {
    let schema = batch.schema();
    let mut order: Vec<usize> = (0..batch.num_columns()).collect();
    order.sort_by_key(|&i| schema.field(i).name().clone());
    let mut hashes = vec![0_u64; batch.num_rows()];
    for index in order {
        let seed = xxh3_64_with_seed(schema.field(index).name().as_bytes(), 0);
        hash_column(batch.column(index), seed, &mut hashes)
            .map_err(|e| e.at(format!("column {}", schema.field(index).name())))?;
    }
    Ok(hashes)
}

fn hash_column(column: &dyn Array, seed: u64, hashes: &mut [u64]) -> Result<()> {
    let mut add = |row: usize, bytes: &[u8]| hashes[row] = xxh3_64_with_seed(bytes, hashes[row] ^ seed);
    let nulls = column.nulls();
    let rows = (0..column.len()).filter(|&row| nulls.is_none_or(|nulls| nulls.is_valid(row)));
    if let Some((coded, texts)) = coded_texts(column) {
        let keys = coded.keys();
        rows.for_each(|row| add(row, texts.value(keys.value(row) as usize).as_bytes()));
        return Ok(());
    }
    match column.data_type() {
        DataType::Utf8 => {
            let texts = column.as_string::<i32>();
            rows.for_each(|row| add(row, texts.value(row).as_bytes()));
        }
        DataType::Float64 => {
            let numbers = column.as_primitive::<Float64Type>();
            // 0 and -0 are one number
            rows.for_each(|row| add(row, &(numbers.value(row) + 0.0).to_bits().to_le_bytes()));
        }
        DataType::Int64 => {
            let numbers = column.as_primitive::<Int64Type>();
            rows.for_each(|row| add(row, &numbers.value(row).to_le_bytes()));
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let times = column.as_primitive::<TimestampMicrosecondType>();
            rows.for_each(|row| add(row, &times.value(row).to_le_bytes()));
        }
        DataType::Boolean => {
            let flags = column.as_boolean();
            rows.for_each(|row| add(row, &[u8::from(flags.value(row))]));
        }
        other => return Err(Error::bug(format!("a column of type {other} has no content hash"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};
    use arrow::compute::cast;

    use super::*;
    use crate::distinct_texts::coded_type;

    fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
        RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
    }

    #[test]
    fn content_alone_counts() {
        let text = |v: Vec<Option<&str>>| Arc::new(StringArray::from(v)) as ArrayRef;
        let number = |v: Vec<f64>| Arc::new(Float64Array::from(v)) as ArrayRef;
        let one = hash_rows(&batch(vec![("a", text(vec![Some("x"), None])), ("b", number(vec![0.0, 1.0]))])).unwrap();
        let other = hash_rows(&batch(vec![
            ("b", number(vec![1.0, -0.0])),
            ("c", text(vec![None, None])),
            ("a", text(vec![None, Some("x")])),
        ]))
        .unwrap();
        assert_eq!(one, [other[1], other[0]]);
        assert_ne!(one[0], one[1]);
        // texts are those that they are, however they are kept
        let coded = cast(&text(vec![Some("x"), None]), &coded_type()).unwrap();
        assert_eq!(one, hash_rows(&batch(vec![("a", coded), ("b", number(vec![0.0, 1.0]))])).unwrap());
        // a value that changes its column changes the row
        let moved = hash_rows(&batch(vec![("c", text(vec![Some("x")])), ("b", number(vec![0.0]))])).unwrap();
        assert_ne!(moved[0], one[0]);
    }
}
