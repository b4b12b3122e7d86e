//! What the log tells of a connection.

use crate::support::{Backend, Config, Proxy, Upgrade, frame, request::switching};

#[tokio::test]
async fn lines_of_a_socket_say_who_asked_for_what_and_how() {
    let backend = Backend::script(|mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let protocol = "Sec-WebSocket-Protocol: chat.v2\r\n\r\n";
        let answer = switching(&head.accept()) + protocol;
        served.wire.send(answer.as_bytes()).await;
        served.echo().await;
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let request = Upgrade::to("/room/1?token=secret")
        .host("LOCALHOST:8443")
        .add("Origin", "https://page.test")
        .add("User-Agent", "Agent/1.0 (x)")
        .add("X-Request-Id", "from-the-client")
        .add("Sec-WebSocket-Protocol", "chat.v1, chat.v2");
    let (mut socket, _) = proxy.open_with(&request).await;
    socket.send(&frame::close(1000, "")).await;
    let lines = proxy.wait_lines(&socket, 2).await;
    let local = socket.local.unwrap();
    for line in &lines {
        for (name, value) in [
            ("host", "localhost"),
            ("path", "/room/1"),
            ("origin", "https://page.test"),
            ("user_agent", "Agent/1.0 (x)"),
            ("client_request_id", "from-the-client"),
            ("subprotocol", "chat.v2"),
            ("tls", "TLSv1.3"),
            ("listener_address", &proxy.address().to_string()),
            ("client_address", "127.0.0.1"),
            ("client_port", &local.port().to_string()),
        ] {
            assert_eq!(line.field(name), value, "{name}: {line:?}");
        }
        assert!(line.field("cipher").starts_with("TLS13_"), "{line:?}");
        assert!(!format!("{line:?}").contains("secret"), "{line:?}");
    }
    let id = lines[0].field("id");
    assert_eq!(backend.request().await.field("X-Request-Id"), Some(id));
}

#[tokio::test]
async fn line_of_a_refused_request_says_what_was_asked_for() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).route_lines("origins = ['https://good.test']");
    let proxy = Proxy::start(config);
    let mut wire = proxy.connect().await;
    let request = Upgrade::to("/a?b").add("Origin", "https://evil.test");
    wire.send(&request.bytes()).await;
    assert_eq!(wire.read_head().await.status(), 403);
    let line = proxy.wait_lines(&wire, 1).await.remove(0);
    assert_eq!(
        (line.field("path"), line.field("host")),
        ("/a", "localhost")
    );
    assert_eq!(line.field("origin"), "https://evil.test");
    assert_eq!(line.field("tls"), "TLSv1.3");
}

#[tokio::test]
async fn client_on_a_listener_for_both_families_is_logged_by_its_own_address() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend).listener("public", "address = '[::]:0'");
    let proxy = Proxy::start(config);
    let port = proxy.address().port();
    let dial = proxy.dial().address(([127, 0, 0, 1], port).into());
    let mut wire = dial.connect().await;
    wire.send(&Upgrade::to("/").bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    let line = proxy.wait_lines(&wire, 1).await.remove(0);
    assert_eq!(line.field("client_address"), "127.0.0.1");
    assert_eq!(line.field("listener_address"), format!("[::]:{port}"));
}
