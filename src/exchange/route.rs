//! Stage 5: identity × request → route.
//!
//! Takes: who the client is and what it asks for. Returns: the route. Refuses when the TLS session
//! was not authenticated for that host (421), when no route matches (404) or not all ways to read
//! the path lead to the same (400), or when the route does not admit the certificate or the origin
//! (403). Deadline: none, nothing is waited for. Metric:
//! `upgrades_total`.

use crate::{
    ending::RequestEnding,
    name::origin::origin_allowed,
    policy::ClientCertMode,
    request::Head,
    snapshot::{
        Route,
        rulebook::{ending_of_request, judge_client},
    },
    tls::client::Client,
    worker::{refusal::Refusal, visit::Visit},
};
use std::sync::Arc;

/// The route for a request, whoever asks.
///
/// `asked` is how the TLS session asked for a certificate.
pub fn find<'s>(
    visit: &'s Visit,
    head: &Head<'_>,
    asked: ClientCertMode,
) -> Result<&'s Arc<Route>, Refusal> {
    let snapshot = &visit.snapshot;
    // RFC 9110 section 15.5.20: the server name chose the way to ask; another host's way may
    // differ, and then this session proves nothing about it.
    if snapshot.mode(visit.listener.index, Some(head.host())) != asked {
        return Err(RequestEnding::Misdirected.into());
    }
    let found = snapshot.routing.routes.lookup(head.host(), head.path());
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

/// Whether a client may use a route for a plain request.
///
/// Where the route lists origins, a request that names one must name one of them. Browsers name none
/// where a page is just opened.
pub fn admit(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
) -> Result<(), Refusal> {
    admit_client(visit, route, client)?;
    match head.origins().next() {
        Some(_) => admit_origin(route, head),
        None => Ok(()),
    }
}

/// Whether a client may use a route for a WebSocket.
pub fn admit_socket(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
) -> Result<(), Refusal> {
    admit_client(visit, route, client)?;
    admit_origin(route, head)
}

fn admit_client(visit: &Visit, route: &Route, client: &Client) -> Result<(), Refusal> {
    judge_client(&visit.snapshot, visit.listener.index, route, client)
        .map_err(|denial| Refusal::new(ending_of_request(denial), denial))?;
    Ok(())
}

fn admit_origin(route: &Route, head: &Head<'_>) -> Result<(), Refusal> {
    if let Some(origins) = &route.settings.origins {
        origin_allowed(origins, head.origins())
            .map_err(|refusal| Refusal::new(RequestEnding::Origin, refusal))?;
    }
    Ok(())
}
