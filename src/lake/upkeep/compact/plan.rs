//! What becomes of the files of one group (one suite, source, bucket, and kind of visits).
//!
//! Files that share a month are merged and cut at the months; a file that shares none stays as it is. Neighbours share a
//! file while it stays small, so that a small lake does not end as a cloud of tiny files. Running the plan of a plan's
//! outcome gives nothing to do.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};

use crate::lake::DataFile;

/// A calendar month, UTC, counted from January of the year 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(i64);

/// Rows by month.
pub type Calendar = BTreeMap<Month, u64>;

impl Month {
    /// Stands for all that was before, in the year -200,000: further than any calendar is needed, and within chrono's.
    const FIRST: Month = Month(-200_000 * 12);
    /// Stands for all that comes after.
    const LAST: Month = Month(200_000 * 12);

    /// The month of an instant in microseconds.
    pub fn of(micros: i64) -> Self {
        match DateTime::from_timestamp_micros(micros) {
            Some(time) => Month(i64::from(time.year()) * 12 + i64::from(time.month0())).clamp(Self::FIRST, Self::LAST),
            None if micros < 0 => Self::FIRST,
            None => Self::LAST,
        }
    }

    /// Its first instant.
    fn start(self) -> i64 {
        let year = i32::try_from(self.0.div_euclid(12)).ok();
        let day = year.and_then(|year| NaiveDate::from_ymd_opt(year, self.0.rem_euclid(12) as u32 + 1, 1));
        match day {
            Some(day) if self > Self::FIRST => day.and_time(NaiveTime::MIN).and_utc().timestamp_micros(),
            _ => i64::MIN,
        }
    }

    /// The first instant after it.
    fn end(self) -> i64 {
        if self < Self::LAST { Month(self.0 + 1).start() } else { i64::MAX }
    }

    /// Its instants, microseconds.
    pub fn times(self) -> Range<i64> {
        self.start()..self.end()
    }
}

/// A file to be written.
#[derive(Clone, Debug)]
pub struct Output {
    /// The files that its rows come from.
    pub inputs: Vec<DataFile>,
    /// The instants of its months.
    pub times: Range<i64>,
    /// Its rows.
    pub rows: u64,
}

/// The files of which the plan must know how many rows each month has: those that lie over several months and share one.
pub fn straddling(files: &[DataFile]) -> Vec<DataFile> {
    let shared = overlapping(files).into_iter().filter(|part| part.len() > 1).flatten();
    shared.filter(|f| single_month(f).is_none()).cloned().collect()
}

/// How many files fewer there would be, at most, judged by the log alone.
pub fn fewer_files(files: &[DataFile], shared_rows: u64) -> usize {
    let parts = overlapping(files).into_iter().map(|part| Piece {
        first: Month::FIRST,
        last: Month::LAST,
        rows: part.iter().filter_map(|f| f.rows).sum(),
        files: part,
        whole: false,
    });
    files.len() - pack(parts, shared_rows).len()
}

/// What is to be written in place of `files`; a file that is no output's input stays. `calendars` has the rows of the
/// [`straddling`] files by path.
pub fn plan(files: &[DataFile], calendars: &HashMap<String, Calendar>, shared_rows: u64) -> Vec<Output> {
    let pieces = overlapping(files).into_iter().flat_map(|part| pieces(part, calendars));
    let outputs = pack(pieces, shared_rows).into_iter().filter(|pieces| !matches!(&pieces[..], [one] if one.whole));
    outputs
        .map(|pieces| {
            let mut inputs: Vec<DataFile> = vec![];
            for file in pieces.iter().flat_map(|p| &p.files) {
                if inputs.iter().all(|known| known.relative != file.relative) {
                    inputs.push((*file).clone());
                }
            }
            let times = pieces[0].first.start()..pieces[pieces.len() - 1].last.end();
            Output { inputs, times, rows: pieces.iter().map(|p| p.rows).sum() }
        })
        .collect()
}

/// The outputs in sets that share no input: each can be written in place of its inputs whatever becomes of the others.
pub fn apart(outputs: Vec<Output>) -> Vec<Vec<Output>> {
    let mut sets: BTreeMap<usize, Vec<Output>> = BTreeMap::new();
    let mut set_of: HashMap<String, usize> = HashMap::new();
    for (number, output) in outputs.into_iter().enumerate() {
        let met: BTreeSet<usize> = output.inputs.iter().filter_map(|f| set_of.get(&f.relative)).copied().collect();
        let mut set: Vec<Output> = met.iter().filter_map(|met| sets.remove(met)).flatten().collect();
        set.push(output);
        set_of.extend(set.iter().flat_map(|o| &o.inputs).map(|f| (f.relative.clone(), number)));
        sets.insert(number, set);
    }
    sets.into_values().collect()
}

/// What is not cut: the rows of a month, or a file that shares no month.
struct Piece<'a> {
    first: Month,
    last: Month,
    rows: u64,
    files: Vec<&'a DataFile>,
    /// All rows of its one file.
    whole: bool,
}

