//! The credentials of a profile of AWS' command line: `~/.aws/credentials` and `~/.aws/config`, or the files that
//! `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name.
//!
//! Read are keys, a session token, a region and an endpoint. A profile that comes to its credentials in another way is an error
//! that names the way.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::{Error, Result};

/// Ways to credentials that a profile may name, and that are not gone.
const UNREAD: [&str; 6] =
    ["sso_session", "sso_start_url", "role_arn", "credential_process", "credential_source", "web_identity_token_file"];

/// What a profile says, by name.
#[derive(Debug, PartialEq, Eq)]
pub struct Profile(BTreeMap<String, String>);

impl Profile {
    /// The profile of this name, else `default`, which need not exist. An error of kind configuration where it has no keys.
    pub fn find(named: Option<&str>) -> Result<Option<Self>> {
        let credentials = text_of("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let config = text_of("AWS_CONFIG_FILE", "config")?;
        let name = named.unwrap_or("default");
        let profile = Self::read(name, &credentials, &config);
        if profile.0.is_empty() && named.is_some() {
            return Err(Error::configuration(format!(
                "AWS_PROFILE {name}: there is no such profile in ~/.aws/credentials and ~/.aws/config"
            )));
        }
        profile.checked(name, named.is_some())
    }

    /// What the files say of a profile; the first one where both say something.
    fn read(name: &str, credentials: &str, config: &str) -> Self {
        let in_config = if name == "default" { name.to_string() } else { format!("profile {name}") };
        let mut settings = section(config, &in_config);
        settings.extend(section(credentials, name));
        Self(settings)
    }

    /// Itself where it has keys; an error where it has another way to them, or was asked for by name and has none.
    fn checked(self, name: &str, is_named: bool) -> Result<Option<Self>> {
        match (self.get("aws_access_key_id"), self.get("aws_secret_access_key")) {
            (Some(_), Some(_)) => return Ok(Some(self)),
            (Some(_), None) => return Err(missing(name, "aws_secret_access_key")),
            (None, Some(_)) => return Err(missing(name, "aws_access_key_id")),
            (None, None) => {}
        }
        match UNREAD.iter().find(|way| self.get(way).is_some()) {
            Some(way) => Err(Error::configuration(format!(
                "AWS profile {name} gets its credentials by {way}, which is not read; put them into variables first: \
                 eval \"$(aws configure export-credentials --profile {name} --format env)\""
            ))),
            None if is_named => Err(missing(name, "aws_access_key_id and aws_secret_access_key")),
            None => Ok(None),
        }
    }

    /// A setting; None where there is none, or an empty one.
    pub fn get(&self, setting: &str) -> Option<&str> {
        self.0.get(setting).map(String::as_str).filter(|value| !value.is_empty())
    }
}

fn missing(name: &str, what: &str) -> Error {
    Error::configuration(format!(
        "AWS profile {name} has no {what}; add what is missing, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    ))
}

/// The text of a file that a variable names, else of one in `~/.aws`; empty where there is none.
fn text_of(variable: &str, name: &str) -> Result<String> {
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws").join(name));
    let Some(path) = std::env::var_os(variable).map(PathBuf::from).or_else(usual) else { return Ok(String::new()) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::configuration(format!("{}: {error}", path.display())).caused_by(error)),
    }
}

/// The settings of `[name]`. What is indented belongs to a setting, and is none.
fn section(text: &str, name: &str) -> BTreeMap<String, String> {
    let mut settings = BTreeMap::new();
    let mut is_own = false;
    for line in text.lines() {
        if let Some(head) = line.trim().strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            is_own = head.0.split_whitespace().eq(name.split_whitespace());
        } else if is_own
            && !line.starts_with([' ', '\t', '#', ';'])
            && let Some((setting, value)) = line.split_once('=')
        {
            settings.insert(setting.trim().to_lowercase(), value.trim().to_string());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    const CREDENTIALS: &str = "[default]\naws_access_key_id=A\naws_secret_access_key = b=c\n\n# [shop]\n[shop]\n\
                               aws_access_key_id = S\naws_secret_access_key = t\nregion = here\n[half]\naws_access_key_id = H\n";
    const CONFIG: &str = "[default]\nregion = eu-central-1\ns3 =\n  region = nowhere\n[profile shop]\nregion = there\n\
                          output = json\n[profile  staff]\nsso_session = corp\nregion = x\n[shop]\nregion = wrong\n";

    fn checked(name: &str) -> Result<Option<Profile>> {
        Profile::read(name, CREDENTIALS, CONFIG).checked(name, true)
    }

    #[test]
    fn a_profile_has_keys_and_a_region() {
        let profile = checked("default").unwrap().unwrap();
        let found =
            ["aws_access_key_id", "aws_secret_access_key", "region", "aws_session_token"].map(|s| profile.get(s));
        assert_eq!(found, [Some("A"), Some("b=c"), Some("eu-central-1"), None]);
        let shop = checked("shop").unwrap().unwrap();
        assert_eq!((shop.get("aws_access_key_id"), shop.get("region")), (Some("S"), Some("here")));
    }

    #[test]
    fn what_is_not_read_is_named() {
        for (name, says) in [
            ("staff", "sso_session, which is not read"),
            ("half", "has no aws_secret_access_key"),
            ("nobody", "has no aws_access_key_id and aws_secret_access_key"),
        ] {
            let error = checked(name).unwrap_err();
            assert!(error.kind() == ErrorKind::Configuration && error.to_string().contains(says), "{name}: {error}");
        }
        // nobody asked for it
        assert_eq!(Profile::read("default", "", "").checked("default", false).unwrap(), None);
    }
}
