//! Writing by executors: an operator whose rows say which files a task has written.
//!
//! Two kinds of work: the rows of queries, shuffled so that each bucket is with one task, become new files of a table; and
//! each row of the input is a [`Job`], files that are to become one. Nothing is live before the client commits, so that a
//! task which is lost and run again leaves garbage at most. Executors write with their own credentials, within their own lake.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::memory_pool::MemoryLimit;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::Expr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{Boundedness, EmissionType, ReplaceChildrenOptions};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::repartition::RepartitionExec;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::union::UnionExec;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, Distribution, ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements,
    Partitioning, PlanProperties,
};
use datafusion::scalar::ScalarValue;
use datafusion_proto::bytes::Serializeable;
use datafusion_proto::protobuf;
use futures::{StreamExt, TryStreamExt, stream};
use rejoin_instances::encoding::{read_schema, schema_bytes};
use serde::{Deserialize, Serialize};
use url::Url;

use super::keep::KeepExec;
use crate::Error;
use crate::lake::layout::bucket_expr;
use crate::lake::parts::BucketPart;
use crate::lake::rewrite::{Job, Limits, Rewriter};
use crate::lake::stats::TimeSpan;
use crate::lake::write::{TableWriter, Written};
use crate::lake::{DataFile, Lake, NewFile, Snapshot};

/// The last column of rows to be written: which query they come from. It is counted, not written.
const QUERY: &str = "rejoin.query";

/// What is written where.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct WriteSpec {
    lake: Url,
    table: String,
    /// The table's columns, in DataFusion's form.
    columns: Vec<u8>,
    work: WriteKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
enum WriteKind {
    /// Rows of so many queries, each bucket in one task.
    Sorted { queries: usize },
    /// Rows of so many queries, all in one task, as they come.
    Plain { queries: usize },
    /// Files that become others.
    Jobs,
}

impl WriteSpec {
    fn new(lake: &Lake, table: &str, columns: &SchemaRef, work: WriteKind) -> crate::Result<Self> {
        let columns = protobuf::Schema::try_from(columns.as_ref()).map_err(|e| Error::bug(e.to_string()))?;
        Ok(Self { lake: lake.url().clone(), table: table.into(), columns: schema_bytes(&columns), work })
    }

    fn schema(&self) -> crate::Result<SchemaRef> {
        let unreadable = |e: &dyn fmt::Display| Error::bug(format!("columns of a table to be written: {e}"));
        let columns = read_schema(&self.columns).map_err(|e| unreadable(&e))?;
        Ok(Arc::new(Schema::try_from(&columns).map_err(|e| unreadable(&e))?))
    }
}

/// A file as it travels; its path in the store follows from the lake and the table.
#[derive(Debug, Serialize, Deserialize)]
struct TravellingFile {
    relative: String,
    size: u64,
    rows: Option<u64>,
    hit_time: Option<TimeSpan>,
    tags: HashMap<String, String>,
}

impl TravellingFile {
    fn of(file: DataFile) -> Self {
        let DataFile { relative, path: _, size, rows, hit_time, tags } = file;
        Self { relative, size, rows, hit_time, tags }
    }

    fn at(self, lake: &Lake, table: &str) -> crate::Result<DataFile> {
        let Self { relative, size, rows, hit_time, tags } = self;
        Ok(DataFile { path: lake.file_path(table, &relative)?, relative, size, rows, hit_time, tags })
    }

    fn written_at(self, lake: &Lake, table: &str) -> crate::Result<NewFile> {
        let rows = self.rows.ok_or_else(|| Error::bug("an executor wrote a file and did not count its rows"))?;
        let DataFile { relative, path, size, hit_time, tags, .. } = self.at(lake, table)?;
        Ok(NewFile { relative, path, size, rows, hit_time, tags })
    }
}

/// A [`Job`] as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct TravellingJob {
    number: usize,
    inputs: Vec<TravellingFile>,
    /// In DataFusion's form.
    keep: Vec<Vec<u8>>,
    part: Option<TravellingPart>,
}

