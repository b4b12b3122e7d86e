//! Certificate chains and their keys: read whole, checked as a pair, chosen by SNI.

use super::{
    MaterialError, file, private_key,
    source::{Material, Source, Version},
};
use rustls::{
    pki_types::CertificateDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{
    collections::HashMap,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time,
};

/// A chain and its key, verified to belong together.
pub struct Credential {
    certified: Arc<CertifiedKey>,
    names: Vec<String>,
    /// Where the chain is, as the configuration names it; its name in metrics and messages.
    pub place: PathBuf,
    /// Start of validity of the leaf, in seconds since 1970.
    not_before: i64,
    /// End of validity of the leaf, in seconds since 1970.
    pub not_after: i64,
    /// URI SAN of the leaf, for `By` in X-Forwarded-Client-Cert.
    pub uri: Option<String>,
    /// What was allowed of it, and is probably not meant.
    pub warnings: Vec<MaterialError>,
    /// What its source said before it was asked.
    pub version: Option<Version>,
}

/// Chooses a certificate by SNI: exact name, then wildcard, then the first configured.
pub struct Resolver {
    exact: HashMap<String, Vec<Arc<CertifiedKey>>>,
    /// By what follows `*.`.
    wildcard: HashMap<String, Vec<Arc<CertifiedKey>>>,
    default: Vec<Arc<CertifiedKey>>,
}

impl Credential {
    /// Asks a source for a pair and verifies it; `version` is what the source said before.
    ///
    /// `now` is in seconds since 1970. Refused: what the source cannot give, a key of another
    /// certificate, a chain out of order, a leaf outside its validity period. Warned of: a leaf that
    /// is not for servers. Warnings are appended where it is refused too.
    pub fn load(
        source: &dyn Source,
        version: Option<Version>,
        now: i64,
        warnings: &mut Vec<MaterialError>,
    ) -> Result<Self, MaterialError> {
        let mut found = Vec::new();
        let verified = source
            .material(&mut found)
            .and_then(|material| Self::verify(material, now, &mut found));
        warnings.extend(found.iter().cloned());
        Ok(Self {
            warnings: found,
            version,
            ..verified?
        })
    }

    /// Whether the leaf's validity period includes a time in seconds since 1970.
    pub fn is_valid(&self, now: i64) -> bool {
        (self.not_before..=self.not_after).contains(&now)
    }

    /// How many certificates its chain has.
    pub fn chain_length(&self) -> usize {
        self.certified.cert.len()
    }

    fn verify(
        material: Material,
        now: i64,
        warnings: &mut Vec<MaterialError>,
    ) -> Result<Self, MaterialError> {
        let Material {
            chain,
            key,
            chain_place: place,
            key_place,
        } = material;
        private_key::refuse_explicit_curve(&place, &chain)?;
        let certified = CertifiedKey::new(chain, key);
        certified.keys_match().map_err(|_| {
            MaterialError::new(
                &key_place,
                format!("the key does not belong to the certificate in {}", place.display()),
                "install the key that the certificate was issued for; if a renewal is being written, the next look will find both",
            )
        })?;
        let parsed = parse_chain(&place, &certified.cert)?;
        check_order(&place, &parsed)?;
        let Some(leaf) = parsed.first() else {
            return Err(file::no_certificate(&place));
        };
        check_validity(&place, leaf, now)?;
        warnings.extend(purpose_problem(&place, leaf));
        warnings.extend(names_problem(&place, leaf));
        let (names, uri) = names_of(leaf);
        Ok(Self {
            names,
            uri,
            not_before: leaf.validity().not_before.timestamp(),
            not_after: leaf.validity().not_after.timestamp(),
            place,
            certified: Arc::new(certified),
            warnings: Vec::new(),
            version: None,
        })
    }
}

impl Resolver {
    /// A resolver over `credentials`, in order of configuration.
    pub fn new(credentials: &[Arc<Credential>]) -> Self {
        let mut resolver = Self {
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            default: credentials
                .first()
                .map(|c| c.certified.clone())
                .into_iter()
                .collect(),
        };
        for credential in credentials {
            for name in &credential.names {
                let (map, key) = match name.strip_prefix("*.") {
                    Some(parent) => (&mut resolver.wildcard, parent),
                    None => (&mut resolver.exact, name.as_str()),
                };
                map.entry(key.to_owned())
                    .or_default()
                    .push(credential.certified.clone());
            }
        }
        resolver
    }

    /// Every candidate for a name, which is compared without regard to case (RFC 6066 section 3).
    fn candidates(&self, server_name: Option<&str>) -> &[Arc<CertifiedKey>] {
        let Some(name) = server_name.map(str::to_ascii_lowercase) else {
            return &self.default;
        };
        let parent = name.split_once('.').map_or("", |(_, parent)| parent);
        self.exact
            .get(&name)
            .or_else(|| self.wildcard.get(parent))
            .map_or(&self.default, Vec::as_slice)
    }
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let candidates = self.candidates(hello.server_name());
        candidates
            .iter()
            .find(|certified| {
                certified
                    .key
                    .choose_scheme(hello.signature_schemes())
                    .is_some()
            })
            .or_else(|| candidates.first())
            .cloned()
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver")
            .field("names", &self.exact.len())
            .finish_non_exhaustive()
    }
}

