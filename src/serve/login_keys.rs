//! Login keys: a random key stands for a user who has proved the password, as a cookie or a bearer token.
//!
//! Invariant: a login key ends with a new password, with the user, and when it is not used for [`IDLE`]. The file of users is asked
//! each time, so that a change holds at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::failure::{Failure, Reason};
use super::users::{Guest, Users, random_key};
use crate::{Error, ErrorKind};

/// A login key that is not used so long is forgotten.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// Login keys that are kept; the one that was idle longest goes first.
const MOST: usize = 10_000;

/// A client that guesses passwords waits.
const PAUSE: Duration = Duration::from_millis(300);

/// Passwords are checked by so many threads: it is work by design.
static CHECKS: Semaphore = Semaphore::const_new(2);

/// The login keys of a door; with each goes a `T` of the door's own.
pub struct LoginKeys<T> {
    users: Users,
    given: Mutex<HashMap<String, Arc<LoginKey<T>>>>,
}

/// One login key.
pub struct LoginKey<T> {
    name: String,
    /// A new password has another salt.
    salt: Vec<u8>,
    used: Mutex<Instant>,
    /// What the door keeps with it.
    pub kept: T,
}

/// Whom a login key stands for, and the login key.
pub type GuestAndKey<T> = (Guest, Arc<LoginKey<T>>);

impl<T> LoginKey<T> {
    fn used(&self) -> MutexGuard<'_, Instant> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Default> LoginKeys<T> {
    /// No login keys.
    pub fn new(users: Users) -> Self {
        Self { users, given: Mutex::default() }
    }

    /// Who proves a password, with a new login key; None after a while where it is wrong.
    pub async fn prove(&self, name: &str, password: &str) -> Result<Option<(Guest, String)>, Failure> {
        let broke_off = |_| Failure::new(Reason::Engine(ErrorKind::Bug), "the login broke off");
        let checked = {
            let _turn = CHECKS.acquire().await;
            let (users, name, password) = (self.users.clone(), name.to_string(), password.to_string());
            // the salt first: a client that proves a password that is changed meanwhile has to do so again
            let check = move || Ok::<_, Error>((users.secret(&name)?.0, users.by_password(&name, &password)?));
            tokio::task::spawn_blocking(check).await.map_err(broke_off)??
        };
        let (salt, Some(guest)) = checked else {
            guessed().await;
            return Ok(None);
        };
        let key = self.give(&guest, salt)?;
        Ok(Some((guest, key)))
    }

    /// Whom a login key stands for.
    pub fn find(&self, key: &str) -> Result<Option<GuestAndKey<T>>, Failure> {
        let known = self.given().get(key).filter(|login_key| login_key.used().elapsed() < IDLE).cloned();
        let Some(login_key) = known else { return Ok(None) };
        let Some(guest) = self.users.guest(&login_key.name)? else { return Ok(None) };
        if self.users.secret(&login_key.name)?.0 != login_key.salt {
            return Ok(None);
        }
        *login_key.used() = Instant::now();
        Ok(Some((guest, login_key)))
    }

    /// Ends a login key.
    pub fn end(&self, key: &str) {
        self.given().remove(key);
    }

    fn give(&self, guest: &Guest, salt: Vec<u8>) -> Result<String, Failure> {
        let key = random_key()?;
        let mut given = self.given();
        given.retain(|_, login_key| login_key.used().elapsed() < IDLE);
        if given.len() >= MOST
            && let Some(oldest) =
                given.iter().min_by_key(|(_, login_key)| *login_key.used()).map(|(key, _)| key.clone())
        {
            given.remove(&oldest);
        }
        let used = Mutex::new(Instant::now());
        given.insert(key.clone(), Arc::new(LoginKey { name: guest.name.clone(), salt, used, kept: T::default() }));
        Ok(key)
    }

    fn given(&self) -> MutexGuard<'_, HashMap<String, Arc<LoginKey<T>>>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wrong password, token or login key is answered after this.
pub async fn guessed() {
    tokio::time::sleep(PAUSE).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::serve::users::Role;

    #[tokio::test]
    async fn a_pass_ends_with_its_password_and_its_user() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::at(folder.path().join("users.json"));
        users.add("ann", "correct horse", Role::Reader).unwrap();
        let login_keys = LoginKeys::<()>::new(users.clone());
        assert!(login_keys.prove("ann", "battery staple").await.unwrap().is_none());
        assert!(login_keys.prove("eve", "correct horse").await.unwrap().is_none());
        let enter = async |password: &str| login_keys.prove("ann", password).await.unwrap().unwrap().1;
        let found = |key: &str| login_keys.find(key).unwrap().map(|(guest, _)| guest.name);
        let (first, second) = (enter("correct horse").await, enter("correct horse").await);
        assert_ne!(first, second);
        assert_eq!(found(&first).as_deref(), Some("ann"));
        login_keys.end(&first);
        assert_eq!((found(&first), found(&second).as_deref()), (None, Some("ann")));
        users.add("ann", "battery staple", Role::Reader).unwrap();
        assert_eq!(found(&second), None);
        let third = enter("battery staple").await;
        users.remove("ann").unwrap();
        assert_eq!(found(&third), None);
        assert_eq!(found("made up"), None);
    }
}
