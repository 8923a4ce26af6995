//! Participation and attribution straight from the rules: every conversion looks at every row of its visitor.
//!
//! Nothing here is shared with the product but the lake's own order of online hits of one instant, which is a hash by rule.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::journeys::{DAY, Journeys, Loaded, Record, instant, item, journeys};
use crate::place::deep;
use crate::slt::cut_keys;
use crate::table;

/// Credit by item; None is the item of conversions without a touch.
pub type Credit = BTreeMap<Option<String>, f64>;

/// Where a row stands: its time, its sequence there, and among offline rows that stand at one hit its number.
pub type Place = (i64, i128, usize);

/// Above every online row of an instant.
const OFFLINE: i128 = i128::MAX / 2;

/// A row of a visitor's time line.
#[derive(Clone, Debug)]
struct Row {
    visitor: Option<u8>,
    visit: Option<u8>,
    at: Place,
    own_time: i64,
    campaigns: Vec<String>,
    products: Vec<String>,
    /// The campaigns and products that the row itself set or brought.
    brought: [Vec<String>; 2],
    /// What each product of an online hit has of the revenue; of a record that took its hit's products, in which proportion.
    lines: Vec<(String, f64)>,
    orders: f64,
    revenue: f64,
    /// A matched transaction row: the index of its online hit.
    hit: Option<usize>,
}

/// A question to the oracle and to the engine alike.
#[derive(Clone, Copy, Debug)]
struct Question {
    model: &'static str,
    products: bool,
    /// The metric is revenue, which products have of their own; else orders.
    revenue: bool,
    visit: bool,
    lookback: Option<i64>,
    window: (i64, i64),
    snapshot_basis: bool,
    inherited: bool,
}

/// The integrated rows: what each offline record takes from its snapshot or its customer.
fn integrate(journeys: &Journeys, sequence: &HashMap<String, i128>) -> Vec<Row> {
    let names = |prefix: &str, numbers: &[u8]| numbers.iter().map(|n| item(prefix, *n)).collect::<Vec<_>>();
    let mut rows: Vec<Row> = journeys
        .hits
        .iter()
        .enumerate()
        .map(|(n, hit)| Row {
            visitor: Some(hit.visitor),
            visit: Some(hit.visit),
            at: (hit.time, sequence[&format!("h{n}")], 0),
            own_time: hit.time,
            campaigns: names("c", hit.campaign.as_slice()),
            products: names("p", &hit.products),
            brought: [names("c", hit.campaign.as_slice()), names("p", &hit.products)],
            lines: hit.products.iter().zip(&hit.prices).map(|(n, price)| (item("p", *n), (*price).into())).collect(),
            revenue: hit.revenue().into(),
            orders: hit.orders.unwrap_or(0).into(),
            hit: None,
        })
        .collect();
    let first =
        |id: u8| (0..journeys.hits.len()).filter(|h| journeys.hits[*h].ids.contains(&id)).min_by_key(|h| rows[*h].at);
    let snapshots: HashMap<u8, usize> = (0..6).filter_map(|id| Some((id, first(id)?))).collect();
    let matched = |record: &Record| {
        let hit = *snapshots.get(&record.id).filter(|_| !record.customer)?;
        let limit = if journeys.current_rules { 25 * 30 * DAY } else { 90 * DAY };
        (record.time - rows[hit].own_time <= limit).then_some(hit)
    };
    let offline = journeys
        .records
        .iter()
        .enumerate()
        .map(|(n, record)| {
            let mut row = Row {
                visitor: None,
                visit: None,
                // by file name, customer.txt before transaction.txt, then by row
                at: (record.time, OFFLINE + n as i128 + if record.customer { 0 } else { 1_000_000 }, 0),
                own_time: record.time,
                campaigns: names("c", record.campaign.as_slice()),
                products: names("p", record.product.as_slice()),
                brought: [names("c", record.campaign.as_slice()), names("p", record.product.as_slice())],
                lines: vec![],
                revenue: record.revenue.into(),
                orders: record.orders.into(),
                hit: matched(record),
            };
            if let Some(hit) = row.hit {
                let (date, noon) = (instant(record.time).date_naive(), record.time);
                if record.date_only && instant(rows[hit].own_time).date_naive() == date && rows[hit].own_time > noon {
                    row.at = (rows[hit].own_time, rows[hit].at.1, 1 + n);
                    row.own_time = row.at.0;
                }
                row.visitor = rows[hit].visitor;
                // classic: what earlier matched records of the ID brought was added where the snapshot had nothing
                let earlier =
                    |other: &&(usize, &Record)| !journeys.current_rules && (other.1.time, other.0) < (record.time, n);
                let all: Vec<_> = journeys.records.iter().enumerate().collect();
                let mut added: Vec<_> =
                    all.iter().filter(earlier).filter(|(_, o)| o.id == record.id && matched(o).is_some()).collect();
                added.sort_by_key(|(n, o)| (o.time, *n));
                if row.campaigns.is_empty() {
                    row.campaigns = rows[hit].campaigns.clone();
                }
                if row.campaigns.is_empty() {
                    row.campaigns = names("c", added.iter().find_map(|(_, o)| o.campaign).as_slice());
                }
                if row.products.is_empty() && journeys.current_rules {
                    row.products = rows[hit].products.clone();
                    row.lines = rows[hit].lines.clone();
                }
            } else if record.customer {
                let known: Vec<_> =
                    (0..journeys.hits.len()).filter(|h| journeys.hits[*h].customer == Some(record.id)).collect();
                let seen = known.iter().filter(|h| rows[**h].own_time <= record.time).max_by_key(|h| rows[**h].at);
                let later = || known.iter().min_by_key(|h| rows[**h].at);
                row.visitor = seen.or_else(later).map(|h| journeys.hits[*h].visitor);
            }
            row
        })
        .collect::<Vec<_>>();
    rows.extend(offline);
    rows
}

