//! One batch of rows as typed columns: what the walk needs to know of a row, from the lake's files as they are stored or
//! from a plan that has filtered and evaluated.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, Float64Array, Int64Array, ListArray, RecordBatch,
    StringArray, TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::{cast, filter_record_batch, not, nullif, take_record_batch};
use arrow::datatypes::{DataType, Float64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::physical_plan::PhysicalExpr;

use super::bound_lines::BoundLines;
use super::breakdown::{GROUP_COLUMNS, GroupRows, LineGroups};
use super::finder::Finder;
use super::items::{Codes, Text};
use super::stored_rows::{Metric, StoredRows};
use super::terms::{DictionaryAnswers, EvaluatedTerms, holds};
use super::{EVER, JourneySpec, Sequence, SequenceSpec};
use crate::attribution::Place;
use crate::columns;
use crate::engine::visits::VisitRules;

/// Rows that are looked at together: so few that most of them convert nothing.
const BLOCK: usize = 8;

/// Rows of one input.
#[derive(Debug)]
pub(super) struct Columns {
    pub rows: usize,
    pub keys: ScalarBuffer<i64>,
    /// None where the keys are known to tell visitors apart.
    pub ids: Option<Text>,
    /// Microseconds; None where the order of the rows is all that is asked for.
    times: Option<ScalarBuffer<i64>>,
    /// Only where rows of one instant must be told apart.
    pub seqs: Option<Decimal128Array>,
    /// What is left of hit ids, where conversions stand at other rows.
    rests: Option<Int64Array>,
    /// Where rows may be a hit that another row is: what is left of the hit id, and the file.
    hits: Option<(Int64Array, Text)>,
    /// The dimension.
    pub items: Text,
    /// Where values persist: the rows to which it applies, and where the dimension was set.
    pub set: Option<(BooleanArray, Text)>,
    values: Values,
    /// The rows on which it is not zero, in order, where they were looked for already.
    converted: Option<Vec<u32>>,
    /// Conversions count from the first time (inclusive) to the second (exclusive).
    window: (i64, i64),
    taken: TakenRows,
    pub visits: Visits,
    anchors: Option<Anchors>,
    /// Items with their amounts, where a row converts in parts: of all rows, or of those that are named, which rise.
    lines: Option<(Option<Vec<u32>>, ListArray)>,
    /// Offline rows that stand right after a hit.
    at_hits: Option<BooleanArray>,
    /// Products with what is bound to them.
    pub bound: Option<BoundLines>,
    /// Rows that end bindings.
    ends: Option<BooleanArray>,
    /// Rows that select their visitor, and their visit.
    marks: [Option<BooleanArray>; 2],
    /// What the credit of a row's conversion is broken down by.
    pub groups: Option<GroupRows>,
    /// The same of its lines, where each converts for itself.
    pub line_groups: Option<LineGroups>,
    /// True for rows of records.
    pub offline: bool,
    /// Some rows, which rise, and whose person each is.
    persons: Option<(Vec<u32>, StringArray)>,
    /// Where something of the rows is shown: what it is looked up in.
    pub source: Option<Arc<Source>>,
}

/// The batch that rows are in, and what is shown of them; without terms its columns have the names of what is shown.
#[derive(Debug)]
pub(super) struct Source {
    pub batch: RecordBatch,
    pub terms: Option<Arc<EvaluatedTerms>>,
}

impl Source {
    /// True where the rows of both are of one table, or of one plan.
    pub fn is_like(&self, other: &Self) -> bool {
        match (&self.terms, &other.terms) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            (own, others) => own.is_none() && others.is_none(),
        }
    }
}

/// The metric of a row.
#[derive(Debug)]
enum Values {
    Column(Float64Array),
    /// Every row counts once.
    One,
    /// No row has it.
    None,
    /// Where the order of rows is asked for: the steps that each satisfies, the first in the lowest bit. One that can be the first
    /// converts.
    Steps(Vec<u64>),
}

/// Which rows take part.
#[derive(Debug)]
struct TakenRows {
    /// All rows do.
    all: bool,
    /// More than 0: stored, not reported.
    excluded: Option<Int64Array>,
    /// True: happened in the background, and not reported.
    background: Option<BooleanArray>,
    suite: Option<(Text, String)>,
}

