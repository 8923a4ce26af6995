//! Every request of every writing operation fails once: readers see the table of before or of after, a second try ends in
//! the same lake as an undisturbed first one, and nothing is doubled.
//!
//! A fault is a request that fails, a write whose answer is lost, or an outage after a write, which is also what a killed
//! process leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use chrono::TimeDelta;
use futures::future::LocalBoxFuture;
use object_store::local::LocalFileSystem;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rejoin::ErrorKind;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::forget::{ForgetOptions, Whose, forget};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::guard::Writers;
use rejoin::lake::records::{FileEntry, PersonRule};
use rejoin::lake::rewrite::Limits;
use rejoin::lake::vacuum::{VacuumOptions, vacuum};
use rejoin::lake::{Registry, person_rules};
use rejoin::persons::{Rule, Verb};
use rejoin::rebuild::{RebuildOptions, rebuild};
use url::Url;

use crate::faulty::{Fault, Faulty};
use crate::place::{Place, copy, deep};
use crate::table;

/// Something that writes, on a lake and with input files of a folder.
type Operation = for<'a> fn(&'a Lake, &'a Path) -> LocalBoxFuture<'a, rejoin::Result<()>>;

/// Small lakes to begin with, made once by the commands, and input files beside them.
struct Bases {
    place: Place,
}

static BASES: LazyLock<Bases> = LazyLock::new(|| {
    let place = Place::lasting();
    place.sh(BASE);
    copy(&place.lake(), &place.path().join("loaded"));
    place.sh("rejoin rebuild --no-compact");
    copy(&place.lake(), &place.path().join("rebuilt"));
    place.sh("rejoin ingest feed-2; rejoin ingest --suite web --source leads leads_2.txt");
    copy(&place.lake(), &place.path().join("stale"));
    place.sh("rejoin ingest --mapping other/a.toml other/a.csv --replace; rejoin rebuild; rejoin compact");
    copy(&place.lake(), &place.path().join("merged"));
    place.sh("rejoin ingest --mapping c.toml c.csv; rejoin rebuild; rejoin suite set web --persons device_split");
    copy(&place.lake(), &place.path().join("persons_set"));
    place.sh("rejoin rebuild");
    copy(&place.lake(), &place.path().join("persons_known"));
    place.sh("rejoin person link id:ann id:bob");
    copy(&place.lake(), &place.path().join("persons_linked"));
    Bases { place }
});

const BASE: &str = r#"
rejoin suite create web
rejoin source create web leads --kind transaction
feed web 2026-09-01 --dir feed-1 <<END
visitor  time              visit  post_pagename  post_campaign  post_transactionid
1_1      2026-09-01 10:00  1      home           email          T1
1_1      2026-09-01 10:05  1      product        .              .
1_2      2026-09-01 11:00  1      home           search         T2
END
feed web 2026-09-02 --dir feed-2 <<END
visitor  time              visit  post_pagename  post_campaign  post_transactionid
1_1      2026-09-02 10:00  2      home           social         T3
1_3      2026-09-02 11:00  1      cart           search         T4
END
online a <<END
visitor  time              page_name  orders
v1       2026-09-01 10:00  home       1
v2       2026-09-01 10:10  cart       2
END
cp a.csv a_1.csv
online b --only-write <<END
visitor  time              page_name  evar7  orders
v1       2026-09-03 10:00  product    plan   4
v3       2026-09-03 10:10  cart       plan   8
END
online c --only-write <<END
visitor  time              customer_id  page_name  orders
v1       2026-09-05 10:00  ann          home       1
v2       2026-09-05 10:00  ann          home       1
v3       2026-09-05 10:00  bob          home       1
v4       2026-09-05 10:00  ann          home       1
v4       2026-09-05 10:01  bob          home       1
END
offline leads_1 <<END
Date        transactionID  Event 1
09/20/2026  T1             100
09/21/2026  T9             10
END
offline leads_2 <<END
Date        transactionID  Event 1
09/22/2026  T2             200
09/23/2026  T4             20
no date     T4             7
END
rejoin ingest feed-1
rejoin ingest --suite web --source leads leads_1.txt
mkdir other
online other/a --only-write <<END
visitor  time              page_name  orders
v1       2026-09-01 10:00  home       16
v2       2026-09-01 10:10  cart       32
v2       2026-09-01 10:11  cart       64
END
"#;

pub fn lake_with(folder: &Path, fault: Fault) -> (Lake, Arc<Faulty>) {
    let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), fault));
    let lake = Lake::with_store(Url::from_directory_path(folder).unwrap(), store.clone(), Writers::Many).unwrap();
    (lake, store)
}

