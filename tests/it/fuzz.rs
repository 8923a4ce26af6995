//! Inputs that were damaged at random, through the doors that users have: whatever came, it is read or refused.
//!
//! Each case takes one of the small real inputs of `data/` (or one made of them), changes it at random and loads it: a data feed's
//! hits, lookups, manifest and archives, data source files, packed or not, the API's JSON, JSON lines, arrays and answers,
//! delimited texts, Parquet, archives of them, mappings, lookup tables. Nothing panics or hangs; rows and rejects are all rows
//! that there are; a message quotes no more than a short piece of the input.
//!
//! A case is decided by its number and its reader, so that it can be seen again. `tests/run` does a few of each reader; for hours,
//! alone, with the memory looked at as well, and told how many there were:
//!
//! ```sh
//! fuzz() { cargo test --release --config tests/profile.toml --test it -- fuzz::damaged --nocapture; }
//! REJOIN_FUZZ_SECONDS=7200 REJOIN_FUZZ_READER=feed fuzz              # one reader
//! REJOIN_FUZZ_SECONDS=7200 fuzz                                      # each for so long, one after the other
//! REJOIN_FUZZ_READER=feed REJOIN_FUZZ_FIRST=1234 REJOIN_FUZZ_CASES=1 fuzz    # one case again
//! ```

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, TimeUnit};
use arrow::json::ReaderBuilder;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use rejoin::ingest::input_file::InputFile;
use rejoin::ingest::unpack::{HIT_DATA, read_members};
use rejoin::ingest::{IngestOptions, Outcome, Status, ingest, load_lookup};
use rejoin::lake::Lake;
use rejoin::{Error, ErrorKind};

use crate::packed::{gzipped, tarred, zipped, zstd_packed};
use crate::place::{Place, deep};
use crate::questions::Dice;

/// Cases of each reader in a usual run.
const CASES: u64 = 20;

/// What reads, and what it is called on the command line.
static READERS: [(&str, Reader); 10] = [
    ("json", Reader::Json),
    ("delimited", Reader::Delimited),
    ("parquet", Reader::Parquet),
    ("mapping", Reader::Mapping),
    ("source", Reader::Source),
    ("api", Reader::Api),
    ("manifest", Reader::Manifest),
    ("feed", Reader::Feed),
    ("archives", Reader::Archives),
    ("lookup", Reader::Lookup),
];

/// Cases that share a lake.
const OF_A_LAKE: u64 = 400;

/// Memory of a load.
const MEMORY_BYTES: usize = 64 << 20;

/// What the process may take beyond it: the engine, caches, the allocator.
const BESIDE_BYTES: u64 = 512 << 20;

/// No case takes so long on a busy machine.
const LONG: Duration = Duration::from_secs(120);

/// Longest message, and longest piece of an input in it.
const MESSAGE_BYTES: usize = 2500;
const PIECE_BYTES: usize = 420;

/// Signs that mean something to some reader.
const SIGNS: &[u8] = b"\"'{}[]()<>,;|\t\n\r\\/:=#^.-+0eE \0\x1a\x7f\x80\xc3\xe2\xef\xfe\xff";

/// Words that are the edge of something; long ones are made of them.
const WORDS: [&str; 22] = [
    "18446744073709551616",
    "-9223372036854775809",
    "1e400",
    "NaN",
    "9999-12-31T23:59:60Z",
    "12/31/9999/23/59/59",
    "02/30/2026",
    "0000-00-00",
    "null",
    "\"\"",
    "../../etc/passwd",
    "\u{feff}",
    "\r\n",
    "\r",
    "--**--",
    "event1",
    "Evar 1",
    "{\"a\":{\"a\":",
    "[[[[[[[[",
    "((((((((",
    "💶",
    "hit_data.tsv",
];

/// What reads the damaged input.
#[derive(Clone, Copy)]
enum Reader {
    Json,
    Delimited,
    Parquet,
    Mapping,
    /// Data source files, packed or not.
    Source,
    /// The body of the Data Sources API.
    Api,
    Manifest,
    /// Hits and lookups of a data feed.
    Feed,
    /// Archives, damaged as they are packed.
    Archives,
    Lookup,
}

