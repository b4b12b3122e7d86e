//! Stage 7: what passes, what it costs, and what peers that stall or break rules bring about.

use crate::support::{
    Backend, Config, End, Process, Proxy, Upgrade, Wire, backend::Served, eventually, frame,
    request::switching,
};
use std::{fs, time::Duration};
use tidegate::frame::Opcode;
use tokio::{
    io::{AsyncWriteExt as _, WriteHalf, sink},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::client::TlsStream;

const PINGS_OFF: &str = "ping = '0s'";

/// A TCP connection to the proxy with socket buffers as small as the system allows.
async fn tiny_tcp(proxy: &Proxy) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(1).unwrap();
    socket.set_send_buffer_size(1).unwrap();
    socket.connect(proxy.address()).await.unwrap()
}

/// An open WebSocket over a given connection, to be written and read side by side.
async fn open_halves(proxy: &Proxy, tcp: TcpStream) -> (Wire, WriteHalf<TlsStream<TcpStream>>) {
    let local = tcp.local_addr().unwrap();
    let stream = proxy.dial().over(tcp).await.unwrap();
    let (read, mut write) = tokio::io::split(stream);
    let mut reader = Wire::new(tokio::io::join(read, sink()), Some(local));
    let request = Upgrade::to("/").bytes();
    write.write_all(&request).await.unwrap();
    write.flush().await.unwrap();
    assert_eq!(reader.read_head().await.status(), 101);
    (reader, write)
}

/// A backend that accepts upgrades and never reads a frame.
async fn deaf_backend() -> Backend {
    Backend::script(|mut served: Served| async move {
        if served.accept().await.is_some() {
            std::future::pending::<()>().await;
        }
    })
    .await
}

/// Frames with headers of every length, and control frames between fragments.
fn frames_of_every_kind() -> Vec<Vec<u8>> {
    let mask = Some(frame::MASK);
    vec![
        frame::build(false, 0, Opcode::Text, mask, b"Hello"),
        frame::build(true, 0, Opcode::Ping, mask, b"between"),
        frame::build(false, 0, Opcode::Continuation, mask, b""),
        frame::build(true, 0, Opcode::Continuation, mask, &[9; 130]),
        frame::binary(&[7; 70_000]),
        frame::text(""),
    ]
}

#[tokio::test]
async fn headers_split_at_every_byte_with_pauses_pass_byte_for_byte() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", PINGS_OFF));
    let mut socket = proxy.open("/").await;
    let mut sent = 0;
    for bytes in frames_of_every_kind() {
        let header = bytes.len().min(14);
        for byte in &bytes[..header] {
            socket.send(&[*byte]).await;
            sent += 1;
            // The pause: as long as the proxy needs to take this byte alone.
            let labels = [("direction", "to_backend")];
            let sent = f64::from(sent);
            proxy.wait_for("tidegate_bytes_total", &labels, sent).await;
        }
        socket.send(&bytes[header..]).await;
        sent += u32::try_from(bytes.len() - header).unwrap();
        let back = socket.read_frame().await;
        let answer = match bytes[0] & 0x0f {
            9 => 0x8a,
            _ => bytes[0],
        };
        assert_eq!(back.raw[0], answer);
        assert!(bytes.ends_with(
            &frame::build(true, 0, back.opcode(), Some(frame::MASK), &back.payload)[6..]
        ));
    }
    socket.finish().await;
}

#[tokio::test]
async fn thousand_pipelined_messages_come_back_in_order() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let tcp = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut reader, mut writer) = open_halves(&proxy, tcp).await;
    let payload = |number: u32| number.to_be_bytes().repeat(4096);
    let writing = tokio::spawn(async move {
        for number in 0..1000 {
            let bytes = frame::binary(&payload(number));
            writer.write_all(&bytes).await.unwrap();
        }
        writer.flush().await.unwrap();
        writer
    });
    for number in 0..1000 {
        let back = reader.read_frame().await;
        assert!(back.payload == payload(number), "message {number}");
    }
    drop(writing.await.unwrap());
}

#[tokio::test]
async fn large_echoes_through_tiny_socket_buffers_do_not_stall() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let tcp = tiny_tcp(&proxy).await;
    let (mut reader, mut writer) = open_halves(&proxy, tcp).await;
    let message = frame::binary(&vec![0x5a; 300_000]);
    for _ in 0..10 {
        writer.write_all(&message).await.unwrap();
        writer.flush().await.unwrap();
        assert_eq!(reader.read_frame().await.payload.len(), 300_000);
    }
}

#[tokio::test]
async fn two_hundred_thousand_unread_pings_are_all_answered_later() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    let pings: Vec<u8> = (0..200_000_u32)
        .flat_map(|number| frame::masked(Opcode::Ping, &number.to_be_bytes()))
        .collect();
    socket.send(&pings).await;
    for number in 0..200_000_u32 {
        let pong = socket.read_frame().await;
        assert_eq!(pong.opcode(), Opcode::Pong);
        assert_eq!(pong.payload, number.to_be_bytes());
    }
    socket.finish().await;
}

