//! `parse_duration(text)`: the seconds of a length of time as people and systems write it: `00:03:12`, `3 min 12 s`, `PT3M12S`.

use std::sync::Arc;

use arrow::array::Float64Array;
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::time::{Interval, Unit, read_interval};

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "parse_duration",
    kind: "scalar",
    signature: "parse_duration(text)",
    description: "The seconds of a length of time as people and systems write it: 00:03:12, 3 min 12 s, PT3M12S, 192. Of two \
fields with a colon the first is hours. NULL for what is none, and for months, which have no certain length.",
    example: "SELECT parse_duration('00:03:12')",
};

pub(super) fn udf() -> ScalarUDF {
    function("parse_duration", vec![DataType::Utf8], DataType::Float64, |rows| {
        Ok(Arc::new(rows.text(0)?.iter().map(|text| parse(text?)).collect::<Float64Array>()))
    })
}

fn parse(text: &str) -> Option<f64> {
    let Interval { months, days, nanos } = read_interval(text, Unit::SECOND).ok()?;
    (months == 0).then(|| f64::from(days) * 86_400.0 + nanos as f64 / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_people_and_systems_write_them() {
        for (text, seconds) in [
            ("00:03:12", Some(192.0)),
            ("-27:00:00.5", Some(-97_200.5)),
            ("3 min 12 s", Some(192.0)),
            ("1 day 02:00", Some(93_600.0)),
            ("PT3M12S", Some(192.0)),
            ("PT0.25S", Some(0.25)),
            ("P1DT1H", Some(90_000.0)),
            (" 192 ", Some(192.0)),
            ("1.5", Some(1.5)),
            ("1 month", None),
            ("P1Y", None),
            ("", None),
            ("soon", None),
            ("00:99:00", None),
        ] {
            assert_eq!(parse(text), seconds, "{text}");
        }
    }
}
