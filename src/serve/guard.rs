//! What a statement of a door may do: ask, explain, and set what concerns its own session only.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, Statement};

use super::failure::{Failure, Reason};

/// Settings that a guest may change: how answers are computed, nothing that files or memory hang on.
const SETTABLE: &[&str] = &["rejoin.", "datafusion.execution.time_zone", "datafusion.execution.batch_size"];

/// Refuses a plan that writes, reads files of the server, or changes more than its own session.
pub fn check(plan: &LogicalPlan) -> Result<(), Failure> {
    if let LogicalPlan::Statement(Statement::SetVariable(set)) = plan {
        let name = set.variable.to_lowercase();
        if SETTABLE.iter().any(|free| if free.ends_with('.') { name.starts_with(free) } else { name == *free }) {
            return Ok(());
        }
        return Err(Failure::new(
            Reason::Forbidden,
            format!("{name} cannot be set here; rejoin.suite and the other settings of rejoin can"),
        ));
    }
    let reads = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
    reads.verify_plan(plan).map_err(|_| {
        Failure::new(
            Reason::ReadOnly,
            "this door is for questions: it writes nothing. Load with rejoin ingest; a table of your own is a .sql file for rejoin rebuild --queries",
        )
    })
}