/// A part of a bucket as it travels.
#[derive(Debug, Serialize, Deserialize)]
struct TravellingPart {
    number: usize,
    count: usize,
    set: String,
}

/// What a task has written.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Receipt {
    /// The job's number.
    job: Option<usize>,
    files: Vec<TravellingFile>,
    /// Names of the columns that some row has a value in.
    columns: Vec<String>,
    /// Rows of each query.
    rows: Vec<u64>,
}

/// Writes what its input says, and gives a receipt.
#[derive(Debug)]
pub(super) struct WriteExec {
    input: Arc<dyn ExecutionPlan>,
    spec: WriteSpec,
    /// Where it may write; None in processes that write nothing.
    lake: Option<Lake>,
    properties: Arc<PlanProperties>,
}

impl WriteExec {
    pub fn new(input: Arc<dyn ExecutionPlan>, spec: WriteSpec, lake: Option<Lake>) -> Self {
        let properties = PlanProperties::new(
            EquivalenceProperties::new(receipts()),
            Partitioning::UnknownPartitioning(input.output_partitioning().partition_count()),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self { input, spec, lake, properties: Arc::new(properties) }
    }

    pub fn spec(&self) -> &WriteSpec {
        &self.spec
    }
}

fn receipts() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("receipt", DataType::Utf8, false)]))
}

/// A plan that writes the rows of `plans`, which have the columns `schema`, into files of a table; nobody writes here.
pub(super) fn rows(
    lake: &Lake,
    table: &str,
    schema: &SchemaRef,
    plans: &[Arc<dyn ExecutionPlan>],
    partitions: usize,
) -> crate::Result<Arc<dyn ExecutionPlan>> {
    let numbered = plans.iter().enumerate().map(|(number, plan)| {
        let schema = plan.schema();
        let columns = schema.fields().iter().enumerate().map(|(i, field)| ProjectionExpr {
            expr: Arc::new(Column::new(field.name(), i)) as Arc<dyn PhysicalExpr>,
            alias: field.name().clone(),
        });
        let number = ScalarValue::Int32(Some(number as i32));
        let number = ProjectionExpr { expr: Arc::new(Literal::new(number)), alias: QUERY.into() };
        let exprs: Vec<ProjectionExpr> = columns.chain([number]).collect();
        Ok(Arc::new(ProjectionExec::try_new(exprs, plan.clone())?) as Arc<dyn ExecutionPlan>)
    });
    let mut numbered = numbered.collect::<Result<Vec<_>>>()?;
    let united = if numbered.len() == 1 { numbered.swap_remove(0) } else { UnionExec::try_new(numbered)? };
    let queries = plans.len();
    let (input, work) = match TableWriter::sorts(schema) {
        true => {
            let buckets = Partitioning::Hash(vec![bucket_expr(&united.schema())?], partitions);
            let input: Arc<dyn ExecutionPlan> = Arc::new(RepartitionExec::try_new(united, buckets)?);
            (input, WriteKind::Sorted { queries })
        }
        false => (KeepExec::gather(united), WriteKind::Plain { queries }),
    };
    Ok(Arc::new(WriteExec::new(input, WriteSpec::new(lake, table, schema, work)?, None)))
}

/// A plan that does `jobs`, each in a partition of its own; `first` is the number of the first.
pub(super) fn jobs(
    lake: &Lake,
    snapshot: &Snapshot,
    first: usize,
    jobs: Vec<Job>,
) -> crate::Result<Arc<dyn ExecutionPlan>> {
    let schema = Arc::new(Schema::new(vec![Field::new("job", DataType::Utf8, false)]));
    let partitions = jobs.into_iter().enumerate().map(|(i, job)| {
        let keep = job.keep.iter().map(|expr| Ok(expr.to_bytes()?.to_vec())).collect::<Result<_>>()?;
        let inputs = job.inputs.into_iter().map(TravellingFile::of).collect();
        let part = job.part.map(|BucketPart { number, count, set }| TravellingPart { number, count, set });
        let text = json(&TravellingJob { number: first + i, inputs, keep, part })?;
        Ok(vec![RecordBatch::try_new(schema.clone(), vec![Arc::new(StringArray::from(vec![text]))])?])
    });
    let partitions = partitions.collect::<crate::Result<Vec<_>>>()?;
    let source = MemorySourceConfig::try_new(&partitions, schema.clone(), None)?;
    let input = DataSourceExec::from_data_source(source);
    Ok(Arc::new(WriteExec::new(input, WriteSpec::new(lake, &snapshot.name, &snapshot.schema, WriteKind::Jobs)?, None)))
}

