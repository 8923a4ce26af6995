//! How many rows a batch has: fewer where they are wide, so that batches of many inputs fit into memory together.

use std::sync::Arc;

use arrow::datatypes::{DataType, Schema};
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool};

/// What a text takes as a rule, with its place: many are short or empty.
const TEXT_BYTES: usize = 20;

/// A batch takes one of so many parts of the memory that a partition has.
const BATCH_PART: usize = 64;

/// Rows of a batch at least, however wide they are.
const LEAST_ROWS: usize = 32;

/// What a row of these columns takes as a rule.
pub(super) fn row_bytes(schema: &Schema) -> usize {
    schema.fields().iter().map(|field| value_bytes(field.data_type())).sum()
}

fn value_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::Boolean => 1,
        DataType::Dictionary(code, _) => value_bytes(code),
        other => other.primitive_width().unwrap_or(TEXT_BYTES),
    }
}

/// Rows of a batch of these columns, `most` or fewer, where so many partitions share the memory of a pool.
pub fn rows_that_fit(schema: &Schema, most: usize, pool: &Arc<dyn MemoryPool>, partitions: usize) -> usize {
    let MemoryLimit::Finite(limit) = pool.memory_limit() else { return most };
    let bytes = limit / BATCH_PART / partitions.max(1);
    most.min((bytes / row_bytes(schema).max(1)).max(LEAST_ROWS))
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::Field;
    use datafusion::execution::memory_pool::{GreedyMemoryPool, UnboundedMemoryPool};

    use super::*;

    fn schema(texts: usize) -> Schema {
        let text = |number: usize| Field::new(format!("text_{number}"), DataType::Utf8, true);
        let number = Field::new("number", DataType::Int64, false);
        Schema::new([number].into_iter().chain((0..texts).map(text)).collect::<Vec<_>>())
    }

    #[test]
    fn wide_rows_come_in_small_batches() {
        let rows = |texts: usize, mebibytes: usize, partitions: usize| {
            let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(mebibytes << 20));
            rows_that_fit(&schema(texts), 8192, &pool, partitions)
        };
        assert_eq!(row_bytes(&schema(4)), 88);
        assert_eq!(rows(4, 1024, 8), 8192);
        // two mebibytes, a quarter of one
        assert_eq!(rows(100, 1024, 8), (2 << 20) / 2008);
        assert_eq!(rows(100, 128, 8), (1 << 18) / 2008);
        assert_eq!(rows(1000, 64, 64), LEAST_ROWS);
        let unbounded: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        assert_eq!(rows_that_fit(&schema(1000), 8192, &unbounded, 64), 8192);
        let small: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1));
        assert_eq!(rows_that_fit(&schema(4), 7, &small, 1), 7);
    }
}