/// The visit of a row.
#[derive(Debug)]
pub(super) enum Visits {
    /// The container is the visitor.
    Untold,
    /// The rows belong to none.
    Never,
    /// Number and start, both or none.
    Given(Int64Array, TimestampMicrosecondArray),
    /// Number and start, or number, or name, or to be computed by the rules from the rows before.
    Stored {
        number: Option<Int64Array>,
        start: Option<TimestampMicrosecondArray>,
        name: Option<Text>,
        rules: VisitRules,
    },
}

/// Rows that stand at another place than their own: NULL where a row does not.
#[derive(Debug)]
struct Anchors {
    times: TimestampMicrosecondArray,
    seqs: Decimal128Array,
    rests: Int64Array,
    /// True for the rows that are anchored; without it, those that have a time.
    rows: Option<BooleanArray>,
}

impl Columns {
    /// Of the columns that [`JourneySpec::input_columns`] names, already filtered.
    pub fn evaluated(batch: &RecordBatch, spec: &JourneySpec) -> Result<Self> {
        let found = Finder(batch);
        let ids = found.text("visitor_id")?;
        if !ids.all_valid() {
            return Err(DataFusionError::Internal("a journey needs rows that have a visitor".into()));
        }
        Ok(Self {
            rows: batch.num_rows(),
            keys: found.integers("visitor_key")?.values().clone(),
            ids: Some(ids),
            times: Some(found.times("hit_time")?.values().clone()),
            seqs: Some(found.sequences("hit_seq")?),
            rests: spec.anchored.then(|| found.integers(columns::HIT_ID_REST)).transpose()?,
            hits: None,
            items: found.text("item")?,
            set: None,
            values: Values::Column(found.floats("value")?),
            converted: None,
            window: EVER,
            taken: TakenRows { all: true, excluded: None, background: None, suite: None },
            visits: match spec.needs_visits() {
                false => Visits::Untold,
                true => Visits::Given(found.integers("visit_num")?, found.times("visit_start")?),
            },
            anchors: match spec.anchored {
                false => None,
                true => Some(Anchors {
                    times: found.times("anchor_time")?,
                    seqs: found.sequences("anchor_seq")?,
                    rests: found.integers("anchor_rest")?,
                    rows: None,
                }),
            },
            lines: match spec.in_lines {
                false => None,
                true => Some((None, found.column("lines")?.as_list::<i32>().clone())),
            },
            at_hits: None,
            bound: match spec.bound {
                None => None,
                Some(_) => Some(BoundLines::new(found.column("lines")?)?),
            },
            ends: spec.ends_bindings().then(|| found.booleans("ends")).transpose()?,
            marks: found.marks(&spec.selection)?,
            groups: found.groups(&spec.selection)?,
            line_groups: found.line_groups(&spec.selection)?,
            offline: true,
            persons: None,
            source: None,
        })
    }

    /// Of the columns that [`SequenceSpec::input_columns`] names, already filtered.
    pub fn in_sequence(batch: &RecordBatch, spec: &SequenceSpec) -> Result<Self> {
        let found = Finder(batch);
        let (items, steps) = match &spec.sequence {
            Sequence::Funnel { .. } | Sequence::Members { .. } => {
                let steps = found.integers("steps")?.values().iter().map(|steps| *steps as u64).collect();
                (Text::nothing(batch.num_rows()), steps)
            }
            Sequence::Flow { .. } => {
                let anchors = found.booleans("anchors")?;
                (found.text("item")?, anchors.iter().map(|anchors| u64::from(anchors == Some(true))).collect())
            }
        };
        let mut columns = Self {
            rows: batch.num_rows(),
            keys: found.integers("visitor_key")?.values().clone(),
            ids: Some(found.text("visitor_id")?),
            times: Some(found.times("hit_time")?.values().clone()),
            seqs: Some(found.sequences("hit_seq")?),
            rests: None,
            hits: None,
            items,
            set: None,
            values: Values::Steps(steps),
            converted: None,
            window: EVER,
            taken: TakenRows { all: true, excluded: None, background: None, suite: None },
            visits: match spec.in_visits {
                false => Visits::Untold,
                true => Visits::Given(found.integers("visit_num")?, found.times("visit_start")?),
            },
            anchors: None,
            lines: None,
            at_hits: None,
            bound: None,
            ends: None,
            marks: [None, None],
            groups: None,
            line_groups: None,
            offline: true,
            persons: None,
            source: None,
        };
        if let Sequence::Funnel { by, .. } = &spec.sequence
            && !by.is_empty()
        {
            let groups = GROUP_COLUMNS.iter().take(by.len()).map(|name| found.column(name).cloned());
            columns.groups = Some(GroupRows::new(by, &groups.collect::<Result<Vec<_>>>()?)?);
        }
        Ok(columns)
    }

