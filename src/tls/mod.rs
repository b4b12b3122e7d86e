//! TLS towards the clients: credentials, trust, and the stream that carries records.

use crate::policy::ClientCertMode;
use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

pub mod credentials;
mod exporter;
pub mod files;
mod revocation;
pub mod session;
pub mod stream;
pub mod tickets;
pub mod trust;
pub mod verified;
mod verifier;

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

/// One certificate chain and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFiles {
    /// PEM file with the chain, leaf first.
    pub chain: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
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

/// What to do where revocation cannot be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrlPolicy {
    /// The certificate is refused.
    Refuse,
    /// The certificate is accepted.
    Allow,
}

/// A file that cannot be used: which, what was found in it, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterialError {
    /// The file, as the configuration names it.
    pub path: PathBuf,
    /// What was found.
    pub message: String,
    /// What was expected, or what to do next.
    pub hint: String,
}

impl MaterialError {
    /// An error about `path`.
    pub fn new(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for MaterialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {}; {}",
            self.path.display(),
            self.message,
            self.hint
        )
    }
}

impl std::error::Error for MaterialError {}
