//! Rows by what they hold: equal rows have equal numbers of 128 bits, others have others.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use arrow::row::{RowConverter, SortField};
use xxhash_rust::xxh3::xxh3_128;

use crate::Result;

/// Numbers the rows of batches of one schema.
pub struct RowHash(RowConverter);

impl RowHash {
    /// Of batches with these columns.
    pub fn new(schema: &Schema) -> Result<Self> {
        let fields = schema.fields().iter().map(|field| SortField::new(field.data_type().clone()));
        Ok(Self(RowConverter::new(fields.collect())?))
    }

    /// The number of each row.
    pub fn of(&self, batch: &RecordBatch) -> Result<Vec<u128>> {
        let rows = self.0.convert_columns(batch.columns())?;
        Ok(rows.iter().map(|row| xxh3_128(row.as_ref())).collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[test]
    fn equal_rows_have_equal_numbers() {
        let texts = Arc::new(StringArray::from(vec![Some("a"), None, Some(""), Some("a"), None])) as ArrayRef;
        let numbers = Arc::new(Float64Array::from(vec![Some(1.0), Some(1.0), Some(1.0), Some(1.0), None])) as ArrayRef;
        let batch = RecordBatch::try_from_iter([("text", texts), ("number", numbers)]).unwrap();
        let of = RowHash::new(&batch.schema()).unwrap();
        let all = of.of(&batch).unwrap();
        assert_eq!(all[0], all[3]);
        let distinct: std::collections::BTreeSet<u128> = all.iter().copied().collect();
        assert_eq!(distinct.len(), 4);
        assert_eq!(of.of(&batch.slice(2, 2)).unwrap(), all[2..4]);
    }
}
