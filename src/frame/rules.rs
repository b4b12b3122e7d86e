//! What the sender of one direction must keep to.

use super::{Header, Opcode, Violation};

/// First bytes of a message in one frame, without reserved bits.
const FINAL_TEXT: u8 = 0x81;
const FINAL_BINARY: u8 = 0x82;

/// The rules for the frames of one direction of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Whether the sender must mask its frames: a client must, a server must not (RFC 6455
    /// section 5.1).
    pub masked: bool,
    /// The bits of [`Header::reserved`] that a negotiated extension sets in the first frame of a
    /// data message, such as RSV1 (`0x40`) for permessage-deflate (RFC 7692 section 6).
    pub reserved_bits: u8,
    /// Whether those bits may be set in continuation and control frames as well.
    pub reserved_everywhere: bool,
    /// Bytes of data that one frame may have.
    pub frame_limit: u64,
    /// Bytes of data that one message may have, all its frames together.
    pub message_limit: u64,
    /// Bytes at the end of every data frame that the limits do not count: 32 on a connection
    /// whose frames are sealed, otherwise 0.
    pub trailer: u64,
    /// Whether a Close ends in a tag, as on a connection whose frames are sealed. Its payload is
    /// then not checked here: the tag must be taken off first, and [`super::close::check`] asked
    /// about the rest.
    pub sealed_close: bool,
}

impl Rules {
    /// The rules for a client without extensions. The limits are in bytes.
    pub const fn for_client(frame_limit: u64, message_limit: u64) -> Self {
        Rules {
            masked: true,
            ..Self::for_server(frame_limit, message_limit)
        }
    }

    /// The rules for a server without extensions. The limits are in bytes.
    pub const fn for_server(frame_limit: u64, message_limit: u64) -> Self {
        Rules {
            masked: false,
            reserved_bits: 0,
            reserved_everywhere: false,
            frame_limit,
            message_limit,
            trailer: 0,
            sealed_close: false,
        }
    }

    /// RFC 6455 section 5.2: a reserved bit must be 0 unless an extension gives it a meaning.
    #[inline]
    pub(super) fn check_reserved(&self, opcode: Opcode, reserved: u8) -> Result<(), Violation> {
        let first = matches!(opcode, Opcode::Text | Opcode::Binary);
        let allowed = if first || self.reserved_everywhere {
            self.reserved_bits
        } else {
            0
        };
        if reserved & !allowed == 0 {
            Ok(())
        } else {
            Err(Violation::ReservedBits)
        }
    }

    /// RFC 6455 section 5.1: a client masks every frame, a server none.
    #[inline]
    pub(super) fn check_mask(&self, masked: bool) -> Result<(), Violation> {
        match (self.masked, masked) {
            (true, false) => Err(Violation::Unmasked),
            (false, true) => Err(Violation::Masked),
            _ => Ok(()),
        }
    }

    /// RFC 6455 section 10.4: limits on a frame, and on a message of which `before` bytes came
    /// in earlier frames. Returns the message's bytes with this frame.
    #[inline]
    pub(super) fn check_limits(&self, header: &Header, before: u64) -> Result<u64, Violation> {
        let data = header.length.saturating_sub(self.trailer);
        let message = before.saturating_add(data);
        if data > self.frame_limit {
            Err(Violation::FrameTooLarge)
        } else if message > self.message_limit {
            Err(Violation::MessageTooLarge)
        } else if header.length < self.trailer {
            // Too short for a trailer: if that is let pass, it is all data.
            Ok(message.saturating_add(header.length))
        } else {
            Ok(message)
        }
    }

    /// A message in one frame that is whole and breaks no rule, at the start of `input`: its
    /// opcode, the bytes of its payload, and what follows it. `None` says nothing but that it
    /// takes a closer look.
    #[inline]
    pub(super) fn whole_message<'a>(&self, input: &'a [u8]) -> Option<(Opcode, usize, &'a [u8])> {
        let (&[first, second], rest) = input.split_first_chunk()?;
        let opcode = match first & !self.reserved_bits {
            FINAL_TEXT => Opcode::Text,
            FINAL_BINARY => Opcode::Binary,
            _ => return None,
        };
        let (length, rest) = match second & 0x7f {
            short @ ..126 => (usize::from(short), rest),
            126 => {
                let (bytes, rest) = rest.split_first_chunk()?;
                // RFC 6455 section 5.2: in as few bytes as it needs.
                let length = usize::from(u16::from_be_bytes(*bytes));
                (length >= 126).then_some((length, rest))?
            }
            _ => return None,
        };
        let masked = Header::masked(second);
        let after = rest.get(length + if masked { 4 } else { 0 }..)?;
        let data = (length as u64).saturating_sub(self.trailer);
        let good = masked == self.masked && data <= self.frame_limit.min(self.message_limit);
        good.then_some((opcode, length, after))
    }
}
