//! A feed's hits: blocks of records in, Arrow rows out.
//!
//! In: what the headers say ([`HitLayout`]) and the events' names. Out: one batch for each block, all with the same columns: keys,
//! then all dimensions and metrics that the feed may have; the many without a value in a block share one array of NULLs. Dimensions whose
//! values recur in a block are dictionary arrays. A decoder is shared by threads; the cost of a row is that of its fields that are not
//! empty, however many columns the feed has.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, Float64Builder, Int64Array, TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;

use super::event_list::EventIds;
use super::hit_columns::{HitLayout, ROLES, Role};
use super::hit_keys::{HitKeys, Parts, read_keys, usable_transaction_ids};
use super::hit_metrics::{BadField, HitAmounts, HitMetrics, MetricInput};
use super::product_list::Evars;
use super::records::{Block, non_empty_fields, unescape};
use super::text::{Encoding, without_mark};
use super::text_builder::TextBuilder;
use super::touches::{RowTouches, TouchSource, told_by, touches};
use super::{Decoded, RowIssue, row_issue};
use crate::columns;
use crate::distinct_texts::as_they_come;

/// The columns that every batch has, in order; flags of what persists, dimensions and metrics follow.
const KEYS: [&str; 14] = [
    columns::VISITOR_ID,
    columns::HIT_TIME,
    columns::HIT_SEQ,
    columns::HIT_ID_REST,
    columns::VISIT_NUM,
    columns::VISIT_START,
    columns::HIT_SOURCE,
    columns::EXCLUDE_HIT,
    "visit_page_num",
    "duplicate_purchase",
    columns::TRANSACTION_ID,
    columns::CUSTOMER_ID,
    columns::BACKGROUND_HIT,
    columns::PERSISTED,
];

/// Bytes of a usual visitor's id: two numbers of 64 bits.
const VISITOR_ID_BYTES: usize = 41;
/// The rows for which it is noted what their texts took.
const NOTED_ROWS: usize = 1024;

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
    roles: [Option<usize>; ROLES],
    /// Flags that are true on all rows.
    flags: usize,
    /// How many dimensions are touched by instances, and the numbers of those that the channel's flag tells.
    touches: usize,
    channel: Vec<u16>,
    told_by: Option<TouchSource>,
    /// What is known of the texts of each dimension.
    texts: Arc<[KnownTexts]>,
}

/// What blocks that were decoded tell of the texts of a dimension.
#[derive(Debug)]
struct KnownTexts {
    /// False as soon as a block has shown that they do not recur.
    recur: AtomicBool,
    /// Where they do not: what they took for so many rows in the last block, and a little more; the next one makes room for as much.
    bytes: AtomicUsize,
}

impl KnownTexts {
    fn of_dimension(name: &str) -> Self {
        Self { recur: AtomicBool::new(!columns::HIT_ID.contains(&name)), bytes: AtomicUsize::new(0) }
    }
}

/// What is counted while hits are decoded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HitCounts {
    /// Records, blank lines not counted.
    pub records: u64,
    /// Those that do not have as many fields as there are headers.
    pub wrong: Option<WrongFields>,
    /// Those on which raw columns would tell other touches than instances do.
    pub disagreeing: u64,
    /// The eVars whose instances some product line bears.
    pub binding_instances: Evars,
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
        let disagreeing = self.disagreeing + other.disagreeing;
        let binding_instances = self.binding_instances.and(other.binding_instances);
        Self { records: self.records + other.records, wrong, disagreeing, binding_instances }
    }
}

/// Where a field goes.
#[derive(Debug, Clone, Copy, Default)]
struct FieldUse {
    role: Option<Role>,
    /// The column with its text.
    dimension: Option<u16>,
    /// The column with its text where it was set: on all rows, or on those that are instances of that touch.
    set: Option<(u16, Option<u16>)>,
    /// It is what the page sent of that touch.
    raw_of: Option<u16>,
}

impl FieldUse {
    fn is_text(&self) -> bool {
        self.dimension.is_some() || self.set.is_some() || self.raw_of.is_some()
    }
}

