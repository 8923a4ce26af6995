//! Tiny inputs of every kind go into a lake in a temporary folder and are read back.

#![allow(clippy::unwrap_used)]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;
use md5::{Digest, Md5};

use super::*;
use crate::lake::records::{FileEntry, Source, Suite};
use crate::lake::scan::LakeTable;
use crate::lake::{Lake, Registry, Snapshot};

mod groups;

struct Bench {
    folder: tempfile::TempDir,
    lake: Lake,
}

const HEADERS: &str = "post_visid_high\tpost_visid_low\thit_time_gmt\tvisit_num\tvisit_start_time_gmt\thitid_high\thitid_low\thit_source\tpost_pagename\tpost_evar1\tevar1\tpost_transactionid\tpost_event_list";

fn hit(visitor: u32, time: u32, id: u32, page: &str) -> String {
    format!("1\t{visitor}\t{}\t1\t1790000000\t9\t{id}\t1\t{page}\tblue\t\tT{id}\t1,200\n", 1_790_000_000 + time)
}

impl Bench {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().join("lake").to_str().unwrap()).unwrap();
        let bench = Self { folder, lake };
        Registry::<Suite>::update(&bench.lake, |rows| {
            rows.push(Suite::new("acme"));
            Ok(())
        })
        .await
        .unwrap();
        for (name, kind) in
            [("leads", "transaction"), ("calls", "customer"), ("totals", "summary"), ("strict", "transaction")]
        {
            let source = Source {
                id: format!("acme_{name}"),
                suite: "acme".into(),
                source: name.into(),
                kind: kind.into(),
                metrics: String::new(),
                dimensions: String::new(),
                on_error: if name == "strict" { "stop".into() } else { "skip".into() },
                status: "active".into(),
                created: None,
            };
            Registry::<Source>::update(&bench.lake, |rows| {
                rows.push(source.clone());
                Ok(())
            })
            .await
            .unwrap();
        }
        bench
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("in").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn source_file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name, bytes);
        self.file(&name.replace(".txt", ".fin"), "");
        path
    }

    /// A delivery of `parts` of hits; gives the manifest's path.
    fn delivery(&self, name: &str, parts: &[String]) -> PathBuf {
        let mut manifest = format!("Datafeed-Manifest-Version: 1.0\nLookup-Files: 1\nData-Files: {}\n", parts.len());
        manifest += &format!("Total-Records: {}\n", parts.iter().map(|p| p.lines().count()).sum::<usize>());
        let lookup = self.path(&format!("{name}-lookup_data.tar.gz"));
        let gzip = flate2::write::GzEncoder::new(File::create(&lookup).unwrap(), flate2::Compression::fast());
        let mut tar = tar::Builder::new(gzip);
        for (member, text) in [
            ("column_headers.tsv", HEADERS),
            ("browser.tsv", "1\tFirefox\n2\tChrome\n"),
            ("event.tsv", "1\tPurchase\n200\tCustom 1\n"),
            ("hits.tsv", "1\tx\n"),
        ] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            tar.append_data(&mut header, member, text.as_bytes()).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        let mut describe = |path: &Path, kind: &str, records: Option<usize>| {
            let bytes = fs::read(path).unwrap();
            let md5: String = Md5::digest(&bytes).iter().map(|b| format!("{b:02x}")).collect();
            let file = path.file_name().unwrap().to_str().unwrap();
            manifest += &format!("\n{kind}-File: {file}\nMD5-Digest: {md5}\nFile-Size: {}\n", bytes.len());
            manifest += &records.map_or_else(String::new, |n| format!("Record-Count: {n}\n"));
        };
        describe(&lookup, "Lookup", None);
        for (part, text) in parts.iter().enumerate() {
            let path = self.path(&format!("{:02}-{name}.tsv.gz", part + 1));
            let mut gzip = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            gzip.finish().unwrap();
            describe(&path, "Data", Some(text.lines().count()));
        }
        self.file(&format!("{name}.txt"), manifest)
    }

    async fn ingest(&self, paths: &[PathBuf], change: impl FnOnce(&mut IngestOptions)) -> Vec<Outcome> {
        let mut options = IngestOptions { memory_bytes: 256 << 20, ..Default::default() };
        change(&mut options);
        ingest(&self.lake, paths, &options, &|_| {}).await.unwrap()
    }

    async fn one(&self, path: PathBuf) -> String {
        said(&self.ingest(&[path], |_| {}).await)
    }

    async fn query(&self, sql: &str) -> Vec<String> {
        let context = SessionContext::new();
        context.register_object_store(self.lake.store_url().as_ref(), self.lake.store().clone());
        for name in self.lake.table_names().await.unwrap() {
            let snapshot = Snapshot::open(&self.lake, &name, None).await.unwrap();
            let schema = snapshot.schema.clone();
            let table = LakeTable::new(self.lake.clone(), Arc::new(snapshot), schema);
            context.register_table(&name, Arc::new(table)).unwrap();
        }
        let mut rows = vec![];
        for batch in context.sql(sql).await.unwrap().collect().await.unwrap() {
            let options = FormatOptions::default().with_null("-");
            let columns: Vec<_> =
                batch.columns().iter().map(|c| ArrayFormatter::try_new(c.as_ref(), &options).unwrap()).collect();
            for row in 0..batch.num_rows() {
                rows.push(columns.iter().map(|c| c.value(row).to_string()).collect::<Vec<_>>().join("|"));
            }
        }
        rows
    }

    async fn log(&self) -> Vec<FileEntry> {
        Registry::<FileEntry>::read(&self.lake).await.unwrap().rows
    }

    /// Parquet files on disk, live or not.
    async fn parquet_files(&self, table: &str) -> usize {
        let folder = self.folder.path().join("lake").join(table);
        let entries = fs::read_dir(folder).into_iter().flatten();
        entries.filter(|e| e.as_ref().unwrap().path().extension().is_some_and(|x| x == "parquet")).count()
    }
}

