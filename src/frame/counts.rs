//! What has passed, in numbers.

use super::Opcode;

/// What has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames by [`Opcode::index`]: data frames whose header was passed on, control frames that
    /// came whole.
    pub frames: [u64; Opcode::COUNT],
    /// Data messages that were passed on to their end.
    pub messages: u64,
    /// Bytes of payload in data frames.
    pub data_bytes: u64,
}

impl Counts {
    /// Counts a frame.
    #[inline]
    pub fn frame(&mut self, opcode: Opcode) {
        if let Some(count) = self.frames.get_mut(opcode.index()) {
            *count += 1;
        }
    }
}
