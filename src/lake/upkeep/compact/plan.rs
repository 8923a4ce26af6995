//! What becomes of the files of one group (one suite, source, bucket, and kind of visits).
//!
//! Files that share a month are merged and cut at the months; a file that shares none stays as it is. Neighbours share a
//! file while it stays small, so that a small lake does not end as a cloud of tiny files. Running the plan of a plan's
//! outcome gives nothing to do.
//!
//! Where only what is worth its work is to be done, files wait until there are enough of about one size ([`worth_merging`]):
//! what a row costs then grows with the logarithm of the number of loads, and so do the files of a bucket.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Range;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};

use crate::lake::DataFile;
use crate::lake::parts::as_whole_files;

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

impl Output {
    /// A file that is written anew alone, with all that it has.
    pub fn of_file(file: DataFile) -> Self {
        Self { times: i64::MIN..i64::MAX, rows: file.rows.unwrap_or_default(), inputs: vec![file] }
    }
}

/// The files of which the plan must know how many rows each month has: those that are over several months and share one.
pub fn straddling(files: &[DataFile]) -> Vec<DataFile> {
    let shared = overlapping(files).into_iter().filter(|part| part.len() > 1).flatten();
    shared.filter(|f| single_month(f).is_none()).cloned().collect()
}

/// How many files fewer there would be, at most, judged by the log alone.
pub fn fewer_files(files: &[DataFile], shared_rows: u64) -> usize {
    let (files, _) = as_whole_files(files.to_vec());
    let parts = overlapping(&files).into_iter().map(|part| Piece {
        first: Month::FIRST,
        last: Month::LAST,
        rows: part.iter().filter_map(|f| f.rows).sum(),
        files: part,
        whole: false,
    });
    files.len() - pack(parts, shared_rows).len()
}

/// What is worth its work.
struct MergeThreshold {
    /// Files that are merged, at least.
    files: usize,
    /// A file waits while it has more than so many times the rows of all smaller ones.
    times: u64,
}

/// Where more is to come: what is merged with a file shall be a quarter of what is written.
const GROWING: MergeThreshold = MergeThreshold { files: 4, times: 3 };

/// In months that are over, of which nobody knows how soon more comes: a sixteenth.
const OVER: MergeThreshold = MergeThreshold { files: 2, times: 15 };

/// Months of a file up to which its rows are taken to be spread over them; a file of more has its rows at one place, and times that
/// some clock got wrong at another.
const MOST_MONTHS: i64 = 1200;

/// The files of a group that are worth merging, judged by the log alone. Of those that would share a file at least four of about
/// one size, with all smaller ones: each has at most three times the rows of all smaller ones together, so that what takes part
/// comes into a file that is a third larger at least. And at least three files fewer are left, as far as the log tells where they
/// will be cut; a file over so many months that there would not be waits without the others. In months before that of the newest
/// files it is two, and fifteen times the rows.
pub fn worth_merging(files: &[DataFile], shared_rows: u64) -> Vec<DataFile> {
    let calendars: HashMap<String, Calendar> =
        straddling(files).iter().map(|file| (file.relative.clone(), likely_calendar(file))).collect();
    let rows_in = |file: &DataFile, times: &Range<i64>| match calendars.get(&file.relative) {
        Some(calendar) => {
            calendar.iter().filter(|(month, _)| times.contains(&month.start())).map(|(_, rows)| *rows).sum::<u64>()
        }
        None => file.rows.unwrap_or_default(),
    };
    // a file over several months may have but a row in its last one
    let newest = files.iter().filter_map(single_month).max();
    let worth_of = |output: &Output| match newest {
        Some(newest) if output.times.end <= newest.start() => OVER,
        _ => GROWING,
    };
    let mut chosen: HashSet<String> = HashSet::new();
    for output in plan(files, &calendars, shared_rows) {
        let mut inputs: Vec<(u64, &str)> =
            output.inputs.iter().map(|file| (rows_in(file, &output.times), file.relative.as_str())).collect();
        inputs.sort_unstable();
        let rows: Vec<u64> = inputs.iter().map(|(rows, _)| *rows).collect();
        chosen.extend(inputs[..worth_of(&output).merged(&rows)].iter().map(|(_, name)| name.to_string()));
    }
    let candidates: Vec<DataFile> = files.iter().filter(|file| chosen.contains(&file.relative)).cloned().collect();
    let mut merged: HashSet<String> = HashSet::new();
    for set in independent_sets(plan(&candidates, &calendars, shared_rows)) {
        let inputs: HashSet<&String> = set.iter().flat_map(|output| &output.inputs).map(|f| &f.relative).collect();
        let files = set.iter().map(|output| worth_of(output).files).max().unwrap_or_default();
        if inputs.len() + 1 >= set.len() + files {
            merged.extend(inputs.into_iter().cloned());
        }
    }
    let waits = |file: &DataFile| {
        chosen.contains(&file.relative) && !merged.contains(&file.relative) && single_month(file).is_none()
    };
    if files.iter().any(waits) {
        let others: Vec<DataFile> = files.iter().filter(|file| !waits(file)).cloned().collect();
        return worth_merging(&others, shared_rows);
    }
    candidates.into_iter().filter(|file| merged.contains(&file.relative)).collect()
}

