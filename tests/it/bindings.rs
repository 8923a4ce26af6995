//! Values that are bound to products, straight from the rules: every product line looks at every line of its visitor.
//!
//! Random worlds of mapped hits with product lines, and transaction records, under random settings. Nothing here is shared
//! with the product but the lake's own order of rows of one instant; how a model shares one path is [`crate::oracle`]'s.

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
use rejoin::lake::bindings::Binding;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{DAY, instant, item, time};
use crate::members::Site;
use crate::oracle::{Credit, Path, Place as At, SHARING, Touch, answer, compare, runner, shares};
use crate::place::{Place, deep};

/// A product line of a hit.
#[derive(Clone, Debug)]
struct Line {
    product: Option<u8>,
    category: Option<u8>,
    value: Option<u8>,
    price: i32,
    event: Option<i32>,
}

#[derive(Clone, Debug)]
struct Hit {
    visitor: u8,
    time: i64,
    visit: u8,
    id: Option<u8>,
    /// The dimension's value on the row itself.
    found: Option<u8>,
    lines: Vec<Line>,
    orders: Option<i32>,
    cart: bool,
    /// What the event list alone says.
    event: Option<i32>,
}

#[derive(Clone, Debug)]
struct Record {
    id: u8,
    time: i64,
    product: Option<u8>,
    orders: i32,
    revenue: i32,
}

#[derive(Clone, Debug)]
struct World {
    hits: Vec<Hit>,
    records: Vec<Record>,
}

prop_compose! {
    fn line()(product in weighted(0.9, 0..3u8), category in weighted(0.7, 0..2u8), value in of(0..3u8), price in -2..9i32, event in weighted(0.3, 1..5i32)) -> Line {
        Line { product, category, value, price, event }
    }
}

prop_compose! {
    fn hit()(visitor in 0..3u8, time in time(), visit in 0..3u8, id in weighted(0.3, 0..4u8), found in of(0..3u8), lines in vec(line(), 0..4),
             orders in weighted(0.4, -1..4i32), cart in weighted(0.3, Just(())), event in weighted(0.2, 1..5i32)) -> Hit {
        Hit { visitor, time, visit, id, found, lines, orders, cart: cart.is_some(), event }
    }
}

prop_compose! {
    fn record()(id in 0..4u8, time in time(), product in of(0..3u8), orders in -3..4i32, revenue in -9..9i32) -> Record {
        Record { id, time, product, orders, revenue }
    }
}

fn worlds() -> impl Strategy<Value = World> {
    (vec(hit(), 1..40), vec(record(), 0..12)).prop_map(|(hits, records)| World { hits, records })
}

impl Hit {
    fn revenue(&self) -> Option<i32> {
        self.orders.map(|_| self.lines.iter().map(|line| line.price).sum())
    }

    /// The values of the lines, where there are any.
    fn events(&self) -> Option<i32> {
        let of_lines: Vec<i32> = self.lines.iter().filter_map(|line| line.event).collect();
        if of_lines.is_empty() { self.event } else { Some(of_lines.iter().sum()) }
    }

