//! What no value shows alone: names that repeat, references that lead nowhere, settings that
//! contradict each other.

mod addresses;

use super::{
    findings::{Finding, Placed, Reading},
    reader::suggestion,
    sections::{
        ClientsDraft, Draft, LimitsDraft, ListenerDraft, Requests, RouteDraft, ServerDraft,
        TimeoutsDraft,
    },
    source::Place,
};
use crate::{
    integrity::{Algorithm, Mode},
    policy::ClientCertMode,
};
use std::{
    collections::{BTreeSet, HashMap, HashSet, hash_map::Entry},
    hash::Hash,
};

/// Reports everything that is wrong between the values of a draft.
pub(super) fn check(draft: &Draft, reading: &Reading) {
    let listeners = draft.listeners.as_deref();
    let routes = draft.routes.as_deref();
    check_server(&draft.server, reading);
    check_limits(&draft.limits, reading);
    check_timeouts(&draft.timeouts, reading);
    check_presence(listeners, routes, reading);
    check_listeners(listeners.unwrap_or_default(), reading);
    check_routes(routes.unwrap_or_default(), reading);
    check_backends(draft, reading);
    check_trust(draft, reading);
    check_access(draft, reading);
    check_integrity(draft, reading);
    addresses::check(draft, reading);
}

fn check_server(server: &ServerDraft, reading: &Reading) {
    if let (Some(spread), Some(timeout)) = (&server.drain_spread, &server.drain_timeout)
        && spread.value > timeout.value
    {
        let message = format!(
            "drain_spread ({:?}) is longer than drain_timeout ({:?})",
            spread.value, timeout.value
        );
        let hint = "the sockets still open at drain_timeout are cut off: make the spread shorter";
        reading.report(Finding::error(&spread.place, message).hint(hint));
    }
}

fn check_limits(limits: &LimitsDraft, reading: &Reading) {
    if let (Some(message), Some(frame)) = (&limits.message, &limits.frame)
        && frame.value > message.value
    {
        let place = frame.place.clone().or_else(|| message.place.clone());
        let text = "limits.frame is larger than limits.message";
        let hint = "a frame larger than the message limit is refused all the same";
        reading.report(Finding::warning(&place, text).hint(hint));
    }
}

fn check_timeouts(timeouts: &TimeoutsDraft, reading: &Reading) {
    if let (Some(ping), Some(idle)) = (&timeouts.ping, &timeouts.idle)
        && ping.value >= idle.value
    {
        let place = ping.place.clone().or_else(|| idle.place.clone());
        let message = format!(
            "timeouts.ping ({:?}) is not shorter than timeouts.idle ({:?})",
            ping.value, idle.value
        );
        let hint = "a silent client is disconnected before it is pinged: make `ping` shorter, or write \"0s\" for no Pings";
        reading.report(Finding::warning(&place, message).hint(hint));
    }
}

fn check_presence(
    listeners: Option<&[ListenerDraft]>,
    routes: Option<&[RouteDraft]>,
    reading: &Reading,
) {
    if listeners.is_some_and(<[_]>::is_empty) {
        let hint = "add a table [[listener]] with address = \"0.0.0.0:8443\"";
        reading.report_absence(
            Finding::error(&None, "no [[listener]]: nobody could connect").hint(hint),
        );
    }
    if routes.is_some_and(<[_]>::is_empty) {
        let hint =
            "add a table [[route]] with path = \"/\" and backend = the name of a [backend.NAME]";
        reading.report_absence(
            Finding::error(&None, "no [[route]]: every request would be refused").hint(hint),
        );
    }
}

fn check_listeners(listeners: &[ListenerDraft], reading: &Reading) {
    check_redirects(listeners, reading);
    let names = listeners.iter().filter_map(|listener| {
        let name = listener.shown_name()?;
        let place = name.place.is_some().then_some(name.place);
        Some((
            name.value,
            place.unwrap_or_else(|| listener.place.clone()),
            listener.name.is_some(),
        ))
    });
    check_names("listener", names, reading);
}

/// There is somewhere to go, and what a listener without TLS cannot do is not asked of it.
fn check_redirects(listeners: &[ListenerDraft], reading: &Reading) {
    let redirects = |listener: &&ListenerDraft| listener.redirects == Some(true);
    for listener in listeners.iter().filter(redirects) {
        if let Some(mode) = &listener.client_cert {
            let message = "a listener without TLS sees no client certificate";
            let finding = Finding::error(&mode.place, message);
            reading.report(finding.hint("leave `client_cert` out here"));
        }
        if listeners.iter().all(|listener| redirects(&listener)) {
            let message = "no listener has TLS: this one sends its clients nowhere";
            let finding = Finding::error(&listener.place, message);
            reading.report(finding.hint("add a [[listener]] with address = \"0.0.0.0:443\""));
        }
    }
}

