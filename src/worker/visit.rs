//! One request of a connection, and what it holds.

use super::{Worker, random::new_id, refusal::Refusal};
use crate::{
    ending::{HandshakeEnding, RequestEnding},
    observe::{
        ConnectionGuard, ListenerMetrics,
        event::{self, Parties},
    },
    policy::judgement,
    request::asked::Asked,
    roster::{
        quotas::{Seat, Who},
        sockets::{Carries, ConnectionId, Description},
    },
    runtime::permits::Held,
    snapshot::{Route, Snapshot, rulebook},
    tls::{client::Client, stream::TlsStream},
};
use std::{cell::OnceCell, fmt::Display, net::SocketAddr, rc::Rc, sync::Arc, time::SystemTime};
use tokio::time::Instant;

/// A request of a connection, from accept or from the request before on.
pub struct Visit {
    /// Its id: of the first request, its connection, and the socket that it becomes.
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

    /// What is known of an admitted request, as the list of open exchanges has it.
    pub(crate) fn describe(
        &self,
        stream: &TlsStream,
        route: &Route,
        client: &Client,
        asked: Asked,
    ) -> Description {
        let listener = self.listener.index;
        // The judgement that admitted it is the same whenever it is asked.
        let admission = rulebook::judge_client(&self.snapshot, listener, route, client);
        let rule = admission.ok().and_then(judgement::Admission::rule);
        Description {
            carries: Carries::Request,
            peer: self.peer,
            listener: self.listener.name.clone(),
            listener_address: self.listener.address,
            route: route.name.clone(),
            backend: route.backend.name.clone(),
            server: None,
            identity: client.identity.clone(),
            not_after: client.not_after,
            integrity: None,
            chain: client.chain.clone(),
            rule: rule.map(|rule| rule.to_string().into()),
            place: rulebook::place(listener, route),
            opened: SystemTime::now(),
            tls: stream.session.version(),
            cipher: stream.session.cipher(),
            asked,
        }
    }

    /// Lets go of the snapshot while a connection waits for its next request.
    pub fn leave(self) -> Between {
        Between {
            peer: self.peer,
            worker: self.worker,
            listener: self.listener,
        }
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

/// A connection between two of its requests.
pub struct Between {
    /// The worker that serves it.
    pub worker: Rc<Worker>,
    peer: SocketAddr,
    listener: Rc<Listener>,
}

impl Between {
    /// Its next request, to be judged by the snapshot in use now.
    pub fn visit(self) -> Visit {
        Visit {
            id: new_id(),
            peer: self.peer,
            snapshot: self.worker.shared.snapshot.load_full(),
            worker: self.worker,
            listener: self.listener,
            under_way: OnceCell::new(),
        }
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
    /// It speaks no TLS, and sends its clients to this port.
    pub redirects_to: Option<u16>,
}

/// What an accepted connection holds until it ends.
pub struct Admission {
    /// Counts against `limits.connections`.
    pub held: Held,
    /// Counts as open on its listener.
    pub guard: ConnectionGuard,
}
