//! Why a command about keys failed.

use crate::{cli::admin::AdminError, config::Diagnostic, integrity::ValueError};
use std::{io, path::PathBuf};

/// Why a command failed. No secret is in it.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The configuration or the keyring has problems.
    #[error("{}", listed(.0))]
    Problems(Vec<Diagnostic>),
    /// What was asked for cannot be done with this keyring.
    #[error("{0}")]
    Argument(String),
    /// A file could not be read or written.
    #[error("cannot {verb} {}: {source}; check the file, its folder and who runs this", .path.display())]
    File {
        /// What was to be done.
        verb: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The system has no random bytes.
    #[error("the system returned no random bytes; no key was made")]
    Random,
    /// The admin listener that was named does not answer.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl KeysError {
    /// The exit code of the process.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Problems(_) | Self::Argument(_) => 2,
            Self::Admin(error) => error.code(),
            _ => 1,
        }
    }
}

fn listed(problems: &[Diagnostic]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

impl From<ValueError> for KeysError {
    fn from(error: ValueError) -> Self {
        Self::Argument(error.to_string())
    }
}
