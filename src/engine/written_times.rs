//! Times and intervals that are written as texts are read as PostgreSQL reads them: `'2026-01-31 12:00'`, `'Jan 31, 2026'`,
//! `'1 day 02:00'`. DataFusion's own casts know fewer spellings, take an offset for part of a time that has no zone, and of
//! `- interval '1 day 02:00'` the day alone.
//!
//! In: a plan whose casts are all written out, those that a comparison needs among them. Out: one in which `as_time` stands for
//! each cast of a text to a time or an interval. `'now'` and `'today'` mean the statement's begin. What is written behind the word
//! INTERVAL is a value before there is a plan, and is put into words of DataFusion's in the statement.
//!
//! A time counts microseconds, as PostgreSQL's and all that are kept here: of nanoseconds, which DataFusion would compare by, 64 bits
//! reach from 1677 to 2262. Intervals are compared by their lengths (`interval_lengths`), and a day to which one is added becomes a time.

use std::ops::ControlFlow;

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result as PlanResult;
use datafusion::functions::datetime::to_local_time;
use datafusion::logical_expr::expr::{BinaryExpr, Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast, lit};
use datafusion::optimizer::AnalyzerRule;
use datafusion::sql::sqlparser::ast::{
    self, ArrayElemTypeDef, BinaryOperator, DateTimeField, FunctionArg, FunctionArgExpr, FunctionArguments,
    TimezoneInfo, UnaryOperator, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};
use rejoin_instances::trees::{change_expressions, change_nodes, change_parts};

use super::interval_lengths::{INTERVAL, by_lengths, compared_sides, is_interval};
use super::{bounded_concat, numbers};
use crate::functions::{
    INTERVAL_PARTS, as_interval, as_time, as_value, date_part, interval_length, interval_over, interval_times, is_time,
    now, time_of, unread,
};
use crate::time::{Interval, Moment, Unit, Unread, moment, read_interval};
use crate::{Error, Result};

/// The type of a time that has no zone.
const TIME: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// Reads the texts of a plan that are cast to times and intervals.
#[derive(Debug)]
pub(super) struct ReadTimes;

