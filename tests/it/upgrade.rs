//! Stage 4: what is no upgrade request is told so; everything about it is counted and logged once.

use crate::support::{Backend, Config, End, Proxy, Upgrade, Wire, frame, refusal, request::KEY};

async fn proxy() -> (Proxy, Backend) {
    let backend = Backend::echo().await;
    (Proxy::start(Config::to(&backend)), backend)
}

/// Sends bytes on a new connection to a new proxy, and checks all of the refusal.
async fn refused(bytes: &[u8], status: u16, reason: &str) -> Wire {
    let (proxy, backend) = proxy().await;
    let mut wire = proxy.connect().await;
    wire.send(bytes).await;
    refusal::expect(&proxy, &mut wire, status, reason).await;
    assert_eq!(backend.connections(), 0, "{reason}: it reached the backend");
    wire
}

fn malformed(what: &str, request: &Upgrade) -> (String, Vec<u8>) {
    (what.to_owned(), request.bytes())
}

#[tokio::test]
async fn version_other_than_13_is_told_which_one_is_spoken() {
    for version in ["777", "8", "", "13, 13"] {
        let (proxy, _backend) = proxy().await;
        let mut wire = proxy.connect().await;
        let request = Upgrade::to("/").with("Sec-WebSocket-Version", version);
        wire.send(&request.bytes()).await;
        let head = wire.read_head().await;
        assert_eq!(head.status(), 426, "{version}");
        assert_eq!(head.field("Sec-WebSocket-Version"), Some("13"));
        assert_eq!(head.field("Upgrade"), Some("websocket"));
    }
    let request = Upgrade::to("/").with("Sec-WebSocket-Version", "777");
    refused(&request.bytes(), 426, "websocket_version").await;
    let request = Upgrade::to("/").without("Sec-WebSocket-Version");
    refused(&request.bytes(), 426, "websocket_version").await;
}

#[tokio::test]
async fn request_behind_a_refused_one_is_not_served() {
    let (proxy, backend) = proxy().await;
    let mut wire = proxy.connect().await;
    let first = Upgrade::to("/").with("Sec-WebSocket-Version", "777");
    let second = Upgrade::to("/");
    wire.send(&[first.bytes(), second.bytes()].concat()).await;
    assert_eq!(wire.read_head().await.status(), 426);
    let (content, end) = wire.read_to_end().await;
    assert_eq!(end, End::Closed);
    let text = String::from_utf8(content).unwrap();
    assert!(!text.contains("HTTP/1.1"), "{text}");
    // Nor is one that comes after the answer.
    let _ = wire.try_send(&second.bytes()).await;
    wire.finish().await;
    refusal::expect_line(&proxy, &wire, "websocket_version").await;
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn requests_for_a_websocket_whose_connection_does_not_say_so_are_told_to_upgrade() {
    let rows = [
        Upgrade::to("/").with("Connection", "keep-alive"),
        Upgrade::to("/").without("Connection"),
    ];
    for request in rows {
        refused(&request.bytes(), 426, "not_websocket").await;
    }
}

#[tokio::test]
async fn requests_that_are_no_valid_handshake_are_malformed() {
    let good = || Upgrade::to("/");
    let rows = [
        malformed("POST", &good().line("POST / HTTP/1.1")),
        malformed("a body", &good().add("Content-Length", "5")),
        malformed("chunks", &good().add("Transfer-Encoding", "chunked")),
        malformed(
            "two framings",
            &good()
                .add("Content-Length", "0")
                .add("Transfer-Encoding", "chunked"),
        ),
        malformed(
            "two lengths",
            &good().add("Content-Length", "0").add("Content-Length", "0"),
        ),
        malformed("a signed length", &good().add("Content-Length", "+5")),
        malformed(
            "a huge length",
            &good().add("Content-Length", "18446744073709551616"),
        ),
        malformed(
            "space before the colon",
            &good().add("Transfer-Encoding ", "chunked"),
        ),
        malformed("no Host", &good().without("Host")),
        malformed("two Hosts", &good().add("Host", "localhost")),
        malformed("user information", &good().host("a@localhost")),
        malformed(
            "another absolute form",
            &good().line("GET https://other.test/ HTTP/1.1"),
        ),
        malformed("no key", &good().without("Sec-WebSocket-Key")),
        malformed("two keys", &good().add("Sec-WebSocket-Key", KEY)),
        malformed("a short key", &good().with("Sec-WebSocket-Key", "c2hvcnQ=")),
        malformed(
            "no base64",
            &good().with("Sec-WebSocket-Key", "!!!!!!!!!!!!!!!!!!!!!!=="),
        ),
        malformed("HTTP/1.0", &good().line("GET / HTTP/1.0")),
        malformed("NUL", &good().add("X-A", "a\0b")),
        malformed("obs-fold", &good().add("X-A", "a\r\n b")),
        malformed("bare LF", &good().add("X-A", "a\nX-B: b")),
        malformed("bare CR", &good().add("X-A", "a\rX-B: b")),
        malformed("a named Host", &good().add("Connection", "Host")),
    ];
    for (what, bytes) in rows {
        println!("{what}");
        refused(&bytes, 400, "malformed").await;
    }
}

#[tokio::test]
async fn too_many_fields_or_bytes_are_too_large() {
    let many = (0..2000).fold(Upgrade::to("/"), |request, number| {
        request.add(&format!("X-{number}"), "1")
    });
    refused(&many.bytes(), 431, "header_too_large").await;
    let long = Upgrade::to("/").add("X-Long", &"x".repeat(64 * 1024));
    refused(&long.bytes(), 431, "header_too_large").await;
}

#[tokio::test]
async fn hosts_in_other_spellings_are_one_host() {
    let backend = Backend::echo().await;
    let config = Config::to(&backend)
        .route("name = 'chat'\npath = '/'\nhost = ['chat.test']\nbackend = 'echo'");
    let proxy = Proxy::start(config);
    for host in ["chat.test", "CHAT.test", "chat.test.", "chat.test:8443"] {
        let request = Upgrade::to("/").host(host);
        let mut wire = proxy.dial().name("chat.test").connect().await;
        wire.send(&request.bytes()).await;
        assert_eq!(wire.read_head().await.status(), 101, "{host}");
    }
    let absolute = Upgrade::to("/")
        .host("chat.test")
        .line("GET https://chat.test/ HTTP/1.1");
    let mut wire = proxy.dial().name("chat.test").connect().await;
    wire.send(&absolute.bytes()).await;
    assert_eq!(wire.read_head().await.status(), 101);
}

#[tokio::test]
async fn head_that_dribbles_in_byte_by_byte_is_served_within_the_deadline() {
    let (proxy, _backend) = proxy().await;
    let mut wire = proxy.connect().await;
    let request = Upgrade::to("/").add("X-Padding", &"x".repeat(1000));
    for byte in request.bytes() {
        wire.send(&[byte]).await;
    }
    assert_eq!(wire.read_head().await.status(), 101);
}

#[tokio::test]
async fn head_without_end_is_refused_at_the_deadline() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "upgrade = '300ms'"));
    let mut wire = proxy.connect().await;
    wire.send(b"GET / HTTP/1.1\r\nHost: local").await;
    refusal::expect(&proxy, &mut wire, 408, "request_timeout").await;
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn client_that_says_nothing_is_told_so_at_the_deadline() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "upgrade = '200ms'"));
    let mut wire = proxy.connect().await;
    refusal::expect(&proxy, &mut wire, 408, "request_timeout").await;
}

