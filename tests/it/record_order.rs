//! Records of one instant have one order: by file, row and source, whichever IDs they bear and whatever came when. So have those that
//! stand at one hit.
//!
//! Files of records of two sources are loaded, replaced and removed in random order, hits come before or after them, and rebuilds
//! of what changed and compactions happen in between. What participates in what is known: every touch has an item of its own.

use std::collections::BTreeMap;
use std::fmt::Write;

use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::rewrite::Limits;
use rejoin::lake::sources::{NewSource, create_source};
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::place::{Place, deep};
use crate::questions::Dice;
use crate::table;

/// Hits of two devices of one person, in order: visitor, time, IDs, and in which of two files they come.
const HITS: [(&str, &str, &str, usize); 4] = [
    ("v1", "18:00:00", "T0,T1,T2", 0),
    ("v2", "18:30:00", "T3", 0),
    ("v1", "20:00:00", "T0,T4,T5", 1),
    ("v2", "21:00:00", "T3,T6", 1),
];

/// Data sources and names of files, of which two sources have one; some begin alike, and differ in few bits.
const FILES: [(&str, &str); 8] = [
    ("tills", "m.txt"),
    ("calls", "m.txt"),
    ("tills", "a.txt"),
    ("calls", "z.txt"),
    ("tills", "telephone_calls_26.txt"),
    ("calls", "telephone_calls_36.txt"),
    ("calls", "telephone_calls_26_north.txt"),
    ("tills", "telephone_calls_3.txt"),
];

const MAPPING: &str = r#"
kind = "online"
suite = "web"
visitor_id = "visitor"
time = "time"
transaction_id = "ids"
customer_id = "customer"
[dimensions]
tracking_code = "campaign"
[metrics]
orders = "orders"
"#;

/// A record, which is an order: with a date alone, before all hits of the day, or of an instant after all of them.
#[derive(Clone, Debug)]
struct Record {
    id: usize,
    is_late: bool,
    campaign: Option<String>,
}

/// Where a record stands: after all hits or not, at which hit, by its file and row; then by visitor and source.
type RecordPlace<'r> = (bool, usize, &'r str, usize, &'r str, &'r str);

struct World {
    place: Place,
    lake: Lake,
    /// What is loaded, by its place in [`FILES`].
    files: BTreeMap<usize, Vec<Record>>,
    /// How many files of records there were.
    loads: usize,
    /// Rebuilds of only what changed.
    changed: usize,
}

