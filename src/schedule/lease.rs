//! One runner a lake: a lease that works on any store on which an object can be created once.
//!
//! Leases are numbered objects `_schedule/lease/N.json`. The highest number counts. It is taken over by creating the next
//! one, which only one of several can, after the holder gave it back or let it expire; it is renewed by writing it anew.
//! A holder that finds a higher number than its own has lost, and so has one that could not renew in time: it stops before
//! another one may begin.

use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use crate::lake::Lake;
use crate::{Error, ErrorKind, Result, clock};

/// Folder of the lake for what is no table.
pub const FOLDER: &str = "_schedule";

/// How long a lease lasts without a renewal. With the margin, a crashed holder keeps others out for 45 seconds.
const TERM: Duration = Duration::from_secs(30);

/// Seconds of a lease, for tests.
const TERM_VARIABLE: &str = "REJOIN_LEASE_SECONDS";

/// A lease that is held.
#[derive(Clone, Debug)]
pub struct Lease {
    lake: Lake,
    number: u64,
    holder: String,
    term: Duration,
    /// When it was renewed last, by a clock that nobody sets.
    renewed: Instant,
}

/// What a lease's object says.
#[derive(Debug, Serialize, Deserialize)]
struct Terms {
    /// Host and process.
    holder: String,
    /// When it ends unless it is renewed.
    expires: DateTime<Utc>,
    /// How far clocks may be apart, in seconds.
    margin_seconds: u64,
    /// It was given back.
    released: bool,
}

