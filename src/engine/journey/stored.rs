//! Journeys straight from the lake's files: which columns of which files, instead of the whole plan of `events`.
//!
//! The files of a bucket are sorted by visitor already, so nothing is sorted, shuffled, filtered into new batches or
//! merged row by row: the operator takes one input a generation and joins them visitor by visitor. It reads the dimension
//! as a dictionary, and sequences only where rows of one instant may come from several files; of several devices of a person
//! they are looked up afterwards. What the view `events` says in SQL (reported hits, integrated rows, where a persisted
//! dimension was set) is said here once more in terms of stored columns; the tests hold both against each other
//! (`SET rejoin.journeys = 'plain'` forces the SQL).

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::catalog::Session;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{DFSchema, DFSchemaRef, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{BinaryExpr, Expr, LogicalPlan, Operator, UserDefinedLogicalNodeCore, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use rejoin_instances::trees::change_parts;
use rejoin_instances::values::{hash_exprs, same_exprs};

use super::by_person::PersonRows;
use super::data_driven::operators;
use super::input::{Input, InputColumns};
use super::stored_rows::{Metric, StoredRows};
use super::terms::RowTerms;
use super::ties::SequenceFiles;
use super::{Answer, EVER, JourneyExec, JourneySpec};
use crate::attribution::Container;
use crate::columns;
use crate::engine::visits::VisitRules;
use crate::engine::written_times::read_times;
use crate::functions::{Classes, LOCAL_TIME};
use crate::lake::DataFile;
use crate::lake::prune::Visitors;
use crate::lake::records::Suite;
use crate::lake::repeats::{may_repeat, may_repeat_by_key};
use crate::lake::reported::are_all_reported;
use crate::lake::scan::LakeTable;

/// The tables that make up `events`, when all of their files are ours: sorted and in buckets.
#[derive(Debug)]
pub struct StoredEvents {
    hits: LakeTable,
    integrated: LakeTable,
    suite: String,
    visit_rules: VisitRules,
    background_hits: bool,
    /// Columns of `hits` that are not as they are stored.
    computed: BTreeSet<String>,
}

/// What a report asks of the stored events.
#[derive(Debug, Clone)]
pub struct Question {
    /// A column of `events`.
    pub metric: String,
    /// A column of `events`, where it is about items.
    pub dimension: Option<String>,
    /// What becomes of its values, where items are their classes.
    pub classes: Option<Classes>,
    /// Each conversion counts one, whatever the metric's value.
    pub counted: bool,
    /// Where the dimension was set, if `events` has such a column.
    pub set: Option<String>,
    /// Values that an offline row took from its snapshot are touches, too.
    pub inherited: bool,
    /// Conversions from the first time (inclusive) to the second (exclusive) count, microseconds.
    pub window: (i64, i64),
    /// True where it says how long something took.
    pub times: bool,
    /// What it says of rows, over the columns of hits and of integrated rows.
    pub terms: [RowTerms<Expr>; 2],
}

impl PartialEq for Question {
    fn eq(&self, other: &Self) -> bool {
        let Self { metric, dimension, classes, counted, set, inherited, window, times, terms } = self;
        let same_terms = |(one, other): (&RowTerms<Expr>, &RowTerms<Expr>)| {
            one.lists().into_iter().zip(other.lists()).all(|(one, other)| same_exprs(one, other))
        };
        *metric == other.metric
            && *dimension == other.dimension
            && *classes == other.classes
            && *counted == other.counted
            && *set == other.set
            && *inherited == other.inherited
            && *window == other.window
            && *times == other.times
            && terms.iter().zip(&other.terms).all(same_terms)
    }
}

impl Eq for Question {}

impl Hash for Question {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let Self { metric, dimension, classes, counted, set, inherited, window, times, terms } = self;
        (metric, dimension, classes, counted, set, inherited, window, times).hash(state);
        terms.iter().flat_map(RowTerms::lists).for_each(|exprs| hash_exprs(exprs, state));
    }
}

impl StoredEvents {
    /// Of the tables of one suite, if every file is one of ours. Dimensions that are `persisting` are filled while reading.
    pub fn new(
        hits: LakeTable,
        integrated: LakeTable,
        suite: &Suite,
        persisting: impl IntoIterator<Item = String>,
    ) -> Option<Self> {
        if ![&hits, &integrated].iter().all(|table| table.is_sorted()) {
            return None;
        }
        let mut computed: BTreeSet<String> =
            persisting.into_iter().flat_map(|dimension| [columns::set_column(&dimension), dimension]).collect();
        if !hits.gives_visits(&hits.files_of_suite(&suite.suite)) {
            computed.extend([columns::VISIT_NUM, columns::VISIT_START].map(str::to_string));
        }
        let (visit_rules, background_hits) = (VisitRules::of(suite), suite.background_hits);
        Some(Self { hits, integrated, suite: suite.suite.clone(), visit_rules, background_hits, computed })
    }

    /// What is said of rows of `events`, of which `below` tells what they are on the side of hits (0) and of integrated rows
    /// (1), over what is stored. None where it asks for what is computed while reading.
    pub fn terms(
        &self,
        terms: &RowTerms<Expr>,
        below: impl Fn(usize, &Expr) -> crate::Result<Option<Expr>>,
    ) -> crate::Result<Option<[RowTerms<Expr>; 2]>> {
        let mut sides = [RowTerms::default(), RowTerms::default()];
        for (side, table) in [&self.hits, &self.integrated].into_iter().enumerate() {
            let mut all_stored = true;
            sides[side] = terms.map(|term| {
                let Some(term) = below(side, term)? else {
                    all_stored = false;
                    return Ok::<_, crate::Error>(term.clone());
                };
                let read = change_parts(term, &mut |part| {
                    let Expr::Column(column) = &part else {
                        all_stored &= !changes_in_time(&part);
                        return Ok(Transformed::no(part));
                    };
                    all_stored &= side == 1 || !self.computed.contains(&column.name);
                    if table.stores_column(&column.name) {
                        return Ok(Transformed::no(part));
                    }
                    let known = table.field(&column.name).unwrap_or_else(|| columns::dimension(&column.name));
                    Ok(Transformed::yes(Expr::Literal(ScalarValue::try_from(known.data_type())?, None)))
                });
                Ok(read?.data)
            })?;
            if !all_stored {
                return Ok(None);
            }
        }
        Ok(Some(sides))
    }

    /// The operator over the files that a question needs.
    fn plan(
        &self,
        answer: &Answer,
        question: &Question,
        persons: Option<&PersonRows>,
        state: &dyn Session,
    ) -> Result<JourneyExec> {
        let spec = &answer.reads();
        // an offline row belongs to no visit, but may say whom a question is about
        let offline_counts = spec.container == Container::Visitor;
        let tables: &[(&LakeTable, bool)] = match offline_counts || spec.selection.visitors {
            true => &[(&self.hits, true), (&self.integrated, false)],
            false => &[(&self.hits, true)],
        };
        let at_hits = tables.len() > 1 && self.integrated.stores_column(columns::STANDS_AT_HIT);
        let visitors = match persons {
            Some(_) => Visitors::of(&[]),
            None => visitors_that_matter(spec, question),
        };
        let mut wanted: Vec<(&LakeTable, StoredRows, Vec<&DataFile>)> = vec![];
        for &(table, online) in tables {
            let files = table.files_of_suite(&self.suite);
            // a hit of a time that does not matter may be the one that counts
            let times = match online && may_repeat_by_key(&files) {
                true => EVER,
                false => times_that_matter(spec, question, table, &files),
            };
            let may_matter = |file: &&DataFile| file.may_lie_in(times) && visitors.may_be_in(file);
            let mut files: Vec<&DataFile> = files.into_iter().filter(may_matter).collect();
            // files of different times come in turn
            files.sort_by_key(|file| file.hit_time);
            let counts = online || offline_counts;
            let rows = StoredRows {
                online,
                metric: match question.metric.as_str() {
                    _ if !counts => Metric::None,
                    "occurrences" => Metric::One,
                    name if table.stores_column(name) => Metric::Column(name.into()),
                    _ => Metric::None,
                },
                dimension: question.dimension.clone().filter(|name| counts && table.stores_column(name)),
                classes: question.classes.clone(),
                counted: question.counted,
                // of integrated rows that say so, what they brought; where none brought anything, nothing is stored
                set: question.set.clone().filter(|set| match online {
                    true => table.stores_column(set),
                    false => counts && !question.inherited && table.stores_column(columns::PERSISTED),
                }),
                window: question.window,
                suite: Some(self.suite.clone()).filter(|_| !table.is_all_of_suite(&files, &self.suite)),
                visit_rules: (online && spec.needs_visits()).then_some(self.visit_rules),
                anchored: spec.anchored && !online,
                repeats: online && may_repeat(&files),
                background_hits: self.background_hits,
                all_reported: are_all_reported(&files),
                at_hits: at_hits && !online,
            };
            let terms = &question.terms[usize::from(!online)];
            let marks = terms.visitors.is_some() || terms.visits.is_some();
            let say_something = match terms.steps.is_empty() {
                true => rows.say_something() || marks || spec.all_visitors_matter(),
                // where the order of rows is asked for, a row is a step or has an item
                false => rows.have_items() || may_hold(&terms.steps, table, state)?,
            };
            if !files.is_empty() && say_something {
                wanted.push((table, rows, files));
            }
        }
        let files_of = |online: bool| -> Vec<&DataFile> {
            let tables = wanted.iter().filter(|(_, rows, _)| rows.online == online);
            tables.flat_map(|(.., files)| files).copied().collect()
        };
        let keys_suffice = self.hits.keys_suffice(&files_of(true), &files_of(false));
        let in_order = match wanted.as_slice() {
            [(table, rows, files)] => {
                let visits_told = !spec.needs_visits() || table.gives_visits(files);
                let times_told = !question.needs_times() && !spec.needs_times() && !rows.repeats && !spec.by_person;
                table.come_in_turn(files) && visits_told && times_told
            }
            _ => false,
        };
        let mut inputs = vec![];
        let mut persons = persons.cloned();
        for (table, rows, files) in wanted {
            // an offline row may have no visitor, and there are few of them
            let keys_identify = persons.as_ref().is_none_or(PersonRows::keys_identify_visitors);
            let keys_tell = keys_suffice && rows.online && keys_identify;
            let ids = !keys_tell || answer.tells_visitors();
            let told_apart = spec.anchored || at_hits || rows.repeats || table.may_share_instants(&files);
            // of hits of several devices in one instant they are looked up, which are few; and so are records
            let sequences = told_apart || (spec.by_person && !rows.online);
            if !sequences {
                let looked_up =
                    |persons: PersonRows| persons.without_sequences(SequenceFiles::new(table.lookup(&files), ids));
                persons = persons.map(looked_up);
            }
            let rests = spec.anchored && rows.online && table.stores_column(columns::HIT_ID_REST);
            let mut fields = rows.fields(table, ids, !in_order, sequences && !in_order, rests);
            let terms = &question.terms[usize::from(!rows.online)];
            let read: BTreeSet<&str> =
                terms.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
            fields.extend(read.into_iter().filter_map(|name| table.field(name)));
            let mut known = BTreeSet::new();
            fields.retain(|field| known.insert(field.name().clone()));
            let scans = table.sorted_scans(state, &files, &fields, &visitors)?;
            let Some(first) = scans.first() else { continue };
            let schema = Arc::new(DFSchema::try_from(first.schema().as_ref().clone())?);
            let terms = Arc::new(terms.map(|term| evaluated(term, &schema, state))?);
            for plan in scans {
                inputs.push(Input { columns: InputColumns::Stored(rows.clone(), terms.clone()), plan });
            }
        }
        let journey = JourneyExec::new(answer.clone(), inputs, state.config().target_partitions());
        let journey = journey.by_person(persons);
        // of what is not read nothing can be told
        let tells = !keys_suffice && visitors.are_any();
        Ok(if tells { journey.telling(self.hits.keys().clone()) } else { journey })
    }
}

/// The visitors whose rows can change the answer, where the question names them: no other is marked, or converts.
fn visitors_that_matter(spec: &JourneySpec, question: &Question) -> Visitors {
    if spec.by_person || spec.all_visitors_matter() {
        return Visitors::of(&[]);
    }
    // a row of either table may say it
    let [hits, integrated] = &question.terms;
    let marked = Visitors::of(hits.visitors.as_slice()).or(Visitors::of(integrated.visitors.as_slice()));
    match marked.are_any() {
        true => Visitors::of(hits.conversions.as_slice()).or(Visitors::of(integrated.conversions.as_slice())),
        false => marked,
    }
}

/// The times of rows that can change the answer: nothing after the window, nothing older than the lookback before it.
fn times_that_matter(spec: &JourneySpec, question: &Question, table: &LakeTable, files: &[&DataFile]) -> (i64, i64) {
    let computed_visits = spec.needs_visits() && !table.gives_visits(files);
    let marks = spec.selection.visitors || spec.selection.visits;
    // an anchored row's place and its own time are far apart, and so are a mark and what it marks
    let in_order = question.terms.iter().any(|terms| !terms.steps.is_empty());
    if spec.anchored || spec.all_visitors_matter() || computed_visits || marks || in_order {
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
    /// True where more than the order of rows counts.
    fn needs_times(&self) -> bool {
        self.window != EVER || self.times
    }
}

/// False where it is seen that no row of a table satisfies any of the steps.
fn may_hold(steps: &[Expr], table: &LakeTable, state: &dyn Session) -> Result<bool> {
    let read: BTreeSet<&str> = steps.iter().flat_map(Expr::column_refs).map(|column| column.name.as_str()).collect();
    let fields: Vec<Field> = read.into_iter().filter_map(|name| table.field(name)).collect();
    let schema = Arc::new(DFSchema::try_from(Schema::new(fields))?);
    for step in steps {
        if !holds_nowhere(&simplified(step, &schema, state)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// True for a predicate that is seen to be true of no row.
fn holds_nowhere(predicate: &Expr) -> bool {
    match predicate {
        Expr::Literal(value, _) => value.is_null() || *value == ScalarValue::Boolean(Some(false)),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => holds_nowhere(left) || holds_nowhere(right),
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => holds_nowhere(left) && holds_nowhere(right),
        _ => false,
    }
}

/// A term, ready to be evaluated on rows of a scan.
fn evaluated(term: &Expr, schema: &DFSchemaRef, state: &dyn Session) -> Result<Arc<dyn PhysicalExpr>> {
    state.create_physical_expr(simplified(term, schema, state)?, schema)
}

/// A term, as far as it is known before rows are read.
fn simplified(term: &Expr, schema: &DFSchemaRef, state: &dyn Session) -> Result<Expr> {
    let context = SimplifyContext::builder().with_schema(schema.clone());
    let context = context.with_config_options(state.config().options().clone()).build();
    let simplifier = ExprSimplifier::new(context);
    // some functions are only there until they are simplified
    let coerced = simplifier.coerce(term.clone(), schema)?;
    simplifier.simplify(read_times(coerced, schema, state.config().options())?.data)
}

/// True for a function that answers otherwise at another time, or in another session.
fn changes_in_time(expr: &Expr) -> bool {
    let Expr::ScalarFunction(call) = expr else { return false };
    let names_zone = call.name() == LOCAL_TIME && call.args.len() == 2;
    !names_zone && call.func.signature().volatility != Volatility::Immutable
}

/// The logical node: what is found out over stored events; partial sums, one set a partition, or paths, each once.
#[derive(Debug, Clone)]
pub struct StoredJourneyNode {
    answer: Answer,
    question: Question,
    /// Where rows are brought together by person.
    persons: Option<PersonRows>,
    events: Arc<StoredEvents>,
    schema: DFSchemaRef,
}

impl StoredJourneyNode {
    /// Over `events`.
    pub fn try_new(answer: Answer, question: Question, events: Arc<StoredEvents>) -> Result<Self> {
        let schema = Arc::new(DFSchema::try_from(answer.output().as_ref().clone())?);
        Ok(Self { answer, question, persons: None, events, schema })
    }

    /// Brings rows together by person.
    pub fn by_person(self, persons: Option<PersonRows>) -> Self {
        Self { persons, ..self }
    }

    /// The operators.
    pub fn plan(&self, state: &dyn Session) -> Result<Arc<dyn ExecutionPlan>> {
        operators(&self.answer, |answer| self.events.plan(&answer, &self.question, self.persons.as_ref(), state))
    }
}

impl PartialEq for StoredJourneyNode {
    fn eq(&self, other: &Self) -> bool {
        self.answer == other.answer
            && self.question == other.question
            && self.persons == other.persons
            && Arc::ptr_eq(&self.events, &other.events)
    }
}

impl Eq for StoredJourneyNode {}

impl Hash for StoredJourneyNode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.answer.hash(state);
        self.question.hash(state);
        Arc::as_ptr(&self.events).hash(state);
    }
}

// as far as plans need it: an order of expressions would be one of all that SQL can say
impl PartialOrd for StoredJourneyNode {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.answer.partial_cmp(&other.answer).filter(|o| o.is_ne() || self == other)
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
        let Question { metric, dimension, terms: [terms, _], .. } = &self.question;
        let dimension = dimension.as_deref().unwrap_or("none");
        write!(f, "StoredJourney: metric={metric}, dimension={dimension}, {}", self.answer)?;
        let predicates = [("touches", &terms.touches), ("conversions", &terms.conversions)];
        predicates.iter().try_for_each(|(name, term)| match term {
            Some(term) => write!(f, ", {name}={term}"),
            None => Ok(()),
        })
    }

    fn with_exprs_and_inputs(&self, _: Vec<Expr>, _: Vec<LogicalPlan>) -> Result<Self> {
        Ok(self.clone())
    }
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{col, lit};

    use super::*;
    use crate::attribution::Model;

    #[test]
    fn of_visitors_whom_a_question_names_all_others_are_left_out() {
        let is = |id: &str| Some(col(columns::VISITOR_ID).eq(lit(id)));
        let question = |visitors: [Option<Expr>; 2], conversions: Option<Expr>| Question {
            metric: "orders".into(),
            dimension: None,
            classes: None,
            counted: false,
            set: None,
            inherited: false,
            window: EVER,
            times: false,
            terms: visitors.map(|visitors| {
                let conversions = conversions.clone();
                RowTerms { visitors, conversions, ..RowTerms::default() }
            }),
        };
        let named = |filter: Option<Expr>| Visitors::of(filter.as_slice());
        let spec = JourneySpec::without_models(Container::Visitor);
        let matter = |visitors: [Option<Expr>; 2], conversions: Option<Expr>| {
            visitors_that_matter(&spec, &question(visitors, conversions))
        };
        assert_eq!(matter([is("a"), is("a")], None), named(is("a")));
        assert_eq!(matter([is("a"), is("b")], None), named(is("a")).or(named(is("b"))), "a record may say it");
        assert_eq!(matter([None, None], is("b")), named(is("b")));
        let page = || Some(col("page_name").eq(lit("home")));
        assert!(matter([is("a"), page()], None).are_any(), "any visitor may have such a record");
        assert!(matter([page(), page()], page()).are_any() && matter([None, None], None).are_any());
        let of_all = JourneySpec { models: vec![("share".into(), Model::Algorithmic)], ..spec.clone() };
        assert!(visitors_that_matter(&of_all, &question([is("a"), is("a")], None)).are_any());
        let by_person = JourneySpec { by_person: true, ..spec.clone() };
        assert!(visitors_that_matter(&by_person, &question([is("a"), is("a")], None)).are_any());
    }

    #[test]
    fn predicates_that_hold_nowhere() {
        let null = || lit(ScalarValue::Boolean(None));
        let some = || col("orders").gt(lit(0.0));
        for nowhere in [lit(false), null(), some().and(null()), lit(false).and(some()), null().or(lit(false))] {
            assert!(holds_nowhere(&nowhere), "{nowhere}");
        }
        for somewhere in [lit(true), some(), some().or(null()), some().and(lit(true)), null().is_null()] {
            assert!(!holds_nowhere(&somewhere), "{somewhere}");
        }
    }
}
