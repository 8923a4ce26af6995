//! The steps of a funnel that one journey reaches: its rows with the steps that they satisfy in, the longest chain out.

use super::node::Follows;

/// A row of a journey: its time in microseconds, and the steps that it satisfies, the first in the lowest bit.
#[derive(Debug, Clone, Copy)]
pub(super) struct StepRow {
    pub time: i64,
    pub steps: u64,
}

/// How steps follow each other.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChainRules {
    pub steps: usize,
    /// The last row is no later than this after the first; microseconds.
    pub within_us: Option<i64>,
    /// Each row is the journey's next one.
    pub at_once: bool,
}

/// Finds chains; the buffers serve the next journey.
#[derive(Debug, Default)]
pub(super) struct Chains {
    /// Per step, the latest first row of a chain that has reached it.
    starts: Vec<Option<usize>>,
    chain: Vec<usize>,
}

impl Chains {
    /// The rows of the longest chain, one a step; of chains of that length the one that ends first, and of those that end on
    /// one row the one that begins first, then has its second row first, and so on.
    pub fn longest<R: Copy + Into<StepRow>>(&mut self, rows: &[R], rules: &ChainRules) -> &[usize] {
        self.chain.clear();
        if rules.at_once {
            self.at_once(rows, rules)
        } else {
            self.eventually(rows, rules)
        }
        &self.chain
    }

    fn eventually<R: Copy + Into<StepRow>>(&mut self, rows: &[R], rules: &ChainRules) {
        let row_at = |row: usize| -> StepRow { rows[row].into() };
        self.starts.clear();
        self.starts.resize(rules.steps, None);
        let (mut length, mut end) = (0, 0);
        for n in 0..rows.len() {
            let row = row_at(n);
            for step in last_first(row.steps, rules.steps) {
                let start = match step {
                    0 => Some(n),
                    _ => self.starts[step - 1].filter(|start| in_time(row_at(*start), row, rules)),
                };
                // the latest beginning leaves the most time for what follows
                self.starts[step] = self.starts[step].max(start);
                if start.is_some() && step + 1 > length {
                    (length, end) = (step + 1, n);
                }
            }
            if length == rules.steps {
                break;
            }
        }
        if length == 0 {
            return;
        }
        // backwards, the latest rows that a chain to the end can have
        let satisfies = |row: usize, step: usize| row_at(row).steps >> step & 1 == 1;
        let mut latest = end;
        for step in (0..length - 1).rev() {
            latest = (0..latest).rev().find(|row| satisfies(*row, step)).unwrap_or(0);
        }
        let first = (0..=latest).find(|row| satisfies(*row, 0) && in_time(row_at(*row), row_at(end), rules));
        let mut row = first.unwrap_or(latest);
        self.chain.push(row);
        for step in 1..length {
            row = (row + 1..=end).find(|row| satisfies(*row, step)).unwrap_or(end);
            self.chain.push(row);
        }
    }

    fn at_once<R: Copy + Into<StepRow>>(&mut self, rows: &[R], rules: &ChainRules) {
        let row_at = |row: usize| -> StepRow { rows[row].into() };
        let (mut alive, mut length, mut end) = (0_u64, 0, 0);
        for n in 0..rows.len() {
            let row = row_at(n);
            alive = (alive << 1 | 1) & row.steps;
            for step in 0..rules.steps.min(n + 1) {
                let lives = alive >> step & 1 == 1;
                if lives && !in_time(row_at(n - step), row, rules) {
                    alive &= !(1 << step);
                } else if lives && step + 1 > length {
                    (length, end) = (step + 1, n);
                }
            }
        }
        self.chain.extend((0..length).map(|step| end + 1 + step - length));
    }
}

/// Whether rows of a journey satisfy conditions one after another, each following the one before as `follows` has it.
#[derive(Debug, Default)]
pub(super) struct Membership {
    /// Per condition, the number and the time of the latest row with which all up to it are satisfied.
    latest: Vec<Option<(usize, i64)>>,
}

impl Membership {
    /// True where all conditions are satisfied in the end.
    pub fn belongs(&mut self, rows: impl Iterator<Item = StepRow>, follows: &[Follows]) -> bool {
        self.latest.clear();
        self.latest.resize(follows.len(), None);
        for (n, row) in rows.enumerate() {
            for step in last_first(row.steps, follows.len()) {
                let Follows { within_us, next } = follows[step];
                // the latest row before leaves the most time
                let fits = step == 0
                    || self.latest[step - 1].is_some_and(|(before, time)| {
                        let in_time = within_us.is_none_or(|within| row.time.saturating_sub(time) <= within);
                        in_time && (!next || before + 1 == n)
                    });
                if fits {
                    self.latest[step] = Some((n, row.time));
                }
            }
            if self.latest.last().is_some_and(Option::is_some) {
                return true;
            }
        }
        false
    }
}

