//! One connection: messages in, answers out. A message is bounded while it arrives, most of all before its sender has proved
//! who it is; the library's own loop would keep a gigabyte of it.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures::StreamExt;
use pgwire::api::{ClientInfo, NoopHandler, PgWireConnectionState};
use pgwire::error::{PgWireError, PgWireResult};
use pgwire::messages::PgWireFrontendMessage;
use pgwire::tokio::TlsAcceptor;
use pgwire::tokio::server::{negotiate_tls, process_error, process_message};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::door::{Door, Prepared};
use super::startup::Startup;
use super::{SharedState, wire_error};
use crate::serve::failure::{Failure, Reason};

/// A stranger proves who it is within this time.
const FIRST: Duration = Duration::from_secs(60);

/// What a stranger may send at once, bytes.
const FIRST_BYTES: usize = 32 << 10;

/// What is gathered of an answer before it is written, bytes: a write costs as much as many rows.
const WRITTEN_BYTES: usize = 64 << 10;

/// Parameters and what else comes with a statement, bytes.
const BESIDE_STATEMENT: usize = 16 << 20;

/// Serves a connection to its end.
pub async fn serve(
    socket: TcpStream,
    acceptor: Option<TlsAcceptor>,
    shared_state: Arc<SharedState>,
    startup: Arc<Startup>,
    door: Arc<Door>,
) -> io::Result<()> {
    let deadline = Instant::now() + FIRST;
    let Some(mut socket) = timeout_at(deadline, negotiate_tls::<Prepared>(socket, acceptor)).await?? else {
        return Ok(());
    };
    socket.set_backpressure_boundary(WRITTEN_BYTES);
    let copies = Arc::new(NoopHandler);
    loop {
        let stranger = matches!(
            socket.state(),
            PgWireConnectionState::AwaitingSslRequest
                | PgWireConnectionState::AwaitingStartup
                | PgWireConnectionState::AuthenticationInProgress
        );
        let most = if stranger { FIRST_BYTES } else { shared_state.server.limits.statement_bytes + BESIDE_STATEMENT };
        let arriving = poll_fn(|context| match socket.poll_next_unpin(context) {
            Poll::Pending if socket.read_buffer().len() > most => Poll::Ready(Some(Err(too_long(most)))),
            polled => polled,
        });
        let arrived: Option<PgWireResult<PgWireFrontendMessage>> = match stranger {
            true => timeout_at(deadline, arriving).await.unwrap_or(None),
            false => arriving.await,
        };
        let message = match arrived {
            Some(Ok(PgWireFrontendMessage::Terminate(_))) | None => return Ok(()),
            Some(Ok(message)) => message,
            // what follows cannot be told apart any more
            Some(Err(error)) => return process_error(&mut socket, fatal(error), false).await,
        };
        let extended = message.is_extended_query();
        let done = process_message(
            message,
            &mut socket,
            startup.clone(),
            door.clone(),
            door.clone(),
            copies.clone(),
            shared_state.clone(),
        );
        if let Err(error) = done.await {
            process_error(&mut socket, error, extended).await?;
        }
    }
}

fn too_long(most: usize) -> PgWireError {
    wire_error("FATAL", Failure::new(Reason::TooLarge, format!("a message of more than {most} bytes")))
}

fn fatal(error: PgWireError) -> PgWireError {
    match error {
        PgWireError::UserError(_) | PgWireError::IoError(_) => error,
        other => wire_error("FATAL", Failure::new(Reason::NotOffered, other.to_string())),
    }
}
