//! What a reload takes over from the trust in use.

use super::*;
use crate::{
    cli::certs::{DevelopmentCa, KeyAlgorithm},
    credential::CertificateFiles,
};
use std::{fs, path::PathBuf, time::Duration};

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

    fn load(&self, in_use: Option<&Trust>) -> Trust {
        Trust::load(&self.settings, in_use, now(), &mut Vec::new()).unwrap()
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
    let verifier = trust.verifier.as_ref().unwrap();
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
