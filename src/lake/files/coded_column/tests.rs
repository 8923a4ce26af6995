//! Rows that were encoded and are read again, and what is left to the other writer.
#![allow(clippy::unwrap_used)]
use arrow::array::{DictionaryArray, Float64Array, Int64Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::ZstdLevel;
use parquet::file::properties::WriterPropertiesBuilder;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;

use super::*;

const PAGE_ROWS: usize = 1000;

fn properties() -> WriterPropertiesBuilder {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_statistics_enabled(EnabledStatistics::None)
        .set_data_page_row_count_limit(PAGE_ROWS)
}

fn described(nullable: bool) -> SchemaDescriptor {
    described_as(DataType::Utf8, nullable)
}

fn described_as(data_type: DataType, nullable: bool) -> SchemaDescriptor {
    let schema = Schema::new(vec![Field::new("value", data_type, nullable)]);
    ArrowSchemaConverter::new().convert(&schema).unwrap()
}

fn coded(texts: &ArrayRef, keys: &[Option<u32>]) -> ArrayRef {
    Arc::new(DictionaryArray::<UInt32Type>::try_new(UInt32Array::from(keys.to_vec()), texts.clone()).unwrap())
}

fn encode_alone(
    descr: &ColumnDescPtr,
    properties: &WriterProperties,
    arrays: &[ArrayRef],
) -> Result<Option<CodedChunk>> {
    encode_coded(descr, properties, arrays, &Compressors::default())
}

/// As a reader finds them in a file with this column alone.
fn read(described: &SchemaDescriptor, chunk: CodedChunk) -> Vec<Option<String>> {
    let columns = read_columns(described, chunk);
    columns.iter().flat_map(|rows| rows.as_string::<i32>().iter().map(|text| text.map(str::to_string))).collect()
}

fn read_columns(described: &SchemaDescriptor, chunk: CodedChunk) -> Vec<ArrayRef> {
    let properties = Arc::new(properties().build());
    let mut file = SerializedFileWriter::new(Vec::<u8>::new(), described.root_schema_ptr(), properties).unwrap();
    let mut row_group = file.next_row_group().unwrap();
    row_group.append_column(&chunk.bytes, chunk.close).unwrap();
    row_group.close().unwrap();
    let bytes = Bytes::from(file.into_inner().unwrap());
    let batches = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    batches.map(|batch| batch.unwrap().column(0).clone()).collect()
}

/// Runs and none, NULLs and none, of few texts and many, in one array and several: each row has its text again.
#[test]
fn rows_come_back() {
    let text = |n: usize| match n {
        0 => String::new(),
        1 => "é".repeat(50_000),
        n => format!("text {n}"),
    };
    let texts: ArrayRef = Arc::new((0..3000).map(|n| Some(text(n))).collect::<StringArray>());
    let patterns: [fn(usize) -> Option<u32>; 10] = [
        |_| None,
        |_| Some(7),
        |n| Some(n as u32),
        |n| Some((n * 7919 % 97) as u32),
        |n| Some((n / 9 % 5) as u32),
        |n| Some((n / 20 % 300) as u32),
        |n| (!n.is_multiple_of(3)).then_some((n % 2) as u32),
        |n| (!(n / 40).is_multiple_of(3)).then_some((n / 11 % 1000) as u32),
        |n| (n == 0 || n > 2100).then_some(1),
        |n| if n % 600 < 570 { Some((n % 2) as u32) } else { Some(2999) },
    ];
    for (number, pattern) in patterns.into_iter().enumerate() {
        for count in [1, 7, 8, 9, 16, 503, 504, 505, 512, 513, 1000, 1001, 2999] {
            let keys: Vec<Option<u32>> = (0..count).map(pattern).collect();
            let expected: Vec<Option<String>> = keys.iter().map(|key| key.map(|key| text(key as usize))).collect();
            for cut in [count, 100] {
                let arrays: Vec<ArrayRef> = keys.chunks(cut).map(|keys| coded(&texts, keys)).collect();
                for nullable in [true, false] {
                    let described = described(nullable);
                    let chunk = encode_alone(&described.column(0), &properties().build(), &arrays).unwrap();
                    let here = format!("{count} rows of pattern {number}, {cut} at once");
                    let can_be = keys.iter().any(Option::is_some) && (nullable || keys.iter().all(Option::is_some));
                    assert_eq!(chunk.is_some(), can_be, "{here}");
                    let Some(chunk) = chunk else { continue };
                    let offsets = chunk.close.offset_index.clone().unwrap();
                    let mut end = chunk.close.metadata.data_page_offset();
                    for (page, location) in offsets.page_locations().iter().enumerate() {
                        assert_eq!((location.offset, location.first_row_index), (end, (page * PAGE_ROWS) as i64));
                        end += i64::from(location.compressed_page_size);
                    }
                    assert_eq!(
                        (end, offsets.page_locations().len()),
                        (chunk.bytes.len() as i64, count.div_ceil(PAGE_ROWS))
                    );
                    assert_eq!(read(&described, chunk), expected, "{here}");
                }
            }
        }
    }
}

/// Parts of larger arrays, over texts of which some are there twice, and some are of no row.
#[test]
fn parts_of_arrays_come_back() {
    let texts = ["a", "b", "a", "of no row", ""];
    let keys: Vec<Option<u32>> = (0..3000).map(|n| (n % 5 > 0).then_some([0, 1, 2, 4][n / 3 % 4])).collect();
    let whole = coded(&(Arc::new(StringArray::from(texts.to_vec())) as ArrayRef), &keys);
    let arrays = [whole.slice(5, 1000), whole.slice(2500, 0), whole.slice(2001, 7)];
    let described = described(true);
    let chunk = encode_alone(&described.column(0), &properties().build(), &arrays).unwrap().unwrap();
    let text = |key: u32| texts[key as usize].to_string();
    let expected: Vec<Option<String>> = (5..1005).chain(2001..2008).map(|row: usize| keys[row].map(text)).collect();
    assert_eq!(read(&described, chunk), expected);
    // where a text is NULL, so is a row with its number
    let texts: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None]));
    let rows = [coded(&texts, &[Some(0), Some(1)])];
    assert!(encode_alone(&described.column(0), &properties().build(), &rows).unwrap().is_none());
}

