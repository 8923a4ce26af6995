//! Hits are decoded, each rule by example.
#![allow(clippy::unwrap_used)]

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type, TimestampMicrosecondType};

use super::*;

const HEADERS: &[&str] = &[
    "post_visid_high",
    "post_visid_low",
    "hit_time_gmt",
    "post_cust_hit_time_gmt",
    "visit_num",
    "visit_start_time_gmt",
    "visit_page_num",
    "hit_source",
    "exclude_hit",
    "duplicate_purchase",
    "hitid_high",
    "hitid_low",
    "post_transactionid",
    "post_cust_visid",
    "post_pagename",
    "post_page_url",
    "post_campaign",
    "campaign",
    "post_evar1",
    "evar1",
    "post_mvvar1",
    "post_event_list",
    "post_product_list",
    "post_customer_perspective",
    "user_agent",
];
const T: &str = "1767225600";

/// A record of the needed fields and those given.
fn record(fields: &[(&str, &str)]) -> String {
    let needed = [("post_visid_high", "12"), ("post_visid_low", "34"), ("hit_time_gmt", T), ("visit_num", "1")];
    let value = |header: &&str| {
        let found = fields.iter().chain(&needed).find(|(name, _)| name == header);
        found.map_or("", |(_, value)| value)
    };
    HEADERS.iter().map(value).collect::<Vec<_>>().join("\t")
}

fn decoder(headers: &[&str]) -> HitDecoder {
    HitDecoder::new(&HitLayout::from_headers(headers, "").unwrap(), &EventIds::standard())
}

fn decode_all(headers: &[&str], file: &[u8]) -> (HitCounts, Decoded) {
    let decoder = decoder(headers);
    let block = Block::new(file.to_vec(), 1);
    let (decoded, counts) = decoder.decode(&block, Encoding::of_bytes(file));
    assert_eq!(decoded.records(), counts.records);
    plain(&decoder, &decoded.batch);
    (counts, decoded)
}

