//! The table `hits`: online hits as stored, with what is computed while reading: their visits, where the input named none,
//! and dimensions that persist by a rule of their suite; and which of them are reported, in `events` and whatever else
//! tells of hits.
//!
//! A dimension that persists by a rule has a column `_set` beside it, which says of every hit what it set itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arrow::datatypes::{Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::DFSchema;
use datafusion::datasource::TableType;
use datafusion::error::Result;
use datafusion::functions::core::expr_fn::coalesce;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, ident, lit};
use datafusion::physical_expr::expressions::{case, col};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr};
use futures::FutureExt;
use futures::future::{BoxFuture, ready};

use super::beside::BesideExec;
use super::persistence::{PersistenceExec, Persisting};
use super::repeats::{self, RepeatsExec};
use super::visits::{VisitRules, VisitsExec};
use crate::attribution::Persistence;
use crate::columns::{
    self, BACKGROUND_HIT, EXCLUDE_HIT, HIT_SEQ, HIT_TIME, SOURCE, SUITE, VISIT_ID, VISIT_NUM, VISIT_START, VISITOR_ID,
    VISITOR_KEY, persisted_flag, set_column,
};
use crate::lake::layout::{ORDER, TAG_SUITE, TAG_VISITS};
use crate::lake::records::Suite;
use crate::lake::repeats::{may_repeat, may_repeat_by_key};
use crate::lake::scan::LakeTable;
use crate::lake::{DataFile, suites};

/// What the settings of suites say of their hits.
#[derive(Debug, Clone, Default)]
pub struct HitRules {
    /// When computed visits end, by suite.
    visits: Arc<HashMap<String, VisitRules>>,
    /// Which dimensions persist, by suite.
    persistence: BTreeMap<String, BTreeMap<String, Persistence>>,
    /// Suites that count background hits.
    counting_background: BTreeSet<String>,
}

impl HitRules {
    /// Of these suites.
    pub fn of(suites: &[Suite]) -> crate::Result<Self> {
        let visits = suites.iter().map(|s| (s.suite.clone(), VisitRules::of(s))).collect();
        let mut persistence = BTreeMap::new();
        for suite in suites {
            let rules = suites::persistence(suite)?;
            if !rules.is_empty() {
                persistence.insert(suite.suite.clone(), rules);
            }
        }
        let counting = suites.iter().filter(|suite| suite.background_hits).map(|suite| suite.suite.clone());
        Ok(Self { visits: Arc::new(visits), persistence, counting_background: counting.collect() })
    }

    /// True where a dimension of one of these suites persists by a rule.
    pub fn persist_in(&self, suites: &BTreeSet<&str>) -> bool {
        self.persistence.keys().any(|suite| suites.contains(suite.as_str()))
    }

    /// The dimensions that persist in some suite.
    pub fn persisting(&self) -> BTreeSet<String> {
        self.persistence.values().flat_map(BTreeMap::keys).cloned().collect()
    }

    /// The columns of `hits`: those that it stores, and what rows set of dimensions that persist.
    pub fn columns(&self, stored: &Schema) -> SchemaRef {
        let mut fields = stored.fields().to_vec();
        for dimension in self.persisting() {
            let set = set_column(&dimension);
            if stored.index_of(&dimension).is_ok() && stored.index_of(&set).is_err() {
                fields.push(Arc::new(columns::dimension(&set)));
            }
        }
        Arc::new(Schema::new(fields))
    }
}

/// `hits` with what is computed.
#[derive(Debug)]
pub struct HitsTable {
    stored: LakeTable,
    schema: SchemaRef,
    rules: HitRules,
    once: bool,
    stored_visits: bool,
}

impl HitsTable {
    /// Over the stored hits.
    pub fn new(stored: LakeTable, rules: HitRules) -> Self {
        let schema = rules.columns(&stored.schema());
        Self { stored, schema, rules, once: false, stored_visits: false }
    }

    /// Each hit once, however often it was delivered.
    pub fn once(self) -> Self {
        Self { once: true, ..self }
    }

    /// Visits as they are stored, even where no input named them: of rows that a feed brought integrated.
    pub fn with_stored_visits(self) -> Self {
        Self { stored_visits: true, ..self }
    }

