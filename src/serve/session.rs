//! One guest's statements: read only, bounded in time and rows, cancelled at any moment.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::common::ParamValues;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::scalar::ScalarValue;
use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::failure::{Failure, Reason};
use super::guard;
use super::parameters;
use super::server::{Admission, RunningStatement, Server};
use super::turns::{Arrival, Need};
use super::users::Guest;
use crate::engine::column_names;
use crate::engine::explained::{LINES, by_line};
use crate::engine::session::Planned;
use crate::engine::{Engine, PlannedStatement, Running, Statement};
use crate::quote::literal;

/// A guest's session: settings of its own, and at most a few statements at once.
pub struct Session {
    /// The guest who was let in.
    pub admission: Admission,
    /// The guest's engine.
    pub engine: Arc<Engine>,
    /// Counted up by each cancel.
    cancels: watch::Sender<u64>,
    /// How long a statement may take; the guest can make it less.
    time: Mutex<Duration>,
    /// The statement that was planned last: what is described is mostly run next.
    last: Mutex<Option<PlannedStatement>>,
    /// A setting was changed.
    changed: AtomicBool,
}

/// What a session has opened.
pub struct Opened {
    engine: Arc<Engine>,
    last: Option<PlannedStatement>,
}

/// A statement as it was typed, or parsed.
pub enum GivenStatement {
    /// As it was typed.
    Text(String),
    /// Parsed.
    Statement(Box<Statement>),
}

impl GivenStatement {
    /// Parsed.
    fn statement(self) -> Result<Statement, Failure> {
        Ok(match self {
            Self::Text(sql) => Statement::one_asked(&sql)?,
            Self::Statement(statement) => *statement,
        })
    }
}

/// The plan over the lake as it is now, of a statement that only reads. `before` is what was planned last.
async fn planned(
    statement: Statement,
    engine: &Engine,
    before: Option<PlannedStatement>,
) -> Result<PlannedStatement, Failure> {
    let planned = match before.filter(|planned| *planned.statement() == statement) {
        Some(planned) => engine.plan_again(&planned).await,
        None => engine.plan_statement(&statement).await,
    };
    // of some statements that write the engine knows no more than that
    let refused = |error: crate::Error| guard::refusal(&statement.to_string()).unwrap_or_else(|| error.into());
    let planned = planned.map_err(refused)?;
    guard::check(planned.plan())?;
    Ok(planned)
}

/// Starts what was planned, when it is its turn. What is small, and what others compute, waits for no turn.
async fn started(engine: &Engine, planned: Planned, arrival: Arrival, clock: &Handle) -> Result<Running, Failure> {
    let need = Need::of(&planned.0, engine.lake().is_distant()).filter(|_| engine.remote().is_none());
    let Some(need) = need else { return Ok(engine.execute(planned).await?) };
    let turn = arrival.turn(need).await.begin(clock);
    let Running { schema, rows, plan } = engine.execute(turn.heeding(planned)).await?;
    let rows = rows.map(move |batch| {
        // it ends at the latest when the last row was computed, or nobody wants more
        let _held = &turn;
        batch
    });
    Ok(Running { rows: Box::pin(RecordBatchStreamAdapter::new(schema.clone(), rows)), schema, plan })
}

impl From<&str> for GivenStatement {
    fn from(sql: &str) -> Self {
        Self::Text(sql.to_string())
    }
}

impl From<&String> for GivenStatement {
    fn from(sql: &String) -> Self {
        Self::Text(sql.clone())
    }
}

impl From<&Statement> for GivenStatement {
    fn from(statement: &Statement) -> Self {
        Self::Statement(Box::new(statement.clone()))
    }
}

/// What a statement gives and needs.
#[derive(Debug, Clone)]
pub struct Described {
    /// Columns of the result.
    pub schema: SchemaRef,
    /// Types of `$1`, `$2`, ...: those that the client says, or as far as they follow from the statement.
    pub parameters: Vec<Option<DataType>>,
}

/// A result while it is computed.
pub struct ResultRows {
    /// Columns of the result.
    pub schema: SchemaRef,
    rows: SendableRecordBatchStream,
    limit: u64,
    left: u64,
    until: Until,
    ended: bool,
    _begun: RunningStatement,
}

