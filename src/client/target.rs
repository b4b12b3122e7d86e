//! The URL of a WebSocket (RFC 6455 section 3).

use http::{Uri, uri::Authority};

use super::ClientError;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Whether the scheme is `wss`.
    pub(super) tls: bool,
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// The value of `Host`.
    pub(super) authority: String,
    /// Path and query.
    pub(super) resource: String,
}

impl Target {
    pub(super) fn parse(url: &str) -> Result<Self, ClientError> {
        let refused = |problem| ClientError::Url {
            url: url.to_owned(),
            problem,
        };
        if url.contains('#') {
            return Err(refused("it has a fragment (`#`), which RFC 6455 forbids"));
        }
        let uri: Uri = url.parse().map_err(|_| refused("it is not a URL"))?;
        let (tls, default_port) = match uri.scheme_str() {
            Some("wss") => (true, 443),
            Some("ws") => (false, 80),
            _ => return Err(refused("it begins neither with `wss://` nor with `ws://`")),
        };
        let authority = uri.authority().ok_or_else(|| refused("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refused("it has a user name; use a header instead"));
        }
        let host = authority.host();
        if host.is_empty() {
            return Err(refused("it has no host"));
        }
        let port = port(authority, default_port);
        let port = port.ok_or_else(|| refused("its port is none from 1 to 65535"))?;
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        Ok(Self {
            tls,
            host: bare.unwrap_or(host).to_owned(),
            port,
            authority: authority.as_str().to_owned(),
            resource: uri
                .path_and_query()
                .map_or("/", http::uri::PathAndQuery::as_str)
                .to_owned(),
        })
    }
}

/// What follows the host; an empty port is the default (RFC 3986 section 3.2.3).
fn port(authority: &Authority, default: u16) -> Option<u16> {
    match authority.as_str().strip_prefix(authority.host())? {
        "" | ":" => Some(default),
        port => port
            .strip_prefix(':')?
            .parse()
            .ok()
            .filter(|port| *port != 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn url_gives_host_port_and_resource() {
        let cases = [
            ("wss://a.test", true, "a.test", 443, "a.test", "/"),
            (
                "ws://a.test:81/b?c=d",
                false,
                "a.test",
                81,
                "a.test:81",
                "/b?c=d",
            ),
            ("wss://[::1]:8443/", true, "::1", 8443, "[::1]:8443", "/"),
            (
                "ws://127.0.0.1/?q",
                false,
                "127.0.0.1",
                80,
                "127.0.0.1",
                "/?q",
            ),
        ];
        for (url, tls, host, port, authority, resource) in cases {
            let expected = Target {
                tls,
                host: host.to_owned(),
                port,
                authority: authority.to_owned(),
                resource: resource.to_owned(),
            };
            assert_eq!(Target::parse(url).unwrap(), expected);
        }
    }

    #[test]
    fn url_that_is_none_of_a_web_socket_is_refused() {
        for (url, problem) in [
            ("https://a.test/", "ws://"),
            ("a.test", "ws://"),
            ("wss://", "URL"),
            ("wss://a.test:99999/", "port"),
            ("wss://[::1]:0/", "port"),
            ("wss://u:p@a.test/", "user name"),
            ("wss://a.test/#x", "fragment"),
            ("wss://a b/", "URL"),
        ] {
            let refusal = Target::parse(url).unwrap_err().to_string();
            assert!(refusal.contains(problem), "{refusal}");
        }
    }
}
