//! Who sends a request: a bearer token of `rejoin user token`, a user's password, or the token that a handshake gave for one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{NO_PAD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use ring::rand::{SecureRandom, SystemRandom};
use tonic::metadata::MetadataMap;

use crate::serve::failure::{Failure, Reason};
use crate::serve::house::House;
use crate::serve::users::Guest;

/// A token of a handshake that is not used so long is forgotten.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// Tokens of handshakes that are kept; the one that was idle longest goes first.
const MOST: usize = 10_000;

/// Whoever guesses waits.
const PAUSE: Duration = Duration::from_millis(300);

/// Arrow's Go clients do not pad.
const BASIC: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Knows whom the tokens of handshakes stand for.
pub struct Entrance {
    house: Arc<House>,
    given: Mutex<HashMap<String, (String, Instant)>>,
}

impl Entrance {
    /// An entrance that has given no token.
    pub fn new(house: Arc<House>) -> Self {
        Self { house, given: Mutex::default() }
    }

    /// Who sends this.
    pub async fn guest(&self, metadata: &MetadataMap) -> Result<Guest, Failure> {
        let header = metadata.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, value) = header.split_once(' ').unwrap_or((header, ""));
        let found = if scheme.eq_ignore_ascii_case("bearer") {
            self.by_token(value.trim())?
        } else if scheme.eq_ignore_ascii_case("basic") {
            self.by_password(value.trim())?
        } else {
            return Err(unknown("a bearer token or a user and password is needed"));
        };
        match found {
            Some(guest) => Ok(guest),
            None => {
                tokio::time::sleep(PAUSE).await;
                Err(unknown("no such user, or a wrong password or token"))
            }
        }
    }

    /// A token that stands for a guest as long as it is used and the user is there.
    pub fn give(&self, guest: &Guest) -> Result<String, Failure> {
        let mut bytes = [0; 32];
        let random = SystemRandom::new().fill(&mut bytes);
        random.map_err(|_| crate::Error::unavailable("the system gives no random numbers"))?;
        let token = URL_SAFE_NO_PAD.encode(bytes);
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.retain(|_, (_, used)| used.elapsed() < IDLE);
        if given.len() >= MOST
            && let Some(oldest) = given.iter().min_by_key(|(_, (_, used))| *used).map(|(token, _)| token.clone())
        {
            given.remove(&oldest);
        }
        given.insert(token.clone(), (guest.name.clone(), Instant::now()));
        Ok(token)
    }

    fn by_token(&self, token: &str) -> Result<Option<Guest>, Failure> {
        let name = {
            let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
            given.get_mut(token).filter(|(_, used)| used.elapsed() < IDLE).map(|(name, used)| {
                *used = Instant::now();
                name.clone()
            })
        };
        Ok(match name {
            Some(name) => self.house.users.guest(&name)?,
            None => self.house.users.by_token(token)?,
        })
    }

    fn by_password(&self, encoded: &str) -> Result<Option<Guest>, Failure> {
        let decoded = BASIC.decode(encoded).ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some((name, password)) = decoded.as_deref().and_then(|text| text.split_once(':')) else { return Ok(None) };
        Ok(self.house.users.by_password(name, password)?)
    }
}

fn unknown(message: &str) -> Failure {
    Failure::new(Reason::Unknown, message)
}