/// When a statement ends, whatever it has computed by then.
struct Until {
    deadline: Instant,
    time: Duration,
    cancels: watch::Receiver<u64>,
}

impl Until {
    /// What `work` gives, unless the time is over or the guest cancels before.
    async fn of<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Failure> {
        tokio::select! {
            biased;
            _ = self.cancels.changed() => Err(Failure::new(Reason::Cancelled, "canceling statement due to user request")),
            () = sleep_until(self.deadline) => Err(self.late()),
            done = work => Ok(done),
        }
    }

    fn late(&self) -> Failure {
        let message = format!("canceling statement due to statement timeout: it took more than {:?}", self.time);
        Failure::new(Reason::Late, message)
    }
}

impl Session {
    /// A session in an admission.
    pub fn new(admission: Admission) -> Result<Self, Failure> {
        let engine = Arc::new(admission.engine()?);
        Ok(Self::with(admission, Opened { engine, last: None }))
    }

    /// A session of a guest who enters for one request, in a suite where one is named.
    pub async fn enter(server: &Arc<Server>, guest: &Guest, suite: &str) -> Result<Self, Failure> {
        let session = Self::new(server.enter(guest.clone())?)?;
        if !suite.is_empty() {
            let named = format!("SET rejoin.suite = {}", literal(suite));
            let mut done = session.run(&named, vec![]).await?;
            while let Some(batch) = done.next().await {
                batch?;
            }
        }
        Ok(session)
    }

    /// A session in an admission, with what another session of the same guest has opened.
    pub fn with(admission: Admission, opened: Opened) -> Self {
        let time = Mutex::new(admission.server.limits.time);
        let Opened { engine, last } = opened;
        let (cancels, last, changed) = (watch::Sender::new(0), Mutex::new(last), AtomicBool::new(false));
        Self { admission, engine, cancels, time, last, changed }
    }

    /// Ends the statements that run.
    pub fn cancel(&self) {
        self.cancels.send_modify(|count| *count += 1);
    }

    /// Lets statements take less time than the server allows; zero is what the server allows.
    pub fn set_time(&self, time: Duration) {
        let most = self.admission.server.limits.time;
        *self.time.lock().unwrap_or_else(|e| e.into_inner()) = if time.is_zero() { most } else { time.min(most) };
    }

