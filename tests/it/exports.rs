//! Exports: what a target was told in the end is what the lake has, whatever came, changed, went or failed in between.
//!
//! The model of a target is a map by id that applies what is sent. Bodies are checked against schemas that are written here from
//! the targets' documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rejoin::ErrorKind;
use rejoin::engine::{Engine, EngineSettings};
use rejoin::export::definition::{Export, Settings};
use rejoin::export::post::Post;
use rejoin::export::run::{self, RunOptions, RunOutcome};
use rejoin::export::{runs, saved};
use rejoin::ingest::{IngestOptions, Status, ingest, remove};
use rejoin::lake::Lake;
use rejoin::rebuild::{RebuildOptions, rebuild};
use serde_json::{Value, json};

use crate::faults::lake_with;
use crate::faulty::Fault;
use crate::place::{Done, Place, copy, deep};
use crate::table;

/// Nothing here takes so long on a busy machine.
/// Requests of which one fails; with `REJOIN_ALL_DELAYS` in the environment each does.
const REQUESTS: usize = 5;

const LONG: Duration = Duration::from_secs(120);

/// What a target has: by id, when and how much.
type Has = BTreeMap<String, (String, String)>;

/// Applies a body of the open standard, which says what is to be done.
fn apply(has: &mut Has, body: &Value) {
    for event in body.as_array().unwrap() {
        let id = event["id"].as_str().unwrap().to_string();
        let known = has.contains_key(&id);
        match event["ext"]["action"].as_str().unwrap() {
            "retracted" => assert!(has.remove(&id).is_some(), "{id} was never told"),
            action => {
                assert_eq!(known, action == "restated", "{id} is {action}");
                has.insert(id, (event["timestamp"].to_string(), event["value"].to_string()));
            }
        }
    }
}

/// What a server does with a request after it has read it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Answer {
    Status(u16),
    /// It redirects its clients.
    Moved,
    /// It takes the body, and the connection ends without an answer.
    Lost,
}

/// A request: key, authorization, body.
type Request = (String, Option<String>, Value);

/// A server of a target, on a free port of this machine.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// `answer` is given the number of the request, from 0.
    fn start(answer: impl Fn(usize) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/events", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let seen = requests.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read_request(&stream) else { continue };
                let number = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request);
                    seen.len() - 1
                };
                let (status, more) = match answer(number) {
                    Answer::Status(status) => (status, ""),
                    Answer::Moved => (302, "Location: /elsewhere\r\n"),
                    Answer::Lost => continue,
                };
                let text = format!("HTTP/1.1 {status} x\r\n{more}Content-Length: 2\r\nConnection: close\r\n\r\n{{}}");
                let _ = stream.write_all(text.as_bytes());
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    /// What the target has, when a request of a known key is one that it has already.
    fn has(&self) -> Has {
        let (mut has, mut keys) = (Has::new(), BTreeSet::new());
        for (key, _, body) in self.requests() {
            if keys.insert(key) {
                apply(&mut has, &body);
            }
        }
        has
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut key, mut authorization) = (0, String::new(), None);
    let mut first = true;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if first {
            assert_eq!(line, "POST /events HTTP/1.1");
            first = false;
        } else if line.is_empty() {
            break;
        } else if let Some((name, value)) = line.split_once(": ") {
            match name.to_lowercase().as_str() {
                "content-length" => length = value.parse().unwrap(),
                "idempotency-key" => key = value.to_string(),
                "authorization" => authorization = Some(value.to_string()),
                _ => {}
            }
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((key, authorization, serde_json::from_slice(&body).unwrap()))
}

const SHOP: &str = r#"
rejoin suite create web --currency EUR
rejoin source create web deals --kind transaction
online hits <<END
visitor  time              page_name  gclid  mail            consent  transaction_id  event1
v1       2026-09-01 10:00  lead       G-1    Ann@Example.com  yes      L1              1
v2       2026-09-02 10:00  lead       G-2    bob@gmail.com    yes      L2              1
v3       2026-09-03 10:00  lead       .      cy@example.com   no       L3              1
END
rejoin rebuild
rejoin export create leads --to google --metric event1 --set account=123 --set conversion_action=77 --set event_source=WEB \
  --field gclid=gclid --field email=mail --consent "consent = 'yes'"
"#;

const CLOSED: &str = r#"
rejoin export create closed --to ecapi --metric event10 --set data_set_id=shop --set event_type=close_convert_lead \
  --set source=phone_call --field click_id=gclid
"#;

/// Runs an export and says that the target has it; the bodies.
fn acknowledged(place: &Place, name: &str) -> (Told, Vec<Value>) {
    let ran: Value = serde_json::from_str(&place.rejoin(&format!("export run {name} --json")).ok().stdout).unwrap();
    let files = ran["files"].as_array().unwrap();
    let bodies = files.iter().map(|file| body(place, file.as_str().unwrap())).collect();
    let counts = ["new", "restated", "retracted", "ineligible"].map(|name| ran[name].as_i64().unwrap());
    if ran["status"] == "waiting" {
        place.rejoin(&format!("export ack {name} {}", ran["run"])).ok();
    }
    (Told { counts, reasons: ran["reasons"].clone() }, bodies)
}

/// What a run counted: new, restated, retracted, ineligible.
struct Told {
    counts: [i64; 4],
    reasons: Value,
}

fn body(place: &Place, file: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(place.lake().join(file)).unwrap()).unwrap()
}

