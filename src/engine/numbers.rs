//! Casts and arithmetic of numbers as PostgreSQL has them. What is cast to a whole number is rounded, a text that is none says so, and
//! a number that its type does not hold is an error.
//!
//! Numbers that are written with a point are doubles here, where PostgreSQL has decimals: they are rounded as these.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::functions::math::round;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, TryCast};
use datafusion::logical_expr::{Expr, ExprSchemable, Operator, lit};

use crate::functions::{as_value, checked_arithmetic, divided_by_zero, first_number, is_value};

/// A cast or an operation, over columns, whose sides are of the types that it takes.
pub(super) fn settled(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    let changed = match &expr {
        Expr::Cast(Cast { expr: inner, field }) => read(inner, field.data_type(), false, columns),
        Expr::TryCast(TryCast { expr: inner, field }) => read(inner, field.data_type(), true, columns),
        Expr::BinaryExpr(operation) => by_zero(operation, columns),
        Expr::Negative(inner) => negated(inner, columns),
        _ => None,
    };
    if let Some(changed) = changed {
        return Ok(Transformed::yes(changed));
    }
    Ok(match expr {
        Expr::BinaryExpr(operation) => match whole_sign(&operation, columns) {
            Some(sign) => Transformed::yes(checked_arithmetic(*operation.left, sign, *operation.right)),
            None => Transformed::no(Expr::BinaryExpr(operation)),
        },
        other => Transformed::no(other),
    })
}

/// What is cast to a number, a truth value or bytes; None where Arrow's cast does it.
fn read(inner: &Expr, wanted: &DataType, tries: bool, columns: &DFSchema) -> Option<Expr> {
    let given = if is_value(wanted) { inner.get_type(columns).ok()? } else { return None };
    let is_read = match wanted {
        // what functions of bytes are given as a text is these bytes
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            matches!(inner, Expr::Literal(value, _) if value.try_as_str().flatten().is_some())
        }
        _ => is_text(&given) || may_not_hold(wanted, &given),
    };
    if !is_read {
        return None;
    }
    let inner = match wanted.is_integer() && is_exact(inner, columns) {
        true => round().call(vec![inner.clone()]),
        false => inner.clone(),
    };
    Some(as_value(wanted, tries).call(vec![inner]))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// True where a type does not hold all numbers of another.
fn may_not_hold(wanted: &DataType, given: &DataType) -> bool {
    let is_decimal = |data_type: &DataType| matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..));
    if wanted.is_integer() {
        let is_narrower = wanted.primitive_width() < given.primitive_width();
        let are_signed = wanted.is_signed_integer() && given.is_signed_integer();
        return given.is_floating() || is_decimal(given) || are_signed && is_narrower;
    }
    is_decimal(wanted) && (given.is_floating() || digits(given) > digits(wanted))
}

/// Digits before the point that a number of a type may have.
fn digits(data_type: &DataType) -> i32 {
    match data_type {
        DataType::Decimal128(all, places) | DataType::Decimal256(all, places) => i32::from(*all) - i32::from(*places),
        DataType::Int8 | DataType::UInt8 => 3,
        DataType::Int16 | DataType::UInt16 => 5,
        DataType::Int32 | DataType::UInt32 => 10,
        DataType::Int64 => 19,
        DataType::UInt64 => 20,
        _ => 0,
    }
}

/// True for doubles that PostgreSQL computes as decimals: written numbers, also with whole ones.
fn is_exact(expr: &Expr, columns: &DFSchema) -> bool {
    match expr {
        Expr::Literal(value, _) => value.data_type().is_floating(),
        Expr::Negative(inner) => is_exact(inner, columns),
        Expr::BinaryExpr(BinaryExpr { left, right, .. }) => {
            let (left_exact, right_exact) = (is_exact(left, columns), is_exact(right, columns));
            left_exact && (right_exact || is_whole(right, columns)) || right_exact && is_whole(left, columns)
        }
        _ => false,
    }
}

/// True for a whole number, also one that an operator takes as a double.
fn is_whole(expr: &Expr, columns: &DFSchema) -> bool {
    let inner = match expr {
        Expr::Cast(Cast { expr, .. }) => expr.as_ref(),
        other => other,
    };
    inner.get_type(columns).is_ok_and(|data_type| data_type.is_integer())
}

