//! Who may enter: a file of users, each with a salted password (SCRAM-SHA-256, RFC 5802) and tokens.
//!
//! The file never holds a password or a token, is readable by its owner only, and is replaced as a whole. What it holds of a
//! password lets nobody log in at another service, but is as good as the password here: it is to be kept like one.
//! The doors read it at each login, so that a change holds at once.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use pgwire::api::auth::sasl::scram::gen_salted_password;
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize};

use crate::{Error, Result, clock};

/// Rounds of PBKDF2. Postgres has 4,096 by default; clients do this work at each login.
pub const ITERATIONS: usize = 16_384;

/// Shortest password.
const SHORTEST: usize = 8;

/// How a token begins, so that a scanner for secrets can find one.
const TOKEN: &str = "rejoin_";

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Ask.
    Reader,
    /// Also change suites and sources, load files and rebuild, on the pages.
    Manager,
}

/// A user as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    /// Name, unique.
    pub name: String,
    /// What the user may do.
    pub role: Role,
    /// When the user was added.
    pub created: DateTime<Utc>,
    /// Base64.
    salt: String,
    /// Base64 of RFC 5802's SaltedPassword.
    salted_password: String,
    /// Names and hashes of tokens.
    #[serde(default)]
    pub tokens: Vec<Token>,
}

/// A token as the file has it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Token {
    /// What it is for.
    pub name: String,
    /// When it was made.
    pub created: DateTime<Utc>,
    /// SHA-256 of the token, in hexadecimal digits.
    sha256: String,
}

/// Who has proved to be a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// The user's name.
    pub name: String,
    /// What the user may do.
    pub role: Role,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct File {
    users: Vec<User>,
}

/// The file of users.
#[derive(Debug, Clone)]
pub struct Users {
    path: PathBuf,
}

impl Users {
    /// The users of a file, which need not exist yet.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// `rejoin/users.json` in the XDG folder of settings.
    pub fn default_path() -> Result<PathBuf> {
        let set = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
        let folder = set("XDG_CONFIG_HOME").filter(|p| p.is_absolute());
        let folder = folder.or_else(|| Some(set("HOME")?.join(".config")));
        let folder =
            folder.ok_or_else(|| Error::usage("neither XDG_CONFIG_HOME nor HOME is set; give --users FILE"))?;
        Ok(folder.join("rejoin/users.json"))
    }

    /// Where the users are kept.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// All users, by name.
    pub fn list(&self) -> Result<Vec<User>> {
        Ok(self.read()?.users)
    }

    /// Adds a user, or gives a known one another password and role; its tokens stay. True for a new one.
    pub fn add(&self, name: &str, password: &str, role: Role) -> Result<bool> {
        let fits = |c: char| c.is_alphanumeric() || "_-.@".contains(c);
        if name.is_empty() || name.len() > 63 || !name.chars().all(fits) {
            return Err(Error::usage(format!("user {name:?}: expected up to 63 letters, digits, or one of _-.@")));
        }
        if password.chars().count() < SHORTEST {
            return Err(Error::usage(format!("a password has at least {SHORTEST} characters")));
        }
        let mut salt = [0; 16];
        random(&mut salt)?;
        let salted = gen_salted_password(password, &salt, ITERATIONS);
        let (salt, salted_password) = (STANDARD.encode(salt), STANDARD.encode(salted));
        let mut file = self.read()?;
        let known = file.users.iter_mut().find(|u| u.name == name);
        let new = known.is_none();
        match known {
            Some(user) => {
                (user.salt, user.salted_password, user.role) = (salt, salted_password, role);
            }
            None => {
                let (name, created) = (name.to_string(), clock::now());
                file.users.push(User { name, role, created, salt, salted_password, tokens: vec![] });
                file.users.sort_by(|a, b| a.name.cmp(&b.name));
            }
        }
        self.write(&file)?;
        Ok(new)
    }

    /// Takes a user out.
    pub fn remove(&self, name: &str) -> Result<()> {
        let mut file = self.read()?;
        let before = file.users.len();
        file.users.retain(|u| u.name != name);
        if file.users.len() == before {
            return Err(self.missing(name, &file));
        }
        self.write(&file)
    }

    /// Makes a token, in place of a former one of that name. It is shown once and kept as a hash only.
    pub fn token(&self, name: &str, label: &str) -> Result<String> {
        let mut file = self.read()?;
        let Some(user) = file.users.iter_mut().find(|u| u.name == name) else { return Err(self.missing(name, &file)) };
        let token = format!("{TOKEN}{}", random_key()?);
        user.tokens.retain(|t| t.name != label);
        user.tokens.push(Token { name: label.to_string(), created: clock::now(), sha256: sha256(&token) });
        self.write(&file)?;
        Ok(token)
    }

    /// Whose password this is.
    pub fn by_password(&self, name: &str, password: &str) -> Result<Option<Guest>> {
        let (salt, salted) = self.secret(name)?;
        let given = gen_salted_password(password, &salt, ITERATIONS);
        if !same(&given, &salted) {
            return Ok(None);
        }
        self.guest(name)
    }

    /// Whose token this is.
    pub fn by_token(&self, token: &str) -> Result<Option<Guest>> {
        let hash = sha256(token);
        let file = self.read()?;
        let holds = |u: &&User| u.tokens.iter().any(|t| same(t.sha256.as_bytes(), hash.as_bytes()));
        Ok(file.users.iter().find(holds).map(|u| Guest { name: u.name.clone(), role: u.role }))
    }

