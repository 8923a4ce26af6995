//! Statements and what drivers ask about tables.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::error::FlightError;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    CommandGetCatalogs, CommandGetDbSchemas, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementQuery, CommandStatementUpdate,
    DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
};
use arrow_flight::{
    Action, FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, HandshakeRequest, HandshakeResponse, IpcMessage,
    SchemaAsIpc, Ticket,
};
use async_trait::async_trait;
use bytes::Bytes;
use datafusion::scalar::ScalarValue;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use prost::Message;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Request, Response, Status, Streaming};

use super::entrance::Entrance;
use super::marks::numbered;
use super::messages::{Messages, parts, travelling};
use super::sessions::{InUse, Sessions};
use crate::engine::session::{CATALOG, SCHEMA};
use crate::serve::ahead::ahead;
use crate::serve::failure::{Failure, Reason};
use crate::serve::server::Server;
use crate::serve::session::{Described, Rows};
use crate::serve::users::random_key;
use crate::{Error, ErrorKind};

/// Prepared statements of one user that are kept; the one that was used longest ago goes first.
const PREPARED: usize = 200;

/// Text of one user's prepared statements that is kept, bytes.
const PREPARED_BYTES: usize = 16 << 20;

/// A prepared statement that is not used so long is forgotten: most clients go without closing theirs.
const PREPARED_IDLE: Duration = Duration::from_secs(12 * 3600);

type Data = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

/// What a driver is told of the server.
static ABOUT: LazyLock<Result<SqlInfoData, String>> = LazyLock::new(|| {
    let mut about = SqlInfoDataBuilder::new();
    about.append(SqlInfo::FlightSqlServerName, "Rejoin");
    about.append(SqlInfo::FlightSqlServerVersion, env!("CARGO_PKG_VERSION"));
    about.append(SqlInfo::FlightSqlServerArrowVersion, "1.3");
    about.append(SqlInfo::FlightSqlServerReadOnly, true);
    about.append(SqlInfo::FlightSqlServerSql, true);
    about.append(SqlInfo::FlightSqlServerSubstrait, false);
    about.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    about.build().map_err(|error| error.to_string())
});

/// Answers requests.
pub struct Door {
    server: Arc<Server>,
    entrance: Entrance,
    sessions: Sessions,
    /// By handle.
    prepared: Mutex<HashMap<Bytes, Prepared>>,
}

#[derive(Clone)]
struct Prepared {
    user: String,
    sql: String,
    described: Described,
    values: Vec<ScalarValue>,
    used: Instant,
}

/// Makes room for a statement of a user: what is idle goes, and of the user's what was used longest ago.
fn make_room(prepared: &mut HashMap<Bytes, Prepared>, user: &str, bytes: usize) {
    prepared.retain(|_, known| known.used.elapsed() < PREPARED_IDLE);
    let mut own: Vec<_> = prepared.iter().filter(|(_, known)| known.user == user).collect();
    own.sort_by_key(|(_, known)| std::cmp::Reverse(known.used));
    let (mut count, mut held) = (1, bytes);
    let mut gone = vec![];
    for (handle, known) in own {
        count += 1;
        held += known.sql.len();
        if count > PREPARED || held > PREPARED_BYTES {
            gone.push(handle.clone());
        }
    }
    gone.iter().for_each(|handle| drop(prepared.remove(handle)));
}

impl Door {
    /// A door that nobody has used.
    pub fn new(server: Arc<Server>) -> Self {
        Self {
            entrance: Entrance::new(server.users.clone()),
            sessions: Sessions::default(),
            server,
            prepared: Mutex::default(),
        }
    }

    async fn session(&self, metadata: &MetadataMap) -> Result<InUse, Failure> {
        self.sessions.take(&self.server, self.entrance.guest(metadata).await?)
    }

    fn prepared(&self, handle: &Bytes, user: &str) -> Result<Prepared, Failure> {
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(found) = prepared.get_mut(handle).filter(|p| p.user == user) else {
            return Err(wrong(format!(
                "this prepared statement is closed, was used longer ago than {PREPARED} others, or the server was started \
anew; prepare it again"
            )));
        };
        found.used = Instant::now();
        Ok(found.clone())
    }
}

