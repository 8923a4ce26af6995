//! Compaction: what its files look like, and that it disturbs nobody who reads or writes meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rejoin::ErrorKind;
use rejoin::engine::session::runtime as session_runtime;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::compact::{Compacted, CompactionOptions, compact};
use rejoin::lake::layout::{TAG_BUCKET, TAG_PART, bucket_of};
use rejoin::lake::parts::KeyRange;
use rejoin::lake::records::Rebuild;
use rejoin::lake::rewrite::{Job, Limits, Rewriter, Rewritten};
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::lake::{Lake, Registry, Snapshot};
use rejoin::rebuild::{RebuildOptions, is_stale, rebuild};

use crate::place::{Place, deep};
use crate::{members, table};

const DAY: i64 = 86_400;
/// 2026-03-01.
const START: i64 = 1_772_323_200;

/// Hits with a page and orders, visits computed.
pub const MAPPING: &str = r#"
kind = "online"
suite = "web"
visitor_id = "visitor"
time = "time"
[dimensions]
page_name = "page"
[metrics]
orders = "orders"
"#;

const SMALL: Limits = Limits { memory_bytes: 64 << 20, threads: Some(2) };

/// A lake with a suite, and files to load.
pub struct Loads {
    pub place: Place,
    pub lake: Lake,
}

impl Loads {
    pub async fn new() -> Self {
        let place = Place::new();
        let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
        create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
        place.write("web.toml", MAPPING);
        Self { place, lake }
    }

