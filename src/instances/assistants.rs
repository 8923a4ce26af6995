//! The protocol of assistants (MCP), as rmcp has it.

use std::sync::Arc;

use axum::Router;
use futures::FutureExt;
use futures::future::{BoxFuture, LocalBoxFuture};
use rmcp::model::{CallToolRequestParams, CallToolResponse, ListToolsResult, PaginatedRequestParams, ServerConfig};
use rmcp::service::{RequestContext, ServerInitializeError};
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio_pipes};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};

/// Who answers assistants.
pub trait Answers: Send + Sync + 'static {
    /// What is said of it.
    fn config(&self) -> ServerConfig;

    /// What can be called.
    fn tools(&self) -> ListToolsResult;

    /// The answer to a call.
    fn call(&self, call: CallToolRequestParams, context: RequestContext<RoleServer>)
    -> BoxFuture<'_, CallToolResponse>;
}

#[derive(Clone)]
struct Handler(Arc<dyn Answers>);

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        self.0.config()
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(self.0.tools())
    }

    async fn call_tool(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(self.0.call(call, context).await)
    }
}

/// Answers one assistant over standard input and output, until it closes the input.
///
/// # Errors
/// What went wrong with the messages.
pub fn over_stdio(answers: Arc<dyn Answers>) -> LocalBoxFuture<'static, Result<(), String>> {
    async move {
        let service = match Handler(answers).serve(stdio_pipes()).await {
            Ok(service) => service,
            // who says nothing and leaves wanted nothing
            Err(ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
            Err(error) => return Err(error.to_string()),
        };
        service.waiting().await.map(drop).map_err(|error| error.to_string())
    }
    .boxed_local()
}

/// Answers requests at `path`, each for itself.
pub fn over_http(path: &str, answers: Arc<dyn Answers>, config: StreamableHttpServerConfig) -> Router {
    let (handler, sessions) = (move || Ok(Handler(answers.clone())), Arc::new(NeverSessionManager::default()));
    Router::new().route_service(path, StreamableHttpService::new(handler, sessions, config))
}
