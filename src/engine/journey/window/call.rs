//! What is asked: the calls of window functions, and the window that they share.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::logical_expr::Expr;
use datafusion::physical_expr::PhysicalExpr;
use rejoin_instances::values::{hash_exprs, same_exprs};
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
#[derive(Debug, Clone)]
pub struct Window {
    /// Rows that are equal in these stand together: key and id of the visitor in the lake's order, else what the window
    /// is partitioned by.
    pub visitor: Vec<Expr>,
    /// True if [`Self::visitor`] is the lake's.
    pub in_lake_order: bool,
    /// What else the window is partitioned by.
    pub within: Vec<Expr>,
    /// What a visitor's rows are ordered by, rising: time and sequence in the lake's order, and then how rows in one place stand, where
    /// they may be sorted anew.
    pub order: Vec<Expr>,
}

impl PartialEq for Window {
    fn eq(&self, other: &Self) -> bool {
        self.in_lake_order == other.in_lake_order
            && same_exprs(&self.visitor, &other.visitor)
            && same_exprs(&self.within, &other.within)
            && same_exprs(&self.order, &other.order)
    }
}

impl Eq for Window {}

impl Hash for Window {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.in_lake_order.hash(state);
        [&self.visitor, &self.within, &self.order].into_iter().for_each(|exprs| hash_exprs(exprs, state));
    }
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

#[cfg(test)]
mod tests {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    use datafusion::logical_expr::ident;

    use super::*;

    #[test]
    fn windows_are_the_same_where_their_expressions_are() {
        let by = |order: &str| Window {
            visitor: vec![ident("visitor_key"), ident("visitor_id")],
            in_lake_order: true,
            within: vec![],
            order: vec![ident(order)],
        };
        let hash = |window: &Window| BuildHasherDefault::<DefaultHasher>::default().hash_one(window);
        assert!(by("hit_time") == by("hit_time") && by("hit_time") != by("hit_seq"));
        assert_eq!(hash(&by("hit_time")), hash(&by("hit_time")));
        assert_ne!(hash(&by("hit_time")), hash(&by("hit_seq")));
    }
}
