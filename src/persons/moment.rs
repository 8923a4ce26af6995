//! Where a row stands among those of its visitor.

/// A place on a visitor's time line: time in microseconds, and the sequence among rows of one instant.
pub type Moment = (i64, i128);
