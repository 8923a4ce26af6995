//! Names of the columns that hits, offline records and events share, and what each column is.
//!
//! A metric is a `DOUBLE` column, a dimension is a `VARCHAR` column that is not one of [`KEYS`].

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

/// Report suite id.
pub const SUITE: &str = "suite";
/// Stable 64-bit hash of the visitor id (of the row itself where it has no visitor); the lake is sorted and bucketed by it.
pub const VISITOR_KEY: &str = "visitor_key";
/// Visitor id as text, `high_low` for a data feed. NULL where a row has no visitor.
pub const VISITOR_ID: &str = "visitor_id";
/// Number of the visit of its visitor, from 1.
pub const VISIT_NUM: &str = "visit_num";
/// Time of the first hit of the visit.
pub const VISIT_START: &str = "visit_start";
/// The visit as a mapped source names it, when that is no number.
pub const VISIT_ID: &str = "visit_id";
/// Position of a row in time.
pub const HIT_TIME: &str = "hit_time";
/// Order of a visitor's rows of one instant: the hit id, else a hash of the row's content; offline rows above all
/// online ones.
pub const HIT_SEQ: &str = "hit_seq";
/// What of a hit id [`HIT_SEQ`] has no room for, so that both together are the hit id, in order; NULL where a row has none.
pub const HIT_ID_REST: &str = "hit_id_rest";
/// 1 online; 5, 8, 9 summary; 7 transaction, as in a data feed.
pub const HIT_SOURCE: &str = "hit_source";
/// More than 0: stored, not reported.
pub const EXCLUDE_HIT: &str = "exclude_hit";
/// The transaction ID, or several of them separated by commas.
pub const TRANSACTION_ID: &str = "transaction_id";
/// The custom visitor id.
pub const CUSTOMER_ID: &str = "customer_id";
/// The input that brought the row: a delivery's or a file's name.
pub const FILE: &str = "file";
/// True where dimension columns hold persisted values and touches are in the `_set` columns (data feeds).
pub const PERSISTED: &str = "persisted";
/// The same of the marketing channel and of list variables: true where `{dimension}_set` says where it was set, as only
/// feeds with the columns for that can tell.
const PERSISTED_CHANNEL: &str = "persisted_channel";
const PERSISTED_LISTS: [&str; 3] = ["persisted_list1", "persisted_list2", "persisted_list3"];
/// True where an app sent the hit while nobody used it; NULL otherwise.
pub const BACKGROUND_HIT: &str = "background_hit";
/// The products of a row with what each has of its own, as a data feed writes them.
pub const PRODUCT_LIST: &str = "product_list";
/// One of `online`, `transaction`, `customer`, `summary`.
pub const ROW_KIND: &str = "row_kind";
/// One of `online`, `summary`, `matched`, `unmatched`, `expired`, `disabled`, `ambiguous`.
pub const MATCH_STATUS: &str = "match_status";

/// The two halves of a data feed's hit id, dimensions of which every row has its own values.
pub const HIT_ID: [&str; 2] = ["hitid_high", "hitid_low"];

/// Columns that are neither dimension nor metric.
pub const KEYS: &[&str] = &[
    SUITE,
    VISITOR_KEY,
    VISITOR_ID,
    VISIT_NUM,
    VISIT_START,
    VISIT_ID,
    HIT_TIME,
    HIT_SEQ,
    HIT_ID_REST,
    HIT_SOURCE,
    EXCLUDE_HIT,
    TRANSACTION_ID,
    CUSTOMER_ID,
    FILE,
    PERSISTED,
    PERSISTED_CHANNEL,
    PERSISTED_LISTS[0],
    PERSISTED_LISTS[1],
    PERSISTED_LISTS[2],
    BACKGROUND_HIT,
    ROW_KIND,
    MATCH_STATUS,
    "event_id",
    "snapshot_time",
    "snapshot_seq",
    "record_time",
    "record_local",
    "has_time",
    "source",
    "kind",
    "row",
    "received",
];

/// Dimensions that have a name of their own; the others are numbered ([`NUMBERED`]), or a data feed's or a mapping's.
pub const DIMENSIONS: &[&str] = &[
    "page_name",
    "page_url",
    "tracking_code",
    "category",
    "product",
    "marketing_channel",
    "marketing_channel_detail",
    "referring_domain",
    "search_engine",
    "search_keyword",
    "geo_country",
    "zip",
    "state",
];

/// The metric of every row.
pub const OCCURRENCES: &str = "occurrences";

/// Metrics that have a name of their own and are stored where a row has them, in the order of their columns.
pub const METRICS: &[&str] = &[
    "page_views",
    "orders",
    "units",
    "revenue",
    "product_views",
    "carts",
    "cart_views",
    "cart_adds",
    "cart_removes",
    "checkouts",
    "clickthroughs",
];

