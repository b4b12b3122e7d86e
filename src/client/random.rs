//! Bytes that nobody can guess.

use super::error::ClientError;

/// Fills `bytes` from the system's source.
pub(super) fn fill(bytes: &mut [u8]) -> Result<(), ClientError> {
    aws_lc_rs::rand::fill(bytes)
        .map_err(|_| ClientError::Argument("the system returned no random bytes".to_owned()))
}
