//! Ranges of keys: into however many a table is cut, answers and the tables of a rebuild are the same.

use rejoin::engine::EngineSettings;
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::Loaded;
use crate::place::deep;
use crate::plans::{QUERIES, small_world};
use crate::table;

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
                let found = answers(&loaded, ranges, threads).await;
                for (((name, sql), found), expected) in QUERIES.iter().zip(&found).zip(&expected) {
                    let mut cells = found.iter().flatten().zip(expected.iter().flatten());
                    let alike = found.len() == expected.len() && cells.all(|(a, b)| same(a, b));
                    assert!(alike, "{name} in {ranges} ranges: {sql}\n{found:?}\nexpected:\n{expected:?}");
                }
            }
        });
    });
}

#[test]
fn a_rebuild_in_ranges_leaves_the_same_tables() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
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
        });
    });
}
