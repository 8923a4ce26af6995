//! Times and intervals of a precision, as PostgreSQL has them: `timestamp(1)`, `time(3)`, `interval second(2)`, `current_timestamp(0)`.
//! Their values are rounded; DataFusion knows few of these types, as times that count other units.
//!
//! The cast stays, for the column is named by it, and its argument becomes the rounded time. The type itself loses its precision.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Interval,
    IntervalFields, TimezoneInfo, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

use super::written_calls::call;
use crate::functions::{DOWN_TO, ROUNDED_TO};

/// The precision of a type that names none: decimal places of the seconds.
const DEFAULT_PRECISION: u64 = 6;

/// Rounds what is cast to such types, in a statement or a part of one.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // the visitor never breaks
    let _ = change(part, &mut PrecisionRewriter);
}

struct PrecisionRewriter;

impl VisitorMut for PrecisionRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(now) = now_with_precision(function)
        {
            *expr = now;
        }
        if let Expr::Cast { kind: CastKind::Cast | CastKind::DoubleColon, expr: inner, data_type, .. } = expr
            && let Some(interval) = written_interval(inner, data_type)
        {
            *expr = interval;
        }
        match expr {
            Expr::Cast { kind, expr: inner, data_type, .. } => {
                let precision = Precision::taken_from(data_type);
                if precision != Precision::default() {
                    let whole = inner.as_ref().clone();
                    let whole = cast(kind.clone(), whole, data_type.clone());
                    **inner = precision.cut(whole);
                }
            }
            Expr::TypedString(typed) => {
                let precision = Precision::taken_from(&mut typed.data_type);
                let data_type = typed.data_type.clone();
                if precision != Precision::default() {
                    *expr = cast(CastKind::Cast, precision.cut(expr.clone()), data_type);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// The precision of a type: what its values keep of a time or an interval.
#[derive(Default, PartialEq)]
struct Precision {
    /// Places of its seconds.
    places: Option<u64>,
    /// Its last part.
    unit: Option<&'static str>,
}

impl Precision {
    /// Takes it out of a type, which then has the default one.
    fn taken_from(data_type: &mut DataType) -> Self {
        match data_type {
            // what counts nanoseconds is not PostgreSQL's
            DataType::Timestamp(Some(places), zone) if *places < 9 => {
                if *zone == TimezoneInfo::WithTimeZone {
                    *zone = TimezoneInfo::Tz;
                }
                let kept = std::mem::replace(places, DEFAULT_PRECISION);
                Self { places: (kept < DEFAULT_PRECISION).then_some(kept), unit: None }
            }
            DataType::Time(places, _) => {
                Self { places: places.take().filter(|kept| *kept < DEFAULT_PRECISION), unit: None }
            }
            DataType::Interval { fields, precision } => {
                let unit = fields.take().and_then(|fields| unit_name(&ends(&fields).1));
                Self { places: precision.take().filter(|kept| *kept < DEFAULT_PRECISION), unit }
            }
            _ => Self::default(),
        }
    }

    /// A time or an interval, cut to this precision.
    fn cut(&self, whole: Expr) -> Expr {
        let mut left = whole;
        if let Some(unit) = self.unit {
            left = call(DOWN_TO, vec![left, value(Value::SingleQuotedString(unit.to_string()))]);
        }
        if let Some(places) = self.places {
            left = call(ROUNDED_TO, vec![left, value(Value::Number(places.to_string(), false))]);
        }
        left
    }
}

/// `'90'::interval minute` as `interval '90' minute`: of a text the type says what a number counts.
fn written_interval(inner: &Expr, data_type: &DataType) -> Option<Expr> {
    let DataType::Interval { fields: Some(fields), precision } = data_type else { return None };
    let Expr::Value(text) = inner else { return None };
    let Value::SingleQuotedString(_) = &text.value else { return None };
    let (first, last) = ends(fields);
    Some(Expr::Interval(Interval {
        value: Box::new(inner.clone()),
        last_field: (last != first).then_some(last),
        leading_field: Some(first),
        leading_precision: None,
        fractional_seconds_precision: *precision,
    }))
}

/// The first and the last of the parts of a type.
fn ends(fields: &IntervalFields) -> (DateTimeField, DateTimeField) {
    use DateTimeField::{Day, Hour, Minute, Month, Second, Year};
    use IntervalFields as F;
    match fields {
        F::Year => (Year, Year),
        F::Month => (Month, Month),
        F::Day => (Day, Day),
        F::Hour => (Hour, Hour),
        F::Minute => (Minute, Minute),
        F::Second => (Second, Second),
        F::YearToMonth => (Year, Month),
        F::DayToHour => (Day, Hour),
        F::DayToMinute => (Day, Minute),
        F::DayToSecond => (Day, Second),
        F::HourToMinute => (Hour, Minute),
        F::HourToSecond => (Hour, Second),
        F::MinuteToSecond => (Minute, Second),
    }
}

/// The name of a part; nothing is less than a second here.
fn unit_name(field: &DateTimeField) -> Option<&'static str> {
    match field {
        DateTimeField::Year => Some("year"),
        DateTimeField::Month => Some("month"),
        DateTimeField::Day => Some("day"),
        DateTimeField::Hour => Some("hour"),
        DateTimeField::Minute => Some("minute"),
        _ => None,
    }
}

/// `current_timestamp(0)`, `localtime(2)`: the current time, cast to its type of that precision.
fn now_with_precision(function: &Function) -> Option<Expr> {
    let name = function.name.0.last()?.as_ident()?.value.to_lowercase();
    let FunctionArguments::List(list) = &function.args else { return None };
    let [FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Value(places)))] = list.args.as_slice() else { return None };
    let Value::Number(places, _) = &places.value else { return None };
    let places = Some(places.parse().ok()?);
    let data_type = match name.as_str() {
        "current_timestamp" => DataType::Timestamp(places, TimezoneInfo::Tz),
        "localtimestamp" => DataType::Timestamp(places, TimezoneInfo::None),
        "localtime" | "current_time" => DataType::Time(places, TimezoneInfo::None),
        _ => return None,
    };
    let now = Function { args: FunctionArguments::None, ..function.clone() };
    Some(cast(CastKind::Cast, Expr::Function(now), data_type))
}

