//! What a reload takes over from the trust in use.

use super::*;
use crate::{
    cli::certs::{DevelopmentCa, KeyAlgorithm},
    credential::CertificateFiles,
    tls::{ClientTrust, CrlPolicy},
    watch::look,
};
use std::{fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Duration};

/// Settings whose files are in a folder of their own, and a client's chain.
struct Ground {
    folder: PathBuf,
    settings: TlsSettings,
    chain: Vec<CertificateDer<'static>>,
}

impl Ground {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
        let own = authority.issue_server(&["localhost"]).unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let settings = TlsSettings {
            certificates: vec![CertificateFiles {
                chain: write("server.pem", &own.certificate_pem),
                key: write("server.key", &own.key_pem),
            }],
            min_version: MinVersion::Tls12,
            clients: ClientTrust {
                mode: ClientCertMode::Required,
                ca: vec![write("ca.pem", authority.certificate_pem())],
                crl: Vec::new(),
                crl_missing: CrlPolicy::Refuse,
                crl_expired: CrlPolicy::Refuse,
                close_spread: Duration::ZERO,
            },
            allow_readable_keys: true,
            ticket_keys: None,
        };
        let chain = authority.issue_client("Alice", "").unwrap().chain();
        Self {
            folder,
            settings,
            chain,
        }
    }

    fn load(&self, in_use: Option<&Arc<Trust>>) -> Arc<Trust> {
        let files = &self.files();
        Trust::load(&self.settings, (in_use, files), now(), &mut Vec::new()).unwrap()
    }

    fn files(&self) -> Digests {
        let own = self.settings.certificates.iter();
        let paths = own.flat_map(|pair| [&pair.chain, &pair.key]);
        let paths = paths.chain(&self.settings.clients.ca);
        let digest = |path: &PathBuf| look::digest(path).ok().map(|(_, digest)| digest);
        paths.map(|path| (path.clone(), digest(path))).collect()
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn now() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(now.unwrap().as_secs()).unwrap()
}

fn knows(trust: &Trust, chain: &[CertificateDer<'static>]) -> bool {
    let verifier = trust.parts.authorities.verifier.as_ref().unwrap();
    verifier.knows(&chain[0], &chain[1..], now())
}

#[test]
fn verified_chains_are_known_to_a_trust_that_follows_with_the_same_cas() {
    let ground = Ground::new("same-trust");
    let first = ground.load(None);
    assert!(!knows(&first, &ground.chain));
    assert_eq!(first.standing(&ground.chain, now()), Standing::Trusted);
    assert!(knows(&ground.load(Some(&first)), &ground.chain));
}

#[test]
fn verified_chains_are_unknown_to_a_trust_with_other_policies() {
    let mut ground = Ground::new("other-trust");
    let first = ground.load(None);
    assert_eq!(first.standing(&ground.chain, now()), Standing::Trusted);
    ground.settings.clients.crl_missing = CrlPolicy::Allow;
    assert!(!knows(&ground.load(Some(&first)), &ground.chain));
}

#[test]
fn same_files_are_the_same_trust() {
    let ground = Ground::new("whole-trust");
    let first = ground.load(None);
    assert!(Arc::ptr_eq(&first, &ground.load(Some(&first))));
}

#[test]
fn credential_that_has_expired_is_refused_though_its_files_are_the_same() {
    let ground = Ground::new("expired-credential");
    let first = ground.load(None);
    let later = first.credentials()[0].not_after + 1;
    let loaded = Trust::load(
        &ground.settings,
        (Some(&first), &ground.files()),
        later,
        &mut Vec::new(),
    );
    let problems = loaded.err().unwrap();
    assert!(problems[0].message.contains("expired on"), "{problems:?}");
}

#[test]
fn key_that_others_can_read_by_now_is_refused_though_it_is_the_same() {
    let mut ground = Ground::new("readable-key");
    ground.settings.allow_readable_keys = false;
    let key = ground.settings.certificates[0].key.clone();
    let mode = |mode| fs::set_permissions(&key, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o600);
    let first = ground.load(None);
    mode(0o644);
    let loaded = Trust::load(
        &ground.settings,
        (Some(&first), &ground.files()),
        now(),
        &mut Vec::new(),
    );
    let problems = loaded.err().unwrap();
    assert!(
        problems[0].message.contains("others may read"),
        "{problems:?}"
    );
}

#[test]
fn ca_that_has_expired_is_warned_of_though_its_file_is_the_same() {
    let ground = Ground::new("expired-ca");
    let first = ground.load(None);
    let ca = first
        .expiries
        .iter()
        .find(|it| it.kind == ExpiryKind::ClientCa);
    let later = ca.unwrap().unix + 1;
    let (in_use, clients) = (&first.parts.authorities, &ground.settings.clients);
    let mut findings = Findings::default();
    let next = Authorities::load(
        clients,
        (Some(in_use), &ground.files()),
        later,
        &mut findings,
    );
    assert!(!Arc::ptr_eq(&next, in_use));
    let warning = &findings.warnings[0].message;
    assert!(warning.contains("has expired"), "{warning}");
}

#[test]
fn warnings_of_what_is_shared_are_said_again() {
    let ground = Ground::new("warned-again");
    let key = &ground.settings.certificates[0].key;
    fs::set_permissions(key, fs::Permissions::from_mode(0o644)).unwrap();
    let load = |in_use: Option<&Arc<Trust>>| {
        let mut warnings = Vec::new();
        let trust = Trust::load(
            &ground.settings,
            (in_use, &ground.files()),
            now(),
            &mut warnings,
        )
        .unwrap();
        (trust, warnings)
    };
    let (first, warnings) = load(None);
    assert_eq!(warnings.len(), 1);
    assert_eq!(load(Some(&first)).1, warnings);
}
