//! What it costs to follow frames: the share of a message that the proxy adds to moving bytes.

#[path = "support/frames.rs"]
mod frames;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use frames::{MASK, frame};
use std::{hint::black_box, time::Duration};
use tidegate::frame::{Counts, Forward, Passage, Rules, Scanner, mask};

const LIMIT: u64 = 16 << 20;

/// Frames that one read brought, followed and no more.
fn scanner(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scanner");
    for (count, size) in [(1, 125), (32, 125), (4, 16 << 10)] {
        let stream = frame(Some(MASK), &vec![0x5a; size]).repeat(count);
        let mut scanner = Scanner::new(Rules::for_client(LIMIT, LIMIT));
        group.throughput(Throughput::Elements(count as u64));
        let name = BenchmarkId::from_parameter(format!("{count} of {size} bytes"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut rest = black_box(stream.as_slice());
                while let Ok((taken, Some(event))) = scanner.next(rest) {
                    black_box(event);
                    rest = rest.get(taken..).unwrap_or_default();
                }
                assert!(rest.is_empty() && scanner.at_boundary());
            });
        });
    }
    group.finish();
}

/// Frames that one read brought, passed on.
fn passage(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("passage");
    for (count, size) in [(1, 125), (32, 125), (4, 16 << 10), (1, 1 << 20)] {
        let stream = frame(Some(MASK), &vec![0x5a; size]).repeat(count);
        let mut passage = Passage::new(Rules::for_client(LIMIT, LIMIT));
        let mut counts = Counts::default();
        group.throughput(Throughput::Elements(count as u64));
        let name = BenchmarkId::from_parameter(format!("{count} of {size} bytes"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut out = Forward::default();
                let passed = passage.advance(black_box(&stream), &mut out, &mut counts);
                black_box(passed.is_ok() && !out.is_empty())
            });
        });
    }
    group.finish();
}

/// The same, each read ending in the middle of a header.
fn passage_of_split_headers(criterion: &mut Criterion) {
    let stream = frame(Some(MASK), &[0x5a; 125]);
    let (left, right) = stream.split_at(3);
    let mut passage = Passage::new(Rules::for_client(LIMIT, LIMIT));
    let mut counts = Counts::default();
    let mut space = Vec::with_capacity(stream.len());
    criterion.bench_function("passage/split header", |bencher| {
        bencher.iter(|| {
            for piece in [left, right] {
                space.clear();
                let mut out = Forward::with_space(std::mem::take(&mut space));
                let passed = passage.advance(black_box(piece), &mut out, &mut counts);
                assert!(black_box(passed.is_ok()));
                space = out.into_space();
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
            bencher.iter(|| mask::apply(black_box(MASK), 1, black_box(&mut payload)));
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
