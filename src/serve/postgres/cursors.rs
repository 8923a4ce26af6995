//! Cursors of SQL (`DECLARE`, `FETCH`, `CLOSE`) and prepared statements of SQL (`PREPARE`, `EXECUTE`) of one connection, and the points
//! of its transaction (`SAVEPOINT`), of which a cursor is before or after.
//!
//! A cursor is a statement that runs, a few rows at a time, within the same limits; it goes forward only.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::sql::sqlparser::ast::{CastKind, DataType, Expr, Value, VisitorMut};
use rejoin_instances::syntax::change;
use tokio::sync::{Mutex, MutexGuard};

use crate::engine::Statement;
use crate::serve::failure::{Failure, Reason};
use crate::serve::session::{Described, ResultRows};
use crate::{ErrorKind, clock};

/// Cursors that are open at once, and prepared statements of SQL.
const MOST: usize = 64;

/// Points of a transaction at once: drivers set one before each statement.
const MOST_POINTS: usize = 100_000;

/// Bytes of a name that Postgres keeps.
const NAME_BYTES: usize = 63;

/// Bytes of rows that one FETCH takes.
const FETCHED_BYTES: usize = 64 << 20;

/// What a connection has named.
#[derive(Default)]
pub struct Cursors {
    open: Mutex<BTreeMap<String, Cursor>>,
    prepared: Mutex<BTreeMap<String, Prepared>>,
    points: Mutex<Points>,
}

/// The points of a transaction, in their order.
#[derive(Default)]
struct Points {
    /// Their names, and how many cursors had been opened then.
    set: Vec<(String, u64)>,
    /// Cursors that were opened, ever.
    opened: u64,
}

impl Points {
    /// The place of the last one of a name.
    fn place(&self, name: &str) -> Result<usize, Failure> {
        let place = self.set.iter().rposition(|(set, _)| *set == kept(name));
        place.ok_or_else(|| wrong("3B001", format!("savepoint {:?} does not exist", kept(name))))
    }
}

/// As much of a name as Postgres keeps.
fn kept(name: &str) -> &str {
    &name[..name.floor_char_boundary(NAME_BYTES)]
}

struct Cursor {
    rows: ResultRows,
    /// Cursors that had been opened before it.
    before: u64,
    /// What was read and not fetched yet.
    rest: Option<RecordBatch>,
    /// Rows that it has gone past.
    at: u64,
    declared: Declared,
    /// The query, as it was understood.
    statement: String,
    /// Microseconds since 1970.
    since: i64,
}

/// How a cursor was declared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Declared {
    /// It outlives its transaction.
    pub hold: bool,
    /// A FETCH that does not say otherwise gives binary values.
    pub binary: bool,
}

/// Where a FETCH or MOVE goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum CursorMove {
    /// So many rows on; None is all of them.
    Forward(Option<u64>),
    /// To the row that is so many on, from 1.
    Relative(u64),
    /// To the row of this number, from 1.
    Absolute(u64),
}

/// An open cursor as `pg_cursors` lists it.
pub struct OpenCursor {
    pub name: String,
    pub statement: String,
    pub declared: Declared,
    /// Microseconds since 1970.
    pub since: i64,
}

/// What a FETCH gives.
pub struct Fetched {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    /// Rows, also of a MOVE, which keeps none.
    pub count: u64,
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

/// A cursor goes on only.
pub fn forward_only() -> Failure {
    let message = "a cursor can only go forward here; declare it anew to begin again";
    Failure::new(Reason::NotOffered, message).with_sqlstate("55000")
}

impl Cursor {
    /// Goes past so many rows, or as many as there are; the batches, if they are kept, and how many rows there were.
    async fn go(&mut self, most: u64, keep: bool) -> Result<(Vec<RecordBatch>, u64), Failure> {
        let (mut left, mut kept, mut bytes) = (most, vec![], 0);
        while left > 0 {
            let batch = match self.rest.take() {
                Some(rest) => rest,
                None => match self.rows.next().await {
                    Some(batch) => batch?,
                    None => break,
                },
            };
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(batch.num_rows());
            if taken < batch.num_rows() {
                self.rest = Some(batch.slice(taken, batch.num_rows() - taken));
            }
            left -= taken as u64;
            self.at += taken as u64;
            if !keep {
                continue;
            }
            bytes += batch.get_array_memory_size();
            if bytes > FETCHED_BYTES && !kept.is_empty() {
                let message = "these are more rows than one FETCH takes; fetch some at a time, such as FETCH 10000";
                return Err(Failure::new(Reason::TooLarge, message));
            }
            kept.push(batch.slice(0, taken));
        }
        Ok((kept, most - left))
    }
}

impl Cursors {
    /// Opens a cursor.
    pub async fn declare(
        &self,
        name: &str,
        rows: ResultRows,
        declared: Declared,
        statement: &Statement,
    ) -> Result<(), Failure> {
        let mut open = self.open.lock().await;
        if open.contains_key(name) {
            return Err(wrong("42P03", format!("cursor {name:?} already exists")));
        }
        room(open.len(), "cursors")?;
        let (statement, since) = (statement.to_string(), clock::now().timestamp_micros());
        let mut points = self.points.lock().await;
        let before = points.opened;
        points.opened += 1;
        open.insert(name.to_string(), Cursor { rows, before, rest: None, at: 0, declared, statement, since });
        Ok(())
    }

