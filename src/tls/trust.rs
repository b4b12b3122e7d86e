//! Whom the proxy believes: client CAs, CRLs, and one rustls configuration per way of asking.
//!
//! A resumed session restores the client's certificates without asking the verifier. So a ticket
//! is bound to its [`Trust`]: one that was issued under other CAs, other CRLs or another mode is
//! worth nothing here, and the client makes a full handshake. A client that resumes all the same is
//! judged again with [`Trust::standing`].

use super::{
    ClientTrust, CrlPolicy, MinVersion, TlsSettings,
    contents::{self, Contents, Kind},
    path::{self, GoodPath, Paths},
    revocation::{self, Findings, Issuers, RevocationList, status::Lists},
    tickets::{Binding, OwnKeys, TicketKeys, Tickets},
    verifier::Verifier,
};
use crate::{
    credential::{
        MaterialError, file,
        store::{Credential, Resolver},
    },
    observe::{Expiry, ExpiryKind},
    policy::{ClientCertMode, judgement::Standing},
};
use rustls::{
    CertificateError, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::CertificateDer,
    server::{
        NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier, danger::ClientCertVerifier,
    },
    version::{TLS12, TLS13},
};
use sha2::{Digest, Sha256};
use std::{fmt::Display, path::Path, sync::Arc};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

/// Credentials and trust of one snapshot.
pub struct Trust {
    off: Arc<ServerConfig>,
    /// Absent where no CA is configured: then nothing can ask for a certificate.
    optional: Option<Arc<ServerConfig>>,
    required: Option<Arc<ServerConfig>>,
    /// What handshakes ask, to ask again later; absent where no CA is configured.
    verifier: Option<Verifier>,
    /// The same for the same CAs, CRLs and policies.
    digest: [u8; 32],
    /// For tickets where none are shared; they outlive a reload.
    own_keys: OwnKeys,
    /// When what expires, for metrics and the status.
    pub expiries: Vec<Expiry>,
    /// How many certificates, CAs and lists each file holds.
    pub contents: Vec<Contents>,
    /// URI SAN of the default certificate, for `By` in X-Forwarded-Client-Cert.
    pub server_uri: Option<String>,
}

/// The client CAs of a snapshot, ready to build a verifier from.
struct Authorities {
    certificates: Vec<CertificateDer<'static>>,
    lists: Vec<RevocationList>,
    digest: [u8; 32],
}

