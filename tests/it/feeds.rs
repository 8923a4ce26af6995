//! Random histories of data feeds by brute force: which rows are one hit, which of them counts, what it set, what it credits,
//! and what offline rows of the feed (hit source 5 and 7) and offline records take from hits.
//!
//! Deliveries and files of records are loaded, sent again, replaced and removed; hits and offline rows come twice, in other deliveries
//! and in the same one, some are excluded, some happened in the background; some deliveries tell instances and some do not.
//! Transaction ID recording is switched off and on. Nothing here is shared with the product: of what is left in the end the
//! answers follow from the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::rewrite::Limits;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::oracle::{Credit, answer, runner};
use crate::place::{Place, deep};
use crate::slt::read_journeys;
use crate::table;

/// One row of a delivery.
#[derive(Clone, Debug)]
pub struct Row {
    visitor: u8,
    second: u8,
    /// Which hit id, of few: neighbours, and such as differ in a high bit only. Offline rows have others than hits, and those of each
    /// visitor and source their own.
    id: u8,
    /// 1 for a hit, 5 for a summary row, 7 for a transaction row that is integrated already.
    source: u8,
    /// What the page sent as eVar 1, what processing made of it, and whether it left an instance.
    raw: Option<u8>,
    post: Option<u8>,
    instance: bool,
    price: Option<u8>,
    excluded: bool,
    background: bool,
    transaction: Option<u8>,
    mobile: Option<u8>,
}

/// A delivery: its rows, and whether its `event.tsv` names instances.
pub type Delivery = (Vec<Row>, bool);

/// A record of a transaction source.
#[derive(Clone, Debug)]
pub struct Record {
    id: u8,
    /// None where the file says the day only.
    second: Option<u8>,
    item: Option<u8>,
    /// No snapshot of a feed's hit can hold it.
    zip: Option<u8>,
    price: u8,
}

#[derive(Clone, Debug)]
enum Step {
    Load(u8, Delivery),
    Remove(u8),
    LoadRecords(u8, Vec<Record>),
    RemoveRecords(u8),
    Background(bool),
    Recording(bool),
    Rebuild,
    Compact,
}

prop_compose! {
    fn row()(visitor in 0..3u8, second in 0..4u8, id in 0..6u8, source in prop_oneof![6 => Just(1), 1 => Just(5), 3 => Just(7)],
             raw in weighted(0.3, 0..3u8), post in weighted(0.6, 0..3u8), instance in any::<bool>(), price in weighted(0.4, 1..9u8),
             excluded in weighted(0.1, Just(())), background in weighted(0.15, Just(())), transaction in weighted(0.4, 0..3u8),
             mobile in weighted(0.3, 0..2u8)) -> Row {
        let (excluded, background) = (excluded.is_some(), background.is_some() && source == 1);
        Row { visitor, second, id, source, raw, post, instance, price, excluded, background, transaction, mobile }
    }
}

prop_compose! {
    fn record()(id in 0..4u8, second in weighted(0.7, 0..4u8), item in weighted(0.4, 0..3u8), zip in weighted(0.4, 0..3u8),
                price in 1..9u8) -> Record {
        Record { id, second, item, zip, price }
    }
}

/// Some rows, and whether instances are named.
pub fn delivery() -> impl Strategy<Value = Delivery> {
    (vec(row(), 1..14), any::<bool>())
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3u8, delivery()).prop_map(|(name, delivery)| Step::Load(name, delivery)),
        3 => (0..3u8).prop_map(Step::Remove),
        4 => (0..2u8, vec(record(), 1..8)).prop_map(|(name, records)| Step::LoadRecords(name, records)),
        1 => (0..2u8).prop_map(Step::RemoveRecords),
        1 => any::<bool>().prop_map(Step::Background),
        1 => any::<bool>().prop_map(Step::Recording),
        3 => Just(Step::Rebuild),
        2 => Just(Step::Compact),
    ]
}

