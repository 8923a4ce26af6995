//! A request to a store that failed: what the store answers, or why it does not, and what to do about it, for a person.

use object_store::client::HttpError;

use super::causes::causes;
use super::library_words::{FailedRequest, Outcome, is_no_list, is_unknown_host};

/// What an error of a store says, and what to do about it.
pub(super) fn describe(error: &object_store::Error) -> String {
    let text = error.to_string();
    let reason = causes(error).last().map(ToString::to_string).unwrap_or_default();
    store_says(&text, &reason) + &next_step(error, &text, &reason)
}

/// What an error of a store says, for a person: what it answers, or why it does not, and what was asked. `reason` is what is
/// behind it all. Answers are XML, of which the code and the message are kept.
pub(super) fn store_says(text: &str, reason: &str) -> String {
    let Some(request) = FailedRequest::read(text) else { return without_xml(text) };
    let says = match request.outcome {
        Outcome::Answer(_, answer) => format!("the store answers {}", without_xml(answer)),
        Outcome::Silence => format!("the store does not answer: {}", without_xml(reason)),
        Outcome::Redirection(came) | Outcome::Other(came) => format!("the store: {}", without_xml(came)),
    };
    let took = request.seconds.filter(|s| *s >= 1.0).map(|s| format!(", tried for {s:.0} s")).unwrap_or_default();
    format!("{says} ({} {}{took})", request.method, request.url)
}

/// Longest part of an answer that is shown, characters.
const TOLD: usize = 500;

/// A text of which the XML, or a page of a proxy, is what its `Code` and `Message` say; in one line, and not long.
fn without_xml(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    code_and_message(&line).chars().take(TOLD).collect()
}

