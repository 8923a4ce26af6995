//! Random histories of data feeds by brute force: which rows are one hit, which of them counts, what it set, what it credits.
//!
//! Deliveries are loaded, sent again, replaced and removed; hits come twice, in other deliveries and in the same one, some are
//! excluded, some happened in the background; some deliveries tell instances and some do not. Nothing here is shared with
//! the product: of the deliveries that are left in the end the answers follow from the rules.

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
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::oracle::{Credit, answer, runner};
use crate::place::{Place, deep};
use crate::slt::read_journeys;
use crate::table;

/// One row of a delivery.
#[derive(Clone, Debug)]
struct Row {
    visitor: u8,
    second: u8,
    /// Which hit id, of few: neighbours, and such as differ in a high bit only.
    id: u8,
    /// What the page sent as eVar 1, what processing made of it, and whether it left an instance.
    raw: Option<u8>,
    post: Option<u8>,
    instance: bool,
    price: Option<u8>,
    excluded: bool,
    background: bool,
    transaction: Option<u8>,
}

/// A delivery: its rows, and whether its `event.tsv` names instances.
type Delivery = (Vec<Row>, bool);

#[derive(Clone, Debug)]
enum Step {
    Load(u8, Delivery),
    Remove(u8),
    Background(bool),
    Rebuild,
    Compact,
}

prop_compose! {
    fn row()(visitor in 0..3u8, second in 0..4u8, id in 0..6u8, raw in weighted(0.3, 0..3u8), post in weighted(0.6, 0..3u8),
             instance in any::<bool>(), price in weighted(0.4, 1..9u8), excluded in weighted(0.1, Just(())), background in weighted(0.15, Just(())),
             transaction in weighted(0.3, 0..3u8)) -> Row {
        Row { visitor, second, id, raw, post, instance, price, excluded: excluded.is_some(), background: background.is_some(), transaction }
    }
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3u8, (vec(row(), 1..14), any::<bool>())).prop_map(|(name, delivery)| Step::Load(name, delivery)),
        3 => (0..3u8).prop_map(Step::Remove),
        1 => any::<bool>().prop_map(Step::Background),
        3 => Just(Step::Rebuild),
        2 => Just(Step::Compact),
    ]
}

/// The halves of a hit id.
fn halves(id: u8) -> (u64, u64) {
    match id {
        0..3 => (7, u64::from(id)),
        // beyond 2^127, where neighbours differ in the lowest bits alone
        3..5 => (1 << 63 | 5, u64::MAX - u64::from(id)),
        _ => (0, 7),
    }
}

fn file_of(name: u8) -> String {
    format!("web_2026-09-0{}", name + 1)
}

/// The table of `tests/bin/feed`.
fn table_of(rows: &[Row]) -> String {
    let mut out = String::from(
        "visitor  time  visit  visit_start_time_gmt  hitid_high  hitid  evar1  post_evar1  post_event_list  post_product_list  exclude_hit  post_customer_perspective  post_transactionid\n",
    );
    let item = |item: Option<u8>| item.map_or(".".to_string(), |n| format!("i{n}"));
    for row in rows {
        let (high, low) = halves(row.id);
        let mut events = vec![];
        events.extend(row.instance.then_some("100"));
        events.extend(row.price.map(|_| "1"));
        let events = if events.is_empty() { ".".to_string() } else { events.join(",") };
        writeln!(
            out,
            "{0}_{0}  2026-09-01 10:00:0{1}  1  1788256800  {high}  {low}  {2}  {3}  {events}  {4}  {5}  {6}  {7}",
            row.visitor + 1,
            row.second,
            item(row.raw),
            item(row.post),
            row.price.map_or(".".to_string(), |price| format!(";p;1;{price}")),
            u8::from(row.excluded),
            u8::from(row.background),
            row.transaction.map_or(".".to_string(), |id| format!("T{id}")),
        )
        .unwrap();
    }
    out
}

/// A hit that counts: its place, the touch, the price, and what a snapshot of it holds.
#[derive(Clone, Debug)]
struct Hit {
    visitor: u8,
    at: (u8, (u64, u64)),
    touch: Option<u8>,
    post: Option<u8>,
    price: Option<u8>,
    transaction: Option<u8>,
}

/// The hits of what is left: first repeats, then what is reported.
fn hits(left: &BTreeMap<u8, Delivery>, background: bool) -> Vec<Hit> {
    let mut counting: BTreeMap<(u8, u8, u8), (&Row, bool)> = BTreeMap::new();
    // by name, and in a delivery row after row: what comes later counts
    for (rows, named) in left.values() {
        counting.extend(rows.iter().map(|row| ((row.visitor, row.second, row.id), (row, *named))));
    }
    let reported = counting.into_values().filter(|(row, _)| !row.excluded && (background || !row.background));
    let mut hits: Vec<Hit> = reported
        .map(|(row, named)| Hit {
            visitor: row.visitor,
            at: (row.second, halves(row.id)),
            touch: if named { row.post.filter(|_| row.instance) } else { row.raw },
            post: row.post,
            price: row.price,
            transaction: row.transaction,
        })
        .collect();
    hits.sort_by_key(|hit| (hit.visitor, hit.at));
    hits
}