impl Trust {
    /// Reads every file that `settings` name and verifies them together.
    ///
    /// What does not depend on them is taken over from the trust in use, if there is one: tickets
    /// and verified chains stay good under the same CAs, CRLs and policies. `now` is in seconds
    /// since 1970. Returns all problems at once; warnings are appended.
    pub fn load(
        settings: &TlsSettings,
        in_use: Option<&Trust>,
        now: i64,
        warnings: &mut Vec<MaterialError>,
    ) -> Result<Self, Vec<MaterialError>> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut findings = Findings::default();
        let credentials = load_credentials(settings, now, &mut findings);
        let authorities = load_authorities(&settings.clients, &provider, now, &mut findings);
        let tickets = load_tickets(settings, in_use, &mut findings);
        let Findings {
            expiries,
            contents,
            warnings: found,
            problems,
        } = findings;
        warnings.extend(found);
        let Some(tickets) = tickets.filter(|_| problems.is_empty()) else {
            return Err(problems);
        };
        let server_uri = credentials
            .first()
            .and_then(|credential| credential.uri.clone());
        if let Some(in_use) = in_use {
            warnings.extend(contents::fewer(&in_use.contents, &contents));
            warnings.extend(contents::more_authorities(&in_use.contents, &contents));
        }
        let parts = Parts {
            settings,
            resolver: Arc::new(Resolver::new(&credentials)),
            provider,
            tickets,
            in_use,
        };
        parts
            .build(authorities, expiries, server_uri)
            .map(|trust| Trust { contents, ..trust })
            .map_err(|problem| vec![problem])
    }

    /// What the CAs and CRLs say of a chain, leaf first, at a time in seconds since 1970.
    ///
    /// It is what a handshake would say then; a chain that nobody can judge is of an unknown
    /// issuer.
    pub fn verify(
        &self,
        chain: &[CertificateDer<'_>],
        now: i64,
    ) -> Result<GoodPath, rustls::Error> {
        let (Some(verifier), Some((leaf, rest))) = (&self.verifier, chain.split_first()) else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        verifier.verify(leaf, rest, now)
    }

    /// The same as [`Trust::verify`] says, in short.
    pub fn standing(&self, chain: &[CertificateDer<'_>], now: i64) -> Standing {
        let said = self.verify(chain, now);
        said.map_or_else(|error| standing_after(&error), |_| Standing::Trusted)
    }

    /// The same for the same CAs, CRLs and policies: then a chain has the standing that it had.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// The configuration that asks for certificates as `mode` says.
    pub fn config(&self, mode: ClientCertMode) -> &Arc<ServerConfig> {
        let asking = match mode {
            ClientCertMode::Off => None,
            ClientCertMode::Optional => self.optional.as_ref(),
            ClientCertMode::Required => self.required.as_ref(),
        };
        asking.unwrap_or(&self.off)
    }
}

/// What an error of [`Trust::verify`] says of a chain.
pub fn standing_after(error: &rustls::Error) -> Standing {
    match error {
        rustls::Error::InvalidCertificate(error) => standing_of(error),
        _ => Standing::Invalid,
    }
}

/// What an error of rustls says of a chain.
pub fn standing_of(error: &CertificateError) -> Standing {
    use CertificateError as E;
    match error {
        E::Expired | E::ExpiredContext { .. } => Standing::Expired,
        E::NotValidYet | E::NotValidYetContext { .. } => Standing::NotYetValid,
        E::Revoked => Standing::Revoked,
        E::UnknownIssuer => Standing::UnknownIssuer,
        E::UnknownRevocationStatus
        | E::ExpiredRevocationList
        | E::ExpiredRevocationListContext { .. } => Standing::StatusUnknown,
        E::InvalidPurpose | E::InvalidPurposeContext { .. } => Standing::WrongPurpose,
        _ => Standing::Invalid,
    }
}

/// What all configurations of one [`Trust`] share.
struct Parts<'a> {
    settings: &'a TlsSettings,
    provider: Arc<CryptoProvider>,
    resolver: Arc<Resolver>,
    tickets: Tickets,
    in_use: Option<&'a Trust>,
}

impl Parts<'_> {
    fn build(
        &self,
        authorities: Option<Authorities>,
        expiries: Vec<Expiry>,
        server_uri: Option<String>,
    ) -> Result<Trust, MaterialError> {
        let digest = authorities.as_ref().map_or([0; 32], |known| known.digest);
        let verifier = authorities.map(|authorities| self.verifier(authorities));
        let config = |verifier, mode| {
            let ticketer = self.tickets.ticketer(binding(mode, &digest));
            self.config(verifier, ticketer).map_err(impossible)
        };
        let asking = |mode| {
            let verifier = verifier.as_ref().map(|verifier| match mode {
                ClientCertMode::Optional => verifier.optional(),
                _ => verifier.clone(),
            });
            verifier
                .map(|verifier| config(Arc::new(verifier), mode))
                .transpose()
        };
        let nobody = WebPkiClientVerifier::no_client_auth();
        Ok(Trust {
            off: config(nobody, ClientCertMode::Off)?,
            optional: asking(ClientCertMode::Optional)?,
            required: asking(ClientCertMode::Required)?,
            verifier,
            digest,
            own_keys: self.tickets.own.clone(),
            expiries,
            contents: Vec::new(),
            server_uri,
        })
    }

    fn verifier(&self, authorities: Authorities) -> Verifier {
        let Authorities {
            certificates,
            lists,
            digest,
        } = authorities;
        let lists = Lists::new(&self.settings.clients, lists);
        let paths = Paths::new(&certificates, lists, self.provider.clone());
        let verifier = Verifier::new(paths, &self.provider);
        let in_use = self.in_use.filter(|trust| trust.digest == digest);
        match in_use.and_then(|trust| trust.verifier.as_ref()) {
            Some(in_use) => verifier.knowing(in_use),
            None => verifier,
        }
    }

    fn config(
        &self,
        verifier: Arc<dyn ClientCertVerifier>,
        ticketer: Arc<dyn ProducesTickets>,
    ) -> Result<Arc<ServerConfig>, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(versions(self.settings.min_version))?
            .with_client_cert_verifier(verifier)
            .with_cert_resolver(self.resolver.clone());
        config.ticketer = ticketer;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        // Each ticket embeds the client's whole chain; one is enough for a reconnect.
        config.send_tls13_tickets = 1;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Where rustls refuses what never depends on the configuration.
