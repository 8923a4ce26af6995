//! Persons with several visitors, and visitors with several persons: their rows come in order, wherever they were meanwhile.
#![allow(clippy::unwrap_used)]
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use datafusion::physical_expr::expressions::col;
use datafusion::prelude::SessionContext;

use super::*;
use crate::attribution::{Container, NO_VISIT, NONE};
use crate::columns::{HIT_SEQ, HIT_TIME, VISITOR_KEY, visitor_key};
use crate::engine::journey::columns::Columns;
use crate::engine::journey::stored_rows::{Metric, StoredRows};
use crate::engine::journey::terms::{DictionaryAnswers, RowTerms};
use crate::engine::journey::ties::{Instant, SequenceFiles, Sequences};
use crate::engine::journey::visitors::RelevantRows;
use crate::engine::journey::{EVER, JourneySpec};
use crate::functions::{Persons, PersonsOfSuite};
use crate::lake::lookup::LookupFiles;

/// A row: its time and sequence, its visit, and an item that tells it from others.
type Given = (i64, i64, u32, u32);

fn columns(visitor: &str, online: bool, rows: &[(i64, i64)], with_sequences: bool) -> Columns {
    let spec = JourneySpec { by_person: true, ..JourneySpec::without_models(Container::Visitor) };
    let stored = StoredRows {
        online,
        metric: Metric::One,
        counted: false,
        dimension: None,
        classes: None,
        set: None,
        window: EVER,
        suite: None,
        visit_rules: None,
        anchored: false,
        repeats: false,
        background_hits: true,
        all_reported: false,
        at_hits: false,
    };
    let integers = |values: Vec<i64>| Arc::new(Int64Array::from(values)) as ArrayRef;
    let mut columns = vec![
        (VISITOR_KEY, integers(vec![visitor_key(visitor); rows.len()])),
        (HIT_TIME, integers(rows.iter().map(|row| row.0).collect())),
    ];
    if with_sequences {
        columns.push((HIT_SEQ, integers(rows.iter().map(|row| row.1).collect())));
    }
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    Columns::stored(&batch, &spec, &stored, &RowTerms::default(), &mut DictionaryAnswers::default()).unwrap()
}

/// Sets rows aside; with `by_id`, the visitor is identified by its id, else by its key.
fn push(all: &mut RowsByPerson, visitor: &str, by_id: bool, online: bool, rows: &[Given]) {
    let places: Vec<(i64, i64)> = rows.iter().map(|row| (row.0, row.1)).collect();
    let columns = columns(visitor, online, &places, true);
    assert!(all.takes(columns.keys[0]));
    let told = |row: usize| {
        let (_, _, visit, item) = rows[row];
        Some(RowDetails { visit, item, value: 0.0, group: 0 })
    };
    all.push(&columns, by_id.then_some(visitor), 0..rows.len(), told);
}

/// The phone and the tablet are Bob's; from 20 on the tablet is Eve's. Each is met by a walk of its own.
fn world(spills: bool) -> Vec<SetAsideRows> {
    let mut own = PersonsOfSuite::default();
    own.add("phone", None, "id:bob", true);
    own.add("tablet", None, "id:bob", true);
    own.add("tablet", Some((20, 0)), "id:eve", true);
    own.add("solo", None, "id:zoe", false);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    assert!(persons.keys_identify_visitors());
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    let walk = || RowsByPerson::new(persons.clone(), disk.clone());
    let (mut one, mut other) = (walk(), walk());
    assert!(!one.takes(visitor_key("solo")));
    assert!(!one.spill().unwrap() && !one.is_on_disk());
    push(&mut one, "phone", false, true, &[(10, 7, 0, 1)]);
    // a record of the same instant comes after all hits
    push(&mut one, "phone", true, false, &[(10, 1, NO_VISIT, 3)]);
    push(&mut one, "phone", false, true, &[(30, 0, 1, 2)]);
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
    [one, other].map(|rows| SetAsideRows { rows, items: vec![], groups: vec![] }).into()
}

/// Of each person the items in order, with their visits; of all parts. What waits for sequences finds them in `hits`: keys,
/// times and sequences.
fn persons(asides: &[SetAsideRows], parts: usize, all_matter: bool, hits: &[(i64, i64, i64)]) -> Vec<Vec<(u32, u32)>> {
    persons_with(asides, parts, (all_matter, RelevantRows::All), hits)
}

