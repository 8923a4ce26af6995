//! On SeaweedFS, with processes: commands killed at any moment, many writers at once, and what no log may say.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use rejoin::ErrorKind;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::lake::Lake;
use rejoin::lake::guard::Writers;
use rejoin::lake::suites::{SuiteChanges, create_suite, suites};
use serde_json::{Value, json};
use url::Url;

use crate::compaction::MAPPING;
use crate::faulty::{Fault, Faulty};
use crate::place::{Place, deep};
use crate::{stores, table};

const ROWS: u64 = 20;

/// A request is tried for a quarter of a minute; without our word, for three.
const TRIES: Duration = Duration::from_secs(120);

/// A suite on S3, its mapping, and `files` files of hits, each with its number as orders.
fn place_with(files: std::ops::Range<usize>) -> Place {
    let place = Place::on_s3();
    place.rejoin("suite create web").ok();
    place.write("web.toml", MAPPING);
    for number in files {
        let rows = (0..ROWS).map(|row| {
            let (visitor, minute) = (row % 7, row);
            format!(
                r#"{{"visitor":"v{visitor}","time":"2026-09-01T10:{minute:02}:00Z","page":"p{number}","orders":1}}"#
            ) + "\n"
        });
        place.write(&format!("{number:03}.ndjson"), rows.collect::<String>());
    }
    place
}

fn start(place: &Place, arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(arguments));
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Rows and orders by file.
fn by_file(place: &Place) -> BTreeMap<String, (u64, f64)> {
    let rows = place.query("SELECT file, count(*) AS n, sum(orders) AS orders FROM hits GROUP BY 1");
    let row = |row: &Value| {
        (row["file"].as_str().unwrap().to_string(), (row["n"].as_u64().unwrap(), row["orders"].as_f64().unwrap()))
    };
    rows.as_array().unwrap().iter().map(row).collect()
}

fn whole(files: usize) -> BTreeMap<String, (u64, f64)> {
    (0..files).map(|number| (format!("{number:03}.ndjson"), (ROWS, ROWS as f64))).collect()
}