fn check_routes(routes: &[RouteDraft], reading: &Reading) {
    let claims: Vec<_> = routes.iter().flat_map(claims).collect();
    let keyed = claims
        .iter()
        .map(|claim| ((&claim.host, claim.path), claim));
    for (first, second) in repetitions(keyed) {
        let host = second
            .host
            .as_ref()
            .map_or("any host".to_owned(), |host| format!("host `{host}`"));
        let message = format!("{host} with path `{}` is routed already", second.path);
        let hint = "only one of the two would ever be used: change or remove the other";
        let finding = Finding::error(&second.place, message).hint(hint);
        reading.report(finding.related(&first.place, "first here"));
    }
    let names = routes.iter().filter_map(|route| {
        let name = route.name.as_ref()?;
        let place = name.place.clone().or_else(|| route.place.clone());
        Some((name.value.clone(), place, name.place.is_some()))
    });
    check_names("route", names, reading);
}

/// One host and path that a route serves.
struct Claim<'a> {
    host: Option<String>,
    path: &'a str,
    place: Place,
}

fn claims(route: &RouteDraft) -> Vec<Claim<'_>> {
    let (Some(hosts), Some(path)) = (&route.hosts, &route.path) else {
        return Vec::new();
    };
    // A prefix ends at a segment's boundary, so that `/chat/` and `/chat` are one.
    let text = path.value.text.trim_end_matches('/');
    let claim = |host, place: &Place| Claim {
        host,
        path: if text.is_empty() { "/" } else { text },
        place: place.clone().or_else(|| route.place.clone()),
    };
    if hosts.value.is_empty() {
        return vec![claim(None, &path.place)];
    }
    let hosts = hosts.value.iter();
    hosts
        .map(|host| claim(Some(host.value.text.to_ascii_lowercase()), &host.place))
        .collect()
}

/// Two of the same given name are an error; a default name that repeats only blurs the metrics.
fn check_names(what: &str, names: impl Iterator<Item = (String, Place, bool)>, reading: &Reading) {
    let names: Vec<_> = names.collect();
    for (first, second) in repetitions(names.iter().map(|name| (&name.0, name))) {
        let (name, place, given) = second;
        let finding = if *given && first.2 {
            let message = format!("another {what} has the name `{name}`");
            Finding::error(place, message)
        } else {
            let message = format!("two {what}s share the name `{name}` in metrics and logs");
            Finding::warning(place, message).hint(format!("give each {what} a `name`"))
        };
        reading.report(finding.related(&first.1, "first here"));
    }
}

/// Each item whose key an earlier one has, after that earlier one.
fn repetitions<K: Eq + Hash, T>(items: impl Iterator<Item = (K, T)>) -> Vec<(T, T)>
where
    T: Copy,
{
    let mut seen = HashMap::new();
    let repeated = items.filter_map(|(key, item)| match seen.entry(key) {
        Entry::Occupied(first) => Some((*first.get(), item)),
        Entry::Vacant(free) => {
            free.insert(item);
            None
        }
    });
    repeated.collect()
}

fn check_backends(draft: &Draft, reading: &Reading) {
    let backends = draft.backends.iter();
    let names: BTreeSet<&str> = backends.map(|backend| backend.name.as_str()).collect();
    let routes = draft.routes.iter().flatten();
    let used: HashSet<&str> = routes
        .filter_map(|route| route.backend.as_ref())
        .inspect(|backend| check_backend_name(backend, &names, reading))
        .map(|backend| backend.value.as_str())
        .collect();
    // Where the routes could not be read, nobody knows which backends they use.
    let routes = draft.routes.as_ref();
    if routes.is_none_or(|routes| routes.iter().any(|route| route.backend.is_none())) {
        return;
    }
    let backends = draft.backends.iter();
    for backend in backends.filter(|backend| !used.contains(backend.name.as_str())) {
        let message = format!("no route uses the backend `{}`", backend.name);
        reading.report_absence(Finding::warning(&backend.place, message));
    }
}

fn check_backend_name(backend: &Placed<String>, names: &BTreeSet<&str>, reading: &Reading) {
    let name = &backend.value;
    if names.contains(name.as_str()) {
        return;
    }
    let names: Vec<&str> = names.iter().copied().collect();
    let hint = match names.as_slice() {
        [] => format!("add a table [backend.{name}] with servers = [\"ws://127.0.0.1:9001\"]"),
        names => suggestion(name, names),
    };
    let finding = Finding::error(&backend.place, format!("unknown backend `{name}`"));
    reading.report_absence(finding.hint(hint));
}

