//! Rows of visitors that share a person or have several: set aside on the way, and brought together by person when all are there.
//!
//! In: visitor after visitor, in the order of keys. Out: person after person, the rows of each in the order of time. Memory: 48
//! bytes a row that can count, which is one of a shared visitor with an item, a value or a mark. Where the pool has no more, they
//! go to disk, and come back a part of the persons at a time.

use std::collections::HashMap;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{DiskManager, SpillFile};
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::columns::Columns;
use crate::attribution::{NO_VISIT, NONE};
use crate::functions::{Persons, PersonsOfSuite, Spans};
use crate::persons::{Moment, Subject};

/// Bytes that are taken back from disk at a time, by each thread.
pub(super) const TAKEN_BACK_BYTES: usize = 32 << 20;
/// Bytes that are written or read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// Whose rows are whose, in the suite that a question is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersonRows {
    persons: Persons,
    suite: String,
}

impl PersonRows {
    /// Of a suite that has persons.
    pub fn new(persons: Persons, suite: &str) -> Self {
        Self { persons, suite: suite.to_string() }
    }

    fn own(&self) -> Option<&PersonsOfSuite> {
        self.persons.of(&self.suite)
    }

    /// True where the keys of shared visitors tell them apart.
    pub fn keys_tell_visitors(&self) -> bool {
        self.own().is_none_or(PersonsOfSuite::keys_tell_visitors)
    }

    /// True for the key of a visitor whose rows are not exactly those of one person.
    fn are_shared(&self, key: i64) -> bool {
        self.own().is_some_and(|own| own.shared().contains(key))
    }

    /// Whose rows a visitor's are.
    fn line(&self, key: i64, id: Option<&str>, seed: u64) -> Line<'_> {
        let own = self.own();
        let spans = own.map_or(&[] as &Spans, |own| own.spans_of(key, id));
        let mut line = Line { own, spans, seed, known: None };
        if spans.is_empty() {
            // of whom the tables say nothing is a person of its own
            let alone = Subject::Visitor(id.unwrap_or_default().to_string());
            line.known = Some((0, line.hashed(&alone.to_string())));
        }
        line
    }
}

/// Whose rows a visitor's are.
struct Line<'a> {
    own: Option<&'a PersonsOfSuite>,
    spans: &'a Spans,
    seed: u64,
    /// How many spans begin before the last place that was asked for, and the person there.
    known: Option<(usize, Person)>,
}

impl Line<'_> {
    fn at(&mut self, place: Moment) -> Person {
        let begun = self.spans.partition_point(|(from, _)| *from <= place);
        if let Some((known, person)) = self.known
            && known == begun
        {
            return person;
        }
        let number = begun.checked_sub(1).map(|span| self.spans[span].1);
        let person = self.hashed(number.and_then(|number| Some(self.own?.person(number))).unwrap_or_default());
        self.known = Some((begun, person));
        person
    }

    fn hashed(&self, person: &str) -> Person {
        xxh3_128_with_seed(person.as_bytes(), self.seed)
    }
}

/// A person: a hash of what it is called.
type Person = u128;

/// A row's place among the rows of its person: time, what stands at a hit before other offline rows, sequence, online before
/// offline.
type Place = (i64, bool, i128, bool);

/// A row that was set aside.
#[derive(Clone, Copy)]
pub(super) struct AsideRow {
    sequence: i128,
    pub time: i64,
    pub value: f64,
    /// By number, as all that walks number.
    pub item: u32,
    pub group: u32,
    /// Of its visitor.
    visit: u32,
    after: bool,
    offline: bool,
    pub marks_visitor: bool,
    pub in_marked_visit: bool,
}

/// What is known of a row beside its place.
pub(super) struct Told {
    pub visit: u32,
    pub item: u32,
    pub value: f64,
    pub group: u32,
}

/// Rows of a visitor in a row that are one person's.
struct Run {
    person: Person,
    /// The visitor's, and what tells it from others of one walk.
    key: i64,
    visitor: u32,
    from: usize,
    to: usize,
}

/// Rows and whose they are.
#[derive(Default)]
struct Rows {
    rows: Vec<AsideRow>,
    runs: Vec<Run>,
}

