//! The tables of a lake: the name of each, how it comes to its rows, and the columns that it has before any data came.
//!
//! A table's name is written here, or where its record is declared (`records`), and nowhere else.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::Record;
use super::records::{
    ExportDefinition, ExportEvent, ExportRun, FileEntry, JoinReport, OwnTable, PersonAudit, PersonRule, PersonSpan,
    Rebuild, Run, SavedReport, Source, Suite, Vacuum,
};
use crate::columns::{self, key_field};

/// Customer IDs that hits bear, as rebuilds keep them so as not to read the hits again.
pub const BORNE_IDS: &str = "borne_ids";
/// Online and integrated rows: the main table.
pub const EVENTS: &str = "events";
/// `events` with its main columns.
pub const EVENTS_BRIEF: &str = "events_brief";
/// Online hits.
pub const HITS: &str = "hits";
/// Integrated offline rows: the part of [`EVENTS`] that a rebuild writes.
pub const INTEGRATED: &str = "integrated";
/// Offline records as loaded.
pub const OFFLINE: &str = "offline";
/// Rows that were not loaded.
pub const REJECTS: &str = "rejects";
/// Online hits that are reported, each once: what [`EVENTS`], visits, visitors and snapshots are made of.
pub const REPORTED_HITS: &str = "reported_hits";
/// One row for each suite and transaction ID: the first hit that bore it.
pub const SNAPSHOTS: &str = "snapshots";
/// One row for each visitor.
pub const VISITORS: &str = "visitors";
/// One row for each visit.
pub const VISITS: &str = "visits";

/// How a table comes to its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// Sorted by visitor; each load adds files.
    Loaded,
    /// Sorted by visitor; rebuilds write it.
    Integrated,
    /// In no order; each load adds files.
    Plain,
    /// Small, and replaced whole by each commit: settings, inputs, reports.
    Small,
    /// Small as well; what the lake notes of its own work. A result that reads it is not stale because work was done.
    WorkLog,
    /// SQL over the tables that are named, run while it is read.
    View(&'static [&'static str]),
}

/// A table that every lake has, with or without rows.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// How it comes to its rows.
    pub kind: TableKind,
    /// People see it in lists of tables.
    pub listed: bool,
    fields: fn() -> Vec<Field>,
}

/// All of them, by name.
pub static TABLES: &[Table] = &[
    Table { name: BORNE_IDS, kind: TableKind::Integrated, listed: false, fields: borne_ids },
    view(EVENTS, &[HITS, INTEGRATED]),
    view(EVENTS_BRIEF, &[HITS, INTEGRATED]),
    small::<ExportDefinition>(TableKind::Small),
    small::<ExportRun>(TableKind::WorkLog),
    small::<ExportEvent>(TableKind::Plain),
    small::<FileEntry>(TableKind::Small),
    Table { name: HITS, kind: TableKind::Loaded, listed: true, fields: hits },
    Table { name: INTEGRATED, kind: TableKind::Integrated, listed: false, fields: integrated },
    small::<JoinReport>(TableKind::Small),
    Table { name: OFFLINE, kind: TableKind::Loaded, listed: true, fields: offline },
    small::<OwnTable>(TableKind::WorkLog),
    small::<PersonAudit>(TableKind::Small),
    small::<PersonRule>(TableKind::Small),
    small::<PersonSpan>(TableKind::Small),
    small::<Rebuild>(TableKind::WorkLog),
    Table { name: REJECTS, kind: TableKind::Plain, listed: true, fields: rejects },
    Table { name: REPORTED_HITS, kind: TableKind::View(&[HITS]), listed: false, fields: Vec::new },
    small::<Run>(TableKind::WorkLog),
    small::<SavedReport>(TableKind::Small),
    Table { name: SNAPSHOTS, kind: TableKind::Integrated, listed: true, fields: snapshots },
    small::<Source>(TableKind::Small),
    small::<Suite>(TableKind::Small),
    small::<Vacuum>(TableKind::WorkLog),
    view(VISITORS, &[HITS]),
    view(VISITS, &[HITS]),
];

/// The table of this name, if every lake has it.
pub fn find(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// True for a table that every lake has: nobody else's table can have its name.
pub fn is_reserved(name: &str) -> bool {
    find(name).is_some()
}

/// Names of the tables that people see, in order.
pub fn listed() -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(|table| table.listed).map(|table| table.name)
}

/// Names of the tables of a kind.
pub fn of_kind(kind: TableKind) -> impl Iterator<Item = &'static str> {
    TABLES.iter().filter(move |table| table.kind == kind).map(|table| table.name)
}

