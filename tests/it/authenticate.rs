//! Stage 3: who the client is, on first sight and on resumption.

use crate::support::{
    Backend, Config, Credentials, Dial, Proxy, Upgrade, eventually, refusal, wire::Head,
};
use rustls::{
    AlertDescription, SupportedProtocolVersion,
    version::{TLS12, TLS13},
};
use std::time::{Duration, SystemTime};
use tidegate::cli::certs::{Issued, LeafRequest};

const BOTH: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
/// Every field that says who the client is.
const FIELDS: [&str; 3] = [
    "Client-Cert",
    "Client-Cert-Chain",
    "X-Forwarded-Client-Cert",
];

/// Connects, upgrades, and reads on until tickets have come.
async fn visit(dial: &Dial) -> (u16, bool) {
    let mut session = dial.session().await;
    session.wire.send(&Upgrade::to("/").bytes()).await;
    let status = session.wire.read_head().await.status();
    (status, session.resumed)
}

fn count(proxy: &Proxy, result: &str) -> f64 {
    proxy.metric("tidegate_resumptions_total", &[("result", result)])
}

#[tokio::test]
async fn identity_is_in_the_log_and_in_the_backends_request() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let socket = proxy.open("/").await;
    let lines = proxy.wait_lines(&socket, 1).await;
    assert_eq!(lines[0].field("identity"), "spiffe://test/alice");
    let request = backend.request().await;
    let certificate = &proxy.credentials.client.certificate;
    // RFC 9440 section 2.1: a byte sequence of RFC 8941.
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, certificate);
    assert_eq!(
        request.field("Client-Cert"),
        Some(format!(":{encoded}:").as_str())
    );
    let forwarded = request.field("X-Forwarded-Client-Cert").unwrap();
    for part in ["Hash=", "Subject=\"CN=Alice\"", "URI=spiffe://test/alice"] {
        assert!(forwarded.contains(part), "{forwarded}");
    }
}

#[tokio::test]
async fn optional_takes_clients_with_and_without_certificate() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("tls.clients", "mode = 'optional'"));
    proxy.open("/").await;
    assert!(backend.request().await.field("Client-Cert").is_some());
    let (status, _) = visit(&proxy.dial().anonymous()).await;
    assert_eq!(status, 101);
    let request = backend.requests().pop().unwrap();
    assert!(
        FIELDS.iter().all(|name| request.field(name).is_none()),
        "{request}"
    );
    // One that is shown has to be good.
    let other = Credentials::new();
    let alert = proxy.dial().identity(other.client.clone()).alert().await;
    assert_eq!(alert, AlertDescription::UnknownCA);
}

#[tokio::test]
async fn off_asks_nobody_for_a_certificate() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("tls.clients", "mode = 'off'"));
    // It would be refused if it were asked for.
    let other = Credentials::new();
    let (status, _) = visit(&proxy.dial().identity(other.client.clone())).await;
    assert_eq!(status, 101);
    let request = backend.request().await;
    assert!(
        FIELDS.iter().all(|name| request.field(name).is_none()),
        "{request}"
    );
}

#[tokio::test]
async fn listener_overrides_what_the_others_ask_for() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).listener("browsers", "client_cert = 'off'");
    let proxy = Proxy::start(config);
    let browser = proxy
        .dial()
        .anonymous()
        .address(proxy.address_of("browsers"));
    assert_eq!(visit(&browser).await.0, 101);
    let alert = proxy.dial().anonymous().alert().await;
    assert_eq!(alert, AlertDescription::CertificateRequired);
}

/// The forwarded names of a certificate, and that they are one field and one line.
async fn forwarded(request: LeafRequest) -> (Head, Vec<String>) {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let issued: Issued = proxy.credentials.ca.issue(&request).unwrap();
    let before = proxy.series();
    let mut wire = proxy.dial().identity(issued).connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    let lines = proxy.wait_lines(&wire, 1).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(proxy.series(), before);
    let lines = lines.iter().map(|line| line.field("identity").to_owned());
    (backend.request().await, lines.collect())
}

#[tokio::test]
async fn names_with_separators_stay_one_field_and_one_line() {
    let name = "a;b,c\"d=e\\f, X-Forwarded-Client-Cert: Hash=0";
    let (request, _) = forwarded(LeafRequest::client(name)).await;
    let value = request.field("X-Forwarded-Client-Cert").unwrap();
    // Whatever the name holds is between the two quotes of the subject.
    let parts: Vec<_> = value.split('"').collect();
    let [before, subject, after] = parts.as_slice() else {
        panic!("{value}");
    };
    assert!(
        before.starts_with("Hash=") && before.ends_with(";Subject="),
        "{value}"
    );
    assert!(
        subject.starts_with("CN=a") && subject.ends_with("Hash=0"),
        "{value}"
    );
    assert_eq!(*after, "");
}

#[tokio::test]
async fn names_with_line_breaks_and_controls_stay_one_field_and_one_line() {
    let name = "a\r\nX-Injected: 1\r\n\r\nGET / HTTP/1.1\0\u{202e}";
    let (request, identity) = forwarded(LeafRequest::client(name)).await;
    assert_eq!(request.field("X-Injected"), None, "{request}");
    let value = request.field("X-Forwarded-Client-Cert").unwrap();
    assert!(
        value.bytes().all(|byte| (b' '..=b'~').contains(&byte)),
        "{value}"
    );
    assert!(!identity[0].contains(['\r', '\n', '\0']), "{identity:?}");
}

