//! The worked examples of the protocol, through what this client reads and writes with.

use crate::{
    client::{
        incoming::{DataFrame, Frame, Incoming},
        outgoing::Outgoing,
    },
    frame::Opcode,
    integrity::seal::{Opener, Sealer},
};
use bytes::BytesMut;
use serde_json::Value;
use sha2::{Digest, Sha256};

fn vectors() -> Value {
    let text = include_str!("../../../tests/vectors/frame-integrity.json");
    serde_json::from_str(text).unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    let pairs = (0..hex.len()).step_by(2);
    pairs
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn data(unit: &Value) -> Vec<u8> {
    match unit["data_len"].as_u64() {
        Some(length) if unit["data"].is_null() => (0..length)
            .map(|index| u8::try_from(index * 31 % 251).unwrap())
            .collect(),
        _ => bytes(&unit["data"]),
    }
}

/// The sequences of the frame binding in a direction, each with its traffic key.
fn sequences(direction: &str) -> Vec<(Value, Option<[u8; 32]>)> {
    let vectors = vectors();
    let rows = vectors["units"].as_array().unwrap().iter();
    let rows = rows.filter(|row| row["binding"] == "frame" && row["direction"] == direction);
    let key = |row: &Value| {
        let schedules = vectors["schedules"].as_array().unwrap();
        let schedule = schedules
            .iter()
            .find(|schedule| schedule["name"] == row["schedule"])?;
        bytes(&schedule[format!("k_{direction}")]).try_into().ok()
    };
    let found: Vec<_> = rows.map(|row| (row.clone(), key(row))).collect();
    assert!(found.iter().any(|(_, key)| key.is_some()));
    found
}

fn assert_wire(wire: &[u8], unit: &Value) {
    if unit["wire"].is_string() {
        return assert_eq!(wire, bytes(&unit["wire"]));
    }
    assert_eq!(wire.len() as u64, unit["wire_len"].as_u64().unwrap());
    assert_eq!(Sha256::digest(wire).as_slice(), bytes(&unit["wire_sha256"]));
}

fn outgoing(b0: u8, payload: &[u8]) -> Outgoing<'_> {
    Outgoing {
        opcode: Opcode::from_u8(b0 & 0x0f).unwrap(),
        last: b0 & 0x80 != 0,
        payload,
    }
}

#[test]
fn every_frame_to_the_server_is_written_as_its_wire() {
    for (sequence, key) in sequences("c2s") {
        let sealer = key.map(|key| Sealer::hmac_sha256(&key));
        let mut sealer = sealer.unwrap_or_else(Sealer::sha256);
        let mask = bytes(&sequence["mask"]).try_into().unwrap();
        for unit in sequence["frames"].as_array().unwrap() {
            let (b0, data) = (bytes(&unit["b0"])[0], data(unit));
            let mut wire = BytesMut::new();
            let frame = outgoing(b0, &data);
            frame.write(mask, Some(&mut sealer), &mut wire).unwrap();
            assert_wire(&wire, unit);
        }
    }
}

#[test]
fn every_frame_from_the_server_is_read_however_its_wire_is_split() {
    for (sequence, key) in sequences("s2c") {
        for piece in [1, 7, usize::MAX] {
            let opener = key.map(|key| Opener::hmac_sha256(&key));
            let opener = opener.unwrap_or_else(Opener::sha256);
            let mut incoming = Incoming::new(1 << 24, Some(opener));
            for unit in sequence["frames"].as_array().unwrap() {
                let (b0, data) = (bytes(&unit["b0"])[0], data(unit));
                let wire = wire(unit, key);
                let mut found = None;
                for bytes in wire.chunks(piece.min(wire.len())) {
                    assert_eq!(found, None);
                    incoming.push(bytes);
                    found = incoming.next().unwrap();
                }
                assert_eq!(found, Some(expected(b0, data)));
            }
        }
    }
}

fn expected(b0: u8, payload: Vec<u8>) -> Frame {
    match Opcode::from_u8(b0 & 0x0f).unwrap() {
        Opcode::Close => Frame::Close(payload),
        opcode => Frame::Data(DataFrame {
            opcode,
            last: b0 & 0x80 != 0,
            payload,
        }),
    }
}

/// The wire, which the file gives where it is short. Long ones, each the first of its sequence,
/// are made and compared.
fn wire(unit: &Value, key: Option<[u8; 32]>) -> Vec<u8> {
    if unit["wire"].is_string() {
        return bytes(&unit["wire"]);
    }
    let (b0, data) = (bytes(&unit["b0"])[0], data(unit));
    let mut tagger = key.map_or_else(Sealer::sha256, |key| Sealer::hmac_sha256(&key));
    let tag = tagger.seal(b0, &data).unwrap();
    let length = data.len() + tag.len();
    let header = match u16::try_from(length) {
        Ok(length) => [&[b0, 126][..], &length.to_be_bytes()].concat(),
        Err(_) => [&[b0, 127][..], &(length as u64).to_be_bytes()].concat(),
    };
    let wire = [&header[..], &data, &tag].concat();
    assert_wire(&wire, unit);
    wire
}
