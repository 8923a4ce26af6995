//! Forgetting: a visitor's rows are gone everywhere and for good, months by the suite's clock, and nothing else goes.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use chrono::{TimeDelta, Utc};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rejoin::ErrorKind;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{ForgetOptions, Whose, forget, remove, retain};
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::{Lake, Snapshot};
use serde_json::{Value, json};

use crate::members::{Site, shared};
use crate::place::{Place, deep};
use crate::table;
use crate::time::{LIMITS, at, files, json_at, load_file, loads};
use crate::twins::lake_of;

/// Every value of every Parquet file of the lake, and every byte of its other files.
fn everything(lake: &Path) -> String {
    let mut text = String::new();
    for name in files(lake) {
        if !name.ends_with(".parquet") {
            text += &String::from_utf8_lossy(&std::fs::read(lake.join(&name)).unwrap());
            continue;
        }
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(lake.join(&name)).unwrap()).unwrap();
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            for column in batch.columns() {
                let cells = ArrayFormatter::try_new(column.as_ref(), &FormatOptions::default()).unwrap();
                for row in 0..batch.num_rows() {
                    text += &format!("{}\n", cells.value(row));
                }
            }
        }
        // nor in statistics, dictionaries or footers, as far as they are not compressed
        text += &String::from_utf8_lossy(&std::fs::read(lake.join(&name)).unwrap());
    }
    text
}

