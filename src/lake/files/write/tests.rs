//! What a writer leaves, whatever its memory.
#![allow(clippy::unwrap_used)]
use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Int64Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::*;
use crate::columns;

/// Hits of 300 visitors, four of each instant; `note` is there in the second half only, `empty` never.
fn batches() -> Vec<RecordBatch> {
    let key = |name| columns::key_field(name).unwrap();
    let fields = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ, SUITE].map(key).into_iter();
    let fields = fields.chain(["note", "empty"].map(columns::dimension)).collect::<Vec<_>>();
    let schema = Arc::new(Schema::new(fields));
    let batch = |n: i64| {
        let rows = (0..200).map(|row| n * 200 + row);
        let ids: Vec<String> = rows.clone().map(|row| format!("visitor {}", row * 7919 % 300)).collect();
        let times: TimestampMicrosecondArray = rows.clone().map(|row| Some(row / 1200)).collect();
        let sequences: Decimal128Array = rows.clone().map(|row| Some(i128::from(row * 31 % 1009))).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(ids.iter().map(|id| Some(columns::visitor_key(id))).collect::<Int64Array>()),
            Arc::new(ids.iter().map(Some).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(sequences.with_data_type(columns::sequence())),
            Arc::new(StringArray::from(vec!["web"; ids.len()])),
            Arc::new(rows.map(|row| (n >= 20).then(|| format!("note {row}"))).collect::<StringArray>()),
            Arc::new(StringArray::new_null(ids.len())),
        ];
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    (0..40).map(batch).collect()
}

/// Rows of 300 columns, many of them equal in all of the order. Columns have values in all rows, in few, in those of some
/// batches, or one and the same.
fn wide_batches(count: u64, rows: u64) -> Vec<RecordBatch> {
    let key = |name| columns::key_field(name).unwrap();
    let keys = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ, SUITE].map(key).into_iter();
    let texts = (1..=280).map(|n| columns::dimension(&format!("evar{n}")));
    let numbers = (1..=15).map(|n| columns::metric(&format!("event{n}")));
    let schema = Arc::new(Schema::new(keys.chain(texts).chain(numbers).collect::<Vec<_>>()));
    let mut state = 3_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) % below
    };
    let batch = |number: u64| {
        let ids: Vec<String> = (0..rows).map(|_| format!("visitor {}", random(70))).collect();
        let times: TimestampMicrosecondArray = (0..rows).map(|_| Some(random(9) as i64)).collect();
        let sequences: Decimal128Array = (0..rows).map(|_| Some(i128::from(random(5)))).collect();
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(ids.iter().map(|id| Some(columns::visitor_key(id))).collect::<Int64Array>()),
            Arc::new(ids.iter().map(Some).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(sequences.with_data_type(columns::sequence())),
            Arc::new(StringArray::from(vec!["web"; ids.len()])),
        ];
        for n in 1..=280_u64 {
            let text = |_| match n % 4 {
                0 => Some(format!("value {}", random(1000))),
                1 => (number + n).is_multiple_of(7).then(|| format!("of some batches {n}")),
                2 => Some(format!("of all rows {n}")),
                _ => (random(20) == 0).then(|| format!("value {}", random(10))),
            };
            columns.push(Arc::new((0..rows).map(text).collect::<StringArray>()));
        }
        for _ in 0..15 {
            let number = |_| (random(3) == 0).then(|| random(100) as f64);
            columns.push(Arc::new((0..rows).map(number).collect::<Float64Array>()));
        }
        RecordBatch::try_new(schema.clone(), columns).unwrap()
    };
    (0..count).map(batch).collect()
}

/// What was written.
struct Done {
    /// The rows of each bucket's file.
    rows: Vec<RecordBatch>,
    /// Names of the columns in use.
    columns: Vec<String>,
    /// Runs on disk, and bytes in memory, before the files were written.
    runs: usize,
    held_bytes: usize,
}

async fn written(folder: &std::path::Path, batches: &[RecordBatch], memory_bytes: usize) -> Done {
    let lake = Lake::open(folder.to_str().unwrap()).unwrap();
    let context = sort_context(memory_bytes).unwrap();
    let mut writer = SortedWriter::start(&lake, "hits", batches[0].schema(), HashMap::new(), context).unwrap();
    for batch in batches {
        writer.push(batch.clone()).await.unwrap();
    }
    let (runs, held_bytes) = (writer.runs.len(), writer.held_bytes());
    let mut written = writer.finish().await.unwrap();
    assert_eq!(written.rows, batches.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    written.files.sort_by_key(|file| file.tags[TAG_BUCKET].clone());
    let columns = written.columns.iter().map(|field| field.name().clone()).collect();
    Done { rows: written.files.iter().map(|file| read(folder, file)).collect(), columns, runs, held_bytes }
}

/// The rows of a file of hits.
fn read(folder: &std::path::Path, file: &NewFile) -> RecordBatch {
    let opened = std::fs::File::open(folder.join("hits").join(&file.relative)).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(opened).unwrap();
    let schema = reader.schema().clone();
    let rows: Vec<RecordBatch> = reader.build().unwrap().map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &rows).unwrap()
}

