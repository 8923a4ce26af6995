//! Visitor after visitor over the sorted inputs of a bucket.
//!
//! A visitor's rows are usually all in one batch of one input. A visitor of several inputs (generations of a bucket,
//! online and offline rows) is joined by time while its rows are taken, so that no more than a batch of each input is in
//! memory. Visitors without a row that matters are passed over, and so are batches that say nothing, and of visitors all of whose
//! rows are at hand those that no conversion looks back on.

use std::cmp::Reverse;

use arrow::array::RecordBatch;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use futures::SinkExt;
use futures::channel::mpsc::Sender;
use futures::future::{BoxFuture, try_join_all};

use super::input::InputColumns;
use super::lane::{Lane, Place, next_batch};
use super::metrics::Counts;
use super::visitors::{Matter, Visitors};

/// A sorted input that is being opened.
pub(super) type Opening = BoxFuture<'static, Result<(SendableRecordBatchStream, InputColumns)>>;

/// The way over the inputs of one bucket after another.
pub(super) struct Traversal {
    /// Lanes that have the visitor at hand, and where its rows, or those that matter, end in their batches; empty between visitors.
    ends: Vec<(usize, usize)>,
    /// Where all of the visitor's rows are in these batches, the lanes and where the rows end.
    whole: Vec<(usize, usize)>,
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
            whole: vec![],
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
        let mut heads: Vec<Option<(i64, i64)>> = vec![];
        for lane in &mut lanes {
            if self.passes_over(visitors, lane) {
                lane.pass_batch();
            }
            heads.push(self.head(visitors, lane).await?);
        }
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
                heads[number] = self.head(visitors, &mut lanes[number]).await?;
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
                    let stop = lane.narrow(end, visitors.rows_that_matter());
                    take(visitors, lane, stop);
                    lane.row = end;
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
        if whole {
            self.whole.extend_from_slice(&ends);
            narrow(lanes, &mut ends, visitors.rows_that_matter());
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
        self.whole.drain(..).for_each(|(number, end)| lanes[number].row = end);
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

    /// True where no row of the lane's batch can matter.
    fn passes_over<V: Visitors>(&self, visitors: &V, lane: &Lane) -> bool {
        !self.learns_keys && visitors.rows_that_matter() != Matter::All && lane.says_nothing()
    }

    /// The key at hand of a lane, and the first of its batch that may matter; None at its end.
    async fn head<V: Visitors>(&mut self, visitors: &mut V, lane: &mut Lane) -> Result<Option<(i64, i64)>> {
        Ok(self.refill(visitors, lane).await?.then(|| (lane.key(), lane.next_key())))
    }

    /// The lane's next batch with rows that may matter, when the one at hand has been passed; false at the end.
    async fn refill<V: Visitors>(&mut self, visitors: &mut V, lane: &mut Lane) -> Result<bool> {
        if lane.row < lane.columns.rows {
            return Ok(true);
        }
        self.lane_bytes = self.lane_bytes.saturating_sub(lane.memory_bytes());
        let mut some = false;
        while !some && let Some(batch) = lane.next_batch().await? {
            lane.turn_to(&batch, visitors)?;
            self.counts.rows.add(lane.columns.rows);
            match self.passes_over(visitors, lane) {
                true => lane.pass_batch(),
                false => some = true,
            }
        }
        if some {
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

/// Where a row of a lane comes among all rows of its visitor.
fn place_of(lanes: &[Lane], number: usize, row: usize) -> (Place, Reverse<Option<&str>>, usize) {
    (lanes[number].place(row), lanes[number].turn(row), number)
}

/// Narrows the rows of the visitor at hand, all of which are before `ends` (lane, end of the visitor's rows) of their lanes, to
/// those that matter.
fn narrow(lanes: &mut [Lane], ends: &mut Vec<(usize, usize)>, matter: Matter) {
    let Matter::UpToConversions { lookback_us } = matter else { return };
    let here: &[Lane] = lanes;
    let converting = |&(number, end): &(usize, usize)| Some((number, here[number].converting_before(end)?));
    let first = ends.iter().filter_map(converting).map(|(number, (row, _))| here[number].columns.time(row)).min();
    let last = ends.iter().filter_map(converting).map(|(number, (_, row))| (place_of(here, number, row), row)).max();
    let (Some(first), Some((last, last_row))) = (first, last) else { return };
    for (number, end) in ends.iter_mut() {
        if *number == last.2 {
            *end = last_row + 1;
        }
        while here[*number].row < *end && place_of(here, *number, *end - 1) > last {
            *end -= 1;
        }
    }
    if let Some(lookback_us) = lookback_us {
        let oldest = first.saturating_sub(lookback_us);
        ends.iter().for_each(|&(number, end)| lanes[number].pass_older(end, oldest));
    }
    ends.retain(|(number, end)| lanes[*number].row < *end);
}

/// Of the lanes in `ends` (number, end of the visitor's rows), the one whose row comes first, and where its rows stop
/// being the first.
fn next_rows(lanes: &[Lane], ends: &[(usize, usize)]) -> (usize, usize) {
    let place_of = |number: usize, row: usize| place_of(lanes, number, row);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ops::Range;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
    use datafusion::execution::memory_pool::{MemoryConsumer, MemoryPool, UnboundedMemoryPool};
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::FutureExt;
    use futures::executor::block_on;
    use futures::future::ready;
    use futures::stream::iter;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::attribution::Container;
    use crate::engine::journey::JourneySpec;
    use crate::engine::journey::columns::Columns;
    use crate::engine::journey::items::Codes;
    use crate::engine::journey::terms::Known;

    const LANES: usize = 2;

    #[derive(Debug)]
    struct Row {
        visitor: usize,
        lane: usize,
        /// Its place among all rows, which are in order.
        number: usize,
        time: i64,
        converts: bool,
        has_item: bool,
    }

    /// Notes which rows of each visitor are handed over.
    struct Recorder {
        spec: JourneySpec,
        matter: Matter,
        rows: Vec<usize>,
        visitors: Vec<Vec<usize>>,
    }

    impl Visitors for Recorder {
        fn columns(&self, _: &InputColumns, batch: &RecordBatch, _: &mut Known) -> Result<Columns> {
            Columns::evaluated(batch, &self.spec)
        }

        fn rows_that_matter(&self) -> Matter {
            self.matter
        }

        fn rows(&mut self, columns: &Columns, _: &mut (Codes, Codes), range: Range<usize>) {
            self.rows.extend(range.map(|row| columns.sequence(row) as usize));
        }

        fn close_visitor(&mut self) {
            self.visitors.push(std::mem::take(&mut self.rows));
        }

        fn found(&mut self, _: bool) -> Result<Option<RecordBatch>> {
            Ok(None)
        }

        fn memory_bytes(&self) -> usize {
            0
        }
    }

    fn batch(rows: &[&Row]) -> RecordBatch {
        let integers = |of: fn(&Row) -> i64| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| of(row))))
        };
        let texts = |of: fn(&Row) -> Option<String>| -> ArrayRef {
            Arc::new(rows.iter().map(|row| of(row)).collect::<StringArray>())
        };
        let values = Float64Array::from_iter_values(rows.iter().map(|row| f64::from(u8::from(row.converts))));
        let columns: [(&str, ArrayRef); 6] = [
            ("visitor_key", integers(|row| row.visitor as i64)),
            ("visitor_id", texts(|row| Some(row.visitor.to_string()))),
            ("hit_time", integers(|row| row.time)),
            ("hit_seq", integers(|row| row.number as i64)),
            ("item", texts(|row| row.has_item.then(|| "page".to_string()))),
            ("value", Arc::new(values)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    /// The rows of each visitor that are handed over, of those who convert.
    fn handed_over(rows: &[Row], batch_rows: usize, matter: Matter) -> Vec<Vec<usize>> {
        let opening = |lane: usize| -> Opening {
            let own: Vec<&Row> = rows.iter().filter(|row| row.lane == lane).collect();
            let batches: Vec<RecordBatch> = own.chunks(batch_rows).map(batch).collect();
            let schema = batches[0].schema();
            let stream = RecordBatchStreamAdapter::new(schema, iter(batches.into_iter().map(Ok::<_, DataFusionError>)));
            let stream: SendableRecordBatchStream = Box::pin(stream);
            ready(Ok::<_, DataFusionError>((stream, InputColumns::Evaluated))).boxed()
        };
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let reservation = MemoryConsumer::new("test").register(&pool);
        let mut traversal = Traversal::new(reservation, Counts::default(), false);
        let spec = JourneySpec::without_models(Container::Visitor);
        let mut recorder = Recorder { spec, matter, rows: vec![], visitors: vec![] };
        block_on(traversal.bucket(&mut recorder, (0..LANES).map(opening).collect())).unwrap();
        let converts = |own: &Vec<usize>| own.iter().any(|number| rows[*number].converts);
        recorder.visitors.into_iter().filter(converts).collect()
    }

    /// The rows of each visitor who converts that are asked for.
    fn expected(rows: &[Row], matter: Matter) -> Vec<Vec<usize>> {
        let own = |own: &[Row]| -> Option<Vec<usize>> {
            let first = own.iter().find(|row| row.converts)?;
            let last = own.iter().rfind(|row| row.converts)?;
            let (oldest, last) = match matter {
                Matter::All => (i64::MIN, usize::MAX),
                Matter::UpToConversions { lookback_us: None } => (i64::MIN, last.number),
                Matter::UpToConversions { lookback_us: Some(lookback_us) } => (first.time - lookback_us, last.number),
            };
            let asked_for = own.iter().filter(|row| row.number <= last && row.time >= oldest);
            Some(asked_for.map(|row| row.number).collect())
        };
        rows.chunk_by(|one, other| one.visitor == other.visitor).filter_map(own).collect()
    }

    /// True where `part` is what is left of `all`.
    fn is_part(part: &[usize], all: &[usize]) -> bool {
        let mut left = all.iter();
        part.iter().all(|row| left.any(|other| other == row))
    }

    #[test]
    fn batches_that_say_nothing_are_passed_over() {
        // of each visitor a row, one of another lane, and one that converts; what is in the other lane has an item for some
        for says_something in [None, Some(2), Some(5)] {
            let row = |number: usize| {
                let (visitor, lane) = (number / 3, usize::from(number % 3 == 1));
                let has_item = lane == 0 || says_something == Some(visitor);
                Row { visitor, lane, number, time: 0, converts: number % 3 == 2, has_item }
            };
            let rows: Vec<Row> = (0..24).map(row).collect();
            let all = expected(&rows, Matter::All);
            for batch_rows in [1, 2, 3, 100] {
                let found = handed_over(&rows, batch_rows, Matter::UpToConversions { lookback_us: None });
                assert_eq!(handed_over(&rows, batch_rows, Matter::All), all);
                for (visitor, own) in found.iter().enumerate() {
                    let with_item = says_something.is_some_and(|other| other / batch_rows == visitor / batch_rows);
                    let wanted = (0..3).filter(|row| with_item || *row != 1).map(|row| 3 * visitor + row);
                    let wanted: Vec<usize> = wanted.collect();
                    assert_eq!(*own, wanted, "batches of {batch_rows}, {says_something:?}");
                }
                assert_eq!(found.len(), all.len());
            }
        }
    }

    proptest! {
        /// Of visitors all of whose rows are at hand, the rows that matter and no others; of the rest, these at least.
        #[test]
        fn rows_that_matter_are_handed_over(
            visitors in vec(vec((0..LANES, 0..20_i64, 0..4_u8), 1..9), 1..9),
            batch_rows in 1..6_usize,
            lookback_us in 0..12_i64,
        ) {
            let mut rows = vec![];
            for (visitor, mut own) in visitors.into_iter().enumerate() {
                own.sort_by_key(|(_, time, _)| *time);
                for (lane, time, kind) in own {
                    let number = rows.len();
                    rows.push(Row { visitor, lane, number, time, converts: kind == 0, has_item: true });
                }
            }
            // the last visitor of a lane may always go on
            let last = rows.last().map_or(0, |row| row.visitor + 1);
            for lane in 0..LANES {
                let number = rows.len();
                rows.push(Row { visitor: last, lane, number, time: 0, converts: false, has_item: true });
            }
            let all = expected(&rows, Matter::All);
            for lookback_us in [None, Some(lookback_us)] {
                let matter = Matter::UpToConversions { lookback_us };
                let wanted = expected(&rows, matter);
                prop_assert_eq!(&handed_over(&rows, rows.len(), matter), &wanted);
                let in_parts = handed_over(&rows, batch_rows, matter);
                prop_assert_eq!(in_parts.len(), wanted.len());
                for ((own, wanted), all) in in_parts.iter().zip(&wanted).zip(&all) {
                    prop_assert!(is_part(wanted, own) && is_part(own, all), "{own:?} of {all:?}, not {wanted:?}");
                }
            }
            prop_assert_eq!(&handed_over(&rows, batch_rows, Matter::All), &all);
        }
    }
}