/// A lead, its close, a correction, a removal, a forgotten visitor: five rebuilds, and what the targets are told of each.
#[test]
fn lead_close_correction_removal_forget() {
    let place = Place::new();
    place.sh(SHOP);
    let mut has = Has::new();

    // the lead
    let (ran, bodies) = acknowledged(&place, "leads");
    assert_eq!(ran.counts, [2, 0, 0, 1]);
    assert_eq!(ran.reasons, json!({"no consent": 1}));
    let events = bodies[0]["events"].as_array().unwrap().clone();
    assert_eq!(events.len(), 2);
    let of_ann = events.iter().find(|e| e["adIdentifiers"]["gclid"] == "G-1").unwrap();
    assert_eq!(of_ann["eventTimestamp"], "2026-09-01T10:00:00.000000Z");
    assert_eq!((&of_ann["conversionValue"], &of_ann["currency"]), (&json!(1.0), &json!("EUR")));
    let ann = place.cell("SELECT encode(sha256('ann@example.com'), 'hex') AS h");
    assert_eq!(of_ann["userData"]["userIdentifiers"][0]["emailAddress"], ann);
    // the close
    place.sh("offline deals_1 <<END
Date        transactionID  Event 10
09/10/2026  L1             500
09/11/2026  L2             300
09/12/2026  L3             200
END
rejoin ingest deals_1.txt --suite web --source deals; rejoin rebuild");
    place.sh(CLOSED);
    let (ran, bodies) = acknowledged(&place, "closed");
    assert_eq!(ran.counts, [2, 0, 0, 1]);
    assert_eq!(ran.reasons, json!({"no click id": 1}));
    bodies.iter().for_each(|body| apply(&mut has, body));
    let values = |has: &Has| has.values().map(|(_, value)| value.clone()).collect::<BTreeSet<_>>();
    assert_eq!(values(&has), BTreeSet::from(["500.0".to_string(), "300.0".to_string()]));
    let ids: BTreeSet<String> = has.keys().cloned().collect();

    // the correction
    place.sh("offline deals_1 <<END
Date        transactionID  Event 10
09/10/2026  L1             450
09/11/2026  L2             300
09/12/2026  L3             200
END
rejoin ingest deals_1.txt --suite web --source deals --replace; rejoin rebuild");
    let (ran, bodies) = acknowledged(&place, "closed");
    assert_eq!(ran.counts, [0, 1, 0, 0]);
    assert_eq!(bodies[0].as_array().unwrap().len(), 1);
    bodies.iter().for_each(|body| apply(&mut has, body));
    assert_eq!(values(&has), BTreeSet::from(["450.0".to_string(), "300.0".to_string()]));

    // the removal, and the same records in another file, under another name and in another order
    place.sh("rejoin remove deals_1.txt; rejoin rebuild");
    let (ran, bodies) = acknowledged(&place, "closed");
    assert_eq!(ran.counts, [0, 0, 2, 0]);
    assert_eq!(bodies[0][0]["event_type"], "close_convert_lead");
    bodies.iter().for_each(|body| apply(&mut has, body));
    assert!(has.is_empty());
    place.sh("offline deals_2 <<END
Date        transactionID  Event 10
09/11/2026  L2             300
09/10/2026  L1             450
END
rejoin ingest deals_2.txt --suite web --source deals; rejoin rebuild");
    let (ran, bodies) = acknowledged(&place, "closed");
    assert_eq!(ran.counts, [2, 0, 0, 0]);
    bodies.iter().for_each(|body| apply(&mut has, body));
    assert_eq!(has.keys().cloned().collect::<BTreeSet<_>>(), ids, "one conversion has one id for ever");

    // the visitor is forgotten
    place.sh("rejoin forget --visitor v1 --yes");
    let (ran, bodies) = acknowledged(&place, "closed");
    assert_eq!(ran.counts, [0, 0, 1, 0]);
    bodies.iter().for_each(|body| apply(&mut has, body));
    assert_eq!(values(&has), BTreeSet::from(["300.0".to_string()]));
    let (ran, bodies) = acknowledged(&place, "leads");
    assert_eq!(ran.counts, [0, 0, 1, 0]);
    let event = &bodies[0]["events"][0];
    assert_eq!((&event["conversionValue"], &event["adIdentifiers"]["gclid"]), (&json!(0.0), &json!("G-1")));
    // what Google took back needs no identifiers any more
    let kept = "SELECT count(*) AS n FROM exports WHERE identifiers LIKE '%G-1%'";
    assert!(place.cell(kept).as_i64().unwrap() > 0);
    let (ran, _) = acknowledged(&place, "leads");
    assert_eq!((ran.counts, place.cell(kept)), ([0; 4], json!(0)));

    let shown = place.rejoin("export show closed").ok().stdout;
    assert!(shown.contains("close_convert_lead") && shown.contains("acknowledged"), "{shown}");
    let listed: Value = serde_json::from_str(&place.rejoin("export list --json").ok().stdout).unwrap();
    assert_eq!(listed.as_array().unwrap().len(), 2);
}

/// A run that waits is the same again; discarded, it was never there; the name that was dropped goes on.
#[test]
fn a_run_waits_for_its_acknowledgement() {
    let place = Place::new();
    place.sh(SHOP);
    let run = |more: &str| -> Value {
        serde_json::from_str(&place.rejoin(&format!("export run leads --json {more}")).ok().stdout).unwrap()
    };
    assert_eq!(run("--dry-run")["new"], 2);
    assert_eq!(place.cell("SELECT count(*) AS n FROM exports"), 0);
    let first = run("-o out");
    let copied = std::fs::read(place.path().join("out").join(first["files"][0].as_str().unwrap())).unwrap();
    place.sh("online more <<END
visitor  time              page_name  gclid  mail  consent  event1
v9       2026-09-20 10:00  lead       G-9    .     yes      1
END");
    let again = run("");
    assert_eq!((&again["run"], &again["again"], &again["new"]), (&json!(1), &json!(true), &json!(2)));
    let kept = std::fs::read(place.lake().join(again["files"][0].as_str().unwrap())).unwrap();
    assert_eq!(kept, copied);
    place.rejoin("export drop leads").fails(5, &["run 1", "export ack leads 1"]);
    place.rejoin("export ack leads 2").fails(3, &["no run 2"]);

    place.rejoin("export ack leads 1 --discard").ok();
    place.rejoin("export ack leads 1 --discard").ok();
    place.rejoin("export ack leads 1").fails(5, &["discarded already"]);
    assert!(!place.lake().join("exports/leads/1").read_dir().is_ok_and(|mut files| files.next().is_some()));
    let second = run("");
    assert_eq!((&second["run"], &second["new"]), (&json!(2), &json!(3)));
    place.rejoin("export ack leads 2").ok();
    place.rejoin("export ack leads 2").ok();

    // what the ledger says outlives the export
    place.rejoin("export drop leads").ok();
    place.rejoin("export run leads").fails(3, &["no export leads"]);
    place.rejoin("export create leads --to csv --metric event1").fails(5, &["google", "another name"]);
    // of another suite it would not see what the target has
    place.rejoin("suite create other").ok();
    place.rejoin("export create leads --to csv --metric event1 --suite other").fails(5, &["suite web", "another name"]);
    place.sh("rejoin export create leads --suite web --to google --metric event1 --set account=123 \
        --set conversion_action=77 --set event_source=WEB --field gclid=gclid --conversions \"gclid <> 'G-9'\"");
    let third = run("");
    assert_eq!((&third["new"], &third["retracted"]), (&json!(0), &json!(1)));
}

#[test]
fn what_is_wrong_with_an_export_is_said() {
    let place = Place::new();
    place.sh(SHOP);
    let create = |name: &str, rest: &[&str]| {
        let mut arguments = vec!["export", "create", name, "--metric", "event1"];
        arguments.extend(rest);
        place.rejoin_with(&arguments)
    };
    create("Leads", &["--to", "csv"]).fails(3, &["lower-case"]);
    create("leads", &["--to", "csv"]).fails(5, &["already", "drop"]);
    create("a", &["--to", "facebook"]).fails(2, &["meta"]);
    create("a", &["--to", "ecapi", "--field", "click_id=gclid"]).fails(3, &["--set data_set_id"]);
    create("a", &["--to", "ecapi", "--set", "data_set_id=x"]).fails(3, &["finds nobody", "click_id"]);
    create("a", &["--to", "csv", "--field", "gclid=gclidd"]).fails(7, &["gclid"]);
    create("a", &["--to", "csv", "--field", "who=customer_id"]).fails(3, &["--hash who", "--plain who"]);
    create("a", &["--to", "csv", "--touches", "true"]).fails(2, &["--credit"]);
    create("a", &["--to", "meta", "--set", "action_source=shop", "--field", "fbc=gclid"]).fails(3, &["physical_store"]);
    create("a", &["--to", "meta", "--set", "action_source=website", "--field", "fbc=gclid", "--max-age", "8 days"])
        .fails(3, &["older than 7 days"]);
    let of_a_shop = ["--to", "meta", "--set", "action_source=physical_store", "--field", "fbc=gclid", "--max-age"];
    create("a", &[&of_a_shop[..], &["90 days"]].concat()).fails(3, &["62 days"]);
    create("a", &[&of_a_shop[..], &["62 days"]].concat()).ok();
    create("b", &["--to", "google", "--set", "account=1", "--set", "conversion_action=2", "--field", "gclid=gclid"])
        .fails(3, &["event_source"]);
    create("a", &["--to", "google", "--set", "account=1", "--set", "conversion_action=2", "--field", "gclidd=gclid"])
        .fails(3, &["did you mean gclid"]);
    place.rejoin("export run leds").fails(3, &["did you mean leads"]);
    place.rejoin("export run leads --post http://example.com/").fails(2, &["https"]);
}

/// What is wrong with a value by a schema: `type`, `enum`, `pattern` (`hash`, `currency`, `time`, `id`), `required`, `properties`
/// (no others), `items`, `minItems`, `maxItems`, `minimum`.
fn violations(value: &Value, schema: &Value, at: &str) -> Vec<String> {
    let mut wrong = vec![];
    let is = |kind: &str| match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        other => panic!("type {other}"),
    };
    if let Some(kind) = schema["type"].as_str()
        && !is(kind)
    {
        return vec![format!("{at}: {value} is no {kind}")];
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        wrong.push(format!("{at}: {value} is none of {words:?}"));
    }
    if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
        let hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        let good = match pattern {
            "hash" => text.len() == 64 && hex(text),
            "currency" => text.len() == 3 && text.bytes().all(|b| b.is_ascii_uppercase()),
            "time" => text.len() == 27 && text.ends_with('Z') && text.as_bytes()[10] == b'T',
            "id" => text.get(..32).is_some_and(hex),
            other => panic!("pattern {other}"),
        };
        if !good {
            wrong.push(format!("{at}: {text} is no {pattern}"));
        }
    }
    if let (Some(least), Some(number)) = (schema["minimum"].as_f64(), value.as_f64())
        && number < least
    {
        wrong.push(format!("{at}: {number} is less than {least}"));
    }
    if let Some(items) = value.as_array() {
        let (least, most) = (schema["minItems"].as_u64().unwrap_or(0), schema["maxItems"].as_u64().unwrap_or(u64::MAX));
        if !(least..=most).contains(&(items.len() as u64)) {
            wrong.push(format!("{at}: {} items", items.len()));
        }
        for (n, item) in items.iter().enumerate() {
            wrong.extend(violations(item, &schema["items"], &format!("{at}[{n}]")));
        }
    }
    if let (Some(fields), Some(known)) = (value.as_object(), schema["properties"].as_object()) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let missing = required.iter().filter(|name| !fields.contains_key(name.as_str().unwrap()));
        wrong.extend(missing.map(|name| format!("{at}: {name} is missing")));
        for (name, field) in fields {
            match known.get(name) {
                Some(schema) => wrong.extend(violations(field, schema, &format!("{at}.{name}"))),
                None => wrong.push(format!("{at}: {name} is not known")),
            }
        }
    }
    wrong
}

/// IAB Tech Lab, Event & Conversion API 1.0 (InteractiveAdvertisingBureau/ecapi, ecapi_1.0.md): core event object, user_data,
/// address, source, properties; the standard leaves the form of a batch to the partners: here an array.
fn ecapi_schema() -> Value {
    let (text, hash) = (json!({"type": "string"}), json!({"type": "string", "pattern": "hash"}));
    let address = json!({"type": "object", "properties": {
        "first_name": hash, "last_name": hash, "city": text, "country_code": text, "postal_code": hash}});
    let user = json!({"type": "object", "properties": {
        "click_id": text, "customer_identifier": hash, "event_ip_address": text,
        "email_address": {"type": "array", "items": hash}, "phone_numbers": {"type": "array", "items": hash},
        "address": {"type": "array", "items": address}}});
    let types = ["purchase", "refund", "generate_lead", "close_convert_lead", "custom"];
    let event = json!({
        "type": "object",
        "required": ["data_set_id", "id", "timestamp", "event_type", "value", "currency_code"],
        "properties": {
            "data_set_id": text, "id": {"type": "string", "pattern": "id"}, "timestamp": {"type": "integer"},
            "event_type": {"type": "string", "enum": types}, "custom_event": text, "value": {"type": "number"},
            "currency_code": {"type": "string", "pattern": "currency"}, "source": {"type": "string", "enum": SOURCES},
            "user_data": user,
            "properties": {"type": "object", "properties": {"transaction_id": text, "page_url": text}},
            "ext": {"type": "object", "properties": {
                "action": {"type": "string", "enum": ["new", "restated", "retracted"]}}},
        }
    });
    json!({"type": "array", "minItems": 1, "maxItems": 1000, "items": event})
}

/// Where an event happened, by the standard and by Meta.
const SOURCES: [&str; 9] = [
    "email",
    "website",
    "app",
    "phone_call",
    "chat",
    "physical_store",
    "system_generated",
    "business_messaging",
    "other",
];

/// Google, Data Manager API, REST reference of events.ingest: IngestEventsRequest, Destination, Event, AdIdentifiers, UserData,
/// UserIdentifier, AddressInfo, Consent; at most 2,000 events a request.
fn google_schema() -> Value {
    let (text, hash) = (json!({"type": "string"}), json!({"type": "string", "pattern": "hash"}));
    let account = json!({"type": "object", "required": ["accountType", "accountId"], "properties": {
        "accountType": {"type": "string", "enum": ["GOOGLE_ADS"]}, "accountId": text}});
    let destination = json!({"type": "object", "required": ["operatingAccount", "productDestinationId"],
        "properties": {"operatingAccount": account, "loginAccount": account, "productDestinationId": text}});
    let address = json!({"type": "object", "required": ["givenName", "familyName", "regionCode", "postalCode"],
        "properties": {"givenName": hash, "familyName": hash, "regionCode": text, "postalCode": text}});
    let user = json!({"type": "object",
        "properties": {"emailAddress": hash, "phoneNumber": hash, "address": address}});
    let event = json!({"type": "object",
    "required": ["transactionId", "eventTimestamp", "conversionValue", "currency"],
    "properties": {
        "transactionId": {"type": "string", "pattern": "id"},
        "eventTimestamp": {"type": "string", "pattern": "time"},
        "conversionValue": {"type": "number", "minimum": 0},
        "currency": {"type": "string", "pattern": "currency"},
        "eventSource": {"type": "string", "enum": ["WEB", "APP", "IN_STORE", "PHONE", "MESSAGE", "OTHER"]},
        "adIdentifiers": {"type": "object", "properties": {"gclid": text, "gbraid": text, "wbraid": text}},
        "userData": {"type": "object", "required": ["userIdentifiers"], "properties": {
            "userIdentifiers": {"type": "array", "minItems": 1, "maxItems": 10, "items": user}}},
    }});
    json!({"type": "object", "required": ["destinations", "events", "encoding"], "properties": {
        "destinations": {"type": "array", "minItems": 1, "items": destination},
        "encoding": {"type": "string", "enum": ["HEX", "BASE64"]},
        "consent": {"type": "object", "properties": {
            "adUserData": {"type": "string", "enum": ["CONSENT_GRANTED", "CONSENT_DENIED"]}}},
        "events": {"type": "array", "minItems": 1, "maxItems": 2000, "items": event},
    }})
}

/// Meta, Conversions API: main body, server event, customer information and custom data parameters; at most 1,000 events a
/// request.
fn meta_schema() -> Value {
    let text = json!({"type": "string"});
    let hashes = json!({"type": "array", "items": {"type": "string", "pattern": "hash"}});
    let user = json!({"type": "object", "properties": {"em": hashes, "ph": hashes, "fn": hashes, "ln": hashes,
        "ct": hashes, "zp": hashes, "country": hashes, "external_id": hashes, "fbc": text, "fbp": text,
        "client_ip_address": text, "client_user_agent": text}});
    let custom = json!({"type": "object", "required": ["value", "currency"], "properties": {
        "value": {"type": "number"}, "currency": {"type": "string", "pattern": "currency"}, "order_id": text}});
    let event = json!({
        "type": "object",
        "required": ["event_name", "event_time", "user_data", "action_source", "event_id"],
        "properties": {
            "event_name": text, "event_time": {"type": "integer", "minimum": 0},
            "event_id": {"type": "string", "pattern": "id"}, "event_source_url": text,
            "action_source": {"type": "string", "enum": SOURCES}, "user_data": user, "custom_data": custom,
        }
    });
    json!({"type": "object", "required": ["data"], "properties": {
        "test_event_code": text,
        "data": {"type": "array", "minItems": 1, "maxItems": 1000, "items": event}}})
}

const PEOPLE: &str = r#"
rejoin suite create web --currency EUR
online hits <<END
visitor  time              page_name  click  braid  wraid  mail             tel            first  last   plz    town    land  addr      money  customer_id  orders
v1       2026-09-28 10:00  buy        C-1    .      .      Ann@Example.com  030 901820     Ann    O'Day  10115  Berlin  DE    10.0.0.1  EUR    K1        10.5
v2       2026-09-28 11:00  buy        .      B-1    .      b.o.b+x@gmail.com  .             .      .      .      .       .     .         usd    K2        20
v3       2026-09-28 12:00  buy        .      B-2    W-2    .                .              .      .      .      .       .     .         EUR    .         30
v4       2026-09-28 13:00  buy        C-4    .      .      .                .              .      .      .      .       .     .         euros  .         40
v5       2026-09-28 14:00  buy        .      .      .      nobody           123            .      .      .      .       .     .         EUR    .         50
v6       2026-06-01 10:00  buy        C-6    .      .      .                .              .      .      .      .       .     .         EUR    .         60
v7       2026-09-28 15:00  buy        C-7    .      .      .                .              .      .      .      .       .     .         EUR    .         -70
END
rejoin rebuild
"#;

#[test]
fn bodies_are_as_the_targets_document_them() {
    let place = Place::new();
    place.sh(PEOPLE);
    let user = "--field email=mail --field phone=tel --field first_name=first --field last_name=last --field postal_code=plz \
        --field country_code=land --set phone_country=49 --field currency=money";
    place.sh(&format!(
        "rejoin export create e --to ecapi --metric orders --set data_set_id=shop --set event_type=bought --set source=website \
           --field click_id=click {user} --field city=town --field customer_identifier=customer_id --field ip=addr --plain ip \
           --field page_url=\"'https://shop.example/' || page_name\" --max-age '63 days'
         rejoin export create g --to google --metric orders --set account=123 --set conversion_action=77 --set login_account=9 \
           --set event_source=WEB --field gclid=click --field gbraid=braid --field wbraid=wraid {user} --consent true
         rejoin export create m --to meta --metric orders --set action_source=website --field fbc=click {user} --field city=town \
           --field external_id=customer_id --field ip=addr --plain ip --field order_id=page_name --set test_event_code=T1
         rejoin export create c --to csv --metric orders --field mail=mail --hash mail --field page=page_name --field currency=money"
    ));
    let run = |name: &str| -> Value {
        serde_json::from_str(&place.rejoin(&format!("export run {name} --json")).ok().stdout).unwrap()
    };
    let (e, g, m, c) = (run("e"), run("g"), run("m"), run("c"));
    let first = |ran: &Value| body(&place, ran["files"][0].as_str().unwrap());
    for (ran, schema) in [(&e, ecapi_schema()), (&g, google_schema()), (&m, meta_schema())] {
        assert_eq!(ran["bodies"], 1);
        let body = first(ran);
        assert_eq!(violations(&body, &schema, ""), Vec::<String>::new(), "{body:#}");
        let text = body.to_string().to_lowercase();
        for personal in ["ann@example", "901820", "o'day", "\"k1\"", "bob@gmail"] {
            assert!(!text.contains(personal), "{personal}: {text}");
        }
    }
    assert_eq!((&e["new"], &e["reasons"]), (&json!(3), &json!({"no currency": 1, "no identifier": 2, "too old": 1})));
    assert_eq!(
        (&g["new"], &g["reasons"]),
        (
            &json!(2),
            &json!({"gbraid and wbraid": 1, "negative value": 1, "no currency": 1, "no identifier": 1, "too old": 1})
        )
    );
    assert_eq!(
        (&m["new"], &m["reasons"]),
        (&json!(2), &json!({"negative value": 1, "no currency": 1, "no identifier": 2, "too old": 1}))
    );
    // Gmail's addresses are written in one way
    let google = first(&g);
    let bob = google["events"].as_array().unwrap().iter().find(|e| e["adIdentifiers"]["gbraid"] == "B-1").unwrap();
    assert_eq!(
        bob["userData"]["userIdentifiers"][0]["emailAddress"],
        // bob@gmail.com
        place.cell("SELECT encode(sha256('bob@gmail.com'), 'hex') AS h")
    );
    assert_eq!(bob["currency"], "USD");
    assert_eq!(google["consent"], json!({"adUserData": "CONSENT_GRANTED"}));
    assert_eq!(first(&e)[0]["event_type"], "custom");

    assert_eq!((&c["new"], &c["reasons"]), (&json!(7), &json!({})));
    let csv = std::fs::read_to_string(place.lake().join(c["files"][0].as_str().unwrap())).unwrap();
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("id,action,time,value,currency,mail,page"));
    assert!(lines.clone().any(|line| line.contains(",new,2026-09-28T11:00:00.000000Z,20,USD,")), "{csv}");
    assert!(!csv.contains("Example"), "{csv}");
}

