//! Stage 2: TLS.
//!
//! Takes: a TCP connection. Returns: a TLS stream, and how it asked for a certificate. Refuses when
//! the client does not speak TLS, is not trusted, or shares no parameters: a TLS alert. Deadline:
//! `timeouts.handshake`, from accept. Metric: `handshakes_total`, `handshake_seconds`.

use crate::{
    ending::HandshakeEnding,
    name::host::Host,
    policy::{ClientCertMode, judgement::Standing},
    tls::{
        stream::{StreamError, TlsStream},
        trust::standing_of,
    },
    worker::{refusal::Refusal, visit::Visit},
};
use rustls::{AlertDescription, server::Acceptor};
use std::io;
use tokio::{io::AsyncWriteExt, net::TcpStream, time::timeout};

/// A finished handshake.
pub struct Secured {
    /// The connection.
    pub stream: TlsStream,
    /// How the handshake asked for a certificate.
    pub mode: ClientCertMode,
    /// Application data that came with the last flight.
    pub early: Vec<u8>,
}

/// A handshake that was refused.
pub struct Failed {
    /// Why.
    pub refusal: Refusal<HandshakeEnding>,
    /// The connection, where the client has something to read that it should have time for.
    pub told: Option<TcpStream>,
}

/// The longest ClientHello that is waited for: four records.
const HELLO_MAX: usize = 4 * (1 << 14);

/// What is answered to HTTP without TLS, where a person is likely to read it.
const PLAIN_HTTP: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
This port speaks TLS: use wss:// (or https://), not ws:// (or http://).\n";

/// Runs the handshake under its deadline.
///
/// On an error, [`linger`](crate::tls::stream::linger) on the connection that comes with it.
pub async fn run(visit: &Visit, tcp: TcpStream) -> Result<Secured, Failed> {
    let deadline = visit.snapshot.timeouts.handshake;
    match timeout(deadline, secure(visit, tcp)).await {
        Ok(result) => result,
        Err(_) => Err(HandshakeEnding::Timeout.into()),
    }
}

async fn secure(visit: &Visit, tcp: TcpStream) -> Result<Secured, Failed> {
    let mut tcp = refuse_plain_http(tcp).await?;
    let mut hello = Vec::new();
    let mode = match visit.snapshot.uniform_mode(visit.listener.index) {
        Some(mode) => mode,
        None => match read_hello(&mut tcp, &mut hello).await? {
            Hello::For(host) => visit.snapshot.mode(visit.listener.index, host.as_ref()),
            // The session below finds the same fault and sends the alert for it.
            Hello::Broken => ClientCertMode::Required,
        },
    };
    let config = visit.snapshot.trust.config(mode).clone();
    let mut stream = TlsStream::new(tcp, config, visit.snapshot.exports)
        .map_err(|error| Refusal::new(HandshakeEnding::Protocol, error))?;
    let mut early = Vec::new();
    let worker = &visit.worker;
    let result = stream
        .handshake(&hello, &mut early, &worker.buffers, &worker.turnstile)
        .await;
    match result {
        Ok(()) => Ok(Secured {
            stream,
            mode,
            early,
        }),
        Err(error) => Err(Failed {
            refusal: error.into(),
            told: Some(stream.tcp),
        }),
    }
}

/// Tells people who took the wrong scheme, in the language they speak.
async fn refuse_plain_http(mut tcp: TcpStream) -> Result<TcpStream, Failed> {
    let mut first = [0];
    let count = tcp.peek(&mut first).await.map_err(StreamError::from)?;
    match first {
        [_] if count == 0 => Err(HandshakeEnding::Gone.into()),
        // A method's first letter; a TLS handshake record begins with 22.
        [b'A'..=b'Z'] => {
            tcp.write_all(PLAIN_HTTP).await.map_err(StreamError::from)?;
            Err(Failed {
                refusal: HandshakeEnding::NotTls.into(),
                told: Some(tcp),
            })
        }
        _ => Ok(tcp),
    }
}

/// What the first flight says.
enum Hello {
    /// The server name, if there is one.
    For(Option<Host>),
    /// It is no ClientHello.
    Broken,
}

/// Reads until the ClientHello is whole, keeping its bytes for the session that will answer it.
async fn read_hello(
    tcp: &mut TcpStream,
    hello: &mut Vec<u8>,
) -> Result<Hello, Refusal<HandshakeEnding>> {
    let mut acceptor = Acceptor::default();
    let mut fed = 0;
    while hello.len() < HELLO_MAX {
        tcp.readable().await.map_err(StreamError::from)?;
        match tcp.try_read_buf(hello) {
            Ok(0) => return Err(HandshakeEnding::Gone.into()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(StreamError::from(error).into()),
        }
        while let Some(mut rest) = hello.get(fed..).filter(|rest| !rest.is_empty()) {
            let Ok(count) = acceptor.read_tls(&mut rest) else {
                return Ok(Hello::Broken);
            };
            fed += count;
            match acceptor.accept() {
                Ok(Some(accepted)) => {
                    let name = accepted.client_hello().server_name().map(Host::from_sni);
                    return Ok(Hello::For(name.and_then(Result::ok)));
                }
                Ok(None) => {}
                Err(_) => return Ok(Hello::Broken),
            }
        }
    }
    Ok(Hello::Broken)
}

impl<T: Into<Refusal<HandshakeEnding>>> From<T> for Failed {
    fn from(refusal: T) -> Self {
        Self {
            refusal: refusal.into(),
            told: None,
        }
    }
}

impl From<StreamError> for Refusal<HandshakeEnding> {
    fn from(error: StreamError) -> Self {
        let ending = match &error {
            StreamError::Io(_) => HandshakeEnding::Gone,
            StreamError::Tls(error) => classify(error),
        };
        Refusal::new(ending, error)
    }
}

/// Which ending an error of rustls means before the handshake is finished.
fn classify(error: &rustls::Error) -> HandshakeEnding {
    use rustls::Error as E;
    match error {
        E::NoCertificatesPresented => HandshakeEnding::CertificateMissing,
        E::InvalidCertificate(error) => ending_of(standing_of(error)),
        E::InvalidMessage(rustls::InvalidMessage::InvalidContentType) => HandshakeEnding::NotTls,
        E::PeerIncompatible(_) | E::NoApplicationProtocol => HandshakeEnding::NoCommon,
        E::AlertReceived(AlertDescription::CloseNotify) => HandshakeEnding::Gone,
        E::AlertReceived(_) => HandshakeEnding::Alert,
        _ => HandshakeEnding::Protocol,
    }
}

/// What the CAs and CRLs say of a chain, as the ending of its handshake.
pub fn ending_of(standing: Standing) -> HandshakeEnding {
    match standing {
        Standing::Expired => HandshakeEnding::CertificateOutOfDate,
        Standing::NotYetValid => HandshakeEnding::CertificateNotYet,
        Standing::Revoked => HandshakeEnding::CertificateIsRevoked,
        Standing::UnknownIssuer => HandshakeEnding::CertificateUnknownCa,
        Standing::StatusUnknown => HandshakeEnding::CertificateNoStatus,
        Standing::WrongPurpose => HandshakeEnding::CertificatePurpose,
        Standing::Invalid | Standing::Trusted => HandshakeEnding::CertificateBad,
    }
}
