//! Whether the time of a verdict on a tag tells anything about the tag, by dudect
//! (Reparaz, Balasch, Verbauwhede: "Dude, is my code constant time?", 2017).
//!
//! ```sh
//! cargo run --release --manifest-path benches/constant-time/Cargo.toml
//! ```
//!
//! Welch's t-test over verdicts on two kinds of tags, in random order: |t| above 5 speaks of a
//! leak, and stays there with more samples. On a busy machine single values mean little.

use std::cell::RefCell;

use dudect_bencher::{BenchRng, Class, CtRunner, ctbench_main, rand::RngExt};
use tidegate::integrity::{
    Tag,
    seal::{Opener, Sealer},
};

const KEY: [u8; 32] = [7; 32];
const BINARY: u8 = 0x82;
const SAMPLES: usize = 100_000;

/// The tag that matches, against one whose first byte is another.
fn hmac_first_byte(runner: &mut CtRunner, random: &mut BenchRng) {
    compare(runner, random, hmac, |tag, _| tag[0] ^= 1);
}

/// The tag that matches, against one whose last byte is another.
fn hmac_last_byte(runner: &mut CtRunner, random: &mut BenchRng) {
    compare(runner, random, hmac, |tag, _| tag[31] ^= 1);
}

/// The tag that matches, against any.
fn hmac_any(runner: &mut CtRunner, random: &mut BenchRng) {
    compare(runner, random, hmac, |tag, random| random.fill(tag));
}

/// The same without a key.
fn sha256_any(runner: &mut CtRunner, random: &mut BenchRng) {
    let ends = || (Sealer::sha256(), Opener::sha256());
    compare(runner, random, ends, |tag, random| random.fill(tag));
}

fn hmac() -> (Sealer, Opener) {
    (Sealer::hmac_sha256(&KEY), Opener::hmac_sha256(&KEY))
}

/// Times verdicts on one frame of random data each, with its tag (left) or a changed one (right).
fn compare(
    runner: &mut CtRunner,
    random: &mut BenchRng,
    ends: impl Fn() -> (Sealer, Opener),
    change: impl Fn(&mut Tag, &mut BenchRng),
) {
    let mut frames = Vec::with_capacity(SAMPLES);
    for _ in 0..SAMPLES {
        let mut data = [0; 125];
        random.fill(&mut data[..]);
        let (mut sealer, opener) = ends();
        let mut tag = sealer.seal(BINARY, &data).expect("the first frame");
        let mut other = tag;
        change(&mut other, random);
        // Both are made for both kinds, lest the making show in the caches.
        let class = if random.random() {
            Class::Left
        } else {
            Class::Right
        };
        if matches!(class, Class::Right) {
            tag = other;
        }
        frames.push((class, opener, data, tag));
    }
    for (class, opener, data, tag) in frames {
        let opener = RefCell::new(opener);
        runner.run_one(class, || opener.borrow_mut().open(BINARY, &data, &tag));
    }
}

ctbench_main!(hmac_first_byte, hmac_last_byte, hmac_any, sha256_any);
