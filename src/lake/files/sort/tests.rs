//! Rows in memory, in the order that a plain sort has.
#![allow(clippy::unwrap_used)]
use arrow::array::{BooleanArray, Float64Array};
use arrow::datatypes::Schema;

use super::*;
use crate::columns;

type Row = (i64, Option<&'static str>, i64, i128, Option<&'static str>, Option<f64>);

fn batch(rows: &[Row]) -> RecordBatch {
    let key = |name| columns::key_field(name).unwrap();
    let fields = vec![
        key(VISITOR_KEY),
        key(VISITOR_ID),
        key(HIT_TIME),
        key(HIT_SEQ),
        columns::dimension("page"),
        columns::metric("orders"),
        key("suite"),
        key(columns::PERSISTED),
    ];
    let sequences: Decimal128Array = rows.iter().map(|r| Some(r.3)).collect();
    let times: TimestampMicrosecondArray = rows.iter().map(|r| Some(r.2)).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|r| Some(r.0)).collect::<Int64Array>()),
        Arc::new(rows.iter().map(|r| r.1).collect::<StringArray>()),
        Arc::new(times.with_timezone("UTC")),
        Arc::new(sequences.with_data_type(columns::sequence())),
        Arc::new(rows.iter().map(|r| r.4).collect::<StringArray>()),
        Arc::new(rows.iter().map(|r| r.5).collect::<Float64Array>()),
        Arc::new(StringArray::from(vec!["s"; rows.len()])),
        Arc::new(BooleanArray::from(vec![true; rows.len()])),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

#[test]
fn records_in_one_place_lie_after_hits_by_file_row_and_source() {
    type Given = (&'static str, Option<i64>, Option<&'static str>);
    let place: Row = (7, Some("a"), 9, 1, None, None);
    let rows = |given: &[Given]| {
        let plain = batch(&vec![place; given.len()]);
        let mut fields = plain.schema().fields().to_vec();
        let mut columns = plain.columns().to_vec();
        for name in [FILE, ROW, SOURCE, HIT_ID_REST] {
            fields.push(Arc::new(columns::key_field(name).unwrap()));
        }
        columns.push(Arc::new(given.iter().map(|row| Some(row.0)).collect::<StringArray>()));
        columns.push(Arc::new(given.iter().map(|row| row.1).collect::<Int64Array>()));
        columns.push(Arc::new(given.iter().map(|row| row.2).collect::<StringArray>()));
        let rests = given.iter().map(|row| row.1.is_none().then_some(3_i64));
        columns.push(Arc::new(rests.collect::<Int64Array>()));
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
    };
    let in_order: [Given; 6] = [
        ("c", None, None),
        ("a.txt", Some(10), Some("tills")),
        ("b.txt", Some(2), Some("calls")),
        ("b.txt", Some(2), Some("tills")),
        ("b.txt", Some(3), Some("calls")),
        ("b.txt", Some(11), Some("tills")),
    ];
    let expected = rows(&in_order);
    for places in [[5, 4, 3, 2, 1, 0], [2, 5, 0, 4, 1, 3], [1, 3, 5, 0, 2, 4]] {
        for cut in 1..=6 {
            let mut dictionaries = Dictionaries::new(&expected.schema(), usize::MAX);
            let mut heap = Heap::new(expected.schema());
            for piece in places.map(|place| in_order[place]).chunks(cut) {
                heap.push(&rows(piece), &mut dictionaries).unwrap();
            }
            let sorted = heap.sorted(layout::bucket_of(7));
            let all = (0..expected.num_columns()).collect();
            let shape = dictionaries.shape(&expected.schema(), all).unwrap();
            let columns = heap.gather(&sorted, &shape).unwrap();
            let gathered = RecordBatch::try_new(shape.schema.clone(), columns).unwrap();
            for name in [FILE, ROW, SOURCE] {
                let [found, expected] = [&gathered, &expected].map(|rows| rows.column_by_name(name).unwrap());
                assert_eq!(found, expected, "{name} of {places:?}, pieces of {cut}");
            }
        }
    }
}