/// The halves of a hit's id.
fn halves(id: u8) -> (u64, u64) {
    match id {
        0..3 => (7, u64::from(id)),
        // beyond 2^127, where neighbours differ in the lowest bits alone
        3..5 => (1 << 63 | 5, u64::MAX - u64::from(id)),
        _ => (0, 7),
    }
}

/// The halves of the id of a row.
fn halves_of(row: &Row) -> (u64, u64) {
    if row.source == 1 {
        return halves(row.id);
    }
    let own = 100 * u64::from(row.visitor) + 10 * u64::from(row.source) + u64::from(row.id);
    match row.id {
        0..3 => (3, 1000 + own),
        // neighbours, of which all that is kept of the sequence is the same
        3..5 => (1 << 63 | 6, (1 << 63) + own),
        _ => (1 << 57, own),
    }
}

/// The name of a delivery in the file log.
pub fn file_of(name: u8) -> String {
    format!("web_2026-09-0{}", name + 1)
}

fn file_of_records(name: u8) -> String {
    format!("leads_{name}.txt")
}

fn item(prefix: &str, item: Option<u8>, nothing: &str) -> String {
    item.map_or(nothing.to_string(), |n| format!("{prefix}{n}"))
}

/// The table of `tests/bin/feed`.
fn table_of(rows: &[Row]) -> String {
    let mut out = String::from(
        "visitor  time  visit  visit_start_time_gmt  hitid_high  hitid  hit_source  evar1  post_evar1  post_event_list  post_product_list  exclude_hit  post_customer_perspective  post_transactionid  post_mobileaction\n",
    );
    for row in rows {
        let (high, low) = halves_of(row);
        let mut events = vec![];
        events.extend(row.instance.then_some("100"));
        events.extend(row.price.map(|_| "1"));
        let events = if events.is_empty() { ".".to_string() } else { events.join(",") };
        writeln!(
            out,
            "{0}_{0}  2026-09-01 10:00:0{1}  1  1788256800  {high}  {low}  {2}  {3}  {4}  {events}  {5}  {6}  {7}  {8}  {9}",
            row.visitor + 1,
            row.second,
            row.source,
            item("i", row.raw, "."),
            item("i", row.post, "."),
            row.price.map_or(".".to_string(), |price| format!(";p;1;{price}")),
            u8::from(row.excluded),
            u8::from(row.background),
            item("T", row.transaction, "."),
            item("m", row.mobile, "."),
        )
        .unwrap();
    }
    out
}

/// Writes a delivery into a folder with `tests/bin/feed`.
pub fn deliver(place: &Place, folder: &str, name: u8, (rows, named): &Delivery) {
    let names = if *named { "--event '100=Instance of eVar 1'" } else { "" };
    let date = &file_of(name)[4..];
    place.sh(&format!("feed web {date} --dir {folder} {names} <<'END'\n{}END", table_of(rows)));
}

/// One row of each kind, so that every column exists.
pub fn every_column() -> Delivery {
    let row = |visitor, source| Row {
        visitor,
        second: 9,
        id: 0,
        source,
        raw: Some(0),
        post: Some(0),
        instance: true,
        price: Some(1),
        excluded: false,
        background: false,
        transaction: Some(2),
        mobile: Some(0),
    };
    (vec![row(2, 1), row(1, 7), row(0, 5)], true)
}

fn text_of(records: &[Record]) -> String {
    let mut out = String::from("Date\ttransactionID\tEvar 1\tZip\tPrice\n");
    for Record { id, second, item: own, zip, price } in records {
        let time = second.map_or(String::new(), |second| format!("/10/00/0{second}"));
        let (own, zip) = (item("i", *own, ""), item("z", *zip, ""));
        writeln!(out, "09/01/2026{time}\tT{id}\t{own}\t{zip}\t{price}").unwrap();
    }
    out
}

/// Where a row stands: hits of an instant by their ids, then rows that the feed brings integrated by theirs, then records by
/// file and row.
type At = (u32, u8, (u64, u64));

