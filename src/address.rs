//! Where a door listens: `5432`, `:5432`, `127.0.0.1:5432`, `[::1]:5432` or `host:5432`.

use std::net::SocketAddr;

use tokio::net::TcpListener;

use crate::{Error, Result};

/// Binds what was typed for `option`. A port alone is one of this machine only, 0 is any free one.
pub async fn bind(option: &str, typed: &str) -> Result<(TcpListener, SocketAddr)> {
    let port = typed.strip_prefix(':').unwrap_or(typed);
    let full = if port.parse::<u16>().is_ok() { format!("127.0.0.1:{port}") } else { typed.to_string() };
    if full.rsplit_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
        return Err(Error::usage(format!(
            "{option} {typed}: expected a port or an address, e.g. 9187 or 0.0.0.0:9187"
        )));
    }
    let at = |e: std::io::Error| {
        Error::unavailable(format!("{option} {typed}: {e}; give another port, or 0 for a free one"))
    };
    let listener = TcpListener::bind(&full).await.map_err(at)?;
    let bound = listener.local_addr().map_err(at)?;
    Ok((listener, bound))
}