/// What is loaded in a case.
#[derive(Default)]
struct Case {
    name: &'static str,
    paths: Vec<PathBuf>,
    mapping: Option<PathBuf>,
    /// The table of a lookup file.
    lookup: bool,
    /// What was damaged, unpacked.
    damaged: Vec<u8>,
    /// Rows that there are, where that is known of this text if it is loaded at all.
    rows: Option<u64>,
    /// A format in which many rows may take no byte.
    is_columnar: bool,
}

/// Packs bytes.
type Packer = fn(&[u8]) -> Vec<u8>;

/// The inputs that are damaged.
struct Seeds {
    data: PathBuf,
    hits: Vec<u8>,
    lookups: Vec<(String, Vec<u8>)>,
    parquet: Vec<u8>,
}

const API: &str = r#"{"columns": ["Date", "VisitorID", "Evar 3", "Event 5"], "reportSuiteID": "web", "dataSourceID": "calls",
 "rows": [["09/05/2026", "c-7", "Boots leak", 1], ["09/06/2026/10/00/00", "c-8", null, "2"]], "finished": true}"#;

const LOOKUP: &str = "tracking_code,channel,owner\nautumn,email,\"Zoë, K.\"\nnewsletter,email,\nretarget,display,Max\n";

/// The mapping of a Parquet file.
const COLUMNS: &str = r#"kind = "online"
suite = "web"
visitor_id = "user"
time = "at"
[dimensions]
page_name = "page"
evar1 = "price"
list1 = "tags"
[metrics]
orders = "orders"
[products]
list = "items"
product = "sku"
price = "CAST(price AS DOUBLE)"
"#;

/// A small Parquet file with columns of many kinds.
fn parquet_file() -> Vec<u8> {
    let row = |i: usize| {
        format!(
            r#"{{"user":"v{}","at":{},"page":"page {}","price":{i}.5,"tags":["a","b{i}"],"orders":1,"items":[{{"sku":"boot","price":"{i}"}}]}}"#,
            i % 5,
            1_788_256_800_000_000_u64 + i as u64,
            i % 3
        )
    };
    let json = (0..60).map(row).collect::<Vec<_>>().join("\n");
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let item = DataType::Struct(vec![text("sku"), text("price")].into());
    let fields = vec![
        text("user"),
        Field::new("at", DataType::Int64, true),
        text("page"),
        Field::new("price", DataType::Float64, true),
        Field::new("tags", DataType::new_list(DataType::Utf8, true), true),
        Field::new("orders", DataType::Int64, true),
        Field::new("items", DataType::new_list(item, true), true),
    ];
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let mut reader = ReaderBuilder::new(schema).build(json.as_bytes()).unwrap();
    let read = reader.next().unwrap().unwrap();
    let schema = read.schema();
    let columns = schema.fields().iter().zip(read.columns()).map(|(field, values)| {
        let values: ArrayRef = match field.name().as_str() {
            "at" => cast(values, &DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))).unwrap(),
            "page" => cast(values, &DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into())).unwrap(),
            "price" => cast(values, &DataType::Decimal128(12, 2)).unwrap(),
            _ => values.clone(),
        };
        (field.name().clone(), values)
    });
    let batch = RecordBatch::try_from_iter(columns.collect::<Vec<_>>()).unwrap();
    let zstd = parquet::basic::Compression::ZSTD(Default::default());
    let properties = WriterProperties::builder().set_compression(zstd).build();
    let mut writer = ArrowWriter::try_new(vec![], batch.schema(), Some(properties)).unwrap();
    writer.write(&batch.slice(0, 30)).unwrap();
    writer.flush().unwrap();
    writer.write(&batch.slice(30, 30)).unwrap();
    writer.into_inner().unwrap()
}

/// So many of the files with mappings are JSON; they come first.
const JSON_FILES: usize = 3;

