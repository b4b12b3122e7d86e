//! What TLS 1.2 may be asked for, and is not given.

use super::proxy;
use crate::support::{
    Proxy,
    client::tcp,
    hand_made::{ALERT, HANDSHAKE, client_hello, plain},
    refusal,
};

/// Forward secrecy and an AEAD.
const ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: u16 = 0xc02b;
const SERVER_HELLO: u8 = 2;

/// The first record of the answer to a ClientHello: its content type and its payload. The line
/// that follows names a reason.
async fn answer(proxy: &Proxy, hello: &[u8], reason: &str) -> (u8, Vec<u8>) {
    let mut wire = tcp(proxy.address()).await;
    wire.send(&plain(HANDSHAKE, hello)).await;
    let header = wire.read_exact(5).await;
    let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
    let payload = wire.read_exact(length).await;
    wire.finish().await;
    refusal::expect_line(proxy, &wire, reason).await;
    (header[0], payload)
}

#[tokio::test]
async fn suites_without_forward_secrecy_or_aead_are_refused_over_tls_1_2() {
    let (proxy, _backend) = proxy().await;
    let all = [
        ("ECDHE_ECDSA_WITH_AES_128_CBC_SHA", 0xc009),
        ("ECDHE_ECDSA_WITH_AES_256_CBC_SHA384", 0xc024),
        ("ECDHE_RSA_WITH_AES_128_CBC_SHA", 0xc013),
        ("ECDHE_ECDSA_WITH_RC4_128_SHA", 0xc007),
        ("ECDHE_ECDSA_WITH_NULL_SHA", 0xc006),
        ("RSA_WITH_AES_128_GCM_SHA256", 0x009c),
        ("RSA_WITH_3DES_EDE_CBC_SHA", 0x000a),
        ("DHE_RSA_WITH_AES_128_CBC_SHA", 0x0033),
        ("DH_anon_WITH_AES_128_CBC_SHA", 0x0034),
        ("RSA_EXPORT_WITH_RC4_40_MD5", 0x0003),
        ("NULL_WITH_NULL_NULL", 0x0000),
    ];
    for (name, suite) in all {
        let hello = client_hello(&[suite], &[0]);
        // RFC 5246 section 7.2.2: handshake_failure.
        let refused = (ALERT, vec![2, 40]);
        assert_eq!(
            answer(&proxy, &hello, "nothing_in_common").await,
            refused,
            "{name}"
        );
    }
    let weak = all.map(|(_, suite)| suite);
    let hello = [&weak[..], &[ECDHE_ECDSA_WITH_AES_128_GCM_SHA256]].concat();
    let (suite, _) = chosen(answer(&proxy, &client_hello(&hello, &[0]), "handshake_gone").await);
    assert_eq!(suite, ECDHE_ECDSA_WITH_AES_128_GCM_SHA256);
}

#[tokio::test]
async fn compression_is_never_agreed_on() {
    let (proxy, _backend) = proxy().await;
    let suites = [ECDHE_ECDSA_WITH_AES_128_GCM_SHA256];
    let hello = client_hello(&suites, &[1, 64, 0]);
    let (_, compression) = chosen(answer(&proxy, &hello, "handshake_gone").await);
    assert_eq!(compression, 0);
    let hello = client_hello(&suites, &[1]);
    let (content, alert) = answer(&proxy, &hello, "nothing_in_common").await;
    assert_eq!((content, alert[0]), (ALERT, 2), "{alert:?}");
}

/// Suite and compression of a `ServerHello` (RFC 5246 section 7.4.1.3).
fn chosen((content, payload): (u8, Vec<u8>)) -> (u16, u8) {
    assert_eq!((content, payload[0]), (HANDSHAKE, SERVER_HELLO));
    let behind_random = &payload[4 + 2 + 32..];
    let behind_session = &behind_random[1 + usize::from(behind_random[0])..];
    let suite = u16::from_be_bytes([behind_session[0], behind_session[1]]);
    (suite, behind_session[2])
}
