//! When certificates, CRLs and keys end.

use super::{
    label::closed_set,
    series::{self, Family},
};
use prometheus::proto::MetricFamily;
use std::collections::BTreeMap;

closed_set! {
    /// What it is that expires.
    ExpiryKind {
        /// A certificate that the proxy shows to clients.
        Server "server"
        /// A CA that client certificates may come from.
        ClientCa "client_ca"
        /// A certificate revocation list.
        Crl "crl"
        /// A key of the integrity keyring.
        IntegrityKey "integrity_key"
    }
}

/// One thing of the configuration that expires.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// What it is.
    pub kind: ExpiryKind,
    /// Its name in the configuration: a path or a key id.
    pub name: String,
    /// The last second at which it is valid, in Unix time.
    pub unix: i64,
}

/// The family of `expiries`. Of several with one name (a file with many CAs), the first to end is told.
pub(super) fn collect(expiries: &[Expiry]) -> MetricFamily {
    let mut earliest = BTreeMap::new();
    for expiry in expiries {
        let unix = earliest
            .entry((expiry.kind, &expiry.name))
            .or_insert(expiry.unix);
        *unix = expiry.unix.min(*unix);
    }
    let mut family = Family::new(series::EXPIRES);
    for ((kind, name), unix) in earliest {
        family.add(&[kind.label(), name], seconds(unix));
    }
    family.finish()
}

#[allow(
    clippy::cast_precision_loss,
    reason = "exact for 285 million years, and the exposition format has no integers"
)]
const fn seconds(unix: i64) -> f64 {
    unix as f64
}
