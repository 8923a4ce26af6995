//! The command line: exit codes, what goes to stdout and stderr, formats and JSON shapes, every command on an empty lake.

use arrow::array::AsArray;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::{Value, json};

use crate::place::Place;

/// A small lake with a matched and an unmatched record.
fn loaded() -> Place {
    let place = Place::new();
    place.sh("rejoin suite create web
rejoin source create web leads --kind transaction --metrics event1 --dimensions evar1
online web <<END
visitor  time              visit  transaction_id  page_name  tracking_code  orders
v1       2026-09-01 10:00  1      L1              form       brand          1.5
v2       2026-09-01 11:00  1      .               home       search         .
END
offline leads <<END
Date        transactionID  Event 1
09/02/2026  L1             2.5
09/02/2026  L9             1.25
END
rejoin ingest leads.txt --suite web --source leads
rejoin rebuild");
    place
}

fn json_of(place: &Place, arguments: &str) -> Value {
    let done = place.rejoin(arguments).ok();
    serde_json::from_str(&done.stdout).unwrap_or_else(|e| panic!("{arguments}: {e}: {}", done.stdout))
}

#[test]
fn every_command_works_on_an_empty_lake() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    for command in ["status", "log", "suite list", "source list", "export list", "functions", "report", "doctor"] {
        place.rejoin(command).ok();
        place.rejoin(&format!("{command} --json")).ok();
    }
    let tables = [
        "hits",
        "offline",
        "snapshots",
        "events",
        "events_brief",
        "visits",
        "visitors",
        "rebuilds",
        "runs",
        "sources",
        "files",
        "rejects",
        "join_report",
        "exports",
        "export_runs",
        "export_definitions",
    ];
    for table in tables {
        assert_eq!(place.query(&format!("SELECT * FROM {table}")), json!([]), "{table}");
    }
    place.rejoin("rebuild").ok();
    place.rejoin("rebuild --full").ok();
}

#[test]
fn a_lake_may_lie_in_a_folder_of_any_name() {
    let place = loaded();
    let events = "SELECT match_status, count(*) AS n, sum(orders) AS orders FROM events GROUP BY 1 ORDER BY 1";
    let credits = "SELECT item, credit FROM participation('orders', 'page_name', 'visitor') ORDER BY 1";
    let before = [events, credits].map(|sql| place.query(sql));
    for name in ["j\u{f6}rg", "a#1", "what?", "a [1] & {2}", "it's \u{65e5}\u{672c}", "a^`|<>*~"] {
        let lake = place.path().join(name).join("lake");
        std::fs::create_dir_all(lake.parent().unwrap()).unwrap();
        assert!(std::process::Command::new("cp").arg("-r").arg(place.lake()).arg(&lake).status().unwrap().success());
        let lake = lake.to_str().unwrap();
        let rejoin = |arguments: &[&str]| place.rejoin_with(&[&["--lake", lake], arguments].concat()).ok();
        let query = |sql: &str| -> Value {
            serde_json::from_str(&rejoin(&["query", "--format", "json", sql]).stdout).unwrap_or_default()
        };
        assert_eq!([events, credits].map(query), before, "{name}");
        for command in [["rebuild", "--full"], ["compact", "--json"], ["status", "--json"]] {
            rejoin(&command);
        }
        assert_eq!([events, credits].map(query), before, "{name}");
    }
    for name in ["100%", "a%20b", "a\\b"] {
        place.rejoin_with(&["--lake", name, "suite", "create", "web"]).fails(2, &["a lake's path cannot have % or \\"]);
        assert!(!place.path().join(name).exists());
    }
}

#[test]
fn the_tables_have_their_columns() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    let events = "suite, event_id, visitor_id, visit_num, visit_start, hit_time, hit_source, row_kind, match_status, transaction_id, \
                  snapshot_time, record_time, hit_seq, source, file";
    for (table, columns) in [
        ("events", events),
        ("rejects", "file, line, \"column\", reason, text"),
        ("join_report", "file, records, matched, unmatched, expired, disabled, ambiguous, rejected"),
        ("hits", "suite, visitor_id, visit_num, visit_start, hit_time, file"),
        ("snapshots", "suite, transaction_id"),
        ("rebuilds", "rebuild, started, ended, rows"),
    ] {
        assert_eq!(place.query(&format!("SELECT {columns} FROM {table}")), json!([]), "{table}");
    }
}