/// The rows that were set aside.
pub(super) struct ByPerson {
    persons: PersonRows,
    /// Of what persons are called: the same for all that are brought together.
    seed: u64,
    all: Rows,
    /// The visitor at hand: its number, where its rows and runs begin, and the visits that are marked.
    visitor: u32,
    begins: (usize, usize),
    is_at_visitor: bool,
    marked_visits: Vec<bool>,
    disk: Arc<DiskManager>,
    spilled: Option<Spilled>,
}

/// What went to disk, once or several times: runs of rows, those of one part of the persons beside each other.
struct Spilled {
    file: Arc<dyn SpillFile>,
    rows: usize,
    /// Each time, where the runs of each part begin, and where the last ends.
    begins: Vec<Vec<u64>>,
}

/// Parts of the persons that come back from disk together or apart.
const PARTS: usize = 256;

/// The part of a person.
fn part_of(person: Person) -> usize {
    (person >> 64) as usize % PARTS
}

impl ByPerson {
    /// Without rows; what is brought together has one `seed`.
    pub fn new(persons: PersonRows, seed: u64, disk: Arc<DiskManager>) -> Self {
        Self {
            persons,
            seed,
            all: Rows::default(),
            visitor: 0,
            begins: (0, 0),
            is_at_visitor: false,
            marked_visits: vec![],
            disk,
            spilled: None,
        }
    }

    /// A seed that nobody knows before.
    pub fn seed() -> u64 {
        RandomState::new().hash_one(0)
    }

    /// True for the key of a visitor whose rows are set aside.
    pub fn takes(&self, key: i64) -> bool {
        self.persons.are_shared(key)
    }

    /// Adds the first row of each visitor whose rows are set aside to `rows` that matter, both in order.
    pub fn mind(&self, columns: &Columns, rows: &mut Vec<u32>) {
        let (before, keys) = (rows.len(), &columns.keys);
        // two visitors may have one key
        let goes_on =
            |row: usize| keys[row] == keys[row - 1] && columns.ids.as_ref().is_none_or(|ids| ids.same(row - 1, row));
        let firsts = (0..columns.rows).filter(|row| *row == 0 || !goes_on(*row));
        rows.extend(firsts.filter(|row| self.takes(keys[*row])).map(|row| row as u32));
        if before > 0 && before < rows.len() {
            rows.sort();
            rows.dedup();
        }
    }

    /// Sets rows of one visitor aside, by number, with what is known of each.
    pub fn push(&mut self, columns: &Columns, id: Option<&str>, rows: impl Iterator<Item = (usize, Told)>) {
        self.is_at_visitor = true;
        let mut line: Option<Line<'_>> = None;
        for (row, Told { visit, item, value, group }) in rows {
            if visit != NO_VISIT && columns.marks_visit(row) {
                let visit = visit as usize;
                if self.marked_visits.len() <= visit {
                    self.marked_visits.resize(visit + 1, false);
                }
                self.marked_visits[visit] = true;
            }
            let marks_visitor = columns.marks_visitor(row);
            if item == NONE && value == 0.0 && !marks_visitor {
                continue;
            }
            let (time, sequence) = (columns.time(row), columns.sequence(row));
            let line = line.get_or_insert_with(|| self.persons.line(columns.keys[row], id, self.seed));
            let person = match columns.person(row) {
                Some(person) => line.hashed(person),
                None => line.at((time, sequence)),
            };
            let (offline, in_marked_visit) = (columns.offline, false);
            let after = offline && !columns.stands_at_hit(row);
            let at = self.all.rows.len();
            self.all.rows.push(AsideRow {
                sequence,
                time,
                value,
                item,
                group,
                visit,
                after,
                offline,
                marks_visitor,
                in_marked_visit,
            });
            match self.all.runs.last_mut() {
                Some(run) if run.to == at && run.person == person && run.visitor == self.visitor => run.to = at + 1,
                _ => {
                    let (key, visitor) = (columns.keys[row], self.visitor);
                    self.all.runs.push(Run { person, key, visitor, from: at, to: at + 1 });
                }
            }
        }
    }

