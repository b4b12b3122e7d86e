//! What hostile clients make the proxy spend, beside what honest ones do with as many bytes.
//!
//! Told in processor time of the proxy's process, as a ratio: how fast the machine is has no part
//! in it. The bounds leave room for a build without optimisation and for what else the machine
//! does; a cost that grows with the square of the bytes is beyond every one of them.

use crate::support::{
    Backend, Config, Dial, Process, Upgrade,
    backend::Served,
    frame,
    hand_made::{HANDSHAKE, header, plain},
    request::switching,
    sealed::keyring,
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use std::{fs, time::Duration};
use tidegate::{cli::certs::Issued, frame::Opcode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Bytes of frames in each case.
const BYTES: usize = 1 << 20;
/// Bytes of each request: just below the limit.
const HEAD: usize = 31 * 1024;

/// Processor time that a process has used since then.
fn spent_since(before: Duration, process: &Process) -> Duration {
    spent(process).saturating_sub(before)
}

/// Processor time that a process has used.
fn spent(process: &Process) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", process.id())).unwrap();
    let of = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path.join("schedstat")).unwrap();
        let nanoseconds = text.split(' ').next().unwrap();
        Duration::from_nanos(nanoseconds.parse().unwrap())
    };
    tasks.map(|task| of(task.unwrap().path())).sum()
}

/// A backend that agrees on compression, takes all frames, and answers the Close behind them.
async fn swallowing() -> Backend {
    Backend::script(|mut served: Served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let extension = "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
        let answer = switching(&head.accept()) + extension;
        served.wire.send(answer.as_bytes()).await;
        let close = frame::close(1000, "");
        while !served.wire.pending().ends_with(&close) {
            if served.wire.read_more().await.unwrap_or(0) == 0 {
                return;
            }
        }
        let answer = frame::plain(Opcode::Close, &frame::close_payload(1000, ""));
        let _ = served.wire.try_send(&answer).await;
        served.wire.read_to_end().await;
    })
    .await
}

/// As many whole frames as fit in [`BYTES`], sent in pieces, and a Close.
async fn cost_of_frames(
    process: &Process,
    dial: &Dial,
    cycle: &[Vec<u8>],
    piece: usize,
) -> Duration {
    let mut socket = dial.connect().await;
    let request = Upgrade::to("/").add("Sec-WebSocket-Extensions", "permessage-deflate");
    socket.send(&request.bytes()).await;
    assert_eq!(socket.read_head().await.status(), 101);
    let bytes = if piece > 1000 { BYTES } else { BYTES / 16 };
    let round = cycle.concat();
    let mut frames = round.repeat(bytes / round.len());
    frames.extend(frame::close(1000, ""));
    let before = spent(process);
    for piece in frames.chunks(piece) {
        socket.send(piece).await;
    }
    assert_eq!(socket.read_frame().await.close_code(), Some(1000));
    socket.read_to_end().await;
    spent_since(before, process) * u32::try_from(BYTES / bytes).unwrap()
}

/// The same for one frame.
async fn cost_of_a_frame(process: &Process, dial: &Dial, cycle: &[Vec<u8>]) -> Duration {
    let frames = BYTES * cycle.len() / cycle.concat().len();
    let cost = cost_of_frames(process, dial, cycle, BYTES).await;
    cost / u32::try_from(frames).unwrap()
}

fn fragments(payload: &[u8]) -> Vec<Vec<u8>> {
    let fragment = |fin, opcode, payload| frame::build(fin, 0, opcode, Some(frame::MASK), payload);
    let start = fragment(false, Opcode::Text, b"");
    let middle = fragment(false, Opcode::Continuation, payload);
    let end = fragment(true, Opcode::Continuation, b"");
    [vec![start], vec![middle; 1000], vec![end]].concat()
}

fn hostile_frames() -> Vec<(&'static str, Vec<Vec<u8>>)> {
    let control = |opcode, payload: &[u8]| vec![frame::masked(opcode, payload)];
    let deflated = frame::build(true, 0x40, Opcode::Binary, Some(frame::MASK), &[0; 20]);
    vec![
        ("empty messages", vec![frame::text("")]),
        ("messages of one byte", vec![frame::text("x")]),
        ("empty fragments", fragments(b"")),
        ("fragments of one byte", fragments(b"x")),
        ("zeros that say they are compressed", vec![deflated]),
        ("empty pings", control(Opcode::Ping, b"")),
        ("pings of one byte", control(Opcode::Ping, b"x")),
        ("large pings", control(Opcode::Ping, &[7; 125])),
        ("pongs that nobody asked for", control(Opcode::Pong, b"")),
    ]
}