/// Files with their mappings; true where a line is a row.
const MAPPED: [(&str, bool); 7] = [
    ("ga4/events.ndjson", true),
    ("segment/events.ndjson", true),
    ("matomo/visits.json", false),
    ("crm/deals.csv", false),
    ("snowplow/enriched.tsv", false),
    ("till/dt=2026-09-08/receipts.psv", false),
    ("till/dt=2026-09-09/receipts.psv", false),
];

impl Seeds {
    fn read() -> Self {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data");
        let members = |name: &str| {
            let mut members = vec![];
            let file = InputFile::alone(&data.join("adobe").join(name));
            read_members(&file, &AtomicU64::new(0), |member, input| {
                let mut bytes = vec![];
                input.read_to_end(&mut bytes)?;
                members.push((member.to_string(), bytes));
                Ok(())
            })
            .unwrap();
            members
        };
        let hits = members("01-web_2026-09-01.tsv.gz").remove(0).1;
        let lookups = members("web_2026-09-01-lookup_data.tar.gz");
        Self { data, hits, lookups, parquet: parquet_file() }
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.data.join(name)).unwrap()
    }

    /// Some bytes of another input, to be put among those of one.
    fn other(&self, dice: &mut Dice) -> Vec<u8> {
        match dice.below(10) {
            at @ 0..7 => self.bytes(MAPPED[at].0),
            7 => self.hits.clone(),
            8 => self.bytes("adobe/calls_2026-09.txt"),
            _ => self.bytes("adobe/web_2026-09-01-lookup_data.tar.gz"),
        }
    }

    /// Makes the files of a case in this folder.
    fn case(&self, folder: &Path, reader: Reader, dice: &mut Dice) -> Case {
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let other = self.other(dice);
        match reader {
            Reader::Json | Reader::Delimited => {
                let files = match reader {
                    Reader::Json => &MAPPED[..JSON_FILES],
                    _ => &MAPPED[JSON_FILES..],
                };
                let (name, is_lines) = files[dice.below(files.len())];
                let is_answer = is_lines && dice.one_in(3);
                let whole = self.bytes(name);
                let damaged = damage(if is_answer { answer(&whole) } else { whole }, &other, dice);
                let rows = (is_lines && !is_answer).then(|| json_rows(&damaged)).flatten();
                let mapping = self.data.join(name.split('/').next().unwrap()).join("mapping.toml");
                // each mapping knows its file by the folder as well
                let path = match dice.below(8) {
                    0 => put(&format!("{name}.gz"), &gzipped(&damaged)),
                    1 => put(&format!("{name}.zst"), &zstd_packed(&damaged)),
                    2 => put("drop.zip", &zipped(&[(name.to_string(), damaged.clone())])),
                    _ => put(name, &damaged),
                };
                // the patterns of some mappings are for the plain name only
                let mapping = without_files(&std::fs::read(mapping).unwrap());
                let of_answer = if is_answer { OF_ANSWER } else { b"" };
                let mapping = put("mapping.toml", &[of_answer, &mapping].concat());
                Case { name, paths: vec![path], mapping: Some(mapping), damaged, rows, ..Case::default() }
            }
            Reader::Mapping => {
                let (name, _) = MAPPED[dice.below(MAPPED.len())];
                let system = name.split('/').next().unwrap();
                let damaged = damage(self.bytes(&format!("{system}/mapping.toml")), &other, dice);
                let mapping = put("mapping.toml", &damaged);
                let paths = vec![self.data.join(name)];
                Case { name: "a mapping", paths, mapping: Some(mapping), damaged, ..Case::default() }
            }
            Reader::Source => {
                let damaged = damage(self.bytes("adobe/calls_2026-09.txt"), &other, dice);
                let rows = source_rows(&damaged);
                put("calls_1.fin", b"");
                let path = match dice.below(4) {
                    0 => put("calls_1.txt.gz", &gzipped(&damaged)),
                    1 => put("calls_1.txt.zst", &zstd_packed(&damaged)),
                    2 => put("calls_1.zip", &zipped(&[("calls_1.txt".to_string(), damaged.clone())])),
                    _ => put("calls_1.txt", &damaged),
                };
                Case { name: "a data source file", paths: vec![path], damaged, rows, ..Case::default() }
            }
            Reader::Api => {
                let damaged = damage(API.as_bytes().to_vec(), &other, dice);
                let paths = vec![put("calls_1.json", &damaged)];
                Case { name: "the API's JSON", paths, damaged, ..Case::default() }
            }
            Reader::Manifest => {
                let damaged = damage(self.bytes("adobe/web_2026-09-01.txt"), &other, dice);
                for name in ["01-web_2026-09-01.tsv.gz", "web_2026-09-01-lookup_data.tar.gz"] {
                    put(name, &self.bytes(&format!("adobe/{name}")));
                }
                let paths = vec![put("web_2026-09-01.txt", &damaged)];
                Case { name: "a manifest", paths, damaged, ..Case::default() }
            }
            Reader::Feed => {
                let mut lookups = self.lookups.clone();
                let mut hits = self.hits.clone();
                let damaged = match dice.one_in(3) {
                    true => {
                        let at = dice.below(lookups.len());
                        lookups[at].1 = damage(lookups[at].1.clone(), &other, dice);
                        [&hits[..], &lookups[at].1].concat()
                    }
                    false => {
                        hits = damage(hits, &other, dice);
                        hits.clone()
                    }
                };
                let paths = delivery(&put, hits, lookups, dice, None);
                Case { name: "hits and lookups", paths, damaged, ..Case::default() }
            }
            Reader::Parquet => {
                let damaged = damage(self.parquet.clone(), &other, dice);
                let (path, mapping) = (put("hits.parquet", &damaged), put("mapping.toml", COLUMNS.as_bytes()));
                let (paths, mapping) = (vec![path], Some(mapping));
                Case { name: "a Parquet file", paths, mapping, damaged, is_columnar: true, ..Case::default() }
            }
            Reader::Archives if dice.one_in(2) => {
                let text = self.bytes("adobe/calls_2026-09.txt");
                let members = ["calls_1.txt", "sub/calls_2.txt"].map(|name| (name.to_string(), text.clone()));
                put("calls_1.fin", b"");
                let (name, packed) = match dice.below(3) {
                    0 => ("calls_1.txt.gz", gzipped(&text)),
                    1 => ("calls_1.txt.zst", zstd_packed(&text)),
                    _ => ("calls_1.zip", zipped(&members)),
                };
                let path = put(name, &damage(packed, &other, dice));
                Case { name: "a packed data source file", paths: vec![path], damaged: text, ..Case::default() }
            }
            Reader::Archives if dice.one_in(2) => {
                let text = self.bytes("crm/deals.csv");
                let members = [("deals.csv", text.clone()), ("old/deals.csv.zst", zstd_packed(&text))];
                let members = members.map(|(name, bytes)| (name.to_string(), bytes));
                let paths = vec![put("crm.zip", &damage(zipped(&members), &other, dice))];
                let mapping = Some(put("mapping.toml", &without_files(&self.bytes("crm/mapping.toml"))));
                Case { name: "an archive of mapped files", paths, mapping, damaged: text, ..Case::default() }
            }
            Reader::Archives => {
                let (hits, lookups) = (self.hits.clone(), self.lookups.clone());
                let paths = delivery(&put, hits, lookups, dice, Some(&other));
                Case { name: "archives of a feed", paths, damaged: self.hits.clone(), ..Case::default() }
            }
            Reader::Lookup => {
                let damaged = damage(LOOKUP.as_bytes().to_vec(), &other, dice);
                let path = put("plans.csv", &damaged);
                Case { name: "a lookup table", paths: vec![path], lookup: true, damaged, ..Case::default() }
            }
        }
    }
}