impl AnalyzerRule for ReadTimes {
    fn analyze(&self, plan: LogicalPlan, options: &ConfigOptions) -> PlanResult<LogicalPlan> {
        let read = change_nodes(plan, &mut |node| {
            let columns = merge_schema(&node.inputs());
            let names = NamePreserver::new(&node);
            let sorts = matches!(node, LogicalPlan::Sort(_));
            let mut read = |expr: Expr| {
                let name = names.save(&expr);
                Ok(read_times(expr, &columns, options)?.update_data(|expr| name.restore(expr)))
            };
            change_expressions(node, &mut |expr| match expr {
                // each has the name that the node above knows
                Expr::GroupingSet(_) => expr.map_children(&mut read),
                expr if sorts && is_interval(&expr, &columns) => {
                    Ok(Transformed::yes(interval_length(read_times(expr, &columns, options)?.data)))
                }
                expr => read(expr),
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
    let prepared = change_parts(expr, &mut |expr| {
        let compared = by_lengths(expr, columns)?.transform_data(|expr| Ok(compared(expr, columns)))?;
        compared.transform_data(|expr| exact_seconds(expr, columns))
    })?;
    let mut read = |expr| {
        let read = read_cast(expr, columns, options)?.transform_data(|expr| numbers::settled(expr, columns))?;
        read.transform_data(|expr| bounded_concat::bounded(expr, columns))
    };
    prepared.transform_data(|expr| change_parts(expr, &mut read))
}

/// `to_timestamp(1769862896.789)` to the nearest microsecond: DataFusion cuts off what a double lacks.
fn exact_seconds(expr: Expr, columns: &DFSchema) -> PlanResult<Transformed<Expr>> {
    if let Expr::ScalarFunction(call) = &expr
        && call.name() == "to_timestamp"
        && let [seconds] = call.args.as_slice()
        && seconds.get_type(columns).is_ok_and(|data_type| data_type.is_floating())
    {
        let mut call = call.clone();
        call.args = vec![cast(seconds.clone(), DataType::Decimal128(20, 6))];
        return Ok(Transformed::yes(Expr::ScalarFunction(call)));
    }
    Ok(Transformed::no(expr))
}

/// A comparison of times as one in microseconds.
fn compared(mut expr: Expr, columns: &DFSchema) -> Transformed<Expr> {
    let is_changed = compared_sides(&mut expr).is_some_and(|mut sides| in_microseconds(&mut sides, columns));
    Transformed::new_transformed(expr, is_changed)
}

/// Compares times in microseconds where DataFusion has made nanoseconds of all; false where one counts these of itself.
fn in_microseconds(sides: &mut [&mut Expr], columns: &DFSchema) -> bool {
    let mut has_time = false;
    for side in sides.iter() {
        let Expr::Cast(Cast { expr: inner, field }) = &**side else { return false };
        if !matches!(field.data_type(), DataType::Timestamp(TimeUnit::Nanosecond, _)) {
            return false;
        }
        match inner.get_type(columns) {
            Ok(DataType::Timestamp(unit, _)) if unit != TimeUnit::Nanosecond => has_time = true,
            Ok(DataType::Date32 | DataType::Date64 | DataType::Null) => {}
            Ok(data_type) if is_text(&data_type) => {}
            _ => return false,
        }
    }
    if !has_time {
        return false;
    }
    for side in sides.iter_mut() {
        if let Expr::Cast(Cast { expr: inner, field }) = &**side
            && let DataType::Timestamp(_, zone) = field.data_type()
        {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            let is_so = inner.get_type(columns).is_ok_and(|data_type| data_type == micros);
            let inner = inner.as_ref().clone();
            **side = if is_so { inner } else { cast(inner, micros) };
        }
    }
    true
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
    if !is_time(wanted) {
        return Ok(Transformed::no(expr));
    }
    if !inner.get_type(columns).is_ok_and(|data_type| is_text(&data_type)) {
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
    let now = now(options).call(vec![]);
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
                DataType::Time32(_) | DataType::Time64(_) => cast(cast(day, TIME), wanted.clone()),
                _ => cast(day, wanted.clone()),
            }
        }
    }
}

/// `time + '1 day'`: what is added to a time is an interval. `1.5 * interval '1 day'`, `interval '1 day' / 2`. A day with an interval is
/// a time, and the difference of two times an interval where it meets one or a number. `extract(field FROM time)`. A text beside true or
/// false is one of them.
#[derive(Debug)]
pub(super) struct IntervalArithmetic;

impl ExprPlanner for IntervalArithmetic {
    fn plan_extract(&self, args: Vec<Expr>) -> PlanResult<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(date_part().call(args)))
    }

    fn plan_binary_op(&self, expr: RawBinaryExpr, columns: &DFSchema) -> PlanResult<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        let operator = match op {
            BinaryOperator::Plus => Some(Operator::Plus),
            BinaryOperator::Minus => Some(Operator::Minus),
            _ => comparison(&op),
        };
        let scales = matches!(op, BinaryOperator::Multiply | BinaryOperator::Divide);
        let right_side = if operator.is_some() || scales { Side::of(&right, columns) } else { Side::Other };
        // the left side may be long, and is looked at where it can matter
        if right_side == Side::Other || right_side == Side::Number && !scales {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let sides = [Side::of(&left, columns), right_side];
        let planned = match (&op, sides) {
            (BinaryOperator::Multiply, [Side::Interval | Side::Difference, Side::Number]) => {
                interval_times(sides[0].interval(&left), number(&right))
            }
            (BinaryOperator::Multiply, [Side::Number, Side::Interval | Side::Difference]) => {
                interval_times(sides[1].interval(&right), number(&left))
            }
            (BinaryOperator::Divide, [Side::Interval | Side::Difference, Side::Number]) => {
                interval_over(sides[0].interval(&left), number(&right))
            }
            (BinaryOperator::Plus, [Side::Time, Side::Text]) => {
                let interval = lit(time_of(text_of(&right).unwrap_or_default(), &INTERVAL)?);
                binary(left, Operator::Plus, interval)
            }
            (BinaryOperator::Plus, [Side::Text, Side::Time]) => {
                let interval = lit(time_of(text_of(&left).unwrap_or_default(), &INTERVAL)?);
                binary(interval, Operator::Plus, right)
            }
            (BinaryOperator::Plus | BinaryOperator::Minus, [Side::Day, Side::Interval | Side::Difference])
                if let Some(operator) = operator =>
            {
                binary(cast(left, TIME), operator, right)
            }
            (BinaryOperator::Minus, [Side::Time, Side::Day])
                if let Ok(time @ DataType::Timestamp(_, None)) = left.get_type(columns) =>
            {
                binary(left, Operator::Minus, cast(right, time))
            }
            (BinaryOperator::Minus, [Side::Day, Side::Time])
                if let Ok(time @ DataType::Timestamp(_, None)) = right.get_type(columns) =>
            {
                binary(cast(left, time), Operator::Minus, right)
            }
            (BinaryOperator::Plus, [Side::Interval | Side::Difference, Side::Day]) => {
                binary(left, Operator::Plus, cast(right, TIME))
            }
            (_, [Side::Difference, Side::Interval] | [Side::Interval, Side::Difference])
                if let Some(operator) = operator =>
            {
                binary(sides[0].interval(&left), operator, sides[1].interval(&right))
            }
            (op, [Side::Interval | Side::Difference, Side::Text]) if let Some(operator) = comparison(op) => {
                let interval = lit(time_of(text_of(&right).unwrap_or_default(), &INTERVAL)?);
                binary(sides[0].interval(&left), operator, interval)
            }
            (op, [Side::Text, Side::Interval | Side::Difference]) if let Some(operator) = comparison(op) => {
                let interval = lit(time_of(text_of(&left).unwrap_or_default(), &INTERVAL)?);
                binary(interval, operator, sides[1].interval(&right))
            }
            (op, [Side::Truth, Side::Text]) if let Some(operator) = comparison(op) => {
                binary(left, operator, truth(right))
            }
            (op, [Side::Text, Side::Truth]) if let Some(operator) = comparison(op) => {
                binary(truth(left), operator, right)
            }
            _ => return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right })),
        };
        Ok(PlannerResult::Planned(planned))
    }
}

