//! The arguments that filter and break down questions of journeys, straight from their rules: which rows of `events` satisfy a
//! predicate is asked in plain SQL, and everything after that is done here row by row, conversion by conversion.
//!
//! Nothing here is shared with the product; the shares of models are the oracle's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

use proptest::prelude::TestCaseError;
use rejoin::engine::Engine;

use crate::journeys::{DAY, WITHIN_PLACE, instant, journeys};
use crate::oracle::{Path, SHARING, Touch, runner, shares};
use crate::place::deep;
use crate::slt::cut_keys;
use crate::table;

/// Conditions over columns that every one of these lakes has.
pub const PREDICATES: [&str; 12] = [
    "tracking_code = 'c1'",
    "tracking_code IS NULL OR tracking_code <> 'c2'",
    "orders > 0",
    "orders < 0 OR event1 = 6",
    "row_kind <> 'transaction'",
    "visit_num = 2",
    "CASE WHEN product LIKE '%p1%' THEN orders IS NOT NULL ELSE revenue > 3 END",
    "extract(hour FROM local_time(hit_time)) >= 12",
    "prop1 LIKE '%1' OR prop1 LIKE '%4'",
    "hit_time >= TIMESTAMP '2025-03-03T12:00:00Z' AND NOT coalesce(touch(tracking_code) = 'c0', false)",
    "NULL",
    "1 = 1",
];

/// The model of all paths, of so many of the last items.
const MARKOV: [&str; 3] = ["markov", "markov(2)", "markov(4)"];

/// What a breakdown is called, and its columns in plain SQL.
const BREAKDOWNS: [(&str, &[&str]); 5] = [
    ("month", &["CAST(date_trunc('month', local_time(hit_time)) AS DATE)"]),
    ("week", &["CAST(date_trunc('week', local_time(hit_time)) AS DATE)"]),
    ("hour", &["date_trunc('hour', local_time(hit_time))"]),
    ("tracking_code", &["tracking_code"]),
    ("prop1, quarter", &["prop1", "CAST(date_trunc('quarter', local_time(hit_time)) AS DATE)"]),
];

/// A question to the rules and to the engine alike.
#[derive(Clone, Debug)]
struct Question {
    model: &'static str,
    products: bool,
    visit: bool,
    lookback: Option<i64>,
    since: Option<i64>,
    snapshot_basis: bool,
    touches: Option<&'static str>,
    conversions: Option<&'static str>,
    visitors: Option<&'static str>,
    visits: Option<&'static str>,
    last_resort: Option<&'static str>,
    repeats: &'static str,
    last_touches: Option<usize>,
    by: Option<(&'static str, &'static [&'static str])>,
}

/// Numbers that look random.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % sides
    }

    pub fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn predicate(&mut self) -> Option<&'static str> {
        self.one_in(3).then(|| self.of(&PREDICATES))
    }

    fn question(&mut self) -> Question {
        let models: Vec<&'static str> =
            SHARING.into_iter().chain(["participation", "occurrences", "touches"]).chain(MARKOV).collect();
        let visit = self.one_in(3);
        let model = self.of(&models);
        let products = self.one_in(3) && !MARKOV.contains(&model);
        Question {
            model,
            products,
            visit,
            lookback: self.of(&[None, Some(30 * DAY), Some(DAY)]),
            since: self.of(&[None, None, Some(2 * DAY)]),
            snapshot_basis: !visit && self.one_in(3),
            touches: self.predicate(),
            conversions: self.predicate(),
            visitors: self.predicate(),
            visits: self.predicate(),
            last_resort: self.of(&[None, None, Some(if products { "p0" } else { "c1" }), Some("c0, c2,p1")]),
            repeats: self.of(&["keep", "keep", "collapse", "first"]),
            last_touches: self.of(&[None, None, Some(1), Some(2), Some(3)]),
            by: if self.one_in(3) { Some(self.of(&BREAKDOWNS)) } else { None },
        }
    }
}

