//! Journeys in, credit out: the pure arithmetic of participation and of every attribution model.
//!
//! A caller fills a [`Journey`] with the touches and conversions of one visitor, lets a [`Reach`] find what each conversion can see
//! (container and lookback), and lets one [`Attributor`] per model give the credit to a [`CreditSink`]: [`ItemCredits`] for a report,
//! [`RowCredits`] for a window function. All of them reuse their buffers, so that a further visitor costs no allocation, and work in time
//! linear in the visitor's rows (decay by whole days: n log n).
//!
//! * A row may convert in parts, product line by product line: [`Journey::divide`]. Values that are bound to products have a journey for each
//!   product: [`Bindings`]. [`PathFilter`] leaves the part of a conversion's path that a question wants.
//! * Two models need all visitors. For the algorithmic one [`PathCounts`] collects the sets of items seen, and [`Game`] shares the values
//!   among them; for `markov` a [`Chain`] collects the steps of all paths. Both can be written as counts and read again, so that parts of the
//!   visitors add up.
//! * [`explain()`] lists the touches and shares of one conversion.

mod absorbing;
mod attributor;
mod bindings;
mod bystanders;
mod credit;
mod decay;
mod explain;
mod journey;
mod lifetime;
mod lookback;
mod markov;
mod model;
mod participation;
mod parts;
mod path_filter;
mod paths;
mod persistence;
mod place;
mod reach;
mod shapley;
mod shares;
mod sum;
mod whole_days;

pub use absorbing::TooLarge;
pub use attributor::Attributor;
pub use bindings::{BindingRules, Bindings, BoundStep, ProductLine};
pub use credit::{CreditSink, ItemCredits, RowCredits};
pub use explain::{Step, explain, explain_listed};
pub use journey::{Conversion, Journey, NO_VISIT, NONE};
pub use lifetime::{Allocation, Expiry};
pub use lookback::parse_lookback;
pub use markov::{Chain, ChainCount, Unconverted};
pub use model::{Container, Model, Weights};
pub use parts::{Portion, portions};
pub use path_filter::{PathFilter, Repeats};
pub use paths::{LARGEST_PATH, PathCount, PathCounts};
pub use persistence::Persistence;
pub use place::{Place, find_place};
pub use reach::{Ends, Reach};
pub use shapley::{EXACT_ITEMS, Game};
pub use sum::Sum;
