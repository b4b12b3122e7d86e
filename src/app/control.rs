//! The control loop: signals, files, the admin listener and the drain, on one thread of their own.

use super::{
    handle::{Handle, ReloadRequest},
    operations::AppOperations,
};
use crate::{
    admin,
    backend::health::probe,
    observe::Trigger,
    reload::{self, Outcome, Reloader},
    roster::drain,
    watch::Watcher,
    worker::Shared,
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
/// How often to look for what expires soon.
const EXPIRY: Duration = Duration::from_hours(6);

/// What makes a running proxy do something, besides files.
pub struct Control {
    requests: mpsc::Receiver<ReloadRequest>,
    handle: Handle,
    /// Caught from the start; `None`: signals are not obeyed.
    hangup: Option<Signal>,
}

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
    Request(ReloadRequest),
    Reload(Trigger),
    Drain,
    EndNow,
    Drained(usize),
    Expiry,
}

impl Control {
    /// Control by [`Handle`]s alone.
    pub fn new() -> Self {
        let (reload, requests) = mpsc::channel(16);
        let drain = Arc::default();
        Self {
            requests,
            handle: Handle { reload, drain },
            hangup: None,
        }
    }

    /// Obeys the process's signals as well.
    ///
    /// HUP is caught from now on, so that one that comes while files are read for the first time
    /// reloads them instead of ending the process. The others end it until [`super::App::run`].
    ///
    /// # Errors
    /// The signal cannot be caught.
    ///
    /// # Panics
    /// Outside a runtime, which delivers the signals.
    pub fn obey_signals(&mut self) -> io::Result<()> {
        self.hangup = Some(signal(SignalKind::hangup())?);
        Ok(())
    }

    /// Takes the process's other signals over, if they are to be obeyed.
    pub(super) fn signals(&mut self) -> io::Result<Option<Signals>> {
        self.hangup.take().map(Signals::listen).transpose()
    }

    /// A handle that makes the proxy do something.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl Default for Control {
    fn default() -> Self {
        Self::new()
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
        let last_reload = self.reloader.last_attempt();
        let operations = AppOperations::new(
            self.shared.clone(),
            self.listeners.clone(),
            last_reload,
            control.handle(),
        );
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
            () = self.obey(control, signals) => Ok(()),
            () = probe_forever(&shared) => Ok(()),
        }
    }

    async fn obey(&mut self, control: Control, mut signals: Option<Signals>) {
        let (mut requests, drain) = (control.requests, control.handle.drain);
        let mut draining: Pin<Box<dyn Future<Output = usize>>> = Box::pin(pending());
        let mut expiry = interval(EXPIRY);
        expiry.set_missed_tick_behavior(MissedTickBehavior::Delay);
        expiry.tick().await;
        loop {
            let watch = self.reloader.settings().server.watch;
            let event = tokio::select! {
                Some(request) = requests.recv() => Event::Request(request),
                () = drain.notified() => Event::Drain,
                event = next_signal(signals.as_mut()) => event,
                _ = self.watcher.changed(), if watch => Event::Reload(Trigger::File),
                cut = &mut draining => Event::Drained(cut),
                () = self.reloader.close_due() => continue,
                _ = expiry.tick() => Event::Expiry,
            };
            match event {
                Event::Request(ReloadRequest { preview, reply }) => {
                    // The caller may have gone; the reload stands.
                    let _ = reply.send(self.reload(Trigger::Admin, preview).await);
                }
                Event::Reload(trigger) => {
                    self.reload(trigger, false).await;
                }
                Event::Drain => self.begin_drain(&mut draining),
                Event::Expiry => reload::warn_of_expiry(&self.shared.snapshot.load()),
                Event::EndNow => return tracing::warn!("interrupted again: ending now"),
                Event::Drained(cut) => return tracing::info!(cut, "drained"),
            }
        }
    }

    async fn reload(&mut self, trigger: Trigger, preview: bool) -> Outcome {
        let watcher = &mut self.watcher;
        // A preview leaves what it sees to be noticed and applied.
        if !preview {
            // Before anything is read, so that what is written meanwhile is noticed afterwards.
            watcher.acknowledge();
        }
        let look = |paths: &[PathBuf]| {
            if !preview {
                watcher.set_paths(paths.to_vec());
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
        let shared = self.shared.clone();
        *draining = Box::pin(async move {
            drain::close_all(&shared.connections, &shared.upgrades, &settings).await
        });
    }
}

impl Signals {
    fn listen(hangup: Signal) -> io::Result<Self> {
        Ok(Self {
            hangup,
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
        let down = snapshot.routing.backends.iter().flat_map(|backend| {
            let down = backend.servers().iter().filter(|server| !server.is_up());
            down.map(|server| (backend.name.clone(), server.clone()))
        });
        let probes = down.map(async |(backend, server)| {
            if probe(&server).await {
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