fn settings() -> EngineSettings {
    EngineSettings { threads: Some(1), suite: Some("web".into()), ..EngineSettings::default() }
}

const QUESTIONS: [&str; 9] = [
    "SELECT file, count(*), count(DISTINCT hit_time), sum(orders) FROM hits GROUP BY 1 ORDER BY 1",
    "SELECT file, count(*), sum(event1) FROM offline GROUP BY 1 ORDER BY 1",
    "SELECT file, count(*) FROM rejects GROUP BY 1 ORDER BY 1",
    "SELECT file, status, rows, rejected FROM files ORDER BY 1, 2, 3",
    "SELECT * FROM join_report ORDER BY file",
    "SELECT item, credit FROM participation('event1', 'tracking_code') ORDER BY 1",
    "SELECT count(*), max(rebuild) FROM rebuilds",
    "SELECT visitor_id, valid_from, person_id, why FROM persons ORDER BY 1, 2",
    "SELECT place, rule, first, second FROM person_rules ORDER BY made, place",
];

type Answers = Vec<(&'static str, Vec<Vec<String>>)>;

/// What a reader sees who comes now. A column that no file has is a fair answer; anything else that fails is not.
async fn answers(folder: &Path) -> Answers {
    let (lake, _) = lake_with(folder, Fault::None);
    let engine = Engine::open(lake, settings()).await.unwrap();
    let mut out = vec![];
    for question in QUESTIONS {
        let rows = match table::rows(&engine, question).await {
            Ok((_, rows)) => rows,
            Err(error) if ["orders", "event1"].iter().any(|c| error.to_string().contains(c)) => vec![],
            Err(error) => panic!("{question}: {error}"),
        };
        out.push((question, rows));
    }
    out
}

/// What readers and writers go by: the versions of all tables, each with its files added and removed and its rows added.
/// Every file that a version adds must be there.
fn state(folder: &Path) -> BTreeMap<String, (usize, usize, u64)> {
    let mut out = BTreeMap::new();
    for table in std::fs::read_dir(folder).unwrap() {
        let table = table.unwrap();
        // a table whose first file is written may have no log yet
        for version in std::fs::read_dir(table.path().join("_delta_log")).into_iter().flatten() {
            let version = version.unwrap();
            if version.path().extension().is_none_or(|e| e != "json") {
                continue;
            }
            let (mut added, mut removed, mut rows) = (0, 0, 0);
            for line in std::fs::read_to_string(version.path()).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                removed += usize::from(action["remove"].is_object());
                let Some(path) = action["add"]["path"].as_str() else { continue };
                let size = std::fs::metadata(table.path().join(path)).map(|m| m.len());
                assert_eq!(size.unwrap_or_else(|e| panic!("{path}: {e}")), action["add"]["size"].as_u64().unwrap());
                let stats: serde_json::Value = serde_json::from_str(action["add"]["stats"].as_str().unwrap()).unwrap();
                added += 1;
                rows += stats["numRecords"].as_u64().unwrap();
            }
            let name = format!("{} {}", table.file_name().display(), version.file_name().display());
            out.insert(name, (added, removed, rows));
        }
    }
    out
}

/// Columns that say when an operation ran.
const TIMES: [&str; 3] = ["received", "started", "ended"];

/// What makes the answers of a lake whose versions are known: of each file of each table the words of its tags and its rows, whatever
/// the files are called.
fn contents(folder: &Path) -> Vec<(String, Vec<String>, String)> {
    let mut out = vec![];
    for table in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let versions = std::fs::read_dir(table.path().join("_delta_log")).into_iter().flatten();
        let mut versions: Vec<PathBuf> = versions.map(|version| version.unwrap().path()).collect();
        versions.retain(|path| path.extension().is_some_and(|e| e == "json"));
        versions.sort();
        let mut tags = BTreeMap::<String, String>::new();
        for version in versions {
            for line in std::fs::read_to_string(version).unwrap().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                if let Some(path) = action["remove"]["path"].as_str() {
                    tags.remove(path);
                }
                if let Some(path) = action["add"]["path"].as_str() {
                    tags.insert(path.to_string(), action["add"]["tags"].to_string());
                }
            }
        }
        let rows: Vec<(&String, String)> = tags.keys().map(|path| (path, rows_of(&table.path().join(path)))).collect();
        for ((_, of_file), tags) in rows.iter().zip(tags.values()) {
            // a tag may name other files
            let tags = rows.iter().fold(tags.clone(), |tags, (path, rows)| tags.replace(path.as_str(), rows));
            let mut words: Vec<String> = tags.split(['"', '\\', ',']).map(str::to_string).collect();
            words.sort();
            out.push((table.file_name().into_string().unwrap(), words, of_file.clone()));
        }
    }
    out.sort();
    out
}

