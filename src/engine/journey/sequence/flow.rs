//! What one journey touches after a row of it, or before: items in order in, transitions out.

use crate::attribution::NONE;

/// A row of a journey: its item, or [`NONE`], and whether the flow may begin there.
#[derive(Debug, Clone, Copy)]
pub(super) struct FlowRow {
    pub item: u32,
    pub anchors: bool,
}

/// From one item to the next; [`NONE`] where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Transition {
    /// From 1.
    pub step: i64,
    pub item: u32,
    pub next: u32,
}

/// The first `depth` transitions from the first row that anchors; with `before`, back in time.
pub(super) fn transitions(rows: &[FlowRow], depth: usize, before: bool, mut each: impl FnMut(Transition)) {
    let Some(anchor) = rows.iter().position(|row| row.anchors) else { return };
    let (earlier, later) = (rows[..anchor].iter().rev(), rows[anchor + 1..].iter());
    let follow: Box<dyn Iterator<Item = &FlowRow>> = if before { Box::new(earlier) } else { Box::new(later) };
    let (mut item, mut step) = (rows[anchor].item, 1);
    for next in follow.map(|row| row.item).filter(|item| *item != NONE) {
        // repeats in a row are one
        if next == item {
            continue;
        }
        each(Transition { step, item, next });
        item = next;
        step += 1;
        if step > depth as i64 {
            return;
        }
    }
    each(Transition { step, item, next: NONE });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(items: &[u32], anchor: usize, depth: usize, before: bool) -> Vec<(i64, u32, u32)> {
        let rows: Vec<FlowRow> =
            items.iter().enumerate().map(|(n, item)| FlowRow { item: *item, anchors: n >= anchor }).collect();
        let mut found = vec![];
        transitions(&rows, depth, before, |t| found.push((t.step, t.item, t.next)));
        found
    }

    #[test]
    fn from_the_first_row_that_anchors() {
        assert_eq!(found(&[1, 2, 2, NONE, 3, 4], 1, 3, false), [(1, 2, 3), (2, 3, 4), (3, 4, NONE)]);
        assert_eq!(found(&[1, 2, 3, 4], 0, 2, false), [(1, 1, 2), (2, 2, 3)]);
        assert_eq!(found(&[1, NONE, 3], 1, 2, false), [(1, NONE, 3), (2, 3, NONE)]);
        assert_eq!(found(&[1, 2, 2, 3], 3, 9, true), [(1, 3, 2), (2, 2, 1), (3, 1, NONE)]);
        assert_eq!(found(&[1], 1, 3, false), []);
    }
}
