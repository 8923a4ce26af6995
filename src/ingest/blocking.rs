//! Steps that block run on threads of their own.

use crate::{Error, Result};

/// Does what blocks on a thread for that.
pub async fn blocking<T: Send + 'static>(step: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(step).await.map_err(|e| Error::bug(format!("a reader stopped: {e}")))?
}
