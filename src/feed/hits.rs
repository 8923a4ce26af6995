//! A feed's hits: blocks of records in, Arrow rows out.
//!
//! In: what the headers say ([`HitLayout`]). Out: one batch for each block, all of one schema: keys, then all dimensions
//! and metrics that the feed may have; the many without a value in a block share one array of NULLs. A decoder is shared
//! by threads; the cost of a row is that of its fields that are not empty, however many columns the feed has.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Builder, Int64Array, StringBuilder,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::event_list::EventIds;
use super::hit_columns::{HitLayout, ROLES, Role};
use super::hit_keys::{HitKeys, Parts, read_keys, usable_transaction_ids};
use super::hit_metrics::{BadField, HitAmounts, HitMetrics, MetricInput};
use super::records::{Block, non_empty_fields, unescape};
use super::text::Encoding;
use super::{Decoded, RowIssue, row_issue};
use crate::columns;

/// The columns that every batch has, in order; dimensions and metrics follow.
const KEYS: [&str; 12] = [
    columns::VISITOR_ID,
    columns::HIT_TIME,
    columns::HIT_SEQ,
    columns::VISIT_NUM,
    columns::VISIT_START,
    columns::HIT_SOURCE,
    columns::EXCLUDE_HIT,
    "visit_page_num",
    "duplicate_purchase",
    columns::TRANSACTION_ID,
    columns::CUSTOMER_ID,
    columns::PERSISTED,
];

/// Decodes the hits of one delivery.
#[derive(Debug, Clone)]
pub struct HitDecoder {
    headers: Vec<String>,
    metrics: HitMetrics,
    schema: SchemaRef,
    fields: Vec<FieldUse>,
    /// Where the product and category columns are among the dimensions.
    products: Option<(usize, usize)>,
    /// The dimension with a hit's own time, which is of interest only where a corrected one was used.
    own_time: Option<u16>,
    dimensions: usize,
    roles: [Option<usize>; ROLES],
}

/// What is counted while hits are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HitCounts {
    /// Records, blank lines not counted.
    pub records: u64,
    /// Those that do not have as many fields as there are headers.
    pub wrong: Option<WrongFields>,
}

/// Records with a wrong number of fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongFields {
    /// How many records.
    pub records: u64,
    /// Physical line of the first one.
    pub line: u64,
    /// How many fields the first one has.
    pub fields: usize,
}

impl HitCounts {
    /// These and those of another part of the same file.
    pub fn and(self, other: Self) -> Self {
        let wrong = match (self.wrong, other.wrong) {
            (Some(one), Some(other)) => {
                let first = if one.line < other.line { one } else { other };
                Some(WrongFields { records: one.records + other.records, ..first })
            }
            (one, other) => one.or(other),
        };
        Self { records: self.records + other.records, wrong }
    }
}

/// Where a field goes.
#[derive(Debug, Clone, Copy, Default)]
struct FieldUse {
    role: Option<Role>,
    dimensions: [Option<u16>; 2],
}

impl HitDecoder {
    /// A decoder for all columns of the feed; `ids` say which event is which metric.
    pub fn new(layout: &HitLayout, ids: &EventIds) -> Self {
        let has = |role| layout.field(role).is_some();
        let pages = has(Role::PageName) || has(Role::PageUrl);
        let metrics = HitMetrics::new(has(Role::EventList).then_some(ids), pages, has(Role::ProductList));

        let mut fields = vec![FieldUse::default(); layout.headers().len()];
        for (role, field) in layout.roles() {
            fields[field].role = Some(role);
        }
        let mut dimensions: Vec<&str> = Vec::new();
        for text in layout.texts() {
            let free = fields[text.source].dimensions.iter_mut().find(|place| place.is_none());
            *free.expect("a field is stored at most twice: as it persisted and as it was set") =
                Some(u16::try_from(dimensions.len()).expect("at most two columns for each of 8,192 fields"));
            dimensions.push(&text.name);
        }
        let own_time = layout.field(Role::HitTime).and_then(|field| fields[field].dimensions[0]);
        let products = has(Role::ProductList).then(|| (dimensions.len(), dimensions.len() + 1));
        dimensions.extend(products.iter().flat_map(|_| ["product", "category"]));

        let keys = KEYS.map(|name| columns::key_field(name).unwrap_or_else(|| columns::dimension(name)));
        let all = keys.into_iter().chain(dimensions.iter().map(|name| columns::dimension(name)));
        let all: Vec<Field> = all.chain(metrics.names().iter().map(|name| columns::metric(name))).collect();
        Self {
            headers: layout.headers().to_vec(),
            metrics,
            schema: Arc::new(Schema::new(all)),
            fields,
            products,
            own_time,
            dimensions: dimensions.len(),
            roles: std::array::from_fn(|role| layout.roles().find(|(r, _)| *r as usize == role).map(|(_, f)| f)),
        }
    }

