//! Tables at versions of the past: what `--as-of` asks for, and what a rebuild reads whatever is committed meanwhile.

use std::collections::HashMap;

use chrono::DateTime;

use crate::lake::records::Rebuild;
use crate::lake::vacuum::OldestKept;
use crate::lake::{Lake, Registry};
use crate::time::parse_time;
use crate::{Error, Result};

/// Tables at versions of the past.
#[derive(Debug, Clone, Default)]
pub struct Pins {
    /// Version by table.
    pub versions: HashMap<String, u64>,
    /// Tables that are not listed are read at their newest version; otherwise they did not exist.
    pub others_newest: bool,
}

impl Pins {
    /// All tables as a rebuild left them: that of the number, or the last one that ended by the time (of UTC,
    /// where it has no offset).
    pub async fn as_of(lake: &Lake, as_of: &str) -> Result<Self> {
        Ok(Self { versions: versions_as_of(lake, as_of).await?, others_newest: false })
    }
}

async fn versions_as_of(lake: &Lake, as_of: &str) -> Result<HashMap<String, u64>> {
    let mut rebuilds = Registry::<Rebuild>::read(lake).await?.rows;
    rebuilds.sort_by_key(|r| r.rebuild);
    let found = match as_of.parse::<i64>() {
        Ok(number) => rebuilds.iter().find(|r| r.rebuild == number),
        Err(_) => {
            let instant = parse_time(as_of).and_then(|time| time.in_zone(chrono_tz::UTC));
            let time = instant.and_then(DateTime::from_timestamp_micros).ok_or_else(|| {
                Error::usage(format!("{as_of} is neither a rebuild's number nor a time such as 2026-09-01T12:00:00Z"))
            })?;
            rebuilds.iter().rfind(|r| r.ended.is_some_and(|t| t <= time))
        }
    };
    let Some(found) = found else {
        let known = match (rebuilds.first(), rebuilds.last()) {
            (Some(first), Some(last)) => format!("rebuilds {} to {} are known", first.rebuild, last.rebuild),
            _ => "there was no rebuild yet".to_string(),
        };
        let none = match as_of.parse::<i64>() {
            Ok(number) => format!("no rebuild {number}"),
            Err(_) => format!("no rebuild had ended by {as_of}"),
        };
        return Err(Error::query(format!("{none}; {known} (SELECT * FROM rebuilds)")));
    };
    let oldest_kept = OldestKept::read(lake).await?;
    if found.rebuild < oldest_kept.oldest_rebuild {
        let since =
            oldest_kept.kept_since.map(|t| t.format(" before %Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
        let asked = if as_of == found.rebuild.to_string() { String::new() } else { format!(" ({as_of})") };
        let newest = rebuilds.last().map_or(0, |r| r.rebuild);
        let still = match oldest_kept.oldest_rebuild {
            oldest if oldest < newest => format!("there are rebuilds {oldest} to {newest}"),
            only => format!("only rebuild {only} is there"),
        };
        return Err(Error::query(format!(
            "rebuild {}{asked} can no longer be asked: a vacuum has deleted what was replaced{since}; {still} (rejoin history)",
            found.rebuild
        )));
    }
    serde_json::from_str(&found.versions).map_err(|e| Error::bug(format!("rebuild {}: {e}", found.rebuild)))
}
