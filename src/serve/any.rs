//! `any_equal(value, array)`: what `value = ANY (array)` stands for. With a third argument the array is one of the rows of a query,
//! and NULL where that has none: no value is among them.
//!
//! The array is a list, or a text as Postgres writes one (`{a,b}`), whose items are of the value's type. Where it is known when
//! the statement is planned, it becomes `value IN (...)`, by which files are left out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Scalar};
use arrow::compute::cast;
use arrow::compute::kernels::cmp::eq;
use arrow::datatypes::{DataType, Field};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, exec_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature,
    Volatility, lit,
};
use datafusion::scalar::ScalarValue;

use crate::functions::{is_time, time_of};

/// Its name, which no client calls.
pub const NAME: &str = "any_equal";

/// The function.
pub fn function() -> ScalarUDF {
    let signatures = vec![TypeSignature::Any(2), TypeSignature::Any(3)];
    ScalarUDF::new_from_impl(AnyEqual { signature: Signature::one_of(signatures, Volatility::Immutable) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct AnyEqual {
    signature: Signature,
}

impl ScalarUDFImpl for AnyEqual {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let [values, lists, of_rows @ ..] = arrays.as_slice() else {
            return exec_err!("{NAME} takes a value and an array");
        };
        let without_rows = (!of_rows.is_empty()).then_some(false);
        if !matches!(lists.data_type(), DataType::List(_)) {
            return exec_err!("= ANY takes an array, not {}", lists.data_type());
        }
        let lists = cast(lists, &DataType::List(Arc::new(Field::new_list_field(values.data_type().clone(), true))))?;
        let lists = lists.as_list::<i32>();
        let found = (0..values.len()).map(|row| match lists.is_null(row) {
            true => Ok(without_rows),
            false => contains(&values.slice(row, 1), &lists.value(row)),
        });
        Ok(ColumnarValue::Array(Arc::new(found.collect::<Result<BooleanArray>>()?)))
    }
}

/// Whether one of the items is the value; None where that depends on a NULL.
fn contains(value: &ArrayRef, items: &ArrayRef) -> Result<Option<bool>> {
    if items.is_empty() {
        return Ok(Some(false));
    }
    if value.is_null(0) {
        return Ok(None);
    }
    let equal = eq(items, &Scalar::new(value.clone()))?;
    Ok(match (equal.true_count() > 0, equal.null_count() > 0) {
        (true, _) => Some(true),
        (false, true) => None,
        (false, false) => Some(false),
    })
}

/// Makes `value IN (...)` of a call whose array is known.
#[derive(Debug)]
pub struct AnyAsList;

impl FunctionRewrite for AnyAsList {
    fn name(&self) -> &str {
        "any_as_list"
    }

    fn rewrite(&self, expr: Expr, schema: &DFSchema, _: &ConfigOptions) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(call) = &expr else { return Ok(Transformed::no(expr)) };
        let (NAME, [value, array]) = (call.func.name(), call.args.as_slice()) else {
            return Ok(Transformed::no(expr));
        };
        let Some(items) = items(array)? else { return Ok(Transformed::no(expr)) };
        let value_type = value.get_type(schema)?;
        let typed = |item: Expr| match item {
            // a text of an array is read as the value's type has it
            Expr::Literal(text @ ScalarValue::Utf8(_), metadata) if value_type != DataType::Null => {
                let item = match text.try_as_str().flatten() {
                    Some(written) if is_time(&value_type) => time_of(written, &value_type)?,
                    _ => text.cast_to(&value_type)?,
                };
                Ok(Expr::Literal(item, metadata))
            }
            other => Ok(other),
        };
        let list = items.into_iter().map(typed).collect::<Result<Vec<_>>>()?;
        Ok(Transformed::yes(match list.is_empty() {
            true => lit(false),
            false => Expr::InList(InList::new(Box::new(value.clone()), list, false)),
        }))
    }
}

/// The items of an array that is known; None where it is computed.
fn items(array: &Expr) -> Result<Option<Vec<Expr>>> {
    Ok(match array {
        Expr::Literal(ScalarValue::Utf8(Some(text)), _) => {
            Some(read(text)?.into_iter().map(|item| lit(ScalarValue::Utf8(item))).collect())
        }
        Expr::Literal(ScalarValue::List(list), _) if list.len() == 1 && list.is_valid(0) => {
            let items = list.value(0);
            let item = |i| Ok(lit(ScalarValue::try_from_array(&items, i)?));
            Some((0..items.len()).map(item).collect::<Result<_>>()?)
        }
        Expr::ScalarFunction(ScalarFunction { func, args }) if func.name() == "make_array" => Some(args.clone()),
        Expr::Cast(inner) => match (inner.field.data_type(), items(&inner.expr)?) {
            (DataType::List(item), Some(items)) => {
                let cast_item = |expr| datafusion::logical_expr::cast(expr, item.data_type().clone());
                Some(items.into_iter().map(cast_item).collect())
            }
            _ => None,
        },
        _ => None,
    })
}

/// The items of an array as Postgres writes it, of one dimension; None for a NULL.
pub fn read(text: &str) -> Result<Vec<Option<String>>> {
    let inner = text.trim().strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    let Some(inner) = inner else { return exec_err!("malformed array literal: {text:?}; expected {{item, item}}") };
    let (mut items, mut item, mut quoted) = (vec![], String::new(), false);
    let mut signs = inner.chars();
    let mut within = false;
    let take = |item: &mut String, quoted: &mut bool| {
        let taken = std::mem::take(item);
        match std::mem::take(quoted) {
            true => Some(taken),
            false if taken.trim().eq_ignore_ascii_case("null") => None,
            false => Some(taken.trim().to_string()),
        }
    };
    while let Some(sign) = signs.next() {
        match sign {
            '\\' => item.extend(signs.next()),
            '"' if !within && item.trim().is_empty() => {
                item.clear();
                (within, quoted) = (true, true);
            }
            '"' => within = !within,
            ',' if !within => items.push(take(&mut item, &mut quoted)),
            '{' | '}' if !within => {
                return exec_err!("malformed array literal: {text:?}; arrays have one dimension here");
            }
            // blanks after a quoted item
            sign if quoted && !within && sign.is_whitespace() => {}
            sign => item.push(sign),
        }
    }
    if within {
        return exec_err!("malformed array literal: {text:?}; a quote is open");
    }
    if !inner.trim().is_empty() {
        items.push(take(&mut item, &mut quoted));
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn arrays_as_postgres_writes_them() {
        let some = |items: &[&str]| items.iter().map(|item| Some(item.to_string())).collect::<Vec<_>>();
        assert_eq!(read("{a,b}").unwrap(), some(&["a", "b"]));
        assert_eq!(read("{}").unwrap(), []);
        assert_eq!(read(r#"{"a,b", "say \"x\"" ,c d}"#).unwrap(), some(&["a,b", "say \"x\"", "c d"]));
        assert_eq!(read(r#"{NULL,"NULL",""}"#).unwrap(), [None, Some("NULL".into()), Some("".into())]);
        for wrong in ["a,b", "{a", r#"{"a}"#, "{{a},{b}}"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