/// Visitors with hits and offline records of all kinds; `ann-77` and `77123456_88123456` are to be forgotten.
fn shop() -> Place {
    let place = Place::new();
    place.sh("rejoin suite create web --expiry 10d
rejoin source create web leads --kind transaction --metrics event1 --dimensions evar1
rejoin source create web calls --kind customer --metrics event2 --dimensions evar1
online one <<END
visitor  time              visit  transaction_id  customer_id  page_name  tracking_code  orders
ann-77   2026-09-01 10:00  1      LANN            CANN         form       brand          1
bob-88   2026-09-01 10:30  1      LBOB            CBOB         form       brand          1
ann-771  2026-09-01 11:00  1      .               .            home       search         .
cem-99   2026-09-01 11:10  1      .               .            home       search         .
END
online two <<END
visitor  time              visit  page_name  orders
ann-77   2026-09-03 10:00  2      basket     3
END
feed web 2026-09-02 <<END
visitor            time              visit  hit_source  post_pagename  post_event_list  post_campaign
77123456_88123456  2026-09-02 10:00  1      1           home           1                mail
77123456_88123457  2026-09-02 10:05  1      1           home           1                mail
77123456_88123456  2026-09-02 10:10  1      7           .              200              mail
77123456_88123457  2026-09-02 10:15  1      7           .              200              mail
END
offline leads <<END
Date        transactionID  Evar 1       Event 1
09/02/2026  LANN           gold         2
09/02/2026  LBOB           silver       4
09/02/2026  LNEW           none         8
09/02/2026  LZZZ           a;ann-77     1
09/02/2026  LZZZ           a;ann-771    1
09/20/2026  LANN           late         16
END
offline calls <<END
Date        VisitorID  Evar 1  Event 2
09/03/2026  CANN       angry   32
09/03/2026  CBOB       happy   64
END
rejoin ingest feed
rejoin ingest leads.txt --suite web --source leads
rejoin ingest calls.txt --suite web --source calls
rejoin rebuild");
    place
}

const IDS: [&str; 2] = ["ann-77", "77123456_88123456"];

#[test]
fn a_visitor_is_forgotten_everywhere_and_for_good() {
    let place = shop();
    let lake = place.lake();
    let others = [
        "SELECT * FROM hits WHERE visitor_id NOT IN ('ann-77', '77123456_88123456') ORDER BY visitor_id, hit_time, hit_seq",
        "SELECT * FROM events WHERE coalesce(visitor_id, '') NOT IN ('ann-77', '77123456_88123456') \
         AND coalesce(transaction_id, '') <> 'LANN' ORDER BY event_id",
        "SELECT * FROM offline WHERE coalesce(transaction_id, '') <> 'LANN' AND coalesce(customer_id, '') <> 'CANN' \
         AND coalesce(visitor_id, '') <> '77123456_88123456' ORDER BY source, hit_seq",
        "SELECT * FROM snapshots WHERE visitor_id NOT IN ('ann-77', '77123456_88123456') ORDER BY transaction_id",
    ];
    let answers = || others.map(|sql| place.query(sql));
    let (before, untouched) = (answers(), files(&lake));
    assert!(before.iter().all(|rows| !rows.as_array().unwrap().is_empty()));
    assert_eq!(place.cell("SELECT count(*) AS n FROM rejects"), 2);
    let gone = "SELECT (SELECT count(*) FROM hits WHERE visitor_id IN ('ann-77', '77123456_88123456')) \
                + (SELECT count(*) FROM events WHERE visitor_id IN ('ann-77', '77123456_88123456')) AS n";
    assert!(place.cell(gone).as_i64().unwrap() > 5);

    let arguments = format!("forget --visitor {} --visitor {} --suite web", IDS[0], IDS[1]);
    let dry = json_at(&place, "2026-10-02T00:00:00Z", &format!("{arguments} --dry-run"));
    assert_eq!(files(&lake), untouched, "a dry run changed something");
    let done = json_at(&place, "2026-10-02T00:00:00Z", &format!("{arguments} --yes"));
    assert_eq!(dry["tables"], done["tables"]);
    let rows = |table: &str| {
        let tables = done["tables"].as_array().unwrap();
        tables.iter().find(|t| t["table"] == table).unwrap()["rows"].as_i64().unwrap()
    };
    // two mapped hits and one of the feed; a lead, one that came too late, a call, and the feed's own transaction row
    assert_eq!(["hits", "offline", "integrated", "snapshots", "rejects"].map(rows), [3, 4, 4, 1, 1]);
    assert_eq!((&done["rebuild"], &done["incomplete"]), (&json!(2), &json!([])));
    assert_eq!(answers(), before);
    assert_eq!(place.cell(gone), 0);
    let left = "SELECT string_agg(text, '') AS t FROM rejects";
    assert!(place.cell(left).as_str().unwrap().contains("a;ann-771"), "only the word itself is named");

    // nothing brings the rows back
    let again = json_at(&place, "2026-10-02T00:00:00Z", &arguments);
    assert_eq!((&again["rows"], &again["rebuild"]), (&json!(0), &Value::Null));
    let loaded = place.sh("rejoin ingest feed 2>&1
rejoin ingest one.csv --mapping one.toml 2>&1
rejoin ingest two.csv --mapping two.toml 2>&1
rejoin ingest leads.txt --suite web --source leads 2>&1
rejoin ingest calls.txt --suite web --source calls 2>&1");
    assert_eq!(loaded.stdout.matches("unchanged").count(), 5, "{}", loaded.stdout);
    place.sh("rejoin rebuild --full");
    assert_eq!(answers(), before);
    assert_eq!(place.cell(gone), 0);

    // the rows are in former versions still, and gone with them
    let text = everything(&lake);
    assert!(text.contains("ann-77\n") && text.contains("77123456_88123456\n"));
    at(&place, "2026-10-02T01:00:00Z", "rejoin vacuum --keep 0 --force");
    let text = everything(&lake).replace("ann-771", "");
    assert!(text.contains("bob-88\n") && text.contains("77123456_88123457\n"));
    for trace in ["ann-77", "77123456_88123456", "88123456", "LANN", "CANN", "angry", "gold"] {
        assert!(!text.contains(trace), "{trace} is still there");
    }
    assert_eq!(answers(), before);
    // a correction of the file is loaded as any other
    at(&place, "2026-10-02T01:00:00Z", "rejoin remove two.csv && rejoin rebuild");
    assert_eq!(answers(), before);
}

#[test]
fn records_that_are_not_integrated_yet_are_forgotten_too() {
    let place = shop();
    place.sh("offline late <<END
Date        transactionID  Evar 1  Event 1
09/05/2026  LANN           LATER   2
END
rejoin ingest late.txt --suite web --source leads");
    place.rejoin("forget --visitor ann-77 --yes").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE evar1 = 'LATER'"), 0);
    assert_eq!(place.cell("SELECT count(*) AS n FROM events WHERE evar1 = 'silver'"), 1);
}

#[test]
fn of_two_visitors_with_one_key_only_the_named_one_goes() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let key = rejoin::columns::visitor_key("ann");
            let hit = |id: &str, second| (key, id.to_string(), second, Some("c"), 1.0);
            let both = vec![hit("ann", 1), hit("bob", 1), hit("ann", 2), hit("bob", 3)];
            let lake = lake_of(&place, &[both, vec![hit("ann", 4)], vec![hit("bob", 5)]]).await;
            let options = ForgetOptions { suite: None, dry_run: false, limits: LIMITS };
            let files = Snapshot::open(&lake, "hits", None).await.unwrap().files.len();
            let done = forget(&lake, &Whose::Visitors(vec!["ann".into()]), &options).await.unwrap();
            assert_eq!(done.rows(), 3);
            let hits = Snapshot::open(&lake, "hits", None).await.unwrap();
            assert_eq!((files, hits.files.len()), (3, 2), "a file that holds nothing else goes");
            let engine = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
            let sql = "SELECT visitor_id, CAST(hit_time AS BIGINT) / 1000000 FROM hits ORDER BY 2";
            assert_eq!(table::rows(&engine, sql).await.unwrap().1, [["bob", "1"], ["bob", "3"], ["bob", "5"]]);
        });
    });
}

