//! A call to the admin listener: one connection, one request.

use super::{error::AdminError, parts::safe};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::{
    error::Error,
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::Path,
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

const CONNECT: Duration = Duration::from_secs(5);
/// A reload may take its time; the listener gives it a minute.
const WHOLE: Duration = Duration::from_secs(70);
/// Bytes of an answer at most.
const ANSWER: usize = 64 * 1024 * 1024;

/// How to reach one admin listener.
pub(super) struct Client {
    /// What a name stands for, each to be tried; the first is the one to speak of.
    addresses: Vec<SocketAddr>,
    pub(super) address: SocketAddr,
    authorization: Option<HeaderValue>,
}

/// What it said.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) document: Value,
}

impl Client {
    /// A client of the admin listener at `address`, a name or an IP address with a port.
    pub(super) async fn new(address: &str, token_file: Option<&Path>) -> Result<Self, AdminError> {
        let (address, addresses) = resolved(address).await?;
        let authorization = token_file.map(bearer).transpose()?;
        Ok(Self {
            addresses,
            address,
            authorization,
        })
    }

    /// Calls an operation, which answers with JSON.
    pub(super) async fn call(&self, method: Method, path: &str) -> Result<Answer, AdminError> {
        let (status, body) = self.exchange(method, path).await?;
        match serde_json::from_slice(&body) {
            Ok(document) => Ok(Answer { status, document }),
            Err(_) => Err(self.foreign(status, "and no JSON")),
        }
    }

    /// The document of a good answer, which has `member`.
    pub(super) fn good(&self, answer: Answer, member: &str) -> Result<Value, AdminError> {
        let Answer { status, document } = answer;
        if status.is_success() {
            return match document.get(member) {
                Some(_) => Ok(document),
                None => Err(self.foreign(status, &format!("and JSON without `{member}`"))),
            };
        }
        match document.get("detail").and_then(Value::as_str) {
            Some(detail) => Err(AdminError::Refused {
                address: self.address,
                detail: safe(detail),
            }),
            None => Err(self.foreign(status, "and no reason")),
        }
    }

    pub(super) async fn text(&self, path: &str) -> Result<String, AdminError> {
        let (status, body) = self.exchange(Method::GET, path).await?;
        if !status.is_success() {
            return Err(self.foreign(status, "and no metrics"));
        }
        String::from_utf8(body.into()).map_err(|error| self.broken(&error))
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
    ) -> Result<(StatusCode, Bytes), AdminError> {
        let connecting = timeout(CONNECT, TcpStream::connect(self.addresses.as_slice())).await;
        let stream = match connecting {
            Ok(connected) => {
                connected.map_err(|error| self.unreachable(error.kind().to_string()))?
            }
            Err(_) => return Err(self.unreachable("it does not answer".to_owned())),
        };
        let request = self
            .request(method, path)
            .map_err(|error| self.broken(&error))?;
        match timeout(WHOLE, exchange(stream, request)).await {
            Ok(answer) => answer.map_err(|error| self.broken(&*error)),
            Err(_) => Err(self.unreachable("it took a connection, and no answer came".to_owned())),
        }
    }

    fn request(&self, method: Method, path: &str) -> http::Result<Request<Empty<Bytes>>> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.address.to_string());
        let request = match &self.authorization {
            Some(value) => request.header(header::AUTHORIZATION, value),
            None => request,
        };
        request.body(Empty::new())
    }

    fn unreachable(&self, reason: String) -> AdminError {
        AdminError::Unreachable {
            address: self.address,
            reason,
        }
    }

    /// What answers is something else than a tidegate.
    fn foreign(&self, status: StatusCode, content: &str) -> AdminError {
        AdminError::Foreign {
            address: self.address,
            answer: format!("{status}, {content}"),
        }
    }

    fn broken(&self, error: &(dyn Error + 'static)) -> AdminError {
        AdminError::Broken {
            address: self.address,
            reason: error.to_string(),
        }
    }
}

async fn exchange(
    stream: TcpStream,
    request: Request<Empty<Bytes>>,
) -> Result<(StatusCode, Bytes), Box<dyn Error + Send + Sync>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let asking = async move {
        let response = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, ANSWER).collect().await?.to_bytes();
        Ok((head.status, body))
    };
    // The connection has to be driven while the answer is awaited; how it ends after that is nothing to us.
    let (answer, _) = tokio::join!(asking, connection);
    answer
}

/// The addresses that a name stands for, and the first of them.
async fn resolved(text: &str) -> Result<(SocketAddr, Vec<SocketAddr>), AdminError> {
    let unusable = |error| AdminError::Address {
        text: text.to_owned(),
        error,
    };
    let addresses = lookup_host(text).await.map_err(unusable)?;
    let addresses = addresses.map(reachable).collect::<Vec<_>>();
    match addresses.first() {
        Some(first) => Ok((*first, addresses)),
        None => Err(unusable(io::Error::other("the name has no address"))),
    }
}

/// An address to connect to, where `address` may be one to listen on.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn bearer(path: &Path) -> Result<HeaderValue, AdminError> {
    let unusable = |reason: String| AdminError::Token {
        path: path.to_owned(),
        reason,
    };
    let token = fs::read_to_string(path).map_err(|error| unusable(error.to_string()))?;
    let value = HeaderValue::from_str(&format!("Bearer {}", token.trim()));
    let mut value = value.map_err(|_| unusable("it holds more than one line".to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
