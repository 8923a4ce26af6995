//! Ranges of small tables: their rows, their order, their memory.
#![allow(clippy::unwrap_used)]

use std::time::Duration;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow::compute::cast;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool, UnboundedMemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::{ident, lit};
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::{EnabledStatistics, WriterProperties};

use super::super::layout::first_key;
use super::*;
use crate::columns::{self, HIT_SEQ, HIT_TIME, VISITOR_ID};
use crate::lake::Snapshot;
use crate::lake::scan::{LakeTable, read_sorted};

const PAGE_ROWS: usize = 10;

/// The key and the number of each row, in order. Many visitors have rows in several pages, some stand at the edge of a range.
fn rows() -> Vec<(i64, i64)> {
    let mut keys: Vec<i64> = (0..400_i64).map(|n| n.wrapping_mul(0x1E37_79B9_7F4A_7C15)).collect();
    keys.extend([1, 5, 9, 40, 63].into_iter().flat_map(|range| [first_key(range, 64) - 1, first_key(range, 64)]));
    keys.extend([i64::MIN, i64::MAX]);
    keys.sort_unstable();
    keys.dedup();
    let of_visitor = |(place, key): (usize, i64)| std::iter::repeat_n(key, 1 + place * 7 % 37);
    keys.into_iter().enumerate().flat_map(of_visitor).zip(0..).collect()
}

/// A table with a file a bucket, in small pages and row groups.
fn table(folder: &std::path::Path, rows: &[(i64, i64)]) -> (Lake, LakeTable) {
    table_of(folder, rows, 1)
}

/// The same with so many files a bucket, each with rows of all visitors.
fn table_of(folder: &std::path::Path, rows: &[(i64, i64)], generations: usize) -> (Lake, LakeTable) {
    let lake = Lake::open(folder.to_str().unwrap()).unwrap();
    let fields = [VISITOR_KEY, VISITOR_ID, HIT_TIME, HIT_SEQ, "row"].map(|name| columns::key_field(name).unwrap());
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(300))
        .set_write_batch_size(PAGE_ROWS)
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Page)
        .build();
    std::fs::create_dir_all(folder.join("hits")).unwrap();
    let file = |(generation, bucket): (usize, usize)| {
        let is_own =
            |(key, row): &(i64, i64)| layout::bucket_of(*key) == bucket && *row as usize % generations == generation;
        let own: Vec<(i64, i64)> = rows.iter().copied().filter(is_own).collect();
        let numbers = || own.iter().map(|(_, row)| Some(*row));
        let times: TimestampMicrosecondArray = numbers().collect();
        let sequences: Decimal128Array = numbers().map(|row| row.map(i128::from)).collect();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(own.iter().map(|(key, _)| Some(*key)).collect::<Int64Array>()),
            Arc::new(own.iter().map(|(key, _)| Some(format!("visitor {key}"))).collect::<StringArray>()),
            Arc::new(times.with_timezone("UTC")),
            Arc::new(sequences.with_data_type(columns::sequence())),
            Arc::new(numbers().collect::<Int64Array>()),
        ];
        let mut writer = ArrowWriter::try_new(vec![], schema.clone(), Some(properties.clone())).unwrap();
        writer.write(&RecordBatch::try_new(schema.clone(), columns).unwrap()).unwrap();
        let bytes: Vec<u8> = writer.into_inner().unwrap();
        let relative = format!("{generation}-{bucket}.parquet");
        std::fs::write(folder.join("hits").join(&relative), &bytes).unwrap();
        DataFile {
            path: lake.file_path("hits", &relative).unwrap(),
            relative,
            size: bytes.len() as u64,
            rows: Some(own.len() as u64),
            hit_time: None,
            tags: [(layout::TAG_BUCKET.to_string(), bucket.to_string())].into(),
        }
    };
    let files = (0..generations).flat_map(|generation| (0..BUCKETS).map(move |bucket| (generation, bucket)));
    let files = files.map(file).collect();
    let snapshot = Snapshot::missing(&lake, "hits").unwrap().only(files);
    (lake.clone(), LakeTable::new(lake, Arc::new(snapshot), schema))
}

