//! Product lines of a mapped source: lists, or one product a row, become a product list as a data feed writes it.
//!
//! In: the table `[products]` of a mapping, and its values over the rows of a file. Out: the columns `product_list`, `product`
//! and `category`, and those metrics of the lines (units, revenue, events) that the mapping does not map itself, summed over
//! the row. All readers of product lines read that one form.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int32Array, ListArray, RecordBatch, StringArray, StringBuilder,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use datafusion::common::{Column as SqlColumn, DFSchema};
use datafusion::logical_expr::Expr;
use serde::Serialize;
use toml::{Table, Value};

use super::cells::{self, RowFaults};
use super::computed::{Computed, INSTANT, MAX_SHOWN_BYTES, TEXT, missing_as, parsed, root, session};
use super::exchange::RowRates;
use super::json_shape::{Shape, records_in};
use crate::columns::{self, PRODUCT_LIST, numbered};
use crate::error::did_you_mean;
use crate::feed::caret::{escape, join_list};
use crate::feed::product_list::{Product, parse};
use crate::feed::row_issue::clip;
use crate::feed::{RowIssue, number};
use crate::lake::bindings::check_dimension;
use crate::{Error, Result};

/// What a mapping says of product lines. Every value is a column or a SQL expression.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Products {
    /// A list of structs, a line each: the parts are then expressions over the fields of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    list: Option<String>,
    /// A product list as Adobe writes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Of a line: lists side by side, or values of one line a row.
    parts: Vec<(LinePart, String)>,
}

/// A part of a product line.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum LinePart {
    /// The product.
    Product,
    /// Its category.
    Category,
    /// Units.
    Quantity,
    /// The line's total.
    Price,
    /// What the line has of this event.
    Event(String),
    /// The value of this dimension that is bound to the product.
    Bound(String),
}

/// A value over the rows of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lines {
    /// Adobe's text.
    Text,
    /// The list of structs.
    List,
    /// A part.
    Part(LinePart),
}

const KEYS: [&str; 8] = ["list", "text", "product", "category", "quantity", "price", "events", "bound"];

impl Products {
    /// Takes the table `[products]` out of a mapping.
    pub fn take(table: &mut Table) -> Result<Option<Self>> {
        let Some(value) = table.remove("products") else { return Ok(None) };
        let Value::Table(mut own) = value else { return Err(wrong("products is no table; write [products]")) };
        if let Some(unknown) = own.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = did_you_mean(unknown, KEYS);
            return Err(wrong(format!("products: unknown key {unknown}{hint} (known: {})", KEYS.join(", "))));
        }
        let [list, text] = ["list", "text"].map(|key| expression(&mut own, key));
        let mut parts = vec![];
        for (part, key) in [
            (LinePart::Product, "product"),
            (LinePart::Category, "category"),
            (LinePart::Quantity, "quantity"),
            (LinePart::Price, "price"),
        ] {
            parts.extend(expression(&mut own, key)?.map(|text| (part, text)));
        }
        for name in names(&own, "events")? {
            let lower = name.to_lowercase();
            if numbered(&lower, "event").is_none_or(|n| n > 1000) {
                return Err(wrong(format!("products.events.{name}: a line has event1 to event1000 of its own")));
            }
            parts.extend(within(&mut own, "events", &name)?.map(|text| (LinePart::Event(lower), text)));
        }
        for name in names(&own, "bound")? {
            check_dimension(&name).map_err(|e| e.at(format!("products.bound.{name}")))?;
            parts.extend(within(&mut own, "bound", &name)?.map(|text| (LinePart::Bound(name.clone()), text)));
        }
        let products = Self { list: list?, text: text?, parts };
        products.check()?;
        Ok(Some(products))
    }

    fn check(&self) -> Result<()> {
        if self.text.is_some() && (self.list.is_some() || !self.parts.is_empty()) {
            return Err(wrong(
                "products.text is the whole list as Adobe writes it; leave the other keys of [products] out",
            ));
        }
        let named = self.parts.iter().any(|(part, _)| matches!(part, LinePart::Product | LinePart::Category));
        if self.text.is_none() && !named {
            return Err(wrong("[products] needs product or category, or text"));
        }
        Ok(())
    }

    /// True for a list as Adobe writes it.
    pub fn is_text(&self) -> bool {
        self.text.is_some()
    }

    /// The columns that come of it: none of them is mapped besides.
    pub fn columns(&self) -> [&'static str; 3] {
        [PRODUCT_LIST, "product", "category"]
    }

    /// The values that are read of each row: what each is, its key, and its text.
    pub fn values(&self) -> Vec<(Lines, String, &str)> {
        let whole = [(Lines::Text, "products.text", &self.text), (Lines::List, "products.list", &self.list)];
        let whole = whole.into_iter().filter_map(|(lines, key, text)| Some((lines, key.into(), text.as_deref()?)));
        let parts = self.parts.iter().filter(|_| self.list.is_none());
        let parts = parts.map(|(part, text)| (Lines::Part(part.clone()), part.key(), text.as_str()));
        whole.chain(parts).collect()
    }

    /// The list whose elements are lines, and the texts of what is taken of each.
    pub fn of_elements(&self) -> Option<(&str, impl Iterator<Item = &str>)> {
        Some((self.list.as_deref()?, self.parts.iter().map(|(_, text)| text.as_str())))
    }

    /// The metrics that the lines have.
    fn metrics(&self) -> Vec<String> {
        if self.text.is_some() {
            return vec!["units".into(), "revenue".into()];
        }
        let metric = |part: &LinePart| match part {
            LinePart::Quantity => Some("units".to_string()),
            LinePart::Price => Some("revenue".into()),
            LinePart::Event(name) => Some(name.clone()),
            _ => None,
        };
        self.parts.iter().filter_map(|(part, _)| metric(part)).collect()
    }
}