/// A delivery with a `.fin`, so that no sum says what was changed; with `other` its archives are damaged as they are packed.
fn delivery(
    put: &dyn Fn(&str, &[u8]) -> PathBuf,
    hits: Vec<u8>,
    lookups: Vec<(String, Vec<u8>)>,
    dice: &mut Dice,
    other: Option<&[u8]>,
) -> Vec<PathBuf> {
    let mut all = vec![(HIT_DATA.to_string(), hits.clone())];
    all.extend(lookups.clone());
    let (ending, pack): (_, Packer) = match dice.one_in(2) {
        true => ("gz", gzipped),
        false => ("zst", zstd_packed),
    };
    let files = match dice.below(3) {
        0 => vec![
            (format!("01-web_2026-09-01.tsv.{ending}"), pack(&hits)),
            (format!("web_2026-09-01-lookup_data.tar.{ending}"), pack(&tarred(&lookups))),
        ],
        1 => vec![(format!("web_2026-09-01.tar.{ending}"), pack(&tarred(&all)))],
        _ => vec![("web_2026-09-01.zip".to_string(), zipped(&all))],
    };
    for (name, bytes) in files {
        put(&name, &other.map_or_else(|| bytes.clone(), |other| damage(bytes.clone(), other, dice)));
    }
    vec![put("web_2026-09-01.fin", b"")]
}

