//! Plans that were looked at and approved, one a file in `tests/plans/`: above the lake's files nothing is sorted and
//! nothing is shuffled but credit per item. `REJOIN_APPROVE=1` writes them anew.

use std::path::Path;

use arrow::array::AsArray;
use datafusion::physical_plan::displayable;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::suites::{SuiteChanges, set_suite};
use rejoin::rebuild::{RebuildOptions, rebuild};

use crate::journeys::{DAY, Hit, Journeys, Record};
use crate::place::deep;

/// Two loads of hits, matched and unmatched records.
pub fn small_world() -> Journeys {
    let hit = |n: u8| Hit {
        visitor: n % 4,
        time: i64::from(n) * 3 * DAY / 2,
        visit: n % 3,
        ids: vec![n % 4],
        customer: Some(n % 3),
        campaign: n.is_multiple_of(2).then_some(n % 3),
        products: vec![n % 3],
        prices: vec![1],
        orders: Some(i32::from(n % 3)),
    };
    let record = |n: u8| Record {
        customer: n.is_multiple_of(3),
        id: n % 5,
        time: i64::from(n) * 2 * DAY,
        date_only: n.is_multiple_of(2),
        campaign: None,
        product: Some(n % 3),
        orders: 1,
        revenue: 1,
    };
    Journeys { hits: (0..20).map(hit).collect(), records: (0..12).map(record).collect(), current_rules: false }
}

const PARTICIPATION: &str = "SELECT item, credit FROM participation('orders', 'tracking_code')";
const WINDOW: &str = "SELECT tracking_code, sum(c) FROM (SELECT tracking_code, visitor_participation(tracking_code, orders) \
     OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1";

/// Name of the file and the query.
pub const QUERIES: &[(&str, &str)] = &[
    ("participation", PARTICIPATION),
    ("participation_visit", "SELECT item, credit FROM participation('orders', 'tracking_code', 'visit')"),
    (
        "models",
        "SELECT * FROM attribution('orders', 'product', container => 'visitor', lookback => '30 days', since => '2025-03-02', models => 'linear,u_shaped')",
    ),
    (
        "by_month",
        "SELECT * FROM attribution('orders', 'tracking_code', 'linear', by => 'month', conversions => 'extract(hour FROM local_time(hit_time)) < 12')",
    ),
    ("paths", "SELECT * FROM paths('orders', 'tracking_code')"),
    ("snapshot_basis", "SELECT item, credit FROM participation('orders', 'tracking_code', basis => 'snapshot')"),
    ("algorithmic", "SELECT item, credit FROM attribution('orders', 'tracking_code', 'algorithmic')"),
    ("window_visitor", WINDOW),
    (
        "window_visit",
        "SELECT tracking_code, sum(c) FROM (SELECT tracking_code, visit_participation(tracking_code, orders, hit_source) \
         OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    ),
    ("events_in_order", "SELECT tracking_code, orders FROM events ORDER BY visitor_key, visitor_id, hit_time, hit_seq"),
    ("visitors", "SELECT visitor_id, hits FROM visitors"),
];

/// The same where visitors share persons: brought together on the way over the files, or, for the order of rows, those that are
/// alone are read as ever, and only the rows of the others are sorted.
const BY_PERSON: &[(&str, &str)] = &[
    ("participation_person", "SELECT item, credit FROM participation('orders', 'tracking_code', 'person')"),
    ("funnel_person", "SELECT * FROM funnel(steps => ['orders > 0'], container => 'person')"),
];

async fn plan(engine: &Engine, sql: &str) -> String {
    let running = engine.run(sql).await.unwrap();
    let plan = displayable(running.plan.as_ref()).indent(false).to_string();
    // which files hold the rows differs from run to run
    let lines = plan.lines().map(|line| match (line.find("file_groups={"), line.find("]}, ")) {
        (Some(from), Some(to)) => format!("{}{}", &line[..from], &line[to + 4..]),
        _ => line.to_string(),
    });
    lines.map(|line| line + "\n").collect()
}

#[test]
fn plans_are_as_approved() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plans");
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let with_persons = small_world().load(false).await;
            let changes = SuiteChanges { persons: Some("device_split".into()), ..SuiteChanges::default() };
            set_suite(&with_persons.lake, "web", &changes).await.unwrap();
            rebuild(&with_persons.lake, &EngineSettings::default(), &RebuildOptions::default(), &|_| {}).await.unwrap();
            let all = QUERIES
                .iter()
                .map(|query| (query, &loaded))
                .chain(BY_PERSON.iter().map(|query| (query, &with_persons)));
            for ((name, sql), loaded) in all {
                // what a walk finds out of the keys of a lake that is open changes the plans after it
                let engine = loaded.engine_anew(8192, 4).await;
                let (file, found) = (folder.join(format!("{name}.txt")), plan(&engine, sql).await);
                let found = format!("{sql}\n\n{found}");
                if std::env::var_os("REJOIN_APPROVE").is_some() {
                    std::fs::write(&file, &found).unwrap();
                }
                let approved = std::fs::read_to_string(&file).unwrap_or_default();
                assert!(
                    found == approved,
                    "{name} is planned otherwise than approved:\n{found}\napproved:\n{approved}"
                );
            }
        });
    });
}

