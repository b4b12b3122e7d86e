//! Backends: their servers, how one is chosen, and how it is reached.

use crate::observe::{BackendMetrics, Known, ServerGauges};
use http::HeaderValue;
use std::{
    fmt,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

pub mod balance;
pub mod requests;
pub mod stream;

use stream::{BackendStream, is_ours};

/// How long a probe of a server that is down may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// A `[backend.NAME]` table, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendSettings {
    /// The name that routes use.
    pub name: String,
    /// Its servers, at least one.
    pub servers: Vec<ServerAddress>,
    /// How a server is chosen.
    pub balance: Balance,
    /// The `Host` that it gets; `None`: the client's.
    pub host: Option<HeaderValue>,
}

/// Where a server of a backend listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// `ws://127.0.0.1:9001`: an IP address and a port.
    Ip(SocketAddr),
    /// `ws://chat.internal:9001`: a name, looked up when a connection is made.
    Name(String, u16),
    /// `unix:/run/chat.sock`.
    Unix(PathBuf),
}

/// How a server is chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Balance {
    /// The one with the fewest open sockets.
    LeastConnections,
    /// Each in turn.
    RoundRobin,
    /// The less loaded of two drawn at random.
    RandomTwo,
    /// The same server for the same key, as long as it is up (rendezvous hashing).
    Hash(HashOn),
}

/// What `balance = "hash"` hashes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashOn {
    /// The client certificate's fingerprint; the address where there is none.
    Client,
    /// The client's IP address.
    Ip,
    /// A request field.
    Header(http::HeaderName),
}

/// A backend in use.
#[derive(Debug)]
pub struct Backend {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// How a server is chosen.
    pub balance: Balance,
    /// The `Host` that it gets; `None`: the client's.
    pub host: Option<HeaderValue>,
    /// What is counted of it; absent where nobody counts.
    pub metrics: Option<Arc<BackendMetrics>>,
    servers: Vec<Arc<Server>>,
    turn: AtomicUsize,
}

/// A server of a backend in use.
#[derive(Debug)]
pub struct Server {
    /// Where it listens.
    pub address: ServerAddress,
    /// The address as the configuration writes it.
    pub label: Arc<str>,
    /// Whether it is up and how many connections it has; kept over reloads.
    gauges: Arc<ServerGauges>,
}

/// Counts a connection to a server as open until it is dropped.
#[derive(Debug)]
pub struct OpenConnection(Arc<ServerGauges>);

impl Backend {
    /// A backend whose servers' gauges are those of `metrics`.
    pub fn new(settings: &BackendSettings, metrics: &Arc<BackendMetrics>) -> Self {
        let gauges = |label: &str| metrics.server(label).unwrap_or_else(unseen);
        Self {
            metrics: Some(metrics.clone()),
            ..Self::build(settings, gauges)
        }
    }

    /// A backend that nobody counts: for a check of the configuration, and for tests.
    pub fn detached(settings: &BackendSettings) -> Self {
        Self::build(settings, |_| unseen())
    }

    fn build(settings: &BackendSettings, gauges: impl Fn(&str) -> Arc<ServerGauges>) -> Self {
        let server = |address: &ServerAddress| {
            let label = address.to_string();
            let gauges = gauges(&label);
            Arc::new(Server {
                address: address.clone(),
                label: label.into(),
                gauges,
            })
        };
        Self {
            name: settings.name.as_str().into(),
            balance: settings.balance.clone(),
            host: settings.host.clone(),
            metrics: None,
            servers: settings.servers.iter().map(server).collect(),
            turn: AtomicUsize::new(0),
        }
    }

    /// Its servers, in order of configuration.
    pub fn servers(&self) -> &[Arc<Server>] {
        &self.servers
    }
}

impl Server {
    /// Whether the last attempt to connect succeeded, or there was none yet.
    pub fn is_up(&self) -> bool {
        self.gauges.health.is_up()
    }

    /// What is known of it; `None`: it was never tried.
    pub fn known(&self) -> Option<Known> {
        self.gauges.health.known()
    }

    /// Connections of this proxy to it that are open, or being opened.
    pub fn open(&self) -> usize {
        self.gauges.open.load(Relaxed)
    }

    /// Counts a connection to it as open.
    pub fn opened(&self) -> OpenConnection {
        self.gauges.open.fetch_add(1, Relaxed);
        OpenConnection(self.gauges.clone())
    }

    /// Remembers that a connection to it was made.
    pub fn connected(&self) {
        self.gauges.health.connected(SystemTime::now());
    }

    /// Takes it out of the choice until a probe reaches it; returns true if it was up.
    pub fn mark_down(&self, error: impl Into<String>) -> bool {
        self.gauges.health.failed(error.into(), SystemTime::now())
    }

    /// Connects and hangs up; on success the server is up again. Gives whether it came back.
    pub async fn probe(&self) -> bool {
        let attempt = BackendStream::connect(&self.address);
        let error = match tokio::time::timeout(PROBE_TIMEOUT, attempt).await {
            Ok(Ok(_)) => None,
            // It says nothing of the server.
            Ok(Err(error)) if is_ours(&error) => return false,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no connection within {PROBE_TIMEOUT:?}")),
        };
        self.gauges.health.probed(error, SystemTime::now())
    }
}

/// Gauges of a server that was not announced to the metrics.
fn unseen() -> Arc<ServerGauges> {
    Arc::default()
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "ws://{address}"),
            Self::Name(host, port) => write!(f, "ws://{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}
