//! Statements of one connection, simple and prepared.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion::scalar::ScalarValue;
use futures::{Sink, SinkExt, Stream, StreamExt, stream};
use pgwire::api::portal::{Format, Portal, PortalExecutionState};
use pgwire::api::query::{
    ExtendedQueryHandler, SimpleQueryHandler, send_describe_response, send_execution_response,
    send_partial_query_response,
};
use pgwire::api::results::{DescribePortalResponse, FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::{Entry, PortalStore};
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, PgWireConnectionState, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::copy::{CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::data::DataRow;
use pgwire::messages::extendedquery::{
    Close, CloseComplete, Describe, Execute, Parse, ParseComplete, TARGET_TYPE_BYTE_PORTAL, TARGET_TYPE_BYTE_STATEMENT,
};
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::ParameterStatus;

use super::actions::Action;
use super::client_state::ClientState;
use super::copy::Copy;
use super::cursors::without_columns;
use super::encode::{CopyRows, EncodedRows, fields};
use super::statements::statements_of;
use super::types::{arrow_type_or_list, pg_type};
use super::values::values;
use super::{catalog, wire_error};
use crate::engine::explained::LINES;
use crate::serve::failure::{Failure, Reason};
use crate::serve::session::{self, Described};
use crate::time::Zone;

/// Text of all prepared statements of a connection, bytes.
const PREPARED_BYTES: usize = 16 << 20;

/// Answers statements; there is a state as soon as the client has entered.
pub struct Door {
    client_state: Arc<OnceLock<Arc<ClientState>>>,
    parser: Arc<Parser>,
    /// Bytes of each prepared statement.
    prepared: Mutex<HashMap<String, usize>>,
}

/// A prepared statement.
#[derive(Debug, Clone)]
pub struct Prepared {
    action: Action,
    described: Option<Described>,
    /// What clients get of its parameters.
    parameters: Vec<Type>,
}

/// Reads statements that are to be prepared.
pub struct Parser {
    client_state: Arc<OnceLock<Arc<ClientState>>>,
}

impl Door {
    /// A door whose guest has not come in yet.
    pub fn new(client_state: Arc<OnceLock<Arc<ClientState>>>) -> Self {
        let parser = Arc::new(Parser { client_state: client_state.clone() });
        Self { client_state, parser, prepared: Mutex::default() }
    }

    /// Does what a statement says, unless its transaction has failed. Text or binary is the client's choice a column.
    async fn answer<C>(
        &self,
        client: &mut C,
        action: &Action,
        arguments: Vec<ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let client_state = entered(&self.client_state)?;
        let failed = client.transaction_status() == TransactionStatus::Error;
        if failed && !action.ends_failure() {
            return Err(aborted().into());
        }
        // a function may have changed a setting
        client_state.hold()?;
        let response = self.done(client, client_state, action, arguments, format, failed).await?;
        for (name, value) in client_state.unreported_settings() {
            let status = ParameterStatus::new(name.to_string(), value);
            client.feed(PgWireBackendMessage::ParameterStatus(status)).await?;
        }
        Ok(response)
    }

    async fn done<C>(
        &self,
        client: &mut C,
        client_state: &ClientState,
        action: &Action,
        arguments: Vec<ScalarValue>,
        format: &Format,
        failed: bool,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let zone = client_state.settings().zone();
        if matches!(action, Action::Set { .. } | Action::Reset(_) | Action::Change { .. }) {
            client_state.keep_before_change(client_state.cursors.points().await)?;
        }
        Ok(match action {
            Action::Begin => {
                client_state.begin();
                Response::TransactionStart(Tag::new("BEGIN"))
            }
            Action::Commit => {
                client_state.end(!failed).await?;
                Response::TransactionEnd(Tag::new(if failed { "ROLLBACK" } else { "COMMIT" }))
            }
            Action::RollBack => {
                client_state.end(false).await?;
                Response::TransactionEnd(Tag::new("ROLLBACK"))
            }
            Action::Savepoint(name) => {
                if !client_state.in_transaction() {
                    return Err(outside_transaction("SAVEPOINT can only be used in transaction blocks").into());
                }
                client_state.cursors.savepoint(name).await?;
                Response::Execution(Tag::new("SAVEPOINT"))
            }
            Action::Release(name) => {
                client_state.released(client_state.cursors.release(name).await?);
                Response::Execution(Tag::new("RELEASE"))
            }
            Action::RollBackTo(name) => {
                client_state.go_back_to(client_state.cursors.roll_back_to(name).await?)?;
                Response::Execution(Tag::new("ROLLBACK"))
            }
            Action::Done(tag) => Response::Execution(Tag::new(tag)),
            Action::Set { name, value, local } => {
                client_state.set(name, value.as_deref(), *local)?;
                Response::Execution(Tag::new("SET"))
            }
            Action::Reset(name) => {
                client_state.reset(name.as_deref())?;
                Response::Execution(Tag::new("RESET"))
            }
            Action::Discard => {
                client_state.reset(None)?;
                client_state.cursors.close(None).await?;
                client_state.cursors.deallocate(None).await;
                self.forget(client, None)?;
                Response::Execution(Tag::new("DISCARD ALL"))
            }
            Action::Deallocate(name) => {
                let known = client_state.cursors.deallocate(name.as_deref()).await;
                if name.is_none() || !known {
                    self.forget(client, name.as_deref())?;
                }
                Response::Execution(Tag::new(if name.is_some() { "DEALLOCATE" } else { "DEALLOCATE ALL" }))
            }
            Action::Show(_) | Action::ShowAll => {
                let batch = shown(client_state, action)?;
                let columns = Arc::new(fields(&batch.schema(), format));
                let rows: Vec<_> = EncodedRows::new(&batch, format, zone).map_err(Failure::from)?.map(Ok).collect();
                Response::Query(QueryResponse::new(columns, stream::iter(rows)))
            }
            Action::Change { name, statement, local } => {
                drain(client_state.session.run(statement.as_ref(), arguments).await?).await?;
                if !local {
                    client_state.changed(name)?;
                }
                Response::Execution(Tag::new("SET"))
            }
            Action::Declare { name, statement, declared } => {
                if !declared.hold && !client_state.in_transaction() {
                    let message =
                        "DECLARE CURSOR can only be used in transaction blocks; say BEGIN first, or WITH HOLD";
                    return Err(outside_transaction(message).into());
                }
                let rows = client_state.session.run(statement.as_ref(), arguments).await?;
                client_state.cursors.declare(name, rows, *declared, statement).await?;
                Response::Execution(Tag::new("DECLARE CURSOR"))
            }
            Action::Fetch { name, direction } => {
                let fetched = client_state.cursors.fetch(name, *direction, true).await?;
                let columns = Arc::new(fields(&fetched.schema, format));
                let encoded = fetched.batches.iter().map(|batch| EncodedRows::new(batch, format, zone));
                let encoded = encoded.collect::<crate::Result<Vec<_>>>().map_err(Failure::from)?;
                let mut response = QueryResponse::new(columns, stream::iter(encoded.into_iter().flatten().map(Ok)));
                response.set_command_tag("FETCH");
                Response::Query(response)
            }
            Action::Move { name, direction } => {
                let moved = client_state.cursors.fetch(name, *direction, false).await?;
                Response::Execution(Tag::new("MOVE").with_rows(usize::try_from(moved.count).unwrap_or(usize::MAX)))
            }
            Action::Close(name) => {
                client_state.cursors.close(name.as_deref()).await?;
                Response::Execution(Tag::new(if name.is_some() { "CLOSE CURSOR" } else { "CLOSE CURSOR ALL" }))
            }
            Action::Prepare { name, types, statement } => {
                client_state.session.describe(statement.as_ref()).await?;
                client_state.cursors.prepare(name, types.clone(), statement.as_ref().clone()).await?;
                Response::Execution(Tag::new("PREPARE"))
            }
            Action::Execute { name, values } => {
                let statement = client_state.cursors.executed(name, values).await?;
                let rows = client_state.session.run(&statement, vec![]).await?;
                let columns = Arc::new(fields(&rows.schema, format));
                Response::Query(QueryResponse::new(columns, encoded(rows, format.clone(), zone)))
            }
            Action::Copy { statement, copy } => {
                let rows = client_state.session.run(statement.as_ref(), arguments).await?;
                let count = sent(client, rows, copy, zone).await?;
                Response::Execution(Tag::new("COPY").with_rows(count))
            }
            Action::Engine(statement) => {
                let rows = client_state.session.run(statement.as_ref(), arguments).await?;
                if rows.schema.fields().is_empty() {
                    drain(rows).await?;
                    return Ok(Response::Execution(Tag::new("OK")));
                }
                let rows = if statement.explains() { rows.by_line() } else { rows };
                let columns = Arc::new(fields(&rows.schema, format));
                Response::Query(QueryResponse::new(columns, encoded(rows, format.clone(), zone)))
            }
        })
    }

    /// True for a cursor that was declared to give binary values.
    async fn is_binary(&self, cursor: &str) -> bool {
        let Ok(client_state) = entered(&self.client_state) else { return false };
        client_state.cursors.columns(cursor).await.is_ok_and(|(_, declared)| declared.binary)
    }

    /// Forgets a prepared statement, or all.
    fn forget<C>(&self, client: &C, name: Option<&str>) -> Result<(), Failure>
    where
        C: ClientPortalStore,
        C::PortalStore: PortalStore,
    {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = match name {
            Some(name) if !prepared.contains_key(name) => {
                let message = format!("prepared statement {name:?} does not exist");
                return Err(Failure::new(Reason::Engine(crate::ErrorKind::Query), message).with_sqlstate("26000"));
            }
            Some(name) => vec![name.to_string()],
            None => prepared.keys().filter(|name| *name != DEFAULT_NAME).cloned().collect(),
        };
        for name in names {
            client.portal_store().rm_statement(&name);
            prepared.remove(&name);
        }
        Ok(())
    }
}

fn outside_transaction(message: &str) -> Failure {
    Failure::new(Reason::Engine(crate::ErrorKind::Query), message).with_sqlstate("25P01")
}

fn aborted() -> Failure {
    let message = "current transaction is aborted, commands ignored until end of transaction block; say ROLLBACK";
    Failure::new(Reason::Engine(crate::ErrorKind::Query), message).with_sqlstate("25P02")
}

/// Sends the rows of a COPY as they are read; how many there were.
async fn sent<C>(client: &mut C, mut rows: session::ResultRows, copy: &Copy, zone: Zone) -> PgWireResult<usize>
where
    C: Sink<PgWireBackendMessage> + Unpin,
    PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
{
    let format = if copy.binary { Format::UnifiedBinary } else { Format::UnifiedText };
    let columns = fields(&rows.schema, &format);
    let formats = vec![i16::from(copy.binary); columns.len()];
    let begin = CopyOutResponse::new(i8::from(copy.binary), columns.len() as i16, formats);
    client.feed(PgWireBackendMessage::CopyOutResponse(begin)).await?;
    let mut before = copy.before(columns.iter().map(|column| column.name()));
    if !copy.binary && !before.is_empty() {
        client.feed(PgWireBackendMessage::CopyData(CopyData::new(before.split().freeze()))).await?;
    }
    let mut count = 0;
    while let Some(batch) = rows.next().await {
        let mut encoded = CopyRows::new(&batch?, copy, zone).map_err(Failure::from)?;
        // one message a row, as the protocol has it, the first with what comes before it
        while encoded.write_next(&mut before) {
            client.feed(PgWireBackendMessage::CopyData(CopyData::new(before.split().freeze()))).await?;
            count += 1;
        }
    }
    before.extend_from_slice(&copy.after());
    if !before.is_empty() {
        client.feed(PgWireBackendMessage::CopyData(CopyData::new(before.freeze()))).await?;
    }
    client.feed(PgWireBackendMessage::CopyDone(CopyDone::new())).await?;
    Ok(count)
}

/// Reads to the end what has no columns.
async fn drain(mut rows: session::ResultRows) -> Result<(), Failure> {
    while let Some(batch) = rows.next().await {
        batch?;
    }
    Ok(())
}

fn entered(client_state: &OnceLock<Arc<ClientState>>) -> Result<&Arc<ClientState>, PgWireError> {
    client_state.get().ok_or_else(|| wire_error("FATAL", Failure::new(Reason::Unknown, "nobody has logged in")))
}

/// What SHOW gives.
fn shown(client_state: &ClientState, action: &Action) -> PgWireResult<RecordBatch> {
    let texts = |values: Vec<String>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let (names, columns) = match action {
        Action::Show(name) => {
            let (name, value) = client_state.shown(name)?;
            (vec![name], vec![texts(vec![value])])
        }
        _ => {
            let all = client_state.settings().all();
            let (names, values) = all.into_iter().map(|(name, value, _)| (name, value)).unzip::<_, _, Vec<_>, Vec<_>>();
            let nothing = vec![String::new(); names.len()];
            let head = ["name", "setting", "description"].map(str::to_string).to_vec();
            (head, vec![texts(names), texts(values), texts(nothing)])
        }
    };
    let fields: Vec<_> = names.into_iter().map(|name| Field::new(name, DataType::Utf8, false)).collect();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns);
    Ok(batch.map_err(|error| Failure::from(crate::Error::from(error)))?)
}

/// Rows as the client wants them, encoded as they are read.
fn encoded(rows: session::ResultRows, format: Format, zone: Zone) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    let batches = stream::unfold(rows, |mut rows| async move { Some((rows.next().await?, rows)) });
    batches.flat_map(move |batch| {
        let rows = batch.and_then(|batch| EncodedRows::new(&batch, &format, zone).map_err(Failure::from));
        match rows {
            Ok(rows) => stream::iter(rows.map(Ok)).left_stream(),
            Err(failure) => stream::iter([Err(failure.into())]).right_stream(),
        }
    })
}