#[test]
fn exit_codes() {
    let place = loaded();
    place.rejoin("--no-such-flag").fails(2, &["--no-such-flag"]);
    place.rejoin("ingst x").fails(2, &["ingest"]);
    place.rejoin("ingest").fails(2, &["path"]);
    place.rejoin("suite set nobody --transaction-id off").fails(3, &["nobody", "suite create"]);
    place.rejoin("suite create web").fails(5, &["web"]);
    place.rejoin("source create web leads --kind transaction").fails(5, &["leads"]);
    place.rejoin("source create web x --kind transactions").fails(2, &["transaction"]);
    place.rejoin_with(&["query", "SELECT nothing FROM nowhere"]).fails(7, &["nowhere"]);
    place.rejoin_with(&["query", "SELEC 1"]).fails(7, &["SELEC"]);
    place.rejoin("--lake ftp://somewhere/x status").fails(2, &["ftp"]);
}

#[test]
fn a_wrong_name_names_the_nearest_right_one() {
    let place = loaded();
    for (sql, hint) in [
        ("SELECT * FROM participation('order', 'tracking_code')", "did you mean orders?"),
        ("SELECT * FROM participation('orders', 'traking_code')", "did you mean tracking_code?"),
        ("SELECT * FROM participation('orders', 'tracking_code', 'vist')", "did you mean visit?"),
        ("SELECT * FROM attribution('orders', 'tracking_code', 'last_tuch')", "did you mean last_touch?"),
        ("SELECT * FROM attribution('orders', 'tracking_code', modl => 'linear')", "did you mean model?"),
        ("SELECT * FROM participation('orders', 'tracking_code', basis => 'snapsot')", "did you mean snapshot?"),
        ("SELECT * FROM event", "did you mean events?"),
        ("SELECT traking_code FROM events", "tracking_code"),
    ] {
        place.rejoin_with(&["query", sql]).fails(7, &[hint]);
    }
    place.rejoin("suite show wbe").fails(3, &["did you mean web?"]);
}

#[test]
fn json_is_one_array_of_typed_objects() {
    let place = loaded();
    let rows = place.query(
        "SELECT event_id IS NOT NULL AS b, CAST(9007199254740993 AS BIGINT) AS i, event1 AS d, visitor_id, hit_time, \
         CAST(NULL AS VARCHAR) AS n, 'a\"b' AS t FROM events WHERE row_kind = 'transaction' ORDER BY event1",
    );
    let row = |metric: f64, visitor: Value| {
        json!({"b": true, "i": 9007199254740993i64, "d": metric, "visitor_id": visitor,
               "hit_time": "2026-09-02T12:00:00Z", "n": null, "t": "a\"b"})
    };
    // a key for every column, also where the value is missing
    assert_eq!(rows, json!([row(1.25, Value::Null), row(2.5, json!("v1"))]));
}

#[test]
fn formats() {
    let place = loaded();
    let sql = "SELECT transaction_id AS id, event1 AS e FROM events WHERE row_kind = 'transaction' ORDER BY 1";
    let print = |format: &str| place.rejoin_with(&["query", sql, "--format", format]).ok().stdout;
    assert_eq!(print("csv").replace("\r\n", "\n"), "id,e\nL1,2.5\nL9,1.25\n");
    assert_eq!(print("tsv"), "id\te\nL1\t2.5\nL9\t1.25\n");
    let ndjson: Vec<Value> = print("ndjson").lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(ndjson, [json!({"id": "L1", "e": 2.5}), json!({"id": "L9", "e": 1.25})]);
    let table = print("table");
    assert!(table.contains("L1") && table.contains("2.5") && table.contains("id"), "{table}");
    for (format, magic) in [("parquet", &b"PAR1"[..]), ("arrow", b"ARROW1")] {
        let file = format!("out.{format}");
        place.rejoin_with(&["query", sql, "--format", format, "-o", &file]).ok();
        assert!(std::fs::read(place.path().join(&file)).unwrap().starts_with(magic), "{format}");
    }
    place.write("q.sql", format!("{sql};\n"));
    assert_eq!(place.rejoin("query -f q.sql --format csv").ok().stdout, print("csv"));
    place.rejoin_with(&["query", sql, "--format", "cvs"]).fails(2, &["csv"]);
}

