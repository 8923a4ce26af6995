//! The rows of one visitor after another in; what each journey has of what is asked is counted, and leaves in batches.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::TimestampMicrosecondType;
use datafusion::error::Result;

use super::chain::{ChainRules, Chains, Membership, StepRow};
use super::flow::{FlowRow, Transition, transitions};
use super::node::{Sequence, SequenceSpec};
use crate::attribution::{NO_VISIT, NONE};
use crate::columns::timestamp;
use crate::engine::journey::JourneySpec;
use crate::engine::journey::breakdown::Groups;
use crate::engine::journey::columns::Columns;
use crate::engine::journey::counted::CountedRows;
use crate::engine::journey::input::InputColumns;
use crate::engine::journey::items::{Codes, Items};
use crate::engine::journey::terms::DictionaryAnswers;
use crate::engine::journey::visitors::Visitors;

/// Rows that make a batch.
const ROWS_PER_BATCH: usize = 8192;

/// A row of the visitor at hand.
#[derive(Clone, Copy)]
struct Row {
    time: i64,
    steps: u64,
    visit: u32,
    /// The item or the group.
    number: u32,
}

impl From<Row> for StepRow {
    fn from(row: Row) -> Self {
        Self { time: row.time, steps: row.steps }
    }
}

/// How many journeys reached a step of a group.
#[derive(Clone, Copy, Default)]
struct Reached {
    reached: i64,
    reached_previous: i64,
    begun: i64,
}

/// How long a journey took from the step before to one of a group.
struct StepTime {
    group: u32,
    step: u32,
    seconds: f64,
}

/// One visitor, and what was found of those before it.
pub(in crate::engine::journey) struct SequenceWalk {
    spec: SequenceSpec,
    /// What is read of stored rows.
    reads: JourneySpec,
    /// Members of something are identified by name.
    visitor: Option<String>,
    rows: Vec<Row>,
    counted: CountedRows,
    items: Items,
    groups: Groups,
    chains: Chains,
    flow_rows: Vec<FlowRow>,
    membership: Membership,
    /// What was found.
    members: Vec<(String, (i64, i64))>,
    member_bytes: usize,
    /// Group after group, its steps.
    reached: Vec<Reached>,
    took: Vec<StepTime>,
    transitions: HashMap<Transition, i64>,
}

impl SequenceWalk {
    /// A walk that has seen nobody.
    pub fn new(spec: SequenceSpec) -> Self {
        Self {
            reads: spec.reads(),
            spec,
            visitor: None,
            rows: vec![],
            counted: CountedRows::default(),
            items: Items::default(),
            groups: Groups::default(),
            chains: Chains::default(),
            flow_rows: vec![],
            membership: Membership::default(),
            members: vec![],
            member_bytes: 0,
            reached: vec![],
            took: vec![],
            transitions: HashMap::new(),
        }
    }

    fn journey(&mut self, rows: &[Row]) {
        match self.spec.sequence {
            Sequence::Members { ref steps } => {
                if self.membership.belongs(rows.iter().map(|row| StepRow::from(*row)), steps)
                    && let (Some(id), Some(row)) = (&self.visitor, rows.first())
                {
                    let visit = self.counted.visits.visit(row.visit).unwrap_or_default();
                    self.member_bytes += id.len() + 40;
                    self.members.push((id.clone(), visit));
                }
            }
            Sequence::Funnel { steps, within_us, at_once, .. } => {
                let rules = ChainRules { steps, within_us, at_once };
                let chain = self.chains.longest(rows, &rules);
                let Some(&first) = chain.first() else { return };
                let group = rows[first].number;
                let own = group as usize * steps;
                if self.reached.len() < own + steps {
                    self.reached.resize(own + steps, Reached::default());
                }
                for (step, counts) in self.reached[own..own + steps].iter_mut().enumerate() {
                    counts.reached += i64::from(step < chain.len());
                    counts.reached_previous += i64::from(step > 0 && step <= chain.len());
                    counts.begun += 1;
                }
                let took = chain.windows(2).zip(1..).map(|(two, step)| {
                    let seconds = (rows[two[1]].time - rows[two[0]].time) as f64 / 1e6;
                    StepTime { group, step, seconds }
                });
                self.took.extend(took);
            }
            Sequence::Flow { depth, before } => {
                self.flow_rows.clear();
                self.flow_rows.extend(rows.iter().map(|row| FlowRow { item: row.number, anchors: row.steps & 1 == 1 }));
                transitions(&self.flow_rows, depth, before, |transition| {
                    *self.transitions.entry(transition).or_default() += 1;
                });
            }
        }
    }

