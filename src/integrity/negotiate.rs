//! The server's choice among a client's offers.

use super::{
    Algorithm, Mode,
    agreement::{Agreement, Keyed},
    keyring::{Key, KeyMaterial, Keyring},
    offer::{Extensions, KeyedOffer, Offer, Refusal},
    schedule::{Exporter, SharedKey},
    subprotocol::{SealedName, Subprotocol},
};

/// Offers that are looked at in one request: each may cost an X25519 exchange, which a client can
/// ask for with a few bytes.
pub const OFFERS_LOOKED_AT: usize = 16;

/// On what terms the server accepts an offer for one connection.
#[derive(Clone, Copy)]
pub struct Terms<'a> {
    /// The route's mode; `Off` accepts nothing.
    pub mode: Mode,
    /// The algorithms that the route allows. The client's order decides among them.
    pub algorithms: &'a [Algorithm],
    /// The keys.
    pub keyring: &'a Keyring,
    /// Seconds since 1970.
    pub now: i64,
    /// 32 random bytes for this connection alone.
    pub server_nonce: [u8; 32],
    /// Returns the TLS exporter's bytes, or `None` on TLS 1.2; asked only if an offer needs them.
    pub exporter: &'a dyn Fn() -> Option<Exporter>,
}

/// The subprotocols that a client offers, until the backend has chosen (section 6).
#[derive(Debug, Default)]
pub struct MessageOffers {
    choices: Vec<Agreement>,
    offered_to_backend: Vec<String>,
    refused: Vec<Refusal>,
}

impl Terms<'_> {
    /// Chooses the frame binding: the first offer that is acceptable. Otherwise why each was
    /// passed over; nothing at all if none was made, or the mode is `Off`.
    pub fn choose_frame(&self, extensions: &Extensions<'_>) -> Result<Agreement, Vec<Refusal>> {
        let mut refused = Vec::new();
        if self.mode == Mode::Off {
            return Err(refused);
        }
        for offer in extensions.offers.iter().take(OFFERS_LOOKED_AT) {
            match offer
                .as_ref()
                .map_err(|refusal| *refusal)
                .and_then(|offer| self.accept(offer))
            {
                Ok(keyed) => return Ok(Agreement::on_frames(keyed)),
                Err(refusal) => refused.push(refusal),
            }
        }
        if extensions.offers.len() > OFFERS_LOOKED_AT {
            refused.push(Refusal::TooMany);
        }
        Err(refused)
    }

    /// Sorts out the subprotocols: which the backend is offered, and what each of them leads to.
    /// Without a sealed one that is acceptable, the mode `Required` offers nothing.
    pub fn message_offers(&self, subprotocols: &[Subprotocol<'_>]) -> MessageOffers {
        let mut offers = MessageOffers::default();
        let mut looked_at = 0;
        for subprotocol in subprotocols {
            match subprotocol {
                Subprotocol::Plain(_) if self.mode == Mode::Required => {}
                Subprotocol::Plain(name) => offers.offer_to_backend(name),
                Subprotocol::Sealed(_) if self.mode == Mode::Off => {}
                Subprotocol::Sealed(sealed) => {
                    looked_at += 1;
                    offers.add(sealed, self.accept_name(sealed, looked_at));
                }
            }
        }
        offers
    }

    fn accept_name(
        &self,
        sealed: &SealedName<'_>,
        number: usize,
    ) -> Result<Option<Keyed>, Refusal> {
        match &sealed.offer {
            _ if number > OFFERS_LOOKED_AT => Err(Refusal::TooMany),
            Ok(offer) => self.accept(offer),
            Err(refusal) => Err(*refusal),
        }
    }

    /// Section 5: what makes an offer acceptable on these terms.
    fn accept(&self, offer: &Offer) -> Result<Option<Keyed>, Refusal> {
        if !self.algorithms.contains(&offer.algorithm()) {
            return Err(Refusal::AlgorithmNotAllowed);
        }
        match offer {
            Offer::Sha256 => Ok(None),
            Offer::HmacSha256(keyed) => self.accept_keyed(keyed).map(Some),
        }
    }

    fn accept_keyed(&self, offer: &KeyedOffer) -> Result<Keyed, Refusal> {
        let key = self
            .keyring
            .usable(offer.kid.as_str(), self.now)
            .map_err(Refusal::KeyUnusable)?;
        let shared = shared_key(key, offer.ephemeral)?;
        let exporter = offer.channel_binding.then(|| (self.exporter)());
        // Section 5: `cb` asked for is answered, or the offer passed over.
        if let Some(None) = exporter {
            return Err(Refusal::ChannelBindingUnavailable);
        }
        // The keyring's own kid, which is shared by all connections that use the key.
        let kid = key.kid.clone();
        let client_nonce = &offer.client_nonce;
        Ok(Keyed::derive(
            kid,
            client_nonce,
            self.server_nonce,
            &shared,
            exporter.flatten().as_ref(),
        ))
    }
}

