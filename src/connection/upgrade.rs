//! Stage 4: HTTP request → what is asked for; and the answer.
//!
//! Takes: a TLS stream. Gives: a judged request head, and the octets that came behind it. Refuses
//! what is not a valid opening handshake (RFC 6455 section 4.2.1): a status with a problem
//! document (RFC 9457). Deadline: `timeouts.upgrade`. Metric: `upgrades_total`.

use super::{Refusal, Visit};
use crate::{
    ending::{Ending, RequestEnding},
    lifecycle::connections::ConnectionId,
    policy::request::{HeadScanner, RequestError, RequestHead},
    tls::{
        session::Received,
        stream::{StreamError, TlsStream},
    },
};
use http::StatusCode;
use serde::Serialize;
use std::fmt::Write;
use tokio::time::timeout;

/// A request as it was received.
pub struct Request {
    /// Everything that was received; the head stands in front.
    received: Vec<u8>,
    /// Octets of the head.
    length: usize,
}

/// A problem document (RFC 9457 section 3).
#[derive(Serialize)]
struct Problem<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    /// Why, as metrics and logs name it.
    reason: &'static str,
    /// The connection's id, as in logs.
    id: String,
}

impl Request {
    /// Reads a whole head under its deadline; `early` came with the handshake.
    pub async fn read(
        visit: &Visit,
        stream: &mut TlsStream,
        early: Vec<u8>,
    ) -> Result<Self, Refusal> {
        let deadline = visit.snapshot.timeouts.upgrade;
        match timeout(deadline, receive(visit, stream, early)).await {
            Ok(result) => result,
            Err(_) => Err(RequestEnding::Timeout.into()),
        }
    }

    /// Judges the head.
    pub fn head(&self) -> Result<RequestHead<'_>, Refusal> {
        match RequestHead::parse(&self.received) {
            Some(Ok((head, _))) => Ok(head),
            Some(Err(error)) => Err(error.into()),
            None => Err(RequestEnding::Malformed.into()),
        }
    }

    /// What came behind the head: frames that the client sent without waiting for the 101.
    pub fn behind(&self) -> &[u8] {
        self.received.get(self.length..).unwrap_or_default()
    }
}

async fn receive(
    visit: &Visit,
    stream: &mut TlsStream,
    mut received: Vec<u8>,
) -> Result<Request, Refusal> {
    let mut scanner = HeadScanner::default();
    loop {
        if let Some(end) = scanner.find_end(&received) {
            return Ok(Request {
                length: end?,
                received,
            });
        }
        let nothing = received.is_empty();
        match stream.read(&mut received, &visit.worker.buffers).await {
            Ok(Received::Open) => {}
            Ok(Received::Closed) if received.is_empty() => {
                return Err(RequestEnding::NoRequest.into());
            }
            Ok(Received::Closed) => return Err(RequestEnding::Gone.into()),
            Err(StreamError::Io(_)) if nothing => return Err(RequestEnding::NoRequest.into()),
            Err(error) => return Err(Refusal::new(RequestEnding::Gone, error)),
        }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let ending = match &error {
            RequestError::Malformed(_) => RequestEnding::Malformed,
            RequestError::TooLarge(_) => RequestEnding::TooLarge,
            RequestError::NotWebSocket(_) => RequestEnding::NotWebSocket,
            RequestError::Version(_) => RequestEnding::Version,
        };
        Refusal::new(ending, error)
    }
}

/// The answer to a refused request; `None` where there is nothing to say or nobody to hear it.
pub fn refusal_response(refusal: &Refusal, id: ConnectionId) -> Option<String> {
    let status = StatusCode::from_u16(refusal.ending.status()?).ok()?;
    let title = status.canonical_reason().unwrap_or("Refused");
    let detail = match &refusal.detail {
        Some(detail) if !refusal.private => detail.as_str(),
        _ => refusal.ending.sentence(),
    };
    let problem = Problem {
        r#type: "about:blank",
        title,
        status: status.as_u16(),
        detail,
        reason: refusal.ending.label(),
        id: id.to_string(),
    };
    let body = serde_json::to_string(&problem).ok()?;
    let mut head = format!("HTTP/1.1 {} {title}\r\n", status.as_u16());
    head.push_str(extra_fields(status));
    let _ = write!(
        head,
        "Content-Type: application/problem+json\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\r\n{body}",
        body.len()
    );
    Some(head)
}

/// What a status asks for beyond the document.
fn extra_fields(status: StatusCode) -> &'static str {
    match status {
        // RFC 9110 section 15.5.22 and RFC 6455 section 4.4.
        StatusCode::UPGRADE_REQUIRED => {
            "Connection: upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            "Connection: close\r\nRetry-After: 1\r\n"
        }
        _ => "Connection: close\r\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_version_is_answered_with_the_right_one() {
        let refusal = Refusal::from(RequestEnding::Version);
        let text = refusal_response(&refusal, ConnectionId(1)).unwrap();
        assert!(
            text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"),
            "{text}"
        );
        assert!(text.contains("Sec-WebSocket-Version: 13\r\n"), "{text}");
        assert!(text.contains("\"reason\":\"websocket_version\""), "{text}");
    }

    #[test]
    fn a_client_that_went_away_is_answered_nothing() {
        let refusal = Refusal::from(RequestEnding::Gone);
        assert!(refusal_response(&refusal, ConnectionId(1)).is_none());
    }
}
