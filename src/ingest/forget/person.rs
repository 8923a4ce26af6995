//! A person who is to be forgotten: whose the rows are, as the last rebuild found it.
//!
//! In: a customer ID or a visitor. Out: in each suite, the rows that bear an ID of the person, and the offline records that hang on
//! them; of a person who is a visitor without an ID, all of the person's rows. Rows without an ID stay: they are their visitor's
//! then, and no other person's, which is kept as rows of the table of rules.

use std::collections::{BTreeMap, BTreeSet};

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Int64Type};
use datafusion::functions::string::expr_fn::trim;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, ident, lit};
use datafusion::scalar::ScalarValue;

use crate::columns::{CUSTOMER_ID, HIT_SEQ, HIT_TIME, SUITE, VISITOR_ID};
use crate::engine::{Engine, EngineSettings};
use crate::functions::{PERSON_ID_OF, Persons, PersonsOfSuite, person_id};
use crate::ingest::key::FEED_SOURCE;
use crate::lake::Lake;
use crate::lake::records::Suite;
use crate::persons::{Between, Moment, Subject};
use crate::quote::{literal, literals};
use crate::{Error, Result};

/// Rows of offline files: suite, source, file; numbers of the rows.
pub(super) type Records = BTreeMap<(String, String, String), Vec<i64>>;

/// Characters of an ID in a message.
const SHOWN: usize = 60;

/// A person in one suite.
pub(super) struct Person {
    /// The suite.
    pub suite: String,
    name: String,
    /// Which rows are the person's own.
    own: Persons,
    /// Rows that the person has now, by visitor, of which those without an ID stay.
    pub had: Vec<(String, Between)>,
    /// Visitors of whom the person has rows, or some of whose rows bear an ID of the person.
    pub visitors: Vec<String>,
    /// Those of them of whom nobody else has any.
    pub wholly: Vec<String>,
    /// Customer IDs that stand for the person.
    pub ids: Vec<String>,
}

/// Offline records of a person.
#[derive(Default)]
pub(super) struct RecordsOfPerson {
    /// Those of files.
    pub records: Records,
    /// Sequences of those that a data feed brought.
    pub of_feeds: BTreeSet<i128>,
}

/// Who is meant in each suite that has persons; in some of them it may be nobody.
pub(super) async fn find(lake: &Lake, whom: &Subject, suites: &[Suite]) -> Result<Vec<Person>> {
    let with_persons: Vec<&Suite> = suites.iter().filter(|suite| suite.has_persons()).collect();
    if with_persons.is_empty() {
        let name = if let [only] = suites { only.suite.as_str() } else { "RSID" };
        return Err(Error::configuration(format!(
            "persons are off; switch them on: rejoin suite set {name} --persons device_split; or forget visitors: \
             rejoin forget --visitor ID"
        )));
    }
    let engine = Engine::open(lake.clone(), EngineSettings::default()).await?;
    let Some(all) = engine.persons().await? else {
        return Err(Error::configuration("no rebuild has found the persons yet; run rejoin rebuild"));
    };
    let mut found = vec![];
    for suite in with_persons {
        found.push(Person::of(&engine, &all, whom, &suite.suite).await?);
    }
    Ok(found)
}

/// That nothing in these suites is of the person.
pub(super) fn unknown(whom: &Subject, persons: &[Person]) -> Error {
    let suites: Vec<&str> = persons.iter().map(|person| person.suite.as_str()).collect();
    let shown: String = whom.to_string().chars().take(SHOWN).collect();
    let visitor = if matches!(whom, Subject::Visitor(_)) { shown.as_str() } else { "visitor:ID" };
    Error::usage(format!(
        "{shown} is no person of {}: no row and no rule is; see whose the rows of a visitor are: rejoin explain-person {visitor}",
        suites.join(", ")
    ))
}