    /// Turns to the next visitor; false where none of whose rows was met.
    pub fn close_visitor(&mut self) -> bool {
        let was_at_visitor = std::mem::take(&mut self.is_at_visitor);
        if was_at_visitor {
            if !self.marked_visits.is_empty() {
                for row in &mut self.all.rows[self.begins.0..] {
                    row.in_marked_visit = self.marked_visits.get(row.visit as usize).copied().unwrap_or_default();
                }
                self.marked_visits.clear();
            }
            self.begins = (self.all.rows.len(), self.all.runs.len());
            self.visitor += 1;
        }
        was_at_visitor
    }

    /// Writes the rows of the visitors before the one at hand to disk; false where there are none.
    pub fn spill(&mut self) -> Result<bool> {
        let (rows, runs) = self.begins;
        if rows == 0 {
            return Ok(false);
        }
        let mut spilled = match self.spilled.take() {
            Some(spilled) => spilled,
            None => Spilled { file: self.disk.create_tmp_file("rows by person")?, rows: 0, begins: vec![] },
        };
        let mut gone: Vec<Run> = self.all.runs.drain(..runs).collect();
        gone.sort_by_key(|run| part_of(run.person));
        let mut at = spilled.begins.last().and_then(|begins| begins.last()).copied().unwrap_or_default();
        let mut begins = Vec::with_capacity(PARTS + 1);
        let mut out = BufWriter::with_capacity(BUFFER_BYTES, spilled.file.open_writer()?);
        for run in gone {
            // of parts without a run, where the next one begins
            begins.resize(part_of(run.person) + 1, at);
            out.write_all(&run.person.to_le_bytes())?;
            out.write_all(&run.key.to_le_bytes())?;
            out.write_all(&run.visitor.to_le_bytes())?;
            out.write_all(&((run.to - run.from) as u64).to_le_bytes())?;
            for row in &self.all.rows[run.from..run.to] {
                out.write_all(&row.to_bytes())?;
            }
            at += (RUN_BYTES + ROW_BYTES * (run.to - run.from)) as u64;
        }
        begins.resize(PARTS + 1, at);
        out.flush()?;
        out.get_mut().finish()?;
        self.all.rows.drain(..rows);
        self.all.rows.shrink_to_fit();
        self.all.runs.shrink_to_fit();
        for run in &mut self.all.runs {
            (run.from, run.to) = (run.from - rows, run.to - rows);
        }
        self.begins = (0, 0);
        spilled.rows += rows;
        spilled.begins.push(begins);
        self.spilled = Some(spilled);
        Ok(true)
    }

    /// The rows of some persons, all of whom are of these parts; those on disk, too.
    fn of(&self, parts: Range<usize>, takes: impl Fn(Person) -> bool) -> Result<Rows> {
        let mut found = Rows::default();
        for run in self.all.runs.iter().filter(|run| takes(run.person)) {
            found.add((run.person, run.key, run.visitor), &self.all.rows[run.from..run.to]);
        }
        let Some(Spilled { file, begins, .. }) = &self.spilled else { return Ok(found) };
        let path = file.path().ok_or_else(|| DataFusionError::Internal("rows by person are in no file".into()))?;
        let mut read = BufReader::with_capacity(BUFFER_BYTES, File::open(path)?);
        let mut own = vec![];
        for begins in begins {
            let (mut at, end) = (begins[parts.start], begins[parts.end]);
            read.seek(SeekFrom::Start(at))?;
            while at < end {
                let person = Person::from_le_bytes(bytes(&mut read)?);
                let key = i64::from_le_bytes(bytes(&mut read)?);
                let visitor = u32::from_le_bytes(bytes(&mut read)?);
                let count = u64::from_le_bytes(bytes(&mut read)?) as usize;
                own.clear();
                for _ in 0..count {
                    own.push(AsideRow::from_bytes(&bytes(&mut read)?));
                }
                at += (RUN_BYTES + ROW_BYTES * count) as u64;
                if takes(person) {
                    found.add((person, key, visitor), &own);
                }
            }
        }
        Ok(found)
    }

    /// True where some of its rows went to disk.
    pub fn is_on_disk(&self) -> bool {
        self.spilled.is_some()
    }

    fn rows(&self) -> usize {
        self.all.rows.len() + self.spilled.as_ref().map_or(0, |spilled| spilled.rows)
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.all.rows.capacity() * size_of::<AsideRow>() + self.all.runs.capacity() * size_of::<Run>()
    }
}

