//! A WebSocket client that costs little: its frames are made once, bytes are only compared.

use crate::{Result, Target};
use rustls::{
    ClientConfig, HandshakeKind, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use std::{net::SocketAddr, path::Path, sync::Arc};
use tidegate::frame::ControlFrame;
use tidegate::frame::Header;
use tidegate::frame::Opcode;
use tidegate::frame::mask;
use tidegate::request::websocket::accept_for;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// A transport, with or without TLS.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Transport for T {}

/// Where to connect, and how.
pub(crate) struct Connector {
    address: SocketAddr,
    tls: Option<TlsConnector>,
}

/// A connection, which an upgrade makes a WebSocket.
pub(crate) struct Socket {
    pub(crate) transport: Box<dyn Transport>,
    /// Whether the TLS session was resumed.
    pub(crate) resumed: bool,
}

impl Connector {
    /// A connector with a memory of its own for TLS sessions, if it is to resume them.
    pub(crate) fn new(target: &Target, resume: bool) -> Result<Self> {
        let credentials = target.credentials.as_deref();
        let config = credentials.map(|folder| config(folder, resume));
        Ok(Self {
            address: target.address,
            tls: config.transpose()?.map(|c| TlsConnector::from(Arc::new(c))),
        })
    }

    /// Connects and upgrades.
    pub(crate) async fn open(&self) -> Result<Socket> {
        self.open_at("localhost").await
    }

    /// The same, asking for this host, by SNI and in the request.
    pub(crate) async fn open_at(&self, host: &str) -> Result<Socket> {
        let mut socket = self.connect(host).await?;
        socket.upgrade(host, self.address.port()).await?;
        Ok(socket)
    }

    /// Connects, and asks for nothing yet.
    pub(crate) async fn connect(&self, host: &str) -> Result<Socket> {
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(Socket {
                transport: Box::new(tcp),
                resumed: false,
            });
        };
        let name = ServerName::try_from(host.to_owned())?;
        let stream = tls.connect(name, tcp).await?;
        let kind = stream.get_ref().1.handshake_kind();
        Ok(Socket {
            transport: Box::new(stream),
            resumed: kind == Some(HandshakeKind::Resumed),
        })
    }
}

impl Socket {
    async fn upgrade(&mut self, host: &str, port: u16) -> Result<()> {
        let request = format!(
            "GET /echo HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        );
        self.transport.write_all(request.as_bytes()).await?;
        self.transport.flush().await?;
        let mut head = Vec::with_capacity(1024);
        while !head.ends_with(b"\r\n\r\n") {
            if self.transport.read_buf(&mut head).await? == 0 {
                break;
            }
        }
        let head = String::from_utf8_lossy(&head);
        if head.starts_with("HTTP/1.1 101") && head.contains(&accept_for(KEY)) {
            return Ok(());
        }
        Err(format!("not upgraded: {head:?}").into())
    }

    /// Sends one message and reads it back.
    pub(crate) async fn exchange(&mut self, message: &Message) -> Result<()> {
        self.transport.write_all(&message.request).await?;
        self.transport.flush().await?;
        let mut reply = vec![0; message.reply.len()];
        self.transport.read_exact(&mut reply).await?;
        if reply == message.reply {
            return Ok(());
        }
        Err("the message came back changed".into())
    }

    /// Closes, and waits until the peer has closed as well.
    pub(crate) async fn close(mut self) -> Result<()> {
        let close = ControlFrame::close(1000, "");
        let bytes = close.encode(Some(MASK));
        self.transport.write_all(bytes.as_slice()).await?;
        self.transport.flush().await?;
        let mut rest = [0; 256];
        while self.transport.read(&mut rest).await? > 0 {}
        // The peer has closed its side already: a failure changes nothing.
        let _ = self.transport.shutdown().await;
        Ok(())
    }
}

/// A message as it leaves, and as it comes back.
pub(crate) struct Message {
    pub(crate) request: Vec<u8>,
    pub(crate) reply: Vec<u8>,
}

impl Message {
    pub(crate) fn new(size: usize) -> Self {
        let mut payload: Vec<u8> = (0..=250).cycle().take(size).collect();
        let header = |mask| Header {
            fin: true,
            reserved: 0,
            opcode: Opcode::Binary,
            mask,
            length: size as u64,
        };
        let reply = [header(None).encode().as_slice(), &payload].concat();
        mask::apply(MASK, 0, &mut payload);
        let request = [header(Some(MASK)).encode().as_slice(), &payload].concat();
        Self { request, reply }
    }
}

/// TLS 1.3, X25519 and AES-128-GCM alone, so that every proxy has to do the same.
fn config(credentials: &Path, resume: bool) -> Result<ClientConfig> {
    let provider = CryptoProvider {
        cipher_suites: vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256],
        kx_groups: vec![aws_lc_rs::kx_group::X25519],
        ..aws_lc_rs::default_provider()
    };
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(credentials.join("ca.pem"))?)?;
    let chain = CertificateDer::pem_file_iter(credentials.join("client.pem"))?
        .collect::<std::result::Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(credentials.join("client.key"))?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, key)?;
    if !resume {
        config.resumption = Resumption::disabled();
    }
    Ok(config)
}
