//! SQL functions: thin wrappers over `feed`, `columns` and `attribution`, one file a function, named as in SQL, with its documentation.
//!
//! `register_all` feeds a session; the same list of documentation is what `rejoin functions` prints. `classified`,
//! `product_lines` and `bound_lines` are made for one plan and have no name in SQL, as are `in_segment` once its members are
//! known, what is said of persons, and what a cast of a text to a time is; `function_spec` says of what, and `from_spec` makes them again
//! elsewhere.

mod among_visitors;
mod as_time;
mod bound_lines;
mod bound_value;
mod bounded_lists;
mod bounded_values;
mod classes;
mod classified;
mod date_part;
mod date_pattern;
mod days_after;
pub mod documentation;
mod event;
mod from_local;
mod from_spec;
mod function_doc;
mod function_spec;
mod held_value;
mod in_segment;
mod interval_times;
mod is_placeholder;
mod json;
mod json_text;
mod list_values;
mod local_time;
mod made_times;
mod members;
mod now;
mod number_pattern;
mod numeric_functions;
mod param;
mod parse_duration;
mod parse_number;
mod person_spans;
mod persons;
mod product_lines;
mod products;
pub mod register;
pub mod rows;
mod snapshot_holds;
mod spans;
mod to_char;
mod touch;
mod transaction_ids;
mod visitor_key;
mod visitor_keys;
pub mod windows;

pub use among_visitors::{is_looked_at, shares_person};
pub use as_time::{as_time, is_time, time_of, unread};
pub use bound_lines::bound_lines;
pub use classes::Classes;
pub use classified::classified;
pub use date_part::date_part;
pub use documentation::documentation;
pub use function_doc::FunctionDoc;
pub use function_spec::{BoundLines, FunctionSpec};
pub use in_segment::{InSegment, in_segment};
pub use interval_times::interval_times;
pub use json_text::{AS_JSON, OF_PAIRS, OF_ROWS, OF_VALUES};
pub use list_values::udf as list_values;
pub use local_time::LOCAL_TIME;
pub use members::Members;
pub use now::now;
pub use person_spans::{Persons, PersonsOfSuite, Spans};
pub use persons::{PERSON_ID_OF, PERSON_STATUS_OF, person_id, person_status};
pub use product_lines::product_lines;
pub use register::register_all;
pub use snapshot_holds::snapshot_can_hold;
pub use spans::{INTERVAL_PARTS, as_interval, interval_length, spans};
pub use touch::Touch;
pub use visitor_key::udf as visitor_key;
pub use visitor_keys::VisitorKeys;
