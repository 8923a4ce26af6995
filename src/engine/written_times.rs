//! Times and intervals that are written as texts are read as PostgreSQL reads them: `'2026-01-31 12:00'`, `'Jan 31, 2026'`,
//! `'1 day 02:00'`. DataFusion's own casts know fewer spellings, take an offset for part of a time that has no zone, and of
//! `- interval '1 day 02:00'` the day alone.
//!
//! In: a plan whose casts are all written out, those that a comparison needs among them. Out: one in which `as_time` stands for
//! each cast of a text to a time or an interval. `'now'` and `'today'` mean the statement's begin. What is written behind the word
//! INTERVAL is a value before there is a plan, and is put into words of DataFusion's in the statement.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, IntervalMonthDayNano, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::functions::datetime::now::NowFunc;
use datafusion::functions::datetime::to_local_time;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, ScalarUDF, cast, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{self, BinaryOperator, DateTimeField, UnaryOperator, Value, VisitorMut};
use rejoin_instances::syntax::{PartMut, change};
use rejoin_instances::trees::{change_expressions, change_nodes, change_parts};

use crate::functions::{as_time, interval_times, is_time, time_of, unread};
use crate::time::{Interval, Moment, Unit, Unread, moment, read_interval};
use crate::{Error, Result};

/// An interval's type.
const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// Reads the texts of a plan that are cast to times and intervals.
#[derive(Debug)]
pub(super) struct ReadTimes;

impl AnalyzerRule for ReadTimes {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> PlanResult<LogicalPlan> {
        let read = change_nodes(plan, &mut |node| {
            let columns = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            change_expressions(node, &mut |expr| {
                let name = names.save(&expr);
                Ok(read_times(expr, &columns, options)?.update_data(|expr| name.restore(expr)))
            })
        })?;
        Ok(read.data)
    }

    fn name(&self) -> &str {
        "read_times"
    }
}

/// Reads the texts in an expression over columns, whose casts are all written out.
pub(super) fn read_times(expr: Expr, columns: &DFSchema, options: &ConfigOptions) -> PlanResult<Transformed<Expr>> {
    change_parts(expr, &mut |expr| read_cast(expr, columns, options))
}

fn read_cast(expr: Expr, columns: &DFSchema, options: &ConfigOptions) -> PlanResult<Transformed<Expr>> {
    let (inner, wanted, tries) = match &expr {
        Expr::Cast(Cast { expr, field }) => (expr.as_ref(), field.data_type(), false),
        Expr::TryCast(TryCast { expr, field }) => (expr.as_ref(), field.data_type(), true),
        _ => return Ok(Transformed::no(expr)),
    };
    if let (DataType::List(item), Expr::ScalarFunction(list)) = (wanted, inner)
        && is_time(item.data_type())
        && list.name() == "make_array"
    {
        let read_item = |written: &Expr| -> PlanResult<Expr> {
            let item = cast(written.clone(), item.data_type().clone());
            Ok(read_cast(item, columns, options)?.data)
        };
        let mut list = list.clone();
        list.args = list.args.iter().map(read_item).collect::<PlanResult<_>>()?;
        return Ok(Transformed::yes(cast(Expr::ScalarFunction(list), wanted.clone())));
    }
    if !is_time(wanted) || !inner.get_type(columns).is_ok_and(|data_type| is_text(&data_type)) {
        return Ok(Transformed::no(expr));
    }
    if let Some(moment) = text_of(inner).and_then(moment)
        && *wanted != INTERVAL
    {
        return Ok(Transformed::yes(at(moment, wanted, options)));
    }
    let text = match inner.get_type(columns)? {
        DataType::Utf8 => inner.clone(),
        _ => cast(inner.clone(), DataType::Utf8),
    };
    Ok(Transformed::yes(as_time(wanted, tries).call(vec![text])))
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Dictionary(_, values) => is_text(values),
        _ => false,
    }
}

/// A text that stands in the statement.
fn text_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    }
}

