//! The client's side of both handshakes: it makes offers, and reads what the server answers.

use super::{
    Algorithm, EXTENSION_NAME, ValueError,
    agreement::{Agreement, Keyed},
    base64url, grammar,
    keyring::{Kid, PrivateKey, Secret},
    offer::{CHANNEL_BINDING, CLIENT_NONCE_BYTES, KeyedOffer, Offer},
    schedule::{Exporter, SharedKey},
    subprotocol::{self, SealedName},
};

/// What a client holds of a key.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The same secret as the server.
    Secret(Kid, Secret),
    /// The public half of a key of kind `x25519`.
    PublicKey(Kid, [u8; 32]),
}

/// One offer, with what is needed to make use of its answer. `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct ClientOffer {
    offer: Offer,
    shared: Option<SharedKey>,
}

/// Why a server's answer cannot be used; the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// It breaks the grammar, or lacks a parameter.
    #[error("the server's frame-integrity answer is malformed")]
    Malformed,
    /// There is more than one.
    #[error("the server answered frame-integrity more than once")]
    Twice,
    /// It accepts what was not offered.
    #[error("the server accepted a frame-integrity offer that was not made")]
    NotOffered,
    /// The server's first message is not `frame-integrity~<sn>`.
    #[error("the server's first message is not its frame-integrity nonce")]
    FirstMessage,
    /// A channel binding was offered and accepted, and the TLS session has none (it is not TLS 1.3).
    #[error("the channel binding was accepted, and takes TLS 1.3")]
    ChannelBindingUnavailable,
}

/// What a server answers by the frame binding; `None` for `sha-256`, which takes nothing else.
struct Answer {
    keyed: Option<KeyedAnswer>,
}

struct KeyedAnswer {
    kid: Kid,
    server_nonce: [u8; 32],
    channel_binding: bool,
}

impl ClientOffer {
    /// An offer of `sha-256`. A client that relies on `hmac-sha-256` does not make it: a peer that sits
    /// in between could leave this one alone in the request.
    pub fn sha256() -> Self {
        Self {
            offer: Offer::Sha256,
            shared: None,
        }
    }

    /// An offer of `hmac-sha-256`. `client_nonce` is 16 to 64 random bytes; `ephemeral` is random
    /// too, and used with a public key alone. Neither is ever used twice.
    pub fn hmac_sha256(
        credential: &Credential,
        client_nonce: &[u8],
        ephemeral: &PrivateKey,
        channel_binding: bool,
    ) -> Result<Self, ValueError> {
        if !CLIENT_NONCE_BYTES.contains(&client_nonce.len()) {
            let message = format!("the client nonce has {} bytes", client_nonce.len());
            return Err(ValueError::new(message, "give it 16 to 64 random bytes"));
        }
        let (kid, shared) = credential.shared_key(ephemeral)?;
        let offer = Offer::HmacSha256(KeyedOffer {
            kid: kid.clone(),
            client_nonce: client_nonce.to_vec(),
            ephemeral: shared.ephemeral().copied(),
            channel_binding,
        });
        Ok(Self {
            offer,
            shared: Some(shared),
        })
    }

    /// The element of `Sec-WebSocket-Extensions` that makes this offer.
    pub fn extension(&self) -> String {
        self.offer.to_extension()
    }

    /// The name in `Sec-WebSocket-Protocol` that makes this offer for an application's
    /// subprotocol, or for none; `None` if the offer has a channel binding, or the
    /// subprotocol is not a token.
    pub fn subprotocol(&self, application: Option<&str>) -> Option<String> {
        let usable = application.is_none_or(grammar::is_token);
        usable
            .then(|| subprotocol::name(&self.offer, application))
            .flatten()
    }

    /// Whether the subprotocol that the server selected is a sealed one of this offer.
    pub fn is_selected_by(&self, subprotocol: &str) -> bool {
        SealedName::of(subprotocol).is_some_and(|name| name.offer.as_ref() == Ok(&self.offer))
    }

    /// Whether the server speaks first, with the message binding, to give its nonce.
    pub fn awaits_first_message(&self) -> bool {
        self.shared.is_some()
    }

    /// What is agreed on by the message binding: the selected subprotocol is one of this offer,
    /// and the server's first message, where one is awaited, has come. That the name is one of
    /// those sent is for the caller to check, as for every subprotocol (RFC 6455 section 4.1).
    pub fn agree_on_messages(
        &self,
        selected: &str,
        first_message: Option<&str>,
    ) -> Result<Agreement, AnswerError> {
        let name = SealedName::of(selected).ok_or(AnswerError::NotOffered)?;
        if name.offer.as_ref() != Ok(&self.offer) {
            return Err(AnswerError::NotOffered);
        }
        let keyed = match (&self.offer, &self.shared) {
            (Offer::HmacSha256(offer), Some(shared)) => {
                let nonce = first_message.and_then(subprotocol::parse_first_message);
                let nonce = nonce.ok_or(AnswerError::FirstMessage)?;
                Some(Keyed::derive(
                    offer.kid.clone(),
                    &offer.client_nonce,
                    nonce,
                    shared,
                    None,
                ))
            }
            _ => None,
        };
        Ok(Agreement::on_messages(keyed, selected, name.application))
    }