/// The same where not all rows may matter.
fn persons_with(
    asides: &[SetAsideRows],
    parts: usize,
    (all_matter, matter): (bool, RelevantRows),
    hits: &[(i64, i64, i64)],
) -> Vec<Vec<(u32, u32)>> {
    let mut found: Vec<Vec<(u32, u32)>> = vec![];
    let mut list = |rows: &[PersonRow]| found.push(rows.iter().map(|own| (own.item, own.visit)).collect());
    let first = (0..parts).map(|part| {
        let turn = PersonBatch { part: (part, parts), all_matter, matter, waiting: None };
        each_person(asides, &turn, &mut list).unwrap()
    });
    let waiting = WaitingPersons::of_all(first.collect::<Vec<_>>());
    let instants = Arc::new(waiting.instants.clone());
    let place = |(key, time, sequence): &(i64, i64, i64)| {
        let place = instants.binary_search(&Instant { key: *key, id: 0, time: *time }).ok()?;
        Some((place as u32, i128::from(*sequence)))
    };
    let sequences = Sequences::new(instants.clone(), hits.iter().filter_map(place).collect());
    for part in 0..parts {
        let turn = PersonBatch { part: (part, parts), all_matter, matter, waiting: Some((&waiting, &sequences)) };
        assert!(each_person(asides, &turn, &mut list).unwrap().instants.is_empty());
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
            assert_eq!(persons(&asides, parts, true, &[]), [bob.clone(), eve.clone()], "{spills} {parts}");
            // nobody converts
            assert!(persons(&asides, parts, false, &[]).is_empty());
        }
    }
}

#[test]
fn keys_of_shared_visitors_are_taken_in_whichever_order() {
    let mut own = PersonsOfSuite::default();
    (0..20).for_each(|n| own.add(&format!("v{n}"), None, "id:bob", true));
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    let shared: HashSet<i64> = (0..20).map(|n| visitor_key(&format!("v{n}"))).collect();
    let mut keys: Vec<i64> = shared.iter().flat_map(|key| [key - 1, *key, key + 1]).chain([0]).collect();
    keys.sort_unstable();
    keys.dedup();
    // rising, falling, and bucket after bucket; each key is asked for several times
    let buckets = [&keys[30..], &keys[..30]].concat();
    for order in [keys.clone(), keys.iter().rev().copied().collect(), buckets] {
        let mut walk = RowsByPerson::new(persons.clone(), disk.clone());
        for key in order.into_iter().chain([i64::MAX, i64::MIN, i64::MAX]).flat_map(|key| [key; 3]) {
            assert_eq!(walk.takes(key), shared.contains(&key));
        }
    }
}

#[test]
fn rows_of_several_parts_come_in_order() {
    let mut own = PersonsOfSuite::default();
    own.add("phone", None, "id:bob", true);
    own.add("tablet", None, "id:bob", true);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    let rows = 70_000_u32;
    for spills in [false, true] {
        let mut walk = RowsByPerson::new(persons.clone(), disk.clone());
        for (device, name) in (0..).zip(["phone", "tablet"]) {
            // the two in turns, a row of each
            let own: Vec<Given> = (0..rows).map(|row| (i64::from(2 * row + device), 0, 0, 2 * row + device)).collect();
            own.chunks(10_000).for_each(|own| push(&mut walk, name, false, true, own));
            walk.close_visitor();
        }
        assert_eq!((walk.parts().count(), walk.rows()), (3, 2 * rows as usize));
        if spills {
            assert!(walk.spill().unwrap() && !walk.spill().unwrap());
            assert_eq!((walk.memory_bytes(), walk.rows()), (0, 2 * rows as usize));
        }
        let asides = [SetAsideRows { rows: walk, items: vec![], groups: vec![] }];
        let bob = self::persons(&asides, 2, true, &[]);
        assert_eq!(bob.len(), 1);
        assert!(bob[0].iter().copied().eq((0..2 * rows).map(|row| (row, row % 2))), "{spills}");
    }
}

