//! The arguments `since` and `until`: texts in the suite's zone in, instants and a condition over `events` out.

use datafusion::common::ScalarValue;
use datafusion::logical_expr::{Expr, ident, lit};

use super::journey::EVER;
use crate::time::{parse_time, zone};
use crate::{Error, Result};

/// From the first instant, inclusive, to the second; microseconds.
pub(super) fn window(since: Option<&str>, until: Option<&str>, suite_zone: &str) -> Result<(i64, i64)> {
    let at = |text: Option<&str>| text.map(|text| instant(text, suite_zone)).transpose();
    let times = (at(since)?, at(until)?);
    if let ((Some(from), Some(to)), Some(since), Some(until)) = (times, since, until)
        && from > to
    {
        return Err(Error::query(format!(
            "since {since} lies after until {until}: conversions count from since on, before until"
        )));
    }
    Ok((times.0.unwrap_or(EVER.0), times.1.unwrap_or(EVER.1)))
}

/// True for rows from the first time (inclusive) to the second (exclusive).
pub(super) fn lies_in((since, until): (i64, i64)) -> Expr {
    let at = |micros| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
    let since = (since != EVER.0).then(|| ident("hit_time").gt_eq(at(since)));
    let until = (until != EVER.1).then(|| ident("hit_time").lt(at(until)));
    since.into_iter().chain(until).reduce(Expr::and).unwrap_or_else(|| lit(true))
}

/// A date or time of the suite's zone, or with an offset of its own, in microseconds.
fn instant(text: &str, suite_zone: &str) -> Result<i64> {
    let zone = zone(suite_zone).map_err(Error::configuration)?;
    parse_time(text).and_then(|time| time.in_zone(zone)).ok_or_else(|| {
        Error::query(format!(
            "{text:?} is no date or time; write 2026-09-01, 2026-09-01 12:00:00 or 2026-09-01T12:00:00Z"
        ))
    })
}
