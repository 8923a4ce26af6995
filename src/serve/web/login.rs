//! Users come in with their password and leave again. A cookie stands for them; it ends with a new password or a removed user.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use axum::{Extension, Form};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use maud::html;
use ring::rand::{SecureRandom, SystemRandom};
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::Web;
use super::layout::{Page, Problem};
use crate::serve::failure::{Failure, Reason};
use crate::serve::users::Guest;
use crate::{Error, ErrorKind};

/// A session that is not used so long is forgotten.
const IDLE: Duration = Duration::from_secs(12 * 3600);

/// Sessions that are kept; the one that was idle longest goes first.
const MOST: usize = 10_000;

/// Whoever guesses waits.
const PAUSE: Duration = Duration::from_millis(300);

/// Passwords are checked by so many threads: it is work by design.
static CHECKS: Semaphore = Semaphore::const_new(2);

/// Someone who is logged in.
#[derive(Clone)]
pub(super) struct Visitor {
    /// Who it is.
    pub guest: Guest,
    session: Arc<Mutex<Entered>>,
}

/// The sessions, by their cookie.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Arc<Mutex<Entered>>>>);

struct Entered {
    name: String,
    /// A new password has another salt.
    salt: Vec<u8>,
    used: Instant,
    notice: Option<String>,
}

impl Visitor {
    /// Says something on the next page.
    pub fn notice(&self, text: impl Into<String>) {
        lock(&self.session).notice = Some(text.into());
    }

    /// What is to be said.
    pub fn take_notice(&self) -> Option<String> {
        lock(&self.session).notice.take()
    }
}

impl Sessions {
    fn start(&self, name: &str, salt: Vec<u8>) -> Result<String, Failure> {
        let mut bytes = [0; 32];
        let random = SystemRandom::new().fill(&mut bytes);
        random.map_err(|_| Error::unavailable("the system gives no random numbers"))?;
        let key = URL_SAFE_NO_PAD.encode(bytes);
        let mut all = lock(&self.0);
        all.retain(|_, entered| lock(entered).used.elapsed() < IDLE);
        if all.len() >= MOST
            && let Some(oldest) = all.iter().min_by_key(|(_, e)| lock(e).used).map(|(key, _)| key.clone())
        {
            all.remove(&oldest);
        }
        let entered = Entered { name: name.to_string(), salt, used: Instant::now(), notice: None };
        all.insert(key.clone(), Arc::new(Mutex::new(entered)));
        Ok(key)
    }

    fn find(&self, key: &str) -> Option<Arc<Mutex<Entered>>> {
        lock(&self.0).get(key).filter(|entered| lock(entered).used.elapsed() < IDLE).cloned()
    }

    fn end(&self, key: &str) {
        lock(&self.0).remove(key);
    }
}

/// A lock; whoever panicked with it left nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who sends a request, when logged in. The file of users is asked each time, so that a change holds at once.
pub(super) fn visitor(web: &Web, headers: &HeaderMap) -> Result<Option<Visitor>, Failure> {
    let Some(session) = cookie(web, headers).and_then(|key| web.sessions.find(key)) else { return Ok(None) };
    let (name, salt) = {
        let entered = lock(&session);
        (entered.name.clone(), entered.salt.clone())
    };
    let Some(guest) = web.house.users.guest(&name)? else { return Ok(None) };
    if web.house.users.secret(&name)?.0 != salt {
        return Ok(None);
    }
    lock(&session).used = Instant::now();
    Ok(Some(Visitor { guest, session }))
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
pub(super) struct Wanted {
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
    Query(wanted): Query<Wanted>,
) -> Result<Response, Problem> {
    let next = local(&wanted.next);
    if visitor(&web, &headers)?.is_some() {
        return Ok(Redirect::to(next).into_response());
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
    Form(Credentials { user, password, next }): Form<Credentials>,
) -> Result<Response, Problem> {
    let next = local(&next);
    let bug = |_| Problem::from(Failure::new(Reason::Engine(ErrorKind::Bug), "the login broke off"));
    let checked = {
        let _turn = CHECKS.acquire().await;
        let (users, user) = (web.house.users.clone(), user.clone());
        // the salt first: whoever proves a password that is changed meanwhile has to do so again
        let check = move || Ok::<_, Error>((users.secret(&user)?.0, users.by_password(&user, &password)?));
        tokio::task::spawn_blocking(check).await.map_err(bug)??
    };
    let (salt, Some(guest)) = checked else {
        tokio::time::sleep(PAUSE).await;
        let page = form(&user, next, "no such user, or a wrong password");
        return Ok((StatusCode::UNAUTHORIZED, page).into_response());
    };
    if let Some(former) = cookie(&web, &headers) {
        web.sessions.end(former);
    }
    let key = web.sessions.start(&guest.name, salt)?;
    let cookie = AppendHeaders([(header::SET_COOKIE, set_cookie(&web, &key, ""))]);
    Ok((cookie, Redirect::to(next)).into_response())
}

/// Logs out.
pub(super) async fn leave(State(web): State<Arc<Web>>, _: Extension<Visitor>, headers: HeaderMap) -> Response {
    if let Some(key) = cookie(&web, &headers) {
        web.sessions.end(key);
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
    use super::local;

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
