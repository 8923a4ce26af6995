//! Parameters of prepared statements as Arrow scalars.

use arrow::array::timezone::Tz;
use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use arrow::error::ArrowError;
use bytes::{Buf, Bytes};
use chrono::TimeDelta;
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;

use super::encode::{DAYS_TO_2000, MICROS_TO_2000};
use super::types::{arrow_type, arrow_type_or_list, item_type, pg_type};
use crate::clock;
use crate::functions::{is_time, time_of};
use crate::serve::any;
use crate::serve::failure::{Failure, Reason};
use crate::time::{Moment, moment};

/// The values of a portal. `wanted` are the types that the statement's parameters have, `described` what the client got of
/// them, `zone` the session's.
pub fn values<S: Clone>(
    portal: &Portal<S>,
    wanted: &[Option<DataType>],
    described: &[Type],
    zone: &str,
) -> Result<Vec<ScalarValue>, Failure> {
    if portal.parameters.len() < wanted.len() {
        let message = format!("the statement has {} parameters, {} were given", wanted.len(), portal.parameters.len());
        return Err(Failure::new(Reason::Engine(crate::ErrorKind::Usage), message));
    }
    let value = |(i, bytes): (usize, &Option<Bytes>)| {
        let wanted = wanted.get(i).cloned().flatten();
        let given = portal.statement.parameter_types.get(i).cloned().flatten();
        // what the client says, what it got, or text
        let pg = given.filter(|given| *given != Type::UNKNOWN).or(described.get(i).cloned()).unwrap_or(Type::TEXT);
        let one = match bytes {
            None => {
                return ScalarValue::try_from(&wanted.unwrap_or_else(|| arrow_type_or_list(&pg)))
                    .map_err(|e| at(i, &e.strip_backtrace()));
            }
            // a client may choose a format for each, one for all, or none
            Some(bytes) if binary(portal, i) => from_binary(bytes, &pg).map_err(|e| at(i, &e))?,
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|e| at(i, &e.to_string()))?;
                from_text(text, &pg, zone).map_err(|e| at(i, &e))?
            }
        };
        match wanted.unwrap_or_else(|| one.data_type()) {
            // its own places
            wanted if is_numeric(&wanted) && is_numeric(&one.data_type()) => Ok(one),
            wanted => fitted(one, wanted, zone).map_err(|e| at(i, &e)),
        }
    };
    portal.parameters.iter().enumerate().map(value).collect()
}

fn is_numeric(data_type: &DataType) -> bool {
    matches!(pg_type(data_type), Type::NUMERIC | Type::NUMERIC_ARRAY)
}

fn binary<S: Clone>(portal: &Portal<S>, i: usize) -> bool {
    use pgwire::api::portal::Format;
    match &portal.parameter_format {
        Format::UnifiedText => false,
        Format::UnifiedBinary => true,
        Format::Individual(formats) => formats.get(i).copied() == Some(1),
    }
}

fn at(i: usize, message: &str) -> Failure {
    Failure::new(Reason::Engine(crate::ErrorKind::Usage), format!("${}: {message}", i + 1)).with_sqlstate("22P02")
}

/// A value as one of the type that the statement wants; an instant is one of the session's zone.
fn fitted(value: ScalarValue, wanted: DataType, zone: &str) -> Result<ScalarValue, String> {
    let wanted = match wanted {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(unit, Some(zone.into())),
        other => other,
    };
    match value.try_as_str().flatten() {
        Some(text) if is_time(&wanted) => time(text, &wanted, zone),
        _ => value.cast_to(&wanted).map_err(|e| e.strip_backtrace()),
    }
}

/// A time or an interval as it is written; `now` and `today` are those of a clock in the session's zone.
fn time(text: &str, wanted: &DataType, zone: &str) -> Result<ScalarValue, String> {
    let told = match moment(text) {
        Some(moment) if !matches!(wanted, DataType::Interval(_)) => {
            let zone: Tz = zone.parse().map_err(|e: ArrowError| e.to_string())?;
            let now = clock::now().with_timezone(&zone).fixed_offset();
            match moment {
                Moment::Now => now.to_rfc3339(),
                Moment::Day(days) => (now.date_naive() + TimeDelta::days(days.into())).to_string(),
            }
        }
        _ => text.to_string(),
    };
    time_of(&told, wanted).map_err(|e| e.to_string())
}