/// The value is what some items get; equal records are told apart; a key is an id whatever its time.
#[test]
fn values_and_ids() {
    let place = Place::new();
    place.sh(r#"
rejoin suite create web
rejoin source create web deals --kind transaction
online hits <<END
visitor  time              page_name  tracking_code  transaction_id  orders
v1       2026-09-01 10:00  home       search         .               .
v1       2026-09-02 10:00  home       email          L1              .
v1       2026-09-03 10:00  buy        .              .               100
END
offline deals_1 <<END
Date        transactionID  Event 10
09/10/2026  L1             10
09/10/2026  L1             10
09/10/2026  L1             30
END
rejoin ingest deals_1.txt --suite web --source deals
rejoin rebuild
rejoin export create credit --to csv --metric orders --credit "item = 'search'" --model linear
rejoin export create deals --to csv --metric event10
"#);
    let rows = |name: &str| -> Vec<Vec<String>> {
        let ran: Value = serde_json::from_str(&place.rejoin(&format!("export run {name} --json")).ok().stdout).unwrap();
        let files = ran["files"].as_array().unwrap();
        let Some(file) = files.first() else { return vec![] };
        let text = std::fs::read_to_string(place.lake().join(file.as_str().unwrap())).unwrap();
        text.lines().skip(1).map(|line| line.split(',').map(str::to_string).collect()).collect()
    };
    let credit = rows("credit");
    assert_eq!((credit.len(), credit[0][3].as_str()), (1, "50"));
    let deals = rows("deals");
    let base = &deals[0][0][..32];
    let ids: BTreeSet<&str> = deals.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(ids, BTreeSet::from([base, &format!("{base}-2"), &format!("{base}-3")]));
    place.rejoin("export ack deals 1").ok();
    // one of the two equal records goes: one id less
    place.sh("offline deals_1 <<END
Date        transactionID  Event 10
09/10/2026  L1             30
09/10/2026  L1             10
END
rejoin ingest deals_1.txt --suite web --source deals --replace; rejoin rebuild");
    let (mut has, changes) = (BTreeMap::new(), rows("deals"));
    for row in deals.iter().chain(&changes) {
        match row[1].as_str() {
            "retracted" => drop(has.remove(&row[0])),
            _ => drop(has.insert(row[0].clone(), row[3].clone())),
        }
    }
    let mut values: Vec<&String> = has.values().collect();
    values.sort();
    assert_eq!(values, ["10", "30"]);

    // the key of a mapping is the id of a hit
    place.sh(r#"online keyed --mapping 'key = "page_name"' <<END
visitor  time              page_name  event3
v5       2026-09-05 10:00  K-1        7
END
rejoin export create keyed --to csv --metric event3"#);
    let before = rows("keyed");
    place.rejoin("export ack keyed 1").ok();
    place.sh(r#"online keyed --replace --mapping 'key = "page_name"' <<END
visitor  time              page_name  event3
v5       2026-09-05 11:00  K-1        7
END"#);
    let after = rows("keyed");
    assert_eq!((&after[0][0], after[0][1].as_str()), (&before[0][0], "restated"));
}

/// Numbers as they come, the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

fn engine() -> EngineSettings {
    EngineSettings { threads: Some(2), suite: Some("web".into()), ..EngineSettings::default() }
}

async fn load(lake: &Lake, path: &Path, mapping: Option<&Path>) {
    let options = IngestOptions {
        suite: Some("web".into()).filter(|_| mapping.is_none()),
        source: mapping.is_none().then(|| "deals".into()),
        mappings: mapping.iter().map(|path| path.to_path_buf()).collect(),
        replace: true,
        again: true,
        ..IngestOptions::default()
    };
    let outcomes = ingest(lake, &[path.to_path_buf()], &options, &|_| {}).await.unwrap();
    assert!(!matches!(outcomes[0].status, Status::Refused(_) | Status::Waiting(_)), "{:?}", outcomes[0]);
}

fn an_export() -> Export {
    let text = |text: &str| text.to_string();
    Export {
        name: text("closed"),
        suite: text("web"),
        target: "ecapi".parse().unwrap(),
        metric: text("event10"),
        settings: Settings {
            fields: BTreeMap::from([(text("click_id"), text("gclid"))]),
            constants: BTreeMap::from([(text("data_set_id"), text("shop"))]),
            ..Settings::default()
        },
    }
}

async fn run_once(lake: &Lake, post: Option<Post>) -> rejoin::Result<RunOutcome> {
    let options = RunOptions { post, engine: engine(), ..RunOptions::default() };
    run::run(lake, "closed", &options).await
}

/// Times and values of the conversions that can be told.
async fn in_lake(lake: &Lake) -> Vec<(String, String)> {
    let engine = Engine::open(lake.clone(), engine()).await.unwrap();
    let sql = "SELECT CAST(CAST(hit_time AS BIGINT) / 1000000 AS BIGINT), event10 FROM events
        WHERE event10 <> 0 AND gclid IS NOT NULL";
    let (_, rows) = table::rows(&engine, sql).await.unwrap();
    let number = |text: &str| text.parse::<f64>().map(|n| json!(n).to_string()).unwrap();
    let mut all: Vec<_> = rows.into_iter().map(|row| (row[0].clone(), number(&row[1]))).collect();
    all.sort();
    all
}

fn sorted(has: &Has) -> Vec<(String, String)> {
    let mut all: Vec<_> = has.values().cloned().collect();
    all.sort();
    all
}

const HISTORY: &str = r#"
rejoin suite create web --currency EUR
rejoin source create web deals --kind transaction
online hits --only-write <<END
visitor  time              page_name  gclid  transaction_id  event10
v1       2026-09-01 10:00  lead       G-1    T1              .
v2       2026-09-02 10:00  lead       G-2    T2              5
v3       2026-09-03 10:00  lead       .      T3              .
v4       2026-09-04 10:00  lead       G-4    T4              .
END
rejoin ingest hits.csv --mapping hits.toml
rejoin rebuild
"#;

/// Records of a file: some of four transactions, some days, few amounts, so that many are called alike.
fn records(chance: &mut Chance) -> String {
    let mut text = String::from("Date\ttransactionID\tEvent 10\n");
    for _ in 0..1 + chance.below(8) {
        let (id, day, amount) = (1 + chance.below(5), 10 + chance.below(3), 100 * (1 + chance.below(3)));
        text.push_str(&format!("09/{day}/2026\tT{id}\t{amount}\n"));
    }
    text
}

#[test]
fn any_history_ends_in_what_the_lake_has() {
    deep(|runtime| {
        runtime.block_on(async {
            let (mut told, mut restated, mut retracted) = (0, 0, 0);
            for seed in 1..=4 {
                let mut chance = Chance(0x9E37_79B9_7F4A_7C15_u64.wrapping_mul(seed));
                let place = Place::new();
                place.sh(HISTORY);
                let lake = place.open_lake();
                saved::create(&lake, &an_export(), &engine()).await.unwrap();
                let (mut has, mut loaded) = (Has::new(), BTreeSet::new());
                for step in 0..8 {
                    for _ in 0..1 + chance.below(2) {
                        let file = format!("deals_{}.txt", chance.below(3));
                        if chance.below(4) == 0 && loaded.remove(&file) {
                            remove(&lake, &[file], None, None).await.unwrap();
                        } else {
                            place.write(&file, records(&mut chance));
                            place.write(&file.replace(".txt", ".fin"), "");
                            load(&lake, &place.path().join(&file), None).await;
                            loaded.insert(file);
                        }
                    }
                    rebuild(&lake, &engine(), &RebuildOptions::default(), &|_| {}).await.unwrap();
                    let ran = run_once(&lake, None).await.unwrap();
                    let Some(number) = ran.run else { continue };
                    match (ran.status.as_str(), chance.below(5)) {
                        // it is never acknowledged: the next run is the same again
                        ("waiting", 0) if step < 7 => continue,
                        ("waiting", 1) => drop(run::end(&lake, "closed", number, true).await.unwrap()),
                        ("waiting", _) => {
                            for file in &ran.files {
                                apply(&mut has, &body(&place, file));
                            }
                            run::end(&lake, "closed", number, false).await.unwrap();
                            (told, restated, retracted) =
                                (told + ran.new, restated + ran.restated, retracted + ran.retracted);
                        }
                        _ => {}
                    }
                }
                for _ in 0..2 {
                    let ran = run_once(&lake, None).await.unwrap();
                    if let (Some(number), "waiting") = (ran.run, ran.status.as_str()) {
                        ran.files.iter().for_each(|file| apply(&mut has, &body(&place, file)));
                        run::end(&lake, "closed", number, false).await.unwrap();
                    }
                }
                assert_eq!(run_once(&lake, None).await.unwrap().status, "nothing new");
                assert_eq!(sorted(&has), in_lake(&lake).await, "seed {seed}");
            }
            assert!(told > 20 && restated > 3 && retracted > 3, "{told} {restated} {retracted}");
        });
    });
}

/// A server that loses answers, is busy, and refuses: what it has in the end is right, and the token is nowhere.
#[test]
fn a_server_that_loses_answers() {
    let place = Place::new();
    place.sh(SHOP);
    place.sh("offline deals_1 <<END
Date        transactionID  Event 10
09/10/2026  L1             500
09/11/2026  L2             300
END
rejoin ingest deals_1.txt --suite web --source deals; rejoin rebuild");
    place.sh(CLOSED);
    let answers = [Answer::Lost, Answer::Status(503), Answer::Lost, Answer::Status(429), Answer::Status(200)];
    let server = Server::start(move |n| answers.get(n).copied().unwrap_or(Answer::Status(200)));
    let post = |server: &Server| {
        place.sh(&format!(
            "REJOIN_EXPORT_TOKEN=hushhush RUST_LOG=debug rejoin export run closed --json --post {} 2>log || echo code $?",
            server.address
        ))
    };
    let ran: Value = serde_json::from_str(&post(&server).stdout).unwrap();
    assert_eq!((&ran["status"], &ran["posted"]), (&json!("acknowledged"), &json!(1)));
    let requests = server.requests();
    assert_eq!(requests.len(), 5);
    let keys: BTreeSet<&String> = requests.iter().map(|(key, ..)| key).collect();
    assert_eq!(keys.len(), 1, "one body has one key: {keys:?}");
    assert!(requests.iter().all(|(_, authorization, _)| authorization.as_deref() == Some("Bearer hushhush")));
    assert_eq!(server.has().len(), 2);

    // refused: the run waits, and the next one sends it
    place.sh("rejoin remove deals_1.txt; rejoin rebuild");
    let refusing = Server::start(|_| Answer::Status(401));
    let told = post(&refusing);
    assert!(told.stdout.contains("code 3"), "{}", told.stdout);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.contains("401") && log.contains("REJOIN_EXPORT_TOKEN"), "{log}");
    assert_eq!(refusing.requests().len(), 1);
    // redirected: the server there has not taken the body
    let moved = Server::start(|_| Answer::Moved);
    let told = post(&moved);
    assert!(told.stdout.contains("code 3"), "{}", told.stdout);
    let log = std::fs::read_to_string(place.path().join("log")).unwrap();
    assert!(log.contains("302") && log.contains("not followed"), "{log}");
    assert_eq!(moved.requests().len(), 1);
    let ran: Value = serde_json::from_str(&post(&server).stdout).unwrap();
    assert_eq!((&ran["again"], &ran["retracted"]), (&json!(true), &json!(2)));
    assert!(server.has().is_empty());
    // the token is in no file, and in no log
    let found = place.sh("grep -rl hushhush . || true").stdout;
    assert_eq!(found, "");
}

/// Every request to the store fails, or is lost, or is the last one: the next runs end with what the lake has, and nothing was
/// told twice.
#[test]
fn faults_double_nothing_and_lose_nothing() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            place.sh(HISTORY);
            let mut chance = Chance(77);
            place.write("deals_1.txt", records(&mut chance));
            place.write("deals_1.fin", "");
            place.sh("rejoin ingest deals_1.txt --suite web --source deals; rejoin rebuild");
            let lake = place.open_lake();
            saved::create(&lake, &an_export(), &engine()).await.unwrap();
            // a first run, so that there is something to restate and to take back
            let first = Server::start(|_| Answer::Status(200));
            run_once(&lake, Some(Post::to(&first.address, None).unwrap())).await.unwrap();
            let told_before = first.requests();
            place.write("deals_1.txt", records(&mut chance));
            load(&lake, &place.path().join("deals_1.txt"), None).await;
            rebuild(&lake, &engine(), &RebuildOptions::default(), &|_| {}).await.unwrap();
            let expected = in_lake(&lake).await;

            let scratch = || {
                let folder = tempfile::Builder::new().prefix("rejoin-export-").tempdir().unwrap();
                copy(&place.lake(), folder.path());
                folder
            };
            let clean = scratch();
            let (lake, store) = lake_with(clean.path(), Fault::None);
            let server = Server::start(|_| Answer::Status(200));
            run_once(&lake, Some(Post::to(&server.address, None).unwrap())).await.unwrap();
            let (requests, writes) = store.counts();
            let each = if std::env::var_os("REJOIN_ALL_DELAYS").is_some() { 1 } else { REQUESTS };
            let faults = (0..requests).step_by(each).map(Fault::Request);
            for fault in faults.chain((0..writes).flat_map(|n| [Fault::Answer(n), Fault::Outage(n)])) {
                let scratch = scratch();
                let server = Server::start(|n| if n == 0 { Answer::Lost } else { Answer::Status(200) });
                let post = || Some(Post::to(&server.address, None).unwrap());
                let done = run_once(&lake_with(scratch.path(), fault).0, post()).await;
                if let Err(error) = &done {
                    assert_eq!(error.kind(), ErrorKind::Unavailable, "{fault:?}: {error}");
                }
                let lake = lake_with(scratch.path(), Fault::None).0;
                run_once(&lake, post()).await.unwrap_or_else(|e| panic!("{fault:?}: {e}"));
                assert_eq!(run_once(&lake, post()).await.unwrap().status, "nothing new", "{fault:?}");
                let (mut has, mut keys) = (Has::new(), BTreeSet::new());
                for (key, _, body) in told_before.iter().cloned().chain(server.requests()) {
                    if keys.insert(key) {
                        apply(&mut has, &body);
                    }
                }
                assert_eq!(keys.len(), 2, "{fault:?}: one run, one key");
                assert_eq!(sorted(&has), expected, "{fault:?}");
                let runs = runs::of(&lake, "closed").await.unwrap();
                assert!(runs.iter().all(|run| run.status == runs::ACKNOWLEDGED), "{fault:?}: {runs:?}");
            }
            eprintln!("{requests} requests, {writes} of them writes");
        });
    });
}

