//! Rows of one hit that was delivered more than once. In the lake's order they are neighbours, the one that counts first:
//! that of the delivery that comes last by name, and within a delivery the later one.
//!
//! Rows are one hit where suite, visitor, time and hit id are equal; a row without a hit id is a hit of its own. Sorting
//! and merging keep the rule, so that a reader takes the first of such neighbours. A file with hit ids says in a tag
//! how many of its rows repeat one before; whether files can repeat each other shows in the spans of their times. All of this holds of
//! rows that feeds bring integrated, in `offline`, as of hits.
//!
//! Rows with a key of the user's own are one hit whatever their times: the first of the visitor's counts. They need not be
//! neighbours, and any two files that have some may repeat each other.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Decimal128Type, Int64Type, TimestampMicrosecondType};

use super::layout::{TAG_BUCKET, TAG_KEYED, TAG_REPEATS, TAG_SUITE};
use super::parts::BucketPart;
use crate::columns::{HIT_ID_REST, HIT_SEQ, HIT_TIME, VISITOR_KEY, is_keyed};
use crate::lake::DataFile;

/// Counts repeats among rows that are written in the lake's order.
#[derive(Debug, Default)]
pub struct RepeatCount {
    last: Option<(i64, i64, i128, Option<i64>)>,
    has_ids: bool,
    has_keys: bool,
    /// The keys of the visitor at hand.
    visitor: i64,
    keys: HashSet<(i128, i64)>,
    repeats: u64,
}

impl RepeatCount {
    /// Takes the next rows.
    pub fn take(&mut self, batch: &RecordBatch) {
        let rests = batch.column_by_name(HIT_ID_REST).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let keys = batch.column_by_name(VISITOR_KEY).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let times =
            batch.column_by_name(HIT_TIME).and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let sequences = batch.column_by_name(HIT_SEQ).and_then(|column| column.as_primitive_opt::<Decimal128Type>());
        let (Some(rests), Some(keys), Some(times), Some(sequences)) = (rests, keys, times, sequences) else { return };
        let rows = batch.num_rows();
        if rests.null_count() == rows {
            self.last = None;
            return;
        }
        self.has_ids = true;
        let (key, time, sequence) = (keys.values(), times.values(), sequences.values());
        let is_keyed = |row: usize| rests.is_valid(row) && is_keyed(rests.value(row));
        if (0..rows).any(is_keyed) {
            self.has_keys = true;
            for row in (0..rows).filter(|row| is_keyed(*row)) {
                if std::mem::replace(&mut self.visitor, key[row]) != key[row] {
                    self.keys.clear();
                }
                self.repeats += u64::from(!self.keys.insert((sequence[row], rests.value(row))));
            }
        }
        let place = |row: usize| (key[row], time[row], sequence[row], rests.is_valid(row).then(|| rests.value(row)));
        self.repeats += u64::from(self.last.is_some_and(|last| last.3.is_some() && !is_keyed(0) && last == place(0)));
        for row in 1..rows {
            // few rows have even the time of the one before
            if time[row] == time[row - 1] && key[row] == key[row - 1] && !is_keyed(row) {
                let here = place(row);
                self.repeats += u64::from(here.3.is_some() && here == place(row - 1));
            }
        }
        self.last = Some(place(rows - 1));
    }

    /// The tags of the file with these rows; none where no row has a hit id.
    pub fn tags(&self) -> impl Iterator<Item = (String, String)> {
        let repeats = self.has_ids.then(|| (TAG_REPEATS.to_string(), self.repeats.to_string()));
        repeats.into_iter().chain(self.has_keys.then(|| (TAG_KEYED.to_string(), "true".to_string())))
    }
}

/// True where two rows of `files` may be one hit: of one file, or of two of the same times.
pub fn may_repeat(files: &[&DataFile]) -> bool {
    let tagged: Vec<&DataFile> = files.iter().filter(|file| file.tags.contains_key(TAG_REPEATS)).copied().collect();
    tagged.iter().any(|file| repeats(file)) || overlap(&tagged) || share_keys(&tagged)
}

