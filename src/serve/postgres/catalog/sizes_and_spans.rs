//! Functions of Postgres over values that clients show: sizes, spans of time, texts in quotes.

use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, PrimitiveArray, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
    TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, NaiveDate};
use datafusion::error::Result;
use datafusion::logical_expr::{ScalarFunctionArgs, ScalarUDF, Volatility};
use datafusion::scalar::ScalarValue;

use super::functions::{Function, texts, wants};
use crate::clock;
use crate::columns::timestamp;
use crate::quote::literal;

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// When the first guest came, microseconds since 1970.
static BEGUN: LazyLock<i64> = LazyLock::new(|| clock::now().timestamp_micros());

/// All of them.
pub fn functions() -> Vec<ScalarUDF> {
    let begun = *BEGUN;
    let begin = move |name| {
        Function::udf(name, Volatility::Stable, timestamp(), move |args, _| {
            ScalarValue::TimestampMicrosecond(Some(begun), Some("UTC".into())).to_array_of_size(args.number_rows)
        })
    };
    vec![
        begin("pg_postmaster_start_time"),
        begin("pg_conf_load_time"),
        Function::udf("quote_literal", Volatility::Immutable, DataType::Utf8, |_, arrays| {
            let texts = texts(arrays.first().ok_or_else(|| wants("a value"))?)?;
            Ok(Arc::new(texts.iter().map(|text| text.map(literal)).collect::<StringArray>()))
        }),
        Function::udf("quote_nullable", Volatility::Immutable, DataType::Utf8, |_, arrays| {
            let texts = texts(arrays.first().ok_or_else(|| wants("a value"))?)?;
            let quoted = |text: Option<&str>| Some(text.map_or_else(|| "NULL".to_string(), literal));
            Ok(Arc::new(texts.iter().map(quoted).collect::<StringArray>()))
        }),
        Function::udf("pg_size_pretty", Volatility::Immutable, DataType::Utf8, |_, arrays| {
            let sizes = cast(arrays.first().ok_or_else(|| wants("a number of bytes"))?, &DataType::Int64)?;
            let sizes = sizes.as_primitive::<Int64Type>();
            Ok(Arc::new(sizes.iter().map(|size| size.map(size_text)).collect::<StringArray>()))
        }),
        Function::udf("age", Volatility::Immutable, DataType::Interval(IntervalUnit::MonthDayNano), ages),
    ]
}

/// Units of sizes: below which number they are shown, whether a half is in between, and bits.
const UNITS: [(&str, u64, bool, u32); 6] = [
    ("bytes", 10 * 1024, false, 0),
    ("kB", 20 * 1024 - 1, true, 10),
    ("MB", 20 * 1024 - 1, true, 20),
    ("GB", 20 * 1024 - 1, true, 30),
    ("TB", 20 * 1024 - 1, true, 40),
    ("PB", 20 * 1024 - 1, true, 50),
];

/// Bytes in the largest unit that leaves some digits, rounded (`pg_size_pretty` of PostgreSQL's `dbsize.c`).
fn size_text(mut size: i64) -> String {
    for (i, (name, limit, halves, bits)) in UNITS.iter().enumerate() {
        match UNITS.get(i + 1).filter(|_| size.unsigned_abs() >= *limit) {
            Some((_, _, next_halves, next_bits)) => {
                size /= 1 << (next_bits - bits - u32::from(*next_halves) + u32::from(*halves));
            }
            None if *halves => return format!("{} {name}", (size + if size < 0 { -1 } else { 1 }) / 2),
            None => return format!("{size} {name}"),
        }
    }
    format!("{size} bytes")
}

fn micros(array: &ArrayRef) -> Result<TimestampMicrosecondArray> {
    let plain = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, None))?;
    Ok(plain.as_primitive::<TimestampMicrosecondType>().clone())
}

fn ages(_: &ScalarFunctionArgs, arrays: &[ArrayRef]) -> Result<ArrayRef> {
    let [later, earlier] = arrays else { return Err(wants("two times")) };
    let (later, earlier) = (micros(later)?, micros(earlier)?);
    let both = later.iter().zip(earlier.iter());
    let ages = both.map(|(later, earlier)| age(later?, earlier?));
    Ok(Arc::new(ages.collect::<PrimitiveArray<IntervalMonthDayNanoType>>()))
}

/// Years, months and days between two times, as a calendar has them (`timestamp_age` of PostgreSQL's `timestamp.c`).
fn age(later: i64, earlier: i64) -> Option<IntervalMonthDayNano> {
    if later < earlier {
        let age = age(earlier, later)?;
        return Some(IntervalMonthDayNano::new(-age.months, -age.days, -age.nanoseconds));
    }
    let of = |micros| Some(DateTime::from_timestamp_micros(micros)?.naive_utc().date());
    let (to, from) = (of(later)?, of(earlier)?);
    let mut months = (to.year() - from.year()) * 12 + to.month() as i32 - from.month() as i32;
    let mut days = to.day() as i32 - from.day() as i32;
    let mut time = later.rem_euclid(DAY) - earlier.rem_euclid(DAY);
    if time < 0 {
        time += DAY;
        days -= 1;
    }
    if days < 0 {
        let last = (28..=31).rev().find(|day| NaiveDate::from_ymd_opt(from.year(), from.month(), *day).is_some());
        days += last.unwrap_or(31) as i32;
        months -= 1;
    }
    Some(IntervalMonthDayNano::new(months, days, time * 1000))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::NaiveDateTime;

    use super::*;

    /// Expected texts are those of PostgreSQL 15.
    #[test]
    fn sizes_as_people_read_them() {
        for (size, expected) in [
            (0, "0 bytes"),
            (10_239, "10239 bytes"),
            (10_240, "10 kB"),
            (-10_240, "-10 kB"),
            (123_456_789, "118 MB"),
            (i64::MAX, "8192 PB"),
        ] {
            assert_eq!(size_text(size), expected);
        }
    }

    /// As PostgreSQL 15 answers.
    #[test]
    fn ages_go_by_the_calendar() {
        let at =
            |text: &str| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap().and_utc().timestamp_micros();
        let hours = |hours: i64| hours * 3_600_000_000_000;
        for (later, earlier, expected) in [
            ("2026-03-01 00:00", "2025-01-15 00:00", (13, 17, 0)),
            ("2026-03-01 00:00", "2026-01-31 12:00", (1, 0, hours(12))),
            ("2024-02-29 00:00", "2023-02-28 00:00", (12, 1, 0)),
            ("2025-01-15 00:00", "2026-03-01 00:00", (-13, -17, 0)),
            ("2026-01-01 06:00", "2026-01-01 04:00", (0, 0, hours(2))),
        ] {
            let found = age(at(later), at(earlier)).unwrap();
            assert_eq!((found.months, found.days, found.nanoseconds), expected, "{later} {earlier}");
        }
    }
}
