//! How an S3-compatible store is reached: the usual `AWS_*` variables or a profile, checked, and how patient we are with it.
//!
//! In: `s3://bucket/prefix`, the environment, `~/.aws`. Out: a store, not yet talked to. Paths are `endpoint/bucket/key`, or
//! `bucket.host/key` with `AWS_VIRTUAL_HOSTED_STYLE_REQUEST=true`.

use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientConfigKey, RetryConfig};
use url::Url;

use super::aws_profile::Profile;
use super::waits::WaitReportingConnector;
use crate::{Error, Result};

/// Longer than a server needs to restart, shorter than a person waits who has mistyped an address.
const PATIENCE: Duration = Duration::from_secs(15);

/// The store of an `s3://` URL. An error of kind configuration says which variable is wrong.
pub fn store(location: &Url) -> Result<AmazonS3> {
    let bucket = location.host_str().unwrap_or_default();
    let telling = WaitReportingConnector { store: format!("s3://{bucket}"), patience: PATIENCE };
    let builder = AmazonS3Builder::from_env().with_url(location.as_str()).with_retry(retries());
    let builder = builder.with_http_connector(telling);
    let mut builder = with_credentials(builder).map_err(|error| error.at(location))?;
    // the more exact variable wins, as everywhere
    for key in [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint] {
        let Some(endpoint) = builder.get_config_value(&key) else { continue };
        let endpoint =
            checked_endpoint(&endpoint, is_on(&builder, AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)))?;
        if is_on(&builder, AmazonS3ConfigKey::VirtualHostedStyleRequest) {
            builder = builder.with_config(key, of_bucket(endpoint, location)?);
        }
        break;
    }
    builder.build().map_err(|e| Error::configuration(format!("{location}: {e}")))
}

/// With the credentials of the environment, else of a profile, else of the machine. An error says at once which are missing:
/// asking a machine that has none takes as long as a store that is away.
fn with_credentials(mut builder: AmazonS3Builder) -> Result<AmazonS3Builder> {
    use AmazonS3ConfigKey as Key;
    let has = |key: Key| builder.get_config_value(&key).is_some_and(|value| !value.is_empty());
    match (has(Key::AccessKeyId), has(Key::SecretAccessKey)) {
        (true, true) => return Ok(builder),
        (true, false) => return Err(half("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")),
        (false, true) => return Err(half("AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID")),
        (false, false) if is_on(&builder, Key::SkipSignature) => return Ok(builder),
        (false, false) => {}
    }
    let by_service = has(Key::WebIdentityTokenFile) && has(Key::RoleArn)
        || has(Key::ContainerCredentialsRelativeUri)
        || has(Key::ContainerCredentialsFullUri) && has(Key::ContainerAuthorizationTokenFile);
    let named = std::env::var("AWS_PROFILE").ok().filter(|name| !name.is_empty());
    if by_service && named.is_none() {
        return Ok(builder);
    }
    if let Some(profile) = Profile::find(named.as_deref())? {
        for (key, setting, wins) in [
            (Key::AccessKeyId, "aws_access_key_id", true),
            (Key::SecretAccessKey, "aws_secret_access_key", true),
            (Key::Token, "aws_session_token", true),
            (Key::Region, "region", false),
            (Key::Endpoint, "endpoint_url", false),
        ] {
            if let Some(value) = profile.get(setting)
                && (wins || builder.get_config_value(&key).is_none())
            {
                builder = builder.with_config(key, value);
            }
        }
        return Ok(builder);
    }
    if by_service || may_have_role(&builder) {
        return Ok(builder);
    }
    Err(Error::configuration(
        "there are no credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set, and ~/.aws/credentials has no profile; \
         set both, or AWS_PROFILE, or AWS_SKIP_SIGNATURE=true for a bucket that is open to everybody",
    ))
}

fn half(given: &str, missing: &str) -> Error {
    Error::configuration(format!("{given} is set, and {missing} is not; set both"))
}

