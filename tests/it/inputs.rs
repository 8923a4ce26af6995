//! Inputs as a new user has them: where no lake is, the first mapping by guessing, and files that were damaged at random.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use rejoin::feed::manifest::Manifest;
use rejoin::ingest::input_file::InputFile;
use rejoin::ingest::mapped_file::{Format, MappedFile, Reading};
use rejoin::ingest::mapping::Mapping;

use crate::place::Place;

#[test]
fn only_who_makes_a_lake_makes_one() {
    let place = Place::new();
    for command in [
        "query SELECT/**/1",
        "rebuild",
        "status",
        "log",
        "remove a.txt",
        "report net_revenue",
        "suite list",
        "suite set web --rules current",
        "source create web leads --kind transaction",
        "compact",
        "vacuum",
        "history",
        "schedule --once",
        "shell",
    ] {
        place.rejoin(command).fails(3, &["no lake at", "rejoin suite create"]);
        assert!(!place.lake().exists(), "{command}");
    }
    // these need none
    place.rejoin("functions").ok();
    place.rejoin("help mapping").ok();
    place.sh("mkdir shop && rejoin --lake shop/lake suite create web");
    // one that is near is named
    place.write("shop/in/a.txt", "");
    place.rejoin("--lake shop/lak status").fails(3, &["did you mean --lake", "shop/lake"]);
    place.rejoin("--lake lake status").fails(3, &["no lake at lake"]);
    place.sh("cd shop/in && fails 3 shop/lake rejoin --lake lake status && rejoin --lake ../lake status");
    place.sh("cd shop && rejoin --lake ../shop/./in/../lake query 'SELECT 1'");
    place.sh("cd shop && rejoin --lake ../new/../made/lake suite create web && test -d ../made/lake/suites");
}

/// Places that look like a lake and are none; none of them becomes one by being asked.
#[test]
fn what_is_no_lake() {
    let place = Place::new();
    place.write("afile", "");
    place.write("folder/notes.txt", "");
    place.write("table/_delta_log/00000000000000000000.json", "{}\n");
    place.write("a.csv", "user,at\nu,2026-09-01\n");
    place.write("web.toml", "kind = 'online'\nsuite = 'web'\nvisitor_id = 'user'\ntime = 'at'\n");
    place.sh("ln -s nowhere dangling");
    for at in ["folder", "table", "dangling", "folder/deeper/still", "s3:/bucket/lake"] {
        for command in ["status", "rebuild", "log", "segment list", "export list", "forget --visitor x", "mcp"] {
            place.rejoin(&format!("--lake {at} {command}")).fails(3, &["no lake at"]);
        }
    }
    for command in ["status", "suite create web", "ingest a.csv --mapping web.toml"] {
        place.rejoin(&format!("--lake afile {command}")).fails(3, &["no lake at afile", "it is a file"]);
    }
    // a file is loaded where its suite is, and nothing is made where that is not
    place.rejoin("--lake new ingest a.csv --mapping web.toml").fails(3, &["suite create web"]);
    assert!(!place.path().join("new").exists() && !place.path().join("nowhere").exists());
    // the folder that holds the lake, one of the lake's own, a URL, and a link to it
    place.sh(
        "rejoin --lake shop/data/lake suite create web && ln -s shop/data/lake linked && rejoin --lake linked status",
    );
    place.rejoin("--lake shop/data status").fails(3, &["did you mean --lake", "shop/data/lake"]);
    place.rejoin("--lake shop/data/lake/suites status").fails(3, &["did you mean --lake", "shop/data/lake"]);
    let url = format!("file://{}/shop/data/lak", place.path().display());
    place.rejoin(&format!("--lake {url} status")).fails(3, &["did you mean --lake", "shop/data/lake"]);
    place.rejoin("--lake shop/data/lake/ status").ok();
    place.sh("cd shop/data && rejoin --lake ./lake/../lake status && REJOIN_LAKE=lake rejoin status");
}

/// Every mapping that is guessed for an example loads its rows, but where a name is for the user to say.
#[test]
fn a_guessed_mapping_loads() {
    let place = Place::new();
    place.sh("rejoin suite create web");
    for (file, rows) in [("ga4/events.ndjson", 6), ("segment/events.ndjson", 5), ("matomo/visits.json", 5)] {
        place.sh(&format!("rejoin mapping guess \"$DATA/{file}\" > guessed.toml"));
        let done =
            place.sh(&format!("rejoin ingest \"$DATA/{file}\" --mapping guessed.toml --suite web --validate --json"));
        let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!((report[0]["rows"].as_i64(), report[0]["rejected"].as_i64()), (Some(rows), Some(0)), "{report}");
        assert_eq!(report[0]["preview"]["rows"].as_i64(), Some(rows));
    }
    let guessed = place.sh("rejoin mapping guess \"$DATA/crm/deals.csv\"").stdout;
    for part in ["delimiter = \";\"", "kind = \"offline\"", "parse_number(Betrag, ',')", "'%d.%m.%Y')"] {
        assert!(guessed.contains(part), "{part}: {guessed}");
    }
    let shown = place.sh("rejoin ingest \"$DATA/ga4\" --mapping \"$DATA/ga4/mapping.toml\" --validate").stdout;
    for text in ["tracking_code", "50 %", "retarget", "visitor_id", "100 %", "1001.17", "row 3"] {
        assert!(text == "retarget" || shown.contains(text), "{text}: {shown}");
    }
    place.rejoin("mapping guess nothing.csv").fails(4, &["nothing.csv"]);
    place.write("nameless.tsv", "a\ta\nb\tb\n");
    place.rejoin("mapping guess nameless.tsv").fails(4, &["two columns are called a", "header = false"]);
}

