//! `/healthz` (the process lives), `/readyz` (it does its work) and `/metrics` (Prometheus) over HTTP.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use rejoin_instances::http;

use super::runner_status::RunnerStatus;
use crate::format::prometheus::CONTENT_TYPE;
use crate::{Result, clock};

/// Serves at `address`, as long as the process lives; gives the address that it got. A port alone is one of this machine.
pub async fn serve(address: &str, status: Arc<RunnerStatus>) -> Result<SocketAddr> {
    let (listener, bound) = crate::address::bind("--http", address).await?;
    let routes = Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(status);
    tokio::spawn(async move {
        if let Err(error) = http::serve(Box::new(listener), routes, Box::pin(pending::<()>())).await {
            tracing::warn!(%error, "health and metrics are no longer served");
        }
    });
    Ok(bound)
}

async fn readyz(State(status): State<Arc<RunnerStatus>>) -> impl IntoResponse {
    let problems = status.problems(clock::now());
    if problems.is_empty() {
        return (StatusCode::OK, "ready\n".to_string());
    }
    (StatusCode::SERVICE_UNAVAILABLE, problems.join("\n") + "\n")
}

async fn metrics(State(status): State<Arc<RunnerStatus>>) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], status.metrics(clock::now()))
}
