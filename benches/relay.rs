//! The parts of which relaying consists: records, the conversation, and counting.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a failure here is a failure of the bench"
)]

#[path = "support/frames.rs"]
mod frames;
#[path = "support/peers.rs"]
mod peers;
#[path = "support/terms.rs"]
mod terms;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use frames::{MASK, frame};
use peers::Peers;
use prometheus::Registry;
use std::{
    hint::black_box,
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};
use terms::terms;
use tidegate::observe::Direction;
use tidegate::observe::Metrics;
use tidegate::observe::RouteNames;
use tidegate::observe::ServerReading;
use tidegate::socket::relay::Conversation;
use tidegate::socket::relay::Output;

const SIZES: [usize; 2] = [125, 16 << 10];

fn records(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("session");
    let mut spent = Duration::ZERO;
    let (mut session, mut client) = Peers::new(false).handshake(&mut spent);
    for size in SIZES {
        let payload = vec![0x5a; size];
        group.throughput(Throughput::Bytes(size as u64));
        let mut out = Vec::new();
        group.bench_function(BenchmarkId::new("encrypt", size), |bencher| {
            bencher.iter(|| {
                out.clear();
                session.encrypt(black_box(&payload), &mut out).unwrap();
            });
        });
        let (mut plain, mut reply) = (Vec::new(), Vec::new());
        group.bench_function(BenchmarkId::new("receive", size), |bencher| {
            bencher.iter_custom(|count| {
                let mut spent = Duration::ZERO;
                for _ in 0..count {
                    client.writer().write_all(&payload).unwrap();
                    let mut wire = Vec::new();
                    client.write_tls(&mut wire).unwrap();
                    plain.clear();
                    let started = Instant::now();
                    session.receive(&mut wire, &mut plain, &mut reply).unwrap();
                    spent += started.elapsed();
                    assert_eq!(plain.len(), size);
                }
                spent
            });
        });
    }
    group.finish();
}

fn conversation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conversation");
    for (count, size) in [(1, 125), (32, 125), (4, 16 << 10)] {
        let now = tokio::time::Instant::now();
        let mut conversation = Conversation::new(terms(), None, now);
        let stream = frame(Some(MASK), &vec![0x5a; size]).repeat(count);
        let mut out = Output::default();
        conversation.receive(Direction::ToBackend, &stream, &mut out, now);
        assert_eq!(*out.to_backend, stream);
        group.throughput(Throughput::Elements(count as u64));
        let name = BenchmarkId::from_parameter(format!("{count} of {size} bytes"));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut out = Output::default();
                conversation.receive(Direction::ToBackend, black_box(&stream), &mut out, now)
            });
        });
    }
    group.finish();
}

fn counting(criterion: &mut Criterion) {
    let metrics = metrics_of(10);
    let counts = metrics.naming().route(named("route-0")).worker(0);
    criterion.bench_function("metrics/count a message", |bencher| {
        bencher.iter(|| {
            counts.frames(Direction::ToBackend, 2, 1);
            counts.bytes(Direction::ToBackend, black_box(131));
        });
    });
}

/// The fold of what every worker has counted, and the text.
fn scraping(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("metrics/scrape");
    for routes in [1, 10, 10_000] {
        let metrics = metrics_of(routes);
        if routes > 10 {
            group.sample_size(10);
        }
        group.throughput(Throughput::Elements(routes as u64));
        let servers = [ServerReading {
            backend: "echo".into(),
            server: "ws://127.0.0.1:9001".into(),
            is_up: Some(true),
            open: 0,
        }];
        group.bench_function(BenchmarkId::from_parameter(routes), |bencher| {
            bencher.iter(|| metrics.text(&servers).unwrap().len());
        });
    }
    group.finish();
}

fn named(route: &str) -> RouteNames<'_> {
    RouteNames {
        route,
        backend: "echo",
    }
}

/// The metrics of so many routes, on each of which two workers have counted.
fn metrics_of(routes: usize) -> Metrics {
    let metrics = Metrics::register(&Registry::new(), &["public".to_owned()], Arc::default());
    let metrics = metrics.unwrap();
    let names: Vec<_> = (0..routes)
        .map(|number| format!("route-{number}"))
        .collect();
    let routes: Vec<_> = names.iter().map(|route| named(route)).collect();
    let mut naming = metrics.naming();
    naming.backend("echo");
    for route in routes {
        let metrics = naming.route(route);
        for worker in 0..2 {
            metrics.worker(worker).bytes(Direction::ToBackend, 131);
        }
    }
    drop(naming);
    metrics
}

criterion_group!(benches, records, conversation, counting, scraping);
criterion_main!(benches);
