//! What a question says of single rows: as expressions over `events`, over the columns of a table, or ready to be evaluated.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{DataType, Int32Type, Schema};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_expr::utils::{collect_columns, reassign_expr_columns};
use datafusion::physical_plan::PhysicalExpr;
use serde::{Deserialize, Serialize};

/// What a question says of single rows; where a predicate is NULL, it does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct RowTerms<E> {
    /// Rows that can be touches.
    pub touches: Option<E>,
    /// Rows that can be conversions.
    pub conversions: Option<E>,
    /// Rows that mark their visitor.
    pub visitors: Option<E>,
    /// Rows that mark their visit.
    pub visits: Option<E>,
    /// What the credit of a row's conversion is broken down by.
    pub by: Vec<E>,
    /// Whose person a row is, where its place does not say it.
    pub person: Option<E>,
    /// Where the order of rows is asked for, its steps, at most 64: a row converts that can be the first.
    pub steps: Vec<E>,
    /// Where conversions are divided by product line, the lines of a row: items with their amounts.
    pub lines: Option<E>,
    /// What is shown of rows, see `ShownSpec::shown`.
    pub shown: Vec<E>,
}

/// Terms that are evaluated on rows.
pub type EvaluatedTerms = RowTerms<Arc<dyn PhysicalExpr>>;

impl<E> Default for RowTerms<E> {
    fn default() -> Self {
        Self {
            touches: None,
            conversions: None,
            visitors: None,
            visits: None,
            by: vec![],
            person: None,
            steps: vec![],
            lines: None,
            shown: vec![],
        }
    }
}

impl<E> RowTerms<E> {
    /// All terms.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        let single = [&self.touches, &self.conversions, &self.visitors, &self.visits, &self.person, &self.lines];
        single.into_iter().flatten().chain(&self.by).chain(&self.steps).chain(&self.shown)
    }

    /// All terms, by what they are for.
    pub fn lists(&self) -> [&[E]; 9] {
        let Self { touches, conversions, visitors, visits, by, person, steps, lines, shown } = self;
        let single = [touches, conversions, visitors, visits, person, lines].map(Option::as_slice);
        let [touches, conversions, visitors, visits, person, lines] = single;
        [touches, conversions, visitors, visits, by, person, steps, lines, shown]
    }

    /// Each term as something else.
    pub fn map<F, Error>(&self, mut made: impl FnMut(&E) -> Result<F, Error>) -> Result<RowTerms<F>, Error> {
        Ok(RowTerms {
            touches: self.touches.as_ref().map(&mut made).transpose()?,
            conversions: self.conversions.as_ref().map(&mut made).transpose()?,
            visitors: self.visitors.as_ref().map(&mut made).transpose()?,
            visits: self.visits.as_ref().map(&mut made).transpose()?,
            by: self.by.iter().map(&mut made).collect::<Result<_, Error>>()?,
            person: self.person.as_ref().map(&mut made).transpose()?,
            steps: self.steps.iter().map(&mut made).collect::<Result<_, Error>>()?,
            lines: self.lines.as_ref().map(&mut made).transpose()?,
            shown: self.shown.iter().map(&mut made).collect::<Result<_, Error>>()?,
        })
    }
}

impl EvaluatedTerms {
    /// The columns by which the credit of rows is broken down.
    pub(super) fn groups(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.by.iter().map(|term| term.evaluate(rows)?.into_array(rows.num_rows())).collect()
    }

    /// Some of what is shown of rows.
    pub(super) fn shown(&self, rows: &RecordBatch, wanted: Range<usize>) -> Result<Vec<ArrayRef>> {
        self.shown[wanted].iter().map(|term| term.evaluate(rows)?.into_array(rows.num_rows())).collect()
    }

    /// Which steps each row satisfies, the first in the lowest bit; None where none is asked for.
    pub(super) fn steps(&self, rows: &RecordBatch, known: &mut DictionaryAnswers) -> Result<Option<Vec<u64>>> {
        match self.steps.is_empty() {
            true => Ok(None),
            false => known.satisfied(&self.steps, rows).map(Some),
        }
    }
}

