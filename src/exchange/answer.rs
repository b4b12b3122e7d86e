//! Answers to a client: the 101, what a backend declined with, and refusals as problem documents
//! (RFC 9457).

use crate::{
    ending::Ending,
    request::Edits,
    roster::sockets::ConnectionId,
    socket::{backend_request::write_field, dial::Switched, switched::Declined},
    worker::refusal::Refusal,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

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
pub fn refusal_response(refusal: &Refusal, id: ConnectionId) -> Option<Response<Vec<u8>>> {
    let status = StatusCode::from_u16(refusal.ending.status()?).ok()?;
    let detail = match &refusal.detail {
        Some(detail) if !refusal.private => detail.as_str(),
        _ => refusal.ending.sentence(),
    };
    let problem = Problem {
        r#type: "about:blank",
        title: status.canonical_reason().unwrap_or("Refused"),
        status: status.as_u16(),
        detail,
        reason: refusal.ending.label(),
        id: id.to_string(),
    };
    let mut response = Response::new(serde_json::to_vec(&problem).ok()?);
    *response.status_mut() = status;
    let fields = response.headers_mut();
    add_extra_fields(fields, status);
    let media_type = HeaderValue::from_static("application/problem+json");
    fields.insert(header::CONTENT_TYPE, media_type);
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Some(response)
}

/// What a status asks for beyond the document. A refusal ends its connection.
fn add_extra_fields(fields: &mut HeaderMap, status: StatusCode) {
    let mut add = |name, value| fields.insert(name, HeaderValue::from_static(value));
    match status {
        // RFC 9110 section 15.5.22 and RFC 6455 section 4.4.
        StatusCode::UPGRADE_REQUIRED => {
            add(header::CONNECTION, "upgrade, close");
            add(header::UPGRADE, "websocket");
            add(header::SEC_WEBSOCKET_VERSION, "13");
        }
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
            add(header::CONNECTION, "close");
            add(header::RETRY_AFTER, "1");
        }
        _ => {
            add(header::CONNECTION, "close");
        }
    }
}

/// Fields of an answer that concern one hop alone.
const FOR_ONE_HOP: [HeaderName; 6] = [
    header::CONNECTION,
    header::UPGRADE,
    header::TRANSFER_ENCODING,
    header::TE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
];

/// The 101 for the client.
pub fn switching_response(switched: &Switched, edits: &Edits) -> Response<Vec<u8>> {
    let mut response = Response::new(Vec::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    add_fields(fields, &switched.fields, edits);
    response
}

/// A backend's declining answer, for the client: the connection ends after it. Of a content that
/// was cut off, what came is passed on.
pub fn declining_response(declined: Declined, edits: &Edits) -> Response<Vec<u8>> {
    let Declined { head, content, .. } = declined;
    let mut response = Response::new(content);
    *response.status_mut() = head.status;
    let fields = response.headers_mut();
    fields.insert(header::CONNECTION, HeaderValue::from_static("close"));
    add_fields(fields, &head.headers, edits);
    response
}

/// Adds the backend's fields to an answer whose hop and content have fields of their own.
fn add_fields(fields: &mut HeaderMap, of_backend: &HeaderMap, edits: &Edits) {
    let named = names_in(of_backend, header::CONNECTION);
    let of_a_content = [header::TRAILER, header::CONTENT_LENGTH];
    let left_out: [&[HeaderName]; 3] = [&named, &FOR_ONE_HOP, &of_a_content];
    for (name, value) in of_backend {
        if !left_out.iter().any(|list| list.contains(name)) {
            fields.append(name, value.clone());
        }
    }
    edits.apply(fields);
}

/// Removes what concerns the hop from the backend alone: known fields, and those that `Connection`
/// names (RFC 9110 section 7.6.1).
pub(super) fn remove_hop_by_hop(fields: &mut HeaderMap) {
    for name in names_in(fields, header::CONNECTION)
        .iter()
        .chain(&FOR_ONE_HOP)
    {
        fields.remove(name);
    }
}

/// The names that a field lists.
pub(super) fn names_in(fields: &HeaderMap, field: HeaderName) -> Vec<HeaderName> {
    fields
        .get_all(field)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect()
}

/// An answer as HTTP/1.1 has it on the wire (RFC 9112 section 4). Its content is whole, so that its
/// length is said, but for a 101, which has none (RFC 9110 section 8.6).
pub fn written(response: &Response<Vec<u8>>) -> Vec<u8> {
    let status = response.status();
    let reason = status.canonical_reason().unwrap_or("Refused");
    let mut out = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
    for (name, value) in response.headers() {
        write_field(&mut out, name, value);
    }
    let content = response.body();
    if !status.is_informational() {
        let length = HeaderValue::from(content.len());
        write_field(&mut out, &header::CONTENT_LENGTH, &length);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ending::RequestEnding;

    #[test]
    fn a_wrong_version_is_answered_with_the_right_one() {
        let refusal = Refusal::from(RequestEnding::Version);
        let response = refusal_response(&refusal, ConnectionId(1)).unwrap();
        let text = String::from_utf8(written(&response)).unwrap();
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
