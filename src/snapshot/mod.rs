//! Everything a new connection is judged by, built and verified whole and swapped as one pointer.
//!
//! A connection takes one snapshot at accept and lets go of it when it becomes a socket: what the
//! relay needs is copied out, so that an old snapshot and its keys go with their last handshake.

pub mod rulebook;
pub mod settings;
use self::settings::{Limits, ListenerSettings, RouteSettings, Timeouts};
use crate::{
    backend::Backend,
    integrity::{Mode, keyring::Keyring},
    name::host::Host,
    observe::{Expiry, RouteMetrics},
    policy::{ClientCertMode, route::RouteTable},
    tls::trust::Trust,
};
use std::{path::PathBuf, sync::Arc, time::SystemTime};

/// One generation of the configuration, in use.
///
/// What a reload leaves as it was is shared with the snapshot before it, by pointer.
pub struct Snapshot {
    /// Counts up with every reload that changed something.
    pub generation: u64,
    /// When it was built.
    pub since: SystemTime,
    /// Credentials and client CAs.
    pub trust: Arc<Trust>,
    /// Routes, their backends, and how listeners ask for certificates.
    pub routing: Arc<Routing>,
    /// When certificates, CAs, CRLs and keys end.
    pub expiries: Vec<Expiry>,
    /// The keys of frame integrity.
    pub keyring: Arc<Keyring>,
    /// Whether a client may bind its keys to the TLS session.
    pub exports: bool,
    /// What may be open and how large it may be.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The file with the admin listener's token.
    pub token_file: Option<PathBuf>,
}

/// Where requests go, and what they need for it.
pub struct Routing {
    /// Routes by host and path.
    pub routes: RouteTable<Arc<Route>>,
    /// Every backend, in order of configuration.
    pub backends: Vec<Arc<Backend>>,
    /// What each listener asks for, in order of configuration.
    listeners: Vec<ListenerTrust>,
    /// Whether frames of any route may be sealed.
    seals: bool,
}

/// A route in use.
pub struct Route {
    /// What the configuration says.
    pub settings: RouteSettings,
    /// Its name, for the list of connections.
    pub name: Arc<str>,
    /// Where its sockets go.
    pub backend: Arc<Backend>,
    /// What is counted of it.
    pub metrics: Arc<RouteMetrics>,
}

/// How one listener asks for certificates.
struct ListenerTrust {
    /// What applies where no route says anything.
    default: ClientCertMode,
    /// Set if every route asks in the same way: then the server name need not be looked at.
    uniform: Option<ClientCertMode>,
}

/// What a [`Snapshot`] is made of.
pub struct Parts {
    /// See [`Snapshot::generation`].
    pub generation: u64,
    /// See [`Snapshot::trust`].
    pub trust: Arc<Trust>,
    /// See [`Snapshot::routing`].
    pub routing: Arc<Routing>,
    /// See [`Snapshot::expiries`].
    pub expiries: Vec<Expiry>,
    /// See [`Snapshot::keyring`].
    pub keyring: Arc<Keyring>,
    /// See [`Snapshot::limits`].
    pub limits: Limits,
    /// See [`Snapshot::timeouts`].
    pub timeouts: Timeouts,
    /// See [`Snapshot::token_file`].
    pub token_file: Option<PathBuf>,
}

impl Routing {
    /// Puts it together; `mode` is `tls.clients.mode`.
    pub fn new(
        routes: RouteTable<Arc<Route>>,
        backends: Vec<Arc<Backend>>,
        listeners: &[ListenerSettings],
        mode: ClientCertMode,
    ) -> Self {
        let trust = |listener: &ListenerSettings| {
            let default = listener.client_cert.unwrap_or(mode);
            let modes = routes.iter().map(|route| route.mode(default));
            ListenerTrust {
                default,
                uniform: same(modes, default),
            }
        };
        let listeners = listeners.iter().map(trust).collect();
        let sealed = |route: &Arc<Route>| route.settings.integrity != Mode::Off;
        let seals = routes.iter().any(sealed);
        Self {
            routes,
            backends,
            listeners,
            seals,
        }
    }
}

impl Snapshot {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        Self {
            exports: parts.keyring.iter().next().is_some() && parts.routing.seals,
            expiries: parts.expiries,
            keyring: parts.keyring,
            generation: parts.generation,
            since: SystemTime::now(),
            trust: parts.trust,
            routing: parts.routing,
            token_file: parts.token_file,
            limits: parts.limits,
            timeouts: parts.timeouts,
        }
    }

    /// Whether both say the same of every open socket, now and later.
    pub fn judges_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.routing, &other.routing)
            && Arc::ptr_eq(&self.keyring, &other.keyring)
            && self.trust.digest() == other.trust.digest()
    }

    /// How a listener asks for certificates, if that does not depend on the server name.
    pub fn uniform_mode(&self, listener: usize) -> Option<ClientCertMode> {
        self.routing
            .listeners
            .get(listener)
            .and_then(|trust| trust.uniform)
    }

    /// How a listener asks clients for certificates that want `host`; `None`: no server name.
    ///
    /// Where the routes of one host differ, the handshake asks and the route decides.
    pub fn mode(&self, listener: usize, host: Option<&Host>) -> ClientCertMode {
        let Some(trust) = self.routing.listeners.get(listener) else {
            return ClientCertMode::Required;
        };
        let default = trust.default;
        match (trust.uniform, host) {
            (Some(mode), _) => mode,
            (None, Some(host)) => merged(
                self.routing
                    .routes
                    .routes_for_host(host)
                    .map(|route| route.mode(default)),
                default,
            ),
            (None, None) => merged(
                self.routing.routes.iter().map(|route| route.mode(default)),
                default,
            ),
        }
    }

    /// What each listener asks for where a route says nothing.
    pub fn defaults(&self) -> impl Iterator<Item = ClientCertMode> {
        self.routing
            .listeners
            .iter()
            .map(|listener| listener.default)
    }

    /// What a route requires of clients of a listener.
    pub fn route_mode(&self, listener: usize, route: &Route) -> ClientCertMode {
        let default = self
            .routing
            .listeners
            .get(listener)
            .map(|trust| trust.default);
        route.mode(default.unwrap_or(ClientCertMode::Required))
    }
}

impl Route {
    fn mode(&self, default: ClientCertMode) -> ClientCertMode {
        self.settings.client_cert.unwrap_or(default)
    }
}

/// The mode that all have, or `default` where there are none.
fn same(
    mut modes: impl Iterator<Item = ClientCertMode>,
    default: ClientCertMode,
) -> Option<ClientCertMode> {
    let first = modes.next().unwrap_or(default);
    modes.all(|mode| mode == first).then_some(first)
}

/// One way to ask on behalf of all: the same for all, or else optional.
fn merged(modes: impl Iterator<Item = ClientCertMode>, default: ClientCertMode) -> ClientCertMode {
    same(modes, default).unwrap_or(ClientCertMode::Optional)
}
