//! Whom the proxy believes: client CAs, CRLs, and one rustls configuration per way of asking.
//!
//! A resumed session restores the client's certificates without asking the verifier. So a ticket
//! is bound to its [`Trust`]: one that was issued under other CAs, other CRLs or another mode is
//! worth nothing here, and the client makes a full handshake. A client that resumes all the same is
//! judged again with [`Trust::standing`].

use super::{
    MinVersion, TlsSettings,
    authorities::Authorities,
    contents::{self, Contents, Kind},
    path::GoodPath,
    revocation::Findings,
    tickets::{Binding, OwnKeys, TicketKeys, Tickets},
};
use crate::{
    credential::{
        MaterialError,
        source::{Source, Version},
        store::{Credential, Resolver},
    },
    observe::{Expiry, ExpiryKind},
    policy::{ClientCertMode, judgement::Standing},
    watch::look::Digests,
};
use rustls::{
    CertificateError, ServerConfig, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::CertificateDer,
    server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier},
    version::{TLS12, TLS13},
};
use std::{collections::HashMap, fmt::Display, path::Path, sync::Arc};

/// Credentials and trust of one snapshot.
pub struct Trust {
    off: Arc<ServerConfig>,
    /// Absent where no CA is configured: then nothing can ask for a certificate.
    optional: Option<Arc<ServerConfig>>,
    required: Option<Arc<ServerConfig>>,
    parts: Parts,
    /// When what expires, for metrics and the status.
    pub expiries: Vec<Expiry>,
    /// How many certificates, CAs and lists each file holds.
    pub contents: Vec<Contents>,
    /// URI SAN of the default certificate, for `By` in X-Forwarded-Client-Cert.
    pub server_uri: Option<String>,
}

/// What a trust is made of; the next one shares what has not changed.
struct Parts {
    credentials: Vec<Arc<Credential>>,
    authorities: Arc<Authorities>,
    /// The proxy's own are for tickets where none are shared; they outlive a reload.
    tickets: Tickets,
    min_version: MinVersion,
}

impl Trust {
    /// Reads every file that `settings` name and verifies them together.
    ///
    /// What has not changed is shared with the trust in use, if there is one, the whole of it where
    /// nothing has: tickets and verified chains stay good under the same CAs, CRLs and policies.
    /// `files` says what files hold; of those that it does not know, nothing is shared. `now` is in
    /// seconds since 1970. Returns all problems at once; warnings are appended.
    pub fn load(
        settings: &TlsSettings,
        (in_use, files): (Option<&Arc<Trust>>, &Digests),
        now: i64,
        warnings: &mut Vec<MaterialError>,
    ) -> Result<Arc<Self>, Vec<MaterialError>> {
        let mut findings = Findings::default();
        let before = in_use.map(|trust| &trust.parts);
        let credentials = load_credentials(settings, (before, files), now, &mut findings);
        let authorities = (before.map(|parts| &parts.authorities), files);
        let authorities = Authorities::load(&settings.clients, authorities, now, &mut findings);
        let tickets = load_tickets(settings, before, &mut findings);
        warnings.append(&mut findings.warnings);
        let Some(tickets) = tickets.filter(|_| findings.problems.is_empty()) else {
            return Err(findings.problems);
        };
        let parts = Parts {
            credentials,
            authorities,
            tickets,
            min_version: settings.min_version,
        };
        if let Some(in_use) = in_use {
            warnings.extend(contents::fewer(&in_use.contents, &findings.contents));
            warnings.extend(contents::more_authorities(
                &in_use.contents,
                &findings.contents,
            ));
            if parts.are(&in_use.parts) {
                return Ok(Arc::clone(in_use));
            }
        }
        let built = parts.build(findings);
        built.map(Arc::new).map_err(|problem| vec![problem])
    }

    /// What is served.
    #[cfg(test)]
    pub(crate) fn credentials(&self) -> &[Arc<Credential>] {
        &self.parts.credentials
    }