/// What the receipts of [`rows`] say: the files, and the rows of each query.
pub(super) fn written(
    lake: &Lake,
    table: &str,
    schema: &SchemaRef,
    queries: usize,
    batches: &[RecordBatch],
) -> crate::Result<(Written, Vec<u64>)> {
    let mut used: Vec<String> = vec![];
    let (mut files, mut rows) = (vec![], vec![0; queries]);
    for receipt in receipts_in(batches)? {
        rows.iter_mut().zip(&receipt.rows).for_each(|(all, here)| *all += here);
        used.extend(receipt.columns);
        for file in receipt.files {
            files.push(file.written_at(lake, table)?);
        }
    }
    let columns = schema.fields().iter().filter(|f| used.contains(f.name())).map(|f| f.as_ref().clone()).collect();
    let written = Written { rows: files.iter().map(|f| f.rows).sum(), columns, files };
    let given: u64 = rows.iter().sum();
    if written.rows != given {
        return Err(Error::bug(format!("of {given} rows executors have written {}", written.rows)));
    }
    Ok((written, rows))
}

/// What the receipts of [`jobs`] say: the file of each of `count` jobs, if a row was left; `first` is the number of the first.
pub(super) fn rewritten(
    lake: &Lake,
    table: &str,
    first: usize,
    count: usize,
    batches: &[RecordBatch],
) -> crate::Result<Vec<Option<NewFile>>> {
    let mut done: Vec<Option<Option<NewFile>>> = vec![None; count];
    for mut receipt in receipts_in(batches)? {
        let number = receipt.job.and_then(|number| number.checked_sub(first));
        let place = number.and_then(|number| done.get_mut(number)).filter(|place| place.is_none());
        let place = place.ok_or_else(|| Error::bug("executors have done a job that nobody gave them, or twice"))?;
        let file = receipt.files.pop().map(|file| file.written_at(lake, table)).transpose()?;
        *place = Some(file);
    }
    let done: Option<Vec<_>> = done.into_iter().collect();
    done.ok_or_else(|| Error::bug("executors have not done all jobs"))
}

fn receipts_in(batches: &[RecordBatch]) -> crate::Result<Vec<Receipt>> {
    let texts = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    let one = |text| serde_json::from_str(text).map_err(|e| Error::bug(format!("the receipt of an executor: {e}")));
    texts.map(one).collect()
}

fn json(of: &impl Serialize) -> crate::Result<String> {
    serde_json::to_string(of).map_err(|e| Error::bug(e.to_string()))
}

/// One partition's work.
struct Task {
    lake: Lake,
    spec: WriteSpec,
    input: SendableRecordBatchStream,
    context: Arc<TaskContext>,
}

impl Task {
    async fn run(self) -> crate::Result<RecordBatch> {
        let receipts = match self.spec.work {
            WriteKind::Sorted { queries } | WriteKind::Plain { queries } => vec![self.write_rows(queries).await?],
            WriteKind::Jobs => self.do_jobs().await?,
        };
        let texts = receipts.iter().map(json).collect::<crate::Result<Vec<_>>>()?;
        Ok(RecordBatch::try_new(self::receipts(), vec![Arc::new(StringArray::from(texts))])?)
    }

