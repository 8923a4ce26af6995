//! Rows of queries on their way into files of a table: written by this process as they come, or by the executors of a cluster.
//!
//! In: queries, one after the other, whose columns are matched by name with those of the first. Out: files that wait for
//! their commit, and how many rows each query had. Nothing that failed is visible to anybody.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::execution::TaskContext;
use datafusion::physical_expr::expressions::{CastExpr, Column, Literal};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr, execute_stream};
use datafusion::scalar::ScalarValue;
use futures::TryStreamExt;

use crate::engine::any_order::without_merges;
use crate::engine::{Engine, Statement};
use crate::lake::write::{TableWriter, Written, sort_context};
use crate::{Error, Result};

/// Takes queries, gives files.
pub struct Sink<'e> {
    engine: &'e Engine,
    table: String,
    /// For sorting in this process.
    memory_bytes: usize,
    /// Columns that the table gets, of what the first query gives.
    stored: fn(&Schema) -> Result<SchemaRef>,
    /// The queries hang on no order of rows but those that they name.
    names_orders: bool,
    schema: Option<SchemaRef>,
    writer: Option<TableWriter>,
    /// Queries that others compute in the end.
    waiting: Vec<(Arc<dyn ExecutionPlan>, Arc<TaskContext>)>,
    rows: Vec<u64>,
}

/// What a sink leaves.
pub struct WrittenRows {
    /// The files.
    pub written: Written,
    /// Rows of each query.
    pub rows: Vec<u64>,
}

impl<'e> Sink<'e> {
    /// Into `table`, whose columns `stored` makes of those of the first query. `memory_bytes` bounds sorting in this process.
    pub fn new(engine: &'e Engine, table: &str, memory_bytes: usize, stored: fn(&Schema) -> Result<SchemaRef>) -> Self {
        let (table, schema, writer) = (table.to_string(), None, None);
        let (names_orders, waiting, rows) = (false, vec![], vec![]);
        Self { engine, table, memory_bytes, stored, names_orders, schema, writer, waiting, rows }
    }

    /// Of queries that hang on no order of rows but those that they name: files in a folder are not merged for any other.
    pub fn naming_orders(self) -> Self {
        Self { names_orders: true, ..self }
    }

    /// The columns of the table, once there was a query.
    pub fn schema(&self) -> Option<&SchemaRef> {
        self.schema.as_ref()
    }

    /// Takes the rows of ONE query: at once, or in the end, if a cluster computes.
    pub async fn take(&mut self, sql: &str) -> Result<()> {
        let (plan, context) =
            self.engine.physical(self.engine.plan_statement(&Statement::one(sql)?).await?.plan().clone()).await?;
        let schema = match &self.schema {
            Some(schema) => schema.clone(),
            None => self.schema.insert((self.stored)(&plan.schema())?).clone(),
        };
        let plan = in_columns(plan, &schema)?;
        match self.engine.remote() {
            Some(_) => self.waiting.push((plan, context)),
            None => self.write(plan, context, schema).await?,
        }
        Ok(())
    }

    /// Writes the rows of a plan here.
    async fn write(
        &mut self,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
        schema: SchemaRef,
    ) -> Result<()> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let memory = sort_context(self.memory_bytes)?;
                none.insert(TableWriter::start(self.engine.lake(), &self.table, schema.clone(), memory)?)
            }
        };
        let mut rows = 0;
        // a merge asks a store that keeps readers waiting for all files at once
        let in_turn = self.names_orders && !self.engine.lake().is_distant();
        let plan = match in_turn {
            true => without_merges(plan, context.session_config().target_partitions())?,
            false => plan,
        };
        let mut batches = execute_stream(plan, context)?;
        while let Some(batch) = batches.try_next().await? {
            rows += batch.num_rows() as u64;
            // the table says itself what is never NULL
            writer.push(RecordBatch::try_new(schema.clone(), batch.columns().to_vec())?).await?;
        }
        self.rows.push(rows);
        Ok(())
    }

    /// Ends the writing. `progress` is told how far others are.
    pub async fn finish(mut self, progress: &(dyn Fn(&str) + Send + Sync)) -> Result<WrittenRows> {
        let waiting = std::mem::take(&mut self.waiting);
        if let (Some(remote), Some((_, context)), Some(schema)) = (self.engine.remote(), waiting.first(), &self.schema)
        {
            let plans: Vec<_> = waiting.iter().map(|(plan, _)| plan.clone()).collect();
            let done = remote.write(&self.table, schema, &plans, context.clone(), progress).await?;
            if let Some((written, rows)) = done {
                return Ok(WrittenRows { written, rows });
            }
        }
        // what is known in this process only is computed here
        for (plan, context) in waiting {
            let schema = self.schema.clone().ok_or_else(|| Error::bug("a query without columns"))?;
            self.write(plan, context, schema).await?;
        }
        let written = match self.writer {
            Some(writer) => writer.finish().await?,
            None => Written::default(),
        };
        Ok(WrittenRows { written, rows: self.rows })
    }
}

/// A plan's rows in the columns of `schema`: by name, cast to their types, NULL where it has none of that name.
fn in_columns(plan: Arc<dyn ExecutionPlan>, schema: &SchemaRef) -> Result<Arc<dyn ExecutionPlan>> {
    let theirs = plan.schema();
    let expr = schema.fields().iter().map(|field| {
        let expr: Arc<dyn PhysicalExpr> = match theirs.index_of(field.name()) {
            Ok(index) if theirs.field(index).data_type() == field.data_type() => {
                Arc::new(Column::new(field.name(), index))
            }
            Ok(index) => {
                Arc::new(CastExpr::new(Arc::new(Column::new(field.name(), index)), field.data_type().clone(), None))
            }
            Err(_) => Arc::new(Literal::new(ScalarValue::try_from(field.data_type())?)),
        };
        Ok(ProjectionExpr { expr, alias: field.name().clone() })
    });
    Ok(Arc::new(ProjectionExec::try_new(expr.collect::<Result<Vec<_>>>()?, plan)?))
}