/// A list of items of one type, of numerics with the places that all of them have room in.
fn list(items: &[ScalarValue], item: &Type) -> Result<ScalarValue, String> {
    let types = items.iter().filter(|item| !item.is_null()).map(ScalarValue::data_type);
    let wider = |one: DataType, other: DataType| match (&one, &other) {
        (DataType::Decimal128(digits, places), DataType::Decimal128(_, others)) => {
            DataType::Decimal128(*digits, *places.max(others))
        }
        // a numeric without end is a text
        (DataType::Decimal128(..), DataType::Utf8) => other,
        _ => one,
    };
    let item_type = types.reduce(wider).unwrap_or_else(|| arrow_type(item));
    let typed = items.iter().map(|item| item.cast_to(&item_type)).collect::<Result<Vec<_>, _>>();
    let typed = typed.map_err(|e| e.strip_backtrace())?;
    Ok(ScalarValue::List(ScalarValue::new_list_nullable(&typed, &item_type)))
}

fn from_text(text: &str, pg: &Type, zone: &str) -> Result<ScalarValue, String> {
    let whole = ScalarValue::Utf8(Some(text.to_string()));
    if let Some(item) = item_type(pg) {
        let items = any::read(text).map_err(|e| e.strip_backtrace())?;
        let value = |text: Option<String>| text.map_or(Ok(ScalarValue::Null), |text| from_text(&text, item, zone));
        return list(&items.into_iter().map(value).collect::<Result<Vec<_>, _>>()?, item);
    }
    match *pg {
        // its digits tell its type
        Type::NUMERIC => decimal(text),
        // without an offset of its own it is what a clock in the session's zone shows
        Type::TIMESTAMPTZ => time(text, &DataType::Timestamp(TimeUnit::Microsecond, Some(zone.into())), zone),
        Type::UUID => match uuid::Uuid::parse_str(text) {
            Ok(id) => Ok(ScalarValue::Utf8(Some(id.to_string()))),
            Err(error) => Err(error.to_string()),
        },
        Type::BYTEA => match text.strip_prefix("\\x") {
            Some(digits) => {
                let byte = |i: usize| digits.get(i..i + 2).and_then(|two| u8::from_str_radix(two, 16).ok());
                let bytes: Option<Vec<u8>> = (0..digits.len()).step_by(2).map(byte).collect();
                bytes
                    .map(|bytes| ScalarValue::Binary(Some(bytes)))
                    .ok_or_else(|| "these are no hexadecimal digits".into())
            }
            None => Ok(ScalarValue::Binary(Some(text.as_bytes().to_vec()))),
        },
        _ => match arrow_type(pg) {
            DataType::Utf8 => Ok(whole),
            other if is_time(&other) => time(text, &other, zone),
            other => whole.cast_to(&other).map_err(|e| e.strip_backtrace()),
        },
    }
}

/// A numeric with as many places as it is written with; one without end is a text, which the statement's type will take.
fn decimal(text: &str) -> Result<ScalarValue, String> {
    let places = text.split_once('.').map_or(0, |(_, places)| places.len());
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'+' | b'.'));
    let whole = ScalarValue::Utf8(Some(text.to_string()));
    match (plain && text.len() <= 38, i8::try_from(places)) {
        (true, Ok(places)) => whole.cast_to(&DataType::Decimal128(38, places)).map_err(|e| e.strip_backtrace()),
        _ => Ok(whole),
    }
}

