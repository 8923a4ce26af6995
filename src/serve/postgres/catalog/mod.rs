//! `pg_catalog`, `information_schema` and Postgres' functions of itself, so that clients find the lake's tables and columns.
//!
//! * `schemas`: both schemas, made of `objects` (what there is, with numbers) by `layouts` (columns) and `grid` (small tables);
//!   what is the same everywhere is `fixed`. `functions`: what Postgres says of itself, `of_values` and
//!   `sizes_and_spans` what it makes of values.
//! * `rewording`: statements of clients in the engine's words, `relations` what stands in their FROM, with `system_columns`;
//!   `rows_in_result` functions that give rows, `object_casts` objects by their names, `shown_names` what of them results show.

mod fixed;
mod functions;
mod grid;
mod layouts;
mod object_casts;
mod objects;
mod of_values;
mod relations;
mod rewording;
mod rows_in_result;
mod schemas;
mod shown_names;
mod sizes_and_spans;
mod system_columns;

use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion_pg_catalog::pg_catalog::generate_series_arg_coercion::CoerceIntArgsToBigInt;
use datafusion_pg_catalog::pg_catalog::oid_type_planner::PgOidTypePlanner;

pub use fixed::function_name;
pub use rewording::{parameter_types, understood};

use self::fixed::fixed;
use self::objects::RelationNames;
use self::schemas::{InformationSchema, PgCatalog, Sources};
use super::cursors::Cursors;
use super::settings::SharedSettings;
use crate::engine::session::CATALOG;
use crate::serve::any;
use crate::serve::failure::Failure;
use crate::serve::session::Session;

/// Adds the catalogs and functions to a session.
pub fn add(session: &Session, settings: &SharedSettings, cursors: &Arc<Cursors>, process: i32) -> Result<(), Failure> {
    let context = session.engine.context();
    let names = RelationNames::default();
    let sources = Arc::new(Sources {
        lake: session.engine.tables_schema(),
        fixed: fixed()?,
        settings: settings.clone(),
        cursors: cursors.clone(),
        guest: session.admission.guest.name.clone(),
        process,
        names: names.clone(),
    });
    // the types of catalogs, and times with a zone
    let state = context.state_ref();
    let planner =
        SessionStateBuilder::new_from_existing(state.read().clone()).with_type_planner(Arc::new(PgOidTypePlanner));
    *state.write() = planner.build();
    let mut options = session.engine.settings();
    options.catalog.information_schema = false;
    session.engine.restore(options)?;
    if let Some(catalog) = context.catalog(CATALOG) {
        let schemas: [(&str, Arc<dyn SchemaProvider>); 2] = [
            ("pg_catalog", Arc::new(PgCatalog(sources.clone()))),
            ("information_schema", Arc::new(InformationSchema(sources.clone()))),
        ];
        for (name, schema) in schemas {
            catalog.register_schema(name, schema)?;
        }
    }
    functions::register(context, &sources, &names);
    of_values::functions().into_iter().for_each(|function| context.register_udf(function));
    sizes_and_spans::functions().into_iter().for_each(|function| context.register_udf(function));
    context.register_udf(any::function());
    state.write().register_function_rewrite(Arc::new(any::AnyAsList))?;
    context.register_udtf("pg_get_keywords", sources.fixed.keywords.clone());
    CoerceIntArgsToBigInt::widen(context);
    Ok(())
}
