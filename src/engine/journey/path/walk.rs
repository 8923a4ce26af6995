//! Conversions of one visitor after another: rows in, what is shown of their conversions out, some thousand at a time.
//!
//! What a question only shows of rows, such as their `event_id`, is looked up when a batch of the answer is full, and so only for
//! the rows that are in it. Until then the walk holds the batches that they are in.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
    new_empty_array, new_null_array,
};
use arrow::compute::{cast, interleave, interleave_record_batch};
use arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};

use super::node::{ConversionOutput, ShownSpec};
use super::walked::{Numbered, Touch, Walked, WalkedConversion};
use crate::attribution::NONE;
use crate::engine::journey::columns::{Columns, Source};
use crate::engine::journey::input::InputColumns;
use crate::engine::journey::items::Codes;
use crate::engine::journey::metrics::Counts;
use crate::engine::journey::terms::{DictionaryAnswers, EvaluatedTerms};
use crate::engine::journey::visitors::{RelevantRows, Visitors};
use crate::engine::journey::{JourneySpec, Selection};

/// Rows that make a batch.
const ROWS_PER_BATCH: usize = 8192;
/// Bytes of batches that are held for the rows of the next batch of the answer, about; more make it a smaller one.
const HELD_BYTES: usize = 16 << 20;

/// Places of what is shown of a conversion's row, see [`ShownSpec::shown`].
const EVENT_ID: usize = 0;
const ROW_KIND: usize = 1;

/// A row that may be shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ShownRow {
    /// Number of its batch among those that are held.
    source: u32,
    row: u32,
    /// Microseconds.
    time: i64,
}

/// One row of the answer.
struct AnswerRow {
    own: ShownRow,
    value: f64,
    /// The item to which it is credited, where it is a line of credit.
    item: u32,
    touches: usize,
    first: Option<Touch<ShownRow>>,
    last: Option<Touch<ShownRow>>,
}

/// An end of the path of a conversion.
type PathEnd = fn(&AnswerRow) -> Option<&Touch<ShownRow>>;

impl AnswerRow {
    fn first(&self) -> Option<&Touch<ShownRow>> {
        self.first.as_ref()
    }

    fn last(&self) -> Option<&Touch<ShownRow>> {
        self.last.as_ref()
    }
}

/// Conversions of the visitor at hand that are not among the lines yet.
enum RemainingConversions {
    Conversions(std::vec::IntoIter<WalkedConversion<ShownRow>>),
    Credits(std::vec::IntoIter<Numbered<ShownRow>>),
}

impl RemainingConversions {
    fn none() -> Self {
        Self::Conversions(vec![].into_iter())
    }

    /// Bytes that are allocated, about.
    fn memory_bytes(&self) -> usize {
        match self {
            Self::Conversions(left) => left.len() * size_of::<WalkedConversion<ShownRow>>(),
            Self::Credits(left) => left.len() * size_of::<Numbered<ShownRow>>(),
        }
    }
}

/// The conversions of one visitor after another.
pub(in crate::engine::journey) struct ShownWalk {
    spec: ShownSpec,
    /// The journey that is walked. What it is broken down by is looked up of what is shown.
    journey: JourneySpec,
    walked: Walked<ShownRow>,
    sources: Vec<Arc<Source>>,
    source_bytes: usize,
    left: RemainingConversions,
    lines: Vec<AnswerRow>,
    /// Of each line, one a model.
    shares: Vec<f64>,
}

impl ShownWalk {
    /// A walk that has seen nobody.
    pub fn new(spec: ShownSpec, counts: Counts) -> Self {
        let selection = Selection { by: vec![], ..spec.journey.selection.clone() };
        let journey = JourneySpec { selection, ..spec.journey.clone() };
        Self {
            walked: Walked::new(&journey, counts),
            journey,
            sources: vec![],
            source_bytes: 0,
            left: RemainingConversions::none(),
            lines: vec![],
            shares: vec![],
            spec,
        }
    }

