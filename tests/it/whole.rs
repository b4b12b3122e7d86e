//! All stages together: what a connection leaves behind when all goes well.

use crate::support::{Backend, Config, End, Process, Proxy, Upgrade, frame};

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
    socket.send(&Upgrade::to("/").octets()).await;
    assert_eq!(socket.read_head().await.status(), 101);
    process.line("websocket open").await;
    process.signal("TERM");
    assert_eq!(socket.read_frame().await.close_code(), Some(1012));
    socket.send(&frame::close(1012, "")).await;
    drop(socket);
    assert_eq!(process.wait().await.code(), Some(0));
    assert_eq!(process.lines("websocket closed").len(), 1);
}
