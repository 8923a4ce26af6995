//! An offline record of a story: when it is, its fields, and what must become of it.

/// What must become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedStatus {
    Matched,
    Unmatched,
    Expired,
    Ambiguous,
    Summary,
    Rejected,
}

/// The instant of a record (epoch seconds), written with its time or as a date alone.
#[derive(Debug, Clone, Copy)]
pub enum When {
    Timed(u32),
    Dated(u32),
}

/// Places of the sources in [`super::offline::Offline`].
pub const LEADS: usize = 0;
pub const RETURNS: usize = 1;
pub const CALLS: usize = 2;

/// An offline record that belongs to a story: the fields after the date.
#[derive(Debug, Clone, Copy)]
pub struct Record {
    pub source: usize,
    pub when: When,
    pub fields: &'static str,
    pub expected: ExpectedStatus,
}
