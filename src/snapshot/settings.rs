//! Listeners, routes, limits and timeouts, checked.

use crate::{
    integrity::{Algorithm, Mode},
    name::{host::HostPattern, origin::Origin, path::PathPrefix},
    policy::{ClientCertMode, access::AccessRule},
    request::{Edits, HeadLimits, client_cert::ForwardCertificate},
    roster::quotas::ClientLimits,
};
use std::{net::SocketAddr, time::Duration};

/// A `[[listener]]`, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct ListenerSettings {
    /// The name in metrics and logs; the address if none is given.
    pub name: String,
    /// Where it listens; fixed at start.
    pub address: SocketAddr,
    /// Overrides `tls.clients.mode` here.
    pub client_cert: Option<ClientCertMode>,
    /// It speaks no TLS, and sends its clients to the first listener that does.
    pub redirects: bool,
}

/// The `[limits]` table, checked; sizes in bytes.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Open connections of all listeners together.
    pub connections: usize,
    /// TLS handshakes under way at once.
    pub handshakes: usize,
    /// Data of one message; 1009 above it.
    pub message: u64,
    /// Data of one frame; 1009 above it.
    pub frame: u64,
    /// A request's header section; 431 above it.
    pub head: HeadLimits,
    /// Data of a plain request's content; 413 above it, `None`: no limit.
    pub body: Option<u64>,
    /// What one client may have and send; 429 before the upgrade, 1008 after it.
    pub client: ClientLimits,
}

/// The `[timeouts]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Timeouts {
    /// TCP accept to finished TLS.
    pub handshake: Duration,
    /// Finished TLS to a whole request.
    pub upgrade: Duration,
    /// Connecting to the backend, and again for its answer.
    pub connect: Duration,
    /// From a whole plain request to the head of its answer.
    pub answer: Duration,
    /// No frame in either direction; of a plain request and its answer, no byte.
    pub idle: Duration,
    /// The proxy pings a client that was silent for this long; zero: never.
    pub ping: Duration,
    /// A peer that takes nothing of what is sent to it for this long is given up.
    pub write: Duration,
}

/// A `[[route]]` of the configuration, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteSettings {
    /// The name in metrics and logs; the path if none is given.
    pub name: String,
    /// Hosts that it serves; empty: any.
    pub hosts: Vec<HostPattern>,
    /// Path prefix that it serves.
    pub path: PathPrefix,
    /// The name of its backend.
    pub backend: String,
    /// Overrides what listener and `tls.clients` say.
    pub client_cert: Option<ClientCertMode>,
    /// Certificates that may use it; `None`: every verified one.
    pub allow: Option<Vec<AccessRule>>,
    /// Certificates that may not use it, whatever `allow` says.
    pub deny: Vec<AccessRule>,
    /// Origins that may use it; `None`: not looked at.
    pub origins: Option<Vec<Origin>>,
    /// Whether requests that ask for no WebSocket are forwarded.
    pub forwards_requests: bool,
    /// Whether the backend gets the path without the route's.
    pub strip_prefix: bool,
    /// What is changed of the fields that the backend gets.
    pub request_edits: Edits,
    /// What is changed of the fields that the client gets from the backend.
    pub response_edits: Edits,
    /// What the backend gets of a client's certificate.
    pub forward_certificate: ForwardCertificate,
    /// Whether frames are sealed.
    pub integrity: Mode,
    /// Algorithms allowed, in order of preference.
    pub integrity_algorithms: Vec<Algorithm>,
}
