//! The paths of conversions, and of journeys without one: sequences of items, equal ones added up.
//!
//! Memory: each path once, 4 bytes an item, and its sums; the caller accounts for it. Where that is much, what was found leaves
//! between two buckets, and a path may come several times.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, ListBuilder, RecordBatch, StringBuilder};
use arrow::datatypes::ToByteSlice;
use datafusion::error::Result;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::JourneySpec;
use super::breakdown::Groups;
use super::selected::Selected;
use crate::attribution::{Container, Journey, Reach, Sum, Unconverted};

/// Rows that make a batch, and items that do, where paths are long.
const ROWS_PER_BATCH: usize = 8192;
const ITEMS_PER_BATCH: usize = 1 << 20;
/// Bytes of paths that are kept from bucket to bucket.
const KEPT_BYTES: usize = 32 << 20;

/// The paths that have been met.
pub(super) struct PathSums {
    in_visits: bool,
    /// Where the paths of journeys without a conversion are asked for, too.
    unconverted: Option<Unconverted>,
    seed: u64,
    /// By a hash of group and items, the number of the path.
    numbers: HashMap<u128, u32, BuildHasherDefault<Digest>>,
    /// Group and items of each path, one path after the other.
    told: Vec<u32>,
    /// Where each path ends in it.
    ends: Vec<usize>,
    sums: Vec<PathSum>,
    /// Group and items of the path at hand.
    path: Vec<u32>,
    /// Paths of the visitor at hand, with their visits.
    own: Vec<(u32, u32)>,
    /// How many have left, while they leave.
    left: Option<usize>,
}

/// What is known of one path.
#[derive(Default)]
struct PathSum {
    conversions: i64,
    value: Sum,
    journeys: i64,
}

impl PathSums {
    /// Without paths; with `unconverted`, journeys without a conversion have one, too.
    pub fn new(spec: &JourneySpec, unconverted: bool) -> Self {
        Self {
            in_visits: spec.container == Container::Visit,
            unconverted: unconverted.then(|| Unconverted::new(spec.container, spec.lookback_us)),
            seed: RandomState::new().hash_one(0),
            numbers: HashMap::default(),
            told: vec![],
            ends: vec![],
            sums: vec![],
            path: vec![],
            own: vec![],
            left: None,
        }
    }

    /// Adds the paths of a settled visitor, of which a selection may leave a part.
    pub fn add(&mut self, journey: &Journey, reach: &Reach, selected: &mut Option<Selected>, names: &[Arc<str>]) {
        for listed in 0..reach.conversions() {
            let number = reach.number(listed);
            let group = selected.as_ref().map_or(0, |selected| selected.group_of(number));
            let conversion = journey.conversions()[number];
            let path = self.number_of(group, (journey, reach), listed, selected, names);
            let sum = &mut self.sums[path as usize];
            sum.conversions += 1;
            sum.value += conversion.value;
            if reach.conversions() == 1 {
                sum.journeys += 1;
            } else {
                self.own.push((path, if self.in_visits { conversion.visit } else { 0 }));
            }
        }
        // a journey counts once for each of its paths
        self.own.sort_unstable();
        self.own.dedup();
        for (path, _) in self.own.drain(..) {
            self.sums[path as usize].journeys += 1;
        }
        if let Some(mut unconverted) = self.unconverted.take() {
            if unconverted.find(journey, reach) {
                for listed in 0..unconverted.reach.conversions() {
                    let (journey, reach) = (&unconverted.journey, &unconverted.reach);
                    let path = self.number_of(0, (journey, reach), listed, selected, names);
                    self.sums[path as usize].journeys += 1;
                }
            }
            self.unconverted = Some(unconverted);
        }
    }

    /// Adds those of other journeys, whose items and groups have other numbers.
    pub fn merge(&mut self, other: &Self, item: impl Fn(u32) -> u32, group: impl Fn(u32) -> u32) {
        let mut begin = 0;
        for (end, sum) in other.ends.iter().zip(&other.sums) {
            let told = &other.told[begin..*end];
            self.path.clear();
            self.path.push(group(told[0]));
            self.path.extend(told[1..].iter().map(|own| item(*own)));
            let own = self.number();
            let own = &mut self.sums[own as usize];
            own.conversions += sum.conversions;
            own.value += sum.value;
            own.journeys += sum.journeys;
            begin = *end;
        }
    }

