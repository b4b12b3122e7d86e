//! Chains that were found to be trusted, so that a client that comes back costs no signature.
//!
//! Under one set of CAs and CRLs a verdict changes with time alone: a certificate or a list runs
//! out. So a chain that was trusted at one time is trusted until the first of them does. Nothing
//! else is kept: a refusal is found anew each time, and whoever shows a chain still has to prove
//! that it has the key.

use crate::policy::identity::common_validity;
use rustls::pki_types::CertificateDer;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    iter::once,
    ops::Range,
    sync::{Mutex, PoisonError},
};

/// Chains that are kept at most, in about 400 KiB; one more, and all are verified anew.
const CHAINS_MAX: usize = 4096;

/// The chains that are trusted under one set of CAs and CRLs, and when.
#[derive(Debug)]
pub(super) struct VerifiedChains {
    /// In seconds since 1970: from when a chain was verified to when it has to be again.
    trusted: Mutex<HashMap<[u8; 32], Range<i64>>>,
    /// When the first of the lists has to be looked at again.
    lists_until: i64,
}

/// One chain that is being looked at.
pub(super) struct Chain<'a> {
    leaf: &'a CertificateDer<'a>,
    rest: &'a [CertificateDer<'a>],
    digest: [u8; 32],
}

impl VerifiedChains {
    /// None yet. `lists_until` is the first `nextUpdate` of the CRLs that verdicts depend on, in
    /// seconds since 1970.
    pub(super) fn new(lists_until: Option<i64>) -> Self {
        Self {
            trusted: Mutex::default(),
            lists_until: lists_until.unwrap_or(i64::MAX),
        }
    }

    /// Whether a chain is known to be trusted at `now`.
    pub(super) fn trusts(&self, chain: &Chain<'_>, now: i64) -> bool {
        let trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        trusted
            .get(&chain.digest)
            .is_some_and(|good| good.contains(&now))
    }

    /// Keeps that a chain was verified at `now`, if no part of it is yet to become valid: with
    /// that, another path through it could come to be found.
    pub(super) fn keep(&self, chain: &Chain<'_>, now: i64) {
        let certificates = once(chain.leaf).chain(chain.rest).map(AsRef::as_ref);
        let Ok(Some(validity)) = common_validity(certificates) else {
            return;
        };
        if !validity.contains(&now) {
            return;
        }
        let mut trusted = self.trusted.lock().unwrap_or_else(PoisonError::into_inner);
        if trusted.len() >= CHAINS_MAX {
            trusted.clear();
        }
        trusted.insert(chain.digest, now..self.lists_until.min(*validity.end()));
    }
}

impl<'a> Chain<'a> {
    pub(super) fn new(leaf: &'a CertificateDer<'a>, rest: &'a [CertificateDer<'a>]) -> Self {
        Self {
            leaf,
            rest,
            digest: chain_digest(once(leaf).chain(rest)),
        }
    }
}

/// SHA-256 over the certificates of a chain; lengths go along, so that no two chains are the same
/// octets.
pub fn chain_digest<'a>(chain: impl IntoIterator<Item = &'a CertificateDer<'a>>) -> [u8; 32] {
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
    use rcgen::{CertificateParams, KeyPair};
    use time::OffsetDateTime;

    const NOW: i64 = 1_800_000_000;

    fn valid(from: i64, to: i64) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        let time = |seconds| OffsetDateTime::from_unix_timestamp(NOW + seconds).unwrap();
        (params.not_before, params.not_after) = (time(from), time(to));
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().clone()
    }

    #[test]
    fn a_chain_is_trusted_until_its_first_certificate_ends_and_not_before_it_was_verified() {
        let (leaf, rest) = (valid(0, 100), [valid(0, 50)]);
        let chain = Chain::new(&leaf, &rest);
        let verified = VerifiedChains::new(None);
        assert!(!verified.trusts(&chain, NOW));
        verified.keep(&chain, NOW);
        for (moment, trusted) in [(-1, false), (0, true), (49, true), (50, false), (99, false)] {
            assert_eq!(verified.trusts(&chain, NOW + moment), trusted, "{moment}");
        }
    }

    #[test]
    fn a_chain_is_verified_anew_when_a_list_is_due() {
        let leaf = valid(0, 100);
        let chain = Chain::new(&leaf, &[]);
        let verified = VerifiedChains::new(Some(NOW + 20));
        verified.keep(&chain, NOW);
        assert!(verified.trusts(&chain, NOW + 19));
        assert!(!verified.trusts(&chain, NOW + 20));
    }

    #[test]
    fn a_chain_with_a_part_that_is_yet_to_become_valid_is_verified_each_time() {
        let (leaf, rest) = (valid(0, 100), [valid(10, 100)]);
        let chain = Chain::new(&leaf, &rest);
        let verified = VerifiedChains::new(None);
        verified.keep(&chain, NOW);
        assert!(!verified.trusts(&chain, NOW));
        verified.keep(&chain, NOW + 10);
        assert!(verified.trusts(&chain, NOW + 10));
    }

    #[test]
    fn another_chain_with_the_same_leaf_is_another_chain() {
        let (leaf, one, other) = (valid(0, 9), valid(0, 9), valid(0, 9));
        let verified = VerifiedChains::new(None);
        let (one, other) = ([one], [other]);
        verified.keep(&Chain::new(&leaf, &one), NOW);
        assert!(verified.trusts(&Chain::new(&leaf, &one), NOW));
        assert!(!verified.trusts(&Chain::new(&leaf, &other), NOW));
        assert!(!verified.trusts(&Chain::new(&leaf, &[]), NOW));
    }

    #[test]
    fn a_crowd_of_chains_does_not_add_up() {
        let leaf = valid(0, 9);
        let verified = VerifiedChains::new(None);
        for number in 0..CHAINS_MAX + 10 {
            let mut chain = Chain::new(&leaf, &[]);
            chain.digest = Sha256::digest(number.to_be_bytes()).into();
            verified.keep(&chain, NOW);
        }
        assert!(verified.trusted.lock().unwrap().len() <= CHAINS_MAX);
    }
}