    /// File `number` of `rows` hits at pseudorandom seconds of `days` from its first one; some files have a column more.
    pub async fn load(&self, number: u64, first_day: i64, days: i64, rows: u64) -> Status {
        let (mut text, mut state) = (String::new(), number.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let mut random = |below: i64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as i64 % below
        };
        for _ in 0..rows {
            let time = START + first_day * DAY + random(days * DAY);
            let time = chrono::DateTime::from_timestamp(time, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
            let (visitor, page) = (random(40), random(5));
            writeln!(text, r#"{{"visitor":"v{visitor}","time":"{time}","page":"p{page}","orders":1}}"#).unwrap();
        }
        let name = format!("{number:03}.ndjson");
        self.place.write(&name, text);
        let options = IngestOptions { mappings: vec![self.place.path().join("web.toml")], ..IngestOptions::default() };
        let outcomes = ingest(&self.lake, &[self.place.path().join(name)], &options, &|_| {}).await.unwrap();
        outcomes.into_iter().next().unwrap().status
    }

    async fn compact(&self, shared_rows: u64, limits: Limits) -> Compacted {
        self.compact_by(shared_rows, &limits).await
    }

    async fn compact_by(&self, shared_rows: u64, rewriter: &dyn Rewriter) -> Compacted {
        self.try_compact(shared_rows, rewriter).await.unwrap()
    }

    pub async fn try_compact(&self, shared_rows: u64, rewriter: &dyn Rewriter) -> rejoin::Result<Compacted> {
        let options = CompactionOptions { shared_rows, ..CompactionOptions::default() };
        Ok(compact(&self.lake, &options, rewriter, &|_, _, _| {}).await?.remove(0))
    }

    pub async fn hits(&self) -> Snapshot {
        Snapshot::open(&self.lake, "hits", None).await.unwrap()
    }

    pub async fn answers(&self) -> Vec<Vec<String>> {
        let engine = Engine::open(self.lake.clone(), EngineSettings::default()).await.unwrap();
        let mut rows = vec![];
        for sql in [
            "SELECT * FROM hits",
            "SELECT item, credit FROM participation('orders', 'page_name', 'visit')",
            "SELECT item, linear FROM attribution('orders', 'page_name', models => 'linear')",
        ] {
            rows.extend(table::rows(&engine, sql).await.unwrap().1);
        }
        rows.sort();
        rows
    }

    /// Parquet files of `hits` that no version ever had.
    fn garbage(&self) -> Vec<String> {
        let (mut added, mut there) = (BTreeSet::new(), vec![]);
        for entry in std::fs::read_dir(self.place.lake().join("hits/_delta_log")).unwrap() {
            for line in std::fs::read_to_string(entry.unwrap().path()).unwrap_or_default().lines() {
                let action: serde_json::Value = serde_json::from_str(line).unwrap();
                added.extend(action["add"]["path"].as_str().map(str::to_string));
            }
        }
        for entry in std::fs::read_dir(self.place.lake().join("hits")).unwrap() {
            there.push(entry.unwrap().file_name().into_string().unwrap());
        }
        there.into_iter().filter(|name| name != "_delta_log" && !added.contains(name)).collect()
    }
}

/// Reads every live file for itself: one bucket, sorted, and what the log says of its rows, times and loads is so.
/// Gives the first and last month of each file by bucket.
pub fn check_files(loads: &Loads, snapshot: &Snapshot) -> BTreeMap<usize, Vec<(i64, i64)>> {
    let mut months: BTreeMap<usize, Vec<(i64, i64)>> = BTreeMap::new();
    for file in &snapshot.files {
        let opened = File::open(loads.place.lake().join("hits").join(&file.relative)).unwrap();
        let reader = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap();
        assert!(reader.metadata().row_groups()[0].sorting_columns().is_some_and(|s| s.len() == 4));
        let mut last: Option<(i64, String, i64, i128)> = None;
        let (mut times, mut rows_of) = (vec![], BTreeMap::<String, u64>::new());
        let bucket: usize = file.tags[TAG_BUCKET].parse().unwrap();
        let keys_of_tags = KeyRange::of_tags(&file.tags);
        for batch in reader.build().unwrap() {
            let batch = batch.unwrap();
            for column in batch.columns() {
                assert!(column.null_count() < column.len(), "{} has a column without a value", file.relative);
            }
            let column = |name: &str| batch.column_by_name(name).unwrap().clone();
            let (keys, ids, files) = (column("visitor_key"), column("visitor_id"), column("file"));
            let (at, sequences) = (column("hit_time"), column("hit_seq"));
            for row in 0..batch.num_rows() {
                let here = (
                    keys.as_primitive::<Int64Type>().value(row),
                    ids.as_string::<i32>().value(row).to_string(),
                    at.as_primitive::<TimestampMicrosecondType>().value(row),
                    sequences.as_primitive::<Decimal128Type>().value(row),
                );
                assert_eq!(bucket_of(here.0), bucket);
                assert!((keys_of_tags.first..=keys_of_tags.last).contains(&here.0), "{:?}", file.tags);
                times.push(here.2);
                *rows_of.entry(files.as_string::<i32>().value(row).to_string()).or_default() += 1;
                assert!(last.is_none_or(|last| last <= here), "{} is not sorted at row {row}", file.relative);
                last = Some(here);
            }
        }
        assert_eq!(file.rows, Some(times.len() as u64));
        let (first, end) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
        let (from, to) = file.hit_time.unwrap();
        assert!(from == first && (end..end + 1000).contains(&to), "{}: {from}..{to}", file.relative);
        let told: BTreeMap<String, u64> =
            file.loads().unwrap().into_iter().map(|l| (l.file, l.rows.unwrap())).collect();
        assert_eq!(told, rows_of, "loads of {}", file.relative);
        let month = |micros: i64| {
            use chrono::Datelike;
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap();
            i64::from(time.year()) * 12 + i64::from(time.month0())
        };
        months.entry(bucket).or_default().push((month(first), month(end)));
    }
    months
}

#[test]
fn files_hold_whole_months_in_order() {
    // little memory: several passes
    check_whole_months(|_| Arc::new(Limits { memory_bytes: 2 << 20, threads: Some(2) }));
}

#[test]
fn executors_of_a_cluster_compact() {
    let loads = check_whole_months(|lake| members::shared(lake).remote(lake));
    let snapshot = deep(|runtime| runtime.block_on(loads.hits()));
    let files = snapshot.files.iter().map(|file| loads.place.lake().join("hits").join(&file.relative));
    assert!(snapshot.files.len() >= 8 && files.into_iter().all(|file| members::wrote(&file)));
}

fn check_whole_months(rewriter: fn(&Lake) -> Arc<dyn Rewriter>) -> Loads {
    deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            let rewriter = rewriter(&loads.lake);
            let rewriter = rewriter.as_ref();
            // three months of four-day files, two of which lie over the edge of a month, and a late one that has all months
            for day in 0..23 {
                assert!(matches!(loads.load(day as u64, day * 4, 4, 60).await, Status::Loaded));
            }
            loads.load(90, 0, 92, 200).await;
            let (before, answers) = (loads.hits().await, loads.answers().await);
            check_files(&loads, &before);

            let done = loads.compact_by(1, rewriter).await;
            let after = loads.hits().await;
            assert_eq!((done.before.rows, done.after.rows), (23 * 60 + 200, 23 * 60 + 200));
            assert_eq!((done.after.files, done.postponed), (after.files.len() as u64, 0));
            assert_eq!(after.version, before.version.map(|v| v + 1), "one commit");
            assert_eq!(after.schema, before.schema);
            for (bucket, mut months) in check_files(&loads, &after) {
                months.sort();
                assert_eq!(months.len(), 3, "bucket {bucket}: {months:?}");
                assert!(months.iter().all(|(first, last)| first == last), "bucket {bucket}: {months:?}");
                assert!(months.windows(2).all(|pair| pair[0].1 < pair[1].0), "bucket {bucket}: {months:?}");
            }
            assert_eq!(loads.answers().await, answers);
            assert_eq!(after.contents().unwrap(), before.contents().unwrap());
            assert_eq!(loads.garbage(), Vec::<String>::new());

            // nothing to do: no version; small months share a file as soon as they may
            assert_eq!(loads.compact_by(1, rewriter).await.merged, 0);
            assert_eq!(loads.hits().await.version, after.version);
            loads.compact_by(1_000_000, rewriter).await;
            let shared = loads.hits().await;
            assert!(check_files(&loads, &shared).values().all(|months| months.len() == 1));
            assert_eq!(loads.answers().await, answers);

            // a load more: only its months are written again
            assert_eq!(loads.compact_by(1, rewriter).await.merged, 0, "a lone file is not cut");
            loads.load(91, 40, 2, 30).await;
            assert_ne!(loads.hits().await.contents().unwrap(), before.contents().unwrap());
            let done = loads.compact_by(1_000_000, rewriter).await;
            assert!(done.merged > 0 && done.after.files == shared.files.len() as u64, "{done:?}");
            loads
        })
    })
}

