//! Where one request ends and the next begins, and contents of every kind.

use crate::support::{
    Backend, Config, End, Proxy,
    http::{answer, get},
};

/// A request that two readers could take apart differently, and what a smuggler would have behind it.
fn desynchronised(fields: &str) -> Vec<u8> {
    let line = "POST /first HTTP/1.1\r\nHost: localhost\r\n";
    let smuggled = "GET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n";
    format!("{line}{fields}\r\n0\r\n\r\n{smuggled}").into_bytes()
}

#[tokio::test]
async fn a_request_with_two_framings_is_refused_wherever_it_stands_and_never_reaches_a_backend() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: 5\nX: y\r\n",
    ] {
        for ahead in [0, 1] {
            let mut wire = proxy.connect().await;
            for _ in 0..ahead {
                wire.ask(&get("/ahead", "")).await;
            }
            wire.send(&desynchronised(fields)).await;
            let refused = wire.read_answer().await;
            assert_eq!(
                refused.head.status(),
                400,
                "{fields:?}: {}",
                refused.content
            );
            assert_eq!(refused.end, End::Closed);
        }
    }
    let ahead = |head: &crate::support::wire::Head| head.line.starts_with("GET /ahead ");
    assert!(backend.requests().iter().all(ahead));
}

#[tokio::test]
async fn chunks_that_break_their_framing_are_refused_and_the_backend_gets_no_whole_request() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhelloX",
        "-1\r\n",
        "0x5\r\nhello\r\n",
    ] {
        let mut wire = proxy.connect().await;
        let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
        wire.send(format!("{head}{chunks}").as_bytes()).await;
        let refused = wire.read_answer().await;
        assert_eq!(
            refused.head.status(),
            400,
            "{chunks:?}: {}",
            refused.content
        );
    }
    assert_eq!(
        proxy.metric("tidegate_requests_total", &[("code", "2xx")]),
        0.0
    );
}

#[tokio::test]
async fn a_large_content_is_streamed_both_ways() {
    const SIZE: usize = 3 << 20;
    let backend = Backend::script(|mut served| async move {
        while let Some(message) = served.message().await {
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n",
                message.content.len()
            );
            served.wire.send(head.as_bytes()).await;
            served.wire.send(&message.content).await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let content: Vec<u8> = (0..=250).cycle().take(SIZE).collect();
    let mut wire = proxy.connect().await;
    for framing in [
        format!("Content-Length: {SIZE}"),
        "Transfer-Encoding: chunked".to_owned(),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n");
        let mut request = head.into_bytes();
        if framing.ends_with("chunked") {
            for chunk in content.chunks(70_001) {
                request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
                request.extend_from_slice(chunk);
                request.extend_from_slice(b"\r\n");
            }
            request.extend_from_slice(b"0\r\n\r\n");
        } else {
            request.extend_from_slice(&content);
        }
        assert!(wire.ask(&request).await.content == content, "{framing}");
    }
}

#[tokio::test]
async fn a_client_that_waits_for_a_100_gets_one_and_then_its_answer() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.read_head().await.status(), 100);
    assert_eq!(wire.ask(b"hello").await.text(), "POST / hello");
    assert_eq!(backend.request().await.field("Expect"), None);
}

#[tokio::test]
async fn a_content_beyond_its_limit_is_refused_and_the_answer_arrives() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend).set("limits", "body = '1KiB'"));
    let fits = "x".repeat(1024);
    let post = |framing: &str, content: &str| {
        format!("POST / HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n{content}").into_bytes()
    };
    let mut wire = proxy.connect().await;
    let fine = wire.ask(&post("Content-Length: 1024", &fits)).await;
    assert_eq!(fine.head.status(), 200);
    // More than the system's buffers hold: the client is still sending when it is refused.
    let large = "x".repeat(5 << 20);
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    for request in [
        post(&format!("Content-Length: {}", large.len()), &large),
        post("Transfer-Encoding: chunked", &chunk),
    ] {
        let mut wire = proxy.connect().await;
        wire.send(&request).await;
        let refused = wire.read_answer().await;
        assert_eq!(refused.head.status(), 413, "{}", refused.content);
        assert!(refused.content.contains("body_too_large"));
    }
}