#[test]
fn of_two_devices_in_one_place_that_with_the_lower_id_is_first() {
    let mut own = PersonsOfSuite::default();
    own.add("2_2", None, "id:bob", true);
    own.add("4_4", None, "id:bob", true);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    assert!(visitor_key("4_4") < visitor_key("2_2"));
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    for spills in [false, true] {
        let mut walk = RowsByPerson::new(persons.clone(), disk.clone());
        for (device, name) in (0..).zip(["4_4", "2_2"]) {
            push(&mut walk, name, false, true, &[(10, 7, 0, device), (20, 1, 0, 2 + device)]);
            walk.close_visitor();
        }
        if spills {
            assert!(walk.spill().unwrap());
        }
        let asides = [SetAsideRows { rows: walk, items: vec![], groups: vec![] }];
        let bob = self::persons(&asides, 1, true, &[]);
        let items: Vec<u32> = bob[0].iter().map(|row| row.0).collect();
        assert_eq!(items, [1, 0, 3, 2], "{spills}");
    }
}

#[test]
fn records_are_of_whom_they_name() {
    let mut own = PersonsOfSuite::default();
    own.add("phone", None, "id:bob", true);
    own.add("phone", Some((20, 0)), "id:eve", true);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    let named = StringArray::from(vec![Some("id:eve"), None, Some("id:bob"), None, Some("id:eve"), Some("id:bob")]);
    let batch = RecordBatch::try_from_iter([("person", Arc::new(named) as ArrayRef)]).unwrap();
    let mut records = columns("phone", false, &[(10, 0), (15, 0), (25, 0), (30, 0), (35, 0), (40, 0)], true);
    // the last is not looked at
    records.look_at_persons(&batch, &col("person", &batch.schema()).unwrap(), (0..5).collect()).unwrap();
    let mut walk = RowsByPerson::new(persons, disk);
    let told = |row: usize| Some(RowDetails { visit: NO_VISIT, item: row as u32, value: 0.0, group: 0 });
    walk.push(&records, Some("phone"), 0..6, told);
    walk.close_visitor();
    let asides = [SetAsideRows { rows: walk, items: vec![], groups: vec![] }];
    let found = self::persons(&asides, 1, true, &[]);
    let items: Vec<Vec<u32>> = found.iter().map(|rows| rows.iter().map(|(item, _)| *item).collect()).collect();
    assert_eq!(items, [vec![0, 3, 4, 5], vec![1, 2]]);
}

/// A row of a visitor in order: its time, whether it is a record, its sequence, visit, value, and whether it counts.
type Seen = (i64, bool, i64, u32, f64, bool);

/// Visitors with rows of few instants, whose persons change within some of these.
fn small_instants(dice: &mut impl FnMut(u64) -> u64) -> (PersonsOfSuite, Vec<Vec<Seen>>) {
    let (mut own, mut visitors) = (PersonsOfSuite::default(), vec![]);
    for visitor in 0..2 + dice(5) {
        let name = format!("v{visitor}");
        own.add(&name, None, &format!("id:{}", dice(3)), true);
        let changes: BTreeMap<(i64, i128), u64> =
            (0..dice(4)).map(|_| ((dice(3) as i64, i128::from(dice(12))), dice(3))).collect();
        for (from, person) in changes {
            own.add(&name, Some(from), &format!("id:{person}"), true);
        }
        let rows: BTreeMap<(i64, bool, i64), (u32, f64, bool)> = (0..1 + dice(14))
            .map(|_| {
                let place = (dice(3) as i64, dice(6) == 0, dice(12) as i64);
                (place, (dice(2) as u32, (dice(3) / 2) as f64, dice(5) > 0))
            })
            .collect();
        let seen =
            |((time, offline, sequence), (visit, value, counts))| (time, offline, sequence, visit, value, counts);
        visitors.push(rows.into_iter().map(seen).collect());
    }
    own.complete();
    (own, visitors)
}

/// Of each person who converts, the rows that a conversion looks back on.
fn reached(persons: &[Vec<u32>], visitors: &[Vec<Seen>], lookback_us: Option<i64>) -> Vec<Vec<u32>> {
    let seen = |row: &u32| visitors[*row as usize / 100][*row as usize % 100];
    let converts = |row: &u32| seen(row).4 != 0.0;
    let own = |rows: &Vec<u32>| -> Option<Vec<u32>> {
        let (first, last) = (rows.iter().find(|row| converts(row))?, rows.iter().rposition(converts)?);
        let oldest = lookback_us.map_or(i64::MIN, |lookback_us| seen(first).0 - lookback_us);
        Some(rows[..=last].iter().copied().filter(|row| seen(row).0 >= oldest).collect())
    };
    let mut reached: Vec<Vec<u32>> = persons.iter().filter_map(own).collect();
    reached.sort();
    reached
}

