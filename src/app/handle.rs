//! What other threads ask of a running proxy.

use crate::reload::Outcome;
use std::sync::Arc;
use tokio::sync::{Notify, mpsc, oneshot};

/// Makes a running proxy do something; for tests and the demo.
#[derive(Clone)]
pub struct Handle {
    pub(super) reload: mpsc::Sender<ReloadRequest>,
    /// Beside the queue: reloads that wait there must not keep a drain out.
    pub(super) drain: Arc<Notify>,
}

/// Reading the configuration again, as somebody asks for it.
pub(super) struct ReloadRequest {
    /// Only say what would change.
    pub(super) preview: bool,
    /// Where the outcome goes.
    pub(super) reply: oneshot::Sender<Outcome>,
}

impl Handle {
    /// Reads the configuration again; returns what became of it, or `None` if the proxy has ended.
    pub async fn reload(&self, preview: bool) -> Option<Outcome> {
        let (reply, outcome) = oneshot::channel();
        let request = ReloadRequest { preview, reply };
        self.reload.send(request).await.ok()?;
        outcome.await.ok()
    }

    /// Begins the drain, soon.
    pub fn drain_soon(&self) {
        self.drain.notify_one();
    }
}
