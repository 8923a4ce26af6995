//! Users come in with their password and leave again. A cookie is their login key.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use maud::html;
use serde::Deserialize;
use tokio::time::timeout;

use super::Web;
use super::layout::{Page, Problem};
use super::logged_in::LoggedIn;
use crate::serve::failure::Failure;
use crate::serve::users::Role;

/// The form of a login is there after this time: strangers hold no place by sending it for ever.
const FORM: Duration = Duration::from_secs(30);

/// Who sends a request, when logged in.
pub(super) fn logged_in(web: &Web, headers: &HeaderMap) -> Result<Option<LoggedIn>, Failure> {
    let Some(key) = cookie(web, headers) else { return Ok(None) };
    Ok(web.login_keys.find(key)?.map(|(guest, login_key)| LoggedIn { guest, login_key }))
}

/// The cookie's name; with the prefix browsers take it from this host by TLS only.
fn cookie_name(web: &Web) -> &'static str {
    if web.secure { "__Host-rejoin" } else { "rejoin" }
}

fn cookie<'a>(web: &Web, headers: &'a HeaderMap) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == cookie_name(web)).map(|(_, value)| value)
}

fn set_cookie(web: &Web, value: &str, more: &str) -> String {
    let secure = if web.secure { "; Secure" } else { "" };
    format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}", cookie_name(web))
}

#[derive(Deserialize)]
pub(super) struct LoginQuery {
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(super) struct Credentials {
    user: String,
    password: String,
    #[serde(default)]
    next: String,
}

/// The page that asks for the password.
pub(super) async fn show(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    Query(wanted): Query<LoginQuery>,
) -> Result<Response, Problem> {
    let next = local(&wanted.next);
    if let Some(logged_in) = logged_in(&web, &headers)? {
        return Ok(Redirect::to(start(next, logged_in.guest.role)).into_response());
    }
    // the cookie does not come along from another site; asked for again by a page of ours, it does
    let from_afar = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    if from_afar && cookie(&web, &headers).is_none() {
        let body = html! { p { a href=(next) { "Go on to the page" } } };
        let page = Page::new("One moment", "").show(None, body);
        return Ok(([(header::REFRESH, format!("0; url={next}"))], page).into_response());
    }
    Ok(form("", next, "").into_response())
}

/// Checks the password.
pub(super) async fn enter(
    State(web): State<Arc<Web>>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    let Ok(sent) = timeout(FORM, Form::<Credentials>::from_request(request, &())).await else {
        return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the form did not come whole; send it again"));
    };
    let Credentials { user, password, next } = match sent {
        Ok(Form(credentials)) => credentials,
        Err(refused) => return Ok(refused.into_response()),
    };
    let next = local(&next);
    let Some((guest, key)) = web.login_keys.prove(&user, &password).await? else {
        let page = form(&user, next, "no such user, or a wrong password");
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    if let Some(former) = cookie(&web, &headers) {
        web.login_keys.end(former);
    }
    let cookie = AppendHeaders([(header::SET_COOKIE, set_cookie(&web, &key, ""))]);
    Ok((cookie, Redirect::to(start(next, guest.role))).into_response())
}

/// Logs out.
pub(super) async fn leave(State(web): State<Arc<Web>>, _: Extension<LoggedIn>, headers: HeaderMap) -> Response {
    if let Some(key) = cookie(&web, &headers) {
        web.login_keys.end(key);
    }
    let cookie = AppendHeaders([(header::SET_COOKIE, set_cookie(&web, "", "; Max-Age=0"))]);
    (cookie, Redirect::to("/login")).into_response()
}

fn form(user: &str, next: &str, error: &str) -> Html<String> {
    let body = html! {
        section.narrow {
            @if !error.is_empty() { p.error role="alert" id="login-error" { (error) } }
            form method="post" action="/login" {
                input type="hidden" name="next" value=(next);
                div.field {
                    label for="user" { "User" }
                    input id="user" name="user" value=(user) autocomplete="username" autocapitalize="none" required
                        autofocus[user.is_empty()];
                }
                div.field {
                    label for="password" { "Password" }
                    input id="password" name="password" type="password" autocomplete="current-password" required
                        autofocus[!user.is_empty()]
                        aria-describedby=[(!error.is_empty()).then_some("login-error")];
                }
                button { "Log in" }
            }
            p.note { "Users are made with " code { "rejoin user add NAME" } "." }
        }
    };
    Page::new("Log in", "").show(None, body)
}

/// Where a login leads: readers begin with reports, unless they were on their way to another page.
fn start(next: &str, role: Role) -> &str {
    if next == "/" && role == Role::Reader { "/reports" } else { next }
}

/// A path of this door; anything else is the start.
fn local(next: &str) -> &str {
    let safe = next.starts_with('/')
        && !next.starts_with("//")
        && !next.starts_with("/login")
        && next.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if safe { next } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::{local, start};
    use crate::serve::users::Role;

    #[test]
    fn readers_begin_with_reports() {
        assert_eq!(["/", "/log"].map(|next| start(next, Role::Reader)), ["/reports", "/log"]);
        assert_eq!(start("/", Role::Manager), "/");
    }

    #[test]
    fn a_login_leads_nowhere_else() {
        for safe in ["/", "/reports?metric=orders&limit=5", "/sql?q=SELECT+1%2F2"] {
            assert_eq!(local(safe), safe);
        }
        for unsafe_ in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\nb", "/login?next=/", "/ä"]
        {
            assert_eq!(local(unsafe_), "/", "{unsafe_:?}");
        }
    }
}
