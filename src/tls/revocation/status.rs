//! What the lists say of one certificate (RFC 5280 section 6.3.3).
//!
//! A list counts for a certificate if it is in the name of its issuer, signed with its issuer's key,
//! by an issuer that may sign lists, and for certificates of its kind and distribution point. Of
//! each scope the newest counts. Whatever any of them revokes is revoked: so neither does a part of
//! a divided list hide the whole one, nor the other way round. A delta list revokes what is on it,
//! and says nothing else.

use super::{
    super::{ClientTrust, CrlPolicy, der::Element},
    list::RevocationList,
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{SubjectPublicKeyInfoDer, UnixTime},
};
use std::{collections::HashSet, time::Duration};
use webpki::{Error, RawPublicKeyEntity, RevocationReason::RemoveFromCrl};
use x509_parser::certificate::X509Certificate;

/// The lists, the newest first, and what it means where they say nothing.
#[derive(Debug)]
pub(in crate::tls) struct Lists {
    all: Vec<RevocationList>,
    missing: CrlPolicy,
    expired: CrlPolicy,
}

/// Who may have signed a list.
#[derive(Clone, Copy)]
pub(in crate::tls) struct Signer<'c> {
    /// Its name in DER.
    pub(in crate::tls) name: &'c [u8],
    /// Its `SubjectPublicKeyInfo` in DER.
    pub(in crate::tls) key: &'c [u8],
    /// Whether its key usage, if it has one, lets it (RFC 5280 section 4.2.1.3).
    pub(in crate::tls) may_sign_lists: bool,
}

impl Lists {
    /// `lists` come in the order of [`load`](super::load).
    pub(in crate::tls) fn new(clients: &ClientTrust, lists: Vec<RevocationList>) -> Self {
        Self {
            all: lists,
            missing: clients.crl_missing,
            expired: clients.crl_expired,
        }
    }

    /// Until when a certificate of this issuer is known not to be revoked, in seconds since 1970.
    pub(in crate::tls) fn good_until(
        &self,
        certificate: &X509Certificate<'_>,
        is_leaf: bool,
        issuer: &Signer<'_>,
        provider: &CryptoProvider,
        now: i64,
    ) -> Result<i64, Error> {
        if self.all.is_empty() {
            return Ok(i64::MAX);
        }
        let mut last = None;
        for list in self.relevant(certificate, is_leaf, issuer, provider) {
            if list.revokes(certificate.raw_serial())? {
                return Err(Error::CertRevoked);
            }
            if !list.is_delta {
                last = last.max(Some(list.next_update));
            }
        }
        match last {
            None if self.missing == CrlPolicy::Refuse => Err(Error::UnknownRevocationStatus),
            None => Ok(i64::MAX),
            Some(_) if self.expired == CrlPolicy::Allow => Ok(i64::MAX),
            Some(last) if last <= now => Err(Error::CrlExpired {
                time: moment(now),
                next_update: moment(last),
            }),
            Some(last) => Ok(last),
        }
    }

    /// The lists that count for a certificate.
    fn relevant<'l>(
        &'l self,
        certificate: &X509Certificate<'_>,
        is_leaf: bool,
        issuer: &Signer<'_>,
        provider: &CryptoProvider,
    ) -> impl Iterator<Item = &'l RevocationList> {
        let mut seen = HashSet::new();
        let all = self.all.iter().filter(|_| issuer.may_sign_lists);
        all.filter(move |list| {
            list.issuer.name == issuer.name
                && list.scope.covers(certificate, is_leaf)
                && !seen.contains(&(&list.scope, list.is_delta))
                && issuer.has_signed(list, provider)
                && seen.insert((&list.scope, list.is_delta))
        })
    }
}

impl RevocationList {
    /// RFC 5280 section 5.3.1: an entry of a delta list may say that another list's no longer holds.
    /// That one is believed all the same, until the CA's next whole list.
    fn revokes(&self, serial: &[u8]) -> Result<bool, Error> {
        let entry = self.revoked.find_serial(serial)?;
        let reason = entry.map(|entry| entry.reason_code);
        Ok(reason.is_some_and(|reason| !self.is_delta || reason != Some(RemoveFromCrl)))
    }
}

impl<'c> From<&'c X509Certificate<'_>> for Signer<'c> {
    fn from(certificate: &'c X509Certificate<'_>) -> Self {
        let usage = certificate.key_usage();
        Self {
            name: certificate.subject().as_raw(),
            key: certificate.public_key().raw,
            may_sign_lists: usage.is_ok_and(|usage| usage.is_none_or(|it| it.value.crl_sign())),
        }
    }
}

impl Signer<'_> {
    fn has_signed(&self, list: &RevocationList, provider: &CryptoProvider) -> bool {
        match &list.authority {
            Some(key) => key == self.key,
            None => self.signed(&list.der, provider),
        }
    }

    /// Whether it signed this list.
    pub(in crate::tls) fn signed(&self, list: &[u8], provider: &CryptoProvider) -> bool {
        self.verify(list, provider).is_some()
    }

    fn verify(&self, list: &[u8], provider: &CryptoProvider) -> Option<()> {
        let parts = Element::document(list)?.children()?;
        let [signed, algorithm, signature] = parts.as_slice() else {
            return None;
        };
        // RFC 5280 section 5.1.1.3: a BIT STRING without unused bits.
        let signature = signature.content.strip_prefix(&[0])?;
        let key = SubjectPublicKeyInfoDer::from(self.key);
        let key = RawPublicKeyEntity::try_from(&key).ok()?;
        let known = provider.signature_verification_algorithms.all.iter();
        known
            .filter(|known| known.signature_alg_id().as_ref() == algorithm.content)
            .find_map(|known| key.verify_signature(*known, signed.whole, signature).ok())
    }
}

fn moment(seconds: i64) -> UnixTime {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
