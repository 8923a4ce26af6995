//! The tab where an analyst works. Each page is one question in an address, with its answer, the statement that gave it, and both as
//! files.
//!
//! * `credit`: what items get of a metric. `conversions`: from an item to its conversions, and to the path of one. `funnel`, `flow`,
//!   `paths`: what happens in which order. `saved`: questions under names.
//! * `question`: names and values of an address. `period`: its days. `filters`: conditions from lists. `arguments`: all of it as
//!   arguments in SQL. `context`: suite, session and columns. `values`: what columns hold, to choose from.
//! * `form`: what forms share. `answer`: what answers share. `sankey`: the picture of a flow.

mod answer;
mod arguments;
mod context;
mod conversions;
mod credit;
mod filters;
mod flow;
mod form;
mod funnel;
mod paths;
mod period;
mod question;
mod sankey;
mod saved;
mod values;

use std::sync::Arc;

use axum::Router;
use axum::routing::{get, post};

use super::Web;

/// The pages of the tab.
pub(super) fn routes() -> Router<Arc<Web>> {
    Router::new()
        .route("/reports", get(credit::show))
        .route("/reports/conversions", get(conversions::of_item))
        .route("/reports/path", get(conversions::path))
        .route("/reports/funnel", get(funnel::show))
        .route("/reports/flow", get(flow::show))
        .route("/reports/paths", get(paths::show))
        .route("/reports/saved", get(saved::show).post(saved::save))
        .route("/reports/saved/drop", post(saved::remove))
}
