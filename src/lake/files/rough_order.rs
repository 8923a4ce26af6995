//! Rows of a batch in the rough order of their keys, before they are kept for the sort.
//!
//! Inputs have their rows in the order of time, so that the rows of one visitor are spread over all batches, and each value that is
//! gathered for the lake's order would be a wait for memory. Here the rows of a batch are ordered by parts of the keys, while the batch
//! is in the processor's caches, and on any thread. The rows that are next in the lake's order are then close to each other in every
//! batch, and those of a bucket are one range.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, FieldRef, Float64Type, Int64Type, UInt32Type};

use super::layout::BUCKETS;
use crate::Result;
use crate::columns::VISITOR_KEY;

/// Equal parts of all keys; each bucket has a number of them.
const PARTS: usize = 256;

/// The same rows, ordered by the parts of their keys; the rows of a part stay in the order that they have. None where all rows are in
/// this order already, and where no column has the keys.
pub fn in_rough_order(batch: &RecordBatch) -> Result<Option<RecordBatch>> {
    let keys = batch.column_by_name(VISITOR_KEY).and_then(|column| column.as_primitive_opt::<Int64Type>());
    let Some(rows) = keys.and_then(|keys| rows_by_part(keys.values())) else { return Ok(None) };
    let schema = batch.schema();
    let ordered = |(field, column): (&FieldRef, &ArrayRef)| match column.null_count() == column.len() {
        // many columns share one array of NULLs; of keys the numbers count also where they are NULL
        true if field.name() != VISITOR_KEY => Ok(column.clone()),
        // any order is the same
        false if is_one_value(column) => Ok(column.clone()),
        _ => take(column, &rows, None),
    };
    let columns = schema.fields().iter().zip(batch.columns()).map(ordered).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(RecordBatch::try_new(schema, columns)?))
}

/// True where all rows have one value. Costs little where they have not.
pub(super) fn is_one_value(array: &dyn Array) -> bool {
    if array.null_count() > 0 || array.is_empty() {
        return false;
    }
    if let Some(coded) = array.as_dictionary_opt::<UInt32Type>() {
        let keys = coded.keys().values();
        return coded.values().null_count() == 0 && keys.iter().all(|key| *key == keys[0]);
    }
    match array.data_type() {
        DataType::Utf8 => {
            let texts = array.as_string::<i32>();
            let first = texts.value(0);
            (1..texts.len()).all(|row| texts.value(row) == first)
        }
        DataType::Int64 => {
            let numbers = array.as_primitive::<Int64Type>().values();
            numbers.iter().all(|number| *number == numbers[0])
        }
        DataType::Float64 => {
            let numbers = array.as_primitive::<Float64Type>().values();
            numbers.iter().all(|number| number.to_bits() == numbers[0].to_bits())
        }
        DataType::Boolean => matches!(array.as_boolean().true_count(), n if n == 0 || n == array.len()),
        _ => false,
    }
}

/// The numbers of the rows in the order of the parts of their keys; None where that is the order that they have.
fn rows_by_part(keys: &[i64]) -> Option<UInt32Array> {
    if keys.is_sorted_by_key(|key| part_of(*key)) {
        return None;
    }
    let mut ends = [0_usize; PARTS + 1];
    keys.iter().for_each(|key| ends[part_of(*key) + 1] += 1);
    let mut count = 0;
    for end in &mut ends {
        count += *end;
        *end = count;
    }
    // a part ends where it begins, until its rows come
    let mut rows = vec![0_u32; keys.len()];
    for (row, key) in (0_u32..).zip(keys) {
        let end = &mut ends[part_of(*key)];
        rows[*end] = row;
        *end += 1;
    }
    Some(UInt32Array::from(rows))
}

