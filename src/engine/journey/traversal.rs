//! Visitor after visitor over the sorted inputs of a bucket.
//!
//! A visitor's rows are usually all in one batch of one input. A visitor of several inputs (generations of a bucket,
//! online and offline rows) is joined by time while its rows are taken, so that no more than a batch of each input is in
//! memory. Visitors without a row that matters are passed over, and so are batches that say nothing, and of visitors all of whose
//! rows are at hand those that no conversion looks back on.

use std::cmp::Ordering;

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
use super::visitors::{RelevantRows, Visitors};

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
        let passes = !self.learns_keys && !visitors.all_matter();
        // of each lane that has rows left: the key at hand, and the first of its batch that may matter
        let mut heads: Vec<Option<(i64, i64)>> = vec![];
        for lane in &mut lanes {
            if self.passes_over(visitors, lane) {
                lane.pass_batch();
            }
            heads.push(self.refill(visitors, lane).await?.then(|| lane.head(passes)));
        }
        let mut together: Vec<usize> = vec![];
        // before the least of these keys nobody converts, in any lane
        while let Some(key) = heads.iter().flatten().map(|(_, next)| *next).min() {
            together.clear();
            let mut until: Option<i64> = None;
            for (number, head) in heads.iter_mut().enumerate() {
                let Some((at_hand, _)) = head else { continue };
                if *at_hand < key {
                    lanes[number].pass_to(key);
                    *at_hand = lanes[number].key();
                }
                match *at_hand == key {
                    true => together.push(number),
                    false => until = Some(until.map_or(*at_hand, |until| until.min(*at_hand))),
                }
            }
            match together.as_slice() {
                [only] => self.alone(visitors, &mut lanes[*only], until).await?,
                _ => self.joined(visitors, &mut lanes, &together).await?,
            }
            for &number in &together {
                let lane = &mut lanes[number];
                // nearly always the visitors after it are in the same batch
                let goes_on = lane.row < lane.columns.rows || self.refill(visitors, lane).await?;
                heads[number] = goes_on.then(|| lane.head(passes));
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
                    let stop = lane.narrow(end, visitors.rows_that_matter_of(lane.key()));
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
            narrow(lanes, &mut ends, visitors.rows_that_matter_of(key));
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
        // a receiver that does not listen any more drops this, too
        out.send(batch).await.map_err(|e| DataFusionError::External(Box::new(e)))
    }

    /// True where no row of the lane's batch can matter.
    fn passes_over<V: Visitors>(&self, visitors: &V, lane: &Lane) -> bool {
        !self.learns_keys && visitors.rows_that_matter() != RelevantRows::All && lane.says_nothing()
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

/// True where a row (lane, row) comes before one of another lane, both of one visitor. Nearly always their times say it.
fn comes_before(lanes: &[Lane], one: (usize, usize), other: (usize, usize)) -> bool {
    let place = |(number, row): (usize, usize)| (lanes[number].place(row), lanes[number].turn(row), number);
    let time = |(number, row): (usize, usize)| lanes[number].columns.time(row);
    match time(one).cmp(&time(other)) {
        // where times are not read, all rows of a lane come before those of the next
        Ordering::Equal if !lanes[one.0].columns.tell_times() => one.0 < other.0,
        Ordering::Equal => place(one) < place(other),
        order => order.is_lt(),
    }
}

/// Narrows the rows of the visitor at hand, all of which are before `ends` (lane, end of the visitor's rows) of their lanes, to
/// those that matter.
fn narrow(lanes: &mut [Lane], ends: &mut Vec<(usize, usize)>, matter: RelevantRows) {
    let RelevantRows::UpToConversions { lookback_us } = matter else { return };
    let here: &[Lane] = lanes;
    // the time of the first row that converts, and the last such row
    let mut converting: Option<(i64, (usize, usize))> = None;
    for &(number, end) in ends.iter() {
        let Some((first, last)) = here[number].converting_before(end) else { continue };
        let (time, last) = (here[number].columns.time(first), (number, last));
        converting = Some(match converting {
            Some((since, before)) if comes_before(here, last, before) => (since.min(time), before),
            Some((since, _)) => (since.min(time), last),
            None => (time, last),
        });
    }
    let Some((since, last)) = converting else { return };
    for (number, end) in ends.iter_mut() {
        let at_hand = here[*number].row;
        if *number == last.0 {
            *end = last.1 + 1;
        } else if comes_before(here, last, (*number, at_hand)) {
            *end = at_hand;
        } else {
            while comes_before(here, last, (*number, *end - 1)) {
                *end -= 1;
            }
        }
    }
    if let Some(lookback_us) = lookback_us {
        let oldest = since.saturating_sub(lookback_us);
        ends.iter().for_each(|&(number, end)| lanes[number].pass_older(end, oldest));
    }
    ends.retain(|(number, end)| lanes[*number].row < *end);
}

/// Of the lanes in `ends` (number, end of the visitor's rows), the one whose row comes first, and where its rows stop
/// being the first.
fn next_rows(lanes: &[Lane], ends: &[(usize, usize)]) -> (usize, usize) {
    let at_hand = |at: usize| (ends[at].0, lanes[ends[at].0].row);
    let (mut at, mut second) = (0, None);
    for other in 1..ends.len() {
        if comes_before(lanes, at_hand(other), at_hand(at)) {
            second = Some(at);
            at = other;
        } else if second.is_none_or(|second| comes_before(lanes, at_hand(other), at_hand(second))) {
            second = Some(other);
        }
    }
    let (number, end) = ends[at];
    let is_first = |row: usize| second.is_none_or(|second| comes_before(lanes, (number, row), at_hand(second)));
    // generations are mostly of different times
    if is_first(end - 1) {
        return (at, end);
    }
    let mut stop = lanes[number].row + 1;
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
    use crate::engine::journey::columns::Columns;
    use crate::engine::journey::items::Codes;
    use crate::engine::journey::stored_rows::{Metric, StoredRows};
    use crate::engine::journey::terms::{DictionaryAnswers, RowTerms};
    use crate::engine::journey::{EVER, JourneySpec};

    const LANES: usize = 3;

    /// True for a visitor all of whose rows matter.
    fn is_whole(visitor: usize) -> bool {
        visitor % 10 == 9
    }

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
        matter: RelevantRows,
        /// True where times are read.
        timed: bool,
        rows: Vec<usize>,
        visitors: Vec<Vec<usize>>,
    }

    impl Visitors for Recorder {
        fn columns(&self, _: &InputColumns, batch: &RecordBatch, _: &mut DictionaryAnswers) -> Result<Columns> {
            match self.timed {
                true => Columns::evaluated(batch, &self.spec),
                false => untimed(batch, &self.spec),
            }
        }

        fn rows_that_matter(&self) -> RelevantRows {
            self.matter
        }

        fn rows_that_matter_of(&mut self, key: i64) -> RelevantRows {
            if is_whole(key as usize) { RelevantRows::All } else { self.matter }
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

    /// The columns of a batch as they are stored, but for the times.
    fn untimed(batch: &RecordBatch, spec: &JourneySpec) -> Result<Columns> {
        let stored = StoredRows {
            online: true,
            metric: Metric::Column("value".into()),
            counted: false,
            dimension: Some("item".into()),
            classes: None,
            set: None,
            window: EVER,
            suite: None,
            visit_rules: None,
            anchored: false,
            repeats: false,
            background_hits: true,
            all_reported: true,
            at_hits: false,
        };
        let mut batch = batch.clone();
        batch.remove_column(batch.schema().index_of("hit_time")?);
        Columns::stored(&batch, spec, &stored, &RowTerms::default(), &mut DictionaryAnswers::default())
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
    fn handed_over(rows: &[Row], batch_rows: usize, matter: RelevantRows) -> Vec<Vec<usize>> {
        handed_over_where(true, rows, batch_rows, matter)
    }

    /// The same, where times are read or not.
    fn handed_over_where(timed: bool, rows: &[Row], batch_rows: usize, matter: RelevantRows) -> Vec<Vec<usize>> {
        let opening = |lane: usize| -> Opening {
            let own: Vec<&Row> = rows.iter().filter(|row| row.lane == lane).collect();
            let batches: Vec<RecordBatch> = own.chunks(batch_rows).map(batch).collect();
            let schema = batch(&[]).schema();
            let stream = RecordBatchStreamAdapter::new(schema, iter(batches.into_iter().map(Ok::<_, DataFusionError>)));
            let stream: SendableRecordBatchStream = Box::pin(stream);
            ready(Ok::<_, DataFusionError>((stream, InputColumns::Evaluated))).boxed()
        };
        let pool: Arc<dyn MemoryPool> = Arc::new(UnboundedMemoryPool::default());
        let reservation = MemoryConsumer::new("test").register(&pool);
        let mut traversal = Traversal::new(reservation, Counts::default(), false);
        let spec = JourneySpec::without_models(Container::Visitor);
        let mut recorder = Recorder { spec, matter, timed, rows: vec![], visitors: vec![] };
        block_on(traversal.bucket(&mut recorder, (0..LANES).map(opening).collect())).unwrap();
        let converts = |own: &Vec<usize>| own.iter().any(|number| rows[*number].converts);
        recorder.visitors.into_iter().filter(converts).collect()
    }

    /// The rows of each visitor who converts that are asked for.
    fn expected(rows: &[Row], matter: RelevantRows) -> Vec<Vec<usize>> {
        let own = |own: &[Row]| -> Option<Vec<usize>> {
            let first = own.iter().find(|row| row.converts)?;
            let last = own.iter().rfind(|row| row.converts)?;
            let (oldest, last) = match matter {
                _ if is_whole(last.visitor) => (i64::MIN, usize::MAX),
                RelevantRows::All => (i64::MIN, usize::MAX),
                RelevantRows::UpToConversions { lookback_us: None } => (i64::MIN, last.number),
                RelevantRows::UpToConversions { lookback_us: Some(lookback_us) } => {
                    (first.time - lookback_us, last.number)
                }
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
            let all = expected(&rows, RelevantRows::All);
            for batch_rows in [1, 2, 3, 100] {
                let found = handed_over(&rows, batch_rows, RelevantRows::UpToConversions { lookback_us: None });
                assert_eq!(handed_over(&rows, batch_rows, RelevantRows::All), all);
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

    #[test]
    fn where_times_are_not_read_lanes_come_in_turn() {
        // of each visitor two rows of each lane, whose sequences fall from lane to lane; the first row of the second lane converts
        let row = |number: usize| {
            let (visitor, lane) = (number / 6, LANES - 1 - number % 6 / 2);
            Row { visitor, lane, number, time: 0, converts: number % 6 == 2 && visitor < 4, has_item: true }
        };
        let rows: Vec<Row> = (0..30).map(row).collect();
        let in_turn = |own: &[usize]| -> Vec<Vec<usize>> {
            (0..4).map(|visitor| own.iter().map(|place| 6 * visitor + place).collect()).collect()
        };
        for batch_rows in [1, 2, 3, 100] {
            assert_eq!(handed_over_where(false, &rows, batch_rows, RelevantRows::All), in_turn(&[4, 5, 2, 3, 0, 1]));
        }
        let matter = RelevantRows::UpToConversions { lookback_us: None };
        assert_eq!(handed_over_where(false, &rows, 100, matter), in_turn(&[4, 5, 2]));
    }

    proptest! {
        /// Of visitors all of whose rows are at hand, the rows that matter and no others; of the rest, these at least. Of some
        /// visitors all do.
        #[test]
        fn rows_that_matter_are_handed_over(
            visitors in vec((any::<bool>(), vec((0..LANES, 0..20_i64, 0..4_u8), 1..9)), 1..9),
            batch_rows in 1..6_usize,
            lookback_us in 0..12_i64,
        ) {
            let mut rows = vec![];
            for (visitor, (whole, mut own)) in visitors.into_iter().enumerate() {
                let visitor = 10 * visitor + if whole { 9 } else { 0 };
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
            let all = expected(&rows, RelevantRows::All);
            for lookback_us in [None, Some(lookback_us)] {
                let matter = RelevantRows::UpToConversions { lookback_us };
                let wanted = expected(&rows, matter);
                prop_assert_eq!(&handed_over(&rows, rows.len(), matter), &wanted);
                let in_parts = handed_over(&rows, batch_rows, matter);
                prop_assert_eq!(in_parts.len(), wanted.len());
                for ((own, wanted), all) in in_parts.iter().zip(&wanted).zip(&all) {
                    prop_assert!(is_part(wanted, own) && is_part(own, all), "{own:?} of {all:?}, not {wanted:?}");
                }
            }
            prop_assert_eq!(&handed_over(&rows, batch_rows, RelevantRows::All), &all);
        }
    }
}