/// A number for the rows of a file, in their order, but for [`TIMES`].
fn rows_of(file: &Path) -> String {
    let mut hasher = DefaultHasher::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        for (field, column) in batch.schema_ref().fields().iter().zip(batch.columns()) {
            if !TIMES.contains(&field.name().as_str()) {
                (field.name(), table::cells(column)).hash(&mut hasher);
            }
        }
    }
    hasher.finish().to_string()
}

/// Requests of which one is delayed; with `REJOIN_ALL_DELAYS` in the environment each is, which takes some minutes more.
const DELAYS: usize = 4;

/// Runs `operation` on a copy of a base with every fault, one after another.
fn survives(base: &str, operation: Operation) {
    survives_asked(base, QUESTIONS.len(), &[operation]);
}

/// As [`survives`], of several operations one after the other: each meets its faults where those before it came to their end, and a
/// second try does all of them. Of several commits a reader may find answers in between to all but the first `questions` that are
/// neither those of before nor those of after.
fn survives_asked(base: &str, questions: usize, operations: &[Operation]) {
    let inputs = BASES.place.path();
    deep(|runtime| runtime.block_on(survives_on(&inputs.join(base), inputs, questions, operations)));
}

async fn survives_on(base: &Path, inputs: &Path, questions: usize, operations: &[Operation]) {
    // the lake before each operation and after the last, and what each asked of its store
    let (mut lakes, mut counts) = (vec![scratch(base)], vec![]);
    for operation in operations {
        let clean = scratch(lakes[lakes.len() - 1].path());
        let (lake, store) = lake_with(clean.path(), Fault::None);
        operation(&lake, inputs).await.unwrap();
        counts.push(store.counts());
        lakes.push(clean);
    }
    let clean = lakes.pop().unwrap();
    let new = answers(clean.path()).await;
    // what a state means is looked up once; there are as many as the operations have commits
    let mut readable = BTreeSet::from([state(base), state(clean.path())]);
    let (mut repeated, mut done) = (BTreeSet::new(), BTreeSet::new());
    for ((operation, begun), (requests, writes)) in operations.iter().zip(&lakes).zip(counts) {
        let old = answers(begun.path()).await;
        for fault in faults(requests, writes) {
            let scratch = scratch(begun.path());
            let (lake, _) = lake_with(scratch.path(), fault);
            let first = operation(&lake, inputs).await;
            if let Err(error) = &first {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}: {error}");
            }
            let left = state(scratch.path());
            // what is in all the same answers the same
            let is_new = readable.insert(left.clone());
            if is_new || first.is_ok() && done.insert((left.clone(), contents(scratch.path()))) {
                let now = answers(scratch.path()).await;
                for ((seen, before), after) in now.iter().zip(&old).zip(&new).take(questions) {
                    let fair = seen == after || seen == before && first.is_err();
                    assert!(fair, "{fault:?}, {first:?}\nseen:   {seen:?}\nbefore: {before:?}\nafter:  {after:?}");
                }
            }
            if repeated.insert(left) {
                let (lake, _) = lake_with(scratch.path(), Fault::None);
                for operation in operations {
                    if let Err(error) = operation(&lake, inputs).await {
                        // what is done already is refused as done
                        assert!(error.to_string().contains("is not loaded"), "{fault:?}, second try: {error}");
                    }
                }
                assert_eq!(answers(scratch.path()).await, new, "{fault:?}, second try, after {first:?}");
                state(scratch.path());
            }
        }
        eprintln!("{requests} requests, {writes} of them writes, {} states of the logs", repeated.len());
    }
}

/// Every read fails once and every write in each of its ways; some requests, or each, are late.
fn faults(requests: usize, writes: usize) -> impl Iterator<Item = Fault> {
    let delays = if std::env::var_os("REJOIN_ALL_DELAYS").is_some() { 1 } else { DELAYS };
    let of_reads = (0..requests - writes).map(Fault::Read);
    let of_writes = (0..writes).flat_map(|n| [Fault::Write(n), Fault::Answer(n), Fault::Outage(n)]);
    of_reads.chain(of_writes).chain((0..requests).step_by(delays).map(Fault::Delay))
}