    /// Sets a point of the transaction.
    pub async fn savepoint(&self, name: &str) -> Result<(), Failure> {
        let mut points = self.points.lock().await;
        if points.set.len() >= MOST_POINTS {
            return Err(Failure::new(Reason::TooLarge, format!("{MOST_POINTS} savepoints are set; release some")));
        }
        let opened = points.opened;
        points.set.push((kept(name).to_string(), opened));
        Ok(())
    }

    /// How many points of the transaction are set.
    pub async fn points(&self) -> usize {
        self.points.lock().await.set.len()
    }

    /// Forgets a point of the transaction, and those after it; how many are left.
    pub async fn release(&self, name: &str) -> Result<usize, Failure> {
        let mut points = self.points.lock().await;
        let place = points.place(name)?;
        points.set.truncate(place);
        Ok(place)
    }

    /// Closes the cursors that were opened after a point of the transaction, and forgets the points after it; how many are left.
    pub async fn roll_back_to(&self, name: &str) -> Result<usize, Failure> {
        let mut open = self.open.lock().await;
        let mut points = self.points.lock().await;
        let place = points.place(name)?;
        points.set.truncate(place + 1);
        let opened = points.set.last().map_or(0, |(_, opened)| *opened);
        open.retain(|_, cursor| cursor.before < opened);
        Ok(place + 1)
    }

    /// The cursors that are open.
    pub async fn open(&self) -> Vec<OpenCursor> {
        let open = self.open.lock().await;
        let listed = open.iter().map(|(name, cursor)| OpenCursor {
            name: name.clone(),
            statement: cursor.statement.clone(),
            declared: cursor.declared,
            since: cursor.since,
        });
        listed.collect()
    }

    /// Columns of a cursor, and how it was declared.
    pub async fn columns(&self, name: &str) -> Result<(SchemaRef, Declared), Failure> {
        let open = self.open.lock().await;
        let cursor = open.get(name).ok_or_else(|| no_cursor(name))?;
        Ok((cursor.rows.schema.clone(), cursor.declared))
    }

    /// The rows to which a cursor moves, where there are as many. All of them are in memory at once if they are kept.
    ///
    /// # Errors
    /// They are more than one FETCH takes, or the direction is backward.
    pub async fn fetch(&self, name: &str, direction: CursorMove, keep: bool) -> Result<Fetched, Failure> {
        let mut open = self.open.lock().await;
        let cursor = open.get_mut(name).ok_or_else(|| no_cursor(name))?;
        let (skipped, wanted) = match direction {
            CursorMove::Forward(count) => (0, count.unwrap_or(u64::MAX)),
            CursorMove::Relative(count) => (count.saturating_sub(1), 1),
            CursorMove::Absolute(number) => (number.checked_sub(cursor.at + 1).ok_or_else(forward_only)?, 1),
        };
        cursor.go(skipped, false).await?;
        let (batches, count) = cursor.go(wanted, keep).await?;
        Ok(Fetched { schema: cursor.rows.schema.clone(), batches, count })
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
        self.open.lock().await.retain(|_, cursor| keep && cursor.declared.hold);
        self.points.lock().await.set = vec![];
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
            let _ = change(&mut sql, &mut put);
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
