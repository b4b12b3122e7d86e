//! Certificate revocation lists (RFC 5280 section 5): read, checked against the CAs, put in order.
//!
//! Of several lists of one issuer, the verifier looks at the first alone. So the newest comes
//! first: a complete list replaces the one before it, and an emptied one clears what that held.
//! Where a CA divides its list (RFC 5280 section 5.2.5), that goes for each part.
//! A list whose name is a CA's and whose signature is not is refused, and so are lists of which
//! none is of a CA, where `crl_missing` refuses what no list covers: every client would be shut
//! out by a file that was mixed up.

use super::{ClientTrust, CrlPolicy};
use crate::{
    credential::{MaterialError, file},
    observe::{Expiry, ExpiryKind},
    policy::identity::Identity,
};
use rustls::{
    crypto::CryptoProvider,
    pki_types::{CertificateDer, CertificateRevocationListDer},
};
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};
use x509_parser::{
    certificate::X509Certificate, num_bigint::BigUint,
    oid_registry::OID_X509_EXT_ISSUER_DISTRIBUTION_POINT, prelude::FromDer,
    revocation_list::CertificateRevocationList,
};

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

/// What reading the lists tells beside them.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) expiries: Vec<Expiry>,
    pub(super) warnings: Vec<MaterialError>,
    pub(super) problems: Vec<MaterialError>,
}

/// A list, and whose it is.
pub(super) struct RevocationList {
    pub(super) der: CertificateRevocationListDer<'static>,
    /// The place of the trusted CA that signed it; `None`: an intermediate's.
    pub(super) authority: Option<usize>,
    path: PathBuf,
    issuer: Issuer,
    /// Which certificates it is for, as its issuing distribution point says (RFC 5280 section
    /// 5.2.5), in DER; empty: all of its issuer.
    scope: Vec<u8>,
    this_update: i64,
    /// When it runs out, in seconds since 1970.
    pub(super) next_update: Option<i64>,
    /// The CRL number (RFC 5280 section 5.2.3) without leading zeros, its length first.
    number: (usize, Vec<u8>),
}

/// In whose name a list is.
#[derive(PartialEq, Eq, Hash)]
struct Issuer {
    /// DER.
    name: Vec<u8>,
    /// For people.
    text: String,
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
            Ok(found) => lists.extend(found),
            Err(problem) => findings.problems.push(problem),
        }
    }
    if let Some(path) = clients.crl.first()
        && findings.problems.is_empty()
        && clients.crl_missing == CrlPolicy::Refuse
        && !lists.iter().any(|list| list.authority.is_some())
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
pub(super) fn current(lists: &[RevocationList]) -> impl Iterator<Item = &RevocationList> {
    let mut seen = HashSet::new();
    lists
        .iter()
        .filter(move |list| seen.insert((&list.issuer, list.authority, &list.scope)))
}

/// Which certificates of a chain stand on a list in the name of their issuer.
///
/// It tells people where to look, and decides nothing: it verifies no signature, and looks at lists
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
        let Some(next_update) = self.next_update else {
            return;
        };
        findings.expiries.push(Expiry {
            kind: ExpiryKind::Crl,
            name: self.path.display().to_string(),
            unix: next_update,
        });
        if next_update < now {
            let meaning = match expired {
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
        let authority = issuers.vouch(path, &list, findings)?;
        let number = list.crl_number().map(BigUint::to_bytes_be);
        let number = number.unwrap_or_default();
        found.push(RevocationList {
            authority,
            path: path.to_owned(),
            issuer: Issuer {
                name: list.issuer().as_raw().to_vec(),
                text: list.issuer().to_string(),
            },
            scope: scope(&list),
            this_update: list.last_update().timestamp(),
            next_update: list.next_update().map(|time| time.timestamp()),
            number: (number.len(), number),
            der,
        });
    }
    Ok(found)
}

fn scope(list: &CertificateRevocationList<'_>) -> Vec<u8> {
    let mut extensions = list.extensions().iter();
    let point = extensions.find(|found| found.oid == OID_X509_EXT_ISSUER_DISTRIBUTION_POINT);
    point.map(|point| point.value.to_vec()).unwrap_or_default()
}

fn not_whole(path: &Path) -> MaterialError {
    MaterialError::new(
        path,
        "not a whole CRL",
        "fetch the list again from the CA that issues it",
    )
}

impl Issuers<'_> {
    /// The place of the trusted CA that signed the list; refused where it only claims so.
    fn vouch(
        &self,
        path: &Path,
        list: &CertificateRevocationList<'_>,
        findings: &mut Findings,
    ) -> Result<Option<usize>, MaterialError> {
        let parse = |der| Some(X509Certificate::from_der(der).ok()?.1);
        let places = self.authorities.iter().enumerate();
        let mut named = places
            .filter_map(|(place, der)| Some((place, parse(der)?)))
            .filter(|(_, authority)| authority.subject().as_raw() == list.issuer().as_raw())
            .peekable();
        if named.peek().is_none() {
            findings.warnings.push(MaterialError::new(
                path,
                format!("the CRL of {} is of no CA in tls.clients.ca", list.issuer()),
                "it counts only for certificates of an intermediate CA of that name",
            ));
            return Ok(None);
        }
        if let Some((place, _)) = named.find(|(_, authority)| self.signed(authority, list)) {
            return Ok(Some(place));
        }
        Err(MaterialError::new(
            path,
            format!(
                "the CRL of {} is not signed by the CA of that name in tls.clients.ca",
                list.issuer()
            ),
            "fetch the list of this very CA: another one may have the same name",
        ))
    }

    /// Tries every algorithm: the right one is the one that verifies. The verifier will hold the
    /// list's own word for it against the key.
    fn signed(
        &self,
        authority: &X509Certificate<'_>,
        list: &CertificateRevocationList<'_>,
    ) -> bool {
        let key = &authority.public_key().subject_public_key.data;
        let signature = &list.signature_value.data;
        let mut algorithms = self.provider.signature_verification_algorithms.all.iter();
        algorithms.any(|algorithm| {
            algorithm
                .verify_signature(key, list.tbs_cert_list.as_ref(), signature)
                .is_ok()
        })
    }
}
