//! Refuses statements that stand for too many tables: each name of a WITH is planned as the query that it names, so that twenty names,
//! each of which names the one before twice, are a million tables. Planning them would take all memory, and could not be stopped.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, TableFactor, Visitor};

use crate::Error;

/// Tables that a statement may stand for; planning as many takes half a second.
const MOST: u64 = 2_000;
/// Queries that may stand within each other, or name each other.
const DEEPEST: usize = 200;

/// Counts tables on the way through a statement; breaks off where there are too many.
#[derive(Default)]
pub(super) struct Expanded {
    /// The queries in which the visitor is, from the outermost.
    open: Vec<OpenQuery>,
}

/// What a query stands for.
#[derive(Clone, Copy, Default)]
struct Size {
    tables: u64,
    depth: usize,
}

#[derive(Default)]
struct OpenQuery {
    /// Its name, where it stands in a WITH.
    name: Option<String>,
    /// Names of its own WITH whose queries come next: they are visited first, in order.
    coming: VecDeque<String>,
    /// Those that were visited.
    known: HashMap<String, Size>,
    size: Size,
}

impl Expanded {
    /// Adds what the innermost query names or holds.
    fn add(&mut self, part: Size) -> ControlFlow<Box<Error>> {
        let Some(open) = self.open.last_mut() else { return ControlFlow::Continue(()) };
        open.size.tables = open.size.tables.saturating_add(part.tables);
        open.size.depth = open.size.depth.max(part.depth + 1);
        if open.size.tables <= MOST && open.size.depth <= DEEPEST {
            return ControlFlow::Continue(());
        }
        ControlFlow::Break(Box::new(Error::query(format!(
            "with each name of WITH in its place this reads more than {MOST} tables, or nests {DEEPEST} queries; make a \
             table of what is named often (rejoin help rebuild)"
        ))))
    }
}

impl Visitor for Expanded {
    type Break = Box<Error>;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<Box<Error>> {
        let name = self.open.last_mut().and_then(|outer| outer.coming.pop_front());
        let named = query.with.iter().flat_map(|with| &with.cte_tables);
        let coming = named.map(|named| named.alias.name.value.to_lowercase()).collect();
        self.open.push(OpenQuery { name, coming, ..OpenQuery::default() });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<Box<Error>> {
        let Some(mut done) = self.open.pop() else { return ControlFlow::Continue(()) };
        // one that reads no table is planned as often
        done.size.tables = done.size.tables.max(1);
        match (done.name, self.open.last_mut()) {
            (Some(name), Some(outer)) => {
                outer.known.insert(name, done.size);
                ControlFlow::Continue(())
            }
            _ => self.add(done.size),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<Box<Error>> {
        let TableFactor::Table { name, .. } = factor else { return ControlFlow::Continue(()) };
        let table = Size { tables: 1, depth: 0 };
        let [only] = name.0.as_slice() else { return self.add(table) };
        let name = only.as_ident().map(|name| name.value.to_lowercase()).unwrap_or_default();
        let named = self.open.iter().rev().find_map(|open| open.known.get(&name));
        self.add(named.copied().unwrap_or(table))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;
    use rejoin_instances::syntax::walk;

    use super::*;

    /// What is said against a statement.
    fn refusal(sql: &str) -> Option<String> {
        let statements = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap();
        match walk(&statements[0], &mut Expanded::default()) {
            ControlFlow::Break(error) => Some(error.to_string()),
            ControlFlow::Continue(()) => None,
        }
    }

    /// Queries c0, c1, ... of which each reads the one before so many times.
    fn chain(links: usize, times: usize) -> String {
        let query = |i: usize| match i {
            0 => "SELECT 1 AS x FROM hits".to_string(),
            _ => vec![format!("SELECT x FROM C{}", i - 1); times].join(" UNION ALL "),
        };
        let queries: Vec<String> = (0..links).map(|i| format!("c{i} AS ({})", query(i))).collect();
        format!("WITH {} SELECT count(*) FROM c{}", queries.join(", "), links - 1)
    }

    #[test]
    fn what_stands_for_too_much_is_refused() {
        for sql in [
            chain(12, 2),
            chain(30, 2),
            chain(300, 1),
            chain(30, 2).replace(" FROM hits", ""),
            format!("SELECT * FROM ({}) AS t", chain(64, 3)),
            format!("EXPLAIN {}", chain(20, 2)),
            format!("SELECT (SELECT 1 FROM (WITH a AS ({}) SELECT 1 AS x FROM a, a AS b) AS t)", chain(11, 2)),
        ] {
            assert!(refusal(&sql).is_some_and(|error| error.contains("more than 2000 tables")), "{}", &sql[..60]);
        }
    }

    #[test]
    fn what_people_write_is_not() {
        for sql in [
            chain(11, 2),
            chain(150, 1),
            // a name that nobody reads costs nothing, and one of an inner WITH is not that of the outer
            format!("WITH a AS ({}), b AS (WITH a AS (SELECT 1) SELECT * FROM a) SELECT * FROM b", chain(11, 2)),
            "WITH RECURSIVE n AS (SELECT 1 AS x UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT * FROM n".to_string(),
            ["SELECT 1 FROM hits"; 400].join(" UNION ALL "),
        ] {
            assert_eq!(refusal(&sql), None);
        }
    }
}