/// Counts and amounts, of few values and many, NULLs and none: each row has its value again, to the last bit.
#[test]
fn values_of_eight_bytes_come_back() {
    let patterns: [fn(usize) -> Option<u64>; 6] = [
        |_| Some(1),
        |n| Some((n as u64).wrapping_sub(500)),
        |n| Some(1.5_f64.to_bits() + (n * 7919 % 97) as u64),
        |n| (!n.is_multiple_of(3)).then_some(u64::MAX >> 1),
        |n| if n % 50 < 45 { Some((-0.0_f64).to_bits()) } else { Some((n as u64) << 40) },
        |n| (n > 1500).then_some(f64::NAN.to_bits()),
    ];
    for (number, pattern) in patterns.into_iter().enumerate() {
        for count in [1, 9, 1000, 2999] {
            let expected: Vec<Option<u64>> = (0..count).map(pattern).collect();
            let integers = |rows: &[Option<u64>]| -> ArrayRef {
                Arc::new(rows.iter().map(|bits| bits.map(|bits| bits as i64)).collect::<Int64Array>())
            };
            let floats = |rows: &[Option<u64>]| -> ArrayRef {
                Arc::new(rows.iter().map(|bits| bits.map(f64::from_bits)).collect::<Float64Array>())
            };
            let of_integers = |rows: &ArrayRef| -> Vec<Option<u64>> {
                rows.as_primitive::<Int64Type>().iter().map(|value| value.map(|value| value as u64)).collect()
            };
            let of_floats = |rows: &ArrayRef| -> Vec<Option<u64>> {
                rows.as_primitive::<Float64Type>().iter().map(|value| value.map(f64::to_bits)).collect()
            };
            let here = format!("{count} rows of pattern {number}");
            let is_any = expected.iter().any(Option::is_some);
            let chunk_of = |data_type: DataType, arrays: Vec<ArrayRef>| {
                let described = described_as(data_type, true);
                let chunk = encode_alone(&described.column(0), &properties().build(), &arrays).unwrap();
                assert_eq!(chunk.is_some(), is_any, "{here}");
                chunk.map_or_else(Vec::new, |chunk| read_columns(&described, chunk))
            };
            let found = chunk_of(DataType::Int64, expected.chunks(700).map(integers).collect());
            let found: Vec<Option<u64>> = found.iter().flat_map(of_integers).collect();
            assert!(found == expected || !is_any, "{here}");
            let found = chunk_of(DataType::Float64, expected.chunks(700).map(floats).collect());
            let found: Vec<Option<u64>> = found.iter().flat_map(of_floats).collect();
            assert!(found == expected || !is_any, "{here}");
        }
    }
}