fn shared_key(key: &Key, ephemeral: Option<[u8; 32]>) -> Result<SharedKey, Refusal> {
    match (&key.material, ephemeral) {
        (KeyMaterial::Secret(secret), None) => Ok(SharedKey::from_secret(secret)),
        (KeyMaterial::Secret(_), Some(_)) => Err(Refusal::EphemeralUnexpected),
        (KeyMaterial::X25519(_), None) => Err(Refusal::EphemeralMissing),
        (KeyMaterial::X25519(private), Some(ephemeral)) => {
            SharedKey::at_server(private, ephemeral).map_err(|_| Refusal::AllZero)
        }
    }
}

impl MessageOffers {
    /// The subprotocols to offer to the backend, each once, in the client's order; none: the
    /// field is left out.
    pub fn offered_to_backend(&self) -> &[String] {
        &self.offered_to_backend
    }

    /// Whether a sealed subprotocol is acceptable, if the backend chooses accordingly.
    pub fn any_acceptable(&self) -> bool {
        !self.choices.is_empty()
    }

    /// Why sealed subprotocols were passed over.
    pub fn refused(&self) -> &[Refusal] {
        &self.refused
    }

    /// What the backend can know for certain (section 8): there is one, if whatever it was
    /// offered leads to the same algorithm and key.
    pub fn backend_field(&self) -> Option<String> {
        let field = self.choices.first()?.backend_field();
        let same = self
            .choices
            .iter()
            .all(|choice| choice.backend_field() == field);
        let sealed = |name: &String| {
            let mut choices = self.choices.iter();
            choices.any(|choice| choice.application() == Some(name))
        };
        (same && self.offered_to_backend.iter().all(sealed)).then_some(field)
    }

    /// The first sealed subprotocol that carries what the backend chose (`None`: nothing). If
    /// there is none, the choice is a plain subprotocol, or one that was never offered.
    pub fn select(self, backend_choice: Option<&str>) -> Option<Agreement> {
        self.choices
            .into_iter()
            .find(|choice| choice.application() == backend_choice)
    }

    fn add(&mut self, sealed: &SealedName<'_>, accepted: Result<Option<Keyed>, Refusal>) {
        match accepted {
            Err(refusal) => self.refused.push(refusal),
            Ok(keyed) => {
                self.choices.push(Agreement::on_messages(
                    keyed,
                    sealed.text,
                    sealed.application,
                ));
                sealed
                    .application
                    .into_iter()
                    .for_each(|name| self.offer_to_backend(name));
            }
        }
    }

    fn offer_to_backend(&mut self, name: &str) {
        // RFC 6455 section 4.1: the names in the field are unique.
        if !self
            .offered_to_backend
            .iter()
            .any(|offered| offered == name)
        {
            self.offered_to_backend.push(name.to_owned());
        }
    }
}
