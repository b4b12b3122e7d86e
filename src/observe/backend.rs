//! What is counted of backends and their servers.

use super::{
    health::Health,
    series::{self, Exposition},
};
use prometheus::Histogram;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The counts of one backend of the configuration in use.
#[derive(Debug)]
pub struct BackendMetrics {
    connect_seconds: Histogram,
    servers: Vec<(String, Arc<ServerGauges>)>,
}

/// What a scrape reads of one server; the backend's own code writes it. The same address of the
/// same backend keeps its gauges over reloads.
#[derive(Debug, Default)]
pub struct ServerGauges {
    /// Whether it is up, and how that is known.
    pub health: Health,
    /// Connections to it that are open.
    pub open: AtomicUsize,
}

/// The gauges of every server that is configured, or still has connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Servers(BTreeMap<(String, String), Entry>);

#[derive(Clone, Debug)]
struct Entry {
    gauges: Arc<ServerGauges>,
    /// Whether the configuration in use names it.
    current: bool,
}

impl BackendMetrics {
    pub(super) fn new(connect: Histogram, servers: Vec<(String, Arc<ServerGauges>)>) -> Self {
        Self {
            connect_seconds: connect,
            servers,
        }
    }

    /// The gauges of a server, by its address as it stands in the configuration.
    pub fn server(&self, address: &str) -> Option<Arc<ServerGauges>> {
        let mut servers = self.servers.iter();
        let found = servers.find(|(known, _)| known == address);
        found.map(|(_, gauges)| Arc::clone(gauges))
    }

    /// Counts the time that a connection to a server took.
    pub fn connected(&self, after: Duration) {
        self.connect_seconds.observe(after.as_secs_f64());
    }
}

impl Servers {
    /// Begins a new configuration: forgets servers that nobody knows any more.
    pub(super) fn begin(&mut self) {
        self.0
            .retain(|_, entry| Arc::strong_count(&entry.gauges) > 1);
        self.0.values_mut().for_each(|entry| entry.current = false);
    }

    /// The gauges of a server of the new configuration.
    pub(super) fn name(&mut self, backend: &str, server: &str) -> Arc<ServerGauges> {
        let key = (backend.to_owned(), server.to_owned());
        let entry = self.0.entry(key).or_insert_with(|| Entry {
            gauges: Arc::default(),
            current: true,
        });
        entry.current = true;
        Arc::clone(&entry.gauges)
    }

    /// Servers that are no longer configured have no `backend_up`, lest a removed one raise an
    /// alarm, but show what is still open.
    pub(super) fn collect(&self, out: &mut Exposition) {
        let mut up = out.family(series::BACKEND_UP);
        for ((backend, server), entry) in self.0.iter().filter(|(_, entry)| entry.current) {
            let is_up = entry.gauges.health.is_up();
            up.add(&[backend, server], u8::from(is_up));
        }
        let mut open = out.family(series::BACKEND_OPEN);
        for ((backend, server), entry) in &self.0 {
            let count = entry.gauges.open.load(Ordering::Relaxed);
            if entry.current || count > 0 {
                open.add(&[backend, server], count);
            }
        }
    }
}
