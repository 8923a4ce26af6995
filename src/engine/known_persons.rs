//! Whose rows are whose, as the last rebuild found it: read once for a version of its tables, and kept by a session.
//!
//! In: the tables `persons` and `person_audit`. Out: the columns of `events` that say so. Memory: the spans of visitors with IDs,
//! accounted in the memory pool.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, TimestampMicrosecondType};
use datafusion::catalog::TableProvider;
use datafusion::dataframe::DataFrame;
use datafusion::datasource::provider_as_source;
use datafusion::execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ident};
use rejoin_instances::planning;

use crate::Result;
use crate::columns::{PERSON_ID, PERSON_STATUS, sequence, timestamp};
use crate::functions::{PERSON_ID_OF, PERSON_STATUS_OF, Persons, PersonsOfSuite, person_id, person_status};
use crate::lake::records::Suite;
use crate::persons::Moment;

/// Persons that were read, with the version of what they were read from.
#[derive(Debug)]
pub(super) struct Loaded {
    /// Whose rows are whose.
    pub persons: Persons,
    version: String,
    _memory: MemoryReservation,
}

/// The persons that a session read last.
#[derive(Clone, Debug, Default)]
pub(super) struct KeptPersons(Arc<Mutex<Option<Arc<Loaded>>>>);

impl KeptPersons {
    /// Those of this version, if they are the last.
    pub fn find(&self, version: &str) -> Option<Arc<Loaded>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.as_ref().filter(|loaded| loaded.version == version).cloned()
    }

    /// Keeps them in place of others.
    pub fn keep(&self, loaded: &Arc<Loaded>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(loaded.clone());
    }
}

/// Reads the tables `spans` and `audit`; of suites without persons nothing is known.
pub(super) async fn load(
    suites: &[Suite],
    spans: Arc<dyn TableProvider>,
    audit: Arc<dyn TableProvider>,
    version: String,
    state: &SessionState,
) -> Result<Arc<Loaded>> {
    let with_persons = suites.iter().filter(|suite| suite.has_persons());
    let mut all: BTreeMap<String, PersonsOfSuite> =
        with_persons.map(|suite| (suite.suite.clone(), PersonsOfSuite::default())).collect();
    for batch in rows(spans, &["suite", "visitor_id", "valid_from", "from_seq", "person_id", "shared"], state).await? {
        add_spans(&mut all, &batch)?;
    }
    for batch in rows(audit, &["suite", "customer_id", "person_id"], state).await? {
        let texts = [0, 1, 2].map(|column| cast(batch.column(column), &DataType::Utf8));
        let [suites, ids, persons] = texts;
        let (suites, ids, persons) = (suites?, ids?, persons?);
        let (suites, ids, persons) = (suites.as_string::<i32>(), ids.as_string::<i32>(), persons.as_string::<i32>());
        for row in 0..batch.num_rows() {
            if let Some(own) = all.get_mut(suites.value(row)) {
                own.add_id(ids.value(row), persons.is_valid(row).then(|| persons.value(row)));
            }
        }
    }
    all.values_mut().for_each(PersonsOfSuite::complete);
    let memory = MemoryConsumer::new("Persons").register(&state.runtime_env().memory_pool);
    memory.try_grow(all.values().map(PersonsOfSuite::memory_bytes).sum())?;
    Ok(Arc::new(Loaded { persons: Persons::new(all), version, _memory: memory }))
}

async fn rows(table: Arc<dyn TableProvider>, columns: &[&str], state: &SessionState) -> Result<Vec<RecordBatch>> {
    let plan = LogicalPlanBuilder::scan("rows", provider_as_source(table), None)?;
    let plan = plan.project(columns.iter().map(|name| ident(*name)))?.build()?;
    Ok(planning::collect(DataFrame::new(state.clone(), plan)).await?)
}

fn add_spans(all: &mut BTreeMap<String, PersonsOfSuite>, batch: &RecordBatch) -> Result<()> {
    let text = |column: usize| cast(batch.column(column), &DataType::Utf8);
    let (suites, visitors, persons) = (text(0)?, text(1)?, text(4)?);
    let (suites, visitors, persons) =
        (suites.as_string::<i32>(), visitors.as_string::<i32>(), persons.as_string::<i32>());
    let (times, sequences) = (cast(batch.column(2), &timestamp())?, cast(batch.column(3), &sequence())?);
    let (times, sequences) =
        (times.as_primitive::<TimestampMicrosecondType>(), sequences.as_primitive::<Decimal128Type>());
    let shared = cast(batch.column(5), &DataType::Boolean)?;
    let shared = shared.as_boolean();
    for row in 0..batch.num_rows() {
        let Some(own) = all.get_mut(suites.value(row)) else { continue };
        let from: Option<Moment> = times.is_valid(row).then(|| (times.value(row), sequences.value(row)));
        own.add(visitors.value(row), from, persons.value(row), shared.is_valid(row) && shared.value(row));
    }
    Ok(())
}

/// `events` with the columns that say whose a row is.
pub(super) fn with_persons(events: LogicalPlan, persons: &Persons) -> Result<LogicalPlan> {
    let all = events.schema().columns().into_iter().map(Expr::Column);
    let columns = |names: &[&str]| names.iter().map(|name| ident(*name)).collect::<Vec<_>>();
    let person = person_id(persons).call(columns(&PERSON_ID_OF)).alias(PERSON_ID);
    let status = person_status(persons).call(columns(&PERSON_STATUS_OF)).alias(PERSON_STATUS);
    let all: Vec<Expr> = all.chain([person, status]).collect();
    Ok(LogicalPlanBuilder::from(events).project(all)?.build()?)
}
