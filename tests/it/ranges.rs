//! Ranges of keys: into however many a table is cut, answers and the tables of a rebuild are the same.

use rejoin::engine::EngineSettings;
use rejoin::lake::Snapshot;
use rejoin::lake::compact::{CompactionOptions, compact};
use rejoin::lake::layout::{BUCKETS, TAG_PART};
use rejoin::lake::rewrite::Limits;
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{Hit, Journeys, Loaded};
use crate::place::deep;
use crate::plans::{QUERIES, small_world};
use crate::table;

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
