//! Random histories of a lake end in the same tables as one clean full rebuild of what is left in the end.
//!
//! Files and deliveries are loaded, replaced and removed, settings change, hits come late, files are compacted, and rebuilds
//! happen in between: each integrates only what changed. The other side is a new lake that gets the last content of every
//! file. Both give the same tables, and the same answers where touches are inherited, where records stand at their hits and where the
//! order of rows counts. Tables of the user's own are kept a key at a time meanwhile.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::person_rules;
use rejoin::lake::rewrite::Limits;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite};
use rejoin::persons::{Rule, Subject, Verb};
use rejoin::rebuild::{RebuildOptions, Rebuilt, rebuild};

use crate::feeds::{Delivery, deliver, delivery, every_column, file_of};
use crate::journeys::{Hit, MAPPING, Record, hit, offline, online, record};
use crate::oracle::runner;
use crate::place::{Place, deep};
use crate::table;

/// What a file holds.
#[derive(Clone, Debug)]
enum Content {
    /// Online hits; without `visit`, visits are computed.
    Hits { hits: Vec<Hit>, visit: bool },
    /// Records of the transaction or the customer source.
    Records { records: Vec<Record>, customer: bool },
    /// A delivery of a data feed: hits, and offline rows that are integrated already.
    Feed(Delivery),
}

#[derive(Clone, Debug)]
enum Step {
    /// A file is loaded, in place of a former one of that name.
    Load(u8, Content),
    Remove(u8),
    Set(Box<SuiteChanges>),
    /// A rule about whose rows are whose.
    Rule(Rule),
    Rebuild,
    Compact,
}

fn step() -> impl Strategy<Value = Step> {
    let hits = (vec(hit(), 1..12), any::<bool>()).prop_map(|(hits, visit)| Content::Hits { hits, visit });
    let records =
        (vec(record(), 1..12), any::<bool>()).prop_map(|(records, customer)| Content::Records { records, customer });
    let one = SuiteChanges::default;
    let set = prop_oneof![
        any::<bool>().prop_map(move |on| SuiteChanges { transaction_id: Some(on), ..one() }),
        any::<bool>().prop_map(move |current| SuiteChanges {
            rules: Some(if current { "current" } else { "classic" }.into()),
            ..one()
        }),
        (1..40i64).prop_map(move |days| SuiteChanges { expiry_days: Some(days), ..one() }),
        (1..1440i64).prop_map(move |minutes| SuiteChanges { visit_timeout_minutes: Some(minutes), ..one() }),
        any::<bool>().prop_map(move |some| SuiteChanges {
            placeholders: Some(if some { vec!["C1".into()] } else { vec![] }),
            ..one()
        }),
        prop_oneof!["off", "most_recent,visitor", "last_known", "original,9 days", "first_known,visitor"]
            .prop_map(move |rule| SuiteChanges { persist: vec![("tracking_code".into(), rule)], ..one() }),
        Just(SuiteChanges { time_zone: Some("America/New_York".into()), ..one() }),
        (prop_oneof!["off", "device_split", "last"], 1..4i64).prop_map(move |(method, limit)| SuiteChanges {
            persons: Some(method),
            person_limit: Some(limit),
            ..one()
        }),
    ];
    prop_oneof![
        8 => (0..3u8, hits).prop_map(|(name, content)| Step::Load(name, content)),
        8 => (3..6u8, records).prop_map(|(name, content)| Step::Load(name, content)),
        5 => (6..8u8, delivery().prop_map(Content::Feed)).prop_map(|(name, content)| Step::Load(name, content)),
        3 => (0..8u8).prop_map(Step::Remove),
        4 => set.prop_map(|changes| Step::Set(Box::new(changes))),
        1 => rule().prop_map(Step::Rule),
        7 => Just(Step::Rebuild),
        2 => Just(Step::Compact),
    ]
}

