//! Files in which a visitor's key says who the visitor is.
//!
//! A key is a hash, so that two visitors may share one, and only their ids tell them apart. In the lake's order the rows of a key are
//! neighbours, those of each of its visitors side by side. So the writer of a file finds out by looking at neighbours, and where no two
//! visitors share a key, the file names itself in a tag. This says nothing about several files together. What has looked at them
//! together, before one of them was committed, has the tag of that one name the others, too. A reader of files that name each other
//! need not read ids, which are half of what there is to decode.

use std::collections::{HashMap, HashSet};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::layout::{TAG_NOBODY, TAG_UNIQUE_KEYS};
use super::parts::{BucketPart, KeyRange};
use crate::columns::{VISITOR_ID, VISITOR_KEY};
use crate::distinct_texts::coded_texts;
use crate::lake::DataFile;

/// Files that are held against each other at most.
const MOST_FILES: usize = 64;

/// Finds out whether keys tell visitors apart among rows that are written in the lake's order.
#[derive(Debug, Default)]
pub(super) struct UniqueKeys {
    /// Key and id of the last row.
    last: Option<(i64, Option<String>)>,
    /// Some key is of two visitors, or of a visitor and of a row that has none.
    in_doubt: bool,
    /// Some row has no visitor.
    nobody: bool,
}

impl UniqueKeys {
    /// Takes the next rows.
    pub fn take(&mut self, batch: &RecordBatch) {
        if batch.num_rows() == 0 {
            return;
        }
        let keys = batch.column_by_name(VISITOR_KEY).and_then(|column| column.as_primitive_opt::<Int64Type>());
        let ids = batch.column_by_name(VISITOR_ID);
        let coded = ids.and_then(|ids| coded_texts(ids));
        let texts = ids.and_then(|ids| coded.map(|(_, texts)| texts).or_else(|| ids.as_string_opt::<i32>()));
        let (Some(keys), Some(ids), Some(texts)) = (keys, ids, texts) else {
            self.in_doubt = true;
            return;
        };
        let (key, end) = (keys.values(), batch.num_rows() - 1);
        let number = |row: usize| coded.map_or(row, |(numbers, _)| numbers.keys().value(row) as usize);
        // asked of the array only where some row has none, which takes a call
        let nobody = ids.null_count() > 0;
        let has_id = |row: usize| !nobody || ids.is_valid(row);
        let id = |row: usize| has_id(row).then(|| texts.value(number(row)));
        let goes_on = self.last.as_ref().is_none_or(|(last, of_last)| *last != key[0] || of_last.as_deref() == id(0));
        // most rows of a visitor have the number of the one before, if ids come as such
        let is_same = |row: usize| {
            let has_its_number = number(row) == number(row - 1) && has_id(row) && has_id(row - 1);
            has_its_number || id(row) == id(row - 1)
        };
        let are_told = (1..=end).all(|row| key[row] != key[row - 1] || is_same(row));
        self.in_doubt |= keys.null_count() > 0 || !goes_on || !are_told;
        self.nobody |= nobody;
        self.last = Some((key[end], id(end).map(str::to_string)));
    }

    /// The tags of `file` with these rows. That it names the file makes it say nothing of another one, to which a writer that
    /// does not know the tag has copied it.
    pub fn tags(&self, file: &str) -> impl Iterator<Item = (String, String)> {
        let unique = (self.last.is_some() && !self.in_doubt).then(|| (TAG_UNIQUE_KEYS.to_string(), tag_of(&[file])));
        unique.into_iter().chain(self.nobody.then(|| (TAG_NOBODY.to_string(), "true".to_string())))
    }
}

fn tag_of(names: &[&str]) -> String {
    serde_json::json!(names).to_string()
}

/// The files that a file names; none where its own keys do not tell its visitors apart.
fn named(tags: &HashMap<String, String>) -> Vec<String> {
    tags.get(TAG_UNIQUE_KEYS).and_then(|tag| serde_json::from_str(tag).ok()).unwrap_or_default()
}

/// Lets a file that names itself name others, too.
pub(in crate::lake) fn name_others<'n>(tags: &mut HashMap<String, String>, others: impl Iterator<Item = &'n str>) {
    let known = named(tags);
    let mut names: Vec<&str> = known.iter().map(String::as_str).collect();
    for other in others {
        if !names.contains(&other) {
            names.push(other);
        }
    }
    let tag = tag_of(&names);
    tags.insert(TAG_UNIQUE_KEYS.into(), tag);
}

/// True where no key among the rows of `files`, which are of one bucket, is of two visitors, by what their tags say.
pub(in crate::lake) fn keys_identify_visitors(files: &[&DataFile]) -> bool {
    // parts of a bucket are files beside each other
    let parts = files.iter().filter_map(|file| Some(BucketPart::of_tags(&file.tags)?.count)).max().unwrap_or(1);
    if files.len() > MOST_FILES * parts {
        return false;
    }
    let keys: Vec<KeyRange> = files.iter().map(|file| KeyRange::of_tags(&file.tags)).collect();
    let names: Vec<HashSet<String>> = files.iter().map(|file| named(&file.tags).into_iter().collect()).collect();
    let is_named = |one: usize, other: usize| names[one].contains(&files[other].relative);
    let are_told =
        |one: usize, other: usize| !keys[one].meets(keys[other]) || is_named(one, other) || is_named(other, one);
    (0..files.len()).all(|one| is_named(one, one) && (0..one).all(|other| are_told(one, other)))
}

