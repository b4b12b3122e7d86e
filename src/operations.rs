//! What the listener asks of the proxy, and the documents that it answers with.

use serde::Serialize;
use std::{future::Future, net::SocketAddr, path::PathBuf, pin::Pin};

/// What an operator may ask of a running proxy.
///
/// Nothing here waits for a worker, but for [`Operations::reload`].
pub trait Operations: Send + Sync + 'static {
    /// Whether new connections are welcome: there is a snapshot, and no drain.
    fn ready(&self) -> bool;

    /// The names of backends that have no server up.
    fn backends_down(&self) -> Vec<String>;

    /// What runs, since when, and with what.
    fn status(&self) -> Status;

    /// Open connections in the order of their ids.
    fn connections(&self, page: &PageRequest) -> ConnectionPage;

    /// Loads the configuration again; with `preview`, says what would change and changes nothing.
    fn reload(&self, preview: bool) -> Pin<Box<dyn Future<Output = ReloadAnswer> + Send + '_>>;

    /// Begins a drain; more calls change nothing.
    fn drain(&self);

    /// Ends connections; says how many were found.
    fn close(&self, which: &Selection) -> usize;

    /// Every metric in the text format of Prometheus.
    fn metrics(&self) -> String;

    /// The file with the token that lets other machines write, as the configuration in use names it.
    fn token_file(&self) -> Option<PathBuf>;
}

/// Which part of the connections is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// At most this many, from 1 to 1000.
    pub limit: usize,
    /// Only ids after this one.
    pub after: Option<String>,
}

/// Which connections to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// The one with this id.
    Id(String),
    /// All whose row shows this identity.
    Identity(String),
}

/// The answer to `GET /status`. Times are Unix seconds.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The version that runs.
    pub version: String,
    /// The process.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Whether it drains.
    pub state: DrainState,
    /// The generation of the configuration in use.
    pub generation: u64,
    /// When that was put to use.
    pub configured_at: i64,
    /// The last attempt to load the configuration.
    pub last_reload: ReloadStatus,
    /// Listeners.
    pub listeners: Vec<ListenerStatus>,
    /// Routes.
    pub routes: Vec<RouteStatus>,
    /// Backends.
    pub backends: Vec<BackendStatus>,
    /// Certificates, CAs, CRLs and keys, with their ends.
    pub certificates: Vec<CertificateStatus>,
}

#[cfg(test)]
impl Status {
    /// A proxy that has just started, for tests.
    pub(crate) fn sample() -> Self {
        Self {
            version: "1.2.3".to_owned(),
            pid: 7,
            uptime_seconds: 60,
            state: DrainState::Running,
            generation: 4,
            configured_at: 1_700_000_000,
            last_reload: ReloadStatus {
                at: 1_700_000_000,
                trigger: "start",
                result: "ok",
                problems: Vec::new(),
                warnings: Vec::new(),
                omitted: 0,
            },
            listeners: Vec::new(),
            routes: Vec::new(),
            backends: Vec::new(),
            certificates: Vec::new(),
        }
    }
}

/// Whether the proxy drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DrainState {
    /// It takes connections.
    Running,
    /// It ends.
    Draining,
}

/// An attempt to load the configuration that was not a preview.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadStatus {
    /// When it ended.
    pub at: i64,
    /// What asked for it: `start`, `file`, `signal` or `admin`.
    pub trigger: &'static str,
    /// `ok`, `unchanged`, or `failed`: then what was in use before still is.
    pub result: &'static str,
    /// Why it failed.
    pub problems: Vec<Problem>,
    /// What is allowed in it, and probably not meant.
    pub warnings: Vec<Problem>,
    /// Problems and warnings beyond these.
    pub omitted: usize,
}

/// A listener.
#[derive(Clone, Debug, Serialize)]
pub struct ListenerStatus {
    /// Its name.
    pub name: String,
    /// The address that it is bound to.
    pub address: SocketAddr,
    /// Open connections.
    pub open: u64,
}

/// A route.
#[derive(Clone, Debug, Serialize)]
pub struct RouteStatus {
    /// Its name.
    pub name: String,
    /// Its hosts; empty: any.
    pub hosts: Vec<String>,
    /// Its path prefix.
    pub path: String,
    /// The name of its backend.
    pub backend: String,
    /// Open WebSockets.
    pub open: u64,
}

