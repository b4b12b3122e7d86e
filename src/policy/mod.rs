//! Who may do what: pure decisions about identities, hosts, routes, origins and requests.
//!
//! Nothing here does IO, reads a clock or draws randomness; times come in as arguments.

use std::fmt;

pub mod access;
pub mod fields;
pub mod handshake;
pub mod host;
pub mod identity;
pub mod judgement;
pub mod origin;
pub mod path;
pub mod rate;
mod reading;
pub mod request;
pub mod route;
pub mod spelling;

/// Whether a client has to show a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientCertMode {
    /// The handshake does not ask for one.
    Off,
    /// The handshake asks for one; a client without one goes on as anonymous.
    Optional,
    /// A client without a valid one is refused.
    Required,
}

/// Why a value of the configuration was refused: what it is, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatternError {
    /// What is wrong with the value.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl PatternError {
    /// An error from what is wrong and what to write instead.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: hint.into(),
        }
    }
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl std::error::Error for PatternError {}
