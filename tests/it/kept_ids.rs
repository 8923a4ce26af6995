//! What rebuilds keep of customer IDs changes no person: after each step of random histories a rebuild of what changed leaves the
//! tables that a full rebuild of a copy of the lake leaves.
//!
//! Files overlap in time, so that the rows of a visitor alternate between them; in half of the lakes rows have keys, so that a
//! hit may be delivered by several files with different IDs.

use std::fmt::Write;
use std::path::Path;

use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{ForgetOptions, IngestOptions, Status, Whose, forget, ingest, remove};
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::person_rules;
use rejoin::lake::rewrite::Limits;
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite};
use rejoin::lake::{Lake, Snapshot};
use rejoin::persons::{Rule, Subject, Verb};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::place::{Place, copy, deep};
use crate::questions::Dice;
use crate::table;

const VISITORS: usize = 5;
const FILES: usize = 5;
const STEPS: usize = 14;
const LIMITS: Limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };

struct World {
    place: Place,
    lake: Lake,
    keyed: bool,
    loaded: [bool; FILES],
}

impl World {
    async fn new(keyed: bool) -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.location()).unwrap();
        let changes = SuiteChanges { persons: Some("device_split".into()), person_limit: Some(3), ..one() };
        create_suite(&lake, "web", &changes).await.unwrap();
        let key = if keyed { "key = \"key\"\n" } else { "" };
        let keys = "visitor_id = \"visitor\"\ntime = \"time\"\ncustomer_id = \"customer\"\n";
        place.write(
            "web.toml",
            format!("kind = \"online\"\nsuite = \"web\"\n{keys}{key}[dimensions]\npage_name = \"page\"\n"),
        );
        Self { place, lake, keyed, loaded: [false; FILES] }
    }

    /// Rows of some visitors within a span of days that other files share.
    async fn load(&mut self, file: usize, dice: &mut Dice) {
        let mut text = "visitor,time,customer,page,key\n".to_string();
        let first = dice.below(4);
        for row in 0..1 + dice.below(24) {
            let (visitor, day, minute) = (dice.below(VISITORS), 1 + first + dice.below(3), dice.below(1440));
            let customer = match dice.below(7) {
                0..4 => String::new(),
                4 => "none".into(),
                n => format!("c{}", n % 2 + 2 * (visitor / 3)),
            };
            let key = if dice.one_in(3) { String::new() } else { format!("k{}", dice.below(12)) };
            let (hour, minute) = (minute / 60, minute % 60);
            writeln!(text, "v{visitor},2026-09-{day:02}T{hour:02}:{minute:02}:00,{customer},p{row},{key}").unwrap();
        }
        let name = format!("f{file}.csv");
        self.place.write(&name, text);
        let mapping = self.place.path().join("web.toml");
        let options = IngestOptions { mappings: vec![mapping], replace: true, again: true, ..IngestOptions::default() };
        let outcomes = ingest(&self.lake, &[self.place.path().join(name)], &options, &|_| {}).await.unwrap();
        assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
        self.loaded[file] = true;
    }

    /// Does something to the lake, and says what.
    async fn step(&mut self, dice: &mut Dice) -> String {
        let (file, visitor, id) =
            (dice.below(FILES), format!("v{}", dice.below(VISITORS)), format!("c{}", dice.below(4)));
        let forgetting = ForgetOptions { suite: None, dry_run: false, limits: LIMITS };
        match dice.below(16) {
            0..6 => {
                self.load(file, dice).await;
                format!("load f{file}")
            }
            6 | 7 => {
                if std::mem::take(&mut self.loaded[file]) {
                    remove(&self.lake, &[format!("f{file}.csv")], None, None).await.unwrap();
                }
                format!("remove f{file}")
            }
            8 | 9 => {
                compact(&self.lake, &CompactionOptions::default(), &LIMITS, &|_, _, _| {}).await.unwrap();
                "compact".into()
            }
            10 => {
                forget(&self.lake, &Whose::Visitors(vec![visitor.clone()]), &forgetting).await.unwrap();
                let left = format!("SELECT * FROM borne_ids WHERE visitor_id = '{visitor}'");
                assert_eq!(rows(&self.lake, &left).await, Vec::<String>::new());
                format!("forget {visitor}")
            }
            11 => {
                // one of whom there is nothing is refused, and so is an ID that stands for nobody
                let done = forget(&self.lake, &Whose::Person(Subject::Id(id.clone())), &forgetting).await;
                if done.is_ok() {
                    let left = format!("SELECT * FROM borne_ids WHERE customer_id = '{id}'");
                    assert_eq!(rows(&self.lake, &left).await, Vec::<String>::new());
                }
                format!("forget {id}: {}", done.is_ok())
            }
            12 => {
                let placeholders = if dice.one_in(2) { vec!["None".into()] } else { vec![id] };
                let told = format!("placeholders {placeholders:?}");
                self.set(SuiteChanges { placeholders: Some(placeholders), ..one() }).await;
                told
            }
            13 => {
                let method = ["off", "device_split", "last"][dice.below(3)];
                self.set(SuiteChanges { persons: Some(method.into()), ..one() }).await;
                format!("persons {method}")
            }
            _ => {
                let other = if dice.one_in(2) {
                    Subject::Id(id)
                } else {
                    Subject::Visitor(format!("v{}", dice.below(VISITORS)))
                };
                let verb = if dice.one_in(3) { Verb::Unlink } else { Verb::Link };
                let Ok(rule) = Rule::new(verb, Subject::Visitor(visitor), Some(other)) else { return "no rule".into() };
                person_rules::add(&self.lake, "web", std::slice::from_ref(&rule)).await.unwrap();
                format!("{rule:?}")
            }
        }
    }

    async fn set(&self, changes: SuiteChanges) {
        set_suite(&self.lake, "web", &changes).await.unwrap();
    }
}

