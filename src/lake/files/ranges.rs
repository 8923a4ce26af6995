//! Ranges of visitors' keys, which the partitions of a sorted scan are: each a bucket, an equal part of one, or several buckets one
//! after the other.
//!
//! The range of a file whose bucket is read in parts stands in its partition values, so that it comes with the file to
//! whatever process reads it. Where the range is in the file is known from its footer, which is read anyway: row groups and
//! pages without a key of the range are passed over. Rows are sorted by key, so that those of a range are one slice of a
//! batch.

use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use chrono::DateTime;
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
use datafusion::execution::memory_pool::MemoryPool;
use datafusion::execution::runtime_env::RuntimeEnv;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::utils::collect_columns;
use datafusion::physical_expr::{OrderingRequirements, PhysicalExpr};
use datafusion::physical_plan::execution_plan::ReplaceChildrenOptions;
use datafusion::physical_plan::filter_pushdown::{FilterDescription, FilterPushdownPhase};
use datafusion::physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    ChildStats, DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties, StatisticsArgs,
};
use datafusion::prelude::SessionConfig;
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;
use futures::future::{join_all, ready, try_join_all};
use futures::stream::once;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parquet::arrow::arrow_reader::{RowSelection, RowSelector};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics as ChunkStatistics;

use super::batches::{row_bytes, rows_that_fit};
use super::layout::{self, BUCKETS, ORDER};
use super::parts::KeyRange;
use super::prune::{Visitors, may_pass_over_pages};
use super::range_memory::{BATCHES_AT_HAND, FileCost, MANY_FILES, RangeMemory};
use super::reading::AccountedReaders;
use crate::columns::VISITOR_KEY;
use crate::lake::{DataFile, Lake};
use crate::options::RejoinOptions;

/// The end of a file that is asked for at once: most footers are in it, and those that are not cost another request, as all would
/// whose length is asked for first.
pub(super) const FOOTER_BYTES: usize = 64 << 10;

/// Files of which all footers are read before it is known which of them are needed, at most.
const MOST_FOOTERS: usize = 32;

/// Most ranges of a scan: each costs a look at the footers of its files.
const MOST_RANGES: usize = 1024;

/// True for a session of the lake's own, which writes the files of buckets: one without the setting for ranges. It has buckets
/// whole, and knows itself what reading them takes.
pub(super) fn are_of_buckets(config: &SessionConfig) -> bool {
    config.options().extensions.get::<RejoinOptions>().is_none()
}

/// Rows of a batch of these columns in a session, where so many partitions share the memory.
pub(super) fn rows_of_batch(
    config: &SessionConfig,
    pool: &Arc<dyn MemoryPool>,
    schema: &Schema,
    partitions: usize,
) -> usize {
    match are_of_buckets(config) {
        true => config.batch_size(),
        false => rows_that_fit(schema, config.batch_size(), pool, partitions),
    }
}

/// How many ranges the sorted scans of a session have, a power of two.
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
    file_at(file.path.clone(), file.size)
}

/// The file at a place. DataFusion's own `new` takes a text, in which `#`, `[` or `ü` would become another name.
pub(super) fn file_at(location: Path, size: u64) -> PartitionedFile {
    let last_modified = DateTime::UNIX_EPOCH;
    PartitionedFile::new_from_meta(ObjectMeta { location, last_modified, size, e_tag: None, version: None })
}

/// The files of each of so many ranges, out of those of each bucket, which have no key in common and are in the order of their keys, to
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
/// between which keys they are.
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

/// The context in which this partition of some plans is read side by side: where that opens many files at once, one that has
/// the memory of all of them, for which this waits. Plans within others have that of these. It is there as long as the context.
/// `in_ranges` is true for plans that are read by `read_sorted` where they are scans.
///
/// # Errors
/// A footer cannot be read, or there is no memory.
pub async fn with_memory(
    plans: &[Arc<dyn ExecutionPlan>],
    in_ranges: bool,
    partition: usize,
    context: Arc<TaskContext>,
) -> Result<Arc<TaskContext>> {
    let mut scans = vec![];
    for plan in plans {
        scans_of(plan, in_ranges, partition, &mut scans);
    }
    if scans.len() < MANY_FILES {
        return Ok(context);
    }
    if let Some(memory) = RangeMemory::of(&context) {
        let mut files = scans.iter().filter_map(|scan| scan.file_groups.get(partition)).flat_map(FileGroup::iter);
        if files.all(|file| memory.has(&file.object_meta.location)) {
            return Ok(context);
        }
    }
    let mut lanes = vec![];
    for scan in &scans {
        lanes.push(costs(scan, partition, context.runtime_env()));
    }
    let lanes = try_join_all(lanes).await?;
    let mut at_hand = 0;
    // who reads scans itself knows what it has of them
    if !in_ranges {
        for (scan, lane) in scans.iter().zip(&lanes) {
            at_hand += bytes_at_hand(scan, lane, &context)?;
        }
    }
    Ok(match RangeMemory::hold(context.memory_pool(), &lanes, at_hand).await? {
        Some(memory) => memory.within(&context),
        None => context,
    })
}