/// What stands at one side of an operator.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Time,
    Day,
    Interval,
    /// What one time is after another.
    Difference,
    Number,
    /// True or false.
    Truth,
    /// A text that stands in the statement.
    Text,
    Other,
}

impl Side {
    fn of(side: &Expr, columns: &DFSchema) -> Self {
        if text_of(side).is_some() {
            return Self::Text;
        }
        match side.get_type(columns) {
            Ok(DataType::Timestamp(..)) => Self::Time,
            Ok(DataType::Date32 | DataType::Date64) => Self::Day,
            Ok(DataType::Interval(_)) => Self::Interval,
            Ok(DataType::Duration(_)) => Self::Difference,
            Ok(DataType::Boolean) => Self::Truth,
            Ok(data_type) if data_type.is_numeric() => Self::Number,
            _ => Self::Other,
        }
    }

    /// The interval that it is.
    fn interval(self, side: &Expr) -> Expr {
        if self == Self::Difference { as_interval(side.clone()) } else { side.clone() }
    }
}

fn number(side: &Expr) -> Expr {
    cast(side.clone(), DataType::Float64)
}

/// A text as true or false.
fn truth(text: Expr) -> Expr {
    as_value(&DataType::Boolean, false).call(vec![text])
}

fn binary(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn comparison(op: &BinaryOperator) -> Option<Operator> {
    Some(match op {
        BinaryOperator::Eq => Operator::Eq,
        BinaryOperator::NotEq => Operator::NotEq,
        BinaryOperator::Lt => Operator::Lt,
        BinaryOperator::LtEq => Operator::LtEq,
        BinaryOperator::Gt => Operator::Gt,
        BinaryOperator::GtEq => Operator::GtEq,
        _ => return None,
    })
}

/// Puts what is written behind the word INTERVAL, in a statement or a part of it, into DataFusion's words, and lets the times that
/// are written in it count microseconds. The arguments of `make_interval` come in their order.
///
/// # Errors
/// A text is no interval.
pub(super) fn rewrite(part: &mut impl PartMut) -> Result<()> {
    match change(part, &mut WrittenTimeRewriter) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct WrittenTimeRewriter;

impl VisitorMut for WrittenTimeRewriter {
    type Break = Error;

    fn post_visit_expr(&mut self, expr: &mut ast::Expr) -> ControlFlow<Error> {
        let settled = match expr {
            ast::Expr::Interval(interval) => settled(interval),
            // DataFusion takes the sign for that of the first word
            ast::Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match &**expr {
                ast::Expr::Interval(interval) => backwards(interval),
                _ => Ok(None),
            },
            ast::Expr::Cast { data_type, .. } => {
                count_microseconds(data_type);
                Ok(None)
            }
            ast::Expr::TypedString(typed) => {
                count_microseconds(&mut typed.data_type);
                Ok(None)
            }
            ast::Expr::Function(function) => order_parts(function).map(|()| None),
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

/// `timestamp` as `timestamp(6)`.
fn count_microseconds(data_type: &mut ast::DataType) {
    match data_type {
        ast::DataType::Timestamp(places @ None, zone) => {
            *places = Some(6);
            // both words mean the same, and one of them can be shown with its places
            if *zone == TimezoneInfo::WithTimeZone {
                *zone = TimezoneInfo::Tz;
            }
        }
        ast::DataType::Array(ArrayElemTypeDef::SquareBracket(item, _)) => count_microseconds(item),
        _ => {}
    }
}

/// `make_interval(days => 10)` with all arguments up to the last one that is given.
fn order_parts(function: &mut ast::Function) -> Result<()> {
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let name = |argument: &FunctionArg| match argument {
        FunctionArg::Named { name, .. } | FunctionArg::ExprNamed { name: ast::Expr::Identifier(name), .. } => {
            Some(name.value.to_lowercase())
        }
        _ => None,
    };
    let is_named = |argument: &FunctionArg| name(argument).is_some();
    if !function.name.to_string().eq_ignore_ascii_case("make_interval") || !list.args.iter().any(is_named) {
        return Ok(());
    }
    let mut ordered: Vec<Option<FunctionArgExpr>> = vec![];
    for argument in &list.args {
        let place = match name(argument) {
            Some(name) => {
                let place = INTERVAL_PARTS.iter().position(|part| *part == name);
                let unknown = || format!("make_interval has no {name}; it takes {}", INTERVAL_PARTS.join(", "));
                place.ok_or_else(|| Error::query(unknown()))?
            }
            None => ordered.len(),
        };
        let arg = match argument {
            FunctionArg::Named { arg, .. } | FunctionArg::ExprNamed { arg, .. } | FunctionArg::Unnamed(arg) => arg,
        };
        ordered.resize(ordered.len().max(place + 1), None);
        if ordered[place].replace(arg.clone()).is_some() {
            return Err(Error::query(format!("make_interval has two values for {}", INTERVAL_PARTS[place])));
        }
    }
    let zero = || FunctionArgExpr::Expr(ast::Expr::Value(Value::Number("0".into(), false).with_empty_span()));
    list.args = ordered.into_iter().map(|value| FunctionArg::Unnamed(value.unwrap_or_else(zero))).collect();
    Ok(())
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
    let found = unit.map_or(found, |unit| found.down_to(unit));
    // SECOND (2): the parser takes a number that stands alone for that of another one's places
    let of_seconds = matches!(interval.leading_field, Some(DateTimeField::Second | DateTimeField::Seconds));
    let places = interval.fractional_seconds_precision.or(interval.leading_precision.filter(|_| of_seconds));
    let Some(places) = places.and_then(|places| u32::try_from(places).ok()).filter(|places| *places < 6) else {
        return Ok(Some(in_words(found)));
    };
    let rounded = found.rounded(places).ok_or_else(|| failed(Unread::Range))?;
    Ok(Some(in_words(rounded)))
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
        rewrite(&mut parsed)?;
        // what is settled stays as it is
        let once = parsed.to_string();
        rewrite(&mut parsed)?;
        assert_eq!(parsed.to_string(), once);
        Ok(once)
    }

    #[test]
    fn times_count_microseconds() {
        for (sql, expected) in [
            ("SELECT TIMESTAMP '9999-12-31'", "SELECT TIMESTAMP(6) '9999-12-31'"),
            ("SELECT a::TIMESTAMP(9), b::TIMESTAMPTZ", "SELECT a::TIMESTAMP(9), b::TIMESTAMPTZ(6)"),
            ("SELECT make_interval(days => 10, secs => 1.5)", "SELECT make_interval(0, 0, 0, 10, 0, 0, 1.5)"),
            ("SELECT make_interval(1, weeks => 2)", "SELECT make_interval(1, 0, 2)"),
        ] {
            assert_eq!(settled(sql).unwrap(), expected);
        }
        assert!(settled("SELECT make_interval(decades => 1)").unwrap_err().to_string().contains("has no decades"));
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
            ("SELECT INTERVAL '1.567' SECOND (1)", "SELECT INTERVAL '1600000000 nanoseconds'"),
            ("SELECT INTERVAL '-00:00:01.25' HOUR TO SECOND (1)", "SELECT INTERVAL '-1300000000 nanoseconds'"),
        ] {
            assert_eq!(settled(sql).unwrap(), expected);
        }
        for sql in ["SELECT INTERVAL 'nonsense'", "SELECT INTERVAL '02:03' MINUTE TO SECOND"] {
            let message = settled(sql).unwrap_err().to_string();
            assert!(message.contains("is no interval; write one as 1 day 02:00:00"), "{message}");
        }
    }
}
