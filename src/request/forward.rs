//! Which of a client's fields the backend is sent.
//!
//! Left out are
//!
//! - fields for one hop (RFC 9110 section 7.6.1): `Connection` and what it names, `Keep-Alive`,
//!   `TE`, `Trailer`, `Transfer-Encoding`, `Upgrade`, `HTTP2-Settings`, everything that begins
//!   with `Proxy` (with it `Proxy`, which CGI turns into a setting of the process);
//! - `Content-Length` and `Expect`, since an upgrade has no content;
//! - fields that the proxy sets ([`SET_BY_PROXY`]), in any spelling: gateways that put fields in
//!   variables (RFC 3875 section 4.1.18) write `-` and other signs as `_`, so a name counts as
//!   the same if letters and digits are, in any case, and some sign stands for each `-`;
//! - `Forwarded`, `X-Real-IP` and the like ([`CLAIMS_OF_OTHER_PROXIES`]), which the proxy does
//!   not set but backends believe.
//!
//! Everything else goes on as it came, in its order. `Host` and the `Sec-WebSocket-` fields are
//! among it; whoever writes the backend's request replaces those that it negotiates itself.

use super::{Field, Head};

/// Fields towards the backend that only the proxy may set.
pub const SET_BY_PROXY: &[&str] = &[
    "client-cert",
    "client-cert-chain",
    "frame-integrity",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-request-id",
];

/// Fields with which other proxies say who the client is. This proxy sets none of them, so
/// whatever a client sends in them is its own claim.
pub const CLAIMS_OF_OTHER_PROXIES: &[&str] = &[
    "cf-connecting-ip",
    "forwarded",
    "true-client-ip",
    "x-client-cert",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-original-forwarded-for",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
    "x-ssl-client-cert",
    "x-ssl-client-dn",
    "x-ssl-client-verify",
];

pub(super) const FOR_ONE_HOP: &[&str] = &[
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The client's fields for the backend, in their order.
pub fn forwarded_fields<'h, 'a>(
    head: &'h Head<'a>,
) -> impl Iterator<Item = Field<'a>> + use<'h, 'a> {
    let named = |field: &Field<'_>| {
        let mut named = head.connection.named.iter();
        named.any(|name| field.name.as_bytes().eq_ignore_ascii_case(name))
    };
    let stays = move |field: &Field<'_>| !is_left_out(field.name) && !named(field);
    head.fields.iter().copied().filter(stays)
}

fn is_left_out(name: &str) -> bool {
    let lists = [FOR_ONE_HOP, SET_BY_PROXY, CLAIMS_OF_OTHER_PROXIES];
    let proxy = name
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case("proxy"));
    proxy
        || lists
            .iter()
            .any(|list| list.iter().any(|known| is_spelling_of(name, known)))
}

/// Whether a gateway may take `name` for `known`, which is in lower case.
pub(super) fn is_spelling_of(name: &str, known: &str) -> bool {
    let same = |(byte, known): (u8, u8)| match known {
        b'-' => !byte.is_ascii_alphanumeric(),
        _ => byte.eq_ignore_ascii_case(&known),
    };
    name.len() == known.len() && name.bytes().zip(known.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::HeadLimits;

    const GOOD: &[&str] = &[
        "Host: a.test",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];

    fn forwarded(more: &[&str]) -> Vec<String> {
        let fields = [GOOD, more].concat().join("\r\n");
        let received = format!("GET / HTTP/1.1\r\n{fields}\r\n\r\n");
        let (head, _) = Head::parse(received.as_bytes(), HeadLimits::default())
            .unwrap()
            .unwrap();
        forwarded_fields(&head)
            .map(|field| field.name.to_owned())
            .collect()
    }

    #[test]
    fn end_to_end_fields_go_on_in_their_order() {
        let fields = forwarded(&[
            "Cookie: a",
            "Authorization: b",
            "Origin: c",
            "X-My: d",
            "cookie: e",
        ]);
        assert_eq!(
            fields,
            [
                "Host",
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Key",
                "Cookie",
                "Authorization",
                "Origin",
                "X-My",
                "cookie"
            ]
        );
    }

    #[test]
    fn fields_for_one_hop_and_what_connection_names_stay_here() {
        let fields = forwarded(&[
            "Connection: X-Secret, x-FORWARDED-for, keep-alive",
            "x-secret: 1",
            "Keep-Alive: 5",
            "Proxy-Authorization: x",
            "proxy-connection: x",
            "Proxy: http://evil.test",
            "TE: trailers",
            "Trailer: x",
            "HTTP2-Settings: x",
            "Content-Length: 0",
            "Expect: 100-continue",
            "Upgrade: websocket",
            "X-Kept: 1",
        ]);
        assert_eq!(
            fields,
            [
                "Host",
                "Sec-WebSocket-Version",
                "Sec-WebSocket-Key",
                "X-Kept"
            ]
        );
    }

    #[test]
    fn no_spelling_of_an_identity_field_goes_on() {
        let known = SET_BY_PROXY.iter().chain(CLAIMS_OF_OTHER_PROXIES);
        for name in known {
            let spellings = [
                (*name).to_owned(),
                name.to_uppercase(),
                name.replace('-', "_"),
                name.to_uppercase().replace('-', "_"),
                name.replacen('-', "_", 1),
                name.replace('-', "."),
            ];
            for spelling in spellings {
                let fields = forwarded(&[&format!("{spelling}: 1"), &format!("{spelling}: 2")]);
                assert_eq!(fields.len(), 3, "{spelling}: {fields:?}");
            }
        }
        assert_eq!(
            forwarded(&["X-Forwarded-Fort: 1", "XForwarded-For: 1"]).len(),
            5
        );
    }
}
