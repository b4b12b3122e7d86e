//! What is counted of a listener's connections and handshakes.

use super::{
    results::Results,
    series::{self, Count, Exposition},
};
use crate::ending::HandshakeEnding;
use prometheus::Histogram;
use std::{sync::Arc, time::Instant};

/// The counts of one listener.
#[derive(Debug)]
pub struct ListenerMetrics {
    name: String,
    open: Count,
    accepted: Count,
    accept_errors: Count,
    handshakes: Results<HandshakeEnding>,
    handshake_seconds: Histogram,
}

/// Counts a connection as open until it is dropped.
#[derive(Debug)]
pub struct ConnectionGuard(Arc<ListenerMetrics>);

/// Times a handshake. One that is dropped unfinished counts as [`HandshakeEnding::Gone`].
#[derive(Debug)]
pub struct HandshakeTimer {
    listener: Arc<ListenerMetrics>,
    started: Instant,
    outcome: Result<(), HandshakeEnding>,
}

impl ListenerMetrics {
    pub(super) fn new(name: &str, handshake_seconds: Histogram) -> Self {
        Self {
            name: name.to_owned(),
            open: Count::default(),
            accepted: Count::default(),
            accept_errors: Count::default(),
            handshakes: Results::default(),
            handshake_seconds,
        }
    }

    /// Connections that are open now.
    pub fn open(&self) -> u64 {
        self.open.value()
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
            outcome: Err(HandshakeEnding::Gone),
        }
    }

    /// Counts a connection that ended before its handshake began.
    pub fn refused(&self, ending: HandshakeEnding) {
        self.handshakes.ended(ending);
    }
}

impl HandshakeTimer {
    /// Counts the handshake as done or as ended.
    pub fn finish(mut self, outcome: Result<(), HandshakeEnding>) {
        self.outcome = outcome;
    }
}

impl Drop for HandshakeTimer {
    fn drop(&mut self) {
        let seconds = self.started.elapsed().as_secs_f64();
        self.listener.handshake_seconds.observe(seconds);
        match self.outcome {
            Ok(()) => self.listener.handshakes.done(),
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
pub(super) fn collect(listeners: &[Arc<ListenerMetrics>], out: &mut Exposition) {
    let mut each = |shape, count: fn(&ListenerMetrics) -> &Count| {
        let mut family = out.family(shape);
        for listener in listeners {
            family.add(&[&listener.name], count(listener).value());
        }
    };
    each(series::CONNECTIONS_OPEN, |listener| &listener.open);
    each(series::CONNECTIONS_TOTAL, |listener| &listener.accepted);
    each(series::ACCEPT_ERRORS, |listener| &listener.accept_errors);
    let mut handshakes = out.family(series::HANDSHAKES);
    for listener in listeners {
        listener.handshakes.collect(&listener.name, &mut handshakes);
    }
}
