//! One persisted dimension of one visitor, row by row: the value that each row has of those that were set before it.

use std::collections::HashMap;

use crate::attribution::{Allocation, Expiry, Persistence};

/// A row of the visitor, as far as a persisted dimension is concerned.
pub(super) struct Row<'r> {
    /// Microseconds.
    pub time: i64,
    /// Number and start of its visit.
    pub visit: Option<(i64, i64)>,
    /// What it set.
    pub set: Option<&'r str>,
    /// The metric that ends values is not zero here.
    pub ends: bool,
}

/// The values of a visitor that are alive.
#[derive(Debug, Default)]
pub(super) struct Carry {
    /// The texts of all values at hand.
    texts: String,
    now: Option<CarriedValue>,
    /// The visit that `now` is of, and the values of others, whose rows may be between those of this one.
    visit: Option<(i64, i64)>,
    others: HashMap<(i64, i64), CarriedValue>,
}

/// A value, as a part of the texts, and when it was set.
#[derive(Debug, Clone, Copy)]
struct CarriedValue {
    from: usize,
    to: usize,
    since: i64,
}

impl Carry {
    /// Forgets the visitor, keeps the memory.
    pub fn clear(&mut self) {
        self.texts.clear();
        (self.now, self.visit) = (None, None);
        if !self.others.is_empty() {
            self.others.clear();
        }
    }

    /// The value of the next row.
    pub fn next<'c>(&'c mut self, rule: &Persistence, row: &Row<'c>) -> Option<&'c str> {
        match rule.expiry {
            Expiry::Visit if row.visit.is_none() => return row.set,
            Expiry::Visit => self.turn_to(row.visit),
            Expiry::After(longest) => self.now = self.now.filter(|held| row.time - held.since <= longest),
            Expiry::Visitor | Expiry::Metric(_) => {}
        }
        if let Some(text) = row.set
            && (rule.allocation != Allocation::Original || self.now.is_none())
        {
            self.set(text, row.time);
        }
        let held = self.now;
        if row.ends {
            self.now = None;
        }
        held.map(|held| &self.texts[held.from..held.to])
    }

    fn turn_to(&mut self, visit: Option<(i64, i64)>) {
        if visit == self.visit {
            return;
        }
        if let (Some(former), Some(held)) = (self.visit, self.now.take()) {
            self.others.insert(former, held);
        }
        self.visit = visit;
        self.now = visit.and_then(|visit| self.others.remove(&visit));
    }

    fn set(&mut self, text: &str, time: i64) {
        if let Some(held) = &mut self.now
            && self.texts[held.from..held.to] == *text
        {
            held.since = time;
            return;
        }
        // what is replaced makes room, where it is at the end
        let from = match self.now {
            _ if self.others.is_empty() => 0,
            Some(held) if held.to == self.texts.len() => held.from,
            _ => self.texts.len(),
        };
        self.texts.truncate(from);
        self.texts.push_str(text);
        self.now = Some(CarriedValue { from, to: self.texts.len(), since: time });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    type Hit = (i64, i64, &'static str, bool);

    /// The values of rows (time, visit, what was set, ends), NULL as `-`.
    fn carried(rule: &str, rows: &[Hit]) -> String {
        let (rule, mut carry) = (rule.parse().unwrap(), Carry::default());
        let values = rows.iter().map(|&(time, visit, set, ends)| {
            let row = Row { time, visit: Some((visit, visit)), set: (set != "-").then_some(set), ends };
            carry.next(&rule, &row).unwrap_or("-").to_string()
        });
        values.collect::<Vec<_>>().join(" ")
    }

    fn one_visit(rule: &str, sets: [&'static str; 5]) -> String {
        carried(rule, &(0..).zip(sets).map(|(n, set)| (n, 1, set, false)).collect::<Vec<_>>())
    }

    #[test]
    fn the_table_of_allocations() {
        let hits = ["-", "C", "B", "-", "A"];
        assert_eq!(one_visit("most_recent", hits), "- C B B A");
        assert_eq!(one_visit("original", hits), "- C C C C");
    }

    #[test]
    fn visits_keep_their_own() {
        let rows = [(0, 1, "A", false), (1, 2, "-", false), (2, 2, "B", false), (3, 1, "-", false), (4, 2, "-", false)];
        assert_eq!(carried("most_recent", &rows), "A - B A B");
        assert_eq!(carried("most_recent, visitor", &rows), "A A B B B");
        let longer =
            [(0, 1, "A", false), (1, 2, "BBB", false), (2, 1, "CC", false), (3, 2, "D", false), (4, 1, "-", false)];
        assert_eq!(carried("most_recent", &longer), "A BBB CC D CC");
    }

    #[test]
    fn days_have_an_edge() {
        let day = 86_400_000_000;
        let rows = [(0, 1, "A", false), (day, 2, "-", false), (day + 1, 3, "-", false)];
        assert_eq!(carried("most_recent, 1 day", &rows), "A A -");
        // setting again restarts the latest, never the first
        let again = [(0, 1, "A", false), (day, 2, "A", false), (2 * day, 3, "-", false), (2 * day + 1, 4, "B", false)];
        assert_eq!(carried("most_recent, 1 day", &again), "A A A B");
        assert_eq!(carried("original, 1 day", &again), "A A - B");
    }

    #[test]
    fn a_metric_ends_values() {
        let rows = [(0, 1, "A", false), (1, 1, "-", true), (2, 1, "-", false), (3, 2, "B", true), (4, 2, "-", false)];
        assert_eq!(carried("most_recent, orders", &rows), "A A - B -");
        assert_eq!(carried("original, orders", &rows), "A A - B -");
    }
}