#[tokio::test]
async fn fragments_beyond_the_message_limit_are_1009() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("limits", "message = '1KiB'");
    let proxy = Proxy::start(config);
    let mut socket = proxy.open("/").await;
    let mask = Some(frame::MASK);
    let mut fragments = frame::build(false, 0, Opcode::Binary, mask, b"0");
    for _ in 0..1024 {
        fragments.extend(frame::build(false, 0, Opcode::Continuation, mask, b"1"));
    }
    socket.send(&fragments).await;
    let close = loop {
        let frame = socket.read_frame().await;
        if frame.opcode() == Opcode::Close {
            break frame;
        }
    };
    assert_eq!(close.close_code(), Some(1009));
    socket.finish().await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "message_too_large");
}

#[tokio::test]
async fn frame_beyond_the_frame_limit_is_1009_before_its_payload_comes() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("limits", "frame = '1KiB'");
    let proxy = Proxy::start(config);
    let mut socket = proxy.open("/").await;
    socket.send(&frame::binary(&[0; 1025])[..8]).await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1009));
    socket.finish().await;
}

#[tokio::test]
async fn announced_lengths_take_no_memory() {
    const ANNOUNCED: u64 = 16 << 20;
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let dial = process.dial().await;
    let mut start = frame::binary(&vec![0; 1 << 16]);
    start.splice(2..10, ANNOUNCED.to_be_bytes());
    start.truncate(15);
    let mut held = Vec::new();
    let mut before = 0;
    for number in 0..220 {
        if number == 20 {
            before = resident(process.id());
        }
        let mut socket = dial.connect().await;
        socket.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(socket.read_head().await.status(), 101);
        socket.send(&start).await;
        held.push(socket);
    }
    let kibibytes = resident(process.id()).saturating_sub(before);
    assert!(kibibytes < 200 * 64, "{kibibytes} KiB for 200 connections");
}

/// Memory of a process in KiB.
fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}

#[tokio::test]
async fn client_that_never_reads_stops_the_backend_and_is_given_up() {
    let (sent, mut seen) = tokio::sync::watch::channel(0_u64);
    let backend = Backend::script(move |mut served| {
        let sent = sent.clone();
        async move {
            let message = frame::plain(Opcode::Binary, &vec![0; 1 << 16]);
            if served.accept().await.is_some() {
                while served.wire.try_send(&message).await.is_ok() {
                    sent.send_modify(|count| *count += 1);
                }
            }
        }
    })
    .await;
    let config = Config::to(&backend).set("timeouts", "write = '500ms'");
    let proxy = Proxy::start(config);
    let socket = proxy.open("/").await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "client_stalled");
    assert_eq!(lines[1].field("code"), "");
    // What it sent is in the buffers of four sockets, and no more than two buffers in the proxy.
    let messages = *seen.borrow_and_update();
    assert!(messages < 1000, "{messages} messages of 64 KiB");
    let ending = [("reason", "client_stalled")];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
}

#[tokio::test]
async fn backend_that_never_reads_stops_the_client_and_is_1011() {
    let backend = deaf_backend().await;
    let config = Config::to(&backend).set("timeouts", "write = '500ms'");
    let proxy = Proxy::start(config);
    let tcp = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut reader, mut writer) = open_halves(&proxy, tcp).await;
    let writing = tokio::spawn(async move {
        let message = frame::binary(&vec![0; 1 << 16]);
        let mut messages = 0;
        while writer.write_all(&message).await.is_ok() && messages < 10_000 {
            messages += 1;
        }
        messages
    });
    let close = reader.read_frame().await;
    assert_eq!(close.close_code(), Some(1011));
    assert_eq!(
        close.close_reason(),
        "the backend did not read for too long"
    );
    writing.abort();
    backend.stop().await;
    let client = Wire::new(tokio::io::empty(), reader.local);
    drop(reader);
    let lines = proxy.wait_lines(&client, 2).await;
    assert_eq!(lines[1].field("reason"), "backend_stalled");
}

#[tokio::test]
async fn proxys_ping_is_answered_and_not_forwarded() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "ping = '100ms'"));
    let mut socket = proxy.open("/").await;
    for _ in 0..2 {
        let ping = socket.read_frame().await;
        assert_eq!(ping.opcode(), Opcode::Ping);
        let answer = frame::masked(Opcode::Pong, &ping.payload);
        socket.send(&answer).await;
    }
    socket.send(&frame::text("hello")).await;
    loop {
        // A forwarded Pong would be echoed.
        let back = socket.read_frame().await;
        match back.opcode() {
            Opcode::Ping => {}
            Opcode::Text => break assert_eq!(back.payload, b"hello"),
            other => panic!("{other:?} was forwarded"),
        }
    }
    let count = "tidegate_ping_seconds_count";
    eventually("measured pings", || proxy.metric(count, &[]) >= 2.0).await;
    socket.finish().await;
}

