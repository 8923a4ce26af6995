//! One table is renewed a key at a time, or it is told why it must be built whole.
//!
//! In: the table, the query, and what the table was built from. Which keys are to be renewed is told by the rows of visitors that
//! changed (`visitors`); everything else that a query may read, settings of suites and lookup tables among it, is nobody's
//! rows, and a change of it is one of all keys.

use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};

use super::columns::stored_schema;
use super::definition::Query;
use super::key::{asks_for_persons, check, is_of_visitors};
use super::renew::{KeyRenewal, has_columns};
use super::states::{CurrentTables, PERSONS, State, States};
use super::visitors::changed_visitors;
use crate::Result;
use crate::engine::{Engine, SomeVisitors, Statement};
use crate::lake::records::Suite;
use crate::lake::tables::{self, HITS, INTEGRATED, TableKind};
use crate::lake::{Registry, Snapshot};

/// A table of which some keys were renewed.
pub struct Renewed {
    /// It, as it is now.
    pub snapshot: Snapshot,
    /// How many keys.
    pub keys: usize,
}

/// Why a table is to be built whole, where that is no matter of course.
pub type WholeBuildReason = Option<String>;

/// A table with a key.
pub struct ByKey<'k> {
    /// A session at the versions that are read, with the settings of the file.
    pub engine: &'k Engine,
    /// What it is made of.
    pub query: &'k Query,
    /// The key.
    pub key: &'k str,
    /// The table as it is.
    pub former: &'k Snapshot,
    /// Bounds sorting.
    pub memory_bytes: usize,
}

impl ByKey<'_> {
    /// Renews the keys that changed since the table was built from `then`; None where that was never done, or is to be
    /// forgotten.
    ///
    /// # Errors
    /// The query cannot have this key.
    pub async fn renew(
        &self,
        then: Option<&States>,
        now: &mut CurrentTables<'_>,
    ) -> Result<Result<Renewed, WholeBuildReason>> {
        let Self { engine, former, key, .. } = *self;
        let statement = Statement::one(&self.query.sql)?;
        // over nobody's rows a plan says all the same how it treats them
        let plan = self.plan_over(SomeVisitors::default(), &statement).await?;
        check(&plan, key)?;
        let Some(then) = then else { return Ok(Err(None)) };
        let visitors = match self.changed(then, &plan, &statement, now).await? {
            Ok(visitors) => visitors,
            Err(why) => return Ok(Err(Some(why))),
        };
        let keys = visitors.count();
        if keys == 0 {
            return Ok(Ok(Renewed { snapshot: former.clone(), keys }));
        }
        let settings = engine.settings();
        // whose a row is is decoded first, the rest for the rows of these visitors alone
        engine.collect("SET datafusion.execution.parquet.pushdown_filters = true").await?;
        let which = visitors.rows_by(key);
        let rows = self.plan_over(visitors, &statement).await?;
        let rows = LogicalPlanBuilder::from(rows).filter(which.clone())?.build()?;
        let renewed = KeyRenewal { engine, former, which, memory_bytes: self.memory_bytes }.run(rows).await?;
        engine.restore(settings)?;
        Ok(match renewed {
            Some(snapshot) => Ok(Renewed { snapshot, keys }),
            None => Err(Some("too many of its rows are of keys that changed".into())),
        })
    }

    /// The query's plan over the rows of some visitors.
    async fn plan_over(&self, visitors: SomeVisitors, statement: &Statement) -> Result<LogicalPlan> {
        self.engine.restrict_to(Some(visitors));
        let planned = self.engine.plan_statement(statement).await;
        self.engine.restrict_to(None);
        Ok(planned?.plan().clone())
    }

    /// The visitors whose rows changed, or why all keys are to be renewed.
    async fn changed(
        &self,
        then: &States,
        plan: &LogicalPlan,
        statement: &Statement,
        now: &mut CurrentTables<'_>,
    ) -> Result<Result<SomeVisitors, String>> {
        let Self { engine, former, key, query, .. } = *self;
        if !is_of_visitors(key) {
            return Ok(Err(format!(
                "which values of {key} changed is not known, only which of visitor_id and visitor_key"
            )));
        }
        let is_log = |name: &String| tables::find(name).is_some_and(|table| table.kind == TableKind::WorkLog);
        if statement.names().lists_tables || statement.names().tables.iter().any(is_log) {
            return Ok(Err("it reads what each rebuild changes".into()));
        }
        let left = former.version.map(State::built);
        if left.is_none() || then.get(&former.name).copied() != left {
            return Ok(Err("it is not as the last build left it, or that was another version of rejoin".into()));
        }
        let plan = engine.context().state().optimize(plan)?;
        let tables = now.changed(query, then).await?;
        for &table in &tables {
            let changes_all = match table {
                HITS | INTEGRATED => false,
                _ if PERSONS.contains(&table) => asks_for_persons(&plan)?,
                _ => true,
            };
            if changes_all {
                return Ok(Err(format!("{table} changed")));
            }
        }
        if !has_columns(former, stored_schema(plan.schema().as_arrow())?.as_ref()) {
            return Ok(Err("it has other columns now".into()));
        }
        // how an item is written is told by the rows of all visitors
        let suites = Registry::<Suite>::read(engine.lake()).await?.rows;
        if !statement.names().table_functions.is_empty() && suites.iter().any(|suite| suite.fold_case) {
            return Ok(Err("a suite takes items for one that differ only in case (--fold-case)".into()));
        }
        let before = |table: &str| then.get(table).map(State::version);
        let hits = [before(HITS), now.version(HITS).await?];
        let integrated = now.version(INTEGRATED).await?;
        // compacted rows are the same rows
        let integrated = [if tables.contains(&INTEGRATED) { before(INTEGRATED) } else { integrated }, integrated];
        let changed = changed_visitors(engine, hits, integrated).await?;
        Ok(changed.map_err(str::to_string))
    }
}
