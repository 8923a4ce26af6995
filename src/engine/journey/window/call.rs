//! What is asked: the calls of window functions, and the window that they share.

use std::sync::Arc;

use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use serde::{Deserialize, Serialize};

use crate::attribution::Model;

/// A window function, understood.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub struct Call {
    /// Name of its column.
    pub name: String,
    /// How a conversion is shared.
    pub model: Model,
    /// How long before a conversion a touch still counts, microseconds; None for all history.
    pub lookback_us: Option<i64>,
}

/// What rows belong together, in which order: expressions over the input.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Window {
    /// Rows that are equal in these stand together: key and id of the visitor in the lake's order, else what the window
    /// is partitioned by.
    pub visitor: Vec<Expr>,
    /// True if [`Self::visitor`] is the lake's.
    pub in_lake_order: bool,
    /// What else the window is partitioned by.
    pub within: Vec<Expr>,
    /// What a visitor's rows are ordered by, rising.
    pub order: Vec<Expr>,
}

/// [`Window`] over the physical input.
#[derive(Debug)]
pub struct PhysicalWindow {
    /// As in [`Window`].
    pub visitor: Vec<Arc<dyn PhysicalExpr>>,
    /// As in [`Window`].
    pub in_lake_order: bool,
    /// As in [`Window`].
    pub within: Vec<Arc<dyn PhysicalExpr>>,
    /// As in [`Window`].
    pub order: Vec<Arc<dyn PhysicalExpr>>,
}

/// The calls by name, for plans.
pub(super) fn names(calls: &[Call]) -> String {
    calls.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(", ")
}