    /// Of the columns of a table of the lake.
    pub fn stored(
        batch: &RecordBatch,
        spec: &JourneySpec,
        rows: &StoredRows,
        terms: &EvaluatedTerms,
        known: &mut DictionaryAnswers,
    ) -> Result<Self> {
        let found = Finder(batch);
        let some = |name: &str| batch.column_by_name(name).is_some();
        let ids = some(columns::VISITOR_ID).then(|| found.text(columns::VISITOR_ID)).transpose()?;
        let excluded = some(columns::EXCLUDE_HIT).then(|| found.integers(columns::EXCLUDE_HIT)).transpose()?;
        // nearly always none is
        let background = some(columns::BACKGROUND_HIT).then(|| found.booleans(columns::BACKGROUND_HIT)).transpose()?;
        let background = background.filter(|background| background.has_true());
        let excludes = excluded.as_ref().is_some_and(|e| e.values().iter().fold(0, |any, value| any | value) != 0);
        let touches = terms.touches.as_ref().map(|term| known.holds(term, batch)).transpose()?;
        let item = |name: &str| match &touches {
            Some(touches) => Text::of(&nullif(found.column(name)?, &not(touches)?)?),
            None => found.text(name),
        };
        let mut mark = |term: &Option<_>| term.as_ref().map(|term| known.holds(term, batch)).transpose();
        let marks = [mark(&terms.visitors)?, mark(&terms.visits)?];
        let mut stored = Self {
            rows: batch.num_rows(),
            keys: found.integers(columns::VISITOR_KEY)?.values().clone(),
            times: match some(columns::HIT_TIME) {
                true => Some(found.times(columns::HIT_TIME)?.values().clone()),
                false => None,
            },
            seqs: some(columns::HIT_SEQ).then(|| found.sequences(columns::HIT_SEQ)).transpose()?,
            rests: (spec.anchored && some(columns::HIT_ID_REST))
                .then(|| found.integers(columns::HIT_ID_REST))
                .transpose()?,
            hits: match rows.repeats {
                true => Some((found.integers(columns::HIT_ID_REST)?, found.text(columns::FILE)?)),
                false => None,
            },
            items: match &rows.dimension {
                Some(name) => item(name)?,
                None => Text::nothing(batch.num_rows()),
            },
            set: match (&rows.set, rows.flag()) {
                (Some(name), Some(flag)) => Some((found.booleans(flag)?, item(name)?)),
                _ => None,
            },
            values: match &rows.metric {
                Metric::Column(name) => {
                    let values = found.floats(name)?;
                    Values::Column(match rows.counted {
                        false => values,
                        true => values.unary::<_, Float64Type>(|value| f64::from(value != 0.0)),
                    })
                }
                Metric::One => Values::One,
                Metric::None => Values::None,
            },
            converted: None,
            window: rows.window,
            taken: TakenRows {
                all: !excludes
                    && background.is_none()
                    && ids.as_ref().is_none_or(Text::all_valid)
                    && rows.suite.is_none(),
                excluded: excluded.filter(|_| excludes),
                background,
                suite: match &rows.suite {
                    Some(suite) => Some((found.text(columns::SUITE)?, suite.clone())),
                    None => None,
                },
            },
            ids,
            visits: match (spec.needs_visits(), rows.visit_rules) {
                (true, Some(rules)) => Visits::Stored {
                    number: some(columns::VISIT_NUM).then(|| found.integers(columns::VISIT_NUM)).transpose()?,
                    start: some(columns::VISIT_START).then(|| found.times(columns::VISIT_START)).transpose()?,
                    name: some(columns::VISIT_ID).then(|| found.text(columns::VISIT_ID)).transpose()?,
                    rules,
                },
                (true, None) => Visits::Never,
                (false, _) => Visits::Untold,
            },
            anchors: match rows.anchored {
                false => None,
                true => {
                    let (kinds, status) = (found.text(columns::ROW_KIND)?, found.text(columns::MATCH_STATUS)?);
                    let is = |text: &Text, row, wanted| text.is_valid(row) && text.value(row) == wanted;
                    let matched = |row| is(&kinds, row, "transaction") && is(&status, row, "matched");
                    Some(Anchors {
                        times: found.times("snapshot_time")?,
                        seqs: found.sequences("snapshot_seq")?,
                        rests: found.integers(columns::SNAPSHOT_REST)?,
                        rows: Some((0..batch.num_rows()).map(|row| Some(matched(row))).collect()),
                    })
                }
            },
            lines: None,
            at_hits: match rows.at_hits {
                false => None,
                true => Some(found.booleans(columns::STANDS_AT_HIT)?),
            },
            bound: None,
            ends: None,
            marks,
            groups: None,
            line_groups: None,
            offline: !rows.online,
            persons: None,
            source: None,
        };
        if let Some(steps) = terms.steps(batch, known)? {
            stored.values = Values::Steps(steps);
        }
        if terms.conversions.is_some() || !terms.by.is_empty() || terms.lines.is_some() {
            stored.look_at_conversions(batch, spec, terms)?;
        }
        Ok(stored)
    }

