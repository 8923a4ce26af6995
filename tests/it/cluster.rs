//! Scheduler and executors give the answers of one machine, and fail clearly where they fail.
//!
//! The `.slt` suite runs there as well (`slt`). Here: random worlds, the traps of Ballista, lost parts, cancelling, versions.

use std::sync::atomic::{AtomicUsize, Ordering};

use rejoin::engine::{Engine, EngineSettings};

use crate::journeys::journeys;
use crate::members::{Members, shared};
use crate::oracle::runner;
use crate::place::{Place, deep};
use crate::table;

/// Questions about random journeys: models and containers, windows, joins, unions, first rows.
const QUESTIONS: [&str; 9] = [
    "SELECT * FROM participation('orders', 'tracking_code') ORDER BY item",
    "SELECT * FROM attribution('revenue', 'tracking_code', models => 'linear,time_decay,participation', lookback => '3 days') ORDER BY item",
    "SELECT * FROM attribution('orders', 'tracking_code', 'algorithmic') ORDER BY item",
    "SELECT * FROM participation('orders', 'tracking_code', 'visit') ORDER BY item",
    "SELECT event_id, visitor_participation(tracking_code, orders) OVER (PARTITION BY visitor_id ORDER BY hit_time) FROM events
     WHERE visitor_id IS NOT NULL ORDER BY event_id",
    "SELECT row_kind, match_status, count(*), count(DISTINCT visitor_id), sum(revenue) FROM events GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT event_id, hit_time FROM events ORDER BY hit_time, event_id LIMIT 5",
    "SELECT h.event_id, o.event_id FROM events h LEFT JOIN events o ON o.visitor_id = h.visitor_id AND o.hit_time > h.hit_time
     AND o.row_kind <> 'online' WHERE h.row_kind = 'online' ORDER BY 1, 2",
    "SELECT event_id, conversions FROM (SELECT event_id, touches AS conversions FROM conversions('orders', 'tracking_code')) ORDER BY 1",
];

/// Random worlds: what the cluster answers is what this process answers.
#[test]
fn random_worlds() {
    let turn = AtomicUsize::new(0);
    runner(6, 0)
        .run(&journeys(), |journeys| {
            let turn = turn.fetch_add(1, Ordering::Relaxed);
            deep(|runtime| {
                runtime.block_on(async {
                    let loaded = journeys.load(turn % 2 == 1).await;
                    let here = loaded.engine(8192, 1).await;
                    let settings = EngineSettings {
                        batch_size: Some([1, 7, 8192][turn % 3]),
                        remote: Some(shared(here.lake()).remote(here.lake())),
                        ..EngineSettings::default()
                    };
                    let there = Engine::open(here.lake().clone(), settings).await.unwrap();
                    if turn % 3 == 1 {
                        there.collect("SET rejoin.journeys = 'plain'").await.unwrap();
                    }
                    for sql in QUESTIONS {
                        same(&here, &there, sql).await;
                    }
                });
            });
            Ok(())
        })
        .unwrap();
}

/// The same rows here and there, in any order.
async fn same(here: &Engine, there: &Engine, sql: &str) {
    let (_, mut expected) = table::rows(here, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}"));
    let (_, mut actual) = table::rows(there, sql).await.unwrap_or_else(|e| panic!("on the cluster: {sql}: {e}"));
    expected.sort();
    actual.sort();
    assert_eq!(actual, expected, "{sql}");
}

/// A lake of so many hits of the sample, and engines for it: here, and on `members`.
async fn engines(place: &Place, members: &Members) -> (Engine, Engine) {
    let lake = place.open_lake();
    let remote = Some(members.remote(&lake));
    let here = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
    let there = Engine::open(lake, EngineSettings { remote, ..EngineSettings::default() }).await.unwrap();
    (here, there)
}

fn sample(hits: usize) -> Place {
    let place = Place::new();
    place.sh(&format!("rejoin demo --hits {hits}"));
    place
}

/// What Ballista 55 answers wrongly, or never, when it is handed the plan as it is.
#[test]
fn traps() {
    let place = sample(3_000);
    let lake = place.open_lake();
    deep(|runtime| {
        runtime.block_on(async {
            let (here, there) = engines(&place, shared(&lake)).await;
            for _ in 0..3 {
                for sql in [
                    // literal rows beside a scan: lost, or the job never ends
                    "SELECT count(*) FROM hits UNION ALL SELECT 7 UNION ALL SELECT 8",
                    "SELECT sum(n) FROM (SELECT count(*) AS n FROM hits UNION ALL SELECT 7 UNION ALL SELECT n FROM (VALUES (1), (2)) v (n))",
                    "SELECT event_id FROM events WHERE row_kind = 'summary' UNION ALL SELECT 'x' WHERE false",
                    "SELECT value FROM generate_series(1, 3) UNION ALL SELECT count(*) FROM hits",
                    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i, count(*) FROM n, offline GROUP BY 1",
                    // all visitors make one game
                    "SELECT * FROM attribution('orders', 'page_name', 'algorithmic')",
                ] {
                    same(&here, &there, sql).await;
                }
            }
            for sql in [
                // rows without a partner, of a side that every task reads whole
                "SELECT o.event_id, h.event_id FROM (SELECT * FROM offline WHERE row_kind = 'transaction') o
                 LEFT JOIN (SELECT * FROM events WHERE row_kind = 'online' AND orders > 0) h ON h.hit_time < o.event_time",
                "SELECT count(*) FROM offline o FULL JOIN hits h ON h.transaction_id = o.transaction_id AND h.hit_time < o.event_time",
                "SELECT count(*) FROM offline WHERE transaction_id NOT IN (SELECT transaction_id FROM hits WHERE transaction_id IS NOT NULL)",
                // first rows of the branches of a union, of which a task may have none
                "SELECT event_id FROM (SELECT * FROM events ORDER BY hit_time, event_id LIMIT 3) UNION ALL SELECT event_id FROM events WHERE row_kind = 'summary'",
                "SELECT count(*), (SELECT max(hit_time) FROM hits) FROM events WHERE hit_time > (SELECT min(event_time) FROM offline)",
                "SELECT DISTINCT ON (visitor_id) visitor_id, page_name FROM hits ORDER BY visitor_id, hit_time, event_id",
            ] {
                same(&here, &there, sql).await;
            }
            // a sort-merge left join with a filter is wrong where its right side is never NULL
            there.collect("SET datafusion.optimizer.prefer_hash_join = false").await.unwrap();
            same(
                &here,
                &there,
                "SELECT h.event_id, o.event_id FROM hits h LEFT JOIN events o ON o.transaction_id = h.transaction_id AND o.hit_time > h.hit_time
                 WHERE h.transaction_id IS NOT NULL",
            )
            .await;
        });
    });
}
