//! History and vacuum: what is told, what goes, what stays, and who is not disturbed.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, ingest, remove};
use rejoin::lake::history::history;
use rejoin::lake::rewrite::Limits;
use rejoin::lake::suites::{SuiteChanges, create_suite, set_suite, suite};
use rejoin::lake::vacuum::{VacuumOptions, vacuum};
use rejoin::lake::{Lake, Snapshot};
use serde_json::{Value, json};

use crate::place::{Done, Place, deep};
use crate::table;

pub const LIMITS: Limits = Limits { memory_bytes: 64 << 20, threads: Some(2) };

/// Runs shell lines at a time.
pub fn at(place: &Place, now: &str, script: &str) -> Done {
    place.sh(&format!("export REJOIN_NOW={now}\n{script}"))
}

/// Runs `rejoin` at a time, whatever comes of it.
pub fn tried(place: &Place, now: &str, arguments: &[&str]) -> Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(arguments));
    let output = command.env("REJOIN_NOW", now).output().unwrap();
    Done {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub fn json_at(place: &Place, now: &str, arguments: &str) -> Value {
    let arguments: Vec<&str> = arguments.split_whitespace().chain(["--json"]).collect();
    let done = tried(place, now, &arguments).ok();
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{arguments:?}: {e}: {}", done.stdout))
}

/// All files below a folder, by their path in it.
pub fn files(folder: &Path) -> BTreeSet<String> {
    let (mut found, mut folders) = (BTreeSet::new(), vec![folder.to_path_buf()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(path.strip_prefix(folder).unwrap().to_string_lossy().into_owned());
            }
        }
    }
    found
}

/// The live files of all tables.
fn live(place: &Place) -> BTreeSet<String> {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        let mut found = BTreeSet::new();
        for name in lake.table_names().await.unwrap() {
            let snapshot = Snapshot::open(&lake, &name, None).await.unwrap();
            found.extend(snapshot.files.into_iter().map(|f| format!("{name}/{}", f.relative)));
        }
        found
    })
}

fn touch(path: PathBuf, time: &str) {
    let file = File::create(path).unwrap();
    let time = DateTime::parse_from_rfc3339(time).unwrap().timestamp() as u64;
    file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(time)).unwrap();
}

/// Three rebuilds: on the 1st, the 3rd, and the 5th of October. The live files after each.
fn three_rebuilds(place: &Place) -> [BTreeSet<String>; 3] {
    let day = |day: u32, script: &str| {
        at(place, &format!("2026-10-0{day}T12:00:00Z"), script);
        live(place)
    };
    [
        day(
            1,
            "rejoin suite create web
rejoin source create web leads --kind transaction --metrics event1 --dimensions evar1
online one <<END
visitor  time              visit  transaction_id  page_name  tracking_code  orders
v1       2026-09-01 10:00  1      L1              form       brand          1
v2       2026-09-01 11:00  1      .               home       search         .
END
offline leads <<END
Date        transactionID  Event 1
09/02/2026  L1             2
END
rejoin ingest leads.txt --suite web --source leads
rejoin rebuild",
        ),
        day(
            3,
            "online one --replace <<END
visitor  time              visit  transaction_id  page_name  tracking_code  orders
v1       2026-09-01 10:00  1      L1              form       brand          1
v3       2026-09-01 12:00  1      L3              form       social         1
END
rejoin rebuild",
        ),
        day(5, "rejoin rebuild --full"),
    ]
}

