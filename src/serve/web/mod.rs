//! The web door: the manager of sources and files, reports and SQL, as pages that work without script except for the charts.
//!
//! * `listen`: connections, with TLS where there is a certificate. `bodies`: bodies of requests that stop or come too slowly. `gate`: what
//!   each request must be, and what each answer says to browsers. `login`: logging in and out; `logged_in`: a user who is logged in.
//!   `layout`: what all pages have.
//! * `manage`: suites at a glance. `suites` (with `suite_sources`), `sources`: their pages. `upload`: uploads of files. `mappings`: mappings
//!   for files of other makes. `files`: the file log. `rebuilds`: history, and a rebuild in the background. `exports`: what was sent where.
//! * `reports`: questions about journeys with their charts. `persons`: which visitors are one person, and why. `sql`: any question, with
//!   `sql_beside`: tables and examples. `metrics`: figures of the server, for collectors.
//!
//! Invariants: what came from data or a user is text everywhere (maud escapes it, JSON of charts cannot end its element); only the
//! script files of this door run; every request that is no GET comes from a page of this door; a reader changes nothing.

mod bodies;
mod exports;
mod files;
mod gate;
mod layout;
mod listen;
mod logged_in;
mod login;
mod manage;
mod mappings;
mod metrics;
mod persons;
mod rebuilds;
mod reports;
mod sources;
mod sql;
mod sql_beside;
mod suite_sources;
mod suites;
mod upload;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Request};
use axum::http::{StatusCode, header};
use axum::middleware::{from_fn, from_fn_with_state, map_request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rejoin_instances::http;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};

use super::login_keys::LoginKeys;
use super::server::Server;
use super::session::Session;
use super::tls::Tls;
use super::users::Guest;
use crate::serve::mcp;
use crate::{Error, Result, pages};
use bodies::{PACE, at_pace};
use layout::Problem;
use listen::{HEAD, ReadyConnections, Timeouts};
use logged_in::Notice;
use rebuilds::Rebuilding;

/// Where assistants ask.
const ASSISTANTS: &str = "/mcp";

/// Longest form, bytes; uploads and SQL have limits of their own.
const FORM_BYTES: usize = 64 << 10;

/// A browser that waits for a load is not taken for a silent one before.
const LONGEST_LOAD: Duration = Duration::from_secs(600);

/// What this door adds to pages' style.
const STYLE: &str = include_str!("web.css");
const ICON: &str = include_str!("icon.svg");
/// What the keyboard does in a statement.
const SQL_SCRIPT: &str = include_str!("sql.js");

/// How the web door runs.
#[derive(Debug, Clone, Copy)]
pub struct WebOptions {
    /// Largest file that is taken.
    pub upload_bytes: u64,
}

/// What all requests share.
struct Web {
    server: Arc<Server>,
    options: WebOptions,
    login_keys: LoginKeys<Notice>,
    rebuilding: Rebuilding,
    /// Files are loaded one at a time: a load has the memory of one.
    loading: Mutex<()>,
    /// TLS is spoken.
    secure: bool,
    /// Only this machine reaches the door.
    loopback: bool,
}

impl Web {
    /// A session for one request; with the suite where one is chosen.
    async fn session(&self, guest: &Guest, suite: &str) -> Result<Session, Problem> {
        Ok(Session::enter(&self.server, guest, suite).await?)
    }
}

