//! What a store is asked: each request is a wait, and costs money.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use object_store::local::LocalFileSystem;
use rejoin::columns::visitor_key;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::ingest::{IngestOptions, Status, ingest};
use rejoin::lake::guard::Writers;
use rejoin::lake::layout::{BUCKETS, TAG_BUCKET, bucket_of};
use rejoin::lake::tables::{HITS, INTEGRATED, OFFLINE};
use rejoin::lake::{Lake, Snapshot};
use rejoin::rebuild::{RebuildOptions, rebuild};
use url::Url;

use crate::faulty::{Fault, Faulty};
use crate::place::{Place, deep};

/// A lake that has been rebuilt more often than a checkpoint takes, made once.
static BASE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::lasting();
    place.sh(r#"
rejoin suite create web
rejoin source create web leads --kind transaction
online a <<END
visitor  time              page_name  transaction_id  orders
v1       2026-09-01 10:00  home       T1              1
v2       2026-09-01 10:10  cart       T2              2
END
offline one <<END
Date        transactionID  Event 1
09/20/2026  T1             100
END
rejoin ingest one.txt --suite web --source leads
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do rejoin rebuild --full; done
"#);
    place
});

/// Whatever the past of a lake: so many requests tell that nothing is new, and none of them writes.
#[test]
fn a_rebuild_with_nothing_new_asks_little() {
    let place = Place::with_lake_of(&BASE);
    deep(|runtime| {
        let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), Fault::None));
        let url = Url::from_directory_path(place.lake()).unwrap();
        let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
        let options = RebuildOptions::default();
        let done = runtime.block_on(rebuild(&lake, &EngineSettings::default(), &options, &|_| {})).unwrap();
        assert!(done.up_to_date);
        let (requests, writes) = store.counts();
        assert!((1..=11).contains(&requests) && writes == 0, "{requests} requests, {writes} writes");
    });
}

/// One late record: the logs are read once each, and what the queries read of such small files is all that comes on top.
#[test]
fn a_rebuild_reads_each_log_once() {
    let place = Place::with_lake_of(&BASE);
    place.sh("offline two <<END
Date        transactionID  Event 1
09/21/2026  T2             100
END
rejoin ingest two.txt --suite web --source leads");
    deep(|runtime| {
        let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), Fault::None));
        let url = Url::from_directory_path(place.lake()).unwrap();
        let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
        let options = RebuildOptions::default();
        runtime.block_on(rebuild(&lake, &EngineSettings::default(), &options, &|_| {})).unwrap();
        let requests = store.requests();
        let of_logs = requests.iter().filter(|request| request.starts_with("get") && request.contains("_delta_log/0"));
        let mut times = BTreeMap::<_, usize>::new();
        for request in of_logs {
            *times.entry(request).or_default() += 1;
        }
        // what a small table holds is read from its last commit, and once more through its log by writers that add to it; the
        // version that the last rebuild saw is read beside the newest one
        times.retain(|_, times| *times > 3);
        assert!(times.is_empty(), "{times:#?}");
        assert!(requests.len() < 200, "{} requests: {requests:#?}", requests.len());
    });
}

/// Requests for files of hits that were there before, of a rebuild after one more load, and then of a full one.
fn of_old_hits(persons: &str) -> [usize; 2] {
    let place = Place::new();
    place.sh(&format!(
        "rejoin suite create web --persons {persons}
online a <<END
visitor  time              page_name  customer_id
v1       2026-09-01 10:00  home       ann
v2       2026-09-01 10:10  cart       bob
v3       2026-09-01 10:10  cart       ann
v4       2026-09-01 10:10  cart       .
END
rejoin rebuild --no-compact"
    ));
    let old = files_of(&place, HITS);
    place.sh("online b <<END
visitor  time              page_name  customer_id
v1       2026-09-02 10:00  home       bob
v5       2026-09-02 10:00  home       ann
END");
    [false, true].map(|full| rebuilt_asking_for(&place, &old, full))
}

fn files_of(place: &Place, table: &str) -> Vec<String> {
    let entries = std::fs::read_dir(place.lake().join(table)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".parquet")).collect()
}

/// Requests of a rebuild for these files.
fn rebuilt_asking_for(place: &Place, files: &[String], full: bool) -> usize {
    deep(|runtime| {
        let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), Fault::None));
        let url = Url::from_directory_path(place.lake()).unwrap();
        let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
        let options = RebuildOptions { full, ..RebuildOptions::default() };
        let done = runtime.block_on(rebuild(&lake, &EngineSettings::default(), &options, &|_| {})).unwrap();
        assert_eq!(done.entry.scope, if full { "full" } else { "changed" });
        let is_one = |request: &&String| files.iter().any(|name| request.contains(name.as_str()));
        store.requests().iter().filter(is_one).count()
    })
}

