//! Runs: rows of a visitor that bear one customer ID, with none between them that bears another.
//!
//! In: rows with an ID, in order; or runs of several sources. Out: runs; and of all runs of a visitor, where the ID becomes another
//! one. Runs of one source never reach into each other. Those of several may: what is between the ends of a run is not known any
//! more, so that the rows themselves must be looked at then.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::hit_ids::IdRow;
use crate::persons::Moment;

/// Bytes that a visitor with an ID takes, about.
pub const VISITOR_BYTES: usize = 120;
/// Bytes that a run takes, and an ID.
const RUN_BYTES: usize = 80;
const ID_BYTES: usize = 48;

/// A run without its visitor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its first row.
    pub first: Moment,
    /// Its last row.
    pub last: Moment,
    /// The ID.
    pub id: Arc<str>,
}

/// A visitor who bears IDs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitorRuns {
    /// Key of the visitor.
    pub key: i64,
    /// The visitor.
    pub visitor: Arc<str>,
    /// In the order of their first rows.
    pub runs: Vec<Run>,
}

/// Texts, each kept once.
#[derive(Debug, Default)]
pub struct Texts(HashSet<Arc<str>>);

impl Texts {
    /// The text, and how many bytes it takes that it did not before.
    pub fn keep(&mut self, text: &str) -> (Arc<str>, usize) {
        if let Some(known) = self.0.get(text) {
            return (known.clone(), 0);
        }
        let kept: Arc<str> = text.into();
        self.0.insert(kept.clone());
        (kept, text.len() + ID_BYTES)
    }
}

/// Takes a run to the visitors who were taken before, all in the order of visitors and then of first rows; the bytes that it adds.
pub fn take(all: &mut Vec<VisitorRuns>, texts: &mut Texts, first: IdRow<'_>, last: Moment) -> usize {
    let mut bytes = 0;
    if all.last().is_none_or(|bearer| bearer.key != first.key || &*bearer.visitor != first.visitor) {
        // most visitors bear one ID
        all.push(VisitorRuns { key: first.key, visitor: first.visitor.into(), runs: Vec::with_capacity(1) });
        bytes += first.visitor.len() + VISITOR_BYTES;
    }
    let Some(bearer) = all.last_mut() else { return bytes };
    match bearer.runs.last_mut() {
        Some(run) if &*run.id == first.id => run.last = run.last.max(last),
        _ => {
            let (id, more) = texts.keep(first.id);
            bearer.runs.push(Run { first: first.at, last, id });
            bytes += more + RUN_BYTES;
        }
    }
    bytes
}

/// Visitors of two sources, each in the order of visitors.
pub fn merged(one: Vec<VisitorRuns>, other: Vec<VisitorRuns>) -> Vec<VisitorRuns> {
    if one.is_empty() || other.is_empty() {
        return if one.is_empty() { other } else { one };
    }
    let mut all = Vec::with_capacity(one.len().max(other.len()));
    let (mut one, mut other) = (one.into_iter().peekable(), other.into_iter().peekable());
    loop {
        let order = match (one.peek(), other.peek()) {
            (None, None) => return all,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => (a.key, &a.visitor).cmp(&(b.key, &b.visitor)),
        };
        let mut first = if order.is_gt() { other.next() } else { one.next() };
        if let (Ordering::Equal, Some(bearer), Some(same)) = (order, &mut first, other.next_if(|_| order.is_eq())) {
            bearer.runs.extend(same.runs);
        }
        all.extend(first);
    }
}

/// Where the ID becomes another one; None where that cannot be told from runs.
pub fn changes(mut runs: Vec<Run>) -> Option<Vec<(Moment, Arc<str>)>> {
    runs.sort_by_key(|run| run.first);
    let (mut changes, mut reach): (Vec<(Moment, Arc<str>)>, _) = (Vec::with_capacity(runs.len()), None);
    for run in runs {
        if changes.last().is_none_or(|(_, id)| *id != run.id) {
            // rows of one place may stand in either order
            if reach.is_some_and(|reach| run.first <= reach) {
                return None;
            }
            changes.push((run.first, run.id));
        }
        reach = reach.max(Some(run.last));
    }
    Some(changes)
}

/// A run that is about to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRun {
    /// Key of the visitor.
    pub key: i64,
    /// The visitor.
    pub visitor: String,
    /// Its first row.
    pub first: Moment,
    /// Its last row.
    pub last: Moment,
    /// The ID.
    pub id: String,
    /// The input that brought all of its rows.
    pub file: String,
}

/// Makes runs of rows of several inputs, in order; each run is one input's, so that it can go with that.
#[derive(Debug, Default)]
pub struct Runs(Vec<KeptRun>);

impl Runs {
    /// Takes the next row.
    pub fn take(&mut self, row: IdRow<'_>) {
        let same = |run: &KeptRun| {
            run.key == row.key && run.visitor == row.visitor && run.id == row.id && run.file == row.file
        };
        match self.0.last_mut().filter(|run| same(run)) {
            Some(run) => run.last = row.at,
            None => self.0.push(KeptRun {
                key: row.key,
                visitor: row.visitor.into(),
                first: row.at,
                last: row.at,
                id: row.id.into(),
                file: row.file.into(),
            }),
        }
    }

