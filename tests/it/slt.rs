//! Runs every `tests/slt/**/*.slt` in a folder and a lake of its own.
//!
//! `system` records are shell lines that make input files and call `rejoin`; `statement` and `query` records run
//! through the engine, each at several batch sizes, numbers of threads and of ranges of keys, since none may change a result.
//! `REJOIN_SLT=text` runs only the files whose path holds the text.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use arrow::datatypes::DataType;
use rejoin::engine::remote::Remote;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::Lake;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Record, Runner};
use tokio::runtime::Runtime;

use crate::place::{Place, deep, settle};
use crate::{members, table};

const BATCH_SIZES: [usize; 3] = [1, 7, 8192];
const THREADS: [usize; 3] = [1, 2, 4];

thread_local! {
    /// The folder and the lake of the file that this thread runs: the runner's hook for commands knows no instance.
    static HERE: RefCell<(PathBuf, String, Option<String>)> =
        const { RefCell::new((PathBuf::new(), String::new(), None)) };
}

/// One way through a file, in a lake of its own.
struct Way {
    sessions: Vec<Setting>,
    /// The scheduler and executors of the tests compute what its commands need, not this machine.
    commands_on_a_cluster: bool,
}

/// How a session computes its statements.
#[derive(Clone, Copy)]
struct Setting {
    batch_size: usize,
    threads: usize,
    on_a_cluster: bool,
}

#[test]
fn sql_logic() {
    run_all(cores() + 1, Place::new, |turn| Way { sessions: settings(turn), commands_on_a_cluster: false });
}

/// The same files, the lake on S3, with one setting a file, for it is the lake that is looked at, and computed by a scheduler and
/// two executors, where a batch of one row would only be slow. Both look at the same lake, which the commands of one file in four
/// write on the cluster as well: there a rebuild is many small jobs. Half of the time is spent waiting, so that more files run beside
/// each other.
#[test]
fn sql_logic_on_s3_and_on_a_cluster() {
    run_all(3 * cores(), Place::on_s3, |turn| {
        let here = settings(turn)[turn % 3];
        let (batch_size, threads) = (BATCH_SIZES[1 + turn % 2], THREADS[1 + turn / 2 % 2]);
        let there = Setting { batch_size, threads, on_a_cluster: true };
        Way { sessions: vec![here, there], commands_on_a_cluster: turn % 4 == 0 }
    });
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, |n| n.get())
}