#[tokio::test]
async fn client_that_answers_no_ping_is_1001() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "ping = '100ms'"));
    let mut socket = proxy.open("/").await;
    assert_eq!(socket.read_frame().await.opcode(), Opcode::Ping);
    let close = socket.read_frame().await;
    assert_eq!(close.close_code(), Some(1001));
    socket.finish().await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "no_pong");
}

#[tokio::test]
async fn silence_is_1001_even_if_the_client_answers_pings() {
    let backend = Backend::echo().await;
    let timeouts = "idle = '1s'\nping = '100ms'";
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", timeouts));
    let mut socket = proxy.open("/").await;
    let close = loop {
        let frame = socket.read_frame().await;
        if frame.opcode() != Opcode::Ping {
            break frame;
        }
        let pong = frame::masked(Opcode::Pong, &frame.payload);
        socket.send(&pong).await;
    };
    assert_eq!(close.close_code(), Some(1001));
    socket.finish().await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "idle_timeout");
}

/// A backend that agrees on an extension, if there is one, and echoes.
async fn backend_with_extension(extension: Option<&'static str>) -> Backend {
    Backend::script(move |mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let field = extension.map(|name| format!("Sec-WebSocket-Extensions: {name}\r\n"));
        let answer = format!(
            "{}{}\r\n",
            switching(&head.accept()),
            field.unwrap_or_default()
        );
        served.wire.send(answer.as_bytes()).await;
        served.echo().await;
    })
    .await
}

fn compressing() -> Upgrade {
    Upgrade::to("/").with("Sec-WebSocket-Extensions", "permessage-deflate")
}

#[tokio::test]
async fn rsv1_passes_where_permessage_deflate_was_agreed_on() {
    let backend = backend_with_extension(Some("permessage-deflate")).await;
    let proxy = Proxy::start(Config::to(&backend));
    let (mut socket, _) = proxy.open_with(&compressing()).await;
    let mask = Some(frame::MASK);
    let deflated = frame::build(true, 0x40, Opcode::Text, mask, b"\xf2H\xcd\xc9\xc9\x07\0");
    socket.send(&deflated).await;
    let back = socket.read_frame().await;
    assert_eq!(back.header.reserved, 0x40);
    assert_eq!(back.payload, b"\xf2H\xcd\xc9\xc9\x07\0");
    socket.finish().await;
}

#[tokio::test]
async fn rsv1_is_1002_where_the_backend_declined_permessage_deflate() {
    let backend = backend_with_extension(None).await;
    let proxy = Proxy::start(Config::to(&backend));
    let (mut socket, _) = proxy.open_with(&compressing()).await;
    let mask = Some(frame::MASK);
    let deflated = frame::build(true, 0x40, Opcode::Text, mask, b"a");
    socket.send(&deflated).await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1002));
    socket.finish().await;
}

#[tokio::test]
async fn slow_client_still_gets_all_that_came_before_the_backends_close() {
    let backend = Backend::script(|mut served| async move {
        if served.accept().await.is_some() {
            let message = frame::plain(Opcode::Binary, &vec![1; 200_000]);
            for _ in 0..20 {
                served.wire.send(&message).await;
            }
            let close = frame::plain(Opcode::Close, &frame::close_payload(1000, "all"));
            served.wire.send(&close).await;
            served.wire.read_to_end().await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let tcp = tiny_tcp(&proxy).await;
    let (mut reader, _writer) = open_halves(&proxy, tcp).await;
    for _ in 0..20 {
        assert_eq!(reader.read_frame().await.payload.len(), 200_000);
    }
    assert_eq!(reader.read_frame().await.close_code(), Some(1000));
}

#[tokio::test]
async fn what_a_client_sends_with_its_request_reaches_the_backend_after_the_101() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.connect().await;
    let early = [Upgrade::to("/").bytes(), frame::text("early")].concat();
    socket.send(&early).await;
    assert_eq!(socket.read_head().await.status(), 101);
    assert_eq!(socket.read_frame().await.payload, b"early");
    socket.send(&frame::close(1000, "")).await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1000));
    assert_eq!(socket.read_to_end().await.1, End::Closed);
    socket.finish().await;
}

/// Long enough to be noticed as a stall, short enough for a test.
const STALL: Duration = Duration::from_secs(5);

#[tokio::test]
async fn stalled_client_leaves_others_of_the_same_worker_alone() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let tcp = tiny_tcp(&proxy).await;
    let (_unread, mut writer) = open_halves(&proxy, tcp).await;
    let flooding = tokio::spawn(async move {
        let message = frame::binary(&vec![0; 1 << 16]);
        while writer.write_all(&message).await.is_ok() {}
    });
    let mut socket = proxy.open("/").await;
    let echoes = async {
        for _ in 0..200 {
            socket.send(&frame::text("hello")).await;
            assert_eq!(socket.read_frame().await.payload, b"hello");
        }
    };
    let done = tokio::time::timeout(STALL, echoes).await;
    assert!(done.is_ok(), "two hundred echoes beside a stalled client");
    flooding.abort();
    socket.finish().await;
}