/// Serves until `stop` turns true and what runs has ended.
pub async fn serve(
    server: Arc<Server>,
    tls: Option<Tls>,
    listener: TcpListener,
    mut stop: watch::Receiver<bool>,
    options: WebOptions,
) -> Result<()> {
    let failed = |e: std::io::Error| Error::unavailable(format!("--http: {e}"));
    let config = tls.as_ref().map(|tls| tls.config(&[b"h2", b"http/1.1"])).transpose()?;
    let web = Arc::new(Web {
        options,
        login_keys: LoginKeys::new(server.users.clone()),
        rebuilding: Rebuilding::default(),
        loading: Mutex::default(),
        secure: config.is_some(),
        loopback: listener.local_addr().map_err(failed)?.ip().is_loopback(),
        server,
    });
    // what computes is silent
    let answer = web.server.limits.time.max(LONGEST_LOAD) + Duration::from_secs(60);
    let ready_connections =
        ReadyConnections::open(listener, config, web.server.limits.connections, Timeouts { head: HEAD, answer });
    let stopped = async move {
        // an error means that nobody can stop it any more
        let _ = stop.wait_for(|stop| *stop).await;
    };
    http::serve(Box::new(ready_connections), routes(web.clone()), Box::pin(stopped)).await.map_err(failed)?;
    // the caller says how long at most, by dropping this
    while web.rebuilding.runs() || web.loading.try_lock().is_err() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

fn routes(web: Arc<Web>) -> Router {
    // a form writes a byte as up to three
    let sql_bytes = web.server.limits.statement_bytes.saturating_mul(3).saturating_add(FORM_BYTES);
    let upload_bytes = usize::try_from(web.options.upload_bytes).unwrap_or(usize::MAX).saturating_add(FORM_BYTES);
    let inside = Router::new()
        .route("/", get(manage::show))
        .route("/suites", post(suites::create))
        .route("/suites/{suite}", get(suites::show).post(suites::set))
        .route("/suites/{suite}/transaction-id", get(suites::ask_switch).post(suites::switch))
        .route("/suites/{suite}/mappings", post(mappings::store))
        .route("/suites/{suite}/mappings/drop", post(mappings::remove))
        .route("/suites/{suite}/upload", post(upload::take_mapped).layer(DefaultBodyLimit::max(upload_bytes)))
        .route("/suites/{suite}/sources", post(sources::create))
        .route("/suites/{suite}/sources/{source}", get(sources::show))
        .route("/suites/{suite}/sources/{source}/template", get(sources::template))
        .route("/suites/{suite}/sources/{source}/status", post(sources::set_status))
        .route("/suites/{suite}/sources/{source}/upload", post(upload::take).layer(DefaultBodyLimit::max(upload_bytes)))
        .route("/log", get(files::log))
        .route("/log/file", get(files::file))
        .route("/rebuilds", get(rebuilds::show).post(rebuilds::start))
        .route("/exports", get(exports::show))
        .merge(reports::routes())
        .route("/persons", get(persons::show))
        .route("/persons/unlink", post(persons::unlink))
        .route("/sql", get(sql::show).post(sql::run).layer(DefaultBodyLimit::max(sql_bytes)))
        .route("/logout", post(login::leave))
        .fallback(|| async { Problem::missing("there is no such page") })
        .layer(from_fn_with_state(web.clone(), gate::members));
    let assistants = mcp::over_http(ASSISTANTS, web.server.clone())
        .with_state(())
        .layer(from_fn_with_state(web.clone(), gate::with_token));
    Router::new()
        .route("/login", get(login::show).post(login::enter))
        .merge(inside)
        .layer(DefaultBodyLimit::max(FORM_BYTES))
        .layer(from_fn_with_state(web.clone(), gate::own_pages))
        .route("/assets/{name}", get(asset))
        .route("/metrics", get(metrics::show))
        .merge(assistants)
        .layer(from_fn_with_state(web.clone(), gate::own_host))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(from_fn(gate::policy))
        .layer(map_request(|request: Request| async move { at_pace(request, PACE) }))
        .with_state(web)
}

/// The files of pages. Their address changes with their content, so that browsers may keep them.
async fn asset(Path(name): Path<String>) -> Response {
    let (kind, content) = match name.as_str() {
        "style.css" => ("text/css; charset=utf-8", [pages::STYLE, STYLE].concat()),
        "page.js" => ("text/javascript; charset=utf-8", pages::SCRIPT.to_string()),
        "sql.js" => ("text/javascript; charset=utf-8", SQL_SCRIPT.to_string()),
        "echarts.js" => ("text/javascript; charset=utf-8", pages::ECHARTS.to_string()),
        "icon.svg" => ("image/svg+xml", ICON.to_string()),
        _ => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=31536000, immutable")], content)
        .into_response()
}
