//! Visitor after visitor over the sorted inputs of a bucket.
//!
//! A visitor's rows are usually all in one batch of one input. A visitor of several inputs (generations of a bucket,
//! online and offline rows) is joined by time while its rows are taken, so that no more than a batch of each input is in
//! memory. Visitors without a row that matters are passed over.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::future::{BoxFuture, try_join_all};

use super::input::InputColumns;
use super::lane::{Lane, next_batch};
use super::metrics::Counts;
use super::visitors::Visitors;

/// A sorted input that is being opened.
pub(super) type Opening = BoxFuture<'static, Result<(SendableRecordBatchStream, InputColumns)>>;

/// The way over the inputs of one bucket after another.
pub(super) struct Traversal {
    /// Lanes that have the visitor at hand, and where its rows end in their batches; empty between visitors.
    ends: Vec<(usize, usize)>,
    /// The key of the visitor at hand or the one before, and whether two visitors of this bucket had one.
    last_key: Option<i64>,
    shared_key: bool,
    /// Of the batches at hand.
    lane_bytes: usize,
    reservation: MemoryReservation,
    counts: Counts,
}

impl Traversal {
    /// That accounts for all memory in `reservation`.
    pub fn new(reservation: MemoryReservation, counts: Counts) -> Self {
        Self { ends: vec![], last_key: None, shared_key: false, lane_bytes: 0, reservation, counts }
    }

    /// Goes over all visitors of one bucket: `streams` are sorted by visitor and time, and opened side by side. True when
    /// no two of them share a key and all hits have a visitor.
    pub async fn bucket<V: Visitors>(&mut self, visitors: &mut V, streams: Vec<Opening>) -> Result<bool> {
        (self.last_key, self.shared_key) = (None, false);
        let open = |stream: Opening| async move {
            let (mut stream, kind) = stream.await?;
            let first = next_batch(&mut stream).await?;
            Ok::<_, DataFusionError>((stream, kind, first))
        };
        let mut lanes = vec![];
        for (stream, kind, first) in try_join_all(streams.into_iter().map(open)).await? {
            if let Some(batch) = first {
                lanes.push(Lane::new(stream, kind, &batch, visitors)?);
            }
        }
        self.counts.rows.add(lanes.iter().map(|lane| lane.columns.rows).sum());
        self.lane_bytes = lanes.iter().map(Lane::memory_bytes).sum();
        self.account(visitors)?;
        let mut heads: BinaryHeap<Reverse<(i64, usize)>> =
            lanes.iter().enumerate().map(|(number, lane)| Reverse((lane.key(), number))).collect();
        let mut together: Vec<usize> = vec![];
        while let Some(Reverse((key, first))) = heads.pop() {
            together.clear();
            together.push(first);
            while let Some(Reverse((_, other))) = heads.peek().copied().filter(|Reverse((other, _))| *other == key) {
                heads.pop();
                together.push(other);
            }
            if together.len() == 1 {
                let until = heads.peek().map(|Reverse((key, _))| *key);
                self.alone(visitors, &mut lanes[first], until).await?;
            } else {
                self.joined(visitors, &mut lanes, &together).await?;
            }
            for &number in &together {
                if self.refill(visitors, &mut lanes[number]).await? {
                    heads.push(Reverse((lanes[number].key(), number)));
                }
            }
        }
        self.lane_bytes = 0;
        self.account(visitors)?;
        Ok(!self.shared_key && !lanes.iter().any(Lane::lacks_visitors))
    }

    /// Turns to the next visitor.
    fn turn_to(&mut self, key: i64) {
        self.shared_key |= self.last_key.replace(key) == Some(key);
    }

    /// The visitors of one lane that no other lane has: those before the key `until`.
    async fn alone<V: Visitors>(&mut self, visitors: &mut V, lane: &mut Lane, until: Option<i64>) -> Result<()> {
        loop {
            if !visitors.all_matter() && !lane.reads_ids() && lane.row < lane.columns.rows {
                self.counts.visitors.add(lane.pass(until));
            }
            if lane.row == lane.columns.rows || until.is_some_and(|key| lane.key() >= key) {
                return Ok(());
            }
            let end = lane.columns.end_of_visitor(lane.row);
            self.turn_to(lane.key());
            self.counts.visitors.add(usize::from(lane.columns.has_visitor(lane.row)));
            if end < lane.columns.rows {
                if visitors.all_matter() || lane.converts_before(end) {
                    take(visitors, lane, end);
                    visitors.close_visitor();
                } else {
                    lane.row = end;
                }
                continue;
            }
            // it may go on in the next batch
            let (key, id) = (lane.key(), lane.id().map(str::to_string));
            take(visitors, lane, end);
            while self.refill(visitors, lane).await? && lane.is_at(key, id.as_deref()) {
                let end = lane.columns.end_of_visitor(lane.row);
                take(visitors, lane, end);
            }
            visitors.close_visitor();
        }
    }

