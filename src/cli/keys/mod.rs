//! `tidegate keys`: the keyring of frame integrity.
//!
//! A key's life: `generate` makes it, and clients are given its secret or its public part;
//! `retire` keeps new connections from it; `list` shows when no socket uses it any more; `destroy`
//! removes it. `revoke` ends the sockets that use it at once, and so does `destroy`. The proxy takes
//! up each change by itself, unless `server.watch` is false.

mod arguments;
mod edit;
mod error;
mod file;
mod list;
mod locate;
#[cfg(test)]
mod tests;

use crate::integrity::keyring::KeyState;
use locate::Place;
use std::{io::Write, path::Path};
use time::OffsetDateTime;

pub use arguments::{
    DestroyArguments, GenerateArguments, KeyArguments, KeysArguments, KeysCommand,
};
pub use error::KeysError;

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
