//! Whom clients may have their certificates from: CAs and CRLs, read, checked and put together.

use super::{
    ClientTrust, CrlPolicy,
    contents::{Contents, Kind},
    path::{self, Paths},
    revocation::{self, Findings, Issuers, RevocationList, status::Lists},
    verifier::Verifier,
};
use crate::{
    credential::{MaterialError, file, source::Version},
    observe::{Expiry, ExpiryKind},
    watch::look::Digests,
};
use rustls::{crypto::aws_lc_rs, pki_types::CertificateDer};
use sha2::{Digest, Sha256};
use std::{
    mem,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::Arc,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// The client CAs and CRLs of a snapshot.
pub(super) struct Authorities {
    /// What handshakes ask, to ask again later; absent where no CA is configured.
    pub(super) verifier: Option<Verifier>,
    /// The same for the same CAs, CRLs and policies.
    pub(super) digest: [u8; 32],
    /// Of the files and policies; `None`: it could not be told.
    version: Option<Version>,
    /// When reading the same files would find the same, in seconds since 1970: until the next CA or
    /// CRL ends.
    good: RangeInclusive<i64>,
    found: Findings,
}

impl Authorities {
    /// What the settings name: that of `in_use` as long as reading would find the same, else read
    /// again.
    ///
    /// What is found is appended to `findings`; with a problem among them, what is returned is not
    /// to be used.
    pub(super) fn load(
        clients: &ClientTrust,
        (in_use, files): (Option<&Arc<Self>>, &Digests),
        now: i64,
        findings: &mut Findings,
    ) -> Arc<Self> {
        let version = version(clients, files);
        let same = |it: &&Arc<Self>| version.is_some() && it.version == version;
        let kept = in_use.filter(same).filter(|it| it.good.contains(&now));
        let authorities = kept.cloned().unwrap_or_else(|| {
            let mut found = Findings {
                problems: mem::take(&mut findings.problems),
                ..Findings::default()
            };
            let read = Self::read(clients, in_use, now, &mut found);
            findings.problems = mem::take(&mut found.problems);
            Arc::new(Self {
                version,
                found,
                ..read
            })
        });
        findings.repeat(&authorities.found);
        authorities
    }

    fn read(
        clients: &ClientTrust,
        in_use: Option<&Arc<Self>>,
        now: i64,
        found: &mut Findings,
    ) -> Self {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let (certificates, mut ends) = load_all(clients, now, found);
        let issuers = Issuers {
            authorities: &certificates,
            provider: &provider,
            now,
        };
        let lists = revocation::load(clients, &issuers, found);
        ends.extend(found.expiries.iter().map(|expiry| expiry.unix));
        let next = ends.into_iter().filter(|end| *end >= now).min();
        let mut authorities = Self {
            verifier: None,
            digest: [0; 32],
            version: None,
            good: now..=next.unwrap_or(i64::MAX),
            found: Findings::default(),
        };
        if !certificates.is_empty() {
            authorities.digest = digest(clients, &certificates, &lists);
            let lists = Lists::new(clients, lists);
            let paths = Paths::new(&certificates, lists, provider.clone());
            let verifier = Verifier::new(paths, &provider);
            authorities.verifier = Some(authorities.knowing(verifier, in_use));
        }
        authorities
    }

    /// With the chains that were verified under the same CAs, CRLs and policies.
    fn knowing(&self, verifier: Verifier, in_use: Option<&Arc<Self>>) -> Verifier {
        let in_use = in_use.filter(|it| it.digest == self.digest);
        match in_use.and_then(|it| it.verifier.as_ref()) {
            Some(in_use) => verifier.knowing(in_use),
            None => verifier,
        }
    }
}

fn version(clients: &ClientTrust, files: &Digests) -> Option<Version> {
    let paths: Vec<PathBuf> = clients.ca.iter().chain(&clients.crl).cloned().collect();
    let mut settings = clients.ca.len().to_be_bytes().to_vec();
    settings.extend(policies(clients));
    Version::of_files(&paths, files, &settings)
}

fn policies(clients: &ClientTrust) -> [u8; 2] {
    let refuses = |policy| u8::from(policy == CrlPolicy::Refuse);
    [refuses(clients.crl_missing), refuses(clients.crl_expired)]
}

/// Every CA of every file, and when each of them ends.
fn load_all(
    clients: &ClientTrust,
    now: i64,
    found: &mut Findings,
) -> (Vec<CertificateDer<'static>>, Vec<i64>) {
    let (mut certificates, mut all_ends) = (Vec::new(), Vec::new());
    for path in &clients.ca {
        match load_ca(path, now, &mut certificates, &mut found.warnings) {
            Ok(ends) => {
                let contents = Contents::new(path, Kind::Authorities, ends.len());
                found.contents.push(contents);
                found.expiries.push(Expiry {
                    kind: ExpiryKind::ClientCa,
                    name: path.display().to_string(),
                    unix: ends.iter().copied().min().unwrap_or(i64::MAX),
                });
                all_ends.extend(ends);
            }
            Err(problem) => found.problems.push(problem),
        }
    }
    (certificates, all_ends)
}

/// The same for the same CAs, lists and policies, in whatever order they are named.
fn digest(
    clients: &ClientTrust,
    certificates: &[CertificateDer<'static>],
    lists: &[RevocationList],
) -> [u8; 32] {
    let mut parts: Vec<[u8; 32]> = certificates
        .iter()
        .map(|der| Sha256::digest(der).into())
        .chain(lists.iter().map(|list| Sha256::digest(&list.der).into()))
        .collect();
    parts.sort_unstable();
    parts.dedup();
    let mut whole = Sha256::new();
    whole.update(policies(clients));
    for part in &parts {
        whole.update(part);
    }
    whole.finalize().into()
}

/// Adds every CA of a file; returns when each of them ends.
fn load_ca(
    path: &Path,
    now: i64,
    certificates: &mut Vec<CertificateDer<'static>>,
    warnings: &mut Vec<MaterialError>,
) -> Result<Vec<i64>, MaterialError> {
    let mut ends = Vec::new();
    for (index, der) in file::authorities(path)?.into_iter().enumerate() {
        let unusable = |reason: String| {
            MaterialError::new(
                path,
                format!(
                    "certificate {} cannot be used as a client CA: {reason}",
                    index + 1
                ),
                "expected the certificate of the CA that issues the clients' certificates",
            )
        };
        let (_, certificate) =
            X509Certificate::from_der(&der).map_err(|_| unusable("it is not valid DER".into()))?;
        if !certificate.is_ca() {
            return Err(unusable(format!(
                "{} is not a CA certificate",
                certificate.subject()
            )));
        }
        let not_after = certificate.validity().not_after.timestamp();
        ends.push(not_after);
        if not_after < now {
            // RFC 5280 section 6.1.1: of a trusted CA, name and key alone count.
            warnings.push(MaterialError::new(
                path,
                format!(
                    "certificate {}, of {}, has expired; clients of this CA are admitted all the same",
                    index + 1,
                    certificate.subject()
                ),
                "put its renewed certificate in its place, or take it out so that its clients are refused",
            ));
        }
        if path::anchor(&der).is_none() {
            return Err(unusable("it is not as RFC 5280 has it".into()));
        }
        certificates.push(der);
    }
    Ok(ends)
}
