//! TLS towards the clients: credentials, trust, and the stream that carries records.

use crate::{
    credential::{CertificateFiles, pair::FileSource},
    policy::ClientCertMode,
};
use std::{path::PathBuf, time::Duration};

mod authorities;
pub mod client;
mod constraints;
mod contents;
mod der;
mod disguise;
mod exporter;
mod path;
mod revocation;
pub mod session;
pub mod stream;
pub mod tickets;
pub mod trust;
pub mod verified;
mod verifier;
pub mod words;

pub use contents::Contents;
pub use path::GoodPath;
pub use revocation::{Listing, listings};

/// The `[tls]` table, checked; paths are absolute or relative to the working directory.
#[derive(Clone, Debug, PartialEq)]
pub struct TlsSettings {
    /// Certificates by SNI; the first is the default.
    pub certificates: Vec<CertificateFiles>,
    /// The lowest TLS version accepted.
    pub min_version: MinVersion,
    /// How clients authenticate.
    pub clients: ClientTrust,
    /// Whether a key file that others may read is a warning (`true`) or an error.
    pub allow_readable_keys: bool,
    /// File with the keys of session tickets, to share with other proxies; `None`: own keys.
    pub ticket_keys: Option<PathBuf>,
}

impl TlsSettings {
    /// Where its credentials come from, the default first.
    pub fn sources(&self) -> impl Iterator<Item = FileSource<'_>> {
        self.certificates.iter().map(|files| FileSource {
            files,
            allow_readable: self.allow_readable_keys,
        })
    }
}

/// The lowest TLS version accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinVersion {
    /// TLS 1.2 (RFC 5246) and 1.3.
    Tls12,
    /// TLS 1.3 (RFC 8446) only.
    Tls13,
}

/// The `[tls.clients]` table.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTrust {
    /// Default for listeners and routes that say nothing.
    pub mode: ClientCertMode,
    /// PEM files with trusted CAs.
    pub ca: Vec<PathBuf>,
    /// PEM or DER files with CRLs; empty: no revocation check.
    pub crl: Vec<PathBuf>,
    /// What an issuer without a CRL means.
    pub crl_missing: CrlPolicy,
    /// What a CRL past its nextUpdate means.
    pub crl_expired: CrlPolicy,
    /// Open sockets that a reload takes the trust from are closed evenly over this.
    pub close_spread: Duration,
}

/// What to do where no list says whether a certificate is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrlPolicy {
    /// The certificate is refused.
    Refuse,
    /// The certificate is accepted.
    Allow,
}
