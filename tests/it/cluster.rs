//! Scheduler and executors give the answers of one machine, and fail clearly where they fail.
//!
//! The `.slt` suite runs there as well (`slt`). Here: random worlds, the traps of Ballista, lost parts, cancelling, versions.

use std::collections::BTreeMap;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use rejoin::ErrorKind;
use rejoin::cluster::{Cluster, Wire};
use rejoin::engine::remote::Remote;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::Snapshot;

use crate::compaction::{Loads, check_files};
use crate::journeys::journeys;
use crate::members::{Members, shared, ticks, wrote};
use crate::oracle::runner;
use crate::place::{Place, deep};
use crate::table;

/// What the join report reads.
const SHARED_IDS: &str = include_str!("../../queries/integrate/shared_ids.sql");

/// Questions about random journeys: models and containers, windows, joins, unions, first rows.
const QUESTIONS: [&str; 18] = [
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
    // joins of small tables, of one partition each: what is above expects one, in order
    include_str!("../../queries/integrate/join_report.sql"),
    "SELECT c.event_id, f.file, o.source FROM integrated c FULL JOIN files f ON f.suite = c.suite
     LEFT JOIN (SELECT suite, source, min(event_id) AS event_id FROM integrated GROUP BY 1, 2) o ON o.event_id = c.event_id ORDER BY 1, 2, 3",
    "SELECT count(*), max(n) FROM (SELECT s.suite, count(o.event_id) AS n FROM suites s LEFT JOIN integrated o ON o.suite = s.suite
     AND o.match_status = 'matched' GROUP BY 1 ORDER BY 1)",
    "SELECT * FROM attribution('orders', 'tracking_code', 'linear', by => 'week, prop1', visitors => 'orders > 1') ORDER BY 1, 2, 3",
    "SELECT * FROM attribution('orders', 'tracking_code', models => 'markov,markov(2),linear', conversions => 'orders <> 2', touches => 'tracking_code <> ''c2''') ORDER BY item",
    "SELECT * FROM participation('orders', 'tracking_code', 'visit', visits => 'local_time(hit_time) IS NOT NULL AND orders > 0', by => 'day') ORDER BY 1, 2",
    "SELECT * FROM funnel(steps => ['tracking_code IS NOT NULL', 'orders > 0', 'row_kind <> ''online'''], within => '5 days') ORDER BY step",
    "SELECT path, conversions, value FROM paths('orders', 'tracking_code', repeats => 'collapse', unconverted => true) ORDER BY 1, 2, 3",
    "SELECT suite FROM suites WHERE suite IN (SELECT suite FROM hits) OR suite NOT IN (SELECT suite FROM integrated) ORDER BY 1",
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
                    if turn % 3 == 2 {
                        there.collect("SET rejoin.ranges = 16").await.unwrap();
                    }
                    // what one of them reads
                    for engine in [&here, &there] {
                        engine.name_query("shared_ids", SHARED_IDS).await.unwrap();
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
    // sums of parts in another order differ in their last digits
    for cell in expected.iter_mut().chain(&mut actual).flatten() {
        if let (true, Ok(number)) = (cell.contains('.'), cell.parse::<f64>()) {
            // a whole number may be one here and almost one there
            // there is no minus zero for a reader
            let number = (number * 1e9).round() / 1e9 + 0.0;
            *cell = number.to_string();
        }
    }
    expected.sort();
    actual.sort();
    assert_eq!(actual, expected, "{sql}");
}

/// Engines for the lake of a place: here, and on `members`.
async fn engines(place: &Place, members: &Members) -> (Engine, Engine) {
    let lake = place.open_lake();
    let remote = Some(members.remote(&lake));
    let here = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
    let there = Engine::open(lake, EngineSettings { remote, ..EngineSettings::default() }).await.unwrap();
    (here, there)
}

/// Lakes of the sample by their hits, made once each.
static SAMPLES: Mutex<BTreeMap<usize, Arc<OnceLock<Place>>>> = Mutex::new(BTreeMap::new());