/// What a response makes of the transaction.
fn status_after(before: TransactionStatus, response: &Response) -> TransactionStatus {
    match response {
        Response::TransactionStart(_) => before.to_in_transaction_state(),
        Response::TransactionEnd(_) => before.to_idle_state(),
        _ => before,
    }
}

#[async_trait]
impl SimpleQueryHandler for Door {
    async fn on_query<C>(&self, client: &mut C, query: Query) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        // the library takes the status before it asks what the statement is
        if client.transaction_status() == TransactionStatus::Error
            && matches!(statements_of(&query.query).as_deref(), Ok([Action::RollBackTo(_), ..]))
        {
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        self._on_query(client, query).await
    }

    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        entered(&self.client_state)?.session.check_text(query)?;
        let actions = statements_of(query)?;
        if actions.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut answers = Vec::with_capacity(actions.len());
        for action in &actions {
            let binary = match action {
                Action::Fetch { name, .. } => self.is_binary(name).await,
                _ => false,
            };
            let format = if binary { Format::UnifiedBinary } else { Format::UnifiedText };
            match self.answer(client, action, vec![], &format).await {
                Ok(answer) => {
                    // the next statement of the text asks for it
                    client.set_transaction_status(status_after(client.transaction_status(), &answer));
                    answers.push(answer);
                }
                // what came before has been done and is shown
                Err(PgWireError::UserError(error)) if !answers.is_empty() => {
                    answers.push(Response::Error(error));
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(answers)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Door {
    type Statement = Prepared;
    type QueryParser = Parser;

    fn query_parser(&self) -> Arc<Parser> {
        self.parser.clone()
    }

    /// As the library has it, but a client cannot prepare without end.
    async fn on_parse<C>(&self, client: &mut C, mut message: Parse) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.clone().unwrap_or_else(|| DEFAULT_NAME.to_owned());
        {
            let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            let others: usize = prepared.iter().filter(|(known, _)| **known != name).map(|(_, bytes)| bytes).sum();
            // what a statement without text costs
            let bytes = message.query.len() + 1024;
            if others + bytes > PREPARED_BYTES {
                let message = format!("{} prepared statements are open; close some (DEALLOCATE)", prepared.len());
                return Err(Failure::new(Reason::TooLarge, message).into());
            }
            prepared.insert(name.clone(), bytes);
        }
        // who says "unknown" leaves it to the statement
        message.type_oids.iter_mut().filter(|oid| **oid == Type::UNKNOWN.oid()).for_each(|oid| *oid = 0);
        match StoredStatement::parse(client, &message, self.query_parser()).await? {
            Some(statement) => client.portal_store().put_statement(Arc::new(statement)),
            None => client.portal_store().put_empty_statement(&name),
        }
        client.send(PgWireBackendMessage::ParseComplete(ParseComplete::new())).await?;
        Ok(())
    }

    async fn on_close<C>(&self, client: &mut C, message: Close) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        if message.target_type == TARGET_TYPE_BYTE_STATEMENT {
            client.portal_store().rm_statement(name);
            self.prepared.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        } else {
            client.portal_store().rm_portal(name);
            // a cursor of SQL is a portal, too; to close what is not there is no error
            let _ = entered(&self.client_state)?.cursors.close(Some(name)).await;
        }
        client.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    /// As the library has it, and a cursor of SQL is a portal, too.
    async fn on_describe<C>(&self, client: &mut C, message: Describe) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if message.target_type == TARGET_TYPE_BYTE_PORTAL
            && let Some(name) = message.name.as_deref()
            && client.portal_store().get_portal(name).is_none()
        {
            let (schema, declared) = entered(&self.client_state)?.cursors.columns(name).await?;
            let columns = fields(&schema, &if declared.binary { Format::UnifiedBinary } else { Format::UnifiedText });
            return send_describe_response(client, &DescribePortalResponse::new(columns)).await;
        }
        self._on_describe(client, message).await
    }

    /// As the library has it, but rows are sent as they come; the library would gather all of them first.
    async fn on_execute<C>(&self, client: &mut C, message: Execute) -> PgWireResult<()>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        if !matches!(client.state(), PgWireConnectionState::ReadyForQuery) {
            return Err(PgWireError::NotReadyForQuery);
        }
        let name = message.name.as_deref().unwrap_or(DEFAULT_NAME);
        let portal = match client.portal_store().get_portal(name) {
            Some(Entry::Value(portal)) => portal,
            Some(Entry::Empty) => {
                client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                return Ok(());
            }
            None => return Err(PgWireError::PortalNotFound(name.to_owned())),
        };
        // as with a text
        if client.transaction_status() == TransactionStatus::Error
            && matches!(portal.statement.statement.action, Action::RollBackTo(_))
        {
            client.set_transaction_status(TransactionStatus::Transaction);
        }
        client.set_state(PgWireConnectionState::QueryInProgress);
        let most = usize::try_from(message.max_rows).unwrap_or(0);
        let execution = portal.state();
        let mut execution = execution.lock().await;
        if matches!(*execution, PortalExecutionState::Initial) {
            let response = <Self as ExtendedQueryHandler>::do_query(self, client, &portal, most).await?;
            client.set_transaction_status(status_after(client.transaction_status(), &response));
            match response {
                Response::Query(rows) => *execution = PortalExecutionState::Suspended(rows),
                Response::Execution(tag) | Response::TransactionStart(tag) => {
                    send_execution_response(client, tag).await?;
                }
                Response::TransactionEnd(tag) => {
                    send_execution_response(client, tag).await?;
                    client.portal_store().rm_portal(DEFAULT_NAME);
                }
                Response::EmptyQuery => {
                    client.feed(PgWireBackendMessage::EmptyQueryResponse(EmptyQueryResponse::new())).await?;
                }
                Response::Error(error) => return Err(PgWireError::UserError(error)),
                // the rows of a COPY are sent before it is answered
                Response::CopyIn(_) | Response::CopyOut(_) | Response::CopyBoth(_) => {}
            }
        }
        let mut nothing = QueryResponse::new(Arc::default(), stream::empty());
        let suspended = match &mut *execution {
            PortalExecutionState::Initial => true,
            PortalExecutionState::Suspended(rows) => send_partial_query_response(client, rows, most).await?,
            PortalExecutionState::Finished => send_partial_query_response(client, &mut nothing, most).await?,
        };
        if !suspended {
            *execution = PortalExecutionState::Finished;
        }
        client.set_state(PgWireConnectionState::ReadyForQuery);
        Ok(())
    }

    async fn do_query<C>(&self, client: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let wanted = prepared.described.as_ref().map(|d| d.parameters.as_slice()).unwrap_or_default();
        let zone = entered(&self.client_state)?.settings().zone().type_name();
        let arguments = values(portal, wanted, &prepared.parameters, &zone)?;
        check_formats(&portal.result_column_format, prepared)?;
        self.answer(client, &prepared.action, arguments, &portal.result_column_format).await
    }
}

/// A format a column, or one for all.
fn check_formats(format: &Format, prepared: &Prepared) -> Result<(), Failure> {
    let columns = prepared.described.as_ref().map_or(1, |d| d.schema.fields().len());
    match format {
        Format::Individual(formats) if formats.len() != columns => Err(Failure::new(
            Reason::Engine(crate::ErrorKind::Usage),
            format!("{} result formats for {columns} columns", formats.len()),
        )),
        _ => Ok(()),
    }
}

#[async_trait]
impl QueryParser for Parser {
    type Statement = Prepared;

