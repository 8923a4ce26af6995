//! Forgets rows: those of visitors, of a person (`person`), or those before a month. Erasure and retention use the same code.
//!
//! In: visitor ids, a person, or a month. Out: how many rows were removed from which table. A visitor's rows are the hits, the offline
//! records that were integrated for the visitor or have a transaction ID of the visitor's, the rows derived from both (`integrated`,
//! `snapshots`), rejected rows whose text has the id, and rules of persons that name it. A person's rows are these of the hits with an
//! ID of the person; for a person without an ID, of all of the person's hits. The next rebuild recomputes what depended on them.
//!
//! There is one commit a table, in an order in which an interrupted run can be run again. First the file log gets how many rows of each
//! load stay, so that `ingest` finds the same file unchanged and does not bring the rows back. Then the offline records and the hits are
//! removed; then the rows of the tables by which offline records are found; last the rules, by which a person is found. What rebuilds
//! keep of customer IDs is removed when no hit with them is left. Rows that another writer brings meanwhile are looked for until there
//! are none. Former versions hold the rows until `vacuum` deletes their files.

mod person;

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Int64Type;
use chrono::{DateTime, Datelike, Months, NaiveDate, NaiveTime};
use datafusion::functions::regex::expr_fn::regexp_like;
use datafusion::logical_expr::{Expr, ident, lit};
use datafusion::scalar::ScalarValue;
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use serde::Serialize;

use self::person::{Person, Records};
use super::key::FEED_SOURCE;
use super::key::Key;
use crate::columns::{FILE, HIT_TIME, SUITE, VISITOR_ID};
use crate::engine::{Engine, EngineSettings};
use crate::lake::expunge::{RowsToRemove, expunge, find};
use crate::lake::layout::{TAG_SOURCE, TAG_SUITE};
use crate::lake::records::{FileEntry, PersonRule, Suite};
use crate::lake::rewrite::Limits;
use crate::lake::suites::{find as find_suite, suites};
use crate::lake::tables::{BORNE_IDS, HITS, INTEGRATED, OFFLINE, REJECTS, SNAPSHOTS};
use crate::lake::{Lake, Record, Registry, Snapshot, person_rules};
use crate::persons::Subject;
use crate::quote::literals;
use crate::time::from_local;
use crate::{Error, Result};

/// The tables that rows leave, in this order; see above.
const TABLES: [&str; 5] = [OFFLINE, REJECTS, HITS, INTEGRATED, SNAPSHOTS];

/// How often rows are looked for that came meanwhile.
const ROUNDS: u32 = 5;

/// Whose rows are forgotten.
#[derive(Clone, Debug, PartialEq)]
pub enum Whose {
    /// Those of visitors, by id.
    Visitors(Vec<String>),
    /// Those of a person, by a customer ID or by the visitor who is one.
    Person(Subject),
    /// Those before the first instant of this day, in the suite's zone.
    Before(NaiveDate),
}

/// How rows are forgotten.
#[derive(Clone, Debug)]
pub struct ForgetOptions {
    /// Only rows of this suite; of all suites otherwise.
    pub suite: Option<String>,
    /// Only count.
    pub dry_run: bool,
    /// Memory and threads.
    pub limits: Limits,
}

/// Rows that left a table, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ForgottenTable {
    /// Name.
    pub table: String,
    /// Rows.
    pub rows: u64,
    /// Files that were written again or dropped.
    pub files: u64,
}

/// What was forgotten, or would be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Forgotten {
    /// Nothing was changed, only counted.
    pub dry_run: bool,
    /// Every table that may hold such rows.
    pub tables: Vec<ForgottenTable>,
    /// Loads that were interrupted and lost rows here: loading them again brings those back.
    pub incomplete: Vec<String>,
}

impl Forgotten {
    /// Rows in all tables.
    pub fn rows(&self) -> u64 {
        self.tables.iter().map(|t| t.rows).sum()
    }
}

