//! The upgrade request that a backend gets, and the answer of it that a client gets.

use super::{
    Refusal, Visit, authenticate::Client, dial::Switched, exchange::Declined, seal::Negotiated,
    snapshot::Route,
};
use crate::{
    ending::RequestEnding,
    policy::{
        fields::{ForwardCertificate, client_cert, client_cert_chain, forwarded_client_cert},
        request::{RequestHead, forwarded_fields},
        spelling::push_name,
    },
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::fmt::Write;

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

/// An upgrade request for a backend.
pub struct BackendRequest {
    /// As it is sent.
    pub head: Bytes,
    /// Its fields, which the answer is judged by.
    pub fields: HeaderMap,
}

/// The client's request as the backend gets it: the target byte for byte, end-to-end fields as
/// they came, ours set anew.
pub fn request(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &RequestHead<'_>,
    negotiated: &Negotiated,
) -> Result<BackendRequest, Refusal> {
    let mut fields = HeaderMap::new();
    for field in forwarded_fields(head) {
        append(&mut fields, field.name, field.value)?;
    }
    // RFC 9110 section 7.6.1: `Connection` is rebuilt for this hop.
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    set_own(&mut fields, visit, head)?;
    let certificate = route.settings.forward_certificate;
    set_certificate(&mut fields, visit, client, certificate)?;
    negotiated.apply(&mut fields, head);
    Ok(BackendRequest {
        head: written(head.path_and_query(), &fields).into(),
        fields,
    })
}

fn written(target: &str, fields: &HeaderMap) -> Vec<u8> {
    let mut head = format!("GET {target} HTTP/1.1\r\n").into_bytes();
    for (name, value) in fields {
        write_field(&mut head, name, value);
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// The fields that only the proxy sets; the client's own copies were left out before.
fn set_own(fields: &mut HeaderMap, visit: &Visit, head: &RequestHead<'_>) -> Result<(), Refusal> {
    let port = visit.listener.address.port().to_string();
    append(
        fields,
        "x-forwarded-for",
        visit.peer.ip().to_canonical().to_string().as_bytes(),
    )?;
    // The scheme of the page: servers know `http` and `https` here, and build origins from it.
    append(fields, "x-forwarded-proto", b"https")?;
    append(fields, "x-forwarded-host", head.host_field().as_bytes())?;
    append(fields, "x-forwarded-port", port.as_bytes())?;
    append(fields, "x-request-id", visit.id.to_string().as_bytes())
}

/// What the backend gets of the client's certificate, as its route says.
fn set_certificate(
    fields: &mut HeaderMap,
    visit: &Visit,
    client: &Client,
    forwarded: ForwardCertificate,
) -> Result<(), Refusal> {
    let Some(identity) = &client.identity else {
        return Ok(());
    };
    if let Some((leaf, rest)) = client.chain.split_first().filter(|_| forwarded.leaf()) {
        append(fields, "client-cert", client_cert(leaf).as_bytes())?;
        let rest = rest.iter().filter(|_| forwarded.chain());
        if let Some(chain) = client_cert_chain(rest.map(AsRef::as_ref)) {
            append(fields, "client-cert-chain", chain.as_bytes())?;
        }
    }
    if forwarded.xfcc() {
        let by = visit.snapshot.trust.server_uri.as_deref();
        let value = forwarded_client_cert(identity, by);
        append(fields, "x-forwarded-client-cert", value.as_bytes())?;
    }
    Ok(())
}

fn append(fields: &mut HeaderMap, name: &str, value: &[u8]) -> Result<(), Refusal> {
    let malformed = |error: http::Error| Refusal::new(RequestEnding::Malformed, error);
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|error| malformed(error.into()))?;
    let value = HeaderValue::from_bytes(value).map_err(|error| malformed(error.into()))?;
    fields.append(name, value);
    Ok(())
}

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

fn write_field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    push_name(out, name.as_str());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
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
