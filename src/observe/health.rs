//! What is known of a backend's server, since when, and by what.

use super::label::Evidence;
use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::SystemTime,
};

/// What attempts to connect have shown of a server; nothing until there is one.
#[derive(Debug, Default)]
pub struct Health {
    /// Beside the rest, because every choice of a server reads it.
    is_down: AtomicBool,
    known: Mutex<Option<Known>>,
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

impl Health {
    /// Whether the last attempt succeeded, or there was none yet.
    pub fn is_up(&self) -> bool {
        !self.is_down.load(Relaxed)
    }

    /// What is known; `None`: it was never tried.
    pub fn known(&self) -> Option<Known> {
        self.locked().clone()
    }

    /// A connection for a client was made. A server that went down meanwhile stays so until a probe
    /// reaches it: one that takes only some connections would go up and down with each.
    pub fn connected(&self, now: SystemTime) {
        let mut known = self.locked();
        if self.is_up() {
            self.learn(&mut known, Evidence::Connection, None, now);
        }
    }

    /// A connection for a client could not be made; returns true if the server was up.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

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
        let health = Health::default();
        assert!(health.is_up());
        assert_eq!(health.known(), None);
    }

    #[test]
    fn state_says_since_when_and_by_what_it_is_known() {
        let health = Health::default();
        let refused = || "refused".to_owned();
        health.connected(at(1));
        health.connected(at(2));
        assert_eq!(
            health.known(),
            Some(known(None, 1, 2, Evidence::Connection))
        );
        assert!(health.failed(refused(), at(3)));
        assert!(!health.failed(refused(), at(4)));
        assert!(!health.probed(Some("slow".to_owned()), at(5)));
        assert!(!health.is_up());
        assert_eq!(
            health.known(),
            Some(known(Some("slow"), 3, 5, Evidence::Probe))
        );
        assert!(health.probed(None, at(6)));
        assert!(health.is_up());
        assert_eq!(health.known(), Some(known(None, 6, 6, Evidence::Probe)));
    }

    #[test]
    fn connection_that_was_under_way_does_not_bring_a_server_back() {
        let health = Health::default();
        health.failed("refused".to_owned(), at(1));
        health.connected(at(2));
        assert!(!health.is_up());
        let expected = known(Some("refused"), 1, 1, Evidence::Connection);
        assert_eq!(health.known(), Some(expected));
    }
}
