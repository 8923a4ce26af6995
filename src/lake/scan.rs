//! A table of the lake as DataFusion reads it.
//!
//! When a query asks for all columns of the order, the scan gives one partition a bucket, sorted, and declares it, so
//! that whatever works visitor by visitor needs no shuffle and no sort. Otherwise it is an ordinary parallel scan.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::CachedParquetFileReaderFactory;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::scalar::ScalarValue;

use super::layout::{self, BUCKETS, ORDER, TAG_BUCKET, TAG_SUITE};
use super::merge::SortedMergeExec;
use super::prune::{Visitors, with_visitor_keys};
use super::{DataFile, Lake, Snapshot};
use crate::columns::SUITE;

/// Full batches that a merge of any number of generations may hold per bucket.
const MERGED_BATCHES: usize = 4;

/// A table at one version, optionally only its rows of one suite.
#[derive(Debug, Clone)]
pub struct LakeTable {
    lake: Lake,
    snapshot: Arc<Snapshot>,
    schema: SchemaRef,
}

impl LakeTable {
    /// The table with the columns of `schema`: those of the snapshot, and others that read as NULL.
    pub fn new(lake: Lake, snapshot: Arc<Snapshot>, schema: SchemaRef) -> Self {
        Self { lake, snapshot, schema }
    }

    /// The files that may hold rows for which `filters` are true.
    pub fn files_for(&self, filters: &[Expr]) -> Vec<&DataFile> {
        let suites: Vec<&str> = filters.iter().filter_map(suite_of).collect();
        let visitors = Visitors::of(filters);
        self.snapshot
            .files
            .iter()
            .filter(|f| match f.tags.get(TAG_SUITE) {
                Some(suite) => suites.iter().all(|s| s == suite),
                None => true,
            })
            .filter(|f| visitors.may_be_in(f))
            .collect()
    }

    /// A scan of `groups`; with `batch_rows`, one group a bucket, whose order and partitioning are declared.
    fn leaf(
        &self,
        state: &dyn Session,
        groups: Vec<Vec<&DataFile>>,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        batch_rows: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let runtime = state.runtime_env();
        let cache = runtime.cache_manager.get_file_metadata_cache();
        let mut options: TableParquetOptions = state.default_table_options().parquet;
        options.global = state.config_options().execution.parquet.clone();
        let mut source = ParquetSource::new(self.schema.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(Arc::new(CachedParquetFileReaderFactory::new(
                self.lake.store().clone(),
                cache,
            )));
        if let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
            source = source.with_predicate(state.create_physical_expr(filter, &schema)?);
        }
        let rows: Option<u64> = groups.iter().flatten().map(|f| f.rows).sum();
        let mut statistics = Statistics::new_unknown(&self.schema);
        statistics.num_rows = rows.map_or(Precision::Absent, |n| Precision::Exact(n as usize));
        let groups = groups
            .iter()
            .map(|files| {
                FileGroup::new(files.iter().map(|f| PartitionedFile::new(f.path.to_string(), f.size)).collect())
            })
            .collect();
        let mut config = FileScanConfigBuilder::new(self.lake.store_url(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics)
            .with_batch_size(batch_rows)
            .with_projection_indices(projection.cloned())?;
        if batch_rows.is_some()
            && let Some(order) = layout::ordering(&self.schema)
        {
            config = config
                .with_output_ordering(vec![order])
                .with_output_partitioning(Some(layout::partitioning(&self.schema)?));
        }
        Ok(DataSourceExec::from_data_source(config.build()))
    }
}

/// The suite that a filter asks for, when it is `suite = 'x'`.
fn suite_of(filter: &Expr) -> Option<&str> {
    let Expr::BinaryExpr(BinaryExpr { left, op: Operator::Eq, right }) = filter else { return None };
    let (Expr::Column(column), Expr::Literal(value, _)) = (left.as_ref(), right.as_ref()) else { return None };
    match value {
        ScalarValue::Utf8(Some(suite)) | ScalarValue::Utf8View(Some(suite)) if column.name == SUITE => Some(suite),
        _ => None,
    }
}

#[async_trait]
impl TableProvider for LakeTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> datafusion::error::Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        _limit: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let files = self.files_for(filters);
        let filters = &with_visitor_keys(filters, &files);
        let projected = match projection {
            Some(indices) => Arc::new(self.schema.project(indices)?),
            None => self.schema.clone(),
        };
        let wants_order = ORDER.iter().all(|name| projected.index_of(name).is_ok());
        let ours = files.iter().all(|f| f.tags.contains_key(TAG_BUCKET));
        if files.is_empty() && !wants_order {
            return Ok(Arc::new(EmptyExec::new(projected)));
        }
        if !wants_order || !ours {
            let mut groups = vec![vec![]; files.len().min(state.config().target_partitions()).max(1)];
            let count = groups.len();
            for (i, file) in files.into_iter().enumerate() {
                groups[i % count].push(file);
            }
            return self.leaf(state, groups, projection, filters, None);
        }
        let generations = generations(&files);
        // a merge holds a batch of every generation: many generations, small batches
        let rows = state.config().batch_size();
        let rows = (rows * MERGED_BATCHES / generations.len().max(1)).clamp(rows.min(256), rows);
        let children = generations
            .into_iter()
            .map(|groups| self.leaf(state, groups, projection, filters, Some(rows)))
            .collect::<datafusion::error::Result<Vec<_>>>()?;
        if children.len() == 1 {
            return Ok(children.into_iter().next().expect("one child"));
        }
        let order = layout::ordering(&projected).expect("all columns of the order are projected");
        Ok(Arc::new(SortedMergeExec::new(children, order)))
    }
}

/// Deals the files out so that every generation has at most one file a bucket; there is at least one generation.
fn generations<'a>(files: &[&'a DataFile]) -> Vec<Vec<Vec<&'a DataFile>>> {
    let mut buckets: Vec<Vec<&DataFile>> = vec![vec![]; BUCKETS];
    for file in files {
        let bucket = file.tags.get(TAG_BUCKET).and_then(|b| b.parse::<usize>().ok()).unwrap_or_default();
        buckets[bucket.min(BUCKETS - 1)].push(file);
    }
    let depth = buckets.iter().map(Vec::len).max().unwrap_or(0).max(1);
    (0..depth).map(|g| buckets.iter().map(|b| b.get(g).copied().into_iter().collect()).collect()).collect()
}
