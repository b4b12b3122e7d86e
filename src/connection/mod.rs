//! The data's path, one stage a file.
//!
//! ```text
//! listen ─► handshake ─► authenticate ─► upgrade ─► route ─► dial ─► relay ─► close
//!   TCP        TLS          identity      request    route   backend  frames   record
//! ```
//!
//! [`serve`] strings the stages together: each takes what the one before gives, or ends the
//! connection with a [`Refusal`]. The first six run in a task that holds the snapshot; the relay
//! runs in a fresh one that holds only what it needs.

pub mod authenticate;
pub mod close;
pub mod dial;
pub mod exchange;
pub mod handshake;
pub mod listen;
mod random;
pub mod relay;
pub mod route;
pub mod seal;
pub mod settings;
pub mod snapshot;
pub mod towards_backend;
pub mod trust;
pub mod upgrade;
pub mod worker;

pub use settings::{Limits, ListenerSettings, Timeouts};
pub use worker::{Shared, Worker};

use crate::{
    ending::{Ending, HandshakeEnding, RequestEnding},
    integrity::agreement::Agreement,
    lifecycle::{
        clients::{Seat, Who},
        connections::ConnectionId,
        permits::Held,
        workers,
    },
    observe::{
        Asked,
        event::{self, Parties},
    },
    policy::request::RequestHead,
    tls::stream::{TlsStream, linger},
};
use authenticate::Client;
use dial::{Answer, Switched};
use handshake::Failed;
use listen::{Admission, Listener};
use snapshot::{Route, Snapshot};
use std::{cell::OnceCell, fmt::Display, net::SocketAddr, rc::Rc, sync::Arc};
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use upgrade::Request;

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

/// Why a connection does not become a socket, by an ending of the stage that it had come to.
#[derive(Debug)]
pub struct Refusal<E = RequestEnding> {
    /// The reason.
    pub ending: E,
    /// More than the reason says, for the log and, unless private, for the client.
    pub detail: Option<String>,
    /// Whether the detail names what only operators should know.
    pub private: bool,
}

/// An admitted request, and the route that it takes.
struct Admitted {
    request: Request,
    route: Arc<Route>,
    client: Client,
    /// What was agreed on about frame integrity.
    agreement: Option<Agreement>,
    /// Its place among the client's sockets, where those are limited.
    seat: Option<Seat>,
    /// What the lines of its socket show of the request.
    asked: Asked,
    /// See [`Switching::random`].
    random: [u8; 12],
}

/// What a request has come to with its 101.
struct Switching {
    switched: Switched,
    agreement: Option<Agreement>,
    seat: Option<Seat>,
    /// For the socket's own Pings and masks: drawn while a lack of it can still be told.
    random: [u8; 12],
}

/// Serves one accepted connection until it is refused or becomes a socket.
pub async fn serve(visit: Visit, admission: Admission, tcp: TcpStream, handshake: Held) {
    let timer = visit.listener.metrics.handshake();
    let secured = handshake::run(&visit, tcp).await;
    drop(handshake);
    let mut secured = match secured {
        Ok(secured) => {
            timer.finish(Ok(()));
            secured
        }
        Err(Failed { refusal, told }) => {
            timer.finish(Err(refusal.ending));
            visit.log_refusal(
                refusal.ending,
                refusal.detail.as_ref().map(|d| d as &dyn Display),
            );
            if let Some(tcp) = told {
                linger(tcp).await;
            }
            return;
        }
    };
    let early = std::mem::take(&mut secured.early);
    let result = upgrade(&visit, &mut secured.stream, early, secured.mode).await;
    match result {
        Ok((admitted, switched)) => open(&visit, admission, secured.stream, admitted, switched),
        Err(stopped) => refuse(&visit, secured.stream, &stopped).await,
    }
}

/// A refusal, and how far the request had come.
struct Stopped {
    refusal: Refusal,
    route: Option<Arc<Route>>,
    client: Option<Client>,
    /// What was asked for, where that was understood.
    asked: Asked,
}

/// From the finished handshake to the 101.
async fn upgrade(
    visit: &Visit,
    stream: &mut TlsStream,
    early: Vec<u8>,
    asked: crate::policy::ClientCertMode,
) -> Result<(Admitted, Switched), Stopped> {
    let client = authenticate::identify(visit, &stream.session);
    visit.count_resumption(stream, !client.as_ref().is_ok_and(Client::is_trusted));
    let stopped = |refusal| Stopped {
        refusal,
        route: None,
        client: client.as_ref().ok().cloned(),
        asked: Asked::default(),
    };
    // The request is read even if the client is refused: only then can it be told why.
    let request = Request::read(visit, stream, early).await.map_err(stopped)?;
    if !visit.begins_before_drain() {
        return Err(stopped(RequestEnding::RefusedDraining.into()));
    }
    let head = request.head().map_err(stopped)?;
    let stopped = |refusal, route, client| Stopped {
        refusal,
        route,
        client,
        asked: Asked::of(&head, None),
    };
    let route = match route::find(visit, &head, asked) {
        Ok(route) => route.clone(),
        Err(refusal) => return Err(stopped(refusal, None, client.ok())),
    };
    let client = match client {
        Ok(client) => client,
        Err(refusal) => return Err(stopped(refusal, Some(route), None)),
    };
    match switch(visit, stream, &route, &client, &head).await {
        Ok(switching) => {
            let asked = Asked::of(&head, switching.switched.subprotocol());
            let admitted = Admitted {
                request,
                route,
                client,
                agreement: switching.agreement,
                seat: switching.seat,
                asked,
                random: switching.random,
            };
            Ok((admitted, switching.switched))
        }
        Err(refusal) => Err(stopped(refusal, Some(route), Some(client))),
    }
}

