//! The scheduled run, through the binary: what it loads and in which order, one runner a lake, signals, health, history.
//! The timetable itself is driven through a year in `src/schedule`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::place::{Done, Place};

/// Nothing here takes so long on a busy machine.
const LONG: Duration = Duration::from_secs(300);

/// Short, and yet longer than a busy machine takes to start a process or to renew a lease.
const LEASE_SECONDS: &str = "10";

/// A runner in the background; killed with the value.
struct Runner {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Runner {
    /// Starts `rejoin schedule` with the real clock and a short lease, unless `variables` say otherwise.
    fn start(place: &Place, arguments: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.arg("schedule").args(arguments.split_whitespace()));
        command.env_remove("REJOIN_NOW").env("REJOIN_LEASE_SECONDS", LEASE_SECONDS).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let outputs: [Box<dyn Read + Send>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for output in outputs {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Self { child, lines, seen: vec![] }
    }

    /// Waits for a line that holds `text`.
    fn says(&mut self, text: &str) -> String {
        let end = Instant::now() + LONG;
        loop {
            match self.lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(error) => panic!("{text:?} was not said ({error}): {:?}", self.seen),
            }
        }
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(sent.success());
    }

    /// The exit code, when it has ended.
    fn ends(&mut self) -> Option<i32> {
        let end = Instant::now() + LONG;
        while Instant::now() < end {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the runner does not end: {:?}", self.lines.try_iter().collect::<Vec<_>>());
    }

    /// A GET by hand: status line and headers, body.
    fn get(address: &str, path: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_string(), body.to_string())
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // shown where the test fails
        eprintln!("the runner said {:?} {:?}", self.seen, self.lines.try_iter().collect::<Vec<_>>());
    }
}

/// A suite with sources, and an empty folder `in`.
fn place() -> Place {
    let place = Place::new();
    place.sh("mkdir in
rejoin suite create web --time-zone Europe/Berlin
rejoin source create web leads --kind transaction --metrics event1
rejoin source create web calls --kind summary --metrics event2 --dimensions evar1 --on-error stop");
    place
}

fn leads(place: &Place, name: &str, rows: &str) {
    place.write(&format!("in/{name}.txt"), format!("Date\ttransactionID\tEvent 1\n{}\n", rows.replace(' ', "\t")));
    place.write(&format!("in/{name}.fin"), "");
}

/// One run, as its document.
fn once(place: &Place, arguments: &str) -> (Done, Value) {
    let done = place.rejoin(&format!("schedule --once --watch in --json {arguments}"));
    let document =
        serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{e}: {} {}", done.stdout, done.stderr));
    (done, document)
}

fn files(document: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_string();
    document["files"].as_array().unwrap().iter().map(|f| (text(&f["file"]), text(&f["status"]))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(file, status)| (file.to_string(), status.to_string())).collect()
}

/// It is the first of October: September and October are kept.
#[test]
fn a_run_forgets_what_is_older_than_the_months_to_keep() {
    let place = place();
    leads(&place, "leads_1", "08/31/2026 L1 1\n09/01/2026 L2 2\n09/02/2026 L3 4");
    let (_, run) = once(&place, "--keep-months 2");
    assert_eq!((&run["status"], &run["rows"], &run["forgotten"]), (&json!("ok"), &json!(3), &json!(0)));
    let (_, run) = once(&place, "--keep-months 1");
    assert_eq!((&run["status"], &run["forgotten"], &run["rebuild"]), (&json!("ok"), &json!(2), &json!(2)));
    assert_eq!(place.cell("SELECT sum(event1) AS n FROM events"), 6.0);
    // the file is known, so that its old rows do not come back, and there is nothing more to forget
    let (_, run) = once(&place, "--keep-months 1");
    assert_eq!((&run["forgotten"], &run["rebuild"]), (&json!(0), &Value::Null));
    place.rejoin("schedule --once --watch in --keep-months 0").fails(2, &["--keep-months"]);
}

#[test]
fn a_run_loads_in_alphanumeric_order_and_rebuilds() {
    let place = place();
    // neither the order of creation nor that of folders
    for name in ["leads_10", "sub/leads_05", "leads_09", "a/leads_20"] {
        leads(&place, name, &format!("09/02/2026 {name} 1"));
    }
    place.write("in/leads_07.txt", "Date\ttransactionID\tEvent 1\n09/02/2026\tL1\t1\n");
    let (done, run) = once(&place, "");
    let done = done.ok();
    assert_eq!(done.stderr, "");
    assert_eq!(
        files(&run),
        pairs(&[
            ("a/leads_20.txt", "loaded"),
            ("leads_07.txt", "waiting"),
            ("leads_09.txt", "loaded"),
            ("leads_10.txt", "loaded"),
            ("sub/leads_05.txt", "loaded"),
        ])
    );
    assert_eq!((&run["run"], &run["status"], &run["rebuild"]), (&json!(1), &json!("ok"), &json!(1)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 4);
    // what is known is not read again; what waits is looked at again
    let (_, run) = once(&place, "");
    assert_eq!((files(&run), &run["rebuild"]), (pairs(&[("leads_07.txt", "waiting")]), &Value::Null));
    place.write("in/leads_07.fin", "");
    let (_, run) = once(&place, "");
    assert_eq!((files(&run), &run["rebuild"]), (pairs(&[("leads_07.txt", "loaded")]), &json!(2)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 5);
    assert_eq!(
        place.query("SELECT run, status, loaded, waiting, rows, rebuild FROM runs ORDER BY run"),
        json!([
            {"run": 1, "status": "ok", "loaded": 4, "waiting": 1, "rows": 4, "rebuild": 1},
            {"run": 2, "status": "ok", "loaded": 0, "waiting": 1, "rows": 0, "rebuild": null},
            {"run": 3, "status": "ok", "loaded": 1, "waiting": 0, "rows": 1, "rebuild": 2},
        ])
    );
    // a file that was taken out stays out, though it still lies there
    place.rejoin("remove leads_20.txt").ok();
    let (_, run) = once(&place, "");
    assert_eq!((files(&run), &run["rebuild"]), (vec![], &json!(3)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 4);
}

#[test]
fn a_refused_file_is_told_once_and_taken_when_it_is_corrected() {
    let place = place();
    leads(&place, "leads_1", "09/02/2026 L1 1");
    place.write("in/leads_2.txt", "Date\tEvent 1\n09/02/2026\t1\n");
    place.write("in/leads_2.fin", "");
    place.write("in/nobodys.txt", "Date\tEvent 1\n09/02/2026\t1\n");
    place.write("in/nobodys.fin", "");
    let (done, run) = once(&place, "");
    // two reasons: a refused input, and a setting that is missing
    done.fails(4, &["2 of 3 inputs"]);
    assert_eq!((&run["status"], &run["refused"], &run["loaded"]), (&json!("partly"), &json!(2), &json!(1)));
    assert!(run["message"].as_str().unwrap().contains("leads_2.txt"), "{run}");
    // the setting may have been made meanwhile; the file is as it was
    let (done, run) = once(&place, "");
    done.fails(3, &[]);
    assert_eq!(files(&run), pairs(&[("nobodys.txt", "refused")]));
    place.rejoin("source create web nobodys --kind summary --metrics event1").ok();
    leads(&place, "leads_2", "09/02/2026 L2 1");
    place.write("in/nobodys.txt", "Date\tEvar 1\tEvent 1\n09/02/2026\tx\t1\n");
    let (done, run) = once(&place, "");
    done.ok();
    assert_eq!(files(&run), pairs(&[("leads_2.txt", "loaded"), ("nobodys.txt", "loaded")]));
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 3);
}

#[test]
fn a_source_that_stopped_stays_stopped_until_it_is_restarted() {
    let place = place();
    let calls = |name: &str, date: &str| {
        place.write(&format!("in/{name}.txt"), format!("Date\tEvar 1\tEvent 2\n{date}\tx\t1\n"));
        place.write(&format!("in/{name}.fin"), "");
    };
    calls("calls_1", "09/02/2026");
    calls("calls_2", "no date");
    calls("calls_3", "09/03/2026");
    let (done, run) = once(&place, "");
    done.fails(4, &["1 of 3"]);
    assert_eq!(
        files(&run),
        pairs(&[("calls_1.txt", "loaded"), ("calls_2.txt", "refused"), ("calls_3.txt", "waiting")])
    );
    let aside = place.path().join("in/files_with_errors/calls_2.txt");
    assert!(aside.exists() && !place.path().join("in/calls_2.fin").exists());
    for _ in 0..2 {
        let (done, run) = once(&place, "");
        done.ok();
        assert_eq!(files(&run), pairs(&[("calls_3.txt", "waiting")]));
        assert_eq!(place.cell("SELECT status FROM sources WHERE source = 'calls'"), "stopped");
    }
    place.rejoin("source restart web calls").ok();
    let (done, run) = once(&place, "");
    done.ok();
    assert_eq!(files(&run), pairs(&[("calls_3.txt", "loaded")]));
    // the corrected file comes back under its name
    calls("calls_2", "09/04/2026");
    let (_, run) = once(&place, "");
    assert_eq!(files(&run), pairs(&[("calls_2.txt", "loaded")]));
    assert_eq!(place.cell("SELECT sum(event2) AS s FROM events"), 3.0);
}

#[test]
fn what_was_typed_wrong_is_told_with_an_example() {
    let place = place();
    place.rejoin("schedule --watch in").fails(2, &["--cron", "--every", "rejoin schedule --once --watch in/"]);
    place.rejoin("schedule --every 5 --watch in").fails(2, &["15m"]);
    place.rejoin_with(&["schedule", "--cron", "61 * * * *"]).fails(2, &["30 4 * * *"]);
    place.rejoin("schedule --every 1h --cron @daily").fails(2, &["cannot be used with"]);
    place.rejoin("schedule --once --zone Berlin").fails(2, &["did you mean Europe/Berlin?"]);
    place.rejoin("schedule --once --watch nowhere").fails(2, &["nowhere"]);
    place.rejoin("schedule --once --watch gs://bucket/in").fails(2, &["gs://", "s3://bucket/prefix/"]);
    place.rejoin("schedule --once --mapping none.toml").fails(3, &["none.toml"]);
    place.rejoin("schedule --once --suite wbe").fails(3, &["did you mean web?"]);
    place.rejoin("schedule --once --http nowhere").fails(2, &["9187"]);
    place.rejoin("ingest https://host/x.txt").fails(2, &["https://", "s3://bucket/prefix/"]);
    let help = place.rejoin("help schedule").ok().stdout;
    assert!(help.contains("rejoin schedule --every 15m --watch s3://drop/feeds/"), "{help}");
}

#[test]
fn a_second_runner_is_turned_away_until_the_first_is_gone() {
    let place = place();
    let mut first = Runner::start(&place, "--every 1h --watch in", &[]);
    first.says("run 1 ok");
    let other = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args(["schedule", "--once", "--watch", "in"]));
        command.env_remove("REJOIN_NOW").env("REJOIN_LEASE_SECONDS", LEASE_SECONDS).output().unwrap()
    };
    let refused = other();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("process {} on", first.child.id())), "{said}");
    // longer than the lease lasts without being renewed
    std::thread::sleep(Duration::from_secs(12));
    assert_eq!(other().status.code(), Some(5));
    first.signal("KILL");
    first.ends();
    let killed = Instant::now();
    assert_eq!(other().status.code(), Some(5), "the lease of a crashed runner has its time");
    while other().status.code() == Some(5) {
        assert!(killed.elapsed() < LONG, "nobody can take over");
        std::thread::sleep(Duration::from_secs(1));
    }
    assert_eq!(place.cell("SELECT max(run) AS n FROM runs"), 2);
    // one that stops in order leaves at once
    let mut third = Runner::start(&place, "--every 1s", &[("REJOIN_LEASE_SECONDS", "30")]);
    third.says("run 3 ok");
    third.signal("TERM");
    assert_eq!(third.ends(), Some(0));
    assert_eq!(other().status.code(), Some(0));
}