    fn list(&self) -> String {
        let text = |prefix: &str, number: Option<u8>| number.map_or(String::new(), |n| item(prefix, n));
        let line = |line: &Line| {
            let bound = line.value.map_or(String::new(), |n| format!("eVar1=f{n}"));
            let event = line.event.map_or(String::new(), |n| format!("event1={n}"));
            format!("{};{};1;{};{event};{bound}", text("k", line.category), text("p", line.product), line.price)
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
evar1 = "found"
product_list = "lines"
[metrics]
orders = "orders"
revenue = "revenue"
event1 = "event"
cart_adds = "cart"
"#;

impl World {
    async fn load(&self, site: Site) -> (Place, Lake) {
        let place = site.place();
        let lake = place.open_lake();
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
            let number = |number: Option<i32>| number.map_or("null".to_string(), |n| n.to_string());
            let text = |prefix: &str, number: Option<u8>| number.map_or("null".into(), |n| format!("\"{prefix}{n}\""));
            writeln!(
                online,
                r#"{{"row":"h{row}","visitor":"v{}","time":"{}","visit":{},"id":{},"found":{},"lines":"{}","orders":{},"revenue":{},"event":{},"cart":{}}}"#,
                hit.visitor,
                instant(hit.time).format("%Y-%m-%dT%H:%M:%SZ"),
                hit.visit + 1,
                text("T", hit.id),
                text("f", hit.found),
                hit.list(),
                number(hit.orders),
                number(hit.revenue()),
                number(hit.events()),
                number(hit.cart.then_some(1)),
            )
            .unwrap();
        }
        place.write("web.ndjson", online);
        let mut offline = String::from("Date\ttransactionID\tEvar 9\tProduct\tOrders\tPrice\n");
        for (row, record) in self.records.iter().enumerate() {
            let date = instant(record.time).format("%m/%d/%Y/%H/%M/%S");
            let product = record.product.map_or(String::new(), |n| item("p", n));
            writeln!(offline, "{date}\tT{}\to{row}\t{product}\t{}\t{}", record.id, record.orders, record.revenue)
                .unwrap();
        }
        place.write("returns.txt", offline);
        place.write("returns.fin", "");
        let suite = Some("web".to_string());
        for (file, source) in [("web.ndjson", None), ("returns.txt", Some("returns".to_string()))] {
            if source.is_some() && self.records.is_empty() {
                continue;
            }
            let mapping = source.is_none().then(|| place.path().join("web.toml"));
            let options = IngestOptions { suite: suite.clone(), source, ..options_with(mapping) };
            ingest(&lake, &[place.path().join(file)], &options, &|_| {}).await.unwrap();
        }
        rebuild(&lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
        (place, lake)
    }
}

fn options_with(mapping: Option<std::path::PathBuf>) -> IngestOptions {
    IngestOptions { mappings: mapping.into_iter().collect(), again: true, ..IngestOptions::default() }
}

/// How long a binding lasts.
#[derive(Clone, Copy, Debug)]
enum Lasting {
    Ever,
    Visit,
    Days(i64),
    UntilOrder,
}

/// A question, with the setting under which it is asked.
#[derive(Clone, Copy, Debug)]
struct Question {
    model: &'static str,
    metric: &'static str,
    by_category: bool,
    on_cart: bool,
    original: bool,
    lasting: Lasting,
    visit: bool,
    lookback: Option<i64>,
    snapshot_basis: bool,
}

/// A line: product or category, the value that is bound there, revenue, event.
type Placed = (Option<String>, Option<String>, Option<f64>, Option<f64>);

/// A row of a visitor's time line.
struct Row {
    visitor: Option<u8>,
    visit: Option<u8>,
    at: At,
    lines: Vec<Placed>,
    orders: f64,
    revenue: f64,
    event: f64,
    hit: Option<usize>,
}

impl Question {
    fn rows(&self, world: &World, sequence: &HashMap<String, i128>) -> Vec<Row> {
        let mut rows: Vec<Row> = vec![];
        for (n, hit) in world.hits.iter().enumerate() {
            let lines = hit.lines.iter().map(|line| {
                let key = if self.by_category {
                    line.category.map(|n| item("k", n))
                } else {
                    line.product.map(|n| item("p", n))
                };
                let of_row = hit.found.filter(|_| self.on_cart && hit.cart);
                let value = line.value.or(of_row).map(|n| item("f", n));
                (key, value, Some(line.price.into()), line.event.map(f64::from))
            });
            rows.push(Row {
                visitor: Some(hit.visitor),
                visit: Some(hit.visit),
                at: (hit.time, sequence[&format!("h{n}")], 0),
                lines: lines.collect(),
                orders: hit.orders.unwrap_or(0).into(),
                revenue: hit.revenue().unwrap_or(0).into(),
                event: hit.events().unwrap_or(0).into(),
                hit: None,
            });
        }
        for (n, record) in world.records.iter().enumerate() {
            let bearing = (0..world.hits.len()).filter(|h| world.hits[*h].id == Some(record.id));
            let first = bearing.min_by_key(|h| rows[*h].at);
            let hit = first.filter(|h| record.time - rows[*h].at.0 <= 90 * DAY);
            let product = record.product.filter(|_| !self.by_category);
            rows.push(Row {
                visitor: hit.map(|h| world.hits[h].visitor),
                visit: None,
                at: (record.time, sequence[&format!("o{n}")], 0),
                lines: product.iter().map(|n| (Some(item("p", *n)), None, None, None)).collect(),
                orders: record.orders.into(),
                revenue: record.revenue.into(),
                event: 0.0,
                hit,
            });
        }
        rows
    }

    fn value(&self, row: &Row) -> f64 {
        match self.metric {
            "orders" => row.orders,
            "revenue" => row.revenue,
            _ => row.event,
        }
    }

    fn container(&self, row: &Row) -> Option<(u8, Option<u8>)> {
        let visit = row.visit.filter(|_| self.visit);
        row.visitor.filter(|_| visit.is_some() || !self.visit).map(|visitor| (visitor, visit))
    }

    /// On the time line, and not only as a conversion at another place.
    fn stands(&self, row: &Row) -> bool {
        row.visitor.is_some() && (!self.visit || row.visit.is_some()) && !(self.snapshot_basis && row.hit.is_some())
    }

    /// True if what row `from` binds still lives on row `to`.
    fn lives(&self, rows: &[Row], from: usize, to: usize) -> bool {
        match self.lasting {
            Lasting::Ever => true,
            Lasting::Visit => from == to || (rows[from].visit.is_some() && rows[from].visit == rows[to].visit),
            Lasting::Days(days) => rows[to].at.0 - rows[from].at.0 <= days * DAY,
            Lasting::UntilOrder => !rows.iter().any(|row| {
                let between = rows[from].at <= row.at && row.at < rows[to].at;
                self.stands(row) && row.visitor == rows[from].visitor && between && row.orders != 0.0
            }),
        }
    }

    /// The bindings of a visitor's product: row, line, value; in order.
    fn bindings<'r>(&self, rows: &'r [Row], visitor: Option<u8>, key: &String) -> Vec<(usize, usize, &'r String)> {
        let mut all = vec![];
        for (n, row) in rows.iter().enumerate().filter(|(_, row)| self.stands(row) && row.visitor == visitor) {
            for (l, (of, value, ..)) in row.lines.iter().enumerate() {
                if let (true, Some(value)) = (of.as_ref() == Some(key), value) {
                    all.push((n, l, value));
                }
            }
        }
        all.sort_by_key(|(n, l, _)| (rows[*n].at, *l));
        let mut kept: Vec<(usize, usize, &String)> = vec![];
        for binding in all {
            if !self.original || !kept.iter().any(|(n, ..)| self.lives(rows, *n, binding.0)) {
                kept.push(binding);
            }
        }
        kept
    }

    /// What a line, or a product of a row, sees; touches are told apart by `row * 100 + line`.
    fn path<'r>(&self, rows: &'r [Row], own: usize, key: &String, line: usize, value: f64) -> Path<'r> {
        let at = rows[own].at;
        let seen = self.bindings(rows, rows[own].visitor, key).into_iter().filter(|(n, l, _)| {
            self.container(&rows[*n]) == self.container(&rows[own])
                && (rows[*n].at, *l) <= (at, line)
                && self.lookback.is_none_or(|back| self.visit || at.0 - rows[*n].at.0 <= back)
                && self.lives(rows, *n, own)
        });
        let touch =
            |(n, l, item): (usize, usize, &'r String)| Touch { row: n * 100 + l, at: rows[n].at, items: vec![item] };
        Path { value, time: at.0, own: own * 100 + line, touches: seen.map(touch).collect() }
    }

    /// Credit of every item, of a conversion's path alone.
    fn share(&self, path: &Path, give: &mut dyn FnMut(Option<&String>, f64)) {
        let items = || path.touches.iter().flat_map(|touch| touch.items.iter().copied());
        match self.model {
            _ if path.touches.is_empty() => give(None, 1.0),
            "participation" => items().collect::<BTreeSet<_>>().into_iter().for_each(|item| give(Some(item), 1.0)),
            "occurrences" => items().for_each(|item| give(Some(item), 1.0)),
            model => {
                for (touch, share) in shares(model, path).into_iter().filter(|(_, share)| *share != 0.0) {
                    give(touch.map(|t| path.touches[t].items[0]), share);
                }
            }
        }
    }

    fn credit(&self, rows: &[Row]) -> Credit {
        let mut out = Credit::new();
        for (n, row) in rows.iter().enumerate() {
            let value = self.value(row);
            if value == 0.0 || self.container(row).is_none() {
                continue;
            }
            let own = row.hit.filter(|_| self.snapshot_basis).unwrap_or(n);
            let amount = |line: &Placed| match self.metric {
                "revenue" => line.2,
                "event1" => line.3,
                _ => None,
            };
            let lines = &rows[own].lines;
            let total: f64 = lines.iter().filter_map(amount).sum();
            if total != 0.0 {
                for (l, line) in lines.iter().enumerate() {
                    let part = value * amount(line).unwrap_or(0.0) / total;
                    if part == 0.0 {
                        continue;
                    }
                    match &line.0 {
                        None => *out.entry(None).or_default() += part,
                        Some(key) => {
                            let path = self.path(rows, own, key, l, part);
                            self.share(&path, &mut |item, share| {
                                *out.entry(item.cloned()).or_default() += share * part
                            });
                        }
                    }
                }
                continue;
            }
            // in full to each product; of several an item gets the largest share
            let keys: BTreeSet<&String> = lines.iter().filter_map(|line| line.0.as_ref()).collect();
            let mut largest: BTreeMap<Option<String>, f64> = BTreeMap::new();
            for key in &keys {
                // same touch is what the row itself binds, its last
                let kept = self.bindings(rows, rows[own].visitor, key);
                let bound = kept.iter().rfind(|(n, ..)| *n == own).map(|(_, l, _)| *l);
                let line = bound.or_else(|| lines.iter().rposition(|line| line.0.as_ref() == Some(*key))).unwrap();
                let path = self.path(rows, own, key, line, value);
                let mut shares: BTreeMap<Option<String>, f64> = BTreeMap::new();
                self.share(&path, &mut |item, share| *shares.entry(item.cloned()).or_default() += share);
                for (item, share) in shares {
                    let so_far = largest.entry(item).or_insert(share);
                    *so_far = so_far.max(share);
                }
            }
            if keys.is_empty() {
                largest.insert(None, 1.0);
            }
            largest.into_iter().for_each(|(item, share)| *out.entry(item).or_default() += share * value);
        }
        out
    }

    fn setting(&self) -> SuiteChanges {
        let expiry = match self.lasting {
            Lasting::Ever => "visitor".to_string(),
            Lasting::Visit => "visit".to_string(),
            Lasting::Days(days) => format!("{days} days"),
            Lasting::UntilOrder => "orders".to_string(),
        };
        let binding = Binding::new(
            if self.by_category { "category" } else { "product" },
            self.on_cart.then_some("cart_adds"),
            Some(if self.original { "original" } else { "most_recent" }),
            Some(&expiry),
        );
        SuiteChanges { bindings: vec![("evar1".into(), Some(binding.unwrap()))], ..SuiteChanges::default() }
    }

    fn sql(&self) -> String {
        let (function, model) = match self.model {
            "participation" => ("participation", String::new()),
            "occurrences" => ("participation", ", deduplicate => false".to_string()),
            model => ("attribution", format!(", model => '{model}'")),
        };
        let lookback = self.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY));
        format!(
            "SELECT item, credit FROM {function}('{}', 'evar1'{model}, container => '{}', lookback => '{lookback}', basis => '{}')",
            self.metric,
            if self.visit { "visit" } else { "visitor" },
            if self.snapshot_basis { "snapshot" } else { "event" },
        )
    }

    /// The same by the window form over product lines, where it can answer: what each line of a visit has of revenue.
    fn window_sql(&self) -> Option<String> {
        let plain = !self.original && !self.on_cart && matches!(self.lasting, Lasting::Ever) && !self.by_category;
        if !plain || !self.visit || self.metric != "revenue" || self.model == "occurrences" {
            return None;
        }
        let (function, model) = match self.model {
            "participation" => ("visit_participation", String::new()),
            model => ("visit_attribution", format!(", '{model}'")),
        };
        Some(format!(
            "SELECT value, sum(c) FROM (SELECT value, {function}(value, amount{model}) OVER (PARTITION BY visitor_id, visit_num, product \
             ORDER BY hit_time, hit_seq) AS c FROM (SELECT visitor_id, visit_num, hit_time, hit_seq, p['product'] AS product, \
             bound_value(p['evars'], 'evar1') AS value, CASE WHEN orders IS NOT NULL THEN p['price'] END AS amount FROM \
             (SELECT *, unnest(products(product_list)) AS p FROM events WHERE row_kind = 'online'))) GROUP BY 1 HAVING sum(c) IS NOT NULL"
        ))
    }
}