fn rule() -> impl Strategy<Value = Rule> {
    let id = || (0..3u8).prop_map(|n| Subject::Id(format!("C{n}")));
    let visitor = || (0..3u8).prop_map(|n| Subject::Visitor(format!("v{n}")));
    let two = (any::<bool>(), prop_oneof![(id(), id()), (visitor(), id()), (visitor(), visitor())]);
    let two = two.prop_map(|(link, (a, b))| (if link { Verb::Link } else { Verb::Unlink }, a, Some(b)));
    let one = (any::<bool>(), id()).prop_map(|(block, id)| (if block { Verb::Block } else { Verb::Unblock }, id, None));
    prop_oneof![two, one].prop_filter_map("two that are the same", |(verb, a, b)| Rule::new(verb, a, b).ok())
}

const QUESTIONS: [&str; 8] = [
    "attribution('orders', 'tracking_code', 'last_touch')",
    "conversions('orders', 'tracking_code')",
    "paths('revenue', 'evar1')",
    "flow('tracking_code', after => 'row_kind <> ''online''')",
    "attribution('orders', 'tracking_code', inherited => true)",
    "attribution('revenue', 'evar1', basis => 'snapshot')",
    "participation('revenue', 'product')",
    "participation('revenue', 'evar1', inherited => true)",
];

/// Tables of the user's own, each with a key: rows like events, an aggregate, a window, a join, the credit of conversions.
const OWN: [(&str, &str); 5] = [
    ("own_rows", "-- key: visitor_key\nSELECT * FROM events WHERE revenue <> 0 OR orders <> 0"),
    (
        "own_sums",
        "-- key: visitor_id\nSELECT visitor_id, match_status, count(*) AS n, sum(orders) AS orders FROM events GROUP BY 1, 2",
    ),
    (
        "own_order",
        "-- key: visitor_id\nSELECT visitor_id, event_id, row_number() OVER (PARTITION BY visitor_id ORDER BY event_id) AS n FROM events",
    ),
    (
        "own_visits",
        "-- key: visitor_id\nSELECT v.visitor_id, v.visit_num, v.hits, e.event_id FROM visits AS v \
         LEFT JOIN events AS e ON e.visitor_id = v.visitor_id AND e.row_kind <> 'online'",
    ),
    (
        "own_credits",
        "-- key: visitor_id\nSET rejoin.suite = 'web'; SELECT * FROM credits('revenue', 'tracking_code', models => 'linear,last_touch', by => 'visitor_id')",
    ),
];

/// A lake and the folder where its files come from.
struct World {
    place: Place,
    lake: Lake,
}

