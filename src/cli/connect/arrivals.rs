//! When messages came, to know when no more are to be expected.

use std::{cell::Cell, time::Duration};
use tokio::time::{Instant, sleep_until};

/// How long nothing may have come after the end of the input before we close: answers to its last
/// lines are under way, and many servers send nothing more once they have seen a Close.
const QUIET: Duration = Duration::from_secs(1);

/// When the last message came.
pub(super) struct Arrivals(Cell<Instant>);

impl Arrivals {
    /// A message came just now.
    pub(super) fn note(&self) {
        self.0.set(Instant::now());
    }

    /// Waits until no message has come for [`QUIET`], from now on.
    pub(super) async fn quiet(&self) {
        self.note();
        while self.0.get().elapsed() < QUIET {
            sleep_until(self.0.get() + QUIET).await;
        }
    }
}

impl Default for Arrivals {
    fn default() -> Self {
        Self(Cell::new(Instant::now()))
    }
}
