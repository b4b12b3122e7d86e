//! The events that are logged for every connection and reload, so that each has one spelling of
//! its fields. A connection's lines share `id`.

use super::label::{ExpiryKind, Trigger};
use crate::{
    ending::{By, Ending, HandshakeEnding, RequestEnding, SocketEnding},
    request::asked::Details,
};
use std::{fmt::Display, net::SocketAddr, time::Duration};
use tracing::{Level, error, info, warn};

/// One event of a connection: who takes part, then the fields named. Its level is known only when
/// it happens, and `tracing` wants it as a constant.
macro_rules! log {
    ($level:expr, $parties:expr, $($field:ident),*; $($message:tt)*) => {{
        let Parties { id, listener, listener_address, peer, identity, route, backend, server, .. } =
            *$parties;
        let Parties { tls, cipher, asked, .. } = *$parties;
        let Details { host, path, origin, user_agent, client_request_id, subprotocol } = asked;
        let listener_address = listener_address.map(tracing::field::display);
        let client_address = peer.map(|peer| tracing::field::display(peer.ip().to_canonical()));
        let client_port = peer.map(|peer| peer.port());
        match $level {
            Level::ERROR => error!(
                id, listener, listener_address, client_address, client_port, identity, route,
                backend, server, host, path, origin, user_agent, client_request_id, subprotocol,
                tls, cipher, $($field,)* $($message)*
            ),
            Level::WARN => warn!(
                id, listener, listener_address, client_address, client_port, identity, route,
                backend, server, host, path, origin, user_agent, client_request_id, subprotocol,
                tls, cipher, $($field,)* $($message)*
            ),
            _ => info!(
                id, listener, listener_address, client_address, client_port, identity, route,
                backend, server, host, path, origin, user_agent, client_request_id, subprotocol,
                tls, cipher, $($field,)* $($message)*
            ),
        }
    }};
}

/// Who a connection is, as far as it is known yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parties<'a> {
    /// The connection's id, which is also `X-Request-Id`.
    pub id: &'a str,
    /// The listener's name.
    pub listener: &'a str,
    /// Where the listener is bound.
    pub listener_address: Option<SocketAddr>,
    /// The client's address.
    pub peer: Option<SocketAddr>,
    /// The client's certificate, in one line.
    pub identity: Option<&'a str>,
    /// The route's name.
    pub route: Option<&'a str>,
    /// The backend's name.
    pub backend: Option<&'a str>,
    /// The server of the backend.
    pub server: Option<&'a str>,
    /// The version of TLS.
    pub tls: Option<&'a str>,
    /// The cipher suite of TLS.
    pub cipher: Option<&'a str>,
    /// What the client asked for.
    pub asked: Details<'a>,
}

/// What one direction of a WebSocket carried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carried {
    /// Frames.
    pub frames: u64,
    /// Their bytes, headers included.
    pub bytes: u64,
}

/// How a WebSocket ended.
#[derive(Clone, Copy, Debug)]
pub struct Closed {
    /// Why.
    pub ending: SocketEnding,
    /// The close code that was sent or passed on.
    pub code: Option<u16>,
    /// How long it was open.
    pub open_for: Duration,
    /// From the client to the backend.
    pub to_backend: Carried,
    /// From the backend to the client.
    pub to_client: Carried,
}

/// A WebSocket is open: the client has its 101. `integrity` is what was negotiated, if anything.
pub fn opened(parties: &Parties<'_>, integrity: Option<&str>) {
    log!(Level::INFO, parties, integrity; "websocket open");
}

/// A WebSocket has ended. `detail` names the rule that was broken, where one was.
pub fn closed(parties: &Parties<'_>, closed: &Closed, detail: Option<&str>) {
    let (reason, by) = (closed.ending.label(), closed.ending.by().label());
    let (code, seconds) = (closed.code, closed.open_for.as_secs_f64());
    let (frames_to_backend, bytes_to_backend) = (closed.to_backend.frames, closed.to_backend.bytes);
    let (frames_to_client, bytes_to_client) = (closed.to_client.frames, closed.to_client.bytes);
    log!(
        level_of_closed(closed.ending), parties,
        reason, by, code, seconds,
        frames_to_backend, bytes_to_backend, frames_to_client, bytes_to_client, detail;
        "websocket closed: {}", closed.ending.sentence()
    );
}

/// A sealed unit of a client was not as it should be; logged once a connection.
pub fn unit_failed(
    id: &str,
    identity: Option<&str>,
    route: &str,
    kid: Option<&str>,
    result: super::UnitResult,
) {
    let result = result.label();
    warn!(
        id,
        identity, route, kid, result, "frame integrity: a unit of the client failed"
    );
}

/// A connection was refused before its handshake was done. `detail` says more than the ending does,
/// such as the error of TLS; never a secret.
pub fn handshake_refused(
    parties: &Parties<'_>,
    ending: HandshakeEnding,
    detail: Option<&dyn Display>,
) {
    let detail = detail.map(tracing::field::display);
    let (stage, reason, by) = ("handshake", ending.label(), ending.by().label());
    log!(
        level_by(ending.by()), parties, stage, reason, by, detail;
        "refused: {}", ending.sentence()
    );
}

