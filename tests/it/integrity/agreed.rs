//! What is agreed on at the upgrade: by mode, by binding, by version of TLS.

use super::*;
use crate::support::{Upgrade, frame};
use rustls::version::{TLS12, TLS13};
use std::sync::Arc;
use tidegate::frame::Opcode;
use tokio::{net::TcpStream, sync::Semaphore};
use zeroize::Zeroizing;

const EXTENSIONS: &str = "Sec-WebSocket-Extensions";
const PROTOCOL: &str = "Sec-WebSocket-Protocol";

#[tokio::test]
async fn every_algorithm_and_binding_carries_messages_both_ways() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        for (name, offer) in offers() {
            let mut socket = open(&proxy, binding, &offer).await;
            socket.send("Grüße").await;
            assert_eq!(socket.next().await, Unit::Text("Grüße".into()), "{name}");
            let large = vec![7; 300_000];
            let frame = socket.seal(Opcode::Binary, &large);
            socket.wire.send(&frame).await;
            assert_eq!(socket.next().await, Unit::Binary(large), "{name}");
            let frame = socket.seal(Opcode::Text, b"");
            socket.wire.send(&frame).await;
            assert_eq!(socket.next().await, Unit::Text(vec![]), "{name}");
            socket.close(4001, "enough").await;
            let close = Unit::Close(Some(4001), "enough".into());
            assert_eq!(socket.next().await, close, "{name}");
            socket.wire.finish().await;
        }
    }
    let echoed = [("direction", "to_client"), ("result", "sealed")];
    // Three messages and a Close, six times.
    let units = "tidegate_integrity_units_total";
    proxy.wait_for(units, &echoed, 24.0).await;
    let verified = [("direction", "to_backend"), ("result", "ok")];
    proxy.wait_for(units, &verified, 24.0).await;
    proxy.stop().await;
}

#[tokio::test]
async fn the_backend_is_told_by_the_proxy_alone_and_sees_no_offer() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    for (binding, label) in [(Binding::Frame, "frame"), (Binding::Message, "message")] {
        let mut wire = proxy.connect().await;
        let request = sealed::request("/", binding, &hmac())
            .add("Frame-Integrity", "alg=forged")
            .add("frame_integrity", "alg=forged")
            .add(EXTENSIONS, "permessage-deflate");
        wire.send(&request.bytes()).await;
        assert_eq!(wire.read_head().await.status(), 101);
        let told = backend.request().await;
        let expected = format!("alg=hmac-sha-256; kid=\"{KID}\"; binding={label}");
        assert_eq!(told.field("Frame-Integrity"), Some(expected.as_str()));
        assert!(!told.to_string().contains("forged"), "{told}");
        assert_eq!(told.field(EXTENSIONS), None);
        assert_eq!(told.field(PROTOCOL), None);
        wire.finish().await;
    }
}

#[tokio::test]
async fn off_and_optional_without_an_offer_pass_frames_as_they_are() {
    let backend = Backend::echo().await;
    let sha = ClientOffer::sha256();
    for (mode, request) in [
        ("off", sealed::request("/", Binding::Frame, &sha)),
        ("optional", Upgrade::to("/")),
        ("report", Upgrade::to("/")),
    ] {
        let proxy = proxy(&backend, mode);
        let (mut wire, head) = proxy.open_with(&request).await;
        assert_eq!(head.field(EXTENSIONS), None);
        wire.send(&frame::text("plain")).await;
        assert_eq!(wire.read_frame().await.payload, b"plain");
        assert_eq!(backend.request().await.field("Frame-Integrity"), None);
        assert_eq!(backend.request().await.field(EXTENSIONS), None);
    }
}

#[tokio::test]
async fn an_offer_that_is_passed_over_leaves_the_socket_plain_where_integrity_is_optional() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "optional");
    let unknown = sealed::hmac(&shared("unknown"), false);
    let extension = format!("{}, permessage-deflate", unknown.extension());
    let request = Upgrade::to("/").add(EXTENSIONS, &extension);
    let (mut wire, head) = proxy.open_with(&request).await;
    assert_eq!(head.field(EXTENSIONS), None);
    let told = backend.request().await;
    assert_eq!(told.field(EXTENSIONS), Some("permessage-deflate"));
    wire.send(&frame::text("plain")).await;
    assert_eq!(wire.read_frame().await.payload, b"plain");
}

