//! Chains that were found to be trusted, so that a client that comes back costs no signature.
//!
//! Under one set of CAs and CRLs a verdict changes with time alone: a certificate of the path that
//! was found or a list runs out. So a chain that was trusted at one time is trusted until the first
//! of them does. Nothing else is kept: a refusal is found again each time, and a
//! client that shows a chain still has to prove that it has the key.

use super::path::GoodPath;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    iter::once,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Chains that are kept at most, in about 400 KiB; one more, and all are verified again.
const CHAINS_MAX: usize = 4096;

/// The chains that are trusted under one set of CAs and CRLs, and when.
#[derive(Debug, Default)]
pub(super) struct VerifiedChains {
    trusted: Mutex<HashMap<[u8; 32], Known>>,
}

/// A chain that was verified.
#[derive(Debug)]
struct Known {
    /// In seconds since 1970: from when it was verified to when it has to be again.
    good: Range<i64>,
    path: GoodPath,
}

/// One chain that is being looked at.
pub(super) struct Chain {
    digest: [u8; 32],
}

impl VerifiedChains {
    /// The path of a chain, if it is known to be good at `now`.
    pub(super) fn find(&self, chain: &Chain, now: i64) -> Option<GoodPath> {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        let known = trusted.get(&chain.digest);
        known.filter(|it| it.good.contains(&now)).map(|it| it.path)
    }

    /// Keeps the path that was found good at `now`.
    pub(super) fn keep(&self, chain: &Chain, now: i64, path: GoodPath) {
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.len() >= CHAINS_MAX {
            trusted.clear();
        }
        let good = now..path.lists_until.min(path.not_after);
        trusted.insert(chain.digest, Known { good, path });
    }
}

impl Chain {
    pub(super) fn new(leaf: &CertificateDer<'_>, rest: &[CertificateDer<'_>]) -> Self {
        Self {
            digest: digest(once(leaf).chain(rest)),
        }
    }
}

/// SHA-256 over the certificates of a chain; lengths go along, so that no two chains are the same
/// bytes.
pub fn chain_digest(chain: &[CertificateDer<'_>]) -> [u8; 32] {
    digest(chain.iter())
}

fn digest<'a, 'c: 'a>(chain: impl Iterator<Item = &'a CertificateDer<'c>>) -> [u8; 32] {
    let mut digest = Sha256::new();
    for certificate in chain {
        digest.update(certificate.len().to_be_bytes());
        digest.update(certificate);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    const NOW: i64 = 1_800_000_000;

    fn chain(name: &'static [u8]) -> Chain {
        Chain::new(&CertificateDer::from(name), &[])
    }

    fn path(not_after: i64, lists_until: i64) -> GoodPath {
        GoodPath {
            not_after: NOW + not_after,
            lists_until: NOW + lists_until,
        }
    }

    #[test]
    fn a_chain_is_trusted_until_its_path_ends_and_not_before_it_was_verified() {
        let verified = VerifiedChains::default();
        let chain = chain(b"one");
        assert_eq!(verified.find(&chain, NOW), None);
        verified.keep(&chain, NOW, path(50, 100));
        for (moment, trusted) in [(-1, false), (0, true), (49, true), (50, false), (99, false)] {
            let found = verified.find(&chain, NOW + moment);
            assert_eq!(found, trusted.then_some(path(50, 100)), "{moment}");
        }
    }

    #[test]
    fn a_chain_is_verified_anew_when_a_list_is_due() {
        let verified = VerifiedChains::default();
        let chain = chain(b"one");
        verified.keep(&chain, NOW, path(100, 20));
        assert!(verified.find(&chain, NOW + 19).is_some());
        assert_eq!(verified.find(&chain, NOW + 20), None);
    }

    #[test]
    fn another_chain_with_the_same_leaf_is_another_chain() {
        let [leaf, one, other] =
            [b"leaf", b"one!", b"two!"].map(|der| CertificateDer::from(&der[..]));
        let verified = VerifiedChains::default();
        let of = |rest: &[CertificateDer<'_>]| Chain::new(&leaf, rest);
        verified.keep(&of(slice::from_ref(&one)), NOW, path(9, 9));
        assert!(verified.find(&of(&[one]), NOW).is_some());
        assert_eq!(verified.find(&of(&[other]), NOW), None);
        assert_eq!(verified.find(&of(&[]), NOW), None);
    }

    #[test]
    fn a_crowd_of_chains_does_not_add_up() {
        let verified = VerifiedChains::default();
        for number in 0..CHAINS_MAX + 10 {
            let mut chain = chain(b"one");
            chain.digest = Sha256::digest(number.to_be_bytes()).into();
            verified.keep(&chain, NOW, path(9, 9));
        }
        assert!(verified.trusted.lock().unwrap().len() <= CHAINS_MAX);
    }
}
