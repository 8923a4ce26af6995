//! Which column is meant where relations are joined by columns of one name: `a FULL JOIN b USING (id)`.
//!
//! As in PostgreSQL, a name in USING stands for one column: the left relation's, in a RIGHT JOIN the right one's, and in a FULL JOIN
//! that of whichever has the row; of `*` it is the first column that has this name. DataFusion takes the left relation's in every
//! join, and finds the name ambiguous in WHERE and where four relations share it. So USING becomes ON, and the name the
//! column that it stands for. What the statement does not tell stays as it is: NATURAL, relations without a name, a column of one of
//! several relations on the left that no USING named before. A name within a subquery means the subquery's column.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    BinaryOperator, ExcludeSelectItem, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Join, JoinConstraint, JoinOperator, ObjectName, OrderByExpr, Query, ReplaceSelectElement,
    ReplaceSelectItem, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, TableFactor, TableWithJoins,
    VisitorMut, WildcardAdditionalOptions,
};
use rejoin_instances::syntax::{PartMut, change, change_outside_queries};

use super::output_names::{identifier, named, normal, sort_keys};

/// Writes out which column is meant, in a statement or a part of it.
pub(super) fn resolve(statement: &mut impl PartMut) {
    // it never breaks off
    let _ = change(statement, &mut SharedColumnResolver);
}

struct SharedColumnResolver;

impl VisitorMut for SharedColumnResolver {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        let Query { body, order_by, .. } = query;
        if let SetExpr::Select(select) = body.as_mut() {
            of_select(select, sort_keys(order_by));
        }
        ControlFlow::Continue(())
    }

    // one of several in a UNION
    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<()> {
        of_select(select, &mut []);
        ControlFlow::Continue(())
    }
}

/// A column that relations share.
#[derive(Clone)]
struct Shared {
    name: Ident,
    /// What the name stands for.
    column: Expr,
    /// The relations that have it, by their numbers.
    of: Vec<usize>,
}

/// The relations of a FROM clause.
#[derive(Default)]
struct Relations {
    names: Vec<Ident>,
    shared: Vec<Shared>,
    /// What stands in the place of the joins' constraints.
    constraints: Vec<JoinConstraint>,
}

fn of_select(select: &mut Select, keys: &mut [OrderByExpr]) {
    let joins = || select.from.iter().flat_map(|from| &from.joins);
    let is_told = |item: &SelectItem| match item {
        SelectItem::Wildcard(options) => *options == WildcardAdditionalOptions::default(),
        _ => true,
    };
    if !joins().any(has_using) || !joins().all(is_known) || !select.projection.iter().all(is_told) {
        return;
    }
    let Some(Relations { names, shared, constraints }) = relations(&mut select.from) else { return };
    let joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
    for (join, meant) in joins.zip(constraints) {
        if let Some(constraint) = constraint(join) {
            *constraint = meant;
        }
    }
    let mut shown = vec![];
    for item in std::mem::take(&mut select.projection) {
        match item {
            SelectItem::Wildcard(_) => {
                shown.extend(shared.iter().map(|shared| normal(&shared.name)));
                select.projection.extend(names.iter().enumerate().map(|(number, name)| all_of(number, name, &shared)));
            }
            SelectItem::UnnamedExpr(expr) => {
                let output = identifier(&expr).and_then(|name| find(&shared, name));
                shown.extend(output.map(|shared| normal(&shared.name)));
                let item = output.map_or(SelectItem::UnnamedExpr(expr), as_output);
                select.projection.push(item);
            }
            other => {
                if let SelectItem::ExprWithAlias { alias, .. } = &other {
                    shown.push(normal(alias));
                }
                select.projection.push(other);
            }
        }
    }
    write_out(&mut select.projection, &shared);
    write_out(&mut select.selection, &shared);
    write_out(&mut select.group_by, &shared);
    write_out(&mut select.having, &shared);
    write_out(&mut select.named_window, &shared);
    write_out(&mut select.qualify, &shared);
    write_out(&mut select.distinct, &shared);
    // in ORDER BY a name is the result's where that has it
    let hidden: Vec<Shared> = shared.into_iter().filter(|shared| !shown.contains(&normal(&shared.name))).collect();
    for key in keys {
        write_out(&mut key.expr, &hidden);
    }
}

