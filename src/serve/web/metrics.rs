//! `/metrics`: how much is going on, as Prometheus reads it (text format 0.0.4). Numbers of the whole server, nobody's data.
//!
//! All who may log in may read it: a collector sends the token of a user as a bearer token, a browser its cookie.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::layout::Problem;
use super::{Web, gate, login};
use crate::format::prometheus::{CONTENT_TYPE, Page};
use crate::serve::server::Load;

/// What the server has to do at the moment, and has done.
pub(super) async fn show(State(web): State<Arc<Web>>, headers: HeaderMap) -> Result<Response, Problem> {
    let known = match gate::bearer(&headers) {
        Some(token) => web.server.users.by_token(token)?.is_some(),
        None => login::logged_in(&web, &headers)?.is_some(),
    };
    if !known {
        return Ok(gate::token_needed().await);
    }
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text(&web.server.load(), resident_memory())).into_response())
}

fn text(load: &Load, resident: Option<usize>) -> String {
    let mut page = Page::default();
    let mut gauge = |name: &str, help: &str, value: usize| page.one(name, "gauge", help, Some(value as f64));
    gauge("rejoin_sessions", "Sessions of all doors that are open.", load.sessions);
    gauge("rejoin_sessions_limit", "Sessions that can be open at once (--connections).", load.sessions_limit);
    gauge("rejoin_users", "Users with a session.", load.users);
    gauge("rejoin_statements_running", "Statements that run.", load.running);
    gauge("rejoin_statements_waiting", "Statements of these that wait for their turn to compute.", load.waiting);
    gauge("rejoin_prepared_statements", "Statements that are kept prepared for clients of Flight SQL.", load.prepared);
    gauge("rejoin_memory_reserved_bytes", "Memory that statements have reserved.", load.reserved);
    gauge("rejoin_memory_limit_bytes", "Memory that statements can reserve (--memory).", load.memory);
    gauge("rejoin_footer_cache_entries", "Files whose footers are kept.", load.footers);
    gauge("rejoin_footer_cache_bytes", "Memory of the footers that are kept.", load.footer_bytes);
    gauge("rejoin_footer_cache_limit_bytes", "Memory that footers can take.", load.footer_limit);
    let done = Some(load.done as f64);
    page.one("rejoin_statements_done_total", "counter", "Statements that have ended, however they did.", done);
    let resident = resident.map(|bytes| bytes as f64);
    page.one("process_resident_memory_bytes", "gauge", "Memory of the process that is in use.", resident);
    page.into_text()
}

/// The memory of this process, where the system says it.
fn resident_memory() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_prometheus_reads_it() {
        let load = Load { sessions: 3, done: 7, ..Load::default() };
        let text = text(&load, None);
        assert!(
            text.contains("\n# TYPE rejoin_statements_done_total counter\nrejoin_statements_done_total 7\n"),
            "{text}"
        );
        assert!(text.starts_with("# HELP rejoin_sessions "), "{text}");
        assert!(text.lines().all(|line| line.starts_with("# ") || line.split(' ').count() == 2), "{text}");
        assert!(!text.contains("process_resident"));
    }
}
