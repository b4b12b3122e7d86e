//! Finds the path from a client's certificate to a trusted CA (RFC 5280 section 6).
//!
//! rustls-webpki builds the paths, and checks signatures, validity, purpose, lengths, and names that
//! are hosts or addresses. What it leaves out or refuses unseen is checked here, of each path that
//! it finds good:
//!
//! - that who issues certificates may (keyCertSign; rustls/webpki#452),
//! - URIs, directory names and mail addresses against name constraints,
//! - revocation.
//!
//! Only the certificates of a path count. A client may send others along: an old cross-certificate,
//! say, that has expired. Where several paths are good, the one that is good longest counts.

use super::{
    constraints,
    disguise::{self, Disguised, Undisguised},
    revocation::status::{Lists, Signer},
};
use rustls::{
    DistinguishedName,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime},
};
use std::{cell::Cell, collections::HashSet, ptr, sync::Arc, time::Duration};
use webpki::{EndEntityCert, Error, KeyUsage, VerifiedPath};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// The trusted CAs and the lists that paths are held against.
#[derive(Debug)]
pub(super) struct Paths {
    anchors: Vec<TrustAnchor<'static>>,
    /// The certificate of each anchor.
    authorities: Vec<CertificateDer<'static>>,
    lists: Lists,
    provider: Arc<CryptoProvider>,
}

/// A path that is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoodPath {
    /// The last second in which all its certificates are valid, since 1970.
    pub not_after: i64,
    /// When the lists have to be asked again, in seconds since 1970.
    pub(super) lists_until: i64,
}

