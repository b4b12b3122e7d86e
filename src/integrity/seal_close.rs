//! The sealed Close of both bindings (section 4). Without it, an end is not a clean one.

use super::{
    Binding, Failure, TAG_LENGTH, TAG_TEXT_LENGTH, base64url,
    seal::{Opener, SealError, Sealer},
};

/// FIN and the opcode of a Close, which is never fragmented (RFC 6455 section 5.5).
const CLOSE_B0: u8 = 0x88;

/// Bytes of a control frame's payload at most (RFC 6455 section 5.5).
const CONTROL_PAYLOAD: usize = 125;

const CODE_LENGTH: usize = 2;

impl Binding {
    /// The bytes that a Close's reason has at most.
    pub const fn longest_reason(self) -> usize {
        CONTROL_PAYLOAD - CODE_LENGTH - self.close_tag_length()
    }

    /// The length of the tag after a Close's data, in bytes.
    pub const fn close_tag_length(self) -> usize {
        match self {
            Self::Frame => TAG_LENGTH,
            Self::Message => TAG_TEXT_LENGTH,
        }
    }
}

impl Sealer {
    /// The payload of a sealed Close: code, reason (cut to what fits, between two characters) and
    /// tag. Without a code there is no reason; the message binding requires a code.
    pub fn seal_close(
        &mut self,
        binding: Binding,
        code: Option<u16>,
        reason: &str,
    ) -> Result<Vec<u8>, SealError> {
        let mut payload = Vec::with_capacity(CONTROL_PAYLOAD);
        match (binding, code) {
            (Binding::Message, None) => return Err(SealError::CodeMissing),
            (Binding::Frame, None) => {}
            (_, Some(code)) => {
                payload.extend_from_slice(&code.to_be_bytes());
                payload.extend_from_slice(prefix(reason, binding.longest_reason()).as_bytes());
            }
        }
        let tag = self.seal(CLOSE_B0, &payload)?;
        match binding {
            Binding::Frame => payload.extend_from_slice(&tag),
            Binding::Message => payload.extend_from_slice(&base64url::encode_tag(&tag)),
        }
        Ok(payload)
    }
}

impl Opener {
    /// Checks a Close: its data, that is code and reason, or nothing. What is wrong with those
    /// under RFC 6455 section 7.4 is for the caller to find.
    pub fn open_close<'a>(
        &mut self,
        binding: Binding,
        payload: &'a [u8],
    ) -> Result<&'a [u8], Failure> {
        match binding {
            Binding::Frame => self.open_with_tag(CLOSE_B0, payload),
            Binding::Message if payload.len() < CODE_LENGTH + TAG_TEXT_LENGTH => {
                Err(Failure::Missing)
            }
            Binding::Message => self.open_with_text_tag(CLOSE_B0, payload),
        }
    }
}

/// The longest prefix of whole characters that has at most `limit` bytes.
fn prefix(text: &str, limit: usize) -> &str {
    let end = text.floor_char_boundary(limit);
    text.get(..end).unwrap_or_default()
}