fn from_binary(bytes: &Bytes, given: &Type) -> Result<ScalarValue, String> {
    let mut buffer = bytes.clone();
    let fits = |length: usize| {
        if bytes.len() == length { Ok(()) } else { Err(format!("{} bytes where {given} has {length}", bytes.len())) }
    };
    if item_type(given).is_some() {
        return array(buffer, given);
    }
    Ok(match *given {
        Type::BOOL => {
            fits(1)?;
            ScalarValue::Boolean(Some(buffer.get_u8() != 0))
        }
        Type::INT2 => {
            fits(2)?;
            ScalarValue::Int16(Some(buffer.get_i16()))
        }
        Type::INT4 => {
            fits(4)?;
            ScalarValue::Int32(Some(buffer.get_i32()))
        }
        Type::OID => {
            fits(4)?;
            ScalarValue::Int64(Some(buffer.get_u32().into()))
        }
        Type::INT8 => {
            fits(8)?;
            ScalarValue::Int64(Some(buffer.get_i64()))
        }
        Type::FLOAT4 => {
            fits(4)?;
            ScalarValue::Float32(Some(buffer.get_f32()))
        }
        Type::FLOAT8 => {
            fits(8)?;
            ScalarValue::Float64(Some(buffer.get_f64()))
        }
        Type::DATE => {
            fits(4)?;
            ScalarValue::Date32(Some(buffer.get_i32().saturating_add(DAYS_TO_2000)))
        }
        Type::TIMESTAMP | Type::TIMESTAMPTZ => {
            fits(8)?;
            let micros = buffer.get_i64().saturating_add(MICROS_TO_2000);
            let zone = (*given == Type::TIMESTAMPTZ).then(|| "UTC".into());
            ScalarValue::TimestampMicrosecond(Some(micros), zone)
        }
        Type::TIME => {
            fits(8)?;
            ScalarValue::Time64Microsecond(Some(buffer.get_i64()))
        }
        Type::INTERVAL => {
            fits(16)?;
            let (micros, days, months) = (buffer.get_i64(), buffer.get_i32(), buffer.get_i32());
            let nanos = micros.checked_mul(1000).ok_or("this interval is too long")?;
            ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(months, days, nanos)))
        }
        Type::UUID => {
            fits(16)?;
            ScalarValue::Utf8(Some(uuid::Uuid::from_u128(buffer.get_u128()).to_string()))
        }
        Type::BYTEA => ScalarValue::Binary(Some(bytes.to_vec())),
        Type::JSONB if bytes.first() == Some(&1) => text(&bytes[1..])?,
        Type::NUMERIC => decimal(&numeric(buffer)?)?,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::CHAR | Type::JSON | Type::UNKNOWN => {
            text(bytes)?
        }
        ref other => return Err(format!("binary values of type {other} are not taken; send text")),
    })
}

fn text(bytes: &[u8]) -> Result<ScalarValue, String> {
    Ok(ScalarValue::Utf8(Some(String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?)))
}

/// An array of one dimension.
fn array(mut bytes: Bytes, given: &Type) -> Result<ScalarValue, String> {
    let broken = || format!("these bytes are no {given}");
    if bytes.len() < 12 {
        return Err(broken());
    }
    let (dimensions, _, item) = (bytes.get_i32(), bytes.get_i32(), bytes.get_u32());
    // an array's items are no arrays, however deep a client nests them
    let item = Type::from_oid(item).filter(|item| item_type(item).is_none()).ok_or_else(broken)?;
    match dimensions {
        0 => return list(&[], &item),
        1 if bytes.len() >= 8 => {}
        1 => return Err(broken()),
        n => return Err(format!("an array of {n} dimensions; one is taken")),
    }
    let (count, _) = (bytes.get_i32(), bytes.get_i32());
    let mut items = vec![];
    for _ in 0..count {
        if bytes.len() < 4 {
            return Err(broken());
        }
        items.push(match usize::try_from(bytes.get_i32()) {
            Err(_) => ScalarValue::Null,
            Ok(length) if length <= bytes.len() => from_binary(&bytes.split_to(length), &item)?,
            Ok(_) => return Err(broken()),
        });
    }
    list(&items, &item)
}