/// Numbers of sixteen bytes, of both signs, with NULLs and without, in one page and in several.
#[test]
fn decimals_come_back() {
    let data_type = DataType::Decimal128(38, 0);
    for count in [1, 999, 1000, 1001, 2999] {
        for nullable in [true, false] {
            let value = |n: usize| (!nullable || !n.is_multiple_of(5)).then(|| (n as i128 - 700) * 10_i128.pow(30));
            let rows: Vec<Option<i128>> = (0..count).map(value).collect();
            let array = |rows: &[Option<i128>]| -> ArrayRef {
                Arc::new(rows.iter().copied().collect::<Decimal128Array>().with_data_type(data_type.clone()))
            };
            let arrays: Vec<ArrayRef> = rows.chunks(700).map(array).collect();
            let described = described_as(data_type.clone(), nullable);
            let descr = described.column(0);
            let plain = properties().set_dictionary_enabled(false).build();
            let chunk = encode_alone(&descr, &plain, &arrays).unwrap().unwrap();
            let pages = chunk.close.offset_index.as_ref().map(|offsets| offsets.page_locations().len());
            assert_eq!(pages, Some(count.div_ceil(PAGE_ROWS)));
            let found = read_columns(&described, chunk);
            let numbers = |rows: &ArrayRef| rows.as_primitive::<Decimal128Type>().iter().collect::<Vec<_>>();
            let found: Vec<Option<i128>> = found.iter().flat_map(numbers).collect();
            assert_eq!(found, rows, "{count} rows");
            // a dictionary, and statistics
            assert!(encode_alone(&descr, &properties().build(), &arrays).unwrap().is_none());
            let kept = properties().set_dictionary_enabled(false).set_statistics_enabled(EnabledStatistics::Chunk);
            assert!(encode_alone(&descr, &kept.build(), &arrays).unwrap().is_none());
        }
    }
}

/// Values that hardly recur are left alone, as are those of which statistics are kept.
#[test]
fn values_must_recur() {
    let descr = described_as(DataType::Int64, true).column(0);
    let is_coded = |properties: WriterPropertiesBuilder, distinct: i64| {
        let rows: ArrayRef = Arc::new((0..10_000).map(|n| Some(n % distinct)).collect::<Int64Array>());
        encode_alone(&descr, &properties.build(), &[rows]).unwrap().is_some()
    };
    assert!(is_coded(properties(), 1) && is_coded(properties(), 4096) && !is_coded(properties(), 6000));
    assert!(!is_coded(properties().set_statistics_enabled(EnabledStatistics::Chunk), 1));
    assert!(is_coded(properties().set_dictionary_page_size_limit(801), 100));
    assert!(!is_coded(properties().set_dictionary_page_size_limit(800), 100));
}

/// What is said of texts where bounds are kept is what they hold.
#[test]
fn texts_have_bounds() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["m", "", "z", "é", "a"]));
    let kept = properties().set_statistics_enabled(EnabledStatistics::Chunk).build();
    let bounds = |keys: &[Option<u32>]| {
        let descr = described(true).column(0);
        let chunk = encode_alone(&descr, &kept, &[coded(&texts, keys)]).unwrap().unwrap();
        let said = chunk.close.metadata.statistics().unwrap().clone();
        let bound = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        (bound(said.min_bytes_opt()), bound(said.max_bytes_opt()), said.null_count_opt())
    };
    let told = |least: &str, most: &str, nulls| (least.to_string(), most.to_string(), Some(nulls));
    assert_eq!(bounds(&[Some(0), None, Some(4), Some(2), None]), told("a", "z", 2));
    assert_eq!(bounds(&[Some(2), Some(3)]), told("z", "é", 0));
    assert_eq!(bounds(&[Some(1)]), told("", "", 0));
}