/// A lake of so many hits of the sample.
fn sample(hits: usize) -> Place {
    let made = SAMPLES.lock().unwrap().entry(hits).or_default().clone();
    let made = made.get_or_init(|| {
        let place = Place::lasting();
        place.sh(&format!("REJOIN_NOW=2026-12-01T00:00:00Z rejoin demo --hits {hits} --lake lake"));
        place
    });
    Place::with_lake_of(made)
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
                    "SELECT n FROM generate_series(1, 3) AS n UNION ALL SELECT count(*) FROM hits",
                    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 4) SELECT i, count(*) FROM n, offline GROUP BY 1",
                    // a word of windows that a plan loses when it is written down
                    "SELECT event_id, last_value(revenue) IGNORE NULLS OVER w, lag(revenue) IGNORE NULLS OVER w, last_value(revenue) OVER w,
                     first_value(revenue) IGNORE NULLS OVER (PARTITION BY visitor_id ORDER BY hit_time, event_id
                     ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
                     FROM events WINDOW w AS (PARTITION BY visitor_id ORDER BY hit_time, event_id)",
                    // all visitors make one game
                    "SELECT * FROM attribution('orders', 'page_name', 'algorithmic')",
                ] {
                    same(&here, &there, sql).await;
                }
            }
            for sql in [
                // rows without a partner, of a side that every task reads whole
                "SELECT o.event_id, h.event_id FROM (SELECT * FROM events WHERE row_kind = 'transaction') o
                 LEFT JOIN (SELECT * FROM events WHERE row_kind = 'online' AND orders > 0) h ON h.hit_time < o.hit_time",
                "SELECT count(*) FROM (SELECT * FROM events WHERE row_kind <> 'online') o FULL JOIN hits h
                 ON h.transaction_id = o.transaction_id AND h.hit_time < o.hit_time",
                "SELECT count(*) FROM offline WHERE transaction_id NOT IN (SELECT transaction_id FROM hits WHERE transaction_id IS NOT NULL)",
                // first rows of the branches of a union, of which a task may have none
                "SELECT event_id FROM (SELECT * FROM events ORDER BY hit_time, event_id LIMIT 3) UNION ALL SELECT event_id FROM events WHERE row_kind = 'summary'",
                "SELECT count(*), (SELECT max(hit_time) FROM hits) FROM events WHERE hit_time > (SELECT min(hit_time) FROM events WHERE row_kind <> 'online')",
                "SELECT DISTINCT ON (visitor_id) visitor_id, page_name FROM events ORDER BY visitor_id, hit_time, event_id",
            ] {
                same(&here, &there, sql).await;
            }
            // a sort-merge left join with a filter fails where its right side is never NULL
            there.collect("SET datafusion.optimizer.prefer_hash_join = false").await.unwrap();
            for sql in [
                "SELECT h.event_id, o.event_id FROM events h LEFT JOIN events o ON o.transaction_id = h.transaction_id AND o.hit_time > h.hit_time
                 WHERE h.transaction_id IS NOT NULL",
                "SELECT h.event_id, o.hit_time FROM events h LEFT JOIN hits o ON o.visitor_id = h.visitor_id AND o.hit_time > h.hit_time",
            ] {
                same(&here, &there, sql).await;
            }
        });
    });
}

/// Models that need all journeys count a range of visitors a task, and give the digits of one machine in any number of them.
#[test]
fn data_driven_models() {
    let place = sample(3_000);
    let lake = place.open_lake();
    deep(|runtime| {
        runtime.block_on(async {
            let (here, there) = engines(&place, shared(&lake)).await;
            for sql in [
                "SELECT * FROM attribution('revenue', 'tracking_code', models => 'algorithmic,markov,markov(2),linear')",
                "SELECT * FROM attribution('orders', 'page_name', models => 'algorithmic,markov', container => 'visit')",
                "SELECT * FROM attribution('revenue', 'tracking_code', 'markov(2)', by => 'month')",
            ] {
                let mut expected = table::rows(&here, sql).await.unwrap().1;
                expected.sort();
                assert!(expected.len() > 3, "{sql}: {expected:?}");
                for ranges in [8, 16, 64] {
                    there.collect(&format!("SET rejoin.ranges = {ranges}")).await.unwrap();
                    let mut found = table::rows(&there, sql).await.unwrap_or_else(|e| panic!("{sql}: {e}")).1;
                    found.sort();
                    assert_eq!(found, expected, "{sql} in {ranges} ranges");
                }
                let plan = table::rows(&there, &format!("EXPLAIN {sql}")).await.unwrap().1.concat().concat();
                let places = ["DataDrivenExec", "CoalescePartitionsExec", "JourneyExec: tallies"].map(|node| plan.find(node));
                assert!(places.is_sorted() && places.iter().all(Option::is_some), "{plan}");
            }
        });
    });
}