/// The time that the statement's begin tells.
fn at(moment: Moment, wanted: &DataType, options: &ConfigOptions) -> Expr {
    let plain = DataType::Timestamp(TimeUnit::Nanosecond, None);
    let now = ScalarUDF::from(NowFunc::new_with_config(options)).call(vec![]);
    let clock = to_local_time().call(vec![now.clone()]);
    match (moment, wanted) {
        (Moment::Now, DataType::Timestamp(_, Some(_))) => cast(now, wanted.clone()),
        (Moment::Now, _) => cast(clock, wanted.clone()),
        (Moment::Day(days), _) => {
            let today = cast(clock, DataType::Date32);
            let days = lit(ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(0, days, 0))));
            let day = Expr::BinaryExpr(BinaryExpr::new(Box::new(today), Operator::Plus, Box::new(days)));
            match wanted {
                DataType::Date32 => day,
                DataType::Time32(_) | DataType::Time64(_) => cast(cast(day, plain), wanted.clone()),
                _ => cast(day, wanted.clone()),
            }
        }
    }
}

/// `time + '1 day'`: what is added to a time is an interval. `1.5 * interval '1 day'`, `interval '1 day' / 2`.
#[derive(Debug)]
pub(super) struct IntervalArithmetic;

impl ExprPlanner for IntervalArithmetic {
    fn plan_binary_op(&self, expr: RawBinaryExpr, columns: &DFSchema) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        let is_instant =
            |side: &Expr| side.get_type(columns).is_ok_and(|data_type| matches!(data_type, DataType::Timestamp(..)));
        let is_interval = |side: &Expr| matches!(side.get_type(columns), Ok(DataType::Interval(_)));
        let is_number = |side: &Expr| side.get_type(columns).is_ok_and(|data_type| data_type.is_numeric());
        let number = |side: &Expr| cast(side.clone(), DataType::Float64);
        let product = match expr.op {
            BinaryOperator::Plus => None,
            BinaryOperator::Multiply if is_interval(&expr.left) && is_number(&expr.right) => {
                Some(interval_times(expr.left.clone(), number(&expr.right)))
            }
            BinaryOperator::Multiply if is_number(&expr.left) && is_interval(&expr.right) => {
                Some(interval_times(expr.right.clone(), number(&expr.left)))
            }
            BinaryOperator::Divide if is_interval(&expr.left) && is_number(&expr.right) => {
                let (one, divisor) = (Box::new(lit(1.0_f64)), Box::new(number(&expr.right)));
                let factor = Expr::BinaryExpr(BinaryExpr::new(one, Operator::Divide, divisor));
                Some(interval_times(expr.left.clone(), factor))
            }
            _ => return Ok(PlannerResult::Original(expr)),
        };
        if let Some(product) = product {
            return Ok(PlannerResult::Planned(product));
        }
        let sides = match (text_of(&expr.left), text_of(&expr.right)) {
            (None, Some(text)) if is_instant(&expr.left) => (expr.left.clone(), lit(time_of(text, &INTERVAL)?)),
            (Some(text), None) if is_instant(&expr.right) => (lit(time_of(text, &INTERVAL)?), expr.right.clone()),
            _ => return Ok(PlannerResult::Original(expr)),
        };
        let (left, right) = (Box::new(sides.0), Box::new(sides.1));
        Ok(PlannerResult::Planned(Expr::BinaryExpr(BinaryExpr::new(left, Operator::Plus, right))))
    }
}

/// Puts what is written behind the word INTERVAL, in a statement or a part of it, into DataFusion's words.
///
/// # Errors
/// A text is no interval.
pub(super) fn settle_intervals(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut Settling) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Settling;

impl VisitorMut for Settling {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        let settled = match expr {
            ast::Expr::Interval(interval) => settled(interval),
            // DataFusion takes the sign for that of the first word
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
                ast::Expr::Interval(interval) => backwards(interval),
                _ => Ok(None),
            },
            _ => Ok(None),
        };
        match settled {
            Ok(Some(interval)) => *expr = interval,
            Ok(None) => {}
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// The text of an interval that is written as one.
fn written(interval: &ast::Interval) -> Option<&str> {
    match interval.value.as_ref() {
        ast::Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => Some(text.as_str()),
            _ => None,
        },
        _ => None,
    }
}

