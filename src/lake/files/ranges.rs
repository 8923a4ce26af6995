//! Ranges of visitors' keys, which the partitions of a sorted scan are: each a bucket, an equal part of one, or several buckets one
//! after the other.
//!
//! The range of a file whose bucket is read in parts stands in its partition values, so that it comes with the file to
//! whatever process reads it. Where the range lies in the file is known from its footer, which is read anyway: row groups and
//! pages without a key of the range are passed over. Rows are sorted by key, so that those of a range are one slice of a
//! batch.

use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::common::Statistics;
use datafusion::common::config::ConfigOptions;
use datafusion::common::stats::Precision;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::datasource::physical_plan::parquet::{ParquetAccessPlan, RowGroupAccess};
use datafusion::datasource::physical_plan::{
    FileGroup, FileScanConfig, FileScanConfigBuilder, FileSource, ParquetSource,
};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties, StatisticsArgs,
};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use futures::future::ready;
use futures::stream::once;
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics as ChunkStatistics;

use super::layout::{self, BUCKETS, ORDER};
use super::parts::KeyRange;
use super::prune::Visitors;
use super::reading::AccountedReaders;
use crate::columns::VISITOR_KEY;
use crate::lake::DataFile;
use crate::options::RejoinOptions;

/// The end of a file that is asked for at once: most footers lie in it, and those that do not cost another request, as all would
/// whose length is asked for first.
pub(super) const FOOTER_BYTES: usize = 64 << 10;

/// Most ranges of a scan: each costs a look at the footers of its files.
const MOST_RANGES: usize = 1024;

/// How many ranges the sorted scans of a session have, a power of two. A session without the setting is one of the lake's own,
/// which writes the files of buckets, and has these whole.
pub(super) fn count(config: &SessionConfig) -> usize {
    let Some(options) = config.options().extensions.get::<RejoinOptions>() else { return BUCKETS };
    let wanted = match options.ranges {
        0 => config.target_partitions().max(BUCKETS),
        some => some,
    };
    wanted.min(MOST_RANGES).next_power_of_two()
}

impl KeyRange {
    /// Those of which a file's rows are read; None for all that it has.
    fn of(file: &PartitionedFile) -> Option<Self> {
        match file.partition_values.as_slice() {
            [ScalarValue::Int64(Some(first)), ScalarValue::Int64(Some(last))] => {
                Some(Self { first: *first, last: *last })
            }
            _ => None,
        }
    }

    /// A file of which only the rows with these keys are read.
    fn of_file(self, file: PartitionedFile) -> PartitionedFile {
        file.with_partition_values([self.first, self.last].map(|key| ScalarValue::Int64(Some(key))).to_vec())
    }

    /// The row groups and pages that may have such rows; None where the file has none.
    fn access(self, footer: &ParquetMetaData) -> Option<ParquetAccessPlan> {
        let columns = footer.file_metadata().schema_descr();
        let key = columns.columns().iter().position(|column| column.path().parts() == [VISITOR_KEY]);
        let groups: Vec<RowGroupAccess> = (0..footer.num_row_groups())
            .map(|group| key.map_or(RowGroupAccess::Scan, |key| self.access_of_group(footer, group, key)))
            .collect();
        groups.iter().any(RowGroupAccess::should_scan).then(|| ParquetAccessPlan::new(groups))
    }

