//! Puts the parts together: bind first, run later.
//!
//! ```text
//! App::bind ─► sockets are bound, the snapshot is built ─► App::run ─► workers, one thread each
//!                                                             └─► control: signals, files, admin
//! ```

mod control;
mod handle;
mod operations;

use crate::{
    backend::registry,
    config::Diagnostic,
    listener::{accept, run::Bound},
    observe::{Metrics, ReloadResult, Trigger},
    reload::{self, Reloader, build},
    roster::{drain::Drain, quotas::Clients, sockets::Connections},
    runtime::{permits::Gauge, workers},
    snapshot::settings::ListenerSettings,
    watch::Watcher,
    worker::{Shared, visit::Listener},
};
use arc_swap::ArcSwap;
use prometheus::Registry;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    thread::JoinHandle,
};
use tokio::sync::watch;

pub use control::Control;
pub use handle::Handle;

/// A proxy whose sockets are bound and that carries nothing yet.
pub struct App {
    shared: Arc<Shared>,
    listeners: Vec<(String, SocketAddr)>,
    /// Sockets by worker.
    bound: Vec<Vec<Bound>>,
    admin: Option<(TcpListener, SocketAddr)>,
    reloader: Reloader,
    watcher: Watcher,
}

/// A running proxy's threads; ends them when asked to.
struct Threads {
    stop: watch::Sender<bool>,
    handles: Vec<JoinHandle<()>>,
}

/// Why the proxy does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration, or something that it names, is wrong.
    #[error("{}", render(.0))]
    Configuration(Vec<Diagnostic>),
    /// An address cannot be bound.
    #[error("cannot listen on {address} ({what}): {error}; {}", bind_hint(error))]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Whose it is.
        what: String,
        /// What the system says.
        error: io::Error,
    },
    /// The system has no signals, sockets or threads left.
    #[error("{0}")]
    System(#[from] io::Error),
    /// Something that never fails did.
    #[error("cannot start: {0}")]
    Internal(String),
}

impl App {
    /// Reads the configuration, builds its snapshot and binds every address.
    ///
    /// `log_lines_dropped` is counted by the log.
    pub fn bind(path: &Path, log_lines_dropped: Arc<AtomicU64>) -> Result<Self, StartError> {
        let mut watcher = Watcher::new([path.to_owned()]);
        let look = |paths: &[PathBuf]| watcher.set_paths(paths.to_vec());
        let candidate = build::prepare(path, None, look).map_err(StartError::Configuration)?;
        reload::log_warnings(&candidate.warnings);
        let reloader = Reloader::new(path, &candidate);
        let settings = candidate.settings();
        let names: Vec<_> = settings.listeners.iter().map(|l| l.name.clone()).collect();
        let metrics = Metrics::register(&Registry::new(), &names, log_lines_dropped)
            .map_err(|error| StartError::Internal(error.to_string()))?;
        let (bound, listeners) = bind_listeners(&candidate, &metrics)?;
        let admin = settings
            .admin
            .as_ref()
            .map(|admin| bind_admin(admin.address));
        let admin = admin.transpose()?;
        let workers = settings.server.workers;
        let servers = registry::Registry::default();
        let snapshot = candidate.snapshot(1, &metrics, &servers);
        reload::warn_of_expiry(&snapshot);
        metrics.published(1, snapshot.since);
        metrics.reload(Trigger::Start, ReloadResult::Ok);
        let shared = Arc::new(Shared {
            snapshot: ArcSwap::from_pointee(snapshot),
            connections: Arc::new(Connections::new(workers)),
            drain: Drain::default(),
            open: Arc::new(Gauge::default()),
            handshakes: Arc::new(Gauge::default()),
            upgrades: Arc::new(Gauge::default()),
            clients: Clients::default(),
            servers,
            metrics,
        });
        Ok(Self {
            shared,
            listeners,
            bound,
            admin,
            reloader,
            watcher,
        })
    }

    /// Every listener's name and bound address, in order of configuration.
    pub fn listeners(&self) -> &[(String, SocketAddr)] {
        &self.listeners
    }

