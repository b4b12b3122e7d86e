//! The peers of a sealed conversation: a client that seals what it says, mostly well, and a
//! backend that knows nothing of it.

use super::{
    script::{Script, Speaker},
    *,
};
use crate::{
    integrity::{Outcome, seal::Sealer, seal_message::MessageKind},
    tests::Random,
};

/// One peer, and everything that it will have sent.
#[allow(
    clippy::struct_excessive_bools,
    reason = "four facts that are independent of each other"
)]
pub(super) struct SealedPeer {
    binding: Binding,
    mode: Mode,
    /// What a client seals with.
    sealer: Option<Sealer>,
    script: Script,
    said: Vec<Said>,
    /// Where in the stream the unit under way begins.
    begun: usize,
    /// Where in the stream its offence begins and ends.
    offence: Option<(usize, usize)>,
    /// Whether nothing counts any more that it sends: behind a Close or an offence.
    over: bool,
    /// Whether its tags still count with those of the proxy.
    in_step: bool,
    pub(super) ended: bool,
    /// Whether nothing can be sent to it.
    pub(super) lost: bool,
}

/// What its counterpart has to get: a frame, or with the message binding a message.
#[derive(Debug)]
pub(super) struct Said {
    /// FIN and opcode.
    pub(super) first: u8,
    /// Without a tag.
    pub(super) data: Vec<u8>,
    /// What is counted of it.
    outcome: Option<Outcome>,
    /// Where in the stream it is whole.
    due: usize,
}

/// What carries a tag, as it is sent.
struct Unit {
    payload: Vec<u8>,
    data: Vec<u8>,
    outcome: Outcome,
}

impl Speaker for SealedPeer {
    fn script(&mut self) -> &mut Script {
        &mut self.script
    }

    fn produce(&mut self, random: &mut Random) {
        match random.below(40) {
            0 => self.close(random),
            1..8 => self.control(random),
            _ => self.message(random),
        }
    }
}

impl SealedPeer {
    pub(super) fn new(binding: Binding, mode: Mode, sealer: Option<Sealer>) -> Self {
        Self {
            binding,
            mode,
            sealer,
            script: Script::default(),
            said: Vec::new(),
            begun: 0,
            offence: None,
            over: false,
            in_step: true,
            ended: false,
            lost: false,
        }
    }

    /// What it has said, in the order in which its counterpart has to get it.
    pub(super) fn said(&self) -> impl Iterator<Item = &Said> {
        self.said
            .iter()
            .take_while(|said| said.due <= self.script.sent)
    }

    pub(super) fn units(&self, outcome: Outcome) -> usize {
        self.said()
            .filter(|said| said.outcome == Some(outcome))
            .count()
    }

    /// Whether its offence has been sent whole.
    pub(super) fn has_offended(&self) -> bool {
        self.offence.is_some_and(|(_, end)| end <= self.script.sent)
    }

    /// Whether some of its offence has been sent.
    pub(super) fn offends(&self) -> bool {
        self.offence
            .is_some_and(|(start, _)| start < self.script.sent)
    }

    /// A message in one frame or several, with Pings and Pongs between them.
    fn message(&mut self, random: &mut Random) {
        self.begun = self.script.stream.len();
        let opcode = random.of(&[1, 2]);
        let length = random.of(&[0, 1, 30, 82, 83, 93, 94, 125, 126, 300]);
        let letters = random.bytes(length);
        let data: Vec<u8> = letters.iter().map(|byte| b'a' + byte % 26).collect();
        let whole =
            (self.binding == Binding::Message).then(|| self.seal(random, 0x80 | opcode, &data));
        let mut rest = whole
            .as_ref()
            .map_or(&data, |unit| &unit.payload)
            .as_slice();
        let mut first = opcode;
        while random.one_in(2) {
            let (part, behind) = rest.split_at(random.below(rest.len() + 1));
            self.part(random, first, part);
            if random.one_in(3) {
                self.control(random);
            }
            (first, rest) = (0, behind);
        }
        self.part(random, 0x80 | first, rest);
        if let Some(unit) = whole {
            self.say(0x80 | opcode, unit);
        }
    }

    /// A frame of a message.
    fn part(&mut self, random: &mut Random, first: u8, part: &[u8]) {
        if self.binding == Binding::Message {
            return self.push(random, first, part);
        }
        self.begun = self.script.stream.len();
        let unit = self.seal(random, first, part);
        self.push(random, first, &unit.payload);
        self.say(first, unit);
    }

