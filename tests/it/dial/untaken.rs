//! Answers that the client does not take.

use crate::support::{
    Backend, Config, Proxy, Upgrade, Wire, backend::Served, eventually, request::switching,
};
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
    wire.send(&Upgrade::to("/").octets()).await;
    wire
}

/// A backend that answers with a head and further octets; and how many of its connections the
/// proxy has ended.
async fn answering(
    head: impl Fn(&str) -> String + Send + Clone + 'static,
) -> (Backend, Arc<AtomicUsize>) {
    let ended = Arc::new(AtomicUsize::new(0));
    let counted = ended.clone();
    let backend = Backend::script(move |mut served: Served| {
        let (head, ended) = (head.clone(), counted.clone());
        async move {
            if let Some(request) = served.request().await {
                let answer = head(&request.accept());
                let _ = served.wire.try_send(answer.as_bytes()).await;
                served.wire.read_to_end().await;
                ended.fetch_add(1, Relaxed);
            }
        }
    })
    .await;
    (backend, ended)
}

/// Such a client ends at the deadline, and the backend's connection with it.
async fn gives_up(backend: Backend, ended: Arc<AtomicUsize>) {
    let config = Config::to(&backend).set("timeouts", "write = '200ms'");
    let proxy = Proxy::start(config);
    let client = ask_and_read_nothing(&proxy).await;
    let lines = proxy.wait_lines(&client, 1).await;
    assert_eq!(lines[0].field("reason"), "request_gone", "{lines:?}");
    let detail = "it did not take the answer within timeouts.write";
    assert_eq!(lines[0].field("detail"), detail);
    eventually("the end at the backend", || ended.load(Relaxed) == 1).await;
    let peer = client.local.unwrap().to_string();
    drop(client);
    proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
    let lines = proxy.lines(|line| line.field("peer") == peer);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

#[tokio::test]
async fn client_that_does_not_take_its_101_is_given_up() {
    let field = format!("X-Long: {}\r\n", "x".repeat(6000));
    let fields = field.repeat(10);
    let head = move |accept: &str| format!("{}{fields}\r\n", switching(accept));
    let (backend, ended) = answering(head).await;
    gives_up(backend, ended).await;
}

#[tokio::test]
async fn client_that_does_not_take_a_declining_answer_is_given_up() {
    let content = "x".repeat(1 << 20);
    let head = move |_: &str| {
        let length = content.len();
        format!("HTTP/1.1 503 Busy\r\nContent-Length: {length}\r\n\r\n{content}")
    };
    let (backend, ended) = answering(head).await;
    gives_up(backend, ended).await;
}
