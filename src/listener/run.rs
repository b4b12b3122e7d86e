//! A worker's loop: it accepts on its sockets and sweeps its connections.

use crate::{
    backend::requests::Pool,
    listener::accept,
    runtime::{buffers::Buffers, clock::unix_time, permits::Turnstile, workers},
    worker::{Shared, Worker, known_clients::KnownClients, visit::Listener},
};
use std::{rc::Rc, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{MissedTickBehavior, interval},
};

/// How often deadlines of open sockets are looked at.
const SWEEP: Duration = Duration::from_millis(250);

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
        requests: Pool::default(),
        clients: KnownClients::default(),
    });
    for Bound { listener, socket } in bound {
        match TcpListener::from_std(socket) {
            Ok(socket) => {
                let accept = accept::accept(worker.clone(), Rc::new(listener), socket);
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
        worker.requests.sweep();
    }
}