    /// What is to be computed for the columns `wanted` of some files.
    fn work(&self, wanted: &[&str], files: &[&DataFile]) -> HitComputation {
        let given = self.stored_visits || files.iter().all(|f| f.tags.get(TAG_VISITS).is_some_and(|v| v == "given"));
        let of_suite = |suite: &str| files.iter().any(|f| f.tags.get(TAG_SUITE).is_none_or(|s| s == suite));
        let rules: BTreeMap<_, _> = self
            .rules
            .persistence
            .iter()
            .filter(|(suite, _)| of_suite(suite))
            .map(|(s, r)| (s.clone(), r.clone()))
            .collect();
        let persists = |column: &str| rules.values().any(|rules| rules.contains_key(column));
        let filled: Vec<String> = wanted.iter().filter(|name| persists(name)).map(|name| name.to_string()).collect();
        let needs =
            |dimension: &str| self.schema.index_of(dimension).is_ok() && self.rules.persisting().contains(dimension);
        let sets = wanted.iter().filter_map(|name| name.strip_suffix("_set")).filter(|d| needs(d));
        let sets = sets.map(str::to_string).chain(filled.iter().cloned()).collect();
        let persisting =
            Persisting { columns: filled, rules, counting_background: self.rules.counting_background.clone() };
        let (repeats, by_key) = (self.once && may_repeat(files), self.once && may_repeat_by_key(files));
        let visits =
            !given && (wanted.iter().any(|name| matches!(*name, VISIT_NUM | VISIT_START)) || persisting.needs_visits());
        HitComputation { repeats, by_key, visits, sets, persisting }
    }

    /// The stored columns that the work is done with, beside those that are wanted.
    fn needed(&self, work: &HitComputation) -> Vec<String> {
        let mut names: Vec<String> = vec![];
        let mut add = |name: &str| names.push(name.to_string());
        if work.in_order() {
            ORDER.iter().chain(&[SUITE]).for_each(|name| add(name));
        }
        if work.repeats {
            repeats::COLUMNS.iter().for_each(|name| add(name));
        }
        if work.visits || work.persisting.needs_visits() {
            [VISIT_NUM, VISIT_START].iter().for_each(|name| add(name));
        }
        if work.visits {
            add(VISIT_ID);
        }
        if work.persists() {
            [EXCLUDE_HIT, BACKGROUND_HIT].iter().for_each(|name| add(name));
            work.persisting.metrics().iter().for_each(|name| add(name));
        }
        for dimension in &work.sets {
            add(dimension);
            let set = set_column(dimension);
            if self.stored.stores_column(&set) {
                [&set, persisted_flag(dimension)].iter().for_each(|name| add(name));
            }
        }
        names
    }
}

/// What is computed of hits beside reading them.
struct HitComputation {
    /// Rows of one hit are to be distinguished.
    repeats: bool,
    /// Some of them at other times, by a key.
    by_key: bool,
    /// Visits.
    visits: bool,
    /// What rows set of these dimensions.
    sets: BTreeSet<String>,
    persisting: Persisting,
}

impl HitComputation {
    fn is_nothing(&self) -> bool {
        !self.repeats && !self.visits && self.sets.is_empty()
    }

    fn persists(&self) -> bool {
        !self.persisting.columns.is_empty()
    }

    /// True where rows are needed visitor by visitor.
    fn in_order(&self) -> bool {
        self.repeats || self.by_visitor()
    }

    /// True where a row depends on its visitor's others.
    fn by_visitor(&self) -> bool {
        self.by_key || self.visits || self.persists()
    }

    /// True for a column that is not as it is stored.
    fn computes(&self, name: &str) -> bool {
        self.visits && matches!(name, VISIT_NUM | VISIT_START)
            || self.persisting.columns.iter().any(|column| column == name)
            || name.strip_suffix("_set").is_some_and(|dimension| self.sets.contains(dimension))
    }

    /// True for a filter that only asks for what is stored.
    fn reads_stored(&self, filter: &Expr) -> bool {
        let columns = filter.column_refs();
        !columns.is_empty() && !columns.iter().any(|c| self.computes(&c.name))
    }

    /// Which filters all rows can be read with: where a row depends on the visitor's others, or on those of the same hit, only
    /// such as keep or drop all of them.
    fn goes_below(&self, filter: &Expr) -> bool {
        let common: &[&str] = if self.by_visitor() { &VISITOR } else { &HIT };
        self.reads_stored(filter)
            && (!self.in_order() || filter.column_refs().iter().all(|c| common.contains(&c.name.as_str())))
    }
}

