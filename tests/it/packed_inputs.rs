//! Inputs as they come packed: in zstd as in gzip, in archives, and in lists within an object of JSON.

use std::io::Read;

use flate2::read::MultiGzDecoder;

use crate::packed::{gzipped, tarred, zipped, zstd_packed};
use crate::place::Place;

/// A place with a suite, and the mapping of some clicks.
fn place() -> Place {
    let place = Place::new();
    place.sh("rejoin suite create web; rejoin source create web calls --kind customer");
    place.write("web.toml", "kind = 'online'\nsuite = 'web'\nvisitor_id = 'user'\ntime = 'at'\n");
    place
}

fn gunzipped(name: &str) -> Vec<u8> {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("data/adobe").join(name);
    let mut bytes = vec![];
    MultiGzDecoder::new(std::fs::File::open(path).unwrap()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn members(all: &[(&str, &[u8])]) -> Vec<(String, Vec<u8>)> {
    all.iter().map(|(name, bytes)| (name.to_string(), bytes.to_vec())).collect()
}

/// The files that are loaded, each with its rows.
fn files(place: &Place) -> Vec<(String, i64)> {
    let rows = place.query("SELECT file, rows FROM files WHERE status = 'loaded' ORDER BY file");
    let file = |row: &serde_json::Value| (row["file"].as_str().unwrap().to_string(), row["rows"].as_i64().unwrap());
    rows.as_array().unwrap().iter().map(file).collect()
}

#[test]
fn a_feed_in_zstd_is_the_feed_in_gzip() {
    let place = place();
    place.write("feed/01-web_2026-09-01.tsv.zst", zstd_packed(&gunzipped("01-web_2026-09-01.tsv.gz")));
    let lookups = zstd_packed(&gunzipped("web_2026-09-01-lookup_data.tar.gz"));
    place.write("feed/web_2026-09-01-lookup_data.tar.zst", lookups);
    // its data are there, and its manifest is not written yet
    place.write("feed/web_2026-09-01.txt", "");
    let waits = place.rejoin("ingest feed").ok().stderr;
    assert!(waits.contains("web_2026-09-01.txt is empty: it is called as a manifest"), "{waits}");
    place.sh(r#"cd feed
said() { printf '%s: %s\nMD5-Digest: %s\nFile-Size: %s\n' $1 $2 $(md5sum < $2 | cut -c1-32) $(stat -c %s $2); }
{ printf 'Datafeed-Manifest-Version: 1.0\nLookup-Files: 1\nData-Files: 1\nTotal-Records: 5\n\n'
  said Lookup-File web_2026-09-01-lookup_data.tar.zst; echo
  said Data-File 01-web_2026-09-01.tsv.zst; printf 'Record-Count: 5\n'; } > web_2026-09-01.txt"#);
    place.rejoin("ingest feed").ok();
    let loaded = files(&place);
    assert_eq!((loaded.len(), loaded[0].0.as_str()), (1, "web_2026-09-01"));
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), loaded[0].1);
    assert!(loaded[0].1 > 0);
    // as it is in gzip, it is the same delivery
    place.sh("rejoin ingest \"$DATA/adobe/web_2026-09-01.txt\"");
    assert_eq!(files(&place), loaded);
    // an empty text of such a name alone is no data source file either
    place.write("alone/web_2026-09-02.txt", "");
    let waits = place.rejoin("ingest alone").ok().stderr;
    assert!(waits.contains("web_2026-09-02.txt is empty"), "{waits}");
}

#[test]
fn data_source_files_in_zstd_and_under_other_names() {
    let place = place();
    let text = |id: &str| format!("Date\tVisitorID\tEvar 3\tEvent 5\n09/05/2026\t{id}\tBoots\t1\n");
    place.write("in/calls_1.txt.zst", zstd_packed(text("c-1").as_bytes()));
    // not called so, and called otherwise
    place.write("in/calls_2.txt", zstd_packed(text("c-2").as_bytes()));
    place.write("in/calls_3.txt.gz", zstd_packed(text("c-3").as_bytes()));
    let api = r#"{"columns": ["Date", "VisitorID", "Evar 3", "Event 5"], "reportSuiteID": "web", "dataSourceID": "calls",
 "rows": [["09/05/2026", "c-4", "Boots", 1]], "finished": true}"#;
    place.write("in/calls_4.json.zst", zstd_packed(api.as_bytes()));
    place.sh("touch in/calls_{1,2,3}.fin; rejoin ingest in");
    let names = ["calls_1.txt.zst", "calls_2.txt", "calls_3.txt.gz", "calls_4.json.zst"];
    assert_eq!(files(&place), names.map(|name| (name.to_string(), 1)));
    // half a file
    let packed = zstd_packed(text("c-5").as_bytes());
    place.write("calls_5.txt.zst", &packed[..packed.len() - 3]);
    place.sh("touch calls_5.fin");
    place.rejoin("ingest calls_5.txt.zst").fails(4, &["calls_5.txt.zst is cut short or damaged"]);
    place.write("calls_5.txt.zst", text("c-5"));
    place.rejoin("ingest calls_5.txt.zst").fails(4, &["take .zst off its name"]);
}

