//! A table of the lake as DataFusion reads it.
//!
//! When a query asks for all columns of the order, the scan gives one partition a range of keys (a bucket, or a part of one),
//! sorted, and declares it, so that whatever works visitor by visitor needs no shuffle and no sort. Otherwise it is an
//! ordinary parallel scan.

use std::collections::{BTreeMap, HashMap};
use std::pin::Pin;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::runtime::SpawnedTask;
use datafusion::common::stats::Precision;
use datafusion::common::{DFSchema, Statistics};
use datafusion::config::TableParquetOptions;
use datafusion::datasource::TableType;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, TableProviderFilterPushDown};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::Partitioning;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use futures::future::{BoxFuture, ready};
use futures::{FutureExt, StreamExt, poll};

use super::layout::{self, BUCKETS, ORDER, TAG_BUCKET, TAG_SUITE, TAG_VISITS};
use super::lookup::LookupFiles;
use super::merge::SortedMergeExec;
use super::parts::{BucketPart, come_in_turn, lanes, times_of_both};
use super::prune::{Visitors, may_pass_over_pages, with_visitor_keys};
use super::range_memory::MANY_FILES;
use super::ranges::{self, FOOTER_BYTES, RangeExec, readable};
use super::read_ahead::{Latency, MOST_GROUPS};
use super::reader_memory::has_left;
use super::reading::AccountedReaders;
use super::reported::are_all_reported;
use super::unique_keys::{keys_identify_visitors, lacks_visitors};
use crate::columns::SUITE;
use crate::lake::keys::KnownKeys;
use crate::lake::{DataFile, Lake, Snapshot};

/// Full batches that a merge of any number of generations may hold per bucket.
pub(super) const MERGED_BATCHES: usize = 8;

/// As many for each thread where the rows have only the few columns of a question: a small batch costs nearly as much
/// as a large one.
const NARROW_BATCHES: usize = 32;

