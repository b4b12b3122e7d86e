//! Certificates for many hosts, from the development CA.

use crate::Result;
use rcgen::{CertificateParams, Issuer, KeyPair};
use serde_json::{Value, json};
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

/// Below this domain lie the hosts: `host0.bench.example` and so on.
pub(crate) const DOMAIN: &str = "bench.example";

/// Writes `any.pem`, for every host below the domain, and `host0.pem` and so on, each with its
/// key, into the folder that the CA is in.
pub(crate) fn write(credentials: &Path, count: usize) -> Result<Value> {
    let authority = fs::read_to_string(credentials.join("ca.pem"))?;
    let key = KeyPair::from_pem(&fs::read_to_string(credentials.join("ca.key"))?)?;
    let issuer = Issuer::from_ca_cert_pem(&authority, key)?;
    let any = ("any".to_owned(), "*".to_owned());
    let hosts = (0..count).map(|number| (format!("host{number}"), format!("host{number}")));
    for (file, label) in hosts.chain([any]) {
        let key = KeyPair::generate()?;
        let params = CertificateParams::new([format!("{label}.{DOMAIN}")])?;
        let certificate = params.signed_by(&key, &issuer)?;
        fs::write(credentials.join(format!("{file}.pem")), certificate.pem())?;
        let path = credentials.join(format!("{file}.key"));
        fs::write(&path, key.serialize_pem())?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(json!({ "written": count + 1 }))
}
