//! TCP, TLS and the opening handshake (RFC 6455 section 4.1).

use std::{io, net::SocketAddr, pin::pin};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Collected, Empty, Limited};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, Parts},
};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{
    builder::ClientBuilder,
    error::{ClientError, Refusal},
    random, sealing,
    socket::{Opened, WebSocketConnection},
    target::Target,
    transport::{TlsParameters, Transport},
};
use crate::{
    frame::close::MANDATORY_EXTENSION,
    integrity::{client::ClientOffer, schedule::Exporter},
    request::websocket::check_switching,
};

/// The longest problem document that is read, in bytes.
const PROBLEM_LIMIT: usize = 64 * 1024;

/// The longest line of a text that is reported, in bytes.
const LINE_LIMIT: usize = 200;

/// A transport after a handshake.
struct Upgraded {
    head: Response<()>,
    parts: Parts<TokioIo<Box<dyn Transport>>>,
}

/// A transport before the handshake, and what a channel binding binds to.
struct Dialed {
    transport: Box<dyn Transport>,
    tls: Option<TlsParameters>,
    /// `None` without TLS 1.3.
    exporter: Option<Exporter>,
}

impl ClientBuilder {
    /// Connects: TCP, TLS for `wss`, then the opening handshake (RFC 6455 section 4.1).
    pub async fn connect(mut self) -> Result<WebSocketConnection, ClientError> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        let timeout = self.timeout;
        tokio::time::timeout(timeout, connect(self))
            .await
            .unwrap_or(Err(ClientError::Timeout(timeout)))
    }
}

async fn connect(mut builder: ClientBuilder) -> Result<WebSocketConnection, ClientError> {
    let target = Target::parse(&builder.url)?;
    let offers = sealing::prepare(&builder.integrity, builder.integrity_optional, target.tls)?;
    let dialed = dial(&mut builder, &target).await?;
    let key = new_key()?;
    let request = request(&builder, &target, &key, &offers)?;
    let asked = request.headers().clone();
    let Upgraded { head, parts } = upgrade(dialed.transport, request).await?;
    check_switching(&head, &key, &asked)
        .map_err(|fault| ClientError::Handshake(fault.to_string()))?;
    let head = head.into_parts().0;
    let subprotocol = subprotocol(&head.headers);
    let agreement = sealing::agree(&offers, &head.headers, dialed.exporter.as_ref())?;
    let unsealed = agreement.is_none() && !offers.is_empty() && !builder.integrity_optional;
    let connection = WebSocketConnection::new(Opened {
        transport: parts.io.into_inner(),
        early: parts.read_buf,
        subprotocol,
        tls: dialed.tls,
        agreement,
        message_limit: builder.message_limit,
    });
    if unsealed {
        // The request was granted, so that the server has to learn of it (RFC 6455 section 7.4.1).
        connection.give_up(MANDATORY_EXTENSION).await;
        return Err(ClientError::Unsealed);
    }
    Ok(connection)
}

async fn dial(builder: &mut ClientBuilder, target: &Target) -> Result<Dialed, ClientError> {
    let tcp = tcp(builder.address, target).await?;
    if !target.tls {
        return Ok(Dialed {
            transport: Box::new(tcp),
            tls: None,
            exporter: None,
        });
    }
    let name = ServerName::try_from(target.host.clone()).map_err(|_| ClientError::Url {
        url: builder.url.clone(),
        problem: "its host is neither a DNS name nor an IP address",
    })?;
    let connector = TlsConnector::from(builder.tls()?);
    let tls = connector.connect(name, tcp).await;
    let tls = tls.map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ClientError::Handshake(
            "the connection ended in the midst of TLS; does the server speak it there?".to_owned(),
        ),
        _ => ClientError::from_io(error),
    })?;
    let session = tls.get_ref().1;
    Ok(Dialed {
        tls: parameters(session),
        exporter: sealing::exporter(session),
        transport: Box::new(tls),
    })
}

fn parameters(connection: &rustls::ClientConnection) -> Option<TlsParameters> {
    Some(TlsParameters {
        version: connection.protocol_version()?,
        suite: connection.negotiated_cipher_suite()?.suite(),
        key_exchange: connection
            .negotiated_key_exchange_group()
            .map(rustls::crypto::SupportedKxGroup::name),
        server_certificate: connection.peer_certificates()?.first()?.clone(),
    })
}

