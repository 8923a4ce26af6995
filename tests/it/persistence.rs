//! Persisted dimensions straight from the rules: every row looks at all rows of its visitor.
//!
//! The four allocations by the expiries that each can have, over random histories: files of a mapped source, or deliveries
//! with raw columns and excluded hits, that come late, are replaced and removed, with rebuilds in between. And the law of
//! the sample: its raw columns persist into its processed ones.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{DAY, instant};
use crate::members::Site;
use crate::oracle::runner;
use crate::place::{Place, deep};
use crate::table;

/// Columns and their rules.
const RULES: [(&str, &str, &str); 12] = [
    ("tracking_code", "most_recent", "visit"),
    ("evar1", "most_recent", "visitor"),
    ("evar2", "most_recent", "1 day"),
    ("evar3", "most_recent", "orders"),
    ("evar4", "original", "visit"),
    ("evar5", "original", "visitor"),
    ("evar6", "original", "1 day"),
    ("evar7", "original", "orders"),
    ("evar8", "first_known", "visit"),
    ("evar9", "first_known", "visitor"),
    ("evar10", "last_known", "visit"),
    ("evar11", "last_known", "visitor"),
];

/// A column that holds what was set and does not persist.
const PLAIN: &str = "evar20";

#[derive(Clone, Debug)]
struct Hit {
    visitor: u8,
    /// Seconds.
    time: i64,
    visit: u8,
    set: Option<u8>,
    orders: Option<u8>,
    id: Option<u8>,
    excluded: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Load(u8, Vec<Hit>),
    Remove(u8),
    Rebuild,
}

fn hit() -> impl Strategy<Value = Hit> {
    let time = (0..3i64, prop_oneof![Just(0), Just(1), Just(2), 0..60i64]).prop_map(|(d, s)| d * DAY + s);
    let texts = (weighted(0.4, 0..4u8), weighted(0.2, 0..2u8), weighted(0.3, 0..5u8));
    (0..3u8, time, 0..3u8, texts, any::<bool>(), any::<bool>()).prop_map(|(visitor, time, visit, texts, a, b)| Hit {
        visitor,
        time,
        visit,
        set: texts.0,
        orders: texts.1,
        id: texts.2,
        excluded: a && b,
    })
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..4u8, vec(hit(), 1..16)).prop_map(|(file, hits)| Step::Load(file, hits)),
        1 => (0..4u8).prop_map(Step::Remove),
        3 => Just(Step::Rebuild),
    ]
}

/// A row as the rules see it.
#[derive(Clone, Debug)]
struct Row {
    visitor: u8,
    at: (i64, i128),
    visit: (u8, u8),
    set: Option<String>,
    ends: bool,
    id: Option<u8>,
    excluded: bool,
}

/// What a row holds of a dimension, by the definition.
fn held(rows: &[Row], row: &Row, allocation: &str, expiry: &str) -> Option<String> {
    if row.excluded {
        return None;
    }
    let mut span: Vec<&Row> = rows
        .iter()
        .filter(|r| !r.excluded && r.visitor == row.visitor && (expiry != "visit" || r.visit == row.visit))
        .collect();
    span.sort_by_key(|r| r.at);
    let setting = || span.iter().filter(|r| r.set.is_some());
    let dead = |since: &Row, now: &Row| match expiry {
        "1 day" => now.at.0 - since.at.0 > DAY * 1_000_000,
        "orders" => span.iter().any(|r| r.ends && since.at <= r.at && r.at < now.at),
        _ => false,
    };
    let holder = match allocation {
        "first_known" => setting().next(),
        "last_known" => setting().next_back(),
        "most_recent" => setting().rfind(|r| r.at <= row.at).filter(|r| !dead(r, row)),
        _ => {
            let mut holder = setting().find(|r| r.at <= row.at);
            while let Some(gone) = holder.filter(|r| dead(r, row)) {
                holder = setting().find(|r| gone.at < r.at && r.at <= row.at && dead(gone, r));
            }
            holder
        }
    };
    holder.and_then(|r| r.set.clone())
}

struct World {
    place: Place,
    lake: Lake,
    feeds: bool,
    site: Site,
}