fn session(lake: &Lake, ranges: usize, batch_size: usize) -> SessionContext {
    session_with(lake, ranges, batch_size, Arc::new(UnboundedMemoryPool::default()))
}

fn session_with(lake: &Lake, ranges: usize, batch_size: usize, pool: Arc<dyn MemoryPool>) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2).with_batch_size(batch_size);
    let config = config.with_option_extension(RejoinOptions { ranges, ..RejoinOptions::default() });
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc().unwrap();
    let context = SessionContext::new_with_config_rt(config, runtime);
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    context
}

/// The one scan of keys and numbers that a journey would read.
fn scan(table: &LakeTable, context: &SessionContext) -> Arc<dyn ExecutionPlan> {
    let fields = [VISITOR_KEY, "row"].map(|name| columns::key_field(name).unwrap());
    scan_for(table, context, &Visitors::of(&[]), &fields)
}

/// The same for some visitors.
fn scan_for(
    table: &LakeTable,
    context: &SessionContext,
    visitors: &Visitors,
    fields: &[Field],
) -> Arc<dyn ExecutionPlan> {
    let mut scans = table.sorted_scans(&context.state(), &table.files_for(&[]), fields, visitors).unwrap();
    assert_eq!(scans.len(), 1);
    scans.swap_remove(0)
}

async fn collected(rows: SendableRecordBatchStream) -> Vec<(i64, i64)> {
    let batches: Vec<RecordBatch> = rows.try_collect().await.unwrap();
    let numbers = |batch: &RecordBatch, name: &str| {
        batch.column_by_name(name).unwrap().as_primitive::<Int64Type>().values().to_vec()
    };
    batches.iter().flat_map(|batch| numbers(batch, VISITOR_KEY).into_iter().zip(numbers(batch, "row"))).collect()
}

#[tokio::test]
async fn each_row_is_in_its_range_once_and_in_order() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let few = [(1, 8192), (1, 7), (2, 7), (4, 8192)];
    let many = [(BUCKETS, 8192), (2 * BUCKETS, 7), (64, 8192), (64, 7)];
    for (ranges, batch_size) in few.into_iter().chain(many) {
        let context = session(&lake, ranges, batch_size);
        let (sorted, all) = (scan(&table, &context), table.reading(&context.state(), None, &[]).unwrap());
        for partitioned in [&sorted, &all] {
            assert_eq!(partitioned.output_partitioning().partition_count(), ranges);
        }
        let orders = [layout::visitor_ordering(&sorted.schema()), layout::ordering(&all.schema())];
        assert_eq!([&sorted, &all].map(|plan| plan.output_ordering().cloned()), orders, "{ranges} ranges");
        let (mut of_sorted, mut of_all) = (vec![], vec![]);
        for range in 0..ranges {
            let own = collected(read_sorted(&sorted, range, context.task_ctx()).await.unwrap()).await;
            let begins = |key: i64| key >= first_key(range, ranges);
            let ends = |key: i64| range + 1 < ranges && key >= first_key(range + 1, ranges);
            assert!(own.iter().all(|(key, _)| begins(*key) && !ends(*key)), "range {range} of {ranges}");
            of_sorted.extend(own);
            of_all.extend(collected(all.execute(range, context.task_ctx()).unwrap()).await);
        }
        assert_eq!(of_sorted, rows, "{ranges} ranges, batches of {batch_size}");
        assert_eq!(of_all, rows, "{ranges} ranges, batches of {batch_size}");
    }
}

/// All rows of a range; the first batch is there already.
async fn rest(first: Option<RecordBatch>, rows: SendableRecordBatchStream) -> Vec<(i64, i64)> {
    let (schema, first) = (rows.schema(), futures::stream::iter(first.map(Ok)));
    collected(Box::pin(RecordBatchStreamAdapter::new(schema, first.chain(rows)))).await
}

