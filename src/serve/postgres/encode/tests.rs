//! Values as text and in binary, as PostgreSQL writes them.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use arrow::array::{Decimal128Array, DictionaryArray, ListBuilder, StringBuilder, UInt64Array};
use arrow::datatypes::Int64Type;

use super::*;
use crate::serve::postgres::copy::read;
use crate::serve::postgres::types::list_field;

fn texts(array: ArrayRef) -> Vec<Option<String>> {
    texts_in(Zone::UTC, array)
}

fn texts_in(zone: Zone, array: ArrayRef) -> Vec<Option<String>> {
    let column = Column::of(Values::new(&array, zone).unwrap());
    let value = |row| {
        let mut out = BytesMut::new();
        (!column.is_null(row)).then(|| {
            column.text(row, &mut out);
            String::from_utf8(out.to_vec()).unwrap()
        })
    };
    (0..array.len()).map(value).collect()
}

fn words(text: &str) -> Vec<i16> {
    let mut out = BytesMut::new();
    numeric(text, &mut out);
    out.chunks(2).map(|b| i16::from_be_bytes([b[0], b[1]])).collect()
}

#[test]
fn numerics_as_postgres_sends_them() {
    // SELECT numeric_send(x) of PostgreSQL 15
    assert_eq!(words("0"), [0, 0, 0, 0]);
    assert_eq!(words("0.00"), [0, 0, 0, 2]);
    assert_eq!(words("1"), [1, 0, 0, 0, 1]);
    assert_eq!(words("12345.678"), [3, 1, 0, 3, 1, 2345, 6780]);
    assert_eq!(words("-0.05"), [1, -1, 0x4000, 2, 500]);
    assert_eq!(words("10000"), [1, 1, 0, 0, 1]);
    assert_eq!(words("0.00001234"), [1, -2, 0, 8, 1234]);
    assert_eq!(words("18446744073709551615"), [5, 4, 0, 0, 1844, 6744, 737, 955, 1615]);
}