    fn access_of_group(self, footer: &ParquetMetaData, group: usize, key: usize) -> RowGroupAccess {
        let of_group = footer.row_group(group);
        if let Some(ChunkStatistics::Int64(keys)) = of_group.column(key).statistics()
            && let (Some(first), Some(last)) = (keys.min_opt(), keys.max_opt())
        {
            if *last < self.first || *first > self.last {
                return RowGroupAccess::Skip;
            }
            if *first >= self.first && *last <= self.last {
                return RowGroupAccess::Scan;
            }
        }
        let keys = footer.column_index().and_then(|index| index.get(group)?.get(key));
        let pages = footer.offset_index().and_then(|index| index.get(group)?.get(key));
        let (Some(ColumnIndexMetaData::INT64(keys)), Some(pages)) = (keys, pages) else { return RowGroupAccess::Scan };
        let (lows, highs, pages) = (keys.min_values(), keys.max_values(), pages.page_locations());
        if lows.len() != pages.len() || highs.len() != pages.len() {
            return RowGroupAccess::Scan;
        }
        let (from, to) = (highs.partition_point(|k| *k < self.first), lows.partition_point(|k| *k <= self.last));
        if from >= to {
            return RowGroupAccess::Skip;
        }
        let rows = usize::try_from(of_group.num_rows()).unwrap_or_default();
        let start_of = |page: usize| {
            let first = pages.get(page).and_then(|page| usize::try_from(page.first_row_index).ok());
            first.unwrap_or(rows).min(rows)
        };
        let (start, end) = (start_of(from), start_of(to));
        if start >= end || end - start == rows {
            return RowGroupAccess::Scan;
        }
        RowGroupAccess::Selection(RowSelection::from(vec![
            RowSelector::skip(start),
            RowSelector::select(end - start),
            RowSelector::skip(rows - end),
        ]))
    }

    /// Of rows in the order of their keys those with these keys.
    fn cut(self, rows: SendableRecordBatchStream) -> SendableRecordBatchStream {
        let schema = rows.schema();
        let inside = rows.try_filter_map(move |batch| ready(self.inside(batch)));
        Box::pin(RecordBatchStreamAdapter::new(schema, inside))
    }

    fn inside(self, batch: RecordBatch) -> Result<Option<RecordBatch>> {
        let keys = batch.column_by_name(VISITOR_KEY).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let keys = keys.ok_or_else(|| internal("a range of rows without their keys"))?.values();
        let start = keys.partition_point(|key| *key < self.first);
        let end = keys.partition_point(|key| *key <= self.last);
        Ok(match end.saturating_sub(start) {
            0 => None,
            all if all == batch.num_rows() => Some(batch),
            some => Some(batch.slice(start, some)),
        })
    }
}

/// A file as the reader knows it.
pub(super) fn readable(file: &DataFile) -> PartitionedFile {
    PartitionedFile::new(file.path.to_string(), file.size)
}

/// The files of each of so many ranges, out of those of each bucket, which have no key in common and lie in the order of their keys, to
/// be read in the columns of `schema`. A part of a bucket that none of `visitors` is in has none.
pub(super) fn groups(
    buckets: &[Vec<&DataFile>],
    ranges: usize,
    schema: &Schema,
    visitors: &Visitors,
) -> Vec<FileGroup> {
    let of_range = |range: usize| {
        let own = range * BUCKETS / ranges..((range + 1) * BUCKETS).div_ceil(ranges);
        let (keys, in_part) = (KeyRange::of_range(range, ranges), ranges > BUCKETS);
        if in_part && !visitors.may_be_between(keys.first, keys.last) {
            return FileGroup::new(vec![]);
        }
        let files = own.flat_map(|bucket| buckets.get(bucket).into_iter().flatten());
        let files: Vec<_> = files.map(|file| (readable(file), KeyRange::of_tags(&file.tags))).collect();
        let files: Vec<_> = files.into_iter().filter(|(_, own)| own.meets(keys)).collect();
        let several = files.len() > 1;
        let read = |(file, own): (PartitionedFile, KeyRange)| {
            let file = if in_part { keys.of_file(file) } else { file };
            if several { in_turn(file, own, schema) } else { file }
        };
        FileGroup::new(files.into_iter().map(read).collect())
    };
    (0..ranges).map(of_range).collect()
}

/// Files of ranges, of which nothing is read but the rows from the first to the last of `visitors` in each range.
pub(super) fn narrowed(groups: Vec<FileGroup>, visitors: &Visitors) -> Vec<FileGroup> {
    let ranges = groups.len();
    let of_range = |(range, group): (usize, FileGroup)| match visitors.within(KeyRange::of_range(range, ranges)) {
        Some(keys) => FileGroup::new(group.into_inner().into_iter().map(|file| keys.of_file(file)).collect()),
        None => FileGroup::new(vec![]),
    };
    groups.into_iter().enumerate().map(of_range).collect()
}