impl Person {
    async fn of(engine: &Engine, all: &Persons, whom: &Subject, suite: &str) -> Result<Self> {
        let own = format!("suite = {}", literal(suite));
        let name = match whom {
            Subject::Id(id) => name_of(engine, &own, id).await?,
            Subject::Visitor(_) => whom.to_string(),
        };
        let is_own = format!("person_id = {}", literal(&name));
        let bears_id = name.starts_with("id:");
        let linked =
            format!("SELECT customer_id FROM person_audit WHERE {own} AND verdict = 'linked' AND {is_own} ORDER BY 1");
        let mut ids: Vec<String> = rows(engine, &linked).await?.into_iter().flatten().collect();
        ids.extend(name.strip_prefix("id:").map(str::to_string));
        let devices = format!(
            "SELECT visitor_id, bool_and({is_own}) FROM persons WHERE {own} \
             GROUP BY visitor_id HAVING bool_or({is_own}) ORDER BY visitor_id"
        );
        let (mut visitors, mut wholly) = (vec![], vec![]);
        for row in rows(engine, &devices).await? {
            let [visitor, alone] = row.as_slice() else { continue };
            visitors.push(visitor.clone());
            wholly.extend((alone == "true").then(|| visitor.clone()));
        }
        if let Subject::Visitor(visitor) = whom {
            // who has neither an ID nor a rule is a person without being listed
            let listed = format!("SELECT 1 FROM persons WHERE {own} AND visitor_id = {} LIMIT 1", literal(visitor));
            if rows(engine, &listed).await?.is_empty() {
                (visitors, wholly) = (vec![visitor.clone()], vec![visitor.clone()]);
            }
        }
        let (mut own, mut had) = (all.clone(), vec![]);
        if bears_id {
            // visitors stay, with what they have without an ID
            wholly.clear();
            let (borne, bearers) = own_rows(engine, suite, &name, &ids).await?;
            own = Persons::new(BTreeMap::from([(suite.to_string(), borne)]));
            // `last` or a rule may have given such rows to others
            visitors = visitors.into_iter().chain(bearers).collect::<BTreeSet<_>>().into_iter().collect();
            had = spans(engine, suite, &format!("suite = {} AND {is_own}", literal(suite))).await?;
        }
        Ok(Self { suite: suite.into(), name, own, had, visitors, wholly, ids })
    }

    /// True on all rows of the suite.
    pub fn of_suite(&self) -> Expr {
        ident(SUITE).eq(lit(self.suite.as_str()))
    }

    /// True on the person's hits, and on the snapshots of these.
    pub fn has_hit(&self) -> Option<Expr> {
        let text = || lit(ScalarValue::Utf8(None));
        let time = || lit(ScalarValue::TimestampMicrosecond(None, Some("UTC".into())));
        let sequence = || lit(ScalarValue::Decimal128(None, 38, 0));
        self.has(vec![
            ident(SUITE),
            ident(VISITOR_ID),
            lit("online"),
            text(),
            ident(HIT_TIME),
            ident(HIT_SEQ),
            time(),
            sequence(),
        ])
    }

    /// True on the person's integrated rows.
    pub fn has_record(&self) -> Option<Expr> {
        self.has(PERSON_ID_OF.map(ident).to_vec())
    }

    /// True where the columns say that a row is the person's; None where no row can be.
    fn has(&self, columns: Vec<Expr>) -> Option<Expr> {
        let is_own = person_id(&self.own).call(columns).eq(lit(self.name.as_str()));
        // the visitors alone tell which files to look into
        let visitors = one_of(ident(VISITOR_ID), &self.visitors)?;
        Some(self.of_suite().and(visitors).and(is_own))
    }

    /// True on the rows that bear an ID of the person; None where there is no ID.
    pub fn bears_id(&self) -> Option<Expr> {
        Some(self.of_suite().and(one_of(trim(vec![ident(CUSTOMER_ID)]), &self.ids)?))
    }

    /// True on the rows of visitors of whom nobody else has any; None where there is no such visitor.
    pub fn of_wholly(&self) -> Option<Expr> {
        Some(self.of_suite().and(one_of(ident(VISITOR_ID), &self.wholly)?))
    }