impl LinePart {
    fn key(&self) -> String {
        match self {
            Self::Product => "products.product".into(),
            Self::Category => "products.category".into(),
            Self::Quantity => "products.quantity".into(),
            Self::Price => "products.price".into(),
            Self::Event(name) => format!("products.events.{name}"),
            Self::Bound(name) => format!("products.bound.{name}"),
        }
    }

    fn is_number(&self) -> bool {
        matches!(self, Self::Quantity | Self::Price | Self::Event(_))
    }
}

/// The parts of a list of structs, compiled over the fields of one.
pub struct LineExpressions {
    schema: Arc<Schema>,
    parts: Vec<(LinePart, Computed)>,
    /// Parts of which no line of the file has a value, and what lines have instead.
    pub absent: Vec<(String, String)>,
}

impl LineExpressions {
    /// For the type that the list has in a file; None where the mapping has no list, or no row of the file does. `named` are
    /// the parts that the expressions name: those of JSON in a text.
    pub fn compile(products: &Products, list: Option<&DataType>, named: &BTreeSet<String>) -> Result<Option<Self>> {
        let (Some(text), Some(list)) = (&products.list, list) else { return Ok(None) };
        let at = |e: Error| e.at(format!("mapping products.list = {text:?}"));
        let fields = match list {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                match element.data_type() {
                    DataType::Struct(fields) => fields.clone(),
                    // empty lists, or texts among which no line is
                    DataType::Null | DataType::Utf8 => Fields::empty(),
                    other => {
                        let reason = format!("a list of {other}; give a list of structs, or its parts without list");
                        return Err(at(Error::refused(reason)));
                    }
                }
            }
            DataType::Null => Fields::empty(),
            text if text.is_string() => named.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect(),
            other => return Err(at(Error::refused(format!("a {other}; give a list of structs")))),
        };
        // a line that is NULL has none of its fields, whatever the file says of them
        let fields: Vec<Field> = fields.iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
        let schema = Arc::new(Schema::new(fields));
        let state = session().state();
        let typed = DFSchema::try_from(schema.as_ref().clone())?;
        let (mut parts, mut absent) = (vec![], vec![]);
        let has_lines = schema.fields().iter().any(|field| !field.data_type().is_null());
        for (part, text) in products.parts.iter().filter(|_| has_lines) {
            let logical = match schema.index_of(text) {
                Ok(_) => Ok(Expr::Column(SqlColumn::from_name(text))),
                Err(_) => parsed(text).and_then(|sql| state.create_logical_expr_from_sql_expr(sql, &typed)),
            };
            absent.extend(logical.iter().filter_map(|expr| Some((part.key(), lacking(expr, &schema)?))));
            let planned = logical.and_then(|expr| {
                let missing = |data_type: &DataType| missing_as(expr.clone(), &typed, data_type);
                Computed::plan_first(&state, &[expr.clone(), missing(&TEXT)?, missing(&INSTANT)?], &typed, &schema)
            });
            let planned = planned.map_err(|e| {
                let names = schema.fields().iter().map(|f| f.name().as_str()).collect::<Vec<_>>().join(", ");
                let (why, names) = (root(&e), clip(&names, 2 * MAX_SHOWN_BYTES).to_string());
                let reason = format!("{}; a line has {names}", clip(&why, 2 * MAX_SHOWN_BYTES));
                Error::refused(reason).at(format!("mapping {} = {text:?}", part.key()))
            })?;
            parts.push((part.clone(), planned));
        }
        Ok(Some(Self { schema, parts, absent }))
    }
}

