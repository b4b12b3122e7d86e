//! The system's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the system's clock.
pub fn unix_time() -> i64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
