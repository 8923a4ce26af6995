//! The only place that reads the time, so that tests can set it (`REJOIN_NOW`, an RFC 3339 instant).

use chrono::{DateTime, Utc};

/// The present instant.
pub fn now() -> DateTime<Utc> {
    std::env::var("REJOIN_NOW")
        .ok()
        .and_then(|text| DateTime::parse_from_rfc3339(&text).ok())
        .map_or_else(Utc::now, |t| t.with_timezone(&Utc))
}