    fn control(&mut self, random: &mut Random) {
        let length = random.below(100);
        let (first, data) = (random.of(&[PING, PONG]), random.bytes(length));
        self.push(random, first, &data);
        self.note(first, data, None);
    }

    fn close(&mut self, random: &mut Random) {
        self.begun = self.script.stream.len();
        let most = match self.sealer {
            Some(_) => self.binding.longest_reason(),
            None => 123,
        };
        let (code, reason) = (
            random.of(&[1000, 1001, 3000, 4999]),
            random.of(&[0, 3, most]),
        );
        let mut data = close_payload(code, &"r".repeat(reason));
        if self.binding == Binding::Frame && random.one_in(3) {
            data.clear();
        }
        let mut unit = self.seal(random, CLOSE, &data);
        if self.sealer.is_none() {
            // Longer ones are cut, to leave room for the tag.
            unit.data.truncate(2 + self.binding.longest_reason());
        }
        self.push(random, CLOSE, &unit.payload);
        self.say(CLOSE, unit);
        self.over = true;
    }

    /// What a client sends of data: with its tag, unless something has happened to it.
    fn seal(&mut self, random: &mut Random, first: u8, data: &[u8]) -> Unit {
        let (mut payload, mut data) = (data.to_vec(), data.to_vec());
        let Some(sealer) = &mut self.sealer else {
            let outcome = Outcome::Sealed;
            return Unit {
                payload,
                data,
                outcome,
            };
        };
        let spoilt = if random.one_in(60) {
            random.below(4)
        } else {
            4
        };
        if spoilt == 0 {
            // One unit is lost on the way.
            sealer.seal(BINARY, b"").unwrap();
            self.in_step = false;
        }
        if spoilt == 1 {
            // One that was never sealed.
            payload.truncate(random.of(&[0, 2, 31]));
            data.clone_from(&payload);
            let outcome = Outcome::Missing;
            return Unit {
                payload,
                data,
                outcome,
            };
        }
        payload = match (self.binding, first) {
            (Binding::Frame, _) => [&*data, &sealer.seal(first, &data).unwrap()].concat(),
            (Binding::Message, CLOSE) => {
                let (code, reason) = data.split_first_chunk().unwrap();
                let (code, reason) = (u16::from_be_bytes(*code), str::from_utf8(reason).unwrap());
                sealer.seal_close(self.binding, Some(code), reason).unwrap()
            }
            (Binding::Message, _) => {
                let kind = if first == TEXT {
                    MessageKind::Text
                } else {
                    MessageKind::Binary
                };
                let mut payload = Vec::new();
                sealer.seal_message(kind, &data, &mut payload).unwrap();
                payload
            }
        };
        let changed = (2..4).contains(&spoilt);
        if spoilt == 2 {
            *payload.last_mut().unwrap() ^= 1;
        } else if spoilt == 3 {
            let place = if first == CLOSE { payload.len() - 1 } else { 0 };
            payload[place] ^= 1;
            let length = data.len();
            data.copy_from_slice(&payload[..length]);
        }
        let outcome = if self.in_step && !changed {
            Outcome::Ok
        } else {
            Outcome::Mismatch
        };
        Unit {
            payload,
            data,
            outcome,
        }
    }

    fn push(&mut self, random: &mut Random, first: u8, payload: &[u8]) {
        let key = [random.byte(), 2, 3, 4];
        let key = self.sealer.as_ref().map(|_| key);
        self.script.stream.extend(frame(first, key, payload));
    }

    /// Notes a unit that has been sent: what becomes of it.
    fn say(&mut self, first: u8, unit: Unit) {
        let bad = matches!(unit.outcome, Outcome::Mismatch | Outcome::Missing);
        if bad && self.mode == Mode::Required && !self.over {
            self.offence = Some((self.begun, self.script.stream.len()));
            self.over = true;
        }
        self.note(first, unit.data, Some(unit.outcome));
    }

    fn note(&mut self, first: u8, data: Vec<u8>, outcome: Option<Outcome>) {
        if !self.over {
            let due = self.script.stream.len();
            self.said.push(Said {
                first,
                data,
                outcome,
                due,
            });
        }
    }
}
