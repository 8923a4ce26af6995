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
/// online ones, but for those that stand right after a hit: they have its sequence. Records with one sequence follow each
/// other by [`FILE`], [`ROW`] and [`SOURCE`].
pub const HIT_SEQ: &str = "hit_seq";
/// What of a hit id [`HIT_SEQ`] has no room for, so that both together are the hit id, in order; NULL where a row has none, and on
/// rows that a feed brought integrated in files of former versions, which did not keep it.
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
/// The number of a record's row in its file.
pub const ROW: &str = "row";
/// The data source of an offline row.
pub const SOURCE: &str = "source";
/// True where dimension columns hold values that the row merely carries (persisted, or a snapshot's), and what it set is in
/// the `_set` columns.
pub const PERSISTED: &str = "persisted";
/// The same of the marketing channel and of list variables: true where `{dimension}_set` says where it was set, as only
/// feeds with the columns for that can tell.
const PERSISTED_CHANNEL: &str = "persisted_channel";
const PERSISTED_LISTS: [&str; 3] = ["persisted_list1", "persisted_list2", "persisted_list3"];
/// Of the hit whose snapshot a record has: its [`HIT_ID_REST`].
pub const SNAPSHOT_REST: &str = "snapshot_rest";
/// True where an app sent the hit while nobody used it; NULL otherwise.
pub const BACKGROUND_HIT: &str = "background_hit";
/// The products of a row with what each has of its own, as a data feed writes them.
pub const PRODUCT_LIST: &str = "product_list";
/// True for an integrated row that has a date alone and stands right after its online hit: it has the hit's time and sequence.
pub const STANDS_AT_HIT: &str = "stands_at_hit";
/// One of `online`, `transaction`, `customer`, `summary`.
pub const ROW_KIND: &str = "row_kind";
/// One of `online`, `summary`, `matched`, `unmatched`, `expired`, `disabled`, `ambiguous`.
pub const MATCH_STATUS: &str = "match_status";

/// The person whose a row of events is, where its suite has persons: `id:` and an ID, or `visitor:` and a visitor.
pub const PERSON_ID: &str = "person_id";
/// [`MATCH_STATUS`] where all visitors of a person are one.
pub const PERSON_STATUS: &str = "person_status";

/// Ending of the columns of what was set.
const SET: &str = "_set";

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
    PERSON_ID,
    PERSON_STATUS,
    "event_id",
    "snapshot_time",
    "snapshot_seq",
    SNAPSHOT_REST,
    "snapshot_listed",
    STANDS_AT_HIT,
    "record_time",
    "record_local",
    "has_time",
    SOURCE,
    "kind",
    ROW,
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

/// The column that says what a row itself set of a dimension, where the dimension's value may merely be carried.
pub fn set_column(dimension: &str) -> String {
    format!("{dimension}{SET}")
}

/// The dimension beside which a column says what was set, if the name is that of such a column.
pub fn dimension_of_set(name: &str) -> Option<&str> {
    name.strip_suffix(SET)
}

/// True for a dimension whose value a row may carry without having set it: it persists, or comes from a snapshot.
pub fn may_be_carried(field: &Field) -> bool {
    let name = field.name().as_str();
    let own = HIT_ID.contains(&name) || matches!(name, PRODUCT_LIST | "event_list");
    is_dimension(field) && field.data_type() == &DataType::Utf8 && dimension_of_set(name).is_none() && !own
}

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
        "has_time" | PERSISTED | PERSISTED_CHANNEL | BACKGROUND_HIT | STANDS_AT_HIT => (DataType::Boolean, true),
        n if PERSISTED_LISTS.contains(&n) => (DataType::Boolean, true),
        ROW | HIT_ID_REST | SNAPSHOT_REST => (DataType::Int64, true),
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

/// The largest sequence of an online row; offline rows of the same instant are above it.
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

/// Rests of hit ids from here on stand for a key of the user's own.
pub const KEYED_REST: i64 = 1 << 62;

/// The sequence of a row with a key of the user's own, and its rest, from a hash of the key: together they tell it from the
/// other rows of its visitor.
pub fn key_sequence(key: &str) -> (i128, i64) {
    let hash = xxhash_rust::xxh3::xxh3_128(key.as_bytes());
    ((hash >> 96) as i128, KEYED_REST | (hash as i64 & (KEYED_REST - 1)))
}

/// True for the rest of a row with a key: rows with it are one whatever their times.
pub fn is_keyed(hit_id_rest: i64) -> bool {
    hit_id_rest >= KEYED_REST
}

