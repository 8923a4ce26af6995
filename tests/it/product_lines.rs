//! Product lines that have an item and lines that have none, straight from the rules: each line of a conversion is a conversion of its
//! own, with a path of its own on which everything else works.
//!
//! Random worlds of mapped hits with product lines, and transaction records that name a product, a category, both or neither. Nothing
//! here is shared with the product but the lake's own order of rows of one instant; how a model shares one path is
//! [`crate::oracle`]'s.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, ingest};
use rejoin::lake::Lake;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{DAY, instant, item, time};
use crate::oracle::{Credit, Path, Place as At, SHARING, Touch, answer, compare, runner, shapley_values, shares};
use crate::place::{Place, deep};
use crate::slt::{cut_keys, read_journeys};
use crate::table;

/// A product line of a hit.
#[derive(Clone, Debug)]
struct Line {
    product: Option<u8>,
    category: Option<u8>,
    price: Option<i32>,
}

#[derive(Clone, Debug)]
struct Hit {
    visitor: u8,
    time: i64,
    visit: u8,
    id: Option<u8>,
    lines: Vec<Line>,
    buys: bool,
}

#[derive(Clone, Debug)]
struct Record {
    id: u8,
    time: i64,
    product: Option<u8>,
    category: Option<u8>,
    revenue: i32,
}

#[derive(Clone, Debug)]
struct World {
    hits: Vec<Hit>,
    records: Vec<Record>,
}

prop_compose! {
    fn line()(product in weighted(0.8, 0..3u8), category in of(0..2u8), price in weighted(0.8, -3..6i32)) -> Line {
        Line { product, category, price }
    }
}

prop_compose! {
    fn hit()(visitor in 0..3u8, time in time(), visit in 0..3u8, id in weighted(0.3, 0..4u8), lines in vec(line(), 0..5), buys in any::<bool>()) -> Hit {
        Hit { visitor, time, visit, id, lines, buys }
    }
}

prop_compose! {
    fn record()(id in 0..4u8, time in time(), product in weighted(0.3, 0..3u8), category in weighted(0.3, 0..2u8), revenue in -9..9i32) -> Record {
        Record { id, time, product, category, revenue }
    }
}

/// With a hit that has every column, of a visitor of its own.
fn worlds() -> impl Strategy<Value = World> {
    (vec(hit(), 1..40), vec(record(), 0..12)).prop_map(|(mut hits, records)| {
        let lines = vec![Line { product: Some(0), category: Some(0), price: Some(5) }];
        hits.push(Hit { visitor: 9, time: 5 * DAY, visit: 0, id: None, lines, buys: true });
        World { hits, records }
    })
}

fn named(prefix: &str, number: Option<u8>) -> Option<String> {
    number.map(|number| item(prefix, number))
}

impl Line {
    fn item(&self, by_category: bool) -> Option<String> {
        if by_category { named("k", self.category) } else { named("p", self.product) }
    }
}

impl Hit {
    fn items(&self, by_category: bool) -> Vec<String> {
        let distinct: BTreeSet<String> = self.lines.iter().filter_map(|line| line.item(by_category)).collect();
        distinct.into_iter().collect()
    }

    fn revenue(&self) -> i32 {
        if self.buys { self.lines.iter().filter_map(|line| line.price).sum() } else { 0 }
    }

    fn list(&self) -> String {
        let line = |line: &Line| {
            let [category, product] = [true, false].map(|by_category| line.item(by_category).unwrap_or_default());
            format!("{category};{product};1;{}", line.price.map_or(String::new(), |price| price.to_string()))
        };
        self.lines.iter().map(line).collect::<Vec<_>>().join(",")
    }
}

const MAPPING: &str = r#"
kind = "online"
suite = "web"
visitor_id = "visitor"
time = "time"
visit = "visit"
transaction_id = "id"
[dimensions]
prop1 = "row"
product = "products"
category = "categories"
product_list = "lines"
[metrics]
orders = "orders"
revenue = "revenue"
"#;

