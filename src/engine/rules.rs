//! The rules that change a statement between its text and its operators, in their order.
//!
//! 1. The syntax, before there is a plan: `statement`, where it resolves what was parsed.
//! 2. Operators, while expressions are planned: `with_rules` puts ours before DataFusion's.
//! 3. The plan: `function_rewrites`, then DataFusion settles types, then `analyzer_rules`. A door may add rules at the end.
//! 4. The plan of a statement that is known whole, in `session`: the zone of its instants, the members of its segments, columns that
//!    nobody reads. Then come DataFusion's own optimizer rules.
//! 5. The operators: `physical_rules`.
//!
//! A rule that is added here has a line that says what it does, and why it stands where it stands.

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::optimizer::AnalyzerRule;
use datafusion::physical_optimizer::PhysicalOptimizerRule;

use super::catalog::LakeSchema;
use super::counted_sets::CountRows;
use super::division_guards::GuardDivisions;
use super::first_of_groups::TakeFirstOfGroups;
use super::first_rows::ReadFirstRows;
use super::in_turn::ManyInTurn;
use super::interval_groups::GroupIntervals;
use super::interval_lengths::OrderIntervals;
use super::join_filters::FiltersSeeNulls;
use super::large_constants::NoLargeConstants;
use super::lateral::PutAbove;
use super::one_value::AggregateValues;
use super::ranges_in_turn::ReadRangesInTurn;
use super::remote::Remote;
use super::similar::RewriteSimilar;
use super::touches::RewriteTouch;
use super::union::MergeUnions;
use super::window::PlanWindows;
use super::window_order::OrderByColumns;
use super::written_times::{IntervalArithmetic, ReadTimes};
use super::yielding::YieldInJoins;
use super::zone::Clocks;
use crate::Result;

type Rewrite = Arc<dyn FunctionRewrite + Send + Sync>;
type Analyzing = Arc<dyn AnalyzerRule + Send + Sync>;
type Physical = Arc<dyn PhysicalOptimizerRule + Send + Sync>;

/// A session with these rules, over the tables of `schema`. `remote` computes its plans, if this process does not; a distant store keeps
/// its readers waiting.
pub(super) fn with_rules(
    mut builder: SessionStateBuilder,
    schema: &Arc<LakeSchema>,
    remote: Option<&dyn Remote>,
    is_distant: bool,
) -> Result<SessionState> {
    // before DataFusion's own planners, of which one takes each `extract`
    builder.expr_planners().get_or_insert_default().insert(0, Arc::new(IntervalArithmetic));
    let builder = analyzer_rules(schema, remote).into_iter().fold(builder, SessionStateBuilder::with_analyzer_rule);
    let state = builder.build();
    let rules = physical_rules(state.physical_optimizers(), remote.is_none(), is_distant);
    let mut state = SessionStateBuilder::new_from_existing(state).with_physical_optimizer_rules(rules).build();
    for rewrite in function_rewrites() {
        state.register_function_rewrite(rewrite)?;
    }
    Ok(state)
}

/// Calls, before types are settled.
fn function_rewrites() -> [Rewrite; 3] {
    [
        // `touch(column)` becomes what a row touches; settling types might put a cast around the column
        Arc::new(RewriteTouch),
        // patterns of `SIMILAR TO` become regular expressions
        Arc::new(RewriteSimilar),
        // windows are in the order of the lengths of intervals; settling types takes no interval for an order
        Arc::new(OrderIntervals),
    ]
}

/// Plans whose types are settled, with all casts written out.
fn analyzer_rules(schema: &Arc<LakeSchema>, remote: Option<&dyn Remote>) -> Vec<Analyzing> {
    let mut rules: Vec<Analyzing> = vec![
        // window functions of journeys get the columns that they need; it looks whether rows stand as the files have them, which
        // nodes that others put beneath would hide
        Arc::new(PlanWindows::new(schema.clone())),
        // what looks at the row before it is put above that row; the windows that number rows come from here
        Arc::new(PutAbove),
        // texts become times and intervals, before conditions are copied
        Arc::new(ReadTimes),
        // what may fail behind a condition gets a copy of that condition
        Arc::new(GuardDivisions),
        // groups and joins go by the lengths of intervals, once all intervals are read
        Arc::new(GroupIntervals),
        // a query for one value becomes an aggregate, in the order that its texts and intervals have by now
        Arc::new(AggregateValues),
        // EXCEPT ALL and INTERSECT ALL number the rows that are equal, by what they are joined by: lengths of intervals by now
        Arc::new(CountRows),
        // windows are in the order of columns, those of the rules before as well
        Arc::new(OrderByColumns),
        // casts of instants show the clock of the session's zone, wherever the rules before have put them
        Arc::new(Clocks),
    ];
    // the form that survives the way to others is that of the finished plan
    rules.extend(remote.map(|remote| remote.rule()));
    rules
}

/// Operators, with the rules that DataFusion has. What is computed `here` is computed a few parts at a time; a cluster has its own tasks.
fn physical_rules(given: &[Physical], here: bool, is_distant: bool) -> Vec<Physical> {
    // unions of sorted rows are merged, before distribution is enforced, which would shuffle them
    let mut rules: Vec<Physical> = vec![Arc::new(MergeUnions)];
    if here {
        // large unions and many subqueries are computed in turn; the unions that are left are not to be merged
        rules.push(Arc::new(ManyInTurn));
    }
    rules.extend(given.iter().cloned());
    // conditions of joins that sort see NULLs: which joins sort is known by now
    rules.push(Arc::new(FiltersSeeNulls));
    // constants that would fill memory are refused, once all projections are there
    rules.push(Arc::new(NoLargeConstants));
    if here {
        let own: [Physical; 4] = [
            // of groups whose first row is asked for only that is kept; rows have their order and distribution by now
            Arc::new(TakeFirstOfGroups),
            // a LIMIT reads no more than its first rows need; DataFusion's rules would not know the operator
            Arc::new(ReadFirstRows),
            // ranges of keys are read one after the other where they would be merged; nor would they know this one
            Arc::new(ReadRangesInTurn { is_distant }),
            // joins let others go on; last, for such a plan can no longer be sent elsewhere
            Arc::new(YieldInJoins),
        ];
        rules.extend(own);
    }
    rules
}
