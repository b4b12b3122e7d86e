//! Who may use which route now: asked at the upgrade, and again of open sockets.
//!
//! Takes: a snapshot, or settings that may become one. Returns: [`judge`]'s word for a client or an
//! open socket. A socket belongs to the route that has the name of the one it took; where several
//! share the name, to the one with its hosts and path. Sockets of a route that is gone stay as
//! long as their certificates are good.

use super::{
    Route, Snapshot,
    settings::{ListenerSettings, RouteSettings},
};
use crate::{
    ending::{RequestEnding, SocketEnding},
    policy::{
        ClientCertMode,
        judgement::{Admission, Denial, Evidence, Requirement, Standing, judge},
    },
    roster::sockets::{Description, Entry, Place},
    runtime::clock::unix_time,
    tls::{
        client::Client,
        trust::{Trust, standing_after},
    },
};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The trust and the rules of all routes, to judge open sockets by.
pub struct Rulebook<'s> {
    trust: &'s Trust,
    routes: HashMap<&'s str, Vec<&'s RouteSettings>>,
    /// What each listener asks for where a route says nothing.
    defaults: Vec<ClientCertMode>,
}

impl<'s> Rulebook<'s> {
    /// The rules of settings that are not in use yet; `mode` is `tls.clients.mode`.
    pub fn new(
        trust: &'s Trust,
        routes: impl IntoIterator<Item = &'s RouteSettings>,
        listeners: &[ListenerSettings],
        mode: ClientCertMode,
    ) -> Self {
        let listeners = listeners.iter();
        let defaults = listeners.map(|listener| listener.client_cert.unwrap_or(mode));
        Self::with_defaults(trust, routes, defaults.collect())
    }

    /// The rules of a snapshot.
    pub fn of(snapshot: &'s Snapshot) -> Self {
        let routes = snapshot.routing.routes.iter().map(|route| &route.settings);
        Self::with_defaults(&snapshot.trust, routes, snapshot.defaults().collect())
    }

    fn with_defaults(
        trust: &'s Trust,
        routes: impl IntoIterator<Item = &'s RouteSettings>,
        defaults: Vec<ClientCertMode>,
    ) -> Self {
        let mut by_name: HashMap<_, Vec<_>> = HashMap::new();
        for route in routes {
            by_name.entry(route.name.as_str()).or_default().push(route);
        }
        Self {
            trust,
            routes: by_name,
            defaults,
        }
    }

    /// The trust.
    pub fn trust(&self) -> &'s Trust {
        self.trust
    }

    /// Judges an open socket whose chain has this standing, at a time in seconds since 1970.
    pub fn judge(
        &self,
        about: &Description,
        standing: Standing,
        now: i64,
    ) -> Result<Admission<'s>, Denial<'s>> {
        let requirement = self.requirement(about);
        let evidence = about.identity.as_ref().map(|identity| Evidence {
            identity,
            not_after: about.not_after,
            standing,
        });
        judge(&requirement, evidence.as_ref(), now)
    }

    fn requirement(&self, about: &Description) -> Requirement<'s> {
        let default = self.defaults.get(about.place.listener).copied();
        let default = default.unwrap_or(ClientCertMode::Required);
        match self.route(about) {
            Some(route) => route.requirement(default),
            None => Requirement::NONE,
        }
    }

    fn route(&self, about: &Description) -> Option<&'s RouteSettings> {
        match self.routes.get(&*about.route)?.as_slice() {
            [route] => Some(route),
            several => {
                let mut several = several.iter();
                several
                    .find(|route| claim(route) == about.place.claim)
                    .copied()
            }
        }
    }
}

impl RouteSettings {
    /// What the route asks of clients of a listener whose default is `default`.
    pub fn requirement(&self, default: ClientCertMode) -> Requirement<'_> {
        Requirement {
            mode: self.client_cert.unwrap_or(default),
            allow: self.allow.as_deref(),
            deny: &self.deny,
        }
    }
}

/// Judges a client that asks for a route, now.
pub fn judge_client<'s>(
    snapshot: &Snapshot,
    listener: usize,
    route: &'s Route,
    client: &Client,
) -> Result<Admission<'s>, Denial<'s>> {
    let requirement = Requirement {
        mode: snapshot.route_mode(listener, route),
        allow: route.settings.allow.as_deref(),
        deny: &route.settings.deny,
    };
    let evidence = client.identity.as_ref().map(|identity| Evidence {
        identity,
        not_after: client.not_after,
        standing: client.standing,
    });
    judge(&requirement, evidence.as_ref(), unix_time())
}

/// Where a socket belongs when the configuration changes.
pub fn place(listener: usize, route: &Route) -> Place {
    Place {
        listener,
        claim: claim(&route.settings),
    }
}

/// What tells routes of one name apart.
fn claim(route: &RouteSettings) -> u64 {
    let mut hasher = DefaultHasher::new();
    for host in &route.hosts {
        host.to_string().hash(&mut hasher);
    }
    route.path.to_string().hash(&mut hasher);
    hasher.finish()
}

/// Judges a socket that has just been listed, where the snapshot in use judges otherwise: its
/// certificate, and the key that its tags depend on.
///
/// A reload walks the list after it has published: either it finds the socket there, or the
/// socket finds its snapshot here.
pub fn recheck(used: &Snapshot, current: &Snapshot, entry: &Entry) {
    if used.judges_like(current) {
        return;
    }
    let kept = |kid| current.keyring.check_kept(kid, &used.keyring).is_ok();
    if !entry.description.kid().is_none_or(kept) {
        entry.end(SocketEnding::IntegrityKeyRevoked);
    }
    let now = unix_time();
    let rulebook = Rulebook::of(current);
    let standing = match current.trust.verify(&entry.description.chain, now) {
        Ok(path) => {
            entry.renew(path.not_after);
            Standing::Trusted
        }
        Err(error) => standing_after(&error),
    };
    if let Err(denial) = rulebook.judge(&entry.description, standing, now) {
        entry.end(ending_of_socket(denial));
    }
}

/// How the denial of an open socket ends it.
pub fn ending_of_socket(denial: Denial<'_>) -> SocketEnding {
    match denial {
        Denial::Standing(Standing::Expired | Standing::NotYetValid) => SocketEnding::Expired,
        Denial::Standing(Standing::Revoked) => SocketEnding::Revoked,
        _ => SocketEnding::NotAllowed,
    }
}

/// How the denial of a request refuses it.
pub fn ending_of_request(denial: Denial<'_>) -> RequestEnding {
    match denial {
        Denial::NoCertificate => RequestEnding::NoCertificate,
        Denial::Standing(Standing::Expired | Standing::NotYetValid) => RequestEnding::Expired,
        _ => RequestEnding::NotAllowed,
    }
}
