//! What a conversation keeps to.

use std::time::Duration;
use tidegate::frame::Rules;
use tidegate::socket::relay::Terms;

const LIMIT: u64 = 16 << 20;

/// The limits and times of the default configuration.
pub(crate) fn terms() -> Terms {
    Terms {
        client: Rules::for_client(LIMIT, LIMIT),
        backend: Rules::for_server(LIMIT, LIMIT),
        idle: Duration::from_mins(5),
        ping: Duration::from_secs(30),
        ping_mark: [0; 8],
        mask: [0; 4],
    }
}
