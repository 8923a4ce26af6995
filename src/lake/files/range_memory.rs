//! Memory of the files that are read at once for a range of keys: it is reserved for all of them before the first is opened.
//!
//! A merge of many files holds a row group of each until its end, and what is decompressed of it: a page and the dictionary of each
//! column. Ranges that opened their files one by one would wait for each other with some of them open. So a range begins when there is
//! memory for all of its files, and others wait meanwhile. A range takes what is left where nothing moves any more, because the holder
//! of the memory waits for this range, or where others are always sooner. Where the row groups of one range are too much, and where it
//! costs little, files are read in slices of a few pages, which the decoder gets one after another. Each slice brings the dictionaries
//! again, so slices are no smaller than they must be.
//!
//! Merges also hold decoded rows of each file. A range begins when there is memory for these as well, and they take it from there.

use std::collections::HashSet;
use std::fmt;
use std::iter;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::{MemoryLimit, MemoryPool, MemoryReservation};
use object_store::path::Path;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};

use super::reader_memory::{ReaderMemory, decoded};
use super::write::PAGE_ROWS;

/// Files that are read at once, from which on their memory is asked for together. Fewer ask for themselves.
pub(super) const MANY_FILES: usize = 8;

/// Batches of each file that a merge has at hand: its next rows, those that the next output is made of, and one that was decoded
/// before its turn.
pub(super) const BATCHES_AT_HAND: usize = 3;

/// The part of the pool that the files of a range take where slices cost little.
const WANTED_PART: usize = 16;

/// The part of what is read that slices may read again where nothing forces them.
const AGAIN_PART: usize = 4;

/// A range waits while others hold theirs and memory moves; for so many looks at which none did, about ten seconds, since what they
/// give may be written or sorted meanwhile.
const LOOKS: usize = 500;

/// It waits no longer than this where others are always sooner. One that goes on while others are at work may take its memory beside
/// the pool.
const MOST_WAIT: Duration = Duration::from_secs(600);

/// Pages of a slice, from the largest one on.
const SLICES: [usize; 4] = [8, 4, 2, 1];

/// Ranges of this process whose memory is held.
static RANGES: AtomicUsize = AtomicUsize::new(0);

/// What it takes to read some columns of a file.
#[derive(Debug, Clone)]
pub(super) struct FileCost {
    path: Path,
    /// Rows that are read.
    rows: usize,
    groups: Vec<GroupCost>,
}

/// What it takes to read a row group.
#[derive(Debug, Clone)]
struct GroupCost {
    /// Pages of a column.
    pages: usize,
    /// Bytes of the dictionary and of the pages of each column, as they are in the file.
    columns: Vec<(usize, usize)>,
    /// Bytes of the dictionary and of a page of all of them, unpacked.
    unpacked: usize,
}

impl FileCost {
    /// That of the columns with these names, where of each row group so many rows are read.
    pub fn of(path: &Path, footer: &ParquetMetaData, columns: &HashSet<String>, rows: &[usize]) -> Self {
        let groups = footer.row_groups().iter().zip(rows).filter(|(_, rows)| **rows > 0).map(|(group, rows)| {
            let all = usize::try_from(group.num_rows()).unwrap_or_default().max(1);
            let is_read = |chunk: &&ColumnChunkMetaData| {
                chunk.column_path().parts().first().is_some_and(|name| columns.contains(name))
            };
            let chunks = || group.columns().iter().filter(is_read);
            let part = |(dictionary, pages): (usize, usize)| (dictionary, part_of(pages, *rows, all));
            GroupCost {
                pages: rows.div_ceil(PAGE_ROWS),
                columns: chunks().map(bytes_of).map(part).collect(),
                unpacked: chunks().map(|chunk| unpacked(chunk, all)).fold(0, usize::saturating_add),
            }
        });
        let read = rows.iter().copied().fold(0, usize::saturating_add);
        Self { path: path.clone(), rows: read, groups: groups.collect() }
    }

