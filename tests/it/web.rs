//! The web page: a manager's day in a real browser, and what strangers, other sites and readers may not do.

use std::io::{Cursor, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rejoin::lake::Registry;
use rejoin::lake::records::{ExportDefinition, ExportEvent, ExportRun};
use serde_json::{Value, json};

use crate::place::{Place, deep};
use crate::web_server::Server;

/// An item that would be an element, and run.
const HOSTILE: &str = "<img src=x onerror=window.hacked=1>";

/// Two visitors buy, one by a hostile item; a manager `mia` and a reader `rob`.
fn place() -> Place {
    let place = Place::new();
    place.write(
        "clicks.csv",
        format!(
            "visitor,time,ref,code,revenue\n\
             v1,2026-09-10T08:00:00,,search,0\nv1,2026-09-11T08:00:00,t1,{HOSTILE},100\n\
             v2,2026-09-12T08:00:00,t2,mail,50.5\n"
        ),
    );
    place.write(
        "clicks.toml",
        "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\ntransaction_id = \"ref\"\n\
         [dimensions]\ntracking_code = \"code\"\n[metrics]\nrevenue = \"revenue\"\n",
    );
    place.sh("rejoin suite create web
rejoin ingest clicks.csv --mapping clicks.toml
echo manager-pass | rejoin user add mia --manager --users users.json
echo reader-pass | rejoin user add rob --users users.json");
    place
}

/// Returns and a row with HTML and a semicolon, which is rejected.
const LEADS: &str = "Date\ttransactionID\tTracking Code\tEvent 10\tPrice\n\
    09/13/2026\tt1\t\t1\t-20\n09/14/2026\tt2\t<b>bad</b>;x\t1\t5\n09/15/2026\tt2\t\t1\t7.25\n";

#[test]
fn a_day_of_a_manager_in_chromium() {
    let place = place();
    log_in_visitors(&place);
    let server = Server::start(&place, "");
    place.write("leads_1.txt", LEADS);
    place.write("large.txt", "x".repeat(3_000_000));
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/browser");
    let mut command = Command::new(browser);
    command.env("SCRIPT", "web.mjs").arg(format!("http://{}", server.address));
    let done = command.args(["leads_1.txt", "large.txt"].map(|f| place.path().join(f))).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    // the page's numbers are the query's
    let rows = place.query(
        "SELECT coalesce(item, '(none)') AS item, credit FROM participation('revenue', 'tracking_code', 'visitor', '30 days') \
         ORDER BY credit DESC, item",
    );
    let pairs: Vec<Value> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|r| json!([r["item"], r["credit"].to_string().trim_end_matches(".0")]))
        .collect();
    assert_eq!(found["rows"], json!(pairs));
    assert_eq!(found["rows"], json!([[HOSTILE, "80"], ["search", "80"], ["mail", "57.75"]]));
    let rejected = place.query("SELECT file, line, text FROM rejects");
    assert_eq!(rejected, json!([{"file": "leads_1.txt", "line": 3, "text": "09/14/2026\tt2\t<b>bad</b>;x\t1\t5"}]));
}

#[test]
fn strangers_other_sites_and_readers_change_nothing() {
    let place = place();
    place.sh("rejoin source create web leads --kind transaction --metrics event10,revenue
rejoin source create web halts --kind transaction --metrics event10 --on-error stop");
    let mut server = Server::start(&place, "--max-statement 2000");
    // strangers
    assert_eq!(server.get("/healthz", "X: y").is(200, &[]).body, "ok\n");
    // a collector has a token
    server.get("/metrics", "X: y").is(401, &["rejoin user token"]);
    server.get("/metrics", "Authorization: Bearer rejoin_x").is(401, &[]);
    let token = place.sh("rejoin user token rob --name collector --users users.json").stdout;
    let metrics = server.get("/metrics", &format!("Authorization: Bearer {}", token.trim()));
    let metrics =
        metrics.is(200, &["# TYPE rejoin_sessions gauge\nrejoin_sessions 0\n", "\nrejoin_statements_done_total 0\n"]);
    assert!(metrics.header("content-type").starts_with("text/plain"), "{}", metrics.head);
    let asked = server.get("/sql?q=SELECT+1", "X: y").is(303, &[]);
    assert_eq!(asked.header("location"), "/login?next=%2Fsql%3Fq%3DSELECT%2B1");
    for path in ["/rebuilds", "/suites", "/sql", "/suites/web/sources/leads/upload"] {
        server.form(path, &["Cookie: rejoin=guessed"], "q=SELECT+1").is(401, &["log in"]);
    }
    for fields in ["user=mia&password=wrong", "user=nobody&password=manager-pass", "user=mia&password="] {
        let refused = server.form("/login", &[], fields).is(401, &["no such user, or a wrong password"]);
        assert!(!refused.head.contains("set-cookie"));
    }
    // a link from elsewhere comes without the cookie; the page asks once more by itself
    let afar = server.send("GET /login?next=%2Flog", &["Sec-Fetch-Site: cross-site"], b"").is(200, &["href=\"/log\""]);
    assert_eq!(afar.header("refresh"), "0; url=/log");
    let led = server.form("/login", &[], "user=mia&password=manager-pass&next=//evil.example/").is(303, &[]);
    assert_eq!(led.header("location"), "/");
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    // names and pages that are not ours
    for host in ["Host: evil.example", "Host: 127.0.0.1.evil.example:80"] {
        server.send("GET /", &[host, &mia], b"").is(421, &["127.0.0.1"]);
    }
    server.send("GET /", &["Host: localhost:1", &mia], b"").is(200, &["Transaction ID"]);
    let off = "/suites/web/transaction-id";
    for foreign in
        ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site", "Origin: null", "Origin: https://evil.example"]
    {
        server.form(off, &[&mia, foreign], "to=off").is(403, &["another site"]);
        server.form("/login", &[foreign], "user=mia&password=manager-pass").is(403, &["another site"]);
    }
    // a reader asks, and sees no controls
    let (control, question) =
        ("Switch off", "/sql?q=SELECT+item%2C+credit+FROM+attribution%28%27revenue%27%2C+%27tracking_code%27%29");
    assert!(!server.get("/", &rob).is(200, &["rob (reader)"]).body.contains(control));
    assert!(!server.get("/suites/web/sources/leads", &rob).is(200, &["Download template"]).body.contains("Upload"));
    server.form(off, &[&rob], "to=off").is(403, &["rob may read only"]);
    server.form(off, &[&mia], "to=maybe").is(400, &["on or off"]);
    assert!(!server.get(off, &rob).is(200, &["disabled"]).body.contains("Switch recording off"));
    server.form("/rebuilds", &[&rob], "").is(403, &["rob may read only"]);
    server.upload("leads", &rob, "leads_1.txt", LEADS).is(403, &["rob may read only"]);
    server.get(question, &rob).is(200, &["&lt;img src=x onerror", "2 rows"]);
    assert_eq!(place.query("SELECT transaction_id FROM suites"), json!([{"transaction_id": true}]));
    assert_eq!(place.cell("SELECT count(*) AS n FROM files"), 1);
    // questions only, with a place for their errors; all rows as a file
    server.form("/sql", &[&mia], "q=DROP+TABLE+suites").is(403, &["writes nothing"]);
    server
        .form("/sql", &[&mia], "q=SELECT+1%0AFROM+x+WHRE+y+z")
        .is(400, &["Line: 2, Column: 13", "2 | FROM x WHRE y z"]);
    server.form("/sql", &[&mia], &format!("q={}", "x".repeat(2100))).is(413, &["2000"]);
    server.form("/sql", &[&mia], "q=SELECT+*+FROM+range%281500%29").is(200, &["More than 1000 rows"]);
    let csv = server.form(
        "/sql",
        &[&rob],
        "to=csv&q=SELECT+tracking_code%2C+revenue%2C+hit_time%2C+NULL+AS+n%2C+%27%27+AS+e+FROM+events+ORDER+BY+3",
    );
    let told = place
        .rejoin_with(&[
            "query",
            "SELECT tracking_code, revenue, hit_time, NULL AS n, '' AS e FROM events ORDER BY 3",
            "--format",
            "csv",
        ])
        .ok();
    assert_eq!(csv.is(200, &[]).chunks(), told.stdout);
    // and as files of columns
    let all = "q=SELECT+tracking_code%2C+revenue+FROM+events";
    let parquet = server.form("/sql", &[&rob], &format!("{all}&to=parquet")).is(200, &[]);
    assert_eq!(parquet.header("content-disposition"), "attachment; filename=\"result.parquet\"");
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(parquet.file())).unwrap().build().unwrap();
    assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 3);
    // what a format has no values for is text there
    let spans = "q=SELECT+INTERVAL+%271+day%27+AS+i%2C+%5BINTERVAL+%271+day%27%5D+AS+l&to=parquet";
    let spans = server.form("/sql", &[&rob], spans).is(200, &[]);
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(spans.file())).unwrap();
    assert!(read.schema().fields().iter().all(|field| field.data_type().is_string()), "{}", read.schema());
    let lists = server.form("/sql", &[&rob], "q=SELECT+%5B1%2C+NULL%5D+AS+l&to=csv").is(200, &[]);
    assert_eq!(lists.chunks(), "l\n\"[1,null]\"\n");
    let arrow = server.form("/sql", &[&rob], &format!("{all}&to=arrow")).is(200, &[]);
    let read = arrow::ipc::reader::FileReader::try_new(Cursor::new(arrow.file()), None).unwrap();
    assert_eq!(read.map(|batch| batch.unwrap().num_columns()).max(), Some(2));
    server
        .form("/sql", &[&rob], "q=SELECT+nme+FROM+events&to=arrow")
        .is(400, &["1 | SELECT nme FROM events\n           ^"]);
    // what can be asked stands beside it
    let beside = [
        "<summary>events</summary>",
        "<code>tracking_code</code>",
        "Examples",
        "Download Parquet",
        "src=\"/assets/sql.js",
    ];
    server.get("/sql", &rob).is(200, &beside);
    server.get("/reports?metric=no_such", &mia).is(400, &["no metric no_such"]);
    for path in ["/nothing", "/suites/nothing", "/suites/web/sources/nothing", "/log/file?file=nothing"] {
        server.get(path, &mia).is(404, &["Not found"]);
    }
    // files
    server.upload("leads", &mia, "../../leads.exe", LEADS).is(415, &[".txt"]);
    server.upload("leads", &mia, "large.txt", "x".repeat(1_200_000)).is(413, &["larger than 1 MB"]);
    let huge = "Content-Length: 90000000000";
    let kind = "Content-Type: multipart/form-data; boundary=x";
    server
        .send("POST /suites/web/sources/leads/upload", &[&mia, kind, huge], b"--x\r\n")
        .is(413, &["larger than 1 MB"]);
    server.form("/suites", &[&mia], &"x".repeat(70_000)).is(413, &["too large"]);
    let name = "..\\..\\..%2e/<i>leads_1.TXT";
    assert_eq!(
        server.upload("leads", &mia, name, LEADS).is(303, &[]).header("location"),
        "/log/file?suite=web&source=leads&file=_i_leads_1.txt"
    );
    server.upload("leads", &mia, name, LEADS.replace("7.25", "8")).is(409, &["tick"]);
    // the same bytes under another name are told, and not loaded
    let copy = server.upload("leads", &mia, "copy.txt", LEADS).is(303, &[]);
    assert_eq!(copy.header("location"), "/log/file?suite=web&source=leads&file=copy.txt");
    server.get(copy.header("location"), &mia).is(200, &["a copy of _i_leads_1.txt"]);
    // the same bytes of another source are told so, and a tick would not help
    server.upload("halts", &mia, "halts.txt", LEADS).is(409, &["loaded already as _i_leads_1.txt (source leads)"]);
    let halts = LEADS.replace("7.25", "9.5");
    server.upload("halts", &mia, "halts.txt", &halts).is(422, &["line 3", "source halts is stopped: correct"]);
    server.upload("halts", &mia, "more.txt", &halts).is(409, &["stopped"]);
    server.form("/suites/web/sources/halts/status", &[&mia], "to=active").is(303, &[]);
    server.get("/suites/web/sources/halts", &mia).is(200, &["takes files again", "Deactivate"]);
    server
        .form(
            "/suites/web",
            &[&mia],
            "rules=classic&expiry_days=30&expiry_basis=event&time_zone=europe/berlin&currency=EUR&\
        visit_timeout_minutes=20&visit_hours=12&visit_hits=2500&placeholders=0000%0An%2Fa&names=evar5%3DPlan",
        )
        .is(303, &[]);
    // it asks before, and says what it does
    let asks = ["recording of web?", "tied to no visitor", "Nothing is lost", "Switch recording off", "Leave it on"];
    server.get(&format!("{off}?to=off"), &mia).is(200, &asks);
    assert_eq!(place.query("SELECT transaction_id FROM suites"), json!([{"transaction_id": true}]));
    server.get("/suites/nothing/transaction-id", &mia).is(404, &["Not found"]);
    server.form(off, &[&mia], "to=off").is(303, &[]);
    let set = "SELECT transaction_id, expiry_days, time_zone, placeholders, names FROM suites";
    assert_eq!(
        place.query(set),
        json!([{"transaction_id": false, "expiry_days": 30, "time_zone": "Europe/Berlin",
            "placeholders": "[\"0000\",\"n/a\"]", "names": "{\"evar5\":\"Plan\"}"}])
    );
    // what browsers are told
    let page = server.get("/", &mia).is(200, &[]);
    for header in [
        "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'",
        "frame-ancestors 'none'",
        "x-content-type-options: nosniff",
        "referrer-policy: same-origin",
        "cache-control: no-store",
    ] {
        assert!(page.head.contains(header), "{header}: {}", page.head);
    }
    // a session ends by logout, by a new password, and with the user
    server.form("/logout", &[&mia], "").is(303, &[]);
    server.get("/", &mia).is(303, &[]);
    let mia = server.login("mia", "manager-pass");
    place.sh("echo another-pass | rejoin user add mia --manager --users users.json; rejoin user remove rob --users users.json");
    server.get("/", &mia).is(303, &[]);
    server.get("/", &rob).is(303, &[]);
    // an idle connection does not keep the server
    let _idle = TcpStream::connect(&server.address).unwrap();
    assert!(Command::new("kill").arg("-TERM").arg(server.child.id().to_string()).status().unwrap().success());
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
}

