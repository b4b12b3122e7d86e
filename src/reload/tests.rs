//! What a candidate shares with the snapshot in use.

use super::build::{InUse, prepare};
use crate::{
    backend::registry::Registry,
    cli::certs::{DevelopmentCa, KeyAlgorithm},
    config::Loaded,
    observe::Metrics,
    snapshot::Snapshot,
    watch::look::Digests,
};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

const TEXT: &str = "[[listener]]\nname = 'l'\naddress = '127.0.0.1:8443'\n\
    [tls]\nallow_readable_keys = true\ncertificates = [\n\
    { chain = 'one.pem', key = 'one.key' }, { chain = 'two.pem', key = 'two.key' }]\n\
    [tls.clients]\nca = ['ca.pem']\n\
    [integrity]\nkeyring = 'keyring.toml'\n\
    [backend.one]\nservers = ['ws://127.0.0.1:9001']\n\
    [[route]]\npath = '/a'\nbackend = 'one'\n";

/// A configuration in a folder of its own, in use.
struct Ground {
    folder: PathBuf,
    authority: DevelopmentCa,
    metrics: Metrics,
    loaded: Arc<Loaded>,
    digests: Digests,
    snapshot: Snapshot,
}

impl Ground {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("tidegate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
        fs::write(folder.join("ca.pem"), authority.certificate_pem()).unwrap();
        fs::write(folder.join("proxy.toml"), TEXT).unwrap();
        write_keyring(&folder, "k1");
        for name in ["one", "two"] {
            issue(&folder, &authority, name);
        }
        let metrics = Metrics::unscraped(&["l".to_owned()]).unwrap();
        let candidate = prepare(&folder.join("proxy.toml"), None, |_| {})
            .ok()
            .unwrap();
        Self {
            loaded: Arc::clone(&candidate.loaded),
            digests: candidate.digests.clone(),
            snapshot: candidate.snapshot(1, &metrics, &Registry::default()),
            folder,
            authority,
            metrics,
        }
    }

    /// The configuration in use and the next one, as the files are now.
    fn next(&self) -> (Arc<Loaded>, Snapshot) {
        let in_use = InUse {
            loaded: &self.loaded,
            digests: &self.digests,
            snapshot: &self.snapshot,
        };
        let path = self.folder.join("proxy.toml");
        let candidate = prepare(&path, Some(in_use), |_| {}).ok().unwrap();
        let loaded = Arc::clone(&candidate.loaded);
        (
            loaded,
            candidate.snapshot(2, &self.metrics, &Registry::default()),
        )
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn issue(folder: &Path, authority: &DevelopmentCa, name: &str) {
    let own = authority.issue_server(&[name]).unwrap();
    fs::write(folder.join(format!("{name}.pem")), &own.certificate_pem).unwrap();
    fs::write(folder.join(format!("{name}.key")), &own.key_pem).unwrap();
}

fn write_keyring(folder: &Path, kid: &str) {
    let secret = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
    let text = format!("[[key]]\nkid = '{kid}'\nkind = 'secret'\nsecret = '{secret}'\n");
    let path = folder.join("keyring.toml");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn changed_certificate_parses_no_configuration_again_and_rebuilds_nothing_but_itself() {
    let ground = Ground::new("one-certificate");
    issue(&ground.folder, &ground.authority, "two");
    let (loaded, next) = ground.next();
    let before = &ground.snapshot;
    assert!(Arc::ptr_eq(&loaded, &ground.loaded));
    assert!(Arc::ptr_eq(&next.routing, &before.routing));
    assert!(Arc::ptr_eq(&next.keyring, &before.keyring));
    assert!(next.trust.shares_authorities(&before.trust));
    let pairs = next.trust.credentials().iter();
    let pairs = pairs.zip(before.trust.credentials());
    let shared: Vec<_> = pairs.map(|(new, old)| Arc::ptr_eq(new, old)).collect();
    assert_eq!(shared, [true, false]);
    assert!(next.judges_like(before));
}

#[test]
fn changed_limit_leaves_routes_keys_and_trust() {
    let ground = Ground::new("one-limit");
    let text = format!("{TEXT}[limits]\nmessage = '1KiB'\n");
    fs::write(ground.folder.join("proxy.toml"), text).unwrap();
    let (loaded, next) = ground.next();
    let before = &ground.snapshot;
    assert!(!Arc::ptr_eq(&loaded, &ground.loaded));
    assert_eq!(next.limits.message, 1024);
    assert!(Arc::ptr_eq(&next.routing, &before.routing));
    assert!(Arc::ptr_eq(&next.keyring, &before.keyring));
    assert!(Arc::ptr_eq(&next.trust, &before.trust));
}

#[test]
fn changed_route_or_keyring_is_another_and_judges_anew() {
    let ground = Ground::new("one-route");
    write_keyring(&ground.folder, "k2");
    let (_, next) = ground.next();
    assert!(next.keyring.key("k2").is_some());
    assert!(Arc::ptr_eq(&next.routing, &ground.snapshot.routing));
    assert!(!next.judges_like(&ground.snapshot));
    write_keyring(&ground.folder, "k1");
    let text = TEXT.replace("'/a'", "'/b'");
    fs::write(ground.folder.join("proxy.toml"), text).unwrap();
    let (_, next) = ground.next();
    assert!(!Arc::ptr_eq(&next.routing, &ground.snapshot.routing));
    assert!(Arc::ptr_eq(&next.keyring, &ground.snapshot.keyring));
    assert!(!next.judges_like(&ground.snapshot));
}
