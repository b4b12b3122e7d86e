//! Why a command about certificates failed.

use crate::cli::keys::KeysError;
use std::{io, path::PathBuf};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CertsError {
    /// Files that would be overwritten.
    #[error("{} there already; nothing was written. {advice}", listed(.files))]
    Exists {
        /// The files.
        files: Vec<PathBuf>,
        /// What to do instead.
        advice: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}: {source}. {advice}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
        /// What to do.
        advice: &'static str,
    },
    /// A file or folder could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: {problem}", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What was found, and what is expected.
        problem: String,
    },
    /// An argument cannot be used.
    #[error("{0}")]
    Argument(String),
    /// The certificate library refused; what was asked for is in the message.
    #[error("cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The keyring could not be made.
    #[error(transparent)]
    Keyring(#[from] KeysError),
    /// The output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CertsError {
    /// The exit code of the process.
    pub const fn code(&self) -> u8 {
        match self {
            Self::Write { .. } | Self::Sign(_) | Self::Output(_) => 1,
            Self::Keyring(error) => error.code(),
            Self::Exists { .. } | Self::Read { .. } | Self::Content { .. } | Self::Argument(_) => 2,
        }
    }
}

fn listed(files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", names.join(", "))
}
