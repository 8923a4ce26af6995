//! Brings rows that walks set aside together: person after person, the rows of each in order.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::{Range, RangeInclusive};

use datafusion::error::Result;

use super::person_rows::Person;
use super::rows::{AsideRow, AsideRows, Rows, Run, Touches, Visitor};
use super::set_aside::{SetAsideRows, is_on_disk, sequence_files};
use super::spilled::{PARTS, part_of};
use crate::attribution::{NO_VISIT, NONE};
use crate::engine::journey::seeded::Seed;
use crate::engine::journey::ties::{Instant, Sequences};
use crate::engine::journey::visitors::RelevantRows;

/// Bytes that are taken back from disk at a time, by each thread.
pub(in crate::engine::journey) const TAKEN_BACK_BYTES: usize = 32 << 20;

/// Runs whose rows are fetched from memory together, before they are read: one by one each would be waited for.
const FETCHED_RUNS: usize = 64;

/// A row's place among the rows of its person: time, what stands at a hit before other offline rows, sequence. Those of one device
/// come in order, a record after the hit that it stands at; of several devices in one place that of the lower id is first.
type Place = (i64, bool, i128);

/// Persons by the order in which they are met.
type PersonNumbers = HashMap<Person, u32, BuildHasherDefault<PersonHash>>;

/// What stands for a person is a hash already, with a seed that nobody knows.
#[derive(Default)]
struct PersonHash(u64);

impl Hasher for PersonHash {
    // the upper half alone says which part a person is in, of all that are on disk
    fn write_u128(&mut self, person: Person) {
        self.0 = (person >> 64) as u64 ^ (person as u64).rotate_left(32);
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// Persons who wait for sequences, and of which instants.
#[derive(Default)]
pub(in crate::engine::journey) struct WaitingPersons {
    pub(super) persons: HashSet<Person>,
    pub instants: Vec<Instant>,
}

impl WaitingPersons {
    /// Those of all.
    pub fn of_all(all: impl IntoIterator<Item = Self>) -> Self {
        let mut sum = Self::default();
        for one in all {
            sum.persons.extend(one.persons);
            sum.instants.extend(one.instants);
        }
        sum.instants.sort_unstable();
        sum.instants.dedup();
        sum
    }
}

/// The persons that are brought together at a time.
pub(in crate::engine::journey) struct PersonBatch<'t> {
    /// A part, of so many.
    pub part: (usize, usize),
    /// Those without a conversion, too.
    pub all_matter: bool,
    /// Which rows of the others matter.
    pub matter: RelevantRows,
    /// Only those who wait, whose sequences are there now.
    pub waiting: Option<(&'t WaitingPersons, &'t Sequences)>,
}

impl PersonBatch<'_> {
    fn takes(&self, person: Person) -> bool {
        let (part, parts) = self.part;
        // a part of all hashes, which takes no division
        (u128::from(person as u64) * parts as u128) >> 64 == part as u128
            && self.waiting.is_none_or(|(waiting, _)| waiting.persons.contains(&person))
    }

    fn sequences(&self) -> Option<&Sequences> {
        self.waiting.map(|(_, sequences)| sequences)
    }

    /// The times of the rows that matter, of a person whose first and last conversion are at these.
    fn times_that_matter(&self, converting: Option<(i64, i64)>) -> RangeInclusive<i64> {
        match (self.matter, converting) {
            (RelevantRows::UpToConversions { lookback_us }, Some((first, last))) => {
                lookback_us.map_or(i64::MIN, |lookback_us| first.saturating_sub(lookback_us))..=last
            }
            _ => i64::MIN..=i64::MAX,
        }
    }
}

/// A row of a person.
#[derive(Clone, Copy)]
pub(in crate::engine::journey) struct PersonRow {
    pub time: i64,
    pub value: f64,
    /// Of what set it aside, its number, by which the numbers of items and groups go.
    pub aside: usize,
    pub item: u32,
    pub group: u32,
    /// Of its visit among the person's.
    pub visit: u32,
    device: u32,
    offline: bool,
    pub marks_visitor: bool,
    pub in_marked_visit: bool,
}

impl PersonRow {
    /// A row of which nothing counts but when it touches which item.
    fn touch(time: i64, item: u32, visit: u32, aside: usize, device: u32) -> Self {
        Self {
            time,
            value: 0.0,
            aside,
            item,
            group: 0,
            visit,
            device,
            offline: false,
            marks_visitor: false,
            in_marked_visit: false,
        }
    }

    /// True where it matters which of two such rows comes first.
    fn has_a_turn(&self) -> bool {
        self.item != NONE || self.value != 0.0
    }
}

