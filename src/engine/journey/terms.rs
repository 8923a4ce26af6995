//! What a question says of single rows: as expressions over `events`, over the columns of a table, or ready to be evaluated.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    /// What is shown of rows, see `PathSpec::shown`.
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

    /// True where nothing is said.
    pub fn are_none(&self) -> bool {
        self.iter().next().is_none()
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
    pub(super) fn steps(&self, rows: &RecordBatch, known: &mut Known) -> Result<Option<Vec<u64>>> {
        if self.steps.is_empty() {
            return Ok(None);
        }
        let mut satisfied = vec![0; rows.num_rows()];
        for (step, term) in self.steps.iter().enumerate() {
            known.holds(term, rows)?.values().set_indices().for_each(|row| satisfied[row] |= 1 << step);
        }
        Ok(Some(satisfied))
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
pub(super) struct Known {
    /// By the predicate's address, which stays while its input is read.
    predicates: HashMap<usize, Option<OfEntries>>,
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

impl Known {
    /// On which rows a predicate is true.
    pub fn holds(&mut self, predicate: &Arc<dyn PhysicalExpr>, rows: &RecordBatch) -> Result<BooleanArray> {
        let address = Arc::as_ptr(predicate).cast::<()>() as usize;
        let known = match self.predicates.entry(address) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(OfEntries::new(predicate, rows)?),
        };
        match known {
            Some(known) => known.holds(rows),
            None => holds(predicate, rows),
        }
    }

    /// Bytes that are allocated, about; dictionaries are those of the batches at hand.
    pub fn memory_bytes(&self) -> usize {
        let entries = self.predicates.values().flatten().filter_map(|known| known.entries.as_ref());
        entries.map(|(_, holds)| holds.len() / 8).sum()
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
        let values = column.values();
        if !self.entries.as_ref().is_some_and(|(known, _)| same_values(known, values)) {
            let every = (0..values.len() as i32).map(Some).chain([None]);
            let every = DictionaryArray::<Int32Type>::try_new(every.collect::<Int32Array>(), values.clone())?;
            let entries = RecordBatch::try_new(self.schema.clone(), vec![Arc::new(every)])?;
            self.entries = Some((values.clone(), holds(&self.alone, &entries)?.values().clone()));
        }
        let entries = self.entries.as_ref().map(|(_, entries)| entries);
        let entries = entries.ok_or_else(|| DataFusionError::Internal("a dictionary that was not looked at".into()))?;
        let (codes, null) = (column.keys(), values.len());
        let holds = match codes.null_count() {
            0 => BooleanBuffer::collect_bool(codes.len(), |row| entries.value(codes.value(row) as usize)),
            _ => BooleanBuffer::collect_bool(codes.len(), |row| {
                entries.value(if codes.is_valid(row) { codes.value(row) as usize } else { null })
            }),
        };
        Ok(BooleanArray::new(holds, None))
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
            let (shown, mut known) = (predicate.to_string(), Known::default());
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
        assert_eq!(terms(vec![]).steps(&rows, &mut Known::default()).unwrap(), None);
        let steps = terms(vec![col("page").eq(lit("a")), col("n").gt(lit(0_i64)), lit(true)]);
        assert_eq!(steps.steps(&rows, &mut Known::default()).unwrap(), Some(vec![0b100, 0b110, 0b111]));
    }
}