/// A double that is divided by a zero that is written; whole numbers fail of themselves.
fn by_zero(operation: &BinaryExpr, columns: &DFSchema) -> Option<Expr> {
    let BinaryExpr { left, op, right } = operation;
    let is_so = matches!(op, Operator::Divide | Operator::Modulo)
        && is_zero(right)
        && left.get_type(columns).is_ok_and(|data_type| data_type == DataType::Float64);
    is_so.then(|| divided_by_zero(left.as_ref().clone()))
}

/// The negative of a whole number, of which the smallest has none.
fn negated(inner: &Expr, columns: &DFSchema) -> Option<Expr> {
    if matches!(inner, Expr::Literal(..)) {
        return None;
    }
    let data_type = first_number(inner).get_type(columns).ok().filter(DataType::is_signed_integer)?;
    let zero = ScalarValue::new_zero(&data_type).ok()?;
    Some(checked_arithmetic(lit(zero), '-', inner.clone()))
}

/// The sign of a sum, difference or product of two whole numbers of one type.
fn whole_sign(operation: &BinaryExpr, columns: &DFSchema) -> Option<char> {
    let sign = match operation.op {
        Operator::Plus => '+',
        Operator::Minus => '-',
        Operator::Multiply => '*',
        _ => return None,
    };
    let type_of = |side: &Expr| first_number(side).get_type(columns).ok();
    let right = type_of(&operation.right).filter(DataType::is_integer)?;
    (type_of(&operation.left)? == right).then_some(sign)
}

/// True for a zero that is written.
fn is_zero(expr: &Expr) -> bool {
    match expr {
        Expr::Cast(Cast { expr, .. }) => is_zero(expr),
        Expr::Literal(value, _) => {
            let double = value.cast_to(&DataType::Float64);
            value.data_type().is_numeric() && matches!(double, Ok(ScalarValue::Float64(Some(0.0))))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::logical_expr::{binary_expr, cast};

    use super::*;

    fn settled_to(expr: Expr) -> String {
        settled(expr, &DFSchema::empty()).unwrap().data.to_string()
    }

    #[test]
    fn only_what_may_fail_is_changed() {
        for (expr, expected) in [
            (cast(lit("12"), DataType::Int32), "as_value(Utf8(\"12\"))"),
            (cast(lit(2.5), DataType::Int32), "as_value(round(Float64(2.5)))"),
            (cast(cast(lit(5_i64), DataType::Float64), DataType::Int32), "as_value(CAST(Int64(5) AS Float64))"),
            (cast(lit(5_i64), DataType::Int16), "as_value(Int64(5))"),
            (cast(lit(5_i64), DataType::Decimal128(5, 2)), "as_value(Int64(5))"),
            (cast(lit("a"), DataType::Binary), "as_value(Utf8(\"a\"))"),
            (cast(lit(5_i16), DataType::Int64), "CAST(Int16(5) AS Int64)"),
            (cast(lit(5_i64), DataType::Decimal128(20, 0)), "CAST(Int64(5) AS Decimal128(20, 0))"),
            (
                binary_expr(lit(1_i64), Operator::Plus, lit(2_i64)),
                "checked_arithmetic(Utf8(\"+\"), Int64(1), Int64(2))",
            ),
            (binary_expr(lit(1_i64), Operator::Divide, lit(0_i64)), "Int64(1) / Int64(0)"),
            (
                Expr::Negative(Box::new(binary_expr(lit(1_i64), Operator::Divide, lit(2_i64)))),
                "checked_arithmetic(Utf8(\"-\"), Int64(0), Int64(1) / Int64(2))",
            ),
            (Expr::Negative(Box::new(binary_expr(lit(1.0), Operator::Plus, lit(2.0)))), "(- Float64(1) + Float64(2))"),
            (binary_expr(lit(1.0), Operator::Divide, lit(0.0)), "divided_by_zero(Float64(1))"),
            (binary_expr(lit(1.0), Operator::Plus, lit(2.0)), "Float64(1) + Float64(2)"),
        ] {
            assert_eq!(settled_to(expr), expected);
        }
    }
}
