//! Types of a statement's parameters: what the statement needs, what the client says, or what follows from where they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};
use rejoin_instances::trees::{
    change_expressions, change_nodes, change_parts, walk_expressions, walk_nodes, walk_parts,
};

use super::any;

/// What is known of a parameter.
#[derive(Default)]
struct ParameterType {
    /// The only type that its place takes.
    needed: Option<DataType>,
    /// The type of what stands beside it.
    follows: Option<DataType>,
}

impl ParameterType {
    /// A type that the client says is kept, so that no value loses anything, unless the place has a wider one.
    fn with(self, given: Option<DataType>) -> Option<DataType> {
        match (self.needed, given, self.follows) {
            (Some(needed), ..) => Some(needed),
            (None, Some(given), Some(follows)) if holds(&follows, &given) => Some(follows),
            (None, given, follows) => given.or(follows),
        }
    }
}

/// True for a type that has each value of another.
fn holds(wide: &DataType, narrow: &DataType) -> bool {
    use DataType::{Date32, Dictionary, Float32, Float64, Int16, Int32, Int64, LargeUtf8, Timestamp, Utf8, Utf8View};
    match (wide, narrow) {
        (Int64, Int16 | Int32) | (Int32, Int16) | (Float64, Float32) | (LargeUtf8 | Utf8View, Utf8) => true,
        (Dictionary(_, values), Utf8) => holds(values, narrow),
        // a day is its first instant, a clock's time the instant at which the session's zone shows it
        (Timestamp(..), Date32) | (Timestamp(_, Some(_)), Timestamp(..)) => true,
        (wide, narrow) => wide == narrow,
    }
}

/// Types by position: `$1` first. A position that the statement does not name has none. `given` is what the client says.
pub fn types(plan: &LogicalPlan, given: &[Option<DataType>]) -> Result<Vec<Option<DataType>>> {
    let mut found: BTreeMap<String, ParameterType> = BTreeMap::new();
    for (name, follows) in plan.get_parameter_types()? {
        found.insert(name, ParameterType { needed: None, follows });
    }
    walk_nodes(plan, &mut |node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in limit.skip.iter().chain(limit.fetch.iter()) {
                if let Some(known) = parameter(&mut found, count) {
                    known.needed = Some(DataType::Int64);
                }
            }
        }
        let inputs = node.inputs();
        walk_expressions(node, &mut |expr| {
            walk_parts(expr, &mut |expr| {
                // what is cast is read as what it becomes
                if let Expr::Cast(cast) = expr
                    && let Some(known) = parameter(&mut found, &cast.expr)
                {
                    known.follows.get_or_insert_with(|| cast.field.data_type().clone());
                }
                if let Expr::ScalarFunction(call) = expr
                    && call.func.name() == any::NAME
                    && let [value, array] = call.args.as_slice()
                {
                    let of = |schema| value.get_type(schema).ok();
                    if let Some(item) = inputs.iter().find_map(|input| of(input.schema()))
                        && let Some(known) = parameter(&mut found, array)
                    {
                        known.needed = Some(DataType::List(Arc::new(Field::new_list_field(item, true))));
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(ordered(found, given))
}

/// The plan with the types of its parameters.
pub fn declared(plan: LogicalPlan, types: &[Option<DataType>]) -> Result<LogicalPlan> {
    if types.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let mut declare = |expr: Expr| {
        change_parts(expr, &mut |expr| {
            Ok(match expr {
                Expr::Placeholder(Placeholder { id, field }) => {
                    let data_type = place(&id).and_then(|place| types.get(place).cloned().flatten());
                    let declared = data_type.map(|data_type| Arc::new(Field::new(&id, data_type, true)));
                    Transformed::yes(Expr::Placeholder(Placeholder { id, field: declared.or(field) }))
                }
                other => Transformed::no(other),
            })
        })
    };
    let declared = change_nodes(plan, &mut |node| {
        change_expressions(node, &mut declare)?.transform_data(|node| node.recompute_schema().map(Transformed::yes))
    })?;
    Ok(declared.data)
}

/// What is known of an expression that is a parameter.
fn parameter<'f>(found: &'f mut BTreeMap<String, ParameterType>, expr: &Expr) -> Option<&'f mut ParameterType> {
    let inner = match expr {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    match inner {
        Expr::Placeholder(Placeholder { id, .. }) => found.get_mut(id),
        _ => None,
    }
}

/// The place of `$1` in a list.
fn place(name: &str) -> Option<usize> {
    name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1))
}

fn ordered(found: BTreeMap<String, ParameterType>, given: &[Option<DataType>]) -> Vec<Option<DataType>> {
    let mut by_place: BTreeMap<usize, ParameterType> =
        found.into_iter().filter_map(|(name, known)| Some((place(&name)?, known))).collect();
    let count = by_place.keys().last().map_or(0, |last| last + 1).min(u16::MAX.into());
    (0..count).map(|i| by_place.remove(&i)?.with(given.get(i).cloned().flatten())).collect()
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::TimeUnit;

    use super::*;

    #[test]
    fn a_declared_type_is_kept() {
        let known = |follows: &DataType| ParameterType { needed: None, follows: Some(follows.clone()) };
        let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        for (follows, given, expected) in [
            (DataType::Int64, DataType::Float64, DataType::Float64),
            (DataType::Int64, DataType::Decimal128(38, 10), DataType::Decimal128(38, 10)),
            (DataType::Int64, DataType::Int16, DataType::Int64),
            (DataType::Utf8, DataType::Int32, DataType::Int32),
            (zoned.clone(), DataType::Date32, zoned.clone()),
            (DataType::Date32, zoned.clone(), zoned.clone()),
        ] {
            assert_eq!(known(&follows).with(Some(given)), Some(expected));
            assert_eq!(known(&follows).with(None), Some(follows));
        }
        let needed = ParameterType { needed: Some(DataType::Int64), follows: None };
        assert_eq!(needed.with(Some(DataType::Utf8)), Some(DataType::Int64));
    }
}
