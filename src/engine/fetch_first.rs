//! `FETCH FIRST 3 ROWS ONLY`: the LIMIT of standard SQL, which DataFusion knows by that word alone.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Expr, LimitClause, Query, Value, VisitorMut};
use rejoin_instances::syntax::{PartMut, change};

use crate::{Error, Result};

/// Writes a LIMIT for each FETCH of a statement, or of a part of one.
///
/// # Errors
/// A FETCH asks for more than so many rows.
pub(super) fn rewrite(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut FetchRewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct FetchRewriter;

impl VisitorMut for FetchRewriter {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        let Some(fetch) = query.fetch.take() else { return ControlFlow::Continue(()) };
        if fetch.with_ties || fetch.percent {
            return ControlFlow::Break(Error::query(
                "FETCH FIRST gives so many rows ONLY; for WITH TIES and PERCENT number the rows in a subquery, with \
                 rank() OVER (ORDER BY ...) or percent_rank(), and compare that",
            ));
        }
        // FETCH FIRST ROW ONLY
        let one = || Expr::Value(Value::Number("1".into(), false).with_empty_span());
        let rows = Some(fetch.quantity.unwrap_or_else(one));
        match &mut query.limit_clause {
            Some(LimitClause::LimitOffset { limit: limit @ None, .. }) => *limit = rows,
            Some(_) => return ControlFlow::Break(Error::query("a query has LIMIT or FETCH FIRST, not both")),
            none => *none = Some(LimitClause::LimitOffset { limit: rows, offset: None, limit_by: vec![] }),
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    fn rewritten(sql: &str) -> Result<String> {
        let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        rewrite(&mut parsed)?;
        Ok(parsed.to_string())
    }

    #[test]
    fn a_fetch_is_a_limit() {
        for (sql, expected) in [
            ("SELECT a FROM t FETCH FIRST 3 ROWS ONLY", "SELECT a FROM t LIMIT 3"),
            ("SELECT a FROM t FETCH NEXT ROW ONLY", "SELECT a FROM t LIMIT 1"),
            ("SELECT a FROM t OFFSET 2 ROWS FETCH NEXT 3 ROWS ONLY", "SELECT a FROM t LIMIT 3 OFFSET 2 ROWS"),
            ("SELECT (SELECT a FROM t FETCH FIRST 1 ROW ONLY)", "SELECT (SELECT a FROM t LIMIT 1)"),
            ("SELECT a FROM t LIMIT 3", "SELECT a FROM t LIMIT 3"),
        ] {
            assert_eq!(rewritten(sql).unwrap(), expected);
        }
    }

    #[test]
    fn ties_and_percents_are_refused() {
        for fetch in ["3 ROWS WITH TIES", "3 PERCENT ROWS ONLY"] {
            let error = rewritten(&format!("SELECT a FROM t ORDER BY a FETCH FIRST {fetch}")).unwrap_err();
            assert!(error.to_string().contains("rank() OVER"), "{error}");
        }
    }
}
