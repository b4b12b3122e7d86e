//! The head of a client's request: is it, to the byte, one HTTP/1.1 request, and what does it ask for?
//!
//! Stricter than parsers have to be. A proxy and its backend must read the same request, so
//! whatever two readers could read differently is refused here: bare LF, folded lines, doubled
//! `Host`, two framings of one content. A path that can be read in two ways is the route table's to judge.
//!
//! A head is judged in this order, and the first fault is reported: bytes and size, request line
//! and fields, `Host`, method, target, `Connection`. What a WebSocket asks for beyond that is judged by
//! [`Head::handshake`], and what frames a content by [`Head::content`].

mod content;
mod edits;
mod error;
mod field;
mod forward;
mod rules;
mod scan;
mod syntax;
mod target;

pub use content::{Content, Extent};
pub use edits::{Edits, fault_of_edit};
pub use error::RequestError;
pub use field::{Field, Version};
pub use forward::{CLAIMS_OF_OTHER_PROXIES, SET_BY_PROXY, forwarded_fields};
pub use scan::{HeadLimits, HeadScanner};

use crate::name::host::Host;
use error::malformed;

/// A request's head, borrowed from the bytes that were received.
#[derive(Clone, PartialEq, Eq)]
pub struct Head<'a> {
    method: &'a str,
    version: Version,
    path_and_query: &'a str,
    path: &'a str,
    host: Host,
    host_field: &'a str,
    fields: Vec<Field<'a>>,
    connection: rules::Connection<'a>,
}

/// A valid opening handshake (RFC 6455 section 4.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// `Sec-WebSocket-Key`.
    pub key: &'a str,
}

impl<'a> Head<'a> {
    /// Parses and judges the head at the start of what was received, and returns its length with it;
    /// `None` while its end is not there. What follows is the request's content, or its WebSocket.
    ///
    /// To read a head in pieces, ask a [`HeadScanner`] until it finds the end, then parse once.
    pub fn parse(
        received: &'a [u8],
        limits: HeadLimits,
    ) -> Option<Result<(Self, usize), RequestError>> {
        let end = HeadScanner::new(limits).find_end(received)?;
        let judged = end.and_then(|end| {
            let head = received.get(..end).unwrap_or_default();
            Ok((Self::judge(head, limits)?, end))
        });
        Some(judged)
    }

    fn judge(head: &'a [u8], limits: HeadLimits) -> Result<Self, RequestError> {
        // RFC 9112 section 2.2: an empty line before the request is passed over.
        let head = head.strip_prefix(b"\r\n").unwrap_or(head);
        let syntax::Parts {
            method,
            target,
            version,
            fields,
        } = syntax::take_apart(head, limits)?;
        let host_field = rules::host(&fields)?;
        rules::check_method(method)?;
        let target = target::resolve(target, host_field)?;
        Ok(Self {
            method,
            version,
            path_and_query: target.path_and_query,
            path: target.path,
            host: target.host,
            host_field,
            connection: rules::connection(&fields, limits)?,
            fields,
        })
    }

    /// Returns true if the request asks for a WebSocket, well or badly.
    pub fn asks_for_websocket(&self) -> bool {
        rules::offers_websocket(&self.fields)
    }

    /// The opening handshake.
    ///
    /// # Errors
    /// The request does not ask for a WebSocket, or not as RFC 6455 section 4.2.1 has it.
    pub fn handshake(&self) -> Result<Handshake<'a>, RequestError> {
        if self.version == Version::Http10 {
            return malformed(
                "the request is HTTP/1.0, and a WebSocket needs 1.1 (RFC 6455 section 4.1)",
            );
        }
        rules::check_upgrade(self.method, &self.fields, &self.connection)?;
        // What follows the head is the first frame, and a reader that takes it for a body reads another
        // conversation (RFC 9112 section 6.3).
        if self.content()? != Content::None {
            return malformed(
                "the request announces content, and an upgrade has none (RFC 9112 section 6.3)",
            );
        }
        rules::check_version(&self.fields)?;
        Ok(Handshake {
            key: rules::key(&self.fields)?,
        })
    }

    /// How the content of a request that asks for no WebSocket is framed.
    ///
    /// # Errors
    /// It could be read in two ways (RFC 9112 section 6.3).
    pub fn content(&self) -> Result<Content, RequestError> {
        content::framing(self.version, &self.fields)
    }

    /// Returns true if the client may send another request after this one (RFC 9112 section 9.3).
    pub fn keeps_alive(&self) -> bool {
        self.version == Version::Http11 && !self.connection.close
    }

    /// Returns true if the client waits for a 100 before it sends the content (RFC 9110 section 10.1.1).
    pub fn expects_continue(&self) -> bool {
        let mut expected = self.values("Expect");
        expected.any(|value| value.eq_ignore_ascii_case(b"100-continue"))
    }

    /// Returns true if the client takes trailer fields (RFC 9110 section 10.1.4).
    pub fn takes_trailers(&self) -> bool {
        rules::members(&self.fields, "TE").any(|coding| coding.eq_ignore_ascii_case(b"trailers"))
    }

    /// The method, in its own spelling.
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The version in the request line.
    pub fn version(&self) -> Version {
        self.version
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
impl std::fmt::Debug for Head<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Head")
            .field("host", &self.host)
            .field("path", &self.path)
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

pub mod asked;
pub mod client_cert;
pub mod spelling;
#[cfg(test)]
mod tests;
pub mod websocket;
