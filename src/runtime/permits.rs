//! Limits on what is under way at once: open connections and TLS handshakes.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Counts what is held, against a limit that a reload may change.
#[derive(Debug, Default)]
pub struct Gauge {
    held: AtomicUsize,
    /// Notified of every unit that is given back.
    given_back: Notify,
}

/// One unit of a [`Gauge`], given back when dropped.
#[derive(Debug)]
pub struct Held(Arc<Gauge>);

impl Gauge {
    /// Takes a unit unless `limit` are held already.
    pub fn take(self: &Arc<Self>, limit: usize) -> Option<Held> {
        let below = |held: usize| (held < limit).then_some(held + 1);
        self.held.fetch_update(SeqCst, SeqCst, below).ok()?;
        Some(Held(self.clone()))
    }

    /// Waits until fewer than `limit` units are held, and takes one. The limit is asked again
    /// each time that a unit is given back, and at [`Gauge::limit_changed`].
    pub async fn wait(self: &Arc<Self>, limit: impl Fn() -> usize) -> Held {
        loop {
            let mut given_back = pin!(self.given_back.notified());
            // Registered before looking, so that what is given back in between is not missed.
            given_back.as_mut().enable();
            if let Some(held) = self.take(limit()) {
                return held;
            }
            given_back.await;
        }
    }

    /// Lets all who wait ask for the limit again.
    pub fn limit_changed(&self) {
        self.given_back.notify_waiters();
    }

    /// How many units are held.
    pub fn held(&self) -> usize {
        self.held.load(SeqCst)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.held.fetch_sub(1, SeqCst);
        self.0.given_back.notify_one();
    }
}

/// Lets one handshake at a time compute on a worker.
///
/// A step of a handshake costs 200 to 400 µs of CPU. Between two steps the holder yields, so
/// that a storm of handshakes delays a running relay by one step, not by the whole storm.
#[derive(Clone, Debug)]
pub struct Turnstile(Arc<Semaphore>);

impl Default for Turnstile {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Turnstile {
    /// Waits for this task's turn.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        self.0.clone().acquire_owned().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_gives_no_more_than_its_limit_and_takes_back_what_is_dropped() {
        let gauge = Arc::new(Gauge::default());
        let one = gauge.take(1);
        assert!(one.is_some());
        assert!(gauge.take(1).is_none());
        drop(one);
        assert_eq!(gauge.held(), 0);
    }

    #[tokio::test]
    async fn who_waits_gets_its_unit_when_the_limit_is_raised() {
        let gauge = Arc::new(Gauge::default());
        let _one = gauge.take(1).unwrap();
        let limit = AtomicUsize::new(1);
        let waiting = gauge.wait(|| limit.load(SeqCst));
        let raise = async {
            limit.store(2, SeqCst);
            gauge.limit_changed();
        };
        let (_held, ()) = tokio::join!(waiting, raise);
        assert_eq!(gauge.held(), 2);
    }

    #[tokio::test]
    async fn who_waits_gets_the_unit_that_is_given_back() {
        let gauge = Arc::new(Gauge::default());
        let one = gauge.take(1).unwrap();
        let waiting = gauge.wait(|| 1);
        let (held, ()) = tokio::join!(waiting, async { drop(one) });
        assert_eq!(gauge.held(), 1);
        drop(held);
        assert_eq!(gauge.held(), 0);
    }
}