    /// The number of what is left of the path of the conversion listed at `listed`.
    fn number_of(
        &mut self,
        group: u32,
        (journey, reach): (&Journey, &Reach),
        listed: usize,
        selected: &mut Option<Selected>,
        names: &[Arc<str>],
    ) -> u32 {
        self.path.clear();
        self.path.push(group);
        match selected.as_mut().filter(|selected| selected.filters_paths()) {
            Some(selected) => {
                let (path, _) = selected.path(journey, reach, (listed, None), names, false);
                self.path.extend((0..path.touches()).flat_map(|touch| path.items(touch).iter().copied()));
            }
            None => reach.see(journey, listed, &mut self.path),
        }
        self.number()
    }

    /// The number of the path at hand.
    fn number(&mut self) -> u32 {
        let digest = xxh3_128_with_seed(self.path.as_slice().to_byte_slice(), self.seed);
        *self.numbers.entry(digest).or_insert_with(|| {
            self.told.extend_from_slice(&self.path);
            self.ends.push(self.told.len());
            self.sums.push(PathSum::default());
            self.sums.len() as u32 - 1
        })
    }

    /// A batch of what was found, `at_end` or where it is much; groups and items are those of the walk.
    pub fn found(
        &mut self,
        at_end: bool,
        spec: &JourneySpec,
        groups: Option<&Groups>,
        names: &[Arc<str>],
    ) -> Result<Option<RecordBatch>> {
        if self.left.is_none() && (at_end || self.are_much()) {
            self.left = Some(0);
        }
        let Some(from) = self.left else { return Ok(None) };
        let begin = |path: usize| path.checked_sub(1).map_or(0, |before| self.ends[before]);
        let much = |path: usize| path - from == ROWS_PER_BATCH || self.ends[path] - begin(from) > ITEMS_PER_BATCH;
        let to = (from..self.ends.len()).find(|path| *path > from && much(*path)).unwrap_or(self.ends.len());
        if from == to {
            self.forget();
            return Ok(None);
        }
        let path = |path: usize| &self.told[begin(path)..self.ends[path]];
        let mut columns = match groups.filter(|_| !spec.selection.by.is_empty()) {
            Some(groups) => groups.columns(&spec.selection.by, (from..to).map(|n| path(n)[0]))?,
            None => vec![],
        };
        let name = |item: &u32| names.get(*item as usize).map(|name| &**name);
        let (rows, listed) = (to - from, self.ends[to - 1] - begin(from) - (to - from));
        let bytes: usize = (from..to).flat_map(|number| &path(number)[1..]).filter_map(name).map(str::len).sum();
        let mut items = ListBuilder::with_capacity(StringBuilder::with_capacity(listed, bytes), rows);
        for number in from..to {
            path(number)[1..].iter().for_each(|item| items.values().append_option(name(item)));
            items.append(true);
        }
        let sums = &self.sums[from..to];
        columns.extend([
            Arc::new(items.finish()) as ArrayRef,
            Arc::new(sums.iter().map(|sum| sum.conversions).collect::<Int64Array>()),
            Arc::new(sums.iter().map(|sum| Some(sum.value.value())).collect::<Float64Array>()),
            Arc::new(sums.iter().map(|sum| sum.journeys).collect::<Int64Array>()),
        ]);
        self.left = Some(to);
        Ok(Some(RecordBatch::try_new(spec.output(), columns)?))
    }

    fn forget(&mut self) {
        (self.numbers, self.told, self.ends, self.sums) = (HashMap::default(), vec![], vec![], vec![]);
        self.left = None;
    }

    /// True where these are more than is kept from bucket to bucket.
    pub fn are_much(&self) -> bool {
        self.paths_bytes() > KEPT_BYTES
    }

    /// Bytes that the paths take, about.
    pub fn paths_bytes(&self) -> usize {
        let paths = self.told.capacity() * 4 + self.ends.capacity() * 8;
        paths + self.sums.capacity() * size_of::<PathSum>() + self.numbers.capacity() * 33
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        let unconverted = self.unconverted.as_ref().map_or(0, Unconverted::memory_bytes);
        self.paths_bytes() + unconverted + self.path.capacity() * 4 + self.own.capacity() * 8
    }
}