/// A file that is read after those with the keys before its own: that rows come in order then, DataFusion believes where it is told
/// between which keys they lie.
fn in_turn(mut file: PartitionedFile, keys: KeyRange, schema: &Schema) -> PartitionedFile {
    let mut statistics = Statistics::new_unknown(schema);
    for (field, column) in schema.fields().iter().zip(&mut statistics.column_statistics) {
        // the keys decide; of what comes after them in the order it must only be said that it is known
        let of_key = |key: i64| match field.name() == VISITOR_KEY {
            true => Ok(ScalarValue::Int64(Some(key))),
            false => ScalarValue::new_default(field.data_type()),
        };
        if ORDER.contains(&field.name().as_str())
            && let (Ok(first), Ok(last)) = (of_key(keys.first), of_key(keys.last))
        {
            // exact ones would be taken for the values of a column
            (column.min_value, column.max_value) = (Precision::Inexact(first), Precision::Inexact(last));
        }
    }
    file.statistics = Some(Arc::new(statistics));
    file
}

/// The files that a plan reads, if that is all it does.
pub(super) fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>().map(|(config, _)| config)
}

/// A scan that whoever executes it reads in its ranges; one that has none as it is.
pub fn in_ranges(scan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let groups = files_of(&scan).map(|config| config.file_groups.as_slice()).unwrap_or_default();
    if groups.iter().flat_map(FileGroup::iter).all(|file| KeyRange::of(file).is_none()) {
        return scan;
    }
    Arc::new(RangeExec::new(scan))
}

/// The rows of a partition: those of its range, where that is a part of a bucket. Texts that the scan has as dictionaries come as
/// they lie in the file; where its store keeps readers waiting, `ahead` row groups are asked for with the first.
pub(super) async fn read(
    config: &FileScanConfig,
    partition: usize,
    context: Arc<TaskContext>,
    ahead: usize,
) -> Result<SendableRecordBatchStream> {
    let runtime = context.runtime_env();
    let store = runtime.object_store(&config.object_store_url)?;
    let cache = runtime.cache_manager.get_file_metadata_cache();
    let (mut files, mut keys) = (vec![], None);
    for file in config.file_groups.get(partition).map(FileGroup::files).unwrap_or_default() {
        keys = KeyRange::of(file);
        // who reads all rows needs to know of no page
        let pages = if keys.is_some() { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
        let footer = DFParquetMetadata::new(store.as_ref(), &file.object_meta)
            .with_file_metadata_cache(Some(cache.clone()))
            .with_metadata_size_hint(Some(FOOTER_BYTES))
            .with_page_index_policy(Some(pages))
            .fetch_metadata()
            .await?;
        let file = in_dictionaries(file.clone(), &footer, config.file_schema())?;
        match keys {
            None => files.push(file),
            Some(keys) => files.extend(keys.access(&footer).map(|access| file.with_extension(access))),
        }
    }
    // a plan that came from another process has other readers
    let readers = AccountedReaders::new(store, &runtime).looking_ahead(&config.object_store_url, ahead);
    let source: Arc<dyn FileSource> = match config.file_source.downcast_ref::<ParquetSource>() {
        Some(source) => Arc::new(source.clone().with_parquet_file_reader_factory(Arc::new(readers))),
        None => config.file_source.clone(),
    };
    let part = FileScanConfigBuilder::new(config.object_store_url.clone(), source)
        .with_file_group(FileGroup::new(files))
        .with_preserve_order(true)
        .with_limit(config.limit)
        .with_batch_size(config.batch_size);
    let rows = DataSourceExec::from_data_source(part.build()).execute(0, context)?;
    Ok(match keys {
        Some(keys) => keys.cut(rows),
        None => rows,
    })
}

/// A file whose text columns come as dictionaries where `wanted` has them so. The reader takes that from the Arrow schema of a
/// file, which must name all columns that are there, so that only the footer can tell it.
fn in_dictionaries(file: PartitionedFile, footer: &ParquetMetaData, wanted: &Schema) -> Result<PartitionedFile> {
    if !has_dictionaries(wanted) {
        return Ok(file);
    }
    let footer = footer.file_metadata();
    let schema = parquet_to_arrow_schema(footer.schema_descr(), footer.key_value_metadata())?;
    let fields = schema.fields().iter().map(|field| match wanted.field_with_name(field.name()) {
        Ok(wanted) if is_dictionary(wanted) && *field.data_type() == DataType::Utf8 => {
            field.as_ref().clone().with_data_type(wanted.data_type().clone())
        }
        _ => field.as_ref().clone(),
    });
    Ok(file.with_arrow_schema(Arc::new(Schema::new(fields.collect::<Vec<_>>()))))
}

/// True where a column is wanted as a dictionary.
pub(super) fn has_dictionaries(schema: &Schema) -> bool {
    schema.fields().iter().any(|field| is_dictionary(field))
}

fn is_dictionary(field: &Field) -> bool {
    matches!(field.data_type(), DataType::Dictionary(..))
}

/// A scan of sorted files whose partitions are parts of buckets, or whose texts come as dictionaries.
#[derive(Debug)]
pub struct RangeExec {
    input: Arc<dyn ExecutionPlan>,
    metrics: ExecutionPlanMetricsSet,
}

impl RangeExec {
    /// Over a scan of files that have their ranges with them, where they have some.
    pub fn new(input: Arc<dyn ExecutionPlan>) -> Self {
        Self { input, metrics: ExecutionPlanMetricsSet::new() }
    }
}

impl DisplayAs for RangeExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RangeExec")
    }
}