    /// How many there are.
    pub fn held(&self) -> usize {
        self.0.len()
    }

    /// Those that later rows do not make longer; with `all`, the last one, too.
    pub fn done(&mut self, all: bool) -> Vec<KeptRun> {
        let open = if all { None } else { self.0.pop() };
        let done = std::mem::take(&mut self.0);
        self.0.extend(open);
        done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Rows of one visitor, `ID time file`.
    fn rows(text: &'static str) -> Vec<IdRow<'static>> {
        let row = |row: &'static str| {
            let words: Vec<&str> = row.split(' ').collect();
            IdRow { key: 7, visitor: "v", at: (words[1].parse().unwrap(), 0), id: words[0], file: words[2] }
        };
        text.split(", ").map(row).collect()
    }

    fn runs_of(rows: &[IdRow<'_>]) -> Vec<Run> {
        let mut runs = Runs::default();
        let mut kept = vec![];
        for (n, row) in rows.iter().enumerate() {
            runs.take(*row);
            if n % 3 == 2 {
                kept.extend(runs.done(false));
            }
        }
        kept.extend(runs.done(true));
        assert_eq!(runs.held(), 0);
        kept.into_iter().map(|run| Run { first: run.first, last: run.last, id: run.id.as_str().into() }).collect()
    }

    fn text(changes: Option<Vec<(Moment, Arc<str>)>>) -> Option<String> {
        let texts = changes?.into_iter().map(|((time, _), id)| format!("{id}{time}")).collect::<Vec<_>>();
        Some(texts.join(" "))
    }

    #[test]
    fn changes_of_runs_are_those_of_rows() {
        let of = |text: &'static str| self::text(changes(runs_of(&rows(text))));
        assert_eq!(of("x 1 a, x 2 a, y 3 a, y 4 b, x 5 b, x 6 b, x 7 c").unwrap(), "x1 y3 x5");
        // inputs that are in one order can be told apart however they alternate
        assert_eq!(of("x 1 a, y 2 b, x 3 a, x 4 b, x 5 a").unwrap(), "x1 y2 x3");
    }

    #[test]
    fn runs_of_several_sources_may_reach_into_each_other() {
        let of = |one: &'static str, other: &'static str| {
            text(changes([runs_of(&rows(one)), runs_of(&rows(other))].concat()))
        };
        assert_eq!(of("x 1 a, x 3 a", "y 4 b").unwrap(), "x1 y4");
        assert_eq!(of("y 4 a, x 5 a", "x 1 b, x 3 b").unwrap(), "x1 y4 x5");
        // of one ID it does not matter
        assert_eq!(of("x 1 a, x 5 a", "x 3 b, x 9 b").unwrap(), "x1");
        // a row of x may be before that of y, and behind it
        assert_eq!(of("x 1 a, x 2 a, x 5 a", "y 3 b"), None);
        assert_eq!(of("x 1 a, x 5 a, y 7 a", "x 2 b, y 3 b"), None);
        assert_eq!(of("x 3 a", "y 3 b"), None, "one place");
    }

    #[test]
    fn sources_are_merged_visitor_by_visitor() {
        let visitor_runs = |visitors: &[(i64, &'static str)]| {
            let (mut all, mut texts) = (vec![], Texts::default());
            for (key, visitor) in visitors {
                let row = IdRow { key: *key, visitor, at: (1, 0), id: "x", file: "a" };
                take(&mut all, &mut texts, row, row.at);
            }
            all
        };
        let count = |all: Vec<VisitorRuns>| -> Vec<(i64, String, usize)> {
            all.into_iter().map(|b| (b.key, b.visitor.to_string(), b.runs.len())).collect()
        };
        let (one, other) =
            (visitor_runs(&[(1, "a"), (2, "a"), (2, "b")]), visitor_runs(&[(0, "z"), (2, "b"), (3, "a")]));
        let expected = [(0, "z", 1), (1, "a", 1), (2, "a", 1), (2, "b", 2), (3, "a", 1)];
        let expected = expected.map(|(key, visitor, runs)| (key, visitor.to_string(), runs));
        assert_eq!(count(merged(one.clone(), other.clone())), expected);
        assert_eq!(count(merged(other, one.clone())), expected);
        assert_eq!(merged(one.clone(), vec![]), one);
    }

    #[test]
    fn a_run_is_made_longer_by_the_next_of_its_id() {
        let (mut all, mut texts) = (vec![], Texts::default());
        let rows = rows("x 1 a, x 2 a, y 3 a");
        let bytes: Vec<usize> = rows.iter().map(|row| take(&mut all, &mut texts, *row, row.at)).collect();
        assert!(bytes[0] > VISITOR_BYTES && bytes[1] == 0 && bytes[2] > RUN_BYTES);
        let last: Vec<i64> = all[0].runs.iter().map(|run| run.last.0).collect();
        assert_eq!(last, [2, 3]);
    }
}