    /// Rows that are read of it.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes that a reader holds of it, with its decoders: of a row group, or of a slice of so many pages.
    fn held(&self, slice: Option<usize>) -> usize {
        self.groups.iter().map(|group| group.held(slice)).max().unwrap_or(0)
    }

    /// Bytes that are read.
    fn read(&self) -> usize {
        let columns = self.groups.iter().flat_map(|group| &group.columns);
        columns.map(|(dictionary, pages)| dictionary.saturating_add(*pages)).fold(0, usize::saturating_add)
    }

    /// Bytes that slices of so many pages read again.
    fn again(&self, slice: usize) -> usize {
        let of = |group: &GroupCost| {
            let dictionaries = group.columns.iter().map(|(dictionary, _)| *dictionary).fold(0, usize::saturating_add);
            dictionaries.saturating_mul(group.pages.div_ceil(slice).saturating_sub(1))
        };
        self.groups.iter().map(of).fold(0, usize::saturating_add)
    }
}

impl GroupCost {
    fn held(&self, slice: Option<usize>) -> usize {
        let all = self.pages.max(1);
        let part = slice.unwrap_or(all).min(all);
        let of = |(dictionary, pages): &(usize, usize)| decoded(dictionary.saturating_add(part_of(*pages, part, all)));
        self.columns.iter().map(of).fold(self.unpacked, usize::saturating_add)
    }
}

/// Bytes of the dictionary and of the pages of a column; none where the footer makes no sense.
fn bytes_of(chunk: &ColumnChunkMetaData) -> (usize, usize) {
    let all = usize::try_from(chunk.compressed_size()).unwrap_or_default();
    let dictionary = chunk.dictionary_page_offset().map_or(0, |at| chunk.data_page_offset().saturating_sub(at));
    let dictionary = usize::try_from(dictionary).unwrap_or_default().min(all);
    (dictionary, all - dictionary)
}

/// Bytes of the dictionary of a column of so many rows, which is about as well packed as the rest, and of a page, unpacked.
pub(super) fn unpacked(chunk: &ColumnChunkMetaData, rows: usize) -> usize {
    let (dictionary, pages) = bytes_of(chunk);
    let all = usize::try_from(chunk.uncompressed_size()).unwrap_or_default();
    let dictionary = part_of(all, dictionary, (dictionary + pages).max(1)).min(all);
    dictionary + (all - dictionary) / rows.div_ceil(PAGE_ROWS).max(1)
}

/// So many of `all` parts of some bytes, rounded up; `all` is not 0.
fn part_of(bytes: usize, some: usize, all: usize) -> usize {
    let part = (bytes as u128 * some as u128).div_ceil(all as u128);
    usize::try_from(part).unwrap_or(usize::MAX)
}

/// What all files of a range hold at once: of each lane one file.
fn held(lanes: &[Vec<FileCost>], slice: Option<usize>) -> usize {
    let of = |lane: &Vec<FileCost>| lane.iter().map(|file| file.held(slice)).max().unwrap_or(0);
    lanes.iter().map(of).fold(0, usize::saturating_add)
}

/// Pages of a slice; None where files are read by row groups.
fn slice_of(lanes: &[Vec<FileCost>], limit: usize) -> Option<usize> {
    let files = || lanes.iter().flatten();
    let read = files().map(FileCost::read).fold(0, usize::saturating_add);
    let mut chosen = None;
    for pages in SLICES {
        let now = held(lanes, chosen);
        if now <= limit / WANTED_PART {
            break;
        }
        let again = files().map(|file| file.again(pages)).fold(0, usize::saturating_add);
        // a slice of one page costs about as much to begin as to decode
        let costs_little = pages > 1 && again <= read / AGAIN_PART;
        if (costs_little || now > limit / 2) && held(lanes, Some(pages)) < now {
            chosen = Some(pages);
        }
    }
    chosen
}