impl World {
    async fn new() -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        let persons = Some("device_split".into());
        create_suite(&lake, "web", &SuiteChanges { persons, ..SuiteChanges::default() }).await.unwrap();
        for name in ["tills", "calls"] {
            let (suite, name, kind) = ("web".into(), name.into(), "transaction".into());
            create_source(&lake, &NewSource { suite, name, kind, ..NewSource::default() }).await.unwrap();
        }
        place.write("web.toml", MAPPING);
        Self { place, lake, files: BTreeMap::new(), loads: 0, changed: 0 }
    }

    async fn ingest(&self, file: &str, source: Option<&str>) {
        let options = IngestOptions {
            suite: Some("web".into()),
            source: source.map(str::to_string),
            mappings: source.is_none().then(|| self.place.path().join("web.toml")).into_iter().collect(),
            replace: true,
            again: true,
            ..IngestOptions::default()
        };
        let outcomes = ingest(&self.lake, &[self.place.path().join(file)], &options, &|_| {}).await.unwrap();
        assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
    }

    async fn load_hits(&self, part: usize) {
        let mut text = String::new();
        for (number, (visitor, time, ids, _)) in HITS.iter().enumerate().filter(|(_, hit)| hit.3 == part) {
            let orders = if number == 0 { "1" } else { "null" };
            writeln!(
                text,
                r#"{{"visitor":"{visitor}","time":"2025-09-01T{time}Z","ids":"{ids}","customer":"ann","campaign":"h{number}","orders":{orders}}}"#
            )
            .unwrap();
        }
        let file = format!("hits{part}.ndjson");
        self.place.write(&file, text);
        self.ingest(&file, None).await;
    }

    async fn load_records(&mut self, slot: usize, dice: &mut Dice) {
        let (source, file) = FILES[slot];
        self.loads += 1;
        // no two files are copies of each other
        let mut text = format!("# {}\nDate\ttransactionID\tTracking Code\tOrders\n", self.loads);
        let mut records = vec![];
        for row in 0..1 + dice.below(4) {
            let campaign = (!dice.one_in(3)).then(|| format!("r{}.{row}", self.loads));
            let id = dice.below(8);
            let is_late = dice.one_in(2);
            let date = if is_late { "09/01/2025/22/00/00" } else { "09/01/2025" };
            writeln!(text, "{date}\tT{id}\t{}\t1", campaign.as_deref().unwrap_or_default()).unwrap();
            records.push(Record { id, is_late, campaign });
        }
        self.place.write(file, text);
        self.place.write(&file.replace(".txt", ".fin"), "");
        self.ingest(file, Some(source)).await;
        self.files.insert(slot, records);
    }

    async fn remove_records(&mut self, slot: usize) {
        if self.files.remove(&slot).is_some() {
            let (source, file) = FILES[slot];
            remove(&self.lake, &[file.to_string()], Some("web"), Some(source)).await.unwrap();
        }
    }

    async fn rebuild(&mut self, full: bool) {
        let options = RebuildOptions { full, ..RebuildOptions::default() };
        let rebuilt = rebuild(&self.lake, &EngineSettings::default(), &options, &|_| {}).await.unwrap();
        self.changed += usize::from(!rebuilt.up_to_date && rebuilt.entry.scope == "changed");
    }

    async fn compact(&self) {
        let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
        compact(&self.lake, &CompactionOptions::default(), &limits, &|_, _, _| {}).await.unwrap();
    }

    /// The rows of each visitor, or of the person that both are, in order: what each touches, and whether it is an order.
    fn journeys(&self, of_person: bool) -> Vec<Vec<(Option<String>, bool)>> {
        let hit_of = |id: usize| HITS.iter().position(|hit| hit.2.split(',').any(|own| own == format!("T{id}")));
        let whose = |number: usize| if of_person { "ann" } else { HITS[number].0 };
        let mut records: Vec<(RecordPlace<'_>, &str, &Record)> = vec![];
        for (slot, own) in &self.files {
            let (source, file) = FILES[*slot];
            for (row, record) in own.iter().enumerate() {
                if let Some(number) = hit_of(record.id) {
                    let at = if record.is_late { 0 } else { number };
                    let place = (record.is_late, at, file, row, HITS[number].0, source);
                    records.push((place, whose(number), record));
                }
            }
        }
        records.sort_by_key(|(place, ..)| *place);
        let mut journeys: BTreeMap<&str, Vec<(Option<String>, bool)>> = BTreeMap::new();
        for number in 0..HITS.len() {
            let journey = journeys.entry(whose(number)).or_default();
            journey.push((Some(format!("h{number}")), number == 0));
            let at_hit = records.iter().filter(|(place, ..)| !place.0 && place.1 == number);
            journey.extend(at_hit.map(|(_, _, record)| (record.campaign.clone(), true)));
        }
        for (_, whose, record) in records.iter().filter(|(place, ..)| place.0) {
            journeys.entry(*whose).or_default().push((record.campaign.clone(), true));
        }
        journeys.into_values().collect()
    }

    /// Asks on all ways what must follow from the order of rows.
    async fn check(&self, when: &str) {
        let engine = Engine::open(self.lake.clone(), EngineSettings::default()).await.unwrap();
        for whole in ["visitor", "person"] {
            let [mut participation, mut last, mut paths] = [(); 3].map(|()| BTreeMap::<String, i64>::new());
            for journey in self.journeys(whole == "person") {
                let mut path: Vec<String> = vec![];
                for (touch, is_order) in journey {
                    path.extend(touch);
                    if is_order {
                        path.iter().for_each(|item| *participation.entry(item.clone()).or_insert(0) += 1);
                        *last.entry(path[path.len() - 1].clone()).or_insert(0) += 1;
                        *paths.entry(path.join(" > ")).or_insert(0) += 1;
                    }
                }
            }
            let window = format!(
                "SELECT item, sum(c) FROM (SELECT touch(tracking_code) AS item, visitor_participation(tracking_code, orders) \
                 OVER (PARTITION BY {whole}_id ORDER BY hit_time) AS c FROM events WHERE visitor_id IS NOT NULL) \
                 GROUP BY 1 HAVING sum(c) > 0"
            );
            let asked = |function: &str| format!("SELECT item, credit FROM {function}, container => '{whole}')");
            let questions = [
                (asked("participation('orders', 'tracking_code'"), &participation),
                (asked("attribution('orders', 'tracking_code', 'last_touch'"), &last),
                (
                    format!(
                        "SELECT array_to_string(path, ' > '), conversions FROM paths('orders', 'tracking_code', container => '{whole}')"
                    ),
                    &paths,
                ),
                (window, &participation),
            ];
            for way in ["stored", "plain"] {
                engine.collect(&format!("SET rejoin.journeys = '{way}'")).await.unwrap();
                for (sql, expected) in &questions {
                    let (_, rows) = table::rows(&engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
                    let found: BTreeMap<String, i64> =
                        rows.into_iter().map(|row| (row[0].clone(), row[1].parse().unwrap())).collect();
                    assert_eq!(found, **expected, "{when}, {way}: {sql}\n{:?}", self.files);
                }
            }
        }
    }
}

async fn live_a_history(dice: &mut Dice) -> usize {
    let mut world = World::new().await;
    for part in 0..2 {
        if dice.one_in(2) {
            world.load_hits(part).await;
        }
    }
    for _ in 0..8 + dice.below(8) {
        let slot = dice.below(FILES.len());
        match dice.below(12) {
            0..=4 => world.load_records(slot, dice).await,
            5 => world.remove_records(slot).await,
            6 => world.load_hits(slot % 2).await,
            7 => world.compact().await,
            _ => world.rebuild(false).await,
        }
    }
    for part in 0..2 {
        world.load_hits(part).await;
    }
    world.rebuild(false).await;
    let slot = dice.below(FILES.len());
    world.load_records(slot, dice).await;
    world.rebuild(false).await;
    world.check("of what changed").await;
    world.compact().await;
    world.check("compacted").await;
    world.rebuild(true).await;
    world.check("of everything").await;
    world.changed
}

#[test]
fn records_at_one_hit_have_one_order() {
    let worlds = std::env::var("REJOIN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(8);
    let mut dice = Dice(29);
    let changed: usize = (0..worlds).map(|_| deep(|runtime| runtime.block_on(live_a_history(&mut dice)))).sum();
    assert!(changed > 0, "every rebuild was a full one");
}
