//! Rows of visitors that share a person or have several: set aside on the way, and brought together by person when all are there.
//!
//! In: visitor after visitor, in the order of keys. Out: person after person, the rows of each in the order of time. Memory: 48
//! bytes a row that can count, which is one of a shared visitor with an item, a value or a mark. Where the pool has no more, they
//! go to disk, and come back a part of the persons at a time.
//!
//! A visitor's rows come in order, so that those of a person are runs that only have to be merged. Hits mostly come without
//! their sequences: in place of it stands the place of a hit among those of its visitor's instant. That does not say which hit of
//! two devices is first, nor, at the instant of a login, whose a hit is. Persons of whom this is asked wait until all others are
//! done, and the sequences of these instants are read (`ties`). Of whoever converts nowhere it is not asked, where only
//! conversions count.
//!
//! * `person_rows`: whose rows a visitor's are.
//! * `rows`: rows that were set aside, and runs of them; `spilled`: those that went to disk.
//! * `aside`: sets the rows of one walk aside.
//! * `together`: goes over the persons of all walks, the rows of each in order.

mod aside;
mod person_rows;
mod rows;
mod spilled;
mod together;

pub(super) use aside::{Aside, ByPerson, Told, is_on_disk, sequence_files};
pub use person_rows::PersonRows;
pub(super) use rows::AsideRow;
pub(super) use together::{PersonRow, TAKEN_BACK_BYTES, Turn, Waiting, each_person};

#[cfg(test)]
mod tests;