/// A backend.
#[derive(Clone, Debug, Serialize)]
pub struct BackendStatus {
    /// Its name.
    pub name: String,
    /// Its servers.
    pub servers: Vec<ServerStatus>,
}

/// A server of a backend.
#[derive(Clone, Debug, Serialize)]
pub struct ServerStatus {
    /// Its address as it stands in the configuration.
    pub address: String,
    /// Whether it is chosen for new sockets: it is not known to be down.
    pub up: bool,
    /// What is known of it.
    pub state: ServerState,
    /// Since when it is up, or down.
    pub since: Option<i64>,
    /// When the last attempt to connect was.
    pub checked: Option<i64>,
    /// What that was for: `connection` (of a client), or `probe`.
    pub known_by: Option<&'static str>,
    /// Why that failed.
    pub error: Option<String>,
    /// Open connections to it.
    pub open: u64,
}

/// What is known of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Nothing: nobody has connected yet.
    NeverTried,
    /// The last attempt to connect succeeded.
    Up,
    /// It failed.
    Down,
}

/// Something that expires.
#[derive(Clone, Debug, Serialize)]
pub struct CertificateStatus {
    /// `server`, `client_ca`, `crl` or `integrity_key`.
    pub kind: String,
    /// Its name in the configuration.
    pub name: String,
    /// The last second at which it is valid.
    pub expires: i64,
}

/// The answer to `GET /connections`.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionPage {
    /// How many are open in all.
    pub total: usize,
    /// This part of them.
    pub connections: Vec<ConnectionRow>,
    /// What to ask for as `after`, if there are more.
    pub next: Option<String>,
}

/// An open connection.
#[derive(Clone, Debug, Serialize)]
pub struct ConnectionRow {
    /// `websocket`, or `request` for a plain request whose answer is not finished.
    pub kind: &'static str,
    /// Its id, as in the log and in `X-Request-Id`.
    pub id: String,
    /// The listener that took it.
    pub listener: String,
    /// The client's address.
    pub peer: SocketAddr,
    /// The client's certificate, in one line.
    pub identity: Option<String>,
    /// The route's name.
    pub route: Option<String>,
    /// The rule that admitted it.
    pub rule: Option<String>,
    /// The backend's name.
    pub backend: Option<String>,
    /// When it was opened, in Unix seconds.
    pub opened: i64,
    /// Seconds since the last frame.
    pub idle_seconds: u64,
    /// When its certificate chain ends, in Unix seconds.
    pub certificate_expires: Option<i64>,
    /// The algorithm and binding of frame integrity.
    pub integrity: Option<String>,
    /// The id of the key that its tags depend on.
    pub integrity_key: Option<String>,
}

/// The answer to `POST /reload`.
#[derive(Clone, Debug)]
pub enum ReloadAnswer {
    /// It was done, or would do, this.
    Done(ReloadReport),
    /// It cannot be done; the configuration in use stays.
    Refused(Vec<Problem>),
}

/// What a reload did, or would do.
#[derive(Clone, Debug, Serialize)]
pub struct ReloadReport {
    /// `ok` or `unchanged`.
    pub result: String,
    /// Whether this is only what would be done.
    pub preview: bool,
    /// The generation in use now.
    pub generation: u64,
    /// What differs.
    pub changes: Vec<Change>,
    /// Open sockets that end because of it, by reason; normally none.
    pub touched: Vec<Touched>,
    /// What is allowed in it, and probably not meant.
    pub warnings: Vec<Problem>,
}

/// One thing that differs.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// What became of it.
    pub change: ChangeKind,
    /// What it is: `route`, `certificate`, …
    pub what: String,
    /// Its name in the configuration.
    pub name: String,
}

/// What became of a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another.
    Changed,
}

/// Open sockets that end for one reason.
#[derive(Clone, Debug, Serialize)]
pub struct Touched {
    /// The label of the ending.
    pub reason: String,
    /// Their ids.
    pub connections: Vec<String>,
}

/// Why a configuration was refused, or what in it is probably not meant.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// `error`, or `warning` for what alone would not have been refused.
    pub severity: &'static str,
    /// `file:line:column`, as far as it is known.
    pub place: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