/// A sequence that looks random and is the same every time.
fn random(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// Fifty commands of a loop of loads, rebuilds and compactions are killed at some moment of their run; each is tried again
/// sooner or later, and in the end every row is there once.
#[test]
fn killed_commands_leave_the_lake_whole() {
    const FILES: usize = 11;
    let place = place_with(0..FILES);
    place.rejoin("source create web leads --kind transaction").ok();
    place.sh("offline leads <<END\nDate        transactionID  Event 1\n09/20/2026  T1             100\nEND\n");
    let mut state = 4711;
    place.rejoin("ingest --suite web --source leads leads.txt").ok();
    // as long as a command takes here, so that the moments lie all over it
    let begun = Instant::now();
    place.rejoin("ingest --mapping web.toml 000.ndjson").ok();
    let usual_ms = begun.elapsed().as_millis() as u64;
    for kill in 0..50 {
        let file = format!("{:03}.ndjson", 1 + kill / 5);
        let arguments: &[&str] = match kill % 5 {
            0 | 2 => &["ingest", "--mapping", "web.toml", &file],
            1 | 3 => &["rebuild"],
            _ => &["compact"],
        };
        let mut command = start(&place, arguments);
        std::thread::sleep(Duration::from_millis(random(&mut state, usual_ms)));
        command.kill().unwrap();
        command.wait().unwrap();
        if kill % 10 == 9 {
            // a reader finds whole files only, whatever was interrupted
            for (name, seen) in by_file(&place) {
                assert_eq!(seen, (ROWS, ROWS as f64), "{name} after kill {kill}");
            }
        }
    }
    place.sh("rejoin ingest --mapping web.toml *.ndjson; rejoin rebuild; rejoin compact");
    assert_eq!(by_file(&place), whole(FILES));
    let pages = place.query("SELECT item, credit FROM participation('orders', 'page_name', 'visit') ORDER BY 1");
    assert_eq!(pages.as_array().unwrap().len(), FILES);
    let log =
        place.query("SELECT file, count(*) AS n FROM files WHERE status = 'loaded' GROUP BY 1 HAVING count(*) > 1");
    assert_eq!(log, json!([]));
    let report = place.query("SELECT file, records, unmatched FROM join_report");
    assert_eq!(report, json!([{"file": "leads.txt", "records": 1, "unmatched": 1}]));
    let rebuilds = place.query("SELECT count(*) - count(DISTINCT rebuild) AS twice FROM rebuilds");
    assert_eq!(rebuilds[0]["twice"], 0);
    assert!(place.rejoin("rebuild").ok().stdout.contains("nothing is stale"));
}

/// Four processes load different files at once, and one asks all the time. Two minutes with `REJOIN_ALL_SETTINGS`, else a
/// quarter of a minute.
#[test]
fn many_writers_and_a_reader() {
    let seconds = if std::env::var_os("REJOIN_ALL_SETTINGS").is_some() { 120 } else { 15 };
    let place = place_with(0..400);
    let end = Instant::now() + Duration::from_secs(seconds);
    let loaded: usize = std::thread::scope(|scope| {
        let place = &place;
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                scope.spawn(move || {
                    let mut loaded = 0;
                    while Instant::now() < end && loaded < 100 {
                        let file = format!("{:03}.ndjson", loaded * 4 + writer);
                        let done = place.rejoin_with(&["ingest", "--mapping", "web.toml", &file]);
                        if done.code == 5 {
                            continue;
                        }
                        done.ok();
                        loaded += 1;
                    }
                    loaded
                })
            })
            .collect();
        let mut seen = 0;
        // before the first load there is no such column
        while Instant::now() < end
            && !place.rejoin_with(&["query", "SHOW COLUMNS FROM hits"]).ok().stdout.contains("orders")
        {}
        while Instant::now() < end {
            let files = by_file(place);
            assert!(files.len() >= seen, "{} files after {seen}", files.len());
            seen = files.len();
            for (name, rows) in files {
                assert_eq!(rows, (ROWS, ROWS as f64), "{name}");
            }
        }
        writers.into_iter().map(|writer| writer.join().unwrap()).sum()
    });
    let files = by_file(&place);
    assert_eq!(files.len(), loaded);
    assert!(files.values().all(|rows| *rows == (ROWS, ROWS as f64)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM files WHERE status = 'loaded'"), loaded);
    eprintln!("{loaded} files in {seconds} s");
}

/// Nothing that commands print, at any level of detail, and nothing that they store, holds a secret.
#[test]
fn secrets_stay_secret() {
    const TOKEN: &str = "the-session-token-of-the-tests-1147";
    let place = place_with(0..1);
    let run = |arguments: &[&str], level: &str, variables: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args(arguments));
        let output = command.env("RUST_LOG", level).envs(variables.iter().copied()).output().unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        for secret in [stores::SECRET, TOKEN, "hushhush"] {
            assert!(!text.contains(secret), "{arguments:?} told {secret}");
        }
        (output.status.code().unwrap(), text)
    };
    for (arguments, code) in [
        (&["ingest", "--mapping", "web.toml", "000.ndjson"][..], 0),
        (&["rebuild"], 0),
        (&["query", "SELECT count(*) FROM hits"], 0),
        (&["query", "SELECT nothing FROM hits"], 7),
        (&["doctor"], 0),
        (&["status", "--json"], 0),
    ] {
        let (ended, text) = run(arguments, "trace", &[]);
        assert_eq!(ended, code, "{arguments:?}: {}", &text[text.len().saturating_sub(2000)..]);
        assert!(
            text.lines().any(|line| line.contains("TRACE") || line.contains("DEBUG")),
            "{arguments:?} logged nothing"
        );
    }
    let token = [("AWS_SESSION_TOKEN", TOKEN)];
    run(&["status"], "trace", &token);
    let (code, text) = run(&["status"], "debug", &[("AWS_ACCESS_KEY_ID", "somebodyelse")]);
    assert!(code == 6 && text.contains("check the credentials"), "{code}: {text}");
    let (code, text) = run(&["doctor"], "off", &[("AWS_ACCESS_KEY_ID", "somebodyelse")]);
    assert!(code == 6 && text.contains("check the credentials"), "{code}: {text}");
    let (code, text) = run(&["status"], "debug", &[("AWS_ENDPOINT_URL", "http://me:hushhush@127.0.0.1:1")]);
    assert!(code == 3 && text.contains("AWS_ENDPOINT_URL"), "{code}: {text}");
    for location in ["s3://me:hushhush@lake/x", "s3://lake/x?X-Amz-Signature=hushhush", "s3://me:hush:hushhush@lake"] {
        let (code, text) = run(&["status", "--lake", location], "debug", &[]);
        assert_eq!(code, 2, "{text}");
    }
    // and nothing is stored
    deep(|runtime| {
        runtime.block_on(async {
            let bucket = stores::server().bucket();
            let root = Path::from(place.path().file_name().unwrap().to_str().unwrap());
            let objects: Vec<_> = bucket.list(Some(&root)).try_collect().await.unwrap();
            assert!(objects.len() > 5);
            for object in objects {
                assert!(!object.location.as_ref().contains("_probe"), "a probe is left: {}", object.location);
                let bytes = bucket.get(&object.location).await.unwrap().bytes().await.unwrap();
                for secret in [stores::SECRET, stores::KEY_ID] {
                    let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                    assert!(!found, "{} holds {secret}", object.location);
                }
            }
        });
    });
}