/// The rows with all texts as such, however they came.
fn plain(decoder: &HitDecoder, batch: &RecordBatch) -> RecordBatch {
    let schema = decoder.schema();
    let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    assert_eq!(names(&batch.schema()), names(&schema));
    let columns = batch.columns().iter().zip(schema.fields());
    let columns = columns.map(|(column, field)| cast(column, field.data_type()).unwrap()).collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

fn decode(records: &[String]) -> Decoded {
    decode_all(HEADERS, records.join("\n").as_bytes()).1
}

fn text(decoded: &Decoded, column: &str) -> Vec<Option<String>> {
    let column = cast(decoded.batch.column_by_name(column).unwrap(), &DataType::Utf8).unwrap();
    column.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
}

fn numbers(decoded: &Decoded, column: &str) -> Vec<Option<f64>> {
    decoded.batch.column_by_name(column).unwrap().as_primitive::<Float64Type>().iter().collect()
}

fn integers(decoded: &Decoded, column: &str) -> Vec<Option<i64>> {
    decoded.batch.column_by_name(column).unwrap().as_primitive::<Int64Type>().iter().collect()
}

fn times(decoded: &Decoded, column: &str) -> Vec<Option<i64>> {
    decoded.batch.column_by_name(column).unwrap().as_primitive::<TimestampMicrosecondType>().iter().collect()
}

/// The dimensions and metrics that have a value.
fn names(decoded: &Decoded) -> Vec<String> {
    let schema = decoded.batch.schema();
    let columns = schema.fields().iter().zip(decoded.batch.columns()).skip(KEYS.len());
    columns.filter(|(_, array)| array.null_count() < array.len()).map(|(field, _)| field.name().clone()).collect()
}

fn some(values: &[&str]) -> Vec<Option<String>> {
    values.iter().map(|v| (!v.is_empty()).then(|| v.to_string())).collect()
}

#[test]
fn a_hit_and_the_columns_in_use() {
    let decoded = decode(&[
        record(&[
            ("post_event_list", "1,200=0,100"),
            ("post_product_list", "a;Shoes;2;50,a;Hat^,s;1;9.5"),
            ("post_pagename", "Thanks\\\tyou\\\\"),
            ("post_evar1", "kept"),
            ("hitid_high", "1"),
            ("hitid_low", "2"),
            ("visit_start_time_gmt", T),
        ]),
        record(&[("evar1", "é"), ("post_evar1", "é"), ("visit_page_num", "7"), ("exclude_hit", "4")]),
        record(&[("post_event_list", "20100"), ("post_transactionid", "L1,L2"), ("post_cust_visid", "c9")]),
    ]);
    assert_eq!(decoded.issues, []);
    assert_eq!(
        names(&decoded),
        [
            "page_name",
            "event_list",
            "product_list",
            "evar1",
            "evar1_set",
            "hitid_high",
            "hitid_low",
            "product",
            "category",
            "page_views",
            "orders",
            "units",
            "revenue",
            "event1",
            "event101"
        ]
    );
    assert_eq!(text(&decoded, "visitor_id"), some(&["12_34"; 3]));
    assert_eq!(text(&decoded, "page_name"), some(&["Thanks\tyou\\", "", ""]));
    assert_eq!(text(&decoded, "evar1"), some(&["kept", "é", ""]));
    assert_eq!(text(&decoded, "evar1_set"), some(&["", "é", ""]));
    assert_eq!(text(&decoded, "product"), some(&["Shoes--**--Hat,s", "", ""]));
    assert_eq!(text(&decoded, "category"), some(&["a", "", ""]));
    assert_eq!(text(&decoded, "transaction_id"), some(&["", "", "L1,L2"]));
    assert_eq!(text(&decoded, "customer_id"), some(&["", "", "c9"]));
    assert_eq!(numbers(&decoded, "page_views"), [Some(1.0), None, None]);
    assert_eq!(numbers(&decoded, "revenue"), [Some(59.5), None, None]);
    assert_eq!(numbers(&decoded, "event1"), [Some(0.0), None, None]);
    assert_eq!(numbers(&decoded, "event101"), [None, None, Some(1.0)]);
    assert_eq!(integers(&decoded, "hit_source"), [Some(1); 3]);
    assert_eq!(integers(&decoded, "exclude_hit"), [Some(0), Some(4), Some(0)]);
    assert_eq!(integers(&decoded, "visit_page_num"), [None, Some(7), None]);
    assert_eq!(times(&decoded, "hit_time"), [Some(1_767_225_600_000_000); 3]);
    assert_eq!(times(&decoded, "visit_start"), [Some(1_767_225_600_000_000), None, None]);
    let sequence = decoded.batch.column_by_name("hit_seq").unwrap().as_primitive::<Decimal128Type>();
    assert_eq!(sequence.value(0), columns::hit_sequence(1, 2).0);
    assert_ne!(sequence.value(1), sequence.value(2));
    for field in decoded.batch.schema().fields() {
        let expected = columns::key_field(field.name());
        assert!(expected.is_none_or(|expected| expected == **field), "{field:?}");
    }
}

#[test]
fn the_corrected_time_wins() {
    let decoded = decode(&[
        record(&[("post_cust_hit_time_gmt", "1767225601")]),
        record(&[("post_cust_hit_time_gmt", "0")]),
        record(&[("post_cust_hit_time_gmt", "1767225602"), ("hit_time_gmt", "")]),
    ]);
    assert_eq!(times(&decoded, "hit_time"), [1, 0, 2].map(|s| Some((1_767_225_600 + s) * 1_000_000)));
    assert_eq!(text(&decoded, "hit_time_gmt"), some(&[T, "", ""]));
}

#[test]
fn rows_that_adobe_integrated() {
    let row = |source: &str, visitor: &str, visit: &str| {
        let fields = [
            ("hit_source", source),
            ("post_visid_high", visitor),
            ("post_visid_low", visitor),
            ("visit_num", visit),
            ("post_pagename", "p"),
        ];
        record(&fields)
    };
    let decoded =
        decode(&[row("5", "", ""), row("8", "0", "0"), row("9", "1", "1"), row("7", "1", ""), row("2", "1", "1")]);
    assert_eq!(decoded.issues, []);
    assert_eq!(text(&decoded, "visitor_id"), some(&["", "", "", "1_1", "1_1"]));
    assert_eq!(integers(&decoded, "visit_num"), [None, None, None, None, Some(1)]);
    assert_eq!(numbers(&decoded, "page_views"), [None, None, None, None, Some(1.0)]);
}

#[test]
fn bad_rows_are_issues() {
    let bad: &[(&str, &str, &str)] = &[
        ("post_visid_high", "", "no visitor id"),
        ("post_visid_low", "a b", "\"a b\" is no half of a visitor id"),
        ("visit_num", "", "no visit number"),
        ("visit_num", "one", "\"one\" is no whole number"),
        ("visit_num", "-1", "no visit number"),
        ("hit_time_gmt", "", "no time"),
        ("hit_time_gmt", "2026-01-01", "is no whole number"),
        ("hit_time_gmt", "1767225600000", "milliseconds"),
        ("hit_time_gmt", "631151999", "between the years"),
        ("hit_time_gmt", "9223372036854775807", "between the years"),
        ("post_cust_hit_time_gmt", "7258118400", "between the years"),
        ("visit_start_time_gmt", "x", "is no whole number"),
        ("visit_page_num", "1.5", "is no whole number"),
        ("hit_source", "x", "is no whole number"),
        ("hitid_high", "x", "is no hit id"),
        ("post_customer_perspective", "x", "is no whole number"),
        ("user_agent", "a\0b", "NUL"),
    ];
    let mut records: Vec<String> = bad.iter().map(|(column, value, _)| record(&[(column, value)])).collect();
    records.extend([record(&[]), "too\tfew".to_owned(), format!("{}\tmore", record(&[]))]);
    let decoded = decode(&records);
    assert_eq!(decoded.batch.num_rows(), 1);
    for (issue, ((column, _, reason), line)) in decoded.issues.iter().zip(bad.iter().zip(1..)) {
        assert!(issue.reason.contains(reason), "{issue:?}, expected {reason}");
        assert_eq!((issue.line, issue.column.as_str()), (line, *column));
        assert_eq!(issue.text, records[line as usize - 1]);
    }
    let rest: Vec<_> = decoded.issues[bad.len()..].iter().map(|i| (i.line, i.reason.as_str())).collect();
    let expected = "expected 25; is column_headers.tsv from the same delivery?";
    assert_eq!(rest, [(19, &*format!("2 fields, {expected}")), (20, &*format!("26 fields, {expected}"))]);
    let zero = decode(&[record(&[("post_visid_high", "0"), ("post_visid_low", "0")])]);
    assert!(zero.issues[0].reason.contains("nobody"));
}

#[test]
fn transaction_ids_beyond_a_hundred_bytes() {
    let id = "x".repeat(49);
    let exact = format!("{id},{id}y");
    assert_eq!(exact.len(), 100);
    let decoded = decode(&[
        record(&[("post_transactionid", &exact)]),
        record(&[("post_transactionid", &format!("{exact},z"))]),
        record(&[("post_transactionid", &format!("{exact}z"))]),
        record(&[("post_transactionid", &"x".repeat(101))]),
    ]);
    assert_eq!(text(&decoded, "transaction_id"), some(&[&exact, &exact, &id, ""]));
    assert_eq!(decoded.warnings.iter().map(|w| w.line).collect::<Vec<_>>(), [2, 3, 4]);
    assert!(decoded.warnings[0].reason.ends_with("left out: z"), "{:?}", decoded.warnings[0]);
    assert_eq!(decoded.warnings[0].column, "post_transactionid");
}

#[test]
fn latin_1_and_windows_line_ends() {
    let file: Vec<u8> =
        [record(&[("post_pagename", "Käse")]), record(&[])].join("\r\n").chars().map(|c| c as u8).collect();
    let (_, decoded) = decode_all(HEADERS, &file);
    assert_eq!(text(&decoded, "page_name"), some(&["Käse", ""]));
    let (decoded, _) = decoder(HEADERS).decode(&Block::new(file, 5), Encoding::Utf8);
    assert_eq!((decoded.batch.num_rows(), decoded.issues.len(), decoded.issues[0].line), (1, 1, 5));
}

#[test]
fn empty_feed() {
    let (counts, decoded) = decode_all(HEADERS, b"");
    assert_eq!((decoded.batch.num_rows(), counts), (0, HitCounts::default()));
}

#[test]
fn twelve_hundred_columns() {
    let evars: Vec<String> = (1..=250).flat_map(|n| [format!("evar{n}"), format!("post_evar{n}")]).collect();
    let others: Vec<String> = (0..700).map(|n| format!("other{n}")).collect();
    let headers: Vec<&str> = ["visid_high", "visid_low", "hit_time_gmt", "visit_num"]
        .into_iter()
        .chain(evars.iter().chain(&others).map(String::as_str))
        .collect();
    let row = format!("1\t2\t{T}\t3{}", "\t".repeat(1200));
    let full = format!("1\t2\t{T}\t3\t{}x", "v\t".repeat(1199));
    let (_, decoded) = decode_all(&headers, format!("{row}\n{full}\n{row}").as_bytes());
    assert_eq!(decoded.issues, []);
    assert_eq!(names(&decoded).len(), 500 + 700);
    assert_eq!(text(&decoded, "other699"), some(&["", "x", ""]));
    assert_eq!(decoded.batch.column_by_name("evar250_set").unwrap().null_count(), 2);
}

#[test]
fn decoding_does_not_depend_on_blocks() {
    let records: Vec<String> = (0..50).map(|n| record(&[("post_evar1", &format!("v{n}\\\nx"))])).collect();
    let file = records.join("\n");
    let whole = Block::new(file.clone().into_bytes(), 1);
    let decoder = decoder(HEADERS);
    let decode = |block: &Block| plain(&decoder, &decoder.decode(block, Encoding::Utf8).0.batch);
    let parts: Vec<RecordBatch> =
        whole.records().map(|(first_line, record)| decode(&Block::new(record.to_vec(), first_line))).collect();
    assert_eq!(arrow::compute::concat_batches(&decoder.schema(), &parts).unwrap(), decode(&whole));
}

/// Blocks of a decoder say how much room those after them make and whether values recur, and nothing else: few large texts, many small
/// ones, none, and one that is not valid among them.
#[test]
fn former_blocks_change_no_text() {
    let used = decoder(HEADERS);
    let large = record(&[("post_pagename", &"x".repeat(100_000)), ("post_evar1", "a\\\tb")]);
    let small: Vec<String> = (0..3000).map(|n| record(&[("post_page_url", &format!("é{n}"))])).collect();
    let broken = [large.as_bytes(), &b"\n\xC3\n\xEF\xBB\xBF"[..], small[0].as_bytes()].concat();
    let blocks = [large.clone().into_bytes(), small.join("\n").into_bytes(), vec![], broken];
    for turn in 0..2 {
        for (number, bytes) in blocks.iter().enumerate() {
            let block = Block::new(bytes.clone(), 1);
            let (found, counts) = used.decode(&block, Encoding::Utf8);
            let (alone, alone_counts) = decoder(HEADERS).decode(&block, Encoding::Utf8);
            assert_eq!(plain(&used, &found.batch), plain(&used, &alone.batch), "block {number}, turn {turn}");
            assert_eq!((found.issues.len(), counts), (usize::from(number == 3), alone_counts), "block {number}");
            let urls = text(&found, "page_url");
            match number {
                0 => assert_eq!((urls, text(&found, "evar1")), (vec![None], some(&["a\tb"]))),
                1 => assert_eq!(urls[2999].as_deref(), Some("é2999")),
                2 => assert!(urls.is_empty()),
                _ => assert_eq!(urls, [None, Some("é0".to_string())]),
            }
        }
    }
}

#[test]
fn a_nul_byte_is_that_of_one_record() {
    let named = |name: &str| record(&[("post_pagename", name)]);
    let decoded = decode(&[named("a"), named("b\0"), named("c")]);
    let issues: Vec<(u64, &str)> = decoded.issues.iter().map(|issue| (issue.line, issue.column.as_str())).collect();
    assert_eq!(issues, [(2, "post_pagename")]);
    assert_eq!(text(&decoded, "page_name"), some(&["a", "c"]));
}

#[test]
fn counts_of_parts_add_up() {
    let of = |text: &str, first_line| decoder(HEADERS).decode(&Block::new(text.into(), first_line), Encoding::Utf8).1;
    let (good, long) = (record(&[]), format!("{}\tmore", record(&[])));
    let (one, other) = (of(&format!("{good}\n\nbad\tx\n"), 1), of(&format!("{long}\n{good}\n{long}\n"), 4));
    assert_eq!(
        one,
        HitCounts { records: 2, wrong: Some(WrongFields { records: 1, line: 3, fields: 2 }), ..HitCounts::default() }
    );
    let both =
        HitCounts { records: 5, wrong: Some(WrongFields { records: 3, line: 3, fields: 2 }), ..HitCounts::default() };
    assert_eq!((one.and(other), other.and(one)), (both, both));
    assert_eq!(one.and(HitCounts::default()), one);
}

#[test]
fn instances_say_what_a_row_touched() {
    let ids = EventIds::parse("100\tInstance of eVar 1\n20\tCampaign View\n");
    let decoder = HitDecoder::new(&HitLayout::from_headers(HEADERS, "").unwrap(), &ids);
    let records = [
        record(&[("post_evar1", "boots"), ("post_event_list", "100,200")]),
        record(&[("post_evar1", "boots"), ("evar1", "x")]),
        record(&[("evar1", "x"), ("post_event_list", "100")]),
        record(&[("post_campaign", "mail"), ("campaign", "mail"), ("post_event_list", "20,1")]),
        record(&[("post_campaign", "mail"), ("post_event_list", "100")]),
    ];
    let block = Block::new(records.join("\n").into_bytes(), 1);
    let (decoded, counts) = decoder.decode(&block, Encoding::Utf8);
    assert_eq!(decoded.issues, []);
    assert_eq!(text(&decoded, "evar1"), some(&["boots", "boots", "", "", ""]));
    assert_eq!(text(&decoded, "evar1_set"), some(&["boots", "", "", "", ""]));
    assert_eq!(text(&decoded, "tracking_code_set"), some(&["", "", "", "mail", ""]));
    assert_eq!(numbers(&decoded, "orders"), [None, None, None, Some(1.0), None]);
    // the first three: one set by a rule, one taken away, one without a processed value
    assert_eq!((counts.disagreeing, decoder.told_by()), (3, Some(TouchSource::Instances)));
}

#[test]
fn channels_and_lists_say_where_they_were_set() {
    let mut headers = HEADERS.to_vec();
    headers.extend(["va_closer_id", "va_closer_detail", "va_instance_event", "mvvar1_instances", "mvvar2_instances"]);
    let row = |more: &[&str]| format!("{}\t{}", record(&[("post_mvvar1", "a--**--b")]), more.join("\t"));
    let rows = [row(&["3", "mail", "1", "b", "x"]), row(&["3", "mail", "0", "", ""]), row(&["3", "mail", "", "", ""])];
    let (_, decoded) = decode_all(&headers, rows.join("\n").as_bytes());
    assert_eq!(decoded.issues, []);
    assert_eq!(text(&decoded, "marketing_channel"), some(&["3"; 3]));
    assert_eq!(text(&decoded, "marketing_channel_set"), some(&["3", "", ""]));
    assert_eq!(text(&decoded, "marketing_channel_detail_set"), some(&["mail", "", ""]));
    assert_eq!(text(&decoded, "va_instance_event"), some(&["1", "0", ""]), "stays readable");
    assert_eq!(text(&decoded, "list1_set"), some(&["b", "", ""]));
    assert_eq!(text(&decoded, "mvvar2_instances"), some(&["x", "", ""]), "without the list itself it is any column");
    let flags =
        ["persisted_channel", "persisted_list1", "persisted_list2"].map(|flag| decoded.batch.column_by_name(flag));
    assert_eq!(flags.map(|flag| flag.map(|flag| flag.as_boolean().true_count())), [Some(3), Some(3), None]);
}

#[test]
fn background_hits_are_marked() {
    let of = |perspective| record(&[("post_customer_perspective", perspective)]);
    let decoded = decode(&[of("0"), of("1"), of(""), of("2")]);
    let marks = decoded.batch.column_by_name("background_hit").unwrap().as_boolean();
    assert_eq!(marks.iter().collect::<Vec<_>>(), [None, Some(true), None, Some(true)]);
    assert_eq!(text(&decoded, "post_customer_perspective"), some(&["0", "1", "", "2"]), "it stays readable");
    // rows of data sources are no hits
    let of = |source| record(&[("hit_source", source), ("post_customer_perspective", "1")]);
    let decoded = decode(&["1", "2", "5", "7", "8", "9"].map(of));
    let marks = decoded.batch.column_by_name("background_hit").unwrap().as_boolean();
    assert_eq!(marks.iter().collect::<Vec<_>>(), [Some(true), Some(true), None, None, None, None]);
}

#[test]
fn dirty_lists_leave_the_row() {
    let decoded = decode(&[
        record(&[("post_event_list", "200=1^,5,201"), ("post_pagename", "p")]),
        record(&[("post_event_list", "1"), ("post_product_list", ";boot;undefined;NaN,;hat;1;9.5")]),
        record(&[("post_event_list", "foo,200=abc")]),
        record(&[("post_event_list", "1")]),
    ]);
    assert_eq!((decoded.issues.as_slice(), decoded.batch.num_rows()), ([].as_slice(), 4));
    assert_eq!(numbers(&decoded, "page_views")[0], Some(1.0));
    assert_eq!(numbers(&decoded, "event2")[0], Some(1.0));
    assert_eq!(numbers(&decoded, "revenue"), [None, Some(9.5), None, None]);
    let warnings: Vec<_> = decoded.warnings.iter().map(|w| (w.line, w.column.as_str())).collect();
    assert_eq!(warnings, [(1, "post_event_list"), (2, "post_product_list"), (3, "post_event_list")]);
}
