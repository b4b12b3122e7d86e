//! What TLS allows beside data, in any number: each ends its connection alone, and soon.

use super::{
    proxy,
    records::{open, secure},
};
use crate::support::{
    HandMade, Proxy, Wire,
    client::tcp,
    frame,
    hand_made::{ALERT, CHANGE_CIPHER_SPEC, DATA, HANDSHAKE, client_hello, message, plain},
    refusal,
};
use tidegate::frame::Opcode;

/// Alerts (RFC 8446 section 6) and their levels.
const WARNING: u8 = 1;
const FATAL: u8 = 2;
const UNEXPECTED_MESSAGE: u8 = 10;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;

/// Where TLS 1.2 and 1.3 stand in [`super::BOTH`].
const OLD: usize = 0;
const NEW: usize = 1;

/// Records that an open socket sends end it, and nothing else.
async fn ends(version: usize, flood: impl Fn(&mut HandMade) -> Vec<u8>) {
    let (proxy, _backend) = proxy().await;
    let mut other = proxy.open("/").await;
    let mut client = open_by_hand(&proxy, version).await;
    let records = flood(&mut client);
    // The proxy may have hung up before it was all sent.
    let _ = client.wire.try_send(&records).await;
    client.wire.read_to_end().await;
    client.wire.finish().await;
    let lines = proxy.wait_lines(&client.wire, 2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[1].field("reason"), "client_tls", "{lines:?}");
    proxy.wait_for("tidegate_connections_open", &[], 1.0).await;
    echoes(&mut other).await;
}

async fn open_by_hand(proxy: &Proxy, version: usize) -> HandMade {
    let (stream, local) = open(proxy, version).await;
    HandMade::of(stream, local)
}

async fn echoes(socket: &mut Wire) {
    socket.send(&frame::text("untouched")).await;
    assert_eq!(socket.read_frame().await.payload, b"untouched");
}

/// The echo of a text, read by hand.
async fn echoes_by_hand(client: &mut HandMade) {
    let text = client.seal(DATA, &frame::text("still there"));
    client.wire.send(&text).await;
    let echo = frame::plain(Opcode::Text, b"still there");
    assert_eq!(client.read().await, (DATA, echo));
}

#[tokio::test]
async fn flood_of_empty_records_ends_its_connection_alone() {
    for version in [OLD, NEW] {
        ends(version, |client| repeat(client, 1000, DATA, b"")).await;
    }
}

#[tokio::test]
async fn empty_records_between_full_ones_are_carried() {
    for version in [OLD, NEW] {
        let (proxy, _backend) = proxy().await;
        let mut client = open_by_hand(&proxy, version).await;
        for _ in 0..5 {
            let empty = repeat(&mut client, 10, DATA, b"");
            client.wire.send(&empty).await;
            echoes_by_hand(&mut client).await;
        }
    }
}

#[tokio::test]
async fn flood_of_warnings_ends_its_connection_alone() {
    for version in [OLD, NEW] {
        ends(version, |client| {
            repeat(client, 100, ALERT, &[WARNING, USER_CANCELED])
        })
        .await;
    }
}

fn repeat(client: &mut HandMade, count: usize, content: u8, payload: &[u8]) -> Vec<u8> {
    let records = (0..count).map(|_| client.seal(content, payload));
    records.collect::<Vec<_>>().concat()
}

#[tokio::test]
async fn handshake_messages_behind_the_handshake_end_their_connection_alone() {
    // EndOfEarlyData, NewSessionTicket, CertificateRequest, CertificateVerify, Finished, and a
    // kind that nobody knows: none of them is a client's to send now (RFC 8446 section 4.6).
    for kind in [5, 4, 13, 15, 20, 99] {
        ends(NEW, |client| {
            client.seal(HANDSHAKE, &message(kind, &[0; 32]))
        })
        .await;
    }
}

#[tokio::test]
async fn flood_of_tickets_ends_its_connection_alone() {
    let ticket = message(4, &[0; 200]);
    ends(NEW, |client| repeat(client, 500, HANDSHAKE, &ticket)).await;
}

#[tokio::test]
async fn change_of_cipher_behind_the_handshake_ends_its_connection_alone() {
    ends(OLD, |client| repeat(client, 3, CHANGE_CIPHER_SPEC, &[1])).await;
    // RFC 8446 section 5: it is ignored during the handshake alone.
    ends(NEW, |_| plain(CHANGE_CIPHER_SPEC, &[1])).await;
}

