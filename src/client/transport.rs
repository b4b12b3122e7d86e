//! What carries the bytes.

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite};

/// Anything that carries bytes both ways.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Sync + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Sync + Unpin> Transport for T {}

/// What a TLS handshake agreed on.
#[derive(Clone, Debug)]
pub struct TlsParameters {
    /// The version of the protocol.
    pub version: rustls::ProtocolVersion,
    /// The cipher suite.
    pub suite: rustls::CipherSuite,
    /// The group of the key exchange.
    pub key_exchange: Option<rustls::NamedGroup>,
    /// The certificate that the server showed, verified, in DER.
    pub server_certificate: CertificateDer<'static>,
}
