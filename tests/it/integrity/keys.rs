//! The keyring while sockets use its keys.

use super::*;
use crate::support::{Upgrade, credentials::write_key, log, within};
use std::{fs, os::unix::fs::PermissionsExt as _};
use tidegate::{
    cli::keys::{self, DestroyArguments, KeyArguments, KeysArguments, KeysCommand},
    ending::SocketEnding,
    integrity::{base64url, keyring::Kid},
    reload::Outcome,
};

const SOCKETS: &str = "tidegate_integrity_key_websockets_open";
/// Rotations, and sockets that each key opens.
const ROTATIONS: usize = 50;
const SOCKETS_A_KEY: u8 = 4;

/// Puts another keyring to use; its file is replaced whole, and only the owner may read it.
pub(super) async fn put(proxy: &Proxy, text: &str) {
    write(proxy, text);
    proxy.reload().await;
}

fn write(proxy: &Proxy, text: &str) {
    let new = proxy.folder.path("certs/keyring.new");
    write_key(&new, text.as_bytes());
    fs::rename(new, proxy.folder.path(KEYRING)).unwrap();
}

fn with(kid: &str) -> ClientOffer {
    sealed::hmac(&shared(kid), false)
}

async fn is_refused(proxy: &Proxy, kid: &str) {
    let mut wire = proxy.connect().await;
    let request = sealed::request("/", Binding::Frame, &with(kid));
    wire.send(&request.bytes()).await;
    assert_eq!(wire.read_answer().await.head.status(), 400);
}

#[tokio::test]
async fn a_new_key_serves_the_next_handshake_and_a_retiring_one_its_running_sockets() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let mut old = open(&proxy, Binding::Frame, &with(KID)).await;
    put(&proxy, &keyring(&[(KID, "retiring"), ("edge-2", "active")])).await;
    let mut new = open(&proxy, Binding::Message, &with("edge-2")).await;
    new.echoes().await;
    old.echoes().await;
    is_refused(&proxy, KID).await;
    proxy.wait_for(SOCKETS, &[("key", KID)], 1.0).await;
    proxy.wait_for(SOCKETS, &[("key", "edge-2")], 1.0).await;
    old.close(1000, "").await;
    old.wire.finish().await;
    proxy.wait_for(SOCKETS, &[("key", KID)], 0.0).await;
}

#[tokio::test]
async fn a_revoked_key_ends_its_sockets_and_no_others() {
    let backend = Backend::echo().await;
    let keys = keyring(&[(KID, "active"), ("edge-2", "active")]);
    let proxy = Proxy::start(config(&backend, "required").file(KEYRING, keys));
    let mut frames = open(&proxy, Binding::Frame, &with(KID)).await;
    let mut messages = open(&proxy, Binding::Message, &with(KID)).await;
    let mut other = open(&proxy, Binding::Frame, &with("edge-2")).await;
    let mut unkeyed = open(&proxy, Binding::Frame, &ClientOffer::sha256()).await;
    for socket in [&mut frames, &mut messages, &mut other, &mut unkeyed] {
        socket.echoes().await;
    }
    put(&proxy, &keyring(&[(KID, "revoked"), ("edge-2", "active")])).await;
    let revoked = policy("frame-integrity: key revoked");
    assert_eq!(frames.next().await, revoked);
    assert_eq!(messages.next().await, revoked);
    frames.wire.finish().await;
    messages.wire.finish().await;
    other.echoes().await;
    unkeyed.echoes().await;
    is_refused(&proxy, KID).await;
    proxy.wait_for(SOCKETS, &[("key", KID)], 0.0).await;
    proxy.wait_for(SOCKETS, &[("key", "edge-2")], 1.0).await;
    let ending = [("reason", "integrity_key_revoked"), ("code", "1008")];
    proxy.wait_for("tidegate_endings_total", &ending, 2.0).await;
}

/// A keyring whose key of the usual id is another one.
fn replaced() -> String {
    let [usual, other] = [KID, "edge-2"].map(|kid| base64url::encode(&sealed::secret(kid)));
    keyring(&[(KID, "active")]).replace(&usual, &other)
}

#[tokio::test]
async fn a_key_that_is_gone_or_replaced_counts_as_revoked() {
    let backend = Backend::echo().await;
    for new in [keyring(&[("edge-2", "active")]), replaced()] {
        let keys = keyring(&[(KID, "active"), ("edge-2", "active")]);
        let proxy = Proxy::start(config(&backend, "required").file(KEYRING, keys));
        let mut lost = open(&proxy, Binding::Frame, &with(KID)).await;
        let mut unkeyed = open(&proxy, Binding::Frame, &ClientOffer::sha256()).await;
        for socket in [&mut lost, &mut unkeyed] {
            socket.echoes().await;
        }
        put(&proxy, &new).await;
        assert_eq!(lost.next().await, policy("frame-integrity: key revoked"));
        lost.wire.finish().await;
        unkeyed.echoes().await;
        let told = |line: &log::Line| line.field("detail").contains("counts as revoked");
        proxy.wait_line(told).await;
    }
}