fn questions() -> Vec<Question> {
    let mut out = vec![];
    let models = SHARING.into_iter().chain(["participation", "occurrences"]);
    for (n, model) in models.enumerate() {
        for (m, metric) in ["revenue", "orders", "event1"].into_iter().enumerate() {
            let turn = n + 5 * m;
            out.push(Question {
                model,
                metric,
                by_category: turn % 5 == 4,
                on_cart: turn % 3 == 1,
                original: turn % 4 == 3,
                lasting: [Lasting::Ever, Lasting::Visit, Lasting::Days(30), Lasting::UntilOrder][(turn / 2) % 4],
                visit: turn % 3 == 2,
                lookback: [None, Some(30 * DAY), Some(DAY)][(turn / 3) % 3],
                snapshot_basis: turn % 6 == 0,
            });
        }
        let plain = Question {
            model,
            metric: "revenue",
            by_category: false,
            on_cart: false,
            original: false,
            lasting: Lasting::Ever,
            visit: true,
            lookback: None,
            snapshot_basis: false,
        };
        out.push(plain);
        out.push(Question { visit: false, original: true, lasting: Lasting::Days(30), ..plain });
    }
    out
}

async fn engine(lake: &Lake, site: Site, batch_size: usize, threads: usize) -> Engine {
    let (batch_size, threads, remote) = (Some(batch_size), Some(threads), site.remote(lake));
    let settings = EngineSettings { batch_size, threads, remote, ..EngineSettings::default() };
    Engine::open(lake.clone(), settings).await.unwrap()
}

