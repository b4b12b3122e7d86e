//! What `fuzz/` does at length, in short: every target's checks on seeded mutations of good inputs.
//!
//! A failure names target and seed; `TIDEGATE_SEED=<seed> cargo test --test fuzz_seeds <target>`
//! plays that one again.
//!
//! With `TIDEGATE_FUZZ_CORPUS=fuzz/corpus` nothing is played: the good inputs are written there, for
//! `fuzz/` to begin with.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a panic is how a check fails, and clippy takes only functions marked so for tests"
)]

#[path = "../fuzz/bodies/certificate.rs"]
mod certificate;
#[path = "../fuzz/bodies/configuration.rs"]
mod configuration;
#[path = "../fuzz/bodies/conversation.rs"]
mod conversation;
#[path = "../fuzz/bodies/frame_scanner.rs"]
mod frame_scanner;
#[path = "../fuzz/bodies/integrity.rs"]
mod integrity;
#[path = "../fuzz/bodies/request.rs"]
mod request;

use rcgen::{CertificateParams, DnType, KeyPair, SanType};
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::Path,
};

const SEEDS: u64 = 3000;

/// A generator of numbers that look random (xorshift64*).
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[7]
    }
}

/// Changes a good input a little, up to eight times. `good` are inputs to take pieces from.
fn mutate(random: &mut Random, good: &[Vec<u8>]) -> Vec<u8> {
    let mut input = good[random.below(good.len())].clone();
    for _ in 0..random.below(9) {
        let at = random.below(input.len() + 1);
        let end = (at + random.below(12)).min(input.len());
        match random.below(6) {
            0 if at < input.len() => input[at] ^= 1 << random.below(8),
            1 if at < input.len() => input[at] = random.byte(),
            2 => drop(input.drain(at..end)),
            3 => input.truncate(at),
            4 => {
                let piece = input[at..end].to_vec();
                let place = random.below(input.len() + 1);
                input.splice(place..place, piece);
            }
            _ => {
                let other = &good[random.below(good.len())];
                let start = random.below(other.len() + 1);
                let piece = &other[start..(start + random.below(40)).min(other.len())];
                input.splice(at..end, piece.iter().copied());
            }
        }
    }
    input
}

fn play(target: &str, run: fn(&[u8]), good: &[Vec<u8>]) {
    if let Some(corpus) = std::env::var_os("TIDEGATE_FUZZ_CORPUS") {
        return write(&Path::new(&corpus).join(target), good);
    }
    let play_one = |seed| {
        let input = mutate(&mut Random::new(seed), good);
        let played = catch_unwind(AssertUnwindSafe(|| run(&input)));
        if let Err(panic) = played {
            println!("TIDEGATE_SEED={seed}: {}", input.escape_ascii());
            resume_unwind(panic);
        }
    };
    for input in good {
        run(input);
    }
    match std::env::var("TIDEGATE_SEED") {
        Ok(seed) => play_one(seed.parse().unwrap()),
        Err(_) => (0..SEEDS).for_each(play_one),
    }
}

fn write(folder: &Path, inputs: &[Vec<u8>]) {
    fs::create_dir_all(folder).unwrap();
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("good-{number}")), input).unwrap();
    }
}

#[test]
fn request_keeps_its_promises() {
    let rest = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let good = [
        format!("GET /chat?a=%20b HTTP/1.1\r\nHost: chat.example.com:8443\r\n{rest}\r\n"),
        format!(
            "GET / HTTP/1.1\r\nhost: [::1]\r\n{rest}X_Forwarded_For: a\r\nCookie: b\r\n\r\nbehind"
        ),
        format!(
            "GET http://a.test/ HTTP/1.1\r\nHost: a.test\r\n{rest}Origin: https://a.test\r\n\r\n"
        ),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n{rest}\r\nhello"),
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
    ];
    play("request", request::run, &good.map(String::into_bytes));
}

#[test]
fn configuration_keeps_its_promises() {
    let file = include_str!("../proxy.toml");
    // Also with every line that is only an example.
    let uncommented: Vec<&str> = file
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(setting) if setting.contains(" = ") || setting.starts_with('[') => setting,
            _ => line,
        })
        .collect();
    let uncommented = uncommented.join("\n");
    let odd = "[server]\nworkers = 0\n\"a\\u001bb\" = '\t'\n[[route]]\npath = \"/\u{202e}\"\n";
    let good = [file, &uncommented, odd, "", "[[listener]]"];
    play(
        "configuration",
        configuration::run,
        &good.map(|text| text.as_bytes().to_vec()),
    );
}

