//! What a backend may answer, and what the client sees of it.

use super::{asked, head};
use crate::support::{
    Backend, Config, End, Proxy, Upgrade, refusal,
    request::{ACCEPT, switching},
};

/// A good 101 with more fields.
fn switched(more: &[&str]) -> String {
    let more: String = more.iter().flat_map(|field| [field, "\r\n"]).collect();
    switching(ACCEPT) + &more + "\r\n"
}

async fn answered(request: &Upgrade, more: &[&str]) -> (Proxy, crate::support::Wire, Backend) {
    let backend = Backend::answering(switched(more)).await;
    let proxy = Proxy::start(Config::to(&backend));
    let wire = asked(&proxy, request).await;
    (proxy, wire, backend)
}

#[tokio::test]
async fn subprotocol_or_extension_that_was_not_offered_is_a_bad_gateway() {
    let offering = || {
        Upgrade::to("/")
            .add("Sec-WebSocket-Protocol", "chat.v1, chat.v2")
            .add("Sec-WebSocket-Extensions", "permessage-deflate")
    };
    let none = Upgrade::to("/");
    for (request, more) in [
        (none.clone(), &["Sec-WebSocket-Protocol: chat.v1"][..]),
        (
            none.clone(),
            &["Sec-WebSocket-Extensions: permessage-deflate"],
        ),
        (offering(), &["Sec-WebSocket-Protocol: chat.v3"]),
        (offering(), &["Sec-WebSocket-Protocol: chat.v1, chat.v2"]),
        (
            offering(),
            &[
                "Sec-WebSocket-Protocol: chat.v1",
                "Sec-WebSocket-Protocol: chat.v2",
            ],
        ),
        (offering(), &["Sec-WebSocket-Protocol:"]),
        (
            offering(),
            &["Sec-WebSocket-Extensions: permessage-deflate, x"],
        ),
    ] {
        let (proxy, mut wire, _backend) = answered(&request, more).await;
        refusal::expect(&proxy, &mut wire, 502, "backend_nonsense").await;
    }
    for more in [
        &[][..],
        &["Sec-WebSocket-Protocol: chat.v2"],
        &["Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover"],
    ] {
        let (_proxy, mut wire, _backend) = answered(&offering(), more).await;
        assert_eq!(wire.read_head().await.status(), 101, "{more:?}");
    }
}

/// A backend that sends this and cuts the connection.
async fn cutting(answer: &'static str) -> Backend {
    Backend::script(move |mut served| async move {
        if served.request().await.is_some() {
            served.wire.send(answer.as_bytes()).await;
        }
    })
    .await
}

/// The client sees the status and as much of the content as came.
async fn keeps_its_status(proxy: &Proxy, content: &str) {
    let mut wire = asked(proxy, &Upgrade::to("/")).await;
    let answer = wire.read_answer().await;
    assert_eq!(answer.head.status(), 403, "{}", answer.head);
    assert_eq!(answer.head.field("X-Reason"), Some("quota"));
    assert_eq!(
        (answer.content.as_str(), answer.end),
        (content, End::Closed)
    );
    let length = content.len().to_string();
    assert_eq!(answer.head.field("Content-Length"), Some(length.as_str()));
    wire.finish().await;
    refusal::expect_line(proxy, &wire, "backend_declined").await;
    let detail = format!("its content was cut off after {length} bytes");
    let line = proxy.lines_of(&wire).remove(0);
    assert!(line.field("detail").contains(&detail), "{line:?}");
}

#[tokio::test]
async fn declining_answer_that_is_cut_short_keeps_its_status() {
    let line = "HTTP/1.1 403 Forbidden";
    let chunked = ["X-Reason: quota", "Transfer-Encoding: chunked"];
    let rows = [
        (
            head(line, &["X-Reason: quota", "Content-Length: 100"]),
            "short",
        ),
        (head(line, &["X-Reason: quota", "Content-Length: 100"]), ""),
        (head(line, &chunked) + "a\r\n", "short"),
        (head(line, &chunked) + "a\r\n", ""),
    ];
    for (head, content) in rows {
        let answer: &'static str = (head + content).leak();
        let backend = cutting(answer).await;
        keeps_its_status(&Proxy::start(Config::to(&backend)), content).await;
        // One that is silent in the middle of its content is cut at the deadline.
        let backend = Backend::answering(answer).await;
        let config = Config::to(&backend).set("timeouts", "connect = '300ms'");
        keeps_its_status(&Proxy::start(config), content).await;
    }
}

#[tokio::test]
async fn declining_answer_that_is_too_long_keeps_its_status() {
    let fields = ["X-Reason: quota", "Content-Length: 2000000"];
    let answer = head("HTTP/1.1 403 Forbidden", &fields) + &"x".repeat(2_000_000);
    let backend = Backend::answering(answer).await;
    keeps_its_status(&Proxy::start(Config::to(&backend)), &"x".repeat(1 << 20)).await;
}

/// The names of a head's fields, as they were written.
fn names(head: &crate::support::wire::Head) -> Vec<&str> {
    head.fields.iter().map(|(name, _)| name.as_str()).collect()
}

#[tokio::test]
async fn names_of_fields_are_written_as_their_rfcs_write_them() {
    let lower = [
        "upgrade: websocket",
        "connection: upgrade",
        &format!("sec-websocket-accept: {ACCEPT}"),
        "sec-websocket-protocol: chat",
        "sec-websocket-extensions: permessage-deflate",
        "set-cookie: a=b",
    ];
    let backend = Backend::answering(head("HTTP/1.1 101 Yes", &lower)).await;
    let proxy = Proxy::start(Config::to(&backend));
    let asked = [
        ("host", "localhost"),
        ("UPGRADE", "websocket"),
        ("connection", "upgrade"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", crate::support::request::KEY),
        ("SEC-WEBSOCKET-PROTOCOL", "chat"),
        ("Sec-Websocket-Extensions", "permessage-deflate"),
        ("origin", "https://a.test"),
    ];
    let request = asked
        .iter()
        .fold(Upgrade::to("/"), |request, (name, value)| {
            request.with(name, value)
        });
    let (_socket, answer) = proxy.open_with(&request).await;
    let got = backend.request().await;
    for name in [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Origin",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Request-Id",
        "Client-Cert",
        "X-Forwarded-Client-Cert",
    ] {
        assert!(names(&got).contains(&name), "{name}: {got}");
    }
    for name in [
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Set-Cookie",
    ] {
        assert!(names(&answer).contains(&name), "{name}: {answer}");
    }
}

#[tokio::test]
async fn upgrade_that_offers_other_protocols_too_is_one_for_a_websocket() {
    let backend = Backend::echo().await;
    let proxy = Proxy::start(Config::to(&backend));
    let request = Upgrade::to("/")
        .with("Upgrade", "h2c, websocket")
        .with("Connection", "Upgrade, HTTP2-Settings")
        .add("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
    proxy.open_with(&request).await;
    let got = backend.request().await;
    assert_eq!(got.field("Upgrade"), Some("websocket"));
    assert_eq!(got.field("HTTP2-Settings"), None);
}
