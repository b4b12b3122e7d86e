//! What it costs to follow frames: the share of a message that the proxy adds to moving octets.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tidegate::frame::{Counts, Header, Opcode, Passage, Rules, Scanner, mask};

const LIMIT: u64 = 16 << 20;
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// `count` masked binary frames of `size` octets of payload each.
fn frames(count: usize, size: usize) -> Vec<u8> {
    let header = Header {
        fin: true,
        reserved: 0,
        opcode: Opcode::Binary,
        mask: Some(KEY),
        length: size as u64,
    };
    [header.encode().as_slice(), &vec![0x5a; size]]
        .concat()
        .repeat(count)
}

/// Frames that one read brought, followed and no more.
fn scanner(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scanner");
    for (count, size) in [(1, 125), (32, 125), (4, 16 << 10)] {
        let stream = frames(count, size);
        let mut scanner = Scanner::new(Rules::for_client(LIMIT, LIMIT));
        group.throughput(Throughput::Elements(count as u64));
        let name = BenchmarkId::from_parameter(format!("{count} of {size} octets"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(stream.as_slice());
                while let Ok((taken, Some(event))) = scanner.next(rest) {
                    black_box(event);
                    rest = rest.get(taken..).unwrap_or_default();
                }
                assert!(rest.is_empty() && scanner.at_border());
            });
        });
    }
    group.finish();
}

/// Frames that one read brought, passed on.
fn passage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("passage");
    for (count, size) in [(1, 125), (32, 125), (4, 16 << 10), (1, 1 << 20)] {
        let stream = frames(count, size);
        let mut passage = Passage::new(Rules::for_client(LIMIT, LIMIT));
        let mut counts = Counts::default();
        let mut out = Vec::with_capacity(stream.len());
        group.throughput(Throughput::Elements(count as u64));
        let name = BenchmarkId::from_parameter(format!("{count} of {size} octets"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                out.clear();
                let passed = passage.advance(black_box(&stream), &mut out, &mut counts);
                black_box(passed.is_ok() && !out.is_empty())
            });
        });
    }
    group.finish();
}

/// The same, each read ending in the middle of a header.
fn passage_of_split_headers(criterion: &mut Criterion) {
    let stream = frames(1, 125);
    let (left, right) = stream.split_at(3);
    let mut passage = Passage::new(Rules::for_client(LIMIT, LIMIT));
    let mut counts = Counts::default();
    let mut out = Vec::with_capacity(stream.len());
    criterion.bench_function("passage/split header", |bencher| {
        bencher.iter(|| {
            out.clear();
            for piece in [left, right] {
                let passed = passage.advance(black_box(piece), &mut out, &mut counts);
                assert!(black_box(passed.is_ok()));
            }
        });
    });
}

fn masking(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("mask");
    for size in [125, 16 << 10] {
        let mut payload = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(BenchmarkId::from_parameter(size), |bencher| {
            bencher.iter(|| mask::apply(black_box(KEY), 1, black_box(&mut payload)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3));
    targets = scanner, passage, passage_of_split_headers, masking
}
criterion_main!(benches);
