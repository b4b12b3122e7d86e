//! Sealed frames against a server made of the negotiation, an opener and a sealer alone.

use super::*;
use crate::{
    frame::Opcode,
    integrity::{
        Algorithm, Failure, Mode, base64url,
        keyring::{Key, KeyKind, KeyMaterial, KeyState, Keyring, Validity},
        negotiate::Terms,
        offer::Extensions,
        schedule::Exporter,
        seal::{Opener, Sealer},
    },
};
use tokio::io::{AsyncRead, AsyncWrite};
use zeroize::Zeroizing;

/// The server's side of a sealed connection.
pub(super) struct Sealed<S> {
    pub(super) stream: S,
    opener: Opener,
    pub(super) sealer: Sealer,
}

pub(super) fn keyring() -> Keyring {
    let key = |kid: &str, kind: KeyKind| Key {
        kid: kid.parse().unwrap(),
        material: KeyMaterial::generate(kind, Zeroizing::new([7; 32])),
        state: KeyState::Active,
        validity: Validity::default(),
    };
    Keyring::new([key("edge", KeyKind::Secret), key("web", KeyKind::X25519)]).unwrap()
}

fn credential(kid: &str) -> Credential {
    let keyring = keyring();
    let key = keyring.key(kid).unwrap();
    if let Some(public) = key.material.public_key() {
        return Credential::PublicKey(key.kid.clone(), public);
    }
    let secret = Secret::from_text(&key.material.to_text()).unwrap();
    Credential::Secret(key.kid.clone(), secret)
}