/// Keys that are spread, that are close, at both ends, in few places, sorted and backwards: a plain stable sort has the same order.
#[test]
fn positions_are_sorted_by_key_and_time() {
    fn hashed(n: usize) -> i64 {
        (n as i64).wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64)
    }
    let keys: [fn(usize) -> i64; 7] = [
        |n| hashed(n / 3),
        |n| hashed(n) >> 3,
        |n| (n * 7919 % 1000) as i64 - 500,
        |n| [i64::MIN, i64::MAX, 0][n % 3],
        |n| if n.is_multiple_of(100) { hashed(n) } else { 7 },
        |n| n as i64,
        |n| -(n as i64),
    ];
    for (number, key) in keys.into_iter().enumerate() {
        for count in [0, 1, 2, 15, 16, 17, 1000, 20_000] {
            let position =
                |n: usize| Position { key: key(n), time: (n * 31 % 5) as i64, piece: (n / 100) as u32, row: n as u32 };
            let mut positions: Vec<Position> = (0..count).map(position).collect();
            let mut expected = positions.clone();
            expected.sort_by_key(|p| (p.key, p.time));
            sort_by_key_and_time(&mut positions);
            let rows = |positions: &[Position]| positions.iter().map(|p| p.row).collect::<Vec<_>>();
            assert_eq!(rows(&positions), rows(&expected), "{count} of keys {number}");
        }
    }
}

/// Codes of one text, of few, of many, and none, in pieces by turns: each row has its text again.
#[test]
fn codes_of_all_forms_are_gathered() {
    let text = |n: usize| match n {
        0..100 => Some("one".to_string()),
        100..200 => (!n.is_multiple_of(3)).then(|| format!("text {}", n % 7)),
        200..300 => None,
        300..400 => Some("other".to_string()),
        _ => Some(format!("text {}", n / 2)),
    };
    let piece = |numbers: Range<usize>| {
        let key = |n: usize| (n as i64).wrapping_mul(0x9e3_779b_97f4_a7c1);
        let rows: Vec<Row> = numbers.clone().map(|n| (key(n), Some("a"), n as i64, 0, None, None)).collect();
        let plain = batch(&rows);
        let mut columns = plain.columns().to_vec();
        columns[4] = Arc::new(numbers.map(text).collect::<StringArray>());
        RecordBatch::try_new(plain.schema(), columns).unwrap()
    };
    // with the last piece codes take more than 16 bits
    for ends in [vec![0, 100, 200, 300, 400], vec![0, 100, 200, 300, 400, 140_400]] {
        let pieces: Vec<RecordBatch> = ends.windows(2).map(|ends| piece(ends[0]..ends[1])).collect();
        let schema = pieces[0].schema();
        let (mut heap, mut dictionaries) = (Heap::new(schema.clone()), Dictionaries::new(&schema, usize::MAX));
        for piece in &pieces {
            heap.push(piece, &mut dictionaries).unwrap();
        }
        let shape = dictionaries.shape(&schema, (0..schema.fields().len()).collect()).unwrap();
        assert!(matches!(shape.forms[4], Form::Keys(_)));
        let texts = dictionaries.into_texts(&shape).unwrap();
        let mut count = 0;
        for bucket in 0..layout::BUCKETS {
            let columns = heap.gather(&heap.sorted(bucket), &shape).unwrap();
            let rows = texts.beside(&RecordBatch::try_new(shape.schema.clone(), columns).unwrap()).unwrap();
            let numbers = rows.column(2).as_primitive::<TimestampMicrosecondType>().values();
            let expected: StringArray = numbers.iter().map(|n| text(*n as usize)).collect();
            let found = arrow::compute::cast(rows.column(4), &DataType::Utf8).unwrap();
            assert_eq!(found.as_string::<i32>(), &expected);
            count += numbers.len();
        }
        assert_eq!(Some(&count), ends.last());
    }
}