    /// How many columns a record has.
    pub fn columns(&self) -> usize {
        self.headers.len()
    }

    /// The schema of all batches.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Decodes a block. Every record is in the batch or among the issues.
    pub fn decode(&self, block: &Block, encoding: Encoding) -> (Decoded, HitCounts) {
        let mut rows = Rows::new(self);
        let (mut issues, mut warnings) = (Vec::new(), Vec::new());
        let mut counts = HitCounts::default();
        for (line, record) in block.records() {
            counts.records += 1;
            let Some(text) = encoding.decode(record) else {
                let text = String::from_utf8_lossy(&record[..record.len().min(row_issue::MAX_TEXT_BYTES)]);
                let reason = "not valid UTF-8, as the rest of the file is; send the delivery again";
                issues.push(RowIssue::new(line, "", reason, &text));
                continue;
            };
            match rows.take(&text) {
                Ok(None) => {}
                Ok(Some(warning)) => {
                    warnings.push(RowIssue::new(line, self.header(Role::TransactionId), warning, &text));
                }
                Err(Bad::Fields(fields)) => {
                    let wrong = counts.wrong.get_or_insert(WrongFields { records: 0, line, fields });
                    wrong.records += 1;
                    let expected = self.headers.len();
                    let reason =
                        format!("{fields} fields, expected {expected}; is column_headers.tsv from the same delivery?");
                    issues.push(RowIssue::new(line, "", reason, &text));
                }
                Err(Bad::Value(column, reason)) => issues.push(RowIssue::new(line, column, reason, &text)),
            }
        }
        (Decoded { batch: rows.finish(), issues, warnings }, counts)
    }

    fn header(&self, role: Role) -> &str {
        self.roles[role as usize].map_or("", |field| self.headers[field].as_str())
    }
}

/// Why a record is no row.
enum Bad {
    /// It has so many fields, and not as many as there are headers.
    Fields(usize),
    /// A column, and what is wrong with its value.
    Value(String, String),
}

/// The rows of one block while they are decoded, and what is used again from record to record.
struct Rows<'d> {
    decoder: &'d HitDecoder,
    count: usize,
    visitor: TextBuilder,
    hit_time: Vec<i64>,
    hit_seq: Vec<i128>,
    visit_num: Vec<Option<i64>>,
    visit_start: Vec<Option<i64>>,
    hit_source: Vec<i64>,
    exclude_hit: Vec<i64>,
    visit_page_num: Vec<Option<i64>>,
    duplicate_purchase: Vec<i64>,
    transaction_id: TextBuilder,
    customer_id: TextBuilder,
    dimensions: Vec<TextBuilder>,
    metrics: Vec<Option<Float64Builder>>,
    texts: Vec<TextField>,
    amounts: HitAmounts,
    visitor_text: String,
}

/// A field that is stored as text.
struct TextField {
    dimensions: [Option<u16>; 2],
    range: Range<usize>,
    escaped: bool,
}

impl<'d> Rows<'d> {
    fn new(decoder: &'d HitDecoder) -> Self {
        Self {
            decoder,
            count: 0,
            visitor: TextBuilder::default(),
            hit_time: Vec::new(),
            hit_seq: Vec::new(),
            visit_num: Vec::new(),
            visit_start: Vec::new(),
            hit_source: Vec::new(),
            exclude_hit: Vec::new(),
            visit_page_num: Vec::new(),
            duplicate_purchase: Vec::new(),
            transaction_id: TextBuilder::default(),
            customer_id: TextBuilder::default(),
            dimensions: std::iter::repeat_with(TextBuilder::default).take(decoder.dimensions).collect(),
            metrics: decoder.metrics.names().iter().map(|_| None).collect(),
            texts: Vec::new(),
            amounts: HitAmounts::default(),
            visitor_text: String::new(),
        }
    }

