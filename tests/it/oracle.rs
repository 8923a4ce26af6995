//! Participation and attribution straight from the rules: every conversion looks at every row of its visitor.
//!
//! Nothing here is shared with the product but the lake's own order of rows of one instant, which is a hash by rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};

use crate::journeys::{DAY, Journeys, Loaded, Record, instant, item, journeys};
use crate::place::deep;
use crate::table;

/// Credit by item; None is the item of conversions without a touch.
pub type Credit = BTreeMap<Option<String>, f64>;

/// A row of a visitor's time line: `(time, sequence)` is its place.
#[derive(Clone, Debug)]
struct Row {
    visitor: Option<u8>,
    visit: Option<u8>,
    at: (i64, i128),
    own_time: i64,
    campaigns: Vec<String>,
    products: Vec<String>,
    orders: f64,
    /// A matched transaction row: the index of its online hit.
    hit: Option<usize>,
}

/// A question to the oracle and to the engine alike.
#[derive(Clone, Copy, Debug)]
struct Question {
    model: &'static str,
    products: bool,
    visit: bool,
    lookback: Option<i64>,
    window: (i64, i64),
    snapshot_basis: bool,
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
            at: (hit.time, sequence[&format!("h{n}")]),
            own_time: hit.time,
            campaigns: names("c", hit.campaign.as_slice()),
            products: names("p", &hit.products),
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
                at: (record.time, sequence[&format!("o{n}")]),
                own_time: record.time,
                campaigns: names("c", record.campaign.as_slice()),
                products: names("p", record.product.as_slice()),
                orders: record.orders.into(),
                hit: matched(record),
            };
            if let Some(hit) = row.hit {
                let (date, noon) = (instant(record.time).date_naive(), record.time);
                if record.date_only && instant(rows[hit].own_time).date_naive() == date && rows[hit].own_time > noon {
                    row.at.0 = rows[hit].own_time;
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

/// The credit of every item, by the definition: no index, no order but the places themselves.
fn credit(rows: &[Row], q: &Question) -> Credit {
    let mut out = Credit::new();
    let in_container =
        |a: &Row, b: &Row| a.visitor == b.visitor && (!q.visit || (a.visit.is_some() && a.visit == b.visit));
    for (n, conversion) in rows.iter().enumerate() {
        let in_window = q.window.0 <= conversion.own_time && conversion.own_time < q.window.1;
        if conversion.orders == 0.0
            || conversion.visitor.is_none()
            || !in_window
            || (q.visit && conversion.visit.is_none())
        {
            continue;
        }
        let (place, own) = match conversion.hit {
            Some(hit) if q.snapshot_basis => (rows[hit].at, hit),
            _ => (conversion.at, n),
        };
        let mut touches: Vec<(&Row, usize, &String)> = vec![];
        for (t, row) in rows.iter().enumerate() {
            let reached = q.lookback.is_none_or(|l| q.visit || place.0 - row.at.0 <= l);
            if in_container(row, conversion) && row.at <= place && reached && !(q.snapshot_basis && row.hit.is_some()) {
                touches.extend(if q.products { &row.products } else { &row.campaigns }.iter().map(|i| (row, t, i)));
            }
        }
        touches.sort_by_key(|(row, ..)| row.at);
        for (touch, share) in shares(q.model, &touches, place.0, own) {
            *out.entry(touch.map(|t: usize| touches[t].2.clone())).or_default() += share * conversion.orders;
        }
    }
    out
}

/// What each touch gets of one conversion at `time` on row `own`.
fn shares(model: &str, touches: &[(&Row, usize, &String)], time: i64, own: usize) -> Vec<(Option<usize>, f64)> {
    let last = touches.len().wrapping_sub(1);
    let ends = |first: f64, middle: f64, end: f64| {
        let share = |t: usize| match t {
            _ if last == 0 => 1.0,
            0 => {
                if last == 1 {
                    first / (first + end)
                } else {
                    first
                }
            }
            t if t == last => {
                if last == 1 {
                    end / (first + end)
                } else {
                    end
                }
            }
            _ => middle / (last - 1) as f64,
        };
        (0..=last).map(|t| (Some(t), share(t))).collect::<Vec<_>>()
    };
    let decay = |days: &dyn Fn(i64) -> f64| {
        let weights: Vec<f64> = touches.iter().map(|(row, ..)| 0.5f64.powf(days(time - row.at.0) / 7.0)).collect();
        let total: f64 = weights.iter().sum();
        weights.iter().enumerate().map(|(t, w)| (Some(t), w / total)).collect::<Vec<_>>()
    };
    let of_own_row = || touches.iter().rposition(|(_, row, _)| *row == own);
    let first_of_item = |t: &usize| touches[..*t].iter().all(|(.., i)| *i != touches[*t].2);
    match model {
        _ if touches.is_empty() => vec![(None, 1.0)],
        "first_touch" => vec![(Some(0), 1.0)],
        "last_touch" => vec![(Some(last), 1.0)],
        "same_touch" => vec![(of_own_row(), 1.0)],
        "linear" => (0..=last).map(|t| (Some(t), 1.0 / touches.len() as f64)).collect(),
        "u_shaped" => ends(0.4, 0.2, 0.4),
        "j_shaped" => ends(0.2, 0.2, 0.6),
        "inverse_j" => ends(0.6, 0.2, 0.2),
        "custom(50,20,30)" => ends(0.5, 0.2, 0.3),
        "time_decay" => decay(&|age| age as f64 / DAY as f64),
        "time_decay(7 days, whole)" => decay(&|age| (age / DAY) as f64),
        "participation" => (0..=last).filter(first_of_item).map(|t| (Some(t), 1.0)).collect(),
        "occurrences" => (0..=last).map(|t| (Some(t), 1.0)).collect(),
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
        visit: false,
        lookback: None,
        window: (i64::MIN, i64::MAX),
        snapshot_basis: false,
    };
    let mut out = vec![];
    for (n, model) in SHARING.into_iter().chain(["participation", "occurrences"]).enumerate() {
        let several = model == "participation" || model == "occurrences";
        let lookback = [None, Some(30 * DAY), Some(DAY)][n % 3];
        out.push(Question { model, lookback, ..plain });
        out.push(Question { model, visit: true, lookback: None, ..plain });
        out.push(Question { model, snapshot_basis: true, lookback: [Some(30 * DAY), None][n % 2], ..plain });
        out.push(Question { model, products: several, window: (2 * DAY, 90 * DAY), lookback: Some(29 * DAY), ..plain });
    }
    out
}

impl Question {
    /// The same question in SQL, as a table function.
    fn sql(&self) -> String {
        let (function, model, tail) = match self.model {
            "participation" => ("participation", String::new(), ""),
            "occurrences" => ("participation", String::new(), ", deduplicate => false"),
            model => ("attribution", format!(", model => '{model}'"), ""),
        };
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
        format!(
            "SELECT item, credit FROM {function}('orders', '{dimension}'{model}, container => '{container}', \
             lookback => '{lookback}', basis => '{basis}'{window}{tail})"
        )
    }

    /// The same question to the window functions, where they can answer it.
    fn window_sql(&self) -> Option<String> {
        let whole =
            self.model == "participation" && !self.products && !self.snapshot_basis && self.window.0 == i64::MIN;
        let lookback = self.lookback.map_or(String::new(), |l| format!(", '{} days'", l / DAY));
        let call = if self.visit {
            "visit_participation(tracking_code, orders, hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)".to_string()
        } else {
            format!(
                "visitor_participation(tracking_code, orders{lookback}) OVER (PARTITION BY visitor_id ORDER BY hit_time)"
            )
        };
        whole.then(|| format!("SELECT tracking_code, sum(c) FROM (SELECT tracking_code, {call} AS c FROM events WHERE visitor_id IS NOT NULL) GROUP BY 1"))
    }
}

/// The order of rows of one instant, as the lake chose it.
async fn sequences(loaded: &Loaded) -> HashMap<String, i128> {
    let engine = loaded.engine(8192, 1).await;
    let mut out = HashMap::new();
    let columns = engine.columns("events").await.unwrap();
    for name in ["prop1", "evar9"].into_iter().filter(|n| columns.column_with_name(n).is_some()) {
        let sql = format!(
            "SELECT {name}, CAST(hit_seq AS VARCHAR) FROM events WHERE {name} IS NOT NULL AND (row_kind = 'online') = ('{name}' = 'prop1')"
        );
        let (_, rows) = table::rows(&engine, &sql).await.unwrap();
        out.extend(rows.into_iter().map(|r| (r[0].clone(), r[1].parse().unwrap())));
    }
    out
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
fn compare(expected: &Credit, actual: &Credit, place: &str) -> Result<(), TestCaseError> {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let same = expected.keys().eq(actual.keys()) && expected.values().zip(actual.values()).all(near);
    if same { Ok(()) } else { Err(TestCaseError::fail(format!("{place}\nexpected {expected:?}\nactual   {actual:?}"))) }
}