#[test]
fn a_vacuum_deletes_what_no_kept_version_needs_and_nothing_else() {
    let place = Place::new();
    let [_, second, third] = three_rebuilds(&place);
    let lake = place.lake();
    // what crashed writers have left, what one that runs has written, and what is somebody else's
    let id = |n: u32| format!("00000000-0000-4000-8000-{n:012}.parquet");
    touch(lake.join("hits").join(id(1)), "2026-10-01T00:00:00Z");
    touch(lake.join("hits").join(id(2)), "2026-10-06T00:00:00Z");
    touch(lake.join("hits").join(format!("{}#1", id(3))), "2026-10-01T00:00:00Z");
    touch(lake.join("hits/part-0001.parquet"), "2026-01-01T00:00:00Z");
    touch(lake.join("notes.txt"), "2026-01-01T00:00:00Z");
    touch(lake.join("_probe-1"), "2026-01-01T00:00:00Z");
    std::fs::create_dir_all(lake.join("notes/deep")).unwrap();
    touch(lake.join("notes").join(id(4)), "2026-01-01T00:00:00Z");
    touch(lake.join("notes/deep/x"), "2026-01-01T00:00:00Z");
    // a Delta table that is not ours keeps its unreferenced file
    std::fs::create_dir_all(lake.join("theirs/_delta_log")).unwrap();
    std::fs::write(
        lake.join("theirs/_delta_log/00000000000000000000.json"),
        r#"{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"5fba94ed-9794-4965-ba6e-6ee3c0d22af9","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[{\"name\":\"n\",\"type\":\"long\",\"nullable\":true,\"metadata\":{}}]}","partitionColumns":[],"configuration":{},"createdTime":1}}"#,
    )
    .unwrap();
    touch(lake.join("theirs").join(id(5)), "2026-01-01T00:00:00Z");

    let asked = |rebuild: &str| {
        let sql = "SELECT * FROM events ORDER BY event_id";
        let done = tried(&place, "2026-10-06T12:00:00Z", &["query", sql, "--as-of", rebuild, "--format", "json"]).ok();
        done.stdout
    };
    let answers = ["2", "3", "2026-10-04T12:00:00Z"].map(asked);
    assert!(answers[0].contains("v3") && answers[2] == answers[0], "{answers:?}");

    // the window begins while rebuild 2 is the newest
    let (now, before) = ("2026-10-06T12:00:00Z", files(&lake));
    let dry = json_at(&place, now, "vacuum --keep 2d --dry-run");
    assert_eq!(files(&lake), before, "a dry run changed something");
    let done = json_at(&place, now, "vacuum --keep 2d");
    let after = files(&lake);
    let parquet = |name: &&String| name.ends_with(".parquet") && !name.contains("_delta_log");
    let spared = [
        format!("hits/{}", id(2)),
        "hits/part-0001.parquet".into(),
        format!("notes/{}", id(4)),
        format!("theirs/{}", id(5)),
    ];
    let expected: BTreeSet<String> = before
        .iter()
        .filter(|name| {
            let unneeded = parquet(name) && !second.contains(*name) && !third.contains(*name) && !spared.contains(name);
            unneeded || name.contains('#') || name.starts_with("_probe")
        })
        .cloned()
        .collect();
    assert_eq!(before.difference(&after).cloned().collect::<BTreeSet<_>>(), expected);
    assert!(expected.iter().filter(|name| name.starts_with("hits/")).count() >= 3, "{expected:?}");
    assert!(after.difference(&before).all(|name| name.starts_with("vacuums/")), "{after:?}");
    assert_eq!(dry["tables"], done["tables"]);
    assert_eq!((dry["dry_run"].clone(), done["oldest_rebuild"].clone()), (json!(true), json!(2)));
    assert_eq!(done["left_alone"], json!(["notes/", "theirs/", "notes.txt"]));
    let hits = done["tables"].as_array().unwrap().iter().find(|t| t["table"] == "hits").unwrap();
    assert_eq!((&hits["unfinished"], &hits["foreign"], &hits["temporary"]), (&json!(1), &json!(1), &json!(1)));

    // what is kept can be asked; what is not says so
    assert_eq!(["2", "3", "2026-10-04T12:00:00Z"].map(asked), answers);
    for gone in ["1", "2026-10-02"] {
        let done = tried(&place, now, &["query", "SELECT 1 FROM events", "--as-of", gone]);
        done.fails(7, &["rebuild 1", gone, "vacuum", "there are rebuilds 2 to 3", "rejoin history"]);
    }

    // a table that nobody could read is left alone, as long as it is not ours
    std::fs::create_dir(lake.join("broken")).unwrap();
    std::fs::create_dir(lake.join("broken/_delta_log")).unwrap();
    std::fs::write(lake.join("broken/_delta_log/00000000000000000000.json"), "{\"metaData\":{}}").unwrap();
    let left = json_at(&place, now, "vacuum --keep 2d --dry-run")["left_alone"].clone();
    assert_eq!(left, json!(["broken/", "notes/", "theirs/", "notes.txt"]));
    std::fs::write(lake.join("broken/_delta_log/00000000000000000000.json"), "{\"metaData\":{\"name\":\"broken\"}}")
        .unwrap();
    tried(&place, now, &["vacuum"]).fails(6, &["table broken"]);
    std::fs::remove_dir_all(lake.join("broken")).unwrap();

    // again: nothing to do, not even a note of it
    let again = json_at(&place, now, "vacuum --keep 2d");
    assert!(again["tables"].as_array().unwrap().iter().all(|t| t["files"] == 0 && t["temporary"] == 0), "{again}");
    assert_eq!(files(&lake), after);
    // a load comes that is not integrated yet, and the writer that ran has died, a day ago: the newest rebuild is whole,
    // however little is kept, and the next one can compare with it
    let load = "online one --replace <<END
visitor  time              visit  transaction_id  page_name  tracking_code  orders
v4       2026-09-01 10:00  1      L1              form       brand          1
END";
    at(&place, "2026-10-07T00:00:00Z", load);
    let later = "2026-10-08T00:00:00Z";
    let done = json_at(&place, later, "vacuum --keep 0 --force");
    assert_eq!(done["oldest_rebuild"], 3);
    let pinned = done["tables"].as_array().unwrap().iter().find(|t| t["table"] == "hits").unwrap();
    assert_eq!(pinned["kept_files"], 2, "the hits that rebuild 3 read");
    assert!(!files(&lake).contains(&format!("hits/{}", id(2))));
    assert_eq!(asked("3"), answers[1]);
    let rebuilt = json_at(&place, later, "rebuild");
    assert_eq!((&rebuilt["up_to_date"], &rebuilt["rebuild"]["rebuild"]), (&json!(false), &json!(4)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM events WHERE visitor_id = 'v4'"), 2);
    // and when it is no longer the newest, it goes
    assert_eq!(json_at(&place, "2026-10-08T01:00:00Z", "vacuum --keep 0 --force")["oldest_rebuild"], 4);
    tried(&place, later, &["query", "SELECT 1 FROM events", "--as-of", "3"]).fails(7, &["only rebuild 4"]);
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 2);
}

#[test]
fn less_than_an_hour_needs_force() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    place.rejoin("vacuum").ok();
    place.rejoin("vacuum --keep 0 --dry-run").ok();
    for keep in ["0", "59min", "10s"] {
        place.rejoin(&format!("vacuum --keep {keep}")).fails(2, &["--force", "1h"]);
    }
    for wrong in ["7", "7 parsecs", "soon", "-1d", "99999w"] {
        place.rejoin_with(&["vacuum", &format!("--keep={wrong}")]).fails(2, &["--keep"]);
    }
    place.rejoin("forget").fails(2, &["--visitor"]);
    place.rejoin("forget --visitor a --before 2025-01").fails(2, &["--before"]);
    place.rejoin("forget --before 2025").fails(2, &["2025-01"]);
    place.rejoin("forget --visitor a --suite wbe").fails(3, &["wbe"]);
    place.rejoin("history --table hist").fails(2, &["hist"]);
    assert!(place.rejoin("forget --visitor nobody").ok().stdout.contains("nothing to forget"));
    // all that happened is that the suite was made
    let history = place.rejoin("history").ok().stdout;
    assert!(history.contains("suites") && history.contains("(1 row)"), "{history}");
}