    /// The user of a name, who has proved the password.
    pub fn guest(&self, name: &str) -> Result<Option<Guest>> {
        let file = self.read()?;
        Ok(file.users.iter().find(|u| u.name == name).map(|u| Guest { name: u.name.clone(), role: u.role }))
    }

    /// A user's salt and SaltedPassword. A name that is not known gets a salt of its own, always the same, and a password that
    /// nobody can know: a door does not tell who is known.
    pub fn secret(&self, name: &str) -> Result<(Vec<u8>, Vec<u8>)> {
        let file = self.read()?;
        if let Some(user) = file.users.iter().find(|u| u.name == name) {
            let decoded = |text: &str| {
                STANDARD.decode(text).map_err(|e| Error::configuration(format!("{}: {name}: {e}", self.path.display())))
            };
            return Ok((decoded(&user.salt)?, decoded(&user.salted_password)?));
        }
        let seed = file.users.first().map_or("", |u| u.salted_password.as_str());
        let salt = ring::digest::digest(&ring::digest::SHA256, format!("{seed}\0{name}").as_bytes());
        let mut unknown = vec![0; 32];
        random(&mut unknown)?;
        Ok((salt.as_ref()[..16].to_vec(), unknown))
    }

    fn missing(&self, name: &str, file: &File) -> Error {
        let hint = crate::error::did_you_mean(name, file.users.iter().map(|u| u.name.as_str()));
        Error::configuration(format!("there is no user {name} in {}{hint}", self.path.display()))
    }

    fn read(&self) -> Result<File> {
        let at = |e: &dyn std::fmt::Display| Error::configuration(format!("{}: {e}", self.path.display()));
        match std::fs::read(&self.path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| at(&e)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(File::default()),
            Err(error) => Err(at(&error)),
        }
    }

    fn write(&self, file: &File) -> Result<()> {
        let at = |e: std::io::Error| Error::configuration(format!("{}: {e}", self.path.display()));
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(at)?;
        // temporary files are private
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(at)?;
        let text = serde_json::to_string_pretty(file).map_err(|e| Error::bug(format!("users: {e}")))?;
        std::io::Write::write_all(&mut new, text.as_bytes()).map_err(at)?;
        new.as_file().sync_all().map_err(at)?;
        new.persist(&self.path).map_err(|e| at(e.error))?;
        Ok(())
    }
}

/// 32 random bytes as text, that nobody guesses.
pub fn random_key() -> Result<String> {
    let mut bytes = [0; 32];
    random(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

fn random(bytes: &mut [u8]) -> Result<()> {
    SystemRandom::new().fill(bytes).map_err(|_| Error::unavailable("the system gives no random numbers"))
}

fn sha256(text: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    hash.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Compares without telling by its time how much is alike.
fn same(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |different, (x, y)| different | (x ^ y)) == 0
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn users_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::at(folder.path().join("deep/users.json"));
        assert!(users.list().unwrap().is_empty());
        assert!(users.add("ann", "correct horse", Role::Reader).unwrap());
        assert!(users.add("bob", "battery staple", Role::Manager).unwrap());
        let ann = Guest { name: "ann".into(), role: Role::Reader };
        assert_eq!(users.by_password("ann", "correct horse").unwrap(), Some(ann.clone()));
        assert_eq!(users.by_password("ann", "battery staple").unwrap(), None);
        assert_eq!(users.by_password("eve", "battery staple").unwrap(), None);
        let token = users.token("ann", "laptop").unwrap();
        assert_eq!(users.by_token(&token).unwrap(), Some(ann.clone()));
        let second = users.token("ann", "laptop").unwrap();
        assert_eq!((users.by_token(&token).unwrap(), users.by_token(&second).unwrap()), (None, Some(ann.clone())));
        // another password leaves the tokens
        assert!(!users.add("ann", "hunter2 hunter2", Role::Reader).unwrap());
        assert_eq!(users.by_password("ann", "correct horse").unwrap(), None);
        assert_eq!(users.by_token(&second).unwrap(), Some(ann));
        users.remove("ann").unwrap();
        assert_eq!(users.by_token(&second).unwrap(), None);
        assert!(users.remove("bbo").unwrap_err().to_string().contains("did you mean bob?"));
        let text = std::fs::read_to_string(users.path()).unwrap();
        assert!(!text.contains("battery") && !text.contains(TOKEN));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(users.path()).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn names_and_passwords_are_checked() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::at(folder.path().join("users.json"));
        for (name, password) in [("", "long enough"), ("a b", "long enough"), ("a\0", "long enough"), ("ann", "short")]
        {
            assert!(users.add(name, password, Role::Reader).is_err(), "{name:?}");
        }
        std::fs::write(users.path(), "{").unwrap();
        assert!(users.list().unwrap_err().to_string().contains("users.json"));
    }

    #[test]
    fn a_name_that_is_not_known_has_always_the_same_salt() {
        let folder = tempfile::tempdir().unwrap();
        let users = Users::at(folder.path().join("users.json"));
        users.add("ann", "correct horse", Role::Reader).unwrap();
        let (first, one) = users.secret("eve").unwrap();
        let (second, other) = users.secret("eve").unwrap();
        assert_eq!(first, second);
        assert_ne!(one, other);
        assert_ne!(first, users.secret("mal").unwrap().0);
    }
}