/// Credit of revenue by eVar 1 to the last touch, or to all items in full.
fn credit(hits: &[Hit], participation: bool) -> Credit {
    let mut out = Credit::new();
    for hit in hits {
        let Some(price) = hit.price else { continue };
        let before = hits.iter().filter(|other| other.visitor == hit.visitor && other.at <= hit.at);
        let touches: Vec<u8> = before.filter_map(|other| other.touch).collect();
        let items: BTreeSet<u8> = match participation {
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

/// The visitor and the eVar of the first hit with each transaction ID.
fn snapshots(hits: &[Hit]) -> Vec<Vec<String>> {
    let text = |item: Option<u8>| item.map_or("NULL".to_string(), |n| format!("i{n}"));
    let first = |id: u8| {
        let bearing = hits.iter().filter(|hit| hit.transaction == Some(id));
        // of two visitors at one instant with one id the visitor decides
        bearing.min_by_key(|hit| (hit.at, hit.visitor))
    };
    let row = |(id, hit): (u8, &Hit)| vec![format!("T{id}"), format!("{0}_{0}", hit.visitor + 1), text(hit.post)];
    (0..3).filter_map(|id| Some(row((id, first(id)?)))).collect()
}

struct World {
    place: Place,
    lake: Lake,
    left: BTreeMap<u8, Delivery>,
    background: bool,
    loads: usize,
}

impl World {
    async fn new() -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
        let mut world = Self { place, lake, left: BTreeMap::new(), background: false, loads: 0 };
        // so that every column exists
        let last = Row {
            visitor: 2,
            second: 9,
            id: 0,
            raw: Some(0),
            post: Some(0),
            instance: true,
            price: Some(1),
            excluded: false,
            background: false,
            transaction: Some(2),
        };
        world.step(&Step::Load(8, (vec![last], true))).await;
        world
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Load(name, delivery) => {
                self.loads += 1;
                let (rows, named) = delivery;
                let folder = format!("feed{}", self.loads);
                let names = if *named { "--event '100=Instance of eVar 1'" } else { "" };
                let date = &file_of(*name)[4..];
                self.place.sh(&format!("feed web {date} --dir {folder} {names} <<'END'\n{}END", table_of(rows)));
                let options = IngestOptions { replace: true, ..IngestOptions::default() };
                let path = self.place.path().join(folder);
                let outcomes = ingest(&self.lake, &[path], &options, &|_| {}).await.unwrap();
                assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
                assert_eq!(outcomes[0].entry.rejected, 0, "{:?}", outcomes[0]);
                self.left.insert(*name, delivery.clone());
            }
            Step::Remove(name) => {
                if self.left.remove(name).is_some() {
                    remove(&self.lake, &[file_of(*name)], None, None).await.unwrap();
                }
            }
            Step::Background(include) => {
                let changes = SuiteChanges { background_hits: Some(*include), ..SuiteChanges::default() };
                set_suite(&self.lake, "web", &changes).await.unwrap();
                self.background = *include;
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
        let hits = hits(&self.left, self.background);
        let rows: usize = self.left.values().map(|(rows, _)| rows.len()).sum();
        let visitors: BTreeSet<u8> = hits.iter().map(|hit| hit.visitor).collect();
        for (n, batch_size) in [1, 7, 8192].into_iter().enumerate() {
            // the stored way and the plain one
            let threads = 1 + (turn + n) % 2;
            let settings = EngineSettings { batch_size: Some(batch_size), threads: Some(threads), ..<_>::default() };
            let engine = Engine::open(self.lake.clone(), settings).await.unwrap();
            read_journeys(&engine, threads).await.unwrap();
            let place = format!("batch size {batch_size}, {threads} threads, background {}", self.background);
            let count = async |sql: &str| table::rows(&engine, sql).await.unwrap().1[0][0].clone();
            assert_eq!(count("SELECT count(*) FROM hits").await, rows.to_string(), "{place}");
            assert_eq!(count("SELECT count(*) FROM events").await, hits.len().to_string(), "{place}");
            assert_eq!(count("SELECT count(DISTINCT event_id) FROM events").await, hits.len().to_string(), "{place}");
            assert_eq!(count("SELECT count(*) FROM visits").await, visitors.len().to_string(), "{place}");
            assert_eq!(count("SELECT count(*) FROM visitors").await, visitors.len().to_string(), "{place}");
            // a column exists when some row has it
            let evar1 = match engine.columns("snapshots").await.unwrap().index_of("evar1") {
                Ok(_) => "evar1",
                Err(_) => "CAST(NULL AS VARCHAR)",
            };
            let taken = format!("SELECT transaction_id, visitor_id, {evar1} FROM snapshots ORDER BY 1");
            assert_eq!(table::rows(&engine, &taken).await.unwrap().1, snapshots(&hits), "{place}");
            for container in ["visitor", "visit"] {
                let credit_of = |function: &str| format!("SELECT item, credit FROM {function}");
                let sql = credit_of(&format!("participation('revenue', 'evar1', '{container}')"));
                assert_eq!(answer(&engine, &sql).await, credit(&hits, true), "{sql} {place}");
                let sql = credit_of(&format!("attribution('revenue', 'evar1', 'last_touch', '{container}', 'all')"));
                assert_eq!(answer(&engine, &sql).await, credit(&hits, false), "{sql} {place}");
            }
            let window = "SELECT evar1_set, sum(c) FROM (SELECT evar1_set, visitor_participation(evar1, revenue) OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1 HAVING sum(c) <> 0";
            if self.left.values().all(|(_, named)| *named) {
                assert_eq!(answer(&engine, window).await, credit(&hits, true), "{place}");
            }
        }
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