impl HitsTable {
    /// The plan that reads these columns of the rows for which the filters may hold.
    fn reading(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let schema = self.schema();
        let wanted: Vec<usize> = projection.cloned().unwrap_or_else(|| (0..schema.fields().len()).collect());
        let names: Vec<&str> = wanted.iter().map(|&i| schema.field(i).name().as_str()).collect();
        // a hit of a time that nobody asks for may be the one that counts
        let all = self.stored.files_for(&[]);
        let files = if may_repeat_by_key(&all) { all } else { self.stored.files_for(filters) };
        let work = self.work(&names, &files);
        if work.is_nothing() {
            // the stored columns come first
            return self.stored.reading(session, Some(&wanted), filters);
        }
        let (whole, others): (Vec<Expr>, Vec<Expr>) = filters.iter().cloned().partition(|f| work.goes_below(f));
        // filters that tell rows apart, not visitors: what they keep can be read without the rest
        let few: Vec<Expr> = others.into_iter().filter(|f| work.in_order() && work.reads_stored(f)).collect();
        let can_split = !work.repeats && session.config_options().execution.parquet.pushdown_filters;
        let rows = match few.is_empty() || !can_split || !self.spares_columns(&names, &work, &few) {
            true => self.worked(self.stored_rows(session, &names, &work, &whole)?, work)?,
            false => self.of_few(session, &names, work, [whole, few].concat())?,
        };
        if rows.schema().fields().iter().map(|f| f.name().as_str()).eq(names.iter().copied()) {
            return Ok(rows);
        }
        Ok(Arc::new(columns_of(rows, names.iter().copied())?))
    }

    /// True where it spares more columns than it costs to read other columns of few rows apart: those that all rows are worked and
    /// filtered with are read twice then.
    fn spares_columns(&self, names: &[&str], work: &HitComputation, filters: &[Expr]) -> bool {
        let asked: Vec<String> = filters.iter().flat_map(Expr::column_refs).map(|c| c.name.clone()).collect();
        let of_few = names.iter().copied().filter(|name| !work.computes(name));
        let of_few: BTreeSet<&str> = of_few.chain(ORDER).chain(asked.iter().map(String::as_str)).collect();
        let of_all: BTreeSet<String> = self.needed(work).into_iter().chain(asked.iter().cloned()).collect();
        let stored = of_few.iter().filter(|name| self.stored.stores_column(name));
        let (twice, spared): (Vec<&str>, Vec<&str>) = stored.copied().partition(|name| of_all.contains(*name));
        spared.len() > twice.len()
    }

    /// The stored columns of these names, and those that the work is done with.
    fn stored_rows(
        &self,
        session: &dyn Session,
        names: &[&str],
        work: &HitComputation,
        filters: &[Expr],
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let needed = self.needed(work);
        let names: Vec<&str> = names.iter().copied().chain(needed.iter().map(String::as_str)).collect();
        self.scan_columns(session, &names, filters)
    }

    /// A scan of stored columns; names of others are passed over.
    fn scan_columns(&self, session: &dyn Session, names: &[&str], filters: &[Expr]) -> Result<Arc<dyn ExecutionPlan>> {
        let mut indices: Vec<usize> = vec![];
        for index in names.iter().filter_map(|name| self.stored.schema().index_of(name).ok()) {
            if !indices.contains(&index) {
                indices.push(index);
            }
        }
        self.stored.reading(session, Some(&indices), filters)
    }

    fn worked(&self, mut rows: Arc<dyn ExecutionPlan>, work: HitComputation) -> Result<Arc<dyn ExecutionPlan>> {
        if work.repeats {
            rows = Arc::new(RepeatsExec::new(rows));
        }
        if !work.sets.is_empty() {
            rows = with_sets(rows, &work.sets)?;
        }
        if work.visits {
            rows = Arc::new(VisitsExec::new(rows, self.rules.visits.clone()));
        }
        if work.persists() {
            rows = Arc::new(PersistenceExec::new(rows, Arc::new(work.persisting)));
        }
        Ok(rows)
    }

    /// The rows for which `filters` are true: what is computed of all rows and only then filtered, beside the other columns,
    /// which are read of those rows alone. Both come in the lake's order, so row by row they are the same.
    fn of_few(
        &self,
        session: &dyn Session,
        names: &[&str],
        work: HitComputation,
        filters: Vec<Expr>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let is_computed = |name: &str| work.computes(name);
        let computed: Vec<&str> = names.iter().copied().filter(|name| is_computed(name)).collect();
        let asked = filters.iter().flat_map(Expr::column_refs).map(|c| c.name.clone()).collect::<BTreeSet<_>>();
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let others = names.iter().copied().filter(|name| !is_computed(name)).chain(ORDER).chain(asked.iter().copied());
        let others: Vec<&str> = others.collect();
        let whole: Vec<Expr> = filters.iter().filter(|f| work.goes_below(f)).cloned().collect();
        let few = filtered(session, self.scan_columns(session, &others, &filters)?, &filters)?;
        let all = self.stored_rows(session, &asked, &work, &whole)?;
        let all = filtered(session, self.worked(all, work)?, &filters)?;
        Ok(Arc::new(BesideExec::new(few, Arc::new(columns_of(all, computed.into_iter())?))))
    }
}

