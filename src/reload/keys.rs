//! Revoked keys of frame integrity, and the sockets whose tags depend on them.

use super::Touched;
use crate::{
    ending::Ending,
    integrity::keyring::Keyring,
    lifecycle::connections::{Connections, Entry},
};
use std::sync::Arc;

/// Open sockets whose tags depend on a key that `keyring` calls revoked.
pub(super) fn depending(connections: &Connections, keyring: &Keyring) -> Vec<Arc<Entry>> {
    let depends = |entry: &Arc<Entry>| {
        let sealing = entry.description.integrity.as_ref();
        let kid = sealing.and_then(|sealing| sealing.kid.as_deref());
        kid.is_some_and(|kid| keyring.is_revoked(kid))
    };
    connections.all().into_iter().filter(depends).collect()
}

/// Ends them at once: whoever has the key can forge what they carry.
pub(super) fn end(entries: &[Arc<Entry>]) {
    for entry in entries {
        entry.end(Ending::IntegrityKeyRevoked);
    }
}

/// What is told of them.
pub(super) fn touched(entries: &[Arc<Entry>]) -> impl Iterator<Item = Touched> {
    entries.iter().map(|entry| Touched {
        id: entry.id,
        ending: Ending::IntegrityKeyRevoked,
    })
}
