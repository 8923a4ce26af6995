//! What `rejoin functions` prints: every SQL function of ours, its signature, and an example that runs.

use super::function_doc::FunctionDoc;
use super::windows::WINDOW_FUNCTIONS;

/// All functions, the report form first.
pub fn documentation() -> Vec<FunctionDoc> {
    let scalars = [
        super::touch::DOCUMENTATION,
        super::event::DOCUMENTATION,
        super::products::DOCUMENTATION,
        super::bound_value::DOCUMENTATION,
        super::list_values::DOCUMENTATION,
        super::param::DOCUMENTATION,
        super::parse_number::DOCUMENTATION,
        super::local_time::DOCUMENTATION,
        super::from_local::DOCUMENTATION,
        super::days_after::DOCUMENTATION,
        super::transaction_ids::DOCUMENTATION,
        super::snapshot_holds::DOCUMENTATION,
        super::is_placeholder::DOCUMENTATION,
        super::visitor_key::DOCUMENTATION,
    ];
    TABLE_FUNCTIONS.iter().chain(WINDOW_FUNCTIONS).copied().chain(scalars).collect()
}

/// Those that `engine::report` plans.
const TABLE_FUNCTIONS: &[FunctionDoc] = &[
    FunctionDoc {
        name: "participation",
        kind: "table",
        signature: "participation(metric, dimension [, container = 'visitor' [, lookback = 'all' [, since [, until [, basis = 'event' [, deduplicate = true [, inherited = false]]]]]]])",
        description: "Full credit of each conversion to every item that took part in it: some touch of the item is in the same \
container (visit or visitor), at or before the conversion, and within the lookback. Rows: item (NULL = none), credit. since \
(inclusive) and until (exclusive) select conversions, in the suite's zone. basis 'snapshot' puts a matched transaction \
row at its online hit. inherited => true takes what an offline row has from its snapshot for a touch, too; without it only \
what the record itself brought is one. Arguments after the second may be written name => value.",
        example: "SELECT item, credit FROM participation('orders', 'tracking_code', 'visitor', '30 days') ORDER BY credit DESC",
    },
    FunctionDoc {
        name: "attribution",
        kind: "table",
        signature: "attribution(metric, dimension [, model = 'last_touch' [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]]])",
        description: "Each conversion shared among the touches in reach. Models: first_touch, last_touch, same_touch, linear, \
u_shaped, j_shaped, inverse_j, time_decay, participation, algorithmic, and with parameters time_decay(3 days), \
time_decay(3 days, whole), custom(50,20,30). models => 'first_touch,last_touch,linear' computes several in one pass and gives \
one column each. The container visit ignores the lookback. A touch of several values (list variables, products, categories) is one \
touch that gives each value its full credit. Only what products have of their own (units, revenue, events with values in the \
product list) is divided, by product and by category: each product line converts on its own, and its row is a touch of its own \
product alone; so same_touch by product is the plain report by product. In every function the dimension may be a class, \
'table.column', of a lookup table whose first column is a dimension (rejoin lookup); a value without a class is Unspecified.",
        example: "SELECT * FROM attribution('revenue', 'tracking_code', models => 'first_touch,last_touch,linear')",
    },
    FunctionDoc {
        name: "credit_path",
        kind: "table",
        signature: "credit_path(metric, dimension, event_id [, container = 'visitor' [, lookback = '30 days' [, basis = 'event' [, models [, inherited = false]]]]])",
        description: "One conversion explained: each touch in its reach with its item, time, seconds before the conversion, visit, kind \
of row and event_id, and each model's share of the conversion (participation: 1 for every item). models => '...' chooses \
the models; algorithmic shares hang on all journeys and are not shown.",
        example: "SELECT * FROM credit_path('revenue', 'tracking_code', 'store_returns/store_returns.txt:17')",
    },
    FunctionDoc {
        name: "conversions",
        kind: "table",
        signature: "conversions(metric, dimension [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]])",
        description: "One row per conversion, with the ends of its path: event_id, visitor_id, hit_time, row_kind, value, touches (how \
many are in reach), first_item, first_time, last_item, last_time. For time lag, path length, and conversions one by one.",
        example: "SELECT first_item, last_item, count(*), sum(value) FROM conversions('orders', 'tracking_code') GROUP BY 1, 2",
    },
];