/// The scans that have files in this partition of a plan and are executed by [`read`]: itself, where it is, and those below, as far
/// as inputs are partitioned as it is. Other scans know of no memory but their own.
fn scans_of<'p>(
    plan: &'p Arc<dyn ExecutionPlan>,
    in_ranges: bool,
    partition: usize,
    scans: &mut Vec<&'p FileScanConfig>,
) {
    if let Some(scan) = files_of(plan).filter(|_| in_ranges) {
        scans.extend(scan.file_groups.get(partition).filter(|files| !files.is_empty()).map(|_| scan));
    }
    for input in plan.children() {
        if input.output_partitioning().partition_count() == plan.output_partitioning().partition_count() {
            scans_of(input, plan.is::<RangeExec>(), partition, scans);
        }
    }
}

/// What a merge has at hand of the rows of a scan.
fn bytes_at_hand(scan: &FileScanConfig, files: &[FileCost], context: &TaskContext) -> Result<usize> {
    let batch = scan.batch_size.unwrap_or_else(|| context.session_config().batch_size());
    let rows = files.iter().map(FileCost::rows).max().unwrap_or(0).min(batch);
    let schema = scan.projected_schema()?;
    Ok(BATCHES_AT_HAND * rows * row_bytes(&schema))
}

/// What it takes to read each file of a partition.
async fn costs(config: &FileScanConfig, partition: usize, runtime: Arc<RuntimeEnv>) -> Result<Vec<FileCost>> {
    let (columns, mut costs) = (columns_of(config), vec![]);
    for file in config.file_groups.get(partition).map(FileGroup::files).unwrap_or_default() {
        let keys = KeyRange::of(file);
        let footer = footer_of(config, file, keys.is_some(), &runtime).await?;
        let access = match keys {
            Some(keys) => keys.access(&footer),
            None => Some(ParquetAccessPlan::new_all(footer.num_row_groups())),
        };
        if let Some(access) = access {
            let groups = access.inner().iter().enumerate();
            let rows: Vec<usize> = groups.map(|(group, access)| rows_of(access, &footer, group).len()).collect();
            costs.push(FileCost::of(&file.object_meta.location, &footer, &columns, &rows));
        }
    }
    Ok(costs)
}

/// The names of the columns that a scan reads of its files.
fn columns_of(config: &FileScanConfig) -> HashSet<String> {
    let (source, fields) = (&config.file_source, config.file_schema().fields());
    let projected = source.projection().map_or_else(|| (0..fields.len()).collect(), |columns| columns.column_indices());
    let mut names: HashSet<String> =
        projected.into_iter().filter_map(|index| fields.get(index)).map(|field| field.name().clone()).collect();
    if let Some(filter) = source.filter() {
        names.extend(collect_columns(&filter).iter().map(|column| column.name().to_string()));
    }
    names
}

/// True where a scan passes over pages for what they hold.
fn passes_over_pages(config: &FileScanConfig) -> bool {
    config.file_source.filter().as_ref().is_some_and(may_pass_over_pages)
}

/// The footer of a file, with the places of its pages where these matter to the scan, or to the caller.
async fn footer_of(
    config: &FileScanConfig,
    file: &PartitionedFile,
    finds_pages: bool,
    runtime: &RuntimeEnv,
) -> Result<Arc<ParquetMetaData>> {
    let store = runtime.object_store(&config.object_store_url)?;
    footer_in(store.as_ref(), &file.object_meta, finds_pages || passes_over_pages(config), runtime).await
}

/// The footer of a file in a store, with the places of its pages or without.
async fn footer_in(
    store: &dyn ObjectStore,
    file: &ObjectMeta,
    finds_pages: bool,
    runtime: &RuntimeEnv,
) -> Result<Arc<ParquetMetaData>> {
    // who reads all rows needs to know of no page
    let pages = if finds_pages { PageIndexPolicy::Optional } else { PageIndexPolicy::Skip };
    DFParquetMetadata::new(store, file)
        .with_file_metadata_cache(Some(runtime.cache_manager.get_file_metadata_cache()))
        .with_metadata_size_hint(Some(FOOTER_BYTES))
        .with_page_index_policy(Some(pages))
        .fetch_metadata()
        .await
}