/// The files of which a row may be the hit that another row is, of the same file or of another one of `files`.
pub fn repeating<'f>(files: &[&'f DataFile]) -> HashSet<&'f str> {
    let tagged = || files.iter().copied().filter(|file| file.tags.contains_key(TAG_REPEATS));
    let mut found: HashSet<&str> = tagged().filter(|file| repeats(file)).map(BucketPart::whole_of).collect();
    let mut keyed: HashMap<_, HashSet<&str>> = HashMap::new();
    for file in tagged().filter(|file| is_keyed_file(file)) {
        keyed.entry(place_of(file)).or_default().insert(BucketPart::whole_of(file));
    }
    found.extend(keyed.into_values().filter(|whole| whole.len() > 1).flatten());
    // of those before, the one that reaches farthest; the others that reach as far have met one already
    let mut farthest: Option<(BucketAndSuite, i64, &str)> = None;
    for (place, (first, last), whole) in spans(tagged()) {
        match &mut farthest {
            Some((here, reach, other)) if *here == place => {
                if first <= *reach {
                    found.extend([*other, whole]);
                }
                if last > *reach {
                    (*reach, *other) = (last, whole);
                }
            }
            _ => farthest = Some((place, last, whole)),
        }
    }
    tagged().filter(|file| found.contains(BucketPart::whole_of(file))).map(|file| file.relative.as_str()).collect()
}

/// True where two rows of `files` that have a key may be one hit, of whatever times.
pub fn may_repeat_by_key(files: &[&DataFile]) -> bool {
    files.iter().any(|file| is_keyed_file(file) && repeats(file)) || share_keys(files)
}

/// True where a row of one of two files may be the hit that a row of the other is.
pub fn may_repeat_each_other(one: &DataFile, other: &DataFile) -> bool {
    let both = [one, other];
    both.iter().all(|file| file.tags.contains_key(TAG_REPEATS)) && (overlap(&both) || share_keys(&both))
}

fn repeats(file: &DataFile) -> bool {
    file.tags.get(TAG_REPEATS).is_some_and(|repeats| repeats != "0")
}

fn is_keyed_file(file: &DataFile) -> bool {
    file.tags.contains_key(TAG_KEYED)
}

/// True where two of `files`, of one bucket and suite, have rows with keys.
fn share_keys(files: &[&DataFile]) -> bool {
    let mut seen = HashMap::new();
    let mut keyed = files.iter().filter(|file| is_keyed_file(file));
    keyed.any(|file| {
        let whole = BucketPart::whole_of(file);
        seen.insert(place_of(file), whole).is_some_and(|other| other != whole)
    })
}

/// A bucket and a suite: a hit of one is no hit of another.
type BucketAndSuite<'f> = [Option<&'f String>; 2];

fn place_of(file: &DataFile) -> BucketAndSuite<'_> {
    [TAG_BUCKET, TAG_SUITE].map(|tag| file.tags.get(tag))
}

/// The instants of files, those of a set as if they were one, which have no hit in common: its place, its first and last instant, and
/// its name, in this order.
fn spans<'f>(files: impl Iterator<Item = &'f DataFile>) -> Vec<(BucketAndSuite<'f>, (i64, i64), &'f str)> {
    let mut spans: HashMap<(BucketAndSuite, &str), (i64, i64)> = HashMap::new();
    for file in files {
        // a file that does not say when its rows are may hold any
        let (first, last) = file.hit_time.unwrap_or((i64::MIN, i64::MAX));
        let span = spans.entry((place_of(file), BucketPart::whole_of(file))).or_insert((first, last));
        *span = (span.0.min(first), span.1.max(last));
    }
    let mut spans: Vec<_> = spans.into_iter().map(|((place, whole), span)| (place, span, whole)).collect();
    spans.sort_unstable();
    spans
}