/// Files that are read at once for each thread where each waits for its bytes.
const WAITING_FILES: usize = 4;

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

    /// The table with these text columns as dictionaries, as they are in the files: for readers of all rows in order, where
    /// each bucket has at most one file, see [`Self::is_one_generation`].
    pub fn with_dictionaries(self, names: &[&str]) -> Self {
        let fields = self.schema.fields().iter().map(|field| match names.contains(&field.name().as_str()) {
            true => with_dictionary(field),
            false => field.as_ref().clone(),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        Self { schema, ..self }
    }

    /// The plan that reads these columns of the rows for which the filters may hold.
    pub fn reading(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
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
            let waiting = if self.lake.is_distant() { WAITING_FILES } else { 1 };
            let at_once = session.config().target_partitions().saturating_mul(waiting);
            let mut groups = vec![vec![]; files.len().min(at_once).max(1)];
            let count = groups.len();
            for (i, file) in files.into_iter().enumerate() {
                groups[i % count].push(file);
            }
            return self.leaf(session, groups, projection, filters, None);
        }
        let generations = generations(&files);
        let (pool, partitions) = (&session.runtime_env().memory_pool, ranges::count(session.config()));
        let rows = ranges::rows_of_batch(session.config(), pool, &projected, partitions);
        let rows = batch_rows(rows, generations.len(), MERGED_BATCHES);
        // of few visitors few pages are read
        let are_many = generations.len() >= MANY_FILES
            && !Visitors::of(filters).are_few()
            && !ranges::are_of_buckets(session.config());
        let child = |groups| -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
            let scan = self.leaf(session, groups, projection, filters, Some(rows))?;
            // whose readers look at what is held for all of them
            Ok(if are_many && !scan.is::<RangeExec>() { Arc::new(RangeExec::new(scan)) } else { scan })
        };
        let children = generations.into_iter().map(child).collect::<datafusion::error::Result<Vec<_>>>()?;
        if children.len() == 1 {
            return Ok(children.into_iter().next().expect("one child"));
        }
        let order = layout::ordering(&projected).expect("all columns of the order are projected");
        Ok(Arc::new(SortedMergeExec::of_generations(children, order)))
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

    /// True when every file is one of ours: sorted, and of one bucket.
    pub fn is_sorted(&self) -> bool {
        self.snapshot.files.iter().all(|f| f.tags.contains_key(TAG_BUCKET))
    }

    /// The files that may hold rows of a suite.
    pub fn files_of_suite(&self, suite: &str) -> Vec<&DataFile> {
        self.snapshot.files.iter().filter(|f| f.tags.get(TAG_SUITE).is_none_or(|s| s == suite)).collect()
    }

    /// True when the tags say that all rows of `files` are of `suite`.
    pub fn is_all_of_suite(&self, files: &[&DataFile], suite: &str) -> bool {
        files.iter().all(|f| f.tags.get(TAG_SUITE).is_some_and(|s| s == suite))
    }

    /// True when the tags say that all its rows are reported hits, so that none of its columns need tell it.
    pub fn says_all_reported(&self) -> bool {
        are_all_reported(&self.snapshot.files.iter().collect::<Vec<_>>())
    }

    /// True when the source of all `files` gave the visits: number and start.
    pub fn gives_visits(&self, files: &[&DataFile]) -> bool {
        files.iter().all(|f| f.tags.get(TAG_VISITS).is_some_and(|v| v == "given"))
    }

    /// True when no two of `files` have a key in common, so that its rows are in one order.
    pub fn is_one_generation(&self, files: &[&DataFile]) -> bool {
        generations(files).len() == 1
    }

    /// True when a visitor's rows, taken from one of `files` after the other as they come here, come in order of time.
    pub fn come_in_turn(&self, files: &[&DataFile]) -> bool {
        lanes_of_buckets(files).iter().all(|lanes| come_in_turn(lanes))
    }

    /// True when two of `files` may hold rows of one visitor at one instant.
    pub fn may_share_instants(&self, files: &[&DataFile]) -> bool {
        // files of a set have no visitor in common: the times of all are those of one
        let mut sets: HashMap<_, _> = HashMap::new();
        for file in files {
            let span = sets.entry((file.tags.get(TAG_BUCKET), BucketPart::whole_of(file))).or_insert(file.hit_time);
            *span = times_of_both(*span, file.hit_time);
        }
        let mut spans: Vec<_> = sets.into_iter().map(|((bucket, _), span)| (bucket, span)).collect();
        spans.sort_unstable();
        spans.windows(2).any(|pair| match pair {
            [(one, Some((_, last))), (other, Some((first, _)))] => one == other && first <= last,
            // a file that does not say when its rows are may hold any
            [(one, _), (other, _)] => one == other,
            _ => false,
        })
    }

    /// True when the visitors of hits in files `online`, and of other rows in files `offline`, of this table or others of the
    /// lake, are known to be identified by their keys: by tags of the files, or by a walk of this process. Buckets without
    /// hits do not matter.
    pub fn keys_suffice(&self, online: &[&DataFile], offline: &[&DataFile]) -> bool {
        let mut buckets: BTreeMap<Option<&String>, [Vec<&DataFile>; 2]> = BTreeMap::new();
        for (side, files) in [online, offline].into_iter().enumerate() {
            for file in files {
                buckets.entry(file.tags.get(TAG_BUCKET)).or_default()[side].push(file);
            }
        }
        buckets.into_values().filter(|[hits, _]| !hits.is_empty()).all(|[hits, others]| {
            let have_visitors = !hits.iter().any(|file| lacks_visitors(file));
            let files = [hits, others].concat();
            let say_so = have_visitors && keys_identify_visitors(&files);
            say_so || self.keys().suffice(files.iter().map(|file| &file.path))
        })
    }

    /// What was found out about the visitor keys of its files.
    pub fn keys(&self) -> &KnownKeys {
        self.lake.keys()
    }

    /// True for a column of the table that some file has.
    pub fn stores_column(&self, name: &str) -> bool {
        self.snapshot.schema.index_of(name).is_ok()
    }

    /// A column of the table.
    pub fn field(&self, name: &str) -> Option<Field> {
        self.schema.field_with_name(name).ok().cloned()
    }

    /// One scan a generation of the columns `fields`, sorted by visitor and time, one partition a range of keys. Its rows are
    /// read by [`read_sorted`] and by nothing else: text columns come as dictionaries, and a range is cut out of its bucket. Of
    /// other visitors than those asked for, rows may be missing.
    pub fn sorted_scans(
        &self,
        state: &dyn Session,
        files: &[&DataFile],
        fields: &[Field],
        visitors: &Visitors,
    ) -> datafusion::error::Result<Vec<Arc<dyn ExecutionPlan>>> {
        let schema: SchemaRef = Arc::new(Schema::new(fields.iter().map(with_dictionary).collect::<Vec<_>>()));
        let order = layout::visitor_ordering(&schema).ok_or_else(|| internal("a sorted scan without its key"))?;
        let generations = generations(files);
        let batch_rows = batch_rows(state.config().batch_size(), generations.len(), NARROW_BATCHES);
        let ranges = ranges::count(state.config());
        let scan = |buckets: &Vec<Vec<&DataFile>>| {
            let groups = ranges::groups(buckets, ranges, &schema, visitors);
            let (groups, rows) = match visitors.are_any() {
                true => (groups, buckets.iter().flatten().map(|f| f.rows).sum()),
                false => (ranges::narrowed(groups, visitors), None),
            };
            let config = self
                .config(state, schema.clone(), None, groups, rows)?
                .with_batch_size(Some(batch_rows))
                .with_output_ordering(vec![order.clone()])
                .with_output_partitioning(Some(layout::partitioning(&schema, ranges)?));
            Ok(DataSourceExec::from_data_source(config.build()) as Arc<dyn ExecutionPlan>)
        };
        generations.iter().map(scan).collect()
    }

    /// What looks at rows of `files` once more.
    pub fn lookup(&self, files: &[&DataFile]) -> LookupFiles {
        LookupFiles::new(&self.lake.store_url(), files)
    }

    /// A scan of file groups with the columns of `schema`.
    fn config(
        &self,
        state: &dyn Session,
        schema: SchemaRef,
        predicate: Option<Arc<dyn PhysicalExpr>>,
        groups: Vec<FileGroup>,
        rows: Option<u64>,
    ) -> datafusion::error::Result<FileScanConfigBuilder> {
        let mut options: TableParquetOptions = state.default_table_options().parquet;
        options.global = state.config_options().execution.parquet.clone();
        let finds_pages = predicate.as_ref().is_some_and(may_pass_over_pages);
        let readers = AccountedReaders::new(self.lake.store().clone(), state.runtime_env());
        let readers = readers.finding_pages(finds_pages).looking_ahead(&self.lake.store_url(), 1);
        let mut source = ParquetSource::new(schema.clone())
            .with_table_parquet_options(options)
            .with_metadata_size_hint(FOOTER_BYTES)
            .with_parquet_file_reader_factory(Arc::new(readers));
        if let Some(predicate) = predicate {
            source = source.with_predicate(predicate);
        }
        let mut statistics = Statistics::new_unknown(&schema);
        statistics.num_rows = rows.map_or(Precision::Absent, |n| Precision::Exact(n as usize));
        Ok(FileScanConfigBuilder::new(self.lake.store_url(), Arc::new(source))
            .with_file_groups(groups)
            .with_statistics(statistics))
    }

    /// A scan of `groups`; with `batch_rows`, one group a bucket, which become a partition a range, whose order and partitioning
    /// are declared.
    fn leaf(
        &self,
        state: &dyn Session,
        groups: Vec<Vec<&DataFile>>,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        batch_rows: Option<usize>,
    ) -> datafusion::error::Result<Arc<dyn ExecutionPlan>> {
        let (mut predicate, in_dictionaries) = (None, ranges::has_dictionaries(&self.schema));
        if !in_dictionaries && let Some(filter) = conjunction(filters.iter().cloned()) {
            let schema = DFSchema::try_from(self.schema.as_ref().clone())?;
            predicate = Some(state.create_physical_expr(filter, &schema)?);
        }
        let rows: Option<u64> = groups.iter().flatten().map(|f| f.rows).sum();
        let visitors = Visitors::of(filters);
        // files of others are not sorted, so that their visitors are on any page
        let are_few = visitors.are_few() && groups.iter().flatten().all(|f| f.tags.contains_key(TAG_BUCKET));
        let order = layout::ordering(&self.schema).filter(|_| batch_rows.is_some());
        let ranges = ranges::count(state.config());
        let groups = match order {
            Some(_) => ranges::groups(&groups, ranges, &self.schema, &visitors),
            None => groups_of(&groups),
        };
        let groups_count = groups.len();
        let config = self
            .config(state, self.schema.clone(), predicate, groups, rows)?
            .with_batch_size(batch_rows)
            .with_projection_indices(projection.cloned())?;
        let Some(order) = order else {
            // DataFusion would deal out more groups than threads anew, as many as there are threads; and it would cut files of
            // which few pages are wanted, so that each is opened several times
            let are_kept = groups_count > state.config().target_partitions() || are_few;
            let partitioning = are_kept.then_some(Partitioning::UnknownPartitioning(groups_count));
            return Ok(DataSourceExec::from_data_source(config.with_output_partitioning(partitioning).build()));
        };
        let config = config
            .with_output_ordering(vec![order])
            .with_output_partitioning(Some(layout::partitioning(&self.schema, ranges)?));
        let scan = DataSourceExec::from_data_source(config.build());
        Ok(if ranges > BUCKETS || in_dictionaries { Arc::new(RangeExec::new(scan)) } else { scan })
    }
}

