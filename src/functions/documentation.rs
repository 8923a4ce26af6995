//! What `rejoin functions` prints: every SQL function of ours, its signature, and an example that runs.

use super::function_doc::FunctionDoc;
use super::windows::WINDOW_FUNCTIONS;

/// All functions, the report form first.
pub fn documentation() -> Vec<FunctionDoc> {
    let scalars = [
        super::touch::DOCUMENTATION,
        super::in_segment::DOCUMENTATION,
        super::event::DOCUMENTATION,
        super::products::DOCUMENTATION,
        super::bound_value::DOCUMENTATION,
        super::list_values::DOCUMENTATION,
        super::param::DOCUMENTATION,
        super::json::DOCUMENTATION,
        super::parse_number::DOCUMENTATION,
        super::parse_duration::DOCUMENTATION,
        super::to_char::DOCUMENTATION,
        super::local_time::DOCUMENTATION,
        super::from_local::DOCUMENTATION,
        super::days_after::DOCUMENTATION,
        super::transaction_ids::DOCUMENTATION,
        super::snapshot_holds::DOCUMENTATION,
        super::held_value::DOCUMENTATION,
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
        signature: "participation(metric, dimension [, container = 'visitor' [, lookback = 'all' [, since [, until [, basis = 'event' [, deduplicate = true [, inherited = false]]]]]]], name => value, ...)",
        description: "Full credit of each conversion to every item that took part in it: some touch of the item is in the same \
container (visit, visitor, or person: rejoin help persons), at or before the conversion, and within the lookback. Rows: item \
(NULL = none), credit. since (inclusive) and until (exclusive) select conversions, in the suite's zone. basis 'snapshot' puts a \
matched transaction row at its online hit. inherited => true takes what an offline row has from its snapshot for a touch, too; \
without it only what the record itself brought is one. Arguments after the second may be written name => value. By name only \
(rejoin help questions): conversions, visitors, visits, touches, last_resort, repeats, last_touches, by, and counted (true: each \
conversion counts one, whatever its value).",
        example: "SELECT item, credit FROM participation('orders', 'tracking_code', 'visitor', '30 days') ORDER BY credit DESC",
    },
    FunctionDoc {
        name: "attribution",
        kind: "table",
        signature: "attribution(metric, dimension [, model = 'last_touch' [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]]], name => value, ...)",
        description: "Each conversion shared among the touches in reach. Models: first_touch, last_touch, same_touch, linear, \
u_shaped, j_shaped, inverse_j, time_decay, participation, algorithmic, markov, and with parameters time_decay(3 days), \
time_decay(3 days, whole), custom(50,20,30), markov(2). models => 'first_touch,last_touch,linear' computes several in one pass and gives \
one column each. The container visit ignores the lookback. A touch of several values (list variables, products, categories) is one \
touch that gives each value its full credit. Only what products have of their own (units, revenue, events with values in the \
product list) is divided, by product and by category: each product line converts on its own, and its row is a touch of its own \
product alone; so same_touch by product is the plain report by product. In every function the dimension may be a class, \
'table.column', of a lookup table whose first column is a dimension (rejoin lookup); a value without a class is Unspecified. The \
arguments that filter and break down are those of participation; by => 'month, geo_country' puts these columns of the \
conversion's row before item.",
        example: "SELECT * FROM attribution('revenue', 'tracking_code', models => 'first_touch,last_touch,linear', by => 'month')",
    },
    FunctionDoc {
        name: "credit_path",
        kind: "table",
        signature: "credit_path(metric, dimension, event_id [, container = 'visitor' [, lookback = '30 days' [, basis = 'event' [, models [, inherited = false]]]]])",
        description: "One conversion explained: each touch in its reach with its item, time, seconds before the conversion, visit, kind \
of row and event_id, and each model's share of the conversion (participation: 1 for every item). models => '...' chooses \
the models; shares of algorithmic and markov depend on all journeys and are not shown. As in attribution, these arguments leave \
touches out: touches, visitors, visits, last_resort, repeats, last_touches.",
        example: "SELECT * FROM credit_path('revenue', 'tracking_code', 'store_returns/store_returns.txt:17')",
    },
    FunctionDoc {
        name: "conversions",
        kind: "table",
        signature: "conversions(metric, dimension [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]])",
        description: "One row per conversion, with the ends of its path: event_id, visitor_id, hit_time, row_kind, value, touches (how \
many are in reach), first_item, first_time, last_item, last_time. The arguments that filter and break down are those of \
attribution. For time lag, path length, and conversions one by one.",
        example: "SELECT first_item, last_item, count(*), sum(value) FROM conversions('orders', 'tracking_code') GROUP BY 1, 2",
    },
    FunctionDoc {
        name: "credits",
        kind: "table",
        signature: "credits(metric, dimension [, model = 'last_touch' [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]]], name => value, ...)",
        description: "One row per conversion and item that has a part of it, with the arguments of attribution: event_id, time, \
row_kind, value, item (NULL = none), touches (of the item in reach), first_touch_id, first_touch_time, last_touch_id, \
last_touch_time, share, credit. With models => '...' there are share_MODEL and credit_MODEL for each model. Summed by item it is \
attribution; an item to which no model gives anything is not listed. markov also gives to items that a conversion did not touch: \
rows with touches 0. algorithmic is not shown.",
        example: "SELECT event_id, item, credit FROM credits('revenue', 'tracking_code', 'linear', conversions => 'revenue < 0')",
    },
    FunctionDoc {
        name: "paths",
        kind: "table",
        signature: "paths(metric, dimension [, container = 'visitor' [, lookback = '30 days' [, since [, until [, basis = 'event' [, inherited = false]]]]]], name => value, ...)",
        description: "The sequences of items that conversions see, in order of time, with the arguments of attribution that filter and \
break down: path (an array, empty where there is no touch), conversions, value, journeys (visitors, or visits, with that path). \
unconverted => true also counts journeys without a conversion, by what they see at their last touch. Not for dimensions of \
several values a row.",
        example: "SELECT path, conversions, value FROM paths('orders', 'tracking_code', repeats => 'collapse') ORDER BY conversions DESC LIMIT 20",
    },
    FunctionDoc {
        name: "funnel",
        kind: "table",
        signature: "funnel(steps => ['condition', ...] [, container = 'visitor' [, within = 'all' [, next = 'eventually' [, since [, until]]]]], by => ...)",
        description: "How many journeys (visitors, or visits) reach each step. A step is a condition over events. A journey reaches it \
with rows one after another, one for each step so far, of which the last lies no later than within after the first. next => \
'at_once': each row is the journey's next one. A journey counts once a step, with its longest chain. since and until select the \
first row; by reads its row. visitors, visits and segment leave out journeys and rows, as in attribution. Rows: the columns of by, \
step, name, journeys, share_of_first, share_of_previous, median_seconds (since the step before).",
        example: "SELECT * FROM funnel(steps => ['product_views > 0', 'cart_adds > 0', 'orders > 0'], within => '30 days') ORDER BY step",
    },
    FunctionDoc {
        name: "flow",
        kind: "table",
        signature: "flow(dimension [, after | before => 'condition' [, depth = 3 [, container = 'visitor' [, since [, until [, inherited = false]]]]]])",
        description: "What journeys touch next after their first row that satisfies a condition (before: what they touched before \
it). Repeats in a row are one, rows without a touch are passed over. Rows: step, item, next_item (previous_item with before; NULL \
where a journey ends), journeys. depth is the number of transitions. touches, visitors, visits and segment leave out touches, \
journeys and rows, as in attribution.",
        example: "SELECT * FROM flow('page_name', after => 'orders > 0', depth => 2, container => 'visit') ORDER BY step, journeys DESC",
    },
    FunctionDoc {
        name: "segment_members",
        kind: "table",
        signature: "segment_members('name')",
        description: "Who belongs to a segment of the suite (rejoin help segments): visitor_id, and of a segment of visits visit_num and \
visit_start; of a segment of persons person_id.",
        example: "SELECT count(*) FROM segment_members('buyers')",
    },
];