/// Waits until something is true, for some seconds at most.
async fn until(is_true: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_files_are_decoded_before_their_turn() {
    let folder = tempfile::tempdir().unwrap();
    let (lake, table) = table_of(folder.path(), &rows(), MANY_FILES);
    let batch_rows = 4;
    let context = session(&lake, BUCKETS, batch_rows);
    let merge = table.reading(&context.state(), None, &[]).unwrap();
    let mut merged = merge.execute(0, context.task_ctx()).unwrap();
    assert_eq!(merged.try_next().await.unwrap().unwrap().num_rows(), batch_rows);
    // its first batch, and the one after it, for which the merge has not asked
    let are_ahead = || {
        let rows = |file: &&Arc<dyn ExecutionPlan>| file.metrics().and_then(|metrics| metrics.output_rows());
        merge.children().iter().all(|file| rows(file).unwrap_or_default() >= 2 * batch_rows)
    };
    until(are_ahead).await;
    assert!(are_ahead());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_range_of_many_files_waits_for_the_memory_of_another_one() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let generations = 3 * MANY_FILES;
    let (lake, table) = table_of(folder.path(), &rows, generations);
    for ranges in [BUCKETS, 32] {
        let merged = |pool: &Arc<dyn MemoryPool>| {
            let context = session_with(&lake, ranges, 4, pool.clone());
            (table.reading(&context.state(), None, &[]).unwrap(), context)
        };
        let ample: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 30));
        let (merge, context) = merged(&ample);
        assert_eq!(merge.children().len(), generations);
        let mut of_first = merge.execute(0, context.task_ctx()).unwrap();
        of_first.try_next().await.unwrap().unwrap();
        let held = ample.reserved();
        drop(of_first);
        // whatever is decoding for it ends meanwhile
        until(|| ample.reserved() == 0).await;
        assert_eq!(ample.reserved(), 0);

        let small: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(2 * held));
        let (merge, context) = merged(&small);
        let mut of_first = merge.execute(0, context.task_ctx()).unwrap();
        let first = of_first.try_next().await.unwrap();
        let others = (1..ranges).map(|range| {
            let rows = merge.execute(range, context.task_ctx()).unwrap();
            tokio::spawn(rest(None, rows))
        });
        let others: Vec<_> = others.collect();
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(others.iter().all(|range| !range.is_finished()), "{ranges} ranges");
        let mut found = rest(first, of_first).await;
        for range in others {
            found.extend(range.await.unwrap());
        }
        assert_eq!(found, rows, "{ranges} ranges");
        assert_eq!(small.reserved(), 0);
    }
}

#[tokio::test]
async fn slices_have_the_rows_of_a_range_in_order() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let context = session(&lake, BUCKETS, 8192);
    let scan = scan(&table, &context);
    let config = files_of(&scan).unwrap();
    let file = &config.file_groups[1].files()[0];
    let footer = footer_of(config, file, true, &context.runtime_env()).await.unwrap();
    assert!(footer.num_row_groups() > 1);
    let numbers = |access: &ParquetAccessPlan| -> Vec<(usize, usize)> {
        let groups = access.inner().iter().enumerate();
        groups.flat_map(|(group, access)| rows_of(access, &footer, group).map(move |row| (group, row))).collect()
    };
    let all = ParquetAccessPlan::new_all(footer.num_row_groups());
    let bucket = KeyRange::of_range(1, BUCKETS);
    let middle = KeyRange { first: bucket.first + (1 << 58), last: bucket.last - (1 << 58) };
    for access in [all, middle.access(&footer).unwrap()] {
        assert_eq!(in_slices(access.clone(), &footer, None), std::slice::from_ref(&access));
        for slice_rows in [PAGE_ROWS, 7 * PAGE_ROWS, 100 * PAGE_ROWS] {
            let slices = in_slices(access.clone(), &footer, Some(slice_rows));
            assert!(slices.iter().all(|slice| (1..=slice_rows).contains(&numbers(slice).len())));
            assert_eq!(slices.iter().flat_map(numbers).collect::<Vec<_>>(), numbers(&access));
            let groups = FileGroup::new(slices.into_iter().map(|slice| file.clone().with_extension(slice)).collect());
            let (url, source) = (config.object_store_url.clone(), config.file_source.clone());
            let slices = FileScanConfigBuilder::new(url, source).with_file_group(groups).with_preserve_order(true);
            let slices = DataSourceExec::from_data_source(slices.build()).execute(0, context.task_ctx());
            let found = collected(slices.unwrap()).await;
            let is_in = |(key, _): &&(i64, i64)| layout::bucket_of(*key) == 1;
            let own: Vec<(i64, i64)> = rows.iter().filter(is_in).copied().collect();
            let own: Vec<_> = numbers(&access).into_iter().map(|(group, row)| own[group * 300 + row]).collect();
            assert_eq!(found, own, "slices of {slice_rows} rows");
        }
    }
}