impl Rows {
    fn add(&mut self, (person, key, visitor): (Person, i64, u32), rows: &[AsideRow]) {
        let from = self.rows.len();
        self.rows.extend_from_slice(rows);
        self.runs.push(Run { person, key, visitor, from, to: self.rows.len() });
    }
}

/// Bytes of a row on disk, and of what stands before the rows of a run.
const ROW_BYTES: usize = 48;
const RUN_BYTES: usize = 36;

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

/// What one walk set aside, with the names of its numbers.
pub(super) struct Aside {
    pub rows: ByPerson,
    pub items: Vec<Arc<str>>,
    pub groups: Vec<Arc<[u8]>>,
}

/// True where some rows went to disk.
pub(super) fn is_on_disk(asides: &[Aside]) -> bool {
    asides.iter().any(|aside| aside.rows.is_on_disk())
}

/// Goes over the persons of a part, of so many: `person` takes the rows of each, with the number of what set them aside and of
/// their visit among the person's.
pub(super) fn each_person(
    asides: &[Aside],
    (part, parts): (usize, usize),
    mut person: impl FnMut(&mut dyn Iterator<Item = (usize, &AsideRow, u32)>),
) -> Result<()> {
    let (part, parts) = (part as u128, parts as u128);
    if !is_on_disk(asides) {
        let all: Vec<&Rows> = asides.iter().map(|aside| &aside.rows.all).collect();
        each_in_memory(&all, |of| of % parts == part, &mut person);
        return Ok(());
    }
    let bytes = asides.iter().map(|aside| aside.rows.rows()).sum::<usize>() * size_of::<AsideRow>();
    let turns = (1 + bytes / parts as usize / (TAKEN_BACK_BYTES / 2)).min(PARTS);
    let begin = |turn: usize| turn * PARTS / turns;
    for turn in 0..turns {
        let own = begin(turn)..begin(turn + 1);
        let takes = |of: Person| of % parts == part && own.contains(&part_of(of));
        let some = asides.iter().map(|aside| aside.rows.of(own.clone(), takes)).collect::<Result<Vec<_>>>()?;
        each_in_memory(&some.iter().collect::<Vec<_>>(), takes, &mut person);
    }
    Ok(())
}

