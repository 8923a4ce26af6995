//! Where a record stands among those of one instant: by the name of its file, then by its row.
//!
//! A sequence ([`HIT_SEQ`](crate::columns::HIT_SEQ)) has no room for a whole name. So it has the beginning of the name and, of the rest,
//! those bits alone in which two neighbours among the names that begin alike differ first: these bits have the order of the names.
//! In: suites and names of all files of records. Out: the sequence of the first record of each. It hangs on the names of the suite that
//! begin alike and on nothing else. Where one of these comes or goes, others may move (`changes`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Decimal128Array, Int64Array, RecordBatch, StringArray};

use crate::Result;
use crate::columns::{FILE, RECORD_SEQUENCE_START, ROW_BITS, SEQUENCED_ROWS, SUITE, sequence};

/// Bytes of a name that are in a sequence as they are.
const BEGINNING: usize = 8;
/// How many bits of the rest of a name have room.
const MOST_BITS: usize = 33;

/// Names that begin alike, of one suite.
type Alike<'f> = (&'f str, [u8; BEGINNING]);

/// Files of records, and in which bits of their names they differ.
pub struct RecordPlaces<'f> {
    files: BTreeSet<(&'f str, &'f str)>,
    bits: BTreeMap<Alike<'f>, TellingBits>,
}

impl<'f> RecordPlaces<'f> {
    /// Of all files, by suite and name.
    pub fn of(files: impl Iterator<Item = (&'f str, &'f str)>) -> Self {
        let files: BTreeSet<(&str, &str)> = files.collect();
        let mut alike: BTreeMap<Alike<'f>, Vec<&[u8]>> = BTreeMap::new();
        for (suite, name) in &files {
            alike.entry((*suite, beginning(name))).or_default().push(name.as_bytes());
        }
        let bits = alike.into_iter().map(|(alike, names)| (alike, TellingBits::of(&names))).collect();
        Self { files, bits }
    }

    /// The sequence of a file's first record, and the last row up to which each record has a sequence of its own: those of one sequence
    /// stand by file, row and source.
    pub fn place(&self, (suite, name): (&str, &str)) -> (i128, i64) {
        let beginning = beginning(name);
        let bits = self.bits.get(&(suite, beginning));
        let rest = bits.map_or(0, |bits| bits.of_name(name.as_bytes()));
        let rows = if bits.is_some_and(|bits| bits.tell_all) { SEQUENCED_ROWS as i64 } else { 0 };
        let name = (i128::from(u64::from_be_bytes(beginning)) << MOST_BITS) | rest;
        (RECORD_SEQUENCE_START + (name << ROW_BITS), rows)
    }

    /// A row for each file, as the queries of the integration read them.
    pub fn rows(&self) -> Result<RecordBatch> {
        let places: Vec<(i128, i64)> = self.files.iter().map(|file| self.place(*file)).collect();
        let text = |of: fn(&(&'f str, &'f str)) -> &'f str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.files.iter().map(of)))
        };
        let sequences: Decimal128Array = places.iter().map(|(first, _)| Some(*first)).collect();
        let rows: Int64Array = places.iter().map(|(_, last)| Some(*last)).collect();
        Ok(RecordBatch::try_from_iter_with_nullable([
            (SUITE, text(|file| file.0), true),
            (FILE, text(|file| file.1), true),
            ("first_seq", Arc::new(sequences.with_data_type(sequence())) as ArrayRef, true),
            ("last_row", Arc::new(rows) as ArrayRef, true),
        ])?)
    }
}

/// The bits that tell names apart which begin alike.
struct TellingBits {
    /// Where they are, counted from the first bit of a name; in order.
    at: Vec<usize>,
    /// No two names have the same.
    tell_all: bool,
}

impl TellingBits {
    /// Of names in order.
    fn of(names: &[&[u8]]) -> Self {
        let differences = names.windows(2).map(|two| first_difference(two[0], two[1]));
        let differences: BTreeSet<Option<usize>> = differences.collect();
        let at: Vec<usize> = differences.iter().flatten().copied().take(MOST_BITS).collect();
        Self { tell_all: at.len() == differences.len(), at }
    }