/// Ids of visitors, whose rows are side by side or not, as texts or as codes: each row has its id again, and what is said of each page
/// is what it holds.
#[test]
fn ids_have_bounds_by_page() {
    let patterns: [fn(usize) -> Option<String>; 6] = [
        |n| Some(format!("{}", n / 7 * 7919 % 100_000)),
        |n| Some(format!("{:06}", n / 3)),
        |n| Some(format!("{}", n % 50)),
        |n| (!(n / 4).is_multiple_of(5)).then(|| format!("é{}", n / 4 % 40)),
        |n| (!(900..2100).contains(&n)).then(String::new),
        |n| (n >= 1000).then(|| "one".to_string()),
    ];
    let kept = properties().set_statistics_enabled(EnabledStatistics::Page).build();
    for (number, pattern) in patterns.into_iter().enumerate() {
        for count in [1, 999, 1000, 1001, 2999] {
            let rows: Vec<Option<String>> = (0..count).map(pattern).collect();
            let whole: ArrayRef = Arc::new(rows.iter().cloned().collect::<StringArray>());
            let as_texts: Vec<ArrayRef> =
                (0..count).step_by(700).map(|at| whole.slice(at, (count - at).min(700))).collect();
            let distinct: ArrayRef = Arc::new(rows.iter().flatten().map(Some).collect::<StringArray>());
            let mut numbers = 0_u32..;
            let keys: Vec<Option<u32>> = rows.iter().map(|row| row.as_ref().and_then(|_| numbers.next())).collect();
            for arrays in [as_texts, vec![coded(&distinct, &keys)]] {
                let here = format!("{count} rows of pattern {number}, {} arrays", arrays.len());
                let described = described(true);
                let Some(chunk) = encode_alone(&described.column(0), &kept, &arrays).unwrap() else {
                    assert!(rows.iter().all(Option::is_none), "{here}");
                    continue;
                };
                let said = chunk.close.column_index.clone().unwrap();
                let ColumnIndexMetaData::BYTE_ARRAY(bounds) = &said else { unreachable!("{here}") };
                assert_eq!(said.num_pages() as usize, count.div_ceil(PAGE_ROWS), "{here}");
                let mut all = vec![];
                for (page, rows) in rows.chunks(PAGE_ROWS).enumerate() {
                    let ids = || rows.iter().flatten().map(String::as_bytes);
                    assert_eq!((bounds.min_value(page), bounds.max_value(page)), (ids().min(), ids().max()), "{here}");
                    let nulls = rows.iter().filter(|row| row.is_none()).count();
                    assert_eq!(said.null_count(page), Some(nulls as i64), "{here}");
                    all.extend(ids().min().zip(ids().max()));
                }
                let are_rising = all.windows(2).all(|pair| pair[0].0 <= pair[1].0 && pair[0].1 <= pair[1].1);
                let order = if are_rising { BoundaryOrder::ASCENDING } else { BoundaryOrder::UNORDERED };
                assert_eq!(said.get_boundary_order(), Some(order), "{here}");
                let statistics = chunk.close.metadata.statistics().unwrap();
                let ids = || rows.iter().flatten().map(String::as_bytes);
                assert_eq!((statistics.min_bytes_opt(), statistics.max_bytes_opt()), (ids().min(), ids().max()));
                assert_eq!(read(&described, chunk), rows, "{here}");
            }
        }
    }
}

/// What the other writer is for.
#[test]
fn others_are_left_alone() {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let others: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let rows = [coded(&texts, &[Some(0), Some(1)])];
    let descr = described(true).column(0);
    let is_coded = |properties: WriterPropertiesBuilder, arrays: &[ArrayRef]| {
        encode_alone(&descr, &properties.build(), arrays).unwrap().is_some()
    };
    assert!(is_coded(properties(), &rows));
    assert!(!is_coded(properties(), &[]));
    assert!(!is_coded(properties(), std::slice::from_ref(&texts)));
    assert!(!is_coded(properties(), &[rows[0].clone(), coded(&others, &[Some(0)])]));
    let of_pages = || properties().set_statistics_enabled(EnabledStatistics::Page);
    assert!(is_coded(of_pages(), &rows) && is_coded(of_pages(), &[texts.clone(), others.clone()]));
    assert!(!is_coded(of_pages(), &[rows[0].clone(), texts.clone()]));
    assert!(!is_coded(of_pages().set_dictionary_page_size_limit(10), std::slice::from_ref(&texts)));
    assert!(is_coded(of_pages().set_dictionary_page_size_limit(11), std::slice::from_ref(&texts)));
    let bounded = |bytes| {
        let bounds = properties().set_statistics_enabled(EnabledStatistics::Chunk);
        bounds.set_statistics_truncate_length(Some(bytes))
    };
    let long: ArrayRef = Arc::new(StringArray::from(vec!["a", "long"]));
    let long = [coded(&long, &[Some(0), Some(1)])];
    assert!(is_coded(bounded(1), &rows) && is_coded(bounded(4), &long) && !is_coded(bounded(3), &long));
    assert!(!is_coded(of_pages().set_column_index_truncate_length(Some(3)), &long));
    assert!(!is_coded(properties().set_bloom_filter_enabled(true), &rows));
    assert!(!is_coded(properties().set_dictionary_enabled(false), &rows));
    assert!(!is_coded(properties().set_compression(Compression::UNCOMPRESSED), &rows));
    assert!(!is_coded(properties().set_writer_version(WriterVersion::PARQUET_2_0), &rows));
    // two texts and their lengths
    assert!(!is_coded(properties().set_dictionary_page_size_limit(10), &rows));
    assert!(is_coded(properties().set_dictionary_page_size_limit(11), &rows));
}
