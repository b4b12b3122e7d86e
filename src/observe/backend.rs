//! What is counted of backends, and shown of their servers.

use super::series::{self, Exposition};
use prometheus::Histogram;
use std::{sync::Arc, time::Duration};

/// The counts of one backend.
#[derive(Clone, Debug)]
pub struct BackendMetrics {
    connect_seconds: Histogram,
}

/// What a scrape shows of one server, as its owner knows it.
#[derive(Clone, Debug)]
pub struct ServerReading {
    /// The name of its backend.
    pub backend: Arc<str>,
    /// Its address as the configuration writes it.
    pub server: Arc<str>,
    /// Whether it is up; `None`: the configuration in use does not name it.
    pub is_up: Option<bool>,
    /// Connections to it that are open, or being opened.
    pub open: usize,
}

impl BackendMetrics {
    pub(super) fn new(connect_seconds: Histogram) -> Self {
        Self { connect_seconds }
    }

    /// Counts the time that a connection to a server took.
    pub fn connected(&self, after: Duration) {
        self.connect_seconds.observe(after.as_secs_f64());
    }
}

/// Servers that are no longer configured have no `backend_up`, lest a removed one raise an
/// alarm, but show what is still open.
pub(super) fn collect(servers: &[ServerReading], out: &mut Exposition) {
    let mut up = out.family(series::BACKEND_UP);
    for reading in servers {
        if let Some(is_up) = reading.is_up {
            up.add(&[&reading.backend, &reading.server], u8::from(is_up));
        }
    }
    let mut open = out.family(series::BACKEND_OPEN);
    for reading in servers {
        if reading.is_up.is_some() || reading.open > 0 {
            open.add(&[&reading.backend, &reading.server], reading.open);
        }
    }
}
