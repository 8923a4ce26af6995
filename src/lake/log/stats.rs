//! What a file says of its rows in Delta's log (`Add.stats`): their number, and the times that they span.
//!
//! In: the footer of a Parquet file that was just written. Out: JSON by Delta's protocol ("Per-file Statistics"), so that
//! every reader skips files by time. Bounds are inclusive, and never tighter than the rows.

use chrono::{DateTime, SecondsFormat};
use parquet::file::metadata::ParquetMetaData;
use parquet::file::statistics::Statistics;
use serde_json::{Value, json};

use crate::columns::HIT_TIME;

/// The earliest and the latest `hit_time`, inclusive, microseconds since 1970 UTC.
pub type TimeSpan = (i64, i64);

/// The span of a written file's rows; None without such a column, or without rows.
pub fn time_span(footer: &ParquetMetaData) -> Option<TimeSpan> {
    let columns = footer.file_metadata().schema_descr().columns();
    let at = columns.iter().position(|c| c.path().string() == HIT_TIME)?;
    let spans = footer.row_groups().iter().map(|group| match group.column(at).statistics()? {
        Statistics::Int64(found) => Some((*found.min_opt()?, *found.max_opt()?)),
        _ => None,
    });
    spans.reduce(|a, b| a.zip(b).map(|(a, b)| (a.0.min(b.0), a.1.max(b.1))))?
}

/// Delta's statistics of a file.
pub(super) fn to_json(rows: u64, hit_time: Option<TimeSpan>) -> String {
    let times = hit_time.and_then(|(first, last)| Some((text(first)?, text(last)?)));
    let stats = match times {
        Some((first, last)) => json!({
            "numRecords": rows,
            "minValues": { HIT_TIME: first },
            "maxValues": { HIT_TIME: last },
            "nullCount": { HIT_TIME: 0 },
        }),
        None => json!({ "numRecords": rows }),
    };
    stats.to_string()
}

/// The span that a file's statistics tell, ours or a foreign writer's.
pub(super) fn span_of_json(stats: &str) -> Option<TimeSpan> {
    let stats: Value = serde_json::from_str(stats).ok()?;
    let time = |bound: &str| {
        let text = stats.get(bound)?.get(HIT_TIME)?.as_str()?;
        DateTime::parse_from_rfc3339(text).ok().map(|t| t.timestamp_micros())
    };
    let (first, last) = (time("minValues")?, time("maxValues")?);
    // the protocol lets a writer cut a time to its millisecond, which leaves a maximum too early
    let last = if last % 1000 == 0 { last.saturating_add(999) } else { last };
    Some((first, last))
}

/// The time to the microsecond; None beyond the years 0 to 9999, which the format cannot hold.
fn text(micros: i64) -> Option<String> {
    let time = DateTime::from_timestamp_micros(micros)?;
    let text = time.to_rfc3339_opts(SecondsFormat::Micros, true);
    text.starts_with(|c: char| c.is_ascii_digit()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn spans_survive_the_log_and_are_never_too_narrow() {
        for (first, last) in [(0, 0), (-1, 1), (1_788_000_000_000_000, 1_788_000_000_123_456), (-5_000_000, 5_001_000)]
        {
            let (from, to) = span_of_json(&to_json(3, Some((first, last)))).unwrap();
            assert_eq!(from, first);
            assert!((last..=last + 999).contains(&to), "{last} became {to}");
        }
        assert_eq!(span_of_json(&to_json(3, None)), None);
        assert_eq!(span_of_json(&to_json(1, Some((i64::MIN, i64::MAX)))), None, "years beyond 9999 are not told");
    }

    #[test]
    fn foreign_statistics_are_read() {
        let cut = r#"{"numRecords":2,"minValues":{"hit_time":"2026-09-01T10:00:00.000Z"},"maxValues":{"hit_time":"2026-09-01T12:00:00.123+02:00"}}"#;
        let second = 1_788_256_800_000_000;
        assert_eq!(span_of_json(cut), Some((second, second + 123_999)));
        for none in [
            "",
            "{}",
            r#"{"numRecords":1}"#,
            r#"{"minValues":{"hit_time":"now"},"maxValues":{"hit_time":"2026-09-01"}}"#,
        ] {
            assert_eq!(span_of_json(none), None, "{none}");
        }
    }
}