    async fn write_rows(mut self, queries: usize) -> crate::Result<Receipt> {
        let schema = self.spec.schema()?;
        let mut writer = TableWriter::start(&self.lake, &self.spec.table, schema.clone(), self.context.clone())?;
        let mut rows = vec![0; queries];
        while let Some(batch) = self.input.try_next().await? {
            let (numbers, columns) =
                batch.columns().split_last().ok_or_else(|| Error::bug("rows to be written without columns"))?;
            for number in numbers.as_primitive::<Int32Type>().values() {
                let query = usize::try_from(*number).ok().and_then(|number| rows.get_mut(number));
                *query.ok_or_else(|| Error::bug(format!("rows of query {number}")))? += 1;
            }
            writer.push(RecordBatch::try_new(schema.clone(), columns.to_vec())?).await?;
        }
        let Written { files, columns, .. } = writer.finish().await?;
        let files = files.into_iter().map(|file| TravellingFile::of(file.into())).collect();
        let columns = columns.iter().map(|field| field.name().clone()).collect();
        Ok(Receipt { job: None, files, columns, rows })
    }

    async fn do_jobs(mut self) -> crate::Result<Vec<Receipt>> {
        let (lake, table) = (&self.lake, &self.spec.table);
        // what is to be read is in the jobs, so nobody asks the log
        let mut snapshot = Snapshot::missing(lake, table)?;
        snapshot.schema = self.spec.schema()?;
        // a task does nothing else, so that all of its memory is for this
        let memory_bytes = match self.context.memory_pool().memory_limit() {
            MemoryLimit::Finite(bytes) => bytes,
            MemoryLimit::Infinite | MemoryLimit::Unknown => {
                return Err(Error::bug("a task without a limit of its memory"));
            }
        };
        let limits = Limits { memory_bytes, threads: Some(1) };
        let mut receipts = vec![];
        while let Some(batch) = self.input.try_next().await? {
            for text in batch.column(0).as_string::<i32>().iter().flatten() {
                let job: TravellingJob =
                    serde_json::from_str(text).map_err(|e| Error::bug(format!("a job for executors: {e}")))?;
                let inputs = job.inputs.into_iter().map(|file| file.at(lake, table)).collect::<crate::Result<_>>()?;
                let keep = job.keep.iter().map(|bytes| Expr::from_bytes(bytes)).collect::<Result<_>>()?;
                let part = job.part.map(|TravellingPart { number, count, set }| BucketPart { number, count, set });
                let file = limits.rewrite(lake, &snapshot, vec![Job { inputs, keep, part }]).await?.pop().flatten();
                let files = file.into_iter().map(|file| TravellingFile::of(file.into())).collect();
                receipts.push(Receipt { job: Some(job.number), files, ..Receipt::default() });
            }
        }
        Ok(receipts)
    }
}

impl DisplayAs for WriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WriteExec: table={}", self.spec.table)
    }
}

impl ExecutionPlan for WriteExec {
    fn name(&self) -> &str {
        "WriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let required = match (self.spec.work, bucket_expr(&self.input.schema())) {
            (WriteKind::Sorted { .. }, Ok(bucket)) => Distribution::KeyPartitioned(vec![bucket]),
            (WriteKind::Plain { .. }, _) => Distribution::SinglePartition,
            _ => Distribution::UnspecifiedDistribution,
        };
        InputDistributionRequirements::new(vec![required])
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
        Ok(Arc::new(Self::new(children.swap_remove(0), self.spec.clone(), self.lake.clone())))
    }

    fn with_new_children(self: Arc<Self>, mut children: Vec<Arc<dyn ExecutionPlan>>) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(Self::new(children.swap_remove(0), self.spec.clone(), self.lake.clone())))
    }

    fn execute(&self, partition: usize, context: Arc<TaskContext>) -> Result<SendableRecordBatchStream> {
        let lake = self.lake.as_ref().ok_or_else(|| Error::bug("this process writes nothing"));
        let lake = lake.and_then(|lake| lake.at(&self.spec.lake).map_err(|e| e.at("the executor cannot write there")));
        let lake = lake.map_err(|e| DataFusionError::External(Box::new(e)))?;
        let input = self.input.execute(partition, context.clone())?;
        let task = Task { lake, spec: self.spec.clone(), input, context };
        let run = async move { task.run().await.map_err(|e| DataFusionError::External(Box::new(e))) };
        Ok(Box::pin(RecordBatchStreamAdapter::new(self.schema(), stream::once(run).boxed())))
    }
}