/// A row of `events`.
#[derive(Clone, Debug)]
struct Event {
    visitor: Option<u8>,
    at: At,
    /// 1, 5 or 7; None for a record.
    source: Option<u8>,
    /// What the row itself set or brought.
    touch: Option<u8>,
    /// Its value, wherever that is from.
    item: Option<u8>,
    price: Option<u8>,
    transaction: Option<u8>,
    mobile: Option<u8>,
    zip: Option<u8>,
    /// The hit that a matched transaction row hangs on.
    hit: Option<At>,
}

/// Everything that decides the answers.
#[derive(Clone, Debug)]
struct Left {
    deliveries: BTreeMap<u8, Delivery>,
    records: BTreeMap<u8, Vec<Record>>,
    background: bool,
    recording: bool,
}

impl Left {
    /// The hits of what is left, in order: first repeats, then what is reported.
    fn hits(&self) -> Vec<Event> {
        let mut counting: BTreeMap<(u8, u8, u8), (&Row, bool)> = BTreeMap::new();
        // by name, and in a delivery row after row: what comes later counts
        for (rows, named) in self.deliveries.values() {
            let hits = rows.iter().filter(|row| row.source == 1);
            counting.extend(hits.map(|row| ((row.visitor, row.second, row.id), (row, *named))));
        }
        let reported = counting.into_values().filter(|(row, _)| !row.excluded && (self.background || !row.background));
        let mut hits: Vec<Event> = reported.map(|(row, named)| event_of(row, named, halves(row.id))).collect();
        hits.sort_by_key(|hit| (hit.visitor, hit.at));
        hits
    }

    /// The hit of each transaction ID: the first that bears it, and of two visitors' at one place the first visitor's.
    fn snapshots(&self) -> BTreeMap<u8, Event> {
        let mut first: BTreeMap<u8, Event> = BTreeMap::new();
        for hit in self.hits().into_iter().filter(|_| self.recording) {
            let Some(id) = hit.transaction else { continue };
            if first.get(&id).is_none_or(|other| (hit.at, hit.visitor) < (other.at, other.visitor)) {
                first.insert(id, hit);
            }
        }
        first
    }

    /// The rows that the feed brings integrated, in order.
    fn integrated(&self) -> Vec<Event> {
        let snapshots = self.snapshots();
        let mut counting: BTreeMap<_, (&Row, bool)> = BTreeMap::new();
        // repeats as those of hits; whose and of which source a row is says its id
        for (rows, named) in self.deliveries.values() {
            let integrated = rows.iter().filter(|row| row.source != 1);
            counting.extend(integrated.map(|row| ((row.second, halves_of(row)), (row, *named))));
        }
        let mut events = vec![];
        for (row, named) in counting.into_values().filter(|(row, _)| !row.excluded) {
            let mut event = event_of(row, named, halves_of(row));
            event.at.1 = 1;
            event.visitor = event.visitor.filter(|_| row.source == 7 && self.recording);
            let hit = event.transaction.and_then(|id| snapshots.get(&id)).filter(|_| row.source == 7);
            event.hit = hit.filter(|hit| hit.visitor == event.visitor).map(|hit| hit.at);
            events.push(event);
        }
        events.sort_by_key(|event| event.at);
        events
    }

    /// The records, by file and row.
    fn records(&self) -> Vec<Event> {
        let snapshots = self.snapshots();
        let all = || {
            let rows = |(file, records): (&u8, &'_ Vec<Record>)| {
                let at = |(row, record): (usize, &Record)| {
                    let second = record.second.map_or(2 * 3600, u32::from);
                    ((second, 2, (u64::from(*file), row as u64)), record.clone())
                };
                records.iter().enumerate().map(at).collect::<Vec<(At, Record)>>()
            };
            self.records.iter().flat_map(rows)
        };
        let event = |(at, record): (At, Record)| {
            let snapshot = snapshots.get(&record.id);
            // classic rules: what earlier records of the ID brought is added, if a snapshot of a feed's hit can hold it
            let mut earlier: Vec<_> = all().filter(|(other, r)| r.id == record.id && *other < at).collect();
            earlier.sort_by_key(|(other, _)| *other);
            let added = snapshot.and_then(|_| earlier.iter().find_map(|(_, r)| r.item));
            Event {
                visitor: snapshot.and_then(|hit| hit.visitor),
                at,
                source: None,
                touch: record.item,
                item: record.item.or(snapshot.and_then(|hit| hit.item)).or(added),
                price: Some(record.price),
                transaction: Some(record.id),
                mobile: snapshot.and_then(|hit| hit.mobile),
                zip: record.zip,
                hit: snapshot.map(|hit| hit.at),
            }
        };
        all().map(event).collect()
    }

