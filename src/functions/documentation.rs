//! What `rejoin functions` prints: every SQL function of ours, its signature, and an example that runs.

/// One SQL function for a person.
#[derive(Debug, Clone, Copy, serde::Serialize)]
pub struct FunctionDoc {
    /// Name in SQL.
    pub name: &'static str,
    /// `table`, `window` or `scalar`.
    pub kind: &'static str,
    /// Arguments, optional ones in brackets.
    pub signature: &'static str,
    /// What it gives.
    pub description: &'static str,
    /// A query or expression.
    pub example: &'static str,
}

/// All functions, the report form first.
pub fn documentation() -> Vec<FunctionDoc> {
    DOCUMENTATION.to_vec()
}

const DOCUMENTATION: &[FunctionDoc] = &[
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
    FunctionDoc {
        name: "visitor_participation",
        kind: "window",
        signature: "visitor_participation(item, metric [, lookback]) OVER (PARTITION BY visitor_id ORDER BY hit_time)",
        description: "The credit that a row's touch earns in visitor participation: a conversion's value sits on each item's first \
touch in reach, that of the None item on the conversion's row. A dimension as item stands for touch(dimension); group by \
that, for a row may carry a value that it did not set. visitor_participation(touch(tracking_code, true), orders) takes \
inherited values for touches.",
        example: "SELECT item, sum(c) FROM (SELECT touch(tracking_code) AS item, visitor_participation(tracking_code, orders) OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visit_participation",
        kind: "window",
        signature: "visit_participation(item, metric [, hit_source]) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)",
        description: "The credit that a row's touch earns in visit participation. Offline rows neither give nor take.",
        example: "SELECT page_name, sum(c) FROM (SELECT page_name, visit_participation(page_name, orders, hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visitor_attribution",
        kind: "window",
        signature: "visitor_attribution(item, metric, model [, lookback = '30 days']) OVER (PARTITION BY visitor_id ORDER BY hit_time)",
        description: "The credit that a row's touch earns by a model of attribution(...), all but algorithmic, whose shares hang on all \
journeys. What a conversion gives to the None item sits on the conversion's row. A row of several values (list variables, products) \
shows the credit that each of them gets.",
        example: "SELECT date_trunc('month', hit_time) AS touched, sum(c) FROM (SELECT hit_time, visitor_attribution(tracking_code, revenue, 'time_decay(3 days)', '60 days') OVER (PARTITION BY visitor_id ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "visit_attribution",
        kind: "window",
        signature: "visit_attribution(item, metric, model [, hit_source]) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time)",
        description: "The credit that a row's touch earns by a model within its visit. Offline rows neither give nor take.",
        example: "SELECT page_name, sum(c) FROM (SELECT page_name, visit_attribution(page_name, orders, 'linear', hit_source) OVER (PARTITION BY visitor_id, visit_num ORDER BY hit_time) AS c FROM events) GROUP BY 1",
    },
    FunctionDoc {
        name: "touch",
        kind: "scalar",
        signature: "touch(dimension [, inherited = false])",
        description: "The value with which a row of events touches a dimension, NULL where it touches none: what the row set or \
brought itself, as distinct from a value that persists or that a record took from its snapshot. With inherited true, the \
latter counts on offline rows.",
        example: "SELECT touch(tracking_code), count(*) FROM events GROUP BY 1",
    },
    FunctionDoc {
        name: "event",
        kind: "scalar",
        signature: "event(event_list, name)",
        description: "The value of an event in a feed's event list: its number, 1 without one, NULL when it is not there. Names: \
event1 to event1000, orders, product_views, carts, checkouts, cart_adds, cart_removes, cart_views.",
        example: "SELECT sum(event(event_list, 'event5')) FROM hits",
    },
    FunctionDoc {
        name: "products",
        kind: "scalar",
        signature: "products(product_list)",
        description: "The lines of a feed's product list, as a list of structs: category, product, quantity, price, events, evars.",
        example: "SELECT p['product'], sum(p['price']) FROM (SELECT unnest(products(product_list)) AS p FROM hits) GROUP BY 1",
    },
    FunctionDoc {
        name: "bound_value",
        kind: "scalar",
        signature: "bound_value(evars, dimension)",
        description: "The value that a product line binds to its product: of eVar1=red|eVar2=x, the part that products(...) calls \
evars, by the dimension's name; NULL when it is not there.",
        example: "SELECT bound_value(p['evars'], 'evar1'), sum(p['price']) FROM (SELECT unnest(products(product_list)) AS p FROM hits) GROUP BY 1",
    },
    FunctionDoc {
        name: "list_values",
        kind: "scalar",
        signature: "list_values(column)",
        description: "The values of a multi-valued dimension (list1 to list3, product, category) as a list.",
        example: "SELECT unnest(list_values(list1)) AS value, count(*) FROM hits GROUP BY 1",
    },
    FunctionDoc {
        name: "param",
        kind: "scalar",
        signature: "param(list, key)",
        description: "The value of a key in a list of records with key and value, such as GA4's event_params: the string_value, \
int_value, float_value or double_value that is there, as text. For mappings.",
        example: "SELECT param(make_array(named_struct('key', 'page_title', 'value', named_struct('string_value', 'home'))), 'page_title')",
    },
    FunctionDoc {
        name: "parse_number",
        kind: "scalar",
        signature: "parse_number(text, decimal_sign)",
        description: "A number as people write it, with signs between thousands and a currency: parse_number('EUR 1.234,56', ','). \
NULL for what is no number. Dates in such files: to_date('31.12.2026', '%d.%m.%Y').",
        example: "SELECT parse_number('1.234,56', ',')",
    },
    FunctionDoc {
        name: "local_time",
        kind: "scalar",
        signature: "local_time(time [, zone])",
        description: "What a clock in the suite's time zone, or in zone, shows at an instant.",
        example: "SELECT date_trunc('day', local_time(hit_time)) AS day, count(*) FROM events GROUP BY 1",
    },
    FunctionDoc {
        name: "from_local",
        kind: "scalar",
        signature: "from_local(wall_clock, zone)",
        description: "The instant at which a clock in zone shows a time. A time shown twice is the first; one that is skipped is \
read as if the clock had gone on.",
        example: "SELECT from_local(TIMESTAMP '2026-09-01 12:00:00', 'Europe/Berlin')",
    },
    FunctionDoc {
        name: "days_after",
        kind: "scalar",
        signature: "days_after(time, n)",
        description: "The instant n x 86,400 seconds later.",
        example: "SELECT days_after(hit_time, 90) FROM hits",
    },
    FunctionDoc {
        name: "transaction_ids",
        kind: "scalar",
        signature: "transaction_ids(text)",
        description: "The transaction IDs of a hit as a list: separated by commas, 100 bytes in all.",
        example: "SELECT transaction_ids('T1,L7')",
    },
    FunctionDoc {
        name: "snapshot_holds",
        kind: "scalar",
        signature: "snapshot_holds(dimension, rules, persisted, listed)",
        description: "Whether a snapshot keeps a dimension of its hit, by the suite's rules, for a data feed (persisted) or a \
mapped source, whose mapping may list the dimensions.",
        example: "SELECT snapshot_holds('evar1', 'classic', true, NULL)",
    },
    FunctionDoc {
        name: "is_placeholder",
        kind: "scalar",
        signature: "is_placeholder(customer_id, list)",
        description: "True for customer ids that stand for nobody: empty, 0, null, and those of a suite's list (a JSON array).",
        example: "SELECT is_placeholder('0', '[]')",
    },
    FunctionDoc {
        name: "visitor_key",
        kind: "scalar",
        signature: "visitor_key(visitor_id)",
        description: "The 64-bit key by which the lake is sorted and bucketed.",
        example: "SELECT visitor_key('1_2')",
    },
];
