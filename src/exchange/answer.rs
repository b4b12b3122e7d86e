//! Answers to a client: the 101, what a backend declined with, and refusals as problem documents
//! (RFC 9457).

use crate::{
    ending::Ending,
    roster::sockets::ConnectionId,
    socket::{backend_request::write_field, dial::Switched, switched::Declined},
    worker::refusal::Refusal,
};
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde::Serialize;
use std::fmt::Write;

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

/// Fields of an answer that concern one hop alone, or that the proxy sets itself.
const NOT_FOR_THE_CLIENT: [HeaderName; 8] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::CONTENT_LENGTH,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
];

/// The 101 for the client.
pub fn switching_response(switched: &Switched) -> Vec<u8> {
    let mut head =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            .to_vec();
    write_fields(&mut head, &switched.fields);
    head.extend_from_slice(b"\r\n");
    head
}

/// A backend's declining answer, for the client: the connection ends behind it. Of a content that
/// was cut off, what came is passed on.
pub fn declining_response(declined: &Declined) -> Vec<u8> {
    let Declined {
        head: answer,
        content,
        ..
    } = declined;
    let mut line = format!("HTTP/1.1 {} ", answer.status.as_u16());
    line.push_str(answer.status.canonical_reason().unwrap_or("Declined"));
    let _ = write!(
        line,
        "\r\nConnection: close\r\nContent-Length: {}\r\n",
        content.len()
    );
    let mut head = line.into_bytes();
    write_fields(&mut head, &answer.headers);
    head.extend_from_slice(b"\r\n");
    head.extend_from_slice(content);
    head
}

fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    let named = named_by_connection(fields);
    for (name, value) in fields {
        if NOT_FOR_THE_CLIENT.contains(name) || named.contains(name) {
            continue;
        }
        write_field(out, name, value);
    }
}

/// RFC 9110 section 7.6.1: what `Connection` names ends with this hop as well.
fn named_by_connection(fields: &HeaderMap) -> Vec<HeaderName> {
    fields
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::RequestEnding;

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