/// What `--validate` says of a file is what loading it then does.
#[test]
fn what_is_validated_is_what_is_loaded() {
    let place = Place::new();
    place.sh("rejoin suite create web");
    place.write("a.csv", "user,at,page,n\nu1,2026-09-01,home,1\nu2,2026-09-01,,\nu3,soon,x,2\nu4,2026-09-02,buy,0.5\n");
    place.write(
        "a.toml",
        "kind = 'online'\nvisitor_id = 'user'\ntime = 'at'\n[dimensions]\npage_name = 'page'\nevar_1 = 'page'\n[metrics]\n\
         revenue = 'n'\n",
    );
    let done = place.rejoin("ingest a.csv --mapping a.toml --validate --json").ok();
    let report: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((report[0]["rows"].as_i64(), report[0]["rejected"].as_i64()), (Some(3), Some(1)), "{report}");
    let columns = report[0]["preview"]["columns"].as_array().unwrap();
    let filled: Vec<_> = columns.iter().map(|c| (c["name"].as_str().unwrap(), c["filled"].as_i64().unwrap())).collect();
    for expected in [("visitor_id", 3), ("hit_time", 3), ("page_name", 2), ("revenue", 2)] {
        assert!(filled.contains(&expected), "{expected:?}: {filled:?}");
    }
    assert!(done.stderr.contains("if this is evar1,") || done.stdout.contains("if this is evar1,"), "{}", done.stderr);
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 0);
    place.rejoin("ingest a.csv --mapping a.toml").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 3);
    assert_eq!(place.cell("SELECT count(page_name) AS n FROM hits"), 2);
    assert_eq!(place.cell("SELECT sum(revenue) AS n FROM hits"), 1.5);
    // what needs no mapping is not guessed at
    place.write("leads.txt", "Date\ttransactionID\tEvent 1\n09/01/2026\tT1\t1\n");
    place.rejoin("mapping guess leads.txt").fails(2, &["needs no mapping"]);
}

/// A name that is almost ours, a value that no row has: both are told, and stand in the file log.
#[test]
fn warnings_are_told() {
    let place = Place::new();
    place.sh("rejoin suite create web");
    place.write("a.ndjson", "{\"u\":\"v\",\"at\":\"2026-09-01\",\"c\":\"x\"}\n");
    place.write(
        "a.toml",
        "kind = 'online'\nvisitor_id = 'u'\ntime = 'at'\n[dimensions]\ncampaign = 'c'\nevar1 = 'gone'\n",
    );
    let done = place.rejoin("ingest a.ndjson --mapping a.toml").ok();
    for text in ["2 warnings", "if this is tracking_code", "no row of the file has gone"] {
        assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
    }
    let message = place.cell("SELECT message FROM files");
    assert!(message.as_str().unwrap().contains("2 warnings, the first: "), "{message}");
}

/// The examples' bytes with some of them changed, taken out, or said again.
fn damaged() -> impl Strategy<Value = (usize, Vec<(u8, u16, u8)>)> {
    (0..FILES.len(), prop::collection::vec((0..5u8, any::<u16>(), any::<u8>()), 1..12))
}

const FILES: [(&str, Format); 7] = [
    ("ga4/events.ndjson", Format::Ndjson),
    ("segment/events.ndjson", Format::Ndjson),
    ("matomo/visits.json", Format::Ndjson),
    ("crm/deals.csv", Format::Csv),
    ("snowplow/enriched.tsv", Format::Csv),
    ("ga4/mapping.toml", Format::Csv),
    ("adobe/web_2026-09-01.txt", Format::Csv),
];

fn data() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data")
}

fn damage(mut bytes: Vec<u8>, changes: &[(u8, u16, u8)]) -> Vec<u8> {
    const SIGNS: &[u8] = b"\"'{}[],;\t\n\r\\:=#\0\xff\xc3 0-";
    for &(what, place, sign) in changes {
        let at = place as usize % (bytes.len() + 1);
        let end = (at + sign as usize).min(bytes.len());
        let sign = SIGNS[sign as usize % SIGNS.len()];
        match what {
            0 => bytes.insert(at, sign),
            1 if at < bytes.len() => bytes[at] = sign,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever was done to a file: it is read or refused, every row is there or rejected, and nothing panics or hangs.
    #[test]
    fn damaged_files_are_read_or_refused((file, changes) in damaged()) {
        let (name, format) = FILES[file];
        let bytes = damage(std::fs::read(data().join(name)).unwrap(), &changes);
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let _ = Mapping::parse(text);
        }
        let _ = Manifest::parse(&bytes, name);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(Path::new(name).file_name().unwrap());
        std::fs::write(&path, &bytes).unwrap();
        let Ok(mapped) = MappedFile::open(InputFile::alone(&path), Reading::everything(format)) else { return Ok(()) };
        let all: Vec<usize> = (0..mapped.schema.fields().len()).collect();
        let (mut rows, mut issues) = (0, 0);
        let read = mapped.read(&all, Arc::default(), &mut |some| {
            rows += some.batch.num_rows();
            issues += some.issues.len();
            assert_eq!(some.batch.num_rows(), some.lines.len());
            Ok(ControlFlow::Continue(()))
        });
        if read.is_ok() {
            prop_assert!(rows + issues <= bytes.len() + 1);
        }
    }
}
