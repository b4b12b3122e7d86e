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
    Session::new(session_config(authority), false).unwrap()
}

fn session_config(authority: &DevelopmentCa) -> Arc<ServerConfig> {
    let own = authority.issue_server(&["localhost"]).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(authority), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(own.chain(), own.key().unwrap())
        .unwrap();
    Arc::new(config)
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

/// Returns the session what the client has to say, and the client the answer.
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

/// RFC 8446 section 5: a client sends one at most, for the sake of middleboxes. rustls takes two.
#[test]
fn goodbye_is_said_once() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let own = authority.issue_client("x", "").unwrap();
    let mut session = session(&authority);
    let mut client = client(&authority, Some(&own));
    while session.is_handshaking() {
        turn(&mut session, &mut client).0.unwrap();
    }
    let mut goodbye = Vec::new();
    session.close_notify(&mut goodbye).unwrap();
    let once = goodbye.len();
    session.close_notify(&mut goodbye).unwrap();
    assert_eq!((once > 0, goodbye.len()), (true, once));
}

#[test]
fn a_third_change_of_cipher_within_a_handshake_is_told_with_an_alert() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let own = authority
        .issue_client("Alice", "spiffe://example.com/a")
        .unwrap();
    let (mut session, mut client) = (session(&authority), client(&authority, Some(&own)));
    assert_eq!(turn(&mut session, &mut client).0, Ok(Received::Open));
    let mut input = [20, 3, 3, 0, 1, 1].repeat(3);
    let mut reply = Vec::new();
    assert!(
        session
            .receive(&mut input, &mut Vec::new(), &mut reply)
            .is_err()
    );
    client.read_tls(&mut reply.as_slice()).unwrap();
    let told = client.process_new_packets().err();
    let expected = Error::AlertReceived(AlertDescription::DecodeError);
    assert_eq!(told, Some(expected));
}

/// RFC 8446 section 6.2: nothing is sent after a fatal alert, of either side.
#[test]
fn an_alert_of_the_client_is_not_answered() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let mut session = session(&authority);
    let mut reply = Vec::new();
    let received = session.receive(&mut [21, 3, 3, 0, 2, 2, 40], &mut Vec::new(), &mut reply);
    let alert = Error::AlertReceived(AlertDescription::HandshakeFailure);
    assert_eq!((received, reply), (Err(alert), Vec::new()));
}

/// Records of any kind, in pieces of any size, to sessions that have no keys yet.
#[test]
fn whatever_a_client_breaks_tls_with_is_told_with_one_alert_and_never_panics() {
    let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
    let config = session_config(&authority);
    let mut broken = 0;
    for seed in 0..3000_u64 {
        let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mut below = |limit: u64| {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            usize::try_from((random >> 33) % limit).unwrap()
        };
        let mut session = Session::new(config.clone(), false).unwrap();
        let (mut reply, mut result) = (Vec::new(), Ok(Received::Open));
        while result == Ok(Received::Open) && reply.is_empty() {
            let mut records = Vec::new();
            for _ in 0..=below(3) {
                records.extend_from_slice(&record(&mut below));
            }
            records.truncate(records.len() - below(3));
            let mut input = vec![0; RECORD_MAX];
            let kept = session.restore_partial(&mut input);
            input.truncate(kept);
            input.extend_from_slice(&records);
            result = session.receive(&mut input, &mut Vec::new(), &mut reply);
        }
        if matches!(
            result,
            Err(Error::PeerMisbehaved(_) | Error::InvalidMessage(_))
        ) {
            broken += 1;
            assert_eq!(
                (reply.len(), &reply[..6]),
                (7, &[21, 3, 3, 0, 2, 2][..]),
                "{seed}: {result:?}"
            );
        }
    }
    assert!(broken > 1000, "only {broken} sessions were broken");
}

/// A record that is mostly part of a handshake, as what a client would send first.
fn record(below: &mut impl FnMut(u64) -> usize) -> Vec<u8> {
    let kind = [22, 22, 22, 22, 20, 21, 23, 24][below(8)];
    let payload: Vec<u8> = match below(4) {
        0 => Vec::new(),
        1 => vec![1, u8::from(below(8) == 0), 0, 40],
        2 => vec![1, u8::try_from(below(100)).unwrap()],
        _ => vec![3; below(50)],
    };
    let length = u8::try_from(payload.len()).unwrap();
    [&[kind, 3, 3, 0, length][..], &payload].concat()
}