#[tokio::test]
async fn texts_come_as_dictionaries_where_they_are_wanted() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let filter = ident("row").gt_eq(lit(0_i64));
    for ranges in [1, BUCKETS, 64] {
        let context = session(&lake, ranges, 8192);
        let read = |table: LakeTable| table.reading(&context.state(), None, std::slice::from_ref(&filter)).unwrap();
        let (as_they_are, coded) = (read(table.clone()), read(table.clone().with_dictionaries(&[VISITOR_ID])));
        assert_eq!(coded.output_ordering(), as_they_are.output_ordering(), "{ranges} ranges");
        assert_eq!([&as_they_are, &coded].map(|plan| has_dictionaries(&plan.schema())), [false, true]);
        let mut found = [vec![], vec![]];
        for (plan, found) in [as_they_are, coded].iter().zip(&mut found) {
            for range in 0..plan.output_partitioning().partition_count() {
                let batches: Vec<RecordBatch> =
                    plan.execute(range, context.task_ctx()).unwrap().try_collect().await.unwrap();
                for batch in batches {
                    let visitors = batch.column_by_name(VISITOR_ID).unwrap();
                    assert_eq!(visitors.as_any_dictionary_opt().is_some(), has_dictionaries(&plan.schema()));
                    let visitors = cast(visitors, &DataType::Utf8).unwrap();
                    let keys = batch.column_by_name(VISITOR_KEY).unwrap().as_primitive::<Int64Type>().values();
                    let texts = visitors.as_string::<i32>().iter().flatten().map(str::to_string);
                    found.extend(keys.iter().copied().zip(texts));
                }
            }
        }
        let [as_they_are, coded] = found;
        assert!(coded == as_they_are && coded.len() == rows.len(), "{ranges} ranges");
    }
}

#[tokio::test]
async fn a_range_reads_only_its_pages() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let decoded = |scan: &Arc<dyn ExecutionPlan>| scan.metrics().unwrap().output_rows().unwrap_or_default();
    let bytes =
        |scan: &Arc<dyn ExecutionPlan>| scan.metrics().unwrap().sum_by_name("bytes_scanned").unwrap().as_usize();
    let whole = session(&lake, BUCKETS, 8192);
    let of_whole = scan(&table, &whole);
    for bucket in 0..BUCKETS {
        collected(read_sorted(&of_whole, bucket, whole.task_ctx()).await.unwrap()).await;
    }
    assert_eq!(decoded(&of_whole), rows.len());
    let parts = session(&lake, 64, 8192);
    let of_parts = scan(&table, &parts);
    for range in 0..64 {
        let before = decoded(&of_parts);
        let own = collected(read_sorted(&of_parts, range, parts.task_ctx()).await.unwrap()).await;
        let beyond = decoded(&of_parts) - before - own.len();
        // of the first page and of the last one
        assert!(beyond <= 2 * (PAGE_ROWS - 1), "{beyond} rows beyond the {} of range {range}", own.len());
    }
    assert!(bytes(&of_parts) < 2 * bytes(&of_whole), "{} of {} bytes", bytes(&of_parts), bytes(&of_whole));
}

