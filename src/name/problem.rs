//! Why a value of the configuration is refused.

use std::fmt;

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
