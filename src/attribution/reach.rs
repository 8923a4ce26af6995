//! Which touches each conversion can see: a journey, a container and a lookback in, one range of touches per conversion out.
//!
//! Touches and conversions are listed visit by visit in the container `visit`, else as they come; in that order the reach
//! of every conversion is a range, and both ends of the ranges never fall. All models rest on this.

use std::ops::Range;

use super::journey::{Conversion, Journey, NO_VISIT};
use super::model::Container;

/// How the path of one conversion begins and ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// The journey's number of the conversion.
    pub conversion: usize,
    /// Touches in its reach.
    pub touches: usize,
    /// The journey's numbers of the first and the last of them.
    pub first_and_last: Option<(usize, usize)>,
}

/// The reach of every conversion of one journey; the buffers serve the next journey.
#[derive(Debug)]
pub struct Reach {
    container: Container,
    lookback_us: Option<i64>,
    touches: Vec<u32>,
    conversions: Vec<u32>,
    starts: Vec<u32>,
    ends: Vec<u32>,
}

impl Reach {
    /// Of a container and a lookback in microseconds (`None`: all history); the container `visit` ignores the lookback.
    pub fn new(container: Container, lookback_us: Option<i64>) -> Self {
        let lookback_us = lookback_us.filter(|_| container == Container::Visitor);
        Self { container, lookback_us, touches: vec![], conversions: vec![], starts: vec![], ends: vec![] }
    }

    /// Finds the reaches in `journey`; whatever takes this reach afterwards needs the same journey, unchanged.
    pub fn find(&mut self, journey: &Journey) {
        self.touches.clear();
        self.conversions.clear();
        self.starts.clear();
        self.ends.clear();
        if journey.conversions().is_empty() {
            return;
        }
        self.list(journey);
        match self.container {
            Container::Visitor => self.find_in_visitor(journey),
            Container::Visit => self.find_in_visits(journey),
        }
    }

    /// The ends of the path of each conversion in the container, in order.
    pub fn ends(&self) -> impl Iterator<Item = Ends> {
        (0..self.len()).map(|c| {
            let range = self.range(c);
            let (touches, first) = (range.len(), range.start);
            let first_and_last = range.last().map(|last| (self.touch(first), self.touch(last)));
            Ends { conversion: self.conversions[c] as usize, touches, first_and_last }
        })
    }

    /// Bytes that are allocated.
    pub fn memory_bytes(&self) -> usize {
        let numbers = [&self.touches, &self.conversions, &self.starts, &self.ends];
        numbers.iter().map(|n| n.capacity() * size_of::<u32>()).sum()
    }

    /// The container it was made for.
    pub(super) fn container(&self) -> Container {
        self.container
    }

    /// Microseconds; `None`: all history, or a visit.
    pub(super) fn lookback_us(&self) -> Option<i64> {
        self.lookback_us
    }

    /// Number of conversions in the container.
    pub fn conversions(&self) -> usize {
        self.conversions.len()
    }

    /// The journey's number of the conversion listed at `c`.
    pub fn number(&self, c: usize) -> usize {
        self.conversions[c] as usize
    }

    /// True where the conversion listed at `c` has a touch in reach.
    pub fn sees_touches(&self, c: usize) -> bool {
        !self.range(c).is_empty()
    }

    /// Appends the items that the conversion listed at `c` sees, in order.
    pub fn see(&self, journey: &Journey, c: usize, items: &mut Vec<u32>) {
        let touches = &self.touches[self.range(c)];
        let (Some(first), Some(last)) = (touches.first(), touches.last()) else { return };
        if (last - first) as usize == touches.len() - 1 {
            // nothing is between them, as nearly always
            items.extend_from_slice(journey.items_of(*first as usize..*last as usize + 1));
        } else {
            items.extend(touches.iter().flat_map(|touch| journey.items(*touch as usize)));
        }
    }

    /// [`Self::conversions`].
    pub(super) fn len(&self) -> usize {
        self.conversions.len()
    }

    /// Number of touches in the container.
    pub(super) fn touches(&self) -> usize {
        self.touches.len()
    }

    /// The journey's number of the touch listed at `k`.
    #[inline]
    pub(super) fn touch(&self, k: usize) -> usize {
        self.touches[k] as usize
    }

