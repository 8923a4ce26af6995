//! An input of the operator: rows in the order of the lake, and what their columns mean.

use std::sync::Arc;

use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;

use super::stored_rows::StoredRows;
use super::terms::EvaluatedTerms;
use crate::functions::Classes;
use crate::lake::scan::Begun;

/// Rows in the order of the lake, and what they are.
#[derive(Debug, Clone)]
pub struct Input {
    /// What its columns mean.
    pub columns: InputColumns,
    /// What delivers them.
    pub plan: Arc<dyn ExecutionPlan>,
}

impl Input {
    /// Begins a partition before its turn, where its files would keep that waiting.
    pub(super) fn begin(&self, partition: usize, context: &Arc<TaskContext>) -> Option<Begun> {
        self.columns.is_stored().then(|| Begun::new(&self.plan, partition, context)).flatten()
    }
}

/// What the columns of an input mean.
#[derive(Debug, Clone)]
pub enum InputColumns {
    /// Those that the answer names, its `input_columns`: filtered and evaluated below.
    Evaluated,
    /// Columns of a table, as stored, and what is said of its rows.
    Stored(StoredRows, Arc<EvaluatedTerms>),
}

impl InputColumns {
    /// True for rows that come straight from the lake's files.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(..))
    }

    /// What becomes of the values of the dimension, where items are their classes.
    pub(super) fn classes(&self) -> Option<Classes> {
        match self {
            Self::Evaluated => None,
            Self::Stored(rows, _) => rows.classes.clone(),
        }
    }

    /// True for hits as stored: they come before offline rows of the same instant.
    pub(super) fn is_online(&self) -> bool {
        matches!(self, Self::Stored(StoredRows { online: true, .. }, _))
    }
}