/// Takes what is a hash already.
#[derive(Default)]
struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |hash, byte| hash.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u128(&mut self, digest: u128) {
        self.0 = digest as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::{BTreeMap, BTreeSet};

    use arrow::array::AsArray;
    use arrow::datatypes::{Float64Type, Int64Type};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::attribution::Conversion;
    use crate::engine::journey::JourneyOutput;

    fn spec(container: Container, unconverted: bool) -> JourneySpec {
        let gives = JourneyOutput::Paths { unconverted, in_parts: false };
        JourneySpec { gives, ..JourneySpec::without_models(container) }
    }

    fn sums(container: Container, unconverted: bool) -> PathSums {
        PathSums::new(&spec(container, unconverted), unconverted)
    }

    /// Adds a visitor: touches, each its item and visit, and conversions, each behind so many of them, its visit and value.
    fn add(sums: &mut PathSums, container: Container, touches: &[(u32, u32)], conversions: &[(u32, u32, f64)]) {
        let (mut journey, mut reach) = (Journey::new(), Reach::new(container, None));
        for (at, (item, visit)) in (0_u32..).zip(touches) {
            journey.touch(2 * at + 1, at.into(), *visit, *item);
        }
        for (behind, visit, value) in conversions {
            let position = 2 * behind;
            journey.convert(Conversion {
                row: position,
                position,
                time: (*behind).into(),
                visit: *visit,
                value: *value,
            });
        }
        reach.find(&journey);
        sums.add(&journey, &reach, &mut None, &[]);
    }

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|item| Arc::from(item.to_string())).collect()
    }

    /// Batches of rows: the path, its conversions, their value, its journeys.
    fn found(sums: &mut PathSums, names: &[Arc<str>]) -> Vec<Vec<(String, i64, f64, i64)>> {
        let spec = spec(Container::Visitor, false);
        let mut batches = vec![];
        while let Some(batch) = sums.found(true, &spec, None, names).unwrap() {
            let path = |row: usize| {
                let items = batch.column(0).as_list::<i32>().value(row);
                items.as_string::<i32>().iter().map(Option::unwrap).collect::<Vec<_>>().join(">")
            };
            let count = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
            let value = |row: usize| batch.column(2).as_primitive::<Float64Type>().value(row);
            batches
                .push((0..batch.num_rows()).map(|row| (path(row), count(1, row), value(row), count(3, row))).collect());
        }
        batches
    }

    fn sorted(sums: &mut PathSums, names: &[Arc<str>]) -> Vec<(String, i64, f64, i64)> {
        let mut rows = found(sums, names).concat();
        rows.sort_by(|a, b| a.0.cmp(&b.0));
        rows
    }

    fn row(path: &str, conversions: i64, value: f64, journeys: i64) -> (String, i64, f64, i64) {
        (path.to_string(), conversions, value, journeys)
    }

    #[test]
    fn equal_paths_add_up_and_a_journey_counts_once() {
        let of = Container::Visitor;
        let mut sums = sums(of, true);
        add(&mut sums, of, &[(0, 0), (1, 0)], &[(1, 0, 8.0), (2, 0, 2.0), (2, 0, 3.0)]);
        add(&mut sums, of, &[(0, 0), (1, 1)], &[(2, 1, -1.0)]);
        add(&mut sums, of, &[], &[(0, 0, 16.0)]);
        // without a conversion, and without anything
        add(&mut sums, of, &[(0, 0), (0, 0)], &[]);
        add(&mut sums, of, &[(0, 0), (1, 0)], &[]);
        add(&mut sums, of, &[], &[]);
        assert!(sums.found(false, &spec(of, true), None, &names(2)).unwrap().is_none(), "it is little");
        let rows = sorted(&mut sums, &names(2));
        assert_eq!(rows, [row("", 1, 16.0, 1), row("0", 1, 8.0, 1), row("0>0", 0, 0.0, 1), row("0>1", 3, 4.0, 3)]);
        // what has left is forgotten
        assert!(sorted(&mut sums, &names(2)).is_empty());
    }

    #[test]
    fn visits_are_journeys() {
        let of = Container::Visit;
        let mut sums = sums(of, true);
        add(&mut sums, of, &[(0, 0), (1, 1), (0, 0), (1, 1), (0, 2)], &[(5, 2, 1.0), (4, 1, 2.0), (4, 1, 4.0)]);
        // two visits of one path
        add(&mut sums, of, &[(0, 0), (0, 1)], &[(1, 0, 8.0), (2, 1, 8.0)]);
        let rows = sorted(&mut sums, &names(2));
        assert_eq!(rows, [row("0", 3, 17.0, 3), row("0>0", 0, 0.0, 1), row("1>1", 2, 6.0, 1)]);
    }

    #[test]
    fn paths_of_others_are_added_under_their_own_numbers() {
        let of = Container::Visitor;
        let (mut ours, mut theirs) = (sums(of, false), sums(of, false));
        add(&mut ours, of, &[(0, 0), (1, 0)], &[(2, 0, 1.0)]);
        add(&mut theirs, of, &[(1, 0), (0, 0)], &[(2, 0, 2.0), (2, 0, 4.0)]);
        add(&mut theirs, of, &[(0, 0)], &[(0, 0, 8.0), (1, 0, 16.0)]);
        ours.merge(&theirs, |item| 1 - item, |group| group);
        let rows = sorted(&mut ours, &names(2));
        assert_eq!(rows, [row("", 1, 8.0, 1), row("0>1", 3, 7.0, 2), row("1", 1, 16.0, 1)]);
    }

    /// Of a visitor, touches, each its item and visit, and conversions, each behind so many of them, its visit and value.
    type Visitor = (Vec<(u32, u32)>, Vec<(u32, u32, f64)>);

    /// The paths of visitors as texts, each with its conversions, their value and its journeys.
    fn plainly(visitors: &[Visitor], of: Container, paths: &mut BTreeMap<String, (i64, f64, i64)>) {
        let own_visit = |visit: u32| if of == Container::Visit { visit } else { 0 };
        for (touches, conversions) in visitors {
            let seen = |behind: usize, visit: u32| {
                let own = touches.iter().take(behind).filter(|(_, other)| own_visit(*other) == own_visit(visit));
                own.map(|(item, _)| item.to_string()).collect::<Vec<_>>().join(">")
            };
            let (mut journeys, mut converted) = (BTreeSet::new(), BTreeSet::new());
            for (behind, visit, value) in conversions {
                let path = seen(*behind as usize, *visit);
                let sum = paths.entry(path.clone()).or_default();
                (sum.0, sum.1) = (sum.0 + 1, sum.1 + value);
                journeys.insert((path, own_visit(*visit)));
                converted.insert(own_visit(*visit));
            }
            let visits = touches.iter().map(|(_, visit)| own_visit(*visit)).filter(|visit| !converted.contains(visit));
            journeys.extend(visits.map(|visit| (seen(touches.len(), visit), visit)));
            journeys.into_iter().for_each(|(path, _)| paths.entry(path).or_default().2 += 1);
        }
    }

    fn visitor() -> impl Strategy<Value = Visitor> {
        let value = (1..9_u8).prop_map(f64::from);
        (vec((0..4_u32, 0..3_u32), 0..5), vec((0..5_u32, 0..3_u32, value), 0..3))
    }

    proptest! {
        /// Whatever walks have met, merged they have what a map of texts has.
        #[test]
        fn merged_walks_have_the_paths_of_all(
            walks in vec(vec(visitor(), 0..8), 1..5),
            in_visits in any::<bool>(),
        ) {
            let of = if in_visits { Container::Visit } else { Container::Visitor };
            let (mut merged, mut expected) = (sums(of, true), BTreeMap::new());
            for (numbering, visitors) in (0..4_u32).zip(&walks) {
                // each walk numbers items in its own way
                let mut walk = sums(of, true);
                for (touches, conversions) in visitors {
                    let numbered = touches.iter().map(|(item, visit)| ((item + numbering) % 4, *visit));
                    add(&mut walk, of, &numbered.collect::<Vec<_>>(), conversions);
                }
                merged.merge(&walk, |item| (item + 4 - numbering) % 4, |group| group);
                plainly(visitors, of, &mut expected);
            }
            let expected = expected.into_iter().map(|(path, (n, value, journeys))| (path, n, value, journeys));
            prop_assert_eq!(sorted(&mut merged, &names(4)), expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn batches_are_of_so_many_rows_or_items() {
        let of = Container::Visitor;
        let mut sums = sums(of, false);
        let count = ROWS_PER_BATCH + 1;
        (0..count as u32).for_each(|item| add(&mut sums, of, &[(item, 0)], &[(1, 0, 1.0)]));
        let batches = found(&mut sums, &names(count));
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [ROWS_PER_BATCH, 1]);
        assert_eq!((&batches[0][1], &batches[1][0]), (&row("1", 1, 1.0, 1), &row("8192", 1, 1.0, 1)));
        // long paths
        let long = vec![(0, 0); ITEMS_PER_BATCH];
        add(&mut sums, of, &long, &[(ITEMS_PER_BATCH as u32, 0, 1.0), (1, 0, 1.0), (2, 0, 1.0)]);
        let batches = found(&mut sums, &names(1));
        assert_eq!(batches.iter().map(Vec::len).collect::<Vec<_>>(), [2, 1]);
    }
}