impl ExecutionPlan for RangeExec {
    fn name(&self) -> &str {
        "RangeExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        self.input.properties()
    }

    // not `maintains_input_order`: a sort by other columns below would leave the rows of a range scattered
    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![layout::visitor_ordering(&self.input.schema()).map(OrderingRequirements::from)]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        _: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        mut children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0))))
    }

    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        match has_dictionaries(&self.input.schema()) {
            // who wants them reads all rows
            true => Ok(FilterDescription::all_unsupported(&filters, &self.children())),
            false => FilterDescription::from_children(filters, &self.children()),
        }
    }

    fn child_stats_requests(&self, partition: Option<usize>) -> Vec<ChildStats> {
        vec![ChildStats::At(partition)]
    }

    fn statistics_from_inputs(&self, inputs: &[Arc<Statistics>], _: &StatisticsArgs) -> Result<Arc<Statistics>> {
        inputs.first().cloned().ok_or_else(|| internal("ranges without a scan"))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let (input, baseline) = (self.input.clone(), BaselineMetrics::new(&self.metrics, partition));
        let rows = async move {
            let config = files_of(&input).ok_or_else(|| internal("ranges of what is no scan of files"))?;
            read(config, partition, context, 1).await
        };
        let counted = once(rows).try_flatten().inspect_ok(move |batch| baseline.record_output(batch.num_rows()));
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), counted)))
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }
}

