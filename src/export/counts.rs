//! What the ledger says of an export, counted: how many conversions the target has, and why others are not sent.

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use serde::Serialize;

use super::definition::Export;
use super::saved::for_suite;
use crate::Result;
use crate::engine::{Engine, EngineSettings};
use crate::lake::Lake;
use crate::quote::literal;

/// Conversions of which the same was said last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// What was said.
    pub action: String,
    /// Why.
    pub reason: Option<String>,
    /// How many they are.
    pub conversions: i64,
}

/// Counts of an export, by action and reason.
pub async fn counts(lake: &Lake, export: &Export, settings: &EngineSettings) -> Result<Vec<Count>> {
    let engine = Engine::open(lake.clone(), for_suite(settings, export)).await?;
    let sql = format!(
        "SELECT action, reason, count(*) AS conversions FROM (
           SELECT action, reason, row_number() OVER (PARTITION BY event ORDER BY run DESC) AS nth FROM exports WHERE export = {}
         ) AS said WHERE nth = 1 GROUP BY action, reason ORDER BY action, reason",
        literal(&export.name)
    );
    let mut all = vec![];
    for batch in engine.collect(&sql).await? {
        let texts = [0, 1].map(|column| cast(batch.column(column), &DataType::Utf8));
        let [actions, reasons] = texts;
        let (actions, reasons) = (actions?, reasons?);
        let numbers = cast(batch.column(2), &DataType::Int64)?;
        for row in 0..batch.num_rows() {
            let text = |column: &arrow::array::ArrayRef| {
                let column = column.as_string::<i32>();
                arrow::array::Array::is_valid(column, row).then(|| column.value(row).to_string())
            };
            all.push(Count {
                action: text(&actions).unwrap_or_default(),
                reason: text(&reasons),
                conversions: numbers.as_primitive::<Int64Type>().value(row),
            });
        }
    }
    Ok(all)
}
