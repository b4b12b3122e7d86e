//! Certificate revocation lists (RFC 5280 section 5): read, checked against the CAs, put in order.
//!
//! Of several lists of one issuer and one scope the newest counts: a complete list replaces the one
//! before it, and an emptied one clears what that held. What they say of a certificate is
//! [`status`]'s part; rustls-webpki, which looks at the first list of an issuer alone, is asked for
//! none of it.
//! A list whose name is a CA's and whose signature is not is refused, and so are lists of which
//! none is of a CA, where `crl_missing` refuses what no list covers: every client would be shut
//! out by a file that was mixed up.

use super::{
    ClientTrust, CrlPolicy,
    contents::{Contents, Kind},
    disguise, words,
};
use crate::{
    credential::{MaterialError, file},
    observe::{Expiry, ExpiryKind},
    policy::identity::Identity,
};
use list::Issuer;
use rustls::{crypto::CryptoProvider, pki_types::CertificateDer};
use scope::Scope;
use status::Signer;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};
use webpki::{CertRevocationList, OwnedCertRevocationList};
use x509_parser::{
    certificate::X509Certificate, num_bigint::BigUint,
    oid_registry::OID_X509_EXT_DELTA_CRL_INDICATOR, prelude::FromDer,
    revocation_list::CertificateRevocationList,
};

mod list;
mod scope;
pub(super) mod status;

pub(super) use list::RevocationList;

/// The largest file of lists that is read.
const FILE_MAX: u64 = 32 << 20;

/// What lists are checked against.
pub(super) struct Issuers<'a> {
    /// The trusted CAs.
    pub(super) authorities: &'a [CertificateDer<'static>],
    /// How signatures are verified.
    pub(super) provider: &'a CryptoProvider,
    /// Seconds since 1970.
    pub(super) now: i64,
}

/// A certificate that stands on a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Its subject.
    pub subject: String,
    /// Its serial number in hexadecimal.
    pub serial: String,
    /// The list's file.
    pub list: PathBuf,
}

/// What reading the lists finds beside them.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) expiries: Vec<Expiry>,
    pub(super) contents: Vec<Contents>,
    pub(super) warnings: Vec<MaterialError>,
    pub(super) problems: Vec<MaterialError>,
}

impl Findings {
    /// Adds what was found before, for what has not changed since.
    pub(super) fn repeat(&mut self, before: &Self) {
        self.expiries.extend_from_slice(&before.expiries);
        self.contents.extend_from_slice(&before.contents);
        self.warnings.extend_from_slice(&before.warnings);
    }
}