    /// Finds which of the rows with a value convert, and the groups of those that do.
    fn look_at_conversions(&mut self, batch: &RecordBatch, spec: &JourneySpec, terms: &EvaluatedTerms) -> Result<()> {
        let mut rows = vec![];
        self.converting(&mut rows);
        let mut converting = match rows.len() == batch.num_rows() {
            true => batch.clone(),
            false => take_record_batch(batch, &UInt32Array::from(rows.clone()))?,
        };
        if let Some(predicate) = &terms.conversions {
            let holds = holds(predicate, &converting)?;
            rows = rows.into_iter().zip(holds.values()).filter(|(_, holds)| *holds).map(|(row, _)| row).collect();
            let mut values = vec![0.0; self.rows];
            rows.iter().for_each(|row| values[*row as usize] = self.value(*row as usize));
            self.values = Values::Column(values.into());
            converting = filter_record_batch(&converting, &holds)?;
        }
        if let Some(lines) = &terms.lines {
            let lines = lines.evaluate(&converting)?.into_array(rows.len())?;
            self.lines = Some((Some(rows.clone()), lines.as_list::<i32>().clone()));
        }
        if !terms.by.is_empty() {
            let groups = GroupRows::new(&spec.selection.by, &terms.groups(&converting)?)?;
            self.groups = Some(groups.of_rows(rows.clone()));
        }
        self.converted = Some(rows);
        Ok(())
    }

    /// Finds whose person these rows are, which rise.
    pub fn look_at_persons(
        &mut self,
        batch: &RecordBatch,
        person: &Arc<dyn PhysicalExpr>,
        rows: Vec<u32>,
    ) -> Result<()> {
        let own = take_record_batch(batch, &UInt32Array::from(rows.clone()))?;
        let persons = cast(&person.evaluate(&own)?.into_array(own.num_rows())?, &DataType::Utf8)?;
        self.persons = Some((rows, persons.as_string::<i32>().clone()));
        Ok(())
    }

    /// True where places do not say whose all rows are.
    #[inline]
    pub fn tell_persons(&self) -> bool {
        self.persons.is_some()
    }

    /// The person of a row, where its place does not say it.
    #[inline]
    pub fn person(&self, row: usize) -> Option<&str> {
        let (rows, persons) = self.persons.as_ref()?;
        let place = rows.binary_search(&(row as u32)).ok().filter(|place| persons.is_valid(*place))?;
        Some(persons.value(place))
    }

    /// The steps that each row satisfies, the first in the lowest bit; nothing where the order of rows is not asked for.
    #[inline]
    pub fn steps(&self) -> &[u64] {
        match &self.values {
            Values::Steps(steps) => steps,
            Values::Column(_) | Values::One | Values::None => &[],
        }
    }