fn each_in_memory(
    all: &[&Rows],
    takes: impl Fn(Person) -> bool,
    person: &mut impl FnMut(&mut dyn Iterator<Item = (usize, &AsideRow, u32)>),
) {
    let mut runs: Vec<(Person, usize, &Run)> = vec![];
    for (number, rows) in all.iter().enumerate() {
        let own = rows.runs.iter().filter(|run| takes(run.person));
        runs.extend(own.map(|run| (run.person, number, run)));
    }
    // of rows in one place those of the visitor that comes first in the lake, whoever set them aside
    runs.sort_by_key(|(person, _, run)| (*person, run.key));
    let mut rows: Vec<(Place, usize, u32, &AsideRow)> = vec![];
    let mut visits: HashMap<(usize, u32, u32), u32> = HashMap::new();
    for own in runs.chunk_by(|a, b| a.0 == b.0) {
        rows.clear();
        visits.clear();
        for (_, number, run) in own {
            let of_run = all[*number].rows[run.from..run.to].iter();
            rows.extend(
                of_run.map(|row| ((row.time, row.after, row.sequence, row.offline), *number, run.visitor, row)),
            );
        }
        rows.sort_by_key(|(place, ..)| *place);
        let mut in_order = rows.iter().map(|(_, number, visitor, row)| {
            let visit = match row.visit {
                NO_VISIT => NO_VISIT,
                visit => {
                    let next = visits.len() as u32;
                    *visits.entry((*number, *visitor, visit)).or_insert(next)
                }
            };
            (*number, *row, visit)
        });
        person(&mut in_order);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::BTreeMap;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use datafusion::prelude::SessionContext;

    use super::*;
    use crate::attribution::Container;
    use crate::columns::{HIT_SEQ, HIT_TIME, VISITOR_KEY, visitor_key};
    use crate::engine::journey::stored_rows::{Metric, StoredRows};
    use crate::engine::journey::terms::{Known, RowTerms};
    use crate::engine::journey::{EVER, JourneySpec};

    /// A row: its time and sequence, its visit, and an item that tells it from others.
    type Given = (i64, i64, u32, u32);

    fn columns(visitor: &str, online: bool, rows: &[Given]) -> Columns {
        let spec = JourneySpec { by_person: true, ..JourneySpec::without_models(Container::Visitor) };
        let stored = StoredRows {
            online,
            metric: Metric::One,
            dimension: None,
            set: None,
            window: EVER,
            suite: None,
            visit_rules: None,
            anchored: false,
            repeats: false,
            background_hits: true,
            at_hits: false,
        };
        let integers = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let batch = RecordBatch::try_from_iter([
            (VISITOR_KEY, integers(vec![visitor_key(visitor); rows.len()])),
            (HIT_TIME, integers(rows.iter().map(|row| row.0).collect())),
            (HIT_SEQ, integers(rows.iter().map(|row| row.1).collect())),
        ]);
        Columns::stored(&batch.unwrap(), &spec, &stored, &RowTerms::default(), &mut Known::default()).unwrap()
    }

    /// Sets rows aside; with `by_id`, the visitor is told by its id, else by its key.
    fn push(all: &mut ByPerson, visitor: &str, by_id: bool, online: bool, rows: &[Given]) {
        let columns = columns(visitor, online, rows);
        assert!(all.takes(columns.keys[0]));
        let told = rows.iter().map(|(_, _, visit, item)| Told { visit: *visit, item: *item, value: 0.0, group: 0 });
        all.push(&columns, by_id.then_some(visitor), told.enumerate());
    }

    /// The phone and the tablet are Bob's; from 20 on the tablet is Eve's. Each is met by a walk of its own.
    fn world(spills: bool) -> Vec<Aside> {
        let mut own = PersonsOfSuite::default();
        own.add("phone", None, "id:bob", true);
        own.add("tablet", None, "id:bob", true);
        own.add("tablet", Some((20, 0)), "id:eve", true);
        own.add("solo", None, "id:zoe", false);
        let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
        assert!(persons.keys_tell_visitors() && !persons.are_shared(visitor_key("solo")));
        let disk = SessionContext::new().runtime_env().disk_manager.clone();
        let seed = ByPerson::seed();
        let walk = || ByPerson::new(persons.clone(), seed, disk.clone());
        let (mut one, mut other) = (walk(), walk());
        assert!(!one.spill().unwrap() && !one.is_on_disk());
        push(&mut one, "phone", false, true, &[(10, 7, 0, 1), (30, 0, 1, 2)]);
        // a record of the same instant comes after all hits
        push(&mut one, "phone", true, false, &[(10, 1, NO_VISIT, 3)]);
        // of the visitor at hand nothing goes to disk
        assert!(!one.spill().unwrap());
        assert!(one.close_visitor() && !one.close_visitor());
        push(&mut one, "phone", false, true, &[(40, 0, 0, 4)]);
        if spills {
            assert!(one.spill().unwrap());
        }
        one.close_visitor();
        push(&mut other, "tablet", true, true, &[(10, 5, 0, 5), (15, 0, 0, 6), (20, 0, 0, 7)]);
        push(&mut other, "tablet", false, true, &[(25, 0, 3, 8)]);
        other.close_visitor();
        if spills {
            assert!(one.spill().unwrap() && other.spill().unwrap());
            assert_eq!((one.memory_bytes(), other.memory_bytes()), (0, 0));
        }
        [one, other].map(|rows| Aside { rows, items: vec![], groups: vec![] }).into()
    }

    /// Of each person the items in order, with their visits; of all parts.
    fn persons(asides: &[Aside], parts: usize) -> Vec<Vec<(u32, u32)>> {
        let mut found = vec![];
        for part in 0..parts {
            each_person(asides, (part, parts), |rows| {
                found.push(rows.map(|(_, row, visit)| (row.item, visit)).collect::<Vec<_>>());
            })
            .unwrap();
        }
        found.sort();
        found
    }

    #[test]
    fn rows_of_several_visitors_come_in_order() {
        let bob = vec![(5, 0), (1, 1), (3, NO_VISIT), (6, 0), (2, 2), (4, 3)];
        let eve = vec![(7, 0), (8, 1)];
        for spills in [false, true] {
            let asides = world(spills);
            for parts in [1, 3] {
                assert_eq!(persons(&asides, parts), [bob.clone(), eve.clone()], "{spills} {parts}");
            }
        }
    }

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
