//! Statements and what drivers ask about tables.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_server::FlightService;
use arrow_flight::sql::server::{FlightSqlService, PeekableFlightDataStream};
use arrow_flight::sql::{
    ActionBeginTransactionRequest, ActionBeginTransactionResult, ActionClosePreparedStatementRequest,
    ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult, CommandGetCatalogs,
    CommandGetCrossReference, CommandGetDbSchemas, CommandGetExportedKeys, CommandGetImportedKeys,
    CommandGetPrimaryKeys, CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo,
    CommandPreparedStatementQuery, CommandPreparedStatementUpdate, CommandStatementIngest, CommandStatementQuery,
    CommandStatementUpdate, DoPutPreparedStatementResult, ProstMessageExt, SqlInfo, TicketStatementQuery,
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
use tonic::{Extensions, Request, Response, Status, Streaming};

use super::about::{ABOUT, KINDS, no_foreign_keys, no_primary_keys};
use super::entrance::Entrance;
use super::marks::numbered;
use super::messages::{Messages, parts, wire_schema};
use super::pieces::with_pieces;
use super::sessions::{InUse, Sessions};
use super::values::{fitting, other_types, received, wrong};
use crate::Error;
use crate::engine::session::{CATALOG, SCHEMA};
use crate::serve::ahead::ahead;
use crate::serve::failure::{Failure, Reason};
use crate::serve::server::Server;
use crate::serve::session::{Described, ResultRows};
use crate::serve::users::random_key;

/// Prepared statements of one user that are kept; the one that was used longest ago goes first.
const PREPARED: usize = 200;

/// Text and values of one user's prepared statements that are kept, bytes.
const PREPARED_BYTES: usize = 16 << 20;

/// A prepared statement that is not used so long is forgotten: most clients go without closing theirs.
const PREPARED_IDLE: Duration = Duration::from_secs(12 * 3600);

type Data = Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send>>;

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
    /// What it gives and needs by itself.
    described: Described,
    bound: Bound,
    used: Instant,
}

/// The values that were bound last, none at first, and what the statement gives and needs with values of their types.
#[derive(Clone)]
struct Bound {
    values: Vec<ScalarValue>,
    described: Described,
}

impl Prepared {
    fn bytes(&self) -> usize {
        self.sql.len() + self.bound.values.iter().map(ScalarValue::size).sum::<usize>()
    }
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
        held += known.bytes();
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

    async fn session(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<InUse, Failure> {
        self.sessions.take(&self.server, self.entrance.guest(metadata, extensions).await?)
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

/// The rows of a statement; the session lives as long as they do.
fn rows(session: InUse, rows: ResultRows) -> Result<Response<Data>, Failure> {
    let schema = wire_schema(&rows.schema);
    let (mut messages, first) = Messages::begin(&schema)?;
    let batches = stream::unfold((session, rows), |(session, mut rows)| async move {
        let batch = rows.next().await?;
        Some((batch, (session, rows)))
    });
    let batches = batches.map(move |batch| batch.and_then(|batch| Ok(parts(&schema, &batch)?)));
    let all = batches.map_ok(|parts| stream::iter(parts.into_iter().map(Ok::<_, Failure>))).try_flatten();
    let made = all.map(move |part| Ok::<_, Failure>(messages.message(&part?)?));
    let made = stream::iter([Ok::<_, Failure>(first)]).chain(made);
    // a message is made while the connection sends the one before
    let made = ahead(made.map_err(Status::from));
    let pieces = made.map_ok(|pieces| stream::iter(pieces.into_iter().map(Ok::<_, Status>))).try_flatten();
    let nothing: Data = Box::pin(stream::empty());
    Ok(with_pieces(nothing, Box::pin(pieces)))
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
        let (_, token) = self.entrance.guest_and_token(request.metadata(), request.extensions()).await?;
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
        let session = self.session(request.metadata(), request.extensions()).await?;
        session.check_text(&query.query)?;
        let sql = numbered(&query.query)?;
        let described = session.describe(&sql).await?;
        if !described.parameters.is_empty() {
            return Err(wrong("the statement has parameters; prepare it, and bind them").into());
        }
        // a ticket is worth nothing without a token, so that it can be the statement itself
        let ticket = TicketStatementQuery { statement_handle: sql.into_bytes().into() };
        info(request.into_inner(), ticket.as_any().encode_to_vec(), &wire_schema(&described.schema))
    }

    async fn do_get_statement(
        &self,
        ticket: TicketStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata(), request.extensions()).await?;
        let sql =
            String::from_utf8(ticket.statement_handle.to_vec()).map_err(|_| wrong("this ticket is none of ours"))?;
        let found = session.run(&sql, vec![]).await?;
        Ok(rows(session, found)?)
    }

    async fn do_action_create_prepared_statement(
        &self,
        query: ActionCreatePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<ActionCreatePreparedStatementResult, Status> {
        let session = self.session(request.metadata(), request.extensions()).await?;
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
            dataset_schema: ipc(&wire_schema(&described.schema))?,
            parameter_schema: ipc(&parameters)?,
        };
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut prepared, &user, sql.len());
        let bound = Bound { values: vec![], described: described.clone() };
        prepared.insert(handle, Prepared { user, sql, described, bound, used: Instant::now() });
        self.server.set_prepared(prepared.len());
        Ok(result)
    }

