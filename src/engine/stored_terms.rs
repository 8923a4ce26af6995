//! What a question says of rows of `events`, over what is stored.

use datafusion::common::tree_node::Transformed;
use datafusion::logical_expr::{Expr, lit};
use rejoin_instances::trees::change_parts;

use super::events::on_side;
use super::journey::{RowTerms, StoredEvents};
use super::segments::with_segments;
use super::touches::with_touches;
use super::view::LakeView;
use crate::Result;
use crate::functions::LOCAL_TIME;

/// Terms over the columns of hits and of integrated rows. None where they ask for what is computed while reading.
pub(super) fn stored_terms(
    stored: &StoredEvents,
    terms: &RowTerms<Expr>,
    view: &LakeView,
) -> Result<Option<[RowTerms<Expr>; 2]>> {
    let events = view.events()?;
    let zone = &view.one_suite()?.time_zone;
    stored.terms(terms, |side, term| {
        let term = with_touches(with_segments(term.clone(), events.schema(), view)?, events.schema())?;
        on_side(events, side, with_zone(term, zone)?)
    })
}

/// A term in which `local_time` names the suite's zone, so that it hangs on nothing but its row.
fn with_zone(term: Expr, zone: &str) -> Result<Expr> {
    let named = change_parts(term, &mut |part| match part {
        Expr::ScalarFunction(mut call) if call.name() == LOCAL_TIME && call.args.len() == 1 => {
            call.args.push(lit(zone));
            Ok(Transformed::yes(Expr::ScalarFunction(call)))
        }
        part => Ok(Transformed::no(part)),
    });
    Ok(named?.data)
}