/// True where a file says that some of its rows have no visitor.
pub(super) fn lacks_visitors(file: &DataFile) -> bool {
    file.tags.contains_key(TAG_NOBODY)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::compute::cast;

    use super::*;
    use crate::distinct_texts::coded_type;

    fn batch(rows: &[(i64, Option<&str>)]) -> RecordBatch {
        let columns: [(&str, ArrayRef, bool); 2] = [
            (VISITOR_KEY, Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), false),
            (VISITOR_ID, Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()), true),
        ];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    fn file(name: &str, tags: impl Iterator<Item = (String, String)>) -> DataFile {
        let tags = tags.collect();
        DataFile { relative: name.into(), path: name.into(), size: 1, rows: Some(1), hit_time: None, tags }
    }

    /// The same rows, with their ids in a dictionary array.
    fn coded(rows: &RecordBatch) -> RecordBatch {
        let ids = cast(rows.column(1), &coded_type()).unwrap();
        let columns = [(VISITOR_KEY, rows.column(0).clone(), false), (VISITOR_ID, ids, true)];
        RecordBatch::try_from_iter_with_nullable(columns).unwrap()
    }

    /// What is said of rows, however they are cut into batches, and in which form their ids are: that keys tell visitors apart, and that
    /// some row has none.
    fn told(rows: &[(i64, Option<&str>)]) -> (bool, bool) {
        let forms = (1..=rows.len()).flat_map(|cut| [(cut, false), (cut, true)]);
        let each = forms.map(|(cut, are_coded)| {
            let mut keys = UniqueKeys::default();
            for rows in rows.chunks(cut) {
                let rows = batch(rows);
                keys.take(&if are_coded { coded(&rows) } else { rows });
            }
            let file = file("a", keys.tags("a"));
            (keys_identify_visitors(&[&file]), lacks_visitors(&file))
        });
        let each: Vec<(bool, bool)> = each.collect();
        assert!(each.iter().all(|told| *told == each[0]), "{rows:?}: {each:?}");
        each[0]
    }

    #[test]
    fn one_visitor_a_key() {
        let (a, b, c) = (Some("a"), Some("b"), Some("c"));
        assert_eq!(told(&[(-3, a), (-3, a), (1, b), (2, c), (2, c)]), (true, false));
        assert_eq!(told(&[(7, a)]), (true, false));
        // two visitors of one key, at the beginning, and at the end
        assert_eq!(told(&[(1, a), (1, b), (2, c)]), (false, false));
        assert_eq!(told(&[(1, a), (2, b), (2, b), (2, c)]), (false, false));
        // rows without a visitor, alone with their key, and not
        assert_eq!(told(&[(1, a), (2, None), (2, None), (3, b)]), (true, true));
        assert_eq!(told(&[(1, Some("")), (1, None)]), (false, true));
    }

    #[test]
    fn nothing_is_said_of_no_rows_and_of_rows_without_ids() {
        let mut keys = UniqueKeys::default();
        assert_eq!(keys.tags("a").count(), 0);
        keys.take(&batch(&[]));
        assert_eq!(keys.tags("a").count(), 0);
        keys.take(&batch(&[(1, Some("a"))]).project(&[0]).unwrap());
        keys.take(&batch(&[(2, Some("a"))]));
        assert_eq!(keys.tags("a").count(), 0);
    }

    #[test]
    fn files_are_told_together_by_the_tag_of_either() {
        let names =
            |names: &[&str]| (!names.is_empty()).then(|| (TAG_UNIQUE_KEYS.to_string(), tag_of(names))).into_iter();
        let (a, b) = (file("a", names(&["a"])), file("b", names(&["b", "a"])));
        let (c, copied) = (file("c", names(&["c", "b"])), file("d", names(&["a", "b"])));
        let unknown = file("e", names(&[]));
        let foreign = file("f", [(TAG_UNIQUE_KEYS.to_string(), "f".to_string())].into_iter());
        assert!(keys_identify_visitors(&[]) && keys_identify_visitors(&[&a]) && keys_identify_visitors(&[&a, &b]));
        assert!(keys_identify_visitors(&[&b, &a]) && keys_identify_visitors(&[&c, &b]));
        assert!(
            !keys_identify_visitors(&[&a, &c]) && !keys_identify_visitors(&[&a, &b, &c]),
            "nobody has seen a beside c"
        );
        for other in [&copied, &unknown, &foreign] {
            assert!(!keys_identify_visitors(&[other]) && !keys_identify_visitors(&[&a, other]), "{other:?}");
        }
        let mut c = c;
        name_others(&mut c.tags, ["b", "a"].into_iter());
        assert_eq!(named(&c.tags), ["c", "b", "a"]);
        assert!(keys_identify_visitors(&[&a, &b, &c]));
    }
}