impl World {
    async fn load(&self) -> (Place, Lake) {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
        let source = NewSource {
            suite: "web".into(),
            name: "returns".into(),
            kind: "transaction".into(),
            ..NewSource::default()
        };
        create_source(&lake, &source).await.unwrap();
        place.write("web.toml", MAPPING);
        let mut online = String::new();
        for (row, hit) in self.hits.iter().enumerate() {
            writeln!(
                online,
                r#"{{"row":"h{row}","visitor":"v{}","time":"{}","visit":{},"id":{},"products":"{}","categories":"{}","lines":"{}","orders":{},"revenue":{}}}"#,
                hit.visitor,
                instant(hit.time).format("%Y-%m-%dT%H:%M:%SZ"),
                hit.visit + 1,
                named("T", hit.id).map_or("null".to_string(), |id| format!("\"{id}\"")),
                hit.items(false).join("--**--"),
                hit.items(true).join("--**--"),
                hit.list(),
                if hit.buys { "1" } else { "null" },
                if hit.buys { hit.revenue().to_string() } else { "null".to_string() },
            )
            .unwrap();
        }
        place.write("web.ndjson", online);
        let mut offline = String::from("Date\ttransactionID\tEvar 9\tProduct\tCategory\tPrice\n");
        for (row, record) in self.records.iter().enumerate() {
            let date = instant(record.time).format("%m/%d/%Y/%H/%M/%S");
            let product = named("p", record.product).unwrap_or_default();
            let category = named("k", record.category).unwrap_or_default();
            writeln!(offline, "{date}\tT{}\to{row}\t{product}\t{category}\t{}", record.id, record.revenue).unwrap();
        }
        place.write("returns.txt", offline);
        place.write("returns.fin", "");
        for (file, source) in [("web.ndjson", None), ("returns.txt", Some("returns".to_string()))] {
            if source.is_some() && self.records.is_empty() {
                continue;
            }
            let mapping = source.is_none().then(|| place.path().join("web.toml"));
            let options = IngestOptions {
                suite: Some("web".into()),
                source,
                mappings: mapping.into_iter().collect(),
                ..IngestOptions::default()
            };
            ingest(&lake, &[place.path().join(file)], &options, &|_| {}).await.unwrap();
        }
        rebuild(&lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
        (place, lake)
    }

    /// The integrated rows.
    fn rows(&self, by_category: bool, sequence: &HashMap<String, i128>) -> Vec<Row> {
        let hit = |(n, hit): (usize, &Hit)| Row {
            visitor: Some(hit.visitor),
            visit: Some(hit.visit),
            at: (hit.time, sequence[&format!("h{n}")], 0),
            items: hit.items(by_category),
            lines: hit
                .lines
                .iter()
                .filter_map(|line| Some((line.item(by_category), f64::from(line.price?))))
                .filter(|(_, amount)| *amount != 0.0)
                .collect(),
            value: hit.revenue().into(),
            bought: hit.buys,
            hit: None,
        };
        let mut rows: Vec<Row> = self.hits.iter().enumerate().map(hit).collect();
        for (n, record) in self.records.iter().enumerate() {
            let bearing = (0..self.hits.len()).filter(|h| self.hits[*h].id == Some(record.id));
            let first = bearing.min_by_key(|h| rows[*h].at);
            let hit = first.filter(|h| record.time - rows[*h].at.0 <= 90 * DAY);
            let own = if by_category { named("k", record.category) } else { named("p", record.product) };
            rows.push(Row {
                visitor: hit.map(|h| self.hits[h].visitor),
                visit: None,
                at: (record.time, sequence[&format!("o{n}")], 0),
                items: own.into_iter().collect(),
                lines: vec![],
                value: record.revenue.into(),
                bought: false,
                hit,
            });
        }
        rows
    }
}

/// A row of a visitor's time line.
struct Row {
    visitor: Option<u8>,
    visit: Option<u8>,
    at: At,
    /// The distinct items that it touches.
    items: Vec<String>,
    /// Of each line that has some of the revenue, its item and how much.
    lines: Vec<(Option<String>, f64)>,
    value: f64,
    /// It has orders.
    bought: bool,
    /// Of a matched record, its hit.
    hit: Option<usize>,
}

/// By which function a question is asked.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Whole,
    Months,
    Credits,
}

#[derive(Clone, Copy, Debug)]
struct Question {
    model: &'static str,
    by_category: bool,
    visit: bool,
    lookback: Option<i64>,
    snapshot_basis: bool,
    /// Rows with orders are no touches.
    unbought: bool,
    repeats: &'static str,
    last_resort: Option<&'static str>,
    last_touches: Option<usize>,
    way: Way,
}

impl Question {
    fn container(&self, row: &Row) -> Option<(u8, Option<u8>)> {
        let visit = row.visit.filter(|_| self.visit);
        row.visitor.filter(|_| visit.is_some() || !self.visit).map(|visitor| (visitor, visit))
    }

    fn is_touch(&self, row: &Row) -> bool {
        let is_left_out = self.snapshot_basis && row.hit.is_some() || self.unbought && row.bought;
        !is_left_out && !row.items.is_empty()
    }