/// Runs all files, so many beside each other.
fn run_all(workers: usize, place: fn() -> Place, way: fn(usize) -> Way) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/slt");
    let wanted = std::env::var("REJOIN_SLT").unwrap_or_default();
    let mut files = vec![];
    collect(&root, &mut files);
    files.retain(|f| f.to_string_lossy().contains(&wanted));
    files.sort();
    assert!(!files.is_empty(), "no .slt file below {} with {wanted:?} in its path", root.display());

    let (next, failures) = (AtomicUsize::new(0), Mutex::new(vec![]));
    std::thread::scope(|scope| {
        for _ in 0..workers.min(files.len()) {
            scope.spawn(|| {
                deep(|runtime| {
                    loop {
                        let turn = next.fetch_add(1, Ordering::Relaxed);
                        let Some(file) = files.get(turn) else { break };
                        // a panic of the engine fails its file, not the run
                        let result = catch_unwind(AssertUnwindSafe(|| run_file(file, place(), &way(turn), runtime)));
                        let result = result.unwrap_or_else(|_| Err("the engine panicked\n".into()));
                        if let Err(message) = result {
                            failures.lock().unwrap().push(format!("{}: {message}", file.display()));
                        }
                    }
                });
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    assert!(failures.is_empty(), "{} of {} files failed\n\n{}", failures.len(), files.len(), failures.join("\n"));
}

/// Every batch size and every number of threads once, in pairs that take turns from file to file; all nine pairs with
/// `REJOIN_ALL_SETTINGS`.
fn settings(turn: usize) -> Vec<Setting> {
    let pairs: Vec<(usize, usize)> = match std::env::var_os("REJOIN_ALL_SETTINGS") {
        Some(_) => BATCH_SIZES.iter().flat_map(|b| THREADS.iter().map(move |t| (*b, *t))).collect(),
        None => (0..3).map(|n| (BATCH_SIZES[n], THREADS[(n + turn) % 3])).collect(),
    };
    let here = |(batch_size, threads)| Setting { batch_size, threads, on_a_cluster: false };
    pairs.into_iter().map(here).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|e| e == "slt") {
            files.push(path);
        }
    }
}

/// One file: commands once, statements and queries in every session, in the file's order.
fn run_file(file: &Path, place: Place, way: &Way, runtime: &Runtime) -> Result<(), String> {
    let shared = |lake: &Lake, on_a_cluster: bool| on_a_cluster.then(|| members::shared(lake));
    let cluster = shared(&place.open_lake(), way.commands_on_a_cluster);
    let cluster = cluster.map(|members| members.scheduler.address.clone());
    HERE.with_borrow_mut(|here| *here = (place.path().to_path_buf(), place.location(), cluster));
    let records = sqllogictest::parse_file::<DefaultColumnType>(file).map_err(|e| e.to_string())?;
    let mut runners: Vec<_> = way
        .sessions
        .iter()
        .map(|&Setting { batch_size, threads, on_a_cluster }| {
            let lake = place.open_lake();
            let remote = shared(&lake, on_a_cluster).map(|members| members.remote(&lake));
            let runner = Runner::new(move || Session::open(lake.clone(), batch_size, threads, remote.clone()));
            let site = if on_a_cluster { " on a cluster" } else { "" };
            (format!("batch size {batch_size}, {threads} threads{site}"), runner)
        })
        .collect();
    runtime.block_on(async {
        for record in records {
            match record {
                Record::Halt { .. } => break,
                Record::System { .. } => {
                    runners[0].1.run_async(record).await.map_err(|e| e.to_string())?;
                }
                record => {
                    for (setting, runner) in &mut runners {
                        runner.run_async(record.clone()).await.map_err(|e| format!("{e}with {setting}\n"))?;
                    }
                }
            }
        }
        Ok(())
    })
}

/// Journeys are read from the lake's files, and with two threads through the SQL of `events`: the answers are the same.
pub async fn read_journeys(engine: &Engine, threads: usize) -> rejoin::Result<()> {
    if threads == 2 {
        engine.collect("SET rejoin.journeys = 'plain'").await?;
    }
    Ok(())
}

/// Keys are cut into 1, 3 (which is 4), 16 or 64 ranges at some batch sizes and numbers of threads, and else by the threads. A range
/// is a task on a cluster, where 64 of them would only be slow.
pub async fn cut_keys(engine: &Engine, batch_size: usize, threads: usize) -> rejoin::Result<()> {
    let ranges = match (batch_size, threads) {
        (8192, 4) if engine.remote().is_none() => 64,
        (7, 2) | (8192, 4) => 16,
        (1, 4) | (8192, 2) => 3,
        (1, 2) | (7, 1) => 1,
        _ => return Ok(()),
    };
    engine.collect(&format!("SET rejoin.ranges = {ranges}")).await?;
    Ok(())
}

/// One engine with its settings, as the runner sees a database.
struct Session {
    engine: Engine,
}

impl Session {
    async fn open(
        lake: Lake,
        batch_size: usize,
        threads: usize,
        remote: Option<Arc<dyn Remote>>,
    ) -> rejoin::Result<Self> {
        let settings = EngineSettings {
            remote,
            batch_size: Some(batch_size),
            threads: Some(threads),
            ..EngineSettings::default()
        };
        let engine = Engine::open(lake, settings).await?;
        read_journeys(&engine, threads).await?;
        cut_keys(&engine, batch_size, threads).await?;
        Ok(Self { engine })
    }
}

#[async_trait::async_trait]
impl AsyncDB for Session {
    type Error = rejoin::Error;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, rejoin::Error> {
        let (schema, rows) = table::rows(&self.engine, sql).await?;
        let types = schema.fields().iter().map(|f| column_type(f.data_type())).collect();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}

    async fn run_command(mut command: Command) -> std::io::Result<Output> {
        let lines = command.get_args().last().map(|a| a.to_os_string()).unwrap_or_default();
        command = Command::new("bash");
        command.arg("-euc").arg(lines);
        HERE.with_borrow(|(folder, location, cluster)| {
            settle(&mut command, folder, location);
            command.envs(cluster.iter().map(|address| ("REJOIN_CLUSTER", address)));
        });
        command.output()
    }
}

fn column_type(data_type: &DataType) -> DefaultColumnType {
    match data_type {
        t if t.is_integer() => DefaultColumnType::Integer,
        t if t.is_numeric() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}
