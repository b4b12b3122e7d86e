//! What connections share: with those of the same worker, and with all.

use super::{
    authenticate::{KnownClients, unix_time},
    listen::{self, Listener},
    snapshot::Snapshot,
};
use crate::{
    lifecycle::{
        buffers::Buffers,
        clients::Clients,
        connections::Connections,
        drain::Drain,
        permits::{Gauge, Turnstile},
        workers,
    },
    observe::Metrics,
};
use arc_swap::ArcSwap;
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often deadlines of open sockets are looked at.
const SWEEP: Duration = Duration::from_millis(250);

/// What all workers share.
pub struct Shared {
    /// The configuration in use.
    pub snapshot: ArcSwap<Snapshot>,
    /// All open sockets.
    pub connections: Arc<Connections>,
    /// Whether the proxy drains.
    pub drain: Drain,
    /// Open connections of all listeners.
    pub open: Arc<Gauge>,
    /// TLS handshakes that are under way.
    pub handshakes: Arc<Gauge>,
    /// Requests that came before a drain and have no answer yet.
    pub upgrades: Arc<Gauge>,
    /// What each client has and has sent, where that is limited.
    pub clients: Clients,
    /// What is counted.
    pub metrics: Metrics,
}

/// What the connections of one worker share.
pub struct Worker {
    /// Its place among the workers.
    pub index: usize,
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Buffers for the moment.
    pub buffers: Buffers,
    /// Whose turn it is to compute a handshake.
    pub turnstile: Turnstile,
    /// Who has been here.
    pub clients: KnownClients,
}

/// A listener's socket for one worker.
pub struct Bound {
    /// See [`Listener`]; shared by the listener's sockets.
    pub listener: Listener,
    /// The socket, not yet known to a runtime.
    pub socket: std::net::TcpListener,
}

/// Runs a worker until `stop` says true: accepts on its sockets and sweeps its connections.
pub async fn run(
    index: usize,
    shared: Arc<Shared>,
    bound: Vec<Bound>,
    mut stop: watch::Receiver<bool>,
) {
    let worker = Rc::new(Worker {
        index,
        shared,
        buffers: Buffers::default(),
        turnstile: Turnstile::default(),
        clients: KnownClients::default(),
    });
    for Bound { listener, socket } in bound {
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                let accept = listen::accept(worker.clone(), Rc::new(listener), socket);
                workers::spawn_beside(accept);
            }
            Err(error) => {
                tracing::error!(listener = &*listener.name, %error, "cannot accept on this listener");
            }
        }
    }
    workers::spawn_beside(sweep(worker));
    // An error means that nobody can stop the worker any more: then it stops as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn sweep(worker: Rc<Worker>) {
    let mut ticks = interval(SWEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let connections = &worker.shared.connections;
        connections.sweep(worker.index, unix_time());
    }
}
