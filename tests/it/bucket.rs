//! Inputs in a bucket, on the tests' own SeaweedFS: `ingest s3://` and `schedule --watch s3://`.

use std::io::{Cursor, Write};

use object_store::path::Path as Key;
use object_store::{ObjectStoreExt, PutPayload};
use serde_json::{Value, json};

use crate::place::Place;
use crate::stores;

/// A place whose lake lies on S3, with a prefix of the bucket for its inputs.
struct Bucket {
    place: Place,
    runtime: tokio::runtime::Runtime,
    prefix: String,
}

impl Bucket {
    fn new() -> Self {
        let place = Place::on_s3();
        let prefix = format!("drop-{}", place.path().file_name().unwrap().to_str().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        place.sh("rejoin suite create web
rejoin source create web leads --kind transaction --metrics event1
rejoin source create web calls --kind summary --metrics event2 --dimensions evar1 --on-error stop");
        Self { place, runtime, prefix }
    }

    fn url(&self, below: &str) -> String {
        format!("s3://{}/{}/{below}", stores::BUCKET, self.prefix)
    }

    fn put(&self, name: &str, contents: impl Into<PutPayload>) {
        let key = Key::from(format!("{}/{name}", self.prefix));
        self.runtime.block_on(stores::server().bucket().put(&key, contents.into())).unwrap();
    }

    fn has(&self, name: &str) -> bool {
        let key = Key::from(format!("{}/{name}", self.prefix));
        self.runtime.block_on(stores::server().bucket().head(&key)).is_ok()
    }

    fn source_file(&self, name: &str, text: &str) {
        self.put(&format!("{name}.txt"), text.to_string());
        self.put(&format!("{name}.fin"), "");
    }

    /// One run over the whole prefix: exit code, document.
    fn once(&self) -> (i32, Value) {
        let done = self.place.rejoin_with(&["schedule", "--once", "--json", "--watch", &self.url("")]);
        let document = serde_json::from_str(&done.stdout);
        (done.code, document.unwrap_or_else(|e| panic!("{e}: {} {}", done.stdout, done.stderr)))
    }
}

fn files_of(document: &Value) -> Vec<String> {
    let files = document["files"].as_array().unwrap().iter();
    files.map(|f| format!("{} {}", f["file"].as_str().unwrap(), f["status"].as_str().unwrap())).collect()
}

/// A delivery, data source files and stragglers are what they are in a folder; what is known is not fetched again.
#[test]
fn inputs_of_a_bucket_are_taken_as_those_of_a_folder() {
    let bucket = Bucket::new();
    bucket.place.sh("feed web 2026-09-01 <<END
visitor  time              visit  post_pagename  post_event_list
1_1      2026-09-01 10:00  1      home           1
1_2      2026-09-01 11:00  1      form           1
END");
    let made: Vec<_> =
        std::fs::read_dir(bucket.place.path().join("feed")).unwrap().map(|e| e.unwrap().path()).collect();
    let name = |path: &std::path::Path| path.file_name().unwrap().to_str().unwrap().to_string();
    for path in made.iter().filter(|p| p.extension().unwrap() != "txt") {
        bucket.put(&format!("feed/{}", name(path)), std::fs::read(path).unwrap());
    }
    // the source is known by its folder
    bucket.source_file("leads/b", "Date\ttransactionID\tEvent 1\n09/02/2026\tL1\t2\n");
    bucket.put("leads/a.txt", "Date\ttransactionID\tEvent 1\n09/02/2026\tL2\t3\n");
    let (code, run) = bucket.once();
    assert_eq!(
        (code, files_of(&run)),
        (0, vec!["leads/a.txt waiting".into(), "leads/b.txt loaded".into(), "web_2026-09-01 waiting".into()])
    );
    for path in made.iter().filter(|p| p.extension().unwrap() == "txt") {
        bucket.put(&format!("feed/{}", name(path)), std::fs::read(path).unwrap());
    }
    bucket.put("leads/a.fin", "");
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, vec!["leads/a.txt loaded".to_string(), "web_2026-09-01 loaded".into()]));
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run), &run["rebuild"]), (0, vec![], &Value::Null));
    assert_eq!(bucket.place.query("SELECT count(*) AS n, sum(event1) AS s FROM events"), json!([{"n": 4, "s": 5}]));
    // by hand: one object with its neighbours, or a folder; nothing is loaded twice
    let unchanged = |below: &str| {
        let done = bucket.place.rejoin_with(&["ingest", "--json", &bucket.url(below)]).ok();
        let outcomes: Value = serde_json::from_str(&done.stdout).unwrap();
        outcomes
            .as_array()
            .unwrap()
            .iter()
            .map(|o| format!("{} {}", o["file"].as_str().unwrap(), o["status"].as_str().unwrap()))
            .collect::<Vec<_>>()
    };
    assert_eq!(unchanged("leads/b.txt"), ["leads/b.txt unchanged"]);
    assert_eq!(unchanged("leads/b.fin"), ["leads/b.txt unchanged"]);
    assert_eq!(unchanged("feed/web_2026-09-01.txt"), ["web_2026-09-01 unchanged"]);
    assert_eq!(unchanged("leads"), ["leads/a.txt unchanged", "leads/b.txt unchanged"]);
    bucket.place.rejoin_with(&["ingest", &bucket.url("nowhere/")]).fails(2, &["there is nothing"]);
    // the temporary copies are gone
    let temporary = bucket.place.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_rejoin"));
    bucket.place.settle(command.args(["ingest", "--validate", &bucket.url("")]).env("TMPDIR", &temporary));
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
}