/// A runner that slept too long finds that another one has its place, and stops.
#[test]
fn a_runner_that_was_replaced_stops() {
    let place = place();
    let mut first = Runner::start(&place, "--every 1h", &[]);
    first.says("run 1 ok");
    first.signal("STOP");
    // the lease and its margin
    std::thread::sleep(Duration::from_secs(17));
    let mut second = Runner::start(&place, "--every 1s", &[]);
    second.says("run 2 ok");
    first.signal("CONT");
    let code = first.ends();
    assert!(code == Some(5) || code == Some(6), "{code:?}");
    second.signal("TERM");
    assert_eq!(second.ends(), Some(0));
}

#[test]
fn a_signal_breaks_a_long_run_off_and_it_is_run_again() {
    let place = Place::new();
    place.sh("rejoin sample sample --hits 300000 --days 3 --seed 5
rejoin suite create $(ls sample/feed | sed -n 's/_[0-9-]*.txt$//p' | head -1)
mkdir in; mv sample/feed in/");
    let lease = [("REJOIN_LEASE_SECONDS", "60")];
    let mut runner = Runner::start(&place, "--every 1h --watch in --http 0 --threads 1", &lease);
    let address = address(&runner.says("/metrics"));
    let running = Instant::now();
    while sample(&Runner::get(&address, "/metrics").1, "rejoin_run_in_progress") == 0.0 {
        assert!(running.elapsed() < LONG);
        std::thread::sleep(Duration::from_millis(20));
    }
    runner.signal("TERM");
    runner.says("stopping");
    // its seconds of grace pass while it computes nothing: no machine is fast enough to end the run
    runner.signal("STOP");
    std::thread::sleep(Duration::from_secs(6));
    runner.signal("CONT");
    assert_eq!(runner.ends(), Some(0));
    let whole = place.query("SELECT file, count(*) AS rows FROM hits GROUP BY 1 ORDER BY 1");
    let logged = place.query("SELECT file, rows FROM files WHERE status = 'loaded' ORDER BY 1");
    assert_eq!(whole, logged, "an input is there whole or not at all");
    assert!(whole.as_array().unwrap().len() < 4, "the run was not long enough to be broken off");
    assert_eq!(place.query("SELECT run, status FROM runs"), json!([{"run": 1, "status": "stopped"}]));
    // due at once, without waiting for an hour or for the lease
    let mut runner = Runner::start(&place, "--every 1h --watch in", &[]);
    runner.says("run 2 ok: ");
    runner.signal("INT");
    assert_eq!(runner.ends(), Some(0));
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 300_000);
    assert_eq!(place.cell("SELECT count(DISTINCT due) AS n FROM runs"), 1);
}

