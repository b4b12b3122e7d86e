//! What the answer in the opening handshake must be (RFC 6455 section 4).

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};
use std::collections::HashSet;

/// Appended to the key before it is hashed (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The `Sec-WebSocket-Accept` that answers a `Sec-WebSocket-Key` (RFC 6455 section 4.2.2).
pub fn accept_for(key: &str) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    STANDARD.encode(digest)
}

/// Whether a backend's `Sec-WebSocket-Accept` answers the key it was sent; white space around
/// the value is no part of it (RFC 6455 section 4.1).
pub fn accept_matches(key: &str, value: &[u8]) -> bool {
    value.trim_ascii() == accept_for(key).as_bytes()
}

/// Whether an answer's `Sec-WebSocket-Protocol` fields choose one subprotocol among those offered,
/// to the letter, or none (RFC 6455 section 4.1).
pub fn subprotocol_is_offered<'a>(
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
pub fn extensions_are_offered<'a>(
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

    fn values(text: &'static [&str]) -> impl Iterator<Item = &'static [u8]> {
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
            let found = subprotocol_is_offered(values(answered), values(offered));
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
            let found = extensions_are_offered(values(answered), values(offered));
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
