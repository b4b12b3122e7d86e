//! Open sockets while the trust changes.

#![allow(
    clippy::cast_possible_truncation,
    reason = "the counts of a test are small"
)]

use super::{ask, closes_with, echoes, open, refusal, revoke, with_list};
use crate::support::{Backend, Config, Credentials, Proxy, Upgrade, proxy::Folder};
use std::sync::Arc;
use tidegate::{
    ending::Ending as _,
    observe::Trigger,
    reload::{Outcome, Reloader, build},
};
use tokio::sync::Semaphore;

const REVOKED: &str = "the client's certificate was revoked";
const NOT_ALLOWED: &str = "the client's certificate is no longer allowed";

#[tokio::test]
async fn a_revoked_client_is_closed_and_nobody_else_is() {
    let backend = Backend::echo().await;
    let (proxy, _) = with_list(&backend).await;
    let mallory = Arc::new(proxy.credentials.named("Mallory"));
    let mut good = proxy.open("/").await;
    let mut bad = open(&proxy.dial().identity(mallory.clone()), "/").await;
    revoke(&proxy, &[&mallory]).await;
    closes_with(&mut bad, REVOKED).await;
    bad.finish().await;
    echoes(&mut good).await;
    let line = proxy.wait_lines(&bad, 3).await.remove(1);
    assert_eq!(line.message, "websocket no longer passes");
    assert_eq!(line.field("reason"), "certificate_revoked");
    let ending = [("reason", "certificate_revoked"), ("code", "1008")];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
}

/// A reload walks the open sockets: this one is not open yet, and was admitted by the old list.
#[tokio::test]
async fn a_client_that_is_revoked_during_its_upgrade_does_not_stay() {
    let answer = Arc::new(Semaphore::new(0));
    let backend = Backend::hesitant(answer.clone()).await;
    let (proxy, _) = with_list(&backend).await;
    let mut wire = proxy.connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    backend.request().await;
    revoke(&proxy, &[&proxy.credentials.client]).await;
    answer.add_permits(1);
    assert_eq!(wire.read_head().await.status(), 101);
    closes_with(&mut wire, REVOKED).await;
}

#[tokio::test]
async fn a_new_list_is_noticed_without_being_told() {
    let backend = Backend::echo().await;
    let (proxy, _) = with_list(&backend).await;
    let mut socket = proxy.open("/").await;
    let list = proxy.credentials.ca.crl(&[&proxy.credentials.client]);
    proxy.folder.write("certs/ca.crl", list.unwrap());
    closes_with(&mut socket, REVOKED).await;
}

#[tokio::test]
async fn a_ca_that_still_covers_a_client_touches_nothing() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let other = Credentials::new();
    let both = [
        other.ca.certificate_pem(),
        proxy.credentials.ca.certificate_pem(),
    ];
    proxy.folder.write("certs/ca.pem", both.concat());
    proxy.reload().await;
    echoes(&mut socket).await;
}

#[tokio::test]
async fn a_ca_that_is_gone_takes_its_clients_along() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let other = Credentials::new();
    proxy
        .folder
        .write("certs/ca.pem", other.ca.certificate_pem());
    proxy.reload().await;
    closes_with(&mut socket, NOT_ALLOWED).await;
}

#[tokio::test]
async fn a_deny_rule_closes_those_whom_it_names_and_refuses_them() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let bob = proxy.dial().identity(proxy.credentials.named("Bob"));
    let mut alice = proxy.open("/").await;
    let mut socket = open(&bob, "/").await;
    proxy.apply(&config.route_lines("deny = ['cn:Bob']")).await;
    closes_with(&mut socket, NOT_ALLOWED).await;
    echoes(&mut alice).await;
    let answer = refusal(&bob, "/").await;
    assert_eq!(answer.head.status(), 403);
    assert!(answer.content.contains("cn:Bob"), "{}", answer.content);
}

#[tokio::test]
async fn an_allow_list_closes_those_whom_it_leaves_out() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend);
    let proxy = Proxy::start(config.clone());
    let bob = proxy.dial().identity(proxy.credentials.named("Bob"));
    let mut alice = proxy.open("/").await;
    let mut socket = open(&bob, "/").await;
    let listed = config.route_lines("allow = ['uri:spiffe://test/*']");
    proxy.apply(&listed).await;
    closes_with(&mut socket, NOT_ALLOWED).await;
    echoes(&mut alice).await;
}

#[tokio::test]
async fn a_route_that_begins_to_require_certificates_closes_the_anonymous() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("tls.clients", "mode = 'optional'");
    let proxy = Proxy::start(config.clone());
    let mut anonymous = open(&proxy.dial().anonymous(), "/").await;
    let mut known = proxy.open("/").await;
    let required = config.route_lines("client_cert = 'required'");
    proxy.apply(&required).await;
    closes_with(&mut anonymous, NOT_ALLOWED).await;
    echoes(&mut known).await;
}

