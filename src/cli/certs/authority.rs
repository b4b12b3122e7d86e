//! The authority itself, in memory.

use super::error::CertsError;
use crate::{
    credential::{
        pem::{self, Label},
        private_key,
    },
    policy::identity::Fingerprint,
};
use clap::ValueEnum;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationList,
    CertificateRevocationListParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256,
    PublicKeyData, RevokedCertParams, RsaKeySize, SanType, SerialNumber, string::Ia5String,
};
use rustls::pki_types::{
    CertificateDer, DnsName, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject,
};
use std::{fmt, net::IpAddr};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

/// The kind of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum KeyAlgorithm {
    /// ECDSA on P-256
    #[default]
    Ecdsa,
    /// RSA with 2048 bits
    Rsa,
}

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Purpose {
    /// A server: extended key usage serverAuth
    Server,
    /// A client: extended key usage clientAuth
    Client,
}

/// From when until when a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// Its first moment.
    pub not_before: OffsetDateTime,
    /// Its last moment.
    pub not_after: OffsetDateTime,
}

/// A certificate that is wanted.
#[derive(Clone, Debug)]
pub struct LeafRequest {
    /// What it is for.
    pub purpose: Purpose,
    /// Common name of the subject; empty: an empty subject.
    pub common_name: String,
    /// DNS names.
    pub dns: Vec<String>,
    /// IP addresses.
    pub ips: Vec<IpAddr>,
    /// URIs.
    pub uris: Vec<String>,
    /// Mail addresses.
    pub emails: Vec<String>,
    /// When it is valid.
    pub validity: Validity,
    /// The kind of its key.
    pub algorithm: KeyAlgorithm,
}

/// A certificate with its key.
pub struct Issued {
    /// The certificate in PEM.
    pub certificate_pem: String,
    /// The certificate in DER.
    pub certificate: CertificateDer<'static>,
    /// The private key, PKCS #8 in PEM.
    pub key_pem: Zeroizing<String>,
}

/// A certificate authority for development and tests: one key that signs leaves and their CRL.
pub struct DevelopmentCa {
    certificate_pem: String,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    algorithm: KeyAlgorithm,
}

impl Validity {
    /// From five minutes before `now`, since clocks differ, for some days; refused after the year 9999.
    pub fn days(now: OffsetDateTime, days: u32) -> Result<Self, CertsError> {
        let ends = |from: OffsetDateTime| from.checked_add(Duration::days(days.into()));
        Ok(Self {
            not_before: now.checked_sub(Duration::minutes(5)).unwrap_or(now),
            not_after: ends(now).ok_or_else(|| {
                CertsError::Argument(format!(
                    "{days} days from now is too far; choose fewer days"
                ))
            })?,
        })
    }
}

impl LeafRequest {
    /// A client's certificate for a year with an ECDSA key.
    pub fn client(common_name: impl Into<String>) -> Self {
        Self::new(Purpose::Client, common_name.into())
    }

