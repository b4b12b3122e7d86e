//! `certs show`: what is in a file, for people and for machines.

use super::{
    arguments::ShowArguments,
    error::CertsError,
    files::{self, misread},
};
use crate::{
    credential::pem::{self, Block, Label},
    policy::identity::{Identity, distinguished_name, name::hexadecimal},
};
use serde::Serialize;
use std::{fmt, io::Write, path::Path};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use x509_parser::{
    certificate::X509Certificate, extensions::ExtendedKeyUsage, prelude::FromDer,
    public_key::PublicKey, revocation_list::CertificateRevocationList, time::ASN1Time,
};

/// One object of a file.
#[derive(Serialize)]
struct Shown {
    file: String,
    #[serde(flatten)]
    object: Object,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Object {
    Certificate(Certificate),
    RevocationList(List),
    /// That there is a key is all that is said of it.
    PrivateKey,
}

#[derive(Serialize)]
struct Certificate {
    subject: String,
    names: Vec<String>,
    spiffe_id: Option<String>,
    issuer: String,
    serial: String,
    not_before: String,
    not_after: String,
    days_left: i64,
    state: &'static str,
    key: String,
    usages: Vec<&'static str>,
    ca: bool,
    sha256: String,
    key_sha256: String,
}

#[derive(Serialize)]
struct List {
    issuer: String,
    number: Option<String>,
    this_update: String,
    next_update: Option<String>,
    days_left: Option<i64>,
    revoked: Vec<Revoked>,
}

#[derive(Serialize)]
struct Revoked {
    serial: String,
    at: String,
    reason: Option<String>,
}

/// Describes files.
pub(super) fn show(
    arguments: &ShowArguments,
    now: OffsetDateTime,
    output: &mut impl Write,
) -> Result<(), CertsError> {
    let mut all = Vec::new();
    for path in &arguments.files {
        all.extend(read(path, now)?);
    }
    if arguments.json {
        serde_json::to_writer_pretty(&mut *output, &all).map_err(std::io::Error::from)?;
        writeln!(output)?;
    } else {
        for shown in all {
            writeln!(output, "{shown}")?;
        }
    }
    Ok(())
}

fn read(path: &Path, now: OffsetDateTime) -> Result<Vec<Shown>, CertsError> {
    let content = files::read(path, "Name a certificate or a revocation list")?;
    let objects = if content.starts_with(&[0x30]) {
        vec![certificate(&content, now).or_else(|| list(&content, now))]
    } else {
        let blocks = pem::blocks(&content).map_err(|problem| misread(path, &problem))?;
        let shown = blocks.iter().filter(|block| !accompanies(block.label));
        shown.map(|block| object(block, now)).collect()
    };
    let objects: Option<Vec<Object>> = objects.into_iter().collect();
    let objects = objects
        .filter(|objects| !objects.is_empty())
        .ok_or_else(|| CertsError::Content {
            path: path.to_owned(),
            problem: "this is neither a certificate nor a revocation list, in PEM or in DER"
                .to_owned(),
        })?;
    let file = path.display().to_string();
    let shown = |object| Shown {
        file: file.clone(),
        object,
    };
    Ok(objects.into_iter().map(shown).collect())
}

/// What stands beside keys, and says nothing that the certificate does not.
fn accompanies(label: Label) -> bool {
    matches!(label, Label::PublicKey | Label::Parameters)
}

fn object(block: &Block, now: OffsetDateTime) -> Option<Object> {
    match block.label {
        Label::Certificate => certificate(&block.der, now),
        Label::RevocationList => list(&block.der, now),
        label => label.is_private_key().then_some(Object::PrivateKey),
    }
}

fn certificate(der: &[u8], now: OffsetDateTime) -> Option<Object> {
    let identity = Identity::from_der(der).ok()?;
    let (_, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    let (not_before, not_after) = (parsed.validity().not_before, parsed.validity().not_after);
    Some(Object::Certificate(Certificate {
        names: names(&identity),
        issuer: distinguished_name(parsed.issuer()),
        not_before: written(not_before.to_datetime()),
        not_after: written(not_after.to_datetime()),
        days_left: (not_after.to_datetime() - now).whole_days(),
        state: state(&identity, now.unix_timestamp()),
        key: key(&parsed),
        usages: usages(&parsed),
        ca: parsed.is_ca(),
        sha256: identity.fingerprint.to_string(),
        key_sha256: identity.key_fingerprint.to_string(),
        subject: identity.subject,
        spiffe_id: identity.spiffe_id,
        serial: identity.serial,
    }))
}

fn names(identity: &Identity) -> Vec<String> {
    let dns = identity.dns.iter().map(|name| format!("DNS:{name}"));
    let ips = identity.ips.iter().map(|address| format!("IP:{address}"));
    let uris = identity.uris.iter().map(|uri| format!("URI:{uri}"));
    let emails = identity.emails.iter().map(|name| format!("email:{name}"));
    let unusable = identity
        .unusable
        .iter()
        .map(|name| format!("unusable:{name}"));
    dns.chain(ips)
        .chain(uris)
        .chain(emails)
        .chain(unusable)
        .collect()
}

fn state(identity: &Identity, now: i64) -> &'static str {
    match now {
        early if early < identity.not_before => "not yet valid",
        late if late > identity.not_after => "expired",
        _ => "valid",
    }
}

fn key(certificate: &X509Certificate<'_>) -> String {
    let info = certificate.public_key();
    match info.parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA {}", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("ECDSA {}", point.key_size()),
        _ => info.algorithm.algorithm.to_id_string(),
    }
}

