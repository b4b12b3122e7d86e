//! Why there was no conversation, or why it broke off.

use crate::{client::ClientError, credential::MaterialError};
use std::{io, time::Duration};

/// How long the server may take to answer our Close.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Why there was no conversation, or why it broke off.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// An argument or a file that it names cannot be used.
    #[error("{0}")]
    Argument(String),
    /// The connection failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server did not answer the Close.
    #[error("the server did not answer the Close within {} seconds", CLOSE_TIMEOUT.as_secs())]
    NoClose,
    /// Input or output of this program failed.
    #[error("cannot read the input or write the output: {0}")]
    Local(#[from] io::Error),
}

impl From<MaterialError> for ConnectError {
    fn from(error: MaterialError) -> Self {
        Self::Argument(error.to_string())
    }
}
