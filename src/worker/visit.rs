//! A connection on its way to become a socket, and what it holds.

use super::{Worker, refusal::Refusal};
use crate::{
    ending::{HandshakeEnding, RequestEnding},
    observe::{
        ConnectionGuard, ListenerMetrics,
        event::{self, Parties},
    },
    roster::{
        quotas::{Seat, Who},
        sockets::ConnectionId,
    },
    runtime::permits::Held,
    snapshot::Snapshot,
    tls::{client::Client, stream::TlsStream},
};
use std::{cell::OnceCell, fmt::Display, net::SocketAddr, rc::Rc, sync::Arc};
use tokio::time::Instant;

/// A connection on its way to become a socket.
pub struct Visit {
    /// Its id.
    pub id: ConnectionId,
    /// The client's address.
    pub peer: SocketAddr,
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    /// The listener that accepted it.
    pub listener: Rc<Listener>,
    /// The one snapshot that it is judged by.
    pub snapshot: Arc<Snapshot>,
    /// Lets a drain wait for the answer to its request, once that is there.
    pub under_way: OnceCell<Held>,
}

impl Visit {
    /// Who takes part, as far as the listener knows.
    pub(crate) fn parties<'a>(&'a self, id: &'a str) -> Parties<'a> {
        Parties {
            id,
            listener: &self.listener.name,
            listener_address: Some(self.listener.address),
            peer: Some(self.peer),
            ..Parties::default()
        }
    }

    /// Whether its request comes before a drain, which then waits for the answer.
    pub(crate) fn begins_before_drain(&self) -> bool {
        let shared = &self.worker.shared;
        // Held before looking, so that a drain that begins in between sees it.
        let held = shared.upgrades.take(usize::MAX);
        let before = !shared.drain.has_begun();
        if let Some(held) = held.filter(|_| before) {
            // A connection has one request.
            let _ = self.under_way.set(held);
        }
        before
    }

    /// A place for one more socket of a client.
    pub(crate) fn seat(&self, client: &Client) -> Result<Option<Seat>, Refusal> {
        let who = Who::of(client.identity.as_deref(), self.peer.ip());
        let limits = &self.snapshot.limits.client;
        let clients = &self.worker.shared.clients;
        let entered = clients.enter(who, limits, Instant::now());
        entered.map_err(|reached| Refusal::new(RequestEnding::Limit, reached))
    }

    /// Logs a refusal before the handshake was done.
    pub(crate) fn log_refusal(&self, ending: HandshakeEnding, detail: Option<&dyn Display>) {
        event::handshake_refused(&self.parties(&self.id.to_string()), ending, detail);
    }

    /// Counts how the session came about.
    pub(crate) fn count_resumption(&self, stream: &TlsStream, refused: bool) {
        use crate::observe::Resumption;
        let result = match (stream.session.is_resumed(), refused) {
            (false, _) => Resumption::Full,
            (true, false) => Resumption::Resumed,
            (true, true) => Resumption::Refused,
        };
        self.worker.shared.metrics.resumption(result);
    }
}

/// A listener as a worker knows it.
pub struct Listener {
    /// Its place in the configuration.
    pub index: usize,
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// Where it is bound.
    pub address: SocketAddr,
    /// What is counted of it.
    pub metrics: Arc<ListenerMetrics>,
}

/// What an accepted connection holds until it ends.
pub struct Admission {
    /// Counts against `limits.connections`.
    pub held: Held,
    /// Counts as open on its listener.
    pub guard: ConnectionGuard,
}