fn code_and_message(text: &str) -> String {
    let Some(at) = text.find("<?xml").or_else(|| text.find("<Error")).or_else(|| text.find("<html")) else {
        return text.trim_end().trim_end_matches(':').to_string();
    };
    let part = |name: &str| element(&text[at..], name).map(|part| part.trim_end_matches('.'));
    let before = text[..at].trim_end().trim_end_matches(':');
    let code = match (part("Code"), part("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_string(),
        (None, _) => return before.to_string(),
    };
    if before.is_empty() { code } else { format!("{before}, {code}") }
}

/// What an element of an answer of S3 holds, which is XML.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let rest = xml.split_once(&format!("<{name}>"))?.1;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// What to do about an error of a store: the code or the status of its answer says it, or, where none came, the reason for that.
fn next_step(error: &object_store::Error, text: &str, reason: &str) -> String {
    let request = FailedRequest::read(text);
    let (code, region) = (element(text, "Code"), element(text, "Region"));
    let status = match (error, request.as_ref().map(|request| &request.outcome)) {
        (object_store::Error::PermissionDenied { .. }, _) => Some(403),
        (object_store::Error::Unauthenticated { .. }, _) => Some(401),
        (_, Some(Outcome::Answer(status, _))) => *status,
        _ => None,
    };
    let is_redirected = matches!(request, Some(FailedRequest { outcome: Outcome::Redirection(_), .. }));
    let asks_for_a_role = request.as_ref().is_some_and(|request| request.url.starts_with("http://169.254."));
    let in_another_region = match code {
        Some("AuthorizationHeaderMalformed") => region.is_some(),
        Some("PermanentRedirect" | "IllegalLocationConstraintException") => true,
        _ => is_redirected,
    };
    let is_silent = causes(error).any(|e| e.is::<HttpError>());
    let step = match (code, status) {
        (Some("RequestTimeTooSkewed"), _) => {
            "; the clock of this machine is wrong, and requests are signed with their time: set the clock"
        }
        _ if in_another_region => {
            return match region {
                Some(region) => format!("; the bucket is in another region: set AWS_REGION={region}"),
                None => "; the bucket is in another region: set AWS_REGION to it".to_string(),
            };
        }
        (Some("ExpiredToken" | "ExpiredTokenException"), _) => {
            "; the credentials are over: get new ones, with their AWS_SESSION_TOKEN"
        }
        (_, Some(401 | 403)) => "; check the credentials (AWS_ACCESS_KEY_ID and others) and what they allow",
        _ if asks_for_a_role => {
            "; no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run where the machine has a role"
        }
        (Some("NoSuchBucket"), _) => {
            let name = element(text, "BucketName").unwrap_or("NAME");
            return format!("; name another bucket (aws s3 ls lists them), or make this one: aws s3 mb s3://{name}");
        }
        _ if is_no_list(text) => "; is AWS_ENDPOINT_URL the address of an S3 store?",
        (_, Some(429 | 500 | 502 | 503 | 504)) => {
            "; the store is busy or down: try again later, or ask its administrator"
        }
        _ if is_silent && is_unknown_host(reason) => {
            "; there is no such host: check AWS_ENDPOINT_URL and the network's DNS"
        }
        _ if is_silent && causes(error).any(|e| e.is::<rustls::Error>()) => {
            "; TLS failed: does AWS_ENDPOINT_URL speak it (http:// or https://), with a certificate that this machine trusts \
             (SSL_CERT_FILE)?"
        }
        _ if is_silent => "; check AWS_ENDPOINT_URL and the network, then run `rejoin doctor`",
        _ => "",
    };
    step.to_string()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::io;
    use std::net::ToSocketAddrs;

    use object_store::client::HttpErrorKind;
    use object_store::path::Path;
    use object_store::{ObjectStore, ObjectStoreExt};

    use super::*;
    use crate::error::canned_store::{Ending, store};

    fn silence(reason: io::Error) -> HttpError {
        HttpError::new(HttpErrorKind::Connect, reason)
    }

    fn no_host() -> HttpError {
        let host = format!("{}.invalid", "x".repeat(64));
        silence((host.as_str(), 80).to_socket_addrs().unwrap_err())
    }

    fn no_trust() -> HttpError {
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::UnknownIssuer);
        silence(io::Error::other(io::Error::new(io::ErrorKind::InvalidData, certificate)))
    }

    #[tokio::test]
    async fn what_to_do_next() {
        let refused = || silence(io::ErrorKind::ConnectionRefused.into());
        for (ending, next) in [
            (Ending::Answer(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>"), "set the clock"),
            (
                Ending::Answer(
                    400,
                    "<Error><Code>AuthorizationHeaderMalformed</Code><Message>the region 'us-east-1' is wrong</Message>\
                     <Region>eu-central-1</Region></Error>",
                ),
                "set AWS_REGION=eu-central-1",
            ),
            (Ending::Answer(301, ""), "AWS_REGION"),
            (Ending::Answer(400, "<Error><Code>ExpiredToken</Code></Error>"), "AWS_SESSION_TOKEN"),
            (Ending::Answer(403, "<Error><Code>SignatureDoesNotMatch</Code></Error>"), "check the credentials"),
            (Ending::Answer(401, ""), "check the credentials"),
            (Ending::Answer(404, "<Error><Code>NoSuchBucket</Code></Error>"), "aws s3 mb s3://NAME"),
            (
                Ending::Answer(404, "<Error><Code>NoSuchBucket</Code><BucketName>drop</BucketName></Error>"),
                "make this one: aws s3 mb s3://drop",
            ),
            (Ending::Answer(503, "<Error><Code>SlowDown</Code></Error>"), "later"),
            (Ending::Silence(refused), "rejoin doctor"),
            (Ending::Silence(no_host), "DNS"),
            (Ending::Silence(no_trust), "SSL_CERT_FILE"),
        ] {
            let store = store(ending);
            let got = store.get(&Path::from("x")).await.map(drop).unwrap_err();
            let listed = store.list_with_delimiter(None).await.map(drop).unwrap_err();
            for said in [describe(&got), describe(&listed)] {
                assert!(said.rsplit_once("; ").is_some_and(|(_, step)| step.contains(next)), "{said}");
                assert!(!said.contains('<') && said.contains("(GET http://store/b"), "{said}");
            }
        }
        let page = store(Ending::Answer(200, "<html><b></html>")).list_with_delimiter(None).await.unwrap_err();
        assert!(describe(&page).ends_with("is AWS_ENDPOINT_URL the address of an S3 store?"), "{page}");
    }

    #[test]
    fn what_it_answers() {
        let asked = "Generic S3 error: Error performing list request: Error performing GET http://host:9/b?prefix=l in";
        let tried = "15.006348704s, after 23 retries, max_retries: 100, retry_timeout: 15s  -";
        let status = "Server returned non-2xx status code:";
        let xml = "<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>It is not there.</Message></Error>";
        for (text, expected) in [
            (
                format!("{asked} {tried} HTTP error: error sending request"),
                "the store does not answer: Connection refused (GET http://host:9/b, tried for 15 s)",
            ),
            (
                format!("{asked} 130.910511ms, after 1 retries  - {status} 404 Not Found: {xml}"),
                "the store answers 404 Not Found, NoSuchBucket: It is not there (GET http://host:9/b)",
            ),
            (
                format!("{asked} 3.2s - Server returned error response: {xml}"),
                "the store answers NoSuchBucket: It is not there (GET http://host:9/b, tried for 3 s)",
            ),
            (
                format!("{asked} 1ms - {status} 502 Bad Gateway: <html><h1>nginx</h1></html>"),
                "the store answers 502 Bad Gateway (GET http://host:9/b)",
            ),
            ("Generic S3 error: Got invalid list response".into(), "Generic S3 error: Got invalid list response"),
        ] {
            assert_eq!(store_says(&text, "Connection refused"), expected);
        }
    }
}
