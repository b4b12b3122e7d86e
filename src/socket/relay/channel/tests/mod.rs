//! What goes through a channel comes out opened or sealed, however it is split.

use super::*;
use crate::{
    frame::{Header, Violation},
    integrity::{
        Failure, TAG_LENGTH, TAG_TEXT_LENGTH,
        seal::{Opener, Sealer},
        seal_message::MessageKind,
    },
    tests::frame,
};

mod closes;
mod limits;
mod promises;
mod vectors;

const KEY: [u8; 32] = [7; 32];
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const LIMIT: u64 = 1 << 20;

/// A channel, and all that came out of it.
struct Run {
    channel: Channel,
    out: Vec<u8>,
    controls: Vec<ControlFrame>,
    counts: Counts,
}

impl Run {
    fn through(channel: Channel) -> Self {
        Self {
            channel,
            out: Vec::new(),
            controls: Vec::new(),
            counts: Counts::default(),
        }
    }

    /// Passes one piece of input, all of it.
    fn pass(&mut self, mut input: &[u8]) -> Result<(), Fault> {
        while !input.is_empty() {
            let mut out = Forward::default();
            let passed = self.channel.advance(input, &mut out, &mut self.counts);
            self.out.extend_from_slice(&out);
            let (taken, control) = passed?;
            self.controls.extend(control);
            input = &input[taken..];
        }
        Ok(())
    }

    /// Bytes that came out since the last call.
    fn taken(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}

fn client_rules(limit: u64) -> Rules {
    Rules {
        sealed_close: true,
        ..Rules::for_client(limit, limit)
    }
}

fn open_with(binding: Binding, rules: Rules, reports: bool) -> Run {
    let opening = Opening::new(Opener::hmac_sha256(&KEY), reports);
    Run::through(match binding {
        Binding::Frame => Channel::OpenFrames(Box::new(OpenFrames::new(rules, opening))),
        Binding::Message => Channel::OpenMessages(Box::new(OpenMessages::new(rules, opening))),
    })
}

fn open(binding: Binding) -> Run {
    open_with(binding, client_rules(LIMIT), false)
}

fn report(binding: Binding) -> Run {
    open_with(binding, client_rules(LIMIT), true)
}

fn seal(binding: Binding) -> Run {
    let (rules, sealer) = (Rules::for_server(LIMIT, LIMIT), Sealer::hmac_sha256(&KEY));
    Run::through(Channel::Seal(Box::new(Seal::new(binding, rules, sealer))))
}

/// What a client seals with.
fn client() -> Sealer {
    Sealer::hmac_sha256(&KEY)
}

/// A frame of a client, as the backend gets it.
fn plain(b0: u8, data: &[u8]) -> Vec<u8> {
    frame(b0, Some(MASK), data)
}

/// The same with its tag, as the client sends it with the frame binding.
fn sealed(sealer: &mut Sealer, b0: u8, data: &[u8]) -> Vec<u8> {
    let tag = sealer.seal(b0, data).unwrap();
    plain(b0, &[data, &tag].concat())
}

/// The payload of a sealed message.
fn message(sealer: &mut Sealer, kind: MessageKind, data: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    sealer.seal_message(kind, data, &mut payload).unwrap();
    payload
}

/// A Close of a client with this payload, as the scanner finds it.
fn received_close(channel: &mut Run, payload: &[u8]) -> ControlFrame {
    channel.pass(&plain(0x88, payload)).unwrap();
    channel.controls.pop().unwrap()
}

fn units(run: &Run) -> (u64, u64, u64, u64) {
    let units = run.channel.units();
    let of = |outcome: Outcome| units[outcome as usize];
    (
        of(Outcome::Ok),
        of(Outcome::Mismatch),
        of(Outcome::Missing),
        of(Outcome::Sealed),
    )
}