fn one() -> SuiteChanges {
    SuiteChanges::default()
}

async fn rows(lake: &Lake, sql: &str) -> Vec<String> {
    let engine = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
    let (_, rows) = table::rows(&engine, sql).await.unwrap();
    let mut rows: Vec<String> = rows.into_iter().map(|row| row.join(" ")).collect();
    rows.sort();
    rows
}

async fn persons(lake: &Lake) -> [Vec<String>; 2] {
    [rows(lake, "SELECT * FROM persons").await, rows(lake, "SELECT * FROM person_audit").await]
}

async fn rebuilt(lake: &Lake, full: bool) -> String {
    let options = RebuildOptions { full, ..RebuildOptions::default() };
    rebuild(lake, &EngineSettings::default(), &options, &|_| {}).await.unwrap().entry.scope
}

/// A lake as it is now, elsewhere, so that what it keeps stays.
async fn rebuilt_elsewhere(lake: &Path) -> [Vec<String>; 2] {
    let folder = tempfile::tempdir().unwrap();
    copy(lake, folder.path());
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    rebuilt(&lake, true).await;
    persons(&lake).await
}

#[test]
fn persons_of_what_changed_are_those_of_all() {
    let worlds = std::env::var("REJOIN_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let mut dice = Dice(29);
    deep(|runtime| {
        runtime.block_on(async {
            let (mut kept, mut changed, mut found) = (0, 0, 0);
            for number in 0..worlds {
                let mut world = World::new(number % 2 == 1).await;
                let mut told = vec![];
                for _ in 0..STEPS {
                    told.push(world.step(&mut dice).await);
                    // several steps may lie between two rebuilds
                    if dice.one_in(4) {
                        continue;
                    }
                    changed += usize::from(rebuilt(&world.lake, false).await == "changed");
                    let (here, there) = (persons(&world.lake).await, rebuilt_elsewhere(&world.place.lake()).await);
                    assert_eq!(here, there, "keyed {}: {told:#?}", world.keyed);
                    kept += rows(&world.lake, "SELECT * FROM borne_ids").await.len();
                    found += here[0].len();
                }
            }
            assert!(kept > 10 * worlds, "{kept} runs were kept");
            assert!(changed > 2 * worlds, "{changed} rebuilds were of what changed");
            assert!(found > 10 * worlds, "{found} spans were found");
        });
    });
}

/// What is kept is one generation a rebuild, until there are so many that they become one; loads without any ID are known, too.
#[test]
fn generations_are_merged() {
    let place = Place::new();
    place.sh("rejoin suite create web --persons device_split\nrejoin rebuild");
    for day in 1..=20 {
        let id = if day % 5 == 0 { ".".to_string() } else { format!("c{}", day % 3) };
        place.sh(&format!(
            "online f{day} <<END
visitor  time              customer_id  page_name
v        2026-09-{day:02} 10:00  {id}  home
v        2026-09-{day:02} 10:05  {id}  home
w        2026-09-{day:02} 10:05  .     home
END
rejoin rebuild --no-compact"
        ));
    }
    // each has one file, an empty one where the load has no IDs
    let live = deep(|runtime| {
        let table = runtime.block_on(Snapshot::open(&place.open_lake(), "borne_ids", None)).unwrap();
        table.files.len()
    });
    assert!((2..=8).contains(&live), "{live} files");
    assert_eq!(place.cell("SELECT count(*) AS n FROM borne_ids"), 16);
    assert_eq!(place.cell("SELECT count(*) AS n FROM borne_ids WHERE hit_time < last_time"), 16);
    assert_eq!(place.cell("SELECT count(DISTINCT \"file\") AS n FROM borne_ids"), 16);
    let before = place.query("SELECT * FROM persons ORDER BY valid_from NULLS FIRST");
    assert_eq!(before.as_array().unwrap().len(), 16);
    place.sh("rejoin compact; rejoin remove f4.csv; rejoin rebuild");
    assert_eq!(place.cell("SELECT count(*) AS n FROM borne_ids"), 15);
    place.sh("rejoin rebuild --full");
    assert_eq!(place.cell("SELECT count(*) AS n FROM borne_ids"), 15);
    // it is no table that people see, and goes with the persons
    let listed = "SELECT count(*) AS n FROM information_schema.tables WHERE table_name = 'borne_ids'";
    assert_eq!(place.cell(listed), 0);
    place.sh("rejoin suite set web --persons off; rejoin rebuild");
    assert_eq!(place.cell("SELECT count(*) AS n FROM borne_ids"), 0);
}
