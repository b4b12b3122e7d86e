//! Whether a server that is down is back.

use super::{
    server::Server,
    stream::{BackendStream, is_ours},
};
use std::time::{Duration, SystemTime};
use tokio::time::timeout;

/// How long a probe of a server that is down may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connects and hangs up; on success the server is up again. Returns true if it came back.
pub async fn probe(server: &Server) -> bool {
    let attempt = BackendStream::connect(&server.address);
    let error = match timeout(PROBE_TIMEOUT, attempt).await {
        Ok(Ok(_)) => None,
        // It says nothing of the server.
        Ok(Err(error)) if is_ours(&error) => return false,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no connection within {PROBE_TIMEOUT:?}")),
    };
    server.probed(error, SystemTime::now())
}
