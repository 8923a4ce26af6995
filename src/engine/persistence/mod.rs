//! Persisted dimensions of hits: computed while reading, over the visitor's whole history.
//!
//! `carry` takes the rows of one visitor in order and tells the value of each; `ahead` does so where later rows decide;
//! `exec` is the operator that fills the columns of hits with them, as `persisting` says. What a row set itself stands in
//! its `_set` column.

mod ahead;
mod carry;
mod exec;
mod persisting;
mod rows;

pub use exec::PersistenceExec;
pub use persisting::Persisting;