#[tokio::test]
async fn clients_that_leave_without_a_whole_request_are_counted_by_how_far_they_came() {
    for (bytes, reason) in [(&b""[..], "no_request"), (b"GET / HT", "request_gone")] {
        let (proxy, _backend) = proxy().await;
        let mut wire = proxy.connect().await;
        wire.send(bytes).await;
        wire.finish().await;
        assert!(wire.read_to_end().await.0.is_empty());
        refusal::expect_line(&proxy, &wire, reason).await;
        let result = [("result", reason)];
        proxy
            .wait_for("tidegate_upgrades_total", &result, 1.0)
            .await;
    }
}

#[tokio::test]
async fn client_that_breaks_tls_in_its_request_ends_alone() {
    let (proxy, _backend) = proxy().await;
    let tcp = tokio::net::TcpStream::connect(proxy.address())
        .await
        .unwrap();
    let local = tcp.local_addr().unwrap();
    let stream = proxy.dial().over(tcp).await.unwrap();
    let (tcp, _) = stream.into_inner();
    let mut wire = Wire::new(tcp, Some(local));
    // A record that does not decrypt: a fatal alert follows, once (RFC 8446 section 5.2).
    wire.send(
        &[
            &[23, 3, 3, 0, 32][..],
            &[0x5a; 32],
            &[23, 3, 3, 0, 32],
            &[0x5a; 32],
        ]
        .concat(),
    )
    .await;
    wire.read_to_end().await;
    wire.finish().await;
    refusal::expect_line(&proxy, &wire, "request_gone").await;
    proxy.open("/").await;
    assert!(proxy.shared.connections.all().len() <= 1);
}

#[tokio::test]
async fn unusual_but_valid_spellings_are_served() {
    let (proxy, _backend) = proxy().await;
    let rows = [
        Upgrade::to("/").with("Upgrade", "WebSocket"),
        Upgrade::to("/").with("Upgrade", "websocket, h2c"),
        Upgrade::to("/").line("\r\nGET / HTTP/1.1"),
        Upgrade::to("/").with("Connection", "keep-alive, uPgRaDe"),
        Upgrade::to("/")
            .with("Connection", "keep-alive")
            .add("Connection", "Upgrade"),
        Upgrade::to("/a%20b/;c?x=%00&y=?"),
        Upgrade::to("/").add("Content-Length", "0"),
    ];
    for request in rows {
        let (mut socket, _) = proxy.open_with(&request).await;
        socket.send(&frame::text("hello")).await;
        assert_eq!(socket.read_frame().await.payload, b"hello");
    }
}

#[tokio::test]
async fn nothing_that_a_client_chooses_makes_a_new_series() {
    let backend = Backend::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").await;
    let config = Config::to(&backend)
        .route("name = 'any'\npath = '/'\nbackend = 'echo'")
        .route("name = 'one'\npath = '/'\nhost = ['one.edge.test']\nbackend = 'echo'");
    let proxy = Proxy::start(config);
    let before = proxy.series();
    let dial = proxy.dial().resuming();
    for number in 0..120 {
        let request = Upgrade::to(&format!("/path-{number}?query={number}"))
            .host(&format!("host-{number}.edge.test"))
            .add("User-Agent", &format!("agent-{number}"))
            .add("Sec-WebSocket-Protocol", &format!("protocol-{number}"))
            .add("Sec-WebSocket-Extensions", &format!("extension-{number}"))
            .add("Origin", &format!("https://origin-{number}.test"))
            .add("X-Request-Id", &format!("id-{number}"));
        let mut wire = dial.connect().await;
        wire.send(&request.bytes()).await;
        assert_eq!(wire.read_head().await.status(), 404);
    }
    for number in 0..10 {
        let issued = proxy.credentials.named(&format!("name-{number}"));
        let mut wire = proxy.dial().identity(issued).connect().await;
        wire.send(&Upgrade::to("/").bytes()).await;
        assert_eq!(wire.read_head().await.status(), 404);
    }
    assert_eq!(proxy.series(), before);
}
