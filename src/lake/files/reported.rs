//! Files of hits all of which are reported: none is excluded, and none happened in the background.
//!
//! The writer of a file sees it, and has a tag say so, which names the file: a writer that does not know the tag and copies it says
//! nothing by it. A reader of such files alone need not read the columns that tell of single hits.

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::Int64Type;

use super::layout::TAG_REPORTED;
use crate::columns::{BACKGROUND_HIT, EXCLUDE_HIT};
use crate::lake::DataFile;

/// Finds out whether all rows that are written are reported.
#[derive(Debug, Default)]
pub(super) struct Reported {
    /// Some rows have a column that tells it.
    is_told: bool,
    some_are_not: bool,
}

impl Reported {
    /// Takes the next rows.
    pub fn take(&mut self, batch: &RecordBatch) {
        let (excluded, background) = (batch.column_by_name(EXCLUDE_HIT), batch.column_by_name(BACKGROUND_HIT));
        self.is_told |= excluded.is_some();
        // a column of another type may say anything
        let excluded = excluded.map(|column| column.as_primitive_opt::<Int64Type>());
        let excluded = excluded.is_some_and(|reasons| reasons.is_none_or(|reasons| reasons.iter().any(excludes)));
        let background = background.map(|column| column.as_boolean_opt());
        self.some_are_not |= excluded || background.is_some_and(|hits| hits.is_none_or(BooleanArray::has_true));
    }

    /// The tag of `file` with these rows, if all are reported.
    pub fn tag(&self, file: &str) -> Option<(String, String)> {
        (self.is_told && !self.some_are_not).then(|| (TAG_REPORTED.to_string(), file.to_string()))
    }
}

/// True for a reason to exclude a hit.
fn excludes(reason: Option<i64>) -> bool {
    reason.is_some_and(|reason| reason != 0)
}

/// True where all rows of `files` are reported hits, by what their tags say.
pub fn are_all_reported(files: &[&DataFile]) -> bool {
    files.iter().all(|file| file.tags.get(TAG_REPORTED) == Some(&file.relative))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    /// Rows with the reason for which each is excluded, and whether it happened in the background, where a column says so.
    fn batch(excluded: &[Option<i64>], background: Option<&[Option<bool>]>) -> RecordBatch {
        let mut columns = vec![(EXCLUDE_HIT, Arc::new(Int64Array::from(excluded.to_vec())) as ArrayRef)];
        columns
            .extend(background.map(|rows| (BACKGROUND_HIT, Arc::new(BooleanArray::from(rows.to_vec())) as ArrayRef)));
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn told(batches: &[RecordBatch]) -> bool {
        let mut reported = Reported::default();
        batches.iter().for_each(|batch| reported.take(batch));
        reported.tag("a").is_some()
    }

    #[test]
    fn one_hit_that_is_not_reported_is_enough() {
        let (reported, excluded) = (batch(&[Some(0), None], None), batch(&[Some(0), Some(2)], None));
        assert!(told(std::slice::from_ref(&reported)) && !told(std::slice::from_ref(&excluded)));
        assert!(!told(&[reported.clone(), excluded.clone()]) && !told(&[excluded, reported.clone()]));
        let background = |happened: bool| batch(&[Some(0), Some(0)], Some(&[None, Some(happened)]));
        assert!(told(&[background(false), reported.clone()]) && !told(&[reported, background(true)]));
    }

    #[test]
    fn other_rows_and_other_types_say_nothing() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["0"]));
        let named = |name: &str| RecordBatch::try_from_iter([(name, texts.clone())]).unwrap();
        assert!(!told(&[]) && !told(&[named("row_kind")]) && !told(&[named(EXCLUDE_HIT)]));
        let hit = batch(&[Some(0)], None);
        assert!(told(&[named("row_kind"), hit.clone()]) && !told(&[named(EXCLUDE_HIT), hit]));
    }

    #[test]
    fn a_tag_is_of_the_file_that_it_names() {
        let file = |name: &str, tag: Option<&str>| DataFile {
            relative: name.into(),
            path: name.into(),
            size: 1,
            rows: Some(1),
            hit_time: None,
            tags: tag.map(|tag| (TAG_REPORTED.to_string(), tag.to_string())).into_iter().collect(),
        };
        let (own, untold, copied) = (file("a", Some("a")), file("b", None), file("c", Some("a")));
        assert!(are_all_reported(&[]) && are_all_reported(&[&own]));
        assert!(!are_all_reported(&[&own, &untold]) && !are_all_reported(&[&copied]));
    }
}
