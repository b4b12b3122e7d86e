//! The client's request: is it, to the byte, one HTTP/1.1 request for a WebSocket?
//!
//! Stricter than parsers have to be. A proxy and its backend must read the same request, so
//! whatever two readers could read differently is refused here: bare LF, folded lines, doubled
//! `Host`, content in any form. A path that can be read in two ways is the route table's to judge.
//!
//! A head is judged in this order, and the first fault is told: bytes and size, request line
//! and fields, `Host`, content, target, `Connection`, `Upgrade`, method, version, key.

mod error;
mod forward;
mod rules;
mod scan;
mod syntax;
mod target;

pub use error::RequestError;
pub use forward::{CLAIMS_OF_OTHER_PROXIES, SET_BY_PROXY, forwarded_fields};
pub use scan::{HeadScanner, MAX_FIELDS, MAX_HEAD};

use crate::name::host::Host;

/// An opening handshake that is as it must be, borrowed from the bytes that were received.
#[derive(Clone, PartialEq, Eq)]
pub struct RequestHead<'a> {
    path_and_query: &'a str,
    path: &'a str,
    host: Host,
    host_field: &'a str,
    key: &'a str,
    fields: Vec<Field<'a>>,
    named_by_connection: Vec<&'a [u8]>,
}

/// One field of a request, without the white space around its value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it was written.
    pub name: &'a str,
    /// The value; bytes above 0x7F may occur.
    pub value: &'a [u8],
}

impl<'a> RequestHead<'a> {
    /// Parses and judges the head at the start of what was received, and tells its length;
    /// `None` while its end is not there. Whatever follows belongs to the WebSocket.
    ///
    /// To read a head in pieces, ask a [`HeadScanner`] until it finds the end, then parse once.
    pub fn parse(received: &'a [u8]) -> Option<Result<(Self, usize), RequestError>> {
        let end = HeadScanner::default().find_end(received)?;
        let judged = end.and_then(|end| {
            let head = received.get(..end).unwrap_or_default();
            Ok((Self::judge(head)?, end))
        });
        Some(judged)
    }

    fn judge(head: &'a [u8]) -> Result<Self, RequestError> {
        // RFC 9112 section 2.2: an empty line before the request is passed over.
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let syntax::Parts {
            method,
            target,
            fields,
        } = syntax::take_apart(head)?;
        let host_field = rules::host(&fields)?;
        rules::check_no_content(&fields)?;
        let target = target::resolve(target, host_field)?;
        let connection = rules::connection(&fields)?;
        rules::check_upgrade(method, &fields, &connection)?;
        rules::check_version(&fields)?;
        Ok(Self {
            path_and_query: target.path_and_query,
            path: target.path,
            host: target.host,
            host_field,
            key: rules::key(&fields)?,
            fields,
            named_by_connection: connection.named,
        })
    }

    /// The target in origin form, as it goes to the backend.
    pub fn path_and_query(&self) -> &'a str {
        self.path_and_query
    }

    /// The path alone; it has no fault (see [`path_fault`](crate::name::path::path_fault)).
    pub fn path(&self) -> &'a str {
        self.path
    }

    /// The host in normal form: the key for routes and trust.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// `Host` as it was written, for the backend and `X-Forwarded-Host`.
    pub fn host_field(&self) -> &'a str {
        self.host_field
    }

    /// `Sec-WebSocket-Key`, valid.
    pub fn key(&self) -> &'a str {
        self.key
    }

    /// Every field, in its order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The values of all fields of a name, in any case, in their order.
    pub fn values<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + use<'s, 'a> {
        rules::values(&self.fields, name)
    }

    /// The values of all `Origin` fields; [`origin_allowed`](crate::name::origin::origin_allowed)
    /// judges them.
    pub fn origins(&self) -> impl Iterator<Item = &'a [u8]> {
        self.values("Origin")
    }

    /// The subprotocols offered, in the client's order of preference (RFC 6455 section 11.3.4).
    pub fn subprotocols(&self) -> impl Iterator<Item = &'a [u8]> {
        rules::members(&self.fields, "Sec-WebSocket-Protocol")
    }

    /// The values of all `Sec-WebSocket-Extensions` fields, not split: parameters may be quoted
    /// (RFC 6455 section 9.1).
    pub fn extensions(&self) -> impl Iterator<Item = &'a [u8]> {
        self.values("Sec-WebSocket-Extensions")
    }
}

/// Names only: values hold cookies and tokens.
impl std::fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestHead")
            .field("host", &self.host)
            .field("path", &self.path)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

/// The name only: a value may be a cookie or a token.
impl std::fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Field")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

pub mod asked;
pub mod client_cert;
pub mod spelling;
#[cfg(test)]
mod tests;
pub mod websocket;
