//! The drain: no new sockets, the open ones closed evenly, then the deadline.

use super::sockets::Connections;
use crate::{
    ending::SocketEnding,
    runtime::{permits::Gauge, settings::ServerSettings},
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};

/// How often the drain looks whether all sockets have closed.
const LOOK: std::time::Duration = std::time::Duration::from_millis(50);
/// What is left at the deadline gets this long to be cut.
const CUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Whether the proxy is draining; shared by everything that has to know.
#[derive(Debug)]
pub struct Drain {
    started: AtomicBool,
    signal: watch::Sender<bool>,
}

impl Default for Drain {
    fn default() -> Self {
        Self {
            started: AtomicBool::new(false),
            signal: watch::Sender::new(false),
        }
    }
}

impl Drain {
    /// Begins the drain; returns whether this call began it.
    pub fn begin(&self) -> bool {
        let first = !self.started.swap(true, SeqCst);
        self.signal.send_replace(true);
        first
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.started.load(SeqCst)
    }

    /// Returns once it has begun.
    pub async fn begun(&self) {
        let mut receiver = self.signal.subscribe();
        // The sender lives in `self`: the wait cannot fail.
        let _ = receiver.wait_for(|begun| *begun).await;
    }
}

/// Orders the end of every open socket, evenly over `drain_spread`, and of what is left at
/// `drain_timeout`. Returns how many were cut at the deadline.
///
/// Upgrades that were `under_way` when the drain began get their answer first; they are listed late.
pub async fn close_all(
    connections: &Arc<Connections>,
    under_way: &Gauge,
    settings: &ServerSettings,
) -> usize {
    let start = Instant::now();
    let deadline = start + settings.drain_timeout;
    spread(connections, settings, start).await;
    while Instant::now() < deadline {
        // In this order: an upgrade is listed before it is no longer under way.
        let upgrades = under_way.held();
        let left = connections.all();
        if left.is_empty() && upgrades == 0 {
            return 0;
        }
        for entry in &left {
            entry.end(SocketEnding::Draining);
        }
        sleep(LOOK).await;
    }
    cut(connections).await
}

async fn spread(connections: &Connections, settings: &ServerSettings, start: Instant) {
    let entries = connections.all();
    let count = u32::try_from(entries.len()).unwrap_or(u32::MAX).max(1);
    let step = settings.drain_spread.min(settings.drain_timeout) / count;
    for (index, entry) in (0u32..).zip(&entries) {
        let at = start + step * index;
        if !sockets_at(connections, at).await {
            return;
        }
        entry.end(SocketEnding::Draining);
    }
}

/// Waits for a time, or until no socket is left; returns whether there still are any.
async fn sockets_at(connections: &Connections, at: Instant) -> bool {
    while !connections.is_empty() {
        let now = Instant::now();
        if now >= at {
            return true;
        }
        sleep_until(at.min(now + LOOK)).await;
    }
    false
}

async fn cut(connections: &Connections) -> usize {
    let left = connections.all();
    for entry in &left {
        entry.end_now(SocketEnding::DrainDeadline);
    }
    let deadline = Instant::now() + CUT;
    while !connections.is_empty() && Instant::now() < deadline {
        sleep(LOOK / 10).await;
    }
    left.len()
}
