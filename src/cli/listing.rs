//! Small tables for people, made column by column.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringBuilder, TimestampMicrosecondArray};
use chrono::{DateTime, Utc};

use crate::Result;

/// A table in the making; every column has a value a row.
#[derive(Default)]
pub struct Listing(Vec<(&'static str, ArrayRef)>);

impl Listing {
    /// A table without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// A column of texts.
    pub fn text<T: AsRef<str>>(self, name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        let mut column = StringBuilder::new();
        values.into_iter().for_each(|value| column.append_value(value.as_ref()));
        self.with(name, Arc::new(column.finish()))
    }

    /// A column of numbers.
    pub fn number(self, name: &'static str, values: impl IntoIterator<Item = i64>) -> Self {
        self.with(name, Arc::new(Int64Array::from_iter_values(values)))
    }

    /// A column of instants, shown to the second.
    pub fn time(self, name: &'static str, values: impl IntoIterator<Item = Option<DateTime<Utc>>>) -> Self {
        let micros = values.into_iter().map(|t| t.map(|t| t.timestamp() * 1_000_000));
        self.with(name, Arc::new(TimestampMicrosecondArray::from_iter(micros).with_timezone("UTC")))
    }

    /// The table.
    pub fn batch(self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_from_iter_with_nullable(self.0.into_iter().map(|(n, a)| (n, a, true)))?)
    }

    fn with(mut self, name: &'static str, array: ArrayRef) -> Self {
        self.0.push((name, array));
        self
    }
}
