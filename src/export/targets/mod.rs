//! How each target is told: bodies, each a file and a request, in the form that the target documents.
//!
//! * `ecapi`, `google`, `meta`, `csv`: a conversion in the words of one target.
//!
//! A body is what stands before its events, the events, something between them, and what stands after.

mod csv;
mod ecapi;
mod google;
mod meta;

use std::collections::BTreeMap;

use super::decide::ToldConversion;
use super::target::Target;
use crate::Result;

/// What a body is made of besides its events.
#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    /// Before the first event.
    pub open: String,
    /// Between two events.
    pub between: &'static str,
    /// After the last one.
    pub close: String,
}

/// The frame of an export's bodies. `columns` are the fields that come from expressions; `consented` says that consent was asked.
pub fn frame(
    target: Target,
    columns: &[String],
    constants: &BTreeMap<String, String>,
    consented: bool,
) -> Result<Frame> {
    Ok(match target {
        Target::Ecapi => Frame { open: "[\n".into(), between: ",\n", close: "\n]\n".into() },
        Target::Google => google::frame(constants, consented),
        Target::Meta => meta::frame(constants),
        Target::Csv => Frame { open: csv::header(columns, constants)?, between: "", close: String::new() },
    })
}

/// A conversion as it stands in a body.
pub fn event(target: Target, columns: &[String], told: &ToldConversion) -> Result<String> {
    match target {
        Target::Ecapi => Ok(ecapi::event(told).to_string()),
        Target::Google => Ok(google::event(told).to_string()),
        Target::Meta => Ok(meta::event(told).to_string()),
        Target::Csv => csv::row(columns, told),
    }
}

/// What the target must be told again of a conversion before it changes or takes it back, JSON.
pub fn again(target: Target, told: &ToldConversion) -> Option<String> {
    match target {
        Target::Ecapi => ecapi::again(told),
        Target::Google => google::again(told),
        Target::Meta | Target::Csv => None,
    }
}
