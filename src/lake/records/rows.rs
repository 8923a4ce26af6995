//! The rows of the small tables: suites, sources, files, rebuilds, scheduled runs, exports, saved reports, and the join report.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::registry::Record;
use crate::columns::timestamp;

/// A small table for a person, in the words of its record.
#[derive(Clone, Copy, Debug)]
pub struct TableDoc {
    /// Name in SQL.
    pub name: &'static str,
    /// What a row is.
    pub description: &'static str,
    /// Its columns: name, meaning.
    pub columns: &'static [(&'static str, &'static str)],
}

/// All small tables.
pub fn documentation() -> [TableDoc; 15] {
    [
        Suite::DOCUMENTATION,
        Source::DOCUMENTATION,
        FileEntry::DOCUMENTATION,
        JoinReport::DOCUMENTATION,
        Rebuild::DOCUMENTATION,
        OwnTable::DOCUMENTATION,
        PersonRule::DOCUMENTATION,
        PersonSpan::DOCUMENTATION,
        PersonAudit::DOCUMENTATION,
        Run::DOCUMENTATION,
        Vacuum::DOCUMENTATION,
        ExportDefinition::DOCUMENTATION,
        ExportRun::DOCUMENTATION,
        ExportEvent::DOCUMENTATION,
        SavedReport::DOCUMENTATION,
    ]
}

