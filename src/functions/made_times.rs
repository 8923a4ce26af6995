//! Times made of numbers, as PostgreSQL makes them: `make_time(hour, minute, seconds)`, `make_timestamp(year, ..., seconds)`, and
//! `make_timestamptz`, which is an instant in the session's zone, or in one that is named behind.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Time64MicrosecondArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use chrono::NaiveDate;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::rows::{Rows, evaluate};
use crate::Error;
use crate::columns::timestamp;
use crate::error::StatementFault;
use crate::time::{Zone, from_local};

/// Microseconds of a second.
const SECOND: f64 = 1e6;

/// All of them.
pub(super) fn udfs() -> [ScalarUDF; 3] {
    let made = |kind, arguments: &[usize]| {
        let counts = arguments.iter().map(|count| TypeSignature::Any(*count)).collect();
        // the session's zone is no constant
        ScalarUDF::new_from_impl(MadeTime { kind, signature: Signature::one_of(counts, Volatility::Stable) })
    };
    [made(Kind::Clock, &[3]), made(Kind::Local, &[6]), made(Kind::Instant, &[6, 7])]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// A time of day.
    Clock,
    /// What a clock shows on a day.
    Local,
    /// A moment.
    Instant,
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct MadeTime {
    kind: Kind,
    signature: Signature,
}

impl ScalarUDFImpl for MadeTime {
    fn name(&self) -> &str {
        match self.kind {
            Kind::Clock => "make_time",
            Kind::Local => "make_timestamp",
            Kind::Instant => "make_timestamptz",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(match self.kind {
            Kind::Clock => DataType::Time64(TimeUnit::Microsecond),
            Kind::Local => DataType::Timestamp(TimeUnit::Microsecond, None),
            Kind::Instant => timestamp(),
        })
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let own = args.config_options.execution.time_zone.as_deref().unwrap_or("UTC");
        evaluate(&args.args, |rows| self.made(rows, own))
    }
}

impl MadeTime {
    fn made(&self, rows: &Rows, own: &str) -> Result<ArrayRef> {
        let parts = match self.kind {
            Kind::Clock => 3,
            _ => 6,
        };
        let whole = |i: usize| -> Result<ArrayRef> { Ok(cast(rows.array(i), &DataType::Int64)?) };
        let whole = (0..parts - 1).map(whole).collect::<Result<Vec<_>>>()?;
        let seconds = cast(rows.array(parts - 1), &DataType::Float64)?;
        let seconds = seconds.as_primitive::<Float64Type>();
        let zones = (rows.width() > parts).then(|| rows.text(parts)).transpose()?;
        let micros = |row: usize| -> Result<Option<i64>> {
            let missing = zones.as_ref().is_some_and(|zones| zones.is_null(row));
            if missing || seconds.is_null(row) || whole.iter().any(|part| part.is_null(row)) {
                return Ok(None);
            }
            let part = |i: usize| whole[i].as_primitive::<Int64Type>().value(row);
            let made = match self.kind {
                Kind::Clock => clock(part(0), part(1), seconds.value(row)),
                _ => on_day([part(0), part(1), part(2)], clock(part(3), part(4), seconds.value(row))),
            };
            let made = made.ok_or_else(|| self.failed("there is no such time"))?;
            if self.kind != Kind::Instant {
                return Ok(Some(made));
            }
            let zone = zones.as_ref().map_or_else(|| Zone::of_type(own), |zones| Zone::behind_time(zones.value(row)));
            let unknown = |why: String| Error::query(format!("{}: {why}", self.name()));
            let zone = zone.map_err(|why| unknown(why).of_fault(StatementFault::Argument))?;
            from_local(made, zone).map(Some).ok_or_else(|| self.failed("there is no such time"))
        };
        let micros = (0..rows.len).map(micros);
        Ok(match self.kind {
            Kind::Clock => Arc::new(micros.collect::<Result<Time64MicrosecondArray>>()?),
            Kind::Local => Arc::new(micros.collect::<Result<TimestampMicrosecondArray>>()?),
            Kind::Instant => Arc::new(micros.collect::<Result<TimestampMicrosecondArray>>()?.with_timezone("UTC")),
        })
    }

    fn failed(&self, why: &str) -> DataFusionError {
        Error::query(format!("{}: {why}", self.name())).of_fault(StatementFault::TimeRange).into()
    }
}

/// Microseconds of a day. As in PostgreSQL 60 seconds are the next minute.
fn clock(hour: i64, minute: i64, seconds: f64) -> Option<i64> {
    let within = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..=60.0).contains(&seconds);
    let at = || (hour * 60 + minute) * 60_000_000 + (seconds * SECOND).round() as i64;
    within.then(at).filter(|at| *at < 86_400_000_000)
}

/// Microseconds since 1970 at a time of a year, month and day.
fn on_day([year, month, day]: [i64; 3], clock: Option<i64>) -> Option<i64> {
    let day = NaiveDate::from_ymd_opt(year.try_into().ok()?, month.try_into().ok()?, day.try_into().ok()?)?;
    Some(i64::from(day.to_epoch_days()) * 86_400_000_000 + clock?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn numbers_become_times() {
        assert_eq!(clock(12, 30, 15.5), Some(45_015_500_000));
        assert_eq!(on_day([1970, 1, 2], clock(0, 0, 1.0)), Some(86_401_000_000));
        assert_eq!(clock(12, 30, 60.0), clock(12, 31, 0.0));
        for wrong in
            [clock(24, 0, 0.0), clock(23, 59, 60.0), clock(0, 60, 0.0), clock(0, 0, -1.0), clock(0, 0, f64::NAN)]
        {
            assert_eq!(wrong, None);
        }
        assert_eq!(on_day([2026, 2, 30], Some(0)), None);
        assert_eq!(on_day([i64::MAX, 1, 1], Some(0)), None);
    }
}
