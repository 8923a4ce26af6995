//! Routes over HTTP, as axum serves them.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::connect_info::Connected;
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::serve::{IncomingStream, Listener};
use futures::FutureExt;
use futures::future::BoxFuture;
use http_body::{Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite};

/// A connection of any kind.
pub trait Connection: AsyncRead + AsyncWrite + Unpin + Send + 'static {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection for T {}

/// The observer of the requests of one connection.
pub trait RequestObserver: Send + Sync + 'static {
    /// The head of one has come.
    fn begun(&self);
    /// The answer to one has ended, or will not.
    fn ended(&self);
}

/// A connection that has come.
pub struct Arrival {
    /// It.
    pub connection: Box<dyn Connection>,
    /// The observer of its requests.
    pub observer: Option<Arc<dyn RequestObserver>>,
}

/// Where connections come from: any listener, of whose requests nobody is told, or only those who ask for it.
pub trait Connections: Send + 'static {
    /// The next one.
    fn next(&mut self) -> BoxFuture<'_, Arrival>;
}

impl<L: Listener> Connections for L {
    fn next(&mut self) -> BoxFuture<'_, Arrival> {
        async move {
            let (connection, _) = self.accept().await;
            Arrival { connection: Box::new(connection), observer: None }
        }
        .boxed()
    }
}

struct AnyListener(Box<dyn Connections>);

impl Listener for AnyListener {
    type Io = Box<dyn Connection>;
    type Addr = ConnectionObserver;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let Arrival { connection, observer } = self.0.next().await;
        (connection, ConnectionObserver(observer))
    }

    fn local_addr(&self) -> io::Result<Self::Addr> {
        Ok(ConnectionObserver(None))
    }
}

/// Knows who is told of a connection's requests.
#[derive(Clone)]
struct ConnectionObserver(Option<Arc<dyn RequestObserver>>);

impl fmt::Debug for ConnectionObserver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "told" } else { "untold" })
    }
}

impl Connected<IncomingStream<'_, AnyListener>> for ConnectionObserver {
    fn connect_info(stream: IncomingStream<'_, AnyListener>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A request that has begun, until it is dropped.
struct RequestGuard(Arc<dyn RequestObserver>);

impl RequestGuard {
    fn new(observer: Arc<dyn RequestObserver>) -> Self {
        observer.begun();
        Self(observer)
    }
}

impl Drop for RequestGuard {
    fn drop(&mut self) {
        self.0.ended();
    }
}

/// The body of an answer, with which a request ends.
struct AnswerBody {
    body: Body,
    _request: RequestGuard,
}

impl http_body::Body for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

async fn observe(ConnectInfo(observer): ConnectInfo<ConnectionObserver>, request: Request, next: Next) -> Response {
    let Some(observer) = observer.0 else { return next.run(request).await };
    let begun = RequestGuard::new(observer);
    let answer = next.run(request).await;
    answer.map(|body| Body::new(AnswerBody { body, _request: begun }))
}

/// Serves routes until `stopped` is over and the answers that were begun by then are given.
pub fn serve(
    connections: Box<dyn Connections>,
    routes: Router,
    stopped: BoxFuture<'static, ()>,
) -> BoxFuture<'static, io::Result<()>> {
    let routes = routes.layer(from_fn(observe)).into_make_service_with_connect_info::<ConnectionObserver>();
    async move { axum::serve(AnyListener(connections), routes).with_graceful_shutdown(stopped).await }.boxed()
}
