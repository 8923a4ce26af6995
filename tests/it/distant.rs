//! A distant store, where each request is a wait: how many of them wait for each other, and what becomes of those that nobody
//! wants any more.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use rejoin::columns::visitor_key;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::Lake;
use rejoin::lake::guard::Writers;
use rejoin::lake::layout::{BUCKETS, bucket_of};
use tokio::time::{sleep, timeout};
use url::Url;

use crate::place::{Place, deep};

/// What each request takes at least.
const WAIT: Duration = Duration::from_millis(30);

/// Who has no answer by then gets none.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder as a distant store.
#[derive(Debug)]
struct Distant {
    files: LocalFileSystem,
    requests: Arc<Mutex<Requests>>,
    /// Requests that are not answered before one of others was made.
    held_back: Option<[IsSuch; 2]>,
}

/// True for some requests.
type IsSuch = fn(&str) -> bool;

#[derive(Debug, Default)]
struct Requests {
    /// What was asked, in order.
    asked: Vec<String>,
    /// The longest chain of requests each of which was made when the one before was answered.
    rounds: usize,
    waiting: usize,
}

/// A request that was made, and how long the chain is of which it is the end.
struct Request {
    round: usize,
    requests: Arc<Mutex<Requests>>,
    until: Option<IsSuch>,
}

impl Request {
    async fn answered(self) {
        sleep(WAIT).await;
        if let Some(is_such) = self.until {
            while !self.requests.lock().unwrap().asked.iter().any(|what| is_such(what)) {
                sleep(WAIT / 10).await;
            }
        }
        let mut requests = self.requests.lock().unwrap();
        requests.rounds = requests.rounds.max(self.round);
    }
}

impl Drop for Request {
    // that it was answered, or that nobody waits for it any more
    fn drop(&mut self) {
        self.requests.lock().unwrap().waiting -= 1;
    }
}

impl Distant {
    fn new() -> Self {
        Self { files: LocalFileSystem::new(), requests: Arc::default(), held_back: None }
    }

    fn ask(&self, what: String) -> Request {
        let until = self.held_back.filter(|&[held_back, _]| held_back(&what)).map(|[_, until]| until);
        let mut requests = self.requests.lock().unwrap();
        requests.asked.push(what);
        requests.waiting += 1;
        Request { round: requests.rounds + 1, requests: self.requests.clone(), until }
    }

    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().asked.clone()
    }

    fn rounds(&self) -> usize {
        self.requests.lock().unwrap().rounds
    }

    fn waiting(&self) -> usize {
        self.requests.lock().unwrap().waiting
    }

    /// What a listing shows, in the order of names, as S3 does.
    fn listed(
        &self,
        what: String,
        files: BoxStream<'static, Result<ObjectMeta>>,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        let request = self.ask(what);
        let sorted = async move {
            request.answered().await;
            let mut files = files.try_collect::<Vec<_>>().await?;
            files.sort_by(|a, b| a.location.cmp(&b.location));
            Ok::<_, object_store::Error>(stream::iter(files.into_iter().map(Ok)))
        };
        stream::once(sorted).try_flatten().boxed()
    }
}

impl fmt::Display for Distant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Distant")
    }
}

#[async_trait]
impl ObjectStore for Distant {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.ask(format!("put {location}")).answered().await;
        self.files.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.ask(format!("put parts {location}")).answered().await;
        self.files.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.ask(format!("get {location} {:?}", options.range)).answered().await;
        self.files.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.ask(format!("get {location} {ranges:?}")).answered().await;
        self.files.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.files.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(format!("list {prefix:?}"), self.files.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.listed(format!("list {prefix:?} from {offset}"), self.files.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.ask(format!("list folders {prefix:?}")).answered().await;
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.ask(format!("copy {from}")).answered().await;
        self.files.copy_opts(from, to, options).await
    }
}

/// A lake with hits, offline records and integrated rows in each bucket, and more commits than a checkpoint takes. Nobody writes to it.
static PLACE: LazyLock<Place> = LazyLock::new(|| {
    let visitor = |bucket: usize| (0..).map(|n| format!("v{n}")).find(|v| bucket_of(visitor_key(v)) == bucket);
    let visitors: Vec<String> = (0..BUCKETS).filter_map(visitor).collect();
    let hits = visitors
        .iter()
        .enumerate()
        .map(|(n, v)| format!("{v}  2026-09-01 10:00  home  .  .\n{v}  2026-09-01 10:05  cart  T{n}  {}\n", n + 1));
    let records = (0..visitors.len()).map(|n| format!("09/20/2026  T{n}  100\n"));
    let place = Place::lasting();
    place.sh(&format!(
        "rejoin suite create web
rejoin source create web leads --kind transaction
online a <<END
visitor  time  page_name  transaction_id  orders
{}END
offline one <<END
Date  transactionID  Event 1
{}END
rejoin ingest one.txt --suite web --source leads
for n in 1 2 3 4 5 6 7 8 9 10 11 12; do rejoin rebuild --full; done",
        hits.collect::<String>(),
        records.collect::<String>()
    ));
    place
});

/// The lake in a distant store, with a fresh process's knowledge of it.
fn engine() -> (Arc<Distant>, Engine) {
    engine_over(Distant::new())
}

fn engine_over(store: Distant) -> (Arc<Distant>, Engine) {
    let store = Arc::new(store);
    let url = Url::parse(&format!("s3://distant{}/", PLACE.lake().display())).unwrap();
    let lake = Lake::with_store(url, store.clone(), Writers::Many).unwrap();
    let settings = EngineSettings { threads: Some(2), ..EngineSettings::default() };
    (store, Engine::open_at(lake, settings, None).unwrap())
}

/// The tables are opened side by side: what lies in their logs; the newest checkpoint and commits, of a small table its last
/// commit; the rows of the suites, with the footers of a report. Then the footers of several buckets at once, and their rows.
#[test]
fn few_requests_wait_for_each_other() {
    for (question, rows, most) in [
        ("SELECT item, credit FROM participation('orders', 'page_name')", 2, 7),
        ("SELECT page_name, count(*) FROM hits GROUP BY 1", 2, 6),
        ("SELECT h.page_name, i.event1, o.event1 FROM hits h, integrated i, offline o WHERE h.orders = 1", 64, 10),
        ("SELECT page_name, event1 FROM events WHERE row_kind = 'transaction'", 8, 9),
    ] {
        deep(|runtime| {
            let (store, engine) = engine();
            let found = runtime.block_on(engine.collect(question)).unwrap();
            assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows, "{question}");
            let asked = store.asked();
            assert!((2..=most).contains(&store.rounds()), "{question}: {} rounds of {asked:#?}", store.rounds());
            let different: BTreeSet<_> = asked.iter().collect();
            assert_eq!(different.len(), asked.len(), "{question}: asked twice: {asked:#?}");
            // the list of a log shows its checkpoints
            assert!(!asked.iter().any(|request| request.contains("_last_checkpoint")), "{question}: {asked:#?}");
            // the name of a function is no table
            assert!(!asked.iter().any(|request| request.contains("participation")), "{question}: {asked:#?}");
        });
    }
}