/// A month as people write it: `2025-01`. Its first day.
pub fn month(text: &str) -> Result<NaiveDate> {
    let day = NaiveDate::parse_from_str(&format!("{text}-01"), "%Y-%m-%d").ok();
    let day = day.filter(|_| text.len() == 7 && text.starts_with(|c: char| c.is_ascii_digit()));
    day.ok_or_else(|| Error::usage(format!("{text:?} is no month; write e.g. 2025-01, which is kept as the first")))
}

/// Keeps the current month of each suite and so many before it; older rows are forgotten.
pub async fn retain(lake: &Lake, months: u32, options: &ForgetOptions) -> Result<Forgotten> {
    let mut total: Option<Forgotten> = None;
    for suite in chosen(lake, options).await? {
        let today = crate::clock::now().with_timezone(&zone_of(&suite)?).date_naive();
        let first = today.with_day(1).and_then(|day| day.checked_sub_months(Months::new(months)));
        let Some(first) = first else { continue };
        let options = ForgetOptions { suite: Some(suite.suite), ..options.clone() };
        let done = forget(lake, &Whose::Before(first), &options).await?;
        match &mut total {
            Some(total) => total.add(done),
            None => total = Some(done),
        }
    }
    Ok(total.unwrap_or_else(|| Forgotten::none(options.dry_run)))
}

/// Forgets rows. Running it again finds nothing.
///
/// # Errors
/// A person of whom there is nothing: a mistyped one is not taken for one who is forgotten.
pub fn forget<'a>(
    lake: &'a Lake,
    whose: &'a Whose,
    options: &'a ForgetOptions,
) -> LocalBoxFuture<'a, Result<Forgotten>> {
    async move {
        let suites = chosen(lake, options).await?;
        let persons = match whose {
            Whose::Person(whom) => person::find(lake, whom, &suites).await?,
            Whose::Visitors(_) | Whose::Before(_) => vec![],
        };
        let named = named_by_rules(whose, &suites, &persons);
        let mut total = Forgotten::none(options.dry_run);
        for round in 0..ROUNDS {
            let rows = RowConditions::of(lake, whose, &suites, &persons).await?;
            let mut removed = BTreeMap::new();
            for table in TABLES {
                let snapshot = Snapshot::open(lake, table, None).await?;
                removed.insert(table, find(lake, &snapshot, rows.of_table(table)).await?);
            }
            if let (Whose::Person(whom), 0) = (whose, round)
                && removed.values().all(Vec::is_empty)
                && person_rules::count_naming(lake, &named).await? == 0
            {
                return Err(person::unknown(whom, &persons));
            }
            if options.dry_run {
                for (table, found) in removed {
                    total.add_rows(table, found.iter().map(RowsToRemove::rows).sum(), found.len() as u64);
                }
                total.add_rules(person_rules::count_naming(lake, &named).await?);
                return Ok(total);
            }
            if round == 0 {
                // before the rows go by which they were found
                for person in &persons {
                    person_rules::add_forgotten(lake, &person.suite, &person.had).await?;
                }
            }
            let incomplete = lower(lake, [HITS, OFFLINE].iter().flat_map(|table| &removed[table])).await?;
            total.incomplete.extend(incomplete);
            if removed.values().all(Vec::is_empty) {
                // no table that anybody asks for: loads that have other rows now are read again by the next rebuild
                expunge(lake, BORNE_IDS, rows.of_table(HITS), &options.limits).await?;
                total.add_rules(person_rules::remove_naming(lake, &named).await?);
                total.incomplete.sort();
                total.incomplete.dedup();
                return Ok(total);
            }
            for table in TABLES {
                let done = expunge(lake, table, rows.of_table(table), &options.limits).await?;
                total.add_rows(table, done.rows, done.files);
            }
        }
        Err(Error::conflict("somebody keeps loading such rows; run the command again when that has ended"))
    }
    .boxed_local()
}

impl Forgotten {
    fn none(dry_run: bool) -> Self {
        let tables = TABLES.into_iter().chain([PersonRule::TABLE]);
        let tables = tables.map(|table| ForgottenTable { table: table.to_string(), rows: 0, files: 0 });
        Self { dry_run, tables: tables.collect(), incomplete: vec![] }
    }