    /// The conversion listed at `c`.
    #[inline]
    pub(super) fn conversion<'j>(&self, journey: &'j Journey, c: usize) -> &'j Conversion {
        &journey.conversions()[self.conversions[c] as usize]
    }

    /// Where the journey's conversion number `conversion` is listed, if it is in the container.
    pub fn find_conversion(&self, conversion: usize) -> Option<usize> {
        self.conversions.iter().position(|c| *c as usize == conversion)
    }

    /// The touches in reach of the conversion listed at `c`.
    #[inline]
    pub(super) fn range(&self, c: usize) -> Range<usize> {
        self.starts[c] as usize..self.ends[c] as usize
    }

    /// The touches that some conversion reaches, in order, with the conversions that do, which are the same for touches in a
    /// row.
    pub(super) fn reached(&self) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        covers(self.len(), |c| self.range(c))
    }

    /// Lists what is in the container, in the order of (visit,) position.
    fn list(&mut self, journey: &Journey) {
        let conversions = journey.conversions();
        match self.container {
            Container::Visitor => {
                self.touches.extend(0..journey.touches() as u32);
                self.conversions.extend(0..conversions.len() as u32);
                sort_unless_sorted(&mut self.conversions, |c| conversions[c as usize].position);
            }
            Container::Visit => {
                self.touches.extend((0..journey.touches() as u32).filter(|t| journey.visit(*t as usize) != NO_VISIT));
                sort_unless_sorted(&mut self.touches, |t| journey.visit(t as usize));
                let in_visit = |c: &u32| conversions[*c as usize].visit != NO_VISIT;
                self.conversions.extend((0..conversions.len() as u32).filter(in_visit));
                sort_unless_sorted(&mut self.conversions, |c| {
                    (conversions[c as usize].visit, conversions[c as usize].position)
                });
            }
        }
    }

    fn find_in_visitor(&mut self, journey: &Journey) {
        let (mut start, mut end) = (0, 0);
        for c in 0..self.conversions.len() {
            let conversion = self.conversion(journey, c);
            while end < journey.touches() && journey.position(end) <= conversion.position {
                end += 1;
            }
            if let Some(lookback) = self.lookback_us {
                let oldest = conversion.time.saturating_sub(lookback);
                while start < end && journey.time(start) < oldest {
                    start += 1;
                }
            }
            self.starts.push(start as u32);
            self.ends.push(end as u32);
        }
    }

    fn find_in_visits(&mut self, journey: &Journey) {
        let (mut start, mut end) = (0, 0);
        for c in 0..self.conversions.len() {
            let Conversion { visit, position, .. } = *self.conversion(journey, c);
            let visit_of = |k: usize| self.touches.get(k).map(|t| journey.visit(*t as usize));
            while visit_of(start).is_some_and(|v| v < visit) {
                start += 1;
            }
            end = end.max(start);
            while visit_of(end) == Some(visit) && journey.position(self.touch(end)) <= position {
                end += 1;
            }
            self.starts.push(start as u32);
            self.ends.push(end as u32);
        }
    }
}

/// Turns ranges of touches per conversion, whose ends never fall, into the conversions of the touches that are in one:
/// touches in a row that have the same.
pub(super) fn covers(
    conversions: usize,
    range: impl Fn(usize) -> Range<usize>,
) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
    let (mut from, mut to, mut touch) = (0, 0, 0);
    std::iter::from_fn(move || {
        loop {
            while from < conversions && range(from).end <= touch {
                from += 1;
            }
            if from == conversions {
                return None;
            }
            touch = touch.max(range(from).start);
            to = to.max(from);
            while to < conversions && range(to).start <= touch {
                to += 1;
            }
            let mut stop = range(from).end;
            if to < conversions {
                stop = stop.min(range(to).start);
            }
            if stop > touch {
                let start = std::mem::replace(&mut touch, stop);
                return Some((start..stop, from..to));
            }
        }
    })
}

/// Stable; costs nothing but a look in the usual case.
pub(super) fn sort_unless_sorted<K: Ord>(numbers: &mut [u32], key: impl Fn(u32) -> K) {
    if !numbers.is_sorted_by_key(|n| key(*n)) {
        numbers.sort_unstable_by_key(|n| (key(*n), *n));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion(position: u32, time: i64, visit: u32) -> Conversion {
        Conversion { row: position, position, time, visit, value: 1.0 }
    }

    fn ranges(reach: &Reach) -> Vec<Range<usize>> {
        (0..reach.len()).map(|c| reach.range(c)).collect()
    }

    #[test]
    fn the_edge_of_the_lookback_counts() {
        let mut journey = Journey::new();
        for t in 0..4 {
            journey.touch(t, i64::from(t) * 10, 0, 0);
        }
        journey.convert(conversion(3, 30, 0));
        journey.convert(conversion(1, 10, 0));
        for (lookback, expected) in
            [(Some(20), [0..2, 1..4]), (Some(19), [0..2, 2..4]), (Some(0), [1..2, 3..4]), (None, [0..2, 0..4])]
        {
            let mut reach = Reach::new(Container::Visitor, lookback);
            reach.find(&journey);
            assert_eq!(ranges(&reach), expected, "{lookback:?}");
            assert_eq!(reach.find_conversion(0), Some(1));
            let ends: Vec<_> = reach.ends().map(|e| (e.conversion, e.touches, e.first_and_last)).collect();
            let of = |r: &Range<usize>| (r.len(), Some((r.start, r.end - 1)));
            let [early, late] = expected.each_ref().map(of);
            assert_eq!(ends, [(1, early.0, early.1), (0, late.0, late.1)]);
        }
    }

    #[test]
    fn interleaved_visits_are_told_apart() {
        let mut journey = Journey::new();
        for (position, visit) in [(0, 1), (1, 0), (2, NO_VISIT), (3, 1), (4, 0)] {
            journey.touch(position, 0, visit, position);
        }
        journey.convert(conversion(3, 0, 1));
        journey.convert(conversion(5, 0, 2));
        journey.convert(conversion(5, 0, NO_VISIT));
        journey.convert(conversion(3, 0, 0));
        let mut reach = Reach::new(Container::Visit, Some(1));
        reach.find(&journey);
        assert_eq!(reach.touches, [1, 4, 0, 3]);
        assert_eq!(reach.conversions, [3, 0, 1]);
        assert_eq!(ranges(&reach), [0..1, 2..4, 4..4]);
        let mut seen = vec![];
        (0..3).for_each(|c| reach.see(&journey, c, &mut seen));
        assert_eq!(seen, [1, 0, 3]);
        assert_eq!(reach.reached().collect::<Vec<_>>(), [(0..1, 0..1), (2..4, 1..2)]);
    }

    #[test]
    fn covers_skips_touches_that_nobody_reaches() {
        let ranges = [0..0, 1..3, 2..3, 5..5, 5..7];
        let found: Vec<_> = covers(ranges.len(), |c| ranges[c].clone()).collect();
        assert_eq!(found, [(1..2, 1..2), (2..3, 1..3), (5..7, 4..5)]);
    }
}
