//! What the admin listener shows and does, on the running proxy.

use super::handle::Handle;
use crate::{
    admin::{
        self, BackendStatus, CertificateStatus, Change, ChangeKind, ConnectionPage, ConnectionRow,
        DrainState, ListenerStatus, Operations, PageRequest, Problem, ReloadAnswer, ReloadReport,
        ReloadStatus, RouteStatus, Selection, ServerState, ServerStatus, Status,
    },
    config::{Diagnostic, Severity},
    ending::{Ending, SocketEnding},
    reload::{
        Outcome, Touched,
        changes::{Difference, Kind},
        last::Attempt,
    },
    roster::sockets::{Carries, ConnectionId, Entry},
    snapshot::Route,
    worker::Shared,
};
use arc_swap::ArcSwap;
use std::{
    collections::{BTreeMap, HashMap},
    future::Future,
    net::SocketAddr,
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// The operations of a running proxy.
pub(super) struct AppOperations {
    shared: Arc<Shared>,
    handle: Handle,
    listeners: Vec<(String, SocketAddr)>,
    last_reload: Arc<ArcSwap<Attempt>>,
    started: Instant,
}

impl AppOperations {
    pub(super) fn new(
        shared: Arc<Shared>,
        listeners: Vec<(String, SocketAddr)>,
        last_reload: Arc<ArcSwap<Attempt>>,
        handle: Handle,
    ) -> Self {
        Self {
            shared,
            handle,
            listeners,
            last_reload,
            started: Instant::now(),
        }
    }
}

impl Operations for AppOperations {
    fn ready(&self) -> bool {
        !self.shared.drain.has_begun()
    }

    fn backends_down(&self) -> Vec<String> {
        let snapshot = self.shared.snapshot.load();
        let backends = snapshot.routing.backends.iter();
        let down =
            backends.filter(|backend| backend.servers().iter().all(|server| !server.is_up()));
        down.map(|backend| backend.name.to_string()).collect()
    }

    fn status(&self) -> Status {
        let snapshot = self.shared.snapshot.load();
        let entries = self.shared.connections.all();
        let certificate = |expiry: &crate::observe::Expiry| CertificateStatus {
            kind: expiry.kind.label().to_owned(),
            name: expiry.name.clone(),
            expires: expiry.unix,
        };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_seconds: self.started.elapsed().as_secs(),
            state: if self.ready() {
                DrainState::Running
            } else {
                DrainState::Draining
            },
            generation: snapshot.generation,
            configured_at: unix_seconds(snapshot.since),
            last_reload: reload_status(&self.last_reload.load()),
            listeners: self.listener_statuses(),
            routes: route_statuses(snapshot.routing.routes.iter(), &entries),
            backends: snapshot
                .routing
                .backends
                .iter()
                .map(|backend| backend_status(backend))
                .collect(),
            certificates: snapshot.expiries.iter().map(certificate).collect(),
        }
    }

    fn connections(&self, page: &PageRequest) -> ConnectionPage {
        let mut entries = self.shared.connections.all();
        let total = entries.len();
        entries.sort_unstable_by_key(|entry| entry.id);
        let after: Option<ConnectionId> = page.after.as_ref().and_then(|id| id.parse().ok());
        let mut wanted = entries
            .iter()
            .filter(|entry| after.is_none_or(|after| entry.id > after));
        let connections: Vec<_> = wanted
            .by_ref()
            .take(page.limit)
            .map(|entry| row(entry))
            .collect();
        let more = wanted.next().is_some();
        let next = connections
            .last()
            .filter(|_| more)
            .map(|row| row.id.clone());
        ConnectionPage {
            total,
            connections,
            next,
        }
    }

    fn reload(&self, preview: bool) -> Pin<Box<dyn Future<Output = ReloadAnswer> + Send + '_>> {
        Box::pin(async move {
            let generation = self.shared.snapshot.load().generation;
            match self.handle.reload(preview).await {
                Some(outcome) => answer(outcome, preview, generation),
                None => ReloadAnswer::Refused(vec![Problem {
                    severity: Severity::Error.label(),
                    place: None,
                    message: "the proxy is ending".to_owned(),
                    hint: None,
                }]),
            }
        })
    }

    fn drain(&self) {
        self.handle.drain_soon();
    }

    fn close(&self, which: &Selection) -> usize {
        let end = |entry: &Arc<Entry>| {
            entry.end(SocketEnding::ClosedByOperator);
        };
        match which {
            Selection::Id(id) => {
                let found = id
                    .parse()
                    .ok()
                    .and_then(|id| self.shared.connections.find(id));
                found.iter().map(end).count()
            }
            Selection::Identity(name) => {
                let entries = self.shared.connections.all();
                let named = |entry: &&Arc<Entry>| identity_of(entry).as_ref() == Some(name);
                entries.iter().filter(named).map(end).count()
            }
        }
    }

    fn metrics(&self) -> String {
        let servers = self.shared.servers.readings();
        self.shared
            .metrics
            .text(&servers)
            .unwrap_or_else(|error| format!("# metrics cannot be shown: {error}\n"))
    }

    fn token_file(&self) -> Option<PathBuf> {
        self.shared.snapshot.load().token_file.clone()
    }
}

impl AppOperations {
    fn listener_statuses(&self) -> Vec<ListenerStatus> {
        let open = |name: &str| {
            self.shared
                .metrics
                .listener(name)
                .map_or(0, |listener| listener.open())
        };
        let status = |(name, address): &(String, SocketAddr)| ListenerStatus {
            name: name.clone(),
            address: *address,
            open: open(name),
        };
        self.listeners.iter().map(status).collect()
    }
}

