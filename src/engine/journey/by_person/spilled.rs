//! Rows that were set aside and went to disk: runs, sorted by the part of their person, so that a part can come back alone.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{DiskManager, SpillFile};

use super::person_rows::{ANY, Person};
use super::rows::{AsideRow, AsideRows, Rows, Run, Visitor, converting};

/// Bytes that are written or read at once.
const BUFFER_BYTES: usize = 64 << 10;
/// Bytes of a row on disk, and of what stands before the rows of a run.
const ROW_BYTES: usize = 48;
const RUN_BYTES: usize = 48;

/// Parts of the persons that come back from disk together or apart.
pub(super) const PARTS: usize = 256;

/// The part of a person.
pub(super) fn part_of(person: Person) -> usize {
    (person >> 64) as usize % PARTS
}

/// What went to disk, once or several times: runs of rows, those of one part of the persons beside each other.
pub(super) struct Spilled {
    file: Arc<dyn SpillFile>,
    rows: usize,
    /// Each time, where the runs of each part begin, and where the last ends.
    begins: Vec<Vec<u64>>,
}

impl Spilled {
    /// Without rows.
    pub fn new(disk: &Arc<DiskManager>) -> Result<Self> {
        Ok(Self { file: disk.create_tmp_file("rows by person")?, rows: 0, begins: vec![] })
    }

    /// How many rows it has.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Adds runs, each of which is clear, with their rows among those of all.
    pub fn write(&mut self, mut runs: Vec<Run>, rows: &AsideRows) -> Result<()> {
        runs.sort_by_key(|run| part_of(run.person));
        let mut at = self.begins.last().and_then(|begins| begins.last()).copied().unwrap_or_default();
        let mut begins = Vec::with_capacity(PARTS + 1);
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, self.file.open_writer()?);
        for run in runs {
            // of parts without a run, where the next one begins
            begins.resize(part_of(run.person) + 1, at);
            out.write_all(&run.person.to_le_bytes())?;
            out.write_all(&run.visitor.key.to_le_bytes())?;
            out.write_all(&run.visitor.id.to_le_bytes())?;
            out.write_all(&run.visitor.number.to_le_bytes())?;
            out.write_all(&run.visitor.rank.to_le_bytes())?;
            out.write_all(&((run.to - run.from) as u64).to_le_bytes())?;
            for row in rows.some(run.from..run.to) {
                out.write_all(&row.to_bytes())?;
            }
            at += (RUN_BYTES + ROW_BYTES * (run.to - run.from)) as u64;
            self.rows += run.to - run.from;
        }
        begins.resize(PARTS + 1, at);
        out.flush()?;
        out.get_mut().finish()?;
        self.begins.push(begins);
        Ok(())
    }

    /// Adds to `found` the rows of some persons, all of whom are of these parts.
    pub fn read(&self, parts: Range<usize>, takes: impl Fn(Person) -> bool, found: &mut Rows) -> Result<()> {
        let path = self.file.path().ok_or_else(|| DataFusionError::Internal("rows by person are in no file".into()))?;
        let mut read = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let mut own = vec![];
        for begins in &self.begins {
            let (mut at, end) = (begins[parts.start], begins[parts.end]);
            read.seek(SeekFrom::Start(at))?;
            while at < end {
                let person = Person::from_le_bytes(bytes(&mut read)?);
                let key = i64::from_le_bytes(bytes(&mut read)?);
                let id = u64::from_le_bytes(bytes(&mut read)?);
                let number = u32::from_le_bytes(bytes(&mut read)?);
                let rank = u32::from_le_bytes(bytes(&mut read)?);
                let count = u64::from_le_bytes(bytes(&mut read)?) as usize;
                own.clear();
                for _ in 0..count {
                    own.push(AsideRow::from_bytes(&bytes(&mut read)?));
                }
                at += (RUN_BYTES + ROW_BYTES * count) as u64;
                if takes(person) {
                    let (visitor, converting) = (Visitor { key, id, number, rank }, converting(&own));
                    let run = Run { person, visitor, from: 0, to: count, between: ANY, converting };
                    found.add(&run, ANY, own.iter().copied());
                }
            }
        }
        Ok(())
    }
}

impl AsideRow {
    fn to_bytes(self) -> [u8; ROW_BYTES] {
        let mut bytes = [0; ROW_BYTES];
        bytes[..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.time.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.value.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.item.to_le_bytes());
        bytes[36..40].copy_from_slice(&self.group.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.visit.to_le_bytes());
        let flags = [self.after, self.offline, self.marks_visitor, self.in_marked_visit];
        bytes[44..].copy_from_slice(&flags.map(u8::from));
        bytes
    }

    fn from_bytes(bytes: &[u8; ROW_BYTES]) -> Self {
        let [after, offline, marks_visitor, in_marked_visit] = part::<4>(bytes, 44).map(|flag| flag != 0);
        Self {
            sequence: i128::from_le_bytes(part(bytes, 0)),
            time: i64::from_le_bytes(part(bytes, 16)),
            value: f64::from_le_bytes(part(bytes, 24)),
            item: u32::from_le_bytes(part(bytes, 32)),
            group: u32::from_le_bytes(part(bytes, 36)),
            visit: u32::from_le_bytes(part(bytes, 40)),
            after,
            offline,
            marks_visitor,
            in_marked_visit,
        }
    }
}

fn part<const N: usize>(bytes: &[u8; ROW_BYTES], from: usize) -> [u8; N] {
    std::array::from_fn(|at| bytes[from + at])
}

fn bytes<const N: usize>(read: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    read.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attribution::NONE;

    #[test]
    fn bytes_of_a_row_come_back() {
        let sequence: i128 = -5 << 100;
        let row = AsideRow {
            sequence,
            time: i64::MIN + 3,
            value: -0.5,
            item: NONE,
            group: 7,
            visit: 1 << 30,
            after: true,
            offline: false,
            marks_visitor: true,
            in_marked_visit: false,
        };
        let back = AsideRow::from_bytes(&row.to_bytes());
        assert_eq!((back.sequence, back.time, back.value), (sequence, i64::MIN + 3, -0.5));
        assert_eq!((back.item, back.group, back.visit), (NONE, 7, 1 << 30));
        assert_eq!([back.after, back.offline, back.marks_visitor, back.in_marked_visit], [true, false, true, false]);
        assert_eq!(size_of::<AsideRow>(), ROW_BYTES);
    }
}
