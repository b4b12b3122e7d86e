//! What one request costs before a backend is dialled: its head, and its route among 10 000.
//!
//! The aim is a lookup of less than a microsecond, whatever the number of routes.

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark may stop where its own input is wrong; criterion's macros document nothing"
)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;
use tidegate::policy::route::Host;
use tidegate::policy::route::HostPattern;
use tidegate::policy::route::PathPrefix;
use tidegate::policy::route::RouteTable;
use tidegate::request::Head;
use tidegate::request::HeadLimits;
use tidegate::request::HeadScanner;
use tidegate::request::forwarded_fields;

/// Hosts of the table; each has [`PATHS`].
const HOSTS: usize = 1_000;
/// Nested and neighbouring prefixes of every host: ten of them.
const PATHS: [&str; 10] = [
    "/",
    "/chat",
    "/chat/room",
    "/chat/room/private",
    "/api/v1/stream",
    "/api/v2/stream",
    "/notifications",
    "/presence",
    "/metrics/live",
    "/a",
];

const HEAD: &[u8] = b"GET /chat/room/42?since=1700000000 HTTP/1.1\r\n\
    Host: host500.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: */*\r\n\
    Accept-Language: en-GB,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Origin: https://host500.example.com\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Cookie: session=0123456789abcdef0123456789abcdef\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    Upgrade: websocket\r\n\r\n";

fn host_of(number: usize) -> Host {
    Host::from_authority(&format!("host{number}.example.com")).expect("a host")
}

fn pattern_of(number: usize) -> HostPattern {
    let wildcard = number.is_multiple_of(10);
    let text = if wildcard {
        format!("*.host{number}.example.com")
    } else {
        format!("host{number}.example.com")
    };
    text.parse().expect("a pattern")
}

fn routes() -> Vec<(Vec<HostPattern>, PathPrefix, usize)> {
    let each = (0..HOSTS).flat_map(|host| PATHS.iter().map(move |path| (host, *path)));
    each.enumerate()
        .map(|(index, (host, path))| (vec![pattern_of(host)], path.parse().expect("a path"), index))
        .collect()
}

fn lookup(criterion: &mut Criterion) {
    let table = RouteTable::build(routes()).expect("no duplicates");
    let mut group = criterion.benchmark_group("route lookup, 10 000 routes");
    let deep = "/a".repeat(2_000);
    for (name, host, target) in [
        ("exact host", host_of(501), "/chat/room/42?since=1700000000"),
        (
            "wildcard",
            Host::from_authority("x.host500.example.com").expect("a host"),
            "/chat/room/42",
        ),
        ("percent-encoded", host_of(501), "/%63hat/room/42"),
        ("2 000 segments", host_of(501), deep.as_str()),
        ("no such host", host_of(HOSTS), "/chat/room/42"),
    ] {
        group.bench_function(name, |bench| {
            bench.iter(|| table.lookup(black_box(&host), black_box(target)));
        });
    }
    group.finish();
}

fn build(criterion: &mut Criterion) {
    criterion.bench_function("route table of 10 000 built", |bench| {
        bench.iter_batched(
            routes,
            |routes| RouteTable::build(routes).expect("no duplicates"),
            BatchSize::LargeInput,
        );
    });
}

fn head(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request head of a browser");
    group.throughput(Throughput::Bytes(HEAD.len() as u64));
    group.bench_function("end found", |bench| {
        bench.iter(|| HeadScanner::new(HeadLimits::default()).find_end(black_box(HEAD)));
    });
    group.bench_function("parsed and judged", |bench| {
        bench.iter(|| Head::parse(black_box(HEAD), HeadLimits::default()).map(|head| head.is_ok()));
    });
    let (head, _) = Head::parse(HEAD, HeadLimits::default())
        .expect("whole")
        .expect("good");
    group.bench_function("fields chosen for the backend", |bench| {
        bench.iter(|| forwarded_fields(black_box(&head)).count());
    });
    group.finish();
}

criterion_group!(benches, lookup, build, head);
criterion_main!(benches);