/// One file after the other.
static ONE: Limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };

/// Files that are cut together are a step of their own.
const STEPS: CompactionOptions =
    CompactionOptions { if_worth: false, shared_rows: 1, step_bytes: 1, part_bytes: u64::MAX };

/// Four loads, whose rows lie over two months in every bucket that has some; so many buckets there are.
async fn loads_of_two_months() -> (Loads, u64) {
    let loads = Loads::new().await;
    for number in 0..4 {
        loads.load(number, 0, 40, 2000).await;
    }
    let files = loads.hits().await.files;
    let buckets: BTreeSet<&String> = files.iter().map(|file| &file.tags[TAG_BUCKET]).collect();
    assert!(buckets.len() > 2 && files.len() == 4 * buckets.len());
    let buckets = buckets.len() as u64;
    (loads, buckets)
}

#[test]
fn much_is_committed_in_steps() {
    deep(|runtime| {
        runtime.block_on(async {
            let (loads, buckets) = loads_of_two_months().await;
            let settings = EngineSettings::default();
            rebuild(&loads.lake, &settings, &RebuildOptions::default(), &|_| {}).await.unwrap();
            let (before, answers) = (loads.hits().await, loads.answers().await);
            let told = Mutex::new(vec![]);
            let tell = |table: &str, done: u64, total: u64| {
                if table == "hits" {
                    told.lock().unwrap().push((done, total));
                }
            };
            let done = compact(&loads.lake, &STEPS, &ONE, &tell).await.unwrap().remove(0);
            let after = loads.hits().await;
            // all files of a bucket lie over two months, so that they change together
            assert_eq!(after.version, before.version.map(|version| version + buckets), "a commit a bucket");
            assert_eq!((done.merged, done.written, done.postponed), (4 * buckets, 2 * buckets, 0));
            assert_eq!((done.after.files, done.after.rows), (2 * buckets, 8000));
            let told = told.into_inner().unwrap();
            assert!(told.len() as u64 == 2 * buckets && told.is_sorted(), "{told:?}");
            // each file goes into two
            assert_eq!(told.last(), Some(&(2 * done.before.bytes, 2 * done.before.bytes)));
            check_files(&loads, &after);
            assert_eq!(loads.answers().await, answers);
            assert!(!is_stale(&loads.lake).await.unwrap(), "the last rebuild names each version as it comes");
            assert_eq!(loads.garbage(), Vec::<String>::new());
        });
    });
}

