//! What the answer in the opening handshake must be (RFC 6455 section 4).

use base64::{Engine, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, Response, Version, header};
use sha1::{Digest, Sha1};
use std::collections::HashSet;

/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a 101 does not answer the request for a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each message says what its variant is")]
pub enum SwitchingFault {
    #[error("the 101 has no valid {0} (RFC 6455 section 4.1)")]
    Field(&'static str),
    #[error("the 101 is not HTTP/1.1 (RFC 6455 section 4.1)")]
    Version,
    #[error("the 101 chooses a subprotocol that was not offered, or two (RFC 6455 section 4.1)")]
    Subprotocol,
    #[error("the 101 has an extension that was not offered (RFC 6455 section 4.1)")]
    Extension,
}

/// RFC 6455 section 4.1: what a client must find in the 101, given the key and the other fields of its
/// request.
pub fn check_switching<B>(
    response: &Response<B>,
    key: &str,
    asked: &HeaderMap,
) -> Result<(), SwitchingFault> {
    let fields = response.headers();
    if response.version() != Version::HTTP_11 {
        return Err(SwitchingFault::Version);
    }
    if !has_token(fields, &header::UPGRADE, "websocket") {
        return Err(SwitchingFault::Field("Upgrade: websocket"));
    }
    if !has_token(fields, &header::CONNECTION, "upgrade") {
        return Err(SwitchingFault::Field("Connection: upgrade"));
    }
    let mut accepts = values(fields, &header::SEC_WEBSOCKET_ACCEPT);
    match (accepts.next(), accepts.next()) {
        (Some(accept), None) if accept_matches(key, accept) => {}
        _ => return Err(SwitchingFault::Field("Sec-WebSocket-Accept")),
    }
    let name = &header::SEC_WEBSOCKET_PROTOCOL;
    if !subprotocol_is_offered(values(fields, name), values(asked, name)) {
        return Err(SwitchingFault::Subprotocol);
    }
    let name = &header::SEC_WEBSOCKET_EXTENSIONS;
    if !extensions_are_offered(values(fields, name), values(asked, name)) {
        return Err(SwitchingFault::Extension);
    }
    Ok(())
}

fn values<'f>(
    fields: &'f HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'f [u8]> + use<'f> {
    fields.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

fn has_token(fields: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let mut tokens = values(fields, name).flat_map(|value| value.split(|byte| *byte == b','));
    tokens.any(|it| it.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2).
pub fn accept_for(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// Whether a backend's `Sec-WebSocket-Accept` answers the key it was sent; white space around
/// the value is no part of it (RFC 6455 section 4.1).
fn accept_matches(key: &str, value: &[u8]) -> bool {
    value.trim_ascii() == accept_for(key).as_bytes()
}

/// Whether an answer's `Sec-WebSocket-Protocol` fields choose one subprotocol among those offered,
/// to the letter, or none (RFC 6455 section 4.1).
fn subprotocol_is_offered<'a>(
    mut answered: impl Iterator<Item = &'a [u8]>,
    offered: impl Iterator<Item = &'a [u8]>,
) -> bool {
    match (answered.next(), answered.next()) {
        (None, _) => true,
        (Some(chosen), None) => members(offered).any(|name| name == chosen.trim_ascii()),
        (Some(_), Some(_)) => false,
    }
}

/// Whether an answer's `Sec-WebSocket-Extensions` fields name only extensions that were offered
/// (RFC 6455 section 4.1).
fn extensions_are_offered<'a>(
    answered: impl Iterator<Item = &'a [u8]>,
    offered: impl Iterator<Item = &'a [u8]>,
) -> bool {
    let mut answered = members(answered).map(name_of).peekable();
    if answered.peek().is_none() {
        return true;
    }
    let offered: HashSet<_> = members(offered).map(name_of).collect();
    answered.all(|name| offered.contains(name))
}

/// The elements of comma-separated lists. A parameter's value may be quoted, but holds nothing
/// that a token does not (RFC 6455 section 9.1), so no comma.
fn members<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    let elements = values.flat_map(|value| value.split(|byte| *byte == b','));
    let elements = elements.map(<[u8]>::trim_ascii);
    elements.filter(|element| !element.is_empty())
}