#[test]
fn months_are_forgotten_by_the_suites_clock() {
    let place = Place::new();
    place.sh("rejoin suite create web --time-zone America/New_York
rejoin suite create far --time-zone Asia/Tokyo
rejoin source create web leads --kind transaction --metrics event1 --dimensions evar1
online one <<END
visitor  time              visit  transaction_id  page_name  orders
v1       2026-08-01 03:59  1      L1              july       1
v1       2026-08-01 04:00  1      L2              august     1
END
online two --suite far <<END
visitor  time              visit  page_name  orders
v1       2026-07-31 14:59  1      july       1
v1       2026-07-31 15:00  1      august     1
END
offline leads <<END
Date                 transactionID  Evar 1  Event 1
07/31/2026           L1             july    2
07/31/2026/23/59/59  L2             july    4
08/01/2026/00/00/00  L2             august  8
08/02/2026           L1             august  16
END
rejoin ingest leads.txt --suite web --source leads
rejoin rebuild");
    let rows = "SELECT suite, page_name, event1 FROM events ORDER BY suite, hit_time, event1";
    assert_eq!(place.query(rows).as_array().unwrap().len(), 8);
    assert_eq!(json_at(&place, "2026-10-01T12:00:00Z", "forget --before 2026-08 --suite web --yes")["rows"], 6);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits WHERE suite = 'far'"), 2);
    assert_eq!(json_at(&place, "2026-10-01T12:00:00Z", "forget --before 2026-08 --yes")["rows"], 1);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits WHERE page_name = 'july'"), 0);
    let left =
        place.query("SELECT page_name, evar1, event1, match_status FROM events ORDER BY suite, hit_time, event1");
    let row = |page: Option<&str>, evar: Option<&str>, event: Option<i64>, status: &str| json!({"page_name": page, "evar1": evar, "event1": event, "match_status": status});
    assert_eq!(
        left,
        json!([
            row(Some("august"), None, None, "online"),
            row(None, Some("august"), Some(8), "matched"),
            row(Some("august"), None, None, "online"),
            // its hit is forgotten
            row(None, Some("august"), Some(16), "unmatched"),
        ])
    );
    let loaded = place.sh("rejoin ingest one.csv --mapping one.toml
rejoin ingest leads.txt --suite web --source leads");
    assert_eq!(loaded.stdout.matches("unchanged").count(), 2, "{}", loaded.stdout);
}

#[test]
fn retention_keeps_whole_months_up_to_now() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = loads(&place, 1, 10, Utc::now() - TimeDelta::days(400)).await;
            let now: String = (0..7)
                .map(|n| format!("{{\"visitor\":\"n{n}\",\"time\":\"{}\"}}\n", Utc::now().to_rfc3339()))
                .collect();
            place.write("now.ndjson", now);
            assert!(load_file(&place, &lake, "now.ndjson").await.contains("Loaded"));
            let options = ForgetOptions { suite: None, dry_run: false, limits: LIMITS };
            assert_eq!(retain(&lake, 14, &options).await.unwrap().rows(), 0);
            assert_eq!(retain(&lake, 12, &options).await.unwrap().rows(), 10);
            assert_eq!(retain(&lake, 0, &options).await.unwrap().rows(), 0);
            let engine = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
            assert_eq!(table::rows(&engine, "SELECT count(*) FROM hits").await.unwrap().1, [["7"]]);
            assert!(load_file(&place, &lake, "0.ndjson").await.contains("Unchanged"));
        });
    });
}

