//! CAs below the CA, and what they issue, with whatever a test wants to be odd.

use super::Credentials;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;
use tidegate::cli::certs::Issued;
use time::{Duration, OffsetDateTime};

/// A CA that signs whatever it is asked to.
pub(crate) struct Authority {
    pub(crate) issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: CertificateDer<'static>,
    key: String,
}

impl Authority {
    /// The CA that the proxy trusts.
    pub(crate) fn of(credentials: &Credentials) -> Self {
        let key = credentials.ca.key_pem().to_string();
        Self::from_parts(credentials.ca.certificate().clone(), key)
    }

    /// A CA that stands alone.
    pub(crate) fn root(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut parameters = authority(name);
        change(&mut parameters);
        let certificate = parameters.self_signed(&key).unwrap();
        Self::from_parts(certificate.der().clone(), key.serialize_pem())
    }

    /// Its certificate in PEM.
    pub(crate) fn pem(&self) -> String {
        let text = STANDARD.encode(&self.certificate);
        format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
    }

    /// A CA below it.
    pub(crate) fn below(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let key = KeyPair::generate().unwrap().serialize_pem();
        self.below_with_key(name, &key, change)
    }

    /// A certificate of it for a CA that has a key already.
    pub(crate) fn certify(
        &self,
        name: &str,
        other: &Self,
        change: impl FnOnce(&mut CertificateParams),
    ) -> CertificateDer<'static> {
        self.below_with_key(name, &other.key, change).certificate
    }

    /// A client's certificate.
    pub(crate) fn client(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut parameters = named(name);
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut parameters);
        let key = KeyPair::generate().unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            key_pem: key.serialize_pem().into(),
        }
    }

    fn below_with_key(
        &self,
        name: &str,
        key: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let mut parameters = authority(name);
        change(&mut parameters);
        let pair = KeyPair::from_pem(key).unwrap();
        let certificate = parameters.signed_by(&pair, &self.issuer).unwrap();
        Self::from_parts(certificate.der().clone(), key.to_owned())
    }

    fn from_parts(certificate: CertificateDer<'static>, key: String) -> Self {
        let pair = KeyPair::from_pem(&key).unwrap();
        Self {
            issuer: Issuer::from_ca_cert_der(&certificate, pair).unwrap(),
            certificate,
            key,
        }
    }
}

/// From a minute ago until so many seconds from now.
pub(crate) fn until(parameters: &mut CertificateParams, seconds: i64) {
    let now = OffsetDateTime::now_utc();
    parameters.not_before = now - Duration::minutes(1);
    parameters.not_after = now + Duration::seconds(seconds);
}

/// A URI among the names.
pub(crate) fn uri(parameters: &mut CertificateParams, uri: &str) {
    let name = SanType::URI(uri.try_into().unwrap());
    parameters.subject_alt_names.push(name);
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = named(name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters
}

fn named(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters
}