impl World {
    async fn new() -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
        for kind in ["transaction", "customer"] {
            let source =
                NewSource { suite: "web".into(), name: kind.into(), kind: kind.into(), ..NewSource::default() };
            create_source(&lake, &source).await.unwrap();
        }
        place.write("visit.toml", MAPPING);
        place.write("computed.toml", MAPPING.replace("visit = \"visit\"\n", ""));
        for (name, sql) in OWN {
            place.write(&format!("own/{name}.sql"), sql);
        }
        let world = Self { place, lake };
        // so that every column exists
        world.load(8, &Content::Feed(every_column())).await;
        let hit = Hit {
            visitor: 9,
            time: 0,
            visit: 0,
            ids: vec![],
            customer: None,
            campaign: Some(0),
            products: vec![0],
            prices: vec![5],
            orders: Some(1),
        };
        world.load(9, &Content::Hits { hits: vec![hit], visit: true }).await;
        world
    }

    /// Loads a file; false when its records are all of the other kind.
    async fn load(&self, name: u8, content: &Content) -> bool {
        let file = file_name(name, content);
        let (text, source, mapping) = match content {
            Content::Hits { hits, visit } => {
                let mapping = if *visit { "visit.toml" } else { "computed.toml" };
                (online(hits, 0), None, Some(self.place.path().join(mapping)))
            }
            Content::Records { records, customer } => {
                if records.iter().all(|r| r.customer != *customer) {
                    return false;
                }
                let source = if *customer { "customer" } else { "transaction" };
                self.place.write(&file.replace(".txt", ".fin"), "");
                (offline(records, *customer), Some(source.to_string()), None)
            }
            Content::Feed(delivery) => {
                deliver(&self.place, ".", name, delivery);
                (String::new(), None, None)
            }
        };
        let path = match content {
            Content::Feed(_) => format!("{file}.txt"),
            _ => {
                self.place.write(&file, text);
                file
            }
        };
        let options = IngestOptions {
            suite: Some("web".into()),
            source,
            mappings: mapping.into_iter().collect(),
            replace: true,
            again: true,
            ..IngestOptions::default()
        };
        let outcomes = ingest(&self.lake, &[self.place.path().join(path)], &options, &|_| {}).await.unwrap();
        assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
        true
    }

    async fn rebuild(&self, full: bool) -> Rebuilt {
        let options = RebuildOptions { full, queries: Some(self.place.path().join("own")) };
        let rebuilt = rebuild(&self.lake, &EngineSettings::default(), &options, &|_| {}).await.unwrap();
        assert!(rebuilt.own.iter().all(|table| table.status == "built"), "{:?}", rebuilt.own);
        rebuilt
    }

    /// The rows of a table, each as its columns that have a value: which columns a table has is a matter of its past.
    async fn rows(&self, table: &str) -> Vec<String> {
        let engine = Engine::open(self.lake.clone(), EngineSettings::default()).await.unwrap();
        let (schema, rows) = table::rows(&engine, &format!("SELECT * FROM {table}")).await.unwrap();
        let mut out: Vec<String> = rows
            .into_iter()
            .map(|row| {
                let named = schema.fields().iter().map(|f| f.name().as_str()).zip(row);
                let mut cells: Vec<String> =
                    named.filter(|(_, value)| value != "NULL").map(|(name, value)| format!("{name}={value}")).collect();
                cells.sort();
                cells.join(" ")
            })
            .collect();
        out.sort();
        out
    }

    async fn all_rows(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut all = BTreeMap::new();
        for table in ["snapshots", "events", "join_report", "visits", "visitors", "persons", "person_audit"]
            .into_iter()
            .chain(QUESTIONS)
            .chain(OWN.map(|(name, _)| name))
        {
            all.insert(table, self.rows(table).await);
        }
        all
    }
}

/// A file's name in the log.
fn file_name(name: u8, content: &Content) -> String {
    match content {
        Content::Hits { .. } => format!("f{name}.ndjson"),
        Content::Records { customer, .. } => format!("f{name}{}.txt", if *customer { "c" } else { "t" }),
        Content::Feed(_) => file_of(name),
    }
}

/// Rebuilds of only what changed, and tables of which only some keys were renewed.
#[derive(Clone, Copy, Debug, Default)]
struct Incremental {
    rebuilds: usize,
    renewed: usize,
}

impl Incremental {
    fn count(&mut self, rebuilt: &Rebuilt) {
        self.rebuilds += usize::from(rebuilt.entry.scope == "changed");
        self.renewed += rebuilt.own.iter().filter(|table| table.keys.is_some_and(|keys| keys > 0)).count();
    }
}

