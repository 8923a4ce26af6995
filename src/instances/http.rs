//! Routes over HTTP, as axum serves them.

use std::io;

use axum::Router;
use axum::serve::Listener;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for T {}

/// Where connections come from: any listener.
pub trait Connections: Send + 'static {
    /// The next one.
    fn next(&mut self) -> BoxFuture<'_, Box<dyn Connection>>;
}

impl<L: Listener> Connections for L {
    fn next(&mut self) -> BoxFuture<'_, Box<dyn Connection>> {
        async move {
            let (connection, _) = self.accept().await;
            let connection: Box<dyn Connection> = Box::new(connection);
            connection
        }
        .boxed()
    }
}

struct Any(Box<dyn Connections>);

impl Listener for Any {
    type Io = Box<dyn Connection>;
    type Addr = ();

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        (self.0.next().await, ())
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(())
    }
}

/// Serves routes until `stopped` is over and the answers that were begun by then are given.
pub fn serve(
    connections: Box<dyn Connections>,
    routes: Router,
    stopped: BoxFuture<'static, ()>,
) -> BoxFuture<'static, io::Result<()>> {
    async move { axum::serve(Any(connections), routes).with_graceful_shutdown(stopped).await }.boxed()
}