/// Files that share no month stay; each of more than twice this size is cut.
const PARTS: CompactionOptions =
    CompactionOptions { if_worth: false, shared_rows: 1, step_bytes: u64::MAX, part_bytes: 16_000 };

#[test]
fn large_files_are_cut_into_parts() {
    deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            for number in 0..4 {
                loads.load(number, 0, 40, 10_000).await;
            }
            let (before, answers) = (loads.hits().await, loads.answers().await);
            let compacted = async |options: &CompactionOptions| {
                compact(&loads.lake, options, &ONE, &|_, _, _| {}).await.unwrap().remove(0)
            };
            let done = compacted(&PARTS).await;
            let after = loads.hits().await;
            let parts = |snapshot: &Snapshot| snapshot.files.iter().filter(|f| f.tags.contains_key(TAG_PART)).count();
            assert!(parts(&after) > before.files.len() / 2 && done.after.rows == 40_000, "{done:?}");
            check_files(&loads, &after);
            assert_eq!(loads.answers().await, answers);
            assert_eq!(after.contents().unwrap(), before.contents().unwrap());
            // they are as they should be, also where only what is worth its work is done
            assert_eq!(compacted(&PARTS).await.merged, 0);
            assert_eq!(compacted(&CompactionOptions { if_worth: true, ..PARTS }).await.merged, 0);
            assert_eq!(loads.hits().await.version, after.version);

            // a load more is merged with the parts whose keys it has, and one that goes leaves them
            loads.load(7, 10, 2, 300).await;
            let with_one_more = loads.answers().await;
            compacted(&PARTS).await;
            let more = loads.hits().await;
            check_files(&loads, &more);
            assert!(parts(&more) > before.files.len() / 2, "{:?}", more.files);
            assert_eq!(loads.answers().await, with_one_more);
            remove(&loads.lake, &["007.ndjson".to_string()], None, None).await.unwrap();
            check_files(&loads, &loads.hits().await);
            assert_eq!(loads.answers().await, answers);

            // a smaller size cuts them again, a larger one leaves them until they are merged
            let smaller = CompactionOptions { part_bytes: 4_000, ..PARTS };
            assert!(compacted(&smaller).await.written > 0);
            check_files(&loads, &loads.hits().await);
            assert_eq!(loads.answers().await, answers);
            assert_eq!(compacted(&smaller).await.merged, 0);
            let larger = CompactionOptions { part_bytes: u64::MAX, ..PARTS };
            assert_eq!(compacted(&larger).await.merged, 0);
            compacted(&CompactionOptions { shared_rows: 1_000_000, ..larger }).await;
            let whole = loads.hits().await;
            assert_eq!((parts(&whole), whole.contents().unwrap()), (0, before.contents().unwrap()));
            check_files(&loads, &whole);
            assert_eq!(loads.answers().await, answers);
            assert_eq!(loads.garbage(), Vec::<String>::new());
        });
    });
}

/// Writes files one after the other; behind so many of them a load is removed, or, where none is named, the disk is full.
struct Disturbed<'l> {
    behind: usize,
    removed: Option<&'l str>,
}

impl Rewriter for Disturbed<'_> {
    fn rewriting<'a>(
        &'a self,
        lake: &'a Lake,
        snapshot: &'a Snapshot,
        jobs: Vec<Job>,
    ) -> BoxStream<'a, rejoin::Result<Rewritten>> {
        let files = ONE.rewriting(lake, snapshot, jobs);
        let Some(name) = self.removed else {
            let full = stream::once(async { Err(rejoin::Error::unavailable("the disk is full")) });
            return files.take(self.behind).chain(full).boxed();
        };
        let given = files.enumerate().then(move |(number, file)| async move {
            if number == self.behind {
                remove(lake, &[name.to_string()], None, None).await?;
            }
            file
        });
        given.boxed()
    }
}

