//! Connections of the Flight SQL door: a bounded number, and none for who is not let in.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Who connects is let in within this time.
pub const FIRST: Duration = Duration::from_secs(30);

/// Connections as they come, each with one of `places`; who finds none free waits. One by which nobody is let in within `first` ends.
pub fn arrivals(
    listener: TcpListener,
    places: usize,
    first: Duration,
) -> impl Stream<Item = io::Result<Connection>> + Send {
    let places = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
    stream::unfold((listener, places), move |(listener, places)| async move {
        let place = places.clone().acquire_owned().await.ok()?;
        loop {
            let Ok((socket, _)) = listener.accept().await else {
                // too many open files, most likely: others may leave soon
                sleep(Duration::from_millis(50)).await;
                continue;
            };
            // the end of a message does not wait until its beginning is acknowledged
            if socket.set_nodelay(true).is_ok() {
                return Some((Ok(Connection::new(socket, place, first)), (listener, places)));
            }
        }
    })
}

/// Of a connection: whether somebody was let in by it. Its requests have it among their extensions.
#[derive(Debug, Clone, Default)]
pub struct Entered(Arc<AtomicBool>);

impl Entered {
    /// Notes that somebody is let in.
    pub fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// True once somebody was.
    pub fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// One connection, which ends where nobody is let in first.
pub struct Connection {
    socket: TcpStream,
    entered: Entered,
    /// The time to be let in; None once somebody was.
    first: Option<Pin<Box<Sleep>>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(socket: TcpStream, place: OwnedSemaphorePermit, first: Duration) -> Self {
        Self { socket, entered: Entered::default(), first: Some(Box::pin(sleep(first))), _place: place }
    }
}

impl Connected for Connection {
    type ConnectInfo = Entered;

    fn connect_info(&self) -> Entered {
        self.entered.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let polled = Pin::new(&mut this.socket).poll_read(cx, buffer);
        if this.entered.is_noted() {
            this.first = None;
        }
        if let Some(first) = &mut this.first
            && polled.is_pending()
        {
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
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn as_many_as_there_are_places() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = pin!(arrivals(listener, 1, FIRST));
        let _clients = [TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap()];
        let first = arrivals.next().await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(50), arrivals.next()).await.is_err());
        drop(first);
        assert!(arrivals.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn who_is_not_let_in_loses_the_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut arrivals = pin!(arrivals(listener, 2, Duration::from_millis(200)));
        for is_let_in in [false, true] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let mut connection = arrivals.next().await.unwrap().unwrap();
            // as HTTP/2 begins
            client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
            let mut came = [0; 24];
            connection.read_exact(&mut came).await.unwrap();
            if is_let_in {
                connection.connect_info().note();
            }
            let silence = timeout(Duration::from_millis(800), connection.read_exact(&mut came)).await;
            assert_eq!(silence.is_err(), is_let_in, "{silence:?}");
        }
    }
}