impl World {
    async fn new(feeds: bool, site: Site) -> Self {
        let place = site.place();
        let lake = place.open_lake();
        let rule =
            |(column, allocation, expiry): &(&str, &str, &str)| (column.to_string(), format!("{allocation},{expiry}"));
        let persist = if feeds { RULES.iter().map(rule).collect() } else { vec![] };
        create_suite(&lake, "web", &SuiteChanges { persist, ..SuiteChanges::default() }).await.unwrap();
        let source =
            NewSource { suite: "web".into(), name: "leads".into(), kind: "transaction".into(), ..NewSource::default() };
        create_source(&lake, &source).await.unwrap();
        let mut mapping = "kind = 'online'\nsuite = 'web'\nvisitor_id = 'visitor'\ntime = 'time'\nvisit = 'visit'\ntransaction_id = 'id'\n\
                           [metrics]\norders = 'orders'\n[dimensions]\nprop1 = 'row'\n"
            .to_string();
        RULES.iter().map(|r| r.0).chain([PLAIN]).for_each(|column| writeln!(mapping, "{column} = 'set'").unwrap());
        mapping.push_str("[persistence]\n");
        for (column, allocation, expiry) in RULES {
            writeln!(mapping, "{column} = {{ allocation = '{allocation}', expiry = '{expiry}' }}").unwrap();
        }
        place.write("web.toml", mapping);
        let records: String = (0..5).map(|id| format!("05/01/2025\tT{id}\t1\n")).collect();
        place.write("leads.txt", format!("Date\ttransactionID\tEvent 1\n{records}"));
        place.write("leads.fin", "");
        let world = Self { place, lake, feeds, site };
        world.ingest("leads.txt", Some("leads")).await;
        world
    }

    async fn ingest(&self, path: &str, source: Option<&str>) {
        let mapping = (source.is_none() && !self.feeds).then(|| self.place.path().join("web.toml"));
        let options = IngestOptions {
            suite: Some("web".into()),
            source: source.map(str::to_string),
            mappings: mapping.into_iter().collect(),
            replace: true,
            again: true,
            ..IngestOptions::default()
        };
        let outcomes = ingest(&self.lake, &[self.place.path().join(path)], &options, &|_| {}).await.unwrap();
        assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
    }

    /// A file's name in the log.
    fn name(&self, file: u8) -> String {
        if self.feeds { format!("web_2025-09-0{}", file + 1) } else { format!("f{file}.ndjson") }
    }

    async fn load(&self, file: u8, hits: &[Hit]) {
        let text = |prefix: &str, number: Option<u8>| number.map(|n| format!("{prefix}{n}"));
        if !self.feeds {
            let cell = |value: Option<String>| value.map_or("null".into(), |v| format!("\"{v}\""));
            let mut out = String::new();
            for (n, hit) in hits.iter().enumerate() {
                let Hit { visitor, time, visit, .. } = hit;
                let time = instant(*time).format("%Y-%m-%dT%H:%M:%SZ");
                let (set, id, orders) = (cell(text("s", hit.set)), cell(text("T", hit.id)), hit.orders.unwrap_or(0));
                writeln!(
                    out,
                    r#"{{"row":"{file}_{n}","visitor":"v{visitor}","time":"{time}","visit":{visit},"set":{set},"orders":{orders},"id":{id}}}"#
                )
                .unwrap();
            }
            self.place.write(&self.name(file), out);
            return self.ingest(&self.name(file), None).await;
        }
        let evars = RULES.iter().map(|r| r.0.replace("tracking_code", "campaign")).chain([PLAIN.to_string()]);
        let evars: Vec<String> = evars.collect();
        let mut out = format!(
            "visitor  time  visit  hitid  prop1  exclude_hit  event_list  transactionid  {}\n",
            evars.join("  ")
        );
        for (n, hit) in hits.iter().enumerate() {
            let time = instant(hit.time).format("%Y-%m-%d %H:%M:%S");
            let (set, id) = (text("s", hit.set).unwrap_or(".".into()), text("T", hit.id).unwrap_or(".".into()));
            let (excluded, orders) = (u8::from(hit.excluded), if hit.orders == Some(1) { "1" } else { "." });
            let hit_id = usize::from(file) * 1000 + n;
            let visit = usize::from(file) * 10 + usize::from(hit.visit) + 1;
            let sets = vec![set; evars.len()].join("  ");
            writeln!(
                out,
                "1_{}  {time}  {visit}  {hit_id}  {file}_{n}  {excluded}  {orders}  {id}  {sets}",
                hit.visitor
            )
            .unwrap();
        }
        let date = format!("2025-09-0{}", file + 1);
        self.place.sh(&format!("feed web {date} --dir f{file} <<'END'\n{out}END"));
        self.ingest(&format!("f{file}"), None).await;
    }

