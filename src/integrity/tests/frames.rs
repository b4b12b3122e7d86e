//! The frame binding: every worked example, its prefixes, and its single-bit changes.

use super::super::{Binding, Failure, TAG_LENGTH};
use super::*;
use sha2::{Digest, Sha256};

/// A frame as the examples have it, which is as much of RFC 6455 section 5.2 as they need.
struct Frame {
    b0: u8,
    payload: Vec<u8>,
}

impl Frame {
    /// The one frame that a wire is, masked or not as its direction asks for.
    fn read(wire: &[u8], masked: bool) -> Option<Self> {
        let (&[b0, b1], rest) = wire.split_first_chunk()?;
        let (length, rest) = match b1 & 0x7f {
            126 => rest
                .split_first_chunk()
                .map(|(n, r)| (u64::from(u16::from_be_bytes(*n)), r))?,
            127 => rest
                .split_first_chunk()
                .map(|(n, r)| (u64::from_be_bytes(*n), r))?,
            short => (u64::from(short), rest),
        };
        let (mask, payload) = if masked {
            rest.split_first_chunk().map(|(mask, rest)| (*mask, rest))?
        } else {
            ([0; 4], rest)
        };
        let whole = (b1 & 0x80 != 0) == masked && u64::try_from(payload.len()) == Ok(length);
        whole.then(|| Self {
            b0,
            payload: apply(mask, payload),
        })
    }

    fn write(&self, mask: Option<[u8; 4]>) -> Vec<u8> {
        let mut wire = vec![self.b0];
        let masked = if mask.is_some() { 0x80 } else { 0 };
        match self.payload.len() {
            short @ ..126 => wire.push(masked | u8::try_from(short).unwrap()),
            length => match u16::try_from(length) {
                Ok(length) => wire.extend([&[masked | 0x7e][..], &length.to_be_bytes()].concat()),
                Err(_) => wire.extend([&[masked | 0x7f][..], &length.to_be_bytes()].concat()),
            },
        }
        wire.extend(
            mask.unwrap_or_default()
                .iter()
                .take(if mask.is_some() { 4 } else { 0 }),
        );
        wire.extend(apply(mask.unwrap_or_default(), &self.payload));
        wire
    }
}

fn apply(mask: [u8; 4], payload: &[u8]) -> Vec<u8> {
    payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect()
}

fn mask(sequence: &Value) -> Option<[u8; 4]> {
    sequence["mask"]
        .as_str()
        .map(|hex| bytes(hex).try_into().unwrap())
}

fn seal_frame(sealer: &mut Sealer, b0: u8, data: &[u8]) -> Frame {
    let tag = sealer.seal(b0, data).unwrap();
    Frame {
        b0,
        payload: [data, &tag].concat(),
    }
}

fn open_frame(opener: &mut Opener, frame: &Frame) -> Result<Vec<u8>, Failure> {
    let (data, tag) = frame.payload.split_last_chunk().ok_or(Failure::Missing)?;
    opener.open(frame.b0, data, tag).map(|()| data.to_vec())
}

fn assert_wire(wire: &[u8], unit: &Value) {
    if let Some(hex) = unit["wire"].as_str() {
        return assert_eq!(wire, bytes(hex));
    }
    assert_eq!(wire.len() as u64, unit["wire_len"].as_u64().unwrap());
    assert_eq!(wire[..16], bytes(text(unit, "wire_head")));
    assert_eq!(
        Sha256::digest(wire).as_slice(),
        bytes(text(unit, "wire_sha256"))
    );
}

/// Every frame of the examples, with its sequence, its number in it, and its wire.
fn wires() -> impl Iterator<Item = (Value, u64, Vec<u8>)> {
    sequences("frame").into_iter().flat_map(|sequence| {
        let mut sealer = sealer(&sequence);
        let wire = |unit| seal_frame(&mut sealer, b0(unit), &data(unit)).write(mask(&sequence));
        let wires: Vec<_> = rows(&sequence, "frames").iter().map(wire).collect();
        (0..)
            .zip(wires)
            .map(move |(number, wire)| (sequence.clone(), number, wire))
    })
}

fn is_refused(sequence: &Value, number: u64, wire: &[u8]) -> bool {
    let mut opener = opener(sequence);
    opener.set_sequence(number);
    Frame::read(wire, mask(sequence).is_some())
        .is_none_or(|frame| open_frame(&mut opener, &frame).is_err())
}

