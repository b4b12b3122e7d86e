//! Sealed sockets as they go on: what is refused, what is reported, how they close.

use super::*;
use crate::support::{End, credentials::CLIENT_URI, frame, log, sealed::Stop};
use tidegate::{frame::Opcode, integrity::Failure};
use tokio::sync::mpsc;

/// A backend that tells each payload and Close that it gets, and answers nothing but Closes.
async fn listening() -> (Backend, mpsc::UnboundedReceiver<frame::Frame>) {
    let (heard, hearing) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let heard = heard.clone();
        async move {
            if served.accept().await.is_none() {
                return;
            }
            while let Ok(frame) = served.wire.try_read_frame().await {
                if frame.opcode() == Opcode::Close {
                    let answer = frame::plain(Opcode::Close, &frame.payload);
                    let _ = served.wire.try_send(&answer).await;
                }
                // The test may have heard enough.
                let _ = heard.send(frame);
            }
        }
    })
    .await;
    (backend, hearing)
}

#[tokio::test]
async fn a_mismatch_ends_both_sides_with_1008_and_is_counted_and_logged_with_its_key() {
    for binding in BINDINGS {
        let (backend, mut heard) = listening().await;
        let proxy = proxy(&backend, "required");
        let mut socket = open(&proxy, binding, &hmac()).await;
        socket.send("good").await;
        let mut bad = socket.seal(Opcode::Text, b"evil");
        bad[6] ^= 1;
        socket.wire.send(&bad).await;
        assert_eq!(socket.next().await, policy("frame-integrity: mismatch"));
        let good = heard.recv().await.unwrap();
        assert_eq!(good.payload, b"good");
        let close = heard.recv().await.unwrap();
        assert_eq!(close.close_code(), Some(1008));
        assert_eq!(close.close_reason(), "frame-integrity: mismatch");
        socket.wire.finish().await;
        let ending = [("reason", "integrity_mismatch"), ("code", "1008")];
        proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
        let unit = [("direction", "to_backend"), ("result", "mismatch")];
        proxy
            .wait_for("tidegate_integrity_units_total", &unit, 1.0)
            .await;
        let opened = proxy.lines(|line| line.message == "websocket open");
        let id = opened[0].field("id").to_owned();
        let lines = log::wait(1, |line| {
            line.field("id") == id && line.field("result") == "mismatch"
        });
        let line = lines.await.remove(0);
        let [kid, identity, route] = ["kid", "identity", "route"].map(|name| line.field(name));
        assert_eq!((kid, identity, route), (KID, CLIENT_URI, "echo"));
    }
}

#[tokio::test]
async fn an_unsealed_message_of_a_sealed_socket_is_missing_its_tag() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        socket.wire.send(&frame::text("short")).await;
        assert_eq!(socket.next().await, policy("frame-integrity: missing"));
    }
}

#[tokio::test]
async fn report_counts_and_forwards() {
    for binding in BINDINGS {
        let backend = Backend::echo().await;
        let proxy = proxy(&backend, "report");
        let mut socket = open(&proxy, binding, &hmac()).await;
        let mut bad = socket.seal(Opcode::Binary, b"damaged");
        bad[6] ^= 1;
        socket.wire.send(&bad).await;
        let Unit::Binary(data) = socket.next().await else {
            panic!("no binary message");
        };
        assert_eq!((data.len(), &data[1..]), (7, &b"amaged"[..]));
        socket.wire.send(&frame::text("no tag")).await;
        assert_eq!(socket.next().await, Unit::Text(b"no tag".to_vec()));
        socket.echoes().await;
        let units = "tidegate_integrity_units_total";
        for (result, count) in [("mismatch", 1.0), ("missing", 1.0), ("ok", 1.0)] {
            let labels = [("direction", "to_backend"), ("result", result)];
            proxy.wait_for(units, &labels, count).await;
        }
    }
}

#[tokio::test]
async fn the_limit_counts_data_without_its_tag() {
    let backend = Backend::echo().await;
    let config = config(&backend, "required").set("limits", "frame = '1KiB'\nmessage = '1KiB'");
    let proxy = Proxy::start(config);
    for binding in BINDINGS {
        for opcode in [Opcode::Text, Opcode::Binary] {
            let mut socket = open(&proxy, binding, &hmac()).await;
            let most = [b'a'; 1024];
            let frame = socket.seal(opcode, &most);
            socket.wire.send(&frame).await;
            let back = socket.next().await;
            assert!(matches!(back, Unit::Text(data) | Unit::Binary(data) if data == most));
            let frame = socket.seal(opcode, &[b'a'; 1025]);
            socket.wire.send(&frame).await;
            let Unit::Close(code, _) = socket.next().await else {
                panic!("no Close");
            };
            assert_eq!(code, Some(1009));
            socket.wire.finish().await;
        }
    }
}

