//! What each request must be (of this host, of a page of ours, of someone who is logged in) and what each answer tells browsers.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};

use super::layout::{Problem, link, plain, problem_page};
use super::{ASSISTANTS, Web, login};
use crate::serve::login_keys::guessed;
use crate::serve::users::Role;

/// No script and no style but ours, no frames, and forms go nowhere else. Charts place their parts by style attributes.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Forms that change nothing but what the user sees.
const FOR_READERS: &[&str] = &["/sql", "/logout"];

/// Tells browsers how to treat the answer.
pub(super) async fn policy(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // without a referrer browsers say `Origin: null`, which could be anybody
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // answers hold data; files say for themselves that they may be kept
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Refuses a foreign name for this machine: a page elsewhere could have bound its own name to our address.
pub(super) async fn own_host(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let host = host(&request).map(str::to_string).unwrap_or_default();
    if web.loopback && !is_local(&host) {
        let message = format!("the host is {host:?}; this page is at localhost or 127.0.0.1");
        return problem_page(Problem::new(StatusCode::MISDIRECTED_REQUEST, message).into_response(), None);
    }
    // assistants read no pages
    let of_program = request.uri().path() == ASSISTANTS;
    let answer = next.run(request).await;
    if of_program { plain(answer) } else { problem_page(answer, None) }
}

/// Refuses what other sites' pages send. The cookie stays at home then, too.
pub(super) async fn own_pages(request: Request, next: Next) -> Response {
    if !reads(request.method()) && !is_ours(request.headers(), host(&request).unwrap_or_default()) {
        let message = "this form came from another site; open the page here and send it again";
        return Problem::new(StatusCode::FORBIDDEN, message).into_response();
    }
    next.run(request).await
}

/// Lets in who is logged in, readers to what changes nothing.
pub(super) async fn members(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let logged_in = match login::logged_in(&web, request.headers()) {
        Ok(logged_in) => logged_in,
        Err(failure) => return Problem::from(failure).into_response(),
    };
    let reads = reads(request.method());
    let Some(logged_in) = logged_in else {
        if !reads {
            return Problem::new(StatusCode::UNAUTHORIZED, "log in first").into_response();
        }
        let wanted = request.uri().path_and_query().map_or("/", |p| p.as_str());
        return Redirect::to(&link("/login", &[("next", wanted)])).into_response();
    };
    if !reads && logged_in.guest.role != Role::Manager && !FOR_READERS.contains(&request.uri().path()) {
        let message = format!("{} may read only; a manager may change this", logged_in.guest.name);
        return problem_page(Problem::new(StatusCode::FORBIDDEN, message).into_response(), Some(&logged_in));
    }
    if !reads {
        tracing::info!(user = logged_in.guest.name, path = request.uri().path(), "a form");
    }
    request.extensions_mut().insert(logged_in.clone());
    problem_page(next.run(request).await, Some(&logged_in))
}

/// Lets in whose token a request bears, and says who it is.
pub(super) async fn with_token(State(web): State<Arc<Web>>, mut request: Request, next: Next) -> Response {
    let guest = match bearer(request.headers()) {
        Some(token) => web.server.users.by_token(token),
        None => Ok(None),
    };
    match guest {
        Ok(Some(guest)) => {
            request.extensions_mut().insert(guest);
            next.run(request).await
        }
        Ok(None) => token_needed().await,
        Err(error) => Problem::from(error).into_response(),
    }
}

/// The token that a request bears.
pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (kind, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    kind.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// The answer to an unknown user, after a while.
pub(super) async fn token_needed() -> Response {
    guessed().await;
    let message = "a user's token is needed: rejoin user token NAME, sent as Authorization: Bearer TOKEN";
    let mut refused = Problem::new(StatusCode::UNAUTHORIZED, message).into_response();
    refused.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    refused
}

fn reads(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// HTTP/2 has it in the address.
fn host(request: &Request) -> Option<&str> {
    let header = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    request.uri().authority().map(|a| a.as_str()).or(header)
}

fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

/// What the browser says of the page that sends this. Who says nothing is no browser, and has no cookie of one.
fn is_ours(headers: &HeaderMap, host: &str) -> bool {
    let said = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let of_site = said("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let of_origin = said("origin").is_none_or(|origin| {
        let authority = origin.split_once("://").map(|(_, authority)| authority);
        authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
    });
    of_site && of_origin
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for own in ["localhost", "localhost:8080", "127.0.0.1:1", "[::1]", "[::1]:80", "LOCALHOST:1"] {
            assert!(is_local(own), "{own}");
        }
        for foreign in
            ["", "evil.example", "localhost.evil.example:80", "127.0.0.1.evil", "[::2]", "localhost:x", "::1"]
        {
            assert!(!is_local(foreign), "{foreign}");
        }
    }

    #[test]
    fn pages_of_this_door() {
        let ours = |said: &[(&'static str, &'static str)]| {
            let headers = said.iter().map(|(n, v)| (header::HeaderName::from_static(n), HeaderValue::from_static(v)));
            is_ours(&headers.collect(), "localhost:8080")
        };
        assert!(ours(&[]));
        assert!(ours(&[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:8080")]));
        assert!(ours(&[("origin", "https://LOCALHOST:8080")]));
        for foreign in [
            &[("sec-fetch-site", "cross-site")] as &[_],
            &[("sec-fetch-site", "same-site")],
            &[("origin", "null")],
            &[("origin", "http://localhost:8081")],
            &[("origin", "http://localhost:8080.evil.example")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
        ] {
            assert!(!ours(foreign), "{foreign:?}");
        }
    }
}
