//! Random journeys, and the way they take into a lake: real input files, ingest, rebuild.

use std::fmt::Write;
use std::ops::Range;

use chrono::{DateTime, Duration, Utc};
use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, ingest};
use rejoin::lake::Lake;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::place::Place;
use crate::slt::read_journeys;

/// Seconds of a day.
pub const DAY: i64 = 86_400;

/// An online hit of a mapped source.
#[derive(Clone, Debug)]
pub struct Hit {
    pub visitor: u8,
    /// Seconds since the journeys' first midnight.
    pub time: i64,
    pub visit: u8,
    pub ids: Vec<u8>,
    pub customer: Option<u8>,
    pub campaign: Option<u8>,
    pub products: Vec<u8>,
    /// What each product costs; the hit's revenue is their sum where it has orders.
    pub prices: Vec<i32>,
    pub orders: Option<i32>,
}

impl Hit {
    /// The sum of its product lines, on a purchase.
    pub fn revenue(&self) -> i32 {
        if self.orders.is_some() { self.prices.iter().sum() } else { 0 }
    }
}

/// An offline record of a transaction or customer source.
#[derive(Clone, Debug)]
pub struct Record {
    pub customer: bool,
    pub id: u8,
    pub time: i64,
    /// The file says the day only.
    pub date_only: bool,
    pub campaign: Option<u8>,
    pub product: Option<u8>,
    pub orders: i32,
    pub revenue: i32,
}

/// Everything that a lake is given.
#[derive(Clone, Debug)]
pub struct Journeys {
    pub hits: Vec<Hit>,
    pub records: Vec<Record>,
    pub current_rules: bool,
}

/// Times that meet: whole days around the expiry and lookback of this world, with a second more or less, and ties.
pub fn time() -> impl Strategy<Value = i64> {
    let day = prop_oneof![4 => 0..4i64, 2 => 28..33i64, 1 => 88..93i64];
    let second = prop_oneof![Just(0), Just(1), Just(DAY / 2), Just(DAY / 2 + 1), Just(DAY - 1), 0..DAY];
    (day, second).prop_map(|(d, s)| d * DAY + s)
}

prop_compose! {
    pub fn hit()(visitor in 0..4u8, time in time(), visit in 0..3u8, ids in vec(0..4u8, 0..=2), customer in weighted(0.3, 0..3u8),
             campaign in of(0..4u8), products in vec(0..3u8, 0..=2), prices in vec(-2..9i32, 2), orders in weighted(0.4, -1..4i32)) -> Hit {
        let distinct = |list: Vec<u8>| -> Vec<u8> { list.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect() };
        let (ids, products) = (distinct(ids), distinct(products));
        let prices = prices[..products.len()].to_vec();
        Hit { visitor, time, visit, ids, customer, campaign, products, prices, orders }
    }
}

prop_compose! {
    pub fn record()(customer in weighted(0.3, Just(())), id in 0..4u8, time in time(), date_only in any::<bool>(), campaign in weighted(0.3, 0..4u8),
                product in weighted(0.3, 0..3u8), orders in -3..4i32, revenue in -9..9i32) -> Record {
        let time = if date_only { time / DAY * DAY + DAY / 2 } else { time };
        Record { customer: customer.is_some(), id, time, date_only, campaign, product, orders, revenue }
    }
}

/// Journeys of up to four visitors, some of them long.
pub fn journeys() -> impl Strategy<Value = Journeys> {
    let parts = (vec(hit(), 1..50), vec(record(), 0..40), any::<bool>());
    parts.prop_map(|(hits, records, current_rules)| Journeys { hits, records, current_rules })
}

impl Journeys {
    /// With a hit that has every column that a hit can have, of a visitor of its own.
    pub fn with_all_columns(mut self) -> Self {
        let (visitor, time) = (9, 5 * DAY);
        let all = Hit {
            visitor,
            time,
            visit: 0,
            ids: vec![],
            customer: None,
            campaign: Some(0),
            products: vec![0],
            prices: vec![5],
            orders: Some(1),
        };
        self.hits.push(all);
        self
    }
}

/// The instant of a second of the journeys.
pub fn instant(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_740_787_200, 0).unwrap() + Duration::seconds(seconds)
}

/// A lake that holds the journeys, rebuilt.
pub struct Loaded {
    _place: Place,
    pub lake: Lake,
}

/// Where a row of `events` stands among those of its visitor, instant and sequence, in SQL: hits, which are 0, before records by file
/// and row.
pub const WITHIN_PLACE: &str =
    "coalesce(CASE file WHEN 't2.txt' THEN 2000000 WHEN 't1.txt' THEN 1000000 ELSE 0 END + \"row\", 0)";

