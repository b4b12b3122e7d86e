//! Records beneath a request or an open socket: keys that change, bytes that are no record, ends
//! without a word.

use super::{BOTH, proxy};
use crate::support::{Backend, Config, End, Proxy, Upgrade, Wire, frame, within};
use std::net::SocketAddr;
use tidegate::frame::Opcode;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
};
use tokio_rustls::client::TlsStream;

/// A finished handshake whose TLS session can be got at, and its own address.
pub(super) async fn secure(proxy: &Proxy, version: usize) -> (TlsStream<TcpStream>, SocketAddr) {
    let tcp = TcpStream::connect(proxy.address()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let local = tcp.local_addr().unwrap();
    let dial = proxy.dial().version(BOTH[version]);
    (dial.over(tcp).await.unwrap(), local)
}

/// The same behind its upgrade.
pub(super) async fn open(proxy: &Proxy, version: usize) -> (TlsStream<TcpStream>, SocketAddr) {
    let (mut stream, local) = secure(proxy, version).await;
    stream.write_all(&Upgrade::to("/").bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101 "));
    proxy
        .wait_line(|line| line.message == "websocket open")
        .await;
    (stream, local)
}

/// The same connection without its TLS.
fn bare(stream: TlsStream<TcpStream>, local: SocketAddr) -> Wire {
    Wire::new(stream.into_inner().0, Some(local))
}

/// A record of application data that no key opens.
fn garbage() -> Vec<u8> {
    [&[23, 3, 3, 0, 64][..], &[0x5a; 64]].concat()
}

#[tokio::test]
async fn keys_that_change_between_messages_change_nothing_else() {
    let (proxy, _backend) = proxy().await;
    let (mut stream, _) = open(&proxy, 1).await;
    for round in 0..100 {
        stream.get_mut().1.refresh_traffic_keys().unwrap();
        let text = format!("round {round}");
        stream.write_all(&frame::text(&text)).await.unwrap();
        let mut back = vec![0; 2 + text.len()];
        within("an echo", stream.read_exact(&mut back))
            .await
            .unwrap();
        assert_eq!(back, frame::plain(Opcode::Text, text.as_bytes()));
    }
}

#[tokio::test]
async fn flood_of_key_updates_ends_its_connection_alone() {
    let (proxy, _backend) = proxy().await;
    let mut other = proxy.open("/").await;
    let (mut stream, local) = open(&proxy, 1).await;
    for _ in 0..3000 {
        stream.get_mut().1.refresh_traffic_keys().unwrap();
    }
    let mut wire = Wire::new(stream, Some(local));
    let _ = wire.try_send(&frame::text("after the flood")).await;
    wire.read_to_end().await;
    let lines = proxy.wait_lines(&wire, 2).await;
    assert_eq!(lines[1].field("reason"), "client_tls", "{lines:?}");
    other.send(&frame::text("untouched")).await;
    assert_eq!(other.read_frame().await.payload, b"untouched");
}

#[tokio::test]
async fn records_of_one_byte_are_carried() {
    let (proxy, _backend) = proxy().await;
    let mut socket = proxy.open("/").await;
    let message = "x".repeat(500);
    for byte in frame::text(&message) {
        socket.send(&[byte]).await;
    }
    assert_eq!(socket.read_frame().await.payload, message.as_bytes());
}

#[tokio::test]
async fn client_that_breaks_tls_ends_alone_and_is_counted_once() {
    for version in 0..BOTH.len() {
        let (proxy, _backend) = proxy().await;
        let mut other = proxy.open("/").await;
        let (stream, local) = open(&proxy, version).await;
        let mut wire = bare(stream, local);
        wire.send(&[garbage(), garbage()].concat()).await;
        wire.read_to_end().await;
        let lines = proxy.wait_lines(&wire, 2).await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert_eq!(lines[1].field("reason"), "client_tls");
        let ending = [("reason", "client_tls")];
        proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
        proxy.wait_for("tidegate_websockets_open", &[], 1.0).await;
        other.send(&frame::text("untouched")).await;
        assert_eq!(other.read_frame().await.payload, b"untouched");
    }
}

#[tokio::test]
async fn what_follows_the_end_of_a_socket_is_thrown_away() {
    for version in 0..BOTH.len() {
        let (proxy, _backend) = proxy().await;
        let (mut stream, local) = open(&proxy, version).await;
        let close = frame::close(1000, "");
        stream.write_all(&close).await.unwrap();
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await.unwrap();
        let mut wire = bare(stream, local);
        // The proxy has said goodbye, and reads on until this end closes too.
        let _ = wire.try_send(&garbage()).await;
        wire.finish().await;
        let lines = proxy.wait_lines(&wire, 2).await;
        assert_eq!(lines[1].field("reason"), "client_closed", "{lines:?}");
    }
}

#[tokio::test]
async fn message_cut_off_without_close_notify_is_never_delivered_as_complete() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let tell = tell.clone();
        async move {
            if served.accept().await.is_some() {
                tell.send(served.wire.read_to_end().await).unwrap();
            }
        }
    })
    .await;
    let whole = frame::text("a message that is cut off");
    let first_fragment = frame::build(false, 0, Opcode::Text, Some(frame::MASK), b"first half");
    for (bytes, cut) in [(&whole, 10), (&first_fragment, first_fragment.len())] {
        let proxy = Proxy::start(Config::to(&backend));
        let (mut stream, local) = open(&proxy, 1).await;
        stream.write_all(&bytes[..cut]).await.unwrap();
        drop(bare(stream, local));
        let (got, end) = told.recv().await.unwrap();
        assert!(bytes.starts_with(&got) && got.len() <= cut, "{got:?}");
        assert_eq!(end, End::Closed);
        let ending = [("reason", "client_gone"), ("code", "none")];
        proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
    }
}