    /// A server's certificate for these host names and IP addresses, for a year with an ECDSA key.
    pub fn server<'a>(hosts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut request = Self::new(Purpose::Server, String::new());
        for host in hosts {
            request.add_host(host);
        }
        request.common_name = request.dns.first().cloned().unwrap_or_default();
        request
    }

    /// Adds a host: an IP address if it reads as one, otherwise a DNS name.
    pub fn add_host(&mut self, host: &str) {
        match host.parse() {
            Ok(address) => self.ips.push(address),
            Err(_) => self.dns.push(host.to_owned()),
        }
    }

    fn new(purpose: Purpose, common_name: String) -> Self {
        let now = OffsetDateTime::now_utc();
        Self {
            purpose,
            common_name,
            dns: Vec::new(),
            ips: Vec::new(),
            uris: Vec::new(),
            emails: Vec::new(),
            validity: Validity {
                not_before: now.saturating_sub(Duration::minutes(5)),
                not_after: now.saturating_add(Duration::days(365)),
            },
            algorithm: KeyAlgorithm::default(),
        }
    }

    fn parameters(&self) -> Result<CertificateParams, CertsError> {
        if self.validity.not_after <= self.validity.not_before {
            return Err(CertsError::Argument(format!(
                "the certificate would end at {} and begin at {}; let it end later",
                self.validity.not_after, self.validity.not_before
            )));
        }
        let mut parameters = parameters(&self.common_name, self.validity);
        parameters.subject_alt_names = self.names()?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.use_authority_key_identifier_extension = true;
        parameters.key_usages = match self.algorithm {
            KeyAlgorithm::Ecdsa => vec![KeyUsagePurpose::DigitalSignature],
            KeyAlgorithm::Rsa => vec![
                KeyUsagePurpose::DigitalSignature,
                KeyUsagePurpose::KeyEncipherment,
            ],
        };
        parameters.extended_key_usages = vec![match self.purpose {
            Purpose::Server => ExtendedKeyUsagePurpose::ServerAuth,
            Purpose::Client => ExtendedKeyUsagePurpose::ClientAuth,
        }];
        Ok(parameters)
    }

    fn names(&self) -> Result<Vec<SanType>, CertsError> {
        let dns = self.dns.iter().map(|name| {
            let checked = name.strip_prefix("*.").unwrap_or(name);
            DnsName::try_from(checked).map_err(|_| refused("DNS name", name))?;
            ascii("DNS name", name).map(SanType::DnsName)
        });
        let ips = self.ips.iter().map(|ip| Ok(SanType::IpAddress(*ip)));
        let uris = self
            .uris
            .iter()
            .map(|uri| ascii("URI", uri).map(SanType::URI));
        let emails = self
            .emails
            .iter()
            .map(|email| ascii("mail address", email).map(SanType::Rfc822Name));
        dns.chain(ips).chain(uris).chain(emails).collect()
    }
}

impl DevelopmentCa {
    /// A new authority for ten years; the keys it issues by itself are of the same kind.
    pub fn new(algorithm: KeyAlgorithm) -> Result<Self, CertsError> {
        let validity = Validity::days(OffsetDateTime::now_utc(), 3650)?;
        let key = generate(algorithm)?;
        // Two authorities of one name would be taken for each other in every error message.
        let digits = Fingerprint::of(&key.subject_public_key_info()).to_string();
        let digits: String = digits.chars().take(8).collect();
        let name = format!("tidegate development CA {digits}");
        let mut parameters = parameters(&name, validity);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = parameters.self_signed(&key)?;
        Ok(Self {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            issuer: Issuer::new(parameters, key),
            algorithm,
        })
    }

    /// The authority whose certificate and key these are; `Err` says what is wrong with them.
    pub fn from_pem(certificate_pem: &str, key_pem: &str) -> Result<Self, String> {
        let certificate = own_certificate(certificate_pem)?;
        let block = private_key::of_text(key_pem.as_bytes())
            .map_err(|problem| format!("the CA's key: {}; {}", problem.message, problem.hint))?;
        let key = private_key::der(&block).and_then(|der| KeyPair::try_from(&der).ok());
        let key = key.ok_or("the CA's key cannot be used")?;
        let (_, parsed) = x509_parser::parse_x509_certificate(&certificate)
            .map_err(|_| "the CA's certificate is not an X.509 certificate".to_owned())?;
        if parsed.public_key().subject_public_key.data.as_ref() != key.public_key_raw() {
            return Err("the CA's key does not belong to its certificate".to_owned());
        }
        if !parsed.is_ca() {
            return Err("the certificate is not a CA's (RFC 5280 section 4.2.1.9)".to_owned());
        }
        let algorithm = if key.is_compatible(&PKCS_RSA_SHA256) {
            KeyAlgorithm::Rsa
        } else {
            KeyAlgorithm::Ecdsa
        };
        let issuer = Issuer::from_ca_cert_der(&certificate, key)
            .map_err(|error| format!("the CA's certificate cannot be used: {error}"))?;
        Ok(Self {
            certificate_pem: certificate_pem.to_owned(),
            certificate,
            issuer,
            algorithm,
        })
    }