fn cast(kind: CastKind, expr: Expr, data_type: DataType) -> Expr {
    Expr::Cast { kind, expr: Box::new(expr), data_type, array: false, format: None }
}

fn value(value: Value) -> Expr {
    Expr::Value(value.with_empty_span())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use datafusion::sql::sqlparser::parser::Parser;

    use super::super::dialect::EngineDialect;
    use super::*;

    fn rewritten(sql: &str) -> String {
        let mut parsed = Parser::parse_sql(&EngineDialect::new(sql), sql).unwrap().remove(0);
        rewrite(&mut parsed);
        // a second time changes nothing
        let once = parsed.to_string();
        rewrite(&mut parsed);
        assert_eq!(parsed.to_string(), once);
        once
    }

    #[test]
    fn times_are_rounded() {
        for (sql, expected) in [
            ("SELECT a::TIMESTAMP(1)", "SELECT rounded_to(a::TIMESTAMP(6), 1)::TIMESTAMP(6)"),
            (
                "SELECT CAST(a AS TIMESTAMPTZ(0))",
                "SELECT CAST(rounded_to(CAST(a AS TIMESTAMPTZ(6)), 0) AS TIMESTAMPTZ(6))",
            ),
            (
                "SELECT TIMESTAMP(2) '2026-01-01'",
                "SELECT CAST(rounded_to(TIMESTAMP(6) '2026-01-01', 2) AS TIMESTAMP(6))",
            ),
            ("SELECT a::TIME(3), a::TIME(6)", "SELECT rounded_to(a::TIME, 3)::TIME, a::TIME"),
            ("SELECT a::TIMESTAMP, a::TIMESTAMP(9)", "SELECT a::TIMESTAMP, a::TIMESTAMP(9)"),
            ("SELECT a::INTERVAL(2)", "SELECT rounded_to(a::INTERVAL, 2)::INTERVAL"),
            ("SELECT a::INTERVAL DAY TO SECOND(0)", "SELECT rounded_to(a::INTERVAL, 0)::INTERVAL"),
            ("SELECT a::INTERVAL HOUR TO MINUTE", "SELECT down_to(a::INTERVAL, 'minute')::INTERVAL"),
            ("SELECT '90'::INTERVAL MINUTE", "SELECT INTERVAL '90' MINUTE"),
            (
                "SELECT current_timestamp(0)",
                "SELECT CAST(rounded_to(CAST(current_timestamp AS TIMESTAMPTZ(6)), 0) AS TIMESTAMPTZ(6))",
            ),
        ] {
            assert_eq!(rewritten(sql), expected);
        }
    }
}