/// A forgetting that is killed at any moment: the next one finishes it, and nothing else is lost, doubled or brought back.
#[test]
fn a_killed_forgetting_is_finished_by_the_next() {
    let place = shop();
    let copy = |to: &Place| {
        to.sh(&format!("cp -r {}/. .", place.path().display()));
    };
    let others = "SELECT * FROM hits WHERE visitor_id NOT LIKE 'ann-77' ORDER BY visitor_id, hit_time, hit_seq";
    let expected = place.query(others);
    let started = std::time::Instant::now();
    let whole = Place::new();
    copy(&whole);
    whole.rejoin("forget --visitor ann-77 --yes").ok();
    let took = started.elapsed();
    let mut interrupted = 0;
    for part in 1..=8 {
        let place = Place::new();
        copy(&place);
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args(["forget", "--visitor", "ann-77", "--yes"]));
        let mut running = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(took * part / 9);
        interrupted += usize::from(running.try_wait().unwrap().is_none());
        let _ = running.kill();
        running.wait().unwrap();
        assert_eq!(place.query(others), expected, "killed after {part}/9");
        place.rejoin("forget --visitor ann-77 --yes").ok();
        assert_eq!(place.query(others), expected);
        let rows = "SELECT (SELECT count(*) FROM hits WHERE visitor_id = 'ann-77') \
                    + (SELECT count(*) FROM offline WHERE transaction_id = 'LANN' OR customer_id = 'CANN') \
                    + (SELECT count(*) FROM events WHERE visitor_id = 'ann-77' OR transaction_id = 'LANN') AS n";
        assert_eq!(place.cell(rows), 0, "killed after {part}/9");
        let loaded = place.sh("rejoin ingest one.csv --mapping one.toml
rejoin ingest two.csv --mapping two.toml
rejoin ingest leads.txt calls.txt --suite web --source leads 2>&1 | grep leads.txt || true");
        assert_eq!(loaded.stdout.matches("unchanged").count(), 3, "killed after {part}/9: {}", loaded.stdout);
    }
    assert!(interrupted > 0, "nothing was killed");
}

/// Files that compaction made of several loads: what stays is told of each, and each can still be taken out.
#[test]
fn forgetting_and_compaction_go_together() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = loads(&place, 6, 40, Utc::now()).await;
            let options = CompactionOptions { shared_rows: 1_000_000, ..CompactionOptions::default() };
            compact(&lake, &options, &LIMITS, &|_, _, _| {}).await.unwrap();
            load_more(&place, &lake).await;
            let forgetting = ForgetOptions { suite: Some("web".into()), dry_run: false, limits: LIMITS };
            let visitors = Whose::Visitors(vec!["v3".into(), "v7".into()]);
            let (done, compacted) =
                tokio::join!(forget(&lake, &visitors, &forgetting), compact(&lake, &options, &LIMITS, &|_, _, _| {}));
            assert_eq!(done.unwrap().rows(), 2 * 8);
            // the compaction may have lost the race, and then changed nothing
            compacted.or_else(|e| if e.kind() == ErrorKind::Conflict { Ok(vec![]) } else { Err(e) }).unwrap();
            let hits = Snapshot::open(&lake, "hits", None).await.unwrap();
            let mut told = std::collections::BTreeMap::<String, u64>::new();
            for part in hits.files.iter().flat_map(|f| f.loads().unwrap()) {
                *told.entry(part.file).or_default() += part.rows.unwrap();
            }
            let engine = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
            let expected: Vec<Vec<String>> = (0..8).map(|n| vec![format!("{n}.ndjson"), "38".into()]).collect();
            let by_file = "SELECT file, count(*) FROM hits GROUP BY 1 ORDER BY 1";
            assert_eq!(table::rows(&engine, by_file).await.unwrap().1, expected);
            assert!(told.len() == 8 && told.values().all(|rows| *rows == 38), "{told:?}");
            let order = "SELECT visitor_id FROM hits ORDER BY visitor_key, visitor_id, hit_time, hit_seq";
            assert_eq!(table::rows(&engine, order).await.unwrap().1.len(), 8 * 38);
            for n in 0..8 {
                assert!(load_file(&place, &lake, &format!("{n}.ndjson")).await.contains("Unchanged"));
            }
            remove(&lake, &["2.ndjson".into()], None, None).await.unwrap();
            assert_eq!(table::rows(&engine, "SELECT count(*) FROM hits").await.unwrap().1, [["266"]]);
        });
    });
}

/// Two loads that are not compacted yet.
async fn load_more(place: &Place, lake: &Lake) {
    for load in 6..8 {
        let rows = (0..40).map(|row| format!("{{\"visitor\":\"v{row}\",\"time\":\"{}\"}}\n", Utc::now().to_rfc3339()));
        place.write(&format!("{load}.ndjson"), rows.collect::<String>());
        assert!(load_file(place, lake, &format!("{load}.ndjson")).await.contains("Loaded"));
    }
}

