//! Journeys straight from the lake's files: which columns of which files, instead of the whole plan of `events`.
//!
//! The files of a bucket are sorted by visitor already, so nothing is sorted, shuffled, filtered into new batches or
//! merged row by row: the operator takes one input a generation and joins them visitor by visitor. It reads the dimension
//! as a dictionary, and sequences only where rows of one instant may come from several files. What the view `events`
//! says in SQL (reported hits, integrated rows, where a persisted dimension was set) is said here once more in terms of
//! stored columns; the tests hold both against each other (`SET rejoin.journeys = 'plain'` forces the SQL).

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};
use datafusion::physical_plan::ExecutionPlan;

use super::input::{Input, InputColumns};
use super::node::describe;
use super::stored_rows::{Metric, StoredRows};
use super::{EVER, JourneyExec, JourneySpec};
use crate::attribution::{Container, Model};
use crate::columns;
use crate::engine::visits::VisitRules;
use crate::lake::DataFile;
use crate::lake::records::Suite;
use crate::lake::repeats::{may_repeat, may_repeat_by_key};
use crate::lake::scan::LakeTable;

/// The tables that make up `events`, when all of their files are ours: sorted and in buckets.
#[derive(Debug)]
pub struct StoredEvents {
    hits: LakeTable,
    integrated: LakeTable,
    suite: String,
    visit_rules: VisitRules,
    background_hits: bool,
}

/// What a report asks of the stored events.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Hash)]
pub struct Question {
    /// A column of `events`.
    pub metric: String,
    /// A column of `events`.
    pub dimension: String,
    /// Where the dimension was set, if `events` has such a column.
    pub set: Option<String>,
    /// Values that an offline row took from its snapshot are touches, too.
    pub inherited: bool,
    /// Conversions from the first time (inclusive) to the second (exclusive) count, microseconds.
    pub window: (i64, i64),
}

impl StoredEvents {
    /// Of the tables of one suite, if every file is one of ours.
    pub fn new(hits: LakeTable, integrated: LakeTable, suite: &Suite) -> Option<Self> {
        let ours = [&hits, &integrated].iter().all(|table| table.is_sorted());
        let (visit_rules, background_hits) = (VisitRules::of(suite), suite.background_hits);
        ours.then(|| Self { hits, integrated, suite: suite.suite.clone(), visit_rules, background_hits })
    }

    /// The operator over the files that a question needs.
    fn plan(&self, spec: &JourneySpec, question: &Question, state: &dyn Session) -> Result<JourneyExec> {
        let tables: &[(&LakeTable, bool)] = match spec.container {
            Container::Visitor => &[(&self.hits, true), (&self.integrated, false)],
            // an offline row belongs to no visit
            Container::Visit => &[(&self.hits, true)],
        };
        let at_hits = tables.len() > 1 && self.integrated.stores_column(columns::STANDS_AT_HIT);
        let mut wanted: Vec<(&LakeTable, StoredRows, Vec<&DataFile>)> = vec![];
        for &(table, online) in tables {
            let files = table.files_of_suite(&self.suite);
            // a hit of a time that does not matter may be the one that counts
            let times = match online && may_repeat_by_key(&files) {
                true => EVER,
                false => times_that_matter(spec, question, table, &files),
            };
            let files: Vec<&DataFile> = files.into_iter().filter(|f| f.may_lie_in(times)).collect();
            let rows = StoredRows {
                online,
                metric: match question.metric.as_str() {
                    "occurrences" => Metric::One,
                    name if table.stores_column(name) => Metric::Column(name.into()),
                    _ => Metric::None,
                },
                dimension: Some(question.dimension.clone()).filter(|name| table.stores_column(name)),
                // of integrated rows that say so, what they brought; where none brought anything, nothing is stored
                set: question.set.clone().filter(|set| match online {
                    true => table.stores_column(set),
                    false => !question.inherited && table.stores_column(columns::PERSISTED),
                }),
                window: question.window,
                suite: Some(self.suite.clone()).filter(|_| !table.is_all_of_suite(&files, &self.suite)),
                visit_rules: (spec.container == Container::Visit).then_some(self.visit_rules),
                anchored: spec.anchored && !online,
                repeats: online && may_repeat(&files),
                background_hits: self.background_hits,
                at_hits: at_hits && !online,
            };
            if !files.is_empty() && (rows.say_something() || spec.needs_all_visitors()) {
                wanted.push((table, rows, files));
            }
        }
        let all: Vec<&DataFile> = wanted.iter().flat_map(|(.., files)| files).copied().collect();
        let keys_suffice = self.hits.keys_suffice(&all);
        let in_order = match wanted.as_slice() {
            [(table, rows, files)] => {
                let visits_told = spec.container == Container::Visitor || table.gives_visits(files);
                let times_told = !question.needs_times() && !spec.needs_times() && !rows.repeats;
                table.is_one_generation(files) && visits_told && times_told
            }
            _ => false,
        };
        let mut inputs = vec![];
        for (table, rows, files) in wanted {
            // an offline row may have no visitor, and there are few of them
            let ids = !(keys_suffice && rows.online);
            let sequences = spec.anchored || at_hits || rows.repeats || table.may_share_instants(&files);
            let rests = spec.anchored && rows.online && table.stores_column(columns::HIT_ID_REST);
            let fields = rows.fields(table, ids, !in_order, sequences && !in_order, rests);
            for scan in table.sorted_scans(state, &files, &fields)? {
                inputs.push(Input { columns: InputColumns::Stored(rows.clone()), plan: scan });
            }
        }
        let journey = JourneyExec::new(spec.clone(), inputs, state.config().target_partitions());
        Ok(if keys_suffice { journey } else { journey.telling(self.hits.keys().clone()) })
    }
}