    fn add_rows(&mut self, table: &str, rows: u64, files: u64) {
        for own in self.tables.iter_mut().filter(|own| own.table == table) {
            own.rows += rows;
            own.files += files;
        }
    }

    /// The table of rules is one file, written whole.
    fn add_rules(&mut self, rules: u64) {
        self.add_rows(PersonRule::TABLE, rules, u64::from(rules > 0));
    }

    fn add(&mut self, more: Self) {
        for table in more.tables {
            self.add_rows(&table.table, table.rows, table.files);
        }
        self.incomplete.extend(more.incomplete);
    }
}

async fn chosen(lake: &Lake, options: &ForgetOptions) -> Result<Vec<Suite>> {
    let all = suites(lake).await?;
    match &options.suite {
        Some(name) => Ok(vec![find_suite(&all, name)?.clone()]),
        None => Ok(all),
    }
}

/// Whom rules may name of whom nothing is left then: suite, and a customer ID or a visitor.
fn named_by_rules(whose: &Whose, suites: &[Suite], persons: &[Person]) -> BTreeSet<(String, String)> {
    let visitor = |id: &String| Subject::Visitor(id.clone()).to_string();
    match whose {
        Whose::Before(_) => BTreeSet::new(),
        Whose::Visitors(ids) => {
            suites.iter().flat_map(|s| ids.iter().map(move |id| (s.suite.clone(), visitor(id)))).collect()
        }
        Whose::Person(_) => {
            let subjects = |person: &Person| {
                let ids = person.ids.iter().map(|id| Subject::Id(id.clone()).to_string());
                let subjects = ids.chain(person.wholly.iter().map(visitor));
                subjects.map(|subject| (person.suite.clone(), subject)).collect::<Vec<_>>()
            };
            persons.iter().flat_map(subjects).collect()
        }
    }
}

