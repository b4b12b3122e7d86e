//! The request target and the host it is for (RFC 9112 sections 3.2 and 3.3).

use super::error::{RequestError, malformed, shown};
use crate::name::{
    host::{Authority, Host, HostError},
    path::path_fault,
};

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) host: Host,
    pub(crate) path_and_query: &'a str,
    pub(crate) path: &'a str,
}

/// A target in absolute form, taken apart.
struct Absolute<'a> {
    authority: &'a str,
    path_and_query: &'a str,
    default_port: u16,
}

/// Resolves a target against the value of the one `Host` field.
pub(crate) fn resolve<'a>(target: &'a str, host: &str) -> Result<Target<'a>, RequestError> {
    let authority = parse_authority(host, "Host")?;
    let path_and_query = if target.starts_with('/') {
        target
    } else {
        let absolute = take_apart(target)?;
        check_same(&absolute, &authority)?;
        absolute.path_and_query
    };
    Ok(Target {
        host: authority.host,
        path_and_query,
        path: check_path(path_and_query)?,
    })
}

fn parse_authority(text: &str, what: &str) -> Result<Authority, RequestError> {
    Authority::parse(text).or_else(|error| match error {
        // What stands before '@' may be a password.
        HostError::Userinfo => malformed(format!("the {what} is not a host: {error}")),
        _ => malformed(format!(
            "the {what} {} is not a host: {error}",
            shown(text.as_bytes())
        )),
    })
}

/// The WebSocket schemes are taken as their HTTP siblings: some clients send them.
fn take_apart(target: &str) -> Result<Absolute<'_>, RequestError> {
    let parts = target.split_once("://").and_then(|(scheme, rest)| {
        let default_port = match scheme.to_ascii_lowercase().as_str() {
            "http" | "ws" => 80,
            "https" | "wss" => 443,
            _ => return None,
        };
        let (authority, path_and_query) = rest.split_at_checked(rest.find(['/', '?'])?)?;
        path_and_query.starts_with('/').then_some(Absolute {
            authority,
            path_and_query,
            default_port,
        })
    });
    parts.map_or_else(
        || {
            malformed(
                "the target is neither a path nor an absolute http(s) URI with a path (RFC 9112 section 3.2)",
            )
        },
        Ok,
    )
}

/// RFC 9112 section 3.2.2 has the absolute form win over `Host`. A client that sends two
/// different ones hopes that two readers choose differently.
fn check_same(absolute: &Absolute<'_>, host: &Authority) -> Result<(), RequestError> {
    let target = parse_authority(absolute.authority, "target's authority")?;
    let port = |authority: &Authority| authority.port.unwrap_or(absolute.default_port);
    if target.host == host.host && port(&target) == port(host) {
        return Ok(());
    }
    malformed("the target's authority and Host differ (RFC 9112 section 3.2.2)")
}

/// The path of a path and query in which every byte may be forwarded and judged.
fn check_path(path_and_query: &str) -> Result<&str, RequestError> {
    let stray = |byte: u8| !byte.is_ascii_graphic() || byte == b'#';
    if let Some(byte) = path_and_query.bytes().find(|byte| stray(*byte)) {
        return malformed(format!(
            "the target has the byte 0x{byte:02X}, which must be percent-encoded (RFC 3986 section 2)"
        ));
    }
    let path = path_and_query.split('?').next().unwrap_or_default();
    match path_fault(path) {
        None => Ok(path),
        Some(fault) => malformed(format!("the path {} {fault}", shown(path.as_bytes()))),
    }
}