    /// Whether it asks the very verifier that `other` asks.
    #[cfg(test)]
    pub(crate) fn shares_authorities(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.parts.authorities, &other.parts.authorities)
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
        let (Some(verifier), Some((leaf, rest))) =
            (&self.parts.authorities.verifier, chain.split_first())
        else {
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
        &self.parts.authorities.digest
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

impl Parts {
    /// Whether both are the same, so that the same is built of them.
    fn are(&self, other: &Self) -> bool {
        let pairs = self.credentials.iter().zip(&other.credentials);
        self.credentials.len() == other.credentials.len()
            && pairs
                .into_iter()
                .all(|(one, other)| Arc::ptr_eq(one, other))
            && Arc::ptr_eq(&self.authorities, &other.authorities)
            && self.tickets.shared == other.tickets.shared
            && self.min_version == other.min_version
    }

    fn build(self, findings: Findings) -> Result<Trust, MaterialError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let resolver = Arc::new(Resolver::new(&self.credentials));
        let Authorities {
            verifier, digest, ..
        } = &*self.authorities;
        let config = |verifier, mode| {
            let ticketer = self.tickets.ticketer(binding(mode, digest));
            let builder = ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(versions(self.min_version))
                .map_err(impossible)?;
            let config = builder
                .with_client_cert_verifier(verifier)
                .with_cert_resolver(resolver.clone());
            Ok(Arc::new(configured(config, ticketer)))
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
        let default = self.credentials.first();
        Ok(Trust {
            off: config(nobody, ClientCertMode::Off)?,
            optional: asking(ClientCertMode::Optional)?,
            required: asking(ClientCertMode::Required)?,
            expiries: findings.expiries,
            contents: findings.contents,
            server_uri: default.and_then(|credential| credential.uri.clone()),
            parts: self,
        })
    }
}

fn configured(mut config: ServerConfig, ticketer: Arc<dyn ProducesTickets>) -> ServerConfig {
    config.ticketer = ticketer;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    // Each ticket embeds the client's whole chain; one is enough for a reconnect.
    config.send_tls13_tickets = 1;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config
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

/// Every credential: the one in use as long as its source gives the same, else a new one.
fn load_credentials(
    settings: &TlsSettings,
    (in_use, files): (Option<&Parts>, &Digests),
    now: i64,
    findings: &mut Findings,
) -> Vec<Arc<Credential>> {
    let in_use = in_use.map_or(&[][..], |parts| &parts.credentials);
    let in_use = in_use.iter().filter(|it| it.is_valid(now));
    let known: HashMap<Version, &Arc<Credential>> =
        in_use.filter_map(|it| Some((it.version?, it))).collect();
    let mut credentials = Vec::new();
    for source in settings.sources() {
        let version = source.version(files);
        let kept = version.and_then(|version| known.get(&version));
        let loaded = match kept {
            Some(kept) => {
                findings.warnings.extend_from_slice(&kept.warnings);
                Ok(Arc::clone(kept))
            }
            None => Credential::load(&source, version, now, &mut findings.warnings).map(Arc::new),
        };
        match loaded {
            Ok(credential) => {
                note(&credential, findings);
                credentials.push(credential);
            }
            Err(problem) => findings.problems.push(problem),
        }
    }
    credentials
}

fn note(credential: &Credential, findings: &mut Findings) {
    findings.expiries.push(Expiry {
        kind: ExpiryKind::Server,
        name: credential.place.display().to_string(),
        unix: credential.not_after,
    });
    let count = credential.chain_length();
    let contents = Contents::new(&credential.place, Kind::Chain, count);
    findings.contents.push(contents);
}

/// The shared keys, if there are any, and the proxy's own; `None` after a problem.
fn load_tickets(
    settings: &TlsSettings,
    in_use: Option<&Parts>,
    findings: &mut Findings,
) -> Option<Tickets> {
    let readable = settings.allow_readable_keys;
    let mut load = |path| TicketKeys::load(path, readable, &mut findings.warnings).map(Arc::new);
    let shared = settings.ticket_keys.as_deref().map(&mut load).transpose();
    let own = match in_use {
        Some(parts) => Ok(parts.tickets.own.clone()),
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

#[cfg(test)]
mod tests;
