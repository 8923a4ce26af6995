//! The arguments of a table function: what was written, in order or by name, becomes constants.

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result as PlanResult};
use datafusion::logical_expr::Expr;
use datafusion::logical_expr::planner::RelationPlannerContext;
use datafusion::sql::sqlparser::ast::{self, FunctionArg, FunctionArgExpr};

use crate::error::did_you_mean;
use crate::error::library_words::without_layers;
use crate::quote::literal;
use crate::{Error, Result};

/// Arguments that come by name only.
pub(super) const BY_NAME: &[&str] = &[
    "models",
    "touches",
    "conversions",
    "visitors",
    "visits",
    "by",
    "last_resort",
    "repeats",
    "last_touches",
    "unconverted",
    "segment",
    "counted",
];

/// The arguments of a call by name, as constants.
pub(super) struct Arguments(Vec<(String, ScalarValue)>);

impl Arguments {
    /// Reads a call of `function`, whose arguments are `order`; those of `BY_NAME` come by name only.
    pub fn read(
        function: &str,
        order: &[&str],
        given: Vec<FunctionArg>,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<Self> {
        let mut read: Vec<(String, ScalarValue)> = vec![];
        let mut named = false;
        for (place, argument) in given.into_iter().enumerate() {
            let (name, value) = match argument {
                FunctionArg::Named { name, arg, .. } => (Some(name.value), arg),
                FunctionArg::ExprNamed { name, arg, .. } => (Some(name.to_string()), arg),
                FunctionArg::Unnamed(arg) => (None, arg),
            };
            let name = match name {
                Some(name) => {
                    named = true;
                    name.trim_matches('"').to_lowercase()
                }
                None if named => {
                    return plan_error(format!("{function}: an argument without a name follows one with a name"));
                }
                None => match order.get(place).filter(|n| !BY_NAME.contains(n)) {
                    Some(name) => name.to_string(),
                    None => return plan_error(format!("{function} takes {}", order.join(", "))),
                },
            };
            if !order.contains(&name.as_str()) {
                let hint = did_you_mean(&name, order.iter().copied());
                return plan_error(format!("{function} has no argument {name}{hint}; it takes {}", order.join(", ")));
            }
            if read.iter().any(|(n, _)| *n == name) {
                return plan_error(format!("{function}: the argument {name} is given twice"));
            }
            let FunctionArgExpr::Expr(expr) = value else {
                return plan_error(format!("{function}: {name} must be a value"));
            };
            read.push((name.clone(), constant(function, &name, expr, context)?));
        }
        Ok(Self(read))
    }

    /// Arguments by name in SQL, but those `left_out`.
    pub fn in_sql(&self, left_out: &[&str]) -> Result<String> {
        let mut written = vec![];
        for (name, _) in self.0.iter().filter(|(name, _)| !left_out.contains(&name.as_str())) {
            let text = self.text(name)?.map_or("NULL".into(), |text| literal(&text));
            written.push(format!("{name} => {text}"));
        }
        Ok(written.join(", "))
    }

    /// The text of an argument; None where it is missing or NULL.
    pub fn text(&self, name: &str) -> Result<Option<String>> {
        match self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v) {
            None => Ok(None),
            Some(v) if v.is_null() => Ok(None),
            Some(v) => match v.cast_to(&DataType::Utf8) {
                Ok(ScalarValue::Utf8(text)) if !v.data_type().is_nested() => Ok(text),
                _ => Err(Error::query(format!("{name} is one text: {name} => '...'"))),
            },
        }
    }

    /// The texts of an argument that is a list: `['a', 'b']`; None where it is missing.
    pub fn texts(&self, name: &str) -> Result<Option<Vec<String>>> {
        let wrong = || Error::query(format!("{name} is a list of texts: {name} => ['...', '...']"));
        match self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v) {
            None => Ok(None),
            Some(ScalarValue::List(list)) if list.len() == 1 && list.is_valid(0) => {
                let texts = cast(&list.value(0), &DataType::Utf8).map_err(|_| wrong())?;
                let texts = texts.as_string::<i32>().iter().map(|text| text.map(str::to_string));
                texts.collect::<Option<Vec<_>>>().map(Some).ok_or_else(wrong)
            }
            Some(_) => Err(wrong()),
        }
    }

    /// The whole number of an argument, from 1; None where it is missing.
    pub fn count(&self, name: &str) -> Result<Option<usize>> {
        match self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v) {
            None => Ok(None),
            Some(v) if v.is_null() => Ok(None),
            Some(v) => {
                let text = v.to_string();
                let count = text.parse::<usize>().ok().filter(|count| *count > 0);
                count.map(Some).ok_or_else(|| Error::query(format!("{name} is a whole number from 1, not {text}")))
            }
        }
    }

    /// The truth of an argument; None where it is missing.
    pub fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v) {
            None => Ok(None),
            Some(v) => match v.cast_to(&DataType::Boolean) {
                Ok(ScalarValue::Boolean(flag)) => Ok(flag),
                _ => Err(Error::query(format!("{name} is true or false, not {v}"))),
            },
        }
    }
}

/// The value of an argument: a literal, or an expression of literals.
fn constant(
    function: &str,
    name: &str,
    expr: ast::Expr,
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<ScalarValue> {
    // a name in double quotes was meant as a text
    let text = expr.to_string().trim_matches('"').to_string();
    let nothing = DFSchema::empty();
    let planned = context.sql_to_expr(expr, &nothing).map_err(|_| {
        DataFusionError::Plan(format!("{function}: {name} must be a constant; write '{text}' in single quotes?"))
    })?;
    let info = datafusion::logical_expr::simplify::SimplifyContext::default();
    match datafusion::optimizer::simplify_expressions::ExprSimplifier::new(info).simplify(planned) {
        Ok(Expr::Literal(value, _)) => Ok(value),
        Ok(other) => plan_error(format!("{function}: {name} must be a constant, not {other}")),
        Err(error) => {
            let why = error.find_root().strip_backtrace();
            plan_error(format!("{function}: {name} cannot be computed: {}", without_layers(&why)))
        }
    }
}

fn plan_error<T>(message: String) -> PlanResult<T> {
    Err(DataFusionError::Plan(message))
}
