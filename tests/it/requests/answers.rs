//! Answers of every kind, streamed.

use crate::support::{
    Backend, Config, End, Proxy, eventually,
    http::{answer, get},
};
use std::sync::Arc;
use tokio::sync::Semaphore;

#[tokio::test]
async fn events_arrive_one_by_one_and_not_together() {
    let go = Arc::new(Semaphore::new(0));
    let more = go.clone();
    let backend = Backend::script(move |mut served| {
        let go = go.clone();
        async move {
            served.request().await;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
            served.wire.send(head.as_bytes()).await;
            for number in 0..3 {
                go.acquire().await.unwrap().forget();
                let event = format!("9\r\ndata: {number}\n\n\r\n");
                served.wire.send(event.as_bytes()).await;
            }
            served.wire.send(b"0\r\n\r\n").await;
        }
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(&get("/events", "")).await;
    let head = wire.read_head().await;
    assert_eq!(head.field("Content-Type"), Some("text/event-stream"));
    for number in 0..3 {
        // The next is made only once this one is here.
        more.add_permits(1);
        let event = wire.read_chunk().await.unwrap();
        assert_eq!(event, format!("data: {number}\n\n").as_bytes());
    }
    assert_eq!(wire.read_chunk().await, None);
}

#[tokio::test]
async fn answers_without_content_keep_their_fields_and_the_connection() {
    for (request, given) in [
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1234\r\n\r\n",
        ),
    ] {
        let backend = Backend::script(move |mut served| async move {
            while served.request().await.is_some() {
                served.wire.send(given.as_bytes()).await;
            }
        })
        .await;
        let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 1"));
        let mut wire = proxy.connect().await;
        for _ in 0..2 {
            let line = format!("{request} / HTTP/1.1\r\nHost: localhost\r\n\r\n");
            wire.send(line.as_bytes()).await;
            let head = wire.read_head().await;
            // Of a 304 it is optional (RFC 9110 section 8.6).
            let length = (request == "HEAD").then_some("1234");
            assert_eq!(head.field("Content-Length"), length, "{given}");
            assert_eq!(head.field("Connection"), None, "{given}");
        }
        assert_eq!(backend.connections(), 1, "{given}");
    }
}

#[tokio::test]
async fn fields_of_an_answer_pass_but_for_those_of_the_hop() {
    let fields = "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\nLocation: /next\r\nConnection: X-Hop\r\n\
        X-Hop: 1\r\nKeep-Alive: timeout=5\r\nWWW-Authenticate: Basic realm=\"x\"\r\n";
    let whole = answer("302 Found", fields, "moved");
    let backend = Backend::answering(whole).await;
    let proxy = Proxy::start(Config::to(&backend));
    let answered = proxy.connect().await.ask(&get("/", "")).await;
    assert_eq!(answered.head.status(), 302);
    assert_eq!(answered.head.all("Set-Cookie"), ["a=1", "b=2"]);
    assert_eq!(answered.head.field("Location"), Some("/next"));
    assert_eq!(
        answered.head.field("WWW-Authenticate"),
        Some("Basic realm=\"x\"")
    );
    for gone in ["X-Hop", "Keep-Alive", "Connection"] {
        assert_eq!(answered.head.field(gone), None, "{gone}");
    }
}

#[tokio::test]
async fn trailer_fields_pass_to_a_client_that_takes_them() {
    let text = "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
        2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n";
    let backend = Backend::answering(text).await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(&get("/", "TE: trailers\r\nConnection: TE\r\n"))
        .await;
    let head = wire.read_head().await;
    assert_eq!(head.field("Trailer"), Some("X-Sum"));
    assert_eq!(wire.read_chunk().await.unwrap(), b"ok");
    let rest = wire.read_exact("0\r\nx-sum: 7\r\n\r\n".len()).await;
    assert_eq!(rest.to_ascii_lowercase(), b"0\r\nx-sum: 7\r\n\r\n");
}

#[tokio::test]
async fn an_answer_with_trailer_fields_ends_as_any_other_whether_its_client_takes_them_or_not() {
    let (declared, undeclared) = ("Trailer: X-Sum\r\n", "");
    let (takes, takes_none) = ("TE: trailers\r\nConnection: TE\r\n", "");
    for (announced, fields, passed) in [
        (declared, takes, "X-Sum: 7\r\n"),
        (declared, takes_none, ""),
        (undeclared, takes, ""),
        (undeclared, takes_none, ""),
    ] {
        let head = format!("HTTP/1.1 200 OK\r\n{announced}Transfer-Encoding: chunked\r\n\r\n");
        let whole = format!("{head}2\r\nok\r\n0\r\nX-Sum: 7\r\nX-More: 8\r\n\r\n");
        let backend = Backend::script(move |mut served| {
            let whole = whole.clone();
            async move {
                while served.request().await.is_some() {
                    served.wire.send(whole.as_bytes()).await;
                }
            }
        })
        .await;
        let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 1"));
        let mut wire = proxy.connect().await;
        for _ in 0..2 {
            wire.send(&get("/", fields)).await;
            wire.read_head().await;
            let rest = format!("2\r\nok\r\n0\r\n{passed}\r\n");
            assert_eq!(wire.read_exact(rest.len()).await, rest.as_bytes());
        }
        for line in proxy.wait_lines(&wire, 2).await {
            assert_eq!(line.field("reason"), "", "{announced}{fields}");
        }
        assert_eq!(backend.connections(), 1, "{announced}{fields}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_cut_for_its_client_as_well() {
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this";
    let backend = Backend::script(move |mut served| async move {
        served.request().await;
        served.wire.send(text.as_bytes()).await;
    })
    .await;
    let proxy = Proxy::start(Config::to(&backend));
    let mut wire = proxy.connect().await;
    wire.send(&get("/", "")).await;
    let (bytes, end) = wire.read_to_end().await;
    assert!(bytes.ends_with(b"only this"));
    assert_ne!(end, End::Closed, "a close_notify would make it look whole");
    let line = proxy.wait_lines(&wire, 1).await.remove(0);
    assert_eq!(line.field("reason"), "backend_cut");
}

#[tokio::test]
async fn backends_that_do_not_answer_are_told_apart_by_status() {
    let silent = Backend::silent().await;
    let rows = [
        (Backend::refusing().await, 502, "backend_unreachable"),
        (Backend::cutting().await, 502, "backend_nonsense"),
        (
            Backend::answering("HTTP/1.1 101 Switching Protocols\r\n\r\n").await,
            502,
            "backend_nonsense",
        ),
        (
            Backend::answering("SSH-2.0-OpenSSH\r\n").await,
            502,
            "backend_nonsense",
        ),
        (silent, 504, "backend_timeout"),
    ];
    for (backend, status, reason) in rows {
        let proxy = Proxy::start(Config::to(&backend).set("timeouts", "answer = '200ms'"));
        let mut wire = proxy.connect().await;
        wire.send(&get("/", "")).await;
        let answered = wire.read_answer().await;
        assert_eq!(
            answered.head.status(),
            status,
            "{reason}: {}",
            answered.content
        );
        assert!(answered.content.contains(reason), "{}", answered.content);
        assert_eq!(answered.end, End::Closed);
        let codes = [("code", "5xx")];
        assert_eq!(proxy.metric("tidegate_requests_total", &codes), 1.0);
    }
}

#[tokio::test]
async fn a_backend_that_speaks_out_of_turn_loses_its_connection_and_nobody_gets_it() {
    let twice = [
        answer("200 OK", "", "first"),
        answer("200 OK", "", "second"),
    ]
    .concat();
    let backend = Backend::answering(twice).await;
    let proxy = Proxy::start(Config::to(&backend).set("server", "workers = 1"));
    let mut wire = proxy.connect().await;
    for number in 1..=3 {
        assert_eq!(wire.ask(&get("/", "")).await.text(), "first");
        eventually("another connection", || backend.connections() == number).await;
    }
}