#[tokio::test]
async fn name_of_eight_kibibytes_stays_one_field() {
    let name = "x".repeat(8192);
    let (request, _) = forwarded(LeafRequest::client(name)).await;
    assert!(request.field("X-Forwarded-Client-Cert").unwrap().len() > 8192);
}

#[tokio::test]
async fn session_is_resumed_while_nothing_changes_and_keeps_its_identity() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    for (round, version) in (1u8..).zip(BOTH) {
        let dial = proxy.dial().version(version).resuming();
        assert_eq!(visit(&dial).await, (101, false), "{:?}", version.version);
        assert_eq!(visit(&dial).await, (101, true), "{:?}", version.version);
        let request = backend.requests().pop().unwrap();
        assert!(request.field("Client-Cert").is_some(), "{request}");
        assert_eq!(count(&proxy, "resumed"), f64::from(round));
    }
    assert_eq!(count(&proxy, "full"), 2.0);
}

#[tokio::test]
async fn ticket_does_not_outlive_a_change_of_the_client_cas() {
    let backend = Backend::echo().await;
    for version in BOTH {
        let proxy = Proxy::start(Config::to(&backend));
        let dial = proxy.dial().version(version).resuming();
        assert_eq!(visit(&dial).await, (101, false));
        let other = Credentials::new();
        proxy
            .folder
            .write("certs/ca.pem", other.ca.certificate_pem());
        proxy.reload().await;
        assert_eq!(dial.alert().await, AlertDescription::UnknownCA);
        assert_eq!(count(&proxy, "resumed"), 0.0);
    }
}

#[tokio::test]
async fn ticket_does_not_outlive_a_change_of_the_crl() {
    let backend = Backend::echo().await;
    for version in BOTH {
        let config = Config::to(&backend).set("tls.clients", "crl = ['certs/ca.crl']");
        let ca = config.credentials().ca.clone();
        let proxy = Proxy::start(config.file("certs/ca.crl", ca.crl(&[]).unwrap()));
        let dial = proxy.dial().version(version).resuming();
        assert_eq!(visit(&dial).await, (101, false));
        let list = ca.crl(&[&proxy.credentials.client]).unwrap();
        proxy.folder.write("certs/ca.crl", list);
        proxy.reload().await;
        assert_eq!(dial.alert().await, AlertDescription::CertificateRevoked);
        assert_eq!(count(&proxy, "resumed"), 0.0);
    }
}

#[tokio::test]
async fn ticket_of_one_mode_is_worth_nothing_in_another() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .listener("off", "client_cert = 'off'")
        .listener("optional", "client_cert = 'optional'");
    let proxy = Proxy::start(config);
    let addresses = [
        proxy.address(),
        proxy.address_of("optional"),
        proxy.address_of("off"),
    ];
    for version in BOTH {
        for issuer in addresses {
            let dial = proxy.dial().version(version).resuming();
            assert_eq!(visit(&dial.clone().address(issuer)).await, (101, false));
            for listener in addresses.into_iter().filter(|address| *address != issuer) {
                let (status, resumed) = visit(&dial.clone().address(listener)).await;
                assert_eq!((status, resumed), (101, false), "{:?}", version.version);
            }
        }
        // Without a certificate, a ticket is no way around the demand for one.
        let dial = proxy.dial().anonymous().version(version).resuming();
        let optional = dial.clone().address(proxy.address_of("optional"));
        assert_eq!(visit(&optional).await, (101, false));
        assert_eq!(visit(&optional).await, (101, true));
        assert_eq!(dial.alert().await, AlertDescription::CertificateRequired);
    }
}

#[tokio::test]
async fn ticket_of_one_host_does_not_carry_over_to_another_with_other_trust() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .route("name = 'open'\npath = '/'\nbackend = 'echo'\nhost = ['chat.test']\nclient_cert = 'off'")
        .route("name = 'closed'\npath = '/'\nbackend = 'echo'\nhost = ['localhost']");
    let proxy = Proxy::start(config);
    for version in BOTH {
        let dial = proxy.dial().anonymous().version(version).resuming();
        let mut session = dial.clone().name("chat.test").session().await;
        session
            .wire
            .send(&Upgrade::to("/").host("chat.test").bytes())
            .await;
        assert_eq!(session.wire.read_head().await.status(), 101);
        assert_eq!(dial.alert().await, AlertDescription::CertificateRequired);
    }
    assert_eq!(count(&proxy, "resumed"), 0.0);
}

#[tokio::test]
async fn certificate_that_expired_since_the_ticket_is_refused_on_resumption() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let short = proxy.credentials.valid(-60, 2);
    let end = SystemTime::now() + Duration::from_secs(3);
    let dial = proxy.dial().identity(short).resuming();
    assert_eq!(visit(&dial).await, (101, false));
    eventually("the end of validity", || SystemTime::now() >= end).await;
    let mut session = dial.session().await;
    assert!(session.resumed);
    session.wire.send(&Upgrade::to("/").bytes()).await;
    refusal::expect(&proxy, &mut session.wire, 403, "certificate_out_of_date").await;
    assert_eq!(count(&proxy, "refused"), 1.0);
}