/// The memory of all files that are read at once for a range. It is there as long as this is, or one of their readers.
pub struct RangeMemory {
    files: HashSet<Path>,
    slice: Option<usize>,
    /// What is held for rows of them that merges have at hand, as far as none has taken it.
    at_hand: Mutex<MemoryReservation>,
    /// What is held for them; given back before nobody counts it any more.
    _held: ReaderMemory,
    _counted: CountedRange,
}

/// A range that holds its memory, one of [`RANGES`].
struct CountedRange;

impl CountedRange {
    fn new() -> Self {
        RANGES.fetch_add(1, Ordering::Relaxed);
        Self
    }

    /// None where another range holds memory.
    fn first() -> Option<Self> {
        match RANGES.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => Some(Self),
            Err(_) => None,
        }
    }
}

impl Drop for CountedRange {
    fn drop(&mut self) {
        RANGES.fetch_sub(1, Ordering::Relaxed);
    }
}

impl RangeMemory {
    /// That of some lanes, of each of which one file is read at a time, and of so many bytes of their rows that are at hand. Waits
    /// until it is there; None where the pool has no end.
    ///
    /// # Errors
    /// There is no memory, and none comes and goes.
    pub(super) async fn hold(
        pool: &Arc<dyn MemoryPool>,
        lanes: &[Vec<FileCost>],
        at_hand: usize,
    ) -> Result<Option<Arc<Self>>> {
        let MemoryLimit::Finite(limit) = pool.memory_limit() else { return Ok(None) };
        let mut slice = slice_of(lanes, limit);
        let mut memory = ReaderMemory::of(pool.clone());
        let bytes = held(lanes, slice);
        let first = OnceLock::new();
        let is_first = || CountedRange::first().is_some_and(|counted| first.set(counted).is_ok());
        let since = Instant::now();
        let goes_on = || is_first() || since.elapsed() > MOST_WAIT;
        let at_hand = match memory.hold_in_turn(bytes.saturating_add(at_hand), LOOKS, goes_on).await {
            true => memory.split(at_hand),
            false => {
                let rest = |slice| held(lanes, slice).saturating_add(at_hand);
                match iter::once(slice).chain(SLICES.map(Some)).find(|slice| memory.hold_of_rest(rest(*slice))) {
                    Some(largest) => {
                        slice = largest;
                        memory.split(at_hand)
                    }
                    None => {
                        let least = SLICES.last().copied();
                        slice = if held(lanes, least) < bytes { least } else { slice };
                        memory.hold(held(lanes, slice)).await?;
                        // merges find theirs as they go
                        memory.split(0)
                    }
                }
            }
        };
        let files = lanes.iter().flatten().map(|file| file.path.clone()).collect();
        let counted = first.into_inner().unwrap_or_else(CountedRange::new);
        Ok(Some(Arc::new(Self { files, slice, at_hand: Mutex::new(at_hand), _held: memory, _counted: counted })))
    }

    /// That in which a plan is executed, if it is.
    pub(super) fn of(context: &TaskContext) -> Option<Arc<Self>> {
        context.session_config().get_extension::<Self>()
    }

    /// The context for plans whose files these are.
    pub(super) fn within(self: Arc<Self>, context: &TaskContext) -> Arc<TaskContext> {
        Arc::new(TaskContext::new(
            context.task_id(),
            context.session_id(),
            context.session_config().clone().with_extension(self),
            context.scalar_functions().clone(),
            context.higher_order_functions().clone(),
            context.aggregate_functions().clone(),
            context.window_functions().clone(),
            context.runtime_env(),
        ))
    }

    /// Memory for rows that a merge has at hand: so many bytes, or what is left.
    pub(super) fn at_hand(&self, bytes: usize) -> MemoryReservation {
        let left = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
        left.split(bytes.min(left.size()))
    }

    /// True for a file whose memory this is.
    pub(super) fn has(&self, file: &Path) -> bool {
        self.files.contains(file)
    }

