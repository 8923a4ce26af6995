//! Plans as they were optimized, kept by a session: who asks for the same rows again, as a dashboard does, does not wait for it.
//!
//! A plan is the same where it reads the same sources with the same settings. Sources are the same as long as the session keeps the plan
//! of `events` (see [`super::kept_events`]), which is made anew when anything changes that it hangs on; tables that a statement names
//! itself are sources of its own. Functions that may say something else next time are worked out while a plan is
//! optimized, so those with such functions are not kept.

use std::sync::{Arc, Mutex, PoisonError};

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, TableSource, Volatility};
use rejoin_instances::trees::{walk_expressions, walk_nodes, walk_parts};

use super::unread_columns::is_simple_union;
use crate::sealed::Sealed;

/// Plans that a session keeps, and how many bytes the expressions of each may take, before and after, those of `events` among
/// them, which all share; a larger one is optimized anew.
const MOST_KEPT: usize = 4;
const MOST_BYTES: usize = 256 << 10;

/// The plans that a session has optimized, the latest last.
#[derive(Debug, Default)]
pub(super) struct KeptPlans(Mutex<Vec<Kept>>);

/// A plan before and after, and the settings with which it was optimized. As long as they are held here, whoever changes
/// the session's settings changes a copy of them.
#[derive(Debug)]
struct Kept {
    asked: Sealed<LogicalPlan>,
    optimized: Sealed<LogicalPlan>,
    settings: Arc<ConfigOptions>,
}

impl KeptPlans {
    /// A plan, optimized.
    ///
    /// # Errors
    /// What DataFusion says while it optimizes.
    pub fn optimized(&self, state: &SessionState, plan: LogicalPlan) -> Result<Sealed<LogicalPlan>> {
        let settings = state.config_options();
        if let Some(known) = self.find(&plan, settings) {
            return Ok(known);
        }
        let optimized = Sealed::new(state.optimize(&plan)?);
        if is_simple_union(&plan)? && is_small(&plan)? && is_small(&optimized)? && says_the_same_again(&plan)? {
            self.keep(Kept { asked: Sealed::new(plan), optimized: optimized.clone(), settings: settings.clone() });
        }
        Ok(optimized)
    }

    fn find(&self, plan: &LogicalPlan, settings: &Arc<ConfigOptions>) -> Option<Sealed<LogicalPlan>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is = |kept: &&Kept| {
            // plans are equal whose tables have the same name
            Arc::ptr_eq(&kept.settings, settings) && *kept.asked == *plan && have_same_sources(&kept.asked, plan)
        };
        kept.iter().find(is).map(|kept| kept.optimized.clone())
    }

    /// Keeps a plan; those of other settings go.
    fn keep(&self, plan: Kept) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|other| Arc::ptr_eq(&other.settings, &plan.settings));
        kept.push(plan);
        if kept.len() > MOST_KEPT {
            kept.remove(0);
        }
    }
}

fn have_same_sources(plan: &LogicalPlan, other: &LogicalPlan) -> bool {
    let (own, others) = (sources(plan), sources(other));
    own.len() == others.len() && own.iter().zip(&others).all(|(own, other)| Arc::ptr_eq(own, other))
}

/// What a plan reads.
fn sources(plan: &LogicalPlan) -> Vec<Arc<dyn TableSource>> {
    let mut sources = vec![];
    // it never fails
    let _ = walk_nodes(plan, &mut |node| {
        if let LogicalPlan::TableScan(scan) = node {
            sources.push(scan.source.clone());
        }
        Ok(TreeNodeRecursion::Continue)
    });
    sources
}

/// True where the expressions of a plan take little memory.
fn is_small(plan: &LogicalPlan) -> Result<bool> {
    let mut bytes = 0;
    walk_all_parts(plan, &mut |part| {
        bytes += size_of::<Expr>();
        if let Expr::Literal(value, _) = part {
            bytes += value.size();
        }
    })?;
    Ok(bytes <= MOST_BYTES)
}