/// The steps of a row among the first `count`, the last one first: a row is one step of a chain.
fn last_first(steps: u64, count: usize) -> impl Iterator<Item = usize> {
    let mut left = steps;
    let each = std::iter::from_fn(move || {
        let step = left.checked_ilog2()?;
        left ^= 1 << step;
        Some(step as usize)
    });
    each.filter(move |step| *step < count)
}

fn in_time(first: StepRow, last: StepRow, rules: &ChainRules) -> bool {
    rules.within_us.is_none_or(|within| last.time.saturating_sub(first.time) <= within)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows a second apart, each with the steps that it satisfies by number.
    fn longest(rows: &[&[u32]], within: Option<i64>, at_once: bool) -> Vec<usize> {
        let row = |(n, steps): (usize, &&[u32])| StepRow {
            time: n as i64 * 1_000_000,
            steps: steps.iter().map(|step| 1_u64 << (step - 1)).sum(),
        };
        let rows: Vec<StepRow> = rows.iter().enumerate().map(row).collect();
        let rules = ChainRules { steps: 3, within_us: within.map(|s| s * 1_000_000), at_once };
        Chains::default().longest(&rows, &rules).to_vec()
    }

    #[test]
    fn the_longest_chain_that_ends_first() {
        assert_eq!(longest(&[&[1], &[], &[2], &[1], &[3], &[3]], None, false), [0, 2, 4]);
        assert_eq!(longest(&[&[2], &[3]], None, false), [] as [usize; 0]);
        // one row is one step
        assert_eq!(longest(&[&[1, 2, 3]], None, false), [0]);
        assert_eq!(longest(&[&[1, 2, 3], &[1, 2, 3], &[1, 2, 3]], None, false), [0, 1, 2]);
        // of those that end on one row, the one that begins first
        assert_eq!(longest(&[&[1], &[1], &[2], &[2], &[3]], None, false), [0, 2, 4]);
    }

    #[test]
    fn conditions_one_after_another() {
        // B then D of A B C D E F is in, D before B is not; a day a row
        let day = 86_400_000_000;
        let belongs = |path: &str, conditions: &str, within_us: Option<i64>, next: bool| {
            let steps = |row: char| (0..).zip(conditions.chars()).map(|(n, c)| u64::from(c == row) << n).sum();
            let rows = (0..).zip(path.chars()).map(|(n, row)| StepRow { time: n * day, steps: steps(row) });
            let first = Follows { within_us: None, next: false };
            let follows: Vec<Follows> =
                (0..conditions.len()).map(|n| if n == 0 { first } else { Follows { within_us, next } }).collect();
            Membership::default().belongs(rows, &follows)
        };
        assert!(belongs("ABCDEF", "BD", None, false) && !belongs("ADB", "BD", None, false));
        assert!(belongs("ABCDEF", "BD", Some(2 * day), false) && !belongs("ABCDEF", "BD", Some(2 * day - 1), false));
        assert!(belongs("BBD", "BD", Some(day), false));
        assert!(belongs("ABDC", "BD", None, true) && !belongs("ABCD", "BD", None, true));
        // the time counts from the step before, not from the first
        assert!(belongs("ABC", "ABC", Some(day), false));
        // one row is one step
        assert!(!belongs("A", "AA", None, false) && belongs("AA", "AA", None, true));
        assert!(belongs("ABXABC", "ABC", None, true) && !belongs("", "A", None, false));
    }

    #[test]
    fn the_edge_of_the_time_counts() {
        let rows: [&[u32]; 5] = [&[1], &[1], &[2], &[], &[3]];
        assert_eq!(longest(&rows, Some(4), false), [0, 2, 4]);
        assert_eq!(longest(&rows, Some(3), false), [1, 2, 4]);
        assert_eq!(longest(&rows, Some(2), false), [0, 2]);
        assert_eq!(longest(&rows, Some(0), false), [0]);
    }

    #[test]
    fn at_once_is_the_next_row() {
        assert_eq!(longest(&[&[1], &[2], &[], &[1], &[2], &[3]], None, true), [3, 4, 5]);
        assert_eq!(longest(&[&[1], &[1], &[2]], None, true), [1, 2]);
        assert_eq!(longest(&[&[1], &[2], &[3]], Some(1), true), [0, 1]);
        assert_eq!(longest(&[&[2], &[3]], None, true), [] as [usize; 0]);
    }
}
