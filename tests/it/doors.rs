//! The doors of `rejoin serve` with real clients: psql, psycopg, ADBC's Flight SQL driver, those of Node.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

use crate::members::ticks;
use crate::place::Place;

const USER: &str = "ann";
const PASSWORD: &str = "correct horse";

/// A lake that every test here may ask.
static LAKE: LazyLock<Place> = LazyLock::new(|| {
    let place = Place::lasting();
    // the sample's days lie after those of the other tests
    place.sh("env -u REJOIN_NOW rejoin demo --hits 3000 --lake lake");
    place.sh(&format!("echo '{PASSWORD}' | rejoin user add {USER} --users users.json"));
    place
});

/// A server with its ports; killed with the value.
struct Server {
    child: Child,
    postgres: String,
    flight: String,
    http: String,
    users: String,
}

impl Server {
    fn start(arguments: &str) -> Self {
        Self::start_in(&LAKE, arguments)
    }

    fn start_in(place: &Place, arguments: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(
            command
                .env_remove("REJOIN_NOW")
                .args("serve --users users.json --postgres 0 --flight 0 --http 0".split(' ')),
        );
        let mut child =
            command.args(arguments.split_whitespace()).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut port = |sign: &str| {
            let line = lines.next().unwrap_or_default();
            assert!(line.contains(sign), "{line}");
            line.split_once("127.0.0.1:").unwrap().1.chars().take_while(char::is_ascii_digit).collect::<String>()
        };
        let (postgres, flight, http) = (port("Postgres"), port("Flight"), port("web page"));
        // a full pipe would stop the server
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, postgres, flight, http, users: place.path().join("users.json").display().to_string() }
    }

    fn psql_as(&self, user: &str, password: &str, arguments: &[&str]) -> (bool, String) {
        let mut command = Command::new("psql");
        LAKE.settle(command.args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &self.postgres,
            "-U",
            user,
            "-v",
            "VERBOSITY=verbose",
        ]));
        let output =
            command.args(arguments).env("PGPASSWORD", password).env("PAGER", "").output().expect("psql is installed");
        let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        (output.status.success(), text.concat())
    }

    fn psql(&self, sql: &str) -> (bool, String) {
        self.psql_as(USER, PASSWORD, &["-d", "rejoin", "-c", sql])
    }

    /// Runs a script of `tests/doors` in its environment.
    fn python(&self, script: &str, arguments: &[&str]) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let venv = Command::new(root.join("tests/venv"))
            .arg("doors")
            .arg(root.join("tests/doors/requirements.txt"))
            .output()
            .unwrap();
        let python = String::from_utf8(venv.stdout).unwrap();
        let mut command = Command::new(python.trim());
        LAKE.settle(command.arg(root.join("tests/doors").join(script)).args(arguments));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{arguments:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
        text
    }

    fn guests(&self, what: &str) {
        self.python("guests.py", &[what, &self.postgres, &self.flight, USER, PASSWORD]);
    }

    fn postgres(&self, what: &str) {
        self.python("postgres.py", &[what, &self.postgres, USER, PASSWORD]);
    }

    fn signal(&self, signal: &str) {
        Command::new("kill").args([&format!("-{signal}"), &self.child.id().to_string()]).status().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // it may have ended already
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_door_gives_the_same_rows() {
    let server = Server::start("");
    let token = LAKE.sh("rejoin user token ann --users users.json").stdout;
    let arguments = [&server.postgres, &server.flight, &server.http, USER, PASSWORD, token.trim()];
    let told = server.python("doors.py", &arguments);
    assert!(told.contains("21 statements through 7 doors"), "{told}");
    assert!(!std::fs::read_to_string(&server.users).unwrap().contains(token.trim()));
}

#[test]
fn assistants_ask() {
    let server = Server::start("");
    let token = LAKE.sh("rejoin user token ann --users users.json").stdout;
    let told = server.python("assistant.py", &[&server.http, token.trim()]);
    assert!(told.contains("both ways in answer alike"), "{told}");
}

#[test]
fn psql_looks_around() {
    let server = Server::start("");
    for (command, wanted) in [
        ("\\dt", "snapshots"),
        ("\\dt", "events"),
        ("\\d events", "tracking_code"),
        ("\\d+ hits", "hit_time"),
        ("\\d+", "0 bytes"),
        ("\\l+", "Tablespace"),
        ("EXPLAIN SELECT 1 AS one", "\n   Projection: Int64(1) AS one"),
        ("\\l", "rejoin"),
        ("\\dn", "public"),
        ("\\conninfo", "\"ann\""),
        ("\\dp", "events"),
        ("\\dL", "Trusted"),
        ("\\dL+", "Call handler"),
        ("\\dy", "Event"),
        ("\\dAc", "Operator class"),
        ("\\dO", "Provider"),
        ("\\dO+", "Description"),
        ("\\df upper", "upper"),
        ("\\dT", "Description"),
        ("\\du", "ann"),
        ("\\db", "Location"),
        ("\\di", "relation"),
        ("\\dx", "Version"),
        ("\\dv", "relation"),
        ("\\dp+", "events"),
        ("\\dP+", "Total size"),
        ("\\dPi+", "Table"),
        ("\\dFp+", "Text search parser"),
        ("\\dconfig+", "Access privileges"),
        ("\\dconfig search_path", "public"),
        ("\\dtS pg_cl*", "pg_class"),
        ("\\d public.suites", "time_zone"),
        ("SELECT current_database()", "rejoin"),
        ("SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'", "join_report"),
        ("SHOW server_version", "Rejoin"),
    ] {
        let (ok, text) = server.psql(command);
        assert!(ok && text.contains(wanted), "{command}: {text}");
    }
    // psql completes table names by a query of its own; a script stops where it fails
    let (ok, text) = server.psql("SELECT 1 AS one; SELECT nothing; SELECT 2 AS two");
    assert!(!ok && text.contains("one") && !text.contains("two"), "{text}");
    let (ok, text) = server.psql("SELECT evnt_id FROM events");
    assert!(!ok && text.contains("42703") && text.contains("did you mean"), "{text}");
}

#[test]
fn answers_of_postgres() {
    Server::start("").postgres("answers");
}

#[test]
fn parameters_of_every_type() {
    Server::start("").postgres("parameters");
}

#[test]
fn settings_hold_and_end() {
    Server::start("").postgres("settings");
}

#[test]
fn a_failed_transaction_is_over() {
    Server::start("").postgres("transactions");
}

#[test]
fn rows_in_streams() {
    Server::start("").postgres("streams");
}

#[test]
fn named_cursors_of_drivers() {
    Server::start("").postgres("cursors");
}

#[test]
fn times_in_the_zone_of_the_session() {
    Server::start("").postgres("zones");
}

#[test]
fn catalogs_list_the_lake() {
    Server::start("").postgres("catalogs");
}

#[test]
fn clients_that_people_have() {
    Server::start("").postgres("clients");
}

#[test]
fn clients_of_node() {
    let server = Server::start("");
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/node"));
    LAKE.settle(command.args(["clients.cjs", &server.postgres, USER, PASSWORD]));
    let output = command.output().expect("npm is installed");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains("three clients of Node answered"), "{text}");
}

