//! The visitors to whom a session is restricted.
//!
//! Rows of others are left out where `hits` and `integrated` are read, beneath whatever brings the rows of a visitor together.
//! So a query that treats each visitor apart says of these visitors what it says of them among all others.

use datafusion::logical_expr::{Expr, ident, lit};

use crate::columns::{VISITOR_ID, VISITOR_KEY};
use crate::functions::{VisitorKeys, is_looked_at, visitor_key};

/// Keys up to which they are listed: by a short list, statistics rule out pages of files that hold none of them.
const FEW: usize = 8;

/// Some visitors.
#[derive(Clone, Debug, Default)]
pub struct SomeVisitors {
    keys: VisitorKeys,
    /// The rows that have no visitor, too.
    nobody: bool,
}

impl SomeVisitors {
    /// Those with these keys; with `nobody`, all rows that have no visitor as well.
    pub fn new(keys: impl IntoIterator<Item = i64>, nobody: bool) -> Self {
        Self { keys: keys.into_iter().collect(), nobody }
    }

    /// How many keys they have.
    pub fn count(&self) -> usize {
        self.keys.len()
    }

    /// True on their rows of a table that is sorted by visitor.
    pub fn rows(&self) -> Expr {
        self.with_nobody(self.is_one(ident(VISITOR_KEY)))
    }

    /// True on their rows of a table in which the column `key`, ids or keys of visitors, says whose a row is.
    pub fn rows_by(&self, key: &str) -> Expr {
        match key {
            VISITOR_ID => self.with_nobody(self.is_one(visitor_key().call(vec![ident(VISITOR_ID)]))),
            _ => self.is_one(ident(key)),
        }
    }

    fn is_one(&self, key: Expr) -> Expr {
        match self.keys.len() {
            1..=FEW => key.in_list(self.keys.iter().map(lit).collect(), false),
            _ => is_looked_at(&self.keys).call(vec![key]),
        }
    }

    fn with_nobody(&self, own: Expr) -> Expr {
        if self.nobody { own.or(ident(VISITOR_ID).is_null()) } else { own }
    }
}