    fn of_name(&self, name: &[u8]) -> i128 {
        self.at.iter().fold(0, |bits, at| {
            let bit = (byte(name, at / 8) >> (7 - at % 8)) & 1;
            (bits << 1) | i128::from(bit)
        })
    }
}

/// The first bit in which two names differ; None where a name is the other one and zeros.
fn first_difference(one: &[u8], other: &[u8]) -> Option<usize> {
    (0..one.len().max(other.len())).find_map(|at| {
        let differ = byte(one, at) ^ byte(other, at);
        (differ != 0).then(|| at * 8 + differ.leading_zeros() as usize)
    })
}

/// A byte of a name, which zeros follow.
fn byte(name: &[u8], at: usize) -> u8 {
    name.get(at).copied().unwrap_or(0)
}

fn beginning(name: &str) -> [u8; BEGINNING] {
    std::array::from_fn(|at| byte(name.as_bytes(), at))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first and the last sequence of each file, in the order of names.
    fn spans(names: &[&str]) -> Vec<(i128, i128)> {
        let places = RecordPlaces::of(names.iter().map(|name| ("web", *name)));
        let spans = places.files.iter().map(|file| {
            let (first, last_row) = places.place(*file);
            (first, first + i128::from(last_row))
        });
        spans.collect()
    }

    #[test]
    fn records_stand_by_the_names_of_their_files_wherever_these_differ() {
        let days: Vec<String> = (1..=31).map(|day| format!("store_returns_2026-09-{day:02}.txt")).collect();
        let mut names: Vec<&str> = days.iter().map(String::as_str).collect();
        names.extend(["", "a", "transactions", "transactions_0.txt", "transactions_00.txt", "transactions_1.txt"]);
        names.extend(["north/till.txt", "south/till.txt", "sales.zip/2026/a.txt", "sales.zip/2026/b.txt"]);
        names.extend(["\u{10FFFF}\u{10FFFF}\u{10FFFF}1", "\u{10FFFF}\u{10FFFF}\u{10FFFF}2"]);
        let spans = spans(&names);
        assert_eq!(spans.len(), names.len());
        assert!(spans.iter().all(|(first, last)| last - first == i128::from(SEQUENCED_ROWS)));
        assert!(spans.windows(2).all(|two| two[0].1 < two[1].0), "{spans:?}");
        assert!(spans[0].0 >= RECORD_SEQUENCE_START && spans[spans.len() - 1].1 < 10_i128.pow(38));
    }

    #[test]
    fn where_bits_have_no_room_records_keep_to_the_order_of_their_files() {
        // each differs from the one before in another bit
        let names: Vec<String> = (0..60).map(|n| format!("transactions_{}", "b".repeat(n))).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let long = spans(&names);
        assert!(long.iter().all(|(first, last)| first == last), "their rows are of no account");
        assert!(long.is_sorted() && long[0] < long[59]);
        // and what only zeros tell apart has one place
        let zeros = spans(&["transactions", "transactions\0"]);
        assert!(zeros[0] == zeros[1] && zeros[0].0 == zeros[0].1);
    }

    #[test]
    fn a_place_hangs_on_the_names_that_begin_alike_in_its_suite() {
        let file = ("web", "returns_1");
        let place = |others: &[(&'static str, &'static str)]| {
            RecordPlaces::of(others.iter().copied().chain([file])).place(file)
        };
        let alone = place(&[]);
        assert_eq!(alone, place(&[("web", "telephone_calls_1.txt"), ("shop", "returns_2")]));
        assert_ne!(alone, place(&[("web", "returns_0")]));
        // a further name that differs in no other bits moves nothing
        let [before, after, last] = ["returns_0", "returns_2", "returns_3"].map(|name| ("web", name));
        assert_eq!(place(&[before, last]), place(&[before, after, last]));
    }

    #[test]
    fn a_file_of_two_sources_is_one() {
        let batch = RecordPlaces::of([("web", "a.txt"), ("web", "a.txt"), ("web", "b.txt")].into_iter()).rows();
        assert_eq!(batch.expect("rows").num_rows(), 2);
    }
}