    /// The CA's certificate in PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's certificate in DER.
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The CA's private key, PKCS #8 in PEM.
    pub fn key_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(self.issuer.key().serialize_pem())
    }

    /// Issues a certificate, with a new key.
    pub fn issue(&self, request: &LeafRequest) -> Result<Issued, CertsError> {
        let parameters = request.parameters()?;
        let key = generate(request.algorithm)?;
        let certificate = parameters.signed_by(&key, &self.issuer)?;
        Ok(Issued {
            certificate_pem: certificate.pem(),
            certificate: certificate.into(),
            key_pem: Zeroizing::new(key.serialize_pem()),
        })
    }

    /// Issues a server's certificate for these host names and IP addresses.
    pub fn issue_server(&self, hosts: &[&str]) -> Result<Issued, CertsError> {
        let mut request = LeafRequest::server(hosts.iter().copied());
        request.algorithm = self.algorithm;
        self.issue(&request)
    }

    /// Issues a client's certificate with this common name, and a URI unless that is empty.
    pub fn issue_client(&self, common_name: &str, uri: &str) -> Result<Issued, CertsError> {
        let mut request = LeafRequest::client(common_name);
        request.algorithm = self.algorithm;
        request
            .uris
            .extend((!uri.is_empty()).then(|| uri.to_owned()));
        self.issue(&request)
    }

    /// A revocation list in PEM with these certificates, valid for a year.
    pub fn crl(&self, revoked: &[&Issued]) -> Result<String, CertsError> {
        let now = OffsetDateTime::now_utc();
        let entries = revoked.iter().map(|issued| entry(issued.serial(), now));
        let validity = Validity::days(now, 365)?;
        let list = self.sign_crl(SerialNumber::from(1), entries.collect(), validity)?;
        Ok(list.pem()?)
    }

    /// Signs a revocation list; `validity` is its thisUpdate and nextUpdate.
    pub fn sign_crl(
        &self,
        number: SerialNumber,
        revoked: Vec<RevokedCertParams>,
        validity: Validity,
    ) -> Result<CertificateRevocationList, CertsError> {
        let parameters = CertificateRevocationListParams {
            this_update: validity.not_before,
            next_update: validity.not_after,
            crl_number: number,
            issuing_distribution_point: None,
            revoked_certs: revoked,
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Ok(parameters.signed_by(&self.issuer)?)
    }
}

/// The one certificate of a text.
fn own_certificate(text: &str) -> Result<CertificateDer<'static>, String> {
    let blocks = pem::blocks(text.as_bytes())
        .map_err(|problem| format!("the CA's certificate: {problem}; {}", problem.hint))?;
    match blocks.as_slice() {
        [block] if block.label == Label::Certificate => Ok(block.der.to_vec().into()),
        _ => Err(
            "the CA's certificate is not one certificate in PEM, with nothing beside it".to_owned(),
        ),
    }
}

impl fmt::Debug for DevelopmentCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevelopmentCa")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

impl Issued {
    /// The chain to present: the certificate alone, since the CA signed it directly.
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.clone()]
    }

    /// The private key for rustls.
    pub fn key(&self) -> Result<PrivateKeyDer<'static>, CertsError> {
        PrivatePkcs8KeyDer::from_pem_slice(self.key_pem.as_bytes())
            .map(PrivateKeyDer::from)
            .map_err(|_| CertsError::Sign(rcgen::Error::CouldNotParseKeyPair))
    }

    /// The serial number's bytes, big-endian.
    pub fn serial(&self) -> Vec<u8> {
        x509_parser::parse_x509_certificate(&self.certificate)
            .map(|(_, parsed)| parsed.tbs_certificate.serial.to_bytes_be())
            .unwrap_or_default()
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// An entry of a revocation list, without a reason.
pub(super) fn entry(serial: Vec<u8>, at: OffsetDateTime) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from(serial),
        revocation_time: at,
        reason_code: None,
        invalidity_date: None,
    }
}

fn generate(algorithm: KeyAlgorithm) -> Result<KeyPair, CertsError> {
    Ok(match algorithm {
        KeyAlgorithm::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
        KeyAlgorithm::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048)?,
    })
}

fn parameters(common_name: &str, validity: Validity) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        parameters
            .distinguished_name
            .push(DnType::CommonName, common_name);
    }
    parameters.not_before = validity.not_before;
    parameters.not_after = validity.not_after;
    parameters
}

fn ascii(kind: &str, text: &str) -> Result<Ia5String, CertsError> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(refused(kind, text));
    }
    Ia5String::try_from(text).map_err(|_| refused(kind, text))
}

fn refused(kind: &str, text: &str) -> CertsError {
    CertsError::Argument(format!(
        "{text:?} is not a {kind}; write it in ASCII without blanks (RFC 5280 section 4.2.1.6)"
    ))
}