#[tokio::test]
async fn limits_of_a_head_are_what_the_configuration_says() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let many = |count: usize| get("/", &"X: y\r\n".repeat(count));
    let mut wire = proxy.connect().await;
    assert_eq!(wire.ask(&many(199)).await.head.status(), 200);
    wire.send(&many(200)).await;
    let refused = wire.read_answer().await;
    assert_eq!(refused.head.status(), 431);
    assert!(refused.content.contains("limits.header_fields"));
    let config = Config::to(&backend).set("limits", "header_fields = 10\nheader = '1KiB'");
    let proxy = Proxy::start(config);
    for (request, key) in [
        (many(10), "limits.header_fields"),
        (
            get("/", &format!("X: {}\r\n", "y".repeat(1024))),
            "limits.header",
        ),
    ] {
        let mut wire = proxy.connect().await;
        wire.send(&request).await;
        let refused = wire.read_answer().await;
        assert_eq!(refused.head.status(), 431, "{}", refused.content);
        assert!(refused.content.contains(key), "{}", refused.content);
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_is_answered_and_its_connection_ended() {
    let backend = Backend::answering(answer("200 OK", "", "old")).await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(b"GET / HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n")
        .await;
    let answered = wire.read_answer().await;
    assert_eq!((answered.head.status(), &*answered.content), (200, "old"));
    assert_eq!(answered.end, End::Closed);
}

#[tokio::test]
async fn methods_that_tunnel_or_reflect_are_refused() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    for method in ["CONNECT", "TRACE"] {
        let mut wire = proxy.connect().await;
        let request = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
        wire.send(request.as_bytes()).await;
        assert_eq!(wire.read_answer().await.head.status(), 400, "{method}");
    }
    assert_eq!(backend.connections(), 0);
}

#[tokio::test]
async fn every_target_that_a_websocket_may_ask_for_is_forwarded_for_a_plain_request_too() {
    let backend = Backend::http().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let graphic = (b'!'..=b'~').filter(|byte| !b"#%?\"<>`".contains(byte));
    let graphic: String = graphic.map(char::from).collect();
    let rows = [
        (format!("/{graphic}?{graphic}?"), None),
        ("//a/../b;c//?".to_owned(), None),
        // No URI has these (RFC 3986 section 2); a server that decodes it reads the same.
        (
            "/\"<>`?q={\"a\":[1]}<>`".to_owned(),
            Some("/%22%3C%3E%60?q={%22a%22:[1]}%3C%3E%60"),
        ),
    ];
    for (target, expected) in rows {
        let answered = wire.ask(&get(&target, "")).await;
        let expected = format!("GET {} ", expected.unwrap_or(&target));
        assert_eq!(answered.text(), expected);
    }
}

#[tokio::test]
async fn an_answer_that_comes_before_the_content_is_read_reaches_a_client_that_still_sends() {
    for last in ["Connection: close\r\n", ""] {
        let given = answer("413 Content Too Large", last, "too much");
        // Reads the head alone, answers and hangs up.
        let backend = Backend::script(move |mut served| {
            let given = given.clone();
            async move {
                if served.request().await.is_some() {
                    served.wire.send(given.as_bytes()).await;
                }
            }
        })
        .await;
        let proxy = Proxy::start(Config::to(&backend));
        let mut wire = proxy.connect().await;
        let large = "x".repeat(5 << 20);
        let length = large.len();
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{large}"
        );
        wire.send(request.as_bytes()).await;
        let answered = wire.read_message().await;
        assert_eq!((answered.head.status(), answered.text()), (413, "too much"));
    }
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_was_told_to_go_on() {
    let backend = Backend::cutting().await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    let head =
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    wire.send(head.as_bytes()).await;
    assert_eq!(wire.read_head().await.status(), 100);
    wire.send(b"hello").await;
    assert_eq!(wire.read_answer().await.head.status(), 502);
}
