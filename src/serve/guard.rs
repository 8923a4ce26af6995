//! What a statement of a door may do: ask, explain, and set what concerns its own session only.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::{LogicalPlan, Statement};

use super::failure::{Failure, Reason};

/// Settings that a guest may change: how answers are computed, nothing that files or memory hang on.
const SETTABLE: &[&str] = &[
    "rejoin.",
    "datafusion.execution.time_zone",
    "datafusion.execution.batch_size",
    "datafusion.optimizer.prefer_hash_join",
];

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
    reads.verify_plan(plan).map_err(|_| read_only())
}

/// First words of statements that write.
const WRITING: &[&str] = &[
    "alter", "cluster", "comment", "create", "delete", "do", "drop", "import", "insert", "lock", "merge", "reassign",
    "refresh", "reindex", "security", "truncate", "update",
];

/// Refuses a statement that writes and that nobody here can read or plan; None for another.
pub fn refusal(sql: &str) -> Option<Failure> {
    let word = sql.trim_start().split(|sign: char| !sign.is_ascii_alphabetic()).next().unwrap_or_default();
    WRITING.iter().any(|known| known.eq_ignore_ascii_case(word)).then(read_only)
}

fn read_only() -> Failure {
    Failure::new(
        Reason::ReadOnly,
        "this door is for questions: it writes nothing. Load with rejoin ingest; a table of your own is a .sql file for rejoin rebuild --queries",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_writes_is_known_by_its_first_word() {
        for sql in ["CREATE TEMP TABLE x (a int)", " refresh materialized view x", "DO $$ BEGIN END $$"] {
            assert!(refusal(sql).is_some(), "{sql}");
        }
        for sql in ["SELECT 1", "", "document", "WITH x AS (SELECT 1) SELECT"] {
            assert!(refusal(sql).is_none(), "{sql}");
        }
    }
}