fn impossible(error: impl Display) -> MaterialError {
    MaterialError::new(
        Path::new("tls"),
        format!("TLS cannot be set up: {error}"),
        "this is a bug in tidegate: please report it",
    )
}

/// What a ticket of this trust and way of asking is bound to.
fn binding(mode: ClientCertMode, digest: &[u8; 32]) -> Binding {
    let mut binding = [0; 33];
    let (first, rest) = binding.split_at_mut(1);
    first.fill(match mode {
        ClientCertMode::Off => 0,
        ClientCertMode::Optional => 1,
        ClientCertMode::Required => 2,
    });
    rest.copy_from_slice(digest);
    binding
}

fn versions(lowest: MinVersion) -> &'static [&'static SupportedProtocolVersion] {
    static FROM_12: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
    match lowest {
        MinVersion::Tls12 => &FROM_12,
        MinVersion::Tls13 => FROM_12.get(..1).unwrap_or(&FROM_12),
    }
}

fn load_credentials(settings: &TlsSettings, now: i64, findings: &mut Findings) -> Vec<Credential> {
    let mut credentials = Vec::new();
    let readable = settings.allow_readable_keys;
    for pair in &settings.certificates {
        match Credential::load(pair, now, readable, &mut findings.warnings) {
            Ok(credential) => {
                findings.expiries.push(Expiry {
                    kind: ExpiryKind::Server,
                    name: credential.name.clone(),
                    unix: credential.not_after,
                });
                let count = credential.chain_length();
                findings
                    .contents
                    .push(Contents::new(&pair.chain, Kind::Chain, count));
                credentials.push(credential);
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    credentials
}

/// The shared keys, if there are any, and the proxy's own; `None` after a problem.
fn load_tickets(
    settings: &TlsSettings,
    in_use: Option<&Trust>,
    findings: &mut Findings,
) -> Option<Tickets> {
    let readable = settings.allow_readable_keys;
    let mut load = |path| TicketKeys::load(path, readable, &mut findings.warnings).map(Arc::new);
    let shared = settings.ticket_keys.as_deref().map(&mut load).transpose();
    let own = match in_use {
        Some(trust) => Ok(trust.own_keys.clone()),
        None => OwnKeys::new().map_err(impossible),
    };
    match (own, shared) {
        (Ok(own), Ok(shared)) => Some(Tickets { own, shared }),
        (Err(problem), _) | (_, Err(problem)) => {
            findings.problems.push(problem);
            None
        }
    }
}

fn load_authorities(
    clients: &ClientTrust,
    provider: &CryptoProvider,
    now: i64,
    findings: &mut Findings,
) -> Option<Authorities> {
    let mut certificates = Vec::new();
    for path in &clients.ca {
        let before = certificates.len();
        match load_ca(path, now, &mut certificates, &mut findings.warnings) {
            Ok(not_after) => {
                let count = certificates.len() - before;
                findings
                    .contents
                    .push(Contents::new(path, Kind::Authorities, count));
                findings.expiries.push(Expiry {
                    kind: ExpiryKind::ClientCa,
                    name: path.display().to_string(),
                    unix: not_after,
                });
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    let issuers = Issuers {
        authorities: &certificates,
        provider,
        now,
    };
    let lists = revocation::load(clients, &issuers, findings);
    (!certificates.is_empty()).then(|| Authorities {
        digest: digest(clients, &certificates, &lists),
        certificates,
        lists,
    })
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
    let refuses = |policy| u8::from(policy == CrlPolicy::Refuse);
    let mut whole = Sha256::new();
    whole.update([refuses(clients.crl_missing), refuses(clients.crl_expired)]);
    for part in &parts {
        whole.update(part);
    }
    whole.finalize().into()
}

/// Adds every CA of a file; returns the earliest end of validity among them.
fn load_ca(
    path: &Path,
    now: i64,
    certificates: &mut Vec<CertificateDer<'static>>,
    warnings: &mut Vec<MaterialError>,
) -> Result<i64, MaterialError> {
    let mut earliest = i64::MAX;
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
        earliest = earliest.min(not_after);
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
    Ok(earliest)
}

#[cfg(test)]
mod tests;