    /// Adds the lines of the next conversion of the visitor at hand; false where none is left.
    fn add_lines(&mut self) -> bool {
        match &mut self.left {
            RemainingConversions::Conversions(left) => {
                let Some(WalkedConversion { row: own, value, touches, first, last }) = left.next() else {
                    return false;
                };
                self.lines.push(AnswerRow { own, value, item: NONE, touches, first, last });
            }
            RemainingConversions::Credits(left) => {
                let Some(conversion) = left.next() else { return false };
                for credited in self.walked.credited(&conversion, &self.spec.journey.models) {
                    let (own, value) = (conversion.row, conversion.value);
                    let end =
                        |end: Option<(Option<ShownRow>, i64)>| end.map(|(row, time)| Touch { row, time, item: None });
                    let (first, last) = (end(credited.first), end(credited.last));
                    let (item, touches) = (credited.item, credited.touches);
                    self.lines.push(AnswerRow { own, value, item, touches, first, last });
                    self.shares.extend(credited.shares);
                }
            }
        }
        true
    }

    /// The lines so far as a batch of the answer.
    fn flush(&mut self) -> Result<RecordBatch> {
        let (lines, shares) = (std::mem::take(&mut self.lines), std::mem::take(&mut self.shares));
        let own: Vec<Option<ShownRow>> = lines.iter().map(|line| Some(line.own)).collect();
        let rows_of = |end: PathEnd| -> Vec<Option<ShownRow>> {
            lines.iter().map(|line| end(line).and_then(|touch| touch.row)).collect()
        };
        let instants = |times: TimestampMicrosecondArray| -> ArrayRef { Arc::new(times.with_timezone("UTC")) };
        let own_times = instants(lines.iter().map(|line| Some(line.own.time)).collect());
        let end_times = |end: PathEnd| instants(lines.iter().map(|line| end(line).map(|touch| touch.time)).collect());
        let values: ArrayRef = Arc::new(lines.iter().map(|line| Some(line.value)).collect::<Float64Array>());
        let touches: ArrayRef = Arc::new(lines.iter().map(|line| Some(line.touches as i64)).collect::<Int64Array>());
        let ends: [PathEnd; 2] = [AnswerRow::first, AnswerRow::last];
        let shown = self.spec.shown();
        let mut of_own = self.look_up(&own, 0..shown.len())?;
        let groups = of_own.split_off(shown.len() - self.spec.journey.selection.by.len());
        let mut columns = groups;
        match self.spec.wanted {
            ConversionOutput::Credits => {
                let items = lines.iter().map(|line| self.walked.item_name(line.item)).collect::<StringArray>();
                columns.extend([of_own[EVENT_ID].clone(), own_times, of_own[ROW_KIND].clone(), values.clone()]);
                columns.extend([Arc::new(items) as ArrayRef, touches]);
                for end in ends {
                    columns.extend(self.look_up(&rows_of(end), EVENT_ID..EVENT_ID + 1)?);
                    columns.push(end_times(end));
                }
                let models = self.spec.journey.models.len();
                for model in 0..models {
                    let own = (0..lines.len()).map(|line| shares[line * models + model]);
                    columns.push(Arc::new(own.clone().map(Some).collect::<Float64Array>()));
                    let credit = own.zip(&lines).map(|(share, line)| Some(share * line.value));
                    columns.push(Arc::new(credit.collect::<Float64Array>()));
                }
            }
            ConversionOutput::Conversions => {
                columns.extend([of_own[EVENT_ID].clone(), of_own[2].clone(), own_times, of_own[ROW_KIND].clone()]);
                columns.extend([values, touches]);
                for end in ends {
                    // of a row with several values, all of them
                    let whole = match self.journey.multi_valued {
                        true => Some(self.look_up_column(&rows_of(end), "item")?),
                        false => None,
                    };
                    let whole = whole.as_ref().map(|whole| whole.as_string::<i32>());
                    let names = lines.iter().enumerate().map(|(line, shown)| match end(shown)?.item {
                        Some(item) => self.walked.item_name(item),
                        None => whole.filter(|whole| whole.is_valid(line)).map(|whole| whole.value(line)),
                    });
                    columns.push(Arc::new(names.collect::<StringArray>()));
                    columns.push(end_times(end));
                }
            }
        }
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }

    /// What is shown of rows, the columns `wanted` of [`ShownSpec::shown`]; NULL where there is no row.
    fn look_up(&self, rows: &[Option<ShownRow>], wanted: Range<usize>) -> Result<Vec<ArrayRef>> {
        let shown = self.spec.shown();
        let (names, types): (Vec<&str>, Vec<DataType>) = shown[wanted.clone()].iter().cloned().unzip();
        self.gather(rows, &types, |gathered, terms| match terms {
            Some(terms) => terms.shown(gathered, wanted.clone()),
            None => names.iter().map(|name| column(gathered, name)).collect(),
        })
    }