#[test]
fn certificate_keeps_its_promises() {
    let named = |name: &str, sans: Vec<SanType>| {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = sans;
        let key = KeyPair::generate().unwrap();
        params.self_signed(&key).unwrap().der().to_vec()
    };
    let uri = |text: &str| SanType::URI(text.try_into().unwrap());
    let dns = |text: &str| SanType::DnsName(text.try_into().unwrap());
    let good = [
        named(
            "Alice",
            vec![uri("spiffe://example.com/edge/1"), dns("a.test")],
        ),
        named("semi;colon, \"quoted\" = \r\n\0", vec![dns("*.b.test")]),
        named(&"ü".repeat(300), vec![uri("x:;,\"="), uri("y:%00")]),
        named("", vec![SanType::IpAddress([127, 0, 0, 1].into())]),
    ];
    play("certificate", certificate::run, &good);
}

#[test]
fn integrity_keeps_its_promises() {
    let nonce = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";
    let keyed = format!("frame-integrity; alg=hmac-sha-256; kid=s; cn={nonce}");
    let static_key =
        format!("frame-integrity; alg=hmac-sha-256; kid=\"x\"; cn={nonce}; epk={nonce}");
    let good = [
        (0, format!("{keyed}, frame-integrity; alg=sha-256")),
        (
            0,
            format!("permessage-deflate; client_max_window_bits\n{static_key}"),
        ),
        (
            0,
            format!("{keyed}; cb=tls-exporter\nframe-integrity~sha-256~~~~chat"),
        ),
        (
            0,
            format!("frame-integrity~hmac-sha-256~s~{nonce}~~chat, other~name"),
        ),
        (
            1,
            format!("frame-integrity; alg=hmac-sha-256; kid=s; sn={nonce}"),
        ),
        (
            1,
            format!("frame-integrity~hmac-sha-256~s~{nonce}~~chat\nframe-integrity~{nonce}"),
        ),
        (2, format!("data{nonce}")),
        (
            3,
            "\u{1}\u{5}payload of some bytes, ünïcode as well".to_owned(),
        ),
    ];
    let input = |(choice, text): (u8, String)| [&[choice], text.as_bytes()].concat();
    play("integrity", integrity::run, &good.map(input));
}

/// Good frames, masked (with zeros) or not.
fn frames(masked: bool) -> Vec<u8> {
    let plain: [(u8, &[u8]); 7] = [
        (0x81, b"Hello"),
        (0x01, b"in "),
        (0x89, b"ping"),
        (0x80, b"pieces"),
        (0x8a, b"the mark"),
        (0x82, &[7; 70]),
        (0x88, b"\x03\xe8bye"),
    ];
    let frame = |(first, payload): (u8, &[u8])| {
        let mask: &[u8] = if masked { &[0; 4] } else { &[] };
        let length = u8::try_from(payload.len()).unwrap() | if masked { 0x80 } else { 0 };
        [&[first, length], mask, payload].concat()
    };
    plain.into_iter().flat_map(frame).collect()
}

#[test]
fn frame_scanner_keeps_its_promises() {
    let good = [0, 1, 2, 7, 24, 25, 32, 65].map(|rules: u8| {
        let stream = frames(rules & 1 != 0);
        [&[rules, rules], stream.as_slice()].concat()
    });
    play("frame_scanner", frame_scanner::run, &good);
}

#[test]
fn conversation_keeps_its_promises() {
    // Both streams in pieces of different sizes, and something between them.
    let between: [&[u8]; 6] = [
        &[10, 200],
        &[12, 255],
        &[13, 0],
        &[14, 1],
        &[15, 0],
        &[15, 1],
    ];
    let good: Vec<Vec<u8>> = between
        .into_iter()
        .zip(0_u8..)
        .map(|(between, choice)| {
            let (client, backend) = (frames(true), frames(false));
            let size = 20 + usize::from(choice) * 9;
            let mut steps = vec![choice | if choice % 2 == 0 { 8 } else { 0 }];
            for (client, backend) in client.chunks(size).zip(backend.chunks(size)) {
                for (step, piece) in [(0, client), (5, backend)] {
                    steps.extend([step, u8::try_from(piece.len()).unwrap()]);
                    steps.extend(piece);
                }
                steps.extend([10, 100]);
            }
            let middle = 1 + (steps.len() - 1) / 2;
            [&steps[..middle], between, &steps[1..], between].concat()
        })
        .collect();
    play("conversation", conversation::run, &good);
}
