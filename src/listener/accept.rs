//! Stage 1: accept.
//!
//! Takes: a bound listener. Returns: a TCP connection with its permits. Refuses when the limit of
//! open connections is reached. Deadline: none; accepting goes on until the drain is over.
//! Metric: `connections_total`, `connections_open`.

use super::{redirect, serve::serve};
use crate::{
    ending::HandshakeEnding,
    runtime::{permits::Held, workers},
    worker::{
        Worker,
        random::new_id,
        visit::{Admission, Listener, Visit},
    },
};
use socket2::{Domain, Protocol, Socket, TcpKeepalive, Type};
use std::{cell::OnceCell, io, net::SocketAddr, rc::Rc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

/// Connections that the system queues before they are accepted.
const BACKLOG: i32 = 4096;
/// Back-off after the first accept error; doubled up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(5);
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Binds one socket per worker to an address; port 0 is resolved once, for all of them.
///
/// # Errors
/// The address is in use by another process, or may not be bound.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    // Alone first: SO_REUSEPORT would let two proxies share a port without a word.
    let address = {
        let probe = socket(address)?;
        probe.bind(&address.into())?;
        probe.listen(1)?;
        probe.local_addr()?.as_socket().unwrap_or(address)
    };
    (0..workers.max(1)).map(|_| bind_shared(address)).collect()
}

fn bind_shared(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = socket(address)?;
    socket.set_reuse_port(true)?;
    // Accepted connections inherit both.
    socket.set_tcp_keepalive(&keep_alive())?;
    // Without it, each small frame would wait for the ACK of the one before.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn socket(address: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    Ok(socket)
}

/// Accepts until the worker stops.
pub async fn accept(worker: Rc<Worker>, listener: Rc<Listener>, socket: TcpListener) {
    let mut backoff = Backoff::default();
    loop {
        match socket.accept().await {
            Ok((tcp, peer)) => {
                backoff.reset();
                // While no handshake may start, the others wait in the system's queue, not in
                // our memory.
                let limit = || worker.shared.snapshot.load().limits.handshakes;
                let handshake = worker.shared.handshakes.wait(limit).await;
                admit(&worker, &listener, tcp, peer, handshake);
            }
            Err(error) => backoff.wait(&listener, &error).await,
        }
    }
}

fn admit(
    worker: &Rc<Worker>,
    listener: &Rc<Listener>,
    tcp: TcpStream,
    peer: SocketAddr,
    handshake: Held,
) {
    let snapshot = worker.shared.snapshot.load_full();
    let guard = listener.metrics.accepted();
    let visit = Visit {
        id: new_id(),
        peer,
        worker: worker.clone(),
        listener: listener.clone(),
        snapshot,
        under_way: OnceCell::new(),
    };
    if let Some(held) = worker.shared.open.take(visit.snapshot.limits.connections) {
        let admission = Admission { held, guard };
        match listener.redirects_to {
            Some(port) => {
                workers::spawn_connection(redirect::serve(visit, admission, tcp, port));
            }
            None => workers::spawn_connection(serve(visit, admission, tcp, handshake)),
        }
    } else {
        listener.metrics.refused(HandshakeEnding::ConnectionLimit);
        visit.log_refusal(HandshakeEnding::ConnectionLimit, None);
    }
}

/// The system notices peers that vanished even where the proxy does not ping.
fn keep_alive() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(Duration::from_mins(1))
        .with_interval(Duration::from_secs(15))
}

/// Accept errors (out of file descriptors, mostly) slow accepting down and never end it.
#[derive(Default)]
struct Backoff {
    delay: Option<Duration>,
}

impl Backoff {
    fn reset(&mut self) {
        self.delay = None;
    }

    async fn wait(&mut self, listener: &Listener, error: &io::Error) {
        listener.metrics.accept_failed();
        let delay = self
            .delay
            .map_or(BACKOFF_MIN, |delay| (delay * 2).min(BACKOFF_MAX));
        if self.delay.is_none() {
            tracing::warn!(
                listener = &*listener.name,
                %error,
                "cannot accept connections for now; if file descriptors ran out, raise the limit (ulimit -n)"
            );
        }
        self.delay = Some(delay);
        sleep(delay).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::SockRef;

    #[test]
    fn accepted_connections_send_at_once_and_are_probed_by_the_system() {
        let listeners = bind(([127, 0, 0, 1], 0).into(), 1).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let _client = std::net::TcpStream::connect(address).unwrap();
        listeners[0].set_nonblocking(false).unwrap();
        let (accepted, _) = listeners[0].accept().unwrap();
        let accepted = SockRef::from(&accepted);
        assert!(accepted.tcp_nodelay().unwrap());
        assert!(accepted.keepalive().unwrap());
        assert_eq!(
            accepted.tcp_keepalive_time().unwrap(),
            Duration::from_mins(1)
        );
    }
}