    /// Rows of a slice, where its files are read in slices.
    pub(super) fn slice_rows(&self) -> Option<usize> {
        self.slice.map(|pages| pages * PAGE_ROWS)
    }
}

impl fmt::Debug for RangeMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RangeMemory").field("slice", &self.slice).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
    use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryConsumer, UnboundedMemoryPool};
    use parquet::arrow::ArrowWriter;

    use super::super::write::parquet_properties;
    use super::*;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// So many files side by side, each a row group of so many pages, with a dictionary and pages of so many KiB a column.
    fn lanes(files: usize, pages: usize, columns: &[(usize, usize)]) -> Vec<Vec<FileCost>> {
        let columns: Vec<_> = columns.iter().map(|(dictionary, pages)| (dictionary * KIB, pages * KIB)).collect();
        let file = |number: usize| FileCost {
            path: Path::from(format!("{number}.parquet")),
            rows: pages * PAGE_ROWS,
            groups: vec![GroupCost { pages, columns: columns.clone(), unpacked: 0 }],
        };
        (0..files).map(|number| vec![file(number)]).collect()
    }

    /// The columns of a question, and of a rebuild, of a day with a million hits.
    const FEW: [(usize, usize); 4] = [(0, 237), (0, 614), (8, 158), (0, 5)];
    const ALL: [(usize, usize); 9] =
        [(0, 237), (0, 351), (594, 170), (0, 614), (0, 9), (17, 12), (8, 158), (2, 37), (8, 12)];

    #[test]
    fn a_row_group_or_the_pages_of_a_slice_are_held() {
        let lanes = lanes(3, 4, &[(10, 400), (0, 8)]);
        let one = |slice: Option<usize>| held(&lanes, slice) / 3;
        assert_eq!(one(None), decoded(410 * KIB) + decoded(8 * KIB));
        assert_eq!(one(Some(4)), one(None));
        assert_eq!(one(Some(8)), one(None));
        assert_eq!(one(Some(1)), decoded(110 * KIB) + decoded(2 * KIB));
        assert_eq!([1, 2, 4].map(|slice| lanes[0][0].again(slice)), [30 * KIB, 10 * KIB, 0]);
        // files of one lane are read one after another
        let [file, other] = [&lanes[0][0], &self::lanes(1, 1, &[(0, 1)])[0][0]].map(Clone::clone);
        assert_eq!(held(&[vec![file, other]], None), one(None));
    }

    #[test]
    fn slices_come_where_they_cost_little_or_must_be() {
        let many = lanes(90, 7, &FEW);
        assert_eq!(slice_of(&many, 4 << 30), None, "memory is ample");
        assert_eq!(slice_of(&many, 1 << 30), Some(2));
        assert_eq!(slice_of(&many, 512 * MIB), Some(2), "single pages only where it must be");
        assert_eq!(slice_of(&many, 64 * MIB), Some(1));
        assert_eq!(slice_of(&lanes(90, 1, &FEW), 64 * MIB), None, "a page is all that there is");
        // dictionaries would be read again and again
        let all = lanes(90, 7, &ALL);
        assert_eq!(slice_of(&all, 1 << 30), None);
        let limit = 400 * MIB;
        let must = slice_of(&all, limit);
        assert!(must.is_some() && held(&all, None) > limit / 2 && held(&all, must) < held(&all, None));
    }

    #[tokio::test]
    async fn merges_take_what_is_held_for_their_rows() {
        let lanes = lanes(10, 1, &[(0, 10)]);
        let files = held(&lanes, None);
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(2 * (files + 10 * KIB)));
        let memory = RangeMemory::hold(&pool, &lanes, 10 * KIB).await.unwrap().unwrap();
        assert_eq!(pool.reserved(), files + 10 * KIB);
        let merge = memory.at_hand(4 * KIB);
        let other = memory.at_hand(9 * KIB);
        assert_eq!((merge.size(), other.size(), memory.at_hand(1).size()), (4 * KIB, 6 * KIB, 0));
        drop(merge);
        assert_eq!(pool.reserved(), files + 6 * KIB);
        drop((memory, other));
        assert_eq!(pool.reserved(), 0);
    }

    #[test]
    fn a_page_and_the_dictionary_are_unpacked() {
        // texts that are known from their numbers pack well
        let text = |row: usize| format!("a text of some length, one of a thousand: {:04}", row % 1000);
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..3 * PAGE_ROWS).map(text)));
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values((0..).take(3 * PAGE_ROWS)));
        let rows = RecordBatch::try_from_iter([("text", texts), ("number", numbers)]).unwrap();
        let properties = parquet_properties(&rows.schema(), None).unwrap();
        let mut writer = ArrowWriter::try_new(Vec::<u8>::new(), rows.schema(), Some(properties)).unwrap();
        writer.write(&rows).unwrap();
        let footer = writer.finish().unwrap();
        let costs = |names: &[&str], rows: usize| {
            let columns = names.iter().map(|name| name.to_string()).collect();
            FileCost::of(&Path::from("x.parquet"), &footer, &columns, &[rows])
        };
        let [all, part] = [3, 1].map(|pages| costs(&["text"], pages * PAGE_ROWS));
        assert_eq!((all.rows(), part.rows()), (3 * PAGE_ROWS, PAGE_ROWS));
        // the dictionary, however few rows are read
        for cost in [&all, &part] {
            let unpacked = cost.groups[0].unpacked;
            assert!((1000 * 40..1000 * 100 + 2 * PAGE_ROWS).contains(&unpacked), "{unpacked}");
            assert_eq!(cost.held(None), unpacked + decoded(cost.read()));
        }
        let both = costs(&["text", "number"], PAGE_ROWS);
        assert!(both.groups[0].unpacked > all.groups[0].unpacked);
        assert_eq!(costs(&["other"], PAGE_ROWS).held(None), 0);
    }

    #[tokio::test]
    async fn of_what_is_left_the_largest_slices_are_held() {
        let lanes = lanes(10, 4, &[(400, 400)]);
        let [all, two, one] = [None, Some(2), Some(1)].map(|slice| held(&lanes, slice));
        let limit = 2 * all + 2 * MIB;
        let pool: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(limit));
        assert_eq!(slice_of(&lanes, limit), None, "dictionaries would be read again");
        let other = MemoryConsumer::new("another").register(&pool);
        for (left, slice, bytes) in [(all, None, all), (all - KIB, Some(2), two), (two - KIB, Some(1), one)] {
            // a sixteenth stays, and what is at hand comes beside
            other.try_resize(limit - limit / 16 - left - KIB).unwrap();
            let memory = RangeMemory::hold(&pool, &lanes, KIB).await.unwrap().unwrap();
            assert_eq!(memory.slice_rows(), slice.map(|pages| pages * PAGE_ROWS));
            assert_eq!(pool.reserved(), other.size() + bytes + KIB);
            assert_eq!(memory.at_hand(MIB).size(), KIB);
        }
    }

    #[tokio::test]
    async fn a_range_that_is_too_large_goes_on_alone() {
        let large = lanes(20, 3, &[(0, 30)]);
        let unbounded: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        assert!(RangeMemory::hold(&unbounded, &large, 0).await.unwrap().is_none());
        let small: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100 * KIB));
        let memory = RangeMemory::hold(&small, &large, KIB).await.unwrap().unwrap();
        assert_eq!(memory.slice_rows(), Some(PAGE_ROWS));
        assert!(memory.has(&Path::from("19.parquet")) && !memory.has(&Path::from("20.parquet")));
        // beside the pool, which has no room for it
        assert_eq!((small.reserved(), memory.at_hand(KIB).size()), (0, 0));
        let context = memory.within(&TaskContext::default());
        assert_eq!(RangeMemory::of(&context).unwrap().slice_rows(), Some(PAGE_ROWS));
        assert!(RangeMemory::of(&TaskContext::default()).is_none());
    }
}