    /// What a conversion on the row `own` sees; where one of its lines converts, the row is a touch of the line's item, if it
    /// has one.
    fn path<'r>(&self, rows: &'r [Row], own: usize, value: f64, line: Option<Option<&'r String>>) -> Path<'r> {
        let at = rows[own].at;
        let reached = |row: &Row| {
            self.is_touch(row)
                && self.container(row) == self.container(&rows[own])
                && row.at <= at
                && self.lookback.is_none_or(|back| self.visit || at.0 - row.at.0 <= back)
        };
        let mut touches: Vec<(usize, Vec<&'r String>)> = vec![];
        for (t, row) in rows.iter().enumerate().filter(|(_, row)| reached(row)) {
            let items = match line {
                Some(item) if t == own => item.into_iter().collect(),
                _ => row.items.iter().collect(),
            };
            touches.push((t, items));
        }
        touches.retain(|(_, items)| !items.is_empty());
        touches.sort_by_key(|(t, _)| rows[*t].at);
        if self.model != "same_touch" {
            self.shorten(&mut touches);
        }
        let touch = |(row, items): (usize, Vec<&'r String>)| Touch { row, at: rows[row].at, items };
        Path { value, time: at.0, own, touches: touches.into_iter().map(touch).collect() }
    }

    /// Leaves out what the question does, in the order of the rules.
    fn shorten(&self, path: &mut Vec<(usize, Vec<&String>)>) {
        let last_resort: Vec<&str> = self.last_resort.map_or(vec![], |list| list.split(", ").collect());
        let is_last_resort = |item: &&String| last_resort.contains(&item.as_str());
        if path.iter().flat_map(|(_, items)| items).any(|item| !is_last_resort(item)) {
            path.iter_mut().for_each(|(_, items)| items.retain(|item| !is_last_resort(item)));
            path.retain(|(_, items)| !items.is_empty());
        }
        let before = path.clone();
        let mut seen = BTreeSet::new();
        for (n, (_, items)) in path.iter_mut().enumerate() {
            items.retain(|item| match self.repeats {
                "first" => seen.insert(item.to_string()),
                "collapse" => !before.get(n + 1).is_some_and(|(_, next)| next.contains(item)),
                _ => true,
            });
        }
        path.retain(|(_, items)| !items.is_empty());
        if let Some(most) = self.last_touches {
            let passed = path.len().saturating_sub(most);
            path.drain(..passed);
        }
    }

    /// Every conversion, or each line of it; where the paths themselves are counted, those of one item are one line.
    fn paths<'r>(&self, rows: &'r [Row]) -> Vec<Path<'r>> {
        let mut out = vec![];
        for (n, row) in rows.iter().enumerate() {
            if row.value == 0.0 || self.container(row).is_none() {
                continue;
            }
            let own = row.hit.filter(|_| self.snapshot_basis).unwrap_or(n);
            let mut lines: Vec<(Option<&String>, f64)> =
                rows[own].lines.iter().map(|(item, amount)| (item.as_ref(), *amount)).collect();
            let total: f64 = lines.iter().map(|(_, amount)| amount).sum();
            if total == 0.0 {
                out.push(self.path(rows, own, row.value, None));
                continue;
            }
            if self.model == "algorithmic" {
                let mut items: BTreeMap<Option<&String>, f64> = BTreeMap::new();
                lines.into_iter().for_each(|(item, amount)| *items.entry(item).or_default() += amount);
                lines = items.into_iter().collect();
            }
            for (item, amount) in lines {
                out.push(self.path(rows, own, row.value * amount / total, Some(item)));
            }
        }
        out
    }

    /// The items of the visitors, or visits, without a conversion: those that one at the last touch would see.
    fn unconverted(&self, rows: &[Row], paths: &[Path]) -> Vec<BTreeSet<String>> {
        let converted: Vec<_> = paths.iter().map(|path| self.container(&rows[path.own])).collect();
        let touches: Vec<&Row> = rows.iter().filter(|row| self.is_touch(row)).collect();
        let containers: BTreeSet<_> = touches.iter().filter_map(|row| self.container(row)).collect();
        let mut out = vec![];
        for container in containers.into_iter().filter(|c| !converted.contains(&Some(*c))) {
            let own = || touches.iter().filter(|row| self.container(row) == Some(container));
            let last = own().map(|row| row.at.0).max().unwrap();
            let seen = own().filter(|row| self.lookback.is_none_or(|back| self.visit || last - row.at.0 <= back));
            out.push(seen.flat_map(|row| row.items.iter().cloned()).collect());
        }
        out
    }

