//! Verifies clients' chains: rustls' verifier, once for each set of CAs with names of their own.
//!
//! A CA that has changed its key keeps its name, and for a while both keys are trusted, each with
//! its own list. rustls finds the list of an issuer by the name alone, and would hold the list of
//! one key against the clients of the other. So such CAs are kept apart: a chain is good if one
//! set says so and none says that it is revoked.

use super::{
    ClientTrust, CrlPolicy,
    revocation::{self, RevocationList},
    trust::standing_of,
    verified::{Chain, VerifiedChains},
};
use crate::policy::judgement::Standing;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use std::{collections::HashMap, sync::Arc};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// Verifies chains against all sets; clones share them, because they hold every list.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    first: Arc<dyn ClientCertVerifier>,
    others: Arc<[Arc<dyn ClientCertVerifier>]>,
    verified: Arc<VerifiedChains>,
    mandatory: bool,
}

impl Verifier {
    /// A verifier that requires a certificate; `authorities` are CAs that rustls can use.
    pub(super) fn new(
        clients: &ClientTrust,
        provider: &Arc<CryptoProvider>,
        authorities: &[CertificateDer<'static>],
        lists: &[RevocationList],
    ) -> Result<Self, VerifierBuilderError> {
        let sets = sets(authorities);
        let count = sets.iter().max().map_or(1, |last| last + 1);
        let mut verifiers = (0..count).map(|set| {
            let of_set = |place: usize| sets.get(place) == Some(&set);
            let own = authorities.iter().zip(&sets);
            let own = own
                .filter(|(_, of)| **of == set)
                .map(|(der, _)| der.clone());
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(own);
            let mut relevant: Vec<_> = lists
                .iter()
                .filter(|list| list.authority.is_none_or(of_set))
                .collect();
            if relevant.is_empty() && clients.crl_missing == CrlPolicy::Refuse {
                // Without any list rustls would look for no revocation at all.
                relevant = lists.iter().collect();
            }
            build(clients, provider, roots, &relevant)
        });
        let first = verifiers
            .next()
            .ok_or(VerifierBuilderError::NoRootAnchors)??;
        Ok(Self {
            first,
            others: verifiers.collect::<Result<_, _>>()?,
            verified: Arc::new(VerifiedChains::new(lists_until(clients, lists))),
            mandatory: true,
        })
    }

    /// The same, but clients may come without a certificate.
    pub(super) fn optional(&self) -> Self {
        Self {
            mandatory: false,
            ..self.clone()
        }
    }

    /// The same, knowing the chains that `other` has verified with the same CAs, lists and policies.
    pub(super) fn knowing(self, other: &Self) -> Self {
        Self {
            verified: other.verified.clone(),
            ..self
        }
    }

    /// Whether it needs no signature to trust a chain.
    #[cfg(test)]
    pub(super) fn knows(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: i64,
    ) -> bool {
        self.verified.trusts(&Chain::new(leaf, rest), now)
    }

    /// Asks every set.
    fn ask(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Verified {
        let said = ask_one(&self.first, leaf, rest, now);
        self.others.iter().fold(said, |said, set| {
            let other = ask_one(set, leaf, rest, now);
            if weight(&other) > weight(&said) {
                other
            } else {
                said
            }
        })
    }
}

/// A list that another key has signed says nothing: the issuer's own is missing.
fn ask_one(
    set: &Arc<dyn ClientCertVerifier>,
    leaf: &CertificateDer<'_>,
    rest: &[CertificateDer<'_>],
    now: UnixTime,
) -> Verified {
    let said = set.verify_client_cert(leaf, rest, now);
    said.map_err(|error| match error {
        rustls::Error::InvalidCertRevocationList(_) => {
            CertificateError::UnknownRevocationStatus.into()
        }
        error => error,
    })
}

/// When the first list runs out, where clients are refused then; in seconds since 1970.
fn lists_until(clients: &ClientTrust, lists: &[RevocationList]) -> Option<i64> {
    let refused = clients.crl_expired == CrlPolicy::Refuse;
    let ends = revocation::current(lists).filter_map(|list| list.next_update);
    ends.min().filter(|_| refused)
}

/// The set of each CA: the first key of a name is in the first set, the second in the second.
fn sets(authorities: &[CertificateDer<'static>]) -> Vec<usize> {
    let mut keys: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
    let set = |der: &CertificateDer<'_>| {
        let Ok((_, authority)) = X509Certificate::from_der(der) else {
            return 0;
        };
        let name = authority.subject().as_raw().to_vec();
        let named = keys.entry(name).or_default();
        let key = authority.public_key().raw;
        let known = named.iter().position(|known| known == key);
        known.unwrap_or_else(|| {
            named.push(key.to_vec());
            named.len() - 1
        })
    };
    authorities.iter().map(set).collect()
}

fn build(
    clients: &ClientTrust,
    provider: &Arc<CryptoProvider>,
    roots: RootCertStore,
    lists: &[&RevocationList],
) -> Result<Arc<dyn ClientCertVerifier>, VerifierBuilderError> {
    let mut builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .with_crls(lists.iter().map(|list| list.der.clone()));
    if clients.crl_missing == CrlPolicy::Allow {
        builder = builder.allow_unknown_revocation_status();
    }
    if clients.crl_expired == CrlPolicy::Refuse {
        builder = builder.enforce_revocation_expiration();
    }
    builder.build()
}

type Verified = Result<ClientCertVerified, rustls::Error>;

/// What counts more of what two sets say: a revocation, then trust, then what tells most.
fn weight(verified: &Verified) -> u8 {
    match verified {
        Ok(_) => 6,
        Err(rustls::Error::InvalidCertificate(error)) => match standing_of(error) {
            Standing::Revoked => 7,
            Standing::Expired | Standing::NotYetValid => 5,
            Standing::StatusUnknown => 4,
            Standing::WrongPurpose => 3,
            Standing::Invalid | Standing::Trusted => 2,
            Standing::UnknownIssuer => 1,
        },
        Err(_) => 0,
    }
}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    /// Every name is in the first set.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.first.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Verified {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        let chain = Chain::new(leaf, rest);
        if self.verified.trusts(&chain, seconds) {
            return Ok(ClientCertVerified::assertion());
        }
        let verified = self.ask(leaf, rest, now);
        if verified.is_ok() {
            self.verified.keep(&chain, seconds);
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls12_signature(message, leaf, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.first.verify_tls13_signature(message, leaf, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.first.supported_verify_schemes()
    }
}
