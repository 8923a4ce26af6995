//! The touches and conversions of one visitor, as arrays; cleared and filled again for the next visitor.
//!
//! Rows are named by their position, the index in the visitor's order (`hit_time`, then `hit_seq`). Touches come in rising
//! position and no position has two; conversions come in any order. Times never fall while positions rise.

use std::collections::BTreeMap;
use std::ops::Range;

/// The item NULL: what a conversion without a touch in reach gives its value to.
pub const NONE: u32 = u32::MAX;
/// The visit of a row that belongs to none (an offline row).
pub const NO_VISIT: u32 = u32::MAX;

/// One row on which the metric is not zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conversion {
    /// The row itself, as a position: where the credit of the item NULL sits.
    pub row: u32,
    /// Where it stands on the time line: `row`, or with the basis `snapshot` the row of its online transaction.
    pub position: u32,
    /// Microseconds; the time at `position`.
    pub time: i64,
    /// Ordinal of the visit at `position`, or [`NO_VISIT`].
    pub visit: u32,
    /// What is shared.
    pub value: f64,
}

/// What one item of a touch has of a conversion on the touch's row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct ItemShare {
    pub touch: u32,
    /// An item of the touch, or [`NONE`] for what belongs to no item of it: the last of the touch's parts.
    pub item: u32,
    /// In the unit of `total`, the sum over the parts of the touch.
    pub amount: f64,
    pub total: f64,
    /// False where nothing of what converts is the item's.
    pub converts: bool,
}

impl ItemShare {
    /// Its part of an amount; of the very total, the part's own amount to the last digit.
    pub fn of(&self, amount: f64) -> f64 {
        amount / self.total * self.amount
    }

    /// Those of the parts of one touch that have an item, with the sum of their amounts; what has none may come after them.
    pub fn with_items(parts: &[Self]) -> (&[Self], f64) {
        match parts.split_last() {
            Some((none, own)) if none.item == NONE => (own, own.iter().map(|part| part.amount).sum()),
            Some((last, _)) => (parts, last.total),
            None => (parts, 0.0),
        }
    }
}

/// In how many parts that comes which converts on a row that is no touch. All of them see the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Untouched {
    position: u32,
    /// Two at least.
    pub parts: u64,
    /// The sum of their amounts without the sign, over their sum: 1 where all have one sign.
    pub magnitude: f64,
}

/// One touch. All of it is written at once, row after row, which is what a walk mostly does.
#[derive(Debug, Clone, Copy)]
struct Touch {
    time: i64,
    position: u32,
    visit: u32,
    /// After the last of its items.
    end: u32,
}

/// Touches and conversions of one visitor.
///
/// Items are dense numbers from 0, such as indices into a dictionary: scratch arrays are as long as the largest item seen.
#[derive(Debug, Default)]
pub struct Journey {
    touches: Vec<Touch>,
    /// Touch `t` has the items `touches[t - 1].end..touches[t].end`.
    items: Vec<u32>,
    conversions: Vec<Conversion>,
    /// Of those touches whose rows convert in parts, in their order.
    parts: Vec<ItemShare>,
    /// Of rows that are no touch and convert in parts, in their order.
    untouched: Vec<Untouched>,
    item_count: usize,
}

impl Journey {
    /// An empty journey.
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets the visitor, keeps the memory.
    pub fn clear(&mut self) {
        self.touches.clear();
        self.items.clear();
        self.conversions.clear();
        self.parts.clear();
        self.untouched.clear();
    }

    /// Adds a touch of one item; with the item [`NONE`] the row is no touch.
    #[inline]
    pub fn touch(&mut self, position: u32, time: i64, visit: u32, item: u32) {
        if item == NONE {
            return;
        }
        self.items.push(item);
        self.item_count = self.item_count.max(item as usize + 1);
        self.push(position, time, visit);
    }

    /// A touch of the items since the one before it.
    #[inline]
    fn push(&mut self, position: u32, time: i64, visit: u32) {
        debug_assert!(
            self.touches.last().is_none_or(|last| last.position < position),
            "touches come in rising position"
        );
        self.touches.push(Touch { time, position, visit, end: self.items.len() as u32 });
    }

