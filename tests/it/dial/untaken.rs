//! An answer that the client does not take.

use crate::support::{Backend, Config, Proxy, Upgrade, Wire, backend::Served, eventually};
use socket2::{Domain, Socket, Type};
use std::{
    net::TcpStream as StdTcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};
use tokio::net::TcpStream;

/// The size of segments that the client asks for: the system makes the proxy's send buffer larger
/// for larger ones, and for more of them in flight, which a small receive buffer prevents.
const SEGMENT: u32 = 536;
/// More than that buffer takes.
const CONTENT: usize = 1 << 20;

/// A client that sends its request and reads nothing behind the handshake.
async fn ask_and_read_nothing(proxy: &Proxy) -> Wire {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket.set_tcp_mss(SEGMENT).unwrap();
    socket.connect(&proxy.address().into()).unwrap();
    socket.set_nonblocking(true).unwrap();
    let tcp = TcpStream::from_std(StdTcpStream::from(socket)).unwrap();
    let local = tcp.local_addr().unwrap();
    let mut wire = Wire::new(proxy.dial().over(tcp).await.unwrap(), Some(local));
    wire.send(&Upgrade::to("/").bytes()).await;
    wire
}

/// A backend that declines at length; and how many of its connections the proxy has ended.
async fn declining() -> (Backend, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = ended.clone();
    let backend = Backend::script(move |mut served: Served| {
        let ended = counted.clone();
        async move {
            if served.request().await.is_some() {
                let head = format!("HTTP/1.1 503 Busy\r\nContent-Length: {CONTENT}\r\n\r\n");
                let _ = served.wire.try_send(head.as_bytes()).await;
                let _ = served.wire.try_send(&vec![b'x'; CONTENT]).await;
                served.wire.read_to_end().await;
                ended.fetch_add(1, Relaxed);
            }
        }
    })
    .await;
    (backend, ended)
}

#[tokio::test]
async fn client_that_does_not_take_a_declining_answer_is_given_up() {
    let (backend, ended) = declining().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "write = '200ms'"));
    let client = ask_and_read_nothing(&proxy).await;
    let lines = proxy.wait_lines(&client, 1).await;
    assert_eq!(lines[0].field("reason"), "request_gone", "{lines:?}");
    let detail = "it did not take the answer within timeouts.write";
    assert_eq!(lines[0].field("detail"), detail);
    eventually("the end at the backend", || ended.load(Relaxed) == 1).await;
    let peer = client.local.unwrap().to_string();
    drop(client);
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    let lines = proxy.lines(|line| line.client() == peer);
    assert_eq!(lines.len(), 1, "{lines:?}");
}