#[tokio::test]
async fn rows_that_spill_are_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let at_once = written(&folder.path().join("a"), &batches(), 64 << 20).await;
    let spilled = written(&folder.path().join("b"), &batches(), 100 << 10).await;
    assert_eq!((at_once.rows.len(), at_once.runs), (BUCKETS, 0));
    assert_eq!(at_once.columns.last().unwrap(), "note");
    assert!(spilled.runs > 3, "{} runs", spilled.runs);
    assert_eq!((spilled.rows, spilled.columns), (at_once.rows.clone(), at_once.columns));
    let order = |batch: &RecordBatch| {
        let keys = batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().values().to_vec();
        keys.is_sorted() && keys.iter().all(|key| layout::bucket_of(*key) == layout::bucket_of(keys[0]))
    };
    assert!(at_once.rows.iter().all(order));
}

/// Texts that come as dictionary arrays, in some batches or in all, are those texts: in memory, where dictionaries are closed on the
/// way, and on disk.
#[tokio::test]
async fn texts_may_come_as_dictionary_arrays() {
    let folder = tempfile::tempdir().unwrap();
    let coded_type = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
    let coded = |batch: &RecordBatch| {
        let (mut fields, mut columns) = (vec![], vec![]);
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            let is_coded = field.data_type() == &DataType::Utf8 && field.name() != VISITOR_ID;
            let data_type = if is_coded { &coded_type } else { field.data_type() };
            fields.push(field.as_ref().clone().with_data_type(data_type.clone()));
            columns.push(cast(column, data_type).unwrap());
        }
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    for (name, batches) in [("few", batches()), ("wide", wide_batches(20, 40))] {
        for memory_bytes in [64 << 20, 60 << 10] {
            let place = |form: &str| folder.path().join(format!("{name} {memory_bytes} {form}"));
            let expected = written(&place("plain"), &batches, memory_bytes).await;
            for every in [1, 2, 3] {
                let some = batches.iter().enumerate();
                let some = some.map(|(n, batch)| if n % every == 0 { coded(batch) } else { batch.clone() });
                let found = written(&place(&every.to_string()), &some.collect::<Vec<_>>(), memory_bytes).await;
                assert!(found.rows == expected.rows, "{name}, {memory_bytes} bytes, one of {every}");
                assert_eq!(found.columns, expected.columns);
            }
        }
    }
}

/// Rows of a writer that takes those of another one are in files as if it had got them all; tags say how many each load has.
#[tokio::test]
async fn loads_share_files() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    let of_load = |batch: &RecordBatch, name: &str| {
        let fields = batch.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
        let schema = Schema::new([fields, vec![key_field(FILE).unwrap()]].concat());
        let mut columns = batch.columns().to_vec();
        columns.push(Arc::new(StringArray::from(vec![name; batch.num_rows()])));
        RecordBatch::try_new(Arc::new(schema), columns).unwrap()
    };
    let batches = wide_batches(12, 40);
    let parts = [("a", &batches[..7]), ("b", &batches[7..])];
    let parts = parts.map(|(name, part)| part.iter().map(|batch| of_load(batch, name)).collect::<Vec<_>>());
    let writer_of = async |names: &[&str], parts: &[Vec<RecordBatch>]| {
        let load = |name: &&str| LoadPart { file: name.to_string(), content: "1".into(), rows: None };
        let loads: Vec<LoadPart> = names.iter().map(load).collect();
        let tags = HashMap::from([(TAG_LOADS.to_string(), loads::tag_of(&loads))]);
        let context = sort_context(64 << 20).unwrap();
        let mut writer = SortedWriter::start(&lake, "hits", parts[0][0].schema(), tags, context).unwrap();
        for batch in parts.iter().flatten() {
            writer.push(batch.clone()).await.unwrap();
        }
        writer
    };
    let mut together = writer_of(&["a"], &parts[..1]).await;
    let other = writer_of(&["b"], &parts[1..]).await;
    assert!(together.can_append(&other) && !other.can_append(&together));
    let held_bytes = together.held_bytes();
    together.append(other).unwrap();
    assert!(together.held_bytes() > held_bytes);
    let at_once = writer_of(&["a", "b"], &parts).await;
    assert_eq!(together.fields_in_use(), at_once.fields_in_use());
    let (mut together, mut at_once) = (together.finish().await.unwrap(), at_once.finish().await.unwrap());
    assert_eq!((together.rows, together.files.len()), (480, BUCKETS));
    let mut counts = HashMap::new();
    for written in [&mut together, &mut at_once] {
        written.files.sort_by_key(|file| file.tags[TAG_BUCKET].clone());
    }
    for (file, expected) in together.files.iter().zip(&at_once.files) {
        assert_eq!(file.tags[TAG_LOADS], expected.tags[TAG_LOADS]);
        assert!(read(folder.path(), file) == read(folder.path(), expected), "bucket {}", file.tags[TAG_BUCKET]);
        for part in loads::parts_in(&file.tags[TAG_LOADS]) {
            *counts.entry(part.file).or_insert(0) += part.rows.unwrap();
        }
    }
    assert_eq!(counts, HashMap::from([("a".to_string(), 280), ("b".to_string(), 200)]));
}