    async fn do_action_close_prepared_statement(
        &self,
        query: ActionClosePreparedStatementRequest,
        request: Request<Action>,
    ) -> Result<(), Status> {
        let guest = self.entrance.guest(request.metadata(), request.extensions()).await?;
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if prepared.get(&query.prepared_statement_handle).is_some_and(|p| p.user == guest.name) {
            prepared.remove(&query.prepared_statement_handle);
            self.server.set_prepared(prepared.len());
        }
        Ok(())
    }

    async fn do_put_prepared_statement_query(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<DoPutPreparedStatementResult, Status> {
        let guest = self.entrance.guest(request.metadata(), request.extensions()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &guest.name)?;
        let values = received(request.into_inner(), self.server.limits.statement_bytes).await?;
        let types = other_types(&values, &known.described.parameters);
        let described = match types.iter().all(Option::is_none) {
            true => known.described,
            // no value loses anything to a type that was guessed when nothing was known of it
            false => self.sessions.take(&self.server, guest)?.describe_given(&known.sql, types).await?,
        };
        let bound = Bound { values: fitting(values, &described.parameters)?, described };
        let mut prepared = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        // what was closed meanwhile stays so
        if let Some(mut known) = prepared.remove(&query.prepared_statement_handle) {
            known.bound = bound;
            make_room(&mut prepared, &known.user, known.bytes());
            prepared.insert(query.prepared_statement_handle.clone(), known);
            self.server.set_prepared(prepared.len());
        }
        Ok(DoPutPreparedStatementResult { prepared_statement_handle: Some(query.prepared_statement_handle) })
    }

    async fn get_flight_info_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        let guest = self.entrance.guest(request.metadata(), request.extensions()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &guest.name)?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &wire_schema(&known.bound.described.schema))
    }

    async fn do_get_prepared_statement(
        &self,
        query: CommandPreparedStatementQuery,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata(), request.extensions()).await?;
        let known = self.prepared(&query.prepared_statement_handle, &session.admission.guest.name)?;
        let (needed, given) = (known.bound.described.parameters.len(), known.bound.values.len());
        if needed != given {
            return Err(wrong(format!("the statement has {needed} parameters, {given} are bound")).into());
        }
        let found = session.run(&known.sql, known.bound.values).await?;
        Ok(rows(session, found)?)
    }

    async fn do_put_statement_update(
        &self,
        _: CommandStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Err(read_only())
    }

    async fn do_put_prepared_statement_update(
        &self,
        _: CommandPreparedStatementUpdate,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Err(read_only())
    }

    async fn do_put_statement_ingest(
        &self,
        _: CommandStatementIngest,
        request: Request<PeekableFlightDataStream>,
    ) -> Result<i64, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Err(read_only())
    }

    async fn do_action_begin_transaction(
        &self,
        _: ActionBeginTransactionRequest,
        request: Request<Action>,
    ) -> Result<ActionBeginTransactionResult, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let message = "there are no transactions: each statement stands for itself; leave autocommit on";
        Err(Failure::new(Reason::NotOffered, message).into())
    }

    async fn get_flight_info_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let schema = query.into_builder().schema();
        info(request.into_inner(), query.as_any().encode_to_vec(), &schema)
    }

    async fn do_get_catalogs(
        &self,
        query: CommandGetCatalogs,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let mut builder = query.into_builder();
        builder.append(CATALOG);
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let (ticket, schema) = (query.as_any().encode_to_vec(), query.into_builder().schema());
        info(request.into_inner(), ticket, &schema)
    }

    async fn do_get_schemas(
        &self,
        query: CommandGetDbSchemas,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let mut builder = query.into_builder();
        builder.append(CATALOG, SCHEMA);
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_tables(
        &self,
        query: CommandGetTables,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let (ticket, schema) = (query.as_any().encode_to_vec(), query.into_builder().schema());
        info(request.into_inner(), ticket, &schema)
    }

    async fn do_get_tables(
        &self,
        query: CommandGetTables,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        let session = self.session(request.metadata(), request.extensions()).await?;
        let with_columns = query.include_schema;
        let mut builder = query.into_builder();
        let nothing = Arc::new(Schema::empty());
        for table in session.engine.tables().await.map_err(Failure::from)? {
            let schema = match with_columns {
                true => wire_schema(session.engine.columns(&table).await.map_err(Failure::from)?.as_ref()),
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
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let schema = query.into_builder().schema();
        info(request.into_inner(), query.as_any().encode_to_vec(), &schema)
    }

    async fn do_get_table_types(
        &self,
        query: CommandGetTableTypes,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let mut builder = query.into_builder();
        builder.append("TABLE");
        Ok(one(builder.build()?))
    }

    async fn get_flight_info_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let about = ABOUT.as_ref().map_err(Status::internal)?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &about.schema())
    }

    async fn do_get_sql_info(
        &self,
        query: CommandGetSqlInfo,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let about = ABOUT.as_ref().map_err(Status::internal)?;
        Ok(one(query.into_builder(about).build()?))
    }

    async fn get_flight_info_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let kinds = KINDS.as_ref().map_err(Status::internal)?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &kinds.schema())
    }

    async fn do_get_xdbc_type_info(
        &self,
        query: CommandGetXdbcTypeInfo,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        let kinds = KINDS.as_ref().map_err(Status::internal)?;
        Ok(one(query.into_builder(kinds).build()?))
    }

    async fn get_flight_info_primary_keys(
        &self,
        query: CommandGetPrimaryKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &no_primary_keys().schema())
    }

    async fn do_get_primary_keys(
        &self,
        _: CommandGetPrimaryKeys,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Ok(one(no_primary_keys()))
    }

    async fn get_flight_info_exported_keys(
        &self,
        query: CommandGetExportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &no_foreign_keys().schema())
    }

    async fn do_get_exported_keys(
        &self,
        _: CommandGetExportedKeys,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Ok(one(no_foreign_keys()))
    }

    async fn get_flight_info_imported_keys(
        &self,
        query: CommandGetImportedKeys,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &no_foreign_keys().schema())
    }

    async fn do_get_imported_keys(
        &self,
        _: CommandGetImportedKeys,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Ok(one(no_foreign_keys()))
    }

    async fn get_flight_info_cross_reference(
        &self,
        query: CommandGetCrossReference,
        request: Request<FlightDescriptor>,
    ) -> Result<Response<FlightInfo>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        info(request.into_inner(), query.as_any().encode_to_vec(), &no_foreign_keys().schema())
    }

    async fn do_get_cross_reference(
        &self,
        _: CommandGetCrossReference,
        request: Request<Ticket>,
    ) -> Result<Response<<Self as FlightService>::DoGetStream>, Status> {
        self.entrance.guest(request.metadata(), request.extensions()).await?;
        Ok(one(no_foreign_keys()))
    }

    async fn register_sql_info(&self, _: i32, _: &SqlInfo) {}
}