#[test]
fn a_step_is_lost_without_the_others() {
    deep(|runtime| {
        runtime.block_on(async {
            let (loads, buckets) = loads_of_two_months().await;
            // in one bucket
            loads.load(4, 20, 1, 1).await;
            let before = loads.hits().await;
            let disturbed = Disturbed { behind: 1, removed: Some("004.ndjson") };
            let done = compact(&loads.lake, &STEPS, &disturbed, &|_, _, _| {}).await.unwrap().remove(0);
            let after = loads.hits().await;
            let others = buckets - 1;
            assert_eq!((done.merged, done.written, done.postponed), (4 * others, 2 * others, 5));
            assert_eq!((after.files.len() as u64, done.after.rows), (2 * others + 4, 8000));
            assert_eq!(after.version, before.version.map(|version| version + 1 + others), "the removal and the others");
            check_files(&loads, &after);
            assert_eq!(loads.garbage(), Vec::<String>::new());
            // the next one takes what is left
            let done = compact(&loads.lake, &STEPS, &ONE, &|_, _, _| {}).await.unwrap().remove(0);
            assert_eq!((done.merged, done.written, done.postponed), (4, 2, 0));
            check_files(&loads, &loads.hits().await);
            assert_eq!(loads.garbage(), Vec::<String>::new());
        });
    });
}

#[test]
fn what_was_committed_stays_when_the_rest_fails() {
    deep(|runtime| {
        runtime.block_on(async {
            let (loads, buckets) = loads_of_two_months().await;
            let (before, answers) = (loads.hits().await, loads.answers().await);
            // one bucket is whole, of another one a month
            let disturbed = Disturbed { behind: 3, removed: None };
            let error = compact(&loads.lake, &STEPS, &disturbed, &|_, _, _| {}).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            let after = loads.hits().await;
            assert_eq!(after.version, before.version.map(|version| version + 1));
            assert_eq!(after.files.len() as u64, 4 * buckets - 4 + 2);
            check_files(&loads, &after);
            assert_eq!(loads.answers().await, answers);
            assert_eq!(loads.garbage(), Vec::<String>::new());
            let done = compact(&loads.lake, &STEPS, &ONE, &|_, _, _| {}).await.unwrap().remove(0);
            assert_eq!((done.merged, done.after.files), (4 * buckets - 4, 2 * buckets));
            assert_eq!(loads.answers().await, answers);
        });
    });
}

/// Records of the visitor v1, whose hits bear the transactions T0 to T19; a table of the user's own reads their rows.
fn place_with_records() -> Place {
    let place = Place::new();
    place.write("queries/daily.sql", "SELECT sum(event1) AS calls FROM events");
    place.sh(
        r#"
rejoin suite create web
rejoin source create web leads --kind transaction
{ echo "visitor  time  page_name  transaction_id"; for n in $(seq 0 19); do echo "v1  2026-09-01T10:00:$((n + 10))  home  T$n"; done; } | online a
for n in $(seq 0 19); do printf 'Date  transactionID  Event 1\n09/20/2026  T%s  1\n' $n | offline record$n; done
"#,
    );
    place
}

/// What hangs on integrated rows.
fn integrated_rows(place: &Place) -> Vec<serde_json::Value> {
    let questions = [
        "SELECT * FROM events ORDER BY event_id",
        "SELECT * FROM snapshots ORDER BY transaction_id",
        "SELECT item, credit FROM participation('event1', 'page_name') ORDER BY 1",
    ];
    questions.map(|sql| place.query(sql)).to_vec()
}

