//! Exact errors of the readers become the crate's: a whole input that cannot be read is refused.

use crate::Error;
use crate::feed::FeedError;

/// The refusal of an input, with its place and reason.
pub fn refused(error: FeedError) -> Error {
    Error::refused(error.to_string()).caused_by(error)
}
