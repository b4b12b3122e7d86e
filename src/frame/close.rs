//! The payload of a Close (RFC 6455 section 5.5.1).

use super::Violation;

pub use super::code::{
    ABNORMAL_CLOSURE, BAD_GATEWAY, GOING_AWAY, INTERNAL_ERROR, INVALID_FRAME_PAYLOAD_DATA,
    MANDATORY_EXTENSION, MESSAGE_TOO_BIG, NO_STATUS_RECEIVED, NORMAL_CLOSURE, POLICY_VIOLATION,
    PROTOCOL_ERROR, SERVICE_RESTART, TLS_HANDSHAKE, UNSUPPORTED_DATA, may_be_sent,
};

/// Checks the unmasked payload of a Close: empty, or a code that may be sent and a reason in
/// UTF-8 (RFC 6455 section 5.5.1).
pub fn check(payload: &[u8]) -> Result<(), Violation> {
    match payload.split_first_chunk::<2>() {
        None if payload.is_empty() => Ok(()),
        None => Err(Violation::ClosePayloadTooShort),
        Some((code, _)) if !may_be_sent(u16::from_be_bytes(*code)) => Err(Violation::CloseCode),
        Some((_, reason)) if str::from_utf8(reason).is_err() => Err(Violation::CloseReasonNotUtf8),
        Some(_) => Ok(()),
    }
}

/// The longest part of `text` that is at most `limit` bytes and ends between two characters.
pub fn truncate(text: &str, limit: usize) -> &str {
    let end = text.floor_char_boundary(limit);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_payload_is_empty_or_a_code_and_a_text() {
        assert_eq!(check(b""), Ok(()));
        assert_eq!(check(b"\x03"), Err(Violation::ClosePayloadTooShort));
        assert_eq!(check(b"\x03\xe8"), Ok(()));
        assert_eq!(check("\x03\u{e9}".as_bytes()), Err(Violation::CloseCode));
        assert_eq!(
            check(b"\x03\xe8\xc3"),
            Err(Violation::CloseReasonNotUtf8),
            "a character cut in half"
        );
        assert_eq!(check(b"\x03\xe8\xc3\xa9"), Ok(()));
    }

    #[test]
    fn truncation_never_splits_a_character() {
        let text = "aé€😀".repeat(3);
        for limit in 0..text.len() + 2 {
            let cut = truncate(&text, limit);
            assert!(cut.len() <= limit && text.starts_with(cut));
            assert!(cut.len() + 4 > limit.min(text.len()), "{limit}");
        }
    }
}