/// From the route to the 101.
async fn switch(
    visit: &Visit,
    stream: &mut TlsStream,
    route: &Arc<Route>,
    client: &Client,
    head: &RequestHead<'_>,
) -> Result<Switching, Refusal> {
    route::admit(&visit.snapshot, visit.listener.index, route, client, head)?;
    let seat = visit.seat(client)?;
    let random = random::random()?;
    let negotiated = seal::negotiate(visit, &mut stream.session, route, head)?;
    match dial::dial(visit, route, client, head, &negotiated).await? {
        Answer::Switched(mut switched) => {
            let agreement = negotiated.conclude(&mut switched.fields, route.settings.integrity)?;
            let mut response = towards_backend::switching_response(&switched);
            if let Some(nonce) = agreement.as_ref().and_then(Agreement::first_message) {
                relay::push_text(&nonce, &mut response);
            }
            answer(visit, stream, &response).await?;
            Ok(Switching {
                switched,
                agreement,
                seat,
                random,
            })
        }
        Answer::Declined(declined) => {
            let response = towards_backend::declining_response(&declined);
            answer(visit, stream, &response).await?;
            Err(Refusal::new(RequestEnding::BackendDeclined, declined))
        }
    }
}

/// Sends an answer whole; a client that does not take it within `timeouts.write` is given up.
async fn answer(visit: &Visit, stream: &mut TlsStream, octets: &[u8]) -> Result<(), Refusal> {
    let write = stream.write(octets, &visit.worker.buffers);
    let gone = |error: &dyn Display| Refusal::new(RequestEnding::Gone, error);
    match timeout(visit.snapshot.timeouts.write, write).await {
        Ok(written) => written.map_err(|error| gone(&error)),
        Err(_) => Err(gone(&"it did not take the answer within timeouts.write")),
    }
}

/// Hands a socket over to its relay, in a fresh task with only what it needs.
fn open(
    visit: &Visit,
    admission: Admission,
    stream: TlsStream,
    admitted: Admitted,
    switched: Switched,
) {
    let (socket, relay) = close::Socket::open(visit, admission, stream, admitted, switched);
    workers::spawn_connection(socket.run(relay));
}

/// Tells a client why its request is refused, and ends the connection.
async fn refuse(visit: &Visit, mut stream: TlsStream, stopped: &Stopped) {
    let Stopped {
        refusal,
        route,
        client,
        asked,
    } = stopped;
    let route = route.as_deref();
    match route {
        Some(route) => route.metrics.refused(refusal.ending),
        None => visit
            .worker
            .shared
            .metrics
            .refused_without_route(refusal.ending),
    }
    let id = visit.id.to_string();
    let identity = client
        .as_ref()
        .and_then(|client| client.identity.as_ref())
        .map(|identity| identity.display_name());
    let parties = Parties {
        identity: identity.as_deref(),
        route: route.map(|route| &*route.name),
        backend: route.map(|route| &*route.backend.name),
        tls: Some(stream.session.version()),
        cipher: Some(stream.session.cipher()),
        asked: asked.details(),
        ..visit.parties(&id)
    };
    event::request_refused(
        &parties,
        refusal.ending,
        refusal.detail.as_ref().map(|detail| detail as &dyn Display),
    );
    if let Some(response) = upgrade::refusal_response(refusal, visit.id) {
        let deadline = visit.snapshot.timeouts.upgrade;
        let write = stream.write(response.as_bytes(), &visit.worker.buffers);
        // A client that does not take its refusal is gone either way.
        let _ = timeout(deadline, write).await;
    }
    stream.close().await;
}

impl Visit {
    /// Who takes part, as far as the listener knows.
    fn parties<'a>(&'a self, id: &'a str) -> Parties<'a> {
        Parties {
            id,
            listener: &self.listener.name,
            listener_address: Some(self.listener.address),
            peer: Some(self.peer),
            ..Parties::default()
        }
    }

    /// Whether its request comes before a drain, which then waits for the answer.
    fn begins_before_drain(&self) -> bool {
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
    fn seat(&self, client: &Client) -> Result<Option<Seat>, Refusal> {
        let who = Who::of(client.identity.as_deref(), self.peer.ip());
        let limits = &self.snapshot.limits.client;
        let clients = &self.worker.shared.clients;
        let entered = clients.enter(who, limits, Instant::now());
        entered.map_err(|reached| Refusal::new(RequestEnding::Limit, reached))
    }

    /// Logs a refusal before the handshake was done.
    fn log_refusal(&self, ending: HandshakeEnding, detail: Option<&dyn Display>) {
        event::handshake_refused(&self.parties(&self.id.to_string()), ending, detail);
    }

    fn count_resumption(&self, stream: &TlsStream, refused: bool) {
        use crate::observe::Resumption;
        let result = match (stream.session.is_resumed(), refused) {
            (false, _) => Resumption::Full,
            (true, false) => Resumption::Resumed,
            (true, true) => Resumption::Refused,
        };
        self.worker.shared.metrics.resumption(result);
    }
}

impl<E: Ending> Refusal<E> {
    /// A refusal that says more than its reason.
    pub fn new(ending: E, detail: impl Display) -> Self {
        Self {
            ending,
            detail: Some(detail.to_string()),
            private: false,
        }
    }

    /// Keeps the detail from the client.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }
}

impl<E: Ending> From<E> for Refusal<E> {
    fn from(ending: E) -> Self {
        Self {
            ending,
            detail: None,
            private: false,
        }
    }
}