/// Reads a partition of one of [`LakeTable::sorted_scans`], in whatever process its plan has come to. Text columns come as
/// dictionaries, as they are in the file, which its footer tells. It is wanted for the rows anyway, and is kept for them.
pub async fn read_sorted(
    scan: &Arc<dyn ExecutionPlan>,
    partition: usize,
    context: Arc<TaskContext>,
) -> datafusion::error::Result<SendableRecordBatchStream> {
    let Some(config) = ranges::files_of(scan) else { return scan.execute(partition, context) };
    // all of it: nobody wants the first rows alone
    ranges::read(config, partition, context, MOST_GROUPS).await
}

/// A partition of one of [`LakeTable::sorted_scans`] that was begun before its turn: its footers are read and its first rows are
/// asked for, but not decoded. Nothing goes on when it is dropped.
pub struct Begun(SpawnedTask<datafusion::error::Result<SendableRecordBatchStream>>);

impl Begun {
    /// Begins a partition; None where it would be no sooner: its files are on a disk that keeps nobody waiting, or others need
    /// the memory.
    pub fn new(scan: &Arc<dyn ExecutionPlan>, partition: usize, context: &Arc<TaskContext>) -> Option<Self> {
        let config = ranges::files_of(scan)?;
        let waits = Latency::of(&config.object_store_url).keeps_waiting();
        if !waits || !has_left(context.memory_pool(), 0, 4) {
            return None;
        }
        let (scan, context) = (scan.clone(), context.clone());
        let begin = async move {
            let rows = read_sorted(&scan, partition, context).await?;
            let schema = rows.schema();
            let mut rows = rows.peekable();
            // as far as it comes without its bytes
            let _ = poll!(Pin::new(&mut rows).peek());
            Ok::<SendableRecordBatchStream, DataFusionError>(Box::pin(RecordBatchStreamAdapter::new(schema, rows)))
        };
        Some(Self(SpawnedTask::spawn(begin.boxed())))
    }

