//! What the proofs work with: the proxy, the way to it, and what its backend saw.

use super::{
    echo::{Fields, Observation},
    ground::Ground,
};
use crate::{
    client::{Client, ClientBuilder, ClientError, CloseFrame, Event, WebSocketConnection},
    credential::{file, private_key},
};
use rustls::pki_types::CertificateDer;
use std::{
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc::UnboundedReceiver,
};

/// Bytes of an answer over plain HTTP, at most.
const ANSWER_LIMIT: u64 = 16 * 1024 * 1024;

/// Why something is not as it should be.
pub(super) type Failure = String;

/// The proxy and everything around it.
pub(super) struct Scene {
    /// Configuration and credentials.
    pub(super) ground: Ground,
    /// Where the proxy listens, as seen from here.
    pub(super) address: SocketAddr,
    pub(super) admin: Option<SocketAddr>,
    /// The route that the conversation takes.
    pub(super) route: String,
    /// Whether that route seals frames if it is asked to.
    pub(super) seals: bool,
    /// What to connect to.
    pub(super) url: String,
    /// What the backend saw, in order.
    pub(super) seen: UnboundedReceiver<Observation>,
    /// The conversation's socket, while it is open.
    pub(super) socket: Option<WebSocketConnection>,
    /// The request of the conversation, as the backend got it.
    pub(super) request: Fields,
    /// What the metrics have to agree with.
    pub(super) count: Counts,
}

/// What was done so far.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) opened: u32,
    /// WebSockets closed with 1000.
    pub(super) closed: u32,
    /// WebSockets that a forger opened, and the proxy closed with 1008.
    pub(super) forged: u32,
    /// Text messages sent.
    pub(super) texts: u32,
    /// Binary messages sent.
    pub(super) binaries: u32,
    /// Handshakes without a certificate that were refused.
    pub(super) without_certificate: u32,
    /// Certificates replaced.
    pub(super) rotations: u32,
}

impl Scene {
    /// A client of the proxy, without a certificate.
    pub(super) fn stranger(&self) -> Result<ClientBuilder, Failure> {
        let authorities = certificates(&self.ground.file("ca.pem"))?;
        Ok(Client::builder(&self.url)
            .address(self.address)
            .roots(authorities))
    }

    /// A client of the proxy, with the certificate of the demo.
    pub(super) fn client(&self) -> Result<ClientBuilder, Failure> {
        let key = self.ground.file("client.key");
        let key = file::private_key(&key).map_err(|error| error.to_string())?;
        let key = private_key::owned(&key).ok_or("certs/client.key is of an unknown kind")?;
        Ok(self.stranger()?.identity(self.chain()?, key))
    }

    /// The demo's client certificate, leaf first.
    pub(super) fn chain(&self) -> Result<Vec<CertificateDer<'static>>, Failure> {
        certificates(&self.ground.file("client.pem"))
    }

    /// Connects, and takes the request that the backend got.
    pub(super) async fn open(
        &mut self,
        client: ClientBuilder,
    ) -> Result<(WebSocketConnection, Fields), Failure> {
        let socket = client.connect().await.map_err(reason)?;
        self.count.opened += 1;
        match self.observe().await? {
            Observation::Request(fields) => Ok((socket, fields)),
            other => Err(format!("the backend saw {other:?} instead of a request")),
        }
    }

    /// Closes a socket with 1000, and has the same Close seen by both ends.
    pub(super) async fn close(&mut self, mut socket: WebSocketConnection) -> Result<(), Failure> {
        let close = CloseFrame {
            code: 1000,
            reason: "that is all".to_owned(),
        };
        let sent = socket.close(close.code, &close.reason).await;
        sent.map_err(reason)?;
        let answer = socket.next().await.map_err(reason)?;
        if answer != Event::Closed(Some(close.clone())) {
            return Err(format!("the client saw {answer:?} instead of its Close"));
        }
        let bytes = [&close.code.to_be_bytes(), close.reason.as_bytes()].concat();
        match self.observe().await? {
            Observation::Close(payload) if payload == bytes => {
                self.count.closed += 1;
                Ok(())
            }
            other => Err(format!("the backend saw {other:?} instead of the Close")),
        }
    }

    /// The open socket of the conversation.
    pub(super) fn socket(&mut self) -> Result<&mut WebSocketConnection, Failure> {
        let none = "the conversation's socket is not open";
        self.socket.as_mut().ok_or_else(|| none.to_owned())
    }

    /// Waits for what the backend sees next.
    pub(super) async fn observe(&mut self) -> Result<Observation, Failure> {
        let gone = "the demo's backend has ended";
        self.seen.recv().await.ok_or_else(|| gone.to_owned())
    }

    /// Fails if the backend saw anything that nobody has looked at.
    pub(super) fn expect_nothing_seen(&mut self) -> Result<(), Failure> {
        match self.seen.try_recv() {
            Ok(observation) => Err(format!("the backend saw {observation:?}")),
            Err(_) => Ok(()),
        }
    }
}

/// What an error of the client says.
#[allow(
    clippy::needless_pass_by_value,
    reason = "the last argument of map_err"
)]
pub(super) fn reason(error: ClientError) -> Failure {
    error.to_string()
}

/// Asks for a path over HTTP without TLS; returns the whole answer.
pub(super) async fn plain_http(address: SocketAddr, path: &str) -> Result<String, Failure> {
    let failed = |error| format!("http://{address}{path}: {error}");
    let mut stream = TcpStream::connect(address).await.map_err(failed)?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let sent = stream.write_all(request.as_bytes()).await;
    sent.map_err(failed)?;
    let mut answer = Vec::new();
    let mut reading = stream.take(ANSWER_LIMIT);
    reading.read_to_end(&mut answer).await.map_err(failed)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Where something that listens on all addresses is reached from here.
pub(super) fn reachable(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => (Ipv4Addr::LOCALHOST, v4.port()).into(),
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => (Ipv6Addr::LOCALHOST, v6.port()).into(),
        other => other,
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    file::certificates(file).map_err(|error| error.to_string())
}
