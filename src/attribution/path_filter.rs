//! What is left of the path of one conversion: items of last resort, repeats, and the latest few touches.
//!
//! In: a journey, what its conversions reach, and one of them. Out: a journey of that conversion alone, with the touches that
//! are left. A touch of several items loses some of them or all. Time and memory are linear in the path.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::journey::Journey;
use super::parts::Portion;
use super::reach::Reach;
use crate::error::did_you_mean;

/// Which touches of an item that is touched again count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Hash, Serialize, Deserialize)]
pub enum Repeats {
    /// All.
    #[default]
    Keep,
    /// Of consecutive touches of one item the latest.
    Collapse,
    /// Of each item its first.
    First,
}

impl Repeats {
    const ALL: [(&str, Self); 3] = [("keep", Self::Keep), ("collapse", Self::Collapse), ("first", Self::First)];
}

impl fmt::Display for Repeats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, repeats)| repeats == self).map_or("", |(name, _)| name);
        f.write_str(name)
    }
}

impl FromStr for Repeats {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let known = Self::ALL.iter().find(|(name, _)| *name == text);
        known.map(|(_, repeats)| *repeats).ok_or_else(|| {
            let hint = did_you_mean(text, Self::ALL.map(|(name, _)| name));
            format!("repeats are keep, collapse or first, not {text}{hint}")
        })
    }
}

/// Applies the rules to one path after another; the buffers serve the next one.
#[derive(Debug, Default)]
pub struct PathFilter {
    repeats: Repeats,
    last_touches: Option<usize>,
    /// Touches with their items, in order.
    left: Vec<(u32, u32)>,
    seen: HashSet<u32>,
}

impl PathFilter {
    /// Of these rules; without `last_touches` all stay.
    pub fn new(repeats: Repeats, last_touches: Option<usize>) -> Self {
        Self { repeats, last_touches, left: vec![], seen: HashSet::new() }
    }

    /// Bytes that are allocated, about.
    pub fn memory_bytes(&self) -> usize {
        self.left.capacity() * size_of::<(u32, u32)>() + self.seen.capacity() * 5
    }

    /// Makes `path` the journey of the conversion listed at `listed`, or of a portion of it, with the touches that are left of
    /// its reach.
    pub fn apply(
        &mut self,
        journey: &Journey,
        reach: &Reach,
        listed: usize,
        portion: Option<Portion>,
        is_last_resort: impl Fn(u32) -> bool,
        path: &mut Journey,
    ) {
        let mut conversion = *reach.conversion(journey, listed);
        let touches = reach.range(listed).map(|k| reach.touch(k));
        self.left.clear();
        self.left.extend(touches.flat_map(|t| journey.items(t).iter().map(move |item| (t as u32, *item))));
        if let Some(Portion { item: own, value, .. }) = portion {
            let row = conversion.position;
            self.left.retain(|(touch, item)| *item == own || journey.position(*touch as usize) != row);
            conversion.value = value;
        }
        if self.left.iter().any(|(_, item)| !is_last_resort(*item)) {
            self.left.retain(|(_, item)| !is_last_resort(*item));
        }
        match self.repeats {
            Repeats::Keep => {}
            Repeats::First => {
                self.seen.clear();
                self.left.retain(|(_, item)| self.seen.insert(*item));
            }
            Repeats::Collapse => self.collapse(),
        }
        if let Some(most) = self.last_touches {
            let rows = || self.left.chunk_by(|a, b| a.0 == b.0);
            let passed = rows().count().saturating_sub(most);
            let first: usize = rows().take(passed).map(<[_]>::len).sum();
            self.left.drain(..first);
        }
        path.become_path(journey, &self.left, conversion);
    }

