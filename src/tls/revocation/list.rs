//! A certificate revocation list as read (RFC 5280 section 5).

use super::scope::Scope;
use rustls::pki_types::CertificateRevocationListDer;
use std::path::PathBuf;
use webpki::CertRevocationList;

/// A list, and whose it is.
#[derive(Debug)]
pub(in crate::tls) struct RevocationList {
    pub(in crate::tls) der: CertificateRevocationListDer<'static>,
    /// The key of the trusted CA that signed it; `None`: an intermediate's.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) path: PathBuf,
    pub(super) issuer: Issuer,
    pub(super) scope: Scope,
    /// Whether it holds what has changed since another list (RFC 5280 section 5.2.4).
    pub(super) is_delta: bool,
    /// What stands on it, by serial number.
    pub(super) revoked: CertRevocationList<'static>,
    pub(super) this_update: i64,
    /// When it runs out, in seconds since 1970.
    pub(super) next_update: i64,
    /// The CRL number (RFC 5280 section 5.2.3) without leading zeros, its length first.
    pub(super) number: (usize, Vec<u8>),
}

/// In whose name a list is.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Issuer {
    /// DER.
    pub(super) name: Vec<u8>,
    /// For people.
    pub(super) text: String,
}
