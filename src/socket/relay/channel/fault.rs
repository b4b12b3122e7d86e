//! Why a direction cannot be followed any further.

use crate::{
    frame::{Violation, close},
    integrity::Failure,
};

/// Why a direction cannot be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A rule of RFC 6455, or a limit.
    Violation(Violation),
    /// A tag.
    Integrity(Failure),
    /// A text whose payload was read and is not UTF-8 (RFC 6455 section 8.1).
    NotUtf8,
    /// The sequence numbers of a sealed direction are used up.
    Exhausted,
}

impl From<Violation> for Fault {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl Fault {
    /// The close code that tells the sender of it.
    pub fn code(self) -> u16 {
        match self {
            Self::Violation(violation) => violation.code(),
            Self::Integrity(_) => close::POLICY_VIOLATION,
            Self::NotUtf8 => close::INVALID_FRAME_PAYLOAD_DATA,
            Self::Exhausted => close::INTERNAL_ERROR,
        }
    }

    /// One sentence, for the Close and the log.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Violation(violation) => violation.sentence(),
            Self::Integrity(Failure::Mismatch) => "frame-integrity: mismatch",
            Self::Integrity(Failure::Missing) => "frame-integrity: missing",
            Self::NotUtf8 => "text that is not UTF-8 (RFC 6455 8.1)",
            Self::Exhausted => "frame-integrity: sequence numbers used up",
        }
    }
}