/// What an expression over the fields of a line names and no line has, though lines have others.
fn lacking(expression: &Expr, schema: &Schema) -> Option<String> {
    let there = schema.fields().iter().filter(|field| !field.data_type().is_null());
    let there: Vec<&str> = there.map(|field| field.name().as_str()).collect();
    if there.is_empty() {
        return None;
    }
    let named = expression.column_refs().into_iter().map(|column| column.name.as_str());
    let name = named.filter(|name| schema.index_of(name).is_ok() && !there.contains(name)).min()?;
    let (hint, names) = (did_you_mean(name, there.iter().copied()), there.join(", "));
    Some(format!("no line of the file has {name}{hint} (a line has {})", clip(&names, 2 * MAX_SHOWN_BYTES)))
}

/// A part of all lines of a batch.
struct LineColumn {
    part: LinePart,
    /// Where the lines of each row are; None where a row has one line.
    offsets: Option<OffsetBuffer<i32>>,
    cells: Cells,
}

enum Cells {
    Texts(StringArray),
    Numbers(Float64Array),
}

/// What is known of the rows of a batch besides their product lines.
pub struct OfRows<'a, 'r> {
    /// How many there are.
    pub rows: usize,
    /// On which units and revenue count.
    pub counts: &'a dyn Fn(usize) -> bool,
    /// Which metrics the mapping maps itself.
    pub mapped: &'a dyn Fn(&str) -> bool,
    /// Their rates, where prices are in several currencies.
    pub rates: Option<&'a mut RowRates<'r>>,
}

/// The columns of the rows of a batch; `evaluated` are those of [`Products::values`] with their keys. A number of a line that is
/// none is a warning, as in a feed.
pub fn columns_of(
    products: &Products,
    expressions: Option<&LineExpressions>,
    evaluated: Vec<(Lines, String, ArrayRef)>,
    of_rows: OfRows<'_, '_>,
    faults: &mut RowFaults,
    warnings: &mut Vec<RowIssue>,
) -> Result<Vec<(Arc<Field>, ArrayRef)>> {
    let OfRows { rows, counts, mapped, rates } = of_rows;
    let mut lists = StringBuilder::new();
    let mut columns = vec![];
    let mut text = None;
    let mut no_numbers = RowFaults::new(faults.lines().to_vec());
    for (lines, key, values) in evaluated {
        match lines {
            Lines::Text => text = Some(cells::texts(&values, &key, faults)?),
            Lines::List => columns.extend(of_structs(expressions, &values, faults, &mut no_numbers, warnings)?),
            Lines::Part(part) => {
                let issues = if part.is_number() { &mut no_numbers } else { &mut *faults };
                columns.push(LineColumn::new(part, &key, &values, issues)?);
            }
        }
    }
    warnings.extend(no_numbers.into_issues());
    if let Some(rates) = rates {
        let prices = columns.iter_mut().filter(|column| column.part == LinePart::Price);
        prices.for_each(|prices| prices.exchange(rates, rows));
    }
    for row in 0..rows {
        let list = match &text {
            Some(text) => text.is_valid(row).then(|| text.value(row).to_string()),
            None => written(&columns, row, faults),
        };
        lists.append_option(list.filter(|list| !list.is_empty()));
    }
    let lists = lists.finish();
    let mut out: Vec<(Arc<Field>, ArrayRef)> = vec![];
    let (mut product, mut category) = (StringBuilder::new(), StringBuilder::new());
    let metrics: Vec<String> = products.metrics().into_iter().filter(|name| !mapped(name)).collect();
    let mut sums: Vec<Vec<Option<f64>>> = metrics.iter().map(|_| Vec::with_capacity(rows)).collect();
    for row in 0..rows {
        let list = if lists.is_valid(row) { lists.value(row) } else { "" };
        let lines: Vec<_> = parse(list).collect();
        if products.is_text()
            && let Some(reason) = lines.iter().find_map(bad_number)
        {
            warnings.push(RowIssue::new(faults.lines()[row], "products.text", reason, list));
        }
        product.append_option(joined(lines.iter().map(|line| &*line.product)));
        category.append_option(joined(lines.iter().map(|line| &*line.category)));
        for (metric, sums) in metrics.iter().zip(&mut sums) {
            let takes = counts(row) || !matches!(metric.as_str(), "units" | "revenue");
            let amounts = lines.iter().filter(|_| takes).filter_map(|line| line.amount(metric));
            sums.push(amounts.reduce(|sum, amount| sum + amount));
        }
    }
    let texts: [(&str, StringArray); 3] =
        [(PRODUCT_LIST, lists), ("product", product.finish()), ("category", category.finish())];
    out.extend(
        texts.into_iter().map(|(name, values)| (Arc::new(columns::dimension(name)), Arc::new(values) as ArrayRef)),
    );
    for (metric, sums) in metrics.iter().zip(sums) {
        out.push((Arc::new(columns::metric(metric)), Arc::new(Float64Array::from(sums))));
    }
    Ok(out)
}