    /// The offline records that were integrated for the person, and those that bear a transaction ID of the person's hits, matched
    /// or not.
    pub async fn records(&self, lake: &Lake) -> Result<RecordsOfPerson> {
        let mut found = RecordsOfPerson::default();
        let Some(has_record) = self.has_record() else { return Ok(found) };
        let (suite, visitors) = (literal(&self.suite), literals(self.visitors.iter().map(String::as_str)));
        let sql = format!(
            "SELECT * FROM ( \
               SELECT suite, visitor_id, row_kind, customer_id, hit_time, hit_seq, snapshot_time, snapshot_seq, \
                      source, file, \"row\" \
               FROM integrated WHERE suite = {suite} AND visitor_id IN ({visitors}) \
               UNION ALL \
               SELECT s.suite, s.visitor_id, 'online', CAST(NULL AS VARCHAR), s.hit_time, s.hit_seq, \
                      arrow_cast(NULL, 'Timestamp(Microsecond, Some(\"UTC\"))'), CAST(NULL AS DECIMAL(38, 0)), \
                      o.source, o.file, o.\"row\" \
               FROM offline o JOIN snapshots s ON s.suite = o.suite AND s.transaction_id = trim(o.transaction_id) \
               WHERE s.suite = {suite} AND s.visitor_id IN ({visitors}) AND o.kind = 'transaction' \
                 AND o.source <> '{FEED_SOURCE}') AS found"
        );
        let engine = Engine::open(lake.clone(), EngineSettings::default()).await?;
        let plan = LogicalPlanBuilder::from(engine.plan(&sql).await?).filter(has_record)?.build()?;
        let running = engine.start(plan).await?;
        for batch in datafusion::physical_plan::common::collect(running.rows).await? {
            let texts = [8, 9].map(|column| cast(batch.column(column), &DataType::Utf8));
            let [sources, files] = texts;
            let (sources, files) = (sources?, files?);
            let (sources, files) = (sources.as_string::<i32>(), files.as_string::<i32>());
            let sequences = batch.column(5).as_primitive::<Decimal128Type>();
            let numbers = batch.column(10).as_primitive::<Int64Type>();
            for row in 0..batch.num_rows() {
                if sources.value(row) == FEED_SOURCE {
                    found.of_feeds.insert(sequences.value(row));
                } else if numbers.is_valid(row) {
                    let load = (self.suite.clone(), sources.value(row).into(), files.value(row).into());
                    found.records.entry(load).or_default().push(numbers.value(row));
                }
            }
        }
        Ok(found)
    }

    /// True on the offline rows of data feeds with these sequences.
    pub fn of_feeds(&self, sequences: &BTreeSet<i128>) -> Option<Expr> {
        let visitors = one_of(ident(VISITOR_ID), &self.visitors).filter(|_| !sequences.is_empty())?;
        let sequences = sequences.iter().map(|sequence| lit(ScalarValue::Decimal128(Some(*sequence), 38, 0))).collect();
        let of_feed = ident("source").eq(lit(FEED_SOURCE));
        Some(self.of_suite().and(visitors).and(of_feed).and(ident(HIT_SEQ).in_list(sequences, false)))
    }
}

/// The rows that bear an ID of a person: they alone are the person's, those between them their visitor's. And whose they are.
async fn own_rows(
    engine: &Engine,
    suite: &str,
    name: &str,
    ids: &[String],
) -> Result<(PersonsOfSuite, BTreeSet<String>)> {
    let (mut own, mut bearers) = (PersonsOfSuite::default(), BTreeSet::new());
    ids.iter().for_each(|id| own.add_id(id, Some(name)));
    if engine.plan("SELECT * FROM hits").await?.schema().has_column_with_unqualified_name(CUSTOMER_ID) {
        let sql = format!(
            "SELECT visitor_id, CAST(hit_time AS BIGINT) AS at, CAST(hit_seq AS VARCHAR) AS seq FROM hits \
             WHERE suite = {} AND visitor_id IS NOT NULL AND trim(customer_id) IN ({}) ORDER BY visitor_id, hit_time, hit_seq",
            literal(suite),
            literals(ids.iter().map(String::as_str))
        );
        let mut last: Option<(String, Moment)> = None;
        for row in rows(engine, &sql).await? {
            let [visitor, time, sequence] = row.as_slice() else { continue };
            let (Ok(time), Ok(sequence)) = (time.parse(), sequence.parse::<i128>()) else { continue };
            let (at, after) = ((time, sequence), (time, sequence.saturating_add(1)));
            // of two rows at one place the second adds nothing
            if last.as_ref().is_some_and(|(known, place)| known == visitor && *place == at) {
                continue;
            }
            bearers.insert(visitor.clone());
            own.add(visitor, Some(at), name, false);
            own.add(visitor, Some(after), &Subject::Visitor(visitor.clone()).to_string(), false);
            last = Some((visitor.clone(), at));
        }
    }
    own.complete();
    Ok((own, bearers))
}