    /// Adds the one touch of a multi-valued row: each of its items gets the touch's full credit, an item that is named
    /// twice only once. Without items, or with no other than [`NONE`], the row is no touch and the answer is false.
    pub fn touch_all(&mut self, position: u32, time: i64, visit: u32, items: impl IntoIterator<Item = u32>) -> bool {
        let start = self.items.len();
        self.items.extend(items.into_iter().filter(|item| *item != NONE));
        if self.items.len() > start + 1 {
            self.items[start..].sort_unstable();
            let mut kept = start;
            for read in start + 1..self.items.len() {
                if self.items[read] != self.items[kept] {
                    kept += 1;
                    self.items[kept] = self.items[read];
                }
            }
            self.items.truncate(kept + 1);
        }
        let Some(largest) = self.items[start..].last() else { return false };
        self.item_count = self.item_count.max(*largest as usize + 1);
        self.push(position, time, visit);
        true
    }

    /// Divides what converts on the row of the newest touch among its items, in proportion to the amounts. A part of an
    /// item that the touch lacks belongs to [`NONE`]; amounts that sum to 0 divide nothing: each item gets the full value.
    /// Nothing stands at the position just before such a row: there its parts without an item convert.
    pub fn divide(&mut self, parts: impl IntoIterator<Item = (u32, f64)>) {
        let Some(touch) = self.touches().checked_sub(1) else { return };
        let (start, own) = (self.parts.len(), self.item_range(touch));
        let part = |item: u32| ItemShare { touch: touch as u32, item, amount: 0.0, total: 0.0, converts: false };
        self.parts.extend(self.items[own.clone()].iter().map(|item| part(*item)));
        self.parts.push(part(NONE));
        for (item, amount) in parts {
            let at = self.items[own.clone()].binary_search(&item).unwrap_or(own.len());
            let part = &mut self.parts[start + at];
            (part.amount, part.converts) = (part.amount + amount, part.converts || amount != 0.0);
        }
        let total: f64 = self.parts[start..].iter().map(|part| part.amount).sum();
        if self.parts.last().is_some_and(|none| !none.converts) {
            self.parts.pop();
        }
        match total.is_finite() && total != 0.0 {
            true => self.parts[start..].iter_mut().for_each(|part| part.total = total),
            false => self.parts.truncate(start),
        }
    }

    /// Divides what converts at `position`, a row that is no touch, by item, in proportion to the amounts. Each part sees what the
    /// whole does, and is a path of its own. Amounts that sum to 0 divide nothing. Rows come in rising position.
    pub fn divide_untouched<I: Ord>(&mut self, position: u32, parts: impl IntoIterator<Item = (I, f64)>) {
        let mut amounts: BTreeMap<I, f64> = BTreeMap::new();
        for (item, amount) in parts {
            *amounts.entry(item).or_default() += amount;
        }
        // what sums to 0 converts nothing
        amounts.retain(|_, amount| *amount != 0.0);
        let total: f64 = amounts.values().sum();
        if amounts.len() > 1 && total.is_finite() && total != 0.0 {
            let magnitude = amounts.values().map(|amount| amount.abs()).sum::<f64>() / total.abs();
            self.untouched.push(Untouched { position, parts: amounts.len() as u64, magnitude });
        }
    }

    /// Adds a conversion; one whose value is zero or not a finite number is none, and the answer is false.
    #[inline]
    pub fn convert(&mut self, conversion: Conversion) -> bool {
        let counts = conversion.value.is_finite() && conversion.value != 0.0;
        if counts {
            self.conversions.push(conversion);
        }
        counts
    }

    /// Forgets what is of visits that `keep` does not name, and of no visit; `kept` hears of each conversion.
    pub fn retain_visits(&mut self, keep: impl Fn(u32) -> bool, mut kept: impl FnMut(bool)) {
        let keep = |visit: u32| visit != NO_VISIT && keep(visit);
        self.conversions.retain(|conversion| {
            let keeps = keep(conversion.visit);
            kept(keeps);
            keeps
        });
        let mut all = std::mem::take(self);
        self.conversions = std::mem::take(&mut all.conversions);
        self.untouched = std::mem::take(&mut all.untouched);
        for touch in (0..all.touches()).filter(|t| keep(all.visit(*t))) {
            self.take_touch(&all, touch, all.items(touch).iter().copied());
        }
    }

    /// Becomes one conversion of `journey`, with some items of some touches, in order; it converts as a whole.
    pub(super) fn become_path(&mut self, journey: &Self, items: &[(u32, u32)], conversion: Conversion) {
        self.clear();
        for row in items.chunk_by(|a, b| a.0 == b.0) {
            self.take_touch(journey, row[0].0 as usize, row.iter().map(|(_, item)| *item));
        }
        self.parts.clear();
        self.conversions.push(conversion);
    }