#[test]
fn missed_runs_are_caught_up_once() {
    let place = place();
    let at = |time: &'static str| [("REJOIN_NOW", time)];
    let mut first = Runner::start(&place, "--every 1d --watch in", &at("2026-09-01T02:30:00Z"));
    first.says("run 1 ok");
    first.signal("TERM");
    assert_eq!(first.ends(), Some(0));
    // three runs were due meanwhile
    let mut second = Runner::start(&place, "--every 1d --watch in", &at("2026-09-04T10:00:00Z"));
    second.says("run 2 ok");
    std::thread::sleep(Duration::from_secs(3));
    second.signal("TERM");
    assert_eq!(second.ends(), Some(0));
    // nothing is due before the next day's time
    let mut third = Runner::start(&place, "--every 1d --http 0", &at("2026-09-05T02:29:00Z"));
    let address = address(&third.says("/metrics"));
    std::thread::sleep(Duration::from_secs(3));
    let metrics = Runner::get(&address, "/metrics").1;
    assert_eq!(sample(&metrics, "rejoin_run_next_timestamp_seconds"), 1_788_575_400.0, "{metrics}");
    third.signal("TERM");
    assert_eq!(third.ends(), Some(0));
    assert_eq!(
        place.query("SELECT run, due, started FROM runs ORDER BY run"),
        json!([
            {"run": 1, "due": "2026-09-01T02:30:00Z", "started": "2026-09-01T02:30:00Z"},
            {"run": 2, "due": "2026-09-02T02:30:00Z", "started": "2026-09-04T10:00:00Z"},
        ])
    );
}