    /// Whether a server's answer is one to this offer.
    fn is_answered_by(&self, answer: &Answer) -> bool {
        match (&self.offer, &answer.keyed) {
            (Offer::Sha256, None) => true,
            (Offer::HmacSha256(offer), Some(answer)) => {
                offer.kid == answer.kid && offer.channel_binding == answer.channel_binding
            }
            _ => false,
        }
    }

    fn agree_on_frames(
        &self,
        answer: &Answer,
        exporter: &dyn Fn() -> Option<Exporter>,
    ) -> Result<Agreement, AnswerError> {
        let (Offer::HmacSha256(offer), Some(shared), Some(keyed)) =
            (&self.offer, &self.shared, &answer.keyed)
        else {
            return Ok(Agreement::on_frames(None));
        };
        let exporter = offer.channel_binding.then(exporter);
        if let Some(None) = exporter {
            return Err(AnswerError::ChannelBindingUnavailable);
        }
        let (kid, nonce) = (offer.kid.clone(), keyed.server_nonce);
        let keyed = Keyed::derive(
            kid,
            &offer.client_nonce,
            nonce,
            shared,
            exporter.flatten().as_ref(),
        );
        Ok(Agreement::on_frames(Some(keyed)))
    }
}

/// What is agreed on by the frame binding, from the values of all fields `Sec-WebSocket-Extensions`
/// of the server's answer; `None` if the server accepted none of the offers. `exporter` returns the
/// TLS exporter's bytes, or `None` on TLS 1.2; it is asked only if an accepted offer needs them.
pub fn agree_on_frames<'a>(
    offers: &[ClientOffer],
    values: impl IntoIterator<Item = &'a [u8]>,
    exporter: &dyn Fn() -> Option<Exporter>,
) -> Result<Option<Agreement>, AnswerError> {
    let elements = values.into_iter().flat_map(grammar::elements);
    let mut answers =
        elements.filter(|element| grammar::leading_name(element) == EXTENSION_NAME.as_bytes());
    let Some(element) = answers.next() else {
        return Ok(None);
    };
    if answers.next().is_some() {
        return Err(AnswerError::Twice);
    }
    let answer = Answer::parse(element).ok_or(AnswerError::Malformed)?;
    let accepted = offers.iter().find(|offer| offer.is_answered_by(&answer));
    accepted
        .ok_or(AnswerError::NotOffered)?
        .agree_on_frames(&answer, exporter)
        .map(Some)
}

impl Credential {
    fn shared_key(&self, ephemeral: &PrivateKey) -> Result<(&Kid, SharedKey), ValueError> {
        match self {
            Self::Secret(kid, secret) => Ok((kid, SharedKey::from_secret(secret))),
            Self::PublicKey(kid, public) => {
                let shared = SharedKey::at_client(ephemeral, *public).map_err(|error| {
                    ValueError::new(
                        error.to_string(),
                        "check the public key; `tidegate keys public` shows it",
                    )
                })?;
                Ok((kid, shared))
            }
        }
    }
}

impl Answer {
    fn parse(element: &[u8]) -> Option<Self> {
        let extension = grammar::parse(grammar::ascii(element)?)?;
        let [algorithm, kid, server_nonce, binding] =
            extension.values(["alg", "kid", "sn", "cb"]).ok()?;
        match Algorithm::named(algorithm?)? {
            Algorithm::Sha256 => {
                let bare = [kid, server_nonce, binding].iter().all(Option::is_none);
                bare.then_some(Self { keyed: None })
            }
            Algorithm::HmacSha256 => {
                let keyed = KeyedAnswer::of(kid?, server_nonce?, binding)?;
                Some(Self { keyed: Some(keyed) })
            }
        }
    }
}

impl KeyedAnswer {
    fn of(kid: &str, server_nonce: &str, binding: Option<&str>) -> Option<Self> {
        let channel_binding = match binding {
            None => false,
            Some(CHANNEL_BINDING) => true,
            Some(_) => return None,
        };
        let (kid, server_nonce) = (kid.parse().ok()?, base64url::decode_32(server_nonce)?);
        Some(Self {
            kid,
            server_nonce,
            channel_binding,
        })
    }
}
