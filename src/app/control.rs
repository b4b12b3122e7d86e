//! The control loop: signals, files, the admin listener and the drain, on one thread of their own.

use super::operations::{AppOperations, Request};
use crate::{
    admin,
    connection::Shared,
    lifecycle::drain,
    observe::Trigger,
    reload::{self, Outcome, Reloader, watch::Watcher},
};
use std::{
    future::{Future, pending},
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    time::Duration,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval},
};

/// How often servers that are down are probed.
const PROBE: Duration = Duration::from_millis(500);
/// How often is looked what expires soon.
const EXPIRY: Duration = Duration::from_hours(6);

/// What tells a running proxy to do something, besides signals and files.
pub struct Control {
    requests: mpsc::Receiver<Request>,
    sender: mpsc::Sender<Request>,
    signals: bool,
}

/// Tells a running proxy to do something; for tests and the demo.
#[derive(Clone)]
pub struct Handle(mpsc::Sender<Request>);

/// What the control loop works on.
pub(super) struct Running {
    pub(super) shared: Arc<Shared>,
    pub(super) reloader: Reloader,
    pub(super) watcher: Watcher,
    pub(super) listeners: Vec<(String, SocketAddr)>,
}

/// The signals that mean something.
pub(super) struct Signals {
    hangup: Signal,
    terminate: Signal,
    interrupt: Signal,
    /// The first INT drains, the second ends.
    interrupted: bool,
}

/// What happened.
enum Event {
    Request(Request),
    Reload(Trigger),
    Drain,
    EndNow,
    Drained(usize),
    Expiry,
}

impl Control {
    /// Control that obeys the process's signals as well, if `signals` is true.
    pub fn new(signals: bool) -> Self {
        let (sender, requests) = mpsc::channel(16);
        Self {
            requests,
            sender,
            signals,
        }
    }

    /// Takes the process's signals over, if they are to be obeyed.
    pub(super) fn signals(&self) -> io::Result<Option<Signals>> {
        self.signals.then(Signals::listen).transpose()
    }

    /// A handle that tells the proxy to do something.
    pub fn handle(&self) -> Handle {
        Handle(self.sender.clone())
    }
}

impl Handle {
    /// Reads the configuration anew; gives what became of it, or `None` if the proxy is gone.
    pub async fn reload(&self, preview: bool) -> Option<Outcome> {
        let (reply, outcome) = tokio::sync::oneshot::channel();
        self.0.send(Request::Reload { preview, reply }).await.ok()?;
        outcome.await.ok()
    }

    /// Begins the drain, soon.
    pub fn drain_soon(&self) {
        // If it is not taken, the proxy is gone, or another request that drains is waiting.
        let _ = self.0.try_send(Request::Drain);
    }
}

impl Running {
    /// Runs until a drain has ended, or until nobody waits for it any more.
    pub(super) async fn until_drained(
        mut self,
        control: Control,
        signals: Option<Signals>,
        admin: Option<TcpListener>,
    ) -> io::Result<()> {
        let operations = AppOperations::new(&self, control.handle());
        let admin = async {
            match admin {
                Some(socket) => {
                    let socket = tokio::net::TcpListener::from_std(socket)?;
                    admin::serve(socket, Arc::new(operations), pending()).await;
                    Ok(())
                }
                None => pending().await,
            }
        };
        // Probing waits for the network: it must not hold up a reload.
        let shared = self.shared.clone();
        tokio::select! {
            result = admin => result,
            () = self.obey(control.requests, signals) => Ok(()),
            () = probe_forever(&shared) => Ok(()),
        }
    }

    async fn obey(&mut self, mut requests: mpsc::Receiver<Request>, mut signals: Option<Signals>) {
        let mut draining: Pin<Box<dyn Future<Output = usize>>> = Box::pin(pending());
        let mut expiry = interval(EXPIRY);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        expiry.tick().await;
        loop {
            let watch = self.reloader.settings().server.watch;
            let event = tokio::select! {
                Some(request) = requests.recv() => Event::Request(request),
                event = next_signal(signals.as_mut()) => event,
                _ = self.watcher.changed(), if watch => Event::Reload(Trigger::File),
                cut = &mut draining => Event::Drained(cut),
                () = self.reloader.close_due() => continue,
                _ = expiry.tick() => Event::Expiry,
            };
            match event {
                Event::Request(Request::Reload { preview, reply }) => {
                    // Whoever asked may have gone; the reload stands.
                    let _ = reply.send(self.reload(Trigger::Admin, preview).await);
                }
                Event::Reload(trigger) => {
                    self.reload(trigger, false).await;
                }
                Event::Request(Request::Drain) | Event::Drain => self.begin_drain(&mut draining),
                Event::Expiry => reload::warn_of_expiry(&self.shared.snapshot.load()),
                Event::EndNow => return tracing::warn!("interrupted again: ending now"),
                Event::Drained(cut) => return tracing::info!(cut, "drained"),
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger, preview: bool) -> Outcome {
        let watcher = &mut self.watcher;
        let look = |paths: &[PathBuf]| {
            watcher.set_paths(paths.to_vec());
            // A preview leaves what it has seen to be noticed and put to use.
            if !preview {
                watcher.acknowledge();
            }
        };
        let reloading = self.reloader.reload(&self.shared, trigger, preview, look);
        reloading.await
    }

    fn begin_drain(&self, draining: &mut Pin<Box<dyn Future<Output = usize>>>) {
        if !self.shared.drain.begin() {
            return;
        }
        self.shared.metrics.draining();
        let open = self.shared.connections.len();
        let settings = self.reloader.settings().server.clone();
        tracing::info!(open, spread = ?settings.drain_spread, timeout = ?settings.drain_timeout, "draining");
        let connections = self.shared.connections.clone();
        *draining = Box::pin(async move { drain::close_all(&connections, &settings).await });
    }
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            hangup: signal(SignalKind::hangup())?,
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            interrupted: false,
        })
    }
}

async fn next_signal(signals: Option<&mut Signals>) -> Event {
    let Some(signals) = signals else {
        return pending().await;
    };
    tokio::select! {
        _ = signals.hangup.recv() => Event::Reload(Trigger::Signal),
        _ = signals.terminate.recv() => Event::Drain,
        _ = signals.interrupt.recv() => {
            let again = std::mem::replace(&mut signals.interrupted, true);
            if again { Event::EndNow } else { Event::Drain }
        }
    }
}

/// Brings servers back that are down, without waiting for a client to try them.
async fn probe_forever(shared: &Shared) {
    let mut ticks = interval(PROBE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let snapshot = shared.snapshot.load_full();
        let down = snapshot.backends.iter().flat_map(|backend| {
            let down = backend.servers().iter().filter(|server| !server.is_up());
            down.map(|server| (backend.name.clone(), server.clone()))
        });
        let probes = down.map(async |(backend, server)| {
            if server.probe().await {
                tracing::info!(
                    backend = &*backend,
                    server = &*server.label,
                    "backend server is up again"
                );
            }
        });
        futures_util::future::join_all(probes).await;
    }
}