#[tokio::test]
async fn no_frame_of_a_flood_costs_much_more_than_an_honest_one() {
    let backend = swallowing().await;
    let config = Config::to(&backend).set("limits", "message = '2MiB'");
    let process = Process::start(&config);
    let dial = process.dial().await;
    let honest = [frame::binary(&[7; 20])];
    cost_of_a_frame(&process, &dial, &honest).await;
    let base = cost_of_a_frame(&process, &dial, &honest).await;
    for (name, cycle) in hostile_frames() {
        let cost = cost_of_a_frame(&process, &dial, &cycle).await;
        let ratio = cost.div_duration_f64(base);
        println!("{name}: {ratio:.1} times");
        assert!(
            ratio < 100.0,
            "{name}: {ratio:.1} times the cost of an honest frame"
        );
    }
}

#[tokio::test]
async fn record_of_one_byte_costs_no_more_than_a_larger_one() {
    let backend = swallowing().await;
    let process = Process::start(&Config::to(&backend));
    let dial = process.dial().await;
    let honest = [frame::binary(&[7; 1000])];
    cost_of_frames(&process, &dial, &honest, 100).await;
    let base = cost_of_frames(&process, &dial, &honest, 100).await;
    let cost = cost_of_frames(&process, &dial, &honest, 1).await / 100;
    let ratio = cost.div_duration_f64(base);
    println!("records of one byte: {ratio:.1} times");
    assert!(
        ratio < 5.0,
        "{ratio:.1} times the cost of records of 100 bytes"
    );
}

/// A first handshake message that never ends, the last bytes of it one by one.
async fn cost_of_dribble(process: &Process, dial: &Dial, gathered: usize) -> Duration {
    let mut tcp = TcpStream::connect(dial.remote()).await.unwrap();
    tcp.set_nodelay(true).unwrap();
    let start = [1, 0, 0xff, 0xff];
    let gathered = [&start[..], &vec![0; gathered]].concat();
    for part in gathered.chunks(1 << 14) {
        tcp.write_all(&plain(HANDSHAKE, part)).await.unwrap();
    }
    tcp.write_all(&header(HANDSHAKE, 2001)).await.unwrap();
    let before = spent(process);
    for byte in [0; 2000] {
        tcp.write_all(&[byte]).await.unwrap();
    }
    tcp.shutdown().await.unwrap();
    tcp.read_to_end(&mut Vec::new()).await.unwrap();
    spent_since(before, process)
}

#[tokio::test]
async fn bytes_behind_a_long_message_cost_little_more_than_those_behind_a_short_one() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let dial = process.dial().await;
    cost_of_dribble(&process, &dial, 0).await;
    let base = cost_of_dribble(&process, &dial, 0).await;
    let cost = cost_of_dribble(&process, &dial, 60_000).await;
    let ratio = cost.div_duration_f64(base);
    println!("behind 60 000 bytes: {ratio:.1} times");
    assert!(ratio < 20.0, "{ratio:.1}");
}

/// What a request costs, from accept to its answer: the cheapest of some.
async fn cost_of_request(process: &Process, dial: &Dial, request: &[u8]) -> (Duration, u16) {
    let mut costs = Vec::new();
    let mut status = 0;
    for _ in 0..6 {
        let before = spent(process);
        let mut wire = dial.connect().await;
        wire.send(request).await;
        status = wire.read_head().await.status();
        if status == 101 {
            wire.send(&frame::close(1000, "")).await;
        }
        wire.read_to_end().await;
        wire.finish().await;
        costs.push(spent_since(before, process));
    }
    (costs.into_iter().min().unwrap(), status)
}

/// One field that repeats something up to the size of a head.
fn long(name: &str, start: &str, part: &str) -> Upgrade {
    let room = HEAD - start.len();
    let value = format!("{start}{}", part.repeat(room / part.len()));
    Upgrade::to("/").with(name, value.trim_end_matches([',', ' ']))
}

/// As many fields as a head may have, with names and values that depend on their number.
fn many(field: impl Fn(usize) -> (String, String)) -> Upgrade {
    (0..90).fold(Upgrade::to("/"), |request, number| {
        let (name, value) = field(number);
        request.add(&name, &value)
    })
}

/// Allowed by the route, so that it is looked at to its end.
const ORIGIN: &str = "https://good.test";

