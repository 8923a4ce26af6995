//! Reads rows of some visitors a second time, from files that a plan has named, in the process that executes it.
//!
//! In: keys of visitors. Out: a scan for each bucket that has some of them. In a bucket with few keys, row groups and pages without them are
//! skipped; with more keys, only their rows are decoded. Where they are so many that this would take longer than it saves, all rows are
//! read. The caller finds out which of the rows it wants.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::object_store::ObjectStoreUrl;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::{col, in_list, lit};
use datafusion::physical_plan::ExecutionPlan;
use object_store::path::Path;
use serde::{Deserialize, Serialize};

use super::layout::{TAG_BUCKET, bucket_of};
use super::parts::KeyRange;
use super::ranges::{FOOTER_BYTES, file_at};
use super::reading::AccountedReaders;
use crate::columns::VISITOR_KEY;
use crate::lake::DataFile;

/// Keys of a bucket up to which their rows alone are unpacked. Of up to 20 of them, DataFusion passes over pages.
const FEW_KEYS: usize = 2_000;

/// Files in which rows can be looked up, in the order in which they were named.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupFiles {
    store: String,
    files: Vec<LookupFile>,
}

/// A file of a bucket, or of a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LookupFile {
    /// The lowest key that it may have.
    first: i64,
    /// The highest, inclusive.
    last: i64,
    path: String,
    bytes: u64,
}

impl LookupFiles {
    /// Files of ours, in a store.
    pub(super) fn new(store: &ObjectStoreUrl, files: &[&DataFile]) -> Self {
        let known = |file: &&DataFile| {
            let KeyRange { first, last } = KeyRange::of_tags(&file.tags);
            LookupFile { first, last, path: file.path.to_string(), bytes: file.size }
        };
        let ours = files.iter().filter(|file| file.tags.contains_key(TAG_BUCKET));
        Self { store: store.as_str().to_string(), files: ours.map(known).collect() }
    }

    /// Scans of one partition, which together give the columns `fields`, the visitor's key among them, of all rows with `keys`,
    /// and may give others. A row comes once; rows of one file come in its order.
    pub fn scans(
        &self,
        keys: &[i64],
        fields: Vec<Field>,
        context: &TaskContext,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let schema = Arc::new(Schema::new(fields));
        let url = ObjectStoreUrl::parse(&self.store)?;
        let runtime = context.runtime_env();
        let readers = Arc::new(AccountedReaders::new(runtime.object_store(&url)?, &runtime));
        let global = context.session_config().options().execution.parquet.clone();
        let options = TableParquetOptions { global, ..TableParquetOptions::default() };
        let source = ParquetSource::new(schema.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_BYTES)
            .with_parquet_file_reader_factory(readers);
        let mut buckets: BTreeMap<usize, Vec<i64>> = BTreeMap::new();
        for key in keys {
            buckets.entry(bucket_of(*key)).or_default().push(*key);
        }
        let mut scans: Vec<Arc<dyn ExecutionPlan>> = vec![];
        for mut keys in buckets.into_values() {
            keys.sort_unstable();
            let next_from = |first: i64| keys.get(keys.partition_point(|key| *key < first));
            let own = self.files.iter().filter(|file| next_from(file.first).is_some_and(|key| *key <= file.last));
            let own = own.map(|file| Ok(file_at(Path::parse(&file.path)?, file.bytes)));
            let invalid = |source| object_store::Error::InvalidPath { source };
            let own: Vec<_> = own.collect::<Result<_, object_store::path::Error>>().map_err(invalid)?;
            if own.is_empty() {
                continue;
            }
            let mut source = source.clone();
            if keys.len() <= FEW_KEYS {
                let keys = keys.into_iter().map(lit).collect();
                let wanted = in_list(col(VISITOR_KEY, &schema)?, keys, &false, &schema)?;
                source = source.with_predicate(wanted).with_pushdown_filters(true);
            }
            let config = FileScanConfigBuilder::new(url.clone(), Arc::new(source)).with_file_group(FileGroup::new(own));
            scans.push(DataSourceExec::from_data_source(config.with_preserve_order(true).build()));
        }
        Ok(scans)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray};
    use arrow::datatypes::{Decimal128Type, Int64Type};
    use datafusion::prelude::SessionContext;
    use futures::TryStreamExt;
    use parquet::arrow::ArrowWriter;

    use super::*;
    use crate::columns::{HIT_SEQ, VISITOR_ID, key_field, sequence};
    use crate::lake::Lake;
    use crate::lake::layout::BUCKETS;

