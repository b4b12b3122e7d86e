//! Which certificates of a chain count, and who may issue them.

use super::{
    closes_with,
    divided::{Kind, Part},
    echoes,
    lists::{Listed, failed},
    open,
};
use crate::support::{Authority, Backend, Config, Line, Proxy, authority::until};
use rcgen::KeyUsagePurpose;
use rustls::{AlertDescription, pki_types::CertificateDer};

const EXPIRED: &str = "the client's certificate expired";

#[tokio::test]
async fn an_intermediate_without_key_cert_sign_issues_nobody() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let root = Authority::of(&proxy.credentials);
    let usages = [
        (vec![], true),
        (vec![KeyUsagePurpose::KeyCertSign], true),
        (vec![KeyUsagePurpose::CrlSign], false),
    ];
    for (usage, admitted) in usages {
        let between = root.below("Between", |it| it.key_usages.clone_from(&usage));
        let client = between.client("Alice", |_| ());
        let dial = proxy.dial().identity(client);
        let dial = dial.behind(vec![between.certificate.clone()]);
        if admitted {
            open(&dial, "/").await;
        } else {
            let alert = dial.alert().await;
            assert_eq!(alert, AlertDescription::CertificateUnknown, "{usage:?}");
            let said = |line: &Line| line.field("detail").contains("without keyCertSign");
            proxy.wait_line(said).await;
        }
    }
}

#[tokio::test]
async fn a_list_of_an_intermediate_without_crl_sign_is_not_believed() {
    let (listed, _backend) = Listed::new().await;
    let ours = &listed.proxy.credentials;
    let root = Authority::of(ours);
    let own = ours.ca.crl(&[]).unwrap().into_bytes();
    for (usage, alert) in [
        (KeyUsagePurpose::CrlSign, None),
        (
            KeyUsagePurpose::DigitalSignature,
            Some(AlertDescription::UnknownCA),
        ),
    ] {
        let between = root.below("Between", |it| {
            it.key_usages = vec![KeyUsagePurpose::KeyCertSign, usage];
        });
        let list = Part::of(Kind::All).sign_as(&between);
        listed.put(&[own.clone(), list], "").await;
        let dial = listed
            .proxy
            .dial()
            .identity(between.client("Alice", |_| ()));
        let dial = dial.behind(vec![between.certificate.clone()]);
        match alert {
            Some(alert) => assert_eq!(dial.alert().await, alert),
            None => drop(open(&dial, "/").await),
        }
    }
}

#[tokio::test]
async fn a_list_of_a_ca_without_crl_sign_is_refused_and_the_old_ones_stay() {
    let (listed, _backend) = Listed::new().await;
    let root = Authority::root("Signs no lists", |it| {
        it.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    });
    listed.proxy.folder.write("certs/ca.pem", root.pem());
    let list = Part::of(Kind::All).sign_as(&root);
    let outcome = listed.put(&[list], "").await;
    failed(&outcome, "does not have cRLSign");
    open(&listed.proxy.dial(), "/").await;
}

#[tokio::test]
async fn an_expired_certificate_that_the_chain_does_not_need_shuts_nobody_out() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let root = Authority::of(&proxy.credentials);
    let between = root.below("Between", |_| ());
    let old_root = Authority::root("Old root", |_| ());
    let cross_sign = old_root.certify("Between", &between, |it| until(it, -10));
    let unrelated = Authority::root("Somebody", |it| until(it, -10)).certificate;
    let client = std::sync::Arc::new(between.client("Alice", |_| ()));
    for behind in [
        vec![between.certificate.clone(), cross_sign.clone()],
        vec![cross_sign, between.certificate.clone()],
        vec![between.certificate.clone(), unrelated],
    ] {
        let dial = proxy
            .dial()
            .identity(client.clone())
            .behind(behind)
            .resuming();
        open(&dial, "/").await;
        // And once more, resumed.
        open(&dial, "/").await;
    }
}

/// Waits for the end of a certificate that two chains have: one needs it, the other does not.
#[tokio::test]
async fn a_socket_ends_with_its_path_and_with_no_other_certificate() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let root = Authority::of(&proxy.credentials);
    let between = root.below("Between", |_| ());
    let short = root.certify("Between", &between, |it| until(it, 2));
    let client = std::sync::Arc::new(between.client("Alice", |_| ()));
    let dial = |behind: &[&CertificateDer<'static>]| {
        let behind = behind.iter().map(|it| (*it).clone()).collect();
        proxy.dial().identity(client.clone()).behind(behind)
    };
    let long = &between.certificate;
    let mut short_first = open(&dial(&[&short, long]), "/").await;
    let mut short_last = open(&dial(&[long, &short]), "/").await;
    let mut needs_it = open(&dial(&[&short]), "/").await;
    closes_with(&mut needs_it, EXPIRED).await;
    echoes(&mut short_first).await;
    echoes(&mut short_last).await;
}

#[tokio::test]
async fn a_socket_that_another_ca_covers_after_a_reload_ends_with_the_path_to_that_one() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let between = Authority::of(&proxy.credentials).below("Between", |_| ());
    let other = Authority::root("Other root", |_| ());
    let cross_sign = other.certify("Between", &between, |it| until(it, 3));
    let client = between.client("Alice", |_| ());
    let behind = vec![between.certificate.clone(), cross_sign];
    let dial = proxy.dial().identity(client).behind(behind);
    let mut socket = open(&dial, "/").await;
    proxy.folder.write("certs/ca.pem", other.pem());
    proxy.reload().await;
    echoes(&mut socket).await;
    closes_with(&mut socket, EXPIRED).await;
}