    /// Becomes the touches of `journey` with other conversions, which come in parts of items alone: where these sum to 0, in none.
    pub(super) fn become_divided(&mut self, journey: &Self, conversions: impl IntoIterator<Item = Conversion>) {
        self.become_part(journey, conversions);
        self.parts.clear();
        for parts in journey.parts.chunk_by(|a, b| a.touch == b.touch) {
            let (own, total) = ItemShare::with_items(parts);
            if total != 0.0 {
                self.parts.extend(own.iter().map(|part| ItemShare { total, ..*part }));
            }
        }
    }

    /// Becomes the touches of `journey` with some of its conversions.
    pub fn become_part(&mut self, journey: &Self, conversions: impl IntoIterator<Item = Conversion>) {
        self.touches.clone_from(&journey.touches);
        self.items.clone_from(&journey.items);
        self.parts.clone_from(&journey.parts);
        self.untouched.clone_from(&journey.untouched);
        self.item_count = self.item_count.max(journey.item_count);
        self.conversions.clear();
        self.conversions.extend(conversions);
    }

    /// Adds a touch of another journey with some of its items, which are in order.
    fn take_touch(&mut self, other: &Self, touch: usize, items: impl Iterator<Item = u32>) {
        self.items.extend(items);
        self.item_count = self.item_count.max(other.item_count);
        self.push(other.position(touch), other.time(touch), other.visit(touch));
        let own = self.touches() - 1;
        self.parts.extend(other.parts(touch).iter().map(|part| ItemShare { touch: own as u32, ..*part }));
    }

    /// Number of touches.
    pub fn touches(&self) -> usize {
        self.touches.len()
    }

    /// The conversions that count, in the order they were added.
    #[inline]
    pub fn conversions(&self) -> &[Conversion] {
        &self.conversions
    }

    /// Position of a touch.
    #[inline]
    pub fn position(&self, touch: usize) -> u32 {
        self.touches[touch].position
    }

    /// Time of a touch in microseconds.
    #[inline]
    pub fn time(&self, touch: usize) -> i64 {
        self.touches[touch].time
    }

    /// Visit of a touch.
    #[inline]
    pub fn visit(&self, touch: usize) -> u32 {
        self.touches[touch].visit
    }

    /// The distinct items of a touch, at least one.
    #[inline]
    pub fn items(&self, touch: usize) -> &[u32] {
        &self.items[self.item_range(touch)]
    }

