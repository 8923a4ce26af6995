//! Sessions of requests: a request of Flight knows no connection, and an engine is opened once for many of them.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::serve::failure::Failure;
use crate::serve::server::Server;
use crate::serve::session::{Opened, Session};
use crate::serve::users::Guest;

/// How long an engine waits for another request of its guest.
const LONGEST: Duration = Duration::from_secs(60);
/// Engines of one guest that wait.
const EACH: usize = 2;

/// What requests have opened, until the next ones come. Nobody's place is taken by it.
#[derive(Clone, Default)]
pub struct Sessions(Arc<Mutex<Vec<Waiting>>>);

struct Waiting {
    guest: Guest,
    since: Instant,
    opened: Opened,
}

/// The session of one request. What it has opened waits for the next one when it is dropped, unless a setting was changed.
pub struct InUse {
    session: Option<Session>,
    home: Sessions,
}

impl Sessions {
    /// A session for a guest, whose settings nobody has changed.
    pub fn take(&self, server: &Arc<Server>, guest: Guest) -> Result<InUse, Failure> {
        let admission = server.enter(guest)?;
        let waiting = self.with(|all| {
            let at = all.iter().rposition(|waiting| waiting.guest == admission.guest)?;
            Some(all.remove(at).opened)
        });
        let session = match waiting {
            Some(opened) => Session::with(admission, opened),
            None => Session::new(admission)?,
        };
        Ok(InUse { session: Some(session), home: self.clone() })
    }

    fn with<T>(&self, work: impl FnOnce(&mut Vec<Waiting>) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|waiting| waiting.since.elapsed() < LONGEST);
        work(&mut all)
    }
}

impl Deref for InUse {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session.as_ref().expect("it is taken only when it is dropped")
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let Some((guest, opened)) = self.session.take().and_then(Session::into_opened) else { return };
        self.home.with(|all| {
            if all.iter().filter(|waiting| waiting.guest == guest).count() < EACH {
                all.push(Waiting { guest, since: Instant::now(), opened });
            }
        });
    }
}