#[test]
fn every_frame_seals_to_its_wire() {
    for sequence in sequences("frame") {
        let mut sealer = sealer(&sequence);
        for (number, unit) in (0..).zip(rows(&sequence, "frames")) {
            assert_eq!(unit["seq"].as_u64().unwrap_or(number), sealer.sequence());
            let frame = seal_frame(&mut sealer, b0(unit), &data(unit));
            assert_eq!(
                frame.payload[frame.payload.len() - TAG_LENGTH..],
                bytes(text(unit, "tag"))
            );
            assert_wire(&frame.write(mask(&sequence)), unit);
        }
    }
}

#[test]
fn every_wire_opens_to_its_data() {
    for sequence in sequences("frame") {
        let mut opener = opener(&sequence);
        for unit in rows(&sequence, "frames") {
            let Some(hex) = unit["wire"].as_str() else {
                continue;
            };
            let frame = Frame::read(&bytes(hex), mask(&sequence).is_some()).unwrap();
            assert_eq!(frame.b0, b0(unit));
            assert_eq!(open_frame(&mut opener, &frame), Ok(data(unit)));
        }
    }
}

#[test]
fn every_long_frame_opens_to_its_data() {
    for sequence in sequences("frame") {
        let mut opener = opener(&sequence);
        for unit in rows(&sequence, "frames")
            .iter()
            .filter(|unit| unit["wire"].is_null())
        {
            let data = data(unit);
            assert_eq!(
                Sha256::digest(&data).as_slice(),
                bytes(text(unit, "data_sha256"))
            );
            opener.begin(b0(unit));
            data.chunks(4096).for_each(|piece| opener.update(piece));
            assert_eq!(opener.verify(&bytes_32(text(unit, "tag"))), Ok(()));
        }
    }
}

#[test]
fn every_close_of_the_examples_is_made_and_read() {
    let mut closes = 0;
    for sequence in sequences("frame") {
        let (mut sealer, mut opener) = (sealer(&sequence), opener(&sequence));
        let units = rows(&sequence, "frames");
        for (number, unit) in (0..).zip(units).filter(|(_, unit)| b0(unit) == 0x88) {
            sealer.set_sequence(number);
            opener.set_sequence(number);
            let data = data(unit);
            let code = data.first_chunk().map(|code| u16::from_be_bytes(*code));
            let reason = std::str::from_utf8(data.get(2..).unwrap_or_default()).unwrap();
            let payload = sealer.seal_close(Binding::Frame, code, reason).unwrap();
            let sent = Frame {
                b0: 0x88,
                payload: payload.clone(),
            };
            assert_wire(&sent.write(mask(&sequence)), unit);
            assert_eq!(opener.open_close(Binding::Frame, &payload), Ok(&data[..]));
            closes += 1;
        }
    }
    assert!(closes >= 8);
}

#[test]
fn every_prefix_of_a_frame_is_refused() {
    for (sequence, number, wire) in wires() {
        let ends = bits(wire.len()).map(|(byte, _)| byte);
        for end in ends {
            assert!(
                is_refused(&sequence, number, &wire[..end]),
                "{sequence} {number} {end}"
            );
        }
        assert!(!is_refused(&sequence, number, &wire));
    }
}

/// A prefix of the payload under a header that fits it: a truncation that the frame layer cannot see.
#[test]
fn every_prefix_of_a_payload_is_refused() {
    for (sequence, number, wire) in wires() {
        let frame = Frame::read(&wire, mask(&sequence).is_some()).unwrap();
        for (end, _) in bits(frame.payload.len()) {
            let shorter = Frame {
                b0: frame.b0,
                payload: frame.payload[..end].to_vec(),
            };
            let expected = if end < TAG_LENGTH {
                Failure::Missing
            } else {
                Failure::Mismatch
            };
            let mut opener = opener(&sequence);
            opener.set_sequence(number);
            assert_eq!(open_frame(&mut opener, &shorter), Err(expected));
        }
    }
}

#[test]
fn every_single_bit_change_of_a_frame_is_refused() {
    for (sequence, number, wire) in wires() {
        // An unkeyed hash covers the data alone: of the header, FIN, RSV and opcode are open.
        let first = usize::from(algorithm(&sequence) == Algorithm::Sha256);
        for (byte, bit) in bits(wire.len()).filter(|(byte, _)| *byte >= first) {
            let mut changed = wire.clone();
            changed[byte] ^= 1 << bit;
            assert!(
                is_refused(&sequence, number, &changed),
                "{sequence} {number} {byte} {bit}"
            );
        }
    }
}