/// By night, where there is a JDK with Debian's libpostgresql-jdbc-java; what they ask is among the statements of
/// `clients_that_people_have`.
#[test]
fn pgjdbc_by_night() {
    if std::env::var_os("REJOIN_ALL_SETTINGS").is_none() {
        return;
    }
    let server = Server::start("");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doors/Metadata.java");
    let mut command = Command::new("java");
    command.args(["-cp", "/usr/share/java/postgresql.jar"]).arg(script).args([&server.postgres, USER, PASSWORD]);
    let output = command.output().expect("java is installed");
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{text}");
}

/// By night, where there are Debian's unixodbc and odbc-postgresql.
#[test]
fn psqlodbc_by_night() {
    if std::env::var_os("REJOIN_ALL_SETTINGS").is_none() {
        return;
    }
    let (server, place) = (Server::start(""), Place::new());
    let source = format!(
        "[lake]\nDriver=PostgreSQL Unicode\nServername=127.0.0.1\nPort={}\nDatabase=rejoin\nUsername={USER}\nPassword={PASSWORD}\n",
        server.postgres
    );
    let sources = place.path().join("odbc.ini");
    std::fs::write(&sources, source).unwrap();
    let mut command = Command::new("isql");
    command.args(["lake", "-b", "-d|"]).env("ODBCINI", &sources).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut client = command.spawn().expect("isql is installed");
    let asked = "help\nhelp suites\nSELECT item, credit FROM participation('orders', 'tracking_code') ORDER BY 2 DESC\n\
                 SELECT 'all' AS x, count(*) > 0 FROM events\nEXPLAIN SELECT 1 AS one\n";
    client.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let text = String::from_utf8(client.wait_with_output().unwrap().stdout).unwrap();
    for wanted in [
        "rejoin|public|events|TABLE|",
        "rejoin|public|suites|suite|-1|text",
        "all|1",
        "\n  Projection: Int64(1) AS one\n",
    ] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    assert!(!text.contains("ERROR"), "{text}");
}