    /// The key and the number of each row, in order.
    fn rows() -> Vec<(i64, i64)> {
        let mut keys: Vec<i64> = (0..300_i64).map(|n| n.wrapping_mul(0x1E37_79B9_7F4A_7C15)).collect();
        keys.sort_unstable();
        let of_visitor = |(place, key): (usize, i64)| std::iter::repeat_n(key, 1 + place * 7 % 5);
        keys.into_iter().enumerate().flat_map(of_visitor).zip(0..).collect()
    }

    /// A file a bucket.
    fn files(lake: &Lake, folder: &std::path::Path, rows: &[(i64, i64)]) -> Vec<DataFile> {
        let fields = [VISITOR_KEY, VISITOR_ID, HIT_SEQ].map(|name| key_field(name).unwrap());
        let schema = Arc::new(Schema::new(fields.to_vec()));
        std::fs::create_dir_all(folder.join("hits")).unwrap();
        let file = |bucket: usize| {
            let own: Vec<(i64, i64)> = rows.iter().copied().filter(|(key, _)| bucket_of(*key) == bucket).collect();
            let sequences: Decimal128Array = own.iter().map(|(_, row)| Some(i128::from(*row))).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(own.iter().map(|(key, _)| Some(*key)).collect::<Int64Array>()),
                Arc::new(own.iter().map(|(key, _)| Some(format!("visitor {key}"))).collect::<StringArray>()),
                Arc::new(sequences.with_data_type(sequence())),
            ];
            let mut writer = ArrowWriter::try_new(vec![], schema.clone(), None).unwrap();
            writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
            let bytes: Vec<u8> = writer.into_inner().unwrap();
            let relative = format!("{bucket}.parquet");
            std::fs::write(folder.join("hits").join(&relative), &bytes).unwrap();
            DataFile {
                path: lake.file_path("hits", &relative).unwrap(),
                relative,
                size: bytes.len() as u64,
                rows: Some(own.len() as u64),
                hit_time: None,
                tags: [(TAG_BUCKET.to_string(), bucket.to_string())].into(),
            }
        };
        (0..BUCKETS).map(file).collect()
    }

    #[tokio::test]
    async fn rows_of_keys_are_found_in_their_buckets_once() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let files = files(&lake, folder.path(), &rows);
        let lookup = LookupFiles::new(&lake.store_url(), &files.iter().collect::<Vec<_>>());
        // as it comes to another process
        let lookup: LookupFiles = serde_json::from_str(&serde_json::to_string(&lookup).unwrap()).unwrap();
        let session = SessionContext::new();
        session.register_object_store(lake.store_url().as_ref(), lake.store().clone());
        let all: Vec<i64> = rows.iter().map(|(key, _)| *key).step_by(2).collect();
        // nobody has these, of the first bucket, whose rows are all read for them
        let many: Vec<i64> = (0..3_000).map(|n| i64::MIN + n).chain([rows[0].0]).collect();
        for (keys, exact) in
            [(&all[..0], true), (&all[3..4], true), (&all[..40], true), (&all[..], true), (&many[..], false)]
        {
            let fields = [VISITOR_KEY, VISITOR_ID, HIT_SEQ].map(|name| key_field(name).unwrap());
            let scans = lookup.scans(keys, fields.to_vec(), &session.task_ctx()).unwrap();
            let mut buckets: Vec<usize> = keys.iter().map(|key| bucket_of(*key)).collect();
            buckets.sort_unstable();
            buckets.dedup();
            assert_eq!(scans.len(), buckets.len());
            let mut found: Vec<(i64, i64)> = vec![];
            for scan in scans {
                let batches: Vec<RecordBatch> =
                    scan.execute(0, session.task_ctx()).unwrap().try_collect().await.unwrap();
                for batch in batches {
                    let ids = batch.column(1).as_string::<i32>();
                    let sequences = batch.column(2).as_primitive::<Decimal128Type>();
                    for (row, key) in batch.column(0).as_primitive::<Int64Type>().values().iter().enumerate() {
                        assert_eq!(ids.value(row), format!("visitor {key}"));
                        found.push((*key, sequences.value(row) as i64));
                    }
                }
            }
            let expected: Vec<(i64, i64)> = rows.iter().copied().filter(|(key, _)| keys.contains(key)).collect();
            match exact {
                true => assert_eq!(found, expected),
                false => assert_eq!(found.len(), rows.iter().filter(|(key, _)| bucket_of(*key) == 0).count()),
            }
            assert!(expected.iter().all(|row| found.contains(row)));
        }
    }
}
