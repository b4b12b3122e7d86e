//! A server's session and a client, both in memory, with throw-away certificates.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tidegate::tls::session::Session;

/// What both need for their handshakes.
pub(crate) struct Peers {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

impl Peers {
    /// Mutual TLS 1.3 with X25519, AES-128-GCM and ECDSA on P-256.
    pub(crate) fn new(resume: bool) -> Self {
        let mut authority = CertificateParams::default();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority =
            CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).unwrap();
        let roots = Arc::new(roots);
        let (server, client) = (issue(&authority), issue(&authority));
        Self {
            server: Arc::new(server_config(server, roots.clone())),
            client: Arc::new(client_config(client, roots, resume)),
        }
    }

    /// Both ends of a handshake, up to the ticket; adds what the server's share of it took to
    /// `spent`.
    pub(crate) fn handshake(&self, spent: &mut Duration) -> (Session, ClientConnection) {
        let name = ServerName::try_from("localhost").unwrap();
        let mut client = ClientConnection::new(self.client.clone(), name).unwrap();
        let (mut plain, mut wire, mut reply) = (Vec::new(), Vec::new(), Vec::new());
        let started = Instant::now();
        let mut session = Session::new(self.server.clone(), false).unwrap();
        *spent += started.elapsed();
        while client.wants_write() {
            wire.clear();
            client.write_tls(&mut wire).unwrap();
            reply.clear();
            let started = Instant::now();
            session.receive(&mut wire, &mut plain, &mut reply).unwrap();
            *spent += started.elapsed();
            let mut reply = reply.as_slice();
            while !reply.is_empty() {
                client.read_tls(&mut reply).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        assert!(!session.is_handshaking() && !client.is_handshaking());
        (session, client)
    }
}

fn issue(authority: &CertifiedIssuer<'_, KeyPair>) -> Pair {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    (vec![certificate.der().clone()], key)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    })
}

fn server_config((chain, key): Pair, roots: Arc<RootCertStore>) -> ServerConfig {
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    config.ticketer = aws_lc_rs::Ticketer::new().unwrap();
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 1;
    config
}

fn client_config((chain, key): Pair, roots: Arc<RootCertStore>, resume: bool) -> ClientConfig {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)
        .unwrap();
    if !resume {
        config.resumption = Resumption::disabled();
    }
    config
}
