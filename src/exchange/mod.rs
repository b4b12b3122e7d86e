//! One request: read, routed, admitted, and answered or made a socket.
//!
//! ```text
//! h1 ─► route ─► socket (seal, dial, 101)
//! head   rules    └─► answer: a refusal, or what the backend declined with
//! ```
//!
//! [`run`] strings these together: each takes what the one before returns, or ends the request with a
//! [`Refusal`].

pub mod answer;
pub mod h1;
pub mod route;

use crate::{
    ending::RequestEnding,
    integrity::agreement::Agreement,
    observe::event::{self, Parties},
    policy::ClientCertMode,
    request::{RequestHead, asked::Asked},
    roster::quotas::Seat,
    runtime::workers,
    snapshot::Route,
    socket::{
        Admitted,
        dial::{self, Answer, Switched},
        open::Socket,
        relay, seal,
    },
    tls::{client::Client, stream::TlsStream},
    worker::{
        random::random,
        refusal::Refusal,
        visit::{Admission, Visit},
    },
};
use h1::Request;
use std::{fmt::Display, sync::Arc};
use tokio::time::timeout;

/// What a request has come to with its 101.
struct Switching {
    switched: Switched,
    agreement: Option<Agreement>,
    seat: Option<Seat>,
    /// For the socket's own Pings and masks: drawn while a lack of it can still be told.
    random: [u8; 12],
}

/// A refusal, and how far the request had come.
struct Stopped {
    refusal: Refusal,
    route: Option<Arc<Route>>,
    client: Option<Client>,
    /// What was asked for, where that was understood.
    asked: Asked,
}

/// What a finished handshake hands over to the exchange.
pub struct Arrived {
    /// The connection.
    pub stream: TlsStream,
    /// Application data that came with the last flight.
    pub early: Vec<u8>,
    /// How the TLS session asked for a certificate.
    pub asked: ClientCertMode,
    /// Who the client is, or why that cannot be said; it is told once its request is there.
    pub client: Result<Client, Refusal>,
}

/// Serves a connection's request until it is refused or becomes a socket.
pub async fn run(visit: &Visit, admission: Admission, arrived: Arrived) {
    let Arrived {
        mut stream,
        early,
        asked,
        client,
    } = arrived;
    match upgrade(visit, &mut stream, early, asked, client).await {
        Ok((admitted, switched)) => open(visit, admission, stream, admitted, switched),
        Err(stopped) => refuse(visit, stream, &stopped).await,
    }
}

/// From the finished handshake to the 101.
async fn upgrade(
    visit: &Visit,
    stream: &mut TlsStream,
    early: Vec<u8>,
    asked: ClientCertMode,
    client: Result<Client, Refusal>,
) -> Result<(Admitted, Switched), Stopped> {
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
                behind: request.behind().to_vec(),
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
    let random = random()?;
    let negotiated = seal::negotiate(visit, &mut stream.session, route, head)?;
    match dial::dial(visit, route, client, head, &negotiated).await? {
        Answer::Switched(mut switched) => {
            let agreement = negotiated.conclude(&mut switched.fields, route.settings.integrity)?;
            let mut response = answer::switching_response(&switched);
            if let Some(nonce) = agreement.as_ref().and_then(Agreement::first_message) {
                relay::push_text(&nonce, &mut response);
            }
            send(visit, stream, &response).await?;
            Ok(Switching {
                switched,
                agreement,
                seat,
                random,
            })
        }
        Answer::Declined(declined) => {
            let response = answer::declining_response(&declined);
            send(visit, stream, &response).await?;
            Err(Refusal::new(RequestEnding::BackendDeclined, declined))
        }
    }
}

/// Sends an answer whole; a client that does not take it within `timeouts.write` is given up.
async fn send(visit: &Visit, stream: &mut TlsStream, bytes: &[u8]) -> Result<(), Refusal> {
    let write = stream.write(bytes, &visit.worker.buffers);
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
    let (socket, relay) = Socket::open(visit, admission, stream, admitted, switched);
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
    if let Some(response) = answer::refusal_response(refusal, visit.id) {
        let deadline = visit.snapshot.timeouts.upgrade;
        let write = stream.write(response.as_bytes(), &visit.worker.buffers);
        // A client that does not take its refusal is gone either way.
        let _ = timeout(deadline, write).await;
    }
    stream.close().await;
}