fn said(outcomes: &[Outcome]) -> String {
    let texts = outcomes.iter().map(|o| match &o.status {
        Status::Loaded => format!("{} loaded {}+{}", o.entry.file, o.entry.rows, o.entry.rejected),
        Status::Unchanged => format!("{} unchanged", o.entry.file),
        Status::Copy(reason) => format!("{} {reason}", o.entry.file),
        Status::Replaced => format!("{} replaced {}+{}", o.entry.file, o.entry.rows, o.entry.rejected),
        Status::Validated => format!("{} valid {}+{}", o.entry.file, o.entry.rows, o.entry.rejected),
        Status::Waiting(why) => format!("{} waits: {why}", o.entry.file),
        Status::Refused(error) => format!("{} {:?}: {error}", o.entry.file, error.kind()),
    });
    texts.collect::<Vec<_>>().join("\n")
}

fn hits(count: u32) -> String {
    (0..count).map(|n| hit(n % 7, n, n, &format!("page {}", n % 3))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_is_loaded_once() {
    let bench = Bench::new().await;
    let manifest = bench.delivery("acme_2026-10-01", &[hits(60), hits(100)[hits(60).len()..].to_string()]);
    assert_eq!(
        said(&bench.ingest(std::slice::from_ref(&manifest), |o| o.validate = true).await),
        "acme_2026-10-01 valid 100+0"
    );
    assert_eq!(bench.log().await, []);
    // its folder, its manifest and one of its files are one input
    let paths = [
        manifest.parent().unwrap().to_path_buf(),
        manifest.clone(),
        manifest.with_file_name("01-acme_2026-10-01.tsv.gz"),
    ];
    assert_eq!(said(&bench.ingest(&paths, |_| {}).await), "acme_2026-10-01 loaded 100+0");
    assert_eq!(bench.one(manifest.clone()).await, "acme_2026-10-01 unchanged");
    let all = bench
        .query("SELECT count(*), count(DISTINCT visitor_id), sum(page_views), sum(orders), sum(event1) FROM hits")
        .await;
    assert_eq!(all, ["100|7|100.0|100.0|100.0"]);
    let order = bench.query("SELECT visitor_id, hit_time, page_name, evar1, transaction_id, persisted FROM hits ORDER BY hit_time LIMIT 1").await;
    assert_eq!(order, ["1_0|2026-09-21T14:13:20Z|page 0|blue|T0|true"]);
    assert_eq!(bench.query("SELECT name FROM browser ORDER BY id").await, ["Firefox", "Chrome"]);
    let log = bench.log().await;
    assert_eq!((log.len(), log[0].rows, log[0].warnings, log[0].status.as_str()), (1, 100, 1, "loaded"));
    assert!(log[0].message.contains("hits.tsv"), "{}", log[0].message);

    // a changed day needs --replace, and then only its rows change
    bench.delivery("acme_2026-10-02", &[hits(5)]);
    bench.delivery("acme_2026-10-01", &[hits(40)]);
    let both = said(&bench.ingest(&[manifest.parent().unwrap().to_path_buf()], |_| {}).await);
    assert!(both.starts_with("acme_2026-10-01 Conflict: acme_2026-10-01 is loaded already"), "{both}");
    assert!(both.ends_with("acme_2026-10-02 loaded 5+0"), "{both}");
    let replaced = bench.ingest(std::slice::from_ref(&manifest), |o| o.replace = true).await;
    assert_eq!(said(&replaced), "acme_2026-10-01 replaced 40+0");
    assert_eq!(
        bench.query("SELECT file, count(*) FROM hits GROUP BY 1 ORDER BY 1").await,
        ["acme_2026-10-01|40", "acme_2026-10-02|5"]
    );
    let statuses: Vec<String> = bench.log().await.iter().map(|e| format!("{} {}", e.file, e.status)).collect();
    assert_eq!(statuses.iter().filter(|s| s.ends_with("loaded")).count(), 2);
    assert!(statuses.contains(&"acme_2026-10-01 replaced".to_string()));

    let removed = remove(&bench.lake, &[manifest.to_str().unwrap().to_string()], None, None).await.unwrap();
    assert_eq!((removed.len(), removed[0].status.as_str()), (1, "removed"));
    assert_eq!(bench.query("SELECT count(*) FROM hits").await, ["5"]);
    let error = remove(&bench.lake, &["acme_2026-10-03".into()], None, None).await.unwrap_err().to_string();
    assert!(error.contains("did you mean acme_2026-10-02?"), "{error}");
    assert_eq!(bench.one(manifest).await, "acme_2026-10-01 loaded 40+0");
}

/// Inputs are read while those before them are written; what comes out is as if one came after the other.
#[tokio::test(flavor = "multi_thread")]
async fn inputs_of_one_call_follow_each_other() {
    // with little memory they really do
    for memory_bytes in [32 << 10, 256 << 20] {
        let bench = Bench::new().await;
        let folder = bench.path("x").parent().unwrap().to_path_buf();
        let again = bench.path("again/x").parent().unwrap().to_path_buf();
        let files_of = |day: &str| {
            let files = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
            files.filter(|f| f.is_file() && f.to_str().unwrap().contains(day)).collect::<Vec<_>>()
        };
        let copy = |day: &str| {
            for file in files_of(day) {
                fs::copy(&file, again.join(file.file_name().unwrap())).unwrap();
            }
        };
        bench.delivery("acme_2026-10-04", &[hits(7)]);
        copy("acme_2026-10-04");
        for day in 1..=6 {
            bench.delivery(&format!("acme_2026-10-{day:02}"), &[hits(20 + day)]);
        }
        copy("acme_2026-10-02");
        let damaged = bench.path("01-acme_2026-10-03.tsv.gz");
        fs::write(&damaged, "x".repeat(fs::read(&damaged).unwrap().len())).unwrap();
        let steps = Mutex::new(vec![]);
        let note = |step: Progress| match step {
            Progress::Ignored(_) | Progress::Bytes(_) => {}
            Progress::Start { file, .. } => steps.lock().unwrap().push(file),
            other => steps.lock().unwrap().push(format!("{other:?}")),
        };
        let options = IngestOptions { memory_bytes, ..Default::default() };
        let outcomes = ingest(&bench.lake, &[folder.clone(), again.clone()], &options, &note).await.unwrap();
        let mut said: Vec<String> = said(&outcomes).lines().map(str::to_string).collect();
        let conflict = said.iter().position(|s| s.contains("Conflict: acme_2026-10-04")).unwrap();
        let other = if said[conflict - 1].contains("10-04") { conflict - 1 } else { conflict + 1 };
        // which of two contents comes first is the paths' order
        assert!(
            said[other] == "acme_2026-10-04 loaded 24+0" || said[other] == "acme_2026-10-04 loaded 7+0",
            "{said:?}"
        );
        let rows = if said[other].contains("24") { 24 } else { 7 };
        said.remove(conflict.max(other));
        said.remove(conflict.min(other));
        let refused = said.remove(3);
        assert!(refused.starts_with("acme_2026-10-03 Refused"), "{refused}");
        assert_eq!(
            said,
            [
                "acme_2026-10-01 loaded 21+0",
                "acme_2026-10-02 loaded 22+0",
                "acme_2026-10-02 unchanged",
                "acme_2026-10-05 loaded 25+0",
                "acme_2026-10-06 loaded 26+0",
            ]
        );
        let counts = bench.query("SELECT sum(1), count(DISTINCT file) FROM hits").await;
        assert_eq!(counts, [format!("{}|5", 21 + 22 + rows + 25 + 26)]);
        assert_eq!(bench.log().await.iter().filter(|entry| entry.status == "loaded").count(), 5);
        // commits come one after the other
        let steps = steps.into_inner().unwrap();
        let commits: Vec<&String> = steps.iter().filter(|step| step.starts_with("Commit")).collect();
        // with memory those are together between which none is of a name that came before
        assert_eq!(commits.len(), if memory_bytes == 32 << 10 { 10 } else { 6 });
        assert!(commits.chunks(2).all(|pair| pair[0] == "Committing" && pair[1] == "Committed"), "{steps:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_waits_or_is_refused() {
    let bench = Bench::new().await;
    let manifest = bench.delivery("acme_2026-10-01", &[hits(10)]);
    let data = manifest.with_file_name("01-acme_2026-10-01.tsv.gz");
    let whole = fs::read(&data).unwrap();
    fs::write(&data, &whole[..50]).unwrap();
    let waits = bench.one(manifest.clone()).await;
    assert!(waits.starts_with("acme_2026-10-01 waits: 01-acme_2026-10-01.tsv.gz has 50 bytes"), "{waits}");
    fs::remove_file(&data).unwrap();
    assert!(bench.one(manifest.clone()).await.contains("waits: 01-acme_2026-10-01.tsv.gz is missing"));
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&data, &damaged).unwrap();
    let refused = bench.one(manifest.clone()).await;
    assert!(refused.contains("Refused") && refused.contains("fetch it again"), "{refused}");
    assert_eq!(bench.log().await[0].status, "refused");
    // the same refusal is logged once
    bench.one(manifest.clone()).await;
    assert_eq!(bench.log().await.len(), 1);
    fs::write(&data, &whole).unwrap();
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(
        &manifest,
        text.replace("Record-Count: 10", "Record-Count: 11").replace("Total-Records: 10", "Total-Records: 11"),
    )
    .unwrap();
    assert!(bench.one(manifest.clone()).await.contains("10 records, the manifest says 11"));
    let md5 = text.split("MD5-Digest: ").nth(2).unwrap().split('\n').next().unwrap();
    fs::write(&manifest, text.replace(md5, "00000000000000000000000000000000")).unwrap();
    assert!(bench.one(manifest.clone()).await.contains("the manifest says 0000"));
    fs::write(&manifest, &text).unwrap();
    fs::remove_file(&manifest).unwrap();
    let waits = said(&bench.ingest(&[manifest.parent().unwrap().to_path_buf()], |_| {}).await);
    assert_eq!(waits, "acme_2026-10-01 waits: acme_2026-10-01.txt (the manifest, which comes last) is missing");
    bench.file("acme_2026-10-01.fin", "");
    assert_eq!(bench.one(data).await, "acme_2026-10-01 loaded 10+0");
    // refused loads left no file behind
    let live = Snapshot::open(&bench.lake, "hits", None).await.unwrap().files.len();
    assert_eq!(bench.parquet_files("hits").await, live);

    let other = bench.delivery("web_2026-10-01", &[hits(1)]);
    assert!(bench.one(other).await.contains("rejoin suite create web"));
    let wrong = bench.delivery("acme_2026-10-05", &["a\tb\n".repeat(3)]);
    let refused = bench.one(wrong).await;
    assert!(
        refused.contains("hit_data.tsv line 1: 2 fields, expected 13; is column_headers.tsv from the same delivery?"),
        "{refused}"
    );
    let few = bench.delivery("acme_2026-10-06", &[hits(5) + "a\tb\n" + &hit(1, 1, 99, "a\0b")]);
    assert_eq!(bench.one(few).await, "acme_2026-10-06 loaded 5+2");
    assert_eq!(
        bench.query("SELECT file, line, \"column\" FROM rejects ORDER BY line").await,
        ["acme_2026-10-06|6|-", "acme_2026-10-06|7|post_pagename"]
    );
    let empty = bench.delivery("acme_2026-10-07", &[String::new()]);
    assert_eq!(bench.one(empty.clone()).await, "acme_2026-10-07 loaded 0+0");
    assert_eq!(bench.one(empty).await, "acme_2026-10-07 unchanged");
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_adobe_integrated_are_offline() {
    let bench = Bench::new().await;
    let summary = "\t\t1790000100\t\t\t9\t50\t5\t\tred\t\t\t200\n";
    let transaction = "1\t3\t1790000200\t1\t1790000000\t9\t51\t7\t\tgreen\t\tT1\t200=5\n";
    let manifest = bench.delivery("acme_2026-10-01", &[hits(3) + summary + transaction]);
    assert_eq!(bench.one(manifest.clone()).await, "acme_2026-10-01 loaded 5+0");
    assert_eq!(bench.one(manifest).await, "acme_2026-10-01 unchanged");
    assert_eq!(bench.query("SELECT count(*) FROM hits").await, ["3"]);
    let rows = bench.query("SELECT kind, source, visitor_id, evar1, event1, record_time, has_time, persisted FROM offline ORDER BY kind").await;
    assert_eq!(
        rows,
        [
            "summary|data_feed|-|red|1.0|2026-09-21T14:15:00Z|true|true",
            "transaction|data_feed|1_3|green|5.0|2026-09-21T14:16:40Z|true|true"
        ]
    );
    assert_eq!(bench.query("SELECT count(hit_id_rest) FROM offline").await, ["2"]);
    remove(&bench.lake, &["acme_2026-10-01".into()], None, None).await.unwrap();
    assert_eq!(bench.query("SELECT count(*) FROM offline").await, ["0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn data_source_files() {
    let bench = Bench::new().await;
    let text = "# a comment\nDate\ttransactionID\tEvar 1\tEvent 2\n10/05/2026\tT1\tyellow\t1\n10/05/2026/14/30/00\tT2\t\t-2.5\nbad\tT3\tx\t1\n";
    let path = bench.source_file("leads_1.txt", text);
    assert_eq!(bench.one(path.clone()).await, "leads_1.txt loaded 2+1");
    assert_eq!(bench.one(path.clone()).await, "leads_1.txt unchanged");
    let rows = bench.query("SELECT suite, source, kind, file, \"row\", record_local, has_time, transaction_id, evar1, event2, visitor_id FROM offline ORDER BY \"row\"").await;
    assert_eq!(
        rows,
        [
            "acme|leads|transaction|leads_1.txt|3|2026-10-05T12:00:00Z|false|T1|yellow|1.0|-",
            "acme|leads|transaction|leads_1.txt|4|2026-10-05T14:30:00Z|true|T2|-|-2.5|-"
        ]
    );
    let reject = bench.query("SELECT source, file, line, \"column\", text FROM rejects").await;
    assert_eq!(reject, ["leads|leads_1.txt|5|Date|bad\tT3\tx\t1"]);
    // UTF-16, and a file in the folder of its source
    let utf16: Vec<u8> = [0xFEFF]
        .into_iter()
        .chain("Date\tVisitorID\tEvent 1\n1/2/2026\tc-é\t3\n".encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(bench.one(bench.source_file("calls/x.txt", utf16)).await, "x.txt loaded 1+0");
    assert_eq!(bench.query("SELECT customer_id, event1 FROM offline WHERE source = 'calls'").await, ["c-é|3.0"]);
    // waiting, wrong kinds, wrong headers
    let alone = bench.file("leads_2.txt", text);
    assert!(bench.one(alone.clone()).await.contains("leads_2.fin is missing"));
    bench.file("leads_2.FIN", "");
    assert!(bench.one(alone.clone()).await.contains("leads_2.FIN: endings are lower case; rename it to leads_2.fin"));
    // bytes that are not loaded yet
    let others = format!("{text}# others\n");
    let calls = bench.source_file("calls_1.txt", &others);
    assert!(bench.one(calls).await.contains("no column VisitorID; source calls is of kind customer"));
    let totals = bench.source_file("totals_1.txt", &others);
    assert!(bench.one(totals).await.contains("a column transactionID; source totals is of kind summary"));
    let headers = bench.source_file("leads_3.txt", "Date\ttransactionID\teVar1\tEvent 1\n");
    assert!(bench.one(headers).await.contains("leads_3.txt line 1: \"eVar1\" is no column; write Evar 1"));
    let nobody = bench.source_file("other.txt", text);
    assert!(bench.one(nobody.clone()).await.contains("give --source with one of calls, leads, strict, totals"));
    let copy = said(&bench.ingest(std::slice::from_ref(&nobody), |o| o.source = Some("leads".into())).await);
    assert!(copy.starts_with("other.txt a copy of leads_1.txt, which is loaded") && copy.contains("--again"), "{copy}");
    let of_leads = |options: &mut IngestOptions| (options.source, options.again) = (Some("leads".into()), true);
    assert_eq!(said(&bench.ingest(&[nobody], of_leads).await), "other.txt loaded 2+1");
    // replaced: its rejects go with it
    fs::write(&path, text.replace("bad", "10/06/2026")).unwrap();
    assert!(bench.one(path.clone()).await.contains("Conflict"));
    assert_eq!(said(&bench.ingest(&[path], |o| o.replace = true).await), "leads_1.txt replaced 3+0");
    assert_eq!(bench.query("SELECT file FROM rejects").await, ["other.txt"]);
    // a folder: ours come, the rest is counted
    bench.file("notes.md", "x");
    let ignored = std::sync::Mutex::new(0);
    let count = |p: Progress| {
        if let Progress::Ignored(n) = p {
            *ignored.lock().unwrap() = n
        }
    };
    ingest(&bench.lake, &[bench.folder.path().join("in")], &IngestOptions::default(), &count).await.unwrap();
    assert_eq!(*ignored.lock().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn json_and_a_source_that_stops() {
    let bench = Bench::new().await;
    let json = r#"{"columns":["Date","transactionID","Event 1"],"rows":[["10/05/2026","T1",2]],"reportSuiteID":"acme","dataSourceID":"leads"}"#;
    assert_eq!(bench.one(bench.file("a.json", json)).await, "a.json loaded 1+0");
    let other = json.replace(",2]", ",3]");
    assert_eq!(
        said(&bench.ingest(&[bench.file("b.json", &other)], |o| o.source = Some("strict".into())).await),
        "b.json loaded 1+0"
    );
    assert_eq!(bench.query("SELECT source FROM offline WHERE file = 'b.json'").await, ["strict"]);
    let unfinished = other.replace("\"rows\"", "\"finished\":false,\"rows\"");
    let waits = bench.one(bench.file("c.json", &unfinished)).await;
    assert!(waits.contains("c.json waits: it says \"finished\": false"), "{waits}");
    let bad = bench.source_file("strict_1.txt", "Date\ttransactionID\tEvent 1\n10/05/2026\tT1\tx\n");
    bench.source_file("strict_2.txt", "Date\ttransactionID\tEvent 1\n10/05/2026\tT1\t1\n");
    let both = said(&bench.ingest(&[bad.parent().unwrap().to_path_buf()], |_| {}).await);
    assert!(
        both.contains(
            "strict_1.txt Refused: strict_1.txt: line 2, column Event 1: \"x\" is no number; source strict is stopped"
        ),
        "{both}"
    );
    assert!(
        both.contains(
            "strict_2.txt waits: source strict is stopped by an error; run `rejoin source restart acme strict`"
        ),
        "{both}"
    );
    assert!(bad.parent().unwrap().join("files_with_errors/strict_1.fin").exists() && !bad.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn mapped_files() {
    let bench = Bench::new().await;
    let online = bench.file("online.toml", "kind = 'online'\nsuite = 'acme'\nvisitor_id = 'user'\ntime = 'ts'\nvisit = 'session'\n\
        transaction_id = 'order_ref'\n[dimensions]\npage_name = 'page'\nzip = 'zip'\n[metrics]\nrevenue = 'amount * 2'\n\
        orders = \"CASE WHEN amount > 9 THEN 1 END\"\n");
    let csv = bench.file(
        "in.csv",
        "user,ts,session,order_ref,page,zip,amount\nu1,2026-10-01T10:00:00Z,1,T1,home,01234,10\n\
        ,2026-10-01T10:00:01Z,1,,home,,\nu2,never,1,,home,,\nu2,2026-10-01 10:00:02,2,,,,9\n",
    );
    let with = |o: &mut IngestOptions| o.mappings = vec![online.clone()];
    assert_eq!(said(&bench.ingest(std::slice::from_ref(&csv), with).await), "in.csv loaded 2+2");
    let rows = bench.query("SELECT visitor_id, hit_time, visit_num, page_name, zip, revenue, orders, page_views, transaction_id FROM hits ORDER BY hit_time").await;
    assert_eq!(
        rows,
        ["u1|2026-10-01T10:00:00Z|1|home|01234|20.0|1.0|1.0|T1", "u2|2026-10-01T10:00:02Z|2|-|-|18.0|-|-|-"]
    );
    assert_eq!(bench.query("SELECT line, \"column\" FROM rejects ORDER BY line").await, ["3|visitor_id", "4|time"]);
    assert!(bench.one(csv).await.contains("give --mapping FILE"));
    // the same rows as JSON lines, with names of their own for visits
    let lines = bench.file("x.ndjson", "{\"user\":7,\"ts\":\"2026-10-02T00:00:00Z\",\"session\":\"s-1\",\"page\":[\"a\",\"b\"],\"zip\":\"1\",\"amount\":1}\n");
    assert_eq!(said(&bench.ingest(&[lines], with).await), "x.ndjson loaded 1+0");
    let row = bench.query("SELECT visitor_id, visit_num, visit_id, page_name FROM hits WHERE file = 'x.ndjson'").await;
    assert_eq!(row, ["7|-|s-1|a--**--b"]);
    let wrong = bench.file("wrong.csv", "usr,ts,session,order_ref,page,zip,amount\nu,2026-10-01,1,,p,,1\n");
    let refused = said(&bench.ingest(&[wrong], with).await);
    assert!(
        refused.contains("mapping visitor_id = \"user\": the file has no column user; did you mean usr?"),
        "{refused}"
    );
    // offline, from Parquet, a date without a time
    let offline = bench.file("offline.toml", "kind = 'offline'\nsource = 'leads'\ntime = 'day'\ntransaction_id = 'id'\n[dimensions]\nevar1 = 'colour'\n[metrics]\nevent5 = 'n'\n");
    let parquet = bench.path("sub/part-0.parquet");
    let context = SessionContext::new();
    context
        .sql("SELECT DATE '2026-10-05' AS day, 'T1' AS id, 'blue' AS colour, 3 AS n UNION ALL SELECT DATE '2036-10-05', 'T2', 'blue', 3 UNION ALL SELECT DATE '2026-10-05', 'T3', '', NULL")
        .await
        .unwrap()
        .write_parquet(parquet.to_str().unwrap(), datafusion::dataframe::DataFrameWriteOptions::new().with_single_file_output(true), None)
        .await
        .unwrap();
    let loaded = bench.ingest(&[parquet.parent().unwrap().to_path_buf()], |o| o.mappings = vec![offline]).await;
    assert_eq!(said(&loaded), "part-0.parquet loaded 1+2");
    let row =
        bench.query("SELECT kind, transaction_id, record_local, has_time, hit_time, evar1, event5 FROM offline").await;
    assert_eq!(row, ["transaction|T1|2026-10-05T12:00:00Z|false|2026-10-05T12:00:00Z|blue|3.0"]);
    // a name cannot be a metric here and a dimension there
    let clash =
        bench.file("clash.toml", "kind = 'online'\nvisitor_id = 'user'\ntime = 'ts'\n[dimensions]\nrev = 'page'\n");
    let metric =
        bench.file("metric.toml", "kind = 'online'\nvisitor_id = 'user'\ntime = 'ts'\n[metrics]\nrev = 'amount'\n");
    let file = bench.file("c.csv", "user,ts,page,amount\nu,2026-10-01T00:00:00Z,p,1\n");
    assert_eq!(said(&bench.ingest(&[file], |o| o.mappings = vec![clash]).await), "c.csv loaded 1+0");
    let file = bench.file("d.csv", "user,ts,page,amount\nu,2026-10-01T00:00:00Z,p,2\n");
    let before = bench.parquet_files("hits").await;
    let refused = said(&bench.ingest(&[file], |o| o.mappings = vec![metric]).await);
    assert!(refused.contains("column rev is a dimension in table hits and a metric in this input"), "{refused}");
    assert_eq!(bench.parquet_files("hits").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_writers_at_once() {
    let bench = Bench::new().await;
    let text = |id: &str| format!("Date\ttransactionID\tEvent 2\n10/05/2026\t{id}\t1\n");
    let paths: Vec<PathBuf> =
        (0..4).map(|n| bench.source_file(&format!("leads_{n}.txt"), text(&format!("T{n}")))).collect();
    let runs = paths.iter().map(|path| bench.one(path.clone()));
    let said = futures::future::join_all(runs).await;
    assert!(said.iter().all(|s| s.ends_with("loaded 1+0")), "{said:?}");
    // and the same file twice at once is there once
    let same = bench.source_file("leads_same.txt", text("T4"));
    let twice = futures::future::join(bench.one(same.clone()), bench.one(same)).await;
    assert!(twice.0.contains("leads_same.txt") && twice.1.contains("leads_same.txt"), "{twice:?}");
    assert_eq!(bench.query("SELECT count(*), count(DISTINCT file) FROM offline").await, ["5|5"]);
    assert_eq!(bench.log().await.iter().filter(|e| e.status == "loaded").count(), 5);
}

/// Servers and schedulers run an ingest on any thread; this compiles only as long as they can.
#[test]
fn an_ingest_moves_between_threads() {
    fn boxed<'a>(
        lake: &'a Lake,
        paths: &'a [PathBuf],
        options: &'a IngestOptions,
    ) -> futures::future::BoxFuture<'a, crate::Result<Vec<Outcome>>> {
        Box::pin(async move { ingest(lake, paths, options, &|_| {}).await })
    }
    let lake = Lake::open("/nowhere").unwrap();
    drop(boxed(&lake, &[], &IngestOptions::default()));
}

/// Lakes of earlier versions know gzipped files by their packed bytes, and not what deliveries hold unpacked.
#[tokio::test(flavor = "multi_thread")]
async fn what_earlier_versions_loaded_is_still_known() {
    let bench = Bench::new().await;
    let gzipped = |level| {
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::new(level));
        gzip.write_all(&b"d,t,n\n2026-09-01,T1,5\n".repeat(50)).unwrap();
        gzip.finish().unwrap()
    };
    let content = |path: &Path| content::content_of(&input_file::InputFile::alone(path), "", "m").unwrap().0;
    let former = content(&bench.file("x.csv.gz", gzipped(1)));
    let entry = |content: &content::Identity, source: &str, rows| FileEntry {
        file: "x.csv.gz".into(),
        suite: "acme".into(),
        source: source.into(),
        status: "loaded".into(),
        rows,
        content: content.hash.clone(),
        data: Some(content.data.clone()),
        ..FileEntry::default()
    };
    let packed = former.packed.clone().unwrap();
    assert_ne!(packed, former.identity);
    Registry::<FileEntry>::update(&bench.lake, |rows| {
        rows.extend([entry(&packed, "", 0), entry(&packed, "leads", 50)]);
        Ok(())
    })
    .await
    .unwrap();
    let decide = async |content: &content::Content, source: &str| {
        let offered = entry(&content.identity, source, 0);
        match load::decide(&bench.lake, &offered, content.packed.as_ref(), false, true, &[]).await {
            Ok(load::Decision::Unchanged(_)) => "unchanged".to_string(),
            Ok(load::Decision::Copy(original)) => format!("copy of {}", original.file),
            Ok(load::Decision::Load(_)) => "load".into(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(decide(&former, "").await, "unchanged");
    // what an earlier version did not know cannot be told
    let anew = content(&bench.file("x.csv.gz", gzipped(9)));
    assert!(decide(&anew, "").await.contains("other content"));
    assert_eq!(decide(&anew, "calls").await, "load");
    let offered = entry(&former.identity, "calls", 0);
    let error = load::decide(&bench.lake, &offered, former.packed.as_ref(), false, false, &[]).await.err().unwrap();
    assert!(error.to_string().contains("the same bytes are loaded already as x.csv.gz"), "{error}");

    let manifest = bench.delivery("acme_2026-10-01", &[hit(1, 1, 1, "home")]);
    assert_eq!(bench.one(manifest.clone()).await, "acme_2026-10-01 loaded 1+0");
    Registry::<FileEntry>::update(&bench.lake, |rows| {
        rows.iter_mut().for_each(|entry| entry.unpacked = None);
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(bench.one(manifest.clone()).await, "acme_2026-10-01 unchanged");
    let packed_anew = |manifest: &Path| {
        let data = manifest.with_file_name("01-acme_2026-10-01.tsv.gz");
        let text = fs::read_to_string(manifest).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(vec![], flate2::Compression::none());
        gzip.write_all(hit(1, 1, 1, "home").as_bytes()).unwrap();
        let md5_of = |bytes: &[u8]| Md5::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>();
        let (old, new) = (fs::read(&data).unwrap(), gzip.finish().unwrap());
        let text = text.replace(&md5_of(&old), &md5_of(&new));
        fs::write(
            manifest,
            text.replace(&format!("File-Size: {}\n", old.len()), &format!("File-Size: {}\n", new.len())),
        )
        .unwrap();
        fs::write(data, new).unwrap();
    };
    packed_anew(&manifest);
    assert!(bench.one(manifest.clone()).await.contains("other content"));
    let replaced = bench.ingest(std::slice::from_ref(&manifest), |options| options.replace = true).await;
    assert_eq!(said(&replaced), "acme_2026-10-01 replaced 1+0");
    // from now on it is known
    bench.delivery("acme_2026-10-01", &[hit(1, 1, 1, "home")]);
    assert_eq!(bench.one(manifest).await, "acme_2026-10-01 unchanged");
}