#[tokio::test]
async fn a_verified_text_that_is_not_utf_8_ends_a_socket_whose_messages_are_sealed() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let mut socket = open(&proxy, Binding::Message, &hmac()).await;
    let frame = socket.seal(Opcode::Text, b"caf\xc3");
    socket.wire.send(&frame).await;
    let close = socket.next().await;
    assert!(matches!(close, Unit::Close(Some(1007), _)), "{close:?}");
}

#[tokio::test]
async fn reserved_bits_end_a_sealed_socket_on_either_side() {
    let backend = Backend::script(|mut served| async move {
        if served.accept().await.is_some() {
            let frame = frame::build(true, 0x40, Opcode::Text, None, b"compressed");
            let _ = served.wire.try_send(&frame).await;
            served.wire.read_to_end().await;
        }
    })
    .await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        let close = socket.next().await;
        assert!(matches!(close, Unit::Close(Some(1011), _)), "{close:?}");
    }
    let (backend, _heard) = listening().await;
    let proxy = super::proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        let frame = frame::build(true, 0x40, Opcode::Text, Some(frame::MASK), &[b'a'; 50]);
        socket.wire.send(&frame).await;
        let close = socket.next().await;
        assert!(matches!(close, Unit::Close(Some(1002), _)), "{close:?}");
    }
}

#[tokio::test]
async fn pings_pass_unsealed_in_both_directions() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        socket
            .wire
            .send(&frame::masked(Opcode::Ping, b"are you there"))
            .await;
        assert_eq!(socket.next().await, Unit::Ping(b"are you there".to_vec()));
        socket.echoes().await;
    }
}

#[tokio::test]
async fn a_first_close_without_its_tag_is_not_believed() {
    for binding in BINDINGS {
        let (backend, mut heard) = listening().await;
        let proxy = proxy(&backend, "required");
        let mut socket = open(&proxy, binding, &hmac()).await;
        socket.wire.send(&frame::close(1000, "")).await;
        assert_eq!(socket.next().await, policy("frame-integrity: missing"));
        assert_eq!(heard.recv().await.unwrap().close_code(), Some(1008));
        let mut socket = open(&proxy, binding, &hmac()).await;
        let mut close = socket
            .sealer
            .seal_close(binding, Some(1000), "done")
            .unwrap();
        close[2] ^= 1;
        socket
            .wire
            .send(&frame::masked(Opcode::Close, &close))
            .await;
        assert_eq!(socket.next().await, policy("frame-integrity: mismatch"));
        assert_eq!(heard.recv().await.unwrap().close_code(), Some(1008));
    }
}

/// WebSocket libraries below a sealed client answer a Close by a copy of it.
#[tokio::test]
async fn an_answer_that_copies_the_close_is_believed() {
    let (ended, mut endings) = mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let ended = ended.clone();
        async move {
            if served.accept().await.is_some() {
                let close = frame::plain(Opcode::Close, &frame::close_payload(4000, "over"));
                served.wire.send(&close).await;
                ended.send(served.wire.read_frame().await).unwrap();
            }
        }
    })
    .await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        let close = socket.wire.read_frame().await;
        socket
            .wire
            .send(&frame::masked(Opcode::Close, &close.payload))
            .await;
        let answer = endings.recv().await.unwrap();
        assert_eq!(answer.close_code(), Some(4000));
        assert_eq!(socket.wire.read_to_end().await.1, End::Closed);
    }
    let ending = [("by", "backend"), ("reason", "backend_closed")];
    proxy.wait_for("tidegate_endings_total", &ending, 2.0).await;
}

#[tokio::test]
async fn an_end_without_a_close_is_no_clean_one_for_the_backend() {
    let (backend, mut heard) = listening().await;
    let proxy = proxy(&backend, "required");
    let mut socket = open(&proxy, Binding::Frame, &hmac()).await;
    socket.send("last words").await;
    assert_eq!(heard.recv().await.unwrap().payload, b"last words");
    drop(socket);
    let reason = [("reason", "client_gone"), ("code", "none")];
    proxy.wait_for("tidegate_endings_total", &reason, 1.0).await;
    assert!(heard.try_recv().is_err(), "no Close");
}

#[tokio::test]
async fn what_a_client_opens_ends_with_a_tag_that_its_own_key_verifies_alone() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let mut first = open(&proxy, Binding::Frame, &hmac()).await;
    let mut second = open(&proxy, Binding::Frame, &hmac()).await;
    // The same key, the same message, the same number: another connection.
    let frame = first.seal(Opcode::Text, b"replayed elsewhere");
    second.wire.send(&frame).await;
    assert_eq!(second.next().await, policy("frame-integrity: mismatch"));
    first.wire.send(&frame).await;
    assert!(first.try_next().await != Err(Stop::Integrity(Failure::Mismatch)));
}