impl HitDecoder {
    /// A decoder for all columns of the feed; `ids` say which event is which metric, or an instance of which dimension.
    pub fn new(layout: &HitLayout, ids: &EventIds) -> Self {
        let has = |role| layout.field(role).is_some();
        let pages = has(Role::PageName) || has(Role::PageUrl);
        let touches = touches(layout, ids);
        let number = |at: usize| u16::try_from(at).expect("at most two columns for each of 8,192 fields");
        let instances: Vec<(u32, u16)> = touches
            .iter()
            .enumerate()
            .flat_map(|(n, touch)| touch.ids.iter().map(move |id| (*id, number(n))))
            .collect();
        let metrics = HitMetrics::new(has(Role::EventList).then_some(ids), &instances, pages, has(Role::ProductList));

        let mut fields = vec![FieldUse::default(); layout.headers().len()];
        for (role, field) in layout.roles() {
            fields[field].role = Some(role);
        }
        let mut dimensions: Vec<&str> = Vec::new();
        let mut flags: Vec<&str> = Vec::new();
        for text in layout.texts() {
            let place = number(dimensions.len());
            dimensions.push(&text.name);
            let Some(dimension) = text.name.strip_suffix("_set").filter(|name| layout.stores(name)) else {
                fields[text.source].dimension = Some(place);
                continue;
            };
            match touches.iter().position(|touch| touch.dimension == dimension) {
                None => fields[text.source].set = Some((place, None)),
                Some(n) => {
                    fields[touches[n].value].set = Some((place, Some(number(n))));
                    if let Some(raw) = touches[n].raw {
                        fields[raw].raw_of = Some(number(n));
                    }
                }
            }
            let flag = columns::persisted_flag(dimension);
            if flag != columns::PERSISTED && !flags.contains(&flag) {
                flags.push(flag);
            }
        }
        let own_time = layout.field(Role::HitTime).and_then(|field| fields[field].dimension);
        let products = has(Role::ProductList).then(|| (dimensions.len(), dimensions.len() + 1));
        dimensions.extend(products.iter().flat_map(|_| ["product", "category"]));

        let keys = KEYS.iter().chain(&flags);
        let keys = keys.map(|name| columns::key_field(name).unwrap_or_else(|| columns::dimension(name)));
        let all = keys.chain(dimensions.iter().map(|name| columns::dimension(name)));
        let all: Vec<Field> = all.chain(metrics.names().iter().map(|name| columns::metric(name))).collect();
        Self {
            headers: layout.headers().to_vec(),
            metrics,
            schema: Arc::new(Schema::new(all)),
            fields,
            products,
            own_time,
            texts: dimensions.iter().map(|name| KnownTexts::of_dimension(name)).collect(),
            roles: std::array::from_fn(|role| layout.roles().find(|(r, _)| *r as usize == role).map(|(_, f)| f)),
            flags: flags.len(),
            told_by: told_by(layout, &touches),
            channel: (0..touches.len()).filter(|n| touches[*n].ids.is_empty()).map(number).collect(),
            touches: touches.len(),
        }
    }

    /// What says where eVars and campaign were set; `None` where the feed has neither.
    pub fn told_by(&self) -> Option<TouchSource> {
        self.told_by
    }

    /// How many columns a record has.
    pub fn columns(&self) -> usize {
        self.headers.len()
    }

