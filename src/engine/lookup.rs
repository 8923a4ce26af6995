//! Lookup tables as classifications: the first column is a dimension, each other column makes items of its values.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};

use crate::error::did_you_mean;
use crate::functions::Classes;
use crate::{Error, Result};

/// A lookup table in memory.
#[derive(Debug)]
pub struct Lookup {
    name: String,
    /// The dimension that it classifies.
    pub key: String,
    classes: BTreeMap<String, Classes>,
}

impl Lookup {
    /// From the rows of the table `name`; of two rows of one value the last counts. With `folded`, values are one that differ
    /// only in case.
    pub fn new(name: &str, schema: &SchemaRef, batches: &[RecordBatch], folded: bool) -> Result<Self> {
        let mut columns = schema.fields().iter().map(|f| f.name().clone());
        let key = columns.next().unwrap_or_default();
        let mut classes = BTreeMap::new();
        for (column, of) in columns.enumerate().map(|(n, name)| (n + 1, name)) {
            let mut pairs = vec![];
            for batch in batches {
                let [keys, values] = [0, column].map(|n| cast(batch.column(n), &DataType::Utf8));
                let (keys, values) = (keys?, values?);
                let rows = keys.as_string::<i32>().iter().zip(values.as_string::<i32>());
                pairs.extend(rows.filter_map(|(key, value)| Some((key?.to_string(), value?.to_string()))));
            }
            classes.insert(of, Classes::new(pairs, folded));
        }
        Ok(Self { name: name.into(), key, classes })
    }

    /// The classes that a column holds.
    pub fn classes(&self, column: &str) -> Result<Classes> {
        self.classes.get(column).cloned().ok_or_else(|| {
            let hint = did_you_mean(column, self.classes.keys().map(String::as_str));
            Error::query(format!("the lookup table {} has no class {column}{hint}", self.name))
        })
    }
}

/// The table of a text that may name a column of a lookup table: `table.column`.
pub fn table_of(text: &str) -> Option<&str> {
    let (table, _) = text.split_once('.')?;
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    (table.starts_with(|c: char| c.is_ascii_lowercase()) && table.bytes().all(plain)).then_some(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_in_texts() {
        assert_eq!(
            ["campaigns.channel", "orders", "1.5 days", "B.c", "it's.x"].map(table_of),
            [Some("campaigns"), None, None, None, None]
        );
    }
}
