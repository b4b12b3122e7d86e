//! Stage 1: accept.

use crate::support::{
    Backend, Config, End, Process, Proxy, Wire, client::tcp, eventually, frame, refusal, within,
};
use std::net::SocketAddr;
use tokio::net::TcpStream;

async fn echoes(socket: &mut Wire, text: &str) {
    socket.send(&frame::text(text)).await;
    assert_eq!(socket.read_frame().await.payload, text.as_bytes());
}

#[tokio::test]
async fn connection_limit_refuses_the_next_one_alone_until_another_ends() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("limits", "connections = 2"));
    let mut first = proxy.open("/").await;
    let mut second = proxy.open("/").await;
    let mut third = tcp(proxy.address()).await;
    assert_eq!(third.read_to_end().await, (Vec::new(), End::Closed));
    let limit = [("result", "connection_limit")];
    proxy
        .wait_for("tidegate_handshakes_total", &limit, 1.0)
        .await;
    let lines = proxy.wait_lines(&third, 1).await;
    assert_eq!(lines[0].field("reason"), "connection_limit");
    echoes(&mut first, "one").await;
    echoes(&mut second, "two").await;
    drop(second);
    proxy.wait_for("tidegate_connections_open", &[], 1.0).await;
    echoes(&mut proxy.open("/").await, "three").await;
}

#[tokio::test]
async fn connection_limit_changes_with_a_reload() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).set("limits", "connections = 1");
    let proxy = Proxy::start(config.clone());
    let _first = proxy.open("/").await;
    proxy.apply(&config.set("limits", "connections = 2")).await;
    proxy.open("/").await;
}

#[tokio::test]
async fn handshakes_beyond_the_limit_wait_and_are_served() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .set("limits", "handshakes = 2")
        .set("timeouts", "handshake = '400ms'");
    let proxy = Proxy::start(config);
    let _silent = [tcp(proxy.address()).await, tcp(proxy.address()).await];
    proxy.wait_for("tidegate_connections_open", &[], 2.0).await;
    let mut good = proxy.open("/").await;
    echoes(&mut good, "late").await;
    let timeouts = proxy.metric(
        "tidegate_handshakes_total",
        &[("result", "handshake_timeout")],
    );
    assert!(timeouts > 0.0, "it did not wait: {timeouts}");
}

#[tokio::test]
async fn all_workers_serve_one_port() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 3"));
    let mut sockets = Vec::new();
    for number in 0..24 {
        let mut socket = proxy.open("/").await;
        echoes(&mut socket, &format!("{number}")).await;
        sockets.push(socket);
    }
    proxy.wait_for("tidegate_websockets_open", &[], 24.0).await;
    let workers = proxy.shared.connections.all().len();
    assert_eq!(workers, 24);
}

#[tokio::test]
async fn second_proxy_on_a_port_is_told_who_is_in_the_way() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let address = proxy.address();
    let lines = format!("address = '{address}'");
    let config = Config::to(&backend).listener("public", &lines);
    let error = match Proxy::try_start(config.clone()) {
        Ok(_) => panic!("two proxies share {address}"),
        Err(error) => error.to_string(),
    };
    assert!(error.contains(&address.to_string()), "{error}");
    assert!(error.contains("another process listens there"), "{error}");

    let mut process = Process::start(&config);
    assert_eq!(process.wait().await.code(), Some(1));
    eventually("the error on stderr", || {
        process.stderr().contains("another process listens there")
    })
    .await;
    proxy.open("/").await;
}

#[tokio::test]
async fn port_0_is_logged_as_the_port_that_was_bound() {
    let backend = Backend::echo().await;
    let process = Process::start(&Config::to(&backend));
    let address = process.address().await;
    assert_ne!(address.port(), 0);
    assert_ne!(process.admin().await.port(), 0);
    let mut wire = process.dial().await.connect().await;
    wire.send(b"\r\n\r\n").await;
    assert_eq!(wire.read_head().await.status(), 400);
}

/// Many connections that say nothing.
async fn silent(address: SocketAddr, count: usize) -> Vec<TcpStream> {
    let mut streams = Vec::new();
    for _ in 0..count {
        streams.push(
            within("connecting", TcpStream::connect(address))
                .await
                .unwrap(),
        );
    }
    streams
}

/// The value of a metric of another process, or `None` while it cannot be reached.
async fn scrape(admin: SocketAddr, name: &str) -> Option<f64> {
    let mut wire = tcp(admin).await;
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n\r\n");
    wire.try_send(request.as_bytes()).await.ok()?;
    let (answer, _) = wire.read_to_end().await;
    let answer = String::from_utf8_lossy(&answer);
    let sample = answer.lines().find(|line| line.starts_with(name))?;
    sample.rsplit_once(' ')?.1.parse().ok()
}

#[tokio::test]
async fn running_out_of_file_descriptors_slows_accepting_and_ends_nothing() {
    let backend = Backend::echo().await;
    let process = Process::start_under("ulimit -n 64", &Config::to(&backend));
    let mut socket = process.dial().await.connect().await;
    let upgrade = crate::support::Upgrade::to("/");
    socket.send(&upgrade.bytes()).await;
    assert_eq!(socket.read_head().await.status(), 101);

    let crowd = silent(process.address().await, 80).await;
    let problem = "cannot accept connections for now";
    let line = process.line(problem).await;
    assert!(line["error"].as_str().unwrap().contains("files"), "{line}");
    echoes(&mut socket, "still here").await;

    drop(crowd);
    let mut late = process.dial().await.connect().await;
    late.send(&upgrade.bytes()).await;
    assert_eq!(late.read_head().await.status(), 101);
    echoes(&mut late, "accepted again").await;
    echoes(&mut socket, "and I").await;
    let errors = scrape(process.admin().await, "tidegate_accept_errors_total").await;
    let errors = errors.expect("a metric");
    // Back-off doubles from 5 ms to 1 s: a loop without it makes thousands.
    assert!((1.0..100.0).contains(&errors), "{errors} accept errors");
    assert!(process.lines(problem).len() < 10, "{}", process.stderr());
}

#[tokio::test]
async fn running_out_of_file_descriptors_takes_no_server_down() {
    let backend = Backend::echo().await;
    let process = Process::start_under("ulimit -n 64", &Config::to(&backend));
    let mut early = process.dial().await.connect().await;
    let crowd = silent(process.address().await, 80).await;
    process.line("cannot accept connections for now").await;
    let upgrade = crate::support::Upgrade::to("/");
    early.send(&upgrade.bytes()).await;
    let answer = early.read_answer().await;
    assert_eq!(answer.head.status(), 502, "{}", answer.content);
    assert!(answer.content.contains("backend_unreachable"));

    drop((crowd, early));
    let mut late = process.dial().await.connect().await;
    late.send(&upgrade.bytes()).await;
    assert_eq!(late.read_head().await.status(), 101);
    assert!(process.lines("backend server is down").is_empty());
}

#[tokio::test]
async fn client_that_vanishes_before_its_turn_costs_one_line() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = tcp(proxy.address()).await;
    wire.finish().await;
    refusal::expect_line(&proxy, &wire, "handshake_gone").await;
}