fn wrong(message: impl Into<String>) -> Failure {
    Failure::new(Reason::Engine(ErrorKind::Usage), message)
}

/// The rows of a statement; the session lives as long as they do.
fn rows(session: InUse, rows: Rows) -> Data {
    let schema = travelling(&rows.schema);
    let (mut messages, first) = Messages::begin(&schema);
    let batches = stream::unfold((session, rows), |(session, mut rows)| async move {
        let batch = rows.next().await?;
        Some((batch, (session, rows)))
    });
    let batches = batches.map(move |batch| batch.and_then(|batch| Ok(parts(&schema, &batch)?)));
    let all = batches.map_ok(|parts| stream::iter(parts.into_iter().map(Ok::<_, Failure>))).try_flatten();
    let data = all.map(move |part| Ok::<_, Failure>(messages.message(&part?)?));
    let data = stream::iter([Ok::<_, Failure>(first)]).chain(data);
    // a message is made while the connection sends the one before
    Box::pin(ahead(data.map_err(Status::from)))
}

/// A small result that is at hand.
fn one(batch: RecordBatch) -> Response<Data> {
    let data = FlightDataEncoderBuilder::new().with_schema(batch.schema()).build(stream::iter([Ok(batch)]));
    Response::new(Box::pin(data.map_err(Status::from)))
}

/// Where the answer to a command is: here, with the command as ticket.
fn info(descriptor: FlightDescriptor, ticket: Vec<u8>, schema: &Schema) -> Result<Response<FlightInfo>, Status> {
    let endpoint = FlightEndpoint::new().with_ticket(Ticket::new(ticket));
    let info = FlightInfo::new().try_with_schema(schema).map_err(|e| Status::internal(e.to_string()))?;
    Ok(Response::new(info.with_endpoint(endpoint).with_descriptor(descriptor)))
}

fn failed(error: arrow::error::ArrowError) -> Status {
    Failure::from(Error::from(error)).into()
}

fn read_only() -> Status {
    Failure::new(Reason::ReadOnly, "this door is for questions: it writes nothing").into()
}

#[async_trait]
impl FlightSqlService for Door {
    type FlightService = Self;

