//! Limits of one client.

use super::{echoes, open, refusal};
use crate::support::{Backend, Config, Proxy, frame};
use tidegate::frame::Opcode;

const EXCEEDED: &str = "a limit of this client is exceeded";

async fn with(lines: &str) -> (Proxy, Backend) {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("limits.client", lines);
    (Proxy::start(config), backend)
}

#[tokio::test]
async fn a_client_with_too_many_sockets_is_told_429_and_another_is_welcome() {
    let (proxy, _backend) = with("sockets = 2").await;
    let (mut first, _second) = (proxy.open("/").await, proxy.open("/").await);
    let answer = refusal(&proxy.dial(), "/").await;
    assert_eq!(answer.head.status(), 429);
    assert!(
        answer.content.contains("client_limit"),
        "{}",
        answer.content
    );
    let bob = proxy.dial().identity(proxy.credentials.named("Bob"));
    open(&bob, "/").await;
    // A renewed certificate is the same client; a socket that ends makes room.
    let renewed = proxy
        .credentials
        .ca
        .issue_client("Alice", "spiffe://test/alice");
    let renewed = proxy.dial().identity(renewed.unwrap());
    assert_eq!(refusal(&renewed, "/").await.head.status(), 429);
    first.send(&frame::close(1000, "")).await;
    first.read_frame().await;
    first.finish().await;
    let closed = [("reason", "client_closed")];
    proxy.wait_for("tidegate_endings_total", &closed, 1.0).await;
    open(&renewed, "/").await;
}

#[tokio::test]
async fn sockets_that_are_opened_too_fast_are_told_429() {
    let (proxy, _backend) = with("sockets_per_second = 1\nburst = '2s'").await;
    let _sockets = (proxy.open("/").await, proxy.open("/").await);
    let mut statuses = Vec::new();
    for _ in 0..5 {
        let mut wire = proxy.connect().await;
        wire.send(&crate::support::Upgrade::to("/").bytes()).await;
        statuses.push(wire.read_head().await.status());
    }
    assert!(statuses.contains(&429), "{statuses:?}");
}

#[tokio::test]
async fn a_flood_of_messages_ends_with_1008_and_the_others_go_on() {
    let (proxy, _backend) = with("messages_per_second = 1\nburst = '20s'").await;
    let bob = proxy.dial().identity(proxy.credentials.named("Bob"));
    let mut bob = open(&bob, "/").await;
    let mut flood = proxy.open("/").await;
    let many: Vec<u8> = (0..100).flat_map(|_| frame::text("x")).collect();
    flood.send(&many).await;
    loop {
        let frame = flood.read_frame().await;
        if frame.opcode() == Opcode::Close {
            assert_eq!(frame.close_code(), Some(1008));
            assert_eq!(frame.close_reason(), EXCEEDED);
            break;
        }
    }
    echoes(&mut bob).await;
    let ending = [("reason", "client_limit"), ("code", "1008")];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
}

#[tokio::test]
async fn bytes_beyond_the_limit_end_with_1008() {
    let (proxy, _backend) = with("bytes_per_second = '1KiB'\nburst = '1s'").await;
    let mut socket = proxy.open("/").await;
    echoes(&mut socket).await;
    socket.send(&frame::binary(&[0; 4096])).await;
    loop {
        let frame = socket.read_frame().await;
        if frame.opcode() == Opcode::Close {
            assert_eq!(frame.close_code(), Some(1008));
            break;
        }
    }
}

#[tokio::test]
async fn anonymous_clients_are_told_apart_by_address() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .set("tls.clients", "mode = 'optional'")
        .set("limits.client", "sockets = 1");
    let proxy = Proxy::start(config);
    let _anonymous = open(&proxy.dial().anonymous(), "/").await;
    let answer = refusal(&proxy.dial().anonymous(), "/").await;
    assert_eq!(answer.head.status(), 429);
    // Whoever has a certificate is somebody else, wherever it comes from.
    open(&proxy.dial(), "/").await;
}
