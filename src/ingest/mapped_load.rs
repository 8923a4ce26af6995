//! Rows of a mapped file become hits or offline records.
//!
//! In: a file and its mapping. Out: batches for `hits` or `offline`, in the order of the file, and the rows that cannot be
//! taken: without a time or visitor, with a metric that is no number, or against a rule of offline records.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, RecordBatchOptions,
    StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{cast, filter_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema};
use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime};

use super::cells::{self, Instant, RowFaults};
use super::content::{Content, content_of};
use super::content_hash::hash_rows;
use super::decoding::{Piece, PieceSender};
use super::exchange::Rates;
use super::expressions::{Evaluated, Expressions, Meaning, named_of_lines, wanted};
use super::file_rows::FileRows;
use super::input_file::InputFile;
use super::kind::{Context, InputKind, InputRows, Owner, Prepared};
use super::mapped_file::{Format, MappedFile, Reading};
use super::mapping::{MappedKind, Mapping};
use super::offline_rows::{Origin, Records, offline_batch};
use super::options::IngestOptions;
use super::pattern::folder_values;
use super::products::{LineExpressions, Lines, OfRows, columns_of};
use super::source_load::check_kind;
use super::suites_and_sources::SuitesAndSources;
use super::totals;
use crate::columns::{self, CUSTOMER_ID, FILE, HIT_SEQ, HIT_TIME, SUITE, TRANSACTION_ID, VISITOR_ID, VISITOR_KEY};
use crate::distinct_texts::{as_it_comes, coded_texts, one_text};
use crate::feed::RowIssue;
use crate::feed::text::Encoding;
use crate::time::Written;
use crate::{Error, Result};

/// What a bad row is called that seems to add up others.
const TOTALS: &str = "it looks like a line of totals, which is no record";

/// What is said of a text that a function of the mapping does not read.
const NO_NUMBER: &str = "no number, so that the row has none there";

/// What is said of a year below 100 that a format made.
const SHORT_YEAR: &str = "a year of two digits; %y in the place of %Y reads it";

/// A mapped file as it was found.
pub struct MappedInput {
    file: InputFile,
    format: Format,
    mapping: Arc<Mapping>,
    /// Known when it was looked through.
    encoding: Option<Encoding>,
}

impl MappedInput {
    /// Nothing of it is read yet.
    pub fn new(file: InputFile, format: Format, mapping: Arc<Mapping>) -> Self {
        Self { file, format, mapping, encoding: None }
    }
}

impl InputKind for MappedInput {
    fn owner(&mut self, lake_has: &SuitesAndSources, options: &IngestOptions) -> Result<Owner> {
        let mapping = &self.mapping;
        let suite = lake_has.suite_of_file(options.suite.as_deref(), mapping.suite.as_deref(), "the mapping")?.clone();
        let source = match mapping.kind {
            MappedKind::Online => None,
            MappedKind::Offline => {
                let (asked, mapped) = (options.source.as_deref(), mapping.source.as_deref());
                Some(lake_has.source_of(&suite, asked, mapped, "the mapping")?.clone())
            }
        };
        let snapshot = mapping.snapshot.as_ref().map(|names| names.join(","));
        let (bindings, persistence) = (mapping.bindings.clone(), mapping.persistence.clone());
        let format = self.format.name();
        let rates = mapping.currency.as_ref().map(|currency| currency.rates.clone());
        Ok(Owner { suite, source, format, snapshot, bindings, persistence, rates, waits: None, lacks_headers: false })
    }

    fn content(&mut self) -> Result<Content> {
        let folders = folder_values(&self.file.place());
        let folders: String = folders.iter().map(|(name, value)| format!("{name}={value}/")).collect();
        let (content, encoding) = content_of(&self.file, &folders, &self.mapping.fingerprint()?)?;
        self.encoding = encoding;
        Ok(content)
    }

    fn prepare(self: Box<Self>, context: &Context) -> Result<Prepared> {
        let Self { file, format, mapping, encoding } = *self;
        if let Some(source) = &context.owner.source {
            let (transaction, customer) = (mapping.transaction_id.is_some(), mapping.customer_id.is_some());
            check_kind(source, transaction, customer, ["transaction_id", "customer_id"])?;
        }
        let offline_source = context.owner.source.as_ref().map_or_else(String::new, |s| s.source.clone());
        let decoder = Decoder { rates: context.rates.clone(), ..Decoder::new(file, format, mapping, encoding)? };
        let visits = decoder.visits();
        let rows = Box::new(MappedRows { decoder: Arc::new(decoder), read: context.read.clone() });
        Ok(Prepared { rows, visits, offline_source })
    }