/// True where two of `files`, of one bucket and suite, may have rows of one instant.
fn overlap(files: &[&DataFile]) -> bool {
    let spans = spans(files.iter().copied());
    // not only neighbours: a long span reaches beyond the one after it
    let mut reach: Option<i64> = None;
    spans.iter().enumerate().any(|(n, (place, (first, last), _))| {
        if n == 0 || *place != spans[n - 1].0 {
            reach = None;
        }
        let (first, last) = (*first, *last);
        let meets = reach.is_some_and(|reach| first <= reach);
        reach = Some(reach.map_or(last, |reach| reach.max(last)));
        meets
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, TimestampMicrosecondArray};

    use super::*;
    use crate::columns;

    fn batch(rows: &[(i64, i64, i128, Option<i64>)]) -> RecordBatch {
        let sequences: Decimal128Array = rows.iter().map(|r| Some(r.2)).collect();
        let columns: [(&str, ArrayRef); 4] = [
            (VISITOR_KEY, Arc::new(rows.iter().map(|r| Some(r.0)).collect::<Int64Array>())),
            (HIT_TIME, Arc::new(rows.iter().map(|r| Some(r.1)).collect::<TimestampMicrosecondArray>())),
            (HIT_SEQ, Arc::new(sequences.with_data_type(columns::sequence()))),
            (HIT_ID_REST, Arc::new(rows.iter().map(|r| r.3).collect::<Int64Array>())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn repeats_are_counted_over_batches() {
        let rows = [
            (1, 1, 7, Some(0)),
            (1, 1, 7, Some(0)),
            (1, 1, 7, Some(3)),
            (1, 2, 7, Some(3)),
            (2, 2, 7, Some(3)),
            (2, 2, 7, None),
            (2, 2, 7, None),
            (2, 3, 9, Some(0)),
            (2, 3, 9, Some(0)),
            (2, 3, 9, Some(0)),
        ];
        for cut in 1..=rows.len() {
            let mut count = RepeatCount::default();
            rows.chunks(cut).for_each(|rows| count.take(&batch(rows)));
            assert_eq!(count.tags().collect::<Vec<_>>(), [(TAG_REPEATS.into(), "3".into())], "batches of {cut}");
        }
        let mut count = RepeatCount::default();
        count.take(&batch(&rows[5..7]));
        assert_eq!(count.tags().count(), 0, "no ids");
    }

    #[test]
    fn keys_repeat_at_any_time() {
        let (sequence, rest) = columns::key_sequence("order 1");
        let other = columns::key_sequence("order 2");
        let rows = [
            (1, 1, sequence, Some(rest)),
            (1, 2, other.0, Some(other.1)),
            (1, 3, sequence, Some(rest)),
            (2, 3, sequence, Some(rest)),
        ];
        for cut in 1..=rows.len() {
            let mut count = RepeatCount::default();
            rows.chunks(cut).for_each(|rows| count.take(&batch(rows)));
            let tags = [(TAG_REPEATS.to_string(), "1".to_string()), (TAG_KEYED.into(), "true".into())];
            assert_eq!(count.tags().collect::<Vec<_>>(), tags, "batches of {cut}");
        }
    }

    #[test]
    fn files_that_repeat_are_named() {
        let file = |name: &str, bucket: &str, span, repeats: Option<&str>, keyed: bool| {
            let tags = [(TAG_BUCKET, Some(bucket)), (TAG_REPEATS, repeats), (TAG_KEYED, keyed.then_some("true"))];
            let tags = tags.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?.to_string())));
            DataFile {
                relative: name.into(),
                path: name.into(),
                size: 1,
                rows: Some(1),
                hit_time: Some(span),
                tags: tags.collect(),
            }
        };
        let none = Some("0");
        let files = [
            file("long", "0", (0, 99), none, false),
            file("within", "0", (1, 2), none, false),
            file("late", "0", (99, 120), none, false),
            file("later", "0", (121, 130), none, false),
            file("without ids", "0", (0, 130), None, false),
            file("elsewhere", "1", (0, 50), none, false),
            file("after", "1", (51, 60), none, false),
            file("twice", "1", (61, 70), Some("2"), false),
            file("key", "2", (0, 1), none, true),
            file("keys", "2", (5, 6), none, true),
            file("no key", "2", (8, 9), none, false),
            file("one key", "3", (8, 9), none, true),
        ];
        let files: Vec<&DataFile> = files.iter().collect();
        let mut found: Vec<&str> = repeating(&files).into_iter().collect();
        found.sort_unstable();
        assert_eq!(found, ["key", "keys", "late", "long", "twice", "within"]);
        for some in files.windows(2).chain(files.windows(3)) {
            assert_eq!(repeating(some).is_empty(), !may_repeat(some), "{some:?}");
        }
    }

    #[test]
    fn files_of_the_same_times_may_repeat_each_other() {
        let number = Cell::new(0);
        let file = |bucket: &str, span, repeats: Option<&str>| {
            let name = format!("f{}", number.replace(number.get() + 1));
            let tags = [(TAG_BUCKET, Some(bucket)), (TAG_REPEATS, repeats)];
            let tags = tags.into_iter().filter_map(|(name, value)| Some((name.to_string(), value?.to_string())));
            DataFile {
                path: name.as_str().into(),
                relative: name,
                size: 1,
                rows: Some(1),
                hit_time: span,
                tags: tags.collect(),
            }
        };
        let may = |files: &[DataFile]| may_repeat(&files.iter().collect::<Vec<_>>());
        let none = Some("0");
        assert!(!may(&[file("0", Some((0, 9)), none), file("0", Some((10, 19)), none), file("1", Some((0, 9)), none)]));
        assert!(may(&[file("0", Some((0, 9)), Some("2"))]));
        assert!(may(&[file("0", Some((0, 10)), none), file("0", Some((10, 19)), none)]));
        let long = [file("0", Some((0, 99)), none), file("0", Some((1, 2)), none), file("0", Some((5, 6)), none)];
        assert!(may(&long) && may(&[long[0].clone(), long[2].clone()]) && !may(&long[1..]));
        assert!(may(&[file("0", None, none), file("0", Some((10, 19)), none)]));
        assert!(!may(&[file("0", Some((0, 9)), None), file("0", Some((0, 9)), none)]), "rows without hit ids");
    }
}
