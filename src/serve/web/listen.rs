//! Connections of the web door: plain or TLS, a bounded number, and none that is silent for ever.

use std::future::pending;
use std::io;
use std::mem;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rejoin_instances::http::{Arrival, Connections, RequestObserver};
use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

/// A handshake takes no longer.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a connection without a request may take until the head of one is there whole: places are not for clients that say
/// nothing. Collectors that ask every 15 seconds keep theirs.
pub(super) const HEAD: Duration = Duration::from_secs(20);

/// A browser opens several connections.
const OF_A_BROWSER: usize = 8;

/// How long a connection may be silent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Timeouts {
    /// Until a request's head is there whole, from the end of the answer before.
    pub head: Duration,
    /// While a request is answered.
    pub answer: Duration,
}

/// Connections that are ready to be served.
pub(super) struct ReadyConnections {
    ready: mpsc::Receiver<Connection>,
    accepting: JoinHandle<()>,
}

impl ReadyConnections {
    /// Accepts connections of so many browsers.
    pub fn open(listener: TcpListener, tls: Option<Arc<ServerConfig>>, browsers: usize, timeouts: Timeouts) -> Self {
        let (sender, ready) = mpsc::channel(1);
        let places = Arc::new(Semaphore::new(browsers.saturating_mul(OF_A_BROWSER).min(Semaphore::MAX_PERMITS)));
        let acceptor = tls.map(TlsAcceptor::from);
        let accepting = tokio::spawn(async move {
            while let Ok(place) = places.clone().acquire_owned().await {
                let Ok((socket, _)) = listener.accept().await else {
                    // too many open files, most likely: others may leave soon
                    sleep(Duration::from_millis(50)).await;
                    continue;
                };
                let (acceptor, sender) = (acceptor.clone(), sender.clone());
                // a slow handshake keeps nobody else waiting
                tokio::spawn(async move {
                    match timeout(HANDSHAKE, Connection::new(socket, acceptor, place, timeouts)).await {
                        Ok(Ok(connection)) => drop(sender.send(connection).await),
                        Ok(Err(error)) => tracing::debug!(%error, "no handshake"),
                        Err(_) => tracing::debug!("a handshake took too long"),
                    }
                });
            }
        });
        Self { ready, accepting }
    }
}

