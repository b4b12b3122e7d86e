//! What is counted of a listener's connections and handshakes.

use super::{
    label::endings_of,
    series::{self, Count, Family},
};
use crate::ending::{Ending, Stage};
use prometheus::{Histogram, proto::MetricFamily};
use std::{sync::Arc, time::Instant};

/// The counts of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    name: String,
    open: Count,
    accepted: Count,
    accept_errors: Count,
    handshakes_done: Count,
    /// One for each ending of the stage, in the order of [`endings_of`].
    handshakes_failed: Vec<Count>,
    handshake_seconds: Histogram,
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard(Arc<ListenerMetrics>);

/// Times a handshake. One that is dropped unfinished counts as [`Ending::HandshakeGone`].
#[derive(Debug)]
pub struct HandshakeTimer {
    listener: Arc<ListenerMetrics>,
    started: Instant,
    outcome: Result<(), Ending>,
}

impl ListenerMetrics {
    pub(super) fn new(name: &str, handshake_seconds: Histogram) -> Self {
        Self {
            name: name.to_owned(),
            open: Count::default(),
            accepted: Count::default(),
            accept_errors: Count::default(),
            handshakes_done: Count::default(),
            handshakes_failed: endings_of(Stage::Handshake)
                .map(|_| Count::default())
                .collect(),
            handshake_seconds,
        }
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.whole()
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Counts an accepted connection.
    pub fn accepted(self: &Arc<Self>) -> ConnectionGuard {
        self.accepted.increment();
        self.open.increment();
        ConnectionGuard(Arc::clone(self))
    }

    /// Counts an error of accept(2).
    pub fn accept_failed(&self) {
        self.accept_errors.increment();
    }

    /// Begins to time a handshake.
    pub fn handshake(self: &Arc<Self>) -> HandshakeTimer {
        HandshakeTimer {
            listener: Arc::clone(self),
            started: Instant::now(),
            outcome: Err(Ending::HandshakeGone),
        }
    }

    /// Counts a connection that ended before its handshake began. Endings of another stage are not
    /// counted here.
    pub fn refused(&self, ending: Ending) {
        let position = endings_of(Stage::Handshake).position(|known| known == ending);
        let count = position.and_then(|position| self.handshakes_failed.get(position));
        debug_assert!(count.is_some(), "{ending:?} is no ending of a handshake");
        if let Some(count) = count {
            count.increment();
        }
    }

    fn handshakes(&self, family: &mut Family) {
        family.add(&[&self.name, "ok"], self.handshakes_done.value());
        for (ending, count) in endings_of(Stage::Handshake).zip(&self.handshakes_failed) {
            family.add(&[&self.name, ending.label()], count.value());
        }
    }
}

impl HandshakeTimer {
    /// Counts the handshake as done or as ended.
    pub fn finish(mut self, outcome: Result<(), Ending>) {
        self.outcome = outcome;
    }
}

impl Drop for HandshakeTimer {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.listener.handshake_seconds.observe(seconds);
        match self.outcome {
            Ok(()) => self.listener.handshakes_done.increment(),
            Err(ending) => self.listener.refused(ending),
        }
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        self.0.open.decrement();
    }
}

/// The families of all listeners.
pub(super) fn collect(listeners: &[Arc<ListenerMetrics>]) -> Vec<MetricFamily> {
    let mut open = Family::new(series::CONNECTIONS_OPEN);
    let mut accepted = Family::new(series::CONNECTIONS_TOTAL);
    let mut errors = Family::new(series::ACCEPT_ERRORS);
    let mut handshakes = Family::new(series::HANDSHAKES);
    for listener in listeners {
        open.add(&[&listener.name], listener.open.value());
        accepted.add(&[&listener.name], listener.accepted.value());
        errors.add(&[&listener.name], listener.accept_errors.value());
        listener.handshakes(&mut handshakes);
    }
    [open, accepted, errors, handshakes]
        .map(Family::finish)
        .into()
}
