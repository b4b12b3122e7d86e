//! Stage 6: the backend's connection, the request that it gets, and its answer.

mod answers;
mod certificate;
mod early;
mod known;
mod load;
mod untaken;

use crate::support::{
    Backend, Config, End, Proxy, Upgrade, Wire, frame, refusal,
    request::{ACCEPT, switching},
};
use tidegate::frame::Opcode;

/// A good handshake's answer but for what a test changes.
fn head(status_line: &str, fields: &[&str]) -> String {
    format!("{status_line}\r\n{}\r\n\r\n", fields.join("\r\n"))
}

async fn asked(proxy: &Proxy, request: &Upgrade) -> Wire {
    let mut wire = proxy.connect().await;
    wire.send(&request.bytes()).await;
    wire
}

/// A backend's answer is no 101: the client gets 502, and the backend loses the connection.
async fn nonsense(answer: impl Into<Vec<u8>>) {
    let backend = Backend::answering(answer).await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    let document = refusal::expect(&proxy, &mut wire, 502, "backend_nonsense").await;
    let detail = document["detail"].as_str().unwrap();
    assert!(
        !detail.contains("127.0.0.1"),
        "it names the backend: {detail}"
    );
    proxy.wait_for("tidegate_backend_open", &[], 0.0).await;
}

#[tokio::test]
async fn answer_that_is_no_valid_101_is_a_bad_gateway() {
    const LINE: &str = "HTTP/1.1 101 Switching Protocols";
    const UPGRADE: &str = "Upgrade: websocket";
    const CONNECTION: &str = "Connection: Upgrade";
    let accept = format!("Sec-WebSocket-Accept: {ACCEPT}");
    let accept = accept.as_str();
    let wrong = "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    nonsense(head(LINE, &[UPGRADE, CONNECTION, wrong])).await;
    nonsense(head(LINE, &[UPGRADE, CONNECTION])).await;
    nonsense(head(LINE, &[UPGRADE, CONNECTION, accept, wrong])).await;
    nonsense(head(LINE, &[CONNECTION, accept])).await;
    nonsense(head(LINE, &[UPGRADE, accept])).await;
    nonsense(head(LINE, &["Upgrade: h2c", CONNECTION, accept])).await;
    nonsense(head(LINE, &[UPGRADE, "Connection: close", accept])).await;
    nonsense(head("HTTP/1.0 101 Yes", &[UPGRADE, CONNECTION, accept])).await;
    nonsense("SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    nonsense([0x15, 3, 3, 0, 2, 2, 40]).await;
    nonsense(format!("{LINE}\r\nX: {}\r\n\r\n", "x".repeat(1 << 17))).await;
}

#[tokio::test]
async fn backend_that_cuts_the_handshake_is_a_bad_gateway() {
    let backend = Backend::cutting().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 502, "backend_nonsense").await;
}

#[tokio::test]
async fn backend_that_says_nothing_is_too_slow() {
    let backend = Backend::silent().await;
    let proxy = Proxy::start(Config::to(&backend).set("timeouts", "connect = '300ms'"));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 504, "backend_timeout").await;
    proxy.wait_for("tidegate_backend_open", &[], 0.0).await;
}

#[tokio::test]
async fn backend_that_refuses_is_down_until_it_is_back() {
    let backend = Backend::refusing().await;
    let proxy = Proxy::start(Config::to(&backend));
    assert_eq!(proxy.metric("tidegate_backend_up", &[]), 1.0);
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 502, "backend_unreachable").await;
    assert_eq!(proxy.metric("tidegate_backend_up", &[]), 0.0);
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    refusal::expect(&proxy, &mut wire, 503, "no_backend_up").await;

    let _back = Backend::echo_at(backend.address()).await;
    proxy.wait_for("tidegate_backend_up", &[], 1.0).await;
    proxy.open("/").await;
}