#[tokio::test]
async fn sockets_of_a_route_that_is_gone_stay_until_they_are_revoked() {
    let backend = Backend::echo().await;
    let base = Config::to(&backend).set("tls.clients", "crl = ['certs/ca.crl']");
    let old = "name = 'old'\npath = '/old'\nbackend = 'echo'\nallow = ['cn:Alice']";
    let new = "name = 'new'\npath = '/new'\nbackend = 'echo'\nallow = ['cn:Bob']";
    let proxy = Proxy::start(base.clone().route(old));
    let mut socket = proxy.open("/old").await;
    proxy.apply(&base.route(new)).await;
    echoes(&mut socket).await;
    revoke(&proxy, &[&proxy.credentials.client]).await;
    closes_with(&mut socket, REVOKED).await;
}

#[tokio::test]
async fn routes_that_share_a_name_are_kept_apart() {
    let backend = Backend::echo().await;
    let both = |allow: &str| {
        let alice = "path = '/'\nhost = ['localhost']\nbackend = 'echo'\nallow = ['cn:Alice']";
        let other = "path = '/'\nhost = ['chat.test']\nbackend = 'echo'\nallow = ['cn:Bob'";
        (alice.to_owned(), format!("{other}{allow}]"))
    };
    let (alice, bob) = both("");
    let config = Config::to(&backend);
    let first = config.clone().route(&alice).route(&bob);
    let proxy = Proxy::start(first);
    let mut socket = proxy.open("/").await;
    let (alice, bob) = both(", 'cn:Carol'");
    proxy.apply(&config.route(&alice).route(&bob)).await;
    echoes(&mut socket).await;
}

#[tokio::test]
async fn a_socket_ends_when_its_certificate_expires() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let short = proxy.credentials.valid(-60, 2);
    let mut socket = open(&proxy.dial().identity(short), "/").await;
    let mut other = proxy.open("/").await;
    closes_with(&mut socket, "the client's certificate expired").await;
    echoes(&mut other).await;
}

/// Beside the proxy, so that its own watcher has no part in it.
#[tokio::test]
async fn a_preview_names_the_sockets_that_would_close_and_closes_none() {
    let backend = Backend::echo().await;
    let (proxy, config) = with_list(&backend).await;
    let mallory = proxy.credentials.named("Mallory");
    let mut good = proxy.open("/").await;
    let mut bad = open(&proxy.dial().identity(mallory), "/").await;
    for socket in [&mut good, &mut bad] {
        echoes(socket).await;
    }
    let folder = Folder::with(&config);
    let file = folder.path("proxy.toml");
    let candidate = build::prepare(&file, None, |_| {}).unwrap();
    let mut reloader = Reloader::new(&file, &candidate);
    let denied = config.route_lines("deny = ['cn:Mallory']");
    folder.write("proxy.toml", denied.text());
    let preview = reloader.reload(&proxy.shared, Trigger::Admin, true, |_| {});
    let Outcome::Done { touched, .. } = preview.await else {
        panic!("the new file is good");
    };
    let reasons: Vec<_> = touched.iter().map(|one| one.ending.label()).collect();
    assert_eq!(reasons, ["no_longer_allowed"]);
    echoes(&mut bad).await;
    echoes(&mut good).await;
}

#[tokio::test]
async fn the_list_of_connections_shows_who_came_in_by_which_rule() {
    let backend = Backend::echo().await;
    let rule = "uri:spiffe://test/alice";
    let config = Config::to(&backend).route_lines(&format!("allow = ['cn:Bob', '{rule}']"));
    let proxy = Proxy::start(config);
    let mut socket = proxy.open("/").await;
    // What has an answer is in the list.
    echoes(&mut socket).await;
    let page = ask(&proxy, "GET /connections").await;
    let row = &page["connections"][0];
    assert_eq!(row["rule"], rule);
    assert_eq!(row["identity"], "spiffe://test/alice");
    assert_eq!(row["route"], "echo");
    let expires = row["certificate_expires"].as_i64().unwrap();
    let client = &proxy.credentials.client.certificate;
    let identity = tidegate::policy::identity::Identity::from_der(client).unwrap();
    assert_eq!(expires, identity.not_after);
}

#[tokio::test]
async fn one_connection_is_closed_by_its_id_and_all_of_an_identity_by_its_name() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut bob = open(&proxy.dial().identity(proxy.credentials.named("Bob")), "/").await;
    let (mut first, mut second) = (proxy.open("/").await, proxy.open("/").await);
    for socket in [&mut bob, &mut first, &mut second] {
        echoes(socket).await;
    }
    let page = ask(&proxy, "GET /connections").await;
    let rows = page["connections"].as_array().unwrap();
    let row = rows.iter().find(|row| row["identity"] == "Bob").unwrap();
    let closed = ask(
        &proxy,
        &format!("DELETE /connections/{}", row["id"].as_str().unwrap()),
    )
    .await;
    assert_eq!(closed["closed"], 1);
    closes_with(&mut bob, "closed by the operator").await;
    echoes(&mut first).await;
    let name = "spiffe%3A%2F%2Ftest%2Falice";
    let closed = ask(&proxy, &format!("DELETE /connections?identity={name}")).await;
    assert_eq!(closed["closed"], 2);
    closes_with(&mut first, "closed by the operator").await;
    closes_with(&mut second, "closed by the operator").await;
}