/// Whatever tags the writer was given.
#[tokio::test]
async fn files_all_of_whose_hits_are_reported_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
    let hits = batches().swap_remove(0);
    // those of the first bucket are excluded
    let keys = hits.column(0).as_primitive::<Int64Type>();
    let excluded = keys.values().iter().map(|key| i64::from(layout::bucket_of(*key) == 0));
    let mut columns = hits.columns().to_vec();
    columns.push(Arc::new(Int64Array::from_iter_values(excluded)));
    let fields = hits.schema().fields().iter().map(|field| field.as_ref().clone()).collect::<Vec<_>>();
    let excluded = Field::new(columns::EXCLUDE_HIT, DataType::Int64, true);
    let schema = Arc::new(Schema::new([fields, vec![excluded]].concat()));
    let tags = HashMap::from([(TAG_REPORTED.to_string(), "another file".to_string())]);
    let context = sort_context(64 << 20).unwrap();
    let mut writer = SortedWriter::start(&lake, "hits", schema.clone(), tags, context).unwrap();
    writer.push(RecordBatch::try_new(schema, columns).unwrap()).await.unwrap();
    let files = writer.finish().await.unwrap().files;
    assert_eq!(files.len(), BUCKETS);
    for file in files {
        let own = (file.tags[TAG_BUCKET] != "0").then_some(&file.relative);
        assert_eq!(file.tags.get(TAG_REPORTED), own);
    }
}

/// One run or few, several, and so many that they are merged in passes, give what one sort in memory gives; with little memory
/// dictionaries are closed on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_memory_gives_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    let batches = wide_batches(120, 40);
    let at_once = written(&folder.path().join("at_once"), &batches, 1 << 30).await;
    assert_eq!((at_once.runs, at_once.columns.len()), (0, batches[0].num_columns()));
    let held = at_once.held_bytes;
    let most = MOST_RUNS - 1;
    for (memory_bytes, runs) in [(held * 3 / 4, 1..=6), (held / 10, 4..=most), (1, MOST_RUNS / 2..=most)] {
        let spilled = written(&folder.path().join(memory_bytes.to_string()), &batches, memory_bytes).await;
        assert!(runs.contains(&spilled.runs), "{} runs in {memory_bytes} bytes", spilled.runs);
        assert_eq!(spilled.columns, at_once.columns, "{memory_bytes} bytes");
        assert!(spilled.rows == at_once.rows, "{memory_bytes} bytes");
    }
}

/// Texts that recur take little memory while rows wait, whatever their length.
#[tokio::test]
async fn texts_that_recur_are_kept_once() {
    let folder = tempfile::tempdir().unwrap();
    let plain = batches();
    let text = |row: usize| Some(format!("{:>500}", row % 50));
    let long = |batch: &RecordBatch| {
        let mut columns = batch.columns().to_vec();
        columns[5] = Arc::new((0..batch.num_rows()).map(text).collect::<StringArray>());
        RecordBatch::try_new(batch.schema(), columns).unwrap()
    };
    let long: Vec<RecordBatch> = plain.iter().map(long).collect();
    let done = written(folder.path(), &long, 64 << 20).await;
    // 500 bytes of text a row would be 4 MB
    assert!((100_000..2_000_000).contains(&done.held_bytes), "{} bytes", done.held_bytes);
    assert_eq!(done.rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 8000);
    let notes = done.rows.iter().flat_map(|rows| rows.column(5).as_string::<i32>().iter().flatten());
    let mut counts = HashMap::new();
    notes.for_each(|note| *counts.entry(note.to_string()).or_insert(0) += 1);
    assert!(counts.len() == 50 && counts.values().all(|count| *count == 160), "{counts:?}");
}

/// Open files that have no name any more, as runs.
#[cfg(target_os = "linux")]
fn nameless_files() -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let names = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    names.filter(|name| name.to_string_lossy().ends_with("(deleted)")).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_runs_are_few_open_files() {
    use std::sync::atomic::{AtomicBool, Ordering};

    let folder = tempfile::tempdir().unwrap();
    let over = Arc::new(AtomicBool::new(false));
    let is_over = over.clone();
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while !is_over.load(Ordering::Relaxed) {
            most = most.max(nameless_files());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        most
    });
    let done = written(folder.path(), &wide_batches(100, 8), 1).await;
    over.store(true, Ordering::Relaxed);
    let most = watch.join().unwrap();
    assert!(done.runs < MOST_RUNS, "{} runs", done.runs);
    // other tests may have some at the same time
    assert!((MOST_RUNS / 2..4 * MOST_RUNS).contains(&most), "{most} open files");
}
