//! What reads inputs, each alone, with what must hold of it.
//!
//! Nothing panics, hangs, or takes memory without bound; no text reader makes more rows than its input has bytes; a
//! message is short.

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, LazyLock, OnceLock};

use rejoin_ingest::ingest::input_file::InputFile;
use rejoin_ingest::ingest::mapped_file::{Format, MappedFile, Reading};
use rejoin_ingest::ingest::unpack::read_members;
use rejoin_ingest::ingest::{IngestOptions, Outcome, Status, guess, ingest};
use rejoin_lake::error::{Error, ErrorKind};
use rejoin_lake::feed::event_list::EventIds;
use rejoin_lake::feed::hit_columns::HitLayout;
use rejoin_lake::feed::hits::HitDecoder;
use rejoin_lake::feed::manifest::Manifest;
use rejoin_lake::feed::records::BlockReader;
use rejoin_lake::feed::source_file::{SourceOptions, SourceReader};
use rejoin_lake::feed::source_json::SourceJson;
use rejoin_lake::feed::text::Encoding;
use rejoin_lake::feed::{FeedError, RowIssue, lookup};
use rejoin_lake::lake::Lake;

/// Reads an input; panics where it is read wrongly.
pub type Reader = fn(&[u8]);

/// What reads, and its name.
pub const READERS: [(&str, Reader); 11] = [
    ("json", json),
    ("delimited", delimited),
    ("parquet", parquet),
    ("mapping", mapping),
    ("guess", guessed),
    ("source", source),
    ("api", api),
    ("manifest", manifest),
    ("feed", feed),
    ("archives", archives),
    ("lookup", lookup_table),
];

/// Where inputs lie that are read from a file.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("rejoin-fuzz-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    folder
});

/// A lake with the suite `web`, for the mappings.
pub static LAKE: OnceLock<String> = OnceLock::new();

/// The longest message.
const MESSAGE_BYTES: usize = 2500;

fn short(text: &str) {
    assert!(text.len() <= MESSAGE_BYTES, "a message of {} bytes", text.len());
}

fn check(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Bug, "{error}");
    short(&error.to_string());
}

fn check_feed(error: &FeedError) {
    short(&error.to_string());
}

fn check_issues(issues: &[RowIssue]) {
    for issue in issues {
        short(&issue.reason);
        assert!(issue.text.len() <= 4096);
    }
}

fn input(name: &str, data: &[u8]) -> InputFile {
    let path = FOLDER.join(name);
    fs::write(&path, data).unwrap();
    InputFile::alone(&path)
}

/// Reads all columns of a file as a mapping would.
fn mapped(name: &str, reading: Reading, data: &[u8]) {
    let format = reading.format;
    let file = match MappedFile::open(input(name, data), reading) {
        Ok(file) => file,
        Err(error) => return check(&error),
    };
    let (columns, mut rows): (Vec<usize>, usize) = ((0..file.schema.fields().len()).collect(), 0);
    let mut visit = |some: rejoin_ingest::ingest::file_rows::FileRows| {
        rows += some.batch.num_rows() + some.issues.len();
        check_issues(&some.issues);
        Ok(if rows > 1 << 20 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    };
    if let Err(error) = file.read(&columns, Arc::new(AtomicU64::new(0)), &mut visit) {
        check(&error);
    }
    assert!(format == Format::Parquet || rows <= data.len() + 2, "{rows} rows of {} bytes", data.len());
}

fn json(data: &[u8]) {
    mapped("input.ndjson", Reading::everything(Format::Ndjson), data);
}

fn delimited(data: &[u8]) {
    mapped("input.csv", Reading::everything(Format::Csv), data);
}

fn parquet(data: &[u8]) {
    mapped("input.parquet", Reading::everything(Format::Parquet), data);
}

/// The first byte says which kind of file is guessed.
fn guessed(data: &[u8]) {
    let Some((kind, data)) = data.split_first() else { return };
    let name = ["guessed.csv", "guessed.ndjson", "guessed.tsv"][usize::from(*kind) % 3];
    input(name, data);
    match guess::guess(&FOLDER.join(name)) {
        Ok(text) => drop(text),
        Err(error) => check(&error),
    }
}

/// A mapping is read, planned and used on three rows.
fn mapping(data: &[u8]) {
    const ROWS: &[u8] = br#"{"user_pseudo_id":"v1","event_timestamp":1788256800000000,"event_name":"page_view","items":[{"item_id":"boot","price":9.5,"quantity":1}],"event_params":[{"key":"page_location","value":{"string_value":"https://a.example/?utm_source=x"}}],"geo":{"country":"DE"},"text":"1.234,56"}
{"user_pseudo_id":"v2","event_timestamp":1788256801000000,"event_name":"purchase","items":[],"event_params":[],"geo":null,"text":"31.12.2026"}
{"user_pseudo_id":"v1","event_timestamp":1788256802000000,"event_name":"purchase","ecommerce":{"transaction_id":"T1","purchase_revenue":19.5},"text":"x"}
"#;
    static LOAD: LazyLock<(tokio::runtime::Runtime, PathBuf, PathBuf)> = LazyLock::new(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_stack_size(16 << 20).enable_all().build().unwrap();
        let rows = FOLDER.join("rows.ndjson");
        fs::write(&rows, ROWS).unwrap();
        (runtime, rows, FOLDER.join("mapping.toml"))
    });
    let (runtime, rows, mapping) = &*LOAD;
    fs::write(mapping, data).unwrap();
    let options = IngestOptions {
        suite: Some("web".into()),
        mappings: vec![mapping.clone()],
        validate: true,
        memory_bytes: 64 << 20,
        ..IngestOptions::default()
    };
    let lake = Lake::open(LAKE.get().expect("a lake is named")).unwrap();
    let outcomes = runtime.block_on(ingest(&lake, std::slice::from_ref(rows), &options, &|_| {}));
    match outcomes {
        Ok(outcomes) => outcomes.iter().for_each(check_outcome),
        Err(error) => check(&error),
    }
}

