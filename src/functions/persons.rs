//! Whose person a row of `events` is: what the columns `person_id` and `person_status` are made of, the functions of a plan.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type};
use datafusion::error::Result;
use datafusion::logical_expr::ScalarUDF;

use super::function_spec::{FunctionSpec, plan_function};
use super::person_spans::Persons;
use super::rows::Rows;
use crate::columns::{self, sequence, timestamp};
use crate::persons::Subject;

/// The columns of `events` that [`person_id`] takes, in order.
pub const PERSON_ID_OF: [&str; 8] = [
    columns::SUITE,
    columns::VISITOR_ID,
    columns::ROW_KIND,
    columns::CUSTOMER_ID,
    columns::HIT_TIME,
    columns::HIT_SEQ,
    "snapshot_time",
    "snapshot_seq",
];

/// The columns of `events` that [`person_status`] takes, in order.
pub const PERSON_STATUS_OF: [&str; 4] =
    [columns::SUITE, columns::ROW_KIND, columns::CUSTOMER_ID, columns::MATCH_STATUS];

/// The person of a row: a hit's by its place on its visitor's time line, a transaction record's by its snapshot's, a customer
/// record's by its own ID. NULL where a row has no visitor, or its suite no persons.
pub fn person_id(persons: &Persons) -> ScalarUDF {
    let text = DataType::Utf8;
    let arguments =
        vec![text.clone(), text.clone(), text.clone(), text.clone(), timestamp(), sequence(), timestamp(), sequence()];
    let (function_spec, persons) = (FunctionSpec::PersonId(persons.clone()), persons.clone());
    plan_function("person_id", arguments, text, function_spec, move |rows| of_rows(&persons, rows))
}

fn of_rows(persons: &Persons, rows: &Rows) -> Result<ArrayRef> {
    let [suites, visitors, kinds, ids] = [0, 1, 2, 3].map(|i| rows.text(i));
    let (suites, visitors, kinds, ids) = (suites?, visitors?, kinds?, ids?);
    let times = [rows.micros(4)?, rows.micros(6)?];
    let sequences = [cast(rows.array(5), &sequence())?, cast(rows.array(7), &sequence())?];
    let sequences = sequences.each_ref().map(|array| array.as_primitive::<Decimal128Type>());
    let mut found = StringBuilder::with_capacity(rows.len, rows.len * 16);
    let mut of_suite = ("", None);
    for row in 0..rows.len {
        if visitors.is_null(row) || suites.is_null(row) {
            found.append_null();
            continue;
        }
        if of_suite.0 != suites.value(row) {
            of_suite = (suites.value(row), persons.of(suites.value(row)));
        }
        let Some(own) = of_suite.1 else {
            found.append_null();
            continue;
        };
        let visitor = visitors.value(row);
        let kind = if kinds.is_valid(row) { kinds.value(row) } else { "" };
        if kind == "customer" && ids.is_valid(row) {
            let id = ids.value(row).trim();
            match own.of_id(id) {
                Some(Some(person)) => {
                    found.append_value(person);
                    continue;
                }
                // it counts as none: the record stands where its visitor is
                Some(None) => {}
                None => {
                    found.append_value(Subject::Id(id.to_string()).to_string());
                    continue;
                }
            }
        }
        let at = usize::from(kind == "transaction" && times[1].is_valid(row) && sequences[1].is_valid(row));
        match own.of_visitor(visitor, (times[at].value(row), sequences[at].value(row))) {
            Some(person) => found.append_value(person),
            None => found.append_value(Subject::Visitor(visitor.to_string()).to_string()),
        }
    }
    Ok(Arc::new(found.finish()))
}

/// What `match_status` is where all visitors of a person are one: a customer record whose ID several visitors bear is matched.
pub fn person_status(persons: &Persons) -> ScalarUDF {
    let (function_spec, persons) = (FunctionSpec::PersonStatus(persons.clone()), persons.clone());
    plan_function("person_status", vec![DataType::Utf8; 4], DataType::Utf8, function_spec, move |rows| {
        let [suites, kinds, ids, statuses] = [0, 1, 2, 3].map(|i| rows.text(i));
        let (suites, kinds, ids, statuses) = (suites?, kinds?, ids?, statuses?);
        let status = |row: usize| {
            let own = suites.is_valid(row).then(|| persons.of(suites.value(row))).flatten()?;
            let status = statuses.is_valid(row).then(|| statuses.value(row))?;
            let of_customer = kinds.is_valid(row) && kinds.value(row) == "customer" && ids.is_valid(row);
            let counts = of_customer && own.of_id(ids.value(row).trim()).is_none_or(|person| person.is_some());
            Some(if counts && status == "ambiguous" { "matched" } else { status })
        };
        Ok(Arc::new((0..rows.len).map(status).collect::<StringArray>()))
    })
}
