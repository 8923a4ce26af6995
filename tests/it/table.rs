//! Query results as text: doubles as short as they can be, instants as ISO 8601, NULL, and empty text as `(empty)`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float64Type, SchemaRef};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use futures::TryStreamExt;
use rejoin::engine::Engine;

/// Columns and rows of one statement.
pub async fn rows(engine: &Engine, sql: &str) -> rejoin::Result<(SchemaRef, Vec<Vec<String>>)> {
    let running = engine.run(sql).await?;
    let batches: Vec<_> = running.rows.try_collect().await?;
    let mut rows = vec![];
    for batch in batches {
        let columns: Vec<_> = batch.columns().iter().map(cells).collect();
        rows.extend((0..batch.num_rows()).map(|r| columns.iter().map(|c| c[r].clone()).collect::<Vec<_>>()));
    }
    Ok((running.schema, rows))
}

/// The values of a column.
pub fn cells(column: &ArrayRef) -> Vec<String> {
    let options = FormatOptions::default()
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.f"))
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.f%:z"));
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).unwrap();
    (0..column.len())
        .map(|row| match column.data_type() {
            _ if column.is_null(row) => "NULL".into(),
            // + 0: there is no minus zero for a reader
            DataType::Float64 => (column.as_primitive::<Float64Type>().value(row) + 0.0).to_string(),
            _ => match formatter.value(row).to_string() {
                text if text.is_empty() => "(empty)".into(),
                text if matches!(column.data_type(), DataType::Timestamp(_, Some(_))) => text.replace("+00:00", "Z"),
                text => text,
            },
        })
        .collect()
}