#[test]
fn an_archive_of_mapped_files_is_as_a_folder() {
    let place = place();
    let more = zstd_packed(b"{\"user\":\"u3\",\"at\":\"2026-09-02\"}\n");
    let clicks: &[u8] = b"user,at\nu1,2026-09-01\nu2,soon\n";
    let all = members(&[
        ("clicks.csv", clicks),
        ("more/clicks.ndjson.zst", &more),
        ("readme.txt", b"Clicks of September"),
        ("logo.png", b"?"),
        ("__MACOSX/._clicks.csv", b"?"),
    ]);
    place.write("crm_2026-09-01.zip", zipped(&all));
    place.rejoin("ingest crm_2026-09-01.zip --mapping web.toml").ok();
    let names = ["crm_2026-09-01.zip/clicks.csv", "crm_2026-09-01.zip/more/clicks.ndjson.zst"];
    assert_eq!(files(&place), names.map(|name| (name.to_string(), 1)));
    let rejects = place.query("SELECT file, line FROM rejects");
    assert_eq!((rejects[0]["file"].as_str(), rejects[0]["line"].as_i64()), (Some(names[0]), Some(3)));
    // again, and with a pattern for one of them
    let unchanged = |mapping: &str, count: usize| {
        let done = place.rejoin(&format!("ingest crm_2026-09-01.zip --mapping {mapping} --json")).ok();
        assert_eq!(done.stdout.matches("\"unchanged\"").count(), count, "{}", done.stdout);
    };
    unchanged("web.toml", 2);
    place.sh("{ echo \"files = 'crm_*.zip/*.csv'\"; cat web.toml; } > some.toml");
    unchanged("some.toml", 1);
    place.sh("{ echo \"files = 'crm_*.zip'\"; cat web.toml; } > whole.toml");
    let whole = place.rejoin("ingest crm_2026-09-01.zip --mapping whole.toml");
    whole.fails(4, &["say which of its files are meant, as in files = \"crm_2026-09-01.zip/*.csv\""]);
}

#[test]
fn archives_that_are_not_taken() {
    let place = place();
    let clicks: &[u8] = b"user,at\nu1,2026-09-01\n";
    let refused = |name: &str, bytes: Vec<u8>, texts: &[&str]| {
        place.write(name, bytes);
        place.rejoin(&format!("ingest {name} --mapping web.toml")).fails(4, texts);
    };
    refused("climbs.zip", zipped(&members(&[("../clicks.csv", clicks)])), &["points outside of the archive"]);
    let twice = members(&[("clicks.csv", clicks), ("./clicks.csv", clicks)]);
    refused("twice.zip", zipped(&twice), &["clicks.csv is there twice"]);
    let many: Vec<_> = (0..1001).map(|n| (format!("{n}.csv"), clicks.to_vec())).collect();
    refused("many.zip", zipped(&many), &["more than 1000 members"]);
    let inner = zipped(&members(&[("clicks.csv", clicks)]));
    let nested = members(&[("inner.zip", &inner), ("clicks.csv", b"user,at\nu2,2026-09-01\n")]);
    refused("nested.zip", zipped(&nested), &["an archive in an archive"]);
    let columnar = members(&[("clicks.parquet", b"PAR1")]);
    refused("columnar.zip", zipped(&columnar), &["a Parquet file is not read in an archive"]);
    refused("others.zip", zipped(&members(&[("logo.png", b"?")])), &["no file of a mapping"]);
    let tar = tarred(&members(&[("clicks.csv", clicks)]));
    let packed = [gzipped(&tar), zstd_packed(&tar), tar];
    for (name, bytes) in ["clicks.tar.gz", "clicks.tar.zst", "clicks.tar"].into_iter().zip(packed) {
        refused(name, bytes, &["into which a mapping does not look", "tar -xf"]);
    }
    // of the archive in which another is, the file itself was loaded
    assert_eq!(files(&place), [("nested.zip/clicks.csv".to_string(), 1)]);
}

#[test]
fn rows_in_a_list_of_an_answer() {
    let place = place();
    let row = |user: &str| format!("{{\n    \"user\": \"{user}\",\n    \"at\": \"2026-09-01\"\n  }}");
    let answer = format!("{{\n  \"meta\": {{}},\n  \"data\": [\n  {},\n  7\n  ]\n}}\n", row("a1"));
    place.write("answer.json", &answer);
    place.rejoin("ingest answer.json --mapping web.toml").fails(4, &["one object", "rows = \"data\" says so"]);
    place.write("line.json", "{\"data\":[{\"user\":\"a2\",\"at\":\"2026-09-01\"}],\"included\":[{\"id\":1}]}");
    place.rejoin("ingest line.json --mapping web.toml").fails(4, &["rows = \"data\" or rows = \"included\""]);
    assert!(place.rejoin("mapping guess answer.json").ok().stdout.contains("rows = \"data\"\n"));
    place.sh("{ echo \"rows = 'data'\"; cat web.toml; } > rows.toml");
    place.write("packed.json.gz", zstd_packed(format!("{{\"data\":[{}]}} {{\"data\":null}}", row("a3")).as_bytes()));
    place.write("none.json", "{\"data\": []}");
    place.rejoin("ingest answer.json line.json packed.json.gz none.json --mapping rows.toml").ok();
    let counts = [("answer.json", 1), ("line.json", 1), ("none.json", 0), ("packed.json.gz", 1)];
    assert_eq!(files(&place), counts.map(|(name, rows)| (name.to_string(), rows)));
    assert_eq!(place.cell("SELECT count(*) AS n FROM rejects WHERE file = 'answer.json' AND line = 2"), 1);
    place.write("failed.json", "{\"error\": \"come back later\"}");
    place.rejoin("ingest failed.json --mapping rows.toml").fails(4, &["no such list is in what ends here"]);
    place.sh("sed \"s/'data'/['answer', 'items']/\" rows.toml > deep.toml");
    place.write("deep.json", "{\"answer\":{\"items\":[{\"user\":\"a4\",\"at\":\"2026-09-01\"}]}}");
    place.rejoin("ingest deep.json --mapping deep.toml").ok();
    assert_eq!(place.cell("SELECT count(*) AS n FROM hits"), 4);
}
