//! The upgrade request that a backend gets, and the answer of it that a client gets.

use super::seal::Negotiated;
use crate::{
    ending::RequestEnding,
    request::{
        Head,
        client_cert::{ForwardCertificate, client_cert, client_cert_chain, forwarded_client_cert},
        forwarded_fields,
        spelling::push_name,
    },
    snapshot::Route,
    tls::client::Client,
    worker::{refusal::Refusal, visit::Visit},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::borrow::Cow;

/// An upgrade request for a backend.
pub struct BackendRequest {
    /// As it is sent.
    pub head: Bytes,
    /// Its fields, which the answer is judged by.
    pub fields: HeaderMap,
}

/// The client's request as the backend gets it: the target byte for byte, end-to-end fields as
/// they came, ours set again.
pub fn request(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
    negotiated: &Negotiated,
) -> Result<BackendRequest, Refusal> {
    let mut fields = fields(visit, route, client, head)?;
    // RFC 9110 section 7.6.1: `Connection` is rebuilt for this hop.
    fields.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    fields.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    negotiated.apply(&mut fields, head);
    Ok(BackendRequest {
        head: written(&target(route, head)?, &fields).into(),
        fields,
    })
}

/// The fields of a request as the backend gets them, but for those of this hop: end-to-end fields as
/// they came, ours set again.
pub(crate) fn fields(
    visit: &Visit,
    route: &Route,
    client: &Client,
    head: &Head<'_>,
) -> Result<HeaderMap, Refusal> {
    let mut fields = HeaderMap::new();
    for field in forwarded_fields(head) {
        append(&mut fields, field.name, field.value)?;
    }
    set_own(&mut fields, visit, head)?;
    if route.settings.strip_prefix {
        let prefix = route.settings.path.to_string();
        append(&mut fields, "x-forwarded-prefix", prefix.as_bytes())?;
    }
    if let Some(host) = &route.backend.host {
        fields.insert(header::HOST, host.clone());
    }
    let certificate = route.settings.forward_certificate;
    set_certificate(&mut fields, visit, client, certificate)?;
    route.settings.request_edits.apply(&mut fields);
    Ok(fields)
}

/// The target as the backend gets it: byte for byte, or without the route's path.
pub(crate) fn target<'a>(route: &Route, head: &Head<'a>) -> Result<Cow<'a, str>, Refusal> {
    let whole = head.path_and_query();
    if !route.settings.strip_prefix {
        return Ok(whole.into());
    }
    let prefix = route.settings.path.to_string();
    match whole.strip_prefix(prefix.trim_end_matches('/')) {
        // Another reader could take what follows for a host (RFC 3986 section 4.2).
        Some(rest) if rest.starts_with("//") => {
            let detail = "the path begins with \"//\" once the route's is taken off";
            Err(Refusal::new(RequestEnding::Malformed, detail))
        }
        Some(rest) if rest.starts_with('/') => Ok(rest.into()),
        Some(rest) => Ok(format!("/{rest}").into()),
        None => {
            let detail = "the path does not begin with the route's to the letter";
            Err(Refusal::new(RequestEnding::Malformed, detail))
        }
    }
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
fn set_own(fields: &mut HeaderMap, visit: &Visit, head: &Head<'_>) -> Result<(), Refusal> {
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

pub(crate) fn write_field(out: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    push_name(out, name.as_str());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}