const MAPPING: &str = "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\n";

/// A lake of `web` with loads of `rows` hits each.
pub async fn loads(place: &Place, number: u32, rows: u32, time: DateTime<Utc>) -> Lake {
    let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
    create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
    place.write("web.toml", MAPPING);
    for load in 0..number {
        let time = time.to_rfc3339();
        let rows = (0..rows).map(|row| format!("{{\"visitor\":\"v{row}\",\"time\":\"{time}\",\"load\":{load}}}\n"));
        place.write(&format!("{load}.ndjson"), rows.collect::<String>());
        load_file(place, &lake, &format!("{load}.ndjson")).await;
    }
    lake
}

pub async fn load_file(place: &Place, lake: &Lake, name: &str) -> String {
    let options = IngestOptions { mappings: vec![place.path().join("web.toml")], ..IngestOptions::default() };
    let outcomes = ingest(lake, &[place.path().join(name)], &options, &|_| {}).await.unwrap();
    format!("{:?}", outcomes[0].status)
}

#[test]
fn a_query_that_began_before_a_vacuum_ends_correctly() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = loads(&place, 6, 500, Utc::now()).await;
            let settings = EngineSettings { batch_size: Some(64), threads: Some(1), ..EngineSettings::default() };
            let engine = Engine::open(lake.clone(), settings).await.unwrap();
            let mut running = engine.run("SELECT visitor_id, hit_time, file FROM hits").await.unwrap();
            let first = running.rows.try_next().await.unwrap().unwrap().num_rows();
            let all: Vec<String> = (0..6).map(|n| format!("{n}.ndjson")).collect();
            remove(&lake, &all, None, None).await.unwrap();
            let keep = VacuumOptions { keep: TimeDelta::hours(1), dry_run: false };
            let done = vacuum(&lake, &keep, &|_, _| {}).await.unwrap();
            assert!(done.tables.iter().all(|t| t.files == 0), "{done:?}");
            let rest: Vec<_> = running.rows.try_collect().await.unwrap();
            assert_eq!(first + rest.iter().map(|b| b.num_rows()).sum::<usize>(), 3000);

            let hits = |done: &rejoin::lake::vacuum::Vacuumed| {
                done.tables.iter().find(|t| t.table == "hits").map(|t| (t.files, t.kept_files)).unwrap()
            };
            assert_eq!(hits(&done).0, 0);
            let none = VacuumOptions { keep: TimeDelta::zero(), dry_run: false };
            let after = vacuum(&lake, &none, &|_, _| {}).await.unwrap();
            assert_eq!(hits(&after), (hits(&done).1, 0));
            assert_eq!(table::rows(&engine, "SELECT count(*) FROM hits").await.unwrap().1, [["0"]]);
            assert!(load_file(&place, &lake, "0.ndjson").await.contains("Loaded"));
            assert_eq!(table::rows(&engine, "SELECT count(*) FROM hits").await.unwrap().1, [["500"]]);
        });
    });
}

