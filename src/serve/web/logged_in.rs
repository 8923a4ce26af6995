//! Someone who is logged in, and what the next page tells him.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::serve::login_keys::LoginKey;
use crate::serve::users::Guest;

/// Someone who is logged in.
#[derive(Clone)]
pub(super) struct LoggedIn {
    /// Who it is.
    pub guest: Guest,
    pub(super) login_key: Arc<LoginKey<Notice>>,
}

/// What the next page says of the last form.
pub(super) type Notice = Mutex<Option<String>>;

impl LoggedIn {
    /// Says something on the next page.
    pub fn notice(&self, text: impl Into<String>) {
        *self.kept() = Some(text.into());
    }

    /// What is to be said.
    pub fn take_notice(&self) -> Option<String> {
        self.kept().take()
    }

    fn kept(&self) -> MutexGuard<'_, Option<String>> {
        self.login_key.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
