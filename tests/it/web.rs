//! The web page: a manager's day in a real browser, and what strangers, other sites and readers may not do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::{Value, json};

use crate::place::Place;

/// Nothing here takes so long on a busy machine.
const LONG: Duration = Duration::from_secs(120);

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

/// `rejoin serve --http`; killed with the value.
struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Server {
    fn start(place: &Place, arguments: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
        place.settle(command.args("serve --http 0 --users users.json --max-upload 1MB".split(' ')));
        command.args(arguments.split_whitespace()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        let line = lines.recv_timeout(LONG).unwrap();
        let address = line.split("://").nth(1).unwrap_or_else(|| panic!("{line}")).trim_end_matches('/').to_string();
        Self { child, lines, address }
    }

    fn send(&self, request: &str, headers: &[&str], body: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let mut head = format!("{request} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|h| h.starts_with("Host:")) {
            head += &format!("Host: {}\r\n", self.address);
        }
        if !headers.iter().any(|h| h.starts_with("Content-Length:")) {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        headers.iter().for_each(|header| head += &format!("{header}\r\n"));
        stream.write_all(format!("{head}\r\n").as_bytes()).unwrap();
        // whoever is refused may find the door shut
        let _ = stream.write_all(body);
        let mut answer = vec![];
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request}: {answer:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_string(), raw: head.to_string() }
    }

    fn get(&self, path: &str, cookie: &str) -> Answer {
        self.send(&format!("GET {path}"), &[cookie], b"")
    }

    fn form(&self, path: &str, headers: &[&str], fields: &str) -> Answer {
        let headers = [headers, &["Content-Type: application/x-www-form-urlencoded"]].concat();
        self.send(&format!("POST {path}"), &headers, fields.as_bytes())
    }

    fn upload(&self, source: &str, cookie: &str, name: &str, content: &str) -> Answer {
        let body = format!(
            "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n"
        );
        let headers = [cookie, "Content-Type: multipart/form-data; boundary=x"];
        self.send(&format!("POST /suites/web/sources/{source}/upload"), &headers, body.as_bytes())
    }

    /// Logs in; the header that says so from then on.
    fn login(&self, user: &str, password: &str) -> String {
        let answer = self.form("/login", &[], &format!("user={user}&password={password}"));
        assert_eq!((answer.status, answer.header("location")), (303, "/"), "{}", answer.body);
        let set = answer.raw.lines().find_map(|l| l.strip_prefix("set-cookie: ")).unwrap();
        assert!(set.ends_with("; Path=/; HttpOnly; SameSite=Strict"), "{set}");
        format!("Cookie: {}", set.split(';').next().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // shown where the test fails
        eprintln!("the server said {:?}", self.lines.try_iter().collect::<Vec<_>>());
    }
}

struct Answer {
    status: u16,
    head: String,
    raw: String,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.raw.lines().find_map(|l| l.split_once(": ").filter(|(n, _)| *n == name)).map_or("", |(_, value)| value)
    }

    #[track_caller]
    fn is(self, status: u16, texts: &[&str]) -> Self {
        assert_eq!(self.status, status, "{}\n{}", self.head, self.body);
        for text in texts {
            assert!(self.body.contains(text), "{text:?} is missing in {}", self.body);
        }
        self
    }
}

#[test]
fn a_day_of_a_manager_in_chromium() {
    let place = place();
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
    server.get("/reports?metric=no_such", &mia).is(400, &["no metric no_such"]);
    for path in ["/nothing", "/suites/nothing", "/suites/web/sources/nothing", "/log/file?file=nothing"] {
        server.get(path, &mia).is(404, &["Not found"]);
    }
    // files
    server.upload("leads", &mia, "../../leads.exe", LEADS).is(415, &[".txt"]);
    server.upload("leads", &mia, "large.txt", &"x".repeat(1_200_000)).is(413, &["larger than 1 MB"]);
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
    server.upload("leads", &mia, name, &LEADS.replace("7.25", "8")).is(409, &["tick"]);
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

impl Answer {
    /// A body that came in chunks.
    fn chunks(&self) -> String {
        let (mut rest, mut out) = (self.body.as_str(), String::new());
        while let Some((size, after)) = rest.split_once("\r\n") {
            let size = usize::from_str_radix(size, 16).unwrap();
            out += &after[..size];
            rest = after[size..].strip_prefix("\r\n").unwrap();
        }
        out
    }
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