pub(super) fn keyed(kid: &str, channel_binding: bool) -> IntegrityOffer {
    IntegrityOffer::HmacSha256 {
        credential: credential(kid),
        channel_binding,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Sealed<S> {
    /// Agrees to the first offer that the keyring allows.
    pub(super) async fn accept(mut stream: S, exporter: Option<Exporter>) -> Self {
        let request = read_request(&mut stream).await;
        let offered = field(&request, "sec-websocket-extensions").unwrap();
        let agreement = Terms {
            mode: Mode::Required,
            algorithms: &Algorithm::ALL,
            keyring: &keyring(),
            now: 0,
            server_nonce: [9; 32],
            exporter: &|| exporter.clone(),
        }
        .choose_frame(&Extensions::parse([offered.as_bytes()]))
        .unwrap();
        let answer = answer_with(&request, agreement.answer());
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (opener, sealer) = agreement.server_ends();
        Self {
            stream,
            opener,
            sealer,
        }
    }

    /// The bytes of a sealed frame, which is not sent.
    fn seal(&mut self, b0: u8, data: &[u8]) -> Vec<u8> {
        let tag = self.sealer.seal(b0, data).unwrap();
        let length = u8::try_from(data.len() + tag.len()).unwrap();
        [&[b0, length], data, &tag].concat()
    }

    pub(super) async fn send(&mut self, b0: u8, data: &[u8]) {
        let frame = self.seal(b0, data);
        self.stream.write_all(&frame).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// The next frame of the client: its first byte, and its data if it is as it was sealed.
    pub(super) async fn receive(&mut self) -> (u8, Vec<u8>) {
        let (b0, payload) = read_frame(&mut self.stream).await;
        let (data, tag) = payload.split_last_chunk().unwrap();
        self.opener.open(b0, data, tag).unwrap();
        (b0, data.to_vec())
    }
}

fn answer_with(request: &str, extensions: &str) -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n",
        accept_of(request)
    )
}

async fn sealed(offer: IntegrityOffer) -> (WebSocketConnection, Sealed<TcpStream>) {
    let (listener, client) = listener().await;
    let server = async { Sealed::accept(listener.accept().await.unwrap().0, None).await };
    let (client, server) = tokio::join!(client.integrity([offer]).connect(), server);
    (client.unwrap(), server)
}

/// What connecting returns when the server answers with these extensions, and what the server gets then.
async fn answered_with(
    change: impl FnOnce(ClientBuilder) -> ClientBuilder,
    extensions: &str,
) -> (Result<WebSocketConnection, ClientError>, Vec<u8>) {
    let (listener, client) = listener().await;
    let server = async {
        let mut stream = listener.accept().await.unwrap().0;
        let request = read_request(&mut stream).await;
        let answer = answer_with(&request, extensions);
        let empty = "Sec-WebSocket-Extensions: \r\n";
        let answer = answer.replace(empty, "");
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    };
    let (client, mut stream) = tokio::join!(change(client).connect(), server);
    let told = match client {
        Err(ClientError::Unsealed) => read_frame(&mut stream).await.1,
        _ => Vec::new(),
    };
    (client, told)
}

#[tokio::test]
async fn sealed_frames_go_both_ways() {
    let offers = [
        IntegrityOffer::Sha256,
        keyed("edge", false),
        keyed("web", false),
    ];
    for offer in offers {
        let (mut client, mut server) = sealed(offer).await;
        client.send_text("héllo").await.unwrap();
        assert_eq!(server.receive().await, (0x81, "héllo".as_bytes().to_vec()));
        client.ping(b"p").await.unwrap();
        assert_eq!(read_frame(&mut server.stream).await, (0x89, b"p".to_vec()));
        for (last, opcode) in [(false, Opcode::Binary), (true, Opcode::Continuation)] {
            let payload = vec![0xff];
            let frame = DataFrame {
                opcode,
                last,
                payload,
            };
            client.sender.send_frame(&frame).await.unwrap();
        }
        assert_eq!(server.receive().await, (0x02, vec![0xff]));
        assert_eq!(server.receive().await, (0x80, vec![0xff]));
        // A character is split between two fragments, with a pong in between.
        server.send(0x01, b"h\xc3").await;
        server.stream.write_all(b"\x8a\x01p").await.unwrap();
        server.send(0x80, b"\xa9").await;
        server.send(0x82, b"").await;
        assert_eq!(client.next().await.unwrap(), Event::Pong(b"p".to_vec()));
        assert_eq!(client.next().await.unwrap(), Event::Text("hé".into()));
        assert_eq!(client.next().await.unwrap(), Event::Binary(Vec::new()));
    }
}

#[tokio::test]
async fn agreement_is_told() {
    let (client, _server) = sealed(keyed("web", false)).await;
    let agreed = client.agreed().unwrap();
    assert_eq!(agreed.algorithm(), Algorithm::HmacSha256);
    assert_eq!(agreed.kid().map(Kid::as_str), Some("web"));
    let (client, _server) = sealed(IntegrityOffer::Sha256).await;
    assert_eq!(client.agreed().unwrap().algorithm(), Algorithm::Sha256);
}

#[tokio::test]
async fn closes_are_sealed_both_ways() {
    let (mut client, mut server) = sealed(keyed("edge", false)).await;
    let refused = client.close(1000, &"r".repeat(92)).await;
    assert!(matches!(refused, Err(ClientError::Argument(_))));
    client.close(1000, &"r".repeat(91)).await.unwrap();
    assert_eq!(server.receive().await.1.len(), 93);
    server.send(0x88, b"").await;
    assert_eq!(client.next().await.unwrap(), Event::Closed(None));

    let (mut client, mut server) = sealed(keyed("edge", false)).await;
    server.send(0x88, b"\x03\xf4done").await;
    let close = client.next().await.unwrap();
    assert!(matches!(
        close,
        Event::Closed(Some(CloseFrame { code: 1012, .. }))
    ));
    assert_eq!(server.receive().await, (0x88, b"\x03\xf4done".to_vec()));
}

/// Expects that `tampered`, after an honest "one", is refused, and reported to the server with a Close
/// that is sealed itself.
async fn assert_refused(
    offer: IntegrityOffer,
    expected: Failure,
    tampered: impl FnOnce(&mut Sealed<TcpStream>, Vec<u8>) -> Vec<u8>,
) {
    let (mut client, mut server) = sealed(offer).await;
    let one = server.seal(0x81, b"one");
    let bytes = tampered(&mut server, one.clone());
    server
        .stream
        .write_all(&[one, bytes].concat())
        .await
        .unwrap();
    assert_eq!(client.next().await.unwrap(), Event::Text("one".into()));
    let Err(ClientError::Integrity(failure)) = client.next().await else {
        panic!("delivered");
    };
    assert_eq!(failure, expected);
    let reason = expected.to_string();
    let told = [b"\x03\xf0", reason.as_bytes()].concat();
    assert_eq!(server.receive().await, (0x88, told));
    assert!(matches!(client.next().await, Err(ClientError::Closed)));
}

#[tokio::test]
async fn changed_frames_are_refused_and_nothing_of_them_delivered() {
    for offer in [IntegrityOffer::Sha256, keyed("edge", false)] {
        for byte in [2, 4, 5, 36] {
            assert_refused(offer.clone(), Failure::Mismatch, |server, _| {
                let mut frame = server.seal(0x82, b"two");
                frame[byte] ^= 1;
                frame
            })
            .await;
        }
    }
}

#[tokio::test]
async fn frames_out_of_their_order_are_refused_with_a_key() {
    let offer = || keyed("edge", false);
    assert_refused(offer(), Failure::Mismatch, |_, one| one).await;
    assert_refused(offer(), Failure::Mismatch, |server, _| {
        let dropped = server.seal(0x81, b"two");
        drop(dropped);
        server.seal(0x81, b"three")
    })
    .await;
    assert_refused(offer(), Failure::Mismatch, |_, _| {
        let mut forger = Sealer::sha256();
        let tag = forger.seal(0x81, b"two").unwrap();
        [b"\x81\x23two", tag.as_slice()].concat()
    })
    .await;
    // Text that is called binary, and a message that is called a fragment.
    for b0 in [0x82, 0x01] {
        assert_refused(offer(), Failure::Mismatch, |server, _| {
            let mut frame = server.seal(0x81, b"two");
            frame[0] = b0;
            frame
        })
        .await;
    }
}

#[tokio::test]
async fn frames_and_closes_without_a_tag_are_refused() {
    for offer in [IntegrityOffer::Sha256, keyed("edge", false)] {
        for unsealed in [
            b"\x81\x03two".to_vec(),
            b"\x82\x00".to_vec(),
            b"\x88\x00".to_vec(),
        ] {
            assert_refused(offer.clone(), Failure::Missing, |_, _| unsealed).await;
        }
    }
}

#[tokio::test]
async fn end_without_a_sealed_close_is_abnormal() {
    for cut in [0, 1, 20] {
        let (mut client, mut server) = sealed(keyed("edge", false)).await;
        let frame = server.seal(0x81, b"one");
        server.stream.write_all(&frame[..cut]).await.unwrap();
        drop(server);
        assert!(matches!(client.next().await, Err(ClientError::Ended)));
    }
}

#[tokio::test]
async fn limit_counts_data_without_the_tag() {
    let (listener, client) = listener().await;
    let client = client.integrity([keyed("edge", false)]).message_limit(4);
    let server = async { Sealed::accept(listener.accept().await.unwrap().0, None).await };
    let (client, mut server) = tokio::join!(client.connect(), server);
    let mut client = client.unwrap();
    server.send(0x81, b"four").await;
    server.send(0x81, b"five!").await;
    assert_eq!(client.next().await.unwrap(), Event::Text("four".into()));
    let error = client.next().await.unwrap_err();
    assert!(matches!(error, ClientError::Protocol { code: 1009, .. }));
    assert_eq!(server.receive().await, (0x88, b"\x03\xf1".to_vec()));
}

#[tokio::test]
async fn server_that_does_not_agree_is_left_and_told_why() {
    let offer = |client: ClientBuilder| client.integrity([keyed("edge", false)]);
    let (client, told) = answered_with(offer, "").await;
    assert!(matches!(client, Err(ClientError::Unsealed)));
    assert_eq!(told, 1010u16.to_be_bytes());
    let optional = |client: ClientBuilder| offer(client).integrity_optional();
    let client = answered_with(optional, "").await.0.unwrap();
    assert!(client.agreed().is_none());
}

#[tokio::test]
async fn answers_to_offers_that_were_not_made_are_refused() {
    let nonce = base64url::encode(&[9; 32]);
    let good = format!("frame-integrity; alg=hmac-sha-256; kid=edge; sn={nonce}");
    let offer = |client: ClientBuilder| client.integrity([keyed("edge", false)]);
    assert!(answered_with(offer, &good).await.0.is_ok());
    let answers = [
        "frame-integrity; alg=sha-256".to_owned(),
        good.replace("edge", "web"),
        good.replace("sn=", "sn=A"),
        format!("{good}; cb=tls-exporter"),
        format!("{good}, {good}"),
        format!("{good}, permessage-deflate"),
        "permessage-deflate".to_owned(),
    ];
    for answer in answers {
        // Not even where going on without tags is allowed.
        let optional = |client: ClientBuilder| offer(client).integrity_optional();
        let error = answered_with(optional, &answer).await.0.err().unwrap();
        assert!(
            matches!(error, ClientError::Handshake(_)),
            "{answer}: {error}"
        );
    }
}

#[tokio::test]
async fn channel_binding_without_tls_is_refused_before_anything_is_sent() {
    let client = Client::builder("ws://127.0.0.1:1/").integrity([keyed("edge", true)]);
    let error = client.connect().await.err().unwrap();
    assert!(error.to_string().contains("wss://"), "{error}");
}

#[tokio::test]
async fn integrity_without_an_offer_is_refused_before_anything_is_sent() {
    // A key that was not found: an `Option` is an iterator too.
    let key: Option<Credential> = None;
    let offer = key.map(|credential| IntegrityOffer::HmacSha256 {
        credential,
        channel_binding: false,
    });
    let client = || Client::builder("ws://127.0.0.1:1/");
    for client in [
        client().integrity(offer.clone()),
        client().integrity([]),
        client().integrity(offer).integrity_optional(),
        client().integrity_optional(),
    ] {
        let error = client.connect().await.err().unwrap();
        assert!(matches!(error, ClientError::Argument(_)), "{error}");
        assert!(error.to_string().contains("offer"), "{error}");
    }
}

#[test]
fn offers_show_no_secret() {
    let secret = keyring().key("edge").unwrap().material.to_text();
    let shown = format!("{:?}", keyed("edge", false));
    assert!(
        !shown.contains(secret.as_str()) && !shown.contains("7, 7"),
        "{shown}"
    );
}
