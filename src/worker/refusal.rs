//! Why a connection or a request is turned away, as its stage's ending.

use crate::ending::{Ending, RequestEnding};
use std::fmt::Display;

/// Why a connection does not become a socket, by an ending of the stage that it had come to.
#[derive(Clone, Debug)]
pub struct Refusal<E = RequestEnding> {
    /// The reason.
    pub ending: E,
    /// More than the reason says, for the log and, unless private, for the client.
    pub detail: Option<String>,
    /// Whether the detail names what only operators should know.
    pub private: bool,
}

impl<E: Ending> Refusal<E> {
    /// A refusal that says more than its reason.
    pub fn new(ending: E, detail: impl Display) -> Self {
        Self {
            ending,
            detail: Some(detail.to_string()),
            private: false,
        }
    }

    /// Keeps the detail from the client.
    #[must_use]
    pub fn private(mut self) -> Self {
        self.private = true;
        self
    }
}

impl<E: Ending> From<E> for Refusal<E> {
    fn from(ending: E) -> Self {
        Self {
            ending,
            detail: None,
            private: false,
        }
    }
}