/// Declares a record type, its Arrow schema, its table and its documentation, once.
macro_rules! record {
    ($(#[doc = $doc:literal])* $name:ident in $table:literal {
        $($(#[doc = $field_doc:literal])* $field:ident : $type:ty = $arrow:expr),* $(,)?
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
        pub struct $name { $($(#[doc = $field_doc])* #[serde(default)] pub $field: $type),* }

        impl $name {
            const DOCUMENTATION: TableDoc = TableDoc {
                name: $table,
                description: concat!($($doc),*),
                columns: &[$((stringify!($field), concat!($($field_doc),*))),*],
            };
        }

        impl Record for $name {
            const TABLE: &'static str = $table;
            fn schema() -> SchemaRef {
                Arc::new(Schema::new(vec![$(Field::new(stringify!($field), $arrow, true)),*]))
            }
        }
    };
}

const TEXT: DataType = DataType::Utf8;
const INTEGER: DataType = DataType::Int64;
const FLAG: DataType = DataType::Boolean;

record! {
    /// A report suite and its settings (a change holds from the next rebuild on, for all rows).
    Suite in "suites" {
        /// Report suite id.
        suite: String = TEXT,
        /// Transaction ID recording is on.
        transaction_id: bool = FLAG,
        /// Days after which a transaction ID expires, under `classic` rules.
        expiry_days: i64 = INTEGER,
        /// `event` or `received`: what the expiry is counted to.
        expiry_basis: String = TEXT,
        /// `classic` or `current`.
        rules: String = TEXT,
        /// IANA name of the time zone.
        time_zone: String = TEXT,
        /// ISO 4217 code of the base currency.
        currency: String = TEXT,
        /// Minutes without a hit that end a computed visit.
        visit_timeout_minutes: i64 = INTEGER,
        /// Hours of activity that end a computed visit.
        visit_hours: i64 = INTEGER,
        /// Hits that end a computed visit.
        visit_hits: i64 = INTEGER,
        /// Hits that an app sent while nobody used it are counted like others.
        background_hits: bool = FLAG,
        /// Items that differ only in case are one.
        fold_case: bool = FLAG,
        /// Customer ids that stand for nobody, as a JSON array; `0`, `null` and empty always do.
        placeholders: String = TEXT,
        /// Friendly names as a JSON object: column name to name.
        names: String = TEXT,
        /// Dimensions that are bound to products, as a JSON object: column name to how.
        bindings: String = TEXT,
        /// Dimensions that persist as a JSON object: column name to allocation and expiry.
        persistence: String = TEXT,
        /// Segments as a JSON object: name to container and conditions.
        segments: String = TEXT,
        /// How persons are found: `off`, `device_split` or `last`.
        persons: String = TEXT,
        /// An ID on more visitors than this links nobody.
        person_limit: i64 = INTEGER,
        /// The headers of the last data feed delivery that had them, tab separated, for deliveries without.
        feed_headers: String = TEXT,
        /// When the suite was created.
        created: Option<DateTime<Utc>> = timestamp(),
    }
}

record! {
    /// A data source: a named place of a suite where offline records of one type come in.
    Source in "sources" {
        /// Login-like id, `RSID_NNNNNNNNNN`.
        id: String = TEXT,
        /// Suite that it belongs to.
        suite: String = TEXT,
        /// Name, unique in its suite.
        source: String = TEXT,
        /// `summary`, `transaction` or `customer`.
        kind: String = TEXT,
        /// Metrics for the template, comma separated.
        metrics: String = TEXT,
        /// Dimensions for the template, comma separated.
        dimensions: String = TEXT,
        /// `skip` (reject bad rows, load the others) or `stop` (halt the source until it is restarted).
        on_error: String = TEXT,
        /// `active`, `stopped` (by an error) or `inactive` (by the user).
        status: String = TEXT,
        /// When the source was created.
        created: Option<DateTime<Utc>> = timestamp(),
    }
}

record! {
    /// One input that was offered to the lake: the File Log.
    FileEntry in "files" {
        /// Name of the delivery or file.
        file: String = TEXT,
        /// Suite.
        suite: String = TEXT,
        /// Data source; empty for online hits.
        source: String = TEXT,
        /// `online` or `offline`.
        kind: String = TEXT,
        /// `feed`, `source_text`, `source_json`, `parquet`, `csv` or `ndjson`.
        format: String = TEXT,
        /// `loaded`, `copy` (its bytes are loaded under another name), `refused`, `removed` or `replaced`.
        status: String = TEXT,
        /// When it was received.
        received: Option<DateTime<Utc>> = timestamp(),
        /// Rows loaded.
        rows: i64 = INTEGER,
        /// Rows rejected.
        rejected: i64 = INTEGER,
        /// Warnings.
        warnings: i64 = INTEGER,
        /// Size of the input in bytes.
        bytes: i64 = INTEGER,
        /// Hash of the content; with name, suite and source it identifies the load.
        content: String = TEXT,
        /// Hash of the bytes alone, whatever mapping reads them; of a gzipped file's unpacked ones.
        data: Option<String> = TEXT,
        /// For a data feed: hash of what its archives hold, however they are packed; NULL where an earlier version loaded it.
        unpacked: Option<String> = TEXT,
        /// For a mapped online file: the dimensions that a snapshot takes from it, comma separated, when the mapping lists them.
        snapshot: Option<String> = TEXT,
        /// For a data feed: what says which rows set eVars and campaign: `instances` (ids of `event.tsv` in `post_event_list`), `raw columns`, or `both` (raw columns of those that `event.tsv` does not name); NULL where it has none of these, and where an earlier version loaded it, by the raw columns.
        touches: Option<String> = TEXT,
        /// For a data feed read by instances: rows on which the raw columns would tell other touches.
        disagreeing: i64 = INTEGER,
        /// For a data feed: the eVars, comma separated, whose product lines say which of them bind a value anew.
        binding_instances: Option<String> = TEXT,
        /// For a data feed: the dimensions that it has with processed values, which persist already, comma separated.
        processed: Option<String> = TEXT,
        /// What happened, for a person.
        message: String = TEXT,
    }
}

record! {
    /// One rebuild: when, how much, and the version of every table that it read and wrote.
    Rebuild in "rebuilds" {
        /// Number, from 1.
        rebuild: i64 = INTEGER,
        /// Start.
        started: Option<DateTime<Utc>> = timestamp(),
        /// End.
        ended: Option<DateTime<Utc>> = timestamp(),
        /// `full`, or `changed`: only what hung on inputs that changed.
        scope: String = TEXT,
        /// Integrated offline rows.
        rows: i64 = INTEGER,
        /// Those of them that this rebuild integrated.
        new_rows: i64 = INTEGER,
        /// Snapshots.
        snapshots: i64 = INTEGER,
        /// Those of them that this rebuild took.
        new_snapshots: i64 = INTEGER,
        /// Every table's version, as a JSON object.
        versions: String = TEXT,
        /// What else decided its outcome (the integration's queries), as a JSON object.
        inputs: String = TEXT,
    }
}

record! {
    /// A table of the user's own: its query, and how its last build went.
    OwnTable in "own_tables" {
        /// Name of the table.
        table: String = TEXT,
        /// `built`, `failed` or `skipped`; a table that was not built keeps its former rows.
        status: String = TEXT,
        /// Rows of the last build.
        rows: i64 = INTEGER,
        /// When it was built.
        built: Option<DateTime<Utc>> = timestamp(),
        /// Why it was not.
        message: String = TEXT,
        /// The text of its file.
        sql: String = TEXT,
        /// What it was built from, as a JSON object.
        inputs: String = TEXT,
    }
}

impl OwnTable {
    /// A table that was never built.
    pub fn new(table: &str) -> Self {
        let text = String::new;
        Self { table: table.into(), status: text(), rows: 0, built: None, message: text(), sql: text(), inputs: text() }
    }
}

record! {
    /// One run that deleted files of former versions.
    Vacuum in "vacuums" {
        /// Start.
        started: Option<DateTime<Utc>> = timestamp(),
        /// Versions that were current at this time or later are whole.
        kept_since: Option<DateTime<Utc>> = timestamp(),
        /// The oldest rebuild that is whole; 0 where there was none.
        oldest_rebuild: i64 = INTEGER,
    }
}

record! {
    /// One scheduled run.
    Run in "runs" {
        /// Number, from 1.
        run: i64 = INTEGER,
        /// When it was due; of several that were missed, the first.
        due: Option<DateTime<Utc>> = timestamp(),
        /// Start.
        started: Option<DateTime<Utc>> = timestamp(),
        /// End.
        ended: Option<DateTime<Utc>> = timestamp(),
        /// `ok`, `partly` (an input was refused, a table of one's own not built, an export not sent), `failed`, or `stopped` (by a signal; it is run again).
        status: String = TEXT,
        /// Inputs loaded or replaced.
        loaded: i64 = INTEGER,
        /// Inputs refused.
        refused: i64 = INTEGER,
        /// Inputs that are not complete, or whose source is stopped.
        waiting: i64 = INTEGER,
        /// Rows loaded.
        rows: i64 = INTEGER,
        /// Rows rejected.
        rejected: i64 = INTEGER,
        /// Rows that were older than the months to keep, and are forgotten.
        forgotten: i64 = INTEGER,
        /// The rebuild that it made; NULL where nothing was stale.
        rebuild: Option<i64> = INTEGER,
        /// What went wrong, for a person.
        message: String = TEXT,
    }
}

record! {
    /// What matched, per offline file.
    JoinReport in "join_report" {
        /// Suite.
        suite: String = TEXT,
        /// Data source.
        source: String = TEXT,
        /// Kind of the source.
        kind: String = TEXT,
        /// File.
        file: String = TEXT,
        /// Records loaded and rejected.
        records: i64 = INTEGER,
        /// Took a snapshot or found its customer.
        matched: i64 = INTEGER,
        /// No such transaction ID or customer.
        unmatched: i64 = INTEGER,
        /// The transaction ID was too old.
        expired: i64 = INTEGER,
        /// Transaction ID recording is off.
        disabled: i64 = INTEGER,
        /// Customer seen on several visitors.
        ambiguous: i64 = INTEGER,
        /// Summary rows.
        summary: i64 = INTEGER,
        /// Rejected rows.
        rejected: i64 = INTEGER,
        /// Distinct transaction IDs of this file that another source uses, too.
        shared_ids: i64 = INTEGER,
    }
}

record! {
    /// An export: which conversions are sent to whom.
    ExportDefinition in "export_definitions" {
        /// Name of the export.
        export: String = TEXT,
        /// Suite that it belongs to.
        suite: String = TEXT,
        /// `ecapi`, `google`, `meta` or `csv`.
        target: String = TEXT,
        /// The metric of the conversions.
        metric: String = TEXT,
        /// All else that was said when it was created, as a JSON object.
        settings: String = TEXT,
        /// When it was created.
        created: Option<DateTime<Utc>> = timestamp(),
    }
}

record! {
    /// One run of an export that had something to tell.
    ExportRun in "export_runs" {
        /// Name of the export.
        export: String = TEXT,
        /// Number, from 1 for each export.
        run: i64 = INTEGER,
        /// Suite.
        suite: String = TEXT,
        /// The target.
        target: String = TEXT,
        /// `waiting` (for its acknowledgement), `acknowledged`, or `discarded` (it was never sent).
        status: String = TEXT,
        /// When it was made.
        made: Option<DateTime<Utc>> = timestamp(),
        /// When it was acknowledged or discarded.
        ended: Option<DateTime<Utc>> = timestamp(),
        /// Conversions that the target has not had.
        new: i64 = INTEGER,
        /// Conversions of which the target has another value, time or currency.
        restated: i64 = INTEGER,
        /// Conversions that the target has and that are no more.
        retracted: i64 = INTEGER,
        /// Conversions that cannot be sent, where that was not noted before.
        ineligible: i64 = INTEGER,
        /// How many of them for which reason, as a JSON object.
        reasons: String = TEXT,
        /// Bodies, each a file and a request.
        bodies: i64 = INTEGER,
        /// Those of them that were posted and accepted, from the first.
        posted: i64 = INTEGER,
        /// What tells this run's bodies from those of a run that lost against it.
        attempt: String = TEXT,
    }
}

record! {
    /// The ledger of exports: for each conversion what was sent last, and what waits for its acknowledgement.
    ExportEvent in "exports" {
        /// Suite.
        suite: String = TEXT,
        /// Name of the export.
        export: String = TEXT,
        /// The conversion's id, for ever.
        event: String = TEXT,
        /// The run that sent it.
        run: i64 = INTEGER,
        /// `new`, `restated`, `retracted`, `ineligible`, or `unchanged` (the target has it so after all).
        action: String = TEXT,
        /// Why it is not sent, or why it is retracted.
        reason: Option<String> = TEXT,
        /// When it converted; NULL where it is no more.
        time: Option<DateTime<Utc>> = timestamp(),
        /// Its value.
        value: Option<f64> = DataType::Float64,
        /// Currency of the value.
        currency: Option<String> = TEXT,
        /// The time that the target has of it after this run; NULL where it has none.
        sent_time: Option<DateTime<Utc>> = timestamp(),
        /// The value that the target has of it after this run.
        sent_value: Option<f64> = DataType::Float64,
        /// The currency that the target has of it after this run.
        sent_currency: Option<String> = TEXT,
        /// Under which identifiers the target has it, where it takes nothing back without them: JSON, people's hashed.
        identifiers: Option<String> = TEXT,
    }
}

record! {
    /// A rule of the user's about whose rows are whose; the latest of two that contradict each other holds.
    PersonRule in "person_rules" {
        /// Suite.
        suite: String = TEXT,
        /// When it was made.
        made: Option<DateTime<Utc>> = timestamp(),
        /// Its place among the rules of one instant.
        place: i64 = INTEGER,
        /// `link`, `unlink`, `block` or `unblock`; `forgotten`: rows of the visitor that a forgotten person had.
        rule: String = TEXT,
        /// Whom it is about: `id:` and a customer ID, or `visitor:` and a visitor.
        first: String = TEXT,
        /// The other, where it is about two; from when to when, where rows are forgotten.
        second: Option<String> = TEXT,
    }
}

record! {
    /// Whose the rows of a visitor are, from when to when, as the last rebuild found it; of visitors with a customer ID, or with a rule.
    PersonSpan in "persons" {
        /// Suite.
        suite: String = TEXT,
        /// The visitor.
        visitor_id: String = TEXT,
        /// The first time; NULL from ever.
        valid_from: Option<DateTime<Utc>> = timestamp(),
        /// The sequence of the first row among rows of that time.
        from_seq: Option<String> = crate::columns::sequence(),
        /// The time at which it ends; NULL for ever.
        valid_until: Option<DateTime<Utc>> = timestamp(),
        /// The sequence of the first row of that time that is no longer in it.
        until_seq: Option<String> = crate::columns::sequence(),
        /// The person: `id:` and a customer ID, or `visitor:` and a visitor.
        person_id: String = TEXT,
        /// What says so: `id` (a row of the visitor), `linked id` (a rule), `linked visitor` (a row of a visitor that a rule links), `no id`.
        why: String = TEXT,
        /// True where the visitor's rows are not exactly those of one person.
        shared: bool = FLAG,
    }
}

record! {
    /// Customer IDs that are not simply a person, as the last rebuild found it.
    PersonAudit in "person_audit" {
        /// Suite.
        suite: String = TEXT,
        /// The customer ID.
        customer_id: String = TEXT,
        /// `limit` (on too many visitors) and `blocked` (by a rule): it counts as no ID; `linked` (by a rule): it is another ID's person.
        verdict: String = TEXT,
        /// The person whose it is, where it is linked.
        person_id: Option<String> = TEXT,
        /// Visitors that it, or an ID that it is linked to, is on.
        visitors: i64 = INTEGER,
    }
}

record! {
    /// A question of the web page under a name.
    SavedReport in "saved_reports" {
        /// Suite that it asks.
        suite: String = TEXT,
        /// Its name, one of a kind in its suite.
        report: String = TEXT,
        /// The page that answers it: `credit`, `funnel`, `flow` or `paths`.
        page: String = TEXT,
        /// The question, as in the page's address.
        question: String = TEXT,
        /// The user who saved it.
        saved_by: String = TEXT,
        /// When it was saved.
        saved: Option<DateTime<Utc>> = timestamp(),
    }
}

impl Suite {
    /// True where persons are found in it.
    pub fn has_persons(&self) -> bool {
        !matches!(self.persons.as_str(), "" | "off")
    }

    /// A suite with the default settings.
    pub fn new(suite: &str) -> Self {
        Self {
            suite: suite.into(),
            transaction_id: true,
            expiry_days: 90,
            expiry_basis: "event".into(),
            rules: "classic".into(),
            time_zone: "UTC".into(),
            currency: "USD".into(),
            visit_timeout_minutes: 30,
            visit_hours: 12,
            visit_hits: 2500,
            background_hits: false,
            fold_case: false,
            placeholders: "[]".into(),
            names: "{}".into(),
            bindings: "{}".into(),
            segments: "{}".into(),
            persons: "off".into(),
            person_limit: 20,
            feed_headers: String::new(),
            persistence: "{}".into(),
            created: Some(crate::clock::now()),
        }
    }
}