fn has_using(join: &Join) -> bool {
    use JoinConstraint::Using;
    use JoinOperator::{FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    matches!(
        &join.join_operator,
        JoinOperator::Join(Using(_))
            | Inner(Using(_))
            | Left(Using(_))
            | LeftOuter(Using(_))
            | Right(Using(_))
            | RightOuter(Using(_))
            | FullOuter(Using(_))
    )
}

/// True for a join of which the statement tells the columns.
fn is_known(join: &Join) -> bool {
    use JoinOperator::{CrossJoin, FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    let constraint = match &join.join_operator {
        JoinOperator::Join(constraint) | Inner(constraint) => constraint,
        Left(constraint) | LeftOuter(constraint) | Right(constraint) | RightOuter(constraint) => constraint,
        FullOuter(constraint) | CrossJoin(constraint) => constraint,
        _ => return false,
    };
    !matches!(constraint, JoinConstraint::Natural)
}

/// The constraint of a known join.
fn constraint(join: &mut Join) -> Option<&mut JoinConstraint> {
    use JoinOperator::{CrossJoin, FullOuter, Inner, Left, LeftOuter, Right, RightOuter};
    match &mut join.join_operator {
        JoinOperator::Join(constraint) | Inner(constraint) => Some(constraint),
        Left(constraint) | LeftOuter(constraint) | Right(constraint) | RightOuter(constraint) => Some(constraint),
        FullOuter(constraint) | CrossJoin(constraint) => Some(constraint),
        _ => None,
    }
}

/// What the relations share; None where the statement does not tell.
fn relations(all: &mut [TableWithJoins]) -> Option<Relations> {
    let mut told = Relations::default();
    for from in all {
        let (first, mut shared) = (told.names.len(), vec![]);
        told.names.push(name_of(&mut from.relation)?);
        for join in &mut from.joins {
            let right = told.names.len();
            told.names.push(name_of(&mut join.relation)?);
            let is_of_right = matches!(join.join_operator, JoinOperator::Right(_) | JoinOperator::RightOuter(_));
            let is_of_both = matches!(join.join_operator, JoinOperator::FullOuter(_));
            let meant = match constraint(join)?.clone() {
                JoinConstraint::Using(columns) => {
                    let mut condition = None;
                    for column in columns {
                        let [name] = column.0.as_slice() else { return None };
                        let name = name.as_ident()?;
                        let known = shared.iter().position(|shared: &Shared| normal(&shared.name) == normal(name));
                        let known = match known {
                            Some(known) => known,
                            None if right == first + 1 => {
                                let column = column_of(&told.names[first], name);
                                shared.push(Shared { name: name.clone(), column, of: vec![first] });
                                shared.len() - 1
                            }
                            None => return None,
                        };
                        let shared = &mut shared[known];
                        let (left, of_right) = (shared.column.clone(), column_of(&told.names[right], name));
                        let equal = binary(left.clone(), BinaryOperator::Eq, of_right.clone());
                        condition = Some(match condition {
                            Some(others) => binary(others, BinaryOperator::And, equal),
                            None => equal,
                        });
                        shared.of.push(right);
                        if is_of_right {
                            shared.column = of_right;
                        } else if is_of_both {
                            shared.column = first_that_is(left, of_right);
                        }
                    }
                    JoinConstraint::On(condition?)
                }
                JoinConstraint::On(mut condition) => {
                    write_out(&mut condition, &shared);
                    JoinConstraint::On(condition)
                }
                other => other,
            };
            told.constraints.push(meant);
        }
        // in two items of FROM a name is ambiguous
        if shared.iter().any(|shared| find(&told.shared, &shared.name).is_some()) {
            return None;
        }
        told.shared.extend(shared);
    }
    let mut names: Vec<String> = told.names.iter().map(normal).collect();
    names.sort_unstable();
    names.dedup();
    (names.len() == told.names.len()).then_some(told)
}

fn name_of(relation: &mut TableFactor) -> Option<Ident> {
    match relation {
        TableFactor::Derived { alias: None, .. } => None,
        TableFactor::Table { name, alias: None, .. } if name.0.len() > 1 => None,
        other => named(other),
    }
}

fn find<'a>(shared: &'a [Shared], name: &Ident) -> Option<&'a Shared> {
    shared.iter().find(|shared| normal(&shared.name) == normal(name))
}

fn column_of(relation: &Ident, name: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![relation.clone(), name.clone()])
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

/// `coalesce(left, right)`
fn first_that_is(left: Expr, right: Expr) -> Expr {
    let args = [left, right].map(|arg| FunctionArg::Unnamed(FunctionArgExpr::Expr(arg))).into();
    Expr::Function(Function {
        name: Ident::new("coalesce").into(),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList { duplicate_treatment: None, args, clauses: vec![] }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: vec![],
    })
}

/// A shared column as one of the result.
fn as_output(shared: &Shared) -> SelectItem {
    match shared.column.clone() {
        plain @ Expr::CompoundIdentifier(_) => SelectItem::UnnamedExpr(plain),
        expr => SelectItem::ExprWithAlias { expr, alias: shared.name.clone() },
    }
}

