//! Who a client is, read from its certificate.
//!
//! Nothing here verifies a signature: a certificate comes in after the TLS handshake has done that.

use std::{fmt, net::IpAddr};

use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::{X509Certificate, X509CertificateParser},
    extensions::{GeneralName, ParsedExtension},
    nom::Parser,
    oid_registry::OID_X509_EXT_SUBJECT_ALT_NAME,
};

pub(crate) mod name;
#[cfg(test)]
pub(crate) mod tests;

pub use name::distinguished_name;
use name::hexadecimal;

/// The longest certificate that is read, in bytes of DER.
pub const CERTIFICATE_LIMIT: usize = 64 * 1024;
/// The most names (RFC 5280 section 4.2.1.6) that one certificate may carry.
pub const NAMES_LIMIT: usize = 256;
/// The longest that the names of a certificate may be together, and its subject, in bytes.
pub const NAMES_BYTES_LIMIT: usize = 32 * 1024;
/// The longest display name, in characters.
pub const DISPLAY_LIMIT: usize = 256;

/// A client, as its certificate describes it.
///
/// The lists and `common_name` are for matching: they hold only names that mean the same to every
/// reader (graphic ASCII in SANs, no control character in the common name). Every other name is in
/// `unusable`, escaped, to be shown and never compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The subject as an RFC 4514 string; control characters and NUL are hexadecimal pairs.
    pub subject: String,
    /// The most specific common name (RFC 6125 section 1.8).
    pub common_name: Option<String>,
    /// DNS names, as written.
    pub dns: Vec<String>,
    /// URIs, as written.
    pub uris: Vec<String>,
    /// Mail addresses, as written.
    pub emails: Vec<String>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// Names that cannot be matched, each as kind, colon, escaped text.
    pub unusable: Vec<String>,
    /// The SPIFFE id, if the certificate is an X.509-SVID: one URI, and that a SPIFFE id with a path.
    pub spiffe_id: Option<String>,
    /// SHA-256 of the certificate.
    pub fingerprint: Fingerprint,
    /// SHA-256 of the `SubjectPublicKeyInfo`.
    pub key_fingerprint: Fingerprint,
    /// The serial number in lower-case hexadecimal, without a leading zero byte.
    pub serial: String,
    /// The beginning of the validity, in seconds since 1970.
    pub not_before: i64,
    /// The end of the validity, in seconds since 1970.
    pub not_after: i64,
}

/// A SHA-256 digest; shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

/// Why a certificate has no identity that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityError {
    /// It is longer than `CERTIFICATE_LIMIT`.
    CertificateTooLong {
        /// Its length in bytes.
        bytes: usize,
    },
    /// It is not one DER certificate as RFC 5280 section 4.1 describes.
    Malformed,
    /// It has more or longer names than `NAMES_LIMIT` and `NAMES_BYTES_LIMIT` allow.
    ///
    /// Names are never dropped instead: a list that denies one of them would be passed by.
    TooManyNames,
}

impl Identity {
    /// Reads the client's own certificate, the first of its chain.
    pub fn from_der(der: &[u8]) -> Result<Self, IdentityError> {
        let certificate = parse(der)?;
        let subject = name::distinguished_name(certificate.subject());
        if subject.len() > NAMES_BYTES_LIMIT {
            return Err(IdentityError::TooManyNames);
        }
        let mut names = Names::read(&certificate)?;
        let common_name = names.common_name(&certificate);
        Ok(Self {
            subject,
            common_name,
            spiffe_id: names.spiffe_id(),
            dns: names.dns,
            uris: names.uris,
            emails: names.emails,
            ips: names.ips,
            unusable: names.unusable,
            fingerprint: Fingerprint::of(der),
            key_fingerprint: Fingerprint::of(certificate.public_key().raw),
            serial: hexadecimal(unsigned(certificate.raw_serial())),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
        })
    }

    /// What to call the client in a log: SPIFFE id, else the first URI, DNS name or mail address,
    /// else the common name, else the beginning of the fingerprint.
    ///
    /// One line without control characters, at most `DISPLAY_LIMIT` characters.
    pub fn display_name(&self) -> String {
        let names = [&self.uris, &self.dns, &self.emails];
        self.spiffe_id
            .as_ref()
            .or_else(|| names.into_iter().find_map(|list| list.first()))
            .or(self.common_name.as_ref())
            .map_or_else(|| self.fingerprint.short(), |name| shortened(name))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display_name())
    }
}

impl Fingerprint {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest itself.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Enough of it to recognise a certificate in a log.
    fn short(&self) -> String {
        let digits: String = self.to_string().chars().take(16).collect();
        format!("sha256:{digits}")
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hexadecimal(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateTooLong { bytes } => write!(
                f,
                "the certificate has {bytes} bytes, at most {CERTIFICATE_LIMIT} are read; issue a smaller one"
            ),
            Self::Malformed => f.write_str(
                "this is not one X.509 certificate in DER (RFC 5280); look at it with `openssl x509 -text`",
            ),
            Self::TooManyNames => write!(
                f,
                "the certificate's names are more than {NAMES_LIMIT} or longer than {NAMES_BYTES_LIMIT} bytes; issue one with fewer names"
            ),
        }
    }
}

