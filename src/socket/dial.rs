//! Stage 6: the backend's connection and its 101.
//!
//! Takes: a route and an admitted request. Returns: a connection whose handshake is verified
//! (RFC 6455 section 4.1), and what came behind it. Refuses when no server is up (503), none can
//! be reached (502), the answer is late (504), or it is no valid 101 (502); a valid answer other
//! than 101 is passed on. Deadline: `timeouts.connect`, for connecting and again for the answer.
//! Metric: `backend_connect_seconds`, `backend_up`, `backend_open`.

use super::{
    backend_request,
    seal::Negotiated,
    switched::{Declined, Exchanged, exchange},
};
use crate::{
    backend::{
        Backend, Balance, HashOn, OpenConnection, Server,
        choice::Choice,
        stream::{BackendStream, is_ours},
    },
    ending::RequestEnding,
    request::{Handshake, Head},
    snapshot::Route,
    tls::client::Client,
    worker::{refusal::Refusal, visit::Visit},
};
use aws_lc_rs::rand;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use std::{convert::Infallible, fmt::Display, io, sync::Arc, time::SystemTime};
use tokio::time::{Instant, timeout, timeout_at};

/// What a backend answered.
pub enum Answer {
    /// A verified 101.
    Switched(Switched),
    /// Another status, to be passed on.
    Declined(Declined),
}

/// A backend that speaks WebSocket from here on.
pub struct Switched {
    /// The transport.
    pub stream: BackendStream,
    /// What came behind the 101.
    pub early: Bytes,
    /// The fields of the 101.
    pub fields: HeaderMap,
    /// The server that answered.
    pub server: Arc<Server>,
    /// Counts the connection.
    pub open: OpenConnection,
}

impl Switched {
    /// The subprotocol that was chosen.
    pub fn subprotocol(&self) -> Option<&[u8]> {
        let chosen = self.fields.get(header::SEC_WEBSOCKET_PROTOCOL);
        chosen.map(HeaderValue::as_bytes)
    }
}

/// Connects to a server of the route's backend and makes the handshake with it.
pub async fn dial(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
    handshake: Handshake<'_>,
    negotiated: &Negotiated,
) -> Result<Answer, Refusal> {
    let nothing_kept = |_: &Server| None::<Infallible>;
    let reached = reach(visit, route, client, head, nothing_kept).await?;
    let (server, open, Reached::New(stream)) = reached;
    let request = backend_request::request(visit, route, client, head, negotiated)?;
    let deadline = Instant::now() + visit.snapshot.timeouts.connect;
    let answer = exchange(stream, request, handshake.key, deadline);
    match timeout_at(deadline, answer).await {
        Err(_) => Err(slow(&server, "no answer to the handshake")),
        Ok(Err(error)) => Err(nonsense(&server, &error)),
        Ok(Ok(Exchanged::Declined(declined))) => Ok(Answer::Declined(declined)),
        Ok(Ok(Exchanged::Switched {
            stream,
            early,
            fields,
        })) => Ok(Answer::Switched(Switched {
            stream,
            early,
            fields,
            server,
            open,
        })),
    }
}

/// A connection to a server.
pub(crate) enum Reached<K> {
    /// One that was kept.
    Kept(K),
    /// A new one.
    New(BackendStream),
}

/// Tries the servers of a backend until one accepts, or one is chosen to which a connection is `kept`;
/// those that do not accept are marked down, unless the reason is this machine's.
pub(crate) async fn reach<K>(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
    kept: impl Fn(&Server) -> Option<K>,
) -> Result<(Arc<Server>, OpenConnection, Reached<K>), Refusal> {
    let backend = &route.backend;
    let choice = choice(visit, backend, client, head);
    let mut tried = Vec::new();
    let mut failure = Refusal::from(RequestEnding::NoBackendUp);
    while let Some(server) = backend.choose(&choice, &tried).cloned() {
        let started = Instant::now();
        // Counted from now on, so that those who come meanwhile are spread over the others.
        let open = server.opened();
        if let Some(kept) = kept(&server) {
            return Ok((server, open, Reached::Kept(kept)));
        }
        let attempt = BackendStream::connect(&server.address);
        let (refusal, error) = match timeout(visit.snapshot.timeouts.connect, attempt).await {
            Ok(Ok(stream)) => {
                server.connected(SystemTime::now());
                backend.metrics.connected(started.elapsed());
                return Ok((server, open, Reached::New(stream)));
            }
            Ok(Err(error)) => {
                let theirs = (!is_ours(&error)).then(|| error.to_string());
                (unreachable_server(&server, &error), theirs)
            }
            Err(_) => {
                let error = "no connection within timeouts.connect".to_owned();
                (slow(&server, "no connection"), Some(error))
            }
        };
        if let Some(error) = error {
            take_down(backend, &server, &refusal, error);
        }
        failure = refusal;
        tried.push(server);
    }
    Err(failure)
}

fn take_down(backend: &Backend, server: &Server, refusal: &Refusal, error: String) {
    if server.failed(error, SystemTime::now()) {
        tracing::warn!(
            backend = &*backend.name,
            server = &*server.label,
            error = refusal.detail.as_deref(),
            "backend server is down; it is probed until it answers"
        );
    }
}

fn choice<'a>(visit: &Visit, backend: &Backend, client: &'a Client, head: &Head<'a>) -> Choice<'a> {
    let mut random = [0; 8];
    // Without randomness the choice is only less even.
    let _ = rand::fill(&mut random);
    let header = match &backend.balance {
        Balance::Hash(HashOn::Header(name)) => {
            let mut fields = head.fields().iter();
            fields
                .find(|field| field.name.eq_ignore_ascii_case(name.as_str()))
                .map(|field| field.value)
        }
        _ => None,
    };
    Choice {
        certificate: client
            .identity
            .as_ref()
            .map(|identity| identity.fingerprint.as_bytes().as_slice()),
        address: visit.peer.ip(),
        header,
        random: u64::from_ne_bytes(random),
    }
}

fn unreachable_server(server: &Server, error: &io::Error) -> Refusal {
    Refusal::new(
        RequestEnding::BackendUnreachable,
        format!("{}: {error}", server.label),
    )
    .private()
}

fn slow(server: &Server, what: &str) -> Refusal {
    let detail = format!("{}: {what} within timeouts.connect", server.label);
    Refusal::new(RequestEnding::BackendSlow, detail).private()
}

pub(crate) fn nonsense(server: &Server, error: &dyn Display) -> Refusal {
    Refusal::new(
        RequestEnding::BackendNonsense,
        format!("{}: {error}", server.label),
    )
    .private()
}
