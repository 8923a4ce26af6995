//! Pieces of an answer that are made in a task of their own, while those before are on their way to the client.

use std::pin::pin;

use futures::{Stream, StreamExt, stream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::failure::{Failure, Reason};
use crate::ErrorKind;

/// Pieces that wait for the client, beside the one that is being made.
const AHEAD: usize = 1;

/// The same pieces, made ahead of their reader. A reader that stops ends the work.
pub fn ahead<T, E>(pieces: impl Stream<Item = Result<T, E>> + Send + 'static) -> impl Stream<Item = Result<T, E>> + Send
where
    T: Send + 'static,
    E: From<Failure> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut making = JoinSet::new();
    making.spawn(async move {
        let mut pieces = pin!(pieces);
        while let Some(piece) = pieces.next().await {
            if sender.send(piece).await.is_err() {
                break;
            }
        }
    });
    stream::unfold((receiver, making), |(mut receiver, mut making)| async move {
        let piece = match receiver.recv().await {
            Some(piece) => piece,
            // what broke off must not look like the end
            None => match making.join_next().await? {
                Ok(()) => return None,
                Err(_) => Err(Failure::new(Reason::Engine(ErrorKind::Bug), "the answer broke off").into()),
            },
        };
        Some((piece, (receiver, making)))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::TryStreamExt;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn all_pieces_in_order_few_of_them_ahead() {
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let pieces = stream::iter(0..100).map(move |piece| {
            count.fetch_add(1, Ordering::SeqCst);
            Ok::<usize, Failure>(piece)
        });
        let mut read = Box::pin(ahead(pieces));
        assert_eq!(read.next().await.unwrap().unwrap(), 0);
        sleep(Duration::from_millis(50)).await;
        assert!(made.load(Ordering::SeqCst) <= 2 + AHEAD, "{made:?}");
        let rest: Vec<usize> = read.try_collect().await.unwrap();
        assert_eq!(rest, (1..100).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_breaks_off_is_an_error() {
        let pieces = stream::iter(0..3).map(|piece| {
            assert!(piece < 2, "on purpose");
            Ok::<i32, Failure>(piece)
        });
        let read: Vec<_> = ahead(pieces).collect().await;
        assert_eq!(read.len(), 3);
        assert!(read[2].as_ref().is_err_and(|failure| failure.reason == Reason::Engine(ErrorKind::Bug)));
    }

    #[tokio::test]
    async fn who_stops_reading_ends_the_work() {
        let alive = Arc::new(());
        let held = alive.clone();
        let pieces = stream::repeat(()).then(move |()| {
            let held = held.clone();
            async move {
                // nothing comes, and nobody waits for it
                std::future::pending::<()>().await;
                drop(held);
                Ok::<(), Failure>(())
            }
        });
        let read = ahead(pieces);
        sleep(Duration::from_millis(10)).await;
        drop(read);
        let mut looks = 0;
        while Arc::strong_count(&alive) > 1 && looks < 100 {
            sleep(Duration::from_millis(10)).await;
            looks += 1;
        }
        assert_eq!(Arc::strong_count(&alive), 1, "it goes on");
    }
}
