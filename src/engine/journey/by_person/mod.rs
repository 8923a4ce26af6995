//! Rows of visitors that share a person or have several: set aside on the way, and brought together by person when all are there.
//!
//! In: visitor after visitor, in the order of keys. Out: person after person, the rows of each in the order of time. Memory: 12
//! bytes a row that can count, which is one of a shared visitor with an item, a value or a mark, and 40 more of one that is more
//! than a touch. Where the pool has no more, they go to disk, and come back a part of the persons at a time.
//!
//! A visitor's rows come in order, so that those of a person are runs that only have to be merged. A conversion on one device looks
//! back on rows of another, so that all rows are set aside; of those of a person the ones that no conversion looks back on are passed
//! over when all are there.
//!
//! Hits mostly come without their sequences: in place of it stands the place of a hit among those of its visitor's instant. That
//! does not say which hit of two devices is first, nor, at the instant of a login, whose a hit is. Persons of whom this is asked wait
//! until all others are done, and the sequences of these instants are read (`ties`). Where only conversions count, it is asked only of
//! rows that one looks back on.
//!
//! * `person_rows`: whose rows a visitor's are.
//! * `rows`: rows that were set aside, and runs of them; `spilled`: those that went to disk.
//! * `set_aside`: sets the rows of one walk aside.
//! * `person_merge`: goes over the persons of all walks, the rows of each in order.

mod person_merge;
mod person_rows;
mod rows;
mod set_aside;
mod spilled;

pub(super) use person_merge::{PersonBatch, PersonRow, TAKEN_BACK_BYTES, WaitingPersons, each_person};
pub use person_rows::PersonRows;
pub(super) use set_aside::{RowDetails, RowsByPerson, SetAsideRows, is_on_disk, sequence_files};

#[cfg(test)]
mod tests;