/// The first and last month of a file, as far as the log tells.
fn months(file: &DataFile) -> (Month, Month) {
    file.hit_time.map_or((Month::FIRST, Month::LAST), |(first, last)| (Month::of(first), Month::of(last)))
}

fn single_month(file: &DataFile) -> Option<Month> {
    let (first, last) = months(file);
    (first == last).then_some(first)
}

/// The files in sets that share no month, in the order of time.
fn overlapping(files: &[DataFile]) -> Vec<Vec<&DataFile>> {
    let mut sorted: Vec<&DataFile> = files.iter().collect();
    sorted.sort_by_key(|f| (months(f), &f.relative));
    let mut parts: Vec<(Month, Vec<&DataFile>)> = vec![];
    for file in sorted {
        let (first, last) = months(file);
        match parts.last_mut().filter(|(end, _)| first <= *end) {
            Some((end, part)) => {
                *end = last.max(*end);
                part.push(file);
            }
            None => parts.push((last, vec![file])),
        }
    }
    parts.into_iter().map(|(_, part)| part).collect()
}

fn pieces<'a>(part: Vec<&'a DataFile>, calendars: &HashMap<String, Calendar>) -> Vec<Piece<'a>> {
    if let [only] = part[..] {
        let (first, last) = months(only);
        return vec![Piece { first, last, rows: only.rows.unwrap_or_default(), files: part, whole: true }];
    }
    let mut by_month: BTreeMap<Month, Piece> = BTreeMap::new();
    let mut add = |month, file, rows| {
        let piece = by_month.entry(month);
        let piece = piece.or_insert(Piece { first: month, last: month, rows: 0, files: vec![], whole: false });
        piece.rows += rows;
        piece.files.push(file);
    };
    for file in part {
        match single_month(file) {
            Some(month) => add(month, file, file.rows.unwrap_or_default()),
            None => calendars.get(&file.relative).into_iter().flatten().for_each(|(&m, &rows)| add(m, file, rows)),
        }
    }
    by_month.into_values().collect()
}