/// Every list of the files that the settings name, the newest first.
pub(super) fn load(
    clients: &ClientTrust,
    issuers: &Issuers<'_>,
    findings: &mut Findings,
) -> Vec<RevocationList> {
    let mut lists = Vec::new();
    for path in &clients.crl {
        match load_file(path, issuers, findings) {
            Ok(found) => {
                let contents = Contents::new(path, Kind::Lists, found.len());
                findings.contents.push(contents);
                lists.extend(found);
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    if let Some(path) = clients.crl.first()
        && findings.problems.is_empty()
        && clients.crl_missing == CrlPolicy::Refuse
        && !lists
            .iter()
            .any(|list| list.authority.is_some() && !list.is_delta)
    {
        findings.problems.push(MaterialError::new(
            path,
            "no CRL is of a CA in tls.clients.ca, so every client would be refused",
            "name the CAs' own lists in tls.clients.crl; crl_missing = \"allow\" would accept clients that no list covers",
        ));
    }
    lists.sort_by(|one, other| other.age().cmp(&one.age()));
    for list in current(&lists) {
        list.note_expiry(clients.crl_expired, issuers.now, findings);
    }
    lists
}

/// The lists that no newer one replaces: the end of any other means nothing. They come in the
/// order of [`load`].
fn current(lists: &[RevocationList]) -> impl Iterator<Item = &RevocationList> {
    let mut seen = HashSet::new();
    lists.iter().filter(move |list| {
        seen.insert((&list.issuer, &list.authority, &list.scope, list.is_delta))
    })
}

/// Which certificates of a chain stand on a list in the name of their issuer.
///
/// It shows people where to look, and decides nothing: it verifies no signature, and looks at lists
/// that newer ones replace.
///
/// # Errors
/// A file cannot be read, or holds no whole CRL.
pub fn listings(
    chain: &[CertificateDer<'_>],
    files: &[PathBuf],
) -> Result<Vec<Listing>, MaterialError> {
    let mut found = Vec::new();
    for path in files {
        for der in file::revocation_lists(path, FILE_MAX)? {
            let parsed = CertificateRevocationList::from_der(&der);
            let (_, list) = parsed.map_err(|_| not_whole(path))?;
            let listed = chain.iter().filter(|der| is_listed(der, &list));
            let identities = listed.filter_map(|der| Identity::from_der(der).ok());
            found.extend(identities.map(|identity| Listing {
                subject: identity.subject,
                serial: identity.serial,
                list: path.clone(),
            }));
        }
    }
    Ok(found)
}

fn is_listed(der: &CertificateDer<'_>, list: &CertificateRevocationList<'_>) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(der) else {
        return false;
    };
    certificate.issuer().as_raw() == list.issuer().as_raw()
        && list
            .iter_revoked_certificates()
            .any(|entry| entry.raw_serial() == certificate.raw_serial())
}

impl RevocationList {
    /// Greater for what replaces.
    fn age(&self) -> (i64, &(usize, Vec<u8>)) {
        (self.this_update, &self.number)
    }

    fn note_expiry(&self, expired: CrlPolicy, now: i64, findings: &mut Findings) {
        findings.expiries.push(Expiry {
            kind: ExpiryKind::Crl,
            name: self.path.display().to_string(),
            unix: self.next_update,
        });
        if self.next_update < now {
            let meaning = match expired {
                _ if self.is_delta => {
                    "what it revokes stays revoked; put the newer one there, or the CA's next whole list"
                }
                CrlPolicy::Refuse => {
                    "clients of its issuer are refused until a newer list is there"
                }
                CrlPolicy::Allow => "it is used all the same (tls.clients.crl_expired = \"allow\")",
            };
            findings.warnings.push(MaterialError::new(
                &self.path,
                format!("the CRL of {} is past its nextUpdate", self.issuer.text),
                meaning,
            ));
        }
    }
}

fn load_file(
    path: &Path,
    issuers: &Issuers<'_>,
    findings: &mut Findings,
) -> Result<Vec<RevocationList>, MaterialError> {
    let mut found = Vec::new();
    for der in file::revocation_lists(path, FILE_MAX)? {
        let Ok((&[], list)) = CertificateRevocationList::from_der(&der) else {
            return Err(not_whole(path));
        };
        let revoked = entries(path, &list, &der)?;
        let scope = Scope::read(&list).map_err(|fault| unusable(path, &list, fault))?;
        let authority = issuers.vouch(path, &list, &der, findings)?;
        let number = list.crl_number().map(BigUint::to_bytes_be);
        let number = number.unwrap_or_default();
        found.push(RevocationList {
            authority,
            path: path.to_owned(),
            issuer: Issuer {
                name: list.issuer().as_raw().to_vec(),
                text: list.issuer().to_string(),
            },
            scope,
            is_delta: is_delta(&list),
            revoked,
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().map_or(i64::MAX, |time| time.timestamp()),
            number: (number.len(), number),
            der,
        });
    }
    Ok(found)
}

/// Reads the entries with rustls-webpki, which knows what it must not pass over (RFC 5280 sections
/// 5.2 and 5.3); it is not shown what it refuses and [`status`] heeds.
fn entries(
    path: &Path,
    list: &CertificateRevocationList<'_>,
    der: &[u8],
) -> Result<CertRevocationList<'static>, MaterialError> {
    let read = OwnedCertRevocationList::from_der(&disguise::list(der));
    read.map(CertRevocationList::Owned)
        .map_err(|error| unusable(path, list, &words::of_list(&error)))
}

fn unusable(path: &Path, list: &CertificateRevocationList<'_>, fault: &str) -> MaterialError {
    MaterialError::new(
        path,
        format!("the CRL of {} cannot be used: {fault}", list.issuer()),
        "expected a whole list that its CA signs, or one that is divided by distribution points",
    )
}

fn is_delta(list: &CertificateRevocationList<'_>) -> bool {
    let mut extensions = list.extensions().iter();
    extensions.any(|found| found.oid == OID_X509_EXT_DELTA_CRL_INDICATOR)
}

fn not_whole(path: &Path) -> MaterialError {
    MaterialError::new(
        path,
        "not a whole CRL",
        "fetch the list again from the CA that issues it",
    )
}

impl Issuers<'_> {
    /// The key of the trusted CA that signed the list; refused where it only claims so.
    fn vouch(
        &self,
        path: &Path,
        list: &CertificateRevocationList<'_>,
        der: &[u8],
        findings: &mut Findings,
    ) -> Result<Option<Vec<u8>>, MaterialError> {
        let parse = |der| Some(X509Certificate::from_der(der).ok()?.1);
        let named: Vec<_> = self
            .authorities
            .iter()
            .filter_map(|der| parse(der))
            .filter(|authority| authority.subject().as_raw() == list.issuer().as_raw())
            .collect();
        if named.is_empty() {
            findings.warnings.push(MaterialError::new(
                path,
                format!("the CRL of {} is of no CA in tls.clients.ca", list.issuer()),
                "it counts only for certificates of an intermediate CA of that name",
            ));
            return Ok(None);
        }
        let mut signers = named.iter().map(Signer::from);
        match signers.find(|signer| signer.signed(der, self.provider)) {
            Some(signer) if signer.may_sign_lists => Ok(Some(signer.key.to_vec())),
            // RFC 5280 section 6.3.3 (f).
            Some(_) => Err(MaterialError::new(
                path,
                format!(
                    "the CRL of {} is not believed: the key usage of its CA in tls.clients.ca does not have cRLSign",
                    list.issuer()
                ),
                "fetch a list that a CA with cRLSign signs, or put a certificate with it into tls.clients.ca",
            )),
            None => Err(MaterialError::new(
                path,
                format!(
                    "the CRL of {} is not signed by the CA of that name in tls.clients.ca",
                    list.issuer()
                ),
                "fetch the list of this very CA: another one may have the same name",
            )),
        }
    }
}
