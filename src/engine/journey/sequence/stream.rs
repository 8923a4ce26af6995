//! Rows sorted by visitor and time in; what each journey has of what is asked out, in batches.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::Result;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::memory_pool::MemoryReservation;
use datafusion::physical_plan::metrics::BaselineMetrics;
use futures::{Stream, TryStreamExt};

use super::chain::{ChainRules, Chains, Membership, StepRow};
use super::flow::{FlowRow, Transition, transitions};
use super::node::{Sequence, SequenceSpec};
use crate::attribution::NONE;
use crate::columns::timestamp;
use crate::engine::journey::breakdown::{GROUP_COLUMNS, GroupRows, Groups};
use crate::engine::journey::columns::Finder;
use crate::engine::journey::items::{Codes, Items};

/// Rows that make a batch.
const ROWS_PER_BATCH: usize = 8192;

/// All that the journeys of an input have of what is asked.
pub(super) fn rows(
    spec: SequenceSpec,
    input: SendableRecordBatchStream,
    reservation: MemoryReservation,
    baseline: BaselineMetrics,
) -> impl Stream<Item = Result<RecordBatch>> + Send {
    let walk = SequenceWalk::new(spec);
    let batches =
        futures::stream::try_unfold((Some(input), walk, reservation), |(mut input, mut walk, reservation)| async {
            while let Some(stream) = &mut input {
                match stream.try_next().await? {
                    Some(batch) => walk.take(&batch)?,
                    None => {
                        walk.close_visitor();
                        input = None;
                    }
                }
                reservation.try_resize(walk.memory_bytes())?;
                if walk.found() >= ROWS_PER_BATCH {
                    break;
                }
            }
            let found = walk.batch()?;
            Ok((found.num_rows() > 0).then_some((found, (input, walk, reservation))))
        });
    batches.inspect_ok(move |batch| baseline.record_output(batch.num_rows()))
}

/// A row of the visitor at hand.
#[derive(Clone, Copy)]
struct Row {
    visit: (i64, i64),
    time: i64,
    steps: u64,
    /// The item or the group.
    number: u32,
}

/// A step of the funnel, of one journey.
struct Reached {
    /// Of its first row.
    group: u32,
    /// From 1.
    step: i64,
    reached: bool,
    reached_previous: bool,
    /// Since the step before.
    seconds: Option<f64>,
}

/// One visitor, and what was found of those before it.
struct SequenceWalk {
    spec: SequenceSpec,
    visitor: Option<(i64, String)>,
    rows: Vec<Row>,
    items: Items,
    codes: Codes,
    groups: Groups,
    chains: Chains,
    step_rows: Vec<StepRow>,
    flow_rows: Vec<FlowRow>,
    membership: Membership,
    /// What was found.
    members: Vec<(String, (i64, i64))>,
    steps: Vec<Reached>,
    transitions: Vec<Transition>,
}

impl SequenceWalk {
    fn new(spec: SequenceSpec) -> Self {
        Self {
            spec,
            visitor: None,
            rows: vec![],
            items: Items::default(),
            codes: Codes::default(),
            groups: Groups::default(),
            chains: Chains::default(),
            step_rows: vec![],
            flow_rows: vec![],
            membership: Membership::default(),
            members: vec![],
            steps: vec![],
            transitions: vec![],
        }
    }

    /// Rows found so far.
    fn found(&self) -> usize {
        self.steps.len() + self.transitions.len() + self.members.len()
    }

    /// Takes the next rows.
    fn take(&mut self, batch: &RecordBatch) -> Result<()> {
        let found = Finder(batch);
        let (keys, ids, times) = (found.integers("visitor_key")?, found.text("visitor_id")?, found.times("hit_time")?);
        let visits = match self.spec.in_visits {
            true => Some((found.integers("visit_num")?, found.times("visit_start")?)),
            false => None,
        };
        let (steps, groups) = match &self.spec.sequence {
            Sequence::Funnel { by, .. } if by.is_empty() => (Some(found.integers("steps")?), None),
            Sequence::Funnel { by, .. } => {
                let columns = GROUP_COLUMNS.iter().take(by.len()).map(|name| found.column(name).cloned());
                let groups = GroupRows::new(by, &columns.collect::<Result<Vec<_>>>()?)?;
                (Some(found.integers("steps")?), Some(groups))
            }
            Sequence::Members { .. } => (Some(found.integers("steps")?), None),
            Sequence::Flow { .. } => (None, None),
        };
        let flow = match self.spec.sequence {
            Sequence::Flow { .. } => Some((found.text("item")?, found.booleans("anchors")?)),
            Sequence::Funnel { .. } | Sequence::Members { .. } => None,
        };
        if let Some((items, _)) = &flow {
            self.codes.turn_to(items);
        }
        for row in 0..batch.num_rows() {
            let key = keys.value(row);
            let is_at_hand = match row.checked_sub(1) {
                Some(before) => keys.value(before) == key && ids.same(before, row),
                None => self
                    .visitor
                    .as_ref()
                    .is_some_and(|(own, id)| *own == key && ids.is_valid(row) && id == ids.value(row)),
            };
            if !is_at_hand {
                self.close_visitor();
            }
            let visit = match &visits {
                Some((numbers, starts)) if numbers.is_valid(row) => (numbers.value(row), starts.value(row)),
                _ => (0, 0),
            };
            let (mut bits, mut number) = (0, NONE);
            if let Some(steps) = &steps {
                bits = steps.value(row) as u64;
            }
            if let Some(groups) = groups.as_ref().filter(|_| bits & 1 == 1) {
                number = self.groups.number(groups, row);
            }
            if let Some((items, anchors)) = &flow {
                bits = u64::from(anchors.is_valid(row) && anchors.value(row));
                number = self.codes.items_of(items, row, &mut self.items, false).first().copied().unwrap_or(NONE);
            }
            self.rows.push(Row { visit, time: times.value(row), steps: bits, number });
        }
        let last = batch.num_rows().checked_sub(1).filter(|last| ids.is_valid(*last));
        self.visitor = last.map(|last| (keys.value(last), ids.value(last).to_string())).or(self.visitor.take());
        Ok(())
    }