/// Which rows go, as alternatives by table.
#[derive(Default)]
struct RowConditions(BTreeMap<&'static str, Vec<Expr>>);

impl RowConditions {
    async fn of(lake: &Lake, whose: &Whose, suites: &[Suite], persons: &[Person]) -> Result<Self> {
        let mut rows = Self::default();
        match whose {
            Whose::Visitors(ids) => {
                let names: Vec<&str> = suites.iter().map(|s| s.suite.as_str()).collect();
                rows.of_visitors(ids, &names, records_of(lake, ids, &names).await?);
            }
            Whose::Person(_) => {
                for person in persons {
                    rows.of_person(person, person.records(lake).await?);
                }
            }
            Whose::Before(day) => {
                let log = Registry::<FileEntry>::read(lake).await?.rows;
                for suite in suites {
                    rows.before(*day, suite, &log)?;
                }
            }
        }
        Ok(rows)
    }

    fn of_table(&self, table: &str) -> &[Expr] {
        self.0.get(table).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, table: &'static str, rows: Expr) {
        self.0.entry(table).or_default().push(rows);
    }

    fn of_visitors(&mut self, ids: &[String], suites: &[&str], records: Records) {
        let texts = |values: &[String]| values.iter().map(|v| lit(v.as_str())).collect();
        for suite in suites {
            let own = ident(SUITE).eq(lit(*suite));
            for table in [HITS, OFFLINE, INTEGRATED, SNAPSHOTS] {
                self.add(table, own.clone().and(ident(VISITOR_ID).in_list(texts(ids), false)));
            }
            self.naming(&own, ids);
        }
        self.of_records(records);
    }

    fn of_person(&mut self, person: &Person, found: person::RecordsOfPerson) {
        let alternatives: [(&[&'static str], Option<Expr>); 5] = [
            (&[HITS, SNAPSHOTS], person.has_hit()),
            (&[INTEGRATED], person.has_record()),
            (&[HITS, OFFLINE, INTEGRATED], person.bears_id()),
            (&[OFFLINE], person.of_wholly()),
            (&[OFFLINE], person.of_feeds(&found.of_feeds)),
        ];
        for (tables, rows) in alternatives {
            let Some(rows) = rows else { continue };
            for &table in tables {
                self.add(table, rows.clone());
            }
        }
        self.of_records(found.records);
        self.naming(&person.of_suite(), &person.ids);
        self.naming(&person.of_suite(), &person.wholly);
    }

    /// Rejected rows of a suite whose text names one of the ids.
    fn naming(&mut self, own: &Expr, ids: &[String]) {
        for words in ids.iter().map(|id| words_of(id)) {
            let named = |column: &str| {
                let all = words.iter().map(|word| regexp_like(ident(column), lit(as_a_word(word)), None));
                all.reduce(Expr::and).map(|named| named.is_true())
            };
            let rows = named("text").into_iter().chain(named("reason")).reduce(Expr::or);
            rows.into_iter().for_each(|named| self.add(REJECTS, own.clone().and(named)));
        }
    }

    /// Offline records, and what came of them.
    fn of_records(&mut self, records: Records) {
        for ((suite, source, file), numbers) in records {
            let number = ident("row").in_list(numbers.into_iter().map(lit).collect(), false);
            let load = ident(SUITE).eq(lit(suite)).and(ident("source").eq(lit(source))).and(ident(FILE).eq(lit(file)));
            for table in [OFFLINE, INTEGRATED] {
                self.add(table, load.clone().and(number.clone()));
            }
        }
    }

    fn before(&mut self, day: NaiveDate, suite: &Suite, log: &[FileEntry]) -> Result<()> {
        let time = |micros: i64| lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())));
        let wall_clock = day.and_time(NaiveTime::MIN).and_utc().timestamp_micros();
        let instant = from_local(wall_clock, zone_of(suite)?)
            .ok_or_else(|| Error::usage(format!("{day} is not a day of this calendar")))?;
        let own = ident(SUITE).eq(lit(suite.suite.as_str()));
        for table in [HITS, INTEGRATED, SNAPSHOTS] {
            self.add(table, own.clone().and(ident(HIT_TIME).lt(time(instant))));
        }
        // an offline record has an instant, or else what the suite's clock showed
        let by_clock = ident("record_time").is_null().and(ident("record_local").lt(time(wall_clock)));
        self.add(OFFLINE, own.clone().and(ident("record_time").lt(time(instant))));
        self.add(OFFLINE, own.clone().and(by_clock));
        // a rejected row has no time that could be read, so it is as old as its file
        let mut received: BTreeMap<&str, Vec<Expr>> = BTreeMap::new();
        let started = DateTime::from_timestamp_micros(instant);
        for entry in log.iter().filter(|e| e.suite == suite.suite && e.rejected > 0 && e.received < started) {
            received.entry(&entry.source).or_default().push(lit(entry.file.as_str()));
        }
        for (source, files) in received {
            let source = if source.is_empty() { ident("source").is_null() } else { ident("source").eq(lit(source)) };
            self.add(REJECTS, own.clone().and(source).and(ident(FILE).in_list(files, false)));
        }
        Ok(())
    }
}

fn zone_of(suite: &Suite) -> Result<chrono_tz::Tz> {
    let zone = suite.time_zone.parse();
    zone.map_err(|_| Error::configuration(format!("suite {}: there is no time zone {}", suite.suite, suite.time_zone)))
}

/// What a rejected text must name: the id; of a data feed's visitor, whose halves stand in two fields, both.
fn words_of(id: &str) -> Vec<&str> {
    let digits = |half: &str| half.len() > 3 && half.bytes().all(|b| b.is_ascii_digit());
    match id.split_once('_') {
        Some((high, low)) if digits(high) && digits(low) => vec![high, low],
        _ => vec![id],
    }
}

