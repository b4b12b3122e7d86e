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
pub struct Snapshot {
    /// Counts up with every reload that changed something.
    pub generation: u64,
    /// When it was built.
    pub since: SystemTime,
    /// Credentials and client CAs.
    pub trust: Trust,
    /// Routes by host and path.
    pub routes: RouteTable<Arc<Route>>,
    /// When certificates, CAs, CRLs and keys end.
    pub expiries: Vec<Expiry>,
    /// The keys of frame integrity.
    pub keyring: Keyring,
    /// Whether a client may bind its keys to the TLS session.
    pub exports: bool,
    /// Every backend, in order of configuration.
    pub backends: Vec<Arc<Backend>>,
    /// What may be open and how large it may be.
    pub limits: Limits,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// The file with the admin listener's token.
    pub token_file: Option<PathBuf>,
    /// What each listener asks for, in order of configuration.
    listeners: Vec<ListenerTrust>,
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
    pub trust: Trust,
    /// See [`Snapshot::routes`].
    pub routes: RouteTable<Arc<Route>>,
    /// See [`Snapshot::expiries`].
    pub expiries: Vec<Expiry>,
    /// See [`Snapshot::keyring`].
    pub keyring: Keyring,
    /// See [`Snapshot::backends`].
    pub backends: Vec<Arc<Backend>>,
    /// See [`Snapshot::limits`].
    pub limits: Limits,
    /// See [`Snapshot::timeouts`].
    pub timeouts: Timeouts,
    /// See [`Snapshot::token_file`].
    pub token_file: Option<PathBuf>,
    /// The listeners, in order of configuration.
    pub listeners: Vec<ListenerSettings>,
    /// `tls.clients.mode`.
    pub mode: ClientCertMode,
}

impl Snapshot {
    /// Puts the parts together.
    pub fn new(parts: Parts) -> Self {
        let listeners = parts
            .listeners
            .iter()
            .map(|listener| {
                let default = listener.client_cert.unwrap_or(parts.mode);
                let modes = parts.routes.iter().map(|route| route.mode(default));
                ListenerTrust {
                    default,
                    uniform: same(modes, default),
                }
            })
            .collect();
        let sealed = |route: &Arc<Route>| route.settings.integrity != Mode::Off;
        Self {
            exports: parts.keyring.iter().next().is_some() && parts.routes.iter().any(sealed),
            expiries: parts.expiries,
            keyring: parts.keyring,
            generation: parts.generation,
            since: SystemTime::now(),
            trust: parts.trust,
            routes: parts.routes,
            backends: parts.backends,
            token_file: parts.token_file,
            limits: parts.limits,
            timeouts: parts.timeouts,
            listeners,
        }
    }

    /// How a listener asks for certificates, if that does not depend on the server name.
    pub fn uniform_mode(&self, listener: usize) -> Option<ClientCertMode> {
        self.listeners.get(listener).and_then(|trust| trust.uniform)
    }

    /// How a listener asks clients for certificates that want `host`; `None`: no server name.
    ///
    /// Where the routes of one host differ, the handshake asks and the route decides.
    pub fn mode(&self, listener: usize, host: Option<&Host>) -> ClientCertMode {
        let Some(trust) = self.listeners.get(listener) else {
            return ClientCertMode::Required;
        };
        let default = trust.default;
        match (trust.uniform, host) {
            (Some(mode), _) => mode,
            (None, Some(host)) => merged(
                self.routes
                    .routes_for_host(host)
                    .map(|route| route.mode(default)),
                default,
            ),
            (None, None) => merged(self.routes.iter().map(|route| route.mode(default)), default),
        }
    }

    /// What each listener asks for where a route says nothing.
    pub fn defaults(&self) -> impl Iterator<Item = ClientCertMode> {
        self.listeners.iter().map(|listener| listener.default)
    }

    /// What a route requires of clients of a listener.
    pub fn route_mode(&self, listener: usize, route: &Route) -> ClientCertMode {
        let default = self.listeners.get(listener).map(|trust| trust.default);
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
