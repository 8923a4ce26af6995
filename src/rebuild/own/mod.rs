//! Tables of the user's own: each `.sql` file is a table that a rebuild keeps as Parquet in the lake.
//!
//! * `definition`: files become definitions: a name, a query, and the tables that the query names.
//! * `order`: which table is built after which; circles are refused by name.
//! * `states`: whether what a query reads has changed.
//! * `build`: builds tables of which the query or an input changed, and records it in `own_tables`.
//! * `columns`: the columns of a query as a table holds them.
//! * `key`: which queries can be renewed a key at a time. `visitors`: visitors with changed rows. `by_key`: both together, for one table.
//!   `renew`: replaces the rows of some keys. `row_hash`: identifies rows by their values.
//!
//! Files come from a folder (`--queries DIR`), else from `queries/` in the lake. A file that cannot be built is reported; its table keeps
//! its former rows, and the other tables are built all the same. A table whose file is gone stays as it is.

mod build;
mod by_key;
mod columns;
mod definition;
mod key;
mod order;
mod renew;
mod row_hash;
mod states;
mod visitors;

pub use build::{OwnBuilt, any_stale, build_stale, tables_with_removed_rows};
pub use definition::definitions;