/// A join of which neither side fits in the memory of a task is refused, as on one machine, and the message says how both sides are
/// sorted instead.
#[test]
fn joins_that_do_not_fit() {
    let place = sample(20_000);
    // of which each of two tasks has half
    let members = Members::with_memory(place.path().to_str().unwrap(), 1, "64MiB");
    let sql = |copies: usize| {
        let rows = format!("(SELECT visitor_id, hit_seq, n FROM hits CROSS JOIN generate_series(1, {copies}) g (n))");
        let equal = "a.visitor_id = b.visitor_id AND a.hit_seq = b.hit_seq AND a.n = b.n";
        format!("SELECT count(*), sum(a.n) FROM {rows} a JOIN {rows} b ON {equal}")
    };
    deep(|runtime| {
        runtime.block_on(async {
            let (_, there) = engines(&place, &members).await;
            let error = there.collect(&sql(40)).await.unwrap_err();
            assert!(error.is_out_of_memory(), "{error}");
            for words in ["an executor: ", "--memory", "SET datafusion.optimizer.prefer_hash_join = false"] {
                assert!(error.to_string().contains(words), "{error}");
            }
            there.collect("SET datafusion.optimizer.prefer_hash_join = false").await.unwrap();
            let plan = table::rows(&there, &format!("EXPLAIN {}", sql(2))).await.unwrap().1.concat().concat();
            assert!(plan.contains("SortMergeJoinExec"), "{plan}");
            let found = table::rows(&there, &sql(2)).await.unwrap_or_else(|e| panic!("{e}")).1;
            assert_eq!(found, [["40000", "60000"]]);
        });
    });
}

/// So many pairs of rows that by itself it runs for twenty times as long as [`wait_for_work`] waits.
const LONG: &str =
    "SELECT count(*) FROM hits a, (SELECT page_name, page_url FROM hits CROSS JOIN generate_series(1, 1000) g (n)) b
    WHERE a.page_name < b.page_url AND length(a.page_url) < length(b.page_name) + 1";

/// The same of pairs of which none is a row.
const LONG_RARE: &str =
    "SELECT count(*) FROM hits a, (SELECT page_url FROM hits CROSS JOIN generate_series(1, 1000) g (n)) b
    WHERE md5(a.page_url || b.page_url) = 'none'";

/// The same of a hash join.
const LONG_HASHED: &str = "SELECT count(*) FROM hits a
    JOIN (SELECT suite, hit_time FROM hits CROSS JOIN generate_series(1, 1000) g (n)) b ON a.suite = b.suite AND a.hit_time <> b.hit_time";

/// Waits until the executors compute, or no longer do.
fn wait_for_work(members: &Members, busy: bool) {
    let begun = Instant::now();
    let all = || members.executors.iter().map(|e| ticks(e.id)).sum::<u64>();
    loop {
        let before = all();
        std::thread::sleep(Duration::from_millis(200));
        // idle executors only say that they live
        if (all() - before > 3) == busy {
            return;
        }
        // other tests may have the machine
        assert!(begun.elapsed() < Duration::from_secs(180), "busy: {} for too long", !busy);
    }
}