    /// Finds what the visitor has whose rows are complete, and forgets them.
    fn close_visitor(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if self.spec.in_visits && !rows.is_sorted_by_key(|row| row.visit) {
            // the order of time within a visit stays
            rows.sort_by_key(|row| row.visit);
        }
        let in_visits = self.spec.in_visits;
        for journey in rows.chunk_by(|a, b| !in_visits || a.visit == b.visit) {
            self.journey(journey);
        }
        rows.clear();
        self.rows = rows;
    }

    fn journey(&mut self, rows: &[Row]) {
        match self.spec.sequence {
            Sequence::Members { ref steps } => {
                let found = rows.iter().map(|row| StepRow { time: row.time, steps: row.steps });
                if self.membership.belongs(found, steps)
                    && let (Some((_, id)), Some(row)) = (&self.visitor, rows.first())
                {
                    self.members.push((id.clone(), row.visit));
                }
            }
            Sequence::Funnel { steps, within_us, at_once, .. } => {
                self.step_rows.clear();
                self.step_rows.extend(rows.iter().map(|row| StepRow { time: row.time, steps: row.steps }));
                let rules = ChainRules { steps, within_us, at_once };
                let chain = self.chains.longest(&self.step_rows, &rules);
                let Some(&first) = chain.first() else { return };
                for step in 0..steps {
                    let seconds = (step > 0 && step < chain.len())
                        .then(|| (rows[chain[step]].time - rows[chain[step - 1]].time) as f64 / 1e6);
                    let (reached, reached_previous) = (step < chain.len(), step > 0 && step <= chain.len());
                    let group = rows[first].number;
                    self.steps.push(Reached { group, step: step as i64 + 1, reached, reached_previous, seconds });
                }
            }
            Sequence::Flow { depth, before } => {
                self.flow_rows.clear();
                self.flow_rows.extend(rows.iter().map(|row| FlowRow { item: row.number, anchors: row.steps == 1 }));
                transitions(&self.flow_rows, depth, before, |transition| self.transitions.push(transition));
            }
        }
    }

    /// What was found, which is forgotten.
    fn batch(&mut self) -> Result<RecordBatch> {
        let schema = self.spec.output();
        if let Sequence::Funnel { by, .. } = &self.spec.sequence {
            let found = std::mem::take(&mut self.steps);
            let mut columns = match by.is_empty() {
                true => vec![],
                false => self.groups.columns(by, found.iter().map(|row| row.group))?,
            };
            let counts = |count: &dyn Fn(&Reached) -> i64| -> ArrayRef {
                Arc::new(found.iter().map(|row| Some(count(row))).collect::<Int64Array>())
            };
            columns.extend([
                counts(&|row| row.step),
                counts(&|row| row.reached.into()),
                counts(&|row| row.reached_previous.into()),
                counts(&|_| 1),
                Arc::new(found.iter().map(|row| row.seconds).collect::<Float64Array>()) as ArrayRef,
            ]);
            return Ok(RecordBatch::try_new(schema, columns)?);
        }
        if let Sequence::Members { .. } = &self.spec.sequence {
            let found = std::mem::take(&mut self.members);
            let mut columns: Vec<ArrayRef> =
                vec![Arc::new(found.iter().map(|(id, _)| Some(id)).collect::<StringArray>())];
            if self.spec.in_visits {
                let (numbers, starts): (Vec<i64>, Vec<i64>) = found.iter().map(|(_, visit)| *visit).unzip();
                let starts = Int64Array::from(starts).reinterpret_cast::<TimestampMicrosecondType>();
                columns.push(Arc::new(Int64Array::from(numbers)));
                columns.push(cast(&starts, &timestamp())?);
            }
            return Ok(RecordBatch::try_new(schema, columns)?);
        }
        let found = std::mem::take(&mut self.transitions);
        let name = |item: u32| self.items.names().get(item as usize).map(|name| &**name);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(found.iter().map(|row| Some(row.step)).collect::<Int64Array>()),
            Arc::new(found.iter().map(|row| name(row.item)).collect::<StringArray>()),
            Arc::new(found.iter().map(|row| name(row.next)).collect::<StringArray>()),
        ];
        Ok(RecordBatch::try_new(schema, columns)?)
    }

    /// Bytes that are allocated, about.
    fn memory_bytes(&self) -> usize {
        let rows = self.rows.capacity() * (size_of::<Row>() + size_of::<StepRow>() + size_of::<FlowRow>());
        let members = self.members.iter().map(|(id, _)| id.len() + 40).sum::<usize>();
        let found = self.steps.capacity() * 32 + self.transitions.capacity() * size_of::<Transition>() + members;
        rows + found + self.items.memory_bytes() + self.groups.memory_bytes()
    }
}
