//! `tidegate keys`: the keyring of frame integrity.
//!
//! A key's life: `generate` makes it, and clients are given its secret or its public part;
//! `retire` keeps new connections from it; `list` tells when no socket uses it any more; `destroy`
//! removes it. `revoke` ends the sockets that use it at once, and so does `destroy`. The proxy takes
//! up each change by itself, unless `server.watch` is false.

mod edit;
mod file;
mod list;
mod locate;
#[cfg(test)]
mod tests;

use super::admin::{AdminArgs, AdminError};
use crate::{
    config::Diagnostic,
    integrity::{
        ValueError,
        keyring::{KeyKind, KeyState, Kid},
    },
};
use clap::{Args, Subcommand};
use locate::Place;
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The arguments of `tidegate keys`.
#[derive(Args, Clone, Debug)]
pub struct KeysArguments {
    /// The keyring [default: what the configuration names, else certs/keyring.toml beside it]
    #[arg(long, global = true, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// The configuration that names the keyring [default: proxy.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = super::CONFIG)]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    #[allow(missing_docs, reason = "clap would print it as a help text")]
    pub command: KeysCommand,
}

/// What `tidegate keys` can do.
#[derive(Clone, Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key, and the keyring if there is none
    Generate(GenerateArguments),
    /// Show the keys, and how many sockets use each
    List(AdminArgs),
    /// Let running connections go on with a key, and no new ones begin
    Retire(KeyArguments),
    /// End all connections that use a key, at once
    Revoke(KeyArguments),
    /// Remove a key that was retired or revoked, and overwrite it
    Destroy(DestroyArguments),
    /// Print the public part of a key of kind x25519, for clients
    Public(KeyArguments),
}

/// The arguments of `tidegate keys generate`.
#[derive(Args, Clone, Debug)]
pub struct GenerateArguments {
    /// Id of the new key: 1 to 64 characters of A-Z a-z 0-9 . _ -
    pub kid: Kid,
    /// secret: shared with the client; x25519: nothing secret is distributed
    #[arg(long, default_value = "secret", value_name = "KIND")]
    pub kind: KeyKind,
    /// When new connections may first use it, as in 2026-11-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub not_before: Option<OffsetDateTime>,
    /// From when on they may not any more
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    pub not_after: Option<OffsetDateTime>,
    /// Print the secret, once, to be given to the clients
    #[arg(long)]
    pub show: bool,
}

/// Which key.
#[derive(Args, Clone, Debug)]
pub struct KeyArguments {
    /// The key's id
    pub kid: Kid,
}

/// The arguments of `tidegate keys destroy`.
#[derive(Args, Clone, Debug)]
pub struct DestroyArguments {
    /// The key's id
    pub kid: Kid,
    /// Even if new connections may still use it, or open sockets do, which end with 1008
    #[arg(long)]
    pub force: bool,
}

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
    /// The system gives no random bytes.
    #[error("the system gives no random bytes; no key was made")]
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

/// Makes a keyring with one active shared secret; for `tidegate certs init`.
pub(super) fn make(path: &Path, kid: &str) -> Result<(), KeysError> {
    edit::make(path, kid)
}

/// Runs a command; what a person or a machine reads goes to `output`.
pub fn run(arguments: &KeysArguments, output: &mut impl Write) -> Result<(), KeysError> {
    let place = Place::find(arguments.keyring.as_deref(), arguments.config.as_deref())?;
    let now = OffsetDateTime::now_utc().unix_timestamp();
    match &arguments.command {
        KeysCommand::Generate(arguments) => edit::generate(&place, arguments, now, output),
        KeysCommand::List(arguments) => list::list(&place, arguments, now, output),
        KeysCommand::Retire(key) => edit::set_state(&place, key, KeyState::Retiring, output),
        KeysCommand::Revoke(key) => edit::set_state(&place, key, KeyState::Revoked, output),
        KeysCommand::Destroy(arguments) => edit::destroy(&place, arguments, output),
        KeysCommand::Public(key) => edit::public(&place, key, output),
    }
}

fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "write it as RFC 3339 does, for example 2026-11-01T00:00:00Z".to_owned())
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