#[test]
fn connections_leave_nothing_behind() {
    let server = Server::start("");
    let process = server.child.id().to_string();
    server.python("postgres.py", &["many", &server.postgres, USER, PASSWORD, &process]);
}

#[test]
fn who_may_come_in() {
    let server = Server::start("");
    let (_, known) = server.psql_as(USER, "battery staple", &["-d", "rejoin", "-c", "SELECT 1"]);
    let (_, unknown) = server.psql_as("eve", "battery staple", &["-d", "rejoin", "-c", "SELECT 1"]);
    assert!(known.contains("password authentication failed for user \"ann\""), "{known}");
    assert_eq!(known.replace("\"ann\"", "\"eve\""), unknown, "the door does not tell who is known");
    let (ok, text) = server.psql_as(USER, PASSWORD, &["-d", "elsewhere", "-c", "SELECT 1"]);
    assert!(!ok && text.contains("the lake is rejoin"), "{text}");
    // psql's default is a database of the user's name
    assert!(server.psql_as(USER, PASSWORD, &["-c", "SELECT 1"]).0);
    // who is taken out is out at once
    LAKE.sh("echo 'battery staple' | rejoin user add eve --users users.json");
    assert!(server.psql_as("eve", "battery staple", &["-d", "rejoin", "-c", "SELECT 1"]).0);
    LAKE.sh("rejoin user remove eve --users users.json");
    assert!(!server.psql_as("eve", "battery staple", &["-d", "rejoin", "-c", "SELECT 1"]).0);
}

#[test]
fn a_door_opens_only_as_it_is_safe() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    let done = place.rejoin("serve");
    assert!(done.code == 2 && done.stderr.contains("which door?"), "{}", done.stderr);
    let done = place.rejoin("serve --postgres 0 --users none.json");
    assert!(done.code == 3 && done.stderr.contains("rejoin user add"), "{}", done.stderr);
    place.sh("echo 'battery staple' | rejoin user add eve --users users.json");
    let done = place.rejoin("serve --postgres 0.0.0.0:0 --users users.json");
    assert!(done.code == 2 && done.stderr.contains("--tls-cert"), "{}", done.stderr);
    place.write("no.pem", "-----BEGIN NOTHING-----");
    let done = place.rejoin("serve --postgres 0 --users users.json --tls-cert no.pem --tls-key no.pem");
    assert!(done.code == 3 && done.stderr.contains("no.pem"), "{}", done.stderr);
    let done = place.rejoin("serve --postgres nowhere --users users.json");
    assert!(done.code == 2 && done.stderr.contains("e.g."), "{}", done.stderr);
    place.sh("! echo short | rejoin user add mal --users users.json");
}

#[test]
fn nothing_is_written() {
    let server = Server::start("");
    for (sql, state) in [
        ("CREATE TABLE x AS SELECT 1", "25006"),
        ("CREATE VIEW x AS SELECT 1", "25006"),
        ("CREATE EXTERNAL TABLE x STORED AS CSV LOCATION '/etc/passwd'", "25006"),
        ("INSERT INTO suites SELECT * FROM suites", "25006"),
        ("EXPLAIN ANALYZE INSERT INTO suites SELECT * FROM suites", "25006"),
        ("DROP TABLE events", "25006"),
        ("COPY suites FROM STDIN", "0A000"),
        ("SET datafusion.runtime.memory_limit = '1K'", "42501"),
        ("SET datafusion.execution.target_partitions = 1000000", "42501"),
        ("SELECT * FROM '/etc/passwd'", "42P01"),
        ("SELECT * FROM \"../lake/hits\"", "42P01"),
        ("PREPARE q AS DELETE FROM events", "25006"),
        ("CREATE LOCAL TEMPORARY TABLE \"#Tableau_1_Connect\" (\"COL\" INTEGER) ON COMMIT PRESERVE ROWS", "25006"),
        ("CREATE TEMP TABLE x AS SELECT 1", "25006"),
        ("CREATE MATERIALIZED VIEW x AS SELECT 1", "25006"),
        ("REFRESH MATERIALIZED VIEW x", "25006"),
        ("ALTER TABLE suites ADD COLUMN x int", "25006"),
        ("COMMENT ON TABLE suites IS 'x'", "25006"),
        ("CREATE EXTENSION x", "25006"),
    ] {
        let (ok, text) = server.psql(sql);
        assert!(!ok && text.contains(&format!("ERROR:  {state}:")), "{sql}: {text}");
    }
    let (ok, text) = server.psql("SET rejoin.suite = 'nosuch'");
    assert!(!ok && text.contains("suite nosuch does not exist; "), "{text}");
    let (ok, text) = server.psql("SELECT count(*) > 0 AS there FROM events");
    assert!(ok && text.contains(" t"), "{text}");
}

