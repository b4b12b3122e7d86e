//! One server of a backend, and what is known of it.

use super::settings::ServerAddress;
use crate::observe::Evidence;
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// A server of a backend. The [`Registry`](super::registry::Registry) owns it, so that it outlives
/// the snapshots that name it.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: ServerAddress,
    /// The address as the configuration writes it.
    pub label: Arc<str>,
    /// Beside what is known, because every choice of a server reads it.
    is_down: AtomicBool,
    /// Nothing until there was an attempt to connect.
    known: Mutex<Option<Known>>,
    /// Connections to it that are open, or being opened.
    open: AtomicUsize,
}

/// What the last attempt to connect has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Why it failed; `None`: it did not, and the server is up.
    pub error: Option<String>,
    /// Since when the server is up, or down.
    pub since: SystemTime,
    /// When the attempt was.
    pub checked: SystemTime,
    /// What the attempt was for.
    pub by: Evidence,
}

/// Counts a connection to a server as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<Server>);

impl Server {
    /// A server that was never tried.
    pub(super) fn new(address: ServerAddress, label: Arc<str>) -> Self {
        Self {
            address,
            label,
            is_down: AtomicBool::default(),
            known: Mutex::default(),
            open: AtomicUsize::default(),
        }
    }

    /// Whether the last attempt succeeded, or there was none yet.
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    /// What is known of it; `None`: it was never tried.
    pub fn known(&self) -> Option<Known> {
        self.locked().clone()
    }

    /// Connections of this proxy to it that are open, or being opened.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }

    /// Counts a connection to it as open.
    pub fn opened(self: &Arc<Self>) -> OpenConnection {
        self.open.fetch_add(1, Relaxed);
        OpenConnection(Arc::clone(self))
    }

    /// A connection for a client was made. A server that went down meanwhile stays so until a probe
    /// reaches it: one that takes only some connections would go up and down with each.
    pub fn connected(&self, now: SystemTime) {
        let mut known = self.locked();
        if self.is_up() {
            self.learn(&mut known, Evidence::Connection, None, now);
        }
    }

    /// A connection for a client could not be made: the server is not chosen again until a probe
    /// reaches it. Returns true if it was up.
    pub fn failed(&self, error: String, now: SystemTime) -> bool {
        let mut known = self.locked();
        self.learn(&mut known, Evidence::Connection, Some(error), now)
    }

    /// A probe ended, with an error if it did not reach the server; returns true if that is up again.
    pub fn probed(&self, error: Option<String>, now: SystemTime) -> bool {
        let reached = error.is_none();
        let mut known = self.locked();
        self.learn(&mut known, Evidence::Probe, error, now) && reached
    }

    /// Returns true if the server goes up or down by it.
    fn learn(
        &self,
        known: &mut Option<Known>,
        by: Evidence,
        error: Option<String>,
        now: SystemTime,
    ) -> bool {
        let is_down = error.is_some();
        let before = known.take();
        let same = before.filter(|before| before.error.is_some() == is_down);
        let since = same.map_or(now, |before| before.since);
        *known = Some(Known {
            error,
            since,
            checked: now,
            by,
        });
        self.is_down.swap(is_down, Relaxed) != is_down
    }

    fn locked(&self) -> MutexGuard<'_, Option<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn server() -> Arc<Server> {
        let address = ServerAddress::Ip(([127, 0, 0, 1], 9001).into());
        Arc::new(Server::new(address, "ws://127.0.0.1:9001".into()))
    }

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn known(error: Option<&str>, since: u64, checked: u64, by: Evidence) -> Known {
        Known {
            error: error.map(str::to_owned),
            since: at(since),
            checked: at(checked),
            by,
        }
    }

    #[test]
    fn server_that_was_never_tried_is_up_and_nothing_is_known_of_it() {
        let server = server();
        assert!(server.is_up());
        assert_eq!(server.known(), None);
    }

    #[test]
    fn state_says_since_when_and_by_what_it_is_known() {
        let server = server();
        let refused = || "refused".to_owned();
        server.connected(at(1));
        server.connected(at(2));
        let expected = known(None, 1, 2, Evidence::Connection);
        assert_eq!(server.known(), Some(expected));
        assert!(server.failed(refused(), at(3)));
        assert!(!server.failed(refused(), at(4)));
        assert!(!server.probed(Some("slow".to_owned()), at(5)));
        assert!(!server.is_up());
        let expected = known(Some("slow"), 3, 5, Evidence::Probe);
        assert_eq!(server.known(), Some(expected));
        assert!(server.probed(None, at(6)));
        assert!(server.is_up());
        assert_eq!(server.known(), Some(known(None, 6, 6, Evidence::Probe)));
    }

    #[test]
    fn connection_that_was_under_way_does_not_bring_a_server_back() {
        let server = server();
        server.failed("refused".to_owned(), at(1));
        server.connected(at(2));
        assert!(!server.is_up());
        let expected = known(Some("refused"), 1, 1, Evidence::Connection);
        assert_eq!(server.known(), Some(expected));
    }

    #[test]
    fn connection_counts_as_load_from_its_attempt_until_it_is_dropped() {
        let server = server();
        let one = server.opened();
        let other = server.opened();
        assert_eq!(server.open(), 2);
        drop(one);
        assert_eq!(server.open(), 1);
        drop(other);
        assert_eq!(server.open(), 0);
    }
}