    fn credit(&self, rows: &[Row]) -> Credit {
        let mut out = Credit::new();
        let paths = self.paths(rows);
        if self.model == "algorithmic" {
            return shapley_values(&paths, self.unconverted(rows, &paths).into_iter());
        }
        for path in paths {
            let mut give =
                |item: Option<&String>, share: f64| *out.entry(item.cloned()).or_default() += share * path.value;
            let items = || path.touches.iter().flat_map(|touch| touch.items.iter().copied());
            match self.model {
                _ if path.touches.is_empty() => give(None, 1.0),
                "participation" => items().collect::<BTreeSet<_>>().into_iter().for_each(|item| give(Some(item), 1.0)),
                "occurrences" => items().for_each(|item| give(Some(item), 1.0)),
                model => {
                    for (touch, share) in shares(model, &path) {
                        match touch.map(|t| &path.touches[t]) {
                            None => give(None, share),
                            Some(touch) => touch.items.iter().for_each(|item| give(Some(item), share)),
                        }
                    }
                }
            }
        }
        out
    }

    fn dimension(&self) -> &'static str {
        if self.by_category { "category" } else { "product" }
    }

    fn arguments(&self) -> String {
        let lookback = self.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY));
        let mut out = format!(
            "container => '{}', lookback => '{lookback}', basis => '{}', repeats => '{}'",
            if self.visit { "visit" } else { "visitor" },
            if self.snapshot_basis { "snapshot" } else { "event" },
            self.repeats,
        );
        if self.unbought {
            out.push_str(", touches => 'orders IS NULL'");
        }
        if let Some(items) = self.last_resort {
            out.push_str(&format!(", last_resort => '{items}'"));
        }
        if let Some(most) = self.last_touches {
            out.push_str(&format!(", last_touches => {most}"));
        }
        out
    }

    fn sql(&self) -> String {
        let (function, model) = match (self.model, self.way) {
            ("occurrences", _) => ("participation", ", deduplicate => false".to_string()),
            (model, Way::Credits) => ("credits", format!(", model => '{model}'")),
            ("participation", _) => ("participation", String::new()),
            (model, _) => ("attribution", format!(", model => '{model}'")),
        };
        let by = if self.way == Way::Months { ", by => 'month'" } else { "" };
        let call = format!("{function}('revenue', '{}'{model}, {}{by})", self.dimension(), self.arguments());
        match self.way {
            Way::Whole => format!("SELECT item, credit FROM {call}"),
            Way::Months | Way::Credits => format!("SELECT item, sum(credit) FROM {call} GROUP BY item"),
        }
    }
}

fn questions() -> Vec<Question> {
    let mut out = vec![];
    for (n, model) in SHARING.into_iter().chain(["participation", "occurrences"]).enumerate() {
        for turn in 0..8 {
            let way = match turn % 4 {
                1 => Way::Months,
                3 if model != "occurrences" => Way::Credits,
                _ => Way::Whole,
            };
            let visit = (n + turn) % 4 == 2;
            out.push(Question {
                model,
                by_category: (n + turn) % 3 != 0,
                visit,
                lookback: [None, Some(30 * DAY), Some(DAY)][(n / 2 + turn) % 3],
                snapshot_basis: !visit && turn % 2 == n % 2,
                unbought: turn % 3 == 2,
                repeats: ["keep", "keep", "keep", "keep", "collapse", "first", "collapse", "keep"][turn],
                last_resort: (turn >= 5).then_some(["k0, p1", "p0", "k1"][n % 3]),
                last_touches: [None, None, None, Some(1), None, None, Some(2), Some(3)][turn],
                way,
            });
        }
    }
    for turn in 0..12 {
        out.push(Question {
            model: "algorithmic",
            by_category: turn % 2 == 0,
            visit: turn % 4 == 1,
            lookback: [None, Some(30 * DAY), Some(DAY)][turn / 4],
            snapshot_basis: turn % 4 > 1,
            unbought: turn % 3 > 0,
            repeats: "keep",
            last_resort: None,
            last_touches: None,
            way: Way::Whole,
        });
    }
    out
}

async fn engine(lake: &Lake, batch_size: usize, threads: usize) -> Engine {
    let settings = EngineSettings { batch_size: Some(batch_size), threads: Some(threads), ..EngineSettings::default() };
    let engine = Engine::open(lake.clone(), settings).await.unwrap();
    read_journeys(&engine, threads).await.unwrap();
    cut_keys(&engine, batch_size, threads).await.unwrap();
    engine
}