/// A configuration that asks for certificates has to say which CAs issue them.
fn check_trust(draft: &Draft, reading: &Reading) {
    let clients = &draft.tls.clients;
    if clients.ca.as_ref().is_none_or(|ca| !ca.value.is_empty()) {
        return;
    }
    for (what, place) in asking(draft, clients) {
        let message =
            format!("{what} asks for client certificates, but tls.clients.ca names no CA");
        let hint = "write ca = [\"certs/ca.pem\"] in [tls.clients], or set this to \"off\"";
        reading.report_absence(Finding::error(&place, message).hint(hint));
    }
}

/// Everything that asks clients for certificates.
fn asking(draft: &Draft, clients: &ClientsDraft) -> Vec<(&'static str, Place)> {
    let listeners = draft.listeners.iter().flatten();
    let routes = draft.routes.iter().flatten();
    let explicit = listeners
        .clone()
        .map(|listener| ("the listener", &listener.client_cert));
    let explicit = explicit.chain(routes.map(|route| ("the route", &route.client_cert)));
    let mut asking: Vec<_> = explicit
        .filter_map(|(what, mode)| Some((what, mode.as_ref()?)))
        .filter(|(_, mode)| mode.value != ClientCertMode::Off)
        .map(|(what, mode)| (what, mode.place.clone()))
        .collect();
    let mut listeners = listeners.map(|listener| &listener.client_cert).peekable();
    let inherited = listeners.peek().is_none() || listeners.any(Option::is_none);
    if let Some(mode) = clients
        .mode
        .as_ref()
        .filter(|mode| inherited && mode.value != ClientCertMode::Off)
    {
        let place = mode.place.clone().or_else(|| clients.place.clone());
        asking.push(("tls.clients.mode", place));
    }
    asking
}

/// A list of certificates on a route whose clients show none can match nothing.
fn check_access(draft: &Draft, reading: &Reading) {
    let default = draft.tls.clients.mode.as_ref().map(|mode| mode.value);
    let mode_of = |listener: &ListenerDraft| {
        let own = listener.client_cert.as_ref().map(|mode| mode.value);
        own.or(default) == Some(ClientCertMode::Off)
    };
    let none_asks = draft
        .listeners
        .as_ref()
        .is_some_and(|listeners| !listeners.is_empty() && listeners.iter().all(mode_of));
    for route in draft.routes.iter().flatten() {
        let off = match &route.client_cert {
            Some(mode) => mode.value == ClientCertMode::Off,
            None => none_asks,
        };
        if off {
            report_useless_lists(route, reading);
        }
    }
}

fn report_useless_lists(route: &RouteDraft, reading: &Reading) {
    let related = route
        .client_cert
        .as_ref()
        .and_then(|mode| mode.place.clone());
    for (key, list) in [("allow", &route.allow), ("deny", &route.deny)] {
        let Some(list) = list.as_ref().filter(|list| !list.value.is_empty()) else {
            continue;
        };
        let message =
            format!("`{key}` can match nothing: clients of this route show no certificate");
        let hint = "set client_cert = \"required\" or \"optional\", or remove the list";
        let finding = Finding::error(&list.place, message).hint(hint);
        reading.report(finding.related(&related, "because of this"));
    }
}

/// `hmac-sha-256` takes keys of the keyring; `sha-256` takes none.
/// What is required of frames cannot be had of plain requests.
fn check_requests(route: &RouteDraft, reading: &Reading) {
    let required = route.integrity.as_ref().map(|mode| mode.value) == Some(Mode::Required);
    let requests = route.requests.as_ref().filter(|_| required);
    if let Some(requests) = requests.filter(|it| it.value == Some(Requests::All)) {
        let message = "requests = \"all\" on a route that requires frame integrity: a plain request has no frames to seal";
        let hint = "leave `requests` out, or give plain requests a route of their own";
        reading.report(Finding::error(&requests.place, message).hint(hint));
    }
}

fn check_integrity(draft: &Draft, reading: &Reading) {
    for route in draft.routes.iter().flatten() {
        check_requests(route, reading);
    }
    if draft.keyring.is_some() {
        return;
    }
    for route in draft.routes.iter().flatten() {
        let (Some(mode), Some(algorithms)) = (&route.integrity, &route.algorithms) else {
            continue;
        };
        let keyed = |algorithm: &Placed<Algorithm>| algorithm.value == Algorithm::HmacSha256;
        if mode.value != Mode::Off && algorithms.value.iter().any(keyed) {
            reading.report_absence(without_keyring(mode));
        }
    }
}

fn without_keyring(mode: &Placed<Mode>) -> Finding {
    let hint =
        "write keyring = \"certs/keyring.toml\" in [integrity]; `tidegate keys generate` makes one";
    let finding = if mode.value == Mode::Required {
        let message = "integrity is required with hmac-sha-256, but there is no keyring: no client could have a key";
        Finding::error(&mode.place, message)
    } else {
        let message =
            "without a keyring, hmac-sha-256 is never negotiated: sha-256 notices accidents only";
        Finding::warning(&mode.place, message)
    };
    finding.hint(hint)
}
