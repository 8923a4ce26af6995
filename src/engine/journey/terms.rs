//! What a question says of single rows: as expressions over `events`, over the columns of a table, or ready to be evaluated.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::compute::prep_null_mask_filter;
use datafusion::error::{DataFusionError, Result};
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
}

/// Terms that are evaluated on rows.
pub type EvaluatedTerms = RowTerms<Arc<dyn PhysicalExpr>>;

impl<E> Default for RowTerms<E> {
    fn default() -> Self {
        Self { touches: None, conversions: None, visitors: None, visits: None, by: vec![] }
    }
}

impl<E> RowTerms<E> {
    /// All terms.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        let predicates = [&self.touches, &self.conversions, &self.visitors, &self.visits];
        predicates.into_iter().flatten().chain(&self.by)
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
        })
    }
}

impl EvaluatedTerms {
    /// The columns by which the credit of rows is broken down.
    pub(super) fn groups(&self, rows: &RecordBatch) -> Result<Vec<ArrayRef>> {
        self.by.iter().map(|term| term.evaluate(rows)?.into_array(rows.num_rows())).collect()
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
