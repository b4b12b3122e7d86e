//! What a client offers, in either binding (sections 5 and 6), and the fields that carry it for
//! the frame binding.

use super::{
    Algorithm, EXTENSION_NAME, base64url,
    grammar::{self, ParameterError},
    keyring::{Kid, Unusable},
};

/// The value of `cb` (RFC 9266).
pub(super) const CHANNEL_BINDING: &str = "tls-exporter";

/// The fewest and the most bytes of a client nonce (section 3).
pub(super) const CLIENT_NONCE_BYTES: std::ops::RangeInclusive<usize> = 16..=64;

/// An offer that is well-formed; whether it is acceptable depends on route and keyring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offer {
    /// `alg=sha-256`, which takes nothing else.
    Sha256,
    /// `alg=hmac-sha-256`.
    HmacSha256(KeyedOffer),
}

/// What an offer of `hmac-sha-256` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedOffer {
    /// `kid`: the key to use.
    pub kid: Kid,
    /// `cn`: 16 to 64 bytes.
    pub client_nonce: Vec<u8>,
    /// `epk`: the client's ephemeral public key, for a key of kind `x25519`.
    pub ephemeral: Option<[u8; 32]>,
    /// `cb=tls-exporter`: the traffic keys are to be bound to the TLS session.
    pub channel_binding: bool,
}

/// Why an offer is passed over, as if it had not been made (section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It breaks the grammar of RFC 6455 section 9.1.
    #[error("the offer is malformed")]
    Malformed,
    /// A sealed subprotocol's name has other than six fields.
    #[error("the sealed subprotocol's name has not six fields")]
    FieldCount,
    /// It has a parameter that is not defined.
    #[error("the offer has an unknown parameter")]
    ParameterUnknown,
    /// It has a parameter twice.
    #[error("the offer has a parameter twice")]
    ParameterTwice,
    /// It has a parameter that its algorithm does not take.
    #[error("the offer has a parameter that its algorithm does not take")]
    ParameterUnexpected,
    /// It has no `alg`.
    #[error("the offer has no alg")]
    AlgorithmMissing,
    /// Its `alg` is not defined.
    #[error("the offer's alg is unknown")]
    AlgorithmUnknown,
    /// The route does not allow its `alg`.
    #[error("the route does not allow the offer's alg")]
    AlgorithmNotAllowed,
    /// It has no `kid`.
    #[error("the offer has no kid")]
    KidMissing,
    /// Its `kid` is none.
    #[error("the offer's kid is malformed")]
    KidMalformed,
    /// Its `kid` names no key that a new connection may use.
    #[error("{0}")]
    KeyUnusable(Unusable),
    /// It has no `cn`.
    #[error("the offer has no cn")]
    NonceMissing,
    /// Its `cn` is not base64url, or not of 16 to 64 bytes.
    #[error("the offer's cn is not base64url of 16 to 64 bytes")]
    NonceMalformed,
    /// It has no `epk`, and its key is of kind `x25519`.
    #[error("the offer has no epk, which its key needs")]
    EphemeralMissing,
    /// Its `epk` is not base64url of 32 bytes.
    #[error("the offer's epk is not base64url of 32 bytes")]
    EphemeralMalformed,
    /// It has an `epk`, and its key is of kind `secret`.
    #[error("the offer has an epk, which its key does not take")]
    EphemeralUnexpected,
    /// Its `epk` leads to a secret that everybody knows.
    #[error("the offer's epk gives an all-zero secret")]
    AllZero,
    /// Its `cb` is not `tls-exporter`.
    #[error("the offer's cb is unknown")]
    ChannelBindingUnknown,
    /// It asks for `cb`, and the TLS session has none to give (it is not TLS 1.3).
    #[error("the offer asks for a channel binding, which takes TLS 1.3")]
    ChannelBindingUnavailable,
    /// It came after more offers than are looked at.
    #[error("more offers were made than are looked at")]
    TooMany,
}

/// The fields `Sec-WebSocket-Extensions` of one request, taken apart.
#[derive(Debug, Default)]
pub struct Extensions<'a> {
    /// The offers of this protocol, in the client's order of preference.
    pub offers: Vec<Result<Offer, Refusal>>,
    /// The other well-formed elements as they came, in their order. Malformed ones are left out:
    /// two readers might understand them differently.
    pub others: Vec<&'a str>,
}

/// The values of an offer before they are looked at, from either binding.
pub(super) struct RawOffer<'a> {
    pub(super) algorithm: Option<&'a str>,
    pub(super) kid: Option<&'a str>,
    pub(super) client_nonce: Option<&'a str>,
    pub(super) ephemeral: Option<&'a str>,
    pub(super) channel_binding: Option<&'a str>,
}

impl<'a> Extensions<'a> {
    /// Takes the values of all fields of that name, in the order of the request.
    pub fn parse(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut extensions = Self::default();
        values
            .into_iter()
            .flat_map(grammar::elements)
            .for_each(|element| extensions.take(element));
        extensions
    }