    /// Checks the whole record before anything of it is appended. Gives a warning where a part was left out.
    fn take(&mut self, text: &str) -> Result<Option<String>, Bad> {
        let decoder = self.decoder;
        let mut parts = Parts::new(text);
        self.texts.clear();
        let texts = &mut self.texts;
        let count = non_empty_fields(text.as_bytes(), |column, range, escaped| {
            let Some(field) = decoder.fields.get(column) else { return };
            if let Some(role) = field.role {
                parts.set(role, range.clone());
            }
            if field.dimensions[0].is_some() {
                texts.push(TextField { dimensions: field.dimensions, range, escaped });
            }
        });
        if count != decoder.fields.len() {
            return Err(Bad::Fields(count));
        }
        if let Some(at) = memchr::memchr(0, text.as_bytes()) {
            return Err(Bad::Value(self.column_at(text, at), "holds a NUL byte".to_owned()));
        }
        let named = |(role, reason): BadField| Bad::Value(decoder.header(role).to_owned(), reason);
        let keys = read_keys(&parts, &mut self.visitor_text).map_err(named)?;
        let input = MetricInput {
            page_view: keys.is_online() && !(parts.is_empty(Role::PageName) && parts.is_empty(Role::PageUrl)),
            event_list: &parts.get(Role::EventList),
            product_list: &parts.get(Role::ProductList),
            duplicate_purchase: keys.duplicate_purchase == 1,
        };
        decoder.metrics.read(input, &mut self.amounts).map_err(named)?;

        let row = self.count;
        self.append_keys(row, &keys);
        let (ids, warning) = usable_transaction_ids(parts.get(Role::TransactionId));
        self.transaction_id.put(row, &ids);
        self.customer_id.put(row, &parts.get(Role::CustomerId));
        for field in &self.texts {
            let value = &text[field.range.clone()];
            let value = if field.escaped { unescape(value) } else { Cow::Borrowed(value) };
            let places = field.dimensions.iter().flatten();
            for dimension in places.filter(|place| keys.corrected || Some(**place) != decoder.own_time) {
                self.dimensions[usize::from(*dimension)].put(row, &value);
            }
        }
        if let Some((product, category)) = decoder.products {
            self.dimensions[product].put(row, &self.amounts.product);
            self.dimensions[category].put(row, &self.amounts.category);
        }
        for (metric, amount) in self.amounts.metrics() {
            let builder = self.metrics[metric].get_or_insert_with(|| Float64Builder::with_capacity(row + 1));
            builder.append_nulls(row - arrow::array::ArrayBuilder::len(builder));
            builder.append_value(amount);
        }
        self.count += 1;
        Ok(warning)
    }

    fn append_keys(&mut self, row: usize, keys: &HitKeys) {
        if keys.has_visitor() {
            self.visitor.put(row, &self.visitor_text);
        }
        self.hit_time.push(keys.hit_time);
        self.hit_seq.push(keys.hit_seq);
        self.visit_num.push(keys.visit_num);
        self.visit_start.push(keys.visit_start);
        self.hit_source.push(keys.hit_source);
        self.exclude_hit.push(keys.exclude_hit);
        self.visit_page_num.push(keys.visit_page_num);
        self.duplicate_purchase.push(keys.duplicate_purchase);
    }

    fn column_at(&self, text: &str, at: usize) -> String {
        let mut column = String::new();
        non_empty_fields(text.as_bytes(), |index, range, _| {
            if range.contains(&at) {
                column.clone_from(&self.decoder.headers[index]);
            }
        });
        column
    }

    fn finish(self) -> RecordBatch {
        let rows = self.count;
        let sequence = Decimal128Array::from(self.hit_seq).with_data_type(columns::sequence());
        let keys: [ArrayRef; KEYS.len()] = [
            self.visitor.finish(rows),
            Arc::new(TimestampMicrosecondArray::from(self.hit_time).with_timezone("UTC")),
            Arc::new(sequence),
            Arc::new(Int64Array::from(self.visit_num)),
            Arc::new(TimestampMicrosecondArray::from(self.visit_start).with_timezone("UTC")),
            Arc::new(Int64Array::from(self.hit_source)),
            Arc::new(Int64Array::from(self.exclude_hit)),
            Arc::new(Int64Array::from(self.visit_page_num)),
            Arc::new(Int64Array::from(self.duplicate_purchase)),
            self.transaction_id.finish(rows),
            self.customer_id.finish(rows),
            Arc::new(BooleanArray::from(vec![true; rows])),
        ];
        let (no_text, no_number) = (new_null_array(&DataType::Utf8, rows), new_null_array(&DataType::Float64, rows));
        let dimensions = self.dimensions.into_iter().map(|builder| match builder.0 {
            Some(_) => builder.finish(rows),
            None => no_text.clone(),
        });
        let metrics = self.metrics.into_iter().map(|builder| match builder {
            Some(mut builder) => {
                builder.append_nulls(rows - arrow::array::ArrayBuilder::len(&builder));
                Arc::new(builder.finish()) as ArrayRef
            }
            None => no_number.clone(),
        });
        let arrays = keys.into_iter().chain(dimensions).chain(metrics).collect();
        RecordBatch::try_new(self.decoder.schema(), arrays)
            .expect("each array was made for its field, all of one length")
    }
}

