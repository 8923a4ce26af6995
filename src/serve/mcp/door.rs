//! The protocol: what this door says of itself, whose requests come, and the ways in.

use std::sync::Arc;

use axum::http::request::Parts;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::never::NeverSessionManager;
use rmcp::transport::{StreamableHttpServerConfig, StreamableHttpService, stdio_pipes};
use rmcp::{ErrorData, RoleServer, ServerHandler, ServiceExt};

use super::tools;
use crate::serve::failure::{Failure, Reason};
use crate::serve::server::Server;
use crate::serve::session::Session;
use crate::serve::users::{Guest, Role};
use crate::{Error, Result};

const INSTRUCTIONS: &str = "\
Rejoin ties offline records (deals, returns, calls) to the online visitors that they belong to, and shares conversions among what \
visitors touched before. Ask `columns` first for the metrics and dimensions that are there. Questions are SQL over the table `events`, or \
table functions such as attribution('revenue', 'tracking_code', 'linear', lookback => '30 days'); `manual` explains them. Nothing can be written.";

/// A message that is larger than a statement may be holds no statement.
const MESSAGE_BYTES: usize = 64 << 10;

/// The handler of requests.
#[derive(Clone)]
struct Door {
    server: Arc<Server>,
    /// Who asks; None where each request says it.
    guest: Option<Guest>,
}

/// Answers one assistant, who started this process, until it closes the input. What is asked, `name` asks.
pub async fn over_stdio(server: Arc<Server>, name: &str) -> Result<()> {
    let guest = Guest { name: name.to_string(), role: Role::Reader };
    let door = Door { server, guest: Some(guest) };
    let failed = |why: String| Error::unavailable(format!("the assistant's messages: {why}"));
    let service = match door.serve(stdio_pipes()).await {
        Ok(service) => service,
        // who says nothing and leaves wanted nothing
        Err(rmcp::service::ServerInitializeError::ConnectionClosed(_)) => return Ok(()),
        Err(error) => return Err(failed(error.to_string())),
    };
    service.waiting().await.map(drop).map_err(|error| failed(error.to_string()))
}

/// Answers requests that [`Guest`]s of their extensions make, each for itself.
pub fn over_http(server: Arc<Server>) -> StreamableHttpService<impl ServerHandler + Clone, NeverSessionManager> {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // the web door looks at the host, and nobody comes in by a cookie
        .disable_allowed_hosts()
        .with_max_request_body_bytes(server.limits.statement_bytes.saturating_mul(2).saturating_add(MESSAGE_BYTES));
    let door = move || Ok(Door { server: server.clone(), guest: None });
    StreamableHttpService::new(door, Arc::new(NeverSessionManager::default()), config)
}

impl Door {
    async fn answer(&self, request: &CallToolRequestParams, guest: &Guest) -> Result<String, Failure> {
        let given = request.arguments.clone().unwrap_or_default();
        let given = tools::Given::new(&request.name, given)?;
        let session = Session::enter(&self.server, guest, given.suite()).await?;
        tracing::info!(user = guest.name, tool = &*request.name, "an assistant asks");
        given.answer(&session).await
    }

    fn guest(&self, context: &RequestContext<RoleServer>) -> Option<Guest> {
        self.guest.clone().or_else(|| context.extensions.get::<Parts>()?.extensions.get::<Guest>().cloned())
    }
}

impl ServerHandler for Door {
    fn get_info(&self) -> ServerConfig {
        let this = Implementation::new("rejoin", env!("CARGO_PKG_VERSION")).with_title("Rejoin");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(this)
            .with_instructions(INSTRUCTIONS)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> std::result::Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::all()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> std::result::Result<CallToolResponse, ErrorData> {
        let guest = self.guest(&context);
        let answer = async {
            let guest = guest.ok_or_else(|| Failure::new(Reason::Unknown, "nobody asks: a user's token is needed"))?;
            self.answer(&request, &guest).await
        };
        let answer = tokio::select! {
            answer = answer => answer,
            () = context.ct.cancelled() => Err(Failure::new(Reason::Cancelled, "the request was cancelled")),
        };
        Ok(match answer {
            Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]).into(),
            Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.message)]).into(),
        })
    }
}