/// Dropping a statement, or Ctrl-C, stops the executors, which else would compute for an hour.
#[test]
fn what_nobody_waits_for_stops() {
    let place = sample(20_000);
    let members = Members::start(place.path().to_str().unwrap(), 1);
    deep(|runtime| {
        let (_, there) = runtime.block_on(engines(&place, &members));
        for question in [LONG, LONG_RARE, LONG_HASHED] {
            let running = runtime.block_on(there.run(question)).unwrap();
            wait_for_work(&members, true);
            drop(running);
            wait_for_work(&members, false);
        }
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(["query", LONG, "--cluster", &members.scheduler.address]));
    let mut command = command.spawn().unwrap();
    wait_for_work(&members, true);
    let id = command.id().to_string();
    assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert_eq!(command.wait().unwrap().code(), Some(130));
    wait_for_work(&members, false);
    // and the cluster goes on
    deep(|runtime| {
        runtime.block_on(async {
            let (here, there) = engines(&place, &members).await;
            same(&here, &there, QUESTIONS[0]).await;
        });
    });
}

/// An executor that is killed in the middle: the answer is right or an error, it is missed, another takes its place.
#[test]
fn an_executor_dies() {
    let place = sample(20_000);
    let mut members = Members::quick_to_miss(place.path().to_str().unwrap(), 2);
    deep(|runtime| {
        let (here, _) = runtime.block_on(engines(&place, &members));
        let sql = QUESTIONS[0];
        let expected = runtime.block_on(table::rows(&here, sql)).unwrap().1;
        let (mut answers, mut errors) = (0, 0);
        for turn in 0..12 {
            // where a busy machine let none of three end in an answer, some more
            if turn >= 3 && answers > 0 {
                break;
            }
            let (_, there) = runtime.block_on(engines(&place, &members));
            let asked = runtime.spawn(async move { table::rows(&there, sql).await });
            std::thread::sleep(Duration::from_millis([30, 120, 400][turn % 3]));
            let victim = members.executors.remove(0);
            victim.signal("KILL");
            match runtime.block_on(asked).unwrap() {
                Ok((_, rows)) => {
                    assert_eq!(rows, expected);
                    answers += 1;
                }
                Err(error) => {
                    assert!(error.to_string().contains("run the statement again"), "{error}");
                    errors += 1;
                }
            }
            members.wait_for(1);
            members.join();
        }
        eprintln!("{answers} answers, {errors} errors");
        assert!(answers > 0);
    });
}

/// What a process said that ends by itself, as it does unless something waits for ever.
fn ended(mut child: Child) -> Output {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > Duration::from_secs(240) {
            child.kill().unwrap();
            panic!("does not end: {}", String::from_utf8_lossy(&child.wait_with_output().unwrap().stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// An executor that is killed while it writes: the tables are whole, before as after, and so are they when the client is.
#[test]
fn an_executor_dies_while_it_writes() {
    let place = sample(20_000);
    let mut members = Members::quick_to_miss(std::env::temp_dir().to_str().unwrap(), 2);
    let events = || place.query("SELECT * FROM events ORDER BY event_id");
    let before = events();
    let snapshots = place.query("SELECT count(*) AS n FROM snapshots");
    let address = members.scheduler.address.clone();
    let rebuild = |seconds: f64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args(["rebuild", "--full", "--no-compact", "--cluster", &address]));
        let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(seconds));
        child
    };
    // whichever stage it hits, and what it had done of it
    for seconds in [0.8, 1.2, 1.8] {
        let child = rebuild(seconds);
        members.executors.remove(0).signal("KILL");
        let done = ended(child);
        let said = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success() || said.contains("run the statement again"), "{said}");
        assert!(events() == before, "{} after {seconds} s", done.status);
        assert_eq!(place.query("SELECT count(*) AS n FROM snapshots"), snapshots, "after {seconds} s");
        members.join();
    }
    for seconds in [0.3, 1.1, 2.0] {
        let mut child = rebuild(seconds);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(events() == before, "killed after {seconds} s");
    }
    assert!(ended(rebuild(0.0)).status.success());
    assert!(events() == before);

    let loads = deep(|runtime| {
        runtime.block_on(async {
            let loads = Loads::new().await;
            for number in 0..8 {
                loads.load(number, 0, 92, 2_000).await;
            }
            loads
        })
    });
    let members = Mutex::new(members);
    deep(|runtime| {
        let rewriter = members.lock().unwrap().remote(&loads.lake);
        let answers = runtime.block_on(loads.answers());
        let compacting = async {
            let kill = tokio::task::spawn_blocking({
                let victim = members.lock().unwrap().executors.remove(0);
                move || {
                    std::thread::sleep(Duration::from_millis(150));
                    victim.signal("KILL");
                }
            });
            let (done, _) = tokio::join!(loads.try_compact(1, rewriter.as_ref()), kill);
            done
        };
        match runtime.block_on(compacting) {
            Ok(done) => assert!(done.merged > 0, "{done:?}"),
            Err(error) => assert!(error.to_string().contains("again"), "{error}"),
        }
        assert_eq!(runtime.block_on(loads.answers()), answers);
        check_files(&loads, &runtime.block_on(loads.hits()));
    });
}

/// Without executors a statement fails clearly, and so it does without a scheduler; both may come back. Nothing is hurried here.
#[test]
fn no_part_is_left() {
    let place = sample(20_000);
    let mut members = Members::start(place.path().to_str().unwrap(), 0);
    deep(|runtime| {
        let (here, there) = runtime.block_on(engines(&place, &members));
        let error = runtime.block_on(there.collect(QUESTIONS[0])).unwrap_err();
        assert!(error.to_string().contains("has no executors; start one with: rejoin cluster executor"), "{error}");

        members.join();
        runtime.block_on(same(&here, &there, QUESTIONS[0]));
        let running = runtime.block_on(there.run(LONG)).unwrap();
        wait_for_work(&members, true);
        members.executors.remove(0).signal("KILL");
        let error = runtime.block_on(datafusion::physical_plan::common::collect(running.rows)).unwrap_err();
        assert!(error.to_string().contains("executor"), "{error}");

        members.join();
        let running = runtime.block_on(there.run(LONG)).unwrap();
        wait_for_work(&members, true);
        members.scheduler.signal("KILL");
        let error = runtime.block_on(datafusion::physical_plan::common::collect(running.rows)).unwrap_err();
        assert!(error.to_string().contains("no longer answers"), "{error}");
        let error = runtime.block_on(there.collect(QUESTIONS[0])).unwrap_err();
        assert!(error.to_string().contains("start one with: rejoin cluster scheduler"), "{error}");

        // executors find a scheduler that is back at once
        members.restart_scheduler();
        members.wait_for(1);
        runtime.block_on(same(&here, &there, QUESTIONS[0]));
    });
}

/// Executors find a scheduler that is back after more time than Ballista's wait for it.
#[test]
fn a_scheduler_comes_back_late() {
    let place = sample(20_000);
    let mut members = Members::start(place.path().to_str().unwrap(), 1);
    deep(|runtime| {
        let (here, there) = runtime.block_on(engines(&place, &members));
        runtime.block_on(same(&here, &there, QUESTIONS[0]));
        members.scheduler.signal("KILL");
        std::thread::sleep(Duration::from_secs(32));
        members.restart_scheduler();
        members.wait_for(1);
        runtime.block_on(same(&here, &there, QUESTIONS[0]));
    });
}

/// A rebuild whose joins the executors compute leaves the tables that it leaves alone; so do tables of one's own.
#[test]
fn a_rebuild() {
    let place = sample(3_000);
    let members = Members::start(place.path().to_str().unwrap(), 2);
    place.write(
        "queries/daily.sql",
        "SELECT date_trunc('day', hit_time) AS day, match_status, count(*) AS n FROM events GROUP BY 1, 2",
    );
    place.write("queries/latest.sql", "SELECT event_id, hit_time FROM events ORDER BY hit_time DESC, event_id");
    let rebuild = |more: &[&str]| {
        let mut arguments = vec!["rebuild", "--full", "--queries", "queries"];
        arguments.extend(more);
        place.rejoin_with(&arguments).ok();
        [
            "SELECT * FROM events ORDER BY event_id",
            "SELECT * FROM join_report ORDER BY 1, 2, 3, 4",
            "SELECT * FROM daily ORDER BY 1, 2",
            // as its query gave them
            "SELECT * FROM latest",
        ]
        .map(|sql| place.query(sql))
    };
    let alone = rebuild(&[]);
    assert!(alone[0].as_array().unwrap().len() > 3_000 && alone[2].as_array().unwrap().len() > 3);
    let there = rebuild(&["--cluster", &members.scheduler.address]);
    for (there, alone) in there.iter().zip(&alone) {
        let differing =
            there.as_array().unwrap().iter().zip(alone.as_array().unwrap()).find(|(there, alone)| there != alone);
        assert!(there == alone, "{differing:?}");
    }
    // the executors wrote them
    deep(|runtime| {
        let lake = place.open_lake();
        for (table, files) in [("integrated", 2), ("snapshots", 2), ("daily", 1), ("latest", 1)] {
            let snapshot = runtime.block_on(Snapshot::open(&lake, table, None)).unwrap();
            assert!(snapshot.files.len() >= files, "{table}: {} files", snapshot.files.len());
            for file in snapshot.files {
                assert!(wrote(&place.lake().join(table).join(&file.relative)), "{table}: {}", file.relative);
            }
        }
    });
}

/// Rebuilds of what changed, where visits are computed and earlier hits take snapshots over, leave what one rebuild alone leaves.
#[test]
fn rebuilds_of_changes() {
    let place = Place::new();
    let members = shared(&place.open_lake());
    let hits = |from: usize, to: usize, day: &str, campaign: &str| {
        let row = |n| format!("v{n}  {day} {:02}:10  home  {campaign}{}  T{n}  1\n", n % 24, n % 3);
        let rows: String = (from..to).map(row).collect();
        format!("visitor  time  page_name  tracking_code  transaction_id  orders\n{rows}")
    };
    let records: String = (0..50).map(|n| format!("09/20/2026  T{n}  1\n")).collect();
    place.sh(&format!(
        "rejoin suite create web\nrejoin source create web leads --kind transaction\nonline a <<END\n{}END\n\
         offline one <<END\nDate  transactionID  Event 1\n{records}END\nrejoin ingest one.txt --suite web --source leads",
        hits(0, 40, "2026-09-01", "a")
    ));
    let there = ["rebuild", "--cluster", &members.scheduler.address];
    place.rejoin_with(&there).ok();
    for step in [
        format!("online b <<END\n{}END", hits(0, 30, "2026-08-30", "b")),
        format!("online c <<END\n{}END", hits(10, 45, "2026-08-20", "c")),
        "rejoin remove a.csv".to_string(),
    ] {
        place.sh(&step);
        place.rejoin_with(&there).ok();
    }
    let scopes = place.query("SELECT scope FROM rebuilds ORDER BY rebuild");
    let scope = |scope: &str| serde_json::json!({ "scope": scope });
    assert_eq!(scopes, serde_json::json!([scope("full"), scope("changed"), scope("changed"), scope("changed")]));
    let tables = || {
        ["SELECT * FROM snapshots ORDER BY transaction_id", "SELECT * FROM events ORDER BY event_id"]
            .map(|sql| place.query(sql))
    };
    let left = tables();
    place.sh("rejoin rebuild --full");
    assert!(tables() == left, "{left:?}");
}

/// Parts of other versions, plans that are refused.
#[test]
fn refused() {
    let place = sample(3_000);
    let lake = place.open_lake();
    place.write("other.csv", "a\n1\n");
    deep(|runtime| {
        runtime.block_on(async {
            let (_, there) = engines(&place, shared(&lake)).await;
            let refused = [
                (
                    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT n.i + 1 FROM n JOIN hits h ON h.visit_page_num = n.i WHERE n.i < 3)
                     SELECT count(*) FROM n, hits",
                    "RECURSIVE",
                ),
                ("SELECT count(*) FROM hits JOIN generate_series(1, 3000000) g ON g = hits.visit_num",
                    "more than 8 MiB"),
            ];
            for (sql, why) in refused {
                let error = there.collect(sql).await.unwrap_err();
                assert!(error.to_string().contains(why) && error.to_string().contains("without --cluster"), "{error}");
            }
            let filtered = "SELECT sum(1) FILTER (WHERE orders > 0) OVER (PARTITION BY visitor_id) FROM hits";
            let error = there.collect(filtered).await.unwrap_err();
            assert!(error.to_string().contains("CASE WHEN"), "{error}");
            there.collect("SET rejoin.part_version = '0.0.9'").await.unwrap();
            let error = there.collect(QUESTIONS[0]).await.unwrap_err();
            assert!(error.to_string().contains("comes from rejoin 0.0.9, the scheduler is rejoin"), "{error}");
        });
    });
    // executors write in their own lake only
    let others = Members::start(place.path().join("other").to_str().unwrap(), 1);
    let rebuild = ["rebuild", "--full", "--cluster", &others.scheduler.address];
    place
        .rejoin_with(&rebuild)
        .fails(3, &["the executor cannot write there: the lake is file:///", "/other/, not file:///"]);
}