/// A snapshot hangs on no hit after it; its visitor's hits are read again for one before it.
#[test]
fn hits_after_all_snapshots_ask_for_no_old_hits() {
    let place = Place::new();
    place.sh("rejoin suite create web
online a <<END
visitor  time              page_name  transaction_id
v1       2026-09-02 10:00  home       T1
v2       2026-09-02 10:10  cart       .
END
rejoin rebuild --no-compact");
    let old = files_of(&place, HITS);
    let mut asked = vec![];
    for (name, time) in [("after", "2026-09-03 10:00"), ("before", "2026-09-01 10:00")] {
        place.sh(&format!(
            "online {name} <<END
visitor  time              page_name
v1       {time}  home
END"
        ));
        asked.push(rebuilt_asking_for(&place, &old, false));
    }
    assert!(asked[0] == 0 && asked[1] > 0, "{asked:?}");
}

/// Hits that bear no ID of a record leave integrated rows and the join report as they are; nobody looks at them.
#[test]
fn hits_without_ids_of_records_ask_for_no_integrated_rows() {
    let place = Place::with_lake_of(&BASE);
    let integrated = files_of(&place, INTEGRATED);
    let mut asked = vec![];
    for (name, transaction, customer) in [("anybody", ".", "."), ("others", "T3", "ann"), ("known", "T1", ".")] {
        place.sh(&format!(
            "online {name} <<END
visitor  time              page_name  transaction_id  customer_id
v3       2026-09-03 10:00  home       {transaction}  {customer}
END"
        ));
        asked.push(rebuilt_asking_for(&place, &integrated, false));
    }
    assert!(!integrated.is_empty() && asked[..2] == [0, 0] && asked[2] > 0, "{asked:?}");
}

/// Records that came tie others to them; these are looked for once, however many kinds of records are due.
#[test]
fn records_that_came_ask_once_for_those_of_before() {
    let place = Place::with_lake_of(&BASE);
    place.sh("rejoin source create web calls --kind customer");
    let old = files_of(&place, OFFLINE);
    let leads = |name: &str| {
        format!(
            "offline {name} <<END
Date        transactionID  Event 1
09/21/2026  T1             100
END
rejoin ingest {name}.txt --suite web --source leads
"
        )
    };
    let calls = "offline calls <<END
Date        VisitorID  Event 1
09/21/2026  ann        1
END
rejoin ingest calls.txt --suite web --source calls
";
    let asked = [leads("two"), leads("three") + calls].map(|script| {
        place.sh(&script);
        rebuilt_asking_for(&place, &old, false)
    });
    assert!(asked[0] > 0 && asked[0] == asked[1], "{asked:?}");
}

/// Persons are found anew by each rebuild; the hits that were read for that before are not read again.
#[test]
fn persons_ask_no_more_of_old_hits() {
    let ([without, full_without], [with, full_with]) = (of_old_hits("off"), of_old_hits("device_split"));
    assert_eq!(with, without);
    assert!(full_with > full_without, "{full_with} requests with persons, {full_without} without");
}

/// A plan tells nothing that only the files know. Each file is then asked once for its footer and once for rows.
#[test]
fn a_question_is_planned_without_a_look_at_files() {
    let place = Place::with_lake_of(&BASE);
    deep(|runtime| {
        let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), Fault::None));
        let url = Url::from_directory_path(place.lake()).unwrap();
        let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
        // whole buckets: of each range of keys the footer is looked at
        let settings = EngineSettings { threads: Some(2), ..EngineSettings::default() };
        let engine = Engine::open_at(lake, settings, None).unwrap();
        let of_hits = || {
            let mut times = BTreeMap::<String, usize>::new();
            for request in store.requests().iter().filter(|request| request.contains(".parquet")) {
                let path = request.split_once(' ').unwrap().1;
                if path.contains("hits/") {
                    *times.entry(path.to_string()).or_default() += 1;
                }
            }
            times
        };
        let question = "SELECT item, credit FROM participation('orders', 'page_name')";
        runtime.block_on(engine.collect(&format!("EXPLAIN {question}"))).unwrap();
        assert_eq!(of_hits(), BTreeMap::new());
        let rows = runtime.block_on(engine.collect(question)).unwrap();
        assert_eq!(rows.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
        let times = of_hits();
        assert!(!times.is_empty() && times.values().all(|times| *times == 2), "{times:#?}");
    });
}