/// The columns of a relation, those that it shares with one before it left out.
fn all_of(number: usize, name: &Ident, shared: &[Shared]) -> SelectItem {
    let (mut left_out, mut replaced): (Vec<ObjectName>, Vec<_>) = (vec![], vec![]);
    for shared in shared.iter().filter(|shared| shared.of.contains(&number)) {
        let column_name = Ident::new(normal(&shared.name));
        if shared.of[0] != number {
            left_out.push(column_name.into());
        } else if shared.column != column_of(name, &shared.name) {
            let expr = shared.column.clone();
            replaced.push(Box::new(ReplaceSelectElement { expr, column_name, as_keyword: true }));
        }
    }
    let options = WildcardAdditionalOptions {
        opt_exclude: (!left_out.is_empty()).then_some(ExcludeSelectItem::Multiple(left_out)),
        opt_replace: (!replaced.is_empty()).then_some(ReplaceSelectItem { items: replaced }),
        ..WildcardAdditionalOptions::default()
    };
    SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name.clone().into()), options)
}

/// Puts what a shared name stands for in its place.
fn write_out(part: &mut impl PartMut, shared: &[Shared]) {
    change_outside_queries(part, &mut |expr| {
        if let Some(shared) = identifier(expr).and_then(|name| find(shared, name)) {
            *expr = shared.column.clone();
        }
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn resolved(sql: &str) -> String {
        let mut statement = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        resolve(&mut statement);
        statement.to_string()
    }

    #[test]
    fn a_name_stands_for_one_column() {
        for (sql, expected) in [
            (
                "SELECT x, p FROM a JOIN b USING (x) WHERE x > 1 ORDER BY x",
                "SELECT a.x, p FROM a JOIN b ON a.x = b.x WHERE a.x > 1 ORDER BY x",
            ),
            (
                "SELECT p FROM a RIGHT JOIN b USING (X) GROUP BY x HAVING max(x) > 1 ORDER BY x + 1",
                "SELECT p FROM a RIGHT JOIN b ON a.X = b.X GROUP BY b.X HAVING max(b.X) > 1 ORDER BY b.X + 1",
            ),
            (
                "SELECT x, x + 1 AS y FROM a FULL JOIN b AS c USING (x, z) ORDER BY x",
                "SELECT coalesce(a.x, c.x) AS x, coalesce(a.x, c.x) + 1 AS y FROM a FULL JOIN b AS c \
                 ON a.x = c.x AND a.z = c.z ORDER BY x",
            ),
            (
                "SELECT * FROM a LEFT JOIN b USING (x) JOIN c USING (x) JOIN d ON x = d.y",
                "SELECT a.*, b.* EXCLUDE (x), c.* EXCLUDE (x), d.* FROM a LEFT JOIN b ON a.x = b.x JOIN c ON a.x = c.x \
                 JOIN d ON a.x = d.y",
            ),
            (
                "SELECT * FROM a FULL JOIN b USING (x)",
                "SELECT a.* REPLACE (coalesce(a.x, b.x) AS x), b.* EXCLUDE (x) FROM a FULL JOIN b ON a.x = b.x",
            ),
            (
                "SELECT x FROM f(1) JOIN g(2) AS h USING (x) UNION ALL SELECT x FROM a RIGHT JOIN b USING (x)",
                "SELECT f.x FROM f(1) AS f JOIN g(2) AS h ON f.x = h.x UNION ALL SELECT b.x FROM a RIGHT JOIN b ON a.x = b.x",
            ),
            (
                "SELECT 1 FROM a JOIN b USING (x) WHERE x IN (SELECT x FROM c)",
                "SELECT 1 FROM a JOIN b ON a.x = b.x WHERE a.x IN (SELECT x FROM c)",
            ),
        ] {
            assert_eq!(resolved(sql), expected);
        }
    }

    #[test]
    fn what_is_not_told_is_as_it_was() {
        for sql in [
            "SELECT x FROM a JOIN b ON a.x = b.x",
            "SELECT x FROM a NATURAL JOIN b JOIN c USING(x)",
            "SELECT x FROM (SELECT 1 AS x) JOIN b USING(x)",
            "SELECT x FROM a JOIN b USING(x) JOIN c USING(y)",
            "SELECT x FROM a JOIN a USING(x)",
            "SELECT x FROM s.a JOIN b USING(x)",
            "SELECT x FROM a LEFT SEMI JOIN b USING(x)",
            "SELECT x FROM a JOIN b USING(x), c JOIN d USING(x)",
        ] {
            assert_eq!(resolved(sql), sql);
        }
    }
}
