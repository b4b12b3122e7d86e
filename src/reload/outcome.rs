//! What became of a reload.

use super::{changes::Difference, review::Touched};
use crate::{config::Diagnostic, observe::ReloadResult};

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing differs from what is in use.
    Unchanged {
        /// The generation in use.
        generation: u64,
    },
    /// The new configuration is in use, or would be: it was a preview.
    Done {
        /// The generation in use from now on.
        generation: u64,
        /// What differs.
        changes: Vec<Difference>,
        /// Open sockets that no longer pass.
        touched: Vec<Touched>,
        /// What is allowed, and probably not meant.
        warnings: Vec<Diagnostic>,
    },
    /// The old configuration stays in use.
    Failed {
        /// Why.
        problems: Vec<Diagnostic>,
    },
}

impl Outcome {
    /// The outcome in one word.
    pub fn result(&self) -> ReloadResult {
        match self {
            Self::Unchanged { .. } => ReloadResult::Unchanged,
            Self::Done { .. } => ReloadResult::Ok,
            Self::Failed { .. } => ReloadResult::Failed,
        }
    }
}
