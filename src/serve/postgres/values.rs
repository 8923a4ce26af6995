//! Parameters of prepared statements as Arrow scalars.

use arrow::datatypes::DataType;
use bytes::{Buf, Bytes};
use datafusion::scalar::ScalarValue;
use pgwire::api::Type;
use pgwire::api::portal::Portal;

use super::encode::{DAYS_TO_2000, MICROS_TO_2000, pg_type};
use crate::serve::failure::{Failure, Reason};

/// The values of a portal. `wanted` are the types that follow from the statement.
pub fn values<S: Clone>(portal: &Portal<S>, wanted: &[Option<DataType>]) -> Result<Vec<ScalarValue>, Failure> {
    if portal.parameters.len() < wanted.len() {
        let message = format!("the statement has {} parameters, {} were given", wanted.len(), portal.parameters.len());
        return Err(Failure::new(Reason::Engine(crate::ErrorKind::Usage), message));
    }
    let value = |(i, bytes): (usize, &Option<Bytes>)| {
        let wanted = wanted.get(i).cloned().flatten();
        let given = portal.statement.parameter_types.get(i).cloned().flatten();
        let one = match bytes {
            None => ScalarValue::Null,
            // a client may choose a format for each, one for all, or none
            Some(bytes) if binary(portal, i) => {
                from_binary(bytes, given.as_ref(), wanted.as_ref()).map_err(|e| at(i, &e))?
            }
            Some(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|e| at(i, &e.to_string()))?;
                ScalarValue::Utf8(Some(text.to_string()))
            }
        };
        match &wanted {
            Some(wanted) => one.cast_to(wanted).map_err(|e| at(i, &e.strip_backtrace())),
            None => Ok(one),
        }
    };
    portal.parameters.iter().enumerate().map(value).collect()
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
    Failure::new(Reason::Engine(crate::ErrorKind::Usage), format!("${}: {message}", i + 1))
}

fn from_binary(bytes: &Bytes, given: Option<&Type>, wanted: Option<&DataType>) -> Result<ScalarValue, String> {
    let from_wanted = wanted.map(pg_type);
    let given = given.filter(|t| **t != Type::UNKNOWN).or(from_wanted.as_ref()).unwrap_or(&Type::TEXT);
    let mut buffer = bytes.clone();
    let fits = |length: usize| {
        if bytes.len() == length { Ok(()) } else { Err(format!("{} bytes where {given} has {length}", bytes.len())) }
    };
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
        Type::NUMERIC => ScalarValue::Utf8(Some(numeric(buffer)?)),
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN => {
            ScalarValue::Utf8(Some(String::from_utf8(bytes.to_vec()).map_err(|e| e.to_string())?))
        }
        ref other => return Err(format!("binary values of type {other} are not taken; send text")),
    })
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
    fn binary_values_of_a_wrong_length_are_refused() {
        let bytes = Bytes::from_static(&[0, 0, 1]);
        assert!(from_binary(&bytes, Some(&Type::INT4), None).is_err());
        assert_eq!(from_binary(&bytes.slice(1..), Some(&Type::INT2), None).unwrap(), ScalarValue::Int16(Some(1)));
        assert!(from_binary(&bytes, Some(&Type::POINT), None).unwrap_err().contains("send text"));
    }
}