/// A touch in reach: its row's number and place, and its items.
pub struct Touch<'r> {
    pub row: usize,
    pub at: Place,
    pub items: Vec<&'r String>,
}

/// A conversion, or a product line of one, with all that it can see.
pub struct Path<'r> {
    pub value: f64,
    pub time: i64,
    /// The row that it stands on.
    pub own: usize,
    pub touches: Vec<Touch<'r>>,
}

impl Question {
    fn value(&self, row: &Row) -> f64 {
        if self.revenue { row.revenue } else { row.orders }
    }

    fn items<'r>(&self, row: &'r Row) -> Vec<&'r String> {
        let resolved = if self.products { &row.products } else { &row.campaigns };
        if self.inherited { resolved } else { &row.brought[usize::from(self.products)] }.iter().collect()
    }

    fn is_touch(&self, row: &Row) -> bool {
        row.visitor.is_some() && !self.items(row).is_empty() && !(self.snapshot_basis && row.hit.is_some())
    }

    /// Rows of the same visitor, or visit, have the same one; a row outside has none.
    fn container(&self, row: &Row) -> Option<(u8, Option<u8>)> {
        let visit = row.visit.filter(|_| self.visit);
        row.visitor.filter(|_| visit.is_some() || !self.visit).map(|visitor| (visitor, visit))
    }
}

/// Every conversion with its path, by the definition: no index, no order but the places themselves.
fn paths<'r>(rows: &'r [Row], q: &Question) -> Vec<Path<'r>> {
    let mut out = vec![];
    for (n, conversion) in rows.iter().enumerate() {
        let in_window = q.window.0 <= conversion.own_time && conversion.own_time < q.window.1;
        if q.value(conversion) == 0.0 || q.container(conversion).is_none() || !in_window {
            continue;
        }
        let own = conversion.hit.filter(|_| q.snapshot_basis).unwrap_or(n);
        let place = if own == n { conversion.at } else { rows[own].at };
        let touches = |only: Option<&String>| {
            let reached = |row: &Row| {
                q.container(row) == q.container(conversion)
                    && row.at <= place
                    && q.lookback.is_none_or(|l| q.visit || place.0 - row.at.0 <= l)
            };
            let touch = |(t, row): (usize, &'r Row)| {
                let items =
                    q.items(row).into_iter().filter(|i| t != own || only.is_none_or(|only| *i == only)).collect();
                Touch { row: t, at: row.at, items }
            };
            let all = rows.iter().enumerate().filter(|(_, row)| q.is_touch(row) && reached(row));
            let mut touches: Vec<Touch> = all.map(touch).collect();
            touches.sort_by_key(|touch| touch.at);
            touches
        };
        let mut add = |value: f64, only: Option<&String>| {
            out.push(Path { value, time: place.0, own, touches: touches(only) });
        };
        let total: f64 = rows[own].lines.iter().map(|(_, price)| price).sum();
        if q.revenue && q.products && q.model != "touches" && total != 0.0 {
            // each line converts on its own, and its row is a touch of its own product alone
            rows[own]
                .lines
                .iter()
                .filter(|(_, price)| *price != 0.0)
                .for_each(|(product, price)| add(q.value(conversion) * price / total, Some(product)));
        } else {
            add(q.value(conversion), None);
        }
    }
    out
}

