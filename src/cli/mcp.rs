//! `rejoin mcp`: answers an assistant that started this process.

use std::time::Duration;

use clap::Args;

use super::serve::{time, users};
use super::settings::Settings;
use crate::Result;
use crate::serve::{Limits, Server, mcp};

/// Statements of one assistant at once.
const AT_ONCE: usize = 8;

/// Answer an assistant over standard input and output (Model Context Protocol)
#[derive(Debug, Args)]
#[command(after_help = "\
The assistant starts this command itself. It can list tables, metrics and dimensions, ask in SQL, run reports, \
explain a conversion and read the manual; nothing is written. Over a network, `rejoin serve --http` answers \
assistants at /mcp, with the tokens of users.

Example, as most assistants have it in their settings:
  {\"mcpServers\": {\"rejoin\": {\"command\": \"rejoin\", \"args\": [\"--lake\", \"/data/lake\", \"mcp\"]}}}")]
pub struct McpArguments {
    /// Longest time until a statement's last row, e.g. 30s
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = time)]
    pub statement_timeout: Duration,
}

/// Answers until the input ends.
pub async fn run(settings: &Settings, arguments: &McpArguments) -> Result<()> {
    let limits = Limits {
        connections: AT_ONCE,
        connections_per_user: AT_ONCE,
        memory_per_user: settings.memory_bytes,
        rows: u64::MAX,
        time: arguments.statement_timeout,
        statement_bytes: 1 << 20,
    };
    // nobody comes in here but who started the process
    let server = Server::open(settings.lake.clone(), users(None)?, limits, settings.engine(None)?)?;
    let done = mcp::over_stdio(server.clone(), "assistant").await;
    server.close().await;
    done
}