/// Goes over the persons whose turn it is: `person` takes the rows of each in order. Gives back who must wait for sequences.
pub(in crate::engine::journey) fn each_person(
    asides: &[SetAsideRows],
    turn: &PersonBatch<'_>,
    mut person: impl FnMut(&[PersonRow]),
) -> Result<WaitingPersons> {
    let mut waiting = WaitingPersons::default();
    let waits = (turn.waiting.is_none() && sequence_files(asides).is_some()).then_some(&mut waiting);
    if !is_on_disk(asides) {
        let mut parts: Vec<(usize, &Rows)> = vec![];
        for (number, aside) in asides.iter().enumerate() {
            parts.extend(aside.rows.parts().map(|part| (number, part)));
        }
        each_in_memory(&parts, turn, |of| turn.takes(of), waits, &mut person)?;
        return Ok(waiting);
    }
    let mut waits = waits;
    let bytes = asides.iter().map(|aside| aside.rows.rows()).sum::<usize>() * size_of::<AsideRow>();
    let turns = (1 + bytes / turn.part.1 / (TAKEN_BACK_BYTES / 2)).min(PARTS);
    let begin = |turn: usize| turn * PARTS / turns;
    for number in 0..turns {
        let own = begin(number)..begin(number + 1);
        let takes = |of: Person| own.contains(&part_of(of)) && turn.takes(of);
        let some = asides.iter().map(|aside| aside.rows.of(own.clone(), takes, turn.sequences()));
        let some = some.collect::<Result<Vec<_>>>()?;
        let parts: Vec<(usize, &Rows)> = some.iter().enumerate().collect();
        each_in_memory(&parts, turn, takes, waits.as_deref_mut(), &mut person)?;
    }
    Ok(waiting)
}

/// The same for rows in memory, in parts, each with the number of what set it aside.
fn each_in_memory(
    parts: &[(usize, &Rows)],
    turn: &PersonBatch<'_>,
    takes: impl Fn(Person) -> bool,
    mut waits: Option<&mut WaitingPersons>,
    person: &mut impl FnMut(&[PersonRow]),
) -> Result<()> {
    // who matters, by number as they are met, so that much of what is read of one after the other is side by side
    let met = |rows: &Rows| if turn.all_matter { rows.runs.len() } else { rows.converting.len() };
    let met: usize = parts.iter().map(|(_, rows)| met(rows)).sum();
    let mut persons = PersonNumbers::with_capacity_and_hasher(met / turn.part.1, BuildHasherDefault::default());
    let mut meet = |person: Person| {
        if takes(person) {
            let next = persons.len() as u32;
            persons.entry(person).or_insert(next);
        }
    };
    for (_, rows) in parts {
        match turn.all_matter {
            true => rows.runs.iter().for_each(|run| meet(run.person)),
            false => rows.converting.iter().for_each(|person| meet(*person)),
        }
    }
    // most convert nowhere, and need not be sorted: the others by person, of whose rows in one place those of the visitor with the
    // lower id come first, whoever set them aside
    let mut found: Vec<(u64, u64)> = vec![];
    for (part, (_, rows)) in parts.iter().enumerate() {
        for (at, run) in rows.runs.iter().enumerate().filter(|(_, run)| takes(run.person)) {
            if let Some(of) = persons.get(&run.person) {
                let place = (u64::from(*of) << 32) | u64::from(run.visitor.rank);
                found.push((place, ((part as u64) << 32) | at as u64));
            }
        }
    }
    found.sort_unstable();
    // side by side they are read faster than from where they are
    let runs: Vec<(u64, usize, Run)> = found
        .into_iter()
        .map(|(turn, at)| {
            let part = (at >> 32) as usize;
            (turn >> 32, part, parts[part].1.runs[at as u32 as usize])
        })
        .collect();
    let mut merge = Merge::default();
    let (mut begun, mut fetched) = (0, 0);
    for own in runs.chunk_by(|a, b| a.0 == b.0) {
        begun += own.len();
        if fetched < begun + FETCHED_RUNS / 2 {
            let next = fetched..runs.len().min(begun + FETCHED_RUNS);
            runs[next.clone()].iter().for_each(|(_, part, run)| parts[*part].1.rows.fetch(run.from..run.to));
            fetched = next.end;
        }
        let converting = own.iter().filter_map(|(.., run)| run.converting);
        let converting = converting.reduce(|(first, last), (from, to)| (first.min(from), last.max(to)));
        let times = turn.times_that_matter(converting);
        merge.clear();
        for of_device in own.chunk_by(|a, b| (a.1, a.2.visitor) == (b.1, b.2.visitor)) {
            let (_, part, Run { visitor, .. }) = of_device[0];
            let (aside, Rows { rows, .. }) = parts[part];
            let from = merge.runs.len();
            for (.., run) in of_device {
                if run.is_clear() || turn.waiting.is_some() {
                    merge.runs.push(rows.within(run.of(rows, turn.sequences())?, &times));
                } else if times.contains(&rows.time(run.from)) {
                    merge.changes.push(visitor.instant(rows.time(run.from)));
                }
            }
            let runs = from..merge.runs.len();
            merge.devices.push(Device { aside, visitor, rows, runs, at: None, visit: None });
        }
        merge.bring_in_order(turn.sequences())?;
        if let Some(waits) = &mut waits
            && merge.waits_for(&mut waits.instants)
        {
            waits.persons.insert(own[0].2.person);
            continue;
        }
        // who may have had hits may turn out to have none
        if !merge.order.is_empty() {
            person(&merge.order);
        }
    }
    Ok(())
}

