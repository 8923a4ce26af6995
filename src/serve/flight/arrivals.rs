//! Connections of the Flight SQL door: a bounded number, and none for who says nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// Who connects begins to speak within this time.
const FIRST: Duration = Duration::from_secs(30);

/// Bytes with which HTTP/2 begins (RFC 9113, section 3.4). TLS begins with more.
const PREFACE: usize = 24;

/// Connections as they come, each with one of `places`; who finds none free waits.
pub fn arrivals(listener: TcpListener, places: usize) -> impl Stream<Item = io::Result<Connection>> + Send {
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    stream::unfold((listener, places), |(listener, places)| async move {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            let Ok((socket, _)) = listener.accept().await else {
                // too many open files, most likely: others may leave soon
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            // the end of a message does not wait until its beginning is acknowledged
            if socket.set_nodelay(true).is_ok() {
                return Some((Ok(Connection::new(socket, place)), (listener, places)));
            }
        }
    })
}

/// One connection, which ends where nothing comes first.
pub struct Connection {
    socket: TcpStream,
    /// Bytes that have come; they are counted until it has begun.
    came: usize,
    /// The time to begin; None once it has.
    first: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(socket: TcpStream, place: OwnedSemaphorePermit) -> Self {
        Self { socket, came: 0, first: Some(Box::pin(sleep(FIRST))), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;

    fn connect_info(&self) -> TcpConnectInfo {
        self.socket.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buffer);
        let Some(first) = &mut this.first else { return polled };
        this.came += buffer.filled().len() - before;
        if this.came >= PREFACE {
            this.first = None;
        } else if polled.is_pending() {
            ready!(first.as_mut().poll(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::pin::pin;

    use futures::StreamExt;
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn as_many_as_there_are_places() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = pin!(arrivals(listener, 1));
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = arrivals.next().await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(50), arrivals.next()).await.is_err());
        drop(first);
        assert!(arrivals.next().await.unwrap().is_ok());
    }
}
