//! What every head must say, and what one must say to be an opening handshake (RFC 6455 section 4.2.1)
//! and nothing else.

use super::{
    error::{RequestError, malformed, shown},
    field::Field,
    scan::HeadLimits,
    websocket::key_is_valid,
};

/// Fields that every upgrade needs or that decide who the client is. A client that names one in
/// `Connection` asks for its removal on the way (RFC 9110 section 7.6.1), so that proxy and
/// backend would judge two different requests.
const NEVER_HOP_BY_HOP: &[&str] = &[
    "authorization",
    "content-length",
    "cookie",
    "host",
    "origin",
    "transfer-encoding",
];

/// The values of all fields of a name, in order.
pub(crate) fn values<'f, 'a>(
    fields: &'f [Field<'a>],
    name: &'f str,
) -> impl Iterator<Item = &'a [u8]> + use<'f, 'a> {
    let named = move |field: &&Field<'_>| field.name.eq_ignore_ascii_case(name);
    fields.iter().filter(named).map(|field| field.value)
}

/// The members of a comma-separated list that may be spread over several fields
/// (RFC 9110 section 5.6.1); empty ones are left out.
pub(crate) fn members<'f, 'a>(
    fields: &'f [Field<'a>],
    name: &'f str,
) -> impl Iterator<Item = &'a [u8]> + use<'f, 'a> {
    let split = |value: &'a [u8]| value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let members = values(fields, name).flat_map(split);
    members.filter(|member| !member.is_empty())
}

/// The value of a field that must be there exactly once.
fn only<'a>(fields: &[Field<'a>], name: &str, rfc: &str) -> Result<&'a [u8], RequestError> {
    let mut found = values(fields, name);
    match (found.next(), found.next()) {
        (Some(value), None) => Ok(value),
        (None, _) => malformed(format!("the request has no {name} ({rfc})")),
        (Some(_), Some(_)) => malformed(format!("the request has more than one {name} ({rfc})")),
    }
}

/// The one `Host` (RFC 9112 section 3.2).
pub(crate) fn host<'a>(fields: &[Field<'a>]) -> Result<&'a str, RequestError> {
    let value = only(fields, "Host", "RFC 9112 section 3.2")?;
    std::str::from_utf8(value)
        .or_else(|_| malformed("the Host is not ASCII (RFC 9112 section 3.2)"))
}

/// Methods that make a tunnel or repeat the request's own fields to its sender, which may be a script
/// that should not see them (RFC 9110 sections 9.3.6 and 9.3.8).
pub(crate) fn check_method(method: &str) -> Result<(), RequestError> {
    if matches!(method, "CONNECT" | "TRACE") {
        return malformed(format!(
            "the method is {method}, which is not served here (RFC 9110 section 9.3)"
        ));
    }
    Ok(())
}

/// What `Connection` names (RFC 9110 section 7.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Connection<'a> {
    pub(crate) upgrade: bool,
    pub(crate) close: bool,
    /// Everything but `upgrade`.
    pub(crate) named: Vec<&'a [u8]>,
}

pub(crate) fn connection<'a>(
    fields: &[Field<'a>],
    limits: HeadLimits,
) -> Result<Connection<'a>, RequestError> {
    let mut connection = Connection {
        upgrade: false,
        close: false,
        named: Vec::new(),
    };
    for option in members(fields, "Connection") {
        if option.eq_ignore_ascii_case(b"upgrade") {
            connection.upgrade = true;
        } else if is_protected(option) {
            return malformed(format!(
                "Connection names {}, which is not for one hop alone (RFC 9110 section 7.6.1)",
                shown(option)
            ));
        } else if connection.named.len() == limits.fields {
            return malformed("Connection names more fields than a request may have");
        } else {
            connection.close |= option.eq_ignore_ascii_case(b"close");
            connection.named.push(option);
        }
    }
    Ok(connection)
}

fn is_protected(option: &[u8]) -> bool {
    const WEBSOCKET: &[u8] = b"sec-websocket-";
    let start = option.get(..WEBSOCKET.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(WEBSOCKET))
        || NEVER_HOP_BY_HOP
            .iter()
            .any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
}

/// Returns true if `Upgrade` names a WebSocket (RFC 6455 section 4.2.1).
pub(crate) fn offers_websocket(fields: &[Field<'_>]) -> bool {
    members(fields, "Upgrade").any(is_websocket)
}

fn is_websocket(protocol: &[u8]) -> bool {
    protocol.eq_ignore_ascii_case(b"websocket")
}

/// Whether the request asks for a WebSocket (RFC 6455 section 4.2.1).
///
/// A list may offer other protocols beside it, and the server chooses (RFC 9110 section 7.8): the
/// backend is asked for a WebSocket alone.
pub(crate) fn check_upgrade(
    method: &str,
    fields: &[Field<'_>],
    connection: &Connection<'_>,
) -> Result<(), RequestError> {
    let not_websocket = |detail: String| Err(RequestError::NotWebSocket(detail.into()));
    let mut protocols = members(fields, "Upgrade").peekable();
    let Some(first) = protocols.peek().copied() else {
        return not_websocket(format!(
            "the {} request has no Upgrade, and only WebSockets are served here (RFC 6455 section 4.2.1)",
            shown(method.as_bytes())
        ));
    };
    if !protocols.any(is_websocket) {
        return not_websocket(format!(
            "Upgrade offers {}, and not \"websocket\" (RFC 6455 section 4.2.1)",
            shown(first)
        ));
    }
    if !connection.upgrade {
        return not_websocket(
            "Connection does not name \"upgrade\" (RFC 6455 section 4.2.1)".to_owned(),
        );
    }
    if method != "GET" {
        return malformed(format!(
            "the method is {}, and a WebSocket is asked for with GET (RFC 6455 section 4.1)",
            shown(method.as_bytes())
        ));
    }
    Ok(())
}

/// RFC 6455 sections 4.2.1 and 4.4.
pub(crate) fn check_version(fields: &[Field<'_>]) -> Result<(), RequestError> {
    let mut versions = values(fields, "Sec-WebSocket-Version");
    let detail = match (versions.next(), versions.next()) {
        (Some(b"13"), None) => return Ok(()),
        (Some(version), None) => format!(
            "the Sec-WebSocket-Version is {}, and 13 is served (RFC 6455 section 4.4)",
            shown(version)
        ),
        (None, _) => {
            "the request has no Sec-WebSocket-Version, and 13 is served (RFC 6455 section 4.1)"
                .to_owned()
        }
        (Some(_), Some(_)) => {
            "the request has more than one Sec-WebSocket-Version (RFC 6455 section 11.3.5)"
                .to_owned()
        }
    };
    Err(RequestError::Version(detail.into()))
}

/// The one `Sec-WebSocket-Key`, which is no secret but a nonce (RFC 6455 section 4.1).
pub(crate) fn key<'a>(fields: &[Field<'a>]) -> Result<&'a str, RequestError> {
    let key = only(fields, "Sec-WebSocket-Key", "RFC 6455 section 11.3.1")?;
    match std::str::from_utf8(key) {
        Ok(text) if key_is_valid(key) => Ok(text),
        _ => malformed(format!(
            "the Sec-WebSocket-Key {} is not the base64 of 16 bytes (RFC 6455 section 4.1)",
            shown(key)
        )),
    }
}
