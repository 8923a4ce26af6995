//! Finds out whether keys tell visitors apart in several files together: hits, and the integrated rows of the same visitors.
//!
//! In: files that are about to be committed, and those that they will be beside. Out: the tags of the new ones name the
//! others (`unique_keys`), so that no question has to find out anew. Of each file its writer knows. That a key is of one visitor in
//! one file and of another one in another is seen by a look at the keys and ids of all: a small part of what was just written,
//! and no more than a question would read. Where it could not become known of all files of a bucket, none is taken.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{Int64Type, Schema, SchemaRef};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::TryStreamExt;
use rejoin_instances::planning;
use tokio::task::JoinSet;

use crate::columns::{VISITOR_ID, VISITOR_KEY, key_field};
use crate::lake::layout::{TAG_BUCKET, TAG_SUITE};
use crate::lake::scan::LakeTable;
use crate::lake::tables::{HITS, INTEGRATED};
use crate::lake::unique_keys::{keys_identify_visitors, name_others};
use crate::lake::{DataFile, Lake, NewFile, Snapshot};
use crate::{Error, Result};

/// Files of a bucket and suite that are looked at together, at most: more are read again and again while months come.
const MOST_FILES: usize = 8;

/// Rows that are read for each row that is new, at most: what writes little does not read much for this.
const ROWS_A_NEW_ROW: u64 = 20;

/// Lets new files of `table` name those files that journeys read beside them, where keys tell the visitors of all apart.
/// `stays` is true of the files that will be there beside the new ones.
pub async fn tag_unique_keys(
    lake: &Lake,
    table: &str,
    written: Vec<&mut NewFile>,
    stays: &(dyn Fn(&DataFile) -> bool + Sync),
) -> Result<()> {
    if ![HITS, INTEGRATED].contains(&table) || written.is_empty() {
        return Ok(());
    }
    let mut files: Vec<DataFile> = written.iter().map(|file| DataFile::from((**file).clone())).collect();
    let mut beside = Snapshot::open(lake, HITS, None).await?;
    files.extend(std::mem::take(&mut beside.files).into_iter().filter(stays));
    let integrated = Snapshot::open(lake, INTEGRATED, None).await?.files;
    files.extend(integrated.into_iter().filter(stays));
    let new = written.len();
    let mut sets = read_together(&files);
    sets.retain(|set| is_worth(&files, set, new));
    let at_once = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut named: Vec<BTreeSet<&str>> = vec![BTreeSet::new(); new];
    let mut looks = JoinSet::new();
    loop {
        while looks.len() < at_once
            && let Some(set) = sets.pop()
        {
            let of_set = set.iter().map(|number| files[*number].clone()).collect();
            let (lake, beside) = (lake.clone(), beside.clone());
            looks.spawn(async move { Ok::<_, Error>((are_apart(&lake, &beside, of_set).await?, set)) });
        }
        let Some(looked) = looks.join_next().await else { break };
        let (apart, set) = looked.map_err(|e| Error::bug(format!("holding files against each other: {e}")))??;
        for number in set.iter().filter(|number| apart && **number < new) {
            named[*number].extend(set.iter().map(|other| files[*other].relative.as_str()));
        }
    }
    for (file, names) in written.into_iter().zip(named).filter(|(_, names)| !names.is_empty()) {
        name_others(&mut file.tags, names.into_iter());
    }
    Ok(())
}

/// True where a look at a set of files can make it known of all, and is not much beside what was written: the first `new` of
/// `files` are.
fn is_worth(files: &[DataFile], set: &[usize], new: usize) -> bool {
    let (new, old): (Vec<usize>, Vec<usize>) = set.iter().partition(|number| **number < new);
    let [new, old] = [new, old].map(|numbers| numbers.into_iter().map(|number| &files[number]).collect::<Vec<_>>());
    let rows = |files: &[&DataFile]| files.iter().filter_map(|file| file.rows).sum::<u64>();
    !new.is_empty()
        && (2..=MOST_FILES).contains(&set.len())
        && rows(&old) <= ROWS_A_NEW_ROW * rows(&new)
        && new.iter().all(|file| keys_identify_visitors(std::slice::from_ref(file)))
        && keys_identify_visitors(&old)
}