#[tokio::test]
async fn the_first_acceptable_offer_is_chosen() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "optional");
    let offers = [
        "frame-integrity; alg=md5".to_owned(),
        sealed::hmac(&shared("unknown"), false).extension(),
        "frame-integrity; alg=sha-256".to_owned(),
        hmac().extension(),
    ];
    let request = Upgrade::to("/").add(EXTENSIONS, &offers.join(", "));
    let (_wire, head) = proxy.open_with(&request).await;
    assert_eq!(head.field(EXTENSIONS), Some("frame-integrity; alg=sha-256"));
}

#[tokio::test]
async fn a_sealed_name_reaches_no_backend() {
    let backend = Backend::echo().await;
    let names = "frame-integrity~md5~~~~chat, chat, frame-integrity~sha-256";
    for mode in ["off", "optional"] {
        let proxy = proxy(&backend, mode);
        proxy
            .open_with(&Upgrade::to("/").add(PROTOCOL, names))
            .await;
        assert_eq!(backend.request().await.field(PROTOCOL), Some("chat"));
    }
    // Where frames are sealed, messages are not.
    let proxy = proxy(&backend, "optional");
    let request = sealed::request("/", Binding::Frame, &hmac())
        .add(PROTOCOL, "frame-integrity~sha-256~~~~chat");
    proxy.open_with(&request).await;
    assert_eq!(backend.request().await.field(PROTOCOL), None);
}

#[tokio::test]
async fn required_refuses_before_the_backend_is_dialled_and_names_the_algorithms() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    for request in [
        Upgrade::to("/"),
        Upgrade::to("/").add(EXTENSIONS, "permessage-deflate"),
        Upgrade::to("/").add(PROTOCOL, "chat"),
        sealed::request("/", Binding::Frame, &sealed::hmac(&shared("none"), false)),
        sealed::request("/", Binding::Message, &sealed::hmac(&shared("none"), false)),
    ] {
        let mut wire = proxy.connect().await;
        wire.send(&request.bytes()).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), 400);
        let problem: serde_json::Value = serde_json::from_str(&answer.content).unwrap();
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("hmac-sha-256, sha-256"), "{detail}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn hundreds_of_offers_are_refused_in_a_few_words() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let offers = vec!["frame-integrity;alg=x"; 500].join(",");
    let names = vec!["frame-integrity~x"; 500].join(",");
    let request = Upgrade::to("/")
        .add(EXTENSIONS, &offers)
        .add(PROTOCOL, &names);
    let mut wire = proxy.connect().await;
    wire.send(&request.bytes()).await;
    let answer = wire.read_answer().await;
    assert_eq!(answer.head.status(), 400, "{}", answer.content);
    assert!(answer.content.len() < 1000, "{}", answer.content);
}

#[tokio::test]
async fn a_route_that_allows_one_algorithm_takes_no_other() {
    let backend = Backend::echo().await;
    let config =
        config(&backend, "required").route_lines("integrity_algorithms = ['hmac-sha-256']");
    let proxy = Proxy::start(config);
    let mut wire = proxy.connect().await;
    let request = sealed::request("/", Binding::Frame, &ClientOffer::sha256());
    wire.send(&request.bytes()).await;
    assert_eq!(wire.read_answer().await.head.status(), 400);
    open(&proxy, Binding::Frame, &hmac()).await.echoes().await;
}

#[tokio::test]
async fn a_backend_that_answers_an_extension_that_it_was_not_offered_is_refused() {
    let backend = Backend::script(|mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let answer = format!(
            "{}{EXTENSIONS}: permessage-deflate\r\n\r\n",
            crate::support::request::switching(&head.accept())
        );
        served.wire.send(answer.as_bytes()).await;
        served.wire.read_to_end().await;
    })
    .await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut wire = proxy.connect().await;
        wire.send(&sealed::request("/", binding, &hmac()).bytes())
            .await;
        assert_eq!(wire.read_answer().await.head.status(), 502);
    }
}

#[tokio::test]
async fn a_backend_chooses_among_the_subprotocols_that_sealed_names_carry() {
    let backend = Backend::script(|mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        assert_eq!(head.field(PROTOCOL), Some("v2~beta, v1"));
        let answer = format!(
            "{}{PROTOCOL}: v2~beta\r\n\r\n",
            crate::support::request::switching(&head.accept())
        );
        served.wire.send(answer.as_bytes()).await;
        served.echo().await;
    })
    .await;
    let proxy = proxy(&backend, "required");
    let offer = hmac();
    let [beta, v1] = ["v2~beta", "v1"].map(|name| offer.subprotocol(Some(name)).unwrap());
    let request = Upgrade::to("/").add(PROTOCOL, &format!("{beta}, {v1}"));
    let (mut wire, head) = proxy.open_with(&request).await;
    assert_eq!(head.field(PROTOCOL), Some(beta.as_str()));
    let nonce = wire.read_frame().await;
    assert!(nonce.payload.starts_with(b"frame-integrity~"));
}