    fn events(&self) -> Vec<Event> {
        [self.hits(), self.integrated(), self.records()].concat()
    }
}

fn event_of(row: &Row, named: bool, halves: (u64, u64)) -> Event {
    Event {
        visitor: Some(row.visitor),
        at: (row.second.into(), 0, halves),
        source: Some(row.source),
        touch: if named { row.post.filter(|_| row.instance) } else { row.raw },
        item: row.post,
        price: row.price,
        transaction: row.transaction,
        mobile: row.mobile,
        zip: None,
        hit: None,
    }
}

/// A question: credit of revenue by eVar 1.
#[derive(Clone, Copy, Debug)]
struct Question {
    /// To all items in full, else to the last touch.
    participation: bool,
    visit: bool,
    inherited: bool,
    snapshot_basis: bool,
}

impl Question {
    fn all() -> Vec<Self> {
        let mut all = vec![];
        for participation in [false, true] {
            for (visit, inherited, snapshot_basis) in [
                (true, false, false),
                (false, false, false),
                (false, true, false),
                (false, false, true),
                (false, true, true),
            ] {
                all.push(Self { participation, visit, inherited, snapshot_basis });
            }
        }
        all
    }

    fn sql(&self) -> String {
        let function =
            if self.participation { "participation('revenue', 'evar1'" } else { "attribution('revenue', 'evar1'" };
        let container = if self.visit { "visit" } else { "visitor" };
        let basis = if self.snapshot_basis { "snapshot" } else { "event" };
        let inherited = self.inherited;
        format!(
            "SELECT item, credit FROM {function}, container => '{container}', lookback => 'all', basis => '{basis}', inherited => {inherited})"
        )
    }

    fn credit(&self, events: &[Event]) -> Credit {
        let takes_part = |event: &&Event| event.visitor.is_some() && (!self.visit || event.source == Some(1));
        let anchor = |event: &Event| event.hit.filter(|_| self.snapshot_basis);
        let item = |event: &Event| if self.inherited && event.source != Some(1) { event.item } else { event.touch };
        let mut out = Credit::new();
        for conversion in events.iter().filter(takes_part) {
            let Some(price) = conversion.price else { continue };
            let place = anchor(conversion).unwrap_or(conversion.at);
            let mut before: Vec<&Event> = events.iter().filter(takes_part).collect();
            before.retain(|other| {
                other.visitor == conversion.visitor
                    && other.at <= place
                    && anchor(other).is_none()
                    && item(other).is_some()
            });
            before.sort_by_key(|other| other.at);
            let touches: Vec<u8> = before.into_iter().filter_map(item).collect();
            let items: BTreeSet<u8> = match self.participation {
                true => touches.iter().copied().collect(),
                false => touches.last().copied().into_iter().collect(),
            };
            let mut give = |item: Option<String>| *out.entry(item).or_default() += f64::from(price);
            if items.is_empty() {
                give(None);
            }
            items.iter().for_each(|item| give(Some(format!("i{item}"))));
        }
        out
    }
}

struct World {
    place: Place,
    lake: Lake,
    left: Left,
    loads: usize,
}