fn settled(interval: &ast::Interval) -> Result<Option<ast::Expr>> {
    let Some(text) = written(interval) else { return Ok(None) };
    let failed = |why| unread(text, &INTERVAL, why);
    let field = interval.last_field.as_ref().or(interval.leading_field.as_ref());
    let unit = match field {
        None => None,
        Some(DateTimeField::Year | DateTimeField::Years) => Some(Unit::YEAR),
        Some(DateTimeField::Month | DateTimeField::Months) => Some(Unit::Months),
        Some(DateTimeField::Day | DateTimeField::Days) => Some(Unit::DAY),
        Some(DateTimeField::Hour | DateTimeField::Hours) => Some(Unit::HOUR),
        Some(DateTimeField::Minute | DateTimeField::Minutes) => Some(Unit::MINUTE),
        Some(DateTimeField::Second | DateTimeField::Seconds) => Some(Unit::SECOND),
        // DataFusion knows others, such as weeks
        Some(_) => return Ok(None),
    };
    // of two numbers the first are minutes there
    let begins_with_minutes = matches!(interval.leading_field, Some(DateTimeField::Minute | DateTimeField::Minutes));
    if begins_with_minutes && unit == Some(Unit::SECOND) && text.matches(':').count() == 1 {
        return Err(failed(Unread::Form));
    }
    let found = read_interval(text, unit.unwrap_or(Unit::SECOND)).map_err(failed)?;
    Ok(Some(in_words(unit.map_or(found, |unit| found.down_to(unit)))))
}

/// The same length the other way, of an interval that is settled.
fn backwards(interval: &ast::Interval) -> Result<Option<ast::Expr>> {
    let Some(text) = written(interval).filter(|_| interval.leading_field.is_none()) else { return Ok(None) };
    let back = read_interval(text, Unit::SECOND).and_then(Interval::back);
    back.map(|back| Some(in_words(back))).map_err(|why| unread(text, &INTERVAL, why))
}

/// An interval in words that mean the same to DataFusion and to PostgreSQL.
fn in_words(found: Interval) -> ast::Expr {
    let Interval { months, days, nanos } = found;
    let parts = [(i64::from(months), "months"), (i64::from(days), "days"), (nanos, "nanoseconds")];
    let told = parts.iter().filter(|(count, _)| *count != 0).map(|(count, unit)| format!("{count} {unit}"));
    let told: Vec<String> = told.collect();
    let text = if told.is_empty() { "0 days".to_string() } else { told.join(" ") };
    ast::Expr::Interval(ast::Interval {
        value: Box::new(ast::Expr::Value(Value::SingleQuotedString(text).with_empty_span())),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::*;

    fn settled(sql: &str) -> Result<String> {
        let mut parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
        settle_intervals(&mut parsed)?;
        // what is settled stays as it is
        let once = parsed.to_string();
        settle_intervals(&mut parsed)?;
        assert_eq!(parsed.to_string(), once);
        Ok(once)
    }

    #[test]
    fn intervals_in_other_words() {
        for (sql, expected) in [
            ("SELECT INTERVAL '1 day 02:00'", "SELECT INTERVAL '1 days 7200000000000 nanoseconds'"),
            ("SELECT INTERVAL '2 hours ago' * 3", "SELECT INTERVAL '-7200000000000 nanoseconds' * 3"),
            ("SELECT -INTERVAL '1 day 02:00'", "SELECT INTERVAL '-1 days -7200000000000 nanoseconds'"),
            ("SELECT INTERVAL '0'", "SELECT INTERVAL '0 days'"),
            ("SELECT INTERVAL '1-2' YEAR TO MONTH", "SELECT INTERVAL '14 months'"),
            ("SELECT INTERVAL '1.5' DAY", "SELECT INTERVAL '1 days'"),
            ("SELECT INTERVAL '1 day 02:03:04' HOUR TO MINUTE", "SELECT INTERVAL '1 days 7380000000000 nanoseconds'"),
            ("SELECT INTERVAL '2' WEEK", "SELECT INTERVAL '2' WEEK"),
        ] {
            assert_eq!(settled(sql).unwrap(), expected);
        }
        for sql in ["SELECT INTERVAL 'nonsense'", "SELECT INTERVAL '02:03' MINUTE TO SECOND"] {
            let message = settled(sql).unwrap_err().to_string();
            assert!(message.contains("is no interval; write one as 1 day 02:00:00"), "{message}");
        }
    }
}