#[tokio::test]
async fn the_nonce_comes_before_what_the_backend_sent_with_its_101() {
    let backend = Backend::script(|mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let mut answer = crate::support::request::switching(&head.accept()).into_bytes();
        answer.extend_from_slice(b"\r\n");
        answer.extend(frame::plain(Opcode::Text, b"welcome"));
        served.wire.send(&answer).await;
        served.echo().await;
    })
    .await;
    let proxy = proxy(&backend, "required");
    for binding in BINDINGS {
        let mut socket = open(&proxy, binding, &hmac()).await;
        assert_eq!(socket.next().await, Unit::Text(b"welcome".to_vec()));
        socket.echoes().await;
    }
}

/// TLS to the proxy, and what that session exports.
async fn exporting(dial: &Dial, address: std::net::SocketAddr) -> (Wire, Zeroizing<[u8; 32]>) {
    let tcp = TcpStream::connect(address).await.unwrap();
    let stream = dial.over(tcp).await.unwrap();
    let exported =
        stream
            .get_ref()
            .1
            .export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(&[]));
    // TLS 1.2 exports as well, but has no channel binding of this kind.
    (Wire::new(stream, None), Zeroizing::new(exported.unwrap()))
}

#[tokio::test]
async fn a_channel_binding_binds_to_the_tls_1_3_session_full_or_resumed() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let offer = || sealed::hmac(&shared(KID), true);
    let dial = proxy.dial().version(&TLS13).resuming();
    for _ in 0..2 {
        let (wire, exporter) = exporting(&dial, proxy.address()).await;
        let offer = offer();
        let socket = SealedSocket::exported(wire, Binding::Frame, &offer, Some(exporter));
        let mut socket = socket.await;
        assert!(socket.head.to_string().contains("cb=tls-exporter"));
        socket.echoes().await;
        socket.wire.finish().await;
    }
    let resumed = [("result", "resumed")];
    proxy
        .wait_for("tidegate_resumptions_total", &resumed, 1.0)
        .await;
    let (wire, _) = exporting(&dial, proxy.address()).await;
    let other = Some(Zeroizing::new([1; 32]));
    let mut socket = SealedSocket::exported(wire, Binding::Frame, &offer(), other).await;
    socket.send("under another session's keys").await;
    let end = socket.try_next().await;
    assert!(end.is_err(), "{end:?}");
}

#[tokio::test]
async fn a_channel_binding_over_tls_1_2_is_refused() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let mut wire = proxy.dial().version(&TLS12).connect().await;
    let offer = sealed::hmac(&shared(KID), true);
    wire.send(&sealed::request("/", Binding::Frame, &offer).bytes())
        .await;
    let answer = wire.read_answer().await;
    assert_eq!(answer.head.status(), 400);
    assert!(answer.content.contains("TLS 1.3"), "{}", answer.content);
    let wire = proxy.dial().version(&TLS12).connect().await;
    let mut socket = SealedSocket::over(wire, Binding::Frame, &hmac()).await;
    socket.echoes().await;
}

#[tokio::test]
async fn a_key_that_is_revoked_or_goes_during_the_handshake_ends_the_socket_that_it_opens() {
    for new in [
        keyring(&[(KID, "revoked")]),
        keyring(&[("edge-2", "active")]),
    ] {
        let mut socket = opened_meanwhile(new).await;
        assert_eq!(socket.next().await, policy("frame-integrity: key revoked"));
    }
}

/// A socket whose handshake was under way when this keyring came into use.
async fn opened_meanwhile(new: String) -> SealedSocket {
    let answer = Arc::new(Semaphore::new(0));
    let backend = Backend::hesitant(answer.clone()).await;
    let proxy = proxy(&backend, "required");
    let wire = proxy.connect().await;
    let offer = hmac();
    let opening = SealedSocket::over(wire, Binding::Frame, &offer);
    let revoking = async {
        backend.request().await;
        keys::put(&proxy, &new).await;
        answer.add_permits(1);
    };
    tokio::join!(opening, revoking).0
}
