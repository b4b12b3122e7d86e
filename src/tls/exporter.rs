//! The TLS 1.3 exporter (RFC 8446 section 7.5), which rustls' unbuffered interface does not offer.
//!
//! rustls hands the exporter secret to a key log; this one keeps it for its own session, in
//! memory that is overwritten, and derives from it what channel binding needs.

use hkdf::{Hkdf, hmac::EagerHash};
use rustls::{CipherSuite, KeyLog};
use sha2::{Sha256, Sha384};
use std::{
    fmt,
    sync::{Mutex, PoisonError},
};
use zeroize::Zeroizing;

/// The label under which rustls logs the secret (as in the NSS key log format).
const LOGGED_AS: &str = "EXPORTER_SECRET";
/// RFC 9266 section 2.
const CHANNEL_BINDING: &[u8] = b"EXPORTER-Channel-Binding";

/// The exporter secret of one session.
#[derive(Default)]
pub(super) struct ExporterSecret(Mutex<Option<Zeroizing<Vec<u8>>>>);

impl ExporterSecret {
    /// 32 bytes for channel binding, with an empty context; `None` before the handshake is done.
    pub(super) fn channel_binding(&self, suite: CipherSuite) -> Option<Zeroizing<[u8; 32]>> {
        let secret = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        match suite {
            CipherSuite::TLS13_AES_256_GCM_SHA384 => export::<Sha384>(&secret),
            _ => export::<Sha256>(&secret),
        }
    }
}

/// RFC 8446 section 7.5, with the hash of the suite.
fn export<H: EagerHash>(secret: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let empty = H::digest([]);
    let root = Hkdf::<H>::from_prk(secret).ok()?;
    let mut derived = Zeroizing::new(vec![0; empty.len()]);
    let length = u8::try_from(derived.len()).ok()?;
    let info = label(CHANNEL_BINDING, &empty, length);
    root.expand(&info, &mut derived).ok()?;
    let derived = Hkdf::<H>::from_prk(&derived).ok()?;
    let mut bytes = Zeroizing::new([0; 32]);
    let info = label(b"exporter", &empty, 32);
    derived.expand(&info, &mut *bytes).ok()?;
    Some(bytes)
}

/// `HkdfLabel` (RFC 8446 section 7.1); label and context are shorter than 256 bytes.
fn label(name: &[u8], context: &[u8], length: u8) -> Vec<u8> {
    let full = [b"tls13 ", name].concat();
    let mut bytes = vec![0, length];
    for part in [full.as_slice(), context] {
        bytes.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(part);
    }
    bytes
}

impl KeyLog for ExporterSecret {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        if label == LOGGED_AS {
            let kept = Zeroizing::new(secret.to_vec());
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        }
    }

    fn will_log(&self, label: &str) -> bool {
        label == LOGGED_AS
    }
}

impl fmt::Debug for ExporterSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExporterSecret(..)")
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        cli::certs::{DevelopmentCa, KeyAlgorithm},
        tls::session::{Session, tests::turn},
    };
    use rustls::{
        ClientConfig, ClientConnection, HandshakeKind, ProtocolVersion, RootCertStore,
        ServerConfig, SupportedCipherSuite,
        crypto::{CryptoProvider, aws_lc_rs},
    };
    use std::sync::Arc;

    /// Both ends' configurations, for one suite.
    struct Ends(Arc<ServerConfig>, Arc<ClientConfig>);

    impl Ends {
        fn with(suite: SupportedCipherSuite) -> Self {
            let authority = DevelopmentCa::new(KeyAlgorithm::Ecdsa).unwrap();
            let own = authority.issue_server(&["localhost"]).unwrap();
            let mut roots = RootCertStore::empty();
            roots.add(authority.certificate().clone()).unwrap();
            let provider = Arc::new(CryptoProvider {
                cipher_suites: vec![suite],
                ..aws_lc_rs::default_provider()
            });
            let versions = &[suite.version()];
            let server = ServerConfig::builder_with_provider(provider.clone())
                .with_protocol_versions(versions)
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(own.chain(), own.key().unwrap())
                .unwrap();
            let client = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(versions)
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            Self(Arc::new(server), Arc::new(client))
        }

        /// A finished handshake between both ends, tickets included.
        fn handshake(&self, exports: bool) -> (Session, ClientConnection) {
            let mut session = Session::new(self.0.clone(), exports).unwrap();
            let name = "localhost".try_into().unwrap();
            let mut client = ClientConnection::new(self.1.clone(), name).unwrap();
            while client.wants_write() || session.is_handshaking() {
                turn(&mut session, &mut client).0.unwrap();
            }
            (session, client)
        }
    }

    /// What rustls itself exports, at the client's end.
    fn expected(client: &ClientConnection) -> [u8; 32] {
        let label = super::CHANNEL_BINDING;
        client
            .export_keying_material([0; 32], label, Some(&[]))
            .unwrap()
    }

    fn suites(version: ProtocolVersion) -> impl Iterator<Item = SupportedCipherSuite> {
        let all = aws_lc_rs::ALL_CIPHER_SUITES.iter().copied();
        all.filter(move |suite| suite.version().version == version)
    }

    #[test]
    fn both_ends_export_the_same_bytes_with_every_suite_of_tls_1_3() {
        let mut exported = Vec::new();
        for suite in suites(ProtocolVersion::TLSv1_3) {
            let (mut session, client) = Ends::with(suite).handshake(true);
            let bytes = *session.take_exporter().unwrap();
            assert_eq!(bytes, expected(&client), "{suite:?}");
            exported.push(bytes);
        }
        assert_eq!(exported.len(), 3, "AES-128, AES-256 and ChaCha20");
        exported.dedup();
        assert_eq!(exported.len(), 3, "each session has its own");
    }

    #[test]
    fn a_resumed_session_exports_bytes_of_its_own() {
        for suite in suites(ProtocolVersion::TLSv1_3) {
            let ends = Ends::with(suite);
            let (mut first, _) = ends.handshake(true);
            let (mut second, client) = ends.handshake(true);
            assert_eq!(client.handshake_kind(), Some(HandshakeKind::Resumed));
            let bytes = second.take_exporter();
            assert_eq!(bytes.as_deref(), Some(&expected(&client)));
            assert_ne!(bytes, first.take_exporter());
        }
    }

    #[test]
    fn tls_1_2_exports_nothing() {
        for suite in suites(ProtocolVersion::TLSv1_2).take(1) {
            let (mut session, _) = Ends::with(suite).handshake(true);
            assert_eq!(session.take_exporter(), None);
        }
    }

    #[test]
    fn the_bytes_are_given_once_and_only_by_a_session_that_was_to_export() {
        let suite = suites(ProtocolVersion::TLSv1_3).next().unwrap();
        let (mut session, _) = Ends::with(suite).handshake(true);
        assert!(session.take_exporter().is_some());
        assert_eq!(session.take_exporter(), None);
        let (mut session, _) = Ends::with(suite).handshake(false);
        assert_eq!(session.take_exporter(), None);
    }
}