/// Loads, removals and vacuums that keep nothing, at once: whatever is live is there.
#[test]
fn vacuums_and_loads_do_not_disturb_each_other() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = loads(&place, 4, 50, Utc::now()).await;
            let write = async {
                for round in 0..4 {
                    for load in 0..4 {
                        let name = format!("{load}.ndjson");
                        remove(&lake, std::slice::from_ref(&name), None, None).await.unwrap();
                        assert!(load_file(&place, &lake, &name).await.contains("Loaded"), "round {round}");
                    }
                }
            };
            let sweep = async {
                let mut files = 0;
                for _ in 0..12 {
                    let none = VacuumOptions { keep: TimeDelta::zero(), dry_run: false };
                    let done = vacuum(&lake, &none, &|_, _| {}).await.unwrap();
                    files += done.tables.iter().filter(|t| t.table == "hits").map(|t| t.files).sum::<u64>();
                    tokio::task::yield_now().await;
                }
                files
            };
            let ((), swept) = tokio::join!(write, sweep);
            assert!(swept > 0, "no vacuum met a removal");
            let engine = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
            let by_file = "SELECT file, count(visitor_id) FROM hits GROUP BY 1 ORDER BY 1";
            let expected: Vec<Vec<String>> = (0..4).map(|n| vec![format!("{n}.ndjson"), "50".into()]).collect();
            assert_eq!(table::rows(&engine, by_file).await.unwrap().1, expected);
        });
    });
}