/// The rows of visitors that a person has, as the last rebuild found it. What has no end ends with the visitor's last row: later
/// ones are somebody's yet to come.
async fn spans(engine: &Engine, suite: &str, whose: &str) -> Result<Vec<(String, Between)>> {
    let sql = format!(
        "SELECT p.visitor_id, CAST(p.valid_from AS BIGINT) AS since, CAST(p.from_seq AS VARCHAR) AS since_seq, \
                coalesce(CAST(p.valid_until AS BIGINT), CAST(h.last AS BIGINT) + 1) AS till, \
                coalesce(CAST(p.until_seq AS VARCHAR), '0') AS till_seq \
         FROM (SELECT * FROM persons WHERE {whose}) p LEFT JOIN \
              (SELECT visitor_id, max(hit_time) AS last FROM hits WHERE suite = {} GROUP BY visitor_id) h ON h.visitor_id = p.visitor_id \
         ORDER BY 1, 2 NULLS FIRST, 3",
        literal(suite)
    );
    let moment = |time: &str, sequence: &str| Some((time.parse().ok()?, sequence.parse().ok()?));
    let mut found = vec![];
    for row in rows(engine, &sql).await? {
        let [visitor, from, from_seq, until, until_seq] = row.as_slice() else { continue };
        found.push((visitor.clone(), Between { from: moment(from, from_seq), until: moment(until, until_seq) }));
    }
    Ok(found)
}

/// The person for whom a customer ID stands.
async fn name_of(engine: &Engine, own: &str, id: &str) -> Result<String> {
    let sql = format!("SELECT verdict, person_id FROM person_audit WHERE {own} AND customer_id = {}", literal(id));
    let (whom, found) = (Subject::Id(id.to_string()).to_string(), rows(engine, &sql).await?);
    let shown: String = whom.chars().take(SHOWN).collect();
    match found.first().map(Vec::as_slice) {
        Some([verdict, person]) if verdict == "linked" => Ok(person.clone()),
        Some([verdict, _]) => {
            let why = if verdict == "blocked" { "a rule blocks it" } else { "it is on too many visitors" };
            Err(Error::usage(format!(
                "{shown} stands for nobody, for {why} (table person_audit); its rows are their visitors': \
                 rejoin forget --visitor ID"
            )))
        }
        _ => Ok(whom),
    }
}

/// True where a value is one of `texts`; None where there are none.
fn one_of(value: Expr, texts: &[String]) -> Option<Expr> {
    let list: Vec<Expr> = texts.iter().map(|text| lit(text.as_str())).collect();
    (!list.is_empty()).then(|| value.in_list(list, false))
}

/// All cells of a small answer as texts, row by row.
async fn rows(engine: &Engine, sql: &str) -> Result<Vec<Vec<String>>> {
    let mut all: Vec<Vec<String>> = vec![];
    for batch in engine.collect(sql).await? {
        let columns = batch.columns().iter().map(|column| cast(column, &DataType::Utf8));
        let columns = columns.collect::<std::result::Result<Vec<_>, _>>()?;
        for row in 0..batch.num_rows() {
            all.push(columns.iter().map(|column| column.as_string::<i32>().value(row).to_string()).collect());
        }
    }
    Ok(all)
}