/// Puts neighbours together while they stay small.
fn pack<'a>(pieces: impl IntoIterator<Item = Piece<'a>>, shared_rows: u64) -> Vec<Vec<Piece<'a>>> {
    let mut packed: Vec<(u64, Vec<Piece>)> = vec![];
    for piece in pieces {
        match packed.last_mut().filter(|(rows, _)| rows + piece.rows <= shared_rows) {
            Some((rows, pieces)) => {
                *rows += piece.rows;
                pieces.push(piece);
            }
            None => packed.push((piece.rows, vec![piece])),
        }
    }
    packed.into_iter().map(|(_, pieces)| pieces).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400_000_000;
    /// 2026-01-01.
    const START: i64 = 1_767_225_600_000_000;

    fn file(name: impl ToString, days: (i64, i64), rows: u64) -> DataFile {
        DataFile {
            relative: name.to_string(),
            path: name.to_string().into(),
            size: rows,
            rows: Some(rows),
            hit_time: Some((START + days.0 * DAY, START + days.1 * DAY + DAY - 1)),
            tags: HashMap::new(),
        }
    }

    fn names(output: &Output) -> Vec<&str> {
        output.inputs.iter().map(|f| f.relative.as_str()).collect()
    }

    /// As many rows each day.
    fn calendars(files: &[DataFile]) -> HashMap<String, Calendar> {
        let calendar = |f: &DataFile| {
            let (first, last) = f.hit_time.unwrap_or_default();
            let days = (last - first + 1) / DAY;
            let mut calendar = Calendar::new();
            for day in 0..days {
                let rows = f.rows.unwrap_or_default() as i64;
                *calendar.entry(Month::of(first + day * DAY)).or_default() +=
                    (rows * (day + 1) / days - rows * day / days) as u64;
            }
            calendar.retain(|_, rows| *rows > 0);
            calendar
        };
        straddling(files).iter().map(|f| (f.relative.clone(), calendar(f))).collect()
    }

    #[test]
    fn months_are_calendar_months() {
        assert_eq!(Month::of(START), Month(2026 * 12));
        assert_eq!(Month::of(START - 1), Month(2025 * 12 + 11));
        assert_eq!(Month::of(START).times(), START..START + 31 * DAY);
        assert_eq!(Month::of(-1).times().end, 0);
        assert_eq!(Month::of(i64::MIN).times().start, i64::MIN);
        assert_eq!(Month::of(i64::MAX).times().end, i64::MAX);
        assert!(Month::of(i64::MIN).times().end < -6 * 10_i64.pow(18));
    }

    #[test]
    fn days_become_months_and_lone_files_stay() {
        let days = (0..31).map(|d| file(format!("day{d:02}"), (d, d), 900));
        let lone = [file("spring", (59, 150), 10_000)];
        let files: Vec<DataFile> = days.chain(lone).collect();
        let outputs = plan(&files, &HashMap::new(), 30_000);
        assert_eq!(outputs.len(), 1);
        assert_eq!(outputs[0].inputs.len(), 31);
        assert_eq!(outputs[0].times, START..START + 31 * DAY);
        assert_eq!(fewer_files(&files, 30_000), 30, "31 days become a month");
    }

    #[test]
    fn a_file_over_the_edge_is_cut_there() {
        let files = [file("january", (0, 30), 60), file("edge", (30, 31), 20), file("february", (31, 58), 60)];
        assert_eq!(straddling(&files).len(), 1);
        let outputs = plan(&files, &calendars(&files), 100);
        assert_eq!(outputs.len(), 2);
        assert_eq!((names(&outputs[0]), outputs[0].rows), (vec!["january", "edge"], 70));
        assert_eq!((names(&outputs[1]), outputs[1].rows), (vec!["edge", "february"], 70));
        // both months fit into one file
        let outputs = plan(&files, &calendars(&files), 1000);
        assert_eq!((outputs.len(), outputs[0].inputs.len(), outputs[0].rows), (1, 3, 140));
    }

    #[test]
    fn outputs_that_share_an_input_stay_together() {
        // the second year is of one file that reaches from its first month to its last, and of one in between
        let files = [
            file("a", (0, 5), 60),
            file("b", (3, 9), 60),
            file("long", (365, 729), 400),
            file("within", (400, 410), 60),
            file("late", (800, 801), 60),
            file("later", (802, 803), 60),
        ];
        let sets = apart(plan(&files, &calendars(&files), 1));
        let inputs = |set: &Vec<Output>| -> BTreeSet<String> {
            set.iter().flat_map(|output| &output.inputs).map(|f| f.relative.clone()).collect()
        };
        let inputs: Vec<BTreeSet<String>> = sets.iter().map(inputs).collect();
        let expected = [vec!["a", "b"], vec!["long", "within"], vec!["late", "later"]];
        let expected = expected.map(|names| names.into_iter().map(str::to_string).collect::<BTreeSet<String>>());
        assert_eq!(inputs, expected);
        assert!(sets[1].len() >= 12, "a month each: {}", sets[1].len());

        // two that have nothing in common are brought together by a third one
        let output = |names: &[&str]| Output {
            inputs: names.iter().map(|name| file(name, (0, 1), 1)).collect(),
            times: 0..1,
            rows: 1,
        };
        let sets = apart(vec![output(&["a"]), output(&["b"]), output(&["c"]), output(&["c", "a"])]);
        assert_eq!(sets.iter().map(Vec::len).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn files_of_unknown_times_are_merged_with_all() {
        let mut files = vec![file("a", (0, 5), 5), file("b", (40, 45), 5)];
        assert!(plan(&files, &HashMap::new(), 5).is_empty());
        files[0].hit_time = None;
        assert_eq!(straddling(&files).len(), 1);
        assert!(plan(&files[..1], &HashMap::new(), 5).is_empty(), "one file is right, whatever it holds");
    }

    proptest! {
        /// Every row goes to one output or stays, months are never torn, and the outcome's plan is empty.
        #[test]
        fn a_plan_is_whole_and_final(spans in prop::collection::vec((0i64..400, 0i64..80, 1u64..500), 1..40)) {
            let files: Vec<DataFile> =
                spans.iter().enumerate().map(|(i, &(from, days, rows))| file(i, (from, from + days), rows)).collect();
            let outputs = plan(&files, &calendars(&files), 600);
            let sets = apart(outputs.clone());
            prop_assert_eq!(sets.iter().map(Vec::len).sum::<usize>(), outputs.len());
            let mut inputs = sets.iter().flat_map(|set| set.iter().flat_map(names).collect::<BTreeSet<_>>());
            let mut seen = BTreeSet::new();
            prop_assert!(inputs.all(|input| seen.insert(input)), "two sets have an input");
            let read: Vec<&str> = outputs.iter().flat_map(names).collect();
            let stay: Vec<DataFile> = files.iter().filter(|f| !read.contains(&f.relative.as_str())).cloned().collect();
            let rows = |files: &[DataFile]| files.iter().filter_map(|f| f.rows).sum::<u64>();
            prop_assert_eq!(rows(&files), rows(&stay) + outputs.iter().map(|o| o.rows).sum::<u64>());
            let written = outputs.iter().enumerate().map(|(i, o)| {
                let days = ((o.times.start - START) / DAY, (o.times.end - START) / DAY - 1);
                file(format!("new{i}"), days, o.rows)
            });
            let after: Vec<DataFile> = stay.into_iter().chain(written).collect();
            prop_assert!(after.len() <= files.len() + 14, "at most one a month more");
            for part in overlapping(&after) {
                prop_assert_eq!(part.len(), 1, "two files share a month");
            }
            prop_assert!(plan(&after, &HashMap::new(), 600).is_empty());
        }
    }
}
