//! Puts the functions into a session.

use std::sync::Arc;

use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::WindowUDF;
use datafusion::prelude::SessionContext;

use super::local_time::ZoneOfSuite;
use super::windows::JourneyFunction;
use crate::attribution::Container;

/// Registers every scalar, aggregate and window function of ours.
pub fn register_all(context: &SessionContext, suite_zone: ZoneOfSuite) {
    for udf in [
        super::as_cast::udf(),
        super::bound_value::udf(),
        super::coalesce::udf(),
        super::cut_to::udf(),
        super::date_part::date_part(),
        super::date_trunc::udf(),
        super::days_after::udf(),
        super::event::udf(),
        super::from_local::udf(),
        super::held_value::udf(),
        super::in_segment::udf(),
        super::is_placeholder::udf(),
        super::joined_text::udf(),
        super::list_values::udf(),
        super::local_time::udf(suite_zone),
        super::only_item::only_item(),
        super::param::udf(),
        super::parse_duration::udf(),
        super::parse_number::udf(),
        super::products::udf(),
        super::regexp_matches::udf(),
        super::snapshot_holds::udf(),
        super::split_text::udf(),
        super::to_char::udf(),
        super::touch::udf(),
        super::transaction_ids::udf(),
        super::visitor_key::udf(),
    ] {
        context.register_udf(udf);
    }
    for name in ["generate_series", "range"] {
        if let Ok(function) = context.udf(name) {
            context.register_udf(super::bounded_lists::bounded(function));
        }
    }
    if let Ok(function) = context.udf("regexp_replace") {
        context.register_udf(super::regexp_replace::with_replacements(function));
    }
    for (name, size) in super::bounded_values::BOUNDED {
        if let Ok(function) = context.udf(name) {
            context.register_udf(super::bounded_values::bounded(function, size));
        }
    }
    let of_json = super::json::udfs().into_iter().chain(super::json_text::udfs()).chain(super::json_rows::udfs());
    for udf in of_json.chain(super::sorted_lists::udfs()) {
        context.register_udf(udf);
    }
    super::interval_sums::udafs().into_iter().for_each(|udaf| context.register_udaf(udaf));
    let of_intervals = super::spans::udfs().into_iter().chain(super::interval_times::udfs());
    let of_times = super::made_times::udfs().into_iter().chain(of_intervals);
    let checked = super::checked_arithmetic::udfs().into_iter().chain(super::checked_functions::udfs());
    let of_times = of_times.chain(super::rounded_to::udfs());
    let of_values = super::numeric_functions::udfs().into_iter().chain(checked).chain(of_times);
    of_values.for_each(|udf| context.register_udf(udf));
    let options = context.state_ref().read().config_options().clone();
    context.register_udf(super::now::now(&options));
    let operators = context.state_ref().write().register_expr_planner(Arc::new(super::json::Operators));
    operators.expect("a session takes planners of expressions");
    for container in [Container::Visit, Container::Visitor] {
        for takes_model in [false, true] {
            context.register_udwf(WindowUDF::new_from_impl(JourneyFunction::new(container, takes_model)));
        }
    }
}
