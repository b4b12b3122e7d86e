//! The key and its answer in the opening handshake (RFC 6455 section 4).

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

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

/// Whether a `Sec-WebSocket-Key` is the base64 of 16 octets, in canonical form
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

    #[test]
    fn a_key_is_canonical_base64_of_sixteen_octets() {
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
