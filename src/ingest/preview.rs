//! What would be loaded: how full each column is, and a few rows, for `--validate`.

use arrow::array::{Array, RecordBatch};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::Serialize;

use crate::Result;
use crate::columns::{EXCLUDE_HIT, FILE, HIT_SEQ, HIT_SOURCE, PERSISTED, SUITE, VISITOR_KEY};

/// Rows that are shown.
pub const SAMPLE_ROWS: usize = 3;

/// Columns that are the same for all rows, or that nobody mapped.
const OURS: [&str; 12] = [
    SUITE,
    FILE,
    VISITOR_KEY,
    HIT_SEQ,
    HIT_SOURCE,
    EXCLUDE_HIT,
    PERSISTED,
    "source",
    "kind",
    "received",
    "has_time",
    "row",
];

/// The columns of the rows that would be loaded.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Preview {
    /// Rows.
    pub rows: u64,
    /// Columns, in the order of the rows.
    pub columns: Vec<PreviewColumn>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct PreviewColumn {
    /// Its name.
    pub name: String,
    /// Rows that have a value.
    pub filled: u64,
    /// The values of the first rows.
    pub first: Vec<Option<String>>,
}

impl Preview {
    /// Adds rows.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        let wanted = SAMPLE_ROWS.saturating_sub(self.rows as usize).min(batch.num_rows());
        let before = SAMPLE_ROWS.min(self.rows as usize);
        let schema = batch.schema();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            if OURS.contains(&field.name().as_str()) {
                continue;
            }
            let at = self.columns.iter().position(|column| column.name == *field.name()).unwrap_or_else(|| {
                let first = vec![None; before];
                self.columns.push(PreviewColumn { name: field.name().clone(), filled: 0, first });
                self.columns.len() - 1
            });
            let column = &mut self.columns[at];
            column.filled += (array.len() - array.null_count()) as u64;
            let options = FormatOptions::default();
            let formatter = ArrayFormatter::try_new(array, &options)?;
            for row in 0..wanted {
                column.first.push(array.is_valid(row).then(|| formatter.value(row).to_string()));
            }
        }
        let rows = before + wanted;
        self.columns.iter_mut().for_each(|column| column.first.resize(rows, None));
        self.rows += batch.num_rows() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[test]
    fn columns_may_come_later() {
        let text = |v: Vec<Option<&str>>| Arc::new(StringArray::from(v)) as ArrayRef;
        let batch = |columns: Vec<(&str, ArrayRef)>| {
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, c)| (n, c, true))).unwrap()
        };
        let mut preview = Preview::default();
        preview.add(&batch(vec![("file", text(vec![Some("x")])), ("a", text(vec![Some("1")]))])).unwrap();
        let number = Arc::new(Float64Array::from(vec![None, Some(2.0), Some(3.0)])) as ArrayRef;
        preview.add(&batch(vec![("a", text(vec![None, Some("2"), None])), ("b", number)])).unwrap();
        let shown: Vec<_> = preview.columns.iter().map(|c| (c.name.as_str(), c.filled, c.first.clone())).collect();
        let some = |t: &str| Some(t.to_string());
        assert_eq!(shown, [("a", 2, vec![some("1"), None, some("2")]), ("b", 2, vec![None, None, some("2.0")])]);
        assert_eq!(preview.rows, 4);
    }
}