    async fn parse_sql<C>(&self, client: &C, sql: &str, types: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let client_state = entered(&self.client_state)?;
        client_state.session.check_text(sql)?;
        let mut actions = statements_of(sql)?;
        let action = match actions.len() {
            0 => return Ok(None),
            1 => actions.remove(0),
            n => {
                let message = format!("{n} statements where one can be prepared");
                return Err(Failure::new(Reason::Engine(crate::ErrorKind::Query), message).into());
            }
        };
        if client.transaction_status() == TransactionStatus::Error && !action.ends_failure() {
            return Err(aborted().into());
        }
        let given: Vec<_> = types.iter().map(|pg| pg.as_ref().map(arrow_type_or_list)).collect();
        let described = match &action {
            Action::Engine(statement) => {
                let described = client_state.session.describe_given(statement.as_ref(), given).await?;
                let schema = if statement.explains() { LINES.clone() } else { described.schema };
                Some(Described { schema, ..described })
            }
            // they need their parameters, and give no columns of their own
            Action::Copy { statement, .. } | Action::Declare { statement, .. } => {
                Some(without_columns(client_state.session.describe_given(statement.as_ref(), given).await?))
            }
            Action::Execute { name, values } => {
                Some(client_state.session.describe(&client_state.cursors.executed(name, values).await?).await?)
            }
            Action::Fetch { name, .. } => {
                Some(Described { schema: client_state.cursors.columns(name).await?.0, parameters: vec![] })
            }
            Action::Show(_) | Action::ShowAll => {
                Some(Described { schema: shown(client_state, &action)?.schema(), parameters: vec![] })
            }
            _ => None,
        };
        let known = described.as_ref().map(|d| d.parameters.as_slice()).unwrap_or_default();
        let written = catalog::parameter_types(sql);
        let told = |(place, arrow): (usize, &Option<DataType>)| match written.get(&(place + 1)) {
            Some(written) => written.clone(),
            None => arrow.as_ref().map_or(Type::TEXT, pg_type),
        };
        let parameters = known.iter().enumerate().map(told).collect();
        Ok(Some(Prepared { action, described, parameters }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        Ok(prepared.parameters.clone())
    }

    fn get_result_schema(&self, prepared: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let Some(described) = &prepared.described else { return Ok(vec![]) };
        let format = format.unwrap_or(&Format::UnifiedText);
        check_formats(format, prepared)?;
        Ok(fields(&described.schema, format))
    }
}
