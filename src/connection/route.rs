//! Stage 5: identity × request → route.
//!
//! Takes: who the client is and what it asks for. Gives: the route. Refuses when the TLS session
//! was not authenticated for that host (421), when no route matches (404) or not all ways to read
//! the path lead to the same (400), or when the route does not admit the certificate or the origin
//! (403). Deadline: none, nothing is waited for. Metric:
//! `upgrades_total`.

use super::{
    Refusal, Visit,
    authenticate::Client,
    snapshot::{Route, Snapshot},
    trust::{ending_of_request, judge_client},
};
use crate::{
    ending::RequestEnding,
    integrity::{Algorithm, Mode},
    policy::{
        ClientCertMode,
        access::AccessRule,
        fields::ForwardCertificate,
        host::HostPattern,
        origin::{Origin, origin_allowed},
        path::PathPrefix,
        request::RequestHead,
    },
};
use std::sync::Arc;

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
    /// What the backend gets of a client's certificate.
    pub forward_certificate: ForwardCertificate,
    /// Whether frames are sealed.
    pub integrity: Mode,
    /// Algorithms allowed, in order of preference.
    pub integrity_algorithms: Vec<Algorithm>,
}

/// The route for a request, whoever asks.
///
/// `asked` is how the TLS session asked for a certificate.
pub fn find<'s>(
    visit: &'s Visit,
    head: &RequestHead<'_>,
    asked: ClientCertMode,
) -> Result<&'s Arc<Route>, Refusal> {
    let snapshot = &visit.snapshot;
    // RFC 9110 section 15.5.20: the server name chose the way to ask; another host's way may
    // differ, and then this session proves nothing about it.
    if snapshot.mode(visit.listener.index, Some(head.host())) != asked {
        return Err(RequestEnding::Misdirected.into());
    }
    let found = snapshot.routes.lookup(head.host(), head.path());
    found
        .map_err(|ambiguity| Refusal::new(RequestEnding::Malformed, ambiguity))?
        .ok_or_else(|| {
            let detail = format!(
                "no route matches host \"{}\" and path \"{}\"",
                head.host(),
                head.path()
            );
            Refusal::new(RequestEnding::NoRoute, detail)
        })
}

/// Whether a client may use a route.
pub fn admit(
    snapshot: &Snapshot,
    listener: usize,
    route: &Route,
    client: &Client,
    head: &RequestHead<'_>,
) -> Result<(), Refusal> {
    judge_client(snapshot, listener, route, client)
        .map_err(|denial| Refusal::new(ending_of_request(denial), denial))?;
    if let Some(origins) = &route.settings.origins {
        origin_allowed(origins, head.origins())
            .map_err(|refusal| Refusal::new(RequestEnding::Origin, refusal))?;
    }
    Ok(())
}