    /// Its rows, from the first.
    pub async fn rows(self) -> datafusion::error::Result<SendableRecordBatchStream> {
        self.0.join().await.map_err(|error| DataFusionError::External(Box::new(error)))?
    }
}

/// Bytes of all files that a plan may read, those of two scans counted twice.
pub fn bytes_of_files(plan: &Arc<dyn ExecutionPlan>) -> u64 {
    // the ranges of a bucket are in the same files
    let files = ranges::files_of(plan).into_iter().flat_map(|scan| &scan.file_groups).flat_map(FileGroup::files);
    let own: BTreeMap<_, u64> = files.map(|file| (&file.object_meta.location, file.object_meta.size)).collect();
    own.values().sum::<u64>() + plan.children().into_iter().map(bytes_of_files).sum::<u64>()
}

/// Files as the reader knows them.
fn groups_of(groups: &[Vec<&DataFile>]) -> Vec<FileGroup> {
    groups.iter().map(|files| FileGroup::new(files.iter().map(|file| readable(file)).collect())).collect()
}

/// Rows of a batch, `rows` or fewer, where `generations` are merged: a merge holds a batch of each, so many make them small.
fn batch_rows(rows: usize, generations: usize, batches: usize) -> usize {
    let least = (rows / 16).clamp(rows.min(128), 256);
    (rows * batches / generations.max(1)).clamp(least, rows)
}

/// A text column as one whose distinct values are stored once a row group; another as it is.
fn with_dictionary(field: &Field) -> Field {
    match field.data_type() {
        DataType::Utf8 => {
            field.clone().with_data_type(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)))
        }
        _ => field.clone(),
    }
}

fn internal(message: &str) -> DataFusionError {
    DataFusionError::Internal(message.into())
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

    // written out: the block that `async_trait` makes would hold the filters, see `crate::sealed`
    fn scan<'table, 'session, 'columns, 'filters, 'future>(
        &'table self,
        session: &'session dyn Session,
        projection: Option<&'columns Vec<usize>>,
        filters: &'filters [Expr],
        _limit: Option<usize>,
    ) -> BoxFuture<'future, datafusion::error::Result<Arc<dyn ExecutionPlan>>>
    where
        'table: 'future,
        'session: 'future,
        'columns: 'future,
        'filters: 'future,
        Self: 'future,
    {
        ready(self.reading(session, projection, filters)).boxed()
    }
}

/// Deals the files out so that no two files of a generation have a key in common: each has at most one file a bucket, or parts of it.
/// There is at least one generation.
fn generations<'a>(files: &[&'a DataFile]) -> Vec<Vec<Vec<&'a DataFile>>> {
    let buckets = lanes_of_buckets(files);
    let depth = buckets.iter().map(Vec::len).max().unwrap_or(0).max(1);
    (0..depth).map(|g| buckets.iter().map(|lanes| lanes.get(g).cloned().unwrap_or_default()).collect()).collect()
}

/// The lanes of each bucket, see [`lanes`].
fn lanes_of_buckets<'a>(files: &[&'a DataFile]) -> Vec<Vec<Vec<&'a DataFile>>> {
    let mut buckets: Vec<Vec<&DataFile>> = vec![vec![]; BUCKETS];
    for file in files {
        let bucket = file.tags.get(TAG_BUCKET).and_then(|b| b.parse::<usize>().ok()).unwrap_or_default();
        buckets[bucket.min(BUCKETS - 1)].push(file);
    }
    buckets.iter().map(|files| lanes(files)).collect()
}