/// The order of rows of one instant, by the names that `prop1` of hits and `evar9` of records give them.
async fn sequences(engine: &Engine) -> HashMap<String, i128> {
    let mut out = HashMap::new();
    let columns = engine.columns("events").await.unwrap();
    for (name, online) in [("prop1", true), ("evar9", false)] {
        if columns.column_with_name(name).is_none() {
            continue;
        }
        let sql = format!(
            "SELECT {name}, CAST(hit_seq AS VARCHAR) FROM events WHERE {name} IS NOT NULL AND (row_kind = 'online') = {online}"
        );
        let (_, rows) = table::rows(engine, &sql).await.unwrap();
        out.extend(rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())));
    }
    out
}

#[test]
fn every_line_has_a_path_of_its_own() {
    deep(|runtime| {
        let turn = AtomicUsize::new(0);
        let outcome =
            runner(6, 0).run(&worlds(), |world| runtime.block_on(agrees(&world, turn.fetch_add(1, Ordering::Relaxed))));
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

/// A third of the questions; all take their turns.
async fn agrees(world: &World, turn: usize) -> Result<(), TestCaseError> {
    let (_place, lake) = world.load().await;
    let sequence = sequences(&engine(&lake, 8192, 1).await).await;
    let engines = [engine(&lake, 1, 4).await, engine(&lake, 7, 2).await, engine(&lake, 8192, 1).await];
    // an item without a conversion and one with a net of 0 are alike where conversions are shown one by one
    let real = |credit: Credit| credit.into_iter().filter(|(_, credit)| credit.abs() > 1e-9).collect::<Credit>();
    for (n, question) in questions().iter().enumerate().filter(|(n, _)| n % 3 == turn % 3) {
        let engine = &engines[(n / 3 + turn / 3) % 3];
        let sql = question.sql();
        let expected = question.credit(&world.rows(question.by_category, &sequence));
        let found = answer(engine, &sql).await;
        match question.way {
            Way::Credits => compare(&real(expected), &real(found), &sql)?,
            Way::Whole | Way::Months => compare(&expected, &found, &sql)?,
        }
    }
    for dimension in ["product", "category"] {
        sums(&engines[turn % 3], dimension).await?;
        explained(&engines[turn % 3], dimension).await?;
    }
    Ok(())
}

/// By the model of all journeys the credit sums to the metric.
async fn sums(engine: &Engine, dimension: &str) -> Result<(), TestCaseError> {
    let sql = "SELECT 'all', coalesce(sum(revenue), 0) FROM events WHERE visitor_id IS NOT NULL";
    let total = answer(engine, sql).await[&Some("all".into())];
    let sql =
        format!("SELECT item, credit FROM attribution('revenue', '{dimension}', 'algorithmic', lookback => 'all')");
    let credited: f64 = answer(engine, &sql).await.values().sum();
    let same = (total - credited).abs() <= 1e-9 * total.abs().max(1.0);
    if same { Ok(()) } else { Err(TestCaseError::fail(format!("{sql}: {credited} of {total}"))) }
}

/// One conversion after the other, `credit_path` says what `credits` does, whatever leaves touches out.
async fn explained(engine: &Engine, dimension: &str) -> Result<(), TestCaseError> {
    for (rest, models) in
        [("", "last_touch,j_shaped"), (", repeats => 'collapse'", "linear"), (", last_resort => 'p0, k0'", "linear")]
    {
        let arguments = format!("lookback => 'all'{rest}, models => '{models}'");
        let columns: Vec<String> = match models.split_once(',') {
            Some(_) => models.split(',').map(|model| format!("share_{model}")).collect(),
            None => vec!["share".to_string()],
        };
        let listed =
            format!("SELECT DISTINCT event_id FROM credits('revenue', '{dimension}', {arguments}) ORDER BY 1 LIMIT 2");
        let (_, conversions) = table::rows(engine, &listed).await.unwrap_or_else(|e| panic!("{listed}: {e}"));
        for conversion in conversions {
            for (model, column) in models.split(',').zip(&columns) {
                let credits = format!(
                    "SELECT item, sum({column}) FROM credits('revenue', '{dimension}', {arguments}) WHERE event_id = '{}' GROUP BY item",
                    conversion[0]
                );
                let path = format!(
                    "SELECT item, sum({model}) FROM credit_path('revenue', '{dimension}', '{}', {arguments}) GROUP BY item",
                    conversion[0]
                );
                let real = |credit: Credit| credit.into_iter().filter(|(_, c)| c.abs() > 1e-9).collect::<Credit>();
                let [credits, explained] = [answer(engine, &credits).await, answer(engine, &path).await];
                compare(&real(credits), &real(explained), &path)?;
            }
        }
    }
    Ok(())
}