    /// The times that some journeys took, which are forgotten.
    fn times(&mut self) -> Result<RecordBatch> {
        let Sequence::Funnel { by, .. } = &self.spec.sequence else {
            return Ok(RecordBatch::new_empty(self.spec.output()));
        };
        let left = self.took.len().saturating_sub(ROWS_PER_BATCH);
        let found = &self.took[left..];
        let none = || Arc::new(Int64Array::from(vec![0; found.len()])) as ArrayRef;
        let mut columns = match by.is_empty() {
            true => vec![],
            false => self.groups.columns(by, found.iter().map(|took| took.group))?,
        };
        columns.push(Arc::new(Int64Array::from_iter_values(found.iter().map(|took| i64::from(took.step) + 1))));
        columns.extend([none(), none(), none()]);
        columns.push(Arc::new(Float64Array::from_iter_values(found.iter().map(|took| took.seconds))));
        self.took.truncate(left);
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }

    /// How many journeys reached each step, which is forgotten.
    fn steps(&mut self) -> Result<RecordBatch> {
        let Sequence::Funnel { by, steps, .. } = &self.spec.sequence else {
            return Ok(RecordBatch::new_empty(self.spec.output()));
        };
        let all = std::mem::take(&mut self.reached);
        // a group that only rows in the midst of journeys have is none
        let found: Vec<(usize, &Reached)> = all.iter().enumerate().filter(|(_, counts)| counts.begun > 0).collect();
        let mut columns = match by.is_empty() {
            true => vec![],
            false => self.groups.columns(by, found.iter().map(|(place, _)| (place / steps) as u32))?,
        };
        let counts = |count: &dyn Fn(usize, &Reached) -> i64| -> ArrayRef {
            Arc::new(found.iter().map(|(place, counts)| Some(count(*place, counts))).collect::<Int64Array>())
        };
        columns.extend([
            counts(&|place, _| (place % steps) as i64 + 1),
            counts(&|_, counts| counts.reached),
            counts(&|_, counts| counts.reached_previous),
            counts(&|_, counts| counts.begun),
            Arc::new(Float64Array::new_null(found.len())),
        ]);
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }

    /// Some members, who are forgotten.
    fn some_members(&mut self) -> Result<RecordBatch> {
        let found = self.members.split_off(self.members.len().saturating_sub(ROWS_PER_BATCH));
        self.member_bytes -= found.iter().map(|(id, _)| id.len() + 40).sum::<usize>();
        let mut columns: Vec<ArrayRef> = vec![Arc::new(found.iter().map(|(id, _)| Some(id)).collect::<StringArray>())];
        if self.spec.in_visits {
            let (numbers, starts): (Vec<i64>, Vec<i64>) = found.iter().map(|(_, visit)| *visit).unzip();
            let starts = Int64Array::from(starts).reinterpret_cast::<TimestampMicrosecondType>();
            columns.push(Arc::new(Int64Array::from(numbers)));
            columns.push(cast(&starts, &timestamp())?);
        }
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }

    /// The transitions of all journeys, which are forgotten.
    fn all_transitions(&mut self) -> Result<RecordBatch> {
        let found: Vec<(Transition, i64)> = self.transitions.drain().collect();
        let name = |item: u32| self.items.names().get(item as usize).map(|name| &**name);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(found.iter().map(|(row, _)| Some(row.step)).collect::<Int64Array>()),
            Arc::new(found.iter().map(|(row, _)| name(row.item)).collect::<StringArray>()),
            Arc::new(found.iter().map(|(row, _)| name(row.next)).collect::<StringArray>()),
            Arc::new(found.iter().map(|(_, journeys)| Some(*journeys)).collect::<Int64Array>()),
        ];
        Ok(RecordBatch::try_new(self.spec.output(), columns)?)
    }
}

impl Visitors for SequenceWalk {
    fn columns(&self, kind: &InputColumns, batch: &RecordBatch, known: &mut DictionaryAnswers) -> Result<Columns> {
        match kind {
            InputColumns::Evaluated => Columns::in_sequence(batch, &self.spec),
            InputColumns::Stored(rows, terms) => Columns::stored(batch, &self.reads, rows, terms, known),
        }
    }

    fn rows(&mut self, columns: &Columns, codes: &mut (Codes, Codes), range: Range<usize>) {
        if let (Sequence::Members { .. }, None, Some(ids)) = (&self.spec.sequence, &self.visitor, &columns.ids) {
            self.visitor = range.clone().next().filter(|row| ids.is_valid(*row)).map(|row| ids.value(row).to_string());
        }
        let in_flow = matches!(self.spec.sequence, Sequence::Flow { .. });
        let needs_all = in_flow || CountedRows::needs_all(columns);
        let all_steps = columns.steps().get(range.clone()).unwrap_or_default();
        for (row, &steps) in range.zip(all_steps) {
            // most rows are no step
            if steps == 0 && !needs_all {
                continue;
            }
            let Some(visit) = self.counted.visit_of(columns, row).filter(|visit| *visit != NO_VISIT) else { continue };
            let mut number = NONE;
            if in_flow {
                let (text, codes) = columns.item_of(row, codes);
                number = codes.items_of(text, row, &mut self.items, false).first().copied().unwrap_or(NONE);
            } else if steps & 1 == 1 {
                number = columns.groups.as_ref().map_or(0, |groups| self.groups.number(groups, row));
            }
            if steps == 0 && number == NONE {
                continue;
            }
            self.rows.push(Row { time: columns.time(row), steps, visit, number });
        }
    }

    fn close_visitor(&mut self) {
        let mut rows = std::mem::take(&mut self.rows);
        if self.spec.in_visits {
            // the order of time within a visit stays
            rows.sort_by_key(|row| row.visit);
            rows.chunk_by(|a, b| a.visit == b.visit).for_each(|journey| self.journey(journey));
        } else {
            self.journey(&rows);
        }
        rows.clear();
        self.rows = rows;
        self.counted.clear();
        self.visitor = None;
    }

    fn found(&mut self, at_end: bool) -> Result<Option<RecordBatch>> {
        let least = if at_end { 1 } else { ROWS_PER_BATCH };
        if self.took.len() >= least {
            return self.times().map(Some);
        }
        if self.members.len() >= least {
            return self.some_members().map(Some);
        }
        if at_end && !self.reached.is_empty() {
            return self.steps().map(Some);
        }
        if at_end && !self.transitions.is_empty() {
            return self.all_transitions().map(Some);
        }
        Ok(None)
    }

    fn memory_bytes(&self) -> usize {
        let rows = self.rows.capacity() * (size_of::<Row>() + size_of::<FlowRow>());
        let visitor = rows + self.counted.memory_bytes();
        let steps = self.reached.capacity() * size_of::<Reached>() + self.took.capacity() * size_of::<StepTime>();
        let transitions = self.transitions.capacity() * (size_of::<Transition>() + 9);
        visitor + self.member_bytes + steps + transitions + self.items.memory_bytes() + self.groups.memory_bytes()
    }
}