/// Whether the machine may have a role with credentials: a machine of EC2, for stores of AWS, or where somebody says so.
fn may_have_role(builder: &AmazonS3Builder) -> bool {
    let value = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
    let endpoint = value(AmazonS3ConfigKey::S3Endpoint).or_else(|| value(AmazonS3ConfigKey::Endpoint));
    let is_of_aws = endpoint.is_none_or(|endpoint| endpoint.contains(".amazonaws.com"));
    let is_of_ec2 = || std::fs::read_to_string(VENDOR).is_ok_and(|vendor| vendor.trim() == "Amazon EC2");
    value(AmazonS3ConfigKey::MetadataEndpoint).is_some() || is_of_aws && is_of_ec2()
}

/// Where Linux says whose machine it is.
const VENDOR: &str = "/sys/devices/virtual/dmi/id/sys_vendor";

/// Every request is tried again until the patience ends; how often does not matter.
fn retries() -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(2), base: 2.0 };
    RetryConfig { backoff, max_retries: 100, retry_timeout: PATIENCE }
}

fn is_on(builder: &AmazonS3Builder, key: AmazonS3ConfigKey) -> bool {
    builder
        .get_config_value(&key)
        .is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.to_lowercase().as_str()))
}

/// Errors and logs name the endpoint, so it may hold nothing secret, and what is wrong with it is said without it.
fn checked_endpoint(endpoint: &str, allow_http: bool) -> Result<Url> {
    let url = Url::parse(endpoint).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    let url =
        url.ok_or_else(|| Error::configuration("AWS_ENDPOINT_URL is not a URL such as https://s3.example.com:9000"))?;
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() {
        return Err(Error::configuration(
            "AWS_ENDPOINT_URL holds a user, password or query; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead",
        ));
    }
    if url.scheme() == "http" && !allow_http {
        return Err(Error::configuration(format!(
            "AWS_ENDPOINT_URL {url} is not encrypted; use https://, or set AWS_ALLOW_HTTP=true where that is meant"
        )));
    }
    Ok(url)
}

/// The endpoint of the bucket itself, whether or not the variable names the bucket already.
fn of_bucket(mut endpoint: Url, lake: &Url) -> Result<String> {
    let (bucket, host) = (lake.host_str().unwrap_or_default(), endpoint.host_str().unwrap_or_default());
    if !host.starts_with(&format!("{bucket}.")) {
        let host = format!("{bucket}.{host}");
        endpoint
            .set_host(Some(&host))
            .map_err(|e| Error::configuration(format!("AWS_ENDPOINT_URL with {host}: {e}")))?;
    }
    Ok(endpoint.as_str().trim_end_matches('/').to_string())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::ErrorKind;

    #[test]
    fn an_endpoint_is_a_plain_url() {
        checked_endpoint("https://s3.example.com", false).unwrap();
        checked_endpoint("http://127.0.0.1:9000", true).unwrap();
        for wrong in ["s3.example.com", "localhost:9000", "ftp://x", "http://127.0.0.1:9000", "", "https://"] {
            assert_eq!(checked_endpoint(wrong, false).unwrap_err().kind(), ErrorKind::Configuration, "{wrong}");
        }
        for secret in ["https://me:hushhush@host", "https://hushhush@host", "https://host/?X-Amz-Signature=hushhush"] {
            let error = checked_endpoint(secret, true).unwrap_err().to_string();
            assert!(!error.contains("hushhush") && error.contains("AWS_ACCESS_KEY_ID"), "{error}");
        }
    }

    #[test]
    fn a_bucket_has_a_host_of_its_own_once() {
        let lake = Url::parse("s3://shop/lake/").unwrap();
        for endpoint in ["https://s3.example.com:9000", "https://shop.s3.example.com:9000/"] {
            let of_bucket = of_bucket(Url::parse(endpoint).unwrap(), &lake).unwrap();
            assert_eq!(of_bucket, "https://shop.s3.example.com:9000");
        }
    }
}
