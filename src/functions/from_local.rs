//! `from_local(wall_clock, zone)`: the instant of a wall clock's time. A time that the clock shows twice is the first of
//! the two; one that it skips is read with the offset of before, as if the clock had gone on.

use std::sync::Arc;

use arrow::array::{Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, TimeUnit};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::{ScalarUDF, Signature, TypeSignature, Volatility};

use super::function_doc::FunctionDoc;
use super::rows::function_of;
use crate::columns::timestamp;
use crate::time::{Zones, from_local};

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "from_local",
    kind: "scalar",
    signature: "from_local(wall_clock, zone)",
    description: "The instant at which a clock in zone shows a time. A time shown twice is the first; one that is skipped is \
read as if the clock had gone on.",
    example: "SELECT from_local(TIMESTAMP '2026-09-01 12:00:00', 'Europe/Berlin')",
};

pub(super) fn udf() -> ScalarUDF {
    // a wall clock's time comes as a timestamp without a zone, or from the lake under the type of an instant
    let clocks = [DataType::Timestamp(TimeUnit::Microsecond, None), timestamp()];
    let exact = clocks.map(|clock| TypeSignature::Exact(vec![clock, DataType::Utf8]));
    function_of("from_local", Signature::one_of(exact.to_vec(), Volatility::Immutable), timestamp(), |rows| {
        let (times, zones) = (rows.micros(0)?, rows.text(1)?);
        let mut zone_of = Zones::default();
        let mut instants = Vec::with_capacity(rows.len);
        for i in 0..rows.len {
            instants.push(match times.is_valid(i) && zones.is_valid(i) {
                true => from_local(times.value(i), zone_of.get(zones.value(i)).map_err(DataFusionError::Execution)?),
                false => None,
            });
        }
        Ok(Arc::new(instants.into_iter().collect::<TimestampMicrosecondArray>().with_timezone("UTC")))
    })
}