    /// One visitor of several lanes, whose rows at hand have one key. Of two visitors with that key, the first.
    async fn joined<V: Visitors>(&mut self, visitors: &mut V, lanes: &mut [Lane], together: &[usize]) -> Result<()> {
        let (mut first, others) =
            together.split_first().map(|(first, others)| (*first, others)).expect("there are lanes");
        // two visitors with one key are so rare that ids are compared only to see that they are none
        let one = others.iter().all(|&n| lanes[n].same_visitor(&lanes[first]));
        if !one {
            first = together.iter().copied().min_by_key(|&n| lanes[n].id()).expect("there are lanes");
        }
        let key = lanes[first].key();
        self.turn_to(key);
        let mut ends = std::mem::take(&mut self.ends);
        let (mut whole, mut converts) = (true, visitors.all_matter());
        for &number in together.iter().filter(|&&n| one || lanes[n].same_visitor(&lanes[first])) {
            ends.push((number, lanes[number].columns.end_of_visitor(lanes[number].row)));
        }
        for &(number, end) in &ends {
            whole &= end < lanes[number].columns.rows;
            converts |= lanes[number].converts_before(end);
        }
        self.counts.visitors.add(usize::from(lanes[first].columns.has_visitor(lanes[first].row)));
        if whole && !converts {
            ends.drain(..).for_each(|(number, end)| lanes[number].row = end);
            self.ends = ends;
            return Ok(());
        }
        // of those that read it, all have the same
        let telling = ends.iter().map(|(number, _)| &lanes[*number]).find(|lane| !whole && lane.reads_ids());
        let id = telling.and_then(Lane::id).map(str::to_string);
        while !ends.is_empty() {
            let (at, stop) = next_rows(lanes, &ends);
            let (number, end) = ends[at];
            let lane = &mut lanes[number];
            take(visitors, lane, stop);
            if stop < end {
                continue;
            }
            let at_end = stop == lane.columns.rows;
            let goes_on = at_end && self.refill(visitors, lane).await? && lane.is_at(key, id.as_deref());
            if goes_on {
                ends[at].1 = lane.columns.end_of_visitor(lane.row);
            } else {
                ends.swap_remove(at);
            }
        }
        self.ends = ends;
        visitors.close_visitor();
        Ok(())
    }

    /// The lane's next batch, when the one at hand has been passed; false at the end.
    async fn refill<V: Visitors>(&mut self, visitors: &mut V, lane: &mut Lane) -> Result<bool> {
        if lane.row < lane.columns.rows {
            return Ok(true);
        }
        self.lane_bytes = self.lane_bytes.saturating_sub(lane.memory_bytes());
        let batch = lane.next_batch().await?;
        let some = batch.is_some();
        if let Some(batch) = batch {
            lane.turn_to(&batch, visitors)?;
            self.counts.rows.add(lane.columns.rows);
            self.lane_bytes += lane.memory_bytes();
        }
        self.account(visitors)?;
        Ok(some)
    }

    /// Tells the memory pool what is held; about once a batch.
    fn account<V: Visitors>(&mut self, visitors: &mut V) -> Result<()> {
        match self.reservation.try_resize(self.lane_bytes + visitors.memory_bytes()) {
            Err(_) if visitors.spill()? => self.reservation.try_resize(self.lane_bytes + visitors.memory_bytes()),
            held => held,
        }
    }

    /// Writes what can wait to disk, between buckets.
    pub fn spill<V: Visitors>(&mut self, visitors: &mut V) -> Result<()> {
        visitors.spill()?;
        self.account(visitors)
    }

    /// Takes so much more.
    pub fn grow(&self, bytes: usize) -> Result<()> {
        self.reservation.try_grow(bytes)
    }
}

/// Takes the rows of the current visitor from the one at hand to before `end`.
fn take<V: Visitors>(visitors: &mut V, lane: &mut Lane, end: usize) {
    visitors.rows(&lane.columns, &mut lane.codes, lane.row..end);
    lane.row = end;
}

/// Of the lanes in `ends` (number, end of the visitor's rows), the one whose row comes first, and where its rows stop
/// being the first.
fn next_rows(lanes: &[Lane], ends: &[(usize, usize)]) -> (usize, usize) {
    let place_of = |number: usize, row: usize| (lanes[number].place(row), lanes[number].turn(row), number);
    let place = |(number, _): &(usize, usize)| place_of(*number, lanes[*number].row);
    let (at, &(number, end)) = ends.iter().enumerate().min_by_key(|(_, end)| place(end)).expect("some lane is left");
    let bound = ends.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, end)| place(end)).min();
    let lane = &lanes[number];
    let is_first = |row: usize| bound.is_none_or(|bound| place_of(number, row) < bound);
    // generations are mostly of different times
    if is_first(end - 1) {
        return (at, end);
    }
    let mut stop = lane.row + 1;
    while is_first(stop) {
        stop += 1;
    }
    (at, stop)
}