impl std::error::Error for IdentityError {}

/// The subject alternative names, sorted by kind.
#[derive(Default)]
struct Names {
    dns: Vec<String>,
    uris: Vec<String>,
    emails: Vec<String>,
    ips: Vec<IpAddr>,
    unusable: Vec<String>,
    /// URIs of any spelling: one that cannot be matched still makes the SPIFFE id ambiguous.
    uri_count: usize,
}

impl Names {
    fn read(certificate: &X509Certificate<'_>) -> Result<Self, IdentityError> {
        let mut names = Self::default();
        let Some(extension) = certificate
            .get_extension_unique(&OID_X509_EXT_SUBJECT_ALT_NAME)
            .map_err(|_| IdentityError::Malformed)?
        else {
            return Ok(names);
        };
        let ParsedExtension::SubjectAlternativeName(list) = extension.parsed_extension() else {
            return Err(IdentityError::Malformed);
        };
        if list.general_names.len() > NAMES_LIMIT || extension.value.len() > NAMES_BYTES_LIMIT {
            return Err(IdentityError::TooManyNames);
        }
        list.general_names.iter().for_each(|name| names.add(name));
        Ok(names)
    }

    fn add(&mut self, name: &GeneralName<'_>) {
        let unusable = &mut self.unusable;
        match name {
            GeneralName::DNSName(text) => sort("DNS", text, &mut self.dns, unusable),
            GeneralName::RFC822Name(text) => sort("email", text, &mut self.emails, unusable),
            GeneralName::URI(text) => {
                self.uri_count += 1;
                sort("URI", text, &mut self.uris, unusable);
            }
            GeneralName::IPAddress(bytes) => match ip_address(bytes) {
                Some(address) => self.ips.push(address),
                None => unusable.push(format!("IP:{}", hexadecimal(bytes))),
            },
            GeneralName::Invalid(tag, bytes) => {
                // The tag of a URI, RFC 5280 section 4.2.1.6.
                self.uri_count += usize::from(tag.0 == 6);
                unusable.push(format!("[{}]:{}", tag.0, hexadecimal(bytes)));
            }
            // Other kinds name nobody that a rule could speak of.
            _ => {}
        }
    }

    fn common_name(&mut self, certificate: &X509Certificate<'_>) -> Option<String> {
        let attribute = certificate.subject().iter_common_name().last()?;
        let text = name::text(attribute.attr_value())?;
        if !text.is_empty() && !text.chars().any(name::unprintable) {
            return Some(text);
        }
        self.unusable.push(format!("CN:{}", name::printable(&text)));
        None
    }

    /// X509-SVID section 2: exactly one URI; section 5.2: a leaf's has a path.
    fn spiffe_id(&self) -> Option<String> {
        match self.uris.as_slice() {
            [uri] if self.uri_count == 1 && is_spiffe_id(uri) => Some(uri.clone()),
            _ => None,
        }
    }
}

fn parse(der: &[u8]) -> Result<X509Certificate<'_>, IdentityError> {
    if der.len() > CERTIFICATE_LIMIT {
        return Err(IdentityError::CertificateTooLong { bytes: der.len() });
    }
    let parsed = X509CertificateParser::new()
        .with_deep_parse_extensions(true)
        .parse(der);
    match parsed {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(IdentityError::Malformed),
    }
}

/// Puts a name where it belongs: RFC 5280 section 4.2.1.6 makes all of these `IA5String` without blanks.
fn sort(kind: &str, text: &str, usable: &mut Vec<String>, unusable: &mut Vec<String>) {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        usable.push(text.to_owned());
    } else {
        unusable.push(format!("{kind}:{}", name::printable(text)));
    }
}

fn ip_address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from))
        .ok()
}

/// The SPIFFE-ID standard, section 2: lower-case trust domain, path segments of a small alphabet.
fn is_spiffe_id(uri: &str) -> bool {
    let Some((trust_domain, path)) = uri
        .strip_prefix("spiffe://")
        .and_then(|rest| rest.split_once('/'))
    else {
        return false;
    };
    let trust_domain_is_good = (1..=255).contains(&trust_domain.len())
        && trust_domain
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_'));
    uri.len() <= 2048 && trust_domain_is_good && path.split('/').all(is_spiffe_segment)
}

fn is_spiffe_segment(segment: &str) -> bool {
    !matches!(segment, "" | "." | "..")
        && segment
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'))
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= DISPLAY_LIMIT {
        return name.to_owned();
    }
    name.chars().take(DISPLAY_LIMIT - 1).chain(['…']).collect()
}

/// An INTEGER's bytes without the one that only says that it is not negative (X.690 section 8.3).
fn unsigned(integer: &[u8]) -> &[u8] {
    match integer {
        [0, rest @ ..] if !rest.is_empty() => rest,
        whole => whole,
    }
}