#[test]
fn health_and_metrics_are_served() {
    let place = place();
    leads(&place, "leads_1", "09/02/2025 L1 1\n09/02/2025 L2 1\nno_date L3 1");
    place.write(
        "map.toml",
        "kind = \"offline\"\nsuite = \"web\"\nsource = \"leads\"\ntime = \"t\"\n[metrics]\nevent1 = \"e\"\n",
    );
    let mut runner = Runner::start(&place, "--every 2s --watch in --mapping map.toml --http 0", &[]);
    let address = address(&runner.says("/metrics"));
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    runner.says("run 1 ok");
    let (head, body) = Runner::get(&address, "/healthz");
    assert!(head.starts_with("HTTP/1.1 200") && body == "ok\n", "{head} {body}");
    let (head, body) = Runner::get(&address, "/readyz");
    assert!(head.starts_with("HTTP/1.1 200"), "{head} {body}");
    let (head, metrics) = Runner::get(&address, "/metrics");
    assert!(head.to_lowercase().contains("content-type: text/plain; version=0.0.4"), "{head}");
    for (name, value) in [
        ("rejoin_lease_held", 1.0),
        ("rejoin_files_loaded_total", 1.0),
        ("rejoin_rows_loaded_total", 2.0),
        ("rejoin_rows_rejected_total", 1.0),
        ("rejoin_run_last_status{status=\"ok\"}", 1.0),
        ("rejoin_run_last_status{status=\"failed\"}", 0.0),
    ] {
        assert_eq!(sample(&metrics, name), value, "{metrics}");
    }
    assert!(sample(&metrics, "rejoin_rebuild_last_duration_seconds") > 0.0);
    assert!((0.0..LONG.as_secs_f64()).contains(&sample(&metrics, "rejoin_input_lag_seconds")), "{metrics}");
    exposition(&metrics);
    assert!(Runner::get(&address, "/nothing").0.starts_with("HTTP/1.1 404"));
    // a setting goes wrong: the process lives on and says what is the matter
    std::fs::remove_file(place.path().join("map.toml")).unwrap();
    runner.says("failed");
    let (head, body) = Runner::get(&address, "/readyz");
    assert!(head.starts_with("HTTP/1.1 503") && body.contains("map.toml"), "{head} {body}");
    assert!(Runner::get(&address, "/healthz").0.starts_with("HTTP/1.1 200"));
    runner.signal("TERM");
    assert_eq!(runner.ends(), Some(0));
    assert!(
        place.cell("SELECT count(*) AS n FROM runs WHERE status = 'failed' AND message LIKE '%map.toml%'").as_i64()
            > Some(0)
    );
}

/// `http://127.0.0.1:1234/healthz, ...` without the rest.
fn address(line: &str) -> String {
    line.split("http://").nth(1).unwrap().split('/').next().unwrap().to_string()
}

fn sample(metrics: &str, name: &str) -> f64 {
    let line = metrics.lines().find(|l| l.rsplit_once(' ').is_some_and(|(n, _)| n == name));
    line.unwrap_or_else(|| panic!("{name} is missing: {metrics}")).rsplit_once(' ').unwrap().1.parse().unwrap()
}

/// Every sample stands below the HELP and TYPE of its family, and has a number.
fn exposition(metrics: &str) {
    let mut family = String::new();
    let mut lines = metrics.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap().to_string();
            let kind = lines.next().unwrap().strip_prefix(&format!("# TYPE {family} ")).unwrap();
            assert!(kind == "gauge" || kind == "counter", "{kind}");
            assert_eq!(kind == "counter", family.ends_with("_total"), "{family}");
        } else {
            let (name, value) = line.rsplit_once(' ').unwrap();
            assert_eq!(name.split('{').next().unwrap(), family);
            value.parse::<f64>().unwrap();
        }
    }
    assert!(metrics.ends_with('\n'));
}