    /// Plans ONE statement.
    pub fn describe<'a>(&'a self, asked: impl Into<GivenStatement>) -> BoxFuture<'a, Result<Described, Failure>> {
        self.describe_given(asked, vec![])
    }

    /// Plans ONE statement, of whose parameters the client says some types.
    pub fn describe_given<'a>(
        &'a self,
        asked: impl Into<GivenStatement>,
        given: Vec<Option<DataType>>,
    ) -> BoxFuture<'a, Result<Described, Failure>> {
        self.describe_asked(asked.into(), given)
    }

    fn describe_asked(
        &self,
        asked: GivenStatement,
        given: Vec<Option<DataType>>,
    ) -> BoxFuture<'_, Result<Described, Failure>> {
        async move {
            self.check_length(&asked)?;
            let (engine, before) = (self.engine.clone(), self.last().take());
            let plan = async move {
                let planned = planned(asked.statement()?, &engine, before).await?;
                let parameters = parameters::types(planned.plan(), &given)?;
                let plan = parameters::declared(planned.plan().clone(), &parameters)?;
                let schema = plan.schema().as_arrow();
                let schema = column_names::shown(schema).unwrap_or_else(|| Arc::new(schema.clone()));
                Ok::<_, Failure>((Described { schema, parameters }, planned))
            };
            let (described, planned) = self.on_threads(&mut self.until(), plan).await?;
            *self.last() = Some(planned);
            Ok(described)
        }
        .boxed()
    }

    /// Starts ONE statement with values for `$1`, `$2`, ...
    pub fn run<'a>(
        &'a self,
        asked: impl Into<GivenStatement>,
        values: Vec<ScalarValue>,
    ) -> BoxFuture<'a, Result<ResultRows, Failure>> {
        self.run_asked(asked.into(), values)
    }

    fn run_asked(&self, asked: GivenStatement, values: Vec<ScalarValue>) -> BoxFuture<'_, Result<ResultRows, Failure>> {
        async move {
            self.check_length(&asked)?;
            let begun = self.admission.begin();
            let mut until = self.until();
            let (engine, before) = (self.engine.clone(), self.last().take());
            let (threads, deadline) = (self.admission.server.threads(), until.deadline);
            let arrival = self.admission.server.turns().arrive(&self.admission.guest.name);
            // the threads of the door, which always hear the clock
            let clock = Handle::current();
            let start = async move {
                let statement = asked.statement()?.with_values(&values)?;
                let planned = planned(statement, &engine, before).await?;
                let mut plan = planned.plan().clone();
                if !values.is_empty() {
                    let values: Vec<_> = values.into_iter().map(Into::into).collect();
                    plan = plan.with_param_values(ParamValues::List(values))?;
                }
                let running = started(&engine, engine.physical(plan).await?, arrival, &clock).await?;
                Ok::<_, Failure>((running.on_threads(&threads, Some(deadline)), planned))
            };
            let (running, planned) = self.on_threads(&mut until, start).await?;
            match planned.statement().sets() {
                // what was planned under other settings is of no use
                true => self.changed.store(true, Ordering::Relaxed),
                false => *self.last() = Some(planned),
            }
            let limit = self.admission.server.limits.rows;
            Ok(ResultRows {
                schema: running.schema,
                rows: running.rows,
                limit,
                left: limit,
                until,
                ended: false,
                _begun: begun,
            })
        }
        .boxed()
    }

    /// What can serve another session of this guest; None when a statement has changed a setting.
    pub fn into_opened(self) -> Option<(Guest, Opened)> {
        let Self { admission, engine, last, changed, .. } = self;
        let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
        (!changed.into_inner()).then(|| (admission.guest.clone(), Opened { engine, last }))
    }

    fn last(&self) -> MutexGuard<'_, Option<PlannedStatement>> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn until(&self) -> Until {
        let time = *self.time.lock().unwrap_or_else(|e| e.into_inner());
        Until { deadline: Instant::now() + time, time, cancels: self.cancels.subscribe() }
    }

    /// Work on the threads for statements; dropped when it is no longer waited for.
    async fn on_threads<T: Send + 'static>(
        &self,
        until: &mut Until,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn_on(work, &self.admission.server.threads());
        match until.of(tasks.join_next()).await? {
            Some(Ok(done)) => done,
            Some(Err(_)) | None => Err(Failure::new(Reason::Engine(crate::ErrorKind::Bug), "planning broke off")),
        }
    }

    fn check_length(&self, asked: &GivenStatement) -> Result<(), Failure> {
        match asked {
            GivenStatement::Text(sql) => self.check_text(sql),
            // what has been parsed was checked before
            GivenStatement::Statement(_) => Ok(()),
        }
    }

    /// Refuses a text that is too long.
    pub fn check_text(&self, sql: &str) -> Result<(), Failure> {
        let most = self.admission.server.limits.statement_bytes;
        if sql.len() > most {
            let message = format!("a statement of {} bytes; at most {most} are taken", sql.len());
            return Err(Failure::new(Reason::TooLarge, message));
        }
        Ok(())
    }
}

impl ResultRows {
    /// The plans of an `EXPLAIN`, a line in each row.
    pub fn by_line(self) -> Self {
        Self { schema: LINES.clone(), rows: by_line(self.rows), ..self }
    }

    /// The next batch; None after the last one. After an error there is none.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, Failure>> {
        if self.ended {
            return None;
        }
        let next = match self.until.of(self.rows.next()).await {
            Ok(Some(Ok(batch))) => Ok(batch),
            // clocks are read to the millisecond only, so that the rows' own end may come first
            Ok(Some(Err(_))) if Instant::now() >= self.until.deadline => Err(self.until.late()),
            Ok(Some(Err(error))) => Err(error.into()),
            Ok(None) => {
                self.ended = true;
                return None;
            }
            Err(failure) => Err(failure),
        };
        let next = next.and_then(|batch| match self.left.checked_sub(batch.num_rows() as u64) {
            Some(left) => {
                self.left = left;
                Ok(batch)
            }
            None => Err(Failure::new(
                Reason::TooLarge,
                format!("the answer has more than {} rows (--max-rows); aggregate, or add a LIMIT", self.limit),
            )),
        });
        self.ended = next.is_err();
        Some(next)
    }
}