fn route_statuses<'r>(
    routes: impl Iterator<Item = &'r Arc<Route>>,
    entries: &[Arc<Entry>],
) -> Vec<RouteStatus> {
    let mut open: HashMap<&str, u64> = HashMap::new();
    let is_socket = |entry: &&Arc<Entry>| entry.description.carries == Carries::WebSocket;
    for entry in entries.iter().filter(is_socket) {
        *open.entry(&entry.description.route).or_default() += 1;
    }
    let status = |route: &Arc<Route>| RouteStatus {
        name: route.name.to_string(),
        hosts: route
            .settings
            .hosts
            .iter()
            .map(ToString::to_string)
            .collect(),
        path: route.settings.path.to_string(),
        backend: route.backend.name.to_string(),
        open: open.get(&*route.name).copied().unwrap_or(0),
    };
    routes.map(status).collect()
}

fn reload_status(attempt: &Attempt) -> ReloadStatus {
    let problems = |all: &[Diagnostic]| all.iter().cloned().map(problem).collect();
    ReloadStatus {
        at: unix_seconds(attempt.at),
        trigger: attempt.trigger.label(),
        result: attempt.result.label(),
        problems: problems(&attempt.problems),
        warnings: problems(&attempt.warnings),
        omitted: attempt.omitted,
    }
}

fn backend_status(backend: &crate::backend::Backend) -> BackendStatus {
    let servers = backend.servers().iter();
    BackendStatus {
        name: backend.name.to_string(),
        servers: servers.map(|server| server_status(server)).collect(),
    }
}

fn server_status(server: &crate::backend::Server) -> ServerStatus {
    let known = server.known();
    let known = known.as_ref();
    let state = match known.map(|known| known.error.is_some()) {
        None => ServerState::NeverTried,
        Some(false) => ServerState::Up,
        Some(true) => ServerState::Down,
    };
    ServerStatus {
        address: server.label.to_string(),
        up: state != ServerState::Down,
        state,
        since: known.map(|known| unix_seconds(known.since)),
        checked: known.map(|known| unix_seconds(known.checked)),
        known_by: known.map(|known| known.by.label()),
        error: known.and_then(|known| known.error.clone()),
        open: server.open() as u64,
    }
}

fn row(entry: &Entry) -> ConnectionRow {
    let about = &entry.description;
    ConnectionRow {
        kind: about.carries.label(),
        id: entry.id.to_string(),
        listener: about.listener.to_string(),
        peer: about.peer,
        identity: identity_of(entry),
        route: Some(about.route.to_string()),
        rule: about.rule.as_deref().map(str::to_owned),
        backend: Some(about.backend.to_string()),
        opened: unix_seconds(about.opened),
        idle_seconds: entry.idle().as_secs(),
        certificate_expires: entry.not_after(),
        integrity: about
            .integrity
            .as_ref()
            .map(|sealing| sealing.about.clone()),
        integrity_key: about.kid().map(str::to_owned),
    }
}

fn identity_of(entry: &Entry) -> Option<String> {
    entry
        .description
        .identity
        .as_ref()
        .map(|identity| identity.display_name())
}

/// What became of a reload, as the answer to `POST /reload`.
fn answer(outcome: Outcome, preview: bool, in_use: u64) -> ReloadAnswer {
    let report = |result: &str, generation| ReloadReport {
        result: result.to_owned(),
        preview,
        generation,
        changes: Vec::new(),
        touched: Vec::new(),
        warnings: Vec::new(),
    };
    match outcome {
        Outcome::Unchanged { generation } => ReloadAnswer::Done(report("unchanged", generation)),
        Outcome::Done {
            generation,
            changes,
            touched,
            warnings,
        } => ReloadAnswer::Done(ReloadReport {
            changes: changes.into_iter().map(change).collect(),
            touched: by_reason(&touched),
            warnings: warnings.into_iter().map(problem).collect(),
            ..report("ok", if preview { in_use } else { generation })
        }),
        Outcome::Failed { problems } => {
            ReloadAnswer::Refused(problems.into_iter().map(problem).collect())
        }
    }
}

fn by_reason(touched: &[Touched]) -> Vec<admin::Touched> {
    let mut by_reason: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for Touched { id, ending } in touched {
        by_reason
            .entry(ending.label())
            .or_default()
            .push(id.to_string());
    }
    by_reason
        .into_iter()
        .map(|(reason, connections)| admin::Touched {
            reason: reason.to_owned(),
            connections,
        })
        .collect()
}

fn change(difference: Difference) -> Change {
    let change = match difference.kind {
        Kind::Added => ChangeKind::Added,
        Kind::Removed => ChangeKind::Removed,
        Kind::Changed => ChangeKind::Changed,
    };
    Change {
        change,
        what: difference.what.to_owned(),
        name: difference.name,
    }
}

fn problem(diagnostic: Diagnostic) -> Problem {
    let place = match (diagnostic.line, diagnostic.column) {
        (Some(line), Some(column)) => format!("{}:{line}:{column}", diagnostic.file),
        _ => diagnostic.file,
    };
    Problem {
        severity: diagnostic.severity.label(),
        place: Some(place),
        message: diagnostic.message,
        hint: diagnostic.hint,
    }
}

fn unix_seconds(time: SystemTime) -> i64 {
    let elapsed = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(elapsed.as_secs()).unwrap_or(i64::MAX)
}