#[test]
fn two_hundred_connections() {
    Server::start("--connections-per-user 25").guests("many");
}

#[test]
fn a_statement_is_bounded() {
    Server::start("--statement-timeout 5s --max-rows 1000 --memory 200MB --memory-per-user 40MB").guests("limited");
}

/// What a statement holds does not grow with the number of its parts.
#[test]
fn statements_of_many_parts() {
    let place = Place::new();
    place.sh("env -u REJOIN_NOW rejoin demo --hits 20000 --lake lake");
    place.sh(&format!("echo '{PASSWORD}' | rejoin user add {USER} --users users.json"));
    let server = Server::start_in(&place, "--memory 256MB --statement-timeout 10m");
    let process = server.child.id().to_string();
    server.python("guests.py", &["parts", &server.postgres, &server.flight, USER, PASSWORD, &process, "256"]);
}

#[test]
fn clients_that_stop_reading() {
    Server::start("--statement-timeout 2s").guests("stopped_reading");
}

#[test]
fn prepared_statements_lock_nobody_out() {
    Server::start("").guests("forgetful");
}

#[test]
fn strangers_fill_nothing() {
    Server::start("").guests("strangers");
}

#[test]
fn tls_and_nothing_else() {
    let certified = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into(), "localhost".into()]).unwrap();
    LAKE.write("cert.pem", certified.cert.pem());
    LAKE.write("key.pem", certified.signing_key.serialize_pem());
    let server = Server::start("--tls-cert cert.pem --tls-key key.pem");
    let certificate = LAKE.path().join("cert.pem").display().to_string();
    let arguments = ["secure", &server.postgres, &server.flight, USER, PASSWORD, &certificate];
    server.python("guests.py", &arguments);
}

/// Ctrl-C in psql, and SIGTERM to the server: the one ends the statement at once, the other lets it end.
#[test]
fn statements_end_in_order() {
    let mut server = Server::start("");
    let client = |sql: &str| {
        let mut command = Command::new("psql");
        LAKE.settle(command.args([
            "-X",
            "-h",
            "127.0.0.1",
            "-p",
            &server.postgres,
            "-U",
            USER,
            "-d",
            "rejoin",
            "-Atc",
            sql,
        ]));
        command.env("PGPASSWORD", PASSWORD).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    assert!(server.psql("SELECT 1").0);
    // a statement that has begun takes processor time
    let wait_for_work = || {
        let (server, begun) = (server.child.id(), std::time::Instant::now());
        let before = ticks(server);
        while ticks(server) < before + 10 {
            assert!(begun.elapsed().as_secs() < 60, "the statement does not begin");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    };
    // one that was stopped takes none any more
    let wait_for_rest = || {
        let (server, begun) = (server.child.id(), std::time::Instant::now());
        loop {
            let before = ticks(server);
            std::thread::sleep(std::time::Duration::from_millis(200));
            if ticks(server) <= before + 3 {
                return;
            }
            assert!(begun.elapsed().as_secs() < 60, "the statement goes on");
        }
    };
    for sql in [
        "SELECT count(*) FROM range(1, 300000000000) WHERE value % 7 = 3",
        // of so many pairs none is a row
        "SELECT count(*) FROM range(1, 1000000) a JOIN range(1, 1000000) b ON a.value * b.value % 1000003 = -1",
    ] {
        let mut endless = client(sql);
        wait_for_work();
        Command::new("kill").args(["-INT", &endless.id().to_string()]).status().unwrap();
        let mut told = String::new();
        endless.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        endless.wait().unwrap();
        assert!(told.contains("canceling statement due to user request"), "{sql}: {told}");
        wait_for_rest();
    }
    let counting = client("SELECT count(*) FROM range(1, 120000000) WHERE value % 7 = 3");
    wait_for_work();
    server.signal("TERM");
    let output = counting.wait_with_output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "17142857", "{told}");
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}
