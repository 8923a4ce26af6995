//! Statements of one connection, simple and prepared.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use futures::{Sink, SinkExt, Stream, StreamExt, stream};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::{FieldInfo, QueryResponse, Response, Tag};
use pgwire::api::stmt::{QueryParser, StoredStatement};
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, DEFAULT_NAME, Type};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::data::DataRow;
use pgwire::messages::extendedquery::{Close, CloseComplete, Parse, ParseComplete, TARGET_TYPE_BYTE_STATEMENT};

use super::encode::{Rows, fields, pg_type};
use super::values::values;
use super::words::{self, Word};
use super::{catalog, wire_error};
use crate::engine::Statement;
use crate::serve::failure::{Failure, Reason};
use crate::serve::session::{self, Described, Session};

/// Text of all prepared statements of a connection, bytes.
const PREPARED_BYTES: usize = 16 << 20;

/// Answers statements; there is a session as soon as the client has entered.
pub struct Door {
    session: Arc<OnceLock<Arc<Session>>>,
    parser: Arc<Parser>,
    /// Bytes of each prepared statement.
    prepared: Mutex<HashMap<String, usize>>,
}

/// A prepared statement.
#[derive(Debug, Clone)]
pub struct Prepared {
    word: Word,
    described: Option<Described>,
}

/// Reads statements that are to be prepared.
pub struct Parser {
    session: Arc<OnceLock<Arc<Session>>>,
}

impl Door {
    /// A door whose guest has not come in yet.
    pub fn new(session: Arc<OnceLock<Arc<Session>>>) -> Self {
        let parser = Arc::new(Parser { session: session.clone() });
        Self { session, parser, prepared: Mutex::default() }
    }

    /// Does what a statement says. Text or binary is the client's choice a column.
    async fn answer(
        &self,
        word: &Word,
        arguments: Vec<datafusion::scalar::ScalarValue>,
        format: &Format,
    ) -> PgWireResult<Response> {
        let session = entered(&self.session)?;
        Ok(match word {
            Word::Begin => Response::TransactionStart(Tag::new("BEGIN")),
            Word::End(tag) => Response::TransactionEnd(Tag::new(tag)),
            Word::Done(tag) => Response::Execution(Tag::new(tag)),
            Word::Time(time) => {
                session.set_time(*time);
                Response::Execution(Tag::new("SET"))
            }
            Word::Show(name, value) => {
                let batch = shown(name, value)?;
                let columns = Arc::new(fields(&batch.schema(), format));
                let rows: Vec<_> = Rows::new(&batch, format).map_err(Failure::from)?.map(Ok).collect();
                Response::Query(QueryResponse::new(columns, stream::iter(rows)))
            }
            Word::Engine(statement) => {
                let rows = session.run(statement.as_ref(), arguments).await?;
                if rows.schema.fields().is_empty() {
                    let mut rows = rows;
                    while let Some(batch) = rows.next().await {
                        batch?;
                    }
                    return Ok(Response::Execution(Tag::new(if statement.sets() { "SET" } else { "OK" })));
                }
                let columns = Arc::new(fields(&rows.schema, format));
                Response::Query(QueryResponse::new(columns, encoded(rows, format.clone())))
            }
        })
    }
}

fn entered(session: &OnceLock<Arc<Session>>) -> Result<&Arc<Session>, PgWireError> {
    session.get().ok_or_else(|| wire_error("FATAL", Failure::new(Reason::Unknown, "nobody has logged in")))
}

fn shown(name: &str, value: &str) -> PgWireResult<RecordBatch> {
    let schema = Schema::new(vec![Field::new(name, DataType::Utf8, false)]);
    let value: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let batch = RecordBatch::try_new(Arc::new(schema), vec![value]);
    Ok(batch.map_err(|error| Failure::from(crate::Error::from(error)))?)
}

