//! What a tag costs: sealing and verifying alone, and in the passage of frames through the proxy,
//! beside what both consist of, which is one SHA-256 pass and, from clients, one mask pass.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failure here is a failure of the bench"
)]

#[path = "support/frames.rs"]
mod frames;
#[path = "support/terms.rs"]
mod terms;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use frames::{MASK, frame};
use sha2::{Digest, Sha256};
use std::{
    hint::black_box,
    time::{Duration, Instant},
};
use terms::terms;
use tidegate::frame::Forward;
use tidegate::frame::mask;
use tidegate::integrity::Algorithm;
use tidegate::integrity::Mode;
use tidegate::integrity::Tag;
use tidegate::integrity::agreement::Agreement;
use tidegate::integrity::client::ClientOffer;
use tidegate::integrity::client::Credential;
use tidegate::integrity::keyring::Key;
use tidegate::integrity::keyring::KeyMaterial;
use tidegate::integrity::keyring::KeyState;
use tidegate::integrity::keyring::Keyring;
use tidegate::integrity::keyring::PrivateKey;
use tidegate::integrity::keyring::Secret;
use tidegate::integrity::keyring::Validity;
use tidegate::integrity::negotiate;
use tidegate::integrity::offer::Extensions;
use tidegate::integrity::seal::Opener;
use tidegate::integrity::seal::Sealer;
use tidegate::observe::Direction;
use tidegate::socket::relay::Conversation;
use tidegate::socket::relay::Output;
use zeroize::Zeroizing;

const KEY: [u8; 32] = [7; 32];
const BINARY: u8 = 0x82;
const SIZES: [(&str, usize); 3] = [("125 B", 125), ("16 KiB", 16 << 10), ("1 MiB", 1 << 20)];
/// What one read brings at most.
const READ: usize = 64 << 10;

fn units(criterion: &mut Criterion) {
    for (name, size) in SIZES {
        let data = vec![0x5a; size];
        let mut group = criterion.benchmark_group(format!("integrity/{name}"));
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function("sha2 pass", |bench| {
            bench.iter(|| Sha256::digest(black_box(&data)));
        });
        for (algorithm, mut sealer, mut opener) in [
            ("sha-256", Sealer::sha256(), Opener::sha256()),
            (
                "hmac-sha-256",
                Sealer::hmac_sha256(&KEY),
                Opener::hmac_sha256(&KEY),
            ),
        ] {
            group.bench_function(format!("seal {algorithm}"), |bench| {
                bench.iter(|| sealer.seal(BINARY, black_box(&data)));
            });
            // The verdict costs the same whether or not the tag matches: it is one comparison in
            // constant time, after the same pass.
            let tag = Tag::default();
            group.bench_function(format!("verify {algorithm}"), |bench| {
                bench.iter(|| opener.open(BINARY, black_box(&data), &tag));
            });
        }
        group.finish();
    }
}

/// A conversation as the relay drives it, and the client's end of what was agreed on.
struct Hop {
    conversation: Conversation,
    sealer: Option<Sealer>,
    /// Where copies go, as from the relay's pool.
    space: Vec<u8>,
    now: tokio::time::Instant,
}

impl Hop {
    fn new(algorithm: Option<Algorithm>) -> Self {
        let agreement = algorithm.map(agreement);
        let sealed = agreement.as_ref().map(|agreed| (agreed, Mode::Required));
        let now = tokio::time::Instant::now();
        Self {
            conversation: Conversation::new(terms(), sealed, now),
            sealer: agreement.as_ref().map(|agreed| agreed.client_ends().1),
            space: Vec::new(),
            now,
        }
    }

    /// Passes a frame in pieces as reads bring them; returns how long that took.
    fn pass(&mut self, direction: Direction, wire: &[u8]) -> Duration {
        let mut passed = 0;
        let started = Instant::now();
        for piece in black_box(wire).chunks(READ) {
            let mut out = Output::default();
            *out.of(direction) = Forward::with_space(std::mem::take(&mut self.space));
            self.conversation
                .receive(direction, piece, &mut out, self.now);
            let sent = std::mem::take(out.of(direction));
            passed += black_box(&*sent).len();
            self.space = sent.into_space();
            self.space.clear();
        }
        let spent = started.elapsed();
        // What is sealed is shorter on one side, by a tag.
        assert!(passed + 64 >= wire.len());
        spent
    }

    /// Passes frames of a client, each with the next tag.
    fn client_sends(&mut self, data: &[u8], count: u64) -> Duration {
        let mut spent = Duration::ZERO;
        for _ in 0..count {
            let tag = self.sealer.as_mut().map(|sealer| sealer.seal(BINARY, data));
            let tag = tag.map_or_else(Vec::new, |tag| tag.unwrap().to_vec());
            let wire = frame(Some(MASK), &[data, &tag].concat());
            spent += self.pass(Direction::ToBackend, &wire);
        }
        spent
    }

    fn backend_sends(&mut self, wire: &[u8], count: u64) -> Duration {
        (0..count)
            .map(|_| self.pass(Direction::ToClient, wire))
            .sum()
    }
}

fn passage(criterion: &mut Criterion) {
    let hops = [
        ("plain", None),
        ("sha-256", Some(Algorithm::Sha256)),
        ("hmac-sha-256", Some(Algorithm::HmacSha256)),
    ];
    for (name, size) in SIZES {
        let data = vec![0x5a; size];
        let mut group = criterion.benchmark_group(format!("passage/{name}"));
        group.throughput(Throughput::Bytes(size as u64));
        let mut copy = data.clone();
        group.bench_function("mask pass", |bench| {
            bench.iter(|| mask::apply(MASK, 0, black_box(&mut copy)));
        });
        for (label, algorithm) in hops {
            let mut hop = Hop::new(algorithm);
            group.bench_function(format!("from client {label}"), |bench| {
                bench.iter_custom(|count| hop.client_sends(&data, count));
            });
            let wire = frame(None, &data);
            group.bench_function(format!("from backend {label}"), |bench| {
                bench.iter_custom(|count| hop.backend_sends(&wire, count));
            });
        }
        group.finish();
    }
}

fn agreement(algorithm: Algorithm) -> Agreement {
    let kid: tidegate::integrity::keyring::Kid = "bench".parse().unwrap();
    let secret = || Secret::new(Zeroizing::new(KEY.to_vec())).unwrap();
    let offer = match algorithm {
        Algorithm::Sha256 => ClientOffer::sha256(),
        Algorithm::HmacSha256 => {
            let credential = Credential::Secret(kid.clone(), secret());
            let ephemeral = PrivateKey::new(Zeroizing::new(KEY));
            ClientOffer::hmac_sha256(&credential, &KEY, &ephemeral, false).unwrap()
        }
    };
    let keyring = Keyring::new([Key {
        kid,
        material: KeyMaterial::Secret(secret()),
        state: KeyState::Active,
        validity: Validity::default(),
    }]);
    let terms = negotiate::Terms {
        mode: Mode::Required,
        algorithms: &Algorithm::ALL,
        keyring: &keyring.unwrap(),
        now: 0,
        server_nonce: KEY,
        exporter: &|| None,
    };
    let offered = offer.extension();
    let agreed = terms.choose_frame(&Extensions::parse([offered.as_bytes()]));
    agreed.unwrap()
}

criterion_group!(benches, units, passage);
criterion_main!(benches);