/// A table of the user's own is rows of others again: where its file is not at hand, what it may still hold is told.
#[test]
fn own_tables_that_stay_behind_are_named() {
    let place = shop();
    place.write("mine/touched.sql", "SELECT visitor_id, count(*) AS n FROM events GROUP BY 1");
    place.write("mine/how_many.sql", "SELECT count(*) AS n FROM touched");
    place.write("mine/others.sql", "SELECT suite FROM suites");
    place.rejoin("rebuild --queries mine").ok();
    let held = "SELECT count(*) AS n FROM touched WHERE visitor_id = 'ann-77'";
    assert_eq!(place.cell(held), 1);
    let done = place.rejoin("forget --visitor ann-77 --yes --json");
    assert_eq!(done.code, 7, "{}", done.stderr);
    assert!(done.stderr.contains("how_many, touched; run rejoin rebuild --queries"), "{}", done.stderr);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(told["own_tables_left"], json!(["how_many", "touched"]));
    place.rejoin("rebuild --queries mine").ok();
    assert_eq!(place.cell(held), 0);
    let done = place.rejoin("forget --visitor bob-88 --yes --queries mine");
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(place.cell("SELECT count(*) AS n FROM touched WHERE visitor_id = 'bob-88'"), 0);
}

/// Ann on a phone, a desk under another ID, a visitor that a rule gives her, and a device that she shares with Bob; Cem and Dora
/// are one by a rule; a kiosk's ID stands for nobody.
fn persons() -> Place {
    persons_in(Place::new(), "")
}

/// The same in some place, after what `first` settles for the commands.
fn persons_in(place: Place, first: &str) -> Place {
    let script = "rejoin suite create web --expiry 10d --persons device_split
rejoin source create web leads --kind transaction --metrics event1 --dimensions evar1
rejoin source create web calls --kind customer --metrics event2 --dimensions evar1
online one <<END
visitor   time              visit  customer_id  transaction_id  page_name  orders
phone-1   2026-09-01 10:00  1      ann-id       .               home       .
phone-1   2026-09-01 10:05  1      .            .               form       .
desk-2    2026-09-02 10:00  1      .            .               home       .
desk-2    2026-09-02 10:01  1      ann-two      T-ANN           form       1
shared-3  2026-09-01 09:00  1      .            .               home       .
shared-3  2026-09-01 10:00  1      ann-id       T-SHARED        form       1
shared-3  2026-09-03 10:00  2      bob-id       T-BOB           form       1
shared-3  2026-09-04 10:00  3      .            .               home       .
cem-4     2026-09-01 10:00  1      .            T-CEM           form       1
linked-5  2026-09-01 11:00  1      .            .               home       .
dora-6    2026-09-01 12:00  1      .            .               home       .
kiosk-7   2026-09-01 13:00  1      kiosk-id     .               home       .
END
offline leads <<END
Date        transactionID  Evar 1  Event 1
09/05/2026  T-ANN          gold    1
09/05/2026  T-SHARED       silver  2
09/05/2026  T-BOB          tin     4
09/05/2026  T-CEM          lead    8
09/20/2026  T-ANN          late    16
END
offline calls <<END
Date        VisitorID  Evar 1  Event 2
09/06/2026  ann-id     angry   1
09/06/2026  ann-two    sad     2
09/06/2026  bob-id     happy   4
09/06/2026  never-id   new     8
END
rejoin ingest leads.txt --suite web --source leads
rejoin ingest calls.txt --suite web --source calls
rejoin person link id:ann-two id:ann-id
rejoin person link visitor:linked-5 id:ann-id
rejoin person link visitor:cem-4 visitor:dora-6
rejoin person block id:kiosk-id
rejoin rebuild";
    place.sh(&format!("{first}{script}"));
    place
}

/// Rows of a table that went, as the command tells.
fn went(done: &Value, table: &str) -> i64 {
    let tables = done["tables"].as_array().unwrap();
    tables.iter().find(|t| t["table"] == table).unwrap()["rows"].as_i64().unwrap()
}

