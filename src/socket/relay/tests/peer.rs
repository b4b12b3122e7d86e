//! A peer that sends frames at random, mostly good ones.

use super::{
    script::{Script, Speaker},
    *,
};
use crate::tests::Random;

/// One peer, and everything that it will have sent.
pub(super) struct Peer {
    /// The direction in which it sends.
    direction: Direction,
    script: Script,
    /// Where its first offence begins, or its Close ends.
    good: usize,
    /// Fragments of the message under way.
    fragments: usize,
    /// Whether it answers Pings of the proxy from now on.
    pub(super) pinged: bool,
    pub(super) ended: bool,
    /// Whether nothing can be sent to it.
    pub(super) lost: bool,
}

impl Speaker for Peer {
    fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    fn produce(&mut self, random: &mut Random) {
        if self.good == usize::MAX && random.one_in(60) {
            self.good = self.script.stream.len();
            let bad = self.bad_frame(random);
            self.script.stream.extend(bad);
        }
        let (first, payload) = self.good_frame(random);
        let frame = self.frame(random, first, &payload);
        self.script.stream.extend(frame);
        if first == CLOSE && self.good == usize::MAX {
            self.good = self.script.stream.len();
        }
    }
}

impl Peer {
    pub(super) fn new(direction: Direction) -> Self {
        Self {
            direction,
            script: Script::default(),
            good: usize::MAX,
            fragments: 0,
            pinged: false,
            ended: false,
            lost: false,
        }
    }

    /// What it has sent, and how much of that obeys the rules and is not behind a Close.
    pub(super) fn sent(&self) -> (&[u8], usize) {
        (
            &self.script.stream[..self.script.sent],
            self.good.min(self.script.sent),
        )
    }

    /// Whether it has broken a rule, so that the header shows it by now.
    pub(super) fn has_offended(&self) -> bool {
        self.script.sent > self.good.saturating_add(20)
    }

    fn good_frame(&mut self, random: &mut Random) -> (u8, Vec<u8>) {
        if random.one_in(40) {
            let code = random.of(&[1000, 1001, 1003, 1011, 1012, 3000, 4999]);
            let payload = random.of(&[0, 2, 5]);
            return (CLOSE, close_payload(code, "bye")[..payload].to_vec());
        }
        if random.one_in(4) {
            let (first, length) = (random.of(&[PING, PONG]), random.below(126));
            return if self.pinged && random.one_in(2) {
                (PONG, MARK.to_vec())
            } else {
                (first, random.bytes(length))
            };
        }
        let opcode = if self.fragments > 0 {
            0
        } else {
            random.of(&[1, 2])
        };
        let fin = self.fragments > 10 || random.one_in(2);
        self.fragments = if fin { 0 } else { self.fragments + 1 };
        let length = random.of(&[0, 1, 20, 125, 126, 400]);
        let first = opcode | if fin { 0x80 } else { 0 };
        (first, random.bytes(length))
    }

    fn bad_frame(&mut self, random: &mut Random) -> Vec<u8> {
        let out_of_order = if self.fragments > 0 { TEXT } else { 0x80 };
        let (first, length) = random.of(&[
            (0xf1, 30),
            (0x83, 30),
            (0x0a, 30),
            (PING, 126),
            (out_of_order, 30),
            (CLOSE, 1),
            (PONG, 300),
        ]);
        let payload = random.bytes(length);
        let mut frame = self.frame(random, first, &payload);
        if random.one_in(4) {
            // Masked where it must not be, or the reverse.
            frame[1] ^= 0x80;
        }
        frame
    }

    fn frame(&self, random: &mut Random, first: u8, payload: &[u8]) -> Vec<u8> {
        // Never the key of the proxy.
        let key = [random.bytes(3), vec![7]].concat();
        let key = key.first_chunk().copied();
        frame(first, key.filter(|_| self.direction == ToBackend), payload)
    }
}