impl World {
    async fn new() -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
        let source =
            NewSource { suite: "web".into(), name: "leads".into(), kind: "transaction".into(), ..NewSource::default() };
        create_source(&lake, &source).await.unwrap();
        let (deliveries, records) = (BTreeMap::new(), BTreeMap::new());
        let left = Left { deliveries, records, background: false, recording: true };
        let mut world = Self { place, lake, left, loads: 0 };
        world.step(&Step::Load(8, every_column())).await;
        let record = Record { id: 2, second: Some(9), item: Some(0), zip: Some(0), price: 1 };
        world.step(&Step::LoadRecords(8, vec![record])).await;
        world
    }

    async fn load(&self, path: &str, source: Option<&str>) {
        let source = source.map(str::to_string);
        let options =
            IngestOptions { suite: Some("web".into()), source, replace: true, again: true, ..IngestOptions::default() };
        let outcomes = ingest(&self.lake, &[self.place.path().join(path)], &options, &|_| {}).await.unwrap();
        assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
        assert_eq!(outcomes[0].entry.rejected, 0, "{:?}", outcomes[0]);
    }

    async fn set(&self, changes: SuiteChanges) {
        set_suite(&self.lake, "web", &changes).await.unwrap();
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Load(name, delivery) => {
                self.loads += 1;
                let folder = format!("feed{}", self.loads);
                deliver(&self.place, &folder, *name, delivery);
                self.load(&folder, None).await;
                self.left.deliveries.insert(*name, delivery.clone());
            }
            Step::Remove(name) => {
                if self.left.deliveries.remove(name).is_some() {
                    remove(&self.lake, &[file_of(*name)], None, None).await.unwrap();
                }
            }
            Step::LoadRecords(name, records) => {
                let file = file_of_records(*name);
                self.place.write(&file, text_of(records));
                self.place.write(&file.replace(".txt", ".fin"), "");
                self.load(&file, Some("leads")).await;
                self.left.records.insert(*name, records.clone());
            }
            Step::RemoveRecords(name) => {
                if self.left.records.remove(name).is_some() {
                    remove(&self.lake, &[file_of_records(*name)], None, None).await.unwrap();
                }
            }
            Step::Background(include) => {
                self.set(SuiteChanges { background_hits: Some(*include), ..SuiteChanges::default() }).await;
                self.left.background = *include;
            }
            Step::Recording(on) => {
                self.set(SuiteChanges { transaction_id: Some(*on), ..SuiteChanges::default() }).await;
                self.left.recording = *on;
            }
            Step::Rebuild => self.rebuild().await,
            Step::Compact => {
                let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
                compact(&self.lake, &CompactionOptions::default(), &limits, &|_, _, _| {}).await.unwrap();
            }
        }
    }

    async fn rebuild(&self) {
        rebuild(&self.lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
    }

    /// Holds the lake against the rules.
    async fn check(&self, turn: usize) {
        let (hits, events) = (self.left.hits(), self.left.events());
        let online = self.left.deliveries.values().flat_map(|(rows, _)| rows).filter(|row| row.source == 1).count();
        let visitors: BTreeSet<Option<u8>> = hits.iter().map(|hit| hit.visitor).collect();
        let revenue: u32 = events.iter().filter_map(|event| event.price).map(u32::from).sum();
        for (n, batch_size) in [1, 7, 8192].into_iter().enumerate() {
            // the stored way and the plain one
            let threads = 1 + (turn + n) % 2;
            let settings = EngineSettings { batch_size: Some(batch_size), threads: Some(threads), ..<_>::default() };
            let engine = Engine::open(self.lake.clone(), settings).await.unwrap();
            read_journeys(&engine, threads).await.unwrap();
            let place = format!("batch size {batch_size}, {threads} threads, {:?}", self.left);
            let count = async |sql: &str| table::rows(&engine, sql).await.unwrap().1[0][0].clone();
            assert_eq!(count("SELECT count(*) FROM hits").await, online.to_string(), "{place}");
            for count_of in ["count(*)", "count(DISTINCT event_id)"] {
                let counted = count(&format!("SELECT {count_of} FROM events")).await;
                assert_eq!(counted, events.len().to_string(), "{count_of} {place}");
            }
            let sum = count("SELECT CAST(sum(revenue) AS BIGINT) FROM events").await;
            assert_eq!(sum, revenue.to_string(), "{place}");
            assert_eq!(count("SELECT count(*) FROM visits").await, visitors.len().to_string(), "{place}");
            assert_eq!(count("SELECT count(*) FROM visitors").await, visitors.len().to_string(), "{place}");
            for (sql, expected) in self.tables() {
                // a column exists when some row has it
                let snapshots = engine.columns("snapshots").await.unwrap();
                let missing = |name: &&str| sql.contains("FROM snapshots") && snapshots.index_of(name).is_err();
                let sql = ["evar1", "post_mobileaction"]
                    .into_iter()
                    .filter(missing)
                    .fold(sql.to_string(), |sql, name| sql.replace(name, "CAST(NULL AS VARCHAR)"));
                assert_eq!(table::rows(&engine, &sql).await.unwrap().1, expected, "{sql} {place}");
            }
            for question in Question::all() {
                let sql = question.sql();
                assert_eq!(answer(&engine, &sql).await, question.credit(&events), "{sql} {place}");
            }
            for inherited in [false, true] {
                let window = format!(
                    "SELECT item, sum(c) FROM (SELECT touch(evar1, {inherited}) AS item, visitor_participation(touch(evar1, {inherited}), revenue) \
                     OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events WHERE visitor_id IS NOT NULL) GROUP BY 1 HAVING sum(c) <> 0"
                );
                let question = Question { participation: true, visit: false, inherited, snapshot_basis: false };
                assert_eq!(answer(&engine, &window).await, question.credit(&events), "{window} {place}");
            }
        }
    }

    /// What tables hold, row by row.
    fn tables(&self) -> [(&'static str, Vec<Vec<String>>); 3] {
        let visitor = |visitor: Option<u8>| visitor.map_or("NULL".to_string(), |v| format!("{0}_{0}", v + 1));
        let snapshot = |(id, hit): (u8, Event)| {
            vec![format!("T{id}"), visitor(hit.visitor), item("i", hit.item, "NULL"), item("m", hit.mobile, "NULL")]
        };
        let second = |hit: Option<At>| hit.map_or("NULL".to_string(), |at| at.0.to_string());
        let status = |event: &Event, matched: bool| {
            let told = match (self.left.recording, matched) {
                (false, _) => "disabled",
                (true, true) => "matched",
                (true, false) => "unmatched",
            };
            vec![told.to_string(), visitor(event.visitor), item("i", event.item, "NULL"), second(event.hit)]
        };
        let transaction = |event: Event| status(&event, true);
        let record = |event: Event| {
            let mut row = status(&event, event.hit.is_some());
            row.extend([item("m", event.mobile, "NULL"), item("z", event.zip, "NULL"), item("i", event.touch, "NULL")]);
            row
        };
        let of_feeds = self.left.integrated().into_iter().filter(|event| event.source == Some(7));
        [
            (
                "SELECT transaction_id, visitor_id, evar1, post_mobileaction FROM snapshots ORDER BY 1",
                self.left.snapshots().into_iter().map(snapshot).collect(),
            ),
            (
                "SELECT match_status, visitor_id, evar1, CAST(date_part('second', snapshot_time) AS BIGINT) FROM events \
                 WHERE row_kind = 'transaction' AND source = 'data_feed' ORDER BY hit_time, hit_seq, hit_id_rest",
                of_feeds.map(transaction).collect(),
            ),
            (
                "SELECT match_status, visitor_id, evar1, CAST(date_part('second', snapshot_time) AS BIGINT), post_mobileaction, zip, \
                 evar1_set FROM integrated WHERE source = 'leads' ORDER BY file, \"row\"",
                self.left.records().into_iter().map(record).collect(),
            ),
        ]
    }
}

#[test]
fn feeds_follow_the_rules() {
    deep(|runtime| {
        let turn = std::sync::atomic::AtomicUsize::new(0);
        let outcome = runner(6, 20).run(&vec(step(), 2..9), |steps| {
            runtime.block_on(async {
                let mut world = World::new().await;
                for step in &steps {
                    world.step(step).await;
                }
                world.rebuild().await;
                world.check(turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed)).await;
            });
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}