fn usages(certificate: &X509Certificate<'_>) -> Vec<&'static str> {
    let Ok(Some(extension)) = certificate.extended_key_usage() else {
        return Vec::new();
    };
    let ExtendedKeyUsage {
        any,
        server_auth,
        client_auth,
        ..
    } = extension.value;
    let all = [
        (any, "any"),
        (server_auth, "server"),
        (client_auth, "client"),
    ];
    all.into_iter()
        .filter_map(|(used, name)| used.then_some(name))
        .collect()
}

fn list(der: &[u8], now: OffsetDateTime) -> Option<Object> {
    let (_, parsed) = CertificateRevocationList::from_der(der).ok()?;
    let next_update = parsed.next_update();
    let days = |time: ASN1Time| (time.to_datetime() - now).whole_days();
    let revoked = parsed.iter_revoked_certificates().map(|entry| Revoked {
        serial: hexadecimal(&entry.user_certificate.to_bytes_be()),
        at: written(entry.revocation_date.to_datetime()),
        reason: entry.reason_code().map(|(_, code)| code.to_string()),
    });
    Some(Object::RevocationList(List {
        issuer: distinguished_name(parsed.issuer()),
        number: parsed.crl_number().map(ToString::to_string),
        this_update: written(parsed.last_update().to_datetime()),
        next_update: next_update.map(|time| written(time.to_datetime())),
        days_left: next_update.map(days),
        revoked: revoked.collect(),
    }))
}

/// As RFC 3339 writes it.
pub(super) fn written(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_else(|_| time.to_string())
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Object::Certificate(certificate) => {
                writeln!(f, "{}: certificate", self.file)?;
                certificate.fmt(f)
            }
            Object::RevocationList(list) => {
                writeln!(f, "{}: revocation list", self.file)?;
                list.fmt(f)
            }
            Object::PrivateKey => writeln!(f, "{}: private key", self.file),
        }
    }
}

impl fmt::Display for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "subject", &self.subject)?;
        for name in &self.names {
            line(f, "name", name)?;
        }
        line(f, "issuer", &self.issuer)?;
        line(f, "serial", &self.serial)?;
        line(f, "valid from", &self.not_before)?;
        let left = format!(
            "{} ({}, {} days left)",
            self.not_after, self.state, self.days_left
        );
        line(f, "valid until", &left)?;
        line(f, "key", &self.key)?;
        if !self.usages.is_empty() {
            line(f, "for", &self.usages.join(", "))?;
        }
        line(f, "CA", if self.ca { "yes" } else { "no" })?;
        line(f, "sha256", &self.sha256)?;
        line(f, "key sha256", &self.key_sha256)
    }
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(f, "issuer", &self.issuer)?;
        line(f, "number", self.number.as_deref().unwrap_or("none"))?;
        line(f, "this update", &self.this_update)?;
        match (&self.next_update, self.days_left) {
            (Some(next), Some(days)) => {
                line(f, "next update", &format!("{next} ({days} days left)"))?;
            }
            _ => line(f, "next update", "none")?,
        }
        for revoked in &self.revoked {
            let reason = revoked.reason.as_deref().unwrap_or("no reason given");
            line(
                f,
                "revoked",
                &format!("{} at {} ({reason})", revoked.serial, revoked.at),
            )?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, label: &str, value: &str) -> fmt::Result {
    writeln!(f, "  {label:<12} {value}")
}