/// The credit of every item.
fn credit(rows: &[Row], q: &Question) -> Credit {
    let paths = paths(rows, q);
    if q.model == "algorithmic" {
        return shapley(rows, q, &paths);
    }
    let mut out = Credit::new();
    for path in &paths {
        let mut give = |item: Option<&String>, share: f64| *out.entry(item.cloned()).or_default() += share * path.value;
        let items = || path.touches.iter().flat_map(|touch| touch.items.iter().copied());
        match q.model {
            "touches" => give(Some(&path.touches.len().to_string()), 1.0),
            _ if path.touches.is_empty() => give(None, 1.0),
            "participation" => items().collect::<BTreeSet<_>>().into_iter().for_each(|item| give(Some(item), 1.0)),
            "occurrences" => items().for_each(|item| give(Some(item), 1.0)),
            model => {
                for (touch, share) in shares(model, path) {
                    match touch.map(|t: usize| &path.touches[t]) {
                        None => give(None, share),
                        Some(touch) => touch.items.iter().for_each(|item| give(Some(item), share)),
                    }
                }
            }
        }
    }
    out
}

/// The credit of the model `algorithmic`; a container without a conversion is a path, too.
fn shapley(rows: &[Row], q: &Question, paths: &[Path]) -> Credit {
    let converted: Vec<_> = paths.iter().map(|path| q.container(&rows[path.own])).collect();
    let containers: BTreeSet<_> =
        rows.iter().filter(|row| q.is_touch(row)).filter_map(|row| q.container(row)).collect();
    let unconverted = containers.into_iter().filter(|c| !converted.contains(&Some(*c))).map(|container| {
        let own = || rows.iter().filter(|row| q.is_touch(row) && q.container(row) == Some(container));
        let last = own().map(|row| row.at.0).max().unwrap();
        let seen = own().filter(|row| q.lookback.is_none_or(|l| q.visit || last - row.at.0 <= l));
        seen.flat_map(|row| q.items(row)).cloned().collect::<BTreeSet<String>>()
    });
    shapley_values(paths, unconverted)
}

/// Shapley values by all orders in which the items of a path can come; the worth of some items is the best rate of
/// conversion that any part of them was observed to have. `unconverted` are the items of the paths without a conversion.
pub fn shapley_values(paths: &[Path], unconverted: impl Iterator<Item = BTreeSet<String>>) -> Credit {
    let set = |touches: &[Touch]| touches.iter().flat_map(|t| &t.items).map(|i| i.to_string()).collect::<BTreeSet<_>>();
    let mut observed: BTreeMap<BTreeSet<String>, (f64, f64)> = BTreeMap::new();
    let mut observe = |set: BTreeSet<String>, value: f64| {
        let (values, paths) = observed.entry(set).or_default();
        (*values, *paths) = (*values + value.abs(), *paths + 1.0);
    };
    paths.iter().filter(|path| path.value != 0.0).for_each(|path| observe(set(&path.touches), path.value));
    unconverted.for_each(|items| observe(items, 0.0));
    let worth = |items: &[&String]| {
        let of = |(set, (values, paths)): (&BTreeSet<String>, &(f64, f64))| {
            let part = !set.is_empty() && set.iter().all(|i| items.contains(&i));
            if part { values / paths } else { 0.0 }
        };
        observed.iter().map(of).fold(0.0, f64::max)
    };
    let mut out = Credit::new();
    for path in paths {
        let own = set(&path.touches);
        if own.is_empty() {
            *out.entry(None).or_default() += path.value;
        }
        let orders = orders(&own.iter().collect::<Vec<_>>());
        for item in &own {
            let gain = |order: &Vec<&String>| {
                let before = order.iter().position(|i| *i == item).unwrap();
                worth(&order[..=before]) - worth(&order[..before])
            };
            let mean = orders.iter().map(gain).sum::<f64>() / orders.len() as f64;
            let share = if path.value == 0.0 { 0.0 } else { mean / worth(&own.iter().collect::<Vec<_>>()) };
            *out.entry(Some(item.clone())).or_default() += share * path.value;
        }
    }
    out
}

/// All orders of some items.
fn orders<'i>(items: &[&'i String]) -> Vec<Vec<&'i String>> {
    if items.is_empty() {
        return vec![vec![]];
    }
    let without = |n: usize| [&items[..n], &items[n + 1..]].concat();
    let first = |n: usize| orders(&without(n)).into_iter().map(move |rest| [vec![items[n]], rest].concat());
    (0..items.len()).flat_map(first).collect()
}

