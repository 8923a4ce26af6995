//! `||` of texts and of lists, and lists in brackets, whose values are bounded.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::{Expr, ExprSchemable, Operator};

use crate::functions::{bounded_list_function, first_text, joined_text};

/// An operation over columns, whose sides are of the types that it takes. DataFusion plans `||` of lists as `array_concat` and
/// `ARRAY[a, b]` as `make_array`, which are the ones without a bound.
pub(super) fn bounded(expr: Expr, columns: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right }) => {
            let type_of = |side: &Expr| first_text(side).get_type(columns).ok().filter(DataType::is_string);
            match type_of(&right) {
                Some(text) if type_of(&left).as_ref() == Some(&text) => Transformed::yes(joined_text(*left, *right)),
                _ => Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op: Operator::StringConcat, right })),
            }
        }
        Expr::ScalarFunction(mut call) if let Some(bounded) = bounded_list_function(call.name()) => {
            call.func = bounded;
            Transformed::yes(Expr::ScalarFunction(call))
        }
        other => Transformed::no(other),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::logical_expr::{binary_expr, lit};

    use super::*;

    #[test]
    fn texts_of_one_type_are_joined() {
        let of = |expr: Expr| bounded(expr, &DFSchema::empty()).unwrap().data.to_string();
        let chain = binary_expr(lit("a"), Operator::StringConcat, lit("b"));
        assert_eq!(of(chain), "joined_text(Utf8(\"a\"), Utf8(\"b\"))");
        assert_eq!(of(binary_expr(lit("a"), Operator::Eq, lit("b"))), "Utf8(\"a\") = Utf8(\"b\")");
    }
}