/// A zip archive of these files, the first one as large as asked for.
fn archive(files: &[(&str, &str)], filling: usize) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(vec![]));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    writer.start_file("filling.bin", options).unwrap();
    writer.write_all(&vec![7; filling]).unwrap();
    for (name, text) in files {
        writer.start_file(*name, options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The files of an archive are inputs of their own: what is known of it is not loaded again, what was not whole is taken when it is.
#[test]
fn files_in_an_archive_of_a_bucket() {
    let bucket = Bucket::new();
    let text = |id: &str| format!("Date\ttransactionID\tEvent 1\n09/02/2026\t{id}\t2\n");
    let (one, two) = (text("L1"), text("L2"));
    // larger than what is read of it to list it
    let files = [("leads_1.txt", one.as_str()), ("leads_1.fin", ""), ("sub/leads_2.txt", two.as_str())];
    bucket.put("drop.zip", archive(&files, 3 << 20));
    bucket.put("packed/leads_3.txt.gz", {
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::fast());
        gzip.write_all(text("L3").as_bytes()).unwrap();
        gzip.finish().unwrap()
    });
    bucket.put("packed/leads_3.fin", "");
    let loaded = ["drop.zip/leads_1.txt loaded", "drop.zip/sub/leads_2.txt waiting", "packed/leads_3.txt.gz loaded"];
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, loaded.map(str::to_string).to_vec()), "{run}");
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, vec!["drop.zip/sub/leads_2.txt waiting".to_string()]));
    bucket.put("drop.fin", "");
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, vec!["drop.zip/sub/leads_2.txt loaded".to_string()]), "{run}");
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run), &run["rebuild"]), (0, vec![], &Value::Null));
    assert_eq!(bucket.place.cell("SELECT sum(event1) AS s FROM events"), 6.0);
    // cut in two: it cannot be listed, and says so
    let whole = archive(&files, 10);
    bucket.put("cut.zip", whole[..whole.len() / 2].to_vec());
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, vec!["cut.zip waiting".to_string()]));
}

#[test]
fn a_file_that_stops_its_source_is_moved_within_the_bucket() {
    let bucket = Bucket::new();
    bucket.source_file("calls_1", "Date\tEvar 1\tEvent 2\nno date\tx\t1\n");
    bucket.source_file("calls_2", "Date\tEvar 1\tEvent 2\n09/02/2026\tx\t1\n");
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (4, vec!["calls_1.txt refused".to_string(), "calls_2.txt waiting".into()]));
    let place = bucket.url("files_with_errors");
    assert!(run["message"].as_str().unwrap().contains(&place), "{run}");
    for (name, is_there) in [("calls_1.txt", false), ("calls_1.fin", false), ("calls_2.txt", true)] {
        assert_eq!(
            (bucket.has(name), bucket.has(&format!("files_with_errors/{name}"))),
            (is_there, !is_there),
            "{name}"
        );
    }
    bucket.place.rejoin("source restart web calls").ok();
    let (code, run) = bucket.once();
    assert_eq!((code, files_of(&run)), (0, vec!["calls_2.txt loaded".to_string()]));
    assert_eq!(bucket.place.cell("SELECT sum(event2) AS s FROM events"), 1.0);
}
