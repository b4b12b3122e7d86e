//! Client certificates that do not get through: the alert, the count, the line.

use super::{BOTH, proxy};
use crate::support::{Backend, Config, Credentials, Dial, Process, Proxy, eventually};
use futures_util::future::join_all;
use rustls::{
    AlertDescription,
    version::{TLS12, TLS13},
};
use std::fs;
use tidegate::cli::certs::{Issued, LeafRequest, Purpose};

/// The client is refused with an alert, over either version, and counted once each time.
async fn refuses(proxy: &Proxy, dial: &Dial, alert: AlertDescription, label: &str) {
    for (count, version) in (1u8..).zip(BOTH) {
        let got = dial.clone().version(version).alert().await;
        assert_eq!(got, alert, "{label} {:?}", version.version);
        let result = [("result", label)];
        let name = "tidegate_handshakes_total";
        proxy.wait_for(name, &result, count.into()).await;
        let lines = || proxy.lines(|line| line.field("reason") == label);
        // It is counted before it is logged.
        eventually("its line", || lines().len() >= usize::from(count)).await;
        let lines = lines();
        assert_eq!(lines.len(), usize::from(count), "{lines:?}");
        assert_eq!(lines[0].field("stage"), "handshake");
    }
}
#[tokio::test]
async fn client_without_certificate_is_refused_where_one_is_required() {
    let (proxy, _backend) = proxy().await;
    let dial = proxy.dial().anonymous();
    // RFC 8446 section 6.2 has an alert of its own for it, RFC 5246 section 7.4.6 has not.
    let alert = dial.clone().version(&TLS13).alert().await;
    assert_eq!(alert, AlertDescription::CertificateRequired);
    let alert = dial.version(&TLS12).alert().await;
    assert_eq!(alert, AlertDescription::CertificateRequired);
    let result = [("result", "certificate_missing")];
    proxy
        .wait_for("tidegate_handshakes_total", &result, 2.0)
        .await;
}

#[tokio::test]
async fn certificate_of_another_ca_is_refused() {
    let (proxy, _backend) = proxy().await;
    let other = Credentials::new();
    let dial = proxy.dial().identity(other.client.clone());
    refuses(
        &proxy,
        &dial,
        AlertDescription::UnknownCA,
        "certificate_unknown_ca",
    )
    .await;
}

#[tokio::test]
async fn certificate_that_has_expired_is_refused() {
    let (proxy, _backend) = proxy().await;
    let dial = proxy.dial().identity(proxy.credentials.valid(-200, -100));
    refuses(
        &proxy,
        &dial,
        AlertDescription::CertificateExpired,
        "certificate_expired",
    )
    .await;
}

#[tokio::test]
async fn certificate_that_is_not_valid_yet_is_refused() {
    let (proxy, _backend) = proxy().await;
    let dial = proxy.dial().identity(proxy.credentials.valid(100, 200));
    refuses(
        &proxy,
        &dial,
        AlertDescription::CertificateExpired,
        "certificate_not_yet_valid",
    )
    .await;
}

#[tokio::test]
async fn certificate_for_servers_alone_is_refused() {
    let (proxy, _backend) = proxy().await;
    let mut request = LeafRequest::client("Server");
    request.purpose = Purpose::Server;
    let server: Issued = proxy.credentials.ca.issue(&request).unwrap();
    let dial = proxy.dial().identity(server);
    refuses(
        &proxy,
        &dial,
        AlertDescription::UnsupportedCertificate,
        "certificate_wrong_purpose",
    )
    .await;
}

#[tokio::test]
async fn certificate_that_signed_itself_is_refused() {
    let (proxy, _backend) = proxy().await;
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters
        .extended_key_usages
        .push(rcgen::ExtendedKeyUsagePurpose::ClientAuth);
    let certificate = parameters.self_signed(&key).unwrap();
    let dial = proxy.dial().identity(Issued {
        certificate_pem: certificate.pem(),
        certificate: certificate.into(),
        key_pem: key.serialize_pem().into(),
    });
    refuses(
        &proxy,
        &dial,
        AlertDescription::UnknownCA,
        "certificate_unknown_ca",
    )
    .await;
}

#[tokio::test]
async fn certificate_that_is_revoked_is_refused_and_its_siblings_are_not() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("tls.clients", "crl = ['certs/ca.crl']");
    let revoked = config.credentials().named("Mallory");
    let list = config.credentials().ca.crl(&[&revoked]).unwrap();
    let proxy = Proxy::start(config.file("certs/ca.crl", list));
    let dial = proxy.dial().identity(revoked);
    refuses(
        &proxy,
        &dial,
        AlertDescription::CertificateRevoked,
        "certificate_revoked",
    )
    .await;
    proxy.open("/").await;
}

/// Four hundred kilobytes; rustls takes handshake messages of up to 64 KiB.
#[tokio::test]
async fn chain_of_a_thousand_certificates_is_refused_with_its_reason() {
    let (proxy, backend) = proxy().await;
    let copies = vec![proxy.credentials.root(); 1000];
    for (count, version) in (1..).zip(BOTH) {
        let dial = proxy.dial().version(version).behind(copies.clone());
        let end = match dial.try_session().await {
            Ok(mut session) => session.wire.read_more().await,
            Err(error) => Err(error),
        };
        assert!(end.is_err(), "{end:?}");
        let reason = [("result", "tls_protocol")];
        let name = "tidegate_handshakes_total";
        proxy.wait_for(name, &reason, f64::from(count)).await;
        // It is logged before it is no longer open.
        proxy.wait_for("tidegate_connections_open", &[], 0.0).await;
        let lines = proxy.lines(|line| line.field("reason") == "tls_protocol");
        let detail = lines.last().unwrap().field("detail");
        assert!(detail.contains("handshake payload too large"), "{detail}");
    }
    assert_eq!(backend.connections(), 0);
    proxy.open("/").await;
}

#[tokio::test]
async fn chains_of_a_thousand_certificates_take_no_memory() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let copies = vec![process.credentials.root(); 1000];
    let dial = process.dial().await.behind(copies);
    let attempts = async |count: usize| {
        let attempt = |_| async {
            // Over TLS 1.3 it is the first read that tells.
            if let Ok(mut session) = dial.try_session().await {
                session.wire.read_more().await.unwrap_err();
            }
        };
        join_all((0..count).map(attempt)).await;
    };
    attempts(20).await;
    let before = most_memory(&process);
    attempts(100).await;
    let more = most_memory(&process) - before;
    assert!(more < 8192, "{more} KiB for a hundred chains of 400 KiB");
}

/// The most memory that a process has had so far, in KiB.
fn most_memory(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}
