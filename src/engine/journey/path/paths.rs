//! The paths of one visitor's conversions, and of its journeys without one, in batches.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListBuilder, RecordBatch, StringBuilder};
use datafusion::error::Result;
use xxhash_rust::xxh3::xxh3_128;

use super::node::PathSpec;
use super::shown::{ROWS_PER_BATCH, groups};
use super::walked::{Numbered, Walked};

/// Items that make a batch, where paths are long.
const ITEMS_PER_BATCH: usize = 1 << 20;

/// The paths of one visitor.
pub(super) struct Paths {
    spec: PathSpec,
    rows: RecordBatch,
    walked: Walked,
    left: std::vec::IntoIter<Numbered>,
    /// Of journeys without a conversion.
    unconverted: std::vec::IntoIter<Vec<u32>>,
    /// The paths of each journey that have been told, by group: a journey counts once for each.
    told: HashSet<(u32, u32, u128)>,
}

impl Paths {
    /// Of the rows of one visitor.
    pub fn new(spec: PathSpec, rows: RecordBatch, unconverted: bool) -> Result<Self> {
        let mut walked = Walked::new(&spec.journey, &rows)?;
        let left = walked.numbered().into_iter();
        let others = if unconverted { walked.unconverted() } else { vec![] };
        Ok(Self { spec, rows, walked, left, unconverted: others.into_iter(), told: HashSet::new() })
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let (mut rows, mut conversions, mut values, mut journeys) = (vec![], vec![], vec![], vec![]);
        let (mut paths, mut items) = (ListBuilder::new(StringBuilder::new()), 0);
        while rows.len() < ROWS_PER_BATCH && items < ITEMS_PER_BATCH {
            let path = if let Some(conversion) = self.left.next() {
                let (path, group, visit) = self.walked.path(&conversion);
                let bytes: Vec<u8> = path.iter().flat_map(|item| item.to_le_bytes()).collect();
                let is_new = self.told.insert((group, visit, xxh3_128(&bytes)));
                rows.push(conversion.row);
                conversions.push(1);
                values.push(conversion.value);
                journeys.push(i64::from(is_new));
                path
            } else if let Some(path) = self.unconverted.next() {
                rows.push(0);
                conversions.push(0);
                values.push(0.0);
                journeys.push(1);
                path
            } else {
                break;
            };
            items += path.len();
            path.iter().for_each(|item| paths.values().append_option(self.walked.item_name(*item)));
            paths.append(true);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let mut columns = groups(&self.spec, &self.rows, rows.into_iter())?;
        columns.extend([
            Arc::new(paths.finish()) as ArrayRef,
            Arc::new(Int64Array::from(conversions)),
            Arc::new(Float64Array::from(values)),
            Arc::new(Int64Array::from(journeys)),
        ]);
        Ok(Some(RecordBatch::try_new(self.spec.output(), columns)?))
    }
}

impl Iterator for Paths {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
