//! Ranges of keys: into however many a table is cut, answers and the tables of a rebuild are the same.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use futures::TryStreamExt;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::layout::{BUCKETS, TAG_PART, TAG_SUITE, TAG_VISITS};
use rejoin::lake::rewrite::Limits;
use rejoin::lake::write::{SortedWriter, sort_context};
use rejoin::lake::{Change, Lake, Snapshot};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{Hit, Journeys, Loaded};
use crate::place::{Place, deep};
use crate::plans::{QUERIES, small_world};
use crate::table;
use crate::twins::lake_of;

const LIMITS: Limits = Limits { memory_bytes: 64 << 20, threads: Some(2) };

/// The small world with more visitors who do as those do, but for IDs.
fn many_visitors() -> Journeys {
    let mut world = small_world();
    let hits = world.hits.clone();
    for more in 1..20 {
        let like = |hit: Hit| Hit { visitor: hit.visitor + 4 * more, ids: vec![], customer: None, ..hit };
        world.hits.extend(hits.iter().cloned().map(like));
    }
    world
}

/// The answers to all questions, each in an order of its own; with two threads through the SQL of `events`.
async fn answers(loaded: &Loaded, ranges: usize, threads: usize) -> Vec<Vec<Vec<String>>> {
    let engine = loaded.engine(8192, threads).await;
    engine.collect(&format!("SET rejoin.ranges = {ranges}")).await.unwrap();
    let mut answers = vec![];
    for (_, sql) in QUERIES {
        let mut rows = table::rows(&engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).1;
        rows.sort();
        answers.push(rows);
    }
    answers
}

/// Equal texts, and numbers that are equal to 1e-9: sums of doubles hang on their order.
fn same(one: &str, other: &str) -> bool {
    let near = |(one, other): (f64, f64)| (one - other).abs() <= 1e-9 * one.abs().max(1.0);
    one == other || one.parse().ok().zip(other.parse().ok()).is_some_and(near)
}

#[test]
fn answers_are_the_same_in_any_number_of_ranges() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let expected = answers(&loaded, 8, 1).await;
            for (ranges, threads) in [(1, 1), (1, 2), (2, 2), (3, 1), (3, 4), (16, 1), (16, 2), (64, 1), (64, 4)] {
                are_same(&answers(&loaded, ranges, threads).await, &expected, ranges);
            }
        });
    });
}

fn are_same(found: &[Vec<Vec<String>>], expected: &[Vec<Vec<String>>], ranges: usize) {
    for (((name, sql), found), expected) in QUERIES.iter().zip(found).zip(expected) {
        let mut cells = found.iter().flatten().zip(expected.iter().flatten());
        let alike = found.len() == expected.len() && cells.all(|(a, b)| same(a, b));
        assert!(alike, "{name} in {ranges} ranges: {sql}\n{found:?}\nexpected:\n{expected:?}");
    }
}

/// Cuts the buckets of all tables into small files.
async fn cut(loaded: &Loaded) {
    let options = CompactionOptions { part_bytes: 2_000, ..CompactionOptions::default() };
    compact(&loaded.lake, &options, &LIMITS, &|_, _, _| {}).await.unwrap();
    let hits = Snapshot::open(&loaded.lake, "hits", None).await.unwrap();
    let parts = hits.files.iter().filter(|file| file.tags.contains_key(TAG_PART)).count();
    assert!(parts > 2 * BUCKETS, "{parts} parts in {} files", hits.files.len());
}

#[test]
fn answers_are_the_same_of_parts_of_buckets() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = many_visitors().load(false).await;
            let expected = answers(&loaded, 8, 1).await;
            cut(&loaded).await;
            for (ranges, threads) in [(1, 1), (3, 4), (8, 1), (8, 2), (16, 2), (64, 1), (64, 4)] {
                are_same(&answers(&loaded, ranges, threads).await, &expected, ranges);
            }
        });
    });
}

/// What models count of all journeys loses no digit on its way, so the last one is the same, too.
#[test]
fn data_driven_models_have_the_same_digits_in_any_number_of_ranges() {
    const QUESTIONS: [&str; 3] = [
        "SELECT * FROM attribution('orders', 'tracking_code', models => 'algorithmic,markov,markov(2),linear')",
        "SELECT * FROM attribution('revenue', 'product', 'algorithmic', container => 'visit')",
        "SELECT * FROM attribution('orders', 'tracking_code', models => 'markov(3),first_touch', by => 'month')",
    ];
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let mut expected = vec![];
            for (ranges, threads) in [(8, 1), (1, 1), (3, 1), (3, 4), (16, 1), (16, 2), (64, 1), (64, 4)] {
                let engine = loaded.engine(8192, threads).await;
                engine.collect(&format!("SET rejoin.ranges = {ranges}")).await.unwrap();
                for (number, sql) in QUESTIONS.iter().enumerate() {
                    let mut rows = table::rows(&engine, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).1;
                    rows.sort();
                    if expected.len() == number {
                        assert!(rows.len() > 1, "{sql}: {rows:?}");
                        expected.push(rows.clone());
                    }
                    assert_eq!(rows, expected[number], "{sql} in {ranges} ranges on {threads} threads");
                }
            }
        });
    });
}