/// A pattern for a text in which the word stands alone.
fn as_a_word(word: &str) -> String {
    let mut pattern = String::from("(^|[^0-9A-Za-z])");
    for c in word.chars() {
        // of these a backslash would make something else
        if c.is_ascii_punctuation() && !"_<>".contains(c) {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern + "($|[^0-9A-Za-z])"
}

/// The records that were integrated for the visitors, and those that bear a transaction ID of theirs, matched or not.
async fn records_of(lake: &Lake, ids: &[String], suites: &[&str]) -> Result<Records> {
    let (ids, suites) = (literals(ids.iter().map(String::as_str)), literals(suites.iter().copied()));
    let mut records = Records::new();
    if suites.is_empty() || ids.is_empty() {
        return Ok(records);
    }
    let sql = format!(
        "SELECT suite, source, file, \"row\" FROM integrated \
         WHERE suite IN ({suites}) AND visitor_id IN ({ids}) AND source <> '{FEED_SOURCE}' \
         UNION \
         SELECT o.suite, o.source, o.file, o.\"row\" FROM offline o \
         JOIN snapshots s ON s.suite = o.suite AND s.transaction_id = trim(o.transaction_id) \
         WHERE s.suite IN ({suites}) AND s.visitor_id IN ({ids}) AND o.kind = 'transaction' AND o.source <> '{FEED_SOURCE}'"
    );
    let engine = Engine::open(lake.clone(), EngineSettings::default()).await?;
    for batch in engine.collect(&sql).await? {
        let text = |i: usize| {
            arrow::compute::cast(batch.column(i), &arrow::datatypes::DataType::Utf8)
                .map(|c| arrow::array::StringArray::from(c.to_data()))
        };
        let (suites, sources, files) = (text(0)?, text(1)?, text(2)?);
        let numbers = batch.column(3).as_primitive::<Int64Type>();
        for row in (0..batch.num_rows()).filter(|row| numbers.is_valid(*row)) {
            let load = (suites.value(row).into(), sources.value(row).into(), files.value(row).into());
            records.entry(load).or_default().push(numbers.value(row));
        }
    }
    Ok(records)
}

/// Lowers the rows that the file log has of each load to those that stay, where the log agrees with the tables; the names
/// of loads where it does not.
async fn lower(lake: &Lake, removed: impl Iterator<Item = &RowsToRemove>) -> Result<Vec<String>> {
    let mut going: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    for found in removed {
        let tag = |name| found.file.tags.get(name).map_or("", String::as_str);
        let source = if tag(TAG_SOURCE) == FEED_SOURCE { "" } else { tag(TAG_SOURCE) };
        for (file, rows) in &found.rows_of {
            *going.entry((tag(TAG_SUITE).into(), source.into(), file.clone())).or_default() += rows;
        }
    }
    if going.is_empty() {
        return Ok(vec![]);
    }
    let tables = [Snapshot::open(lake, HITS, None).await?, Snapshot::open(lake, OFFLINE, None).await?];
    let mut staying: Vec<(Key, i64, i64)> = vec![];
    for ((suite, source, file), rows) in going {
        let key = Key { suite, source, file };
        let live = tables.iter().map(|t| key.live_rows(t)).sum::<Result<u64>>()?;
        staying.push((key, live as i64, live as i64 - rows as i64));
    }
    Registry::<FileEntry>::update(lake, |entries| {
        let mut incomplete = vec![];
        for (key, live, rest) in &staying {
            match entries.iter_mut().find(|e| e.status == "loaded" && Key::of(e) == *key) {
                // the second: an interrupted run has changed the log already
                Some(entry) if entry.rows == *live || entry.rows == *rest => entry.rows = *rest,
                _ => incomplete.push(key.file.clone()),
            }
        }
        Ok(incomplete)
    })
    .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn months() {
        assert_eq!(month("2025-01").unwrap(), NaiveDate::from_ymd_opt(2025, 1, 1).unwrap());
        for wrong in ["", "2025", "2025-13", "2025-1", "2025-01-01", "January", "-001-01"] {
            assert_eq!(month(wrong).unwrap_err().kind(), crate::ErrorKind::Usage, "{wrong}");
        }
    }

    #[test]
    fn ids_are_words_of_a_text() {
        assert_eq!(words_of("3459017_8812"), ["3459017", "8812"]);
        for whole in ["v1", "a_b", "12_34", "ga_12345"] {
            assert_eq!(words_of(whole), [whole]);
        }
        assert_eq!(as_a_word("a.b_c"), r"(^|[^0-9A-Za-z])a\.b_c($|[^0-9A-Za-z])");
        assert_eq!(as_a_word("<a"), "(^|[^0-9A-Za-z])<a($|[^0-9A-Za-z])");
    }
}
