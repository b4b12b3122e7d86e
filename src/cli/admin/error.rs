//! Why a running proxy did not do what it was asked.

use crate::config::NoAdminAddress;
use std::{io, net::SocketAddr, path::PathBuf};

/// Why there is no outcome.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its variant is")]
pub enum AdminError {
    #[error(
        "no admin address is known: {0}; name the running proxy's configuration with --config FILE, or its admin listener with --admin ADDRESS"
    )]
    NoAddress(#[from] NoAdminAddress),
    #[error(
        "{text:?} is not the address of an admin listener ({error}); write it as 127.0.0.1:9090"
    )]
    Address { text: String, error: io::Error },
    #[error("no tidegate answers on {address}: {reason}; is it running with an [admin] table?")]
    Unreachable { address: SocketAddr, reason: String },
    #[error(
        "the answer of {address} broke off ({reason}); is it the admin listener of a tidegate?"
    )]
    Broken { address: SocketAddr, reason: String },
    #[error(
        "{address} is not the admin listener of a tidegate: it answered {answer}; name that listener with --admin ADDRESS"
    )]
    Foreign { address: SocketAddr, answer: String },
    #[error("the tidegate on {address} refused: {detail}")]
    Refused { address: SocketAddr, detail: String },
    #[error("no open socket matches {which}; `tidegate connections` lists those that are open")]
    NoSocket { which: String },
    #[error(
        "the token file {path:?} cannot be used: {reason}; give a file that holds the token of the proxy's admin.token_file, and nothing else"
    )]
    Token { path: PathBuf, reason: String },
    #[error("the answer cannot be printed: {0}")]
    Output(#[from] io::Error),
}

impl AdminError {
    /// The exit code of the process.
    pub const fn code(&self) -> u8 {
        match self {
            Self::NoAddress(_) | Self::Address { .. } | Self::Token { .. } => 2,
            _ => 1,
        }
    }
}
