//! The protocol: what this door says of itself, whose requests come, and the ways in.

use std::sync::Arc;

use axum::Router;
use axum::http::request::Parts;
use futures::FutureExt;
use futures::future::BoxFuture;
use rejoin_instances::assistants::{self, Answers};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, Implementation, ListToolsResult,
    ServerCapabilities, ServerConfig,
};
use rmcp::service::RequestContext;
use rmcp::transport::StreamableHttpServerConfig;

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
    assistants::over_stdio(Arc::new(door)).await.map_err(failed)
}

/// Answers requests at `path` that [`Guest`]s of their extensions make, each for itself.
pub fn over_http(path: &str, server: Arc<Server>) -> Router {
    let config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        // the web door looks at the host, and nobody comes in by a cookie
        .disable_allowed_hosts()
        .with_max_request_body_bytes(server.limits.statement_bytes.saturating_mul(2).saturating_add(MESSAGE_BYTES));
    assistants::over_http(path, Arc::new(Door { server, guest: None }), config)
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

impl Answers for Door {
    fn config(&self) -> ServerConfig {
        let this = Implementation::new("rejoin", env!("CARGO_PKG_VERSION")).with_title("Rejoin");
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(this)
            .with_instructions(INSTRUCTIONS)
    }

    fn tools(&self) -> ListToolsResult {
        ListToolsResult::with_all_items(tools::all())
    }

    fn call(
        &self,
        call: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> BoxFuture<'_, CallToolResponse> {
        async move {
            let guest = self.guest(&context);
            let answer = async {
                let guest =
                    guest.ok_or_else(|| Failure::new(Reason::Unknown, "nobody asks: a user's token is needed"))?;
                self.answer(&call, &guest).await
            };
            let answer = tokio::select! {
                answer = answer => answer,
                () = context.ct.cancelled() => Err(Failure::new(Reason::Cancelled, "the request was cancelled")),
            };
            CallToolResponse::from(match answer {
                Ok(text) => CallToolResult::success(vec![ContentBlock::text(text)]),
                Err(failure) => CallToolResult::error(vec![ContentBlock::text(failure.message)]),
            })
        }
        .boxed()
    }
}
