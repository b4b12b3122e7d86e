//! Verifies clients' chains, and the signatures of those who show them.
//!
//! [`Paths`] says which chains are good; rustls asks here, and so does what judges an open
//! socket, a resumed session or a configuration (`tidegate explain`).

use super::{
    disguise::Disguised,
    path::{GoodPath, Paths},
    verified::{Chain, VerifiedChains},
};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{
        CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
    },
    pki_types::{CertificateDer, UnixTime},
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use std::{fmt, sync::Arc};
use x509_parser::{certificate::X509Certificate, prelude::FromDer, public_key::PublicKey};

/// Verifies chains; clones share what it holds.
#[derive(Clone, Debug)]
pub(super) struct Verifier {
    paths: Arc<Paths>,
    names: Arc<[DistinguishedName]>,
    algorithms: WebPkiSupportedAlgorithms,
    verified: Arc<VerifiedChains>,
    mandatory: bool,
}

/// A client's key that no handshake could be finished with.
#[derive(Clone, Debug, PartialEq, Eq)]
struct UnusableKey(String);

/// The RSA keys that the signatures of clients are verified with, in bits.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

impl Verifier {
    /// A verifier that requires a certificate.
    pub(super) fn new(paths: Paths, provider: &CryptoProvider) -> Self {
        Self {
            names: paths.names().into(),
            paths: Arc::new(paths),
            algorithms: provider.signature_verification_algorithms,
            verified: Arc::default(),
            mandatory: true,
        }
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
        self.verified.find(&Chain::new(leaf, rest), now).is_some()
    }

    /// The path from a client's certificate to a CA, at a time in seconds since 1970.
    pub(super) fn verify(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<GoodPath, Error> {
        let chain = Chain::new(leaf, rest);
        if let Some(path) = self.verified.find(&chain, now) {
            return Ok(path);
        }
        let path = self.paths.find(leaf, rest, now).map_err(error)?;
        self.check_key(leaf)?;
        self.verified.keep(&chain, now, path);
        Ok(path)
    }

    /// Whether a client can sign its handshake with the key of its certificate. Otherwise
    /// a handshake would report a wrong signature, and a caller without a handshake that all is well.
    fn check_key(&self, leaf: &CertificateDer<'_>) -> Result<(), Error> {
        let (_, leaf) =
            X509Certificate::from_der(leaf).map_err(|_| CertificateError::BadEncoding)?;
        let key = leaf.public_key();
        let fault = match key.parsed() {
            Ok(PublicKey::RSA(rsa)) if !RSA_BITS.contains(&bits(rsa.modulus)) => {
                format!("it is RSA of {} bits", bits(rsa.modulus))
            }
            _ if self.knows_algorithm(key.raw) => return Ok(()),
            _ => format!(
                "its algorithm or curve is not known ({})",
                key.algorithm.algorithm
            ),
        };
        let unusable = OtherError(Arc::new(UnusableKey(fault)));
        Err(CertificateError::Other(unusable).into())
    }

    fn knows_algorithm(&self, key: &[u8]) -> bool {
        let parts = super::der::Element::document(key).and_then(|key| key.children());
        let algorithm = parts.and_then(|parts| parts.first().map(|first| first.content));
        let mut known = self.algorithms.all.iter();
        known.any(|known| Some(known.public_key_alg_id().as_ref()) == algorithm)
    }
}

/// The length of a number without leading zeros.
fn bits(number: &[u8]) -> usize {
    let mut digits = number.iter().skip_while(|byte| **byte == 0);
    let first = digits.next().map_or(0, |byte| 8 - byte.leading_zeros());
    let first = usize::try_from(first).unwrap_or_default();
    first + 8 * digits.count()
}

/// What an error of rustls-webpki is to rustls, which chooses the alert by it.
fn error(error: webpki::Error) -> Error {
    use webpki::Error as E;
    let error = match error {
        E::BadDer | E::BadDerTime | E::TrailingData(_) => CertificateError::BadEncoding,
        E::CertNotValidYet { .. } => CertificateError::NotValidYet,
        E::CertExpired { .. } | E::InvalidCertValidity => CertificateError::Expired,
        E::UnknownIssuer => CertificateError::UnknownIssuer,
        E::CertRevoked => CertificateError::Revoked,
        E::UnknownRevocationStatus => CertificateError::UnknownRevocationStatus,
        E::CrlExpired { .. } => CertificateError::ExpiredRevocationList,
        E::InvalidSignatureForPublicKey => CertificateError::BadSignature,
        E::RequiredEkuNotFoundContext(_) => CertificateError::InvalidPurpose,
        E::UnsupportedSignatureAlgorithmContext(context) => {
            CertificateError::UnsupportedSignatureAlgorithmContext {
                signature_algorithm_id: context.signature_algorithm_id,
                supported_algorithms: context.supported_algorithms,
            }
        }
        E::UnsupportedSignatureAlgorithmForPublicKeyContext(context) => {
            CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext {
                signature_algorithm_id: context.signature_algorithm_id,
                public_key_algorithm_id: context.public_key_algorithm_id,
            }
        }
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    error.into()
}

impl fmt::Display for UnusableKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the key of the client's certificate cannot sign a handshake: {}; RSA of {} to {} bits, \
             ECDSA on P-256, P-384 and P-521, and Ed25519 can",
            self.0,
            RSA_BITS.start(),
            RSA_BITS.end()
        )
    }
}

impl std::error::Error for UnusableKey {}

impl ClientCertVerifier for Verifier {
    fn client_auth_mandatory(&self) -> bool {
        self.mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &self.names
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let seconds = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        self.verify(leaf, rest, seconds)?;
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let leaf = Disguised::new(leaf);
        verify_tls12_signature(message, &leaf.shown, signed, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let leaf = Disguised::new(leaf);
        verify_tls13_signature(message, &leaf.shown, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