#[tokio::test]
async fn for_some_visitors_their_pages_are_read_and_their_rows_are_there() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let fields = [VISITOR_KEY, "row"].map(|name| columns::key_field(name).unwrap());
    let (one, other) = (rows[rows.len() / 3].0, rows[rows.len() / 2].0);
    let nobody = (1..).map(|n| one + n).find(|key| rows.iter().all(|(own, _)| own != key)).unwrap();
    for ranges in [1, 4, BUCKETS, 64] {
        let context = session(&lake, ranges, 8192);
        for asked in [vec![one], vec![one, other], vec![nobody], vec![]] {
            let keys = asked.iter().map(|key| lit(*key)).collect();
            let visitors = Visitors::of(&[ident(VISITOR_KEY).in_list(keys, false)]);
            let scan = scan_for(&table, &context, &visitors, &fields);
            assert_eq!(scan.output_partitioning().partition_count(), ranges);
            let mut found = vec![];
            for range in 0..ranges {
                found.extend(collected(read_sorted(&scan, range, context.task_ctx()).await.unwrap()).await);
            }
            // rows of others between them may be there, too
            let is_between = |key: i64| asked.iter().min() <= Some(&key) && Some(&key) <= asked.iter().max();
            assert!(found.iter().all(|(key, _)| is_between(*key)), "{ranges} ranges, {asked:?}");
            let of_asked = |all: &[(i64, i64)]| -> Vec<(i64, i64)> {
                all.iter().copied().filter(|(key, _)| asked.contains(key)).collect()
            };
            assert_eq!(of_asked(&found), of_asked(&rows), "{ranges} ranges, {asked:?}");
            if asked == [one] {
                let decoded = scan.metrics().unwrap().output_rows().unwrap_or_default();
                assert!(decoded <= found.len() + 2 * (PAGE_ROWS - 1), "{decoded} rows for {}", found.len());
            }
        }
    }
}

/// A task on a cluster has such a plan.
#[tokio::test]
async fn a_slice_of_a_scan_has_its_ranges_with_it() {
    let (folder, rows) = (tempfile::tempdir().unwrap(), rows());
    let (lake, table) = table(folder.path(), &rows);
    let context = session(&lake, 64, 8192);
    let all = table.reading(&context.state(), None, &[]).unwrap();
    let config = files_of(all.children()[0]).unwrap();
    let groups = [40, 9].map(|range: usize| config.file_groups[range].clone()).to_vec();
    let slice = FileScanConfigBuilder::from(config.clone()).with_file_groups(groups).build();
    let slice = RangeExec::new(DataSourceExec::from_data_source(slice));
    for (place, range) in [40, 9].into_iter().enumerate() {
        let found = collected(slice.execute(place, context.task_ctx()).unwrap()).await;
        assert!(!found.is_empty());
        assert_eq!(found, collected(all.execute(range, context.task_ctx()).unwrap()).await);
    }
}

#[test]
fn a_session_has_a_power_of_two_of_ranges() {
    let of = |threads: usize, ranges: usize| {
        let options = RejoinOptions { ranges, ..RejoinOptions::default() };
        count(&SessionConfig::new().with_target_partitions(threads).with_option_extension(options))
    };
    for (threads, ranges) in [(1, 8), (8, 8), (9, 16), (48, 64), (64, 64), (5000, 1024)] {
        assert_eq!(of(threads, 0), ranges, "{threads} threads");
    }
    for (wanted, ranges) in [(1, 1), (2, 2), (3, 4), (8, 8), (16, 16), (17, 32), (1024, 1024), (usize::MAX, 1024)] {
        assert_eq!(of(2, wanted), ranges, "{wanted} ranges");
    }
    // who writes the files of buckets has these whole
    assert_eq!(count(&SessionConfig::new().with_target_partitions(64)), BUCKETS);
}

#[test]
fn one_visitor_is_in_one_range() {
    let folder = tempfile::tempdir().unwrap();
    let (_, table) = table(folder.path(), &rows());
    let buckets: Vec<Vec<&DataFile>> = table.files_for(&[]).into_iter().map(|file| vec![file]).collect();
    let visitors = Visitors::of(&[ident(VISITOR_KEY).eq(lit(7_i64))]);
    let groups = groups(&buckets, 64, &Schema::empty(), &visitors);
    let with_files: Vec<usize> = (0..64).filter(|range| !groups[*range].is_empty()).collect();
    assert_eq!(with_files, [32]);
}