#[tokio::test]
async fn server_that_refuses_is_passed_over_for_the_next() {
    let (down, backend) = (Backend::refusing().await, Backend::echo().await);
    let config = Config::to(&backend)
        .backend("echo", &[down.url(), backend.url()])
        .set("backend.echo", "balance = 'round-robin'");
    let proxy = Proxy::start(config);
    for _ in 0..4 {
        proxy.open("/").await;
    }
    let down = down.url();
    assert_eq!(
        proxy.metric("tidegate_backend_up", &[("server", &down)]),
        0.0
    );
    let up = backend.url();
    assert_eq!(proxy.metric("tidegate_backend_up", &[("server", &up)]), 1.0);
    let refused = proxy.metric(
        "tidegate_upgrades_total",
        &[("result", "backend_unreachable")],
    );
    assert_eq!(refused, 0.0);
}

#[tokio::test]
async fn unix_socket_is_a_backend_too() {
    let folder = crate::support::proxy::Folder::new();
    let backend = Backend::unix_echo(&folder.path("backend.sock"));
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    socket.send(&frame::text("hello")).await;
    assert_eq!(socket.read_frame().await.payload, b"hello");
}

#[tokio::test]
async fn answer_of_200_that_pretends_to_upgrade_opens_no_tunnel() {
    let answer = format!(
        "HTTP/1.1 200 OK\r\nUpgrade: websocket\r\nConnection: keep-alive\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\nContent-Length: 2\r\n\r\nno"
    );
    let backend = Backend::answering(answer).await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    let head = wire.read_head().await;
    assert_eq!(head.status(), 200);
    assert_eq!(head.field("Upgrade"), None, "{head}");
    assert_eq!(head.field("Connection"), Some("close"));
    // What the client sends now would be a request to the backend, if there were a tunnel.
    let _ = wire.try_send(&Upgrade::to("/smuggled").bytes()).await;
    assert_eq!(wire.read_to_end().await, (b"no".to_vec(), End::Closed));
    wire.finish().await;
    refusal::expect_line(&proxy, &wire, "backend_declined").await;
    assert_eq!(backend.requests().len(), 1);
}

#[tokio::test]
async fn refusal_of_the_backend_is_passed_on_whole() {
    let rows = [
        (
            "302 Found",
            "Location: https://login.test/\r\n",
            "over there",
        ),
        (
            "401 Unauthorized",
            "WWW-Authenticate: Basic realm=\"x\"\r\n",
            "who?",
        ),
        (
            "403 Forbidden",
            "Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n",
            "",
        ),
        ("500 Internal Server Error", "", "oops"),
    ];
    for (status, fields, content) in rows {
        let length = content.len();
        let backend = Backend::answering(format!(
            "HTTP/1.1 {status}\r\n{fields}Content-Length: {length}\r\nKeep-Alive: 5\r\n\r\n{content}"
        ))
        .await;
        let proxy = Proxy::start(Config::to(&backend));
        let mut wire = asked(&proxy, &Upgrade::to("/")).await;
        let answer = wire.read_answer().await;
        assert_eq!(answer.head.status(), status[..3].parse::<u16>().unwrap());
        assert_eq!(
            (answer.content.as_str(), answer.end),
            (content, End::Closed)
        );
        assert_eq!(answer.head.field("Keep-Alive"), None);
        for field in fields.lines() {
            let (name, value) = field.split_once(": ").unwrap();
            assert!(answer.head.all(name).contains(&value), "{}", answer.head);
        }
        wire.finish().await;
        refusal::expect_line(&proxy, &wire, "backend_declined").await;
        let declined = [("route", "echo"), ("result", "backend_declined")];
        proxy
            .wait_for("tidegate_upgrades_total", &declined, 1.0)
            .await;
    }
}