/// The rows of JSON lines as an API answers with them, and the setting that finds them.
fn answer(lines: &[u8]) -> Vec<u8> {
    let rows: Vec<&[u8]> = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    [&b"{\"meta\": {\"next\": null}, \"data\": ["[..], &rows.join(&b",\n"[..]), b"], \"count\": 5}\n"].concat()
}

const OF_ANSWER: &[u8] = b"rows = \"data\"\n";

/// A mapping that is for all files.
fn without_files(mapping: &[u8]) -> Vec<u8> {
    let lines = mapping.split_inclusive(|byte| *byte == b'\n').filter(|line| !line.starts_with(b"files"));
    lines.collect::<Vec<_>>().concat()
}

/// Some changes: bits, signs, words, pieces of itself and of others, long runs; at last it may be cut off.
fn damage(mut bytes: Vec<u8>, other: &[u8], dice: &mut Dice) -> Vec<u8> {
    for _ in 0..1 + dice.below(5) {
        let at = dice.below(bytes.len() + 1);
        let end = at + dice.below((bytes.len() - at).min(80) + 1);
        let sign = SIGNS[dice.below(SIGNS.len())];
        match dice.below(9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << dice.below(8),
            1 if at < bytes.len() => bytes[at] = sign,
            2 => bytes.insert(at, sign),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let again = bytes[at..end].repeat([1, 2, 50][dice.below(3)]);
                drop(bytes.splice(at..at, again));
            }
            5 => {
                let from = dice.below(other.len() + 1);
                let to = from + dice.below((other.len() - from).min(200) + 1);
                drop(bytes.splice(at..end, other[from..to].to_vec()));
            }
            6 | 7 => {
                let word = WORDS[dice.below(WORDS.len())].repeat([1, 1, 1, 700][dice.below(4)]);
                drop(bytes.splice(at..end, word.into_bytes()));
            }
            _ if dice.one_in(3) => bytes.truncate(at),
            _ => {}
        }
    }
    bytes
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    text.split(|byte| *byte == b'\n')
}

/// True where a byte order mark says that two bytes are a character.
fn is_wide(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff")
}

/// A row is a line with something on it; None for an array.
fn json_rows(bytes: &[u8]) -> Option<u64> {
    let first = lines(bytes).flatten().find(|byte| !byte.is_ascii_whitespace());
    let count = lines(bytes).filter(|line| !line.iter().all(u8::is_ascii_whitespace)).count() as u64;
    (!is_wide(bytes) && first != Some(&b'[')).then_some(count)
}

/// A record is a line after the header that is no comment and has more than tabs.
fn source_rows(bytes: &[u8]) -> Option<u64> {
    let plain = |line: &'_ [u8]| line.strip_suffix(b"\r").unwrap_or(line).to_vec();
    let said = lines(bytes).map(plain).filter(|line| !line.is_empty() && !line.starts_with(b"#")).skip(1);
    let count = said.filter(|line| !line.iter().all(|byte| matches!(byte, b'\t' | b' '))).count() as u64;
    (!is_wide(bytes)).then_some(count)
}