/// Why a number of a line is none.
fn bad_number(line: &Product<'_>) -> Option<String> {
    let bad = line.units().err().or_else(|| line.revenue().err());
    bad.or_else(|| {
        line.events().find_map(|entry| {
            let value = entry.value.filter(|value| number::parse(value).is_none())?;
            Some(format!("{} {}", clip(entry.event, 20), number::why_not(value)))
        })
    })
}

/// The lines of a list of records. What is no record among them is no line, and a warning; numbers that are none are reported separately.
fn of_structs(
    expressions: Option<&LineExpressions>,
    values: &ArrayRef,
    faults: &mut RowFaults,
    no_numbers: &mut RowFaults,
    warnings: &mut Vec<RowIssue>,
) -> Result<Vec<LineColumn>> {
    const KEY: &str = "products.list";
    let Some(LineExpressions { schema, parts, .. }) = expressions else { return Ok(vec![]) };
    if schema.fields().is_empty() {
        let texts = cells::texts(values, KEY, faults)?;
        for row in (0..texts.len()).filter(|row| texts.is_valid(*row)) {
            faults.add(row, KEY, "a text, and no list of structs", "");
        }
        return Ok(vec![]);
    }
    let (offsets, lines, missing) = match values.data_type().is_string() {
        true => lines_of_texts(schema, &cells::texts(values, KEY, faults)?)?,
        false => lines_of_lists(schema, values)?,
    };
    for (row, missing) in missing.into_iter().enumerate().filter(|(_, missing)| *missing > 0) {
        let what = if missing == 1 { "item that is no record" } else { "items that are no records" };
        let reason = format!("{missing} {what}: no product lines");
        warnings.push(RowIssue::new(faults.lines()[row], KEY, reason, ""));
    }
    let mut columns = vec![];
    for (part, expression) in parts {
        let key = part.key();
        let values = expression.values(&lines, &mut |line, why| faults.add(row_of(&offsets, line), &key, why, ""))?;
        let issues = if part.is_number() { &mut *no_numbers } else { &mut *faults };
        columns.push(LineColumn::flat(part.clone(), &key, offsets.clone(), &values, issues)?);
    }
    Ok(columns)
}

/// Where the lines of each row are, the lines, and how many items of each row are none.
type LinesOfRows = (OffsetBuffer<i32>, RecordBatch, Vec<usize>);

/// Those of lists of structs.
fn lines_of_lists(schema: &Arc<Schema>, values: &ArrayRef) -> Result<LinesOfRows> {
    let element = Arc::new(Field::new_list_field(DataType::Struct(schema.fields().clone()), true));
    let lists = cast(values, &DataType::List(element))?;
    let lists = lists.as_list::<i32>();
    let (offsets, structs) = of_rows(lists, lists.values(), &|line| lists.values().is_valid(line))?;
    let missing = (0..lists.len()).map(|row| {
        let items = if lists.is_valid(row) { lists.value_length(row) } else { 0 };
        (items - (offsets[row + 1] - offsets[row])) as usize
    });
    let missing = missing.collect();
    let lines = RecordBatch::try_new(schema.clone(), structs.as_struct().columns().to_vec())?;
    Ok((offsets, lines, missing))
}