fn scratch(base: &Path) -> tempfile::TempDir {
    let folder = tempfile::Builder::new().prefix("rejoin-fault-").tempdir().unwrap();
    copy(base, folder.path());
    folder
}

async fn load(lake: &Lake, path: PathBuf, mapping: Option<PathBuf>, source: Option<&str>) -> rejoin::Result<()> {
    let options = IngestOptions {
        suite: Some("web".into()).filter(|_| mapping.is_none()),
        source: source.map(str::to_string),
        mappings: mapping.into_iter().collect(),
        replace: true,
        ..IngestOptions::default()
    };
    for outcome in ingest(lake, &[path], &options, &|_| {}).await? {
        match outcome.status {
            Status::Refused(error) => return Err(error),
            Status::Loaded | Status::Replaced | Status::Unchanged => {}
            other => panic!("{other:?}"),
        }
    }
    Ok(())
}

#[test]
fn a_delivery() {
    survives("rebuilt", |lake, inputs| Box::pin(load(lake, inputs.join("feed-2"), None, None)));
}

#[test]
fn a_source_file() {
    survives("rebuilt", |lake, inputs| Box::pin(load(lake, inputs.join("leads_2.txt"), None, Some("leads"))));
}

#[test]
fn a_mapped_file() {
    survives("rebuilt", |lake, inputs| Box::pin(load(lake, inputs.join("b.csv"), Some(inputs.join("b.toml")), None)));
}

/// The log says that an input is a copy only where the other one is loaded, which is written after both are read.
#[test]
fn copies_of_what_is_loaded() {
    async fn load_both(lake: &Lake, folder: &Path, mapping: PathBuf) {
        let options = IngestOptions { mappings: vec![mapping], ..IngestOptions::default() };
        ingest(lake, &[folder.to_path_buf()], &options, &|_| {}).await.unwrap();
    }
    let inputs = BASES.place.path();
    let (base, mapping) = (inputs.join("rebuilt"), inputs.join("b.toml"));
    let folder = tempfile::tempdir().unwrap();
    for name in ["one.csv", "two.csv"] {
        std::fs::copy(inputs.join("b.csv"), folder.path().join(name)).unwrap();
    }
    deep(|runtime| {
        runtime.block_on(async {
            let clean = scratch(&base);
            let (lake, store) = lake_with(clean.path(), Fault::None);
            load_both(&lake, folder.path(), mapping.clone()).await;
            let (_, writes) = store.counts();
            let mut copies = 0;
            for fault in (0..writes).flat_map(|n| [Fault::None, Fault::Write(n), Fault::Outage(n)]) {
                let scratch = scratch(&base);
                let (lake, _) = lake_with(scratch.path(), fault);
                load_both(&lake, folder.path(), mapping.clone()).await;
                let (lake, _) = lake_with(scratch.path(), Fault::None);
                let log = Registry::<FileEntry>::read(&lake).await.unwrap().rows;
                for copy in log.iter().filter(|entry| entry.status == "copy") {
                    let is_original = |entry: &FileEntry| entry.status == "loaded" && entry.data == copy.data;
                    assert!(log.iter().any(is_original), "{fault:?}: {copy:?}");
                    copies += 1;
                }
            }
            assert!(copies >= writes, "{copies} copies");
        });
    });
}

#[test]
fn other_content_of_a_loaded_file() {
    survives("rebuilt", |lake, inputs| {
        Box::pin(load(lake, inputs.join("other/a.csv"), Some(inputs.join("other/a.toml")), None))
    });
}

async fn integrate(lake: &Lake) -> rejoin::Result<()> {
    rebuild(lake, &settings(), &RebuildOptions::default(), &|_| {}).await.map(|_| ())
}

const INTEGRATE: Operation = |lake, _| Box::pin(integrate(lake));

#[test]
fn a_first_rebuild() {
    survives("loaded", INTEGRATE);
}

#[test]
fn a_further_rebuild() {
    survives("stale", INTEGRATE);
}

/// A rebuild that only finds persons, and one after a rule about them.
#[test]
fn persons() {
    for base in ["persons_set", "persons_linked"] {
        survives(base, INTEGRATE);
    }
}

/// A rule is kept once, or not at all.
#[test]
fn a_rule_about_persons() {
    survives("persons_linked", |lake, _| {
        Box::pin(async move {
            let known = Registry::<PersonRule>::read(lake).await?.rows;
            let block = Rule {
                verb: Verb::Block,
                first: "id:ann".parse().map_err(rejoin::Error::configuration)?,
                second: None,
            };
            match person_rules::of_suite(&known, "web")?.contains(&block) {
                true => Ok(()),
                false => person_rules::add(lake, "web", &[block]).await,
            }
        })
    });
}

