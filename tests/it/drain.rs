//! The drain: nobody new comes in, open sockets leave evenly, and the end is bounded.

use crate::support::{
    Backend, Config, Process, Proxy, Upgrade, Wire, client, eventually, frame, wire::Answer, within,
};
use std::sync::Arc;
use tidegate::{frame::Opcode, reload::Outcome};
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};

async fn echoes(socket: &mut Wire) {
    socket.send(&frame::text("still there?")).await;
    assert_eq!(socket.read_frame().await.payload, b"still there?");
}

/// Begins a drain, and returns when it has begun.
async fn begin(proxy: &Proxy) {
    proxy.handle.drain_soon();
    proxy.wait_for("tidegate_draining", &[], 1.0).await;
}

async fn probe(proxy: &Proxy, path: &str) -> Answer {
    let mut wire = client::tcp(proxy.admin()).await;
    let host = proxy.admin();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    wire.send(request.as_bytes()).await;
    wire.read_answer().await
}

/// Reads the 1012, answers it, and reads the end.
async fn leave(socket: &mut Wire) {
    assert_eq!(socket.read_frame().await.close_code(), Some(1012));
    socket.send(&frame::close(1012, "")).await;
    let (rest, _) = socket.read_to_end().await;
    assert_eq!(rest, b"");
    socket.finish().await;
}

#[tokio::test]
async fn readyz_is_503_from_the_start_of_a_drain_and_livez_stays_200() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let _socket = proxy.open("/").await;
    assert_eq!(probe(&proxy, "/readyz").await.head.status(), 200);
    begin(&proxy).await;
    let answer = probe(&proxy, "/readyz").await;
    assert_eq!(answer.head.status(), 503);
    assert!(answer.content.contains("drains"), "{}", answer.content);
    assert_eq!(probe(&proxy, "/livez").await.head.status(), 200);
}

#[tokio::test]
async fn whoever_comes_during_a_drain_is_told_503_with_its_reason() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let _socket = proxy.open("/").await;
    let mut before = proxy.connect().await;
    begin(&proxy).await;
    let mut after = proxy.connect().await;
    for wire in [&mut before, &mut after] {
        wire.send(&Upgrade::to("/").bytes()).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), 503);
        let document: serde_json::Value = serde_json::from_str(&answer.content).unwrap();
        assert_eq!(document["reason"], "refused_draining");
        wire.finish().await;
    }
    let refused = [("result", "refused_draining")];
    proxy
        .wait_for("tidegate_upgrades_total", &refused, 2.0)
        .await;
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn upgrade_that_is_under_way_gets_its_answer_before_the_drain_is_over() {
    let answer = Arc::new(Semaphore::new(0));
    let backend = Backend::hesitant(answer.clone()).await;
    let proxy = Proxy::start(Config::to(&backend).set("server", "drain_timeout = '1h'"));
    let mut socket = proxy.connect().await;
    socket.send(&Upgrade::to("/").bytes()).await;
    backend.request().await;
    begin(&proxy).await;
    answer.add_permits(1);
    assert_eq!(socket.read_head().await.status(), 101);
    leave(&mut socket).await;
    proxy.stop().await;
}

#[tokio::test]
async fn drain_is_begun_though_more_reloads_wait_than_there_is_room_for() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let reloads = (0..64).map(|_| {
        let handle = proxy.handle.clone();
        tokio::spawn(async move { handle.reload(false).await })
    });
    let reloads: Vec<_> = reloads.collect();
    // Each of them asks.
    tokio::task::yield_now().await;
    proxy.handle.drain_soon();
    proxy.wait_for("tidegate_draining", &[], 1.0).await;
    drop(reloads);
}

#[tokio::test]
async fn sockets_leave_one_by_one_over_the_spread_and_each_is_told_once() {
    let backend = Backend::echo().await;
    let lines = "drain_spread = '2s'\ndrain_timeout = '10s'";
    let proxy = Proxy::start(Config::to(&backend).set("server", lines));
    let mut sockets = Vec::new();
    for _ in 0..4 {
        sockets.push(proxy.open("/").await);
    }
    begin(&proxy).await;
    let leaving = sockets.iter_mut().map(async |socket| {
        leave(socket).await;
        Instant::now()
    });
    let mut left = within("the drain", futures_util::future::join_all(leaving)).await;
    left.sort_unstable();
    // A step is 500 ms: the first is gone well before the last is told.
    assert!(left[3] - left[0] > Duration::from_millis(600), "{left:?}");
    let endings = [("reason", "draining"), ("code", "1012")];
    proxy
        .wait_for("tidegate_endings_total", &endings, 4.0)
        .await;
    proxy.stop().await;
}