#[test]
fn values_as_psql_shows_them() {
    let some = |values: &[&str]| values.iter().map(|v| Some(v.to_string())).collect::<Vec<_>>();
    let money = Decimal128Array::from(vec![-5, 1234]).with_precision_and_scale(10, 2).unwrap();
    assert_eq!(texts(Arc::new(money)), some(&["-0.05", "12.34"]));
    assert_eq!(texts(Arc::new(UInt64Array::from(vec![u64::MAX]))), some(&["18446744073709551615"]));
    assert_eq!(texts(Arc::new(BooleanArray::from(vec![Some(true), None]))), [Some("t".to_string()), None]);
    assert_eq!(texts(Arc::new(Float64Array::from(vec![f64::NAN, 0.1]))), some(&["NaN", "0.1"]));
    let dictionary: DictionaryArray<Int32Type> = vec!["a", "b", "a"].into_iter().collect();
    assert_eq!(texts(Arc::new(dictionary)), some(&["a", "b", "a"]));
    // an entry that is not there, one that is NULL, one by other numbers
    let entries = || Arc::new(StringArray::from(vec![Some("a"), None, Some("c")]));
    let keys = Int32Array::from(vec![Some(2), None, Some(1), Some(0)]);
    let expected = [Some("c".to_string()), None, None, Some("a".into())];
    assert_eq!(texts(Arc::new(DictionaryArray::new(keys, entries()))), expected);
    let keys = Int16Array::from(vec![Some(2), None]);
    assert_eq!(texts(Arc::new(DictionaryArray::new(keys, entries()))), expected[..2]);
    let times = PrimitiveArray::<TimestampMicrosecondType>::from(vec![0, -1, 1_250_000]);
    let expected = ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "1970-01-01 00:00:01.25"];
    assert_eq!(texts(Arc::new(times.clone())), some(&expected));
    let zoned = times.with_timezone("Europe/Berlin");
    assert_eq!(texts(Arc::new(zoned))[0].as_deref(), Some("1970-01-01 00:00:00+00"));
    // SELECT of PostgreSQL 15 in these zones, before and after a change of clocks
    let instants = vec![1_792_888_800_000_000, 1_792_892_400_000_000, -2_745_000_000_500_000];
    let instants = PrimitiveArray::<TimestampMicrosecondType>::from(instants).with_timezone("UTC");
    let expected = some(&["2026-10-25 02:40:00+02", "2026-10-25 02:40:00+01", "1883-01-06 04:53:27.5+00:53:28"]);
    assert_eq!(texts_in(chrono_tz::Europe::Berlin.into(), Arc::new(instants.clone())), expected);
    let expected = Some("2026-10-25 06:10:00+05:30".to_string());
    assert_eq!(texts_in(chrono_tz::Asia::Kolkata.into(), Arc::new(instants))[0], expected);
    let intervals = PrimitiveArray::<IntervalMonthDayNanoType>::from(vec![
        IntervalMonthDayNano::new(14, 3, 14_706_500_000_000),
        IntervalMonthDayNano::new(0, 0, 0),
        IntervalMonthDayNano::new(0, 1, -1_000_000_000),
    ]);
    let expected = ["1 year 2 mons 3 days 04:05:06.5", "00:00:00", "1 day -00:00:01"];
    assert_eq!(texts(Arc::new(intervals)), some(&expected));
    let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), Some(vec![]), None]);
    assert_eq!(texts(Arc::new(list)), [Some("{1,NULL}".to_string()), Some("{}".into()), None]);
    // items are quoted where they could be misread
    let mut list = ListBuilder::new(StringBuilder::new());
    list.append_value([Some("a"), Some("b c"), Some(""), Some("Null"), Some("\"\\"), Some("1,5"), None]);
    let expected = r#"{a,"b c","","Null","\"\\","1,5",NULL}"#;
    assert_eq!(texts(Arc::new(list.finish())), some(&[expected]));
}

#[test]
fn rows_that_are_cut_from_one_buffer() {
    let count = 3 * BUFFER_BYTES as i64 / 16;
    let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..count));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..count).map(|n| "x".repeat(n as usize % 90))));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
    let expected = |n: i64| {
        let mut out = BytesMut::new();
        for text in [n.to_string(), "x".repeat(n as usize % 90)] {
            out.put_i32(text.len() as i32);
            out.put_slice(text.as_bytes());
        }
        out
    };
    // each gone before the next one comes, and all of them kept
    let rows = || EncodedRows::new(&batch, &Format::UnifiedText, Zone::UTC).unwrap();
    for (n, row) in (0..).zip(rows()) {
        assert_eq!((row.field_count, row.data), (2, expected(n)));
    }
    let kept: Vec<_> = rows().collect();
    assert_eq!(kept.len() as i64, count);
    assert!((0..).zip(&kept).all(|(n, row)| row.data == expected(n)));
}

#[test]
fn rows_of_copy() {
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(-5), None]));
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a\tb,\"c\"", ""]));
    let batch = RecordBatch::try_from_iter([("n", numbers), ("t", texts)]).unwrap();
    let copied = |sql: &str| {
        let (_, copy) = read(sql).unwrap().unwrap();
        let (mut rows, mut out) = (CopyRows::new(&batch, &copy, Zone::UTC).unwrap(), BytesMut::new());
        while rows.write_next(&mut out) {}
        out.to_vec()
    };
    for (sql, expected) in [
        ("COPY t TO STDOUT", "-5\ta\\tb,\"c\"\n\\N\t\n"),
        ("COPY t TO STDOUT (FORMAT csv)", "-5,\"a\tb,\"\"c\"\"\"\n,\"\"\n"),
        // what numbers are written with may mean something else
        ("COPY t TO STDOUT (DELIMITER '-')", "\\-5-a\\tb,\"c\"\n\\N-\n"),
        ("COPY t TO STDOUT (FORMAT csv, NULL '-5')", "\"-5\",\"a\tb,\"\"c\"\"\"\n-5,\n"),
    ] {
        assert_eq!(String::from_utf8(copied(sql)).unwrap(), expected, "{sql}");
    }
    let mut expected = BytesMut::new();
    for row in EncodedRows::new(&batch, &Format::UnifiedBinary, Zone::UTC).unwrap() {
        expected.put_i16(row.field_count);
        expected.put_slice(&row.data);
    }
    assert_eq!(copied("COPY t TO STDOUT (FORMAT binary)"), expected);
}

