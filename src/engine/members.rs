//! Who belongs to segments, as it was found.
//!
//! Memory: the members of each segment that a statement names, accounted in the memory pool as long as they are known; a
//! session keeps those of its last segments for the version of the lake that they were found in.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::error::Result;
use datafusion::execution::memory_pool::MemoryReservation;

use crate::attribution::Container;
use crate::columns::timestamp;
use crate::functions::{MemberKind, Members};
use crate::lake::segments::Segment;

/// Segments whose members a session keeps, and how much memory they may take together; larger ones are found anew.
const MOST_KEPT: usize = 8;
const MOST_KEPT_BYTES: usize = 32 << 20;

/// Members by the name of their segment, as long as they are needed.
#[derive(Debug, Clone, Default)]
pub struct KnownSegments(BTreeMap<String, Arc<SegmentMembers>>);

/// The members of a segment in a version of the lake.
#[derive(Debug)]
pub(super) struct SegmentMembers {
    members: Members,
    segment: Segment,
    /// Versions of the tables that they were found in, and the suite.
    version: String,
    memory: MemoryReservation,
}

/// The members that a session has found, the latest last.
#[derive(Debug, Default)]
pub(super) struct KeptSegments(Vec<Arc<SegmentMembers>>);

impl KeptSegments {
    /// Those of a segment in this version of the lake.
    pub fn find(&self, segment: &Segment, version: &str) -> Option<Arc<SegmentMembers>> {
        self.0.iter().find(|found| found.segment == *segment && found.version == version).cloned()
    }

    /// Keeps what was found; those of other versions go.
    pub fn keep(&mut self, found: Arc<SegmentMembers>) {
        self.0.retain(|other| other.version == found.version);
        self.0.push(found);
        let bytes = |kept: &[Arc<SegmentMembers>]| kept.iter().map(|found| found.memory.size()).sum::<usize>();
        while self.0.len() > MOST_KEPT || bytes(&self.0) > MOST_KEPT_BYTES {
            self.0.remove(0);
        }
    }
}

impl KnownSegments {
    /// Adds the members of a segment.
    pub(super) fn add(&mut self, name: &str, found: Arc<SegmentMembers>) {
        self.0.insert(name.into(), found);
    }

    /// Who belongs to a segment.
    pub fn members(&self, name: &str) -> Option<&Members> {
        self.0.get(name).map(|found| &found.members)
    }
}

/// Batches of `segment_members` become the members.
pub(super) struct CollectedMembers {
    segment: Segment,
    /// Of visitors or persons; of visits, those of each visitor.
    ids: HashMap<String, Vec<(i64, i64)>>,
    bytes: usize,
    memory: MemoryReservation,
}

impl CollectedMembers {
    /// None so far.
    pub fn new(segment: Segment, memory: MemoryReservation) -> Self {
        Self { segment, ids: HashMap::new(), bytes: 0, memory }
    }

    /// Takes the members of a batch.
    pub fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let ids = cast(batch.column(0), &DataType::Utf8)?;
        let in_visits = self.segment.container == Container::Visit;
        let visits = match in_visits {
            true => Some((cast(batch.column(1), &DataType::Int64)?, cast(batch.column(2), &timestamp())?)),
            false => None,
        };
        for (row, id) in ids.as_string::<i32>().iter().enumerate() {
            let Some(id) = id else { continue };
            if !self.ids.contains_key(id) {
                // the text, its place in the table, an empty list
                self.bytes += id.len() + 64;
                self.ids.insert(id.to_string(), vec![]);
            }
            if let Some((numbers, starts)) = &visits {
                let (numbers, starts) =
                    (numbers.as_primitive::<Int64Type>(), starts.as_primitive::<TimestampMicrosecondType>());
                let of = self.ids.entry(id.to_string()).or_default();
                of.push((numbers.value(row), starts.value(row)));
                self.bytes += 24;
            }
        }
        self.memory.try_resize(self.bytes)
    }

    /// All that were taken, of this version of the lake.
    pub fn found(self, version: String) -> Arc<SegmentMembers> {
        let kind = match self.segment.container {
            Container::Visit => MemberKind::Visits,
            Container::Visitor if self.segment.by_person => MemberKind::Persons,
            Container::Visitor => MemberKind::Visitors,
        };
        let members = Members::new(kind, self.ids);
        Arc::new(SegmentMembers { members, segment: self.segment, version, memory: self.memory })
    }
}
