//! Who a client is, by its certificates.

use crate::policy::{
    identity::{Identity, IdentityError, common_validity},
    judgement::Standing,
};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;

/// Who the client is, by certificate.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its certificate's names; `None`: it sent no certificate.
    pub identity: Option<Arc<Identity>>,
    /// The earliest end of validity in its chain, in seconds since 1970.
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

    /// A client with this chain, leaf first, taken as trusted.
    pub fn read(chain: &[CertificateDer<'static>]) -> Result<Self, IdentityError> {
        let leaf = chain.first().ok_or(IdentityError::Malformed)?;
        let validity = common_validity(chain.iter().map(AsRef::as_ref))?;
        Ok(Self {
            identity: Some(Arc::new(Identity::from_der(leaf)?)),
            not_after: validity.map(|common| *common.end()),
            chain: chain.into(),
            standing: Standing::Trusted,
        })
    }

    /// Whether CAs and CRLs have nothing against it.
    pub fn is_trusted(&self) -> bool {
        self.standing == Standing::Trusted
    }
}