/// The columns that a table always has, then those that its data brought, and for integrated rows what was set beside each
/// dimension. What the data lacks reads as NULL.
pub fn full_schema(name: &str, stored: &Schema) -> SchemaRef {
    let mut fields = find(name).map_or_else(Vec::new, |table| (table.fields)());
    for field in stored.fields() {
        if !fields.iter().any(|f| f.name() == field.name()) {
            fields.push(field.as_ref().clone());
        }
    }
    // what a record itself brought of a dimension is asked for wherever rows have the dimension
    if name == INTEGRATED {
        let carried =
            fields.iter().filter(|field| columns::may_be_carried(field)).map(|f| columns::set_column(f.name()));
        let missing = carried.filter(|set| stored.index_of(set).is_err()).collect::<Vec<_>>();
        fields.extend(missing.iter().map(|set| columns::dimension(set)));
    }
    let nullable = |f: Field| if stored.index_of(f.name()).is_ok() { f } else { f.with_nullable(true) };
    Arc::new(Schema::new(fields.into_iter().map(nullable).collect::<Vec<_>>()))
}

const fn view(name: &'static str, over: &'static [&'static str]) -> Table {
    Table { name, kind: TableKind::View(over), listed: true, fields: Vec::new }
}

const fn small<T: Record>(kind: TableKind) -> Table {
    Table { name: T::TABLE, kind, listed: true, fields: record_fields::<T> }
}

fn record_fields<T: Record>() -> Vec<Field> {
    T::schema().fields().iter().map(|f| f.as_ref().clone()).collect()
}

fn keys(names: &[&str]) -> Vec<Field> {
    names.iter().filter_map(|name| key_field(name)).collect()
}

/// Rows of a visitor from one place to another, all that bear an ID bearing this one.
fn borne_ids() -> Vec<Field> {
    let mut fields = keys(&["suite", "visitor_key", "visitor_id", "hit_time", "hit_seq"]);
    fields.push(Field::new("last_time", columns::timestamp(), true));
    fields.push(Field::new("last_seq", columns::sequence(), true));
    fields.extend(keys(&["customer_id", "file"]));
    fields
}

fn hits() -> Vec<Field> {
    let mut fields = keys(&[
        "suite",
        "visitor_key",
        "visitor_id",
        "visit_num",
        "visit_start",
        "visit_id",
        "hit_time",
        "hit_seq",
        "hit_id_rest",
        "hit_source",
        "exclude_hit",
        "transaction_id",
        "customer_id",
        "file",
        "persisted",
    ]);
    fields.push(columns::metric("page_views"));
    fields
}

fn offline() -> Vec<Field> {
    keys(&[
        "suite",
        "visitor_key",
        "visitor_id",
        "hit_time",
        "hit_seq",
        "hit_id_rest",
        "hit_source",
        "source",
        "kind",
        "file",
        "row",
        "received",
        "record_local",
        "has_time",
        "record_time",
        "transaction_id",
        "customer_id",
        "exclude_hit",
    ])
}

fn snapshots() -> Vec<Field> {
    keys(&[
        "suite",
        "transaction_id",
        "visitor_key",
        "visitor_id",
        "visit_num",
        "visit_start",
        "hit_time",
        "hit_seq",
        "hit_id_rest",
        "file",
        "persisted",
        "snapshot_listed",
    ])
}

fn integrated() -> Vec<Field> {
    keys(&[
        "suite",
        "visitor_key",
        "visitor_id",
        "event_id",
        "hit_time",
        "hit_seq",
        "hit_id_rest",
        "hit_source",
        "row_kind",
        "match_status",
        "transaction_id",
        "customer_id",
        "snapshot_time",
        "snapshot_seq",
        "snapshot_rest",
        "record_time",
        "source",
        "file",
        "row",
        "persisted",
        "stands_at_hit",
    ])
}

fn rejects() -> Vec<Field> {
    let mut fields = keys(&["suite", "source", "file"]);
    fields.push(Field::new("line", DataType::Int64, true));
    fields.extend(["column", "reason", "text"].map(columns::dimension));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_order_and_views_read_stored_tables() {
        assert!(TABLES.is_sorted_by_key(|table| table.name));
        for table in TABLES {
            if let TableKind::View(over) = table.kind {
                assert!(over.iter().all(|name| find(name).is_some_and(|t| !matches!(t.kind, TableKind::View(_)))));
            }
        }
    }
}