/// The rows of one visitor that are the person's.
struct Device<'a> {
    aside: usize,
    visitor: Visitor,
    /// All rows of its part.
    rows: &'a AsideRows,
    /// What is left of its runs.
    runs: Range<usize>,
    /// Of the first of them, the row at hand, and [`AsideRows::others_among`] there; None before its first row.
    at: Option<(usize, usize)>,
    /// The visit of the row before: its number there, and among all of the person.
    visit: Option<(u32, u32)>,
}

impl<'a> Device<'a> {
    /// The row at hand; `runs` are those of all devices.
    #[inline]
    fn row(&mut self, runs: &[Range<usize>]) -> Option<AsideRow> {
        while let Some(run) = runs[self.runs.clone()].first() {
            let (row, others) = self.at.get_or_insert_with(|| (run.start, self.rows.others_among(run.clone())));
            if *row < run.end {
                return Some(self.rows.row_from(*row, others));
            }
            (self.runs.start, self.at) = (self.runs.start + 1, None);
        }
        None
    }

    /// The rows from the one at hand on that only touch, as far as they are before an instant, microseconds, if one is given; turns to
    /// the row after them.
    #[inline]
    fn touches(&mut self, runs: &[Range<usize>], before: Option<i64>) -> Touches<'a> {
        let Some(run) = runs[self.runs.clone()].first() else { return Touches::default() };
        let (row, others) = self.at.get_or_insert_with(|| (run.start, self.rows.others_among(run.clone())));
        let touches = self.rows.touches(*row..run.end, *others, before);
        *row += touches.times.len();
        touches
    }

    /// The number among all of the person of a visit of this device, which has a number itself.
    #[inline]
    fn visit_among_all(&mut self, number: u32, visit: u32, visits: &mut Visits) -> u32 {
        match self.visit {
            _ if visit == NO_VISIT => NO_VISIT,
            Some((known, among_all)) if known == visit => among_all,
            last => {
                let among_all = visits.turn_to(number, last, visit);
                self.visit = Some((visit, among_all));
                among_all
            }
        }
    }

    /// Turns to the row after the one at hand.
    #[inline]
    fn pass(&mut self) {
        if let Some((row, _)) = &mut self.at {
            *row += 1;
        }
    }

    /// Where a row stands.
    fn place(&self, row: &AsideRow, sequences: Option<&Sequences>) -> Result<Place> {
        let known = match sequences {
            Some(sequences) if !row.offline => sequences.of(&self.visitor.instant(row.time), row.sequence)?,
            _ => None,
        };
        Ok((row.time, row.after, known.unwrap_or(row.sequence)))
    }
}

/// The visits of a person.
#[derive(Default)]
struct Visits {
    count: u32,
    /// By their device and number there; the one at hand of each device, which mostly is the only one or does not come again, is not
    /// among them.
    left: HashMap<(u32, u32), u32, Seed>,
}

impl Visits {
    fn clear(&mut self) {
        self.count = 0;
        self.left.clear();
    }

    /// The number among all of a visit of a device, to which it turns from its last one, of which both numbers are known.
    fn turn_to(&mut self, device: u32, last: Option<(u32, u32)>, visit: u32) -> u32 {
        if let Some((last, among_all)) = last {
            self.left.insert((device, last), among_all);
            if let Some(known) = self.left.get(&(device, visit)) {
                return *known;
            }
        }
        self.count += 1;
        self.count - 1
    }
}

/// The rows of a person, brought in order.
#[derive(Default)]
struct Merge<'a> {
    /// Where the runs are among the rows of their parts.
    runs: Vec<Range<usize>>,
    devices: Vec<Device<'a>>,
    /// Instants of hits that may be the person's.
    changes: Vec<Instant>,
    order: Vec<PersonRow>,
    visits: Visits,
    /// The row at hand of each device that has rows left.
    heads: BinaryHeap<Reverse<(Place, u32)>>,
    sharing: Vec<u32>,
}