#[test]
fn instants_of_several_devices_are_the_same_with_sequences_looked_up() {
    let mut state = 88_172_645_463_325_252_u64;
    let mut dice = move |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    let mut waited = 0;
    for number in 0..400 {
        let (own, visitors) = small_instants(&mut dice);
        let with = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
        let without = with.clone().without_sequences(SequenceFiles::new(LookupFiles::default(), false));
        let (batch, spills) = (1 + dice(4) as usize, dice(2) == 0);
        let mut hits = vec![];
        for (visitor, rows) in visitors.iter().enumerate() {
            let key = visitor_key(&format!("v{visitor}"));
            hits.extend(rows.iter().filter(|row| !row.1).map(|row| (key, row.0, row.2)));
        }
        let asides = [&with, &without].map(|persons| {
            let mut walks = [0, 1].map(|_| RowsByPerson::new(persons.clone(), disk.clone()));
            for (visitor, rows) in visitors.iter().enumerate() {
                let (walk, name) = (&mut walks[visitor % 2], format!("v{visitor}"));
                let mut at = 0;
                for same in rows.chunk_by(|a, b| a.1 == b.1).flat_map(|same| same.chunks(batch)) {
                    let places: Vec<(i64, i64)> = same.iter().map(|row| (row.0, row.2)).collect();
                    let offline = same[0].1;
                    let columns = columns(&name, !offline, &places, offline || persons.sequences.is_none());
                    let told = |row: usize| {
                        let (.., visit, value, counts) = same[row];
                        let (visit, item) = (if offline { NO_VISIT } else { visit }, (100 * visitor + at + row) as u32);
                        counts.then_some(RowDetails { visit, item, value, group: 0 })
                    };
                    walk.push(&columns, offline.then_some(name.as_str()), 0..same.len(), told);
                    at += same.len();
                }
                walk.close_visitor();
                if spills && visitor % 3 == 0 {
                    walk.spill().unwrap();
                }
            }
            walks.map(|rows| SetAsideRows { rows, items: vec![], groups: vec![] })
        });
        for (parts, all_matter) in [(1, true), (3, true), (2, false)] {
            // who does not convert may be left out, or not
            let matters = |row: &u32| all_matter || visitors[*row as usize / 100][*row as usize % 100].4 != 0.0;
            let [with, without] = asides.each_ref().map(|asides| {
                let mut persons = persons(asides, parts, all_matter, &hits);
                persons.retain(|rows| rows.iter().any(|(row, _)| matters(row)));
                persons
            });
            assert_eq!(with, without, "{number} {parts} {all_matter} {batch} {spills}\n{visitors:?}");
        }
        for lookback_us in [None, Some(0), Some(1)] {
            // visits have other numbers where rows before them are left out
            let items = |persons: Vec<Vec<(u32, u32)>>| -> Vec<Vec<u32>> {
                persons.into_iter().map(|rows| rows.into_iter().map(|(item, _)| item).collect()).collect()
            };
            let matter = RelevantRows::UpToConversions { lookback_us };
            let all = items(persons(&asides[0], 1, false, &hits));
            for asides in &asides {
                let narrowed = items(persons_with(asides, 2, (false, matter), &hits));
                let [all, narrowed] = [&all, &narrowed].map(|persons| reached(persons, &visitors, lookback_us));
                assert_eq!(all, narrowed, "{number} {lookback_us:?} {batch} {spills}\n{visitors:?}");
            }
        }
        let turn = PersonBatch { part: (0, 1), all_matter: true, matter: RelevantRows::All, waiting: None };
        waited += usize::from(!each_person(&asides[1], &turn, |_| {}).unwrap().instants.is_empty());
    }
    assert!(waited > 100, "{waited}");
}

