//! The table `hits`: online hits as stored, their visits computed while reading where the input named none.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::visits::{VisitRules, VisitsExec};
use crate::columns::{SUITE, VISIT_ID, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY};
use crate::lake::layout::{ORDER, TAG_VISITS};
use crate::lake::scan::LakeTable;

/// `hits` with its visits.
#[derive(Debug)]
pub struct HitsTable {
    stored: LakeTable,
    rules: Arc<HashMap<String, VisitRules>>,
}

impl HitsTable {
    /// Over the stored hits; `rules` by suite.
    pub fn new(stored: LakeTable, rules: Arc<HashMap<String, VisitRules>>) -> Self {
        Self { stored, rules }
    }

    /// The plan that reads these columns of the rows for which the filters may hold.
    fn reading(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let asks_for_visits =
            wanted.iter().any(|&i| matches!(schema.field(i).name().as_str(), VISIT_NUM | VISIT_START));
        let given = |f: &&crate::lake::DataFile| f.tags.get(TAG_VISITS).is_some_and(|v| v == "given");
        if !asks_for_visits || self.stored.files_for(filters).iter().all(given) {
            return self.stored.reading(session, projection, filters);
        }
        // a visit depends on the visitor's other hits: only filters that keep or drop whole visitors go below
        let whole: Vec<Expr> = filters.iter().filter(|f| keeps_visitors_whole(f)).cloned().collect();
        let mut below = wanted.clone();
        for name in ORDER.iter().chain(&[SUITE, VISIT_NUM, VISIT_START, VISIT_ID]) {
            let index = schema.index_of(name)?;
            if !below.contains(&index) {
                below.push(index);
            }
        }
        let rows = self.stored.reading(session, Some(&below), &whole)?;
        let filled: Arc<dyn ExecutionPlan> = Arc::new(VisitsExec::new(rows, self.rules.clone()));
        if below.len() == wanted.len() {
            return Ok(filled);
        }
        let exprs = wanted.iter().map(|&i| {
            let name = schema.field(i).name();
            Ok(ProjectionExpr { expr: col(name, &filled.schema())?, alias: name.clone() })
        });
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        Ok(Arc::new(ProjectionExec::try_new(exprs, filled)?))
    }
}

impl TableProvider for HitsTable {
    fn schema(&self) -> SchemaRef {
        self.stored.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> Result<Vec<TableProviderFilterPushDown>> {
        self.stored.supports_filters_pushdown(filters)
    }

    // written out: the block that `async_trait` makes would hold the filters, see `crate::sealed`
    fn scan<'table, 'session, 'columns, 'filters, 'future>(
        &'table self,
        session: &'session dyn Session,
        projection: Option<&'columns Vec<usize>>,
        filters: &'filters [Expr],
        _limit: Option<usize>,
    ) -> BoxFuture<'future, Result<Arc<dyn ExecutionPlan>>>
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

fn keeps_visitors_whole(filter: &Expr) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|c| matches!(c.name.as_str(), SUITE | VISITOR_ID | VISITOR_KEY))
}