/// What is known of certificates as they were shown, to find the originals by.
struct Originals<'d>(&'d [Disguised<'d>]);

impl Paths {
    /// Those of `authorities` that are certificates are trusted.
    pub(super) fn new(
        authorities: &[CertificateDer<'static>],
        lists: Lists,
        provider: Arc<CryptoProvider>,
    ) -> Self {
        let read = authorities
            .iter()
            .filter_map(|der| Some((anchor(der)?, der.clone())));
        let (anchors, authorities) = read.unzip();
        Self {
            anchors,
            authorities,
            lists,
            provider,
        }
    }

    /// The names of the CAs, each once.
    pub(super) fn names(&self) -> Vec<DistinguishedName> {
        let mut seen = HashSet::new();
        let names = self.anchors.iter().map(|anchor| anchor.subject.as_ref());
        names
            .filter(|name| seen.insert(*name))
            .map(DistinguishedName::in_sequence)
            .collect()
    }

    /// The path that is good longest, at a time in seconds since 1970.
    pub(super) fn find(
        &self,
        leaf: &CertificateDer<'_>,
        rest: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<GoodPath, Error> {
        let chain: Vec<_> = [leaf].into_iter().chain(rest).map(Disguised::new).collect();
        let signed = disguise::all_signed(&chain).ok_or(Error::InvalidSignatureForPublicKey)?;
        let known = self.provider.signature_verification_algorithms.all.iter();
        let known: Vec<_> = known.map(|it| Undisguised::new(*it, &signed)).collect();
        let algorithms: Vec<_> = known
            .iter()
            .map(|it| it as &dyn SignatureVerificationAlgorithm)
            .collect();
        let shown: Vec<_> = chain.iter().map(|it| it.shown.clone()).collect();
        let (leaf_shown, rest_shown) = shown.split_first().ok_or(Error::BadDer)?;
        let end_entity = EndEntityCert::try_from(leaf_shown)?;
        let leaf_end = parsed(leaf)?.validity().not_after.timestamp();
        let best = Cell::new(None::<GoodPath>);
        let examine = |path: &VerifiedPath<'_>| {
            let found = self.examine(path, &Originals(&chain), now)?;
            let longer = best.get().is_none_or(|it| it.not_after < found.not_after);
            best.set(best.get().filter(|_| !longer).or(Some(found)));
            if found.not_after >= leaf_end {
                return Ok(());
            }
            // It goes on looking for one that lasts as long as the client's own certificate.
            Err(Error::UnknownIssuer)
        };
        let result = end_entity.verify_for_usage(
            &algorithms,
            &self.anchors,
            rest_shown,
            moment(now),
            KeyUsage::client_auth(),
            None,
            Some(&examine),
        );
        match (best.get(), result) {
            (Some(best), _) => Ok(best),
            (None, Err(error)) => Err(error),
            (None, Ok(_)) => Err(Error::UnknownIssuer),
        }
    }

    fn examine(
        &self,
        path: &VerifiedPath<'_>,
        originals: &Originals<'_>,
        now: i64,
    ) -> Result<GoodPath, Error> {
        let mut places = self.anchors.iter().zip(&self.authorities);
        let authority = places.find(|(anchor, _)| ptr::eq(*anchor, path.anchor()));
        let (_, authority) = authority.ok_or(Error::UnknownIssuer)?;
        let mut certificates = vec![parsed(originals.leaf()?)?];
        for issuer in path.intermediate_certificates() {
            certificates.push(parsed(originals.of(&issuer.der())?)?);
        }
        for issuer in certificates.iter().skip(1) {
            may_issue(issuer)?;
        }
        let ends = certificates.iter().map(|it| it.validity().not_after);
        let not_after = ends.map(|end| end.timestamp()).min().unwrap_or_default();
        certificates.push(parsed(authority)?);
        constraints::check(&certificates).map_err(|_| Error::NameConstraintViolation)?;
        Ok(GoodPath {
            not_after,
            lists_until: self.not_revoked_until(&certificates, now)?,
        })
    }

    /// Asks the lists of each certificate's issuer; the last is the trusted CA.
    fn not_revoked_until(&self, path: &[X509Certificate<'_>], now: i64) -> Result<i64, Error> {
        let mut until = i64::MAX;
        for (index, pair) in path.windows(2).enumerate() {
            let [certificate, issuer] = pair else {
                continue;
            };
            let issuer = Signer::from(issuer);
            let good = self
                .lists
                .good_until(certificate, index == 0, &issuer, &self.provider, now);
            until = until.min(good?);
        }
        Ok(until)
    }
}

impl<'d> Originals<'d> {
    fn leaf(&self) -> Result<&'d CertificateDer<'d>, Error> {
        self.0.first().map(|it| it.original).ok_or(Error::BadDer)
    }

    fn of(&self, shown: &CertificateDer<'_>) -> Result<&'d CertificateDer<'d>, Error> {
        let mut rest = self.0.iter().skip(1);
        let found = rest.find(|it| *it.shown == **shown);
        found.map(|it| it.original).ok_or(Error::BadDer)
    }
}

/// A trusted CA as rustls-webpki takes it, without the constraints that are checked here.
pub(super) fn anchor(der: &CertificateDer<'_>) -> Option<TrustAnchor<'static>> {
    let shown = disguise::certificate(der);
    let shown = CertificateDer::from(&*shown);
    let anchor = webpki::anchor_from_trusted_cert(&shown).ok()?;
    Some(anchor.to_owned())
}

fn may_issue(authority: &X509Certificate<'_>) -> Result<(), Error> {
    // RFC 5280 section 4.2.1.3: where there is a key usage, it has to have keyCertSign.
    let usage = authority.key_usage().map_err(|_| Error::BadDer)?;
    if usage.is_some_and(|usage| !usage.value.key_cert_sign()) {
        return Err(Error::EndEntityUsedAsCa);
    }
    Ok(())
}

fn parsed<'d>(der: &'d CertificateDer<'_>) -> Result<X509Certificate<'d>, Error> {
    match X509Certificate::from_der(der) {
        Ok((&[], certificate)) => Ok(certificate),
        _ => Err(Error::BadDer),
    }
}

fn moment(seconds: i64) -> UnixTime {
    let seconds = u64::try_from(seconds).unwrap_or_default();
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}
