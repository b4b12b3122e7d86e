//! The `[tls]` and `[tls.clients]` tables.

use crate::{
    config::{
        findings::{Finding, Placed, Refusal},
        reader::{Table, wrong_type},
        source::Place,
        units,
        values::{self, word},
    },
    credential::CertificateFiles,
    policy::ClientCertMode,
    tls::{ClientTrust, CrlPolicy, MinVersion, TlsSettings},
};
use std::{path::PathBuf, time::Duration};
use toml::de::DeValue;

/// Short enough for revoked sockets to be gone two seconds after their list has changed, long
/// enough for those who may to come back one after the other.
const CLOSE_SPREAD: Duration = Duration::from_millis(500);

/// The `[tls]` table as read.
#[derive(Debug)]
pub(in crate::config) struct TlsDraft {
    certificates: Option<Vec<CertificateDraft>>,
    min_version: Option<Placed<MinVersion>>,
    allow_readable_keys: Option<Placed<bool>>,
    ticket_keys: Option<Placed<PathBuf>>,
    pub(in crate::config) clients: ClientsDraft,
}

/// An entry of `tls.certificates` as read.
#[derive(Debug)]
struct CertificateDraft {
    chain: Option<Placed<PathBuf>>,
    key: Option<Placed<PathBuf>>,
}

/// The `[tls.clients]` table as read.
#[derive(Debug)]
pub(in crate::config) struct ClientsDraft {
    pub(in crate::config) place: Place,
    pub(in crate::config) mode: Option<Placed<ClientCertMode>>,
    pub(in crate::config) ca: Option<Placed<Vec<Placed<PathBuf>>>>,
    crl: Option<Placed<Vec<Placed<PathBuf>>>>,
    crl_missing: Option<Placed<CrlPolicy>>,
    crl_expired: Option<Placed<CrlPolicy>>,
    close_spread: Option<Placed<Duration>>,
}

impl TlsDraft {
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let draft = Self {
            certificates: read_certificates(&mut table),
            min_version: table.or_default("min_version", min_version, MinVersion::Tls12),
            allow_readable_keys: table.or_default("allow_readable_keys", values::boolean, false),
            ticket_keys: table.file("ticket_keys", values::path),
            clients: ClientsDraft::read(table.table("clients")),
        };
        table.finish();
        draft
    }

    pub(super) fn settle(self) -> Option<TlsSettings> {
        let certificates = self.certificates?.into_iter();
        Some(TlsSettings {
            certificates: certificates
                .map(CertificateDraft::settle)
                .collect::<Option<_>>()?,
            min_version: self.min_version?.value,
            clients: self.clients.settle()?,
            allow_readable_keys: self.allow_readable_keys?.value,
            ticket_keys: self.ticket_keys.map(|path| path.value),
        })
    }
}

fn read_certificates(table: &mut Table<'_>) -> Option<Vec<CertificateDraft>> {
    let certificates = table.tables("certificates")?;
    if certificates.value.is_empty() {
        let place = certificates.place.or_else(|| table.place.clone());
        let finding = Finding::error(&place, "no server certificate in [tls]");
        let example = "[{ chain = \"certs/server.pem\", key = \"certs/server.key\" }]";
        let hint = format!("write certificates = {example}");
        table.reading().report_absence(finding.hint(hint));
    }
    let certificates = certificates.value.into_iter();
    Some(certificates.map(CertificateDraft::read).collect())
}

impl CertificateDraft {
    fn read(mut table: Table<'_>) -> Self {
        let draft = Self {
            chain: table.required_file("chain", values::path),
            key: table.required_file("key", values::path),
        };
        table.finish();
        draft
    }

    fn settle(self) -> Option<CertificateFiles> {
        Some(CertificateFiles {
            chain: self.chain?.value,
            key: self.key?.value,
        })
    }
}

impl ClientsDraft {
    fn read(mut table: Table<'_>) -> Self {
        let draft = Self {
            place: table.place.clone(),
            mode: table.or_default("mode", values::client_cert, ClientCertMode::Required),
            ca: table.files("ca", values::path),
            crl: read_lists(&mut table),
            crl_missing: table.or_default("crl_missing", crl_policy, CrlPolicy::Refuse),
            crl_expired: table.or_default("crl_expired", crl_policy, CrlPolicy::Refuse),
            close_spread: table.or_default("close_spread", units::duration, CLOSE_SPREAD),
        };
        table.finish();
        draft
    }

    fn settle(self) -> Option<ClientTrust> {
        let ca = self.ca?.value.into_iter();
        let crl = self.crl?.value.into_iter();
        Some(ClientTrust {
            mode: self.mode?.value,
            ca: ca.map(|path| path.value).collect(),
            crl: crl.map(|path| path.value).collect(),
            crl_missing: self.crl_missing?.value,
            crl_expired: self.crl_expired?.value,
            close_spread: self.close_spread?.value,
        })
    }
}

/// Without lists nobody is asked whether a certificate is revoked. A template that has lost them
/// looks the same as an operator who wants it so.
fn read_lists(table: &mut Table<'_>) -> Option<Placed<Vec<Placed<PathBuf>>>> {
    let lists = table.files("crl", values::path)?;
    if lists.place.is_some() && lists.value.is_empty() {
        let message = "`crl` is an empty list: no certificate is checked for revocation";
        let finding = Finding::warning(&lists.place, message);
        let hint = "leave the key out if that is meant, or name the CAs' lists";
        table.reading().report(finding.hint(hint));
    }
    Some(lists)
}

fn min_version(value: &DeValue<'_>) -> Result<MinVersion, Refusal> {
    match value {
        DeValue::Float(number) => {
            let refusal = wrong_type(value, "a string such as \"1.2\"");
            let hint = format!("put it in quotes: \"{}\"", number.as_str());
            Err(Refusal { hint, ..refusal })
        }
        _ => word(
            value,
            &[("1.2", MinVersion::Tls12), ("1.3", MinVersion::Tls13)],
        ),
    }
}

fn crl_policy(value: &DeValue<'_>) -> Result<CrlPolicy, Refusal> {
    word(
        value,
        &[("refuse", CrlPolicy::Refuse), ("allow", CrlPolicy::Allow)],
    )
}