/// Above the online rows: where the rows end that a data feed brings integrated, and the records begin; 121 bits have room above.
pub const RECORD_SEQUENCE_START: i128 = 95 * 10_i128.pow(36);

/// Online sequences up to here keep their distance among the integrated rows of a feed; larger ones are folded, in order.
const EXACT_INTEGRATED_END: i128 = 2 * 10_i128.pow(36);

/// The sequence of a row that a data feed brings integrated, from what would be its sequence as an online hit: after every
/// online row of the same instant, in the order of hit ids.
pub fn integrated_sequence(online: i128) -> i128 {
    let folded = (online - EXACT_INTEGRATED_END).max(0) >> 5;
    ONLINE_SEQUENCE_END + online.min(EXACT_INTEGRATED_END) + folded
}

/// What [`integrated_sequence`] has no room for, from the sequence and the rest of the hit id ([`hit_sequence`]): both together are
/// the hit id, in order.
pub fn integrated_rest(online: i128, rest: i64) -> i64 {
    let folded = (online - EXACT_INTEGRATED_END).max(0);
    (((folded & 31) as i64) << 5) | rest
}

/// Bytes of a file's name that are in the sequence of a record that waits for its integration.
const NAME_BYTES: usize = 11;
/// Bits for the number of a row, and for what tells files with one beginning apart.
pub const ROW_BITS: u32 = 24;
const FILE_BITS: u32 = 9;

/// Rows of a file up to which their numbers tell them apart in a sequence.
pub const SEQUENCED_ROWS: u64 = (1 << ROW_BITS) - 1;

/// The sequence of a record that waits for its integration: two records hardly ever have one. Of files whose names begin alike it knows
/// no order; a rebuild, which knows the names of all files, gives each record another sequence, which does.
pub fn record_sequence(file: &str, row: i64) -> i128 {
    let byte = |at| i128::from(file.as_bytes().get(at).copied().unwrap_or(0));
    let name = (0..NAME_BYTES).fold(0, |name, at| name << 8 | byte(at));
    let row = i128::from(row.clamp(0, (1 << ROW_BITS) - 1));
    let tail = i128::from(xxhash_rust::xxh3::xxh3_64(file.as_bytes()) >> (64 - FILE_BITS));
    RECORD_SEQUENCE_START + ((name << ROW_BITS | row) << FILE_BITS | tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offline_rows_follow_online_ones_by_hit_id_then_by_file_and_row() {
        let ids = [0, 1, 2, u64::MAX].map(|low| hit_sequence(0, low));
        let large = [(1 << 62, 0), (1 << 62, 1 << 20), (u64::MAX, 0), (u64::MAX, u64::MAX)];
        let ids = ids.into_iter().chain(large.map(|(high, low)| hit_sequence(high, low)));
        let feed = ids.map(|(sequence, _)| integrated_sequence(sequence));
        let records = [
            ("", 0),
            ("a.txt", 2),
            ("a.txt", 10),
            ("b.txt", 1),
            ("b.txt", i64::MAX),
            ("\u{10FFFF}\u{10FFFF}\u{10FFFF}", i64::MAX),
        ];
        let all: Vec<i128> = feed.chain(records.map(|(file, row)| record_sequence(file, row))).collect();
        assert!(all.is_sorted_by(|a, b| a < b), "{all:?}");
        assert!(all[0] >= ONLINE_SEQUENCE_END && all[all.len() - 1] < 10_i128.pow(38));
        assert!(hit_sequence(u64::MAX, u64::MAX).0 < ONLINE_SEQUENCE_END);
        assert_ne!(record_sequence("store_returns_1.txt", 7), record_sequence("store_returns_2.txt", 7));
    }

    #[test]
    fn sequence_and_rest_of_integrated_rows_are_the_hit_id() {
        let highs = [0, 1 << 56, 1 << 57, 1 << 62, 1 << 63, u64::MAX];
        let ids = highs.into_iter().flat_map(|high| (0..2048).map(move |low| (high, low)));
        let place = |(high, low)| {
            let (online, rest) = hit_sequence(high, low);
            (integrated_sequence(online), integrated_rest(online, rest))
        };
        let places: Vec<(i128, i64)> = ids.map(place).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "each id has a place of its own, in order");
        assert!(places.iter().all(|(_, rest)| (0..1024).contains(rest)));
        assert_eq!(places[0].1, 0, "of a small id nothing is lost");
        assert!(places.windows(2).any(|two| two[0].0 == two[1].0), "some differ in the rest alone");
    }
}
