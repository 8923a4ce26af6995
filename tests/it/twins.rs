//! Visitors that are hard to tell apart or to hold: two with one 64-bit key, one with very many hits.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::prelude::{ident, lit};
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::expunge::expunge;
use rejoin::lake::layout::{TAG_LOADS, TAG_SUITE, TAG_VISITS};
use rejoin::lake::loads::{LoadPart, tag_of};
use rejoin::lake::rewrite::Limits;
use rejoin::lake::suites::{SuiteChanges, create_suite};
use rejoin::lake::write::{SortedWriter, sort_context};
use rejoin::lake::{Change, Lake, Snapshot};

use crate::place::{Place, deep};
use crate::slt::read_journeys;
use crate::table;

/// A hit as the lake stores it: key, visitor, second, campaign, orders.
pub type Stored = (i64, String, i64, Option<&'static str>, f64);

fn batch(hits: &[Stored]) -> RecordBatch {
    let texts = |text: &dyn Fn(&Stored) -> Option<String>| -> ArrayRef {
        Arc::new(hits.iter().map(text).collect::<StringArray>())
    };
    let seqs = Decimal128Array::from_iter_values(0..hits.len() as i128).with_precision_and_scale(38, 0).unwrap();
    let times = TimestampMicrosecondArray::from_iter_values(hits.iter().map(|h| h.2 * 1_000_000)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("suite", texts(&|_| Some("web".into())), false),
        ("visitor_key", Arc::new(Int64Array::from_iter_values(hits.iter().map(|h| h.0))), false),
        ("visitor_id", texts(&|h| Some(h.1.clone())), true),
        ("hit_time", Arc::new(times), false),
        ("hit_seq", Arc::new(seqs), false),
        ("file", texts(&|_| Some("hits".into())), false),
        ("tracking_code", texts(&|h| h.3.map(str::to_string)), true),
        ("orders", Arc::new(Float64Array::from_iter_values(hits.iter().map(|h| h.4))), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// A lake with one load a slice of hits.
pub async fn lake_of(place: &Place, loads: &[Vec<Stored>]) -> Lake {
    let lake = Lake::open(&place.lake().to_string_lossy()).unwrap();
    create_suite(&lake, "web", &SuiteChanges::default()).await.unwrap();
    for hits in loads {
        load(&lake, hits).await;
    }
    lake
}

/// One more load of hits.
async fn load(lake: &Lake, hits: &[Stored]) {
    load_with(lake, hits, &[]).await;
}

/// One more load of hits, with further tags.
async fn load_with(lake: &Lake, hits: &[Stored], tags: &[(&str, String)]) {
    let own = [(TAG_SUITE, "web".to_string()), (TAG_VISITS, "computed".to_string())];
    let tags: HashMap<String, String> = own.iter().chain(tags).map(|(k, v)| (k.to_string(), v.clone())).collect();
    let context = sort_context(64 << 20).unwrap();
    let first = batch(&hits[..1]);
    let mut writer = SortedWriter::start(lake, "hits", first.schema(), tags, context).unwrap();
    for part in hits.chunks(8192) {
        writer.push(batch(part)).await.unwrap();
    }
    let written = writer.finish().await.unwrap();
    let snapshot = Snapshot::open(lake, "hits", None).await.unwrap();
    let change = Change { add: written.files, columns: written.columns, ..Change::default() };
    snapshot.commit(lake, change).await.unwrap();
}

async fn credit(lake: &Lake, threads: usize, memory_bytes: usize, sql: &str) -> Vec<Vec<String>> {
    let settings = EngineSettings { threads: Some(threads), memory_bytes, ..EngineSettings::default() };
    let engine = Engine::open(lake.clone(), settings).await.unwrap();
    read_journeys(&engine, threads).await.unwrap();
    table::rows(&engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).1
}

#[test]
fn two_visitors_with_one_key_stay_two() {
    let hit = |id: &str, second, campaign, orders| (42, id.to_string(), second, campaign, orders);
    // at the same times, in one file and in two
    let one = vec![hit("ann", 1, Some("a"), 0.0), hit("bob", 2, Some("b"), 0.0)];
    let two = vec![hit("ann", 3, None, 1.0), hit("bob", 3, None, 10.0), hit("cem", 3, None, 100.0)];
    let expected = [["a", "1"], ["b", "10"], ["NULL", "100"]];
    deep(|runtime| {
        runtime.block_on(async {
            for loads in [vec![one.clone(), two.clone()], vec![[one.clone(), two.clone()].concat()]] {
                let place = Place::new();
                let lake = lake_of(&place, &loads).await;
                for threads in [1, 2] {
                    let sql = "SELECT item, credit FROM participation('orders', 'tracking_code') ORDER BY credit";
                    assert_eq!(credit(&lake, threads, 1 << 30, sql).await, expected, "{threads} threads");
                }
            }
        });
    });
}

/// Many visitors with hits in three loads, at most `sharing` of them with one key.
fn crowd(sharing: i64) -> Vec<Vec<Stored>> {
    let mut state = 1_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below) as i64
    };
    let mut hit = |second| {
        let (visitor, orders) = (random(200), f64::from(u8::from(random(12) == 0)));
        // all over the buckets
        let key = (visitor / sharing).wrapping_mul(0x1E37_79B9_7F4A_7C15);
        (key, format!("v{visitor}"), second, [None, Some("a"), Some("b"), Some("c")][random(4) as usize], orders)
    };
    (0..3).map(|load| (0..900).map(|n| hit(load * 1000 + n)).collect()).collect()
}

/// Asks everything twice, at small and large batches, and compares with the SQL of `events`.
async fn agrees(lake: &Lake) {
    let mut questions = ["'visitor', 'all'", "'visit', 'all'", "'visitor', '20 minutes'"]
        .map(|reach| {
            format!("SELECT item, credit FROM participation('orders', 'tracking_code', {reach}) ORDER BY item")
        })
        .to_vec();
    let touches = "models => 'first_touch,last_touch,same_touch', lookback => 'all'";
    questions.push(format!("SELECT * FROM attribution('orders', 'tracking_code', {touches}) ORDER BY item"));
    for sql in &questions {
        let expected = credit(lake, 2, 1 << 30, sql).await;
        assert!(expected.len() >= 3, "{expected:?}");
        for batch_size in [3, 8192] {
            let settings = EngineSettings { batch_size: Some(batch_size), threads: Some(1), ..Default::default() };
            let engine = Engine::open(lake.clone(), settings).await.unwrap();
            for time in ["first", "second"] {
                let place = format!("{sql}, {time} time, batches of {batch_size}");
                assert_eq!(table::rows(&engine, sql).await.unwrap().1, expected, "{place}");
            }
        }
    }
}

/// True when a question would read a column.
async fn reads(lake: &Lake, column: &str, question: &str) -> bool {
    let plan = credit(lake, 1, 1 << 30, &format!("EXPLAIN SELECT * FROM {question}")).await.concat().concat();
    assert!(plan.contains("projection=[visitor_key, "), "{plan}");
    plan.contains(column)
}

/// True when a question would read the ids of visitors.
async fn reads_ids(lake: &Lake) -> bool {
    reads(lake, "visitor_id", "participation('orders', 'tracking_code', lookback => 'all')").await
}

#[test]
fn ids_are_not_read_again_where_keys_tell_visitors_apart() {
    deep(|runtime| {
        runtime.block_on(async {
            let (apart, shared) = (crowd(1), crowd(2));
            let place = Place::new();
            let lake = lake_of(&place, &apart).await;
            assert!(reads_ids(&lake).await);
            agrees(&lake).await;
            assert!(!reads_ids(&lake).await);
            // another lake handle knows nothing
            assert!(reads_ids(&Lake::open(&place.lake().to_string_lossy()).unwrap()).await);
            // a stranger with somebody's key, in a load of his own
            let of_another = (apart[0][0].0, "stranger".to_string(), 1500, Some("d"), 5.0);
            load(&lake, &[of_another]).await;
            assert!(reads_ids(&lake).await);
            agrees(&lake).await;
            assert!(reads_ids(&lake).await);

            let place = Place::new();
            let lake = lake_of(&place, &shared).await;
            agrees(&lake).await;
            assert!(reads_ids(&lake).await);
        });
    });
}

#[test]
fn walks_over_all_ranges_of_a_bucket_tell_of_it() {
    deep(|runtime| {
        runtime.block_on(async {
            for (sharing, told) in [(1, true), (2, false)] {
                let place = Place::new();
                let lake = lake_of(&place, &crowd(sharing)).await;
                let settings = EngineSettings { threads: Some(2), ..EngineSettings::default() };
                let engine = Engine::open(lake.clone(), settings).await.unwrap();
                engine.collect("SET rejoin.ranges = 64").await.unwrap();
                assert!(reads_ids(&lake).await);
                let sql = "SELECT item, credit FROM participation('orders', 'tracking_code', lookback => 'all')";
                assert!(!table::rows(&engine, sql).await.unwrap().1.is_empty());
                assert_eq!(!reads_ids(&lake).await, told, "{sharing} visitors a key");
            }
        });
    });
}

#[test]
fn files_say_themselves_that_keys_tell_visitors_apart() {
    const LIMITS: Limits = Limits { memory_bytes: 64 << 20, threads: Some(1) };
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = lake_of(&place, &[]).await;
            let part = LoadPart { file: "hits".into(), content: "1".into(), rows: None };
            let named = [(TAG_LOADS, tag_of(&[part]))];
            let merge = async || {
                let done = compact(&lake, &CompactionOptions::default(), &LIMITS, &|_, _, _| {}).await.unwrap();
                assert!(done[0].merged > 0, "{done:?}");
            };
            // asked by somebody who has seen nothing
            let stranger = || Lake::open(&place.lake().to_string_lossy()).unwrap();
            load_with(&lake, &crowd(1).concat(), &named).await;
            assert!(!reads_ids(&stranger()).await);
            agrees(&stranger()).await;
            // of two files of a bucket nobody knows, until they are one
            load_with(&lake, &crowd(1)[1], &named).await;
            assert!(reads_ids(&stranger()).await);
            merge().await;
            assert!(!reads_ids(&stranger()).await);
            agrees(&stranger()).await;
            // one with somebody's key, of whom nothing is wrong in a file of his own
            let of_another = (crowd(1)[0][0].0, "another".to_string(), 1500, Some("d"), 5.0);
            load_with(&lake, &[of_another], &named).await;
            assert!(reads_ids(&stranger()).await);
            merge().await;
            assert!(reads_ids(&stranger()).await);
            agrees(&stranger()).await;
            // and is erased
            expunge(&lake, "hits", &[ident("tracking_code").eq(lit("d"))], &LIMITS).await.unwrap();
            assert!(!reads_ids(&stranger()).await);
            agrees(&stranger()).await;
            // two that share a key, in one file from the beginning
            let place = Place::new();
            let lake = lake_of(&place, &[crowd(2).concat()]).await;
            assert!(reads_ids(&lake).await);
            agrees(&lake).await;
            assert!(reads_ids(&lake).await);
        });
    });
}

