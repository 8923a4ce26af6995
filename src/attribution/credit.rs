//! Where credit goes: summed per item for a report, or per row for a window function.

use super::journey::NONE;
use super::sum::Sum;

/// Takes the credit that a conversion or several of them give.
pub trait CreditSink {
    /// `amount` for `item`, earned by the touch at `position`; for the item [`NONE`], `position` is a conversion's row.
    ///
    /// An item and position may come several times, in any order; an amount of 0 still means that the item took part.
    fn credit(&mut self, item: u32, position: u32, amount: f64);
}

impl<S: CreditSink> CreditSink for &mut S {
    fn credit(&mut self, item: u32, position: u32, amount: f64) {
        (**self).credit(item, position, amount);
    }
}

/// The report form: credit per item, over any number of visitors.
#[derive(Debug, Clone, Default)]
pub struct ItemCredits {
    /// Of the items that took part.
    sums: Vec<Option<Sum>>,
    none: Option<Sum>,
}

impl ItemCredits {
    /// Nothing credited yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The items that took part, in rising number, [`NONE`] last, with their credit; a net of 0 is listed.
    pub fn iter(&self) -> impl Iterator<Item = (u32, f64)> {
        let items = (0u32..).zip(&self.sums).filter_map(|(item, sum)| sum.map(|sum| (item, sum.value())));
        items.chain(self.none.map(|sum| (NONE, sum.value())))
    }

    /// The same as sums, which still have all of their digits.
    pub fn into_sums(self) -> impl Iterator<Item = (u32, Sum)> {
        let items = (0u32..).zip(self.sums).filter_map(|(item, sum)| sum.map(|sum| (item, sum)));
        items.chain(self.none.map(|sum| (NONE, sum)))
    }

    /// Adds the credit of another part of the visitors, whose item `i` is `rename(i)` here.
    pub fn merge(&mut self, other: &Self, rename: impl Fn(u32) -> u32) {
        for (item, sum) in (0u32..).zip(&other.sums) {
            if let Some(sum) = sum {
                self.add(rename(item), *sum);
            }
        }
        if let Some(sum) = other.none {
            self.add(NONE, sum);
        }
    }

    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        self.sums.capacity() * size_of::<Option<Sum>>()
    }

    /// Adds to an item or to [`NONE`].
    pub fn add(&mut self, item: u32, amount: Sum) {
        *self.slot(item) += amount;
    }

    #[inline]
    fn slot(&mut self, item: u32) -> &mut Sum {
        if item == NONE {
            return self.none.get_or_insert_default();
        }
        let item = item as usize;
        if item >= self.sums.len() {
            self.sums.resize(item + 1, None);
        }
        self.sums[item].get_or_insert_default()
    }
}

impl CreditSink for ItemCredits {
    #[inline]
    fn credit(&mut self, item: u32, _position: u32, amount: f64) {
        *self.slot(item) += amount;
    }
}

/// The window form: credit per row of one visitor.
#[derive(Debug, Clone, Default)]
pub struct RowCredits {
    rows: Vec<Option<Sum>>,
}

impl RowCredits {
    /// No rows yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes room for the next visitor's `rows`; none of them has credit.
    pub fn reset(&mut self, rows: usize) {
        self.rows.clear();
        self.rows.resize(rows, None);
    }

    /// Credit of the row at `position`; `None` where it took no part in a conversion.
    pub fn get(&self, position: usize) -> Option<f64> {
        self.rows.get(position).copied().flatten().map(Sum::value)
    }

    /// [`RowCredits::get`] of every row.
    pub fn iter(&self) -> impl Iterator<Item = Option<f64>> {
        self.rows.iter().map(|sum| sum.map(Sum::value))
    }
}

impl CreditSink for RowCredits {
    fn credit(&mut self, _item: u32, position: u32, amount: f64) {
        let position = position as usize;
        if position >= self.rows.len() {
            self.rows.resize(position + 1, None);
        }
        *self.rows[position].get_or_insert_default() += amount;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_under_other_numbers() {
        let (mut a, mut b) = (ItemCredits::new(), ItemCredits::new());
        a.credit(2, 0, 5.0);
        b.credit(0, 0, -5.0);
        b.credit(3, 0, 0.0);
        b.credit(NONE, 0, 1.0);
        a.merge(&b, |item| 2 * item + 2);
        assert_eq!(a.iter().collect::<Vec<_>>(), [(2, 0.0), (8, 0.0), (NONE, 1.0)]);
        assert!(a.memory_bytes() >= 9 * 17);
        let sums: Vec<_> = a.into_sums().map(|(item, sum)| (item, sum.value())).collect();
        assert_eq!(sums, [(2, 0.0), (8, 0.0), (NONE, 1.0)]);
    }

    #[test]
    fn rows_without_credit_have_none() {
        let mut rows = RowCredits::new();
        rows.reset(3);
        rows.credit(7, 1, 2.0);
        rows.credit(8, 1, -2.0);
        assert_eq!(rows.iter().collect::<Vec<_>>(), [None, Some(0.0), None]);
        rows.reset(2);
        assert_eq!(rows.get(1), None);
    }
}
