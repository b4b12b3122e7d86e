//! What a peer at random has to say: made when it is needed, sent in pieces of any size.

use crate::tests::Random;

/// Everything that it will have sent.
#[derive(Default)]
pub(super) struct Script {
    pub(super) stream: Vec<u8>,
    /// How much of that it has sent.
    pub(super) sent: usize,
}

/// A peer that sends at random.
pub(super) trait Speaker {
    fn script(&mut self) -> &mut Script;

    /// Goes on with the script, by a frame or more.
    fn produce(&mut self, random: &mut Random);

    /// Sends up to `most` bytes.
    fn send(&mut self, random: &mut Random, most: usize) -> Vec<u8> {
        let start = self.script().sent;
        let end = start + 1 + random.below(most);
        while self.script().stream.len() < end {
            self.produce(random);
        }
        self.script().sent = end;
        self.script().stream[start..end].to_vec()
    }
}
