//! Types of a statement's parameters, as far as they follow from where they stand.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan};

use super::any;

/// Types by position: `$1` first. A position that the statement does not name has none.
pub fn types(plan: &LogicalPlan) -> Result<Vec<Option<DataType>>> {
    let mut found: BTreeMap<String, Option<DataType>> = plan.get_parameter_types()?.into_iter().collect();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::Limit(limit) = node {
            for count in limit.skip.iter().chain(limit.fetch.iter()) {
                learn(&mut found, count, DataType::Int64);
            }
        }
        let inputs = node.inputs();
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                // what is cast is read as what it becomes
                if let Expr::Cast(cast) = expr {
                    learn(&mut found, &cast.expr, cast.field.data_type().clone());
                }
                if let Expr::ScalarFunction(call) = expr
                    && call.func.name() == any::NAME
                    && let [value, array] = call.args.as_slice()
                {
                    let of = |schema| value.get_type(schema).ok();
                    if let Some(item) = inputs.iter().find_map(|input| of(input.schema())) {
                        let list = DataType::List(Arc::new(Field::new_list_field(item, true)));
                        learn(&mut found, array, list);
                    }
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(ordered(&found))
}

/// The plan with the types that a client gave to parameters whose type does not follow from where they stand.
pub fn declared(plan: LogicalPlan, given: &[Option<DataType>]) -> Result<LogicalPlan> {
    if given.iter().all(Option::is_none) {
        return Ok(plan);
    }
    let declare = |expr: Expr| {
        expr.transform_up(|expr| {
            Ok(match expr {
                Expr::Placeholder(Placeholder { id, field: None }) => {
                    let place =
                        id.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
                    let data_type = place.and_then(|place| given.get(place).cloned().flatten());
                    let field = data_type.map(|data_type| Arc::new(Field::new(&id, data_type, true)));
                    Transformed::yes(Expr::Placeholder(Placeholder { id, field }))
                }
                other => Transformed::no(other),
            })
        })
    };
    let declared = plan.transform_up_with_subqueries(|node| {
        node.map_expressions(declare)?.transform_data(|node| node.recompute_schema().map(Transformed::yes))
    })?;
    Ok(declared.data)
}

fn learn(found: &mut BTreeMap<String, Option<DataType>>, expr: &Expr, data_type: DataType) {
    let inner = match expr {
        Expr::Cast(cast) => cast.expr.as_ref(),
        other => other,
    };
    if let Expr::Placeholder(Placeholder { id, .. }) = inner
        && let Some(unknown @ None) = found.get_mut(id)
    {
        *unknown = Some(data_type);
    }
}

fn ordered(found: &BTreeMap<String, Option<DataType>>) -> Vec<Option<DataType>> {
    let position = |name: &str| name.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).filter(|&n| n > 0);
    let by_position: BTreeMap<usize, &Option<DataType>> =
        found.iter().filter_map(|(name, data_type)| Some((position(name)?, data_type))).collect();
    let last = by_position.keys().last().copied().unwrap_or(0).min(u16::MAX.into());
    (1..=last).map(|n| by_position.get(&n).copied().cloned().flatten()).collect()
}