#[test]
fn funnels_read_the_tables_of_their_steps() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let engine = loaded.engine_anew(8192, 4).await;
            // only hits have prop1
            for (arguments, hits, records) in [
                ("steps => ['orders > 0']", true, true),
                ("steps => ['prop1 IS NOT NULL', 'prop1 > ''r''']", true, false),
                ("steps => ['prop1 IS NOT NULL', 'orders > 0']", true, true),
                ("steps => ['prop1 IS NOT NULL'], next => 'at_once'", true, true),
                ("steps => ['row_kind <> ''online''']", false, true),
                ("steps => ['orders > 0 AND false']", false, false),
            ] {
                let plan = plan(&engine, &format!("SELECT * FROM funnel({arguments})")).await;
                // of records alone it is read whose they are
                let reads = |suite: bool| {
                    let mut scans = plan.lines().filter(|line| line.contains("file_type=parquet"));
                    scans.any(|line| line.contains("suite") == suite)
                };
                assert_eq!((reads(false), reads(true)), (hits, records), "{arguments}\n{plan}");
            }
        });
    });
}

#[test]
fn nothing_is_sorted_or_shuffled_below_a_journey() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            // with one and two threads, as many as buckets, and more
            for threads in [1, 2, 8, 16] {
                let engine = loaded.engine(8192, threads).await;
                for (name, sql) in QUERIES.iter().filter(|(name, _)| *name != "visitors") {
                    let plan = plan(&engine, sql).await;
                    let journey = plan.find("Journey").or_else(|| plan.find("SortedMergeExec")).unwrap_or(0);
                    let below = &plan[journey..];
                    for node in ["SortExec", "RepartitionExec", "CoalescePartitionsExec", "SortPreservingMergeExec"] {
                        assert!(!below.contains(node), "{name} with {threads} threads:\n{plan}");
                    }
                }
            }
        });
    });
}

#[test]
fn first_rows_are_read_a_partition_at_a_time() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let engine = loaded.engine(8192, 4).await;
            for (sql, lines) in [
                ("SELECT * FROM events LIMIT 3", &["FirstRowsExec: fetch=3"][..]),
                ("SELECT * FROM hits LIMIT 3", &["FirstRowsExec: fetch=3"][..]),
                ("SELECT * FROM events WHERE tracking_code IS NOT NULL LIMIT 3", &["FirstRowsExec: fetch=3"][..]),
                (
                    "SELECT * FROM events LIMIT 3 OFFSET 2",
                    &["GlobalLimitExec: skip=2, fetch=3", "FirstRowsExec: fetch=5"][..],
                ),
            ] {
                let plan = plan(&engine, sql).await;
                assert!(lines.iter().all(|line| plan.contains(line)), "{sql}:\n{plan}");
                for node in ["SortExec", "RepartitionExec", "CoalescePartitionsExec"] {
                    assert!(!plan.contains(node), "{sql}:\n{plan}");
                }
            }
            for sql in [
                "SELECT * FROM events",
                "SELECT * FROM events ORDER BY hit_time LIMIT 3",
                "SELECT visitor_id, count(*) FROM events GROUP BY 1 LIMIT 3",
                "SELECT * FROM events LIMIT 100000",
            ] {
                let plan = plan(&engine, sql).await;
                assert!(!plan.contains("FirstRowsExec"), "{sql}:\n{plan}");
            }
        });
    });
}

#[test]
fn explain_analyze_counts_what_the_operator_did() {
    deep(|runtime| {
        runtime.block_on(async {
            let loaded = small_world().load(false).await;
            let engine = loaded.engine(8192, 1).await;
            let batches = engine.collect(&format!("EXPLAIN ANALYZE {PARTICIPATION}")).await.unwrap();
            let text: String = batches.iter().map(|b| b.column(1).as_string::<i32>().value(0).to_string()).collect();
            let line = text.lines().find(|line| line.contains("JourneyExec")).unwrap_or_else(|| panic!("{text}"));
            // 20 hits and 12 records, of which some have no visitor
            for metric in ["input_rows=32", "visitors=4", "conversions=", "walk_time="] {
                assert!(line.contains(metric), "{metric} is not in {line}");
            }
        });
    });
}
