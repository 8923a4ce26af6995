//! How rows are in the lake: buckets are equal ranges of `visitor_key`, a file holds one bucket and is sorted by
//! `(visitor_key, visitor_id, hit_time, hit_seq)`.
//!
//! The visitor id follows its key so that two visitors with one 64-bit key stay two. Where a bucket is read in parts, or written as
//! several files, these are equal ranges of its keys.

use std::sync::Arc;

use arrow::compute::SortOptions;
use arrow::datatypes::Schema;
use datafusion::common::{ScalarValue, SplitPoint};
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::expressions::{binary, col, lit};
use datafusion::physical_expr::{LexOrdering, PhysicalExpr, PhysicalSortExpr, RangePartitioning};
use datafusion::physical_plan::Partitioning;

use crate::Result;
use crate::columns::{HIT_SEQ, HIT_TIME, VISITOR_ID, VISITOR_KEY};

/// Number of buckets of every sorted table; part of the storage format.
pub const BUCKETS: usize = 8;

/// The order of rows in a file.
pub const ORDER: [&str; 4] = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ];

/// Tag of a file with its bucket's number; a file without it was written by somebody else.
pub const TAG_BUCKET: &str = "rejoin.bucket";
/// Tag of a file with a part of its bucket: which of how many, and the name of its set, see `parts`.
pub const TAG_PART: &str = "rejoin.part";
/// Tag with the loads whose rows are in the file, see `loads`.
pub const TAG_LOADS: &str = "rejoin.loads";
/// Tag with the source of an offline file.
pub const TAG_SOURCE: &str = "rejoin.source";
/// Tag with the suite of all rows.
pub const TAG_SUITE: &str = "rejoin.suite";
/// Tag with a hash of all rows of a table that is written whole.
pub const TAG_CONTENT: &str = "rejoin.content";
/// Tag of a file of kept customer IDs with the commit that it came with, which all files of that commit have.
pub const TAG_GENERATION: &str = "rejoin.generation";
/// Tag of such a file that says in which way hits were read.
pub const TAG_READING: &str = "rejoin.reading";
/// Tag of one file of such a commit with the loads of hits that its files tell of.
pub const TAG_TELLS_OF: &str = "rejoin.tells_of";
/// Tag of a file some of whose rows have hit ids: how many of its rows are the hit that the row before them is, see `repeats`.
pub const TAG_REPEATS: &str = "rejoin.repeats";
/// Tag of a file some of whose rows have a key of the user's own.
pub const TAG_KEYED: &str = "rejoin.keyed";
/// Tag of a file whose keys tell visitors apart, in it and together with others: the names of all, see `unique_keys`.
pub const TAG_UNIQUE_KEYS: &str = "rejoin.apart";
/// Tag of a file some of whose rows have no visitor.
pub const TAG_NOBODY: &str = "rejoin.nobody";
/// Tag of a file of hits all of which are reported: its name, see `reported`.
pub const TAG_REPORTED: &str = "rejoin.reported";
/// Tag that says how visits are known: `given`, `mapped` or `computed`.
pub const TAG_VISITS: &str = "rejoin.visits";

/// The bucket of a visitor key: equal ranges of the signed 64-bit numbers.
pub fn bucket_of(visitor_key: i64) -> usize {
    let unsigned = (visitor_key as u64) ^ (1 << 63);
    (unsigned / (u64::MAX / BUCKETS as u64 + 1)) as usize
}

/// An expression that has one value for each bucket, over rows of `schema`.
pub fn bucket_expr(schema: &Schema) -> Result<Arc<dyn PhysicalExpr>> {
    const { assert!(BUCKETS.is_power_of_two()) }
    let shift = lit(64 - i64::from(BUCKETS.trailing_zeros()));
    Ok(binary(col(VISITOR_KEY, schema)?, Operator::BitwiseShiftRight, shift, schema)?)
}

/// The declared order of a scan with these columns, when it has all of them.
pub fn ordering(schema: &Schema) -> Option<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: false };
    let exprs = ORDER.iter().map(|name| Some(PhysicalSortExpr::new(col(name, schema).ok()?, options)));
    LexOrdering::new(exprs.collect::<Option<Vec<_>>>()?)
}

/// What is left of the order of a scan that reads the visitor's key, but not all columns of the order.
pub fn visitor_ordering(schema: &Schema) -> Option<LexOrdering> {
    let options = SortOptions { descending: false, nulls_first: false };
    LexOrdering::new([PhysicalSortExpr::new(col(VISITOR_KEY, schema).ok()?, options)])
}

/// The lowest key of a range, where all keys are cut into so many; a power of two, so that ranges nest in the buckets, or buckets in
/// them.
pub fn first_key(range: usize, ranges: usize) -> i64 {
    // all keys are one more than a number holds, which 0 stands for
    let width = (u64::MAX / ranges as u64).wrapping_add(1);
    ((range as u64 * width) ^ (1 << 63)) as i64
}

/// The declared partitioning: one partition a range. `Range`, never `Hash`, which DataFusion takes for its own hash.
pub fn partitioning(schema: &Schema, ranges: usize) -> Result<Partitioning> {
    let options = SortOptions { descending: false, nulls_first: false };
    let key = PhysicalSortExpr::new(col(VISITOR_KEY, schema)?, options);
    let split = |range: usize| SplitPoint::new(vec![ScalarValue::Int64(Some(first_key(range, ranges)))]);
    let order = LexOrdering::new([key]).expect("one expression is not empty");
    Ok(Partitioning::Range(RangePartitioning::try_new(order, (1..ranges).map(split).collect())?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;

    use super::*;

    #[test]
    fn buckets_cover_all_keys_in_order() {
        assert_eq!(bucket_of(i64::MIN), 0);
        assert_eq!(bucket_of(-1), BUCKETS / 2 - 1);
        assert_eq!(bucket_of(0), BUCKETS / 2);
        assert_eq!(bucket_of(i64::MAX), BUCKETS - 1);
    }

    #[test]
    fn ranges_nest_in_buckets() {
        for ranges in [1, 2, 4, BUCKETS, 2 * BUCKETS, 64, 1024] {
            for range in 0..ranges {
                let first = first_key(range, ranges);
                assert_eq!(bucket_of(first), range * BUCKETS / ranges, "range {range} of {ranges}");
                assert!(range == 0 || first_key(range - 1, ranges) < first, "range {range} of {ranges}");
            }
            assert_eq!(first_key(0, ranges), i64::MIN);
        }
    }

    #[test]
    fn an_expression_tells_buckets_apart() {
        let width = u64::MAX / BUCKETS as u64 + 1;
        let edges = (0..BUCKETS as u64).flat_map(|i| [i * width, i * width + 7, i * width + (width - 1)]);
        let keys: Vec<i64> = edges.map(|edge| (edge ^ (1 << 63)) as i64).collect();
        let rows = RecordBatch::try_from_iter([(VISITOR_KEY, Arc::new(Int64Array::from(keys.clone())) as ArrayRef)]);
        let rows = rows.unwrap();
        let values = bucket_expr(&rows.schema()).unwrap().evaluate(&rows).unwrap().into_array(keys.len()).unwrap();
        let values = values.as_primitive::<Int64Type>().values().to_vec();
        for (key, value) in keys.iter().zip(&values) {
            for (other, of_other) in keys.iter().zip(&values) {
                assert_eq!(value == of_other, bucket_of(*key) == bucket_of(*other), "{key} {other}");
            }
        }
    }
}