fn check_outcome(outcome: &Outcome) {
    check_issues(&outcome.rejects);
    check_issues(&outcome.warnings);
    match &outcome.status {
        Status::Refused(error) => check(error),
        Status::Validated => assert!(outcome.entry.rows + outcome.entry.rejected <= 4),
        _ => {}
    }
}

fn source(data: &[u8]) {
    let options = SourceOptions { encoding: Encoding::of_bytes(data), now_local: now() };
    let mut reader = match SourceReader::new(data, "input.txt", options) {
        Ok(reader) => reader,
        Err(error) => return check_feed(&error),
    };
    let mut rows = 0;
    while let Some(decoded) = reader.next_batch().unwrap() {
        check_issues(&decoded.issues);
        rows += decoded.records();
    }
    assert!(rows <= data.len() as u64, "{rows} records of {} bytes", data.len());
}

fn api(data: &[u8]) {
    let mut reader = match SourceJson::new(data, "input.json", now()) {
        Ok(reader) => reader,
        Err(error) => return check_feed(&error),
    };
    let mut rows = 0;
    loop {
        match reader.next_batch() {
            Ok(Some(decoded)) => {
                check_issues(&decoded.issues);
                rows += decoded.records();
            }
            Ok(None) => break,
            Err(error) => return check_feed(&error),
        }
    }
    assert!(rows <= data.len() as u64, "{rows} rows of {} bytes", data.len());
}

fn now() -> chrono::NaiveDateTime {
    chrono::DateTime::from_timestamp(1_788_256_800, 0).unwrap().naive_utc()
}

fn manifest(data: &[u8]) {
    match Manifest::parse(data, "input.txt") {
        Ok(manifest) => drop(manifest.contradiction()),
        Err(error) => check_feed(&error),
    }
}

/// The first line names the columns, as a feed's header file does.
fn feed(data: &[u8]) {
    let at = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (headers, hits) = data.split_at(at);
    let layout = match HitLayout::parse(headers, "column_headers.tsv") {
        Ok(layout) => layout,
        Err(error) => return check_feed(&error),
    };
    let decoder = HitDecoder::new(&layout, &EventIds::standard());
    let hits = hits.strip_prefix(b"\n").unwrap_or(hits);
    let mut blocks = BlockReader::new(hits, "hit_data.tsv");
    loop {
        match blocks.next_block() {
            Ok(Some(block)) => {
                let (decoded, counts) = decoder.decode(&block, Encoding::of_bytes(hits));
                check_issues(&decoded.issues);
                assert!(decoded.records() <= counts.records, "{} of {} records", decoded.records(), counts.records);
            }
            Ok(None) => return,
            Err(error) => return check_feed(&error),
        }
    }
}

/// The first byte says how it is packed.
fn archives(data: &[u8]) {
    let Some((packing, data)) = data.split_first() else { return };
    let name = ["input.tsv.gz", "input.tar.gz", "input.zip", "input.txt"][usize::from(*packing) % 4];
    let mut left = 256_u64 << 20;
    let read = read_members(&input(name, data), &AtomicU64::new(0), |_, member| {
        let mut buffer = [0; 1 << 15];
        while left > 0 {
            match member.read(&mut buffer)? {
                0 => break,
                bytes => left = left.saturating_sub(bytes as u64),
            }
        }
        Ok(())
    });
    if let Err(error) = read {
        check(&error);
    }
}

fn lookup_table(data: &[u8]) {
    match lookup::read(data, "browser.tsv") {
        Ok(decoded) => assert!(decoded.records() <= data.len() as u64),
        Err(error) => check_feed(&error),
    }
}
