//! The fields `Sec-WebSocket-Protocol` and the names in them that make offers (section 6).

use super::{
    base64url, grammar,
    offer::{Offer, RawOffer, Refusal},
};

/// How the name of a sealed subprotocol begins, and the first message of an `hmac-sha-256` server.
pub(super) const PREFIX: &str = "frame-integrity~";

/// Fields of a sealed name; the last one may itself contain the separator.
const FIELDS: usize = 6;

/// One subprotocol that a client offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subprotocol<'a> {
    /// An application's own.
    Plain(&'a str),
    /// One that seals the application's messages.
    Sealed(SealedName<'a>),
}

/// The name of a sealed subprotocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedName<'a> {
    /// The name as offered.
    pub text: &'a str,
    /// What it offers.
    pub offer: Result<Offer, Refusal>,
    /// The application's subprotocol in it; `None` if that field is empty.
    pub application: Option<&'a str>,
}

/// The subprotocols of all fields of a request, in the client's order of preference. What is no
/// token is left out (RFC 6455 section 4.1, item 10).
pub fn parse<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Vec<Subprotocol<'a>> {
    let names = values
        .into_iter()
        .flat_map(|value| value.split(|&byte| byte == b','));
    names
        .filter_map(|name| grammar::ascii(name.trim_ascii()))
        .filter(|name| grammar::is_token(name))
        .map(Subprotocol::of)
        .collect()
}

/// The server nonce in the first message of an `hmac-sha-256` server, a text.
pub fn parse_first_message(text: &str) -> Option<[u8; 32]> {
    base64url::decode_32(text.strip_prefix(PREFIX)?)
}

/// The first message of an `hmac-sha-256` server: not sealed, not counted.
pub(super) fn first_message(server_nonce: &[u8; 32]) -> String {
    format!("{PREFIX}{}", base64url::encode(server_nonce))
}

/// The name that makes an offer for an application's subprotocol, or for none. An offer with a
/// channel binding has no name.
pub(super) fn name(offer: &Offer, application: Option<&str>) -> Option<String> {
    let algorithm = offer.algorithm();
    let application = application.unwrap_or_default();
    Some(match offer {
        Offer::Sha256 => format!("{PREFIX}{algorithm}~~~~{application}"),
        Offer::HmacSha256(keyed) if keyed.channel_binding => return None,
        Offer::HmacSha256(keyed) => {
            let nonce = base64url::encode(&keyed.client_nonce);
            let ephemeral = keyed.ephemeral.map(|public| base64url::encode(&public));
            let ephemeral = ephemeral.unwrap_or_default();
            format!(
                "{PREFIX}{algorithm}~{}~{nonce}~{ephemeral}~{application}",
                keyed.kid
            )
        }
    })
}

impl<'a> Subprotocol<'a> {
    fn of(name: &'a str) -> Self {
        SealedName::of(name).map_or(Self::Plain(name), Self::Sealed)
    }
}

impl<'a> SealedName<'a> {
    /// The name taken apart; `None` if it is not a sealed subprotocol's.
    pub(super) fn of(text: &'a str) -> Option<Self> {
        text.starts_with(PREFIX).then(|| Self::from_fields(text))
    }

    fn from_fields(text: &'a str) -> Self {
        let fields = text
            .splitn(FIELDS, '~')
            .map(|field| Some(field).filter(|f| !f.is_empty()));
        let Ok([_, algorithm, kid, client_nonce, ephemeral, application]) =
            <[_; FIELDS]>::try_from(fields.collect::<Vec<_>>())
        else {
            return Self {
                text,
                offer: Err(Refusal::FieldCount),
                application: None,
            };
        };
        let channel_binding = None;
        let raw = RawOffer {
            algorithm,
            kid,
            client_nonce,
            ephemeral,
            channel_binding,
        };
        Self {
            text,
            offer: raw.check(),
            application,
        }
    }
}
