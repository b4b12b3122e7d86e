//! Stage 6: the backend's connection and its 101.
//!
//! Takes: a route and an admitted request. Gives: a connection whose handshake is verified
//! (RFC 6455 section 4.1), and what came behind it. Refuses when no server is up (503), none can
//! be reached (502), the answer is late (504), or it is no valid 101 (502); a valid answer other
//! than 101 is passed on. Deadline: `timeouts.connect`, for connecting and again for the answer.
//! Metric: `backend_connect_seconds`, `backend_up`, `backend_open`.

use super::{
    Refusal, Visit, authenticate::Client, seal::Negotiated, snapshot::Route, towards_backend,
};
use crate::{
    backend::{
        Backend, HashOn, OpenConnection, Server,
        balance::Choice,
        stream::{BackendStream, is_ours},
    },
    ending::Ending,
    policy::{handshake::accept_matches, request::RequestHead},
};
use aws_lc_rs::rand;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use std::{io, pin::pin, sync::Arc};
use tokio::time::{Instant, timeout};

/// Octets of a backend's header section, at most.
const HEAD_MAX: usize = 64 * 1024;
/// Octets of a declining answer's content that are passed on, at most.
const CONTENT_MAX: usize = 1 << 20;

/// What a backend answered.
pub enum Answer {
    /// A verified 101.
    Switched(Switched),
    /// Another status, to be passed on.
    Declined {
        /// Status and fields.
        head: http::response::Parts,
        /// The content, whole.
        content: Bytes,
    },
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

/// Connects to a server of the route's backend and makes the handshake with it.
pub async fn dial(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &RequestHead<'_>,
    negotiated: &Negotiated,
) -> Result<Answer, Refusal> {
    let (server, open, stream) = connect(visit, route, client, head).await?;
    let request = towards_backend::request(visit, client, head, negotiated)?;
    let deadline = visit.snapshot.timeouts.connect;
    let answer = timeout(deadline, exchange(stream, request, head.key()));
    match answer.await {
        Err(_) => Err(slow(&server, "no answer to the handshake")),
        Ok(Err(error)) => Err(nonsense(&server, &error)),
        Ok(Ok(Exchanged::Declined { head, content })) => Ok(Answer::Declined { head, content }),
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

/// Tries the servers of a backend until one accepts; those that do not are marked down, unless the
/// reason is this machine's.
async fn connect(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &RequestHead<'_>,
) -> Result<(Arc<Server>, OpenConnection, BackendStream), Refusal> {
    let backend = &route.backend;
    let choice = choice(visit, backend, client, head);
    let mut tried = Vec::new();
    let mut failure = Refusal::from(Ending::NoBackendUp);
    while let Some(server) = backend.choose(&choice, &tried).cloned() {
        let started = Instant::now();
        // Counted from now on, so that those who come meanwhile are spread over the others.
        let open = server.opened();
        let attempt = BackendStream::connect(&server.address);
        let (refusal, ours) = match timeout(visit.snapshot.timeouts.connect, attempt).await {
            Ok(Ok(stream)) => {
                if let Some(metrics) = &backend.metrics {
                    metrics.connected(started.elapsed());
                }
                return Ok((server, open, stream));
            }
            Ok(Err(error)) => (unreachable_server(&server, &error), is_ours(&error)),
            Err(_) => (slow(&server, "no connection"), false),
        };
        if !ours {
            take_down(backend, &server, &refusal);
        }
        failure = refusal;
        tried.push(server);
    }
    Err(failure)
}

fn take_down(backend: &Backend, server: &Server, refusal: &Refusal) {
    if server.mark_down() {
        tracing::warn!(
            backend = &*backend.name,
            server = &*server.label,
            error = refusal.detail.as_deref(),
            "backend server is down; it is probed until it answers"
        );
    }
}

fn choice<'a>(
    visit: &Visit,
    backend: &Backend,
    client: &'a Client,
    head: &RequestHead<'a>,
) -> Choice<'a> {
    let mut random = [0; 8];
    // Without randomness the choice is only less even.
    let _ = rand::fill(&mut random);
    let header = match &backend.balance {
        crate::backend::Balance::Hash(HashOn::Header(name)) => {
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
        Ending::BackendUnreachable,
        format!("{}: {error}", server.label),
    )
    .private()
}

fn slow(server: &Server, what: &str) -> Refusal {
    let detail = format!("{}: {what} within timeouts.connect", server.label);
    Refusal::new(Ending::BackendSlow, detail).private()
}

fn nonsense(server: &Server, error: &ExchangeError) -> Refusal {
    Refusal::new(
        Ending::BackendNonsense,
        format!("{}: {error}", server.label),
    )
    .private()
}

/// A backend's whole answer.
enum Exchanged {
    Switched {
        stream: BackendStream,
        early: Bytes,
        fields: HeaderMap,
    },
    Declined {
        head: http::response::Parts,
        content: Bytes,
    },
}

/// Why a backend's answer is no answer.
#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("the 101 has no valid {0} (RFC 6455 section 4.1)")]
    Field(&'static str),
    #[error("the 101 is not HTTP/1.1 (RFC 6455 section 4.1)")]
    Version,
    #[error("a declining answer's content could not be read: {0}")]
    Content(Box<dyn std::error::Error + Send + Sync>),
}

async fn exchange(
    stream: BackendStream,
    request: http::Request<Empty<Bytes>>,
    key: &str,
) -> Result<Exchanged, ExchangeError> {
    let (mut sender, connection) = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(HEAD_MAX)
        .handshake(TokioIo::new(stream))
        .await?;
    let mut connection = pin!(connection.without_shutdown());
    let mut answer = pin!(sender.send_request(request));
    let mut parts = None;
    let response = tokio::select! {
        biased;
        response = &mut answer => response?,
        ended = &mut connection => {
            parts = Some(ended?);
            // The connection ends with the answer to the request, or without one.
            answer.await?
        }
    };
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let content = collect(response, connection, parts.is_some()).await?;
        return Ok(content);
    }
    verify(&response, key)?;
    let parts = match parts {
        Some(parts) => parts,
        None => connection.await?,
    };
    Ok(Exchanged::Switched {
        stream: parts.io.into_inner(),
        early: parts.read_buf,
        fields: response.into_parts().0.headers,
    })
}

/// RFC 6455 section 4.1: what a client must find in the 101.
fn verify(response: &Response<Incoming>, key: &str) -> Result<(), ExchangeError> {
    let fields = response.headers();
    if response.version() != http::Version::HTTP_11 {
        return Err(ExchangeError::Version);
    }
    if !has_token(fields, &header::UPGRADE, "websocket") {
        return Err(ExchangeError::Field("Upgrade: websocket"));
    }
    if !has_token(fields, &header::CONNECTION, "upgrade") {
        return Err(ExchangeError::Field("Connection: upgrade"));
    }
    let mut accepts = fields.get_all(header::SEC_WEBSOCKET_ACCEPT).iter();
    match (accepts.next(), accepts.next()) {
        (Some(accept), None) if accept_matches(key, accept.as_bytes()) => Ok(()),
        _ => Err(ExchangeError::Field("Sec-WebSocket-Accept")),
    }
}

fn has_token(fields: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    fields
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|member| member.trim().eq_ignore_ascii_case(token))
}

/// Reads the content of a declining answer while the connection still delivers it.
async fn collect<T>(
    response: Response<Incoming>,
    mut connection: std::pin::Pin<&mut impl Future<Output = Result<T, hyper::Error>>>,
    ended: bool,
) -> Result<Exchanged, ExchangeError> {
    let (head, body) = response.into_parts();
    let mut content = pin!(Limited::new(body, CONTENT_MAX).collect());
    let collected = tokio::select! {
        biased;
        collected = &mut content => collected,
        result = &mut connection, if !ended => {
            result?;
            content.await
        }
    };
    let content = collected.map_err(ExchangeError::Content)?.to_bytes();
    Ok(Exchanged::Declined { head, content })
}