/// The statements of a text, each in the engine's words or as what a client says by habit.
fn words(sql: &str) -> PgWireResult<Vec<Word>> {
    let parsed = match Statement::all(&catalog::understood(sql)) {
        Ok(parsed) => parsed,
        // the engine's COPY is another one
        Err(_) if sql.trim_start().get(..5).is_some_and(|word| word.eq_ignore_ascii_case("copy ")) => {
            return Err(words::not_offered("COPY", "SELECT, and save on the client's side (\\g FILE)").into());
        }
        Err(error) => return Err(Failure::from(error).into()),
    };
    Ok(parsed.iter().map(words::read).collect::<Result<_, Failure>>()?)
}

/// Rows as the client wants them, encoded as they are read.
fn encoded(rows: session::Rows, format: Format) -> impl Stream<Item = PgWireResult<DataRow>> + Send {
    let batches = stream::unfold(rows, |mut rows| async move { Some((rows.next().await?, rows)) });
    batches.flat_map(move |batch| {
        let rows = batch.and_then(|batch| Rows::new(&batch, &format).map_err(Failure::from));
        match rows {
            Ok(rows) => stream::iter(rows.map(Ok)).left_stream(),
            Err(failure) => stream::iter([Err(failure.into())]).right_stream(),
        }
    })
}

#[async_trait]
impl SimpleQueryHandler for Door {
    async fn do_query<C>(&self, _: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let session = entered(&self.session)?;
        session.check_text(query)?;
        let words = words(query)?;
        if words.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut answers = Vec::with_capacity(words.len());
        for word in &words {
            match self.answer(word, vec![], &Format::UnifiedText).await {
                Ok(answer) => answers.push(answer),
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
    async fn on_parse<C>(&self, client: &mut C, message: Parse) -> PgWireResult<()>
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
        }
        client.send(PgWireBackendMessage::CloseComplete(CloseComplete::new())).await?;
        Ok(())
    }

    async fn do_query<C>(&self, _: &mut C, portal: &Portal<Prepared>, _: usize) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore<Statement = Self::Statement>,
        C::Error: Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let wanted = prepared.described.as_ref().map(|d| d.parameters.as_slice()).unwrap_or_default();
        let arguments = values(portal, wanted)?;
        check_formats(&portal.result_column_format, prepared)?;
        self.answer(&prepared.word, arguments, &portal.result_column_format).await
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

    async fn parse_sql<C>(&self, _: &C, sql: &str, _: &[Option<Type>]) -> PgWireResult<Option<Prepared>>
    where
        C: ClientInfo + Unpin + Send + Sync,
    {
        let session = entered(&self.session)?;
        session.check_text(sql)?;
        let mut words = words(sql)?;
        let word = match words.len() {
            0 => return Ok(None),
            1 => words.remove(0),
            n => {
                let message = format!("{n} statements where one can be prepared");
                return Err(Failure::new(Reason::Engine(crate::ErrorKind::Query), message).into());
            }
        };
        let described = match &word {
            Word::Engine(statement) => Some(session.describe(statement.as_ref()).await?),
            Word::Show(name, value) => Some(Described { schema: shown(name, value)?.schema(), parameters: vec![] }),
            _ => None,
        };
        Ok(Some(Prepared { word, described }))
    }

    fn get_parameter_types(&self, prepared: &Prepared) -> PgWireResult<Vec<Type>> {
        let parameters = prepared.described.as_ref().map(|d| d.parameters.as_slice()).unwrap_or_default();
        Ok(parameters.iter().map(|p| p.as_ref().map_or(Type::TEXT, pg_type)).collect())
    }

    fn get_result_schema(&self, prepared: &Prepared, format: Option<&Format>) -> PgWireResult<Vec<FieldInfo>> {
        let Some(described) = &prepared.described else { return Ok(vec![]) };
        let format = format.unwrap_or(&Format::UnifiedText);
        check_formats(format, prepared)?;
        Ok(fields(&described.schema, format))
    }
}
