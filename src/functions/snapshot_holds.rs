//! `snapshot_holds(dimension, rules, persisted, listed)`: whether a snapshot keeps a dimension of its hit.
//!
//! Of a data feed (`persisted`): tracking code, marketing channel and its detail, eVars, list variables, referring
//! domains, search engine and keyword, mobile dimensions, purchase recency; never pages, site sections and props.
//! Of a mapped source: every dimension but pages and props, or exactly those that its mapping lists.
//! `product` and `category`, and with the former its lines (`product_list`), only under the rules `current` (or when listed).

use std::sync::Arc;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use datafusion::logical_expr::ScalarUDF;

use super::function_doc::FunctionDoc;
use super::rows::function;
use crate::columns::{PRODUCT_LIST, numbered};

/// What `rejoin functions` says of it.
pub(super) const DOCUMENTATION: FunctionDoc = FunctionDoc {
    name: "snapshot_holds",
    kind: "scalar",
    signature: "snapshot_holds(dimension, rules, persisted, listed)",
    description: "Whether a snapshot keeps a dimension of its hit, by the suite's rules, for a data feed (persisted) or a \
mapped source, whose mapping may list the dimensions.",
    example: "SELECT snapshot_holds('evar1', 'classic', true, NULL)",
};

pub(super) fn udf() -> ScalarUDF {
    let arguments = vec![DataType::Utf8, DataType::Utf8, DataType::Boolean, DataType::Utf8];
    function("snapshot_holds", arguments, DataType::Boolean, |rows| {
        let (dimensions, rules, listed) = (rows.text(0)?, rows.text(1)?, rows.text(3)?);
        let persisted = rows.array(2).as_boolean();
        let held = (0..rows.len).map(|i| {
            let listed = listed.is_valid(i).then(|| listed.value(i));
            let persisted = persisted.is_valid(i) && persisted.value(i);
            Some(snapshot_holds(dimensions.value(i), rules.value(i), persisted, listed))
        });
        Ok(Arc::new(held.collect::<BooleanArray>()))
    })
}

/// The rule; `listed` are the names of a mapping's list, comma separated.
pub fn snapshot_holds(dimension: &str, rules: &str, persisted: bool, listed: Option<&str>) -> bool {
    // the lines go with their products
    let dimension = if dimension == PRODUCT_LIST { "product" } else { dimension };
    if let Some(listed) = listed {
        return listed.split(',').any(|name| name.trim() == dimension);
    }
    match dimension {
        "product" | "category" => rules == "current",
        "page_name" | "page_url" => false,
        // where a dimension was set is no state of the visitor
        _ if dimension.ends_with("_set") => false,
        _ if numbered(dimension, "prop").is_some() => false,
        _ if persisted => feed_snapshot_holds(dimension),
        _ => true,
    }
}

/// Dimensions of a data feed that a snapshot can keep, under any rules.
fn feed_snapshot_holds(dimension: &str) -> bool {
    matches!(
        dimension,
        "tracking_code"
            | "marketing_channel"
            | "marketing_channel_detail"
            | "referring_domain"
            | "first_hit_ref_domain"
            | "search_engine"
            | "search_keyword"
            | "va_finder_id"
            | "va_finder_detail"
            | "days_since_last_purchase"
            | "days_before_first_purchase"
    ) || ["mobile", "post_mobile"].iter().any(|prefix| dimension.starts_with(prefix))
        || ["evar", "list"].iter().any(|prefix| numbered(dimension, prefix).is_some())
}

/// Whether some snapshot, of whatever source and rules, could hold the dimension.
pub fn snapshot_can_hold(dimension: &str) -> bool {
    !dimension.ends_with("_set") && dimension != "event_list"
}

#[cfg(test)]
mod tests {
    use super::snapshot_holds;

    #[test]
    fn what_a_feeds_snapshot_holds() {
        let holds = |name| snapshot_holds(name, "classic", true, None);
        assert!(["evar250", "list3", "mobileappid", "post_mobileaction", "marketing_channel"].into_iter().all(holds));
        assert!(!["prop1", "channel", "state", "zip", "page_name", "product", "post_channel"].into_iter().any(holds));
        assert!(["product", "product_list"].into_iter().all(|name| snapshot_holds(name, "current", true, None)));
        assert!(snapshot_holds("product_list", "classic", false, Some("evar1, product")));
        assert!(!holds("product_list"));
    }
}