#[test]
fn only_instants_in_question_are_looked_up() {
    let mut own = PersonsOfSuite::default();
    own.add("phone", None, "id:bob", true);
    own.add("tablet", None, "id:bob", true);
    own.add("tablet", Some((40, 5)), "id:eve", true);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let persons = persons.without_sequences(SequenceFiles::new(LookupFiles::default(), false));
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    // of each hit the time, whether it has an item, and its value
    let waiting =
        |phone: &[(i64, bool, f64)], tablet: &[(i64, bool, f64)], (all_matter, matter): (bool, RelevantRows)| {
            let mut walk = RowsByPerson::new(persons.clone(), disk.clone());
            for (name, hits) in [("phone", phone), ("tablet", tablet)] {
                let places: Vec<(i64, i64)> = hits.iter().map(|hit| (hit.0, 0)).collect();
                let told = |row: usize| {
                    let (_, has_item, value) = hits[row];
                    Some(RowDetails { visit: 0, item: if has_item { 1 } else { NONE }, value, group: 0 })
                };
                walk.push(&columns(name, true, &places, false), None, 0..hits.len(), told);
                walk.close_visitor();
            }
            let asides = [SetAsideRows { rows: walk, items: vec![], groups: vec![] }];
            let turn = PersonBatch { part: (0, 1), all_matter, matter, waiting: None };
            let waiting = each_person(&asides, &turn, |_| {}).unwrap();
            let of = |name: &str| {
                let own = WaitingPersons::of_all([WaitingPersons {
                    persons: HashSet::new(),
                    instants: waiting.instants.clone(),
                }]);
                let own = own.instants.into_iter().filter(|instant| instant.key == visitor_key(name));
                own.map(|instant| instant.time).collect::<Vec<_>>()
            };
            (of("phone"), of("tablet"), waiting.persons.len())
        };
    let (touch, order) = ((true, 0.0), (true, 1.0));
    let at = |time: i64, (item, value): (bool, f64)| (time, item, value);
    let (all, converting) = ((true, RelevantRows::All), (false, RelevantRows::All));
    // no instant of both, nor several hits of one
    assert_eq!(waiting(&[at(10, touch), at(10, order)], &[at(20, touch)], all), (vec![], vec![], 0));
    // one of both, of two; a hit with neither item nor value does not ask
    let tablet = [at(15, touch), at(20, touch), at(30, (false, 0.0))];
    assert_eq!(waiting(&[at(20, order), at(30, touch)], &tablet, converting), (vec![20], vec![20], 1));
    // where nobody converts, only if that matters
    assert_eq!(waiting(&[at(20, touch)], &tablet, converting), (vec![], vec![], 0));
    assert_eq!(waiting(&[at(20, touch)], &tablet, all), (vec![20], vec![20], 1));
    // where the person changes: of whom it leaves, of whom it comes to, and of others who have hits then
    assert_eq!(waiting(&[at(10, touch)], &[at(40, order)], converting), (vec![], vec![40], 2));
    assert_eq!(waiting(&[at(40, touch)], &[at(40, order)], converting), (vec![40], vec![40], 2));
    assert_eq!(waiting(&[at(10, touch)], &[at(39, order), at(41, order)], converting), (vec![], vec![], 0));
    // not of rows after the last conversion of the person, wherever that is, nor of those that are too old
    let reached = |lookback_us: Option<i64>| (false, RelevantRows::UpToConversions { lookback_us });
    let (phone, tablet) = ([at(20, order), at(30, touch)], [at(20, touch), at(30, touch)]);
    assert_eq!(waiting(&phone, &tablet, converting), (vec![20, 30], vec![20, 30], 1));
    assert_eq!(waiting(&phone, &tablet, reached(None)), (vec![20], vec![20], 1));
    let (phone, tablet) = ([at(10, touch), at(20, order)], [at(10, touch)]);
    assert_eq!(waiting(&phone, &tablet, reached(Some(10))), (vec![10], vec![10], 1));
    assert_eq!(waiting(&phone, &tablet, reached(Some(9))), (vec![], vec![], 0));
    assert_eq!(waiting(&[at(10, order)], &[at(40, touch)], converting), (vec![], vec![40], 1));
    assert_eq!(waiting(&[at(10, order)], &[at(40, touch)], reached(None)), (vec![], vec![], 0));
}