    /// The value to forward on a connection that is not sealed: everything but what is of this
    /// protocol; `None` if nothing is left. On a sealed one RSV bits are 0 (section 2), and none
    /// of the others can be forwarded.
    pub fn forwarded(&self) -> Option<String> {
        (!self.others.is_empty()).then(|| self.others.join(", "))
    }

    fn take(&mut self, element: &'a [u8]) {
        // In whatever case: no reader after this one shall take it for an offer.
        if grammar::leading_name(element).eq_ignore_ascii_case(EXTENSION_NAME.as_bytes()) {
            self.offers.push(offer_of(element));
        } else if let Some(text) = grammar::ascii(element)
            && grammar::parse(text).is_some()
        {
            self.others.push(text);
        }
    }
}

impl Offer {
    /// The algorithm that it asks for.
    pub fn algorithm(&self) -> Algorithm {
        match self {
            Self::Sha256 => Algorithm::Sha256,
            Self::HmacSha256(_) => Algorithm::HmacSha256,
        }
    }

    /// The element of `Sec-WebSocket-Extensions` that makes this offer.
    pub fn to_extension(&self) -> String {
        let parameters = match self {
            Self::Sha256 => String::new(),
            Self::HmacSha256(keyed) => keyed.to_parameters(),
        };
        format!("{EXTENSION_NAME}; alg={}{parameters}", self.algorithm())
    }
}

impl KeyedOffer {
    fn to_parameters(&self) -> String {
        let nonce = base64url::encode(&self.client_nonce);
        let ephemeral = self
            .ephemeral
            .map(|public| format!("; epk={}", base64url::encode(&public)));
        let binding = self
            .channel_binding
            .then(|| format!("; cb={CHANNEL_BINDING}"));
        let (ephemeral, binding) = (ephemeral.unwrap_or_default(), binding.unwrap_or_default());
        format!("; kid={}; cn={nonce}{ephemeral}{binding}", self.kid)
    }
}

impl RawOffer<'_> {
    pub(super) fn check(self) -> Result<Offer, Refusal> {
        let name = self.algorithm.ok_or(Refusal::AlgorithmMissing)?;
        match Algorithm::named(name).ok_or(Refusal::AlgorithmUnknown)? {
            Algorithm::Sha256 => self.check_bare().map(|()| Offer::Sha256),
            Algorithm::HmacSha256 => self.check_keyed().map(Offer::HmacSha256),
        }
    }

    fn check_bare(&self) -> Result<(), Refusal> {
        let others = [
            self.kid,
            self.client_nonce,
            self.ephemeral,
            self.channel_binding,
        ];
        if others.iter().any(Option::is_some) {
            Err(Refusal::ParameterUnexpected)
        } else {
            Ok(())
        }
    }

    fn check_keyed(&self) -> Result<KeyedOffer, Refusal> {
        let kid = self.kid.ok_or(Refusal::KidMissing)?;
        Ok(KeyedOffer {
            kid: kid.parse().map_err(|_| Refusal::KidMalformed)?,
            client_nonce: nonce(self.client_nonce.ok_or(Refusal::NonceMissing)?)?,
            ephemeral: self.ephemeral.map(ephemeral).transpose()?,
            channel_binding: self.channel_binding.map_or(Ok(false), channel_binding)?,
        })
    }
}

fn offer_of(element: &[u8]) -> Result<Offer, Refusal> {
    let text = grammar::ascii(element).ok_or(Refusal::Malformed)?;
    let extension = grammar::parse(text).ok_or(Refusal::Malformed)?;
    if extension.name != EXTENSION_NAME {
        return Err(Refusal::Malformed);
    }
    let [algorithm, kid, client_nonce, ephemeral, channel_binding] =
        extension.values(["alg", "kid", "cn", "epk", "cb"])?;
    RawOffer {
        algorithm,
        kid,
        client_nonce,
        ephemeral,
        channel_binding,
    }
    .check()
}

impl From<ParameterError> for Refusal {
    fn from(error: ParameterError) -> Self {
        match error {
            ParameterError::Unknown => Self::ParameterUnknown,
            ParameterError::Twice => Self::ParameterTwice,
            ParameterError::WithoutValue => Self::Malformed,
        }
    }
}

fn nonce(text: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = base64url::decode(text).ok_or(Refusal::NonceMalformed)?;
    let fits = CLIENT_NONCE_BYTES.contains(&bytes.len());
    fits.then(|| bytes.to_vec()).ok_or(Refusal::NonceMalformed)
}

fn ephemeral(text: &str) -> Result<[u8; 32], Refusal> {
    base64url::decode_32(text).ok_or(Refusal::EphemeralMalformed)
}

fn channel_binding(text: &str) -> Result<bool, Refusal> {
    if text == CHANNEL_BINDING {
        Ok(true)
    } else {
        Err(Refusal::ChannelBindingUnknown)
    }
}