/// With certificates of one authority the parts reach each other, and nobody else does.
#[test]
fn secure() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let place = sample(3_000);
    for authority in ["own", "other"] {
        certificates(&place, authority);
    }
    let tls = |name: &str| Wire::secure(&place.path().join(name)).unwrap();
    let members = Members::secure(place.path().to_str().unwrap(), 2, &place.path().join("own"));
    deep(|runtime| {
        runtime.block_on(async {
            let lake = place.open_lake();
            let here = Engine::open(lake.clone(), EngineSettings::default()).await.unwrap();
            let by = |wire: Wire| {
                let remote =
                    Some(Arc::new(Cluster::new(&members.scheduler.address, wire, lake.clone())) as Arc<dyn Remote>);
                Engine::open(lake.clone(), EngineSettings { remote, ..EngineSettings::default() })
            };
            same(&here, &by(tls("own")).await.unwrap(), QUESTIONS[0]).await;
            for wire in [Wire::default(), tls("other")] {
                let error = by(wire).await.unwrap().collect(QUESTIONS[0]).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
            }
        });
    });
    let refused = place.rejoin_with(&["cluster", "scheduler", "--listen", "0.0.0.0:0"]);
    refused.fails(2, &["the address by which the others reach it"]);
}

/// `ca.pem`, `cert.pem` and `key.pem` for 127.0.0.1, in a folder of this name.
fn certificates(place: &Place, name: &str) {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut authority = rcgen::CertificateParams::new(vec![]).unwrap();
    authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let (own, issuer) = (rcgen::KeyPair::generate().unwrap(), rcgen::Issuer::from_params(&authority, &key));
    let certificate =
        rcgen::CertificateParams::new(vec!["127.0.0.1".into()]).unwrap().signed_by(&own, &issuer).unwrap();
    place.write(&format!("{name}/ca.pem"), authority.self_signed(&key).unwrap().pem());
    place.write(&format!("{name}/cert.pem"), certificate.pem());
    place.write(&format!("{name}/key.pem"), own.serialize_pem());
}

/// An executor that cannot listen says so and fails.
#[test]
fn a_port_in_use() {
    let place = sample(100);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let lake = place.open_lake();
    let scheduler = &shared(&lake).scheduler.address;
    let address = taken.local_addr().unwrap().to_string();
    let refused = place.rejoin_with(&["cluster", "executor", "--scheduler", scheduler, "--listen", &address]);
    refused.fails(6, &["in use"]);
    // with certificates the inner port of the same number must be free, too
    let _ = rustls::crypto::ring::default_provider().install_default();
    certificates(&place, "own");
    let members = Members::secure(place.path().to_str().unwrap(), 0, &place.path().join("own"));
    let scheduler = &members.scheduler.address;
    // the outer ports of that number may be somebody else's
    let refused = (0..20).find_map(|_| {
        let inner = std::net::TcpListener::bind("127.0.0.2:0").unwrap();
        let address = format!("127.0.0.1:{}", inner.local_addr().unwrap().port());
        let arguments = ["cluster", "executor", "--cluster-tls", "own", "--scheduler", scheduler, "--listen", &address];
        let refused = place.rejoin_with(&arguments);
        refused.fails(6, &["in use"]).stderr.contains("stopped by itself").then_some(())
    });
    assert!(refused.is_some());
}