/// An extension without its parameters.
fn name_of(extension: &[u8]) -> &[u8] {
    let name = extension.split(|byte| *byte == b';').next();
    name.unwrap_or_default().trim_ascii()
}

/// Whether a `Sec-WebSocket-Key` is the base64 of 16 bytes, in canonical form
/// (RFC 6455 section 4.1, RFC 4648 section 3.5).
pub fn key_is_valid(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    key.len() == 24 && STANDARD.decode_slice(key, &mut nonce) == Ok(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_6455_is_answered_as_printed_there() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        assert_eq!(accept_for(key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn only_the_exact_answer_matches() {
        let key = "dGhlIHNhbXBsZSBub25jZQ==";
        for (value, matched) in [
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", true),
            ("  s3pPLMBiTxaQ9kYGzzhZRbK+xOo= ", true),
            ("S3PPLMBITXAQ9KYGZZHZRBK+XOO=", false),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo", false),
            ("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=, x", false),
            ("", false),
        ] {
            assert_eq!(accept_matches(key, value.as_bytes()), matched, "{value:?}");
        }
    }

    fn texts(text: &'static [&str]) -> impl Iterator<Item = &'static [u8]> {
        text.iter().map(|value| value.as_bytes())
    }

    #[test]
    fn a_subprotocol_is_one_of_those_offered_or_none() {
        const OFFERED: &[&str] = &["chat.v1, chat.v2", "other"];
        for (answered, offered, good) in [
            (&[][..], &[][..], true),
            (&[], OFFERED, true),
            (&["chat.v1"], OFFERED, true),
            (&[" other "], OFFERED, true),
            (&["chat.v1"], &[], false),
            (&["chat"], OFFERED, false),
            (&["Chat.v1"], OFFERED, false),
            (&["chat.v1, chat.v2"], OFFERED, false),
            (&["chat.v1", "chat.v2"], OFFERED, false),
            (&["chat.v1", "chat.v1"], OFFERED, false),
            (&[""], OFFERED, false),
            (&[""], &[], false),
        ] {
            let found = subprotocol_is_offered(texts(answered), texts(offered));
            assert_eq!(found, good, "{answered:?} {offered:?}");
        }
    }

    #[test]
    fn extensions_are_of_those_offered() {
        const OFFERED: &[&str] = &[
            "permessage-deflate; client_max_window_bits, x; y=\"1\"",
            "z",
        ];
        for (answered, offered, good) in [
            (&[][..], &[][..], true),
            (&[], OFFERED, true),
            (&["permessage-deflate"], OFFERED, true),
            (
                &["permessage-deflate;server_no_context_takeover, z"],
                OFFERED,
                true,
            ),
            (&["x", "z; a"], OFFERED, true),
            (&["permessage-deflate"], &[], false),
            (&["permessage-bzip2"], OFFERED, false),
            (&["x, w"], OFFERED, false),
            (&["x", "w"], OFFERED, false),
            (&["; x"], OFFERED, false),
            (&["Permessage-Deflate"], OFFERED, false),
        ] {
            let found = extensions_are_offered(texts(answered), texts(offered));
            assert_eq!(found, good, "{answered:?} {offered:?}");
        }
    }

    #[test]
    fn a_key_is_canonical_base64_of_sixteen_bytes() {
        for (key, valid) in [
            ("dGhlIHNhbXBsZSBub25jZQ==", true),
            ("AAAAAAAAAAAAAAAAAAAAAA==", true),
            ("", false),
            ("dGhlIHNhbXBsZSBub25jZQ", false),
            ("dGhlIHNhbXBsZSBub25jZR==", false),
            ("dGhlIHNhbXBsZSBub25jZTE=", false),
            ("dGhlIHNhbXBsZSBub25j", false),
            ("dGhlIHNhbXBsZSBub25jZTEy", false),
            ("dGhlIHNhbXBsZSBub25-ZQ==", false),
            ("dGhlIHNhbXBsZSBub25jZQ=A", false),
            ("========================", false),
        ] {
            assert_eq!(key_is_valid(key.as_bytes()), valid, "{key:?}");
        }
    }
}