#[test]
fn columns_have_a_form_in_every_file() {
    let place = loaded();
    let parquet = |file: &str| -> Vec<String> {
        let file = std::fs::File::open(place.path().join(file)).unwrap();
        let rows = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
        let batches: Vec<_> = rows.map(|batch| batch.unwrap()).collect();
        let texts = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter());
        texts.map(|text| text.unwrap().to_string()).collect()
    };
    let span = "SELECT INTERVAL '1 month 2 days' AS c";
    let shown = place.rejoin_with(&["query", span, "--format", "csv"]).ok().stdout;
    let text = shown.lines().nth(1).unwrap();
    place.rejoin_with(&["query", span, "-o", "span.parquet"]).ok();
    assert_eq!(parquet("span.parquet"), [text]);
    place.rejoin_with(&["query", &format!("COPY ({span}) TO 'copy.parquet'")]).ok();
    assert_eq!(parquet("copy.parquet"), [text]);
    place.rejoin_with(&["query", "SELECT [INTERVAL '1 day'] AS c", "-o", "list.parquet"]).ok();
    assert_eq!(parquet("list.parquet"), ["[\"1 days\"]"]);
    // each batch has a dictionary of its own
    let words = "SELECT arrow_cast(visitor_id, 'Dictionary(Int32, Utf8)') AS c FROM events";
    place.rejoin_with(&["query", words, "-o", "words.arrow"]).ok();
    for (query, file) in [("SELECT [INTERVAL '1 day'] AS c", "c.parquet"), ("SELECT [1, 2] AS c", "c.csv")] {
        let copy = format!("COPY ({query}) TO '{file}'");
        place.rejoin_with(&["query", &copy]).fails(7, &["column c is", "CAST it to text"]);
    }
}

#[test]
fn results_go_to_stdout_and_everything_else_to_stderr() {
    let place = loaded();
    let done = place.rejoin_with(&["query", "SELECT 1 AS one", "--format", "csv"]).ok();
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("one\n1\n", ""));
    let failed = place.rejoin_with(&["query", "SELECT * FROM nowhere"]);
    assert_eq!((failed.code, failed.stdout.as_str()), (7, ""));
    assert!(!failed.stderr.contains("panicked") && !failed.stderr.contains("RUST_BACKTRACE"), "{}", failed.stderr);
}

#[test]
fn a_reader_that_stops_early_is_no_error() {
    let place = loaded();
    place.sh("set -o pipefail; rejoin query 'SELECT * FROM range(1000000)' --format csv | head -1 >/dev/null");
}

#[test]
fn reports_for_scripts_are_json() {
    let place = loaded();
    for command in
        ["suite list", "suite show web", "source list web", "status", "log", "rebuild", "compact", "functions"]
    {
        let value = json_of(&place, &format!("{command} --json"));
        assert!(value.is_object() || value.is_array(), "{command}: {value}");
    }
    let text = |command: &str| json_of(&place, command).to_string();
    assert!(text("suite show web --json").contains("classic"));
    assert!(text("source list web --json").contains("leads"));
    assert!(text("log --json").contains("leads.txt"));
    assert!(text("status --json").contains("leads"));
}

#[test]
fn a_source_has_a_login_like_id_and_a_template() {
    let place = loaded();
    let id = place.cell("SELECT id FROM sources");
    let (suite, digits) = id.as_str().unwrap().rsplit_once('_').unwrap();
    assert!(suite == "web" && digits.len() == 10 && digits.bytes().all(|b| b.is_ascii_digit()), "{id}");
    let template = place.rejoin("source template web leads").ok().stdout;
    let header = template.lines().find(|l| !l.starts_with('#')).unwrap();
    assert_eq!(header.split('\t').collect::<Vec<_>>(), ["Date", "transactionID", "Evar 1", "Event 1"], "{template}");
    // what the template says is what ingest takes
    place.write("filled.txt", format!("{template}\n09/03/2026\tL1\tblue\t1\n"));
    place.write("filled.fin", "");
    place.rejoin("ingest filled.txt --suite web --source leads").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM offline WHERE evar1 = 'blue'"), 1);
}

