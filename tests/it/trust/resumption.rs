//! Sessions that are resumed, and those that must not be.

use super::{closes_with, open, refusal, revoke, with_list};
use crate::support::{
    Backend, Config, Credentials, Proxy, Upgrade, client::Session, credentials::write_key, frame,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::version::{TLS12, TLS13};
use std::path::Path;

/// A file of ticket keys, each of equal bytes.
fn keys(bytes: &[u8]) -> String {
    let line = |byte: &u8| URL_SAFE_NO_PAD.encode([*byte; 48]) + "\n";
    bytes.iter().map(line).collect()
}

/// Writes ticket keys and puts them to use.
async fn share(proxy: &Proxy, config: &Config, bytes: &[u8]) {
    let file = proxy.folder.path("certs/tickets.txt");
    write_key(Path::new(&file), keys(bytes).as_bytes());
    let config = config
        .clone()
        .set("tls", "ticket_keys = 'certs/tickets.txt'");
    proxy.apply(&config).await;
}

/// Reads what is sent first: over TLS 1.3, a ticket comes with it.
async fn upgraded(session: Session) -> bool {
    let mut wire = session.wire;
    wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    wire.send(&frame::close(1000, "")).await;
    wire.read_frame().await;
    session.resumed
}

#[tokio::test]
async fn a_session_resumes_while_the_trust_is_the_same() {
    for version in [&TLS12, &TLS13] {
        let backend = Backend::echo().await;
        let (proxy, _) = with_list(&backend).await;
        let dial = proxy.dial().version(version).resuming();
        assert!(!upgraded(dial.session().await).await);
        assert!(upgraded(dial.session().await).await);
        let resumed = [("result", "resumed")];
        proxy
            .wait_for("tidegate_resumptions_total", &resumed, 1.0)
            .await;
    }
}

#[tokio::test]
async fn tickets_outlive_a_reload_that_leaves_the_trust_as_it_is() {
    let backend = Backend::echo().await;
    let (proxy, config) = with_list(&backend).await;
    let dial = proxy.dial().resuming();
    assert!(!upgraded(dial.session().await).await);
    proxy.apply(&config.set("limits", "message = '1MiB'")).await;
    assert!(upgraded(dial.session().await).await);
}

#[tokio::test]
async fn tickets_die_with_the_trust_they_were_issued_under() {
    let backend = Backend::echo().await;
    let (proxy, _) = with_list(&backend).await;
    let dial = proxy.dial().resuming();
    upgraded(dial.session().await).await;
    revoke(&proxy, &[&proxy.credentials.named("Mallory")]).await;
    assert!(!upgraded(dial.session().await).await);
}

#[tokio::test]
async fn a_ticket_of_shared_keys_is_good_at_another_proxy_with_the_same_trust() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    // The clone shares the credentials, and gets a listener of its own by port 0.
    let (one, other) = (Proxy::start(config.clone()), Proxy::start(config.clone()));
    share(&one, &config, &[1]).await;
    share(&other, &config, &[2, 1]).await;
    let dial = one.dial().resuming();
    assert!(!upgraded(dial.session().await).await);
    let there = dial.clone().address(other.address());
    assert!(upgraded(there.session().await).await);
    // The other's tickets are of key 2, which the one does not know.
    assert!(!upgraded(dial.session().await).await);
}

#[tokio::test]
async fn a_ticket_of_shared_keys_dies_with_the_trust_all_the_same() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    share(&proxy, &config, &[1]).await;
    let dial = proxy.dial().resuming();
    upgraded(dial.session().await).await;
    let other = Credentials::new();
    let both = [
        proxy.credentials.ca.certificate_pem(),
        other.ca.certificate_pem(),
    ];
    proxy.folder.write("certs/ca.pem", both.concat());
    proxy.reload().await;
    assert!(!upgraded(dial.session().await).await);
}

#[tokio::test]
async fn ticket_keys_change_without_a_full_handshake_for_anyone() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    share(&proxy, &config, &[1]).await;
    let dial = proxy.dial().resuming();
    upgraded(dial.session().await).await;
    share(&proxy, &config, &[2, 1]).await;
    assert!(upgraded(dial.session().await).await);
    share(&proxy, &config, &[2]).await;
    assert!(upgraded(dial.session().await).await);
}

#[tokio::test]
async fn a_resumed_session_of_an_expired_certificate_is_refused() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let short = proxy.credentials.valid(-60, 2);
    let dial = proxy.dial().identity(short).resuming();
    let mut socket = open(&dial, "/").await;
    closes_with(&mut socket, "the client's certificate expired").await;
    let answer = refusal(&dial, "/").await;
    assert_eq!(answer.head.status(), 403);
    let refused = [("result", "refused")];
    proxy
        .wait_for("tidegate_resumptions_total", &refused, 1.0)
        .await;
}
