//! How conversions are sent to each target: bodies, each a file and a request, in the form that the target documents.
//!
//! * `ecapi`, `google`, `meta`, `csv`: a conversion in the words of one target.
//!
//! A body is what stands before its events, the events, something between them, and what stands after.

mod csv;
mod ecapi;
mod google;
mod meta;

use std::collections::BTreeMap;

use super::decide::SentConversion;
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
pub fn event(target: Target, columns: &[String], sent: &SentConversion) -> Result<String> {
    match target {
        Target::Ecapi => Ok(ecapi::event(sent).to_string()),
        Target::Google => Ok(google::event(sent).to_string()),
        Target::Meta => Ok(meta::event(sent).to_string()),
        Target::Csv => csv::row(columns, sent),
    }
}

/// What must be sent again of a conversion before it changes or takes it back, JSON.
pub fn again(target: Target, sent: &SentConversion) -> Option<String> {
    match target {
        Target::Ecapi => ecapi::again(sent),
        Target::Google => google::again(sent),
        Target::Meta | Target::Csv => None,
    }
}
