//! What breaks TLS ends with the alert that says so (RFC 8446 section 6.2), before there are keys and
//! under them.

use super::{proxy, records::open};
use crate::support::{
    End, HandMade,
    client::tcp,
    hand_made::{ALERT, DATA, HANDSHAKE, message, plain},
    refusal,
};

const WARNING: u8 = 1;
const FATAL: u8 = 2;
const UNEXPECTED_MESSAGE: u8 = 10;
const DECODE_ERROR: u8 = 50;
const USER_CANCELED: u8 = 90;

/// Where TLS 1.2 and 1.3 stand in [`super::BOTH`].
const OLD: usize = 0;
const NEW: usize = 1;

/// The beginning of a message of 32 bytes that does not come.
const BEGUN: [u8; 5] = [24, 0, 0, 32, 0];
/// The header of a message of 65536 bytes.
const TOO_LONG: [u8; 4] = [24, 1, 0, 0];

/// What an open socket sends under its keys ends it with this alert.
async fn is_told(version: usize, alert: u8, records: impl Fn(&mut HandMade) -> Vec<u8>) {
    let (proxy, _backend) = proxy().await;
    let (stream, local) = open(&proxy, version).await;
    let mut client = HandMade::of(stream, local);
    let records = records(&mut client);
    let _ = client.wire.try_send(&records).await;
    assert_eq!(client.read().await, (ALERT, vec![FATAL, alert]));
    client.wire.read_to_end().await;
    client.wire.finish().await;
    let lines = proxy.wait_lines(&client.wire, 2).await;
    assert_eq!(lines[1].field("reason"), "client_tls", "{lines:?}");
}

/// What a client sends instead of a ClientHello is answered with this alert, and nothing else.
async fn is_told_before_keys(alert: u8, records: &[u8]) {
    let (proxy, _backend) = proxy().await;
    let mut wire = tcp(proxy.address()).await;
    let _ = wire.try_send(records).await;
    let told = (plain(ALERT, &[FATAL, alert]), End::Closed);
    assert_eq!(wire.read_to_end().await, told, "{records:?}");
    wire.finish().await;
    refusal::expect_line(&proxy, &wire, "tls_protocol").await;
}

#[tokio::test]
async fn message_with_another_record_between_its_parts_is_told_with_an_alert() {
    let begun = plain(HANDSHAKE, &[1, 0, 1, 0, 3, 3]);
    for between in [plain(ALERT, &[WARNING, USER_CANCELED]), plain(DATA, b"x")] {
        is_told_before_keys(UNEXPECTED_MESSAGE, &[&begun[..], &between].concat()).await;
    }
    // Under keys, rustls lets itself be brought to say only that it cannot decode what comes next.
    for version in [OLD, NEW] {
        is_told(version, DECODE_ERROR, |client| {
            [client.seal(HANDSHAKE, &BEGUN), client.seal(DATA, b"x")].concat()
        })
        .await;
    }
}

#[tokio::test]
async fn record_without_a_type_within_is_told_that_it_was_unexpected() {
    // RFC 8446 section 5.4.
    for padding in [&b""[..], &[0; 100]] {
        is_told(NEW, UNEXPECTED_MESSAGE, |client| client.seal(0, padding)).await;
    }
}

#[tokio::test]
async fn message_of_more_than_64_kib_is_told_that_it_cannot_be_decoded() {
    is_told_before_keys(DECODE_ERROR, &plain(HANDSHAKE, &[1, 1, 0, 0])).await;
    for version in [OLD, NEW] {
        is_told(version, DECODE_ERROR, |client| {
            client.seal(HANDSHAKE, &TOO_LONG)
        })
        .await;
    }
}

#[tokio::test]
async fn floods_are_told_why_they_end() {
    let endless = message(24, &vec![0; 0xffff]);
    for version in [OLD, NEW] {
        let repeat = |client: &mut HandMade, count, content, payload: &[u8]| {
            let records = (0..count).map(|_| client.seal(content, payload));
            records.collect::<Vec<_>>().concat()
        };
        is_told(version, UNEXPECTED_MESSAGE, |client| {
            repeat(client, 33, DATA, b"")
        })
        .await;
        is_told(version, DECODE_ERROR, |client| {
            repeat(client, 5, ALERT, &[WARNING, USER_CANCELED])
        })
        .await;
        is_told(version, DECODE_ERROR, |client| {
            let records = endless.chunks(1).take(5_000);
            let records = records.map(|byte| client.seal(HANDSHAKE, byte));
            records.collect::<Vec<_>>().concat()
        })
        .await;
    }
}