/// The part of a key, from the lowest key to the highest.
fn part_of(key: i64) -> usize {
    const { assert!(PARTS.is_power_of_two() && PARTS >= BUCKETS) }
    let unsigned = (key as u64) ^ (1 << 63);
    (unsigned >> (u64::BITS - PARTS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray, new_null_array};
    use arrow::buffer::NullBuffer;
    use arrow::compute::{cast, concat_batches};

    use super::*;
    use crate::distinct_texts::coded_type;
    use crate::lake::layout::bucket_of;

    /// Rows with these keys; each value tells its row.
    fn batch(keys: &[i64]) -> RecordBatch {
        let rows = || 0..keys.len();
        let texts: ArrayRef = Arc::new(rows().map(|row| Some(format!("text {}", row % 7))).collect::<StringArray>());
        let few: ArrayRef = Arc::new(rows().map(|row| (row % 5 > 0).then_some(row as f64)).collect::<Float64Array>());
        let columns: [(&str, ArrayRef); 6] = [
            (VISITOR_KEY, Arc::new(Int64Array::from(keys.to_vec()))),
            ("row", Arc::new(rows().map(|row| Some(row as i64)).collect::<Int64Array>())),
            ("coded", cast(&texts, &coded_type()).unwrap()),
            ("few", few),
            ("odd", Arc::new(rows().map(|row| Some(row % 2 == 1)).collect::<BooleanArray>())),
            ("none", new_null_array(&DataType::Utf8, keys.len())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// Keys from all over.
    fn spread(count: usize) -> Vec<i64> {
        (0..count as i64).map(|n| (n / 3).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)).collect()
    }

    #[test]
    fn rows_are_ordered_by_parts_and_stay_in_order_within() {
        let ends = vec![i64::MAX, i64::MIN, 0, -1, i64::MIN, 0, i64::MAX];
        for keys in [spread(5000), spread(4), ends] {
            let rows = batch(&keys);
            let mut expected: Vec<usize> = (0..keys.len()).collect();
            expected.sort_by_key(|row| part_of(keys[*row]));
            let expected: Vec<RecordBatch> = expected.iter().map(|row| rows.slice(*row, 1)).collect();
            let expected = concat_batches(&rows.schema(), &expected).unwrap();
            let found = in_rough_order(&rows).unwrap().unwrap();
            assert_eq!(found.schema(), rows.schema());
            for (found, expected) in found.columns().iter().zip(expected.columns()) {
                let plain = |column: &ArrayRef| match column.as_any_dictionary_opt() {
                    Some(_) => cast(column, &DataType::Utf8).unwrap(),
                    None => column.clone(),
                };
                assert_eq!(&plain(found), &plain(expected));
            }
            // those of a bucket are one range
            let found_keys = found.column(0).as_primitive::<Int64Type>().values();
            assert!(found_keys.is_sorted_by_key(|key| bucket_of(*key)));
            assert!(in_rough_order(&found).unwrap().is_none(), "they are in order now");
        }
    }

    /// Columns with one value in all rows stay as they are, which spares a copy.
    #[test]
    fn one_value_has_every_order() {
        let same = |texts: &[Option<&str>]| is_one_value(&StringArray::from(texts.to_vec()));
        assert!(same(&[Some("a"), Some("a")]) && !same(&[Some("a"), Some("b")]));
        assert!(!same(&[Some("a"), None]) && !same(&[]));
        let coded = |keys: Vec<Option<u32>>, texts: Vec<Option<&str>>| -> ArrayRef {
            Arc::new(DictionaryArray::new(UInt32Array::from(keys), Arc::new(StringArray::from(texts))))
        };
        let two = || vec![Some("a"), Some("b")];
        assert!(is_one_value(&coded(vec![Some(1), Some(1)], two())));
        assert!(!is_one_value(&coded(vec![Some(1), Some(0)], two())));
        assert!(!is_one_value(&coded(vec![Some(1), None], two())));
        assert!(!is_one_value(&coded(vec![Some(0), Some(0)], vec![None])));
        let keys = spread(500);
        let ones: Vec<(&str, ArrayRef)> = vec![
            (VISITOR_KEY, Arc::new(Int64Array::from(keys))),
            ("true", Arc::new(BooleanArray::from(vec![true; 500]))),
            ("number", Arc::new(Int64Array::from(vec![7; 500]))),
            ("amount", Arc::new(Float64Array::from(vec![0.5; 500]))),
            ("text", coded(vec![Some(1); 500], two())),
        ];
        let rows = RecordBatch::try_from_iter(ones).unwrap();
        let ordered = in_rough_order(&rows).unwrap().unwrap();
        assert_eq!(ordered.columns()[1..], rows.columns()[1..]);
        assert_ne!(ordered.column(0), rows.column(0));
        let is_shared = |column: usize| Arc::ptr_eq(ordered.column(column), rows.column(column));
        assert!((1..5).all(is_shared) && !is_shared(0));
    }

    /// Tables of the user's own may have rows without a key.
    #[test]
    fn keys_that_are_null_are_ordered_like_the_rest() {
        let keys = Int64Array::new(spread(100).into(), Some(NullBuffer::new_null(100)));
        let rows = batch(&spread(100));
        let mut columns = vec![(VISITOR_KEY, Arc::new(keys) as ArrayRef)];
        columns.push(("row", rows.column(1).clone()));
        let found = in_rough_order(&RecordBatch::try_from_iter(columns).unwrap()).unwrap().unwrap();
        assert!(in_rough_order(&found).unwrap().is_none());
        assert_eq!(found.column(1), in_rough_order(&rows).unwrap().unwrap().column(1));
    }

    #[test]
    fn what_is_in_order_is_left_alone() {
        for keys in [vec![], vec![7], vec![9, 7, 8, 7], vec![i64::MIN, -1, 0, i64::MAX]] {
            assert!(in_rough_order(&batch(&keys)).unwrap().is_none(), "{keys:?}");
        }
        let keyless = batch(&spread(100)).project(&[1, 2]).unwrap();
        assert!(in_rough_order(&keyless).unwrap().is_none());
    }

    #[test]
    fn parts_nest_in_buckets() {
        let width = (u64::MAX / PARTS as u64).wrapping_add(1);
        for part in 0..PARTS {
            let first = ((part as u64 * width) ^ (1 << 63)) as i64;
            let last = first.wrapping_add((width - 1) as i64);
            assert_eq!((part_of(first), part_of(last)), (part, part));
            let bucket = part * BUCKETS / PARTS;
            assert_eq!((bucket_of(first), bucket_of(last)), (bucket, bucket));
        }
    }
}