/// What is wrong with a message; nothing where it is short and quotes little.
fn check_message(text: &str, input: &[u8]) -> Result<(), String> {
    if text.len() > MESSAGE_BYTES {
        return Err(format!("a message of {} bytes", text.len()));
    }
    let quoted = text.as_bytes().windows(PIECE_BYTES).find(|piece| memchr::memmem::find(input, piece).is_some());
    match quoted {
        Some(piece) => Err(format!("a message that quotes {:?}", String::from_utf8_lossy(piece))),
        None => Ok(()),
    }
}

fn check_error(error: &Error, input: &[u8]) -> Result<(), String> {
    match error.kind() {
        ErrorKind::Bug | ErrorKind::Unavailable => Err(format!("{:?}: {error}", error.kind())),
        _ => check_message(&error.to_string(), input),
    }
}

fn check(case: &Case, outcome: &Outcome) -> Result<(), String> {
    let entry = &outcome.entry;
    for issue in outcome.rejects.iter().chain(&outcome.warnings) {
        check_message(&issue.reason, &case.damaged)?;
        if issue.text.len() > 4096 {
            return Err(format!("line {} with {} bytes of text", issue.line, issue.text.len()));
        }
    }
    match &outcome.status {
        Status::Refused(error) => check_error(error, &case.damaged),
        Status::Waiting(reason) => check_message(reason, &case.damaged),
        Status::Unchanged | Status::Copy(_) => Ok(()),
        Status::Loaded | Status::Replaced | Status::Validated => {
            let rows = (entry.rows + entry.rejected) as u64;
            if case.rows.is_some_and(|expected| expected != rows) {
                return Err(format!("{} rows and {} rejects of {:?}", entry.rows, entry.rejected, case.rows));
            }
            // no reader makes a row of nothing
            if case.rows.is_none() && !case.is_columnar && rows > case.damaged.len() as u64 + 2 {
                return Err(format!("{rows} rows of {} bytes", case.damaged.len()));
            }
            match &outcome.preview {
                Some(preview) if preview.rows != entry.rows as u64 => Err(format!("{} rows shown", preview.rows)),
                _ => Ok(()),
            }
        }
    }
}

async fn run(lake: &Lake, case: &Case, number: u64) -> Result<(), String> {
    if case.lookup {
        return match load_lookup(lake, "plans", &case.paths[0]).await {
            Ok(table) if table.rows > case.damaged.len() => Err(format!("{} rows", table.rows)),
            Ok(_) => Ok(()),
            Err(error) => check_error(&error, &case.damaged),
        };
    }
    let options = IngestOptions {
        suite: Some("web".into()),
        mappings: case.mapping.iter().cloned().collect(),
        // some are written, in the place of others
        validate: !number.is_multiple_of(16),
        replace: true,
        again: true,
        memory_bytes: MEMORY_BYTES,
        ..IngestOptions::default()
    };
    match ingest(lake, &case.paths, &options, &|_| {}).await {
        Ok(outcomes) => outcomes.iter().try_for_each(|outcome| check(case, outcome)),
        Err(error) => check_error(&error, &case.damaged),
    }
}

/// The most memory that the process has had since it was last asked to forget that, where the system says it.
fn peak_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Ends the process where a case does not end.
struct Watch(Arc<AtomicU64>);