#[tokio::test]
async fn a_preview_tells_whose_key_would_be_gone() {
    let backend = Backend::echo().await;
    let config = config(&backend, "required").set("server", "watch = false");
    let proxy = Proxy::start(config);
    let mut socket = open(&proxy, Binding::Frame, &with(KID)).await;
    socket.echoes().await;
    write(&proxy, &keyring(&[("edge-2", "active")]));
    let preview = within("a preview", proxy.handle.reload(true)).await;
    let Some(Outcome::Done { touched, .. }) = preview else {
        panic!("{preview:?}");
    };
    let endings: Vec<_> = touched.iter().map(|touched| touched.ending).collect();
    assert_eq!(endings, [SocketEnding::IntegrityKeyRevoked]);
    socket.echoes().await;
}

#[tokio::test]
async fn a_retiring_key_that_sockets_use_is_destroyed_only_by_force() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(config(&backend, "required").set("server", "watch = false"));
    let mut socket = open(&proxy, Binding::Frame, &with(KID)).await;
    socket.echoes().await;
    // The proxy's own file leaves the admin listener's port to the system.
    let text = fs::read_to_string(proxy.folder.path("proxy.toml")).unwrap();
    let address = format!("address = '{}'", proxy.admin());
    let text = text.replace(
        "[admin]\naddress = '127.0.0.1:0'",
        &format!("[admin]\n{address}"),
    );
    proxy.folder.write("keys.toml", text);
    let keys = async |command| {
        let arguments = KeysArguments {
            keyring: None,
            config: Some(proxy.folder.path("keys.toml")),
            command,
        };
        let run = tokio::task::spawn_blocking(move || keys::run(&arguments, &mut Vec::new()));
        within("a command", run).await.unwrap()
    };
    let kid: Kid = KID.parse().unwrap();
    let destroy = |force| {
        let kid = kid.clone();
        KeysCommand::Destroy(DestroyArguments { kid, force })
    };
    let retire = KeysCommand::Retire(KeyArguments { kid: kid.clone() });
    keys(retire).await.unwrap();
    let refused = keys(destroy(false)).await.unwrap_err().to_string();
    assert!(refused.contains("open sockets (1)"), "{refused}");
    keys(destroy(true)).await.unwrap();
    proxy.reload().await;
    assert_eq!(socket.next().await, policy("frame-integrity: key revoked"));
}

#[tokio::test]
async fn a_keyring_that_others_may_read_is_refused_and_the_old_one_stays() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let path = proxy.folder.path(KEYRING);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    // Something else has changed as well, so that everything is read.
    fs::write(&path, keyring(&[("edge-2", "active")])).unwrap();
    let Outcome::Failed { problems } = proxy.try_reload().await else {
        panic!("a keyring that its group may read was taken");
    };
    let told = format!("{problems:?}");
    assert!(told.contains("keyring.toml"), "{told}");
    let mut socket = open(&proxy, Binding::Frame, &with(KID)).await;
    socket.echoes().await;
    is_refused(&proxy, "edge-2").await;
}

#[tokio::test]
async fn no_secret_is_logged() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "optional");
    open(&proxy, Binding::Frame, &with(KID))
        .await
        .echoes()
        .await;
    put(&proxy, &keyring(&[(KID, "revoked")])).await;
    proxy.open_with(&Upgrade::to("/")).await;
    let secret = base64url::encode(&sealed::secret(KID));
    let lines = log::lines(|_| true);
    assert!(!lines.is_empty());
    assert!(!format!("{lines:?}").contains(&secret));
}

#[tokio::test]
async fn fifty_rotations_lose_no_socket_and_each_stays_on_its_key() {
    let backend = Backend::echo().await;
    let proxy = proxy(&backend, "required");
    let mut sockets = Vec::new();
    let mut keys: Vec<String> = Vec::new();
    for rotation in 0..ROTATIONS {
        keys.push(format!("key-{rotation}"));
        let (newest, older) = keys.split_last().unwrap();
        let mut states: Vec<_> = older.iter().map(|kid| (kid.as_str(), "retiring")).collect();
        states.push((newest, "active"));
        put(&proxy, &keyring(&states)).await;
        for number in 0..SOCKETS_A_KEY {
            let socket = open(&proxy, BINDINGS[usize::from(number % 2)], &with(newest)).await;
            sockets.push(socket);
        }
        // Some of those that were there before.
        for socket in sockets.iter_mut().step_by(37) {
            socket.echoes().await;
        }
    }
    for socket in &mut sockets {
        socket.echoes().await;
    }
    for kid in &keys {
        let open = f64::from(SOCKETS_A_KEY);
        assert!((proxy.metric(SOCKETS, &[("key", kid)]) - open).abs() < f64::EPSILON);
    }
    is_refused(&proxy, "key-0").await;
}