#[tokio::test]
async fn renegotiation_is_declined_and_asked_for_again_it_ends_its_connection() {
    let (proxy, _backend) = proxy().await;
    let mut client = open_by_hand(&proxy, OLD).await;
    let hello = client_hello(&[0xc02b], &[0]);
    let record = client.seal(HANDSHAKE, &hello);
    client.wire.send(&record).await;
    // RFC 5246 section 7.2.2.
    let declined = (ALERT, vec![WARNING, NO_RENEGOTIATION]);
    assert_eq!(client.read().await, declined);
    echoes_by_hand(&mut client).await;
    let record = client.seal(HANDSHAKE, &hello);
    client.wire.send(&record).await;
    client.wire.read_to_end().await;
    client.wire.finish().await;
    let lines = proxy.wait_lines(&client.wire, 2).await;
    assert_eq!(lines[1].field("reason"), "client_tls", "{lines:?}");
}

#[tokio::test]
async fn client_hello_in_an_open_session_of_tls_1_3_ends_it_with_its_alert() {
    let (proxy, _backend) = proxy().await;
    let mut client = open_by_hand(&proxy, NEW).await;
    let record = client.seal(HANDSHAKE, &client_hello(&[0xc02b], &[0]));
    client.wire.send(&record).await;
    let alert = (ALERT, vec![FATAL, UNEXPECTED_MESSAGE]);
    assert_eq!(client.read().await, alert);
    client.wire.read_to_end().await;
    client.wire.finish().await;
}

#[tokio::test]
async fn message_that_never_ends_in_small_records_is_not_gathered_for_ever() {
    let endless = message(24, &vec![0; 0xffff]);
    for version in [OLD, NEW] {
        ends(version, |client| {
            let bytes = endless.iter().take(20_000);
            let records = bytes.map(|byte| client.seal(HANDSHAKE, &[*byte]));
            records.collect::<Vec<_>>().concat()
        })
        .await;
    }
}

/// A client that floods before it has asked for anything is gone too.
#[tokio::test]
async fn floods_before_the_request_end_their_connection_alone() {
    for (version, content, payload) in [
        (OLD, DATA, &b""[..]),
        (NEW, DATA, b""),
        (OLD, ALERT, &[WARNING, USER_CANCELED]),
        (NEW, ALERT, &[WARNING, USER_CANCELED]),
        (NEW, HANDSHAKE, &[4, 0, 0, 1, 0]),
    ] {
        let (proxy, backend) = proxy().await;
        let (stream, local) = secure(&proxy, version).await;
        // What comes in one piece with the last flight is the handshake's fault.
        let done = [("result", "ok")];
        proxy
            .wait_for("tidegate_handshakes_total", &done, 1.0)
            .await;
        let mut client = HandMade::of(stream, local);
        let records = repeat(&mut client, 1000, content, payload);
        let _ = client.wire.try_send(&records).await;
        client.wire.read_to_end().await;
        client.wire.finish().await;
        let lines = proxy.wait_lines(&client.wire, 1).await;
        assert_eq!(lines[0].field("reason"), "request_gone", "{lines:?}");
        assert_eq!(backend.connections(), 0);
        proxy.open("/").await;
    }
}

#[tokio::test]
async fn floods_within_the_handshake_end_their_connection_alone() {
    let (proxy, _backend) = proxy().await;
    let hello_begins = plain(HANDSHAKE, &[1, 0, 0xff, 0xff]);
    for (start, record) in [
        (&[][..], plain(CHANGE_CIPHER_SPEC, &[1])),
        (&[], plain(ALERT, &[WARNING, USER_CANCELED])),
        (&[], plain(HANDSHAKE, b"")),
        (&hello_begins, plain(HANDSHAKE, b"")),
        (&hello_begins, plain(HANDSHAKE, b"x")),
    ] {
        let mut wire = tcp(proxy.address()).await;
        let _ = wire
            .try_send(&[start, &record.repeat(20_000)].concat())
            .await;
        wire.read_to_end().await;
        wire.finish().await;
        refusal::expect_line(&proxy, &wire, "tls_protocol").await;
    }
    proxy.open("/").await;
}
