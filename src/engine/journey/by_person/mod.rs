//! Rows of visitors that share a person or have several: set aside during the walk, and brought together by person at its end.
//!
//! In: visitor after visitor, in the order of keys. Out: person after person, the rows of each in the order of time. Memory: 12 bytes for
//! each row that can count, which is a row of a shared visitor with an item, a value or a mark, and 40 more for one that is more than a
//! touch. Where the pool has no more memory, rows go to disk, and come back for a part of the persons at a time.
//!
//! A visitor's rows come in order, so those of a person are runs that only have to be merged. A conversion on one device looks back on rows
//! of another, so all rows are set aside. When all are there, the rows of a person that no conversion looks back on are skipped.
//!
//! Hits mostly come without their sequences. In place of it they have their ordinal among the hits of their visitor and instant. That does
//! not say which hit of two devices is first, nor whose a hit at the instant of a login is. Persons for whom this matters wait until all
//! others are done; then the sequences of these instants are read (`ties`). Where only conversions count, it matters only for rows that
//! one looks back on.
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
