//! The table `hits`: online hits as stored, their visits computed while reading where the input named none; and which of
//! them are reported, in `events` and whatever else tells of hits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, ident, lit};
use datafusion::physical_expr::expressions::col;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::repeats::{self, RepeatsExec};
use super::visits::{VisitRules, VisitsExec};
use crate::columns::{
    BACKGROUND_HIT, EXCLUDE_HIT, HIT_SEQ, HIT_TIME, SUITE, VISIT_ID, VISIT_NUM, VISIT_START, VISITOR_ID, VISITOR_KEY,
};
use crate::lake::layout::{ORDER, TAG_VISITS};
use crate::lake::records::Suite;
use crate::lake::repeats::may_repeat;
use crate::lake::scan::LakeTable;

/// `hits` with its visits.
#[derive(Debug)]
pub struct HitsTable {
    stored: LakeTable,
    rules: Arc<HashMap<String, VisitRules>>,
    once: bool,
}

impl HitsTable {
    /// Over the stored hits; `rules` by suite.
    pub fn new(stored: LakeTable, rules: Arc<HashMap<String, VisitRules>>) -> Self {
        Self { stored, rules, once: false }
    }

    /// Each hit once, however often it was delivered.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
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
        let files = self.stored.files_for(filters);
        let (computed, repeats) = (asks_for_visits && !files.iter().all(given), self.once && may_repeat(&files));
        if !computed && !repeats {
            return self.stored.reading(session, projection, filters);
        }
        // a visit depends on the visitor's other hits, and a row on those of the same hit: filters go below that keep or
        // drop all of them
        let whole = |filter: &&Expr| keeps_whole(filter, if computed { &VISITOR } else { &HIT });
        let whole: Vec<Expr> = filters.iter().filter(whole).cloned().collect();
        let mut below = wanted.clone();
        let for_visits = [SUITE, VISIT_NUM, VISIT_START, VISIT_ID].into_iter().filter(|_| computed);
        let for_repeats = repeats::COLUMNS.into_iter().filter(|_| repeats);
        for name in ORDER.into_iter().chain(for_visits).chain(for_repeats) {
            let index = schema.index_of(name)?;
            if !below.contains(&index) {
                below.push(index);
            }
        }
        let mut filled = self.stored.reading(session, Some(&below), &whole)?;
        if repeats {
            filled = Arc::new(RepeatsExec::new(filled));
        }
        if computed {
            filled = Arc::new(VisitsExec::new(filled, self.rules.clone()));
        }
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

/// What is true of hits that are reported, once each: they are not excluded, and not background hits unless their suite
/// counts those. `schema` is that of the hits.
pub fn is_reported(schema: &Schema, suites: &[Suite]) -> Expr {
    let reported = coalesce(vec![ident(EXCLUDE_HIT), lit(0_i64)]).eq(lit(0_i64));
    if schema.index_of(BACKGROUND_HIT).is_err() {
        return reported;
    }
    let counting = suites.iter().filter(|suite| suite.background_hits).map(|suite| lit(suite.suite.as_str()));
    let counting: Vec<Expr> = counting.collect();
    let foreground = ident(BACKGROUND_HIT).is_not_true();
    reported.and(if counting.is_empty() { foreground } else { foreground.or(ident(SUITE).in_list(counting, false)) })
}

/// What all hits of a visitor have in common.
const VISITOR: [&str; 3] = [SUITE, VISITOR_ID, VISITOR_KEY];
/// What all rows of a hit have in common.
const HIT: [&str; 5] = [SUITE, VISITOR_ID, VISITOR_KEY, HIT_TIME, HIT_SEQ];

fn keeps_whole(filter: &Expr, common: &[&str]) -> bool {
    let columns = filter.column_refs();
    !columns.is_empty() && columns.iter().all(|c| common.contains(&c.name.as_str()))
}
