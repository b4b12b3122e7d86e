//! All stages together: what a connection leaves behind when all goes well.

use crate::support::{
    Backend, Config, Dial, End, Process, Proxy, Upgrade, client::tcp, eventually, frame, within,
};
use std::fs;
use tidegate::frame::Opcode;

#[tokio::test]
async fn open_and_close_are_one_line_each_with_one_connection_id() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    socket.send(&frame::text("hello")).await;
    assert_eq!(socket.read_frame().await.payload, b"hello");
    socket.send(&frame::close(1000, "bye")).await;
    assert_eq!(socket.read_frame().await.close_code(), Some(1000));
    let (rest, end) = socket.read_to_end().await;
    assert_eq!((rest.as_slice(), end), (&[][..], End::Closed));
    socket.finish().await;
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0].message, "websocket open");
    assert_eq!(lines[0].field("id"), lines[1].field("id"));
    let request = backend.request().await;
    assert_eq!(request.field("X-Request-Id"), Some(lines[0].field("id")));
    let ending = [("reason", "client_closed"), ("code", "1000")];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
    proxy.stop().await;
}

#[tokio::test]
async fn binary_serves_as_the_tests_proxy_does_and_ends_well_when_told() {
    let backend = Backend::echo().await;
    let mut process = Process::start(&Config::to(&backend));
    let mut socket = process.dial().await.connect().await;
    socket.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(socket.read_head().await.status(), 101);
    process.line("websocket open").await;
    process.signal("TERM");
    assert_eq!(socket.read_frame().await.close_code(), Some(1012));
    socket.send(&frame::close(1012, "")).await;
    drop(socket);
    assert_eq!(process.wait().await.code(), Some(0));
    assert_eq!(process.lines("websocket closed").len(), 1);
}

/// One of each: who leaves well, who does not, who breaks a rule, who is refused.
async fn round(dial: &Dial) {
    for number in 0..20 {
        let mut good = dial.connect().await;
        good.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(good.read_head().await.status(), 101);
        good.send(&frame::binary(&vec![7; 1 << (number % 17)]))
            .await;
        good.read_frame().await;
        let mut broken = dial.connect().await;
        broken.send(&Upgrade::to("/").bytes()).await;
        broken.send(&frame::plain(Opcode::Text, b"unmasked")).await;
        broken.read_to_end().await;
        let mut refused = dial.connect().await;
        refused.send(b"GET / HTTP/1.1\r\n\r\n").await;
        refused.read_to_end().await;
        // None of these waits for an answer.
        dial.connect().await.send(&Upgrade::to("/").bytes()).await;
        tcp(dial.remote()).await.send(b"\x16\x03\x01\x40\x00").await;
        drop(dial.clone().anonymous().try_session().await);
        good.send(&frame::close(1000, "")).await;
        good.read_to_end().await;
    }
}

/// Waits until a process serves nobody.
async fn rest(process: &Process) {
    let admin = process.admin().await;
    let scrape = async || {
        let mut wire = tcp(admin).await;
        let request =
            format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
        wire.send(request.as_bytes()).await;
        wire.read_answer().await.content
    };
    let open = |line: &str| line.starts_with("tidegate_connections_open") && !line.ends_with(" 0");
    let quiet = async { while scrape().await.lines().any(open) {} };
    within("no open connection", quiet).await;
}

/// Memory of a process, in KiB.
fn memory(process: &Process) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let value = line.and_then(|line| line.split_whitespace().nth(1));
    value.unwrap().parse().unwrap()
}

fn descriptors(process: &Process) -> usize {
    let folder = format!("/proc/{}/fd", process.id());
    fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn whatever_clients_do_the_second_round_takes_no_more_than_the_first() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let dial = process.dial().await;
    round(&dial).await;
    rest(&process).await;
    let (first, before) = (memory(&process), descriptors(&process));
    round(&dial).await;
    rest(&process).await;
    let second = memory(&process);
    assert!(second < first * 1.05 + 1024.0, "{first} KiB, then {second}");
    eventually("no more descriptors", || descriptors(&process) <= before).await;
    for _ in 0..10 {
        let mut socket = dial.connect().await;
        socket.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(socket.read_head().await.status(), 101);
    }
}