/// Those of JSON in texts, whose parts are texts.
fn lines_of_texts(schema: &Arc<Schema>, texts: &StringArray) -> Result<LinesOfRows> {
    let mut parts: Vec<StringBuilder> = schema.fields().iter().map(|_| StringBuilder::new()).collect();
    let (mut lengths, mut missing) = (vec![], vec![]);
    for text in texts {
        let items = text.map(records_in).unwrap_or_default();
        let records = items.iter().flatten();
        lengths.push(records.clone().count());
        missing.push(items.len() - records.clone().count());
        for record in records {
            for (field, part) in schema.fields().iter().zip(&mut parts) {
                let value = record.get(field.name()).map(|value| Shape::Text.fit(value.clone()));
                part.append_option(value.as_ref().and_then(serde_json::Value::as_str));
            }
        }
    }
    let columns = parts.iter_mut().map(|part| Arc::new(part.finish()) as ArrayRef).collect();
    Ok((OffsetBuffer::from_lengths(lengths), RecordBatch::try_new(schema.clone(), columns)?, missing))
}

/// The row that a line is of.
fn row_of(offsets: &OffsetBuffer<i32>, line: usize) -> usize {
    offsets.partition_point(|start| *start as usize <= line) - 1
}

/// Where the lines of each row are among `values`, the elements of lists, without those that no row has or that are no line.
fn of_rows(
    lists: &ListArray,
    values: &ArrayRef,
    is_line: &dyn Fn(usize) -> bool,
) -> Result<(OffsetBuffer<i32>, ArrayRef)> {
    let mut taken = vec![];
    let mut lengths = Vec::with_capacity(lists.len());
    for row in 0..lists.len() {
        let before = taken.len();
        // a list that is NULL has no lines, whatever is beneath it
        if lists.is_valid(row) {
            let (start, end) = (lists.value_offsets()[row], lists.value_offsets()[row + 1]);
            taken.extend((start..end).filter(|line| is_line(*line as usize)));
        }
        lengths.push(taken.len() - before);
    }
    Ok((OffsetBuffer::from_lengths(lengths), take(values, &Int32Array::from(taken), None)?))
}

impl LineColumn {
    /// Of a list a row, or of one value.
    fn new(part: LinePart, key: &str, values: &ArrayRef, faults: &mut RowFaults) -> Result<Self> {
        let element = match values.data_type() {
            DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
                element.clone()
            }
            _ => {
                let cells = Cells::new(&part, key, values, faults)?;
                return Ok(Self { part, offsets: None, cells });
            }
        };
        let lists = cast(values, &DataType::List(element))?;
        let lists = lists.as_list::<i32>();
        let (offsets, values) = of_rows(lists, lists.values(), &|_| true)?;
        Self::flat(part, key, offsets, &values, faults)
    }

    /// Of the values of all lines; a complaint about a line is one about its row.
    fn flat(
        part: LinePart,
        key: &str,
        offsets: OffsetBuffer<i32>,
        values: &ArrayRef,
        faults: &mut RowFaults,
    ) -> Result<Self> {
        let mut of_lines = RowFaults::new((0..values.len() as u64).collect());
        let cells = Cells::new(&part, key, values, &mut of_lines)?;
        for issue in of_lines.into_issues() {
            faults.add(row_of(&offsets, issue.line as usize), &issue.column, issue.reason, &issue.text);
        }
        Ok(Self { part, offsets: Some(offsets), cells })
    }

    /// Amounts in the suite's currency in place of those that the rows have.
    fn exchange(&mut self, rates: &mut RowRates<'_>, rows: usize) {
        let Cells::Numbers(amounts) = &self.cells else { return };
        let offsets = self.offsets.as_ref();
        let lines =
            |row: usize| offsets.map_or(row..row + 1, |offsets| offsets[row] as usize..offsets[row + 1] as usize);
        let exchanged = (0..rows).flat_map(|row| lines(row).map(move |line| (row, line)));
        let exchanged = exchanged.map(|(row, line)| {
            let amount = amounts.is_valid(line).then(|| amounts.value(line));
            amount.and_then(|amount| rates.exchange(row, amount))
        });
        self.cells = Cells::Numbers(exchanged.collect());
    }

    /// How many lines a row has; None where that is for the other parts to say.
    fn lines(&self, row: usize) -> Option<usize> {
        self.offsets.as_ref().map(|offsets| (offsets[row + 1] - offsets[row]) as usize)
    }

    fn at(&self, row: usize, line: usize) -> usize {
        self.offsets.as_ref().map_or(row, |offsets| offsets[row] as usize + line)
    }
}