/// What each touch gets of one conversion.
pub fn shares(model: &str, path: &Path) -> Vec<(Option<usize>, f64)> {
    let last = path.touches.len() - 1;
    let ends = |first: f64, middle: f64, end: f64| {
        let share = |t: usize| match t {
            _ if last == 0 => 1.0,
            0 if last == 1 => first / (first + end),
            0 => first,
            t if t == last && last == 1 => end / (first + end),
            t if t == last => end,
            _ => middle / (last - 1) as f64,
        };
        (0..=last).map(|t| (Some(t), share(t))).collect::<Vec<_>>()
    };
    let decay = |days: &dyn Fn(i64) -> f64| {
        let weight = |touch: &Touch| 0.5f64.powf(days(path.time - touch.at.0) / 7.0);
        let total: f64 = path.touches.iter().map(weight).sum();
        path.touches.iter().enumerate().map(|(t, touch)| (Some(t), weight(touch) / total)).collect::<Vec<_>>()
    };
    match model {
        "first_touch" => vec![(Some(0), 1.0)],
        "last_touch" => vec![(Some(last), 1.0)],
        "same_touch" => vec![(path.touches.iter().rposition(|touch| touch.row == path.own), 1.0)],
        "linear" => (0..=last).map(|t| (Some(t), 1.0 / path.touches.len() as f64)).collect(),
        "u_shaped" => ends(0.4, 0.2, 0.4),
        "j_shaped" => ends(0.2, 0.2, 0.6),
        "inverse_j" => ends(0.6, 0.2, 0.2),
        "custom(50,20,30)" => ends(0.5, 0.2, 0.3),
        "time_decay" => decay(&|age| age as f64 / DAY as f64),
        "time_decay(7 days, whole)" => decay(&|age| (age / DAY) as f64),
        other => unreachable!("{other}"),
    }
}

/// All models that share one conversion, as SQL names them.
pub const SHARING: [&str; 10] = [
    "first_touch",
    "last_touch",
    "same_touch",
    "linear",
    "u_shaped",
    "j_shaped",
    "inverse_j",
    "custom(50,20,30)",
    "time_decay",
    "time_decay(7 days, whole)",
];

fn questions() -> Vec<Question> {
    let plain = Question {
        model: "",
        products: false,
        revenue: false,
        visit: false,
        lookback: None,
        window: (i64::MIN, i64::MAX),
        snapshot_basis: false,
        inherited: false,
    };
    let mut out = vec![];
    for (n, model) in SHARING.into_iter().chain(["participation", "occurrences", "algorithmic", "touches"]).enumerate()
    {
        let lookback = [None, Some(30 * DAY), Some(DAY)][n % 3];
        out.push(Question { model, lookback, ..plain });
        out.push(Question { model, visit: true, lookback: None, ..plain });
        out.push(Question { model, snapshot_basis: true, lookback: [Some(30 * DAY), None][n % 2], ..plain });
        out.push(Question {
            model,
            products: n % 2 == 0,
            window: (2 * DAY, 90 * DAY),
            lookback: Some(29 * DAY),
            ..plain
        });
        out.push(Question { model, products: true, revenue: true, lookback, snapshot_basis: n % 2 == 1, ..plain });
        out.push(Question { model, products: n % 4 == 1, lookback, inherited: true, ..plain });
    }
    out
}

impl Question {
    /// The same question in SQL, as a table function.
    fn sql(&self) -> String {
        let (select, function, model, tail) = match self.model {
            "participation" => ("item, credit", "participation", String::new(), ""),
            "occurrences" => ("item, credit", "participation", String::new(), ", deduplicate => false"),
            "touches" => ("CAST(touches AS VARCHAR), sum(value)", "conversions", String::new(), ""),
            model => ("item, credit", "attribution", format!(", model => '{model}'"), ""),
        };
        let metric = if self.revenue { "revenue" } else { "orders" };
        let dimension = if self.products { "product" } else { "tracking_code" };
        let container = if self.visit { "visit" } else { "visitor" };
        let lookback = self.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY));
        let basis = if self.snapshot_basis { "snapshot" } else { "event" };
        let window = match self.window {
            (i64::MIN, _) => String::new(),
            (since, until) => {
                format!(", since => '{}', until => '{}'", instant(since).format("%F"), instant(until).format("%F %T"))
            }
        };
        let inherited = if self.inherited { ", inherited => true" } else { "" };
        let group = if self.model == "touches" { " GROUP BY 1" } else { "" };
        format!(
            "SELECT {select} FROM {function}('{metric}', '{dimension}'{model}, container => '{container}', \
             lookback => '{lookback}', basis => '{basis}'{window}{tail}{inherited}){group}"
        )
    }

    /// The same question to the window functions, where they can answer it.
    fn window_sql(&self) -> Option<String> {
        let whole = !self.products && !self.snapshot_basis && self.window.0 == i64::MIN;
        let (function, model) = match self.model {
            "participation" => ("participation", String::new()),
            "occurrences" | "algorithmic" | "touches" => return None,
            model => ("attribution", format!(", '{model}'")),
        };
        let lookback = self.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY));
        let item = if self.inherited { "touch(tracking_code, true)" } else { "tracking_code" };
        let call = if self.visit {
            format!(
                "visit_{function}({item}, orders{model}, hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)"
            )
        } else {
            format!(
                "visitor_{function}({item}, orders{model}, '{lookback}') OVER (PARTITION BY visitor_id ORDER BY hit_time)"
            )
        };
        let shown = if self.inherited { item } else { "touch(tracking_code)" };
        whole.then(|| format!("SELECT item, sum(c) FROM (SELECT {shown} AS item, {call} AS c FROM events WHERE visitor_id IS NOT NULL) GROUP BY 1"))
    }
}