/// On which rows a predicate is true.
pub(super) fn holds(predicate: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<BooleanArray> {
    let holds = predicate.evaluate(rows)?.into_array(rows.num_rows())?;
    let holds = holds.as_boolean_opt();
    let holds = holds.ok_or_else(|| DataFusionError::Internal("a predicate that is no boolean".into()))?;
    Ok(match holds.null_count() {
        0 => holds.clone(),
        _ => prep_null_mask_filter(holds),
    })
}

/// What predicates over one column say of the entries of its dictionary: asked once a dictionary, not once a row. The
/// batches of a row group share one.
#[derive(Default)]
pub(super) struct DictionaryAnswers {
    /// By the predicate's address, which stays while its input is read.
    predicates: HashMap<usize, Option<OfEntries>>,
    /// The steps over single columns, by the column's place among all.
    steps: HashMap<usize, StepsOfEntries>,
}

/// A predicate over one column that is a dictionary.
struct OfEntries {
    /// The column's place among all.
    column: usize,
    /// The same predicate over this column alone.
    alone: Arc<dyn PhysicalExpr>,
    schema: Arc<Schema>,
    /// The dictionary at hand, and of which of its entries the predicate is true; of NULL, one place after the last.
    entries: Option<(ArrayRef, BooleanBuffer)>,
}

impl DictionaryAnswers {
    /// On which rows a predicate is true.
    pub fn holds(&mut self, predicate: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<BooleanArray> {
        match self.of_entries(predicate, rows)? {
            Some(known) => known.holds(rows),
            None => holds(predicate, rows),
        }
    }

    /// Which of the steps each row satisfies, the first in the lowest bit.
    fn satisfied(&mut self, steps: &[Arc<dyn PhysicalExpr>], rows: &RecordBatch) -> Result<Vec<u64>> {
        let mut satisfied = vec![0; rows.num_rows()];
        // the steps over one dictionary are looked up in it together
        let mut of_columns: BTreeMap<usize, Vec<(usize, BooleanBuffer)>> = BTreeMap::new();
        for (step, predicate) in steps.iter().enumerate() {
            match self.of_entries(predicate, rows)? {
                Some(known) => {
                    let entries = known.entries(rows)?.clone();
                    of_columns.entry(known.column).or_default().push((step, entries));
                }
                None => {
                    let holds = holds(predicate, rows)?;
                    holds.values().set_indices().for_each(|row| satisfied[row] |= 1 << step);
                }
            }
        }
        for (column, steps) in of_columns {
            let dictionary = rows.column(column).as_dictionary::<Int32Type>();
            let known = self.steps.entry(column).or_default();
            known.turn_to(dictionary.values(), &steps);
            known.add_to(&mut satisfied, dictionary.keys());
        }
        Ok(satisfied)
    }

    /// What is known of a predicate over one dictionary; None where it looks at something else.
    fn of_entries(&mut self, predicate: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Option<&mut OfEntries>> {
        let address = Arc::as_ptr(predicate).cast::<()>() as usize;
        let known = match self.predicates.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(OfEntries::new(predicate, rows)?),
        };
        Ok(known.as_mut())
    }

    /// Bytes that are allocated, about; dictionaries are those of the batches at hand.
    pub fn memory_bytes(&self) -> usize {
        let entries = self.predicates.values().flatten().filter_map(|known| known.entries.as_ref());
        let steps = self.steps.values().map(|known| known.entries.capacity() * size_of::<u64>());
        entries.map(|(_, holds)| holds.len() / 8).chain(steps).sum()
    }
}

impl OfEntries {
    /// None where the predicate looks at several columns, or at one that is no dictionary.
    fn new(predicate: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<Option<Self>> {
        let columns = collect_columns(predicate);
        let mut places = columns.iter().map(|column| column.index());
        let (Some(column), None) = (places.next(), places.next()) else { return Ok(None) };
        let schema = rows.schema();
        let field = schema.field(column);
        let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
        if *field.data_type() != dictionary {
            return Ok(None);
        }
        let schema = Arc::new(Schema::new(vec![field.clone().with_nullable(true)]));
        let alone = reassign_expr_columns(predicate.clone(), &schema)?;
        Ok(Some(Self { column, alone, schema, entries: None }))
    }

    fn holds(&mut self, rows: &RecordBatch) -> Result<BooleanArray> {
        let column = rows.column(self.column).as_dictionary::<Int32Type>();
        let (codes, null) = (column.keys(), column.values().len());
        let entries = self.entries(rows)?;
        let holds = match codes.null_count() {
            0 => BooleanBuffer::collect_bool(codes.len(), |row| entries.value(codes.value(row) as usize)),
            _ => BooleanBuffer::collect_bool(codes.len(), |row| {
                entries.value(if codes.is_valid(row) { codes.value(row) as usize } else { null })
            }),
        };
        Ok(BooleanArray::new(holds, None))
    }

    /// Of which entries of the dictionary of these rows the predicate is true; of NULL, one place after the last.
    fn entries(&mut self, rows: &RecordBatch) -> Result<&BooleanBuffer> {
        let values = rows.column(self.column).as_dictionary::<Int32Type>().values();
        if !self.entries.as_ref().is_some_and(|(known, _)| same_values(known, values)) {
            let every = (0..values.len() as i32).map(Some).chain([None]);
            let every = DictionaryArray::<Int32Type>::try_new(every.collect::<Int32Array>(), values.clone())?;
            let entries = RecordBatch::try_new(self.schema.clone(), vec![Arc::new(every)])?;
            self.entries = Some((values.clone(), holds(&self.alone, &entries)?.values().clone()));
        }
        let entries = self.entries.as_ref().map(|(_, entries)| entries);
        entries.ok_or_else(|| DataFusionError::Internal("a dictionary that was not looked at".into()))
    }
}

/// The steps that each entry of one column's dictionary satisfies.
#[derive(Default)]
struct StepsOfEntries {
    /// The dictionary at hand.
    values: Option<ArrayRef>,
    /// Per entry, the first step in the lowest bit; of NULL, one place after the last.
    entries: Vec<u64>,
}

impl StepsOfEntries {
    /// Turns to a dictionary, of which each of these steps says of which entries it is true.
    fn turn_to(&mut self, values: &ArrayRef, steps: &[(usize, BooleanBuffer)]) {
        if self.values.as_ref().is_some_and(|known| same_values(known, values)) {
            return;
        }
        self.values = Some(values.clone());
        self.entries.clear();
        self.entries.resize(values.len() + 1, 0);
        for (step, holds) in steps {
            let bit = 1_u64 << *step;
            holds.set_indices().for_each(|entry| self.entries[entry] |= bit);
        }
    }

    /// Adds what the rows with these codes satisfy.
    fn add_to(&self, satisfied: &mut [u64], codes: &Int32Array) {
        let (rows, null) = (satisfied.iter_mut(), self.entries.len().saturating_sub(1));
        match codes.null_count() {
            0 => rows.zip(codes.values()).for_each(|(steps, code)| *steps |= self.entries[*code as usize]),
            _ => rows.zip(codes).for_each(|(steps, code)| {
                *steps |= self.entries[code.map_or(null, |code| code as usize)];
            }),
        }
    }
}

/// True for one dictionary: the batches of a row group share its buffers, though not the array around them.
pub(super) fn same_values(a: &ArrayRef, b: &ArrayRef) -> bool {
    let (a, b) = (a.as_string::<i32>(), b.as_string::<i32>());
    a.len() == b.len()
        && std::ptr::eq(a.value_offsets(), b.value_offsets())
        && std::ptr::eq(a.value_data(), b.value_data())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use arrow::array::Int64Array;
    use arrow::datatypes::Field;
    use datafusion::common::DFSchema;
    use datafusion::logical_expr::{Expr, col, lit};
    use datafusion::prelude::SessionContext;

    use super::*;

    fn batch(pages: &[Option<&str>]) -> RecordBatch {
        let dictionary: DictionaryArray<Int32Type> = pages.iter().copied().collect();
        let numbers = Int64Array::from_iter_values(0..pages.len() as i64);
        let field = Field::new("page", dictionary.data_type().clone(), true);
        let schema = Schema::new(vec![Field::new("n", DataType::Int64, true), field]);
        RecordBatch::try_new(Arc::new(schema), vec![Arc::new(numbers), Arc::new(dictionary)]).unwrap()
    }

    fn planned(predicate: Expr, rows: &RecordBatch) -> Arc<dyn PhysicalExpr> {
        let schema = DFSchema::try_from(rows.schema().as_ref().clone()).unwrap();
        SessionContext::new().create_physical_expr(predicate, &schema).unwrap()
    }

    #[test]
    fn a_dictionary_is_asked_once_and_says_the_same() {
        let first = batch(&[Some("b"), None, Some("a"), Some("b")]);
        let other = batch(&[Some("a"), Some("c"), None]);
        let page = || col("page");
        let predicates = [
            page().eq(lit("a")),
            page().is_null(),
            page().like(lit("b%")).is_not_true(),
            // of two columns, and of none
            page().eq(lit("b")).and(col("n").gt(lit(0_i64))),
            lit(true),
        ];
        for predicate in predicates {
            let (shown, mut known) = (predicate.to_string(), DictionaryAnswers::default());
            let predicate = planned(predicate, &first);
            for rows in [&first, &other, &first, &first.slice(1, 2)] {
                assert_eq!(known.holds(&predicate, rows).unwrap(), holds(&predicate, rows).unwrap(), "{shown}");
            }
        }
    }

    #[test]
    fn steps_are_bits() {
        let rows = batch(&[Some("b"), None, Some("a")]);
        let terms = |steps: Vec<Expr>| EvaluatedTerms {
            steps: steps.into_iter().map(|step| planned(step, &rows)).collect(),
            ..RowTerms::default()
        };
        assert_eq!(terms(vec![]).steps(&rows, &mut DictionaryAnswers::default()).unwrap(), None);
        let steps = terms(vec![col("page").eq(lit("a")), col("n").gt(lit(0_i64)), lit(true)]);
        assert_eq!(steps.steps(&rows, &mut DictionaryAnswers::default()).unwrap(), Some(vec![0b100, 0b110, 0b111]));
        // several of one dictionary, of NULL, too, and of one dictionary after another
        let page = || col("page");
        let steps = terms(vec![page().eq(lit("b")), page().is_null(), page().is_not_null(), page().like(lit("b%"))]);
        let mut known = DictionaryAnswers::default();
        for _ in 0..2 {
            assert_eq!(steps.steps(&rows, &mut known).unwrap(), Some(vec![0b1101, 0b0010, 0b0100]));
            assert_eq!(steps.steps(&rows.slice(1, 2), &mut known).unwrap(), Some(vec![0b0010, 0b0100]));
            let other = batch(&[Some("a"), Some("c"), Some("b")]);
            assert_eq!(steps.steps(&other, &mut known).unwrap(), Some(vec![0b0100, 0b0100, 0b1101]));
        }
        assert!(known.memory_bytes() >= 4 * size_of::<u64>());
    }
}
