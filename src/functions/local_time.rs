//! `local_time(time [, zone])`: what a clock in the suite's zone (or in `zone`) shows at an instant.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};

use super::function_doc::FunctionDoc;
use super::rows::evaluate;
use crate::columns::timestamp;
use crate::time::{Zones, to_local};

/// Its name in SQL.
pub const LOCAL_TIME: &str = "local_time";

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: LOCAL_TIME,
    kind: "scalar",
    signature: "local_time(time [, zone])",
    description: "What a clock in the suite's time zone, or in zone, shows at an instant.",
    example: "SELECT date_trunc('day', local_time(hit_time)) AS day, count(*) FROM events GROUP BY 1",
};

/// The time zone of the suite that a session reports on.
pub type ZoneOfSuite = Arc<dyn Fn() -> crate::Result<String> + Send + Sync>;

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
        LOCAL_TIME
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
                None => Some(zones.get(&(self.suite_zone)()?).map_err(DataFusionError::Execution)?),
                Some(_) => None,
            };
            let mut clocks = Vec::with_capacity(rows.len);
            for i in 0..rows.len {
                let zone = match (&named, fixed) {
                    (Some(names), _) if names.is_valid(i) => {
                        Some(zones.get(names.value(i)).map_err(DataFusionError::Execution)?)
                    }
                    (Some(_), _) => None,
                    (None, fixed) => fixed,
                };
                clocks.push(zone.filter(|_| times.is_valid(i)).and_then(|zone| to_local(times.value(i), zone)));
            }
            Ok(Arc::new(clocks.into_iter().collect::<TimestampMicrosecondArray>()))
        })
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
