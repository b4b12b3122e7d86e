//! TLS records made by hand with the keys of a session: what no TLS library would send.

use super::Wire;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ProtocolVersion};
use std::net::SocketAddr;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

/// Content types (RFC 8446 section 5.1).
pub(crate) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(crate) const ALERT: u8 = 21;
pub(crate) const HANDSHAKE: u8 = 22;
pub(crate) const DATA: u8 = 23;

const TAG: usize = 16;
/// What TLS 1.2 sends of a nonce (RFC 5288 section 3).
const EXPLICIT: usize = 8;

/// A finished session without its library: the connection, and the keys of both directions.
pub(crate) struct HandMade {
    pub(crate) wire: Wire,
    sending: Half,
    receiving: Half,
}

/// One direction.
struct Half {
    version: ProtocolVersion,
    key: LessSafeKey,
    iv: Vec<u8>,
    sequence: u64,
}

impl HandMade {
    /// Takes a session apart, of which everything that came has been read.
    pub(crate) fn of(stream: TlsStream<TcpStream>, local: SocketAddr) -> Self {
        let (tcp, connection) = stream.into_inner();
        let version = connection.protocol_version().unwrap();
        let secrets = connection.dangerous_extract_secrets().unwrap();
        Self {
            wire: Wire::new(tcp, Some(local)),
            sending: Half::new(version, secrets.tx),
            receiving: Half::new(version, secrets.rx),
        }
    }

    /// A record of any content, as the peer expects it next.
    pub(crate) fn seal(&mut self, content: u8, payload: &[u8]) -> Vec<u8> {
        self.sending.seal(content, payload)
    }

    /// The next record: its content type and its payload.
    pub(crate) async fn read(&mut self) -> (u8, Vec<u8>) {
        let header = self.wire.read_exact(5).await;
        let length = usize::from(u16::from_be_bytes([header[3], header[4]]));
        let body = self.wire.read_exact(length).await;
        self.receiving.open(&header, body)
    }
}

impl Half {
    fn new(version: ProtocolVersion, (sequence, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Aes256Gcm { key, iv } = secrets else {
            panic!("another suite than the first that the client offers");
        };
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).unwrap();
        Self {
            version,
            key: LessSafeKey::new(key),
            iv: iv.as_ref().to_vec(),
            sequence,
        }
    }

    fn seal(&mut self, content: u8, payload: &[u8]) -> Vec<u8> {
        let (nonce, sequence) = self.next();
        let mut sealed = payload.to_vec();
        if self.version == ProtocolVersion::TLSv1_3 {
            sealed.push(content);
            let header = header(DATA, sealed.len() + TAG);
            self.append_tag(nonce, &header, &mut sealed);
            return [&header[..], &sealed].concat();
        }
        let additional = additional(sequence, content, payload.len());
        self.append_tag(nonce, &additional, &mut sealed);
        let header = header(content, EXPLICIT + sealed.len());
        [&header[..], &nonce[4..], &sealed].concat()
    }

    fn append_tag(&self, nonce: [u8; 12], additional: &[u8], sealed: &mut Vec<u8>) {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(nonce, Aad::from(additional), sealed)
            .unwrap();
    }

    fn open(&mut self, header: &[u8], mut body: Vec<u8>) -> (u8, Vec<u8>) {
        let (mut nonce, sequence) = self.next();
        if self.version == ProtocolVersion::TLSv1_3 {
            let mut inner = self.open_bytes(nonce, header, &mut body);
            let content = inner.pop().unwrap();
            return (content, inner);
        }
        nonce[4..].copy_from_slice(&body[..EXPLICIT]);
        let mut sealed = body.split_off(EXPLICIT);
        let additional = additional(sequence, header[0], sealed.len() - TAG);
        (header[0], self.open_bytes(nonce, &additional, &mut sealed))
    }

    fn open_bytes(&self, nonce: [u8; 12], additional: &[u8], sealed: &mut [u8]) -> Vec<u8> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(additional), sealed);
        opened.unwrap().to_vec()
    }

    /// The nonce of the next record (RFC 8446 section 5.3), and its number.
    fn next(&mut self) -> ([u8; 12], u64) {
        let sequence = self.sequence;
        self.sequence += 1;
        let mut nonce: [u8; 12] = self.iv.clone().try_into().unwrap();
        for (byte, number) in nonce[4..].iter_mut().zip(sequence.to_be_bytes()) {
            *byte ^= number;
        }
        (nonce, sequence)
    }
}

/// A record's header.
pub(crate) fn header(content: u8, length: usize) -> [u8; 5] {
    let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
    [content, 3, 3, high, low]
}

/// What TLS 1.2 authenticates beside the payload (RFC 5246 section 6.2.3.3).
fn additional(sequence: u64, content: u8, length: usize) -> Vec<u8> {
    [&sequence.to_be_bytes()[..], &header(content, length)].concat()
}

/// A handshake message (RFC 8446 section 4).
pub(crate) fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(body.len()).unwrap().to_be_bytes();
    [&[kind][..], &length, body].concat()
}

/// A plain record of the handshake.
pub(crate) fn plain(content: u8, payload: &[u8]) -> Vec<u8> {
    [&header(content, payload.len())[..], payload].concat()
}

/// A ClientHello of TLS 1.2 (RFC 5246 section 7.4.1.2) that is good, but perhaps for these.
pub(crate) fn client_hello(suites: &[u16], compressions: &[u8]) -> Vec<u8> {
    let suites: Vec<u8> = suites
        .iter()
        .flat_map(|suite| suite.to_be_bytes())
        .collect();
    let extensions = [
        // X25519 and P-256; ECDSA and RSA-PSS with SHA-256; the extended master secret.
        extension(10, &[0, 4, 0, 29, 0, 23]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(23, &[]),
    ];
    let body = [
        &[3, 3][..],
        &[7; 32],
        &[0],
        &counted(&suites),
        &[u8::try_from(compressions.len()).unwrap()],
        compressions,
        &counted(&extensions.concat()),
    ];
    message(1, &body.concat())
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted(body)].concat()
}

/// Bytes behind their count.
fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&length.to_be_bytes()[..], bytes].concat()
}