#[tokio::test]
async fn sockets_whose_turn_has_not_come_go_on_as_before() {
    let backend = Backend::echo().await;
    let lines = "drain_spread = '1h'\ndrain_timeout = '2h'";
    let proxy = Proxy::start(Config::to(&backend).set("server", lines));
    let (mut one, mut two) = (proxy.open("/").await, proxy.open("/").await);
    begin(&proxy).await;
    // Which of the two is first is the proxy's choice.
    let second = tokio::select! {
        read = one.read_more() => { read.unwrap(); leave(&mut one).await; &mut two }
        read = two.read_more() => { read.unwrap(); leave(&mut two).await; &mut one }
    };
    echoes(second).await;
    assert_eq!(second.pending(), b"");
}

#[tokio::test]
async fn a_drain_is_over_when_nobody_is_left_though_its_spread_is_not() {
    let backend = Backend::echo().await;
    let lines = "drain_spread = '1h'\ndrain_timeout = '2h'";
    let proxy = Proxy::start(Config::to(&backend).set("server", lines));
    let sockets = [proxy.open("/").await, proxy.open("/").await];
    begin(&proxy).await;
    drop(sockets);
    proxy.stop().await;
}

#[tokio::test]
async fn what_never_comes_to_a_frame_boundary_is_cut_at_the_deadline_and_counted() {
    let backend = Backend::script(|mut served| async move {
        if served.accept().await.is_some() {
            let message = frame::plain(Opcode::Binary, &[7; 100]);
            served.wire.send(&message[..50]).await;
            served.wire.read_to_end().await;
        }
    })
    .await;
    let lines = "drain_timeout = '300ms'";
    let proxy = Proxy::start(Config::to(&backend).set("server", lines));
    let mut socket = proxy.open("/").await;
    assert_eq!(socket.read_exact(50).await.len(), 50);
    begin(&proxy).await;
    let (rest, _) = socket.read_to_end().await;
    assert_eq!(rest, b"", "a Close within a frame");
    let lines = proxy.wait_lines(&socket, 2).await;
    assert_eq!(lines[1].field("reason"), "drain_deadline", "{lines:?}");
    assert_eq!(lines[1].field("code"), "", "{lines:?}");
    let ending = [("reason", "drain_deadline"), ("code", "none")];
    proxy.wait_for("tidegate_endings_total", &ending, 1.0).await;
    proxy.stop().await;
}

#[tokio::test]
async fn who_never_answers_its_1012_is_cut_at_the_deadline() {
    let backend = Backend::echo().await;
    let lines = "drain_timeout = '300ms'";
    let proxy = Proxy::start(Config::to(&backend).set("server", lines));
    let mut stubborn = proxy.open("/").await;
    begin(&proxy).await;
    let begun = Instant::now();
    assert_eq!(stubborn.read_frame().await.close_code(), Some(1012));
    stubborn.read_to_end().await;
    // Without the deadline, an answer is waited for during five seconds.
    assert!(begun.elapsed() < Duration::from_secs(4));
    let lines = proxy.wait_lines(&stubborn, 2).await;
    assert_eq!(lines[1].field("code"), "1012", "{lines:?}");
    proxy.stop().await;
}

#[tokio::test]
async fn a_reload_during_a_drain_is_put_to_use_and_the_drain_goes_on() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "drain_timeout = '1h'");
    let proxy = Proxy::start(config.clone());
    let mut socket = proxy.open("/").await;
    begin(&proxy).await;
    let new = config.set("limits", "message = '1KiB'");
    proxy.folder.write("proxy.toml", new.text());
    let outcome = proxy.try_reload().await;
    assert!(!matches!(outcome, Outcome::Failed { .. }), "{outcome:?}");
    assert_eq!(proxy.shared.snapshot.load().limits.message, 1024);
    assert_eq!(probe(&proxy, "/readyz").await.head.status(), 503);
    leave(&mut socket).await;
    proxy.stop().await;
}

#[tokio::test]
async fn second_interrupt_ends_the_process_though_a_socket_is_open() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("server", "drain_timeout = '1h'");
    let mut process = Process::start(&config);
    let mut socket = process.dial().await.connect().await;
    socket.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(socket.read_head().await.status(), 101);
    process.line("websocket open").await;
    process.signal("INT");
    process.line("draining").await;
    process.signal("INT");
    process.line("interrupted again").await;
    assert!(process.wait().await.code().is_some(), "it was killed");
}

#[tokio::test]
async fn term_without_sockets_ends_at_once_with_0() {
    let backend = Backend::echo().await;
    let lines = "drain_spread = '1h'\ndrain_timeout = '2h'";
    let mut process = Process::start(&Config::to(&backend).set("server", lines));
    process.admin().await;
    process.signal("TERM");
    assert_eq!(process.wait().await.code(), Some(0));
    eventually("the line that it drained", || {
        process.lines("drained").len() == 1
    })
    .await;
}
