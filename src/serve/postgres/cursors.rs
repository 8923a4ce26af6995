//! Cursors of SQL (`DECLARE`, `FETCH`, `CLOSE`) and prepared statements of SQL (`PREPARE`, `EXECUTE`) of one connection.
//!
//! A cursor is a statement that runs, a few rows at a time, within the same limits; it goes forward only.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Value, VisitMut, VisitorMut};
use tokio::sync::{Mutex, MutexGuard};

use crate::ErrorKind;
use crate::engine::Statement;
use crate::serve::failure::{Failure, Reason};
use crate::serve::session::{Described, Rows};

/// Cursors that are open at once, and prepared statements of SQL.
const MOST: usize = 64;

/// Bytes of rows that one FETCH takes.
const FETCHED_BYTES: usize = 64 << 20;

/// What a connection has named.
#[derive(Default)]
pub struct Cursors {
    open: Mutex<BTreeMap<String, Cursor>>,
    prepared: Mutex<BTreeMap<String, Prepared>>,
}

struct Cursor {
    rows: Rows,
    /// What was read and not fetched yet.
    rest: Option<RecordBatch>,
    /// It outlives its transaction.
    hold: bool,
}

struct Prepared {
    types: Vec<DataType>,
    statement: Statement,
}

fn wrong(state: &'static str, message: String) -> Failure {
    Failure::new(Reason::Engine(ErrorKind::Query), message).with_sqlstate(state)
}

fn no_cursor(name: &str) -> Failure {
    wrong("34000", format!("cursor {name:?} does not exist"))
}

fn no_statement(name: &str) -> Failure {
    wrong("26000", format!("prepared statement {name:?} does not exist"))
}

impl Cursors {
    /// Opens a cursor.
    pub async fn declare(&self, name: &str, rows: Rows, hold: bool) -> Result<(), Failure> {
        let mut open = self.open.lock().await;
        if open.contains_key(name) {
            return Err(wrong("42P03", format!("cursor {name:?} already exists")));
        }
        room(open.len(), "cursors")?;
        open.insert(name.to_string(), Cursor { rows, rest: None, hold });
        Ok(())
    }

    /// Columns of a cursor.
    pub async fn columns(&self, name: &str) -> Result<SchemaRef, Failure> {
        self.open.lock().await.get(name).map(|cursor| cursor.rows.schema.clone()).ok_or_else(|| no_cursor(name))
    }

    /// The next rows of a cursor, `count` of them where there are as many; all of them are in memory at once.
    ///
    /// # Errors
    /// They are more than one FETCH takes.
    pub async fn fetch(&self, name: &str, count: Option<u64>) -> Result<(SchemaRef, Vec<RecordBatch>), Failure> {
        let mut open = self.open.lock().await;
        let cursor = open.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let mut left = count.unwrap_or(u64::MAX);
        let (mut fetched, mut bytes) = (vec![], 0);
        while left > 0 {
            let batch = match cursor.rest.take() {
                Some(rest) => rest,
                None => match cursor.rows.next().await {
                    Some(batch) => batch?,
                    None => break,
                },
            };
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
            if taken < batch.num_rows() {
                cursor.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            left -= taken as u64;
            bytes += batch.get_array_memory_size();
            if bytes > FETCHED_BYTES && !fetched.is_empty() {
                let message = "these are more rows than one FETCH takes; fetch some at a time, such as FETCH 10000";
                return Err(Failure::new(Reason::TooLarge, message));
            }
            fetched.push(batch.slice(0, taken));
        }
        Ok((cursor.rows.schema.clone(), fetched))
    }

    /// Closes a cursor, or all.
    pub async fn close(&self, name: Option<&str>) -> Result<(), Failure> {
        let mut open = self.open.lock().await;
        match name {
            None => open.clear(),
            Some(name) => drop(open.remove(name).ok_or_else(|| no_cursor(name))?),
        }
        Ok(())
    }

    /// A transaction ends: only what is held stays, if it was committed.
    pub async fn end_transaction(&self, keep: bool) {
        self.open.lock().await.retain(|_, cursor| keep && cursor.hold);
    }

    /// Prepares a statement.
    pub async fn prepare(&self, name: &str, types: Vec<DataType>, statement: Statement) -> Result<(), Failure> {
        let mut prepared = self.prepared.lock().await;
        if prepared.contains_key(name) {
            return Err(wrong("42P05", format!("prepared statement {name:?} already exists")));
        }
        room(prepared.len(), "prepared statements")?;
        prepared.insert(name.to_string(), Prepared { types, statement });
        Ok(())
    }

    /// A prepared statement with values in place of its parameters.
    pub async fn executed(&self, name: &str, values: &[Expr]) -> Result<Statement, Failure> {
        let prepared: MutexGuard<'_, _> = self.prepared.lock().await;
        let Prepared { types, statement } = prepared.get(name).ok_or_else(|| no_statement(name))?;
        if values.len() < types.len() {
            let message = format!("{name:?} takes {} values, {} were given", types.len(), values.len());
            return Err(wrong("42601", message));
        }
        let mut put = PutValues { types, values, missing: None };
        let reworded = statement.clone().reworded(|mut sql| {
            // it never breaks off
            let _ = VisitMut::visit(&mut sql, &mut put);
            sql
        })?;
        match put.missing {
            Some(parameter) => Err(wrong("42601", format!("{name:?} needs a value for {parameter}"))),
            None => Ok(reworded),
        }
    }

    /// Forgets a prepared statement, or all; false where there is none of that name.
    pub async fn deallocate(&self, name: Option<&str>) -> bool {
        let mut prepared = self.prepared.lock().await;
        match name {
            None => {
                prepared.clear();
                true
            }
            Some(name) => prepared.remove(name).is_some(),
        }
    }
}

fn room(open: usize, what: &str) -> Result<(), Failure> {
    match open < MOST {
        true => Ok(()),
        false => Err(Failure::new(Reason::TooLarge, format!("{MOST} {what} are open; close some"))),
    }
}

struct PutValues<'a> {
    types: &'a [DataType],
    values: &'a [Expr],
    missing: Option<String>,
}

impl VisitorMut for PutValues<'_> {
    type Break = ();

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        if let Expr::Value(value) = expr
            && let Value::Placeholder(parameter) = &value.value
        {
            let place =
                parameter.strip_prefix('$').and_then(|n| n.parse::<usize>().ok()).and_then(|n| n.checked_sub(1));
            match place.and_then(|place| Some((self.values.get(place)?.clone(), self.types.get(place).cloned()))) {
                None => self.missing = Some(parameter.clone()),
                Some((value, None)) => *expr = Expr::Nested(Box::new(value)),
                Some((value, Some(data_type))) => {
                    let expr_of = Box::new(value);
                    *expr = Expr::Cast { kind: CastKind::Cast, expr: expr_of, data_type, array: false, format: None };
                }
            }
        }
        ControlFlow::Continue(())
    }
}

/// What a statement without columns is described as.
pub fn without_columns(parameters: Described) -> Described {
    Described { schema: Schema::empty().into(), ..parameters }
}
