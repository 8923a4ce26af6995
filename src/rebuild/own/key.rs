//! Tables that are renewed a key at a time: `-- key: visitor_id`.
//!
//! The new rows of a visitor are those that the query gives over the rows of some visitors alone. That they are the same over all
//! rows is true of a query that treats each visitor apart, and only such a query may have the key `visitor_id` or `visitor_key`.
//! It is looked for in the plan, from the tables up: the rows of `hits` and `integrated` are each of one visitor, whom some
//! columns tell, and whatever brings rows together (GROUP BY, PARTITION BY, a join, DISTINCT) must do so by one of these
//! columns. Other tables are the same for all visitors. What is not known to keep visitors apart is refused. Rows that have no
//! visitor are one visitor's by `visitor_id`, for there they have one value.

use std::collections::BTreeSet;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::common::{DFSchema, JoinType};
use datafusion::logical_expr::utils::split_conjunction;
use datafusion::logical_expr::{
    BinaryExpr, Distinct, Expr, Extension, Join, LogicalPlan, Operator, ScalarUDF, Volatility,
};
use rejoin_instances::trees::{walk_expressions, walk_nodes, walk_parts};

use crate::columns::{VISITOR_ID, VISITOR_KEY};
use crate::engine::journey::{
    ConversionOutput, GROUP_COLUMNS, JourneyNode, JourneySpec, PathNode, Sequence, SequenceNode, ShownNode,
};
use crate::error::did_you_mean;
use crate::functions::asks_for_members_of_persons;
use crate::lake::tables::{HITS, INTEGRATED};
use crate::{Error, Result};

/// Functions of what only a rebuild finds: whose person a row is.
const OF_PERSONS: [&str; 3] = ["person_id", "person_status", "shares_person"];

/// True for a key of which it can be told which of its values changed.
pub fn is_of_visitors(key: &str) -> bool {
    matches!(key, VISITOR_ID | VISITOR_KEY)
}

/// Looks for the key among the columns of a query and, where it is one of visitors, for all that would bring the rows of several
/// visitors together. `plan` is the query's, over some visitors, as it is before it is optimized.
///
/// # Errors
/// There is no such column, or the query does not treat each visitor apart.
pub fn check(plan: &LogicalPlan, key: &str) -> Result<()> {
    let names = || plan.schema().fields().iter().map(|field| field.name().as_str());
    let Some(place) = names().position(|name| name == key) else {
        return Err(refused(key, &format!("the query has no column {key}{}", did_you_mean(key, names()))));
    };
    if !is_of_visitors(key) {
        return Ok(());
    }
    if calls(plan, &asks_for_members_of_persons)? {
        return Err(refused(key, "a segment of persons goes over several visitors"));
    }
    match (Check { key }).rows(plan)? {
        Rows::OfVisitors(told) if !told.of(key).contains(&place) => {
            Err(refused(key, &format!("the query's column {key} is not that of the rows it reads")))
        }
        _ => Ok(()),
    }
}

/// True where an answer hangs on whose person a row is. `plan` is optimized, so that what nobody asks for is gone.
pub fn asks_for_persons(plan: &LogicalPlan) -> Result<bool> {
    calls(plan, &|function| OF_PERSONS.contains(&function.name()))
}

