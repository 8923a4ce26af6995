//! The Flight SQL door: ADBC and JDBC drivers, answers as Arrow batches.
//!
//! * `door`: statements, prepared statements, tables; `marks`, `values`: their parameters; `messages`: their rows; `pieces`: how
//!   these leave.
//! * `arrivals`: connections. `entrance`: passwords and tokens. `sessions`: a session for each request. `about`: what drivers
//!   ask of the server itself.
//!
//! A request stands for itself: it carries its token, and gets a session of its own, so that settings hold for one statement.

mod about;
mod arrivals;
mod door;
mod entrance;
mod marks;
mod messages;
mod pieces;
mod sessions;
mod values;

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::{Identity, ServerTlsConfig};

use super::server::Server;
use super::tls::Tls;
use crate::{Error, Result};
use arrivals::{FIRST, arrivals};
use door::Door;
use pieces::InPieces;

/// Longest message of a client beside its statement, bytes.
const ENVELOPE: usize = 1 << 20;

/// Streams of one connection at once.
const STREAMS: u32 = 64;

/// A client may open several connections.
const OF_A_CLIENT: usize = 8;

/// A connection whose other end does not answer so long is closed.
const ALIVE: Duration = Duration::from_secs(60);

/// Serves until `stop` turns true and what runs has ended.
pub async fn serve(
    server: Arc<Server>,
    tls: Option<Tls>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let failed = |e: tonic::transport::Error| Error::unavailable(format!("--flight: {e}"));
    let mut transport = tonic::transport::Server::builder()
        .max_concurrent_streams(STREAMS)
        .http2_keepalive_interval(Some(ALIVE))
        .http2_keepalive_timeout(Some(ALIVE));
    if let Some(tls) = tls {
        let identity = Identity::from_pem(&tls.certificates, &tls.key);
        transport = transport.tls_config(ServerTlsConfig::new().identity(identity)).map_err(failed)?;
    }
    let longest = server.limits.statement_bytes + ENVELOPE;
    let incoming = arrivals(listener, server.limits.connections.saturating_mul(OF_A_CLIENT), FIRST);
    let service = InPieces(FlightServiceServer::new(Door::new(server)).max_decoding_message_size(longest));
    let stopped = async move {
        // an error means that nobody can stop it any more
        let _ = stop.wait_for(|stop| *stop).await;
    };
    transport.add_service(service).serve_with_incoming_shutdown(incoming, stopped).await.map_err(failed)
}
