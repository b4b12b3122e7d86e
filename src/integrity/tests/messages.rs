//! The message binding: every worked example, its prefixes, and its single-bit changes.

use super::super::{Binding, Failure, seal_message::MessageKind};
use super::*;

fn kind(b0: u8) -> Option<MessageKind> {
    [MessageKind::Text, MessageKind::Binary]
        .into_iter()
        .find(|kind| kind.b0() == b0)
}

fn seal(sealer: &mut Sealer, b0: u8, data: &[u8]) -> Vec<u8> {
    let Some(kind) = kind(b0) else {
        let (code, reason) = data.split_first_chunk().unwrap();
        let reason = std::str::from_utf8(reason).unwrap();
        let code = Some(u16::from_be_bytes(*code));
        return sealer.seal_close(Binding::Message, code, reason).unwrap();
    };
    let mut payload = Vec::new();
    sealer.seal_message(kind, data, &mut payload).unwrap();
    payload
}

fn open<'a>(opener: &mut Opener, b0: u8, payload: &'a [u8]) -> Result<&'a [u8], Failure> {
    match kind(b0) {
        Some(kind) => opener
            .open_message(kind, payload)
            .map(|length| &payload[..length]),
        None => opener.open_close(Binding::Message, payload),
    }
}

/// Every message of the examples, with its sequence, its number in it, and its first byte.
fn payloads() -> impl Iterator<Item = (Value, u64, u8, Vec<u8>)> {
    sequences("message").into_iter().flat_map(|sequence| {
        let units = rows(&sequence, "messages").to_vec();
        (0..).zip(units).map(move |(number, unit)| {
            (
                sequence.clone(),
                number,
                b0(&unit),
                bytes(text(&unit, "payload")),
            )
        })
    })
}

fn verdict(sequence: &Value, number: u64, b0: u8, payload: &[u8]) -> Result<(), Failure> {
    let mut opener = opener(sequence);
    opener.set_sequence(number);
    open(&mut opener, b0, payload).map(|_| ())
}

#[test]
fn every_message_seals_to_its_payload() {
    for sequence in sequences("message") {
        let mut sealer = sealer(&sequence);
        for (number, unit) in (0..).zip(rows(&sequence, "messages")) {
            assert_eq!(unit["seq"].as_u64().unwrap_or(number), sealer.sequence());
            let payload = seal(&mut sealer, b0(unit), &data(unit));
            assert_eq!(payload, bytes(text(unit, "payload")));
        }
    }
}

#[test]
fn every_payload_opens_to_its_data() {
    for sequence in sequences("message") {
        let mut opener = opener(&sequence);
        for unit in rows(&sequence, "messages") {
            let payload = bytes(text(unit, "payload"));
            assert_eq!(open(&mut opener, b0(unit), &payload), Ok(&data(unit)[..]));
        }
    }
}

#[test]
fn every_prefix_of_a_message_is_refused() {
    for (sequence, number, b0, payload) in payloads() {
        let shortest = match b0 {
            0x81 => 43,
            0x82 => 32,
            _ => 45,
        };
        for end in 0..payload.len() {
            let expected = if end < shortest {
                Failure::Missing
            } else {
                Failure::Mismatch
            };
            assert_eq!(
                verdict(&sequence, number, b0, &payload[..end]),
                Err(expected)
            );
        }
    }
}

#[test]
fn every_single_bit_change_of_a_message_is_refused() {
    for (sequence, number, b0, payload) in payloads() {
        for (byte, bit) in bits(payload.len()) {
            let mut changed = payload.clone();
            changed[byte] ^= 1 << bit;
            let found = verdict(&sequence, number, b0, &changed);
            assert_eq!(
                found,
                Err(Failure::Mismatch),
                "{sequence} {number} {byte} {bit}"
            );
        }
    }
}

#[test]
fn a_message_taken_for_the_other_kind_is_refused_under_hmac() {
    let data = b"text or bytes";
    let key = [7; 32];
    let tag = Sealer::hmac_sha256(&key)
        .seal(MessageKind::Text.b0(), data)
        .unwrap();
    for (kind, expected) in [
        (MessageKind::Text, Ok(data.len())),
        (MessageKind::Binary, Err(Failure::Mismatch)),
    ] {
        let mut payload = data.to_vec();
        kind.append_tag(&tag, &mut payload);
        assert_eq!(
            Opener::hmac_sha256(&key).open_message(kind, &payload),
            expected
        );
    }
}

#[test]
fn a_text_tag_that_is_no_base64url_counts_as_a_unit() {
    let mut opener = Opener::hmac_sha256(&[7; 32]);
    assert_eq!(
        opener.open_message(MessageKind::Text, &[b'='; 50]),
        Err(Failure::Mismatch)
    );
    assert_eq!(opener.sequence(), 1);
    assert_eq!(
        opener.open_message(MessageKind::Text, &[b'A'; 42]),
        Err(Failure::Missing)
    );
    assert_eq!(opener.sequence(), 1);
}
