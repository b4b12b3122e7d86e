//! What `tidegate keys` takes.

use crate::{
    cli::{admin::AdminArgs, arguments::CONFIG},
    integrity::keyring::{KeyKind, Kid},
};
use clap::{Args, Subcommand};
use std::path::PathBuf;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// The arguments of `tidegate keys`.
#[derive(Args, Clone, Debug)]
pub struct KeysArguments {
    /// The keyring [default: what the configuration names, else certs/keyring.toml beside it]
    #[arg(long, global = true, value_name = "FILE")]
    pub keyring: Option<PathBuf>,
    /// The configuration that names the keyring [default: proxy.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE", env = CONFIG)]
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

fn parse_time(text: &str) -> Result<OffsetDateTime, String> {
    OffsetDateTime::parse(text, &Rfc3339)
        .map_err(|_| "write it as RFC 3339 does, for example 2026-11-01T00:00:00Z".to_owned())
}