    /// The columns of all batches, with texts where some have dictionary arrays.
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Decodes a block. Every record is in the batch or among the issues.
    pub fn decode(&self, block: &Block, encoding: Encoding) -> (Decoded, HitCounts) {
        let mut rows = Rows::new(self, block);
        let (mut issues, mut warnings) = (Vec::new(), Vec::new());
        let mut counts = HitCounts::default();
        // seen once for all records, unless there is a bad one among them
        let whole = Some(&block.bytes).filter(|_| encoding == Encoding::Utf8);
        let whole = whole.and_then(|bytes| simdutf8::basic::from_utf8(bytes).ok());
        for (line, range) in block.record_ranges() {
            counts.records += 1;
            let record = &block.bytes[range.clone()];
            let text = match whole {
                Some(whole) => Some(Cow::Borrowed(without_mark(&whole[range]))),
                None => encoding.decode(record),
            };
            let Some(text) = text else {
                let text = String::from_utf8_lossy(&record[..record.len().min(row_issue::MAX_TEXT_BYTES)]);
                let reason = "not valid UTF-8, as the rest of the file is; send the delivery again";
                issues.push(RowIssue::new(line, "", reason, &text));
                continue;
            };
            match rows.take(&text) {
                Ok(taken) => {
                    counts.disagreeing += u64::from(taken.disagrees);
                    if let Some((role, warning)) = taken.left_out {
                        warnings.push(RowIssue::new(line, self.header(role), warning, &text));
                    }
                }
                Err(BadRecord::Fields(fields)) => {
                    let wrong = counts.wrong.get_or_insert(WrongFields { records: 0, line, fields });
                    wrong.records += 1;
                    let expected = self.headers.len();
                    let reason =
                        format!("{fields} fields, expected {expected}; is column_headers.tsv from the same delivery?");
                    issues.push(RowIssue::new(line, "", reason, &text));
                }
                Err(BadRecord::Value(column, reason)) => issues.push(RowIssue::new(line, column, reason, &text)),
            }
        }
        counts.binding_instances = rows.binding_instances;
        (Decoded { batch: rows.finish(), issues, warnings }, counts)
    }

    fn header(&self, role: Role) -> &str {
        self.roles[role as usize].map_or("", |field| self.headers[field].as_str())
    }
}

/// What there is to say of a record that is a row.
struct Taken {
    /// A part that was left out, and why.
    left_out: Option<BadField>,
    /// Raw columns would tell other touches.
    disagrees: bool,
}

/// Why a record is no row.
enum BadRecord {
    /// It has so many fields, and not as many as there are headers.
    Fields(usize),
    /// A column, and what is wrong with its value.
    Value(String, String),
}

/// The rows of one block while they are decoded, and what is used again from record to record.
struct Rows<'d> {
    decoder: &'d HitDecoder,
    /// Some record of the block may hold a NUL byte.
    holds_nul: bool,
    most_rows: usize,
    count: usize,
    visitor: TextBuilder,
    hit_time: Vec<i64>,
    hit_seq: Vec<i128>,
    hit_id_rest: Vec<Option<i64>>,
    visit_num: Vec<Option<i64>>,
    visit_start: Vec<Option<i64>>,
    hit_source: Vec<i64>,
    exclude_hit: Vec<i64>,
    visit_page_num: Vec<Option<i64>>,
    duplicate_purchase: Vec<i64>,
    transaction_id: TextBuilder,
    customer_id: TextBuilder,
    background: Vec<Option<bool>>,
    dimensions: Vec<TextBuilder>,
    metrics: Vec<Option<Float64Builder>>,
    texts: Vec<TextField>,
    amounts: HitAmounts,
    touches: RowTouches,
    binding_instances: Evars,
    visitor_text: String,
}

/// A field that is stored as text.
struct TextField {
    field: FieldUse,
    range: Range<usize>,
    escaped: bool,
}

impl<'d> Rows<'d> {
    fn new(decoder: &'d HitDecoder, block: &Block) -> Self {
        // a row has a byte behind each field: line ends that are escaped, however many, are no more rows
        let most_rows = block.most_records().min(block.bytes.len() / decoder.fields.len().max(1) + 1);
        // whatever former blocks had: a field gives two dimensions at most
        let mut left = 2 * block.bytes.len();
        let dimension = |known: &KnownTexts| {
            if known.recur.load(Ordering::Relaxed) {
                return TextBuilder::recurring(most_rows);
            }
            let bytes = (known.bytes.load(Ordering::Relaxed).saturating_mul(most_rows) / NOTED_ROWS).min(left);
            left -= bytes;
            TextBuilder::new(most_rows, bytes)
        };
        Self {
            decoder,
            holds_nul: memchr::memchr(0, &block.bytes).is_some(),
            most_rows,
            count: 0,
            visitor: TextBuilder::new(most_rows, most_rows * VISITOR_ID_BYTES),
            hit_time: Vec::with_capacity(most_rows),
            hit_seq: Vec::with_capacity(most_rows),
            hit_id_rest: Vec::with_capacity(most_rows),
            visit_num: Vec::with_capacity(most_rows),
            visit_start: Vec::with_capacity(most_rows),
            hit_source: Vec::with_capacity(most_rows),
            exclude_hit: Vec::with_capacity(most_rows),
            visit_page_num: Vec::with_capacity(most_rows),
            duplicate_purchase: Vec::with_capacity(most_rows),
            transaction_id: TextBuilder::new(most_rows, 0),
            customer_id: TextBuilder::new(most_rows, 0),
            background: Vec::with_capacity(most_rows),
            dimensions: decoder.texts.iter().map(dimension).collect(),
            metrics: decoder.metrics.names().iter().map(|_| None).collect(),
            texts: Vec::new(),
            amounts: HitAmounts::default(),
            touches: RowTouches::new(decoder.touches),
            binding_instances: Evars::default(),
            visitor_text: String::new(),
        }
    }