fn internal(message: &str) -> DataFusionError {
    DataFusionError::Internal(message.into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
    use arrow::compute::cast;
    use datafusion::logical_expr::{ident, lit};
    use datafusion::physical_plan::ExecutionPlanProperties;
    use datafusion::prelude::SessionContext;
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::{EnabledStatistics, WriterProperties};

    use super::super::layout::first_key;
    use super::*;
    use crate::columns::{self, HIT_SEQ, HIT_TIME, VISITOR_ID};
    use crate::lake::scan::{LakeTable, read_sorted};
    use crate::lake::{Lake, Snapshot};

    const PAGE_ROWS: usize = 10;

    /// The key and the number of each row, in order. Many visitors have rows in several pages, some stand at the edge of a range.
    fn rows() -> Vec<(i64, i64)> {
        let mut keys: Vec<i64> = (0..400_i64).map(|n| n.wrapping_mul(0x1E37_79B9_7F4A_7C15)).collect();
        keys.extend([1, 5, 9, 40, 63].into_iter().flat_map(|range| [first_key(range, 64) - 1, first_key(range, 64)]));
        keys.extend([i64::MIN, i64::MAX]);
        keys.sort_unstable();
        keys.dedup();
        let of_visitor = |(place, key): (usize, i64)| std::iter::repeat_n(key, 1 + place * 7 % 37);
        keys.into_iter().enumerate().flat_map(of_visitor).zip(0..).collect()
    }

    /// A table with a file a bucket, in small pages and row groups.
    fn table(folder: &std::path::Path, rows: &[(i64, i64)]) -> (Lake, LakeTable) {
        let lake = Lake::open(folder.to_str().unwrap()).unwrap();
        let fields = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ, "row"].map(|name| columns::key_field(name).unwrap());
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let properties = WriterProperties::builder()
            .set_max_row_group_row_count(Some(300))
            .set_write_batch_size(PAGE_ROWS)
            .set_data_page_row_count_limit(PAGE_ROWS)
            .set_dictionary_enabled(false)
            .set_statistics_enabled(EnabledStatistics::Page)
            .build();
        std::fs::create_dir_all(folder.join("hits")).unwrap();
        let file = |bucket: usize| {
            let is_own = |(key, _): &(i64, i64)| layout::bucket_of(*key) == bucket;
            let own: Vec<(i64, i64)> = rows.iter().copied().filter(is_own).collect();
            let numbers = || own.iter().map(|(_, row)| Some(*row));
            let times: TimestampMicrosecondArray = numbers().collect();
            let sequences: Decimal128Array = numbers().map(|row| row.map(i128::from)).collect();
            let columns: Vec<ArrayRef> = vec![
                Arc::new(own.iter().map(|(key, _)| Some(*key)).collect::<Int64Array>()),
                Arc::new(own.iter().map(|(key, _)| Some(format!("visitor {key}"))).collect::<StringArray>()),
                Arc::new(times.with_timezone("UTC")),
                Arc::new(sequences.with_data_type(columns::sequence())),
                Arc::new(numbers().collect::<Int64Array>()),
            ];
            let mut writer = ArrowWriter::try_new(vec![], schema.clone(), Some(properties.clone())).unwrap();
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
                tags: [(layout::TAG_BUCKET.to_string(), bucket.to_string())].into(),
            }
        };
        let files = (0..BUCKETS).map(file).collect();
        let snapshot = Snapshot::missing(&lake, "hits").unwrap().only(files);
        (lake.clone(), LakeTable::new(lake, Arc::new(snapshot), schema))
    }

    fn session(lake: &Lake, ranges: usize, batch_size: usize) -> SessionContext {
        let config = SessionConfig::new().with_target_partitions(2).with_batch_size(batch_size);
        let config = config.with_option_extension(RejoinOptions { ranges, ..RejoinOptions::default() });
        let context = SessionContext::new_with_config(config);
        context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
        context
    }

    /// The one scan of keys and numbers that a journey would read.
    fn scan(table: &LakeTable, context: &SessionContext) -> Arc<dyn ExecutionPlan> {
        let fields = [VISITOR_KEY, "row"].map(|name| columns::key_field(name).unwrap());
        scan_for(table, context, &Visitors::of(&[]), &fields)
    }

    /// The same for some visitors.
    fn scan_for(
        table: &LakeTable,
        context: &SessionContext,
        visitors: &Visitors,
        fields: &[Field],
    ) -> Arc<dyn ExecutionPlan> {
        let mut scans = table.sorted_scans(&context.state(), &table.files_for(&[]), fields, visitors).unwrap();
        assert_eq!(scans.len(), 1);
        scans.swap_remove(0)
    }

    async fn collected(rows: SendableRecordBatchStream) -> Vec<(i64, i64)> {
        let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
        let numbers = |batch: &RecordBatch, name: &str| {
            batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
        };
        batches.iter().flat_map(|batch| numbers(batch, VISITOR_KEY).into_iter().zip(numbers(batch, "row"))).collect()
    }

    #[tokio::test]
    async fn each_row_is_in_its_range_once_and_in_order() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let (lake, table) = table(folder.path(), &rows);
        let few = [(1, 8192), (1, 7), (2, 7), (4, 8192)];
        let many = [(BUCKETS, 8192), (2 * BUCKETS, 7), (64, 8192), (64, 7)];
        for (ranges, batch_size) in few.into_iter().chain(many) {
            let context = session(&lake, ranges, batch_size);
            let (sorted, all) = (scan(&table, &context), table.reading(&context.state(), None, &[]).unwrap());
            for partitioned in [&sorted, &all] {
                assert_eq!(partitioned.output_partitioning().partition_count(), ranges);
            }
            let orders = [layout::visitor_ordering(&sorted.schema()), layout::ordering(&all.schema())];
            assert_eq!([&sorted, &all].map(|plan| plan.output_ordering().cloned()), orders, "{ranges} ranges");
            let (mut of_sorted, mut of_all) = (vec![], vec![]);
            for range in 0..ranges {
                let own = collected(read_sorted(&sorted, range, context.task_ctx()).await.unwrap()).await;
                let begins = |key: i64| key >= first_key(range, ranges);
                let ends = |key: i64| range + 1 < ranges && key >= first_key(range + 1, ranges);
                assert!(own.iter().all(|(key, _)| begins(*key) && !ends(*key)), "range {range} of {ranges}");
                of_sorted.extend(own);
                of_all.extend(collected(all.execute(range, context.task_ctx()).unwrap()).await);
            }
            assert_eq!(of_sorted, rows, "{ranges} ranges, batches of {batch_size}");
            assert_eq!(of_all, rows, "{ranges} ranges, batches of {batch_size}");
        }
    }

    #[tokio::test]
    async fn texts_come_as_dictionaries_where_they_are_wanted() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let (lake, table) = table(folder.path(), &rows);
        let filter = ident("row").gt_eq(lit(0_i64));
        for ranges in [1, BUCKETS, 64] {
            let context = session(&lake, ranges, 8192);
            let read = |table: LakeTable| table.reading(&context.state(), None, std::slice::from_ref(&filter)).unwrap();
            let (as_they_are, coded) = (read(table.clone()), read(table.clone().with_dictionaries(&[VISITOR_ID])));
            assert_eq!(coded.output_ordering(), as_they_are.output_ordering(), "{ranges} ranges");
            assert_eq!([&as_they_are, &coded].map(|plan| has_dictionaries(&plan.schema())), [false, true]);
            let mut found = [vec![], vec![]];
            for (plan, found) in [as_they_are, coded].iter().zip(&mut found) {
                for range in 0..plan.output_partitioning().partition_count() {
                    let batches: Vec<RecordBatch> =
                        plan.execute(range, context.task_ctx()).unwrap().try_collect().await.unwrap();
                    for batch in batches {
                        let visitors = batch.column_by_name(VISITOR_ID).unwrap();
                        assert_eq!(visitors.as_any_dictionary_opt().is_some(), has_dictionaries(&plan.schema()));
                        let visitors = cast(visitors, &DataType::Utf8).unwrap();
                        let keys = batch.column_by_name(VISITOR_KEY).unwrap().as_primitive::<Int64Type>().values();
                        let texts = visitors.as_string::<i32>().iter().flatten().map(str::to_string);
                        found.extend(keys.iter().copied().zip(texts));
                    }
                }
            }
            let [as_they_are, coded] = found;
            assert!(coded == as_they_are && coded.len() == rows.len(), "{ranges} ranges");
        }
    }

    #[tokio::test]
    async fn a_range_reads_only_its_pages() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let (lake, table) = table(folder.path(), &rows);
        let decoded = |scan: &Arc<dyn ExecutionPlan>| scan.metrics().unwrap().output_rows().unwrap_or_default();
        let bytes =
            |scan: &Arc<dyn ExecutionPlan>| scan.metrics().unwrap().sum_by_name("bytes_scanned").unwrap().as_usize();
        let whole = session(&lake, BUCKETS, 8192);
        let of_whole = scan(&table, &whole);
        for bucket in 0..BUCKETS {
            collected(read_sorted(&of_whole, bucket, whole.task_ctx()).await.unwrap()).await;
        }
        assert_eq!(decoded(&of_whole), rows.len());
        let parts = session(&lake, 64, 8192);
        let of_parts = scan(&table, &parts);
        for range in 0..64 {
            let before = decoded(&of_parts);
            let own = collected(read_sorted(&of_parts, range, parts.task_ctx()).await.unwrap()).await;
            let beyond = decoded(&of_parts) - before - own.len();
            // of the first page and of the last one
            assert!(beyond <= 2 * (PAGE_ROWS - 1), "{beyond} rows beyond the {} of range {range}", own.len());
        }
        assert!(bytes(&of_parts) < 2 * bytes(&of_whole), "{} of {} bytes", bytes(&of_parts), bytes(&of_whole));
    }

    #[tokio::test]
    async fn for_some_visitors_their_pages_are_read_and_their_rows_are_there() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let (lake, table) = table(folder.path(), &rows);
        let fields = [VISITOR_KEY, "row"].map(|name| columns::key_field(name).unwrap());
        let (one, other) = (rows[rows.len() / 3].0, rows[rows.len() / 2].0);
        let nobody = (1..).map(|n| one + n).find(|key| rows.iter().all(|(own, _)| own != key)).unwrap();
        for ranges in [1, 4, BUCKETS, 64] {
            let context = session(&lake, ranges, 8192);
            for asked in [vec![one], vec![one, other], vec![nobody], vec![]] {
                let keys = asked.iter().map(|key| lit(*key)).collect();
                let visitors = Visitors::of(&[ident(VISITOR_KEY).in_list(keys, false)]);
                let scan = scan_for(&table, &context, &visitors, &fields);
                assert_eq!(scan.output_partitioning().partition_count(), ranges);
                let mut found = vec![];
                for range in 0..ranges {
                    found.extend(collected(read_sorted(&scan, range, context.task_ctx()).await.unwrap()).await);
                }
                // rows of others between them may be there, too
                let is_between = |key: i64| asked.iter().min() <= Some(&key) && Some(&key) <= asked.iter().max();
                assert!(found.iter().all(|(key, _)| is_between(*key)), "{ranges} ranges, {asked:?}");
                let of_asked = |all: &[(i64, i64)]| -> Vec<(i64, i64)> {
                    all.iter().copied().filter(|(key, _)| asked.contains(key)).collect()
                };
                assert_eq!(of_asked(&found), of_asked(&rows), "{ranges} ranges, {asked:?}");
                if asked == [one] {
                    let decoded = scan.metrics().unwrap().output_rows().unwrap_or_default();
                    assert!(decoded <= found.len() + 2 * (PAGE_ROWS - 1), "{decoded} rows for {}", found.len());
                }
            }
        }
    }

    /// A task on a cluster has such a plan.
    #[tokio::test]
    async fn a_slice_of_a_scan_has_its_ranges_with_it() {
        let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
        let (lake, table) = table(folder.path(), &rows);
        let context = session(&lake, 64, 8192);
        let all = table.reading(&context.state(), None, &[]).unwrap();
        let config = files_of(all.children()[0]).unwrap();
        let groups = [40, 9].map(|range: usize| config.file_groups[range].clone()).to_vec();
        let slice = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
        let slice = RangeExec::new(DataSourceExec::from_data_source(slice));
        for (place, range) in [40, 9].into_iter().enumerate() {
            let found = collected(slice.execute(place, context.task_ctx()).unwrap()).await;
            assert!(!found.is_empty());
            assert_eq!(found, collected(all.execute(range, context.task_ctx()).unwrap()).await);
        }
    }

    #[test]
    fn a_session_has_a_power_of_two_of_ranges() {
        let of = |threads: usize, ranges: usize| {
            let options = RejoinOptions { ranges, ..RejoinOptions::default() };
            count(&SessionConfig::new().with_target_partitions(threads).with_option_extension(options))
        };
        for (threads, ranges) in [(1, 8), (8, 8), (9, 16), (48, 64), (64, 64), (5000, 1024)] {
            assert_eq!(of(threads, 0), ranges, "{threads} threads");
        }
        for (wanted, ranges) in [(1, 1), (2, 2), (3, 4), (8, 8), (16, 16), (17, 32), (1024, 1024), (usize::MAX, 1024)] {
            assert_eq!(of(2, wanted), ranges, "{wanted} ranges");
        }
        // who writes the files of buckets has these whole
        assert_eq!(count(&SessionConfig::new().with_target_partitions(64)), BUCKETS);
    }

    #[test]
    fn one_visitor_is_in_one_range() {
        let folder = tempfile::tempdir().unwrap();
        let (_, table) = table(folder.path(), &rows());
        let buckets: Vec<Vec<&DataFile>> = table.files_for(&[]).into_iter().map(|file| vec![file]).collect();
        let visitors = Visitors::of(&[ident(VISITOR_KEY).eq(lit(7_i64))]);
        let groups = groups(&buckets, 64, &Schema::empty(), &visitors);
        let with_files: Vec<usize> = (0..64).filter(|range| !groups[*range].is_empty()).collect();
        assert_eq!(with_files, [32]);
    }
}
