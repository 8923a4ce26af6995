//! Times and lengths of time as people write them, and clocks of time zones. Pure: one reading for the command line, SQL,
//! mappings, cells of files, settings and timetables.
//!
//! * `duration`: `30 days`, `1h30m`. `instant`: `2026-09-01`, `2026-09-01 12:00`, `2026-09-01T12:00:00Z`.
//! * `reading`, `interval`: what PostgreSQL reads as times and intervals, where a text becomes one in SQL.
//! * `zone`: zones by name, and by hours; what a clock shows, and when it shows it.

mod duration;
mod instant;
mod interval;
mod reading;
mod zone;

pub use duration::{DAY_US, Span, duration_text, parse_duration, parse_span};
pub use instant::{Written, parse_time, without_zone_name};
pub use interval::{Interval, Unit, read_interval};
pub use reading::{Moment, TimeText, Unread, ZoneText, moment, month_named, read_time};
pub use zone::{Zone, Zones, from_local, is_summer_time, named_zone, offset, to_local, written_offset, zone};