/// A numeric's digits of 10,000 as decimal text.
fn numeric(mut bytes: Bytes) -> Result<String, String> {
    if bytes.len() < 8 {
        return Err("a numeric has at least 8 bytes".into());
    }
    let (count, weight) = (bytes.get_u16() as usize, bytes.get_i16());
    let (sign, scale) = (bytes.get_u16(), bytes.get_u16() as usize);
    if bytes.len() != count * 2 || sign & !0x4000 != 0 || scale > 1000 || weight.unsigned_abs() > 1000 {
        return Err("this numeric is none, or no number".into());
    }
    let digits: Vec<u16> = (0..count).map(|_| bytes.get_u16()).collect();
    let digit =
        |place: i32| usize::try_from(i32::from(weight) - place).ok().and_then(|i| digits.get(i)).copied().unwrap_or(0);
    let whole: String = (0..=i32::from(weight)).rev().map(|place| format!("{:04}", digit(place))).collect();
    let part: String = (1..=scale.div_ceil(4) as i32).map(|place| format!("{:04}", digit(-place))).collect();
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let minus = if sign == 0 { "" } else { "-" };
    if scale == 0 { Ok(format!("{minus}{whole}")) } else { Ok(format!("{minus}{whole}.{}", &part[..scale])) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn number(words: &[i16]) -> Result<String, String> {
        numeric(words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>().into())
    }

    #[test]
    fn numerics_as_postgres_sends_them() {
        assert_eq!(number(&[0, 0, 0, 0]).unwrap(), "0");
        assert_eq!(number(&[0, 0, 0, 2]).unwrap(), "0.00");
        assert_eq!(number(&[3, 1, 0, 3, 1, 2345, 6780]).unwrap(), "12345.678");
        assert_eq!(number(&[1, -1, 0x4000, 2, 500]).unwrap(), "-0.05");
        assert_eq!(number(&[1, 1, 0, 0, 1]).unwrap(), "10000");
        // NaN, too short, cut
        for wrong in [&[0, 0, -0x4000, 0][..], &[0, 0], &[2, 0, 0, 0, 1]] {
            assert!(number(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn arrays_in_text_and_in_binary() {
        let expected = list(&[ScalarValue::Int32(Some(7)), ScalarValue::Null], &Type::INT4).unwrap();
        assert_eq!(from_text("{7,NULL}", &Type::INT4_ARRAY, "UTC").unwrap(), expected);
        let words: [i32; 9] = [1, 1, 23, 2, 1, 4, 7, -1, 0];
        let bytes: Vec<u8> = words[..8].iter().flat_map(|word| word.to_be_bytes()).collect();
        assert_eq!(from_binary(&bytes.into(), &Type::INT4_ARRAY).unwrap(), expected);
        let wanted = ScalarValue::IntervalMonthDayNano(Some(IntervalMonthDayNano::new(14, -3, -14_706_500_000_000)));
        assert_eq!(from_text("1 year 2 mons -3 days -04:05:06.5", &Type::INTERVAL, "UTC").unwrap(), wanted);
        let long = format!("{}:00:00", i64::MAX);
        for wrong in ["3 fortnights", long.as_str()] {
            assert!(from_text(wrong, &Type::INTERVAL, "UTC").is_err(), "{wrong}");
        }
        let empty = from_text("{}", &Type::TEXT_ARRAY, "UTC").unwrap();
        assert_eq!(empty.data_type(), list(&[], &Type::TEXT).unwrap().data_type());
        assert_eq!(from_text("\\x00ff", &Type::BYTEA, "UTC").unwrap(), ScalarValue::Binary(Some(vec![0, 255])));
        assert_eq!(from_text("-0.05", &Type::NUMERIC, "UTC").unwrap(), ScalarValue::Decimal128(Some(-5), 38, 2));
        let numbers = [(15, 1), (225, 2)].map(|(number, places)| ScalarValue::Decimal128(Some(number), 38, places));
        let wider = [150, 225].map(|number| ScalarValue::Decimal128(Some(number), 38, 2));
        let expected = list(&wider, &Type::NUMERIC).unwrap();
        assert_eq!(list(&numbers, &Type::NUMERIC).unwrap(), expected);
        assert_eq!(from_text("{1.5,2.25}", &Type::NUMERIC_ARRAY, "UTC").unwrap(), expected);
    }

    #[test]
    fn times_as_texts() {
        let berlin = "Europe/Berlin";
        let noon = from_text("2026-07-01T12:00", &Type::TIMESTAMPTZ, berlin).unwrap();
        assert_eq!(noon, ScalarValue::TimestampMicrosecond(Some(1_782_900_000_000_000), Some(berlin.into())));
        let wanted = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        assert_eq!(fitted("Jul 1, 2026 12:00".into(), wanted, berlin).unwrap(), noon);
        let today = from_text("today", &Type::DATE, berlin).unwrap();
        assert_eq!(fitted("today".into(), DataType::Date32, berlin).unwrap(), today);
        assert!(from_text("2026-01-32", &Type::DATE, berlin).unwrap_err().contains("no such day"));
    }

    #[test]
    fn binary_values_of_a_wrong_length_are_refused() {
        let bytes = Bytes::from_static(&[0, 0, 1]);
        assert!(from_binary(&bytes, &Type::INT4).is_err());
        assert_eq!(from_binary(&bytes.slice(1..), &Type::INT2).unwrap(), ScalarValue::Int16(Some(1)));
        assert!(from_binary(&bytes, &Type::POINT).unwrap_err().contains("send text"));
        assert!(from_binary(&bytes, &Type::INT4_ARRAY).is_err());
        // arrays of arrays, each within the one before
        let (depth, mut nested) = (100_000, vec![]);
        for inner in (0..depth).rev() {
            let words = [1, 0, Type::INT4_ARRAY.oid() as i32, 1, 1, 12 + 24 * inner];
            nested.extend(words.iter().flat_map(|word| word.to_be_bytes()));
        }
        nested.extend([0; 12]);
        assert!(from_binary(&nested.into(), &Type::INT4_ARRAY).is_err());
    }
}