/// True where some function of a plan is such a one.
fn calls(plan: &LogicalPlan, is_such: &dyn Fn(&ScalarUDF) -> bool) -> Result<bool> {
    let mut found = false;
    walk_nodes(plan, &mut |node| {
        walk_expressions(node, &mut |expr| {
            walk_parts(expr, &mut |part| {
                found |= matches!(part, Expr::ScalarFunction(call) if is_such(&call.func));
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(found)
}

fn refused(key: &str, why: &str) -> Error {
    Error::query(format!("-- key: {key}: {why}"))
}

/// Whose rows a plan gives.
enum Rows {
    /// The same ones for all visitors.
    Fixed,
    /// Each hangs on the rows of one visitor.
    OfVisitors(VisitorColumns),
}

/// The columns that tell whose a row is, by place.
#[derive(Clone, Default)]
struct VisitorColumns {
    ids: BTreeSet<usize>,
    keys: BTreeSet<usize>,
}

impl VisitorColumns {
    /// Those that hold what a key does.
    fn of(&self, key: &str) -> &BTreeSet<usize> {
        if key == VISITOR_ID { &self.ids } else { &self.keys }
    }

    /// Of columns of which each is a former one, or none.
    fn among(&self, columns: impl Iterator<Item = Option<usize>>) -> Self {
        let mut told = Self::default();
        for (place, former) in columns.enumerate() {
            let Some(former) = former else { continue };
            told.ids.extend(self.ids.contains(&former).then_some(place));
            told.keys.extend(self.keys.contains(&former).then_some(place));
        }
        told
    }

    /// Behind so many other columns.
    fn behind(&self, columns: usize) -> Self {
        let moved =
            |places: &BTreeSet<usize>| -> BTreeSet<usize> { places.iter().map(|place| place + columns).collect() };
        Self { ids: moved(&self.ids), keys: moved(&self.keys) }
    }

    fn and(&self, other: &Self) -> Self {
        Self { ids: &self.ids | &other.ids, keys: &self.keys | &other.keys }
    }

    fn in_both(&self, other: &Self) -> Self {
        Self { ids: &self.ids & &other.ids, keys: &self.keys & &other.keys }
    }
}

/// A look at a plan.
struct Check<'k> {
    key: &'k str,
}

impl Check<'_> {
    fn refuse<T>(&self, why: &str) -> Result<T> {
        Err(refused(self.key, why))
    }

    /// True where one of these columns keeps apart what the key does. Rows without a visitor have keys of their own, so that
    /// a key keeps ids apart, and an id does not keep keys apart.
    fn are_apart_by(&self, told: &VisitorColumns) -> bool {
        !told.keys.is_empty() || (self.key == VISITOR_ID && !told.ids.is_empty())
    }

    /// Rows that are brought together by columns, some of which keep visitors apart.
    fn together(&self, told: VisitorColumns, by: &VisitorColumns, why: &str) -> Result<Rows> {
        match self.are_apart_by(by) {
            true => Ok(Rows::OfVisitors(told)),
            false => self.refuse(&format!("{why} {}", self.key)),
        }
    }

    fn rows(&self, plan: &LogicalPlan) -> Result<Rows> {
        self.check_expressions(plan)?;
        match plan {
            LogicalPlan::TableScan(scan) => match scan.table_name.table() {
                HITS | INTEGRATED => {
                    let fields = scan.projected_schema.fields();
                    let named = |name: &str| -> BTreeSet<usize> {
                        fields.iter().position(|field| field.name() == name).into_iter().collect()
                    };
                    Ok(Rows::OfVisitors(VisitorColumns { ids: named(VISITOR_ID), keys: named(VISITOR_KEY) }))
                }
                _ if scan.source.get_logical_plan().is_some() => self.refuse("it reads a view of this session"),
                _ => Ok(Rows::Fixed),
            },
            LogicalPlan::EmptyRelation(_) | LogicalPlan::Values(_) => Ok(Rows::Fixed),
            LogicalPlan::Filter(node) => self.rows(&node.input),
            LogicalPlan::SubqueryAlias(node) => self.rows(&node.input),
            LogicalPlan::Subquery(node) => self.rows(&node.subquery),
            LogicalPlan::Sort(node) if node.fetch.is_none() => self.rows(&node.input),
            LogicalPlan::Projection(node) => self.projected(&node.expr, &node.input),
            LogicalPlan::Unnest(node) => match self.rows(&node.input)? {
                Rows::Fixed => Ok(Rows::Fixed),
                Rows::OfVisitors(told) => {
                    let former = node.dependency_indices.iter().map(|former| Some(*former));
                    Ok(Rows::OfVisitors(told.among(former)))
                }
            },
            LogicalPlan::Aggregate(node) => match self.rows(&node.input)? {
                Rows::Fixed => Ok(Rows::Fixed),
                Rows::OfVisitors(told) => {
                    let groups = told.among(places(&node.group_expr, node.input.schema()));
                    self.together(groups.clone(), &groups, "an aggregate goes over several visitors; GROUP BY")
                }
            },
            LogicalPlan::Window(node) => {
                let Rows::OfVisitors(told) = self.rows(&node.input)? else { return Ok(Rows::Fixed) };
                for expr in &node.window_expr {
                    let Expr::WindowFunction(window) = expr.clone().unalias_nested().data else {
                        return self.refuse("a window is not understood");
                    };
                    let parts = told.among(places(&window.params.partition_by, node.input.schema()));
                    self.together(told.clone(), &parts, "a window goes over several visitors; PARTITION BY")?;
                }
                Ok(Rows::OfVisitors(told))
            }
            LogicalPlan::Distinct(Distinct::All(input)) => match self.rows(input)? {
                Rows::Fixed => Ok(Rows::Fixed),
                Rows::OfVisitors(told) => {
                    self.together(told.clone(), &told, "DISTINCT makes one of several visitors' rows; SELECT also")
                }
            },
            LogicalPlan::Distinct(Distinct::On(node)) => match self.rows(&node.input)? {
                Rows::Fixed => Ok(Rows::Fixed),
                Rows::OfVisitors(told) => {
                    let on = told.among(places(&node.on_expr, node.input.schema()));
                    let rows = told.among(places(&node.select_expr, node.input.schema()));
                    self.together(rows, &on, "DISTINCT ON takes one of several visitors' rows; name there also")
                }
            },
            LogicalPlan::Union(node) => self.united(node.inputs.iter().map(|input| self.rows(input))),
            LogicalPlan::Join(join) => self.joined(join),
            LogicalPlan::Extension(node) => self.journeys(node),
            LogicalPlan::Limit(_) | LogicalPlan::Sort(_) => {
                self.fixed(plan, "LIMIT takes the first of all visitors' rows")
            }
            _ => self.fixed(plan, "it does what does not keep visitors apart"),
        }
    }

    /// For what is done with rows of no visitor only.
    fn fixed(&self, plan: &LogicalPlan, why: &str) -> Result<Rows> {
        for input in plan.inputs() {
            if let Rows::OfVisitors(_) = self.rows(input)? {
                return self.refuse(why);
            }
        }
        Ok(Rows::Fixed)
    }

    fn projected(&self, exprs: &[Expr], input: &LogicalPlan) -> Result<Rows> {
        Ok(match self.rows(input)? {
            Rows::Fixed => Rows::Fixed,
            Rows::OfVisitors(told) => Rows::OfVisitors(told.among(places(exprs, input.schema()))),
        })
    }

    fn united(&self, parts: impl Iterator<Item = Result<Rows>>) -> Result<Rows> {
        let mut all: Option<Rows> = None;
        for part in parts {
            all = Some(match (all, part?) {
                (None, part) => part,
                (Some(Rows::Fixed), Rows::Fixed) => Rows::Fixed,
                (Some(Rows::OfVisitors(one)), Rows::OfVisitors(other)) => Rows::OfVisitors(one.in_both(&other)),
                _ => return self.refuse("UNION puts rows that are no visitor's beside those of visitors"),
            });
        }
        Ok(all.unwrap_or(Rows::Fixed))
    }

    fn joined(&self, join: &Join) -> Result<Rows> {
        use JoinType as T;
        let width = join.left.schema().fields().len();
        let keeps_left = matches!(join.join_type, T::Left | T::LeftSemi | T::LeftAnti | T::LeftMark);
        let of_right_alone = matches!(join.join_type, T::RightSemi | T::RightAnti | T::RightMark);
        let kept = match (self.rows(&join.left)?, self.rows(&join.right)?) {
            (Rows::Fixed, Rows::Fixed) => return Ok(Rows::Fixed),
            (Rows::OfVisitors(left), Rows::Fixed) if keeps_left || join.join_type == T::Inner => Some(left),
            (Rows::Fixed, Rows::OfVisitors(right)) => match join.join_type {
                _ if of_right_alone => Some(right),
                T::Inner | T::Right => Some(right.behind(width)),
                _ => None,
            },
            (Rows::OfVisitors(left), Rows::OfVisitors(right)) if self.is_by_key(join, &left, &right) => {
                match join.join_type {
                    T::Inner => Some(left.and(&right.behind(width))),
                    T::Right => Some(right.behind(width)),
                    _ if keeps_left => Some(left),
                    _ if of_right_alone => Some(right),
                    _ => None,
                }
            }
            _ => None,
        };
        match kept {
            Some(told) => Ok(Rows::OfVisitors(told)),
            None => self.refuse(&format!(
                "a join brings rows of several visitors together; join rows of visitors ON {} of both (and not FULL), \
                 and keep rows of other tables only where a visitor's row is",
                self.key
            )),
        }
    }

    /// True where rows of one visitor meet only their own.
    fn is_by_key(&self, join: &Join, left: &VisitorColumns, right: &VisitorColumns) -> bool {
        let places = |a: &Expr, b: &Expr| Some((place(a, join.left.schema())?, place(b, join.right.schema())?));
        let meets = |(a, b): (usize, usize)| {
            let keys = left.keys.contains(&a) && right.keys.contains(&b);
            keys || (self.key == VISITOR_ID && left.ids.contains(&a) && right.ids.contains(&b))
        };
        let equal = |condition: &Expr| {
            let Expr::BinaryExpr(BinaryExpr { left: a, op: Operator::Eq, right: b }) = condition else { return false };
            places(a, b).or_else(|| places(b, a)).is_some_and(meets)
        };
        join.on.iter().any(|(a, b)| places(a, b).is_some_and(meets))
            || join.filter.iter().flat_map(split_conjunction).any(equal)
    }

    /// Our own operators, which walk over the rows of a visitor at a time.
    fn journeys(&self, extension: &Extension) -> Result<Rows> {
        let inputs = extension.node.inputs();
        let [input] = inputs.as_slice() else { return self.refuse("it does what does not keep visitors apart") };
        let Rows::OfVisitors(told) = self.rows(input)? else { return Ok(Rows::Fixed) };
        let column = |name: &str| input.schema().fields().iter().position(|field| field.name() == name);
        // in journeys of persons, the person stands in the visitor's place
        let is_own = |name: &str| column(name).is_some_and(|place| told.of(name).contains(&place));
        if !is_own(VISITOR_ID) || !is_own(VISITOR_KEY) {
            return self.refuse("journeys of persons go over several visitors");
        }
        let groups = |by: usize| GROUP_COLUMNS.iter().take(by).map(|name| column(name)).collect::<Vec<_>>();
        let of_journey = |spec: &JourneySpec| {
            if spec.needs_all_visitors() {
                return self.refuse("a model's shares hang on all journeys");
            }
            Ok(groups(spec.selection.by.len()))
        };
        let node = extension.node.as_any();
        let columns = if let Some(node) = node.downcast_ref::<JourneyNode>() {
            of_journey(&node.spec)?
        } else if let Some(node) = node.downcast_ref::<PathNode>() {
            of_journey(&node.spec.journey)?
        } else if let Some(node) = node.downcast_ref::<ShownNode>() {
            let mut columns = of_journey(&node.spec.journey)?;
            if node.spec.wanted == ConversionOutput::Conversions {
                // behind the conversion's id, the visitor whose row it is
                columns.extend([None, column("device")]);
            }
            columns
        } else if let Some(node) = node.downcast_ref::<SequenceNode>() {
            match &node.spec.sequence {
                Sequence::Funnel { by, .. } => groups(by.len()),
                Sequence::Members { .. } => vec![column(VISITOR_ID)],
                Sequence::Flow { .. } => vec![],
            }
        } else {
            return self.refuse("it does what does not keep visitors apart");
        };
        Ok(Rows::OfVisitors(told.among(columns.into_iter())))
    }

    /// What a node says of its rows must be the same each time, and hang on no other visitor's.
    fn check_expressions(&self, plan: &LogicalPlan) -> Result<()> {
        let mut changes = None;
        walk_expressions(plan, &mut |expr| {
            walk_parts(expr, &mut |part| {
                if let Expr::ScalarFunction(call) = part
                    && call.func.signature().volatility != Volatility::Immutable
                    // the zone is a setting of the suite
                    && call.func.name() != "local_time"
                {
                    changes = Some(call.func.name().to_string());
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if let Some(function) = changes {
            return self.refuse(&format!("{function} answers otherwise at another time"));
        }
        let mut of_all = false;
        plan.apply_subqueries(|query| {
            of_all |= !matches!(self.rows(query), Ok(Rows::Fixed));
            Ok(TreeNodeRecursion::Continue)
        })?;
        match of_all {
            true => self.refuse("a subquery reads the rows of all visitors; write it as a join"),
            false => Ok(()),
        }
    }
}

/// The places of columns; None for what is computed.
fn places<'e>(exprs: &'e [Expr], schema: &'e DFSchema) -> impl Iterator<Item = Option<usize>> + 'e {
    exprs.iter().map(|expr| place(expr, schema))
}

fn place(expr: &Expr, schema: &DFSchema) -> Option<usize> {
    match expr {
        Expr::Alias(alias) => place(&alias.expr, schema),
        Expr::Column(column) => schema.maybe_index_of_column(column),
        _ => None,
    }
}
