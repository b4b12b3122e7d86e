//! The requests of one connection: each read, routed, admitted, and answered, or made a socket.
//!
//! ```text
//! h1 ─► authenticate ─► route ─┬─► socket (seal, dial, 101)
//! head     again        rules  ├─► plain, forward: streamed, then the next request
//!                              └─► answer: a refusal, or what the backend declined with
//! ```
//!
//! [`run`] strings these together: each takes what the one before returns, or ends the request with a
//! [`Refusal`], which ends its connection as well. Every request is judged by the snapshot in use when
//! it comes.

pub mod answer;
pub mod authenticate;
mod flow;
mod forward;
pub mod h1;
mod plain;
mod refuse;
pub mod route;
mod upgrade;
mod wire;

use crate::{
    ending::RequestEnding,
    policy::ClientCertMode,
    request::{Content, Handshake, Head, asked::Asked},
    runtime::workers,
    snapshot::Route,
    socket::{Admitted, dial::Switched, open::Socket},
    tls::{client::Client, stream::TlsStream},
    worker::{
        refusal::Refusal,
        visit::{Admission, Visit},
    },
};
use h1::Request;
use plain::{Done, Plain};
use refuse::Stopped;
use std::sync::Arc;

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

/// What became of a connection with one request.
enum Turn {
    /// It is a socket.
    Open(TlsStream, Box<(Admitted, Switched)>),
    /// It may carry another request, of which these bytes came already.
    Again(TlsStream, Vec<u8>),
    /// It is over, and its client can read all that was sent.
    Close(TlsStream),
    /// It is over where it stands.
    Cut,
    /// The request is refused.
    Refuse(TlsStream, Box<Stopped>),
}

/// What a request asks for.
enum Asks<'a> {
    WebSocket(Handshake<'a>),
    /// Anything else, with a content of this framing.
    Plain(Content),
}

/// Serves a connection's requests until one is refused or becomes a socket, or there are no more.
pub async fn run(mut visit: Visit, admission: Admission, arrived: Arrived) {
    let Arrived {
        mut stream,
        mut early,
        asked,
        mut client,
    } = arrived;
    loop {
        // On the heap, so that a connection that waits for its next request does not carry its room.
        match Box::pin(serve(&visit, stream, early, asked, &client)).await {
            Turn::Open(stream, opening) => return open(&visit, admission, stream, *opening),
            Turn::Refuse(stream, stopped) => return stopped.refuse(&visit, stream).await,
            Turn::Close(stream) => return stream.close().await,
            Turn::Cut => return,
            Turn::Again(kept, ahead) => (stream, early) = (kept, ahead),
        }
        let (idle, between) = (visit.snapshot.timeouts.idle, visit.leave());
        if early.is_empty() {
            match h1::wait_for_next(&between.worker, &mut stream, idle).await {
                Some(received) => early = received,
                None => return stream.close().await,
            }
        }
        visit = between.visit();
        client = authenticate::identify(&visit, &stream.session);
    }
}

/// Serves one request.
async fn serve(
    visit: &Visit,
    mut stream: TlsStream,
    early: Vec<u8>,
    asked: ClientCertMode,
    client: &Result<Client, Refusal>,
) -> Turn {
    // The request is read even if the client is refused: only then can it be told why.
    let request = match Request::read(visit, &mut stream, early).await {
        Ok(request) => request,
        Err(refusal) => return refuse(stream, Stopped::early(refusal, client)),
    };
    if !visit.begins_before_drain() {
        let refusal = RequestEnding::RefusedDraining.into();
        return refuse(stream, Stopped::early(refusal, client));
    }
    let head = match request.head() {
        Ok(head) => head,
        Err(refusal) => return refuse(stream, Stopped::early(refusal, client)),
    };
    let stopped = |refusal, route, client| Stopped::at(&head, refusal, route, client);
    let found = what_and_where(visit, &head, asked);
    let (asks, route) = match found {
        Ok(found) => found,
        Err((refusal, route)) => {
            return refuse(stream, stopped(refusal, route, client.as_ref().ok()));
        }
    };
    let client = match client {
        Ok(client) => client,
        Err(refusal) => return refuse(stream, stopped(refusal.clone(), Some(route), None)),
    };
    match asks {
        Asks::WebSocket(handshake) => {
            let upgraded =
                upgrade::upgrade(visit, &mut stream, &route, client, &head, handshake).await;
            match upgraded {
                Ok((switching, switched)) => {
                    let asked = Asked::of(&head, switched.subprotocol());
                    let admitted = switching.admitted(request.rest(), route, client.clone(), asked);
                    Turn::Open(stream, Box::new((admitted, switched)))
                }
                Err(refusal) => refuse(stream, stopped(refusal, Some(route), Some(client))),
            }
        }
        Asks::Plain(content) => {
            if let Err(refusal) = route::admit(visit, &route, client, &head) {
                return refuse(stream, stopped(refusal, Some(route), Some(client)));
            }
            let plain = Plain {
                visit,
                route: &route,
                client,
                head: &head,
                content,
            };
            match plain.serve(stream, request.rest()).await {
                Done::Again(stream, early) => Turn::Again(stream, early),
                Done::Close(stream) => Turn::Close(stream),
                Done::Cut => Turn::Cut,
                Done::Refused(stream, refusal) => {
                    let client = Some(client);
                    refuse(stream, stopped(refusal, Some(route.clone()), client))
                }
            }
        }
    }
}

/// What a request asks for, and the route that it takes, if that serves it.
#[allow(
    clippy::type_complexity,
    clippy::result_large_err,
    reason = "a pair used in one place, one screen above"
)]
fn what_and_where<'a>(
    visit: &Visit,
    head: &Head<'a>,
    asked: ClientCertMode,
) -> Result<(Asks<'a>, Arc<Route>), (Refusal, Option<Arc<Route>>)> {
    let asks = asks(head).map_err(|refusal| (refusal, None))?;
    let route = route::find(visit, head, asked).map_err(|refusal| (refusal, None))?;
    if matches!(asks, Asks::Plain(_)) && !route.settings.forwards_requests {
        // The handshake says what it lacks.
        let refusal = match head.handshake() {
            Err(error) => error.into(),
            Ok(_) => RequestEnding::NotWebSocket.into(),
        };
        return Err((refusal, Some(route.clone())));
    }
    Ok((asks, route.clone()))
}

fn asks<'a>(head: &Head<'a>) -> Result<Asks<'a>, Refusal> {
    Ok(if head.asks_for_websocket() {
        Asks::WebSocket(head.handshake()?)
    } else {
        Asks::Plain(head.content()?)
    })
}

fn refuse(stream: TlsStream, stopped: Stopped) -> Turn {
    Turn::Refuse(stream, Box::new(stopped))
}

/// Hands a socket over to its relay, in a fresh task with only what it needs.
fn open(
    visit: &Visit,
    admission: Admission,
    stream: TlsStream,
    (admitted, switched): (Admitted, Switched),
) {
    let (socket, relay) = Socket::open(visit, admission, stream, admitted, switched);
    workers::spawn_connection(socket.run(relay));
}