    /// Checks the whole record before anything of it is appended.
    fn take(&mut self, text: &str) -> Result<Taken, BadRecord> {
        let decoder = self.decoder;
        let mut parts = Parts::new(text);
        self.texts.clear();
        let texts = &mut self.texts;
        let count = non_empty_fields(text.as_bytes(), |column, range, escaped| {
            let Some(field) = decoder.fields.get(column) else { return };
            if let Some(role) = field.role {
                parts.set(role, range.clone(), escaped);
            }
            if field.is_text() {
                texts.push(TextField { field: *field, range, escaped });
            }
        });
        if count != decoder.fields.len() {
            return Err(BadRecord::Fields(count));
        }
        if self.holds_nul
            && let Some(at) = memchr::memchr(0, text.as_bytes())
        {
            return Err(BadRecord::Value(self.column_at(text, at), "holds a NUL byte".to_owned()));
        }
        let named = |(role, reason): BadField| BadRecord::Value(decoder.header(role).to_owned(), reason);
        let keys = read_keys(&parts, &mut self.visitor_text).map_err(named)?;
        let input = MetricInput {
            page_view: keys.is_online() && !(parts.is_empty(Role::PageName) && parts.is_empty(Role::PageUrl)),
            event_list: &parts.get(Role::EventList),
            product_list: &parts.get(Role::ProductList),
            duplicate_purchase: keys.duplicate_purchase == 1,
        };
        let left_out = decoder.metrics.read(input, &mut self.amounts);
        self.binding_instances = self.binding_instances.and(self.amounts.binding_instances);

        let row = self.count;
        self.append_keys(row, &keys);
        let (ids, warning) = usable_transaction_ids(parts.get(Role::TransactionId));
        let left_out = left_out.or_else(|| Some((Role::TransactionId, warning?)));
        self.transaction_id.put(row, &ids);
        self.customer_id.put(row, &parts.get(Role::CustomerId));
        self.touches.turn();
        self.amounts.instances.iter().for_each(|touch| self.touches.set(*touch));
        if !matches!(&*parts.get(Role::ChannelInstance), "" | "0") {
            decoder.channel.iter().for_each(|touch| self.touches.set(*touch));
        }
        for TextField { field, range, escaped } in &self.texts {
            let unescaped = escaped.then(|| unescape(&text[range.clone()]));
            let put = |texts: &mut TextBuilder| match &unescaped {
                Some(value) => texts.put(row, value),
                None => texts.put_part(row, text, range.clone()),
            };
            if let Some(place) = field.dimension.filter(|_| keys.corrected || field.dimension != decoder.own_time) {
                put(&mut self.dimensions[usize::from(place)]);
            }
            if let Some((place, touch)) = field.set {
                touch.iter().for_each(|touch| self.touches.value(*touch, range.clone()));
                if touch.is_none_or(|touch| self.touches.is_set(touch)) {
                    put(&mut self.dimensions[usize::from(place)]);
                }
            }
            if let Some(touch) = field.raw_of {
                self.touches.raw(touch, range.clone());
            }
        }
        let disagrees = decoder.told_by != Some(TouchSource::RawColumns) && self.disagrees(text);
        if let Some((product, category)) = decoder.products {
            self.dimensions[product].put(row, &self.amounts.product);
            self.dimensions[category].put(row, &self.amounts.category);
        }
        for (metric, amount) in self.amounts.metrics() {
            let builder = self.metrics[metric].get_or_insert_with(|| Float64Builder::with_capacity(self.most_rows));
            builder.append_nulls(row - arrow::array::ArrayBuilder::len(builder));
            builder.append_value(amount);
        }
        self.count += 1;
        Ok(Taken { left_out, disagrees })
    }

