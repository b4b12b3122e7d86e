//! Stage 2: TLS, and what is said to those who do not get through it.

mod alerts;
mod certificates;
mod cuts;
mod floods;
mod hello;
mod offers;
mod records;

use crate::support::{
    Backend, Config, Credentials, End, Proxy, client::tcp, credentials, frame, refusal,
};
use rustls::{
    AlertDescription, ProtocolVersion, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use std::sync::Arc;
use tidegate::cli::certs::{DevelopmentCa, KeyAlgorithm};

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];

async fn proxy() -> (Proxy, Backend) {
    let backend = Backend::echo().await;
    (Proxy::start(Config::to(&backend)), backend)
}

#[tokio::test]
async fn both_versions_are_spoken_with_rsa_and_ecdsa() {
    let backend = Backend::echo().await;
    for algorithm in [KeyAlgorithm::Ecdsa, KeyAlgorithm::Rsa] {
        let config = Config::to(&backend);
        let ca = DevelopmentCa::new(algorithm).unwrap();
        let credentials = Credentials {
            server: Arc::new(ca.issue_server(credentials::HOSTS).unwrap()),
            client: Arc::new(ca.issue_client("Alice", "").unwrap()),
            ca: Arc::new(ca),
        };
        let proxy = Proxy::start(config.with_credentials(credentials));
        for version in BOTH {
            let session = proxy.dial().version(version).session().await;
            assert_eq!(session.version, version.version);
        }
        proxy.open("/").await;
    }
}

#[tokio::test]
async fn key_exchange_is_hybrid_with_a_client_that_knows_it() {
    let (proxy, _backend) = proxy().await;
    let session = proxy.dial().session().await;
    assert_eq!(session.group, Some(rustls::NamedGroup::X25519MLKEM768));
}

#[tokio::test]
async fn version_below_the_lowest_is_refused() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("tls", "min_version = '1.3'"));
    let alert = proxy.dial().version(&TLS12).alert().await;
    assert_eq!(alert, AlertDescription::ProtocolVersion);
    let result = [("result", "nothing_in_common")];
    proxy
        .wait_for("tidegate_handshakes_total", &result, 1.0)
        .await;
    let session = proxy.dial().session().await;
    assert_eq!(session.version, ProtocolVersion::TLSv1_3);
}

#[tokio::test]
async fn client_that_sends_nothing_is_gone_at_the_deadline() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "handshake = '200ms'"));
    let mut wire = tcp(proxy.address()).await;
    assert_eq!(wire.read_to_end().await, (Vec::new(), End::Closed));
    refusal::expect_line(&proxy, &wire, "handshake_timeout").await;
    let result = [("result", "handshake_timeout")];
    proxy
        .wait_for("tidegate_handshakes_total", &result, 1.0)
        .await;
}

#[tokio::test]
async fn bytes_that_are_no_tls_end_the_connection() {
    let (proxy, _backend) = proxy().await;
    let hello_of_a_kilobyte =
        [&b"\x16\x03\x01\x04\x00\x01\x00\x03\xfc"[..], &[0xff; 1020]].concat();
    let record_beyond_the_limit = [&b"\x16\x03\x01\xff\xff"[..], &[0; 100]].concat();
    let cases: [(&[u8], &str); 5] = [
        (b"\x80\x2e\x01\x00\x02garbage", "not_tls"),
        (b"\0\0\0\0\0\0\0\0\0\0\0\0", "not_tls"),
        (b"ssh-2.0-hello\r\n", "not_tls"),
        (&hello_of_a_kilobyte, "tls_protocol"),
        (&record_beyond_the_limit, "tls_protocol"),
    ];
    for (bytes, reason) in cases {
        let mut wire = tcp(proxy.address()).await;
        wire.send(bytes).await;
        let (answer, end) = wire.read_to_end().await;
        assert_eq!(end, End::Closed, "{reason} {bytes:?}");
        assert!(answer.is_empty() || answer[0] == 21, "{answer:?}");
        wire.finish().await;
        refusal::expect_line(&proxy, &wire, reason).await;
    }
}

#[tokio::test]
async fn plain_http_is_told_that_this_is_tls() {
    let (proxy, backend) = proxy().await;
    for method in ["GET", "POST"] {
        let mut wire = tcp(proxy.address()).await;
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire.send(request.as_bytes()).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), 400);
        assert!(answer.content.contains("wss://"), "{}", answer.content);
        assert_eq!(answer.end, End::Closed);
        wire.finish().await;
        refusal::expect_line(&proxy, &wire, "not_tls").await;
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn refused_client_that_stays_is_counted_by_its_fault_not_by_the_deadline() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "handshake = '300ms'"));
    let mut session = proxy.dial().anonymous().session().await;
    // The alert is read, and the connection left open.
    assert!(session.wire.read_more().await.is_err());
    let lines = proxy.wait_lines(&session.wire, 1).await;
    assert_eq!(lines[0].field("reason"), "certificate_missing");
}

#[tokio::test]
async fn two_hundred_silent_sockets_are_not_noticed_by_twenty_good_ones() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "handshake = '2s'"));
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(tcp(proxy.address()).await);
    }
    for wire in silent.iter_mut().step_by(2) {
        wire.send(b"\x16").await;
    }
    let mut good = Vec::new();
    for _ in 0..20 {
        let mut socket = proxy.open("/").await;
        socket.send(&frame::text("hello")).await;
        assert_eq!(socket.read_frame().await.payload, b"hello");
        good.push(socket);
    }
    let result = [("result", "handshake_timeout")];
    proxy
        .wait_for("tidegate_handshakes_total", &result, 200.0)
        .await;
    proxy.wait_for("tidegate_connections_open", &[], 20.0).await;
    for socket in &mut good {
        socket.send(&frame::text("still")).await;
        assert_eq!(socket.read_frame().await.payload, b"still");
    }
}