/// The times of rows that can change the answer: nothing after the window, nothing older than the lookback before it.
fn times_that_matter(spec: &JourneySpec, question: &Question, table: &LakeTable, files: &[&DataFile]) -> (i64, i64) {
    let all_journeys = spec.models.iter().any(|(_, model)| *model == Model::Algorithmic);
    let computed_visits = spec.container == Container::Visit && !table.gives_visits(files);
    // an anchored row's place and its own time are far apart
    if spec.anchored || all_journeys || computed_visits {
        return EVER;
    }
    let (since, until) = question.window;
    let oldest = match (spec.container, spec.lookback_us) {
        (Container::Visitor, Some(lookback)) => since.saturating_sub(lookback),
        _ => EVER.0,
    };
    (oldest, until.saturating_sub(1))
}

impl Question {
    /// True where conversions of some times do not count.
    fn needs_times(&self) -> bool {
        self.window != EVER
    }
}

/// The logical node: credit per item over stored events; partial sums, one set a partition.
#[derive(Debug, Clone)]
pub struct StoredJourneyNode {
    spec: JourneySpec,
    question: Question,
    events: Arc<StoredEvents>,
    schema: DFSchemaRef,
}

impl StoredJourneyNode {
    /// Over `events`.
    pub fn try_new(spec: JourneySpec, question: Question, events: Arc<StoredEvents>) -> Result<Self> {
        let schema = Arc::new(DFSchema::try_from(spec.output().as_ref().clone())?);
        Ok(Self { spec, question, events, schema })
    }

    /// The operator.
    pub fn plan(&self, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(Arc::new(self.events.plan(&self.spec, &self.question, state)?))
    }
}

impl PartialEq for StoredJourneyNode {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && self.question == other.question && Arc::ptr_eq(&self.events, &other.events)
    }
}

impl Eq for StoredJourneyNode {}

impl Hash for StoredJourneyNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.hash(state);
        self.question.hash(state);
        Arc::as_ptr(&self.events).hash(state);
    }
}

impl PartialOrd for StoredJourneyNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        let order = (&self.spec, &self.question).partial_cmp(&(&other.spec, &other.question));
        order.filter(|o| o.is_ne() || self == other)
    }
}

impl UserDefinedLogicalNodeCore for StoredJourneyNode {
    fn name(&self) -> &str {
        "StoredJourney"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![]
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Question { metric, dimension, .. } = &self.question;
        write!(f, "StoredJourney: metric={metric}, dimension={dimension}, {}", describe(&self.spec))
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}