impl Watch {
    fn start(reader: &str, first: u64) -> Self {
        let at = Arc::new(AtomicU64::new(first));
        let (watched, reader) = (at.clone(), reader.to_string());
        std::thread::spawn(move || {
            let (mut case, mut since) = (u64::MAX, Instant::now());
            loop {
                std::thread::sleep(Duration::from_secs(1));
                match watched.load(Ordering::Relaxed) {
                    u64::MAX => return,
                    now if now != case => (case, since) = (now, Instant::now()),
                    now if since.elapsed() > LONG => {
                        eprintln!("case {now} of {reader} does not end: REJOIN_FUZZ_FIRST={now} REJOIN_FUZZ_CASES=1");
                        std::process::exit(101);
                    }
                    _ => {}
                }
            }
        });
        Self(at)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn the_parquet_file_that_is_damaged_loads() {
    deep(|runtime| {
        let place = Place::new();
        place.sh("rejoin suite create web");
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let (path, mapping) = (put("hits.parquet", &parquet_file()), put("mapping.toml", COLUMNS.as_bytes()));
        let options = IngestOptions { mappings: vec![mapping], memory_bytes: MEMORY_BYTES, ..IngestOptions::default() };
        let outcomes = runtime.block_on(ingest(&place.open_lake(), &[path], &options, &|_| {})).unwrap();
        assert!(matches!(outcomes[0].status, Status::Loaded), "{:?}", outcomes[0].status);
        assert_eq!((outcomes[0].entry.rows, outcomes[0].entry.rejected), (60, 0));
    });
}

#[test]
fn damaged_inputs_are_read_or_refused() {
    let (cases, seconds) = (number("REJOIN_FUZZ_CASES"), number("REJOIN_FUZZ_SECONDS").map(Duration::from_secs));
    let first = number("REJOIN_FUZZ_FIRST").unwrap_or(0);
    let chosen = std::env::var("REJOIN_FUZZ_READER").ok();
    let is_chosen = |(name, _): &&(&str, Reader)| chosen.as_ref().is_none_or(|chosen| chosen == name);
    let readers: Vec<_> = READERS.iter().filter(is_chosen).collect();
    let known = READERS.map(|(name, _)| name).join(", ");
    assert!(!readers.is_empty(), "REJOIN_FUZZ_READER is one of {known}");
    let fuzz = Fuzz { seeds: Seeds::read(), first, cases, seconds };
    deep(|runtime| readers.iter().for_each(|(name, reader)| fuzz.of(name, *reader, runtime)));
}

/// How many cases there are, and from where.
struct Fuzz {
    seeds: Seeds,
    first: u64,
    cases: Option<u64>,
    /// For how long, instead.
    seconds: Option<Duration>,
}

impl Fuzz {
    /// The cases of one reader.
    fn of(&self, name: &str, reader: Reader, runtime: &tokio::runtime::Runtime) {
        let by_hand = self.cases.is_some() || self.seconds.is_some();
        let (watch, begun) = (Watch::start(name, self.first), Instant::now());
        let (mut place, mut peak): (Option<Place>, u64) = (None, 0);
        let goes_on = |done: u64| match (self.seconds, self.cases) {
            (Some(seconds), _) => begun.elapsed() < seconds,
            (None, cases) => done < cases.unwrap_or(CASES),
        };
        let mut case_number = self.first;
        while goes_on(case_number - self.first) {
            if place.is_none() || case_number.is_multiple_of(OF_A_LAKE) {
                let new = Place::new();
                new.sh("rejoin suite create web
rejoin source create web deals --kind transaction
rejoin source create web till --kind transaction
rejoin source create web calls --kind customer");
                place = Some(new);
                // of this number on, other tests of the process do not count
                let _ = std::fs::write("/proc/self/clear_refs", "5");
            }
            watch.0.store(case_number, Ordering::Relaxed);
            let lake = place.as_ref().unwrap().open_lake();
            let folder = tempfile::Builder::new().prefix("rejoin-fuzz-").tempdir().unwrap();
            let mut dice = Dice(case_number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let case = self.seeds.case(folder.path(), reader, &mut dice);
            if let Err(wrong) = runtime.block_on(run(&lake, &case, case_number)) {
                let kept = folder.keep();
                panic!("case {case_number} of {name}, {}: {wrong}; it is in {}", case.name, kept.display());
            }
            if let Some(now) = peak_bytes().filter(|_| by_hand) {
                let most = MEMORY_BYTES as u64 + BESIDE_BYTES;
                assert!(now <= most, "case {case_number} of {name}, {}: {now} bytes of memory", case.name);
                peak = peak.max(now);
            }
            case_number += 1;
        }
        let (done, seconds) = (case_number - self.first, begun.elapsed().as_secs_f64());
        eprintln!("fuzz {name}: {done} inputs in {seconds:.0} s, at most {} MB of memory", peak / 1_000_000);
    }
}
