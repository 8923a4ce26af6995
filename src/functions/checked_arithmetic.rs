//! Arithmetic of numbers whose result their type does not hold is an error, as in PostgreSQL; DataFusion's whole numbers begin again at
//! the other end, and its doubles become infinite. So is a division by zero, of which doubles make an infinity: everywhere by a zero
//! that is written, and where doubles are checked by each.
//!
//! A chain of operators is one call, `checked_arithmetic('+-', a, b, c)`, from the left: calls one in another would take planning the
//! square of their number.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Datum, Float64Array, PrimitiveArray, downcast_integer};
use arrow::buffer::NullBuffer;
use arrow::compute::kernels::numeric::{add, div, mul, rem, sub};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, FieldRef, Float32Type, Float64Type};
use arrow::error::ArrowError;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use datafusion::physical_expr_common::datum::apply;
use datafusion::scalar::ScalarValue;

use super::rows::function_of_one;
use crate::Error;
use crate::error::StatementFault;

/// Its name.
const NAME: &str = "checked_arithmetic";

/// One of each for all plans: two calls with the same arguments are the same.
static CHECKED: LazyLock<Arc<ScalarUDF>> = LazyLock::new(|| {
    let signature = Signature::variadic_any(Volatility::Immutable);
    Arc::new(ScalarUDF::new_from_impl(CheckedArithmetic { signature }))
});
static BY_ZERO: LazyLock<ScalarUDF> = LazyLock::new(|| {
    function_of_one("divided_by_zero", DataType::Float64, |values| match values.logical_null_count() == values.len() {
        true => Ok(Arc::new(Float64Array::new_null(values.len()))),
        false => Err(ArrowError::DivideByZero.into()),
    })
});

/// Both of them.
pub(super) fn udfs() -> [ScalarUDF; 2] {
    [ScalarUDF::clone(&CHECKED), BY_ZERO.clone()]
}

/// A sum (`+`), difference (`-`) or product (`*`) of two numbers of one type; of doubles a quotient (`/`) or a rest (`%`), too.
pub fn checked_arithmetic(left: Expr, sign: char, right: Expr) -> Expr {
    let mut call = match left {
        Expr::ScalarFunction(call) if call.name() == NAME => call,
        first => ScalarFunction::new_udf(CHECKED.clone(), vec![lit(""), first]),
    };
    if let Some(Expr::Literal(ScalarValue::Utf8(Some(signs)), _)) = call.args.first_mut() {
        signs.push(sign);
    }
    call.args.push(right);
    Expr::ScalarFunction(call)
}

/// A number of the type that an expression has: the first of a chain of operators, or itself.
pub fn first_number(expr: &Expr) -> &Expr {
    match expr {
        Expr::ScalarFunction(call) if call.name() == NAME => call.args.get(1).unwrap_or(expr),
        other => other,
    }
}

/// A double divided by zero: NULL for NULL, and an error for all else.
pub fn divided_by_zero(value: Expr) -> Expr {
    BY_ZERO.call(vec![value])
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct CheckedArithmetic {
    signature: Signature,
}

impl CheckedArithmetic {
    fn wants(&self) -> DataFusionError {
        DataFusionError::Plan(format!("{NAME} takes a text of operators, and numbers of one type, one more"))
    }
}

impl ScalarUDFImpl for CheckedArithmetic {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [_, first, others @ ..] if is_checked(first) && others.iter().all(|other| other == first) => {
                Ok(first.clone())
            }
            _ => Err(self.wants()),
        }
    }

    // as an operator has it
    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let nullable = args.arg_fields.iter().skip(1).any(|field| field.is_nullable());
        Ok(Arc::new(Field::new(NAME, self.return_type(&types)?, nullable)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [ColumnarValue::Scalar(signs), first, others @ ..] = args.args.as_slice() else { return Err(self.wants()) };
        let signs = signs.try_as_str().flatten().unwrap_or_default();
        if signs.len() != others.len() {
            return Err(self.wants());
        }
        signs.chars().zip(others).try_fold(first.clone(), |found, (sign, other)| {
            let kernel: fn(&dyn Datum, &dyn Datum) -> Result<ArrayRef, ArrowError> = match sign {
                '+' => add,
                '-' => sub,
                '*' => mul,
                '/' if found.data_type().is_floating() => div,
                '%' if found.data_type().is_floating() => rem,
                _ => return Err(self.wants()),
            };
            if let Some(result) = whole_numbers(&found, sign, other) {
                return Ok(result);
            }
            let result = apply(&found, other, kernel)?;
            match result.data_type() {
                DataType::Float64 => check::<Float64Type>(&found, sign, other, &result)?,
                DataType::Float32 => check::<Float32Type>(&found, sign, other, &result)?,
                _ => {}
            }
            Ok(result)
        })
    }
}