/// A lake whose export was acknowledged once, and whose conversions changed since: so many that they fill three bodies.
struct Changed {
    place: Place,
    /// What the target was sent before.
    told: Vec<Request>,
    /// What it must have in the end.
    expected: Vec<(String, String)>,
}

/// Bodies of what changed.
const CHANGED_BODIES: usize = 3;

/// Moments at which a command is killed, spread over the time that it takes.
const MOMENTS: u32 = 6;

impl Changed {
    fn new() -> Self {
        let place = Place::new();
        place.write(
            "hits.toml",
            "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\n\
             [dimensions]\ngclid = \"gclid\"\n[metrics]\nevent10 = \"event10\"\n",
        );
        let conversions = |rows: &mut dyn Iterator<Item = (u32, u32)>| {
            let mut text = String::from("visitor,time,gclid,event10\n");
            for (n, value) in rows {
                let (day, minute, second) = (1 + n / 3600, n / 60 % 60, n % 60);
                text.push_str(&format!("v{n},2026-09-{day:02}T10:{minute:02}:{second:02},G-{n},{value}\n"));
            }
            place.write("hits.csv", text);
        };
        place.sh("rejoin suite create web --currency EUR");
        conversions(&mut (0..4000).map(|n| (n, 5)));
        place.sh("rejoin ingest hits.csv --mapping hits.toml; rejoin rebuild");
        place.sh(CLOSED);
        let server = Server::start(|_| Answer::Status(200));
        place.rejoin(&format!("export run closed --post {}", server.address)).ok();
        // a fifth of them goes, a third has another value, some are new
        let stays = |n: &u32| !n.is_multiple_of(5) || *n >= 4000;
        conversions(&mut (0..4600).filter(stays).map(|n| (n, if n % 3 == 0 { 7 } else { 5 })));
        place.sh("rejoin ingest hits.csv --mapping hits.toml --replace; rejoin rebuild");
        let expected = deep(|runtime| runtime.block_on(async { in_lake(&place.open_lake()).await }));
        Self { place, told: server.requests(), expected }
    }