/// Pushed in pieces of any size, rows come out as a plain sort of tuples has them.
#[test]
fn every_cut_gives_the_same_order() {
    let rows: Vec<Row> = vec![
        (7, Some("b"), 5, 2, Some("p"), None),
        (7, Some("a"), 9, 1, Some("q"), Some(1.0)),
        (7, Some("b"), 5, 1, None, None),
        (-3, None, 1, 1, Some("p"), Some(2.0)),
        (i64::MIN, Some("x"), 1, 1, Some("p"), None),
        (7, None, 0, 0, Some("r"), None),
        (7, Some("a"), 9, 0, Some("p"), None),
        (9, Some("c"), 3, 8, Some("p"), Some(0.0)),
        (9, Some("c"), 3, 4, Some("p"), None),
        (9, Some("c"), 1, 9, None, None),
    ];
    let mut expected = rows.clone();
    expected.sort_by(|a, b| {
        let id = |r: &Row| (r.1.is_none(), r.1);
        (a.0, id(a), a.2, a.3).cmp(&(b.0, id(b), b.2, b.3))
    });
    let expected = batch(&expected);
    for cut in 1..=rows.len() {
        let mut heap = Heap::new(expected.schema());
        rows.chunks(cut).for_each(|piece| {
            heap.push(&batch(piece), &mut Dictionaries::default()).unwrap();
        });
        let all = Shape::plain(&expected.schema());
        let parts: Vec<_> = rows.chunks(cut).map(|piece| 0..piece.len()).collect();
        let gathered = heap.gather(&heap.sorted_parts(&parts), &all).unwrap();
        assert_eq!(RecordBatch::try_new(expected.schema(), gathered).unwrap(), expected, "pieces of {cut}");
        for bucket in 0..layout::BUCKETS {
            let (beside, ids) = heap.sorted_beside_ids(bucket);
            let places = |positions: &[Position]| positions.iter().map(|p| (p.piece, p.row)).collect::<Vec<_>>();
            assert_eq!(places(&beside), places(&heap.sorted(bucket)), "bucket {bucket} of pieces of {cut}");
            assert_eq!(ids.is_some(), !beside.is_empty());
            if ids.is_some() {
                let mut gathered = heap.gather_beside(ids, &beside, &all).unwrap();
                gathered[1] = cast(&gathered[1], &DataType::Utf8).unwrap();
                assert_eq!(gathered, heap.gather(&beside, &all).unwrap(), "bucket {bucket} of pieces of {cut}");
            }
        }
        let by_bucket: Vec<Position> = (0..layout::BUCKETS).flat_map(|b| heap.sorted(b)).collect();
        let gathered = heap.gather(&by_bucket, &all).unwrap();
        assert_eq!(RecordBatch::try_new(expected.schema(), gathered).unwrap(), expected, "buckets of {cut}");
    }
}

/// Ids come as numbers of their texts where each key is of one visitor, and as texts where one is of two, or nobody has one.
#[test]
fn ids_are_a_text_for_each_key() {
    let row = |key: i64, id: Option<&'static str>, time: i64| (key, id, time, 0, None, None);
    let (a, b) = (Some("a visitor of many letters"), Some("b"));
    let of_one: [Row; 6] = [row(9, b, 3), row(7, a, 9), row(8, None, 2), row(9, b, 1), row(7, a, 2), row(7, a, 9)];
    let of_two: [Row; 3] = [row(7, b, 1), row(7, a, 2), row(9, b, 3)];
    let nobodys: [Row; 2] = [row(7, None, 2), row(8, None, 1)];
    for (rows, is_coded) in [(of_one.as_slice(), true), (of_two.as_slice(), false), (nobodys.as_slice(), false)] {
        let mut heap = Heap::new(batch(rows).schema());
        rows.chunks(2).for_each(|piece| {
            heap.push(&batch(piece), &mut Dictionaries::default()).unwrap();
        });
        let (positions, ids) = heap.sorted_beside_ids(layout::bucket_of(7));
        let ids = ids.unwrap();
        assert_eq!(coded_texts(&ids).is_some(), is_coded);
        if let Some((_, texts)) = coded_texts(&ids) {
            assert_eq!(texts, &StringArray::from(vec![a, b]));
        }
        let mut expected = rows.to_vec();
        expected.sort_by_key(|row| (row.0, row.1.is_none(), row.1, row.2));
        let expected: StringArray = expected.iter().map(|row| row.1).collect();
        assert_eq!(cast(&ids, &DataType::Utf8).unwrap().as_string::<i32>(), &expected);
        assert_eq!(positions.len(), rows.len());
    }
}
