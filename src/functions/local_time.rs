//! `local_time(time [, zone])`: what a clock in the suite's zone (or in `zone`) shows at an instant.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::register::ZoneOfSuite;
use super::rows::evaluate;
use crate::columns::timestamp;

pub(super) fn udf(suite_zone: ZoneOfSuite) -> ScalarUDF {
    let signature = Signature::one_of(
        vec![TypeSignature::Exact(vec![timestamp()]), TypeSignature::Exact(vec![timestamp(), DataType::Utf8])],
        Volatility::Stable,
    );
    ScalarUDF::new_from_impl(LocalTime { signature, suite_zone })
}

/// The zone that `local_time` takes for the suite's, if there is one.
pub(super) fn suite_zone(function: &dyn ScalarUDFImpl) -> Option<String> {
    (function.downcast_ref::<LocalTime>()?.suite_zone)().ok()
}

struct LocalTime {
    signature: Signature,
    suite_zone: ZoneOfSuite,
}

impl ScalarUDFImpl for LocalTime {
    fn name(&self) -> &str {
        "local_time"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Timestamp(TimeUnit::Microsecond, None))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        evaluate(&args.args, |rows| {
            let times = rows.micros(0)?;
            let mut zones = Zones::default();
            let named = if rows.width() > 1 { Some(rows.text(1)?) } else { None };
            let fixed = match &named {
                None => Some(zones.get(&(self.suite_zone)()?)?),
                Some(_) => None,
            };
            let mut clocks = Vec::with_capacity(rows.len);
            for i in 0..rows.len {
                let zone = match (&named, fixed) {
                    (Some(names), _) if names.is_valid(i) => Some(zones.get(names.value(i))?),
                    (Some(_), _) => None,
                    (None, fixed) => fixed,
                };
                clocks.push(zone.filter(|_| times.is_valid(i)).and_then(|zone| to_local(times.value(i), zone)));
            }
            Ok(Arc::new(clocks.into_iter().collect::<TimestampMicrosecondArray>()))
        })
    }
}

/// Microseconds of UTC to microseconds of a wall clock.
fn to_local(time: i64, zone: Tz) -> Option<i64> {
    let utc = DateTime::from_timestamp_micros(time)?.naive_utc();
    Some(time + i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * 1_000_000)
}

/// Zones by name, each parsed once.
#[derive(Default)]
pub(super) struct Zones(HashMap<String, Tz>);

impl Zones {
    pub(super) fn get(&mut self, name: &str) -> Result<Tz> {
        if let Some(zone) = self.0.get(name) {
            return Ok(*zone);
        }
        let zone: Tz = name.parse().map_err(|_| {
            let hint = crate::error::did_you_mean(name, chrono_tz::TZ_VARIANTS.iter().map(|z| z.name()));
            DataFusionError::Execution(format!("there is no time zone {name}{hint}"))
        })?;
        self.0.insert(name.to_string(), zone);
        Ok(zone)
    }
}

impl std::fmt::Debug for LocalTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("local_time")
    }
}

impl PartialEq for LocalTime {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.suite_zone, &other.suite_zone)
    }
}

impl Eq for LocalTime {}

impl Hash for LocalTime {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}