#[test]
fn integrated_rows_are_compacted_too() {
    let place = place_with_records();
    place.sh("for n in 0 1 2 3; do
           rejoin ingest record$n.txt --suite web --source leads
           rejoin rebuild --no-compact --queries queries
         done");
    let versions = || {
        deep(|runtime| {
            runtime.block_on(async {
                let snapshot = Snapshot::open(&place.open_lake(), "integrated", None).await.unwrap();
                (snapshot.version, snapshot.files.len())
            })
        })
    };
    let (then, rows) = (versions(), integrated_rows(&place));
    assert_eq!(then.1, 4, "a generation a rebuild");
    let done: serde_json::Value = serde_json::from_str(&place.rejoin("compact --json").ok().stdout).unwrap();
    let tables: Vec<&str> = done.as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(tables, ["hits", "offline", "integrated", "snapshots"]);
    assert!(done[2]["merged"] == 4 && done[2]["written"] == 1, "{done}");
    let now = versions();
    assert_eq!(now, (then.0.map(|version| version + 1), 1));
    assert_eq!(integrated_rows(&place), rows);
    // nothing is stale, the own table least of all
    assert!(place.rejoin("rebuild --queries queries").ok().stdout.contains("nothing is stale"));

    // as if the compaction had ended before the rebuild named its version
    deep(|runtime| {
        runtime.block_on(async {
            Registry::<Rebuild>::update(&place.open_lake(), |rows| {
                let last = rows.iter_mut().max_by_key(|row| row.rebuild).unwrap();
                let mut versions: serde_json::Value = serde_json::from_str(&last.versions).unwrap();
                versions["integrated"] = then.0.into();
                last.versions = versions.to_string();
                Ok(())
            })
            .await
            .unwrap();
        });
    });
    assert!(place.rejoin("rebuild --queries queries").ok().stdout.contains("nothing is stale"));
    place.sh("rejoin ingest record4.txt --suite web --source leads; rejoin rebuild --no-compact --queries queries");
    let scope = place.cell("SELECT scope FROM rebuilds ORDER BY rebuild DESC LIMIT 1");
    assert_eq!(scope, "changed", "what was compacted is what the rebuild left");
    let rows = integrated_rows(&place);
    place.sh("rejoin rebuild --full --no-compact --queries queries");
    assert_eq!(integrated_rows(&place), rows);
    assert_eq!(place.cell("SELECT calls FROM daily"), 5.0);
}

/// A compaction that comes in between makes no rebuild begin again.
#[test]
fn rebuilds_and_compactions_do_not_disturb_each_other() {
    let place = place_with_records();
    deep(|runtime| {
        runtime.block_on(async {
            let lake = place.open_lake();
            let writing = AtomicBool::new(true);
            let build = async {
                for number in 0..20 {
                    let options = IngestOptions {
                        suite: Some("web".into()),
                        source: Some("leads".into()),
                        ..IngestOptions::default()
                    };
                    let path = place.path().join(format!("record{number}.txt"));
                    ingest(&lake, &[path], &options, &|_| {}).await.unwrap();
                    rebuild(&lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
                }
                writing.store(false, Ordering::Relaxed);
            };
            let merge = async {
                let mut merged = 0;
                while writing.load(Ordering::Relaxed) {
                    match compact(&lake, &CompactionOptions::default(), &SMALL, &|_, _, _| {}).await {
                        Ok(done) => merged += done[2].merged,
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                    tokio::task::yield_now().await;
                }
                merged
            };
            let ((), merged) = tokio::join!(build, merge);
            assert!(merged > 0, "no compaction met a rebuild");
        });
    });
    let rows = integrated_rows(&place);
    assert_eq!(place.cell("SELECT sum(event1) FROM events"), 20.0);
    place.sh("rejoin rebuild --full --no-compact");
    assert_eq!(integrated_rows(&place), rows);
}

#[test]
fn rebuilds_compact_where_it_is_worth_it() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    let load = |from: usize, to: usize| {
        for number in from..to {
            place.write(
                &format!("{number}.ndjson"),
                format!(
                    "{{\"visitor\":\"v\",\"time\":\"2026-09-01T10:00:{number:02}Z\",\"page\":\"p\",\"orders\":1}}\n"
                ),
            );
        }
        place.write("web.toml", MAPPING);
        // what comes together lies in the same files
        place.sh("for file in *.ndjson; do rejoin ingest --mapping web.toml $file; done");
    };
    load(10, 13);
    let few = place.rejoin("rebuild").ok().stdout;
    assert!(!few.contains("compacted"), "three files are few: {few}");
    load(13, 14);
    assert!(!place.rejoin("rebuild --full --no-compact").ok().stdout.contains("compacted"));
    let done = place.rejoin("rebuild --full").ok().stdout;
    assert!(done.contains("compacted hits: 4 files of") && done.contains("became 1 files of"), "{done}");
    assert!(place.rejoin("rebuild").ok().stdout.contains("nothing is stale"));
    // one by one: the rows of three are a quarter of all, those of one or two are not
    for (number, compacted) in [(14, false), (15, false), (16, true), (17, false)] {
        load(number, number + 1);
        let done = place.rejoin("rebuild").ok().stdout;
        assert_eq!(done.contains("compacted hits: 4 files of"), compacted, "{number}: {done}");
    }
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 8);
}

#[test]
fn a_reader_of_the_former_version_goes_on() {
    deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            for number in 0..6 {
                loads.load(number, 0, 20, 500).await;
            }
            let settings = EngineSettings { batch_size: Some(64), ..EngineSettings::default() };
            let engine = Engine::open(loads.lake.clone(), settings).await.unwrap();
            let mut running = engine.run("SELECT visitor_id, hit_time, orders FROM hits").await.unwrap();
            let first = running.rows.try_next().await.unwrap().unwrap().num_rows();
            assert!(loads.compact(1_000_000, SMALL).await.merged > 0);
            let rest: Vec<_> = running.rows.try_collect().await.unwrap();
            assert_eq!(first + rest.iter().map(|b| b.num_rows()).sum::<usize>(), 3000);
            // the same engine sees the new files with its next statement
            assert_eq!(table::rows(&engine, "SELECT count(*) FROM hits").await.unwrap().1, [["3000"]]);
        });
    });
}