    /// Drops an item of a row that the next row of the path has, too.
    fn collapse(&mut self) {
        let rows: Vec<&[(u32, u32)]> = self.left.chunk_by(|a, b| a.0 == b.0).collect();
        let mut left = Vec::with_capacity(self.left.len());
        for (n, row) in rows.iter().enumerate() {
            let next = rows.get(n + 1).copied().unwrap_or_default();
            // the items of a row are in order
            left.extend(row.iter().filter(|(_, item)| next.binary_search_by_key(item, |(_, item)| *item).is_err()));
        }
        self.left = left;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::journey::{Conversion, NONE};
    use super::super::model::Container;
    use super::*;

    /// What is left of the items of a path, a letter a touch.
    fn left(path: &str, last_resort: &str, repeats: &str, last_touches: Option<usize>) -> String {
        let mut journey = Journey::new();
        for (position, letter) in (0u32..).zip(path.bytes()) {
            journey.touch(position, i64::from(position), 0, letter.into());
        }
        let row = path.len() as u32;
        journey.convert(Conversion { row, position: row, time: i64::from(row), visit: 0, value: 1.0 });
        let mut reach = Reach::new(Container::Visitor, None);
        reach.find(&journey);
        let (mut filter, mut found) = (PathFilter::new(repeats.parse().unwrap(), last_touches), Journey::new());
        let is_last_resort = |item: u32| last_resort.bytes().any(|letter| u32::from(letter) == item);
        filter.apply(&journey, &reach, 0, None, is_last_resort, &mut found);
        assert_eq!(found.conversions(), journey.conversions());
        (0..found.touches()).map(|t| char::from(found.items(t)[0] as u8)).collect()
    }

    #[test]
    fn the_worked_examples() {
        assert_eq!(left("ABAA", "A", "keep", None), "B");
        assert_eq!(left("AA", "A", "keep", None), "AA");
        assert_eq!(left("DABBCDCC", "", "keep", None), "DABBCDCC");
        assert_eq!(left("DABBCDCC", "", "collapse", None), "DABCDC");
        assert_eq!(left("DABBCDCC", "", "first", None), "DABC");
        assert_eq!(left("DABBCDCC", "", "collapse", Some(2)), "DC");
        assert_eq!(left("DABBCDCC", "", "keep", Some(9)), "DABBCDCC");
        // last resort, then repeats, then the last touches
        assert_eq!(left("BAB", "A", "collapse", None), "B");
        assert_eq!(left("DABBCDCC", "C", "first", Some(1)), "B");
        assert_eq!(left("", "A", "first", Some(1)), "");
        assert!("colapse".parse::<Repeats>().unwrap_err().contains("did you mean collapse"));
        assert_eq!(Repeats::Collapse.to_string(), "collapse");
    }

    #[test]
    fn a_row_of_several_items_loses_some() {
        let mut journey = Journey::new();
        journey.touch_all(0, 0, 0, [1, 2]);
        journey.touch_all(1, 1, 0, [2]);
        journey.touch_all(2, 2, 0, [1, 3]);
        journey.divide([(1, 1.0), (3, 3.0)]);
        journey.convert(Conversion { row: 2, position: 2, time: 2, visit: 0, value: 1.0 });
        let mut reach = Reach::new(Container::Visitor, None);
        reach.find(&journey);
        let mut found = Journey::new();
        let mut rows = |repeats, last_touches, last_resort: &[u32], portion| {
            let mut filter = PathFilter::new(repeats, last_touches);
            filter.apply(&journey, &reach, 0, portion, |item| last_resort.contains(&item), &mut found);
            (0..found.touches()).map(|t| (found.position(t), found.items(t).to_vec())).collect::<Vec<_>>()
        };
        assert_eq!(rows(Repeats::Collapse, None, &[], None), [(0, vec![1]), (1, vec![2]), (2, vec![1, 3])]);
        assert_eq!(rows(Repeats::First, None, &[], None), [(0, vec![1, 2]), (2, vec![3])]);
        assert_eq!(rows(Repeats::Keep, Some(2), &[2], None), [(0, vec![1]), (2, vec![1, 3])]);
        // to a line, its row is a touch of its own item alone
        let line = |item| Some(Portion { item, value: 0.5, converts: true });
        assert_eq!(rows(Repeats::Collapse, None, &[], line(1)), [(0, vec![1]), (1, vec![2]), (2, vec![1])]);
        assert_eq!(rows(Repeats::First, None, &[], line(3)), [(0, vec![1, 2]), (2, vec![3])]);
        assert_eq!(rows(Repeats::First, None, &[], line(1)), [(0, vec![1, 2])]);
        assert_eq!(rows(Repeats::Keep, Some(1), &[], line(NONE)), [(1, vec![2])]);
        assert_eq!(rows(Repeats::Keep, Some(1), &[1], line(1)), [(1, vec![2])]);
        assert_eq!((found.conversions()[0].value, found.has_parts()), (0.5, false));
    }
}
