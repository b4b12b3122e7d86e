//! Keys of frame integrity that a keyring no longer vouches for, and the sockets whose tags depend
//! on them.

use super::review::Withdrawn;
use crate::{ending::SocketEnding, integrity::keyring::Keyring, roster::sockets::Connections};

/// Open sockets whose tags depend on a key of `old` that `new` has revoked, or has no more.
pub(super) fn withdrawn(connections: &Connections, old: &Keyring, new: &Keyring) -> Vec<Withdrawn> {
    let entries = connections.all().into_iter();
    let open = entries.filter(|entry| entry.order().is_none());
    let withdrawn = open.filter_map(|entry| {
        let kid = entry.description.kid()?;
        let why = new.check_kept(kid, old).err()?;
        let detail = format!("key {kid} {why}");
        Some(Withdrawn::new(
            entry,
            SocketEnding::IntegrityKeyRevoked,
            detail,
        ))
    });
    withdrawn.collect()
}