#[tokio::test]
async fn chunked_refusal_of_the_backend_is_passed_on_with_its_length() {
    let backend = Backend::answering(
        "HTTP/1.1 403 Forbidden\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nnot\r\n4\r\n you\r\n0\r\n\r\n",
    )
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    let answer = wire.read_answer().await;
    assert_eq!(answer.content, "not you");
    assert_eq!(answer.head.field("Content-Length"), Some("7"));
    assert_eq!(answer.head.field("Transfer-Encoding"), None);
}

#[tokio::test]
async fn client_gets_its_101_only_after_the_backends_own() {
    let (say, said) = tokio::sync::watch::channel(false);
    let backend = Backend::script(move |mut served| {
        let mut said = said.clone();
        async move {
            let Some(head) = served.request().await else {
                return;
            };
            said.wait_for(|said| *said).await.unwrap();
            let answer = format!("{}\r\n", switching(&head.accept()));
            served.wire.send(answer.as_bytes()).await;
            served.echo().await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = asked(&proxy, &Upgrade::to("/")).await;
    backend.request().await;
    assert_eq!(proxy.metric("tidegate_websockets_open", &[]), 0.0);
    assert!(wire.pending().is_empty());
    say.send_replace(true);
    assert_eq!(wire.read_head().await.status(), 101);
}

#[tokio::test]
async fn frames_sent_with_the_request_arrive_behind_the_verified_101() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let long = vec![7; 1 << 20];
    let early = [frame::text("one"), frame::text("two"), frame::binary(&long)].concat();
    wire.send(&[Upgrade::to("/").bytes(), early].concat()).await;
    assert_eq!(wire.read_head().await.status(), 101);
    assert_eq!(wire.read_frame().await.payload, b"one");
    assert_eq!(wire.read_frame().await.payload, b"two");
    assert!(wire.read_frame().await.payload == long);
}

#[tokio::test]
async fn frames_sent_with_a_refused_request_never_reach_the_backend() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let backend = Backend::script(move |mut served| {
        let tell = tell.clone();
        async move {
            if served.request().await.is_some() {
                let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
                served.wire.send(answer).await;
                tell.send(served.wire.read_to_end().await).unwrap();
            }
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let smuggled = b"GET /admin HTTP/1.1\r\nHost: localhost\r\n\r\n";
    wire.send(&[&Upgrade::to("/").bytes()[..], smuggled].concat())
        .await;
    assert_eq!(wire.read_head().await.status(), 403);
    let (behind, _) = told.recv().await.unwrap();
    assert!(behind.is_empty(), "{:?}", behind.escape_ascii().to_string());
}

#[tokio::test]
async fn frames_in_one_segment_with_the_backends_101_arrive() {
    let long = vec![7; 70_000];
    let expected = long.clone();
    let backend = Backend::script(move |mut served| {
        let long = long.clone();
        async move {
            let Some(head) = served.request().await else {
                return;
            };
            let answer = format!("{}\r\n", switching(&head.accept()));
            let frames = [
                frame::plain(Opcode::Text, b"first"),
                frame::plain(Opcode::Binary, &long),
            ];
            let all = [answer.into_bytes(), frames.concat()].concat();
            served.wire.send(&all).await;
            served.echo().await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut socket = proxy.open("/").await;
    assert_eq!(socket.read_frame().await.payload, b"first");
    assert!(socket.read_frame().await.payload == expected);
    socket.send(&frame::text("and on")).await;
    assert_eq!(socket.read_frame().await.payload, b"and on");
}

#[tokio::test]
async fn end_to_end_fields_pass_in_both_directions() {
    let backend = Backend::script(|mut served| async move {
        let Some(head) = served.request().await else {
            return;
        };
        let answer = format!(
            "{}Sec-WebSocket-Protocol: chat.v2\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\
             Set-Cookie: a=b\r\nX-Backend: here\r\nX-Hop: 1\r\nConnection: X-Hop\r\n\r\n",
            switching(&head.accept())
        );
        served.wire.send(answer.as_bytes()).await;
        served.echo().await;
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let kept = [
        ("Cookie", "session=1; b=2"),
        ("Origin", "https://page.test"),
        ("Authorization", "Bearer x"),
        ("Sec-WebSocket-Protocol", "chat.v1, chat.v2"),
        (
            "Sec-WebSocket-Extensions",
            "permessage-deflate; client_max_window_bits",
        ),
        ("X-Custom", "kept"),
    ];
    let request = kept
        .iter()
        .fold(Upgrade::to("/a/b?c=d&e=%2F"), |request, (name, value)| {
            request.add(name, value)
        });
    let (_socket, answer) = proxy.open_with(&request.host("localhost:8443")).await;
    let got = backend.request().await;
    assert_eq!(got.line, "GET /a/b?c=d&e=%2F HTTP/1.1");
    assert_eq!(got.field("Host"), Some("localhost:8443"));
    for (name, value) in kept {
        assert_eq!(got.field(name), Some(value), "{name}");
    }
    for (name, value) in [
        ("Sec-WebSocket-Protocol", "chat.v2"),
        ("Sec-WebSocket-Extensions", "permessage-deflate"),
        ("Set-Cookie", "a=b"),
        ("X-Backend", "here"),
        ("Sec-WebSocket-Accept", ACCEPT),
    ] {
        assert_eq!(answer.field(name), Some(value), "{name}");
    }
    assert_eq!(answer.field("X-Hop"), None, "it is for one hop");
}

#[tokio::test]
async fn fields_about_the_client_are_the_proxys_own_whatever_the_client_sends() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let names = [
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "X-Forwarded-Port",
        "X-Request-Id",
        "Client-Cert",
        "Client-Cert-Chain",
        "X-Forwarded-Client-Cert",
        "Frame-Integrity",
    ];
    let request = names.iter().fold(Upgrade::to("/"), |request, name| {
        request
            .add(name, "forged")
            .add(name, "forged")
            .add(&name.to_uppercase(), "forged")
            .add(&name.replace('-', "_"), "forged")
            .add(&name.to_lowercase().replacen('-', "_", 1), "forged")
    });
    let request = request
        .add("Forwarded", "for=forged")
        .add("X-Real-IP", "forged");
    let (socket, _) = proxy.open_with(&request).await;
    let got = backend.request().await;
    assert!(!got.to_string().contains("forged"), "{got}");
    let port = proxy.address().port().to_string();
    let id = proxy.wait_lines(&socket, 1).await[0].field("id").to_owned();
    for (name, value) in [
        ("X-Forwarded-For", "127.0.0.1"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "localhost"),
        ("X-Forwarded-Port", &port),
        ("X-Request-Id", &id),
    ] {
        assert_eq!(got.field(name), Some(value), "{name}");
    }
    assert_eq!(got.all("Client-Cert").len(), 1);
    assert_eq!(got.all("X-Forwarded-Client-Cert").len(), 1);
}

#[tokio::test]
async fn connection_is_rebuilt_and_removes_nothing_that_the_proxy_sets() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let request = Upgrade::to("/")
        .with(
            "Connection",
            "Upgrade, X-Hop, Client-Cert, X-Forwarded-For, keep-alive",
        )
        .add("X-Hop", "1")
        .add("Keep-Alive", "timeout=5")
        .add("Proxy-Authorization", "Basic x")
        .add("TE", "trailers");
    proxy.open_with(&request).await;
    let got = backend.request().await;
    assert_eq!(got.field("Connection"), Some("Upgrade"));
    assert_eq!(got.field("Upgrade"), Some("websocket"));
    for name in ["X-Hop", "Keep-Alive", "Proxy-Authorization", "TE"] {
        assert_eq!(got.field(name), None, "{name}");
    }
    assert!(got.field("Client-Cert").is_some());
    assert_eq!(got.field("X-Forwarded-For"), Some("127.0.0.1"));
}
