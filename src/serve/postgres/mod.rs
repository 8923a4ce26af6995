//! The Postgres door: psql, DBeaver, Metabase, Grafana and drivers speak to the lake as if it were a Postgres server.
//!
//! * `connection`: messages in and out. `startup`: TLS, SCRAM, the limits. `door`: simple and prepared statements. `statements`: what a
//!   text says. `actions`: what is done with a statement; `BEGIN`, `SET`, `SHOW` and their like are answered here. `client_state`: a connection
//!   with its `settings`, and how both come back to what they were. `catalog`: `pg_catalog`, `information_schema`, and other words for statements.
//!   `cursors`: what a connection names (`DECLARE`, `PREPARE`). `copy`: the formats of `COPY`.
//! * `types`, `encode`, `values`: Arrow columns as Postgres values, and parameters as Arrow scalars. `digits`: numbers and times
//!   as texts. `text_casts`: the same where a statement casts to a text.
//!
//! Messages are pgwire's, what `pg_catalog` has of Postgres itself and some rewording datafusion-postgres'.

mod actions;
mod catalog;
mod client_state;
mod connection;
mod copy;
mod cursors;
mod digits;
mod door;
mod encode;
mod settings;
mod startup;
mod statements;
mod text_casts;
mod types;
mod values;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use async_trait::async_trait;
use pgwire::api::cancel::CancelHandler;
use pgwire::error::{ErrorInfo, PgWireError};
use pgwire::messages::cancel::CancelRequest;
use pgwire::tokio::TlsAcceptor;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::failure::Failure;
use super::server::Server;
use super::session::Session;
use super::tls::Tls;
use door::Door;
use startup::Startup;

/// Connections that have not proved yet who they are, at most; more are closed at once.
const STRANGERS: usize = 256;

/// Serves until `stop` changes and what runs has ended; connections that are open then end with this.
pub async fn serve(
    server: Arc<Server>,
    tls: Option<Tls>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> crate::Result<()> {
    let acceptor = tls.as_ref().map(|tls| tls.config(&[b"postgresql"])).transpose()?.map(TlsAcceptor::from);
    let shared_state = Arc::new(SharedState { server, secure: acceptor.is_some(), known: Mutex::default() });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            // those who could stop it are gone, or say so
            _ = stop.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => {
                let Ok((socket, _)) = accepted else {
                    // too many open files, most likely: others may leave soon
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                };
                if connections.len() >= shared_state.server.limits.connections + STRANGERS {
                    continue;
                }
                let client_state = Arc::new(OnceLock::new());
                let startup = Arc::new(Startup::new(shared_state.clone(), client_state.clone()));
                let door = Arc::new(Door::new(client_state));
                let served = connection::serve(socket, acceptor.clone(), shared_state.clone(), startup, door);
                connections.spawn(async move {
                    // a client that left got its answer before
                    if let Err(error) = served.await {
                        tracing::debug!(%error, "a connection ended");
                    }
                });
            }
        }
    }
    // the caller says how long at most, by dropping this
    while shared_state.server.running() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    Ok(())
}

/// What a cancel request must know: process id and secret.
type Key = (i32, Vec<u8>);

/// What all connections share.
struct SharedState {
    server: Arc<Server>,
    /// Only TLS is spoken.
    secure: bool,
    /// Whom a cancel request can name.
    known: Mutex<HashMap<Key, Weak<Session>>>,
}

impl SharedState {
    fn remember(&self, key: Key, session: &Arc<Session>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, session| session.strong_count() > 0);
        known.insert(key, Arc::downgrade(session));
    }
}

#[async_trait]
impl CancelHandler for SharedState {
    async fn on_cancel_request(&self, request: CancelRequest) {
        let key = (request.pid, request.secret_key.to_bytes().to_vec());
        let found = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&key).and_then(Weak::upgrade);
        if let Some(session) = found {
            session.cancel();
        }
    }
}

/// As a client gets it; `FATAL` ends the connection.
fn wire_error(severity: &str, failure: Failure) -> PgWireError {
    let code = failure.sqlstate().to_string();
    PgWireError::UserError(Box::new(ErrorInfo::new(severity.to_string(), code, failure.message)))
}

impl From<Failure> for PgWireError {
    fn from(failure: Failure) -> Self {
        wire_error("ERROR", failure)
    }
}