/// A request was refused; `method`: it asked for no WebSocket. `detail` says more than the ending does,
/// such as the rule that denied it; never a secret.
pub fn request_refused(
    parties: &Parties<'_>,
    method: Option<&str>,
    ending: RequestEnding,
    detail: Option<&dyn Display>,
) {
    let detail = detail.map(tracing::field::display);
    let stage = if method.is_some() {
        "request"
    } else {
        "upgrade"
    };
    let (reason, by, status) = (ending.label(), ending.by().label(), ending.status());
    log!(
        level_of_refused(ending), parties, stage, method, reason, by, status, detail;
        "refused: {}", ending.sentence()
    );
}

/// What a plain request and its answer came to.
#[derive(Clone, Copy, Debug)]
pub struct Transferred<'a> {
    /// The request's method.
    pub method: &'a str,
    /// The answer's status, if there was one.
    pub status: Option<u16>,
    /// From the head of the request to the end.
    pub took: Duration,
    /// Bytes of the request's content.
    pub to_backend: u64,
    /// Bytes of the answer, with its head.
    pub to_client: u64,
    /// Why it has not come to its end; `None`: it has.
    pub ending: Option<RequestEnding>,
}

/// A plain request has its answer, whole or not. `detail` says more than the ending does.
pub fn answered(parties: &Parties<'_>, it: &Transferred<'_>, detail: Option<&dyn Display>) {
    let detail = detail.map(tracing::field::display);
    let (method, status, seconds) = (it.method, it.status, it.took.as_secs_f64());
    let (bytes_to_backend, bytes_to_client) = (it.to_backend, it.to_client);
    let reason = it.ending.map(Ending::label);
    let by = it.ending.map(|ending| ending.by().label());
    log!(
        it.ending.map_or(Level::INFO, level_of_refused), parties,
        method, status, seconds, bytes_to_backend, bytes_to_client, reason, by, detail;
        "{}", it.ending.map_or("request answered", Ending::sentence)
    );
}

/// An open WebSocket no longer passes and is about to end; `detail` names the rule that decided.
pub fn withdrawn(parties: &Parties<'_>, ending: SocketEnding, detail: &str) {
    let reason = ending.label();
    log!(Level::INFO, parties, reason, detail; "websocket no longer passes");
}

/// A snapshot was applied. `changes` says what differs from the last one, in one line.
pub fn reloaded(trigger: Trigger, generation: u64, changes: &str, took: Duration) {
    let (trigger, seconds) = (trigger.label(), took.as_secs_f64());
    info!(
        trigger,
        result = "ok",
        generation,
        changes,
        seconds,
        "configuration in use"
    );
}

/// A reload found nothing new.
pub fn unchanged(trigger: Trigger, generation: u64) {
    let trigger = trigger.label();
    info!(
        trigger,
        result = "unchanged",
        generation,
        "configuration unchanged"
    );
}

/// A reload failed; `generation` stays in use. One line for each problem, and one that counts them.
pub fn reload_failed<P: Display>(trigger: Trigger, generation: u64, problems: &[P]) {
    let (trigger, result) = (trigger.label(), "failed");
    for problem in problems {
        error!(trigger, result, generation, %problem, "problem in the configuration");
    }
    let count = problems.len();
    error!(
        trigger,
        result,
        generation,
        problems = count,
        "reload failed; the configuration in use stays"
    );
}

/// Something that will end soon: in so many whole days, and hours in all.
pub(super) fn expires_soon(kind: ExpiryKind, name: &str, days: i64, hours: i64) {
    let (kind, from_then_on) = (kind.label(), kind.consequence());
    warn!(
        kind,
        name, days, hours, from_then_on, "expires soon; renew it"
    );
}

/// Something that has ended, and what follows.
pub(super) fn expired(kind: ExpiryKind, name: &str) {
    let consequence = kind.consequence();
    warn!(
        kind = kind.label(),
        name, consequence, "has expired; renew it"
    );
}

/// What peers do is news; what the backend or the proxy itself does may need somebody.
const fn level_by(by: By) -> Level {
    match by {
        By::Client => Level::INFO,
        By::Backend | By::Proxy => Level::WARN,
    }
}

fn level_of_refused(ending: RequestEnding) -> Level {
    match ending {
        RequestEnding::BackendDeclined | RequestEnding::RefusedDraining => Level::INFO,
        other => level_by(other.by()),
    }
}

fn level_of_closed(ending: SocketEnding) -> Level {
    match ending {
        SocketEnding::Internal => Level::ERROR,
        SocketEnding::BackendClosed
        | SocketEnding::ClosedByOperator
        | SocketEnding::Draining
        | SocketEnding::IdleTimeout => Level::INFO,
        other => level_by(other.by()),
    }
}

#[cfg(test)]
mod tests;