#[test]
fn history_tells_what_happened_and_what_can_be_asked() {
    let place = Place::new();
    three_rebuilds(&place);
    let now = "2026-10-06T12:00:00Z";
    let before = json_at(&place, now, "history --limit 100");
    let numbers = |history: &Value, kept: bool| {
        let rebuilds = history["rebuilds"].as_array().unwrap();
        rebuilds.iter().filter(|r| r["kept"] == kept).map(|r| r["rebuild"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((numbers(&before, true), numbers(&before, false)), (vec![3, 2, 1], vec![]));
    assert_eq!(before["rebuilds"][1]["started"], "2026-10-03T12:00:00Z");
    assert!(before["rebuilds"][1]["changed"].as_array().unwrap().contains(&json!("hits")));
    assert!(!before["rebuilds"][0]["changed"].as_array().unwrap().contains(&json!("hits")));
    let hits = json_at(&place, now, "history --table hits");
    let told = |version: &Value| {
        ["version", "operation", "rows_added", "rows_removed", "kept"].map(|name| version[name].clone())
    };
    let versions: Vec<_> = hits["versions"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(
        versions,
        [
            [json!(1), json!("replace"), json!(2), json!(2), json!(true)],
            [json!(0), json!("append"), json!(2), json!(0), json!(true)],
        ]
    );
    assert_eq!(hits["versions"][0]["loads"], json!(["one.csv"]));
    assert_eq!(hits["versions"][0]["time"], "2026-10-03T12:00:00Z");
    // what is asked for ends before what tells the rows that went
    let newest = json_at(&place, now, "history --table hits --limit 1");
    assert_eq!(newest["versions"], json!([hits["versions"][0]]));

    at(&place, now, "rejoin vacuum --keep 2d && rejoin forget --visitor v3 --yes");
    let after = json_at(&place, now, "history --limit 100");
    assert_eq!((numbers(&after, true), numbers(&after, false)), (vec![4, 3, 2], vec![1]));
    let hits = json_at(&place, now, "history --table hits");
    let versions: Vec<_> = hits["versions"].as_array().unwrap().iter().map(told).collect();
    assert_eq!(versions[0][..4], [json!(2), json!("forget"), json!(0), json!(1)]);
    assert_eq!(versions.iter().map(|v| v[4].clone()).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(after["vacuums"][0]["started"], "2026-10-06T12:00:00Z");
    let text = tried(&place, now, &["history"]).ok().stdout;
    assert!(text.contains("vacuumed") && text.contains("forget") && text.contains("last vacuum: 2026-10-06"), "{text}");
    tried(&place, now, &["history", "--table", "hist"]).fails(2, &["did you mean hits?"]);
    tried(&place, now, &["history", "--table", "events"]).fails(2, &["hits and integrated"]);
}

/// Checkpoints that no kept version is read from go; every version can still be told and opened, for commits stay.
#[test]
fn superfluous_checkpoints_go() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
            create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
            for minutes in 1..35 {
                let changes = SuiteChanges { visit_timeout_minutes: Some(minutes), ..SuiteChanges::default() };
                set_suite(&lake, "web", &changes).await.unwrap();
            }
            let checkpoints = || {
                let all = files(&place.lake().join("suites/_delta_log"));
                all.into_iter().filter(|name| name.contains("checkpoint.parquet")).collect::<Vec<_>>()
            };
            let latest = Snapshot::open(&lake, "suites", None).await.unwrap().version.unwrap();
            let before = checkpoints();
            assert!(before.len() >= 3 && latest == 34, "{before:?}");
            let all = VacuumOptions { keep: TimeDelta::days(1), dry_run: false };
            vacuum(&lake, &all, &|_, _| {}).await.unwrap();
            assert_eq!(checkpoints(), before, "every version was current within a day");
            let none = VacuumOptions { keep: TimeDelta::zero(), dry_run: false };
            let done = vacuum(&lake, &none, &|_, _| {}).await.unwrap();
            assert_eq!(checkpoints(), before[before.len() - 1..]);
            let suites = done.tables.iter().find(|t| t.table == "suites").unwrap();
            assert_eq!((suites.temporary, suites.files), (before.len() as u64 - 1, latest));
            for version in 0..=latest {
                let snapshot = Snapshot::open(&lake, "suites", Some(version)).await.unwrap();
                assert_eq!(snapshot.files.len(), 1, "version {version}");
            }
            assert_eq!(suite(&lake, "web").await.unwrap().visit_timeout_minutes, 34);
            let told = history(&lake, Some("suites"), 100).await.unwrap();
            assert_eq!((told.versions.len(), told.versions.iter().filter(|v| !v.kept).count()), (35, 34));
        });
    });
}