#[test]
fn columns_of_copy_that_need_a_look_and_others() {
    let plain: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), None, Some("b c")]));
    let special: ArrayRef = Arc::new(StringArray::from(vec!["tab\t", "x", "x,y"]));
    let entries: DictionaryArray<Int32Type> = vec![Some("\\"), None, Some("\\")].into_iter().collect();
    let entries: ArrayRef = Arc::new(entries);
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    let columns = [("p", plain.slice(1, 2)), ("s", special.slice(1, 2)), ("d", entries.slice(1, 2)), ("t", truth)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    for (sql, expected) in [
        ("COPY t TO STDOUT", "\\N\tx\t\\N\tt\nb c\tx,y\t\\\\\tf\n"),
        ("COPY t TO STDOUT (FORMAT csv)", ",x,,t\nb c,\"x,y\",\\,f\n"),
        ("COPY t TO STDOUT (FORMAT csv, NULL 'x')", "x,\"x\",x,t\nb c,\"x,y\",\\,f\n"),
    ] {
        let (_, copy) = read(sql).unwrap().unwrap();
        let (mut rows, mut out) = (CopyRows::new(&batch, &copy, Zone::UTC).unwrap(), BytesMut::new());
        while rows.write_next(&mut out) {}
        assert_eq!(String::from_utf8(out.to_vec()).unwrap(), expected, "{sql}");
    }
}

#[test]
fn lists_of_a_catalog_as_its_clients_read_them() {
    let list = ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(25), Some(23)]), Some(vec![])]);
    let array: ArrayRef = Arc::new(list);
    let sent = |list: Type, row: usize, binary: bool| {
        let field = list_field("l", &list);
        assert_eq!((pg_type_of(&field), field.data_type()), (list.clone(), array.data_type()));
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array.clone()]).unwrap();
        let (column, _) = EncodedRows::new(&batch, &Format::UnifiedText, Zone::UTC).unwrap().columns.remove(0);
        let mut out = BytesMut::new();
        if binary {
            column.binary(row, &mut out)
        } else {
            column.text(row, &mut out)
        }
        out.to_vec()
    };
    // SELECT proargtypes, proallargtypes FROM pg_proc of PostgreSQL 15, in text
    assert_eq!(sent(Type::OID_VECTOR, 0, false), b"25 23");
    assert_eq!(sent(Type::OID_VECTOR, 1, false), b"");
    assert_eq!(sent(Type::OID_ARRAY, 0, false), b"{25,23}");
    // oidvectorsend and array_send: a vector begins at 0
    let numbers = |bytes: Vec<u8>| -> Vec<i32> {
        bytes.chunks(4).map(|four| i32::from_be_bytes(four.try_into().unwrap())).collect()
    };
    assert_eq!(numbers(sent(Type::OID_VECTOR, 0, true)), [1, 0, 26, 2, 0, 4, 25, 4, 23]);
    assert_eq!(numbers(sent(Type::OID_VECTOR, 1, true)), [1, 0, 26, 0, 0]);
    assert_eq!(numbers(sent(Type::OID_ARRAY, 0, true)), [1, 0, 26, 2, 1, 4, 25, 4, 23]);
    assert_eq!(numbers(sent(Type::OID_ARRAY, 1, true)), [0, 0, 26]);
}
