//! Why a request is refused before any route is looked at.

use std::{borrow::Cow, fmt};

/// The class decides the status; the sentence says what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// Not a valid HTTP/1.1 request, or not a valid opening handshake: 400.
    Malformed(Cow<'static, str>),
    /// More bytes or fields than a header section may have: 431.
    TooLarge(Cow<'static, str>),
    /// A valid request that does not ask for a WebSocket: 426.
    NotWebSocket(Cow<'static, str>),
    /// A request for a WebSocket of another version than 13: 426.
    Version(Cow<'static, str>),
}

impl RequestError {
    /// One sentence for the refusal's detail and the log; it holds no control characters and
    /// little of what the peer sent.
    pub fn detail(&self) -> &str {
        match self {
            Self::Malformed(detail)
            | Self::TooLarge(detail)
            | Self::NotWebSocket(detail)
            | Self::Version(detail) => detail,
        }
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.detail())
    }
}

impl std::error::Error for RequestError {}

/// Shorthand for the commonest class.
pub(crate) fn malformed<T>(detail: impl Into<Cow<'static, str>>) -> Result<T, RequestError> {
    Err(RequestError::Malformed(detail.into()))
}

/// What the peer sent, fit for a sentence: escaped, quoted, and cut.
pub(crate) fn shown(found: &[u8]) -> String {
    const LONGEST: usize = 64;
    match found.split_at_checked(LONGEST) {
        Some((start, rest)) if !rest.is_empty() => format!("\"{}…\"", start.escape_ascii()),
        _ => format!("\"{}\"", found.escape_ascii()),
    }
}
