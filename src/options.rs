//! Settings of a session, under the prefix `rejoin`.

use datafusion::common::config::ConfigExtension;
use datafusion::common::extensions_options;

/// What chooses the suite.
pub const SUITE_SETTING: &str = "rejoin.suite";

extensions_options! {
    /// `SET rejoin.suite = 'acme'` and the like.
    pub struct RejoinOptions {
        /// The suite that tables show and functions report on; empty for all.
        pub suite: String, default = String::new()
        /// How participation and attribution read events: `stored`, straight from the lake's files, or `plain`, through
        /// the SQL of `events`. The answers are the same.
        pub journeys: String, default = "stored".to_string()
        /// Into how many ranges of visitors' keys a statement cuts the tables that are sorted by visitor; each is a task of its
        /// own. Rounded up to a power of two from 1 to 1024. With 0 as many as there are threads (`--threads`, or the cores of a
        /// cluster), and at least 8.
        pub ranges: usize, default = 0
        /// The version of rejoin that a statement comes from; the parts of a cluster hold theirs against it.
        pub part_version: String, default = env!("CARGO_PKG_VERSION").to_string()
    }
}

impl RejoinOptions {
    /// The settings of a session that begins with this suite; empty for all.
    pub fn of_suite(suite: String) -> Self {
        Self { suite, ..Self::default() }
    }
}

impl ConfigExtension for RejoinOptions {
    const PREFIX: &'static str = "rejoin";
}