/// True where no part of a plan's expressions may have another value when it is asked for again.
fn says_the_same_again(plan: &LogicalPlan) -> Result<bool> {
    let mut same = true;
    walk_all_parts(plan, &mut |part| {
        same &= match part {
            Expr::ScalarFunction(call) => call.func.signature().volatility == Volatility::Immutable,
            Expr::HigherOrderFunction(_) | Expr::ScalarVariable(..) | Expr::Placeholder(_) => false,
            _ => true,
        };
    })?;
    Ok(same)
}

fn walk_all_parts(plan: &LogicalPlan, see: &mut dyn FnMut(&Expr)) -> Result<()> {
    walk_nodes(plan, &mut |node| {
        walk_expressions(node, &mut |expr| {
            walk_parts(expr, &mut |part| {
                see(part);
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::prelude::SessionContext;

    use super::*;

    const UNION: &str = "(SELECT a, b FROM one UNION ALL SELECT a, b FROM other) AS u";

    async fn session() -> SessionContext {
        let context = SessionContext::new();
        for table in ["one", "other"] {
            let table = format!("CREATE TABLE {table} AS SELECT * FROM (VALUES (1, 'x'), (2, 'y')) AS t (a, b)");
            context.sql(&table).await.unwrap();
        }
        context
    }

    /// Whether a plan is kept once it was optimized.
    async fn is_kept(context: &SessionContext, sql: &str) -> bool {
        let (kept, state) = (KeptPlans::default(), context.state());
        let plan = state.create_logical_plan(sql).await.unwrap();
        let optimized = kept.optimized(&state, plan.clone()).unwrap();
        let found = kept.find(&plan, state.config_options());
        assert!(found.as_ref().is_none_or(|found| **found == *optimized), "{sql}");
        assert_eq!(*optimized, state.optimize(&plan).unwrap(), "{sql}");
        found.is_some()
    }

    #[tokio::test]
    async fn plans_are_kept_that_say_the_same_again() {
        let context = session().await;
        assert!(is_kept(&context, &format!("SELECT a FROM {UNION} WHERE b = 'x' ORDER BY a")).await);
        for sql in [
            "SELECT a FROM one WHERE b = 'x'",
            &format!("SELECT a, now() FROM {UNION}"),
            &format!("SELECT a FROM {UNION} WHERE random() < 0.5"),
            &format!("SELECT a FROM {UNION} WHERE b = '{}'", "x".repeat(MOST_BYTES)),
            &format!("EXPLAIN SELECT a FROM {UNION}"),
        ] {
            assert!(!is_kept(&context, sql).await, "{sql}");
        }
    }

    #[tokio::test]
    async fn other_sources_and_settings_are_another_plan() {
        let (context, kept) = (session().await, KeptPlans::default());
        let sql = format!("SELECT a FROM {UNION}");
        let state = context.state();
        let plan = state.create_logical_plan(&sql).await.unwrap();
        kept.optimized(&state, plan.clone()).unwrap();
        assert!(kept.find(&plan, context.state().config_options()).is_some());
        // a source of its own for each time that a table is named
        let same_text = state.create_logical_plan(&sql).await.unwrap();
        assert!(same_text == plan && kept.find(&same_text, state.config_options()).is_none());
        context.sql("SET datafusion.execution.batch_size = 100").await.unwrap();
        assert!(kept.find(&plan, context.state().config_options()).is_none());
    }

    #[tokio::test]
    async fn few_plans_are_kept() {
        let (context, kept) = (session().await, KeptPlans::default());
        let state = context.state();
        let mut plans = vec![];
        for number in 0..=MOST_KEPT {
            plans.push(state.create_logical_plan(&format!("SELECT a + {number} FROM {UNION}")).await.unwrap());
        }
        for plan in &plans {
            kept.optimized(&state, plan.clone()).unwrap();
        }
        let found: Vec<bool> = plans.iter().map(|plan| kept.find(plan, state.config_options()).is_some()).collect();
        assert!(!found[0] && found[1..].iter().all(|found| *found), "{found:?}");
    }
}
