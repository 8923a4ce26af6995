//! Times and intervals of so many places, as PostgreSQL has them: `timestamp(1)`, `time(3)`, `interval second(2)`, `current_timestamp(0)`.
//! They are rounded; DataFusion knows few of these types, as times that count other units.
//!
//! A cast keeps its place, by which the column is named; in it the time has been rounded. What is left to a type is that of all times
//! and intervals.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, DateTimeField, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Interval,
    IntervalFields, TimezoneInfo, Value, VisitorMut,
};
use rejoin_instances::syntax::{PartMut, change};

use super::written_calls::call;
use crate::functions::{DOWN_TO, ROUNDED_TO};

/// Places that a time has of itself.
const PLACES: u64 = 6;

/// Rounds what is cast to such types in a statement, or in a part of one.
pub(super) fn rewrite(part: &mut impl PartMut) {
    // it never breaks off
    let _ = change(part, &mut WrittenPlacesRewriter);
}

struct WrittenPlacesRewriter;

impl VisitorMut for WrittenPlacesRewriter {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Function(function) = expr
            && let Some(now) = now_with_places(function)
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
                let kept = Kept::taken_from(data_type);
                if kept != Kept::default() {
                    let whole = inner.as_ref().clone();
                    let whole = cast(kind.clone(), whole, data_type.clone());
                    **inner = kept.of(whole);
                }
            }
            Expr::TypedString(typed) => {
                let kept = Kept::taken_from(&mut typed.data_type);
                let data_type = typed.data_type.clone();
                if kept != Kept::default() {
                    *expr = cast(CastKind::Cast, kept.of(expr.clone()), data_type);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What a type keeps of a time or an interval.
#[derive(Default, PartialEq)]
struct Kept {
    /// Places of its seconds.
    places: Option<u64>,
    /// Its last part.
    unit: Option<&'static str>,
}

impl Kept {
    /// Takes it from a type, of which all times, or all intervals, are left.
    fn taken_from(data_type: &mut DataType) -> Self {
        match data_type {
            // what counts nanoseconds is not PostgreSQL's
            DataType::Timestamp(Some(places), zone) if *places < 9 => {
                if *zone == TimezoneInfo::WithTimeZone {
                    *zone = TimezoneInfo::Tz;
                }
                let kept = std::mem::replace(places, PLACES);
                Self { places: (kept < PLACES).then_some(kept), unit: None }
            }
            DataType::Time(places, _) => Self { places: places.take().filter(|kept| *kept < PLACES), unit: None },
            DataType::Interval { fields, precision } => {
                let unit = fields.take().and_then(|fields| unit_name(&ends(&fields).1));
                Self { places: precision.take().filter(|kept| *kept < PLACES), unit }
            }
            _ => Self::default(),
        }
    }

    /// What is left of a time or an interval.
    fn of(&self, whole: Expr) -> Expr {
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

/// `current_timestamp(0)`, `localtime(2)`: the time of now, cast to its type of so many places.
fn now_with_places(function: &Function) -> Option<Expr> {
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

    fn settled(sql: &str) -> String {
        let mut parsed = Parser::parse_sql(&EngineDialect { in_mapping: false }, sql).unwrap().remove(0);
        rewrite(&mut parsed);
        // what is settled stays as it is
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
            assert_eq!(settled(sql), expected);
        }
    }
}