    /// Where the items of a row are, which is where the dimension was set if its value persists, and their numbers.
    #[inline]
    pub fn item_of<'c>(&'c self, row: usize, codes: &'c mut (Codes, Codes)) -> (&'c Text, &'c mut Codes) {
        match self.set_of(row) {
            Some(set) => (set, &mut codes.1),
            None => (&self.items, &mut codes.0),
        }
    }

    /// Where the dimension was set, for a row whose value persists.
    #[inline]
    fn set_of(&self, row: usize) -> Option<&Text> {
        let (persisted, set) = self.set.as_ref()?;
        (persisted.is_valid(row) && persisted.value(row)).then_some(set)
    }

    /// False for a row without an item, a value, and a mark that selects its visitor.
    pub fn says_something(&self, row: usize) -> bool {
        let has_item = self.set_of(row).unwrap_or(&self.items).is_valid(row);
        has_item || self.value(row) != 0.0 || self.marks_visitor(row)
    }

    /// False where no row has an item.
    pub fn have_items(&self) -> bool {
        let Some((persisted, set)) = &self.set else { return self.items.any_valid() };
        set.any_valid() || persisted.true_count() < self.rows && self.items.any_valid()
    }

    /// The time of a row; 0 where times were not asked for.
    #[inline]
    pub fn time(&self, row: usize) -> i64 {
        self.times.as_ref().map_or(0, |times| times[row])
    }

    /// The times of the batch, where of the rows of a range nothing counts but when they touch which item: mostly so for hits that
    /// have no value.
    pub fn times_of_touches(&self, range: Range<usize>) -> Option<&[i64]> {
        let has_more = self.offline
            || !self.taken.all
            || self.may_repeat()
            || self.seqs.is_some()
            || self.set.is_some()
            || self.anchors.is_some()
            || self.persons.is_some()
            || self.marks.iter().any(Option::is_some)
            || !matches!(self.visits, Visits::Untold);
        let has_value = || match &self.values {
            Values::Column(values) => values.values()[range].iter().any(|value| *value != 0.0),
            Values::One | Values::Steps(_) => true,
            Values::None => false,
        };
        let times = self.times.as_ref().filter(|_| !has_more)?;
        (!has_value()).then_some(&times[..])
    }

    /// True where times are read. Where they are not, a visitor's rows come in order of time input after input.
    pub fn tell_times(&self) -> bool {
        self.times.is_some()
    }

    /// The first of some rows of one visitor that is not older than `oldest` microseconds, else the one after them; where times
    /// were not asked for, the first of all.
    pub fn first_since(&self, rows: Range<usize>, oldest: i64) -> usize {
        let Some(times) = &self.times else { return rows.start };
        rows.start + times[rows].partition_point(|time| *time < oldest)
    }

    /// True where every row is reported, of the suite, and has a visitor.
    pub fn all_take_part(&self) -> bool {
        self.taken.all
    }

    /// False for a row without a visitor.
    pub fn has_visitor(&self, row: usize) -> bool {
        self.ids.as_ref().is_none_or(|ids| ids.is_valid(row))
    }

    /// False for a row of another suite or without a visitor.
    pub fn is_of_suite(&self, row: usize) -> bool {
        self.has_visitor(row)
            && self.taken.suite.as_ref().is_none_or(|(suites, own)| suites.is_valid(row) && suites.value(row) == own)
    }

    /// False for a row that is stored, but not reported.
    pub fn is_reported(&self, row: usize) -> bool {
        self.taken.excluded.as_ref().is_none_or(|e| e.is_null(row) || e.value(row) == 0)
            && self.taken.background.as_ref().is_none_or(|b| b.is_null(row) || !b.value(row))
    }

    /// True where rows may be a hit that another row is.
    pub fn may_repeat(&self) -> bool {
        self.hits.is_some()
    }

    /// What tells the hit of a row from others of its visitor, instant and sequence; none for a row without a hit id, and
    /// where rows do not repeat.
    #[inline]
    pub fn hit_rest(&self, row: usize) -> Option<i64> {
        self.hits.as_ref().filter(|(rests, _)| rests.is_valid(row)).map(|(rests, _)| rests.value(row))
    }

    /// The file of a row, where rows may repeat: of the rows of one hit that of the last file counts.
    pub fn file(&self, row: usize) -> Option<&str> {
        self.hits.as_ref().map(|(_, files)| files.value(row))
    }

    /// The metric of a row; 0 where it has none, or outside the reporting window.
    // a call for each row takes longer than what is done
    #[inline(always)]
    pub fn value(&self, row: usize) -> f64 {
        let value = match &self.values {
            Values::Column(values) if values.is_valid(row) => values.value(row),
            Values::Column(_) | Values::None => 0.0,
            Values::One => 1.0,
            Values::Steps(steps) => (steps[row] & 1) as f64,
        };
        let is_reported = |time: i64| self.window.0 <= time && time < self.window.1;
        if value == 0.0 || is_reported(self.time(row)) { value } else { 0.0 }
    }

    /// Fills `out` with the rows on which the metric is not zero, in order.
    pub fn converting(&self, out: &mut Vec<u32>) {
        out.clear();
        if let Some(rows) = &self.converted {
            out.extend_from_slice(rows);
            return;
        }
        match &self.values {
            Values::None => return,
            Values::One => out.extend(0..self.rows as u32),
            Values::Column(values) => {
                // most rows convert nothing, which is seen several rows at once
                let (blocks, rest) = values.values().as_chunks::<BLOCK>();
                let mut add = |first: usize, amounts: &[f64]| {
                    let rows = (first as u32..).zip(amounts).filter(|(_, amount)| **amount != 0.0);
                    out.extend(rows.map(|(row, _)| row));
                };
                for (block, amounts) in blocks.iter().enumerate() {
                    if amounts.iter().fold(false, |any, amount| any | (*amount != 0.0)) {
                        add(block * BLOCK, amounts);
                    }
                }
                add(blocks.len() * BLOCK, rest);
                // what stands where a row has no value is anything
                if values.null_count() > 0 {
                    out.retain(|row| values.is_valid(*row as usize));
                }
            }
            Values::Steps(steps) => {
                // every row is written and some are kept: a branch on that is one that nothing can predict
                out.resize(steps.len(), 0);
                let mut kept = 0;
                for (row, steps) in (0_u32..).zip(steps) {
                    out[kept] = row;
                    kept += usize::from(*steps & 1 == 1);
                }
                out.truncate(kept);
            }
        }
        if self.window != EVER {
            out.retain(|row| self.value(*row as usize) != 0.0);
        }
    }

    /// The parts in which a row converts: items with their amounts.
    #[inline]
    pub fn lines(&self, row: usize) -> Option<ArrayRef> {
        let (rows, lines) = self.lines.as_ref()?;
        let at = match rows {
            Some(rows) => rows.binary_search(&(row as u32)).ok()?,
            None => row,
        };
        lines.is_valid(at).then(|| lines.value(at))
    }

    /// True for a row after which no binding so far is seen.
    pub fn ends_bindings(&self, row: usize) -> bool {
        self.ends.as_ref().is_some_and(|ends| ends.is_valid(row) && ends.value(row))
    }

    /// True for a row that selects its visitor.
    #[inline]
    pub fn marks_visitor(&self, row: usize) -> bool {
        self.marks[0].as_ref().is_some_and(|marks| marks.is_valid(row) && marks.value(row))
    }

    /// True for a row that selects its visit.
    #[inline]
    pub fn marks_visit(&self, row: usize) -> bool {
        self.marks[1].as_ref().is_some_and(|marks| marks.is_valid(row) && marks.value(row))
    }

    /// Where a row stands.
    pub fn place(&self, row: usize) -> Place {
        let rest = self.rests.as_ref().filter(|rests| rests.is_valid(row)).map(|rests| rests.value(row));
        (self.time(row), self.sequence(row), rest)
    }

    /// Where a row that does not stand at its own time stands.
    #[inline]
    pub fn anchor(&self, row: usize) -> Option<Place> {
        let anchors = self.anchors.as_ref()?;
        let anchored = anchors.rows.as_ref().is_none_or(|rows| rows.value(row)) && anchors.times.is_valid(row);
        let rest = || anchors.rests.is_valid(row).then(|| anchors.rests.value(row));
        anchored.then(|| (anchors.times.value(row), anchors.seqs.value(row), rest()))
    }

    /// True for an offline row that stands right after its hit, where that was asked for.
    pub fn stands_at_hit(&self, row: usize) -> bool {
        self.at_hits.as_ref().is_some_and(|at| at.is_valid(row) && at.value(row))
    }

    /// The sequence of a row, where sequences were asked for.
    pub fn sequence(&self, row: usize) -> i128 {
        self.seqs.as_ref().map_or(0, |seqs| seqs.value(row))
    }

    /// After the last row of the visitor of `row` in this batch.
    pub fn end_of_visitor(&self, row: usize) -> usize {
        let key = self.keys[row];
        let mut end = row + 1;
        let Some(ids) = &self.ids else {
            while end < self.rows && self.keys[end] == key {
                end += 1;
            }
            return end;
        };
        // a key is nearly always one visitor, and a dictionary shows it by its codes
        if let Some(codes) = ids.codes() {
            let code = codes[row];
            while end < self.rows && self.keys[end] == key && codes[end] == code {
                end += 1;
            }
        }
        while end < self.rows && self.keys[end] == key && ids.same(end - 1, end) {
            end += 1;
        }
        end
    }
}

impl Text {
    /// A column in which no row has a value.
    fn nothing(rows: usize) -> Self {
        Self::Plain(StringArray::new_null(rows))
    }
}

#[cfg(test)]
mod tests;
