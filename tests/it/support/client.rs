//! TLS to the proxy, with whatever a test wants to show.

use super::{BOUND, Credentials, Wire, wire::Transport, within};
use rustls::{
    AlertDescription, ClientConfig, NamedGroup, RootCertStore, SupportedProtocolVersion,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    crypto::{SupportedKxGroup, aws_lc_rs},
    pki_types::{CertificateDer, ServerName},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex},
};
use tidegate::cli::certs::Issued;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

/// How a client connects.
#[derive(Clone)]
pub(crate) struct Dial {
    address: SocketAddr,
    name: ServerName<'static>,
    sni: bool,
    roots: RootCertStore,
    identity: Option<Arc<Issued>>,
    /// Certificates that are sent behind the client's own.
    behind: Vec<CertificateDer<'static>>,
    versions: Vec<&'static SupportedProtocolVersion>,
    tickets: Option<Arc<Mutex<Option<Arc<ClientConfig>>>>>,
}

/// What a finished handshake agreed on.
pub(crate) struct Session {
    pub(crate) wire: Wire,
    /// The server's certificate.
    pub(crate) server: CertificateDer<'static>,
    pub(crate) resumed: bool,
    pub(crate) version: rustls::ProtocolVersion,
    pub(crate) group: Option<NamedGroup>,
}

impl Dial {
    pub(crate) fn new(address: SocketAddr, credentials: &Credentials) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(credentials.root()).unwrap();
        Self {
            address,
            name: ServerName::try_from("localhost").unwrap(),
            sni: true,
            roots,
            identity: Some(credentials.client.clone()),
            behind: Vec::new(),
            versions: rustls::ALL_VERSIONS.to_vec(),
            tickets: None,
        }
    }

    /// To another address.
    pub(crate) fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Where it connects to.
    pub(crate) fn remote(&self) -> SocketAddr {
        self.address
    }

    /// Asks for this server name.
    pub(crate) fn name(mut self, name: &str) -> Self {
        self.name = ServerName::try_from(name.to_owned()).unwrap();
        self
    }

    /// Sends no server name.
    pub(crate) fn without_name(mut self) -> Self {
        self.sni = false;
        self
    }

    /// Shows this certificate.
    pub(crate) fn identity(mut self, issued: impl Into<Arc<Issued>>) -> Self {
        self.identity = Some(issued.into());
        self
    }

    /// Shows these certificates behind its own.
    pub(crate) fn behind(mut self, chain: Vec<CertificateDer<'static>>) -> Self {
        self.behind = chain;
        self
    }

    /// Shows no certificate.
    pub(crate) fn anonymous(mut self) -> Self {
        self.identity = None;
        self
    }

    /// Trusts this CA too.
    pub(crate) fn root(mut self, root: CertificateDer<'static>) -> Self {
        self.roots.add(root).unwrap();
        self
    }

    /// Speaks only this version.
    pub(crate) fn version(mut self, version: &'static SupportedProtocolVersion) -> Self {
        self.versions = vec![version];
        self
    }

    /// Keeps tickets and resumes with them, whatever the server's name; clones made from here on
    /// share them, with the identity of the first that connects.
    pub(crate) fn resuming(mut self) -> Self {
        self.tickets = Some(Arc::default());
        self
    }

    /// A finished handshake, as far as the client can tell: over TLS 1.3 it learns with the first
    /// byte it reads whether its certificate was accepted.
    pub(crate) async fn connect(&self) -> Wire {
        self.session().await.wire
    }

    /// As [`Dial::connect`], with what was agreed on.
    pub(crate) async fn session(&self) -> Session {
        self.try_session().await.unwrap()
    }

    /// As [`Dial::session`], where the server may refuse.
    pub(crate) async fn try_session(&self) -> io::Result<Session> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let local = tcp.local_addr()?;
        let stream = self.over(tcp).await?;
        let (_, connection) = stream.get_ref();
        let server = connection.peer_certificates().unwrap()[0].clone();
        let resumed = connection.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        let version = connection.protocol_version().unwrap();
        let group = connection.negotiated_key_exchange_group();
        let group = group.map(SupportedKxGroup::name);
        Ok(Session {
            server: server.into_owned(),
            resumed,
            version,
            group,
            wire: Wire::new(stream, Some(local)),
        })
    }

    /// The handshake over any transport.
    pub(crate) async fn over<T: Transport>(&self, transport: T) -> io::Result<TlsStream<T>> {
        let connector = TlsConnector::from(self.config());
        let handshake = connector.connect(self.name.clone(), transport);
        within("the TLS handshake", handshake).await
    }

    /// The alert with which the server refuses this client; panics if it does not.
    pub(crate) async fn alert(&self) -> AlertDescription {
        let error = match self.try_session().await {
            Ok(mut session) => session
                .wire
                .read_more()
                .await
                .expect_err("the server did not refuse"),
            Err(error) => error,
        };
        let inner = error.get_ref().map(|inner| inner.downcast_ref());
        match inner {
            Some(Some(rustls::Error::AlertReceived(alert))) => *alert,
            _ => panic!("no alert, but {error:?}"),
        }
    }

    fn config(&self) -> Arc<ClientConfig> {
        let Some(tickets) = &self.tickets else {
            return Arc::new(self.new_config());
        };
        let mut kept = tickets.lock().unwrap();
        kept.get_or_insert_with(|| Arc::new(self.new_config()))
            .clone()
    }

    fn new_config(&self) -> ClientConfig {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(self.roots.clone());
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(issued) => {
                let chain = [issued.chain(), self.behind.clone()].concat();
                let key = aws_lc_rs::sign::any_supported_type(&issued.key().unwrap());
                // Whether the certificate is one that it would accept itself is not asked.
                let pair = CertifiedKey::new(chain, key.unwrap());
                builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)))
            }
        };
        config.enable_sni = self.sni;
        // For those who take a session apart, see `HandMade`.
        config.enable_secret_extraction = true;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.resumption = match &self.tickets {
            None => Resumption::disabled(),
            Some(_) => Resumption::store(Arc::new(OneStore(ClientSessionMemoryCache::new(8)))),
        };
        config
    }
}

/// Keeps what it is given under one name: a client that tries one server's ticket at another.
#[derive(Debug)]
struct OneStore(ClientSessionMemoryCache);

impl OneStore {
    fn name() -> ServerName<'static> {
        ServerName::try_from("any").unwrap()
    }
}

impl ClientSessionStore for OneStore {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(Self::name(), group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&Self::name())
    }

    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(Self::name(), value);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&Self::name())
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&Self::name());
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(Self::name(), value);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&Self::name())
    }
}

/// A TCP connection to the proxy, without TLS.
pub(crate) async fn tcp(address: SocketAddr) -> Wire {
    let connect = tokio::time::timeout(BOUND, TcpStream::connect(address));
    let stream = connect.await.unwrap().unwrap();
    let local = stream.local_addr().unwrap();
    Wire::new(stream, Some(local))
}
