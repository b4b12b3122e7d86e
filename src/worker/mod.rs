//! What connections share: with those of the same worker, and with all; and what each carries.

pub mod known_clients;
pub mod random;
pub mod refusal;
pub mod visit;

use crate::{
    backend::{registry::Registry, requests::Pool},
    observe::Metrics,
    roster::{drain::Drain, quotas::Clients, sockets::Connections},
    runtime::{
        buffers::Buffers,
        permits::{Gauge, Turnstile},
    },
    snapshot::Snapshot,
};
use arc_swap::ArcSwap;
use known_clients::KnownClients;
use std::sync::Arc;

/// What all workers share.
pub struct Shared {
    /// The configuration in use.
    pub snapshot: ArcSwap<Snapshot>,
    /// All open sockets.
    pub connections: Arc<Connections>,
    /// Whether the proxy drains.
    pub drain: Drain,
    /// Open connections of all listeners.
    pub open: Arc<Gauge>,
    /// TLS handshakes that are under way.
    pub handshakes: Arc<Gauge>,
    /// Requests that came before a drain and have no answer yet.
    pub upgrades: Arc<Gauge>,
    /// What each client has and has sent, where that is limited.
    pub clients: Clients,
    /// The servers of all backends.
    pub servers: Registry,
    /// What is counted.
    pub metrics: Metrics,
}

/// What the connections of one worker share.
pub struct Worker {
    /// Its place among the workers.
    pub index: usize,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Buffers for the moment.
    pub buffers: Buffers,
    /// Whose turn it is to compute a handshake.
    pub turnstile: Turnstile,
    /// Connections to servers that wait for a plain request.
    pub requests: Pool,
    /// Who has been here.
    pub clients: KnownClients,
}
