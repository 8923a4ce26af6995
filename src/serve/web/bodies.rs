//! Bodies of requests: one that stops coming, or comes by drops, ends with an error, and its connection with it, so that its
//! place is free.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use futures::{StreamExt, stream};
use tokio::time::{Instant, timeout_at};

/// How fast a body must come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// So long the door waits for the next bytes, without the time in which it does something with those before.
    pub within: Duration,
    /// So many bytes must come while it does.
    pub bytes: usize,
}

/// How fast a body must come from anybody: 4 KiB a second, so that one of 50 MB comes in less than four hours.
pub(super) const PACE: Pace = Pace { within: Duration::from_secs(60), bytes: 240 << 10 };

/// A body of which too little came for too long.
#[derive(Debug)]
pub(super) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("too little of it came for too long; send it again")
    }
}

impl Error for Stopped {}

impl Stopped {
    /// True where this is what is beneath an error.
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_in)
    }
}

/// A body on its way.
struct Coming<S> {
    chunks: S,
    /// How long it is still waited for bytes, and how many are still to come until then.
    left: Pace,
}

/// The request, whose body ends with [`Stopped`] where it comes at less than this pace.
pub(super) fn at_pace(request: Request, pace: Pace) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| {
        let coming = Coming { chunks: body.into_data_stream(), left: pace };
        let chunks = stream::unfold(Some(coming), move |coming| async move {
            let Coming { mut chunks, mut left } = coming?;
            let begun = Instant::now();
            match timeout_at(begun + left.within, chunks.next()).await {
                Ok(Some(Ok(chunk))) => {
                    left.within = left.within.saturating_sub(begun.elapsed());
                    left.bytes = left.bytes.saturating_sub(chunk.len());
                    if left.bytes == 0 {
                        left = pace;
                    }
                    Some((Ok(chunk), Some(Coming { chunks, left })))
                }
                Ok(Some(Err(error))) => Some((Err(error), None)),
                Ok(None) => None,
                Err(_) => Some((Err(axum::Error::new(Stopped)), None)),
            }
        });
        Body::from_stream(chunks)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::pending;
    use std::net::SocketAddr;

    use axum::Router;
    use axum::extract::Multipart;
    use axum::http::StatusCode;
    use axum::middleware::map_request;
    use axum::routing::post;
    use rejoin_instances::http;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::{sleep, timeout};

    use super::*;

    /// So long the door waits for this many bytes here.
    const SHORT: Duration = Duration::from_millis(500);
    const BYTES: usize = 4;

    /// Longer than all but a connection that never ends takes on a busy machine.
    const LONG: Duration = Duration::from_secs(120);

    /// A door that takes a whole text, and the fields of a form.
    async fn door() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fields = |mut form: Multipart| async move {
            loop {
                match form.next_field().await {
                    Ok(Some(field)) => match field.bytes().await {
                        Ok(_) => {}
                        Err(error) if Stopped::is_in(&error) => return StatusCode::REQUEST_TIMEOUT,
                        Err(_) => return StatusCode::BAD_REQUEST,
                    },
                    Ok(None) => return StatusCode::OK,
                    Err(error) if Stopped::is_in(&error) => return StatusCode::REQUEST_TIMEOUT,
                    Err(_) => return StatusCode::BAD_REQUEST,
                }
            }
        };
        let routes = Router::new()
            .route("/text", post(|text: String| async move { text.len().to_string() }))
            .route("/form", post(fields))
            .layer(map_request(
                |request: Request| async move { at_pace(request, Pace { within: SHORT, bytes: BYTES }) },
            ));
        tokio::spawn(http::serve(Box::new(listener), routes, Box::pin(pending())));
        address
    }

    /// What comes until the other side ends the connection.
    async fn answer(client: &mut TcpStream) -> String {
        let mut came = vec![];
        // an end by force is one, too
        let _ = timeout(LONG, client.read_to_end(&mut came)).await.unwrap();
        String::from_utf8_lossy(&came).into_owned()
    }

    const FORM: &str = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nuser,time\r\n";

    #[tokio::test]
    async fn a_body_that_stops_frees_its_place() {
        let address = door().await;
        for (head, body, status) in [
            // of a text, of a form with a length and without one
            ("POST /text HTTP/1.1\r\nContent-Length: 100".to_string(), "half".to_string(), "HTTP/1.1 400"),
            ("POST /form HTTP/1.1\r\nContent-Length: 9000".into(), FORM.into(), "HTTP/1.1 408"),
            (
                "POST /form HTTP/1.1\r\nTransfer-Encoding: chunked".into(),
                format!("{:x}\r\n{FORM}\r\n", FORM.len()),
                "HTTP/1.1 408",
            ),
            // nothing of it came
            ("POST /form HTTP/1.1\r\nContent-Length: 9000".into(), String::new(), "HTTP/1.1 408"),
        ] {
            let mut client = TcpStream::connect(address).await.unwrap();
            let kind = "Content-Type: multipart/form-data; boundary=x";
            client.write_all(format!("{head}\r\nHost: localhost\r\n{kind}\r\n\r\n{body}").as_bytes()).await.unwrap();
            let came = answer(&mut client).await;
            assert!(came.starts_with(status), "{head}: {came}");
        }
    }

    #[tokio::test]
    async fn a_body_in_drops_frees_its_place() {
        let address = door().await;
        let rest = "Host: localhost\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: 90000";
        for (path, body, status) in [("/form", FORM, "HTTP/1.1 408"), ("/text", "", "HTTP/1.1 400")] {
            let (mut reader, mut writer) = TcpStream::connect(address).await.unwrap().into_split();
            let begun = format!("POST {path} HTTP/1.1\r\n{rest}\r\n\r\n{body}");
            writer.write_all(begun.as_bytes()).await.unwrap();
            let dropping = async {
                // each drop comes in time, and all of them are too few
                for _ in 0..LONG.as_millis() / (SHORT / 2).as_millis() {
                    if writer.write_all(b"1").await.is_err() {
                        // what was said before is still to be read
                        return pending().await;
                    }
                    sleep(SHORT / 2).await;
                }
            };
            let mut came = vec![];
            let ended = tokio::select! {
                () = dropping => false,
                // an end by force is one, too
                _ = reader.read_to_end(&mut came) => true,
            };
            let came = String::from_utf8_lossy(&came).into_owned();
            assert!(ended && came.starts_with(status), "{path}: {came}");
        }
    }

    #[tokio::test]
    async fn a_slow_body_comes_whole() {
        let address = door().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = "POST /text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 16\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        for piece in ["abcd", "efgh", "ijkl", "mnop"] {
            sleep(SHORT / 3).await;
            client.write_all(piece.as_bytes()).await.unwrap();
        }
        let came = answer(&mut client).await;
        assert!(came.starts_with("HTTP/1.1 200") && came.ends_with("16"), "{came}");
        // what has no body waits for none
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = "POST /text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
    }
}
