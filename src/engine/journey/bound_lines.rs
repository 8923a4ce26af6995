//! The product lines of a batch, with the values that are bound to their products.

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray, StringArray};
use arrow::datatypes::Float64Type;
use datafusion::error::{DataFusionError, Result};

/// The product lines of a batch.
#[derive(Debug)]
pub(super) struct BoundLines {
    pub lists: ListArray,
    pub products: StringArray,
    pub values: StringArray,
    pub amounts: Float64Array,
}

impl BoundLines {
    /// Of lists of a product, the value bound to it, and its amount.
    pub fn new(column: &ArrayRef) -> Result<Self> {
        let lists = column.as_list_opt::<i32>().cloned();
        let lists = lists.ok_or_else(|| DataFusionError::Internal("product lines are a list".into()))?;
        let lines = lists.values().as_struct();
        let [products, values] = [0, 1].map(|n| lines.column(n).as_string::<i32>().clone());
        let amounts = lines.column(2).as_primitive::<Float64Type>().clone();
        Ok(Self { lists, products, values, amounts })
    }

    /// The lines of a row.
    pub fn of(&self, row: usize) -> Range<usize> {
        match self.lists.is_valid(row) {
            true => self.lists.value_offsets()[row] as usize..self.lists.value_offsets()[row + 1] as usize,
            false => 0..0,
        }
    }
}