    /// A text column of rows of an evaluated input.
    fn look_up_column(&self, rows: &[Option<ShownRow>], name: &str) -> Result<ArrayRef> {
        let found = self.gather(rows, &[DataType::Utf8], |gathered, _| Ok(vec![column(gathered, name)?]))?;
        found.into_iter().next().ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))
    }

    /// Brings rows of the sources together, those of one kind of source at once, and makes columns of them.
    fn gather(
        &self,
        rows: &[Option<ShownRow>],
        types: &[DataType],
        columns: impl Fn(&RecordBatch, Option<&EvaluatedTerms>) -> Result<Vec<ArrayRef>>,
    ) -> Result<Vec<ArrayRef>> {
        // the first source of each kind; and of each source its kind, and its place there
        let mut kinds: Vec<(&Source, Vec<&RecordBatch>)> = vec![];
        let mut places: Vec<(usize, usize)> = vec![];
        for source in self.sources.iter().map(|source| source.as_ref()) {
            let kind = kinds.iter().position(|(first, _)| first.is_like(source)).unwrap_or_else(|| {
                kinds.push((source, vec![]));
                kinds.len() - 1
            });
            places.push((kind, kinds[kind].1.len()));
            kinds[kind].1.push(&source.batch);
        }
        let mut own: Vec<Vec<(usize, usize)>> = vec![vec![]; kinds.len()];
        // 0 is nothing
        let order: Vec<(usize, usize)> = rows
            .iter()
            .map(|row| match row {
                None => (0, 0),
                Some(row) => {
                    let (kind, batch) = places[row.source as usize];
                    own[kind].push((batch, row.row as usize));
                    (kind + 1, own[kind].len() - 1)
                }
            })
            .collect();
        let mut of_kinds: Vec<Vec<ArrayRef>> = vec![];
        for ((source, batches), rows) in kinds.iter().zip(&own) {
            of_kinds.push(match rows.is_empty() {
                true => types.iter().map(new_empty_array).collect(),
                false => {
                    let gathered = interleave_record_batch(batches, rows)?;
                    let columns = columns(&gathered, source.terms.as_deref())?;
                    columns
                        .iter()
                        .zip(types)
                        .map(|(column, wanted)| Ok(cast(column, wanted)?))
                        .collect::<Result<_>>()?
                }
            });
        }
        let brought = |(number, wanted): (usize, &DataType)| {
            let nothing = new_null_array(wanted, 1);
            let mut parts: Vec<&dyn Array> = vec![&nothing];
            parts.extend(of_kinds.iter().map(|columns| &columns[number] as &dyn Array));
            Ok(interleave(&parts, &order)?)
        };
        types.iter().enumerate().map(brought).collect()
    }
}

/// A column of an input.
fn column(rows: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let column = rows.column_by_name(name).ok_or_else(|| DataFusionError::Internal(format!("no column {name}")))?;
    Ok(column.clone())
}

impl Visitors for ShownWalk {
    const HANDS_ON: bool = true;

    fn columns(&self, kind: &InputColumns, batch: &RecordBatch, known: &mut DictionaryAnswers) -> Result<Columns> {
        let (mut columns, terms) = match kind {
            InputColumns::Evaluated => (Columns::evaluated(batch, &self.journey)?, None),
            InputColumns::Stored(rows, terms) => {
                (Columns::stored(batch, &self.journey, rows, terms, known)?, Some(terms.clone()))
            }
        };
        columns.source = Some(Arc::new(Source { batch: batch.clone(), terms }));
        Ok(columns)
    }

    fn rows_that_matter(&self) -> RelevantRows {
        self.walked.rows_that_matter()
    }

    fn rows(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        let Some(source) = &columns.source else { return };
        let number = self.sources.iter().rposition(|known| Arc::ptr_eq(known, source)).unwrap_or_else(|| {
            self.source_bytes += source.batch.get_array_memory_size();
            self.sources.push(source.clone());
            self.sources.len() - 1
        });
        let rows = range.map(|row| {
            let shown = ShownRow { source: number as u32, row: row as u32, time: columns.time(row) };
            (row, shown)
        });
        self.walked.take(columns, codes, rows);
    }

    fn close_visitor(&mut self) {
        self.walked.settle();
        self.left = match self.spec.wanted {
            ConversionOutput::Credits => RemainingConversions::Credits(self.walked.numbered().into_iter()),
            ConversionOutput::Conversions => RemainingConversions::Conversions(self.walked.conversions().into_iter()),
        };
    }