/// Which files a question may read together: those of a bucket and suite, with those of the bucket that have rows of any suite.
fn read_together(files: &[DataFile]) -> Vec<Vec<usize>> {
    let mut buckets: BTreeMap<&String, Vec<usize>> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        if let Some(bucket) = file.tags.get(TAG_BUCKET) {
            buckets.entry(bucket).or_default().push(number);
        }
    }
    let mut sets = vec![];
    for numbers in buckets.into_values() {
        let suite = |number: &usize| files[*number].tags.get(TAG_SUITE);
        let suites: BTreeSet<&String> = numbers.iter().filter_map(suite).collect();
        let of = |wanted: &String| -> Vec<usize> {
            numbers.iter().filter(|number| suite(number).is_none_or(|suite| suite == wanted)).copied().collect()
        };
        match suites.is_empty() {
            true => sets.push(numbers),
            false => sets.extend(suites.into_iter().map(of)),
        }
    }
    sets
}

/// True when no key among the rows of `files`, each of which has its own visitors told apart, is of two visitors.
async fn are_apart(lake: &Lake, table: &Snapshot, files: Vec<DataFile>) -> Result<bool> {
    // one partition, so that rows come as they are in the file
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    context.register_object_store(lake.store_url().as_ref(), lake.store().clone());
    let schema: SchemaRef =
        Arc::new(Schema::new([VISITOR_KEY, VISITOR_ID].into_iter().filter_map(key_field).collect::<Vec<_>>()));
    let mut cursors = vec![];
    for file in files {
        let table = LakeTable::new(lake.clone(), Arc::new(table.only(vec![file])), schema.clone());
        let rows = planning::stream(context.read_table(Arc::new(table))?).await?;
        cursors.extend(FileCursor::open(rows).await?);
    }
    while let Some(key) = cursors.iter().map(FileCursor::key).min() {
        let is_of_one = {
            let mut ids = cursors.iter().filter(|cursor| cursor.key() == key).map(FileCursor::id);
            let first = ids.next();
            ids.all(|id| Some(id) == first)
        };
        if !is_of_one {
            return Ok(false);
        }
        let mut at = 0;
        while at < cursors.len() {
            if cursors[at].key() == key && !cursors[at].pass(key).await? {
                cursors.swap_remove(at);
            } else {
                at += 1;
            }
        }
    }
    Ok(true)
}

/// A file at one of its rows.
struct FileCursor {
    batches: SendableRecordBatchStream,
    keys: Int64Array,
    ids: StringArray,
    row: usize,
}

impl FileCursor {
    /// At the first row; None where there is none.
    async fn open(mut batches: SendableRecordBatchStream) -> Result<Option<Self>> {
        let Some((keys, ids)) = next_rows(&mut batches).await? else { return Ok(None) };
        Ok(Some(Self { batches, keys, ids, row: 0 }))
    }

    fn key(&self) -> i64 {
        self.keys.value(self.row)
    }

    /// None for a row without a visitor.
    fn id(&self) -> Option<&str> {
        self.ids.is_valid(self.row).then(|| self.ids.value(self.row))
    }

    /// Passes over the rows with a key; false when no row is left.
    async fn pass(&mut self, key: i64) -> Result<bool> {
        loop {
            while self.row < self.keys.len() {
                if self.key() != key {
                    return Ok(true);
                }
                self.row += 1;
            }
            let Some((keys, ids)) = next_rows(&mut self.batches).await? else { return Ok(false) };
            (self.keys, self.ids, self.row) = (keys, ids, 0);
        }
    }
}