fn is_checked(data_type: &DataType) -> bool {
    data_type.is_integer() || matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// A sum, difference or product of whole numbers in rows, all of them without a branch. None where a result does not fit, which may
/// be in a row that is NULL, and for all else: the kernel goes over the rows one by one, and tells which one it is.
fn whole_numbers(left: &ColumnarValue, sign: char, right: &ColumnarValue) -> Option<ColumnarValue> {
    macro_rules! of_type {
        ($t:ty) => {
            match sign {
                '+' => all_rows::<$t>(left, right, |a, b| a.overflowing_add(b)),
                '-' => all_rows::<$t>(left, right, |a, b| a.overflowing_sub(b)),
                '*' => all_rows::<$t>(left, right, |a, b| a.overflowing_mul(b)),
                _ => None,
            }
        };
    }
    let data_type = left.data_type();
    downcast_integer! {
        data_type => (of_type),
        _ => None
    }
}

/// What an operation makes of all rows, also of those that are NULL; None where it says that a result does not fit, and where both
/// sides are constants, or one is NULL.
fn all_rows<T: ArrowPrimitiveType>(
    left: &ColumnarValue,
    right: &ColumnarValue,
    operation: impl Fn(T::Native, T::Native) -> (T::Native, bool),
) -> Option<ColumnarValue> {
    let constant = |scalar: &ScalarValue| {
        let array = scalar.to_array().ok()?;
        let array = array.as_primitive_opt::<T>()?;
        array.is_valid(0).then(|| array.value(0))
    };
    let mut is_lost = false;
    let mut fitting = |a: T::Native, b: T::Native| {
        let (value, lost) = operation(a, b);
        is_lost |= lost;
        value
    };
    let (values, nulls): (Vec<T::Native>, _) = match (left, right) {
        (ColumnarValue::Array(left), ColumnarValue::Array(right)) => {
            let (left, right) = (left.as_primitive_opt::<T>()?, right.as_primitive_opt::<T>()?);
            if left.len() != right.len() {
                return None;
            }
            let pairs = left.values().iter().zip(right.values());
            (pairs.map(|(a, b)| fitting(*a, *b)).collect(), NullBuffer::union(left.nulls(), right.nulls()))
        }
        (ColumnarValue::Array(left), ColumnarValue::Scalar(right)) => {
            let (left, right) = (left.as_primitive_opt::<T>()?, constant(right)?);
            (left.values().iter().map(|a| fitting(*a, right)).collect(), left.nulls().cloned())
        }
        (ColumnarValue::Scalar(left), ColumnarValue::Array(right)) => {
            let (left, right) = (constant(left)?, right.as_primitive_opt::<T>()?);
            (right.values().iter().map(|b| fitting(left, *b)).collect(), right.nulls().cloned())
        }
        (ColumnarValue::Scalar(_), ColumnarValue::Scalar(_)) => return None,
    };
    (!is_lost).then(|| ColumnarValue::Array(Arc::new(PrimitiveArray::<T>::new(values.into(), nulls))))
}

/// Doubles that came out otherwise than PostgreSQL has them.
fn check<T: ArrowPrimitiveType<Native: Into<f64>>>(
    left: &ColumnarValue,
    sign: char,
    right: &ColumnarValue,
    result: &ColumnarValue,
) -> Result<()> {
    let array = |value: &ColumnarValue| match value {
        ColumnarValue::Array(array) => Ok(array.clone()),
        ColumnarValue::Scalar(scalar) => scalar.to_array(),
    };
    let (left, right, result) = (array(left)?, array(right)?, array(result)?);
    let (left, right, result) = (left.as_primitive::<T>(), right.as_primitive::<T>(), result.as_primitive::<T>());
    // a constant is the same for all rows
    let (left_step, right_step) = (usize::from(left.len() > 1), usize::from(right.len() > 1));
    let operands =
        |row: usize| -> (f64, f64) { (left.values()[row * left_step].into(), right.values()[row * right_step].into()) };
    let is_wrong = |row: usize| {
        let (left, right) = operands(row);
        is_wrong(left, sign, right, result.values()[row].into())
    };
    // all rows without a branch, also those that are NULL
    if !(0..result.len()).fold(false, |found, row| found | is_wrong(row)) {
        return Ok(());
    }
    let Some(row) = (0..result.len()).find(|row| result.is_valid(*row) && is_wrong(*row)) else { return Ok(()) };
    let (left, right) = operands(row);
    if right == 0.0 && matches!(sign, '/' | '%') {
        return Err(ArrowError::DivideByZero.into());
    }
    let message = format!("{left:e} {sign} {right:e} is out of the range of its type");
    Err(Error::query(message).of_fault(StatementFault::Range).into())
}

/// True for a division by zero, and for numbers that are too large or too near to zero.
#[inline]
fn is_wrong(left: f64, sign: char, right: f64, result: f64) -> bool {
    let too_large = result.is_infinite() & left.is_finite() & right.is_finite();
    let is_lost = (result == 0.0) & (left != 0.0);
    match sign {
        '*' => too_large | (is_lost & (right != 0.0)),
        '/' => too_large | ((right == 0.0) & !left.is_nan()) | (is_lost & right.is_finite()),
        '%' => (right == 0.0) & !left.is_nan(),
        _ => too_large,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{Int64Array, RecordBatch};
    use arrow::datatypes::Int64Type;
    use datafusion::prelude::SessionContext;

    use super::*;

    /// As PostgreSQL 15 answers.
    #[tokio::test]
    async fn what_does_not_fit_is_an_error() {
        let context = SessionContext::new();
        udfs().into_iter().for_each(|udf| context.register_udf(udf));
        let asked = async |sql: &str| context.sql(&format!("SELECT {sql}")).await?.collect().await;
        for sql in [
            "checked_arithmetic('+', 9223372036854775807, 1)",
            "checked_arithmetic('+-', 1, 9223372036854775807, 1)",
            "checked_arithmetic('-', -9223372036854775807, value) FROM generate_series(1, 5)",
            "checked_arithmetic('*', CAST(2147483647 AS INT), CAST(2 AS INT))",
            "divided_by_zero(1.5)",
            "checked_arithmetic('*', 1e308, 10.0)",
            "checked_arithmetic('/', 1.0, value::double - 3.0) FROM generate_series(1, 5)",
            "checked_arithmetic('%', 1.0, 0.0)",
            "checked_arithmetic('*', 1e-200, 1e-200)",
            "checked_arithmetic('*', 1e30::real, 1e30::real)",
            "checked_arithmetic('*', value, 9223372036854775807) FROM generate_series(1, 5)",
            "checked_arithmetic('-', value::int, 2147483647::int) FROM generate_series(-9, -5)",
        ] {
            let error = crate::Error::from(asked(sql).await.unwrap_err());
            assert!(error.fault().is_some(), "{sql}: {error}");
        }
        for sql in [
            "checked_arithmetic('*', value, value) FROM generate_series(1, 5)",
            "checked_arithmetic('+', CAST(NULL AS BIGINT), 9223372036854775807)",
            "divided_by_zero(CAST(NULL AS DOUBLE))",
            "checked_arithmetic('*', 0.0, value::double) FROM generate_series(1, 5)",
            "checked_arithmetic('/', nullif(value::double, 3.0), nullif(value::double - 3.0, 0.0)) FROM generate_series(1, 5)",
            "checked_arithmetic('/', 0.0, 5.0), checked_arithmetic('+', 'inf'::double, 1.0)",
            "checked_arithmetic('/', 'NaN'::double, 0.0), checked_arithmetic('/', 1.0, 'inf'::double)",
        ] {
            asked(sql).await.unwrap();
        }
        let found = asked("checked_arithmetic('-*+', 9, 2, 3, 1)").await.unwrap();
        assert_eq!(ScalarValue::try_from_array(found[0].column(0), 0).unwrap(), ScalarValue::Int64(Some(22)));
        for wrong in ["checked_arithmetic('+', 1, 1.5)", "checked_arithmetic('+', 1)", "checked_arithmetic('/', 1, 1)"]
        {
            assert!(asked(wrong).await.is_err(), "{wrong}");
        }
    }

    #[test]
    fn whole_numbers_of_many_rows() {
        let array = |values: &[Option<i64>]| ColumnarValue::Array(Arc::new(Int64Array::from(values.to_vec())));
        let constant = |value: i64| ColumnarValue::Scalar(ScalarValue::Int64(Some(value)));
        let found = |left: ColumnarValue, sign, right: ColumnarValue| match whole_numbers(&left, sign, &right)? {
            ColumnarValue::Array(array) => Some(array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
            ColumnarValue::Scalar(_) => None,
        };
        let [some, others] = [array(&[Some(7), None, Some(-3)]), array(&[Some(2), Some(5), None])];
        let each: [(ColumnarValue, char, ColumnarValue, Vec<Option<i64>>); 5] = [
            (some.clone(), '*', others.clone(), vec![Some(14), None, None]),
            (some.clone(), '-', others.clone(), vec![Some(5), None, None]),
            (some.clone(), '+', constant(i64::MAX - 7), vec![Some(i64::MAX), None, Some(i64::MAX - 10)]),
            (constant(i64::MIN), '-', array(&[Some(0), Some(-1)]), vec![Some(i64::MIN), Some(i64::MIN + 1)]),
            (constant(3), '*', some.clone(), vec![Some(21), None, Some(-9)]),
        ];
        for (left, sign, right, expected) in each {
            assert_eq!(found(left, sign, right), Some(expected), "{sign}");
        }
        // these are the kernel's
        let (large, null) = (constant(i64::MAX), ColumnarValue::Scalar(ScalarValue::Int64(None)));
        assert_eq!(found(some.clone(), '*', large), None);
        assert_eq!(found(some.clone(), '+', null), None);
        assert_eq!(found(constant(1), '+', constant(1)), None);
        assert_eq!(found(some.clone(), '/', others), None);
        let doubles = ColumnarValue::Array(Arc::new(Float64Array::from(vec![1.0])));
        assert!(whole_numbers(&doubles, '+', &doubles).is_none());
    }

    /// What is below a NULL may be anything.
    #[tokio::test]
    async fn what_is_null_always_fits() {
        let nulls = NullBuffer::from(vec![true, false]);
        let array = |values: Vec<i64>| Arc::new(Int64Array::new(values.into(), Some(nulls.clone())));
        let left: ArrayRef = array(vec![6, i64::MAX]);
        let right: ArrayRef = array(vec![7, i64::MAX]);
        let [one, other] = [&left, &right].map(|array| ColumnarValue::Array(array.clone()));
        assert!(whole_numbers(&one, '*', &other).is_none());
        let batch = RecordBatch::try_from_iter([("a", left), ("b", right)]).unwrap();
        let context = SessionContext::new();
        udfs().into_iter().for_each(|udf| context.register_udf(udf));
        context.register_batch("t", batch).unwrap();
        let asked = context.sql("SELECT checked_arithmetic('*', a, b) FROM t").await.unwrap();
        let found = asked.collect().await.unwrap();
        let found: Vec<Option<i64>> = found[0].column(0).as_primitive::<Int64Type>().iter().collect();
        assert_eq!(found, [Some(42), None]);
    }

    #[test]
    fn a_chain_is_one_call() {
        let chain = checked_arithmetic(checked_arithmetic(lit(1_i64), '+', lit(2_i64)), '*', lit(3_i64));
        assert_eq!(chain.to_string(), "checked_arithmetic(Utf8(\"+*\"), Int64(1), Int64(2), Int64(3))");
        assert_eq!(*first_number(&chain), lit(1_i64));
    }
}