impl Drop for ReadyConnections {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Connections for ReadyConnections {
    fn next(&mut self) -> BoxFuture<'_, Arrival> {
        async move {
            match self.ready.recv().await {
                Some(connection) => {
                    let requests = connection.requests.clone();
                    Arrival { connection: Box::new(connection), observer: Some(requests) }
                }
                // the task that accepts has ended; there will be none
                None => pending().await,
            }
        }
        .boxed()
    }
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// The requests of a connection.
struct RequestTracker(Mutex<OpenRequests>);

struct OpenRequests {
    /// Requests whose answers have not ended.
    count: usize,
    /// When the last answer ended; at first, when the connection began.
    free: Instant,
    /// Of who waits for the connection.
    waker: Option<Waker>,
}

impl RequestTracker {
    fn locked(&self) -> MutexGuard<'_, OpenRequests> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who waits is to wait for less long now.
    fn waits_anew(&self) {
        let waker = self.locked().waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl RequestObserver for RequestTracker {
    fn begun(&self) {
        self.locked().count += 1;
    }

    fn ended(&self) {
        let mut open = self.locked();
        open.count = open.count.saturating_sub(1);
        open.free = Instant::now();
        drop(open);
        self.waits_anew();
    }
}

/// One connection, which ends after a silence, or where a request does not come whole.
struct Connection {
    stream: Box<dyn Stream>,
    requests: Arc<RequestTracker>,
    timeouts: Timeouts,
    /// When bytes last came or went.
    heard: Instant,
    /// When bytes last went: what is sent after the end of an answer is the rest of it.
    sent: Instant,
    /// Bytes wait until the other side takes some: the end of an answer has been made, and not been sent.
    is_full: bool,
    silence: Pin<Box<Sleep>>,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    async fn new(
        socket: TcpStream,
        acceptor: Option<TlsAcceptor>,
        place: OwnedSemaphorePermit,
        timeouts: Timeouts,
    ) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match acceptor {
            Some(acceptor) => Box::new(acceptor.accept(socket).await?),
            None => Box::new(socket),
        };
        let now = Instant::now();
        Ok(Self {
            stream,
            requests: Arc::new(RequestTracker(Mutex::new(OpenRequests { count: 0, free: now, waker: None }))),
            timeouts,
            heard: now,
            sent: now,
            is_full: false,
            silence: Box::pin(sleep(timeouts.head)),
            _place: place,
        })
    }

    /// How long it may be silent from now. Where no request is answered, pieces of a head win no time.
    fn until(&self, context: &mut Context<'_>) -> Instant {
        let mut open = self.requests.locked();
        open.waker = Some(context.waker().clone());
        match open.count {
            0 if !self.is_full => open.free.max(self.sent) + self.timeouts.head,
            _ => self.heard + self.timeouts.answer,
        }
    }

    fn is_full_now(&mut self, is_full: bool) {
        let was_full = mem::replace(&mut self.is_full, is_full);
        if was_full && !is_full {
            self.requests.waits_anew();
        }
    }

    /// Passes on what a side did, unless both are silent too long.
    fn unless_silent<T>(&mut self, polled: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.heard = Instant::now();
            return polled;
        }
        loop {
            let until = self.until(context);
            if until <= Instant::now() {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            if self.silence.deadline() != until {
                self.silence.as_mut().reset(until);
            }
            ready!(self.silence.as_mut().poll(context));
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.unless_silent(polled, cx)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.is_full_now(polled.is_pending());
        if polled.is_ready() {
            self.sent = Instant::now();
        }
        self.unless_silent(polled, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // with TLS bytes may wait here
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.is_full_now(polled.is_pending());
        polled
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::net::SocketAddr;

    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use futures::stream;
    use rejoin_instances::http;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// An answer that fits no buffer on the way.
    const LARGE: usize = 32 << 20;

    /// Longer than the door waits for a head.
    const SLOW: Duration = Duration::from_millis(1500);

    /// Longer than all but a connection that never ends takes on a busy machine.
    const LONG: Duration = Duration::from_secs(120);

    /// A door that waits half a second for a head, and an hour for an answer.
    async fn door() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let timeouts = Timeouts { head: Duration::from_millis(500), answer: Duration::from_secs(3600) };
        let ready_connections = ReadyConnections::open(listener, None, 1, timeouts);
        let slow = || async {
            sleep(SLOW).await;
            "slow"
        };
        let pieces = || async {
            Body::from_stream(stream::unfold(0, |piece| async move {
                if piece == 1 {
                    sleep(SLOW).await;
                }
                let text = *["first ", "second "].get(piece)?;
                Some((Ok::<_, io::Error>(text), piece + 1))
            }))
        };
        let here = || async { "here" };
        let large = || async { "~".repeat(LARGE) };
        let routes = Router::new()
            .route("/", get(here))
            .route("/slow", get(slow))
            .route("/pieces", get(pieces))
            .route("/large", get(large));
        tokio::spawn(http::serve(Box::new(ready_connections), routes, Box::pin(pending())));
        address
    }

    /// What comes until the other side ends the connection.
    async fn to_end(client: &mut TcpStream) -> String {
        let mut came = vec![];
        // an end by force is one, too
        let _ = timeout(LONG, client.read_to_end(&mut came)).await.unwrap();
        String::from_utf8_lossy(&came).into_owned()
    }

    #[tokio::test]
    async fn whoever_sends_no_head_loses_the_place() {
        let address = door().await;
        // no byte, half a head, HTTP/2 without a request
        let preface: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
        let half: &[u8] = b"GET / HTTP/1.1\r\nHost: localhost\r\n";
        for said in [half, preface, &[]] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(said).await.unwrap();
            assert!(!to_end(&mut client).await.contains("here"));
        }
        // the same after an answer
        for said in ["", "GET / HTTP/1.1\r\nHo"] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(format!("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n{said}").as_bytes()).await.unwrap();
            assert_eq!(to_end(&mut client).await.matches("here").count(), 1);
        }
    }

    #[tokio::test]
    async fn a_head_in_drops_is_none() {
        let address = door().await;
        let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
        let begun = Instant::now();
        let dropping = async {
            // until the other side does not listen any more
            while writer.write_all(b"x").await.is_ok() && begun.elapsed() < LONG {
                sleep(Duration::from_millis(50)).await;
            }
        };
        let mut came = vec![];
        let ended = async { reader.read_to_end(&mut came).await };
        tokio::select! {
            () = dropping => {}
            _ = ended => {}
        }
        assert!(begun.elapsed() < LONG, "{came:?}");
    }

    #[tokio::test]
    async fn an_answer_takes_the_time_that_it_takes() {
        let address = door().await;
        for (path, expected) in [("/slow", "slow"), ("/pieces", "second ")] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n").as_bytes()).await.unwrap();
            let came = to_end(&mut client).await;
            assert!(came.starts_with("HTTP/1.1 200") && came.contains(expected), "{came}");
        }
    }

    #[tokio::test]
    async fn who_reads_slowly_gets_all() {
        let address = door().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
        sleep(SLOW).await;
        let came = to_end(&mut client).await;
        assert_eq!(came.bytes().filter(|byte| *byte == b'~').count(), LARGE);
    }
}
