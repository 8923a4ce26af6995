//! Bodies are sent: one request each, tried again while the server may not have got it, under a key that is the same each time.
//!
//! The token is known to this file alone. It stands in no error and no log; neither does what a server answers, which may repeat
//! what it was sent, nor the path of the address, which may be a secret of its own. Nobody is sent elsewhere by an answer: a
//! page that a redirect ends on has taken nothing, and another host is not to see conversions.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use bytes::Bytes;
use reqwest::Client;
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::{Error, Result};

/// How often a request is made: for about a minute, after which a limit of requests a minute has room again.
const TRIES: u32 = 9;
/// The wait after the first try; after each further one it is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);
/// The longest wait that a server may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// How long a server may take to answer, and to be reached.
const ANSWER: Duration = Duration::from_secs(60);
const CONNECTION: Duration = Duration::from_secs(10);

/// Sends bodies to one address.
#[derive(Clone, Debug)]
pub struct Post {
    client: Client,
    url: Url,
    token: Option<HeaderValue>,
}

/// What came of one try.
enum Attempt {
    Accepted,
    /// It may be tried again, after so long if the server says so.
    Later(String, Option<Duration>),
    Refused(String),
}

impl Post {
    /// To an address: `https`, or this machine. `token` goes with each request as a bearer's.
    pub fn to(address: &str, token: Option<&str>) -> Result<Self> {
        // without the words themselves: they may be secret
        let url = Url::parse(address).ok().filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| Error::usage("--post: expected an address such as https://example.com/events"))?;
        if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
            return Err(Error::usage(
                "--post: the address holds a user, password or query; give the token as REJOIN_EXPORT_TOKEN",
            ));
        }
        let is_here = match url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        };
        if url.scheme() == "http" && !is_here {
            return Err(Error::usage("--post: the address is not encrypted; use https://"));
        }
        let token = match token {
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .map_err(|_| Error::usage("REJOIN_EXPORT_TOKEN holds a character that no token has"))?;
                value.set_sensitive(true);
                Some(value)
            }
            None => None,
        };
        let client = Client::builder()
            .user_agent(concat!("rejoin/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .https_only(!is_here)
            .timeout(ANSWER)
            .connect_timeout(CONNECTION)
            .build()
            .map_err(|e| Error::configuration(format!("--post: {e}")))?;
        Ok(Self { client, url, token })
    }

    /// Sends a body. An error of kind `Unavailable` where the server could not take it after some tries, and of kind
    /// `Configuration` where it will not.
    pub async fn send(&self, body: Bytes, content_type: &'static str, key: &str) -> Result<()> {
        let server = self.url.origin().ascii_serialization();
        let mut tries = 0;
        loop {
            tries += 1;
            let (why, wait) = match self.try_once(body.clone(), content_type, key).await {
                Attempt::Accepted => return Ok(()),
                Attempt::Refused(why) => return Err(Error::configuration(format!("{server}: {why}"))),
                Attempt::Later(why, wait) => (why, wait),
            };
            if tries == TRIES {
                return Err(Error::unavailable(format!("{server}: {why}, {tries} times; try again later")));
            }
            tracing::debug!(server, tries, why, "a body is sent again");
            let wait = wait.unwrap_or(FIRST_WAIT * (1 << (tries - 1)));
            tokio::time::sleep(wait.min(LONGEST_WAIT)).await;
        }
    }

    async fn try_once(&self, body: Bytes, content_type: &'static str, key: &str) -> Attempt {
        let mut request = self
            .client
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, content_type)
            .header(header::ACCEPT, "application/json")
            .header("idempotency-key", key)
            .body(body);
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, token.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => {
                let what = if error.is_connect() {
                    "it cannot be reached"
                } else if error.is_timeout() {
                    "it did not answer in time"
                } else {
                    "the connection ended before an answer"
                };
                return Attempt::Later(what.into(), None);
            }
        };
        let status = response.status();
        let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()?.trim().parse().ok());
        let is_busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
        match status {
            status if status.is_success() => Attempt::Accepted,
            status if is_busy || status.is_server_error() => {
                Attempt::Later(format!("it answered {status}"), wait.map(Duration::from_secs))
            }
            status if status.is_redirection() => Attempt::Refused(format!(
                "it answered {status}, which is not followed; give the address that takes events"
            )),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                Attempt::Refused(format!("it answered {status}; check REJOIN_EXPORT_TOKEN and what it allows"))
            }
            status => {
                Attempt::Refused(format!("it answered {status}; look at the files of the run (rejoin export show)"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_address_holds_no_secret_and_is_encrypted() {
        for right in
            ["https://example.com/v1/events:ingest", "http://127.0.0.1:9/x", "http://localhost/x", "http://[::1]:8/"]
        {
            Post::to(right, Some("hushhush")).unwrap();
        }
        for wrong in [
            "example.com",
            "http://example.com/",
            "https://u:hushhush@e.com/",
            "https://e.com/?t=hushhush",
            "ftp://e.com",
        ] {
            let error = Post::to(wrong, None).unwrap_err().to_string();
            assert!(error.starts_with("--post") && !error.contains("hushhush"), "{error}");
        }
        let post = Post::to("https://example.com/", Some("hushhush")).unwrap();
        assert!(!format!("{post:?}").contains("hushhush"), "{post:?}");
        assert!(Post::to("https://example.com/", Some("a\nb")).is_err());
    }
}
