//! Connections of the web door: plain or TLS, a bounded number, and none that is silent for ever.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::serve::Listener;
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The head of a connection's first request is there after this time: places are not for whoever says nothing.
const FIRST_HEAD: Duration = Duration::from_secs(30);

/// A browser opens several connections.
const OF_A_BROWSER: usize = 8;

/// Connections that are ready to be served.
pub(super) struct Doorway {
    address: SocketAddr,
    ready: mpsc::Receiver<(Connection, SocketAddr)>,
    accepting: JoinHandle<()>,
}

impl Doorway {
    /// Accepts connections of so many browsers; one that is silent for `idle` is closed.
    pub fn open(
        listener: TcpListener,
        tls: Option<Arc<ServerConfig>>,
        browsers: usize,
        idle: Duration,
    ) -> io::Result<Self> {
        let address = listener.local_addr()?;
        let (sender, ready) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new((browsers * OF_A_BROWSER).min(Semaphore::MAX_PERMITS)));
        let acceptor = tls.map(TlsAcceptor::from);
        let accepting = tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                let Ok((socket, from)) = listener.accept().await else {
                    // too many open files, most likely: others may leave soon
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                // a slow handshake keeps nobody else waiting
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, Connection::new(socket, acceptor, place, idle)).await {
                        Ok(Ok(connection)) => drop(sender.send((connection, from)).await),
                        Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                        Err(_) => tracing::debug!("a handshake took too long"),
                    }
                });
            }
        });
        Ok(Self { address, ready, accepting })
    }
}

impl Drop for Doorway {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Listener for Doorway {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        match self.ready.recv().await {
            Some(next) => next,
            // the task that accepts has ended; there will be none
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// How much of a request's head has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Nothing,
    Line,
    NewLine,
    Whole,
}

impl Head {
    /// After more bytes of it. An empty line ends it; HTTP/2 begins with one, too.
    fn with(self, bytes: &[u8]) -> Self {
        bytes.iter().fold(self, |head, byte| match (head, byte) {
            (Head::Whole, _) | (Head::NewLine, b'\n') => Head::Whole,
            // blank lines before a request are passed over
            (Head::Nothing, b'\r' | b'\n') => Head::Nothing,
            (head, b'\r') => head,
            (_, b'\n') => Head::NewLine,
            _ => Head::Line,
        })
    }
}

/// One connection, which ends after a silence, or where its first request does not come.
pub(super) struct Connection {
    stream: Box<dyn Stream>,
    /// Of its first request.
    head: Head,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn new(
        socket: TcpStream,
        acceptor: Option<TlsAcceptor>,
        place: OwnedSemaphorePermit,
        idle: Duration,
    ) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match acceptor {
            Some(acceptor) => Box::new(acceptor.accept(socket).await?),
            None => Box::new(socket),
        };
        Ok(Self { stream, head: Head::Nothing, idle, silence: Box::pin(sleep(FIRST_HEAD)), _place: place })
    }

    /// Passes on what a side did, unless both are silent too long.
    fn heard<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            if self.head == Head::Whole {
                let until = Instant::now() + self.idle;
                self.silence.as_mut().reset(until);
            }
            return polled;
        }
        ready!(self.silence.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if self.head != Head::Whole {
            self.head = self.head.with(&buffer.filled()[before..]);
        }
        self.heard(polled, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.heard(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::Head;

    #[test]
    fn the_end_of_a_head() {
        for whole in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "GET / HTTP/1.1\n\n",
            "PRI * HTTP/2.0\r\n\r\nSM",
            "\r\n\r\nGET /\r\n\r\nmore",
        ] {
            assert_eq!(Head::Nothing.with(whole.as_bytes()), Head::Whole, "{whole:?}");
            // in whatever pieces it comes
            let by_byte = whole.bytes().fold(Head::Nothing, |head, byte| head.with(&[byte]));
            assert_eq!(by_byte, Head::Whole, "{whole:?}");
        }
        for part in ["", "\r\n\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n", "GET /\r\n\r", "PRI * HTTP/2.0"] {
            assert_ne!(Head::Nothing.with(part.as_bytes()), Head::Whole, "{part:?}");
        }
    }
}
