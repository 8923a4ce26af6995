//! Tables of the user's own: each `.sql` file is a table that a rebuild keeps as Parquet in the lake.
//!
//! * `definition`: files become definitions: a name, a query, and the tables that the query itself names.
//! * `order`: what is built after what; circles are named.
//! * `states`: whether what a query reads is as it was.
//! * `build`: builds those of which the query or an input changed, and keeps book in `own_tables`.
//! * `columns`: the columns of a query as a table holds them.
//! * `key`: which queries can be renewed a key at a time. `visitors`: whose rows changed. `by_key`: both together, for one table.
//!   `renew`: the rows of some keys in place of the former ones. `row_hash`: rows by what they hold.
//!
//! Files come from a folder (`--queries DIR`), else from `queries/` in the lake. A file that cannot be built is told, the
//! other tables are built all the same, and the table keeps its former rows. A table whose file is gone stays as it is.

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