/// Four visitors of each bucket.
fn visitors() -> Vec<String> {
    let of = |bucket: usize| {
        let all = (0..).map(|n| format!("v{n}"));
        all.filter(move |visitor| bucket_of(visitor_key(visitor)) == bucket).take(4)
    };
    (0..BUCKETS).flat_map(of).collect()
}

/// Asks questions one after the other over two files a bucket, to which each of [`visitors`] has given a hit: how often each
/// question asks for files of hits, by bucket.
fn of_buckets<const N: usize>(questions: [&str; N]) -> [BTreeMap<usize, usize>; N] {
    let place = Place::new();
    let load = |day: u8| {
        let rows = visitors().iter().map(|v| format!("{v}  2026-09-0{day} 10:00  home\n")).collect::<String>();
        format!("online day{day} <<END\nvisitor  time  page_name\n{rows}END\n")
    };
    place.sh(&format!("rejoin suite create web\n{}{}rejoin rebuild --no-compact", load(1), load(2)));
    deep(|runtime| {
        let store = Arc::new(Faulty::new(Arc::new(LocalFileSystem::new()), Fault::None));
        let url = Url::from_directory_path(place.lake()).unwrap();
        let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
        let hits = runtime.block_on(Snapshot::open(&lake, "hits", None)).unwrap();
        assert_eq!(hits.files.len(), 2 * BUCKETS);
        let bucket_of_request = |request: &String| {
            let file = hits.files.iter().find(|file| request.contains(&file.relative))?;
            file.tags.get(TAG_BUCKET)?.parse::<usize>().ok()
        };
        let settings = EngineSettings { threads: Some(2), ..EngineSettings::default() };
        let engine = Engine::open_at(lake, settings, None).unwrap();
        questions.map(|question| {
            let before = store.requests().len();
            runtime.block_on(engine.collect(question)).unwrap();
            let mut times = BTreeMap::new();
            for bucket in store.requests()[before..].iter().filter_map(&bucket_of_request) {
                *times.entry(bucket).or_default() += 1;
            }
            times
        })
    })
}

/// The first rows come out of one bucket: of each of its files the footer is read, and rows.
#[test]
fn first_rows_ask_one_bucket() {
    let [first, offset, filtered, too_many] = of_buckets([
        "SELECT * FROM events LIMIT 4",
        "SELECT * FROM events LIMIT 2 OFFSET 2",
        "SELECT * FROM events WHERE page_name = 'home' LIMIT 8",
        "SELECT * FROM events LIMIT 9",
    ]);
    assert_eq!(first, BTreeMap::from([(0, 4)]));
    // the footers are known by now
    assert_eq!(offset, BTreeMap::from([(0, 2)]));
    assert_eq!(filtered, BTreeMap::from([(0, 2)]));
    assert!(too_many.len() > 1, "{too_many:?}");
}

/// One visitor's rows are looked for in the files of its bucket alone. What these say of their pages is kept with their footers.
#[test]
fn a_visitor_asks_one_bucket() {
    let (visitors, bucket) = (visitors(), 5);
    let (one, other) = (&visitors[4 * bucket], &visitors[4 * (bucket - 2)]);
    let columns = format!("SELECT hit_time, page_name FROM events WHERE visitor_id = '{one}' ORDER BY hit_time");
    let rows = format!("SELECT * FROM events WHERE visitor_id = '{one}'");
    let two = format!("SELECT * FROM events WHERE visitor_id IN ('{one}', '{other}')");
    let [first, again, all, both] = of_buckets([&columns, &columns, &rows, &two]);
    assert_eq!(first, BTreeMap::from([(bucket, 4)]));
    assert_eq!(again, BTreeMap::from([(bucket, 2)]));
    assert_eq!(all, BTreeMap::from([(bucket, 2)]));
    assert_eq!(both, BTreeMap::from([(bucket - 2, 4), (bucket, 2)]));
}

