//! Any bytes, in any pieces: the frame scanner neither panics nor lets a split change anything.
//!
//! The input is one byte of rules, one of piece sizes, and the stream.

use tidegate::frame::{ControlFrame, Counts, Forward, Header, Passage, Rules, Violation};

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    out: Vec<u8>,
    control: Vec<ControlFrame>,
    counts: Counts,
    violation: Option<Violation>,
}

pub(crate) fn run(data: &[u8]) {
    let [rules, size, stream @ ..] = data else {
        return;
    };
    let rules = rules_of(*rules);
    let whole = pass(rules, [stream]);
    let pieces = pass(rules, stream.chunks(1 + usize::from(*size)));
    assert_eq!(whole, pieces);
    if whole.control.is_empty() && whole.violation.is_none() {
        assert!(stream.starts_with(&whole.out));
    }
    header_survives(stream);
}

/// One bit of `choice` for each knob of the rules.
fn rules_of(choice: u8) -> Rules {
    let bit = |place: u8| choice & (1 << place) != 0;
    Rules {
        masked: bit(0),
        reserved_bits: if bit(1) { 0x40 } else { 0 },
        reserved_everywhere: bit(2),
        frame_limit: if bit(3) { 100 } else { u64::MAX },
        message_limit: if bit(4) { 200 } else { u64::MAX },
        trailer: if bit(5) { 32 } else { 0 },
        sealed_close: bit(6),
    }
}

fn pass<'a>(rules: Rules, pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut passage = Passage::new(rules);
    let mut outcome = Outcome::default();
    for mut piece in pieces {
        loop {
            let mut out = Forward::default();
            let passed = passage.advance(piece, &mut out, &mut outcome.counts);
            outcome.out.extend_from_slice(&out);
            match passed {
                Ok((size, Some(frame))) => {
                    outcome.control.push(frame);
                    piece = &piece[size..];
                }
                Ok((size, None)) => {
                    assert_eq!(size, piece.len());
                    break;
                }
                Err(violation) => {
                    outcome.violation = Some(violation);
                    return outcome;
                }
            }
        }
    }
    outcome
}

/// A header that can be read is written back byte for byte.
fn header_survives(stream: &[u8]) {
    if let Some(Ok((header, size))) = Header::decode(stream) {
        assert_eq!(header.encode().as_slice(), &stream[..size]);
        assert_eq!(header.encoded_length(), size);
    }
}
