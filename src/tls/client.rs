//! Who a client is, by its certificates.

use super::{GoodPath, trust::standing_after};
use crate::policy::{
    identity::{Identity, IdentityError},
    judgement::Standing,
};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// Who the client is, by certificate.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its certificate's names; `None`: it sent no certificate.
    pub identity: Option<Arc<Identity>>,
    /// When the first certificate of the path to a trusted CA ends, in seconds since 1970.
    pub not_after: Option<i64>,
    /// Its chain, leaf first.
    pub chain: Chain,
    /// What CAs and CRLs say of the chain; of no meaning where there is none.
    pub standing: Standing,
}

/// A chain that its connections share, leaf first.
pub type Chain = Arc<[CertificateDer<'static>]>;

impl Client {
    /// A client that sent no certificate.
    pub fn anonymous() -> Self {
        Self {
            identity: None,
            not_after: None,
            chain: Arc::new([]),
            standing: Standing::Trusted,
        }
    }

    /// A client with this chain, leaf first, of whom nobody has said anything yet.
    pub fn read(chain: &[CertificateDer<'static>]) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::Malformed)?;
        Ok(Self {
            identity: Some(Arc::new(Identity::from_der(leaf)?)),
            not_after: None,
            chain: chain.into(),
            standing: Standing::UnknownIssuer,
        })
    }

    /// The same client, of whom CAs and CRLs have said this.
    #[must_use]
    pub fn judged(self, said: Result<GoodPath, rustls::Error>) -> Self {
        let (standing, not_after) = match said {
            Ok(path) => (Standing::Trusted, Some(path.not_after)),
            Err(error) => (standing_after(&error), None),
        };
        Self {
            not_after,
            standing,
            ..self
        }
    }

    /// Whether CAs and CRLs have nothing against it.
    pub fn is_trusted(&self) -> bool {
        self.standing == Standing::Trusted
    }
}