#[test]
fn a_rebuild_with_nothing_new_does_nothing() {
    let place = loaded();
    let before = place.cell("SELECT max(rebuild) AS n FROM rebuilds");
    place.rejoin("rebuild").ok();
    assert_eq!(place.cell("SELECT max(rebuild) AS n FROM rebuilds"), before);
    place.rejoin("rebuild --full").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM events"), 4);
}

#[test]
fn a_report_can_be_run_as_of_a_rebuild() {
    let place = loaded();
    place.sh("offline more <<END
Date        transactionID  Event 1
09/03/2026  L1             100
END
rejoin ingest more.txt --suite web --source leads
rejoin rebuild");
    let sum = |as_of: &str| {
        place
            .rejoin_with(&["query", "SELECT sum(event1) AS s FROM events", "--format", "csv", "--as-of", as_of])
            .ok()
            .stdout
    };
    assert_eq!((sum("1").as_str(), sum("2").as_str()), ("s\n3.75\n", "s\n103.75\n"));
    assert_eq!((sum("2100-01-01 12:00"), sum("2100-01-01")), (sum("2"), sum("2")));
    let early = place.rejoin_with(&["query", "SELECT 1", "--as-of", "2000-01-01 12:00"]);
    early.fails(7, &["no rebuild had ended by 2000-01-01 12:00"]);
    place.rejoin_with(&["query", "SELECT 1", "--as-of", "soon"]).fails(2, &["soon", "2026-09-01T12:00:00Z"]);
    let unknown = place.rejoin_with(&["query", "SELECT 1", "--as-of", "77"]);
    assert!(unknown.code != 0 && unknown.stderr.contains("77"), "{}", unknown.stderr);
}

#[test]
fn several_suites_need_a_choice() {
    let place = loaded();
    place.rejoin("suite create shop").ok();
    let sql = "SELECT item, credit FROM participation('orders', 'tracking_code')";
    place.sh("online shop --suite shop <<END
visitor  time              tracking_code  orders
s1       2026-09-01 10:00  email          7.5
END");
    place.rejoin_with(&["query", sql]).fails(3, &["shop", "web"]);
    let csv = |arguments: &[&str]| place.rejoin_with(&[arguments, &["--format", "csv"]].concat()).ok().stdout;
    assert_eq!(csv(&["query", sql, "--suite", "shop"]), "item,credit\nemail,7.5\n");
    assert_eq!(csv(&["query", &format!("SET rejoin.suite = 'web'; {sql}")]), "item,credit\nbrand,1.5\n");
    place.rejoin_with(&["query", sql, "--suite", "shp"]).fails(3, &["shop"]);
}

/// Every report runs on a lake that has the columns it is asked for, and its SQL is a query that a user can copy.
#[test]
fn reports_are_plain_sql() {
    let place = loaded();
    // two of them ask for persons
    place.sh("rejoin suite set web --persons device_split\nrejoin rebuild");
    for report in json_of(&place, "report --json").as_array().unwrap() {
        let name = report["name"].as_str().unwrap();
        let mut arguments = vec!["report", name];
        for parameter in report["parameters"].as_array().unwrap() {
            match parameter["name"].as_str().unwrap() {
                "metric" => arguments.extend(["--metric", "orders"]),
                "cost" => arguments.extend(["--cost", "event1"]),
                _ => {}
            }
        }
        let rows = place.rejoin_with(&[&arguments[..], &["--json"]].concat()).ok().stdout;
        let rows: Value = serde_json::from_str(&rows).unwrap();
        assert!(!rows.as_array().unwrap().is_empty(), "{name}");
        place.write("copied.sql", place.rejoin_with(&[&arguments[..], &["--sql"]].concat()).ok().stdout);
        assert_eq!(json_of(&place, "query -f copied.sql --json"), rows, "{name}");
    }
    place.rejoin("report path_lenght").fails(2, &["did you mean path_length?"]);
    place.rejoin("report path_length --cost orders").fails(2, &["no cost", "metric, dimension, lookback"]);
    place.rejoin("report offline_share").fails(7, &["revenue", "--metric revenue --dimension tracking_code"]);
    place.rejoin("report path_length --metric order").fails(7, &["did you mean orders?"]);
    place.rejoin_with(&["report", "path_length", "--metric", "o'; DROP"]).fails(7, &["there is no metric o'; DROP"]);
}

#[test]
fn the_credit_of_one_conversion_is_explained() {
    let place = loaded();
    let event = place.cell("SELECT event_id FROM events WHERE event1 = 2.5");
    let event = event.as_str().unwrap();
    let done = place.rejoin_with(&["explain-credit", "event1", "tracking_code", event]).ok().stdout;
    for text in [
        "2.5 event1 of visitor v1 on 2026-09-02 12:00:00, transaction record of leads, matched",
        "1 d 2 h",
        "100 %",
        "offline",
        "Algorithmic",
    ] {
        assert!(done.contains(text), "{text} is missing in: {done}");
    }
    // what the record took from its hit is a touch only on request
    let inherited = ["explain-credit", "event1", "tracking_code", event, "--inherited"];
    assert!(place.rejoin_with(&inherited).ok().stdout.contains("50 %"));
    let options = ["--models", "linear,j_shaped", "--basis", "snapshot", "--json"];
    let done = place.rejoin_with(&[&["explain-credit", "event1", "tracking_code", event], &options[..]].concat()).ok();
    let hit = place.cell("SELECT event_id FROM events WHERE orders = 1.5");
    assert_eq!(
        serde_json::from_str::<Value>(&done.stdout).unwrap(),
        json!({"event_id": event, "visitor_id": "v1", "hit_time": "2026-09-02T12:00:00Z", "row_kind": "transaction",
               "match_status": "matched", "source": "leads", "value": 2.5,
               "touches": [{"item": "brand", "hit_time": "2026-09-01T10:00:00Z", "seconds_before": 0.0, "visit_num": 1,
                            "row_kind": "online", "event_id": hit, "shares": {"linear": 1.0, "j_shaped": 1.0}}]})
    );
    place.rejoin("explain-credit event1 tracking_code 17").fails(7, &["no visitor has the event 17"]);
    place.rejoin_with(&["explain-credit", "orders", "tracking_code", event]).fails(7, &["has no orders"]);
}

#[test]
fn friendly_names_are_columns() {
    let place = loaded();
    place.rejoin_with(&["suite", "set", "web", "--name", "event1=Leads closed"]).ok();
    assert_eq!(place.cell("SELECT sum(\"Leads closed\") AS s FROM events"), 3.75);
    let credit = place.query("SELECT credit FROM participation('Leads closed', 'tracking_code')");
    assert_eq!(credit, json!([{"credit": 2.5}]));
}

#[test]
fn the_sample_has_the_same_bytes_for_the_same_seed() {
    let place = Place::new();
    let make = |folder: &str, seed: &str| {
        place.rejoin(&format!("sample {folder} --hits 2000 --days 3 --visitors 100 --seed {seed}")).ok();
        place.sh(&format!("cd {folder}; find . -type f | sort | xargs md5sum")).stdout
    };
    let (one, two, other) = (make("one", "1"), make("two", "1"), make("other", "2"));
    assert_eq!(one, two);
    assert_ne!(one, other);
    assert!(one.lines().count() > 10, "{one}");
}

#[test]
fn the_demo_tells_its_stories() {
    let place = Place::new();
    // the sample's last day lies after the other tests' present
    let done = place.sh("REJOIN_NOW=2026-12-01T00:00:00Z rejoin demo --hits 3000");
    for text in ["story:email", "story:social", "500", "story:display", "story:affiliate"] {
        assert!(done.stdout.contains(text), "{text} is missing in: {}", done.stdout);
    }
}

#[test]
fn help_and_completions() {
    let place = Place::new();
    let help = place.rejoin("--help").ok().stdout;
    let commands = [
        "demo",
        "sample",
        "suite",
        "source",
        "ingest",
        "remove",
        "rebuild",
        "compact",
        "status",
        "log",
        "query",
        "shell",
        "report",
        "explain-credit",
        "lookup",
        "functions",
        "doctor",
    ];
    for command in commands {
        assert!(help.contains(command), "{command} is missing in: {help}");
    }
    assert!(place.rejoin("completions bash").ok().stdout.contains("rejoin"));
    let manual = place.rejoin("functions").ok().stdout;
    let functions = [
        "participation",
        "attribution",
        "visitor_participation",
        "visit_participation",
        "event",
        "products",
        "list_values",
        "local_time",
        "credit_path",
        "conversions",
        "visitor_attribution",
        "visit_attribution",
    ];
    for function in functions {
        assert!(manual.contains(function), "{function} is missing in: {manual}");
    }
}
