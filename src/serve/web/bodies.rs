//! Bodies of requests: one that stops coming ends with an error, and its connection with it, so that its place is free.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use futures::{StreamExt, stream};
use tokio::time::timeout;

/// How long a body may bring nothing.
pub(super) const SILENCE: Duration = Duration::from_secs(60);

/// A body that brought nothing for too long.
#[derive(Debug)]
pub(super) struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("nothing more came; send it again")
    }
}

impl Error for Stopped {}

impl Stopped {
    /// True where this is what lies beneath an error.
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        error.is::<Self>() || error.source().is_some_and(Self::is_in)
    }
}

/// The request, whose body ends with [`Stopped`] after such a silence.
pub(super) fn unless_silent(request: Request, silence: Duration) -> Request {
    if request.body().is_end_stream() {
        return request;
    }
    request.map(|body| {
        let chunks = stream::unfold(Some(body.into_data_stream()), move |chunks| async move {
            let mut chunks = chunks?;
            match timeout(silence, chunks.next()).await {
                Ok(Some(Ok(chunk))) => Some((Ok(chunk), Some(chunks))),
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
    use tokio::time::sleep;

    use super::*;

    /// So long a body may be silent here.
    const SHORT: Duration = Duration::from_millis(500);

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
            .layer(map_request(|request: Request| async move { unless_silent(request, SHORT) }));
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
    async fn a_slow_body_comes_whole() {
        let address = door().await;
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = "POST /text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 8\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        for piece in ["ab", "cd", "ef", "gh"] {
            sleep(SHORT / 3).await;
            client.write_all(piece.as_bytes()).await.unwrap();
        }
        let came = answer(&mut client).await;
        assert!(came.starts_with("HTTP/1.1 200") && came.ends_with('8'), "{came}");
        // what has no body waits for none
        let mut client = TcpStream::connect(address).await.unwrap();
        let head = "POST /text HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
        client.write_all(head.as_bytes()).await.unwrap();
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200"));
    }
}
