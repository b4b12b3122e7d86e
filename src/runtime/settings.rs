//! The `[server]` table, checked.

use std::time::Duration;

/// The `[server]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerSettings {
    /// Worker threads; fixed at start.
    pub workers: usize,
    /// A drain closes sockets evenly over this.
    pub drain_spread: Duration,
    /// A drain ends what is left after this.
    pub drain_timeout: Duration,
    /// Whether a file that changes is applied by itself.
    pub watch: bool,
}