/// An address where nobody listens is told after a while, with what to do, and not after minutes of tries.
#[test]
fn a_wrong_endpoint_is_told() {
    let place = Place::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(["status", "--lake", "s3://lake/x"]));
    command.envs(stores::server().environment()).env("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let begun = Instant::now();
    let output = command.output().unwrap();
    assert!(begun.elapsed() < TRIES, "{:?}", begun.elapsed());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{text}");
    assert!(text.contains("127.0.0.1:1") && text.contains("check AWS_ENDPOINT_URL"), "{text}");
}

/// Which credentials are missing is told before anybody is asked, for who does not answer ends a command with 6. A profile is read
/// or named.
#[test]
fn missing_credentials_are_named() {
    let place = place_with(0..0);
    let nothing: &[(&str, &str)] = &[];
    place.write(
        "credentials",
        format!(
            "[tests]\naws_access_key_id = {}\naws_secret_access_key = {}\n[half]\naws_access_key_id = x\n",
            stores::KEY_ID,
            stores::SECRET
        ),
    );
    place.write("config", "[profile tests]\nregion = us-east-1\n[profile staff]\nsso_session = corp\n");
    let run = |more: &[(&str, &str)]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.arg("status"));
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_PROFILE"] {
            command.env_remove(name);
        }
        for (variable, file) in [("AWS_SHARED_CREDENTIALS_FILE", "credentials"), ("AWS_CONFIG_FILE", "config")] {
            command.env(variable, place.path().join(file));
        }
        let output = command.envs(more.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!text.contains(stores::SECRET), "{text}");
        (output.status.code(), text)
    };
    for (more, names) in [
        (nothing, &["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"][..]),
        (&[("AWS_ACCESS_KEY_ID", "x")], &["AWS_SECRET_ACCESS_KEY is not"]),
        (&[("AWS_PROFILE", "nobody")], &["AWS_PROFILE nobody"]),
        (&[("AWS_PROFILE", "half")], &["half has no aws_secret_access_key"]),
        (&[("AWS_PROFILE", "staff")], &["sso_session, which is not read", "export-credentials --profile staff"]),
    ] {
        let (code, text) = run(more);
        assert_eq!(code, Some(3), "{more:?}: {text}");
        names.iter().for_each(|name| assert!(text.contains(name), "{name}: {text}"));
    }
    let (code, text) = run(&[("AWS_PROFILE", "tests")]);
    assert_eq!(code, Some(0), "{text}");
}

/// A store that does not answer for some seconds is waited for.
#[test]
fn a_store_that_restarts_is_waited_for() {
    let place = place_with(0..1);
    let late = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = late.local_addr().unwrap();
    drop(late);
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(["ingest", "--mapping", "web.toml", "000.ndjson"]));
    command.env("AWS_ENDPOINT_URL", format!("http://{address}")).stdout(Stdio::null()).stderr(Stdio::piped());
    let command = command.spawn().unwrap();
    std::thread::sleep(Duration::from_secs(7));
    let late = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for from in late.incoming() {
            let from = from.unwrap();
            let to = TcpStream::connect(stores::server().endpoint.trim_start_matches("http://")).unwrap();
            for (mut from, mut to) in [(from.try_clone().unwrap(), to.try_clone().unwrap()), (to, from)] {
                std::thread::spawn(move || std::io::copy(&mut from, &mut to).map(|_| to.shutdown(Shutdown::Both)));
            }
        }
    });
    let output = command.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(by_file(&place), whole(1));
}

