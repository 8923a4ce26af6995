//! Small inputs that are written and committed together, once all is read of them.
//!
//! In: inputs that follow each other, with their decoded rows. Out: what became of each. They are committed all or none.

use std::collections::BTreeSet;

use arrow::datatypes::Field;
use tokio::task::JoinSet;

use super::decoding::{DecodedRows, LoadFiles};
use super::known::Marks;
use super::load::{self, Load};
use super::lookups::Lookups;
use super::outcome::{Progress, Status};
use super::preview::Preview;
use crate::feed::RowIssue;
use crate::lake::Lake;
use crate::lake::records::FileEntry;
use crate::{Error, Result};

/// Bytes of the rows of inputs that are written together, about: more make files no smaller, and the next inputs are read while they
/// are written.
const GROUP_BYTES: usize = 64 << 20;

/// Inputs that are written together at most: the tags of their files name them all.
const GROUP_INPUTS: usize = 64;

/// An input on its way.
pub(super) struct PendingInput {
    /// Its place among all.
    pub number: usize,
    pub name: String,
    pub id: String,
    pub marks: Marks,
    pub entry: FileEntry,
    /// The input of which it is a copy.
    pub original: Option<Box<FileEntry>>,
    pub findings: Findings,
    pub bytes_read: u64,
}

/// What is reported of the rows of an input, whatever becomes of it.
#[derive(Default)]
pub(super) struct Findings {
    pub rejects: Vec<RowIssue>,
    pub warnings: Vec<RowIssue>,
    pub preview: Option<Preview>,
}

/// An input, and what became of it.
pub(super) type Done = (PendingInput, Result<Status>);

/// An input that is read: nothing else is needed of it.
pub(super) struct ReadInput {
    pub rows: DecodedRows,
    pub load: Load,
    pub lookups: Lookups,
    /// What it is when it is committed.
    pub status: Status,
}

/// Inputs that are read, and are to be written and committed together.
pub(super) struct Group {
    members: Vec<(PendingInput, Status)>,
    loads: Vec<Load>,
    lookups: Lookups,
    rows: DecodedRows,
    /// Columns that the lake can have; none were looked at as long as there is one input.
    columns: BTreeSet<String>,
    /// What went wrong when rows came together.
    failed: Option<Error>,
}

impl Group {
    pub fn of(taken: PendingInput, read: ReadInput) -> Self {
        let ReadInput { rows, load, lookups, status } = read;
        let (members, loads) = (vec![(taken, status)], vec![load]);
        Self { members, loads, lookups, rows, columns: BTreeSet::new(), failed: None }
    }

    /// Memory that it takes, about.
    pub fn bytes(&self) -> usize {
        self.rows.bytes() + self.loads.iter().map(|load| load.rejects.bytes()).sum::<usize>()
    }

    pub fn entries(&self) -> Vec<FileEntry> {
        self.loads.iter().map(|load| load.entry.clone()).collect()
    }

    /// The columns that the files of each table, `hits` and `offline`, will have.
    pub fn fields(&self) -> [Vec<Field>; 2] {
        self.rows.fields()
    }

    /// True where one of these has the name of an input.
    pub fn has(&self, name: &str) -> bool {
        self.loads.iter().any(|load| load.entry.file == name)
    }

    /// True where it is as much as is written at once, with this memory for sorting.
    pub fn is_full(&self, sort_bytes: usize) -> bool {
        self.loads.len() >= GROUP_INPUTS || self.bytes() >= GROUP_BYTES.min(sort_bytes / 4) || self.rows.has_spilled()
    }

    /// True where the next input can be read while these are written: half of the memory for sorting is free.
    pub fn leaves_room(&self, sort_bytes: usize) -> bool {
        !self.rows.has_spilled() && self.bytes() <= sort_bytes / 2
    }

    /// True where an input can be written and committed together with these, after what brings the columns `before` of each table.
    pub async fn takes(&mut self, lake: &Lake, read: &ReadInput, before: &[Vec<Field>; 2]) -> bool {
        // the first one stands for all
        let is_like = |load: &Load| load.permission.takes_nothing_away() && load.headers == read.load.headers;
        self.loads.first().is_some_and(is_like)
            && is_like(&read.load)
            && self.rows.can_append(&read.rows)
            && self.columns_fit(lake, read, before).await
    }

    /// True where the lake can have the columns of the input, and of these: one that it cannot have is refused with its input alone.
    async fn columns_fit(&mut self, lake: &Lake, read: &ReadInput, before: &[Vec<Field>; 2]) -> bool {
        let own = self.columns.is_empty().then(|| self.rows.fields());
        for fields in own.into_iter().chain([read.rows.fields()]) {
            if fields.iter().flatten().all(|field| self.columns.contains(field.name())) {
                continue;
            }
            let [hits, offline] = [0, 1].map(|table| [before[table].as_slice(), fields[table].as_slice()].concat());
            if load::check_columns(lake, &hits, &offline).await.is_err() {
                return false;
            }
            self.columns.extend(fields.iter().flatten().map(|field| field.name().clone()));
        }
        true
    }

    pub fn add(&mut self, taken: PendingInput, read: ReadInput) {
        let ReadInput { rows, load, lookups, status } = read;
        if let Err(error) = self.rows.append(rows) {
            self.failed.get_or_insert(error);
        }
        self.members.push((taken, status));
        self.loads.push(load);
        // of two names of one id the one that came last stays
        for (table, names) in lookups {
            self.lookups.entry(table).or_default().extend(names);
        }
    }

    /// Writes the rows.
    pub async fn write(self) -> WrittenGroup {
        let Self { members, loads, lookups, rows, columns: _, failed } = self;
        let files = match failed {
            Some(error) => Err(error),
            None => rows.write().await,
        };
        WrittenGroup { members, loads, lookups, files }
    }
}

/// Inputs whose rows are in files that are not committed.
pub(super) struct WrittenGroup {
    members: Vec<(PendingInput, Status)>,
    loads: Vec<Load>,
    lookups: Lookups,
    files: Result<LoadFiles>,
}

impl WrittenGroup {
    /// Commits them.
    pub async fn commit(self, lake: &Lake, progress: &(dyn Fn(Progress) + Send + Sync)) -> Vec<Done> {
        let Self { members, loads, lookups, files } = self;
        let committed = async {
            let (lake, files) = (lake.clone(), files?);
            progress(Progress::Committing);
            // beside the reading of the next input; ends when nobody waits here
            let mut commit = JoinSet::new();
            commit.spawn(async move { load::commit(&lake, loads, files, lookups).await });
            let done = commit.join_next().await.ok_or_else(|| Error::bug("a commit was begun and is not there"))?;
            progress(Progress::Committed);
            done.map_err(|e| Error::bug(format!("a commit stopped: {e}")))?
        }
        .await;
        members.into_iter().map(|(taken, status)| (taken, committed.clone().map(|()| status))).collect()
    }
}