    /// True where raw columns would tell other touches of the row at hand.
    fn disagrees(&self, text: &str) -> bool {
        let fields = self.texts.iter().map(|text| text.field);
        let of_field = |field: FieldUse| {
            let by_event = field.set.and_then(|(_, touch)| touch).filter(|touch| !self.decoder.channel.contains(touch));
            // where the row has a value, it is looked at with that
            by_event.or(field.raw_of.filter(|touch| !self.touches.has_value(*touch)))
        };
        fields.filter_map(of_field).any(|touch| self.touches.disagrees(touch, text))
    }

    fn append_keys(&mut self, row: usize, keys: &HitKeys) {
        if keys.has_visitor() {
            self.visitor.put(row, &self.visitor_text);
        }
        self.hit_time.push(keys.hit_time);
        self.hit_seq.push(keys.hit_seq);
        self.hit_id_rest.push(keys.hit_id_rest);
        self.visit_num.push(keys.visit_num);
        self.visit_start.push(keys.visit_start);
        self.hit_source.push(keys.hit_source);
        self.exclude_hit.push(keys.exclude_hit);
        self.visit_page_num.push(keys.visit_page_num);
        self.duplicate_purchase.push(keys.duplicate_purchase);
        self.background.push((keys.background && keys.is_online()).then_some(true));
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
        for (known, texts) in self.decoder.texts.iter().zip(&self.dimensions) {
            if let Some(bytes) = texts.text_bytes() {
                let bytes = bytes * NOTED_ROWS / rows.max(1);
                known.bytes.store(bytes + bytes / 16, Ordering::Relaxed);
                known.recur.store(false, Ordering::Relaxed);
            }
        }
        let sequence = Decimal128Array::from(self.hit_seq).with_data_type(columns::sequence());
        let always: ArrayRef = Arc::new(BooleanArray::from(vec![true; rows]));
        let keys: [ArrayRef; KEYS.len()] = [
            self.visitor.finish(rows),
            Arc::new(TimestampMicrosecondArray::from(self.hit_time).with_timezone("UTC")),
            Arc::new(sequence),
            Arc::new(Int64Array::from(self.hit_id_rest)),
            Arc::new(Int64Array::from(self.visit_num)),
            Arc::new(TimestampMicrosecondArray::from(self.visit_start).with_timezone("UTC")),
            Arc::new(Int64Array::from(self.hit_source)),
            Arc::new(Int64Array::from(self.exclude_hit)),
            Arc::new(Int64Array::from(self.visit_page_num)),
            Arc::new(Int64Array::from(self.duplicate_purchase)),
            self.transaction_id.finish(rows),
            self.customer_id.finish(rows),
            Arc::new(BooleanArray::from(self.background)),
            always.clone(),
        ];
        let (no_text, no_number) = (new_null_array(&DataType::Utf8, rows), new_null_array(&DataType::Float64, rows));
        let flags = std::iter::repeat_n(always, self.decoder.flags);
        let dimensions = self.dimensions.into_iter().map(|builder| match builder.is_empty() {
            false => builder.finish(rows),
            true => no_text.clone(),
        });
        let metrics = self.metrics.into_iter().map(|builder| match builder {
            Some(mut builder) => {
                builder.append_nulls(rows - arrow::array::ArrayBuilder::len(&builder));
                Arc::new(builder.finish()) as ArrayRef
            }
            None => no_number.clone(),
        });
        let arrays: Vec<ArrayRef> = keys.into_iter().chain(flags).chain(dimensions).chain(metrics).collect();
        RecordBatch::try_new(as_they_come(&self.decoder.schema, &arrays), arrays)
            .expect("each array was made for its field, all of one length")
    }
}

#[cfg(test)]
mod tests;