/// Reads the footers of files that a session is about to read in its ranges, side by side, and keeps them for that. Of many files
/// none is read: most of them may be outside the times that matter.
pub async fn read_footers(lake: &Lake, files: &[DataFile], config: &SessionConfig, runtime: &RuntimeEnv) {
    if files.len() > MOST_FOOTERS {
        return;
    }
    let in_parts = count(config) > BUCKETS;
    let read = files.iter().map(|file| async move {
        footer_in(lake.store().as_ref(), &readable(file).object_meta, in_parts, runtime).await
    });
    // who reads their rows says what is wrong with them
    drop(join_all(read).await);
}

/// The rows of a row group that are read: those from the first to the last of a selection.
fn rows_of(access: &RowGroupAccess, footer: &ParquetMetaData, group: usize) -> Range<usize> {
    match access {
        RowGroupAccess::Skip => 0..0,
        RowGroupAccess::Scan => 0..usize::try_from(footer.row_group(group).num_rows()).unwrap_or_default(),
        RowGroupAccess::Selection(rows) => {
            let start: usize = rows.iter().take_while(|part| part.skip).map(|part| part.row_count).sum();
            start..start + rows.row_count()
        }
    }
}

/// The same rows in slices that come one after the other, of so many rows at most, where it is known in which pages they are. A range
/// of keys has rows next to each other.
fn in_slices(access: ParquetAccessPlan, footer: &ParquetMetaData, slice_rows: Option<usize>) -> Vec<ParquetAccessPlan> {
    let Some(slice_rows) = slice_rows.filter(|_| footer.offset_index().is_some()) else { return vec![access] };
    let mut slices = vec![];
    for (group, of_group) in access.inner().iter().enumerate() {
        let all = usize::try_from(footer.row_group(group).num_rows()).unwrap_or_default();
        let Range { mut start, end } = rows_of(of_group, footer, group);
        while start < end {
            // pages of a row group begin with it
            let next = end.min((start / slice_rows + 1) * slice_rows);
            let mut slice = vec![RowGroupAccess::Skip; access.len()];
            slice[group] = match next - start == all {
                true => RowGroupAccess::Scan,
                false => RowGroupAccess::Selection(RowSelection::from(vec![
                    RowSelector::skip(start),
                    RowSelector::select(next - start),
                    RowSelector::skip(all - next),
                ])),
            };
            slices.push(ParquetAccessPlan::new(slice));
            start = next;
        }
    }
    slices
}

/// The files that a plan reads, if that is all it does.
pub(super) fn files_of(plan: &Arc<dyn ExecutionPlan>) -> Option<&FileScanConfig> {
    plan.downcast_ref::<DataSourceExec>()?.downcast_to_file_source::<ParquetSource>().map(|(config, _)| config)
}

/// A scan that is executed in its ranges; one that has none as it is.
pub fn in_ranges(scan: Arc<dyn ExecutionPlan>) -> Arc<dyn ExecutionPlan> {
    let groups = files_of(&scan).map(|config| config.file_groups.as_slice()).unwrap_or_default();
    if groups.iter().flat_map(FileGroup::iter).all(|file| KeyRange::of(file).is_none()) {
        return scan;
    }
    Arc::new(RangeExec::new(scan))
}

/// The rows of a partition: those of its range, where that is a part of a bucket. Texts that the scan has as dictionaries come as
/// they are in the file; where its store keeps readers waiting, `ahead` row groups are asked for with the first.
pub(super) async fn read(
    config: &FileScanConfig,
    partition: usize,
    context: Arc<TaskContext>,
    ahead: usize,
) -> Result<SendableRecordBatchStream> {
    let runtime = context.runtime_env();
    let memory = RangeMemory::of(&context);
    let (mut files, mut keys) = (vec![], None);
    for file in config.file_groups.get(partition).map(FileGroup::files).unwrap_or_default() {
        keys = KeyRange::of(file);
        let memory = memory.as_ref().filter(|memory| memory.has(&file.object_meta.location));
        let slice_rows = memory.and_then(|memory| memory.slice_rows());
        let footer = footer_of(config, file, keys.is_some() || slice_rows.is_some(), &runtime).await?;
        let file = in_dictionaries(file.clone(), &footer, config.file_schema())?;
        let access = match keys {
            Some(keys) => keys.access(&footer),
            None => slice_rows.map(|_| ParquetAccessPlan::new_all(footer.num_row_groups())),
        };
        match access {
            Some(access) => {
                let slices = in_slices(access, &footer, slice_rows).into_iter();
                files.extend(slices.map(|access| file.clone().with_extension(access)));
            }
            None => files.extend(keys.is_none().then_some(file)),
        }
    }
    // a plan that came from another process has other readers
    let store = runtime.object_store(&config.object_store_url)?;
    let readers = AccountedReaders::new(store, &runtime).finding_pages(passes_over_pages(config));
    let readers = readers.looking_ahead(&config.object_store_url, ahead).within(memory);
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
mod tests;
