//! Reports as HTML files, from a lake whose items are hostile: what the files hold, and what Chromium makes of them.

use std::path::Path;
use std::process::Command;

use crate::place::Place;

const REPORTS: [&str; 9] = [
    "overview",
    "assisted_conversions",
    "content_velocity",
    "model_comparison",
    "net_revenue",
    "offline_share",
    "path_length",
    "return_on_ad_spend",
    "time_lag",
];

/// Items that would be scripts, leave a string or an element, or pass for a source's name.
const HOSTILE: [&str; 8] = [
    "</script><script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "a\u{2028}b\u{2029}c",
    "\"><svg onload=window.hacked=1>",
    "{a|b} {value} {@0} %s ${window.hacked=1}",
    "leads",
    "__proto__",
    "]]><!-- &lt;b&gt; \\u003cscript> \u{202e}drawkcab",
];

/// A lake of a week: every visitor comes by two items and buys; sales inherit one offline, costs come as summaries.
fn lake() -> Place {
    let place = Place::new();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut clicks = String::from("visitor,visit,time,ref,code,page,orders,revenue,event20\n");
    let mut sales = String::from("time,ref,event10,revenue\n");
    for visitor in 0..40 {
        let (first, second) = (HOSTILE[visitor % 8], HOSTILE[(visitor * 3 + 1) % 8]);
        let day = 10 + visitor % 7;
        let row = |visit, hour, transaction: String, code: &str, bought| {
            let (code, page, revenue) = (quoted(code), quoted(code), bought * 19.5);
            format!(
                "v{visitor},{visit},2026-09-{day}T{hour:02}:00:00,{transaction},{code},{page},{bought},{revenue},7\n"
            )
        };
        clicks += &row(1, 8, String::new(), first, 0.0);
        clicks += &row(2, 12, format!("t{visitor}"), second, 1.0);
        if visitor % 2 == 0 {
            sales += &format!("2026-09-{}T09:00:00,t{visitor},1,-5\n", day + 1);
        }
    }
    place.write("clicks.csv", clicks);
    place.write("sales.csv", sales);
    place.write(
        "clicks.toml",
        "kind = \"online\"\nsuite = \"web\"\nvisitor_id = \"visitor\"\ntime = \"time\"\nvisit = \"visit\"\n\
         transaction_id = \"ref\"\n[dimensions]\ntracking_code = \"code\"\npage_name = \"page\"\n\
         [metrics]\norders = \"orders\"\nrevenue = \"revenue\"\nevent20 = \"event20\"\npage_views = \"1\"\n",
    );
    place.write(
        "sales.toml",
        "kind = \"offline\"\nsuite = \"web\"\nsource = \"leads\"\ntime = \"time\"\ntransaction_id = \"ref\"\n\
         [metrics]\nevent10 = \"event10\"\nrevenue = \"revenue\"\n",
    );
    place.rejoin("suite create web").ok();
    place.rejoin("source create web leads --kind transaction --metrics event10,revenue").ok();
    place.rejoin("ingest clicks.csv --mapping clicks.toml").ok();
    place.rejoin("ingest sales.csv --mapping sales.toml").ok();
    place.rejoin("rebuild").ok();
    place
}

fn page(place: &Place, report: &str) -> String {
    place.rejoin_with(&["report", report, "--html", &format!("{report}.html")]).ok();
    std::fs::read_to_string(place.path().join(format!("{report}.html"))).unwrap()
}

/// The charts' numbers, as the page holds them.
fn charts(page: &str) -> Vec<serde_json::Value> {
    let parts = page.split("<script type=\"application/json\">").skip(1);
    parts.map(|part| serde_json::from_str(part.split("</script>").next().unwrap()).unwrap()).collect()
}

#[test]
fn pages_stand_alone_and_hold_in_chromium() {
    let place = lake();
    for report in REPORTS {
        let page = page(&place, report);
        assert!(page.starts_with("<!DOCTYPE html><html lang=\"en\">"), "{report}");
        assert!(!charts(&page).is_empty(), "{report}");
        // two scripts of our own and one a chart: none came out of an item
        assert_eq!(page.matches("<script").count(), 2 + charts(&page).len(), "{report}");
        for hostile in ["<img", "<svg", "onerror=window.hacked=1>", "\u{2028}<"] {
            let body = page.split("<body>").nth(1).unwrap().split("<script nonce").next().unwrap();
            assert!(!body.contains(hostile), "{report}: {hostile}");
        }
    }
    let files = REPORTS.map(|report| place.path().join(format!("{report}.html")));
    let browser = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/browser");
    let done = Command::new(browser).args(files).output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{said}");
}

#[test]
fn charts_say_what_the_queries_say() {
    let place = lake();
    let overview = charts(&page(&place, "overview"));
    let kinds: Vec<_> = overview.iter().map(|chart| chart["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["bars", "lines", "bars", "flow", "bars"]);
    // each of 40 visitors bought once, for 19.5; 20 gave back 5
    let sum = |chart: usize, series: usize| -> f64 {
        let values = overview[chart]["series"][series]["values"].as_array().unwrap();
        values.iter().map(|v| v.as_f64().unwrap_or(0.0)).sum()
    };
    assert_eq!((sum(1, 0), sum(1, 1)), (780.0, -100.0));
    assert_eq!(sum(3, 0), 20.0);
    assert_eq!(overview[4]["series"][0]["values"][0], 100.0);
    let rows = place.query("SELECT item, credit FROM participation('revenue', 'tracking_code', 'visitor', '30 days')");
    let bars = &overview[0];
    assert_eq!(bars["labels"].as_array().unwrap().len(), rows.as_array().unwrap().len());
    for (label, value) in bars["labels"].as_array().unwrap().iter().zip(bars["series"][1]["values"].as_array().unwrap())
    {
        let row = rows.as_array().unwrap().iter().find(|row| row["item"] == *label).unwrap();
        assert_eq!(row["credit"].as_f64(), value.as_f64(), "{label}");
    }
    let chosen =
        place.rejoin("report model_comparison --metric orders --dimension page_name --html chosen.html --suite web");
    chosen.ok();
    let chosen = std::fs::read_to_string(place.path().join("chosen.html")).unwrap();
    for text in ["<dt>suite</dt><dd>web</dd>", "<dd>page_name</dd>", "attribution('orders', 'page_name'"] {
        assert!(chosen.contains(text), "{text}");
    }
}

#[test]
fn what_cannot_be_shown_is_said_and_leaves_no_file() {
    let place = Place::new();
    place.rejoin("suite create web").ok();
    place.rejoin("report overview").fails(2, &["--html"]);
    place.rejoin("report overviw --html x.html").fails(2, &["did you mean overview?"]);
    place.rejoin("report overview --cost event20 --html x.html").fails(2, &["has no cost", "dimension"]);
    place.rejoin("report time_lag --sql --html x.html").fails(2, &["--sql"]);
    place.rejoin("report time_lag --metric no_such --html x.html").fails(7, &["no_such", "--metric no_such"]);
    assert!(!place.path().join("x.html").exists());
}
