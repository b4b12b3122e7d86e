//! Every worked example of the protocol, through the channels, at every split.

use super::*;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// One sequence of units, as it is on both sides of a channel.
struct Example {
    title: String,
    channel: fn(&Value) -> Run,
    row: Value,
    /// What goes in.
    input: Vec<u8>,
    /// What has to come out, the Close included.
    output: Vec<u8>,
    /// Where splits may be told apart.
    boundaries: Vec<usize>,
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .map(|digit| u8::try_from(digit.to_digit(16).unwrap()).unwrap())
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair[0] * 16 + pair[1])
        .collect()
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().unwrap()
}

fn vectors() -> &'static Value {
    static VECTORS: LazyLock<Value> = LazyLock::new(|| {
        let text = include_str!("../../../../../tests/vectors/frame-integrity.json");
        serde_json::from_str(text).unwrap()
    });
    &VECTORS
}

fn key(row: &Value) -> Option<[u8; 32]> {
    let name = row["schedule"].as_str()?;
    let mut schedules = vectors()["schedules"].as_array().unwrap().iter();
    let schedule = schedules.find(|schedule| schedule["name"] == name).unwrap();
    let key = text(schedule, &format!("k_{}", text(row, "direction")));
    Some(bytes(key).try_into().unwrap())
}

fn binding(row: &Value) -> Binding {
    match text(row, "binding") {
        "frame" => Binding::Frame,
        _ => Binding::Message,
    }
}

fn opened(row: &Value) -> Run {
    let opener = key(row).map_or_else(Opener::sha256, |key| Opener::hmac_sha256(&key));
    let (rules, opening) = (client_rules(LIMIT), Opening::new(opener, false));
    Run::through(match binding(row) {
        Binding::Frame => Channel::OpenFrames(Box::new(OpenFrames::new(rules, opening))),
        Binding::Message => Channel::OpenMessages(Box::new(OpenMessages::new(rules, opening))),
    })
}

fn sealing(row: &Value) -> Run {
    let sealer = key(row).map_or_else(Sealer::sha256, |key| Sealer::hmac_sha256(&key));
    let rules = Rules::for_server(LIMIT, LIMIT);
    Run::through(Channel::Seal(Box::new(Seal::new(
        binding(row),
        rules,
        sealer,
    ))))
}

fn data(unit: &Value) -> Vec<u8> {
    match unit["data"].as_str() {
        Some(hex) => bytes(hex),
        None => (0..unit["data_len"].as_u64().unwrap())
            .map(|index| u8::try_from(index * 31 % 251).unwrap())
            .collect(),
    }
}

/// The frame on the wire: as given, or put together and then compared with its hash.
fn wire(unit: &Value, b0: u8, mask: Option<[u8; 4]>) -> Vec<u8> {
    if let Some(payload) = unit["payload"].as_str() {
        return frame(b0, mask, &bytes(payload));
    }
    if let Some(hex) = unit["wire"].as_str() {
        return bytes(hex);
    }
    let payload = [data(unit), bytes(text(unit, "tag"))].concat();
    let wire = frame(b0, mask, &payload);
    let hash: [u8; 32] = bytes(text(unit, "wire_sha256")).try_into().unwrap();
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&wire)), hash);
    wire
}

fn example(row: &Value) -> Example {
    let to_server = text(row, "direction") == "c2s";
    let given = row["mask"].as_str().map(|hex| bytes(hex).try_into());
    let mask = to_server.then(|| given.map_or(MASK, Result::unwrap));
    let (mut plain, mut sealed, mut boundaries) = (Vec::new(), Vec::new(), Vec::new());
    let units = row["frames"].as_array().or(row["messages"].as_array());
    for unit in units.unwrap() {
        let b0 = bytes(text(unit, "b0"))[0];
        plain.extend(frame(b0, mask, &data(unit)));
        sealed.extend(wire(unit, b0, mask));
        boundaries.push(if to_server { sealed.len() } else { plain.len() });
    }
    let (input, output) = if to_server {
        (sealed, plain)
    } else {
        (plain, sealed)
    };
    Example {
        title: format!("{} {}", text(row, "direction"), text(row, "title")),
        channel: if to_server { opened } else { sealing },
        row: row.clone(),
        input,
        output,
        boundaries,
    }
}

impl Example {
    /// What comes out if the input comes in these pieces.
    fn run<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
        let mut run = (self.channel)(&self.row);
        for piece in pieces {
            run.pass(piece).unwrap_or_else(|fault| {
                panic!("{}: {fault:?}", self.title);
            });
        }
        let mut out = run.taken();
        for close in run.controls {
            let opened = run.channel.open_close(&close).unwrap();
            let sealed = run.channel.seal_close(&opened);
            out.extend_from_slice(sealed.encode(close.mask()).as_slice());
        }
        out
    }

    /// Every byte of a short input; of a long one, its header and its tag.
    fn splits(&self) -> Vec<usize> {
        let near = |at: &usize| {
            let after = |boundary: &usize| boundary.saturating_sub(*at);
            let near_tag = |left| matches!(left, 0..3 | 31..34);
            self.input.len() < 1000 || *at < 20 || self.boundaries.iter().map(after).any(near_tag)
        };
        (0..=self.input.len()).filter(near).collect()
    }
}

fn examples() -> Vec<Example> {
    let rows = vectors()["units"].as_array().unwrap();
    assert_eq!(rows.len(), 48);
    rows.iter().map(example).collect()
}

#[test]
fn every_example_comes_out_as_its_counterpart_at_every_split() {
    for example in examples() {
        for split in example.splits() {
            let (left, right) = example.input.split_at(split);
            let out = example.run([left, right].into_iter());
            assert!(out == example.output, "{} at {split}", example.title);
        }
    }
}

#[test]
fn every_example_comes_out_as_its_counterpart_byte_by_byte() {
    for example in examples() {
        let out = example.run(example.input.chunks(1));
        assert!(out == example.output, "{}", example.title);
    }
}

#[test]
fn a_changed_bit_delivers_nothing_of_its_unit_where_there_is_a_key() {
    let keyed = examples().into_iter().filter(|example| {
        let to_server = example.title.starts_with("c2s");
        to_server && example.input.len() < 1000 && key(&example.row).is_some()
    });
    for example in keyed {
        for at in 0..example.input.len() {
            for bit in 0..8 {
                let mut input = example.input.clone();
                input[at] ^= 1 << bit;
                let mut run = (example.channel)(&example.row);
                let refused = run.pass(&input).is_err();
                let out = run.taken();
                assert!(example.output.starts_with(&out), "{}", example.title);
                // A changed length may leave a frame unfinished; a changed Close is refused when
                // it is opened.
                let closed = run.controls.pop();
                let opened = closed.map(|close| run.channel.open_close(&close));
                let accepted = !refused && opened.is_none_or(|close| close.is_ok());
                assert!(
                    !accepted || out.len() < example.output.len(),
                    "{}: byte {at} bit {bit}",
                    example.title
                );
            }
        }
    }
}