    /// The same lake, in a folder of its own.
    fn again(&self) -> Place {
        Place::with_lake_of(&self.place)
    }

    /// The target has what it must have after these bodies, each with its key, and the export has nothing more to tell.
    #[track_caller]
    fn is_told(&self, place: &Place, bodies: Vec<(String, Value)>, killed: &str) {
        let (mut has, mut keys) = (Has::new(), BTreeSet::new());
        for (key, body) in self.told.iter().map(|(key, _, body)| (key.clone(), body.clone())).chain(bodies) {
            if keys.insert(key) {
                apply(&mut has, &body);
            }
        }
        let before: BTreeSet<&String> = self.told.iter().map(|(key, ..)| key).collect();
        assert_eq!(keys.len(), before.len() + CHANGED_BODIES, "{killed}");
        assert_eq!(sorted(&has), self.expected, "{killed}");
        assert_eq!(ran(place)["status"], "nothing new", "{killed}");
        let runs = place.query("SELECT run, status FROM export_runs ORDER BY run");
        let expected = [1, 2].map(|run| json!({"run": run, "status": "acknowledged"}));
        assert_eq!(runs, json!(expected), "{killed}");
        // neither a body of the run nor one of a try that came to nothing
        assert_eq!(walk(&place.lake().join("exports/closed")), Vec::<String>::new(), "{killed}");
    }
}

