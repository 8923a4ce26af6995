//! A made-up web shop's data, as Adobe delivers it: what `rejoin sample` writes and `rejoin demo` reads.
//!
//! In go [`SampleOptions`]; out come files. Below `DIR`:
//!
//! * `feed/`: one data feed delivery a day (`NN-SUITE_DATE.tsv.gz` of at most 250,000 rows each,
//!   `SUITE_DATE-lookup_data.tar.gz` with `column_headers.tsv`, `event.tsv`, `browser.tsv`, ..., and last the manifest
//!   `SUITE_DATE.txt`), and one delivery 100 days before the first day, for a transaction ID that has expired.
//!   Rows: browsing, searches, log-ins, carts, about 2 % of visits with an order (`T...`), 1 % with a lead (`L...`),
//!   campaigns persisted for 30 days, reloaded thank-you pages (`duplicate_purchase`), excluded robots, placeholder
//!   customer ids, background hits of an app, an eVar that a processing rule sets and takes away (eVar 6), an eVar that is bound
//!   to the product that it found (eVar 7, merchandising), several hits in one second, escaped tabs, newlines and backslashes, `^` escapes, UTF-8.
//! * `leads/`, `store_returns/`, `support_calls/` (transaction), `call_centre/` (customer), `ad_spend/` (summary): a
//!   data source file with its `.fin` each; the folder is the source's name. Each has a comment, headers in mixed case,
//!   dates with and without a time, and rows to reject; there are unknown and placeholder IDs and negative amounts.
//! * Three [stories](STORIES) by visitors of their own, with the exact numbers that a report must show, and
//!   [cases](story) of time: a record before its hit, one without a time, an expired one, a hit with two IDs.
//!
//! Invariants: everything follows from the options, never from the clock or floating point (how rows are compressed
//! also depends on the locked version of zlib-rs); memory does not grow with the number of hits, but for 12 bytes per
//! visit of the day being written. All times are UTC.

mod calendar;
mod catalogue;
mod crowd;
mod delivery;
mod field;
mod generate;
mod hit;
mod offline;
mod page;
mod random;
mod record;
pub mod story;
mod visit;

pub use delivery::Delivery;
pub use generate::{Sample, SampleOptions, write_sample};
pub use offline::{SourceFile, SourceKind};
pub use story::{STORIES, Story, StoryRow};