/// Numbered columns: `evar1` to `evar250`, and so on.
pub const NUMBERED: [(&str, u32); 4] = [("evar", 250), ("prop", 75), ("list", 3), ("event", 1000)];

/// Columns of a data feed that are numbers; everything else of a feed that is no metric is text.
pub const FEED_INTEGERS: &[&str] = &[HIT_SOURCE, EXCLUDE_HIT, "duplicate_purchase", VISIT_NUM, "visit_page_num"];

/// Separates the values of a multi-valued dimension.
pub const LIST_SEPARATOR: &str = "--**--";

/// An instant: UTC, microseconds.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

/// The type of [`HIT_SEQ`].
pub fn sequence() -> DataType {
    DataType::Decimal128(38, 0)
}

/// The field of a key column, a feed integer, or NULL when `name` is a dimension or metric.
pub fn key_field(name: &str) -> Option<Field> {
    let (data_type, nullable) = match name {
        VISITOR_KEY => (DataType::Int64, false),
        HIT_TIME => (timestamp(), false),
        HIT_SEQ => (sequence(), false),
        // record_local is a wall clock's time under the type of an instant: Delta has no other without a reader feature
        VISIT_START | "snapshot_time" | "record_time" | "record_local" | "received" => (timestamp(), true),
        "snapshot_seq" => (sequence(), true),
        "has_time" | PERSISTED | PERSISTED_CHANNEL | BACKGROUND_HIT => (DataType::Boolean, true),
        n if PERSISTED_LISTS.contains(&n) => (DataType::Boolean, true),
        "row" | HIT_ID_REST => (DataType::Int64, true),
        n if FEED_INTEGERS.contains(&n) => (DataType::Int64, true),
        SUITE | FILE => (DataType::Utf8, false),
        n if KEYS.contains(&n) => (DataType::Utf8, true),
        _ => return None,
    };
    Some(Field::new(name, data_type, nullable))
}

/// The column that says on which rows a `{dimension}_set` column decides where the dimension was set.
pub fn persisted_flag(dimension: &str) -> &'static str {
    match dimension {
        "marketing_channel" | "marketing_channel_detail" => PERSISTED_CHANNEL,
        "list1" => PERSISTED_LISTS[0],
        "list2" => PERSISTED_LISTS[1],
        "list3" => PERSISTED_LISTS[2],
        _ => PERSISTED,
    }
}

/// The flag of a `_set` column, see [`persisted_flag`].
pub fn flag_of_set(set: &str) -> &'static str {
    persisted_flag(set.strip_suffix("_set").unwrap_or(set))
}

/// A dimension column.
pub fn dimension(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// A metric column.
pub fn metric(name: &str) -> Field {
    Field::new(name, DataType::Float64, true)
}

/// True for a column that adds up.
pub fn is_metric(field: &Field) -> bool {
    field.data_type() == &DataType::Float64
}

/// True for a column whose values are items.
pub fn is_dimension(field: &Field) -> bool {
    !is_metric(field) && !KEYS.contains(&field.name().as_str())
}

/// True where one cell may hold several values, joined by [`LIST_SEPARATOR`].
pub fn is_multi_valued(name: &str) -> bool {
    matches!(name, "list1" | "list2" | "list3" | "product" | "category")
}

/// `evar12` of `("evar12", "evar")` is 12.
pub fn numbered(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    if digits.is_empty() || digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// The stable 64-bit key of a visitor. Part of the storage format: it must never change.
pub fn visitor_key(visitor_id: &str) -> i64 {
    xxhash_rust::xxh3::xxh3_64(visitor_id.as_bytes()) as i64
}

/// The largest sequence of an online row; offline rows of the same instant lie above it.
pub const ONLINE_SEQUENCE_END: i128 = 9 * 10_i128.pow(37);

/// Hit ids up to here keep their value; larger ones are folded, in order, 32 to one, and what is lost is the rest.
const EXACT_SEQUENCE_END: u128 = 8 * 10_u128.pow(37);

/// The sequence of a hit id and its rest, together in the order of the 128-bit number.
pub fn hit_sequence(high: u64, low: u64) -> (i128, i64) {
    let id = (u128::from(high) << 64) | u128::from(low);
    match id.checked_sub(EXACT_SEQUENCE_END) {
        None => (id as i128, 0),
        Some(beyond) => ((EXACT_SEQUENCE_END + (beyond >> 5)) as i128, (beyond & 31) as i64),
    }
}

/// The sequence of an online row without a hit id, from a hash of its content: 32 bits, which are noise and so take more
/// of the lake than most columns. They order rows of one visitor at one instant, so they are enough; what identifies a
/// row names those two as well.
pub fn content_sequence(hash: u64) -> i128 {
    i128::from(hash >> 32)
}

/// The sequence of an offline row, from a hash of its content: after every online row of the same instant.
pub fn offline_sequence(hash: u64) -> i128 {
    ONLINE_SEQUENCE_END + i128::from(hash)
}