/// RFC 9525 section 6.3: clients compare names with the subjectAltName alone.
fn names_problem(path: &Path, leaf: &X509Certificate<'_>) -> Option<MaterialError> {
    let names = leaf.subject_alternative_name().ok().flatten();
    names.is_none().then(|| {
        MaterialError::new(
            path,
            "the certificate has no subjectAltName: no client can verify whom it talks to",
            "have it issued with the host's name as a DNS name; the common name is not looked at",
        )
    })
}

fn parse_chain<'a>(
    path: &Path,
    chain: &'a [CertificateDer<'static>],
) -> Result<Vec<X509Certificate<'a>>, MaterialError> {
    let parse = |(index, der): (usize, &'a CertificateDer<'static>)| {
        X509Certificate::from_der(der)
            .map(|(_, certificate)| certificate)
            .map_err(|_| {
                MaterialError::new(
                    path,
                    format!("certificate {} of the chain is not valid DER", index + 1),
                    "replace the file by the chain as the CA issued it",
                )
            })
    };
    chain.iter().enumerate().map(parse).collect()
}

/// RFC 8446 section 4.4.2: each certificate should certify the one before it.
fn check_order(path: &Path, chain: &[X509Certificate<'_>]) -> Result<(), MaterialError> {
    for (index, pair) in chain.windows(2).enumerate() {
        if let [lower, upper] = pair
            && lower.issuer().as_raw() != upper.subject().as_raw()
        {
            return Err(MaterialError::new(
                path,
                format!(
                    "certificate {} ({}) is not the issuer of certificate {} (issued by {})",
                    index + 2,
                    upper.subject(),
                    index + 1,
                    lower.issuer()
                ),
                "put the leaf first, then each issuer in turn",
            ));
        }
    }
    Ok(())
}

fn check_validity(path: &Path, leaf: &X509Certificate<'_>, now: i64) -> Result<(), MaterialError> {
    let validity = leaf.validity();
    let problem = if validity.not_after.timestamp() < now {
        format!("the certificate expired on {}", day(validity.not_after))
    } else if validity.not_before.timestamp() > now {
        format!(
            "the certificate is not valid before {}",
            day(validity.not_before)
        )
    } else {
        return Ok(());
    };
    Err(MaterialError::new(
        path,
        problem,
        "renew the certificate, or check this machine's clock",
    ))
}

/// RFC 5280 section 4.2.1.12: without the extension every purpose is allowed.
fn purpose_problem(path: &Path, leaf: &X509Certificate<'_>) -> Option<MaterialError> {
    let purposes = leaf.extended_key_usage().ok()??.value;
    if purposes.server_auth || purposes.any {
        return None;
    }
    let message = "the certificate is not made for servers, so that clients will refuse it";
    let hint = "name one with the extended key usage serverAuth; is it a client's?";
    Some(MaterialError::new(path, message, hint))
}

fn day(time: ASN1Time) -> String {
    time.to_rfc2822().unwrap_or_else(|error| error)
}

/// DNS names and IP addresses of a leaf in lower case, and its first URI.
fn names_of(leaf: &X509Certificate<'_>) -> (Vec<String>, Option<String>) {
    let Ok(Some(extension)) = leaf.subject_alternative_name() else {
        return (Vec::new(), None);
    };
    let mut uri = None;
    let mut names = Vec::new();
    for name in &extension.value.general_names {
        match name {
            GeneralName::DNSName(dns) => names.push(dns.to_ascii_lowercase()),
            GeneralName::URI(value) if uri.is_none() => uri = Some((*value).to_owned()),
            _ => {}
        }
    }
    (names, uri)
}