    fn hand_on(&mut self) -> Result<Option<RecordBatch>> {
        while self.lines.len() < ROWS_PER_BATCH && self.add_lines() {}
        if self.lines.len() >= ROWS_PER_BATCH {
            return self.flush().map(Some);
        }
        // the visitor has no more
        self.walked.forget();
        self.left = RemainingConversions::none();
        let full = self.source_bytes >= HELD_BYTES && !self.lines.is_empty();
        let batch = if full { Some(self.flush()?) } else { None };
        if self.lines.is_empty() {
            self.sources.clear();
            self.source_bytes = 0;
        }
        Ok(batch)
    }

    fn found(&mut self, at_end: bool) -> Result<Option<RecordBatch>> {
        if !at_end || self.lines.is_empty() {
            return Ok(None);
        }
        self.flush().map(Some)
    }

    fn memory_bytes(&self) -> usize {
        let lines = self.lines.capacity() * size_of::<AnswerRow>() + self.shares.capacity() * size_of::<f64>();
        self.walked.memory_bytes() + self.left.memory_bytes() + lines + self.source_bytes
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::{ListArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;
    use crate::attribution::{Container, Model};
    use crate::columns::HIT_ID_REST;

    /// A hit without a value, whose lines add up to nothing, and a record of a value that stands at it and has such lines, too.
    fn rows(value: f64) -> RecordBatch {
        let numbers = |numbers: [Option<i64>; 2]| -> ArrayRef { Arc::new(Int64Array::from(numbers.to_vec())) };
        let texts = |texts: [Option<&str>; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let items: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "b"]));
        let amounts: ArrayRef = Arc::new(Float64Array::from(vec![1.0, -1.0, 1.0, -1.0]));
        let field = |name: &str, data_type| Arc::new(Field::new(name, data_type, true));
        let lines = vec![(field("item", DataType::Utf8), items), (field("amount", DataType::Float64), amounts)];
        let lines = StructArray::from(lines);
        let line = Arc::new(Field::new_list_field(lines.data_type().clone(), true));
        let lines = ListArray::new(line, OffsetBuffer::from_lengths([2, 2]), Arc::new(lines), None);
        let columns: [(&str, ArrayRef); 14] = [
            ("visitor_key", numbers([Some(1), Some(1)])),
            ("visitor_id", texts([Some("v"), Some("v")])),
            ("hit_time", numbers([Some(0), Some(9)])),
            ("hit_seq", numbers([Some(1), Some(2)])),
            ("item", texts([Some("a"), None])),
            ("value", Arc::new(Float64Array::from(vec![0.0, value]))),
            ("anchor_time", numbers([None, Some(0)])),
            ("anchor_seq", numbers([None, Some(1)])),
            ("anchor_rest", numbers([None, None])),
            (HIT_ID_REST, numbers([None, None])),
            ("lines", Arc::new(lines)),
            ("event_id", texts([Some("hit"), Some("record")])),
            ("row_kind", texts([Some("online"), Some("transaction")])),
            ("device", texts([Some("v"), Some("v")])),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn a_conversion_needs_a_value_of_its_own() {
        for wanted in [ConversionOutput::Conversions, ConversionOutput::Credits] {
            for value in [0.0, 5.0] {
                let models = match wanted {
                    ConversionOutput::Conversions => vec![],
                    ConversionOutput::Credits => vec![("linear".to_string(), Model::Linear)],
                };
                let journey = JourneySpec {
                    models,
                    in_lines: true,
                    anchored: true,
                    ..JourneySpec::without_models(Container::Visitor)
                };
                let mut walk = ShownWalk::new(ShownSpec { journey, wanted }, Counts::default());
                let columns =
                    walk.columns(&InputColumns::Evaluated, &rows(value), &mut DictionaryAnswers::default()).unwrap();
                let mut codes = (Codes::default(), Codes::default());
                codes.0.turn_to(&columns.items);
                walk.rows(&columns, &mut codes, 0..2);
                walk.close_visitor();
                assert!(walk.hand_on().unwrap().is_none());
                let shown = walk.found(true).unwrap().map_or(0, |shown| shown.num_rows());
                assert_eq!(shown, usize::from(value != 0.0), "{wanted:?}");
                // visitors without such a row are passed over
                let mut converting = vec![];
                columns.converting(&mut converting);
                assert_eq!(converting.len(), shown, "{wanted:?}");
            }
        }
    }
}
