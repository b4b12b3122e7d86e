//! Promises that header, rules, scanner and passage keep together, on every split of the input.

mod offences;
mod promises;
mod reference;
mod simulation;

use super::{ControlFrame, Counts, Forward, Opcode, Passage, Rules, Violation};
use crate::tests::frame;

const TEXT: u8 = 0x81;
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;
/// A first fragment of text, one in the middle, and the last.
const FRAGMENTS: [u8; 3] = [0x01, 0x00, 0x80];

const LIMIT: u64 = 1 << 20;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// Everything that a passage made of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    out: Vec<u8>,
    control: Vec<ControlFrame>,
    counts: Counts,
    violation: Option<Violation>,
}

/// A passage and what it has made of the pieces so far.
struct Run {
    passage: Passage,
    outcome: Outcome,
}

impl Run {
    fn new(rules: Rules) -> Self {
        Run {
            passage: Passage::new(rules),
            outcome: Outcome::default(),
        }
    }

    /// Hands in one piece of the stream; after a violation, nothing more.
    fn feed(&mut self, mut piece: &[u8]) {
        let outcome = &mut self.outcome;
        while outcome.violation.is_none() {
            let mut out = Forward::default();
            let passed = self.passage.advance(piece, &mut out, &mut outcome.counts);
            outcome.out.extend_from_slice(&out);
            match passed {
                Ok((size, Some(control))) => {
                    outcome.control.push(control);
                    piece = &piece[size..];
                }
                Ok((size, None)) => {
                    assert_eq!(size, piece.len(), "stopped without a reason");
                    return;
                }
                Err(violation) => outcome.violation = Some(violation),
            }
        }
    }
}

fn whole(rules: Rules, stream: &[u8]) -> Outcome {
    pieces(rules, [stream])
}

fn pieces<'a>(rules: Rules, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut run = Run::new(rules);
    pieces.into_iter().for_each(|piece| run.feed(piece));
    run.outcome
}

/// What a stream comes to, after a look that neither one byte at a time nor any cut in two
/// makes a difference.
fn on_every_split(rules: Rules, stream: &[u8]) -> Outcome {
    let expected = whole(rules, stream);
    assert_eq!(pieces(rules, stream.chunks(1)), expected, "byte by byte");
    for boundary in 0..=stream.len() {
        let (left, right) = stream.split_at(boundary);
        let cut = pieces(rules, [left, right]);
        assert_eq!(cut, expected, "cut at {boundary}");
    }
    expected
}

fn client() -> Rules {
    Rules::for_client(LIMIT, LIMIT)
}

fn server() -> Rules {
    Rules::for_server(LIMIT, LIMIT)
}

fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, Some(KEY), payload)
}

/// An unmasked frame.
fn plain(first: u8, payload: &[u8]) -> Vec<u8> {
    frame(first, None, payload)
}

/// Good frames that leave no message open.
fn good(rules: Rules) -> Vec<u8> {
    let key = rules.masked.then_some(KEY);
    let payloads: [(u8, &[u8]); 6] = [
        (TEXT, b"Hello"),
        (FRAGMENTS[0], b""),
        (PING, b"between"),
        (FRAGMENTS[1], b"middle"),
        (FRAGMENTS[2], &[9; 130]),
        (BINARY, b""),
    ];
    payloads
        .into_iter()
        .flat_map(|(first, payload)| frame(first, key, payload))
        .collect()
}