fn hostile_requests() -> Vec<(&'static str, Upgrade)> {
    let path = |part: &str| Upgrade::to(&format!("/{}", part.repeat(HEAD / part.len())));
    let names: Vec<_> = (0..99).map(|number| format!("x-{number:03}")).collect();
    let all_names = names.join(",");
    vec![
        ("segments", path("a/")),
        ("empty segments", path("/")),
        ("dots", path("a/../")),
        ("percent-encodings", path("%41")),
        ("percent-encoded separators", path("%2f")),
        ("backslashes", path("\\")),
        ("parameters of segments", path(";a/")),
        ("parameters and dots", path("..;/x/")),
        (
            "all that is read in two ways",
            path("%2f\\%5c;%3b/../%2e%2e//"),
        ),
        ("the same, as long as may be", {
            let part = "/%2f\\%5c;%3b/../%2e%2e";
            Upgrade::to(&part.repeat(800 / part.len()))
        }),
        ("broken percent-encodings", path("%4")),
        ("query", path("?a=%41&")),
        ("host of labels", long("Host", "", "a.")),
        ("host of colons", long("Host", "[", ":")),
        ("origin", long("Origin", "https://", "a.")),
        ("cookie", long("Cookie", "", "a=b; ")),
        ("upgrades", long("Upgrade", "websocket", ",websocket")),
        ("connections", long("Connection", "Upgrade", ",x")),
        ("empty connections", long("Connection", "Upgrade", ",")),
        (
            "fields that Connection names",
            many(|number| match number {
                0 => ("Connection".to_owned(), all_names.clone()),
                _ => (format!("x-{number:03}"), "y".repeat(300)),
            }),
        ),
        (
            "names like the proxy's own",
            many(|number| (format!("x-forwarded-fo{}", number % 10), "y".repeat(300))),
        ),
        (
            "the proxy's own names",
            many(|_| ("X_Forwarded-For".to_owned(), "y".repeat(300))),
        ),
        ("subprotocols", long("Sec-WebSocket-Protocol", "a", ",b")),
        ("extensions", long("Sec-WebSocket-Extensions", "a", ",b")),
        ("parameters", long("Sec-WebSocket-Extensions", "a", ";b=c")),
        (
            "quoted parameters",
            long("Sec-WebSocket-Extensions", "a;b=\"", "\\\\"),
        ),
        (
            "offers of integrity",
            long(
                "Sec-WebSocket-Extensions",
                "frame-integrity;alg=sha-256",
                ",frame-integrity;alg=sha-256",
            ),
        ),
        (
            "offers of integrity by message",
            long("Sec-WebSocket-Protocol", "a", ",frame-integrity.sha-256"),
        ),
    ]
}

/// The cheapest of some handshakes that are refused.
async fn cost_of_handshake(process: &Process, dial: &Dial) -> Duration {
    let mut costs = Vec::new();
    for _ in 0..6 {
        let before = spent(process);
        dial.alert().await;
        costs.push(spent_since(before, process));
    }
    costs.into_iter().min().unwrap()
}

/// Authorities of one name and one key, so that each has issued every other, and a client of
/// theirs.
fn look_alikes(count: u64) -> (Vec<CertificateDer<'static>>, Issued) {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificates = (0..count).map(|number| {
        parameters.serial_number = Some((number + 1).into());
        parameters.self_signed(&key).unwrap().into()
    });
    let certificates = certificates.collect();
    let client_key = KeyPair::generate().unwrap();
    let mut client = CertificateParams::new(Vec::new()).unwrap();
    client.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let authority = Issuer::new(parameters, key);
    let certificate = client.signed_by(&client_key, &authority).unwrap();
    let issued = Issued {
        certificate_pem: certificate.pem(),
        certificate: certificate.into(),
        key_pem: client_key.serialize_pem().into(),
    };
    (certificates, issued)
}

#[tokio::test]
async fn chain_of_look_alikes_is_not_searched_for_long() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let (chain, client) = look_alikes(100);
    let dial = process.dial().await.identity(client);
    cost_of_handshake(&process, &dial).await;
    let base = cost_of_handshake(&process, &dial).await;
    let cost = cost_of_handshake(&process, &dial.behind(chain)).await;
    let ratio = cost.div_duration_f64(base);
    println!("a hundred look-alikes: {ratio:.1} times");
    assert!(ratio < 100.0, "{ratio:.1} times the cost of a short chain");
}

#[tokio::test]
async fn hostile_targets_and_fields_cost_little_more_than_a_long_cookie() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .file("certs/keyring.toml", keyring(&[("edge-1", "active")]))
        .set("integrity", "keyring = 'certs/keyring.toml'");
    // Two routes, so that all ways to read a path are looked up.
    let config = ["/", "/a/b"].iter().fold(config, |config, path| {
        config.route(&format!(
            "path = '{path}'\nbackend = 'echo'\nintegrity = 'optional'\norigins = ['{ORIGIN}']"
        ))
    });
    let process = Process::start(&config);
    let dial = process.dial().await;
    let long = "a".repeat(HEAD);
    let honest = Upgrade::to("/").add("Origin", ORIGIN).with("Cookie", &long);
    let honest = honest.bytes();
    cost_of_request(&process, &dial, &honest).await;
    let (base, status) = cost_of_request(&process, &dial, &honest).await;
    println!("honest: {base:?}, {status}");
    for (name, request) in hostile_requests() {
        let request = match name {
            "origin" => request,
            _ => request.add("Origin", ORIGIN),
        };
        let (cost, status) = cost_of_request(&process, &dial, &request.bytes()).await;
        let ratio = cost.div_duration_f64(base);
        println!("{name}: {ratio:.1} times, {status}");
        assert!(
            ratio < 10.0,
            "{name}: {ratio:.1} times the cost of a long cookie"
        );
    }
}