    async fn rebuild(&self) {
        rebuild(&self.lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
    }

    async fn engine(&self, batch_size: usize, plain: bool) -> Engine {
        let remote = self.site.remote(&self.lake);
        let batch_size = Some(batch_size);
        let settings = EngineSettings { batch_size, threads: Some(2), remote, ..EngineSettings::default() };
        let engine = Engine::open(self.lake.clone(), settings).await.unwrap();
        if plain {
            engine.collect("SET rejoin.journeys = 'plain'").await.unwrap();
        }
        engine
    }

    /// The rows of what is loaded, with the lake's own order of rows of one instant.
    async fn rows(&self, loaded: &BTreeMap<u8, Vec<Hit>>) -> BTreeMap<String, Row> {
        let engine = self.engine(8192, false).await;
        let (_, found) = table::rows(&engine, "SELECT prop1, CAST(hit_seq AS VARCHAR) FROM hits").await.unwrap();
        let seqs: HashMap<String, i128> =
            found.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
        let mut rows = BTreeMap::new();
        for (file, hits) in loaded {
            for (n, hit) in hits.iter().enumerate() {
                let name = format!("{file}_{n}");
                let row = Row {
                    visitor: hit.visitor,
                    at: (hit.time * 1_000_000, seqs[&name]),
                    visit: (hit.visit, if self.feeds { *file } else { 0 }),
                    set: hit.set.map(|n| format!("s{n}")),
                    ends: hit.orders == Some(1),
                    id: hit.id,
                    excluded: self.feeds && hit.excluded,
                };
                rows.insert(name, row);
            }
        }
        assert_eq!(rows.len(), seqs.len());
        rows
    }
}

async fn live(feeds: bool, site: Site, steps: &[Step]) {
    let world = World::new(feeds, site).await;
    let mut loaded = BTreeMap::new();
    for step in steps {
        match step {
            Step::Load(file, hits) => {
                world.load(*file, hits).await;
                loaded.insert(*file, hits.clone());
            }
            Step::Remove(file) if loaded.remove(file).is_some() => {
                remove(&world.lake, &[world.name(*file)], None, None).await.unwrap();
            }
            Step::Remove(_) => {}
            Step::Rebuild => world.rebuild().await,
        }
    }
    world.rebuild().await;
    let named = world.rows(&loaded).await;
    let rows: Vec<Row> = named.values().cloned().collect();
    let values = |row: &Row| -> Vec<String> {
        RULES.iter().map(|(_, a, e)| held(&rows, row, a, e).unwrap_or_else(|| "NULL".into())).collect()
    };
    let columns = RULES.map(|r| r.0).join(", ");
    for batch_size in [1, 7, 8192] {
        let engine = world.engine(batch_size, false).await;
        let (_, found) = table::rows(&engine, &format!("SELECT prop1, {columns}, {PLAIN} FROM hits")).await.unwrap();
        for cells in found {
            let row = &named[&cells[0]];
            let mut expected = values(row);
            expected.push(row.set.clone().unwrap_or_else(|| "NULL".into()));
            assert_eq!(cells[1..], expected, "{} of {named:#?}", cells[0]);
        }
    }
    // what hangs on it: the snapshot of each ID, and the record that inherits it
    let engine = world.engine(7, false).await;
    let sql = format!("SELECT transaction_id, {columns} FROM events WHERE row_kind = 'transaction' ORDER BY 1");
    let (_, found) = table::rows(&engine, &sql).await.unwrap();
    for (id, cells) in (0..5u8).zip(&found) {
        let first = rows.iter().filter(|r| !r.excluded && r.id == Some(id)).min_by_key(|r| (r.at, r.visitor));
        let expected = first.map_or(vec!["NULL".to_string(); RULES.len()], values);
        assert_eq!(cells[1..], expected, "T{id} of {named:#?}");
    }
    assert_eq!(found.len(), 5);
    // touches are what was set
    for plain in [false, true] {
        let engine = world.engine(8192, plain).await;
        for column in ["tracking_code", "evar5", "evar11"] {
            let credit = |dimension: &str| {
                format!(
                    "SELECT item, credit FROM attribution('orders', '{dimension}', 'linear', 'visit') ORDER BY 1 NULLS FIRST"
                )
            };
            let persisted = table::rows(&engine, &credit(column)).await.unwrap().1;
            assert_eq!(persisted, table::rows(&engine, &credit(PLAIN)).await.unwrap().1, "{column}, plain: {plain}");
            // the window form knows what a row set beside what it holds
            let window = |dimension: &str, touched: &str| {
                format!(
                    "SELECT {touched}, sum(c) FROM (SELECT {touched}, visit_attribution({dimension}, orders, 'linear', hit_source) OVER \
                     (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1 HAVING sum(c) <> 0 ORDER BY 1 NULLS FIRST"
                )
            };
            let persisted = table::rows(&engine, &window(column, &format!("{column}_set"))).await.unwrap().1;
            assert_eq!(persisted, table::rows(&engine, &credit(column)).await.unwrap().1, "{column} in a window");
        }
    }
}

fn any_history(feeds: bool, site: Site, cases: u32) {
    site.begin();
    deep(|runtime| {
        let outcome = runner(cases, 40).run(&vec(step(), 2..10), |steps| {
            runtime.block_on(live(feeds, site, &steps));
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
    });
}

#[test]
fn mapped_rows_hold_what_the_rules_say() {
    any_history(false, Site::Folder, 8);
}

#[test]
fn rows_hold_what_the_rules_say_on_s3_and_on_a_cluster() {
    any_history(false, Site::S3, 2);
    any_history(true, Site::S3, 1);
    any_history(false, Site::Cluster, 2);
    any_history(true, Site::Cluster, 1);
}

#[test]
fn raw_columns_of_feeds_hold_what_the_rules_say() {
    any_history(true, Site::Folder, 4);
}

/// The sample is read once as it is, and once without the processed columns, which its suite's rules then give back.
#[test]
fn the_samples_raw_columns_persist_into_its_processed_ones() {
    let place = Place::new();
    place.sh(
        "rejoin sample made --hits 12000 --days 60 --visitors 300 --seed 5
recast made whole --suite whole
recast made raw --suite raw --without post_campaign,post_evar1,post_evar2,post_evar3,post_evar4,post_evar5,post_evar6
rejoin suite create whole
rejoin suite create raw --persist 'tracking_code=most_recent,30 days' --persist evar1=most_recent --persist evar2=most_recent \\
  --persist evar3=most_recent,visitor --persist evar4=most_recent --persist evar5=most_recent
rejoin ingest whole raw",
    );
    let columns = ["tracking_code", "evar1", "evar2", "evar3", "evar4", "evar5"];
    let same = columns.map(|c| format!("(a.{c} IS NOT DISTINCT FROM b.{c})")).join(" AND ");
    let sql = format!(
        "SELECT count(*) AS hits, count(*) FILTER (WHERE {same}) AS same,
                count(*) FILTER (WHERE a.tracking_code IS NOT NULL AND a.tracking_code_set IS NULL) AS persisted
         FROM (SELECT * FROM events WHERE suite = 'whole' AND row_kind = 'online') AS a
         JOIN (SELECT * FROM events WHERE suite = 'raw' AND row_kind = 'online') AS b USING (visitor_key, hit_time, hit_seq)"
    );
    let found = place.query(&sql);
    let number = |name: &str| found[0][name].as_i64().unwrap();
    assert!(number("hits") > 10_000 && number("persisted") > 5_000, "{found}");
    assert_eq!(number("same"), number("hits"), "{found}");
    // eVar 6 is what a processing rule made of it: set where the page sent nothing, taken away where it sent something
    let sql = "SELECT (SELECT sum(disagreeing) FROM files WHERE suite = 'whole') AS told,
                      count(*) FILTER (WHERE a.evar6_set IS NOT NULL AND b.evar6_set IS NULL) AS by_rule,
                      count(*) FILTER (WHERE a.evar6_set IS NULL AND b.evar6_set IS NOT NULL) AS taken,
                      count(*) FILTER (WHERE a.evar6_set IS NOT NULL AND b.evar6_set IS NOT NULL) AS \"both\"
               FROM (SELECT * FROM hits WHERE suite = 'whole') AS a
               JOIN (SELECT * FROM hits WHERE suite = 'raw') AS b USING (visitor_key, hit_time, hit_seq)";
    let found = place.query(sql);
    let number = |name: &str| found[0][name].as_i64().unwrap();
    assert!(number("by_rule") > 100 && number("taken") > 100, "{found}");
    assert_eq!((number("told"), number("both")), (number("by_rule") + number("taken"), 0), "{found}");
    // eVar 7 is bound to the product that it found: each order's revenue goes to what found its products
    place.sh("rejoin suite set whole --bind evar7=product");
    let sql = "SELECT round(sum(credit), 2) = (SELECT round(sum(revenue), 2) FROM events WHERE suite = 'whole') AS whole,
                      count(*) FILTER (WHERE item IN ('search', 'browse') AND credit > 0) AS items,
                      (SELECT count(DISTINCT binding_instances) FROM files WHERE suite = 'whole' AND binding_instances = '7') AS told
               FROM attribution('revenue', 'evar7', 'linear', lookback => 'all')";
    let done = place.rejoin_with(&["query", sql, "--suite", "whole", "--format", "json"]).ok();
    let found: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(found, serde_json::json!([{ "whole": true, "items": 2, "told": 1 }]));
}
