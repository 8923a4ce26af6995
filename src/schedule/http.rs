//! `/healthz` (the process lives), `/readyz` (it does its work) and `/metrics` (Prometheus) over HTTP.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::board::Board;
use crate::{Error, Result, clock};

/// The content type of Prometheus' text format.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves at `address`, as long as the process lives; gives the address that it got. A port alone is one of this machine.
pub async fn serve(address: &str, board: Arc<Board>) -> Result<SocketAddr> {
    let port = address.strip_prefix(':').unwrap_or(address);
    let full = if port.parse::<u16>().is_ok() { format!("127.0.0.1:{port}") } else { address.to_string() };
    if full.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(Error::usage(format!(
            "--http {address}: expected a port or an address, e.g. 9187 or 0.0.0.0:9187"
        )));
    }
    let at = |e: std::io::Error| {
        Error::unavailable(format!("--http {address}: {e}; give another port, or 0 for a free one"))
    };
    let listener = TcpListener::bind(&full).await.map_err(at)?;
    let bound = listener.local_addr().map_err(at)?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(board);
    tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, routes).await {
            tracing::warn!(%error, "health and metrics are no longer served");
        }
    });
    Ok(bound)
}

async fn readyz(State(board): State<Arc<Board>>) -> impl IntoResponse {
    let troubles = board.troubles(clock::now());
    if troubles.is_empty() {
        return (StatusCode::OK, "ready\n".to_string());
    }
    (StatusCode::SERVICE_UNAVAILABLE, troubles.join("\n") + "\n")
}

async fn metrics(State(board): State<Arc<Board>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, PROMETHEUS)], board.metrics(clock::now()))
}
