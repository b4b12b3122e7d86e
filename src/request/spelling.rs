//! Names of fields as their RFCs write them. Names are read in any case (RFC 9110 section 5.1),
//! but embedded peers compare them to the letter.

/// Parts of names that are written otherwise than with one capital.
const PARTS: &[&str] = &[
    "CH",
    "DNS",
    "DNT",
    "ETag",
    "GPC",
    "HTTP2",
    "IP",
    "MD5",
    "NEL",
    "SourceMap",
    "TE",
    "UA",
    "WWW",
    "WebSocket",
    "XSS",
];

/// Appends a name: `sec-websocket-key` becomes `Sec-WebSocket-Key` (RFC 6455 section 11.3.1).
pub fn push_name(out: &mut Vec<u8>, name: &str) {
    for (index, part) in name.split('-').enumerate() {
        if index > 0 {
            out.push(b'-');
        }
        let known = PARTS.iter().find(|known| known.eq_ignore_ascii_case(part));
        match (known, part.as_bytes().split_first()) {
            (Some(known), _) => out.extend_from_slice(known.as_bytes()),
            (None, Some((first, rest))) => {
                out.push(first.to_ascii_uppercase());
                out.extend(rest.iter().map(u8::to_ascii_lowercase));
            }
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_as_their_rfcs_write_them() {
        for name in [
            "Connection",
            "Host",
            "Upgrade",
            "Sec-WebSocket-Accept",
            "Sec-WebSocket-Extensions",
            "Sec-WebSocket-Key",
            "Sec-WebSocket-Protocol",
            "Sec-WebSocket-Version",
            "Client-Cert",
            "Client-Cert-Chain",
            "Frame-Integrity",
            "X-Forwarded-Client-Cert",
            "X-Forwarded-For",
            "X-Request-Id",
            "Origin",
            "User-Agent",
            "WWW-Authenticate",
            "ETag",
            "Set-Cookie",
            "X--Odd-",
        ] {
            for written in [name.to_lowercase(), name.to_uppercase()] {
                let mut out = Vec::new();
                push_name(&mut out, &written);
                assert_eq!(String::from_utf8(out).unwrap(), name);
            }
        }
    }
}
