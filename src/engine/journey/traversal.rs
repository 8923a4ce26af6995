//! Visitor after visitor over the sorted inputs of a bucket.
//!
//! A visitor's rows are usually all in one batch of one input. A visitor of several inputs (generations of a bucket,
//! online and offline rows) is joined by time while its rows are taken, so that no more than a batch of each input is in
//! memory. Visitors without a row that matters are passed over.

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::SinkExt;
use futures::channel::mpsc::Sender;
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
    /// True where it is asked whether two visitors have one key, so that all must be looked at.
    learns_keys: bool,
    /// Of the batches at hand.
    lane_bytes: usize,
    reservation: MemoryReservation,
    counts: Counts,
    /// Who takes what is found while a bucket is read.
    out: Option<Sender<RecordBatch>>,
}

impl Traversal {
    /// That accounts for all memory in `reservation`, and looks at all visitors if it `learns_keys`.
    pub fn new(reservation: MemoryReservation, counts: Counts, learns_keys: bool) -> Self {
        Self {
            ends: vec![],
            last_key: None,
            shared_key: false,
            learns_keys,
            lane_bytes: 0,
            reservation,
            counts,
            out: None,
        }
    }

    /// Hands on to `out` what is found while a bucket is read.
    pub fn handing_on(self, out: Sender<RecordBatch>) -> Self {
        Self { out: Some(out), ..self }
    }

    /// Goes over all visitors of one bucket: `streams` are sorted by visitor and time, and opened side by side. True when
    /// no two of them share a key and all hits have a visitor, as far as that was asked.
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
        // of each lane that has rows left: the key at hand, and the first of its batch that may matter
        let mut heads: Vec<Option<(i64, i64)>> =
            lanes.iter_mut().map(|lane| Some((lane.key(), lane.next_key()))).collect();
        let passes = !self.learns_keys && !visitors.all_matter();
        let mut together: Vec<usize> = vec![];
        loop {
            // before the least of these keys nobody converts, in any lane
            if let Some(key) = heads.iter().flatten().map(|(_, next)| *next).min().filter(|_| passes) {
                for (lane, head) in lanes.iter_mut().zip(&mut heads) {
                    if let Some((at_hand, _)) = head
                        && *at_hand < key
                    {
                        lane.pass_to(key);
                        *at_hand = lane.key();
                    }
                }
            }
            let Some(key) = heads.iter().flatten().map(|(key, _)| *key).min() else { break };
            together.clear();
            let mut until: Option<i64> = None;
            for (number, head) in heads.iter().enumerate() {
                match head {
                    Some((own, _)) if *own == key => together.push(number),
                    Some((other, _)) => until = Some(until.map_or(*other, |until| until.min(*other))),
                    None => {}
                }
            }
            match together.as_slice() {
                [only] => self.alone(visitors, &mut lanes[*only], until).await?,
                _ => self.joined(visitors, &mut lanes, &together).await?,
            }
            for &number in &together {
                let lane = &mut lanes[number];
                heads[number] = match self.refill(visitors, lane).await? {
                    true => Some((lane.key(), lane.next_key())),
                    false => None,
                };
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
        let passes = !self.learns_keys && !visitors.all_matter();
        let (mut stop, mut seen) = (lane.end_before(until), 0);
        loop {
            if passes && lane.row < stop {
                lane.pass(stop);
            }
            if lane.row >= stop {
                // once, for threads count together
                self.counts.visitors.add(seen);
                return Ok(());
            }
            let end = lane.columns.end_of_visitor(lane.row);
            self.turn_to(lane.key());
            seen += usize::from(lane.columns.has_visitor(lane.row));
            if end < lane.columns.rows {
                if visitors.all_matter() || lane.converts_before(end) {
                    take(visitors, lane, end);
                    visitors.close_visitor();
                    if V::HANDS_ON {
                        self.hand_on_all(visitors).await?;
                    }
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
            stop = lane.end_before(until);
            visitors.close_visitor();
            if V::HANDS_ON {
                self.hand_on_all(visitors).await?;
            }
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
        if V::HANDS_ON {
            self.hand_on_all(visitors).await?;
        }
        Ok(())
    }

    /// Hands on all that is ready of what was found.
    async fn hand_on_all<V: Visitors>(&mut self, visitors: &mut V) -> Result<()> {
        while let Some(batch) = visitors.hand_on()? {
            self.account(visitors)?;
            self.hand_on(batch).await?;
        }
        Ok(())
    }

    /// Hands on a batch of what was found, to whom [`Self::handing_on`] named.
    pub async fn hand_on(&mut self, batch: RecordBatch) -> Result<()> {
        let out = self.out.as_mut().ok_or_else(|| DataFusionError::Internal("nobody takes what is found".into()))?;
        // whoever does not listen any more drops this, too
        out.send(batch).await.map_err(|e| DataFusionError::External(Box::new(e)))
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