/// The order of hits of one instant, as the lake chose it.
async fn sequences(loaded: &Loaded) -> HashMap<String, i128> {
    let engine = loaded.engine(8192, 1).await;
    let sql = "SELECT prop1, CAST(hit_seq AS VARCHAR) FROM events WHERE prop1 IS NOT NULL AND row_kind = 'online'";
    let (_, rows) = table::rows(&engine, sql).await.unwrap();
    rows.into_iter().map(|r| (r[0].clone(), r[1].parse().unwrap())).collect()
}

/// The engine's answer.
pub async fn answer(engine: &rejoin::engine::Engine, sql: &str) -> Credit {
    let (_, rows) = table::rows(engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    rows.into_iter().map(|r| ((r[0] != "NULL").then(|| r[0].clone()), r[1].parse().unwrap_or(0.0))).collect()
}

/// Tries random journeys: a few, always the same, or `REJOIN_CASES` new ones.
pub fn runner(cases: u32, shrinks: u32) -> TestRunner {
    let wanted = std::env::var("REJOIN_CASES").ok().and_then(|n| n.parse().ok());
    let cases = wanted.unwrap_or(cases);
    let config = Config { cases, max_shrink_iters: shrinks, failure_persistence: None, ..Config::default() };
    match wanted {
        Some(_) => TestRunner::new(config),
        None => TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha)),
    }
}

#[test]
fn the_engine_agrees_with_the_rules() {
    let turn = AtomicUsize::new(0);
    deep(|runtime| {
        let outcome = runner(9, 150)
            .run(&journeys(), |journeys| runtime.block_on(agrees(&journeys, turn.fetch_add(1, Ordering::Relaxed))));
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

/// A third of the questions at one setting, and one question at all settings; all take their turns.
async fn agrees(journeys: &Journeys, turn: usize) -> Result<(), TestCaseError> {
    let settings: Vec<_> = [1, 7, 8192].into_iter().flat_map(|b| [1, 2, 4].map(|t| (b, t))).collect();
    let loaded = journeys.load(false).await;
    let rows = integrate(journeys, &sequences(&loaded).await);
    let questions = questions();
    for (n, (batch_size, threads)) in settings.iter().enumerate() {
        let engine = loaded.engine(*batch_size, *threads).await;
        cut_keys(&engine, *batch_size, *threads).await.unwrap();
        let asked = questions
            .iter()
            .enumerate()
            .filter(|(q, _)| if n == turn % 9 { q % 3 == (turn + turn / 3) % 3 } else { *q == turn % questions.len() });
        for (_, question) in asked {
            let place = |sql: &str| format!("{sql}\nat batch size {batch_size}, {threads} threads");
            let (sql, expected) = (question.sql(), credit(&rows, question));
            compare(&expected, &answer(&engine, &sql).await, &place(&sql))?;
            if let Some(sql) = question.window_sql() {
                // a window has a value for every row: an item without a conversion and one with a net of 0 are alike
                let real = |credit: Credit| credit.into_iter().filter(|(_, c)| c.abs() > 1e-9).collect::<Credit>();
                compare(&real(expected), &real(answer(&engine, &sql).await), &place(&sql))?;
            }
        }
    }
    Ok(())
}

/// Equal items, and equal credits to 1e-9.
pub fn compare(expected: &Credit, actual: &Credit, place: &str) -> Result<(), TestCaseError> {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let same = expected.keys().eq(actual.keys()) && expected.values().zip(actual.values()).all(near);
    if same { Ok(()) } else { Err(TestCaseError::fail(format!("{place}\nexpected {expected:?}\nactual   {actual:?}"))) }
}
