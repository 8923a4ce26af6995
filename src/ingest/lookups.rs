//! Lookup tables of a delivery (`browser`, `country`, ...) become tables of the lake: columns `id` and `name`.
//!
//! In: rows of `NAME.tsv`. The lake keeps the union over all deliveries; of two names of one id the one loaded last stays.
//! A table that would not change is not written.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::execution::context::SessionContext;
use rejoin_instances::planning;

use crate::lake::retry::Retry;
use crate::lake::scan::LakeTable;
use crate::lake::store::is_table_name;
use crate::lake::tables;
use crate::lake::write::{discard_uncommitted, write_plain};
use crate::lake::{Change, Lake, Snapshot};
use crate::{Error, Result};

/// Name of a table to its rows.
pub type Lookups = BTreeMap<String, BTreeMap<String, String>>;

/// Names of lists that are no lookups, besides those of the lake's own tables.
const NO_LOOKUPS: [&str; 3] = ["report_suites", "data_sources", "information_schema"];

/// True when a lookup of this name can become a table: a plain lower-case name that is not one of ours.
pub fn can_be_table(name: &str) -> bool {
    is_table_name(name) && !tables::is_reserved(name) && !NO_LOOKUPS.contains(&name)
}

/// Adds the rows to the lake's lookup tables, one commit each.
pub async fn publish(lake: &Lake, lookups: &Lookups) -> Result<()> {
    for (name, rows) in lookups.iter().filter(|(_, rows)| !rows.is_empty()) {
        publish_one(lake, name, rows).await.map_err(|e| e.at(format!("lookup {name}")))?;
    }
    Ok(())
}

async fn publish_one(lake: &Lake, name: &str, rows: &BTreeMap<String, String>) -> Result<()> {
    let mut retry = Retry::default();
    loop {
        let snapshot = Snapshot::open(lake, name, None).await?;
        let mut all = read(lake, &snapshot).await?;
        let before = all.len();
        let mut changed = false;
        for (id, label) in rows {
            changed |= all.insert(id.clone(), label.clone()).is_none_or(|former| former != *label);
        }
        if !changed && all.len() == before {
            return Ok(());
        }
        let ids: StringArray = all.keys().map(|id| Some(id.as_str())).collect();
        let names: StringArray = all.values().map(|label| Some(label.as_str())).collect();
        let batch = RecordBatch::try_new(schema(), vec![Arc::new(ids), Arc::new(names)])?;
        drop(all);
        let file = write_plain(lake, name, &[batch], HashMap::new()).await?;
        let add: Vec<_> = file.into_iter().collect();
        let columns = schema().fields().iter().map(|f| f.as_ref().clone()).collect();
        let change = Change { add: add.clone(), remove: snapshot.files.clone(), columns };
        match snapshot.commit(lake, change).await {
            Ok(_) => return Ok(()),
            Err(error) => {
                discard_uncommitted(lake, name, &add.iter().collect::<Vec<_>>()).await;
                retry.after(error).await?;
            }
        }
    }
}

fn schema() -> SchemaRef {
    let text = |name| Field::new(name, DataType::Utf8, true);
    Arc::new(Schema::new(vec![text("id"), text("name")]))
}

async fn read(lake: &Lake, snapshot: &Snapshot) -> Result<BTreeMap<String, String>> {
    let mut rows = BTreeMap::new();
    if snapshot.files.is_empty() {
        return Ok(rows);
    }
    let context = SessionContext::new();
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let table = LakeTable::new(lake.clone(), Arc::new(snapshot.clone()), snapshot.schema.clone());
    let columns = context.read_table(Arc::new(table))?.select_columns(&["id", "name"])?;
    for batch in planning::collect(columns).await? {
        let column = |i: usize| {
            arrow::compute::cast(batch.column(i), &DataType::Utf8)
                .map(|c| StringArray::from(c.to_data()))
                .map_err(Error::from)
        };
        let (ids, names) = (column(0)?, column(1)?);
        let pairs = ids.iter().zip(names.iter());
        rows.extend(pairs.filter_map(|(id, name)| Some((id?.to_string(), name.unwrap_or_default().to_string()))));
    }
    Ok(rows)
}