/// For each scan of a question, those of hits before those of integrated rows: true where it reads the ids of visitors.
fn scans_of_ids(place: &Place) -> Vec<bool> {
    const QUESTION: &str = "EXPLAIN SELECT * FROM participation('event1', 'page_name', lookback => 'all')";
    deep(|runtime| {
        runtime.block_on(async {
            let plan = credit(&place.open_lake(), 1, 1 << 30, QUESTION).await.concat().concat();
            plan.split("projection=[visitor_key, ").skip(1).map(|scan| scan.starts_with("visitor_id")).collect()
        })
    })
}

/// Records have the visitors of hits. A rebuild and a compaction, which write their files, see that no key is of two.
#[test]
fn hits_and_records_say_together_that_keys_tell_visitors_apart() {
    let place = Place::new();
    place.sh(r#"
rejoin suite create web
rejoin source create web leads --kind transaction
online a <<END
visitor  time              page_name  transaction_id
v1       2026-09-01 10:00  home       T1
v2       2026-09-01 10:10  cart       T2
v3       2026-09-01 10:20  cart       T3
END
offline one <<END
Date        transactionID  Event 1
09/20/2026  T1             100
09/21/2026  T2             10
09/21/2026  T9             1
END
rejoin ingest one.txt --suite web --source leads
rejoin rebuild --no-compact
"#);
    let answer = || place.query("SELECT item, credit FROM participation('event1', 'page_name') ORDER BY 1");
    assert_eq!(scans_of_ids(&place), [false, true]);
    let before = answer();
    place.sh(r#"
offline two <<END
Date        transactionID  Event 1
09/22/2026  T3             1000
END
rejoin ingest two.txt --suite web --source leads
rejoin rebuild --no-compact
"#);
    let (scans, after) = (scans_of_ids(&place), answer());
    assert!(!scans[0] && scans[1..].iter().all(|reads| *reads), "{scans:?}");
    assert_ne!(after, before);
    // a load more
    place.sh(r#"
online b <<END
visitor  time              page_name  transaction_id
v1       2026-08-01 10:00  blog       .
v2       2026-08-01 10:10  blog       .
v3       2026-08-01 10:20  blog       .
END
rejoin rebuild --no-compact
"#);
    let scans = scans_of_ids(&place);
    assert!(scans.len() > 2 && scans.iter().all(|reads| *reads), "{scans:?}");
    let after = answer();
    place.sh("rejoin compact");
    assert_eq!(scans_of_ids(&place), [false, true]);
    assert_eq!(answer(), after);
    // what is left of files says it again
    place.sh("rejoin forget --visitor v3 --yes");
    assert_eq!(scans_of_ids(&place), [false, true]);
}

#[test]
fn times_are_read_where_they_count() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = lake_of(&place, &[crowd(1).concat()]).await;
            agrees(&lake).await;
            for (question, counts) in [
                ("participation('orders', 'tracking_code', 'visitor', 'all')", false),
                ("attribution('orders', 'tracking_code', 'linear', 'visitor', 'all')", false),
                ("attribution('orders', 'tracking_code', 'time_decay', 'visitor', 'all')", true),
                ("participation('orders', 'tracking_code', 'visitor', '1 day')", true),
                ("participation('orders', 'tracking_code', lookback => 'all', since => '1970-01-01')", true),
                // visits that are computed from times
                ("participation('orders', 'tracking_code', 'visit')", true),
            ] {
                assert_eq!(reads(&lake, "hit_time", question).await, counts, "{question}");
            }
            // of two files only times tell what comes first
            load(&lake, &crowd(1)[1]).await;
            assert!(reads(&lake, "hit_time", "participation('orders', 'tracking_code', lookback => 'all')").await);
            agrees(&lake).await;
        });
    });
}

#[test]
fn a_robot_of_very_many_hits_is_a_visitor_like_any_other() {
    const HITS: i64 = 150_000;
    let campaign = |n: i64| (n % 3 == 0).then_some(["a", "b", "c", "d", "e"][n as usize % 5]);
    let hit = |n: i64| (7, "robot".to_string(), n, campaign(n), f64::from(u8::from(n % 50 == 49)));
    // every other hit in another load: the two are joined row by row
    let loads: Vec<Vec<Stored>> = (0..2).map(|load| (0..HITS).filter(|n| n % 2 == load).map(hit).collect()).collect();
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = lake_of(&place, &loads).await;
            let sql =
                "SELECT sum(credit), count(*) FROM attribution('orders', 'tracking_code', 'linear', lookback => 'all')";
            for threads in [1, 2] {
                let rows = credit(&lake, threads, 64 << 20, sql).await;
                let sum: f64 = rows[0][0].parse().unwrap();
                assert!((sum - (HITS / 50) as f64).abs() < 1e-6 && rows[0][1] == "5", "{rows:?}");
            }
        });
    });
}
