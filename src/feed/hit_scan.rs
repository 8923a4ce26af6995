//! The first pass over a feed's hits: what the second one ([`super::hits`]) must know before its first row.
//!
//! In: all blocks of a delivery, in any order, perhaps by several scans that are merged. Out: the encoding, the columns
//! and events in use, and counts to hold against the manifest.

use super::event_list::{MAX_EVENT_ID, entries, event_id};
use super::hit_columns::{HitLayout, Role};
use super::records::{Block, non_empty_fields, unescape};
use super::text::Encoding;

/// What the hits of a feed are like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HitScan {
    event_list: Option<usize>,
    used: Vec<bool>,
    events: Vec<bool>,
    utf8: bool,
    records: u64,
    with_nul: u64,
    wrong: Option<WrongFields>,
    row: Vec<usize>,
}

/// Records that do not have as many fields as there are headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongFields {
    /// How many records.
    pub records: u64,
    /// Physical line of the first one.
    pub line: u64,
    /// How many fields the first one has.
    pub fields: usize,
}

impl HitScan {
    /// Nothing seen yet.
    pub fn new(layout: &HitLayout) -> Self {
        Self {
            event_list: layout.field(Role::EventList),
            used: vec![false; layout.headers().len()],
            events: vec![false; MAX_EVENT_ID as usize],
            utf8: true,
            records: 0,
            with_nul: 0,
            wrong: None,
            row: Vec::new(),
        }
    }

    /// Takes a block in.
    pub fn add(&mut self, block: &Block) {
        // Blocks are cut at newlines, so no character lies across two.
        self.utf8 = self.utf8 && std::str::from_utf8(&block.bytes).is_ok();
        for (line, record) in block.records() {
            self.add_record(line, record);
        }
    }

    /// Takes in what another scan of the same feed saw (of another file, or part of it).
    pub fn merge(&mut self, other: &HitScan) {
        for (mine, other) in [(&mut self.used, &other.used), (&mut self.events, &other.events)] {
            mine.iter_mut().zip(other).for_each(|(mine, other)| *mine |= other);
        }
        self.utf8 &= other.utf8;
        self.records += other.records;
        self.with_nul += other.with_nul;
        self.wrong = match (self.wrong, other.wrong) {
            (Some(mine), Some(other)) => Some(WrongFields { records: mine.records + other.records, ..mine }),
            (mine, other) => mine.or(other),
        };
    }

    /// Records seen, blank lines not counted.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// Records that hold a NUL byte; decoding rejects them.
    pub fn records_with_nul(&self) -> u64 {
        self.with_nul
    }

    /// Records with a wrong number of fields; decoding rejects them.
    pub fn wrong_fields(&self) -> Option<WrongFields> {
        self.wrong
    }

    /// UTF-8 where all bytes are valid, else Windows-1252.
    pub fn encoding(&self) -> Encoding {
        if self.utf8 { Encoding::Utf8 } else { Encoding::Windows1252 }
    }

    /// True where some record has a value in this field.
    pub fn uses(&self, field: usize) -> bool {
        self.used.get(field).copied().unwrap_or(false)
    }

    /// The event ids seen in the event list.
    pub fn event_ids(&self) -> impl Iterator<Item = u32> {
        self.events.iter().zip(0..).filter(|(seen, _)| **seen).map(|(_, id)| id)
    }

    fn add_record(&mut self, line: u64, record: &[u8]) {
        self.records += 1;
        let Self { event_list, used, row, wrong, .. } = self;
        let mut events = None;
        row.clear();
        let fields = non_empty_fields(record, |column, range, _| {
            if Some(column) == *event_list {
                events = Some(range);
            }
            if used.get(column) == Some(&false) {
                row.push(column);
            }
        });
        if fields != used.len() {
            let first = wrong.get_or_insert(WrongFields { records: 0, line, fields });
            first.records += 1;
            return;
        }
        if memchr::memchr(0, record).is_some() {
            self.with_nul += 1;
            return;
        }
        for column in row.drain(..) {
            used[column] = true;
        }
        if let Some(range) = events {
            let text = String::from_utf8_lossy(&record[range]);
            for id in entries(&unescape(&text), b',').filter_map(|entry| event_id(entry.event)) {
                if let Some(seen) = self.events.get_mut(id as usize) {
                    *seen = true;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn scan(text: &[u8]) -> HitScan {
        let headers = ["visid_high", "visid_low", "hit_time_gmt", "visit_num", "evar1", "event_list"];
        let mut scan = HitScan::new(&HitLayout::from_headers(&headers, "").unwrap());
        scan.add(&Block { bytes: text.to_vec(), first_line: 1 });
        scan
    }

    #[test]
    fn sees_what_is_used() {
        let seen = scan(b"1\t2\t3\t4\t\t1,200=5,100\n\n1\t2\t3\t4\t\t20100:\xE9\nbad\tx\n1\t2\t3\t4\t\0\t77\n");
        assert_eq!((seen.records(), seen.records_with_nul()), (4, 1));
        assert_eq!(seen.wrong_fields(), Some(WrongFields { records: 1, line: 4, fields: 2 }));
        assert_eq!(seen.encoding(), Encoding::Windows1252);
        assert_eq!(seen.event_ids().collect::<Vec<_>>(), [1, 100, 200, 20_100]);
        assert_eq!((0..7).map(|f| seen.uses(f)).collect::<Vec<_>>(), [true, true, true, true, false, true, false]);
    }

    #[test]
    fn scans_merge() {
        let (one, other) = (b"1\t2\t3\t4\ta\t1\nx\n", "1\t2\t3\t4\té\t4000000000,65536,2\n");
        let mut merged = scan(one);
        merged.merge(&scan(other.as_bytes()));
        assert_eq!(merged, scan(&[&one[..], other.as_bytes()].concat()));
        assert_eq!(merged.encoding(), Encoding::Utf8);
        assert_eq!(scan(b""), {
            let mut empty = scan(b"");
            empty.merge(&scan(b""));
            empty
        });
    }
}
