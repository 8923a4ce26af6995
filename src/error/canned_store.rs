//! An S3 store for tests that answers all requests alike. What object_store makes of these answers is its own.

#![allow(clippy::unwrap_used)]

use std::fmt;

use async_trait::async_trait;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use object_store::{ClientOptions, RetryConfig};

/// How a request ends.
#[derive(Clone, Copy)]
pub(super) enum Ending {
    /// With this status and body.
    Answer(u16, &'static str),
    /// Without an answer.
    Silence(fn() -> HttpError),
}

impl fmt::Debug for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ending")
    }
}

impl HttpConnector for Ending {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(*self))
    }
}

#[async_trait]
impl HttpService for Ending {
    async fn call(&self, _: HttpRequest) -> Result<HttpResponse, HttpError> {
        match self {
            Self::Answer(status, body) => {
                let mut response = HttpResponse::new(HttpResponseBody::from(body.to_string()));
                *response.status_mut() = (*status).try_into().unwrap_or_default();
                Ok(response)
            }
            Self::Silence(error) => Err(error()),
        }
    }
}

/// The bucket `b` of such a store, which is asked once.
pub(super) fn store(ending: Ending) -> AmazonS3 {
    let builder = AmazonS3Builder::new().with_bucket_name("b").with_region("r").with_endpoint("http://store");
    let builder = builder.with_access_key_id("id").with_secret_access_key("key").with_allow_http(true);
    let builder = builder.with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    builder.with_http_connector(ending).build().unwrap()
}