/// A query goes on with the version that it began with, whatever is loaded, rebuilt and merged meanwhile.
#[test]
fn a_query_that_has_begun_ends_as_it_began() {
    let place = place_with(0..6);
    place.sh("rejoin ingest --mapping web.toml 000.ndjson 001.ndjson 002.ndjson 003.ndjson; rejoin rebuild");
    deep(|runtime| {
        runtime.block_on(async {
            let settings = EngineSettings { batch_size: Some(4), ..EngineSettings::default() };
            let engine = Engine::open(place.open_lake(), settings).await.unwrap();
            let mut running = engine.run("SELECT visitor_id, page_name, orders FROM events").await.unwrap();
            let first = running.rows.try_next().await.unwrap().unwrap().num_rows() as u64;
            place.sh("rejoin ingest --mapping web.toml 004.ndjson 005.ndjson; rejoin remove 000.ndjson");
            place.sh("rejoin rebuild; rejoin compact; rejoin rebuild --full");
            let rest: Vec<_> = running.rows.try_collect().await.unwrap();
            assert_eq!(first + rest.iter().map(|batch| batch.num_rows() as u64).sum::<u64>(), 4 * ROWS);
            let now = table::rows(&engine, "SELECT count(*) FROM events").await.unwrap().1;
            assert_eq!(now, [[(5 * ROWS).to_string()]]);
        });
    });
}

/// A store that overwrites what was only to be created takes no writes, but from a writer who is alone.
#[test]
fn a_store_without_conditional_writes_is_refused() {
    deep(|runtime| {
        runtime.block_on(async {
            let inner = Arc::new(InMemory::new());
            let lake = |writers| {
                let store = Arc::new(Faulty::new(inner.clone(), Fault::Overwrites));
                Lake::with_store(Url::parse("s3://lake/a/").unwrap(), store, writers).unwrap()
            };
            let error = create_suite(&lake(Writers::Many), "web", &SuiteChanges::default()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Configuration, "{error}");
            assert!(error.to_string().contains("--single-writer"), "{error}");
            assert!(suites(&lake(Writers::Many)).await.unwrap().is_empty(), "reading needs no probe");
            let objects: Vec<_> = inner.list(None).try_collect().await.unwrap();
            assert!(objects.is_empty(), "{objects:?}");
            let alone = lake(Writers::One);
            for name in ["web", "shop"] {
                create_suite(&alone, name, &SuiteChanges::default()).await.unwrap();
            }
            let again = create_suite(&alone, "web", &SuiteChanges::default()).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Conflict);
            assert_eq!(suites(&alone).await.unwrap().len(), 2);
            assert!(alone.check_writes().await.is_ok() && lake(Writers::Many).check_writes().await.is_err());
        });
    });
}

/// A store that is not there: who waits is told after two seconds, and in the end what to look at, once, by each command.
#[test]
fn a_store_that_does_not_answer_is_named() {
    let place = Place::new();
    // nobody listens there any more
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let told = |lake: &str, arguments: &[&str], endpoint: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args(arguments));
        command.envs(stores::server().environment()).env("REJOIN_LAKE", lake);
        if let Some(endpoint) = endpoint {
            command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_ALLOW_HTTP", "true");
        }
        let begun = Instant::now();
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // neither XML nor colours, in what is no terminal
        assert!(!output.status.success() && !said.contains(['<', '\x1b']), "{arguments:?}: {said}");
        (output.status.code(), said, begun.elapsed())
    };
    let endpoint = format!("http://{gone}");
    std::thread::scope(|scope| {
        let commands: [&[&str]; 3] = [&["status"], &["query", "SELECT 1 FROM hits"], &["ingest", "s3://bucket/feed/"]];
        let commands = commands.map(|arguments| {
            let (told, endpoint) = (&told, &endpoint);
            scope.spawn(move || told("s3://bucket/lake", arguments, Some(endpoint.as_str())))
        });
        for command in commands {
            let (code, said, took) = command.join().unwrap();
            assert_eq!(code, Some(6), "{said}");
            for part in ["waiting for 127.0.0.1", "does not answer", ", tried for ", "AWS_ENDPOINT_URL"] {
                assert!(said.contains(part), "{part}: {said}");
            }
            assert!(took < TRIES, "{took:?}: {said}");
        }
    });
    // and a bucket that is not
    told("s3://no-such-bucket/lake", &["status"], None);
}
