//! The queries of the integration, as compiled in.

use crate::lake::tables::SNAPSHOTS;

/// The queries of the integration, of which those after the first and before the last give the integrated rows.
pub const QUERIES: [(&str, &str); 6] = [
    (SNAPSHOTS, include_str!("../../queries/integrate/snapshots.sql")),
    ("transaction records", include_str!("../../queries/integrate/transaction.sql")),
    ("customer records", include_str!("../../queries/integrate/customer.sql")),
    ("summary records", include_str!("../../queries/integrate/summary.sql")),
    ("records of data feeds", include_str!("../../queries/integrate/feed.sql")),
    ("join report", include_str!("../../queries/integrate/join_report.sql")),
];

/// IDs that records of several sources share, for the join report.
pub const SHARED_IDS: &str = include_str!("../../queries/integrate/shared_ids.sql");