#[test]
fn a_person_is_forgotten_everywhere_and_for_good() {
    let place = persons();
    let lake = place.lake();
    let others = [
        "SELECT * FROM hits WHERE visitor_id IN ('cem-4', 'dora-6', 'kiosk-7') OR visitor_id = 'shared-3' AND hit_time > '2026-09-02' \
         ORDER BY visitor_id, hit_time",
        "SELECT * FROM events WHERE person_id IN ('id:bob-id', 'visitor:cem-4', 'visitor:kiosk-7') OR person_id IS NULL \
         AND match_status <> 'expired' ORDER BY event_id",
        "SELECT * FROM offline WHERE evar1 IN ('tin', 'lead', 'happy', 'new') ORDER BY source, hit_seq",
        "SELECT * FROM snapshots WHERE transaction_id IN ('T-BOB', 'T-CEM') ORDER BY 1, 2",
        "SELECT rule, \"first\", \"second\" FROM person_rules WHERE \"first\" LIKE '%cem-4' OR rule = 'block' ORDER BY 1",
    ];
    let answers = || others.map(|sql| place.query(sql));
    let (before, untouched) = (answers(), files(&lake));
    let counts: Vec<usize> = before.iter().map(|rows| rows.as_array().unwrap().len()).collect();
    assert_eq!(counts, [5, 9, 4, 2, 2]);
    let hers = "SELECT count(*) AS n FROM events WHERE person_id = 'id:ann-id'";
    // seven hits, two leads, two calls
    assert_eq!(place.cell(hers), 11);

    // by either of her IDs
    let dry = json_at(&place, "2026-10-02T00:00:00Z", "forget --person id:ann-two --dry-run");
    assert_eq!(files(&lake), untouched, "a dry run changed something");
    let done = json_at(&place, "2026-10-02T00:00:00Z", "forget --person ann-id --yes");
    assert_eq!(dry["tables"], done["tables"]);
    // the lead that came too late went, too, and two rules
    let tables = ["hits", "offline", "integrated", "snapshots", "rejects", "person_rules"];
    assert_eq!(tables.map(|table| went(&done, table)), [3, 5, 5, 2, 0, 2]);
    assert_eq!((&done["rebuild"], &done["incomplete"]), (&json!(2), &json!([])));
    let gone = || {
        assert_eq!(answers(), before);
        assert_eq!(place.cell(hers), 0);
        let rest = "SELECT (SELECT count(*) FROM hits) + (SELECT count(*) FROM offline) + (SELECT count(*) FROM persons \
                    WHERE person_id = 'id:ann-id') + (SELECT count(*) FROM person_audit WHERE customer_id LIKE 'ann%') AS n";
        assert_eq!(place.cell(rest), 13);
        // rows without an ID fall back to their visitor: on the shared device not to Bob
        let online = "SELECT visitor_id, person_id FROM events WHERE row_kind = 'online' \
                      AND visitor_id IN ('phone-1', 'desk-2', 'linked-5', 'shared-3') ORDER BY visitor_id, hit_time";
        let row = |visitor: &str, person: &str| json!({"visitor_id": visitor, "person_id": person});
        let expected = [
            row("desk-2", "visitor:desk-2"),
            row("linked-5", "visitor:linked-5"),
            row("phone-1", "visitor:phone-1"),
            row("shared-3", "visitor:shared-3"),
            row("shared-3", "id:bob-id"),
            row("shared-3", "id:bob-id"),
        ];
        assert_eq!(place.query(online), json!(expected));
    };
    gone();

    // nothing brings the rows back
    place.rejoin("forget --person id:ann-id --yes").fails(2, &["id:ann-id is no person of web", "explain-person"]);
    let loaded = place.sh("rejoin ingest one.csv --mapping one.toml 2>&1
rejoin ingest leads.txt --suite web --source leads 2>&1
rejoin ingest calls.txt --suite web --source calls 2>&1");
    assert_eq!(loaded.stdout.matches("unchanged").count(), 3, "{}", loaded.stdout);
    place.sh("rejoin rebuild --full; rejoin compact; rejoin rebuild");
    gone();

    // the rows are in former versions still, and gone with them
    assert!(everything(&lake).contains("ann-id\n"));
    at(&place, "2026-10-02T01:00:00Z", "rejoin vacuum --keep 0 --force");
    let text = everything(&lake);
    assert!(text.contains("shared-3\n") && text.contains("bob-id\n"));
    for trace in ["ann-id", "ann-two", "T-ANN", "T-SHARED", "gold", "silver", "angry"] {
        assert!(!text.contains(trace), "{trace} is still there");
    }
    gone();
}

/// The lake on S3, and what the commands need computed by this machine or by a cluster: what goes and what stays is the same.
#[test]
fn a_person_is_forgotten_on_s3_and_by_a_cluster() {
    let forgotten = |site: Site| {
        site.begin();
        let first = match site {
            Site::Folder | Site::S3 => String::new(),
            Site::Cluster => {
                let members = shared(&site.place().open_lake());
                format!("export REJOIN_CLUSTER={}\n", members.scheduler.address)
            }
        };
        let place = persons_in(site.place(), &first);
        let run = |time: &str, command: &str| at(&place, &format!("2026-10-02T{time}Z"), &format!("{first}{command}"));
        let mut told = vec![];
        for whom in ["ann-id", "visitor:cem-4"] {
            let done = run("00:00:00", &format!("rejoin forget --person {whom} --yes --json")).stdout;
            let done: Value = serde_json::from_str(&done).unwrap();
            let tables = ["hits", "offline", "integrated", "snapshots", "person_rules"].map(|table| went(&done, table));
            told.push((tables, done["rebuild"].clone(), done["incomplete"].clone()));
        }
        run("01:00:00", "rejoin vacuum --keep 0 --force");
        let left = || {
            [
                "SELECT event_id, visitor_id, person_id, row_kind, match_status FROM events ORDER BY event_id",
                "SELECT visitor_id, valid_from, person_id, why FROM persons ORDER BY 1, 2 NULLS FIRST",
                "SELECT rule, \"first\", \"second\" FROM person_rules ORDER BY 1, 2, 3",
                "SELECT item, credit FROM participation('orders', 'page_name', 'person') ORDER BY 1",
            ]
            .map(|sql| place.query(sql))
        };
        let before = left();
        run("02:00:00", "rejoin rebuild --full");
        assert_eq!(left(), before, "{site:?}");
        (told, before)
    };
    let (told, left) = forgotten(Site::Folder);
    assert_eq!(told[0], ([3, 5, 5, 2, 2], json!(2), json!([])));
    assert_eq!((told[1].0[0], told[1].1.clone()), (2, json!(3)));
    let text = json!(left).to_string();
    assert!(text.contains("bob-id") && !text.contains("ann-") && !text.contains("cem-4"), "{text}");
    for site in [Site::S3, Site::Cluster] {
        assert_eq!(forgotten(site), (told.clone(), left.clone()), "{site:?}");
    }
}

#[test]
fn what_came_since_the_last_rebuild_is_the_persons_too() {
    let place = persons();
    place.sh("online two <<END
visitor   time              visit  customer_id  page_name
tablet-8  2026-09-07 10:00  1      ann-id       home
tablet-8  2026-09-07 10:01  1      .            form
tablet-9  2026-09-07 10:00  1      bob-id       home
END");
    place.rejoin("forget --person id:ann-id --yes").ok();
    let left = "SELECT visitor_id, page_name FROM hits WHERE visitor_id LIKE 'tablet%' ORDER BY 1";
    let row = |visitor: &str, page: &str| json!({"visitor_id": visitor, "page_name": page});
    assert_eq!(place.query(left), json!([row("tablet-8", "form"), row("tablet-9", "home")]));
}

#[test]
fn persons_without_an_id_and_records_without_a_visitor_are_forgotten() {
    let place = persons();
    let forget = |person: &str| json_at(&place, "2026-10-02T00:00:00Z", &format!("forget --yes --person {person}"));
    // whoever was linked to the visitor is the person as well, and the rule names nobody any more
    let done = forget("visitor:cem-4");
    assert_eq!(["hits", "offline", "snapshots", "person_rules"].map(|table| went(&done, table)), [2, 1, 1, 1]);
    let done = forget("id:never-id");
    assert_eq!(["hits", "offline", "integrated"].map(|table| went(&done, table)), [0, 1, 1]);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 10);
}

/// A visitor's rule goes with the visitor, one way or the other.
#[test]
fn rules_that_name_a_forgotten_visitor_go() {
    let place = persons();
    let done = json_at(&place, "2026-10-02T00:00:00Z", "forget --yes --visitor linked-5");
    assert_eq!(["hits", "person_rules"].map(|table| went(&done, table)), [1, 1]);
    assert_eq!(place.cell("SELECT count(*) AS n FROM person_rules"), 3);
}

#[test]
fn a_shared_device_keeps_the_rows_of_others() {
    let place = Place::new();
    // the first of the two orders that came by the data feed is of Ryan's hit, whoever had the device then
    place.sh("rejoin suite create web --persons device_split
feed web 2026-09-02 <<END
visitor            time              visit  hit_source  post_cust_visid  post_transactionid  post_pagename  post_event_list
77123456_88123456  2026-09-02 09:00  1      1           .                .                   early          .
77123456_88123456  2026-09-02 10:00  1      1           ryan             T-RYAN              home           1
77123456_88123456  2026-09-02 11:00  1      1           cassidy          .                   home           1
77123456_88123456  2026-09-02 12:00  1      7           .                T-RYAN              .              200
77123456_88123456  2026-09-02 12:10  1      7           .                .                   .              201
77123456_88123456  2026-09-02 13:00  1      1           .                .                   late           .
END
rejoin ingest feed
rejoin rebuild");
    let rows = "SELECT row_kind, hit_time, person_id FROM events ORDER BY hit_time";
    let row = |kind: &str, time: &str, person: &str| json!({"row_kind": kind, "hit_time": format!("2026-09-02T{time}:00Z"), "person_id": person});
    // what nobody had logged in for falls back to the visitor, not to Cassidy
    let cassidys = [
        row("online", "09:00", "visitor:77123456_88123456"),
        row("online", "11:00", "id:cassidy"),
        row("transaction", "12:10", "id:cassidy"),
        row("online", "13:00", "id:cassidy"),
    ];
    assert_eq!(place.query(rows)[3], row("transaction", "12:00", "id:ryan"));
    let done = json_at(&place, "2026-10-02T00:00:00Z", "forget --person ryan --yes");
    assert_eq!(["hits", "offline", "integrated", "snapshots"].map(|table| went(&done, table)), [1, 1, 1, 1]);
    assert_eq!(place.query(rows), json!(cassidys));
    place.rejoin("rebuild --full").ok();
    assert_eq!(place.query(rows), json!(cassidys));
}

/// Under `last` a hit may bear one ID and be of another's person: it goes with either.
#[test]
fn a_row_that_bears_the_id_goes_whoever_has_it() {
    let place = Place::new();
    place.sh("rejoin suite create web --persons last
online one <<END
visitor  time              customer_id  page_name
d        2026-09-01 10:00  .            a
d        2026-09-01 10:01  ryan         b
d        2026-09-01 10:02  cassidy      c
END");
    place.rejoin("forget --person ryan --yes").ok();
    assert_eq!(place.query("SELECT page_name FROM hits ORDER BY 1"), json!([{"page_name": "a"}, {"page_name": "c"}]));
    place.rejoin("forget --person cassidy --yes").ok();
    let left = "SELECT page_name, person_id FROM events";
    assert_eq!(place.query(left), json!([{"page_name": "a", "person_id": "visitor:d"}]));
}

#[test]
fn nobody_is_forgotten_by_mistake() {
    let place = persons();
    let untouched = files(&place.lake());
    let long = format!("id:{}", "x".repeat(5000));
    let hostile = "id:o'brien \"x\"; DROP TABLE hits --";
    for (person, code, texts) in [
        ("id:zzz", 2, ["id:zzz is no person of web", "rejoin explain-person"]),
        ("zzz", 2, ["--person", "no hit has this customer ID or visitor"]),
        ("id:ANN-ID", 2, ["is no person", "explain-person"]),
        ("id:kiosk-id", 2, ["stands for nobody", "rejoin forget --visitor"]),
        // of two persons, neither of whom it is
        ("visitor:shared-3", 2, ["is no person", "explain-person"]),
        ("visitor:no-such", 2, ["is no person", "explain-person"]),
        (hostile, 2, ["o'brien", "is no person"]),
        ("id: ", 2, ["--person", "the ID is empty"]),
        ("", 2, ["--person", "the ID is empty"]),
        (long.as_str(), 2, ["--person", "at most 1024 bytes"]),
    ] {
        for more in [&["--yes"] as &[&str], &["--dry-run"]] {
            place.rejoin_with(&[&["forget", "--person", person] as &[&str], more].concat()).fails(code, &texts);
        }
    }
    place.rejoin("forget --person id:ann-id --visitor phone-1").fails(2, &["cannot be used with"]);
    place.rejoin("forget --person id:ann-id --before 2026-09").fails(2, &["cannot be used with"]);
    place.rejoin("forget --person id:ann-id --suite wbe").fails(3, &["there is no suite wbe"]);
    assert_eq!(files(&place.lake()), untouched);
    let off = shop();
    off.rejoin("forget --person id:CANN --yes").fails(3, &["persons are off", "--persons device_split", "--visitor"]);
}