async fn tcp(address: Option<SocketAddr>, target: &Target) -> Result<TcpStream, ClientError> {
    let connected = match address {
        Some(address) => TcpStream::connect(address).await,
        None => TcpStream::connect((target.host.as_str(), target.port)).await,
    };
    let stream = connected.map_err(|source| ClientError::Connect {
        host: target.authority.clone(),
        source,
    })?;
    // A small message should not wait for the acknowledgement of the one before.
    stream.set_nodelay(true).map_err(ClientError::Io)?;
    Ok(stream)
}

/// RFC 6455 section 4.1: 16 bytes chosen at random, in base64.
fn new_key() -> Result<String, ClientError> {
    let mut key = [0; 16];
    random::fill(&mut key)?;
    Ok(STANDARD.encode(key))
}

fn request(
    builder: &ClientBuilder,
    target: &Target,
    key: &str,
    offers: &[ClientOffer],
) -> Result<Request<Empty<Bytes>>, ClientError> {
    let mut request = Request::builder()
        .uri(&target.resource)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, key);
    if !builder.headers.contains_key(header::HOST) {
        request = request.header(header::HOST, &target.authority);
    }
    if !builder.subprotocols.is_empty() {
        let offered = builder.subprotocols.join(", ");
        request = request.header(header::SEC_WEBSOCKET_PROTOCOL, offered);
    }
    if let Some(offered) = sealing::field(offers) {
        request = request.header(header::SEC_WEBSOCKET_EXTENSIONS, offered);
    }
    for (name, value) in &builder.headers {
        request = request.header(name, value);
    }
    request
        .body(Empty::new())
        .map_err(|error| ClientError::Argument(format!("the request cannot be written: {error}")))
}

/// Sends the request and takes the transport back, with whatever came after the 101.
async fn upgrade(
    transport: Box<dyn Transport>,
    request: Request<Empty<Bytes>>,
) -> Result<Upgraded, ClientError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(transport))
        .await
        .map_err(|error| ClientError::from_http(&error))?;
    let mut connection = pin!(connection.without_shutdown());
    let mut response = pin!(sender.send_request(request));
    let mut finished = None;
    let response = loop {
        tokio::select! {
            biased;
            response = &mut response => break response,
            parts = &mut connection, if finished.is_none() => finished = Some(parts),
        }
    };
    let response = response.map_err(|error| ClientError::from_http(&error))?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let running = finished.is_none();
        let driven = async {
            if running {
                // How it ends does not matter: the refusal is what is reported.
                let _ = connection.as_mut().await;
            }
            std::future::pending::<()>().await;
        };
        return Err(tokio::select! {
            refusal = refusal(response) => ClientError::Refused(refusal),
            () = driven => ClientError::Ended,
        });
    }
    let parts = match finished {
        Some(parts) => parts,
        None => connection.await,
    };
    let parts = parts.map_err(|error| ClientError::from_http(&error))?;
    Ok(Upgraded {
        head: response.map(drop),
        parts,
    })
}

/// Reads what the server says about its refusal, in a problem document or the first line of a
/// text; what cannot be read is not one more error.
async fn refusal(response: Response<Incoming>) -> Refusal {
    let (head, body) = response.into_parts();
    let kind = head.headers.get(header::CONTENT_TYPE);
    let is = |wanted: &[u8]| kind.is_some_and(|kind| kind.as_bytes().starts_with(wanted));
    let body = Limited::new(body, PROBLEM_LIMIT).collect().await;
    let content = body.map(Collected::to_bytes).unwrap_or_default();
    let line = |text: &str| text.replace(char::is_control, " ");
    let (mut title, mut detail) = (None, None);
    if is(b"application/problem+json") {
        let document: Option<serde_json::Value> = serde_json::from_slice(&content).ok();
        let member = |name: &str| Some(line(document.as_ref()?.get(name)?.as_str()?));
        (title, detail) = (member("title"), member("detail"));
    } else if is(b"text/plain") {
        let text = String::from_utf8_lossy(&content);
        let first = text.lines().next().unwrap_or_default().trim();
        detail = Some(line(first)).filter(|line| (1..=LINE_LIMIT).contains(&line.len()));
    }
    Refusal {
        status: head.status,
        title,
        detail,
    }
}

/// The subprotocol that was chosen.
fn subprotocol(fields: &HeaderMap) -> Option<String> {
    let chosen = fields.get(header::SEC_WEBSOCKET_PROTOCOL)?.to_str().ok()?;
    Some(chosen.trim().to_owned())
}