#[test]
fn rows_that_no_conversion_of_the_person_looks_back_on_are_left_out() {
    let mut own = PersonsOfSuite::default();
    own.add("phone", None, "id:bob", true);
    own.add("tablet", None, "id:bob", true);
    own.add("tablet", Some((40, 0)), "id:eve", true);
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    // rows are items by their time; Bob orders on the tablet at 20 and 30, Eve there at 50
    let devices: [(&str, &[i64]); 2] = [("phone", &[5, 12, 25, 30, 31, 45]), ("tablet", &[10, 20, 30, 35, 41, 50, 60])];
    for spills in [false, true] {
        let mut walk = RowsByPerson::new(persons.clone(), disk.clone());
        for (name, times) in devices {
            let places: Vec<(i64, i64)> = times.iter().map(|time| (*time, 0)).collect();
            let told = |row: usize| {
                let orders = name == "tablet" && [20, 30, 50].contains(&times[row]);
                Some(RowDetails { visit: 0, item: times[row] as u32, value: f64::from(u8::from(orders)), group: 0 })
            };
            walk.push(&columns(name, true, &places, true), None, 0..times.len(), told);
            walk.close_visitor();
        }
        if spills {
            assert!(walk.spill().unwrap());
        }
        let asides = [SetAsideRows { rows: walk, items: vec![], groups: vec![] }];
        let items = |matter: RelevantRows| -> Vec<Vec<u32>> {
            let persons = persons_with(&asides, 1, (false, matter), &[]);
            persons.into_iter().map(|rows| rows.into_iter().map(|(item, _)| item).collect()).collect()
        };
        let (bob, eve) = (vec![5, 10, 12, 20, 25, 30, 30, 31, 35, 45], vec![41, 50, 60]);
        assert_eq!(items(RelevantRows::All), [bob, eve], "{spills}");
        let (bob, eve) = (vec![5, 10, 12, 20, 25, 30, 30], vec![41, 50]);
        assert_eq!(items(RelevantRows::UpToConversions { lookback_us: None }), [bob, eve], "{spills}");
        let (bob, eve) = (vec![12, 20, 25, 30, 30], vec![50]);
        assert_eq!(items(RelevantRows::UpToConversions { lookback_us: Some(8) }), [bob, eve], "{spills}");
    }
}

#[test]
fn a_person_converts_whichever_of_the_rows_does() {
    let mut own = PersonsOfSuite::default();
    let visitors = ["phone", "tablet", "desk", "laptop"];
    let names = ["id:bob", "id:bob", "id:eve", "id:eve"];
    visitors.iter().zip(names).for_each(|(visitor, person)| own.add(visitor, None, person, true));
    let persons = PersonRows::new(Persons::new(BTreeMap::from([("web".to_string(), own)])), "web");
    let disk = SessionContext::new().runtime_env().disk_manager.clone();
    // each visitor has two hits and a record; of one visitor the last hit or the record converts
    for (converting, spills) in (0..8_usize).flat_map(|converting| [(converting, false), (converting, true)]) {
        let (by_record, converting) = (converting >= visitors.len(), converting % visitors.len());
        let mut walks = [0, 1].map(|_| RowsByPerson::new(persons.clone(), disk.clone()));
        for (number, visitor) in visitors.into_iter().enumerate() {
            let walk = &mut walks[number % 2];
            for (online, times) in [(true, &[10_i64, 20][..]), (false, &[30])] {
                let places: Vec<(i64, i64)> = times.iter().map(|time| (*time, 0)).collect();
                let told = |row: usize| {
                    let converts = number == converting && online != by_record && row + 1 == times.len();
                    let (visit, item) = (if online { 0 } else { NO_VISIT }, 100 * number as u32 + times[row] as u32);
                    Some(RowDetails { visit, item, value: f64::from(u8::from(converts)), group: 0 })
                };
                walk.push(&columns(visitor, online, &places, true), None, 0..times.len(), told);
            }
            walk.close_visitor();
            if spills && number == 2 {
                assert!(walk.spill().unwrap());
            }
        }
        let asides = walks.map(|rows| SetAsideRows { rows, items: vec![], groups: vec![] });
        let matter = RelevantRows::UpToConversions { lookback_us: None };
        let found = persons_with(&asides, 2, (false, matter), &[]);
        let found: Vec<Vec<u32>> = found.into_iter().map(|rows| rows.into_iter().map(|row| row.0).collect()).collect();
        // nobody else does; of hits and records of one instant that of the visitor with the lower id is first
        let first: u32 = if converting < 2 { 0 } else { 200 };
        let times: &[u32] = if by_record { &[10, 20, 30] } else { &[10, 20] };
        let expected: Vec<u32> = times.iter().flat_map(|time| [first + time, first + 100 + time]).collect();
        assert_eq!(found, [expected], "{converting} {by_record} {spills}");
    }
}
