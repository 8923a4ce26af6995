//! `from_local(wall_clock, zone)`: the instant of a wall clock's time. A time that the clock shows twice is the first of
//! the two; one that it skips is read with the offset of before, as if the clock had gone on.

use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Duration, LocalResult, TimeZone};
use chrono_tz::Tz;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};

use super::rows::function_of;
use crate::columns::timestamp;

pub(super) fn udf() -> ScalarUDF {
    // a wall clock's time comes as a timestamp without a zone, or from the lake under the type of an instant
    let clocks = [DataType::Timestamp(TimeUnit::Microsecond, None), timestamp()];
    let exact = clocks.map(|clock| TypeSignature::Exact(vec![clock, DataType::Utf8]));
    function_of("from_local", Signature::one_of(exact.to_vec(), Volatility::Immutable), timestamp(), |rows| {
        let (times, zones) = (rows.micros(0)?, rows.text(1)?);
        let mut zone_of = super::local_time::Zones::default();
        let mut instants = Vec::with_capacity(rows.len);
        for i in 0..rows.len {
            instants.push(match times.is_valid(i) && zones.is_valid(i) {
                true => from_local(times.value(i), zone_of.get(zones.value(i))?),
                false => None,
            });
        }
        Ok(Arc::new(instants.into_iter().collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    })
}

/// Microseconds of a wall clock to microseconds of UTC.
pub fn from_local(wall_clock: i64, zone: Tz) -> Option<i64> {
    let naive = DateTime::from_timestamp_micros(wall_clock)?.naive_utc();
    match zone.from_local_datetime(&naive) {
        LocalResult::Single(t) | LocalResult::Ambiguous(t, _) => Some(t.timestamp_micros()),
        LocalResult::None => {
            // no clock jumps by more than a day
            let before = naive - Duration::days(1);
            let offset =
                before.and_utc().timestamp_micros() - zone.from_local_datetime(&before).earliest()?.timestamp_micros();
            Some(wall_clock - offset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn daylight_saving() {
        let micros = |text: &str| {
            chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").map(|t| t.and_utc().timestamp_micros())
        };
        let utc = |text| micros(text).ok().and_then(|t| from_local(t, chrono_tz::Europe::Berlin));
        assert_eq!(utc("2026-03-29 01:59"), micros("2026-03-29 00:59").ok());
        assert_eq!(utc("2026-03-29 02:30"), micros("2026-03-29 01:30").ok());
        assert_eq!(utc("2026-10-25 02:30"), micros("2026-10-25 00:30").ok());
    }
}