    async fn do_handshake(
        &self,
        request: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Pin<Box<dyn Stream<Item = Result<HandshakeResponse, Status>> + Send>>>, Status> {
        let (_, token) = self.entrance.guest_and_token(request.metadata()).await?;
        let token = token.ok_or_else(|| wrong("a handshake is for a user and password; a token needs none"))?;
        let payload = HandshakeResponse { protocol_version: 0, payload: Bytes::from(token.clone()) };
        let answer: Pin<Box<dyn Stream<Item = _> + Send>> = Box::pin(stream::iter([Ok(payload)]));
        let mut response = Response::new(answer);
        let header = MetadataValue::try_from(format!("Bearer {token}")).map_err(|e| Status::internal(e.to_string()))?;
        response.metadata_mut().insert("authorization", header);
        Ok(response)
    }

    async fn get_flight_info_statement(
        &self,
        query: CommandStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let session = self.session(request.metadata()).await?;
        session.check_text(&query.query)?;
        let sql = numbered(&query.query)?;
        let described = session.describe(&sql).await?;
        if !described.parameters.is_empty() {
            return Err(wrong("the statement has parameters; prepare it, and bind them").into());
        }
        // a ticket is worth nothing without a token, so that it can be the statement itself
        let ticket = TicketStatementQuery { statement_handle: sql.into_bytes().into() };
        info(request.into_inner(), ticket.as_any().encode_to_vec(), &travelling(&described.schema))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata()).await?;
        let sql =
            String::from_utf8(ticket.statement_handle.to_vec()).map_err(|_| wrong("this ticket is none of ours"))?;
        let found = session.run(&sql, vec![]).await?;
        Ok(Response::new(rows(session, found)))
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let session = self.session(request.metadata()).await?;
        session.check_text(&query.query)?;
        let sql = numbered(&query.query)?;
        let described = session.describe(&sql).await?;
        let user = session.admission.guest.name.clone();
        let handle: Bytes = random_key().map_err(Failure::from)?.into_bytes().into();
        let parameters =
            described.parameters.iter().enumerate().map(|(i, data_type)| {
                Field::new(format!("${}", i + 1), data_type.clone().unwrap_or(DataType::Utf8), true)
            });
        let parameters = Schema::new(parameters.collect::<Vec<_>>());
        let ipc = |schema: &Schema| {
            let message: IpcMessage = SchemaAsIpc::new(schema, &Default::default()).try_into().map_err(failed)?;
            Ok::<_, Status>(message.0)
        };
        let result = ActionCreatePreparedStatementResult {
            prepared_statement_handle: handle.clone(),
            dataset_schema: ipc(&travelling(&described.schema))?,
            parameter_schema: ipc(&parameters)?,
        };
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut prepared, &user, sql.len());
        prepared.insert(handle, Prepared { user, sql, described, values: vec![], used: Instant::now() });
        Ok(result)
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let guest = self.entrance.guest(request.metadata()).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.get(&query.prepared_statement_handle).is_some_and(|p| p.user == guest.name) {
            prepared.remove(&query.prepared_statement_handle);
        }
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let guest = self.entrance.guest(request.metadata()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &guest.name)?;
        let data = request.into_inner().map_err(|status| FlightError::Tonic(Box::new(status)));
        let mut batches = FlightRecordBatchStream::new_from_flight_data(data);
        let mut values = None;
        while let Some(batch) = batches.try_next().await? {
            if batch.num_rows() == 0 {
                continue;
            }
            if batch.num_rows() > 1 || values.is_some() {
                return Err(wrong("one row of parameters can be bound").into());
            }
            let value = |(i, column): (usize, &ArrayRef)| {
                let value = ScalarValue::try_from_array(column, 0)?;
                match known.described.parameters.get(i).cloned().flatten() {
                    Some(wanted) => value.cast_to(&wanted),
                    None => Ok(value),
                }
            };
            let row = batch.columns().iter().enumerate().map(value).collect::<Result<Vec<_>, _>>();
            values = Some(row.map_err(Failure::from)?);
        }
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = prepared.get_mut(&query.prepared_statement_handle) {
            known.values = values.unwrap_or_default();
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let guest = self.entrance.guest(request.metadata()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &guest.name)?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &travelling(&known.described.schema))
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &session.admission.guest.name)?;
        if known.values.len() < known.described.parameters.len() {
            let (needed, given) = (known.described.parameters.len(), known.values.len());
            return Err(wrong(format!("the statement has {needed} parameters, {given} are bound")).into());
        }
        let found = session.run(&known.sql, known.values).await?;
        Ok(Response::new(rows(session, found)))
    }

    async fn do_put_statement_update(
        &self,
        _: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.entrance.guest(request.metadata()).await?;
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.entrance.guest(request.metadata()).await?;
        Err(read_only())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let schema = query.into_builder().schema();
        info(request.into_inner(), query.as_any().encode_to_vec(), &schema)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let (ticket, schema) = (query.as_any().encode_to_vec(), query.into_builder().schema());
        info(request.into_inner(), ticket, &schema)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let (ticket, schema) = (query.as_any().encode_to_vec(), query.into_builder().schema());
        info(request.into_inner(), ticket, &schema)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata()).await?;
        let with_columns = query.include_schema;
        let mut builder = query.into_builder();
        let nothing = Arc::new(Schema::empty());
        for table in session.engine.tables().await.map_err(Failure::from)? {
            let schema = match with_columns {
                true => travelling(session.engine.columns(&table).await.map_err(Failure::from)?.as_ref()),
                false => nothing.clone(),
            };
            builder.append(CATALOG, SCHEMA, &table, "TABLE", &schema)?;
        }
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let schema = query.into_builder().schema();
        info(request.into_inner(), query.as_any().encode_to_vec(), &schema)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let mut builder = query.into_builder();
        builder.append("TABLE");
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let about = ABOUT.as_ref().map_err(Status::internal)?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &about.schema())
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata()).await?;
        let about = ABOUT.as_ref().map_err(Status::internal)?;
        Ok(one(query.into_builder(about).build()?))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
