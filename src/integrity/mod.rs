//! Frame Integrity, version 1: tags on frames and messages. Pure: bytes and keys come in as
//! arguments, tags and verdicts go out.
//!
//! ```text
//!  keyring ──┐
//!  offer ────┴─► negotiate ─► Agreement ─► schedule ─► seal     what the server does
//!  client ─────────────────► Agreement ──────────────► seal     what the client does
//! ```
//!
//! With `sha-256` a tag notices accidents alone: a peer that can change a payload can recompute its
//! hash. With `hmac-sha-256` it notices change, injection, replay, re-ordering and dropping by
//! anyone who does not hold the key.

use std::{fmt, str::FromStr};

pub mod agreement;
pub mod base64url;
pub mod client;
mod grammar;
pub mod keyring;
pub mod negotiate;
pub mod offer;
pub mod schedule;
pub mod seal;
mod seal_close;
pub mod seal_message;
pub mod subprotocol;

#[cfg(test)]
mod tests;

/// Length of a tag in bytes; a tag is never truncated (section 4).
pub const TAG_LENGTH: usize = 32;

/// Length of a tag written as base64url, as texts and Closes of the message binding carry it.
pub const TAG_TEXT_LENGTH: usize = 43;

/// The name of the extension (section 5).
pub const EXTENSION_NAME: &str = "frame-integrity";

/// A tag: SHA-256 or HMAC-SHA-256 of one sealed unit.
pub type Tag = [u8; TAG_LENGTH];

/// Whether a route's sockets are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Never negotiated.
    Off,
    /// Sealed if the client offers it.
    Optional,
    /// As `Optional`, but a mismatch is counted and logged, and the data forwarded.
    Report,
    /// A handshake without an acceptable offer is refused.
    Required,
}

/// How a tag is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `sha-256`: notices accidents only.
    Sha256,
    /// `hmac-sha-256`: notices deliberate change too.
    HmacSha256,
}

/// Where the tags are (section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Binding {
    /// An extension: on every data frame, fragments included, and on the Close frame.
    Frame,
    /// A subprotocol: on every message and on the Close.
    Message,
}

/// What became of one unit: the metric label `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Received, and its tag matched.
    Ok,
    /// Received, and its tag did not match.
    Mismatch,
    /// Received, and too short to hold a tag.
    Missing,
    /// Sent with a tag.
    Sealed,
}

/// Why a received unit is refused (section 7). Shown as the reason of the Close with code 1008.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Failure {
    /// The tag does not match.
    Mismatch,
    /// The unit is too short to hold a tag.
    Missing,
}

/// Why a value of the configuration or of the keyring was refused: what it is, and what to write
/// instead. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    /// What is wrong with the value.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

impl Mode {
    /// Every mode, from the least strict to the strictest.
    pub const ALL: [Self; 4] = [Self::Off, Self::Optional, Self::Report, Self::Required];

    /// The mode as the configuration writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Optional => "optional",
            Self::Report => "report",
            Self::Required => "required",
        }
    }
}

impl Algorithm {
    /// Every algorithm, the stronger first.
    pub const ALL: [Self; 2] = [Self::HmacSha256, Self::Sha256];

    /// The algorithm as `alg` writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sha256 => "sha-256",
            Self::HmacSha256 => "hmac-sha-256",
        }
    }

    /// The algorithm that `alg` names, spelt exactly.
    fn named(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.label() == text)
    }
}

impl Binding {
    /// The binding as the field `Frame-Integrity` writes it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Frame => "frame",
            Self::Message => "message",
        }
    }
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Mismatch, Self::Missing, Self::Sealed];

    /// The value of the metric label `result`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Mismatch => "mismatch",
            Self::Missing => "missing",
            Self::Sealed => "sealed",
        }
    }
}

impl Failure {
    /// The value of the metric label `result`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Mismatch => Outcome::Mismatch.label(),
            Self::Missing => Outcome::Missing.label(),
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Mismatch => Self::Mismatch,
            Failure::Missing => Self::Missing,
        }
    }
}

impl ValueError {
    fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let (message, hint) = (message.into(), hint.into());
        Self { message, hint }
    }

    fn not_one_of(what: &str, found: &str, allowed: &[&str]) -> Self {
        let message = format!("{found:?} is not {what}");
        Self::new(message, format!("write one of {}", allowed.join(", ")))
    }
}

impl FromStr for Mode {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::ALL
            .into_iter()
            .find(|mode| mode.label() == text)
            .ok_or_else(|| {
                ValueError::not_one_of("an integrity mode", text, &Self::ALL.map(Self::label))
            })
    }
}

impl FromStr for Algorithm {
    type Err = ValueError;
    fn from_str(text: &str) -> Result<Self, ValueError> {
        Self::named(text).ok_or_else(|| {
            ValueError::not_one_of("an integrity algorithm", text, &Self::ALL.map(Self::label))
        })
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{EXTENSION_NAME}: {}", self.label())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.message, self.hint)
    }
}

impl std::error::Error for Failure {}

impl std::error::Error for ValueError {}
