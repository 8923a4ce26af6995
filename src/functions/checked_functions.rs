//! Functions of doubles that fail where there is no such number, as in PostgreSQL: `sqrt(-1)`, `ln(0)`, `exp(1000)`. Most of DataFusion's
//! give `NaN` and `Infinity`.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, FieldRef, Float64Type};
use arrow::error::ArrowError;
use datafusion::error::Result;
use datafusion::functions::math;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};

use crate::Error;
use crate::error::StatementFault;

/// One of each for all plans: two calls with the same arguments are the same.
static FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let functions = [
        math::sqrt(),
        math::ln(),
        math::log(),
        math::log2(),
        math::log10(),
        math::exp(),
        math::power(),
        math::acos(),
        math::asin(),
        math::acosh(),
        math::atanh(),
    ];
    let checked = |function: Arc<ScalarUDF>| {
        let name = format!("checked_{}", function.name());
        Arc::new(ScalarUDF::new_from_impl(Checked { name, function }))
    };
    functions.into_iter().map(checked).collect()
});

/// All of them.
pub(super) fn udfs() -> impl Iterator<Item = ScalarUDF> {
    FUNCTIONS.iter().map(|function| ScalarUDF::clone(function))
}

/// The function that takes the place of one by this name.
pub fn checked_function(name: &str) -> Option<Arc<ScalarUDF>> {
    FUNCTIONS.iter().find(|function| function.name().strip_prefix("checked_") == Some(name)).cloned()
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Checked {
    name: String,
    function: Arc<ScalarUDF>,
}

impl ScalarUDFImpl for Checked {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        self.function.signature()
    }

    fn coerce_types(&self, arguments: &[DataType]) -> Result<Vec<DataType>> {
        self.function.coerce_types(arguments)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        self.function.return_type(arguments)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.function.return_field_from_args(args)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let (arguments, rows) = (args.args.clone(), args.number_rows);
        let result = match self.function.invoke_with_args(args) {
            Ok(result) => result,
            // some fail by themselves, without a value that says why
            Err(error) => {
                let no_number = ColumnarValue::Array(Arc::new(Float64Array::from_value(f64::NAN, rows)));
                return check(self.function.name(), &arguments, &no_number).and(Err(error));
            }
        };
        if matches!(result.data_type(), DataType::Float32 | DataType::Float64) {
            check(self.function.name(), &arguments, &result)?;
        }
        Ok(result)
    }
}

fn doubles(value: &ColumnarValue) -> Result<Float64Array> {
    let values: ArrayRef = match value {
        ColumnarValue::Array(array) => array.clone(),
        ColumnarValue::Scalar(scalar) => scalar.to_array()?,
    };
    Ok(cast(&values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}

/// Looks at what came out as no number, or as 0.
fn check(function: &str, arguments: &[ColumnarValue], result: &ColumnarValue) -> Result<()> {
    let results = doubles(result)?;
    let is_suspect = |value: f64| !value.is_finite() || value == 0.0;
    // without a branch, so that many are looked at at once
    if !results.values().iter().fold(false, |found, value| found | is_suspect(*value)) {
        return Ok(());
    }
    let arguments: Vec<Float64Array> = arguments.iter().map(doubles).collect::<Result<_>>()?;
    let is_asked = |row: &usize| results.is_valid(*row) && is_suspect(results.value(*row));
    for row in (0..results.len()).filter(is_asked) {
        let of_row: Vec<f64> = arguments.iter().map(|values| values.value(row.min(values.len() - 1))).collect();
        judge(function, &of_row, results.value(row))?;
    }
    Ok(())
}

/// Whether a result is what PostgreSQL gives, too.
fn judge(function: &str, arguments: &[f64], result: f64) -> Result<()> {
    use StatementFault::{Logarithm, Power, Range};
    let are_finite = arguments.iter().all(|argument| argument.is_finite());
    let wrong = match (function, arguments) {
        ("sqrt", [value]) if *value < 0.0 => Some(("cannot take square root of a negative number", Power)),
        ("ln" | "log" | "log2" | "log10", values) if values.contains(&0.0) => {
            Some(("cannot take logarithm of zero", Logarithm))
        }
        ("ln" | "log" | "log2" | "log10", values) if values.iter().any(|value| *value < 0.0) => {
            Some(("cannot take logarithm of a negative number", Logarithm))
        }
        ("log", [1.0, _]) => return Err(ArrowError::DivideByZero.into()),
        ("power", [0.0, power]) if *power < 0.0 => Some(("zero raised to a negative power is undefined", Power)),
        ("power", [base, power]) if *base < 0.0 && power.is_finite() && power.fract() != 0.0 => {
            Some(("a negative number raised to a non-integer power yields a complex result", Power))
        }
        ("exp", _) | ("power", [_, _]) if are_finite && result.is_infinite() => {
            Some(("value out of range: overflow", Range))
        }
        ("exp", _) if are_finite && result == 0.0 => Some(("value out of range: underflow", Range)),
        ("power", [base, _]) if are_finite && result == 0.0 && *base != 0.0 => {
            Some(("value out of range: underflow", Range))
        }
        ("acos" | "asin" | "acosh" | "atanh", [value]) if result.is_nan() && !value.is_nan() => {
            Some(("input is out of range", Range))
        }
        _ => None,
    };
    match wrong {
        Some((message, fault)) => Err(Error::query(format!("{function}: {message}")).of_fault(fault).into()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::prelude::SessionContext;

    use super::*;

    /// As PostgreSQL 15 answers.
    #[tokio::test]
    async fn what_is_no_number_is_an_error() {
        use StatementFault::{Division, Logarithm, Power, Range};
        let context = SessionContext::new();
        udfs().for_each(|udf| context.register_udf(udf));
        let asked = async |sql: &str| context.sql(&format!("SELECT {sql}")).await?.collect().await;
        for (sql, fault) in [
            ("checked_sqrt(-1.0)", Power),
            ("checked_sqrt(value::double - 3.0) FROM generate_series(1, 5)", Power),
            ("checked_ln(0.0)", Logarithm),
            ("checked_ln(-2.5)", Logarithm),
            ("checked_log(0.0)", Logarithm),
            ("checked_log(2.0, -1.0)", Logarithm),
            ("checked_log(1.0, 5.0)", Division),
            ("checked_exp(1000.0)", Range),
            ("checked_exp(-1000.0)", Range),
            ("checked_power(0.0, -1.0)", Power),
            ("checked_power(-8.0, 0.5)", Power),
            ("checked_power(1e200, 2.0)", Range),
            ("checked_power(1e-200, 2.0)", Range),
            ("checked_acos(2.0)", Range),
        ] {
            let error = Error::from(asked(sql).await.unwrap_err());
            assert_eq!(error.fault(), Some(fault), "{sql}: {error}");
        }
        for sql in [
            "checked_sqrt(0.0), checked_ln(1.0), checked_exp(0.0), checked_power(0.0, 2.0), checked_power(0.0, 0.0)",
            "checked_sqrt(CAST(NULL AS DOUBLE)), checked_power(CAST(NULL AS DOUBLE), -1.0)",
            "checked_sqrt(nullif(value::double, 3.0)) FROM generate_series(0, 5)",
            "checked_exp('inf'::double), checked_exp('-inf'::double), checked_sqrt('NaN'::double)",
            "checked_power('inf'::double, 2.0), checked_power(-8.0, 3.0), checked_acos(1.0)",
        ] {
            asked(sql).await.unwrap();
        }
    }
}
