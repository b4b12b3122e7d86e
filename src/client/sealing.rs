//! Frame integrity as a client asks for it: what it offers, and whether the server agreed.

use super::{error::ClientError, random};
use crate::integrity::{
    EXTENSION_NAME, ValueError,
    agreement::Agreement,
    client::{ClientOffer, Credential, agree_on_frames},
    keyring::PrivateKey,
    schedule::Exporter,
};
use http::{HeaderMap, HeaderValue, header};
use rustls::{ClientConnection, ProtocolVersion};
use zeroize::Zeroizing;

/// RFC 9266 section 2.
const EXPORTER_LABEL: &[u8] = b"EXPORTER-Channel-Binding";

/// One way of sealing frames that a client offers. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub enum IntegrityOffer {
    /// `sha-256`: notices accidents, and nothing that is done on purpose.
    Sha256,
    /// `hmac-sha-256`: notices what anybody without the key does on purpose.
    HmacSha256 {
        /// The key.
        credential: Credential,
        /// Whether the tags are bound to this TLS session, so that another TLS terminator in
        /// between is noticed. Takes TLS 1.3.
        channel_binding: bool,
    },
}

impl IntegrityOffer {
    /// The offer for one handshake, with a nonce and an ephemeral key of its own.
    fn prepare(&self) -> Result<ClientOffer, ClientError> {
        let Self::HmacSha256 {
            credential,
            channel_binding,
        } = self
        else {
            return Ok(ClientOffer::sha256());
        };
        let mut nonce = [0; 32];
        let mut ephemeral = Zeroizing::new([0; 32]);
        random::fill(&mut nonce)?;
        random::fill(ephemeral.as_mut_slice())?;
        let ephemeral = PrivateKey::new(ephemeral);
        Ok(ClientOffer::hmac_sha256(
            credential,
            &nonce,
            &ephemeral,
            *channel_binding,
        )?)
    }

    fn needs_tls(&self) -> bool {
        matches!(
            self,
            Self::HmacSha256 {
                channel_binding: true,
                ..
            }
        )
    }
}

/// The offers of one handshake; refuses those that this connection cannot keep.
pub(super) fn prepare(
    offers: &[IntegrityOffer],
    optional: bool,
    tls: bool,
) -> Result<Vec<ClientOffer>, ClientError> {
    if !tls && offers.iter().any(IntegrityOffer::needs_tls) {
        let message = "a channel binding takes TLS; connect to wss://, or offer none";
        return Err(ClientError::Argument(message.to_owned()));
    }
    if optional && offers.is_empty() {
        let message = "integrity is optional, and no offer is made; make one with `integrity`, or leave `integrity_optional` out";
        return Err(ClientError::Argument(message.to_owned()));
    }
    let offers = offers.iter();
    offers.map(IntegrityOffer::prepare).collect()
}

/// The value of `Sec-WebSocket-Extensions` that makes the offers.
pub(super) fn field(offers: &[ClientOffer]) -> Option<String> {
    let elements: Vec<String> = offers.iter().map(ClientOffer::extension).collect();
    (!elements.is_empty()).then(|| elements.join(", "))
}

/// What the server's answer comes to. `None`: the frames are not sealed.
pub(super) fn agree(
    offers: &[ClientOffer],
    headers: &HeaderMap,
    exporter: Option<&Exporter>,
) -> Result<Option<Agreement>, ClientError> {
    let values = headers.get_all(header::SEC_WEBSOCKET_EXTENSIONS);
    let foreign = values.iter().any(|value| !is_ours(value));
    if foreign || (offers.is_empty() && values.iter().next().is_some()) {
        let problem = "it uses an extension that was not offered".to_owned();
        return Err(ClientError::Handshake(problem));
    }
    let values = values.iter().map(HeaderValue::as_bytes);
    let agreed = agree_on_frames(offers, values, &|| exporter.cloned());
    agreed.map_err(|error| ClientError::Handshake(error.to_string()))
}

/// Whether a field names no other extension. No value of this one has a comma.
fn is_ours(value: &HeaderValue) -> bool {
    let elements = value.as_bytes().split(|byte| *byte == b',');
    let mut names = elements.map(|element| element.split(|byte| *byte == b';').next());
    names.all(|name| name.is_some_and(|name| name.trim_ascii() == EXTENSION_NAME.as_bytes()))
}

/// What the keys of a channel binding come from; `None` before TLS 1.3 (section 3).
pub(super) fn exporter(tls: &ClientConnection) -> Option<Exporter> {
    if tls.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return None;
    }
    let bytes = tls.export_keying_material([0; 32], EXPORTER_LABEL, Some(b""));
    bytes.map(Zeroizing::new).ok()
}

impl From<ValueError> for ClientError {
    fn from(error: ValueError) -> Self {
        Self::Argument(error.to_string())
    }
}
