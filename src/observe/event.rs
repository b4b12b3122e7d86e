//! The events that are logged for every connection and reload, so that each has one spelling of
//! its fields. A connection's lines share `id`.

use super::{ExpiryKind, label::Trigger};
use crate::{
    ending::{By, Ending, HandshakeEnding, RequestEnding, SocketEnding},
    request::asked::Details,
};
use std::{fmt::Display, net::SocketAddr, time::Duration};
use tracing::{Level, error, info, warn};

/// One event of a connection: who takes part, then the fields named. Its level is known only when
/// it happens, and `tracing` wants it as a constant.
macro_rules! tell {
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
    tell!(Level::INFO, parties, integrity; "websocket open");
}

/// A WebSocket has ended. `detail` names the rule that was broken, where one was.
pub fn closed(parties: &Parties<'_>, closed: &Closed, detail: Option<&str>) {
    let (reason, by) = (closed.ending.label(), closed.ending.by().label());
    let (code, seconds) = (closed.code, closed.open_for.as_secs_f64());
    let (frames_to_backend, bytes_to_backend) = (closed.to_backend.frames, closed.to_backend.bytes);
    let (frames_to_client, bytes_to_client) = (closed.to_client.frames, closed.to_client.bytes);
    tell!(
        level_of_closed(closed.ending), parties,
        reason, by, code, seconds,
        frames_to_backend, bytes_to_backend, frames_to_client, bytes_to_client, detail;
        "websocket closed: {}", closed.ending.sentence()
    );
}

/// A sealed unit of a client was not as it should be; told once a connection.
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
    tell!(
        level_by(ending.by()), parties, stage, reason, by, detail;
        "refused: {}", ending.sentence()
    );
}

/// A request was refused. `detail` says more than the ending does, such as the rule that denied it;
/// never a secret.
pub fn request_refused(parties: &Parties<'_>, ending: RequestEnding, detail: Option<&dyn Display>) {
    let detail = detail.map(tracing::field::display);
    let (stage, reason, by) = ("upgrade", ending.label(), ending.by().label());
    let status = ending.status();
    tell!(
        level_of_refused(ending), parties, stage, reason, by, status, detail;
        "refused: {}", ending.sentence()
    );
}

/// An open WebSocket no longer passes and is about to end; `detail` names the rule that decided.
pub fn withdrawn(parties: &Parties<'_>, ending: SocketEnding, detail: &str) {
    let reason = ending.label();
    tell!(Level::INFO, parties, reason, detail; "websocket no longer passes");
}

/// A snapshot was put to use. `changes` tells what differs from the last one, in one line.
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
mod tests {
    use super::*;
    use crate::observe::{LogFormat, log::lines_of};
    use serde_json::Value;

    fn logged(act: impl FnOnce()) -> Vec<Value> {
        let lines = lines_of(LogFormat::Json, "info", act);
        lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    fn parties() -> Parties<'static> {
        Parties {
            id: "c1",
            listener: "public",
            listener_address: Some(([0, 0, 0, 0], 8443).into()),
            peer: Some(([192, 0, 2, 1], 4711).into()),
            identity: Some("CN=Alice\r\nforged"),
            route: Some("chat"),
            backend: Some("chat"),
            server: None,
            tls: Some("TLSv1.3"),
            cipher: Some("TLS13_AES_128_GCM_SHA256"),
            asked: Details {
                path: Some("/chat"),
                user_agent: Some("x\r\nforged"),
                ..Details::default()
            },
        }
    }

    #[test]
    fn open_and_close_lines_share_the_connection_id() {
        let closing = Closed {
            ending: SocketEnding::ClientClosed,
            code: Some(1000),
            open_for: Duration::from_millis(1500),
            to_backend: Carried {
                frames: 2,
                bytes: 20,
            },
            to_client: Carried {
                frames: 3,
                bytes: 30,
            },
        };
        let lines = logged(|| {
            opened(&parties(), Some("hmac-sha-256"));
            closed(&parties(), &closing, None);
        });
        assert_eq!(lines.len(), 2);
        assert!(
            lines
                .iter()
                .all(|line| line["id"] == "c1" && line["client_address"] == "192.0.2.1")
        );
        for line in &lines {
            assert_eq!(line["client_port"], 4711);
            assert_eq!(line["listener_address"], "0.0.0.0:8443");
            assert_eq!(
                (&line["tls"], &line["path"]),
                (&"TLSv1.3".into(), &"/chat".into())
            );
        }
        assert_eq!(lines[0]["integrity"], "hmac-sha-256");
        let close = &lines[1];
        assert_eq!(
            (&close["reason"], &close["by"]),
            (&"client_closed".into(), &"client".into())
        );
        assert_eq!(
            (&close["code"], &close["seconds"]),
            (&1000.into(), &1.5.into())
        );
        assert_eq!(
            (&close["frames_to_backend"], &close["bytes_to_backend"]),
            (&2.into(), &20.into())
        );
        assert_eq!(
            (&close["frames_to_client"], &close["bytes_to_client"]),
            (&3.into(), &30.into())
        );
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let unknown = Parties {
            id: "c2",
            listener: "public",
            ..Parties::default()
        };
        let lines = logged(|| handshake_refused(&unknown, HandshakeEnding::NotTls, None));
        let line = lines[0].as_object().unwrap();
        assert!(
            [
                "client_address",
                "client_port",
                "identity",
                "route",
                "host",
                "tls",
                "status",
                "detail"
            ]
            .iter()
            .all(|name| !line.contains_key(*name))
        );
        assert_eq!(line["stage"], "handshake");
    }

    #[test]
    fn a_refusal_is_one_line_with_the_rule_that_denied_it() {
        let lines = logged(|| {
            request_refused(
                &parties(),
                RequestEnding::NotAllowed,
                Some(&"no rule of allow matches"),
            );
        });
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["detail"], "no rule of allow matches");
        assert_eq!(
            (&lines[0]["reason"], &lines[0]["status"]),
            (&"not_allowed".into(), &403.into())
        );
        assert_eq!(lines[0]["level"], "info");
    }

    #[test]
    fn failures_of_the_proxy_and_of_backends_stand_out() {
        let unreachable = RequestEnding::BackendUnreachable;
        let closing = Closed {
            ending: SocketEnding::Internal,
            code: None,
            open_for: Duration::ZERO,
            to_backend: Carried::default(),
            to_client: Carried::default(),
        };
        let lines = logged(|| {
            request_refused(&parties(), unreachable, None);
            closed(&parties(), &closing, None);
        });
        assert_eq!(lines[0]["level"], "warn");
        assert_eq!(lines[1]["level"], "error");
    }

    #[test]
    fn every_problem_of_a_failed_reload_has_its_line() {
        let lines = logged(|| {
            reload_failed(
                Trigger::Signal,
                4,
                &["a.pem is empty", "b.key is another's"],
            );
        });
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[1]["problem"], "b.key is another's");
        assert!(
            lines
                .iter()
                .all(|line| line["trigger"] == "signal" && line["result"] == "failed")
        );
    }
}