/// The bytes of an input are read once, whatever has to be known of them before the first row is decoded.
#[test]
fn an_input_is_read_once() {
    let place = Place::new();
    place.sh(r#"
rejoin suite create web
rejoin source create web strict --kind transaction --on-error stop
for date in 2026-09-01 2026-09-02 2026-09-03; do printf '%s\n' 'visitor  time  visit  post_pagename' "1_1  $date 10:00  1  home" >$date; done
feed web 2026-09-01 --parts 2 <2026-09-01
feed web 2026-09-02 --layout tar --lookups-first <2026-09-02
feed web 2026-09-03 --no-manifest <2026-09-03
feed web 2026-09-01 --parts 2 --anew --dir anew <2026-09-01
feed web 2026-09-02 --layout tar --anew --dir anew <2026-09-02
touch feed/web_2026-09-03.fin
mkdir strict
cd strict
offline one <<END
Date        transactionID  Event 1
09/20/2026  T1             100
END
echo '{"columns":["Date","transactionID","Event 1"],"rows":[["09/20/2026","T2",2]],"reportSuiteID":"web","dataSourceID":"strict"}' >two.json
cd ..
online clicks --only-write <<END
visitor  time              page_name  orders
v1       2026-09-01 10:00  home       1
END
mkdir lines
sed s/home/cart/ clicks.csv | gzip >lines/packed.csv.gz
echo '{"visitor": "v2", "time": "2026-09-01T10:00:00Z", "page_name": "home", "orders": 1}' >lines/clicks.ndjson
rejoin query "SELECT 'v3' AS visitor, TIMESTAMP '2026-09-02 10:00:00' AS time, 'a' AS page_name, 1 AS orders" --format parquet -o lines/clicks.parquet
"#);
    let size = |files: &[&str]| -> u64 { files.iter().map(|f| place.path().join(f).metadata().unwrap().len()).sum() };
    let manifests = |date: &str| format!("feed/web_{date}.txt");
    let feed = |date: &str| {
        [manifests(date), format!("feed/01-web_{date}.tsv.gz"), format!("feed/web_{date}-lookup_data.tar.gz")]
    };
    let parts = feed("2026-09-01");
    let parts: Vec<&str> = parts.iter().map(String::as_str).chain(["feed/02-web_2026-09-01.tsv.gz"]).collect();
    let unlisted = feed("2026-09-03");
    let unlisted: Vec<&str> = unlisted[1..].iter().map(String::as_str).collect();
    let expected = [
        ("clicks.csv", size(&["clicks.csv"])),
        ("clicks.ndjson", size(&["lines/clicks.ndjson"])),
        ("clicks.parquet", size(&["lines/clicks.parquet"])),
        ("packed.csv.gz", size(&["lines/packed.csv.gz"])),
        ("strict/one.txt", size(&["strict/one.txt"])),
        ("strict/two.json", size(&["strict/two.json"])),
        ("web_2026-09-01", size(&parts)),
        ("web_2026-09-02", size(&["feed/web_2026-09-02.txt", "feed/web_2026-09-02.tar.gz"])),
        // nothing but its bytes says what a delivery without a manifest is, before it is decoded
        ("web_2026-09-03", 2 * size(&unlisted)),
    ];
    deep(|runtime| {
        let take = |paths: &[&str], mapping: Option<&str>| {
            let paths: Vec<_> = paths.iter().map(|path| place.path().join(path)).collect();
            let mappings = mapping.iter().map(|name| place.path().join(name)).collect();
            let options = IngestOptions { suite: Some("web".into()), mappings, ..IngestOptions::default() };
            runtime.block_on(ingest(&place.open_lake(), &paths, &options, &|_| {})).unwrap()
        };
        let again = |outcomes: Vec<rejoin::ingest::Outcome>| {
            let mut read: Vec<(String, u64)> = vec![];
            for outcome in outcomes {
                assert!(matches!(outcome.status, Status::Loaded), "{:?}", outcome.status);
                read.push((outcome.entry.file, outcome.bytes_read));
            }
            read
        };
        let mut read = again(take(&["feed", "strict"], None));
        read.extend(again(take(&["clicks.csv", "lines"], Some("clicks.toml"))));
        read.sort();
        assert_eq!(read, expected.map(|(name, bytes)| (name.to_string(), bytes)));
        // what is packed anew is unpacked to be compared, once
        let mut files: Vec<String> = parts.iter().map(|file| file.replace("feed/", "anew/")).collect();
        files.extend(["anew/web_2026-09-02.txt".to_string(), "anew/web_2026-09-02.tar.gz".into()]);
        let outcomes = take(&["anew"], None);
        assert!(outcomes.iter().all(|outcome| matches!(outcome.status, Status::Unchanged)), "{outcomes:?}");
        let bytes = size(&files.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(outcomes.iter().map(|outcome| outcome.bytes_read).sum::<u64>(), bytes);
    });
}