/// However often files are merged, by this process or by another one: the footers that sessions keep are those of files that
/// are there.
#[test]
fn footers_go_with_their_files() {
    deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            let mut sessions = vec![];
            for lake in [loads.lake.clone(), Lake::open(&loads.place.lake().to_string_lossy()).unwrap()] {
                let shared = session_runtime(64 << 20).unwrap();
                let settings = EngineSettings { runtime: Some(shared.clone()), ..EngineSettings::default() };
                let footers = shared.cache_manager.get_file_metadata_cache();
                sessions.push((Engine::open(lake, settings).await.unwrap(), footers));
            }
            let (mut merged, mut number) = (0, 0);
            for round in 0..6 {
                for _ in 0..3 {
                    loads.load(number, 0, 20, 100).await;
                    number += 1;
                }
                // with the files that are merged then
                for merges in [false, true] {
                    if merges {
                        merged += loads.compact(1_000_000, SMALL).await.merged;
                    }
                    let live: BTreeSet<String> =
                        loads.hits().await.files.iter().map(|file| file.path.to_string()).collect();
                    for (engine, footers) in &sessions {
                        for sql in [
                            "SELECT sum(orders) FROM hits",
                            "SELECT item, credit FROM participation('orders', 'page_name', 'visit')",
                        ] {
                            table::rows(engine, sql).await.unwrap();
                        }
                        let kept = footers.list_entries().into_keys().map(|file| file.to_string());
                        let kept: BTreeSet<String> = kept.filter(|file| file.contains("/hits/")).collect();
                        assert_eq!(kept, live, "{round}");
                    }
                }
            }
            assert!(merged > 0);
        });
    });
}

/// Loads, removals and compactions at once: every row is there once, every load is known, no file is left over.
#[test]
fn compaction_and_loads_do_not_disturb_each_other() {
    deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            for number in 0..4 {
                loads.load(number, 0, 40, 50).await;
            }
            let writing = AtomicBool::new(true);
            let write = async {
                for number in 4..16 {
                    assert!(matches!(loads.load(number, (number as i64) * 3, 3, 50).await, Status::Loaded));
                    if number % 3 == 0 {
                        let name = format!("{:03}.ndjson", number - 4);
                        remove(&loads.lake, &[name], None, None).await.unwrap();
                    }
                }
                writing.store(false, Ordering::Relaxed);
            };
            let merge = async {
                let mut merged = 0;
                while writing.load(Ordering::Relaxed) {
                    let options = CompactionOptions::default();
                    match compact(&loads.lake, &options, &SMALL, &|_, _, _| {}).await {
                        Ok(done) => merged += done[0].merged,
                        // a removal was faster
                        Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                    }
                    tokio::task::yield_now().await;
                }
                merged
            };
            let ((), merged) = tokio::join!(write, merge);
            assert!(merged > 0, "no compaction met a load");
            let removed = [2, 5, 8, 11];
            let expected: Vec<Vec<String>> = (0..16)
                .filter(|n| !removed.contains(n))
                .map(|n| vec![format!("{n:03}.ndjson"), "50".to_string(), "50".to_string()])
                .collect();
            let engine = Engine::open(loads.lake.clone(), EngineSettings::default()).await.unwrap();
            let by_file = "SELECT file, count(*), sum(orders) FROM hits GROUP BY 1 ORDER BY 1";
            assert_eq!(table::rows(&engine, by_file).await.unwrap().1, expected);
            loads.compact(1_000_000, SMALL).await;
            assert_eq!(table::rows(&engine, by_file).await.unwrap().1, expected);
            check_files(&loads, &loads.hits().await);
            assert!(matches!(loads.load(4, 12, 3, 50).await, Status::Unchanged));
            assert!(matches!(loads.load(5, 15, 3, 50).await, Status::Loaded));
            assert_eq!(loads.garbage(), Vec::<String>::new());
        });
    });
}