impl Merge<'_> {
    /// Turns to another person.
    fn clear(&mut self) {
        self.runs.clear();
        self.devices.clear();
        self.changes.clear();
        self.order.clear();
        self.visits.clear();
    }

    /// Merges the rows of the devices, each of which has them in order; of two in one place that of the first device is first.
    fn bring_in_order(&mut self, sequences: Option<&Sequences>) -> Result<()> {
        let Self { runs, devices, order, visits, heads, .. } = self;
        for (number, device) in (0..).zip(devices.iter_mut()) {
            if let Some(row) = device.row(runs) {
                heads.push(Reverse((device.place(&row, sequences)?, number)));
            }
        }
        while let Some(Reverse((_, number))) = heads.pop() {
            let device = &mut devices[number as usize];
            let next = heads.peek().map(|Reverse(head)| *head);
            loop {
                let before = next.map(|((time, ..), _)| time);
                let touches = device.touches(runs, before);
                if !touches.times.is_empty() {
                    let (aside, visit) = (device.aside, device.visit_among_all(number, 0, visits));
                    let touches = touches.times.iter().zip(touches.items);
                    order.extend(touches.map(|(time, item)| PersonRow::touch(*time, *item, visit, aside, number)));
                    continue;
                }
                let Some(row) = device.row(runs) else { break };
                // what is of an earlier time is first, whatever its place then
                if let Some(next) = next.filter(|((time, ..), _)| row.time >= *time) {
                    let head = (device.place(&row, sequences)?, number);
                    if head > next {
                        heads.push(Reverse(head));
                        break;
                    }
                }
                let visit = device.visit_among_all(number, row.visit, visits);
                let AsideRow { time, value, item, group, offline, marks_visitor, in_marked_visit, .. } = row;
                let aside = device.aside;
                order.push(PersonRow {
                    time,
                    value,
                    aside,
                    item,
                    group,
                    visit,
                    device: number,
                    offline,
                    marks_visitor,
                    in_marked_visit,
                });
                device.pass();
            }
        }
        Ok(())
    }

    /// Adds the instants whose sequences say in which order the rows are, and whose; false where that is known.
    fn waits_for(&mut self, instants: &mut Vec<Instant>) -> bool {
        if self.devices.len() < 2 && self.changes.is_empty() {
            return false;
        }
        let before = instants.len();
        instants.extend(&self.changes);
        self.changes.sort_unstable_by_key(|instant| instant.time);
        for at in self.order.chunk_by(|a, b| a.time == b.time) {
            // nearly all rows are alone in their instant
            if at.len() == 1 && self.changes.is_empty() {
                continue;
            }
            let time = at[0].time;
            let hits = at.iter().filter(|own| !own.offline && own.has_a_turn()).map(|own| own.device);
            self.sharing.clear();
            self.sharing.extend(hits);
            self.sharing.dedup();
            let changes = || self.changes.binary_search_by_key(&time, |instant| instant.time).is_ok();
            if self.sharing.len() > 1 || (self.sharing.len() == 1 && changes()) {
                self.sharing.sort_unstable();
                self.sharing.dedup();
                let devices = self.sharing.iter().map(|device| &self.devices[*device as usize]);
                instants.extend(devices.map(|device| device.visitor.instant(time)));
            }
        }
        instants.len() > before
    }
}

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn visits_have_numbers_by_their_first_rows() {
        let mut visits = Visits::default();
        for _ in 0..2 {
            let mut last: [Option<(u32, u32)>; 2] = [None, None];
            // of each row its device and its visit there
            let rows = [(0, 5), (1, 5), (0, 7), (1, 0), (0, 5), (1, 5), (0, 7), (1, 9), (0, 0)];
            let numbers = rows.map(|(device, visit)| {
                let among_all = visits.turn_to(device as u32, last[device], visit);
                last[device] = Some((visit, among_all));
                among_all
            });
            assert_eq!(numbers, [0, 1, 2, 3, 0, 1, 2, 4, 5]);
            visits.clear();
        }
    }

    #[test]
    fn persons_of_one_part_are_told_apart() {
        let places = BuildHasherDefault::<PersonHash>::default();
        let persons = (0..1000_u128).map(|person| (7 << 64) | (person << 32));
        let hashes: HashSet<u64> = persons.map(|person| places.hash_one(person) % 1024).collect();
        assert_eq!(hashes.len(), 1000);
    }
}