/// Keys and ids of the next batch that has rows; None at the end.
async fn next_rows(batches: &mut SendableRecordBatchStream) -> Result<Option<(Int64Array, StringArray)>> {
    let of = |batch: &RecordBatch| {
        let keys = batch.column(0).as_primitive_opt::<Int64Type>()?.clone();
        Some((keys, batch.column(1).as_string_opt::<i32>()?.clone()))
    };
    while let Some(batch) = batches.try_next().await? {
        if batch.num_rows() > 0 {
            return of(&batch).map(Some).ok_or_else(|| Error::bug("visitors' keys or ids are of a strange type"));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::HashMap;

    use arrow::array::{ArrayRef, Decimal128Array, TimestampMicrosecondArray};

    use super::*;
    use crate::columns;
    use crate::lake::Change;
    use crate::lake::write::{SortedWriter, sort_context};

    type Row = (i64, Option<&'static str>);

    /// The one file of some rows, whose keys are of one bucket.
    async fn written(lake: &Lake, table: &str, suite: Option<&str>, rows: &[Row]) -> NewFile {
        let sequences: Decimal128Array = (0..rows.len()).map(|row| Some(row as i128)).collect();
        let times: TimestampMicrosecondArray = rows.iter().map(|_| Some(1)).collect();
        let columns: [(&str, ArrayRef, bool); 4] = [
            (VISITOR_KEY, Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>()), false),
            (VISITOR_ID, Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>()), true),
            (columns::HIT_TIME, Arc::new(times.with_timezone("UTC")), false),
            (columns::HIT_SEQ, Arc::new(sequences.with_data_type(columns::sequence())), false),
        ];
        let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
        let tags = HashMap::from_iter(suite.map(|suite| (TAG_SUITE.to_string(), suite.to_string())));
        let context = sort_context(64 << 20).unwrap();
        let mut writer = SortedWriter::start(lake, table, batch.schema(), tags, context).unwrap();
        writer.push(batch).await.unwrap();
        let mut files = writer.finish().await.unwrap().files;
        assert_eq!(files.len(), 1);
        files.swap_remove(0)
    }

    /// A lake with a file of hits for each suite and its rows.
    async fn lake_of(folder: &std::path::Path, hits: &[(&str, &[Row])]) -> Lake {
        let lake = Lake::open(folder.to_str().unwrap()).unwrap();
        for (suite, rows) in hits {
            let add = vec![written(&lake, HITS, Some(*suite), rows).await];
            let columns = [VISITOR_KEY, VISITOR_ID, columns::HIT_TIME, columns::HIT_SEQ].into_iter();
            let columns = columns.filter_map(key_field).collect();
            let before = Snapshot::open(&lake, HITS, None).await.unwrap();
            before.commit(&lake, Change { add, remove: vec![], columns }).await.unwrap();
        }
        lake
    }

    /// Whether keys distinguish integrated rows from the hits of each suite.
    async fn told(hits: &[(&str, &[Row])], integrated: &[Row]) -> Vec<bool> {
        let folder = tempfile::tempdir().unwrap();
        let lake = lake_of(folder.path(), hits).await;
        let mut new = written(&lake, INTEGRATED, None, integrated).await;
        tag_unique_keys(&lake, INTEGRATED, vec![&mut new], &|_| true).await.unwrap();
        let new = DataFile::from(new);
        let mut of_suites = BTreeMap::<String, Vec<DataFile>>::new();
        for file in Snapshot::open(&lake, HITS, None).await.unwrap().files {
            of_suites.entry(file.tags[TAG_SUITE].clone()).or_default().push(file);
        }
        let files = of_suites.values().map(|files| files.iter().chain([&new]).collect::<Vec<_>>());
        files.map(|files| keys_identify_visitors(&files)).collect()
    }

    #[tokio::test]
    async fn hits_and_integrated_rows_are_told_apart() {
        let hits: &[Row] = &[(1, Some("a")), (1, Some("a")), (2, Some("b")), (3, Some("c"))];
        assert_eq!(told(&[("web", hits)], &[(2, Some("b"))]).await, [true]);
        assert_eq!(told(&[("web", hits)], &[(0, Some("z")), (3, Some("c")), (9, None)]).await, [true]);
        // a key that is of another visitor there, or of nobody
        assert_eq!(told(&[("web", hits)], &[(1, Some("a")), (3, Some("x"))]).await, [false]);
        assert_eq!(told(&[("web", hits)], &[(3, None)]).await, [false]);
        // in the file itself
        assert_eq!(told(&[("web", hits)], &[(7, Some("x")), (7, Some("y"))]).await, [false]);
        let shared: &[Row] = &[(1, Some("a")), (1, Some("b"))];
        assert_eq!(told(&[("web", shared)], &[(7, Some("x"))]).await, [false]);
    }

    #[tokio::test]
    async fn suites_are_asked_about_one_by_one() {
        let (web, app): (&[Row], &[Row]) = (&[(1, Some("a"))], &[(1, Some("x")), (2, Some("b"))]);
        assert_eq!(told(&[("web", web), ("app", app)], &[(2, Some("b"))]).await, [true, true]);
        // by name: app, then web
        assert_eq!(told(&[("web", web), ("app", app)], &[(1, Some("x"))]).await, [true, false]);
        // nobody has held the two files of a suite against each other
        let more: &[Row] = &[(5, Some("e"))];
        assert_eq!(told(&[("web", web), ("web", more)], &[(2, Some("b"))]).await, [false]);
    }
}