/// A lake without suites says what to do, and what a reader waits for.
/// Packed files are taken as those that are not; of an archive each file is told.
#[test]
fn packed_files_are_uploaded() {
    let place = place();
    place.sh("rejoin source create web leads --kind transaction --metrics event10,revenue");
    let server = Server::start(&place, "");
    let mia = server.login("mia", "manager-pass");
    let zip = |files: &[(&str, &str)]| {
        let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
        for (name, text) in files {
            writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    let [one, two, three] = ["7.25", "8.5", "9.75"].map(|price| LEADS.replace("7.25", price));
    let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
    gzip.write_all(one.as_bytes()).unwrap();
    assert_eq!(
        server.upload("leads", &mia, "one.TXT.gz", gzip.finish().unwrap()).is(303, &[]).header("location"),
        "/log/file?suite=web&source=leads&file=one.txt.gz"
    );
    let both = zip(&[("two.txt", two.as_str()), ("sub/three.txt", three.as_str())]);
    let page = "/suites/web/sources/leads";
    assert_eq!(server.upload("leads", &mia, "both.zip", &both).is(303, &[]).header("location"), page);
    server.get(page, &mia).is(200, &["both.zip is loaded: 2 files, 4 rows, 2 rejected", "both.zip/sub/three.txt"]);
    server.upload("leads", &mia, "both.zip", &both).is(303, &[]);
    server.get(page, &mia).is(200, &["both.zip was loaded before"]);
    let changed = zip(&[("two.txt", one.as_str()), ("sub/three.txt", three.as_str())]);
    server.upload("leads", &mia, "both.zip", changed).is(422, &["1 of 2 files of both.zip", "both.zip/two.txt"]);
    // what is none: a delivery of a feed, an archive that climbs, a broken one
    server.upload("leads", &mia, "web_2026-09-30.zip", zip(&[("hit_data.tsv", "")])).is(415, &["no data source file"]);
    server.upload("leads", &mia, "x.zip", zip(&[("../x.txt", one.as_str())])).is(422, &["points outside"]);
    server.upload("leads", &mia, "y.zip", &both[..100]).is(422, &["y.zip is cut short or damaged"]);
    assert_eq!(place.cell("SELECT count(*) AS n FROM files WHERE status = 'loaded' AND source = 'leads'"), 3);
}

#[test]
fn an_empty_lake_says_what_to_do_next() {
    let place = Place::new();
    place.sh("rejoin suite create shop
echo manager-pass | rejoin user add mia --manager --users users.json
echo reader-pass | rejoin user add rob --users users.json");
    let server = Server::start(&place, "");
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    let shown = server.get("/", &mia).is(200, &["First steps", "Nothing is loaded yet", "--suite shop"]);
    assert!(!shown.body.contains("A manager takes"), "{}", shown.body);
    server.get("/", &rob).is(200, &["First steps", "A manager takes these steps"]);
    server.get("/sql", &rob).is(200, &["<summary>suites</summary>"]);
}

/// A file of another make is loaded by a mapping that the lake keeps.
#[test]
fn mapped_files_are_uploaded() {
    let place = place();
    let server = Server::start(&place, "");
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    let store = |cookie: &str, name: &str, text: &str| {
        let fields = format!("name-of-mapping={}&text={}", encoded(name), encoded(text));
        server.form("/suites/web/mappings", &[cookie], &fields)
    };
    let upload = |cookie: &str, mapping: &str, name: &str, rows: &str| {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"mapping\"\r\n\r\n{mapping}\r\n--x\r\n\
             Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{rows}\r\n--x--\r\n"
        );
        let kind = "Content-Type: multipart/form-data; boundary=x";
        server.send("POST /suites/web/upload", &[cookie, kind], body.as_bytes())
    };
    let clicks = "kind = \"online\"\r\nvisitor_id = \"user\"\r\ntime = \"ts\"\r\n";
    let rows = "user,ts\nu1,2026-09-20T08:00:00\nu2,2026-09-21T08:00:00\n";
    // only mappings, only by managers
    server.get("/suites/web", &mia).is(200, &["Files by a mapping", "Store a mapping"]);
    store(&rob, "clicks", clicks).is(403, &["rob may read only"]);
    store(&mia, "../clicks", clicks).is(422, &["letters, digits"]);
    store(&mia, "clicks", "kind = \"online\"\nvisitor = \"x\"").is(422, &["mapping clicks", "unknown key visitor"]);
    upload(&mia, "clicks", "a.csv", rows).is(422, &["no mapping clicks"]);
    store(&mia, "clicks", clicks).is(303, &[]);
    let page = server.get("/suites/web", &mia).is(200, &["Mapping clicks is stored", "<option value=\"clicks\">"]);
    assert!(page.body.contains("aria-label=\"Drop mapping clicks\""), "{}", page.body);
    assert!(!server.get("/suites/web", &rob).is(200, &[]).body.contains("Files by a mapping"));
    // files
    upload(&rob, "clicks", "a.csv", rows).is(403, &["rob may read only"]);
    upload(&mia, "clicks", "a.txt", rows).is(415, &[".csv"]);
    upload(&mia, "", "a.csv", rows).is(400, &["choose the one that reads the file"]);
    let second = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"b.csv\"\r\n\r\n";
    upload(&mia, "clicks", "a.csv", &format!("{rows}\r\n{second}{rows}")).is(400, &["more than one file came"]);
    let hits = || place.cell("SELECT count(*) AS n FROM hits WHERE visitor_id IN ('u1', 'u2')");
    assert_eq!(hits(), 0);
    let loaded = upload(&mia, "clicks", "../a.CSV", rows).is(303, &[]);
    assert_eq!(loaded.header("location"), "/log/file?suite=web&file=a.csv");
    server.get(loaded.header("location"), &mia).is(200, &["a.csv is loaded: 2 rows, 0 rejected"]);
    assert_eq!(hits(), 2);
    upload(&mia, "clicks", "a.csv", &rows.replace("u2", "u3")).is(409, &["tick"]);
    // dropped, it loads nothing more
    server.form("/suites/web/mappings/drop", &[&mia], "mapping=clicks").is(303, &[]);
    upload(&mia, "clicks", "b.csv", rows).is(422, &["no mapping clicks"]);
    assert_eq!(hits(), 2);
}

/// An item with a long name that would be an element.
fn item(number: usize) -> String {
    let name = format!("{HOSTILE} item {number:03}");
    format!("{name:<119}.")
}

/// Two hundred visitors, each of whom comes by an item of his own and is worth `number - 100.5` a day later.
fn analysts_place() -> Place {
    let place = Place::new();
    let mut clicks = String::from("visitor,time,code,revenue\n");
    for number in 0..200 {
        let (code, worth) = (item(number), number as f64 - 100.5);
        clicks += &format!("v{number},2026-09-10T08:00:00,{code},0\nv{number},2026-09-11T08:00:00,,{worth}\n");
    }
    place.write("clicks.csv", clicks);
    place.write(
        "clicks.toml",
        "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\n\
         [dimensions]\ntracking_code = \"code\"\n[metrics]\nrevenue = \"revenue\"\n",
    );
    place.sh("rejoin suite create web
rejoin ingest clicks.csv --mapping clicks.toml
rejoin rebuild
echo manager-pass | rejoin user add mia --manager --users users.json
echo reader-pass | rejoin user add rob --users users.json");
    place
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[test]
fn an_analyst_goes_from_credit_to_a_path() {
    let place = analysts_place();
    let server = Server::start(&place, "");
    let rob = server.login("rob", "reader-pass");
    let credit = "/reports?metric=revenue&dimension=tracking_code";
    let all = server.get(&format!("{credit}&limit=200&sort=2"), &rob);
    let all =
        all.is(200, &["<dt>conversions</dt><dd>200</dd>", "<dd>-200 USD</dd>", "aria-sort=\"ascending\"", ">-100.5<"]);
    assert!(!all.body.contains("<img"));
    assert_eq!(all.body.matches("href=\"/reports/conversions?").count(), 200);
    assert!(all.body.find("item 000") < all.body.find("item 199"));
    // a part of a name, as a page and as files
    let one = server.get(&format!("{credit}&find=ITEM+007"), &rob).is(200, &["item 007", ">-93.5<"]);
    assert!(!one.body.contains("item 008"));
    let csv = server.get(&format!("{credit}&find=item+007&to=csv"), &rob).is(200, &[]);
    assert_eq!(csv.chunks(), format!("tracking_code,revenue\n{},-93.5\n", item(7)));
    let html = server.get(&format!("{credit}&find=item+007&to=html"), &rob).is(200, &["<!DOCTYPE html>", "item 007"]);
    assert!(html.header("content-disposition").starts_with("attachment"), "{}", html.head);
    assert!(!html.body.contains("href=\"/"));
    // an item, its conversion, the path of it
    let link = format!("/reports/conversions?metric=revenue&dimension=tracking_code&item={}", encoded(&item(7)));
    let conversions = server.get(&link, &rob).is(200, &["Conversions of an item", ">-93.5<"]);
    let path = conversions.body.split("href=\"/reports/path?").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let path = server.get(&format!("/reports/path?{}", path.replace("&amp;", "&")), &rob);
    path.is(200, &["Path of a conversion", "item 007", "u shaped", "<dt>value</dt><dd>-93.5</dd>"]);
    // days, the period before, filters
    let week = format!("{credit}&since=2026-09-08&last=2026-09-11&compare=before");
    server
        .get(&week, &rob)
        .is(200, &["revenue before", "<dd>2026-09-04 to 2026-09-07</dd>", "<dt>conversions before</dt><dd>0</dd>"]);
    server.get(&format!("{credit}&last=2026-09-10"), &rob).is(200, &["No rows.", "<dt>conversions</dt><dd>0</dd>"]);
    let filter = "&of1=visitors&column1=tracking_code&test1=contains&value1=item+007";
    server.get(&format!("{credit}{filter}"), &rob).is(200, &["<dt>conversions</dt><dd>1</dd>", "item 007"]);
    server.get(&format!("{credit}{filter}&list=values"), &rob).is(200, &["<datalist", "200 most frequent"]);
    let models = server.get(&format!("{credit}&model=linear&beside=first_touch&by=month&find=item+007"), &rob);
    models.is(200, &["first touch", "All items by month", "2026-09-01"]);
    // what cannot be asked is said, with the form
    for (wrong, why) in [
        ("&period=nothing", "last_month"),
        ("&last=2026-02-30", "2026-02-30"),
        ("&column1=no_such&value1=x", "no_such"),
        ("&column1=revenue&test1=more&value1=x", "number"),
        ("&touches=count(*)+%3E+1", "touches"),
    ] {
        server.get(&format!("{credit}{wrong}"), &rob).is(400, &[why, "Show report"]);
    }
    server.get(&format!("{credit}&suite=nothing"), &rob).is(404, &["there is no suite"]);
}

#[test]
fn funnels_flows_and_paths() {
    let place = analysts_place();
    let server = Server::start(&place, "");
    let rob = server.login("rob", "reader-pass");
    let steps = "steps=tracking_code+IS+NOT+NULL%0D%0Arevenue+%3C+0";
    let numbers =
        ["<td class=\"n\">200</td>", "<td class=\"n\">101</td>", "<td class=\"n\">50.5</td>", "median time</th>"];
    let funnel = server.get(&format!("/reports/funnel?{steps}"), &rob).is(200, &numbers);
    assert!(
        funnel.body.contains("funnel(steps =&gt; ['tracking_code IS NOT NULL', 'revenue &lt; 0']"),
        "{}",
        funnel.body
    );
    server.get(&format!("/reports/funnel?{steps}&within=1+hour"), &rob).is(200, &["<td class=\"n\">0</td>"]);
    server.get("/reports/funnel", &rob).is(200, &["page_views &gt; 0", "Show funnel"]);
    let many = format!("/reports/funnel?steps={}", "revenue+%3C+0%0D%0A".repeat(40));
    server.get(&many, &rob).is(200, &["revenue &lt; 0"]);
    server.get("/reports/funnel?steps=no_such+%3E+0", &rob).is(400, &["no_such", "Show funnel"]);
    server.get(&format!("/reports/funnel?{steps}&within=-1+day"), &rob).is(400, &["within"]);
    let flow = "/reports/flow?dimension=tracking_code&from=1+%3D+1&ways=50";
    let drawn = server.get(flow, &rob).is(200, &["<svg", "<path d=\"M", "(end)", "&lt;img"]);
    assert!(!drawn.body.contains("<img") && !drawn.body.contains("NaN"));
    assert_eq!(drawn.body.matches("<path d=").count(), 50);
    server.get(&format!("{flow}&direction=before"), &rob).is(200, &["(beginning)"]);
    server.get(&format!("{flow}&since=2030-01-01&last=2030-01-02"), &rob).is(200, &["No rows."]);
    server.get("/reports/flow?dimension=tracking_code&from=nothing+at+all", &rob).is(400, &["after", "Show flow"]);
    let paths = "/reports/paths?metric=revenue&dimension=tracking_code";
    let found = server.get(&format!("{paths}&find=item+007"), &rob).is(200, &["item 007", ">-93.5<"]);
    assert!(!found.body.contains("<img") && !found.body.contains("item 008"));
    let csv = server.get(&format!("{paths}&find=item+007&to=csv"), &rob).is(200, &[]);
    assert_eq!(csv.chunks(), format!("path,conversions,revenue,journeys\n{},1,-93.5,1\n", item(7)));
}

#[test]
fn reports_are_saved_by_managers_and_opened_by_all() {
    let place = analysts_place();
    let server = Server::start(&place, "");
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    let name = "<b>\"Returns\"</b> 'of' May";
    let of = |name: &str, page: &str, question: &str| {
        format!("suite=web&report={}&page={page}&question={}", encoded(name), encoded(question))
    };
    let question = "metric=revenue&dimension=tracking_code&touches=tracking_code <> '<i>'&to=csv";
    server.form("/reports/saved", &[&rob], &of(name, "credit", question)).is(403, &["rob may read only"]);
    let saved = server.form("/reports/saved", &[&mia], &of(name, "credit", question)).is(303, &[]);
    let address = saved.header("location").to_string();
    assert!(address.starts_with("/reports?metric=revenue&") && !address.contains("to=csv"), "{address}");
    server.get(&address, &rob).is(200, &["<dt>conversions</dt><dd>200</dd>"]);
    // one name, one report; and none that is no name, or of no page
    server.form("/reports/saved", &[&mia], &of(name, "funnel", "steps=x")).is(409, &["already"]);
    server.form("/reports/saved", &[&mia], &of(&"n".repeat(10_000), "credit", question)).is(422, &["at most 100"]);
    server.form("/reports/saved", &[&mia], &of("  ", "credit", question)).is(422, &["some text"]);
    server
        .form("/reports/saved", &[&mia], &of("long", "credit", &format!("q={}", "q".repeat(20_000))))
        .is(422, &["at most 16000"]);
    server.form("/reports/saved", &[&mia], &of("odd", "//evil.example", question)).is(400, &["credit, funnel"]);
    let list =
        server.get("/reports/saved", &rob).is(200, &["&lt;b&gt;&quot;Returns&quot;&lt;/b&gt; 'of' May", ">mia<"]);
    assert!(!list.body.contains("<b>") && !list.body.contains("/reports/saved/drop"));
    let link = list.body.split("scope=\"row\"><a href=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert_eq!(link.replace("&amp;", "&"), address);
    // a saved question changes no result
    let start = server.get("/", &mia).is(200, &["Transaction ID"]);
    assert!(!start.body.contains("Something changed"), "{}", start.body);
    let rows = place.query("SELECT suite, report, page, saved_by FROM saved_reports");
    assert_eq!(rows, json!([{"suite": "web", "report": name, "page": "credit", "saved_by": "mia"}]));
    let drop = format!("suite=web&report={}", encoded(name));
    server.form("/reports/saved/drop", &[&rob], &drop).is(403, &[]);
    server.form("/reports/saved/drop", &[&mia], &drop).is(303, &[]);
    server.form("/reports/saved/drop", &[&mia], &drop).is(422, &["no saved report"]);
    server.get("/reports/saved", &rob).is(200, &["None yet."]);
}

/// The tab *Exports*: runs, counts by reason, the last acknowledgement; for readers, too, and not for strangers.
#[test]
fn exports_and_their_runs() {
    let place = place();
    let consent = "tracking_code <> 'mail'";
    let create = ["export", "create", "sales", "--to", "ecapi", "--metric", "revenue", "--set", "data_set_id=shop"];
    let more = ["--set", "currency=EUR", "--field", "click_id=tracking_code", "--consent", consent];
    place.rejoin_with(&[&create[..], &more[..]].concat()).ok();
    let server = Server::start(&place, "");
    let stranger = server.get("/exports", "X: y").is(303, &[]);
    assert!(stranger.header("location").starts_with("/login"), "{}", stranger.head);
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    server.get("/exports", &rob).is(200, &[">sales</h2>", "Nothing was acknowledged yet.", "None yet."]);

    place.rejoin("export run sales").ok();
    let waits = "Run 1 waits for its acknowledgement.";
    let of_counts = [
        r#"<th scope="row">ineligible</th><td>no consent</td><td class="n">1</td>"#,
        r#"<th scope="row">new</th><td></td><td class="n">1</td>"#,
    ];
    server.get("/exports", &rob).is(200, &["Nothing was acknowledged yet.", waits]).is(200, &of_counts);
    place.rejoin("export ack sales 1").ok();
    let page = server.get("/exports", &mia).is(200, &["Last acknowledged: run 1, ", "acknowledged</span>"]);
    assert!(!page.body.contains(waits), "{}", page.body);

    // rows that the command did not write
    deep(|runtime| {
        runtime.block_on(async {
            let (lake, text, web) = (place.open_lake(), || HOSTILE.to_string(), || "web".to_string());
            let definition = ExportDefinition {
                export: text(),
                suite: web(),
                target: "csv".into(),
                metric: text(),
                settings: "{}".into(),
                ..ExportDefinition::default()
            };
            Registry::<ExportDefinition>::append(&lake, &[definition]).await.unwrap();
            let event = ExportEvent {
                suite: web(),
                export: text(),
                event: text(),
                run: 1,
                action: text(),
                reason: Some(text()),
                ..ExportEvent::default()
            };
            Registry::<ExportEvent>::append(&lake, &[event]).await.unwrap();
            let run = ExportRun { export: text(), run: 1, suite: web(), status: text(), ..ExportRun::default() };
            Registry::<ExportRun>::append(&lake, &[run]).await.unwrap();
        });
    });
    let page = server.get("/exports", &rob).is(200, &[">sales</h2>", "&lt;img src=x onerror=window.hacked=1&gt;"]);
    assert!(!page.body.contains("<img"), "{}", page.body);
}

#[test]
fn with_a_certificate_it_speaks_https() {
    let place = place();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_string(), "127.0.0.1".to_string()]).unwrap();
    place.write("cert.pem", made.cert.pem());
    place.write("key.pem", made.signing_key.serialize_pem());
    let server = Server::start(&place, "--tls-cert cert.pem --tls-key key.pem");
    let script = "
import http.client, ssl, sys
host, port = sys.argv[1].split(':')
trust = ssl.create_default_context(cafile='cert.pem')
door = http.client.HTTPSConnection(host, int(port), context=trust)
door.request('POST', '/login', 'user=mia&password=manager-pass', {'Content-Type': 'application/x-www-form-urlencoded'})
answer = door.getresponse()
print(answer.status, answer.headers['set-cookie'].split('=', 1)[0], answer.headers['set-cookie'].split('; ', 1)[1])
trust.set_alpn_protocols(['h2', 'http/1.1'])
import socket
print(trust.wrap_socket(socket.create_connection((host, int(port))), server_hostname=host).selected_alpn_protocol())
";
    let mut command = Command::new("python3");
    place.settle(command.args(["-c", script, &server.address]));
    let done = command.output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&done.stdout),
        "303 __Host-rejoin Path=/; HttpOnly; SameSite=Strict; Secure\nh2\n",
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// An ID that would leave an attribute, a text in SQL, or be an element.
const HOSTILE_ID: &str = "o'brien\" <img src=x onerror=window.hacked=1>";

/// Persons: Bob with a phone and a desk, one with a hostile ID, and one with an ID of 5,000 bytes.
fn log_in_visitors(place: &Place) {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut logins = String::from("visitor,time,id\n");
    for (visitor, time, id) in [
        ("phone", "2026-09-10T08:00:00", "bob"),
        ("desk", "2026-09-11T08:00:00", "bob"),
        ("desk", "2026-09-12T08:00:00", ""),
        (HOSTILE, "2026-09-12T08:00:00", HOSTILE_ID),
        ("long", "2026-09-12T08:00:00", "x".repeat(5000).as_str()),
    ] {
        logins += &format!("{},{time},{}\n", quoted(visitor), if id.is_empty() { String::new() } else { quoted(id) });
    }
    place.write("logins.csv", logins);
    place.write(
        "logins.toml",
        "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\ncustomer_id = \"id\"\n",
    );
    place.sh("rejoin suite set web --persons device_split
rejoin ingest logins.csv --mapping logins.toml");
}

/// Fields of a form or an address.
fn fields(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[test]
fn managers_unlink_a_visitor_from_a_person() {
    let place = place();
    let server = Server::start(&place, "");
    let (mia, rob) = (server.login("mia", "manager-pass"), server.login("rob", "reader-pass"));
    server.get("/persons", &rob).is(200, &["Persons are off in every report suite"]);
    log_in_visitors(&place);
    server.get("/persons", &rob).is(200, &["No rebuild has found the persons yet"]);
    place.rejoin("rebuild").ok();
    let page_of = |person: &str| format!("/persons?{}", fields(&[("suite", "web"), ("person", person)]));
    let unlink = |person: &str, visitor: &str| fields(&[("suite", "web"), ("person", person), ("visitor", visitor)]);
    let rules = || place.query("SELECT rule, \"first\", \"second\" FROM person_rules");

    // strangers and other sites
    let asked = server.get("/persons", "X: y").is(303, &[]);
    assert_eq!(asked.header("location"), "/login?next=%2Fpersons");
    server.form("/persons/unlink", &["Cookie: rejoin=guessed"], &unlink("id:bob", "desk")).is(401, &["log in"]);
    for foreign in ["Sec-Fetch-Site: cross-site", "Origin: null", "Origin: https://evil.example"] {
        server.form("/persons/unlink", &[&mia, foreign], &unlink("id:bob", "desk")).is(403, &["another site"]);
    }
    // a reader sees whose rows are whose, and no button
    let listed = server.get("/persons", &rob);
    let listed =
        listed.is(200, &["href=\"/persons?suite=web&amp;person=id%3Abob\">id:bob</a></th><td class=\"n\">2</td>"]);
    assert!(!listed.body.contains("<img"), "{}", listed.body);
    let desk = "<th scope=\"row\">desk</th><td>ever</td><td>ever</td><td>a customer ID on the visitor's rows</td>";
    for person in ["id:bob", "bob", "visitor:desk", "phone"] {
        let page = server.get(&page_of(person), &rob);
        let page =
            page.is(200, &["id:bob</h2>", "<dt>online rows</dt><dd>3</dd>", "<dt>visitors</dt><dd>2</dd>", desk]);
        assert!(!page.body.contains("Unlink"), "{}", page.body);
    }
    server.form("/persons/unlink", &[&rob], &unlink("id:bob", "desk")).is(403, &["rob may read only"]);
    assert_eq!(rules(), json!([]));
    // whom nothing links, nothing unlinks
    for (person, visitor) in [("id:bob", "nobody"), ("id:bob", "v1"), ("id:zzz", "desk"), ("", ""), ("bob", "desk")] {
        server
            .form("/persons/unlink", &[&mia], &unlink(person, visitor))
            .is(if visitor.is_empty() { 400 } else { 422 }, &[]);
    }
    server
        .form("/persons/unlink", &[&mia], "suite=nothing&person=id%3Abob&visitor=desk")
        .is(404, &["no suite nothing"]);
    server.form("/persons/unlink", &[&mia], "suite=web").is(422, &[]);
    assert_eq!(rules(), json!([]));

    // a manager unlinks; rows follow at the next rebuild
    server.get(&page_of("id:bob"), &mia).is(200, &["aria-label=\"Unlink desk from id:bob\""]);
    let done = server.form("/persons/unlink", &[&mia], &unlink("id:bob", "desk")).is(303, &[]);
    assert_eq!(done.header("location"), page_of("id:bob"));
    let told = [
        "taken out of the person",
        "Something changed since the last rebuild",
        "<td>visitor:desk</td><td>id:bob</td>",
        desk,
    ];
    server.get(&page_of("id:bob"), &mia).is(200, &told);
    let rule = json!([{"rule": "unlink", "first": "visitor:desk", "second": "id:bob"}]);
    assert_eq!(rules(), rule);
    server.form("/persons/unlink", &[&mia], &unlink("id:bob", "desk")).is(422, &["nothing links"]);
    place.rejoin("rebuild").ok();
    let page = server.get(&page_of("id:bob"), &mia).is(200, &["<th scope=\"row\">phone</th>", "<dd>1</dd>"]);
    assert!(!page.body.contains("<th scope=\"row\">desk</th>"), "{}", page.body);

    // names that could break something
    let page = server.get(&page_of(&format!("id:{HOSTILE_ID}")), &mia);
    let page = page.is(200, &["id:o'brien&quot; &lt;img", "name=\"visitor\" value=\"&lt;img src=x"]);
    assert!(!page.body.contains("<img"), "{}", page.body);
    let long = format!("id:{}", "x".repeat(5000));
    server.get(&page_of(&long), &mia).is(200, &[&format!("{long}</h2>"), "<th scope=\"row\">long</th>"]);
    server.form("/persons/unlink", &[&mia], &unlink(&long, "long")).is(400, &["at most 1024 bytes"]);
    let more = "9".repeat(5000);
    for unknown in ["id:zzz", "zzz", "visitor:zzz", "id:x' OR '1'='1", "id:", "\0", more.as_str()] {
        server.get(&page_of(unknown), &mia).is(404, &["No row and no rule of web is of such a person"]);
    }
    server.get("/persons?suite=nothing", &mia).is(404, &["no suite nothing"]);
    assert_eq!(rules(), rule);
}
