//! What a connection is made with.

use super::{error::ClientError, sealing::IntegrityOffer};
use http::{HeaderMap, HeaderName, HeaderValue};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer},
};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// The way to a connection.
#[derive(Debug)]
pub struct Client;

/// What a connection is made with.
pub struct ClientBuilder {
    pub(super) url: String,
    pub(super) address: Option<SocketAddr>,
    roots: Vec<CertificateDer<'static>>,
    identity: Option<Identity>,
    pub(super) headers: HeaderMap,
    pub(super) subprotocols: Vec<String>,
    pub(super) integrity: Vec<IntegrityOffer>,
    pub(super) integrity_optional: bool,
    pub(super) timeout: Duration,
    pub(super) message_limit: usize,
    /// The first thing that was wrong with an argument; reported by `connect`.
    pub(super) problem: Option<ClientError>,
}

struct Identity {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl Client {
    /// Begins a connection to a `ws://` or `wss://` URL.
    pub fn builder(url: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            url: url.into(),
            address: None,
            roots: Vec::new(),
            identity: None,
            headers: HeaderMap::new(),
            subprotocols: Vec::new(),
            integrity: Vec::new(),
            integrity_optional: false,
            timeout: Duration::from_secs(30),
            message_limit: 16 * 1024 * 1024,
            problem: None,
        }
    }
}

impl ClientBuilder {
    /// Connects to this address instead of looking the URL's host up.
    #[must_use]
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Trusts servers whose certificate one of these CAs issued; there is no other trust.
    #[must_use]
    pub fn roots(mut self, roots: impl IntoIterator<Item = CertificateDer<'static>>) -> Self {
        self.roots.extend(roots);
        self
    }

    /// Shows this certificate chain, leaf first, to a server that asks.
    #[must_use]
    pub fn identity(
        mut self,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Self {
        self.identity = Some(Identity { chain, key });
        self
    }

    /// Adds a field to the request. The fields of the handshake itself cannot be set; `Host` can.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        match header(name, value) {
            Ok((name, value)) => {
                self.headers.append(name, value);
            }
            Err(problem) => self.problem = self.problem.or(Some(problem)),
        }
        self
    }

    /// Says from which page the request comes (RFC 6455 section 10.2).
    #[must_use]
    pub fn origin(self, origin: &str) -> Self {
        self.header("origin", origin)
    }

    /// Offers a subprotocol (RFC 6455 section 1.9), after those offered before.
    #[must_use]
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Offers to seal the frames, in order of preference, after what was offered before. Without
    /// the server's agreement there is no connection. Who relies on `hmac-sha-256` offers nothing
    /// else: a peer in between could take the other offers away. To ask for nothing (an
    /// `Option` that is `None`) is an error: it would connect without tags.
    #[must_use]
    pub fn integrity(mut self, offers: impl IntoIterator<Item = IntegrityOffer>) -> Self {
        let before = self.integrity.len();
        self.integrity.extend(offers);
        if self.integrity.len() == before {
            let message = "integrity was asked for without an offer, so nothing would be sealed; give one, or do not ask for it";
            let problem = ClientError::Argument(message.to_owned());
            self.problem = self.problem.or(Some(problem));
        }
        self
    }

    /// Goes on without tags if the server agrees to none;
    /// [`WebSocketConnection::agreed`](super::WebSocketConnection::agreed) says whether it did. A
    /// peer in between can bring that about.
    #[must_use]
    pub const fn integrity_optional(mut self) -> Self {
        self.integrity_optional = true;
        self
    }

    /// How long connecting may take altogether; 30 seconds at first.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest message that is taken, in bytes; 16 MiB at first.
    #[must_use]
    pub const fn message_limit(mut self, bytes: usize) -> Self {
        self.message_limit = bytes;
        self
    }

    /// The configuration of TLS; takes the roots and the identity out.
    pub(super) fn tls(&mut self) -> Result<Arc<ClientConfig>, ClientError> {
        let mut roots = RootCertStore::empty();
        for root in self.roots.drain(..) {
            roots.add(root).map_err(|error| {
                ClientError::Argument(format!("a CA certificate cannot be used: {error}"))
            })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| ClientError::Argument(error.to_string()))?
            .with_root_certificates(roots);
        let mut config = match self.identity.take() {
            None => builder.with_no_client_auth(),
            Some(Identity { chain, key }) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| {
                    ClientError::Argument(format!(
                        "the client certificate and its key cannot be used: {error}; see that the key belongs to the first certificate of the chain"
                    ))
                })?
            }
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Refuses the fields that the handshake writes itself (RFC 6455 section 4.1).
fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), ClientError> {
    let refused = |problem: &str| ClientError::Argument(format!("header {name:?}: {problem}"));
    let parsed =
        HeaderName::try_from(name).map_err(|_| refused("this is not a field name (RFC 9110)"))?;
    let value = HeaderValue::try_from(value)
        .map_err(|_| refused("its value has characters that no field may have"))?;
    let handshake = matches!(
        parsed.as_str(),
        "connection" | "upgrade" | "content-length" | "transfer-encoding"
    );
    if handshake || parsed.as_str().starts_with("sec-websocket-") {
        return Err(refused(
            "the handshake writes this field itself; leave it out (subprotocols have an option of their own)",
        ));
    }
    Ok((parsed, value))
}
