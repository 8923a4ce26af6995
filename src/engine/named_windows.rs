//! Windows that go on from others: `OVER (w ORDER BY a)`, `OVER (w ROWS 2 PRECEDING)`, `WINDOW w2 AS (w ORDER BY a)`. They have the
//! groups and the order of the one that they name, which DataFusion passes over.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    Expr, Ident, NamedWindowDefinition, NamedWindowExpr, Query, SetExpr, VisitorMut, WindowSpec, WindowType,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::output_names::sort_keys;
use crate::error::StatementFault;
use crate::{Error, Result};

/// Writes out what windows have from others.
///
/// # Errors
/// There is no such window, or it cannot be gone on from.
pub(super) fn resolve(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut WindowRewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WindowRewriter;

impl VisitorMut for WindowRewriter {
    type Break = Error;

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<Error> {
        match completed(query) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(error),
        }
    }
}

/// The windows of a SELECT, each with all that it has.
fn completed(query: &mut Query) -> Result<()> {
    let Query { body, order_by, .. } = query;
    let SetExpr::Select(select) = body.as_mut() else { return Ok(()) };
    let mut known: Vec<(Ident, WindowSpec)> = vec![];
    for NamedWindowDefinition(name, window) in &mut select.named_window {
        if let NamedWindowExpr::WindowSpec(spec) = window {
            complete(spec, &known)?;
            known.push((name.clone(), spec.clone()));
        }
    }
    let mut outcome = Ok(());
    let mut over = |expr: &mut Expr| {
        if let Expr::Function(function) = expr
            && let Some(WindowType::WindowSpec(spec)) = &mut function.over
            && outcome.is_ok()
        {
            outcome = complete(spec, &known);
        }
    };
    change_outside_queries(&mut select.projection, &mut over);
    change_outside_queries(&mut select.qualify, &mut over);
    sort_keys(order_by).iter_mut().for_each(|key| change_outside_queries(&mut key.expr, &mut over));
    outcome
}

/// Takes groups and order from the window that another one names.
fn complete(spec: &mut WindowSpec, known: &[(Ident, WindowSpec)]) -> Result<()> {
    let Some(name) = spec.window_name.take() else { return Ok(()) };
    let Some((_, base)) = known.iter().find(|(other, _)| plain(other) == plain(&name)) else {
        return Err(Error::query(format!("there is no window {name}")).of_fault(StatementFault::Object));
    };
    let clause = match (base.window_frame.is_some(), !spec.partition_by.is_empty()) {
        (true, _) => Some("frame"),
        (_, true) => Some("PARTITION BY"),
        _ if !base.order_by.is_empty() && !spec.order_by.is_empty() => Some("ORDER BY"),
        _ => None,
    };
    if let Some(clause) = clause {
        let message = format!("the {clause} of window {name} cannot be changed; write the whole window in OVER");
        return Err(Error::query(message).of_fault(StatementFault::Windowing));
    }
    spec.partition_by.clone_from(&base.partition_by);
    if spec.order_by.is_empty() {
        spec.order_by.clone_from(&base.order_by);
    }
    Ok(())
}

/// A name as it is compared.
fn plain(name: &Ident) -> String {
    match name.quote_style {
        Some(_) => name.value.clone(),
        None => name.value.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    fn resolved(sql: &str) -> Result<String> {
        let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        resolve(&mut parsed)?;
        Ok(parsed.to_string())
    }

    #[test]
    fn groups_and_order_of_the_window_that_is_named() {
        for (sql, expected) in [
            (
                "SELECT sum(a) OVER (w ROWS 1 PRECEDING) FROM t WINDOW w AS (PARTITION BY b ORDER BY c)",
                "SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS 1 PRECEDING) FROM t WINDOW w AS (PARTITION BY b ORDER BY c)",
            ),
            (
                "SELECT sum(a) OVER (V) FROM t WINDOW w AS (PARTITION BY b), v AS (w ORDER BY c)",
                "SELECT sum(a) OVER (PARTITION BY b ORDER BY c) FROM t WINDOW w AS (PARTITION BY b), v AS (PARTITION BY b ORDER BY c)",
            ),
            (
                "SELECT a FROM t WINDOW w AS (PARTITION BY b) ORDER BY rank() OVER (w ORDER BY a)",
                "SELECT a FROM t WINDOW w AS (PARTITION BY b) ORDER BY rank() OVER (PARTITION BY b ORDER BY a)",
            ),
            (
                "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY c)",
                "SELECT sum(a) OVER w FROM t WINDOW w AS (ORDER BY c)",
            ),
        ] {
            assert_eq!(resolved(sql).unwrap(), expected);
        }
    }

    #[test]
    fn windows_that_cannot_be_gone_on_from() {
        for (over, windows, expected) in [
            ("v ORDER BY c", "w AS (ORDER BY c)", "there is no window v"),
            ("w ORDER BY c", "w AS (ORDER BY b)", "the ORDER BY of window w"),
            ("w PARTITION BY c", "w AS (ORDER BY b)", "the PARTITION BY of window w"),
            ("w ORDER BY c", "w AS (ROWS 1 PRECEDING)", "the frame of window w"),
        ] {
            let error = resolved(&format!("SELECT sum(a) OVER ({over}) FROM t WINDOW {windows}")).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
