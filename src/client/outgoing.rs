//! Frames → bytes to the server: sealed where that was agreed, then masked.

use super::ClientError;
use crate::{
    frame::{Header, Opcode, mask},
    integrity::seal::Sealer,
};
use bytes::BytesMut;

/// A frame to be sent.
pub(super) struct Outgoing<'a> {
    pub(super) opcode: Opcode,
    /// Whether it is the last of its message.
    pub(super) last: bool,
    /// Without a tag and unmasked.
    pub(super) payload: &'a [u8],
}

impl<'a> Outgoing<'a> {
    /// A frame that is whole in itself: a message, or a control frame.
    pub(super) fn whole(opcode: Opcode, payload: &'a [u8]) -> Self {
        Self {
            opcode,
            last: true,
            payload,
        }
    }

    /// Appends the frame's bytes to `buffer`. `masking_key` is random (RFC 6455 section 5.3).
    pub(super) fn write(
        &self,
        masking_key: [u8; 4],
        sealer: Option<&mut Sealer>,
        buffer: &mut BytesMut,
    ) -> Result<(), ClientError> {
        let mut header = Header {
            fin: self.last,
            reserved: 0,
            opcode: self.opcode,
            mask: Some(masking_key),
            length: self.payload.len() as u64,
        };
        let tag = match sealer {
            Some(sealer) if self.is_sealed() => {
                Some(sealer.seal(header.first_byte(), self.payload)?)
            }
            _ => None,
        };
        let tag = tag.as_ref().map(<[u8; 32]>::as_slice).unwrap_or_default();
        header.length += tag.len() as u64;
        buffer.extend_from_slice(header.encode().as_slice());
        let start = buffer.len();
        buffer.extend_from_slice(self.payload);
        buffer.extend_from_slice(tag);
        mask::apply(masking_key, 0, buffer.get_mut(start..).unwrap_or_default());
        Ok(())
    }

    /// Ping and Pong carry nothing of the application's.
    fn is_sealed(&self) -> bool {
        !matches!(self.opcode, Opcode::Ping | Opcode::Pong)
    }
}