    fn counter(&self) -> Arc<AtomicU64> {
        self.file.counter().clone()
    }
}

/// The rows of a mapped file.
struct MappedRows {
    decoder: Arc<Decoder>,
    read: Arc<AtomicU64>,
}

/// Rows of the file as its mapping says.
struct Decoder {
    mapping: Arc<Mapping>,
    file: MappedFile,
    expressions: Expressions,
    /// The parts of product lines that are structs.
    lines: Option<LineExpressions>,
    /// The rates of currencies.
    rates: Option<Arc<Rates>>,
}

impl InputRows for MappedRows {
    fn first_issue(&self) -> Result<Option<RowIssue>> {
        self.decoder.first_issue()
    }

    fn decode(self: Box<Self>, origin: &Arc<Origin>, pieces: &PieceSender) -> Result<()> {
        self.decoder.decode(origin, pieces, self.read)
    }
}

impl Decoder {
    /// Looks at the file's columns and compiles the mapping against them. Reads all of a text file, so it blocks.
    fn new(file: InputFile, format: Format, mapping: Arc<Mapping>, encoding: Option<Encoding>) -> Result<Self> {
        let wanted = wanted(&mapping);
        let (delimited, rows, unnest) = (mapping.delimited.clone(), mapping.rows.clone(), mapping.unnest.clone());
        let reading = Reading { format, encoding, delimited, wanted, rows, unnest };
        let file = MappedFile::open(file, reading)?;
        let expressions = Expressions::compile(&mapping, &file)?;
        let file = file.with_codes_of(expressions.dimensions.clone());
        let list = expressions.data_type(&Meaning::Lines(Lines::List));
        let lines = mapping.products.as_ref();
        let lines = lines.map(|products| LineExpressions::compile(products, list, &named_of_lines(products)));
        let lines = lines.transpose()?;
        Ok(Self { mapping, file, expressions, lines: lines.flatten(), rates: None })
    }