impl Cells {
    fn new(part: &LinePart, key: &str, values: &ArrayRef, faults: &mut RowFaults) -> Result<Self> {
        Ok(match part {
            LinePart::Product => Self::Texts(cells::ids(values, key, faults)?),
            LinePart::Category | LinePart::Bound(_) => Self::Texts(cells::texts(values, key, faults)?),
            LinePart::Quantity | LinePart::Price | LinePart::Event(_) => {
                Self::Numbers(cells::numbers(values, key, faults)?)
            }
        })
    }
}

/// The product list of a row.
fn written(columns: &[LineColumn], row: usize, faults: &mut RowFaults) -> Option<String> {
    let lengths: BTreeMap<usize, &LineColumn> =
        columns.iter().filter_map(|column| Some((column.lines(row)?, column))).collect();
    // a list that is missing says nothing of the others
    let mut known = lengths.iter().filter(|(length, _)| **length > 0);
    let lines = known.next().map(|(length, _)| *length);
    if let Some((other, column)) = known.next() {
        let reason =
            format!("lists of {} and {other} product lines; side by side they have one length", lines.unwrap_or(0));
        faults.add(row, &column.part.key(), reason, "");
        return None;
    }
    let lines = lines.unwrap_or(usize::from(lengths.is_empty()));
    let mut list = String::new();
    let mut parts: [String; 6] = Default::default();
    for line in 0..lines {
        parts.iter_mut().for_each(String::clear);
        for column in columns {
            let (place, separated, name) = match &column.part {
                LinePart::Category => (0, false, ""),
                LinePart::Product => (1, false, ""),
                LinePart::Quantity => (2, false, ""),
                LinePart::Price => (3, false, ""),
                LinePart::Event(name) => (4, true, name.as_str()),
                LinePart::Bound(name) => (5, true, name.as_str()),
            };
            if column.lines(row) == Some(0) {
                continue;
            }
            let (at, part) = (column.at(row, line), &mut parts[place]);
            let before = part.len();
            if separated {
                let bar = if part.is_empty() { "" } else { "|" };
                let _ = write!(part, "{bar}{name}=");
            }
            let some = match &column.cells {
                Cells::Texts(texts) if texts.is_valid(at) => {
                    if separated && texts.value(at).contains('|') {
                        let reason = "a value with | cannot be bound to a product: it parts values in a product list";
                        faults.add(row, &column.part.key(), reason, texts.value(at));
                    }
                    escape(texts.value(at), part);
                    true
                }
                Cells::Numbers(numbers) if numbers.is_valid(at) => write!(part, "{}", numbers.value(at)).is_ok(),
                _ => false,
            };
            if !some {
                part.truncate(before);
            }
        }
        let Some(last) = parts.iter().rposition(|part| !part.is_empty()) else { continue };
        if !list.is_empty() {
            list.push(',');
        }
        // a category alone is a line, too
        list.push_str(&parts[..=last.max(1)].join(";"));
    }
    Some(list)
}

/// The distinct values, as a cell of a multi-valued dimension.
fn joined<'v>(values: impl Iterator<Item = &'v str>) -> Option<String> {
    let (mut cell, mut seen) = (String::new(), HashSet::new());
    join_list(values.filter(|value| !value.is_empty() && seen.insert(*value)), &mut cell);
    (!cell.is_empty()).then_some(cell)
}

fn expression(table: &mut Table, key: &str) -> Result<Option<String>> {
    match table.remove(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(Value::Integer(number)) => Ok(Some(number.to_string())),
        Some(Value::Float(number)) => Ok(Some(number.to_string())),
        Some(_) => Err(wrong(format!("products.{key}: give a column's name or a SQL expression as text"))),
    }
}

fn names(table: &Table, key: &str) -> Result<Vec<String>> {
    match table.get(key) {
        None => Ok(vec![]),
        Some(Value::Table(own)) => Ok(own.keys().cloned().collect()),
        Some(_) => Err(wrong(format!("products.{key} is no table; write [products.{key}]"))),
    }
}

fn within(table: &mut Table, key: &str, name: &str) -> Result<Option<String>> {
    match table.get_mut(key) {
        Some(Value::Table(own)) => expression(own, name).map_err(|e| e.at(format!("products.{key}"))),
        _ => Ok(None),
    }
}

fn wrong(message: impl Into<String>) -> Error {
    Error::configuration(message)
}
