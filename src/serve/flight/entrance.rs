//! Who sends a request: a bearer token of `rejoin user token`, a user's password, or the token that a handshake gave for one.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::NO_PAD;
use base64::engine::{DecodePaddingMode, GeneralPurpose};
use tonic::Extensions;
use tonic::metadata::MetadataMap;

use super::arrivals::Entered;
use crate::serve::failure::{Failure, Reason};
use crate::serve::login_keys::{LoginKeys, guessed};
use crate::serve::users::{Guest, Users};

/// Arrow's Go clients do not pad.
const BASIC: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, NO_PAD.with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// Knows whom the tokens of handshakes stand for.
pub struct Entrance {
    users: Users,
    login_keys: LoginKeys<()>,
}

impl Entrance {
    /// An entrance that has given no token.
    pub fn new(users: Users) -> Self {
        Self { login_keys: LoginKeys::new(users.clone()), users }
    }

    /// Who sends a request with this, and the token of a password that came with it. The request's connection may stay then.
    pub async fn guest_and_token(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<(Guest, Option<String>), Failure> {
        let known = self.known(metadata).await?;
        if let Some(entered) = extensions.get::<Entered>() {
            entered.note();
        }
        Ok(known)
    }

    async fn known(&self, metadata: &MetadataMap) -> Result<(Guest, Option<String>), Failure> {
        let header = metadata.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, value) = header.split_once(' ').unwrap_or((header, ""));
        let wrong = || unknown("no such user, or a wrong password or token");
        if scheme.eq_ignore_ascii_case("basic") {
            let Some((name, password)) = name_and_password(value.trim()) else { return Err(wrong()) };
            let (guest, token) = self.login_keys.prove(&name, &password).await?.ok_or_else(wrong)?;
            return Ok((guest, Some(token)));
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(unknown("a bearer token or a user and password is needed"));
        }
        let found = match self.login_keys.find(value.trim())? {
            Some((guest, _)) => Some(guest),
            None => self.users.by_token(value.trim())?,
        };
        match found {
            Some(guest) => Ok((guest, None)),
            None => {
                guessed().await;
                Err(wrong())
            }
        }
    }

    /// Who sends a request with this.
    pub async fn guest(&self, metadata: &MetadataMap, extensions: &Extensions) -> Result<Guest, Failure> {
        Ok(self.guest_and_token(metadata, extensions).await?.0)
    }
}

fn name_and_password(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(BASIC.decode(encoded).ok()?).ok()?;
    let (name, password) = text.split_once(':')?;
    Some((name.to_string(), password.to_string()))
}

fn unknown(message: &str) -> Failure {
    Failure::new(Reason::Unknown, message)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::serve::users::Role;

    #[tokio::test]
    async fn a_connection_stays_for_who_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::at(folder.path().join("users.json"));
        users.add("ann", "correct horse", Role::Reader).unwrap();
        let entrance = Entrance::new(users);
        // of ann, with a wrong password and the right one
        let wrong = "Basic YW5uOmJhdHRlcnkgc3RhcGxl";
        let right = "Basic YW5uOmNvcnJlY3QgaG9yc2U=";
        for (header, is_known) in [("", false), ("Bearer none", false), (wrong, false), (right, true)] {
            let (mut metadata, mut extensions, entered) = (MetadataMap::new(), Extensions::new(), Entered::default());
            metadata.insert("authorization", header.parse().unwrap());
            extensions.insert(entered.clone());
            let guest = entrance.guest(&metadata, &extensions).await;
            assert_eq!((guest.is_ok(), entered.is_noted()), (is_known, is_known), "{header}");
        }
    }
}