#[test]
fn a_rebuild_in_ranges_leaves_the_same_tables() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = many_visitors().load(false).await;
            let tables = ["events", "snapshots", "join_report"];
            let rows = async || {
                let engine = loaded.engine(8192, 1).await;
                let mut all = vec![];
                for name in tables {
                    let mut rows = table::rows(&engine, &format!("SELECT * FROM {name}")).await.unwrap().1;
                    rows.sort();
                    all.push(rows);
                }
                all
            };
            let before = rows().await;
            assert!(before.iter().all(|rows| !rows.is_empty()), "{before:?}");
            // as many ranges as threads
            let settings = EngineSettings { threads: Some(16), ..EngineSettings::default() };
            let options = RebuildOptions { full: true, ..RebuildOptions::default() };
            rebuild(&loaded.lake, &settings, &options, &|_| {}).await.unwrap();
            assert_eq!(rows().await, before);
            cut(&loaded).await;
            assert_eq!(rows().await, before);
            rebuild(&loaded.lake, &settings, &options, &|_| {}).await.unwrap();
            assert_eq!(rows().await, before);
        });
    });
}

/// Dimensions of a wide hit.
const TEXTS: usize = 60;

/// Hits with these numbers, ten of each visitor.
fn wide_hits(numbers: &[i64]) -> RecordBatch {
    let known: Vec<String> = (0..997).map(|text| format!("a text of some length {text:03}")).collect();
    let texts = |of: &dyn Fn(i64) -> String| -> ArrayRef {
        Arc::new(numbers.iter().map(|n| Some(of(*n))).collect::<StringArray>())
    };
    let visitor_key = |number: &i64| (number / 10).wrapping_mul(0x1E37_79B9_7F4A_7C15);
    let seqs = Decimal128Array::from_iter_values(numbers.iter().map(|n| i128::from(*n)));
    let times = TimestampMicrosecondArray::from_iter_values(numbers.iter().map(|n| n * 1_000_000));
    let mut columns: Vec<(String, ArrayRef, bool)> = vec![
        ("suite".into(), texts(&|_| "web".into()), false),
        ("visitor_key".into(), Arc::new(Int64Array::from_iter_values(numbers.iter().map(visitor_key))), false),
        ("visitor_id".into(), texts(&|n| format!("visitor {}", n / 10)), true),
        ("hit_time".into(), Arc::new(times.with_timezone("UTC")), false),
        ("hit_seq".into(), Arc::new(seqs.with_precision_and_scale(38, 0).unwrap()), false),
        ("file".into(), texts(&|_| "hits".into()), false),
    ];
    for evar in 1..=TEXTS {
        let value = |n: &i64| known[(*n as usize * 31 + evar) % known.len()].as_str();
        let values = StringArray::from_iter_values(numbers.iter().map(value));
        columns.push((format!("evar{evar}"), Arc::new(values), true));
    }
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

/// One load of them.
async fn load_wide_hits(lake: &Lake, numbers: &[i64]) {
    let tags = [(TAG_SUITE, "web"), (TAG_VISITS, "given")].map(|(tag, value)| (tag.to_string(), value.to_string()));
    let (hits, context) = (wide_hits(numbers), sort_context(64 << 20).unwrap());
    let mut writer = SortedWriter::start(lake, "hits", hits.schema(), tags.into(), context).unwrap();
    writer.push(hits).await.unwrap();
    let written = writer.finish().await.unwrap();
    let change = Change { add: written.files, columns: written.columns, ..Change::default() };
    Snapshot::open(lake, "hits", None).await.unwrap().commit(lake, change).await.unwrap();
}

/// In the order in which they lie, and in another one, for which they go to disk.
#[test]
fn wide_hits_are_sorted_in_little_memory() {
    const LOADS: i64 = 10;
    const HITS: i64 = 15_000;
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            let lake = lake_of(&place, &[]).await;
            for load in 0..LOADS {
                load_wide_hits(&lake, &(load..HITS).step_by(LOADS as usize).collect::<Vec<_>>()).await;
            }
            let settings = EngineSettings { threads: Some(2), memory_bytes: 32 << 20, ..EngineSettings::default() };
            let engine = Engine::open(lake, settings).await.unwrap();
            let sorted = async |order: &str| {
                let running = engine.run(&format!("SELECT * FROM hits ORDER BY {order}")).await.unwrap();
                running.rows.try_collect::<Vec<RecordBatch>>().await.unwrap_or_else(|e| panic!("{order}: {e}"))
            };
            let mut keys: Vec<(i64, i64)> = vec![];
            for batch in sorted("visitor_key, visitor_id, hit_time, hit_seq").await {
                let of = |name: &str| cast(batch.column_by_name(name).unwrap(), &DataType::Int64).unwrap();
                let (own, times) = (of("visitor_key"), of("hit_time"));
                let values = |column: &ArrayRef| column.as_primitive::<Int64Type>().values().to_vec();
                keys.extend(values(&own).into_iter().zip(values(&times)));
            }
            assert!(keys.len() as i64 == HITS && keys.is_sorted());
            let mut texts: Vec<String> = vec![];
            for batch in sorted("evar7, hit_seq").await {
                let own = batch.column_by_name("evar7").unwrap().as_string::<i32>();
                texts.extend(own.iter().flatten().map(str::to_string));
            }
            assert!(texts.len() as i64 == HITS && texts.is_sorted());
        });
    });
}