    /// How visits are known, as the tag of the files says it; None for offline records.
    fn visits(&self) -> Option<&'static str> {
        match (self.mapping.kind, &self.mapping.visit) {
            (MappedKind::Offline, _) => None,
            (MappedKind::Online, Some(_)) => Some("mapped"),
            (MappedKind::Online, None) => Some("computed"),
        }
    }

    /// Decodes all rows. `read` counts bytes, for progress.
    fn decode(self: &Arc<Self>, origin: &Arc<Origin>, pieces: &PieceSender, read: Arc<AtomicU64>) -> Result<()> {
        let of_lines = self.lines.iter().flat_map(|lines| &lines.absent);
        for (key, reason) in self.mapping.near_names().iter().chain(&self.expressions.absent).chain(of_lines) {
            let warnings = vec![RowIssue::new(1, key, reason, "")];
            pieces.send(|| Ok(Piece { warnings, ..Default::default() }))?;
        }
        self.file.read(&self.expressions.columns, read, &mut |rows| {
            let (input, origin) = (self.clone(), origin.clone());
            pieces.send(move || {
                let place = rows.lines.first().zip(rows.lines.last()).map(|(a, b)| format!("lines {a} to {b}"));
                let piece = input.piece(&origin, rows);
                piece.map_err(|e| if let Some(place) = place { e.at(place) } else { e })
            })?;
            Ok(ControlFlow::Continue(()))
        })
    }

    /// The first row that cannot be taken, when there is one.
    fn first_issue(&self) -> Result<Option<RowIssue>> {
        let origin = Origin {
            suite: String::new(),
            source: String::new(),
            kind: String::new(),
            file: String::new(),
            received: 0,
        };
        let mut found = None;
        self.file.read(&self.expressions.columns, Arc::default(), &mut |rows| {
            found = self.piece(&origin, rows)?.issues.into_iter().next();
            Ok(if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        Ok(found)
    }

    fn piece(&self, origin: &Origin, rows: FileRows) -> Result<Piece> {
        let FileRows { batch, lines, mut issues } = rows;
        let mut faults = RowFaults::new(lines);
        let evaluated = self.expressions.evaluate(&batch, &mut faults)?;
        let mut row = self.row_values(evaluated, &mut faults)?;
        let warnings = std::mem::take(&mut row.warnings);
        let adds_up = |r: usize| totals::says_total(&batch, r) || totals::has_amounts_alone(&batch, r);
        faults.explain(TOTALS, |r| !row.has_id(r) && adds_up(r));
        for issue in issues.iter_mut().filter(|issue| totals::begins_with_total(&issue.text)) {
            issue.reason = format!("{TOTALS}: {}", issue.reason);
        }
        let decoded = match self.mapping.kind {
            MappedKind::Online => self.hits(origin, row, batch.num_rows(), &mut faults)?,
            MappedKind::Offline => offline(origin, row, &mut faults)?,
        };
        let good = faults.good();
        let decoded = if good.true_count() == good.len() { decoded } else { filter_record_batch(&decoded, &good)? };
        issues.extend(faults.into_issues());
        issues.sort_by_key(|issue| issue.line);
        Ok(match self.mapping.kind {
            MappedKind::Online => Piece { hits: Some(decoded), issues, warnings, ..Default::default() },
            MappedKind::Offline => Piece { offline: Some(decoded), issues, warnings, ..Default::default() },
        })
    }

    /// Every mapped value in our types.
    fn row_values(&self, evaluated: Vec<Evaluated<'_>>, faults: &mut RowFaults) -> Result<RowValues> {
        let mut row = RowValues::default();
        let (mut lines, mut currency) = (vec![], None);
        for Evaluated { place, key, values, unread } in evaluated {
            let unread = unread.iter().map(|(r, text)| RowIssue::new(faults.lines()[*r], key, NO_NUMBER, text));
            row.warnings.extend(unread);
            match place {
                Meaning::Lines(of) => lines.push((of.clone(), key.to_string(), values)),
                Meaning::Time => {
                    let (unit, zone) = (self.mapping.time_unit, self.mapping.time_zone);
                    row.time = cells::instants(&values, unit, zone, key, faults)?;
                    let has_year = self.mapping.time.contains("%Y");
                    for (r, _) in row.time.iter().enumerate().filter(|(_, time)| has_year && is_short_year(time)) {
                        faults.add(r, key, SHORT_YEAR, "");
                    }
                }
                Meaning::Visit if self.has_visit_numbers() => {
                    row.visit = Some(Arc::new(visit_numbers(&values, key, faults)?));
                }
                Meaning::Visit => row.visit = Some(Arc::new(cells::texts(&values, key, faults)?)),
                Meaning::Visitor => row.visitor = Some(cells::ids(&values, key, faults)?),
                Meaning::Transaction => row.transaction = Some(Arc::new(cells::ids(&values, key, faults)?)),
                Meaning::Customer => row.customer = Some(Arc::new(cells::ids(&values, key, faults)?)),
                Meaning::Currency => currency = Some(cells::texts(&values, key, faults)?),
                Meaning::Key => row.key = Some(cells::ids(&values, key, faults)?),
                Meaning::Dimension(name) => {
                    let texts = dimension(&values, key, faults)?;
                    row.values.push((as_it_comes(&Arc::new(columns::dimension(name)), &texts), texts));
                }
                Meaning::Metric(name) => {
                    let numbers = cells::numbers(&values, key, faults)?;
                    row.values.push((Arc::new(columns::metric(name)), Arc::new(numbers)));
                }
            }
        }
        let mut rates = match (&self.rates, &currency) {
            (Some(rates), Some(codes)) => Some(rates.of_rows(codes, &row.time)),
            _ => None,
        };
        if let Some(rates) = &mut rates {
            let is_amount = |name: &str| self.mapping.currency.iter().any(|c| c.metrics.iter().any(|m| m == name));
            for (_, values) in row.values.iter_mut().filter(|(field, _)| is_amount(field.name())) {
                *values = Arc::new(rates.exchange_all(values.as_primitive::<Float64Type>()));
            }
        }
        if let Some(products) = &self.mapping.products {
            let orders =
                row.values.iter().find(|(field, _)| field.name() == "orders").map(|(_, orders)| orders.clone());
            let orders = orders.as_ref().and_then(|orders| orders.as_primitive_opt::<Float64Type>());
            // as in a feed: of a hit, units and revenue count on a purchase
            let is_purchase =
                |row: usize| orders.is_some_and(|orders| orders.is_valid(row) && orders.value(row) != 0.0);
            let counts = |row: usize| self.mapping.kind == MappedKind::Offline || is_purchase(row);
            let mapped = |name: &str| self.mapping.metrics.contains_key(name);
            let of_rows = OfRows { rows: row.time.len(), counts: &counts, mapped: &mapped, rates: rates.as_mut() };
            let of_lines = columns_of(products, self.lines.as_ref(), lines, of_rows, faults, &mut row.warnings)?;
            row.values.extend(of_lines);
        }
        if let (Some(rates), Some(codes)) = (rates, &currency) {
            row.warnings.extend(rates.warnings(codes, &row.time, faults.lines()));
            row.lost = rates.into_lost();
        }
        Ok(row)
    }

    fn has_visit_numbers(&self) -> bool {
        self.expressions.data_type(&Meaning::Visit).is_some_and(DataType::is_numeric)
    }

    fn hits(&self, origin: &Origin, row: RowValues, rows: usize, faults: &mut RowFaults) -> Result<RecordBatch> {
        let visitor = row.visitor.ok_or_else(|| Error::bug("a mapping of hits without a visitor"))?;
        for bad in (0..rows).filter(|&r| visitor.is_null(r)) {
            faults.add(bad, VISITOR_ID, "no visitor id; every online hit needs one", "");
        }
        // a row without a time is filtered out; until then it needs some
        let midnight = |day: NaiveDate| Written::Day(day).in_zone(self.mapping.time_zone).unwrap_or_default();
        let time = |instant: &Instant| match instant {
            Instant::At(micros) => *micros,
            Instant::Day(day) => midnight(*day),
            Instant::Missing => 0,
        };
        let times = TimestampMicrosecondArray::from_iter_values(row.time.iter().map(time));
        let key = |id: Option<&str>| id.map_or(0, columns::visitor_key);
        let keys = Int64Array::from_iter_values(visitor.iter().map(key));
        let place: [(Arc<Field>, ArrayRef); 2] =
            [(key_field(VISITOR_ID)?, Arc::new(visitor)), (key_field(HIT_TIME)?, Arc::new(times.with_timezone("UTC")))];
        let mut content: Vec<(Arc<Field>, ArrayRef)> = vec![];
        if let Some(visit) = row.visit {
            let name = if self.has_visit_numbers() { columns::VISIT_NUM } else { columns::VISIT_ID };
            content.push((key_field(name)?, visit));
        }
        content.extend(row.transaction.map(|ids| Ok::<_, Error>((key_field(TRANSACTION_ID)?, ids))).transpose()?);
        content.extend(row.customer.map(|ids| Ok::<_, Error>((key_field(CUSTOMER_ID)?, ids))).transpose()?);
        content.extend(row.values);
        // the sequence orders rows of one visitor and instant, so the hash is of the rest
        let hashes = hash_rows(&to_batch(content.clone(), rows)?)?;
        let keyed = |row_number: usize| {
            let keys = row.key.as_ref().filter(|keys| keys.is_valid(row_number))?;
            Some(columns::key_sequence(keys.value(row_number)))
        };
        let sequence = hashes.into_iter().enumerate();
        let sequence: Decimal128Array = sequence
            .map(|(row, hash)| {
                Some(keyed(row).map_or_else(|| columns::content_sequence(hash), |(sequence, _)| sequence))
            })
            .collect();
        let rests: Option<Int64Array> =
            row.key.as_ref().map(|_| (0..rows).map(|row| keyed(row).map(|(_, rest)| rest)).collect());
        if let Some(views) = self.page_views(&content) {
            content.push((Arc::new(columns::metric("page_views")), Arc::new(views)));
        }
        let fixed: [(&str, ArrayRef); 7] = [
            (SUITE, one_text(&origin.suite, rows)),
            (FILE, one_text(&origin.file, rows)),
            (VISITOR_KEY, Arc::new(keys)),
            (HIT_SEQ, Arc::new(sequence.with_data_type(columns::sequence()))),
            (columns::HIT_SOURCE, Arc::new(Int64Array::from(vec![1; rows]))),
            (columns::EXCLUDE_HIT, Arc::new(Int64Array::from(vec![0; rows]))),
            (columns::PERSISTED, Arc::new(BooleanArray::from(vec![false; rows]))),
        ];
        let fixed = fixed.into_iter().chain(rests.map(|rests| (columns::HIT_ID_REST, Arc::new(rests) as ArrayRef)));
        let fixed = fixed.map(|(name, array)| Ok((as_it_comes(&key_field(name)?, &array), array)));
        let fixed = fixed.collect::<Result<Vec<_>>>()?;
        to_batch(fixed.into_iter().chain(place).chain(content).collect(), rows)
    }

    /// A page view is a hit with a page name or a page URL, unless the mapping says otherwise.
    fn page_views(&self, content: &[(Arc<Field>, ArrayRef)]) -> Option<Float64Array> {
        if self.mapping.metrics.contains_key("page_views") {
            return None;
        }
        let pages: Vec<&ArrayRef> = content
            .iter()
            .filter(|(f, _)| matches!(f.name().as_str(), "page_name" | "page_url"))
            .map(|(_, a)| a)
            .collect();
        let rows = pages.first()?.len();
        if pages.iter().any(|page| page.null_count() == 0) {
            return Some(Float64Array::from_value(1.0, rows));
        }
        Some((0..rows).map(|row| pages.iter().any(|page| page.is_valid(row)).then_some(1.0)).collect())
    }
}

/// True for a year below 100.
fn is_short_year(time: &Instant) -> bool {
    let day = match time {
        Instant::Missing => None,
        Instant::At(micros) => DateTime::from_timestamp_micros(*micros).map(|time| time.date_naive()),
        Instant::Day(day) => Some(*day),
    };
    day.is_some_and(|day| day.year() < 100)
}

/// The values of some rows; dimensions and metrics by their names.
#[derive(Default)]
struct RowValues {
    time: Vec<Instant>,
    visitor: Option<StringArray>,
    visit: Option<ArrayRef>,
    transaction: Option<ArrayRef>,
    customer: Option<ArrayRef>,
    key: Option<StringArray>,
    values: Vec<(Arc<Field>, ArrayRef)>,
    /// Rows with an amount that has no rate; empty where none is asked for.
    lost: Vec<bool>,
    /// What is to be said of them.
    warnings: Vec<RowIssue>,
}

impl RowValues {
    /// True where a row says whose it is; the word of a line of totals is no id.
    fn has_id(&self, row: usize) -> bool {
        let is_id = |ids: &StringArray| ids.is_valid(row) && !totals::is_total(ids.value(row));
        let others = [&self.transaction, &self.customer].into_iter().flatten();
        self.visitor.as_ref().is_some_and(is_id) || others.map(|ids| ids.as_string::<i32>()).any(is_id)
    }
}

/// A dimension as texts, or as the dictionary array that it is where its texts are taken as they are.
fn dimension(values: &ArrayRef, column: &str, faults: &mut RowFaults) -> Result<ArrayRef> {
    // few texts are looked at once for many rows
    let is_plain = |texts: &StringArray| texts.len() <= values.len() && cells::are_plain(texts);
    match coded_texts(values).is_some_and(|(_, texts)| is_plain(texts)) {
        true => Ok(values.clone()),
        false => Ok(Arc::new(cells::texts(values, column, faults)?)),
    }
}

fn offline(origin: &Origin, row: RowValues, faults: &mut RowFaults) -> Result<RecordBatch> {
    let rows = row.time.len();
    let latest = cells::latest_record(crate::clock::now());
    let noon = |day: NaiveDate| -> NaiveDateTime { day.and_hms_opt(12, 0, 0).unwrap_or_else(|| day.into()) };
    let any = |row_number: usize, of: &dyn Fn(&Field) -> bool| {
        row.values.iter().any(|(field, array)| of(field) && array.is_valid(row_number))
    };
    let has = |ids: &Option<ArrayRef>, r: usize| ids.as_ref().is_some_and(|a| a.is_valid(r));
    for r in 0..rows {
        let micros = match row.time[r] {
            Instant::At(micros) => micros,
            Instant::Day(day) => noon(day).and_utc().timestamp_micros(),
            Instant::Missing => continue,
        };
        if micros > latest {
            faults.add(r, "time", "more than a day in the future", "");
        }
        if !any(r, &|f| columns::is_metric(f)) && row.lost.get(r) != Some(&true) {
            faults.add(r, "", "no metric; a record needs at least one", "");
        }
        if !any(r, &|f| !columns::is_metric(f)) && !has(&row.transaction, r) && !has(&row.customer, r) {
            faults.add(r, "", "no dimension and no id; a record needs at least one", "");
        }
    }
    let record_time = |i: &Instant| if let Instant::At(micros) = i { Some(*micros) } else { None };
    let record_local =
        |i: &Instant| if let Instant::Day(day) = i { Some(noon(*day).and_utc().timestamp_micros()) } else { None };
    let mut record_times: Vec<Option<i64>> = row.time.iter().map(record_time).collect();
    for (time, instant) in record_times.iter_mut().zip(&row.time) {
        // a row without a time is filtered out; until then it needs some
        if *instant == Instant::Missing {
            *time = Some(0);
        }
    }
    let records = Records {
        row: faults.lines().iter().map(|line| Some(*line as i64)).collect(),
        record_time: Some(record_times.into()),
        record_local: Some(row.time.iter().map(record_local).collect()),
        has_time: row.time.iter().map(|i| Some(!matches!(i, Instant::Day(_)))).collect(),
        transaction_id: row.transaction,
        customer_id: row.customer,
        values: row.values,
    };
    offline_batch(origin, records)
}

fn visit_numbers(values: &ArrayRef, key: &str, faults: &mut RowFaults) -> Result<Int64Array> {
    let data_type = values.data_type();
    // each of these is one of ours
    if data_type.is_integer() && data_type != &DataType::UInt64 {
        return Ok(cast(values, &DataType::Int64)?.as_primitive::<Int64Type>().clone());
    }
    let texts: ArrayRef = Arc::new(cells::ids(values, key, faults)?);
    let texts = texts.as_string::<i32>();
    let number = |(row, text): (usize, Option<&str>)| {
        let parsed = text?.parse().ok();
        if parsed.is_none() {
            faults.add(row, key, "no whole number; a visit is a whole number or a text", text.unwrap_or_default());
        }
        parsed
    };
    Ok(texts.iter().enumerate().map(number).collect())
}

fn key_field(name: &str) -> Result<Arc<Field>> {
    columns::key_field(name).map(Arc::new).ok_or_else(|| Error::bug(format!("{name} is no key")))
}

fn to_batch(content: Vec<(Arc<Field>, ArrayRef)>, rows: usize) -> Result<RecordBatch> {
    let (fields, arrays): (Vec<_>, Vec<_>) = content.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::distinct_texts::coded_type;

    /// Dictionary arrays are kept where that changes nothing; complaints are those about the texts.
    #[test]
    fn dimensions_are_their_texts() {
        let of = |values: &ArrayRef| {
            let mut faults = RowFaults::new((1..=values.len() as u64).collect());
            let texts = dimension(values, "page", &mut faults).unwrap();
            let plain = cast(&texts, &DataType::Utf8).unwrap();
            let lines: Vec<u64> = faults.into_issues().map(|issue| issue.line).collect();
            (texts.data_type() == &DataType::Utf8, plain, lines)
        };
        let all = [
            (vec![Some("a"), None, Some("b"), Some("a")], false, vec![]),
            (vec![None, None], false, vec![]),
            (vec![Some("a"), Some(""), Some("a")], true, vec![]),
            (vec![Some("a"), Some("b\0"), None, Some("b\0")], true, vec![2, 4]),
        ];
        for (texts, becomes_plain, lines) in all {
            let plain: ArrayRef = Arc::new(StringArray::from(texts));
            let coded = cast(&plain, &coded_type()).unwrap();
            let (expected, found) = (of(&plain), of(&coded));
            assert_eq!((found.0, &found.1, &found.2), (becomes_plain, &expected.1, &lines));
            assert_eq!((expected.0, &expected.2), (true, &lines));
            // a part of the rows, of which there may be fewer than texts
            assert_eq!(&of(&coded.slice(0, 1)).1, &of(&plain.slice(0, 1)).1);
        }
    }
}