impl TableProvider for HitsTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
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
/// What all rows of a hit have in common; those that a feed brought integrated have a source, too.
const HIT: [&str; 6] = [SUITE, VISITOR_ID, VISITOR_KEY, HIT_TIME, HIT_SEQ, SOURCE];

/// Some columns of rows, by name.
fn columns_of<'n>(rows: Arc<dyn ExecutionPlan>, names: impl Iterator<Item = &'n str>) -> Result<ProjectionExec> {
    let exprs = names.map(|name| Ok(ProjectionExpr { expr: col(name, &rows.schema())?, alias: name.to_string() }));
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    ProjectionExec::try_new(exprs, rows)
}

/// Rows for which all of some filters are true.
fn filtered(state: &dyn Session, rows: Arc<dyn ExecutionPlan>, filters: &[Expr]) -> Result<Arc<dyn ExecutionPlan>> {
    let Some(filter) = conjunction(filters.iter().cloned()) else { return Ok(rows) };
    let schema = DFSchema::try_from(rows.schema().as_ref().clone())?;
    Ok(Arc::new(FilterExec::try_new(state.create_physical_expr(filter, &schema)?, rows)?))
}

/// Rows with what each set of some dimensions: where values persisted already, what is stored of it; elsewhere the value.
fn with_sets(rows: Arc<dyn ExecutionPlan>, dimensions: &BTreeSet<String>) -> Result<Arc<dyn ExecutionPlan>> {
    let schema = rows.schema();
    let has = |name: &str| schema.index_of(name).is_ok();
    let dimension_of = |name: &str| name.strip_suffix("_set").filter(|d| dimensions.contains(*d)).map(str::to_string);
    let mut names: Vec<String> = schema.fields().iter().map(|f| f.name().clone()).collect();
    names.extend(dimensions.iter().map(|dimension| set_column(dimension)).filter(|set| !has(set)));
    let exprs = names.into_iter().map(|name| {
        let expr = match dimension_of(&name) {
            Some(dimension) if has(&name) && has(persisted_flag(&dimension)) => {
                let known = (col(persisted_flag(&dimension), &schema)?, col(&name, &schema)?);
                case(None, vec![known], Some(col(&dimension, &schema)?))?
            }
            Some(dimension) => col(&dimension, &schema)?,
            None => col(&name, &schema)?,
        };
        Ok(ProjectionExpr { expr, alias: name })
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(ProjectionExec::try_new(exprs, rows)?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::datatypes::{DataType, Field};

    use super::*;
    use crate::columns::TRANSACTION_ID;
    use crate::lake::{Lake, Snapshot};

    #[tokio::test]
    async fn other_columns_are_read_apart_where_they_are_many() {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        let spares = |dimensions: usize| {
            let names = ORDER.iter().chain(&[SUITE, VISIT_NUM, TRANSACTION_ID]).map(|name| name.to_string());
            let names: Vec<String> = names.chain((1..=dimensions).map(|number| format!("evar{number}"))).collect();
            let fields = names.iter().map(|name| Field::new(name, DataType::Utf8, true));
            let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
            let mut snapshot = Snapshot::missing(&lake, "hits").unwrap();
            snapshot.schema = schema.clone();
            let table = HitsTable::new(LakeTable::new(lake.clone(), Arc::new(snapshot), schema), HitRules::default());
            let sets = BTreeSet::new();
            let persisting = Persisting { columns: vec![], rules: BTreeMap::new(), counting_background: sets.clone() };
            let work = HitComputation { repeats: false, by_key: false, visits: true, sets, persisting };
            // no file has this one
            let names: Vec<&str> = names.iter().map(String::as_str).chain([VISIT_START]).collect();
            table.spares_columns(&names, &work, &[ident(TRANSACTION_ID).is_not_null()])
        };
        // twice come the four of the order, the suite and the transaction ID; the number of the visit is computed
        assert_eq!([6, 7].map(spares), [false, true]);
    }
}