/// Builds a text column of which most rows are NULL: rows that were not put are filled in when they must be, and nothing
/// is built where none was.
#[derive(Default)]
struct TextBuilder(Option<StringBuilder>);

impl TextBuilder {
    /// The value of `row`, which no later call goes before; an empty one is NULL.
    #[inline]
    fn put(&mut self, row: usize, value: &str) {
        if !value.is_empty() {
            let builder = self.0.get_or_insert_with(|| StringBuilder::with_capacity(row + 1, value.len()));
            fill(builder, row);
            builder.append_value(value);
        }
    }

    fn finish(self, rows: usize) -> ArrayRef {
        let mut builder = self.0.unwrap_or_default();
        fill(&mut builder, rows);
        let mut array = builder.finish();
        // many batches wait for their sort: what the builder had in reserve goes
        array.shrink_to_fit();
        Arc::new(array)
    }
}

fn fill(builder: &mut StringBuilder, rows: usize) {
    let missing = rows - arrow::array::ArrayBuilder::len(builder);
    if missing > 0 {
        builder.append_nulls(missing);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{Array, AsArray};
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
        let block = Block { bytes: file.to_vec(), first_line: 1 };
        let (decoded, counts) = decoder.decode(&block, Encoding::of_bytes(file));
        assert_eq!(decoded.records(), counts.records);
        assert_eq!(decoded.batch.schema(), decoder.schema());
        (counts, decoded)
    }

    fn decode(records: &[String]) -> Decoded {
        decode_all(HEADERS, records.join("\n").as_bytes()).1
    }

    fn text(decoded: &Decoded, column: &str) -> Vec<Option<String>> {
        let column = decoded.batch.column_by_name(column).unwrap().as_string::<i32>();
        column.iter().map(|v| v.map(str::to_owned)).collect()
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
        assert_eq!(sequence.value(0), columns::hit_sequence(1, 2));
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
            ("post_event_list", "200=1^,5", "is no number"),
            ("post_product_list", ";a;b", "quantity"),
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
        let expected = "expected 24; is column_headers.tsv from the same delivery?";
        assert_eq!(rest, [(20, &*format!("2 fields, {expected}")), (21, &*format!("25 fields, {expected}"))]);
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
        let (decoded, _) = decoder(HEADERS).decode(&Block { bytes: file, first_line: 5 }, Encoding::Utf8);
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
        let whole = Block { bytes: file.clone().into_bytes(), first_line: 1 };
        let decoder = decoder(HEADERS);
        let decode = |block: &Block| decoder.decode(block, Encoding::Utf8).0.batch;
        let parts: Vec<RecordBatch> =
            whole.records().map(|(first_line, record)| decode(&Block { bytes: record.to_vec(), first_line })).collect();
        assert_eq!(arrow::compute::concat_batches(&decoder.schema(), &parts).unwrap(), decode(&whole));
    }

    #[test]
    fn counts_of_parts_add_up() {
        let of = |text: &str, first_line| {
            decoder(HEADERS).decode(&Block { bytes: text.into(), first_line }, Encoding::Utf8).1
        };
        let (good, long) = (record(&[]), format!("{}\tmore", record(&[])));
        let (one, other) = (of(&format!("{good}\n\nbad\tx\n"), 1), of(&format!("{long}\n{good}\n{long}\n"), 4));
        assert_eq!(one, HitCounts { records: 2, wrong: Some(WrongFields { records: 1, line: 3, fields: 2 }) });
        let both = HitCounts { records: 5, wrong: Some(WrongFields { records: 3, line: 3, fields: 2 }) };
        assert_eq!((one.and(other), other.and(one)), (both, both));
        assert_eq!(one.and(HitCounts::default()), one);
    }
}
