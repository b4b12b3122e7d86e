//! Limits: what is exactly as large or as many as allowed passes, and what is one more does not.

use crate::support::{Backend, Config, End, Proxy, Wire, client::tcp, eventually, frame, within};
use tidegate::frame::Opcode;

const KIBIBYTE: usize = 1024;

/// A proxy with one limit, and an open socket through it.
async fn socket_under(lines: &str) -> (Proxy, Wire, Backend) {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("limits", lines));
    let socket = proxy.open("/").await;
    (proxy, socket, backend)
}

/// Passes if the socket ends with 1009 and this reason.
async fn is_too_big(proxy: &Proxy, socket: &mut Wire, reason: &str) {
    assert_eq!(socket.read_frame().await.close_code(), Some(1009));
    socket.finish().await;
    let lines = proxy.wait_lines(socket, 2).await;
    assert_eq!(lines[1].field("reason"), reason);
}

/// The first of two fragments.
fn fragment(bytes: &[u8]) -> Vec<u8> {
    frame::build(false, 0, Opcode::Binary, Some(frame::MASK), bytes)
}

#[tokio::test]
async fn frame_at_the_frame_limit_passes_and_one_byte_more_is_1009() {
    let (proxy, mut socket, _backend) = socket_under("frame = '1KiB'").await;
    socket.send(&frame::binary(&[7; KIBIBYTE])).await;
    assert_eq!(socket.read_frame().await.payload.len(), KIBIBYTE);
    socket.send(&frame::binary(&[7; KIBIBYTE + 1])).await;
    is_too_big(&proxy, &mut socket, "frame_too_large").await;
}

#[tokio::test]
async fn message_at_the_message_limit_passes_and_one_byte_more_is_1009() {
    let (proxy, mut socket, _backend) = socket_under("message = '1KiB'").await;
    socket.send(&frame::binary(&[7; KIBIBYTE])).await;
    assert_eq!(socket.read_frame().await.payload.len(), KIBIBYTE);
    socket.send(&frame::binary(&[7; KIBIBYTE + 1])).await;
    is_too_big(&proxy, &mut socket, "message_too_large").await;
}

#[tokio::test]
async fn fragments_are_counted_together_and_pings_between_them_are_not() {
    let (proxy, mut socket, _backend) = socket_under("message = '1KiB'").await;
    for (rest, passes) in [(KIBIBYTE / 2, true), (KIBIBYTE / 2 + 1, false)] {
        socket.send(&fragment(&[7; KIBIBYTE / 2])).await;
        assert_eq!(socket.read_frame().await.payload.len(), KIBIBYTE / 2);
        socket.send(&frame::masked(Opcode::Ping, &[7; 125])).await;
        assert_eq!(socket.read_frame().await.opcode(), Opcode::Pong);
        let last = frame::masked(Opcode::Continuation, &vec![7; rest]);
        socket.send(&last).await;
        if passes {
            assert_eq!(socket.read_frame().await.payload.len(), rest);
        }
    }
    is_too_big(&proxy, &mut socket, "message_too_large").await;
}

#[tokio::test]
async fn messages_of_a_backend_are_under_the_same_limit() {
    for (size, passes) in [(KIBIBYTE, true), (KIBIBYTE + 1, false)] {
        let backend = Backend::script(move |mut served| async move {
            if served.accept().await.is_some() {
                let message = frame::plain(Opcode::Binary, &vec![7; size]);
                served.wire.send(&message).await;
                served.wire.read_to_end().await;
            }
        })
        .await;
        let config = Config::to(&backend).set("limits", "message = '1KiB'");
        let proxy = Proxy::start(config);
        let mut socket = proxy.open("/").await;
        if passes {
            assert_eq!(socket.read_frame().await.payload.len(), size);
        } else {
            is_too_big(&proxy, &mut socket, "backend_message_too_large").await;
        }
    }
}

#[tokio::test]
async fn connections_under_way_count_against_the_limit_as_open_sockets_do() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("limits", "connections = 2"));
    let _silent = tcp(proxy.address()).await;
    let _secured = proxy.connect().await;
    proxy.wait_for("tidegate_connections_open", &[], 2.0).await;
    let mut third = tcp(proxy.address()).await;
    assert_eq!(third.read_to_end().await, (Vec::new(), End::Closed));
    let limit = [("result", "connection_limit")];
    proxy
        .wait_for("tidegate_handshakes_total", &limit, 1.0)
        .await;
}

#[tokio::test]
async fn handshakes_that_wait_for_their_turn_all_succeed() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("limits", "handshakes = 1"));
    let dials = (0..16).map(async |_| proxy.open("/").await);
    let sockets = within("the crowd", futures_util::future::join_all(dials)).await;
    proxy.wait_for("tidegate_websockets_open", &[], 16.0).await;
    let ok = proxy.metric("tidegate_handshakes_total", &[("result", "ok")]);
    assert_eq!((sockets.len(), ok), (16, 16.0));
    eventually("every turn given back", || {
        proxy.shared.handshakes.held() == 0
    })
    .await;
}

#[tokio::test]
async fn raised_limit_of_handshakes_admits_those_who_wait() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .set("limits", "handshakes = 1")
        .set("timeouts", "handshake = '1h'");
    let proxy = Proxy::start(config.clone());
    let _silent = tcp(proxy.address()).await;
    proxy.wait_for("tidegate_connections_open", &[], 1.0).await;
    let dial = proxy.dial();
    let waiting = tokio::spawn(async move { dial.session().await });
    proxy.apply(&config.set("limits", "handshakes = 2")).await;
    within("the handshake", waiting).await.unwrap();
}