    /// The items of touches in a row, of which there is at least one.
    pub(super) fn items_of(&self, touches: Range<usize>) -> &[u32] {
        &self.items[self.item_range(touches.start).start..self.item_range(touches.end - 1).end]
    }

    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        let touches = self.touches.capacity() * size_of::<Touch>();
        let parts = self.parts.capacity() * size_of::<ItemShare>() + self.untouched.capacity() * size_of::<Untouched>();
        touches + parts + self.items.capacity() * 4 + self.conversions.capacity() * size_of::<Conversion>()
    }

    /// True if some row converts in parts.
    pub(super) fn has_parts(&self) -> bool {
        !self.parts.is_empty()
    }

    /// True if some of these parts belongs to no item.
    pub(super) fn has_parts_without_item(&self) -> bool {
        self.parts.iter().any(|part| part.item == NONE)
    }

    /// The parts of all touches, in the order of touches and items.
    pub(super) fn all_parts(&self) -> &[ItemShare] {
        &self.parts
    }

    /// The parts in which the row of a touch converts; none where it converts as a whole.
    pub(super) fn parts(&self, touch: usize) -> &[ItemShare] {
        let start = self.parts.partition_point(|part| (part.touch as usize) < touch);
        let len = self.parts[start..].partition_point(|part| part.touch as usize == touch);
        &self.parts[start..start + len]
    }

    /// In how many parts that comes which converts at a position, a row that is no touch; None where it converts as a whole.
    #[inline]
    pub(super) fn untouched(&self, position: u32) -> Option<&Untouched> {
        let at = self.untouched.binary_search_by_key(&position, |row| row.position);
        at.ok().map(|at| &self.untouched[at])
    }

    /// Above the largest item that this journey, or one before it in the same memory, has had.
    pub(super) fn item_count(&self) -> usize {
        self.item_count
    }

    #[inline]
    fn item_range(&self, touch: usize) -> Range<usize> {
        let start = if touch == 0 { 0 } else { self.touches[touch - 1].end as usize };
        start..self.touches[touch].end as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multi_valued_rows_name_an_item_once() {
        let mut journey = Journey::new();
        journey.touch(0, 0, 0, 7);
        journey.touch_all(1, 0, 0, [3, 1, 3, NONE, 1]);
        journey.touch_all(2, 0, 0, []);
        journey.touch(3, 0, 0, NONE);
        journey.touch_all(4, 0, 0, [2, 2]);
        assert_eq!(journey.touches(), 3);
        assert_eq!((journey.items(0), journey.items(1), journey.items(2)), (&[7][..], &[1, 3][..], &[2][..]));
        assert_eq!(journey.position(2), 4);
        assert_eq!(journey.item_count(), 8);
        journey.clear();
        assert_eq!(journey.touches(), 0);
    }

    #[test]
    fn parts_are_those_of_the_touchs_items() {
        let mut journey = Journey::new();
        journey.touch_all(0, 0, 0, [7, 3]);
        journey.divide([(7, 4.0), (3, 1.0), (7, 2.0)]);
        journey.touch_all(1, 0, 0, [7, 3]);
        journey.divide([(7, 4.0), (3, -4.0)]);
        journey.touch(2, 0, 0, 5);
        journey.divide([(NONE, 1.0), (8, 2.0), (5, 3.0)]);
        journey.touch(3, 0, 0, 5);
        journey.divide([(NONE, 1.0), (5, 3.0), (NONE, -1.0)]);
        journey.touch(4, 0, 0, 5);
        journey.divide([(NONE, 0.0), (5, 3.0)]);
        let parts = |touch| journey.parts(touch).iter().map(|p| (p.item, p.amount, p.total)).collect::<Vec<_>>();
        assert_eq!(parts(0), [(3, 1.0, 7.0), (7, 6.0, 7.0)]);
        assert_eq!(parts(1), []);
        assert_eq!(parts(2), [(5, 3.0, 6.0), (NONE, 3.0, 6.0)]);
        // lines that sum to 0 took part, those that have nothing did not
        assert_eq!((parts(3), parts(4)), (vec![(5, 3.0, 3.0), (NONE, 0.0, 3.0)], vec![(5, 3.0, 3.0)]));
        // what has no item taken away
        let mut divided = Journey::new();
        divided.touch(4, 4, 0, 1);
        divided.become_divided(&journey, []);
        let parts = |touch| divided.parts(touch).iter().map(|p| (p.item, p.amount, p.total)).collect::<Vec<_>>();
        assert_eq!((divided.touches(), parts(0)), (5, vec![(3, 1.0, 7.0), (7, 6.0, 7.0)]));
        assert_eq!((parts(1), parts(2), parts(3)), (vec![], vec![(5, 3.0, 3.0)], vec![(5, 3.0, 3.0)]));
        assert!(journey.has_parts_without_item() && !divided.has_parts_without_item());
    }

    #[test]
    fn rows_that_are_no_touch_have_parts_by_item() {
        let mut journey = Journey::new();
        journey.divide_untouched(1, [(Some("boot"), 4.0), (None, 1.0), (Some("boot"), 2.0), (Some("hat"), 0.0)]);
        journey.divide_untouched(3, [(Some("boot"), 4.0), (Some("hat"), -4.0)]);
        journey.divide_untouched(5, [(Some("boot"), 4.0), (Some("hat"), 3.0), (Some("hat"), -3.0)]);
        journey.divide_untouched(7, [(1, 6.0), (2, -2.0), (3, -2.0)]);
        let parts = |journey: &Journey| {
            [1, 3, 5, 7, 8].map(|position| journey.untouched(position).map(|row| (row.parts, row.magnitude)))
        };
        let all = [Some((2, 1.0)), None, None, Some((3, 5.0)), None];
        assert_eq!(parts(&journey), all);
        let mut other = Journey::new();
        other.become_part(&journey, []);
        assert_eq!(parts(&other), all);
        journey.retain_visits(|_| true, |_| {});
        assert_eq!(parts(&journey), all);
        journey.clear();
        assert_eq!(parts(&journey), [None; 5]);
    }

    #[test]
    fn only_finite_values_other_than_zero_convert() {
        let mut journey = Journey::new();
        let conversion = Conversion { row: 0, position: 0, time: 0, visit: 0, value: -2.0 };
        assert!(journey.convert(conversion));
        for value in [0.0, -0.0, f64::NAN, f64::INFINITY] {
            assert!(!journey.convert(Conversion { value, ..conversion }));
        }
        assert_eq!(journey.conversions().len(), 1);
    }
}
