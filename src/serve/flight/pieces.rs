//! Responses whose body is sent in pieces that are encoded already. The library would copy each message into the body once more.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use axum::http;
use axum::http::HeaderMap;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, Stream};
use http_body::Frame;
use tonic::body::Body;
use tonic::codegen::Service;
use tonic::server::NamedService;
use tonic::{Response, Status};

/// Pieces of messages as gRPC has them, in their order.
pub type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

/// The pieces of a response, on their way to [`InPieces`], which sends them.
#[derive(Clone)]
struct AttachedPieces(Arc<Mutex<Option<Pieces>>>);

/// A response that [`InPieces`] sends with these pieces in place of `messages`.
pub fn with_pieces<M>(messages: M, pieces: Pieces) -> Response<M> {
    let mut response = Response::new(messages);
    response.extensions_mut().insert(AttachedPieces(Arc::new(Mutex::new(Some(pieces)))));
    response
}

/// A service of which some responses are [`with_pieces`].
#[derive(Clone)]
pub struct InPieces<S>(pub S);

impl<S: NamedService> NamedService for InPieces<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for InPieces<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        self.0.call(request).map(|response| response.map(in_pieces)).boxed()
    }
}

fn in_pieces(mut response: http::Response<Body>) -> http::Response<Body> {
    let attached = response.extensions_mut().remove::<AttachedPieces>();
    match attached.and_then(|AttachedPieces(pieces)| pieces.lock().unwrap_or_else(PoisonError::into_inner).take()) {
        Some(pieces) => response.map(|_| Body::new(PiecesBody { pieces, ended: false })),
        None => response,
    }
}

/// A body that sends pieces, and their status as its trailers.
struct PiecesBody {
    pieces: Pieces,
    ended: bool,
}

impl http_body::Body for PiecesBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let status = match ready!(self.pieces.as_mut().poll_next(context)) {
            Some(Ok(piece)) => return Poll::Ready(Some(Ok(Frame::data(piece)))),
            Some(Err(status)) => status,
            None => Status::ok(""),
        };
        self.ended = true;
        let mut trailers = HeaderMap::new();
        Poll::Ready(Some(status.add_header(&mut trailers).map(|()| Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::future::poll_fn;

    use futures::stream;
    use http_body::Body as _;

    use super::*;

    /// The pieces of a response, and the status at its end.
    async fn sent(pieces: Vec<Result<Bytes, Status>>) -> (Vec<Bytes>, Status) {
        let response = with_pieces((), Box::pin(stream::iter(pieces)));
        let (_, (), extensions) = response.into_parts();
        let mut response = http::Response::new(Body::empty());
        *response.extensions_mut() = extensions;
        let mut body = in_pieces(response).into_body();
        let (mut found, mut status) = (vec![], None);
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            match frame.unwrap().into_data() {
                Ok(piece) => found.push(piece),
                Err(frame) => status = Status::from_header_map(frame.trailers_ref().unwrap()),
            }
        }
        (found, status.unwrap())
    }

    #[tokio::test]
    async fn pieces_are_sent_as_they_are_and_with_how_they_end() {
        let large = Bytes::from(vec![7; 100_000]);
        let (found, status) = sent(vec![Ok(Bytes::from_static(b"a")), Ok(large.clone())]).await;
        assert_eq!((found.len(), found[1].as_ptr(), status.code()), (2, large.as_ptr(), tonic::Code::Ok));
        let (found, status) = sent(vec![Ok(large), Err(Status::out_of_range("too much"))]).await;
        assert_eq!((found.len(), status.code(), status.message()), (1, tonic::Code::OutOfRange, "too much"));
        assert_eq!(sent(vec![]).await.1.code(), tonic::Code::Ok);
    }
}