/// Runs the export, and gives what it says.
fn ran(place: &Place) -> Value {
    serde_json::from_str(&place.rejoin("export run closed --json").ok().stdout).unwrap()
}

/// How long something takes.
fn timed(work: impl FnOnce() -> Done) -> Duration {
    let begun = Instant::now();
    work().ok();
    begun.elapsed()
}

/// Starts a command of which nobody reads what it says.
fn start(place: &Place, arguments: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rejoin"));
    place.settle(command.args(arguments.split_whitespace()));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// Starts a command and kills it after a while; true where it was still at work.
fn killed(place: &Place, arguments: &str, after: Duration) -> bool {
    let mut running = start(place, arguments);
    thread::sleep(after);
    let at_work = running.try_wait().unwrap().is_none();
    let _ = running.kill();
    running.wait().unwrap();
    at_work
}

/// Runs and acknowledgements that are killed at any moment: the next ones finish what those began.
#[test]
fn a_killed_run_and_a_killed_acknowledgement() {
    let shop = Changed::new();
    let whole = shop.again();
    let run_takes = timed(|| whole.rejoin("export run closed"));
    let ack_takes = timed(|| whole.rejoin("export ack closed 2"));
    let (mut runs, mut acknowledgements) = (0, 0);
    for moment in 1..=MOMENTS {
        let at = format!("killed after {moment}/{}", MOMENTS + 1);
        let place = shop.again();
        runs += usize::from(killed(&place, "export run closed", run_takes * moment / (MOMENTS + 1)));
        let ran = ran(&place);
        assert_eq!((&ran["run"], &ran["status"]), (&json!(2), &json!("waiting")), "{at}");
        let files = ran["files"].as_array().unwrap().iter().map(|file| file.as_str().unwrap());
        let bodies = files.map(|file| (file.to_string(), body(&place, file))).collect();
        acknowledgements += usize::from(killed(&place, "export ack closed 2", ack_takes * moment / (MOMENTS + 1)));
        // if that came to its end, this one changes nothing
        place.rejoin("export ack closed 2").ok();
        shop.is_told(&place, bodies, &at);
    }
    assert!(runs > 0 && acknowledgements > 0, "{runs} runs and {acknowledgements} acknowledgements were killed");
}

/// A sending that is killed, at any moment and while the target has a body that it did not answer for: the next one sends what is
/// left, each body under the key that it had.
#[test]
fn a_killed_sending() {
    let shop = Changed::new();
    let sent = |server: &Server| server.requests().into_iter().map(|(key, _, body)| (key, body)).collect::<Vec<_>>();
    let command = |server: &Server| format!("export run closed --post {}", server.address);
    let server = Server::start(|_| Answer::Status(200));
    let whole = shop.again();
    let takes = timed(|| whole.rejoin(&command(&server)));
    let mut interrupted = 0;
    for moment in 1..=MOMENTS {
        let (place, server) = (shop.again(), Server::start(|_| Answer::Status(200)));
        interrupted += usize::from(killed(&place, &command(&server), takes * moment / (MOMENTS + 1)));
        place.rejoin(&command(&server)).ok();
        shop.is_told(&place, sent(&server), &format!("killed after {moment}/{}", MOMENTS + 1));
    }
    assert!(interrupted > 0, "nothing was killed");
    for unanswered in 0..CHANGED_BODIES {
        let (arrived, arrival) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let server = Server::start(move |request| {
            if request != unanswered {
                return Answer::Status(200);
            }
            arrived.send(()).unwrap();
            // until nobody can release it any more
            let _ = released.recv();
            Answer::Lost
        });
        let place = shop.again();
        let mut running = start(&place, &command(&server));
        arrival.recv_timeout(LONG).unwrap();
        running.kill().unwrap();
        running.wait().unwrap();
        drop(release);
        if unanswered > 0 {
            // the target has something of it
            place.rejoin("export ack closed 2 --discard").fails(5, &["in part"]);
        }
        place.rejoin(&command(&server)).ok();
        shop.is_told(&place, sent(&server), &format!("killed while body {unanswered} was not answered"));
    }
}

/// A round of the schedule loads, rebuilds and tells. An export that cannot be told is said, and keeps neither the others nor the
/// next round.
#[test]
fn the_schedule_runs_exports() {
    let place = Place::new();
    place.sh(SHOP);
    place.sh("mkdir in");
    let deals = |name: &str, rows: &[&str]| {
        let rows: String = rows.iter().map(|row| row.replace(' ', "\t") + "\n").collect();
        place.write(&format!("in/{name}.txt"), format!("Date\ttransactionID\tEvent 10\n{rows}"));
        place.write(&format!("in/{name}.fin"), "");
    };
    // the document of a round, and its exit code
    let round = |exports: &str| -> (Value, String) {
        let done = place.sh(&format!(
            "REJOIN_EXPORT_TOKEN=hushhush rejoin schedule --once --watch in --json {exports} 2>>log && echo 0 || echo $?"
        ));
        let (document, code) = done.stdout.trim().rsplit_once('\n').unwrap();
        (serde_json::from_str(document).unwrap_or_else(|e| panic!("{e}: {document}")), code.to_string())
    };
    deals("deals_1", &["09/10/2026 L1 500", "09/11/2026 L2 300"]);
    let (run, code) = round("");
    assert_eq!((&run["status"], &run["exports"], code.as_str()), (&json!("ok"), &json!([]), "0"));
    place.sh(CLOSED);

    deals("deals_2", &["09/12/2026 L1 70"]);
    let server = Server::start(|_| Answer::Status(200));
    let (run, code) = round(&format!("--export closed={} --export leads", server.address));
    assert_eq!((&run["status"], &run["loaded"], code.as_str()), (&json!("ok"), &json!(1), "0"), "{run}");
    let told = |run: &Value| -> Vec<(Value, Value, Value)> {
        let exports = run["exports"].as_array().unwrap().iter();
        exports.map(|ran| (ran["export"].clone(), ran["status"].clone(), ran["new"].clone())).collect()
    };
    let closed = |new: i64| (json!("closed"), json!("acknowledged"), json!(new));
    let leads = || (json!("leads"), json!("waiting"), json!(2));
    assert_eq!(told(&run), [closed(3), leads()]);
    assert_eq!(server.has().len(), 3);
    assert!(server.requests().iter().all(|(_, token, _)| token.as_deref() == Some("Bearer hushhush")));

    // one that there is not, one that is refused, and one that goes on all the same
    deals("deals_3", &["09/13/2026 L2 9"]);
    let refusing = Server::start(|_| Answer::Status(401));
    let (run, code) = round(&format!("--export nothing --export closed={} --export leads", refusing.address));
    assert_eq!((&run["status"], &run["loaded"], code.as_str()), (&json!("partly"), &json!(1), "3"), "{run}");
    assert_eq!(told(&run), [leads()]);
    let message = place.cell("SELECT message FROM runs ORDER BY run DESC LIMIT 1");
    for text in ["no export nothing", "401", "REJOIN_EXPORT_TOKEN"] {
        assert!(message.as_str().unwrap().contains(text), "{message}");
    }
    // of an address the host is said, the path may be a secret
    assert!(!message.as_str().unwrap().contains("/events"), "{message}");

    // the next round finishes it; a runner by the clock says so in a line
    let line = place.sh(&format!("rejoin schedule --once --watch in --export closed={}", server.address)).stdout;
    assert!(line.contains("export closed: 1 new, 0 restated"), "{line}");
    assert_eq!(server.has().len(), 4);
    assert_eq!(place.sh("grep -rl hushhush . || true").stdout, "");
}

/// Of two runs at once one wins, and the other changes nothing.
#[test]
fn two_runners_at_once() {
    deep(|runtime| {
        runtime.block_on(async {
            let place = Place::new();
            place.sh(HISTORY);
            let mut chance = Chance(5);
            place.write("deals_1.txt", records(&mut chance));
            place.write("deals_1.fin", "");
            place.sh("rejoin ingest deals_1.txt --suite web --source deals; rejoin rebuild");
            saved::create(&place.open_lake(), &an_export(), &engine()).await.unwrap();
            let expected = in_lake(&place.open_lake()).await;
            let (one, other) = (place.open_lake(), place.open_lake());
            let (one, other) = tokio::join!(run_once(&one, None), run_once(&other, None));
            for ran in [&one, &other] {
                match ran {
                    Ok(ran) => assert_eq!(ran.run, Some(1)),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                }
            }
            let won = one.or(other).unwrap();
            let mut has = Has::new();
            won.files.iter().for_each(|file| apply(&mut has, &body(&place, file)));
            assert_eq!(sorted(&has), expected);
            let lake = place.open_lake();
            run::end(&lake, "closed", 1, false).await.unwrap();
            assert_eq!(run_once(&lake, None).await.unwrap().status, "nothing new");
            assert_eq!(runs::of(&lake, "closed").await.unwrap().len(), 1);
            // no body of the one that lost is left, nor of the one that won
            let left = walk(&place.lake().join("exports/closed"));
            assert_eq!(left, Vec::<String>::new());
        });
    });
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(walk(&entry.path()));
        } else {
            found.push(entry.path().display().to_string());
        }
    }
    found
}
