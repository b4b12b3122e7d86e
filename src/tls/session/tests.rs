use super::*;
use crate::cli::certs::{DevelopmentCa, Issued, KeyAlgorithm};
use rustls::{
    AlertDescription, CertificateError, CipherSuiteCommon, ClientConfig, ClientConnection, Error,
    RootCertStore, Tls12CipherSuite,
    crypto::{
        CryptoProvider,
        aws_lc_rs::{cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, default_provider},
    },
    server::WebPkiClientVerifier,
};

/// A session that requires a certificate of this authority.
fn session(authority: &DevelopmentCa) -> Session {
    let own = authority.issue_server(&["localhost"]).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(own.chain(), own.key().unwrap())
        .unwrap();
    Session::new(Arc::new(config), false).unwrap()
}

fn client(authority: &DevelopmentCa, own: Option<&Issued>) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(authority));
    let config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => builder
            .with_client_auth_cert(own.chain(), own.key().unwrap())
            .unwrap(),
    };
    ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap()
}

fn roots(authority: &DevelopmentCa) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    Arc::new(roots)
}

/// Gives the session what the client has to say, and the client the answer.
pub(in crate::tls) fn turn(
    session: &mut Session,
    client: &mut ClientConnection,
) -> (Result<Received, Error>, Error) {
    let mut flight = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut flight).unwrap();
    }
    let mut input = vec![0; RECORD_MAX + flight.len()];
    let kept = session.restore_partial(&mut input);
    input.truncate(kept);
    input.extend_from_slice(&flight);
    let mut reply = Vec::new();
    let received = session.receive(&mut input, &mut Vec::new(), &mut reply);
    client.read_tls(&mut reply.as_slice()).unwrap();
    let told = client.process_new_packets().err();
    (received, told.unwrap_or(Error::HandshakeNotComplete))
}

/// Certificate and Finished come in one flight: the error is in the first of several messages.
#[test]
fn a_client_that_is_refused_in_the_middle_of_a_flight_gets_the_alert() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let foreign = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let foreign = foreign.issue_client("x", "").unwrap();
    let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
    let cases = [
        (
            None,
            Error::NoCertificatesPresented,
            AlertDescription::CertificateRequired,
        ),
        (Some(&foreign), unknown, AlertDescription::UnknownCA),
    ];
    for (own, error, alert) in cases {
        let mut session = session(&authority);
        let mut client = client(&authority, own);
        assert_eq!(turn(&mut session, &mut client).0, Ok(Received::Open));
        let (received, told) = turn(&mut session, &mut client);
        assert_eq!(received, Err(error));
        assert_eq!(told, Error::AlertReceived(alert));
    }
}

#[test]
fn the_keys_of_a_tls_1_2_session_are_told_to_be_nearly_used_up_and_still_serve() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let own = authority.issue_server(&["localhost"]).unwrap();
    let SupportedCipherSuite::Tls12(suite) = TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256 else {
        panic!("not of TLS 1.2");
    };
    let common = CipherSuiteCommon {
        confidentiality_limit: LAST_RECORDS + 5,
        ..suite.common
    };
    let suite = Box::leak(Box::new(Tls12CipherSuite { common, ..*suite }));
    let provider = CryptoProvider {
        cipher_suites: vec![SupportedCipherSuite::Tls12(suite)],
        ..default_provider()
    };
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(own.chain(), own.key().unwrap())
        .unwrap();
    let mut session = Session::new(Arc::new(config), false).unwrap();
    let mut client = client(&authority, None);
    while client.is_handshaking() || session.is_handshaking() {
        turn(&mut session, &mut client).0.unwrap();
    }
    let mut records = Vec::new();
    for written in 0..5 {
        assert!(!session.is_used_up(), "{written}");
        session.encrypt(b"data", &mut records).unwrap();
    }
    assert!(session.is_used_up());
    let under_way = vec![0; 20 * RECORD_PAYLOAD];
    assert_eq!(session.encrypt(&under_way, &mut records), Ok(()));
    let mut rest = (0..LAST_RECORDS).map(|_| session.encrypt(b"x", &mut Vec::new()));
    assert!(rest.any(|sent| sent.is_err()), "there is an end of it");
}

#[test]
fn the_keys_of_a_tls_1_3_session_are_never_used_up() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let own = authority
        .issue_client("Alice", "spiffe://example.com/a")
        .unwrap();
    let (mut session, mut client) = (session(&authority), client(&authority, Some(&own)));
    while client.is_handshaking() || session.is_handshaking() {
        turn(&mut session, &mut client).0.unwrap();
    }
    session.records = u64::MAX;
    assert!(!session.is_used_up());
}
