//! Random streams in random pieces, compared with the reference after every piece.
//!
//! A failure names its seed; `TIDEGATE_SEED=<seed> cargo test frame` plays that one again.

use super::*;
use crate::tests::Random;

const SEEDS: u64 = 1500;

fn rules(random: &mut Random) -> Rules {
    Rules {
        masked: random.one_in(2),
        reserved_bits: random.of(&[0, 0, 0x40, 0x50]),
        reserved_everywhere: random.one_in(4),
        frame_limit: random.of(&[40, 300, 70_000, u64::MAX]),
        message_limit: random.of(&[60, 500, 90_000, u64::MAX]),
        trailer: random.of(&[0, 0, 32]),
        sealed_close: random.one_in(4),
    }
}

/// A frame that is mostly what the rules ask for.
fn random_frame(random: &mut Random, rules: Rules, open: &mut bool) -> Vec<u8> {
    let control = random.one_in(3);
    let opcode = match (control, *open) {
        (true, _) => random.of(&[0x9, 0xa, 0x9, 0xa, 0x9, 0xa, 0x8]),
        (false, true) => 0,
        (false, false) => random.of(&[1, 2]),
    };
    let fin = control || random.one_in(2);
    if !control {
        *open = !fin;
    }
    let first = opcode
        | if fin { 0x80 } else { 0 }
        | if random.one_in(8) {
            rules.reserved_bits
        } else {
            0
        };
    let payload = payload(random, opcode);
    let key = rules
        .masked
        .then(|| [random.byte(), random.byte(), random.byte(), 7]);
    frame(first, key, &payload)
}

fn payload(random: &mut Random, opcode: u8) -> Vec<u8> {
    if opcode == 8 {
        let code = random.of(&[
            999_u16, 1000, 1001, 1004, 1006, 1011, 1014, 1015, 3000, 4999, 5000,
        ]);
        let text: &[u8] = random.of(&[b"", b"bye", "é".as_bytes(), b"\xc3", b"\xff\xff"]);
        let payload = [&code.to_be_bytes(), text].concat();
        let length = random.of(&[0, 1, payload.len(), payload.len(), payload.len()]);
        return payload[..length].to_vec();
    }
    let most = if opcode > 8 {
        126
    } else {
        random.of(&[3, 140, 140, 400])
    };
    let length = if random.one_in(60) {
        random.of(&[65_535, 65_536])
    } else {
        random.below(most)
    };
    random.bytes(length)
}

/// Makes a good frame a bad one, most of the time.
fn spoil(random: &mut Random, frame: &mut Vec<u8>) {
    let place = random.below(frame.len().min(14));
    match random.below(4) {
        0 => frame[place] ^= 1 << random.below(8),
        1 => frame[1] ^= 0x80,
        2 => frame[0] = random.byte(),
        _ => {
            let flag = frame[1] & 0x80;
            let code = random.of(&[126, 127]);
            let mut length = random.bytes(if code == 126 { 2 } else { 8 });
            let zeros = random.of(&[0, 0, 1, 6]).min(length.len());
            length[..zeros].fill(0);
            frame.splice(1..2, [flag | code].into_iter().chain(length));
        }
    }
}

fn stream(random: &mut Random, rules: Rules) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut open = false;
    for _ in 0..random.below(12) {
        let mut frame = random_frame(random, rules, &mut open);
        if random.one_in(10) {
            spoil(random, &mut frame);
        }
        stream.extend(frame);
    }
    if random.one_in(3) {
        let noise = random.below(20);
        stream.extend(random.bytes(noise));
    }
    if random.one_in(3) {
        stream.truncate(random.below(stream.len() + 1));
    }
    stream
}

fn as_control(frame: ControlFrame) -> reference::Control {
    let bytes = frame.encode(frame.mask()).as_slice().to_vec();
    (frame.opcode().to_u8(), frame.payload().to_vec(), bytes)
}

fn check_invariants(run: &Run, at: usize, stream: &[u8], rules: Rules, label: &str) {
    let expected = reference::read(rules, &stream[..at]);
    let mut outcome = run.outcome.clone();
    let control: Vec<_> = outcome.control.drain(..).map(as_control).collect();
    assert_eq!(control, expected.control, "{label}");
    assert_eq!(outcome, expected.outcome, "{label}");
    let passage = &run.passage;
    if passage.closed() || run.outcome.violation.is_some() {
        return;
    }
    let inside = |ranges: &[std::ops::Range<usize>]| ranges.iter().any(|range| range.contains(&at));
    assert_eq!(
        passage.at_boundary(),
        !inside(&expected.payloads),
        "{label}"
    );
    assert_eq!(
        passage.inside_message(),
        inside(&expected.messages),
        "{label}"
    );
    assert!(passage.at_boundary() || !passage.is_idle(), "{label}");
}

fn simulate(seed: u64) {
    let mut random = Random::new(seed);
    let rules = rules(&mut random);
    let stream = stream(&mut random, rules);
    let most = random.of(&[1, 5, 40, 1000, 100_000]);
    let most = if stream.len() > 2000 {
        most.max(1000)
    } else {
        most
    };
    let mut run = Run::new(rules);
    let mut at = 0;
    while at < stream.len() {
        let size = (1 + random.below(most)).min(stream.len() - at);
        run.feed(&stream[at..at + size]);
        at += size;
        check_invariants(
            &run,
            at,
            &stream,
            rules,
            &format!("seed {seed}, after {at} bytes"),
        );
    }
    assert_eq!(
        whole(rules, &stream),
        run.outcome,
        "seed {seed}: whole and in pieces"
    );
}

#[test]
fn random_streams_in_random_pieces_pass_as_the_reference_says() {
    match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => simulate(seed.parse().expect("TIDEGATE_SEED is a number")),
        Err(_) => (0..SEEDS).for_each(simulate),
    }
}

#[test]
fn simulation_meets_every_violation() {
    let mut unseen = Violation::ALL.to_vec();
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let rules = rules(&mut random);
        let stream = stream(&mut random, rules);
        let met = whole(rules, &stream).violation;
        unseen.retain(|violation| Some(*violation) != met);
    }
    assert_eq!(unseen, [], "the generator never makes these");
}