/// The order of rows of one instant, by the names that `prop1` of hits and `evar9` of records give them.
async fn sequences_of(engine: &Engine) -> HashMap<String, i128> {
    let mut out = HashMap::new();
    let columns = engine.columns("events").await.unwrap();
    for name in ["prop1", "evar9"].into_iter().filter(|n| columns.column_with_name(n).is_some()) {
        let sql = format!(
            "SELECT {name}, CAST(hit_seq AS VARCHAR) FROM events WHERE {name} IS NOT NULL AND (row_kind = 'online') = ('{name}' = 'prop1')"
        );
        let (_, rows) = crate::table::rows(engine, &sql).await.unwrap();
        out.extend(rows.into_iter().map(|r| (r[0].clone(), r[1].parse().unwrap())));
    }
    out
}

#[test]
fn bound_values_have_the_credit_of_their_products() {
    any_worlds(Site::Folder, 5, 5);
}

#[test]
fn bound_values_have_it_on_s3_and_on_a_cluster() {
    any_worlds(Site::S3, 2, 10);
    any_worlds(Site::Cluster, 2, 20);
}

/// So many worlds, each with one of so many parts of the questions.
fn any_worlds(site: Site, worlds_count: u32, parts: usize) {
    site.begin();
    deep(|runtime| {
        let turn = AtomicUsize::new(0);
        let outcome = runner(worlds_count, 0).run(&worlds(), |world| {
            runtime.block_on(agrees(&world, site, turn.fetch_add(1, Ordering::Relaxed), parts))
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

/// One of `parts` parts of the questions; all take their turns.
async fn agrees(world: &World, site: Site, turn: usize, parts: usize) -> Result<(), TestCaseError> {
    let (_place, lake) = world.load(site).await;
    let sequence = sequences_of(&engine(&lake, site, 8192, 1).await).await;
    for (n, question) in questions().iter().enumerate().filter(|(n, _)| n % parts == turn % parts) {
        set_suite(&lake, "web", &question.setting()).await.unwrap();
        let (batch_size, threads) = ([1, 7, 8192][n % 3], [1, 2, 4][(n / 3) % 3]);
        let engine = engine(&lake, site, batch_size, threads).await;
        let expected = question.credit(&question.rows(world, &sequence));
        let place = |sql: &str| format!("{question:?}\n{sql}");
        let sql = question.sql();
        let found = answer(&engine, &sql).await;
        compare(&expected, &found, &place(&sql))?;
        sums(question, &engine, &found).await?;
        // a product that two lines of one row name has no order among them in a window
        let distinct = world.hits.iter().all(|hit| {
            let keys: Vec<_> = hit.lines.iter().map(|line| line.product).collect();
            keys.iter().collect::<BTreeSet<_>>().len() == keys.len()
        });
        if let (Some(sql), true) = (question.window_sql(), distinct) {
            let real = |credit: Credit| credit.into_iter().filter(|(_, c)| c.abs() > 1e-9).collect::<Credit>();
            // lines whose amounts cancel out convert as a whole, and a line without product is its own journey of none
            let whole = world.hits.iter().all(|hit| {
                hit.lines.iter().all(|line| line.product.is_some())
                    && (hit.lines.is_empty() || hit.lines.iter().map(|line| line.price).sum::<i32>() != 0)
            });
            if whole {
                compare(&real(expected), &real(answer(&engine, &sql).await), &place(&sql))?;
            }
        }
        explained(question, &engine).await?;
    }
    Ok(())
}

/// The credit of a product's metric sums to the metric, in every model that shares it.
async fn sums(question: &Question, engine: &Engine, found: &Credit) -> Result<(), TestCaseError> {
    if question.metric != "revenue" || matches!(question.model, "participation" | "occurrences") {
        return Ok(());
    }
    // lines whose amounts cancel out divide nothing
    let container = if question.visit { "row_kind = 'online'" } else { "visitor_id IS NOT NULL" };
    let sql = format!("SELECT 'all', coalesce(sum(revenue), 0) FROM events WHERE {container}");
    let total = answer(engine, &sql).await[&Some("all".into())];
    let credited: f64 = found.values().sum();
    let same = (total - credited).abs() < 1e-9 * total.abs().max(1.0);
    if same { Ok(()) } else { Err(TestCaseError::fail(format!("{question:?}: {credited} of {total}"))) }
}

/// One conversion after the other, `credit_path` says the same as all together, and `conversions` lists them.
async fn explained(question: &Question, engine: &Engine) -> Result<(), TestCaseError> {
    if question.model != "linear" && question.model != "last_touch" {
        return Ok(());
    }
    let arguments = format!(
        "container => '{}', lookback => '{}', basis => '{}'",
        if question.visit { "visit" } else { "visitor" },
        question.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY)),
        if question.snapshot_basis { "snapshot" } else { "event" },
    );
    let listed =
        format!("SELECT event_id, value FROM conversions('{}', 'evar1', {arguments}) LIMIT 3", question.metric);
    let (_, conversions) = crate::table::rows(engine, &listed).await.unwrap();
    for conversion in conversions {
        let path = format!(
            "SELECT sum({0}), count(*) FROM credit_path('{1}', 'evar1', '{2}', {arguments}, models => '{0}')",
            question.model, question.metric, conversion[0]
        );
        let (_, rows) = crate::table::rows(engine, &path).await.unwrap_or_else(|e| panic!("{path}: {e}"));
        let shares: f64 = rows[0][0].parse().unwrap();
        // of several products, the largest shares may sum to more than the whole
        let fits = if question.metric == "revenue" { (shares - 1.0).abs() < 1e-9 } else { shares > 1.0 - 1e-9 };
        if !fits {
            return Err(TestCaseError::fail(format!("{question:?}: {path}: {shares}")));
        }
    }
    Ok(())
}

/// A row with one product, no product twice and every product bound where the row sets the value: the same as unbound.
#[test]
fn one_product_a_row_without_reuse_is_as_unbound() {
    let apart = |world: &mut World| {
        world.records.clear();
        for (n, hit) in world.hits.iter_mut().enumerate() {
            // a product of its own for each visitor and value: touched, then bought
            hit.visitor = n as u8 % 3;
            hit.lines.truncate(1);
            hit.time = hit.time / DAY * DAY + n as i64;
            for line in &mut hit.lines {
                (line.product, line.value, line.event) = (Some(hit.visitor), hit.found, None);
            }
            if hit.lines.is_empty() {
                (hit.found, hit.orders) = (None, None);
            }
        }
    };
    deep(|runtime| {
        let outcome = runner(2, 0).run(&worlds(), |mut world| {
            apart(&mut world);
            runtime.block_on(async {
                let (_place, lake) = world.load(Site::Folder).await;
                for model in SHARING {
                    for metric in ["orders", "revenue"] {
                        let sql = format!(
                            "SELECT item, credit FROM attribution('{metric}', 'evar1', '{model}', lookback => 'all')"
                        );
                        set_suite(
                            &lake,
                            "web",
                            &SuiteChanges { bindings: vec![("evar1".into(), None)], ..Default::default() },
                        )
                        .await
                        .unwrap();
                        let unbound = answer(&engine(&lake, Site::Folder, 7, 1).await, &sql).await;
                        let binding = Binding::new("product", None, None, None).unwrap();
                        let bind =
                            SuiteChanges { bindings: vec![("evar1".into(), Some(binding))], ..Default::default() };
                        set_suite(&lake, "web", &bind).await.unwrap();
                        compare(&unbound, &answer(&engine(&lake, Site::Folder, 7, 1).await, &sql).await, &sql)?;
                    }
                }
                Ok(())
            })
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}