impl MergeThreshold {
    /// How many files are worth merging, of files with so many rows, the smallest first: those up to the end of the last run of
    /// enough files of which none has too many times the rows of all before it.
    fn merged(&self, rows: &[u64]) -> usize {
        let (mut smaller, mut begin, mut end) = (0_u64, 0, 0);
        for (number, rows) in rows.iter().enumerate() {
            if *rows > smaller.saturating_mul(self.times) {
                begin = number;
            }
            if number + 1 - begin >= self.files {
                end = number + 1;
            }
            smaller = smaller.saturating_add(*rows);
        }
        end
    }
}

/// The rows of a file by month, as nobody has counted them: as many at any time as at any other.
fn likely_calendar(file: &DataFile) -> Calendar {
    let ((first, last), rows) = (months(file), file.rows.unwrap_or_default());
    let (Some((begin, end)), true) = (file.hit_time, last.0 - first.0 < MOST_MONTHS) else {
        return Calendar::from([(first, rows)]);
    };
    let share = |month: Month| {
        let times = month.times();
        let inside = times.end.min(end.saturating_add(1)).saturating_sub(times.start.max(begin));
        (rows as f64 * inside as f64 / (end - begin + 1) as f64) as u64
    };
    (first.0..=last.0).map(|month| (Month(month), share(Month(month)))).collect()
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
pub fn independent_sets(outputs: Vec<Output>) -> Vec<Vec<Output>> {
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
    fn files_of_about_one_size_are_worth_merging() {
        let worth = |rows: &[u64]| GROWING.merged(rows);
        assert_eq!(worth(&[]), 0);
        assert_eq!(worth(&[1, 1, 1]), 0, "three are few");
        assert_eq!(worth(&[1, 1, 1, 1]), 4);
        assert_eq!(worth(&[1, 1, 1, 9]), 4, "three are a quarter of all");
        assert_eq!(worth(&[1, 1, 1, 10]), 0, "and here they are less");
        assert_eq!(worth(&[1, 1, 1, 1, 12]), 5);
        assert_eq!(worth(&[1, 1, 1, 1, 13]), 4, "the large one waits");
        assert_eq!(worth(&[1, 1, 1, 1, 100, 100, 100]), 4, "and so do three");
        assert_eq!(worth(&[1, 1, 1, 1, 100, 100, 100, 100]), 8);
        assert_eq!(worth(&[1, 100, 100, 100, 100]), 5, "a tiny one is taken along");
        assert_eq!(worth(&[0, 0, 0, 0]), 4);
        assert_eq!(worth(&[u64::MAX; 5]), 5);
        // where nothing more is to come, two are enough, and a sixteenth
        assert_eq!(
            [OVER.merged(&[1]), OVER.merged(&[1, 15]), OVER.merged(&[1, 16]), OVER.merged(&[1, 1, 30])],
            [0, 2, 0, 3]
        );
    }

    fn worth_names(files: &[DataFile], shared_rows: u64) -> Vec<String> {
        worth_merging(files, shared_rows).into_iter().map(|file| file.relative).collect()
    }

    #[test]
    fn what_is_worth_merging_is_of_months_that_share_a_file() {
        let day = |number: i64| file(format!("day{number}"), (number, number), 10);
        let days: Vec<DataFile> = (0..3).map(day).collect();
        assert!(worth_names(&days, 1).is_empty());
        let days: Vec<DataFile> = (0..4).map(day).collect();
        assert_eq!(worth_names(&days, 1), ["day0", "day1", "day2", "day3"]);
        // two in January, two in February: where months share a file
        let days: Vec<DataFile> = (29..33).map(day).collect();
        assert_eq!(worth_names(&days, 1000), ["day29", "day30", "day31", "day32"]);
        // January is over as soon as there is a day of February
        let days: Vec<DataFile> = (29..32).map(day).collect();
        assert_eq!(worth_names(&days, 1), ["day29", "day30"]);
        // a file that is small in each of its months, beside a large one, waits, and keeps nobody waiting
        let mut files =
            vec![file("january", (0, 30), 900), file("february", (31, 58), 900), file("march", (59, 89), 900)];
        files.push(file("late", (0, 89), 9));
        assert!(worth_names(&files, 1).is_empty());
        files.extend((0..4).map(|number| file(format!("new{number}"), (60, 60), 10)));
        assert_eq!(worth_names(&files, 1), ["new0", "new1", "new2", "new3"]);
        // four files of two years each would become two dozen
        let years: Vec<DataFile> = (0..4).map(|number| file(number, (0, 729), 500)).collect();
        assert!(worth_names(&years, 1).is_empty());
        assert_eq!(worth_names(&years, 5000).len(), 4);
        // times of nowhere
        let mut nowhere = file("nowhere", (0, 0), 20);
        nowhere.hit_time = None;
        let files: Vec<DataFile> = (0..3).map(day).chain([nowhere]).collect();
        assert_eq!(worth_names(&files, 1000), ["day0", "day1", "day2", "nowhere"]);
    }

    /// What is worth it is merged until nothing is; gives the files that are left, and the rows that were written.
    fn merged_while_worth(mut files: Vec<DataFile>, shared_rows: u64, names: &mut u64) -> (Vec<DataFile>, u64) {
        let mut written = 0;
        for round in 0.. {
            let worth = worth_merging(&files, shared_rows);
            if worth.is_empty() {
                break;
            }
            assert!(round < 5, "{} files are merged again and again", worth.len());
            let outputs = plan(&worth, &calendars(&worth), shared_rows);
            files.retain(|file| worth.iter().all(|merged| merged.relative != file.relative));
            for output in outputs {
                *names += 1;
                written += output.rows;
                let days = ((output.times.start - START) / DAY, (output.times.end - START) / DAY - 1);
                files.push(file(format!("merged{names}"), days, output.rows));
            }
        }
        (files, written)
    }

    /// Loads a day, of which each has rows of the days before it, for so many days: the rows that were written by compactions for
    /// each row, and how many files there were at most.
    fn daily(days: i64, late_days: i64, shared_rows: u64) -> (f64, usize) {
        let (mut files, mut names, mut most) = (vec![], 0, 0);
        let (mut loaded, mut written, mut state) = (0, 0, 7_u64);
        for day in 0..days {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let rows = [200, 500, 1000, 1000, 1000, 2000, 3000][(state >> 33) as usize % 7];
            loaded += rows;
            files.push(file(format!("day{day}"), ((day - late_days).max(0), day), rows));
            let (left, more) = merged_while_worth(files, shared_rows, &mut names);
            (files, written) = (left, written + more);
            most = most.max(files.len());
        }
        assert_eq!(files.iter().filter_map(|file| file.rows).sum::<u64>(), loaded, "every row is there once");
        (written as f64 / loaded as f64, most)
    }

    #[test]
    fn a_row_is_written_again_as_often_as_the_logarithm_of_the_loads_says() {
        for late_days in [0, 2, 40] {
            // all in one file, several months in a file, each month in its own
            for shared_rows in [u64::MAX, 100_000, 1] {
                let what = format!("{late_days} days late, {shared_rows} rows shared");
                let (of_a_quarter, _) = daily(91, late_days, shared_rows);
                let (of_a_year, most) = daily(365, late_days, shared_rows);
                assert!(of_a_year < 9.0, "{what}: {of_a_year} times a row");
                assert!(of_a_year < of_a_quarter + 4.0, "{what}: {of_a_quarter} times a row, then {of_a_year}");
                let months = if shared_rows == 1 { 12 } else { (400_000 / (shared_rows / 2)).max(1) as usize };
                assert!(most <= 6 + 3 * months, "{what}: {most} files");
            }
        }
        let (of_four_years, most) = daily(4 * 365, 0, u64::MAX);
        assert!(of_four_years < 11.0 && most <= 10, "{of_four_years} times a row, {most} files");
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
        let sets = independent_sets(plan(&files, &calendars(&files), 1));
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
        let sets = independent_sets(vec![output(&["a"]), output(&["b"]), output(&["c"]), output(&["c", "a"])]);
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
            let sets = independent_sets(outputs.clone());
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