/// Of integrated rows that have nothing of what is asked for, not even the footers are read.
#[test]
fn files_without_what_is_asked_for_stay_closed() {
    let is_of_integrated_rows =
        |what: &String| what.contains("/integrated/") && !what.contains("_delta_log") && what.contains(".parquet");
    deep(|runtime| {
        for (metric, is_there) in [("orders", false), ("event1", true)] {
            let (store, engine) = engine();
            let question = format!("SELECT item, credit FROM participation('{metric}', 'page_name')");
            runtime.block_on(engine.collect(&question)).unwrap();
            assert_eq!(store.asked().iter().any(is_of_integrated_rows), is_there, "{metric}: {:#?}", store.asked());
        }
    });
}

/// The suites say what hits count as, and footers where their columns lie: neither waits for the other. Nothing would be answered if
/// footers did.
#[test]
fn footers_of_a_report_do_not_wait_for_suites() {
    deep(|runtime| {
        let is_of_suites: IsSuch = |what| what.contains("/suites/") && what.contains(".parquet");
        let is_of_hits: IsSuch = |what| what.contains("/hits/") && what.contains(".parquet");
        let held_back = Some([is_of_suites, is_of_hits]);
        let (store, engine) = engine_over(Distant { held_back, ..Distant::new() });
        let question = engine.collect("SELECT item, credit FROM participation('orders', 'page_name')");
        let found = runtime.block_on(async { timeout(PATIENCE, question).await });
        let found = found.unwrap_or_else(|_| panic!("{:#?}", store.asked())).unwrap();
        assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
        assert!(store.asked().iter().any(|what| is_of_suites(what)), "{:#?}", store.asked());
    });
}

/// However large the files are: DataFusion deals out large ones anew, to as many readers as there are threads, and each would wait
/// for one footer after the other.
#[test]
fn large_files_are_opened_side_by_side() {
    deep(|runtime| {
        let (store, engine) = engine();
        let large = "datafusion.optimizer.repartition_file_min_size";
        runtime.block_on(engine.collect(&format!("SET {large} = '1'"))).unwrap();
        let found = runtime.block_on(engine.collect("SELECT page_name, count(*) FROM hits GROUP BY 1")).unwrap();
        assert_eq!(found.iter().map(|batch| batch.num_rows()).sum::<usize>(), 2);
        assert!(store.rounds() <= 6, "{} rounds of {:#?}", store.rounds(), store.asked());
    });
}

/// The same question once more, to the same session: whether there is something new, and rows.
#[test]
fn what_is_known_is_not_asked_again() {
    deep(|runtime| {
        let (store, engine) = engine();
        let question = "SELECT item, credit FROM participation('orders', 'page_name')";
        runtime.block_on(engine.collect(question)).unwrap();
        let (before, rounds) = (store.asked().len(), store.rounds());
        runtime.block_on(engine.collect(question)).unwrap();
        let again = &store.asked()[before..];
        assert!(again.iter().all(|request| request.starts_with("list") || request.contains(".parquet")), "{again:#?}");
        assert!(store.rounds() - rounds <= 5, "{} rounds of {again:#?}", store.rounds() - rounds);
    });
}

/// Who goes takes along what was asked ahead.
#[test]
fn what_nobody_wants_any_more_is_dropped() {
    deep(|runtime| {
        let (store, engine) = engine();
        runtime.block_on(async {
            let mut running =
                engine.run("SELECT item, credit FROM participation('orders', 'page_name')").await.unwrap();
            let is_of_rows = |request: &String| request.contains("hits/") && !request.contains("_delta_log");
            // what was asked before is of footers
            let known = store.asked().len();
            let begun = async {
                while store.waiting() == 0 || !store.asked()[known..].iter().any(is_of_rows) {
                    sleep(WAIT / 10).await;
                }
            };
            tokio::select! {
                row = running.rows.next() => panic!("no row can be there yet: {row:?}"),
                () = begun => {}
            }
            assert!(store.waiting() > 0);
            drop(running);
            for _ in 0..100 {
                if store.waiting() > 0 {
                    sleep(WAIT / 10).await;
                }
            }
            let asked = store.asked().len();
            sleep(5 * WAIT).await;
            assert_eq!((store.waiting(), store.asked().len()), (0, asked));
        });
    });
}
