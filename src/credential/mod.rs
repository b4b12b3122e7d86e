//! Certificates and keys as they are kept: read, checked, chosen by name.

pub mod file;
pub mod pair;
pub mod pem;
pub mod private_key;
pub mod source;
pub mod store;
use std::{
    fmt,
    path::{Path, PathBuf},
};

/// One certificate chain and its key.
#[derive(Clone, Debug, PartialEq)]
pub struct CertificateFiles {
    /// PEM file with the chain, leaf first.
    pub chain: PathBuf,
    /// PEM file with the private key.
    pub key: PathBuf,
}

/// What cannot be used: where it is, what was found there, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaterialError {
    /// The file or other place, as the configuration names it.
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
