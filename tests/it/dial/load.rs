//! What counts as load when a server is chosen.

use super::asked;
use crate::support::{Backend, Config, Proxy, Upgrade};
use socket2::{Domain, Socket, Type};
use std::{net::SocketAddr, time::Duration};
use tokio::{net::TcpStream, time::timeout};

/// A server whose queue is full, so that it swallows whatever comes; and what fills the queue.
async fn swallowing() -> (Socket, Vec<TcpStream>, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    let moment = Duration::from_millis(250);
    let connect = || timeout(moment, TcpStream::connect(address));
    while let Ok(stream) = connect().await {
        queued.push(stream.unwrap());
    }
    (socket, queued, format!("ws://{address}"))
}

#[tokio::test]
async fn connections_that_are_being_opened_count_as_load() {
    let (backend, (_socket, _queued, silent)) = (Backend::echo().await, swallowing().await);
    let config = Config::to(&backend)
        .backend("echo", &[silent.clone(), backend.url()])
        .set("timeouts", "connect = '1h'");
    let proxy = Proxy::start(config);
    let mut clients = Vec::new();
    for count in [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] {
        clients.push(asked(&proxy, &Upgrade::to("/")).await);
        proxy.wait_for("tidegate_backend_open", &[], count).await;
    }
    for server in [silent, backend.url()] {
        let open = proxy.metric("tidegate_backend_open", &[("server", &server)]);
        assert_eq!(open, 3.0, "{server}");
    }
}