/// Its rows are those of before, so what must not change is what it merges. Every bucket is a step, and a commit.
#[test]
fn a_compaction() {
    survives("stale", |lake, _| {
        Box::pin(async move {
            let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
            let options = CompactionOptions { step_bytes: 1, ..CompactionOptions::default() };
            let done = compact(lake, &options, &limits, &|_, _, _| {}).await?;
            assert!(done.iter().all(|table| table.postponed == 0));
            Ok(())
        })
    });
}

#[test]
fn a_removal() {
    survives("rebuilt", |lake, _| {
        Box::pin(async move { remove(lake, &["a.csv".into()], None, None).await.map(|_| ()) })
    });
}

/// A table after another, each old or new; the second try finishes what the first has begun.
#[test]
fn a_forgotten_visitor() {
    let forgetting: Operation = |lake, _| {
        Box::pin(async move {
            let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
            let options = ForgetOptions { suite: None, dry_run: false, limits };
            let done = forget(lake, &Whose::Visitors(vec!["1_1".into(), "v2".into()]), &options).await?;
            assert!(done.incomplete.is_empty());
            Ok(())
        })
    };
    survives_asked("rebuilt", 4, &[forgetting, INTEGRATE]);
}

/// The same for a person, whose other rows stay with their visitors. Whoever is forgotten already is known no more.
#[test]
fn a_forgotten_person() {
    let forgetting: Operation = |lake, _| {
        Box::pin(async move {
            let limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
            let options = ForgetOptions { suite: None, dry_run: false, limits };
            let whose = Whose::Person("id:ann".parse().map_err(rejoin::Error::configuration)?);
            match forget(lake, &whose, &options).await {
                Ok(done) => assert!(done.incomplete.is_empty()),
                Err(error) if error.to_string().contains("is no person of") => {}
                Err(error) => return Err(error),
            }
            Ok(())
        })
    };
    survives_asked("persons_known", 4, &[forgetting, INTEGRATE]);
}

/// Every file below a folder, by its path.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        match entry.path().is_dir() {
            true => out.extend(files(&entry.path()).iter().map(|below| format!("{name}/{below}"))),
            false => drop(out.insert(name)),
        }
    }
    out
}

/// Every file of a lake, and the number of those besides in which each vacuum says that it was here.
fn tree(folder: &Path) -> (BTreeSet<String>, usize) {
    let (notes, tree): (BTreeSet<String>, BTreeSet<String>) =
        files(folder).into_iter().partition(|path| path.split('/').any(|part| part == "vacuums"));
    (tree, notes.len())
}

/// It changes no answer, wherever it ends, and a second one deletes what the first has left.
#[test]
fn a_vacuum() {
    async fn sweep(lake: &Lake) -> rejoin::Result<()> {
        let options = VacuumOptions { keep: TimeDelta::zero(), dry_run: false };
        vacuum(lake, &options, &|_, _| {}).await.map(|_| ())
    }
    deep(|runtime| {
        runtime.block_on(async {
            let base = BASES.place.path().join("merged");
            let answered = answers(&base).await;
            let clean = scratch(&base);
            let (lake, store) = lake_with(clean.path(), Fault::None);
            sweep(&lake).await.unwrap();
            assert_eq!(answers(clean.path()).await, answered);
            let (left, _) = tree(clean.path());
            let (begun_with, _) = tree(&base);
            assert!(left.len() < begun_with.len());
            // files only go, so what is there says what a reader and a second try find
            let mut readable = BTreeSet::from([begun_with, left.clone()]);
            let mut repeated = BTreeSet::new();
            let (requests, writes) = store.counts();
            eprintln!("{requests} requests, {writes} of them writes");
            // of deletions a lost answer is what an outage begins with
            for fault in faults(requests, writes).filter(|fault| !matches!(fault, Fault::Answer(_))) {
                let scratch = scratch(&base);
                let first = sweep(&lake_with(scratch.path(), fault).0).await;
                let (found, notes) = tree(scratch.path());
                if readable.insert(found.clone()) {
                    assert_eq!(answers(scratch.path()).await, answered, "{fault:?}, {first:?}");
                }
                if repeated.insert((found, notes)) {
                    sweep(&lake_with(scratch.path(), Fault::None).0).await.unwrap();
                    assert_eq!(tree(scratch.path()).0, left, "{fault:?}, second try, after {first:?}");
                }
            }
            eprintln!("{} states of the files", repeated.len());
        });
    });
}
