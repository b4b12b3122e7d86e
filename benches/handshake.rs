//! What a TLS handshake costs the server: its session's share alone, without sockets.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failure here is a failure of the bench"
)]

#[path = "support/peers.rs"]
mod peers;

use criterion::{Criterion, criterion_group, criterion_main};
use peers::Peers;
use std::time::Duration;

fn handshakes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("handshake");
    for (name, resume) in [("full", false), ("resumed", true)] {
        let peers = Peers::new(resume);
        let mut spent = Duration::ZERO;
        peers.handshake(&mut spent);
        assert_eq!(peers.handshake(&mut spent).0.is_resumed(), resume);
        group.bench_function(name, |bencher| {
            bencher.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                for _ in 0..count {
                    peers.handshake(&mut spent);
                }
                spent
            });
        });
    }
    group.finish();
}

criterion_group!(benches, handshakes);
criterion_main!(benches);
