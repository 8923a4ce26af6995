//! Warns users who wait for a store that does not answer: after two seconds, with the reason that is known by then.
//!
//! Requests are tried again until they are answered or the patience ends (see `s3`); each try goes through here. What has an answer
//! is no wait, whatever it says, unless it says that the store is busy or down.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use tokio::time::{Instant, sleep_until};

/// A silence of this length is warned of.
const SILENCE: Duration = Duration::from_secs(2);

/// And again after this time, where it goes on or comes back.
const AGAIN: Duration = Duration::from_secs(60);

/// A larger body takes its time to be sent, bytes.
const LARGE: usize = 1 << 20;

/// Connects as usual, and tells of waits for `store`.
pub(super) struct WaitReportingConnector {
    /// The store, as people know it.
    pub store: String,
    /// How long a request is tried.
    pub patience: Duration,
}

impl fmt::Debug for WaitReportingConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitReportingConnector").field("store", &self.store).finish_non_exhaustive()
    }
}

impl HttpConnector for WaitReportingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let client = ReqwestConnector::default().connect(options)?;
        let waits = Waits { store: self.store.clone(), patience: self.patience, silence: Mutex::default() };
        Ok(HttpClient::new(WaitReportingService { client, waits }))
    }
}

#[derive(Debug)]
struct WaitReportingService {
    client: HttpClient,
    waits: Waits,
}

#[async_trait]
impl HttpService for WaitReportingService {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let large = request.body().content_length() > LARGE;
        let host = request.uri().host().unwrap_or_default().to_string();
        let since = self.waits.asked();
        let answering = self.client.execute(request);
        tokio::pin!(answering);
        let answer = tokio::select! {
            answer = &mut answering => answer,
            () = sleep_until(since + SILENCE), if !large => {
                self.waits.warn(&host);
                answering.await
            }
        };
        match &answer {
            Ok(answer) if answer.status().is_server_error() || answer.status().as_u16() == 429 => {
                self.waits.failed(format!("it answers {}", answer.status()));
            }
            Ok(_) => self.waits.answered(),
            Err(error) => self.waits.failed(reason(error)),
        }
        answer
    }
}

/// What is behind an error.
fn reason(error: &HttpError) -> String {
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// The silence of a store.
struct Waits {
    store: String,
    patience: Duration,
    silence: Mutex<Silence>,
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waits").field("store", &self.store).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Silence {
    /// Since when nothing was answered; None where the last request was.
    since: Option<Instant>,
    /// When a request last began, or failed.
    last: Option<Instant>,
    /// When the last warning was given.
    warned: Option<Instant>,
    /// Why, as far as that is known.
    why: Option<String>,
}

impl Waits {
    fn locked(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a request begins, and says since when the store has been silent.
    fn asked(&self) -> Instant {
        self.locked().begin(Instant::now(), self.patience)
    }

    fn answered(&self) {
        let mut silence = self.locked();
        (silence.since, silence.why) = (None, None);
    }

    fn failed(&self, why: String) {
        self.locked().fail(Instant::now(), why);
    }

    fn warn(&self, host: &str) {
        let Some(why) = self.locked().due(Instant::now()) else { return };
        let (store, patience) = (&self.store, self.patience.as_secs());
        tracing::warn!("waiting for {host}, to reach {store}: {why}; a request is tried for {patience} seconds");
    }
}

impl Silence {
    /// Notes that a request begins, and says since when the store has been silent. If the last one began longer ago than a request is
    /// tried, its caller has given up: that silence is over, for nobody has waited since.
    fn begin(&mut self, now: Instant, patience: Duration) -> Instant {
        if self.last.is_some_and(|last| now.saturating_duration_since(last) > patience) {
            (self.since, self.why) = (None, None);
        }
        self.last = Some(now);
        *self.since.get_or_insert(now)
    }

    fn fail(&mut self, now: Instant, why: String) {
        (self.last, self.why) = (Some(now), Some(why));
    }

    /// The warning to give now; None where there is none, or was one not long ago.
    fn due(&mut self, now: Instant) -> Option<String> {
        let long = self.since.is_some_and(|since| now >= since + SILENCE);
        if !long || self.warned.is_some_and(|warned| now < warned + AGAIN) {
            return None;
        }
        self.warned = Some(now);
        Some(self.why.clone().unwrap_or_else(|| "no answer yet".to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits() -> Waits {
        Waits { store: "s3://shop".into(), patience: Duration::from_secs(15), silence: Mutex::default() }
    }

    #[test]
    fn a_silence_is_told_once_in_a_while() {
        let waits = waits();
        let begun = waits.asked();
        let after = |seconds: u64| waits.locked().due(begun + Duration::from_secs(seconds));
        assert_eq!(after(1), None);
        assert_eq!(after(2).as_deref(), Some("no answer yet"));
        assert_eq!(after(3), None);
        // it goes on, by now for a reason; tries in between begin no silence of their own
        waits.failed("connection refused".into());
        assert_eq!(waits.asked(), begun);
        assert_eq!(after(62).as_deref(), Some("connection refused"));
        // what is answered is no silence
        waits.answered();
        assert_eq!(after(200), None);
    }

    #[test]
    fn a_silence_ends_where_nobody_waits() {
        let (mut silence, begun, patience) = (Silence::default(), Instant::now(), Duration::from_secs(15));
        let at = |seconds: u64| begun + Duration::from_secs(seconds);
        assert_eq!(silence.begin(begun, patience), begun);
        silence.fail(at(10), "connection refused".into());
        // the same request, tried again
        assert_eq!(silence.begin(at(12), patience), begun);
        assert_eq!(silence.due(at(12)).as_deref(), Some("connection refused"));
        silence.fail(at(15), "connection refused".into());
        // another one, an hour later, has not waited yet, and knows of no reason
        assert_eq!(silence.begin(at(3600), patience), at(3600));
        assert_eq!(silence.due(at(3601)), None);
        assert_eq!(silence.due(at(3602)).as_deref(), Some("no answer yet"));
    }
}