impl Journeys {
    /// Writes the files and loads them: as they come, or the other way round with a rebuild after each. The transactions are in two
    /// files, between those of hits.
    pub async fn load(&self, reversed: bool) -> Loaded {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        let rules = if self.current_rules { "current" } else { "classic" };
        let changes = SuiteChanges { rules: Some(rules.into()), ..SuiteChanges::default() };
        create_suite(&lake, "web", &changes).await.unwrap();
        for kind in ["transaction", "customer"] {
            let source =
                NewSource { suite: "web".into(), name: kind.into(), kind: kind.into(), ..NewSource::default() };
            create_source(&lake, &source).await.unwrap();
        }
        place.write("web.toml", MAPPING);
        let half = self.hits.len() / 2;
        place.write("a.ndjson", online(&self.hits[..half], 0));
        place.write("b.ndjson", online(&self.hits[half..], half));
        let middle = self.records.len() / 2;
        let mut files = vec![("a.ndjson".to_string(), None, half)];
        for (name, kind, part) in [
            ("t1", "transaction", 0..middle),
            ("t2", "transaction", middle..self.records.len()),
            ("customer", "customer", 0..self.records.len()),
        ] {
            let is_customer = kind == "customer";
            let file = format!("{name}.txt");
            place.write(&file, offline_part(&self.records, is_customer, part.clone()));
            place.write(&format!("{name}.fin"), "");
            let rows = self.records[part].iter().filter(|record| record.customer == is_customer).count();
            files.push((file, Some(kind), rows));
        }
        files.insert(3, ("b.ndjson".into(), None, self.hits.len() - half));
        if reversed {
            files.reverse();
        }
        for (file, source, rows) in files {
            let path = place.path().join(&file);
            if rows == 0 {
                continue;
            }
            let mapping = source.is_none().then(|| place.path().join("web.toml"));
            let options = IngestOptions {
                suite: Some("web".into()),
                source: source.map(str::to_string),
                mappings: mapping.into_iter().collect(),
                again: true,
                ..IngestOptions::default()
            };
            let outcomes = ingest(&lake, &[path], &options, &|_| {}).await.unwrap();
            assert_eq!(outcomes.len(), 1, "{file}");
            if reversed {
                rebuild(&lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
            }
        }
        rebuild(&lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
        Loaded { _place: place, lake }
    }
}

impl Loaded {
    /// An engine at one batch size and number of threads.
    pub async fn engine(&self, batch_size: usize, threads: usize) -> Engine {
        engine_on(self.lake.clone(), batch_size, threads).await
    }

    /// The same on the lake opened once more, so that nothing is known of its files but what they say themselves.
    pub async fn engine_anew(&self, batch_size: usize, threads: usize) -> Engine {
        engine_on(Lake::open(self.lake.url().as_str()).unwrap(), batch_size, threads).await
    }
}

async fn engine_on(lake: Lake, batch_size: usize, threads: usize) -> Engine {
    let (batch_size, threads) = (Some(batch_size), Some(threads));
    let engine = Engine::open(lake, EngineSettings { batch_size, threads, ..EngineSettings::default() }).await.unwrap();
    read_journeys(&engine, threads.unwrap()).await.unwrap();
    engine
}

/// `prop1` names the row, so that results can be traced to it; it is in no snapshot.
pub const MAPPING: &str = r#"
kind = "online"
suite = "web"
visitor_id = "visitor"
time = "time"
visit = "visit"
transaction_id = "ids"
customer_id = "customer"
[dimensions]
prop1 = "row"
tracking_code = "campaign"
product = "products"
product_list = "lines"
[metrics]
orders = "orders"
event1 = "3 * orders"
revenue = "revenue"
"#;

/// The name of an item.
pub fn item(prefix: &str, number: u8) -> String {
    format!("{prefix}{number}")
}

pub fn online(hits: &[Hit], first_row: usize) -> String {
    let mut out = String::new();
    for (row, hit) in hits.iter().enumerate() {
        let text = |prefix: &str, number: Option<u8>| number.map_or("null".to_string(), |n| format!("\"{prefix}{n}\""));
        let list = |prefix: &str, numbers: &[u8], separator: &str| {
            numbers.iter().map(|n| item(prefix, *n)).collect::<Vec<_>>().join(separator)
        };
        writeln!(
            out,
            r#"{{"row":"h{}","visitor":"v{}","time":"{}","visit":{},"ids":"{}","customer":{},"campaign":{},"products":"{}","lines":"{}","orders":{},"revenue":{}}}"#,
            first_row + row,
            hit.visitor,
            instant(hit.time).format("%Y-%m-%dT%H:%M:%SZ"),
            hit.visit + 1,
            list("T", &hit.ids, ","),
            text("C", hit.customer),
            text("c", hit.campaign),
            list("p", &hit.products, "--**--"),
            hit.products.iter().zip(&hit.prices).map(|(n, price)| line(*n, *price)).collect::<Vec<_>>().join(","),
            hit.orders.map_or("null".to_string(), |o| o.to_string()),
            hit.orders.map_or("null".to_string(), |_| hit.revenue().to_string()),
        )
        .unwrap();
    }
    out
}

/// A product line; one that costs nothing says nothing of it, and is not there for questions about revenue either.
fn line(product: u8, price: i32) -> String {
    if price == 0 { format!(";p{product}") } else { format!(";p{product};1;{price}") }
}

/// The data source file of one kind; Evar 9 names the row.
pub fn offline(records: &[Record], customer: bool) -> String {
    offline_part(records, customer, 0..records.len())
}

/// The same of some of the records.
fn offline_part(records: &[Record], customer: bool, part: Range<usize>) -> String {
    let id = if customer { "VisitorID" } else { "transactionID" };
    let mut out = format!("# made at random\nDate\t{id}\tEvar 9\tTracking Code\tProduct\tOrders\tEvent 1\tPrice\n");
    let own = records.iter().enumerate().filter(|(row, record)| part.contains(row) && record.customer == customer);
    for (row, record) in own {
        let date = instant(record.time).format(if record.date_only { "%m/%d/%Y" } else { "%m/%d/%Y/%H/%M/%S" });
        let text = |prefix: &str, number: Option<u8>| number.map_or(String::new(), |n| item(prefix, n));
        let (campaign, product) = (text("c", record.campaign), text("p", record.product));
        let prefix = if customer { "C" } else { "T" };
        writeln!(
            out,
            "{date}\t{prefix}{}\to{row}\t{campaign}\t{product}\t{}\t{}\t{}",
            record.id,
            record.orders,
            3 * record.orders,
            record.revenue
        )
        .unwrap();
    }
    out
}