impl Lease {
    /// Takes the lease of a lake. An error of kind conflict says who holds it.
    pub async fn take(lake: &Lake) -> Result<Self> {
        let term = match std::env::var(TERM_VARIABLE).ok().map(|text| text.parse()) {
            None => TERM,
            Some(Ok(seconds @ 1..)) => Duration::from_secs(seconds),
            Some(_) => return Err(Error::usage(format!("{TERM_VARIABLE}: expected seconds"))),
        };
        let holder = format!("process {} on {}", std::process::id(), host());
        loop {
            let numbers = numbers(lake).await?;
            let last = numbers.iter().max().copied();
            if let Some(last) = last
                && let Some(terms) = read(lake, last).await?
                && let Some(until) = terms.holds_until()
            {
                return Err(Error::conflict(format!(
                    "{} runs the schedule of {} already; stop it first (if it crashed, its lease ends by itself at {})",
                    terms.holder,
                    lake.url(),
                    until.format("%Y-%m-%dT%H:%M:%SZ")
                )));
            }
            let number = last.unwrap_or(0) + 1;
            let lease = Self { lake: lake.clone(), number, holder: holder.clone(), term, renewed: Instant::now() };
            match lease.put(PutMode::Create, false).await {
                Ok(()) => {
                    for old in numbers {
                        lake.discard(&path(lake, old)?).await;
                    }
                    // the number may have been free because its lease was taken over and cleared away meanwhile
                    lease.renew().await?;
                    return Ok(lease);
                }
                // somebody else was faster; now it holds it
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Renews the lease again and again. Ends with the error that it is lost.
    pub async fn keep(mut self) -> Error {
        let beat = self.term / 3;
        loop {
            tokio::time::sleep(beat).await;
            let started = Instant::now();
            let left = self.term.saturating_sub(self.renewed.elapsed());
            match tokio::time::timeout(left.min(beat), self.renew()).await {
                Ok(Ok(())) => self.renewed = started,
                Ok(Err(error)) if error.kind() == ErrorKind::Conflict => return error,
                Ok(Err(error)) => tracing::warn!(%error, "the lease of the schedule could not be renewed"),
                Err(_) => tracing::warn!("the lease of the schedule could not be renewed in time"),
            }
            if self.renewed.elapsed() + beat > self.term {
                return Error::unavailable(
                    "the store did not answer for so long that another runner may have taken over; this one stops",
                );
            }
        }
    }

    /// Gives the lease back, so that another runner need not wait.
    pub async fn release(&self) -> Result<()> {
        if numbers(&self.lake).await?.into_iter().max() == Some(self.number) {
            self.put(PutMode::Overwrite, true).await?;
        }
        Ok(())
    }

    async fn renew(&self) -> Result<()> {
        match numbers(&self.lake).await?.into_iter().max() {
            Some(highest) if highest > self.number => {
                let terms = read(&self.lake, highest).await?;
                let other = terms.map_or_else(|| "another runner".to_string(), |t| t.holder);
                Err(Error::conflict(format!("{other} has taken the schedule over; this runner stops")))
            }
            _ => self.put(PutMode::Overwrite, false).await,
        }
    }

    async fn put(&self, mode: PutMode, released: bool) -> Result<()> {
        let expires = clock::now() + TimeDelta::from_std(self.term).unwrap_or_default();
        let margin_seconds = self.term.as_secs().div_ceil(2);
        let terms = Terms { holder: self.holder.clone(), expires, margin_seconds, released };
        let json = serde_json::to_vec(&terms).map_err(|e| Error::bug(format!("lease: {e}")))?;
        let options = PutOptions { mode, ..Default::default() };
        match self.lake.store().put_opts(&path(&self.lake, self.number)?, PutPayload::from(json), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {
                Err(Error::conflict("another runner took the lease"))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Terms {
    /// When it may be taken over; None when that is now.
    fn holds_until(&self) -> Option<DateTime<Utc>> {
        let until = self.expires + TimeDelta::seconds(self.margin_seconds as i64);
        (!self.released && until > clock::now()).then_some(until)
    }
}

async fn numbers(lake: &Lake) -> Result<Vec<u64>> {
    let folder = lake.file_path(FOLDER, "lease")?;
    let found: Vec<_> = lake.store().list(Some(&folder)).try_collect().await?;
    let number = |path: &Path| path.filename()?.strip_suffix(".json")?.parse().ok();
    Ok(found.iter().filter_map(|o| number(&o.location)).collect())
}

/// None where it is gone meanwhile. One that cannot be understood holds nobody out: it was never written whole.
async fn read(lake: &Lake, number: u64) -> Result<Option<Terms>> {
    match lake.store().get(&path(lake, number)?).await {
        Ok(found) => Ok(serde_json::from_slice(&found.bytes().await?).ok()),
        Err(object_store::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn path(lake: &Lake, number: u64) -> Result<Path> {
    lake.file_path(FOLDER, &format!("lease/{number:08}.json"))
}

/// The name of this machine, for people.
fn host() -> String {
    let named = std::env::var("HOSTNAME").ok().or_else(|| std::fs::read_to_string("/etc/hostname").ok());
    named.map(|name| name.trim().to_string()).filter(|name| !name.is_empty()).unwrap_or_else(|| "this machine".into())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn lake() -> (tempfile::TempDir, Lake) {
        let folder = tempfile::tempdir().unwrap();
        let lake = Lake::open(folder.path().to_str().unwrap()).unwrap();
        (folder, lake)
    }

    #[tokio::test]
    async fn one_of_many_gets_it_and_the_next_when_it_is_given_back() {
        let (_folder, lake) = lake();
        let all = futures::future::join_all((0..8).map(|_| Lease::take(&lake))).await;
        let (held, refused): (Vec<_>, Vec<_>) = all.into_iter().partition(|lease| lease.is_ok());
        assert_eq!((held.len(), refused.len()), (1, 7));
        for error in refused.into_iter().map(|lease| lease.unwrap_err()) {
            assert_eq!(error.kind(), ErrorKind::Conflict);
            assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
        }
        let first = held.into_iter().next().unwrap().unwrap();
        first.renew().await.unwrap();
        first.release().await.unwrap();
        let second = Lease::take(&lake).await.unwrap();
        assert_eq!(second.number, first.number + 1);
        assert_eq!(numbers(&lake).await.unwrap(), [second.number]);
        assert!(lake.table_names().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn who_was_replaced_notices_and_frees_nothing() {
        let (_folder, lake) = lake();
        let mut first = Lease::take(&lake).await.unwrap();
        // expired long ago
        first.term = Duration::ZERO;
        first.put(PutMode::Overwrite, true).await.unwrap();
        let second = Lease::take(&lake).await.unwrap();
        let lost = first.renew().await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Conflict);
        first.release().await.unwrap();
        assert_eq!(Lease::take(&lake).await.unwrap_err().kind(), ErrorKind::Conflict);
        second.renew().await.unwrap();
    }
}