/// Asks in random worlds. Each is loaded once, has dice of its own, and is asked by an engine of each of these batch sizes and
/// numbers of threads.
pub fn in_worlds(
    worlds: u32,
    seed: u64,
    settings: &[(usize, usize)],
    ask: impl AsyncFn(&Engine, &mut Dice) -> Result<(), TestCaseError> + Sync,
) {
    deep(|runtime| {
        let seed = AtomicU64::new(seed);
        let outcome = runner(worlds, 100).run(&journeys(), |journeys| {
            let mut dice = Dice(seed.fetch_add(1, Ordering::Relaxed));
            runtime.block_on(async {
                let loaded = journeys.with_all_columns().load(false).await;
                for (batch_size, threads) in settings {
                    let engine = loaded.engine(*batch_size, *threads).await;
                    cut_keys(&engine, *batch_size, *threads).await.unwrap();
                    ask(&engine, &mut dice).await.map_err(|error| match error {
                        TestCaseError::Fail(why) => {
                            TestCaseError::fail(format!("{why}\nat batch size {batch_size}, {threads} threads"))
                        }
                        rejected => rejected,
                    })?;
                }
                Ok::<_, TestCaseError>(())
            })
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

impl Question {
    fn dimension(&self) -> &'static str {
        if self.products { "product" } else { "tracking_code" }
    }

    /// In SQL, as a table function.
    fn sql(&self) -> String {
        let (select, function, model) = match self.model {
            "participation" => ("item, credit", "participation", String::new()),
            "occurrences" => ("item, credit", "participation", ", deduplicate => false".into()),
            "touches" => ("CAST(touches AS VARCHAR), sum(value)", "conversions", String::new()),
            model => ("item, credit", "attribution", format!(", model => '{model}'")),
        };
        let mut arguments = format!("'orders', '{}'{model}", self.dimension());
        let mut add = |name: &str, text: &str| {
            arguments.push_str(&format!(", {name} => '{}'", text.replace('\'', "''")));
        };
        add("container", if self.visit { "visit" } else { "visitor" });
        add("lookback", &self.lookback.map_or("all".to_string(), |l| format!("{} days", l / DAY)));
        add("basis", if self.snapshot_basis { "snapshot" } else { "event" });
        add("repeats", self.repeats);
        if let Some(since) = self.since {
            add("since", &instant(since).format("%F").to_string());
        }
        let predicates = [
            ("touches", self.touches),
            ("conversions", self.conversions),
            ("visitors", self.visitors),
            ("visits", self.visits),
            ("last_resort", self.last_resort),
            ("by", self.by.map(|(by, _)| by)),
        ];
        predicates.into_iter().filter_map(|(name, text)| Some((name, text?))).for_each(|(name, text)| add(name, text));
        if let Some(most) = self.last_touches {
            arguments.push_str(&format!(", last_touches => {most}"));
        }
        let groups = self.by.map_or(String::new(), |(by, _)| format!("{by}, "));
        let group_by = match (self.model, self.by) {
            ("touches", None) => " GROUP BY 1".to_string(),
            ("touches", Some((by, _))) => format!(" GROUP BY {by}, touches"),
            _ => String::new(),
        };
        format!("SELECT {groups}{select} FROM {function}({arguments}){group_by}")
    }
}

/// A row of `events` that has a visitor, with what plain SQL says of it.
#[derive(Debug)]
struct Row {
    visitor: String,
    visit: Option<String>,
    /// Microseconds, sequence, and where it stands among rows that have both.
    at: (i64, i128, i64),
    /// Of a matched transaction row, where its hit is.
    anchor: Option<(i64, i128, i64)>,
    items: Vec<String>,
    value: f64,
    touches: bool,
    converts: bool,
    marks_visitor: bool,
    marks_visit: bool,
    group: Vec<String>,
}

async fn rows(engine: &Engine, q: &Question) -> Vec<Row> {
    let holds = |predicate: Option<&str>| format!("coalesce(({}), false)", predicate.unwrap_or("true"));
    let since = q.since.map(|since| format!("hit_time >= TIMESTAMP '{}'", instant(since).format("%FT%TZ")));
    let columns = [
        "visitor_id".to_string(),
        "concat(visit_num, '/', CAST(visit_start AS BIGINT))".into(),
        "CAST(hit_time AS BIGINT)".into(),
        "CAST(hit_seq AS VARCHAR)".into(),
        "CASE WHEN row_kind = 'transaction' AND match_status = 'matched' THEN CAST(snapshot_time AS BIGINT) END".into(),
        "CAST(snapshot_seq AS VARCHAR)".into(),
        format!("touch({})", q.dimension()),
        "coalesce(orders, 0)".into(),
        holds(q.touches),
        format!("{} AND {}", holds(q.conversions), since.as_deref().unwrap_or("true")),
        holds(q.visitors),
        holds(q.visits),
        "visit_num IS NOT NULL AND row_kind = 'online'".into(),
        WITHIN_PLACE.into(),
    ];
    let groups = q.by.map_or(&[][..], |(_, groups)| groups);
    let columns = columns.into_iter().chain(groups.iter().map(|g| g.to_string())).enumerate();
    let columns: Vec<String> = columns.map(|(n, column)| format!("{column} AS c{n}")).collect();
    let sql = format!("SELECT {} FROM events WHERE visitor_id IS NOT NULL", columns.join(", "));
    let (_, rows) = table::rows(engine, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let row = |cells: Vec<String>| {
        let number = |n: usize| cells[n].parse::<i64>().ok();
        Row {
            visitor: cells[0].clone(),
            visit: (cells[12] == "true").then(|| cells[1].clone()),
            at: (number(2).unwrap(), cells[3].parse().unwrap(), number(13).unwrap()),
            anchor: number(4).map(|time| (time, cells[5].parse().unwrap(), 0)),
            items: match cells[6].as_str() {
                "NULL" | "(empty)" => vec![],
                items => items.split("--**--").map(str::to_string).collect::<BTreeSet<_>>().into_iter().collect(),
            },
            value: cells[7].parse().unwrap(),
            touches: cells[8] == "true",
            converts: cells[9] == "true",
            marks_visitor: cells[10] == "true",
            marks_visit: cells[11] == "true",
            group: cells[14..].to_vec(),
        }
    };
    rows.into_iter().map(row).collect()
}

/// Credit by group and item; the item of conversions without a touch is NULL.
type Credit = BTreeMap<Vec<String>, f64>;

/// The rules, one conversion after another.
fn credit(rows: &[Row], q: &Question) -> Credit {
    let in_marked_visit = |row: &Row| {
        let same = |other: &&Row| other.visitor == row.visitor && other.visit == row.visit && other.marks_visit;
        q.visits.is_none() || row.visit.is_some() && rows.iter().any(|other| same(&other))
    };
    let mut out = Credit::new();
    let mut paths = Paths::default();
    for (n, conversion) in rows.iter().enumerate() {
        let of_visitor = |other: &&Row| other.visitor == conversion.visitor;
        let counts = conversion.value != 0.0
            && conversion.converts
            && (!q.visit || conversion.visit.is_some())
            && (q.visitors.is_none() || rows.iter().filter(of_visitor).any(|row| row.marks_visitor));
        if !counts {
            continue;
        }
        // where it stands: at its own row, or at its hit
        let anchor = conversion.anchor.filter(|_| q.snapshot_basis);
        let place = anchor.unwrap_or(conversion.at);
        let stands_at = |row: &&Row| anchor.is_some() && of_visitor(row) && row.at == place && row.visit.is_some();
        let own = rows.iter().position(|row| stands_at(&row)).or(anchor.is_none().then_some(n));
        if !own.is_some_and(|own| in_marked_visit(&rows[own])) && q.visits.is_some() {
            continue;
        }
        let reached = |row: &Row| {
            row.visitor == conversion.visitor
                && (!q.visit || row.visit == conversion.visit)
                && row.at <= place
                && q.lookback.is_none_or(|l| q.visit || place.0 - row.at.0 <= l * 1_000_000)
                && !(q.snapshot_basis && row.anchor.is_some())
                && row.touches
                && !row.items.is_empty()
                && in_marked_visit(row)
        };
        let mut path: Vec<(usize, Vec<&String>)> = rows
            .iter()
            .enumerate()
            .filter(|(_, row)| reached(row))
            .map(|(t, row)| (t, row.items.iter().collect()))
            .collect();
        path.sort_by_key(|(t, _)| rows[*t].at);
        if q.model != "same_touch" {
            filter(&mut path, q);
        }
        let seconds = |micros: i64| micros / 1_000_000;
        let touches =
            path.into_iter().map(|(t, items)| Touch { row: t, at: (seconds(rows[t].at.0), rows[t].at.1, 0), items });
        let path = Path {
            value: conversion.value,
            time: seconds(place.0),
            own: own.unwrap_or(usize::MAX),
            touches: touches.collect(),
        };
        let mut give = |item: &str, share: f64| {
            let key = conversion.group.iter().cloned().chain([item.to_string()]).collect();
            *out.entry(key).or_default() += share * path.value;
        };
        let items = || path.touches.iter().flat_map(|touch| touch.items.iter().copied());
        paths.converted(conversion, q, items().cloned().collect());
        match q.model {
            model if MARKOV.contains(&model) => {}
            "touches" => give(&path.touches.len().to_string(), 1.0),
            _ if path.touches.is_empty() => give("NULL", 1.0),
            "participation" => items().collect::<BTreeSet<_>>().into_iter().for_each(|item| give(item, 1.0)),
            "occurrences" => items().for_each(|item| give(item, 1.0)),
            model => {
                for (touch, share) in shares(model, &path) {
                    match touch.map(|t: usize| &path.touches[t]) {
                        None => give("NULL", share),
                        Some(touch) => touch.items.iter().for_each(|item| give(item, share)),
                    }
                }
            }
        }
    }
    if MARKOV.contains(&q.model) {
        paths.add_unconverted(rows, q, &in_marked_visit);
        return paths.credit(q);
    }
    out
}

/// All paths of a question, for the model that looks at them at once.
#[derive(Default)]
struct Paths {
    /// Items in order, value and group.
    converted: Vec<(Vec<String>, f64, Vec<String>)>,
    unconverted: Vec<Vec<String>>,
    /// Journeys with a conversion.
    journeys: BTreeSet<(String, Option<String>)>,
}

impl Paths {
    fn journey(row: &Row, q: &Question) -> (String, Option<String>) {
        (row.visitor.clone(), row.visit.clone().filter(|_| q.visit))
    }

    fn converted(&mut self, row: &Row, q: &Question, items: Vec<String>) {
        self.converted.push((items, row.value, row.group.clone()));
        self.journeys.insert(Self::journey(row, q));
    }

    /// Journeys without a conversion, each with what one at its last touch would see.
    fn add_unconverted(&mut self, rows: &[Row], q: &Question, in_marked_visit: &dyn Fn(&Row) -> bool) {
        let of_marked = |row: &Row| rows.iter().any(|other| other.visitor == row.visitor && other.marks_visitor);
        let touches = rows.iter().enumerate().filter(|(_, row)| {
            (!q.visit || row.visit.is_some())
                && !(q.snapshot_basis && row.anchor.is_some())
                && row.touches
                && !row.items.is_empty()
                && in_marked_visit(row)
                && (q.visitors.is_none() || of_marked(row))
        });
        let mut journeys: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        touches.for_each(|(n, row)| journeys.entry(Self::journey(row, q)).or_default().push(n));
        for (journey, mut touches) in journeys {
            if self.journeys.contains(&journey) {
                continue;
            }
            touches.sort_by_key(|t| rows[*t].at);
            let last = rows[*touches.last().unwrap()].at.0;
            touches.retain(|t| q.visit || q.lookback.is_none_or(|l| last - rows[*t].at.0 <= l * 1_000_000));
            let mut path = touches.iter().map(|t| (*t, rows[*t].items.iter().collect())).collect();
            filter(&mut path, q);
            self.unconverted.push(path.into_iter().flat_map(|(_, items)| items).cloned().collect());
        }
    }

    /// By walking: how many walks convert, and how many of those that stop where they come to an item.
    fn credit(&self, q: &Question) -> Credit {
        let order = q.model.strip_prefix("markov(").map_or(1, |rest| rest.trim_end_matches(')').parse().unwrap());
        let with_touch = self.converted.iter().filter(|(items, ..)| !items.is_empty());
        let all: Vec<(&Vec<String>, bool)> = with_touch
            .map(|(items, ..)| (items, true))
            .chain(self.unconverted.iter().map(|items| (items, false)))
            .collect();
        let items: BTreeSet<&String> = all.iter().flat_map(|(items, _)| *items).collect();
        let whole = converting(&all, order, None);
        let effects: BTreeMap<&String, f64> =
            items.iter().map(|item| (*item, whole - converting(&all, order, Some(item)))).collect();
        let sum: f64 = effects.values().sum();
        let mut out = Credit::new();
        for (items, value, group) in &self.converted {
            let mut give = |item: &str, amount: f64| {
                *out.entry(group.iter().cloned().chain([item.to_string()]).collect()).or_default() += amount;
            };
            if items.is_empty() || sum <= 1e-12 {
                give("NULL", *value);
                continue;
            }
            effects
                .iter()
                .filter(|(_, effect)| **effect > 1e-12)
                .for_each(|(item, effect)| give(item, value * effect / sum));
        }
        out
    }
}

/// The part of all walks over these paths that converts, where walks that come to an item may end there.
fn converting(paths: &[(&Vec<String>, bool)], order: usize, without: Option<&str>) -> f64 {
    let state = |items: &[String]| items[items.len().saturating_sub(order)..].to_vec();
    let mut steps: BTreeMap<Vec<String>, BTreeMap<Vec<String>, f64>> = BTreeMap::new();
    let mut ends: BTreeMap<Vec<String>, [f64; 2]> = BTreeMap::new();
    for (items, converts) in paths {
        for n in 0..items.len() {
            *steps.entry(state(&items[..n])).or_default().entry(state(&items[..=n])).or_default() += 1.0;
        }
        ends.entry(state(items)).or_default()[usize::from(!converts)] += 1.0;
    }
    let (mut here, mut converted) = (BTreeMap::from([(vec![], 1.0)]), 0.0);
    while here.values().sum::<f64>() > 1e-14 {
        let mut then: BTreeMap<Vec<String>, f64> = BTreeMap::new();
        for (state, part) in
            here.into_iter().filter(|(state, _)| state.last().map(String::as_str) != without || without.is_none())
        {
            let nothing = BTreeMap::new();
            let (next, end) = (steps.get(&state).unwrap_or(&nothing), ends.get(&state).copied().unwrap_or_default());
            let all = next.values().sum::<f64>() + end[0] + end[1];
            if all == 0.0 {
                continue;
            }
            converted += part * end[0] / all;
            next.iter().for_each(|(to, times)| *then.entry(to.clone()).or_default() += part * times / all);
        }
        here = then;
    }
    converted
}

/// What is left of a path: last resort, repeats, the last touches.
fn filter(path: &mut Vec<(usize, Vec<&String>)>, q: &Question) {
    let last_resort: Vec<&str> = q.last_resort.map_or(vec![], |list| list.split(',').map(str::trim).collect());
    let is_last_resort = |item: &&String| last_resort.contains(&item.as_str());
    if path.iter().flat_map(|(_, items)| items).any(|item| !is_last_resort(item)) {
        path.iter_mut().for_each(|(_, items)| items.retain(|item| !is_last_resort(item)));
        path.retain(|(_, items)| !items.is_empty());
    }
    match q.repeats {
        "first" => {
            let mut seen = BTreeSet::new();
            path.iter_mut().for_each(|(_, items)| items.retain(|item| seen.insert(item.to_string())));
        }
        "collapse" => {
            let before = path.clone();
            for (n, (_, items)) in path.iter_mut().enumerate() {
                items.retain(|item| !before.get(n + 1).is_some_and(|(_, next)| next.contains(item)));
            }
        }
        _ => {}
    }
    path.retain(|(_, items)| !items.is_empty());
    if let Some(most) = q.last_touches {
        let passed = path.len().saturating_sub(most);
        path.drain(..passed);
    }
}

/// The engine's answer.
async fn answer(engine: &Engine, sql: &str) -> Credit {
    let (_, rows) = table::rows(engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let row = |mut cells: Vec<String>| {
        let credit = cells.pop().and_then(|credit| credit.parse().ok()).unwrap_or(0.0);
        (cells, credit)
    };
    rows.into_iter().map(row).collect()
}

/// Equal groups and items, and equal credits to 1e-9.
fn compare(expected: &Credit, actual: &Credit, place: &str) -> Result<(), TestCaseError> {
    let near = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * a.abs().max(1.0);
    let same = expected.keys().eq(actual.keys()) && expected.values().zip(actual.values()).all(near);
    if same { Ok(()) } else { Err(TestCaseError::fail(format!("{place}\nexpected {expected:?}\nactual   {actual:?}"))) }
}

#[test]
fn the_engine_agrees_with_the_rules() {
    // both ways to read journeys, and batches that end within a visitor
    in_worlds(8, 1, &[(8192, 1), (7, 2), (1, 4), (8192, 2)], async |engine, dice| {
        for _ in 0..12 {
            let question = dice.question();
            let sql = question.sql();
            let (expected, actual) = (credit(&rows(engine, &question).await, &question), answer(engine, &sql).await);
            compare(&expected, &actual, &sql)?;
            if let Some((by, _)) = question.by {
                // the groups of an item sum to its credit without them
                let mut sums = Credit::new();
                let columns = by.split(',').count();
                actual
                    .into_iter()
                    .for_each(|(key, credit)| *sums.entry(key[columns..].to_vec()).or_default() += credit);
                compare(&sums, &answer(engine, &Question { by: None, ..question }.sql()).await, &sql)?;
            }
        }
        Ok(())
    });
}

/// Without items to which a model gives nothing.
fn real(credit: Credit) -> Credit {
    credit.into_iter().filter(|(_, credit)| credit.abs() > 1e-9).collect()
}

/// The lines of conversions sum to these, whatever else is asked, and each has the part that plain SQL gives it.
#[test]
fn lines_sum_to_their_conversions() {
    in_worlds(4, 500, &[(8192, 2), (3, 2)], async |engine, dice| {
        let sql = "SELECT event_id, p['product'], sum(p['price'])
            FROM (SELECT event_id, unnest(products(product_list)) AS p FROM events) GROUP BY 1, 2
            UNION ALL SELECT event_id, product, 1.0 FROM events WHERE product_list IS NULL AND product IS NOT NULL";
        let lines = answer(engine, sql).await;
        for _ in 0..12 {
            let mut question = Question { products: false, by: None, ..dice.question() };
            question.model = dice.of(&SHARING);
            let whole = question.sql().replace("'orders'", "'revenue'");
            let broken_down = whole.replace("SELECT item", "SELECT product, item");
            let broken_down = format!("{}, by => 'product')", broken_down.strip_suffix(')').unwrap());
            let groups = real(answer(engine, &broken_down).await);
            let mut sums = Credit::new();
            groups.iter().for_each(|(key, credit)| *sums.entry(key[1..].to_vec()).or_default() += credit);
            compare(&real(answer(engine, &whole).await), &real(sums), &broken_down)?;
            let credits = whole.replace("item, credit FROM attribution(", "event_id, item, credit FROM credits(");
            let mut by_hand = Credit::new();
            for (key, credit) in answer(engine, &credits).await {
                let own: Vec<_> = lines.iter().filter(|(line, _)| line[0] == key[0]).collect();
                let total: f64 = own.iter().map(|(_, amount)| *amount).sum();
                let mut give = |product: &str, amount: f64| {
                    *by_hand.entry(vec![product.into(), key[1].clone()]).or_default() += amount;
                };
                match total == 0.0 {
                    true => give("NULL", credit),
                    false => own.iter().for_each(|(line, amount)| give(&line[1], credit * *amount / total)),
                }
            }
            compare(&real(by_hand), &groups, &broken_down)?;
        }
        Ok(())
    });
}

/// `credits(...)`, summed by group and item, is `attribution(...)`: an item to which a model gives nothing is not listed there.
#[test]
fn credits_sum_to_attribution() {
    in_worlds(4, 1000, &[(8192, 1), (3, 2)], async |engine, dice| {
        for _ in 0..12 {
            let mut question = dice.question();
            let models: Vec<&'static str> = SHARING.into_iter().chain(MARKOV).collect();
            question.model = dice.of(&models);
            question.products &= !MARKOV.contains(&question.model);
            let mut sql = question.sql();
            // what products have of their own is divided by line
            if question.products && question.repeats != "first" && question.last_resort.is_none() {
                sql = sql.replace("'orders'", "'revenue'");
            }
            let groups = question.by.map_or(String::new(), |(by, _)| format!("{by}, "));
            let credits = sql.replace("FROM attribution(", "FROM credits(");
            let credits = format!(
                "SELECT {groups}item, sum(credit) FROM ({}) GROUP BY {groups}item",
                credits.replace("SELECT ", "SELECT event_id, ")
            );
            compare(&real(answer(engine, &sql).await), &real(answer(engine, &credits).await), &sql)?;
        }
        Ok(())
    });
}

/// The rows of `conversions(...)` and `credits(...)`, straight from the files and over the SQL of `events`, and what counts each
/// conversion once.
#[test]
fn rows_are_the_same_on_both_ways() {
    in_worlds(4, 1500, &[(8192, 2), (2, 1)], async |engine, dice| {
        for _ in 0..10 {
            let mut question = dice.question();
            question.model = dice.of(&SHARING);
            // what products have of their own is divided by line
            let by_line = question.products && question.repeats != "first" && question.last_resort.is_none();
            let attribution = match by_line {
                true => question.sql().replace("'orders'", "'revenue'"),
                false => question.sql(),
            };
            let all = |function: &str| {
                let (_, call) = attribution.split_once(" FROM attribution(").unwrap();
                format!("SELECT * FROM {function}({call}")
            };
            let model = format!(", model => '{}'", question.model);
            for sql in [all("conversions").replace(&model, ""), all("credits")] {
                let mut told = vec![];
                for way in ["plain", "stored"] {
                    engine.collect(&format!("SET rejoin.journeys = '{way}'")).await.unwrap();
                    let (_, mut rows) = table::rows(engine, &sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
                    rows.sort();
                    told.push(rows);
                }
                proptest::prop_assert_eq!(&told[0], &told[1], "{}", sql);
            }
            let counted = format!("{}, counted => true)", attribution.strip_suffix(')').unwrap());
            let mut told = vec![];
            for way in ["plain", "stored"] {
                engine.collect(&format!("SET rejoin.journeys = '{way}'")).await.unwrap();
                told.push(real(answer(engine, &counted).await));
            }
            compare(&told[0], &told[1], &counted)?;
        }
        Ok(())
    });
}
