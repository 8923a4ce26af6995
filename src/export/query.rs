//! An export as SQL: a row a conversion, in the order of ids.
//!
//! The stable id is a hash of what a conversion is called, never of its file, its row or its value: a hit by its key, or by its id
//! and time, with its visitor; a record by its source, its transaction or customer ID and its time. What bears one of these
//! twice is distinguished later, by rank (`decide`). It must never change: targets know conversions by it. So what the sequence of a row
//! that a feed brought integrated has no room for is no part of it, which former versions did not keep.

use super::definition::{Credit, Export};
use super::fields::Treatment;
use crate::Result;
use crate::columns;
use crate::quote::{literal, quoted};

/// Hexadecimal digits of an id before its rank.
pub const ID_DIGITS: usize = 32;

/// Stands between the parts of what a conversion is called.
const SEPARATOR: char = '\u{1f}';

/// The columns before those of fields: `id`, `time`, `value`, `consent`.
pub const FIXED_COLUMNS: usize = 4;

/// An export, to be asked.
#[derive(Clone, Debug)]
pub struct Query {
    /// The query: `id`, `time` (microseconds), `value`, `consent`, then a text a field.
    pub sql: String,
    /// The fields that come from expressions, in the order of their columns.
    pub fields: Vec<ExportColumn>,
}

/// A field that comes from an expression.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportColumn {
    /// The field.
    pub name: String,
    /// How its values leave the lake.
    pub treatment: Treatment,
}

impl Query {
    /// The query of an export. Fails where a field is personal and nobody said how it may leave.
    pub fn of(export: &Export) -> Result<Self> {
        let settings = &export.settings;
        let mut fields = vec![];
        for (name, expression) in &settings.fields {
            fields.push(ExportColumn { name: name.clone(), treatment: export.treatment_of(name, expression)? });
        }
        let metric = quoted(&export.metric);
        let value = match (&settings.credit, &settings.value) {
            (Some(_), _) => "given.given_credit".to_string(),
            (None, Some(value)) => within(value),
            (None, None) => metric.clone(),
        };
        let consent = settings.consent.as_deref().map_or_else(|| "true".to_string(), within);
        let mut columns = vec![
            format!("{} AS id", id()),
            "CAST(hit_time AS BIGINT) AS time".to_string(),
            format!("CAST({value} AS DOUBLE) AS value"),
            format!("coalesce({consent}, false) AS consent"),
        ];
        let texts = settings.fields.values().enumerate();
        columns.extend(texts.map(|(n, expression)| format!("CAST({} AS VARCHAR) AS field_{n}", within(expression))));
        let (from, conditions) = match &settings.credit {
            Some(credit) => (
                format!("events JOIN ({}) AS given ON given.given_event = events.event_id", credited(export, credit)),
                vec!["given.given_credit <> 0".to_string()],
            ),
            None => ("events".to_string(), conditions(export)),
        };
        let conditions = [vec![format!("{metric} <> 0"), "row_kind <> 'summary'".to_string()], conditions].concat();
        let sql = format!("SELECT {} FROM {from} WHERE {} ORDER BY id", columns.join(", "), conditions.join(" AND "));
        Ok(Self { sql, fields })
    }

    /// Which of the fields this one is.
    pub fn place_of(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|column| column.name == name)
    }
}

/// What a user wrote, apart from what stands around it; it may end in a comment.
fn within(sql: &str) -> String {
    format!("(\n{sql}\n)")
}

fn conditions(export: &Export) -> Vec<String> {
    let settings = &export.settings;
    let conversions = settings.conversions.as_deref().map(|sql| format!("coalesce({}, false)", within(sql)));
    let visitors = settings.visitors.as_deref().map(|sql| {
        format!("visitor_id IN (SELECT visitor_id FROM events WHERE visitor_id IS NOT NULL AND {})", within(sql))
    });
    let visit = format!(
        "concat_ws('{SEPARATOR}', visitor_id, CAST(visit_num AS VARCHAR), CAST(CAST(visit_start AS BIGINT) AS VARCHAR))"
    );
    let visits = settings.visits.as_deref().map(|sql| {
        format!(
            "visit_num IS NOT NULL AND {visit} IN (SELECT {visit} FROM events WHERE visit_num IS NOT NULL AND {})",
            within(sql)
        )
    });
    let segment = settings.segment.as_deref().map(|name| format!("in_segment({})", literal(name)));
    [conversions, visitors, visits, segment].into_iter().flatten().collect()
}

/// What some items get of each conversion.
fn credited(export: &Export, credit: &Credit) -> String {
    let settings = &export.settings;
    let given = [
        ("conversions", &settings.conversions),
        ("visitors", &settings.visitors),
        ("visits", &settings.visits),
        ("segment", &settings.segment),
    ];
    let given = given.into_iter().filter_map(|(name, text)| Some((name, literal(text.as_deref()?))));
    let more = credit.arguments.iter().map(|(name, value)| (name.as_str(), value.clone()));
    let named: String = given.chain(more).map(|(name, value)| format!(", {name} => {value}")).collect();
    format!(
        "SELECT event_id AS given_event, sum(credit) AS given_credit FROM credits({}, {}{named}) WHERE {} GROUP BY event_id",
        literal(&export.metric),
        literal(&credit.dimension),
        within(&credit.items)
    )
}

/// See the top of this file.
fn id() -> String {
    let keyed = columns::KEYED_REST;
    let time = |column: &str| format!("CAST(CAST({column} AS BIGINT) AS VARCHAR)");
    let hit = format!(
        "concat_ws('{SEPARATOR}', suite, 'hit', coalesce(visitor_id, ''), \
         CASE WHEN hit_id_rest IS NOT NULL OR source = 'data_feed' THEN CAST(hit_seq AS VARCHAR) ELSE '' END, \
         CASE WHEN source = 'data_feed' THEN '' ELSE coalesce(CAST(hit_id_rest AS VARCHAR), '') END, \
         CASE WHEN hit_id_rest >= {keyed} THEN '' ELSE {} END)",
        time("hit_time")
    );
    let record = format!(
        "concat_ws('{SEPARATOR}', suite, 'record', coalesce(source, ''), row_kind, \
         coalesce(CASE WHEN row_kind = 'customer' THEN customer_id ELSE transaction_id END, ''), coalesce({}, ''))",
        time("record_time")
    );
    let called = format!("CASE WHEN row_kind = 'online' OR source = 'data_feed' THEN {hit} ELSE {record} END");
    format!("substr(encode(sha256({called}), 'hex'), 1, {ID_DIGITS})")
}

/// The id of a conversion of a rank among those that are called alike, from 1.
pub fn id_of_rank(id: &str, rank: usize) -> String {
    if rank == 1 { id.to_string() } else { format!("{id}-{rank}") }
}