    /// The bound address of the admin listener.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|(_, address)| *address)
    }

    /// What workers and control share.
    pub fn shared(&self) -> Arc<Shared> {
        self.shared.clone()
    }

    /// Carries connections until a drain has ended; [`Control`] and signals begin one.
    ///
    /// To be run on a current-thread runtime of its own.
    ///
    /// # Errors
    /// A worker's thread cannot be started, or signals cannot be caught.
    pub async fn run(self, mut control: Control) -> io::Result<()> {
        // Before the log says that it runs: a signal until then would kill it.
        let signals = control.signals()?;
        for (name, address) in &self.listeners {
            tracing::info!(listener = name, %address, "listening");
        }
        if let Some((_, address)) = &self.admin {
            tracing::info!(%address, "admin listening");
        }
        let threads = Threads::start(&self.shared, self.bound)?;
        let running = control::Running {
            shared: self.shared,
            reloader: self.reloader,
            watcher: self.watcher,
            listeners: self.listeners,
        };
        let admin = self.admin.map(|(socket, _)| socket);
        let result = running.until_drained(control, signals, admin).await;
        threads.end();
        result
    }
}

impl Threads {
    fn start(shared: &Arc<Shared>, bound: Vec<Vec<Bound>>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let mut threads = Self {
            stop,
            handles: Vec::new(),
        };
        for (index, bound) in bound.into_iter().enumerate() {
            let (shared, stopped) = (shared.clone(), stopped.clone());
            let run = move || crate::listener::run::run(index, shared, bound, stopped);
            threads.handles.push(workers::start(index, run)?);
        }
        Ok(threads)
    }

    fn end(self) {
        self.stop.send_replace(true);
        for handle in self.handles {
            if handle.join().is_err() {
                tracing::error!(
                    "a worker's thread panicked; this is a bug in tidegate: please report it"
                );
            }
        }
    }
}

type BoundListeners = (Vec<Vec<Bound>>, Vec<(String, SocketAddr)>);

/// Binds each listener once per worker; returns the sockets by worker.
fn bind_listeners(
    candidate: &build::Candidate,
    metrics: &Metrics,
) -> Result<BoundListeners, StartError> {
    let workers = candidate.settings().server.workers;
    let mut by_worker: Vec<Vec<Bound>> = (0..workers).map(|_| Vec::new()).collect();
    let mut addresses = Vec::new();
    for (index, settings) in candidate.settings().listeners.iter().enumerate() {
        let refused = |error| StartError::Bind {
            address: settings.address,
            what: format!("listener {}", settings.name),
            error,
        };
        let sockets = accept::bind(settings.address, workers).map_err(refused)?;
        let first = sockets.first().map(TcpListener::local_addr);
        let address = first
            .transpose()
            .map_err(refused)?
            .unwrap_or(settings.address);
        let counts = metrics
            .listener(&settings.name)
            .ok_or_else(|| StartError::Internal(format!("no metrics for {}", settings.name)))?;
        for (socket, sockets) in sockets.into_iter().zip(&mut by_worker) {
            let listener = Listener {
                redirects_to: None,
                index,
                name: settings.name.as_str().into(),
                address,
                metrics: counts.clone(),
            };
            sockets.push(Bound { listener, socket });
        }
        addresses.push((settings.name.clone(), address));
    }
    point_redirects(&candidate.settings().listeners, &addresses, &mut by_worker);
    Ok((by_worker, addresses))
}

/// Sends the clients of listeners without TLS to the port that the first one with TLS is bound to.
fn point_redirects(
    settings: &[ListenerSettings],
    addresses: &[(String, SocketAddr)],
    by_worker: &mut [Vec<Bound>],
) {
    let mut with_tls = settings
        .iter()
        .zip(addresses)
        .filter(|(it, _)| !it.redirects);
    let port = with_tls.next().map(|(_, (_, address))| address.port());
    for Bound { listener, .. } in by_worker.iter_mut().flatten() {
        let redirects = settings.get(listener.index).is_some_and(|it| it.redirects);
        listener.redirects_to = port.filter(|_| redirects);
    }
}

fn bind_admin(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |error| StartError::Bind {
        address,
        what: "admin".to_owned(),
        error,
    };
    let socket = TcpListener::bind(address).map_err(refused)?;
    socket.set_nonblocking(true).map_err(refused)?;
    let bound = socket.local_addr().map_err(refused)?;
    Ok((socket, bound))
}

fn bind_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there: stop it, or choose another address (`ss -ltnp` shows who)"
        }
        io::ErrorKind::PermissionDenied => {
            "ports below 1024 need the capability CAP_NET_BIND_SERVICE"
        }
        io::ErrorKind::AddrNotAvailable => "this machine does not have that address",
        _ => "check the address in the configuration",
    }
}

fn render(problems: &[Diagnostic]) -> String {
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    problems.join("\n")
}