async fn live_a_history(steps: &[Step], incremental: &mut Incremental) {
    let world = World::new().await;
    let (mut loaded, mut settings, mut rules) = (BTreeMap::new(), vec![], vec![]);
    for step in steps {
        match step {
            Step::Load(name, content) => {
                if world.load(*name, content).await {
                    loaded.insert(file_name(*name, content), (*name, content.clone()));
                }
            }
            Step::Remove(name) => {
                let Some(file) = loaded.iter().find(|(_, (slot, _))| slot == name).map(|(file, _)| file.clone()) else {
                    continue;
                };
                remove(&world.lake, std::slice::from_ref(&file), None, None).await.unwrap();
                loaded.remove(&file);
            }
            Step::Set(changes) => {
                // an expiry is no setting of current rules
                if set_suite(&world.lake, "web", changes).await.is_ok() {
                    settings.push(changes.as_ref().clone());
                }
            }
            Step::Rule(rule) => {
                person_rules::add(&world.lake, "web", std::slice::from_ref(rule)).await.unwrap();
                rules.push(rule.clone());
            }
            Step::Rebuild => incremental.count(&world.rebuild(false).await),
            Step::Compact => {
                let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
                compact(&world.lake, &CompactionOptions::default(), &limits, &|_, _, _| {}).await.unwrap();
            }
        }
    }
    incremental.count(&world.rebuild(false).await);
    let left = world.all_rows().await;
    assert!(world.rebuild(false).await.up_to_date);
    world.rebuild(true).await;
    assert_eq!(world.all_rows().await, left, "a full rebuild of the same lake");

    let fresh = World::new().await;
    for changes in &settings {
        set_suite(&fresh.lake, "web", changes).await.unwrap();
    }
    person_rules::add(&fresh.lake, "web", &rules).await.unwrap();
    for (name, content) in loaded.values() {
        fresh.load(*name, content).await;
    }
    fresh.rebuild(false).await;
    assert_eq!(fresh.all_rows().await, left, "a new lake with what is left");
}

#[test]
fn any_history_ends_in_the_same_tables() {
    deep(|runtime| {
        let counted = std::sync::Mutex::new(Incremental::default());
        let outcome = runner(6, 40).run(&vec(step(), 3..16), |mut steps| {
            // about half of them
            if steps.len() % 2 == 0 {
                let (persons, person_limit) = (Some("device_split".into()), Some(3));
                let on = SuiteChanges { persons, person_limit, ..SuiteChanges::default() };
                steps.insert(0, Step::Set(Box::new(on)));
            }
            let mut incremental = *counted.lock().unwrap();
            runtime.block_on(live_a_history(&steps, &mut incremental));
            *counted.lock().unwrap() = incremental;
            Ok(())
        });
        outcome.unwrap_or_else(|e| panic!("{e}"));
        let Incremental { rebuilds, renewed } = *counted.lock().unwrap();
        assert!(rebuilds > 0, "every rebuild was a full one");
        assert!(renewed > 0, "every own table was built whole each time");
    });
}

/// Ids that are due are kept in memory; where they do not fit, everything is integrated, which streams.
#[test]
fn more_ids_than_memory_holds() {
    const RECORDS: usize = 200_000;
    let place = Place::new();
    place.sh("rejoin suite create web
rejoin source create web leads --kind transaction
online a <<END
visitor  time              page_name  transaction_id
v1       2026-09-01 10:00  home       T7
END
rejoin rebuild");
    let leads = |from: usize, to: usize| {
        let rows = (from..to).map(|n| format!("09/20/2026\tT{n}\t1\n"));
        format!("Date\ttransactionID\tEvent 1\n{}", rows.collect::<String>())
    };
    place.write("many.txt", leads(0, RECORDS));
    place.write("many.fin", "");
    place.sh("rejoin ingest --suite web --source leads many.txt");
    let told = place.rejoin("rebuild --memory 64MB").ok().stdout;
    assert!(told.contains("more ids are due than --memory holds"), "{told}");
    let rows = "SELECT match_status, count(*) AS n, sum(event1) AS e FROM integrated GROUP BY 1 ORDER BY 1";
    let expected = serde_json::json!([
        {"match_status": "matched", "n": 1, "e": 1},
        {"match_status": "unmatched", "n": RECORDS - 1, "e": RECORDS - 1},
    ]);
    assert_eq!(place.query(rows), expected);
    place.write("one.txt", leads(RECORDS, RECORDS + 1));
    place.write("one.fin", "");
    place.sh("rejoin ingest --suite web --source leads one.txt; rejoin rebuild --memory 64MB");
    let last = place.query("SELECT scope, new_rows FROM rebuilds ORDER BY rebuild DESC LIMIT 1");
    assert_eq!(last, serde_json::json!([{"scope": "changed", "new_rows": 1}]));
}
